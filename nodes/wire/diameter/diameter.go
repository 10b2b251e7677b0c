// Package diameter reads and writes Diameter messages: the base protocol of RFC
// 6733 as far as two peers need it (capabilities exchange, watchdog,
// disconnection, errors), the MIP6A application of RFC 5778, by which a home
// agent has a Binding Update of RFC 4285 authorised, as much of RFC 4004 as it needs
// to have a registration of Mobile IPv4 authorised, EAP (RFC 4072) as access
// networks and gateways use it (STa, SWm and S6b of TS 29.273), and what asks an
// HSS or a bootstrapping server for keys (SWx; Zh and Zn of TS 29.109).
//
// A Message is a header and AVPs as they stand on the wire. Check holds it to
// the tables of AVPs and commands and says, as a Failure, which result code and
// Failed-AVP answer it. Each command has a struct of its own that reads and
// writes its AVPs; what those structs do not know is kept in no field.
//
// The package knows nothing of sockets, time or trust. Which message may be
// sent when is in nodes/session/diampeer; what a server answers is in nodes/aaa.
package diameter

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Port is where Diameter servers listen without transport security: RFC 6733,
// section 2.1.
const Port = 3868

// HeaderSize is the length of a Diameter header in octets.
const HeaderSize = 20

// ErrMalformed is what every error of reading octets wraps.
var ErrMalformed = errors.New("malformed Diameter message")

// Flags are the command flags: RFC 6733, section 3. Reserved bits are kept.
type Flags uint8

const (
	Request       Flags = 0x80 // R: this is a request
	Proxiable     Flags = 0x40 // P: agents may forward it
	Error         Flags = 0x20 // E: the answer tells of a protocol error
	Retransmitted Flags = 0x10 // T: a request like this may have arrived before
)

// A Command is a command code; request and answer share it.
type Command uint32

const (
	CapabilitiesExchange    Command = 257 // CER, CEA: RFC 6733, section 5.3
	ReAuth                  Command = 258 // RAR, RAA: RFC 6733, section 8.3
	AAMobileNode            Command = 260 // AMR, AMA: RFC 4004, sections 5.1 and 5.2
	AA                      Command = 265 // AAR, AAA: RFC 7155, section 3.1; TS 29.273, section 9.2.2
	DiameterEAP             Command = 268 // DER, DEA: RFC 4072, section 3
	AbortSession            Command = 274 // ASR, ASA: RFC 6733, section 8.5
	SessionTermination      Command = 275 // STR, STA: RFC 6733, section 8.4
	DeviceWatchdog          Command = 280 // DWR, DWA: RFC 6733, section 5.5
	DisconnectPeer          Command = 282 // DPR, DPA: RFC 6733, section 5.4
	ServerAssignment        Command = 301 // SAR, SAA: TS 29.273, section 8.2.2
	MultimediaAuth          Command = 303 // MAR, MAA: TS 29.273, section 8.2.2; TS 29.109, section 5.2
	RegistrationTermination Command = 304 // RTR, RTA: TS 29.273, section 8.2.2
	PushProfile             Command = 305 // PPR, PPA: TS 29.273, section 8.2.2
	BootstrappingInfo       Command = 310 // BIR, BIA: TS 29.109, section 6.2
	MIP6                    Command = 325 // MIR, MIA: RFC 5778, section 5.2
)

// An Application is an application identifier: RFC 6733, section 2.4.
type Application uint32

const (
	Base  Application = 0
	MIP4  Application = 2          // RFC 4004: agents of Mobile IPv4
	EAP   Application = 5          // RFC 4072
	MIP6I Application = 7          // RFC 5778: home agents that use IKEv2 and EAP
	MIP6A Application = 8          // RFC 5778: home agents that use RFC 4285
	Zn    Application = 16777220   // TS 29.109: from who uses a key of GBA to the BSF
	Zh    Application = 16777221   // TS 29.109: from the BSF to the HSS
	STa   Application = 16777250   // TS 29.273, section 5: from a trusted access network
	SWm   Application = 16777264   // TS 29.273, section 7: from an ePDG
	SWx   Application = 16777265   // TS 29.273, section 8: from the AAA server to the HSS
	S6b   Application = 16777272   // TS 29.273, section 9: from a PDN gateway
	Relay Application = 0xffffffff // has all applications
)

// VendorSpecific says whether a vendor has made the application: RFC 6733,
// section 11.3.
func (a Application) VendorSpecific() bool { return a >= 0x01000000 && a != Relay }

// String is the application's name as its standard writes it; one that is not
// known here is application- and its number.
func (a Application) String() string {
	switch a {
	case Base:
		return "base"
	case MIP4:
		return "MIP4"
	case EAP:
		return "EAP"
	case MIP6I:
		return "MIP6I"
	case MIP6A:
		return "MIP6A"
	case Zn:
		return "Zn"
	case Zh:
		return "Zh"
	case STa:
		return "STa"
	case SWm:
		return "SWm"
	case SWx:
		return "SWx"
	case S6b:
		return "S6b"
	case Relay:
		return "relay"
	}
	return fmt.Sprintf("application-%d", uint32(a))
}

// A Header is what stands before the AVPs, without the length.
type Header struct {
	Flags       Flags
	Command     Command // 24 bits
	Application Application
	HopByHop    uint32 // matches answer and request on one connection
	EndToEnd    uint32 // with Origin-Host: names a request, for 4 minutes and more
}

// A Message is any Diameter message.
type Message struct {
	Header
	AVPs []AVP // in wire order
}

// IsRequest says whether m asks for something.
func (m *Message) IsRequest() bool { return m.Flags&Request != 0 }

// Length gives the length of the message that begins with b, and whether b is
// long enough to tell. It fails where no Diameter message begins: what follows
// in a stream cannot be understood either (RFC 6733, section 2.1).
func Length(b []byte) (n int, told bool, err error) {
	if len(b) > 0 && b[0] != 1 {
		return 0, false, fmt.Errorf("version %d, want 1: %w", b[0], ErrMalformed)
	}
	if len(b) < 4 {
		return 0, false, nil
	}
	n = int(binary.BigEndian.Uint32(b) & 0xffffff)
	if n < HeaderSize || n%4 != 0 {
		return 0, false, fmt.Errorf("message of %d octets, want a multiple of 4 of %d or more: %w", n, HeaderSize, ErrMalformed)
	}
	return n, true, nil
}

// Parse parses one whole message. The result shares no memory with b.
//
// Where the header could be read and an AVP could not, the error is a *Failure
// and the message holds the AVPs before that one, so that it can be answered.
func Parse(b []byte) (*Message, error) {
	n, told, err := Length(b)
	switch {
	case err != nil:
		return nil, err
	case !told || len(b) < HeaderSize:
		return nil, fmt.Errorf("%d octets, want %d or more: %w", len(b), HeaderSize, ErrMalformed)
	case n != len(b):
		return nil, fmt.Errorf("message of %d octets says it has %d: %w", len(b), n, ErrMalformed)
	}
	m := &Message{Header: Header{
		Flags:       Flags(b[4]),
		Command:     Command(binary.BigEndian.Uint32(b[4:]) & 0xffffff),
		Application: Application(binary.BigEndian.Uint32(b[8:])),
		HopByHop:    binary.BigEndian.Uint32(b[12:]),
		EndToEnd:    binary.BigEndian.Uint32(b[16:]),
	}}
	m.AVPs, err = ParseAVPs(append([]byte(nil), b[HeaderSize:]...))
	return m, err
}

// AppendTo appends the whole message to b.
func (m *Message) AppendTo(b []byte) ([]byte, error) {
	start := len(b)
	b = m.Header.append(b)
	for i := range m.AVPs {
		b = m.AVPs[i].append(b)
	}
	return finish(b, start)
}

// append appends the header, with a length that finish sets.
func (h Header) append(b []byte) []byte {
	b = append(b, 1, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(h.Flags)<<24|uint32(h.Command)&0xffffff)
	b = binary.BigEndian.AppendUint32(b, uint32(h.Application))
	b = binary.BigEndian.AppendUint32(b, h.HopByHop)
	return binary.BigEndian.AppendUint32(b, h.EndToEnd)
}

// finish sets the length of the message that begins at start.
func finish(b []byte, start int) ([]byte, error) {
	n := len(b) - start
	if n > 0xffffff {
		return nil, fmt.Errorf("message of %d octets, want %d at most", n, 0xffffff)
	}
	b[start+1], b[start+2], b[start+3] = byte(n>>16), byte(n>>8), byte(n)
	return b, nil
}

// SetHopByHop changes the Hop-by-Hop Identifier of an appended message.
func SetHopByHop(message []byte, id uint32) { binary.BigEndian.PutUint32(message[12:], id) }

// SetFlags sets command flags of an appended message; it clears none.
func SetFlags(message []byte, f Flags) { message[4] |= byte(f) }

// ClearFlags clears command flags of an appended message.
func ClearFlags(message []byte, f Flags) { message[4] &^= byte(f) }

// Name is the command's name in kebab-case: capabilities-exchange-request.
// Commands that this package does not know are named by number: command-272-request.
func (m *Message) Name() string {
	name := m.Command.String()
	if m.IsRequest() {
		return name + "-request"
	}
	return name + "-answer"
}

// String names the command without saying request or answer.
func (c Command) String() string {
	switch c {
	case CapabilitiesExchange:
		return "capabilities-exchange"
	case ReAuth:
		return "re-auth"
	case AAMobileNode:
		return "aa-mobile-node"
	case AA:
		return "aa"
	case DiameterEAP:
		return "diameter-eap"
	case AbortSession:
		return "abort-session"
	case SessionTermination:
		return "session-termination"
	case DeviceWatchdog:
		return "device-watchdog"
	case DisconnectPeer:
		return "disconnect-peer"
	case ServerAssignment:
		return "server-assignment"
	case MultimediaAuth:
		return "multimedia-auth"
	case RegistrationTermination:
		return "registration-termination"
	case PushProfile:
		return "push-profile"
	case BootstrappingInfo:
		return "bootstrapping-info"
	case MIP6:
		return "mip6a"
	}
	return fmt.Sprintf("command-%d", uint32(c))
}

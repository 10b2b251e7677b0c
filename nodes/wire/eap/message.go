package eap

import "fmt"

// A Subtype says what a message of EAP-AKA or EAP-AKA' is: RFC 4187, section 11.
type Subtype uint8

const (
	Challenge              Subtype = 1
	AuthenticationReject   Subtype = 2
	SynchronizationFailure Subtype = 4
	Identity               Subtype = 5
	Notification           Subtype = 12
	Reauthentication       Subtype = 13
	ClientError            Subtype = 14
)

func (s Subtype) String() string {
	switch s {
	case Challenge:
		return "AKA-Challenge"
	case AuthenticationReject:
		return "AKA-Authentication-Reject"
	case SynchronizationFailure:
		return "AKA-Synchronization-Failure"
	case Identity:
		return "AKA-Identity"
	case Notification:
		return "AKA-Notification"
	case Reauthentication:
		return "AKA-Reauthentication"
	case ClientError:
		return "AKA-Client-Error"
	}
	return fmt.Sprintf("subtype %d", uint8(s))
}

// Codes of AT_NOTIFICATION: RFC 4187, section 10.19.
const (
	GeneralFailureAfter uint16 = 0     // after successful authentication
	TemporarilyDenied   uint16 = 1026  // after successful authentication
	NotSubscribed       uint16 = 1031  // after successful authentication
	GeneralFailure      uint16 = 16384 // before it
	Successful          uint16 = 32768

	// NotificationSuccess is the S bit: the code does not imply failure.
	NotificationSuccess uint16 = 0x8000
	// NotificationBefore is the P bit: the code comes before successful
	// authentication, and no AT_MAC with it. RFC 4187, section 6.1.
	NotificationBefore uint16 = 0x4000
)

// UnableToProcess is the general code of AT_CLIENT_ERROR_CODE: RFC 4187, section 10.20.
const UnableToProcess uint16 = 0

// A Message is one of EAP-AKA or EAP-AKA': RFC 4187, section 8.1. Which attributes
// it may have is Check's to say.
type Message struct {
	Code       Code // Request or Response
	Identifier uint8
	Type       Type // TypeAKA or TypeAKAPrime
	Subtype    Subtype
	Attributes []Attribute // in wire order
}

// attributesAt is where the attributes of a message begin.
const attributesAt = headerSize + 4

// AppendTo appends the whole EAP packet to b. It fails where a field does not fit
// the wire.
func (m *Message) AppendTo(b []byte) ([]byte, error) {
	if m.Type != TypeAKA && m.Type != TypeAKAPrime || m.Code != Request && m.Code != Response {
		return nil, fmt.Errorf("%v: %v of %v, want a Request or a Response of EAP-AKA or EAP-AKA'", m.Subtype, m.Code, m.Type)
	}
	data, err := AppendAttributes([]byte{byte(m.Subtype), 0, 0}, m.Attributes)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", m.Subtype, err)
	}
	p := Packet{Code: m.Code, Identifier: m.Identifier, Type: m.Type, Data: data}
	return p.AppendTo(b)
}

// ParseMessage parses an EAP packet that is a message of EAP-AKA or EAP-AKA'.
// Every error wraps ErrMalformed. The result shares no memory with b.
func ParseMessage(b []byte) (*Message, error) {
	p, err := Parse(b)
	if err != nil {
		return nil, err
	}
	if p.Type != TypeAKA && p.Type != TypeAKAPrime {
		return nil, fmt.Errorf("%v of %v, want EAP-AKA or EAP-AKA': %w", p.Code, p.Type, ErrMalformed)
	}
	if len(p.Data) < 3 {
		return nil, fmt.Errorf("%v of %d octets after the type, want 3 or more: %w", p.Type, len(p.Data), ErrMalformed)
	}
	m := &Message{Code: p.Code, Identifier: p.Identifier, Type: p.Type, Subtype: Subtype(p.Data[0])}
	if m.Attributes, err = ParseAttributes(p.Data[3:]); err != nil {
		return nil, fmt.Errorf("%v: %w", m.Subtype, err)
	}
	return m, nil
}

// MAC is where in a packet that ParseMessage has parsed or AppendTo appended the 16
// octets of AT_MAC are; nil: there are none. It shares memory with packet.
func MAC(packet []byte) []byte {
	packet, err := cut(packet)
	if err != nil || len(packet) < attributesAt {
		return nil
	}
	for b := packet[attributesAt:]; len(b) >= 4; {
		size := int(b[1]) * 4
		if size == 0 || size > len(b) {
			return nil
		}
		if AttributeType(b[0]) == ATMAC && size == 20 {
			return b[4:20]
		}
		b = b[size:]
	}
	return nil
}

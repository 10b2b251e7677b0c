package mip4

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Flags of a Registration Request: RFC 5944, section 3.3. The bits r and x are sent
// as zero and ignored on reception; they are kept, so that what was parsed can be
// appended again unchanged.
type Flags uint8

// The flags.
const (
	Simultaneous  Flags = 0x80 // S: keep the bindings that there are
	Broadcasts    Flags = 0x40 // B: tunnel broadcasts of the home network too
	CoLocated     Flags = 0x20 // D: the mobile node decapsulates itself
	Minimal       Flags = 0x10 // M: minimal encapsulation
	GRE           Flags = 0x08 // G: encapsulation by GRE
	ReverseTunnel Flags = 0x02 // T: RFC 3024, section 3.2
)

// A RegistrationRequest asks a home agent to make, change or end a binding: RFC
// 5944, section 3.3.
type RegistrationRequest struct {
	Flags          Flags
	Lifetime       time.Duration // 0 s to 65,534 s in steps of 1 s, or Infinite; 0 ends bindings
	Home           netip.Addr    // IPv4; 0.0.0.0: the mobile node has none yet
	HomeAgent      netip.Addr    // IPv4
	CareOf         netip.Addr    // IPv4; the home address: all bindings are to end
	Identification uint64        // with timestamps, in the NTP format: section 5.7.1
	Extensions     []Extension   // in wire order; padding is dropped here
}

// requestSize is the length of what stands before the extensions.
const requestSize = 24

// Type is TypeRequest.
func (*RegistrationRequest) Type() Type { return TypeRequest }

// AppendTo appends the message to b. It fails where a field does not fit the wire.
func (m *RegistrationRequest) AppendTo(b []byte) ([]byte, error) {
	b, err := appendLifetime(append(b, byte(TypeRequest), byte(m.Flags)), TypeRequest, m.Lifetime)
	if err != nil {
		return nil, err
	}
	if b, err = appendAddresses(b, TypeRequest, m.Home, m.HomeAgent, m.CareOf); err != nil {
		return nil, err
	}
	b = binary.BigEndian.AppendUint64(b, m.Identification)
	return appendExtensions(b, TypeRequest, m.Extensions)
}

// ParseRequest parses a Registration Request: see Parse.
func ParseRequest(b []byte) (*RegistrationRequest, error) {
	if len(b) < requestSize || Type(b[0]) != TypeRequest {
		return nil, fmt.Errorf("%v: %d octets, want %d or more, of that type: %w", TypeRequest, len(b), requestSize, ErrMalformed)
	}
	extensions, err := parseExtensions(b[requestSize:])
	if err != nil {
		return nil, fmt.Errorf("%v: %w", TypeRequest, err)
	}
	return &RegistrationRequest{
		Flags:          Flags(b[1]),
		Lifetime:       lifetime(b[2:]),
		Home:           address(b[4:8]),
		HomeAgent:      address(b[8:12]),
		CareOf:         address(b[12:16]),
		Identification: binary.BigEndian.Uint64(b[16:]),
		Extensions:     extensions,
	}, nil
}

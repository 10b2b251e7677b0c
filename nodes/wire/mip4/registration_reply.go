package mip4

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// A RegistrationReply says what became of a Registration Request: RFC 5944, section
// 3.4.
type RegistrationReply struct {
	Code           Code
	Lifetime       time.Duration // as in the request, and no longer; means nothing where the request was denied
	Home           netip.Addr    // IPv4
	HomeAgent      netip.Addr    // IPv4
	Identification uint64        // the lower 32 bits are those of the request
	Extensions     []Extension   // in wire order; padding is dropped here
}

// replySize is the length of what stands before the extensions.
const replySize = 20

// Type is TypeReply.
func (*RegistrationReply) Type() Type { return TypeReply }

// AppendTo appends the message to b. It fails where a field does not fit the wire.
func (m *RegistrationReply) AppendTo(b []byte) ([]byte, error) {
	b, err := appendLifetime(append(b, byte(TypeReply), byte(m.Code)), TypeReply, m.Lifetime)
	if err != nil {
		return nil, err
	}
	if b, err = appendAddresses(b, TypeReply, m.Home, m.HomeAgent); err != nil {
		return nil, err
	}
	b = binary.BigEndian.AppendUint64(b, m.Identification)
	return appendExtensions(b, TypeReply, m.Extensions)
}

// ParseReply parses a Registration Reply: see Parse.
func ParseReply(b []byte) (*RegistrationReply, error) {
	if len(b) < replySize || Type(b[0]) != TypeReply {
		return nil, fmt.Errorf("%v: %d octets, want %d or more, of that type: %w", TypeReply, len(b), replySize, ErrMalformed)
	}
	extensions, err := parseExtensions(b[replySize:])
	if err != nil {
		return nil, fmt.Errorf("%v: %w", TypeReply, err)
	}
	return &RegistrationReply{
		Code:           Code(b[1]),
		Lifetime:       lifetime(b[2:]),
		Home:           address(b[4:8]),
		HomeAgent:      address(b[8:12]),
		Identification: binary.BigEndian.Uint64(b[12:]),
		Extensions:     extensions,
	}, nil
}

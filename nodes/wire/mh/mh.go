// Package mh reads and writes the IPv6 Mobility Header and its options: RFC
// 6275, section 6; RFC 4283 (identifiers), RFC 4285 (authentication), RFC 5149
// (service selection), RFC 5555 (IPv4), RFC 5142 (home agent switch) and RFC
// 5846 (revocation).
//
// It knows nothing of sockets, time or trust. Which message may be sent when is
// in nodes/session and the roles; authenticators are computed in nodes/keys.
package mh

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"s2clab/nodes/wire/ipv6"
)

const (
	headerLen    = 6    // up to and including the checksum; message data follows
	unit         = 8    // Header Len counts these, without the first
	maxLen       = 2048 // (255 + 1) units
	checksumAt   = 4
	lifetimeUnit = 4 * time.Second // RFC 6275, sections 6.1.7, 6.1.8 and 6.2.4
)

// ErrMalformed is what every error of Parse and its kin wraps.
var ErrMalformed = errors.New("malformed mobility header")

// A Problem is a header that is refused by an ICMPv6 Parameter Problem, code 0,
// sent straight to the source of the packet: RFC 6275, section 9.2. It unwraps
// to ErrMalformed.
type Problem struct {
	Pointer int // octets from the start of the Mobility Header

	what string
}

func (e *Problem) Error() string { return e.what + ": " + ErrMalformed.Error() }
func (e *Problem) Unwrap() error { return ErrMalformed }

// A Message is one of the message types of this package, by pointer; also
// *Unknown.
type Message interface {
	Type() Type

	// AppendTo appends the message data, which follows the MH checksum, to b,
	// with options aligned as if the header began 6 octets before. It fails
	// where a field does not fit the wire; it never rounds or truncates.
	AppendTo(b []byte) ([]byte, error)

	options() []Option
}

// Append appends m as a whole Mobility Header: padded to a multiple of 8
// octets, with the checksum over the pseudo-header of src and dst. With a Home
// Address option src is the home address, with a type 2 routing header dst is.
func Append(b []byte, m Message, src, dst netip.Addr) ([]byte, error) {
	start := len(b)
	b, err := Begin(b, m)
	if err != nil {
		return nil, err
	}
	if b, err = End(b, start); err != nil {
		return nil, fmt.Errorf("%v: %w", m.Type(), err)
	}
	SetChecksum(b[start:], src, dst)
	return b, nil
}

// Begin appends a Mobility Header that has neither its length, nor its final
// padding, nor its checksum yet. It is for those who sign, and is completed by
// AppendAuthentication or End, and SetChecksum.
func Begin(b []byte, m Message) ([]byte, error) {
	b = append(b, ipv6.NoNext, 0, uint8(m.Type()), 0, 0, 0)
	return m.AppendTo(b)
}

// End pads the header that begins at start to a multiple of 8 octets and sets
// its length.
func End(b []byte, start int) ([]byte, error) {
	b = appendPadding(b, -(len(b)-start)&(unit-1))
	n := len(b) - start
	if n > maxLen {
		return nil, fmt.Errorf("%d octets, want at most %d", n, maxLen)
	}
	b[start+1] = uint8(n/unit - 1)
	return b, nil
}

// SetChecksum puts the checksum of the header b into it.
func SetChecksum(b []byte, src, dst netip.Addr) {
	b[checksumAt], b[checksumAt+1] = 0, 0
	binary.BigEndian.PutUint16(b[checksumAt:], ipv6.Checksum(src, dst, ipv6.Mobility, b))
}

// ChecksumOK says whether the checksum of the header at the start of b is
// right. One that is wrong is dropped silently: RFC 6275, section 9.2.
func ChecksumOK(b []byte, src, dst netip.Addr) bool {
	b, err := Octets(b)
	return err == nil && ipv6.Checksum(src, dst, ipv6.Mobility, b) == 0
}

// Octets gives the part of b that the Mobility Header at its start fills, after
// checking Payload Proto and Header Len. What follows it is ignored: RFC 8200,
// section 4.7.
func Octets(b []byte) ([]byte, error) {
	if len(b) < unit {
		return nil, fmt.Errorf("mobility header of %d octets, want %d or more: %w", len(b), unit, ErrMalformed)
	}
	if b[0] != ipv6.NoNext {
		return nil, &Problem{Pointer: 0, what: fmt.Sprintf("payload proto %d, want %d", b[0], ipv6.NoNext)}
	}
	n := (int(b[1]) + 1) * unit
	if n > len(b) {
		return nil, fmt.Errorf("mobility header of %d octets, its length field says %d: %w", len(b), n, ErrMalformed)
	}
	if n < headerLen+fixedLen(Type(b[2])) {
		return nil, &Problem{Pointer: 1, what: fmt.Sprintf("%v of %d octets", Type(b[2]), n)}
	}
	return b[:n], nil
}

// Parse reads the Mobility Header at the start of b. The message shares no
// memory with b. A type without a name here comes back as *Unknown. Every error
// wraps ErrMalformed. The checksum is left to ChecksumOK, and which options a
// message holds to Check.
func Parse(b []byte) (Message, error) {
	b, err := Octets(b)
	if err != nil {
		return nil, err
	}
	data := b[headerLen:]
	switch t := Type(b[2]); t {
	case TypeBindingRefreshRequest:
		return message(ParseBindingRefreshRequest(data))
	case TypeHomeTestInit:
		return message(ParseHomeTestInit(data))
	case TypeCareOfTestInit:
		return message(ParseCareOfTestInit(data))
	case TypeHomeTest:
		return message(ParseHomeTest(data))
	case TypeCareOfTest:
		return message(ParseCareOfTest(data))
	case TypeBindingUpdate:
		return message(ParseBindingUpdate(data))
	case TypeBindingAcknowledgement:
		return message(ParseBindingAcknowledgement(data))
	case TypeBindingError:
		return message(ParseBindingError(data))
	case TypeHomeAgentSwitch:
		return message(ParseHomeAgentSwitch(data))
	case TypeBindingRevocation:
		return parseBindingRevocation(data)
	default:
		return &Unknown{Kind: t, Data: append([]byte(nil), data...)}, nil
	}
}

// message keeps a nil pointer beside an error from becoming a Message.
func message[M Message](m M, err error) (Message, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

// SeqAfter says whether sequence number a comes after b: RFC 6275, section
// 9.5.1. The 32768 values up to and including b do not.
func SeqAfter(a, b uint16) bool {
	d := a - b
	return d != 0 && d < 1<<15
}

// lifetime gives d in units of 4 s.
func lifetime(d time.Duration) (uint16, error) {
	units, rest := d/lifetimeUnit, d%lifetimeUnit
	if units < 0 || units > 0xffff || rest != 0 {
		return 0, fmt.Errorf("lifetime %v: want 0 s to %v in steps of %v", d, 0xffff*lifetimeUnit, lifetimeUnit)
	}
	return uint16(units), nil
}

// Package icmp4 reads and writes the errors of ICMP: RFC 792, with the MTU that RFC
// 1191 adds to one. Its other messages it leaves alone.
//
// It sends nothing and believes nothing: whether an error is about a packet that was
// sent is the receiver's to say.
package icmp4

import (
	"encoding/binary"
	"errors"
	"fmt"

	"s2clab/nodes/wire/ipv4"
)

// HeaderLen is the length of an error before its invoking packet, in octets.
const HeaderLen = 8

// MaxInvoking is how much of the packet that caused an error fits into the error
// without passing 576 octets: RFC 1812, section 4.3.2.3.
const MaxInvoking = 576 - ipv4.HeaderLen - HeaderLen

// ErrMalformed is what every error of Parse wraps.
var ErrMalformed = errors.New("malformed ICMP error")

// The types of errors: RFC 792.
const (
	Unreachable      = 3
	TimeExceeded     = 11
	ParameterProblem = 12
)

// Codes of Unreachable: RFC 792.
const (
	HostUnreachable     = 1
	FragmentationNeeded = 4 // and the DF bit was set
)

// An Error says that a packet was not delivered.
type Error struct {
	Type     uint8 // Unreachable, TimeExceeded or ParameterProblem
	Code     uint8
	Rest     uint32 // the second word of the header: see MTU
	Invoking []byte // as much of the packet as came: its header and 8 octets or more
}

// MTU is that of the next link, where fragmentation is needed; 0: the router did not
// say (RFC 1191, section 4).
func (e *Error) MTU() int { return int(e.Rest & 0xffff) }

func isError(kind uint8) bool {
	return kind == Unreachable || kind == TimeExceeded || kind == ParameterProblem
}

// Append appends the message to b, with its checksum.
func Append(b []byte, e *Error) ([]byte, error) {
	switch {
	case !isError(e.Type):
		return nil, fmt.Errorf("icmp: type %d: want %d, %d or %d", e.Type, Unreachable, TimeExceeded, ParameterProblem)
	case len(e.Invoking) < ipv4.HeaderLen:
		return nil, fmt.Errorf("icmp: %d octets of the invoking packet, want %d or more", len(e.Invoking), ipv4.HeaderLen)
	}
	at := len(b)
	b = append(b, e.Type, e.Code, 0, 0)
	b = binary.BigEndian.AppendUint32(b, e.Rest)
	b = append(b, e.Invoking...)
	binary.BigEndian.PutUint16(b[at+2:], ipv4.HeaderChecksum(b[at:]))
	return b, nil
}

// Parse reads a whole message. Invoking is part of b. Every error wraps
// ErrMalformed.
func Parse(b []byte) (Error, error) {
	switch {
	case len(b) < HeaderLen+ipv4.HeaderLen:
		return Error{}, fmt.Errorf("icmp: %d octets, want %d or more: %w", len(b), HeaderLen+ipv4.HeaderLen, ErrMalformed)
	case !isError(b[0]):
		return Error{}, fmt.Errorf("icmp: type %d is no error: %w", b[0], ErrMalformed)
	case ipv4.HeaderChecksum(b) != 0:
		return Error{}, fmt.Errorf("icmp: checksum %#04x is wrong: %w", binary.BigEndian.Uint16(b[2:]), ErrMalformed)
	}
	return Error{Type: b[0], Code: b[1], Rest: binary.BigEndian.Uint32(b[4:]), Invoking: b[HeaderLen:]}, nil
}

package icmp6

import (
	"encoding/binary"
	"fmt"
)

// A DestinationUnreachable says that a packet could not be delivered: RFC 4443,
// section 3.1.
type DestinationUnreachable struct {
	Code     uint8  // 0 no route, 1 prohibited, 2 beyond scope, 3 address, 4 port, 5 ingress policy, 6 reject route
	Invoking []byte // as much of the packet as MaxInvoking lets in
}

// Type is TypeDestinationUnreachable.
func (m *DestinationUnreachable) Type() Type { return TypeDestinationUnreachable }

func (m *DestinationUnreachable) code() uint8 { return m.Code }

func (m *DestinationUnreachable) appendBody(b []byte) ([]byte, error) {
	return appendFailure(b, 0, m.Invoking)
}

// A PacketTooBig says that a packet was longer than the next link's MTU: RFC
// 4443, section 3.2.
type PacketTooBig struct {
	MTU      uint32 // octets
	Invoking []byte
}

// Type is TypePacketTooBig.
func (m *PacketTooBig) Type() Type { return TypePacketTooBig }

func (m *PacketTooBig) code() uint8 { return 0 }

func (m *PacketTooBig) appendBody(b []byte) ([]byte, error) {
	return appendFailure(b, m.MTU, m.Invoking)
}

// A TimeExceeded says that a packet lived too long: RFC 4443, section 3.3.
type TimeExceeded struct {
	Code     uint8 // 0 hop limit, 1 reassembly
	Invoking []byte
}

// Type is TypeTimeExceeded.
func (m *TimeExceeded) Type() Type { return TypeTimeExceeded }

func (m *TimeExceeded) code() uint8 { return m.Code }

func (m *TimeExceeded) appendBody(b []byte) ([]byte, error) { return appendFailure(b, 0, m.Invoking) }

// A ParameterProblem says that a packet was not understood: RFC 4443, section
// 3.4.
type ParameterProblem struct {
	Code     uint8  // ipv6.ErroneousField, ipv6.UnrecognizedNext, ipv6.UnrecognizedOption
	Pointer  uint32 // octets from the start of the packet
	Invoking []byte
}

// Type is TypeParameterProblem.
func (m *ParameterProblem) Type() Type { return TypeParameterProblem }

func (m *ParameterProblem) code() uint8 { return m.Code }

func (m *ParameterProblem) appendBody(b []byte) ([]byte, error) {
	return appendFailure(b, m.Pointer, m.Invoking)
}

func appendFailure(b []byte, word uint32, invoking []byte) ([]byte, error) {
	if len(invoking) > MaxInvoking {
		return nil, fmt.Errorf("%d octets of the invoking packet, want at most %d", len(invoking), MaxInvoking)
	}
	return append(binary.BigEndian.AppendUint32(b, word), invoking...), nil
}

// Package icmp6 reads and writes ICMPv6 messages: errors and echoes of RFC
// 4443, neighbour discovery of RFC 4861 with what RFC 6275, section 7, adds to
// it, and home agent address discovery and mobile prefix discovery of RFC 6275,
// sections 6.5 to 6.8.
//
// It sends nothing, limits no rates and keeps no neighbour cache. Whether a
// discovery message came from a neighbour is told by Check, whether to believe
// it is the receiver's to say.
package icmp6

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"s2clab/nodes/wire/ipv6"
)

const (
	headerLen  = 4 // type, code, checksum
	checksumAt = 2
)

// MaxInvoking is how much of the packet that caused an error fits into the
// error without passing the smallest MTU: RFC 4443, section 3.
const MaxInvoking = 1280 - ipv6.HeaderLen - 8

// ErrMalformed is what every error of Parse wraps.
var ErrMalformed = errors.New("malformed ICMPv6 message")

// A Type is the type of an ICMPv6 message.
type Type uint8

// The types with a name: RFC 4443, section 3 and 4; RFC 4861, section 4; RFC
// 6275, sections 6.5 to 6.8.
const (
	TypeDestinationUnreachable Type = 1
	TypePacketTooBig           Type = 2
	TypeTimeExceeded           Type = 3
	TypeParameterProblem       Type = 4
	TypeEchoRequest            Type = 128
	TypeEchoReply              Type = 129
	TypeRouterSolicitation     Type = 133
	TypeRouterAdvertisement    Type = 134
	TypeNeighborSolicitation   Type = 135
	TypeNeighborAdvertisement  Type = 136
	TypeRedirect               Type = 137
	TypeHomeAgentRequest       Type = 144 // Home Agent Address Discovery Request
	TypeHomeAgentReply         Type = 145
	TypeMobilePrefixSolicit    Type = 146
	TypeMobilePrefixAdvertise  Type = 147
)

// String is the name of the type in journals, scenarios and ladders.
func (t Type) String() string {
	switch t {
	case TypeDestinationUnreachable:
		return "icmp6-unreachable"
	case TypePacketTooBig:
		return "icmp6-packet-too-big"
	case TypeTimeExceeded:
		return "icmp6-time-exceeded"
	case TypeParameterProblem:
		return "icmp6-parameter-problem"
	case TypeEchoRequest:
		return "echo-request"
	case TypeEchoReply:
		return "echo-reply"
	case 130:
		return "icmp6-multicast-listener-query" // RFC 3810
	case 131:
		return "icmp6-multicast-listener-report" // RFC 2710
	case 132:
		return "icmp6-multicast-listener-done" // RFC 2710
	case TypeRouterSolicitation:
		return "router-solicitation"
	case TypeRouterAdvertisement:
		return "router-advertisement"
	case TypeNeighborSolicitation:
		return "neighbor-solicitation"
	case TypeNeighborAdvertisement:
		return "neighbor-advertisement"
	case TypeRedirect:
		return "redirect"
	case 143:
		return "icmp6-multicast-listener-report-v2" // RFC 3810
	case TypeHomeAgentRequest:
		return "home-agent-address-discovery-request"
	case TypeHomeAgentReply:
		return "home-agent-address-discovery-reply"
	case TypeMobilePrefixSolicit:
		return "mobile-prefix-solicitation"
	case TypeMobilePrefixAdvertise:
		return "mobile-prefix-advertisement"
	}
	return fmt.Sprintf("icmp6-%d", uint8(t))
}

// A Message is one of the message types of this package, by pointer; also
// *Unknown.
type Message interface {
	Type() Type

	code() uint8

	// appendBody appends what follows the checksum.
	appendBody(b []byte) ([]byte, error)
}

// Append appends m as a whole ICMPv6 message, with the checksum over the
// pseudo-header of src and dst.
func Append(b []byte, m Message, src, dst netip.Addr) ([]byte, error) {
	start := len(b)
	b = append(b, uint8(m.Type()), m.code(), 0, 0)
	b, err := m.appendBody(b)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", m.Type(), err)
	}
	binary.BigEndian.PutUint16(b[start+checksumAt:], ipv6.Checksum(src, dst, ipv6.ICMPv6, b[start:]))
	return b, nil
}

// ChecksumOK says whether the checksum of the message b is right.
func ChecksumOK(b []byte, src, dst netip.Addr) bool {
	return len(b) >= headerLen && ipv6.Checksum(src, dst, ipv6.ICMPv6, b) == 0
}

// Parse reads the ICMPv6 message that fills b. The message shares no memory
// with b. A type without a name here comes back as *Unknown. Every error wraps
// ErrMalformed. The checksum is left to ChecksumOK.
func Parse(b []byte) (Message, error) {
	if len(b) < headerLen {
		return nil, fmt.Errorf("icmp6: %d octets, want %d or more: %w", len(b), headerLen, ErrMalformed)
	}
	t, code, body := Type(b[0]), b[1], b[headerLen:]
	if len(body) < bodyLen(t) {
		return nil, fmt.Errorf("%v: %d octets, want %d or more: %w", t, len(b), headerLen+bodyLen(t), ErrMalformed)
	}
	if code != 0 && t >= TypeRouterSolicitation && t <= TypeRedirect { // RFC 4861, sections 6.1, 7.1 and 8.1
		return nil, fmt.Errorf("%v: code %d, want 0: %w", t, code, ErrMalformed)
	}
	switch t {
	case TypeDestinationUnreachable:
		return &DestinationUnreachable{Code: code, Invoking: clone(body[4:])}, nil
	case TypePacketTooBig:
		return &PacketTooBig{MTU: binary.BigEndian.Uint32(body), Invoking: clone(body[4:])}, nil
	case TypeTimeExceeded:
		return &TimeExceeded{Code: code, Invoking: clone(body[4:])}, nil
	case TypeParameterProblem:
		return &ParameterProblem{Code: code, Pointer: binary.BigEndian.Uint32(body), Invoking: clone(body[4:])}, nil
	case TypeEchoRequest:
		return &EchoRequest{Identifier: binary.BigEndian.Uint16(body), Seq: binary.BigEndian.Uint16(body[2:]), Payload: clone(body[4:])}, nil
	case TypeEchoReply:
		return &EchoReply{Identifier: binary.BigEndian.Uint16(body), Seq: binary.BigEndian.Uint16(body[2:]), Payload: clone(body[4:])}, nil
	case TypeRouterSolicitation:
		return parseRouterSolicitation(body)
	case TypeRouterAdvertisement:
		return parseRouterAdvertisement(body)
	case TypeNeighborSolicitation:
		return parseNeighborSolicitation(body)
	case TypeNeighborAdvertisement:
		return parseNeighborAdvertisement(body)
	case TypeRedirect:
		return parseRedirect(body)
	case TypeHomeAgentRequest:
		return &HomeAgentRequest{Identifier: binary.BigEndian.Uint16(body)}, nil
	case TypeHomeAgentReply:
		return parseHomeAgentReply(body)
	case TypeMobilePrefixSolicit:
		return parseMobilePrefixSolicitation(body)
	case TypeMobilePrefixAdvertise:
		return parseMobilePrefixAdvertisement(body)
	}
	return &Unknown{Kind: t, Code: code, Body: clone(body)}, nil
}

// bodyLen is how much must follow the checksum of a message of type t.
func bodyLen(t Type) int {
	switch t {
	case TypeDestinationUnreachable, TypePacketTooBig, TypeTimeExceeded, TypeParameterProblem,
		TypeEchoRequest, TypeEchoReply, TypeRouterSolicitation,
		TypeHomeAgentRequest, TypeHomeAgentReply, TypeMobilePrefixSolicit, TypeMobilePrefixAdvertise:
		return 4
	case TypeRouterAdvertisement:
		return 12
	case TypeNeighborSolicitation, TypeNeighborAdvertisement:
		return 20
	case TypeRedirect:
		return 36
	}
	return 0
}

// An Unknown is a message of a type that has no name here.
type Unknown struct {
	Kind Type
	Code uint8
	Body []byte // what follows the checksum
}

// Type is the type the message came with.
func (m *Unknown) Type() Type { return m.Kind }

func (m *Unknown) code() uint8 { return m.Code }

func (m *Unknown) appendBody(b []byte) ([]byte, error) { return append(b, m.Body...), nil }

func clone(b []byte) []byte { return append([]byte(nil), b...) }

func appendAddr(b []byte, a netip.Addr) ([]byte, error) {
	if !a.Is6() || a.Zone() != "" {
		return nil, fmt.Errorf("address %v: want an IPv6 address without a zone", a)
	}
	o := a.As16()
	return append(b, o[:]...), nil
}

// Package ipv6 reads and writes IPv6 packets with the extension headers that
// Mobile IPv6 uses: RFC 8200; the Home Address destination option and the type
// 2 routing header of RFC 6275, sections 6.3 and 6.4.
//
// It reassembles nothing, forwards nothing and trusts nothing: whether a home
// address may be believed is the receiver's to say. Upper layers are in the
// packages beside it.
package ipv6

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
)

// Next header values: IANA, Assigned Internet Protocol Numbers.
const (
	HopByHop    = 0
	IPv4        = 4
	TCP         = 6
	UDP         = 17
	Encapsulate = 41 // IPv6 in IPv6
	Routing     = 43
	Fragment    = 44
	ESP         = 50
	AH          = 51
	ICMPv6      = 58
	NoNext      = 59
	Destination = 60
	Mobility    = 135
)

// HeaderLen is the length of the IPv6 header in octets.
const HeaderLen = 40

const (
	headersLen        = 24   // of a destination options header with a Home Address option; also of a type 2 routing header
	optionPadN        = 1    // RFC 8200, section 4.2
	optionHomeAddress = 0xc9 // RFC 6275, section 6.3
	routingType2      = 2    // RFC 6275, section 6.4
)

// ErrMalformed is what every error of Parse wraps.
var ErrMalformed = errors.New("malformed IPv6 packet")

// A Packet is an IPv6 packet, its extension headers told apart from its upper
// layer.
type Packet struct {
	Src, Dst     netip.Addr // of the IPv6 header, as on the wire
	TrafficClass uint8
	FlowLabel    uint32 // 20 bits
	HopLimit     uint8

	// HomeAddress is that of the Home Address option; not valid: no such
	// option. It stands for Src above this layer.
	HomeAddress netip.Addr

	// RoutingHome is the address in the type 2 routing header; not valid: no
	// such header. It stands for Dst above this layer while SegmentsLeft is 1.
	RoutingHome  netip.Addr
	SegmentsLeft uint8 // of the type 2 routing header: 1 as sent, 0 once it has been followed

	Next     uint8  // upper-layer protocol, or the first header that is not walked: ESP, AH, a fragment
	NextAt   int    // where in the packet the octet stands that holds Next, for ICMPv6 pointers; set by Parse
	Payload  []byte // from after the last header walked
	Extended bool   // Parse met other extension headers or options, which Append will not write
}

// UpperSrc is the source of the pseudo-header: RFC 6275, section 6.3.
func (p *Packet) UpperSrc() netip.Addr {
	if p.HomeAddress.IsValid() {
		return p.HomeAddress
	}
	return p.Src
}

// UpperDst is the destination of the pseudo-header, the final one: RFC 8200,
// section 8.1, and RFC 6275, section 6.4.
func (p *Packet) UpperDst() netip.Addr {
	if p.RoutingHome.IsValid() && p.SegmentsLeft > 0 {
		return p.RoutingHome
	}
	return p.Dst
}

// Append appends the packet to b: the IPv6 header, then a type 2 routing
// header, then a destination options header with the Home Address option, then
// the payload: the order of RFC 6275, sections 6.3 and 6.4.
func Append(b []byte, p *Packet) ([]byte, error) {
	length := len(p.Payload)
	if p.HomeAddress.IsValid() {
		length += headersLen
	}
	if p.RoutingHome.IsValid() {
		length += headersLen
	}
	switch {
	case !p.Src.Is6(), !p.Dst.Is6():
		return nil, fmt.Errorf("ipv6: from %v to %v: want two IPv6 addresses", p.Src, p.Dst)
	case p.HomeAddress.IsValid() && !p.HomeAddress.Is6():
		return nil, fmt.Errorf("ipv6: home address %v: want an IPv6 address", p.HomeAddress)
	case p.RoutingHome.IsValid() && !p.RoutingHome.Is6():
		return nil, fmt.Errorf("ipv6: routing header to %v: want an IPv6 address", p.RoutingHome)
	case p.FlowLabel >= 1<<20:
		return nil, fmt.Errorf("ipv6: flow label %#x: want 20 bits", p.FlowLabel)
	case length > math.MaxUint16:
		return nil, fmt.Errorf("ipv6: payload of %d octets: want at most %d", length, math.MaxUint16)
	}
	next := p.Next
	first := next
	if p.HomeAddress.IsValid() {
		first = Destination
	}
	if p.RoutingHome.IsValid() {
		first = Routing
	}
	b = binary.BigEndian.AppendUint32(b, 6<<28|uint32(p.TrafficClass)<<20|p.FlowLabel)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, first, p.HopLimit)
	b = appendAddr(b, p.Src)
	b = appendAddr(b, p.Dst)
	if p.RoutingHome.IsValid() {
		after := next
		if p.HomeAddress.IsValid() {
			after = Destination
		}
		b = append(b, after, headersLen/8-1, routingType2, p.SegmentsLeft, 0, 0, 0, 0)
		b = appendAddr(b, p.RoutingHome)
	}
	if p.HomeAddress.IsValid() {
		// The option's alignment is 8n+6, so four octets of PadN stand before it.
		b = append(b, next, headersLen/8-1, optionPadN, 2, 0, 0, optionHomeAddress, 16)
		b = appendAddr(b, p.HomeAddress)
	}
	return append(b, p.Payload...), nil
}

func appendAddr(b []byte, a netip.Addr) []byte {
	o := a.As16()
	return append(b, o[:]...)
}

// Parse reads the packet at the start of b; what follows it in b is ignored, as
// Ethernet may pad. The Payload is part of b. Every error wraps ErrMalformed;
// one for which an ICMPv6 Parameter Problem is due is a *ParameterProblem.
//
// Extension headers are walked in any order and number. The walk ends, with
// that header as Payload, at a fragment that is not whole, at ESP and at AH.
func Parse(b []byte) (Packet, error) {
	if len(b) < HeaderLen {
		return Packet{}, fmt.Errorf("ipv6: %d octets, want %d or more: %w", len(b), HeaderLen, ErrMalformed)
	}
	word := binary.BigEndian.Uint32(b)
	if word>>28 != 6 {
		return Packet{}, fmt.Errorf("ipv6: version %d: %w", word>>28, ErrMalformed)
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if len(b)-HeaderLen < length {
		return Packet{}, fmt.Errorf("ipv6: payload of %d octets, its length field says %d: %w",
			len(b)-HeaderLen, length, ErrMalformed)
	}
	p := Packet{
		Src:          netip.AddrFrom16([16]byte(b[8:24])),
		Dst:          netip.AddrFrom16([16]byte(b[24:40])),
		TrafficClass: uint8(word >> 20),
		FlowLabel:    word & 0xfffff,
		HopLimit:     b[7],
		Next:         b[6],
		NextAt:       6,
	}
	b = b[:HeaderLen+length]
	at := HeaderLen
	for {
		rest := b[at:]
		n := 0
		switch p.Next {
		case HopByHop, Destination:
			if n = extensionLen(rest); n == 0 {
				return Packet{}, truncated(p.Next, rest)
			}
			if p.Next == HopByHop && at != HeaderLen {
				// RFC 8200, section 4: only straight after the IPv6 header.
				return Packet{}, &ParameterProblem{Code: UnrecognizedNext, Pointer: p.NextAt,
					what: "hop-by-hop options are not the first header"}
			}
			if err := p.options(b, at+2, at+n); err != nil {
				return Packet{}, err
			}
		case Routing:
			if n = extensionLen(rest); n == 0 {
				return Packet{}, truncated(p.Next, rest)
			}
			if err := p.routing(rest[:n], at); err != nil {
				return Packet{}, err
			}
		case Fragment:
			if len(rest) < 8 {
				return Packet{}, truncated(p.Next, rest)
			}
			if binary.BigEndian.Uint16(rest[2:])&^6 == 0 {
				n = 8 // whole in itself: RFC 6946
				p.Extended = true
			}
		}
		if n == 0 {
			p.Payload = rest
			return p, nil
		}
		p.Next, p.NextAt = rest[0], at
		at += n
	}
}

// extensionLen is the length of the extension header that b begins with, and 0
// where b does not hold all of it.
func extensionLen(b []byte) int {
	if len(b) < 8 {
		return 0
	}
	n := (int(b[1]) + 1) * 8
	if n > len(b) {
		return 0
	}
	return n
}

func truncated(header uint8, b []byte) error {
	return fmt.Errorf("ipv6: header %d is cut off after %d octets: %w", header, len(b), ErrMalformed)
}

// options walks the options of a destination or hop-by-hop options header,
// which stand in b from at up to end.
func (p *Packet) options(b []byte, at, end int) error {
	for at < end {
		kind := b[at]
		if kind == 0 { // Pad1
			at++
			continue
		}
		if end-at < 2 || end-at-2 < int(b[at+1]) {
			return fmt.Errorf("ipv6: option %#02x reaches past its header: %w", kind, ErrMalformed)
		}
		n := 2 + int(b[at+1])
		switch {
		case kind == optionPadN:
		case kind == optionHomeAddress && p.Next == Destination:
			if n != 18 {
				return &ParameterProblem{Code: ErroneousField, Pointer: at + 1,
					what: fmt.Sprintf("home address option of %d octets, want 16", n-2)}
			}
			if p.HomeAddress.IsValid() {
				// RFC 6275, section 6.3: MUST appear at most once.
				return &ParameterProblem{Code: ErroneousField, Pointer: at, what: "a second home address option"}
			}
			p.HomeAddress = netip.AddrFrom16([16]byte(b[at+2:]))
		case kind>>6 == 0: // skip and go on
			p.Extended = true
		case kind>>6 == 1:
			return fmt.Errorf("ipv6: option %#02x is unknown and asks to discard: %w", kind, ErrMalformed)
		default: // RFC 8200, section 4.2
			return &ParameterProblem{Code: UnrecognizedOption, Pointer: at, NotMulticast: kind>>6 == 3,
				what: fmt.Sprintf("option %#02x is unknown", kind)}
		}
		at += n
	}
	return nil
}

// routing reads a routing header that begins at the given octet of the packet.
func (p *Packet) routing(b []byte, at int) error {
	left := b[3]
	if b[2] == routingType2 {
		switch {
		case len(b) != headersLen:
			return &ParameterProblem{Code: ErroneousField, Pointer: at + 1,
				what: fmt.Sprintf("type 2 routing header of %d octets, want %d", len(b), headersLen)}
		case left > 1:
			return &ParameterProblem{Code: ErroneousField, Pointer: at + 3,
				what: fmt.Sprintf("type 2 routing header with %d segments left, want 1", left)}
		case p.RoutingHome.IsValid():
			return &ParameterProblem{Code: ErroneousField, Pointer: at, what: "a second type 2 routing header"}
		}
		p.RoutingHome, p.SegmentsLeft = netip.AddrFrom16([16]byte(b[8:])), left
		return nil
	}
	if left > 0 { // RFC 8200, section 4.4
		return &ParameterProblem{Code: ErroneousField, Pointer: at + 2,
			what: fmt.Sprintf("routing header of type %d with %d segments left", b[2], left)}
	}
	p.Extended = true
	return nil
}

// Codes of an ICMPv6 Parameter Problem: RFC 4443, section 3.4.
const (
	ErroneousField     = 0
	UnrecognizedNext   = 1
	UnrecognizedOption = 2
)

// A ParameterProblem is a packet that is refused by an ICMPv6 Parameter
// Problem. It unwraps to ErrMalformed.
type ParameterProblem struct {
	Code         uint8
	Pointer      int  // octets from the start of the IPv6 header
	NotMulticast bool // nothing is sent for a packet to a multicast address

	what string
}

func (e *ParameterProblem) Error() string {
	return fmt.Sprintf("ipv6: octet %d: %s: %v", e.Pointer, e.what, ErrMalformed)
}

func (e *ParameterProblem) Unwrap() error { return ErrMalformed }

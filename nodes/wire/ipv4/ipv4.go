// Package ipv4 reads and writes IPv4 packets with their options: RFC 791, and RFC
// 2474 and RFC 3168 for the octet that was the type of service.
//
// It reassembles nothing, forwards nothing and does not read options: they are
// kept as they stand. Upper layers are in the packages beside it.
package ipv4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"

	"s2clab/nodes/wire/ipv6"
)

// Protocol numbers: IANA, Assigned Internet Protocol Numbers.
const (
	ICMP        = 1
	Encapsulate = 4 // IPv4 in IPv4: RFC 2003
	TCP         = 6
	UDP         = 17
	IPv6        = 41 // IPv6 in IPv4: RFC 4213
)

// HeaderLen is the length of the IPv4 header without options, in octets.
const HeaderLen = 20

const (
	headerMost    = 60 // octets, with options
	dontFragment  = 1 << 14
	moreFragments = 1 << 13
	fragmentUnit  = 8 // octets
)

// ErrMalformed is what every error of Parse wraps.
var ErrMalformed = errors.New("malformed IPv4 packet")

// A Packet is an IPv4 packet or a fragment of one.
type Packet struct {
	Src, Dst      netip.Addr
	TOS           uint8  // DSCP in the upper six bits, ECN in the lower two
	ID            uint16 // of the packet that fragments make up: RFC 6864
	Reserved      bool   // the bit before DontFragment, 0 as sent
	DontFragment  bool
	MoreFragments bool
	Offset        int // of this fragment's payload, octets: a multiple of 8, up to 65,528
	TTL           uint8
	Protocol      uint8
	Options       []byte // as they stand, a multiple of 4 octets, up to 40
	Payload       []byte
}

// IsFragment says whether the packet is not whole.
func (p *Packet) IsFragment() bool { return p.MoreFragments || p.Offset > 0 }

// Append appends the packet to b, with its header's checksum.
func Append(b []byte, p *Packet) ([]byte, error) {
	header := HeaderLen + len(p.Options)
	switch {
	case !p.Src.Is4(), !p.Dst.Is4():
		return nil, fmt.Errorf("ipv4: from %v to %v: want two IPv4 addresses", p.Src, p.Dst)
	case len(p.Options)%4 != 0 || header > headerMost:
		return nil, fmt.Errorf("ipv4: %d octets of options: want a multiple of 4 up to %d", len(p.Options), headerMost-HeaderLen)
	case p.Offset < 0 || p.Offset%fragmentUnit != 0 || p.Offset/fragmentUnit >= moreFragments:
		return nil, fmt.Errorf("ipv4: fragment at octet %d: want a multiple of %d below %d", p.Offset, fragmentUnit, moreFragments*fragmentUnit)
	case header+len(p.Payload) > math.MaxUint16:
		return nil, fmt.Errorf("ipv4: packet of %d octets: want at most %d", header+len(p.Payload), math.MaxUint16)
	}
	at := len(b)
	b = append(b, 4<<4|byte(header/4), p.TOS)
	b = binary.BigEndian.AppendUint16(b, uint16(header+len(p.Payload)))
	b = binary.BigEndian.AppendUint16(b, p.ID)
	flags := uint16(p.Offset / fragmentUnit)
	if p.Reserved {
		flags |= 1 << 15
	}
	if p.DontFragment {
		flags |= dontFragment
	}
	if p.MoreFragments {
		flags |= moreFragments
	}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = append(b, p.TTL, p.Protocol, 0, 0)
	src, dst := p.Src.As4(), p.Dst.As4()
	b = append(append(b, src[:]...), dst[:]...)
	b = append(b, p.Options...)
	binary.BigEndian.PutUint16(b[at+10:], HeaderChecksum(b[at:]))
	return append(b, p.Payload...), nil
}

// Parse reads the packet at the start of b; what follows it in b is ignored, as
// Ethernet may pad. Options and Payload are part of b. Every error wraps
// ErrMalformed.
func Parse(b []byte) (Packet, error) {
	if len(b) < HeaderLen {
		return Packet{}, fmt.Errorf("ipv4: %d octets, want %d or more: %w", len(b), HeaderLen, ErrMalformed)
	}
	header, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case b[0]>>4 != 4:
		return Packet{}, fmt.Errorf("ipv4: version %d, want 4: %w", b[0]>>4, ErrMalformed)
	case header < HeaderLen:
		return Packet{}, fmt.Errorf("ipv4: header of %d octets, want %d or more: %w", header, HeaderLen, ErrMalformed)
	case total < header || total > len(b):
		return Packet{}, fmt.Errorf("ipv4: packet of %d octets, want %d to %d: %w", total, header, len(b), ErrMalformed)
	case HeaderChecksum(b[:header]) != 0:
		return Packet{}, fmt.Errorf("ipv4: header checksum %#04x is wrong: %w", binary.BigEndian.Uint16(b[10:]), ErrMalformed)
	}
	flags := binary.BigEndian.Uint16(b[6:])
	p := Packet{
		TOS: b[1], ID: binary.BigEndian.Uint16(b[4:]), TTL: b[8], Protocol: b[9],
		Reserved: flags>>15 == 1, DontFragment: flags&dontFragment != 0, MoreFragments: flags&moreFragments != 0,
		Offset: int(flags&(moreFragments-1)) * fragmentUnit,
		Src:    netip.AddrFrom4([4]byte(b[12:])), Dst: netip.AddrFrom4([4]byte(b[16:])),
		Options: b[HeaderLen:header:header], Payload: b[header:total:total],
	}
	if p.IsFragment() && p.Offset+len(p.Payload) > math.MaxUint16 {
		return Packet{}, fmt.Errorf("ipv4: fragment up to octet %d, want at most %d: %w", p.Offset+len(p.Payload), math.MaxUint16, ErrMalformed)
	}
	return p, nil
}

// HeaderChecksum computes the checksum of a header, options included: over one
// whose checksum field is 0 it gives the value for that field; over one with a
// right checksum it gives 0.
func HeaderChecksum(header []byte) uint16 { return ipv6.Sum(header) }

// Checksum computes that of an upper-layer packet and the pseudo-header before it:
// RFC 768 and RFC 9293, section 3.1. Over a packet whose checksum field is 0 it
// gives the value for that field; over a packet with a right checksum it gives 0.
func Checksum(src, dst netip.Addr, protocol uint8, payload []byte) uint16 {
	s, d := src.As4(), dst.As4()
	return ipv6.Sum(payload, s[:], d[:], []byte{0, protocol, byte(len(payload) >> 8), byte(len(payload))})
}

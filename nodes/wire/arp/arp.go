// Package arp reads and writes the packets of address resolution for IPv4 over
// Ethernet: RFC 826, RFC 5227.
//
// It answers nothing and believes nothing: that is for who sends and receives.
package arp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Len is the length of a packet in octets.
const Len = 28

// ErrMalformed is what every error of Parse wraps.
var ErrMalformed = errors.New("malformed ARP packet")

// An Operation says what a packet is.
type Operation uint16

// The operations of RFC 826.
const (
	Request Operation = 1
	Reply   Operation = 2
)

// A Packet asks for a link-layer address or tells one.
type Packet struct {
	Operation Operation
	SenderMAC [6]byte
	Sender    netip.Addr // 0.0.0.0: a probe whether somebody has Target, RFC 5227, section 2.1.1
	TargetMAC [6]byte    // nothing in a request
	Target    netip.Addr // the same as Sender: an announcement, RFC 5227, section 3
}

// Announcement tells the nodes of a link which link-layer address an address has: RFC
// 5227, section 3, and RFC 5944, section 4.6 (gratuitous ARP).
func Announcement(a netip.Addr, mac [6]byte) Packet {
	return Packet{Operation: Request, SenderMAC: mac, Sender: a, Target: a}
}

// Append appends the packet to b.
func Append(b []byte, p *Packet) ([]byte, error) {
	if !p.Sender.Is4() || !p.Target.Is4() {
		return nil, fmt.Errorf("arp: from %v about %v: want two IPv4 addresses", p.Sender, p.Target)
	}
	b = append(b, 0, 1, 8, 0, 6, 4) // Ethernet, IPv4, and the length of their addresses
	b = binary.BigEndian.AppendUint16(b, uint16(p.Operation))
	sender, target := p.Sender.As4(), p.Target.As4()
	b = append(append(b, p.SenderMAC[:]...), sender[:]...)
	return append(append(b, p.TargetMAC[:]...), target[:]...), nil
}

// Parse reads the packet at the start of b; what follows it in b is ignored, as
// Ethernet pads. Every error wraps ErrMalformed.
func Parse(b []byte) (Packet, error) {
	switch {
	case len(b) < Len:
		return Packet{}, fmt.Errorf("arp: %d octets, want %d or more: %w", len(b), Len, ErrMalformed)
	case [6]byte(b) != [6]byte{0, 1, 8, 0, 6, 4}:
		return Packet{}, fmt.Errorf("arp: begins with %x, want Ethernet and IPv4: %w", b[:6], ErrMalformed)
	}
	return Packet{
		Operation: Operation(binary.BigEndian.Uint16(b[6:])),
		SenderMAC: [6]byte(b[8:]), Sender: netip.AddrFrom4([4]byte(b[14:])),
		TargetMAC: [6]byte(b[18:]), Target: netip.AddrFrom4([4]byte(b[24:])),
	}, nil
}

// Package udp reads and writes UDP datagrams: RFC 768; and it knows the port of
// what Mobile IPv6 encapsulates in UDP, where nothing but an IP packet follows:
// RFC 5555, section 4.1.
//
// What a payload is, is in the packages beside it.
package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"

	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
)

// HeaderLen is the length of the header in octets.
const HeaderLen = 8

// EncapsulationPort is the home agent's, for Binding Updates and tunnelled packets:
// RFC 5555, sections 2.3.2.2 and 8.
const EncapsulationPort = 4191

// ErrMalformed is what every error of Parse wraps.
var ErrMalformed = errors.New("malformed UDP datagram")

// A Datagram is a UDP datagram.
type Datagram struct {
	Src, Dst   uint16 // ports
	NoChecksum bool   // its checksum is all zeros: none was computed
	Payload    []byte
}

func checksum(src, dst netip.Addr, b []byte) uint16 {
	if src.Is4() && dst.Is4() {
		return ipv4.Checksum(src, dst, ipv4.UDP, b)
	}
	return ipv6.Checksum(src, dst, ipv6.UDP, b)
}

// Append appends the datagram to b, with the checksum over the pseudo-header of
// two addresses of one family. One without a checksum is for IPv4 alone: RFC 8200,
// section 8.1.
func Append(b []byte, d *Datagram, src, dst netip.Addr) ([]byte, error) {
	switch {
	case !src.IsValid() || !dst.IsValid() || src.Is4() != dst.Is4():
		return nil, fmt.Errorf("udp: from %v to %v: want two addresses of one family", src, dst)
	case d.NoChecksum && !src.Is4():
		return nil, fmt.Errorf("udp: from %v to %v without a checksum: want one over IPv6", src, dst)
	case HeaderLen+len(d.Payload) > math.MaxUint16:
		return nil, fmt.Errorf("udp: payload of %d octets: want at most %d", len(d.Payload), math.MaxUint16-HeaderLen)
	}
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, d.Src)
	b = binary.BigEndian.AppendUint16(b, d.Dst)
	b = binary.BigEndian.AppendUint16(b, uint16(HeaderLen+len(d.Payload)))
	b = append(append(b, 0, 0), d.Payload...)
	if d.NoChecksum {
		return b, nil
	}
	sum := checksum(src, dst, b[at:])
	if sum == 0 {
		sum = math.MaxUint16 // all zeros say that there is none
	}
	binary.BigEndian.PutUint16(b[at+6:], sum)
	return b, nil
}

// Parse reads the datagram at the start of b, that came from src to dst; what
// follows it in b is ignored. The Payload is part of b. Every error wraps
// ErrMalformed.
func Parse(b []byte, src, dst netip.Addr) (Datagram, error) {
	if len(b) < HeaderLen {
		return Datagram{}, fmt.Errorf("udp: %d octets, want %d or more: %w", len(b), HeaderLen, ErrMalformed)
	}
	size := int(binary.BigEndian.Uint16(b[4:]))
	if size < HeaderLen || size > len(b) {
		return Datagram{}, fmt.Errorf("udp: datagram of %d octets, want %d to %d: %w", size, HeaderLen, len(b), ErrMalformed)
	}
	d := Datagram{
		Src: binary.BigEndian.Uint16(b), Dst: binary.BigEndian.Uint16(b[2:]),
		NoChecksum: b[6] == 0 && b[7] == 0, Payload: b[HeaderLen:size:size],
	}
	switch {
	case d.NoChecksum && !src.Is4():
		return Datagram{}, fmt.Errorf("udp: no checksum, want one over IPv6: %w", ErrMalformed)
	case !d.NoChecksum && checksum(src, dst, b[:size]) != 0:
		return Datagram{}, fmt.Errorf("udp: checksum %#04x is wrong: %w", binary.BigEndian.Uint16(b[6:]), ErrMalformed)
	}
	return d, nil
}

package ipv6

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Checksum computes the Internet checksum of an upper-layer packet and the
// pseudo-header before it: RFC 8200, section 8.1. Over a packet whose checksum
// field is 0 it gives the value for that field; over a packet with a right
// checksum it gives 0.
//
// The addresses are those of the pseudo-header. With a Home Address option src
// is the home address, with a type 2 routing header dst is: RFC 6275, section
// 6.1.1. An address that is not valid counts as all zeros.
func Checksum(src, dst netip.Addr, next uint8, payload []byte) uint16 {
	s, d := Octets(src), Octets(dst)
	sum := add(add(uint64(len(payload))+uint64(next), s[:]), d[:])
	return fold(add(sum, payload))
}

// Sum computes the Internet checksum of pieces that follow one another: RFC 1071.
// All but the first have an even number of octets, as if the first stood last.
func Sum(last []byte, before ...[]byte) uint16 {
	sum := add(0, last)
	for _, b := range before {
		sum = add(sum, b)
	}
	return fold(sum)
}

func fold(sum uint64) uint16 {
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum)
}

// add adds the octets of b, as 16-bit words, to a one's complement sum. Sums
// of wider words fold to the same: RFC 1071, section 2(C).
func add(sum uint64, b []byte) uint64 {
	var carry uint64
	for len(b) >= 32 { // half the time of 8 at once
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b), carry)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b[8:]), carry)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b[16:]), carry)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b[24:]), carry)
		b = b[32:]
	}
	for len(b) >= 8 {
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b), carry)
		b = b[8:]
	}
	var last uint64
	switch {
	case len(b) >= 4:
		last = uint64(binary.BigEndian.Uint32(b)) << 32
		for i, c := range b[4:] {
			last |= uint64(c) << (24 - 8*i)
		}
	default:
		for i, c := range b {
			last |= uint64(c) << (56 - 8*i)
		}
	}
	sum, carry = bits.Add64(sum, last, carry)
	sum, carry = bits.Add64(sum, 0, carry)
	return sum + carry
}

// Octets gives the 16 octets of a as they stand on the wire. An IPv4 address
// is mapped, one that is not valid is all zeros.
func Octets(a netip.Addr) [16]byte {
	if !a.IsValid() {
		return [16]byte{}
	}
	return a.As16()
}

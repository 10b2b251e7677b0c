package link

import (
	"encoding/binary"
	"math/bits"
)

// The virtio-net header before each frame: Virtio 1.2, section 5.1.6, in the
// machine's byte order, as /dev/net/tun and packet sockets have it.
const (
	vnetFlags      = 0
	vnetGSOType    = 1
	vnetHeaderLen  = 2
	vnetGSOSize    = 4
	vnetCsumStart  = 6
	vnetCsumOffset = 8

	needsCsum = 1

	gsoNone = 0
	gsoTCP4 = 1
	gsoTCP6 = 4
	gsoUDP  = 5
	gsoECN  = 0x80
)

// large says whether data, a frame behind its header, stands for several.
func large(data []byte) bool { return data[vnetGSOType] != gsoNone }

// isRow says whether a large frame is a row of UDP datagrams. One of a tunnel is cut on
// any link: whoever reads a capture would see the first packet in it, and nobody the
// others; and a router would quote it whole in an ICMP error.
func isRow(data []byte) bool { return data[vnetGSOType]&^gsoECN == gsoUDP }

// Complete puts the checksum into a frame, which stands behind its virtio-net
// header, where its sender has left that to others. Segments larger than the MTU
// are left alone.
func Complete(data []byte) {
	if data[vnetFlags]&needsCsum == 0 || large(data) {
		return
	}
	start := vnetLen + int(binary.NativeEndian.Uint16(data[vnetCsumStart:]))
	at := start + int(binary.NativeEndian.Uint16(data[vnetCsumOffset:]))
	data[vnetFlags] &^= needsCsum
	if start > len(data) || at+2 > len(data) {
		return // no such place
	}
	binary.BigEndian.PutUint16(data[at:], completed(fold(sum(0, data[start:]))))
}

// completed is what stands in a checksum field for a sum.
func completed(sum uint16) uint16 {
	if sum == 0xffff {
		return 0xffff // 0 would mean that there is no checksum
	}
	return ^sum
}

// sum adds octets as 16-bit words to a one's complement sum: RFC 1071.
func sum(s uint64, b []byte) uint64 {
	var carry uint64
	for len(b) >= 8 {
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b), carry)
		b = b[8:]
	}
	var last [8]byte
	copy(last[:], b)
	s, carry = bits.Add64(s, binary.BigEndian.Uint64(last[:]), carry)
	s, carry = bits.Add64(s, 0, carry)
	return s + carry
}

func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}

// segments cuts a large segment into the frames that its sender would have sent
// without offload, checksums completed. room gives room for each frame and its
// header; take gets it. False: it is not one that can be cut.
func segments(data []byte, room func(n int) []byte, take func([]byte)) bool {
	size := int(binary.NativeEndian.Uint16(data[vnetGSOSize:]))
	l3 := vnetLen + 14
	l4 := vnetLen + int(binary.NativeEndian.Uint16(data[vnetCsumStart:]))
	if size == 0 || l4 < l3+20 || len(data) < l4+8 || data[vnetFlags]&needsCsum == 0 {
		return false
	}
	kind := data[vnetGSOType] &^ gsoECN
	var header, csum int // where the payload begins, and where the checksum stands
	switch kind {
	case gsoTCP4, gsoTCP6:
		if len(data) < l4+20 {
			return false
		}
		header, csum = l4+int(data[l4+12]>>4)*4, l4+16
	case gsoUDP:
		header, csum = l4+8, l4+6
	default:
		return false
	}
	v4 := data[l3]>>4 == 4
	if header < csum+2 || header > len(data) || v4 && l4 < l3+int(data[l3]&15)*4 || !v4 && l4 < l3+40 {
		return false
	}
	// The field holds the sum of the pseudo-header, with the length of all.
	pseudo := uint64(binary.BigEndian.Uint16(data[csum:])) + uint64(^uint16(len(data)-l4))
	for at, i := header, 0; at < len(data) || i == 0; i++ {
		n := min(size, len(data)-at)
		s := room(header + n)
		if s == nil {
			return true // what is cut so far has gone; the rest is lost for want of memory
		}
		copy(s, data[:header])
		copy(s[header:], data[at:at+n])
		clear(s[:vnetLen])
		if v4 {
			binary.BigEndian.PutUint16(s[l3+2:], uint16(len(s)-l3))
			binary.BigEndian.PutUint16(s[l3+4:], binary.BigEndian.Uint16(data[l3+4:])+uint16(i))
			s[l3+10], s[l3+11] = 0, 0
			binary.BigEndian.PutUint16(s[l3+10:], ^fold(sum(0, s[l3:l3+int(s[l3]&15)*4])))
		} else {
			binary.BigEndian.PutUint16(s[l3+4:], uint16(len(s)-l3-40))
		}
		if kind == gsoUDP {
			binary.BigEndian.PutUint16(s[l4+4:], uint16(len(s)-l4))
		} else {
			const fin, psh, cwr = 0x01, 0x08, 0x80
			binary.BigEndian.PutUint32(s[l4+4:], binary.BigEndian.Uint32(data[l4+4:])+uint32(at-header))
			if at+n < len(data) {
				s[l4+13] &^= fin | psh
			}
			if i > 0 {
				s[l4+13] &^= cwr
			}
		}
		s[csum], s[csum+1] = 0, 0
		binary.BigEndian.PutUint16(s[csum:], completed(fold(sum(pseudo+uint64(len(s)-l4), s[l4:]))))
		take(s)
		at += n
	}
	return true
}

// flip turns one bit of the Ethernet frame over.
func flip(data []byte, bit int) {
	if at := vnetLen + bit/8; at < len(data) {
		data[at] ^= 1 << (bit % 8)
	}
}

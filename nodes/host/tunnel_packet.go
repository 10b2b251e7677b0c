package host

import (
	"encoding/binary"

	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
)

// What follows knows the two IP headers by their octets, of packets that isIP: they
// pass here by the hundred thousand, and most are not touched.

// dontFragment is the seventh octet of an IPv4 header with nothing but the DF bit.
const dontFragment = 0x40

// whole cuts off what follows a packet.
func whole(b []byte) []byte {
	if versionOf(b) == four {
		return b[:binary.BigEndian.Uint16(b[2:])]
	}
	return b[:ipv6.HeaderLen+int(binary.BigEndian.Uint16(b[4:]))]
}

// ipHeaderOf is the length of the IP header, octets.
func ipHeaderOf(b []byte) int {
	if versionOf(b) == four {
		return headerOf4(b)
	}
	return ipv6.HeaderLen
}

// addressesEnd is where the addresses end, octets.
func addressesEnd(b []byte) int {
	if versionOf(b) == four {
		return ipv4.HeaderLen
	}
	return ipv6.HeaderLen
}

// transportOf is the protocol straight behind the IP header. Of a fragment it is none
// that anything here knows.
func transportOf(b []byte) uint8 {
	if versionOf(b) == six {
		return b[6]
	}
	if b[6]&^dontFragment != 0 || b[7] != 0 {
		return ipv6.Fragment
	}
	return b[9]
}

// setLength makes a packet say that it has so many octets, and that it is the one of a
// number in a row.
func setLength(b []byte, length, number int) {
	if versionOf(b) == six {
		binary.BigEndian.PutUint16(b[4:], uint16(length-ipv6.HeaderLen))
		return
	}
	header := b[:headerOf4(b)]
	binary.BigEndian.PutUint16(header[2:], uint16(length))
	binary.BigEndian.PutUint16(header[4:], binary.BigEndian.Uint16(header[4:])+uint16(number))
	header[10], header[11] = 0, 0
	binary.BigEndian.PutUint16(header[10:], ipv4.HeaderChecksum(header))
}

// segmentsOf is what the device calls large TCP segments of a family.
func segmentsOf(b []byte) uint8 {
	if versionOf(b) == four {
		return segmentsTCP4
	}
	return segmentsTCP6
}

// checksumOf is that of an upper-layer packet in b.
func checksumOf(b []byte, next uint8, payload []byte) uint16 {
	src, dst := addresses(b)
	if versionOf(b) == four {
		return ipv4.Checksum(src, dst, next, payload)
	}
	return ipv6.Checksum(src, dst, next, payload)
}

// pseudoSum is the one's complement sum of the pseudo-header: what stands in the
// checksum field of a packet whose checksum is not computed yet.
func pseudoSum(b []byte, next uint8, length int) uint16 {
	return foldAdd(^checksumOf(b, next, nil), uint32(length))
}

// classOf is the traffic class or the type of service: DSCP and ECN.
func classOf(b []byte) uint8 {
	if versionOf(b) == four {
		return b[1]
	}
	return b[0]<<4 | b[1]>>4
}

// Values of the ECN field: RFC 3168, section 5.
const (
	ecnBits = 3
	notECT  = 0
	ect1    = 1
	ect0    = 2
	ecnCE   = 3
)

// decapsulateECN tells an inner packet what its outer header met: RFC 6040, section
// 4.2. It returns false where the packet must be dropped.
func decapsulateECN(b []byte, outer uint8) bool {
	class := classOf(b)
	inner := class & ecnBits
	switch outer & ecnBits {
	case ecnCE:
		if inner == notECT {
			return false
		}
		inner = ecnCE
	case ect1:
		if inner == ect0 {
			inner = ect1
		}
	}
	if inner != class&ecnBits {
		setClass(b, class&^ecnBits|inner)
	}
	return true
}

func setClass(b []byte, class uint8) {
	if versionOf(b) == six {
		b[0], b[1] = b[0]&0xf0|class>>4, class<<4|b[1]&0xf
		return
	}
	// RFC 1624, section 3: a header that was damaged stays so.
	sum := foldAdd(^binary.BigEndian.Uint16(b[10:]), uint32(^b[1])|0xff00)
	b[1] = class
	binary.BigEndian.PutUint16(b[10:], ^foldAdd(sum, uint32(class)))
}

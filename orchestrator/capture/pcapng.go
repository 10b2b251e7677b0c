package capture

import (
	"encoding/binary"
	"net/netip"
	"runtime"
)

// The blocks of a pcapng file: draft-ietf-opsawg-pcapng, section 4. Each append
// function appends one whole block, in little-endian order.

const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockNames      = 4
	blockStatistics = 5
	blockPacket     = 6

	byteOrderMagic   = 0x1a2b3c4d
	linkTypeEthernet = 1

	optEnd     = 0
	optComment = 1

	optSectionOS          = 3
	optSectionApplication = 4

	optInterfaceName        = 2
	optInterfaceDescription = 3
	optInterfaceResolution  = 9

	optPacketFlags = 2

	optStatisticsReceived = 4

	nameIPv4 = 1
	nameIPv6 = 2
)

// Directions of a packet, as an interface sees it: section 4.3.1.
const (
	inbound  = 1
	outbound = 2
)

var le = binary.LittleEndian

// beginBlock appends the start of a block; endBlock completes it.
func beginBlock(b []byte, kind uint32) []byte {
	b = le.AppendUint32(b, kind)
	return le.AppendUint32(b, 0)
}

func endBlock(b []byte, start int) []byte {
	n := uint32(len(b) - start + 4)
	le.PutUint32(b[start+4:], n)
	return le.AppendUint32(b, n)
}

// pad appends zeros up to a multiple of 4 octets, counted from start.
func pad(b []byte, start int) []byte {
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func appendOption[T ~string | ~[]byte](b []byte, code uint16, value T) []byte {
	value = value[:min(len(value), 0xffff)]
	b = le.AppendUint16(b, code)
	b = le.AppendUint16(b, uint16(len(value)))
	start := len(b)
	return pad(append(b, value...), start)
}

func endOptions(b []byte) []byte { return le.AppendUint32(b, optEnd) }

// appendSection begins a file.
func appendSection(b []byte, comment string) []byte {
	start := len(b)
	b = beginBlock(b, blockSection)
	b = le.AppendUint32(b, byteOrderMagic)
	b = le.AppendUint16(b, 1) // version 1.0
	b = le.AppendUint16(b, 0)
	b = le.AppendUint64(b, ^uint64(0)) // length not known
	if comment != "" {
		b = appendOption(b, optComment, comment)
	}
	b = appendOption(b, optSectionOS, runtime.GOOS)
	b = appendOption(b, optSectionApplication, "s2clab")
	return endBlock(endOptions(b), start)
}

// appendInterface describes the next interface, which counts nanoseconds.
func appendInterface(b []byte, name, description string) []byte {
	start := len(b)
	b = beginBlock(b, blockInterface)
	b = le.AppendUint16(b, linkTypeEthernet)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, 0) // no limit to what is kept of a packet
	b = appendOption(b, optInterfaceName, name)
	b = appendOption(b, optInterfaceDescription, description)
	b = appendOption(b, optInterfaceResolution, []byte{9})
	return endBlock(endOptions(b), start)
}

// appendName gives an address a name.
func appendName(b []byte, a netip.Addr, name string) []byte {
	start := len(b)
	b = beginBlock(b, blockNames)
	kind, octets := uint16(nameIPv6), a.AsSlice()
	if a.Is4() {
		kind = nameIPv4
	}
	b = le.AppendUint16(b, kind)
	b = le.AppendUint16(b, uint16(len(octets)+len(name)+1))
	at := len(b)
	b = append(b, octets...)
	b = append(b, name...)
	b = pad(append(b, 0), at)
	b = le.AppendUint32(b, 0) // the last record
	return endBlock(b, start)
}

// A packet is what becomes an enhanced packet block.
type packet struct {
	number    uint32 // of its interface, from 0
	at        uint64 // nanoseconds since 1970
	octets    []byte // as many as are kept
	length    int    // of the whole frame
	direction uint32
	comment   string // empty: none
}

func appendPacket(b []byte, p *packet) []byte {
	start := len(b)
	b = beginBlock(b, blockPacket)
	b = le.AppendUint32(b, p.number)
	b = le.AppendUint32(b, uint32(p.at>>32))
	b = le.AppendUint32(b, uint32(p.at))
	b = le.AppendUint32(b, uint32(len(p.octets)))
	b = le.AppendUint32(b, uint32(p.length))
	b = append(b, p.octets...)
	b = pad(b, start)
	b = le.AppendUint16(b, optPacketFlags)
	b = le.AppendUint16(b, 4)
	b = le.AppendUint32(b, p.direction)
	if p.comment != "" {
		b = appendOption(b, optComment, p.comment)
	}
	return endBlock(endOptions(b), start)
}

// appendStatistics tells how many packets an interface had.
func appendStatistics(b []byte, number uint32, at, packets uint64) []byte {
	start := len(b)
	b = beginBlock(b, blockStatistics)
	b = le.AppendUint32(b, number)
	b = le.AppendUint32(b, uint32(at>>32))
	b = le.AppendUint32(b, uint32(at))
	b = appendOption(b, optStatisticsReceived, le.AppendUint64(nil, packets))
	return endBlock(endOptions(b), start)
}

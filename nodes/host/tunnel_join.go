package host

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/ipv6"
)

const (
	joinFlows = 8  // TCP streams that are joined side by side
	joinMost  = 60 // packets in one
)

// A joiner writes packets to the device and makes one of TCP segments of a
// stream that follow one another. Packets of a stream stay in order.
type joiner struct {
	dev   *packetDevice
	flows [joinFlows]flow
	used  int
	out   writev
	pre   []byte
}

// flow is a row of TCP segments that will be one packet.
type flow struct {
	packets  [][]byte // each whole, its checksum good
	headers  int      // octets of IPv6 and TCP header
	segment  int      // octets of payload of the first; of all but the last
	payload  int      // octets in all
	sequence uint32   // that comes next
	ended    bool     // nothing may follow
}

// add takes a packet; it must stay as it is until flush. mtu is the longest
// inner packet of its binding.
func (j *joiner) add(b []byte, mtu int) {
	b = b[:ipv6.HeaderLen+int(binary.BigEndian.Uint16(b[4:]))]
	headers, plain := plainTCP(b)
	if headers == 0 {
		j.flushFlowsOf(b)
		j.write(b, mtu)
		return
	}
	at := j.find(b)
	if at >= 0 {
		f := &j.flows[at]
		if plain && f.takes(b, headers) {
			f.append(b, headers)
			return
		}
		j.flushFlow(at)
	}
	if !plain || len(b) > mtu || !checksumGood(b) {
		j.write(b, mtu)
		return
	}
	if j.used == joinFlows {
		j.flushFlow(0)
	}
	f := &j.flows[j.used]
	j.used++
	*f = flow{packets: f.packets[:0], headers: headers, segment: len(b) - headers}
	f.append(b, headers)
}

// plainTCP gives the length of the headers of a TCP segment straight behind its
// IPv6 header, 0 for all else; and whether it has payload and no flag that ends
// or disturbs a stream.
func plainTCP(b []byte) (headers int, plain bool) {
	if b[6] != ipv6.TCP || len(b) < ipv6.HeaderLen+tcpSmallest {
		return 0, false
	}
	headers = ipv6.HeaderLen + int(b[ipv6.HeaderLen+12]>>4)*4
	if headers < ipv6.HeaderLen+tcpSmallest || headers > len(b) {
		return 0, false
	}
	return headers, len(b) > headers && b[ipv6.HeaderLen+13]&^tcpFlagPSH == tcpFlagACK
}

func checksumGood(b []byte) bool {
	src, dst := addresses(b)
	return ipv6.Checksum(src, dst, ipv6.TCP, b[ipv6.HeaderLen:]) == 0
}

// find gives the flow of b's stream, or -1.
func (j *joiner) find(b []byte) int {
	for i := range j.used {
		first := j.flows[i].packets[0]
		if bytes.Equal(first[8:44], b[8:44]) { // addresses and ports
			return i
		}
	}
	return -1
}

// takes says whether b, of the same stream, may follow.
func (f *flow) takes(b []byte, headers int) bool {
	first := f.packets[0]
	n := len(b) - headers
	return !f.ended && headers == f.headers && n <= f.segment &&
		len(f.packets) < joinMost && f.headers+f.payload+n <= largestInner &&
		binary.BigEndian.Uint32(b[44:]) == f.sequence &&
		bytes.Equal(first[:4], b[:4]) && first[7] == b[7] && // class, flow label, hop limit
		bytes.Equal(first[48:52], b[48:52]) && // acknowledgement
		bytes.Equal(first[54:56], b[54:56]) && // window
		bytes.Equal(first[60:headers], b[60:headers]) && // options
		checksumGood(b)
}

func (f *flow) append(b []byte, headers int) {
	n := len(b) - headers
	f.packets = append(f.packets, b)
	f.payload += n
	f.sequence = binary.BigEndian.Uint32(b[44:]) + uint32(n)
	f.ended = n < f.segment || b[53]&tcpFlagPSH != 0
}

// flush writes all that was added.
func (j *joiner) flush() {
	for j.used > 0 {
		j.flushFlow(0)
	}
}

// flushFlowsOf writes what was added before of the addresses of b.
func (j *joiner) flushFlowsOf(b []byte) {
	for i := 0; i < j.used; {
		if bytes.Equal(j.flows[i].packets[0][8:40], b[8:40]) {
			j.flushFlow(i)
		} else {
			i++
		}
	}
}

func (j *joiner) flushFlow(i int) {
	f := j.flows[i]
	j.used--
	copy(j.flows[i:], j.flows[i+1:j.used+1])
	j.flows[j.used] = flow{packets: f.packets[:0]} // its memory is used again
	if len(f.packets) == 1 {
		j.write(f.packets[0], largestInner)
		return
	}
	first := f.packets[0]
	tcp := first[ipv6.HeaderLen:]
	length := f.headers - ipv6.HeaderLen + f.payload
	binary.BigEndian.PutUint16(first[4:], uint16(length))
	tcp[13] |= f.packets[len(f.packets)-1][53] & tcpFlagPSH
	binary.BigEndian.PutUint16(tcp[16:], pseudoSum(first, ipv6.TCP, length))
	j.pre = j.dev.appendPrefix(j.pre[:0], offload{
		flags: needsChecksum, kind: segmentsTCP6, headers: f.headers, segment: f.segment,
		checksumStart: ipv6.HeaderLen, checksumOffset: 16,
	})
	j.out.add(j.pre)
	j.out.add(first)
	for _, b := range f.packets[1:] {
		j.out.add(b[f.headers:])
	}
	j.out.to(j.dev)
}

// write writes one packet. One that another engine of this machine handed over
// with its checksum not computed yet is handed on so, and one longer than mtu as
// the row of segments that it stands for.
func (j *joiner) write(b []byte, mtu int) {
	o := unfinished(b, mtu)
	j.pre = j.dev.appendPrefix(j.pre[:0], o)
	j.out.add(j.pre)
	j.out.add(b)
	j.out.to(j.dev)
}

// unfinished tells what is left to do for a packet whose checksum field holds no
// more than the sum of the pseudo-header. (A finished checksum that happens to
// look so is left right by whoever finishes it again.)
func unfinished(b []byte, mtu int) (o offload) {
	offset := 0
	switch b[6] {
	case ipv6.TCP:
		offset = 16
	case ipv6.UDP:
		offset = 6
	default:
		return offload{}
	}
	transport := b[ipv6.HeaderLen:]
	if len(transport) < tcpSmallest && (b[6] == ipv6.TCP || len(transport) < 8) ||
		binary.BigEndian.Uint16(transport[offset:]) != pseudoSum(b, b[6], len(transport)) {
		return offload{}
	}
	o = offload{flags: needsChecksum, checksumStart: ipv6.HeaderLen, checksumOffset: offset}
	if headers, _ := plainTCP(b); headers > 0 && len(b) > mtu {
		o.kind, o.headers, o.segment = unix.VIRTIO_NET_HDR_GSO_TCPV6, headers, mtu-headers
	}
	return o
}

// pseudoSum is the one's complement sum of the pseudo-header: what stands in the
// checksum field of a packet whose checksum is not computed yet.
func pseudoSum(b []byte, next uint8, length int) uint16 {
	src, dst := addresses(b)
	sum := ^ipv6.Checksum(src, dst, next, nil)
	return foldAdd(sum, uint32(length))
}

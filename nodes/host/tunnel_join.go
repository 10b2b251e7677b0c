package host

import (
	"bytes"
	"encoding/binary"

	"s2clab/nodes/wire/ipv4"
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
	headers  int      // octets of IP and TCP header
	segment  int      // octets of payload of the first; of all but the last
	payload  int      // octets in all
	sequence uint32   // that comes next
	ended    bool     // nothing may follow
}

// add takes a packet; it must stay as it is until flush. mtu is the longest
// inner packet of its binding.
func (j *joiner) add(b []byte, mtu int) {
	b = whole(b)
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
// IP header, 0 for all else; and whether it has payload and no flag that ends
// or disturbs a stream. Of IPv4, only what must not be cut is plain: there the
// identification says nothing (RFC 6864, section 4.1), and may change.
func plainTCP(b []byte) (headers int, plain bool) {
	ip := ipHeaderOf(b)
	if transportOf(b) != ipv6.TCP || len(b) < ip+tcpSmallest {
		return 0, false
	}
	headers = ip + int(b[ip+12]>>4)*4
	if headers < ip+tcpSmallest || headers > len(b) {
		return 0, false
	}
	movable := versionOf(b) == six || ip == ipv4.HeaderLen && b[6] == dontFragment
	return headers, movable && len(b) > headers && b[ip+13]&^tcpFlagPSH == tcpFlagACK
}

func checksumGood(b []byte) bool { return checksumOf(b, ipv6.TCP, b[ipHeaderOf(b):]) == 0 }

// find gives the flow of b's stream, or -1.
func (j *joiner) find(b []byte) int {
	for i := range j.used {
		if sameUpTo(j.flows[i].packets[0], b, ipHeaderOf(b)+4) { // addresses and ports
			return i
		}
	}
	return -1
}

// sameUpTo says whether two packets are of one family and the same from their
// addresses up to an octet.
func sameUpTo(a, b []byte, end int) bool {
	from := 8
	if versionOf(b) == four {
		from = 12
	}
	return versionOf(a) == versionOf(b) && len(a) >= end && bytes.Equal(a[from:end], b[from:end])
}

// takes says whether b, of the same stream, may follow.
func (f *flow) takes(b []byte, headers int) bool {
	first := f.packets[0]
	n := len(b) - headers
	ip := ipHeaderOf(b)
	return !f.ended && headers == f.headers && n <= f.segment &&
		len(f.packets) < joinMost && f.headers+f.payload+n <= largestInner &&
		binary.BigEndian.Uint32(b[ip+4:]) == f.sequence &&
		sameForm(first, b) &&
		bytes.Equal(first[ip+8:ip+12], b[ip+8:ip+12]) && // acknowledgement
		bytes.Equal(first[ip+14:ip+16], b[ip+14:ip+16]) && // window
		bytes.Equal(first[ip+20:headers], b[ip+20:headers]) && // options
		checksumGood(b)
}

// sameForm says whether the IP headers of one stream agree in what a joined packet
// has once.
func sameForm(a, b []byte) bool {
	if versionOf(b) == four {
		return a[1] == b[1] && a[8] == b[8] // type of service, time to live
	}
	return bytes.Equal(a[:4], b[:4]) && a[7] == b[7] // class, flow label, hop limit
}

func (f *flow) append(b []byte, headers int) {
	n := len(b) - headers
	f.packets = append(f.packets, b)
	f.payload += n
	ip := ipHeaderOf(b)
	f.sequence = binary.BigEndian.Uint32(b[ip+4:]) + uint32(n)
	f.ended = n < f.segment || b[ip+13]&tcpFlagPSH != 0
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
		if sameUpTo(j.flows[i].packets[0], b, addressesEnd(b)) {
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
	ip := ipHeaderOf(first)
	setLength(first, f.headers+f.payload, 0)
	first[ip+13] |= f.packets[len(f.packets)-1][ip+13] & tcpFlagPSH
	binary.BigEndian.PutUint16(first[ip+16:], pseudoSum(first, ipv6.TCP, f.headers-ip+f.payload))
	j.pre = j.dev.appendPrefix(j.pre[:0], offload{
		flags: needsChecksum, kind: segmentsOf(first), headers: f.headers, segment: f.segment,
		checksumStart: ip, checksumOffset: 16,
	}, versionOf(first))
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
	j.pre = j.dev.appendPrefix(j.pre[:0], o, versionOf(b))
	j.out.add(j.pre)
	j.out.add(b)
	j.out.to(j.dev)
}

// unfinished tells what is left to do for a packet whose checksum field holds no
// more than the sum of the pseudo-header. (A finished checksum that happens to
// look so is left right by whoever finishes it again.)
func unfinished(b []byte, mtu int) (o offload) {
	offset, kind, ip := 0, transportOf(b), ipHeaderOf(b)
	switch kind {
	case ipv6.TCP:
		offset = 16
	case ipv6.UDP:
		offset = 6
	default:
		return offload{}
	}
	transport := b[ip:]
	if len(transport) < tcpSmallest && (kind == ipv6.TCP || len(transport) < 8) ||
		binary.BigEndian.Uint16(transport[offset:]) != pseudoSum(b, kind, len(transport)) {
		return offload{}
	}
	o = offload{flags: needsChecksum, checksumStart: ip, checksumOffset: offset}
	if headers, _ := plainTCP(b); headers > 0 && len(b) > mtu {
		o.kind, o.headers, o.segment = segmentsOf(b), headers, mtu-headers
	}
	return o
}

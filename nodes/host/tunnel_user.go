package host

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/ipv6"
)

// userEngine moves packets between TunnelDevice and a socket of protocol 41, in
// this process. Large segments pass the device whole: they are cut here once, on
// their way out, and joined again on their way in.
type userEngine struct {
	tunnel *Tunnel
	make   func() (*packetDevice, error) // makes the device
	dev    *packetDevice
}

func (e *userEngine) name() string { return "user" }

func (e *userEngine) open() (err error) {
	e.dev, err = e.make()
	return err
}

func (e *userEngine) device() int { return e.dev.index }

func (e *userEngine) close() { e.dev.close() }

// expect does nothing: what is taken is for Tunnel.takes to say.
func (e *userEngine) expect(*batch, *binding) {}

func (e *userEngine) forsake(*batch, *binding) {}

func (e *userEngine) install(b *batch, new, old *binding) {
	b.replaceRoute(e.tunnel.wanted(new), e.dev.index)
}

func (e *userEngine) remove(b *batch, old *binding) {
	b.removeRoute(e.tunnel.wanted(old), e.dev.index)
}

func (e *userEngine) start() {
	e.tunnel.running.Add(2)
	go e.encapsulate()
	go e.decapsulate()
}

// readMost is the longest read from the device.
const readMost = virtioHeader + linkMost + ipv6.HeaderLen + largestInner

// together is how many packets are read from the device before a send; their
// segments then take at most cutMost octets, headers repeated.
const (
	together = 4
	cutMost  = (together + 1) * readMost
)

// encapsulate moves packets from the device to the outside. It reads what is
// there before it sends, so that one system call sends many.
func (e *userEngine) encapsulate() {
	t := e.tunnel
	defer t.running.Done()
	in := make([]byte, together*readMost)
	var segments cutter
	var out outgoing
	var n int
	var errno error
	var b []byte
	wait := true
	read := func(fd uintptr) bool {
		n, errno = unix.Read(int(fd), b)
		return !wait || errno != unix.EAGAIN && errno != unix.EINTR
	}
	for {
		reads := 0
		for ; reads < together; reads++ {
			b, wait = in[reads*readMost:(reads+1)*readMost], reads == 0
			if e.dev.raw.Read(read) != nil {
				return
			}
			if errno != nil {
				break
			}
			if n <= e.dev.prefix() {
				continue
			}
			e.encapsulateOne(b[e.dev.prefix():n], e.dev.parseOffload(b), &segments, &out)
		}
		out.send(t.in)
		segments.reset()
		if reads == 0 && errno != unix.ENETDOWN {
			return // the device is gone
		}
	}
}

func (e *userEngine) encapsulateOne(b []byte, o offload, segments *cutter, out *outgoing) {
	t := e.tunnel
	if !isIPv6(b) {
		return
	}
	inner, dst := addresses(b)
	if t.cfg.Side == AgentSide {
		inner = dst
	}
	t.mu.RLock()
	to := t.byInner[inner]
	t.mu.RUnlock()
	if to == nil {
		return
	}
	class := b[0]<<4 | b[1]>>4 // RFC 6040: ECN goes with the packet
	packets, octets := 0, 0
	if !segments.cut(b, o, func(segment []byte) {
		if out.full() {
			out.send(t.in)
		}
		out.add(segment, to.Local, to.Remote, 0, class)
		packets++
		octets += len(segment)
	}) {
		return
	}
	t.sentPackets.Add(uint64(packets))
	t.sentOctets.Add(uint64(octets))
}

// decapsulate moves packets from the outside to the device.
func (e *userEngine) decapsulate() {
	t := e.tunnel
	defer t.running.Done()
	in, err := newBurst(t.in, 64, ipv6.HeaderLen+largestInner, 64)
	if err != nil {
		return
	}
	j := joiner{dev: e.dev}
	for {
		n, err := in.receive()
		if err != nil {
			return
		}
		packets, octets := 0, 0
		t.mu.RLock()
		for i := range n {
			b := in.octets(i)
			to := t.takes(b, netip.AddrFrom16(in.inet[i].Addr), in.destination(i))
			if to == nil {
				continue
			}
			packets++
			octets += len(b)
			j.add(b, to.innerMTU())
		}
		t.mu.RUnlock()
		j.flush()
		t.receivedPackets.Add(uint64(packets))
		t.receivedOctets.Add(uint64(octets))
	}
}

// destination is the address that message i came to, where IPV6_RECVPKTINFO was
// asked for.
func (b *burst) destination(i int) (dst netip.Addr) {
	b.ancillary(i, func(level, kind int32, value []byte) {
		if level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(value) >= unix.SizeofInet6Pktinfo {
			dst = netip.AddrFrom16([16]byte(value))
		}
	})
	return dst
}

// takes says which binding an inner packet that came from src to dst belongs to;
// nil: none, and it is refused: RFC 6275, section 10.4.5. The caller holds mu.
func (t *Tunnel) takes(b []byte, src, dst netip.Addr) *binding {
	if !isIPv6(b) {
		t.refuse(&t.wrongInner, Refusal{Reason: "malformed", Outer: src})
		return nil
	}
	innerSrc, innerDst := addresses(b)
	if t.remotes[src] == 0 {
		t.refuse(&t.wrongOuter, Refusal{Reason: "wrong-outer-source", Outer: src, Inner: innerSrc})
		return nil
	}
	inner := innerDst
	if t.cfg.Side == AgentSide {
		inner = innerSrc
	}
	of := t.byInner[inner]
	if e := t.expected; e != nil && e.Inner == inner && (of == nil || of.Remote != src) {
		of = e
	}
	if of == nil || of.Remote != src || t.cfg.Side == AgentSide && of.Local != dst {
		t.refuse(&t.wrongInner, Refusal{Reason: "wrong-inner-address", Outer: src, Inner: innerSrc})
		return nil
	}
	return of
}

const (
	tcpFlagFIN  = 0x01
	tcpFlagPSH  = 0x08
	tcpFlagACK  = 0x10
	tcpFlagCWR  = 0x80
	tcpSmallest = 20 // octets of header
)

// A cutter makes packets as they go on the wire of what the device gives: large
// TCP segments are cut, checksums filled in.
type cutter struct {
	octets []byte // of segments that were cut
}

// reset forgets the segments.
func (c *cutter) reset() { c.octets = c.octets[:0] }

// cut calls send with each packet that b is to become. They stay as they are
// until reset. It returns false where b and o do not fit together.
func (c *cutter) cut(b []byte, o offload, send func([]byte)) bool {
	b = b[:ipv6.HeaderLen+int(binary.BigEndian.Uint16(b[4:]))]
	if o.flags&needsChecksum == 0 && o.kind == unix.VIRTIO_NET_HDR_GSO_NONE {
		send(b)
		return true
	}
	at := o.checksumStart
	if o.flags&needsChecksum == 0 || at < ipv6.HeaderLen || at+o.checksumOffset+2 > len(b) || o.checksumOffset < 0 {
		return false
	}
	if o.kind == unix.VIRTIO_NET_HDR_GSO_NONE || len(b) == o.headers {
		completeChecksum(b, at, o.checksumOffset)
		send(b)
		return true
	}
	if o.kind&^ecnMarked != segmentsTCP6 || o.segment == 0 || len(b) < at+tcpSmallest {
		return false
	}
	headers := at + int(b[at+12]>>4)*4
	if headers < at+tcpSmallest || headers > len(b) {
		return false
	}
	src, dst := addresses(b)
	sequence := binary.BigEndian.Uint32(b[at+4:])
	flags := b[at+13]
	for from := headers; from < len(b); from += o.segment {
		to := min(from+o.segment, len(b))
		// Room for the longest, so that segments given out already stay put.
		if cap(c.octets)-len(c.octets) < headers+o.segment {
			c.octets = make([]byte, 0, max(cutMost, headers+o.segment))
		}
		start := len(c.octets)
		c.octets = append(c.octets, b[:headers]...)
		c.octets = append(c.octets, b[from:to]...)
		s := c.octets[start:]
		binary.BigEndian.PutUint16(s[4:], uint16(len(s)-ipv6.HeaderLen))
		binary.BigEndian.PutUint32(s[at+4:], sequence+uint32(from-headers))
		f := flags
		if to < len(b) {
			f &^= tcpFlagFIN | tcpFlagPSH
		}
		if from > headers {
			f &^= tcpFlagCWR
		}
		s[at+13], s[at+16], s[at+17] = f, 0, 0
		binary.BigEndian.PutUint16(s[at+16:], ipv6.Checksum(src, dst, ipv6.TCP, s[at:]))
		send(s)
	}
	return true
}

// completeChecksum finishes a checksum that holds the sum of the pseudo-header
// so far.
func completeChecksum(b []byte, start, offset int) {
	sum := ipv6.Checksum(netip.Addr{}, netip.Addr{}, 0, b[start:])
	// Checksum has added the length to the sum: take it out again.
	sum = foldAdd(sum, uint32(len(b)-start))
	if sum == 0 {
		sum = 0xffff // RFC 768: all zeros says that there is none
	}
	binary.BigEndian.PutUint16(b[start+offset:], sum)
}

// foldAdd adds to a one's complement sum.
func foldAdd(sum uint16, more uint32) uint16 {
	s := uint32(sum) + more>>16 + more&0xffff
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s)
}

package host

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/ipv6"
)

// userEngine moves packets between its device and the sockets that put outer headers
// before them, in this process. Large segments pass the device whole: they are cut
// here once, on their way out, and joined again on their way in.
type userEngine struct {
	tunnel *Tunnel
	name   string                                   // of the device
	make   func(name string) (*packetDevice, error) // makes it
	dev    *packetDevice
}

func (e *userEngine) open() (err error) {
	e.tunnel.identification.Store(rand.Uint32())
	e.dev, err = e.make(e.name)
	return err
}

func (e *userEngine) close() { e.dev.close() }

func (e *userEngine) carries(of *binding, inner netip.Addr) bool {
	return e.tunnel.kernel == nil || !e.tunnel.kernel.carries(of, inner)
}

// expect does nothing: what is taken is for Tunnel.takes to say.
func (e *userEngine) expect(*batch, *binding) {}

func (e *userEngine) forsake(*batch, *binding) {}

func (e *userEngine) install(b *batch, new, old *binding) {
	for _, inner := range new.inners() {
		if e.carries(new, inner) {
			b.replaceRoute(e.tunnel.wanted(new, inner), e.dev.index)
		}
	}
	if old == nil {
		return
	}
	for _, inner := range old.inners() {
		same := inner == new.Inner || inner == new.Inner4
		if e.carries(old, inner) && !(same && e.carries(new, inner)) {
			b.removeRoute(e.tunnel.wanted(old, inner), e.dev.index)
		}
	}
}

func (e *userEngine) remove(b *batch, old *binding) {
	for _, inner := range old.inners() {
		if e.carries(old, inner) {
			b.removeRoute(e.tunnel.wanted(old, inner), e.dev.index)
		}
	}
}

func (e *userEngine) start() {
	t := e.tunnel
	t.running.Add(1)
	go e.encapsulate()
	for outer, socks := range t.socks {
		for inner, f := range socks {
			t.running.Add(1)
			go t.decapsulate(f, outer, inner)
		}
	}
}

// cutRoom is for the headers of the segments of packets that are read together,
// where these have a usual size.
const cutRoom = 64 << 10

// outboxes hold what is about to be sent, by the socket that sends it.
type outboxes []*outbox

type outbox struct {
	file *os.File
	outgoing
}

// to gives the outbox of a socket.
func (o *outboxes) to(f *os.File) *outbox {
	for _, b := range *o {
		if b.file == f {
			return b
		}
	}
	b := &outbox{file: f}
	*o = append(*o, b)
	return b
}

// send sends all, and forgets sockets that were closed.
func (o *outboxes) send() error {
	var errs []error
	open := (*o)[:0]
	for _, b := range *o {
		err := b.send(b.file)
		if !errors.Is(err, os.ErrClosed) {
			open = append(open, b)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	clear((*o)[len(open):])
	*o = open
	return errors.Join(errs...)
}

// encapsulate moves packets from the device to the outside.
func (e *userEngine) encapsulate() {
	defer e.tunnel.running.Done()
	var segments cutter
	var ways sorter
	var out outboxes
	e.dev.read(func(b []byte, o offload) {
		e.encapsulateOne(b, o, &segments, &ways, &out)
	}, func() {
		out.send()
		segments.reset()
	})
}

func (e *userEngine) encapsulateOne(b []byte, o offload, segments *cutter, ways *sorter, all *outboxes) {
	t := e.tunnel
	if !isIP(b) {
		return
	}
	inner, dst := addresses(b)
	if t.cfg.Side == AgentSide {
		inner = dst
	}
	t.mu.RLock()
	to, mtu := t.byInner[inner], 0
	var by []*binding
	if to != nil {
		by = ways.sort(to, b, t.cfg.Side == AgentSide)
	}
	for i, way := range by {
		if i == 0 || way.mtu < mtu {
			mtu = way.mtu
		}
	}
	t.mu.RUnlock()
	if to != nil {
		t.encapsulate(b, o, by, mtu, segments, all)
	}
}

// encapsulate puts a packet, which isIP, with the outer header of each of some bindings
// into the outbox for that, in fragments where that is longer than mtu.
func (t *Tunnel) encapsulate(b []byte, o offload, by []*binding, mtu int, segments *cutter, all *outboxes) {
	class := classOf(b) // RFC 6040, section 4.1
	packets, octets := 0, 0
	if !segments.cut(b, o, func(segment, payload []byte) {
		for _, to := range by {
			t.put(all, to, mtu, segment, payload, class)
		}
		packets++
		octets += len(segment) + len(payload)
	}) {
		return
	}
	t.sentPackets.Add(uint64(packets))
	t.sentOctets.Add(uint64(octets))
}

// outerFragments are the fragments of an outer IPv6 packet that its path does not
// carry whole: RFC 2473, section 7.1, and RFC 8200, section 4.5. The kernel would not
// cut it where a router has told of the path, since it believes that only of sockets
// which want to hear of errors themselves. All fragments are short enough for any path.
func outerFragments(inner []byte, of *binding, class byte, identification uint32) (all [][]byte) {
	const fragmentHeader = 8
	const most = (smallestMTU - ipv6.HeaderLen - fragmentHeader) &^ 7
	protocol := byte(ipv6.Encapsulate)
	if versionOf(inner) == four {
		protocol = unix.IPPROTO_IPIP
	}
	for at := 0; at < len(inner); at += most {
		part := inner[at:min(at+most, len(inner))]
		b := append(make([]byte, 0, fragmentHeader+most), protocol, 0)
		offset := uint16(at)
		if at+most < len(inner) {
			offset |= 1 // M: more fragments
		}
		b = binary.BigEndian.AppendUint16(b, offset)
		b = binary.BigEndian.AppendUint32(b, identification)
		p, err := ipv6.Append(nil, &ipv6.Packet{Src: of.Local, Dst: of.Remote, TrafficClass: class, HopLimit: tunnelHops,
			Next: ipv6.Fragment, Payload: append(b, part...)})
		if err != nil {
			return nil // it is too long to be sent at all
		}
		all = append(all, p)
	}
	return all
}

// put lays a packet, in one or two pieces, where it is sent from by a binding.
func (t *Tunnel) put(all *outboxes, to *binding, mtu int, segment, payload []byte, class uint8) {
	outer := familyIndex(to.Local)
	file := t.socks[outer][versionOf(segment)]
	if to.port != nil {
		file = to.port.file
	}
	out := all.to(file)
	if to.port != nil && to.port.rows && out.join(segment, payload, to.Local, to.source(), class) {
		return
	}
	if out.full() {
		out.send(out.file)
	}
	if outer == six && ipv6.HeaderLen+len(segment)+len(payload) > mtu {
		out.send(out.file) // what came before stays ahead
		cut := all.to(t.out[six])
		for _, f := range outerFragments(slices.Concat(segment, payload), to, class, t.identification.Add(1)) {
			cut.addWhole(f, 0)
		}
		cut.send(cut.file)
		return
	}
	if outer == six {
		out.add(segment, to.Local, to.Remote, 0, class)
	} else {
		out.add4(segment, to.Local, to.source(), 0, class)
	}
	if len(payload) > 0 {
		out.attach(payload)
	}
}

// decapsulate moves packets of a family behind outer headers of a family from the
// outside to the device.
func (t *Tunnel) decapsulate(f *os.File, outer, inner int) {
	defer t.running.Done()
	in, err := newBurst(f, 64, ipv6.HeaderLen+largestInner, 64)
	if err != nil {
		return
	}
	defer in.free()
	var d decapsulator
	for {
		n, err := in.receive()
		if err != nil {
			return
		}
		d.begin(t)
		for i := range n {
			b, o := in.octets(i), in.outer(i)
			if outer == four { // which a raw socket gives with its header
				if !isIPv4(b) {
					continue
				}
				_, o.to = addresses(b)
				o.from = netip.AddrPortFrom(o.from.Addr(), 0)
				o.class, b = b[1], b[headerOf4(b):]
			}
			if len(b) == 0 || versionOf(b) != inner {
				t.refuse(&t.wrongInner, Refusal{Reason: "malformed", Outer: o.from.Addr()})
				continue
			}
			d.take(b, o)
		}
		d.end()
	}
}

// A decapsulator moves bursts of packets that came in outer headers to the device of
// a tunnel. The zero value is ready.
type decapsulator struct {
	tunnel          *Tunnel // of this burst; nil: there is none
	joiner          joiner
	packets, octets int
}

// begin begins a burst for t, which may be nil or closed.
func (d *decapsulator) begin(t *Tunnel) {
	d.tunnel, d.packets, d.octets = t, 0, 0
	if t == nil {
		return
	}
	t.mu.RLock()
	if t.closed {
		t.mu.RUnlock()
		d.tunnel = nil
		return
	}
	d.joiner.dev = t.user.dev
}

// take takes a packet of the burst, which stays as it is until end but for its ECN
// field.
func (d *decapsulator) take(b []byte, o outerHeader) {
	t := d.tunnel
	if t == nil {
		return
	}
	of := t.takes(b, o)
	if of == nil {
		return
	}
	if !decapsulateECN(b, o.class) {
		t.congested.Add(1)
		return
	}
	d.packets++
	d.octets += len(b)
	d.joiner.add(b, of.innerMTU(versionOf(b)))
}

// end writes what was taken.
func (d *decapsulator) end() {
	t := d.tunnel
	if t == nil {
		return
	}
	t.mu.RUnlock()
	d.joiner.flush()
	t.receivedPackets.Add(uint64(d.packets))
	t.receivedOctets.Add(uint64(d.octets))
}

// takes says which binding an inner packet that came in an outer header belongs to;
// nil: none, and it is refused: RFC 6275, section 10.4.5. The caller holds mu.
func (t *Tunnel) takes(b []byte, o outerHeader) *binding {
	refusal := Refusal{Outer: o.from.Addr(), Port: o.from.Port()}
	if !isIP(b) {
		refusal.Reason = "malformed"
		t.refuse(&t.wrongInner, refusal)
		return nil
	}
	src, dst := addresses(b)
	refusal.Inner = src
	if t.remotes[o.from] == 0 {
		refusal.Reason = "wrong-outer-source"
		t.refuse(&t.wrongOuter, refusal)
		return nil
	}
	inner := dst
	if t.cfg.Side == AgentSide {
		inner = src
	}
	to := netip.Addr{}
	if t.cfg.Side == AgentSide {
		to = o.to
	}
	for _, of := range [...]*binding{t.byInner[inner], t.expected, t.former} {
		if of == nil || of.Inner != inner && of.Inner4 != inner {
			continue
		}
		if way := of.from(o.from, to); way != nil {
			return way
		}
	}
	refusal.Reason = "wrong-inner-address"
	t.refuse(&t.wrongInner, refusal)
	return nil
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
	octets []byte // headers of segments that were cut
}

// reset forgets the segments.
func (c *cutter) reset() { c.octets = c.octets[:0] }

// cut calls send with each packet that b, which isIP, is to become: whole, or its
// headers and its payload, which stays in b. They stay as they are until reset. It
// returns false where b and o do not fit together.
func (c *cutter) cut(b []byte, o offload, send func(packet, payload []byte)) bool {
	b = whole(b)
	if o.flags&needsChecksum == 0 && o.kind == unix.VIRTIO_NET_HDR_GSO_NONE {
		send(b, nil)
		return true
	}
	at := o.checksumStart
	if o.flags&needsChecksum == 0 || at < ipHeaderOf(b) || at+o.checksumOffset+2 > len(b) || o.checksumOffset < 0 {
		return false
	}
	if o.kind == unix.VIRTIO_NET_HDR_GSO_NONE {
		completeChecksum(b, at, o.checksumOffset)
		send(b, nil)
		return true
	}
	if o.kind&^ecnMarked != segmentsOf(b) || o.segment == 0 || len(b) < at+tcpSmallest {
		return false
	}
	// What the device says of the headers' length is all that lies in one piece of
	// the kernel's memory, which may be the whole packet.
	headers := at + int(b[at+12]>>4)*4
	if headers < at+tcpSmallest || headers > len(b) {
		return false
	}
	sequence := binary.BigEndian.Uint32(b[at+4:])
	flags := b[at+13]
	pseudo := pseudoSum(b, ipv6.TCP, 0)
	for number, from := 0, headers; number == 0 || from < len(b); number, from = number+1, from+o.segment {
		to := min(from+o.segment, len(b))
		if cap(c.octets)-len(c.octets) < headers { // those given out already stay put
			c.octets = make([]byte, 0, cutRoom)
		}
		start := len(c.octets)
		c.octets = append(c.octets, b[:headers]...)
		s, payload := c.octets[start:], b[from:to]
		length := headers + len(payload)
		setLength(s, length, number)
		binary.BigEndian.PutUint32(s[at+4:], sequence+uint32(from-headers))
		f := flags
		if to < len(b) {
			f &^= tcpFlagFIN | tcpFlagPSH
		}
		if from > headers {
			f &^= tcpFlagCWR
		}
		s[at+13] = f
		binary.BigEndian.PutUint16(s[at+16:], foldAdd(pseudo, uint32(length-at)))
		binary.BigEndian.PutUint16(s[at+16:], ipv6.Sum(payload, s[at:]))
		send(s, payload)
	}
	return true
}

// completeChecksum finishes a checksum that holds the sum of the pseudo-header
// so far.
func completeChecksum(b []byte, start, offset int) {
	sum := ipv6.Sum(b[start:])
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

package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/ipv6"
)

// OptimizedDevice is the name of the device that takes what applications send to
// peers for which there is an optimised route.
const OptimizedDevice = TunnelDevice + "-ro"

const (
	tableOptimized = 40_000_000 // of routes to such peers
	ordinaryMark   = 1 << 30    // of packets that take the way there is without that table
	mobilityLen    = 24         // octets of a Home Address option in its header, and of a type 2 routing header
)

// An Optimizer carries what applications send and receive by route optimization:
// RFC 6275, sections 6.3, 6.4, 9.3 and 11.3. Applications know home addresses only,
// and checksums are over those.
//
// What goes to a peer leaves from the care-of address of this node, with a Home
// Address option, where SetCareOf says so; to the care-of address of the peer, with a
// type 2 routing header, where SetPeerCareOf does. A path that carries no more than
// 1280 octets has packets cut into fragments; what is longer than that and does not
// fit is answered with a Packet Too Big. ICMPv6 errors that routers send about such
// packets are passed on to their applications.
//
// What comes in is taken from the MobilityPort. A packet with a Home Address option
// is for applications only where its peer's care-of address was set so; one with a
// type 2 routing header only where that names the home address of this node. All
// else is left for Receive.
type Optimizer struct {
	host   *Host
	port   *MobilityPort
	dev    *packetDevice
	raw    *os.File    // sends whole packets, past tableOptimized
	errors *os.File    // ICMPv6 errors
	inner  [2]*os.File // what the kernel delivers: mobility headers, destination options

	mu     sync.RWMutex // of the fields below
	closed bool
	home   netip.Addr // in type 2 routing headers that are for this node; not valid: none
	routes map[between]*optimized

	in        joiner // of the goroutine in Receive
	delivered chan Datagram
	refusals  chan []byte
	running   sync.WaitGroup
}

// between are the addresses of a packet that applications see.
type between struct{ own, peer netip.Addr }

// optimized is an optimised route: what stands for those addresses on the wire.
type optimized struct {
	careOf, peerCareOf netip.Addr // not valid: the address itself
	mtu                int        // of the path, octets
}

// overhead is what packets of the route have more than others, octets.
func (r *optimized) overhead() int {
	n := 0
	if r.careOf.IsValid() {
		n += mobilityLen
	}
	if r.peerCareOf.IsValid() {
		n += mobilityLen
	}
	return n
}

// limit is the longest packet that applications may send.
func (r *optimized) limit() int { return max(r.mtu-r.overhead(), smallestMTU) }

// onWire are the addresses in IPv6 headers.
func (r *optimized) onWire(e between) (own, peer netip.Addr) {
	own, peer = e.own, e.peer
	if r.careOf.IsValid() {
		own = r.careOf
	}
	if r.peerCareOf.IsValid() {
		peer = r.peerCareOf
	}
	return own, peer
}

// Optimize begins route optimization with what comes to the port, once and before
// Receive is called. What the port sends takes no optimised route from then on.
func (p *MobilityPort) Optimize() (*Optimizer, error) {
	return p.optimize(p.host.openPacketDevice)
}

func (p *MobilityPort) optimize(device func(name string) (*packetDevice, error)) (*Optimizer, error) {
	o := &Optimizer{host: p.host, port: p, routes: map[between]*optimized{},
		delivered: make(chan Datagram, mobilityBurst), refusals: make(chan []byte, mobilityBurst)}
	if err := o.open(device); err != nil {
		o.Close()
		return nil, fmt.Errorf("route optimization: %w", err)
	}
	p.optimizer.Store(o)
	o.running.Add(2 + len(delivered))
	go o.depart()
	go o.passErrors()
	for i, protocol := range delivered {
		go o.hear(o.inner[i], protocol)
	}
	return o, nil
}

func (o *Optimizer) open(device func(name string) (*packetDevice, error)) (err error) {
	for _, name := range []string{OptimizedDevice, farOf(OptimizedDevice)} { // of a process that did not close it
		if l, err := o.host.nl.link(0, name); err == nil {
			o.host.removeLink(l.index)
		}
	}
	if o.dev, err = device(OptimizedDevice); err != nil {
		return err
	}
	o.in.dev = o.dev
	if o.raw, err = openRaw(); err != nil {
		return err
	}
	if o.errors, err = openErrors(); err != nil {
		return err
	}
	for i, protocol := range delivered {
		if o.inner[i], err = openDelivered(protocol); err != nil {
			return err
		}
	}
	if err := option(o.inner[1], func(fd int) error { return attach(fd, []bpf.Instruction{bpf.RetConstant{Val: 0}}) }); err != nil {
		return err
	}
	for _, f := range []*os.File{o.raw, o.port.out} { // which pass tableOptimized by
		if err := option(f, func(fd int) error {
			return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, ordinaryMark)
		}); err != nil {
			return fmt.Errorf("mark: %w", err)
		}
	}
	if err := option(o.port.in, func(fd int) error { largeBuffer(fd, 8<<20); return nil }); err != nil {
		return err
	}
	if o.port.burst, err = newBurst(o.port.in, mobilityBurst, ipv6.HeaderLen+largestInner, 0); err != nil {
		return err
	}
	return o.host.AddRule(optimizedRule)
}

// optimizedRule stands behind those of roles: what has a care-of address as its
// source goes by the access of that.
var optimizedRule = Rule{Priority: priorityOptimized, Table: tableOptimized, unmarked: ordinaryMark}

// option sets something of a socket.
func option(f *os.File, set func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) { err = set(int(fd)) })
	return errors.Join(failed, err)
}

// delivered are the headers that sockets of o.inner take from the kernel. Nothing else
// sees what the kernel engine of a tunnel takes out of that.
//
// The rules of the port drop all mobility headers but those, also behind destination
// options. Other destination options to the home address come by their socket alone,
// by whichever way they came.
var delivered = [2]int{ipv6.Mobility, ipv6.Destination}

func openDelivered(protocol int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), fmt.Sprintf("protocol %d", protocol))
	if err := allOf(
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1),
	); err != nil {
		f.Close()
		return nil, err
	}
	largeBuffer(fd, 8<<20)
	return f, nil
}

// SetHome says which home address this node has as a mobile node.
func (o *Optimizer) SetHome(home netip.Addr) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return os.ErrClosed
	}
	o.home = home
	return option(o.inner[1], func(fd int) error { return attach(fd, onlyTo(home)) })
}

// onlyTo lets IPv6 packets to an address pass, at a socket that is given what follows
// their header.
func onlyTo(a netip.Addr) []bpf.Instruction {
	const network, destination = 1<<32 - 0x100000, 24 // SKF_NET_OFF
	octets := a.As16()
	var all []bpf.Instruction
	for i := 0; i < len(octets); i += 4 {
		all = append(all,
			bpf.LoadAbsolute{Off: uint32(network + destination + i), Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(octets[i:]), SkipTrue: uint8(len(octets)/2 - i/2 - 1)})
	}
	return append(all, bpf.RetConstant{Val: 1 << 16}, bpf.RetConstant{Val: 0})
}

// SetCareOf makes what goes from own, a home address of this node, to peer leave
// from careOf; one that is not valid ends that.
func (o *Optimizer) SetCareOf(own, peer, careOf netip.Addr) error {
	return o.change(between{own, peer}, func(r *optimized) { r.careOf = careOf })
}

// SetPeerCareOf makes what goes from own to peer, a home address, go to careOf, and
// takes what comes from there as from peer; one that is not valid ends both.
func (o *Optimizer) SetPeerCareOf(own, peer, careOf netip.Addr) error {
	return o.change(between{own, peer}, func(r *optimized) { r.peerCareOf = careOf })
}

func (o *Optimizer) change(e between, change func(*optimized)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return os.ErrClosed
	}
	var r optimized
	if old := o.routes[e]; old != nil {
		r = *old
	}
	change(&r)
	if r.overhead() == 0 {
		delete(o.routes, e)
	} else {
		r.mtu = o.host.pathMTU(r.onWire(e))
		o.routes[e] = &r
	}
	return o.lead(e.peer)
}

// lead makes the route to a peer as those of o.routes want it. The caller holds mu.
func (o *Optimizer) lead(peer netip.Addr) error {
	route := Route{Table: tableOptimized, To: netip.PrefixFrom(peer, 128), Metric: tunnelMetric}
	for _, e := range slices.SortedFunc(maps.Keys(o.routes), func(a, b between) int { return a.own.Compare(b.own) }) {
		if e.peer != peer {
			continue
		}
		limit := o.routes[e].limit()
		if !route.Src.IsValid() {
			route.Src, route.MTU = e.own, limit // sockets without an address get one that is optimised
		}
		route.MTU = min(route.MTU, limit)
	}
	var b batch
	if route.Src.IsValid() {
		b.replaceRoute(route, o.dev.index)
	} else {
		b.removeRoute(route, o.dev.index)
	}
	if err := o.host.nl.do(&b); err != nil {
		return fmt.Errorf("route optimization with %v: %w", peer, err)
	}
	return nil
}

// depart sends what applications send to peers.
func (o *Optimizer) depart() {
	defer o.running.Done()
	d := departure{optimizer: o, fragments: rand.Uint32()}
	o.dev.read(d.take, d.send)
}

// A departure is what is about to be sent.
type departure struct {
	optimizer *Optimizer
	segments  cutter
	heads     []byte // new headers; those given out stay put
	out       outgoing
	fragments uint32 // identification of the last packet sent in fragments: RFC 7739, section 5.3
}

func (d *departure) take(b []byte, of offload) {
	if !isIPv6(b) {
		return
	}
	b = whole(b)
	var e between
	e.own, e.peer = addresses(b)
	d.optimizer.mu.RLock()
	r, there := d.optimizer.routes[e]
	d.optimizer.mu.RUnlock()
	// What must stand before the headers of Mobile IPv6, or does their work, is rare,
	// and goes by the home agent.
	there = there && b[6] != ipv6.HopByHop && b[6] != ipv6.Routing
	answered := false
	d.segments.cut(b, of, func(packet, payload []byte) {
		switch length := len(packet) + len(payload); {
		case !there:
			d.add(packet, payload, e)
		case length <= r.mtu-r.overhead():
			d.optimize(packet, payload, e, r)
		case length <= smallestMTU:
			d.fragment(packet, payload, e, r)
		case !answered:
			answered = true
			d.refuse(b, r.limit())
		}
	})
}

func (d *departure) send() {
	d.out.send(d.optimizer.raw)
	d.segments.reset()
	d.heads = d.heads[:0]
}

// add adds a packet in two parts, the first of which holds its IPv6 header.
func (d *departure) add(head, rest []byte, on between) {
	if d.out.full() {
		d.out.send(d.optimizer.raw)
	}
	d.out.add(head, on.own, on.peer, 0, 0)
	if len(rest) > 0 {
		d.out.attach(rest)
	}
}

// head gives a packet's headers new addresses and those of Mobile IPv6, with next
// behind them before upper. rest is how much more follows, octets.
func (d *departure) head(packet []byte, e between, r *optimized, next uint8, upper []byte, rest int) (head []byte, on between) {
	h := ipv6.Packet{TrafficClass: classOf(packet), HopLimit: packet[7], Next: next, Payload: upper,
		FlowLabel: uint32(packet[1]&0xf)<<16 | uint32(packet[2])<<8 | uint32(packet[3])}
	on.own, on.peer = r.onWire(e)
	h.Src, h.Dst = on.own, on.peer
	if r.careOf.IsValid() {
		h.HomeAddress = e.own
	}
	if r.peerCareOf.IsValid() {
		h.RoutingHome, h.SegmentsLeft = e.peer, 1
	}
	if need := ipv6.HeaderLen + r.overhead() + len(upper); cap(d.heads)-len(d.heads) < need {
		d.heads = make([]byte, 0, max(cutRoom, need))
	}
	from := len(d.heads)
	made, err := ipv6.Append(d.heads, &h)
	if err != nil { // addresses of another family, which change lets pass nowhere
		return nil, on
	}
	d.heads, head = made, made[from:]
	setLength(head, len(head)+rest, 0)
	return head, on
}

func (d *departure) optimize(packet, payload []byte, e between, r *optimized) {
	upper := packet[ipv6.HeaderLen:]
	if len(payload) == 0 {
		upper, payload = nil, upper
	}
	if head, on := d.head(packet, e, r, packet[6], upper, len(payload)); head != nil {
		d.add(head, payload, on)
	}
}

// fragment sends a packet in fragments, as no IPv6 path may ask for packets of less
// than 1280 octets: the headers of Mobile IPv6 are in each, RFC 6275, sections 6.3
// and 6.4. A packet that is a fragment itself has become too long by them.
func (d *departure) fragment(packet, payload []byte, e between, r *optimized) {
	data := slices.Concat(packet[ipv6.HeaderLen:], payload)
	d.fragments++
	f := fragmentHeader{next: packet[6], identification: d.fragments}
	if packet[6] == ipv6.Fragment {
		if len(data) < fragmentLen {
			return
		}
		f, data = parseFragment(data), data[fragmentLen:]
	}
	most := (r.mtu - ipv6.HeaderLen - r.overhead() - fragmentLen) &^ 7
	more := f.more
	for len(data) > 0 {
		n := min(most, len(data))
		f.more = more || n < len(data)
		if head, on := d.head(packet, e, r, ipv6.Fragment, f.append(nil), n); head != nil {
			d.add(head, data[:n], on)
		}
		f.offset += n
		data = data[n:]
	}
}

// fragmentLen is the length of a fragment header, octets: RFC 8200, section 4.5.
const fragmentLen = 8

type fragmentHeader struct {
	next           uint8
	offset         int // octets, a multiple of 8
	more           bool
	identification uint32
}

func parseFragment(b []byte) fragmentHeader {
	return fragmentHeader{next: b[0], offset: (int(b[2])<<8 | int(b[3])) &^ 7, more: b[3]&1 != 0,
		identification: uint32(b[4])<<24 | uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7])}
}

func (f *fragmentHeader) append(b []byte) []byte {
	last := byte(f.offset)
	if f.more {
		last |= 1
	}
	id := f.identification
	return append(b, f.next, 0, byte(f.offset>>8), last, byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

// refuse answers a packet that is too long: RFC 4443, section 3.2.
func (d *departure) refuse(b []byte, limit int) {
	own, _ := addresses(b)
	if isError(b) {
		return
	}
	if answer := errorAbout(b, packetTooBig, 0, uint32(limit), own); answer != nil {
		d.add(answer, nil, between{own, own})
	}
}

// take takes a packet that came to the port; false: it is for others. It stays as it
// is until flush.
func (o *Optimizer) take(b []byte) bool {
	p, err := ipv6.Parse(b)
	if err != nil {
		return false
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	if b[6] == ipv6.Destination && p.Dst == o.home && p.Next != ipv6.Mobility {
		return true // which the kernel delivers too
	}
	return o.give(b, &p, &o.in)
}

// give gives applications a packet by in, where it is for them and as it must be; it
// stays as it is until that is flushed. The caller holds mu.
func (o *Optimizer) give(b []byte, p *ipv6.Packet, in *joiner) bool {
	if p.Next == ipv6.Mobility || !p.HomeAddress.IsValid() && !p.RoutingHome.IsValid() {
		return false
	}
	if p.RoutingHome.IsValid() && (p.SegmentsLeft != 1 || p.RoutingHome != o.home) { // section 6.4
		return false
	}
	mtu := o.host.path
	r := o.routes[between{p.UpperDst(), p.UpperSrc()}]
	if p.HomeAddress.IsValid() && (r == nil || r.peerCareOf != p.Src) { // section 9.3.1
		return false
	}
	if r != nil {
		mtu = r.mtu
	}
	if !o.closed {
		in.add(plain(b, p), mtu)
	}
	return true
}

// plain makes of a packet, in place, what it was before the headers that were walked
// were put into it.
func plain(b []byte, p *ipv6.Packet) []byte {
	b = whole(b)
	at := len(b) - len(p.Payload) - ipv6.HeaderLen
	copy(b[at:], b[:8])
	b = b[at:]
	b[6] = p.Next
	src, dst := p.UpperSrc().As16(), p.UpperDst().As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	setLength(b, len(b), 0)
	return b
}

// flush gives applications what was taken.
func (o *Optimizer) flush() {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if !o.closed {
		o.in.flush()
	}
}

// passErrors passes what routers say of packets with headers of Mobile IPv6 on to
// the applications that sent them: RFC 6275, section 9.3.4.
func (o *Optimizer) passErrors() {
	defer o.running.Done()
	in, err := newBurst(o.errors, 8, 2048, 64)
	if err != nil {
		return
	}
	var out outgoing
	pass := errorAllowance()
	for {
		n, err := in.receive()
		if err != nil {
			return
		}
		for i := range n {
			b := in.octets(i)
			if len(b) < icmpHeader+ipv6.HeaderLen || b[icmpHeader]>>4 != 6 {
				continue
			}
			from := in.outer(i).from.Addr()
			if answer := o.complaint(b, from); answer != nil && pass.take(time.Now()) && out.addWhole(answer, 0) == nil {
				out.send(o.raw)
			}
		}
	}
}

// complaint takes an ICMPv6 error, and gives what is to be told to an application;
// nil: nothing.
func (o *Optimizer) complaint(b []byte, from netip.Addr) []byte {
	kind, code, word := b[0], b[1], uint32(b[4])<<24|uint32(b[5])<<16|uint32(b[6])<<8|uint32(b[7])
	invoking := b[icmpHeader:]
	length := int(invoking[4])<<8 | int(invoking[5])
	setLength(invoking, min(len(invoking), ipv6.HeaderLen+length), 0) // routers give back as much as fits
	p, err := ipv6.Parse(invoking)
	if err != nil {
		return nil
	}
	if p.Next == ipv6.Mobility {
		if kind == parameterProblem && code == ipv6.UnrecognizedNext && int(word) == p.NextAt && from == p.Dst {
			select {
			case o.refusals <- slices.Clone(invoking):
			default:
			}
		}
		return nil
	}
	e := between{p.UpperSrc(), p.UpperDst()}
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.routes[e]
	if r == nil || o.closed {
		return nil
	}
	if own, peer := r.onWire(e); own != p.Src || peer != p.Dst {
		return nil
	}
	switch kind {
	case packetTooBig:
		if mtu := max(int(min(word, largestInner)), smallestMTU); mtu < r.mtu {
			changed := *r
			changed.mtu = mtu
			r = &changed
			o.routes[e] = r
			o.lead(e.peer)
		}
		word = uint32(r.limit())
	case unreachable, timeExceeded:
	default:
		return nil // a pointer into headers that the application does not know
	}
	before := ipv6.HeaderLen + length - (len(whole(invoking)) - len(p.Payload) - ipv6.HeaderLen)
	inner := plain(invoking, &p)
	if isError(inner) || kind == packetTooBig && before <= int(word) {
		return nil
	}
	setLength(inner, before, 0)
	return errorAbout(inner, kind, code, word, e.own)
}

// hear reads what the kernel delivers behind a header of delivered.
func (o *Optimizer) hear(f *os.File, protocol int) {
	defer o.running.Done()
	in, err := newBurst(f, 16, ipv6.HeaderLen+largestInner, 64)
	if err != nil {
		return
	}
	defer in.free()
	applications := joiner{dev: o.dev}
	for {
		n, err := in.receive()
		if err != nil {
			return
		}
		o.mu.RLock()
		for i := range n {
			h := in.outer(i)
			if protocol == ipv6.Destination && h.to != o.home {
				continue // by the port
			}
			b, err := ipv6.Append(nil, &ipv6.Packet{Src: h.from.Addr(), Dst: h.to, TrafficClass: h.class, HopLimit: tunnelHops, Next: uint8(protocol), Payload: in.octets(i)})
			if err != nil {
				continue
			}
			d := Datagram{Packet: b}
			if protocol == ipv6.Mobility {
				d.Dev = TunnelDevice
			} else if p, err := ipv6.Parse(b); err != nil || o.give(b, &p, &applications) {
				continue
			}
			select {
			case o.delivered <- d:
			default: // as by a full socket
			}
		}
		if !o.closed {
			applications.flush()
		}
		o.mu.RUnlock()
	}
}

// Delivered gives packets that Receive does not: those with a mobility header that
// the kernel has taken out of the tunnel, and those with a Home Address option to the
// home address that are not for applications. It is never closed.
func (o *Optimizer) Delivered() <-chan Datagram { return o.delivered }

// Refusals gives packets with a mobility header that their receiver has answered with
// an ICMPv6 Parameter Problem, code 1: it does not know that header. Each is as much
// as the answer had of it. It is never closed.
func (o *Optimizer) Refusals() <-chan []byte { return o.refusals }

// IsTunnelled says whether a packet of the port came by the tunnel: its outer source
// was the home agent's.
func (d *Datagram) IsTunnelled() bool { return d.Dev == TunnelDevice || d.Dev == UserTunnelDevice }

// Close between route optimization: its device goes, and its routes with it.
func (o *Optimizer) Close() error {
	o.port.optimizer.CompareAndSwap(o, nil)
	o.mu.Lock()
	o.closed = true
	clear(o.routes)
	o.mu.Unlock()
	for _, f := range []*os.File{o.raw, o.errors, o.inner[0], o.inner[1]} {
		if f != nil {
			f.Close()
		}
	}
	o.dev.close()
	o.running.Wait()
	return o.host.RemoveRule(optimizedRule)
}

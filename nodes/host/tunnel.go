package host

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"s2clab/nodes/rtnetlink"
	"s2clab/nodes/wire/ipv6"
)

// TunnelDevice is the name of the tunnel's device on every node.
const TunnelDevice = "mip0"

// tunnelFar is the other end of TunnelDevice, where an engine needs one.
const tunnelFar = TunnelDevice + "-outer"

// A Side is one end of the bidirectional tunnel of RFC 6275, section 4.1.
type Side int

const (
	MobileSide Side = iota // one inner address, a default route
	AgentSide              // an inner address and a route for each mobile node
)

// A Binding says what is tunnelled: packets of Inner travel between Local, the
// outer address of this end, and Remote, that of the other.
type Binding struct {
	Inner  netip.Addr // the home address
	Local  netip.Addr // mobile: care-of address; agent: home agent address
	Remote netip.Addr // mobile: home agent address; agent: care-of address
}

// Counters say what a tunnel has carried and refused since it was opened.
type Counters struct {
	SentPackets, SentOctets         uint64 // inner ones; the kernel engine does not count them
	ReceivedPackets, ReceivedOctets uint64 // inner ones; the kernel engine does not count them
	WrongOuter                      uint64 // packets whose outer source is of no binding
	WrongInner                      uint64 // packets whose inner address is not of the binding that they came by; see Refusals
}

// A Refusal is a packet that came by the tunnel and was dropped. The mobile side
// of the kernel engine drops those with a wrong inner address without one.
type Refusal struct {
	Reason string     // wrong-outer-source, wrong-inner-address, malformed
	Outer  netip.Addr // source of the outer header; invalid: not known
	Inner  netip.Addr // source of the inner header
}

// A Tunnel carries IPv6 in IPv6: RFC 2473, as RFC 6275, sections 10.4.5 and
// 11.3.1, uses it. Its device is TunnelDevice. Packets that do not fit are
// answered with a Packet Too Big, and errors about outer packets are passed on to
// the inner source.
//
// The mobile side takes packets from Remote at whichever of its addresses they
// come in, as some are on their way to the former care-of address while Local
// changes; the agent side takes them only as the binding says.
type Tunnel struct {
	host   *Host
	cfg    TunnelConfig
	why    string
	engine engine
	in     *os.File // protocol 41: all that comes in (user), or what no binding takes (kernel)
	out    *os.File // whole packets: errors passed on
	errors *os.File // ICMPv6 errors about outer packets

	mu       sync.RWMutex
	byInner  map[netip.Addr]*binding
	expected *binding           // see Expect; nil: none
	remotes  map[netip.Addr]int // bindings by Remote, the expected one among them

	sentPackets, sentOctets, receivedPackets, receivedOctets, wrongOuter, wrongInner atomic.Uint64

	refusals chan Refusal
	running  sync.WaitGroup
	closing  sync.Once
}

// A binding is a Binding that is in place.
type binding struct {
	Binding
	mtu   int // of the path of outer packets, octets
	table int // of the kernel engine, for what comes out of the tunnel
}

// An engine moves packets between the device and the outside.
type engine interface {
	name() string
	// open makes the device.
	open() error
	// expect appends what takes packets that come by of: the mobile side.
	expect(b *batch, of *binding)
	// forsake appends what ends expect.
	forsake(b *batch, of *binding)
	// install appends what puts new in the place of old, which may be nil. At the
	// mobile side both are, or were, expected.
	install(b *batch, new, old *binding)
	// remove appends what takes away what install has put in place.
	remove(b *batch, old *binding)
	// start begins to move packets. It adds what it starts to Tunnel.running.
	start()
	// device is the index of TunnelDevice.
	device() int
	close()
}

// TunnelConfig says what tunnel is wanted.
type TunnelConfig struct {
	Engine      string // auto, user, kernel
	Side        Side
	HomeAddress netip.Addr // mobile side: on the device for as long as the tunnel is open
}

const (
	tunnelMetric  = 100  // of routes into the tunnel: before others of the main table
	nowhereMetric = 4096 // behind all others
	outerHeader   = 40   // octets
	tunnelHops    = 64   // hop limit of outer packets
	smallestMTU   = 1280 // RFC 8200, section 5
	usualMTU      = 1500
	largestInner  = 65535
	refusalsHeld  = 64 // for who reads Refusals
)

// NewTunnel makes the tunnel's device and opens the tunnel. Engine auto is
// kernel where this kernel can do it, else user.
func (h *Host) NewTunnel(cfg TunnelConfig) (*Tunnel, error) {
	user := func(t *Tunnel) engine { return &userEngine{tunnel: t, make: h.openPacketDevice} }
	kernel := func(t *Tunnel) engine { return &kernelEngine{tunnel: t} }
	switch cfg.Engine {
	case "user":
		return h.openTunnel(cfg, "it was asked for", user)
	case "kernel":
		return h.openTunnel(cfg, "it was asked for", kernel)
	case "auto", "":
		t, err := h.openTunnel(cfg, "this kernel has seg6", kernel)
		if err == nil {
			return t, nil
		}
		return h.openTunnel(cfg, err.Error(), user)
	}
	return nil, fmt.Errorf("tunnel: engine %q: want auto, user or kernel", cfg.Engine)
}

func (h *Host) openTunnel(cfg TunnelConfig, why string, with func(*Tunnel) engine) (*Tunnel, error) {
	if err := h.orderRules(); err != nil {
		return nil, err
	}
	h.removeLeftovers()
	t := &Tunnel{
		host: h, cfg: cfg, why: why,
		byInner: map[netip.Addr]*binding{}, remotes: map[netip.Addr]int{},
		refusals: make(chan Refusal, refusalsHeld),
	}
	t.engine = with(t)
	if err := t.open(); err != nil {
		t.Close()
		return nil, fmt.Errorf("tunnel: engine %s: %w", t.engine.name(), err)
	}
	t.running.Add(1)
	go t.passErrors()
	t.engine.start()
	return t, nil
}

// removeLeftovers takes away the devices of a process that ended without closing
// its tunnel.
func (h *Host) removeLeftovers() {
	for _, name := range []string{TunnelDevice, tunnelFar} {
		if l, err := h.nl.link(0, name); err == nil {
			h.removeLink(l.index)
		}
	}
}

func (t *Tunnel) open() (err error) {
	if t.in, err = openProtocol41(); err != nil {
		return err
	}
	if t.out, err = openRaw(); err != nil {
		return err
	}
	if t.errors, err = openErrors(); err != nil {
		return err
	}
	if err := t.engine.open(); err != nil {
		return err
	}
	if t.cfg.Side != MobileSide || !t.cfg.HomeAddress.IsValid() {
		return nil
	}
	var b batch
	b.addAddress(t.engine.device(), netip.PrefixFrom(t.cfg.HomeAddress, 128), AddressFlags{NoDAD: true, NoPrefixRoute: true})
	// Without a binding and away from home applications keep the home address,
	// and what they send is lost: it must not leave from a care-of address.
	b.replaceRoute(Route{Src: t.cfg.HomeAddress, Metric: nowhereMetric}, t.engine.device())
	return t.host.nl.do(&b)
}

// openProtocol41 opens a socket for IPv6 in IPv6: the kernel writes and takes off
// outer headers, and cuts outer packets into fragments where an inner one of 1280
// octets needs it (RFC 2473, section 7.1).
func openProtocol41() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_IPV6)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "protocol 41")
	for _, option := range []struct{ name, value int }{
		{unix.IPV6_RECVPKTINFO, 1},
		{unix.IPV6_FREEBIND, 1},
		{unix.IPV6_UNICAST_HOPS, tunnelHops},
		{unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_WANT},
	} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, option.name, option.value); err != nil {
			f.Close()
			return nil, err
		}
	}
	largeBuffer(fd, 8<<20)
	return f, nil
}

// Engine says which engine moves the packets, user or kernel, and why.
func (t *Tunnel) Engine() (name, why string) { return t.engine.name(), t.why }

// Counters says what was carried and refused so far.
func (t *Tunnel) Counters() Counters {
	return Counters{
		SentPackets: t.sentPackets.Load(), SentOctets: t.sentOctets.Load(),
		ReceivedPackets: t.receivedPackets.Load(), ReceivedOctets: t.receivedOctets.Load(),
		WrongOuter: t.wrongOuter.Load(), WrongInner: t.wrongInner.Load(),
	}
}

// Refusals gives packets that were dropped, as many as are read in time: Counters
// counts them all. It is closed with the tunnel.
func (t *Tunnel) Refusals() <-chan Refusal { return t.refusals }

func (t *Tunnel) refuse(count *atomic.Uint64, r Refusal) {
	count.Add(1)
	select {
	case t.refusals <- r:
	default:
	}
}

// Set makes or changes the binding of an inner address, with its routes: the
// default route at the mobile side, which has one binding; one to Inner at the
// agent side. Where it fails there is no binding any more.
func (t *Tunnel) Set(want Binding) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.byInner[want.Inner]
	if err := t.another(want); err != nil {
		return err
	}
	var b batch
	new := t.expected
	if new == nil || new.Binding != want {
		new = t.prepare(&b, want)
	} else {
		t.expected = nil
	}
	t.engine.install(&b, new, old)
	if old != nil {
		t.discard(&b, old)
		delete(t.byInner, want.Inner)
	}
	if err := t.host.nl.do(&b); err != nil {
		b = batch{}
		t.engine.remove(&b, new)
		t.discard(&b, new)
		t.host.nl.do(&b)
		return fmt.Errorf("tunnel: binding of %v: %w", want.Inner, err)
	}
	t.byInner[want.Inner] = new
	return nil
}

// Expect takes the packets of a binding from now on, and sends none by it: the
// home agent may send them before its acknowledgement has come. The mobile side
// expects one binding, beside that of Set, until Set makes it the binding, Forsake
// ends it, or another takes its place.
func (t *Tunnel) Expect(want Binding) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cfg.Side != MobileSide {
		return fmt.Errorf("tunnel: binding of %v: only a mobile node expects one", want.Inner)
	}
	if err := t.another(want); err != nil {
		return err
	}
	var b batch
	new := t.prepare(&b, want)
	t.forsake(&b)
	t.expected = new
	if err := t.host.nl.do(&b); err != nil {
		t.forsake(&b)
		t.host.nl.do(&b)
		return fmt.Errorf("tunnel: binding of %v: %w", want.Inner, err)
	}
	return nil
}

// Forsake ends Expect.
func (t *Tunnel) Forsake() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b batch
	t.forsake(&b)
	if err := t.host.nl.do(&b); err != nil {
		return fmt.Errorf("tunnel: expected binding: %w", err)
	}
	return nil
}

func (t *Tunnel) forsake(b *batch) {
	if t.expected != nil {
		t.discard(b, t.expected)
		t.expected = nil
	}
}

// another says what is wrong where the mobile side has another inner address.
func (t *Tunnel) another(want Binding) error {
	if t.cfg.Side == MobileSide && t.byInner[want.Inner] == nil && len(t.byInner) > 0 {
		return fmt.Errorf("tunnel: home address %v: another is bound, and a mobile node has one", want.Inner)
	}
	return nil
}

// prepare makes a binding of which packets are taken. The caller holds mu.
func (t *Tunnel) prepare(b *batch, want Binding) *binding {
	new := &binding{Binding: want, mtu: t.host.pathMTU(want.Local, want.Remote)}
	t.remotes[want.Remote]++
	t.engine.expect(b, new)
	return new
}

// discard takes back what prepare did.
func (t *Tunnel) discard(b *batch, old *binding) {
	if t.remotes[old.Remote]--; t.remotes[old.Remote] == 0 {
		delete(t.remotes, old.Remote)
	}
	t.engine.forsake(b, old)
}

// Clear ends the binding of an inner address. To clear what is not set is no
// error.
func (t *Tunnel) Clear(inner netip.Addr) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b batch
	t.clear(&b, inner)
	if err := t.host.nl.do(&b); err != nil {
		return fmt.Errorf("tunnel: binding of %v: %w", inner, err)
	}
	return nil
}

func (t *Tunnel) clear(b *batch, inner netip.Addr) {
	if old := t.byInner[inner]; old != nil {
		t.engine.remove(b, old)
		t.discard(b, old)
		delete(t.byInner, inner)
	}
}

// innerMTU is the longest inner packet that is sent whole. One of 1280 octets
// always goes: its outer packet is cut where need be.
func (b *binding) innerMTU() int { return max(b.mtu-outerHeader, smallestMTU) }

// wanted is the route that leads packets of the binding into the tunnel.
func (t *Tunnel) wanted(b *binding) Route {
	r := Route{Dev: TunnelDevice, Metric: tunnelMetric, MTU: b.innerMTU()}
	if t.cfg.Side == MobileSide {
		r.Src = b.Inner
	} else {
		r.To = netip.PrefixFrom(b.Inner, 128)
	}
	return r
}

// pathMTU is the longest packet that the kernel would send whole from src to
// dst.
func (h *Host) pathMTU(src, dst netip.Addr) int {
	var b batch
	header := make([]byte, unix.SizeofRtMsg)
	header[0], header[1], header[2] = unix.AF_INET6, 128, 128
	start := b.Begin("route", unix.RTM_GETROUTE, 0, header)
	b.Address(unix.RTA_DST, dst)
	b.Address(unix.RTA_SRC, src)
	b.End(start)
	device, mtu := 0, 0
	h.nl.ask(&b, false, func(kind uint16, body []byte) {
		if kind != unix.RTM_NEWROUTE || len(body) < unix.SizeofRtMsg {
			return
		}
		rtnetlink.EachAttribute(body[unix.SizeofRtMsg:], func(kind uint16, value []byte) {
			switch {
			case kind == unix.RTA_OIF && len(value) == 4:
				device = int(native.Uint32(value))
			case kind == unix.RTA_METRICS:
				rtnetlink.EachAttribute(value, func(kind uint16, value []byte) {
					if kind == unix.RTAX_MTU && len(value) == 4 {
						mtu = int(native.Uint32(value))
					}
				})
			}
		})
	})
	if device != 0 && mtu == 0 {
		if of, err := h.MTU(h.Name(device)); err == nil {
			mtu = of
		}
	}
	if mtu < smallestMTU { // no route at the moment
		return usualMTU
	}
	return mtu
}

// Close ends the tunnel: its device, its bindings and their routes go.
func (t *Tunnel) Close() error {
	t.mu.Lock()
	var b batch
	for inner := range t.byInner {
		t.clear(&b, inner)
	}
	t.forsake(&b)
	err := t.host.nl.do(&b)
	t.mu.Unlock()
	for _, f := range []*os.File{t.in, t.out, t.errors} {
		if f != nil {
			f.Close()
		}
	}
	t.engine.close()
	t.running.Wait()
	t.closing.Do(func() { close(t.refusals) })
	return err
}

// addresses are those of an IPv6 header.
func addresses(b []byte) (src, dst netip.Addr) {
	return netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
}

// isIPv6 says whether b can be an IPv6 packet that is whole.
func isIPv6(b []byte) bool {
	return len(b) >= ipv6.HeaderLen && b[0]>>4 == 6 && ipv6.HeaderLen+int(b[4])<<8+int(b[5]) <= len(b)
}

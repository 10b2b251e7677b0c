package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/rtnetlink"
	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/udp"
)

// TunnelDevice is the name of the tunnel's device on every node. UserTunnelDevice
// stands beside it where the kernel engine moves some packets and the user engine
// others: those that it moves cross it.
const (
	TunnelDevice     = "mip0"
	UserTunnelDevice = TunnelDevice + "-user"
)

// farOf names the other end of a device, where one is needed.
func farOf(dev string) string { return dev + "-outer" }

// A Side is one end of the bidirectional tunnel of RFC 6275, section 4.1.
type Side int

const (
	MobileSide Side = iota // one home address of each family, default routes
	AgentSide              // home addresses and routes to them for each mobile node
)

// A Binding says what is tunnelled: packets of Inner and Inner4 travel between
// Local, the outer address of this end, and Remote, that of the other. Both outer
// addresses are of one family, whichever: RFC 5555, section 4.1. One of the inner
// addresses may be missing: Mobile IPv4 binds an IPv4 one alone, RFC 5944, section 4.2.
type Binding struct {
	Inner  netip.Addr // the home address; invalid: none
	Inner4 netip.Addr // the IPv4 home address, which moves with it; invalid: none
	Local  netip.Addr // mobile: care-of address; agent: home agent address
	Remote netip.Addr // mobile: home agent address; agent: care-of address, or the NAT's
	UDP    UDPPorts   // over IPv4: in UDP between these; zero: without
}

// UDPPorts are those of the outer UDP header: RFC 5555, section 4.2.
type UDPPorts struct {
	Local  uint16 // mobile: as its Binding Updates have; agent: udp.EncapsulationPort
	Remote uint16 // mobile: udp.EncapsulationPort; agent: as Binding Updates came from
}

// check says what is wrong with a binding.
func (b *Binding) check() error {
	switch {
	case !b.Inner.Is6() && (b.Inner.IsValid() || !b.Inner4.IsValid()):
		return fmt.Errorf("home address %v: want an IPv6 address", b.Inner)
	case b.Inner4.IsValid() && !b.Inner4.Is4():
		return fmt.Errorf("IPv4 home address %v: want an IPv4 address", b.Inner4)
	case !b.Local.IsValid() || !b.Remote.IsValid() || b.Local.Is4() != b.Remote.Is4():
		return fmt.Errorf("from %v to %v: want two addresses of one family", b.Local, b.Remote)
	case b.UDP == UDPPorts{}:
		return nil
	case !b.Local.Is4():
		return fmt.Errorf("from %v to %v in UDP: want two IPv4 addresses", b.Local, b.Remote)
	case b.UDP.Local == 0 || b.UDP.Remote == 0:
		return fmt.Errorf("UDP from port %d to port %d: want two ports", b.UDP.Local, b.UDP.Remote)
	}
	return nil
}

// home is the inner address by which the binding is named.
func (b *Binding) home() netip.Addr {
	if b.Inner.IsValid() {
		return b.Inner
	}
	return b.Inner4
}

// source is where packets of the binding come from. Its port is 0 without UDP.
func (b *Binding) source() netip.AddrPort { return netip.AddrPortFrom(b.Remote, b.UDP.Remote) }

// overhead is what goes before each inner packet, octets.
func (b *Binding) overhead() int {
	switch {
	case !b.Local.Is4():
		return ipv6.HeaderLen
	case b.UDP == UDPPorts{}:
		return ipv4.HeaderLen
	}
	return ipv4.HeaderLen + udp.HeaderLen
}

// Counters say what a tunnel has carried and refused since it was opened.
type Counters struct {
	SentPackets, SentOctets         uint64 // inner ones; the kernel engine does not count them
	ReceivedPackets, ReceivedOctets uint64 // inner ones; the kernel engine does not count them
	WrongOuter                      uint64 // packets whose outer source is of no binding
	WrongInner                      uint64 // packets whose inner address is not of the binding that they came by; see Refusals
	Congested                       uint64 // packets dropped as they met congestion and have no way to say so: RFC 6040, section 4.2
}

// A Refusal is a packet that came by the tunnel and was dropped. The mobile side
// of the kernel engine drops those with a wrong inner address without one.
type Refusal struct {
	Reason string     // wrong-outer-source, wrong-inner-address, malformed
	Outer  netip.Addr // source of the outer header; invalid: not known
	Port   uint16     // that the outer UDP header has; 0: there is none
	Inner  netip.Addr // source of the inner header
}

// A Tunnel carries IPv6 and IPv4 in IPv6, in IPv4 and in UDP over IPv4: RFC 2473,
// RFC 4213, RFC 2003 and RFC 5555, section 4.1, as RFC 6275, sections 10.4.5 and
// 11.3.1, uses it. Its device is TunnelDevice. Packets that do not fit are answered
// with a Packet Too Big, or for IPv4 with a Destination Unreachable (fragmentation
// needed) where they must not be cut; errors about outer packets are passed on to
// the inner source.
//
// The user engine copies the DS field to outer headers, and what the way has done to
// ECN back from there: RFC 6040, its normal mode, which RFC 5555, section 4.1.1,
// asks for in the words of its predecessor; other bits of an inner packet stay as
// they are. The kernel engine, as the kernel has it, copies only to outer headers.
//
// The mobile side takes packets from Remote at whichever of its addresses they
// come in, as some are on their way to the former care-of address while Local
// changes, and goes on to take those from the Remote of the former binding; the
// agent side takes them only as the binding says.
type Tunnel struct {
	host   *Host
	cfg    TunnelConfig
	why    string
	kernel *kernelEngine  // nil: there is none
	user   *userEngine    // carries what the kernel engine does not
	socks  [2][2]*os.File // by outer and inner family (IPv6, IPv4): what comes in, but for UDP and what the kernel engine takes
	out    [2]*os.File    // whole packets by family: errors passed on
	errors [2]*os.File    // ICMP errors about outer packets, by family

	mu       sync.RWMutex
	closed   bool
	byInner  map[netip.Addr]*binding // by Inner and by Inner4
	expected *binding                // see Expect; nil: none
	former   *binding                // mobile side: the one before, where packets came from elsewhere; nil: none
	held4    netip.Addr              // mobile side: the IPv4 home address on the device; invalid: none
	remotes  map[netip.AddrPort]int  // bindings by source, the expected and the former one among them

	sentPackets, sentOctets, receivedPackets, receivedOctets, wrongOuter, wrongInner, congested atomic.Uint64

	identification atomic.Uint32 // of the last packet sent in fragments: a counter that begins anywhere, RFC 7739, section 5.3

	refusals chan Refusal
	running  sync.WaitGroup
	closing  sync.Once
}

// A binding is a Binding that is in place.
type binding struct {
	Binding
	mtu   int        // of the path of outer packets, octets
	table int        // of the kernel engine, for what comes out of the tunnel
	port  *udpSocket // its UDP port; nil: none
	ways  *ways      // of which it is one; nil: it is the only way
}

// Indexes by family.
const (
	six  = 0
	four = 1
)

func familyIndex(a netip.Addr) int {
	if a.Is4() {
		return four
	}
	return six
}

// inners are the inner addresses of a binding.
func (b *binding) inners() []netip.Addr {
	if b.Inner.IsValid() && b.Inner4.IsValid() {
		return []netip.Addr{b.Inner, b.Inner4}
	}
	return []netip.Addr{b.home()}
}

// An engine moves packets between the device and the outside.
type engine interface {
	// carries says whether packets of an inner address of a binding are the engine's.
	carries(of *binding, inner netip.Addr) bool
	// expect appends what takes packets that come by of: the mobile side.
	expect(b *batch, of *binding)
	// forsake appends what ends expect.
	forsake(b *batch, of *binding)
	// install appends what puts new in the place of old, which may be nil. At the
	// mobile side both are, or were, expected. Of both, the engine carries something.
	install(b *batch, new, old *binding)
	// remove appends what takes away what install has put in place.
	remove(b *batch, old *binding)
}

// engines are those of the tunnel.
func (t *Tunnel) engines() []engine {
	if t.kernel == nil {
		return []engine{t.user}
	}
	return []engine{t.kernel, t.user}
}

// hasPart says whether an engine carries something of a binding, which may be nil.
func hasPart(e engine, of *binding) bool {
	if of == nil {
		return false
	}
	for _, inner := range of.inners() {
		if e.carries(of, inner) {
			return true
		}
	}
	return false
}

// install appends what puts new in the place of old, which may be nil: what is new
// first.
func (t *Tunnel) install(b *batch, new, old *binding) {
	for _, e := range t.engines() {
		switch {
		case !hasPart(e, new):
		case hasPart(e, old):
			e.install(b, new, old)
		default:
			e.install(b, new, nil)
		}
	}
	for _, e := range t.engines() {
		if hasPart(e, old) && !hasPart(e, new) {
			e.remove(b, old)
		}
	}
}

func (t *Tunnel) remove(b *batch, old *binding) {
	for _, e := range t.engines() {
		if hasPart(e, old) {
			e.remove(b, old)
		}
	}
}

// TunnelConfig says what tunnel is wanted.
type TunnelConfig struct {
	Engine      string // auto, user, kernel
	Side        Side
	HomeAddress netip.Addr // mobile side: on the device for as long as the tunnel is open; not valid: see SetHome

	// HomeAddress4 is the IPv4 home address, where it is known from the beginning;
	// else Set brings it.
	HomeAddress4 netip.Addr
}

const (
	tunnelMetric  = 100  // of routes into the tunnel: before others of the main table
	nowhereMetric = 4096 // behind all others
	tunnelHops    = 64   // hop limit of outer packets
	smallestMTU   = 1280 // of IPv6: RFC 8200, section 5
	smallestMTU4  = 552  // of a path over IPv4: what the kernel cuts outer packets to fit (net.ipv4.route.min_pmtu)
	usualMTU      = 1500
	largestInner  = 65535
	refusalsHeld  = 64 // for who reads Refusals
)

// NewTunnel makes the tunnel's device and opens the tunnel. Engine auto is
// kernel where this kernel can do it, else user. Engine kernel carries IPv6 in IPv6
// and leaves all else to the user engine beside it: seg6 knows no outer header of
// IPv4, and takes IPv4 out of IPv6 only into a VRF.
func (h *Host) NewTunnel(cfg TunnelConfig) (*Tunnel, error) {
	switch cfg.Engine {
	case "user":
		return h.openTunnel(cfg, "it was asked for", h.openPacketDevice)
	case "kernel":
		return h.openTunnel(cfg, "it was asked for", h.openPacketDevice)
	case "auto", "":
		cfg.Engine = "kernel"
		t, err := h.openTunnel(cfg, "this kernel has seg6", h.openPacketDevice)
		if err == nil {
			return t, nil
		}
		cfg.Engine = "user"
		return h.openTunnel(cfg, err.Error(), h.openPacketDevice)
	}
	return nil, fmt.Errorf("tunnel: engine %q: want auto, user or kernel", cfg.Engine)
}

func (h *Host) openTunnel(cfg TunnelConfig, why string, make func(name string) (*packetDevice, error)) (*Tunnel, error) {
	if err := allOf(h.orderRules(), h.TakeAnySource()); err != nil {
		return nil, err
	}
	h.removeLeftovers()
	t := &Tunnel{
		host: h, cfg: cfg, why: why,
		byInner: map[netip.Addr]*binding{}, remotes: map[netip.AddrPort]int{},
		refusals: newRefusals(),
	}
	t.user = &userEngine{tunnel: t, name: TunnelDevice, make: make}
	if cfg.Engine == "kernel" {
		t.user.name = UserTunnelDevice
		t.kernel = &kernelEngine{tunnel: t}
	}
	if err := t.open(); err != nil {
		t.Close()
		return nil, fmt.Errorf("tunnel: engine %s: %w", cfg.Engine, err)
	}
	t.running.Add(2)
	go t.passErrors(six)
	go t.passErrors(four)
	if t.kernel != nil {
		t.kernel.start()
	}
	t.user.start()
	h.encapsulated.tunnel.Store(t)
	return t, nil
}

func newRefusals() chan Refusal { return make(chan Refusal, refusalsHeld) }

// removeLeftovers takes away the devices of a process that ended without closing
// its tunnel.
func (h *Host) removeLeftovers() {
	for _, name := range []string{TunnelDevice, farOf(TunnelDevice), UserTunnelDevice, farOf(UserTunnelDevice)} {
		if l, err := h.nl.link(0, name); err == nil {
			h.removeLink(l.index)
		}
	}
}

func (t *Tunnel) open() (err error) {
	for outer := range t.socks {
		for inner := range t.socks[outer] {
			if t.socks[outer][inner], err = openOuter(outer, inner); err != nil {
				return err
			}
		}
		if t.out[outer], err = openRawOf(outer); err != nil {
			return err
		}
	}
	if t.errors[six], err = openErrors(); err != nil {
		return err
	}
	if t.errors[four], err = openErrors4(); err != nil {
		return err
	}
	if t.kernel != nil {
		if err := t.kernel.open(); err != nil {
			return err
		}
	}
	if err := t.user.open(); err != nil {
		return err
	}
	if t.cfg.Side != MobileSide {
		// Between two mobile nodes packets come and go by one device, and that is no
		// reason to tell the first of a better way.
		return allOf(
			t.host.SetSysctl4("conf/all/send_redirects", "0"),
			t.host.SetSysctl4("conf/"+t.user.name+"/send_redirects", "0"))
	}
	var b batch
	if t.cfg.HomeAddress.IsValid() {
		t.holdAddress(&b, t.cfg.HomeAddress)
	}
	if t.cfg.HomeAddress4.IsValid() {
		t.hold4(&b, t.cfg.HomeAddress4)
	}
	return t.host.nl.do(&b)
}

// SetHome puts the home address on the device of the mobile side, where it was
// not known before: once, and before the binding of it is set.
func (t *Tunnel) SetHome(home netip.Addr) error {
	var b batch
	t.holdAddress(&b, home)
	return t.host.nl.do(&b)
}

// deviceOf is the index of the device that holds a home address of the mobile side.
func (t *Tunnel) deviceOf(home netip.Addr) int {
	if t.kernel != nil && home.Is6() {
		return t.kernel.near.index
	}
	return t.user.dev.index
}

// holdAddress gives the device a home address. Without a binding and away from home
// applications keep it, and what they send is lost: it must not leave from a
// care-of address.
func (t *Tunnel) holdAddress(b *batch, home netip.Addr) {
	b.addAddress(t.deviceOf(home), netip.PrefixFrom(home, home.BitLen()), AddressFlags{NoDAD: true, NoPrefixRoute: true})
	b.replaceRoute(Route{Src: home, Metric: nowhereMetric}, t.deviceOf(home))
}

// hold4 makes the device hold an IPv4 home address instead of another; an invalid
// one: none.
func (t *Tunnel) hold4(b *batch, home netip.Addr) {
	if t.held4 == home {
		return
	}
	if t.held4.IsValid() {
		b.removeRoute(Route{Src: t.held4, Metric: nowhereMetric}, t.deviceOf(t.held4))
		b.removeAddress(t.deviceOf(t.held4), netip.PrefixFrom(t.held4, 32))
	}
	if t.held4 = home; home.IsValid() {
		t.holdAddress(b, home)
	}
}

// openOuter opens a socket for inner packets of a family behind outer headers of a
// family: the kernel writes and takes off the latter, and cuts outer packets into
// fragments where an inner one of 1280 octets needs it (RFC 2473, section 7.1; RFC
// 4213, section 3.2).
func openOuter(outer, inner int) (*os.File, error) {
	protocol := [...]int{six: ipv6.Encapsulate, four: ipv6.IPv4}[inner]
	domain, level := unix.AF_INET6, unix.IPPROTO_IPV6
	options := []struct{ name, value int }{
		{unix.IPV6_RECVPKTINFO, 1},
		{unix.IPV6_RECVTCLASS, 1},
		{unix.IPV6_FREEBIND, 1},
		{unix.IPV6_UNICAST_HOPS, tunnelHops},
		{unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_WANT},
	}
	if outer == four {
		domain, level = unix.AF_INET, unix.IPPROTO_IP
		options = []struct{ name, value int }{
			{unix.IP_FREEBIND, 1},
			{unix.IP_TTL, tunnelHops},
			{unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_WANT},
		}
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), fmt.Sprintf("protocol %d", protocol))
	for _, option := range options {
		if err := unix.SetsockoptInt(fd, level, option.name, option.value); err != nil {
			f.Close()
			return nil, err
		}
	}
	largeBuffer(fd, 8<<20)
	return f, nil
}

// Engine says which engine was chosen, user or kernel, and why. EngineOf says which
// moves the packets of a home address.
func (t *Tunnel) Engine() (name, why string) {
	if t.kernel == nil {
		return "user", t.why
	}
	return "kernel", t.why
}

// EngineOf says which engine moves the packets of a home address of either family as
// it is bound now, and why. Of one that is not bound it says what Engine does.
func (t *Tunnel) EngineOf(home netip.Addr) (name, why string) {
	t.mu.RLock()
	of := t.byInner[home]
	t.mu.RUnlock()
	switch {
	case of == nil || t.kernel == nil || t.kernel.carries(of, home):
		return t.Engine()
	case of.ways != nil:
		return "user", "seg6 sorts no flows"
	case of.Local.Is4():
		return "user", "seg6 puts no IPv4 header before a packet"
	}
	return "user", "seg6 takes IPv4 out of IPv6 only into a VRF"
}

// Counters says what was carried and refused so far.
func (t *Tunnel) Counters() Counters {
	return Counters{
		SentPackets: t.sentPackets.Load(), SentOctets: t.sentOctets.Load(),
		ReceivedPackets: t.receivedPackets.Load(), ReceivedOctets: t.receivedOctets.Load(),
		WrongOuter: t.wrongOuter.Load(), WrongInner: t.wrongInner.Load(),
		Congested: t.congested.Load(),
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

// Set makes or changes the binding of a home address, with its routes: the default
// routes at the mobile side, which has one binding; one to Inner and one to Inner4 at
// the agent side. A binding is known by Inner, or by Inner4 where that is all. Where
// it fails there is no binding any more. At the mobile side the device holds Inner4 from then on, until another is bound or Release4 is called.
func (t *Tunnel) Set(want Binding) error {
	err := t.set(want)
	for wait := time.Millisecond; errors.Is(err, unix.ENOMEM) && wait < storeFilled; wait *= 2 {
		time.Sleep(wait)
		err = t.set(want)
	}
	return err
}

// storeFilled bounds the waits of Set where the kernel has no memory for a route just
// then: it takes a part of each from a store of per-processor memory that it fills up
// in the background, and many bindings in quick succession may find that empty.
const storeFilled = 64 * time.Millisecond

func (t *Tunnel) set(want Binding) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.another(want); err != nil {
		return err
	}
	var b batch
	new, err := t.expected, error(nil)
	if new == nil || new.Binding != want {
		if new, err = t.prepare(&b, want, nil); err != nil {
			return err
		}
	} else {
		t.expected = nil
	}
	return t.replace(&b, new, want.home())
}

// replace puts a binding that is prepared in the place of the one that there is of a
// home address, if any.
func (t *Tunnel) replace(b *batch, new *binding, home netip.Addr) error {
	old := t.byInner[home]
	if t.former != nil {
		t.discard(b, t.former)
		t.former = nil
	}
	if new.Inner4.IsValid() && t.cfg.Side == MobileSide {
		t.hold4(b, new.Inner4)
	}
	t.install(b, new, old)
	if old != nil {
		t.forget(old)
		if t.cfg.Side == MobileSide && old.ways == nil && new.from(old.source(), netip.Addr{}) == nil {
			t.former = old
		} else {
			t.discardAll(b, old)
		}
	}
	if err := t.host.nl.do(b); err != nil {
		var undo batch
		t.remove(&undo, new)
		t.discardAll(&undo, new)
		t.host.nl.do(&undo)
		return fmt.Errorf("tunnel: binding of %v: %w", home, err)
	}
	for _, inner := range new.inners() {
		t.byInner[inner] = new
	}
	return nil
}

// discardAll is discard, of all the ways of a binding.
func (t *Tunnel) discardAll(b *batch, old *binding) {
	for _, of := range old.all() {
		t.discard(b, of)
	}
}

func (t *Tunnel) forget(old *binding) {
	for _, inner := range old.inners() {
		delete(t.byInner, inner)
	}
}

// Release4 takes the IPv4 home address from the device of the mobile side, where it
// is not bound any more.
func (t *Tunnel) Release4() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byInner[t.held4] != nil {
		return fmt.Errorf("tunnel: IPv4 home address %v is bound: clear it first", t.held4)
	}
	var b batch
	t.hold4(&b, netip.Addr{})
	return t.host.nl.do(&b)
}

// Expect takes the packets of a binding from now on, and sends none by it: the
// home agent may send them before its acknowledgement has come. The mobile side
// expects one binding, beside that of Set, until Set makes it the binding, Forsake
// ends it, or another takes its place.
func (t *Tunnel) Expect(want Binding) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cfg.Side != MobileSide {
		return fmt.Errorf("tunnel: binding of %v: only a mobile node expects one", want.home())
	}
	if err := t.another(want); err != nil {
		return err
	}
	var b batch
	new, err := t.prepare(&b, want, nil)
	if err != nil {
		return err
	}
	t.forsake(&b)
	t.expected = new
	if err := t.host.nl.do(&b); err != nil {
		t.forsake(&b)
		t.host.nl.do(&b)
		return fmt.Errorf("tunnel: binding of %v: %w", want.home(), err)
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

// another says what is wrong with a binding, also where the mobile side has another
// home address, or another binding has the IPv4 home address.
func (t *Tunnel) another(want Binding) error {
	if err := want.check(); err != nil {
		return fmt.Errorf("tunnel: binding of %v: %w", want.home(), err)
	}
	if t.cfg.Side == MobileSide && t.byInner[want.home()] == nil && len(t.byInner) > 0 {
		return fmt.Errorf("tunnel: home address %v: another is bound, and a mobile node has one", want.home())
	}
	if of := t.byInner[want.Inner4]; of != nil && of.home() != want.home() {
		return fmt.Errorf("tunnel: binding of %v: IPv4 home address %v is bound with %v", want.home(), want.Inner4, of.home())
	}
	return nil
}

// prepare makes a binding of which packets are taken; among is the ways that it is
// one of, nil where it is the only one. The caller holds mu.
func (t *Tunnel) prepare(b *batch, want Binding, among *ways) (*binding, error) {
	new := &binding{Binding: want, mtu: t.host.pathMTU(want.Local, want.Remote), ways: among}
	if want.UDP.Local != 0 {
		var err error
		if new.port, err = t.host.useUDP(want.UDP.Local); err != nil {
			return nil, fmt.Errorf("tunnel: binding of %v: %w", want.home(), err)
		}
	}
	t.remotes[want.source()]++
	for _, e := range t.engines() {
		if hasPart(e, new) {
			e.expect(b, new)
		}
	}
	return new, nil
}

// discard takes back what prepare did.
func (t *Tunnel) discard(b *batch, old *binding) {
	if t.remotes[old.source()]--; t.remotes[old.source()] == 0 {
		delete(t.remotes, old.source())
	}
	for _, e := range t.engines() {
		if hasPart(e, old) {
			e.forsake(b, old)
		}
	}
	t.host.leaveUDP(old.port)
}

// Clear ends the binding of a home address, and of the IPv4 home address with it. To
// clear what is not set is no error.
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
		t.remove(b, old)
		t.discardAll(b, old)
		t.forget(old)
	}
	if t.former != nil && t.former.home() == inner {
		t.discard(b, t.former)
		t.former = nil
	}
}

// innerMTU is the longest inner packet of a family that is sent whole. One of 1280
// octets of IPv6 always goes: its outer packet is cut where need be.
func (b *binding) innerMTU(family int) int {
	if family == four {
		return b.mtu - b.overhead()
	}
	return max(b.mtu-b.overhead(), smallestMTU)
}

// wanted is the route that leads packets of an inner address of the binding into the
// tunnel. At the agent side, which forwards them, nothing but Set changes its MTU; at
// the mobile side, which sends them, there may be narrower places behind the tunnel.
func (t *Tunnel) wanted(b *binding, inner netip.Addr) Route {
	r := Route{Metric: tunnelMetric, MTU: b.fits(familyIndex(inner))}
	if t.cfg.Side == MobileSide {
		r.Src = inner
	} else {
		r.To, r.MTULocked = netip.PrefixFrom(inner, inner.BitLen()), true
	}
	return r
}

// pathMTU is the longest packet that the kernel would send whole from src to
// dst.
func (h *Host) pathMTU(src, dst netip.Addr) int {
	device, mtu := 0, 0
	h.way(src, dst, func(kind uint16, value []byte) {
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
	if device != 0 && mtu == 0 {
		if of, err := h.MTU(h.Name(device)); err == nil {
			mtu = of
		}
	}
	switch {
	case mtu == 0, dst.Is6() && mtu < smallestMTU: // no route at the moment
		return usualMTU
	case dst.Is4():
		return max(mtu, smallestMTU4)
	}
	return mtu
}

// way calls f with each attribute of the route that the kernel would take. An invalid
// source leaves that to the kernel.
func (h *Host) way(src, dst netip.Addr, f func(kind uint16, value []byte)) {
	var b batch
	header := make([]byte, unix.SizeofRtMsg)
	header[0], header[1] = family(dst), byte(dst.BitLen())
	if src.IsValid() {
		header[2] = byte(src.BitLen())
	}
	start := b.Begin("route", unix.RTM_GETROUTE, 0, header)
	b.Address(unix.RTA_DST, dst)
	if src.IsValid() {
		b.Address(unix.RTA_SRC, src)
	}
	b.End(start)
	h.nl.ask(&b, false, func(kind uint16, body []byte) {
		if kind == unix.RTM_NEWROUTE && len(body) >= unix.SizeofRtMsg {
			rtnetlink.EachAttribute(body[unix.SizeofRtMsg:], f)
		}
	})
}

// sourceTo is the address that the kernel would send from to dst; invalid: there is
// no route.
func (h *Host) sourceTo(dst netip.Addr) (src netip.Addr) {
	h.way(netip.Addr{}, dst, func(kind uint16, value []byte) {
		if kind == unix.RTA_PREFSRC {
			src, _ = netip.AddrFromSlice(value)
		}
	})
	return src
}

// Send sends whole packets through the tunnel by the binding of a home address,
// whatever routes there are for applications.
func (t *Tunnel) Send(inner netip.Addr, packets ...[]byte) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	by := t.byInner[inner]
	if by == nil {
		return fmt.Errorf("tunnel: send from %v: it has no binding", inner)
	}
	var out outboxes
	var segments cutter
	for _, b := range packets {
		if isIP(b) {
			t.encapsulate(b, offload{}, []*binding{by}, by.mtu, &segments, &out)
		}
	}
	return out.send()
}

// Close ends the tunnel: its devices, its bindings and their routes go.
func (t *Tunnel) Close() error {
	t.host.encapsulated.tunnel.CompareAndSwap(t, nil)
	t.mu.Lock()
	t.closed = true
	var b batch
	for inner := range t.byInner {
		t.clear(&b, inner)
	}
	if t.former != nil {
		t.clear(&b, t.former.home())
	}
	t.forsake(&b)
	err := t.host.nl.do(&b)
	t.mu.Unlock()
	for _, files := range [][2]*os.File{t.socks[six], t.socks[four], t.out, t.errors} {
		for _, f := range files {
			if f != nil {
				f.Close()
			}
		}
	}
	if t.kernel != nil {
		t.kernel.close()
	}
	t.user.close()
	t.running.Wait()
	t.closing.Do(func() { close(t.refusals) })
	return err
}

// versionOf is the family of an IP packet, which its first four bits say: RFC 5555,
// section 4.1.
func versionOf(b []byte) int {
	if b[0]>>4 == 4 {
		return four
	}
	return six
}

// addresses are those of an IP header.
func addresses(b []byte) (src, dst netip.Addr) {
	if versionOf(b) == four {
		return netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	}
	return netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
}

// isIPv6 says whether b can be an IPv6 packet that is whole.
func isIPv6(b []byte) bool {
	return len(b) >= ipv6.HeaderLen && b[0]>>4 == 6 && ipv6.HeaderLen+int(b[4])<<8+int(b[5]) <= len(b)
}

// isIPv4 says whether b can be an IPv4 packet that is whole.
func isIPv4(b []byte) bool {
	if len(b) < ipv4.HeaderLen || b[0]>>4 != 4 {
		return false
	}
	header, total := headerOf4(b), int(b[2])<<8+int(b[3])
	return header >= ipv4.HeaderLen && header <= total && total <= len(b)
}

// headerOf4 is what an IPv4 packet says is its header's length, octets.
func headerOf4(b []byte) int { return int(b[0]&0xf) * 4 }

// isIP says whether b can be an IP packet that is whole.
func isIP(b []byte) bool { return isIPv6(b) || isIPv4(b) }

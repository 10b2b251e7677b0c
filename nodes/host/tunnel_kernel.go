package host

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/ipv6"
)

// kernelEngine leaves the packets to the kernel's seg6: a route in mode encap.red
// with one segment is plain IPv6 in IPv6 on the wire, and the behaviour End.DT6
// takes such a header off again: RFC 8986, sections 4.6 and 5.2.
//
// TunnelDevice is one end of a veth pair. Its other end holds the outer source
// address, alone, so that the kernel finds no other for packets that a route
// through that device encapsulates.
//
// What comes in is sorted by tables. A rule leads protocol 41 to tableOuter,
// whose routes know the outer source. At the mobile side they lead to a table
// that holds the home address and nothing else. At the agent side each binding
// has a table of its own: its inner source goes, through the veth pair, into
// TunnelDevice and from there where the node's routes say; all else takes the
// same way to a link-layer address that is nobody's, where it is counted.
type kernelEngine struct {
	tunnel    *Tunnel
	near, far link
	strays    *os.File           // what arrives at TunnelDevice for nobody
	locals    map[netip.Addr]int // bindings by Local, whose addresses the far end has
	heard     map[netip.Addr]int // mobile side: bindings by Remote, of which packets are taken
	free      []int              // agent side: tables that were used before
	tables    int                // agent side: used so far
}

const (
	tableOuter = 41_000_000 // tables have numbers of 32 bits
	tableInner = tableOuter + 1
)

// seg6: include/uapi/linux/seg6_iptunnel.h and seg6_local.h.
const (
	encapsulateSeg6      = 5 // LWTUNNEL_ENCAP_SEG6
	encapsulateSeg6Local = 7 // LWTUNNEL_ENCAP_SEG6_LOCAL
	seg6Header           = 1 // SEG6_IPTUNNEL_SRH
	seg6EncapReduced     = 3 // SEG6_IPTUN_MODE_ENCAP_RED
	seg6LocalAction      = 1 // SEG6_LOCAL_ACTION
	seg6LocalTable       = 3 // SEG6_LOCAL_TABLE
	seg6EndDT6           = 7 // SEG6_LOCAL_ACTION_END_DT6
	seg6Routing          = 4 // type of the routing header
	seg6Headroom         = 64
)

// Neighbours on the veth pair: one is TunnelDevice, one is nobody.
var (
	neighborSelf   = netip.MustParseAddr("fe80::1")
	neighborNobody = netip.MustParseAddr("fe80::2")
	nobodyMAC      = [6]byte{0x02, 'm', 'i', 'p', 0, 1}
)

// tunnelFar is the other end of TunnelDevice.
var tunnelFar = farOf(TunnelDevice)

// carries is true for IPv6 in IPv6 by a single way: a route knows no flows. For End.DT4, which takes IPv4 out of IPv6, the
// kernel wants a VRF; and there is no outer header of IPv4: RFC 8986, section 4.7.
func (e *kernelEngine) carries(of *binding, inner netip.Addr) bool {
	return inner.Is6() && of.Local.Is6() && of.ways == nil
}

// encapsulate is for a route whose packets get an outer header to dst. The
// kernel keeps 64 octets free for one, of which one without a routing header
// takes 40: the route's MTU makes up for the rest.
func encapsulate(dst netip.Addr) func(*batch) {
	return func(b *batch) {
		start := b.Nest(unix.RTA_ENCAP)
		value := native.AppendUint32(nil, seg6EncapReduced)
		value = append(value, 0, 2, seg6Routing, 0, 0, 0, 0, 0) // one segment: RFC 8754, section 2
		octets := dst.As16()
		b.Attribute(seg6Header, append(value, octets[:]...))
		b.Unnest(start)
		encapType(b, encapsulateSeg6)
	}
}

// decapsulate is for a route whose packets lose their outer header and are then
// looked up in a table.
func decapsulate(table int) func(*batch) {
	return func(b *batch) {
		start := b.Nest(unix.RTA_ENCAP)
		b.Number(seg6LocalAction, seg6EndDT6)
		b.Number(seg6LocalTable, table)
		b.Unnest(start)
		encapType(b, encapsulateSeg6Local)
	}
}

func encapType(b *batch, kind uint16) {
	b.Attribute(unix.RTA_ENCAP_TYPE, native.AppendUint16(nil, kind))
}

func (e *kernelEngine) open() (err error) {
	h := e.tunnel.host
	if h.path < smallestMTU+ipv6.HeaderLen {
		return fmt.Errorf("a link carries no more than %d octets, and seg6 does not cut outer packets into fragments: want %d",
			h.path, smallestMTU+ipv6.HeaderLen)
	}
	e.locals, e.heard = map[netip.Addr]int{}, map[netip.Addr]int{}
	if e.near, e.far, err = h.addVeth(TunnelDevice); err != nil {
		return err
	}
	if err := e.probe(); err != nil {
		return fmt.Errorf("seg6: %w", err)
	}
	// For each packet the kernel looks for a source, and it need not look at other devices.
	if err := h.SetSysctl("conf/"+tunnelFar+"/use_oif_addrs_only", "1"); err != nil {
		return err
	}
	if e.tunnel.cfg.Side == MobileSide {
		return nil
	}
	if err := h.SetForwarding(true); err != nil {
		return err
	}
	var b batch
	b.permanentNeighbor(e.far.index, neighborSelf, tunnelMAC)
	b.permanentNeighbor(e.far.index, neighborNobody, nobodyMAC)
	if err := h.nl.do(&b); err != nil {
		return err
	}
	return e.openStrays()
}

func (b *batch) permanentNeighbor(index int, a netip.Addr, mac [6]byte) {
	b.neighbor("neighbour", unix.RTM_NEWNEIGH, index, unix.NUD_PERMANENT, 0, a, mac[:])
}

// probe makes and takes away one route of each kind that the engine needs.
func (e *kernelEngine) probe() error {
	a := netip.MustParseAddr("2001:db8::1") // never used: the table is asked by nobody
	probe := &binding{Binding: Binding{Inner: a, Local: a, Remote: a}, mtu: usualMTU, table: tableInner}
	var b batch
	for _, r := range []Route{e.out(probe), e.outer(probe), e.inner(probe)} {
		r.Table, r.Src = tableInner, netip.Addr{}
		b.replaceRoute(r, e.far.index)
		b.removeRoute(r, e.far.index)
	}
	return e.tunnel.host.nl.do(&b)
}

// out is the route that encapsulates.
func (e *kernelEngine) out(of *binding) Route {
	r := e.tunnel.wanted(of, of.Inner)
	r.MTU += seg6Headroom
	r.encapsulation = encapsulate(of.Remote)
	return r
}

// outer is the route that takes off the outer header of what comes from the
// other end.
func (e *kernelEngine) outer(of *binding) Route {
	r := Route{Table: tableOuter, encapsulation: decapsulate(of.table)}
	if e.tunnel.cfg.Side == AgentSide {
		r.To, r.From = netip.PrefixFrom(of.Local, 128), netip.PrefixFrom(of.Remote, 128)
	}
	return r
}

// inner is the route of a binding's own table.
func (e *kernelEngine) inner(of *binding) Route {
	if e.tunnel.cfg.Side == MobileSide {
		return Route{Table: of.table, To: netip.PrefixFrom(of.Inner, 128), Local: true}
	}
	return Route{Table: of.table, From: netip.PrefixFrom(of.Inner, 128), Via: neighborSelf}
}

// refused is the route for all that inner does not take.
func (e *kernelEngine) refused(of *binding) Route { return Route{Table: of.table, Via: neighborNobody} }

// rule leads to tableOuter. The mobile side has one for each home agent, the
// agent side one for each of its own addresses.
func (e *kernelEngine) rule(of *binding) Rule {
	r := Rule{Priority: priorityTunnel, Proto: ipv6.Encapsulate, Table: tableOuter}
	if e.tunnel.cfg.Side == MobileSide {
		r.From = netip.PrefixFrom(of.Remote, 128)
	} else {
		r.To = netip.PrefixFrom(of.Local, 128)
	}
	return r
}

func (e *kernelEngine) expect(b *batch, of *binding) {
	if e.tunnel.cfg.Side == AgentSide {
		return
	}
	of.table = tableInner
	if e.heard[of.Remote]++; e.heard[of.Remote] == 1 {
		b.replaceRoute(e.inner(of), loopbackIndex)
		b.replaceRoute(e.outer(of), e.far.index)
		b.rule("tunnel", unix.RTM_NEWRULE, e.rule(of), unix.EEXIST)
	}
}

func (e *kernelEngine) forsake(b *batch, of *binding) {
	if e.tunnel.cfg.Side == AgentSide {
		return
	}
	if e.heard[of.Remote]--; e.heard[of.Remote] > 0 {
		return
	}
	delete(e.heard, of.Remote)
	b.rule("tunnel", unix.RTM_DELRULE, e.rule(of), unix.ENOENT)
	if len(e.heard) == 0 {
		b.removeRoute(e.outer(of), e.far.index)
		b.removeRoute(e.inner(of), loopbackIndex)
	}
}

const loopbackIndex = 1 // in every network namespace

// install is quick where a binding changes, as packets are lost meanwhile: what
// stays is not touched, and routes are all that an agent changes, for which the
// kernel waits for nobody (since Linux 6.16).
func (e *kernelEngine) install(b *batch, new, old *binding) {
	if e.tunnel.cfg.Side == AgentSide {
		e.lead(b, new, old)
	}
	e.hold(b, new)
	if old != nil {
		e.drop(b, old)
	}
	b.replaceRoute(e.out(new), e.far.index)
}

// lead leads what comes by a binding of the agent side through a table of its own.
func (e *kernelEngine) lead(b *batch, new, old *binding) {
	switch {
	case old != nil:
		new.table = old.table
	case len(e.free) > 0:
		new.table = e.free[len(e.free)-1]
		e.free = e.free[:len(e.free)-1]
	default:
		new.table = tableInner + e.tables
		e.tables++
	}
	if old == nil {
		b.replaceRoute(e.inner(new), e.far.index)
		b.replaceRoute(e.refused(new), e.far.index)
	}
	b.replaceRoute(e.outer(new), e.far.index)
	if old != nil && (new.Local != old.Local || new.Remote != old.Remote) {
		b.removeRoute(e.outer(old), e.far.index)
	}
}

// hold makes the far end hold the outer source of a binding.
func (e *kernelEngine) hold(b *batch, of *binding) {
	if e.locals[of.Local]++; e.locals[of.Local] > 1 {
		return
	}
	b.addAddress(e.far.index, netip.PrefixFrom(of.Local, 128), AddressFlags{NoDAD: true, NoPrefixRoute: true})
	if e.tunnel.cfg.Side == AgentSide {
		b.rule("tunnel", unix.RTM_NEWRULE, e.rule(of), unix.EEXIST)
	}
}

// drop ends hold.
func (e *kernelEngine) drop(b *batch, old *binding) {
	if e.locals[old.Local]--; e.locals[old.Local] > 0 {
		return
	}
	delete(e.locals, old.Local)
	b.removeAddress(e.far.index, netip.PrefixFrom(old.Local, 128))
	if e.tunnel.cfg.Side == AgentSide {
		b.rule("tunnel", unix.RTM_DELRULE, e.rule(old), unix.ENOENT)
	}
}

func (e *kernelEngine) remove(b *batch, old *binding) {
	b.removeRoute(e.out(old), e.far.index)
	e.drop(b, old)
	if e.tunnel.cfg.Side == AgentSide {
		b.removeRoute(e.outer(old), e.far.index)
		b.removeRoute(e.inner(old), e.far.index)
		b.removeRoute(e.refused(old), e.far.index)
		e.free = append(e.free, old.table)
	}
}

func (e *kernelEngine) close() {
	if e.strays != nil {
		e.strays.Close()
	}
	e.tunnel.host.removeLink(e.far.index)
	e.tunnel.host.forget(e.near.index)
}

func (e *kernelEngine) start() {
	if e.strays != nil {
		e.tunnel.running.Add(1)
		go e.insiders()
	}
}

// openStrays opens a socket for what is sent to nobody.
func (e *kernelEngine) openStrays() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	e.strays = os.NewFile(uintptr(fd), "strays")
	if err := attach(fd, []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OTHERHOST, SkipFalse: 1},
		bpf.RetConstant{Val: ipv6.HeaderLen},
		bpf.RetConstant{Val: 0},
	}); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IPV6), Ifindex: e.near.index})
}

// insiders counts the packets that came by a binding with an inner source that
// is not of it.
func (e *kernelEngine) insiders() {
	t := e.tunnel
	defer t.running.Done()
	in, err := newBurst(e.strays, 16, ipv6.HeaderLen, 0)
	if err != nil {
		return
	}
	for {
		n, err := in.receive()
		if err != nil {
			return
		}
		for i := range n {
			if b := in.octets(i); len(b) >= ipv6.HeaderLen {
				inner, _ := addresses(b)
				t.refuse(&t.wrongInner, Refusal{Reason: "wrong-inner-address", Inner: inner})
			}
		}
	}
}

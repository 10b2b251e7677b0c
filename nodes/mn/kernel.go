package mn

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"

	"s2clab/nodes/host"
	"s2clab/nodes/wire/arp"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/udp"
)

// metricHome is that of ways through the home link: better than the tunnel's, so
// that applications send by the home link while that is used, else by the tunnel
// while there is one, else to the tunnel's device, which drops what it gets.
const metricHome = 50

// firstTable and the index of a device make the number of its routing table: the
// way out for packets whose source is a care-of address there.
const firstTable = 1000

// A tunnel is a *host.Tunnel.
type tunnel interface {
	SetHome(home netip.Addr) error
	Expect(host.Binding) error
	Forsake() error
	Set(host.Binding) error
	SetWays(host.Ways) error
	Clear(inner netip.Addr) error
	Send(inner netip.Addr, packets ...[]byte) error
	EngineOf(home netip.Addr) (name, why string)
	Refusals() <-chan host.Refusal
	Close() error
}

// kernel is the hands of a mobile node over nodes/host.
type kernel struct {
	host      *host.Host
	mobility  *host.MobilityPort
	nd        *host.NDPort
	arp       *host.ARPPort                   // nil: no IPv4
	dhcp4     map[string]*host.DHCPClientPort // by device; none: no IPv4
	dhcp6     map[string]*host.DHCPPort
	replies   *host.DiscoveryPort // nil: nobody is asked
	resolver  *host.Resolver      // nil: nobody is asked
	router4   netip.Addr          // of the home link, for IPv4
	ub        *host.UbClient      // nil: there is no BSF
	tunnel    tunnel
	optimizer *host.Optimizer // nil: no route optimization
	home      netip.Addr      // the home address; not valid: none was assigned yet
	home4     netip.Addr      // the IPv4 one that is bound, or was last; not valid: none

	registration *host.RegistrationPort // nil: no Mobile IPv4

	devices []string
	teller  teller
	ways    map[netip.Addr]way    // in use, by the address that uses it
	ports   map[string]devicePort // by device, of links that authenticate

	mu    sync.Mutex
	ready map[string]bool // devices whose link-local address may be used
}

// do does what the machine says. A packet that a device does not take since it
// has just lost its carrier is lost, as on the link.
func (k *kernel) do(o Output) error {
	err := k.act(o)
	switch o.(type) {
	case SolicitRouter, SolicitNeighbor, AdvertiseNeighbor, SendMobility, SendTunnelled, SolicitARP, SendEAPOL:
		if errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENETDOWN) {
			return nil
		}
	case SendDHCP, SolicitHomeAgents, AskNames, SendRegistration: // also before the device has its link-local address
		if errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENETDOWN) || errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) {
			return nil
		}
	}
	return err
}

func (k *kernel) act(o Output) error {
	switch o := o.(type) {
	case SolicitRouter:
		return k.solicitRouter(o)
	case SolicitNeighbor:
		return k.solicitNeighbor(o)
	case AdvertiseNeighbor:
		return k.advertiseNeighbor(o)
	case EnterAccess:
		return k.enterAccess(o)
	case LeaveAccess:
		return k.leaveAccess(o)
	case TakeHome:
		return k.takeHome(o)
	case UseHome4:
		return k.useHome4(o)
	case LeaveHome4:
		return k.leaveHome4(o)
	case EnterHome:
		return k.enterHome(o)
	case UseHome:
		return k.useHome(o)
	case QuitHome:
		return k.quitHome(o)
	case LeaveHome:
		return k.leaveHome(o)
	case SendMobility:
		if o.To.IsValid() {
			return k.mobility.SendUDP(o.Dev, o.From, o.To, o.Octets)
		}
		return k.mobility.SendOn(o.Dev, o.Octets)
	case AskBSF:
		k.ub.Send(host.UbRoute{Server: o.Server, Source: o.Source, Device: o.Dev}, o.Request)
		return nil
	case SendEAPOL:
		return k.ports[o.Dev].Send(o.To, o.Octets)
	case OpenPort:
		return k.ports[o.Dev].controlled.Open()
	case ShutPort:
		return k.ports[o.Dev].controlled.Shut()
	case SendDHCP:
		return k.sendDHCP(o)
	case SendTunnelled:
		return k.tunnel.Send(k.home, o.Octets)
	case SetCareOf:
		return k.optimizer.SetCareOf(o.Own, o.Peer, o.CareOf)
	case SetPeerCareOf:
		return k.optimizer.SetPeerCareOf(o.Own, o.Peer, o.CareOf)
	case SolicitARP:
		return k.arp.Send(o.Dev, arp.Packet{Operation: arp.Request, Sender: o.Source, Target: o.Target})
	case SendRegistration:
		return k.registration.Send(o.Dev, o.From, o.To, o.Octets)
	case SolicitHomeAgents:
		return k.solicitHomeAgents(o)
	case AskNames:
		return k.resolver.Ask(o.Dev, o.Source, o.Server, o.TCP, o.Octets)
	case ExpectTunnel:
		return k.tunnel.Expect(k.binding(SetTunnel(o)))
	case ForsakeTunnel:
		return k.tunnel.Forsake()
	case SetTunnel:
		return k.setTunnel(o)
	case SetWays:
		return k.setWays(o)
	case ClearTunnel:
		err := k.tunnel.Clear(k.inner())
		k.teller.Event("tunnel-cleared", nil)
		return err
	}
	return fmt.Errorf("no way to do %T", o)
}

// inner is the home address by which the tunnel knows what is bound.
func (k *kernel) inner() netip.Addr {
	if k.home.IsValid() {
		return k.home
	}
	return k.home4
}

// binding is a tunnel that the machine wants, as the host has it.
func (k *kernel) binding(o SetTunnel) host.Binding {
	b := host.Binding{Inner: k.home, Inner4: o.Home4, Local: o.Local, Remote: o.Remote}
	if o.UDP {
		b.UDP = host.UDPPorts{Local: udp.EncapsulationPort, Remote: udp.EncapsulationPort}
	}
	return b
}

func (k *kernel) setTunnel(o SetTunnel) error {
	if err := k.tunnel.Set(k.binding(o)); err != nil {
		return err
	}
	k.home4 = o.Home4
	engine, _ := k.tunnel.EngineOf(k.inner())
	k.teller.Event("tunnel-set", map[string]any{"engine": engine, "local": o.Local.String(), "remote": o.Remote.String()})
	return nil
}

func (k *kernel) setWays(o SetWays) error {
	w := host.Ways{Inner: k.home, Inner4: o.Home4, Flows: o.Flows}
	for _, way := range o.Ways {
		w.Each = append(w.Each, host.Way{BID: way.BID, Local: way.Local, Remote: way.Remote})
	}
	if err := k.tunnel.SetWays(w); err != nil {
		return err
	}
	for _, way := range o.Ways {
		k.teller.Event("tunnel-set", map[string]any{"engine": "user", "local": way.Local.String(), "remote": way.Remote.String(), "bid": int(way.BID)})
	}
	return nil
}

func (k *kernel) solicitRouter(o SolicitRouter) error {
	m, src := &icmp6.RouterSolicitation{}, netip.IPv6Unspecified()
	if k.isReady(o.Dev) {
		// Only then may it be told together with the link-layer address: RFC 4429,
		// section 3.2.
		m.Options, src = []icmp6.Option{icmp6.SourceLinkAddress{Address: o.LinkLayer[:]}}, o.Source
	}
	return k.discover(o.Dev, m, src, netip.IPv6LinkLocalAllRouters())
}

func (k *kernel) solicitNeighbor(o SolicitNeighbor) error {
	m := &icmp6.NeighborSolicitation{Target: o.Target}
	if !o.Source.IsUnspecified() {
		m.Options = []icmp6.Option{icmp6.SourceLinkAddress{Address: o.LinkLayer[:]}}
	}
	return k.discover(o.Dev, m, o.Source, o.Destination)
}

func (k *kernel) advertiseNeighbor(o AdvertiseNeighbor) error {
	return k.discover(o.Dev, &icmp6.NeighborAdvertisement{Override: o.Override, Target: o.Target,
		Options: []icmp6.Option{icmp6.TargetLinkAddress{Address: o.LinkLayer[:]}}}, o.Target, o.Destination)
}

func (k *kernel) discover(dev string, m icmp6.Message, src, dst netip.Addr) error {
	b, err := icmp6.Append(make([]byte, 0, 64), m, src, dst)
	if err != nil {
		return err
	}
	return k.nd.Send(dev, src, dst, b)
}

func (k *kernel) isReady(dev string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ready[dev]
}

func (k *kernel) setReady(dev string, ready bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ready[dev] = ready
}

// table is the routing table of a device.
func (k *kernel) table(dev string) (int, error) {
	index, err := k.host.Index(dev)
	return firstTable + index, err
}

func flagsOf(d DAD) host.AddressFlags {
	return host.AddressFlags{NoDAD: d == NoDAD, Optimistic: d == OptimisticDAD, NoPrefixRoute: true}
}

// rule sends what has the care-of address to the table of its device.
func rule(careOf netip.Addr, table int) host.Rule {
	return host.Rule{Priority: host.PriorityRole, From: netip.PrefixFrom(careOf, careOf.BitLen()), Table: table}
}

func (k *kernel) enterAccess(o EnterAccess) error {
	table, err := k.table(o.Dev)
	if err != nil {
		return err
	}
	careOf := o.Address.Addr()
	if careOf.Is4() {
		return k.enterAccess4(o, table)
	}
	k.useWay(careOf, way{o.Dev, o.Router})
	c := k.host.Changes()
	neighbor(c, o.Dev, o.Router, o.LinkLayer)
	c.AddAddress(o.Dev, o.Address, flagsOf(o.DAD))
	c.ReplaceRoute(host.Route{Dev: o.Dev, Via: o.Router, Table: table})
	c.ReplaceRoute(host.Route{To: o.Address.Masked(), Dev: o.Dev, Table: table})
	c.AddRule(rule(careOf, table))
	return errors.Join(k.hearQuestions(o.Dev, careOf), c.Do(), k.mobility.Listen(careOf))
}

// leaveAccess leaves the default route of the device's table: another address
// may use it, and nothing else does.
func (k *kernel) leaveAccess(o LeaveAccess) error {
	table, err := k.table(o.Dev)
	if err != nil {
		return err
	}
	careOf := o.Address.Addr()
	if careOf.Is4() {
		return errors.Join(k.host.RemoveAddress(o.Dev, o.Address), k.host.RemoveRule(rule(careOf, table)))
	}
	return errors.Join(
		k.nd.Leave(o.Dev, icmp6.SolicitedNode(careOf)),
		k.mobility.Ignore(careOf),
		k.host.RemoveAddress(o.Dev, o.Address),
		k.host.RemoveRule(rule(careOf, table)),
		k.leaveWay(careOf),
	)
}

// hearQuestions joins the group in which others ask for an address. The kernel
// does that too, but some time after it has taken the address, and a question
// that comes before is repeated only after a second.
func (k *kernel) hearQuestions(dev string, a netip.Addr) error {
	return k.nd.Join(dev, icmp6.SolicitedNode(a))
}

// neighbor tells the kernel a link-layer address that an advertisement told us:
// RFC 4861, section 6.3.4.
func neighbor(c *host.Changes, dev string, a netip.Addr, linkLayer [6]byte) {
	if linkLayer != ([6]byte{}) {
		c.SetNeighbor(dev, a, linkLayer[:])
	}
}

// A way is a router behind a device.
type way struct {
	dev    string
	router netip.Addr
}

func (k *kernel) useWay(of netip.Addr, w way) {
	if k.ways == nil {
		k.ways = map[netip.Addr]way{}
	}
	k.ways[of] = w
}

// leaveWay drops what waits for the router of an address that is left, unless
// another address uses it. On the next visit it would go out ahead of the Binding
// Update, through a tunnel that is no more, and the home agent would answer it
// with a Binding Error.
func (k *kernel) leaveWay(of netip.Addr) error {
	left, there := k.ways[of]
	delete(k.ways, of)
	for _, w := range k.ways {
		there = there && w != left
	}
	if !there {
		return nil
	}
	return k.host.RemoveNeighbor(left.dev, left.router)
}

func (k *kernel) toHomeAgent(dev string, homeAgent, router netip.Addr, onLink bool) host.Route {
	r := host.Route{To: netip.PrefixFrom(homeAgent, 128), Dev: dev, Metric: metricHome}
	if !onLink {
		r.Via = router
	}
	return r
}

// takeHome begins with what a process before this one, which may have ended at
// home, has left of the address.
func (k *kernel) takeHome(o TakeHome) error {
	k.home = o.Address.Addr()
	k.mobility.TakeAnyUDP(false)
	var failed error
	if k.optimizer != nil {
		failed = k.optimizer.SetHome(k.home)
	}
	err := k.clearHome(o.Address, o.HomeAgent)
	return errors.Join(failed, err, k.mobility.Listen(k.home), k.tunnel.SetHome(k.home))
}

// clearHome takes the home address off every device of a link.
func (k *kernel) clearHome(home netip.Prefix, homeAgent netip.Addr) error {
	var err error
	for _, dev := range k.devices {
		err = errors.Join(err,
			k.quitHome(QuitHome{Dev: dev, Prefix: home.Masked()}),
			k.leaveHome(LeaveHome{Dev: dev, Address: home, HomeAgent: homeAgent}))
	}
	return err
}

func (k *kernel) enterHome(o EnterHome) error {
	k.useWay(k.home, way{o.Dev, o.Router})
	c := k.host.Changes()
	neighbor(c, o.Dev, o.Router, o.LinkLayer)
	if o.OnLink {
		neighbor(c, o.Dev, o.HomeAgent, o.Neighbor)
	}
	c.AddAddress(o.Dev, o.Address, flagsOf(o.DAD))
	if o.HomeAgent.IsValid() {
		route := k.toHomeAgent(o.Dev, o.HomeAgent, o.Router, o.OnLink)
		route.Src = k.home
		c.ReplaceRoute(route)
	}
	return errors.Join(k.hearQuestions(o.Dev, k.home), c.Do())
}

// homeRoutes are the ways of applications through the home link.
func (k *kernel) homeRoutes(dev string, prefix netip.Prefix, router netip.Addr) []host.Route {
	return []host.Route{
		{To: prefix, Dev: dev, Src: k.home, Metric: metricHome},
		{Dev: dev, Via: router, Src: k.home, Metric: metricHome},
	}
}

func (k *kernel) useHome(o UseHome) error {
	c := k.host.Changes()
	for _, r := range k.homeRoutes(o.Dev, o.Prefix, o.Router) {
		c.ReplaceRoute(r)
	}
	return c.Do()
}

func (k *kernel) quitHome(o QuitHome) error {
	var err error
	for _, r := range k.homeRoutes(o.Dev, o.Prefix, netip.Addr{}) {
		err = errors.Join(err, k.host.RemoveRoute(r))
	}
	return errors.Join(err, k.leaveWay(k.home))
}

// leaveHome ends duplicate address detection as well. When the carrier comes back
// it would be of the link-local address, which the home agent defends too where the
// Binding Update had the L flag: RFC 6275, section 11.5.5.
func (k *kernel) leaveHome(o LeaveHome) error {
	var err error
	if o.HomeAgent.IsValid() {
		err = errors.Join(err, k.host.RemoveRoute(k.toHomeAgent(o.Dev, o.HomeAgent, netip.Addr{}, true)))
	}
	return errors.Join(err,
		k.host.NoDetection(o.Dev),
		k.nd.Leave(o.Dev, icmp6.SolicitedNode(k.home)),
		k.host.RemoveAddress(o.Dev, o.Address))
}

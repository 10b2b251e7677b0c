package mn

import (
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/dhcp6"
	"s2clab/nodes/session/discovery"
	"s2clab/nodes/wire/icmp6"
)

// HomeAgentsReplied is a Home Agent Address Discovery Reply: RFC 6275, section 6.6.
type HomeAgentsReplied struct {
	From, To netip.Addr
	Reply    *icmp6.HomeAgentReply
}

// NamesAnswered is what came from a DNS server that was asked. The octets are not kept.
type NamesAnswered struct {
	Server netip.AddrPort
	TCP    bool
	Octets []byte
}

func (HomeAgentsReplied) input() {}
func (NamesAnswered) input()     {}

// SolicitHomeAgents sends a Home Agent Address Discovery Request by a device: RFC 6275,
// section 6.5.
type SolicitHomeAgents struct {
	Dev        string
	Source, To netip.Addr
	Request    *icmp6.HomeAgentRequest
}

// AskNames sends a message to a DNS server by a device, from a port that nobody can
// guess.
type AskNames struct {
	Dev    string
	Source netip.Addr
	Server netip.AddrPort
	TCP    bool
	Octets []byte
}

func (SolicitHomeAgents) output() {}
func (AskNames) output()          {}

// A finder is how this node finds home agents. The zero value does not: there is one
// that it was told.
type finder struct {
	search  *discovery.Search
	network string // FQDN of the home network

	source netip.Addr // the address that the search was begun from; not valid: it was not begun
	on     *access
	inform *dhcp6.Client // asks for configuration; nil: nobody does
}

// newFinder makes the finder of a node, and takes what is for it from cfg: the home
// agent that was told beforehand is one of those that are found.
func (m *Machine) newFinder(cfg *control.MobileNode) error {
	d := cfg.Discovery
	if d == nil {
		return nil
	}
	c := discovery.Config{Prefix: d.Prefix, Name: d.Name, Domain: d.Domain, Network: d.Network, Servers: d.Servers}
	for _, method := range d.Methods {
		c.Methods = append(c.Methods, discovery.Method(method))
	}
	if cfg.HomeAgent.IsValid() {
		c.Agents = []discovery.Agent{{Address: cfg.HomeAgent, Address4: cfg.HomeAgent4}}
	}
	cfg.HomeAgent, cfg.HomeAgent4 = netip.Addr{}, netip.Addr{}
	var err error
	m.finder.network = d.Network
	m.finder.search, err = discovery.New(c, m.rand)
	return err
}

// usesIPv4 says whether a node may be carried by IPv4, or wants an IPv4 home address.
func usesIPv4(cfg *control.MobileNode) bool {
	if cfg.IPv4Home {
		return true
	}
	if cfg.Discovery == nil {
		return cfg.HomeAgent4.IsValid()
	}
	return slices.ContainsFunc(cfg.Discovery.Methods, func(method string) bool {
		switch discovery.Method(method) {
		case discovery.Static:
			return cfg.HomeAgent4.IsValid()
		case discovery.DHAAD: // RFC 5555, section 2.1
			return false
		}
		return true
	})
}

// mayFind4 says whether the IPv4 address of a home agent may yet be found.
func (m *Machine) mayFind4() bool { return m.finder.search != nil && m.dual.wanted }

// mustFind says whether a home agent has to be found before this node can register
// where it is.
func (m *Machine) mustFind() bool {
	return m.finder.search != nil && (!m.cfg.HomeAgent.IsValid() || m.careOf.Is4() && !m.dual.agent.IsValid())
}

// find looks for home agents from where this node is, unless it does already.
func (m *Machine) find(now time.Time) {
	f := &m.finder
	if f.search.Active() && f.source == m.careOf {
		return
	}
	f.source, f.on = m.careOf, m.here
	m.searched(now, f.search.Step(now, discovery.Started{
		Source: m.careOf, Servers: m.here.nameServers(now, m.careOf.Is4()), DHCP: slices.ContainsFunc(m.here.routers, (*router).configures),
	}))
}

// findNoMore ends a search: there is no place to search from, or no need.
func (m *Machine) findNoMore(now time.Time) {
	if f := &m.finder; f.search != nil {
		f.source = netip.Addr{}
		m.searched(now, f.search.Step(now, discovery.Stopped{}))
	}
}

// findAnother is for when no home agent that is known takes this node: RFC 6275,
// section 11.4.1.
func (m *Machine) findAnother(now time.Time) {
	f := &m.finder
	switch {
	case f.search == nil || m.here == nil || m.here.home || f.search.Active() && f.source == m.careOf:
	case f.source == m.careOf:
		m.searched(now, f.search.Step(now, discovery.Rejected{}))
	default:
		m.find(now)
	}
}

// searched does what a search says.
func (m *Machine) searched(now time.Time, out []discovery.Output) {
	f := &m.finder
	for _, o := range out {
		switch o := o.(type) {
		case discovery.Solicit:
			m.do(SolicitHomeAgents{Dev: f.on.dev, Source: o.Source, To: o.To, Request: o.Request})
		case discovery.Ask:
			m.do(AskNames{Dev: f.on.dev, Source: o.Source, Server: o.Server, TCP: o.TCP, Octets: o.Octets})
		case discovery.Inform:
			f.inform = dhcp6.NewClient(dhcp6.ClientConfig{DUID: m.duid(), Stateless: true, Home: true, Network: f.network}, m.rand)
			m.informing(now, f.inform.Step(now, dhcp6.Started{}))
		case discovery.Forget:
			f.inform = nil
		case discovery.Begun:
			m.event("home-agent-discovery-started", map[string]any{"method": string(o.Method), "link": f.on.link, "care-of": f.source.String()})
		case discovery.Failed:
			fields := map[string]any{"method": string(o.Method), "link": f.on.link, "reason": o.Reason}
			if o.Retry > 0 {
				fields["retry"] = o.Retry.Seconds()
			}
			m.event("home-agent-discovery-failed", fields)
		case discovery.Ignored:
			m.ignore(now, o.Reason, map[string]any{"source": o.Source})
		case discovery.Found:
			m.discovered(now, o)
		}
	}
}

// discovered goes on with the home agents that were found. Where this node only needs
// the IPv4 address of its own, it stays with that: RFC 6275, section 11.4.1, has a node
// with a registration try the same home agent first.
func (m *Machine) discovered(now time.Time, o discovery.Found) {
	first := slices.IndexFunc(o.Agents, func(a discovery.Agent) bool { return a.Address == m.cfg.HomeAgent })
	stays := first >= 0 && m.registration.mayBeHeld(now)
	if stays {
		o.Agents[0], o.Agents[first] = o.Agents[first], o.Agents[0]
	}
	fields := map[string]any{"method": string(o.Method), "link": m.finder.on.link, "home-agent": o.Agents[0].Address.String(), "home-agents": len(o.Agents)}
	if a := o.Agents[0].Address4; a.IsValid() {
		fields["home-agent-4"] = a.String()
	}
	m.event("home-agent-discovered", fields)
	m.transfer = transfer{to: o.Agents}
	if stays {
		m.dual.agent = o.Agents[0].Address4
		m.transfer = transfer{to: o.Agents[1:], trying: true}
		m.register(now)
		return
	}
	m.nextHomeAgent(now)
}

// informing does what the client says that asks for configuration.
func (m *Machine) informing(now time.Time, out []dhcp6.ClientOutput) {
	f := &m.finder
	for _, o := range out {
		switch o := o.(type) {
		case dhcp6.Send:
			m.do(SendDHCP{Dev: f.on.dev, To: o.To, Octets: o.Message.ToBytes()})
		case dhcp6.Informed:
			f.inform = nil
			m.searched(now, f.search.Step(now, discovery.Informed{Configuration: o.Configuration}))
		case dhcp6.Event:
			m.clientEvent(now, f.on, o.Name, o.Fields)
		}
	}
}

func (m *Machine) tickFinder(now time.Time) {
	f := &m.finder
	if f.search == nil {
		return
	}
	if f.inform != nil && due(f.inform.Deadline(), now) {
		m.informing(now, f.inform.Tick(now))
	}
	if due(f.search.Deadline(), now) {
		m.searched(now, f.search.Tick(now))
	}
}

func (f *finder) deadline() (at time.Time) {
	if f.search != nil {
		at = f.search.Deadline()
	}
	if f.inform != nil {
		at = earliest(at, f.inform.Deadline())
	}
	return at
}

// nameServers are the DNS servers of one family that an access tells.
func (a *access) nameServers(now time.Time, ipv4 bool) (all []netip.Addr) {
	if ipv4 {
		if a.dhcp.four != nil {
			if l, has := a.dhcp.four.Lease(); has {
				all = l.DNS
			}
		}
		return slices.Clone(all)
	}
	for _, r := range a.routers {
		for _, n := range r.names {
			if !due(n.ends, now) {
				all = append(all, n.address)
			}
		}
	}
	if a.dhcp.lease.IsValid() {
		all = append(all, a.dhcp.leased.DNS...)
	}
	return all
}

// maxNameServers are kept of a router.
const maxNameServers = 4

// A nameServer is one that a router tells: RFC 8106, section 5.1.
type nameServer struct {
	address netip.Addr
	ends    time.Time // zero: never
}

// hearNames takes the DNS servers of an advertisement. Those with a lifetime of 0 are
// not to be asked any more.
func (r *router) hearNames(now time.Time, all []NameServer) {
	for _, in := range all {
		i := slices.IndexFunc(r.names, func(n nameServer) bool { return n.address == in.Address })
		if i >= 0 {
			r.names = slices.Delete(r.names, i, i+1)
		}
		if in.Lifetime > 0 && len(r.names) < maxNameServers && in.Address.Is6() && !in.Address.IsLinkLocalUnicast() && !in.Address.IsMulticast() {
			r.names = append(r.names, nameServer{in.Address, end(now, in.Lifetime)})
		}
	}
}

// configures says whether a router says that configuration comes by DHCP.
func (r *router) configures() bool { return r.managed || r.other }

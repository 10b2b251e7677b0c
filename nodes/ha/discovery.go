package ha

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/discovery"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv6"
)

// Bounds on what is kept of others, and on what is told.
const (
	maxNeighborAgents  = 16 // of a link
	maxAgentAddresses  = 8  // of a home agent
	maxListedAddresses = (1280 - ipv6.HeaderLen - 8) / 16
)

// RouterAdvertised is a valid Router Advertisement of another node on a link: RFC
// 6275, section 10.5.1.
type RouterAdvertised struct {
	Dev        string
	Router     netip.Addr    // link-local
	HomeAgent  bool          // the H flag
	Preference uint16        // Home Agent Information option; 0: there is none
	Lifetime   time.Duration // that of the option, or as default router
	Addresses  []netip.Addr  // of prefixes with the R flag
}

// HomeAgentsAsked is a Home Agent Address Discovery Request.
type HomeAgentsAsked struct {
	Source, To netip.Addr
	Identifier uint16
}

func (*RouterAdvertised) input() {}
func (HomeAgentsAsked) input()   {}

// agentList is the Home Agents Lists of RFC 6275, section 10.1, one for each home
// link, and how discovery is answered from them.
type agentList struct {
	preference uint16                // our own
	anycast    map[netip.Addr]string // where we are asked; the home link of the prefix, empty: on none
	others     map[agentKey]*otherAgent
	rand       *rand.Rand
}

type agentKey struct {
	dev    string
	router netip.Addr // link-local
}

// An otherAgent is another home agent of a home link.
type otherAgent struct {
	key        agentKey
	preference uint16
	addresses  []netip.Addr
	timer      timer // of its lifetime
}

func (a *otherAgent) due(m *Machine, now time.Time) { m.forgetAgent(a) }

// newAgentList makes one for a node that serves links.
func newAgentList(cfg *control.Config, links []homeLink) agentList {
	l := agentList{
		preference: cfg.HomeAgent.Preference,
		anycast:    map[netip.Addr]string{},
		others:     map[agentKey]*otherAgent{},
		rand:       rand.New(rand.NewPCG(cfg.Seed, 0x64686161)),
	}
	for _, p := range cfg.HomeAgent.Discovered {
		dev := ""
		for _, link := range links {
			if slices.Contains(link.covered, p.Masked()) {
				dev = link.dev
			}
		}
		l.anycast[discovery.HomeAgentsAnycast(p)] = dev
	}
	return l
}

// routerAdvertised keeps the list of a home link: RFC 6275, section 10.5.1. Anybody
// on that link can get into it; that a mobile node does not take to him is up to the
// security of binding signalling, as section 15.5 says.
func (m *Machine) routerAdvertised(now time.Time, in *RouterAdvertised) {
	key := agentKey{in.Dev, in.Router}
	a := m.agents.others[key]
	switch {
	case !slices.ContainsFunc(m.links, func(l homeLink) bool { return l.dev == in.Dev }):
		return
	case !in.HomeAgent || in.Lifetime <= 0:
		if a != nil {
			m.forgetAgent(a)
		}
		return
	case a == nil:
		n := 0
		for k := range m.agents.others {
			if k.dev == in.Dev {
				n++
			}
		}
		if n == maxNeighborAgents {
			return
		}
		a = &otherAgent{key: key}
		a.timer.owner = a
		m.agents.others[key] = a
	}
	a.preference = in.Preference
	for _, global := range in.Addresses {
		if unicastRoutable(global) && !slices.Contains(m.own, global) && !slices.Contains(a.addresses, global) && len(a.addresses) < maxAgentAddresses {
			a.addresses = append(a.addresses, global)
		}
	}
	m.timers.set(&a.timer, now.Add(in.Lifetime))
}

func (m *Machine) forgetAgent(a *otherAgent) {
	m.timers.remove(&a.timer)
	delete(m.agents.others, a.key)
}

// homeAgentsAsked answers a request, which may come from anybody: RFC 6275, sections
// 6.5 and 10.5.1. An answer is longer than a question, so answers have the limits of
// errors.
func (m *Machine) homeAgentsAsked(now time.Time, in HomeAgentsAsked) {
	dev, asked := m.agents.anycast[in.To]
	if !asked || !m.errors.mayTell(now, in.Source) {
		return
	}
	reply := &icmp6.HomeAgentReply{Identifier: in.Identifier, Addresses: m.listAgents(dev)}
	header, err := icmp6.Append(m.answer.header[:0], reply, m.address, in.Source)
	if err != nil {
		return
	}
	m.answer.header = header
	m.send(&ipv6.Packet{Src: m.address, Dst: in.Source, HopLimit: hopLimit, Next: ipv6.ICMPv6, Payload: header})
	if m.tells(now, discoveryAnswered) {
		m.tell(discoveryAnswered, map[string]any{"source": text(in.Source), "home-agent": text(reply.Addresses[0]), "home-agents": len(reply.Addresses)})
	}
}

// listAgents lists the addresses of the home agents of a home link, those of the
// preferred ones first, equals at random: RFC 6275, section 10.5.1.
//
// Differs from it in that this home agent has one address in the list: that which
// takes Binding Updates.
func (m *Machine) listAgents(dev string) []netip.Addr {
	all := []*otherAgent{{preference: m.agents.preference, addresses: []netip.Addr{m.address}}}
	for key, a := range m.agents.others {
		if key.dev == dev && len(a.addresses) > 0 {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b *otherAgent) int { return a.key.router.Compare(b.key.router) }) // a map has no order that repeats
	m.agents.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	slices.SortStableFunc(all, func(a, b *otherAgent) int { return cmp.Compare(b.preference, a.preference) })
	var list []netip.Addr
	for _, a := range all {
		at := len(list)
		list = append(list, a.addresses...)
		own := list[at:]
		m.agents.rand.Shuffle(len(own), func(i, j int) { own[i], own[j] = own[j], own[i] })
	}
	return list[:min(len(list), maxListedAddresses)]
}

// prefixSolicited takes a Mobile Prefix Solicitation that came with a binding. It is
// not answered: nothing protects it or the answer (RFC 4285, section 2, has Mobile
// Prefix Discovery not used then).
func (m *Machine) prefixSolicited(now time.Time, source netip.Addr) {
	m.ignoreFor(now, source, icmp6.TypeMobilePrefixSolicit.String(), "nothing-protects-it")
}

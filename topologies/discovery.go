package topologies

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"s2clab/topologies/strict"
)

// discoveries are the ways in which a mobile node finds its home agent.
var discoveries = []string{"static", "dhaad", "dns", "dns-srv", "dhcp"}

// ServiceDomain is the domain in which the home agents of a network are found by
// service: RFC 5026, section 5.1.2.
func (h *HomeAgent) ServiceDomain() string { return h.network() + ".pub.3gppnetwork.org" }

// discovery reads how mobile nodes find their home agents, now that it is known what
// accesses tell and who serves which prefix.
func (r *resolver) discovery() {
	r.finish()
	for _, d := range r.order {
		if m := d.node.MobileNode; m != nil && r.nodes[m.HomeAgent] != nil && r.nodes[m.HomeAgent].node.HomeAgent != nil {
			r.findsHomeAgent(d, m)
		}
	}
	r.discovered()
}

func (r *resolver) findsHomeAgent(d *draft, m *MobileNode) {
	v, path := d.value.Get("discovery"), "nodes."+d.node.Name
	complain := func(v *strict.Value, hint, format string, args ...any) {
		if d.index == 0 { // once for all that are written as one
			r.complain(v, hint, format, args...)
		}
	}
	if v == nil {
		r.choose(d.node.Line, path+".discovery", "static", "")
	}
	for _, item := range v.Items() {
		switch {
		case !item.Good():
		case slices.Contains(m.Discovery, item.Text):
			complain(item, "leave it out", "%s: %q stands twice", item.Path, item.Text)
		default:
			m.Discovery = append(m.Discovery, item.Text)
			r.findsBy(d, item, complain)
		}
	}
	names := d.value.Get("name-servers")
	for _, item := range names.Items() {
		if item.Good() {
			m.NameServers = append(m.NameServers, strict.Or(item, netip.Addr{}))
		}
	}
	if names.Good() && !m.asksNames() {
		complain(names, "leave it out, or write discovery: dns", "%s asks no DNS server for its home agent", r.written(d))
	}
	if slices.Equal(m.Discovery, []string{"static"}) {
		m.Discovery = nil
	}
}

// asksNames says whether a mobile node asks DNS servers for its home agent: by DHCP
// it may be told a name.
func (m *MobileNode) asksNames() bool {
	return slices.ContainsFunc(m.Discovery, func(way string) bool { return strings.HasPrefix(way, "dns") || way == "dhcp" })
}

// findsBy sees that a home agent can be found in one way.
func (r *resolver) findsBy(d *draft, v *strict.Value, complain func(v *strict.Value, hint, format string, args ...any)) {
	m := d.node.MobileNode
	ha := r.nodes[m.HomeAgent].node
	switch v.Text {
	case "dns", "dns-srv":
		name := ha.HomeAgent.FQDN()
		if v.Text == "dns-srv" {
			name = "_mip6._ipv6." + ha.HomeAgent.ServiceDomain()
		}
		servers := slices.ContainsFunc(r.order, func(d *draft) bool { return d.node.DNS != nil })
		switch {
		case d.value.Get("name-servers") != nil:
		case !servers:
			complain(v, "add one on a link that accesses reach: nodes: {ns: {role: dns}}", "%s looks for its home agent in the DNS, and no node has the role dns", r.written(d))
			return
		case !r.told(d, func(in *Interface) bool {
			return in.DHCP4 != nil && len(in.DHCP4.DNS) > 0 || in.Advertise != nil && len(in.Advertise.DNS) > 0
		}):
			complain(v, "join it to them by a link, or by routers", "%s looks for its home agent in the DNS, and none of its links has a path to a DNS server", r.written(d))
			return
		}
		r.choose(d.node.Line, v.Path, name, "what it asks for")
	case "dhcp":
		if !r.told(d, func(in *Interface) bool { return in.DHCP6 != nil && in.DHCP6.Home != nil }) {
			complain(v, "write home-agent-info: "+ha.Name+" at one of them", "%s looks for its home agent by DHCP, and none of its links tells of one", r.written(d))
		}
	case "dhaad":
		if !slices.ContainsFunc(d.node.Interfaces, func(in Interface) bool { return r.link(in.Link).link.Prefix.IsValid() }) {
			complain(v, "write dns, or give one of its links an IPv6 prefix", "%s looks for its home agent at an IPv6 anycast address, and has no link with IPv6 (RFC 5555, section 2.1)", r.written(d))
		}
		if r.homeLinkOf(d) != nil {
			r.listed(m, v, complain)
		}
	}
}

// listed sees that the home agents of a home link can list each other: they tell their
// addresses there.
func (r *resolver) listed(m *MobileNode, v *strict.Value, complain func(v *strict.Value, hint, format string, args ...any)) {
	var agents []*Node
	for _, d := range r.order {
		if d.node.HomeAgent != nil && d.node.HomeAgent.StandbyFor == "" && r.primary(d.node.Name) == r.primary(m.HomeAgent) {
			agents = append(agents, d.node)
		}
	}
	if len(agents) < 2 {
		return
	}
	for _, n := range agents {
		if n.HomeAgent.Address.IsValid() && !m.HomePrefix.Contains(n.HomeAgent.Address) {
			complain(v, "give "+n.Name+" an address of its own in "+m.HomePrefix.String()+" with address:", "home agents learn each other's addresses on the home link (RFC 6275, section 10.5.1), and %s takes Binding Updates at %s, which is not of that", n.Name, n.HomeAgent.Address)
		}
	}
}

// told says whether a router of one of a node's links tells something.
func (r *resolver) told(d *draft, tells func(in *Interface) bool) bool {
	for _, in := range d.node.Interfaces {
		for _, e := range r.link(in.Link).link.Ends {
			if end := r.nodes[e].node.Interface(in.Link); end != nil && tells(end) {
				return true
			}
		}
	}
	return false
}

// advertised completes what routers advertise: DNS servers (RFC 8106), and home
// agents how much they are preferred (RFC 6275, section 7.4).
func (r *resolver) advertised() {
	r.finish()
	w := newWalker(r.t)
	for _, d := range r.order {
		if ha := d.node.HomeAgent; ha != nil {
			ha.Preference = uint16(choice(r, d.node.Line, d.value, "nodes."+d.node.Name, "preference", int64(0)))
		}
		for i := range d.node.Interfaces {
			a := d.node.Interfaces[i].Advertise
			if a == nil {
				continue
			}
			if a.HomeAgent {
				a.Preference = d.node.HomeAgent.Preference
			}
			for _, other := range r.order {
				if other.node.DNS == nil {
					continue
				}
				if at := w.addressFrom(d.node.Name, other.node.Name, inet6); at.IsValid() {
					a.DNS = append(a.DNS, at)
				}
			}
		}
	}
}

// discovered gives home agents the prefixes at whose anycast addresses they are asked:
// RFC 6275, section 10.5.
func (r *resolver) discovered() {
	for _, d := range r.order {
		ha := d.node.HomeAgent
		if ha == nil {
			continue
		}
		var all []netip.Prefix
		for _, in := range d.node.Interfaces {
			if in.Advertise != nil && in.Advertise.HomeAgent {
				all = append(all, in.Advertise.Prefix)
			}
		}
		for _, other := range r.order {
			if m := other.node.MobileNode; m != nil && m.HomePrefix.IsValid() && r.nodes[m.HomeAgent] != nil && r.primary(m.HomeAgent) == r.primary(d.node.Name) {
				all = append(all, m.HomePrefix)
			}
		}
		slices.SortFunc(all, func(a, b netip.Prefix) int { return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits()) })
		ha.Discovered = slices.Compact(all)
	}
}

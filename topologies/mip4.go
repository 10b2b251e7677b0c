package topologies

import (
	"fmt"
	"slices"

	"s2clab/topologies/strict"
)

// firstFreeSPI is the first SPI that is not reserved: RFC 5944, section 1.6. Differs
// from RFC 4285, where smaller ones say by which algorithm.
const firstFreeSPI = 256

// registers says whether mobile nodes register by Mobile IPv4: RFC 5944.
func (s Security) registers() bool { return s.Profile == "mipv4" }

// spiOfMNAAA is the SPI of MN-AAA keys where no file has one.
func (s Security) spiOfMNAAA() uint32 {
	if s.registers() {
		return firstFreeSPI
	}
	return defaultMNAAASPI
}

// checkMNAAASPI complains of an SPI in a file that the profile reserves.
func (r *resolver) checkMNAAASPI(v *strict.Value) {
	if v.Good() && r.t.Security.registers() && strict.Or(v, int64(0)) < firstFreeSPI {
		r.complain(v, "choose 256 or more, or leave it out", "the SPI %s is one of those reserved (RFC 5944, section 1.6)", v.Text)
	}
}

// registration sees that a topology of profile mipv4 has what that needs, and nothing
// that is not there in it.
func (r *resolver) registration() {
	s := r.t.Security
	if !s.registers() {
		return
	}
	if s.Integrity == "none" {
		r.complain(r.secured.Get("integrity"), "leave it out", "registrations by Mobile IPv4 are authenticated always (RFC 5944, section 3.5.2), and this is integrity none")
	}
	for _, d := range r.order {
		switch n := d.node; {
		case n.MobileNode != nil && r.nodes[n.MobileNode.HomeAgent] != nil && d.index == 0: // once for all that are written as one
			r.mobileRegisters(d)
		case n.HomeAgent != nil && r.hasMobiles(n.Name):
			r.agentRegisters(d)
		case n.HomeAgent != nil && n.HomeAgent.StandbyFor != "":
			r.complain(d.value.Get("standby-for"), "leave the node out", "%s cannot stand by for %s: with the profile mipv4 home agents are not replicated", n.Name, n.HomeAgent.StandbyFor)
		case n.HomeAgent != nil && d.value.Get("beside") != nil:
			r.complain(d.value.Get("beside"), "leave the node out", "with the profile mipv4 no mobile node is switched to a home agent beside its own (RFC 5142), such as %s", n.Name)
		}
	}
}

func (r *resolver) mobileRegisters(d *draft) {
	m, name := d.node.MobileNode, r.written(d)
	ha := r.nodes[m.HomeAgent].node
	if v := d.value.Get("accesses"); m.AllAccesses {
		r.complain(v, "leave it out", "%s binds one care-of address at a time: with the profile mipv4 there are no simultaneous ones", name)
	}
	if v := d.value.Get("route-optimization"); m.RouteOptimization {
		r.complain(v, "leave it out", "route optimization is of Mobile IPv6, and with the profile mipv4 %s speaks Mobile IPv4", name)
	}
	if v := d.value.Get("discovery"); len(m.Discovery) > 0 {
		r.complain(v, "leave it out", "with the profile mipv4 %s is told its home agent, and finds none", name)
	}
	if v := d.value.Get("force-udp"); m.ForceUDP {
		r.complain(v, "leave it out", "with the profile mipv4 tunnels are IPv4 in IPv4, without UDP (RFC 3519 is not here)")
	}
	for _, key := range []string{"mn-ha-key", "mn-ha-spi"} {
		if v := d.value.Get(key); v.Good() {
			r.choose(d.node.Line, v.Path, "of no use", "with the profile mipv4 the MN-HA key is generated (RFC 3957)")
		}
	}
	if v := d.value.Get("ipv4-home-address"); !m.HomeAddress4.IsValid() {
		hint, at := "leave it out", v
		if len(ha.HomeAgent.HomePrefixes4) == 0 {
			hint, at = fmt.Sprintf("give %s a pool: home-prefixes: [%s]", ha.Name, list(append(ha.HomeAgent.HomePrefixes, example[inet4]))), d.value
		}
		r.complain(at, hint, "%s has no IPv4 home address, which it registers with the profile mipv4", name)
	}
	usable := false
	for _, in := range d.node.Interfaces {
		l := r.link(in.Link)
		path := "links." + l.link.Name
		switch {
		case l.agent != nil && !l.link.Prefix4.IsValid() && len(ha.HomeAgent.HomePrefixes4) > 0:
			r.complain(l.value.Get("prefix"), "add an IPv4 prefix, or leave \"prefix\" out", "the home link %q has no IPv4 prefix, by which %s knows with the profile mipv4 that it is at home", l.link.Name, name)
		case l.agent != nil:
		case !l.link.Prefix4.IsValid():
			r.choose(l.link.Line, path, "of no use to "+name, "with the profile mipv4 it needs an IPv4 address there")
		case slices.ContainsFunc(r.order, func(d *draft) bool { return d.node.NAT != nil && slices.Contains(d.node.NAT.Inside, l.link.Name) }):
			r.choose(l.link.Line, path, "of no use to "+name, "with the profile mipv4 its tunnel does not pass a NAT (RFC 3519 is not here)")
		default:
			usable = true
		}
	}
	if !usable {
		r.complain(d.value, "give one of its accesses an IPv4 prefix: prefix: [2001:db8:200::/64, 192.0.2.0/24]", "%s has no access with IPv4 addresses that are not behind a NAT, of which it takes its care-of address with the profile mipv4", name)
	}
}

func (r *resolver) agentRegisters(d *draft) {
	n := d.node
	if !n.HomeAgent.Address4.IsValid() {
		r.complain(d.value, "give one of its links an IPv4 prefix too: prefix: [2001:db8:1::/64, 192.0.2.128/25]", "home agent %q has no IPv4 address, to which mobile nodes register with the profile mipv4", n.Name)
	}
	if len(n.HomeAgent.HomePrefixes4) > 1 {
		r.complain(d.value.Get("home-prefixes"), "keep one of them", "%s has the IPv4 home prefixes %s; with the profile mipv4 there is one home network", n.Name, list(n.HomeAgent.HomePrefixes4))
	}
	if n.HomeAgent.KeepsBindings {
		r.complain(d.value.Get("keeps-bindings"), "leave it out", "%s keeps no bindings from one life to the next with the profile mipv4", n.Name)
	}
}

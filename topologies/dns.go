package topologies

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
)

// A DNS is what role dns adds to a Node: a server that knows the lab's names.
type DNS struct {
	Domain  string // names of nodes are in it
	Records []Record
}

// A Record is a name with its addresses, or a service with the names of those who
// give it.
type Record struct {
	Name      string // whole, without the dot at its end
	Addresses []netip.Addr
	Targets   []string // of a service (SRV)
}

const defaultDomain = "lab.test"

var publicRealm = regexp.MustCompile(`\bmnc([0-9]{3})\.mcc([0-9]{3})\.`)

// network is the part of a name that says which network, as in the home agent's
// realm: 3GPP TS 23.003, clause 19.
func (h *HomeAgent) network() string {
	if m := publicRealm.FindStringSubmatch(h.Realm); m != nil {
		return fmt.Sprintf("mnc%s.mcc%s", m[1], m[2])
	}
	return "mnc001.mcc001"
}

// FQDN is the name by which mobile nodes find the home agent: 3GPP TS 23.003, of
// its access point name.
func (h *HomeAgent) FQDN() string {
	return h.APN + ".ha-apn." + h.network() + ".pub.3gppnetwork.org"
}

// nameServers completes the DNS servers: all nodes that have a name for them, and
// home agents by the names and the services of RFC 5026, section 5.1.
func (r *resolver) nameServers() {
	r.finish()
	realms := r.t.Realms()
	for _, d := range r.order {
		if d.node.DNS == nil {
			continue
		}
		r.servesNames(d)
		domain := d.node.DNS.Domain
		add := func(rec Record) { d.node.DNS.Records = append(d.node.DNS.Records, rec) }
		var agents []*HomeAgent
		services := map[string][]string{}
		for _, other := range r.order {
			n := other.node
			var all []netip.Addr
			if m := n.MobileNode; m != nil {
				all = append(all, m.HomeAddress, m.HomeAddress4)
			}
			for _, in := range n.Interfaces {
				for _, p := range in.Addresses {
					if p.Addr().Is6() || realms.Sees(d.node.Name, in.Link) {
						all = append(all, p.Addr())
					}
				}
			}
			all = slices.DeleteFunc(all, func(a netip.Addr) bool { return !a.IsValid() })
			if len(all) > 0 {
				add(Record{Name: n.Name + "." + domain, Addresses: all})
			}
			if ha := n.HomeAgent; ha != nil && ha.StandbyFor == "" {
				add(Record{Name: ha.FQDN(), Addresses: slices.DeleteFunc([]netip.Addr{ha.Address, ha.Address4}, func(a netip.Addr) bool { return !a.IsValid() })})
				agents = append(agents, ha)
			}
		}
		slices.SortStableFunc(agents, func(a, b *HomeAgent) int { return cmp.Compare(b.Preference, a.Preference) })
		for _, ha := range agents {
			for _, zone := range []string{domain, ha.ServiceDomain()} {
				services[zone] = append(services[zone], ha.FQDN())
			}
		}
		for _, zone := range sortedKeys(services) {
			add(Record{Name: "_mip6._ipv6." + zone, Targets: services[zone]})
		}
	}
}

// servesNames complains where a DNS server has no address.
func (r *resolver) servesNames(d *draft) {
	if a := d.node.Address(); !a.IsValid() && !r.doc.Failed() {
		r.complain(d.value, "put it on a link", "the DNS server %q has no address", d.node.Name)
	}
}

// apns gives each home agent its access point name.
func (r *resolver) apns() {
	owner := map[string]string{}
	many := 0
	for _, d := range r.order {
		if ha := d.node.HomeAgent; ha != nil && ha.StandbyFor == "" {
			many++
		}
	}
	for _, d := range r.order {
		ha := d.node.HomeAgent
		if ha == nil {
			continue
		}
		if ha.StandbyFor != "" { // it has no name before it takes over, and then the other's
			if v := d.value.Get("apn"); v.Good() {
				r.complain(v, "leave it out", "%s stands by for %s, and has its name when it takes over", d.node.Name, ha.StandbyFor)
			}
			continue
		}
		def := "internet"
		if many > 1 {
			def = d.node.Name
		}
		ha.APN = choice(r, d.node.Line, d.value, "nodes."+d.node.Name, "apn", def)
		if other, taken := owner[ha.FQDN()]; taken {
			at := d.value
			if v := d.value.Get("apn"); v != nil {
				at = v
			}
			r.complain(at, "give one of them another apn:", "%s and %s have the same name %s", other, d.node.Name, ha.FQDN())
		}
		owner[ha.FQDN()] = d.node.Name
	}
}

// Resolver returns the addresses of the DNS servers that a node can ask, and the
// domain that it looks for names in.
func (t *Topology) Resolver(node string) (servers []netip.Addr, domain string) {
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if n.DNS == nil {
			continue
		}
		if domain == "" {
			domain = n.DNS.Domain
		}
		if p, ok := t.PathOver("", node, n.Name); ok {
			servers = append(servers, p.Remote)
		}
	}
	return servers, domain
}

func sortedKeys[V any](m map[string]V) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

package topologies

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"s2clab/topologies/strict"
)

// A NAT is what role nat adds to a Node.
type NAT struct {
	Inside      []string // links whose IPv4 addresses are private
	Ports       Ports    // that mappings may have: half of them at a time
	RandomPorts bool     // a mapping never has the port of the inside
	UDPTimeout  time.Duration
}

// Ports are a range of ports, both ends included.
type Ports struct{ First, Last uint16 }

func (p Ports) String() string { return fmt.Sprintf("%d-%d", p.First, p.Last) }

const (
	defaultUDPTimeout = 2 * time.Minute // RFC 4787, REQ-5: the least that a NAT should have
	fewestPorts       = 16
)

var defaultPorts = Ports{1024, 65535}

// portsScalar is a range of ports. Its Go type is Ports.
func portsScalar() *strict.Scalar {
	return &strict.Scalar{Name: "a range of ports such as 20000-29999", JSON: "string", Pattern: `^[0-9]+-[0-9]+$`, Examples: []string{"20000-29999"},
		Parse: func(text string) (any, error) {
			from, to, ok := strings.Cut(text, "-")
			first, err := strconv.ParseUint(from, 10, 16)
			last, err2 := strconv.ParseUint(to, 10, 16)
			switch {
			case !ok || err != nil || err2 != nil || first == 0:
				return nil, fmt.Errorf("not a range of ports")
			case last < first:
				return nil, &strict.Trouble{What: text + " ends before it begins", Hint: fmt.Sprintf("write %d-%d", last, first)}
			case last-first+1 < fewestPorts:
				return nil, &strict.Trouble{What: fmt.Sprintf("%s is %d ports; want %d or more", text, last-first+1, fewestPorts), Hint: "half of them are in use at a time"}
			}
			return Ports{uint16(first), uint16(last)}, nil
		}}
}

// nats reads which links are private, which must be known before links get their
// prefixes.
func (r *resolver) nats() {
	inside := map[*linkDraft]*draft{} // whose private link it is
	for _, d := range r.order {
		if d.node.Role != "nat" {
			continue
		}
		d.node.NAT = &NAT{}
		for _, v := range d.value.Get("inside").Items() {
			if !v.Good() {
				continue
			}
			l := r.link(v.Text)
			switch {
			case l == nil && r.partial:
			case l == nil:
				r.complain(v, strict.Suggest(v.Text, "links here", r.linkNames()), "%q is not a link of this topology", v.Text)
			case l.bad:
			case !slices.Contains(l.link.Ends, d.node.Name):
				r.complain(v, fmt.Sprintf("add %s to the ends of %q", d.node.Name, v.Text), "%s is not on the link %q that is inside of it", d.node.Name, v.Text)
			case slices.Contains(d.node.NAT.Inside, v.Text):
				r.complain(v, "leave it out", "%q stands twice", v.Text)
			case inside[l] != nil:
				r.complain(v, "a private link has one NAT", "%q is inside of %s too", v.Text, inside[l].node.Name)
			case l.link.Home:
				r.complain(v, "make another link private", "the home link %q is inside of the NAT %s: home addresses are for everybody", v.Text, d.node.Name)
			default:
				inside[l] = d
				d.node.NAT.Inside = append(d.node.NAT.Inside, v.Text)
			}
		}
	}
	r.realms = realmsOf(r.drafted())
	for _, d := range r.order {
		if d.node.NAT == nil || len(d.node.NAT.Inside) == 0 {
			continue
		}
		for _, l := range r.links {
			if slices.Contains(l.link.Ends, d.node.Name) && !slices.Contains(d.node.NAT.Inside, l.link.Name) && r.realms.of[l.link.Name] == r.realms.of[d.node.NAT.Inside[0]] {
				r.complain(d.value, "let nothing but the NAT join them", "%q, inside of the NAT %s, is joined to %q, outside of it, by other nodes too", d.node.NAT.Inside[0], d.node.Name, l.link.Name)
				break
			}
		}
	}
}

func (r *resolver) linkNames() (names []string) {
	for _, l := range r.links {
		names = append(names, l.link.Name)
	}
	return strict.Sorted(names)
}

// drafted is the topology as far as it is known.
func (r *resolver) drafted() *Topology {
	t := &Topology{}
	for _, d := range r.order {
		t.Nodes = append(t.Nodes, *d.node)
	}
	for _, l := range r.links {
		t.Links = append(t.Links, *l.link)
	}
	return t
}

// translators completes the NATs.
func (r *resolver) translators() {
	for _, d := range r.order {
		nat := d.node.NAT
		if nat == nil {
			continue
		}
		n, path := d.node, "nodes."+d.node.Name
		nat.Ports = choice(r, n.Line, d.value, path, "ports", defaultPorts)
		nat.RandomPorts = choice(r, n.Line, d.value, path, "random-ports", false)
		nat.UDPTimeout = choice(r, n.Line, d.value, path, "udp-timeout", defaultUDPTimeout)
		if nat.UDPTimeout%time.Second != 0 {
			v := d.value.Get("udp-timeout")
			r.complain(v, "write "+strict.Short(max(nat.UDPTimeout.Truncate(time.Second), time.Second)), "%s: %s is not a number of whole seconds, which the kernel counts", v.Path, v.Text)
		}
		outside := false
		for _, in := range n.Interfaces {
			has := slices.ContainsFunc(in.Addresses, func(p netip.Prefix) bool { return p.Addr().Is4() })
			private := slices.Contains(nat.Inside, in.Link)
			outside = outside || has && !private
			if l := r.link(in.Link); private && !has && len(l.link.Prefixes()) > 0 {
				r.complain(l.value, "give it one, such as prefix: 192.168.1.0/24, or leave \"prefix\" out", "link %q is inside of the NAT %s, which translates IPv4, and has no IPv4 prefix", in.Link, n.Name)
			}
		}
		if !outside && len(nat.Inside) > 0 {
			r.complain(d.value, "put it on a link with an IPv4 prefix that is not inside of it", "the NAT %q has no link with IPv4 outside", n.Name)
		}
	}
}

// Realms say whose IPv4 addresses mean anything to whom. The links on one side of
// a NAT are a realm. From inside the outside is seen, and not the other way.
type Realms struct {
	of      map[string]string          // by link: a link of its realm, the same for all of them
	outward map[string][]string        // by realm: those outside of its NATs
	sees    map[string]map[string]bool // by realm: itself, and all that is outside
	nodes   map[string]map[string]bool // by node: realms that it is in
}

// Realms returns those of the topology.
func (t *Topology) Realms() *Realms { return realmsOf(t) }

func realmsOf(t *Topology) *Realms {
	r := &Realms{map[string]string{}, map[string][]string{}, map[string]map[string]bool{}, map[string]map[string]bool{}}
	parent := map[string]string{}
	var find func(string) string
	find = func(l string) string {
		for parent[l] != l {
			parent[l] = parent[parent[l]]
			l = parent[l]
		}
		return l
	}
	on := map[string][]string{}
	for _, l := range t.Links {
		parent[l.Name] = l.Name
		for _, e := range l.Ends {
			on[e] = append(on[e], l.Name)
		}
	}
	// Nodes that are fixed must tell their own links apart, whether they forward or not.
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if n.Role == "mn" {
			continue
		}
		var last [2]string
		for _, l := range on[n.Name] {
			side := 0
			if n.NAT != nil && slices.Contains(n.NAT.Inside, l) {
				side = 1
			}
			if last[side] != "" {
				parent[find(l)] = find(last[side])
			}
			last[side] = l
		}
	}
	for _, l := range t.Links {
		r.of[l.Name] = find(l.Name)
	}
	for i := range t.Nodes {
		n := &t.Nodes[i]
		r.nodes[n.Name] = map[string]bool{}
		for _, l := range on[n.Name] {
			r.nodes[n.Name][r.of[l]] = true
			if n.NAT == nil || !slices.Contains(n.NAT.Inside, l) {
				continue
			}
			for _, out := range on[n.Name] {
				if !slices.Contains(n.NAT.Inside, out) {
					r.outward[r.of[l]] = append(r.outward[r.of[l]], r.of[out])
				}
			}
		}
	}
	for _, realm := range r.of {
		if r.sees[realm] != nil {
			continue
		}
		seen := map[string]bool{realm: true}
		for queue := []string{realm}; len(queue) > 0; queue = queue[1:] {
			for _, out := range r.outward[queue[0]] {
				if !seen[out] {
					seen[out] = true
					queue = append(queue, out)
				}
			}
		}
		r.sees[realm] = seen
	}
	return r
}

// meet says whether a node may have to tell the IPv4 addresses of two links apart.
func (r *Realms) meet(a, b string) bool {
	return r.sees[r.of[a]][r.of[b]] || r.sees[r.of[b]][r.of[a]]
}

// View names the realms that a node sees: nodes with the same view see the same.
func (r *Realms) View(node string) string {
	all := map[string]bool{}
	for realm := range r.nodes[node] {
		for seen := range r.sees[realm] {
			all[seen] = true
		}
	}
	var names []string
	for realm := range all {
		names = append(names, realm)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// Sees says whether the IPv4 addresses of a link mean to a node what they mean on
// the link.
func (r *Realms) Sees(node, link string) bool {
	for realm := range r.nodes[node] {
		if r.sees[realm][r.of[link]] {
			return true
		}
	}
	return false
}

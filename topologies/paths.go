package topologies

import (
	"net/netip"
	"slices"
)

// A hop is how packets leave a node for somewhere.
type hop struct {
	via netip.Addr // the next node's address on the link; invalid: the end is on the link itself
	dev string
}

// reach is what one node can reach over routers and home agents, by the fewest
// links, and among equals in the file's order.
type reach struct {
	links map[string]hop    // by link
	nodes map[string]hop    // by node
	entry map[string]string // by node: the link it is reached on
	order map[string]int    // by node: links on the way
}

// reachOf walks the links of a family from a node on. Mobile nodes, AAA servers
// and correspondents end paths; they do not forward. In IPv4, nothing goes from
// the outside of a NAT to its inside.
func (w *walker) reachOf(from string, f family) reach {
	r := reach{map[string]hop{}, map[string]hop{}, map[string]string{}, map[string]int{from: 0}}
	queue := []string{from}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, in := range w.nodes[at].Interfaces {
			if _, seen := r.links[in.Link]; seen || !w.links[in.Link].prefix(f).IsValid() {
				continue
			}
			if f == inet4 && at != from && w.nodes[at].inside(in.Link) && !w.nodes[at].inside(r.entry[at]) {
				continue
			}
			first := hop{dev: in.Name}
			if at != from {
				first = r.nodes[at]
			}
			r.links[in.Link] = first
			for _, e := range w.links[in.Link].Ends {
				if _, seen := r.order[e]; seen {
					continue
				}
				next := first
				if at == from {
					next.via = w.address(e, in.Link, f)
				}
				r.nodes[e], r.entry[e], r.order[e] = next, in.Link, r.order[at]+1
				if routes(w.nodes[e]) {
					queue = append(queue, e)
				}
			}
		}
	}
	return r
}

// inside says whether a link is on the private side of the NAT that n is.
func (n *Node) inside(link string) bool { return n.NAT != nil && slices.Contains(n.NAT.Inside, link) }

// A walker finds its way over a topology.
type walker struct {
	nodes map[string]*Node
	links map[string]*Link
	on    map[end]netip.Addr // static addresses
}

// An end is a node's end of a link, in one family.
type end struct {
	node, link string
	family     family
}

func newWalker(t *Topology) *walker {
	w := &walker{map[string]*Node{}, map[string]*Link{}, map[end]netip.Addr{}}
	for i := range t.Nodes {
		n := &t.Nodes[i]
		w.nodes[n.Name] = n
		for _, in := range n.Interfaces {
			for _, p := range in.Addresses {
				w.on[end{n.Name, in.Link, familyOf(p.Addr())}] = p.Addr()
			}
		}
	}
	for i := range t.Links {
		w.links[t.Links[i].Name] = &t.Links[i]
	}
	return w
}

func (w *walker) address(node, link string, f family) netip.Addr { return w.on[end{node, link, f}] }

// Node returns the node of that name, nil where there is none.
func (t *Topology) Node(name string) *Node {
	for i := range t.Nodes {
		if t.Nodes[i].Name == name {
			return &t.Nodes[i]
		}
	}
	return nil
}

// Link returns the link of that name, nil where there is none.
func (t *Topology) Link(name string) *Link {
	for i := range t.Links {
		if t.Links[i].Name == name {
			return &t.Links[i]
		}
	}
	return nil
}

// Members returns the nodes that a name stands for: a node itself, or the nodes
// that were written as one with a count. Nil: there is no such name.
func (t *Topology) Members(name string) []string {
	if t.Node(name) != nil {
		return []string{name}
	}
	return t.Groups[name]
}

// Address returns the address that the name of a node stands for in the lab: of
// a mobile node its home address, of a home agent the one that takes Binding
// Updates, of others the one on their first link. It is an IPv6 address where the
// node has one.
func (n *Node) Address() netip.Addr {
	if a := n.address(inet6); a.IsValid() {
		return a
	}
	return n.address(inet4)
}

// Address4 is the IPv4 address that the name of a node stands for; invalid where
// it has none.
func (n *Node) Address4() netip.Addr { return n.address(inet4) }

func (n *Node) address(f family) netip.Addr {
	switch {
	case n.MobileNode != nil && f == inet6:
		return n.MobileNode.HomeAddress
	case n.MobileNode != nil:
		return n.MobileNode.HomeAddress4
	case n.HomeAgent != nil && f == inet6 && n.HomeAgent.Address.IsValid():
		return n.HomeAgent.Address
	case n.HomeAgent != nil && f == inet4 && n.HomeAgent.Address4.IsValid():
		return n.HomeAgent.Address4
	}
	for _, in := range n.Interfaces {
		for _, p := range in.Addresses {
			if familyOf(p.Addr()) == f {
				return p.Addr()
			}
		}
	}
	return netip.Addr{}
}

// Forwards says whether the node hands on packets of others.
func (n *Node) Forwards() bool { return routes(n) }

// Interface returns the node's end of a link, nil where it has none.
func (n *Node) Interface(link string) *Interface {
	for i := range n.Interfaces {
		if n.Interfaces[i].Link == link {
			return &n.Interfaces[i]
		}
	}
	return nil
}

// AddressFrom returns the address of node to that is nearest to node from: the
// one on the link on which packets arrive. It is an IPv6 address where there is a
// path for one, else an IPv4 address, and invalid where there is no path.
func (t *Topology) AddressFrom(from, to string) netip.Addr {
	w := newWalker(t)
	for _, f := range families {
		if a := w.addressFrom(from, to, f); a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// A Path is by which addresses one node speaks with another.
type Path struct{ Local, Remote netip.Addr }

// PathOver returns the path from one node to another by IPv4 or by IPv6, as the
// word says; with an empty word by IPv6 where that leads there, else by IPv4. It is
// false where there is none.
func (t *Topology) PathOver(word, from, to string) (Path, bool) {
	w := newWalker(t)
	for _, f := range families {
		if word != "" && word != familyWords[f] {
			continue
		}
		p := Path{Local: w.localTo(from, to, f), Remote: w.addressFrom(from, to, f)}
		if p.Local.IsValid() && p.Remote.IsValid() {
			return p, true
		}
	}
	return Path{}, false
}

// FamilyWords are the words for which PathOver is asked.
func FamilyWords() []string { return familyWords[:] }

var familyWords = [2]string{"ipv6", "ipv4"}

// localTo is the address that node from speaks from: the one at which node to
// reaches it, or, where a NAT lets nothing in, the one on the way out.
func (w *walker) localTo(from, to string, f family) netip.Addr {
	if a := w.addressFrom(to, from, f); a.IsValid() {
		return a
	}
	n, out := w.nodes[from], w.reachOf(from, f).nodes[to].dev
	for _, in := range n.Interfaces {
		if in.Name == out {
			return w.address(from, in.Link, f)
		}
	}
	return netip.Addr{}
}

func (w *walker) addressFrom(from, to string, f family) netip.Addr {
	n, ok := w.nodes[to]
	if !ok || w.nodes[from] == nil {
		return netip.Addr{}
	}
	if n.MobileNode != nil || from == to {
		return n.address(f)
	}
	return w.address(to, w.reachOf(from, f).entry[to], f)
}

// manyRoutes is how many routes of a node stand as they are; more are joined
// where that leads the same way.
const manyRoutes = 16

// routes gives each node that is not mobile its static routes.
func (r *resolver) routes() {
	w := newWalker(r.t)
	for i := range r.order {
		n := r.order[i].node
		if n.Role == "mn" {
			continue
		}
		n.Routes = nil
		for _, f := range families {
			n.Routes = append(n.Routes, routesOf(w, r.t, n, f)...)
		}
	}
}

func routesOf(w *walker, t *Topology, n *Node, f family) []Route {
	reach := w.reachOf(n.Name, f)
	var routes, own []Route
	for _, l := range t.Links {
		if h, ok := reach.links[l.Name]; ok && h.via.IsValid() && !l.Home {
			routes = append(routes, Route{l.prefix(f), h.via, h.dev})
		}
	}
	for _, ha := range t.Nodes {
		if ha.HomeAgent == nil || ha.HomeAgent.Beside != "" {
			continue // its prefixes are those of the other, which they lead to
		}
		serves := ha.Name == n.Name || n.HomeAgent != nil && n.HomeAgent.Beside == ha.Name
		h, ok := reach.nodes[ha.Name]
		for _, p := range ha.HomeAgent.prefixes(f) {
			if serves {
				own = append(own, Route{To: p}) // its own: no joined route may cover them
			} else if ok && !connected(w, n, p, f) {
				routes = append(routes, Route{p, h.via, h.dev})
			}
		}
	}
	if len(routes) == 0 {
		return nil
	}
	same := !slices.ContainsFunc(routes, func(x Route) bool { return x.Via != routes[0].Via || x.Dev != routes[0].Dev })
	if same && n.Role != "ha" && len(routes) > 1 {
		return []Route{{netip.PrefixFrom(unspecified[f], 0), routes[0].Via, routes[0].Dev}}
	}
	if len(routes) > manyRoutes {
		routes = joined(append(routes, own...))
		routes = slices.DeleteFunc(routes, func(x Route) bool { return x.Dev == "" })
	}
	return routes
}

var unspecified = [2]netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()}

func connected(w *walker, n *Node, p netip.Prefix, f family) bool {
	for _, in := range n.Interfaces {
		if w.links[in.Link].prefix(f) == p {
			return true
		}
	}
	return false
}

// joined returns the fewest routes that lead each of the given prefixes, which
// do not overlap, where the given routes lead it. What lies between may be led
// anywhere: nothing is there.
func joined(routes []Route) []Route {
	slices.SortFunc(routes, func(a, b Route) int { return a.To.Addr().Compare(b.To.Addr()) })
	var join func(part []Route) []Route
	join = func(part []Route) []Route {
		first, last := part[0], part[len(part)-1]
		bits := min(commonBits(first.To.Addr(), last.To.Addr()), first.To.Bits())
		if !slices.ContainsFunc(part, func(x Route) bool { return x.Via != first.Via || x.Dev != first.Dev }) {
			return []Route{{netip.PrefixFrom(first.To.Addr(), bits).Masked(), first.Via, first.Dev}}
		}
		cut, _ := slices.BinarySearchFunc(part, true, func(x Route, _ bool) int {
			if bit(x.To.Addr(), bits) {
				return 0
			}
			return -1
		})
		return append(join(part[:cut]), join(part[cut:])...)
	}
	return join(routes)
}

// commonBits counts the leading bits in which a and b, of one family, agree.
func commonBits(a, b netip.Addr) int {
	for i := range a.BitLen() {
		if bit(a, i) != bit(b, i) {
			return i
		}
	}
	return a.BitLen()
}

func bit(a netip.Addr, i int) bool {
	octets := a.AsSlice()
	return octets[i/8]>>(7-i%8)&1 == 1
}

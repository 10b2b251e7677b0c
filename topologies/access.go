package topologies

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"s2clab/topologies/strict"
)

// A DHCP4 is what a node gives on a link by DHCP for IPv4.
type DHCP4 struct {
	Address netip.Addr // its own, which is the router's too
	Prefix  netip.Prefix
	Pool    Range // invalid: only the reserved ones
	DNS     []netip.Addr
	Domain  string
	Lease   time.Duration

	Reserved []Reservation // on a home link
}

// A Reservation is the address of one node.
type Reservation struct {
	MAC     [6]byte
	Address netip.Addr
}

// A DHCP6 is what a node gives on a link by DHCP for IPv6.
type DHCP6 struct {
	Prefix netip.Prefix
	Pool   Range // invalid: configuration only
	DNS    []netip.Addr
	Domain string
	Lease  time.Duration
	Home   *HomeNetwork // what it tells of a home network: RFC 6610
}

// A HomeNetwork is what an access tells of a home network.
type HomeNetwork struct {
	Identifier string // its FQDN
	Prefixes   []netip.Prefix
	Agents     []netip.Addr // IPv6 first
	Names      []string     // FQDNs of the home agent, where the topology has a DNS server
}

// A Range is a range of addresses, both ends included.
type Range struct{ First, Last netip.Addr }

func (r Range) String() string { return fmt.Sprintf("%s-%s", r.First, r.Last) }

// IsValid says whether there is one.
func (r Range) IsValid() bool { return r.First.IsValid() }

func (r Range) contains(a netip.Addr) bool {
	return r.First.BitLen() == a.BitLen() && !a.Less(r.First) && !r.Last.Less(a)
}

const (
	defaultLease = time.Hour
	mostPool     = 1 << 16 // addresses by hand
	usualPool    = 4096    // that are chosen
)

var rangeShape = regexp.MustCompile(`^[0-9a-fA-F:.]+-[0-9a-fA-F:.]+$`)

// rangeScalar is a range of addresses of one family. Its Go type is Range.
func rangeScalar() *strict.Scalar {
	return &strict.Scalar{Name: "a range of addresses such as 192.0.2.100-192.0.2.199", JSON: "string", Pattern: rangeShape.String(), Examples: []string{"192.0.2.100-192.0.2.199"},
		Parse: func(text string) (any, error) {
			from, to, ok := strings.Cut(text, "-")
			first, err := netip.ParseAddr(from)
			last, err2 := netip.ParseAddr(to)
			switch {
			case !ok || err != nil || err2 != nil || first.BitLen() != last.BitLen() || !usable(first) || !usable(last):
				return nil, fmt.Errorf("not a range of addresses")
			case last.Less(first):
				return nil, &strict.Trouble{What: text + " ends before it begins", Hint: fmt.Sprintf("write %s-%s", last, first)}
			}
			return Range{first, last}, nil
		}}
}

// count is how many addresses a range of one prefix of 64 bits or more has; 0: too
// many to count.
func (r Range) count() uint64 {
	a, b := r.First.As16(), r.Last.As16()
	n := uint64(0)
	for i := range 16 {
		if n = n<<8 + uint64(b[i]) - uint64(a[i]); i < 12 && n != 0 {
			return 0
		}
	}
	return n + 1
}

// accesses says how nodes get addresses on each link with mobile nodes.
func (r *resolver) accesses() {
	r.finish()
	w := newWalker(r.t)
	for _, l := range r.links {
		path := "links." + l.link.Name
		mobile := slices.ContainsFunc(l.link.Ends, func(e string) bool { return r.nodes[e].node.Role == "mn" })
		for _, key := range []string{"configure", "lease", "pool", "home-agent-info"} {
			switch v := l.value.Get(key); {
			case v == nil:
			case !mobile:
				r.complain(v, "leave it out", "link %q has no mobile node on it, so nobody is configured there", l.link.Name)
			case l.agent != nil:
				r.complain(v, "leave it out", "mobile nodes know their addresses on the home link %q", l.link.Name)
			}
		}
		if !mobile || l.agent != nil {
			continue
		}
		server := r.serverOf(l)
		if server == nil {
			continue // it has been told that nobody routes there
		}
		configure := "slaac"
		if l.link.Prefix.IsValid() {
			configure = choice(r, l.link.Line, l.value, path, "configure", "slaac")
		} else if v := l.value.Get("configure"); v.Good() {
			r.complain(v, "leave it out, or give the link an IPv6 prefix", "link %q has no IPv6, of which \"configure\" is", l.link.Name)
		}
		managed := configure == "dhcpv6"
		if v := l.value.Get("lease"); v.Good() && !l.link.Prefix4.IsValid() && !managed {
			r.complain(v, "leave it out, or write configure: dhcpv6", "on link %q nodes make their addresses themselves, and are given none", l.link.Name)
		}
		if l.link.Prefix4.IsValid() || managed {
			if lease := choice(r, l.link.Line, l.value, path, "lease", defaultLease); lease%time.Second != 0 {
				v := l.value.Get("lease")
				r.complain(v, "write "+strict.Short(max(lease.Truncate(time.Second), time.Second)), "%s: %s is not a number of whole seconds", v.Path, v.Text)
			}
		}
		pools := r.pools(l, managed)
		r.serve(w, l, server, managed, pools)
	}
}

// serverOf is the node that gives addresses on a link: the first that routes.
func (r *resolver) serverOf(l *linkDraft) *draft {
	for _, e := range l.link.Ends {
		if d := r.nodes[e]; routes(d.node) && (d.node.HomeAgent == nil || d.node.HomeAgent.StandbyFor == "") {
			return d
		}
	}
	return nil
}

// serve says what the server of a link gives.
func (r *resolver) serve(w *walker, l *linkDraft, server *draft, managed bool, pools [2]Range) {
	in := server.node.Interface(l.link.Name)
	lease := strict.Or(l.value.Get("lease"), defaultLease)
	var dns [2][]netip.Addr
	domain := ""
	for _, d := range r.order {
		if d.node.DNS == nil {
			continue
		}
		for _, f := range families {
			if a := w.addressFrom(server.node.Name, d.node.Name, f); a.IsValid() {
				dns[f] = append(dns[f], a)
			}
		}
		domain = cmp.Or(domain, d.node.DNS.Domain)
	}
	if a := w.address(server.node.Name, l.link.Name, inet4); a.IsValid() && pools[inet4].IsValid() {
		in.DHCP4 = &DHCP4{Address: a, Prefix: l.link.Prefix4, Pool: pools[inet4], DNS: dns[inet4], Domain: domain, Lease: lease}
	}
	if !l.link.Prefix.IsValid() {
		if v := l.value.Get("home-agent-info"); v.Good() {
			r.complain(v, "leave it out, or give the link an IPv6 prefix", "link %q has no IPv6, in which home agents are told of (RFC 6610)", l.link.Name)
		}
		return
	}
	home := r.homeInfo(l)
	if !managed && len(dns[inet6]) == 0 && home == nil {
		return
	}
	in.DHCP6 = &DHCP6{Prefix: l.link.Prefix, Pool: pools[inet6], DNS: dns[inet6], Domain: domain, Lease: lease, Home: home}
	for _, e := range l.link.Ends {
		if a := r.nodes[e].node.Interface(l.link.Name).Advertise; a != nil {
			a.Managed, a.Other = managed, true
		}
	}
}

// homeAccesses lets mobile nodes have their IPv4 home addresses on home links by
// DHCP too, and nobody else anything.
func (r *resolver) homeAccesses() {
	r.finish()
	w := newWalker(r.t)
	for _, l := range r.links {
		if l.agent == nil || !l.link.Prefix4.IsValid() {
			continue
		}
		if server := r.serverOf(l); server != nil {
			r.serveHome(w, l, server)
		}
	}
}

func (r *resolver) serveHome(w *walker, l *linkDraft, server *draft) {
	d := &DHCP4{Address: w.address(server.node.Name, l.link.Name, inet4), Prefix: l.link.Prefix4, Lease: defaultLease}
	for _, e := range l.link.Ends {
		n := r.nodes[e].node
		if m := n.MobileNode; m != nil && m.HomeAddress4.IsValid() && d.Prefix.Contains(m.HomeAddress4) {
			d.Reserved = append(d.Reserved, Reservation{n.Interface(l.link.Name).MAC, m.HomeAddress4})
		}
	}
	if d.Address.IsValid() && len(d.Reserved) > 0 {
		server.node.Interface(l.link.Name).DHCP4 = d
	}
}

// homeInfo is what a link tells of a home network, nil where it does not.
func (r *resolver) homeInfo(l *linkDraft) *HomeNetwork {
	d := r.one(l.value.Get("home-agent-info"), "ha", "home agent")
	if d == nil || d.node.HomeAgent == nil {
		return nil
	}
	ha := d.node.HomeAgent
	if ha.StandbyFor != "" {
		v := l.value.Get("home-agent-info")
		r.complain(v, "write home-agent-info: "+ha.StandbyFor, "%s stands by for %s, which mobile nodes are to know", v.Text, ha.StandbyFor)
		return nil
	}
	h := &HomeNetwork{Identifier: ha.Realm, Prefixes: ha.HomePrefixes}
	for _, a := range []netip.Addr{ha.Address, ha.Address4} {
		if a.IsValid() {
			h.Agents = append(h.Agents, a)
		}
	}
	if slices.ContainsFunc(r.order, func(d *draft) bool { return d.node.DNS != nil }) {
		h.Names = append(h.Names, ha.FQDN())
	}
	return h
}

// pools returns the addresses that are given on a link: those by hand, or as many
// as there are beside those that nodes have.
func (r *resolver) pools(l *linkDraft, managed bool) (out [2]Range) {
	var fixed []netip.Addr
	for _, e := range l.link.Ends {
		for _, p := range r.nodes[e].node.Interface(l.link.Name).Addresses {
			fixed = append(fixed, p.Addr())
		}
	}
	slices.SortFunc(fixed, netip.Addr.Compare)
	var given [2]bool
	for _, v := range l.value.Get("pool").Items() {
		if !v.Good() {
			given = [2]bool{true, true}
			continue
		}
		pool := strict.Or(v, Range{})
		f := familyOf(pool.First)
		p := l.link.prefix(f)
		taken := slices.IndexFunc(fixed, pool.contains)
		switch n := pool.count(); {
		case !p.IsValid():
			r.complain(v, "leave it out", "the pool %s is of %v, of which link %q has none", pool, f, l.link.Name)
		case f == inet6 && !managed:
			r.complain(v, "leave it out, or write configure: dhcpv6", "the pool %s is of IPv6, and on link %q nodes make their IPv6 addresses themselves", pool, l.link.Name)
		case given[f]:
			r.complain(v, "keep one of each family", "link %q has two %v pools", l.link.Name, f)
		case !p.Contains(pool.First) || !p.Contains(pool.Last):
			r.complain(v, "choose one in "+p.String(), "the pool %s is not in the prefix %s of link %q", pool, p, l.link.Name)
		case n == 0 || n > mostPool:
			r.complain(v, "make it shorter", "the pool %s has more than %d addresses", pool, mostPool)
		case meansMany(pool.First, p) != "":
			r.complain(v, "begin with "+pool.First.Next().String(), "%s", meansMany(pool.First, p))
		case meansMany(pool.Last, p) != "":
			r.complain(v, "end with "+pool.Last.Prev().String(), "%s", meansMany(pool.Last, p))
		case taken >= 0:
			r.complain(v, "leave the addresses of nodes out of it", "the pool %s has the address %s in it, which a node of link %q has", pool, fixed[taken], l.link.Name)
		default:
			out[f] = pool
		}
		given[f] = true
	}
	for _, f := range families {
		p := l.link.prefix(f)
		if given[f] || !p.IsValid() || f == inet6 && !managed {
			continue
		}
		least, most := uint64(1), identifiers(p)
		if f == inet6 {
			least, most = 0x1000, 0x1000+usualPool-1
		}
		pool, ok := longest(p, least, most, fixed)
		if !ok {
			r.complain(l.value, "give the link a shorter prefix", "the prefix %s of link %q has no address left for mobile nodes", p, l.link.Name)
			continue
		}
		out[f] = pool
		r.choose(l.link.Line, "links."+l.link.Name+".pool", pool, "of the prefix")
	}
	return out
}

// longest returns the longest range of p between two identifiers without any of
// the addresses in it, which are in order; of a long one the first usualPool.
func longest(p netip.Prefix, least, most uint64, without []netip.Addr) (best Range, ok bool) {
	var found uint64
	try := func(first, last uint64) {
		if last >= first && last-first+1 > found {
			found = last - first + 1
			best = Range{identifier(p, first), identifier(p, min(last, first+usualPool-1))}
		}
	}
	for _, a := range without {
		if !p.Contains(a) {
			continue
		}
		id := numberIn(a, p)
		if id < least {
			continue
		}
		if id > most {
			break
		}
		if id > 0 {
			try(least, id-1)
		}
		least = id + 1
	}
	try(least, most)
	return best, found > 0
}

// numberIn is the inverse of identifier.
func numberIn(a netip.Addr, p netip.Prefix) (n uint64) {
	base := p.Addr().AsSlice()
	b := a.AsSlice()
	for i := max(len(b)-8, 0); i < len(b); i++ {
		n = n<<8 | uint64(b[i]^base[i])
	}
	return n
}

package topologies

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"s2clab/topologies/strict"
)

// A family is an address family: an index of what a link or a node has of each.
type family int

const (
	inet6 family = iota
	inet4
)

var families = []family{inet6, inet4}

// example is a prefix of each family that a link may have.
var example = [2]netip.Prefix{netip.MustParsePrefix("2001:db8:200::/64"), netip.MustParsePrefix("192.0.2.0/24")}

func (f family) String() string { return [...]string{"IPv6", "IPv4"}[f] }

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return inet4
	}
	return inet6
}

// prefix is the link's prefix of a family; invalid: it has none.
func (l *Link) prefix(f family) netip.Prefix {
	if f == inet4 {
		return l.Prefix4
	}
	return l.Prefix
}

// Prefixes returns the link's prefixes, IPv6 first.
func (l *Link) Prefixes() []netip.Prefix {
	return slices.DeleteFunc([]netip.Prefix{l.Prefix, l.Prefix4}, func(p netip.Prefix) bool { return !p.IsValid() })
}

func (l *Link) setPrefix(p netip.Prefix) {
	if p.Addr().Is4() {
		l.Prefix4 = p
	} else {
		l.Prefix = p
	}
}

func (h *HomeAgent) prefixes(f family) []netip.Prefix {
	if f == inet4 {
		return h.HomePrefixes4
	}
	return h.HomePrefixes
}

// byHand is the prefix that the file gives the link.
func (l *linkDraft) byHand(f family) netip.Prefix { return strict.Or(l.given[f], netip.Prefix{}) }

// readPrefixes notes the prefixes that the file gives a link, one of a family.
func (r *resolver) readPrefixes(l *linkDraft) {
	for _, v := range l.value.Get("prefix").Items() {
		if !v.Good() {
			continue
		}
		f := familyOf(strict.Or(v, netip.Prefix{}).Addr())
		if other := l.given[f]; other != nil {
			r.complain(v, "a link has one prefix of each family; make another link", "link %q has the %v prefixes %s and %s", l.link.Name, f, other.Text, v.Text)
			continue
		}
		l.given[f] = v
	}
}

// prefixes gives each link its prefixes, those by hand first.
func (r *resolver) prefixes() {
	for _, f := range families {
		p := &prefixing{resolver: r, family: f}
		p.byHand()
		p.choose()
	}
	for _, l := range r.links {
		written := l.value.Get("prefix")
		if written != nil && l.link.Home && l.given[inet6] == nil && !slices.ContainsFunc(written.Items(), func(v *strict.Value) bool { return v.Bad }) {
			r.complain(written, "add an IPv6 prefix, or leave \"prefix\" out", "the home link %q has no IPv6 prefix, by which mobile nodes know their home (RFC 5555, section 4.4.4)", l.link.Name)
		}
		if written != nil || len(l.link.Prefixes()) == 0 {
			continue
		}
		why := "a free one"
		if l.agent != nil {
			why = "of the home prefixes of " + l.agent.node.Name
		}
		r.choose(l.link.Line, "links."+l.link.Name+".prefix", list(l.link.Prefixes()), why)
	}
}

// A prefixing gives links their prefixes of one family.
type prefixing struct {
	*resolver
	family family
	used   []usedPrefix
	homes  []usedPrefix // of home links
}

type usedPrefix struct {
	prefix netip.Prefix
	what   string
	link   string // empty: it is of no link
}

// clash returns the one of the used prefixes that stands against giving p to a
// link: it overlaps, and somebody could mean either by an address. Private
// prefixes may be used again behind another NAT.
func (r *prefixing) clash(used []usedPrefix, l *linkDraft, p netip.Prefix) (usedPrefix, bool) {
	i := slices.IndexFunc(used, func(u usedPrefix) bool {
		return u.prefix.Overlaps(p) && (r.family == inet6 || u.link == "" || r.realms.meet(l.link.Name, u.link))
	})
	if i < 0 {
		return usedPrefix{}, false
	}
	return used[i], true
}

func (r *prefixing) byHand() {
	for _, d := range r.order {
		if d.node.HomeAgent != nil {
			for _, p := range d.node.HomeAgent.prefixes(r.family) {
				r.used = append(r.used, usedPrefix{p, fmt.Sprintf("the home prefix %s of %s", p, d.node.Name), ""})
			}
		}
	}
	for _, l := range r.links {
		v, p := l.given[r.family], l.byHand(r.family)
		if v == nil {
			continue
		}
		l.link.setPrefix(p)
		if l.agent != nil {
			ha := l.agent.node
			if home := ha.HomeAgent.prefixes(r.family); !slices.ContainsFunc(home, func(h netip.Prefix) bool { return h.Contains(p.Addr()) && h.Bits() <= p.Bits() }) {
				hint := "leave it out: its home agent has no " + r.family.String() + " home prefixes"
				if len(home) > 0 {
					hint = fmt.Sprintf("choose %s in %s, or leave it out", map[family]string{inet6: "a /64", inet4: "one"}[r.family], list(home))
				}
				r.complain(v, hint, "the prefix %s of the home link %q is not in the home prefixes of %s", p, l.link.Name, ha.Name)
			} else if other, ok := r.clash(r.homes, l, p); ok {
				r.complain(v, "each link has a prefix of its own; leave it out to have one chosen", "the prefix %s of link %q %s", p, l.link.Name, sameAs(p, other))
			}
			r.homes = append(r.homes, usedPrefix{p, "", l.link.Name})
			continue
		}
		if u, ok := r.clash(r.used, l, p); ok && !l.link.Home {
			r.complain(v, "each link has a prefix of its own; leave it out to have one chosen", "the prefix %s of link %q overlaps with %s", p, l.link.Name, u.what)
			continue
		}
		r.used = append(r.used, usedPrefix{p, fmt.Sprintf("the prefix %s of link %q", p, l.link.Name), l.link.Name})
	}
}

func sameAs(p netip.Prefix, other usedPrefix) string {
	if other.prefix == p {
		return fmt.Sprintf("is that of link %q", other.link)
	}
	return fmt.Sprintf("overlaps with the prefix %s of link %q", other.prefix, other.link)
}

// choose gives prefixes to the links that the file gives none.
func (r *prefixing) choose() {
	for i, l := range r.links {
		if l.value.Get("prefix") != nil {
			continue
		}
		switch {
		case l.agent != nil:
			r.chooseHome(l)
		case r.inside(l) && r.family == inet4:
			r.chooseFree(l, i+1, "192.168.0.0/16", func(n int) string { return fmt.Sprintf("192.168.%d.0/24", n&0xff) })
		case !r.inside(l) && r.family == inet6:
			r.chooseFree(l, i+1, "2001:db8::/48", func(n int) string { return fmt.Sprintf("2001:db8:0:%x::/64", n) })
		}
	}
}

// chooseHome takes a /64 of the home prefixes of the link's home agent, or a
// whole IPv4 home prefix where it has one to spare.
func (r *prefixing) chooseHome(l *linkDraft) {
	for _, h := range l.agent.node.HomeAgent.prefixes(r.family) {
		for n := range 1 << 16 {
			p, ok := h, n == 0
			if r.family == inet6 {
				p, ok = nth64(h, n)
			}
			if !ok {
				break
			}
			if _, taken := r.clash(r.homes, l, p); !taken {
				l.link.setPrefix(p)
				r.homes = append(r.homes, usedPrefix{p, "", l.link.Name})
				return
			}
		}
	}
	if r.family == inet6 {
		r.complain(l.value, "give the home agent a shorter home prefix, such as a /48", "the home prefixes of %s have no /64 left for the home link %q", l.agent.node.Name, l.link.Name)
	}
}

// inside says whether a link is on the private side of a NAT: such a link is of
// IPv4 unless its file says more.
func (r *prefixing) inside(l *linkDraft) bool {
	return slices.ContainsFunc(l.link.Ends, func(e string) bool {
		nat := r.nodes[e].node.NAT
		return nat != nil && slices.Contains(nat.Inside, l.link.Name)
	})
}

func (r *prefixing) chooseFree(l *linkDraft, from int, of string, nth func(int) string) {
	for n := from; n < 1<<16; n++ {
		p := netip.MustParsePrefix(nth(n))
		if _, taken := r.clash(r.used, l, p); !taken {
			l.link.setPrefix(p)
			r.used = append(r.used, usedPrefix{p, fmt.Sprintf("the prefix %s chosen for link %q", p, l.link.Name), l.link.Name})
			return
		}
	}
	r.complain(l.value, "give it a prefix by hand", "no prefix of %s is left for link %q", of, l.link.Name)
}

// nth64 returns the nth /64 in p, from 0.
func nth64(p netip.Prefix, n int) (netip.Prefix, bool) {
	if p.Bits() < 48 {
		p = netip.PrefixFrom(p.Addr(), 48)
	}
	if n >= 1<<(64-p.Bits()) {
		return netip.Prefix{}, false
	}
	a := p.Addr().As16()
	a[6] |= byte(n >> 8)
	a[7] |= byte(n)
	return netip.PrefixFrom(netip.AddrFrom16(a), 64), true
}

// identifier returns the address of p with the interface identifier n, in IPv4
// the host number n.
func identifier(p netip.Prefix, n uint64) netip.Addr {
	if p.Addr().Is4() {
		a := p.Addr().As4()
		binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+uint32(n))
		return netip.AddrFrom4(a)
	}
	a := p.Addr().As16()
	for i := range 8 {
		a[15-i] = byte(n >> (8 * i))
	}
	return netip.AddrFrom16(a)
}

// identifiers is how many addresses of p nodes can have, from 1 on.
func identifiers(p netip.Prefix) uint64 {
	if p.Addr().Is4() {
		return 1<<(32-p.Bits()) - 2
	}
	return 1<<64 - 1
}

// meansMany says what an address of p means where it means more than one node.
func meansMany(a netip.Addr, p netip.Prefix) string {
	switch {
	case a.Is4() && (a == p.Addr() || a == broadcast(p)):
		return fmt.Sprintf("%s means all nodes of %s (RFC 1122, section 3.2.1.3)", a, p)
	case a == p.Addr():
		return fmt.Sprintf("%s is the address of all routers", a)
	}
	return ""
}

// checkAddresses complains of addresses by hand that cannot be.
func (r *resolver) checkAddresses(l *linkDraft) {
	owner := map[netip.Addr]string{}
	given := l.value.Get("addresses")
	for _, key := range given.Keys() {
		if !r.isEnd(l, key, "address") {
			continue
		}
		if r.nodes[key.Text].node.Role == "mn" {
			r.complain(key, "leave it out; its home address is home-address: at the node", "%s is a mobile node, which makes its own addresses on link %q", key.Text, l.link.Name)
			continue
		}
		var first [2]*strict.Value
		for _, v := range given.Get(key.Text).Items() {
			if !v.Good() {
				continue
			}
			a := strict.Or(v, netip.Addr{})
			f := familyOf(a)
			p := l.link.prefix(f)
			other, taken := owner[a]
			written := l.value.Get("prefix") == nil || len(l.link.Prefixes()) > 0 // else its prefix has been complained of
			switch {
			case !p.IsValid() && written:
				r.complain(v, fmt.Sprintf("give it one: prefix: [%s]", list(append(l.link.Prefixes(), example[f]))), "the address %s of %s is in no prefix of link %q, which has no %v", a, key.Text, l.link.Name, f)
			case p.IsValid() && !p.Contains(a):
				r.complain(v, "choose one in it, such as "+identifier(p, 1).String(), "the address %s of %s is not in the prefix %s of link %q", a, key.Text, p, l.link.Name)
			case p.IsValid() && a.Is6() && a == p.Addr():
				r.complain(v, "choose another, such as "+identifier(p, 1).String(), "%s is the address of all routers on link %q (RFC 4291, section 2.6.1)", a, l.link.Name)
			case p.IsValid() && meansMany(a, p) != "":
				r.complain(v, "choose another, such as "+identifier(p, 1).String(), "%s", meansMany(a, p))
			case taken:
				r.complain(v, "each end has an address of its own; leave it out to have one chosen", "the address %s of %s is that of %s", a, key.Text, other)
			case first[f] != nil:
				r.complain(v, "keep one of each family", "%s has the %v addresses %s and %s on link %q", key.Text, f, first[f].Text, v.Text, l.link.Name)
			default:
				owner[a], first[f] = key.Text, v
			}
		}
	}
}

// addresses returns the addresses of a family of the link's ends that are no
// mobile nodes: those by hand as the file has them, and chosen ones.
func (r *resolver) addresses(l *linkDraft, f family) map[string]netip.Addr {
	out, owner := map[string]netip.Addr{}, map[netip.Addr]string{}
	p := l.link.prefix(f)
	if !p.IsValid() {
		return out
	}
	given := l.value.Get("addresses")
	for _, key := range given.Keys() {
		for _, v := range given.Get(key.Text).Items() {
			if a := strict.Or(v, netip.Addr{}); v.Good() && p.Contains(a) && slices.Contains(l.link.Ends, key.Text) {
				out[key.Text], owner[a] = a, key.Text
			}
		}
	}
	next := uint64(1)
	for _, routers := range []bool{true, false} {
		for _, e := range l.link.Ends {
			d := r.nodes[e]
			if _, done := out[e]; done || routes(d.node) != routers || d.node.Role == "mn" {
				continue
			}
			for owner[identifier(p, next)] != "" {
				next++
			}
			if next > identifiers(p) {
				r.complain(l.value, "give the link a shorter prefix", "the prefix %s of link %q has no address left for %s", p, l.link.Name, e)
				return out
			}
			a := identifier(p, next)
			out[e], owner[a] = a, e
			next++
			r.choose(l.link.Line, "links."+l.link.Name+".addresses."+e, a, "")
		}
	}
	return out
}

package topologies

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"s2clab/topologies/strict"
)

const (
	maxLinks = 1000
	maxEnds  = 10000
)

func (r *resolver) readLinks(v *strict.Value) {
	ends := 0
	for _, key := range v.Keys() {
		value := v.Get(key.Text)
		l := &linkDraft{value: value, link: &Link{Name: key.Text, Line: key.Line, From: map[string]Impairment{}}}
		if len(r.links) == maxLinks {
			r.complain(key, "larger labs are runs side by side", "link %q is more than the %d that a topology may have", key.Text, maxLinks)
			l.bad = true
			r.links = append(r.links, l)
			return
		}
		r.links = append(r.links, l)
		if ends += len(value.Get("ends").Items()); ends <= maxEnds {
			r.readEnds(l)
			ends += max(0, len(l.link.Ends)-len(value.Get("ends").Items()))
		}
		if ends > maxEnds {
			r.complain(key, "larger labs are runs side by side", "link %q brings more than the %d ends that a topology may have", key.Text, maxEnds)
			l.bad = true
			return
		}
		path := "links." + key.Text
		l.link.Home = strict.Or(value.Get("home"), false)
		l.link.MTU = int(choice(r, key.Line, value, path, "mtu", int64(defaultMTU)))
		l.link.Engine = choice(r, key.Line, value, path, "engine", "user")
		r.impair(l)
		r.devices[key.Text] = r.device(key.Text)
	}
}

func (r *resolver) readEnds(l *linkDraft) {
	ends := l.value.Get("ends")
	if !ends.Good() {
		l.bad = true
		return
	}
	seen := map[string]bool{}
	for _, end := range ends.Items() {
		if !end.Good() {
			l.bad = true
			continue
		}
		members := r.members(end.Text)
		if members == nil {
			if !slices.Contains(r.lost, end.Text) {
				r.complain(end, strict.Suggest(end.Text, "nodes here", r.names("")), "link end %q is not a node of this topology", end.Text)
			}
			l.bad = true
		}
		for _, d := range members {
			if seen[d.node.Name] {
				r.complain(end, "a node has one end of a link; make another link for a second", "link %q has the end %q twice", l.link.Name, d.node.Name)
				l.bad = true
				break
			}
			seen[d.node.Name] = true
			l.link.Ends = append(l.link.Ends, d.node.Name)
		}
	}
	if len(ends.Items()) < 2 && !l.bad && len(l.link.Ends) < 2 {
		what := "one end"
		if len(ends.Items()) == 0 {
			what = "no ends"
		}
		r.complain(ends, "a link joins two nodes or more: ends: [ue, wlan-gw]", "link %q has %s", l.link.Name, what)
		l.bad = true
	}
}

// device returns the name of a link's devices: the link's name, cut to what the
// kernel takes and different from those of the other links.
func (r *resolver) device(link string) string {
	taken := func(name string) bool {
		for _, d := range r.devices {
			if d == name {
				return true
			}
		}
		for _, l := range r.links {
			if l.link.Name == name && name != link {
				return true
			}
		}
		return false
	}
	const most = 15 // IFNAMSIZ without the NUL
	if len(link) <= most {
		return link
	}
	name := strings.TrimRight(link[:most], "-")
	for i := 2; taken(name); i++ {
		suffix := fmt.Sprint("-", i)
		name = strings.TrimRight(link[:most-len(suffix)], "-") + suffix
	}
	return name
}

// impair reads what the link does to frames, all ends first, then each.
func (r *resolver) impair(l *linkDraft) {
	all := ReadChange(l.value).Apply(Impairment{})
	for _, e := range l.link.Ends {
		l.link.From[e] = all
	}
	r.soundImpairment(l.value, all)
	from := l.value.Get("from")
	for _, key := range from.Keys() {
		members := r.members(key.Text)
		value := from.Get(key.Text)
		if !slices.ContainsFunc(members, func(d *draft) bool { return slices.Contains(l.link.Ends, d.node.Name) }) {
			if !l.bad {
				r.complain(key, strict.Suggest(key.Text, "ends here", r.endNames(l)), "%q is not an end of link %q", key.Text, l.link.Name)
			}
			continue
		}
		for _, d := range members {
			if was, ok := l.link.From[d.node.Name]; ok {
				l.link.From[d.node.Name] = ReadChange(value).Apply(was)
			}
		}
		r.soundImpairment(value, ReadChange(value).Apply(all))
	}
}

// endNames are the ends as the file writes them.
func (r *resolver) endNames(l *linkDraft) []string {
	var out []string
	for _, e := range l.value.Get("ends").Items() {
		out = append(out, e.Text)
	}
	return out
}

func (r *resolver) soundImpairment(v *strict.Value, i Impairment) {
	if !v.Good() {
		return
	}
	CheckChange(r.doc, v, i)
}

// homeAgents gives each home agent its home prefixes.
func (r *resolver) homeAgents() {
	var taken []netip.Prefix
	for _, d := range r.order {
		if d.node.Role != "ha" {
			continue
		}
		d.node.HomeAgent = &HomeAgent{}
		for _, v := range d.value.Get("home-prefixes").Items() {
			if !v.Good() {
				continue
			}
			p := strict.Or(v, netip.Prefix{})
			if i := slices.IndexFunc(taken, p.Overlaps); i >= 0 {
				r.complain(v, "home prefixes belong to one home agent and stand once", "home prefix %s overlaps with the home prefix %s", p, taken[i])
				continue
			}
			taken = append(taken, p)
			d.node.HomeAgent.HomePrefixes = append(d.node.HomeAgent.HomePrefixes, p)
		}
	}
	for _, l := range r.links {
		if p := strict.Or(l.value.Get("prefix"), netip.Prefix{}); p.IsValid() && !l.link.Home {
			taken = append(taken, p)
		}
	}
	next := 0x100
	for _, d := range r.order {
		if d.node.Role != "ha" || d.value.Get("home-prefixes") != nil {
			continue
		}
		for ; next < 0xffff; next++ {
			p := netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x::/48", next))
			// A home link may have a prefix by hand, which its home agent then takes on.
			for _, l := range r.links {
				given := strict.Or(l.value.Get("prefix"), netip.Prefix{})
				if given.IsValid() && l.link.Home && slices.Contains(l.link.Ends, d.node.Name) {
					p = given
				}
			}
			if !slices.ContainsFunc(taken, p.Overlaps) {
				d.node.HomeAgent.HomePrefixes = []netip.Prefix{p}
				taken = append(taken, p)
				r.choose(d.node.Line, "nodes."+d.node.Name+".home-prefixes", p, "a free one")
				break
			}
			if p.Bits() == 64 {
				break // the overlap will be told of the link
			}
		}
	}
}

// homeLinks finds whose home links the home links are.
func (r *resolver) homeLinks() {
	for _, l := range r.links {
		if !l.link.Home {
			continue
		}
		prefix := strict.Or(l.value.Get("prefix"), netip.Prefix{})
		vague := l.bad
		for _, e := range l.link.Ends {
			d := r.nodes[e]
			vague = vague || d.vague
			if d.node.Role != "ha" {
				continue
			}
			within := slices.ContainsFunc(d.node.HomeAgent.HomePrefixes, func(p netip.Prefix) bool { return p.Contains(prefix.Addr()) })
			if l.agent == nil || prefix.IsValid() && within {
				l.agent = d
			}
		}
		if l.agent == nil && !vague {
			r.complain(l.value.Get("home"), "add the home agent to its ends, or leave \"home\" out", "link %q is a home link without a home agent on it", l.link.Name)
		}
	}
}

// prefixes gives each link its prefix, those by hand first.
func (r *resolver) prefixes() {
	type use struct {
		prefix netip.Prefix
		what   string
	}
	var used []use
	clash := func(p netip.Prefix) (use, bool) {
		i := slices.IndexFunc(used, func(u use) bool { return u.prefix.Overlaps(p) })
		if i < 0 {
			return use{}, false
		}
		return used[i], true
	}
	for _, d := range r.order {
		if d.node.HomeAgent != nil {
			for _, p := range d.node.HomeAgent.HomePrefixes {
				used = append(used, use{p, fmt.Sprintf("the home prefix %s of %s", p, d.node.Name)})
			}
		}
	}
	homes := map[netip.Prefix]string{}
	for _, l := range r.links {
		v := l.value.Get("prefix")
		if !v.Good() {
			continue
		}
		p := strict.Or(v, netip.Prefix{})
		l.link.Prefix = p
		if l.agent != nil {
			ha := l.agent.node
			if !slices.ContainsFunc(ha.HomeAgent.HomePrefixes, func(h netip.Prefix) bool { return h.Contains(p.Addr()) }) {
				r.complain(v, fmt.Sprintf("choose a /64 in %s, or leave it out", list(ha.HomeAgent.HomePrefixes)), "the prefix %s of the home link %q is not in the home prefixes of %s", p, l.link.Name, ha.Name)
			} else if other, ok := homes[p]; ok {
				r.complain(v, "each link has a prefix of its own; leave it out to have one chosen", "the prefix %s of link %q is that of link %q", p, l.link.Name, other)
			}
			homes[p] = l.link.Name
			continue
		}
		if u, ok := clash(p); ok && !l.link.Home {
			r.complain(v, "each link has a prefix of its own; leave it out to have one chosen", "the prefix %s of link %q overlaps with %s", p, l.link.Name, u.what)
			continue
		}
		used = append(used, use{p, fmt.Sprintf("the prefix %s of link %q", p, l.link.Name)})
	}
	for i, l := range r.links {
		if l.link.Prefix.IsValid() || l.value.Get("prefix") != nil {
			continue
		}
		path := "links." + l.link.Name + ".prefix"
		if l.agent != nil {
			for _, h := range l.agent.node.HomeAgent.HomePrefixes {
				for n := range 1 << 16 {
					p, ok := nth64(h, n)
					if !ok {
						break
					}
					if _, taken := homes[p]; !taken {
						l.link.Prefix, homes[p] = p, l.link.Name
						break
					}
				}
				if l.link.Prefix.IsValid() {
					break
				}
			}
			if !l.link.Prefix.IsValid() {
				r.complain(l.value, "give the home agent a shorter home prefix, such as a /48", "the home prefixes of %s have no /64 left for the home link %q", l.agent.node.Name, l.link.Name)
				continue
			}
			r.choose(l.link.Line, path, l.link.Prefix, "of the home prefixes of "+l.agent.node.Name)
			continue
		}
		for n := i + 1; n < 1<<16; n++ {
			p := netip.MustParsePrefix(fmt.Sprintf("2001:db8:0:%x::/64", n))
			if _, taken := clash(p); !taken {
				l.link.Prefix = p
				used = append(used, use{p, fmt.Sprintf("the prefix %s chosen for link %q", p, l.link.Name)})
				break
			}
		}
		if !l.link.Prefix.IsValid() {
			r.complain(l.value, "give it a prefix by hand", "no prefix of 2001:db8::/48 is left for link %q", l.link.Name)
			continue
		}
		r.choose(l.link.Line, path, l.link.Prefix, "a free one")
	}
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

func list[T any](items []T) string {
	var out []string
	for _, x := range items {
		out = append(out, fmt.Sprint(x))
	}
	return strings.Join(out, ", ")
}

// identifier returns the address of p with the interface identifier n.
func identifier(p netip.Prefix, n uint64) netip.Addr {
	a := p.Addr().As16()
	for i := range 8 {
		a[15-i] = byte(n >> (8 * i))
	}
	return netip.AddrFrom16(a)
}

// interfaces gives each node its ends, with devices, MACs and addresses.
func (r *resolver) interfaces() {
	type at struct{ link, end string }
	macs := map[[6]byte]at{}
	for _, l := range r.links {
		for _, key := range l.value.Get("macs").Keys() {
			v := l.value.Get("macs").Get(key.Text)
			if !r.isEnd(l, key, "MAC address") || !v.Good() {
				continue
			}
			mac := strict.Or(v, [6]byte{})
			if other, ok := macs[mac]; ok {
				r.complain(v, "each end has a MAC address of its own; leave it out to have one chosen", "the MAC address %s of %s on %s is that of %s on %s", v.Text, key.Text, l.link.Name, other.end, other.link)
			}
			macs[mac] = at{l.link.Name, key.Text}
		}
	}
	for i, l := range r.links {
		addresses := r.addresses(l)
		prefix := l.link.Prefix
		for j, e := range l.link.Ends {
			d := r.nodes[e]
			in := Interface{Name: r.devices[l.link.Name], Index: 2 + len(d.node.Interfaces), Link: l.link.Name}
			if v := l.value.Get("macs").Get(e); v.Good() {
				in.MAC = strict.Or(v, in.MAC)
			} else {
				// 02: locally administered; 53 to fd: tried in turn where one is taken by hand.
				for first := byte(0x53); ; first++ {
					in.MAC = [6]byte{0x02, first, byte((i + 1) >> 8), byte(i + 1), byte((j + 1) >> 8), byte(j + 1)}
					if _, taken := macs[in.MAC]; !taken {
						break
					}
				}
			}
			if a, ok := addresses[e]; ok && prefix.IsValid() {
				in.Addresses = []netip.Prefix{netip.PrefixFrom(a, prefix.Bits())}
			}
			d.node.Interfaces = append(d.node.Interfaces, in)
		}
	}
}

// isEnd checks that a key of addresses or macs is one end of the link.
func (r *resolver) isEnd(l *linkDraft, key *strict.Value, what string) bool {
	if slices.Contains(l.link.Ends, key.Text) {
		return true
	}
	if l.bad {
		return false
	}
	if g := r.t.Groups[key.Text]; len(g) > 0 {
		r.complain(key, "name one of them, such as "+g[0], "%q is %d nodes, which cannot share one %s", key.Text, len(g), what)
		return false
	}
	r.complain(key, strict.Suggest(key.Text, "ends here", r.endNames(l)), "%q is not an end of link %q", key.Text, l.link.Name)
	return false
}

// addresses returns the addresses of the link's ends that are no mobile nodes.
func (r *resolver) addresses(l *linkDraft) map[string]netip.Addr {
	out, owner := map[string]netip.Addr{}, map[netip.Addr]string{}
	given := l.value.Get("addresses")
	for _, key := range given.Keys() {
		v := given.Get(key.Text)
		if !r.isEnd(l, key, "address") || !v.Good() {
			continue
		}
		a, p := strict.Or(v, netip.Addr{}), l.link.Prefix
		switch other, taken := owner[a]; {
		case r.nodes[key.Text].node.Role == "mn":
			r.complain(key, "leave it out; its home address is home-address: at the node", "%s is a mobile node, which makes its own addresses on link %q", key.Text, l.link.Name)
			continue
		case p.IsValid() && !p.Contains(a):
			r.complain(v, "choose one in it, such as "+identifier(p, 1).String(), "the address %s of %s is not in the prefix %s of link %q", a, key.Text, p, l.link.Name)
			continue
		case p.IsValid() && a == p.Addr():
			r.complain(v, "choose another, such as "+identifier(p, 1).String(), "%s is the address of all routers on link %q (RFC 4291, section 2.6.1)", a, l.link.Name)
			continue
		case taken:
			r.complain(v, "each end has an address of its own; leave it out to have one chosen", "the address %s of %s is that of %s", a, key.Text, other)
			continue
		}
		out[key.Text], owner[a] = a, key.Text
	}
	if !l.link.Prefix.IsValid() {
		return out
	}
	next := uint64(1)
	for _, routers := range []bool{true, false} {
		for _, e := range l.link.Ends {
			d := r.nodes[e]
			forwards := d.node.Role == "ha" || d.node.Role == "router"
			if _, done := out[e]; done || forwards != routers || d.node.Role == "mn" {
				continue
			}
			a := identifier(l.link.Prefix, next)
			for ; owner[a] != ""; a = identifier(l.link.Prefix, next) {
				next++
			}
			out[e], owner[a] = a, e
			next++
			r.choose(l.link.Line, "links."+l.link.Name+".addresses."+e, a, "")
		}
	}
	return out
}

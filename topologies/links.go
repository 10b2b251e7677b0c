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
		r.readPrefixes(l)
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
	all := r.changes.Change(l.value).Apply(Impairment{})
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
				l.link.From[d.node.Name] = r.changes.Change(value).Apply(was)
			}
		}
		r.soundImpairment(value, r.changes.Change(value).Apply(all))
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
		if r.beside(d) != nil {
			if v := d.value.Get("home-prefixes"); v != nil {
				r.complain(v, "leave it out, or leave beside out", "%s serves the home prefixes of %s, and has none of its own", d.node.Name, r.beside(d).node.Name)
			}
			continue
		}
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
			if p.Addr().Is4() {
				d.node.HomeAgent.HomePrefixes4 = append(d.node.HomeAgent.HomePrefixes4, p)
			} else {
				d.node.HomeAgent.HomePrefixes = append(d.node.HomeAgent.HomePrefixes, p)
			}
		}
	}
	for _, l := range r.links {
		if p := l.byHand(inet6); p.IsValid() && !l.link.Home {
			taken = append(taken, p)
		}
	}
	next := 0x100
	for _, d := range r.order {
		if d.node.Role != "ha" || r.beside(d) != nil || !onlyIPv4(d.value.Get("home-prefixes")) {
			continue
		}
		for ; next < 0xffff; next++ {
			p := netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x::/48", next))
			// A home link may have a prefix by hand, which its home agent then takes on.
			for _, l := range r.links {
				given := l.byHand(inet6)
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
	for _, d := range r.order {
		if other := r.beside(d); other != nil {
			ha := d.node.HomeAgent
			ha.Beside, ha.HomePrefixes, ha.HomePrefixes4 = other.node.Name, other.node.HomeAgent.HomePrefixes, other.node.HomeAgent.HomePrefixes4
		}
	}
}

// beside gives the home agent whose home prefixes another serves too; nil: there
// is none, or what is written does not name one.
func (r *resolver) beside(d *draft) *draft {
	v := whom(d)
	if d.node.Role != "ha" || !v.Good() {
		return nil
	}
	other := r.nodes[v.Text]
	if other == nil || other == d || other.node.Role != "ha" || whom(other) != nil {
		return nil
	}
	return other
}

// whom is what names the home agent that one stands beside, or by for.
func whom(d *draft) *strict.Value {
	if v := d.value.Get("standby-for"); v != nil {
		return v
	}
	return d.value.Get("beside")
}

// checkBeside tells what is wrong with who stands beside whom.
func (r *resolver) checkBeside() {
	for _, d := range r.order {
		v := whom(d)
		if both := d.value.Get("beside"); both != nil && v != both {
			r.complain(both, "leave it out", "%s is a standby, which is beside the other already", d.node.Name)
		}
		if d.node.Role != "ha" || !v.Good() || r.beside(d) != nil {
			continue
		}
		if other := r.one(v, "ha", "home agent"); other != nil {
			r.complain(v, "name a home agent that has home prefixes of its own", "%s cannot stand beside %s", d.node.Name, other.node.Name)
		}
	}
}

// primary is the home agent of that name, or the one that it stands beside.
func (r *resolver) primary(name string) string {
	if d := r.nodes[name]; d != nil && d.node.HomeAgent != nil && d.node.HomeAgent.Beside != "" {
		return d.node.HomeAgent.Beside
	}
	return name
}

// onlyIPv4 says whether a list of prefixes has no IPv6 one, nor one that cannot
// be read.
func onlyIPv4(v *strict.Value) bool {
	return !slices.ContainsFunc(v.Items(), func(p *strict.Value) bool { return !strict.Or(p, netip.Prefix{}).Addr().Is4() })
}

// homeLinks finds whose home links the home links are.
func (r *resolver) homeLinks() {
	for _, l := range r.links {
		if !l.link.Home {
			continue
		}
		prefix := l.byHand(inet6)
		vague := l.bad
		for _, e := range l.link.Ends {
			d := r.nodes[e]
			vague = vague || d.vague
			if d.node.Role != "ha" || r.beside(d) != nil {
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

func list[T any](items []T) string {
	var out []string
	for _, x := range items {
		out = append(out, fmt.Sprint(x))
	}
	return strings.Join(out, ", ")
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
		var addresses [2]map[string]netip.Addr
		r.checkAddresses(l)
		for _, f := range families {
			addresses[f] = r.addresses(l, f)
		}
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
			for _, f := range families {
				if a, ok := addresses[f][e]; ok {
					in.Addresses = append(in.Addresses, netip.PrefixFrom(a, l.link.prefix(f).Bits()))
				}
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

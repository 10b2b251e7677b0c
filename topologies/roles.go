package topologies

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"s2clab/topologies/strict"
)

// linkless tells of nodes that nothing joins to the others.
func (r *resolver) linkless() {
	if r.partial {
		return
	}
	told := map[*strict.Value]bool{}
	for _, d := range r.order {
		if len(d.node.Interfaces) == 0 && !told[d.value] {
			told[d.value] = true
			name := r.written(d)
			hint := "add it to the ends of a link, or take it away"
			if d.node.Role == "mn" {
				hint = "give it links to its home agent and to routers: links: {wlan: {ends: [" + name + ", wlan-gw]}}"
			}
			r.complain(d.value, hint, "node %q is on no link", name)
		}
	}
}

// written returns the name of a node as the file has it: that of its group.
func (r *resolver) written(d *draft) string {
	if g := r.groupOf(d); g != "" {
		return g
	}
	return d.node.Name
}

// one returns the node that v names, which must have that role.
func (r *resolver) one(v *strict.Value, role, what string) *draft {
	if !v.Good() {
		return nil
	}
	d := r.nodes[v.Text]
	switch {
	case d == nil && len(r.t.Groups[v.Text]) > 0:
		r.complain(v, "name one of them, such as "+r.t.Groups[v.Text][0], "%s: %q is many nodes", v.Path, v.Text)
		return nil
	case d == nil:
		r.complain(v, strict.Suggest(v.Text, "nodes with role "+role, r.names(role)), "%s %q is not a node of this topology", what, v.Text)
		return nil
	case d.vague:
		return nil
	case d.node.Role != role:
		r.complain(v, strict.Suggest("", "nodes with role "+role, r.names(role)), "%s %q has the role %s, not %s", what, v.Text, d.node.Role, role)
		return nil
	}
	return d
}

// mobiles gives each mobile node its home agent, subscriber and settings.
func (r *resolver) mobiles() {
	var agents []*draft
	for _, d := range r.order {
		if d.node.Role == "ha" && r.beside(d) == nil {
			agents = append(agents, d)
		}
	}
	ordinal := 0
	nais := map[string]string{}
	deaf := map[*linkDraft]bool{}
	for _, d := range r.order {
		if d.node.Role != "mn" {
			continue
		}
		ordinal++
		n, v, path := d.node, d.value, "nodes."+d.node.Name
		m := &MobileNode{}
		n.MobileNode = m
		switch given := v.Get("home-agent"); {
		case given != nil:
			if ha := r.one(given, "ha", "home agent"); ha != nil {
				m.HomeAgent = ha.node.Name
			}
		case len(agents) == 1:
			m.HomeAgent = agents[0].node.Name
			r.choose(n.Line, path+".home-agent", m.HomeAgent, "the only one")
		case d.index == 0 && len(agents) == 0:
			r.complain(v, "add one: nodes: {pgw: {role: ha}}", "mobile node %q has no home agent: no node has the role ha", n.Name)
		case d.index == 0:
			r.complain(v, "add home-agent: "+agents[0].node.Name+"; home agents here: "+list(r.names("ha")), "mobile node %q does not say which of %d home agents is its own", n.Name, len(agents))
		}

		subscriber := fmt.Sprintf("00101%010d", ordinal)
		if given := v.Get("subscriber"); given.Good() {
			subscriber = strict.Or(given, "")
			if v.Get("count") != nil {
				if !imsiShape().MatchString(subscriber) {
					if d.index == 0 {
						r.complain(given, "give the IMSI of the first, between quotes; the others count on from it", "%q is %d nodes, which cannot share the NAI %s", r.written(d), len(r.t.Groups[r.written(d)]), subscriber)
					}
				} else {
					subscriber = imsiPlus(subscriber, d.index)
				}
			}
		} else if given == nil {
			r.choose(n.Line, path+".subscriber", `"`+subscriber+`"`, "a test network")
		}
		m.NAI = NAI(subscriber)
		if other, taken := nais[m.NAI]; taken && v.Get("subscriber").Good() && d.index == 0 {
			r.complain(v.Get("subscriber"), "each mobile node is a subscriber of its own", "%s has the same subscriber as %s", n.Name, other)
		}
		nais[m.NAI] = n.Name

		m.Lifetime = choice(r, n.Line, v, path, "binding-lifetime", defaultLifetime)
		m.ForceUDP = strict.Or(v.Get("force-udp"), false)
		m.DAD = choice(r, n.Line, v, path, "dad", "optimistic")
		m.Tunnel = choice(r, n.Line, v, path, "tunnel", "auto")
		m.Policy = r.policy(d)
		r.flows(d)

		for _, in := range n.Interfaces {
			l := r.link(in.Link)
			hears := slices.ContainsFunc(l.link.Ends, func(e string) bool { return routes(r.nodes[e].node) })
			if !hears && !deaf[l] {
				deaf[l] = true
				r.complain(l.value, "add a router or a home agent to its ends", "link %q has the mobile node %q on it and no router that it could hear", l.link.Name, n.Name)
			}
		}
	}
}

func routes(n *Node) bool { return n.Role == "router" || n.Role == "ha" || n.Role == "nat" }

func (r *resolver) link(name string) *linkDraft {
	for _, l := range r.links {
		if l.link.Name == name {
			return l
		}
	}
	return nil
}

// homeAddresses gives each mobile node its home prefix and its home address, and
// an IPv4 one where it asks for that.
func (r *resolver) homeAddresses() {
	owner := map[netip.Addr]string{}
	for _, d := range r.order {
		for _, in := range d.node.Interfaces {
			for _, p := range in.Addresses {
				owner[p.Addr()] = d.node.Name
			}
		}
	}
	given := map[*draft][2]*strict.Value{}
	for _, d := range r.order { // those by hand first
		if d.node.MobileNode == nil || d.node.MobileNode.HomeAgent == "" {
			continue
		}
		given[d] = r.givenHomes(d)
		for _, f := range families {
			if v := given[d][f]; v != nil {
				r.homeByHand(d, f, v, owner)
			}
		}
	}
	for _, f := range families {
		next := map[netip.Prefix]uint64{}
		for _, d := range r.order {
			if v, ok := given[d]; ok && (v[f] == nil && (f == inet4 || onlyIPv4Home(d.value.Get("home-address"))) || f == inet6 && d.node.MobileNode.leftToChoose()) {
				r.chooseHomeAddress(d, f, owner, next)
			}
		}
	}
}

// givenHomes returns the home addresses that the file has, one of a family.
func (r *resolver) givenHomes(d *draft) (out [2]*strict.Value) {
	for _, v := range d.value.Get("home-address").Items() {
		if !v.Good() {
			continue
		}
		f := inet6
		if d.node.MobileNode.Assigned = d.node.MobileNode.Assigned || strict.Is[string](v); !strict.Is[string](v) {
			f = familyOf(strict.Or(v, netip.Addr{}))
		}
		if out[f] != nil {
			if d.index == 0 {
				r.complain(v, "keep one of each family", "%s has the %v home addresses %s and %s", d.node.Name, f, out[f].Text, v.Text)
			}
			continue
		}
		out[f] = v
	}
	return out
}

// onlyIPv4Home says whether home addresses by hand leave the IPv6 one to be chosen.
func onlyIPv4Home(v *strict.Value) bool {
	return !slices.ContainsFunc(v.Items(), func(a *strict.Value) bool { return !strict.Or(a, netip.Addr{}).Is4() })
}

// homeByHand takes the home address that the file has.
func (r *resolver) homeByHand(d *draft, f family, given *strict.Value, owner map[netip.Addr]string) {
	m := d.node.MobileNode
	a, instead := strict.Or(given, netip.Addr{}), ", or leave it out"
	for range d.index {
		a = a.Next()
	}
	if strict.Is[string](given) {
		if a = r.assignable(d, given); !a.IsValid() {
			return
		}
		instead = " for its subscriber, or leave that out"
		r.choose(d.node.Line, "nodes."+d.node.Name+".home-address", a, "its subscriber's; assigned: the mobile asks for it")
	}
	ha := r.nodes[m.HomeAgent].node
	pools := ha.HomeAgent.prefixes(f)
	within := slices.IndexFunc(pools, func(p netip.Prefix) bool { return p.Contains(a) })
	prefix := netip.PrefixFrom(a, 64).Masked()
	if f == inet4 && within >= 0 {
		prefix = pools[within]
	}
	home := r.homeLinkOf(d)
	switch other, taken := owner[a]; {
	case taken:
		r.complain(given, "each node has addresses of its own: choose another"+instead, "the home address %s of %s is an address of %s", a, d.node.Name, other)
	case within < 0 && len(pools) == 0:
		r.complain(given, fmt.Sprintf("give %s a home prefix: home-prefixes: [%s]", ha.Name, list(append(ha.HomeAgent.HomePrefixes, example[inet4]))), "the home address %s of %s is an IPv4 address, and its home agent %s has no IPv4 home prefix", a, d.node.Name, ha.Name)
	case within < 0:
		r.complain(given, "choose one in "+list(pools)+instead, "the home address %s of %s is not in the home prefixes of its home agent %s", a, d.node.Name, ha.Name)
	case home != nil && home.link.prefix(f).IsValid() && !r.onHomeLink(d, a):
		r.complain(given, "choose one in "+home.link.prefix(f).String()+instead, "the home address %s of %s is not in the prefix of its home link %q", a, d.node.Name, home.link.Name)
	case f == inet6 && a == prefix.Addr():
		r.complain(given, "choose another, such as "+identifier(prefix, firstHome).String(), "%s is the address of all routers on its link (RFC 4291, section 2.6.1)", a)
	case f == inet4 && meansMany(a, prefix) != "":
		r.complain(given, "choose another, such as "+identifier(prefix, 1).String(), "%s", meansMany(a, prefix))
	}
	if v := d.value.Get("ipv4-home-address"); f == inet4 && v.Good() && !strict.Or(v, true) && d.index == 0 {
		r.complain(v, "leave one of them out", "%s has the IPv4 home address %s, and asks for none", d.node.Name, a)
	}
	m.setHome(a, prefix)
	owner[a] = d.node.Name
}

func (m *MobileNode) setHome(a netip.Addr, p netip.Prefix) {
	if a.Is4() {
		m.HomeAddress4, m.HomePrefix4 = a, p
	} else {
		m.HomeAddress, m.HomePrefix = a, p
	}
}

// leftToChoose says whether no subscriber list has the home address that is to be
// assigned.
func (m *MobileNode) leftToChoose() bool { return m.Assigned && !m.HomeAddress.IsValid() }

// firstHome is the interface identifier of the first home address that is chosen:
// small ones are those of routers, and none is made of a MAC address.
const firstHome = 0x10

// chooseHomeAddress gives a mobile node a home address that nobody has.
func (r *resolver) chooseHomeAddress(d *draft, f family, owner map[netip.Addr]string, next map[netip.Prefix]uint64) {
	m := d.node.MobileNode
	ha := r.nodes[m.HomeAgent]
	home := r.homeLinkOf(d)
	pools, why := []netip.Prefix{}, "its home link has no place here"
	switch {
	case f == inet4 && !r.asksIPv4(d, ha):
		return
	case home != nil && home.link.prefix(f).IsValid():
		pools, why = []netip.Prefix{home.link.prefix(f)}, "in the prefix of "+home.link.Name
	case f == inet4:
		pools, why = ha.node.HomeAgent.HomePrefixes4, "a home prefix without a link"
	case home == nil:
		pools, why = []netip.Prefix{r.virtualHome(ha)}, "a home prefix without a link"
	}
	for _, p := range pools {
		if !p.IsValid() {
			return // it has been told why
		}
		id := max(next[p], min(firstHome, identifiers(p)/2+1))
		for id <= identifiers(p) && owner[identifier(p, id)] != "" {
			id++
		}
		if next[p] = id + 1; id > identifiers(p) {
			continue
		}
		a := identifier(p, id)
		m.setHome(a, p)
		owner[a] = d.node.Name
		if f == inet6 && m.Assigned {
			why += "; assigned: the mobile asks for it"
		}
		r.choose(d.node.Line, "nodes."+d.node.Name+".home-address", a, why)
		return
	}
	if f == inet4 && !r.full[ha.node.Name] {
		r.full[ha.node.Name] = true
		r.complain(d.value, "give its home agent a shorter one, or the mobile node ipv4-home-address: false", "the IPv4 home prefixes of %s have no address left for %s", ha.node.Name, d.node.Name)
	}
}

// asksIPv4 says whether a mobile node asks for an IPv4 home address.
func (r *resolver) asksIPv4(d, ha *draft) bool {
	has := len(ha.node.HomeAgent.HomePrefixes4) > 0
	v := d.value.Get("ipv4-home-address")
	asks := strict.Or(v, has)
	if asks && !has {
		if d.index == 0 {
			r.complain(v, fmt.Sprintf("give it one: home-prefixes: [%s]", list(append(ha.node.HomeAgent.HomePrefixes, example[inet4]))), "%s asks for an IPv4 home address, and its home agent %s has no IPv4 home prefix", d.node.Name, ha.node.Name)
		}
		return false
	}
	return asks
}

// assignable sees that the network can assign a mobile node its home address, and
// returns the one that the subscriber lists have for it; invalid: they have none.
func (r *resolver) assignable(d *draft, given *strict.Value) netip.Addr {
	m, name := d.node.MobileNode, d.node.Name
	switch s := r.t.Security; {
	case s.Integrity == "none":
		if d.index == 0 {
			r.complain(given, "write security: {integrity: auth-options}, or leave it out to have one chosen and known", "nobody can assign a home address to %s: with integrity none the home agent cannot tell who asks", r.written(d))
		}
		return netip.Addr{}
	case s.Bootstrap == "mip-options":
		aaas := r.nodes[m.HomeAgent].node.HomeAgent.AAA
		listed := len(aaas) > 0 && !slices.ContainsFunc(aaas, func(aaa string) bool { return r.nodes[aaa].value.Get("subscribers") == nil })
		if _, known := r.subscriberOf(aaas, m.NAI); listed && !known {
			r.complain(given, "add the subscriber to the list, or leave it out to have one chosen and known", "nobody can assign a home address to %s: none of %s knows the subscriber %s", name, list(aaas), m.NAI)
		}
	}
	var a netip.Addr
	by := ""
	for _, aaa := range r.nodes[m.HomeAgent].node.HomeAgent.AAA {
		s, _ := r.subscriberOf([]string{aaa}, m.NAI)
		switch {
		case !s.HomeAddress.IsValid() || s.HomeAddress == a:
		case a.IsValid():
			r.complain(given, "let their subscriber lists agree", "%s and %s have different home addresses for %s: %s and %s", by, aaa, name, a, s.HomeAddress)
		default:
			a, by = s.HomeAddress, aaa
		}
	}
	return a
}

// homeLinkOf returns the first home link of a mobile node, or nil.
func (r *resolver) homeLinkOf(d *draft) *linkDraft {
	for _, in := range d.node.Interfaces {
		if l := r.link(in.Link); l.link.Home && l.agent != nil && l.agent.node.Name == r.primary(d.node.MobileNode.HomeAgent) {
			return l
		}
	}
	return nil
}

func (r *resolver) onHomeLink(d *draft, a netip.Addr) bool {
	for _, in := range d.node.Interfaces {
		if l := r.link(in.Link); l.link.Home && l.agent != nil && l.agent.node.Name == r.primary(d.node.MobileNode.HomeAgent) && l.link.prefix(familyOf(a)).Contains(a) {
			return true
		}
	}
	return false
}

// virtualHome returns the first /64 of an agent's home prefixes without a link.
func (r *resolver) virtualHome(ha *draft) netip.Prefix {
	for _, h := range ha.node.HomeAgent.HomePrefixes {
		for n := range 1 << 16 {
			p, ok := nth64(h, n)
			if !ok {
				break
			}
			if !slices.ContainsFunc(r.links, func(l *linkDraft) bool { return l.link.Prefix == p }) {
				return p
			}
		}
	}
	r.complain(ha.value, "give it a shorter home prefix, such as a /48", "the home prefixes of %s have no /64 left for mobile nodes without a home link", ha.node.Name)
	return netip.Prefix{}
}

// servers completes the home agents, and says what routers advertise.
func (r *resolver) servers() {
	w := newWalker(r.t)
	for _, d := range r.order {
		switch d.node.Role {
		case "router":
			d.node.Router = &Router{}
		case "dns":
			d.node.DNS = &DNS{Domain: choice(r, d.node.Line, d.value, "nodes."+d.node.Name, "domain", defaultDomain)}
		}
		if ha := d.node.HomeAgent; ha != nil {
			r.homeAgent(w, d, ha)
		}
	}
	for _, l := range r.links {
		if !slices.ContainsFunc(l.link.Ends, func(e string) bool { return r.nodes[e].node.Role == "mn" }) {
			if v := l.value.Get("ra-interval"); v.Good() {
				r.complain(v, "leave it out", "link %q has no mobile node on it, so nothing is advertised there", l.link.Name)
			}
			continue
		}
		if !l.link.Prefix.IsValid() {
			if v := l.value.Get("ra-interval"); v.Good() {
				r.complain(v, "leave it out", "link %q has no IPv6, so nothing is advertised there", l.link.Name)
			}
			continue
		}
		longest := choice(r, l.link.Line, l.value, "links."+l.link.Name, "ra-interval", defaultMaxInterval)
		for _, e := range l.link.Ends {
			n := r.nodes[e].node
			in := n.Interface(l.link.Name)
			if !routes(n) || in == nil || !l.link.Prefix.IsValid() || !w.address(e, l.link.Name, inet6).IsValid() {
				continue
			}
			in.Advertise = &Advertise{
				Prefix:      l.link.Prefix,
				Address:     w.address(e, l.link.Name, inet6),
				MinInterval: max(longest/2, 30*time.Millisecond), // RFC 6275, section 7.5
				MaxInterval: longest,
				Lifetime:    max(3*longest, 9*time.Second).Round(time.Second), // RFC 4861, section 6.2.1
				HomeAgent:   l.agent != nil && l.agent.node.Name == r.primary(n.Name),
			}
		}
	}
}

func (r *resolver) homeAgent(w *walker, d *draft, ha *HomeAgent) {
	n, v, path := d.node, d.value, "nodes."+d.node.Name
	ha.MaxLifetime = choice(r, n.Line, v, path, "max-lifetime", defaultMaxLifetime)
	ha.MaxBindings = int(choice(r, n.Line, v, path, "max-bindings", int64(defaultMaxBindings)))
	ha.ReplayWindow = choice(r, n.Line, v, path, "replay-window", defaultReplayWindow)
	ha.Tunnel = choice(r, n.Line, v, path, "tunnel", "auto")
	ha.MultipleCareOf = choice(r, n.Line, v, path, "multiple-care-of", true)
	ha.UDP = choice(r, n.Line, v, path, "udp", "accept")
	ha.NATKeepalive = choice(r, n.Line, v, path, "nat-keepalive", defaultNATKeepalive)
	if ha.NATKeepalive%time.Second != 0 {
		r.complain(v.Get("nat-keepalive"), "write whole seconds, such as 110s", "%s: %v is not in whole seconds", v.Get("nat-keepalive").Path, ha.NATKeepalive)
	}
	ha.AAATimeout = choice(r, n.Line, v, path, "aaa-timeout", defaultAAATimeout)
	ha.Watchdog = choice(r, n.Line, v, path, "watchdog", defaultWatchdog)
	if v := d.value.Get("standby-for"); v.Good() && r.beside(d) != nil {
		ha.StandbyFor = r.beside(d).node.Name
		ha.Heartbeat = choice(r, n.Line, d.value, path, "heartbeat", defaultHeartbeat)
		ha.ReplicationKey = r.derive("ha-replication-key", n.Name)
		for _, in := range r.beside(d).node.Interfaces {
			if n.Interface(in.Link) == nil {
				r.complain(v, "add "+n.Name+" to the ends of the link", "%s cannot take over from %s on link %q, on which it is not", n.Name, ha.StandbyFor, in.Link)
			}
		}
	}
	ha.KeepsBindings = choice(r, n.Line, v, path, "keeps-bindings", false)
	ha.Revocation = Revocation{
		Retries: int(choice(r, n.Line, v, path, "revocation-retries", int64(defaultRevocationRetries))),
		Delay:   choice(r, n.Line, v, path, "revocation-delay", defaultRevocationDelay),
		Timeout: choice(r, n.Line, v, path, "revocation-timeout", defaultRevocationTimeout),
	}
	if late := v.Get("revocation-timeout"); late.Good() && ha.Revocation.Timeout < ha.Revocation.Delay {
		r.complain(late, "make it as long as revocation-delay, or longer", "%s: the longest wait %v is shorter than the first, %v", late.Path, ha.Revocation.Timeout, ha.Revocation.Delay)
	}
	ha.DAD = choice(r, n.Line, v, path, "dad", "full")
	if ha.DAD == "optimistic" {
		r.complain(v.Get("dad"), "write none or full", "%s: a home agent cannot detect duplicates optimistically: it would defend an address before it has asked", v.Get("dad").Path)
	}
	ha.Realm, ha.Host = r.identity(d)

	if given := v.Get("aaa"); given != nil {
		for _, item := range given.Items() {
			aaa := r.one(item, "aaa", "AAA server")
			switch {
			case aaa == nil:
			case slices.Contains(ha.AAA, aaa.node.Name):
				r.complain(item, "leave it out", "%q stands twice", aaa.node.Name)
			default:
				ha.AAA = append(ha.AAA, aaa.node.Name)
			}
		}
	} else {
		for _, other := range r.order {
			if other.node.Role == "aaa" {
				ha.AAA = append(ha.AAA, other.node.Name)
			}
		}
		if len(ha.AAA) > 0 {
			r.choose(n.Line, path+".aaa", list(ha.AAA), "all there are")
		}
		if s := r.t.Security; len(ha.AAA) == 0 && s.asksAAA() && r.hasMobiles(n.Name) {
			r.complain(v, "add a node with role aaa, or write security: {bootstrap: static}", "home agent %q has no AAA server to ask, and with bootstrap %s the keys come from one", n.Name, s.Bootstrap)
		}
	}

	r.agentAddresses(w, d, ha)
}

// agentAddresses gives a home agent the addresses that take Binding Updates.
func (r *resolver) agentAddresses(w *walker, d *draft, ha *HomeAgent) {
	n, path := d.node, "nodes."+d.node.Name
	var own []netip.Addr
	for _, in := range n.Interfaces {
		for _, p := range in.Addresses {
			own = append(own, p.Addr())
		}
	}
	var addresses [2]netip.Addr
	written := d.value.Get("address")
	for _, v := range written.Items() {
		if !v.Good() {
			continue
		}
		a := strict.Or(v, netip.Addr{})
		switch f := familyOf(a); {
		case !slices.Contains(own, a):
			r.complain(v, "its addresses: "+list(own), "%s is not an address of %s", a, n.Name)
		case addresses[f].IsValid():
			r.complain(v, "keep one of each family", "%s takes Binding Updates at the %v addresses %s and %s", n.Name, f, addresses[f], a)
		default:
			addresses[f] = a
		}
	}
	for _, f := range families {
		if addresses[f].IsValid() || written != nil && !written.Good() {
			continue
		}
		if addresses[f] = r.agentAddress(w, n, f); addresses[f].IsValid() {
			r.choose(n.Line, path+".address", addresses[f], "where accesses reach it")
		}
	}
	ha.Address, ha.Address4 = addresses[inet6], addresses[inet4]
	if !ha.Address.IsValid() && len(own) > 0 && !r.doc.Failed() {
		r.complain(d.value, "give one of its links an IPv6 prefix", "home agent %q has no IPv6 address, to which Binding Updates are sent, within IPv4 too (RFC 5555, section 4.2)", n.Name)
	}
}

func (r *resolver) hasMobiles(ha string) bool {
	return slices.ContainsFunc(r.order, func(d *draft) bool { return d.node.MobileNode != nil && d.node.MobileNode.HomeAgent == ha })
}

// agentAddress returns the address at which mobiles away from home reach their
// home agent n: that on the link by which the packets of their accesses arrive.
func (r *resolver) agentAddress(w *walker, n *Node, f family) netip.Addr {
	for _, l := range r.links {
		visited := slices.ContainsFunc(l.link.Ends, func(e string) bool {
			m := r.nodes[e].node.MobileNode
			return m != nil && r.primary(m.HomeAgent) == r.primary(n.Name)
		})
		if !visited || l.agent != nil {
			continue
		}
		for _, e := range l.link.Ends {
			if e == n.Name && l.link.prefix(f).IsValid() {
				return w.address(e, l.link.Name, f)
			}
			if !routes(r.nodes[e].node) {
				continue
			}
			if entry, ok := w.reachOf(e, f).entry[n.Name]; ok && !w.links[entry].Home {
				return w.address(n.Name, entry, f)
			}
		}
	}
	for _, home := range []bool{false, true} {
		for _, in := range n.Interfaces {
			if a := w.address(n.Name, in.Link, f); w.links[in.Link].Home == home && a.IsValid() {
				return a
			}
		}
	}
	return netip.Addr{}
}

// identity returns the Diameter realm and identity of a node.
func (r *resolver) identity(d *draft) (realm, host string) {
	path := "nodes." + d.node.Name
	realm = choice(r, d.node.Line, d.value, path, "realm", defaultRealm)
	host = choice(r, d.node.Line, d.value, path, "host", d.node.Name+"."+realm)
	return realm, host
}

// authorities completes the AAA servers, without their subscribers' keys.
func (r *resolver) authorities() {
	for _, d := range r.order {
		if d.node.Role == "aaa" {
			n, path := d.node, "nodes."+d.node.Name
			n.AAA = &AAA{
				Port:        uint16(choice(r, n.Line, d.value, path, "port", int64(diameterPort))),
				Watchdog:    choice(r, n.Line, d.value, path, "watchdog", defaultWatchdog),
				KeyLifetime: choice(r, n.Line, d.value, path, "key-lifetime", defaultKeyLifetime),
			}
			n.AAA.Realm, n.AAA.Host = r.identity(d)
		}
	}
}

// identities sees that no two nodes have the same Diameter identity.
func (r *resolver) identities() {
	hosts := map[string]string{}
	for _, d := range r.order {
		host := d.node.diameterHost()
		if host == "" {
			continue
		}
		if other, taken := hosts[host]; taken {
			at := d.value
			if v := d.value.Get("host"); v != nil {
				at = v
			}
			r.complain(at, "Diameter identities are unique", "%s and %s have the same Diameter identity %s", other, d.node.Name, host)
		}
		hosts[host] = d.node.Name
	}
}

// diameterHost is the Diameter identity of a node; empty: it has none.
func (n *Node) diameterHost() string {
	switch {
	case n.AAA != nil:
		return n.AAA.Host
	case n.HomeAgent != nil:
		return n.HomeAgent.Host
	case n.HSS != nil:
		return n.HSS.Host
	case n.BSF != nil:
		return n.BSF.Host
	case n.Router != nil:
		return n.Router.Host
	case n.Relay != nil:
		return n.Relay.Host
	}
	return ""
}

// asks is whom a node asks by Diameter, the preferred one first, and by which key
// the file can say so.
func (n *Node) asks() (servers []string, key, what string) {
	switch {
	case n.HomeAgent != nil:
		return n.HomeAgent.AAA, "aaa", "AAA server"
	case n.Router != nil:
		return n.Router.AAA, "aaa", "AAA server"
	case n.AAA != nil:
		return n.AAA.HSS, "hss", "HSS"
	case n.BSF != nil:
		return n.BSF.HSS, "hss", "HSS"
	}
	return nil, "", ""
}

// reachable sees that signalling has a path: from each access to the home
// agent, and to the servers that are asked by Diameter.
func (r *resolver) reachable() {
	r.finish()
	w := newWalker(r.t)
	told := map[string]bool{}
	for _, d := range r.order {
		servers, key, what := d.node.neighbours()
		for i, server := range servers {
			if !w.path(d.node.Name, server, families...) {
				at := d.value
				if items := d.value.Get(key).Items(); i < len(items) {
					at = items[i]
				}
				r.complain(at, "join them by a link, or by routers", "%s has no path to its %s %s", d.node.Name, what, server)
			}
		}
		m := d.node.MobileNode
		if m == nil || m.HomeAgent == "" {
			continue
		}
		for _, in := range d.node.Interfaces {
			l := r.link(in.Link)
			if l.agent != nil && l.agent.node.Name == r.primary(m.HomeAgent) || slices.Contains(l.link.Ends, m.HomeAgent) || len(l.link.Prefixes()) == 0 {
				continue
			}
			for _, e := range l.link.Ends {
				about := e + ">" + m.HomeAgent
				if !routes(r.nodes[e].node) || told[about] {
					continue
				}
				if !w.path(e, m.HomeAgent, w.familiesOf(l.link)...) {
					told[about] = true
					r.complain(l.value, fmt.Sprintf("join %s and %s by a link, or by routers", e, m.HomeAgent), "%s, the router on link %q, has no path to %s, the home agent of %s", e, l.link.Name, m.HomeAgent, d.node.Name)
				}
			}
		}
	}
}

// path says whether there is one between two nodes, in one of the families.
func (w *walker) path(from, to string, in ...family) bool {
	return slices.ContainsFunc(in, func(f family) bool {
		_, ok := w.reachOf(from, f).entry[to]
		return ok
	})
}

func (w *walker) familiesOf(l *Link) (out []family) {
	for _, f := range families {
		if l.prefix(f).IsValid() {
			out = append(out, f)
		}
	}
	return out
}

// subscriberLists gives the AAA servers the subscribers that are written.
func (r *resolver) subscriberLists() {
	r.derived = map[string]bool{}
	for _, d := range r.order {
		if v := d.value.Get("subscribers"); v != nil && d.node.AAA != nil {
			d.node.AAA.Subscribers = r.subscribers(v)
		}
	}
}

// keys gives the AAA servers, the home agents and the mobile nodes the keys
// that they share.
func (r *resolver) keys() {
	var mobiles []*draft
	for _, d := range r.order {
		if m := d.node.MobileNode; m != nil {
			mobiles = append(mobiles, d)
		}
	}
	for _, d := range r.order {
		aaa := d.node.AAA
		if aaa == nil || d.value.Get("subscribers") != nil {
			continue
		}
		for _, m := range mobiles {
			ha := r.nodes[m.node.MobileNode.HomeAgent]
			if ha == nil || !slices.Contains(ha.node.HomeAgent.AAA, d.node.Name) {
				continue
			}
			nai := m.node.MobileNode.NAI
			r.derived[nai] = true
			aaa.Subscribers = append(aaa.Subscribers, Subscriber{NAI: nai, MNAAASPI: r.t.Security.spiOfMNAAA(), MNAAAKey: r.derive("mn-aaa-key", nai)})
		}
		if len(aaa.Subscribers) > 0 {
			r.choose(d.node.Line, "nodes."+d.node.Name+".subscribers", fmt.Sprintf("%d, with keys made from their names: for labs only", len(aaa.Subscribers)), "")
		}
	}
	r.assign(mobiles)
	static := r.t.Security.Bootstrap == "static"
	for i, d := range mobiles {
		m, path := d.node.MobileNode, "nodes."+d.node.Name
		ha := r.nodes[m.HomeAgent]
		if ha == nil {
			continue
		}
		s, known := r.subscriberOf(ha.node.HomeAgent.AAA, m.NAI)
		if !known {
			s = Subscriber{NAI: m.NAI, MNAAASPI: r.t.Security.spiOfMNAAA(), MNAAAKey: r.derive("mn-aaa-key", m.NAI)}
			if !static && len(ha.node.HomeAgent.AAA) > 0 {
				r.choose(d.node.Line, path+".subscriber", m.NAI, "no AAA server of its home agent knows it: it will be refused")
			}
		}
		m.MNAAAKey, m.MNAAASPI = s.MNAAAKey, s.MNAAASPI
		if v := d.value.Get("mn-aaa-key"); v.Good() {
			m.MNAAAKey = strict.Or(v, m.MNAAAKey)
			if known && !slices.Equal(m.MNAAAKey, s.MNAAAKey) {
				r.choose(d.node.Line, path+".mn-aaa-key", "not the one that the AAA server has", "as written")
			}
		}
		m.MNAAASPI = uint32(strict.Or(d.value.Get("mn-aaa-spi"), int64(m.MNAAASPI)))
		if d.index == 0 {
			r.checkMNAAASPI(d.value.Get("mn-aaa-spi"))
		}
		m.MNHASPI = uint32(strict.Or(d.value.Get("mn-ha-spi"), int64(0)))
		if v := d.value.Get("mn-ha-spi"); v.Good() && m.MNHASPI < 256 {
			r.complain(v, "choose 256 or more", "the SPI %d is one of those reserved for algorithms (RFC 4285, section 8)", m.MNHASPI)
		}
		m.MNHAKey = strict.Or(d.value.Get("mn-ha-key"), []byte(nil))
		if !static {
			continue
		}
		a := Association{NAI: m.NAI, HomeAddress: m.HomeAddress, SPI: s.MNHASPI, Key: s.MNHAKey}
		if a.SPI == 0 {
			a.SPI = max(m.MNHASPI, uint32(256+i))
			if m.MNHASPI != 0 {
				a.SPI = m.MNHASPI
			}
		}
		if a.Key == nil {
			a.Key = r.derive("mn-ha-key", m.NAI)
			r.choose(d.node.Line, path+".mn-ha-key", "made from its name: for labs only", "")
		}
		for _, other := range r.order { // those beside it know the mobile node too
			if h := other.node.HomeAgent; h != nil && r.primary(other.node.Name) == r.primary(ha.node.Name) {
				h.Associations = append(h.Associations, a)
			}
		}
		if m.MNHASPI == 0 {
			m.MNHASPI = a.SPI
		}
		if m.MNHAKey == nil {
			m.MNHAKey = a.Key
		}
	}
}

// assign tells the AAA servers the home addresses that they are to assign.
func (r *resolver) assign(mobiles []*draft) {
	for _, d := range mobiles {
		m := d.node.MobileNode
		if !m.Assigned || r.nodes[m.HomeAgent] == nil {
			continue
		}
		for _, name := range r.nodes[m.HomeAgent].node.HomeAgent.AAA {
			subscribers := r.nodes[name].node.AAA.Subscribers
			for i := range subscribers {
				if s := &subscribers[i]; s.NAI == m.NAI && !s.HomeAddress.IsValid() {
					s.HomeAddress = m.HomeAddress
				}
			}
		}
	}
}

// derive makes a key that is the same at each run and different for each name.
// Whoever knows the file knows the key: it protects nothing outside a lab.
func (r *resolver) derive(use, nai string) []byte {
	sum := sha256.Sum256([]byte("s2clab lab key\x00" + use + "\x00" + r.t.Name + "\x00" + nai))
	return sum[:16]
}

func (r *resolver) subscriberOf(aaas []string, nai string) (Subscriber, bool) {
	for _, name := range aaas {
		if d := r.nodes[name]; d != nil && d.node.AAA != nil {
			for _, s := range d.node.AAA.Subscribers {
				if s.NAI == nai {
					return s, true
				}
			}
		}
	}
	return Subscriber{}, false
}

// subscribers reads a list of subscribers, in place or in a file.
func (r *resolver) subscribers(v *strict.Value) []Subscriber {
	if !v.Good() {
		return nil
	}
	items := v.Items()
	if items == nil {
		items = r.subscribersFrom(v)
	}
	var out []Subscriber
	first := map[string]int{}
	for _, item := range items {
		id := item.Get("subscriber")
		if !item.Good() || !id.Good() {
			continue
		}
		s := Subscriber{
			NAI:         NAI(strict.Or(id, "")),
			MNAAASPI:    uint32(strict.Or(item.Get("mn-aaa-spi"), int64(r.t.Security.spiOfMNAAA()))),
			MNAAAKey:    strict.Or(item.Get("mn-aaa-key"), []byte(nil)),
			MNHAKey:     strict.Or(item.Get("mn-ha-key"), []byte(nil)),
			MNHASPI:     uint32(strict.Or(item.Get("mn-ha-spi"), int64(0))),
			HomeAddress: strict.Or(item.Get("home-address"), netip.Addr{}),
			Barred:      strict.Or(item.Get("barred"), false),
		}
		if v := item.Get("home-agent"); v.Good() {
			if ha := r.one(v, "ha", "home agent"); ha != nil {
				s.HomeAgent = ha.node.Name
			}
		}
		if line, twice := first[s.NAI]; twice {
			r.complain(id, "keep one of them", "subscriber %s stands here a second time; the first is on line %d", s.NAI, line)
			continue
		}
		first[s.NAI] = id.Line
		r.checkMNAAASPI(item.Get("mn-aaa-spi"))
		if v := item.Get("mn-ha-spi"); v.Good() && s.MNHASPI < 256 {
			r.complain(v, "choose 256 or more", "the SPI %d is one of those reserved for algorithms (RFC 4285, section 8)", s.MNHASPI)
		}
		if s.MNAAAKey == nil {
			s.MNAAAKey = r.derive("mn-aaa-key", s.NAI)
			if !r.derived[s.NAI] {
				r.derived[s.NAI] = true
				r.choose(v.Line, v.Path+"."+s.NAI+".mn-aaa-key", "made from its name: for labs only", "")
			}
		}
		out = append(out, s)
	}
	return out
}

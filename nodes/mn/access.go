package mn

import (
	"net/netip"
	"slices"
	"time"
)

// Constants of RFC 4861, section 10, and bounds of our own on what others say.
const (
	maxRouterSolicitations     = 3
	routerSolicitationInterval = 4 * time.Second
	maxUnicastSolicit          = 3
	retransTimer               = time.Second

	shortestRetrans  = 100 * time.Millisecond
	longestRetrans   = 10 * time.Second
	shortestInterval = 70 * time.Millisecond // RFC 6275, section 7.5: the least MaxRtrAdvInterval

	twoHours = 2 * time.Hour // RFC 4862, section 5.5.3

	maxRouters     = 8 // of a link
	maxPrefixes    = 8 // of a router
	maxIdentifiers = 4 // tried on a link before it is given up: RFC 7217, section 6
)

// An access is a device, the link that is on it, and the address we have there.
type access struct {
	dev, link string
	mac       [6]byte
	linkLocal netip.Addr

	carrier bool
	since   time.Time // when the carrier came

	solicited int       // Router Solicitations since the carrier came
	solicitAt time.Time // when the next is due; zero: none is

	routers []*router // in the order found
	router  *router   // the default router, one of routers; nil: none
	home    bool      // it advertises the home prefix; then there is no care-of address
	address address

	// previous is the address before, kept while the tunnel still ends there:
	// RFC 6275, section 11.5.4. Not valid: none.
	previous netip.Prefix

	tried   int          // identifiers, under triedIn
	triedIn netip.Prefix // the prefix they were tried under
}

// An address is the care-of address of an access. The zero value is none.
type address struct {
	prefix netip.Prefix // the address, and the length of the prefix it was formed from
	usable bool
	how    string // how its interface identifier was formed
}

// A router is one that has advertised itself on a link.
type router struct {
	address   netip.Addr // link-local
	global    netip.Addr // by the R flag; not valid: not told
	linkLayer [6]byte
	expires   time.Time     // the end of its lifetime as default router
	retrans   time.Duration // between Neighbor Solicitations to it
	silence   time.Duration // after which it is probed; 0: it promised no interval
	checkAt   time.Time     // when to probe it next; zero: not at all
	probes    int           // unanswered
	prefixes  []prefix
}

// A prefix is one that a router has advertised.
type prefix struct {
	prefix             netip.Prefix // masked
	onLink, autonomous bool
	valid, preferred   time.Time // when that ends; zero: never
	ended              bool      // the end of preferred has been seen to
}

func newAccess(dev, link string, mac [6]byte) *access {
	a := &access{dev: dev, link: link, mac: mac}
	a.linkLocal = join(netip.MustParsePrefix("fe80::/64"), modifiedEUI64(mac))
	return a
}

// usable says whether the access can carry us.
func (a *access) usable() bool {
	return a.carrier && a.router != nil && (a.home || a.address.usable)
}

// deprecated says whether the care-of address is: RFC 4862, section 5.5.4.
func (a *access) deprecated(now time.Time) bool {
	if a.home || a.router == nil {
		return false
	}
	p := a.router.of(a.address.prefix)
	return p != nil && due(p.preferred, now)
}

// of is the prefix of the router that address was formed from; nil: none.
func (r *router) of(address netip.Prefix) *prefix {
	if !address.IsValid() {
		return nil
	}
	masked := address.Masked()
	for i := range r.prefixes {
		if r.prefixes[i].prefix == masked {
			return &r.prefixes[i]
		}
	}
	return nil
}

func (m *Machine) carrierChanged(now time.Time, a *access, up bool) {
	if a.carrier = up; up {
		m.event("carrier-gained", map[string]any{"link": a.link})
		a.since, a.solicited, a.triedIn = now, 0, netip.Prefix{}
		m.solicit(now, a)
		return
	}
	m.event("carrier-lost", map[string]any{"link": a.link})
	a.solicitAt, a.routers, a.router, a.home = time.Time{}, nil, nil, false
	m.settle(now) // first: another access may carry us
	m.dropAddress(a)
	m.dropPrevious(a)
}

// solicit sends a Router Solicitation, at once and without the random delay:
// RFC 4861, section 6.3.7, allows that to mobile nodes.
func (m *Machine) solicit(now time.Time, a *access) {
	m.do(SolicitRouter{Dev: a.dev, Source: a.linkLocal, LinkLayer: a.mac})
	a.solicited++
	a.solicitAt = time.Time{}
	if a.solicited < maxRouterSolicitations {
		a.solicitAt = now.Add(routerSolicitationInterval)
	}
}

func (m *Machine) routerAdvertised(now time.Time, a *access, in *RouterAdvertised) {
	switch {
	case !a.carrier:
		m.ignore(now, "router advertisement without carrier", map[string]any{"link": a.link})
		return
	case !in.Router.Is6() || !in.Router.IsLinkLocalUnicast(): // RFC 4861, section 6.1.2
		m.ignore(now, "router advertisement not from a link-local address", map[string]any{"link": a.link})
		return
	}
	i := slices.IndexFunc(a.routers, func(r *router) bool { return r.address == in.Router })
	if in.Lifetime <= 0 {
		if i >= 0 {
			m.routerLost(now, a, a.routers[i], "says it is no default router")
		}
		return
	}
	a.solicitAt = time.Time{}
	found := i < 0
	var r *router
	if found {
		r = &router{address: in.Router}
		a.remember(r)
	} else {
		r = a.routers[i]
	}
	r.hear(now, in)
	if found {
		p := r.announced(m.cfg.HomePrefix.Masked())
		m.event("router-found", map[string]any{"link": a.link, "router": r.name().String(),
			"prefix": p.String(), "home": p == m.cfg.HomePrefix.Masked()})
		if a.router != nil && a.router.of(a.address.prefix) != nil && r.of(a.address.prefix) == nil {
			// RFC 6275, section 11.5.1: another router with other prefixes may mean
			// that we have moved, so see whether the old one still answers.
			m.probe(now, a, a.router)
		}
	}
	m.configure(now, a)
	m.settle(now)
}

// remember adds a router, in place of one that does not carry us where there
// are too many.
func (a *access) remember(r *router) {
	if len(a.routers) == maxRouters {
		i := slices.IndexFunc(a.routers, func(old *router) bool { return old != a.router })
		a.routers = slices.Delete(a.routers, i, i+1)
	}
	a.routers = append(a.routers, r)
}

// hear takes in what a router advertises: RFC 4861, section 6.3.4. What it does
// not say stays as it was.
func (r *router) hear(now time.Time, in *RouterAdvertised) {
	r.expires = now.Add(in.Lifetime)
	if in.LinkLayer != ([6]byte{}) {
		r.linkLayer = in.LinkLayer
	}
	if r.retrans == 0 {
		r.retrans = retransTimer
	}
	if in.Retrans > 0 {
		r.retrans = min(max(in.Retrans, shortestRetrans), longestRetrans)
	}
	r.silence = 0
	if in.Interval > 0 {
		// The interval is the longest between two advertisements: RFC 6275, section
		// 7.3. The quarter is for what the link adds to it.
		r.silence = max(in.Interval, shortestInterval) * 5 / 4
	}
	r.answered(now)
	for _, p := range in.Prefixes {
		if p.Router && p.Prefix.Addr().IsGlobalUnicast() {
			r.global = p.Prefix.Addr()
		}
		r.hearPrefix(now, p)
	}
}

// answered notes that the router is there.
func (r *router) answered(now time.Time) {
	r.probes, r.checkAt = 0, time.Time{}
	if r.silence > 0 {
		r.checkAt = now.Add(r.silence)
	}
}

func (r *router) hearPrefix(now time.Time, in Prefix) {
	masked := in.Prefix.Masked()
	if !masked.IsValid() || !masked.Addr().Is6() || masked.Addr().IsLinkLocalUnicast() ||
		masked.Addr().IsMulticast() || in.Preferred > in.Valid { // RFC 4862, section 5.5.3
		return
	}
	p := r.of(masked)
	if p == nil {
		if in.Valid <= 0 || len(r.prefixes) == maxPrefixes {
			return
		}
		r.prefixes = append(r.prefixes, prefix{prefix: masked, valid: end(now, in.Valid)})
		p = &r.prefixes[len(r.prefixes)-1]
	}
	p.onLink, p.autonomous = in.OnLink, in.Autonomous
	p.preferred, p.ended = end(now, in.Preferred), false
	// RFC 4862, section 5.5.3, item e: nobody may end an address in less than two
	// hours by an advertisement that anybody may forge.
	left := Forever
	if !p.valid.IsZero() {
		left = p.valid.Sub(now)
	}
	switch {
	case in.Valid > twoHours || in.Valid > left:
		p.valid = end(now, in.Valid)
	case left > twoHours:
		p.valid = end(now, twoHours)
	}
}

// end is when a lifetime that was told at now ends; zero: never.
func end(now time.Time, lifetime time.Duration) time.Time {
	if lifetime >= Forever {
		return time.Time{}
	}
	return now.Add(lifetime)
}

// name is the address that tells this router from those of other links, where
// it has told it: RFC 6275, section 7.2.
func (r *router) name() netip.Addr {
	if r.global.IsValid() {
		return r.global
	}
	return r.address
}

// announced is the prefix that tells people what link this is: the home prefix
// where the router has it, else its first; not valid: it has none.
func (r *router) announced(home netip.Prefix) netip.Prefix {
	if p := r.of(home); p != nil && p.onLink {
		return home
	}
	if len(r.prefixes) == 0 {
		return netip.Prefix{}
	}
	return r.prefixes[0].prefix
}

// offers says whether the router's prefix p may be used for a care-of address.
func (p *prefix) offers(now time.Time) bool {
	return p.autonomous && p.prefix.Bits() == 64 && !due(p.valid, now)
}

// configure chooses the default router of an access, and forms an address from
// a prefix which that router advertises: RFC 6275, sections 11.5.2 to 11.5.4.
func (m *Machine) configure(now time.Time, a *access) {
	home := m.cfg.HomePrefix.Masked()
	for _, r := range a.routers {
		if p := r.of(home); p != nil && p.onLink && !due(p.valid, now) {
			a.router, a.home = r, true
			m.dropAddress(a)
			return
		}
	}
	a.home = false
	var keep, form *router
	var from netip.Prefix
	for _, r := range a.routers {
		for i := range r.prefixes {
			p := &r.prefixes[i]
			switch {
			case !p.offers(now):
			case a.address.prefix.IsValid() && p.prefix == a.address.prefix.Masked():
				if keep == nil || r == a.router {
					keep = r
				}
			case form == nil && !due(p.preferred, now):
				form, from = r, p.prefix
			}
		}
	}
	switch {
	case keep != nil && (form == nil || !due(keep.of(a.address.prefix).preferred, now)):
		if a.router != keep {
			a.router = keep
			m.enter(a)
		}
	case form != nil:
		if keep != nil && m.tunnel == a.address.prefix.Addr() {
			m.dropPrevious(a)
			a.previous, a.address = a.address.prefix, address{}
		} else {
			m.dropAddress(a)
		}
		a.router = form
		m.formAddress(a, from)
	default:
		a.router = nil
	}
}

// formAddress takes a care-of address from a prefix into use: the first with
// the modified EUI-64 identifier, others with random ones.
func (m *Machine) formAddress(a *access, from netip.Prefix) {
	if a.triedIn != from {
		a.triedIn, a.tried = from, 0
	}
	if a.tried == maxIdentifiers {
		return
	}
	id, how := modifiedEUI64(a.mac), "modified-eui-64"
	if a.tried > 0 {
		id, how = m.rand.Uint64()&^(1<<57), "random" // the universal bit is clear: RFC 4291, section 2.5.1
	}
	a.tried++
	a.address = address{prefix: netip.PrefixFrom(join(from, id), from.Bits()), how: how}
	m.enter(a)
	if dadOf(m.cfg.DAD) != FullDAD {
		m.configured(a)
	}
}

// enter tells the kernel of the address of a, and of the way out of it.
func (m *Machine) enter(a *access) {
	if a.address.prefix.IsValid() {
		m.do(EnterAccess{Dev: a.dev, Address: a.address.prefix, DAD: dadOf(m.cfg.DAD),
			Router: a.router.address, LinkLayer: a.router.linkLayer})
	}
}

func (m *Machine) configured(a *access) {
	a.address.usable = true
	m.event("address-configured", map[string]any{"link": a.link, "address": a.address.prefix.Addr().String(), "how": a.address.how})
}

// dropAddress takes the care-of address of an access out of use.
func (m *Machine) dropAddress(a *access) {
	old := a.address.prefix
	a.address = address{}
	m.leave(a, old)
}

// dropPrevious does that with the address that an access had before.
func (m *Machine) dropPrevious(a *access) {
	old := a.previous
	a.previous = netip.Prefix{}
	m.leave(a, old)
}

// leave takes an address out of use, and with it the tunnel that ends there.
func (m *Machine) leave(a *access, old netip.Prefix) {
	if !old.IsValid() {
		return
	}
	if m.tunnel == old.Addr() {
		m.clearTunnel()
	}
	m.do(LeaveAccess{Dev: a.dev, Address: old})
}

// setTunnel lets the tunnel end at the care-of address.
func (m *Machine) setTunnel() {
	if m.tunnel != m.careOf {
		m.tunnel = m.careOf
		m.do(SetTunnel{Local: m.careOf, Remote: m.cfg.HomeAgent})
	}
	for _, a := range m.accesses {
		m.dropPrevious(a)
	}
}

func (m *Machine) clearTunnel() {
	if !m.tunnel.IsValid() {
		return
	}
	m.tunnel = netip.Addr{}
	if m.homecoming.told {
		m.useHome()
	}
	m.do(ClearTunnel{})
}

func (m *Machine) addressChanged(now time.Time, a *access, in AddressChanged) {
	switch {
	case m.homecoming.access == a && in.Address == m.cfg.HomeAddress:
		m.homeAddressChanged(now, in.State)
	case !a.address.prefix.IsValid() || a.address.prefix.Addr() != in.Address: // of an address that we have given up
	case in.State == Ready && !a.address.usable:
		m.configured(a)
		m.settle(now)
	case in.State == Duplicate:
		m.event("address-failed", map[string]any{"link": a.link, "address": in.Address.String()})
		from := a.address.prefix.Masked()
		m.dropAddress(a)
		m.formAddress(a, from)
		m.settle(now)
	}
}

func (m *Machine) neighborAdvertised(now time.Time, a *access, in *NeighborAdvertised) {
	if in.Target == m.cfg.HomeAddress {
		m.defended(now, a, in.LinkLayer)
		return
	}
	if !in.Solicited {
		return // says nothing of the way to there: RFC 4861, section 7.2.5
	}
	for _, r := range a.routers {
		if r.address == in.Target {
			r.answered(now)
		}
	}
}

// probe asks a router whether it is still there.
func (m *Machine) probe(now time.Time, a *access, r *router) {
	r.probes++
	r.checkAt = now.Add(r.retrans)
	m.do(SolicitNeighbor{Dev: a.dev, Source: a.linkLocal, Destination: r.address, Target: r.address, LinkLayer: a.mac})
}

// routerLost forgets a router and goes on without it.
func (m *Machine) routerLost(now time.Time, a *access, r *router, reason string) {
	m.event("router-lost", map[string]any{"link": a.link, "router": r.name().String(), "reason": reason})
	a.routers = slices.DeleteFunc(a.routers, func(x *router) bool { return x == r })
	if a.router == r {
		a.router = nil
	}
	m.configure(now, a)
	m.settle(now)
	if a.router == nil {
		m.dropAddress(a)
		m.dropPrevious(a)
	}
	if len(a.routers) == 0 {
		a.solicited = 0
		m.solicit(now, a)
	}
}

func (m *Machine) tickAccess(now time.Time, a *access) {
	if due(a.solicitAt, now) {
		m.solicit(now, a)
	}
	for _, r := range slices.Clone(a.routers) {
		switch {
		case due(r.expires, now):
			m.routerLost(now, a, r, "lifetime ended")
		case !due(r.checkAt, now):
		case r.probes == maxUnicastSolicit:
			m.routerLost(now, a, r, "unreachable")
		default:
			m.probe(now, a, r)
		}
	}
	changed := false
	for _, r := range a.routers {
		for i := range r.prefixes {
			p := &r.prefixes[i]
			changed = changed || due(p.valid, now) || due(p.preferred, now) && !p.ended
			p.ended = p.ended || due(p.preferred, now)
		}
	}
	if changed {
		m.expirePrefixes(now, a)
	}
}

// expirePrefixes forgets what is no longer valid, and forms a new address where
// that of a is deprecated or gone.
func (m *Machine) expirePrefixes(now time.Time, a *access) {
	for _, r := range a.routers {
		r.prefixes = slices.DeleteFunc(r.prefixes, func(p prefix) bool { return due(p.valid, now) })
	}
	m.configure(now, a)
	if a.router == nil {
		m.settle(now)
		m.dropAddress(a)
		m.dropPrevious(a)
	}
}

func (a *access) deadline() time.Time {
	d := a.solicitAt
	for _, r := range a.routers {
		d = earliest(earliest(d, r.expires), r.checkAt)
		for i := range r.prefixes {
			p := &r.prefixes[i]
			d = earliest(d, p.valid)
			if !p.ended {
				d = earliest(d, p.preferred)
			}
		}
	}
	return d
}

// modifiedEUI64 is the interface identifier of an Ethernet device: RFC 4291,
// appendix A.
func modifiedEUI64(mac [6]byte) uint64 {
	id := uint64(mac[0]^2)<<56 | uint64(mac[1])<<48 | uint64(mac[2])<<40 | 0xfffe<<24
	return id | uint64(mac[3])<<16 | uint64(mac[4])<<8 | uint64(mac[5])
}

// join is the address of an interface identifier under a prefix of 64 bits.
func join(p netip.Prefix, id uint64) netip.Addr {
	b := p.Masked().Addr().As16()
	for i := range 8 {
		b[8+i] = byte(id >> (56 - 8*i))
	}
	return netip.AddrFrom16(b)
}

// dadOf is a word of the configuration.
func dadOf(word string) DAD {
	switch word {
	case "full":
		return FullDAD
	case "optimistic":
		return OptimisticDAD
	}
	return NoDAD
}

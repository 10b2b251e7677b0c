package mn

import (
	"net/netip"
	"slices"
	"time"
)

// Bounds on what routers may say and how much of it is kept.
const (
	shortestRetrans  = 100 * time.Millisecond
	longestRetrans   = 10 * time.Second
	shortestInterval = 70 * time.Millisecond // RFC 6275, section 7.5: the least MaxRtrAdvInterval
	twoHours         = 2 * time.Hour         // RFC 4862, section 5.5.3

	maxRouters  = 8 // of a link
	maxPrefixes = 8 // of a router
)

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
	managed   bool          // it says that addresses come by DHCP
	other     bool          // it says that configuration does
	names     []nameServer
	prefixes  []prefix
}

// A prefix is one that a router has advertised.
type prefix struct {
	prefix             netip.Prefix // masked
	onLink, autonomous bool
	valid, preferred   time.Time // when that ends; zero: never
	ended              bool      // the end of preferred has been seen to
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

func (m *Machine) routerAdvertised(now time.Time, a *access, in *RouterAdvertised) {
	switch {
	case !a.open():
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
		p := r.announced(m.home.prefix)
		m.event("router-found", map[string]any{"link": a.link, "router": r.name().String(),
			"prefix": p.String(), "home": m.home.known() && p == m.home.prefix})
		if a.router != nil && a.router.of(a.address.prefix) != nil && r.of(a.address.prefix) == nil {
			// RFC 6275, section 11.5.1: another router with other prefixes may mean
			// that we have moved, so see whether the old one still answers.
			m.probe(now, a, a.router)
		}
	}
	m.configure(now, a)
	m.settle(now)
	m.managed(now, a)
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
	r.expires, r.managed, r.other = now.Add(in.Lifetime), in.Managed, in.Other
	r.hearNames(now, in.Names)
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

func (m *Machine) neighborAdvertised(now time.Time, a *access, in *NeighborAdvertised) {
	if in.Target == m.home.address {
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
	m.reconfigure(now, a)
	if len(a.routers) == 0 {
		a.solicited = 0
		m.solicit(now, a)
	}
}

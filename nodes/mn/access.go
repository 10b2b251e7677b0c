package mn

import (
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/session/dhcp6"
	"s2clab/nodes/session/dot1x"
)

// Constants of RFC 4861, section 10.
const (
	maxRouterSolicitations     = 3
	routerSolicitationInterval = 4 * time.Second
	maxUnicastSolicit          = 3
	retransTimer               = time.Second
)

// maxIdentifiers are tried under a prefix before it is given up: RFC 7217,
// section 6.
const maxIdentifiers = 4

// An access is a device, the link that is on it, and the address we have there.
type access struct {
	dev, link string
	mac       [6]byte
	linkLocal netip.Addr
	mayBeHome bool // the home link may be the one that is on it, as far as this node was told

	carrier bool
	port    *port     // nil: the link lets everybody on
	since   time.Time // when the carrier came, or the link let us on
	radio   radio

	solicited int       // Router Solicitations since the carrier came
	solicitAt time.Time // when the next is due; zero: none is

	routers []*router // in the order found
	router  *router   // the default router, one of routers; nil: none
	home    bool      // it advertises the home prefix; then there is no care-of address
	address address
	ipv4    address4
	dhcp    dynamic

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

func newAccess(dev, link string, mac [6]byte) *access {
	a := &access{dev: dev, link: link, mac: mac}
	a.linkLocal = join(netip.MustParsePrefix("fe80::/64"), modifiedEUI64(mac))
	return a
}

// open says whether the link can be used.
func (a *access) open() bool { return a.carrier && (a.port == nil || a.port.open) }

// usable says whether the access can carry us.
func (a *access) usable() bool {
	return a.open() && (a.usable6() || a.usable4())
}

// deprecated says whether the care-of address is: RFC 4862, section 5.5.4.
func (a *access) deprecated(now time.Time) bool {
	if a.home || a.router == nil {
		return false
	}
	preferred, _ := a.ends(a.router)
	return due(preferred, now)
}

// ends is when the care-of address is not preferred any more, and when it is not
// valid any more, as a router says or the DHCP server; zero: never.
func (a *access) ends(r *router) (preferred, valid time.Time) {
	if a.isLeased() {
		return a.dhcp.leased.Preferred, a.dhcp.leased.Expire
	}
	if p := r.of(a.address.prefix); p != nil {
		return p.preferred, p.valid
	}
	return time.Time{}, time.Time{}
}

func (m *Machine) carrierChanged(now time.Time, a *access, up bool) {
	if a.carrier = up; up {
		m.event("carrier-gained", map[string]any{"link": a.link})
		if a.port != nil {
			m.supplicate(now, a, dot1x.LinkUp{})
		} else {
			m.begin(now, a)
		}
		return
	}
	m.stopDHCP(now, a)
	m.event("carrier-lost", map[string]any{"link": a.link})
	if a.port != nil {
		m.supplicate(now, a, dot1x.LinkDown{})
	}
	m.end(now, a)
}

// begin is for when a link can be used.
func (m *Machine) begin(now time.Time, a *access) {
	a.since, a.solicited, a.triedIn = now, 0, netip.Prefix{}
	m.listen(now, a)
	if m.mobileIPv4 == nil {
		m.solicit(now, a)
	}
	m.startDHCP(now, a)
}

// end is for when it cannot any more.
func (m *Machine) end(now time.Time, a *access) {
	m.listen(now, a)
	ipv4 := a.ipv4
	a.solicitAt, a.routers, a.router, a.home, a.ipv4 = time.Time{}, nil, nil, false, address4{}
	m.settle(now) // first: another access may carry us
	m.dropAddress(a)
	m.dropPrevious(a)
	m.leave4(a, ipv4)
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

// configure chooses the default router of an access, and forms an address from
// a prefix which that router advertises: RFC 6275, sections 11.5.2 to 11.5.4.
func (m *Machine) configure(now time.Time, a *access) {
	if r := m.homeRouter(now, a); r != nil {
		a.router, a.home = r, true
		m.dropAddress(a)
		return
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
	leased := false
	for _, r := range a.routers {
		switch {
		case !r.managed || !a.dhcp.lease.IsValid():
		case a.isLeased():
			if keep == nil || r == a.router {
				keep = r
			}
		case form == nil:
			form, leased = r, true
		}
	}
	deprecated := false
	if keep != nil {
		preferred, _ := a.ends(keep)
		deprecated = due(preferred, now)
	}
	switch {
	case keep != nil && (form == nil || !deprecated):
		if a.router != keep {
			a.router = keep
			m.enter(a)
		}
	case form != nil:
		if keep != nil && m.tunnel.Local == a.address.prefix.Addr() {
			m.dropPrevious(a)
			a.previous, a.address = a.address.prefix, address{}
		} else {
			m.dropAddress(a)
		}
		if a.router = form; leased {
			m.takeAddress(a, a.dhcp.lease, "dhcp")
		} else {
			m.formAddress(a, from)
		}
	default:
		a.router = nil
	}
}

// homeRouter is the first router of an access that advertises the home prefix;
// nil: it is not the home link, as far as is known.
func (m *Machine) homeRouter(now time.Time, a *access) *router {
	for _, r := range a.routers {
		if p := r.of(m.home.prefix); p != nil && p.onLink && !due(p.valid, now) {
			return r
		}
	}
	return nil
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
	m.takeAddress(a, netip.PrefixFrom(join(from, id), from.Bits()), how)
}

// takeAddress takes a care-of address into use.
func (m *Machine) takeAddress(a *access, prefix netip.Prefix, how string) {
	a.address = address{prefix: prefix, how: how}
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
	m.greet(a, a.address.prefix.Addr())
	m.event("address-configured", map[string]any{"link": a.link, "address": a.address.prefix.Addr().String(), "how": a.address.how})
}

// greet tells routers of an address before they have something for it, which
// would else wait until they have asked: RFC 9131, section 6.1.2. Nobody who
// knows better is overridden, so it may be done while duplicates are detected,
// and while the home agent defends the address.
func (m *Machine) greet(a *access, address netip.Addr) {
	m.do(AdvertiseNeighbor{Dev: a.dev, Destination: netip.IPv6LinkLocalAllRouters(), Target: address, LinkLayer: a.mac})
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
	m.dropWay(old.Addr())
	if m.tunnel.Local == old.Addr() {
		m.clearTunnel()
	}
	if m.former.Local == old.Addr() {
		m.former = SetTunnel{}
	}
	if m.expected == old.Addr() {
		m.forsakeTunnel()
	}
	m.do(LeaveAccess{Dev: a.dev, Address: old})
}

// beginTunnel is for when the home agent has been told the care-of address.
//
// What applications send follows the Binding Update where the home agent holds a
// binding and accepts another at once: it comes there behind that, and from then
// on nothing is taken from the old address (RFC 6275, section 10.4.5), which is
// still there to receive at. Where the answer does not come it goes by the old
// address again.
func (m *Machine) beginTunnel(u *update) {
	r := &m.registration
	switch {
	case u.several():
		if !m.tunnel.Local.IsValid() { // else packets come as those of the tunnel do
			m.expectTunnel()
		}
	case m.former.Local.IsValid() && r.attempt > 1:
		m.stepBack()
		m.expectTunnel()
	case m.tunnel.Local.IsValid() && m.tunnel.Local != m.careOf && r.bound && r.attempt == 1 && !u.proof.bootstraps:
		if !m.former.Local.IsValid() {
			m.former = m.tunnel
		}
		m.switchTunnel(m.wantedTunnel(m.mayBeInUDP()))
	default:
		m.expectTunnel()
	}
}

// stepBack lets the tunnel end again where the home agent has it.
func (m *Machine) stepBack() {
	if old := m.former; old.Local.IsValid() {
		m.former = SetTunnel{}
		m.switchTunnel(old)
	}
}

// switchTunnel makes t the tunnel.
func (m *Machine) switchTunnel(t SetTunnel) {
	m.tunnel = t
	m.do(t)
	if m.expected == t.Local {
		m.expected = netip.Addr{} // it has come
	}
	m.forsakeTunnel()
}

// expectTunnel is for when the home agent has been told the care-of address: it
// may use that before we know (RFC 6275, section 11.3.1, asks of packets in the
// tunnel only who sent them).
func (m *Machine) expectTunnel() {
	if m.tunnel.Local != m.careOf && m.expected != m.careOf {
		m.expected = m.careOf
		m.do(ExpectTunnel(m.wantedTunnel(m.mayBeInUDP())))
	}
}

func (m *Machine) forsakeTunnel() {
	if m.expected.IsValid() {
		m.expected = netip.Addr{}
		m.do(ForsakeTunnel{})
	}
}

// setTunnel lets the tunnel end at the care-of address.
func (m *Machine) setTunnel() {
	m.former = SetTunnel{}
	if len(m.multi.ways.Ways) > 0 {
		m.tunnel, m.multi.ways = SetTunnel{}, SetWays{}
	}
	if want := m.wantedTunnel(m.dual.udp); m.tunnel != want {
		m.switchTunnel(want)
	}
	m.forsakeTunnel()
	for _, a := range m.accesses {
		m.dropPrevious(a)
	}
}

func (m *Machine) clearTunnel() {
	if !m.tunnel.Local.IsValid() {
		return
	}
	m.tunnel, m.former, m.multi.ways = SetTunnel{}, SetTunnel{}, SetWays{}
	if m.homecoming.told {
		m.useHome()
	}
	m.do(ClearTunnel{})
}

func (m *Machine) addressChanged(now time.Time, a *access, in AddressChanged) {
	switch {
	case m.homecoming.access == a && in.Address == m.home.address:
		m.homeAddressChanged(now, in.State)
	case !a.address.prefix.IsValid() || a.address.prefix.Addr() != in.Address: // of an address that we have given up
	case in.State == Ready && !a.address.usable:
		m.configured(a)
		m.settle(now)
	case in.State == Duplicate:
		if a.isLeased() {
			m.do6(now, a, a.dhcp.six.Step(now, dhcp6.Conflicted{Address: in.Address}))
			return
		}
		m.event("address-failed", map[string]any{"link": a.link, "address": in.Address.String()})
		from := a.address.prefix.Masked()
		m.dropAddress(a)
		if a.router != nil {
			m.formAddress(a, from)
		}
		m.settle(now)
	}
}

func (m *Machine) tickAccess(now time.Time, a *access) {
	if due(a.radio.turnAt, now) {
		m.listen(now, a)
	}
	if due(a.solicitAt, now) {
		m.solicit(now, a)
	}
	if a.port != nil && due(a.port.supplicant.Deadline(), now) {
		m.supplicated(now, a, a.port.supplicant.Tick(now))
	}
	m.tickDHCP(now, a)
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
	m.reconfigure(now, a)
}

// reconfigure does with the address of a what is right by now.
func (m *Machine) reconfigure(now time.Time, a *access) {
	m.configure(now, a)
	m.settle(now)
	if a.router == nil {
		m.dropAddress(a)
		m.dropPrevious(a)
	}
}

func (a *access) deadline() time.Time {
	d := earliest(earliest(a.solicitAt, a.radio.turnAt), a.dhcp.deadline())
	if a.port != nil {
		d = earliest(d, a.port.supplicant.Deadline())
	}
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

package mn

import (
	"net/netip"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/wire/mh"
	"s2clab/nodes/wire/udp"
)

// natKeepalive is NATKATIMEOUT of RFC 5555, section 6.
const natKeepalive = 110 * time.Second

// ipv6Attempts is how many Binding Updates an IPv6 care-of address gets before an
// IPv4 one is tried: RFC 5555, section 4.4.1.
const ipv6Attempts = 3

// An address4 is the IPv4 address of an access. The zero value is none.
type address4 struct {
	prefix  netip.Prefix // the address, and the length of the link's prefix
	router  netip.Addr   // not valid: none on the link
	home    bool         // it is the IPv4 home address, on the home link
	carries bool         // at home too: Mobile IPv4
	expires time.Time    // zero: it has no end
}

// dualStack is what a mobile node does by RFC 5555 beside the rest.
type dualStack struct {
	wanted bool         // IPv4 is of use, if only once a home agent's IPv4 address is known
	agent  netip.Addr   // the home agent's IPv4 address; not valid: IPv4 carries nothing
	asks   bool         // it wants an IPv4 home address
	home   netip.Addr   // that; not valid: not assigned yet
	prefix netip.Prefix // whose addresses are of the home link; not valid: not known

	force   bool // it asks for UDP by the F flag
	refused bool // which the home agent has refused

	// failed says that Binding Updates by IPv6 were not answered where IPv4 was at
	// hand. It holds until the mobile node is at home: RFC 5555, section 4.4.1,
	// would not have each handover try both anew.
	failed bool

	bound bool         // the home agent has bound the IPv4 home address
	udp   bool         // the tunnel goes in UDP
	used  *access      // applications use it there; nil: nowhere
	as    netip.Prefix // with the length of the link's prefix

	nat natFound // the last one
}

// A natFound is a NAT on the way to the home agent.
type natFound struct {
	careOf    netip.Addr
	keepalive time.Duration
}

func dualStackOf(cfg *control.MobileNode) dualStack {
	d := dualStack{agent: cfg.HomeAgent4, asks: cfg.IPv4Home, home: cfg.HomeAddress4, force: cfg.ForceUDP}
	if cfg.HomePrefix4.IsValid() {
		d.prefix = cfg.HomePrefix4.Masked()
	}
	return d
}

// isHome4 says whether an address is of the home link.
func (m *Machine) isHome4(a netip.Addr) bool {
	if m.mobileIPv4 != nil && m.dual.home.IsValid() { // another address there is a care-of address
		return a == m.dual.home
	}
	return a == m.dual.home || m.dual.prefix.IsValid() && m.dual.prefix.Contains(a)
}

// UseHome4 puts the IPv4 home address on the home link, and sends what
// applications send by IPv4 there.
type UseHome4 struct {
	Dev       string
	Address   netip.Prefix // with the length of the link's prefix
	Router    netip.Addr   // not valid: none on the link
	LinkLayer [6]byte      // of the router; zero: to be resolved
}

// LeaveHome4 takes that back.
type LeaveHome4 struct {
	Dev     string
	Address netip.Prefix
}

func (UseHome4) output()   {}
func (LeaveHome4) output() {}

// usable6 says whether the access can carry us by IPv6.
func (a *access) usable6() bool { return a.router != nil && (a.home || a.address.usable) }

// usable4 says whether it can by IPv4: that is for accesses away from home only,
// RFC 5555, section 4.4.4; with Mobile IPv4 also for home.
func (a *access) usable4() bool {
	return a.ipv4.prefix.IsValid() && (!a.ipv4.home || a.ipv4.carries)
}

// careOfAt is the address that we have on an access: an IPv6 one where it can
// be, RFC 5555, section 4.4.1.
func (m *Machine) careOfAt(a *access) netip.Addr {
	switch {
	case a == nil:
		return netip.Addr{}
	case a.home && a.router != nil:
		return m.home.address
	case a.usable6() && !(m.dual.failed && a.usable4()):
		return a.address.prefix.Addr()
	}
	return a.ipv4.prefix.Addr()
}

// configured4 takes an IPv4 address that DHCP has given an access, or the same for
// longer.
func (m *Machine) configured4(now time.Time, a *access, got address4) {
	got.home = m.isHome4(got.prefix.Addr())
	if got.carries = m.mobileIPv4 != nil; got.carries {
		a.home = got.home
	}
	if !got.home && !m.dual.agent.IsValid() && !m.mayFind4() { // nobody could be told of it
		return
	}
	old := a.ipv4
	a.ipv4 = got
	if old.prefix == got.prefix && old.router == got.router {
		return
	}
	m.event("address-configured", map[string]any{"link": a.link, "address": got.prefix.Addr().String(), "how": "dhcp"})
	if !got.home {
		m.do(EnterAccess{Dev: a.dev, Address: got.prefix, Router: got.router, LinkLayer: a.router4(got.router)})
		m.greet4(a, got)
	}
	m.settle(now)
	if old.prefix != got.prefix {
		m.leave4(a, old)
	}
	m.useHome4()
}

// deconfigured4 is for when it may not be used any more.
func (m *Machine) deconfigured4(now time.Time, a *access, reason string) {
	old := a.ipv4
	if !old.prefix.IsValid() {
		return
	}
	a.ipv4 = address4{}
	a.home = a.home && !old.carries
	m.event("address-lost", map[string]any{"link": a.link, "address": old.prefix.Addr().String(), "reason": reason})
	m.settle(now) // first: IPv6 or another access may carry us
	m.leave4(a, old)
}

// leave4 takes an IPv4 address out of use.
func (m *Machine) leave4(a *access, old address4) {
	switch {
	case !old.prefix.IsValid():
	case old.home:
		m.leaveHome4()
	default:
		m.leave(a, old.prefix)
	}
}

// useHome4 lets applications use the IPv4 home address on the home link, where
// they use that for IPv6.
func (m *Machine) useHome4() {
	h := &m.homecoming
	if h.access == nil || !h.used || !h.access.ipv4.home || m.dual.used == h.access {
		return
	}
	m.putHome4(h.access)
}

// putHome4 puts the IPv4 home address on the home link.
func (m *Machine) putHome4(a *access) {
	i := a.ipv4
	if m.dual.asks {
		m.dual.home = i.prefix.Addr()
	}
	m.dual.used, m.dual.as = a, i.prefix
	m.do(UseHome4{Dev: a.dev, Address: i.prefix, Router: i.router, LinkLayer: a.router4(i.router)})
}

func (m *Machine) leaveHome4() {
	if a := m.dual.used; a != nil {
		m.dual.used = nil
		m.do(LeaveHome4{Dev: a.dev, Address: m.dual.as})
	}
}

// findHome4 sees whether an access has the IPv4 home address, now that this node
// knows it: then it is no care-of address, and the link is the home link.
func (m *Machine) findHome4() {
	for _, a := range m.accesses {
		if old := a.ipv4; old.prefix.IsValid() && !old.home && m.isHome4(old.prefix.Addr()) {
			a.ipv4.home = true
			m.leave4(a, old)
		}
	}
}

// options4 adds to a Binding Update what RFC 5555 wants in it: section 4.4.2.
func (m *Machine) options4(u *update, bu *mh.BindingUpdate) {
	d := &m.dual
	switch {
	case u.several(): // RFC 5648, section 5.2: no Alternate Care-of Address
	case u.overIPv4():
		bu.Options = append(bu.Options, mh.IPv4CareOf{Address: u.careOf})
		if u.forces = d.force && !d.refused; u.forces {
			bu.Flags |= mh.ForceUDP
		}
	default:
		bu.Options = append(bu.Options, mh.AlternateCareOf{Address: u.careOf})
	}
	if !d.asks || u.lifetime == 0 {
		return
	}
	home4 := mh.IPv4HomeAddress{PrefixLen: 32, Address: netip.IPv4Unspecified()}
	if d.home.IsValid() {
		home4.Address = d.home
	}
	bu.Options = append(bu.Options, home4)
}

// overIPv4 says whether a Binding Update goes by IPv4, in UDP.
func (u *update) overIPv4() bool { return u.careOf.Is4() }

// ends are those of a Binding Update by IPv4: RFC 5555, section 4.2.
func (m *Machine) ends(u *update) (from, to netip.AddrPort) {
	if !u.overIPv4() {
		return
	}
	return netip.AddrPortFrom(u.careOf, udp.EncapsulationPort), m.agent4()
}

// agent4 is where the home agent takes what comes in UDP over IPv4.
func (m *Machine) agent4() netip.AddrPort {
	return netip.AddrPortFrom(m.dual.agent, udp.EncapsulationPort)
}

// wantedTunnel is the tunnel between the care-of address and the home agent. udp:
// in UDP, by IPv4.
func (m *Machine) wantedTunnel(inUDP bool) SetTunnel {
	t := SetTunnel{Local: m.careOf, Remote: m.cfg.HomeAgent}
	if m.careOf.Is4() {
		t.Remote, t.UDP = m.dual.agent, inUDP
	}
	if m.dual.bound {
		t.Home4 = m.dual.home
	}
	return t
}

// mayBeInUDP guesses whether the home agent will say that a tunnel goes in UDP,
// for packets that come before it has: from a private address it will, as there is
// a NAT (RFC 1918).
func (m *Machine) mayBeInUDP() bool { return m.dual.force || m.careOf.IsPrivate() }

// acknowledged4 takes in what an acknowledgement that accepts says of IPv4: RFC
// 5555, section 4.4.2. It gives the time after which a NAT is to be kept alive; 0:
// there is none.
func (m *Machine) acknowledged4(u *update, ba *mh.BindingAcknowledgement) (keepalive time.Duration) {
	d := &m.dual
	was := d.bound
	d.bound = false
	if a, ok := mh.Find[mh.IPv4AddressAck](ba.Options); ok && d.asks {
		switch {
		case a.Status.Accepts() && a.Address.Is4() && !a.Address.IsUnspecified():
			d.bound = true
			if d.home != a.Address {
				d.home = a.Address
				m.event("home-address-assigned", map[string]any{"home-address": a.Address.String()})
				m.findHome4()
			}
		case !a.Status.Accepts():
			m.event("home-address-refused", map[string]any{"status": uint8(a.Status), "name": a.Status.String()})
		}
	} else if d.asks && was {
		m.event("home-address-refused", map[string]any{"reason": "the home agent does not say anything of it"})
	}
	n, ok := mh.Find[mh.NATDetection](ba.Options)
	d.udp = ok && u.overIPv4() && (n.ForceUDP || n.Refresh != mh.NoKeepalives)
	if !d.udp || n.Refresh == mh.NoKeepalives {
		d.nat = natFound{}
		return 0
	}
	keepalive = n.Refresh
	if n.Refresh == 0 {
		keepalive = natKeepalive
	}
	if found := (natFound{u.careOf, keepalive}); found != d.nat {
		d.nat = found
		m.event("nat-detected", map[string]any{"link": m.here.link, "keepalive": keepalive.Seconds()})
	}
	return keepalive
}

// refusesUDP says whether an acknowledgement refuses the F flag: it has the status
// of RFC 4285 for a wrong timestamp, and no timestamp beside it.
func (u *update) refusesUDP(ba *mh.BindingAcknowledgement) bool {
	_, stamped := mh.Find[mh.ReplayProtection](ba.Options)
	return u.forces && ba.Status == mh.ForceUDPRefused && !stamped
}

// fallBackToIPv4 goes on by IPv4 where Binding Updates by IPv6 are not answered,
// and says whether it has.
func (m *Machine) fallBackToIPv4(now time.Time) bool {
	if m.dual.failed || m.here == nil || m.here.home || !m.here.usable4() || m.careOf.Is4() || m.registration.attempt < ipv6Attempts {
		return false
	}
	m.dual.failed = true
	m.event("ipv6-failed", map[string]any{"link": m.here.link, "attempts": m.registration.attempt})
	m.settle(now)
	return true
}

package mn

import (
	"net/netip"
	"time"

	"s2clab/nodes/wire/icmp6"
)

// maxNeighborAdvertisement is MAX_NEIGHBOR_ADVERTISEMENT of RFC 4861, section 10.
const maxNeighborAdvertisement = 3

// A homecoming is the way back to the home link, and being there: RFC 6275,
// section 11.5.5. The zero value is: away.
type homecoming struct {
	access *access    // the home link's
	router netip.Addr // the one that is used there

	neighbor  [6]byte   // the home agent's link-layer address, where it is on the link
	solicited int       // Neighbor Solicitations for it
	askAt     time.Time // when to solicit again; zero: nothing to learn

	told bool // the home agent has been told, or need not be: the home address may be used on the link
	used bool // applications send through the home link
	done bool // the home agent holds no binding

	repeated    int // Neighbor Advertisements sent
	advertiseAt time.Time
}

func (h *homecoming) deadline() time.Time { return earliest(h.askAt, h.advertiseAt) }

// comeHome begins to be at home.
func (m *Machine) comeHome(now time.Time, a *access) {
	m.quitHome()
	h := &m.homecoming
	*h = homecoming{access: a}
	m.dual.failed = false
	if m.registration.duplicate { // RFC 6275, section 11.7.1: not to be used again, here neither
		m.event("address-failed", map[string]any{"link": a.link, "address": m.home.address.String()})
		return
	}
	if m.homeAgentOnLink() && a.router.global == m.cfg.HomeAgent {
		h.neighbor = a.router.linkLayer
	}
	m.registration.abandon()
	if !m.registration.mayBeHeld(now) {
		m.enterHome(dadOf(m.cfg.DAD))
		if dadOf(m.cfg.DAD) != FullDAD {
			m.greet(a, m.home.address)
		}
		h.told, h.done = true, true
		m.useHome()
		if m.mustFind() { // a home agent that is known before this node leaves saves the time then
			m.find(now)
		}
		return
	}
	if m.homeAgentOnLink() && h.neighbor == ([6]byte{}) {
		m.askForHomeAgent(now)
		return
	}
	m.deregister(now)
}

// homeAgentOnLink says whether the home agent is a neighbour on the home link;
// otherwise it is behind the router.
func (m *Machine) homeAgentOnLink() bool { return m.home.prefix.Contains(m.cfg.HomeAgent) }

// askForHomeAgent learns the link-layer address of the home agent while that
// defends the home address: RFC 6275, section 11.5.5.
func (m *Machine) askForHomeAgent(now time.Time) {
	h := &m.homecoming
	h.solicited++
	h.askAt = now.Add(retransTimer)
	m.do(SolicitNeighbor{Dev: h.access.dev, Source: netip.IPv6Unspecified(),
		Destination: icmp6.SolicitedNode(m.home.address), Target: m.home.address})
}

// defended takes the answer to askForHomeAgent.
func (m *Machine) defended(now time.Time, a *access, linkLayer [6]byte) {
	h := &m.homecoming
	if h.access == a && !h.askAt.IsZero() && linkLayer != ([6]byte{}) {
		h.neighbor = linkLayer
		m.deregister(now)
	}
}

// deregister puts the home address on the home link, without duplicate address
// detection since the home agent still defends it, and tells the home agent.
func (m *Machine) deregister(now time.Time) {
	h := &m.homecoming
	h.askAt = time.Time{}
	m.enterHome(NoDAD)
	m.register(now)
	m.greet(h.access, m.home.address)
	h.told = true
	if !m.tunnel.Local.IsValid() {
		m.useHome()
	}
}

func (m *Machine) enterHome(dad DAD) {
	h := &m.homecoming
	r := h.access.router
	h.router = r.address
	m.do(EnterHome{Dev: h.access.dev, Address: m.home.within(), DAD: dad, Router: r.address, LinkLayer: r.linkLayer,
		HomeAgent: m.cfg.HomeAgent, Neighbor: h.neighbor, OnLink: m.homeAgentOnLink()})
	m.event("address-configured", map[string]any{"link": h.access.link, "address": m.home.address.String(), "how": "home-address"})
}

// changeRouter goes on at home with another router.
func (m *Machine) changeRouter() {
	h := &m.homecoming
	if h.told {
		m.enterHome(NoDAD)
	}
	if h.used {
		h.used = false
		m.useHome()
	}
}

func (m *Machine) useHome() {
	if h := &m.homecoming; !h.used {
		h.used = true
		m.do(UseHome{Dev: h.access.dev, Prefix: m.home.prefix, Router: h.router})
		m.useHome4()
	}
}

// returned ends a homecoming: the home agent no longer holds a binding.
func (m *Machine) returned(now time.Time) {
	h := &m.homecoming
	h.done, h.told, h.askAt = true, true, time.Time{}
	m.advertiseHome(now)
	h.used = false // once more: Linux leaves a socket that was connected just as routes changed on the old one, until they change again
	m.useHome()
	m.clearTunnel()
	m.forsakeTunnel()
	m.security.returned()
	m.event("returned-home", map[string]any{"link": h.access.link})
}

// advertiseHome tells everyone on the home link whose the home address is.
func (m *Machine) advertiseHome(now time.Time) {
	h := &m.homecoming
	n := AdvertiseNeighbor{Dev: h.access.dev, Destination: netip.IPv6LinkLocalAllNodes(),
		Target: m.home.address, LinkLayer: h.access.mac, Override: true}
	m.do(n)
	if m.linkLocal {
		n.Target = h.access.linkLocal
		m.do(n)
	}
	h.repeated++
	h.advertiseAt = time.Time{}
	if h.repeated < maxNeighborAdvertisement {
		h.advertiseAt = now.Add(retransTimer)
	}
}

// leaveHome ends a homecoming. Where the home link is still there, what applications
// send goes on by it until the home agent holds a binding.
func (m *Machine) leaveHome() {
	h := m.homecoming
	m.homecoming = homecoming{}
	m.leaveHome4()
	m.do(LeaveHome{Dev: h.access.dev, Address: m.home.within(), HomeAgent: m.cfg.HomeAgent})
	if h.used {
		m.departing = h.access
	}
}

// quitHome ends the use of a home link that was left.
func (m *Machine) quitHome() {
	if a := m.departing; a != nil {
		m.departing = nil
		m.do(QuitHome{Dev: a.dev, Prefix: m.home.prefix})
	}
}

// mayQuitHome does that once there is another way, or this one is gone.
func (m *Machine) mayQuitHome() {
	if a := m.departing; a != nil && (!a.carrier || !a.home || m.here == nil || m.tunnel.Local.IsValid() || len(m.multi.ways.Ways) > 0) {
		m.quitHome()
	}
}

// homeAddressChanged takes what the kernel says of the home address at home.
// Somebody else has it: that is the home agent, if this node has lost what it
// knew of a binding, so that binding is deleted.
func (m *Machine) homeAddressChanged(now time.Time, state AddressState) {
	h := &m.homecoming
	if state == Ready && h.done && dadOf(m.cfg.DAD) == FullDAD {
		m.greet(h.access, m.home.address)
	}
	if state != Duplicate {
		return
	}
	m.event("address-failed", map[string]any{"link": h.access.link, "address": m.home.address.String()})
	if !h.done {
		return
	}
	a := h.access
	m.leaveHome()
	m.registration.mayHold = now.Add(m.cfg.Lifetime)
	m.comeHome(now, a)
}

func (m *Machine) tickHomecoming(now time.Time) {
	h := &m.homecoming
	if due(h.askAt, now) {
		if h.solicited < maxUnicastSolicit {
			m.askForHomeAgent(now)
		} else {
			m.deregister(now)
		}
	}
	if due(h.advertiseAt, now) {
		m.advertiseHome(now)
	}
}

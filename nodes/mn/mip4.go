package mn

import (
	"errors"
	"net/netip"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/mip4"
	wire "s2clab/nodes/wire/mip4"
)

// A mobileIPv4 is registration by Mobile IPv4 in the place of that by Mobile IPv6: RFC
// 5944, section 3.6, with a care-of address that DHCP has given this node, and no foreign
// agent. What accesses do is the same for both; IPv6 is not looked at.
//
// Differs from RFC 5944, section 2.4, in that the home link is known by the home address,
// which DHCP gives there, and not by Agent Advertisements.
type mobileIPv4 struct {
	machine *mip4.Mobile

	attempt int       // Requests of this registration so far
	sent    time.Time // the last of them
	waiting bool      // it is not answered yet
	bound   bool      // the home agent has accepted a registration, which ends at expires
	boundTo netip.Addr
	expires time.Time // zero: never
}

// RegistrationReplied is data of a UDP datagram to the port that Registration Requests
// are sent from. The octets are not kept.
type RegistrationReplied struct {
	From   netip.AddrPort
	Octets []byte
}

func (RegistrationReplied) input() {}

// SendRegistration sends a Registration Request in UDP: RFC 5944, section 3.6.1.1.
type SendRegistration struct {
	Dev    string
	From   netip.Addr // the care-of address, or at home the home address
	To     netip.AddrPort
	Octets []byte
}

func (SendRegistration) output() {}

// usesMobileIPv4 says whether a node registers by Mobile IPv4.
func usesMobileIPv4(cfg *control.MobileNode) bool { return cfg.Security.Profile == "mipv4" }

// ofMobileIPv4 is a configuration without what is of IPv6, where a node registers by
// Mobile IPv4.
func ofMobileIPv4(cfg control.MobileNode) control.MobileNode {
	if usesMobileIPv4(&cfg) {
		cfg.HomeAgent, cfg.HomeAddress, cfg.HomePrefix = cfg.HomeAgent4, netip.Addr{}, netip.Prefix{}
	}
	return cfg
}

// newMobileIPv4 makes it, where the configuration wants that. Security is made already.
func (m *Machine) newMobileIPv4(cfg *control.MobileNode) error {
	if !usesMobileIPv4(cfg) {
		return nil
	}
	switch {
	case cfg.Discovery != nil:
		return errors.New("profile mipv4: a home agent cannot be discovered: want it known")
	case cfg.AllAccesses:
		return errors.New("profile mipv4: all accesses at once are not possible")
	case cfg.RouteOptimization:
		return errors.New("profile mipv4: there is no route optimization")
	case m.security.method == nil:
		return errors.New("profile mipv4: it needs authentication")
	case cfg.MNAAASPI < mip4.FirstSPI:
		return errors.New("profile mipv4: the SPI of MN-AAA: want 256 or more")
	}
	o := mip4.MobileOptions{NAI: cfg.NAI, Home: cfg.HomeAddress4, Agent: m.security.agent(),
		Lifetime: cfg.Lifetime, Method: m.security.method, Held: &m.security.held, Rand: m.rand}
	if !o.Home.IsValid() {
		o.Home = netip.IPv4Unspecified()
	}
	machine, err := mip4.NewMobile(o)
	if err != nil {
		return err
	}
	m.mobileIPv4 = &mobileIPv4{machine: machine}
	return nil
}

func (r *mobileIPv4) deadline() time.Time {
	if r == nil {
		return time.Time{}
	}
	return r.machine.Deadline()
}

// settled4 goes on where settle has found this node to be. It is no more at its home
// address on another link before it registers: RFC 5944, section 4.6.
func (m *Machine) settled4(now time.Time) {
	r := m.mobileIPv4
	r.attempt, r.waiting = 0, false
	if m.dual.used != m.here {
		m.leaveHome4()
	}
	switch {
	case m.here == nil:
		m.registering4(now, r.machine.Step(now, mip4.Detached{}))
	case m.here.home:
		m.putHome4(m.here) // and tells everybody there, before it registers: section 4.6
		m.registering4(now, r.machine.Step(now, mip4.AtHome{}))
	default:
		m.registering4(now, r.machine.Step(now, mip4.Attached{CareOf: m.careOf}))
	}
}

// deregister4 has the home agent end the binding that it may hold, wherever this node is.
func (m *Machine) deregister4(now time.Time) {
	r := m.mobileIPv4
	r.attempt, r.waiting = 0, false
	m.registering4(now, r.machine.Step(now, mip4.Unwanted{}))
	if !r.waiting && !r.bound && (m.here == nil || !m.here.home) {
		m.unregistered4()
	}
}

// register4 has it make one again, where it is away from home.
func (m *Machine) register4(now time.Time) {
	r := m.mobileIPv4
	r.attempt, r.waiting = 0, false
	m.registering4(now, r.machine.Step(now, mip4.Wanted{}))
}

func (m *Machine) tickMobileIPv4(now time.Time) {
	if r := m.mobileIPv4; r != nil && due(r.machine.Deadline(), now) {
		m.registering4(now, r.machine.Tick(now))
	}
}

// registrationReplied takes what has come for this node from somebody.
func (m *Machine) registrationReplied(now time.Time, in RegistrationReplied) {
	if r := m.mobileIPv4; r != nil {
		m.registering4(now, r.machine.Step(now, mip4.ReplyReceived(in)))
	}
}

// registering4 does what registration says.
func (m *Machine) registering4(now time.Time, out []mip4.MobileOutput) {
	r := m.mobileIPv4
	for _, o := range out {
		switch o := o.(type) {
		case mip4.Send:
			m.request4(now, o)
		case mip4.Made:
			m.security.keyMade(m, keys.Provisioned(keys.NameMNAAA, m.cfg.MNAAAKey))
			m.security.keyMade(m, o.Key)
		case mip4.Registered:
			m.registered4(now, o)
		case mip4.Deregistered:
			r.bound, r.boundTo, r.waiting, r.attempt = false, netip.Addr{}, false, 0
			m.unregistered4()
		case mip4.Expired:
			if r.bound {
				m.event("binding-expired", map[string]any{"home-address": m.dual.home.String()})
			}
			r.bound, r.boundTo = false, netip.Addr{}
			if m.here != nil && m.here.home || m.absence == deregistered {
				r.waiting = false
				m.unregistered4()
			} else {
				m.clearTunnel()
			}
		case mip4.Refused:
			r.waiting = false
			m.stepBack()
			m.event("binding-refused", map[string]any{"status": uint8(o.Code), "name": o.Code.String(), "authenticated": true})
		case mip4.Resynchronised:
			m.event("clock-resynchronised", map[string]any{"offset": o.Clock.Seconds()})
			m.security.offset = o.Clock
		case mip4.Lacking:
			m.event("bootstrap-failed", map[string]any{"reason": "there are no " + o.Need.String()})
		case mip4.Ignored:
			m.ignore(now, o.Reason, nil)
		}
	}
}

// request4 sends a Registration Request. What the home agent tunnels to the care-of
// address may come before its Reply does.
func (m *Machine) request4(now time.Time, o mip4.Send) {
	asked, err := wire.ParseRequest(o.Octets)
	if err != nil {
		panic("mn: a registration request that was made here: " + err.Error())
	}
	r := m.mobileIPv4
	r.attempt++
	r.sent, r.waiting = now, true
	m.do(SendRegistration{Dev: m.here.dev, From: o.From, To: o.To, Octets: o.Octets})
	auth := ""
	for _, e := range asked.Extensions {
		if a, ok := e.(wire.Authentication); ok {
			auth = a.Kind.String()
		}
	}
	m.event("registration-request-sent", map[string]any{"care-of": asked.CareOf.String(), "home-address": asked.Home.String(),
		"lifetime": asked.Lifetime.Seconds(), "auth": auth, "attempt": r.attempt})
	if asked.Lifetime > 0 && !asked.Home.IsUnspecified() {
		m.beginTunnel4(m.tunnel4(asked.Home), auth == wire.MobileHome.String())
	}
}

// beginTunnel4 is beginTunnel, for Mobile IPv4: what applications send follows the
// Request where the home agent accepts that at once, by the key that it has.
func (m *Machine) beginTunnel4(want SetTunnel, known bool) {
	switch r := m.mobileIPv4; {
	case m.former.Local.IsValid() && r.attempt > 1:
		m.stepBack()
	case m.tunnel.Local.IsValid() && m.tunnel.Local != want.Local && r.bound && r.attempt == 1 && known:
		if !m.former.Local.IsValid() {
			m.former = m.tunnel
		}
		m.switchTunnel(want)
		return
	}
	if m.tunnel.Local != want.Local && m.expected != want.Local {
		m.expected = want.Local
		m.do(ExpectTunnel(want))
	}
}

// tunnel4 is the tunnel between the care-of address and the home agent: RFC 2003, in both
// directions, which is RFC 3024.
func (m *Machine) tunnel4(home netip.Addr) SetTunnel {
	return SetTunnel{Local: m.careOf, Remote: m.dual.agent, Home4: home}
}

// registered4 takes a Reply that accepts.
func (m *Machine) registered4(now time.Time, o mip4.Registered) {
	r := m.mobileIPv4
	first := !r.bound || r.boundTo != o.CareOf
	m.event("registration-accepted", map[string]any{"care-of": o.CareOf.String(), "home-address": o.Home.String(),
		"lifetime": o.Lifetime.Seconds(), "latency": now.Sub(r.sent).Seconds()})
	r.bound, r.boundTo, r.waiting, r.attempt, r.expires = true, o.CareOf, false, 0, time.Time{}
	if o.Lifetime != wire.Infinite {
		r.expires = r.sent.Add(o.Lifetime)
	}
	assigned := o.Home != m.dual.home
	if assigned {
		m.dual.home = o.Home
		m.event("home-address-assigned", map[string]any{"home-address": o.Home.String()})
	}
	m.former = SetTunnel{}
	if want := m.tunnel4(o.Home); m.tunnel != want {
		m.switchTunnel(want)
	}
	m.forsakeTunnel()
	if first {
		m.event("bound", map[string]any{"link": m.here.link, "care-of": o.CareOf.String(), "lifetime": o.Lifetime.Seconds()})
	}
	if assigned {
		m.settle(now)
	}
}

// unregistered4 is for when the home agent holds no binding any more.
func (m *Machine) unregistered4() {
	m.clearTunnel()
	m.forsakeTunnel()
	if m.here != nil && m.here.home {
		m.event("returned-home", map[string]any{"link": m.here.link})
		return
	}
	m.event("deregistered", map[string]any{"home-address": m.dual.home.String()})
}

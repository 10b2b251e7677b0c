// Package mn is the mobile node: it notices where it is attached, forms a
// care-of address there, keeps its home agent told (RFC 6275, section 11), and
// proves by RFC 4285 that it is the one who tells.
//
// Machine holds the rules, as a plain struct over times and octets. Run is the
// loop that owns one, and the only part that knows sockets, devices and the lab.
// Formats are in nodes/wire, keys in nodes/keys, what mobile node and home agent
// share of RFC 4285 in nodes/session/association, route optimization, which the S2c
// reference point does not use, in nodes/session/routability, the kernel in
// nodes/host. With profile mipv4 it registers by Mobile IPv4 instead, whose rules are in
// nodes/session/mip4.
package mn

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/discovery"
	"s2clab/nodes/session/dot1x"
)

// A Machine is a mobile node without its kernel. Its owner calls Step for each
// Input, and Tick at the time Deadline gives; it does what the Outputs say, in
// their order. One clock is behind every time it is given: that of the node,
// right or wrong.
type Machine struct {
	cfg      *control.MobileNode // our own copy: its home agent is the present one
	home     home
	rand     *rand.Rand
	accesses []*access // in the order of the configuration

	here   *access    // the access that carries us, by the rules of choose; nil: none
	careOf netip.Addr // the address we have there; the home address at home

	registration registration
	security     security
	subscriber   *subscriber // whose card this is; nil: there is none
	homecoming   homecoming
	departing    *access // whose link is the home link, left for another, and still sent through; nil: none
	absence      absence
	farewell     farewell
	transfer     transfer
	finder       finder
	bootstrapper bootstrapper

	dual  dualStack
	multi multihoming

	optimization *optimization // nil: none is done
	mobileIPv4   *mobileIPv4   // nil: it registers by Mobile IPv6

	tunnel   SetTunnel  // to the home agent; the zero value: none
	former   SetTunnel  // the one that the home agent has acknowledged, where tunnel is another; the zero value: none
	expected netip.Addr // the care-of address to which packets may be tunnelled already; not valid: none

	// linkLocal says that the link-local address at home has the interface
	// identifier of the home address: the L flag of RFC 6275, section 11.7.1.
	linkLocal bool

	errorAt time.Time // when the last Binding Error went out
	quiet   quiet

	out []Output
}

// New returns a mobile node that knows nothing of its surroundings yet. Every
// random choice comes from the configuration's seed.
func New(cfg *control.Config) (*Machine, error) {
	if cfg.MobileNode == nil {
		return nil, fmt.Errorf("node %s: no configuration for role mn", cfg.Node)
	}
	own := ofMobileIPv4(*cfg.MobileNode) // the home agent may change
	home, err := homeOf(&own)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Node, err)
	}
	m := &Machine{
		cfg:  &own,
		rand: rand.New(rand.NewPCG(cfg.Seed, 0x6d6e)),
	}
	if m.subscriber, err = newSubscriber(own.USIM, m.rand); err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Node, err)
	}
	for _, i := range cfg.Interfaces {
		mac, err := net.ParseMAC(i.MAC)
		if err != nil || len(mac) != 6 {
			return nil, fmt.Errorf("node %s: interface %s: hardware address %q: want 6 octets", cfg.Node, i.Name, i.MAC)
		}
		a := newAccess(i.Name, i.Link, [6]byte(mac))
		a.mayBeHome = i.Home || !home.known() && !(usesMobileIPv4(&own) && own.HomeAddress4.IsValid())
		if a.port, err = m.newPort(i.Auth); err != nil {
			return nil, fmt.Errorf("node %s: interface %s: %w", cfg.Node, i.Name, err)
		}
		m.accesses = append(m.accesses, a)
	}
	m.setHome(home)
	if err := m.newFinder(&own); err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Node, err)
	}
	m.dual = dualStackOf(&own)
	m.dual.wanted = usesIPv4(cfg.MobileNode)
	for i, a := range m.accesses {
		m.newDynamic(a, cfg.Node, i)
	}
	if m.security, err = newSecurity(&own); err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Node, err)
	}
	if m.subscriber != nil {
		m.security.held.Card = m.subscriber
	}
	m.security.told.Show = cfg.ShowKeys
	if err := m.newBootstrapper(&own); err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Node, err)
	}
	if err := m.newMobileIPv4(&own); err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Node, err)
	}
	if err := m.setUpMultihoming(cfg.MobileNode); err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Node, err)
	}
	m.registration.seq = uint16(m.rand.Uint32())
	m.optimization = newOptimization(cfg)
	return m, nil
}

// Step takes one Input that happened at now. The Outputs are the caller's until
// it calls Step or Tick again.
func (m *Machine) Step(now time.Time, in Input) []Output {
	m.start()
	switch in := in.(type) {
	case CarrierChanged:
		if a := m.access(in.Dev); a != nil && a.carrier != in.Up {
			m.carrierChanged(now, a, in.Up)
		}
	case RouterAdvertised:
		if a := m.access(in.Dev); a != nil && m.mobileIPv4 == nil {
			m.routerAdvertised(now, a, &in)
		}
	case NeighborAdvertised:
		if a := m.access(in.Dev); a != nil {
			m.neighborAdvertised(now, a, &in)
		}
	case AddressChanged:
		if a := m.access(in.Dev); a != nil {
			m.addressChanged(now, a, in)
		}
	case EAPOLReceived:
		if a := m.access(in.Dev); a != nil && a.port != nil {
			m.supplicate(now, a, dot1x.Received{From: in.From, Octets: in.Octets})
		}
	case DHCPReceived:
		if a := m.access(in.Dev); a != nil {
			m.dhcpReceived(now, a, &in)
		}
	case AddressClaimed:
		if a := m.access(in.Dev); a != nil {
			m.addressClaimed(now, a, &in)
		}
	case SignalChanged:
		if a := m.access(in.Dev); a != nil {
			m.signalChanged(now, a, in)
		}
	case FlowMoved:
		m.moveFlow(now, in)
	case HomeAgentsReplied:
		if s := m.finder.search; s != nil {
			m.searched(now, s.Step(now, discovery.Replied(in)))
		}
	case UbAnswered:
		if c := m.bootstrapper.client; c != nil {
			m.bootstrapping(now, c.Step(now, in.Input))
		}
	case NamesAnswered:
		if s := m.finder.search; s != nil {
			m.searched(now, s.Step(now, discovery.Answered(in)))
		}
	case Received:
		m.received(now, &in)
	case RegistrationReplied:
		m.registrationReplied(now, in)
	case Unsupported:
		m.unsupported(now, in.Octets)
	case Refused:
		m.ignore(now, in.Reason, map[string]any{"source": in.Outer.String(), "inner": in.Inner.String()})
	default:
		panic(fmt.Sprintf("mn: no rule for %T", in))
	}
	m.mayQuitHome()
	m.optimize(now)
	return m.out
}

// Tick does what is due at now, and nothing before Deadline.
func (m *Machine) Tick(now time.Time) []Output {
	m.start()
	for _, a := range m.accesses {
		m.tickAccess(now, a)
	}
	m.settle(now)
	m.tickHomecoming(now)
	m.tickRegistration(now)
	m.mayQuitHome()
	m.optimize(now)
	m.tickOptimization(now)
	m.tickFinder(now)
	m.tickBootstrapper(now)
	m.tickMobileIPv4(now)
	return m.out
}

// Deadline is when Tick is next due; zero: not before another Input.
func (m *Machine) Deadline() time.Time {
	var d time.Time
	for _, a := range m.accesses {
		d = earliest(d, a.deadline())
	}
	d = earliest(d, m.homecoming.deadline())
	d = earliest(d, m.optimization.deadline())
	d = earliest(d, m.finder.deadline())
	d = earliest(d, m.bootstrapper.deadline())
	d = earliest(d, m.mobileIPv4.deadline())
	return earliest(d, m.registration.deadline())
}

// earliest is the earlier of two times, of which a zero one is none at all.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due says whether something is set for at and now is not before it.
func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

func (m *Machine) access(dev string) *access {
	for _, a := range m.accesses {
		if a.dev == dev {
			return a
		}
	}
	return nil
}

func (m *Machine) do(o Output) { m.out = append(m.out, o) }

func (m *Machine) event(name string, fields map[string]any) {
	m.do(Event{Name: name, Fields: fields})
}

// settle goes where choose says we are best attached, and tells the home agent
// when that is somewhere else than before.
func (m *Machine) settle(now time.Time) {
	best := m.best(now)
	if m.multi.on() && m.settleAll(now, best) {
		return
	}
	careOf := m.careOfAt(best)
	if best == m.here && careOf == m.careOf {
		if h := &m.homecoming; h.access != nil && h.router.IsValid() && h.router != h.access.router.address {
			m.changeRouter()
		}
		return
	}
	if best != nil && best != m.here {
		m.chosen(now, best)
	}
	m.here, m.careOf = best, careOf
	if m.absence == revoked {
		m.absence = present
	}
	if m.homecoming.access != nil && (best == nil || best.home) {
		m.leaveHome()
	}
	if best == nil {
		if m.mobileIPv4 != nil {
			m.settled4(now)
			return
		}
		m.abandon()
		m.bootstrapNoMore()
		m.findNoMore(now)
		return
	}
	m.event("attached", map[string]any{"link": best.link, "care-of": careOf.String(), "home": best.home})
	if m.mobileIPv4 != nil {
		m.settled4(now)
		return
	}
	if best.home {
		m.comeHome(now, best)
		return
	}
	m.attach(now)
	if m.homecoming.access != nil {
		m.leaveHome() // after the Binding Update, which does not wait for it
	}
}

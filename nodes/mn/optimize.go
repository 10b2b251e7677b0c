package mn

import (
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/routability"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// mostCorrespondents is how many other mobile nodes may have a binding here.
const mostCorrespondents = 1000

// An optimization is route optimization, for a mobile node that does it: RFC 6275,
// sections 11.6 and 11.7.2; and section 9, as it is a correspondent node of others.
type optimization struct {
	seed          uint64
	peers         []netip.Addr
	mobile        *routability.Mobile
	correspondent *routability.Correspondent // nil: there is no home address yet
	told          whereabouts
}

// whereabouts are what route optimization depends on.
type whereabouts struct {
	home     netip.Addr
	attached netip.Addr // an IPv6 care-of address that is not bound yet; not valid: none
	careOf   netip.Addr // bound; the home address at home; not valid: neither
	until    time.Time
}

func newOptimization(cfg *control.Config) *optimization {
	if !cfg.MobileNode.RouteOptimization {
		return nil
	}
	peers := slices.Clone(cfg.MobileNode.Peers)
	return &optimization{seed: cfg.Seed, peers: peers, mobile: routability.NewMobile(cfg.Seed, peers...)}
}

// SendTunnelled sends a whole IPv6 packet by way of the home agent, whatever routes
// there are to its destination.
type SendTunnelled struct{ Octets []byte }

// SetCareOf makes what applications send from Own, the home address, to Peer leave
// from CareOf, with a Home Address option; one that is not valid ends that.
type SetCareOf struct{ Own, Peer, CareOf netip.Addr }

// SetPeerCareOf makes what applications send from Own to Peer, the home address of
// another mobile node, go to CareOf, with a type 2 routing header, and takes what
// comes from there as from Peer; one that is not valid ends both.
type SetPeerCareOf struct{ Own, Peer, CareOf netip.Addr }

func (SendTunnelled) output() {}
func (SetCareOf) output()     {}
func (SetPeerCareOf) output() {}

// Unsupported is a packet with a Mobility Header that its receiver has refused by an
// ICMPv6 Parameter Problem, code 1, as far as that had it. The octets are not kept.
type Unsupported struct{ Octets []byte }

func (Unsupported) input() {}

// whereabouts says where we are as our home agent knows it.
func (m *Machine) whereabouts() whereabouts {
	w := whereabouts{home: m.home.address}
	r := &m.registration
	switch {
	case m.here == nil || !m.home.known():
	case m.here.home && m.homecoming.done:
		w.careOf = m.home.address
	case !m.here.home && r.bound && r.boundTo == m.careOf && m.careOf.Is6() && m.tunnel.Local == m.careOf:
		w.careOf, w.until = m.careOf, r.expires
	case !m.here.home && m.careOf.Is6():
		w.attached = m.careOf
	}
	return w
}

// optimize goes on with route optimization where our whereabouts have changed. By
// IPv4 there is none: RFC 5555, section 2.4.
func (m *Machine) optimize(now time.Time) {
	o := m.optimization
	if o == nil {
		return
	}
	if o.correspondent == nil && m.home.known() {
		o.correspondent = routability.NewCorrespondent(o.seed, mostCorrespondents, m.home.address)
	}
	w := m.whereabouts()
	if w == o.told {
		return
	}
	o.told = w
	switch w.careOf {
	case netip.Addr{}:
		m.asMobile(o.mobile.Unbound())
		if w.attached.IsValid() {
			m.asMobile(o.mobile.Attached(now, w.attached))
		}
	case w.home:
		m.asMobile(o.mobile.Returned(now, w.home))
	default:
		m.asMobile(o.mobile.Bound(now, w.home, w.careOf, w.until))
	}
}

// optimized takes a message that route optimization has use for, and says whether it
// had.
func (m *Machine) optimized(now time.Time, in *Received, p *ipv6.Packet, msg mh.Message) bool {
	o := m.optimization
	if o == nil || in.From.IsValid() {
		return false
	}
	switch msg.(type) {
	case *mh.HomeTest, *mh.CareOfTest, *mh.BindingAcknowledgement, *mh.BindingError, *mh.BindingRefreshRequest:
		if slices.Contains(o.peers, p.Src) {
			m.asMobile(o.mobile.Received(now, in.Octets, in.Tunnelled))
			return true
		}
	case *mh.HomeTestInit, *mh.CareOfTestInit, *mh.BindingUpdate:
		if o.correspondent != nil {
			m.asCorrespondent(o.correspondent.Received(now, in.Octets))
			return true
		}
	}
	return false
}

// stranger takes a packet of an application with a Home Address option that no
// binding goes with.
func (m *Machine) stranger(now time.Time, p *ipv6.Packet) {
	if o := m.optimization; o != nil && o.correspondent != nil && p.UpperDst() == m.home.address {
		m.asCorrespondent(o.correspondent.Stranger(now, m.home.address, p.HomeAddress, p.Src))
		return
	}
	m.tellError(now, p, mh.UnknownBinding)
}

func (m *Machine) unsupported(now time.Time, octets []byte) {
	if o := m.optimization; o != nil {
		m.asMobile(o.mobile.Unsupported(now, octets))
	}
}

func (m *Machine) asMobile(out []routability.Output) {
	for _, o := range out {
		switch o := o.(type) {
		case routability.Send:
			m.sendOptimized(o)
		case routability.SetRoute:
			m.do(SetCareOf(o))
		case routability.ClearRoute:
			m.do(SetCareOf{Own: o.Own, Peer: o.Peer})
		case routability.Event:
			m.do(Event(o))
		}
	}
}

func (m *Machine) asCorrespondent(out []routability.Output) {
	for _, o := range out {
		switch o := o.(type) {
		case routability.Send:
			m.sendOptimized(o)
		case routability.SetRoute:
			m.do(SetPeerCareOf(o))
		case routability.ClearRoute:
			m.do(SetPeerCareOf{Own: o.Own, Peer: o.Peer})
		case routability.Event:
			m.do(Event(o))
		}
	}
}

// sendOptimized sends a message. What is from the home address goes by way of the
// home agent while this node is away: RFC 6275, section 11.3.1.
func (m *Machine) sendOptimized(s routability.Send) {
	p, err := ipv6.Parse(s.Octets)
	if err != nil || m.here == nil {
		return
	}
	octets := slices.Clone(s.Octets)
	if s.Tunnelled || p.Src == m.home.address && !m.here.home {
		if m.tunnel.Local.IsValid() {
			m.do(SendTunnelled{Octets: octets})
		}
		return
	}
	m.do(SendMobility{Dev: m.here.dev, Octets: octets})
}

func (m *Machine) tickOptimization(now time.Time) {
	o := m.optimization
	if o == nil {
		return
	}
	m.asMobile(o.mobile.Tick(now))
	if o.correspondent != nil {
		m.asCorrespondent(o.correspondent.Tick(now))
	}
}

func (o *optimization) deadline() time.Time {
	if o == nil {
		return time.Time{}
	}
	d := o.mobile.Deadline()
	if o.correspondent != nil {
		d = earliest(d, o.correspondent.Deadline())
	}
	return d
}

package mn

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/routability"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

var peerAddress = netip.MustParseAddr("2001:db8:2::2")

func optimizing(c *control.Config) *control.Config {
	c.MobileNode.RouteOptimization, c.MobileNode.Peers = true, []netip.Addr{peerAddress}
	return c
}

// A meeting is a story with a correspondent that answers at once what is sent to it,
// by the way that its answer has to take; and notes what was done.
type meeting struct {
	*story
	correspondent *routability.Correspondent
	did           []string // to or from the correspondent, in order
	routes        map[netip.Addr]netip.Addr
	lose          bool // what the correspondent answers
}

func meet(t *testing.T) *meeting {
	return &meeting{story: begin(t, optimizing(config())), correspondent: routability.NewCorrespondent(3, 10, peerAddress), routes: map[netip.Addr]netip.Addr{}}
}

// carry hands the correspondent what came out, and the machine what that answers.
func (m *meeting) carry(out []Output) {
	m.t.Helper()
	for _, o := range slices.Clone(out) {
		var octets []byte
		how := ""
		switch o := o.(type) {
		case SendMobility:
			octets = o.Octets
		case SendTunnelled:
			octets, how = o.Octets, "tunnelled "
		case SetCareOf:
			if o.Own != homeAddress {
				m.t.Errorf("route from %v, want the home address", o.Own)
			}
			m.routes[o.Peer] = o.CareOf
		}
		if octets == nil {
			continue
		}
		p, err := ipv6.Parse(octets)
		if err != nil {
			m.t.Fatal(err)
		}
		if p.Dst != peerAddress {
			continue
		}
		msg, err := mh.Parse(p.Payload)
		if err != nil {
			m.t.Fatal(err)
		}
		m.did = append(m.did, how+mh.Name(msg))
		for _, a := range slices.Clone(m.correspondent.Received(m.now, octets)) {
			if s, ok := a.(routability.Send); ok && !m.lose {
				p, err := ipv6.Parse(s.Octets)
				if err != nil {
					m.t.Fatal(err)
				}
				m.carry(m.step(Received{Dev: "any", Octets: slices.Clone(s.Octets), Tunnelled: p.Dst == homeAddress && !m.m.here.home}))
			}
		}
	}
}

// registered answers the last Binding Update to the home agent.
func (m *meeting) registered() {
	m.t.Helper()
	for i := len(m.sent) - 1; i >= 0; i-- {
		if m.sent[i].packet.Dst == homeAgent {
			m.carry(m.answerTo(m.sent[i], mh.Accepted))
			return
		}
	}
	m.t.Fatal("the home agent was told nothing")
}

func (m *meeting) wants(route netip.Addr, did ...string) {
	m.t.Helper()
	if !reflect.DeepEqual(m.did, did) {
		m.t.Errorf("did %q, want %q", m.did, did)
	}
	if got := m.routes[peerAddress]; got != route {
		m.t.Errorf("what goes to the peer leaves from %v, want %v", got, route)
	}
	m.did = nil
}

func TestACorrespondentIsToldAfterTheHomeAgent(t *testing.T) {
	m := meet(t)
	m.visit("wlan", wlanPrefix)
	m.wants(netip.Addr{})
	m.registered()
	m.wants(careOfWLAN, "tunnelled home-test-init", "care-of-test-init", "binding-update")
	m.mustHappen("route-optimized")

	m.carrier("wlan", false)
	m.carry(m.out)
	m.wants(netip.Addr{})
	m.carrier("wimax", true)
	m.carry(m.advertise("wimax", wimaxPrefix))
	m.wants(netip.Addr{}, "care-of-test-init")
	m.registered()
	m.wants(careOfWiMAX, "binding-update")

	m.carrier("wimax", false)
	m.carry(m.out)
	m.carrier("lte", true)
	m.carry(m.advertise("lte", homePrefix))
	m.wants(netip.Addr{})
	m.registered()
	m.wants(netip.Addr{}, "binding-update")
	m.mustHappen("peer-deregistered")
	if last := m.last(); last.Lifetime != 0 || last.packet.Src != homeAddress || last.packet.HomeAddress.IsValid() {
		t.Errorf("the last Binding Update is %+v in %+v, want one that deletes, from the home address", last.BindingUpdate, last.packet)
	}
}

func TestAHomeTestThatDidNotComeByTheTunnelIsIgnored(t *testing.T) {
	m := meet(t)
	m.lose = true
	m.visit("wlan", wlanPrefix)
	m.registered()
	var init []byte
	for _, o := range m.out {
		if s, ok := o.(SendTunnelled); ok {
			init = s.Octets
		}
	}
	out := slices.Clone(m.correspondent.Received(m.now, init))
	m.did = nil
	for _, tunnelled := range []bool{false, true} {
		m.step(Received{Dev: "wlan", Octets: slices.Clone(out[0].(routability.Send).Octets), Tunnelled: tunnelled})
		m.carry(m.m.Tick(m.now))
	}
	m.now = m.now.Add(time.Second)
	m.carry(m.m.Tick(m.now)) // the care-of test is all that is missing
	m.wants(netip.Addr{}, "care-of-test-init")
}

func TestAPeerWithoutTheMobilityHeaderIsLeftAlone(t *testing.T) {
	m := meet(t)
	m.lose = true
	m.visit("wlan", wlanPrefix)
	m.registered()
	for _, o := range slices.Clone(m.out) {
		if s, ok := o.(SendMobility); ok {
			m.step(Unsupported{Octets: s.Octets})
		}
	}
	m.mustHappen("route-optimization-failed")
	m.did = nil
	m.now = m.now.Add(10 * time.Second)
	m.carry(m.m.Tick(m.now))
	m.wants(netip.Addr{})
}

func TestWithoutABindingAtHomeNothingGoesDirectly(t *testing.T) {
	m := meet(t)
	m.visit("wlan", wlanPrefix)
	m.registered()
	m.wants(careOfWLAN, "tunnelled home-test-init", "care-of-test-init", "binding-update")
	for m.now.Before(start.Add(61 * time.Second)) {
		m.now = m.m.Deadline()
		m.carry(m.take(m.m.Tick(m.now)))
	}
	m.mustHappen("binding-expired")
	if got := m.routes[peerAddress]; got.IsValid() {
		t.Errorf("packets leave from %v when the home agent holds no binding", got)
	}
}

// A mobile node is a correspondent of others; its answers go by way of its home agent.
func TestAMobileNodeAnswersOthers(t *testing.T) {
	m := meet(t)
	m.visit("wlan", wlanPrefix)
	m.registered()
	other := routability.NewMobile(9, homeAddress)
	home2, careOf2 := netip.MustParseAddr("2001:db8:101::20"), netip.MustParseAddr("2001:db8:300::77")
	for out := slices.Clone(other.Bound(m.now, home2, careOf2, m.now.Add(time.Hour))); len(out) > 0; {
		var next []routability.Output
		for _, o := range out {
			s, ok := o.(routability.Send)
			if !ok {
				continue
			}
			for _, answer := range m.step(Received{Dev: "mip0", Octets: slices.Clone(s.Octets), Tunnelled: true}) {
				switch answer := answer.(type) {
				case SendTunnelled:
					p, err := ipv6.Parse(answer.Octets)
					if err != nil || p.Src != homeAddress {
						t.Fatalf("answer %+v, %v", p, err)
					}
					next = append(next, slices.Clone(other.Received(m.now, answer.Octets, p.Dst == home2))...)
				case SendMobility:
					t.Errorf("an answer from the home address does not go by way of the home agent")
				case SetPeerCareOf:
					if answer != (SetPeerCareOf{Own: homeAddress, Peer: home2, CareOf: careOf2}) {
						t.Errorf("route %+v", answer)
					}
					m.did = append(m.did, "route")
				}
			}
		}
		out = next
	}
	if !slices.Contains(m.did, "route") {
		t.Errorf("did %q, want a route to the other mobile node", m.did)
	}
	stranger, err := ipv6.Append(nil, &ipv6.Packet{Src: careOf2, Dst: homeAddress, HomeAddress: peerAddress, HopLimit: 64, Next: ipv6.UDP, Payload: make([]byte, 8)})
	if err != nil {
		t.Fatal(err)
	}
	told := false
	for _, o := range m.step(Received{Octets: stranger}) {
		if s, ok := o.(SendTunnelled); ok {
			p, _ := ipv6.Parse(s.Octets)
			msg, err := mh.Parse(p.Payload)
			_, told = msg.(*mh.BindingError)
			if err != nil || p.Dst != careOf2 {
				t.Errorf("a stranger at %v is told %v, %v", p.Dst, msg, err)
			}
		}
	}
	if !told {
		t.Error("a packet without a binding gets no Binding Error")
	}
}

func TestWithoutTheSettingThereIsNoMessageMore(t *testing.T) {
	m := meet(t)
	m.story = begin(t, config())
	m.visit("wlan", wlanPrefix)
	m.registered()
	init, err := mh.Append(nil, &mh.HomeTestInit{}, peerAddress, homeAddress)
	if err != nil {
		t.Fatal(err)
	}
	octets, err := ipv6.Append(nil, &ipv6.Packet{Src: peerAddress, Dst: homeAddress, HopLimit: 64, Next: ipv6.Mobility, Payload: init})
	if err != nil {
		t.Fatal(err)
	}
	m.carry(m.step(Received{Octets: octets, Tunnelled: true}))
	m.carry(m.step(Unsupported{Octets: octets}))
	m.wants(netip.Addr{})
}

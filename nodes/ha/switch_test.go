package ha

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

var (
	besideUs  = netip.MustParseAddr("2001:db8:100::2")
	besideUs2 = netip.MustParseAddr("2001:db8:100::3")
)

func (s *story) switches(to ...netip.Addr) {
	s.Helper()
	out, err := s.m.Switch(s.now, naiA, homeA, to)
	if err != nil {
		s.Fatal(err)
	}
	s.out = keep(nil, out)
}

// sentOn gives the Home Agent Switch messages of the last Step, or of all Ticks.
func (s *story) sentOn() (all []*mh.HomeAgentSwitch, packets []ipv6.Packet) {
	s.Helper()
	for _, r := range s.replies() {
		if m, ok := r.message.(*mh.HomeAgentSwitch); ok {
			all, packets = append(all, m), append(packets, r.packet)
		}
	}
	return all, packets
}

func TestASwitchNamesOtherHomeAgentsAndIsProtectedLikeUpdates(t *testing.T) { // RFC 5142, section 5.1
	s := boundStory(t)
	s.switches(besideUs, besideUs2)
	all, packets := s.sentOn()
	if len(all) != 1 || !slices.Equal(all[0].Addresses, []netip.Addr{besideUs, besideUs2}) {
		t.Fatalf("%+v", all)
	}
	if p := packets[0]; p.Dst != careOfWLAN || p.RoutingHome != homeA {
		t.Errorf("%+v", p)
	}
	if err := association.Verify(packets[0].Payload, association.New(spiA, keyA), careOfWLAN, homeA); err != nil {
		t.Error(err)
	}
	s.wantBound(homeA, careOfWLAN)
}

func TestASwitchIsSentAgainUntilTheBindingIsDeleted(t *testing.T) { // RFC 5142, sections 5.2 and 8
	s := boundStory(t)
	began := s.now
	s.switches(besideUs)
	var at []time.Duration
	for len(at) < 4 {
		s.now = s.m.Deadline()
		s.out = keep(nil, s.m.Tick(s.now))
		if all, _ := s.sentOn(); len(all) > 0 {
			at = append(at, s.now.Sub(began))
		}
		if len(s.events("binding-expired")) > 0 {
			break
		}
	}
	if want := []time.Duration{5 * time.Second, 15 * time.Second, 35 * time.Second, 55 * time.Second}; !slices.Equal(at, want) {
		t.Errorf("at %v, want %v", at, want)
	}
	a := s.of(2)
	a.lifetime = 0
	s.send(a)
	s.wantStatus(mh.Accepted)
	s.pass(time.Minute)
	if all, _ := s.sentOn(); len(all) > 0 || len(s.m.switches) != 0 {
		t.Error("still sending")
	}
}

func TestABindingThatIsToGoIsNotExtended(t *testing.T) { // RFC 5142, section 5.3
	s := boundStory(t)
	s.switches(besideUs)
	s.pass(time.Second)
	s.send(s.of(2))
	s.wantStatus(mh.Prohibited)
	if all, _ := s.sentOn(); len(all) > 0 {
		t.Error("told again though it is where it was")
	}
	s.pass(time.Second)
	a := s.of(3)
	a.src, a.alternate = careOfLTE, careOfLTE
	s.send(a)
	s.wantStatus(mh.Prohibited)
	if _, packets := s.sentOn(); len(packets) != 1 || packets[0].Dst != careOfLTE {
		t.Errorf("%+v", packets)
	}
	s.wantBound(homeA, careOfWLAN)
}

func TestOneMobileNodeASecondIsSwitched(t *testing.T) { // RFC 5142, sections 7 and 8
	s := boundStory(t)
	s.send(s.ofB(1))
	s.switches(besideUs)
	out, err := s.m.Switch(s.now, naiB, homeB, []netip.Addr{besideUs})
	if err != nil {
		t.Fatal(err)
	}
	s.out = keep(nil, out)
	if all, _ := s.sentOn(); len(all) > 0 {
		t.Fatal("two in a second")
	}
	s.pass(999 * time.Millisecond)
	if all, _ := s.sentOn(); len(all) > 0 {
		t.Fatal("too early")
	}
	s.pass(time.Millisecond)
	if _, packets := s.sentOn(); len(packets) != 1 || packets[0].RoutingHome != homeB {
		t.Errorf("%+v", packets)
	}
}

func TestARevocationEndsASwitch(t *testing.T) {
	s := boundStory(t)
	s.switches(besideUs)
	s.revoke(mh.RevokeAdministrative)
	s.pass(20 * time.Second)
	if all, _ := s.sentOn(); len(all) > 0 || len(s.m.switches) != 0 {
		t.Error("still sending")
	}
}

func TestWhatCannotBeSwitchedIsRefused(t *testing.T) {
	s := boundStory(t)
	for _, to := range [][]netip.Addr{nil, {homeAgent}, {netip.IPv6Unspecified()}, {netip.MustParseAddr("192.0.2.1")}, make([]netip.Addr, 33)} {
		if _, err := s.m.Switch(s.now, naiA, homeA, to); err == nil {
			t.Errorf("%v: switched", to)
		}
	}
	if _, err := s.m.Switch(s.now, naiB, homeB, []netip.Addr{besideUs}); err == nil {
		t.Error("switched who is not bound")
	}
}

// relocated answers a question as an AAA server does that wants another home agent.
func (s *story) relocated(ask *AskAAA, to netip.Addr) *association.Association {
	given := session(ask, 300)
	s.step(&AAAAnswered{ID: ask.ID, Peer: "aaa.example.org", Result: resultRelocate, HomeAddress: homeA, Session: given, Agent: to})
	return association.New(300, given.Key)
}

func TestWhoBelongsElsewhereIsRefusedAndSentOnWithoutABinding(t *testing.T) { // RFC 5778, section 6.6
	s := tell(t, with(fromAAA))
	s.send(s.asking(1))
	key := s.relocated(s.asked(), besideUs)
	ba, r := s.acknowledged()
	if ba.Status != mh.NotHomeAgent {
		t.Errorf("%v", ba.Status)
	}
	all, packets := s.sentOn()
	if len(all) != 1 || all[0].Addresses[0] != besideUs || packets[0].Dst != careOfWLAN {
		t.Fatal(s.words())
	}
	for _, p := range []ipv6.Packet{r.packet, packets[0]} {
		if err := association.Verify(p.Payload, key, careOfWLAN, homeA); err != nil {
			t.Error(err)
		}
	}
	if s.entry(homeA) != nil {
		t.Error("it is bound")
	}
	s.pass(time.Minute) // 5 s, 10 s more, and then it has gone or is lost
	if all, _ := s.sentOn(); len(all) != relocationTries-1 || len(s.m.switches) != 0 || len(s.m.subscribers) != 0 {
		t.Errorf("%d more; %+v", len(all), s.m.Counts())
	}
}

func TestARelocationToNowhereIsARefusalOnly(t *testing.T) {
	for _, to := range []netip.Addr{{}, homeAgent, netip.IPv6Unspecified()} {
		s := tell(t, with(fromAAA))
		s.send(s.asking(1))
		s.relocated(s.asked(), to)
		s.wantStatus(mh.NotHomeAgent)
		if all, _ := s.sentOn(); len(all) > 0 {
			t.Errorf("sent to %v", to)
		}
	}
}

func TestAnotherHomeAgentBesideSuccessIsASwitch(t *testing.T) { // RFC 5778, section 6.6: SHOULD
	s := tell(t, with(fromAAA))
	s.send(s.asking(1))
	ask := s.asked()
	s.step(&AAAAnswered{ID: ask.ID, Result: 2001, HomeAddress: homeA, Session: session(ask, 300), Agent: besideUs})
	s.wantStatus(mh.Accepted)
	if all, _ := s.sentOn(); len(all) != 1 {
		t.Error(s.words())
	}
}

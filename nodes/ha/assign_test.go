package ha

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

var none = netip.IPv6Unspecified()

// without makes a Binding Update that asks for a home address and that the AAA
// is to look at.
func (s *story) without(seq uint16) announcement {
	a := s.asking(seq)
	a.home = none
	return a
}

// name answers a question with success and a home address.
func (s *story) name(ask *AskAAA, spi uint32, home netip.Addr) []Output {
	return s.step(&AAAAnswered{ID: ask.ID, Peer: "aaa.example.org", Result: 2001, HomeAddress: home, Session: session(ask, spi)})
}

// assigned wants an acknowledgement that tells a home address and proves it, and
// gives the address.
func (s *story) assigned(key *association.Association, careOf netip.Addr) netip.Addr {
	s.Helper()
	ba, r := s.acknowledged()
	home := r.packet.RoutingHome
	if !ba.Status.Accepts() || !unicastRoutable(home) || r.packet.Dst != careOf {
		s.Fatalf("%+v by way of %v to %v", ba, home, r.packet.Dst)
	}
	if err := association.Verify(r.packet.Payload, key, careOf, home); err != nil {
		s.Errorf("the address is not proven: %v", err)
	}
	s.wantBound(home, careOf)
	return home
}

// denied wants a refusal that is proven and names no home address.
func (s *story) denied(status mh.Status, key *association.Association) {
	s.Helper()
	ba, r := s.acknowledged()
	if ba.Status != status || r.packet.RoutingHome.IsValid() || r.packet.Dst != careOfWLAN {
		s.Fatalf("%+v by way of %v, want status %v and no routing header; %s", ba, r.packet.RoutingHome, status, s.words())
	}
	if key == nil {
		return
	}
	if err := association.Verify(r.packet.Payload, key, careOfWLAN, none); err != nil {
		s.Errorf("the refusal is not proven: %v", err)
	}
}

// given is the key that session gives for a question.
func given(ask *AskAAA, spi uint32) *association.Association {
	return association.New(spi, session(ask, spi).Key)
}

func TestTheAAAAssignsAHomeAddress(t *testing.T) {
	s := tell(t, with(fromAAA))
	s.send(s.without(1))
	ask := s.asked()
	if ask.HomeAddress != none || association.VerifyMNAAA(aaaKey, ask.SPI, ask.MobilityData, ask.Authenticator) != nil {
		t.Fatalf("%+v", ask) // RFC 5778, section 6.5
	}
	s.name(ask, 300, homeA)
	key := given(ask, 300)
	if home := s.assigned(key, careOfWLAN); home != homeA {
		t.Errorf("%v", home)
	}
	e := s.events("home-address-assigned")
	if len(e) != 1 || e[0]["home-address"] != homeA.String() || e[0]["nai"] != naiA || e[0]["assigner"] != "aaa" {
		t.Errorf("%v", e)
	}
	// From now on it is like any other.
	s.pass(time.Second)
	a := s.of(2)
	a.mnha, a.src, a.alternate = key, careOfLTE, careOfLTE
	s.send(a)
	s.wantStatus(mh.Accepted)
	s.wantBound(homeA, careOfLTE)
	if len(s.events("home-address-assigned")) > 0 {
		t.Error("told again")
	}
	s.pass(time.Second)
	away := s.homecoming(3)
	away.mnha = key
	s.send(away)
	s.wantStatus(mh.Accepted)
	// Another address is not the one that the AAA has named.
	s.pass(time.Second)
	b := s.of(4)
	b.mnha, b.home = key, homeB
	s.send(b)
	s.wantStatus(mh.Prohibited)
}

func TestAnAssociationAssignsAHomeAddress(t *testing.T) {
	s := tell(t, configuration())
	a := s.of(1)
	a.home = none
	s.send(a)
	if home := s.assigned(association.New(spiA, keyA), careOfWLAN); home != homeA {
		t.Errorf("%v", home)
	}
	if e := s.events("home-address-assigned"); len(e) != 1 || e[0]["assigner"] != "association" {
		t.Errorf("%v", e)
	}
	if len(outputs[*AskAAA](s)) > 0 {
		t.Error("the AAA was asked")
	}
}

// The AAA may leave it to the home agent, within a prefix or altogether.
func TestTheHomeAgentAssignsWhatTheAAALeavesToIt(t *testing.T) {
	homeLink := netip.MustParsePrefix("2001:db8:100::/64")
	for _, c := range []struct {
		name  string
		named string // by the AAA
		alter func(*control.HomeAgent)
		off   bool // the home link
		want  netip.Prefix
	}{
		{"a prefix", "2001:db8:100:7::", func(h *control.HomeAgent) { h.HomePrefixes[0] = netip.MustParsePrefix("2001:db8:100::/48") }, false, netip.MustParsePrefix("2001:db8:100:7::/64")},
		{"nothing, at a home link", "::", func(h *control.HomeAgent) { h.HomePrefixes[0] = netip.MustParsePrefix("2001:db8:100::/48") }, false, homeLink},
		{"nothing, without a home link", "::", func(*control.HomeAgent) {}, true, homeLink},
	} {
		t.Run(c.name, func(t *testing.T) {
			assign := func(nai string) netip.Addr {
				cfg := with(fromAAA)
				c.alter(cfg.HomeAgent)
				if c.off {
					cfg.Interfaces = cfg.Interfaces[1:]
				}
				s := tell(t, cfg)
				a := s.without(1)
				a.nai = nai
				s.send(a)
				ask := s.asked()
				s.name(ask, 300, netip.MustParseAddr(c.named))
				home := s.assigned(given(ask, 300), careOfWLAN)
				if e := s.events("home-address-assigned"); e[0]["assigner"] != "home-agent" {
					t.Errorf("%v", e)
				}
				// Its acknowledgement was lost, or it has lost its memory: it asks
				// again, with and without the AAA.
				s.pass(2 * time.Second)
				a = s.without(2)
				a.nai = nai
				s.send(a)
				again := s.asked()
				s.name(again, 301, netip.MustParseAddr(c.named))
				if other := s.assigned(given(again, 301), careOfWLAN); other != home {
					t.Errorf("first %v, then %v", home, other)
				}
				s.pass(2 * time.Second)
				a = s.of(3)
				a.home, a.nai, a.mnha = none, nai, given(again, 301)
				s.send(a)
				if other := s.assigned(given(again, 301), careOfWLAN); other != home {
					t.Errorf("first %v, then %v", home, other)
				}
				if n := len(s.m.bindings); n != 1 {
					t.Errorf("%d bindings", n)
				}
				return home
			}
			a := assign(naiA)
			if !c.want.Contains(a) || a == c.want.Addr() {
				t.Errorf("%v, want one in %v", a, c.want)
			}
			if after := assign(naiA); after != a {
				t.Errorf("%v, after a restart %v", a, after)
			}
			if b := assign(naiB); b == a {
				t.Errorf("both have %v", a)
			}
		})
	}
}

func TestMobileNodesWithoutAHomeLinkHaveAPrefixEachUntilNoneIsFree(t *testing.T) {
	s := tell(t, with(func(h *control.HomeAgent) {
		fromAAA(h)
		h.Address = netip.MustParseAddr("2001:db8:400::1")
		h.HomePrefixes = []netip.Prefix{netip.MustParsePrefix("2001:db8:500::/63"), netip.MustParsePrefix("2001:db8:600::/64")}
	}))
	s.m.links, s.m.address = nil, homeAgent
	prefixes := map[netip.Prefix]bool{}
	for i := range 3 {
		a := s.without(1)
		a.nai = fmt.Sprintf("%d@example.org", i)
		a.src = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 9, 15: byte(1 + i)})
		a.alternate = a.src
		s.send(a)
		ask := s.asked()
		s.name(ask, 300, none)
		home := s.assigned(given(ask, 300), a.src)
		p := netip.PrefixFrom(home, 64).Masked()
		if prefixes[p] {
			t.Errorf("%v is shared", p)
		}
		prefixes[p] = true
	}
	if !prefixes[netip.MustParsePrefix("2001:db8:600::/64")] {
		t.Errorf("%v, want the one that is a home prefix by itself last", prefixes)
	}
}

func TestNoFreeHomeAddressIsALackOfResources(t *testing.T) {
	for _, home := range []string{"2001:db8:100::8/127", "2001:db8:100::8/128"} {
		t.Run(home, func(t *testing.T) {
			p := netip.MustParsePrefix(home)
			s := tell(t, with(func(h *control.HomeAgent) { fromAAA(h); h.HomePrefixes = []netip.Prefix{p} }))
			s.m.links = nil
			free := 1<<(128-p.Bits()) - 1 // but for that of all routers
			for i := range free + 1 {
				a := s.without(1)
				a.nai = fmt.Sprintf("%d@example.org", i)
				s.send(a)
				ask := s.asked()
				s.name(ask, 300, none)
				if i < free {
					s.assigned(given(ask, 300), careOfWLAN)
					continue
				}
				s.denied(mh.InsufficientResources, given(ask, 300))
				if e := s.events("binding-refused"); e[0]["reason"] != "no-free-home-address" {
					t.Errorf("%v", e)
				}
			}
		})
	}
}

func TestWhatBecomesOfAnAssignmentThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		name   string
		alter  func(*control.HomeAgent)
		change func(*announcement)
		named  string
		status mh.Status
		reason string
	}{
		{"an address in no home prefix", fromAAA, nil, "2001:db8:999::10", mh.NotHomeSubnet, "not-in-a-home-prefix"},
		{"a prefix that is no home prefix", fromAAA, nil, "2001:db8:999::", mh.NotHomeSubnet, "not-in-a-home-prefix"},
		{"this node's own", fromAAA, nil, homeAgent.String(), mh.Prohibited, "home-address-of-another"},
		{"somebody else's by configuration", func(h *control.HomeAgent) { h.Associations = h.Associations[1:] }, nil, homeB.String(), mh.Prohibited, "home-address-of-another"},
		{"a stale timestamp", fromAAA, func(a *announcement) { a.timestamp = keys.NTP(start.Add(-time.Hour)) }, homeA.String(), mh.IDMismatch, "stale-timestamp"},
		{"no timestamp", fromAAA, func(a *announcement) { a.timestamp = 0 }, homeA.String(), mh.MessageIDRequired, "no-timestamp"},
		{"no home prefix at all", func(h *control.HomeAgent) { fromAAA(h); h.HomePrefixes = nil }, nil, homeA.String(), mh.HomeRegUnsupported, "no-home-prefix"},
		{"a lifetime of 0", fromAAA, func(a *announcement) { a.lifetime = 0 }, homeA.String(), mh.NotHomeAgent, "no-binding"},
		{"the home address as care-of address", fromAAA, func(a *announcement) { a.alternate = homeA }, homeA.String(), mh.InvalidCareOf, "care-of-address-loops"},
		{"no room", func(h *control.HomeAgent) { fromAAA(h); h.MaxBindings = 0 }, nil, homeA.String(), mh.InsufficientResources, "binding-cache-full"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := with(c.alter)
			s := tell(t, cfg)
			s.m.maxSubscribers = 10
			a := s.without(1)
			if c.change != nil {
				c.change(&a)
			}
			s.send(a)
			ask := s.asked()
			s.name(ask, 300, netip.MustParseAddr(c.named))
			if a.alternate != careOfWLAN {
				s.denied(c.status, nil)
			} else {
				s.denied(c.status, given(ask, 300))
			}
			if e := s.events("binding-refused"); len(e) != 1 || e[0]["reason"] != c.reason || e[0]["authenticated"] != true {
				t.Errorf("%v, want %s", e, c.reason)
			}
			if len(s.m.Bindings(s.now)) > 0 || len(s.events("home-address-assigned")) > 0 {
				t.Error(s.words())
			}
		})
	}
}

func TestAnAddressThatAnotherHasBoundIsNotAssigned(t *testing.T) {
	s := tell(t, with(fromAAA))
	s.send(s.without(1))
	s.name(s.asked(), 300, homeA)
	b := s.without(1)
	b.nai, b.src, b.alternate = naiB, careOfLTE, careOfLTE
	s.send(b)
	s.name(s.asked(), 301, homeA)
	s.wantStatus(mh.Prohibited)
	s.wantBound(homeA, careOfWLAN)
}

func TestWhoIsNotKnownIsAssignedNothing(t *testing.T) {
	s := tell(t, with(noIntegrity))
	s.send(s.bare(none, 1))
	s.denied(mh.Prohibited, nil)
	if e := s.events("binding-refused"); e[0]["reason"] != "nobody-to-assign-to" {
		t.Errorf("%v", e)
	}
	s = tell(t, configuration())
	wrong := s.of(1)
	wrong.home, wrong.mnha = none, association.New(spiA, keyB)
	s.send(wrong)
	s.denied(mh.AuthFail, association.New(spiA, keyA))
	s.pass(time.Second)
	unknown := s.of(2)
	unknown.home, unknown.mnha = none, association.New(999, keyA)
	s.send(unknown)
	s.wantSilence("unknown-association")
	bare := s.of(3)
	bare.home, bare.mnha = none, nil
	s.send(bare)
	s.wantSilence("no-authentication")
	notHome := s.of(4)
	notHome.home, notHome.flags = none, mh.AckRequested
	s.send(notHome)
	s.wantSilence("not-a-home-registration")
}

func TestOnlyABindingUpdateMayHaveTheUnspecifiedHomeAddress(t *testing.T) {
	s := tell(t, configuration())
	s.step(&Received{Octets: s.carry(ipv6.Packet{Src: careOfWLAN, HomeAddress: none, Next: ipv6.UDP, Payload: make([]byte, 8)})})
	s.wantSilence("home-address-not-unicast-routable")
	header, err := mh.Append(nil, &mh.HomeTestInit{}, none, homeAgent)
	if err != nil {
		t.Fatal(err)
	}
	s.step(&Received{Octets: s.carry(ipv6.Packet{Src: careOfWLAN, HomeAddress: none, Next: ipv6.Mobility, Payload: header})})
	s.wantSilence("home-address-not-unicast-routable")
}

func TestOneWhoAsksAgainWhileTheAAAIsAskedGetsOneAddress(t *testing.T) {
	s := tell(t, with(fromAAA))
	s.send(s.without(1))
	first := s.asked()
	s.pass(1500 * time.Millisecond)
	s.send(s.without(2))
	s.wantSilence("answer-of-the-aaa-outstanding")
	s.name(first, 300, none)
	home := s.assigned(given(first, 300), careOfWLAN)
	second := s.asked()
	s.name(second, 301, none)
	if again := s.assigned(given(second, 301), careOfWLAN); again != home {
		t.Errorf("first %v, then %v", home, again)
	}
	if c := s.m.Counts(); c.Bindings != 1 || c.Questions != 0 {
		t.Errorf("%+v", c)
	}
}

// RFC 6275, section 10.3.1. An address that was named cannot be changed here; one
// that was chosen here is chosen anew.
func TestAnAssignedAddressIsTestedForDuplicates(t *testing.T) {
	for _, named := range []netip.Addr{homeA, none} {
		t.Run(named.String(), func(t *testing.T) {
			s := tell(t, with(func(h *control.HomeAgent) { fromAAA(h); fullDAD(h) }))
			s.send(s.without(1))
			ask := s.asked()
			s.name(ask, 300, named)
			watched := outputs[WatchAddress](s)
			if len(watched) != 1 || len(s.replies()) > 0 {
				t.Fatal(s.words())
			}
			taken := watched[0].Address
			s.step(NeighborClaimed{Dev: "home", Address: taken})
			s.denied(mh.DADFailed, given(ask, 300))
			if c := s.m.Counts(); c.Bindings != 0 {
				t.Errorf("%+v", c)
			}
			s.pass(1500 * time.Millisecond)
			a := s.of(2)
			a.home, a.mnha = none, given(ask, 300)
			s.send(a)
			next := outputs[WatchAddress](s)[0].Address
			if (next == taken) != (named == homeA) {
				t.Errorf("first %v, then %v", taken, next)
			}
			s.pass(time.Second)
			if home := s.assigned(given(ask, 300), careOfWLAN); home != next {
				t.Errorf("%v, want %v", home, next)
			}
		})
	}
}

func TestARecordedRequestForAHomeAddressChangesNothing(t *testing.T) {
	for name, alter := range map[string]func(*control.HomeAgent){
		"timestamps":       fromAAA,
		"sequence numbers": func(h *control.HomeAgent) { fromAAA(h); sequenceNumbers(h) },
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, with(alter))
			a := s.without(7)
			if name == "sequence numbers" {
				a.timestamp = 0
			}
			recorded := s.packet(a)
			s.step(&Received{Octets: recorded})
			ask := s.asked()
			s.name(ask, 300, homeA)
			s.assigned(given(ask, 300), careOfWLAN)
			s.pass(time.Second)
			moved := s.of(8)
			moved.mnha, moved.src, moved.alternate = given(ask, 300), careOfLTE, careOfLTE
			if name == "sequence numbers" {
				moved.timestamp = 0
			}
			s.send(moved)
			s.wantBound(homeA, careOfLTE)

			s.pass(time.Second)
			s.step(&Received{Octets: recorded})
			again := s.asked() // the AAA cannot tell
			s.name(again, 301, homeA)
			if name == "timestamps" {
				s.denied(mh.IDMismatch, given(again, 301))
			} else {
				s.denied(mh.SequenceOutOfWindow, given(again, 301))
			}
			s.wantBound(homeA, careOfLTE)
		})
	}
}

func TestAFloodOfRequestsForHomeAddressesLeavesNothing(t *testing.T) {
	s := tell(t, with(func(h *control.HomeAgent) { fromAAA(h); h.MaxBindings = 10 }))
	for i := range 5000 {
		s.pass(time.Millisecond)
		a := s.without(uint16(i))
		a.src = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 9, 14: byte(i >> 8), 15: byte(1 + i)})
		a.alternate = a.src
		if i%2 == 0 { // of many who are nobody
			a.nai = fmt.Sprintf("%d@example.org", i)
		}
		s.send(a)
		for _, ask := range outputs[*AskAAA](s) {
			switch {
			case i%2 == 0 && i%20 != 0:
				s.step(&AAAAnswered{ID: ask.ID, Result: 4001})
			default: // and of some who are somebody
				s.name(ask, 300, none)
			}
		}
		if n := len(s.m.owners); n > s.m.maxSubscribers {
			t.Fatalf("%d addresses reserved for %d subscribers", n, s.m.maxSubscribers)
		}
	}
	if c := s.m.Counts(); c.Bindings > 10 || c.Subscribers > s.m.maxSubscribers {
		t.Errorf("%+v", c)
	}
	s.pass(3 * time.Hour)
	if c := s.m.Counts(); c != (Counts{}) || len(s.m.owners) > 0 || len(s.m.held64) > 0 {
		t.Errorf("left: %+v, %v, %v", c, s.m.owners, s.m.held64)
	}
}

// A subscriber whom the AAA has granted a prefix has no address outside it.
func TestAGrantedPrefixHoldsForLaterUpdatesToo(t *testing.T) {
	s := tell(t, with(fromAAA))
	s.send(s.without(1))
	ask := s.asked()
	s.name(ask, 300, netip.MustParseAddr("2001:db8:100::"))
	home := s.assigned(given(ask, 300), careOfWLAN)
	s.m.prefixes = append(s.m.prefixes, netip.MustParsePrefix("2001:db8:101::/64"))
	s.pass(time.Second)
	a := s.of(2)
	a.mnha, a.home = given(ask, 300), netip.MustParseAddr("2001:db8:101::10")
	s.send(a)
	s.wantStatus(mh.Prohibited)
	s.pass(time.Second)
	a = s.of(3)
	a.mnha, a.home = given(ask, 300), home
	s.send(a)
	s.wantStatus(mh.Accepted)
}

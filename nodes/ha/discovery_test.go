package ha

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/session/discovery"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv6"
)

var (
	routerA = netip.MustParseAddr("fe80::a")
	routerB = netip.MustParseAddr("fe80::b")
	agentA  = netip.MustParseAddr("2001:db8:100::a")
	agentB  = netip.MustParseAddr("2001:db8:100::b")
)

// discovered is a home agent that can be asked for home agents.
func discovered(h *control.HomeAgent) {
	h.Preference = 5
	h.Discovered = []netip.Prefix{homeLinkPrefix(), virtualPrefix}
}

// virtualPrefix is a home prefix without a link.
var virtualPrefix = netip.MustParsePrefix("2001:db8:100:9::/64")

func homeLinkPrefix() netip.Prefix {
	for _, in := range configuration().Interfaces {
		if in.Home {
			return in.Addresses[0].Masked()
		}
	}
	return netip.Prefix{}
}

func homeLinkDev() string {
	for _, in := range configuration().Interfaces {
		if in.Home {
			return in.Name
		}
	}
	return ""
}

func (s *story) advertises(router netip.Addr, preference uint16, lifetime time.Duration, all ...netip.Addr) {
	s.step(&RouterAdvertised{Dev: homeLinkDev(), Router: router, HomeAgent: true, Preference: preference, Lifetime: lifetime, Addresses: all})
}

// asks asks at the anycast address of a prefix, a second after the last time.
func (s *story) asks(p netip.Prefix, id uint16) *icmp6.HomeAgentReply {
	s.Helper()
	s.pass(time.Second)
	s.step(HomeAgentsAsked{Source: careOfWLAN, To: discovery.HomeAgentsAnycast(p), Identifier: id})
	for _, o := range s.out {
		sent, ok := o.(*SendMobility)
		if !ok {
			continue
		}
		got, err := ipv6.Parse(sent.Octets)
		if err != nil {
			s.Fatal(err)
		}
		if got.Src != homeAgent || got.Dst != careOfWLAN || got.Next != ipv6.ICMPv6 || got.HomeAddress.IsValid() || got.RoutingHome.IsValid() || len(sent.Octets) > 1280 {
			s.Errorf("the reply goes from %v to %v, %d octets", got.Src, got.Dst, len(sent.Octets))
		}
		if !icmp6.ChecksumOK(got.Payload, got.Src, got.Dst) {
			s.Error("the reply has a wrong checksum")
		}
		m, err := icmp6.Parse(got.Payload)
		if err != nil {
			s.Fatal(err)
		}
		return m.(*icmp6.HomeAgentReply)
	}
	return nil
}

func TestHomeAgentsAreListedByPreference(t *testing.T) { // RFC 6275, section 10.5.1
	s := tell(t, with(discovered))
	s.advertises(routerA, 9, time.Hour, agentA)
	s.advertises(routerB, 0, time.Hour, agentB)
	r := s.asks(homeLinkPrefix(), 77)
	if r == nil || r.Identifier != 77 || !slices.Equal(r.Addresses, []netip.Addr{agentA, homeAgent, agentB}) {
		t.Fatalf("reply %+v", r)
	}
	if r := s.asks(virtualPrefix, 1); r == nil || !slices.Equal(r.Addresses, []netip.Addr{homeAgent}) {
		t.Errorf("of a prefix without a link: %+v", r)
	}
	s.advertises(routerA, 1, time.Hour) // its preference falls, its address stays
	if r := s.asks(homeLinkPrefix(), 1); !slices.Equal(r.Addresses, []netip.Addr{homeAgent, agentA, agentB}) {
		t.Errorf("then %v", r.Addresses)
	}
}

func TestEqualsAreListedAtRandom(t *testing.T) { // RFC 6275, section 10.5.1
	s := tell(t, with(discovered))
	s.advertises(routerA, 5, 10*time.Hour, agentA, agentA.Next())
	first := map[netip.Addr]int{}
	for range 90 {
		list := s.asks(homeLinkPrefix(), 1).Addresses
		first[list[0]]++
		if i, j := slices.Index(list, agentA), slices.Index(list, agentA.Next()); i-j != 1 && j-i != 1 {
			t.Fatalf("the addresses of one home agent are apart: %v", list)
		}
	}
	if first[homeAgent] < 20 || first[agentA] < 5 || first[agentA.Next()] < 5 {
		t.Errorf("first of 90: %v", first)
	}
}

func TestAHomeAgentIsForgottenWithItsLifetime(t *testing.T) { // RFC 6275, section 10.5.1
	for name, forget := range map[string]func(*story){
		"its lifetime ends":       func(s *story) { s.pass(30 * time.Second) },
		"it says 0":               func(s *story) { s.advertises(routerA, 0, 0, agentA) },
		"it is no home agent now": func(s *story) { s.step(&RouterAdvertised{Dev: homeLinkDev(), Router: routerA, Lifetime: time.Hour}) },
	} {
		s := tell(t, with(discovered))
		s.advertises(routerA, 0, 10*time.Second, agentA)
		s.pass(8 * time.Second)
		s.advertises(routerA, 0, 10*time.Second, agentA) // for longer
		s.pass(8 * time.Second)
		if r := s.asks(homeLinkPrefix(), 1); len(r.Addresses) != 2 {
			t.Errorf("%s: before that %v", name, r.Addresses)
		}
		forget(s)
		if r := s.asks(homeLinkPrefix(), 1); len(r.Addresses) != 1 || len(s.m.agents.others) != 0 {
			t.Errorf("%s: %v", name, r.Addresses)
		}
	}
}

func TestRoutersThatAreNoHomeAgentsOfTheLinkAreNotListed(t *testing.T) {
	s := tell(t, with(discovered))
	s.step(&RouterAdvertised{Dev: homeLinkDev(), Router: routerA, Lifetime: time.Hour, Addresses: []netip.Addr{agentA}})
	s.step(&RouterAdvertised{Dev: "core", Router: routerA, HomeAgent: true, Lifetime: time.Hour, Addresses: []netip.Addr{agentA}})
	s.step(&RouterAdvertised{Dev: homeLinkDev(), Router: routerB, HomeAgent: true, Lifetime: time.Hour, Addresses: []netip.Addr{netip.MustParseAddr("fe80::b"), netip.MustParseAddr("ff02::1"), homeAgent}})
	if r := s.asks(homeLinkPrefix(), 1); !slices.Equal(r.Addresses, []netip.Addr{homeAgent}) {
		t.Errorf("%v", r.Addresses)
	}
}

func TestWhatOthersAdvertiseIsBounded(t *testing.T) {
	s := tell(t, with(discovered))
	for i := range 200 {
		var all []netip.Addr
		for j := range 20 {
			all = append(all, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 13: byte(i), 14: byte(j), 15: 1}))
		}
		s.advertises(netip.AddrFrom16([16]byte{0xfe, 0x80, 15: byte(i), 14: 1}), uint16(i), time.Hour, all...)
	}
	if n := len(s.m.agents.others); n != maxNeighborAgents {
		t.Errorf("%d kept", n)
	}
	if r := s.asks(homeLinkPrefix(), 1); len(r.Addresses) != maxListedAddresses {
		t.Errorf("%d listed, want as many as 1280 octets hold", len(r.Addresses))
	}
}

func TestWhoAsksElsewhereOrTooOftenGetsNoAnswer(t *testing.T) {
	s := tell(t, with(discovered))
	for _, in := range []HomeAgentsAsked{
		{Source: careOfWLAN, To: homeAgent},
		{Source: careOfWLAN, To: discovery.HomeAgentsAnycast(netip.MustParsePrefix("2001:db8:200::/64"))},
		{Source: netip.IPv6Unspecified(), To: discovery.HomeAgentsAnycast(virtualPrefix)},
		{Source: netip.MustParseAddr("ff02::1"), To: discovery.HomeAgentsAnycast(virtualPrefix)},
		{Source: routerA, To: discovery.HomeAgentsAnycast(virtualPrefix)},
	} {
		if s.step(in); len(s.out) > 0 {
			t.Errorf("%+v is answered: %v", in, s.out)
		}
	}
	answers := 0
	for range 1000 {
		s.step(HomeAgentsAsked{Source: careOfWLAN, To: discovery.HomeAgentsAnycast(virtualPrefix)})
		for _, o := range s.out {
			if _, ok := o.(*SendMobility); ok {
				answers++
			}
		}
	}
	if answers == 0 || answers > 2 {
		t.Errorf("%d answers at once to one address", answers)
	}
	if r := tell(t, configuration()).asks(homeLinkPrefix(), 1); r != nil {
		t.Errorf("a home agent that nobody is to discover answers %v", r)
	}
}

func TestAMobilePrefixSolicitationIsNotAnswered(t *testing.T) { // RFC 4285, section 2
	s := tell(t, configuration())
	s.step(&Received{Octets: s.packet(s.of(1))})
	s.pass(2 * time.Second)
	solicitation, err := icmp6.Append(nil, &icmp6.MobilePrefixSolicitation{Identifier: 7}, homeA, homeAgent)
	if err != nil {
		t.Fatal(err)
	}
	s.step(&Received{Octets: s.carry(ipv6.Packet{Src: careOfWLAN, HomeAddress: homeA, Next: ipv6.ICMPv6, Payload: solicitation})})
	if len(s.out) != 1 {
		t.Fatalf("%v", s.out)
	}
	if e, ok := s.out[0].(Event); !ok || e.Name != "message-ignored" || e.Fields["message"] != "mobile-prefix-solicitation" || e.Fields["reason"] != "nothing-protects-it" {
		t.Errorf("%+v", s.out[0])
	}
	// Without a binding it is any packet with a Home Address option.
	s.step(&Received{Octets: s.carry(ipv6.Packet{Src: careOfLTE, HomeAddress: homeA, Next: ipv6.ICMPv6, Payload: solicitation})})
	if len(s.replies()) != 1 {
		t.Errorf("%v", s.out)
	}
}

// What is read of Router Advertisements: RFC 6275, sections 7.4 and 10.5.1.
func TestARouterAdvertisementTellsOfAHomeAgent(t *testing.T) {
	prefix := icmp6.PrefixInformation{Prefix: netip.PrefixFrom(agentA, 64), OnLink: true, RouterAddress: true, Valid: time.Hour, Preferred: time.Hour}
	heard := func(flags icmp6.RAFlags, options ...icmp6.Option) *RouterAdvertised {
		b, err := icmp6.Append(nil, &icmp6.RouterAdvertisement{Flags: flags, Lifetime: 30 * time.Second, Options: options}, routerA, netip.IPv6LinkLocalAllNodes())
		if err != nil {
			t.Fatal(err)
		}
		return advertised(&host.NDMessage{Dev: "home", Src: routerA, Dst: netip.IPv6LinkLocalAllNodes(), Message: b})
	}
	for what, c := range map[string]struct{ got, want *RouterAdvertised }{
		"with an option": {heard(icmp6.HomeAgent, prefix, icmp6.HomeAgentInformation{Preference: 7, Lifetime: time.Minute}),
			&RouterAdvertised{Dev: "home", Router: routerA, HomeAgent: true, Preference: 7, Lifetime: time.Minute, Addresses: []netip.Addr{agentA}}},
		"without": {heard(icmp6.HomeAgent, prefix),
			&RouterAdvertised{Dev: "home", Router: routerA, HomeAgent: true, Lifetime: 30 * time.Second, Addresses: []netip.Addr{agentA}}},
		"a router that is none": {heard(0), &RouterAdvertised{Dev: "home", Router: routerA, Lifetime: 30 * time.Second}},
	} {
		if d := cmp.Diff(c.want, c.got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	for _, b := range [][]byte{{134, 0, 0, 0}, {135, 0, 0, 0, 0, 0, 0, 0}, {1, 2, 3, 4}} {
		if got := advertised(&host.NDMessage{Dev: "home", Src: routerA, Message: b}); got != nil {
			t.Errorf("% x: %+v", b, got)
		}
	}
	if in, ok := homeAgentsAsked(&host.ICMPMessage{Src: careOfWLAN, Message: []byte{144, 0, 0, 0, 0, 7}}); ok {
		t.Errorf("half a request: %+v", in)
	}
}

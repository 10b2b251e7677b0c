package ha

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/mh"
)

var (
	agent4  = netip.MustParseAddr("192.0.2.1")
	home4A  = netip.MustParseAddr("198.51.100.10")
	careOf4 = netip.MustParseAddr("203.0.113.99")
	direct  = netip.AddrPortFrom(careOf4, 4191)
	private = netip.MustParseAddr("10.0.0.7")
	byNAT   = netip.MustParseAddrPort("203.0.113.1:40001")
)

// dual makes a configuration one of a home agent that has IPv4, with a pool of
// addresses 198.51.100.9 to 198.51.100.14 of which A's is the second.
func dual(h *control.HomeAgent) {
	h.Address4 = agent4
	h.HomePrefixes4 = []netip.Prefix{netip.MustParsePrefix("198.51.100.8/29")}
	h.HomeAddresses4 = []control.HomeAddress4{{NAI: naiA, Address: homeA, Address4: home4A}}
}

// over makes a Binding Update as it comes by IPv4.
func over(a announcement, careOf4 netip.Addr) announcement {
	a.src, a.home, a.alternate, a.careOf4 = a.home, netip.Addr{}, netip.Addr{}, careOf4
	return a
}

// requesting adds an IPv4 Home Address option.
func requesting(a announcement, o mh.IPv4HomeAddress) announcement {
	a.more = append(slices.Clone(a.more), o)
	return a
}

var anyHome4 = mh.IPv4HomeAddress{PrefixLen: 32, Address: netip.IPv4Unspecified()}

func (s *story) sendOver(a announcement, from netip.AddrPort) []Output {
	s.Helper()
	return s.step(&Received{Octets: s.packet(a), From: from})
}

// wantTunnel wants the last Step to have set one tunnel.
func (s *story) wantTunnel(want SetTunnel) {
	s.Helper()
	if got := outputs[SetTunnel](s); len(got) != 1 || got[0] != want {
		s.Fatalf("tunnels %+v, want %+v", got, want)
	}
}

// wantAck4 wants an IPv4 Address Acknowledgement option.
func wantAck4(t *testing.T, ba *mh.BindingAcknowledgement, status mh.IPv4Status, home4 netip.Addr) {
	t.Helper()
	a, ok := mh.Find[mh.IPv4AddressAck](ba.Options)
	wantLen := uint8(0)
	if status == mh.IPv4Accepted {
		wantLen = 32
	}
	if !ok || a.Status != status || a.Address != home4 || a.PrefixLen != wantLen {
		t.Fatalf("IPv4 address acknowledgement %+v, %v; want %v of %v", a, ok, status, home4)
	}
}

func wantNAT(t *testing.T, ba *mh.BindingAcknowledgement, want mh.NATDetection) {
	t.Helper()
	if n, ok := mh.Find[mh.NATDetection](ba.Options); !ok || n != want {
		t.Fatalf("NAT detection %+v, %v; want %+v", n, ok, want)
	}
}

func TestABindingByIPv4IsAnsweredInUDPAndTunnelledWithoutIt(t *testing.T) {
	s := tell(t, with(dual))
	s.sendOver(requesting(over(s.of(1), careOf4), anyHome4), direct)
	ba, r := s.acknowledged()
	if ba.Status != mh.Accepted || r.to != direct || r.packet.Dst != homeA || r.packet.RoutingHome.IsValid() {
		t.Fatalf("status %v to %v, packet %+v", ba.Status, r.to, r.packet)
	}
	wantAck4(t, ba, mh.IPv4Accepted, home4A)
	wantNAT(t, ba, mh.NATDetection{Refresh: mh.NoKeepalives})
	s.wantTunnel(SetTunnel{Home: homeA, Home4: home4A, CareOf: careOf4})
	if e := s.entry(homeA); e.CareOf != careOf4 || e.NAT || e.UDP || e.HomeAddress4 != home4A {
		t.Errorf("entry %+v", e)
	}
	// The authenticator is over the IPv4-mapped care-of address.
	mapped := netip.AddrFrom16(careOf4.As16())
	if err := association.Verify(r.packet.Payload, association.New(spiA, keyA), mapped, homeA); err != nil {
		t.Error(err)
	}
}

func TestANATIsDetectedAndPacketsGoInUDP(t *testing.T) {
	s := tell(t, with(dual, func(h *control.HomeAgent) { h.NATKeepalive = 30 * time.Second }))
	s.sendOver(over(s.of(1), private), byNAT)
	ba, r := s.acknowledged()
	if r.to != byNAT {
		t.Errorf("answered to %v", r.to)
	}
	wantNAT(t, ba, mh.NATDetection{Refresh: 30 * time.Second})
	if _, ok := mh.Find[mh.IPv4AddressAck](ba.Options); ok {
		t.Error("an IPv4 address is acknowledged that nobody asked for")
	}
	s.wantTunnel(SetTunnel{Home: homeA, CareOf: byNAT.Addr(), Port: byNAT.Port()})

	// The NAT has forgotten, and another port is given: the tunnel follows.
	s.now = s.now.Add(time.Second)
	moved := netip.AddrPortFrom(byNAT.Addr(), 40002)
	s.sendOver(over(s.of(2), private), moved)
	if _, r := s.acknowledged(); r.to != moved {
		t.Errorf("answered to %v", r.to)
	}
	s.wantTunnel(SetTunnel{Home: homeA, CareOf: moved.Addr(), Port: moved.Port()})

	s.now = s.now.Add(time.Second)
	s.sendOver(over(s.of(3), private), moved)
	if got := outputs[SetTunnel](s); len(got) != 0 {
		t.Errorf("tunnels %+v though nothing has changed", got)
	}
}

func TestTwoMobilesBehindOneNATAreToldApartByPort(t *testing.T) {
	s := tell(t, with(dual))
	other := netip.AddrPortFrom(byNAT.Addr(), 40077)
	s.sendOver(over(s.of(1), private), byNAT)
	s.sendOver(over(s.ofB(1), private), other)
	s.wantTunnel(SetTunnel{Home: homeB, CareOf: other.Addr(), Port: other.Port()})
	if e := s.entry(homeA); e.Outer != byNAT {
		t.Errorf("A is at %v, want %v", e.Outer, byNAT)
	}
}

func TestMovesBetweenFamiliesMoveBothHomeAddresses(t *testing.T) {
	s := tell(t, with(dual))
	s.send(requesting(s.of(1), anyHome4))
	wantAck4(t, s.wantStatus(mh.Accepted), mh.IPv4Accepted, home4A)
	s.wantTunnel(SetTunnel{Home: homeA, Home4: home4A, CareOf: careOfWLAN})
	s.now = s.now.Add(time.Second)
	s.sendOver(requesting(over(s.of(2), private), mh.IPv4HomeAddress{PrefixLen: 32, Address: home4A}), byNAT)
	s.wantTunnel(SetTunnel{Home: homeA, Home4: home4A, CareOf: byNAT.Addr(), Port: byNAT.Port()})
	s.now = s.now.Add(time.Second)
	s.send(requesting(s.of(3), anyHome4))
	ba := s.wantStatus(mh.Accepted)
	if _, ok := mh.Find[mh.NATDetection](ba.Options); ok {
		t.Error("NAT detection in what went by IPv6")
	}
	s.wantTunnel(SetTunnel{Home: homeA, Home4: home4A, CareOf: careOfWLAN})
	s.now = s.now.Add(time.Second)
	s.send(s.of(4)) // RFC 5555, section 4.4.2.1: the IPv4 binding alone ends
	s.wantTunnel(SetTunnel{Home: homeA, CareOf: careOfWLAN})
	if e := s.entry(homeA); e.HomeAddress4.IsValid() {
		t.Errorf("IPv4 home address %v stays", e.HomeAddress4)
	}
}

func TestTheFlagForUDPIsGrantedOrRefused(t *testing.T) {
	forced := func(s *story, seq uint16) announcement {
		a := over(s.of(seq), careOf4)
		a.flags |= mh.ForceUDP
		return a
	}
	s := tell(t, with(dual))
	s.sendOver(forced(s, 1), direct)
	wantNAT(t, s.wantStatus(mh.Accepted), mh.NATDetection{ForceUDP: true, Refresh: mh.NoKeepalives})
	s.wantTunnel(SetTunnel{Home: homeA, CareOf: careOf4, Port: 4191})

	s = tell(t, with(dual, func(h *control.HomeAgent) { h.UDP = "refuse" }))
	s.sendOver(forced(s, 1), direct)
	ba := s.wantStatus(mh.ForceUDPRefused)
	if _, stamped := mh.Find[mh.ReplayProtection](ba.Options); stamped {
		t.Error("144 with a timestamp would say that the clock is wrong")
	}
	if s.entry(homeA) != nil {
		t.Error("it is bound all the same")
	}
	s.now = s.now.Add(time.Second)
	s.sendOver(over(s.of(2), careOf4), direct)
	s.wantStatus(mh.Accepted)

	s = tell(t, with(dual, func(h *control.HomeAgent) { h.UDP = "always" }))
	s.sendOver(over(s.of(1), careOf4), direct)
	wantNAT(t, s.wantStatus(mh.Accepted), mh.NATDetection{ForceUDP: true, Refresh: mh.NoKeepalives})
	s.wantTunnel(SetTunnel{Home: homeA, CareOf: careOf4, Port: 4191})

	byIPv6 := s.of(2)
	byIPv6.flags |= mh.ForceUDP
	s.now = s.now.Add(time.Second)
	byIPv6.timestamp += 1 << 32
	s.send(byIPv6)
	s.wantStatus(mh.ForceUDPRefused)
}

func TestIPv4HomeAddressesHaveTheirStatuses(t *testing.T) {
	for what, c := range map[string]struct {
		option mh.IPv4HomeAddress
		with   func(*control.HomeAgent)
		want   mh.IPv4Status
		home4  netip.Addr
	}{
		"its own":           {mh.IPv4HomeAddress{PrefixLen: 32, Address: home4A}, nil, mh.IPv4Accepted, home4A},
		"another's":         {mh.IPv4HomeAddress{PrefixLen: 32, Address: home4A.Next()}, nil, mh.IPv4IncorrectHome, home4A.Next()},
		"not unicast":       {mh.IPv4HomeAddress{PrefixLen: 32, Address: netip.MustParseAddr("224.0.0.1")}, nil, mh.IPv4Invalid, netip.MustParseAddr("224.0.0.1")},
		"a prefix":          {mh.IPv4HomeAddress{PrefixLen: 24, PrefixRequest: true, Address: netip.IPv4Unspecified()}, nil, mh.IPv4PrefixUnauthorized, netip.IPv4Unspecified()},
		"where none is":     {anyHome4, func(h *control.HomeAgent) { h.HomeAddresses4, h.HomePrefixes4 = nil, nil }, mh.IPv4NoDynamic, netip.IPv4Unspecified()},
		"where all is free": {anyHome4, func(h *control.HomeAgent) { h.HomeAddresses4 = nil }, mh.IPv4Accepted, netip.MustParseAddr("198.51.100.9")},
	} {
		t.Run(what, func(t *testing.T) {
			cfg := with(dual)
			if c.with != nil {
				c.with(cfg.HomeAgent)
			}
			s := tell(t, cfg)
			s.send(requesting(s.of(1), c.option))
			wantAck4(t, s.wantStatus(mh.Accepted), c.want, c.home4) // the IPv6 binding stands in any case
			s.wantBound(homeA, careOfWLAN)
		})
	}
}

func TestAFullPoolOfIPv4HomeAddressesIsSaidAndFreedWithItsBindings(t *testing.T) {
	s := tell(t, with(dual, func(h *control.HomeAgent) {
		h.HomePrefixes4 = []netip.Prefix{netip.MustParsePrefix("198.51.100.8/30")} // .9 and .10, which is A's
	}))
	s.send(requesting(s.ofB(1), anyHome4))
	wantAck4(t, s.wantStatus(mh.Accepted), mh.IPv4Accepted, netip.MustParseAddr("198.51.100.9"))
	if free := s.m.dual.free(); free.IsValid() {
		t.Errorf("%v is free", free)
	}
	s.pass(2 * time.Minute)
	if free := s.m.dual.free(); free != netip.MustParseAddr("198.51.100.9") {
		t.Errorf("after the end of its binding %v is free", free)
	}
	s.send(requesting(s.of(1), anyHome4))
	wantAck4(t, s.wantStatus(mh.Accepted), mh.IPv4Accepted, home4A)
}

func TestIPv4HomeAddressesAreDefendedOnTheHomeLink(t *testing.T) {
	cfg := with(dual)
	cfg.Interfaces[0].Addresses = append(cfg.Interfaces[0].Addresses, netip.MustParsePrefix("198.51.100.14/29"))
	s := tell(t, cfg)
	s.send(requesting(s.of(1), anyHome4))
	if got := outputs[SetProxy](s); !slices.Contains(got, SetProxy{Dev: "home", Address: home4A}) {
		t.Errorf("proxies %+v", got)
	}
	if got := outputs[AdvertiseNeighbor](s); !slices.Contains(got, AdvertiseNeighbor{Dev: "home", Source: home4A, Target: home4A}) {
		t.Errorf("advertised %+v", got)
	}
	s.pass(time.Second)
	s.send(s.homecoming(2))
	s.wantStatus(mh.Accepted)
	if got := outputs[ClearProxy](s); !slices.Contains(got, ClearProxy{Dev: "home", Address: home4A}) {
		t.Errorf("proxies that end %+v", got)
	}
}

func TestByIPv4ThereMustBeACareOfAddressThatCanBe(t *testing.T) {
	s := tell(t, with(dual))
	for what, c := range map[string]netip.Addr{
		"none": {}, "multicast": netip.MustParseAddr("224.0.0.1"), "unspecified": netip.IPv4Unspecified(), "this node's": agent4,
	} {
		s.now = s.now.Add(time.Second)
		a := over(s.of(1), c)
		s.sendOver(a, byNAT)
		if ba, _ := s.acknowledged(); ba.Status.Accepts() {
			t.Errorf("%s: %v", what, ba.Status)
		}
	}
	s.now = s.now.Add(time.Second)
	s.sendOver(over(s.of(1), private), netip.AddrPortFrom(home4A, 4191)) // what goes there would come back
	s.wantStatus(mh.InvalidCareOf)
}

func TestADeregistrationByIPv4EndsBothBindings(t *testing.T) {
	s := tell(t, with(dual))
	s.sendOver(requesting(over(s.of(1), private), anyHome4), byNAT)
	s.now = s.now.Add(time.Second)
	a := over(s.of(2), private)
	a.lifetime = 0
	s.sendOver(a, byNAT)
	if ba, r := s.acknowledged(); ba.Status != mh.Accepted || r.to != byNAT {
		t.Errorf("status %v to %v", ba.Status, r.to)
	}
	if got := outputs[ClearTunnel](s); len(got) != 1 || got[0].Home != homeA {
		t.Errorf("tunnels that end %+v", got)
	}
}

func TestAnUnknownKeyByIPv4GetsABindingErrorInUDP(t *testing.T) {
	s := tell(t, with(dual, fromAAA))
	s.sendOver(over(s.of(1), private), byNAT)
	r := s.replies()
	if len(r) != 1 || r[0].to != byNAT || r[0].packet.Dst != homeA {
		t.Fatalf("%s", s.words())
	}
	if e, ok := r[0].message.(*mh.BindingError); !ok || e.Status != mh.UnknownBinding || e.HomeAddress != homeA {
		t.Errorf("message %+v", r[0].message)
	}
}

func TestAStrangerInTheTunnelIsToldWhereItCameFrom(t *testing.T) {
	s := tell(t, with(dual))
	for _, c := range []struct{ port, want uint16 }{{0, 4191}, {40001, 40001}} {
		s.now = s.now.Add(10 * time.Second)
		s.step(StrangerTunnelled{Source: byNAT.Addr(), Port: c.port, Inner: homeA})
		if r := s.replies(); len(r) != 1 || r[0].to != netip.AddrPortFrom(byNAT.Addr(), c.want) {
			t.Errorf("port %d: %s", c.port, s.words())
		}
	}
}

func TestTheAAAIsAskedAboutTheIPv4CareOfAddress(t *testing.T) {
	s := tell(t, with(dual, fromAAA))
	s.sendOver(over(s.asking(1), private), byNAT)
	ask := s.asked()
	if ask.CareOf != private || ask.HomeAddress != homeA {
		t.Errorf("asked %+v", ask)
	}
	s.vouch(ask, 300)
	if ba, r := s.acknowledged(); ba.Status != mh.Accepted || r.to != byNAT {
		t.Errorf("status %v to %v", ba.Status, r.to)
	}
}

func TestWhoAsksForAHomeAddressByIPv4IsSentItStraight(t *testing.T) {
	s := tell(t, with(dual))
	a := over(s.of(1), private)
	a.src = netip.IPv6Unspecified()
	s.sendOver(requesting(a, anyHome4), byNAT)
	ba, r := s.acknowledged()
	if ba.Status != mh.Accepted || r.to != byNAT || r.packet.Dst != homeA {
		t.Fatalf("status %v to %v, packet %+v", ba.Status, r.to, r.packet)
	}
	wantAck4(t, ba, mh.IPv4Accepted, home4A)
}

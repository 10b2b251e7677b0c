package mn

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
	agent4    = netip.MustParseAddr("192.0.2.1")
	home4     = netip.MustParseAddr("198.51.100.10")
	home4Net  = netip.MustParsePrefix("198.51.100.0/24")
	wlan4     = netip.MustParsePrefix("203.0.113.99/24")
	private4  = netip.MustParsePrefix("10.0.0.7/24")
	gateway4  = netip.MustParseAddr("203.0.113.1")
	agentPort = netip.AddrPortFrom(agent4, 4191)
	noNAT     = mh.NATDetection{Refresh: mh.NoKeepalives}
	behindNAT = mh.NATDetection{Refresh: 30 * time.Second}
	given4    = mh.IPv4AddressAck{PrefixLen: 32, Address: home4}
)

// dual is config with a home agent that has IPv4.
func dual() *control.Config {
	c := config()
	m := c.MobileNode
	m.HomeAgent4, m.IPv4Home, m.HomeAddress4, m.HomePrefix4 = agent4, true, home4, home4Net
	return c
}

// visit4 attaches to a link that has IPv4 only, and leaves the one before.
func (s *story) visit4(dev string, p netip.Prefix) {
	s.t.Helper()
	for _, a := range s.m.accesses {
		if a.carrier && a.dev != dev {
			s.carrier(a.dev, false)
		}
	}
	s.carrier(dev, true)
	s.lease(dev, p)
}

// saying adds options to an acknowledgement.
func saying(options ...mh.Option) func(*answer) {
	return func(a *answer) { a.ba.Options = append(a.ba.Options, options...) }
}

func (s *story) wantTunnel(want SetTunnel) {
	s.t.Helper()
	if got, ok := find[SetTunnel](s.out); !ok || got != want {
		s.t.Fatalf("tunnel %+v, %v; want %+v", got, ok, want)
	}
}

func TestFromAnIPv4AccessTheBindingUpdateGoesInUDP(t *testing.T) {
	s := begin(t, dual())
	s.visit4("wlan", wlan4)
	u := s.last()
	if u.to != agentPort || u.packet.Src != homeAddress || u.packet.HomeAddress.IsValid() {
		t.Errorf("sent to %v, packet %+v", u.to, u.packet)
	}
	if careOf, ok := mh.Find[mh.IPv4CareOf](u.Options); !ok || careOf.Address != wlan4.Addr() {
		t.Errorf("IPv4 care-of address %v, %v", careOf, ok)
	}
	if _, ok := mh.Find[mh.AlternateCareOf](u.Options); ok {
		t.Error("an alternate care-of address beside it")
	}
	if home, ok := mh.Find[mh.IPv4HomeAddress](u.Options); !ok || home.Address != home4 || home.PrefixLen != 32 {
		t.Errorf("IPv4 home address %v, %v", home, ok)
	}
	mapped := netip.AddrFrom16(wlan4.Addr().As16())
	if err := association.Verify(u.header, s.key, mapped, homeAddress); err != nil {
		t.Errorf("authenticator over the IPv4-mapped care-of address: %v", err)
	}
	if e, ok := find[EnterAccess](s.out); !ok || e.Address != wlan4 || e.Router != gateway4.Prev().Next() {
		t.Errorf("entered %+v, %v", e, ok)
	}
	s.answer(mh.Accepted, saying(given4, noNAT))
	s.wantTunnel(SetTunnel{Local: wlan4.Addr(), Remote: agent4, Home4: home4})
	if s.m.registration.refreshAt.Sub(u.sentAt()) != 45*time.Second {
		t.Errorf("refreshed at %v", s.m.registration.refreshAt)
	}
}

func (u sent) sentAt() time.Time { return start.Add(u.at) }

func TestBehindANATTheTunnelIsInUDPAndTheBindingIsRefreshedInTime(t *testing.T) {
	s := begin(t, dual())
	s.visit4("wlan", private4)
	if e, ok := find[ExpectTunnel](s.out); !ok || !e.UDP {
		t.Errorf("expected %+v, %v; want UDP from a private address", e, ok)
	}
	s.answer(mh.Accepted, saying(given4, behindNAT))
	s.wantTunnel(SetTunnel{Local: private4.Addr(), Remote: agent4, Home4: home4, UDP: true})
	n := len(s.sent)
	s.until(29 * time.Second)
	if len(s.sent) != n {
		t.Fatal("refreshed too early")
	}
	s.until(30500 * time.Millisecond)
	if len(s.sent) != n+1 {
		t.Fatalf("%d binding updates within 30.5 s, want %d: the NAT forgets", len(s.sent), n+1)
	}
	s.answer(mh.Accepted, saying(given4, mh.NATDetection{})) // no time is told: the default
	if got := s.m.registration.refreshAt.Sub(s.last().sentAt()); got != 45*time.Second {
		t.Errorf("refreshed after %v, want three quarters of the lifetime, which is less than 110 s", got)
	}
}

func TestUDPThatTheHomeAgentForcesNeedsNoKeepalives(t *testing.T) {
	s := begin(t, dual())
	s.visit4("wlan", wlan4)
	s.answer(mh.Accepted, saying(given4, mh.NATDetection{ForceUDP: true, Refresh: mh.NoKeepalives}))
	s.wantTunnel(SetTunnel{Local: wlan4.Addr(), Remote: agent4, Home4: home4, UDP: true})
	if got := s.m.registration.refreshAt.Sub(s.last().sentAt()); got != 45*time.Second {
		t.Errorf("refreshed after %v", got)
	}
}

func TestAMoveBetweenFamiliesKeepsBothHomeAddresses(t *testing.T) {
	s := begin(t, dual())
	s.visit("wlan", wlanPrefix)
	if home, ok := mh.Find[mh.IPv4HomeAddress](s.last().Options); !ok || home.Address != home4 {
		t.Errorf("IPv4 home address %v, %v by IPv6", home, ok)
	}
	s.answer(mh.Accepted, saying(given4))
	s.wantTunnel(SetTunnel{Local: careOfWLAN, Remote: homeAgent, Home4: home4})
	s.now = s.now.Add(5 * time.Second)
	s.visit4("wimax", wlan4)
	s.answer(mh.Accepted, saying(given4, noNAT))
	s.wantTunnel(SetTunnel{Local: wlan4.Addr(), Remote: agent4, Home4: home4})
	s.now = s.now.Add(5 * time.Second)
	s.visit("wlan", wlanPrefix)
	s.answer(mh.Accepted, saying(given4))
	s.wantTunnel(SetTunnel{Local: careOfWLAN, Remote: homeAgent, Home4: home4})
}

func TestIPv6IsPreferredWhereBothAre(t *testing.T) {
	s := begin(t, dual())
	s.visit4("wlan", wlan4)
	s.answer(mh.Accepted, saying(given4, noNAT))
	s.advertise("wlan", wlanPrefix)
	if u := s.last(); u.to.IsValid() || careOfIn(u) != careOfWLAN {
		t.Errorf("after the advertisement it registers %v", careOfIn(u))
	}
	n := len(s.sent)
	s.answer(mh.Accepted, saying(given4))
	s.lease("wlan", wlan4)
	if len(s.sent) != n {
		t.Error("a lease that is prolonged moves it")
	}
}

func TestThreeBindingUpdatesByIPv6WithoutAnAnswerAreFollowedByIPv4(t *testing.T) {
	s := begin(t, dual())
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix)
	s.lease("wlan", wlan4)
	s.until(14 * time.Second)
	var at []time.Duration
	var over []bool
	for _, u := range s.sent {
		at, over = append(at, u.at), append(over, u.to.IsValid())
	}
	if want := []time.Duration{0, 1500 * time.Millisecond, 4500 * time.Millisecond, 10500 * time.Millisecond, 12 * time.Second}; !slices.Equal(at, want) {
		t.Errorf("sent at %v, want %v", at, want)
	}
	if want := []bool{false, false, false, true, true}; !slices.Equal(over, want) {
		t.Errorf("by IPv4 %v, want %v", over, want)
	}
	s.answer(mh.Accepted, saying(given4, noNAT))
	s.wantTunnel(SetTunnel{Local: wlan4.Addr(), Remote: agent4, Home4: home4})

	// The next access is not tried by IPv6 first: RFC 5555, section 4.4.1.
	s.now = s.now.Add(5 * time.Second)
	s.carrier("wlan", false)
	s.carrier("wimax", true)
	s.lease("wimax", private4)
	s.advertise("wimax", wimaxPrefix)
	if u := s.last(); !u.to.IsValid() {
		t.Errorf("registers %v", careOfIn(u))
	}
}

func TestARefusedFlagForUDPIsLeftOut(t *testing.T) {
	cfg := dual()
	cfg.MobileNode.ForceUDP = true
	s := begin(t, cfg)
	s.visit4("wlan", wlan4)
	if s.last().Flags&mh.ForceUDP == 0 {
		t.Fatal("no F flag")
	}
	s.answer(mh.ForceUDPRefused, func(a *answer) {
		a.ba.Lifetime = 0
		a.ba.Options = slices.DeleteFunc(a.ba.Options, func(o mh.Option) bool { return o.Type() == mh.OptionReplayProtection })
	})
	if len(s.sent) != 2 || s.last().Flags&mh.ForceUDP != 0 {
		t.Fatalf("%d binding updates, the last with flags %v", len(s.sent), s.last().Flags)
	}
	if s.m.security.offset != 0 {
		t.Error("144 was taken for a wrong clock")
	}
	if e, _ := s.happened("binding-refused"); e.Fields["name"] != "force-udp-refused" {
		t.Errorf("event %+v", e)
	}
	s.answer(mh.Accepted, saying(given4, noNAT))
	s.wantTunnel(SetTunnel{Local: wlan4.Addr(), Remote: agent4, Home4: home4})
}

func TestWithTheFlagForUDPAWrongClockIsStillPutRight(t *testing.T) {
	cfg := dual()
	cfg.MobileNode.ForceUDP = true
	s := begin(t, cfg)
	s.visit4("wlan", wlan4)
	s.answer(mh.IDMismatch, func(a *answer) {
		for i, o := range a.ba.Options {
			if r, ok := o.(mh.ReplayProtection); ok {
				a.ba.Options[i] = mh.ReplayProtection{Timestamp: r.Timestamp + 3600<<32}
			}
		}
	})
	if s.m.security.offset != time.Hour || s.last().Flags&mh.ForceUDP == 0 {
		t.Errorf("offset %v, flags %v", s.m.security.offset, s.last().Flags)
	}
}

func TestARefusedIPv4HomeAddressLeavesTheIPv6One(t *testing.T) {
	for what, options := range map[string][]mh.Option{
		"refused": {mh.IPv4AddressAck{Status: mh.IPv4NoDynamic, Address: netip.IPv4Unspecified()}},
		"ignored": nil,
	} {
		s := begin(t, dual())
		s.visit("wlan", wlanPrefix)
		s.answer(mh.Accepted, saying(options...))
		s.wantTunnel(SetTunnel{Local: careOfWLAN, Remote: homeAgent})
		if _, told := s.happened("home-address-refused"); told != (what == "refused") {
			t.Errorf("%s: told %v", what, told)
		}
	}
}

func TestAHomeAddressOfEachFamilyIsAssigned(t *testing.T) {
	s := begin(t, homeless(dual()))
	s.visit4("wlan", private4)
	u := s.last()
	if !u.packet.Src.IsUnspecified() || u.packet.HomeAddress.IsValid() {
		t.Errorf("asks by %+v", u.packet)
	}
	if home, ok := mh.Find[mh.IPv4HomeAddress](u.Options); !ok || !home.Address.IsUnspecified() {
		t.Errorf("IPv4 home address %v, %v", home, ok)
	}
	s.answer(mh.Accepted, saying(given4, behindNAT))
	if s.m.home.address != homeAddress || s.m.dual.home != home4 {
		t.Errorf("home addresses %v and %v", s.m.home.address, s.m.dual.home)
	}
	s.wantTunnel(SetTunnel{Local: private4.Addr(), Remote: agent4, Home4: home4, UDP: true})
}

func TestAnAcknowledgementByTheWrongWayIsIgnored(t *testing.T) {
	for what, change := range map[string]func(*answer){
		"by IPv6":                 func(a *answer) { a.from = netip.AddrPort{} },
		"from another address":    func(a *answer) { a.from = netip.MustParseAddrPort("192.0.2.66:4191") },
		"from another port":       func(a *answer) { a.from = netip.AddrPortFrom(agent4, 4192) },
		"to another home address": func(a *answer) { a.packet.Dst = careOfWLAN },
		"with a routing header":   func(a *answer) { a.packet.RoutingHome, a.packet.SegmentsLeft = homeAddress, 1 },
	} {
		s := begin(t, dual())
		s.visit4("wlan", wlan4)
		s.answer(mh.Accepted, saying(given4, noNAT), change)
		if s.m.registration.bound {
			t.Errorf("%s: it was taken", what)
		}
	}
	s := begin(t, dual())
	s.visit("wlan", wlanPrefix)
	s.answer(mh.Accepted, func(a *answer) { a.from = agentPort })
	if s.m.registration.bound {
		t.Error("in UDP, though the binding update went by IPv6: it was taken")
	}
}

func TestALostLeaseEndsTheTunnelAndANewOneMovesIt(t *testing.T) {
	s := begin(t, dual())
	s.visit4("wlan", wlan4)
	s.answer(mh.Accepted, saying(given4, noNAT))
	for s.now.Sub(start) < leaseTime*7/8 { // until it asks any server
		s.until(s.m.Deadline().Sub(start))
		if bu := s.last(); bu.at == s.now.Sub(start) {
			s.answer(mh.Accepted, saying(given4, noNAT))
		}
	}
	all := s.lease("wlan", private4) // what it has is not prolonged there: it gets another
	if got := names(all); !slices.Contains(got, "ClearTunnel") || slices.Index(got, "ClearTunnel") > slices.Index(got, "LeaveAccess") {
		t.Errorf("outputs %v", got)
	}
	if e := s.mustHappen("address-lost"); e.Fields["reason"] != "refused" {
		t.Errorf("lost %v", e.Fields)
	}
	if careOfIn(s.last()) != private4.Addr() {
		t.Errorf("registers %v", careOfIn(s.last()))
	}
	s.answer(mh.Accepted, saying(given4, behindNAT))
	s.wantTunnel(SetTunnel{Local: private4.Addr(), Remote: agent4, Home4: home4, UDP: true})
}

func TestAtHomeTheIPv4HomeAddressIsOnTheLink(t *testing.T) {
	s := begin(t, dual())
	s.carrier("lte", true)
	s.lease("lte", netip.PrefixFrom(home4, 24)) // it may come before the advertisement
	if len(s.sent) != 0 {
		t.Fatal("registers its home address as care-of address")
	}
	s.advertise("lte", homePrefix)
	if u, ok := find[UseHome4](s.out); !ok || u != (UseHome4{Dev: "lte", Address: netip.PrefixFrom(home4, 24), Router: netip.MustParseAddr("198.51.100.1")}) {
		t.Errorf("at home %+v, %v", u, ok)
	}
	s.now = s.now.Add(5 * time.Second)
	s.visit4("wlan", wlan4)
	if s.m.dual.used != nil {
		t.Error("the IPv4 home address stays on the home link")
	}
	s.answer(mh.Accepted, saying(given4, noNAT))
	s.now = s.now.Add(5 * time.Second)
	s.visit("lte", homePrefix)
	s.answer(mh.Accepted, func(a *answer) { a.packet.RoutingHome, a.packet.SegmentsLeft = netip.Addr{}, 0 })
	s.lease("lte", netip.PrefixFrom(home4, 24)) // it may come after
	if _, ok := find[UseHome4](s.out); !ok {
		t.Errorf("at home again: %v", names(s.out))
	}
}

func TestWithoutAHomeAgentByIPv4ALeaseIsOfNoUse(t *testing.T) {
	s := begin(t, config())
	s.visit4("wlan", wlan4)
	if len(s.sent) != 0 || s.m.here != nil || s.asked4["wlan"] != nil {
		t.Errorf("%d binding updates; asks for a lease: %v", len(s.sent), s.asked4["wlan"] != nil)
	}
}

func TestOnAHomeLinkThatIsNotKnownYetTheIPv4HomeAddressIsACareOfAddressAtFirst(t *testing.T) {
	s := begin(t, homeless(dual()))
	s.carrier("lte", true)
	s.lease("lte", netip.PrefixFrom(home4, 24))
	if careOfIn(s.last()) != home4 || !s.last().packet.Src.IsUnspecified() {
		t.Fatalf("registers %v", careOfIn(s.last()))
	}
	s.answer(mh.Accepted, saying(given4, noNAT))
	if l, ok := find[LeaveAccess](s.out); !ok || l.Address.Addr() != home4 || s.m.here != nil {
		t.Errorf("left %v, %v: goes on with its home address as care-of address", l, ok)
	}
	s.now = s.now.Add(time.Second)
	s.advertise("lte", homePrefix)
	if u := s.last(); u.Lifetime != 0 || u.packet.Src != homeAddress {
		t.Fatalf("at home it sends %v from %v", u.Lifetime, u.packet.Src)
	}
	if u, ok := find[UseHome4](s.out); !ok || u.Address != netip.PrefixFrom(home4, 24) { // there is no tunnel to wait for
		t.Errorf("at home %+v, %v", u, ok)
	}
	s.answer(mh.Accepted, func(a *answer) { a.packet.RoutingHome, a.packet.SegmentsLeft = netip.Addr{}, 0 })
	s.visit("wlan", wlanPrefix)
	if !s.m.home.known() || s.m.dual.used != nil {
		t.Error("the IPv4 home address stays on the home link")
	}
}

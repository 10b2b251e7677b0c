package mn

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/wire/mh"
)

func TestACarrierGainedSolicitsRoutersAtOnceAndThreeTimesInAll(t *testing.T) {
	s := begin(t, config())
	var at []time.Duration
	s.carrier("wlan", true)
	for _, want := range []time.Duration{0, 4 * time.Second, 8 * time.Second} {
		s.until(want)
		if _, ok := find[SolicitRouter](s.out); ok {
			at = append(at, s.now.Sub(start))
		}
		s.out = nil
	}
	if len(at) != 3 {
		t.Errorf("solicited at %v, want 0s, 4s, 8s", at)
	}
	if d := s.m.Deadline(); !d.IsZero() {
		t.Errorf("more is due at %v", d.Sub(start))
	}
}

func TestAnAdvertisementEndsSolicitation(t *testing.T) {
	s := begin(t, config())
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix)
	s.until(30 * time.Second)
	for _, o := range s.out {
		if _, ok := o.(SolicitRouter); ok {
			t.Error("solicited after an advertisement")
		}
	}
}

func TestAnAdvertisementBringsAddressAndBindingUpdateInOneStep(t *testing.T) {
	for _, dad := range []string{"none", "optimistic"} {
		cfg := config()
		cfg.MobileNode.DAD = dad
		s := begin(t, cfg)
		s.carrier("wlan", true)
		out := s.advertise("wlan", wlanPrefix)
		want := []string{"router-found", "EnterAccess", "AdvertiseNeighbor", "address-configured", "attached", "key-made", "SendMobility", "binding-update-sent", "ExpectTunnel"}
		if got := names(out); !slices.Equal(got, want) {
			t.Errorf("dad %s: got %v, want %v", dad, got, want)
		}
		e, _ := find[EnterAccess](out)
		if e.Address != netip.PrefixFrom(careOfWLAN, 64) || e.Router != routerLL || e.LinkLayer != routerMAC || e.DAD.String() != dad {
			t.Errorf("dad %s: got %+v", dad, e)
		}
	}
}

func TestWithFullDADTheAddressWaitsForTheKernel(t *testing.T) {
	cfg := config()
	cfg.MobileNode.DAD = "full"
	s := begin(t, cfg)
	s.visit("wlan", wlanPrefix)
	if len(s.sent) > 0 {
		t.Fatal("binding update before the address was ready")
	}
	s.step(AddressChanged{Dev: "wlan", Address: careOfWLAN, State: Tentative})
	if len(s.sent) > 0 {
		t.Fatal("binding update from a tentative address")
	}
	s.step(AddressChanged{Dev: "wlan", Address: careOfWLAN, State: Ready})
	if len(s.sent) != 1 {
		t.Fatal("no binding update when the address was ready")
	}
}

func TestADuplicateAddressIsReplacedAFewTimes(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	seen := map[netip.Addr]bool{}
	for range 10 {
		a := s.m.access("wlan").address.prefix.Addr()
		if !a.IsValid() {
			break
		}
		if seen[a] {
			t.Errorf("%v was tried again", a)
		}
		seen[a] = true
		s.step(AddressChanged{Dev: "wlan", Address: a, State: Duplicate})
	}
	if len(seen) != maxIdentifiers || s.count("address-failed") != maxIdentifiers {
		t.Errorf("%d addresses tried, want %d", len(seen), maxIdentifiers)
	}
	s.advertise("wlan", wlanPrefix)
	if s.m.here != nil {
		t.Error("attached without an address")
	}
	// Attached anew, it may try again.
	s.carrier("wlan", false)
	s.visit("wlan", wlanPrefix)
	if s.m.here == nil {
		t.Error("not attached after coming back")
	}
}

func TestADuplicateOfTheRegisteredAddressRegistersAnother(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	out := s.step(AddressChanged{Dev: "wlan", Address: careOfWLAN, State: Duplicate})
	if len(s.sent) != 2 || s.sent[1].packet.Src == careOfWLAN {
		t.Errorf("got %v", names(out))
	}
	if s.m.tunnel.Local.IsValid() {
		t.Error("the tunnel still ends at the duplicate address")
	}
}

func TestARouterThatFallsSilentIsProbedThreeTimesAndGivenUp(t *testing.T) {
	s := begin(t, config())
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix, func(r *RouterAdvertised) { r.Interval = time.Second })
	s.answer(0)
	var probes []time.Duration
	for {
		next := s.m.Deadline()
		s.until(next.Sub(start))
		if n, ok := find[SolicitNeighbor](s.out); ok {
			if n.Destination != routerLL || n.Target != routerLL {
				t.Errorf("probe: %+v", n)
			}
			probes = append(probes, s.now.Sub(start))
		}
		if s.count("router-lost") > 0 {
			break
		}
	}
	want := []time.Duration{1250 * time.Millisecond, 2250 * time.Millisecond, 3250 * time.Millisecond}
	if !slices.Equal(probes, want) {
		t.Errorf("probed at %v, want %v", probes, want)
	}
	if at := s.now.Sub(start); at != 4250*time.Millisecond {
		t.Errorf("given up at %v, want 4.25s", at)
	}
	if _, ok := find[SolicitRouter](s.out); !ok {
		t.Error("did not look for another router")
	}
	if s.m.tunnel.Local.IsValid() || s.m.here != nil {
		t.Error("still attached by a router that is gone")
	}
}

func TestARouterThatAnswersAProbeIsKept(t *testing.T) {
	s := begin(t, config())
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix, func(r *RouterAdvertised) { r.Interval = time.Second })
	for range 5 {
		s.until(s.m.access("wlan").routers[0].checkAt.Sub(start))
		s.step(NeighborAdvertised{Dev: "wlan", Target: routerLL, Solicited: true})
		if p := s.m.access("wlan").routers[0].probes; p != 0 {
			t.Fatalf("%d probes still count", p)
		}
	}
	if s.count("router-lost") > 0 {
		t.Error("a router that answers was given up")
	}
	s.until(s.m.access("wlan").routers[0].checkAt.Sub(start))
	s.step(NeighborAdvertised{Dev: "wlan", Target: routerLL})
	if s.m.access("wlan").routers[0].probes != 1 {
		t.Error("an unsolicited advertisement counted as an answer")
	}
}

func TestARoutersLifetimeEnds(t *testing.T) {
	s := begin(t, config())
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix, func(r *RouterAdvertised) { r.Lifetime = 10 * time.Second })
	s.answer(0)
	s.until(9 * time.Second)
	if s.count("router-lost") > 0 {
		t.Error("lost too early")
	}
	s.until(10 * time.Second)
	if s.count("router-lost") != 1 {
		t.Error("not lost at the end of its lifetime")
	}
}

func TestARouterMayResign(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.advertise("wlan", wlanPrefix, func(r *RouterAdvertised) { r.Lifetime = 0 })
	if s.count("router-lost") != 1 || s.m.here != nil {
		t.Error("a router with lifetime 0 is still used")
	}
}

func TestAnotherRouterWithOtherPrefixesProbesTheOldOneWhichStaysWhileItAnswers(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	other := netip.MustParseAddr("fe80::2")
	out := s.advertise("wlan", wimaxPrefix, func(r *RouterAdvertised) { r.Router = other })
	if n, ok := find[SolicitNeighbor](out); !ok || n.Destination != routerLL {
		t.Errorf("got %v, want the old router to be probed", names(out))
	}
	if len(s.sent) != 1 {
		t.Error("moved although the old router may still be there")
	}
	s.until(3 * time.Second) // no answer
	if last := s.last(); last.packet.Src != netip.MustParseAddr("2001:db8:300::ff:fe00:2") {
		t.Errorf("last binding update from %v, want the other router's prefix", last.packet.Src)
	}
}

func TestASecondRouterOfTheSamePrefixTakesOverWithoutABindingUpdate(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	other := netip.MustParseAddr("fe80::2")
	s.advertise("wlan", wlanPrefix, func(r *RouterAdvertised) { r.Router = other })
	out := s.advertise("wlan", wlanPrefix, func(r *RouterAdvertised) { r.Lifetime = 0 })
	e, ok := find[EnterAccess](out)
	if !ok || e.Router != other {
		t.Errorf("got %v", names(out))
	}
	if len(s.sent) != 1 || s.m.tunnel.Local != careOfWLAN {
		t.Error("the address has not changed, but the binding was touched")
	}
}

func TestADeprecatedAddressIsReplacedAndKeptUntilTheNewOneIsBound(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	out := s.advertise("wlan", wimaxPrefix, func(r *RouterAdvertised) {
		old := Prefix{Prefix: netip.PrefixFrom(join(wlanPrefix, 0), 64), OnLink: true, Autonomous: true, Valid: 24 * time.Hour}
		r.Prefixes = append(r.Prefixes, old)
	})
	if _, ok := find[LeaveAccess](out); ok {
		t.Errorf("the old address went before the new one was bound: %v", names(out))
	}
	if s.m.former.Local != careOfWLAN || s.m.tunnel.Local == careOfWLAN || len(s.sent) != 2 {
		t.Fatalf("got %v", names(out))
	}
	out = s.answer(0)
	if l, ok := find[LeaveAccess](out); !ok || l.Address.Addr() != careOfWLAN {
		t.Errorf("the old address is still there: %v", names(out))
	}
}

func TestAPrefixCannotBeWithdrawnInLessThanTwoHours(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.advertise("wlan", wlanPrefix, func(r *RouterAdvertised) { r.Prefixes[0].Valid, r.Prefixes[0].Preferred = 0, 0 })
	p := s.m.access("wlan").routers[0].prefixes[0]
	if got := p.valid.Sub(start); got != twoHours {
		t.Errorf("valid for another %v, want 2h: RFC 4862, section 5.5.3", got)
	}
	if s.m.here == nil {
		t.Error("a deprecated address is better than none")
	}
}

func TestAPrefixEndsWithItsValidLifetime(t *testing.T) {
	s := begin(t, config())
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix, func(r *RouterAdvertised) {
		r.Prefixes[0].Valid, r.Prefixes[0].Preferred = 100*time.Second, 50*time.Second
	})
	s.answer(0)
	s.until(99 * time.Second)
	if s.m.here == nil {
		t.Fatal("gone too early")
	}
	if l := s.last().Lifetime; l > 56*time.Second {
		t.Errorf("asked for %v at the refresh, which is more than the address has left", l)
	}
	s.until(101 * time.Second)
	if s.m.here != nil || s.m.tunnel.Local.IsValid() {
		t.Error("an address outlives its prefix")
	}
}

func TestOfSeveralAccessesTheNewestGoesFirst(t *testing.T) {
	s := begin(t, config())
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix)
	s.answer(0)
	s.now = s.now.Add(time.Second)
	s.carrier("wimax", true)
	if s.m.here.dev != "wlan" {
		t.Error("left a working access for one without a router")
	}
	s.advertise("wimax", wimaxPrefix)
	if s.m.here.dev != "wimax" {
		t.Error("the newest access is not used")
	}
	s.answer(0)
	s.now = s.now.Add(time.Second)
	s.carrier("lte", true)
	s.advertise("lte", homePrefix)
	s.answer(0)
	s.carrier("wlan", false)
	s.now = s.now.Add(time.Second)
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix)
	if s.m.here.dev != "wlan" || s.last().packet.Src != careOfWLAN {
		t.Error("did not leave the home link, which is still there, for a newer one")
	}
	s.answer(0)
	s.now = s.now.Add(time.Second)
	s.carrier("wlan", false)
	if s.m.here.dev != "lte" {
		t.Errorf("went from wlan to %s: want lte, which is newer than wimax", s.m.here.dev)
	}
	s.answer(0)
	s.now = s.now.Add(time.Second)
	out := s.take(s.m.Step(s.now, CarrierChanged{Dev: "lte"}))
	if s.m.here.dev != "wimax" {
		t.Errorf("did not go to the standby access: %v", names(out))
	}
	if got := names(out); slices.Index(got, "SendMobility") > slices.Index(got, "LeaveHome") {
		t.Errorf("%v: the binding update waits for cleaning up", got)
	}
}

// bindBeforeBreak is bound on WLAN and has told the home agent of WiMAX.
func bindBeforeBreak(t *testing.T, cfg *control.Config) *story {
	t.Helper()
	s := begin(t, cfg)
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix)
	if authOf(s.last()).Subtype == mh.MNAAA {
		s.bootstrap()
	} else {
		s.answer(0)
	}
	s.now = s.now.Add(time.Second)
	s.carrier("wimax", true)
	s.advertise("wimax", wimaxPrefix)
	return s
}

func TestTheTunnelFollowsTheBindingUpdateWhereOneIsBound(t *testing.T) {
	for what, cfg := range map[string]*control.Config{"a key from the beginning": config(), "a key by the AAA server": bootstrapped()} {
		s := bindBeforeBreak(t, cfg)
		out := s.out
		if set, ok := find[SetTunnel](out); !ok || set != (SetTunnel{Local: careOfWiMAX, Remote: homeAgent}) ||
			slices.Index(names(out), "SetTunnel") < slices.Index(names(out), "SendMobility") {
			t.Fatalf("%s: got %v, want the tunnel from %v behind the binding update", what, names(out), careOfWiMAX)
		}
		if a := s.m.access("wlan").address; !a.usable {
			t.Errorf("%s: the old care-of address is gone though its link is there", what)
		}
		if _, again := find[SetTunnel](s.answer(0)); again || s.m.former.Local.IsValid() {
			t.Errorf("%s: with the acknowledgement: %v, and %+v is kept", what, names(s.out), s.m.former)
		}
	}
}

func TestTheTunnelGoesBackWhereTheBindingDoesNotMove(t *testing.T) {
	s := bindBeforeBreak(t, config())
	s.until(2500 * time.Millisecond) // no answer
	set, ok := find[SetTunnel](s.out)
	if expect, too := find[ExpectTunnel](s.out); !ok || set.Local != careOfWLAN || !too || expect.Local != careOfWiMAX {
		t.Errorf("without an answer: %v", names(s.out))
	}
	if set, ok := find[SetTunnel](s.answer(0)); !ok || set.Local != careOfWiMAX {
		t.Errorf("with the answer to the second: %v", names(s.out))
	}

	s = bindBeforeBreak(t, config())
	if set, ok := find[SetTunnel](s.answer(mh.InsufficientResources)); !ok || set.Local != careOfWLAN {
		t.Errorf("refused: %v", names(s.out))
	}

	s = bindBeforeBreak(t, config())
	s.carrier("wlan", false)
	s.until(2500 * time.Millisecond)
	if _, ok := find[SetTunnel](s.out); ok || s.m.tunnel.Local != careOfWiMAX {
		t.Errorf("where the old link is gone: %v, tunnel %+v", names(s.out), s.m.tunnel)
	}
}

func TestTheTunnelWaitsWhereTheAAAServerIsToBeAsked(t *testing.T) {
	cfg := bootstrapped()
	s := begin(t, cfg)
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix)
	s.bootstrap()
	s.m.security.ending = true // its key ends soon: it asks for another
	s.now = s.now.Add(time.Second)
	s.carrier("wimax", true)
	s.advertise("wimax", wimaxPrefix)
	if _, ok := find[SetTunnel](s.out); ok || s.m.expected != careOfWiMAX {
		t.Errorf("got %v", names(s.out))
	}
}

func TestTunnelledPacketsAreExpectedFromTheBindingUpdateOn(t *testing.T) {
	s := begin(t, config())
	s.carrier("wlan", true)
	out := s.advertise("wlan", wlanPrefix)
	if e, ok := find[ExpectTunnel](out); !ok || e != (ExpectTunnel{Local: careOfWLAN, Remote: homeAgent}) ||
		slices.Index(names(out), "SendMobility") > slices.Index(names(out), "ExpectTunnel") {
		t.Fatalf("got %v, want a tunnel from %v expected behind the binding update", names(out), careOfWLAN)
	}
	s.until(20 * time.Second)
	if _, again := find[ExpectTunnel](s.out); again || len(s.sent) < 2 {
		t.Errorf("%d binding updates, the last with %v: want no more than the first to expect anything", len(s.sent), names(s.out))
	}
	if _, forsaken := find[ForsakeTunnel](s.answer(0)); forsaken || s.m.expected.IsValid() {
		t.Errorf("with the tunnel: %v, and %v is expected", names(s.out), s.m.expected)
	}

	s.carrier("wlan", false) // with it the tunnel goes
	s.carrier("wimax", true)
	s.advertise("wimax", wimaxPrefix)
	if _, forsaken := find[ForsakeTunnel](s.out); forsaken || s.m.expected != careOfWiMAX {
		t.Errorf("on the next link: %v, and %v is expected; want %v", names(s.out), s.m.expected, careOfWiMAX)
	}
	s.carrier("wimax", false)
	if got := names(s.out); !slices.Contains(got, "ForsakeTunnel") || slices.Index(got, "ForsakeTunnel") > slices.Index(got, "LeaveAccess") {
		t.Errorf("as the new link goes: %v, want the tunnel forsaken before the address", got)
	}

	s.now = s.now.Add(time.Second)
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix)
	s.carrier("lte", true)
	if _, ok := find[ExpectTunnel](s.advertise("lte", homePrefix)); ok {
		t.Error("expects a tunnel to the home address")
	}
	if _, ok := find[ForsakeTunnel](s.answer(0)); !ok {
		t.Errorf("at home: %v, want what was expected forsaken", names(s.out))
	}
}

func TestALostCarrierIsActedOnAtOnce(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	out := s.step(CarrierChanged{Dev: "wlan"})
	want := []string{"carrier-lost", "ClearTunnel", "LeaveAccess"}
	if got := names(out); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestACarrierThatFlapsNeedsNoBindingUpdate(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.carrier("wlan", false)
	s.until(time.Second)
	s.carrier("wlan", true)
	out := s.advertise("wlan", wlanPrefix)
	if len(s.sent) != 1 || s.m.tunnel.Local != careOfWLAN {
		t.Errorf("got %v, want the tunnel back", names(out))
	}
	s.until(45 * time.Second)
	if len(s.sent) != 2 {
		t.Error("the binding is not refreshed any more")
	}
}

func TestAdvertisementsThatCannotBeTrueAreIgnored(t *testing.T) {
	s := begin(t, config())
	s.advertise("wlan", wlanPrefix) // no carrier
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix, func(r *RouterAdvertised) { r.Router = careOfWiMAX })
	s.advertise("wlan", wlanPrefix, func(r *RouterAdvertised) { r.Router = netip.Addr{} })
	s.advertise("nosuch", wlanPrefix)
	if len(s.m.access("wlan").routers) > 0 {
		t.Error("believed one")
	}
	if s.count("message-ignored") != 3 {
		t.Errorf("%d were said to be ignored, want 3", s.count("message-ignored"))
	}
}

func TestRoutersPrefixesAndEventsAreBounded(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	for i := range 100 {
		s.advertise("wlan", wlanPrefix, func(r *RouterAdvertised) {
			if i%2 == 0 {
				r.Router = join(netip.MustParsePrefix("fe80::/64"), uint64(1000+i))
			}
			for j := range 100 {
				p := r.Prefixes[0]
				p.Prefix = netip.PrefixFrom(join(netip.MustParsePrefix("2001:db8:dead::/64"), uint64(j)<<16), 112)
				r.Prefixes = append(r.Prefixes, p)
			}
		})
	}
	a := s.m.access("wlan")
	if len(a.routers) > maxRouters {
		t.Errorf("%d routers", len(a.routers))
	}
	for _, r := range a.routers {
		if len(r.prefixes) > maxPrefixes {
			t.Errorf("%d prefixes", len(r.prefixes))
		}
	}
	if a.router.address != routerLL || len(s.sent) != 1 {
		t.Error("a flood of routers moved us")
	}
	before := len(s.events)
	for range 1000 {
		s.step(Received{Dev: "wlan", Octets: []byte("rubbish")})
	}
	if n := len(s.events) - before; n > ignoredAtMost {
		t.Errorf("%d events of 1000 useless packets", n)
	}
	s.now = s.now.Add(2 * time.Second)
	s.step(Received{Dev: "wlan", Octets: []byte("rubbish")})
	if e := s.mustHappen("events-suppressed"); e.Fields["count"].(int) < 900 {
		t.Errorf("got %v", e)
	}
}

func TestRoutersAreToldOfANewAddressWithoutOverridingAnyone(t *testing.T) {
	for _, dad := range []string{"none", "optimistic", "full"} {
		cfg := config()
		cfg.MobileNode.DAD = dad
		s := begin(t, cfg)
		s.visit("wlan", wlanPrefix)
		n, ok := find[AdvertiseNeighbor](s.out)
		if dad == "full" {
			if ok {
				t.Error("an address was advertised while it was tentative")
			}
			n, ok = find[AdvertiseNeighbor](s.step(AddressChanged{Dev: "wlan", Address: careOfWLAN, State: Ready}))
		}
		if !ok || n.Target != careOfWLAN || n.Override || n.Destination != netip.IPv6LinkLocalAllRouters() {
			t.Errorf("dad %s: got %+v: RFC 9131, section 6.1.2", dad, n)
		}
	}
}

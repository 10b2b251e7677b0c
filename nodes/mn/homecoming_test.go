package mn

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/wire/mh"
)

func TestAttachingAtHomeFirstNeedsNoBinding(t *testing.T) {
	s := begin(t, config())
	s.carrier("lte", true)
	out := s.advertise("lte", homePrefix)
	want := []string{"router-found", "attached", "EnterHome", "address-configured", "AdvertiseNeighbor", "UseHome"}
	if got := names(out); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if e, _ := find[EnterHome](out); e.DAD != OptimisticDAD || e.Address != netip.PrefixFrom(homeAddress, 64) {
		t.Errorf("got %+v", e)
	}
	if f, ok := find[Event](out); !ok || f.Fields["home"] != true {
		t.Errorf("router-found: %v", f)
	}
	s.until(time.Hour / 2)
	if len(s.sent) > 0 {
		t.Error("a binding update from home")
	}
}

func TestReturningHomeDeletesTheBinding(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.carrier("wlan", false)
	s.carrier("lte", true)
	out := s.advertise("lte", homePrefix)
	want := []string{"router-found", "attached", "EnterHome", "address-configured", "SendMobility", "binding-update-sent", "AdvertiseNeighbor", "UseHome"}
	if got := names(out); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	e, _ := find[EnterHome](out)
	if e.DAD != NoDAD {
		t.Error("duplicate address detection while the home agent defends the home address: RFC 6275, section 11.5.5")
	}
	if e.Neighbor != routerMAC {
		t.Errorf("home agent's link-layer address %v: the advertisement told it", e.Neighbor)
	}
	u := s.last()
	if u.Lifetime != 0 || u.packet.Src != homeAddress || u.packet.HomeAddress.IsValid() || u.Flags != mh.AckRequested|mh.HomeRegistration {
		t.Errorf("got %+v from %v", u.BindingUpdate, u.packet.Src)
	}
	out = s.answer(0)
	if n, ok := find[AdvertiseNeighbor](out); !ok || n.Target != homeAddress || !n.Override || n.Destination != netip.IPv6LinkLocalAllNodes() {
		t.Errorf("got %v, want a neighbor advertisement for the home address", names(out))
	}
	s.mustHappen("returned-home")
	var more int
	for range 5 {
		s.out = nil
		s.until(s.now.Add(time.Second).Sub(start))
		if _, ok := find[AdvertiseNeighbor](s.out); ok {
			more++
		}
	}
	if more != 2 {
		t.Errorf("repeated %d times, want 2", more)
	}
	if len(s.sent) != 2 {
		t.Errorf("%d binding updates", len(s.sent))
	}
}

func TestReturningHomeWithTheOldAccessThereKeepsTheTunnelUntilTheAcknowledgement(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.carrier("lte", true)
	out := s.advertise("lte", homePrefix)
	if _, ok := find[UseHome](out); ok || s.m.tunnel.Local != careOfWLAN {
		t.Errorf("the tunnel was left before the answer: %v", names(out))
	}
	out = s.answer(0)
	got := names(out)
	if slices.Index(got, "UseHome") < 0 || slices.Index(got, "ClearTunnel") < slices.Index(got, "UseHome") {
		t.Errorf("got %v, want the way home before the tunnel ends", got)
	}
}

func TestLosingTheOldAccessWhileReturningSendsThroughHome(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.carrier("lte", true)
	s.advertise("lte", homePrefix)
	out := s.step(CarrierChanged{Dev: "wlan"})
	if _, ok := find[UseHome](out); !ok {
		t.Errorf("got %v", names(out))
	}
}

func TestAHomeAgentThatTheRouterDoesNotTellOfIsAskedForByItsDefence(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.carrier("wlan", false)
	s.carrier("lte", true)
	out := s.advertise("lte", homePrefix, func(r *RouterAdvertised) { r.Prefixes[0].Router = false })
	n, ok := find[SolicitNeighbor](out)
	if !ok || !n.Source.IsUnspecified() || n.Target != homeAddress || n.Destination != netip.MustParseAddr("ff02::1:ff00:10") {
		t.Fatalf("got %+v: RFC 6275, section 11.5.5", n)
	}
	if _, ok := find[EnterHome](out); ok {
		t.Error("the home address is on the link while it is asked for")
	}
	out = s.step(NeighborAdvertised{Dev: "lte", Target: homeAddress, LinkLayer: [6]byte{2, 9, 9, 9, 9, 9}})
	if e, ok := find[EnterHome](out); !ok || e.Neighbor != [6]byte{2, 9, 9, 9, 9, 9} {
		t.Errorf("got %v", names(out))
	}
	if len(s.sent) != 2 || s.last().Lifetime != 0 {
		t.Error("no de-registration after the answer")
	}
}

func TestAHomeAgentThatDoesNotAnswerTheQuestionIsToldAnyway(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.carrier("wlan", false)
	s.carrier("lte", true)
	s.advertise("lte", homePrefix, func(r *RouterAdvertised) { r.Prefixes[0].Router = false })
	s.until(2999 * time.Millisecond)
	if len(s.sent) != 1 {
		t.Error("told too early")
	}
	s.until(3 * time.Second)
	if len(s.sent) != 2 {
		t.Error("not told")
	}
}

func TestABindingThatMayHaveBeenMadeIsDeletedToo(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix) // no answer
	s.visit("lte", homePrefix)
	if u := s.last(); u.Lifetime != 0 || u.packet.Src != homeAddress {
		t.Errorf("got %+v from %v", u.BindingUpdate, u.packet.Src)
	}
}

func TestAHomeAgentThatHoldsNoBindingIsAsGoodAsOneThatDeletedIt(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.visit("lte", homePrefix)
	s.answer(mh.NotHomeAgent)
	s.mustHappen("returned-home")
	s.until(100 * time.Second)
	if len(s.sent) != 2 {
		t.Error("went on telling it")
	}
}

func TestASilentHomeAgentIsToldUntilTheBindingHasEnded(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.visit("lte", homePrefix)
	s.until(59 * time.Second)
	if _, ok := s.happened("returned-home"); ok {
		t.Error("returned before the home agent let go")
	}
	if n := len(s.sent); n != 7 { // 0 s, then 0, 1, 3, 7, 15, 31 s
		t.Errorf("%d binding updates, want 7", n)
	}
	s.until(61 * time.Second)
	s.mustHappen("returned-home")
	n := len(s.sent)
	s.until(200 * time.Second)
	if len(s.sent) != n {
		t.Error("went on telling it")
	}
}

func TestLeavingHomeWhileTheDeletionIsOutRegistersWithTheNextSequenceNumber(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.visit("lte", homePrefix)
	deletion := s.last()
	s.until(time.Second / 2)
	s.visit("wimax", wimaxPrefix)
	u := s.last()
	if u.Seq != deletion.Seq+1 || u.Lifetime == 0 || u.packet.Src != careOfWiMAX {
		t.Errorf("got %+v", u.BindingUpdate)
	}
	s.answerTo(deletion, 0) // too late
	if s.count("returned-home") > 0 {
		t.Error("took a late answer for the present one")
	}
	s.answer(0)
	if s.m.tunnel.Local != careOfWiMAX {
		t.Error("no tunnel")
	}
}

func TestSomebodyElseWithTheHomeAddressIsFirstTakenForTheHomeAgent(t *testing.T) {
	s := begin(t, config())
	s.visit("lte", homePrefix) // this node was restarted and knows of no binding
	out := s.step(AddressChanged{Dev: "lte", Address: homeAddress, State: Duplicate})
	if len(s.sent) != 1 || s.last().Lifetime != 0 {
		t.Fatalf("got %v, want a de-registration", names(out))
	}
	s.answer(0)
	s.mustHappen("returned-home")
}

func TestAnotherHomeRouterTakesOver(t *testing.T) {
	s := begin(t, config())
	s.visit("lte", homePrefix)
	other := netip.MustParseAddr("fe80::2")
	s.advertise("lte", homePrefix, func(r *RouterAdvertised) { r.Router = other })
	out := s.advertise("lte", homePrefix, func(r *RouterAdvertised) { r.Lifetime = 0 })
	if u, ok := find[UseHome](out); !ok || u.Router != other {
		t.Errorf("got %v", names(out))
	}
}

func TestAHomeAddressOfTheLinkLocalIdentifierSetsTheLFlagAndIsAdvertisedWithIt(t *testing.T) {
	cfg := config()
	cfg.MobileNode.HomeAddress = netip.MustParseAddr("2001:db8:100::ff:fe00:1")
	s := begin(t, cfg)
	s.visit("wlan", wlanPrefix)
	if s.last().Flags&mh.LinkLocal == 0 {
		t.Error("no L flag: RFC 6275, section 11.7.1")
	}
}

func TestAHomeLinkThatIsStillThereIsSentThroughUntilTheBindingIs(t *testing.T) {
	s := begin(t, config())
	s.carrier("lte", true)
	s.advertise("lte", homePrefix)
	s.until(time.Second)
	s.carrier("wlan", true)
	out := s.advertise("wlan", wlanPrefix)
	if n := names(out); slices.Contains(n, "QuitHome") || !slices.Contains(n, "LeaveHome") {
		t.Errorf("got %v, want the address off the home link, which the home agent will defend, and packets still sent through it", n)
	}
	out = s.answer(0)
	if n := names(out); slices.Index(n, "QuitHome") < slices.Index(n, "SetTunnel") || !slices.Contains(n, "SetTunnel") {
		t.Errorf("got %v, want the tunnel before the way home ends", n)
	}
}

func TestALostHomeLinkIsNotSentThrough(t *testing.T) {
	s := begin(t, config())
	s.carrier("lte", true)
	s.advertise("lte", homePrefix)
	s.until(time.Second)
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix)
	if n := names(s.step(CarrierChanged{Dev: "lte"})); !slices.Contains(n, "QuitHome") {
		t.Errorf("got %v", n)
	}
	s.carrier("lte", true)
	out := s.advertise("lte", homePrefix)
	if n := names(out); slices.Contains(n, "QuitHome") {
		t.Errorf("left twice: %v", n)
	}
}

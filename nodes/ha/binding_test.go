package ha

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/mh"
)

func TestARegistrationTunnelsAcknowledgesAndTellsTheHomeLinkInThatOrder(t *testing.T) {
	s := tell(t, configuration())
	update := s.of(7)
	s.send(update)
	var order []string
	for _, o := range s.out {
		order = append(order, reflect.TypeOf(o).String())
	}
	want := []string{"ha.SetTunnel", "*ha.SendMobility", "ha.SetProxy", "ha.AdvertiseNeighbor", "ha.Event", "ha.Event"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Fatal(diff)
	}
	if got := outputs[SetTunnel](s)[0]; got != (SetTunnel{Home: homeA, CareOf: careOfWLAN}) {
		t.Errorf("tunnel %v", got)
	}
	if got := outputs[SetProxy](s)[0]; got != (SetProxy{Dev: "home", Address: homeA}) {
		t.Errorf("proxy %v", got)
	}
	if got := outputs[AdvertiseNeighbor](s)[0]; got != (AdvertiseNeighbor{Dev: "home", Source: homeAgent, Target: homeA}) {
		t.Errorf("advertisement %v", got)
	}
	ba, r := s.acknowledged()
	if ba.Status != mh.Accepted || ba.Seq != 7 || ba.Lifetime != 60*time.Second || ba.Flags != 0 {
		t.Errorf("acknowledgement %+v", ba)
	}
	if r.packet.Src != homeAgent || r.packet.Dst != careOfWLAN || r.packet.RoutingHome != homeA || r.packet.SegmentsLeft != 1 || r.dev != "" {
		t.Errorf("packet %+v", r.packet)
	}
	wantOptions := []mh.Option{mh.MNIdentifier{Subtype: mh.NAI, Identifier: naiA}, mh.ReplayProtection{Timestamp: update.timestamp}}
	if diff := cmp.Diff(wantOptions, ba.Options[:2]); diff != "" {
		t.Error(diff)
	}
	if err := association.Verify(r.packet.Payload, update.mnha, careOfWLAN, homeA); err != nil {
		t.Error(err)
	}
	wantEvent := map[string]any{"nai": naiA, "home-address": homeA.String(), "care-of": careOfWLAN.String(),
		"seq": uint16(7), "lifetime": 60.0, "spi": uint32(spiA), "new": true}
	if diff := cmp.Diff(wantEvent, s.events("binding-accepted")[0]); diff != "" {
		t.Error(diff)
	}
}

func TestTheLifetimeGrantedIsTheLeastOfAskedMaximumAndKey(t *testing.T) {
	for name, c := range map[string]struct{ asked, maximum, key, want time.Duration }{
		"asked":                   {asked: 60 * time.Second, maximum: 600 * time.Second, want: 60 * time.Second},
		"maximum":                 {asked: 900 * time.Second, maximum: 600 * time.Second, want: 600 * time.Second},
		"maximum, in units":       {asked: 900 * time.Second, maximum: 603 * time.Second, want: 600 * time.Second},
		"maximum, at least one":   {asked: 900 * time.Second, maximum: time.Second, want: 4 * time.Second},
		"key":                     {asked: 900 * time.Second, maximum: 900 * time.Second, key: 101 * time.Second, want: 100 * time.Second},
		"key that is nearly gone": {asked: 900 * time.Second, maximum: 900 * time.Second, key: time.Second, want: 4 * time.Second},
		"the longest there is":    {asked: 262140 * time.Second, maximum: 300000 * time.Second, want: 262140 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, with(func(h *control.HomeAgent) { h.MaxLifetime = c.maximum; fromAAA(h) }))
			a := s.asking(1)
			a.lifetime = c.asked
			s.send(a)
			ask := s.asked()
			given := session(ask, 300)
			given.Lifetime = 100 * time.Hour
			if c.key > 0 {
				given.Lifetime = c.key
			}
			s.step(&AAAAnswered{ID: ask.ID, Result: 2001, HomeAddress: homeA, Session: given})
			if ba := s.wantStatus(mh.Accepted); ba.Lifetime != c.want {
				t.Errorf("granted %v, want %v", ba.Lifetime, c.want)
			}
		})
	}
}

func TestABindingEndsWithItsLifetimeAndIsForgotten(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1))
	s.pass(60*time.Second - 1)
	s.wantBound(homeA, careOfWLAN)
	s.pass(1)
	if s.entry(homeA) != nil {
		t.Error("the binding is still there")
	}
	if got := outputs[ClearTunnel](s); len(got) != 1 || got[0].Home != homeA {
		t.Errorf("tunnels cleared: %v", got)
	}
	if got := outputs[ClearProxy](s); len(got) != 1 || got[0] != (ClearProxy{Dev: "home", Address: homeA}) {
		t.Errorf("proxies cleared: %v", got)
	}
	if got := s.events("binding-expired"); len(got) != 1 || got[0]["home-address"] != homeA.String() {
		t.Errorf("events %v", got)
	}
	if s.m.Deadline() != (time.Time{}) {
		t.Errorf("something is due at %v", s.m.Deadline())
	}
}

func TestARefreshPutsTheEndOffAndSaysNothingElse(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1))
	s.pass(50 * time.Second)
	s.send(s.of(2))
	s.wantStatus(mh.Accepted)
	if len(s.out) != 2 || s.events("binding-accepted")[0]["new"] != false {
		t.Error(s.words())
	}
	s.pass(59 * time.Second)
	s.wantBound(homeA, careOfWLAN)
	s.pass(time.Second)
	if s.entry(homeA) != nil {
		t.Error("the binding is still there")
	}
}

func TestARefreshMayShortenTheLifetime(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1))
	s.pass(time.Second)
	a := s.of(2)
	a.lifetime = 8 * time.Second
	s.send(a)
	s.pass(8 * time.Second)
	if s.entry(homeA) != nil {
		t.Error("the binding is still there")
	}
}

func TestAMoveChangesTheTunnelAndNothingOnTheHomeLink(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1))
	s.pass(10 * time.Second)
	a := s.of(2)
	a.src, a.alternate = careOfLTE, careOfLTE
	s.send(a)
	s.wantStatus(mh.Accepted)
	if got := outputs[SetTunnel](s); len(got) != 1 || got[0].CareOf != careOfLTE {
		t.Errorf("tunnels %v", got)
	}
	if len(outputs[SetProxy](s))+len(outputs[AdvertiseNeighbor](s)) > 0 {
		t.Error(s.words())
	}
	s.wantBound(homeA, careOfLTE)
}

func TestTheAnswerGoesWhereTheUpdateCameFromNotToTheNewCareOfAddress(t *testing.T) {
	s := tell(t, configuration())
	a := s.of(1)
	a.alternate = careOfLTE // RFC 6275, section 9.5.4
	s.send(a)
	_, r := s.acknowledged()
	if r.packet.Dst != careOfWLAN || r.packet.RoutingHome != homeA {
		t.Errorf("packet %+v", r.packet)
	}
	s.wantBound(homeA, careOfLTE)
	if err := association.Verify(r.packet.Payload, a.mnha, careOfLTE, homeA); err != nil {
		t.Error(err)
	}
}

func TestAnUpdateWithoutTheAcknowledgeFlagIsAcknowledgedToo(t *testing.T) {
	s := tell(t, configuration())
	a := s.of(1)
	a.flags = mh.HomeRegistration
	s.send(a)
	s.wantStatus(mh.Accepted)
}

func TestTheHomeLinkIsToldThreeTimesASecondApartAndNotAfterHomecoming(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1))
	var at []time.Duration
	for range 5 {
		if s.pass(time.Second); len(outputs[AdvertiseNeighbor](s)) > 0 {
			at = append(at, s.now.Sub(start))
		}
	}
	if diff := cmp.Diff([]time.Duration{time.Second, 2 * time.Second}, at); diff != "" {
		t.Error(diff)
	}

	s = tell(t, configuration())
	s.send(s.of(1))
	s.pass(time.Second / 2)
	s.send(s.homecoming(2))
	if s.pass(5 * time.Second); len(outputs[AdvertiseNeighbor](s)) > 0 {
		t.Error("advertised after the mobile node was home")
	}
}

func TestALinkLocalAddressIsDefendedTooWhereTheUpdateSaysL(t *testing.T) {
	local := netip.MustParseAddr("fe80::10")
	s := tell(t, configuration())
	a := s.of(1)
	a.flags |= mh.LinkLocal
	s.send(a)
	want := []SetProxy{{"home", homeA}, {"home", local}}
	if diff := cmp.Diff(want, outputs[SetProxy](s), cmp.Comparer(func(a, b SetProxy) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if got := outputs[AdvertiseNeighbor](s); len(got) != 2 || got[1].Target != local {
		t.Errorf("advertised %v", got)
	}
	s.now = s.now.Add(time.Second / 2)
	s.send(s.homecoming(2))
	if got := outputs[ClearProxy](s); len(got) != 2 || got[1].Address != local {
		t.Errorf("cleared %v", got)
	}
}

func TestSequenceNumbersMustGrowModulo65536AndTheLastAcceptedIsTold(t *testing.T) {
	for _, c := range []struct {
		last, next uint16
		accepted   bool
	}{
		{15, 16, true}, {15, 32782, true}, // RFC 6275, section 9.5.1, by its example
		{15, 15, false}, {15, 0, false}, {15, 32783, false}, {15, 65535, false},
		{65535, 0, true}, {65535, 32766, true}, {65535, 32767, false},
	} {
		s := tell(t, with(sequenceNumbers))
		a := s.of(c.last)
		a.timestamp = 0
		s.send(a)
		s.wantStatus(mh.Accepted)
		a.seq, a.src, a.alternate = c.next, careOfLTE, careOfLTE
		s.send(a)
		if c.accepted {
			s.wantStatus(mh.Accepted)
			s.wantBound(homeA, careOfLTE)
			continue
		}
		if ba := s.wantStatus(mh.SequenceOutOfWindow); ba.Seq != c.last {
			t.Errorf("last %d, next %d: told %d", c.last, c.next, ba.Seq)
		}
		s.wantBound(homeA, careOfWLAN)
	}
}

func TestWithTimestampsTheSequenceNumberDecidesNothing(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1000))
	s.pass(time.Second)
	s.send(s.of(1)) // RFC 4285, section 7
	if ba := s.wantStatus(mh.Accepted); ba.Seq != 1 {
		t.Errorf("seq %d", ba.Seq)
	}
}

func TestHomecomingReleasesTheAddressAndIsAnsweredAtHome(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1))
	s.pass(5 * time.Second)
	a := s.homecoming(2)
	s.send(a)
	ba, r := s.acknowledged()
	if ba.Status != mh.Accepted || ba.Seq != 2 || ba.Lifetime != 0 {
		t.Errorf("acknowledgement %+v", ba)
	}
	if r.packet.Dst != homeA || r.packet.RoutingHome.IsValid() || r.dev != "home" {
		t.Errorf("packet %+v on %q", r.packet, r.dev)
	}
	if err := association.Verify(r.packet.Payload, a.mnha, homeA, homeA); err != nil {
		t.Error(err)
	}
	var order []string
	for _, o := range s.out {
		order = append(order, reflect.TypeOf(o).String())
	}
	if diff := cmp.Diff([]string{"ha.ClearTunnel", "ha.ClearProxy", "ha.Event", "*ha.SendMobility"}, order); diff != "" {
		t.Error(diff)
	}
	if got := s.events("binding-deleted"); got[0]["reason"] != "de-registered" {
		t.Errorf("event %v", got)
	}
}

func TestDeregistrationFromAbroadIsAnsweredThere(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1))
	s.pass(time.Second)
	a := s.of(2)
	a.lifetime = 0
	s.send(a)
	_, r := s.acknowledged()
	if r.packet.Dst != careOfWLAN || r.packet.RoutingHome != homeA || r.dev != "" {
		t.Errorf("packet %+v on %q", r.packet, r.dev)
	}
}

func TestADeregisteredBindingStaysInvalidForTenSecondsToRefuseWhatComesLate(t *testing.T) {
	s := tell(t, with(sequenceNumbers))
	late := s.of(2)
	late.timestamp = 0
	first := s.of(1)
	first.timestamp = 0
	s.send(first)
	home := s.homecoming(3)
	home.timestamp = 0
	s.send(home)
	s.wantStatus(mh.Accepted)
	s.pass(10*time.Second - 1)
	s.send(late)
	if ba := s.wantStatus(mh.SequenceOutOfWindow); ba.Seq != 3 {
		t.Errorf("told %d", ba.Seq)
	}
	if e := s.entry(homeA); e == nil || e.State != "invalid" {
		t.Errorf("entry %+v", e)
	}
	s.pass(1)
	if s.entry(homeA) != nil {
		t.Error("the entry is still there")
	}
	s.send(late) // with no entry any sequence number is accepted: RFC 6275, section 9.5.1
	s.wantStatus(mh.Accepted)
}

func TestWithTimestampsWhatComesLateIsRefusedByItsTimestamp(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1))
	s.pass(time.Second)
	late := s.of(2)
	s.pass(time.Second)
	s.send(s.homecoming(3))
	s.send(late)
	s.wantStatus(mh.IDMismatch)
}

func TestADeregistrationWhoseAnswerWasLostMayBeRepeated(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1))
	s.pass(time.Second)
	s.send(s.homecoming(2))
	s.pass(time.Second)
	s.send(s.homecoming(3))
	s.wantStatus(mh.Accepted)
	if len(outputs[ClearTunnel](s)) > 0 || len(s.events("binding-deleted")) > 0 {
		t.Error("deleted twice")
	}
}

func TestAnInvalidBindingCanBeMadeAgain(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1))
	s.pass(time.Second)
	s.send(s.homecoming(2))
	s.pass(time.Second)
	s.send(s.of(3))
	s.wantStatus(mh.Accepted)
	s.wantBound(homeA, careOfWLAN)
	if len(outputs[SetProxy](s)) != 1 || s.events("binding-accepted")[0]["new"] != true {
		t.Error(s.words())
	}
	s.pass(30 * time.Second) // beyond what is left of the invalid one
	s.wantBound(homeA, careOfWLAN)
}

func TestDuplicateAddressDetectionComesBeforeTheFirstAnswer(t *testing.T) {
	s := tell(t, with(fullDAD))
	s.send(s.of(1))
	if len(s.replies()) > 0 || len(outputs[SetTunnel](s)) > 0 {
		t.Fatal(s.words())
	}
	if got := outputs[SolicitNeighbor](s); len(got) != 1 || got[0] != (SolicitNeighbor{Dev: "home", Target: homeA}) {
		t.Errorf("solicited %v", got)
	}
	if got := outputs[WatchAddress](s); len(got) != 1 {
		t.Errorf("watched %v", got)
	}
	s.pass(time.Second - 1)
	if len(s.out) > 0 {
		t.Fatal(s.words())
	}
	s.pass(1)
	s.wantStatus(mh.Accepted)
	s.wantBound(homeA, careOfWLAN)
	if len(outputs[UnwatchAddress](s)) != 1 || len(outputs[SetProxy](s)) != 1 {
		t.Error(s.words())
	}
	s.send(s.of(2)) // not again while it is bound
	s.wantStatus(mh.Accepted)
}

func TestAnAddressInUseOnTheHomeLinkIsRefused(t *testing.T) {
	local := netip.MustParseAddr("fe80::10")
	for name, address := range map[string]netip.Addr{"home address": homeA, "link-local address": local} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, with(fullDAD))
			a := s.of(1)
			a.flags |= mh.LinkLocal
			s.send(a)
			s.step(NeighborClaimed{Dev: "core", Address: address})
			s.step(NeighborClaimed{Dev: "home", Address: homeB})
			if len(s.out) > 0 {
				t.Fatal(s.words())
			}
			s.step(NeighborClaimed{Dev: "home", Address: address})
			s.wantStatus(mh.DADFailed)
			if len(s.events("duplicate-address-detected")) != 1 || len(outputs[UnwatchAddress](s)) != 2 {
				t.Error(s.words())
			}
			if s.entry(homeA) != nil {
				t.Error("an entry is left")
			}
			s.pass(time.Minute)
			if len(s.out) > 0 {
				t.Error(s.words())
			}
		})
	}
}

func TestAClaimOnABoundAddressChangesNothing(t *testing.T) {
	s := tell(t, with(fullDAD))
	s.send(s.of(1))
	s.pass(time.Second)
	s.step(NeighborClaimed{Dev: "home", Address: homeA})
	s.wantBound(homeA, careOfWLAN)
}

func TestWhileDuplicatesAreDetectedTheLatestUpdateIsTheOneAnswered(t *testing.T) {
	s := tell(t, with(fullDAD))
	s.send(s.of(1))
	s.pass(time.Second / 2)
	a := s.of(2)
	a.src, a.alternate = careOfLTE, careOfLTE
	s.send(a)
	if len(s.replies()) > 0 {
		t.Fatal(s.words())
	}
	s.pass(time.Second / 2)
	if ba := s.wantStatus(mh.Accepted); ba.Seq != 2 {
		t.Errorf("seq %d", ba.Seq)
	}
	s.wantBound(homeA, careOfLTE)
}

func TestWhileDuplicatesAreDetectedARepetitionIsNoNews(t *testing.T) {
	s := tell(t, with(func(h *control.HomeAgent) { fullDAD(h); sequenceNumbers(h) }))
	a := s.of(1)
	a.timestamp = 0
	s.send(a)
	s.send(a)
	s.wantSilence("repeated-while-detecting-duplicates")
	s.pass(time.Second)
	s.wantStatus(mh.Accepted)
}

func TestHomecomingEndsDuplicateAddressDetection(t *testing.T) {
	s := tell(t, with(fullDAD))
	s.send(s.of(1))
	s.pass(time.Second / 2)
	s.send(s.homecoming(2))
	s.wantStatus(mh.NotHomeAgent)
	if len(outputs[UnwatchAddress](s)) != 1 {
		t.Error(s.words())
	}
	s.pass(time.Second)
	if len(s.out) > 0 {
		t.Error(s.words())
	}
}

func TestWithoutAHomeLinkThereIsNobodyToAskOrTell(t *testing.T) {
	cfg := with(fullDAD)
	cfg.Interfaces[0].Home = false
	s := tell(t, cfg)
	s.send(s.of(1))
	s.wantStatus(mh.Accepted)
	if len(outputs[SolicitNeighbor](s))+len(outputs[SetProxy](s))+len(outputs[AdvertiseNeighbor](s)) > 0 {
		t.Error(s.words())
	}
}

func TestARecordedUpdateIsRefusedAfterTheBindingHasEnded(t *testing.T) {
	// Attack A3, with a key that ends before the timestamp's window does.
	s := tell(t, with(fromAAA))
	s.send(s.asking(1))
	ask := s.asked()
	given := session(ask, 300)
	given.Lifetime = 4 * time.Second
	s.step(&AAAAnswered{ID: ask.ID, Result: 2001, HomeAddress: homeA, Session: given})
	s.wantStatus(mh.Accepted)
	s.pass(time.Second)
	a := s.of(2)
	a.mnha, a.lifetime = association.New(300, given.Key), 0
	s.send(a)
	s.wantStatus(mh.Accepted)
	s.pass(5 * time.Second) // the key has ended
	recorded := s.asking(3)
	recorded.timestamp = keys.NTP(start.Add(time.Second)) // as young as can be, and used
	s.send(recorded)
	s.vouch(s.asked(), 301)
	s.wantStatus(mh.IDMismatch)
	if e := s.entry(homeA); e != nil && e.State == "bound" {
		t.Error("bound again")
	}
}

func TestASubscriberIsForgottenWhenTheWindowAloneRefusesItsTimestamps(t *testing.T) {
	s := tell(t, with(fromAAA))
	s.send(s.asking(1))
	ask := s.asked()
	given := session(ask, 300)
	given.Lifetime = 4 * time.Second
	s.step(&AAAAnswered{ID: ask.ID, Result: 2001, HomeAddress: homeA, Session: given})
	s.pass(7 * time.Second)
	if n := s.m.Counts().Subscribers; n != 1 {
		t.Errorf("%d subscribers within the window", n)
	}
	s.pass(time.Second)
	if c := s.m.Counts(); c != (Counts{}) {
		t.Errorf("left: %+v", c)
	}
}

func TestNoIntegrityBindsWhoeverAsksAndCountsSequenceNumbers(t *testing.T) {
	s := tell(t, with(noIntegrity))
	s.send(s.bare(homeA, 5))
	ba, r := s.acknowledged()
	if ba.Status != mh.Accepted || len(ba.Options) != 0 || r.packet.RoutingHome != homeA {
		t.Errorf("%+v", ba)
	}
	other := s.bare(homeA, 5)
	other.src, other.alternate = careOfLTE, careOfLTE
	s.send(other)
	if ba := s.wantStatus(mh.SequenceOutOfWindow); ba.Seq != 5 { // attack A1b
		t.Errorf("told %d", ba.Seq)
	}
	other.seq = 6
	s.send(other) // attack A1
	s.wantStatus(mh.Accepted)
	s.wantBound(homeA, careOfLTE)
}

package mn

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

func sentAt(s *story) []time.Duration {
	var at []time.Duration
	for _, u := range s.sent {
		at = append(at, u.at)
	}
	return at
}

func seconds(ss ...float64) []time.Duration {
	var d []time.Duration
	for _, s := range ss {
		d = append(d, time.Duration(s*float64(time.Second)))
	}
	return d
}

func TestABindingUpdateIsAsTheRFCWantsIt(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	u := s.last()
	if u.packet.Src != careOfWLAN || u.packet.Dst != homeAgent || u.packet.HomeAddress != homeAddress || u.packet.RoutingHome.IsValid() {
		t.Errorf("packet: %+v", u.packet)
	}
	if u.Flags != mh.AckRequested|mh.HomeRegistration || u.Lifetime != 60*time.Second {
		t.Errorf("got %+v", u.BindingUpdate)
	}
	if a, ok := mh.Find[mh.AlternateCareOf](u.Options); !ok || a.Address != careOfWLAN {
		t.Error("no alternate care-of address: RFC 6275, section 11.7.1")
	}
	if id, ok := mh.Find[mh.MNIdentifier](u.Options); !ok || id.Identifier != nai {
		t.Error("no identifier")
	}
	if a := authOf(u); a.Subtype != mh.MNHA || a.SPI != 256 {
		t.Errorf("authentication: %+v", a)
	}
	if err := association.Verify(u.header, s.key, careOfWLAN, homeAddress); err != nil {
		t.Error(err)
	}
	e := s.mustHappen("binding-update-sent")
	if e.Fields["auth"] != "mn-ha" || e.Fields["attempt"] != 1 || e.Fields["lifetime"] != 60.0 || e.Fields["seq"] != u.Seq {
		t.Errorf("got %v", e.Fields)
	}
}

func TestAFirstRegistrationIsRepeatedAfter1500msAndThenTwiceAsLong(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.until(111 * time.Second)
	want := seconds(0, 1.5, 4.5, 10.5, 22.5, 46.5, 78.5, 110.5)
	if got := sentAt(s); !slices.Equal(got, want) {
		t.Errorf("sent at %v, want %v", got, want)
	}
	for i := 1; i < len(s.sent); i++ {
		if s.sent[i].Seq != s.sent[i-1].Seq+1 {
			t.Error("a sequence number was not the next")
		}
		if timestampOf(s.sent[i]) <= timestampOf(s.sent[i-1]) {
			t.Error("a timestamp was not later")
		}
	}
}

func TestALaterRegistrationIsRepeatedAfterOneSecond(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.until(5 * time.Second)
	s.visit("wimax", wimaxPrefix)
	s.until(40 * time.Second)
	want := seconds(0, 5, 6, 8, 12, 20, 36)
	if got := sentAt(s); !slices.Equal(got, want) {
		t.Errorf("sent at %v, want %v", got, want)
	}
}

func TestTheHomeAgentIsAskedForeverAtTheSlowestRate(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.until(30 * time.Minute)
	n := len(s.sent)
	if gap := s.sent[n-1].at - s.sent[n-2].at; gap != 32*time.Second || s.sent[n-1].at < 29*time.Minute {
		t.Errorf("last two %v apart, the last at %v", gap, s.sent[n-1].at)
	}
}

func TestABindingIsRefreshedWellBeforeItEnds(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.until(20 * time.Millisecond)
	s.answer(0)
	s.until(44 * time.Second)
	if len(s.sent) != 1 {
		t.Error("refreshed too early")
	}
	s.until(45 * time.Second)
	if got := sentAt(s); !slices.Equal(got, seconds(0, 45)) {
		t.Fatalf("sent at %v, want 0s, 45s", got)
	}
	s.answer(0)
	if s.count("bound") != 1 || s.count("binding-acknowledged") != 2 {
		t.Error("a refresh is not a new binding")
	}
}

func TestAShorterGrantOrARefreshAdviceShortensTheInterval(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0, func(a *answer) { a.ba.Lifetime = 20 * time.Second })
	s.until(15 * time.Second)
	if got := sentAt(s); !slices.Equal(got, seconds(0, 15)) {
		t.Errorf("sent at %v, want 0s, 15s", got)
	}
	s = begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0, func(a *answer) {
		a.ba.Options = append([]mh.Option{mh.RefreshAdvice{Interval: 8 * time.Second}}, a.ba.Options...)
	})
	s.until(8 * time.Second)
	if got := sentAt(s); !slices.Equal(got, seconds(0, 8)) {
		t.Errorf("sent at %v, want 0s, 8s", got)
	}
}

func TestABindingThatIsNotRefreshedEndsWhenTheHomeAgentEndsIt(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.until(time.Second)
	s.answer(0)
	s.until(59 * time.Second)
	if !s.m.tunnel.Local.IsValid() {
		t.Error("gave up too early")
	}
	s.until(60 * time.Second)
	if s.m.tunnel.Local.IsValid() {
		t.Error("counted from the acknowledgement: RFC 6275, section 11.7.3, counts from the update")
	}
	s.mustHappen("binding-expired")
	if got := sentAt(s)[1:]; !slices.Equal(got, seconds(45, 46, 48, 52, 60)) {
		t.Errorf("sent at %v", got)
	}
	s.answer(0)
	if s.m.tunnel.Local != careOfWLAN || s.count("bound") != 2 {
		t.Error("not bound again")
	}
}

func TestNoMoreThanThreeBindingUpdatesLeaveInASecond(t *testing.T) {
	s := begin(t, config())
	for i := range 20 {
		s.until(time.Duration(i) * 50 * time.Millisecond)
		if i%2 == 0 {
			s.visit("wlan", wlanPrefix)
		} else {
			s.visit("wimax", wimaxPrefix)
		}
	}
	s.until(3 * time.Second)
	at := sentAt(s)
	for i := 3; i < len(at); i++ {
		if at[i]-at[i-3] < time.Second {
			t.Errorf("four in %v, at %v: RFC 6275, section 11.8", at[i]-at[i-3], at[i-3:i+1])
		}
	}
	if s.last().packet.Src != careOfWiMAX {
		t.Error("the last attachment was not registered")
	}
}

func TestOnlyAnAcknowledgementThatMatchesIsHeard(t *testing.T) {
	other := association.New(256, []byte("fedcba9876543210"))
	for name, spoil := range map[string]func(*answer){
		"another sequence number":  func(a *answer) { a.ba.Seq++ },
		"another home agent":       func(a *answer) { a.packet.Src = careOfWiMAX },
		"another destination":      func(a *answer) { a.packet.Dst = careOfWiMAX },
		"no routing header":        func(a *answer) { a.packet.RoutingHome = netip.Addr{} },
		"another home address":     func(a *answer) { a.packet.RoutingHome = careOfWiMAX },
		"no authentication":        func(a *answer) { a.key = nil },
		"another key":              func(a *answer) { a.key = other },
		"another SPI":              func(a *answer) { a.key = association.New(257, haKey) },
		"another care-of address":  func(a *answer) { a.careOf = careOfWiMAX },
		"no timestamp":             func(a *answer) { a.ba.Options = a.ba.Options[:1] },
		"another timestamp":        func(a *answer) { a.ba.Options[1] = mh.ReplayProtection{Timestamp: 1} },
		"another sequence and 135": func(a *answer) { a.ba.Status, a.ba.Seq, a.key = mh.SequenceOutOfWindow, 9, other },
		"a wrong checksum":         func(a *answer) { a.afterwards = func(b []byte) { b[len(b)-20]++ } },
		"a home address option":    func(a *answer) { a.packet.HomeAddress = homeAddress },
	} {
		s := begin(t, config())
		s.visit("wlan", wlanPrefix)
		s.answer(0, spoil)
		if s.m.registration.bound || s.count("message-ignored") != 1 || len(s.sent) != 1 {
			t.Errorf("%s: bound %v, sent %d, ignored %d", name, s.m.registration.bound, len(s.sent), s.count("message-ignored"))
		}
		s.answer(0)
		if !s.m.registration.bound {
			t.Errorf("%s: the true acknowledgement was not heard after it", name)
		}
	}
}

func TestAnAcknowledgementIsHeardOnce(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.answer(0)
	if s.count("binding-acknowledged") != 1 || s.count("message-ignored") != 1 {
		t.Error("heard twice")
	}
}

// On a link that is slower than the retransmission timer.
func TestAnAcknowledgementOfAnEarlierTransmissionIsHeard(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.until(2 * time.Second)
	if len(s.sent) != 2 {
		t.Fatalf("%d sent, want 2", len(s.sent))
	}
	s.answerTo(s.sent[0], mh.InsufficientResources)
	if s.m.registration.bound || len(s.sent) != 2 || s.count("binding-refused") != 0 {
		t.Error("a refusal of it was heard, though the later one may be accepted")
	}
	s.answerTo(s.sent[0], 0)
	if r := s.m.registration; !r.bound || r.expires.Sub(start) != s.sent[0].at+config().MobileNode.Lifetime {
		t.Errorf("not heard, or counted from another time: %+v", r)
	}
	s.answerTo(s.sent[1], 0)
	if s.count("binding-acknowledged") != 1 || s.count("message-ignored") != 2 {
		t.Error("heard twice")
	}
}

func TestAnAcknowledgementFromAnotherPlaceIsNotHeardForTheNext(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.carrier("wlan", false)
	s.visit("wimax", wimaxPrefix)
	s.answerTo(s.sent[0], 0)
	if s.m.registration.bound {
		t.Error("heard: it is about a care-of address that was left")
	}
}

func TestASequenceNumberOutOfWindowIsTakenOverAndTheUpdateSentAgainAtOnce(t *testing.T) {
	s := begin(t, config())
	s.m.registration.seq = 0xfff0
	s.visit("wlan", wlanPrefix)
	s.answer(mh.SequenceOutOfWindow, func(a *answer) { a.ba.Seq = 0xff00 })
	if len(s.sent) != 1 {
		t.Fatal("took over a number that is not out of the window")
	}
	s.answer(mh.SequenceOutOfWindow, func(a *answer) { a.ba.Seq = 0xffff })
	if len(s.sent) != 2 || s.last().Seq != 0 {
		t.Fatalf("%d sent, the last with %d, want 2 with 0", len(s.sent), s.last().Seq)
	}
	s.answer(0)
	if !s.m.registration.bound {
		t.Error("not bound")
	}
}

func TestAHomeAgentThatAlwaysRefusesIsNotAnsweredAtOnceForever(t *testing.T) {
	for _, status := range []mh.Status{mh.SequenceOutOfWindow, mh.IDMismatch} {
		s := begin(t, config())
		s.visit("wlan", wlanPrefix)
		for n := 0; s.now.Before(start.Add(time.Minute)); n++ {
			if len(s.sent) > 12 {
				t.Fatalf("%v: %d sent by %v", status, len(s.sent), s.now.Sub(start))
			}
			u := s.last()
			s.answerTo(u, status, func(a *answer) {
				if status == mh.IDMismatch {
					a.ba.Options[1] = mh.ReplayProtection{Timestamp: timestampOf(u) + 100<<32}
				}
			})
			if d := s.m.Deadline(); s.last().Seq == u.Seq {
				s.until(d.Sub(start))
			}
		}
	}
}

func TestARefusalThatMayPassIsRetriedInTheTimesOfRetransmission(t *testing.T) {
	for _, status := range []mh.Status{mh.Unspecified, mh.InsufficientResources} {
		s := begin(t, config())
		s.visit("wlan", wlanPrefix)
		for range 4 {
			s.answer(status)
			s.until(s.m.Deadline().Sub(start))
		}
		if got := sentAt(s); !slices.Equal(got, seconds(0, 1.5, 4.5, 10.5, 22.5)) {
			t.Errorf("%v: sent at %v", status, got)
		}
		if e := s.mustHappen("binding-refused"); e.Fields["name"] != status.String() || e.Fields["status"] != uint8(status) {
			t.Errorf("got %v", e.Fields)
		}
	}
}

func TestAnyOtherRefusalEndsTheRegistrationUntilTheNextAttachment(t *testing.T) {
	for _, status := range []mh.Status{mh.Prohibited, mh.HomeRegUnsupported, mh.NotHomeSubnet, mh.NotHomeAgent, mh.RegTypeChange,
		mh.MessageIDRequired, mh.AuthFail, mh.ServiceAuthorizationFails, mh.InvalidCareOf, mh.ExpiredNonces, 200} {
		s := begin(t, config())
		s.visit("wlan", wlanPrefix)
		s.answer(status)
		if s.count("binding-refused") != 1 {
			t.Errorf("%v: no event", status)
		}
		s.until(10 * time.Minute)
		if len(s.sent) != 1 {
			t.Errorf("%v: sent at %v", status, sentAt(s))
		}
		s.visit("wimax", wimaxPrefix)
		if len(s.sent) != 2 {
			t.Errorf("%v: not tried at the next attachment", status)
		}
	}
}

func TestAHomeAddressThatIsADuplicateIsNeverUsedAgain(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(mh.DADFailed)
	s.visit("wimax", wimaxPrefix)
	s.until(10 * time.Minute)
	if len(s.sent) != 1 {
		t.Errorf("sent at %v: RFC 6275, section 11.7.1", sentAt(s))
	}
}

func TestAcceptedWithAnotherStatusThan0IsAccepted(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(mh.AcceptedPrefixDiscovery)
	if e := s.mustHappen("binding-acknowledged"); e.Fields["status"] != uint8(1) || s.m.tunnel.Local != careOfWLAN {
		t.Errorf("got %v", e.Fields)
	}
}

func TestAcceptedForNoTimeAtAllIsAskedForAgain(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0, func(a *answer) { a.ba.Lifetime = 0 })
	if s.m.tunnel.Local.IsValid() || s.count("bound") != 0 {
		t.Error("bound for 0 s")
	}
	s.until(2 * time.Second)
	if len(s.sent) != 2 {
		t.Error("not asked again")
	}
}

func (s *story) bindingError(e *mh.BindingError, src netip.Addr) []Output {
	s.t.Helper()
	return s.message(e, src, careOfWLAN)
}

func (s *story) message(m mh.Message, src, dst netip.Addr) []Output {
	s.t.Helper()
	b, err := mh.Append(nil, m, src, dst)
	if err != nil {
		s.t.Fatal(err)
	}
	b, err = ipv6.Append(nil, &ipv6.Packet{Src: src, Dst: dst, HopLimit: 64, Next: ipv6.Mobility, Payload: b})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.step(Received{Octets: b})
}

func TestABindingErrorOfTheHomeAgentRegistersAgainAtMostOnceASecond(t *testing.T) {
	unknown := &mh.BindingError{Status: mh.UnknownBinding, HomeAddress: homeAddress}
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.bindingError(unknown, homeAgent)
	if len(s.sent) != 1 {
		t.Error("registered again while a binding update is out")
	}
	s.answer(0)
	s.until(2 * time.Second)
	s.bindingError(unknown, careOfWiMAX)
	s.bindingError(&mh.BindingError{Status: mh.UnknownType, HomeAddress: homeAddress}, homeAgent)
	s.bindingError(&mh.BindingError{Status: mh.UnknownBinding, HomeAddress: careOfWiMAX}, homeAgent)
	if len(s.sent) != 1 {
		t.Error("believed one that does not concern us")
	}
	s.bindingError(unknown, homeAgent)
	if len(s.sent) != 2 || s.m.tunnel.Local != careOfWLAN {
		t.Error("not registered again")
	}
	s.answer(0)
	for range 100 {
		s.bindingError(unknown, homeAgent)
	}
	if len(s.sent) != 2 {
		t.Errorf("%d sent", len(s.sent))
	}
}

func TestABindingRefreshRequestOfTheHomeAgentRefreshes(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.until(2 * time.Second)
	s.message(&mh.BindingRefreshRequest{}, careOfWiMAX, homeAddress)
	if len(s.sent) != 1 {
		t.Error("did as a stranger asked")
	}
	s.message(&mh.BindingRefreshRequest{}, homeAgent, homeAddress)
	if len(s.sent) != 2 {
		t.Error("not refreshed")
	}
}

func TestAnUnknownMessageTypeIsAnsweredByABindingErrorOnceASecond(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	errors := 0
	for range 5 {
		out := s.message(&mh.Unknown{Kind: 99, Data: make([]byte, 2)}, homeAgent, careOfWLAN)
		if o, ok := find[SendMobility](out); ok {
			errors++
			p, _ := ipv6.Parse(o.Octets)
			m, _ := mh.Parse(p.Payload)
			if e, ok := m.(*mh.BindingError); !ok || e.Status != mh.UnknownType || p.Dst != homeAgent {
				t.Errorf("got %+v", m)
			}
		}
	}
	if errors != 1 {
		t.Errorf("%d binding errors, want 1", errors)
	}
}

package mn

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/control"
)

// choosing is config with a policy.
func choosing(p control.Policy) *control.Config {
	c := config()
	c.MobileNode.Policy = p
	return c
}

// bySignal is the policy of which the stories below are told.
var bySignal = control.Policy{Kind: "signal", Prefer: []string{"wlan", "wimax", "lte"}, Threshold: -75, Hysteresis: 4, TimeToTrigger: 200 * time.Millisecond}

// hear lets a radio tell what it hears.
func (s *story) hear(dev string, level float64) []Output {
	s.t.Helper()
	return s.step(SignalChanged{Dev: dev, Level: level, Heard: true})
}

// cover gives an access that can carry the mobile, and its signal where one is told.
func (s *story) cover(dev string, level ...float64) {
	s.t.Helper()
	for _, l := range level {
		s.hear(dev, l)
	}
	s.carrier(dev, true)
	s.advertise(dev, map[string]netip.Prefix{"lte": homePrefix, "wlan": wlanPrefix, "wimax": wimaxPrefix}[dev])
	s.settled()
}

// settled lets the home agent answer what is still to be answered.
func (s *story) settled() {
	s.t.Helper()
	if s.m.registration.waiting != nil {
		s.answer(0)
	}
}

func (s *story) wantOn(dev string) {
	s.t.Helper()
	here := "nothing"
	if s.m.here != nil {
		here = s.m.here.dev
	}
	if here != dev {
		s.t.Errorf("after %v on %s, want %s", s.now.Sub(start), here, dev)
	}
}

func (s *story) wantReason(reason, insteadOf string) {
	s.t.Helper()
	e := s.mustHappen("access-chosen")
	if e.Fields["reason"] != reason || insteadOf != "" && e.Fields["instead-of"] != insteadOf {
		s.t.Errorf("chosen: %v, want reason %q instead of %q", e.Fields, reason, insteadOf)
	}
}

func TestThePolicyKeepStaysUntilTheAccessIsLost(t *testing.T) {
	s := begin(t, choosing(control.Policy{Kind: "keep", Prefer: []string{"wimax"}}))
	s.cover("wlan")
	s.wantReason("nothing else carries it", "")
	s.until(time.Second)
	s.cover("lte")
	s.cover("wimax")
	s.wantOn("wlan")
	s.carrier("wlan", false)
	s.wantOn("wimax") // preferred, and home is not
	s.wantReason("the old access is lost", "wlan")
	if n := s.count("access-chosen"); n != 2 {
		t.Errorf("%d decisions, want 2", n)
	}
}

func TestThePreferredAccessIsUsedWheneverItCarries(t *testing.T) {
	s := begin(t, choosing(control.Policy{Kind: "preferred", Prefer: []string{"wlan", "lte"}}))
	s.cover("wimax")
	s.wantOn("wimax") // the only one
	s.cover("lte")
	s.wantOn("lte")
	s.wantReason("preferred", "wimax")
	s.cover("wlan")
	s.wantOn("wlan")
	s.carrier("lte", false)
	s.carrier("wlan", false)
	s.wantOn("wimax")
	s.wantReason("the old access is lost", "wlan")
}

func TestASignalMustStayBeyondTheHysteresisForTheTimeToTrigger(t *testing.T) {
	s := begin(t, choosing(bySignal))
	s.cover("lte", -60)
	s.until(time.Second)
	s.cover("wlan", -72) // above the threshold, within the hysteresis
	s.until(2 * time.Second)
	s.wantOn("lte")
	s.hear("wlan", -70.9)
	s.until(2*time.Second + 199*time.Millisecond)
	s.hear("wlan", -71) // not beyond
	s.until(3 * time.Second)
	s.wantOn("lte")
	s.hear("wlan", -70.9)
	s.until(3*time.Second + 199*time.Millisecond)
	s.wantOn("lte")
	s.until(3*time.Second + 200*time.Millisecond)
	s.wantOn("wlan")
	s.wantReason("preferred", "lte")
	s.settled()

	// The same downwards: bad below -79 dBm, and not before.
	s.hear("wlan", -79)
	s.until(5 * time.Second)
	s.wantOn("wlan")
	s.hear("wlan", -79.1)
	s.until(5*time.Second + 199*time.Millisecond)
	s.wantOn("wlan")
	s.until(5*time.Second + 200*time.Millisecond)
	s.wantOn("lte")
	s.wantReason("the old signal is bad", "wlan")
	s.settled()
	if !s.m.access("wlan").usable() {
		t.Error("the old access was not there any more")
	}
}

// Many levels within the time to trigger begin it once.
func TestTheTimeToTriggerRunsOnWhileTheSignalStaysBeyond(t *testing.T) {
	s := begin(t, choosing(bySignal))
	s.cover("lte", -60)
	s.cover("wlan", -90)
	s.until(time.Second)
	for i := range 5 {
		s.until(time.Second + time.Duration(i)*50*time.Millisecond)
		s.hear("wlan", -60-float64(i))
	}
	s.wantOn("wlan")
}

func TestWhereNoSignalIsGoodTheMobileStays(t *testing.T) {
	s := begin(t, choosing(bySignal))
	s.cover("wimax", -85)
	s.cover("wlan", -82)
	s.until(10 * time.Second)
	s.wantOn("wimax")
	s.carrier("wimax", false)
	s.wantOn("wlan") // the only one
	s.settled()
	s.cover("lte", -76)
	s.cover("wimax", -90)
	s.carrier("wlan", false)
	s.wantOn("wimax") // neither is good, and it is preferred to lte
}

func TestBetweenSignalsWithoutPreferenceTheStrongerGoesFirst(t *testing.T) {
	p := bySignal
	p.Prefer, p.TimeToTrigger = nil, 0
	s := begin(t, choosing(p))
	s.cover("wlan", -65)
	s.cover("wimax", -50)
	s.cover("lte", -60)
	s.wantOn("wlan") // which is good: nothing calls for a change
	s.hear("wlan", -85)
	s.wantOn("wimax")
	s.wantReason("the old signal is bad", "wlan")
	s.settled()
	s.step(SignalChanged{Dev: "wimax"}) // not heard any more, though the carrier is still there
	s.wantOn("lte")
}

func TestAnAccessOfWhichNoRadioTellsIsGood(t *testing.T) {
	p := bySignal
	p.Prefer = []string{"lte", "wlan"}
	s := begin(t, choosing(p))
	s.cover("wlan", -50)
	s.until(time.Second)
	s.cover("lte")
	s.wantOn("lte")
}

func TestACarrierThatComesAgainIsJudgedAnew(t *testing.T) {
	s := begin(t, choosing(bySignal))
	s.cover("lte", -60)
	s.cover("wlan", -60)
	s.until(time.Second)
	s.wantOn("wlan")
	s.settled()
	s.carrier("wlan", false)
	s.wantOn("lte")
	s.settled()
	s.cover("wlan")
	s.wantOn("lte") // it has only just come
	s.until(time.Second + 200*time.Millisecond)
	s.wantOn("wlan")
}

func TestWithoutAPolicyNoDecisionIsTold(t *testing.T) {
	for _, kind := range []string{"", "newest"} {
		s := begin(t, choosing(control.Policy{Kind: kind}))
		s.cover("wlan", -50)
		s.until(time.Second)
		s.cover("wimax", -100)
		if n := s.count("access-chosen"); n != 0 {
			t.Errorf("kind %q: %d decisions told", kind, n)
		}
		s.wantOn("wimax")
	}
}

func TestSignalsAreToldInStepsAndNotTooOften(t *testing.T) {
	s := begin(t, config())
	for i := range 1000 { // a second, with a level each millisecond
		s.until(time.Duration(i) * time.Millisecond)
		s.hear("wlan", -50-float64(i%10))
	}
	if n := s.count("signal-changed"); n < 5 || n > 10 {
		t.Errorf("%d levels told in a second, want 10 at most", n)
	}
	s.until(2 * time.Second)
	before := s.count("signal-changed")
	last := s.mustHappen("signal-changed").Fields["signal"].(float64)
	s.hear("wlan", last+0.9)
	s.until(3 * time.Second)
	s.hear("wlan", last-0.9)
	if n := s.count("signal-changed"); n != before {
		t.Error("less than 1 dB was told")
	}
	s.step(SignalChanged{Dev: "wlan"})
	s.step(SignalChanged{Dev: "wlan"})
	s.step(SignalChanged{Dev: "nowhere", Heard: true})
	if e := s.mustHappen("signal-changed"); s.count("signal-changed") != before+1 || e.Fields["signal"] != nil {
		t.Errorf("that nothing is heard was not told once: %v", e.Fields)
	}
}

// Whatever is heard of three accesses that all can carry, the mobile is on one that
// is good where there is one, and moves to no other unless that is preferred or its
// own is bad.
func TestOfManyLevelsEachDecisionHasItsReason(t *testing.T) {
	s := begin(t, choosing(bySignal))
	for _, dev := range []string{"lte", "wimax", "wlan"} {
		s.cover(dev, -60)
	}
	for i := range 2000 {
		s.until(time.Second + time.Duration(i)*70*time.Millisecond)
		dev := []string{"lte", "wlan", "wimax"}[i%3]
		was := s.m.here
		s.hear(dev, -95+float64(i*i%41))
		s.settled()
		good := slices.DeleteFunc(slices.Clone(s.m.accesses), func(a *access) bool { return !a.good() })
		if len(good) > 0 && !s.m.here.good() {
			t.Fatalf("on %s, which is bad", s.m.here.dev)
		}
		if len(good) == 0 && s.m.here != was {
			t.Fatalf("left %s for %s, and none is good", was.dev, s.m.here.dev)
		}
		for _, a := range good {
			if rank(&bySignal, a) < rank(&bySignal, s.m.here) {
				t.Fatalf("on %s, while %s is good", s.m.here.dev, a.dev)
			}
		}
	}
	if n := s.count("access-chosen"); n < 10 {
		t.Errorf("%d decisions", n)
	}
	for _, e := range s.events {
		if e.Name == "access-chosen" && fmt.Sprint(e.Fields["link"]) == fmt.Sprint(e.Fields["instead-of"]) {
			t.Errorf("chosen: %v", e.Fields)
		}
	}
}

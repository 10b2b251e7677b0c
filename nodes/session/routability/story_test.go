package routability

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

var (
	homeAddress = netip.MustParseAddr("2001:db8:100::10")
	wlan        = netip.MustParseAddr("2001:db8:200::99")
	wimax       = netip.MustParseAddr("2001:db8:300::99")
	peerAddress = netip.MustParseAddr("2001:db8:2::2")
	start       = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	never       = start.Add(24 * time.Hour)
)

// A world is a mobile node, a correspondent node and what goes between them,
// which arrives at once unless the test loses it.
type world struct {
	t             *testing.T
	now           time.Time
	mobile        *Mobile
	correspondent *Correspondent
	lose          func(m mh.Message) bool
	seen          func(octets []byte, m mh.Message)
	sent          []string // messages in order, by name
	routes        map[string]SetRoute
	events        []string
}

func newWorld(t *testing.T) *world {
	return &world{t: t, now: start, mobile: NewMobile(1, peerAddress), correspondent: NewCorrespondent(2, 10, peerAddress),
		routes: map[string]SetRoute{}}
}

func (w *world) act(who string, out []Output) {
	w.t.Helper()
	for _, o := range slices.Clone(out) {
		switch o := o.(type) {
		case SetRoute:
			w.routes[who] = o
		case ClearRoute:
			delete(w.routes, who)
		case Event:
			w.events = append(w.events, who+" "+o.Name)
		case Send:
			w.carry(who, o)
		}
	}
}

func (w *world) carry(who string, s Send) {
	w.t.Helper()
	p, err := ipv6.Parse(s.Octets)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := mh.Parse(p.Payload)
	if err != nil {
		w.t.Fatal(err)
	}
	name := mh.Name(m)
	if s.Tunnelled {
		name = "tunnelled " + name
	}
	if u, ok := m.(*mh.BindingUpdate); ok {
		name += " " + u.Lifetime.String()
	}
	if a, ok := m.(*mh.BindingAcknowledgement); ok {
		name += fmt.Sprint(" ", a.Status)
	}
	w.sent = append(w.sent, name)
	if w.seen != nil {
		w.seen(s.Octets, m)
	}
	switch {
	case w.lose != nil && w.lose(m):
	case who == "mobile":
		w.act("correspondent", w.correspondent.Received(w.now, s.Octets))
	default:
		// What goes to the home address comes by the tunnel while the mobile is away.
		tunnelled := p.Dst == homeAddress && !w.mobile.atHome()
		w.act("mobile", w.mobile.Received(w.now, s.Octets, tunnelled))
	}
}

// run lets time pass until both have nothing to do before the end.
func (w *world) run(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for {
		next := earliest(w.mobile.Deadline(), w.correspondent.Deadline())
		if next.IsZero() || next.After(end) {
			w.now = end
			return
		}
		w.now = next
		w.act("mobile", w.mobile.Tick(next))
		w.act("correspondent", w.correspondent.Tick(next))
	}
}

func (w *world) bound(careOf netip.Addr) {
	w.t.Helper()
	w.act("mobile", w.mobile.Bound(w.now, homeAddress, careOf, never))
}

// wantSent holds what was sent since the last call.
func (w *world) wantSent(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.sent, want) {
		w.t.Errorf("sent\n%q, want\n%q", w.sent, want)
	}
	w.sent = nil
}

// wantRoute holds both ends to routes for a care-of address; not valid: to none.
func (w *world) wantRoute(careOf netip.Addr) {
	w.t.Helper()
	want := map[string]SetRoute{}
	if careOf.IsValid() {
		want["mobile"] = SetRoute{Own: homeAddress, Peer: peerAddress, CareOf: careOf}
		want["correspondent"] = SetRoute{Own: peerAddress, Peer: homeAddress, CareOf: careOf}
	}
	for _, who := range []string{"mobile", "correspondent"} {
		if w.routes[who] != want[who] {
			w.t.Errorf("%s has route %+v, want %+v", who, w.routes[who], want[who])
		}
	}
}

var both = []string{"tunnelled home-test-init", "home-test", "care-of-test-init", "care-of-test"}

func TestAMoveIsTestedAndRegisteredAndComingHomeDeletesIt(t *testing.T) {
	w := newWorld(t)
	w.bound(wlan)
	w.wantSent(append(both, "binding-update 7m0s", "binding-acknowledgement accepted")...)
	w.wantRoute(wlan)

	w.run(10 * time.Second)
	w.bound(wimax) // the home token is still good: section 5.2.7
	w.wantSent("care-of-test-init", "care-of-test", "binding-update 7m0s", "binding-acknowledgement accepted")
	w.wantRoute(wimax)

	w.run(10 * time.Second)
	w.act("mobile", w.mobile.Returned(w.now, homeAddress))
	w.wantSent("binding-update 0s", "binding-acknowledgement accepted")
	w.wantRoute(netip.Addr{})

	w.run(time.Hour)
	if w.wantSent(); len(w.correspondent.bindings) != 0 {
		t.Errorf("%d bindings stay after an hour at home", len(w.correspondent.bindings))
	}
}

func TestARegistrationIsRefreshedBeforeItEnds(t *testing.T) {
	w := newWorld(t)
	w.bound(wlan)
	w.sent = nil
	w.run(315 * time.Second)
	w.wantSent(append(both, "binding-update 7m0s", "binding-acknowledgement accepted")...)
	w.wantRoute(wlan)
}

func TestComingHomeLongAfterTestsTheHomeAddressOnly(t *testing.T) {
	w := newWorld(t)
	w.bound(wlan)
	w.run(250 * time.Second)
	w.sent = nil
	w.act("mobile", w.mobile.Returned(w.now, homeAddress))
	w.wantSent("home-test-init", "home-test", "binding-update 0s", "binding-acknowledgement accepted")
	w.wantRoute(netip.Addr{})
}

func TestWhatIsNotAnsweredIsSentAgainLessAndLessOften(t *testing.T) {
	w := newWorld(t)
	w.lose = func(m mh.Message) bool { return m.Type() == mh.TypeCareOfTest }
	w.bound(wlan)
	var gaps []time.Duration
	for !w.mobile.Deadline().IsZero() {
		gaps = append(gaps, w.mobile.Deadline().Sub(start))
		w.now = w.mobile.Deadline()
		w.act("mobile", w.mobile.Tick(w.now))
	}
	if want := []time.Duration{time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second}; !slices.Equal(gaps, want) {
		t.Errorf("sent again at %v, given up at the last; want %v", gaps, want)
	}
	if !slices.Contains(w.events, "mobile route-optimization-failed") {
		t.Errorf("events %v", w.events)
	}
	w.wantRoute(netip.Addr{})
	if n := len(slices.DeleteFunc(w.sent, func(s string) bool { return s != "tunnelled home-test-init" })); n != 1 {
		t.Errorf("%d tests of the home address, which was answered; want 1", n)
	}
	w.lose, w.sent = nil, nil
	w.bound(wimax)
	w.wantRoute(wimax)
}

func TestALostAcknowledgementIsAskedForAgain(t *testing.T) {
	w := newWorld(t)
	lost := false
	w.lose = func(m mh.Message) bool {
		if m.Type() != mh.TypeBindingAcknowledgement || lost {
			return false
		}
		lost = true
		return true
	}
	w.bound(wlan)
	w.sent = nil
	w.run(time.Second)
	w.wantSent("binding-update 7m0s", "binding-acknowledgement accepted")
	w.wantRoute(wlan)
}

func TestAHandoverBeforeTheAnswerGoesOnWithTheNewAddress(t *testing.T) {
	w := newWorld(t)
	w.lose = func(m mh.Message) bool { return m.Type() == mh.TypeCareOfTest }
	w.bound(wlan)
	w.lose, w.sent = nil, nil
	w.bound(wimax)
	w.wantSent("care-of-test-init", "care-of-test", "binding-update 7m0s", "binding-acknowledgement accepted")
	w.wantRoute(wimax)
}

func TestACorrespondentThatForgotIsToldAnew(t *testing.T) {
	w := newWorld(t)
	w.bound(wlan)
	w.correspondent = NewCorrespondent(3, 10, peerAddress)
	delete(w.routes, "correspondent")
	w.sent = nil
	w.act("correspondent", w.correspondent.Stranger(w.now, peerAddress, homeAddress, wlan))
	// Its nonces are new: the old tokens are refused, and asked for anew.
	w.wantSent(append([]string{"binding-error", "binding-update 7m0s", "binding-acknowledgement expired-nonces"},
		append(both, "binding-update 7m0s", "binding-acknowledgement accepted")...)...)
	w.wantRoute(wlan)
}

func TestACorrespondentWithoutRoomRefuses(t *testing.T) {
	w := newWorld(t)
	w.correspondent = NewCorrespondent(2, 0, peerAddress)
	w.bound(wlan)
	w.wantSent(append(both, "binding-update 7m0s", "binding-acknowledgement insufficient-resources")...)
	w.wantRoute(netip.Addr{})
	if !w.mobile.Deadline().IsZero() {
		t.Error("asks again")
	}
}

func TestWithoutABindingNothingGoesDirectly(t *testing.T) {
	w := newWorld(t)
	w.bound(wlan)
	w.sent = nil
	w.act("mobile", w.mobile.Unbound())
	if _, there := w.routes["mobile"]; there {
		t.Error("the mobile keeps its route")
	}
	w.run(time.Hour)
	w.wantSent()
	w.bound(wlan)
	w.wantRoute(wlan)
}

func TestAPeerThatKnowsNoMobilityHeaderIsLeftAlone(t *testing.T) {
	for _, what := range []string{"home-test-init", "care-of-test-init", "binding-update"} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			var refused []byte
			w.lose = func(m mh.Message) bool { return mh.Name(m) == what }
			w.seen = func(octets []byte, m mh.Message) {
				if mh.Name(m) == what {
					refused = slices.Clone(octets)
				}
			}
			w.bound(wlan)
			other := slices.Clone(refused)
			other[len(other)-1] ^= 1 // its checksum does not hold
			for what, b := range map[string][]byte{"nothing": nil, "half of it": refused[:len(refused)/2], "another": other, "an answer": w.careOfTestTo(refused)} {
				if out := w.mobile.Unsupported(w.now, b); len(out) != 0 {
					t.Errorf("%s: %v, want that it is ignored", what, out)
				}
			}
			w.act("mobile", w.mobile.Unsupported(w.now, refused))
			w.lose, w.sent = nil, nil
			w.run(time.Minute)
			w.bound(wimax)
			w.wantSent()
			w.run(unableFor)
			w.bound(wlan)
			w.wantRoute(wlan)
		})
	}
}

// careOfTestTo is a Care-of Test to where a packet came from.
func (w *world) careOfTestTo(octets []byte) []byte {
	w.t.Helper()
	p, err := ipv6.Parse(octets)
	if err != nil {
		w.t.Fatal(err)
	}
	return (&letter{src: p.Dst, dst: p.Src}).packet(&mh.CareOfTest{})
}

// The care-of test need not wait for the home agent's acknowledgement, and the
// Binding Update does.
func TestACareOfTestRunsAheadOfTheHomeRegistration(t *testing.T) {
	for _, answered := range []bool{true, false} {
		w := newWorld(t)
		w.bound(wlan)
		w.act("mobile", w.mobile.Unbound())
		w.sent = nil
		var late []byte
		w.lose = func(m mh.Message) bool { return !answered && mh.Name(m) == "care-of-test" }
		w.seen = func(octets []byte, m mh.Message) {
			if mh.Name(m) == "care-of-test" {
				late = slices.Clone(octets)
			}
		}
		w.act("mobile", w.mobile.Attached(w.now, wimax))
		w.wantSent("care-of-test-init", "care-of-test")
		w.bound(wimax)
		if !answered {
			w.wantSent()
			w.act("mobile", w.mobile.Received(w.now, late, false))
		}
		w.wantSent("binding-update 7m0s", "binding-acknowledgement "+mh.Accepted.String())
		w.wantRoute(wimax)
	}
}

func TestNothingIsTestedAheadWithoutAHomeToken(t *testing.T) {
	w := newWorld(t)
	w.act("mobile", w.mobile.Unbound())
	w.act("mobile", w.mobile.Attached(w.now, wlan))
	w.wantSent()
	w.bound(wlan)
	w.wantSent(append(slices.Clone(both), "binding-update 7m0s", "binding-acknowledgement "+mh.Accepted.String())...)
}

func TestEachTestHasACookieOfItsOwn(t *testing.T) {
	w := newWorld(t)
	cookies := map[[8]byte]bool{}
	n := 0
	w.lose = func(mh.Message) bool { return true }
	w.seen = func(_ []byte, m mh.Message) {
		switch m := m.(type) {
		case *mh.HomeTestInit:
			cookies[m.Cookie] = true
			n++
		case *mh.CareOfTestInit:
			cookies[m.Cookie] = true
			n++
		}
	}
	w.bound(wlan)
	w.run(time.Minute)
	if n < 8 || len(cookies) != n {
		t.Errorf("%d cookies in %d tests", len(cookies), n)
	}
}

func TestNothingIsBoundForLongerThanAtHome(t *testing.T) {
	w := newWorld(t)
	w.act("mobile", w.mobile.Bound(w.now, homeAddress, wlan, w.now.Add(23*time.Second)))
	w.wantSent(append(slices.Clone(both), "binding-update 20s", "binding-acknowledgement "+mh.Accepted.String())...)
}

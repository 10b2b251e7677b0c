package dot1x

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/wire/eapol"
)

func TestAStationThatProvesItselfIsLetOn(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	var frames []string
	w.seen = func(_, _ [6]byte, b []byte) { frames = append(frames, kind(b)) }
	w.at(alice, LinkUp{})
	w.run(time.Second)
	w.expect("router asks alice: start", "router authorizes alice", "alice opens")
	w.ports(alice)
	if want := strings.Fields("EAPOL-Start Request/Identity Response/Identity Request Response Request Response Success"); !slices.Equal(frames, want) {
		t.Errorf("frames %v, want %v", frames, want)
	}
	if d := w.router.Deadline(); !d.After(w.now.Add(59 * time.Minute)) {
		t.Errorf("the router has something to do at %v", d)
	}
}

func TestTheCarrierAloneBeginsAnAuthentication(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice, bob)
	for _, mac := range w.order {
		w.peers[mac].o.MaxStart = 1
	}
	w.copies = func(_ int, from, to [6]byte) int { // no Start gets through
		if from != router && to == eapol.Group {
			return 0
		}
		return 1
	}
	w.comeUp()
	w.run(time.Second)
	w.expect("router asks alice: carrier", "router asks bob: carrier",
		"router authorizes alice", "router authorizes bob", "alice opens", "bob opens")
	w.ports(alice, bob)
	if len(w.asked) != 6 {
		t.Errorf("the server was asked %d times, want 3 for each", len(w.asked))
	}
}

func TestOnAnEmptyLinkTheCarrierAsksOnlyForAWhile(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{MaxReq: 2})
	w.atRouter(CarrierUp{})
	w.run(time.Hour)
	if w.frames != 3 || !w.router.Deadline().IsZero() {
		t.Errorf("%d requests, want 3; next at %v", w.frames, w.router.Deadline())
	}
}

func TestAStationThatIsHeardIsAsked(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	w.peers[alice].Step(w.now, LinkUp{}) // its Start goes nowhere
	w.atRouter(Heard{alice})
	w.atRouter(Heard{alice})
	w.run(time.Second)
	w.expect("router asks alice: heard", "router authorizes alice", "alice opens")
}

// Of eight frames each is lost once, and then each that was sent for it.
func TestEachLostFrameIsMadeUpFor(t *testing.T) {
	for lost := range 8 {
		for second := lost; second < lost+5; second++ {
			w := newWorld(t, AuthenticatorOptions{}, alice)
			w.copies = func(n int, _, _ [6]byte) int {
				if n == lost || n == second {
					return 0
				}
				return 1
			}
			w.at(alice, LinkUp{})
			w.run(40 * time.Second)
			w.ports(alice)
			if t.Failed() {
				t.Fatalf("without frames %d and %d:\n%q", lost, second, w.told)
			}
		}
	}
}

func TestFramesThatComeTwiceAreTakenOnce(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice, bob)
	w.copies = func(int, [6]byte, [6]byte) int { return 2 }
	w.comeUp()
	w.run(time.Minute)
	w.ports(alice, bob)
	var said []string
	for _, line := range w.told {
		if !strings.Contains(line, "ignores") {
			said = append(said, line)
		}
	}
	for _, who := range []string{"alice", "bob"} {
		for _, want := range []string{"router authorizes " + who, who + " opens"} {
			if n := len(slices.DeleteFunc(slices.Clone(said), func(s string) bool { return s != want })); n != 1 {
				t.Errorf("%q came %d times in %q", want, n, said)
			}
		}
	}
	if len(w.asked) != 6 {
		t.Errorf("the server was asked %d times, want 3 for each", len(w.asked))
	}
}

func TestAStartThatComesTwiceBeginsOnce(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{})
	var requests []string
	w.seen = func(from, _ [6]byte, b []byte) {
		if from == router {
			requests = append(requests, string(b))
		}
	}
	w.forge(alice, eapol.Group, frame(eapol.Start, nil))
	w.forge(alice, eapol.Group, frame(eapol.Start, nil))
	w.run(time.Second)
	w.expect("router asks alice: start")
	if len(requests) != 2 || requests[0] != requests[1] {
		t.Errorf("requests %x, want the same twice", requests)
	}
}

func TestAnAnswerToAnEarlierConversationHasNoEffectInTheNext(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	w.silent = true
	w.at(alice, LinkUp{})
	w.run(time.Second)
	w.at(alice, Logon{})
	w.run(time.Second)
	w.expect("router asks alice: start", "router abandons alice", "router asks alice: start")
	if len(w.asked) != 2 || w.asked[0].Conversation == w.asked[1].Conversation {
		t.Fatalf("asked %+v, want two conversations", w.asked)
	}
	w.atRouter(FromServer{Station: alice, Conversation: w.asked[0].Conversation, Verdict: Accept})
	w.expect("router ignores alice: late-answer-of-server")
	w.ports()
}

func TestAuthenticationSurvivesALinkThatLosesAThirdEachWay(t *testing.T) {
	var worst time.Duration
	for seed := range uint64(300) {
		chance := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t, AuthenticatorOptions{}, alice, bob)
		w.copies = func(int, [6]byte, [6]byte) int { return []int{0, 1, 1, 0, 1, 1, 0, 1, 2}[chance.IntN(9)] }
		w.comeUp()
		for range 600 {
			w.run(time.Second)
			if w.peers[alice].Authorized() && w.peers[bob].Authorized() {
				break
			}
		}
		w.ports(alice, bob)
		if t.Failed() {
			t.Fatalf("seed %d:\n%q", seed, w.told)
		}
		worst = max(worst, w.now.Sub(start))
	}
	t.Logf("the slowest of 300 took %v", worst)
}

func TestAStationThatFailsIsToldAndNotListenedToForAWhile(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{QuietPeriod: 20 * time.Second}, alice)
	w.peers[alice].secret = 1
	w.at(alice, LinkUp{})
	w.run(time.Second)
	w.expect("router asks alice: start", "router fails alice: refused-by-server", "alice fails: refused-by-authenticator")
	w.ports()
	w.run(18 * time.Second) // alice asks again after 6 s, three times
	w.expect("router ignores alice: quiet-period", "router ignores alice: quiet-period", "router ignores alice: quiet-period", "alice has no answer to 3")
	w.forge(alice, router, frame(eapol.Logoff, nil))
	w.run(900 * time.Millisecond)
	w.expect("router ignores alice: quiet-period")
	w.peers[alice].secret = w.secret
	w.run(2 * time.Second)
	w.expect("router asks alice: quiet-period-over", "router authorizes alice", "alice opens")
}

func TestAStationWithoutAServerIsToldToFail(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	w.silent = true
	w.at(alice, LinkUp{})
	w.run(6200 * time.Millisecond)
	w.expect("router asks alice: start", "router abandons alice", "router fails alice: server-timeout", "alice fails: refused-by-authenticator")
	w.ports()

	// An answer that comes after all has no effect.
	w.atRouter(w.serve(w.asked[0]))
	w.expect("router ignores alice: late-answer-of-server")
	w.silent = false
	w.run(10 * time.Second)
	w.ports(alice)
}

func TestAServerSaysWhyItRefuses(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	w.verdict = func(in *FromServer, _ ToServer) {
		*in = FromServer{Station: in.Station, Conversation: in.Conversation, Verdict: Reject, Reason: "unknown-subscriber"}
	}
	w.at(alice, LinkUp{})
	w.run(time.Second)
	w.expect("router asks alice: start", "router fails alice: unknown-subscriber", "alice fails: refused-by-authenticator")
}

func TestAnswersOfAServerThatContradictThemselvesLetNobodyOn(t *testing.T) {
	for what, change := range map[string]func(*FromServer){
		"accept with a failure":   func(in *FromServer) { in.EAP[0] = eapFailure },
		"accept with a request":   func(in *FromServer) { in.EAP = identityRequest(9) },
		"continue with a success": func(in *FromServer) { in.Verdict = Continue },
		"accept with rubbish":     func(in *FromServer) { in.EAP = []byte{3} },
		"continue with nothing":   func(in *FromServer) { in.Verdict, in.EAP = Continue, nil },
		"a packet too long": func(in *FromServer) {
			in.Verdict, in.EAP = Continue, make([]byte, 1497)
			copy(in.EAP, []byte{eapRequest, 1, 1497 >> 8, 1497 & 0xff, method})
		},
	} {
		w := newWorld(t, AuthenticatorOptions{}, alice)
		w.verdict = func(in *FromServer, _ ToServer) {
			if in.Verdict == Accept {
				change(in)
			}
		}
		w.at(alice, LinkUp{})
		w.run(time.Second)
		if w.ports(); t.Failed() {
			t.Fatal(what)
		}
		if !slices.ContainsFunc(w.told, func(s string) bool {
			return strings.HasPrefix(s, "router fails alice: ") && strings.HasSuffix(s, "-of-server")
		}) {
			t.Errorf("%s: told %q", what, w.told)
		}
	}
}

func TestAnAcceptWithoutAnEAPPacketSucceeds(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	w.verdict = func(in *FromServer, _ ToServer) {
		if in.Verdict == Accept {
			in.EAP = nil
		}
	}
	w.at(alice, LinkUp{})
	w.run(time.Second)
	w.ports(alice)
}

func TestStationsAreLetOnEachByItself(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice, bob)
	w.peers[bob].secret = 1
	w.comeUp()
	w.run(time.Second)
	w.ports(alice)
	w.at(bob, LinkDown{})
	w.peers[bob].secret = w.secret
	w.run(time.Minute)
	w.at(bob, LinkUp{})
	w.run(time.Minute)
	w.ports(alice, bob)
	w.at(alice, Logoff{})
	w.run(time.Second)
	w.ports(bob)
}

// A Logoff says nothing but whose it is, and a third station can say that too. It is
// how EAPOL was made; see the package's comment.
func TestALogoffShutsAStationOutWhoeverSentIt(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	w.at(alice, LinkUp{})
	w.run(time.Second)
	w.told = nil
	w.forge(mallet, router, frame(eapol.Logoff, nil)) // in its own name it does nothing
	w.run(time.Second)
	w.expect("router ignores 020000000003: unknown-station")
	w.ports(alice)
	w.forge(alice, router, frame(eapol.Logoff, nil))
	w.run(time.Second)
	w.expect("router shuts alice out: logoff")

	// Alice gets on again where its owner notices.
	w.at(alice, Logon{})
	w.run(time.Second)
	w.expect("router asks alice: start", "router authorizes alice", "alice opens again")
}

func TestAnAuthorizedStationStaysOnWhileItIsAuthenticatedAgain(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{ReauthPeriod: time.Minute}, alice)
	w.at(alice, LinkUp{})
	w.run(59 * time.Second)
	w.told = nil
	w.run(2 * time.Second)
	w.expect("router asks alice: reauth-period", "router authorizes alice again", "alice opens again")
	if n := len(w.asked); n != 6 || !w.asked[3].First || !w.asked[3].Again || w.asked[3].Conversation == w.asked[0].Conversation {
		t.Errorf("asked %+v", w.asked)
	}
	w.atRouter(Reauthenticate{alice})
	w.run(time.Second)
	w.expect("router asks alice: asked", "router authorizes alice again", "alice opens again")
	w.atRouter(Reauthenticate{bob})
	w.expect("router ignores bob: not-authorized")

	w.peers[alice].secret = 1
	w.run(time.Minute)
	w.ports()
	if !slices.Contains(w.told, "router shuts alice out: refused-by-server") || !slices.Contains(w.told, "alice shuts: refused-by-authenticator") {
		t.Errorf("told %q", w.told)
	}
}

func TestAStationThatIsGoneIsShutOutWhenItIsAuthenticatedAgain(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{ReauthPeriod: time.Minute}, alice)
	w.at(alice, LinkUp{})
	w.run(time.Second)
	w.at(alice, LinkDown{})
	w.told = nil
	w.run(time.Minute + 16*time.Second)
	if want := []string{"router asks alice: reauth-period", "router fails alice: no-answer", "router shuts alice out: no-answer"}; !slices.Equal(slices.DeleteFunc(w.told, func(s string) bool { return strings.HasPrefix(s, "alice ignores") }), want) {
		t.Errorf("told %q, want %q", w.told, want)
	}
	if len(w.router.stations) != 0 {
		t.Error("it is not forgotten")
	}
}

func TestASessionEndsWhenItsTimeIsOut(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	w.verdict = func(in *FromServer, _ ToServer) { in.SessionTimeout = 100 * time.Second }
	w.at(alice, LinkUp{})
	w.run(time.Second)
	w.told = nil

	// It is authenticated again before.
	w.run(80 * time.Second)
	w.expect("router asks alice: reauth-period", "router authorizes alice again", "alice opens again")

	// What does not come to an end before is too late.
	w.copies = func(_ int, from, _ [6]byte) int {
		if from == alice {
			return 0
		}
		return 1
	}
	w.router.o.MaxReq = 1000
	w.run(w.router.stations[0].ends.Add(-time.Millisecond).Sub(w.now))
	w.expect("router asks alice: reauth-period", "alice fails: authenticator-timeout")
	w.run(2 * time.Millisecond)
	w.expect("router shuts alice out: session-timeout", "router fails alice: session-timeout",
		"alice fails: refused-by-authenticator", "alice shuts: refused-by-authenticator")
}

func TestAServerMayEndASession(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	w.at(alice, LinkUp{})
	w.run(time.Second)
	w.told = nil
	w.atRouter(Revoke{alice, "subscription-ended"})
	w.expect("router shuts alice out: subscription-ended", "router fails alice: subscription-ended")
	w.run(10 * time.Millisecond)
	w.expect("alice ignores router: no-conversation") // it has no reason to believe so; it is asked again
	w.verdict = func(in *FromServer, _ ToServer) { in.Verdict, in.EAP = Reject, nil }
	w.run(7 * time.Second)
	w.expect("router asks alice: quiet-period-over", "router fails alice: refused-by-server", "alice fails: refused-by-authenticator", "alice shuts: refused-by-authenticator")
	w.atRouter(Revoke{bob, "subscription-ended"})
	w.expect("router ignores bob: not-authorized")
}

func TestStationsGoWithTheCarrier(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice, bob)
	w.comeUp()
	w.run(time.Second)
	w.told = nil
	w.atRouter(Left{bob})
	w.atRouter(CarrierDown{})
	w.expect("router shuts bob out: left", "router shuts alice out: carrier-lost")
	if len(w.router.stations) != 0 || !w.router.Deadline().IsZero() {
		t.Error("something is left of them")
	}
}

func TestAFloodOfStationsPushesOutNobodyWhoIsAuthorized(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{Most: 8}, alice, bob)
	w.comeUp()
	w.run(time.Second)
	w.ports(alice, bob)
	w.atRouter(Reauthenticate{alice}) // which makes no difference
	for i := range uint32(1000) {
		mac := [6]byte{6}
		binary.BigEndian.PutUint32(mac[2:], i)
		w.atRouter(Received{From: mac, Octets: frame(eapol.Start, nil)})
		if n := len(w.router.stations); n > 8 {
			t.Fatalf("%d stations, want 8 or fewer", n)
		}
	}
	w.ports(alice, bob)
	w.told = nil
	w.run(time.Minute)
	if n := len(w.router.stations); n != 2 {
		t.Errorf("%d stations a minute later, want 2", n)
	}

	// Where all are authorised there is no place.
	full := newWorld(t, AuthenticatorOptions{Most: 2}, alice, bob)
	full.comeUp()
	full.run(time.Second)
	full.told = nil
	full.forge(mallet, router, frame(eapol.Start, nil))
	full.run(time.Second)
	full.expect("router ignores 020000000003: too-many-stations")
	full.ports(alice, bob)
}

func TestAnAuthenticatorTakesOnlyTheResponseToItsRequest(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{})
	w.forge(alice, eapol.Group, frame(eapol.Start, nil))
	w.run(2 * time.Millisecond)
	w.told = nil
	id := w.router.stations[0].id
	for _, c := range []struct {
		octets []byte
		want   string
	}{
		{eapFrame(eapResponse, id+1, 0, 5, eapIdentity), "unexpected-response"},
		{eapFrame(eapResponse, id, 0, 5, method), "no-identity"},
		{eapFrame(eapRequest, id, 0, 5, eapIdentity), "no-response"},
		{eapFrame(eapSuccess, id, 0, 4), "no-response"},
		{eapFrame(eapResponse, id, 0, 200, eapIdentity), "malformed-eap"},
		{eapFrame(eapResponse, id, 0, 4), "malformed-eap"},
		{eapFrame(5, id, 0, 5, 0), "malformed-eap"},
		{eapFrame(), "malformed-eap"},
		{[]byte{2, 0, 0, 9}, "malformed-frame"},
		{frame(eapol.Key, []byte{1}), "unused-frame-type"},
	} {
		w.atRouter(Received{From: alice, Octets: c.octets})
		w.expect("router ignores alice: " + c.want)
	}
	w.atRouter(Received{From: eapol.Group, Octets: frame(eapol.Start, nil)})
	w.expect("router ignores 0180c2000003: no-station-address")
	if len(w.asked) != 0 {
		t.Errorf("the server was asked %+v", w.asked)
	}
}

func TestPaddingBehindAnEAPPacketDoesNotReachTheServer(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{})
	w.forge(alice, eapol.Group, frame(eapol.Start, nil))
	w.run(2 * time.Millisecond)
	w.atRouter(Received{From: alice, Octets: eapFrame(eapResponse, w.router.stations[0].id, 0, 5, eapIdentity, 0, 0, 0)})
	if len(w.asked) != 1 || len(w.asked[0].EAP) != 5 {
		t.Errorf("asked %+v, want five octets", w.asked)
	}
}

func TestAMasterSessionKeyIsNotPrinted(t *testing.T) {
	key := MSK("a secret of sixty-four octets")
	o := Authorize{Station: alice, MSK: key}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		if s := fmt.Sprintf(verb, o); strings.Contains(s, "secret") || strings.Contains(s, "736563726574") || strings.Contains(s, "115") {
			t.Errorf("%s prints %s", verb, s)
		}
	}
}

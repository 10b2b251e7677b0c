package router

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
	"s2clab/nodes/wire/eapol"
)

func TestAStationIsAdmittedWhenTheServerSaysSo(t *testing.T) {
	s := newStory(t, configuration())
	s.says(alice, eapol.Start, nil)
	s.responds(alice, eap.TypeIdentity, nai)
	first, err := diameter.ParseDiameterEAPRequest(s.asked[0].message)
	if err != nil {
		t.Fatal(err)
	}
	if first.Application != diameter.STa || first.User != nai || first.DestinationRealm != "epc.example" || first.Host != "gw.example" || first.Type != diameter.AuthorizeAuthenticate ||
		first.CallingStation != "02-00-00-00-00-0A" || *first.RAT != diameter.WLAN || first.AccessNetwork != "WLAN" || string(first.EAP[5:]) != nai || first.State != nil {
		t.Errorf("asked %+v", first)
	}
	s.now = began.Add(100 * time.Millisecond)
	s.answers(s.challenge(100))
	s.responds(alice, eap.TypeAKAPrime, "\x01\x00\x00")
	second, err := diameter.ParseDiameterEAPRequest(s.asked[0].message)
	if err != nil {
		t.Fatal(err)
	}
	if second.User != nai || string(second.State) != "state" || second.EAP[1] != 100 {
		t.Errorf("asked %+v", second)
	}
	s.answers(s.success(100))
	s.want(
		"0s Identity -> alice",
		"0s diameter-eap-request of 1 to any",
		"0s aaa-asked round=1 alice",
		"100ms aaa-answered name=multi-round-auth result=1001 alice",
		"100ms EAP-AKA' -> alice",
		"100ms diameter-eap-request of 1 to aaa.example",
		"100ms aaa-asked round=2 alice",
		"100ms aaa-answered name=success result=2001 alice",
		"100ms admit alice",
		"100ms key-made how=from aaa.example key=MSK",
		"100ms station-admitted again=false latency=0.1 method=eap-aka-prime rounds=2 alice",
		"100ms Success -> alice",
	)
	if got := s.m.Stations(s.now.Add(time.Second)); len(got) != 1 || got[0] != (Station{Link: "wlan", Station: "02:00:00:00:00:0a", NAI: imsi, Method: "eap-aka-prime", Session: "gw.example;1;1", Server: "aaa.example", Age: 1}) {
		t.Errorf("stations %+v", got)
	}
}

func TestTheNAIIsTheServersOrElseTheStations(t *testing.T) {
	for name, tt := range map[string]struct{ user, mobile, want string }{
		"User-Name":              {imsi, "other@example", imsi},
		"Mobile-Node-Identifier": {"", "other@example", "other@example"},
		"neither":                {"", "", nai},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, configuration())
			s.begins(alice)
			a := s.success(s.id[alice])
			a.User, a.MobileNode = tt.user, tt.mobile
			s.answers(a)
			if got := s.m.Stations(s.now); len(got) != 1 || got[0].NAI != tt.want {
				t.Errorf("stations %+v", got)
			}
		})
	}
}

func TestAKeyIsToldByItsPrintAlone(t *testing.T) {
	for _, show := range []bool{false, true} {
		cfg := configuration()
		cfg.ShowKeys = show
		s := newStory(t, cfg)
		s.begins(alice)
		var made []map[string]any
		q := s.pop()
		a := s.success(s.id[alice])
		a.Session, a.Identity, a.Type = q.session, diameter.Identity{Host: "aaa.example", Realm: "epc.example"}, diameter.AuthorizeAuthenticate
		for _, o := range s.m.Step(s.now, AAAAnswered{ID: q.id, Outcome: outcome(t, q, a)}) {
			if e, ok := o.(Event); ok && e.Name == "key-made" {
				made = append(made, e.Fields)
			}
		}
		if len(made) != 1 || made[0]["nai"] != imsi || made[0]["key"] != "MSK" || made[0]["print"] != keys.Print(msk) || made[0]["octets"] != 64 {
			t.Fatalf("told %v", made)
		}
		if value, told := made[0]["value"]; told != show || show && value != fmt.Sprintf("%x", msk) {
			t.Errorf("with show %v the value is told: %v", show, told)
		}
	}
}

func TestARefusedStationGetsTheServersPacketAndStaysOut(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	s.told = nil
	failure := packet(eap.Failure, s.id[alice])
	s.answers(s.refusal(diameter.AuthenticationRejected, failure))
	s.want("0s aaa-answered name=authentication-rejected result=4001 alice", "0s Failure -> alice", "0s station-refused reason=authentication-rejected alice")
	s.begins(alice) // in the quiet period
	s.want("0s message-ignored reason=quiet-period alice", "0s message-ignored reason=quiet-period alice")
	if len(s.m.sessions)+len(s.m.questions)+len(s.m.links[0].stations) != 0 {
		t.Error("something is left")
	}
}

func TestAResultOfTheThreeGPPAndWithoutAPacketIsARefusalToo(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	s.told = nil
	s.answers(s.refusal(diameter.ResultCode(diameter.TGPP)<<32|5001, nil))
	s.want("0s aaa-answered name=user-unknown result=5001 alice", "0s Failure -> alice", "0s station-refused reason=user-unknown alice")
}

func TestSuccessWithAnEAPFailureAdmitsNobody(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	s.told = nil
	a := s.success(s.id[alice])
	a.EAP = packet(eap.Failure, s.id[alice])
	s.answers(a)
	s.want("0s aaa-answered name=success result=2001 alice", "0s Failure -> alice", "0s station-refused reason=contradictory-answer-of-server alice",
		"0s session-termination-request of 1 to aaa.example administrative")
	s.ends()
	s.want("0s session-terminated result=2001")
}

func TestSuccessWithoutAKeyAdmitsNobody(t *testing.T) {
	for _, short := range [][]byte{nil, msk[:63]} {
		s := newStory(t, configuration())
		s.begins(alice)
		s.told = nil
		a := s.success(s.id[alice])
		a.MSK = short
		s.answers(a)
		s.want("0s aaa-answered name=success result=2001 alice", "0s Failure -> alice", "0s station-refused reason=no-master-session-key alice",
			"0s session-termination-request of 1 to aaa.example administrative")
	}
}

func TestASilentServerIsAFailure(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	s.told = nil
	s.until(2 * time.Second)
	s.arrives(s.pop(), diampeer.Outcome{Reason: "time-out", Session: "gw.example;1;1", EndToEnd: 1})
	s.want("2s aaa-failed reason=time-out alice", "2s Failure -> alice", "2s station-refused reason=aaa-time-out alice")
	s.until(8 * time.Second) // and after the quiet period it is asked again
	s.want("8s Identity -> alice")
}

func TestAQuestionThatIsLostIsAFailureToo(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	s.told = nil
	s.until(4 * time.Second)
	s.want("4s Failure -> alice", "4s station-refused reason=server-timeout alice")
}

func TestProtocolErrorsOfAServerAreFailures(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	s.told = nil
	q := s.pop()
	octets, err := diameter.AppendFailure(nil, q.message, diameter.Identity{Host: "aaa.example", Realm: "epc.example"}, &diameter.Failure{Result: diameter.TooBusy, What: "busy"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := diameter.Parse(octets)
	if err != nil {
		t.Fatal(err)
	}
	s.arrives(q, diampeer.Outcome{Reason: "too-busy", Result: diameter.TooBusy, Message: m})
	s.want("0s aaa-failed reason=too-busy alice", "0s Failure -> alice", "0s station-refused reason=aaa-too-busy alice")
}

func TestAMalformedAnswerIsAFailure(t *testing.T) {
	for name, o := range map[string]func(q asked) diampeer.Outcome{
		"that cannot be read": func(asked) diampeer.Outcome { return diampeer.Outcome{Reason: "malformed-answer"} },
		"of another round without a packet": func(q asked) diampeer.Outcome {
			return outcome(t, q, &diameter.DiameterEAPAnswer{Session: q.session, Identity: diameter.Identity{Host: "aaa.example", Realm: "epc.example"},
				Outcome: diameter.Outcome{Result: diameter.MultiRoundAuth}, Type: 3})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, configuration())
			s.begins(alice)
			s.told = nil
			q := s.pop()
			s.arrives(q, o(q))
			s.want("0s aaa-failed reason=malformed-answer alice", "0s Failure -> alice", "0s station-refused reason=aaa-malformed-answer alice")
		})
	}
}

func TestAServerThatWasRestartedMeanwhileHasToBeginAnew(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	s.answers(s.challenge(100))
	s.told = nil
	s.responds(alice, eap.TypeAKAPrime, "\x01\x00\x00")
	s.answers(s.refusal(diameter.UnknownSessionID, nil))
	s.want("0s diameter-eap-request of 1 to aaa.example", "0s aaa-asked round=2 alice", "0s aaa-answered name=unknown-session-id result=5002 alice",
		"0s Failure -> alice", "0s station-refused reason=unknown-session-id alice")
	s.until(6 * time.Second)
	s.responds(alice, eap.TypeIdentity, nai)
	s.want("6s Identity -> alice", "6s diameter-eap-request of 2 to any", "6s aaa-asked round=1 alice")
}

func TestAPacketThatTheServerDiscardsIsAskedForAgain(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	s.told = nil
	s.answers(&diameter.DiameterEAPAnswer{Outcome: diameter.Outcome{Result: diameter.MultiRoundAuth}, Reissued: packet(eap.Request, 50, byte(eap.TypeAKA), 5, 0, 0)})
	s.want("0s aaa-answered name=multi-round-auth result=1001 alice", "0s EAP-AKA -> alice")
}

func TestLogoffEndsTheSession(t *testing.T) {
	s := newStory(t, configuration())
	s.admits(alice)
	s.says(alice, eapol.Logoff, nil)
	s.want("0s bar alice", "0s station-barred reason=logoff alice", "0s session-termination-request of 1 to aaa.example logout")
	s.arrives(s.pop(), diampeer.Outcome{Reason: "time-out"})
	s.want("0s session-terminated reason=time-out result=0")
	if len(s.m.sessions)+len(s.m.questions)+len(s.m.links[0].stations) != 0 {
		t.Error("something is left")
	}
}

func TestALinkThatBreaksEndsAllSessions(t *testing.T) {
	s := newStory(t, configuration())
	s.admits(alice)
	s.admits(bob)
	s.step(CarrierChanged{Dev: "wlan"})
	s.want("0s bar alice", "0s station-barred reason=carrier-lost alice", "0s session-termination-request of 1 to aaa.example link-broken",
		"0s bar bob", "0s station-barred reason=carrier-lost bob", "0s session-termination-request of 2 to aaa.example link-broken")
}

func TestStationsAreAuthenticatedIndependently(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	s.begins(bob)
	s.told = nil
	toAlice, toBob := s.asked[0], s.asked[1]
	s.asked = nil
	s.answersTo(toBob, s.success(s.id[bob]))
	s.answersTo(toAlice, s.refusal(diameter.AuthorizationRejected, nil))
	s.want(
		"0s aaa-answered name=success result=2001 bob",
		"0s admit bob",
		"0s key-made how=from aaa.example key=MSK",
		"0s station-admitted again=false latency=0 method=unknown rounds=1 bob",
		"0s Success -> bob",
		"0s aaa-answered name=authorization-rejected result=5003 alice",
		"0s Failure -> alice",
		"0s station-refused reason=authorization-rejected alice",
	)
}

func abort(session, from, to string) *diameter.AbortSessionRequest {
	return &diameter.AbortSessionRequest{Application: diameter.STa, Session: session, Identity: diameter.Identity{Host: from, Realm: "epc.example"},
		DestinationRealm: "visited.example", DestinationHost: to, User: imsi}
}

func TestAnAbortBarsTheStationAtOnce(t *testing.T) {
	s := newStory(t, configuration())
	s.admits(alice)
	s.admits(bob)
	s.orders(abort("gw.example;1;1", "aaa.example", "gw.example"))
	s.want("0s session-aborted result=2001", "0s abort-session-answer success", "0s bar alice", "0s station-barred reason=aborted-by-server alice",
		"0s session-termination-request of 1 to aaa.example administrative", "0s Failure -> alice")
	s.orders(abort("gw.example;1;1", "aaa.example", "gw.example"))
	s.want("0s session-aborted result=5002", "0s abort-session-answer unknown-session-id")
	s.orders(abort("gw.example;1;2", "mallet.example", "gw.example"))
	s.want("0s session-aborted result=5012", "0s abort-session-answer unable-to-comply")
	s.orders(abort("gw.example;1;2", "aaa.example", "other.example"))
	s.want("0s session-aborted result=3002", "0s abort-session-answer unable-to-deliver")
}

func TestAnAbortEndsAConversation(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	s.answers(s.challenge(100))
	s.told = nil
	s.orders(abort("gw.example;1;1", "aaa.example", "gw.example"))
	s.want("0s session-aborted result=2001", "0s abort-session-answer success", "0s Failure -> alice", "0s station-refused reason=aborted-by-server alice")
	if len(s.m.sessions) != 0 {
		t.Error("the session is known still")
	}
}

func reAuth(session string) *diameter.ReAuthRequest {
	return &diameter.ReAuthRequest{Application: diameter.STa, Session: session, Identity: diameter.Identity{Host: "aaa.example", Realm: "epc.example"},
		DestinationRealm: "visited.example", DestinationHost: "gw.example", Type: diameter.ReAuthorizeAuthenticate}
}

// RFC 6733, section 8.3: within the same session.
func TestAServerHasAStationAuthenticatedAgain(t *testing.T) {
	s := newStory(t, configuration())
	s.admits(alice)
	s.orders(reAuth("gw.example;1;1"))
	s.responds(alice, eap.TypeIdentity, nai)
	s.finishes(alice)
	s.want(
		"0s reauthentication-asked result=2001",
		"0s re-auth-answer success",
		"0s Identity -> alice",
		"0s diameter-eap-request of 1 to aaa.example",
		"0s aaa-asked round=1 alice",
		"0s aaa-answered name=multi-round-auth result=1001 alice",
		"0s EAP-AKA' -> alice",
		"0s diameter-eap-request of 1 to aaa.example",
		"0s aaa-asked round=2 alice",
		"0s aaa-answered name=success result=2001 alice",
		"0s station-admitted again=true latency=0 method=eap-aka-prime rounds=2 alice",
		"0s Success -> alice",
	)
	s.orders(reAuth("gw.example;1;9"))
	s.want("0s reauthentication-asked result=5002", "0s re-auth-answer unknown-session-id")
	s.begins(bob)
	s.answers(s.challenge(100))
	s.told = nil
	s.orders(reAuth("gw.example;1;2"))
	s.want("0s reauthentication-asked result=5012", "0s re-auth-answer unable-to-comply")
}

func TestAStationThatFailsWhenAuthenticatedAgainIsBarred(t *testing.T) {
	s := newStory(t, configuration())
	s.admits(alice)
	s.begins(alice)
	s.told = nil
	s.answers(s.refusal(diameter.AuthenticationRejected, nil))
	s.want("0s aaa-answered name=authentication-rejected result=4001 alice", "0s bar alice", "0s station-barred reason=authentication-rejected alice",
		"0s session-termination-request of 1 to aaa.example administrative", "0s Failure -> alice")
	if len(s.m.sessions)+len(s.m.links[0].stations) != 0 {
		t.Error("something is left")
	}
}

func TestAContradictionWhenAuthenticatedAgainIsToldTheServerOnce(t *testing.T) {
	s := newStory(t, configuration())
	s.admits(alice)
	s.begins(alice)
	s.told = nil
	a := s.success(s.id[alice])
	a.MSK = nil
	s.answers(a)
	s.want("0s aaa-answered name=success result=2001 alice", "0s bar alice", "0s station-barred reason=no-master-session-key alice",
		"0s session-termination-request of 1 to aaa.example administrative", "0s Failure -> alice")
}

func TestASessionThatTheServerHasForgottenIsBegunAnewWithTheStationOn(t *testing.T) {
	for name, o := range map[string]func(s *story, q asked) diampeer.Outcome{
		"unknown session": func(s *story, q asked) diampeer.Outcome {
			a := s.refusal(diameter.UnknownSessionID, nil)
			a.Session, a.Identity, a.Type = q.session, diameter.Identity{Host: "aaa.example", Realm: "epc.example"}, 3
			return outcome(t, q, a)
		},
		"server gone": func(*story, asked) diampeer.Outcome { return diampeer.Outcome{Reason: "no-peer"} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, configuration())
			s.admits(alice)
			s.begins(alice)
			s.told = nil
			q := s.pop()
			s.arrives(q, o(s, q))
			if len(s.told) != 3 || s.told[1] != "0s diameter-eap-request of 2 to any" {
				t.Fatalf("told %q", s.told)
			}
			s.finishes(alice)
			if got := s.m.Stations(s.now); len(got) != 1 || got[0].Session != "gw.example;1;2" {
				t.Errorf("stations %+v", got)
			}
			if len(s.m.sessions) != 1 {
				t.Errorf("%d sessions", len(s.m.sessions))
			}
			s.told = nil
			s.says(alice, eapol.Logoff, nil)
			s.want("0s bar alice", "0s station-barred reason=logoff alice", "0s session-termination-request of 2 to aaa.example logout")
		})
	}
}

func TestASessionEndsAtItsTimeUnlessAuthenticatedBefore(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	a := s.success(s.id[alice])
	a.SessionTimeout = time.Minute
	s.answers(a)
	if got := s.m.Stations(s.now); got[0].Remains != 60 {
		t.Errorf("stations %+v", got)
	}
	s.told = nil
	s.until(45 * time.Second)
	s.want("45s Identity -> alice") // a quarter before the end
	s.responds(alice, eap.TypeIdentity, nai)
	a = s.success(s.id[alice])
	a.SessionTimeout = time.Minute
	s.answers(a)
	s.told = nil
	s.until(89 * time.Second)
	s.want()
	s.until(2 * time.Minute) // nobody answers
	want := []string{"1m45s bar alice", "1m45s station-barred reason=session-timeout alice", "1m45s session-termination-request of 1 to aaa.example session-timeout"}
	if got := strings.Join(s.told, "\n"); !strings.Contains(got, strings.Join(want, "\n")) || strings.Contains(got, "refused") {
		t.Errorf("told\n%s", got)
	}
}

func TestAStationThatDoesNotAnswerWhenAuthenticatedAgainIsBarred(t *testing.T) {
	s := newStory(t, configuration())
	s.admits(alice)
	s.orders(reAuth("gw.example;1;1"))
	s.told = nil
	s.until(15 * time.Second)
	s.want("3s Identity -> alice", "6s Identity -> alice", "9s Identity -> alice", "12s Identity -> alice",
		"15s Failure -> alice", "15s bar alice", "15s station-barred reason=no-answer alice", "15s session-termination-request of 1 to aaa.example link-broken")
}

func TestAnAnswerForAStationThatHasLeftEndsWhatItBegan(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	s.says(alice, eapol.Logoff, nil)
	s.told = nil
	q := s.pop()
	s.answersTo(q, s.success(1))
	s.want("0s aaa-answered name=success result=2001 alice", "0s session-termination-request of 1 to aaa.example administrative")
	s.answersTo(q, s.success(1)) // and once more
	s.want("0s message-ignored reason=answer-to-nothing")
}

func TestAnAnswerThatComesTwiceHasNoEffect(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	q := s.pop()
	s.answersTo(q, s.challenge(100))
	s.told = nil
	s.answersTo(q, s.success(100))
	s.want("0s message-ignored reason=answer-to-nothing")
	s.responds(alice, eap.TypeAKAPrime, "\x01\x00\x00")
	s.answers(s.success(100))
	if !s.on[alice] {
		t.Error("the right answer did not count")
	}
}

func TestAnAnswerToAConversationThatWasBegunAnewIsLate(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	old := s.pop()
	s.begins(alice)
	s.told = nil
	s.answersTo(old, s.challenge(100))
	s.want("0s aaa-answered name=multi-round-auth result=1001 alice")
	s.answers(s.success(s.id[alice]))
	if !s.on[alice] {
		t.Error("the new conversation was not heard")
	}
}

func TestWhatIsNoIdentityIsNotAskedAbout(t *testing.T) {
	for name, identity := range map[string]string{
		"nothing":  "",
		"no UTF-8": "6\xff@example",
		"controls": "6\x00\x1b[2J@example",
		"too long": strings.Repeat("6", 254),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, configuration())
			s.says(alice, eapol.Start, nil)
			s.told = nil
			s.responds(alice, eap.TypeIdentity, identity)
			s.want("0s Failure -> alice", "0s station-refused reason=malformed-identity alice")
			if len(s.m.links[0].stations) != 0 {
				t.Error("something is left")
			}
		})
	}
}

func TestAConversationHasAnEnd(t *testing.T) {
	s := newStory(t, configuration())
	s.begins(alice)
	for n := range 2 * mostRounds {
		if len(s.asked) == 0 {
			if n != mostRounds {
				t.Errorf("ended after %d rounds", n)
			}
			break
		}
		s.answers(s.challenge(uint8(n)))
		s.responds(alice, eap.TypeAKAPrime, "\x01\x00\x00")
	}
	if got := s.told[len(s.told)-1]; got != "0s station-refused reason=too-many-rounds alice" {
		t.Errorf("told %s", got)
	}
}

func TestAFloodOfStationsCostsABoundedNumberOfQuestionsAndEvents(t *testing.T) {
	s := newStory(t, configuration())
	for n := range 3000 {
		mac := [6]byte{2, 1, 0, 0, byte(n >> 8), byte(n)}
		s.begins(mac)
		s.says(mac, eapol.Logoff, nil) // what was asked goes on
	}
	if len(s.asked) != mostQuestions || len(s.m.questions) != mostQuestions || len(s.m.links[0].stations) > 64 {
		t.Errorf("%d questions, %d stations", len(s.m.questions), len(s.m.links[0].stations))
	}
	counts := map[string]int{}
	for _, line := range s.told {
		counts[strings.Fields(line)[1]]++
	}
	for _, event := range []string{"aaa-asked", "station-refused"} {
		if counts[event] != eventsPerSecond {
			t.Errorf("%d times %s", counts[event], event)
		}
	}
	s.told = nil
	s.until(time.Second)
	if !strings.Contains(strings.Join(s.told, "\n"), fmt.Sprintf("events-suppressed count=%d event=aaa-asked", mostQuestions-eventsPerSecond)) {
		t.Errorf("told %q", s.told)
	}
	for len(s.asked) > 0 {
		s.arrives(s.pop(), diampeer.Outcome{Reason: "time-out"})
	}
	if len(s.m.questions) != 0 {
		t.Error("questions are left")
	}
}

func TestAStationThatThePortDoesNotLetThroughIsToldSo(t *testing.T) {
	s := newStory(t, configuration())
	s.admits(alice)
	s.step(AdmissionFailed{Dev: "wlan", Station: alice})
	s.want("0s bar alice", "0s station-barred reason=port-failed alice", "0s session-termination-request of 1 to aaa.example administrative", "0s Failure -> alice")
}

func TestLinksWithoutAServerOrWithAnotherMethodAreRefused(t *testing.T) {
	cfg := configuration()
	cfg.Router.AAA = nil
	if _, err := New(cfg, began); err == nil || !strings.Contains(err.Error(), "no AAA server") {
		t.Errorf("%v", err)
	}
	cfg = configuration()
	cfg.Interfaces[1].Auth = "eap-tls"
	if _, err := New(cfg, began); err == nil || !strings.Contains(err.Error(), `"eap-tls"`) {
		t.Errorf("%v", err)
	}
}

// Whatever stations and servers do, who is on the link has a session that can be
// aborted, and at the end nothing is left.
func FuzzMachine(f *testing.F) {
	for seed := range uint64(30) {
		f.Add(seed, []byte("no EAPOL at all"))
	}
	f.Fuzz(func(t *testing.T, seed uint64, noise []byte) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := newStory(t, configuration())
		var old []asked
		stations := [][6]byte{alice, bob, {2, 0, 0, 0, 0, 0xc}}
		for range 300 {
			who := stations[rng.IntN(len(stations))]
			switch rng.IntN(16) {
			case 0, 1:
				s.says(who, eapol.Start, nil)
			case 2:
				s.says(who, eapol.Logoff, nil)
			case 3, 4, 5:
				s.responds(who, eap.TypeIdentity, nai)
			case 6, 7:
				s.responds(who, eap.TypeAKAPrime, "\x01\x00\x00")
			case 8, 9, 10, 11:
				if len(s.asked) == 0 {
					continue
				}
				i := rng.IntN(len(s.asked))
				s.asked[0], s.asked[i] = s.asked[i], s.asked[0]
				q := s.pop()
				old = append(old, q)
				if q.message.Command != diameter.DiameterEAP {
					s.asked = append([]asked{q}, s.asked...)
					s.ends()
					continue
				}
				switch rng.IntN(6) {
				case 0:
					s.answersTo(q, s.refusal([]diameter.ResultCode{diameter.AuthenticationRejected, diameter.UnknownSessionID}[rng.IntN(2)], nil))
				case 1:
					s.arrives(q, diampeer.Outcome{Reason: []string{"time-out", "no-peer", "malformed-answer"}[rng.IntN(3)]})
				case 2, 3:
					s.answersTo(q, s.challenge(uint8(rng.Uint32())))
				default:
					a := s.success(uint8(rng.Uint32()))
					a.SessionTimeout = time.Duration(rng.IntN(100)) * time.Second
					if rng.IntN(5) == 0 {
						a.EAP = noise
					}
					s.answersTo(q, a)
				}
			case 12:
				session := fmt.Sprintf("gw.example;1;%d", 1+rng.IntN(s.names+1))
				if rng.IntN(2) == 0 {
					s.orders(reAuth(session))
				} else {
					s.orders(abort(session, "aaa.example", "gw.example"))
				}
			case 13:
				if rng.IntN(8) == 0 {
					s.step(CarrierChanged{Dev: "wlan", Carrier: rng.IntN(2) == 0})
				} else if len(old) > 0 {
					s.answersTo(old[rng.IntN(len(old))], s.success(1))
				}
			case 14:
				s.step(EAPOLReceived{Dev: "wlan", From: who, Octets: noise})
			default:
				s.until(s.now.Sub(began) + time.Duration(rng.Int64N(int64(5*time.Second))))
			}
			s.told = nil
			for _, l := range s.m.links {
				for mac, st := range l.stations {
					if st.conversation == nil && st.admission == nil {
						t.Fatalf("%s is remembered for nothing", text(mac))
					}
					if a := st.admission; (a != nil) != s.on[mac] || a != nil && s.m.sessions[a.session] != st {
						t.Fatalf("%s is on: %v; its session is not known, or another's", text(mac), s.on[mac])
					}
				}
			}
			if len(s.m.sessions) > 2*len(stations) {
				t.Fatalf("%d sessions", len(s.m.sessions))
			}
		}
		s.step(CarrierChanged{Dev: "wlan"})
		for len(s.asked) > 0 {
			s.arrives(s.pop(), diampeer.Outcome{Reason: "stopped"})
		}
		s.until(s.now.Sub(began) + 10*time.Second)
		if len(s.m.sessions)+len(s.m.questions)+len(s.m.links[0].stations)+len(s.on) != 0 || !s.m.Deadline().IsZero() {
			t.Fatalf("%d sessions, %d questions, %d stations, %d on, deadline %v", len(s.m.sessions), len(s.m.questions), len(s.m.links[0].stations), len(s.on), s.m.Deadline())
		}
	})
}

package dot1x

import (
	"strings"
	"testing"
	"time"

	"s2clab/nodes/wire/eapol"
)

func TestWithoutAnAuthenticatorThePortStaysShut(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	w.copies = func(int, [6]byte, [6]byte) int { return 0 }
	var at []time.Duration
	w.seen = func(_, to [6]byte, b []byte) {
		if to != eapol.Group || kind(b) != "EAPOL-Start" {
			t.Errorf("sent %s to %x", kind(b), to)
		}
		at = append(at, w.now.Sub(start))
	}
	w.at(alice, LinkUp{})
	w.run(16 * time.Second)
	w.expect("alice has no answer to 3")
	w.ports()
	for i, want := range []time.Duration{0, 3 * time.Second, 6 * time.Second, 15 * time.Second} { // it rests from 9 s to 15 s
		if i >= len(at) || at[i] != want {
			t.Fatalf("Starts at %v, want one at %v", at, want)
		}
	}
}

func TestWithoutAnAuthenticatorThePortOpensWhereThatIsWanted(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	w.copies = func(int, [6]byte, [6]byte) int { return 0 }
	w.peers[alice].o.Alone = AloneOpen
	w.at(alice, LinkUp{})
	w.run(time.Minute)
	w.expect("alice has no answer to 3", "alice opens alone")

	// When one comes it has to be convinced.
	w.copies = nil
	w.peers[alice].secret = 1
	w.atRouter(CarrierUp{})
	w.run(time.Second)
	w.expect("router asks alice: carrier", "router fails alice: refused-by-server", "alice fails: refused-by-authenticator", "alice shuts: refused-by-authenticator")
}

// talk brings a supplicant to where its method has answered with a progress, and gives
// the identifier of the answer.
func talk(t *testing.T, progress Progress) (*Supplicant, byte) {
	t.Helper()
	s := NewSupplicant(SupplicantOptions{})
	s.Step(start, LinkUp{})
	out := s.Step(start, Received{From: router, Octets: eapFrame(eapRequest, 7, 0, 6, method, 1)})
	to, ok := out[0].(ToMethod)
	if !ok || !to.Fresh {
		t.Fatalf("%+v", out)
	}
	s.Step(start, FromMethod{to.Exchange, []byte{eapResponse, 7, 0, 6, method, 1}, progress})
	return s, 7
}

func reasons(out []Output) string {
	var all []string
	for _, o := range out {
		switch o := o.(type) {
		case Ignored:
			all = append(all, "ignored "+o.Reason)
		case Failed:
			all = append(all, "failed "+o.Reason)
		case Open:
			all = append(all, "open")
		case Shut:
			all = append(all, "shut "+o.Reason)
		}
	}
	return strings.Join(all, ", ")
}

func TestSuccessAndFailureAreBelievedAsTheMethodSays(t *testing.T) {
	for _, c := range []struct {
		progress         Progress
		success, failure string
	}{
		{Continuing, "ignored success-before-the-method-is-done", "ignored failure-against-the-method"},
		{Doubtful, "ignored success-before-the-method-is-done", "failed refused-by-authenticator"},
		{Content, "open", "failed refused-by-authenticator"},
		{Assured, "open", "ignored failure-against-the-method"},
		{Refused, "ignored no-conversation", "ignored no-conversation"},
	} {
		for code, want := range map[byte]string{eapSuccess: c.success, eapFailure: c.failure} {
			s, id := talk(t, c.progress)
			// In answer to something else, or by somebody else, neither is.
			if got := reasons(s.Step(start, Received{From: router, Octets: eapFrame(code, id+1, 0, 4)})); c.progress != Refused && got != "ignored unexpected-result" {
				t.Errorf("progress %d, code %d with another identifier: %s", c.progress, code, got)
			}
			if got := reasons(s.Step(start, Received{From: mallet, Octets: eapFrame(code, id, 0, 4)})); c.progress != Refused && got != "ignored another-authenticator" {
				t.Errorf("progress %d, code %d of another: %s", c.progress, code, got)
			}
			if got := reasons(s.Step(start, Received{From: router, Octets: eapFrame(code, id, 0, 4)})); got != want {
				t.Errorf("progress %d, code %d: %s, want %s", c.progress, code, got, want)
			}
			if s.Authorized() != (want == "open") {
				t.Errorf("progress %d, code %d: authorised %v", c.progress, code, s.Authorized())
			}
		}
	}
}

func TestASuccessBeforeAnyRequestOpensNothing(t *testing.T) {
	s := NewSupplicant(SupplicantOptions{})
	s.Step(start, LinkUp{})
	for id := range 256 {
		for _, code := range []byte{eapSuccess, eapFailure} {
			if got := reasons(s.Step(start, Received{From: router, Octets: eapFrame(code, byte(id), 0, 4)})); got != "ignored no-conversation" {
				t.Fatal(got)
			}
		}
	}
	// Nor while the method thinks.
	s.Step(start, Received{From: router, Octets: eapFrame(eapRequest, 7, 0, 6, method, 1)})
	if got := reasons(s.Step(start, Received{From: router, Octets: eapFrame(eapSuccess, 7, 0, 4)})); got != "ignored unexpected-result" || s.Authorized() {
		t.Error(got)
	}
}

// While the method has a Request, a Success to the last Response is no answer to what
// goes on.
func TestNoResultCountsWhileTheMethodHasARequest(t *testing.T) {
	s, id := talk(t, Content)
	s.Step(start, Received{From: router, Octets: eapFrame(eapRequest, 99, 0, 6, method, 2)})
	for _, code := range []byte{eapSuccess, eapFailure} {
		if got := reasons(s.Step(start, Received{From: router, Octets: eapFrame(code, id, 0, 4)})); got != "ignored unexpected-result" {
			t.Error(got)
		}
	}
}

func TestAnIdentityRequestBeginsAnew(t *testing.T) {
	s, id := talk(t, Content)
	to, ok := s.Step(start, Received{From: router, Octets: eapFrame(eapRequest, 99, 0, 5, eapIdentity)})[0].(ToMethod)
	if !ok || !to.Fresh {
		t.Fatalf("%+v, want a conversation to begin", to)
	}
	s.Step(start, FromMethod{Exchange: to.Exchange}) // nothing holds, even where the method has no answer
	if got := reasons(s.Step(start, Received{From: router, Octets: eapFrame(eapSuccess, id, 0, 4)})); got != "ignored unexpected-result" {
		t.Error(got)
	}
}

func TestARequestThatComesAgainIsAnsweredAgainWithoutTheMethod(t *testing.T) {
	s, _ := talk(t, Continuing)
	again := Received{From: router, Octets: eapFrame(eapRequest, 7, 0, 6, method, 1)}
	out := s.Step(start, again)
	if len(out) != 1 {
		t.Fatalf("%+v", out)
	}
	if send, ok := out[0].(Send); !ok || send.To != router || kind(send.Octets) != "Response" {
		t.Errorf("%+v", out)
	}
	// One with the same identifier and something else in it is new.
	if _, ok := s.Step(start, Received{From: router, Octets: eapFrame(eapRequest, 7, 0, 6, method, 2)})[0].(ToMethod); !ok {
		t.Error("it did not reach the method")
	}
	// While the method has it, it is not given again.
	if got := reasons(s.Step(start, Received{From: router, Octets: eapFrame(eapRequest, 7, 0, 6, method, 2)})); got != "ignored repeated-request" {
		t.Error(got)
	}
}

func TestARequestThatTheMethodDiscardsIsAsIfItHadNotCome(t *testing.T) {
	s, id := talk(t, Content)
	to := s.Step(start, Received{From: router, Octets: eapFrame(eapRequest, 99, 0, 6, method, 9)})[0].(ToMethod)
	if out := s.Step(start, FromMethod{Exchange: to.Exchange}); len(out) != 0 {
		t.Errorf("%+v", out)
	}
	if got := reasons(s.Step(start, Received{From: router, Octets: eapFrame(eapSuccess, id, 0, 4)})); got != "open" {
		t.Error(got)
	}
}

func TestAnswersOfAMethodAreTakenOnceAndOnlyIfTheyFit(t *testing.T) {
	s, _ := talk(t, Continuing)
	if got := reasons(s.Step(start, FromMethod{Exchange: 1, EAP: []byte{eapResponse, 7, 0, 6, method, 1}})); got != "ignored late-answer-of-method" {
		t.Error(got)
	}
	for i, bad := range [][]byte{{eapRequest, 8, 0, 6, method, 2}, {eapResponse, 9, 0, 6, method, 2}, {eapResponse, 8, 0, 7, method, 2}, {1}} {
		to := s.Step(start, Received{From: router, Octets: eapFrame(eapRequest, 8, 0, 6, method, byte(10+i))})[0].(ToMethod)
		if got := reasons(s.Step(start, FromMethod{to.Exchange, bad, Content})); got != "ignored bad-answer-of-method" {
			t.Errorf("%x: %s", bad, got)
		}
	}
}

func TestALostSuccessIsMadeUpForByAnotherAuthentication(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	lost := false
	w.copies = func(n int, _, _ [6]byte) int {
		if n == 7 && !lost {
			lost = true
			return 0
		}
		return 1
	}
	w.at(alice, LinkUp{})
	w.run(9 * time.Second)
	w.expect("router asks alice: start", "router authorizes alice")
	w.run(2 * time.Second)
	w.expect("alice fails: authenticator-timeout", "router asks alice: start", "router authorizes alice again", "alice opens")
}

func TestLogoffShutsBothEnds(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	w.at(alice, LinkUp{})
	w.run(time.Second)
	w.told = nil
	w.at(alice, Logoff{})
	w.run(time.Second)
	w.expect("alice shuts: logoff", "router shuts alice out: logoff")
	w.at(alice, Received{From: router, Octets: frame(eapol.EAPPacket, identityRequest(1))})
	w.expect("alice ignores router: not-asked-for")
	w.at(alice, Logon{})
	w.run(time.Second)
	w.ports(alice)
	w.told = nil
	w.at(alice, LinkDown{})
	w.expect("alice shuts: link-down")
}

// Somebody else's request to an open port leads to nothing, and the port stays open.
func TestARequestOfSomebodyElseDoesNotShutAnOpenPort(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	w.at(alice, LinkUp{})
	w.run(time.Second)
	w.told = nil
	w.forge(mallet, alice, frame(eapol.EAPPacket, identityRequest(1)))
	w.run(15 * time.Second)
	w.expect("alice fails: authenticator-timeout", "router asks alice: start", "router authorizes alice again", "alice opens again")
}

func TestAnOpenPortShutsWhenTheAuthenticatorIsGone(t *testing.T) {
	w := newWorld(t, AuthenticatorOptions{}, alice)
	w.at(alice, LinkUp{})
	w.run(time.Second)
	w.told = nil
	w.copies = func(int, [6]byte, [6]byte) int { return 0 }
	w.at(alice, Logon{})
	w.run(10 * time.Second)
	w.expect("alice has no answer to 3", "alice shuts: no-authenticator")
}

package eapaka

import (
	"testing"

	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/eap"
)

// satisfy tells a story up to the peer's answer to the server's proof.
func (s *story) satisfy(t *testing.T) {
	t.Helper()
	s.begin()
	for len(s.toPeer)+len(s.toServer) > 0 && s.ue.stage == begun {
		s.step()
	}
	if s.ue.stage != satisfied {
		t.Fatalf("peer %q after %q", s.ueFail, s.said)
	}
}

// sealed is a notification as the server would make it.
func (s *story) sealed(code uint16, counter int) Received {
	m := &eap.Message{Code: eap.Request, Identifier: 200, Type: s.ue.method, Subtype: eap.Notification, Attributes: []eap.Attribute{eap.Number(eap.ATNOTIFICATION, code)}}
	var hidden []eap.Attribute
	if counter >= 0 {
		hidden = append(hidden, eap.Number(eap.ATCOUNTER, uint16(counter)))
	}
	return Received{s.ue.context.seal(octets(9), m, hidden, nil)}
}

func TestAProtectedNotificationHasItsCounter(t *testing.T) {
	for counter, want := range map[int]string{-1: "counter-invalid", 0: "counter-invalid", 2: "counter-invalid", 1: "not-subscribed"} {
		s := newStory()
		s.succeeds(t)
		s.satisfy(t)
		s.fromPeer(s.ue.Step(s.sealed(eap.NotSubscribed, counter)))
		if s.ueFail != want {
			t.Errorf("counter %d: %q, want %q", counter, s.ueFail, want)
		}
	}
}

func TestANotificationThatIsUnknownIsAnsweredByItsBits(t *testing.T) {
	s := newStory()
	s.satisfy(t)
	s.fromPeer(s.ue.Step(s.sealed(77, -1)))
	if s.ueFail != "notification-77" || s.said[len(s.said)-1] != "-> Notification'" {
		t.Errorf("%q after %q", s.ueFail, s.said)
	}
	s = newStory()
	s.satisfy(t)
	s.fromPeer(s.ue.Step(s.sealed(32768+77, -1))) // it does not imply failure
	if s.ueFail != "" || s.ue.stage != satisfied {
		t.Errorf("%q", s.ueFail)
	}
	s = newStory()
	s.satisfy(t)
	s.fromPeer(s.ue.Step(s.sealed(eap.Successful, -1))) // the server had not said that it wants that
	if s.ueFail != "notification-invalid" {
		t.Errorf("%q", s.ueFail)
	}
}

func TestNothingUndoesASuccessThatWasProtected(t *testing.T) {
	s := newStory()
	s.policy.ResultInd = true
	s.begin()
	for s.ue.stage != confirmed && s.step() {
	}
	for _, packet := range [][]byte{
		{1, 7, 0, 5, 1}, {4, s.ue.response[1], 0, 4},
		plain(&eap.Message{Code: eap.Request, Identifier: 200, Type: eap.TypeAKAPrime, Subtype: eap.Notification, Attributes: []eap.Attribute{eap.Number(eap.ATNOTIFICATION, eap.GeneralFailure)}}),
	} {
		if out := s.ue.Step(Received{packet}); len(out) != 1 || out[0] != (Ignored{"after-success"}) && out[0] != (Ignored{"failure-out-of-place"}) {
			t.Errorf("%x: %v", packet, out)
		}
	}
	for s.step() {
	}
	if s.ueEnds == nil || s.serverEnd == nil || *s.ueEnds != *s.serverEnd {
		t.Errorf("peer %v, server %v", s.ueEnds, s.serverEnd)
	}
}

func TestWhoIsNotAuthorisedWithoutANotificationHasFailed(t *testing.T) {
	s := newStory()
	s.satisfy(t)
	s.fromPeer(s.ue.Step(Received{[]byte{4, s.ue.response[1], 0, 4}})) // by somebody behind the server
	if s.ueFail != "refused-by-network" || !s.ue.Over() {
		t.Errorf("%q", s.ueFail)
	}
	if out := s.ue.Step(Received{[]byte{3, s.ue.response[1], 0, 4}}); len(out) != 1 || out[0] != (Ignored{"over"}) {
		t.Errorf("a success then: %v", out)
	}
}

func TestAPeerRefusesWhatIsOutOfPlace(t *testing.T) {
	s := newStory()
	challenge := &eap.Message{Code: eap.Request, Identifier: 9, Type: eap.TypeAKA, Subtype: eap.Challenge, Attributes: []eap.Attribute{
		{Type: eap.ATRAND, Value: make([]byte, 16)}, {Type: eap.ATAUTN, Value: make([]byte, 16)}, {Type: eap.ATMAC, Value: make([]byte, 16)}}}
	reauth := &eap.Message{Code: eap.Request, Identifier: 9, Type: eap.TypeAKA, Subtype: eap.Reauthentication, Attributes: []eap.Attribute{
		{Type: eap.ATIV, Value: make([]byte, 16)}, {Type: eap.ATENCRDATA, Value: make([]byte, 16)}, {Type: eap.ATMAC, Value: make([]byte, 16)}}}
	for want, m := range map[string]*eap.Message{"no-identity": challenge, "unexpected-subtype": reauth} {
		out := NewPeer(s.peer).Step(Received{plain(m)})
		if len(out) != 2 || out[1] != (Failed{want}) || name(false, out[0].(Send).Packet) != "-> Client-Error" {
			t.Errorf("%v: %v, want %s", m.Subtype, out, want)
		}
	}
	s.satisfy(t)
	again := plain(&eap.Message{Code: eap.Request, Identifier: 9, Type: eap.TypeAKAPrime, Subtype: eap.Identity, Attributes: []eap.Attribute{{Type: eap.ATANYIDREQ}}})
	if s.fromPeer(s.ue.Step(Received{again})); s.ueFail != "unexpected-subtype" {
		t.Errorf("an identity request after the challenge: %q", s.ueFail)
	}
	for packet, want := range map[string]string{"": "malformed-packet", "\x02\x01\x00\x05\x01": "not-a-request", "\x01\x01\x00\x06\x03\x17": "not-a-request", "\x03\x01\x00\x04": "identifier-mismatch"} {
		if out := NewPeer(s.peer).Step(Received{[]byte(packet)}); len(out) != 1 || out[0] != (Ignored{want}) {
			t.Errorf("%x: %v, want %s", packet, out, want)
		}
	}
}

func TestAnIdentifierThatIsUsedAgainIsNotANewRequest(t *testing.T) {
	s := newStory()
	s.card.sqn = 1000
	s.begin()
	for len(s.said) < 3 && s.step() { // Identity, Challenge', Synchronization-Failure'
	}
	other := plain(&eap.Message{Code: eap.Request, Identifier: s.ue.response[1], Type: eap.TypeAKAPrime, Subtype: eap.Identity, Attributes: []eap.Attribute{{Type: eap.ATANYIDREQ}}})
	if out := s.ue.Step(Received{other}); len(out) != 1 || out[0] != (Ignored{"identifier-reused"}) {
		t.Errorf("%v", out)
	}
}

func TestARESOfNoLengthIsTheCardsFault(t *testing.T) {
	s := newStory()
	s.satisfy(t)
	challenge := s.ue.request
	r, err := (&card{k: 7}).Authenticate(s.server.vector.RAND, s.server.vector.AUTN)
	if err != nil {
		t.Fatal(err)
	}
	s.peer.Card = fixed{usim.Response{RES: r.RES[:3], CK: r.CK, IK: r.IK}}
	p := NewPeer(s.peer)
	p.Step(Received{[]byte{1, 40, 0, 5, 1}})
	if out := p.Step(Received{challenge}); len(out) != 2 || out[1] != (Failed{"card-failed"}) {
		t.Errorf("%v", out)
	}
}

func TestANameThatCannotBeIsNotRemembered(t *testing.T) {
	for _, odd := range []string{"2x@example.org", "\xff\xfe", ""} {
		s := newStory()
		s.begin()
		s.step()               // the server's challenge
		c := *s.server.context // in whose keys another is made
		m, err := eap.ParseMessage(s.toPeer[0])
		if err != nil {
			t.Fatal(err)
		}
		kept := m.Attributes[:0]
		for _, a := range m.Attributes {
			if a.Type != eap.ATIV && a.Type != eap.ATENCRDATA && a.Type != eap.ATMAC {
				kept = append(kept, a)
			}
		}
		m.Attributes = kept
		s.toPeer[0] = c.seal(octets(9), m, []eap.Attribute{{Type: eap.ATNEXTPSEUDONYM, Value: []byte(odd)}}, nil)
		for s.step() {
		}
		if s.ueEnds == nil || s.peer.Identities.Pseudonym != "" || s.peer.Identities.Context != nil {
			t.Errorf("%q: %v, remembered %+v", odd, s.ueFail, s.peer.Identities)
		}
	}
}

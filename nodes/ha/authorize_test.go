package ha

import (
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/mh"
)

// byGBAWithAAA has the home agent fetch keys, and ask over S6b about what they bind.
func byGBAWithAAA(h *control.HomeAgent) {
	fromAAA(h)
	h.Security.Bootstrap = "gba"
	h.BSF = &control.Peer{Host: "bsf.example.org", Realm: "example.org"}
}

const fetchedSPI = 4711

// fetched has a mobile node bound by a key that was fetched, and gives what is asked
// about that over S6b.
func fetchedOverS6b(t *testing.T, s *story, service string) AuthorizeService {
	t.Helper()
	key := []byte("a key of 16 oct.")
	a := s.of(1)
	a.mnha, a.service = association.New(fetchedSPI, key), service
	s.send(a)
	ask := s.asked()
	if !ask.Fetch || ask.SPI != fetchedSPI {
		t.Fatalf("asked %+v", ask)
	}
	s.step(&AAAAnswered{ID: ask.ID, Peer: "bsf.example.org", Result: resultSuccess, Session: &Session{Key: key, SPI: fetchedSPI, Lifetime: time.Hour, Timestamp: true}})
	s.wantBound(homeA, careOfWLAN)
	asked := outputs[AuthorizeService](s)
	if len(asked) != 1 {
		t.Fatalf("%d questions over S6b", len(asked))
	}
	return asked[0]
}

func TestWhatAFetchedKeyHasBoundIsAuthorisedAfterwards(t *testing.T) {
	s := tell(t, with(byGBAWithAAA))
	asked := fetchedOverS6b(t, s, "internet")
	if asked.NAI != naiA || asked.SPI != fetchedSPI || asked.Service != "internet" {
		t.Errorf("%+v", asked)
	}
	s.step(ServiceAuthorized{NAI: naiA, SPI: fetchedSPI, Result: resultSuccess, SessionID: "pgw;1;2", Server: "aaa.example.org"})
	s.wantBound(homeA, careOfWLAN)
	// The server may abort the session from then on, and is told when it is over.
	s.step(SessionAborted{ID: 1, Session: "pgw;1;2", Peer: "aaa.example.org", DestinationHost: s.m.host})
	if got := outputs[AnswerAbort](s); len(got) != 1 || got[0].Result != resultSuccess {
		t.Errorf("the abort is answered by %+v", got)
	}
}

func TestAServiceThatIsRefusedTakesTheBindingAway(t *testing.T) {
	s := tell(t, with(byGBAWithAAA))
	fetchedOverS6b(t, s, "mms")
	s.step(ServiceAuthorized{NAI: naiA, SPI: fetchedSPI, Result: 5451, Reason: "user-no-apn-subscription", Server: "aaa.example.org"})
	if got := s.events("service-authorized"); len(got) != 1 || got[0]["reason"] != "user-no-apn-subscription" {
		t.Errorf("%v", got)
	}
	if got := s.events("revocation-sent"); len(got) != 1 {
		t.Errorf("%s", s.words())
	}
}

func TestThatNobodyCanBeAskedTakesNothingAway(t *testing.T) {
	for _, in := range []ServiceAuthorized{
		{Result: 0, Reason: "no-peer"}, {Result: resultUnableToDeliver, Reason: "unable-to-deliver"}, {Result: resultUnableToComply, Reason: "unable-to-comply"},
	} {
		s := tell(t, with(byGBAWithAAA))
		fetchedOverS6b(t, s, "")
		in.NAI, in.SPI = naiA, fetchedSPI
		s.step(in)
		s.wantBound(homeA, careOfWLAN)
		if got := s.events("revocation-sent"); len(got) != 0 {
			t.Errorf("%s: %s", in.Reason, s.words())
		}
	}
}

func TestAnAuthorisationOfAnAssociationThatIsGoneIsEnded(t *testing.T) {
	s := tell(t, with(byGBAWithAAA))
	s.step(ServiceAuthorized{NAI: naiA, SPI: fetchedSPI, Result: resultSuccess, SessionID: "pgw;1;2", Server: "aaa.example.org"})
	if got := outputs[TerminateSession](s); len(got) != 1 || got[0].Session != "pgw;1;2" {
		t.Errorf("%+v", got)
	}
}

func TestAKeyThatDoesNotProveTheUpdateMakesNoAssociation(t *testing.T) {
	s := tell(t, with(byGBAWithAAA))
	a := s.of(1)
	a.mnha = association.New(fetchedSPI, []byte("a key of 16 oct."))
	s.send(a)
	s.step(&AAAAnswered{ID: s.asked().ID, Result: resultSuccess, Session: &Session{Key: []byte("another of 16 o."), SPI: fetchedSPI, Lifetime: time.Hour}})
	s.wantStatus(mh.AuthFail)
	if len(s.m.subscribers) != 0 || len(outputs[AuthorizeService](s)) != 0 {
		t.Errorf("%d subscribers; %s", len(s.m.subscribers), s.words())
	}
}

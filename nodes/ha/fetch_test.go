package ha

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/mh"
	"s2clab/nodes/wire/replica"
)

const (
	btid    = "AAAAAAAAAAAAAAAAAAAAAA==@bsf.example.org"
	spiBTID = 4242
)

// byGBA has home agents fetch keys by the B-TID of a mobile node.
func byGBA(h *control.HomeAgent) {
	h.Security.Bootstrap = "gba"
	h.Associations = nil
}

var keyNAF = []byte("a key of the BSF")

// fetching is a Binding Update of A that is proven by a key which the home agent does
// not have yet.
func (s *story) fetching(seq uint16) announcement {
	a := s.of(seq)
	a.nai, a.mnha = btid, association.New(spiBTID, keyNAF)
	return a
}

// gives answers a question for a key.
func (s *story) gives(ask *AskAAA, change ...func(*AAAAnswered)) []Output {
	s.Helper()
	in := &AAAAnswered{ID: ask.ID, Peer: "bsf.example.org", Result: resultSuccess, NAI: naiA,
		Session: &Session{Key: keyNAF, SPI: ask.SPI, Lifetime: time.Hour, Timestamp: true}}
	for _, f := range change {
		f(in)
	}
	return s.step(in)
}

func TestTheKeyOfAnUnknownMNHAOptionIsFetchedOnce(t *testing.T) {
	s := tell(t, with(byGBA))
	s.send(s.fetching(1))
	ask := s.asked()
	if !ask.Fetch || ask.NAI != btid || ask.SPI != spiBTID || ask.Authenticator != nil {
		t.Fatalf("%+v", ask)
	}
	s.gives(ask)
	_, r := s.acknowledged()
	s.wantStatus(mh.Accepted)
	if err := association.Verify(r.packet.Payload, association.New(spiBTID, keyNAF), careOfWLAN, homeA); err != nil {
		t.Error(err)
	}
	if id, ok := mh.Find[mh.MNIdentifier](r.message.(*mh.BindingAcknowledgement).Options); !ok || id.Identifier != btid {
		t.Errorf("acknowledged to %q", id.Identifier)
	}
	if e := s.events("binding-accepted"); len(e) != 1 || e[0]["nai"] != naiA {
		t.Errorf("%v", e)
	}
	s.pass(time.Second)
	s.send(s.fetching(2))
	s.wantStatus(mh.Accepted)
	if len(outputs[*AskAAA](s)) > 0 {
		t.Error("asked again")
	}
}

// The right status, and why; no half-made association stays.
func TestFaultsOfAFetchedKey(t *testing.T) {
	result := func(r uint32) func(*AAAAnswered) {
		return func(in *AAAAnswered) { in.Result, in.Session = r, nil }
	}
	for name, c := range map[string]struct {
		change func(*AAAAnswered)
		status mh.Status
		reason string
		signed bool
	}{
		"a B-TID that is not known":   {result(resultTransactionInvalid), mh.AuthFail, bootstrapAgain, false},
		"a NAF that may not":          {result(resultNAFNotAuthorized), mh.Prohibited, "aaa-rejects-authorization", false},
		"a server that cannot":        {result(resultUnableToComply), mh.Unspecified, "aaa-error", false},
		"a server that is too busy":   {result(resultTooBusy), mh.InsufficientResources, "aaa-unavailable", false},
		"no key":                      {result(resultSuccess), mh.Unspecified, "no-session-key", false},
		"a key that is too short":     {func(in *AAAAnswered) { in.Session.Key = keyNAF[:15] }, mh.Unspecified, "session-key-length", false},
		"a key that is too long":      {func(in *AAAAnswered) { in.Session.Key = append(keyNAF[:16:16], 0) }, mh.Unspecified, "session-key-length", false},
		"a key that has expired":      {func(in *AAAAnswered) { in.Session.Lifetime = 0 }, mh.AuthFail, bootstrapAgain, false},
		"a key that expired long ago": {func(in *AAAAnswered) { in.Session.Lifetime = -time.Hour }, mh.AuthFail, bootstrapAgain, false},
		"another key":                 {func(in *AAAAnswered) { in.Session.Key = keyB }, mh.AuthFail, wrongAuthenticator, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, with(byGBA))
			s.send(s.fetching(1))
			s.gives(s.asked(), c.change)
			_, r := s.acknowledged()
			s.wantStatus(c.status)
			if e := s.events("binding-refused"); len(e) != 1 || e[0]["reason"] != c.reason {
				t.Errorf("%v", e)
			}
			_, err := association.SPI(r.packet.Payload)
			if (err == nil) != c.signed {
				t.Errorf("signed: %v", err)
			}
			if len(s.m.subscribers)+len(s.m.aliases)+len(s.m.bindings)+len(s.m.sessions)+s.m.Counts().Questions != 0 {
				t.Errorf("%d subscribers, %d aliases, %d bindings stay", len(s.m.subscribers), len(s.m.aliases), len(s.m.bindings))
			}
		})
	}
}

func TestRefusalsThatNobodyCanProveAreLimited(t *testing.T) {
	s := tell(t, with(byGBA))
	refused := 0
	for i := range 40 {
		a := s.fetching(uint16(i))
		a.nai = fmt.Sprintf("%d@bsf.example.org", i)
		a.src = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 9, 0, 15: byte(i/4 + 1)})
		a.alternate = a.src
		s.send(a)
		for _, ask := range outputs[*AskAAA](s) {
			s.gives(ask, func(in *AAAAnswered) { in.Result, in.Session = resultTransactionInvalid, nil })
			refused += len(s.replies())
		}
	}
	if refused == 0 || refused > 30 {
		t.Errorf("%d refusals of 40", refused)
	}
}

// Anybody can send a Binding Update with another's B-TID. While the home agent asks for
// the key of that, the right one waits, and is not refused for it.
func TestAForgedBindingUpdateDoesNotStandBeforeTheRightOne(t *testing.T) {
	for name, forge := range map[string]func(a *announcement){
		"with a wrong key":     func(a *announcement) { a.mnha = association.New(spiBTID, keyB) },
		"under another number": func(a *announcement) { a.mnha = association.New(77777, keyB) },
	} {
		s := tell(t, with(byGBA))
		forged := s.fetching(1)
		forge(&forged)
		s.send(forged)
		ask := s.asked()
		s.send(s.fetching(2))
		s.wantSilence("answer-of-the-aaa-outstanding")
		s.gives(ask)
		if ba := s.wantStatus(mh.Accepted); ba.Seq != 2 {
			t.Errorf("%s: %d was accepted", name, ba.Seq)
		}
		s.wantBound(homeA, careOfWLAN)
		if sub := s.m.subscribers[naiA]; len(sub.associations) != 1 || sub.associations[0].SPI != spiBTID {
			t.Errorf("%s: associations %+v", name, sub.associations)
		}
	}
}

func TestWithTwoForgedOnesTheLatestIsToldThatItIsWrong(t *testing.T) {
	s := tell(t, with(byGBA))
	forged := s.fetching(1)
	forged.mnha = association.New(spiBTID, keyB)
	s.send(forged)
	ask := s.asked()
	forged.seq = 2
	s.send(forged)
	s.gives(ask)
	if ba := s.wantStatus(mh.AuthFail); ba.Seq != 2 {
		t.Errorf("%d was refused", ba.Seq)
	}
	if len(s.m.subscribers)+len(s.m.aliases)+s.m.Counts().Questions != 0 {
		t.Error("something stays")
	}
}

func TestAMobileThatBootstrapsAnewIsTheSameUnderItsNewName(t *testing.T) {
	s := tell(t, with(byGBA))
	s.send(s.fetching(1))
	s.gives(s.asked())
	s.wantStatus(mh.Accepted)
	s.pass(time.Second)
	a := s.fetching(2)
	a.nai, a.mnha = "B"+btid[1:], association.New(5555, keyB)
	s.send(a)
	s.gives(s.asked(), func(in *AAAAnswered) { in.Session.Key = keyB })
	s.wantStatus(mh.Accepted)
	if len(s.m.aliases) != 1 || s.m.aliases[a.nai] != s.m.subscribers[naiA] || s.m.subscribers[naiA].alias != a.nai || len(s.m.subscribers) != 1 {
		t.Errorf("aliases %v", s.m.aliases)
	}
	s.pass(time.Second)
	s.send(s.fetching(3)) // by the old name, which is nobody's now
	s.gives(s.asked(), func(in *AAAAnswered) { in.Result, in.Session = resultTransactionInvalid, nil })
	s.wantStatus(mh.AuthFail)
}

func TestANameThatIsAnothersIsTakenFromIt(t *testing.T) {
	s := tell(t, with(byGBA))
	s.m.Keeps()
	var records []replica.Record
	s.send(s.fetching(1))
	s.gives(s.asked())
	s.keep(&records)
	s.pass(time.Second)
	a := s.ofB(2)
	a.nai, a.mnha = btid, association.New(6666, keyB)
	s.send(a)
	s.gives(s.asked(), func(in *AAAAnswered) { in.NAI, in.Session.Key = naiB, keyB })
	s.keep(&records)
	if s.m.subscribers[naiA].alias != "" || s.m.aliases[btid] != s.m.subscribers[naiB] {
		t.Fatalf("aliases %v", s.m.aliases)
	}
	for range 8 { // in whatever order they are taken up
		next := tell(t, with(byGBA))
		next.m.Restore(s.now, records)
		if who, aliased := next.m.called(btid); who == nil || who.nai != naiB || !aliased {
			t.Fatalf("%+v", who)
		}
	}
}

// The server says who it is, and what is called as somebody else is not that one.
func TestTheBindingIsThatOfWhoTheServerSaysItIs(t *testing.T) {
	s := tell(t, with(byGBA, func(h *control.HomeAgent) {
		h.Associations = []control.Association{{NAI: naiB, HomeAddress: homeB, SPI: spiB, Key: keyB}}
	}))
	a := s.fetching(1)
	a.nai = naiB
	s.send(a)
	s.gives(s.asked())
	s.wantStatus(mh.Accepted)
	if b := s.m.bindings[homeA]; b == nil || b.name() != naiA {
		t.Errorf("bound by another")
	}
	a.home = homeB
	a.seq, a.timestamp = 2, a.timestamp+1<<20
	s.send(a)
	if asks := outputs[*AskAAA](s); len(asks) == 1 {
		s.gives(asks[0])
	}
	if b := s.m.bindings[homeB]; b != nil {
		t.Error("bound another's home address")
	}
}

func TestALaterLifeKnowsAMobileByItsBTID(t *testing.T) {
	s := tell(t, with(byGBA))
	s.m.Keeps()
	var records []replica.Record
	s.send(s.fetching(1))
	s.gives(s.asked())
	s.wantStatus(mh.Accepted)
	s.keep(&records)
	var octets []byte
	var err error
	for _, r := range records { // as they lie in a diary, and go to a standby
		if octets, err = replica.Append(octets, r); err != nil {
			t.Fatal(err)
		}
	}
	records = nil
	for len(octets) > 0 {
		var r replica.Record
		if r, octets, err = replica.Next(octets); err != nil || r == nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	next := tell(t, with(byGBA))
	next.now = s.now.Add(time.Second)
	if _, n := next.m.Restore(next.now, records); n != 1 {
		t.Fatalf("%d bindings", n)
	}
	next.send(next.fetching(2))
	if len(outputs[*AskAAA](next)) > 0 {
		t.Error("the BSF is asked again")
	}
	ba := next.wantStatus(mh.Accepted)
	if id, _ := mh.Find[mh.MNIdentifier](ba.Options); id.Identifier != btid {
		t.Errorf("acknowledged to %q", id.Identifier)
	}
}

func TestWhatTheKeeperOfAKeyAnswersIsJudged(t *testing.T) {
	method, err := bootstrap.Of("", "gba", "")
	if err != nil {
		t.Fatal(err)
	}
	k := asker{method: method, identity: diameter.Identity{Host: "ha.example.org", Realm: "example.org"}, agent: bootstrap.Agent{Address: homeAgent, Host: "ha.example.org"}, now: func() time.Time { return start }}
	request, read := k.request(&AskAAA{ID: 7, Fetch: true, NAI: btid, SPI: spiBTID})
	if r := request.(*diameter.BootstrappingInfoRequest); r.Transaction != btid || string(r.NAFID) != string(keys.NAFID("ha.example.org", bootstrap.Ua)) {
		t.Errorf("%+v", r)
	}
	naf := make([]byte, 32)
	copy(naf, keyNAF)
	good := diameter.BootstrappingInfoAnswer{Session: "s", Outcome: diameter.Outcome{Result: diameter.Success}, Identity: diameter.Identity{Host: "bsf.example.org", Realm: "example.org"},
		User: naiA, Key: naf, Expires: start.Add(time.Minute)}
	answer := func(change func(*diameter.BootstrappingInfoAnswer)) Input {
		a := good
		change(&a)
		b, err := a.AppendTo(nil, diameter.Header{Flags: diameter.Proxiable, Command: diameter.BootstrappingInfo, Application: diameter.Zn})
		if err != nil {
			t.Fatal(err)
		}
		m, err := diameter.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		o := diampeer.Outcome{Result: a.Result, Host: "bsf.example.org", Message: m}
		if a.Result != diameter.Success {
			o.Reason = a.Result.String()
		}
		return read(o)
	}
	in, ok := answer(func(*diameter.BootstrappingInfoAnswer) {}).(*AAAAnswered)
	if !ok || in.ID != 7 || in.NAI != naiA || string(in.Session.Key) != string(keyNAF) || in.Session.SPI != spiBTID || in.Session.Lifetime != time.Minute || in.Session.Timestamp {
		t.Errorf("%+v", in)
	}
	for name, c := range map[string]struct {
		change func(*diameter.BootstrappingInfoAnswer)
		result uint32
		failed string
	}{
		"no key":          {func(a *diameter.BootstrappingInfoAnswer) { a.Key = nil }, 0, "malformed-answer"},
		"a key too short": {func(a *diameter.BootstrappingInfoAnswer) { a.Key = naf[:9] }, 0, "malformed-answer"},
		"an unknown B-TID": {func(a *diameter.BootstrappingInfoAnswer) {
			*a = diameter.BootstrappingInfoAnswer{Session: "s", Identity: a.Identity, Outcome: diameter.Outcome{Result: diameter.TransactionIdentifierInvalid}}
		}, resultTransactionInvalid, ""},
	} {
		switch in := answer(c.change).(type) {
		case *AAAAnswered:
			if in.Result != c.result || in.Session != nil {
				t.Errorf("%s: %+v", name, in)
			}
		case AAAFailed:
			if in.Reason != c.failed {
				t.Errorf("%s: %+v", name, in)
			}
		}
	}
	if in := answer(func(a *diameter.BootstrappingInfoAnswer) { a.Expires = start.Add(-time.Minute) }).(*AAAAnswered); in.Session.Lifetime >= 0 {
		t.Errorf("%+v is good for %v", in, in.Session.Lifetime)
	}
	if in := read(diampeer.Outcome{Reason: "time-out"}); in != (AAAFailed{ID: 7, Reason: "time-out"}) {
		t.Errorf("%+v", in)
	}
}

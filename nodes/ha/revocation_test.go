package ha

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// bound begins a story in which A is bound by a key it has always had.
func boundStory(t *testing.T, alter ...func(*control.HomeAgent)) *story {
	t.Helper()
	s := tell(t, with(func(h *control.HomeAgent) {
		for _, f := range alter {
			f(h)
		}
	}))
	a := s.of(1)
	if h := s.m; !h.authenticates {
		a = s.bare(homeA, 1)
	} else if !h.timestamps {
		a.timestamp = 0
	}
	s.send(a)
	s.wantStatus(mh.Accepted)
	s.pass(time.Second)
	return s
}

// fromSession begins a story in which A is bound by a key of its AAA server, of
// whose session that keeps the state.
func fromSession(t *testing.T) (*story, *association.Association) {
	t.Helper()
	s := tell(t, with(fromAAA))
	return s, s.opens(1, 300, "ha.example.org;1;1")
}

// opens binds A by MN-AAA.
func (s *story) opens(seq uint16, spi uint32, id string) *association.Association {
	s.Helper()
	s.send(s.asking(seq))
	ask := s.asked()
	given := session(ask, spi)
	s.step(&AAAAnswered{ID: ask.ID, Peer: "aaa.example.org", Result: 2001, HomeAddress: homeA, Session: given, SessionID: id, Server: "aaa.example.org"})
	s.wantStatus(mh.Accepted)
	s.pass(time.Second)
	return association.New(spi, given.Key)
}

func (s *story) revoke(trigger mh.RevocationTrigger) {
	s.Helper()
	out, err := s.m.Revoke(s.now, order{NAI: naiA, HomeAddress: homeA, Trigger: trigger})
	if err != nil {
		s.Fatal(err)
	}
	s.out = keep(nil, out)
}

// indicated gives the one Binding Revocation Indication of the last Step.
func (s *story) indicated() (*mh.BindingRevocationIndication, ipv6.Packet) {
	s.Helper()
	var found *mh.BindingRevocationIndication
	var in ipv6.Packet
	for _, r := range s.replies() {
		if bri, ok := r.message.(*mh.BindingRevocationIndication); ok {
			if found != nil {
				s.Fatal("two indications")
			}
			found, in = bri, r.packet
		}
	}
	if found == nil {
		s.Fatalf("no indication in %s", s.words())
	}
	return found, in
}

// A farewell answers an indication; changes may spoil it.
type farewell struct {
	status mh.RevocationStatus
	seq    uint16
	src    netip.Addr
	key    *association.Association // nil: unproven
	stamp  uint64                   // 0: none
	option bool                     // with a Home Address option
	home   netip.Addr
}

func (s *story) answers(bri *mh.BindingRevocationIndication, key *association.Association, status mh.RevocationStatus, change ...func(*farewell)) []Output {
	s.Helper()
	f := farewell{status: status, seq: bri.Seq, src: careOfWLAN, key: key, option: true, home: homeA}
	if r, ok := mh.Find[mh.ReplayProtection](bri.Options); ok {
		f.stamp = r.Timestamp
	}
	for _, c := range change {
		c(&f)
	}
	bra := &mh.BindingRevocationAcknowledgement{Status: f.status, Seq: f.seq}
	if f.stamp != 0 {
		bra.Options = append(bra.Options, mh.ReplayProtection{Timestamp: f.stamp})
	}
	var header []byte
	var err error
	if f.key != nil {
		header, err = association.SealMNHA(nil, bra, f.key, careOfWLAN, f.home, f.home, homeAgent)
	} else {
		header, err = mh.Append(nil, bra, f.home, homeAgent)
	}
	if err != nil {
		s.Fatal(err)
	}
	return s.step(&Received{Octets: s.carry(ipv6.Packet{Src: f.src, HomeAddress: f.home, Next: ipv6.Mobility, Payload: header})})
}

func (s *story) wantIgnored(reason string) {
	s.Helper()
	for _, e := range s.events("message-ignored") {
		if e["reason"] == reason {
			return
		}
	}
	s.Fatalf("want it ignored for %q: %s", reason, s.words())
}

// terminations gives the causes of the sessions that the last Step ended.
func (s *story) terminations() (causes []Cause) {
	for _, o := range outputs[TerminateSession](s) {
		causes = append(causes, o.Cause)
	}
	return causes
}

func TestARevocationIsIndicatedAtTheCareOfAddressAndProtectedLikeUpdates(t *testing.T) { // RFC 5846, sections 6.1 and 7
	s := boundStory(t)
	s.revoke(mh.RevokeAdministrative)
	bri, p := s.indicated()
	if p.Src != homeAgent || p.Dst != careOfWLAN || p.RoutingHome != homeA || p.SegmentsLeft != 1 {
		t.Errorf("%+v", p)
	}
	if bri.Trigger != mh.RevokeAdministrative || bri.Flags != 0 {
		t.Errorf("%+v", bri)
	}
	if err := association.Verify(p.Payload, association.New(spiA, keyA), careOfWLAN, homeA); err != nil {
		t.Error(err)
	}
	if r, ok := mh.Find[mh.ReplayProtection](bri.Options); !ok || r.Timestamp != s.of(1).timestamp-1<<32 {
		t.Errorf("timestamp %x, want that of the Binding Update", r.Timestamp)
	}
	s.wantBound(homeA, careOfWLAN) // until it is answered
	if len(outputs[ClearTunnel](s)) > 0 {
		t.Error("the tunnel is gone before the answer")
	}
}

func TestAnIndicationIsSentAgainAsTheVariablesSay(t *testing.T) { // RFC 5846, sections 6.3 and 11
	for name, tt := range map[string]struct {
		retries        int
		delay, timeout time.Duration
		want           []time.Duration // when it is sent, and last when the binding goes unheard
	}{
		"the defaults":     {1, time.Second, 2 * time.Second, []time.Duration{0, time.Second, 3 * time.Second}},
		"no retry":         {0, time.Second, 2 * time.Second, []time.Duration{0, time.Second}},
		"doubled to a top": {4, 500 * time.Millisecond, 3 * time.Second, []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond, 6500 * time.Millisecond, 9500 * time.Millisecond}},
		"a steady wait":    {2, 2 * time.Second, 2 * time.Second, []time.Duration{0, 2 * time.Second, 4 * time.Second, 6 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			s := boundStory(t, func(h *control.HomeAgent) {
				h.Revocation = control.Revocation{Retries: tt.retries, Delay: tt.delay, Timeout: tt.timeout}
			})
			began := s.now
			s.revoke(mh.RevokeAdministrative)
			at := []time.Duration{0}
			first := s.replies()[0].packet.Payload
			for len(at) < 20 {
				s.now = s.m.Deadline()
				s.out = keep(nil, s.m.Tick(s.now))
				if sent := s.replies(); len(sent) > 0 {
					if !bytes.Equal(sent[0].packet.Payload, first) {
						t.Error("not the same message")
					}
					at = append(at, s.now.Sub(began))
				}
				if e := s.events("binding-deleted"); len(e) > 0 {
					if e[0]["reason"] != "revocation-unanswered" {
						t.Errorf("%v", e)
					}
					at = append(at, s.now.Sub(began))
					break
				}
			}
			if !slices.Equal(at, tt.want) {
				t.Errorf("at %v, want %v", at, tt.want)
			}
			if s.entry(homeA).State != "invalid" || len(s.m.revocations) != 0 {
				t.Errorf("%+v", s.entry(homeA))
			}
		})
	}
}

func TestEveryStatusOfAnAnswerHasItsConsequence(t *testing.T) { // RFC 5846, sections 5.2 and 6.2.2
	for status, want := range map[mh.RevocationStatus]string{
		mh.Revoked:                        "revoked",
		mh.RevokedPartly:                  "revoked",
		77:                                "revoked", // below 128: done
		mh.RevocationNoBinding:            "revoked",
		mh.RevocationIPv4Required:         "revocation-refused",
		mh.RevocationGlobalNotAuthorized:  "revocation-refused",
		mh.RevocationIdentityRequired:     "revocation-refused",
		mh.RevocationFunctionNotSupported: "revocation-refused",
		mh.RevocationProxyNotSupported:    "revocation-refused",
		200:                               "revocation-refused",
		mh.RevocationAttached:             "", // stays
	} {
		s := boundStory(t)
		s.revoke(mh.RevokeAdministrative)
		bri, _ := s.indicated()
		s.answers(bri, association.New(spiA, keyA), status)
		if e := s.events("revocation-answered"); len(e) != 1 || e[0]["status"] != int(status) {
			t.Errorf("%v: %v", status, e)
		}
		deleted := s.events("binding-deleted")
		if want == "" {
			s.wantBound(homeA, careOfWLAN)
			if len(deleted) > 0 {
				t.Errorf("%v: %v", status, deleted)
			}
		} else if len(deleted) != 1 || deleted[0]["reason"] != want || len(outputs[ClearTunnel](s)) != 1 || len(outputs[ClearProxy](s)) != 1 {
			t.Errorf("%v: %s", status, s.words())
		}
		if len(s.m.revocations) != 0 {
			t.Errorf("%v: a revocation is still under way", status)
		}
		s.pass(30 * time.Second)
		if r := s.replies(); len(r) > 0 {
			t.Errorf("%v: sent %d more", status, len(r))
		}
	}
}

func TestATriggerThatIsNotKnownIsLeftOut(t *testing.T) { // status 133
	s := boundStory(t)
	s.revoke(mh.RevokeAccessNetwork)
	first, _ := s.indicated()
	s.answers(first, association.New(spiA, keyA), mh.RevocationTriggerNotSupported)
	second, _ := s.indicated()
	if second.Trigger != mh.RevokeUnspecified || second.Seq == first.Seq {
		t.Fatalf("%+v after %+v", second, first)
	}
	s.answers(first, association.New(spiA, keyA), mh.Revoked)
	s.wantIgnored("answers-nothing-outstanding")
	s.answers(second, association.New(spiA, keyA), mh.RevocationTriggerNotSupported) // it knows none
	if e := s.events("binding-deleted"); len(e) != 1 {
		t.Error(s.words())
	}
}

func TestOnlyTheMobileNodeAnswers(t *testing.T) {
	key := association.New(spiA, keyA)
	for reason, spoil := range map[string]func(*farewell){
		"answers-nothing-outstanding":      func(f *farewell) { f.seq++ },
		"answers-for-another-home-address": func(f *farewell) { f.home = homeB },
		"unproven":                         func(f *farewell) { f.key = nil },
	} {
		s := boundStory(t)
		s.revoke(mh.RevokeAdministrative)
		bri, _ := s.indicated()
		s.answers(bri, key, mh.Revoked, spoil)
		s.wantIgnored(reason)
		s.wantBound(homeA, careOfWLAN)
	}
	for what, spoil := range map[string]func(*farewell){
		"a wrong key":       func(f *farewell) { f.key = association.New(spiA, keyB) },
		"another SPI":       func(f *farewell) { f.key = association.New(spiB, keyA) },
		"another timestamp": func(f *farewell) { f.stamp++ },
		"no timestamp":      func(f *farewell) { f.stamp = 0 },
	} {
		s := boundStory(t)
		s.revoke(mh.RevokeAdministrative)
		bri, _ := s.indicated()
		s.answers(bri, key, mh.Revoked, spoil)
		s.wantIgnored("unproven")
		if t.Failed() {
			t.Fatal(what)
		}
		s.wantBound(homeA, careOfWLAN)
	}
	s := boundStory(t)
	s.answers(&mh.BindingRevocationIndication{Seq: 9}, key, mh.Revoked) // unasked
	s.wantIgnored("answers-nothing-outstanding")
}

func TestWithoutIntegrityTheAnswerComesFromTheCareOfAddress(t *testing.T) {
	s := boundStory(t, noIntegrity)
	s.revoke(mh.RevokeAdministrative)
	bri, _ := s.indicated()
	s.answers(bri, nil, mh.Revoked, func(f *farewell) { f.src = careOfLTE })
	s.wantIgnored("answer-from-another-care-of-address")
	s.answers(bri, nil, mh.Revoked)
	if len(s.events("binding-deleted")) != 1 {
		t.Error(s.words())
	}
}

func TestNobodyRevokesAtTheHomeAgent(t *testing.T) { // RFC 5846, section 13
	s := boundStory(t)
	header, err := association.SealMNHA(nil, &mh.BindingRevocationIndication{Trigger: mh.RevokeAdministrative, Seq: 1}, association.New(spiA, keyA), careOfWLAN, homeA, homeA, homeAgent)
	if err != nil {
		t.Fatal(err)
	}
	s.step(&Received{Octets: s.carry(ipv6.Packet{Src: careOfWLAN, HomeAddress: homeA, Next: ipv6.Mobility, Payload: header})})
	s.wantIgnored("not-for-a-home-agent")
	if len(s.replies()) > 0 {
		t.Error(s.words())
	}
	s.wantBound(homeA, careOfWLAN)
}

func TestABindingUpdateMeetsARevocation(t *testing.T) { // RFC 5846, section 7
	t.Run("its reason is a decision", func(t *testing.T) {
		s := boundStory(t)
		s.revoke(mh.RevokeAdministrative)
		s.pass(500 * time.Millisecond)
		s.send(s.of(2))
		s.wantStatus(mh.Prohibited)
		if s.entry(homeA).Seq != 1 || len(s.m.revocations) != 1 {
			t.Error("it was bound")
		}
	})
	t.Run("its reason is a doubt", func(t *testing.T) {
		s := boundStory(t)
		s.revoke(mh.RevokeOutOfSync)
		bri, _ := s.indicated()
		s.pass(500 * time.Millisecond)
		s.send(s.of(2))
		s.wantStatus(mh.Accepted)
		s.answers(bri, association.New(spiA, keyA), mh.Revoked)
		s.wantIgnored("answers-nothing-outstanding")
		s.pass(10 * time.Second)
		s.wantBound(homeA, careOfWLAN)
	})
	t.Run("the mobile node goes itself", func(t *testing.T) {
		s := boundStory(t)
		s.revoke(mh.RevokeAdministrative)
		s.pass(500 * time.Millisecond)
		a := s.of(2)
		a.lifetime = 0
		s.send(a)
		s.wantStatus(mh.Accepted)
		if e := s.events("binding-deleted"); e[0]["reason"] != "de-registered" || len(s.m.revocations) != 0 {
			t.Error(s.words())
		}
		s.pass(5 * time.Second)
		if len(s.replies()) > 0 {
			t.Error("still indicating")
		}
	})
	t.Run("the binding expires", func(t *testing.T) {
		s := boundStory(t, func(h *control.HomeAgent) { h.MaxLifetime = 4 * time.Second; h.Revocation.Retries = 9 })
		s.revoke(mh.RevokeAdministrative)
		s.pass(4 * time.Second)
		if len(s.events("binding-expired")) != 1 || len(s.m.revocations) != 0 {
			t.Error(s.words())
		}
	})
}

func TestWhoWasOutOfSyncBindsAgainByTheSameKey(t *testing.T) {
	s := boundStory(t)
	s.revoke(mh.RevokeOutOfSync)
	bri, _ := s.indicated()
	s.answers(bri, association.New(spiA, keyA), mh.Revoked)
	s.pass(100 * time.Millisecond)
	s.send(s.of(2))
	s.wantStatus(mh.Accepted)
	s.wantBound(homeA, careOfWLAN)
}

func TestSequenceNumbersOfOutstandingIndicationsDiffer(t *testing.T) { // RFC 5846, section 5.1
	s := boundStory(t)
	s.send(s.ofB(1))
	s.revoke(mh.RevokeAdministrative)
	a, _ := s.indicated()
	s.m.revocationSeq = a.Seq // it has run once round
	out, err := s.m.Revoke(s.now, order{NAI: naiB, Trigger: mh.RevokeAdministrative})
	if err != nil {
		t.Fatal(err)
	}
	s.out = keep(nil, out)
	if b, p := s.indicated(); b.Seq == a.Seq || p.RoutingHome != homeB {
		t.Errorf("%+v", b)
	}
}

func TestWhatCannotBeRevokedIsRefused(t *testing.T) {
	s := boundStory(t)
	for _, o := range []order{
		{NAI: naiB, Trigger: mh.RevokeAdministrative}, // not bound
		{NAI: "nobody@example.org"},
		{NAI: naiA, Trigger: 128},
		{NAI: naiA, Trigger: 2},
	} {
		if _, err := s.m.Revoke(s.now, o); err == nil {
			t.Errorf("%+v: revoked", o)
		}
	}
	s.wantBound(homeA, careOfWLAN)
}

func TestARevocationBeforeTheBindingIsARefusal(t *testing.T) {
	s := tell(t, with(fullDAD))
	s.send(s.of(1))
	s.revoke(mh.RevokeAdministrative)
	s.wantStatus(mh.Prohibited)
	if s.m.Counts().Bindings != 0 || s.entry(homeA) != nil {
		t.Errorf("%+v", s.m.Counts())
	}
}

func TestASessionEndsWithADeRegistrationAwayFromHome(t *testing.T) { // RFC 5778, section 4.3.1; TS 23.402, section 6.5.2
	s, key := fromSession(t)
	a := s.of(2)
	a.mnha, a.lifetime = key, 0
	s.send(a)
	s.wantStatus(mh.Accepted)
	want := TerminateSession{Session: "ha.example.org;1;1", NAI: naiA, Server: "aaa.example.org", Cause: causeLogout}
	if got := outputs[TerminateSession](s); len(got) != 1 || got[0] != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	s.pass(time.Second)
	again := s.of(3) // the answer was lost
	again.mnha, again.lifetime = key, 0
	s.send(again)
	s.wantStatus(mh.Accepted)
	if len(outputs[TerminateSession](s)) > 0 {
		t.Error("terminated twice")
	}
	s.pass(time.Second)
	fresh := s.of(4)
	fresh.mnha = key
	s.send(fresh)
	s.wantDiscarded("unknown-association") // it proves nothing else any more
	s.pass(11 * time.Second)
	if len(s.m.subscribers) != 0 || len(s.m.sessions) != 0 {
		t.Errorf("%+v", s.m.Counts())
	}
}

func TestASessionStaysWhileTheMobileNodeIsAtHome(t *testing.T) {
	s, key := fromSession(t)
	a := s.homecoming(2)
	a.mnha = key
	s.send(a)
	s.wantStatus(mh.Accepted)
	if got := s.terminations(); len(got) > 0 {
		t.Fatalf("%v", got)
	}
	s.pass(time.Minute)
	out := s.of(3)
	out.mnha = key
	s.send(out)
	s.wantStatus(mh.Accepted)
}

func TestASessionEndsWithItsBindingKeyOrSuccessor(t *testing.T) {
	t.Run("the binding expires", func(t *testing.T) {
		s, _ := fromSession(t)
		s.pass(time.Minute)
		if got := s.terminations(); !slices.Equal(got, []Cause{causeTimeout}) {
			t.Errorf("%v", got)
		}
	})
	t.Run("the key expires", func(t *testing.T) {
		s, key := fromSession(t)
		a := s.homecoming(2)
		a.mnha = key
		s.send(a)
		s.pass(time.Hour)
		if got := s.terminations(); !slices.Equal(got, []Cause{causeAuthExpired}) {
			t.Errorf("%v", got)
		}
	})
	t.Run("others follow", func(t *testing.T) {
		s, _ := fromSession(t)
		s.opens(2, 301, "ha.example.org;1;2")
		s.send(s.asking(3))
		ask := s.asked()
		s.step(&AAAAnswered{ID: ask.ID, Result: 2001, HomeAddress: homeA, Session: session(ask, 302), SessionID: "ha.example.org;1;3", Server: "aaa.example.org"})
		if got := outputs[TerminateSession](s); len(got) != 1 || got[0].Session != "ha.example.org;1;1" || got[0].Cause != causeAuthExpired {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the service is not provided", func(t *testing.T) { // RFC 6733, section 8.1
		s := tell(t, with(fromAAA))
		s.send(s.asking(1))
		s.step(&AAAAnswered{ID: s.asked().ID, Result: 2001, HomeAddress: homeA, SessionID: "ha.example.org;1;1", Server: "aaa.example.org"}) // without a key
		if got := s.terminations(); len(got) != 1 {
			t.Error(s.words())
		}
	})
	t.Run("no state is kept of it", func(t *testing.T) {
		s := tell(t, with(fromAAA))
		s.opens(1, 300, "")
		s.pass(time.Minute)
		if got := s.terminations(); len(got) > 0 {
			t.Errorf("%v", got)
		}
	})
}

func (s *story) aborts(change ...func(*SessionAborted)) uint32 {
	s.Helper()
	in := SessionAborted{ID: 7, Session: "ha.example.org;1;1", NAI: naiA, Peer: "aaa.example.org", DestinationHost: "ha.example.org"}
	for _, f := range change {
		f(&in)
	}
	s.step(in)
	got := outputs[AnswerAbort](s)
	if len(got) != 1 || got[0].ID != 7 {
		s.Fatalf("%+v", got)
	}
	return got[0].Result
}

func TestAnAbortedSessionTakesKeyAndBindingWithIt(t *testing.T) { // RFC 5778, section 4.3.3
	s, key := fromSession(t)
	if r := s.aborts(); r != resultSuccess {
		t.Fatal(r)
	}
	bri, p := s.indicated()
	if bri.Trigger != mh.RevokeAdministrative {
		t.Errorf("%+v", bri)
	}
	if err := association.Verify(p.Payload, key, careOfWLAN, homeA); err != nil {
		t.Error("the indication is not protected by the key that goes:", err)
	}
	if len(s.terminations()) > 0 {
		t.Error("over before its binding is")
	}
	a := s.of(2)
	a.mnha = key
	s.send(a)
	s.wantStatus(mh.Prohibited)
	s.send(s.asking(3)) // nor may the AAA be asked in between
	s.wantStatus(mh.Prohibited)
	if len(outputs[*AskAAA](s)) > 0 {
		t.Error("asked")
	}
	s.answers(bri, key, mh.Revoked)
	if got := s.terminations(); !slices.Equal(got, []Cause{causeAdministrative}) {
		t.Errorf("%v", got)
	}
	if r := s.aborts(); r != resultUnknownSession { // sent again
		t.Error(r)
	}
	s.pass(11 * time.Second)
	if len(s.m.subscribers) != 0 {
		t.Error("its key is still there")
	}
}

func TestAnAbortOfAMobileNodeThatIsSilentEndsAllTheSame(t *testing.T) {
	s, _ := fromSession(t)
	s.aborts()
	s.pass(3 * time.Second)
	if got := s.terminations(); !slices.Equal(got, []Cause{causeAdministrative}) || s.entry(homeA).State != "invalid" {
		t.Errorf("%v, %+v", got, s.entry(homeA))
	}
}

func TestAnAbortOfASessionWithoutABindingEndsAtOnce(t *testing.T) {
	s, key := fromSession(t)
	a := s.homecoming(2)
	a.mnha = key
	s.send(a)
	s.pass(20 * time.Second)
	if r := s.aborts(); r != resultSuccess {
		t.Fatal(r)
	}
	if got := s.terminations(); !slices.Equal(got, []Cause{causeAdministrative}) || len(s.replies()) > 0 || len(s.m.subscribers) != 0 {
		t.Errorf("%v; %s", got, s.words())
	}
}

func TestAnAbortOfAnOlderSessionLeavesTheBinding(t *testing.T) {
	s, _ := fromSession(t)
	s.opens(2, 301, "ha.example.org;1;2")
	if r := s.aborts(); r != resultSuccess {
		t.Fatal(r)
	}
	if got := outputs[TerminateSession](s); len(got) != 1 || got[0].Session != "ha.example.org;1;1" || len(s.replies()) > 0 {
		t.Error(s.words())
	}
	s.wantBound(homeA, careOfWLAN)
}

func TestStrangersAbortNothing(t *testing.T) {
	for want, spoil := range map[uint32]func(*SessionAborted){
		resultUnknownSession:  func(in *SessionAborted) { in.Session = "ha.example.org;1;2" },
		resultUnableToComply:  func(in *SessionAborted) { in.Peer = "other.example.org" },
		resultUnableToDeliver: func(in *SessionAborted) { in.DestinationHost = "other.example.org" },
	} {
		s, _ := fromSession(t)
		if got := s.aborts(spoil); got != want {
			t.Errorf("result %d, want %d", got, want)
		}
		s.wantBound(homeA, careOfWLAN)
		if len(s.m.revocations) > 0 {
			t.Error("a revocation is under way")
		}
	}
	s, _ := fromSession(t)
	if got := s.aborts(func(in *SessionAborted) { in.NAI = naiB }); got != resultUnknownSession {
		t.Errorf("result %d for another's session", got)
	}
	s, _ = fromSession(t)
	if got := s.aborts(func(in *SessionAborted) {
		in.NAI, in.Peer, in.DestinationHost = "", "AAA.example.org", "HA.example.org"
	}); got != resultSuccess {
		t.Errorf("result %d", got) // names of hosts have no case, and User-Name may be missing
	}
}

func TestWhatBecameOfATerminationIsTold(t *testing.T) {
	s, _ := fromSession(t)
	s.step(SessionTerminated{NAI: naiA, Session: "x", Result: 5002, Reason: "unknown-session-id"})
	if e := s.events("session-terminated"); len(e) != 1 || e[0]["result"] != uint32(5002) || e[0]["reason"] != "unknown-session-id" {
		t.Errorf("%v", e)
	}
}

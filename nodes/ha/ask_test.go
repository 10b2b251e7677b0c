package ha

import (
	"crypto/hmac"
	"crypto/sha1"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

func TestTheAAAIsAskedWithWhatItNeedsToCheckTheUpdate(t *testing.T) {
	s := tell(t, with(fromAAA))
	a := s.asking(1)
	a.service = "internet"
	s.send(a)
	ask := s.asked()
	if len(s.replies()) > 0 {
		t.Error("answered before the AAA did")
	}
	if ask.NAI != naiA || ask.HomeAddress != homeA || ask.CareOf != careOfWLAN || ask.SPI != mh.HMACSHA1SPI || ask.Service != "internet" {
		t.Errorf("%+v", ask)
	}
	if want := (association.VerifyMNAAA(aaaKey, ask.SPI, ask.MobilityData, ask.Authenticator)); want != nil {
		t.Error(want)
	}
	if want := fmt.Sprintf("%016x", a.timestamp); fmt.Sprintf("%x", ask.Timestamp) != want {
		t.Errorf("timestamp %x, want %s", ask.Timestamp, want)
	}
	if got := s.events("aaa-asked"); len(got) != 1 || got[0]["nai"] != naiA {
		t.Errorf("%v", got)
	}
}

func TestTheAAAsKeySignsTheAnswerAndTheUpdatesAfterIt(t *testing.T) {
	s := tell(t, with(fromAAA))
	s.send(s.asking(1))
	ask := s.asked()
	s.vouch(ask, 300)
	ba, r := s.acknowledged()
	if ba.Status != mh.Accepted || ba.Seq != 1 {
		t.Fatalf("%+v", ba)
	}
	key := association.New(300, session(ask, 300).Key)
	if err := association.Verify(r.packet.Payload, key, careOfWLAN, homeA); err != nil {
		t.Error(err)
	}
	want := map[string]any{"nai": naiA, "spi": uint32(300), "lifetime": 3600.0}
	if diff := cmp.Diff(want, s.events("association-made")[0]); diff != "" {
		t.Error(diff)
	}
	if got := s.events("aaa-answered"); got[0]["result"] != uint32(2001) || got[0]["peer"] != "aaa.example.org" {
		t.Errorf("%v", got)
	}
	s.pass(time.Second)
	a := s.of(2)
	a.mnha = key
	s.send(a)
	s.wantStatus(mh.Accepted)
	if len(outputs[*AskAAA](s)) > 0 {
		t.Error("asked again") // RFC 5778, section 4.2
	}
}

func TestAnAssociationEndsWithItsLifetime(t *testing.T) {
	s := tell(t, with(fromAAA))
	s.send(s.asking(1))
	ask := s.asked()
	given := session(ask, 300)
	given.Lifetime = 10 * time.Second
	s.step(&AAAAnswered{ID: ask.ID, Result: 2001, HomeAddress: homeA, Session: given})
	a := s.of(2)
	a.mnha, a.timestamp = association.New(300, given.Key), a.timestamp+1
	s.pass(10 * time.Second)
	if got := s.events("association-expired"); len(got) != 1 || got[0]["spi"] != uint32(300) {
		t.Errorf("%v", got)
	}
	s.send(a)
	s.wantDiscarded("unknown-association")
}

func TestARetransmissionDoesNotAskAgainWhileTheAnswerIsOutstanding(t *testing.T) {
	s := tell(t, with(fromAAA))
	s.send(s.asking(1))
	first := s.asked()
	s.pass(1500 * time.Millisecond)
	s.send(s.asking(2))
	s.wantSilence("answer-of-the-aaa-outstanding")
	s.send(s.asking(3))
	s.vouch(first, 300)
	if ba := s.wantStatus(mh.Accepted); ba.Seq != 1 {
		t.Errorf("seq %d", ba.Seq)
	}
	// The mobile node waits for the answer to the last one, which gets its turn.
	s.vouch(s.asked(), 301)
	if ba := s.wantStatus(mh.Accepted); ba.Seq != 3 {
		t.Errorf("seq %d", ba.Seq)
	}
	if len(outputs[*AskAAA](s)) > 0 || s.m.Counts().Questions != 0 {
		t.Error(s.words())
	}
}

func TestARefusalAnswersTheLatestOfItsRetransmissions(t *testing.T) {
	s := tell(t, with(fromAAA))
	s.send(s.asking(1))
	first := s.asked()
	s.pass(1500 * time.Millisecond)
	s.send(s.asking(2))
	s.step(AAAFailed{ID: first.ID, Reason: "time-out"})
	if ba := s.wantStatus(mh.InsufficientResources); ba.Seq != 2 {
		t.Errorf("seq %d", ba.Seq)
	}
	if len(outputs[*AskAAA](s)) > 0 {
		t.Error("asked again")
	}
}

func TestAnotherCareOfAddressIsAnotherQuestion(t *testing.T) {
	s := tell(t, with(fromAAA))
	s.send(s.asking(1))
	first := s.asked()
	s.pass(100 * time.Millisecond)
	a := s.asking(2)
	a.src, a.alternate = careOfLTE, careOfLTE
	s.send(a)
	second := s.asked()
	s.vouch(second, 301)
	s.wantStatus(mh.Accepted)
	s.wantBound(homeA, careOfLTE)
	s.vouch(first, 300) // its timestamp comes too late: it must not take the mobile node back
	s.wantStatus(mh.IDMismatch)
	s.wantBound(homeA, careOfLTE)
}

func TestWhatEachResultOfTheAAATellsTheMobileNode(t *testing.T) {
	for _, c := range []struct {
		result  uint32
		service string
		status  mh.Status
	}{
		{4001, "", mh.AuthFail},
		{5030, "", mh.AuthFail},
		{5003, "", mh.Prohibited},
		{5003, "internet", mh.ServiceAuthorizationFails},
		{3002, "", mh.InsufficientResources},
		{3003, "", mh.InsufficientResources},
		{3004, "", mh.InsufficientResources},
		{3005, "", mh.InsufficientResources},
		{4002, "", mh.InsufficientResources},
		{5041, "", mh.Unspecified},
		{5012, "", mh.Unspecified},
		{2009, "", mh.NotHomeAgent},
		{2001, "", mh.Unspecified}, // without a key
	} {
		for _, signed := range []bool{false, true} {
			t.Run(fmt.Sprint(c.result, c.service, signed), func(t *testing.T) {
				s := tell(t, configuration())
				if !signed {
					s = tell(t, with(fromAAA))
				}
				a := s.asking(4)
				a.service = c.service
				s.send(a)
				s.step(&AAAAnswered{ID: s.asked().ID, Result: c.result, HomeAddress: homeA})
				if !signed && c.status == mh.AuthFail { // RFC 4285, section 5.3
					s.wantSilence("aaa-rejects-authentication")
					return
				}
				ba := s.wantStatus(c.status)
				_, r := s.acknowledged()
				if got, _ := mh.Find[mh.ReplayProtection](ba.Options); got.Timestamp != a.timestamp || ba.Seq != 4 {
					t.Errorf("%+v", ba)
				}
				err := association.Verify(r.packet.Payload, association.New(spiA, keyA), careOfWLAN, homeA)
				if signed && err != nil || !signed && err != association.ErrNone {
					t.Error(err)
				}
				if e := s.events("binding-refused"); e[0]["authenticated"] != signed {
					t.Errorf("%v", e)
				}
				if len(s.m.Bindings(s.now)) > 0 {
					t.Error("something was bound")
				}
			})
		}
	}
}

func TestAQuestionWithoutAnyAnswerEnds(t *testing.T) {
	s := tell(t, with(fromAAA))
	s.send(s.asking(1))
	s.pass(time.Minute)
	s.wantStatus(mh.InsufficientResources)
	if got := s.events("aaa-failed"); len(got) != 1 || got[0]["reason"] != "time-out" {
		t.Errorf("%v", got)
	}
	if c := s.m.Counts(); c != (Counts{}) {
		t.Errorf("left: %+v", c)
	}
}

func TestAnAnswerToNothingChangesNothing(t *testing.T) {
	s := tell(t, with(fromAAA))
	s.step(&AAAAnswered{ID: 5, Result: 2001, HomeAddress: homeA, Session: &Session{Key: keyA, SPI: 300, Lifetime: time.Hour}})
	s.step(AAAFailed{ID: 5, Reason: "time-out"})
	if len(s.out) > 0 || s.m.Counts() != (Counts{}) {
		t.Error(s.words())
	}
}

func TestWithoutAnAAAAnMNAAAOptionIsOfNoUse(t *testing.T) {
	s := tell(t, with(func(h *control.HomeAgent) { h.AAA = nil }))
	s.send(s.asking(1))
	s.wantStatus(mh.Prohibited)
}

func TestTheHomeAddressIsTheOneThatTheAAANames(t *testing.T) {
	for name, c := range map[string]struct {
		named  string
		status mh.Status
	}{
		"the same":       {homeA.String(), mh.Accepted},
		"none":           {"::", mh.Accepted},
		"its prefix":     {"2001:db8:100::", mh.Accepted},
		"another":        {homeB.String(), mh.Prohibited},
		"another prefix": {"2001:db8:101::", mh.Prohibited},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, with(fromAAA))
			s.send(s.asking(1))
			ask := s.asked()
			s.step(&AAAAnswered{ID: ask.ID, Result: 2001, HomeAddress: netip.MustParseAddr(c.named), Session: session(ask, 300)})
			s.wantStatus(c.status)
			_, r := s.acknowledged()
			if err := association.Verify(r.packet.Payload, association.New(300, session(ask, 300).Key), careOfWLAN, homeA); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestASessionThatCannotBeUsedIsRefused(t *testing.T) {
	for name, given := range map[string]*Session{
		"short key":   {Key: []byte("short"), SPI: 300, Lifetime: time.Hour},
		"no lifetime": {Key: keyA, SPI: 300},
	} {
		s := tell(t, with(fromAAA))
		s.send(s.asking(1))
		s.step(&AAAAnswered{ID: s.asked().ID, Result: 2001, HomeAddress: homeA, Session: given})
		s.wantStatus(mh.Unspecified)
		if len(s.events("aaa-failed")) != 1 || s.m.Counts().Subscribers != 0 {
			t.Errorf("%s: %s", name, s.words())
		}
	}
}

func TestAWrongClockIsToldWithTheKeyThatTheAAAGives(t *testing.T) {
	s := tell(t, with(fromAAA))
	a := s.asking(1)
	a.timestamp -= 3600 << 32
	s.send(a)
	ask := s.asked()
	s.vouch(ask, 300)
	ba := s.wantStatus(mh.IDMismatch)
	_, r := s.acknowledged()
	key := association.New(300, session(ask, 300).Key)
	if err := association.Verify(r.packet.Payload, key, careOfWLAN, homeA); err != nil {
		t.Error(err)
	}
	if len(s.m.Bindings(s.now)) > 0 {
		t.Error("bound")
	}
	got, _ := mh.Find[mh.ReplayProtection](ba.Options)
	a.seq, a.timestamp = 2, got.Timestamp
	s.send(a)
	s.vouch(s.asked(), 301)
	s.wantStatus(mh.Accepted)
}

func TestTheTimeTheAAATakesDoesNotMakeATimestampStale(t *testing.T) {
	s := tell(t, with(func(h *control.HomeAgent) { fromAAA(h); h.AAATimeout = 10 * time.Second }))
	s.send(s.asking(1))
	ask := s.asked()
	s.pass(9 * time.Second)
	s.vouch(ask, 300)
	s.wantStatus(mh.Accepted)
}

func TestAnMNHAOptionBesideMNAAAMustBeRightToo(t *testing.T) {
	for _, c := range []struct {
		name string
		spi  uint32
		key  []byte
		asks bool
	}{{"right", spiA, keyA, true}, {"wrong key", spiA, keyB, false}, {"unknown", 999, keyA, false}} {
		t.Run(c.name, func(t *testing.T) {
			s := tell(t, configuration())
			s.step(&Received{Octets: s.withBoth(c.spi, c.key)})
			if got := len(outputs[*AskAAA](s)) == 1; got != c.asks {
				t.Errorf("asked: %v", got)
			}
			switch c.name {
			case "wrong key":
				s.wantStatus(mh.AuthFail)
			case "unknown":
				s.wantDiscarded("unknown-association")
			}
		})
	}
}

// withBoth gives a packet with an MN-HA option and after it an MN-AAA option,
// each computed here from RFC 4285, sections 5.1 and 5.2.
func (s *story) withBoth(spi uint32, key []byte) []byte {
	a := s.asking(1)
	a.more = []mh.Option{mh.Authentication{Subtype: mh.MNHA, SPI: spi, Data: make([]byte, 12)}}
	header, _, err := association.SealMNAAA(nil, a.message(), 3, aaaKey, careOfWLAN, homeA, homeA, homeAgent)
	if err != nil {
		s.Fatal(err)
	}
	covered := func(end int) []byte {
		data := append(careOfWLAN.AsSlice(), homeA.AsSlice()...)
		data = append(data, header[:end]...)
		data[32+4], data[32+5] = 0, 0
		return data
	}
	for w := mh.WalkOptions(header); w.Next(); {
		if w.Type != mh.OptionAuthentication {
			continue
		}
		end := w.At + 7
		if w.Data[0] == 1 {
			mac := hmac.New(sha1.New, key)
			mac.Write(covered(end))
			copy(header[end:end+12], mac.Sum(nil))
			continue
		}
		sum := sha1.Sum(covered(end))
		mac := hmac.New(sha1.New, aaaKey)
		mac.Write(sum[:])
		copy(header[end:], mac.Sum(nil))
	}
	mh.SetChecksum(header, homeA, homeAgent)
	return s.carry(ipv6.Packet{Src: careOfWLAN, HomeAddress: homeA, Next: ipv6.Mobility, Payload: header})
}

func TestAnswersMayComeInAnyReplayMode(t *testing.T) {
	for _, c := range []struct {
		name              string
		policy            string
		stamped, selected bool
		status            mh.Status // of a later update without a timestamp
	}{
		{"policy wants timestamps", "timestamp", true, false, mh.MessageIDRequired},
		{"the AAA selects timestamps", "sequence", true, true, mh.MessageIDRequired},
		{"the AAA selects none", "sequence", true, false, mh.Accepted},
		{"the mobile node has no clock", "sequence", false, true, mh.Accepted},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell(t, with(func(h *control.HomeAgent) { fromAAA(h); h.Security.Replay = c.policy }))
			a := s.asking(1)
			if !c.stamped {
				a.timestamp = 0
			}
			s.send(a)
			ask := s.asked()
			given := session(ask, 300)
			given.Timestamp = c.selected
			s.step(&AAAAnswered{ID: ask.ID, Result: 2001, HomeAddress: homeA, Session: given})
			s.wantStatus(mh.Accepted)
			a = s.of(2)
			a.mnha, a.timestamp = association.New(300, given.Key), 0
			s.send(a)
			s.wantStatus(c.status)
		})
	}
}

func TestANewKeyLeavesTheOneBeforeItInForce(t *testing.T) {
	// The answer that told the mobile node of the new one may have been lost.
	s := tell(t, with(fromAAA))
	var asks []*AskAAA
	for i := range 3 {
		s.send(s.asking(uint16(i)))
		asks = append(asks, s.asked())
		s.vouch(asks[i], uint32(300+i))
		s.pass(time.Second)
	}
	for i, want := range []bool{false, true, true} {
		a := s.of(10)
		a.mnha = association.New(uint32(300+i), session(asks[i], 0).Key)
		s.send(a)
		if _, ok := s.only(); ok != want {
			t.Errorf("association %d: %v, want %v", i, ok, want)
		}
		s.pass(time.Second)
	}
}

func TestQuestionsAreFewForOneNAIOneSourceAndInAll(t *testing.T) {
	address := func(i int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 9, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
	}
	for name, c := range map[string]struct {
		alter  func(*announcement, int)
		most   int
		reason string
	}{
		"one NAI":    {func(a *announcement, i int) { a.src, a.alternate = address(i), address(i) }, maxQuestionsNAI, "too-many-questions-of-nai"},
		"one source": {func(a *announcement, i int) { a.nai = fmt.Sprint("n", i, "@example.org") }, maxQuestionsSource, "too-many-questions-of-source"},
		"all": {func(a *announcement, i int) {
			a.nai, a.src, a.alternate = fmt.Sprint("n", i, "@example.org"), address(i), address(i)
		}, maxQuestions, "too-many-questions"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, with(fromAAA))
			asked := 0
			for i := range 5000 {
				a := s.asking(uint16(i))
				c.alter(&a, i)
				s.send(a)
				asked += len(outputs[*AskAAA](s))
			}
			if asked != c.most || s.m.Counts().Questions != c.most {
				t.Errorf("%d asked, want %d", asked, c.most)
			}
			s.pass(time.Second - 1)
			told := 0
			for _, e := range s.events("events-suppressed") {
				told += e["count"].(int)
			}
			// They end, and others can ask.
			s.pass(time.Minute)
			if s.m.Counts().Questions != 0 {
				t.Errorf("%+v", s.m.Counts())
			}
			s.send(s.asking(1))
			s.asked()
		})
	}
}

func TestRejectedQuestionsUseUpARate(t *testing.T) {
	// Attack A15b: answers come at once, so that nothing is ever outstanding.
	s := tell(t, with(fromAAA))
	asked := 0
	for i := range 1000 {
		s.now = s.now.Add(time.Millisecond)
		s.send(s.asking(uint16(i)))
		for _, ask := range outputs[*AskAAA](s) {
			asked++
			s.step(&AAAAnswered{ID: ask.ID, Result: 4001})
		}
	}
	if most := int(sourceRate.burst + sourceRate.perSecond); asked > most {
		t.Errorf("%d questions in a second, want %d at most", asked, most)
	}
}

func TestStaleTimestampsAskLess(t *testing.T) {
	s := tell(t, with(fromAAA))
	asked := 0
	for i := range 1000 {
		s.now = s.now.Add(time.Millisecond)
		a := s.asking(uint16(i))
		a.timestamp -= 3600 << 32
		s.send(a)
		for _, ask := range outputs[*AskAAA](s) {
			asked++
			s.step(&AAAAnswered{ID: ask.ID, Result: 4001})
		}
	}
	if most := int(staleNAIRate.burst + staleNAIRate.perSecond); asked > most || asked == 0 {
		t.Errorf("%d questions in a second, want %d at most", asked, most)
	}
	// That takes nothing from an honest one.
	s.send(s.asking(1))
	s.asked()
}

func TestARecordedQuestionIsStaleOnceItWasAccepted(t *testing.T) {
	s := tell(t, with(fromAAA))
	recorded := s.asking(1)
	s.send(recorded)
	s.vouch(s.asked(), 300)
	asked := 0
	for range 100 {
		s.send(recorded)
		for _, ask := range outputs[*AskAAA](s) {
			asked++
			s.vouch(ask, 301)
			s.wantStatus(mh.IDMismatch)
		}
	}
	if asked != int(staleNAIRate.burst) {
		t.Errorf("asked %d times", asked)
	}
}

func TestKeysAreNotMadeForUnlimitedSubscribers(t *testing.T) {
	s := tell(t, with(func(h *control.HomeAgent) { fromAAA(h); h.MaxBindings = 2 }))
	var last mh.Status
	for i := range 10 {
		a := s.asking(uint16(i))
		a.nai = fmt.Sprint("n", i, "@example.org")
		a.home = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 1, 15: byte(0x20 + i)})
		a.src = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 9, 15: byte(i)})
		a.alternate = a.src
		s.send(a)
		s.vouch(s.asked(), 300)
		ba, _ := s.acknowledged()
		last = ba.Status
	}
	if n := s.m.Counts().Subscribers; n != 4 || last != mh.InsufficientResources {
		t.Errorf("%d subscribers, last status %v", n, last)
	}
	if !slices.Contains([]int{2}, s.m.Counts().Bindings) {
		t.Errorf("%+v", s.m.Counts())
	}
}

func TestSubscribersWithoutABindingMakeRoom(t *testing.T) {
	s := tell(t, with(func(h *control.HomeAgent) { fromAAA(h); h.MaxBindings = 1 }))
	register := func(i int) mh.Status {
		a := s.asking(uint16(i))
		a.nai = fmt.Sprint("n", i, "@example.org")
		a.home = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 1, 15: byte(0x20 + i)})
		s.send(a)
		ask := s.asked()
		s.vouch(ask, 300)
		ba, _ := s.acknowledged()
		if ba.Status == mh.Accepted {
			s.pass(time.Second)
			a.mnha, a.mnaaa = association.New(300, session(ask, 300).Key), nil
			a.timestamp, a.lifetime = keys.NTP(s.now), 0
			a.src, a.alternate, a.home = a.home, a.home, netip.Addr{} // at home: it keeps its key
			s.send(a)
			s.wantStatus(mh.Accepted)
		}
		return ba.Status
	}
	for i := range 2 {
		if status := register(i); status != mh.Accepted {
			t.Fatal(status)
		}
	}
	if status := register(2); status != mh.InsufficientResources { // within the window nobody is forgotten
		t.Error(status)
	}
	s.pass(20 * time.Second)
	if status := register(3); status != mh.Accepted || s.m.Counts().Subscribers != 2 {
		t.Error(status, s.m.Counts())
	}
}

func TestTheSessionKeyIsThatOfTheTimestamp(t *testing.T) {
	s := tell(t, with(fromAAA))
	a := s.asking(1)
	s.send(a)
	ask := s.asked()
	want := keys.SessionKey(aaaKey, naiA, homeAgent, [8]byte(ask.Timestamp))
	if fmt.Sprintf("%x", session(ask, 1).Key) != fmt.Sprintf("%x", want) {
		t.Error("the story's AAA makes another key")
	}
}

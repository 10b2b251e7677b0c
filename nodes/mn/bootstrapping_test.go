package mn

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/eapaka"
	"s2clab/nodes/session/ub"
	"s2clab/nodes/wire/mh"
)

const bsfHost = "bsf." + aaaRealm

// withBSF is a mobile node with a card and a BSF, on links that let everybody on.
func withBSF(how, source string) *control.Config {
	c := carded(how, source)
	c.Interfaces[1].Auth, c.Interfaces[2].Auth = "", ""
	c.MobileNode.BSF = &control.Peer{Host: bsfHost, Realm: aaaRealm, Address: netip.MustParseAddrPort("[2001:db8:100::6]:80")}
	return c
}

// A bsf answers what the mobile asks by Ub, with an HSS that has the card's key.
type bsf struct {
	*story
	server *ub.Server
	sqn    keys.SQN
	id     uint64
	asked  []AskBSF // all that came
	silent bool
	spoil  bool // the HSS has another key
}

func (s *story) bsf(lifetime time.Duration) *bsf {
	return &bsf{story: s, server: ub.NewServer(ub.ServerOptions{Host: bsfHost, Lifetime: lifetime})}
}

// serve answers what was asked in the last step, until nothing more is. All that came
// out besides is what came out of the last step then.
func (b *bsf) serve() {
	b.t.Helper()
	var rest []Output
	for range 20 {
		var asks []AskBSF
		for _, o := range b.out {
			if a, ok := o.(AskBSF); ok {
				asks = append(asks, a)
			} else {
				rest = append(rest, o)
			}
		}
		b.out = nil
		b.asked = append(b.asked, asks...)
		if len(asks) == 0 || b.silent {
			b.out = rest
			return
		}
		for _, a := range asks {
			before := b.out
			b.answers(a)
			b.out = append(before, b.out...)
		}
	}
	b.t.Fatal("they go on for ever")
}

func (b *bsf) answers(a AskBSF) {
	b.t.Helper()
	b.id++
	r := b.response(b.server.Requested(b.now, ub.Requested{ID: b.id, Request: a.Request.Request}))
	b.step(UbAnswered{ub.Responded{ID: a.Request.ID, Response: r}})
}

func (b *bsf) response(out []ub.Output) ub.Response {
	b.t.Helper()
	for _, o := range out {
		switch o := o.(type) {
		case ub.Respond:
			return o.Response
		case ub.WantVector:
			if o.IMPI != naiUSIM {
				b.t.Errorf("a vector for %q", o.IMPI)
			}
			var resync *eapaka.Resync
			if o.Resync != nil {
				resync = &eapaka.Resync{RAND: o.Resync.RAND, AUTS: o.Resync.AUTS}
			}
			v := b.vector(&b.sqn, resync, false, "")
			if b.spoil {
				v.AUTN[15]++
			}
			return b.response(b.server.Vector(b.now, o.ID, v))
		}
	}
	b.t.Fatal("no response")
	return ub.Response{}
}

// fetched answers the last Binding Update of the method gba as a home agent does that
// has fetched its key.
func (s *story) fetched(status mh.Status) {
	s.t.Helper()
	method, err := bootstrap.Of("", "gba", "")
	if err != nil {
		s.t.Fatal(err)
	}
	p := method.Mobile.Prove(&s.m.security.held, bootstrap.Agent{Address: homeAgent, Host: haHost})
	s.key = association.New(p.SPI, p.Key.Value)
	s.answer(status)
}

func identifierOf(u sent) string {
	id, _ := mh.Find[mh.MNIdentifier](u.Options)
	return id.Identifier
}

func TestUbIsRunBeforeTheFirstBindingUpdateAndNamesIt(t *testing.T) {
	s := begin(t, withBSF("gba", ""))
	b := s.bsf(time.Hour)
	s.visit("wlan", wlanPrefix)
	if len(s.sent) > 0 {
		t.Fatal("sent without a key")
	}
	b.serve()
	e := s.mustHappen("bootstrapped")
	if len(s.sent) != 1 || identifierOf(s.last()) != e.Fields["b-tid"] || e.Fields["lifetime"] != 3600.0 {
		t.Fatalf("%d sent, %v", len(s.sent), e.Fields)
	}
	if b.asked[0].Dev != "wlan" || b.asked[0].Source != careOfWLAN || b.asked[0].Server != netip.MustParseAddrPort("[2001:db8:100::6]:80") {
		t.Errorf("asked %+v", b.asked[0])
	}
	s.fetched(mh.Accepted)
	if !s.m.registration.bound || s.m.security.identifier != e.Fields["b-tid"] {
		t.Error("not bound")
	}
	s.until(50 * time.Second)
	if authOf(s.last()).Subtype != mh.MNHA || s.count("bootstrap-started") != 1 {
		t.Error("the refresh was bootstrapped")
	}
}

func TestARunOfUbThatIsInterruptedByAMoveBeginsAnewFromThere(t *testing.T) {
	s := begin(t, withBSF("gba", ""))
	b := s.bsf(time.Hour)
	s.visit("wlan", wlanPrefix)
	b.silent = true
	b.serve()
	first := b.asked[0]
	s.now = s.now.Add(time.Second)
	s.visit("wimax", wimaxPrefix)
	second := slices.Clone(s.out)
	b.answers(first) // too late: from where it is not any more
	if len(s.sent) > 0 || s.count("bootstrapped") > 0 {
		t.Fatal("an answer to where it was counts")
	}
	b.silent, s.out = false, second
	b.serve()
	if len(s.sent) != 1 || b.asked[len(b.asked)-1].Source != careOfWiMAX || careOfIn(s.last()) != careOfWiMAX {
		t.Fatalf("%d sent", len(s.sent))
	}
	s.carrier("wimax", false)
	s.until(time.Minute)
	if s.m.bootstrapper.client.Running() {
		t.Error("runs without a place to run from")
	}
}

func TestABSFThatIsSilentIsAskedAgainInTheTimeOfRetransmissions(t *testing.T) {
	s := begin(t, withBSF("mip-options", "gba"))
	b := s.bsf(time.Hour)
	b.silent = true
	s.visit("wlan", wlanPrefix)
	b.serve()
	s.until(10 * time.Minute)
	started := s.count("bootstrap-started")
	if len(s.sent) > 0 || s.count("bootstrap-failed")+s.count("bootstrap-postponed") == 0 || started > 30 {
		t.Fatalf("%d sent, %d failed, %d postponed, %d started", len(s.sent), s.count("bootstrap-failed"), s.count("bootstrap-postponed"), started)
	}
	b.silent = false
	for range 200 {
		s.take(s.m.Tick(s.m.Deadline()))
		s.now = later(s.now, s.m.Deadline())
		b.serve()
		if len(s.sent) > 0 {
			break
		}
	}
	if len(s.sent) == 0 {
		t.Error("never again")
	}
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func TestANetworkWithAnotherKeyIsNotBootstrappedWithAndWhyIsTold(t *testing.T) {
	s := begin(t, withBSF("gba", ""))
	b := s.bsf(time.Hour)
	b.spoil = true
	s.visit("wlan", wlanPrefix)
	b.serve()
	if e := s.mustHappen("bootstrap-failed"); e.Fields["reason"] == "" || len(s.sent) > 0 || s.m.security.held.GBA != nil {
		t.Errorf("%v, %d sent", e.Fields, len(s.sent))
	}
}

// A B-TID that nobody knows any more is told of by status 146, which nothing proves:
// Ub is run again once, and once only.
func TestABTIDThatNobodyKnowsIsReplacedOnce(t *testing.T) {
	for name, before := range map[string]func(s *story){
		"of the first binding": func(*story) {},
		"of a binding that was made with it": func(s *story) {
			s.fetched(mh.Accepted)
			if !s.m.registration.bound {
				t.Fatal("not bound")
			}
			s.until(s.m.Deadline().Sub(start) + time.Second) // the refresh
			s.answer(mh.AuthFail, func(a *answer) { a.key = nil })
			if !s.m.registration.fellBack || identifierOf(s.last()) != s.m.security.held.GBA.BTID {
				t.Fatal("has not fallen back")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, withBSF("gba", ""))
			b := s.bsf(time.Hour)
			s.visit("wlan", wlanPrefix)
			b.serve()
			before(s)
			first, sent := identifierOf(s.last()), len(s.sent)
			s.answer(mh.AuthFail, func(a *answer) { a.key = nil })
			if s.m.security.held.GBA != nil || len(s.sent) != sent {
				t.Fatal("the old one is used again")
			}
			b.serve()
			s.until(s.now.Add(2 * time.Second).Sub(start)) // no more than three Binding Updates a second
			if len(s.sent) == sent || identifierOf(s.last()) == first {
				t.Fatalf("%d sent, as %s", len(s.sent), identifierOf(s.last()))
			}
			again := *s
			again.fetched(mh.Accepted)
			if !s.m.registration.bound || s.m.security.identifier == first {
				t.Error("not bound")
			}
		})
	}
	t.Run("and only once", func(t *testing.T) {
		s := begin(t, withBSF("gba", ""))
		b := s.bsf(time.Hour)
		s.visit("wlan", wlanPrefix)
		b.serve()
		for range 4 {
			s.answer(mh.AuthFail, func(a *answer) { a.key = nil })
			b.serve()
		}
		s.until(10 * time.Minute)
		if n := s.count("bootstrapped"); n != 2 || len(s.sent) != 2 {
			t.Errorf("%d runs of Ub, %d sent", n, len(s.sent))
		}
	})
}

func TestAnAssociationWhoseLifetimeIsOverIsBootstrappedAgain(t *testing.T) {
	s := begin(t, withBSF("gba", ""))
	b := s.bsf(40 * time.Second)
	s.visit("wlan", wlanPrefix)
	b.serve()
	first := identifierOf(s.last())
	s.fetched(mh.Accepted)
	for range 40 { // nobody answers any more, until the binding ends
		s.take(s.m.Tick(s.m.Deadline()))
		s.now = later(s.now, s.m.Deadline())
		b.serve()
		if id := identifierOf(s.last()); id != first {
			s.fetched(mh.Accepted)
			if !s.m.registration.bound {
				t.Error("not bound")
			}
			return
		}
	}
	t.Errorf("still %s at %v", first, s.now.Sub(start))
}

// Inside Binding Updates.

// challenges answers the last Binding Update with a challenge of an HSS.
func (s *story) challenges(sqn *keys.SQN, resync *eapaka.Resync, change ...func(*keys.Vector)) keys.Vector {
	s.t.Helper()
	v := s.vector(sqn, resync, false, "")
	s.challenge(v, change...)
	return v
}

func (s *story) challenge(v keys.Vector, change ...func(*keys.Vector)) {
	s.t.Helper()
	told := v
	for _, f := range change {
		f(&told)
	}
	s.answer(mh.Unspecified, func(a *answer) {
		a.key = nil
		a.ba.Options = append(a.ba.Options, mh.KeyMaterial{Kind: mh.AKAChallenge, Data: slices.Concat(told.RAND[:], told.AUTN[:])})
	})
}

func materialOf(u sent) mh.KeyMaterial {
	k, _ := mh.Find[mh.KeyMaterial](u.Options)
	return k
}

// believes has the home agent accept the answer to a challenge, if it is right.
func (s *story) believes(v keys.Vector) {
	s.t.Helper()
	method, err := bootstrap.Of("", "mip-options", "aka")
	if err != nil {
		s.t.Fatal(err)
	}
	u := s.last()
	root, _ := method.Server.MNAAA(&bootstrap.Found{Challenge: &v})
	data, spi, authenticator, err := association.MobilityData(u.header, careOfIn(u), u.packet.UpperSrc())
	if err != nil {
		s.t.Fatal(err)
	}
	if err := association.VerifyMNAAA(root.Value, spi, data, authenticator); err != nil {
		s.t.Fatal(err)
	}
	made, _ := method.Server.Associate(root, bootstrap.Request{Identifier: naiUSIM, HomeAgent: bootstrap.Agent{Address: homeAgent, Host: haHost}, Freshness: association.Freshness(u.BindingUpdate, data)})
	s.key = association.New(1234, made.Value)
	s.answer(mh.Accepted)
}

func onlyCard() *control.Config {
	c := carded("mip-options", "aka")
	c.Interfaces[1].Auth, c.Interfaces[2].Auth = "", ""
	return c
}

func TestAChallengeIsAnsweredInTheNextBindingUpdate(t *testing.T) {
	s := begin(t, onlyCard())
	var sqn keys.SQN
	s.visit("wlan", wlanPrefix)
	if k := materialOf(s.last()); k.Kind != mh.AKARequest {
		t.Fatalf("%v", k.Kind)
	}
	v := s.challenges(&sqn, nil)
	if k := materialOf(s.last()); len(s.sent) != 2 || k.Kind != mh.AKAResponse || [16]byte(k.Data) != v.RAND {
		t.Fatalf("%d sent, %v", len(s.sent), k.Kind)
	}
	s.believes(v)
	if !s.m.registration.bound {
		t.Fatal("not bound")
	}
	s.until(45 * time.Second)
	if refresh := s.sent[2]; authOf(refresh).Subtype != mh.MNHA || materialOf(refresh).Kind != 0 {
		t.Error("asks for a challenge though there is an association")
	}
}

func TestAForgedChallengeIsNoHindranceToTheRightOne(t *testing.T) {
	s := begin(t, onlyCard())
	var sqn keys.SQN
	s.visit("wlan", wlanPrefix)
	asked := s.last()
	for range 20 {
		s.challenges(&sqn, nil, func(v *keys.Vector) { v.AUTN[15]++ })
	}
	if len(s.sent) != 1 || s.count("challenge-refused") != 1 {
		t.Fatalf("%d sent, %d told", len(s.sent), s.count("challenge-refused"))
	}
	s.answer(mh.Unspecified, func(a *answer) {
		a.key = nil
		a.ba.Options = append(a.ba.Options, mh.KeyMaterial{Kind: mh.AKAChallenge, Data: make([]byte, 7)})
	})
	v := s.vector(&sqn, nil, false, "")
	s.answerTo(asked, mh.Unspecified, func(a *answer) {
		a.key = nil
		a.ba.Options = append(a.ba.Options, mh.KeyMaterial{Kind: mh.AKAChallenge, Data: slices.Concat(v.RAND[:], v.AUTN[:])})
	})
	if k := materialOf(s.last()); len(s.sent) != 2 || k.Kind != mh.AKAResponse {
		t.Fatalf("%d sent, %v", len(s.sent), k.Kind)
	}
	s.believes(v)
	if !s.m.registration.bound {
		t.Error("not bound")
	}
}

func TestACardThatIsAheadAnswersByItsSequenceNumberAndThenTheNextChallenge(t *testing.T) {
	cfg := onlyCard()
	cfg.MobileNode.USIM.SQN = 8000 << 5
	s := begin(t, cfg)
	var sqn keys.SQN
	s.visit("wlan", wlanPrefix)
	v := s.challenges(&sqn, nil)
	k := materialOf(s.last())
	if k.Kind != mh.AKAResynchronised || [16]byte(k.Data) != v.RAND || len(k.Data) != 30 {
		t.Fatalf("%v", k)
	}
	v = s.challenges(&sqn, &eapaka.Resync{RAND: v.RAND, AUTS: [14]byte(k.Data[16:])})
	if materialOf(s.last()).Kind != mh.AKAResponse {
		t.Fatalf("%v", materialOf(s.last()))
	}
	s.believes(v)
	if !s.m.registration.bound {
		t.Error("not bound")
	}
}

func TestAnAnswerThatNobodyKnowsAnyMoreIsFollowedByANewQuestion(t *testing.T) {
	s := begin(t, onlyCard())
	var sqn keys.SQN
	s.visit("wlan", wlanPrefix)
	s.challenges(&sqn, nil)
	s.answer(mh.AuthFail, func(a *answer) { a.key = nil }) // the AAA server was restarted
	s.until(2 * time.Second)
	if k := materialOf(s.last()); k.Kind != mh.AKARequest {
		t.Fatalf("%v", k.Kind)
	}
	v := s.challenges(&sqn, nil)
	s.until(4 * time.Second)
	if s.believes(v); !s.m.registration.bound {
		t.Error("not bound")
	}
}

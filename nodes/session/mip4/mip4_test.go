package mip4

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	wire "s2clab/nodes/wire/mip4"
)

const (
	nai    = "001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
	aaaSPI = 256
)

var (
	start   = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	none    = netip.IPv4Unspecified()
	home    = netip.MustParseAddr("192.0.2.10")
	agent   = netip.MustParseAddr("192.0.2.1")
	careOf  = netip.MustParseAddr("198.51.100.99")
	careOf2 = netip.MustParseAddr("203.0.113.77")
	aaaKey  = []byte("an MN-AAA key...")
	mnhaKey = []byte("an MN-HA key....")
)

// A world is a mobile node, its home agent and an AAA server, and the network between
// them, which takes no time.
type world struct {
	t     *testing.T
	now   time.Time
	skew  time.Duration // of the home agent's clock
	m     *Mobile
	a     *Agent
	vouch func(Ask) (Answer, bool) // false: no answer comes
	lose  func(wire.Message) bool  // nil: nothing is lost
	sent  [][]byte                 // all datagrams
	told  []string                 // since the last look
	spi   uint32
}

func newWorld(t *testing.T, o MobileOptions, subscribers ...Subscriber) *world {
	t.Helper()
	if o.Association == nil && o.Method == nil {
		method, err := bootstrap.Of("mipv4", "", "")
		if err != nil {
			t.Fatal(err)
		}
		o.Method, o.Held = method.Mobile, &bootstrap.Held{NAI: nai, MNAAASPI: aaaSPI, MNAAAKey: aaaKey}
		o.NAI = nai
	}
	o.Agent = bootstrap.Agent{Address: agent, Host: "ha.example"}
	if !o.Home.IsValid() {
		o.Home = none
	}
	if o.Lifetime == 0 {
		o.Lifetime = 10 * time.Minute
	}
	o.Rand = rand.New(rand.NewPCG(1, 2))
	w := &world{t: t, now: start, spi: 1000}
	var err error
	if w.m, err = NewMobile(o); err != nil {
		t.Fatal(err)
	}
	if w.a, err = NewAgent(AgentOptions{Address: agent, Home: netip.MustParsePrefix("192.0.2.0/24"), Longest: 30 * time.Minute, Asks: true,
		Pool: []netip.Addr{home, netip.MustParseAddr("192.0.2.11")}, Subscribers: subscribers}); err != nil {
		t.Fatal(err)
	}
	w.vouch = w.server
	return w
}

// server is what an AAA server does: it verifies, and makes the key by the method.
func (w *world) server(q Ask) (Answer, bool) {
	method, err := bootstrap.Of("mipv4", "", "")
	if err != nil {
		w.t.Fatal(err)
	}
	root, known := method.Server.MNAAA(&bootstrap.Found{Provisioned: aaaKey})
	if !known || q.NAI != nai || q.Place.SPI != aaaSPI || Verify(q.Octets, &q.Place, keys.HMACMD5, root.Value) != nil {
		return Answer{Code: wire.MobileFailedAAA, Reason: "authentication-rejected"}, true
	}
	w.spi++
	nonce := fmt.Appendf(nil, "nonce %010d", w.spi)
	made, _ := method.Server.Associate(root, bootstrap.Request{Identifier: q.NAI, Lifetime: time.Hour, Nonce: nonce})
	return Answer{Key: made.Value, SPI: w.spi, Transform: keys.HMACSHA1, Nonce: nonce, Lifetime: time.Hour}, true
}

func (w *world) mobile(in MobileInput) { w.t.Helper(); w.doMobile(w.m.Step(w.now, in)) }

func (w *world) doMobile(out []MobileOutput) {
	w.t.Helper()
	for _, o := range out {
		switch o := o.(type) {
		case Send:
			m, err := wire.Parse(o.Octets)
			if err != nil {
				w.t.Fatal(err)
			}
			w.sent = append(w.sent, o.Octets)
			if r := m.(*wire.RegistrationRequest); o.From != r.CareOf || o.To != netip.AddrPortFrom(agent, wire.Port) { // RFC 5944, section 3.6.1.1
				w.t.Errorf("sent from %v to %v, with care-of address %v", o.From, o.To, r.CareOf)
			}
			if w.lose == nil || !w.lose(m) {
				w.agent(RequestReceived{From: netip.AddrPortFrom(o.From, 5000), To: o.To.Addr(), Octets: o.Octets})
			}
		case Registered:
			w.tell("registered %v at %v for %v", o.Home, o.CareOf, o.Lifetime)
		case Refused:
			w.tell("refused %v", o.Code)
		case Resynchronised:
			w.tell("resynchronised by %v", o.Clock.Round(time.Second))
		case Ignored:
			w.tell("ignored %s", o.Reason)
		case Made:
			w.tell("made %s", o.Key.Name)
		case Lacking:
			w.tell("lacking %v", o.Need)
		default:
			w.tell("%s", strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", o), "mip4.")))
		}
	}
}

func (w *world) agent(in AgentInput) { w.t.Helper(); w.doAgent(w.a.Step(w.now.Add(w.skew), in)) }

func (w *world) doAgent(out []AgentOutput) {
	w.t.Helper()
	for _, o := range out {
		switch o := o.(type) {
		case Ask:
			if answer, ok := w.vouch(o); ok {
				w.agent(Answered{ID: o.ID, Answer: answer})
			}
		case Reply:
			m, err := wire.Parse(o.Octets)
			if err != nil {
				w.t.Fatal(err)
			}
			w.sent = append(w.sent, o.Octets)
			if w.lose == nil || !w.lose(m) {
				w.mobile(ReplyReceived{From: netip.AddrPortFrom(o.From, wire.Port), Octets: o.Octets})
			}
		case Bound:
			w.tell("bound %v to %v", o.Home, o.CareOf)
			if o.Former.IsValid() {
				w.tell("not %v any more", o.Former)
			}
		case Unbound:
			w.tell("unbound %v: %s", o.Home, o.Reason)
		case Denied:
			w.tell("denied %v", o.Code)
		case Discarded:
			w.tell("discarded %s", o.Reason)
		}
	}
}

func (w *world) tell(format string, args ...any) {
	w.told = append(w.told, fmt.Sprintf(format, args...))
}

// tick has the mobile node do what is due next.
func (w *world) tick() time.Duration {
	w.t.Helper()
	at := w.m.Deadline()
	if at.IsZero() {
		w.t.Fatal("the mobile node awaits nothing")
	}
	passed := at.Sub(w.now)
	w.now = at
	w.doMobile(w.m.Tick(at))
	return passed
}

func (w *world) want(lines ...string) {
	w.t.Helper()
	if got, want := strings.Join(w.told, "\n"), strings.Join(lines, "\n"); got != want {
		w.t.Errorf("told\n%s\nwant\n%s", got, want)
	}
	w.told = nil
}

// last is the last Request or Reply.
func last[M wire.Message](w *world) M {
	w.t.Helper()
	for i := len(w.sent) - 1; i >= 0; i-- {
		m, err := wire.Parse(w.sent[i])
		if err != nil {
			w.t.Fatal(err)
		}
		if m, ok := m.(M); ok {
			return m
		}
	}
	w.t.Fatal("there is none")
	panic("unreachable")
}

// held names extensions in their order.
func held(all []wire.Extension) string {
	var names []string
	for _, e := range all {
		if a, ok := e.(wire.Authentication); ok {
			names = append(names, a.Kind.String())
		} else {
			names = append(names, strings.TrimPrefix(fmt.Sprintf("%T", e), "mip4."))
		}
	}
	return strings.Join(names, " ")
}

func proofOf(r *wire.RegistrationRequest) wire.AuthenticationKind {
	a, _ := wire.Find[wire.Authentication](r.Extensions)
	return a.Kind
}

var registered = []string{"bound 192.0.2.10 to 198.51.100.99", "made MN-HA key", "registered 192.0.2.10 at 198.51.100.99 for 10m0s"}

// The story of a day: RFC 3957, section 3, and RFC 5944, sections 3.6 and 3.8.
func TestTheFirstRegistrationMakesTheKeyThatLaterOnesAreProvenBy(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	w.mobile(Attached{careOf})
	w.want(registered...)
	r := last[*wire.RegistrationRequest](w)
	if proofOf(r) != wire.MobileAAA || r.Flags != wire.CoLocated|wire.ReverseTunnel || !r.Home.IsUnspecified() {
		t.Errorf("first request %+v", r)
	}
	if got := held(r.Extensions); got != "Identifier KeyGenerationRequest mn-aaa" {
		t.Errorf("the first request holds %s", got)
	}
	reply := last[*wire.RegistrationReply](w)
	if reply.Identification != r.Identification || reply.Code != wire.AcceptedNoSimultaneous {
		t.Errorf("first reply %+v", reply)
	}
	if got := held(reply.Extensions); got != "Identifier KeyGenerationReply mn-ha" {
		t.Errorf("the first reply holds %s", got)
	}
	// It moves.
	w.now = w.now.Add(20 * time.Second)
	w.mobile(Attached{careOf2})
	w.want("bound 192.0.2.10 to 203.0.113.77", "not 198.51.100.99 any more", "registered 192.0.2.10 at 203.0.113.77 for 10m0s")
	if r := last[*wire.RegistrationRequest](w); proofOf(r) != wire.MobileHome || r.Home != home {
		t.Errorf("second request %+v", r)
	}
	// It stays.
	if waited := w.tick(); waited != 9*time.Minute {
		t.Errorf("refreshed after %v", waited)
	}
	w.want("bound 192.0.2.10 to 203.0.113.77", "registered 192.0.2.10 at 203.0.113.77 for 10m0s")
	// It comes home.
	w.mobile(AtHome{})
	w.want("unbound 192.0.2.10: deregistered", "deregistered")
	if r := last[*wire.RegistrationRequest](w); r.Lifetime != 0 || r.CareOf != home {
		t.Errorf("last request %+v", r)
	}
	if !w.m.Deadline().IsZero() {
		t.Errorf("at home it awaits something at %v", w.m.Deadline())
	}
}

func TestBeforeTheKeyEndsAnotherIsMade(t *testing.T) { // RFC 4004, section 9.13
	w := newWorld(t, MobileOptions{Lifetime: 30 * time.Minute})
	w.mobile(Attached{careOf})
	w.told = nil
	w.tick() // after 27 min; less than 30 min longer are left for the key
	w.want("bound 192.0.2.10 to 198.51.100.99", "registered 192.0.2.10 at 198.51.100.99 for 30m0s")
	if waited := w.tick(); waited != 27*time.Minute || w.now.Sub(start) != 54*time.Minute {
		t.Errorf("after %v, at %v", waited, w.now.Sub(start))
	}
	w.want("bound 192.0.2.10 to 198.51.100.99", "made MN-HA key", "registered 192.0.2.10 at 198.51.100.99 for 30m0s")
	if proofOf(last[*wire.RegistrationRequest](w)) != wire.MobileAAA {
		t.Error("without asking the AAA server")
	}
}

func TestAKeyThatWasPutInBeforehandIsUsedWithHMACMD5(t *testing.T) {
	s := &Association{ToAgent: 300, ToMobile: 300, Transform: keys.HMACMD5, Key: mnhaKey}
	w := newWorld(t, MobileOptions{Home: home, Association: s}, Subscriber{Home: home, Association: s})
	w.mobile(Attached{careOf})
	w.want("bound 192.0.2.10 to 198.51.100.99", "registered 192.0.2.10 at 198.51.100.99 for 10m0s")
	for _, b := range w.sent {
		p := wire.Places(b)
		if len(p) != 1 || p[0].Kind != wire.MobileHome || p[0].SPI != 300 || len(p[0].Authenticator) != 16 {
			t.Errorf("%+v", p)
		}
	}
}

func TestRequestsAreRepeatedWithGrowingPatience(t *testing.T) { // RFC 5944, section 3.6.3
	w := newWorld(t, MobileOptions{Lifetime: 20 * time.Second})
	w.lose = func(wire.Message) bool { return true }
	w.mobile(Attached{careOf})
	var waits []time.Duration
	for range 7 {
		waits = append(waits, w.tick())
	}
	if got := fmt.Sprint(waits); got != "[1s 2s 4s 8s 16s 20s 20s]" { // no more than the lifetime
		t.Errorf("waits %s", got)
	}
	seen := map[uint64]bool{}
	var before uint64
	for _, b := range w.sent {
		m, _ := wire.ParseRequest(b)
		if seen[m.Identification] || m.Identification <= before {
			t.Errorf("identification %x after %x", m.Identification, before)
		}
		seen[m.Identification], before = true, m.Identification
	}
	w.lose = nil
	w.tick()
	if got := strings.Join(w.told, " "); !strings.Contains(got, "registered") {
		t.Errorf("told %s", got)
	}
}

func TestAClockThatIsWrongIsSetByTheFirstRefusal(t *testing.T) { // RFC 5944, sections 3.6.2.3 and 5.7.1
	for _, skew := range []time.Duration{time.Hour, -time.Hour, 30 * 365 * 24 * time.Hour, -8 * time.Second} {
		w := newWorld(t, MobileOptions{})
		w.skew = skew
		w.mobile(Attached{careOf})
		if len(w.told) != 4 || w.told[0] != "made MN-HA key" || w.told[1] != "refused registration-identification-mismatch" || w.told[3] != "denied registration-identification-mismatch" {
			t.Fatalf("skew %v: told %q", skew, w.told)
		}
		if d := w.m.clock - skew; d < -time.Second || d > time.Second {
			t.Errorf("skew %v: set by %v", skew, w.m.clock)
		}
		w.told = nil
		if waited := w.tick(); waited != time.Second { // section 3.6.3: MUST NOT be less
			t.Errorf("again after %v", waited)
		}
		w.want("bound 192.0.2.10 to 198.51.100.99", "registered 192.0.2.10 at 198.51.100.99 for 10m0s")
	}
}

func TestAClockWithinTheWindowIsGoodEnough(t *testing.T) { // RFC 5944, section 5.7.1: 7 s
	for _, skew := range []time.Duration{7 * time.Second, -7 * time.Second} {
		w := newWorld(t, MobileOptions{})
		w.skew = skew
		w.mobile(Attached{careOf})
		w.want(registered...)
	}
}

func TestAWrongMNAAAKeyIsNotRepliedTo(t *testing.T) { // RFC 5944, section 3.8.3.3: there is no key for a Reply
	w := newWorld(t, MobileOptions{})
	w.m.o.Held.MNAAAKey = []byte("another MN-AAA k")
	w.mobile(Attached{careOf})
	w.want("discarded authentication-rejected")
	if len(w.sent) != 1 {
		t.Errorf("%d datagrams", len(w.sent))
	}
}

func TestARefusalOfTheAAAServerIsToldUnderAnOlderAssociation(t *testing.T) { // RFC 4721, section 3.4
	w := newWorld(t, MobileOptions{Lifetime: 30 * time.Minute})
	w.mobile(Attached{careOf})
	w.tick()
	w.told = nil
	w.vouch = func(Ask) (Answer, bool) { return Answer{Code: wire.MobileFailedAAA}, true }
	w.tick()
	w.want("ignored no-nonce", "denied mobile-node-failed-aaa-authentication") // RFC 3957, section 3 (8)
	if reply := last[*wire.RegistrationReply](w); reply.Code != wire.MobileFailedAAA {
		t.Errorf("%+v", reply)
	}
}

func TestAHomeAgentThatHasForgottenIsProvenToAnew(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	w.mobile(Attached{careOf})
	fresh := newWorld(t, MobileOptions{})
	w.a, w.told = fresh.a, nil
	w.now = w.now.Add(time.Minute)
	w.mobile(Attached{careOf2})
	for range 3 {
		w.tick()
	}
	w.want("discarded no-association", "discarded no-association", "discarded no-association",
		"bound 192.0.2.10 to 203.0.113.77", "made MN-HA key", "registered 192.0.2.10 at 203.0.113.77 for 10m0s")
}

func TestABindingEndsByItself(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	w.mobile(Attached{careOf})
	w.mobile(Detached{})
	w.told = nil
	w.now = w.a.Deadline()
	if got := w.now.Sub(start); got != 10*time.Minute {
		t.Errorf("ends after %v", got)
	}
	w.doAgent(w.a.Tick(w.now))
	w.doMobile(w.m.Tick(w.now))
	w.want("unbound 192.0.2.10: expired", "expired")
	if !w.a.Deadline().IsZero() || !w.m.Deadline().IsZero() {
		t.Error("something is awaited")
	}
}

func TestWhatIsRevokedIsUnbound(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	w.mobile(Attached{careOf})
	w.told = nil
	w.agent(Revoked{nai})
	w.agent(Revoked{"a stranger"})
	w.want("unbound 192.0.2.10: revoked")
	w.now = w.now.Add(time.Second)
	w.mobile(Attached{careOf2})
	w.want("discarded no-association")
}

func TestTheHomeAgentDoesNotGrantMoreThanItMay(t *testing.T) { // RFC 5944, section 3.8.2.2
	w := newWorld(t, MobileOptions{Lifetime: wire.Infinite})
	w.mobile(Attached{careOf})
	if got := last[*wire.RegistrationReply](w).Lifetime; got != 30*time.Minute {
		t.Errorf("granted %v", got)
	}
}

// replay has a Request that was recorded arrive again.
func (w *world) replay(i int, from string) {
	w.t.Helper()
	w.agent(RequestReceived{From: netip.MustParseAddrPort(from), To: agent, Octets: bytes.Clone(w.sent[i])})
}

func TestAReplayedFirstRequestTakesNothingAway(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	w.mobile(Attached{careOf})
	w.now = w.now.Add(2 * time.Second)
	w.mobile(Attached{careOf2})
	w.told = nil
	w.now = w.now.Add(time.Second)
	w.replay(0, "198.51.100.99:5000")
	w.want("ignored nothing-asked", "denied registration-identification-mismatch")
	w.now = w.now.Add(time.Second)
	w.mobile(Attached{careOf}) // by the association that it has
	w.want("bound 192.0.2.10 to 198.51.100.99", "not 203.0.113.77 any more", "registered 192.0.2.10 at 198.51.100.99 for 10m0s")
	if proofOf(last[*wire.RegistrationRequest](w)) != wire.MobileHome {
		t.Error("it had to prove itself anew")
	}
}

func TestADuplicateGetsTheSameReplyAndNoMoreTime(t *testing.T) { // RFC 5944, section 3.8.2.2
	w := newWorld(t, MobileOptions{})
	w.mobile(Attached{careOf})
	w.now = w.now.Add(time.Minute)
	w.mobile(Attached{careOf2})
	at := len(w.sent) - 2
	w.told = nil
	w.now = w.now.Add(3 * time.Second)
	w.replay(at, "203.0.113.77:5000")
	w.want("ignored nothing-asked")
	if reply := last[*wire.RegistrationReply](w); reply.Code != wire.AcceptedNoSimultaneous || reply.Lifetime != 10*time.Minute-3*time.Second {
		t.Errorf("%+v", reply)
	}
	// An older one is no duplicate.
	w.now = w.now.Add(time.Second)
	w.mobile(Attached{careOf})
	w.told = nil
	w.replay(at, "203.0.113.77:5000")
	w.want("ignored nothing-asked", "denied registration-identification-mismatch")
}

func TestALateAnswerDoesNotUndoALaterRequest(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	var held []Ask
	w.vouch = func(q Ask) (Answer, bool) { held = append(held, q); return Answer{}, false }
	w.mobile(Attached{careOf})
	w.now = w.now.Add(500 * time.Millisecond)
	w.mobile(Attached{careOf2})
	if len(held) != 2 {
		t.Fatalf("%d asks", len(held))
	}
	answer := func(i int) {
		a, _ := w.server(held[i])
		w.agent(Answered{ID: held[i].ID, Answer: a})
	}
	answer(0)
	w.want("discarded superseded")
	answer(1)
	w.want("bound 192.0.2.10 to 203.0.113.77", "made MN-HA key", "registered 192.0.2.10 at 203.0.113.77 for 10m0s")
	answer(1)
	w.want()
}

func TestTheSameRequestIsAskedAboutOnceAndOneMobileNodeNotForEver(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	asked := 0
	w.vouch = func(Ask) (Answer, bool) { asked++; return Answer{}, false }
	w.mobile(Attached{careOf})
	w.replay(0, "198.51.100.99:5000")
	w.want("discarded asked-already")
	for range 5 {
		w.tick()
	}
	if asked != mostAsksName {
		t.Errorf("asked %d times, want %d", asked, mostAsksName)
	}
}

func TestTheSecondMobileNodeGetsAnotherHomeAddress(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	w.mobile(Attached{careOf})
	other := newWorld(t, MobileOptions{})
	other.a = w.a
	other.m.o.NAI, other.m.o.Held.NAI = "other@example", "other@example"
	vouch := func(q Ask) (Answer, bool) {
		q.NAI = nai // of whom the server knows the key
		a, ok := other.server(q)
		root, _ := bootstrap.Of("mipv4", "", "")
		made, _ := root.Server.Associate(keys.Provisioned(keys.NameMNAAA, aaaKey), bootstrap.Request{Identifier: "other@example", Nonce: a.Nonce})
		a.Key = made.Value
		return a, ok
	}
	other.vouch = vouch
	other.mobile(Attached{careOf2})
	other.want("bound 192.0.2.11 to 203.0.113.77", "made MN-HA key", "registered 192.0.2.11 at 203.0.113.77 for 10m0s")
}

package ha

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/session/association"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/radpeer"
	"s2clab/nodes/wire/mh"
	"s2clab/nodes/wire/radius"
)

const radiusSecret = "between pgw and aaa"

// A radiusServer answers as its function says; code 0: it does not.
func radiusServer(t *testing.T, secret string, answer func(d radpeer.Deliver) (radius.Code, []radius.Attribute, error)) netip.AddrPort {
	t.Helper()
	server, err := radpeer.NewServer(radpeer.ServerOptions{Salts: rand.New(rand.NewPCG(1, 2)),
		Clients: []radpeer.Known{{Name: "pgw", Prefix: netip.MustParsePrefix("::1/128"), Secret: radius.Secret(secret), Guarded: true}}})
	if err != nil {
		t.Fatal(err)
	}
	transport := host.NewRADIUSTransport(t.Context())
	_, at, err := transport.Open(netip.MustParseAddrPort("[::1]:0"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var over sync.WaitGroup
	over.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case in := <-transport.Inputs():
				for _, o := range slices.Clone(server.Received(time.Now(), in)) {
					d, ok := o.(radpeer.Deliver)
					if !ok {
						transport.Act(o)
						continue
					}
					code, as, err := answer(d)
					if err != nil {
						t.Error(err)
					}
					if code == 0 {
						continue
					}
					out, err := server.Answer(time.Now(), d.ID, code, as)
					if err != nil {
						t.Error(err)
					}
					for _, o := range out {
						transport.Act(o)
					}
				}
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		over.Wait()
		transport.Close()
	})
	return at
}

// A radiusAgent asks RADIUS servers as a home agent does.
type radiusAgent struct {
	t      *testing.T
	asker  asker
	inputs chan Input
	mu     sync.Mutex
	told   []string
}

func (a *radiusAgent) Event(name string, fields map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = append(a.told, name+" "+fields["peer"].(string))
}

func (a *radiusAgent) Reply(uint64, any, error) {}

func newRADIUSAgent(t *testing.T, servers ...netip.AddrPort) *radiusAgent {
	t.Helper()
	cfg := with(func(h *control.HomeAgent) {
		h.AAATimeout = time.Second
		for i, at := range servers {
			h.RADIUS = append(h.RADIUS, control.RADIUSPeer{Host: []string{"aaa-1.example", "aaa-2.example"}[i], Address: at, Secret: []byte(radiusSecret)})
		}
	})
	a := &radiusAgent{t: t, inputs: make(chan Input, 1)}
	k := &kernel{address: homeAgent, answers: func(in Input) { a.inputs <- in }}
	if err := k.connect(cfg, a); err != nil {
		t.Fatal(err)
	}
	a.asker = k.asker
	ctx, cancel := context.WithCancel(t.Context())
	var over sync.WaitGroup
	over.Go(func() {
		if err := a.asker.run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		over.Wait()
	})
	return a
}

func (a *radiusAgent) ask(q *AskAAA) Input {
	a.t.Helper()
	a.asker.ask(q, func(in Input) { a.inputs <- in })
	select {
	case in := <-a.inputs:
		return in
	case <-time.After(30 * time.Second):
		a.t.Fatal("nothing became of the question")
		return nil
	}
}

// aboutUpdate asks about a Binding Update with an MN-AAA option, from an IPv4 access.
func aboutUpdate() *AskAAA {
	return &AskAAA{ID: 7, NAI: naiA, HomeAddress: homeA, CareOf: netip.MustParseAddr("192.0.2.9"), SPI: mh.HMACSHA1SPI,
		Authenticator: bytes.Repeat([]byte{2}, 20), MobilityData: [20]byte{3}, Timestamp: bytes.Repeat([]byte{4}, 8)}
}

func TestAHomeAgentOf3GPP2AsksByRADIUS(t *testing.T) { // RFC 5419, section 6.2
	key := []byte("a key of 16 oct.")
	requests := make(chan *radius.BindingRequest, 1)
	at := radiusServer(t, radiusSecret, func(d radpeer.Deliver) (radius.Code, []radius.Attribute, error) {
		r, err := radius.ParseBindingRequest(d.Packet.Attributes)
		if err != nil {
			return 0, nil, err
		}
		requests <- r
		as, err := (&radius.BindingAccept{User: r.User, SessionKey: key, Lifetime: time.Minute, Home: r.Home}).AppendTo(nil, d.Cover)
		return radius.AccessAccept, as, err
	})
	a := newRADIUSAgent(t, at)
	in, ok := a.ask(aboutUpdate()).(*AAAAnswered)
	if !ok || in.ID != 7 || in.Result != resultSuccess || in.Peer != "aaa-1.example" || in.NAI != naiA || in.HomeAddress != homeA || in.SessionID != "" {
		t.Fatalf("%+v", in)
	}
	if s := in.Session; !bytes.Equal(s.Key, key) || s.SPI != bootstrap.ThreeGPP2SPI || s.Lifetime != time.Minute || !s.Timestamp {
		t.Errorf("SPI %d, %v, timestamp %v", s.SPI, s.Lifetime, s.Timestamp)
	}
	q, r := aboutUpdate(), <-requests
	if r.Address != homeAgent || r.HomeAgent != homeAgent || r.CareOf.Unmap() != q.CareOf || r.Home != homeA ||
		!bytes.Equal(r.Timestamp, q.Timestamp) || !bytes.Equal(r.Authenticator, q.Authenticator) || !bytes.Equal(r.MobilityData, q.MobilityData[:]) {
		t.Errorf("asked %+v", r)
	}
}

func TestAHomeAgentOfWiMAXAsksForTheKeyByRADIUS(t *testing.T) {
	key := bytes.Repeat([]byte{9}, 20)
	var off atomic.Uint32
	at := radiusServer(t, radiusSecret, func(d radpeer.Deliver) (radius.Code, []radius.Attribute, error) {
		r, err := radius.ParseKeyRequest(d.Packet.Attributes)
		if err != nil {
			return 0, nil, err
		}
		as, err := (&radius.KeyAccept{User: r.User, Key: key, SPI: r.SPI + off.Load()}).AppendTo(nil, d.Cover)
		return radius.AccessAccept, as, err
	})
	a := newRADIUSAgent(t, at)
	q := &AskAAA{ID: 8, NAI: naiA, Fetch: true, SPI: 4098, Timestamp: make([]byte, 8)}
	in, ok := a.ask(q).(*AAAAnswered)
	if !ok || in.Result != resultSuccess || in.NAI != naiA || !bytes.Equal(in.Session.Key, key) || in.Session.SPI != 4098 || in.Session.Lifetime != longestKey {
		t.Errorf("%+v", in)
	}
	off.Store(1)
	if in := a.ask(q); in != Input(AAAFailed{ID: 8, Reason: "malformed-answer"}) {
		t.Errorf("the key of another SPI: %+v", in)
	}
}

func TestWhatRADIUSCannotSayFails(t *testing.T) {
	a := newRADIUSAgent(t, radiusServer(t, radiusSecret, func(radpeer.Deliver) (radius.Code, []radius.Attribute, error) {
		return radius.AccessAccept, nil, nil
	}))
	q := aboutUpdate()
	if in := a.ask(q); in != Input(AAAFailed{ID: 7, Reason: "malformed-answer"}) {
		t.Errorf("an acceptance without a key: %+v", in)
	}
	q.Timestamp = nil
	if in := a.ask(q); in != Input(AAAFailed{ID: 7, Reason: "malformed-request"}) {
		t.Errorf("without a timestamp: %+v", in)
	}
}

func TestARejectionIsAFailedAuthentication(t *testing.T) {
	a := newRADIUSAgent(t, radiusServer(t, radiusSecret, func(radpeer.Deliver) (radius.Code, []radius.Attribute, error) {
		return radius.AccessReject, nil, nil
	}))
	in, ok := a.ask(aboutUpdate()).(*AAAAnswered)
	if !ok || in.Result != resultAuthenticationReject || in.Session != nil {
		t.Errorf("%+v", in)
	}
}

func TestAServerThatIsSilentIsFollowedByTheNext(t *testing.T) {
	dead := radiusServer(t, "another secret", nil) // which discards what it cannot believe
	alive := radiusServer(t, radiusSecret, func(radpeer.Deliver) (radius.Code, []radius.Attribute, error) {
		return radius.AccessReject, nil, nil
	})
	a := newRADIUSAgent(t, dead, alive)
	for range 2 {
		if in, ok := a.ask(aboutUpdate()).(*AAAAnswered); !ok || in.Peer != "aaa-2.example" {
			t.Errorf("%+v", in)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if want := []string{"peer-suspected aaa-1.example"}; !slices.Equal(a.told, want) {
		t.Errorf("told %q, want %q", a.told, want)
	}
}

func TestWithoutAnAnswerTheQuestionFails(t *testing.T) {
	a := newRADIUSAgent(t, radiusServer(t, "another secret", nil))
	if in := a.ask(aboutUpdate()); in != Input(AAAFailed{ID: 7, Reason: "time-out"}) {
		t.Errorf("%+v", in)
	}
}

// ofProfile has the home agent ask as a profile does.
func ofProfile(profile string) func(*control.HomeAgent) {
	return func(h *control.HomeAgent) {
		fromAAA(h)
		h.AAA = nil
		h.RADIUS = []control.RADIUSPeer{{Host: "aaa.example.org"}}
		h.Security.Profile = profile
	}
}

func TestTheAssociationOf3GPP2EndsWithItsBinding(t *testing.T) {
	s := tell(t, with(ofProfile("3gpp2")))
	s.send(s.asking(1))
	first := s.asked()
	s.vouch(first, bootstrap.ThreeGPP2SPI)
	s.wantBound(homeA, careOfWLAN)
	s.pass(time.Second)

	back := s.homecoming(2)
	back.mnha = association.New(bootstrap.ThreeGPP2SPI, session(first, bootstrap.ThreeGPP2SPI).Key)
	s.send(back)
	s.wantStatus(mh.Accepted)
	s.pass(time.Second)
	away := s.of(3)
	away.mnha = back.mnha
	s.send(away)
	s.wantDiscarded("unknown-association")

	s.send(s.asking(4)) // the next association has the same SPI, and another key
	next := s.asked()
	given := session(next, bootstrap.ThreeGPP2SPI)
	given.Key = []byte("the key of later")
	s.step(&AAAAnswered{ID: next.ID, Result: resultSuccess, HomeAddress: homeA, Session: given})
	s.wantStatus(mh.Accepted)
	s.pass(time.Second)
	later := s.of(5)
	later.mnha = association.New(bootstrap.ThreeGPP2SPI, given.Key)
	s.send(later)
	s.wantStatus(mh.Accepted)
	if sub := s.m.subscribers[naiA]; len(sub.associations) != 1 {
		t.Errorf("%d associations under one SPI", len(sub.associations))
	}
}

func TestAFetchedKeyOf20OctetsProtectsTheBinding(t *testing.T) {
	s := tell(t, with(ofProfile("wimax")))
	s.m.Keeps()
	key := bytes.Repeat([]byte{7}, 20)
	a := s.of(1)
	a.mnha = association.New(4098, key)
	s.send(a)
	ask := s.asked()
	if !ask.Fetch || ask.SPI != 4098 {
		t.Fatalf("%+v", ask)
	}
	s.step(&AAAAnswered{ID: ask.ID, Result: resultSuccess, Session: &Session{Key: key, SPI: 4098, Lifetime: time.Hour, Timestamp: true}})
	s.wantBound(homeA, careOfWLAN)
	other := tell(t, with(ofProfile("wimax"))) // in another life
	if _, bindings := other.m.Restore(s.now, s.m.Remembered()); bindings != 1 {
		t.Errorf("%d bindings are restored", bindings)
	}
	for _, octets := range []int{15, 65} {
		s := tell(t, with(ofProfile("wimax")))
		s.send(a)
		s.step(&AAAAnswered{ID: s.asked().ID, Result: resultSuccess, Session: &Session{Key: make([]byte, octets), SPI: 4098, Lifetime: time.Hour}})
		if got := s.events("aaa-failed"); len(got) != 1 || got[0]["reason"] != "session-key-length" {
			t.Errorf("%d octets: %s", octets, s.words())
		}
	}
}

func TestAnAssociationThatHasEndedIsAskedForAgain(t *testing.T) {
	s := tell(t, with(ofProfile("wimax")))
	key := bytes.Repeat([]byte{7}, 20)
	move := func(seq uint16, home bool) {
		a := s.of(seq)
		if home {
			a.lifetime = 0 // away from home
		}
		a.mnha = association.New(4098, key)
		s.send(a)
	}
	answer := func() {
		s.step(&AAAAnswered{ID: s.asked().ID, Result: resultSuccess, Session: &Session{Key: key, SPI: 4098, Lifetime: time.Hour, Timestamp: true}})
	}
	move(1, false)
	answer()
	s.wantStatus(mh.Accepted)
	s.pass(time.Second)
	move(2, true)
	s.wantStatus(mh.Accepted)
	s.pass(time.Second)
	move(3, false)
	answer()
	s.wantStatus(mh.Accepted)
	s.wantBound(homeA, careOfWLAN)
}

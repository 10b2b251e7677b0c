package hss

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/hss/store"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

const naiOfIMSI = "0" + imsi + "@nai.example"

func configOf(t *testing.T) *control.Config {
	return &control.Config{Node: "hss", Role: "hss", Seed: 1, HSS: &control.HSS{Host: "hss.example", Realm: "example", Store: filepath.Join(t.TempDir(), "hss.sqlite"),
		Subscriptions: []control.Subscription{{NAI: naiOfIMSI, IMSI: imsi, K: subscriber().K, OPc: subscriber().OPc, AMF: 0x8000, SQN: 64,
			APNs: []control.APN{{Name: "internet"}, {Name: "ims", Barred: true}}}}}}
}

func TestSubscriptionsAreInTheStoreAndOneThatIsThereStaysAsItIs(t *testing.T) {
	cfg := configOf(t).HSS
	s, err := open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := s.Subscriber(imsi)
	if err != nil || sub.DefaultAPN != "internet" || len(sub.APNs) != 2 || !sub.APNs[1].Barred || sub.AMF != [2]byte{0x80, 0} || !sub.GBA.Allowed {
		t.Errorf("%+v, %v", sub, err)
	}
	if _, err := s.Take(imsi, 5); err != nil {
		t.Fatal(err)
	}
	at, err := s.SQN(imsi)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Subscriptions[0].SQN, cfg.Subscriptions[0].Barred = 0, true
	if s, err = open(cfg); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	again, err := s.SQN(imsi)
	if sub, _ := s.Subscriber(imsi); err != nil || again < at || sub.BarredNon3GPP {
		t.Errorf("sequence number %d after %d: %v", again, at, err)
	}
}

func TestASubscriptionThatCannotBeIsToldBeforeItBegins(t *testing.T) {
	for name, change := range map[string]func(*control.Subscription){
		"a K of 15 octets": func(s *control.Subscription) { s.K = s.K[:15] },
		"no OPc and no OP": func(s *control.Subscription) { s.OPc = nil },
		"no IMSI":          func(s *control.Subscription) { s.IMSI = "x" },
	} {
		cfg := configOf(t).HSS
		change(&cfg.Subscriptions[0])
		if s, err := open(cfg); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		}
	}
}

// A network stands for the sockets: the other end of one connection is the test.
type network struct {
	inputs chan diampeer.Input
	wrote  chan *diameter.Message
}

func (n *network) Inputs() <-chan diampeer.Input { return n.inputs }

func (n *network) Act(o diampeer.Output) {
	if w, ok := o.(diampeer.Write); ok {
		m, err := diameter.Parse(w.Octets)
		if err == nil {
			err = diameter.Check(m)
		}
		if err != nil {
			panic(err)
		}
		n.wrote <- m
	}
}

type reply struct {
	value any
	err   error
}

// A lab takes what the role tells it.
type lab struct {
	mu      sync.Mutex
	events  []string
	fields  []map[string]any
	replies chan reply
}

func (l *lab) Event(name string, fields map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events, l.fields = append(l.events, name), append(l.fields, fields)
}

func (l *lab) Reply(_ uint64, value any, err error) { l.replies <- reply{value, err} }

// of gives the fields of the events of a name.
func (l *lab) of(name string) (all []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, n := range l.events {
		if n == name {
			all = append(all, l.fields[i])
		}
	}
	return all
}

// A running is an HSS that runs, with one AAA server, which is the test.
type running struct {
	*testing.T
	*network
	*lab
	kept     *store.Store
	commands chan control.Command
	ended    chan error
	cancel   context.CancelFunc
	ids      uint32
}

var aaaHere = diameter.Identity{Host: "aaa.example", Realm: "example"}

func run(t *testing.T, show bool) *running {
	t.Helper()
	cfg := configOf(t)
	cfg.ShowKeys = show
	kept, err := open(cfg.HSS)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{T: t, network: &network{make(chan diampeer.Input, mostTogether), make(chan *diameter.Message, 100)}, lab: &lab{replies: make(chan reply, 10)},
		kept: kept, commands: make(chan control.Command), ended: make(chan error, 1)}
	s := newServer(cfg, New(kept, rand.NewChaCha8([32]byte{1})), r.lab, time.Now())
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { r.ended <- s.run(ctx, r.network, r.commands) })
	t.Cleanup(func() { r.cancel(); done.Wait(); kept.Close() })
	r.inputs <- diampeer.Accepted{Conn: 1, Local: netip.IPv6Loopback(), Remote: netip.AddrPortFrom(netip.IPv6Loopback(), 1)}
	r.ask(&diameter.CapabilitiesExchangeRequest{Capabilities: diameter.Capabilities{Identity: aaaHere, Addresses: []netip.Addr{netip.IPv6Loopback()}, Product: "test", VendorAuth: []diameter.Application{diameter.SWx}}})
	return r
}

func (r *running) give(q Request, id uint32, flags diameter.Flags) {
	r.Helper()
	b, err := q.AppendTo(nil, diameter.Header{HopByHop: id, EndToEnd: id, Flags: flags})
	if err != nil {
		r.Fatal(err)
	}
	r.inputs <- diampeer.Received{Conn: 1, Octets: b, At: time.Now()}
}

// next is the next message that the server writes.
func (r *running) next() *diameter.Message {
	r.Helper()
	select {
	case m := <-r.wrote:
		return m
	case err := <-r.ended:
		r.Fatalf("the server has ended: %v", err)
	case <-time.After(20 * time.Second):
		r.Fatal("nothing is written")
	}
	return nil
}

func (r *running) ask(q Request) *diameter.Message {
	r.Helper()
	r.ids++
	r.give(q, r.ids, 0)
	return r.next()
}

func (r *running) command(name, args string) (any, error) {
	r.Helper()
	r.commands <- control.Command{Name: name, Args: json.RawMessage(args)}
	done := <-r.replies
	return done.value, done.err
}

func vectorsFor(user string) *diameter.MultimediaAuthRequest {
	return &diameter.MultimediaAuthRequest{Application: diameter.SWx, Session: "aaa.example;1;1", Identity: aaaHere, DestinationRealm: "example", User: user, Vectors: 1, Scheme: diameter.SchemeEAPAKA}
}

var registers = &diameter.ServerAssignmentRequest{Session: "aaa.example;1;2", Identity: aaaHere, DestinationRealm: "example", User: imsi, Type: diameter.Registration}

// complies answers a request of the server's own.
func (r *running) complies(m *diameter.Message, result diameter.ResultCode) {
	r.Helper()
	session := string(m.Find(diameter.SessionID).Data)
	var a Request = &diameter.PushProfileAnswer{Session: session, Outcome: diameter.Outcome{Result: result}, Identity: aaaHere}
	if m.Command == diameter.RegistrationTermination {
		a = &diameter.RegistrationTerminationAnswer{Session: session, Outcome: diameter.Outcome{Result: result}, Identity: aaaHere}
	}
	b, err := a.AppendTo(nil, m.Header)
	if err != nil {
		r.Fatal(err)
	}
	r.inputs <- diampeer.Received{Conn: 1, Octets: b}
}

// settled waits until all that was given has been taken.
func (r *running) settled() Counts {
	r.Helper()
	for range 2 { // inputs and commands are taken in any order
		r.ask(&diameter.DeviceWatchdogRequest{Identity: aaaHere})
	}
	v, err := r.command("state", "")
	if err != nil {
		r.Fatal(err)
	}
	return v.(Counts)
}

func TestKeysOfAVectorAreToldAndShownOnlyWhereAskedFor(t *testing.T) {
	for _, show := range []bool{false, true} {
		r := run(t, show)
		m := r.ask(vectorsFor(imsi))
		a, err := diameter.ParseMultimediaAuthAnswer(m)
		if err != nil || len(a.Items) != 1 {
			t.Fatalf("%+v, %v", a, err)
		}
		r.give(vectorsFor(imsi), r.ids, diameter.Retransmitted) // the same again: RFC 6733, section 3
		if again, err := diameter.ParseMultimediaAuthAnswer(r.next()); err != nil || again.Items[0].RAND != a.Items[0].RAND {
			t.Errorf("another vector for the same request: %v", err)
		}
		if c := r.settled(); c.Requests != 1 || c.Vectors != 1 || c.Peers != 1 || c.Results["success"] != 1 {
			t.Errorf("%+v", c)
		}
		var told []string
		for _, k := range r.of("key-made") {
			told = append(told, k["key"].(string))
			if _, has := k["value"]; has != show || k["nai"] != naiOfIMSI {
				t.Errorf("%v", k)
			}
		}
		if want := []string{"K", "CK", "IK"}; !slices.Equal(told, want) {
			t.Errorf("told of %q, want %q", told, want)
		}
		if e := r.of("request-answered"); len(e) != 1 || e[0]["nai"] != naiOfIMSI || e[0]["vectors"] != 1 || e[0]["peer"] != "aaa.example" {
			t.Errorf("%v", e)
		}
	}
}

func TestWhoServesASubscriberIsToldOfWhatChanges(t *testing.T) {
	r := run(t, false)
	if _, err := diameter.ParseServerAssignmentAnswer(r.ask(registers)); err != nil {
		t.Fatal(err)
	}
	v, err := r.command("bar", `{"imsi": "`+imsi+`", "barred": true}`)
	if err != nil || v.(map[string]int)["told"] != 1 {
		t.Fatalf("%v, %v", v, err)
	}
	m := r.next()
	if q, err := diameter.ParseRegistrationTerminationRequest(m); err != nil || q.User != imsi || q.DestinationHost != "aaa.example" {
		t.Fatalf("%+v, %v", q, err)
	}
	r.complies(m, diameter.Success)
	if r.settled(); len(r.of("deregistration-told")) != 1 || r.of("deregistration-told")[0]["nai"] != naiOfIMSI {
		t.Errorf("%v", r.of("deregistration-told"))
	}
	// One who is barred is told so in the profile; when that ends, by another profile.
	if a, err := diameter.ParseServerAssignmentAnswer(r.ask(registers)); err != nil || a.Data == nil || *a.Data.Access != diameter.Non3GPPBarred {
		t.Fatalf("%+v, %v", a, err)
	}
	if _, err := r.command("bar", `{"imsi": "`+imsi+`", "barred": false}`); err != nil {
		t.Fatal(err)
	}
	m = r.next()
	if q, err := diameter.ParsePushProfileRequest(m); err != nil || *q.Data.Access != diameter.Non3GPPAllowed {
		t.Fatalf("%+v, %v", q, err)
	}
	r.complies(m, diameter.UserUnknown) // it has been restarted, and does not serve
	r.settled()
	if held, err := r.kept.Registration(imsi); err != nil || held.Server != "" {
		t.Errorf("%+v, %v", held, err)
	}
	if e := r.of("profile-told"); len(e) != 1 {
		t.Errorf("%v", e)
	}
	r.ask(registers)
	if v, err := r.command("remove", `{"imsi": "`+imsi+`"}`); err != nil || v.(map[string]int)["told"] != 1 {
		t.Fatalf("%v, %v", v, err)
	}
	r.complies(r.next(), diameter.Success)
	if o, _, err := diameter.ParseError(r.ask(vectorsFor(imsi))); err != nil || o.Result != diameter.UserUnknown {
		t.Errorf("%v, %v", o, err)
	}
}

func TestCommandsThatSayTooLittleChangeNothing(t *testing.T) {
	r := run(t, false)
	for _, c := range [][2]string{{"bar", `{"imsi": "` + imsi + `"}`}, {"bar", `{}`}, {"bar", ``}, {"bar", `{"imsi": "001019999999999", "barred": true}`}, {"remove", `{}`}, {"remove", `{"imsi": "x"}`}, {"dance", `{}`}} {
		if v, err := r.command(c[0], c[1]); err == nil {
			t.Errorf("%s %s: %v", c[0], c[1], v)
		}
	}
	if sub, err := r.kept.Subscriber(imsi); err != nil || sub.BarredNon3GPP {
		t.Errorf("%+v, %v", sub, err)
	}
	if r.settled().Peers != 1 {
		t.Error("it has ended")
	}
}

func TestAServerWithoutAPeerToTellIsToldSo(t *testing.T) {
	r := run(t, false)
	r.ask(registers)
	r.inputs <- diampeer.Closed{Conn: 1, Reason: "reset"}
	for len(r.of("peer-down")) == 0 {
		if _, err := r.command("state", ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.command("bar", `{"imsi": "`+imsi+`", "barred": true}`); err != nil {
		t.Fatal(err)
	}
	if _, err := r.command("state", ""); err != nil {
		t.Fatal(err)
	}
	if e := r.of("deregistration-told"); len(e) != 1 || e[0]["reason"] == nil {
		t.Errorf("%v", e)
	}
}

// What a server cannot keep it must not go on from: a sequence number would come twice.
func TestAStoreThatFailsEndsTheServerAndNothingIsAnswered(t *testing.T) {
	for name, do := range map[string]func(r *running){
		"by a request": func(r *running) { r.give(vectorsFor(imsi), 99, 0) },
		"by a command": func(r *running) {
			if _, err := r.command("bar", `{"imsi": "`+imsi+`", "barred": true}`); err == nil {
				t.Error("barred")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, false)
			r.settled()
			if err := r.kept.Close(); err != nil {
				t.Fatal(err)
			}
			do(r)
			select {
			case err := <-r.ended:
				if err == nil {
					t.Error("ended without an error")
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it goes on")
			}
			if len(r.wrote) != 0 || len(r.of("key-made")) != 0 {
				t.Error("something was said")
			}
		})
	}
}

func TestHostileNamesDoNotSwellEvents(t *testing.T) {
	r := run(t, false)
	r.ask(vectorsFor(strings.Repeat("9", 60000)))
	other := vectorsFor(imsi)
	other.DestinationRealm = strings.Repeat("x", 5000)
	r.ask(other)
	r.settled()
	for _, e := range r.of("request-answered") {
		for k, v := range e {
			if text, ok := v.(string); ok && len(text) > longestName {
				t.Errorf("%s of %d octets", k, len(text))
			}
		}
	}
}

func TestAServerTakesLeaveOfItsPeers(t *testing.T) {
	r := run(t, false)
	r.cancel()
	if m := r.next(); m.Command != diameter.DisconnectPeer {
		t.Errorf("%s", m.Name())
	}
	select {
	case err := <-r.ended:
		if err == nil || !strings.Contains(err.Error(), "canceled") {
			t.Errorf("%v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
}

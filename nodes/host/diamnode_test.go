package host_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"s2clab/nodes/host"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

// A node is dialled by some peers and dials others, by a Server and a Client on
// one transport. All of it happens in one goroutine.
type node struct {
	nodeOptions
	diameter.Identity
	at     netip.AddrPort // where it listens
	told   chan string
	server *diampeer.Server
	client *diampeer.Client

	do    chan func()
	asked uint64
	done  map[uint64]func(diampeer.Outcome)
	act   func(out []diampeer.Output)
}

// nodeOptions are what a node does beside naming itself. All may be left out.
type nodeOptions struct {
	servers  []diampeer.Remote
	watchdog time.Duration             // 0: 2 s
	saw      func(m *diameter.Message) // is given every message that arrives
	serve    func(n *node, d diampeer.Deliver, answer func(octets []byte))
}

// newNode runs the node name in realm until the test ends.
func newNode(t *testing.T, name, realm string, options nodeOptions) *node {
	t.Helper()
	if options.watchdog == 0 {
		options.watchdog = 2 * time.Second
	}
	if options.saw == nil {
		options.saw = func(*diameter.Message) {}
	}
	n := &node{nodeOptions: options, Identity: diameter.Identity{Host: name, Realm: realm, State: uint32(time.Now().Unix())},
		told: make(chan string, 1000), do: make(chan func()), done: map[uint64]func(diampeer.Outcome){}}
	local := diampeer.Local{Identity: n.Identity, Product: "s2clab", Applications: []diameter.Application{diameter.MIP6A}, Watchdog: n.watchdog,
		Serves: []diampeer.Service{{Application: diameter.MIP6A, Command: diameter.MIP6}, {Application: diameter.MIP6A, Command: diameter.AbortSession}}, Rand: rand.New(rand.NewPCG(1, 2))}
	n.server = diampeer.NewServer(diampeer.ServerOptions{Local: local, Timeout: 20 * time.Second})
	var err error
	if n.client, err = diampeer.NewClient(diampeer.ClientOptions{Local: local, Servers: n.servers, Timeout: 20 * time.Second, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	transport := host.NewDiameterTransport(t.Context())
	if n.at, err = transport.Listen(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	var act func(out []diampeer.Output, reply func(time.Time, uint64, []byte, bool) []diampeer.Output)
	act = func(out []diampeer.Output, reply func(time.Time, uint64, []byte, bool) []diampeer.Output) {
		for _, o := range slices.Clone(out) {
			transport.Act(o)
			switch o := o.(type) {
			case diampeer.Up:
				n.told <- "up " + o.Peer
			case diampeer.Down:
				n.told <- "down " + o.Peer
			case diampeer.Ignored:
				n.told <- "ignored " + o.Reason
			case diampeer.Done:
				done := n.done[o.ID]
				delete(n.done, o.ID)
				done(o.Outcome)
			case diampeer.Deliver:
				n.serve(n, o, func(octets []byte) { act(reply(time.Now(), o.ID, octets, true), reply) })
			}
		}
	}
	n.act = func(out []diampeer.Output) { act(out, nil) }
	stop, over := make(chan struct{}), sync.WaitGroup{}
	over.Go(func() {
		timer := time.NewTimer(0)
		defer timer.Stop()
		act(n.client.Start(time.Now()), n.client.Answer)
		for {
			first := n.server.Deadline()
			if d := n.client.Deadline(); first.IsZero() || !d.IsZero() && d.Before(first) {
				first = d
			}
			if timer.Stop(); !first.IsZero() {
				timer.Reset(time.Until(first))
			}
			select {
			case in := <-transport.Inputs():
				if in, ok := in.(diampeer.Received); ok {
					if m, err := diameter.Parse(in.Octets); err == nil {
						n.saw(m)
						if m.Command == diameter.DeviceWatchdog && !m.IsRequest() {
							n.told <- "watchdog answered"
						}
					}
				}
				act(n.server.Step(time.Now(), in), n.server.Answer)
				act(n.client.Step(time.Now(), in), n.client.Answer)
			case f := <-n.do:
				f()
			case <-timer.C:
				act(n.server.Tick(time.Now()), n.server.Answer)
				act(n.client.Tick(time.Now()), n.client.Answer)
			case <-stop:
				return
			}
		}
	})
	t.Cleanup(func() { close(stop); transport.Close(); over.Wait() })
	return n
}

// inside runs f in the node's goroutine.
func (n *node) inside(f func()) {
	done := make(chan struct{})
	n.do <- func() { f(); close(done) }
	<-done
}

// await waits until that is told.
func (n *node) await(t *testing.T, want string) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case got := <-n.told:
			if got == want {
				return
			}
		case <-limit:
			t.Fatalf("%s was never told %q", n.Host, want)
		}
	}
}

// ask asks by the Step of the Server or of the Client; it is called inside.
// Again is the End-to-End Identifier of the same request before.
func (n *node) ask(step func(time.Time, diampeer.Input) []diampeer.Output, again uint32, r diampeer.Request, done func(diampeer.Outcome)) {
	n.asked++
	n.done[n.asked] = done
	n.act(step(time.Now(), diampeer.Ask{ID: n.asked, Again: again, Request: r}))
}

// request is a MIP6-Request of that node for a user of that realm.
func (n *node) request(realm string) *diameter.MIP6Request {
	return &diameter.MIP6Request{Identity: n.Identity, User: "ue@" + realm, Mode: diameter.AuthMNAAA, SPI: 3,
		Home: netip.MustParseAddr("2001:db8::1"), HomeAgent: netip.MustParseAddr("2001:db8::2"), CareOf: netip.MustParseAddr("2001:db8::3"),
		Authenticator: make([]byte, 20), MobilityData: make([]byte, 20)}
}

// grants is the answer that grants what a MIP6-Request wants.
func (n *node) grants(t *testing.T, request *diameter.Message, service string) []byte {
	r, err := diameter.ParseMIP6Request(request)
	if err != nil {
		t.Error(err)
		return nil
	}
	octets, err := (&diameter.MIP6Answer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: n.Identity,
		Homes: r.Homes, Service: service, ProxyInfo: r.ProxyInfo}).AppendTo(nil, request.Header)
	if err != nil {
		t.Error(err)
	}
	return octets
}

// asks asks as a client and waits for the outcome.
func (n *node) asks(t *testing.T, r diampeer.Request) diampeer.Outcome {
	t.Helper()
	return n.waits(t, n.client.Step, r)
}

// orders asks as a server and waits for the outcome.
func (n *node) orders(t *testing.T, r diampeer.Request) diampeer.Outcome {
	t.Helper()
	return n.waits(t, n.server.Step, r)
}

func (n *node) waits(t *testing.T, step func(time.Time, diampeer.Input) []diampeer.Output, r diampeer.Request) diampeer.Outcome {
	t.Helper()
	got := make(chan diampeer.Outcome, 1)
	n.inside(func() { n.ask(step, 0, r, func(o diampeer.Outcome) { got <- o }) })
	select {
	case o := <-got:
		return o
	case <-time.After(30 * time.Second):
		t.Fatal("no outcome")
		return diampeer.Outcome{}
	}
}

// asksBehind answers a request when the node behind has answered its own.
func asksBehind(t *testing.T, realm string) func(n *node, d diampeer.Deliver, answer func(octets []byte)) {
	return func(n *node, d diampeer.Deliver, answer func(octets []byte)) {
		n.ask(n.client.Step, 0, n.request(realm), func(o diampeer.Outcome) {
			if o.Reason != "" {
				t.Errorf("%s asked in vain: %+v", n.Host, o)
				return
			}
			a, err := diameter.ParseMIP6Answer(o.Message)
			if err != nil {
				t.Error(err)
				return
			}
			answer(n.grants(t, d.Message, a.Service+", says "+o.Host))
		})
	}
}

// knows is the node behind.
func knows(t *testing.T) func(n *node, d diampeer.Deliver, answer func(octets []byte)) {
	return func(n *node, d diampeer.Deliver, answer func(octets []byte)) {
		answer(n.grants(t, d.Message, "internet"))
	}
}

// wantService checks what a granted answer says.
func wantService(t *testing.T, o diampeer.Outcome, peer, host, service string) {
	t.Helper()
	if o.Reason != "" || o.Peer != peer || o.Host != host {
		t.Fatalf("outcome %+v", o)
	}
	if a, err := diameter.ParseMIP6Answer(o.Message); err != nil || a.Service != service {
		t.Errorf("%+v, %v", a, err)
	}
}

func remote(n *node) diampeer.Remote {
	return diampeer.Remote{Host: n.Host, Realm: n.Realm, Address: n.at}
}

func TestAServerAndAClientShareATransportAndAnswerWhenAnotherHas(t *testing.T) {
	hss := newNode(t, "hss.core.example", "core.example", nodeOptions{serve: knows(t)})
	aaa := newNode(t, "aaa.home.example", "home.example", nodeOptions{servers: []diampeer.Remote{remote(hss)}, serve: asksBehind(t, "core.example")})
	ha := newNode(t, "ha.home.example", "home.example", nodeOptions{servers: []diampeer.Remote{remote(aaa)}})
	for range 20 {
		wantService(t, ha.asks(t, ha.request("home.example")), "aaa.home.example", "aaa.home.example", "internet, says hss.core.example")
	}
}

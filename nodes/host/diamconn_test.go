package host_test

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"
	"github.com/fiorix/go-diameter/v4/diam/sm"

	"s2clab/nodes/host"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

// goServer serves with go-diameter, which shares no line with us, until the test
// ends. What it answers is answer's to add to.
func goServer(t *testing.T, name string, answer func(request, answer *diam.Message)) diampeer.Remote {
	t.Helper()
	words, err := dict.NewParser("../wire/diameter/testdata/mip6a.xml")
	if err != nil {
		t.Fatal(err)
	}
	machine := sm.New(&sm.Settings{OriginHost: datatype.DiameterIdentity(name), OriginRealm: "example", ProductName: "go-diameter", Dict: words,
		HostIPAddresses: []datatype.Address{datatype.Address(net.IPv6loopback)}})
	machine.HandleFunc("MIR", func(c diam.Conn, m *diam.Message) {
		a := m.Answer(diam.Success)
		answer(m, a)
		if _, err := a.WriteTo(c); err != nil {
			t.Log(err)
		}
	})
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &diam.Server{Handler: machine, Dict: words}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return diampeer.Remote{Host: name, Realm: "example", Address: l.Addr().(*net.TCPAddr).AddrPort()}
}

// granted answers as RFC 5778, section 5.2.2, has it.
func granted(t *testing.T, name string) func(request, answer *diam.Message) {
	return func(request, a *diam.Message) {
		session, err := request.FindAVP("Session-Id", 0)
		if err != nil {
			t.Error(err)
			return
		}
		a.InsertAVP(session)
		for _, v := range []struct {
			name string
			data datatype.Type
		}{
			{"Auth-Application-Id", datatype.Unsigned32(8)}, {"Origin-Host", datatype.DiameterIdentity(name)}, {"Origin-Realm", datatype.DiameterIdentity("example")},
			{"Auth-Request-Type", datatype.Enumerated(3)}, {"MIP-Mobile-Node-Address", datatype.Address(net.ParseIP("2001:db8::1"))},
			{"MIP-MN-HA-MSA", &diam.GroupedAVP{AVP: []*diam.AVP{
				diam.NewAVP(343, avp.Mbit, 0, datatype.OctetString("0123456789abcdef")), diam.NewAVP(367, avp.Mbit, 0, datatype.Unsigned32(600)),
				diam.NewAVP(491, avp.Mbit, 0, datatype.Unsigned32(777)), diam.NewAVP(345, avp.Mbit, 0, datatype.Enumerated(2)), diam.NewAVP(346, avp.Mbit, 0, datatype.Enumerated(2)),
			}}},
		} {
			if _, err := a.NewAVP(v.name, avp.Mbit, 0, v.data); err != nil {
				t.Errorf("%s: %v", v.name, err)
			}
		}
	}
}

// A runner is a running client that tells, for tests to wait for.
type runner struct {
	*host.DiameterClient
	told chan string
	stop func()
}

func runClient(t *testing.T, timeout time.Duration, servers ...diampeer.Remote) *runner {
	t.Helper()
	r := &runner{told: make(chan string, 1000)}
	var err error
	r.DiameterClient, err = host.NewDiameterClient(diampeer.ClientOptions{
		Local: diampeer.Local{Identity: diameter.Identity{Host: "ha.example", Realm: "example", State: 1}, Product: "s2clab",
			Applications: []diameter.Application{diameter.MIP6A}, Watchdog: time.Second, Rand: rand.New(rand.NewPCG(1, 2))},
		Servers: servers, Timeout: timeout, Now: time.Now(),
	}, func(o diampeer.Output) {
		switch o := o.(type) {
		case diampeer.Up:
			r.told <- "up " + o.Peer
		case diampeer.Down:
			r.told <- "down " + o.Peer + " " + o.Reason
		case diampeer.Rejected:
			r.told <- "rejected " + o.Peer + " " + o.Reason
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	r.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(r.stop)
	return r
}

// await waits until all of these were told, in any order.
func (r *runner) await(t *testing.T, wants ...string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for len(wants) > 0 {
		select {
		case got := <-r.told:
			wants = slices.DeleteFunc(wants, func(want string) bool { return want == got })
		case <-limit:
			t.Fatalf("never told %q", wants)
		}
	}
}

func (r *runner) ask(t *testing.T) diampeer.Outcome {
	t.Helper()
	got := make(chan diampeer.Outcome, 1)
	r.Ask(&diameter.MIP6Request{
		Identity: diameter.Identity{Host: "ha.example", Realm: "example", State: 1},
		User:     "ue@example", Mode: diameter.AuthMNAAA, SPI: 3, Home: netip.MustParseAddr("2001:db8::1"), HomeAgent: netip.MustParseAddr("2001:db8::2"),
		CareOf: netip.MustParseAddr("2001:db8::3"), Authenticator: make([]byte, 20), MobilityData: make([]byte, 20),
	}, func(o diampeer.Outcome) { got <- o })
	select {
	case o := <-got:
		return o
	case <-time.After(20 * time.Second):
		t.Fatal("no outcome")
		return diampeer.Outcome{}
	}
}

func TestADiameterClientIsServedByGoDiameter(t *testing.T) {
	r := runClient(t, 0, goServer(t, "theirs.example", granted(t, "theirs.example")))
	o := r.ask(t)
	if o.Reason != "" || o.Peer != "theirs.example" || o.Message == nil {
		t.Fatalf("outcome %+v", o)
	}
	answer, err := diameter.ParseMIP6Answer(o.Message)
	if err != nil {
		t.Fatal(err)
	}
	want := diameter.MSA{Key: []byte("0123456789abcdef"), Lifetime: 10 * time.Minute, SPI: 777, Algorithm: diameter.HMACSHA1, Replay: diameter.ReplayTimestamp}
	if got := *answer.MSA; !slices.Equal(got.Key, want.Key) || got.Lifetime != want.Lifetime || got.SPI != want.SPI || got.Replay != want.Replay {
		t.Errorf("association %+v, want %+v", got, want)
	}
	if answer.State != diameter.StateMaintained { // RFC 6733, section 8.11: what absence means
		t.Errorf("state %d", answer.State)
	}
}

func TestADiameterClientGoesOnToTheNextServer(t *testing.T) {
	nobody, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := nobody.Addr().(*net.TCPAddr).AddrPort()
	nobody.Close()
	silent, err := net.Listen("tcp", "[::1]:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	r := runClient(t, 5*time.Second,
		diampeer.Remote{Host: "closed.example", Address: closed},
		diampeer.Remote{Host: "silent.example", Address: silent.Addr().(*net.TCPAddr).AddrPort()},
		goServer(t, "busy.example", func(request, a *diam.Message) {
			granted(t, "busy.example")(request, a)
			for _, v := range a.AVP {
				if v.Code == 268 {
					v.Data = datatype.Unsigned32(3004)
				}
			}
			a.Header.CommandFlags |= diam.ErrorFlag
			a.AVP = slices.DeleteFunc(a.AVP, func(v *diam.AVP) bool { return !slices.Contains([]uint32{263, 264, 296, 268}, v.Code) })
			a.Header.MessageLength = uint32(a.Len())
		}),
		goServer(t, "last.example", granted(t, "last.example")))
	r.await(t, "rejected closed.example connection-refused", "up busy.example", "up last.example")
	if o := r.ask(t); o.Reason != "" || o.Peer != "last.example" {
		t.Errorf("outcome %+v", o)
	}
}

func TestADiameterClientComesBackToAServerThatComesBack(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	r := runClient(t, time.Second, diampeer.Remote{Host: "theirs.example", Realm: "example", Address: at})
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	r.await(t, "rejected theirs.example reset")
	if o := r.ask(t); o.Reason != "no-peer" {
		t.Errorf("outcome %+v", o)
	}
	if l, err = net.Listen("tcp", at.String()); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c, err = l.Accept(); err != nil { // Tc, or a request, brings it
		t.Fatal(err)
	}
	c.Close()
}

func TestAClientThatEndsLeavesNothing(t *testing.T) {
	server := goServer(t, "theirs.example", granted(t, "theirs.example"))
	silent, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	before := runtime.NumGoroutine()
	for range 5 {
		r := runClient(t, 0, server, diampeer.Remote{Host: "silent.example", Address: silent.Addr().(*net.TCPAddr).AddrPort()})
		r.await(t, "up theirs.example")
		got := make(chan diampeer.Outcome, 1)
		r.stop()
		r.Ask(&diameter.MIP6Request{}, func(o diampeer.Outcome) { got <- o })
		if o := <-got; o.Reason != "stopped" {
			t.Errorf("outcome %+v", o)
		}
	}
	for limit := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(limit); {
		time.Sleep(time.Millisecond)
	}
	if after := runtime.NumGoroutine(); after > before {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines before, %d after:\n%s", before, after, stacks[:runtime.Stack(stacks, true)])
	}
}

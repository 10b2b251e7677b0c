package aaa

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"
	"github.com/fiorix/go-diameter/v4/diam/sm"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/telling"
	"s2clab/nodes/wire/diameter"
)

// A lab takes what the role tells it, and lets a test wait for an event.
type lab struct {
	mu     sync.Mutex
	events []telling.Event
	more   chan struct{}
}

func newLab() *lab { return &lab{more: make(chan struct{}, 1)} }

func (l *lab) Event(name string, fields map[string]any) {
	l.mu.Lock()
	l.events = append(l.events, telling.Event{Name: name, Fields: fields})
	l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *lab) Reply(uint64, any, error) {}

func (l *lab) await(t *testing.T, name, reason string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		l.mu.Lock()
		i := slices.IndexFunc(l.events, func(e telling.Event) bool {
			return e.Name == name && (reason == "" || e.Fields["reason"] == reason)
		})
		if i >= 0 {
			l.events = slices.Delete(l.events, 0, i+1)
		}
		l.mu.Unlock()
		if i >= 0 {
			return
		}
		select {
		case <-l.more:
		case <-limit:
			t.Fatalf("no %s %s", name, reason)
		}
	}
}

// serveHere serves at a port of the loopback until the test ends.
func serveHere(t *testing.T) (netip.AddrPort, *lab) {
	t.Helper()
	m, err := New(config(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	transport := host.NewDiameterTransport(context.Background())
	at, err := transport.Listen(netip.MustParseAddrPort("[::1]:0"))
	if err != nil {
		t.Fatal(err)
	}
	l := newLab()
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { run(ctx, m, sides{diameter: transport}, l, make(chan control.Command)) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
		transport.Close()
	})
	return at, l
}

func TestOurHomeAgentIsServedOverTCP(t *testing.T) {
	at, lab := serveHere(t)
	client, err := host.NewDiameterClient(diampeer.ClientOptions{
		Local: diampeer.Local{
			Identity: diameter.Identity{Host: "pgw." + realm, Realm: realm, State: 1}, Applications: []diameter.Application{diameter.MIP6A},
			Rand: rand.New(rand.NewPCG(1, 2)),
		},
		Servers: []diampeer.Remote{{Host: "aaa." + realm, Realm: realm, Address: at}}, Now: time.Now(),
	}, func(diampeer.Output) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { client.Run(ctx) })
	outcomes := make(chan diampeer.Outcome, 100)
	for range cap(outcomes) {
		client.Ask(request(), func(o diampeer.Outcome) { outcomes <- o })
	}
	spis := map[uint32]bool{}
	for range cap(outcomes) {
		o := <-outcomes
		if o.Reason != "" {
			t.Fatalf("outcome %+v", o)
		}
		a, err := diameter.ParseMIP6Answer(o.Message)
		if err != nil || !bytes.Equal(a.MSA.Key, unhex("eccf27d643b747f26256f01328d8a6a3")) {
			t.Fatalf("answer %+v, %v", a, err)
		}
		spis[a.MSA.SPI] = true
	}
	if len(spis) != cap(outcomes) {
		t.Errorf("%d SPIs for %d requests", len(spis), cap(outcomes))
	}
	cancel()
	running.Wait()
	lab.await(t, "peer-down", "disconnect-rebooting")
	client.Ask(request(), func(o diampeer.Outcome) { outcomes <- o })
	if o := <-outcomes; o.Reason != "stopped" {
		t.Errorf("outcome %+v after the end", o)
	}
}

// go-diameter, which shares no line with us, as a home agent.
func TestGoDiameterIsServed(t *testing.T) {
	at, lab := serveHere(t)
	words, err := dict.NewParser("../wire/diameter/testdata/mip6a.xml")
	if err != nil {
		t.Fatal(err)
	}
	machine := sm.New(&sm.Settings{OriginHost: "theirs.example", OriginRealm: "example", ProductName: "go-diameter", Dict: words,
		HostIPAddresses: []datatype.Address{datatype.Address(net.IPv6loopback)}}) // which it would leave out
	answers := make(chan *diam.Message, 4)
	machine.HandleFunc("MIA", func(c diam.Conn, m *diam.Message) { answers <- m })
	machine.HandleFunc("ALL", func(c diam.Conn, m *diam.Message) { t.Errorf("got %v", m) })
	client := &sm.Client{
		Dict: words, Handler: machine, EnableWatchdog: true, WatchdogInterval: 20 * time.Millisecond, RetransmitInterval: 10 * time.Second,
		AuthApplicationID: []*diam.AVP{diam.NewAVP(avp.AuthApplicationID, avp.Mbit, 0, datatype.Unsigned32(8))},
	}
	conn, err := client.DialNetwork("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lab.await(t, "peer-up", "")
	ask := func(authenticator []byte) *diam.Message {
		m := diam.NewRequest(325, 8, words)
		m.Header.CommandFlags |= diam.ProxiableFlag
		for _, a := range []struct {
			name string
			data datatype.Type
		}{
			{"Session-Id", datatype.UTF8String("theirs.example;1;2")}, {"Auth-Application-Id", datatype.Unsigned32(8)}, {"User-Name", datatype.UTF8String(nai)},
			{"Destination-Realm", datatype.DiameterIdentity(realm)}, {"Origin-Host", datatype.DiameterIdentity("theirs.example")}, {"Origin-Realm", datatype.DiameterIdentity("example")},
			{"Auth-Request-Type", datatype.Enumerated(3)}, {"MIP6-Auth-Mode", datatype.Enumerated(1)}, {"MIP-MN-AAA-SPI", datatype.Unsigned32(3)},
			{"MIP-Mobile-Node-Address", datatype.Address(home.AsSlice())},
			{"MIP6-Agent-Info", &diam.GroupedAVP{AVP: []*diam.AVP{diam.NewAVP(334, avp.Mbit, 0, datatype.Address(agent.AsSlice()))}}},
			{"MIP-Careof-Address", datatype.Address(careOf.AsSlice())}, {"MIP-Authenticator", datatype.OctetString(authenticator)},
			{"MIP-MAC-Mobility-Data", datatype.OctetString(unhex("ffb4957e85aee318d8f0258c031fd18ae5dce807"))}, {"MIP-Timestamp", datatype.OctetString(unhex("cacc680080000000"))},
		} {
			if _, err := m.NewAVP(a.name, avp.Mbit, 0, a.data); err != nil {
				t.Fatalf("%s: %v", a.name, err)
			}
		}
		if _, err := m.WriteTo(conn); err != nil {
			t.Fatal(err)
		}
		select {
		case answer := <-answers:
			if answer.Header.HopByHopID != m.Header.HopByHopID || answer.Header.EndToEndID != m.Header.EndToEndID {
				t.Errorf("header %v answers %v", answer.Header, m.Header)
			}
			return answer
		case <-time.After(20 * time.Second):
			t.Fatal("no answer")
			return nil
		}
	}
	value := func(m *diam.Message, path ...any) datatype.Type {
		found, err := m.FindAVPsWithPath(path, 0)
		if err != nil || len(found) != 1 {
			t.Errorf("%v: %v, %v", path, found, err)
			return nil
		}
		return found[0].Data
	}
	m := ask(unhex("70a0b95ba9d7b79b3ea32a303685a1fa2f5749c2"))
	if got := value(m, "Result-Code"); got != datatype.Unsigned32(2001) {
		t.Errorf("Result-Code %v", got)
	}
	if got := value(m, "MIP-MN-HA-MSA", "MIP-Session-Key"); got != datatype.OctetString(unhex("eccf27d643b747f26256f01328d8a6a3")) {
		t.Errorf("MIP-Session-Key %x", got)
	}
	if got := value(m, "MIP-MN-HA-MSA", "MIP-MSA-Lifetime"); got != datatype.Unsigned32(3600) {
		t.Errorf("MIP-MSA-Lifetime %v", got)
	}
	if got := value(ask(make([]byte, 20)), "Result-Code"); got != datatype.Unsigned32(4001) {
		t.Errorf("Result-Code %v for a wrong authenticator", got)
	}
	conn.Close()
	lab.await(t, "peer-down", "")
}

func TestRunTellsWhenItCannotListen(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config()
	cfg.AAA.Listen = []netip.AddrPort{l.Addr().(*net.TCPAddr).AddrPort()}
	err, _ = play(t, cfg, func(*control.Node) {})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("error %v", err)
	}
}

// play runs the role beside a lab that closes once f returns.
func play(t *testing.T, cfg *control.Config, f func(n *control.Node)) (error, []string) {
	t.Helper()
	theirs, ours := net.Pipe()
	var names []string
	heard := make(chan string, 100)
	dialled := make(chan *control.Node, 1)
	go func() {
		n, err := control.Dial(theirs, cfg, func(e control.Event) { heard <- e.Name })
		if err != nil {
			t.Error(err)
		}
		dialled <- n
	}()
	c, got, err := control.Open(ours)
	if err != nil {
		t.Fatal(err)
	}
	n := <-dialled
	over := make(chan error, 1)
	go func() { over <- Run(context.Background(), c, got) }()
	for {
		select {
		case name := <-heard:
			names = append(names, name)
			if name == "ready" {
				f(n)
				n.Close()
			}
		case err := <-over:
			theirs.Close()
			ours.Close()
			return err, names
		}
	}
}

func TestRunIsReadyAnswersTheLabAndEndsWithIt(t *testing.T) {
	cfg := config()
	cfg.AAA.Listen = []netip.AddrPort{netip.MustParseAddrPort("[::1]:0"), netip.MustParseAddrPort("127.0.0.1:0")}
	err, names := play(t, cfg, func(n *control.Node) {
		var counts Counts
		if err := n.Ask("state", nil, &counts); err != nil || counts.Requests != 0 {
			t.Errorf("%+v, %v", counts, err)
		}
		if err := n.Ask("sing", nil, nil); err == nil {
			t.Error("an unknown command was done")
		}
	})
	if err != nil || !slices.Contains(names, "ready") {
		t.Errorf("%v; events %q", err, names)
	}
}

// Whatever strangers send, the server bears it, and serves who speaks Diameter.
func TestHostileOctetsHarmNobody(t *testing.T) {
	at, lab := serveHere(t)
	before := runtime.NumGoroutine()
	cer := func(name string) []byte {
		b, err := (&diameter.CapabilitiesExchangeRequest{Capabilities: diameter.Capabilities{
			Identity: diameter.Identity{Host: name, Realm: realm, State: 1}, Addresses: []netip.Addr{home}, Product: "test", Auth: []diameter.Application{diameter.MIP6A},
		}}).AppendTo(nil, diameter.Header{HopByHop: 1})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	rng := rand.New(rand.NewPCG(3, 4))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	giant := []byte{1, 0xff, 0xff, 0xfc, 0x80, 0, 1, 1}
	mir, err := request().AppendTo(nil, diameter.Header{})
	if err != nil {
		t.Fatal(err)
	}
	bent := slices.Clone(mir)
	for i := 20; i < len(bent); i += 7 {
		bent[i] ^= 0xff
	}
	for name, octets := range map[string][]byte{
		"noise":                   noise(5000),
		"a giant length":          append(giant, noise(5000)...),
		"a giant after a CER":     append(cer("giant"), giant...),
		"noise after a CER":       append(cer("noisy"), noise(5000)...),
		"HTTP":                    []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"zeros":                   make([]byte, 10000),
		"a length of 0":           {1, 0, 0, 0},
		"a CER that ends early":   cer("early")[:30],
		"a MIR first":             mir,
		"a bent MIR after a CER":  append(append(cer("bent"), bent...), noise(100)...),
		"a length just too large": {1, 1, 0, 4, 0x80, 0, 1, 1},
	} {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		c.Write(octets)
		c.(*net.TCPConn).CloseWrite()
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: the connection stays", name)
		}
		c.Close()
	}

	// Many that say nothing, and some that say little, slowly: a new client gets
	// in all the same.
	var slow []net.Conn
	for i := range 100 {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			c.Write(cer("slow")[:i%40])
		}
		slow = append(slow, c)
	}
	lab.await(t, "connection-rejected", "too-many-connections")
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, octet := range cer("patient") { // in the smallest pieces
		c.Write([]byte{octet})
	}
	c.Write(mir)
	for range 2 {
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		m, err := read(c)
		if err != nil {
			t.Fatal(err)
		}
		if o, _, err := diameter.ParseError(m); err != nil || o.Result != diameter.Success {
			t.Errorf("%s: %+v, %v", m.Name(), o, err)
		}
	}
	for _, c := range slow {
		c.Close()
	}
	c.Close()
	for limit := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(limit); {
		time.Sleep(time.Millisecond)
	}
	if after := runtime.NumGoroutine(); after > before {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines before, %d after:\n%s", before, after, stacks[:runtime.Stack(stacks, true)])
	}
}

// A client that never reads is let go, and what waits for it stays bounded.
func TestAClientThatDoesNotReadIsLetGo(t *testing.T) {
	at, lab := serveHere(t)
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.(*net.TCPConn).SetReadBuffer(4096)
	b, _ := (&diameter.CapabilitiesExchangeRequest{Capabilities: diameter.Capabilities{
		Identity: diameter.Identity{Host: "deaf", Realm: realm, State: 1}, Addresses: []netip.Addr{home}, Auth: []diameter.Application{diameter.MIP6A},
	}}).AppendTo(nil, diameter.Header{})
	c.Write(b)
	lab.await(t, "peer-up", "")
	dwr, _ := (&diameter.DeviceWatchdogRequest{Identity: diameter.Identity{Host: "deaf", Realm: realm}}).AppendTo(nil, diameter.Header{})
	many := bytes.Repeat(dwr, 500)
	c.SetWriteDeadline(time.Now().Add(60 * time.Second))
	for {
		if _, err := c.Write(many); err != nil {
			break // the server has had enough
		}
	}
	lab.await(t, "peer-down", "write-queue-full")
}

func read(r io.Reader) (*diameter.Message, error) {
	b := make([]byte, 4)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	b = append(b, make([]byte, binary.BigEndian.Uint32(b)&0xffffff-4)...)
	if _, err := io.ReadFull(r, b[4:]); err != nil {
		return nil, err
	}
	return diameter.Parse(b)
}

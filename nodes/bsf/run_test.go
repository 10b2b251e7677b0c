package bsf

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/keys"
	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/telling"
	"s2clab/nodes/session/ub"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/diameter"
)

const (
	realm   = "home.example"
	bsfHost = "bsf.home.example"
	impi    = "0001010000000001@home.example"
)

var (
	subscriber = keys.NewMilenage([16]byte([]byte("subscriber's key")), [16]byte([]byte("operator's value")))
	anyPort    = netip.MustParseAddrPort("[::1]:0")
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

// find gives the first event of that name, if there is one.
func (l *lab) find(name string) (telling.Event, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.events, func(e telling.Event) bool { return e.Name == name })
	if i < 0 {
		return telling.Event{}, false
	}
	return l.events[i], true
}

func (l *lab) await(t *testing.T, name string) telling.Event {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		if e, ok := l.find(name); ok {
			return e
		}
		select {
		case <-l.more:
		case <-limit:
			t.Fatalf("no %s", name)
		}
	}
}

// An hss is a home subscriber server over Zh with one subscriber, until the test ends.
type hss struct {
	sqn     keys.SQN
	unknown bool
	spoil   func(*diameter.MultimediaAuthAnswer)
}

func (h *hss) answer(t *testing.T, m *diameter.Message) []byte {
	r, err := diameter.ParseMultimediaAuthRequest(m)
	if err != nil {
		t.Error(err)
		return nil
	}
	self := diameter.Identity{Host: "hss.home.example", Realm: realm}
	if h.unknown || r.User != impi {
		octets, err := diameter.AppendFailure(nil, m, self, &diameter.Failure{Result: diameter.IdentityUnknown, What: "nobody has that name"})
		if err != nil {
			t.Error(err)
		}
		return octets
	}
	if r.Scheme != diameter.SchemeDigestAKA || r.Vectors != 1 || r.Host != bsfHost || r.DestinationRealm != realm {
		t.Errorf("asked for %d of %q by %q at %q", r.Vectors, r.Scheme, r.Host, r.DestinationRealm)
	}
	if r.Resync != nil {
		sqn, err := keys.OpenAUTS(subscriber, r.Resync.RAND, r.Resync.AUTS)
		if err != nil {
			t.Error(err)
		}
		h.sqn = usim.Profile2().Resync(h.sqn, sqn)
	}
	h.sqn, _ = usim.Profile2().Next(h.sqn)
	var random [16]byte
	rand.Read(random[:])
	v, err := keys.NewVector(subscriber, random, h.sqn, [2]byte{0x80})
	if err != nil {
		t.Error(err)
	}
	a := &diameter.MultimediaAuthAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: self, User: r.User,
		Items: []diameter.AuthItem{{Scheme: diameter.SchemeDigestAKA, RAND: v.RAND, AUTN: v.AUTN, XRES: v.XRES, CK: v.CK, IK: v.IK}}}
	if h.spoil != nil {
		h.spoil(a)
	}
	octets, err := a.AppendTo(nil, m.Header)
	if err != nil {
		t.Error(err)
	}
	return octets
}

// serve serves at a port of the loopback until the test ends.
func (h *hss) serve(t *testing.T) netip.AddrPort {
	t.Helper()
	transport := host.NewDiameterTransport(context.Background())
	at, err := transport.Listen(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	server := diampeer.NewServer(diampeer.ServerOptions{Local: diampeer.Local{
		Identity: diameter.Identity{Host: "hss.home.example", Realm: realm}, Product: "test", Applications: []diameter.Application{diameter.Zh},
		Serves: []diampeer.Service{{Application: diameter.Zh, Command: diameter.MultimediaAuth}}, Rand: mathrand.New(mathrand.NewPCG(1, 2)),
	}})
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case in := <-transport.Inputs():
				for _, o := range slices.Clone(server.Step(time.Now(), in)) {
					if d, ok := o.(diampeer.Deliver); ok {
						for _, o := range server.Answer(time.Now(), d.ID, h.answer(t, d.Message), true) {
							transport.Act(o)
						}
					}
					transport.Act(o)
				}
			case <-ended:
				return
			}
		}
	}()
	t.Cleanup(func() { close(ended); <-gone; transport.Close() })
	return at
}

// A home is a BSF that runs, and its surroundings.
type home struct {
	lab      *lab
	http, zn netip.AddrPort
	stop     func() error // and wait for the end
}

func newHome(t *testing.T, cfg *control.Config) *home {
	t.Helper()
	m, err := New(cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	transport := host.NewDiameterTransport(context.Background())
	web := host.NewUbServer(context.Background())
	h := &home{lab: newLab()}
	if h.zn, err = transport.Listen(anyPort); err != nil {
		t.Fatal(err)
	}
	if h.http, err = web.Listen(anyPort); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	s := &serving{machine: m, connections: transport, mobiles: web, lab: h.lab, now: time.Now}
	go func() { ended <- s.serve(ctx, make(chan control.Command)) }()
	h.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { h.stop(); transport.Close(); web.Close() })
	return h
}

func config(hss netip.AddrPort) *control.Config {
	return &control.Config{Node: "bsf", Role: "bsf", Seed: 7, BSF: &control.BSF{
		Host: bsfHost, Realm: realm, Watchdog: 30 * time.Second, KeyLifetime: time.Hour, Timeout: 2 * time.Second,
		HSS: []control.Peer{{Host: "hss.home.example", Realm: realm, Address: hss}},
	}}
}

// bootstrapping runs Ub with a server, and gives what the mobile node tells last. Its
// card has accepted sqn, where that is not 0; it keeps count by the IND of each.
func bootstrapping(t *testing.T, at netip.AddrPort, sqn keys.SQN) ub.Output {
	t.Helper()
	card, err := usim.New(subscriber, usim.Profile2())
	if err != nil {
		t.Fatal(err)
	}
	if sqn != 0 {
		v, err := keys.NewVector(subscriber, [16]byte{1}, sqn, [2]byte{0x80})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := card.Authenticate(v.RAND, v.AUTN); err != nil {
			t.Fatal(err)
		}
	}
	c, err := ub.NewClient(ub.ClientOptions{IMPI: impi, BSF: bsfHost, Card: card, Random: rand.Reader, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan ub.Input, 4)
	hands := host.NewUbClient(t.Context(), func(in ub.Input) { told <- in })
	defer hands.Close()
	out := c.Start(time.Now())
	for {
		switch o := out[0].(type) {
		case ub.Send:
			hands.Send(host.UbRoute{Server: at, Source: netip.IPv6Loopback()}, o)
			out = c.Step(time.Now(), <-told)
		default:
			return o
		}
	}
}

// ask asks for the key of a network application function.
func ask(t *testing.T, at netip.AddrPort, self, btid, fqdn string) diampeer.Outcome {
	t.Helper()
	identity := diameter.Identity{Host: self, Realm: realm}
	c, err := host.NewDiameterClient(diampeer.ClientOptions{
		Local:   diampeer.Local{Identity: identity, Product: "test", Applications: []diameter.Application{diameter.Zn}, Rand: mathrand.New(mathrand.NewPCG(1, 2))},
		Servers: []diampeer.Remote{{Host: bsfHost, Realm: realm, Address: at}}, Timeout: 20 * time.Second, Now: time.Now(),
	}, func(diampeer.Output) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	done := make(chan diampeer.Outcome, 1)
	c.Ask(&diameter.BootstrappingInfoRequest{Identity: identity, DestinationRealm: realm, Transaction: btid, NAFID: bootstrap.NAFID(fqdn)},
		func(o diampeer.Outcome) { done <- o })
	return <-done
}

func TestANAFIsGivenTheKeyThatTheMobileNodeMakes(t *testing.T) {
	h := newHome(t, config((&hss{}).serve(t)))
	h.lab.await(t, "peer-up")
	done, ok := bootstrapping(t, h.http, 0).(ub.Bootstrapped)
	if !ok {
		t.Fatalf("the mobile node has no key; %+v", h.lab.events)
	}
	want, err := keys.KsNAF(done.GBA.Ks, done.GBA.RAND, impi, bootstrap.NAFID("ha.home.example"))
	if err != nil {
		t.Fatal(err)
	}
	o := ask(t, h.zn, "ha.home.example", done.GBA.BTID, "ha.home.example")
	if o.Reason != "" {
		t.Fatal(o.Reason)
	}
	a, err := diameter.ParseBootstrappingInfoAnswer(o.Message)
	if err != nil || !bytes.Equal(a.Key, want[:]) || a.User != impi || !a.Expires.Equal(done.GBA.Ends) {
		t.Fatalf("%v; a key of %d octets for %q until %v, want the mobile node's until %v", err, len(a.Key), a.User, a.Expires, done.GBA.Ends)
	}
	for _, c := range []struct {
		self, btid, fqdn string
		want             diameter.ResultCode
	}{
		{"ha2.home.example", done.GBA.BTID, "ha.home.example", diameter.NotAuthorized},
		{"ha.home.example", "x" + done.GBA.BTID, "ha.home.example", diameter.TransactionIdentifierInvalid},
		{"aaa.home.example", done.GBA.BTID, bootstrap.ServersOf(realm), diameter.Success},
	} {
		o := ask(t, h.zn, c.self, c.btid, c.fqdn)
		if o.Result != c.want {
			t.Errorf("%s as %s: %v, want %v", c.self, c.fqdn, o.Result, c.want)
		}
	}
}

func TestEventsTellOfEachKeyByItsAncestors(t *testing.T) {
	for _, show := range []bool{false, true} {
		cfg := config((&hss{}).serve(t))
		cfg.ShowKeys = show
		h := newHome(t, cfg)
		h.lab.await(t, "peer-up")
		done, ok := bootstrapping(t, h.http, 0).(ub.Bootstrapped)
		if !ok {
			t.Fatalf("%+v", h.lab.events)
		}
		ask(t, h.zn, "ha.home.example", done.GBA.BTID, "ha.home.example")
		if err := h.stop(); err != context.Canceled {
			t.Error(err)
		}
		prints := map[string]string{}
		var order []string
		for _, e := range h.lab.events {
			if e.Name != "key-made" {
				continue
			}
			name := e.Fields["key"].(string)
			order, prints[name] = append(order, name), e.Fields["print"].(string)
			of, _ := e.Fields["of"].([]any)
			for i, a := range of {
				if prints[a.(string)] != e.Fields["of-prints"].([]any)[i] {
					t.Errorf("%s is of a %v that was not told", name, a)
				}
			}
			if _, shown := e.Fields["value"]; shown != show || e.Fields["nai"] != impi {
				t.Errorf("%s of %v: the key is shown: %v, want %v", name, e.Fields["nai"], shown, show)
			}
		}
		if want := []string{keys.NameCK, keys.NameIK, keys.NameKs, keys.NameKsNAF}; !slices.Equal(order, want) {
			t.Errorf("told of %q, want %q", order, want)
		}
		e := h.lab.await(t, "bootstrapping-done")
		if e.Fields["b-tid"] != done.GBA.BTID || e.Fields["nai"] != impi {
			t.Errorf("%v", e.Fields)
		}
		all := fmt.Sprint(h.lab.events)
		for _, secret := range [][]byte{done.GBA.Ks[:], subscriber.F2345(done.GBA.RAND).RES} {
			if !show && strings.Contains(all, hex.EncodeToString(secret)) {
				t.Error("a secret is among the events")
			}
		}
	}
}

func TestACardThatIsAheadPutsTheHSSRight(t *testing.T) {
	server := &hss{}
	h := newHome(t, config(server.serve(t)))
	h.lab.await(t, "peer-up")
	if o, ok := bootstrapping(t, h.http, 1<<20+1).(ub.Bootstrapped); !ok {
		t.Fatalf("%+v; %+v", o, h.lab.events)
	}
	h.stop()
	var resyncs []any
	for _, e := range h.lab.events {
		if e.Name == "vector-fetched" {
			resyncs = append(resyncs, e.Fields["resync"])
		}
	}
	if !slices.Equal(resyncs, []any{false, true}) {
		t.Errorf("vectors were fetched with tokens %v", resyncs)
	}
}

func TestWhatTheHSSCannotDoIsToldToTheMobileNode(t *testing.T) {
	nobody, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	down := nobody.Addr().(*net.TCPAddr).AddrPort()
	up := func(h *hss) func(*testing.T) *control.Config {
		return func(t *testing.T) *control.Config { return config(h.serve(t)) }
	}
	spoilt := func(change func(*diameter.MultimediaAuthAnswer)) func(*testing.T) *control.Config {
		return up(&hss{spoil: change})
	}
	for _, c := range []struct {
		what, mobile, refusal, server string
		cfg                           func(*testing.T) *control.Config
	}{
		{"it knows nobody", "forbidden", "identity-unknown", "user-unknown", up(&hss{unknown: true})},
		{"it is another's vector", "unavailable", "answer-about-another", "hss-unavailable", spoilt(func(a *diameter.MultimediaAuthAnswer) { a.User = "other@home.example" })},
		{"it is of another scheme", "unavailable", "no-vector", "hss-unavailable", spoilt(func(a *diameter.MultimediaAuthAnswer) { a.Items[0].Scheme = diameter.SchemeEAPAKA })},
		{"there is none in it", "unavailable", "no-vector", "hss-unavailable", spoilt(func(a *diameter.MultimediaAuthAnswer) { a.Items = nil })},
		{"it is overloaded", "unavailable", "authentication-data-unavailable", "hss-unavailable", spoilt(func(a *diameter.MultimediaAuthAnswer) {
			a.Items, a.Result = nil, diameter.AuthenticationDataUnavailable
		})},
		{"it is down", "unavailable", "no-peer", "hss-unavailable", func(*testing.T) *control.Config { return config(down) }},
		{"there is none", "unavailable", "", "hss-unavailable", func(*testing.T) *control.Config {
			cfg := config(down)
			cfg.BSF.HSS = nil
			return cfg
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			h := newHome(t, c.cfg(t))
			switch o := bootstrapping(t, h.http, 0).(type) {
			case ub.Refused:
				if o.Reason != c.mobile {
					t.Errorf("the mobile node is told %s, want %s", o.Reason, c.mobile)
				}
			case ub.Postponed:
				if o.Reason != c.mobile {
					t.Errorf("the mobile node waits for %s, want %s", o.Reason, c.mobile)
				}
			default:
				t.Errorf("told %T", o)
			}
			if e := h.lab.await(t, "bootstrapping-refused"); e.Fields["reason"] != c.server || e.Fields["nai"] != impi {
				t.Errorf("told %v, want %s", e.Fields, c.server)
			}
			if c.refusal == "" {
				return
			}
			if e := h.lab.await(t, "vector-refused"); e.Fields["reason"] != c.refusal {
				t.Errorf("told %v, want %s", e.Fields, c.refusal)
			}
		})
	}
}

// A tape keeps what goes either way through a relay, in order.
type tape struct {
	mu    sync.Mutex
	parts []part
}

type part struct {
	fromServer bool
	octets     []byte
}

// record relays connections to a server until the test ends.
func record(t *testing.T, to netip.AddrPort) (netip.AddrPort, *tape) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	kept := &tape{}
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", to.String())
			if err != nil {
				a.Close()
				return
			}
			for i, way := range [][2]net.Conn{{a, b}, {b, a}} {
				go func() {
					defer way[1].Close()
					buf := make([]byte, 32<<10)
					for {
						n, err := way[0].Read(buf)
						kept.mu.Lock()
						if n > 0 {
							kept.parts = append(kept.parts, part{i == 1, slices.Clone(buf[:n])})
						}
						kept.mu.Unlock()
						if _, wrong := way[1].Write(buf[:n]); err != nil || wrong != nil {
							return
						}
					}
				}()
			}
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort(), kept
}

// pcap writes what was kept as TCP segments between a mobile node and port 80.
func (k *tape) pcap(t *testing.T) string {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	little, big := binary.LittleEndian, binary.BigEndian
	b := little.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = little.AppendUint32(b, 1<<16)
	b = little.AppendUint32(b, 101) // LINKTYPE_RAW
	ends := [2]netip.Addr{netip.MustParseAddr("2001:db8:1::1"), netip.MustParseAddr("2001:db8:2::2")}
	ports, seq := [2]uint16{49152, 80}, [2]uint32{1, 1}
	for i, one := range k.parts {
		from := 0
		if one.fromServer {
			from = 1
		}
		p := big.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(20+len(one.octets)))
		p = append(append(append(p, 6, 64), ends[from].AsSlice()...), ends[1-from].AsSlice()...)
		p = big.AppendUint16(big.AppendUint16(p, ports[from]), ports[1-from])
		p = big.AppendUint32(big.AppendUint32(p, seq[from]), seq[1-from])
		p = append(append(p, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0), one.octets...) // PSH and ACK; the checksum is not looked at
		seq[from] += uint32(len(one.octets))
		b = little.AppendUint32(little.AppendUint32(b, uint32(i)), 0)
		b = append(little.AppendUint32(little.AppendUint32(b, uint32(len(p))), uint32(len(p))), p...)
	}
	file := filepath.Join(t.TempDir(), "ub.pcap")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTsharkReadsUb(t *testing.T) {
	program, err := exec.LookPath("tshark")
	if err != nil {
		netnstest.Lacking(t, "tshark", err)
	}
	h := newHome(t, config((&hss{}).serve(t)))
	h.lab.await(t, "peer-up")
	at, kept := record(t, h.http)
	done, ok := bootstrapping(t, at, 0).(ub.Bootstrapped)
	if !ok {
		t.Fatal("the mobile node has no key")
	}
	file := kept.pcap(t)
	see := func(filter string, fields ...string) []string {
		t.Helper()
		args := []string{"-n", "-r", file, "-Y", filter, "-T", "fields", "-E", "separator=|"}
		for _, f := range fields {
			args = append(args, "-e", f)
		}
		out, err := exec.Command(program, args...).Output()
		if err != nil {
			t.Fatalf("tshark %q: %v", args, err)
		}
		return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
	}
	if got, want := see("http", "http.request.method", "http.request.uri", "http.host", "http.response.code"), []string{"GET|/|" + bsfHost + "|", "|||401", "GET|/|" + bsfHost + "|", "|||200"}; !slices.Equal(got, want) {
		t.Errorf("tshark sees %q, want %q", got, want)
	}
	if got := see(`http.authorization contains "AKAv1"`, "http.authorization"); len(got) != 1 || !strings.Contains(got[0], `username="`+impi+`"`) {
		t.Errorf("credentials of AKA: %q", got)
	}
	if got := see(`http.www_authenticate contains "AKAv1"`, "http.response.code"); !slices.Equal(got, []string{"401"}) {
		t.Errorf("challenges of AKA: %q", got)
	}
	if got := see(`http.content_type == "`+ub.ContentType+`" && xml`, "xml.cdata"); len(got) != 1 || !strings.Contains(got[0], done.GBA.BTID) {
		t.Errorf("B-TIDs: %q, want %q", got, done.GBA.BTID)
	}
	if got := see("_ws.malformed || _ws.expert.severity == error", "frame.number"); len(got) != 0 {
		t.Errorf("malformed: frames %q", got)
	}
}

func TestACommandThatThereIsNotIsRefusedAndStateIsTold(t *testing.T) {
	m, err := New(config(netip.AddrPort{}), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.command(control.Command{Name: "revoke"}); err == nil || !strings.Contains(err.Error(), "state") {
		t.Errorf("%v", err)
	}
	for args, ok := range map[string]bool{`{"about":"rspauth"}`: true, `{"about":"truth"}`: true, `{"about":"white"}`: false, `{}`: false, ``: false} {
		if _, err := m.command(control.Command{Name: "lie", Args: []byte(args)}); (err == nil) != ok {
			t.Errorf("lie %s: %v", args, err)
		}
	}
	got, err := m.command(control.Command{Name: "state"})
	if c, ok := got.(Counts); err != nil || !ok || c.Kept != 0 || c.Peers == nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAConfigurationThatCannotServeMakesNoMachine(t *testing.T) {
	without := config(netip.AddrPort{})
	without.BSF = nil
	brief := config(netip.AddrPort{})
	brief.BSF.KeyLifetime = time.Millisecond
	for _, cfg := range []*control.Config{without, brief} {
		if _, err := New(cfg, time.Now()); err == nil || !strings.Contains(err.Error(), "node bsf") {
			t.Errorf("%v", err)
		}
	}
}

func TestAFloodIsToldAsACount(t *testing.T) {
	cfg := config(netip.AddrPort{})
	cfg.BSF.HSS = nil
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	m, err := New(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for id := range uint64(1000) {
		do := m.Requested(start, ub.Requested{ID: id, Request: ub.Request{Method: "GET", Target: "/", Authorization: `Digest username="a"`}})
		told += len(do.Events)
		if len(do.Responses) != 1 || do.Responses[0].Response.Status != 503 {
			t.Fatalf("%v", do.Responses)
		}
	}
	if told != telling.PerSecond {
		t.Errorf("%d events, want %d", told, telling.PerSecond)
	}
	do := m.Tick(m.Deadline())
	if len(do.Events) != 1 || do.Events[0].Name != "events-suppressed" || do.Events[0].Fields["count"] != 1000-telling.PerSecond {
		t.Errorf("%v", do.Events)
	}
	if c := m.Counts(); c.Refused["hss-unavailable"] != 1000 {
		t.Errorf("%v", c)
	}
}

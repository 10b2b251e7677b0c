package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"
	"github.com/fiorix/go-diameter/v4/diam/sm"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/eapaka"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
)

// patience is how long a role or a relay may take for anything.
const patience = 30 * time.Second

// A role runs as it does in a node of a lab, with the test as its lab.
type role struct {
	t      *testing.T
	node   *control.Node
	events chan control.Event
	passed []control.Event // that nobody has waited for
}

// begin runs a role until the test ends.
func begin(t *testing.T, cfg *control.Config) *role {
	t.Helper()
	r := &role{t: t, events: make(chan control.Event, 1000)}
	theirs, ours := net.Pipe()
	dialled := make(chan error, 1)
	go func() {
		var err error
		r.node, err = control.Dial(theirs, cfg, func(e control.Event) { r.events <- e })
		dialled <- err
	}()
	conn, got, err := control.Open(ours)
	if err = errors.Join(err, <-dialled); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- roles[cfg.Role](context.Background(), conn, got) }()
	t.Cleanup(func() {
		r.node.Close()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s has ended with %v", cfg.Role, err)
			}
		case <-time.After(patience):
			t.Errorf("%s does not end", cfg.Role)
		}
		ours.Close()
	})
	r.await("ready", nil)
	return r
}

// await gives the first event of that name, with these fields, that was not given
// before.
func (r *role) await(name string, with map[string]any) map[string]any {
	r.t.Helper()
	matches := func(e control.Event) bool {
		for field, want := range with {
			if fmt.Sprint(e.Fields[field]) != fmt.Sprint(want) {
				return false
			}
		}
		return e.Name == name
	}
	late := time.After(patience)
	for !slices.ContainsFunc(r.passed, matches) {
		select {
		case e := <-r.events:
			r.passed = append(r.passed, e)
		case <-late:
			r.t.Fatalf("no %s %v, but %v", name, with, r.passed)
		}
	}
	i := slices.IndexFunc(r.passed, matches)
	e := r.passed[i]
	r.passed = slices.Delete(r.passed, i, i+1)
	return e.Fields
}

// aPort is one of the loopback that nobody listens at.
func aPort(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

const (
	chainIMSI = "001010000000002"
	chainKey  = "subscriber's pho"
	chainNAI  = "0" + chainIMSI + "@" + naiRealm
)

// beginHSS runs an HSS that knows one subscriber.
func beginHSS(t *testing.T) (*role, netip.AddrPort) {
	at := aPort(t)
	return begin(t, &control.Config{Node: "hss", Role: "hss", Seed: 7, HSS: &control.HSS{
		Host: "hss." + homeRealm, Realm: homeRealm, Listen: []netip.AddrPort{at}, Watchdog: time.Minute, Store: filepath.Join(t.TempDir(), "hss.sqlite"),
		Subscriptions: []control.Subscription{{NAI: chainNAI, IMSI: chainIMSI, K: []byte(chainKey), OPc: operatorOPc[:], AMF: 0x8000, SQN: 320, APNs: []control.APN{{Name: "internet"}}}},
	}}), at
}

// beginAAA runs an AAA server that asks an HSS, or a relay before one.
func beginAAA(t *testing.T, asks control.Peer) (*role, netip.AddrPort) {
	at := aPort(t)
	return begin(t, &control.Config{Node: "aaa", Role: "aaa", Seed: 7, AAA: &control.AAA{
		Host: "aaa." + homeRealm, Realm: homeRealm, Listen: []netip.AddrPort{at}, Watchdog: time.Minute, KeyLifetime: time.Hour,
		HSS: []control.Peer{asks}, Timeout: patience,
	}}), at
}

// A loopbackRelay is a freeDiameter at the loopback.
type loopbackRelay struct {
	freeDiameter
	t       *testing.T
	conf    string
	process *exec.Cmd
}

func (r *loopbackRelay) log() string {
	said, err := os.ReadFile(r.conf + ".log")
	if err != nil {
		r.t.Error(err)
	}
	return string(said)
}

// relayTo runs a relay before a server until the test ends, and waits until it has
// connected with that.
func relayTo(t *testing.T, host, server string, at netip.AddrPort, guests ...string) *loopbackRelay {
	t.Helper()
	r := &loopbackRelay{t: t, freeDiameter: freeDiameter{host: host, port: aPort(t).Port(), server: server, at: at, guests: guests}}
	r.conf = r.configure(t, t.TempDir())
	log, err := os.Create(r.conf + ".log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r.process = exec.Command("freeDiameterd", "-c", r.conf)
	r.process.Stdout, r.process.Stderr = log, log
	if err := r.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.kill()
		if t.Failed() {
			t.Logf("%s says\n%s", r.host, outline(r.log()))
		}
	})
	for late := time.Now().Add(patience); !strings.Contains(r.log(), "-> 'STATE_OPEN'\t'"+server+"'"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("%s has not connected with %s", host, server)
		}
	}
	return r
}

func (r *loopbackRelay) kill() {
	r.process.Process.Kill()
	r.process.Wait()
}

func (r *loopbackRelay) listens() netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.port)
}

// A wire is a TCP connection with somebody in between, until what comes back is an
// answer to a command: then that is lost, and cut is called, and both ends are closed.
func wire(t *testing.T, to netip.AddrPort, command diameter.Command, cut func()) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var carrying sync.WaitGroup
	t.Cleanup(func() { l.Close(); carrying.Wait() })
	carrying.Go(func() {
		near, err := l.Accept()
		l.Close() // there is one connection, and no other after it
		if err != nil {
			return
		}
		defer near.Close()
		far, err := net.Dial("tcp4", to.String())
		if err != nil {
			t.Error(err)
			return
		}
		defer far.Close()
		carrying.Go(func() { io.Copy(far, near); far.Close() })
		for {
			head := make([]byte, diameter.HeaderSize)
			if _, err := io.ReadFull(far, head); err != nil {
				return
			}
			m := append(head, make([]byte, int(binary.BigEndian.Uint32(head)&0xffffff)-len(head))...)
			if _, err := io.ReadFull(far, m[len(head):]); err != nil {
				return
			}
			if isAnswer := head[4]&0x80 == 0; isAnswer && binary.BigEndian.Uint32(head[4:])&0xffffff == uint32(command) {
				cut()
				return
			}
			if _, err := near.Write(m); err != nil {
				return
			}
		}
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// A grant is what an AAA server has answered.
type grant struct {
	result uint32
	host   string // who made the answer
	eap    []byte
	msk    []byte
}

// authenticate proves by EAP who the subscriber is: ask gives a packet to whoever
// carries it to the AAA server, which is at first any, and then the host that has
// answered.
func authenticate(t *testing.T, method eap.Type, leading string, ask func(packet []byte, host string) grant) (last grant, did *eapaka.Succeeded) {
	t.Helper()
	p := eapaka.NewPeer(eapaka.PeerOptions{Methods: []eap.Type{method}, Card: newCard(t, chainKey, 0), IMSI: chainIMSI, Realm: naiRealm, Rand: zeros{}})
	packet := []byte{byte(eap.Request), 1, 0, 5, byte(eap.TypeIdentity)}
	host := ""
	for range 10 {
		var said []byte
		for _, o := range p.Step(eapaka.Received{Packet: packet}) {
			switch o := o.(type) {
			case eapaka.Send:
				said = o.Packet
			case eapaka.Succeeded:
				return last, &o
			case eapaka.Failed:
				t.Fatalf("the peer fails: %s", o.Reason)
			}
		}
		if said == nil {
			t.Fatalf("nothing is said to %x", packet)
		}
		last = ask(said, host)
		packet, host = last.eap, last.host
		if len(packet) == 0 {
			t.Fatalf("result %d without an EAP packet", last.result)
		}
	}
	t.Fatal("ten rounds and no end")
	return last, nil
}

// zeros are no random octets.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// Two relays stand before the AAA server, and one between that and the HSS. The first
// dies with an answer: the access asks again by the second, with the T bit, and gets
// the same answer (RFC 6733, section 5.5.4), for which the HSS is not asked again. Then the HSS
// ends the subscription, and everybody hears of it by the relays.
func TestWhatARelayDiedWithIsAskedAgainAndServedOnceByAAAServerAndHSS(t *testing.T) {
	needFreeDiameter(t)
	t.Parallel()
	hss, hssAt := beginHSS(t)
	inner := relayTo(t, "inner.transit.example", "hss."+homeRealm, hssAt, homeRealm)
	aaa, aaaAt := beginAAA(t, control.Peer{Host: inner.host, Realm: homeRealm, Address: inner.listens()})
	aaa.await("peer-up", map[string]any{"peer": inner.host})
	first := relayTo(t, "first.transit.example", "aaa."+homeRealm, aaaAt, "access.example")
	second := relayTo(t, "second.transit.example", "aaa."+homeRealm, aaaAt, "access.example")
	for _, r := range []*loopbackRelay{first, second} {
		aaa.await("peer-up", map[string]any{"peer": r.host})
	}

	identity := diameter.Identity{Host: "gw.access.example", Realm: "access.example", State: 1}
	told, aborts := make(chan string, 100), make(chan diampeer.Deliver, 1)
	client, err := host.NewDiameterClient(diampeer.ClientOptions{
		Local: diampeer.Local{Identity: identity, Applications: []diameter.Application{diameter.STa}, Watchdog: time.Minute, Rand: rand.New(rand.NewPCG(1, 2)),
			Serves: []diampeer.Service{{Application: diameter.STa, Command: diameter.AbortSession}}},
		Servers: []diampeer.Remote{
			{Host: first.host, Realm: homeRealm, Address: wire(t, first.listens(), diameter.DiameterEAP, first.kill)},
			{Host: second.host, Realm: homeRealm, Address: second.listens()},
		},
		Timeout: patience, Now: time.Now(),
	}, func(o diampeer.Output) {
		switch o := o.(type) {
		case diampeer.Up:
			told <- "up " + o.Peer
		case diampeer.Down:
			told <- "down " + o.Peer
		case diampeer.Deliver:
			aborts <- o
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { client.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	wantBoth := []string{next(t, told), next(t, told)}
	if slices.Sort(wantBoth); !slices.Equal(wantBoth, []string{"up " + first.host, "up " + second.host}) {
		t.Fatalf("told %q", wantBoth)
	}
	ask := func(r diampeer.Request) diampeer.Outcome {
		outcomes := make(chan diampeer.Outcome, 1)
		client.Ask(r, func(o diampeer.Outcome) { outcomes <- o })
		return next(t, outcomes)
	}

	session := identity.Host + ";1;1"
	var by []string
	got, did := authenticate(t, eap.TypeAKAPrime, "6", func(packet []byte, host string) grant {
		o := ask(&diameter.DiameterEAPRequest{Application: diameter.STa, Session: session, Identity: identity, DestinationRealm: homeRealm, DestinationHost: host,
			User: "6" + chainIMSI + "@" + naiRealm, Type: diameter.AuthorizeAuthenticate, EAP: packet, AccessNetwork: "WLAN"})
		by = append(by, o.Peer)
		if o.Message == nil {
			t.Fatalf("outcome %+v", o)
		}
		a, err := diameter.ParseDiameterEAPAnswer(o.Message)
		if err != nil {
			t.Fatal(err)
		}
		return grant{result: uint32(a.Result), host: a.Host, eap: a.EAP, msk: a.MSK}
	})
	if got.result != uint32(diameter.Success) || got.host != "aaa."+homeRealm || string(got.msk) != string(did.Keys.MSK[:]) {
		t.Errorf("result %d of %s, with the key of the peer: %v", got.result, got.host, string(got.msk) == string(did.Keys.MSK[:]))
	}
	if !slices.Equal(by, []string{second.host, second.host}) {
		t.Errorf("answers came by %q, want two by the second relay", by)
	}
	aaa.await("message-ignored", map[string]any{"reason": "duplicate-request", "peer": second.host})
	aaa.await("eap-authenticated", map[string]any{"identity": "permanent", "method": "eap-aka-prime"})
	var counts struct {
		Vectors int
		Results map[string]int
	}
	if err := hss.node.Ask("state", nil, &counts); err != nil || counts.Vectors != 1 || counts.Results["success"] != 2 {
		t.Errorf("the HSS has given %+v, %v; want one vector and one profile", counts, err)
	}

	if err := hss.node.Ask("remove", map[string]any{"imsi": chainIMSI}, nil); err != nil {
		t.Fatal(err)
	}
	abort := next(t, aborts)
	r, err := diameter.ParseAbortSessionRequest(abort.Message)
	if err != nil || r.Session != session || r.Host != "aaa."+homeRealm || abort.Peer != second.host {
		t.Fatalf("%+v by %s, %v; want the session aborted by the second relay", r, abort.Peer, err)
	}
	octets, err := (&diameter.AbortSessionAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: identity, ProxyInfo: r.ProxyInfo}).AppendTo(nil, abort.Message.Header)
	if err != nil {
		t.Fatal(err)
	}
	client.Answer(abort.ID, octets, true)
	if told := hss.await("deregistration-told", nil); fmt.Sprint(told["result"], told["peer"]) != fmt.Sprint(2001, "aaa."+homeRealm) {
		t.Errorf("the HSS tells %v", told)
	}
	aaa.await("subscriber-deregistered", map[string]any{"nai": chainNAI})
	aaa.await("abort-answered", map[string]any{"session": session, "result": 2001})
	if o := ask(&diameter.SessionTerminationRequest{Application: diameter.STa, Session: session, Identity: identity, DestinationRealm: homeRealm, DestinationHost: got.host, User: chainNAI, Cause: diameter.Administrative}); o.Result != diameter.Success {
		t.Errorf("outcome %+v", o)
	}
	aaa.await("session-closed", map[string]any{"session": session, "reason": "aborted"})
	for _, r := range []*loopbackRelay{inner, first, second} {
		wantNoComplaint(t, r.log())
	}
}

func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// go-diameter, which shares no line with us, has a subscriber authenticated as an
// access would: our AAA server gets a vector of our HSS.
func TestGoDiameterHasASubscriberAuthenticated(t *testing.T) {
	t.Parallel()
	_, hssAt := beginHSS(t)
	aaa, at := beginAAA(t, control.Peer{Host: "hss." + homeRealm, Realm: homeRealm, Address: hssAt})
	aaa.await("peer-up", nil)
	const words3GPP, wordsMIP6 = "../../nodes/wire/diameter/testdata/3gpp.xml", "../../nodes/wire/diameter/testdata/mip6a.xml"
	words, err := dict.NewParser(wordsMIP6, words3GPP)
	if err != nil {
		t.Fatal(err)
	}
	const vendor, application = 10415, 16777250
	machine := sm.New(&sm.Settings{OriginHost: "gw.access.example", OriginRealm: "access.example", ProductName: "go-diameter", Dict: words,
		HostIPAddresses: []datatype.Address{datatype.Address(net.IPv4(127, 0, 0, 1))}}) // which it would leave out
	answers := make(chan *diam.Message, 1)
	for _, name := range []string{"DEA", "STA"} {
		machine.HandleFunc(name, func(c diam.Conn, m *diam.Message) { answers <- m })
	}
	machine.HandleFunc("ALL", func(c diam.Conn, m *diam.Message) { t.Errorf("got %v", m) })
	client := &sm.Client{Dict: words, Handler: machine, RetransmitInterval: patience,
		SupportedVendorID: []*diam.AVP{diam.NewAVP(avp.SupportedVendorID, avp.Mbit, 0, datatype.Unsigned32(vendor))},
		VendorSpecificApplicationID: []*diam.AVP{diam.NewAVP(avp.VendorSpecificApplicationID, avp.Mbit, 0, &diam.GroupedAVP{AVP: []*diam.AVP{
			diam.NewAVP(avp.VendorID, avp.Mbit, 0, datatype.Unsigned32(vendor)),
			diam.NewAVP(avp.AuthApplicationID, avp.Mbit, 0, datatype.Unsigned32(application)),
		}})}}
	conn, err := client.DialNetwork("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	aaa.await("peer-up", map[string]any{"peer": "gw.access.example"})

	type word struct {
		name string
		data datatype.Type
	}
	const session = "gw.access.example;1;2"
	ask := func(command uint32, more ...word) *diam.Message {
		t.Helper()
		m := diam.NewRequest(command, application, words)
		m.Header.CommandFlags |= diam.ProxiableFlag
		for _, a := range append([]word{
			{"Session-Id", datatype.UTF8String(session)}, {"Auth-Application-Id", datatype.Unsigned32(application)},
			{"Origin-Host", datatype.DiameterIdentity("gw.access.example")}, {"Origin-Realm", datatype.DiameterIdentity("access.example")},
			{"Destination-Realm", datatype.DiameterIdentity(homeRealm)},
		}, more...) {
			if _, err := m.NewAVP(a.name, avp.Mbit, vendorOf(words, a.name), a.data); err != nil {
				t.Fatalf("%s: %v", a.name, err)
			}
		}
		if _, err := m.WriteTo(conn); err != nil {
			t.Fatal(err)
		}
		answer := next(t, answers)
		if answer.Header.HopByHopID != m.Header.HopByHopID || answer.Header.EndToEndID != m.Header.EndToEndID || answer.Header.CommandFlags&diam.ErrorFlag != 0 {
			t.Errorf("header %v answers %v", answer.Header, m.Header)
		}
		return answer
	}
	value := func(m *diam.Message, name string) datatype.Type {
		found, err := m.FindAVPs(name, vendorOf(words, name))
		if err != nil || len(found) == 0 {
			return nil
		}
		return found[0].Data
	}
	var results []uint32
	for _, method := range []struct {
		kind    eap.Type
		leading string
	}{{eap.TypeAKAPrime, "6"}, {eap.TypeAKA, "0"}} {
		user := method.leading + chainIMSI + "@" + naiRealm
		results = nil
		got, did := authenticate(t, method.kind, method.leading, func(packet []byte, _ string) grant {
			a := ask(268, word{"Auth-Request-Type", datatype.Enumerated(3)}, word{"User-Name", datatype.UTF8String(user)},
				word{"EAP-Payload", datatype.OctetString(packet)}, word{"ANID", datatype.UTF8String("WLAN")}, word{"RAT-Type", datatype.Enumerated(0)})
			g := grant{}
			if v, ok := value(a, "Result-Code").(datatype.Unsigned32); ok {
				g.result = uint32(v)
			}
			if v, ok := value(a, "EAP-Payload").(datatype.OctetString); ok {
				g.eap = []byte(v)
			}
			if v, ok := value(a, "EAP-Master-Session-Key").(datatype.OctetString); ok {
				g.msk = []byte(v)
			}
			if v := value(a, "Session-Id"); v != datatype.UTF8String(session) {
				t.Errorf("Session-Id %v", v)
			}
			results = append(results, g.result)
			return g
		})
		if !slices.Equal(results, []uint32{1001, 2001}) || string(got.msk) != string(did.Keys.MSK[:]) {
			t.Errorf("%v: results %v, want 1001 and 2001; with the key of the peer: %v", method.kind, results, string(got.msk) == string(did.Keys.MSK[:]))
		}
		aaa.await("eap-authenticated", map[string]any{"nai": chainNAI, "method": method.kind.Word()})
		if v := value(ask(275, word{"User-Name", datatype.UTF8String(chainNAI)}, word{"Termination-Cause", datatype.Enumerated(1)}), "Result-Code"); v != datatype.Unsigned32(2001) {
			t.Errorf("the session ends with %v", v)
		}
	}

	// Whom the HSS does not know is notified, and then the access is told why.
	p := eapaka.NewPeer(eapaka.PeerOptions{Methods: []eap.Type{eap.TypeAKA}, Card: newCard(t, chainKey, 0), IMSI: "001010000000099", Realm: naiRealm, Rand: zeros{}})
	packet, answer := []byte{byte(eap.Request), 1, 0, 5, byte(eap.TypeIdentity)}, (*diam.Message)(nil)
	for range 2 {
		said, ok := p.Step(eapaka.Received{Packet: packet})[0].(eapaka.Send)
		if !ok {
			t.Fatalf("nothing is said to %x", packet)
		}
		answer = ask(268, word{"Auth-Request-Type", datatype.Enumerated(3)}, word{"User-Name", datatype.UTF8String("0001010000000099@" + naiRealm)},
			word{"EAP-Payload", datatype.OctetString(said.Packet)}, word{"ANID", datatype.UTF8String("WLAN")})
		data, _ := value(answer, "EAP-Payload").(datatype.OctetString)
		packet = []byte(data)
	}
	found, err := answer.FindAVPsWithPath([]any{"Experimental-Result", "Experimental-Result-Code"}, 0)
	if err != nil || len(found) != 1 || found[0].Data != datatype.Enumerated(5001) {
		t.Errorf("a stranger is told %v, %v; want Experimental-Result-Code 5001", answer, err)
	}
	if len(packet) != 4 || eap.Code(packet[0]) != eap.Failure {
		t.Errorf("a stranger is told %x, want EAP-Failure", packet)
	}
}

// vendorOf is the vendor of an AVP, by its name; 0: the IETF.
func vendorOf(words *dict.Parser, name string) uint32 {
	for _, application := range []uint32{16777250, 0} {
		if known, err := words.FindAVP(application, name); err == nil {
			return known.VendorID
		}
	}
	return 0
}

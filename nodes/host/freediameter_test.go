package host_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

// A relay is a freeDiameter process that relays whatever it is sent, on the
// loopback and without TLS.
type relay struct {
	t       *testing.T
	config  string
	process *exec.Cmd
	diampeer.Remote
}

// newRelay starts freeDiameter, which dials those nodes and lets others dial it.
func newRelay(t *testing.T, dials []*node, guests ...string) *relay {
	t.Helper()
	if _, err := exec.LookPath("freeDiameterd"); err != nil {
		netnstest.Lacking(t, "freediameter", err)
	}
	const extensions = "/usr/lib/freeDiameter/"
	if _, err := os.Stat(extensions + "acl_wl.fdx"); err != nil {
		netnstest.Lacking(t, "freediameter", err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	dir := t.TempDir()
	r := &relay{t: t, config: filepath.Join(dir, "freeDiameter.conf"), Remote: diampeer.Remote{Host: "relay.transit.example", Realm: "transit.example",
		Address: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), at.Port())}}
	var text strings.Builder
	fmt.Fprintf(&text, "Identity = %q;\nRealm = %q;\nPort = %d;\nSecPort = 0;\nNo_SCTP;\nNo_IPv6;\nTwTimer = 6;\nTcTimer = 1;\nAppServThreads = 1;\n", r.Host, r.Realm, at.Port())
	fmt.Fprintf(&text, "LoadExtension = %q : %q;\n", extensions+"acl_wl.fdx", filepath.Join(dir, "guests"))
	for _, dictionary := range []string{"dict_nasreq", "dict_rfc5777", "dict_mip6i", "dict_mip6a"} {
		fmt.Fprintf(&text, "LoadExtension = %q;\n", extensions+dictionary+".fdx")
	}
	for _, n := range dials {
		fmt.Fprintf(&text, "ConnectPeer = %q { ConnectTo = %q; Port = %d; No_TLS; No_SCTP; Realm = %q; };\n", n.Host, n.at.Addr(), n.at.Port(), n.Realm)
	}
	for name, content := range map[string]string{r.config: text.String(), filepath.Join(dir, "guests"): "ALLOW_IPSEC " + strings.Join(guests, " ") + "\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *relay) start() {
	r.t.Helper()
	log, err := os.OpenFile(r.config+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	r.process = exec.Command("freeDiameterd", "-c", r.config, "-d")
	r.process.Stdout, r.process.Stderr = log, log
	if err := r.process.Start(); err != nil {
		r.t.Fatal(err)
	}
}

// reaches waits until it has connections with those nodes. It answers a watchdog
// when the node's capabilities are known to it, and not before.
func (r *relay) reaches(nodes ...*node) {
	r.t.Helper()
	for _, n := range nodes {
		n.await(r.t, "up "+r.Host)
		n.await(r.t, "watchdog answered")
	}
}

// stop ends it without a farewell.
func (r *relay) stop() {
	r.process.Process.Kill()
	r.process.Wait()
	if log, err := os.ReadFile(r.config + ".log"); err == nil && r.t.Failed() {
		r.t.Logf("freeDiameter says\n%s", log)
	}
}

// complies ends the session that it is asked to end.
func complies(t *testing.T) func(n *node, d diampeer.Deliver, answer func(octets []byte)) {
	return func(n *node, d diampeer.Deliver, answer func(octets []byte)) {
		r, err := diameter.ParseAbortSessionRequest(d.Message)
		if err != nil {
			t.Error(err)
			return
		}
		octets, err := (&diameter.AbortSessionAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: n.Identity, ProxyInfo: r.ProxyInfo}).AppendTo(nil, d.Message.Header)
		if err != nil {
			t.Error(err)
		}
		answer(octets)
	}
}

// seen gives the messages of a command that arrive.
func seen(command diameter.Command) (saw func(m *diameter.Message), all chan *diameter.Message) {
	all = make(chan *diameter.Message, 1000)
	return func(m *diameter.Message) {
		if m.Command == command {
			all <- m
		}
	}, all
}

func next(t *testing.T, all chan *diameter.Message) *diameter.Message {
	t.Helper()
	select {
	case m := <-all:
		return m
	case <-time.After(30 * time.Second):
		t.Fatal("no message came")
		return nil
	}
}

func TestFreeDiameterRelaysRequestsByRealmAndHost(t *testing.T) {
	t.Parallel()
	saw, requests := seen(diameter.MIP6)
	aaa := newNode(t, "aaa.home.example", "home.example", nodeOptions{serve: knows(t), saw: saw})
	other := newNode(t, "aaa.other.example", "other.example", nodeOptions{serve: knows(t)})
	fd := newRelay(t, []*node{other, aaa}, "ha.visited.example")
	fd.reaches(aaa, other)
	ha := newNode(t, "ha.visited.example", "visited.example", nodeOptions{servers: []diampeer.Remote{fd.Remote}, serve: complies(t)})
	ha.await(t, "up "+fd.Host)
	wantService(t, ha.asks(t, ha.request("other.example")), fd.Host, "aaa.other.example", "internet")
	o := ha.asks(t, ha.request("home.example"))
	wantService(t, o, fd.Host, "aaa.home.example", "internet")
	m := next(t, requests)
	if record := m.Find(diameter.RouteRecord); record == nil || string(record.Data) != "ha.visited.example" { // RFC 6733, section 6.1.9
		t.Errorf("no Route-Record in %+v", m.AVPs)
	}
	if m.EndToEnd != o.EndToEnd || m.Flags&diameter.Retransmitted != 0 || m.Find(diameter.DestinationHost) != nil {
		t.Errorf("%+v arrived", m)
	}

	// Who is behind the relay is reached through it, though it is no peer.
	session := string(m.Find(diameter.SessionID).Data)
	o = aaa.orders(t, &diameter.AbortSessionRequest{Session: session, Identity: aaa.Identity, DestinationHost: "ha.visited.example", User: "ue@home.example"})
	if o.Reason != "" || o.Result != diameter.Success || o.Peer != fd.Host || o.Host != "ha.visited.example" {
		t.Errorf("outcome %+v", o)
	}

	// A host is named where it matters, against the realm's other servers.
	named := ha.request("home.example")
	named.DestinationHost = "aaa.home.example"
	wantService(t, ha.asks(t, named), fd.Host, "aaa.home.example", "internet")
	// Where the relay knows no way, it says so in its own name.
	if o := ha.asks(t, ha.request("nowhere.example")); o.Result != diameter.UnableToDeliver || o.Host != fd.Host {
		t.Errorf("outcome %+v", o)
	}
}

func TestOneConnectionWithFreeDiameterCarriesRequestsBothWays(t *testing.T) {
	t.Parallel()
	hss := newNode(t, "hss.core.example", "core.example", nodeOptions{serve: knows(t)})
	fd := newRelay(t, []*node{hss}, "aaa.home.example", "ha.visited.example")
	fd.reaches(hss)
	aaa := newNode(t, "aaa.home.example", "home.example", nodeOptions{servers: []diampeer.Remote{fd.Remote}, serve: asksBehind(t, "core.example")})
	fd.reaches(aaa)
	ha := newNode(t, "ha.visited.example", "visited.example", nodeOptions{servers: []diampeer.Remote{fd.Remote}})
	ha.await(t, "up "+fd.Host)
	for range 20 {
		wantService(t, ha.asks(t, ha.request("home.example")), fd.Host, "aaa.home.example", "internet, says hss.core.example")
	}
}

func TestARequestThatFreeDiameterDiedWithIsSentAgainAndServedOnce(t *testing.T) { // RFC 6733, section 5.5.4
	t.Parallel()
	saw, requests := seen(diameter.MIP6)
	served, release := 0, make(chan func(), 10)
	aaa := newNode(t, "aaa.home.example", "home.example", nodeOptions{saw: saw, serve: func(n *node, d diampeer.Deliver, answer func(octets []byte)) {
		served++
		release <- func() { answer(n.grants(t, d.Message, "internet")) }
	}})
	fd := newRelay(t, []*node{aaa}, "ha.visited.example")
	fd.reaches(aaa)
	ha := newNode(t, "ha.visited.example", "visited.example", nodeOptions{servers: []diampeer.Remote{fd.Remote}})
	request, got := ha.request("home.example"), make(chan diampeer.Outcome, 2)
	ask := func(again uint32) {
		ha.inside(func() { ha.ask(ha.client.Step, again, request, func(o diampeer.Outcome) { got <- o }) })
	}
	ask(0)
	first := next(t, requests)
	answer := <-release
	fd.stop()
	aaa.await(t, "down "+fd.Host)
	lost := <-got
	if lost.Reason != "no-peer" || lost.EndToEnd != first.EndToEnd {
		t.Fatalf("outcome %+v", lost)
	}
	fd.start()
	fd.reaches(aaa)
	ha.await(t, "up "+fd.Host)
	ha.await(t, "up "+fd.Host)
	request.Session = lost.Session
	ask(lost.EndToEnd)
	again := next(t, requests)
	if first.Flags&diameter.Retransmitted != 0 || again.Flags&diameter.Retransmitted == 0 || first.EndToEnd != again.EndToEnd {
		t.Errorf("%+v, then %+v", first.Header, again.Header)
	}
	aaa.await(t, "ignored duplicate-request")
	aaa.inside(answer) // goes by the new connection; the old one is no more
	wantService(t, <-got, fd.Host, "aaa.home.example", "internet")
	if aaa.inside(func() {}); served != 1 {
		t.Errorf("served %d times", served)
	}
}

func TestFreeDiameterIsWatchedAndWatches(t *testing.T) { // RFC 3539, section 3.4
	t.Parallel()
	saw, answers := seen(diameter.DeviceWatchdog)
	eager := newNode(t, "eager.home.example", "home.example", nodeOptions{saw: saw})
	saw, requests := seen(diameter.DeviceWatchdog)
	quiet := newNode(t, "quiet.home.example", "home.example", nodeOptions{saw: saw, watchdog: time.Minute})
	fd := newRelay(t, []*node{eager, quiet})
	fd.reaches(eager)
	quiet.await(t, "up "+fd.Host)
	for range 2 {
		if m := next(t, answers); m.IsRequest() {
			t.Errorf("asked by freeDiameter, in spite of a %s of ours every other second", m.Name())
		}
	}
	for range 2 { // the second comes only where the first was answered
		if m := next(t, requests); !m.IsRequest() {
			t.Errorf("%+v", m)
		}
	}
	for _, n := range []*node{eager, quiet} {
		for len(n.told) > 0 {
			if said := <-n.told; said != "watchdog answered" {
				t.Errorf("%s was told %q", n.Host, said)
			}
		}
	}
}

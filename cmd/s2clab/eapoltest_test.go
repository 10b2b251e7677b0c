package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/aaa"
	"s2clab/nodes/control"
	"s2clab/nodes/hss"
	"s2clab/nodes/keys"
	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/session/usim/usimtest"
)

// subscriberKey and subscriberOPc are those of TS 35.208, test set 1; what the HSS
// has used last is subscriberSQN.
var (
	subscriberKey = [16]byte{0x46, 0x5b, 0x5c, 0xe8, 0xb1, 0x99, 0xb4, 0x9f, 0xaa, 0x5f, 0x0a, 0x2e, 0xe2, 0x38, 0xa6, 0xbc}
	subscriberOPc = [16]byte{0xcd, 0x63, 0xcb, 0x71, 0x95, 0x4a, 0x9f, 0x4e, 0x48, 0xa5, 0x99, 0x4e, 0x37, 0xa0, 0x2b, 0xaf}
)

const (
	subscriberSQN = 1000 << 5
	permanentNAI  = "001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
	nasSecret     = "what a NAS shares with the AAA server"
)

// A runningRole is one that runs in this process, and what it tells.
type runningRole struct {
	t      *testing.T
	events chan control.Event
	passed []control.Event
}

// runRole runs a role until the test ends, and returns when it is ready.
func runRole(t *testing.T, role func(context.Context, *control.Conn, *control.Config) error, cfg *control.Config) *runningRole {
	t.Helper()
	theirs, ours := net.Pipe()
	r := &runningRole{t: t, events: make(chan control.Event, 1000)}
	dialled := make(chan *control.Node, 1)
	go func() {
		n, err := control.Dial(theirs, cfg, func(e control.Event) { r.events <- e })
		if err != nil {
			t.Error(err)
		}
		dialled <- n
	}()
	c, got, err := control.Open(ours)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := role(ctx, c, got); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()
	n := <-dialled
	t.Cleanup(func() {
		cancel()
		<-over
		n.Close()
		ours.Close()
	})
	r.wait("ready")
	return r
}

// wait gives the first event of that name that was not given before.
func (r *runningRole) wait(name string) map[string]any {
	r.t.Helper()
	named := func(e control.Event) bool { return e.Name == name }
	late := time.After(30 * time.Second)
	for !slices.ContainsFunc(r.passed, named) {
		select {
		case e := <-r.events:
			r.passed = append(r.passed, e)
		case <-late:
			r.t.Fatalf("no %s, but %v", name, r.passed)
		}
	}
	i := slices.IndexFunc(r.passed, named)
	e := r.passed[i]
	r.passed = slices.Delete(r.passed, i, i+1)
	return e.Fields
}

// freePort is a port that nobody has, for TCP or UDP on the loopback.
func freePort(t *testing.T, network string) netip.AddrPort {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket(network, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	l, err := net.Listen(network, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// homeServers run our AAA server and our HSS, which know one subscriber, and tell
// where the AAA server is asked by RADIUS.
func homeServers(t *testing.T, profile string) (server *runningRole, at netip.AddrPort) {
	t.Helper()
	const realm = "epc.mnc001.mcc001.3gppnetwork.org"
	toHSS, toAAA, at := freePort(t, "tcp"), freePort(t, "tcp"), freePort(t, "udp")
	runRole(t, hss.Run, &control.Config{Node: "hss", Role: "hss", Seed: 1, HSS: &control.HSS{
		Host: "hss." + realm, Realm: realm, Listen: []netip.AddrPort{toHSS}, Store: filepath.Join(t.TempDir(), "hss.sqlite"),
		Subscriptions: []control.Subscription{{NAI: permanentNAI, IMSI: permanentNAI[:15], K: subscriberKey[:], OPc: subscriberOPc[:], AMF: 0x8000, SQN: subscriberSQN,
			APNs: []control.APN{{Name: "internet"}}}},
	}})
	server = runRole(t, aaa.Run, &control.Config{Node: "aaa", Role: "aaa", Seed: 2, AAA: &control.AAA{
		Host: "aaa." + realm, Realm: realm, Listen: []netip.AddrPort{toAAA}, KeyLifetime: time.Hour, Timeout: 10 * time.Second,
		Security: control.Security{Integrity: "auth-options", Profile: profile},
		HSS:      []control.Peer{{Host: "hss." + realm, Realm: realm, Address: toHSS}},
		RADIUS: &control.RADIUSServer{Listen: []netip.AddrPort{at}, Clients: []control.RADIUSClient{
			{Host: "nas." + realm, Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Secret: []byte(nasSecret)}}},
	}})
	server.wait("peer-up")
	return server, at
}

// sim is a card whose highest accepted number is sqn.
func sim(t *testing.T, k [16]byte, sqn uint64) *usim.Card {
	t.Helper()
	card, err := usim.New(keys.NewMilenage(k, subscriberOPc), usim.Profile2())
	if err != nil {
		t.Fatal(err)
	}
	accepted := card.Accepted()
	for i := range accepted {
		accepted[i] = sqn >> usim.Profile2().INDBits
	}
	if err := card.Restore(accepted); err != nil {
		t.Fatal(err)
	}
	return card
}

// said is a card that keeps what kinds of answers it gave.
type said struct {
	*usim.Card
	kinds []string
}

func (c *said) Authenticate(rand, autn [16]byte) (usim.Response, error) {
	r, err := c.Card.Authenticate(rand, autn)
	kind := "answer"
	if err != nil {
		kind = "refusal"
		if _, stale := err.(*usim.SyncError); stale {
			kind = "resynchronisation"
		}
	}
	c.kinds = append(c.kinds, kind)
	return r, err
}

// eapolTest runs eapol_test, the authenticator and peer of wpa_supplicant, with a card
// of ours, and says what it printed and whether it was content: with the outcome, and
// with the keys that came with it.
func eapolTest(t *testing.T, at netip.AddrPort, method, identity string, card usimtest.Card, again int) (text string, succeeded bool) {
	t.Helper()
	program, err := exec.LookPath("eapol_test")
	if err != nil {
		netnstest.Lacking(t, "eapol_test", err)
	}
	dir, err := os.MkdirTemp("", "eap") // short enough for the address of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "ctrl_interface=%s\nexternal_sim=1\nnetwork={\n\tkey_mgmt=WPA-EAP\n\teap=%s\n\tidentity=%q\n}\n", dir, method, identity), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(program, "-W", "-c", conf, "-a", at.Addr().String(), "-p", fmt.Sprint(at.Port()), "-s", nasSecret, "-r", fmt.Sprint(again), "-t", "25")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	socket := filepath.Join(dir, "test")
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		if time.Now().After(late) {
			cmd.Process.Kill()
			t.Fatal("eapol_test has no control interface")
		}
	}
	usimtest.Attach(t, socket, card)
	err = <-over
	said, readErr := os.ReadFile(out.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(said), err == nil && strings.HasSuffix(strings.TrimSpace(string(said)), "SUCCESS")
}

// eapMethods are those of wpa_supplicant, by its names, with the identities that ask
// for them: TS 23.003, section 19.3.2.
var eapMethods = []struct{ wpa, ours, identity string }{{"AKA", "eap-aka", "0" + permanentNAI}, {"AKA'", "eap-aka-prime", "6" + permanentNAI}}

// TestEapolTestIsAuthenticatedByOurServers has a NAS and a peer that are not ours go
// through EAP over RADIUS (RFC 3579) with our AAA server and our HSS: by a full
// authentication with a card whose numbers are ahead of the HSS's, and a fast one.
func TestEapolTestIsAuthenticatedByOurServers(t *testing.T) {
	for _, method := range eapMethods {
		t.Run(method.ours, func(t *testing.T) {
			server, at := homeServers(t, "3gpp")
			card := &said{Card: sim(t, subscriberKey, 5000<<5)}
			text, ok := eapolTest(t, at, method.wpa, method.identity, card, 1)
			if !ok || strings.Contains(text, "PMK mismatch") {
				t.Fatalf("eapol_test is not content:\n%s", text)
			}
			if want := []string{"resynchronisation", "answer"}; !slices.Equal(card.kinds, want) {
				t.Errorf("the card said %q, want %q", card.kinds, want)
			}
			for _, fast := range []bool{false, true} {
				e := server.wait("eap-authenticated")
				if e["nai"] != "0"+permanentNAI || e["method"] != method.ours || e["fast"] != fast || !strings.HasPrefix(e["peer"].(string), "nas.") {
					t.Errorf("told %v, want fast %v", e, fast)
				}
			}
			if strings.Contains(text, "000060b5") {
				t.Errorf("attributes of WiMAX outside its profile:\n%s", text)
			}
		})
	}
}

func TestEapolTestIsGivenWhatAccessesOfWiMAXAre(t *testing.T) {
	server, at := homeServers(t, "wimax")
	text, ok := eapolTest(t, at, "AKA", "0"+permanentNAI, sim(t, subscriberKey, 0), 0)
	if !ok {
		t.Fatalf("eapol_test is not content:\n%s", text)
	}
	server.wait("eap-authenticated")
	for _, attribute := range []string{"000060b5" + "0413", "000060b5" + "05"} { // WiMAX-AAA-Session-Id of 16 octets, WiMAX-MSK: vendor 24757
		if !strings.Contains(strings.ToLower(text), attribute) {
			t.Errorf("no attribute %s:\n%s", attribute, text)
		}
	}
}

func TestEapolTestWithAnotherKeyIsRejected(t *testing.T) {
	for _, method := range eapMethods {
		t.Run(method.ours, func(t *testing.T) {
			server, at := homeServers(t, "3gpp")
			card := &said{Card: sim(t, [16]byte{1}, 0)}
			text, ok := eapolTest(t, at, method.wpa, method.identity, card, 0)
			if ok || !strings.Contains(text, "code=3 (Access-Reject)") {
				t.Errorf("eapol_test was not rejected:\n%s", text)
			}
			if want := []string{"refusal"}; !slices.Equal(card.kinds, want) {
				t.Errorf("the card said %q, want %q", card.kinds, want)
			}
			if e := server.wait("eap-refused"); !strings.HasPrefix(e["peer"].(string), "nas.") {
				t.Errorf("told %v", e)
			}
		})
	}
}

package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A relayNode is a node of a lab where freeDiameter relays.
type relayNode struct {
	freeDiameter
	p         *person
	log       *follower
	lab, node string
	asks      []string // the nodes that dial it
	serves    string   // the node that it dials
	conf      string
	process   *started
	lives     int
}

// said names the file with what freeDiameter has said.
func (r *relayNode) said() string { return strings.TrimSuffix(r.conf, ".conf") + ".log" }

// start starts freeDiameter. The longer it is not there, the less often it is looked for.
func (r *relayNode) start() {
	r.p.t.Helper()
	r.lives++
	r.process = r.p.start("exec", "--lab", r.lab, r.node, "--", "sh", "-c", fmt.Sprintf("exec freeDiameterd -c %s >>%s 2>&1", r.conf, r.said()))
}

// connects waits until it has a connection with everybody.
func (r *relayNode) connects() {
	r.p.t.Helper()
	r.p.await(r.host+" has connected with "+r.server, func() bool {
		said, _ := os.ReadFile(r.said())
		return strings.Count(string(said), "-> 'STATE_OPEN'\t'"+r.server+"'") == r.lives
	})
	for _, node := range append(slices.Clone(r.asks), r.serves) {
		r.log.await(r.lives, node, "peer-up", map[string]any{"peer": r.host})
	}
}

// kill ends it without a farewell.
func (r *relayNode) kill() {
	r.p.t.Helper()
	r.process.signal(unix.SIGKILL) // what it has started in the node ends with it
	r.process.ended()
	for _, node := range append(slices.Clone(r.asks), r.serves) {
		r.log.await(r.lives, node, "peer-down", map[string]any{"peer": r.host})
	}
}

// FreeDiameter stands between all that ask and the AAA server, and another between
// that and the HSS. Nothing else changes: the UE is let onto an access, binds, is
// thrown out, and comes back after both relays have died.
func TestFreeDiameterRelaysAllThatALabAsks(t *testing.T) {
	needLabs(t)
	needFreeDiameter(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	topology, err := filepath.Abs("testdata/relayed.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lab := p.lab("relayed")
	p.must("up", "--name", lab, topology)
	t.Cleanup(func() { p.must("down", lab) })
	core := netip.MustParsePrefix("2001:db8:1::/64")
	nodes := map[string]string{} // by their addresses there
	addresses := map[string]netip.Addr{}
	for _, n := range p.ps(lab).Nodes {
		for _, text := range n.Addresses {
			if a, err := netip.ParseAddr(text); err == nil && core.Contains(a) {
				nodes[text], addresses[n.Node] = n.Node, a
			}
		}
	}
	log := p.follow(lab)
	var relays []*relayNode
	for _, r := range []*relayNode{
		{node: "dra", serves: "aaa", asks: []string{"pgw", "wlan-gw", "wimax-gw"}, freeDiameter: freeDiameter{guests: []string{homeRealm, "access.example"}}},
		{node: "dra-hss", serves: "hss", asks: []string{"aaa"}, freeDiameter: freeDiameter{guests: []string{homeRealm}}},
	} {
		r.p, r.log, r.lab, r.host, r.port = p, log, lab, r.node+".transit.example", 3868
		r.server, r.at = r.serves+"."+homeRealm, netip.AddrPortFrom(addresses[r.serves], 3868)
		r.conf = r.configure(t, p.dir)
		t.Cleanup(func() {
			if said, err := os.ReadFile(r.said()); err == nil && t.Failed() {
				t.Logf("%s says\n%s", r.host, outline(string(said)))
			}
		})
		relays = append(relays, r)
		r.start()
	}
	t.Cleanup(func() {
		for _, r := range relays {
			r.process.signal(unix.SIGKILL)
			r.process.ended()
		}
	})
	for _, r := range relays {
		r.connects()
	}

	file := p.file("core.pcapng")
	live := p.start("capture", "--lab", lab, "-w", file, "core")
	p.await("the capture has begun", func() bool { info, err := os.Stat(file); return err == nil && info.Size() > 0 })
	p.must("move", "--lab", lab, "ue", "wlan")
	log.await(1, "wlan-gw", "station-admitted", map[string]any{"method": "eap-aka-prime"})
	log.await(1, "ue", "bound", map[string]any{"link": "wlan"})
	live.signal(unix.SIGINT)
	if said, status := live.ended(); status != 0 {
		t.Fatalf("capture: exit status %d\n%s", status, said)
	}
	none(t, file, "_ws.malformed")
	wantAllRelayed(t, file, nodes)

	scenario, err := filepath.Abs("testdata/relayed-revoked.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p.must("play", "--lab", lab, "--runs", p.file("runs"), "--quiet", scenario)
	log.await(2, "aaa", "session-closed", map[string]any{"reason": "aborted"})

	for _, r := range relays {
		r.kill()
	}
	for _, r := range relays {
		r.start()
	}
	for _, r := range relays {
		r.connects()
	}
	p.must("move", "--lab", lab, "ue", "wimax")
	log.await(1, "wimax-gw", "station-admitted", map[string]any{"method": "eap-aka"})
	log.await(1, "ue", "bound", map[string]any{"link": "wimax"})
	log.await(2, "pgw", "aaa-answered", map[string]any{"result": 2001}) // once on each access
	for _, r := range relays {
		said, err := os.ReadFile(r.said())
		if err != nil {
			t.Fatal(err)
		}
		known := wantNoComplaint(t, string(said))
		if known["0"] == 0 || r.node == "dra" && (known[mip6a] == 0 || known[sta] == 0) {
			t.Errorf("%s: freeDiameter says of AVPs that it knew: %v", r.node, known)
		}
	}
}

// wantAllRelayed wants each Diameter message of a capture to come from a relay or to
// go to one, and all that access and binding need to be among them. Nodes are by their
// addresses.
func wantAllRelayed(t *testing.T, file string, nodes map[string]string) {
	t.Helper()
	hops := map[string]map[string]bool{} // of messages, by hop and what they are: their identifiers there
	sessions := map[string]bool{}
	for _, line := range tshark(t, file, "diameter", "ipv6.src", "ipv6.dst", "diameter.applicationId", "diameter.cmd.code", "diameter.flags.request", "diameter.flags.error", "diameter.hopbyhopid", "diameter.Session-Id") {
		fields := strings.Split(line, "\t")
		from, to := nodes[fields[1]], nodes[fields[2]]
		if !strings.HasPrefix(from, "dra") && !strings.HasPrefix(to, "dra") {
			t.Errorf("%s asks or answers %s itself", from, to)
		}
		for i, application := range strings.Split(fields[3], ",") {
			command := strings.Split(fields[4], ",")[i]
			isRequest, isError := strings.Split(fields[5], ",")[i], strings.Split(fields[6], ",")[i]
			if application == sta {
				sessions[fields[8]] = true
			}
			if isError != "0" && isError != "False" {
				t.Errorf("%s answers %s with an error: application %s, command %s", from, to, application, command)
			}
			kind := "answer"
			if isRequest == "1" || isRequest == "True" {
				kind = "request"
			}
			about := fmt.Sprintf("%s to %s: %s %s, %s", from, to, application, command, kind)
			if hops[about] == nil {
				hops[about] = map[string]bool{}
			}
			hops[about][strings.Split(fields[7], ",")[i]] = true // a frame is in the file where it is sent and where it arrives
		}
	}
	if len(sessions) != 1 {
		t.Errorf("Session-Ids of STa %v, want all rounds in one", sessions)
	}
	for _, way := range []struct {
		asks, relay, serves, application, command string
		least                                     int
	}{
		{"wlan-gw", "dra", "aaa", sta, "268", 2}, // Diameter-EAP, in rounds
		{"aaa", "dra-hss", "hss", swx, "303", 1}, // Multimedia-Auth
		{"aaa", "dra-hss", "hss", swx, "301", 1}, // Server-Assignment
		{"pgw", "dra", "aaa", mip6a, "325", 1},   // MIP6
	} {
		for hop, kind := range map[[2]string]string{{way.asks, way.relay}: "request", {way.relay, way.serves}: "request", {way.serves, way.relay}: "answer", {way.relay, way.asks}: "answer"} {
			about := fmt.Sprintf("%s to %s: %s %s, %s", hop[0], hop[1], way.application, way.command, kind)
			if len(hops[about]) < way.least {
				t.Errorf("%s: %d times, want %d or more; all: %v", about, len(hops[about]), way.least, hops)
			}
		}
	}
}

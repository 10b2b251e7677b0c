package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A happening is a line of s2clab logs --json.
type happening struct {
	Node, Event string
	Fields      map[string]any
}

// happened gives what a lab that stays has told of one event at a node, with these
// fields.
func (p *person) happened(lab, node, event string, with map[string]any) (all []happening) {
	p.t.Helper()
	for line := range strings.Lines(p.must("logs", "--lab", lab, "--json", node)) {
		var h happening
		if err := json.Unmarshal([]byte(line), &h); err != nil {
			p.t.Fatalf("%v: %s", err, line)
		}
		matches := h.Event == event
		for name, want := range with {
			matches = matches && fmt.Sprint(h.Fields[name]) == fmt.Sprint(want)
		}
		if matches {
			all = append(all, h)
		}
	}
	return all
}

// awaitEvent waits until that has happened so often.
func (p *person) awaitEvent(lab string, times int, node, event string, with map[string]any) {
	p.t.Helper()
	p.await(fmt.Sprintf("%d %s %v at %s", times, event, with, node), func() bool { return len(p.happened(lab, node, event, with)) >= times })
}

// A relayNode is a node of a lab where freeDiameter relays.
type relayNode struct {
	freeDiameter
	p         *person
	lab, node string
	asks      []string // the nodes that dial it
	serves    string   // the node that it dials
	conf      string
	process   *started
	lives     int
}

func (r *relayNode) log() string { return strings.TrimSuffix(r.conf, ".conf") + ".log" }

// start starts freeDiameter, and waits until it has a connection with everybody.
func (r *relayNode) start() {
	r.p.t.Helper()
	r.lives++
	r.process = r.p.start("exec", "--lab", r.lab, r.node, "--", "sh", "-c", fmt.Sprintf("exec freeDiameterd -c %s >>%s 2>&1", r.conf, r.log()))
	r.p.await(r.host+" has connected with "+r.server, func() bool {
		said, _ := os.ReadFile(r.log())
		return strings.Count(string(said), "-> 'STATE_OPEN'\t'"+r.server+"'") == r.lives
	})
	for _, node := range append(slices.Clone(r.asks), r.serves) {
		r.p.awaitEvent(r.lab, r.lives, node, "peer-up", map[string]any{"peer": r.host})
	}
}

// kill ends it without a farewell.
func (r *relayNode) kill() {
	r.p.t.Helper()
	r.process.signal(unix.SIGKILL) // what it has started in the node ends with it
	r.process.ended()
	for _, node := range append(slices.Clone(r.asks), r.serves) {
		r.p.awaitEvent(r.lab, r.lives, node, "peer-down", map[string]any{"peer": r.host})
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
	addresses := map[string]netip.Addr{}
	for _, n := range p.ps(lab).Nodes {
		if len(n.Addresses) > 0 {
			addresses[n.Node], _ = netip.ParseAddr(n.Addresses[0])
		}
	}
	var relays []*relayNode
	for _, r := range []*relayNode{
		{node: "dra", serves: "aaa", asks: []string{"pgw", "wlan-gw", "wimax-gw"}, freeDiameter: freeDiameter{guests: []string{homeRealm, "access.example"}}},
		{node: "dra-hss", serves: "hss", asks: []string{"aaa"}, freeDiameter: freeDiameter{guests: []string{homeRealm}}},
	} {
		r.p, r.lab, r.host, r.port = p, lab, r.node+".transit.example", 3868
		r.server, r.at = r.serves+"."+homeRealm, netip.AddrPortFrom(addresses[r.serves], 3868)
		r.conf = r.configure(t, p.dir)
		t.Cleanup(func() {
			if log, err := os.ReadFile(r.log()); err == nil && t.Failed() {
				t.Logf("%s says\n%s", r.host, outline(string(log)))
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

	file := p.file("core.pcapng")
	live := p.start("capture", "--lab", lab, "-w", file, "core")
	p.await("the capture has begun", func() bool { info, err := os.Stat(file); return err == nil && info.Size() > 0 })
	p.must("move", "--lab", lab, "ue", "wlan")
	p.awaitEvent(lab, 1, "wlan-gw", "station-admitted", map[string]any{"method": "eap-aka-prime"})
	p.awaitEvent(lab, 1, "ue", "bound", map[string]any{"link": "wlan"})
	live.signal(unix.SIGINT)
	if said, status := live.ended(); status != 0 {
		t.Fatalf("capture: exit status %d\n%s", status, said)
	}
	none(t, file, "_ws.malformed")
	between := fmt.Sprintf("(ipv6.addr == %v || ipv6.addr == %v)", addresses["dra"], addresses["dra-hss"])
	none(t, file, "diameter && !"+between)
	for command, least := range map[string]int{
		"325 && diameter.applicationId == " + mip6a: 1, // MIP6
		"268 && diameter.applicationId == " + sta:   2, // Diameter-EAP, of STa: rounds
		"303 && diameter.applicationId == " + swx:   1, // Multimedia-Auth, of SWx
		"301 && diameter.applicationId == " + swx:   1, // Server-Assignment
	} {
		for _, flags := range []string{"request == 1", "request == 0 && diameter.flags.error == 0"} {
			hops := map[string]int{}
			sessions := map[string]bool{}
			for _, line := range tshark(t, file, "diameter.cmd.code == "+command+" && diameter.flags."+flags, "ipv6.src", "ipv6.dst", "diameter.Session-Id") {
				fields := strings.Split(line, "\t")
				hops[fields[1]+" to "+fields[2]]++
				sessions[fields[3]] = true
			}
			if len(hops) != 2 {
				t.Errorf("command %s, %s: %v, want two hops", command, flags, hops)
			}
			for hop, n := range hops {
				if n < least {
					t.Errorf("command %s, %s: %d from %s, want %d", command, flags, n, hop, least)
				}
			}
			if strings.HasPrefix(command, "268") && len(sessions) != 1 {
				t.Errorf("command %s, %s: sessions %v, want all rounds in one", command, flags, sessions)
			}
		}
	}

	scenario, err := filepath.Abs("testdata/relayed-revoked.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p.must("play", "--lab", lab, "--runs", p.file("runs"), "--quiet", scenario)
	p.awaitEvent(lab, 2, "aaa", "session-closed", map[string]any{"reason": "aborted"})

	for _, r := range relays {
		r.kill()
	}
	for _, r := range relays {
		r.start()
	}
	p.must("move", "--lab", lab, "ue", "wimax")
	p.awaitEvent(lab, 1, "wimax-gw", "station-admitted", map[string]any{"method": "eap-aka"})
	p.awaitEvent(lab, 1, "ue", "bound", map[string]any{"link": "wimax"})
	if keys := p.happened(lab, "pgw", "aaa-answered", nil); len(keys) < 2 {
		t.Errorf("pgw was answered %v, want once on each access", keys)
	}
	for _, r := range relays {
		log, err := os.ReadFile(r.log())
		if err != nil {
			t.Fatal(err)
		}
		known := wantNoComplaint(t, string(log))
		if known["0"] == 0 || r.node == "dra" && (known[mip6a] == 0 || known[sta] == 0) {
			t.Errorf("%s: freeDiameter says of AVPs that it knew: %v", r.node, known)
		}
	}
}

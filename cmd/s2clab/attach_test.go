package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/netns/netnstest"
	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report"
	"s2clab/topologies"
)

// attachments are how a key is bootstrapped, by what a topology says of it.
var attachments = []struct{ name, set string }{
	{"static", "security.key-source=static"},
	{"emsk", "security.key-source=emsk"},
	{"mip-gba", "security.key-source=gba"},
	{"aka", "security.key-source=aka"},
	{"gba-rfc3957", "security.bootstrap=gba-rfc3957"},
	{"gba", "security.bootstrap=gba"},
	{"partial-gba", "security.bootstrap=partial-gba"},
	{"3gpp2", "security.profile=3gpp2"},
	{"wimax", "security.profile=wimax"},
}

// BenchmarkAttach is, for each method of bootstrapping, for how long a mobile node
// cannot be reached that comes to an access which authenticates it and has its first
// key there, beside what links and round trips cost alone (as reports tell it). What
// crossed the wire for that is counted from the capture, by tshark, which shares no
// line with us.
func BenchmarkAttach(b *testing.B) {
	for _, m := range attachments {
		b.Run(m.name, func(b *testing.B) {
			path, runs := program(b), b.TempDir()
			if _, err := exec.LookPath("tshark"); err != nil {
				b.Skip(err)
			}
			var ours, bound []float64
			var last []leg
			for seed := 1; seed <= 3; seed++ {
				out, err := exec.Command(path, "run", "--quiet", "--json", "--runs", runs, "--seed", strconv.Itoa(seed), "--set", m.set, "testdata/attach.yaml").Output()
				var result report.Result
				if e := json.Unmarshal(out, &result); e != nil || len(result.Handovers) != 2 || result.Handovers[1].Done == nil {
					b.Fatalf("%v, %v: %q", err, e, out)
				}
				h := &result.Handovers[1]
				if h.Excess == nil || h.Interruption == nil {
					continue // on a busy machine the bound of it is not known
				}
				interruption := 1e3 * float64(*h.Interruption)
				ours, bound = append(ours, interruption), append(bound, interruption-1e3*float64(*h.Excess))
				if last, err = legs(filepath.Join(runs, result.Run.ID), float64(h.Start), float64(*h.Done)); err != nil {
					b.Fatal(err)
				}
			}
			if len(ours) == 0 {
				b.Fatal("no run has a bound")
			}
			figure(b, "ms", ours, bound)
			for _, l := range last {
				b.ReportMetric(float64(l.messages), l.name+"-messages")
				b.ReportMetric(float64(l.octets), l.name+"-octets")
				b.ReportMetric(float64(l.trips), l.name+"-round-trips")
			}
		})
	}
}

// A leg is what was said between some nodes.
type leg struct {
	name     string
	messages int // frames that carry something: TCP's own acknowledgements are none
	octets   int // of all frames
	trips    int // round trips: questions that were answered, TCP's first two segments among them

	turns map[string]string // by the two who speak: who has spoken last
	flips map[string]int    // likewise, how often the other began
}

// afterwards is how long what follows a binding belongs to it, such as the AAA
// server's word to the HSS that nobody waits for.
const afterwards = 0.1

// legs counts what crossed the wire from start to done, in seconds of the run: on the
// mobile's access; with the AAA server; with the HSS; with the BSF. A frame counts
// once on each link, where it was sent.
func legs(dir string, start, done float64) ([]leg, error) {
	events, err := journal.Read(filepath.Join(dir, "journal.jsonl"))
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(events, func(e journal.Event) bool { return e.Name == "run-started" })
	if at < 0 {
		return nil, fmt.Errorf("%s: the journal has no run-started", dir)
	}
	wall, err := time.Parse(time.RFC3339Nano, fmt.Sprint(events[at].Fields["wall"]))
	if err != nil {
		return nil, err
	}
	zero := float64(wall.UnixNano())/1e9 - events[at].At.Seconds()
	t, _, err := topologies.Load(filepath.Join(dir, "topology.yaml"))
	if err != nil {
		return nil, err
	}
	hardware, addresses := map[string]string{}, map[string]string{}
	for _, n := range t.Nodes {
		for _, i := range n.Interfaces {
			hardware[i.Link+" "+net.HardwareAddr(i.MAC[:]).String()] = n.Name
			for _, p := range i.Addresses {
				addresses[p.Addr().String()] = n.Name
			}
		}
	}
	out, err := exec.Command("tshark", "-r", filepath.Join(dir, "capture.pcapng"), "-T", "fields", "-E", "occurrence=f", "-e", "frame.time_epoch", "-e", "frame.interface_name",
		"-e", "frame.len", "-e", "eth.type", "-e", "eth.src", "-e", "ipv6.src", "-e", "ipv6.dst", "-e", "mip6.mhtype", "-e", "tcp.len", "-e", "tcp.flags.syn", "-e", "udp.dstport").Output()
	if err != nil {
		return nil, fmt.Errorf("tshark: %w", err)
	}
	all := []leg{{name: "access"}, {name: "aaa"}, {name: "hss"}, {name: "bsf"}}
	for i := range all {
		all[i].turns, all[i].flips = map[string]string{}, map[string]int{}
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 11 {
			return nil, fmt.Errorf("tshark said %q", line)
		}
		when, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			return nil, fmt.Errorf("tshark said %q", line)
		}
		link, where, _ := strings.Cut(f[1], ":")
		sender := hardware[link+" "+f[4]]
		if s := when - zero; s < start || s > done+afterwards || where != sender {
			continue
		}
		eapol, mh, tcp, radius := f[3] == "0x888e", f[7] != "", f[8] != "", f[10] == "1812"
		from, to := nodeOf(addresses, f[5]), nodeOf(addresses, f[6])
		var l *leg
		switch {
		case link == "wlan" && (eapol || mh || tcp):
			l = &all[0]
		case link != "core" || !tcp && !radius:
			continue
		case from == "hss" || to == "hss":
			l = &all[2]
		case from == "bsf" || to == "bsf":
			l = &all[3]
		case from == "aaa" || to == "aaa":
			l = &all[1]
		default:
			continue
		}
		if eapol {
			from, to = sender, "eapol"
			if sender != "ue" {
				from, to = to, "ue"
			}
		}
		octets, _ := strconv.Atoi(f[2])
		l.octets += octets
		carries := !tcp || f[8] != "0"
		if carries {
			l.messages++
		}
		if carries || f[9] == "1" || f[9] == "True" {
			l.spoke(from, to)
		}
	}
	for i := range all {
		for _, n := range all[i].flips {
			all[i].trips += (n + 1) / 2
		}
	}
	return all, nil
}

func nodeOf(addresses map[string]string, address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	if name := addresses[a.String()]; name != "" {
		return name
	}
	return "ue" // by its care-of address
}

// spoke notes who of two has spoken.
func (l *leg) spoke(from, to string) {
	pair := min(from, to) + " " + max(from, to)
	if last := l.turns[pair]; last != "" && last != from {
		l.flips[pair]++
	}
	l.turns[pair] = from
}

// TestWhatCrossesTheWireIsCountedByLeg has a method that speaks with all of them, as
// docs/bootstrapping.md has it.
func TestWhatCrossesTheWireIsCountedByLeg(t *testing.T) {
	needLabs(t)
	if _, err := exec.LookPath("tshark"); err != nil {
		netnstest.Lacking(t, "tshark", err)
	}
	t.Parallel()
	turn(t)
	p := newPerson(t)
	text, err := os.ReadFile("testdata/attach.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := p.must("run", "--quiet", "--json", "--set", "security.bootstrap=gba-rfc3957", p.write("attach.yaml", string(text)))
	var result report.Result
	if err := json.Unmarshal([]byte(out), &result); err != nil || len(result.Handovers) != 2 || result.Handovers[1].Done == nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h := result.Handovers[1]
	all, err := legs(p.file("runs/"+result.Run.ID), float64(h.Start), float64(*h.Done))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []leg{{name: "access", messages: 12, trips: 7}, {name: "aaa", messages: 6, trips: 3}, {name: "hss", messages: 8, trips: 4}, {name: "bsf", messages: 6, trips: 4}} {
		// On a busy machine one may have been sent again.
		if l := all[i]; l.name != want.name || l.messages < want.messages || l.messages > want.messages+2 || l.trips < want.trips || l.octets < 18*l.messages {
			t.Errorf("%+v, want %+v", l, want)
		}
	}
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"s2clab/nodes/netns/netnstest"
	"s2clab/orchestrator/report"
	"s2clab/scenarios"
)

// atOnce is how many labs run beside each other here. They mostly wait; with more
// of them on a small machine their times would no longer be their own.
var atOnce = make(chan struct{}, 2)

func turn(t *testing.T) {
	t.Helper()
	atOnce <- struct{}{}
	t.Cleanup(func() { <-atOnce })
}

// needLabs skips the test where no lab can run.
func needLabs(t *testing.T) {
	t.Helper()
	if out, err := exec.Command(built(t), "doctor").CombinedOutput(); err != nil {
		netnstest.Lacking(t, "netns", fmt.Errorf("%w\n%s", err, out))
	}
}

// played is a folder of a run.
type played struct {
	dir    string
	said   string // what the person was told
	status int
}

func (p *person) play(args ...string) played {
	p.t.Helper()
	before := p.runs()
	out, errs, status := p.run(append([]string{"run", "--runs", p.file("runs")}, args...)...)
	run := played{said: errs + out, status: status}
	for _, dir := range p.runs() {
		if !contains(before, dir) {
			run.dir = dir
		}
	}
	return run
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

// playUntroubled plays a scenario, and once more where nothing but measures were
// missed: a machine that is busy with something else stops every process of a lab
// for a while. What the protocols did must be right at once.
func (p *person) playUntroubled(args ...string) played {
	p.t.Helper()
	run := p.play(args...)
	failed := strings.Count(run.said, "\n  FAILED  ")
	if run.status == 1 && failed > 0 && failed == strings.Count(run.said, "\n  FAILED  measure interruption") {
		p.t.Logf("is played again, for it was too slow:\n%s", run.said)
		run = p.play(args...)
	}
	return run
}

// held wants that all expectations were met, and that the report is there.
func (r played) held(t *testing.T) {
	t.Helper()
	if r.status != 0 {
		t.Fatalf("exit status %d, want 0:\n%s", r.status, r.said)
	}
	wantSaid(t, r.said, "report: ")
	for _, name := range []string{"report.html", "result.json", "junit.xml", "journal.jsonl", "capture.pcapng", "scenario.yaml", "topology.yaml"} {
		if info, err := os.Stat(filepath.Join(r.dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, want a file that says something", name, err)
		}
	}
}

// isBounded wants a bound of physics beside every interruption of a handover that was
// completed. How far above it they are is a figure, which this machine may not be
// quiet enough for: it is told.
func (r played) isBounded(t *testing.T) {
	t.Helper()
	var result struct{ Handovers []report.ResultHandover }
	r.result(t, &result)
	for _, h := range result.Handovers {
		for _, n := range h.Interruptions {
			bounded := h.Outcome == "completed" && h.Kind != "attach"
			if (n.Bound != nil) != bounded {
				t.Errorf("handover %d, %s, %s from %s to %s, flow %s towards %s: bound known %v", h.Number, h.Outcome, h.Kind, h.From, h.To, n.Flow, n.To, n.Bound != nil)
			}
			if n.Excess != nil && *n.Excess > n.Spacing && n.Flow != "file" {
				t.Logf("handover %d from %s to %s: flow %s towards %s was silent for %.1f ms more than the bound and its spacing", h.Number, h.From, h.To, n.Flow, n.To, 1e3*float64(*n.Excess-n.Spacing))
			}
		}
	}
}

// result reads a value of result.json.
func (r played) result(t *testing.T, value any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, "result.json"))
	if err = errors.Join(err, json.Unmarshal(data, value)); err != nil {
		t.Fatal(err)
	}
}

// theDefault is one run of the default scenario, played once for all tests.
func theDefault(t *testing.T) played {
	t.Helper()
	needLabs(t)
	defaultOnce.Do(func() {
		turn(t)
		defaultRun = newPerson(t).playUntroubled()
	})
	if defaultRun.dir == "" {
		t.Fatalf("the default scenario left no run:\n%s", defaultRun.said)
	}
	return defaultRun
}

var (
	defaultOnce sync.Once
	defaultRun  played
)

func TestEveryShippedScenarioHolds(t *testing.T) {
	for _, name := range scenarios.Shipped() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var run played
			if name == scenarios.Default {
				run = theDefault(t)
			} else {
				needLabs(t)
				turn(t)
				run = newPerson(t).playUntroubled(name)
			}
			run.held(t)
			run.looksAsItsPageSays(t, name)
			run.isBounded(t)
			isDescribed(t, filepath.Join(run.dir, "journal.jsonl"), described(t))
			if see := further[name]; see != nil {
				see(t, run)
			}
		})
	}
}

// further is what else must hold of the runs of scenarios, by name.
var further = map[string]func(*testing.T, played){
	"address-assigned": assignedOnTheWire,
	"ipv4-access":      inUDPOnTheWire, "nat": inUDPOnTheWire, "dual-stack": inUDPOnTheWire, "force-udp-refused": inUDPOnTheWire,
}

func TestAnOrdinaryUserPlaysScenarios(t *testing.T) {
	for _, name := range []string{scenarios.Default, "make-before-break", "wrong-key", "route-optimization", "dual-stack"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			turn(t)
			newUser(t).playUntroubled(name).held(t)
		})
	}
}

// Links and tunnels go by packet sockets where /dev/net/tun is denied. The device
// of this machine stays as it is: another one is put over it, in a mount namespace
// that ends with the run.
func TestAnOrdinaryUserNeedsNoTUN(t *testing.T) {
	if os.Geteuid() != 0 {
		netnstest.Lacking(t, "user", errors.New("only root can deny a device to a user"))
	}
	t.Parallel()
	turn(t)
	p := newUser(t)
	denied := filepath.Join(sharedDir(t), "denied")
	if err := os.WriteFile(denied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.as = append([]string{"unshare", "-m", "sh", "-c", `mount --bind "$0" /dev/net/tun && exec "$@"`, denied}, p.as...)
	run := p.playUntroubled()
	run.held(t)
	var result struct{ Environment map[string]string }
	run.result(t, &result)
	if links := result.Environment["links"]; strings.Contains(links, "TAP") {
		t.Errorf("links were run as %q, want no TAP devices", links)
	}
}

// The folder of a run holds all that it takes to play it again, seed and
// overrides included.
func TestARunReplays(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	first := p.play("--seed", "11", "--set", "links.visited.delay=7ms", p.write("short.yaml", short))
	first.held(t)
	again := p.play(first.dir)
	again.held(t)
	for _, name := range []string{"scenario.yaml", "topology.yaml"} {
		was, err1 := os.ReadFile(filepath.Join(first.dir, name))
		is, err2 := os.ReadFile(filepath.Join(again.dir, name))
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if string(was) != string(is) {
			t.Errorf("%s was\n%s\nand is\n%s", name, was, is)
		}
	}
	type facts struct {
		Run      struct{ Seed uint64 }
		Messages map[string]int
	}
	var was, is facts
	first.result(t, &was)
	again.result(t, &is)
	if was.Run.Seed != 11 || is.Run.Seed != 11 {
		t.Errorf("seeds %d and %d, want 11", was.Run.Seed, is.Run.Seed)
	}
	for _, m := range []string{"binding-update", "binding-acknowledgement"} {
		if was.Messages[m] == 0 || was.Messages[m] != is.Messages[m] {
			t.Errorf("%s: %d, then %d", m, was.Messages[m], is.Messages[m])
		}
	}
}

func TestAScenarioIsRepeatedWithTheNextSeeds(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	story := p.write("short.yaml", short+"  - {never: flow-started}\n") // which does not hold
	out, errs, status := p.run("run", "--runs", "runs", "--quiet", "--json", "--repeat", "2", story)
	var series report.SeriesResult
	if err := json.Unmarshal([]byte(out), &series); err != nil || status != 1 {
		t.Fatalf("exit status %d, want 1; %v\n%s%s", status, err, errs, out)
	}
	if series.Verdict != report.NotHeld || series.Verdicts[report.NotHeld] != 2 || len(series.Runs) != 2 || len(series.Statistics) == 0 {
		t.Errorf("want two runs that did not hold, and statistics:\n%s", out)
	}
	for i, r := range series.Runs {
		if r.Seed != uint64(7+i) || r.Handovers != 1 || r.Interruption == nil || len(r.NotHeld) != 1 {
			t.Errorf("run %d: %+v", i, r)
		}
		if _, err := os.Stat(filepath.Join(p.dir, r.Folder, "report.html")); err != nil {
			t.Error(err)
		}
	}
}

// short is a story of one handover.
const short = `scenario: short
topology: one-home-agent
seed: 7
steps:
  - {at: 0s, attach: {node: mn, link: home}}
  - {at: 200ms, traffic: {from: mn, to: cn, both-ways: true}}
  - {at: 500ms, move: {node: mn, to: visited, gap: 20ms}}
  - {wait: {for: bound, node: mn}}
  - {after: 300ms, stop: all}
expect:
  - {saw: bound, node: mn, link: visited}
`

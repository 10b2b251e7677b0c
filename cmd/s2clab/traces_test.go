package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// aDrive is a story of one handover that a table drives, by a mobile that goes by
// the signal, over a link that follows a trace.
const aDrive = `scenario: a-drive
topology: one-home-agent
seed: 7
set:
  nodes.mn.policy: "{prefer: [visited, home], threshold: -75dBm, time-to-trigger: 0s}"
steps:
  - {at: 0s, link: {name: visited, set: {rate: {trace: tables/visited.trace}}}}
  - {at: 100ms, trace: {node: mn, file: tables/drive.csv, floor: -90dBm}}
  - {wait: {for: access-chosen, node: mn, link: home}}
  - {after: 200ms, traffic: {from: mn, to: cn, both-ways: true}}
  - {wait: {for: bound, node: mn, link: visited}}
  - {wait: {for: carrier-lost, node: mn, link: home}}
  - {after: 300ms, stop: all}
expect:
  - {saw: access-chosen, node: mn, link: visited, instead-of: home, reason: preferred, signal: -60dBm}
  - {order: [{saw: signal-changed, link: visited, signal: {at-most: -80dBm}}, {saw: bound, link: visited}, {saw: carrier-lost, link: home}]}
  - {count: link-attached, link: visited, equals: 1, note: a signal below the floor does not attach}
  - {measure: handovers, node: mn, equals: 1}
`

// TestARunWithTracesReplays plays a run again from its own folder alone: traces lie
// in it, and no longer where they were.
func TestARunWithTracesReplays(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	if err := os.Mkdir(p.file("tables"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.write("tables/visited.trace", "1\n2\n4\n")
	p.write("tables/drive.csv", `time [s],link,signal [dBm],rtt [ms],loss [%]
0,home,-60,,
0,visited,-95,,
0.1,visited,-85,8,0
2,visited,-60,,
3,home,,,
`)
	first := p.play(p.write("a-drive.yaml", aDrive))
	first.held(t)
	if err := os.RemoveAll(p.file("tables")); err != nil {
		t.Fatal(err)
	}
	again := p.play(first.dir)
	again.held(t)
	for _, name := range []string{"drive.csv", "visited.trace", "scenario.yaml"} {
		was, err := os.ReadFile(filepath.Join(first.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if is, err := os.ReadFile(filepath.Join(again.dir, name)); err != nil || string(is) != string(was) {
			t.Errorf("%s is not what it was: %v", name, err)
		}
	}
	journal, err := os.ReadFile(filepath.Join(again.dir, "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"change":"delay 4ms, rate of trace visited.trace`, `"trace":"drive.csv"`} {
		if !strings.Contains(string(journal), want) {
			t.Errorf("the journal has no %s", want)
		}
	}
	isDescribed(t, filepath.Join(again.dir, "journal.jsonl"), described(t))
}

package scenarios

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/topologies"
	"s2clab/topologies/strict"
)

func parse(t *testing.T, text string, overrides ...topologies.Override) *Scenario {
	t.Helper()
	s, err := Parse("t.yaml", []byte(text), overrides...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestShippedScenariosAreInOrder(t *testing.T) {
	names := Shipped()
	if names[0] != Default || len(names) < 12 {
		t.Errorf("shipped: %v", names)
	}
	for _, name := range names {
		s, err := Load(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Name != name {
			t.Errorf("the scenario in folder %s is called %s", name, s.Name)
		}
		if len(s.Expect) == 0 || s.Ends() == 0 || s.Description == "" {
			t.Errorf("%s: %d expectations, ends at %v, description %q", name, len(s.Expect), s.Ends(), s.Description)
		}
		page, err := Page(name)
		if err != nil || !strings.Contains(string(page), "s2clab run "+name) {
			t.Errorf("%s: the page does not say how to run it (%v)", name, err)
		}
	}
}

// The files in the source tree are those in the program: relative paths hold in
// both.
func TestScenariosOnDiskFindTheirTopologies(t *testing.T) {
	for _, name := range Shipped() {
		if _, err := Load(name); err != nil { // the folder of this package has it, too
			t.Error(err)
		}
		if _, err := Load(shippedHere + name + "/" + fileName); err != nil {
			t.Error(err)
		}
	}
}

func TestStepsAreResolvedToTheLastDefault(t *testing.T) {
	s := parse(t, `
scenario: t
topology: eps-s2c
steps:
  - {at: 0s, attach: {node: ue, link: lte}}
  - {at: 1s, traffic: {from: ue, to: cn}}
  - {traffic: {from: cn, to: ue, kind: request}}
  - {after: 500ms, exec: {node: cn, command: ping -c 1 ue}}
  - {after: previous, exec: {node: [cn, aaa], command: [ip, addr], exit: 1, background: true}}
  - {at: 5s, link: {name: lte, set: {delay: 50ms, rate: unlimited}, from: ue}}
  - {at: 5s, hold: {message: binding-update, link: wlan, seq: {at-least: 3}}}
  - {at: 6s, replay: binding-update}
  - {at: 6s, restart: pgw}
  - {at: 6s, detach: ue}
  - {at: 7s, wait: {for: bound, node: ue}}
  - {stop: {traffic: voice}}
  - {note: done}
`)
	ms50, zero, least := 50*time.Millisecond, int64(0), 3.0
	want := []Step{
		{At: 0, Line: 5, Text: "attach ue, link lte", Do: &Attach{Nodes: []string{"ue"}, Link: "lte"}},
		{At: time.Second, Line: 6, Text: "traffic from ue, to cn", Do: &Traffic{Name: "voice", Flows: []Flow{{"voice", "ue", "cn"}}, Kind: "voice", Rate: 50, Size: 172}},
		{After: true, Line: 7, Text: "traffic from cn, to ue, kind request", Do: &Traffic{Name: "request", Flows: []Flow{{"request", "cn", "ue"}}, Kind: "request", Rate: 10, Size: 100}},
		{At: 500 * time.Millisecond, After: true, Line: 8, Text: "exec cn, command ping -c 1 ue", Do: &Exec{Nodes: []string{"cn"}, Command: []string{"sh", "-c", "ping -c 1 ue"}, Timeout: 30 * time.Second}},
		{After: true, Line: 9, Text: "exec [cn, aaa], command [ip, addr], exit 1, background true", Do: &Exec{Nodes: []string{"cn", "aaa"}, Command: []string{"ip", "addr"}, Timeout: 30 * time.Second, Exit: 1, Background: true}},
		{At: 5 * time.Second, Line: 10, Text: "link lte, set {delay: 50ms, rate: unlimited}, from ue", Do: &Link{Link: "lte", From: []string{"ue"}, Change: topologies.Change{Delay: &ms50, Rate: &zero}}},
		{At: 5 * time.Second, Line: 11, Text: "hold binding-update, link wlan, seq {at-least: 3}", Do: &Aim{Kind: "hold", Times: 1, By: 500 * time.Millisecond,
			Pattern: Pattern{Name: "binding-update", Message: true, Fields: []Match{{Field: "link", Text: ptr("wlan")}, {Field: "seq", Range: &Bounds{Least: &least}}}}}},
		{At: 6 * time.Second, Line: 12, Text: "replay binding-update", Do: &Aim{Kind: "replay", Times: 1, Which: "last", Pattern: Pattern{Name: "binding-update", Message: true}}},
		{At: 6 * time.Second, Line: 13, Text: "restart pgw", Do: &Restart{Nodes: []string{"pgw"}, Gap: time.Second, How: "kill"}},
		{At: 6 * time.Second, Line: 14, Text: "detach ue", Do: &Detach{Nodes: []string{"ue"}}},
		{At: 7 * time.Second, Line: 15, Text: "wait bound, node ue", Do: &Wait{For: Pattern{Name: "bound", Nodes: []string{"ue"}}, Timeout: 10 * time.Second}},
		{After: true, Line: 16, Text: "stop traffic voice", Do: &StopTraffic{Flows: []string{"voice"}}},
		{After: true, Line: 17, Text: "note done", Do: &Note{Text: "done"}},
	}
	if diff := cmp.Diff(want, s.Steps); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if s.Seed != 1 {
		t.Errorf("seed %d", s.Seed)
	}
}

func ptr[T any](x T) *T { return &x }

func TestARepeatIsWrittenOut(t *testing.T) {
	s := parse(t, `
scenario: t
topology: eps-s2c
steps:
  - {at: 1s, repeat: 2, every: 10s, steps: [{at: 1s, note: a}, {note: b}, {at: 2s, repeat: 2, every: 3s, steps: [{note: c}]}]}
  - {repeat: 2, steps: [{note: d}, {after: 1s, note: e}]}
  - {at: 40s, repeat: 2, steps: [{note: f}]}
`)
	var got []string
	for _, step := range s.Steps {
		got = append(got, step.String())
	}
	want := []string{"2s note a", "then note b", "3s note c", "6s note c", "12s note a", "then note b", "13s note c", "16s note c",
		"then note d", "then note e", "then note d", "then note e", "40s note f", "then note f"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAGroupStandsForItsMembers(t *testing.T) {
	s := parse(t, `
scenario: t
topology: many-mobiles
steps:
  - {at: 0s, attach: {node: ue, link: lte}}
  - {at: 1s, traffic: {from: ue, to: cn}}
  - {at: 2s, move: {node: [ue3, ue4], to: wlan}}
  - {at: 3s, stop: {traffic: voice-ue3}}
expect:
  - {measure: interruption, node: ue, flow: voice, at-most: 1s}
`)
	if got := s.Steps[0].Do.(*Attach).Nodes; len(got) != 20 {
		t.Errorf("attached: %v", got)
	}
	flows := s.Steps[1].Do.(*Traffic).Flows
	if len(flows) != 20 || flows[2] != (Flow{"voice-ue3", "ue3", "cn"}) || len(s.Flows("voice")) != 20 || len(s.Flows("voice-ue3")) != 1 {
		t.Errorf("flows: %v", flows)
	}
	if got := s.Steps[2].Do.(*Move).Nodes; !slices.Equal(got, []string{"ue3", "ue4"}) {
		t.Errorf("moved: %v", got)
	}
	if got := s.Expect[0].Measure.Nodes; len(got) != 20 {
		t.Errorf("measured: %v", got)
	}
}

func TestOverridesAreOfTheScenarioOrOfItsTopology(t *testing.T) {
	var overrides []topologies.Override
	for _, text := range []string{"seed=99", "steps.2.move.gap=70ms", "security.integrity=none", "links.wlan.delay=50ms", "expect.1.at-most=2s"} {
		o, err := strict.ParseOverride(text)
		if err != nil {
			t.Fatal(err)
		}
		overrides = append(overrides, o)
	}
	s := parse(t, `
scenario: t
topology: eps-s2c
set: {security.replay: sequence, links.wlan.delay: 1ms}
steps:
  - {at: 0s, attach: {node: ue, link: lte}}
  - {at: 1s, move: {node: ue, to: wlan}}
expect:
  - {measure: latency, at-most: 1s}
`, overrides...)
	if s.Seed != 99 || s.Steps[1].Do.(*Move).Gap != 70*time.Millisecond || *s.Expect[0].Bounds.Most != 2 {
		t.Errorf("%+v", s)
	}
	if sec := s.Topology.Security; sec.Integrity != "none" || sec.Replay != "sequence" {
		t.Errorf("security %+v", sec)
	}
	if d := s.Topology.Link("wlan").From["ue"].Delay; d != 50*time.Millisecond {
		t.Errorf("the command line comes after the file: %v", d)
	}
}

var elsewhere = regexp.MustCompile(`\.\./[a-z-]+/`)

func TestFilesAreEnoughToPlayTheScenarioJustSoAgain(t *testing.T) {
	o, _ := strict.ParseOverride("seed=123456789")
	p, _ := strict.ParseOverride("links.wlan.delay=77ms")
	for _, name := range Shipped() {
		want, err := Load(name, o, p)
		if name == "wrong-key" {
			want, err = Load(name, o)
		}
		if err != nil {
			t.Fatal(err)
		}
		files, err := want.Files()
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Load(dir)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Seed != 123456789 {
			t.Errorf("%s: seed %d", name, got.Seed)
		}
		var a, b []string
		for _, s := range want.Steps { // files that they name are beside them now
			a = append(a, elsewhere.ReplaceAllString(s.String(), ""))
		}
		for _, s := range got.Steps {
			b = append(b, s.String())
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(want.Topology.Links, got.Topology.Links, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
			cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Line" }, cmp.Ignore())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAPatternMatchesByNamePlaceAndFields(t *testing.T) {
	s := parse(t, `
scenario: t
topology: eps-s2c
steps: [{at: 0s, attach: {node: ue, link: lte}}]
expect:
  - {saw: binding-update, node: pgw, link: wlan, flags: [A, H], lifetime: 0s, care-of: wlan, home-address: ue}
  - {saw: binding-accepted, node: pgw, lifetime: {at-least: 4s, at-most: 60s}, new: true}
  - {saw: binding-acknowledgement, status: id-mismatch}
  - {saw: binding-update, src: 2001:db8:200::/64, fate: dropped, auth: mn-aaa}
`)
	type event struct {
		node, name string
		fields     map[string]any
	}
	update := func(change map[string]any) event {
		f := map[string]any{"message": "binding-update", "link": "wlan", "from": "ue", "to": []any{"pgw"}, "flags": []any{"A", "H", "K"}, "lifetime": 0.0,
			"care-of": "2001:db8:200::53:ff:fe00:1", "home-address": "2001:db8:100::10", "src": "2001:db8:200::53:ff:fe00:1", "fate": "delivered", "auth": "mn-ha"}
		for k, v := range change {
			f[k] = v
		}
		return event{"", "packet", f}
	}
	for _, c := range []struct {
		what string
		of   int
		event
		want bool
	}{
		{"all fields", 0, update(nil), true},
		{"another message", 0, update(map[string]any{"message": "binding-error"}), false},
		{"the other end of the link", 0, update(map[string]any{"from": "pgw", "to": []any{"ue"}}), true},
		{"neither end", 0, update(map[string]any{"to": []string{"wlan-gw"}}), false},
		{"a flag less", 0, update(map[string]any{"flags": []any{"A"}}), false},
		{"another lifetime", 0, update(map[string]any{"lifetime": 60.0}), false},
		{"a care-of address of another link", 0, update(map[string]any{"care-of": "2001:db8:300::1"}), false},
		{"another home address", 0, update(map[string]any{"home-address": "2001:db8:100::11"}), false},
		{"an event of that name", 0, event{"pgw", "binding-update", nil}, false},
		{"within the range", 1, event{"pgw", "binding-accepted", map[string]any{"lifetime": 60.0, "new": true}}, true},
		{"out of the range", 1, event{"pgw", "binding-accepted", map[string]any{"lifetime": 64.0, "new": true}}, false},
		{"another node", 1, event{"ue", "binding-accepted", map[string]any{"lifetime": 60.0, "new": true}}, false},
		{"without a field", 1, event{"pgw", "binding-accepted", map[string]any{"lifetime": 60.0}}, false},
		{"a status by name", 2, event{"", "packet", map[string]any{"message": "binding-acknowledgement", "status": uint8(144)}}, true},
		{"another status", 2, event{"", "packet", map[string]any{"message": "binding-acknowledgement", "status": 0.0}}, false},
		{"a prefix", 3, update(map[string]any{"fate": "dropped", "auth": []any{"mn-ha", "mn-aaa"}}), true},
		{"a lone word where a list may stand", 3, update(map[string]any{"fate": "dropped", "auth": "mn-aaa"}), true},
	} {
		if got := s.Expect[c.of].Pattern.Matches(c.node, c.name, c.fields); got != c.want {
			t.Errorf("%s: matches %v, want %v", c.what, got, c.want)
		}
	}
}

func TestBoundsHoldTheirEnds(t *testing.T) {
	s := parse(t, `
scenario: t
topology: eps-s2c
steps: [{at: 0s, attach: {node: ue, link: lte}}, {traffic: {from: ue, to: cn}}]
expect:
  - {measure: interruption, at-most: 1.8s}
  - {measure: loss, between: [0.5%, 2%]}
  - {measure: throughput, at-least: 1Mbit/s}
  - {count: bound, equals: 3}
`)
	for _, c := range []struct {
		of   int
		x    float64
		want bool
	}{
		{0, 1.8, true}, {0, 1.8000001, false}, {0, 0, true},
		{1, 0.005, true}, {1, 0.02, true}, {1, 0.021, false}, {1, 0, false},
		{2, 1e6, true}, {2, 999999, false},
		{3, 3, true}, {3, 2, false}, {3, 4, false},
	} {
		if got := s.Expect[c.of].Bounds.Hold(c.x); got != c.want {
			t.Errorf("%s: %v holds: %v, want %v", s.Expect[c.of].Text, c.x, got, c.want)
		}
	}
}

func TestEveryFieldOfEveryWordIsKnown(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range words() {
		if seen[w.name] {
			t.Errorf("%s stands twice", w.name)
		}
		seen[w.name] = true
		for _, f := range w.fields {
			if fieldNamed(f) == nil {
				t.Errorf("%s has the field %s, which is not in the table of fields", w.name, f)
			}
		}
	}
}

func TestNoKeyStandsTwice(t *testing.T) {
	seen := map[*strict.Shape]bool{}
	var look func(s *strict.Shape, at string)
	look = func(s *strict.Shape, at string) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		keys := s.Keys()
		slices.Sort(keys)
		if n := len(keys); n != len(slices.Compact(keys)) {
			t.Errorf("%s: a key stands twice", at)
		}
		for _, f := range s.Fields {
			look(f.Shape, at+"."+f.Key)
		}
		look(s.Each, at)
		look(s.Items, at)
	}
	look(format(), "scenario")
}

func TestAnUnknownNameIsToldTheNearestShippedOne(t *testing.T) {
	_, err := Load("ping-pog")
	if err == nil || !strings.Contains(err.Error(), `did you mean "ping-pong"?`) {
		t.Error(err)
	}
	if _, err := Load("testdata"); err == nil {
		t.Error("a folder without a scenario passes")
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 10 {
		f.Fatalf("seeds: %v, %v", files, err)
	}
	shippedFiles, err := filepath.Glob("*/scenario.yaml")
	if err != nil || len(shippedFiles) < 12 {
		f.Fatalf("seeds: %v, %v", shippedFiles, err)
	}
	for _, file := range append(files, shippedFiles...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "steps.1.at=3s")
		f.Add(data, "links.wlan.delay=3ms")
	}
	f.Fuzz(func(t *testing.T, data []byte, set string) {
		var overrides []topologies.Override
		if o, err := strict.ParseOverride(set); err == nil {
			overrides = append(overrides, o)
		}
		s, err := Parse("shipped:/scenarios/t/scenario.yaml", data, overrides...)
		if err != nil {
			if !errors.Is(err, topologies.ErrInvalid) {
				t.Fatalf("%v does not unwrap to ErrInvalid", err)
			}
			return
		}
		last := time.Duration(0)
		for _, step := range s.Steps {
			if step.Do == nil || step.Do.Verb() == "" {
				t.Fatalf("step %+v", step)
			}
			if !step.After {
				if step.At < last {
					t.Fatalf("step %v after %v", step, last)
				}
				last = step.At
			}
		}
		files, err := s.Files()
		if err != nil {
			t.Fatal(err)
		}
		if len(files) < 2 {
			t.Fatalf("%d files", len(files))
		}
	})
}

// A page must not give a command that is refused.
func TestTheCommandsOfAPageAreInOrder(t *testing.T) {
	for _, name := range Shipped() {
		page, err := Page(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(page)) {
			args := strings.Fields(line)
			if !strings.HasPrefix(line, "    s2clab run ") {
				continue
			}
			var overrides []topologies.Override
			for _, a := range strings.Split(line, " --set ")[1:] {
				if a = strings.TrimSpace(a); a[0] == '\'' {
					a = strings.Trim(a, "'")
				} else {
					a, _, _ = strings.Cut(a, " ")
				}
				o, err := strict.ParseOverride(a)
				if err != nil {
					t.Fatal(err)
				}
				overrides = append(overrides, o)
			}
			if _, err := Load(args[2], overrides...); err != nil {
				t.Errorf("%s: %s%v", name, line, err)
			}
		}
	}
}

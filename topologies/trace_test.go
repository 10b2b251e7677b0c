package topologies

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/topologies/strict"
)

func TestARateTraceHasItsTimesItsLengthAndItsMean(t *testing.T) {
	trace, err := ParseRateTrace("t", []byte("\ufeff# made by hand\n0\r\n  5\n\n5\n20"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(trace.Times, []uint32{0, 5, 5, 20}) || trace.Length() != 20*time.Millisecond || trace.Mean() != 4*1504*8*50 {
		t.Errorf("times %v, length %v, mean %d bit/s", trace.Times, trace.Length(), trace.Mean())
	}
	if slow, err := ParseRateTrace("t", []byte("86400000")); err != nil || slow.Mean() != 1 {
		t.Errorf("a packet a day: %v bit/s, %v", slow, err)
	}
	if quick, err := ParseRateTrace("t", []byte(strings.Repeat("1\n", 1_000_000))); err != nil || quick.Mean() != fastest {
		t.Errorf("a million packets a millisecond: %v, want the most that a link may have", err)
	}
	_, err = ParseRateTrace("t", []byte(strings.Repeat("1\n", maxTrace)))
	if ps, ok := strict.As(err); !ok || !strings.Contains(ps[0].What, "more than the 8388608") {
		t.Errorf("a long file: %v", err)
	}
	_, err = ParseRateTrace("t", []byte("1\n\x00\n"))
	if ps, ok := strict.As(err); !ok || ps[0].Line != 2 {
		t.Errorf("no text: %v", err)
	}
}

func traced(t *testing.T) (file string, text []byte) {
	t.Helper()
	dir := t.TempDir()
	for name, times := range map[string]string{"cell.down": "10\n20\n", "cell.up": "40\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(times), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "t.yaml"), []byte(`topology: t
nodes: {a: {role: router}, b: {role: router}}
links:
  radio: {ends: [a, b], rate: {trace: cell.down}, from: {b: {rate: {trace: cell.up}, delay: 5ms}}}
`)
}

func TestALinkFollowsATraceInEachDirection(t *testing.T) {
	topology, _, err := Parse(traced(t))
	if err != nil {
		t.Fatal(err)
	}
	a, b := topology.Links[0].From["a"], topology.Links[0].From["b"]
	if a.Trace == nil || a.Rate != 2*1504*8*50 || b.Trace == nil || b.Rate != 1504*8*25 || b.Trace.File != "cell.up" {
		t.Fatalf("from a %+v, from b %+v", a, b)
	}
	if got, want := Describe(b), "delay 5ms, rate of trace cell.up, 300.8kbit/s on average"; got != want {
		t.Errorf("described as %q, want %q", got, want)
	}
	// It reaches the lab by way of JSON.
	var there Topology
	text, err := json.Marshal(topology)
	if err == nil {
		err = json.Unmarshal(text, &there)
	}
	if err != nil || !slices.Equal(there.Links[0].From["b"].Trace.Times, b.Trace.Times) {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestARateInPlaceOfATraceEndsIt(t *testing.T) {
	file, text := traced(t)
	for _, o := range []Override{{Path: "links.radio.rate", Value: "5Mbit/s"}, {Path: "links.radio.rate", Value: "{limit: 5Mbit/s}"}} {
		topology, _, err := Parse(file, text, o)
		if err != nil {
			t.Fatal(err)
		}
		if a := topology.Links[0].From["a"]; a.Trace != nil || a.Rate != 5_000_000 {
			t.Errorf("%v: %+v", o, a)
		}
	}
	topology, _, err := Parse(file, text)
	if err != nil {
		t.Fatal(err)
	}
	was := topology.Links[0].From["a"]
	rate, delay := int64(0), time.Second
	if now := (Change{Rate: &rate}).Apply(was); now.Trace != nil || now.Rate != 0 {
		t.Errorf("unlimited: %+v", now)
	}
	if now := (Change{Delay: &delay}).Apply(was); now.Trace != was.Trace || now.Rate != was.Rate {
		t.Errorf("a change of the delay: %+v", now)
	}
}

func TestACommandNamesTracesFromWhereItRuns(t *testing.T) {
	file, _ := traced(t)
	t.Chdir(filepath.Dir(filepath.Dir(file)))
	c, err := ParseChange([]string{"rate={trace: " + filepath.Base(filepath.Dir(file)) + "/cell.up}", "delay=5ms"})
	if err != nil || c.Trace == nil || *c.Rate != 1504*8*25 || c.Delay == nil {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := ParseChange([]string{"rate={trace: a/nowhere.up}"}); err == nil || !strings.Contains(err.Error(), "relative to where the command runs") {
		t.Errorf("got %v", err)
	}
}

func TestTheFilesOfATopologyHaveItsTraces(t *testing.T) {
	file, text := traced(t)
	files, err := Files(file, text)
	if err != nil {
		t.Fatal(err)
	}
	if string(files["cell.down"]) != "10\n20\n" || string(files["cell.up"]) != "40\n" || len(files) != 3 {
		t.Errorf("files: %v", files)
	}
}

func TestPoliciesAreReadWithWhatTheyLeaveOut(t *testing.T) {
	base := "topology: t\nnodes: {ue: {role: mn, policy: POLICY}, pgw: {role: ha, aaa: aaa}, aaa: {role: aaa}, gw: {role: router}}\n" +
		"links: {lte: {ends: [ue, pgw], home: true}, wlan: {ends: [ue, gw]}, core: {ends: [gw, pgw, aaa]}}\n"
	for text, want := range map[string]Policy{
		"newest":                     {Kind: "newest"},
		"keep":                       {Kind: "keep"},
		"{kind: keep, prefer: wlan}": {Kind: "keep", Prefer: []string{"wlan"}},
		"{prefer: [wlan, lte]}":      {Kind: "preferred", Prefer: []string{"wlan", "lte"}},
		"{threshold: -75.5dBm}":      {Kind: "signal", Threshold: -75.5, Hysteresis: 2, TimeToTrigger: 100 * time.Millisecond},
		"{prefer: lte, threshold: -75dBm, hysteresis: 0dB, time-to-trigger: 0s}": {Kind: "signal", Prefer: []string{"lte"}, Threshold: -75},
	} {
		topology, _, err := Parse("t.yaml", []byte(strings.Replace(base, "POLICY", text, 1)))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := topology.Node("ue").MobileNode.Policy
		if got.Kind != want.Kind || !slices.Equal(got.Prefer, want.Prefer) || got.Threshold != want.Threshold || got.Hysteresis != want.Hysteresis || got.TimeToTrigger != want.TimeToTrigger {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

func FuzzRateTrace(f *testing.F) {
	for _, name := range []string{"bad.trace", "zero.trace", "empty.trace"} {
		data, err := os.ReadFile("testdata/bad/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("1\n2\n3\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		trace, err := ParseRateTrace("t", data)
		if err != nil {
			return
		}
		if !slices.IsSorted(trace.Times) || trace.Length() <= 0 || trace.Mean() < 1 || trace.Mean() > fastest {
			t.Errorf("%v: length %v, mean %d", trace.Times, trace.Length(), trace.Mean())
		}
	})
}

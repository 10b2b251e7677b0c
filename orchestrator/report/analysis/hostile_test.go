package analysis_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report/analysis"
	"s2clab/orchestrator/report/reporttest"
)

var names = []string{
	"run-started", "run-ended", "step-started", "link-attached", "link-detached", "link-changed", "access-chosen", "signal-changed", "node-died", "carrier-gained", "carrier-lost",
	"router-found", "address-configured", "attached", "binding-update-sent", "binding-acknowledged", "binding-refused", "bound", "returned-home",
	"aaa-asked", "flow-started", "flow-samples", "flow-bytes", "flow-responses", "flow-stopped", "packet", "expectation-judged", "link-measured",
	"capture-ended", "events-suppressed", "key-made", "no-such-event",
}

var fieldNames = []string{
	"link", "node", "from", "to", "flow", "samples", "sent", "received", "clock", "message", "fate", "frame", "arrived", "src", "dst", "seq", "status",
	"kind", "size", "home", "auth", "count", "delay", "verdict", "held", "role",
	"nai", "key", "print", "of", "of-prints", "octets", "lifetime", "how", "value",
}

// value is any value that JSON can hold, most often one that fits somewhere.
func value() *rapid.Generator[any] {
	number := rapid.OneOf(rapid.Float64Range(0, 400), rapid.SampledFrom([]float64{0, -1, 1e9, 1e18, -1e300, math.MaxFloat64, 0.5, 144}))
	return rapid.OneOf(
		rapid.Map(rapid.SampledFrom([]string{"", "ue", "pgw", "cn", "lte", "wlan", "wimax", "voice", "dropped", "delivered", "mn-aaa", "binding-update", "mip6a-request", "\x00\xff<script>"}), func(s string) any { return s }),
		rapid.Map(number, func(f float64) any { return f }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.SliceOfN(rapid.SliceOfN(rapid.Map(number, func(f float64) any { return f * 1e6 }), 0, 4), 0, 5), func(s [][]any) any {
			out := []any{}
			for _, one := range s {
				out = append(out, one)
			}
			return out
		}),
		rapid.Just[any](nil),
		rapid.Just[any](map[string]any{"a": []any{}}),
	)
}

func event() *rapid.Generator[journal.Event] {
	return rapid.Custom(func(t *rapid.T) journal.Event {
		return journal.Event{
			At:     time.Duration(rapid.OneOf(rapid.Int64Range(0, 1e10), rapid.Int64()).Draw(t, "at")),
			Node:   rapid.SampledFrom([]string{"", "ue", "pgw", "cn", "aaa", "stranger"}).Draw(t, "node"),
			Name:   rapid.SampledFrom(names).Draw(t, "name"),
			Fields: rapid.MapOfN(rapid.SampledFrom(fieldNames), value(), 0, 8).Draw(t, "fields"),
		}
	})
}

// sound checks what must hold of every analysis.
func sound(t interface{ Fatalf(string, ...any) }, a *analysis.Analysis) {
	for _, h := range a.Handovers {
		if h.End < h.Start {
			t.Fatalf("%s ends at %v before it starts at %v", h.Name(), h.End, h.Start)
		}
		for _, n := range h.Interruptions {
			if n.Length < 0 || n.Bound.Total < 0 || n.Lost < 0 || n.Lost > n.Sent {
				t.Fatalf("%s: %+v", h.Name(), n)
			}
		}
		for _, p := range h.Split {
			if p.Name != analysis.LinkGap && p.Length() < 0 {
				t.Fatalf("%s: %s takes %v", h.Name(), p.Name, p.Length())
			}
		}
	}
	for _, d := range a.Flows {
		if d.Sent < d.Received || d.Lost < 0 || d.Reordered > d.Received {
			t.Fatalf("%s: %+v", d.Name(), d)
		}
	}
	for _, m := range a.Messages {
		if len(m.Hops) == 0 || m.End < m.Start {
			t.Fatalf("message %+v", m)
		}
	}
	depth := -1
	for _, k := range a.Keys {
		if k.Name == "" && k.Told || k.Depth < 0 || k.Depth > depth+1 || k.Told && len(k.Holders) == 0 || k.Lifetime < 0 || k.Octets < 0 {
			t.Fatalf("key %+v below depth %d", k, depth)
		}
		depth = k.Depth
	}
	for measure := range analysis.Measures() {
		values, err := a.Values(analysis.Question{Measure: measure, Percentile: 95})
		if err == nil && len(values) == 0 {
			t.Fatalf("%s: neither a value nor an error", measure)
		}
	}
}

func TestAnyJournalGivesASoundAnalysis(t *testing.T) {
	story := reporttest.Default().Events()
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(event(), 0, 60).Draw(t, "events")
		if rapid.Bool().Draw(t, "mixed with a story") {
			from := rapid.IntRange(0, len(story)).Draw(t, "from")
			to := rapid.IntRange(from, len(story)).Draw(t, "to")
			events = append(events, story[from:to]...)
		}
		sound(t, analysis.Analyze(events, reporttest.Topology()))
		sound(t, analysis.Analyze(events, nil))
	})
}

func FuzzAnalyze(f *testing.F) {
	story := reporttest.Default().Events()
	for _, part := range [][]journal.Event{story[:12], story[60:70], story[len(story)-6:]} {
		raw, err := json.Marshal(part)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	keys := []journal.Event{made(1, "ue", "a", "01", "", "c", "03"), made(2, "ue", "b", "02", "", "a", "01", "c", "03"), made(3, "pgw", "c", "03", "from aaa", "b", "02")}
	raw, err := json.Marshal(keys)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var events []journal.Event
		if json.Unmarshal(raw, &events) != nil {
			return
		}
		sound(t, analysis.Analyze(events, reporttest.Topology()))
	})
}

package analysis_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report/analysis"
	"s2clab/orchestrator/report/reporttest"
)

// happen makes events of a mobile that go with seconds, names and links.
func happen(events ...any) (all []journal.Event) {
	for i := 0; i < len(events); i += 3 {
		at := time.Duration(math.Round(events[i].(float64)*1000)) * ms
		all = append(all, journal.Event{At: at, Node: "ue", Name: events[i+1].(string), Fields: map[string]any{"link": events[i+2]}})
	}
	return all
}

// signalled are the two messages of a binding.
func signalled(at float64, seq int) []journal.Event {
	start := time.Duration(at * float64(time.Second))
	return []journal.Event{
		{At: start, Node: "ue", Name: "binding-update-sent", Fields: map[string]any{"seq": float64(seq), "attempt": 1.0}},
		{At: start + 50*ms, Node: "ue", Name: "binding-acknowledged", Fields: map[string]any{"seq": float64(seq), "status": 0.0}},
	}
}

func movesOf(events ...[]journal.Event) (all []string) {
	for _, h := range analysis.Analyze(slices.Concat(events...), reporttest.Topology()).Handovers {
		text := fmt.Sprintf("%d %s %s-%s at %v, %s, bound %v", h.Number, h.Kind, h.From, h.To, h.Start, h.Outcome, h.Bound.Total)
		for _, p := range h.Split {
			text += fmt.Sprintf(", %s %v", p.Name, p.Length())
		}
		all = append(all, text)
	}
	return all
}

func TestWithAPolicyItsDecisionsMakeTheMoves(t *testing.T) {
	covered := happen(
		0.0, "link-attached", "lte", 0.001, "carrier-gained", "lte", 0.03, "access-chosen", "lte",
		1.0, "link-attached", "wlan", 1.001, "carrier-gained", "wlan", 1.5, "router-found", "wlan", 1.5, "address-configured", "wlan",
	)
	got := movesOf(covered,
		happen(4.0, "access-chosen", "wlan"), signalled(4, 1),
		happen(7.0, "link-detached", "lte", 7.001, "carrier-lost", "lte", 9.0, "link-attached", "wimax", 9.001, "carrier-gained", "wimax"))
	want := []string{
		"0 attach -lte at 0s, overtaken, bound 0s",
		"1 make-before lte-wlan at 4s, completed, bound 0s, link-gap 0s, signalling 50ms",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("make before break (-want +got):\n%s", diff)
	}

	got = movesOf(covered,
		happen(7.0, "link-detached", "lte", 7.001, "carrier-lost", "lte", 7.002, "access-chosen", "wlan"), signalled(7.002, 1),
		happen(8.0, "link-detached", "wlan", 8.001, "carrier-lost", "wlan", 9.0, "link-attached", "lte", 9.001, "carrier-gained", "lte",
			9.05, "router-found", "lte", 9.05, "access-chosen", "lte", 9.1, "returned-home", "lte"))
	want = []string{
		"0 attach -lte at 0s, overtaken, bound 0s",
		"1 move lte-wlan at 7s, completed, bound 26ms, link-gap 0s, signalling 50ms",
		"2 return-home wlan-lte at 8s, completed, bound 1.06s, link-gap 1s, movement-detection 49ms",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("break before make (-want +got):\n%s", diff)
	}
}

// The old link goes while the binding moves: what was left of it is not waited for.
func TestAnOverlapThatIsTooShortIsPartOfTheBound(t *testing.T) {
	got := movesOf(happen(
		0.0, "link-attached", "wimax", 0.001, "carrier-gained", "wimax", 0.03, "access-chosen", "wimax",
		1.0, "link-attached", "wlan", 1.001, "carrier-gained", "wlan", 4.0, "access-chosen", "wlan"), signalled(4, 1),
		happen(4.01, "link-detached", "wimax"))
	if want := "1 make-before wimax-wlan at 4s, completed, bound 16ms, link-gap 0s, signalling 50ms"; len(got) != 2 || got[1] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSignalsAreReadAsTheyWereTold(t *testing.T) {
	level := func(at float64, link string, x any) journal.Event {
		e := journal.Event{At: time.Duration(at * float64(time.Second)), Node: "ue", Name: "signal-changed", Fields: map[string]any{"link": link}}
		if x != nil {
			e.Fields["signal"] = x
		}
		return e
	}
	got := analysis.Analyze([]journal.Event{level(1, "lte", -60.0), level(2, "wlan", -80.0), level(3, "lte", nil), level(4, "lte", 1e9), level(5, "", -1.0)}, reporttest.Topology()).Signals
	want := []analysis.Signal{
		{Node: "ue", Link: "lte", Levels: []analysis.Level{{At: time.Second, Level: -60, Heard: true}, {At: 3 * time.Second}}},
		{Node: "ue", Link: "wlan", Levels: []analysis.Level{{At: 2 * time.Second, Level: -80, Heard: true}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

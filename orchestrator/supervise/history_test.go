package supervise

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"s2clab/nodes/control"
	"s2clab/orchestrator/journal"
)

func TestAHistoryHasWhatHappenedInTimeOfTheLab(t *testing.T) {
	h := newHistory()
	h.take(control.Event{At: h.start + 5e8, Node: "ue", Name: "bound", Fields: map[string]any{"link": "lte"}})
	events, next, lost, changed := h.since(0)
	if len(events) != 1 || next != 1 || lost != 0 || events[0].node != "ue" {
		t.Fatalf("%d events, next %d, %d lost", len(events), next, lost)
	}
	if want := `{"t":0.5,"node":"ue","event":"bound","fields":{"link":"lte"}}`; string(events[0].line) != want {
		t.Errorf("%s, want %s", events[0].line, want)
	}
	h.take(control.Event{Name: "link-changed"})
	select {
	case <-changed:
	default:
		t.Error("who waits is not told that another event has come")
	}
	if events, next, _, _ = h.since(next); len(events) != 1 || next != 2 {
		t.Errorf("then %d events, next %d; want the new one", len(events), next)
	}
}

func TestAHistoryKeepsNoSamplesOfFlows(t *testing.T) {
	h := newHistory()
	h.take(control.Event{Name: "flow-samples"})
	if events, _, _, _ := h.since(0); len(events) != 0 {
		t.Errorf("%s", events[0].line)
	}
}

func TestAHistoryOfNoLabThatStaysKeepsNothing(t *testing.T) {
	(*history)(nil).take(control.Event{Name: "bound"})
}

func TestAHistoryIsBoundedAndSaysWhatItLost(t *testing.T) {
	h := newHistory()
	filling := strings.Repeat("x", 64<<10)
	const all = 3 * historyOctets / (64 << 10)
	for i := range all {
		h.take(control.Event{At: h.start + int64(i), Name: "node-logged", Fields: map[string]any{"text": filling}})
	}
	if h.octets > historyOctets {
		t.Errorf("%d octets, want %d at most", h.octets, historyOctets)
	}
	events, next, lost, _ := h.since(0)
	if lost == 0 || lost+uint64(len(events)) != all || next != all {
		t.Errorf("%d events, %d lost, next %d: want %d in all", len(events), lost, next, all)
	}
	var first journal.Event
	if err := json.Unmarshal(events[0].line, &first); err != nil || uint64(first.At) != lost {
		t.Errorf("the first is of %d, want %d: the oldest go first (%v)", first.At, lost, err)
	}
	if events, _, lost, _ := h.since(next - 1); len(events) != 1 || lost != 0 {
		t.Errorf("who has not fallen behind has lost %d of %d", lost, len(events))
	}
}

func TestAHistoryIsHandedOverInParts(t *testing.T) {
	h := newHistory()
	for i := range mostAtOnce + 1 {
		h.take(control.Event{Name: fmt.Sprint("event-", i)})
	}
	events, next, _, _ := h.since(0)
	if len(events) != mostAtOnce || next != mostAtOnce {
		t.Fatalf("%d events, next %d; want %d", len(events), next, mostAtOnce)
	}
	if events, _, _, _ = h.since(next); len(events) != 1 {
		t.Errorf("then %d events, want the last", len(events))
	}
}

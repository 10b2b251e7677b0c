package analysis_test

import (
	"testing"
	"time"

	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report/analysis"
	"s2clab/orchestrator/report/reporttest"
)

// stream is a flow from cn to ue of one packet each 10 ms, of which those in the
// list arrive, 5 ms after they were sent, or as much later as is said.
func stream(sent int, arrives func(seq int) (late time.Duration, copies int)) (events []journal.Event) {
	var samples []any
	for seq := 1; seq <= sent; seq++ {
		at := time.Duration(seq) * 10 * ms
		late, copies := arrives(seq)
		for i := range copies {
			samples = append(samples, []any{float64(seq), float64(at), float64(at + 5*ms + late + time.Duration(i)*ms)})
		}
	}
	end := time.Duration(sent+20) * 10 * ms
	return []journal.Event{
		{Name: "run-started", Fields: map[string]any{"clock": 0.0}},
		{At: 0, Node: "ue", Name: "link-attached", Fields: map[string]any{"link": "wlan"}},
		{At: 1 * ms, Node: "cn", Name: "flow-started", Fields: map[string]any{"flow": "f", "from": "cn", "to": "ue"}},
		{At: 2000 * ms, Node: "ue", Name: "link-detached", Fields: map[string]any{"link": "wlan"}},
		{At: 2040 * ms, Node: "ue", Name: "link-attached", Fields: map[string]any{"link": "wimax"}},
		{At: 2100 * ms, Node: "ue", Name: "bound", Fields: map[string]any{"link": "wimax"}},
		{At: end - ms, Node: "ue", Name: "flow-samples", Fields: map[string]any{"flow": "f", "samples": samples}},
		{At: end - ms, Node: "cn", Name: "flow-stopped", Fields: map[string]any{"flow": "f", "sent": float64(sent)}},
		{At: end, Name: "run-ended", Fields: map[string]any{"verdict": "held"}},
	}
}

func TestAnInterruptionIsTheLongestGapLessTheSpacing(t *testing.T) {
	a := analysis.Analyze(stream(400, func(seq int) (time.Duration, int) {
		switch {
		case seq > 199 && seq < 211: // eleven are lost
			return 0, 0
		case seq == 50 || seq == 51: // these have nothing to do with the handover
			return 0, 0
		case seq == 212: // it comes twice
			return 0, 2
		case seq == 213: // it comes after the next
			return 15 * ms, 1
		}
		return 0, 1
	}), reporttest.Topology())
	w := a.Handovers[1].Worst()
	if w == nil {
		t.Fatal("no interruption")
	}
	if w.Length != 110*ms || w.Start != 1995*ms || w.End != 2115*ms || w.Spacing != 10*ms || w.Open {
		t.Errorf("%v from %v to %v, spacing %v, open %v", w.Length, w.Start, w.End, w.Spacing, w.Open)
	}
	if w.Lost != 11 {
		t.Errorf("%d lost, want 11", w.Lost)
	}
	if d := a.Flows[0]; d.Lost != 13 || d.Duplicated != 1 || d.Reordered != 1 {
		t.Errorf("flow: %d lost, %d duplicated, %d reordered", d.Lost, d.Duplicated, d.Reordered)
	}
}

func TestASilenceThatNeverEndsIsOpen(t *testing.T) {
	a := analysis.Analyze(stream(400, func(seq int) (time.Duration, int) {
		if seq > 199 {
			return 0, 0
		}
		return 0, 1
	}), reporttest.Topology())
	w := a.Handovers[1].Worst()
	if w == nil || !w.Open || w.Length < 2*time.Second || w.Lost < 190 {
		t.Errorf("got %+v", w)
	}
	if _, ok := w.Excess(); ok {
		t.Error("what never ended has an excess")
	}
	if d := a.Flows[0]; d.Lost != 201 || d.Sent != 400 {
		t.Errorf("flow: %d of %d lost", d.Lost, d.Sent)
	}
}

func TestAFlowThatEndedBeforeOrBeganAfterIsNotInterrupted(t *testing.T) {
	for name, events := range map[string][]journal.Event{
		"before": stream(150, func(int) (time.Duration, int) { return 0, 1 }),
		"after": stream(400, func(seq int) (time.Duration, int) {
			if seq < 250 {
				return 0, 0
			}
			return 0, 1
		}),
	} {
		a := analysis.Analyze(events, reporttest.Topology())
		for _, h := range a.Handovers {
			if len(h.Interruptions) > 0 {
				t.Errorf("%s: %s: %+v", name, h.Name(), h.Interruptions)
			}
		}
	}
}

func TestAFlowOfWhichNothingArrivesIsAllLost(t *testing.T) {
	a := analysis.Analyze(stream(100, func(int) (time.Duration, int) { return 0, 0 }), reporttest.Topology())
	if len(a.Flows) != 1 || a.Flows[0].Lost != 100 || a.Flows[0].To != "ue" {
		t.Errorf("flows: %+v", a.Flows)
	}
}

func TestOctetsOfAStreamMakeItsThroughputAndItsGaps(t *testing.T) {
	var samples []any
	for i := range 300 { // 1 Mbit/s, but for 200 ms
		at := time.Duration(i) * 10 * ms
		if at < 2000*ms || at >= 2200*ms {
			samples = append(samples, []any{float64(at), 1250.0})
		}
	}
	events := stream(0, nil)
	events[6] = journal.Event{At: 3 * time.Second, Node: "ue", Name: "flow-bytes", Fields: map[string]any{"flow": "f", "samples": samples}}
	events[7].At, events[8].At = 3*time.Second, 3100*ms
	a := analysis.Analyze(events, reporttest.Topology())
	d := a.Flows[0]
	if rate, ok := d.Throughput(); !ok || rate < 115e3 || rate > 125e3 || d.Received != 0 || d.Lost != 0 {
		t.Errorf("got %v octets/s, %+v", rate, d)
	}
	if w := a.Handovers[1].Worst(); w == nil || w.Length != 200*ms {
		t.Errorf("got %+v", w)
	}
}

package analysis_test

import (
	"testing"

	"s2clab/orchestrator/report/analysis"
	"s2clab/orchestrator/report/reporttest"
)

func TestDump(t *testing.T) {
	a := analysis.Analyze(reporttest.Judged(reporttest.Default().Events()), reporttest.Topology())
	for _, h := range a.Handovers {
		t.Logf("%d %s %v %v done %v First %v att %d access %+v AAA %d %q", h.Number, h.Name(), h.Kind, h.Outcome, h.Done, h.First, h.Attempts, h.Access, h.AAA, h.Reason)
		for _, p := range h.Split {
			t.Logf("   %s %v", p.Name, p.Length())
		}
		for _, n := range h.Interruptions {
			e, ok := n.Excess()
			t.Logf("   -> %s %v %v..%v lost %d bound %v excess %v %v first %v", n.To, n.Length, n.Start, n.End, n.Lost, n.Bound, e, ok, n.First)
		}
	}
	for _, d := range a.Flows {
		t.Logf("%s sent %d %v rec %d lost %d dup %d re %d delay %v spacing %v %v-%v bins %d", d.Name(), d.Sent, d.SentKnown, d.Received, d.Lost, d.Duplicated, d.Reordered, d.Delay, d.Spacing, d.Start, d.End, len(d.Bins))
	}
	for _, m := range a.Messages {
		t.Logf("%v %s %s>%v %s hops %d h%d", m.Start, m.Name, m.From, m.To, m.Fate, len(m.Hops), m.Handover)
	}
	t.Log(a.Notes, a.Environment)
}

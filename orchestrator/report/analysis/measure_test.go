package analysis_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"s2clab/orchestrator/report/analysis"
	"s2clab/orchestrator/report/reporttest"
)

func TestAQuestionIsAnsweredForAllThatItAllows(t *testing.T) {
	a := read(reporttest.Default())
	for _, c := range []struct {
		q    analysis.Question
		want int
	}{
		{analysis.Question{Measure: "interruption"}, 6},
		{analysis.Question{Measure: "interruption", Nodes: []string{"ue"}, Handover: 2}, 2},
		{analysis.Question{Measure: "interruption", After: 9 * time.Second}, 4},
		{analysis.Question{Measure: "interruption", After: 4 * time.Second, Within: 2 * time.Second}, 2},
		{analysis.Question{Measure: "interruption", Percentile: 95}, 1},
		{analysis.Question{Measure: "excess"}, 6},
		{analysis.Question{Measure: "link-gap"}, 3},
		{analysis.Question{Measure: "movement-detection"}, 4},
		{analysis.Question{Measure: "address-configuration"}, 2},
		{analysis.Question{Measure: "signalling"}, 3},
		{analysis.Question{Measure: "latency", Handover: 1}, 1},
		{analysis.Question{Measure: "first-packet"}, 3},
		{analysis.Question{Measure: "handovers"}, 1},
		{analysis.Question{Measure: "lost"}, 2},
		{analysis.Question{Measure: "loss"}, 2},
		{analysis.Question{Measure: "duplicates", Handover: 1}, 2},
		{analysis.Question{Measure: "reordered"}, 2},
		{analysis.Question{Measure: "delay", Percentile: 99}, 2},
		{analysis.Question{Measure: "delay"}, 4},
		{analysis.Question{Measure: "jitter"}, 2},
		{analysis.Question{Measure: "throughput", Flow: "voice"}, 2},
	} {
		got, err := a.Values(c.q)
		if err != nil || len(got) != c.want {
			t.Errorf("%+v: %d values, %v; want %d", c.q, len(got), err, c.want)
		}
	}
	for _, q := range []analysis.Question{
		{Measure: "interruption", Nodes: []string{"cn2"}},
		{Measure: "interruption", Handover: 9},
		{Measure: "lost", Flow: "video"},
		{Measure: "lost", Flow: "voi"},
		{Measure: "response"},
	} {
		if got, err := a.Values(q); !errors.Is(err, analysis.ErrNothing) {
			t.Errorf("%+v: got %v, %v", q, got, err)
		}
	}
	if _, err := a.Values(analysis.Question{Measure: "beauty"}); err == nil || errors.Is(err, analysis.ErrNothing) {
		t.Errorf("an unknown measure: %v", err)
	}
}

func TestValuesAreInTheUnitAndSayWhereTheyAreFrom(t *testing.T) {
	a := read(reporttest.Default())
	got, err := a.Values(analysis.Question{Measure: "signalling", Handover: 1})
	if err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprintf("%v in %s", got[0], got[0].Of); s != "47.2 ms in ue moves from lte to wlan" {
		t.Error(s)
	}
	if got, _ := a.Values(analysis.Question{Measure: "handovers", Nodes: []string{"ue"}}); got[0].Value != 3 {
		t.Errorf("handovers: %v", got)
	}
	if got, _ := a.Values(analysis.Question{Measure: "throughput"}); got[0].Value < 55e3 || got[0].Value > 65e3 {
		t.Errorf("throughput of 50 packets of 160 octets a second: %v", got)
	}
}

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"s2clab/orchestrator/report/reporttest"
)

// series is one scenario played three times, the last time with another result,
// one that held, and one that could not be played.
func series() *Series {
	s := &Series{}
	for seed := range uint64(3) {
		script := reporttest.Default()
		if seed == 2 {
			script.Stops[1].At += 30 * time.Millisecond
		}
		s.Add(New(Run{Scenario: "lte-wlan-wimax", Seed: 7 + seed, Topology: reporttest.Topology(), Events: reporttest.Judged(script.Events())}), "runs/lte-wlan-wimax")
	}
	s.Add(New(Run{Scenario: "make-before-break", Seed: 1, Topology: reporttest.Topology(), Events: reporttest.MakeBeforeBreak().Events()}), "runs/make-before-break")
	s.AddFailed("ha-restart", 4, "runs/ha-restart", errors.New("the lab has died\n    hint: \x1b[2J"))
	return s
}

func TestASeriesIsToldAsTables(t *testing.T) {
	golden(t, "series.txt", []byte(series().Text(false)))
	if strings.Contains(series().Text(false), "\x1b") {
		t.Error("plain text has colours, or commands the terminal")
	}
}

func TestASeriesIsOneDocument(t *testing.T) {
	var b bytes.Buffer
	if err := series().JSON(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "series.json", b.Bytes())
	var back SeriesResult
	dec := json.NewDecoder(&b)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&back); err != nil {
		t.Fatal(err)
	}
}

func TestASeriesIsAsGoodAsItsWorstRun(t *testing.T) {
	run := func(v Verdict) SeriesRun { return SeriesRun{Verdict: v} }
	for _, c := range []struct {
		runs []SeriesRun
		want Verdict
	}{
		{nil, Held},
		{[]SeriesRun{run(Held), run(Held)}, Held},
		{[]SeriesRun{run(Held), run(Unknown)}, Unknown},
		{[]SeriesRun{run(NotHeld), run(Held), run(Unknown)}, NotHeld},
		{[]SeriesRun{run(Failed), run(NotHeld), run(Held)}, Failed},
	} {
		if got := (&Series{runs: c.runs}).Verdict(); got != c.want {
			t.Errorf("%v: %s, want %s", c.runs, got, c.want)
		}
	}
}

func TestStatisticsAreValuesThatWereMeasured(t *testing.T) {
	s := &Series{}
	for i, lost := range []float64{9, 1, 5, 3, 7, 2, 8, 4, 6, 10} {
		s.runs = append(s.runs, SeriesRun{Scenario: "one", Seed: uint64(i)})
		s.values = append(s.values, value{"one", "", "lost", lost})
	}
	s.runs = append(s.runs, SeriesRun{Scenario: "once"})
	s.values = append(s.values, value{"once", "", "lost", 100})
	want := SeriesStatistics{Scenario: "one", Measure: "lost", Count: 10, Min: 1, P50: 5, P95: 10, Max: 10}
	if got := s.Statistics(); len(got) != 1 || got[0] != want {
		t.Errorf("%+v, want %+v and nothing of what was played once", got, want)
	}
}

package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"s2clab/orchestrator/report/analysis"
)

// A Series is several runs, one after the other: several scenarios, or one again
// and again, or both.
type Series struct {
	runs   []SeriesRun
	values []value // of handovers and runs, in the order in which they came
}

// A SeriesRun is what a Series keeps of one run. docs/results.md says what each
// member means.
type SeriesRun struct {
	Scenario     string         `json:"scenario"`
	Seed         uint64         `json:"seed,omitempty"` // 0: the scenario could not be read
	Folder       string         `json:"folder,omitempty"`
	Verdict      Verdict        `json:"verdict"`
	Failure      string         `json:"failure,omitempty"`
	Expectations int            `json:"expectations"`
	Held         int            `json:"expectations-held"`
	NotHeld      []SeriesBroken `json:"not-held"`
	Handovers    int            `json:"handovers"`
	Completed    int            `json:"handovers-completed"`
	Interruption *seconds       `json:"interruption,omitempty"`
	Open         bool           `json:"open,omitempty"`
	Bound        *seconds       `json:"bound,omitempty"`
	Excess       *seconds       `json:"excess,omitempty"`
	Spacing      *seconds       `json:"spacing,omitempty"` // of the packets that Interruption was seen by
	Lost         int            `json:"lost"`
	Duration     seconds        `json:"duration"`
}

// A SeriesBroken is an expectation that did not hold.
type SeriesBroken struct {
	Expectation string `json:"expectation"`
	Found       string `json:"found,omitempty"`
}

// SeriesStatistics are those of one measure over the runs of a scenario.
type SeriesStatistics struct {
	Scenario string  `json:"scenario"`
	Handover string  `json:"handover,omitempty"` // where from and where to; empty: the longest interruption of each run
	Measure  string  `json:"measure"`            // interruption, excess (seconds), lost (packets)
	Count    int     `json:"count"`              // of values
	Min      float64 `json:"min"`
	P50      float64 `json:"p50"`
	P95      float64 `json:"p95"`
	Max      float64 `json:"max"`
}

// A SeriesResult is a Series as one JSON document.
type SeriesResult struct {
	Format     string             `json:"format"` // s2clab-series
	Version    int                `json:"version"`
	Verdict    Verdict            `json:"verdict"` // the worst
	Held       bool               `json:"held"`
	Verdicts   map[Verdict]int    `json:"verdicts"`
	Runs       []SeriesRun        `json:"runs"`
	Statistics []SeriesStatistics `json:"statistics"`
}

// A value is one that statistics are made of.
type value struct {
	scenario, handover, measure string
	is                          float64
}

// Add takes a run that was played to its end. Its folder is as a person may write
// it.
func (s *Series) Add(r *Report, folder string) {
	run := SeriesRun{
		Scenario: r.Scenario, Seed: r.Seed, Folder: folder, Verdict: r.Outcome(), Failure: r.Failure,
		Expectations: len(r.Expectations), Held: r.held(), NotHeld: []SeriesBroken{}, Duration: inSeconds(r.Duration),
	}
	for _, x := range r.Expectations {
		if !x.Held {
			run.NotHeld = append(run.NotHeld, SeriesBroken{x.What, x.Found})
		}
	}
	_, _, run.Lost = r.totals()
	moves := r.moves()
	run.Handovers = len(moves)
	for _, h := range moves {
		if h.Outcome == analysis.Completed {
			run.Completed++
		}
		if w := h.Worst(); w != nil {
			lost, _, _ := costs(h)
			s.note(r.Scenario, moveName(h), w, lost)
		}
	}
	if _, w := r.worst(); w != nil {
		run.Interruption, run.Spacing, run.Open = optional(w.Length), optional(w.Spacing), w.Open
		if w.Bound.Known {
			run.Bound = optional(w.Bound.Total)
		}
		if e, ok := w.Excess(); ok {
			run.Excess = optional(e)
		}
		s.note(r.Scenario, "", w, run.Lost)
	}
	s.runs = append(s.runs, run)
}

// note takes what statistics are made of.
func (s *Series) note(scenario, handover string, w *analysis.Interruption, lost int) {
	s.values = append(s.values, value{scenario, handover, "interruption", float64(inSeconds(w.Length))})
	if e, ok := w.Excess(); ok {
		s.values = append(s.values, value{scenario, handover, "excess", float64(inSeconds(e))})
	}
	s.values = append(s.values, value{scenario, handover, "lost", float64(lost)})
}

// AddFailed takes a run that could not be played to its end. A folder that is
// empty was never made.
func (s *Series) AddFailed(scenario string, seed uint64, folder string, err error) {
	s.runs = append(s.runs, SeriesRun{Scenario: scenario, Seed: seed, Folder: folder, Verdict: Failed, Failure: err.Error(), NotHeld: []SeriesBroken{}})
}

// Verdict is the worst of all.
func (s *Series) Verdict() Verdict {
	worst := Held
	for _, r := range s.runs {
		if badness(r.Verdict) > badness(worst) {
			worst = r.Verdict
		}
	}
	return worst
}

func badness(v Verdict) int { return slices.Index([]Verdict{Held, Unknown, NotHeld, Failed}, v) }

// repeated says whether a scenario was played several times.
func (s *Series) repeated() bool {
	seen := map[string]bool{}
	for _, r := range s.runs {
		if seen[r.Scenario] {
			return true
		}
		seen[r.Scenario] = true
	}
	return false
}

// Statistics are those of every scenario that was played several times.
func (s *Series) Statistics() []SeriesStatistics {
	played := map[string]int{}
	for _, r := range s.runs {
		played[r.Scenario]++
	}
	all := []SeriesStatistics{}
	place := map[value]int{} // in all, by what a value is of
	numbers := map[int][]float64{}
	for _, v := range s.values {
		if played[v.scenario] < 2 {
			continue
		}
		number := v.is
		v.is = 0
		at, known := place[v]
		if !known {
			at = len(all)
			place[v] = at
			all = append(all, SeriesStatistics{Scenario: v.scenario, Handover: v.handover, Measure: v.measure})
		}
		numbers[at] = append(numbers[at], number)
	}
	for i := range all {
		n := numbers[i]
		slices.Sort(n)
		all[i].Count, all[i].Min, all[i].P50, all[i].P95, all[i].Max = len(n), n[0], rank(n, 50), rank(n, 95), n[len(n)-1]
	}
	slices.SortStableFunc(all, func(a, b SeriesStatistics) int { // the whole runs last
		return cmp.Or(cmp.Compare(a.Scenario, b.Scenario), whole(a)-whole(b))
	})
	return all
}

func whole(s SeriesStatistics) int {
	if s.Handover == "" {
		return 1
	}
	return 0
}

// rank is the p-th percentile of sorted numbers, by nearest rank.
func rank(sorted []float64, p int) float64 { return sorted[max((len(sorted)*p+99)/100-1, 0)] }

// JSON writes the series as one document.
func (s *Series) JSON(w io.Writer) error {
	out := SeriesResult{
		Format: "s2clab-series", Version: 1, Verdict: s.Verdict(), Held: badness(s.Verdict()) < badness(NotHeld),
		Verdicts: map[Verdict]int{}, Runs: append([]SeriesRun{}, s.runs...), Statistics: s.Statistics(),
	}
	for _, r := range s.runs {
		out.Verdicts[r.Verdict]++
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

// spoken are verdicts as tables have them.
var spoken = map[Verdict]string{Held: "held", NotHeld: "not held", Failed: "could not run", Unknown: "not judged"}

// Text tells the series on a terminal: a row a run, statistics of what was played
// several times, what did not hold, and what it came to.
func (s *Series) Text(colour bool) string {
	p := &printer{colour: colour}
	p.series(s)
	p.statistics(s)
	for _, r := range s.runs {
		name := r.Scenario
		if r.Seed != 0 {
			name += ", seed " + r.seed()
		}
		if r.Verdict == Failed {
			p.b.WriteString(p.paint(red, "could not run: ") + printable(fmt.Sprintf("%s: %s", name, cmp.Or(r.Failure, "it does not say why"))) + "\n")
		}
		for _, x := range r.NotHeld {
			p.b.WriteString(p.paint(red, "not held: ") + printable(fmt.Sprintf("%s: %s: %s", name, x.Expectation, cmp.Or(x.Found, "nothing was found"))) + "\n")
		}
	}
	if badness(s.Verdict()) >= badness(NotHeld) {
		p.linef("")
	}
	count := map[Verdict]int{}
	for _, r := range s.runs {
		count[r.Verdict]++
	}
	if n := len(s.runs); count[NotHeld]+count[Failed] == 0 {
		p.b.WriteString(p.paint(green, fmt.Sprintf("held: all %d runs", n)))
	} else {
		text := fmt.Sprintf("%d of %d runs held", count[Held]+count[Unknown], n)
		for _, v := range []Verdict{NotHeld, Failed} {
			if count[v] > 0 {
				text += fmt.Sprintf(", %d %s", count[v], spoken[v])
			}
		}
		p.b.WriteString(p.paint(red, text))
	}
	p.b.WriteByte('\n')
	return p.b.String()
}

func (r SeriesRun) seed() string {
	if r.Seed == 0 {
		return "-"
	}
	return fmt.Sprint(r.Seed)
}

// series prints a row a run.
func (p *printer) series(s *Series) {
	head := []string{"scenario", "seed", "verdict", "expected", "handovers", "silence", "bound", "excess", "±", "lost", "length", "report"}
	t := table{head: head, left: map[int]bool{0: true, 2: true, len(head) - 1: true}}
	for _, r := range s.runs {
		row := []string{r.Scenario, r.seed(), spoken[r.Verdict], "-", "-", "-", "-", "-", "-", "-", "-", "-"}
		if r.Verdict != Failed {
			length := time.Duration(float64(r.Duration) * float64(time.Second))
			row = append(row[:3], fmt.Sprintf("%d/%d", r.Held, r.Expectations), fmt.Sprintf("%d/%d", r.Completed, r.Handovers), inMilliseconds(r.Interruption), inMilliseconds(r.Bound), inMilliseconds(r.Excess), inMilliseconds(r.within()),
				fmt.Sprint(r.Lost), fmt.Sprintf("%.1f s", length.Seconds()), r.Folder+"/report.html")
			if r.Open {
				row[5] = ">" + row[5]
			}
		} else if r.Folder != "" {
			row[len(row)-1] = r.Folder
		}
		t.rows = append(t.rows, row)
	}
	p.table(&t)
	p.b.WriteString(p.paint(dim, "  silence, bound and excess in ms: of each run's longest interruption, seen as finely as the flow's packets are apart (±)") + "\n\n")
}

// within is how exact Excess is; nil: there is none.
func (r SeriesRun) within() *seconds {
	if r.Excess == nil {
		return nil
	}
	return r.Spacing
}

func inMilliseconds(s *seconds) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", 1000*float64(*s))
}

// statistics prints a row a measure.
func (p *printer) statistics(s *Series) {
	if !s.repeated() {
		return
	}
	t := table{head: []string{"scenario", "handover", "", "values", "median", "95 %", "least", "most"}, left: map[int]bool{0: true, 1: true, 2: true}}
	for _, one := range s.Statistics() {
		unit, factor, digits := " ms", 1000.0, 1
		if one.Measure == "lost" {
			unit, factor, digits = "", 1, 0
		}
		row := []string{one.Scenario, cmp.Or(one.Handover, "longest of a run"), one.Measure + unit, fmt.Sprint(one.Count)}
		if one.Handover == "" && one.Measure == "lost" {
			row[1] = "whole run"
		}
		for _, v := range []float64{one.P50, one.P95, one.Min, one.Max} {
			row = append(row, fmt.Sprintf("%.*f", digits, math.Round(v*factor*10)/10))
		}
		t.rows = append(t.rows, row)
	}
	if t.rows == nil {
		return
	}
	p.table(&t)
	p.linef("")
}

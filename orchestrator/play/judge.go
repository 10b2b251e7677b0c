package play

import (
	"fmt"
	"slices"
	"time"

	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report/analysis"
	"s2clab/scenarios"
)

// A Verdict is how one expectation was judged.
type Verdict struct {
	Expectation *scenarios.Expectation
	Held        bool
	Found       string // what was found, in words
	Evidence    []journal.Event
}

// Judge judges what the scenario expects against all that was seen, and tells
// each verdict. It says whether all of them held.
func (p *Player) Judge() (verdicts []Verdict, held bool) {
	events := slices.Clone(p.watch.all())
	slices.SortStableFunc(events, func(a, b journal.Event) int { return int(a.At - b.At) })
	reading := analysis.Analyze(events, p.scenario.Topology)
	held = true
	for i := range p.scenario.Expect {
		v := judge(&p.scenario.Expect[i], events, reading)
		held = held && v.Held
		verdicts = append(verdicts, v)
		p.say("expectation-judged", "", v.fields())
	}
	return verdicts, held
}

func (v *Verdict) fields() map[string]any {
	f := map[string]any{"expectation": v.Expectation.Text, "held": v.Held, "found": v.Found, "line": v.Expectation.Line}
	if v.Expectation.Note != "" {
		f["note"] = v.Expectation.Note
	}
	const shown = 10
	var evidence []any
	for _, e := range v.Evidence[:min(len(v.Evidence), shown)] {
		evidence = append(evidence, fmt.Sprintf("%.6f s %s", e.At.Seconds(), inWords(e)))
	}
	if evidence != nil {
		f["evidence"] = evidence
	}
	return f
}

// inWords names an event shortly: where it happened, and which it is.
func inWords(e journal.Event) string {
	if message, ok := e.Fields["message"].(string); ok && e.Name == "packet" {
		return fmt.Sprintf("%v on %v from %v", message, e.Fields["link"], e.Fields["from"])
	}
	if e.Node == "" {
		return e.Name
	}
	return e.Name + " in " + e.Node
}

func judge(x *scenarios.Expectation, events []journal.Event, a *analysis.Analysis) Verdict {
	v := Verdict{Expectation: x}
	switch x.Kind {
	case "measure":
		v.measured(a)
		return v
	case "order":
		v.ordered(events)
		return v
	}
	var at []time.Duration
	for _, e := range events {
		if inTime(x, e.At) && x.Pattern.Matches(e.Node, e.Name, e.Fields) {
			v.Evidence = append(v.Evidence, e)
			at = append(at, e.At)
		}
	}
	switch x.Kind {
	case "saw":
		v.Held = len(at) > 0
	case "never":
		v.Held = len(at) == 0
	case "count":
		v.Held = x.Bounds.Hold(float64(len(at)))
	default:
		panic("play: no rule for expectation " + x.Kind)
	}
	switch {
	case len(at) == 0:
		v.Found = "none"
	case len(at) == 1:
		v.Found = fmt.Sprintf("1, at %.3f s", at[0].Seconds())
	default:
		v.Found = fmt.Sprintf("%d, the first at %.3f s, the last at %.3f s", len(at), at[0].Seconds(), at[len(at)-1].Seconds())
	}
	return v
}

// inTime says whether an expectation is about that time.
func inTime(x *scenarios.Expectation, at time.Duration) bool {
	return at >= x.After && (x.Within == 0 || at <= x.After+x.Within)
}

// ordered looks for the patterns one after another.
func (v *Verdict) ordered(events []journal.Event) {
	x := v.Expectation
	for _, e := range events {
		next := len(v.Evidence)
		if next < len(x.Order) && inTime(x, e.At) && x.Order[next].Matches(e.Node, e.Name, e.Fields) {
			v.Evidence = append(v.Evidence, e)
		}
	}
	found := len(v.Evidence)
	v.Held = found == len(x.Order)
	switch {
	case v.Held:
		v.Found = "all, in that order"
	case found == 0:
		v.Found = fmt.Sprintf("no %s", x.Order[0].Name)
	default:
		v.Found = fmt.Sprintf("no %s after %s at %.3f s", x.Order[found].Name, x.Order[found-1].Name, v.Evidence[found-1].At.Seconds())
	}
}

// measured holds each value of a measure to the bounds, or their percentile.
func (v *Verdict) measured(a *analysis.Analysis) {
	x := v.Expectation
	m := x.Measure
	values, err := a.Values(analysis.Question{
		Measure: m.Name, Nodes: m.Nodes, Flow: m.Flow, Handover: m.Handover,
		After: x.After, Within: x.Within, Percentile: m.Percentile,
	})
	if err != nil {
		v.Found = err.Error()
		return
	}
	v.Held = true
	worst := -1
	for i, value := range values {
		if holds := x.Bounds.Hold(value.Value); !holds || worst < 0 {
			if worst < 0 || v.Held || further(x.Bounds, value.Value, values[worst].Value) {
				worst = i
			}
			v.Held = v.Held && holds
		} else if v.Held && further(x.Bounds, value.Value, values[worst].Value) {
			worst = i
		}
	}
	v.Found = fmt.Sprintf("%v in %s", values[worst], values[worst].Of)
	if len(values) > 1 {
		v.Found += fmt.Sprintf(", the furthest of %d", len(values))
	}
}

// further says whether x is nearer to breaking the bounds than y, or has broken
// them by more.
func further(b scenarios.Bounds, x, y float64) bool {
	if b.Most != nil {
		return x > y
	}
	return x < y
}

package analysis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrNothing says that the run gave nothing to measure.
var ErrNothing = errors.New("nothing to measure")

// A Unit is what a measure is counted in.
type Unit string

// The units of measures.
const (
	Seconds Unit = "s"
	Count   Unit = ""
	BitRate Unit = "bit/s"
)

// A MeasureKind is one that a scenario can name.
type MeasureKind struct {
	Name  string
	Unit  Unit
	Means string
}

// Measures are all that Measure knows.
var Measures = []MeasureKind{
	{"interruption", Seconds, "the longest silence in a handover, less the flow's regular spacing"},
	{"excess", Seconds, "how far an interruption was above what physics and the protocol's round trips set"},
	{"signalling-latency", Seconds, "from the first Binding Update of a handover until it was acknowledged"},
	{"handover-count", Count, "handovers that were completed; the first attachment is none"},
	{"lost", Count, "packets sent that never arrived; of a handover, those it cost"},
	{"duplicates", Count, "further copies of packets that had arrived"},
	{"reordered", Count, "packets that arrived after a later one"},
	{"delay-p50", Seconds, "one-way delay, median"},
	{"delay-p95", Seconds, "one-way delay, 95th percentile"},
	{"delay-p99", Seconds, "one-way delay, 99th percentile"},
	{"throughput", BitRate, "payload that arrived, from the first packet until the last"},
}

// A Question is what to measure, and of what. The zero value of each field but
// Measure means all.
type Question struct {
	Measure  string
	Node     string        // the mobile node; of a flow measure, either end
	Flow     string        // name
	To       string        // the node that receives
	Handover int           // Number; the flow measures lost, duplicates and reordered then count what it cost
	Link     string        // handovers to this link
	After    time.Duration // handovers that began then or later
	Before   time.Duration // handovers that began earlier; zero: all
}

// A Value is an answer: of all that the Question allows, the largest length of
// time, the sum of counts, the smallest throughput.
type Value struct {
	Value float64
	Unit  Unit
	Of    string        // what it was found in, in words
	At    time.Duration // where in the run that began
}

func (v Value) String() string {
	switch v.Unit {
	case Seconds:
		return fmt.Sprintf("%.1f ms", v.Value*1000)
	case BitRate:
		return fmt.Sprintf("%.0f kbit/s", v.Value/1000)
	}
	return fmt.Sprintf("%.0f", v.Value)
}

// Measure answers a Question. It fails with ErrNothing where the run holds
// nothing to measure; an interruption that never ended counts with what was seen
// of it.
func (a *Analysis) Measure(q Question) (Value, error) {
	i := slices.IndexFunc(Measures, func(k MeasureKind) bool { return k.Name == q.Measure })
	if i < 0 {
		return Value{}, fmt.Errorf("%q is not a measure", q.Measure)
	}
	best := Value{Unit: Measures[i].Unit}
	found := false
	most := func(value float64, of string, at time.Duration) {
		if !found || value > best.Value {
			best.Value, best.Of, best.At = value, of, at
		}
		found = true
	}
	sum := func(n int, of string, at time.Duration) {
		best.Value += float64(n)
		switch {
		case !found:
			best.Of, best.At = of, at
		case n > 0 && !strings.Contains(best.Of, of):
			best.Of += ", " + of
		}
		found = true
	}

	perFlow := strings.HasPrefix(q.Measure, "delay-") || q.Measure == "throughput"
	counts := q.Measure == "lost" || q.Measure == "duplicates" || q.Measure == "reordered"
	ofHandover := q.Handover != 0 || q.Link != "" || q.After != 0 || q.Before != 0
	if perFlow || counts && !ofHandover {
		for i := range a.Flows {
			d := &a.Flows[i]
			if q.Flow != "" && d.Flow != q.Flow || q.To != "" && d.To != q.To || q.Node != "" && !d.Has(q.Node) {
				continue
			}
			of := d.Name()
			switch q.Measure {
			case "lost":
				sum(d.Lost, of, d.Start)
			case "duplicates":
				sum(d.Duplicated, of, d.Start)
			case "reordered":
				sum(d.Reordered, of, d.Start)
			case "throughput":
				if rate, ok := d.Throughput(); ok && (!found || rate*8 < best.Value) {
					best.Value, best.Of, best.At, found = rate*8, of, d.Start, true
				}
			default:
				if d.Received > 0 {
					most(map[string]time.Duration{"delay-p50": d.Delay.P50, "delay-p95": d.Delay.P95, "delay-p99": d.Delay.P99}[q.Measure].Seconds(), of, d.Start)
				}
			}
		}
		return best.or(found, q)
	}

	for i := range a.Handovers {
		h := &a.Handovers[i]
		if q.Node != "" && h.Node != q.Node || q.Handover != 0 && h.Number != q.Handover || q.Link != "" && h.To != q.Link ||
			h.Start < q.After || q.Before != 0 && h.Start >= q.Before {
			continue
		}
		switch q.Measure {
		case "handover-count":
			found = true
			if h.Kind != Attach && h.Outcome == Completed {
				sum(1, h.Name(), h.Start)
			}
			continue
		case "signalling-latency":
			if p, ok := h.Phase(Signalling); ok {
				most(p.Length().Seconds(), h.Name(), h.Start)
			}
			continue
		}
		for _, n := range h.Interruptions {
			if q.Flow != "" && n.Flow != q.Flow || q.To != "" && n.To != q.To || h.Kind == Attach {
				continue
			}
			of := fmt.Sprintf("%s, towards %s", h.Name(), n.To)
			switch q.Measure {
			case "interruption":
				most(n.Length.Seconds(), of, n.Start)
			case "excess":
				if e, ok := n.Excess(); ok {
					most(e.Seconds(), of, n.Start)
				}
			case "lost":
				sum(n.Lost, of, n.Start)
			case "duplicates":
				sum(n.Duplicated, of, n.Start)
			case "reordered":
				sum(n.Reordered, of, n.Start)
			}
		}
	}
	if q.Measure == "handover-count" {
		found = true // none is a count
	}
	return best.or(found, q)
}

// or gives a value that was found.
func (v Value) or(found bool, q Question) (Value, error) {
	if !found {
		return Value{}, fmt.Errorf("%s: %w", q.Measure, ErrNothing)
	}
	return v, nil
}

// Name says which handover it is, in words.
func (h *Handover) Name() string {
	switch h.Kind {
	case Attach:
		return fmt.Sprintf("%s attaches to %s", h.Node, h.To)
	case Again:
		return fmt.Sprintf("%s comes back to %s", h.Node, h.To)
	case Return:
		return fmt.Sprintf("%s returns home from %s to %s", h.Node, h.From, h.To)
	}
	return fmt.Sprintf("%s moves from %s to %s", h.Node, h.From, h.To)
}

// Name says which direction it is, in words.
func (d *Direction) Name() string {
	from := d.From
	if from == "" {
		from = "?"
	}
	return fmt.Sprintf("%s, %s to %s", d.Flow, from, d.To)
}

package analysis

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// ErrNothing says that the run gave nothing to measure.
var ErrNothing = errors.New("there was nothing to measure")

// A Question is what to measure, and of what. The zero value of each field but
// Measure means all.
type Question struct {
	Measure    string   // one of the names that Measures gives
	Nodes      []string // mobile nodes; of a flow, either end
	Flow       string   // a flow, or the traffic that it is of
	Handover   int      // Number among those of its mobile, the attach not counted
	After      time.Duration
	Within     time.Duration // after After; zero: until the end
	Percentile float64       // of all values: 0 to 100; zero: each of them
}

// A Value is one answer.
type Value struct {
	Value float64       // in Unit
	Unit  string        // seconds, count, share, bit/s: as scenarios has them
	Of    string        // what it was found in, in words
	At    time.Duration // where in the run that began
}

func (v Value) String() string {
	switch v.Unit {
	case "seconds":
		return fmt.Sprintf("%.1f ms", v.Value*1000)
	case "bit/s":
		return fmt.Sprintf("%.1f kbit/s", v.Value/1000)
	case "share":
		return fmt.Sprintf("%.2f %%", v.Value*100)
	}
	return fmt.Sprintf("%.0f", v.Value)
}

// Measures gives the name of each measure and its unit.
func Measures() map[string]string {
	return map[string]string{
		"interruption": "seconds", "excess": "seconds", "silence": "seconds",
		LinkGap: "seconds", AccessAuthentication: "seconds", MovementDetection: "seconds", AddressConfiguration: "seconds", Bootstrapping: "seconds", Signalling: "seconds", FirstPacket: "seconds", "latency": "seconds",
		"handovers": "count", "lost": "count", "loss": "share", "duplicates": "count", "reordered": "count", "corrupted": "count",
		"delay": "seconds", "jitter": "seconds", "throughput": "bit/s", "response": "seconds",
	}
}

// Values answers a Question: a value for each handover, for each direction of a
// flow, or for each of both, as the measure is one of these. It fails with
// ErrNothing where the run holds none. An interruption that never ended counts
// with what was seen of it.
func (a *Analysis) Values(q Question) ([]Value, error) {
	unit, known := Measures()[q.Measure]
	if !known {
		return nil, fmt.Errorf("%q is not a measure", q.Measure)
	}
	m := &measuring{Analysis: a, q: q}
	switch q.Measure {
	case "handovers":
		m.handovers()
	case "delay", "jitter", "throughput", "response", "corrupted", "silence":
		m.flows()
	case "lost", "loss", "duplicates", "reordered":
		if q.Handover != 0 || q.After != 0 || q.Within != 0 {
			m.interruptions()
		} else {
			m.flows()
		}
	case "interruption", "excess":
		m.interruptions()
	default:
		m.phases()
	}
	if len(m.values) == 0 {
		return nil, fmt.Errorf("%s: %w", q.Measure, ErrNothing)
	}
	for i := range m.values {
		m.values[i].Unit = unit
	}
	if q.Percentile > 0 && q.Measure != "delay" && q.Measure != "response" {
		slices.SortStableFunc(m.values, func(a, b Value) int { return cmp.Compare(a.Value, b.Value) })
		at := m.values[position(len(m.values), q.Percentile)]
		at.Of = fmt.Sprintf("%s, percentile %g of %d", at.Of, q.Percentile, len(m.values))
		return []Value{at}, nil
	}
	return m.values, nil
}

// position is where the p-th percentile is among n sorted values.
func position(n int, p float64) int {
	return min(max(int(math.Ceil(float64(n)*p/100))-1, 0), n-1)
}

type measuring struct {
	*Analysis
	q      Question
	values []Value
}

func (m *measuring) add(value float64, of string, at time.Duration) {
	m.values = append(m.values, Value{Value: value, Of: of, At: at})
}

func (m *measuring) wants(nodes ...string) bool {
	return m.q.Nodes == nil || slices.ContainsFunc(nodes, func(n string) bool { return slices.Contains(m.q.Nodes, n) })
}

// inTime says whether what began then is asked for.
func (m *measuring) inTime(at time.Duration) bool {
	return at >= m.q.After && (m.q.Within == 0 || at <= m.q.After+m.q.Within)
}

// isOf says whether a direction is one of the flow, or of the traffic, asked for.
func (m *measuring) isOf(flow, from, to string) bool {
	rest, cut := strings.CutPrefix(flow, m.q.Flow)
	return m.q.Flow == "" || cut && (rest == "" || strings.HasPrefix(rest, "-"+from) || strings.HasPrefix(rest, "-"+to))
}

// each calls f for each handover that is asked for. Attachments are none, except
// to those who ask about phases.
func (m *measuring) each(attaches bool, f func(h *Handover)) {
	nth := map[string]int{}
	for i := range m.Handovers {
		h := &m.Handovers[i]
		if h.Kind != Attach {
			nth[h.Node]++
		}
		switch {
		case !m.wants(h.Node) || !m.inTime(h.Start) || h.Kind == Attach && !attaches:
		case m.q.Handover != 0 && (h.Kind == Attach || nth[h.Node] != m.q.Handover):
		default:
			f(h)
		}
	}
}

// handovers counts them, mobile by mobile.
func (m *measuring) handovers() {
	var nodes []string
	for i := range m.Handovers {
		if n := m.Handovers[i].Node; !slices.Contains(nodes, n) && m.wants(n) {
			nodes = append(nodes, n)
		}
	}
	for _, n := range m.q.Nodes {
		if !slices.Contains(nodes, n) {
			nodes = append(nodes, n)
		}
	}
	for _, n := range nodes {
		count := 0
		m.each(false, func(h *Handover) {
			if h.Node == n && h.Outcome == Completed {
				count++
			}
		})
		m.add(float64(count), n, 0)
	}
}

func (m *measuring) phases() {
	name := m.q.Measure
	if name == "latency" {
		name = Signalling
	}
	m.each(true, func(h *Handover) {
		if p, ok := h.Phase(name); ok {
			m.add(p.Length().Seconds(), h.Name(), p.Start)
		}
	})
}

func (m *measuring) interruptions() {
	m.each(false, func(h *Handover) {
		for i := range h.Interruptions {
			n := &h.Interruptions[i]
			if !m.isOf(n.Flow, n.From, n.To) {
				continue
			}
			of := fmt.Sprintf("%s, %s towards %s", h.Name(), n.Flow, n.To)
			switch m.q.Measure {
			case "interruption":
				m.add(n.Length.Seconds(), of, n.Start)
			case "excess":
				if e, ok := n.Excess(); ok {
					m.add(e.Seconds(), of, n.Start)
				}
			case "lost":
				m.add(float64(n.Lost), of, n.Start)
			case "loss":
				if n.Sent > 0 {
					m.add(float64(n.Lost)/float64(n.Sent), of, n.Start)
				}
			case "duplicates":
				m.add(float64(n.Duplicated), of, n.Start)
			case "reordered":
				m.add(float64(n.Reordered), of, n.Start)
			}
		}
	})
}

func (m *measuring) flows() {
	for i := range m.Flows {
		d := &m.Flows[i]
		if !m.isOf(d.Flow, d.From, d.To) || !m.wants(d.From, d.To) {
			continue
		}
		of := d.Name()
		switch m.q.Measure {
		case "lost":
			m.add(float64(d.Lost), of, d.Start)
		case "loss":
			if d.Sent > 0 {
				m.add(float64(d.Lost)/float64(d.Sent), of, d.Start)
			}
		case "duplicates":
			m.add(float64(d.Duplicated), of, d.Start)
		case "reordered":
			m.add(float64(d.Reordered), of, d.Start)
		case "corrupted":
			m.add(float64(d.Corrupted), of, d.Start)
		case "silence":
			if longest, at, ok := d.silence(m.inTime); ok {
				m.add(longest.Seconds(), of, at)
			}
		case "throughput":
			if rate, ok := d.Throughput(); ok {
				m.add(rate*8, of, d.Start)
			}
		case "jitter":
			if d.Received > 1 {
				m.add(d.Jitter.Seconds(), of, d.Start)
			}
		default:
			if d.Received == 0 || (d.Kind == "request") != (m.q.Measure == "response") {
				continue
			}
			if m.q.Percentile > 0 {
				m.add(d.DelayAt(m.q.Percentile).Seconds(), fmt.Sprintf("%s, percentile %g", of, m.q.Percentile), d.Start)
				continue
			}
			m.add(d.Delay.Min.Seconds(), of+", the shortest", d.Start) // between these two lie all
			m.add(d.Delay.Max.Seconds(), of+", the longest", d.Start)
		}
	}
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

// silence is the longest time between two packets as they arrived, of those that
// begin when they are asked for.
func (d *Direction) silence(asked func(time.Duration) bool) (longest, at time.Duration, ok bool) {
	for i := 1; i < len(d.samples); i++ {
		from, to := d.samples[i-1].received, d.samples[i].received
		if asked(from) && to-from >= longest {
			longest, at, ok = to-from, from, true
		}
	}
	return longest, at, ok
}

// Name says which direction it is, in words.
func (d *Direction) Name() string {
	return fmt.Sprintf("%s, %s to %s", d.Flow, cmp.Or(d.From, "?"), d.To)
}

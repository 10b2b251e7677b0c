// Package report writes what a run showed: a page for people, result.json and
// junit.xml for programs, and a table for the terminal. docs/results.md says what
// is in the files.
//
// What there is to say is computed in orchestrator/report/analysis; this package
// only puts it into words, pictures and formats. It judges nothing.
package report

import (
	"cmp"
	"fmt"
	"time"

	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report/analysis"
	"s2clab/topologies"
)

// A Run is what a report is made from.
type Run struct {
	ID          string // the name of its folder
	Scenario    string
	Description string
	Seed        uint64
	Started     time.Time // zero: unknown
	Program     string    // the version that played it
	Topology    *topologies.Topology
	Events      []journal.Event
	Picture     []byte // of the topology, SVG; nil: none
}

// A Report is a run, read.
type Report struct {
	Run
	*analysis.Analysis
}

// New reads a run.
func New(r Run) *Report {
	if r.Topology == nil {
		r.Topology = &topologies.Topology{}
	}
	return &Report{Run: r, Analysis: analysis.Analyze(r.Events, r.Topology)}
}

// A Verdict is what a run came to.
type Verdict string

// The verdicts.
const (
	Held    Verdict = "held"     // all that was expected
	NotHeld Verdict = "not-held" // something did not
	Failed  Verdict = "failed"   // the run could not be played to its end
	Unknown Verdict = "unknown"  // nobody judged it
)

// Outcome is what the run came to: what its end says, and where there is none,
// what can be said without.
func (r *Report) Outcome() Verdict {
	switch v := Verdict(r.Verdict); {
	case v == Held && r.held() < len(r.Expectations):
		return NotHeld
	case v == Held || v == NotHeld || v == Failed:
		return v
	case !r.Ended:
		return Failed
	case len(r.Expectations) == 0:
		return Unknown
	case r.held() == len(r.Expectations):
		return Held
	}
	return NotHeld
}

func (r *Report) held() int {
	n := 0
	for _, x := range r.Expectations {
		if x.Held {
			n++
		}
	}
	return n
}

// milliseconds prints a length of time as numbers in tables are printed.
func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond))
}

// length prints a length of time with its unit: 98.2 ms, 1.53 s.
func length(d time.Duration) string {
	switch abs := d.Abs(); {
	case abs < 10*time.Millisecond && abs%time.Millisecond != 0:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	case abs < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	case abs < 100*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// many prints a number of things: 1 packet, 3 packets, no packets.
func many(n int, one, more string) string {
	switch n {
	case 0:
		return "no " + more
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%s %s", thousands(int64(n)), more)
}

// thousands prints a number with its digits in groups of three.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	from := 0
	if n < 0 {
		from = 1
	}
	for i := len(s) - 3; i > from; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// totals adds up all flows of packets.
func (r *Report) totals() (sent, received, lost int) {
	for i := range r.Flows {
		if r.Flows[i].Kind == "bulk" {
			continue // octets
		}
		sent += r.Flows[i].Sent
		received += r.Flows[i].Received
		lost += r.Flows[i].Lost
	}
	return sent, received, lost
}

// moves are the handovers that are not the first attachment.
func (r *Report) moves() []*analysis.Handover {
	var all []*analysis.Handover
	for i := range r.Handovers {
		if r.Handovers[i].Kind != analysis.Attach {
			all = append(all, &r.Handovers[i])
		}
	}
	return all
}

// worst is the longest interruption of the run, and its handover.
func (r *Report) worst() (h *analysis.Handover, n *analysis.Interruption) {
	for _, m := range r.moves() {
		if w := m.Worst(); w != nil && (n == nil || w.Length > n.Length) {
			h, n = m, w
		}
	}
	return h, n
}

// Summary tells the run in a few sentences.
func (r *Report) Summary() []string {
	var all []string
	moves := r.moves()
	mobiles := map[string]bool{}
	completed := 0
	for _, m := range moves {
		mobiles[m.Node] = true
		if m.Outcome == analysis.Completed {
			completed++
		}
	}
	switch {
	case len(moves) == 0 && len(r.Handovers) == 0:
		all = append(all, "No mobile node attached to any link.")
	case len(moves) == 0:
		all = append(all, fmt.Sprintf("%s and did not move.", r.Handovers[0].Name()))
	case len(mobiles) == 1:
		all = append(all, fmt.Sprintf("%s changed its access %s in %s.", moves[0].Node, times(len(moves)), length(r.Duration)))
	default:
		all = append(all, fmt.Sprintf("%d mobile nodes changed their access %s in %s.", len(mobiles), times(len(moves)), length(r.Duration)))
	}
	if failed := len(moves) - completed; failed > 0 {
		all = append(all, fmt.Sprintf("%d of these handovers %s not completed.", failed, was(failed)))
	}
	h, n := r.worst()
	apart, stopped := r.LongestApart()
	stopped = stopped && apart.Length > 5*apart.Spacing && (n == nil || !n.Open && apart.Length > n.Length)
	if n != nil {
		of := ""
		if stopped {
			of = " of a handover"
		}
		switch {
		case unheard(n):
			all = append(all, "No handover made a silence that could be told from the flow's own rhythm.")
		case n.Open:
			all = append(all, fmt.Sprintf("When %s, traffic towards %s stopped and did not come back in the %s until it ended.", h.Name(), n.To, length(n.Length)))
		default:
			all = append(all, fmt.Sprintf("The longest silence%s was %s, towards %s, when %s.", of, length(n.Length), n.To, h.Name()))
		}
		if e, ok := n.Excess(); ok && !n.Open && !unheard(n) {
			all = append(all, boundSentence(n, e))
		}
	}
	if stopped {
		all = append(all, fmt.Sprintf("Apart from handovers, nothing arrived towards %s for %s from %.3f s on.", apart.To, length(apart.Length), apart.Start.Seconds()))
	}
	if sent, _, lost := r.totals(); sent > 0 {
		all = append(all, fmt.Sprintf("Of %s, %s lost.", many(sent, "packet", "packets"), share(lost, sent)))
	}
	for _, d := range r.Deaths {
		all = append(all, fmt.Sprintf("Node %s died at %.3f s: %s.", d.Node, d.At.Seconds(), cmp.Or(d.Exit, "it does not say why")))
	}
	return all
}

// unheard says whether an interruption is so short that it is only how the
// flow's packets jitter.
func unheard(n *analysis.Interruption) bool { return !n.Open && n.Length < n.Spacing/10 }

func boundSentence(n *analysis.Interruption, excess time.Duration) string {
	bound := fmt.Sprintf("%s of that were set by the links and by what the protocol needs", length(n.Bound.Total))
	if excess.Abs() <= n.Spacing {
		return fmt.Sprintf("%s; what is beyond is less than the %s between two packets can show.", bound, length(n.Spacing))
	}
	return fmt.Sprintf("%s; %s came on top.", bound, length(excess))
}

func share(lost, sent int) string {
	if lost == 0 {
		return "none was"
	}
	return fmt.Sprintf("%s (%.2g%%) %s", thousands(int64(lost)), 100*float64(lost)/float64(sent), was(lost))
}

func was(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	case 3:
		return "three times"
	}
	return fmt.Sprintf("%d times", n)
}

// Package analysis reads the journal of a run and computes what a person wants
// to know of it: each handover with the silence it caused and what that silence
// was made of, each flow with what was lost and how long it took, the signalling
// messages, and the measures that a scenario may put bounds on.
//
// It takes events and a topology and gives values; it neither reads files nor
// writes any, and judges nothing. A journal that was cut off, of a run in which
// nodes died or nothing was sent, gives what can be known of it, and Notes that
// say what cannot.
package analysis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"s2clab/orchestrator/journal"
	"s2clab/topologies"
)

// An Analysis is what a journal says. All times count from the start of the run.
type Analysis struct {
	Duration     time.Duration // of the run, as far as the journal goes
	Ended        bool          // the journal holds the end of the run
	Verdict      string        // held, not-held, failed, or empty where the run has no end
	Failure      string        // why the run could not be played to its end; empty where it could
	Flows        []Direction   // in the order in which they began
	Handovers    []Handover    // in the order in which they began
	Expectations []Expectation // in the order in which they were judged
	Deaths       []Death
	Steps        []Step
	Messages     []Message   // all signalling, end to end, in the order of sending
	Links        []LinkError // what the emulation of each link did wrong, where it says so
	Carries      []Carry     // which access carried which flow
	Signals      []Signal    // what the mobiles' radios heard, where they told, in the order in which they began
	Keys         []Key       // in the order of their trees
	Capture      Capture
	Environment  []Fact   // what the run said of itself when it started
	Notes        []string // what this analysis could not know, in plain words
}

// A Step is one step of the scenario.
type Step struct {
	At   time.Duration
	What string
}

// A Death is a node process that ended without having been asked to.
type Death struct {
	At        time.Duration
	Node      string
	Role      string
	Exit, Log string
}

// An Expectation is one of the scenario's, as it was judged.
type Expectation struct {
	At       time.Duration
	What     string // as the scenario has it
	Held     bool
	Found    string // what was found, in words
	Wanted   string
	Evidence []string
	Note     string // why it is expected, in the scenario's words
	Line     int    // in the scenario's file; 0: unknown
}

// A LinkError is what a link did to the frames of one end, and how far it was
// from what was asked of it.
type LinkError struct {
	Link    string
	From    string
	Sent    int            // frames into the link
	Arrived int            // frames out of it, one for each end that took one
	Dropped map[string]int // by reason
	Device  *DeviceDrops   // nil: the journal does not say
	Frames  int            // that had to wait for a time
	Late    Percentiles    // beyond the time that was asked for
}

// DeviceDrops are frames that the end's own device dropped: the node sent them and
// the link never saw them, because a queue was full or the device had no carrier;
// or the link handed them over and the node never saw them.
type DeviceDrops struct{ Sent, NoCarrier, Arrived int }

// Capture is what capturing packets kept and lost.
type Capture struct {
	Known        bool // the journal says
	Packets      int
	Lost         int
	EventPackets int // packet events in this journal
}

// A Fact is something the run said of itself.
type Fact struct{ Name, Value string }

// Analyze reads a journal. The topology may be nil: nothing is then known of
// roles and delays, and no bound is computed.
func Analyze(events []journal.Event, t *topologies.Topology) *Analysis {
	if t == nil {
		t = &topologies.Topology{}
	}
	r := &reading{
		Analysis: &Analysis{},
		events:   slices.Clone(events),
		net:      newMap(t),
		noted:    map[string]bool{},
	}
	slices.SortStableFunc(r.events, func(a, b journal.Event) int { return cmp.Compare(a.At, b.At) })
	r.overview()
	r.readFlows()
	r.readCarries()
	r.readMessages()
	r.readNames()
	r.readHandovers()
	r.readSignals()
	r.readKeys()
	return r.Analysis
}

// A reading is an Analysis on its way.
type reading struct {
	*Analysis
	events []journal.Event // in the order of time
	net    *netmap
	byName map[string]string // the mobile that goes by a name, an IMSI, a B-TID or a Session-Id
	noted  map[string]bool
}

// note adds a note once.
func (r *reading) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !r.noted[text] {
		r.noted[text] = true
		r.Notes = append(r.Notes, text)
	}
}

// NodeOf is the node that an event is about.
func NodeOf(e journal.Event) string {
	if n := fields(e.Fields).text("node"); n != "" {
		return n
	}
	return e.Node
}

// overview reads the events that stand for themselves.
func (r *reading) overview() {
	suppressed := 0
	for _, e := range r.events {
		f := fields(e.Fields)
		r.Duration = max(r.Duration, e.At)
		switch e.Name {
		case "run-started":
			for name, value := range e.Fields {
				if text := Show(value); text != "" {
					r.Environment = append(r.Environment, Fact{name, text})
				}
			}
			slices.SortFunc(r.Environment, func(a, b Fact) int { return strings.Compare(a.Name, b.Name) })
		case "run-ended":
			r.Ended = true
			r.Verdict = f.text("verdict")
		case "run-failed":
			r.Failure = f.text("error")
			r.note("the run was not played to its end: %s", r.Failure)
		case "run-late":
			late, _ := f.seconds("by")
			r.note("bringing the lab up took %v longer than was thought: the first steps were late", late.Round(time.Millisecond))
		case "step-started":
			r.Steps = append(r.Steps, Step{e.At, f.text("what", "verb", "step")})
		case "node-died":
			r.Deaths = append(r.Deaths, Death{e.At, NodeOf(e), f.text("role"), f.text("exit"), f.text("log")})
			r.note("node %s died at %.3f s: what follows shows a lab without it", NodeOf(e), e.At.Seconds())
		case "expectation-judged":
			r.Expectations = append(r.Expectations, expectation(e))
		case "link-changed":
			if delay, ok := f.seconds("delay"); ok {
				r.net.changed = append(r.net.changed, delayChange{e.At, f.text("link"), f.text("from"), delay})
			}
		case "link-measured":
			l := linkError(f)
			r.Links = append(r.Links, l)
			if why := f.text("gone"); why != "" {
				r.note("the link %s stopped to listen to %s (%s): nothing that it sent afterwards arrived anywhere", l.Link, l.From, why)
			}
			if d := l.Device; d != nil && d.Sent > 0 {
				r.note("the device of %s at %s dropped %s of its own, faster than the link read them: no other count and no capture has them", l.From, l.Link, frames(d.Sent))
			}
			if d := l.Device; d != nil && d.Arrived > 0 {
				r.note("the device of %s at %s dropped %s that the link had handed over", l.From, l.Link, frames(d.Arrived))
			}
		case "capture-ended":
			r.Capture.Known = true
			r.Capture.Packets, r.Capture.Lost = max(f.count("packets"), 0), max(f.count("lost"), 0)
		case "capture-failed":
			r.note("the capture failed: %s; messages may be missing", f.text("error"))
		case "events-suppressed":
			suppressed += max(f.count("count"), 0)
		case "event-lost":
			r.note("node %s had an event that could not be written: %s", e.Node, f.text("error"))
		case "packet":
			r.Capture.EventPackets++
		}
	}
	switch {
	case len(r.events) == 0:
		r.note("the journal is empty")
	case !r.Ended:
		r.note("the journal ends at %.3f s without an end of the run: it was cut off", r.Duration.Seconds())
	}
	if suppressed > 0 {
		r.note("%d events of floods were told only as counts", suppressed)
	}
}

// expectation reads one. Who judges says "held" as a boolean, or gives a verdict.
func expectation(e journal.Event) Expectation {
	f := fields(e.Fields)
	x := Expectation{
		At:       e.At,
		What:     f.text("expectation", "what"),
		Held:     f.flag("held") || f.text("verdict") == "held",
		Found:    f.text("found", "reason"),
		Wanted:   f.text("wanted"),
		Evidence: f.texts("evidence"),
		Note:     f.text("note"),
		Line:     max(f.count("line"), 0),
	}
	if n, ok := f.number("found"); ok {
		x.Found = Show(n)
	}
	return x
}

func frames(n int) string {
	if n == 1 {
		return "1 frame"
	}
	return fmt.Sprintf("%d frames", n)
}

func linkError(f fields) LinkError {
	l := LinkError{
		Link: f.text("link"), From: f.text("from"), Frames: max(f.count("frames"), 0),
		Sent: max(f.count("sent"), 0), Arrived: max(f.count("arrived"), 0), Dropped: map[string]int{},
	}
	if dropped, ok := f["dropped"].(map[string]any); ok {
		for reason := range dropped {
			l.Dropped[reason] = max(fields(dropped).count(reason), 0)
		}
	}
	if device, ok := f["device-dropped"].(map[string]any); ok {
		l.Device = &DeviceDrops{max(fields(device).count("sent"), 0), max(fields(device).count("no-carrier"), 0), max(fields(device).count("arrived"), 0)}
	}
	l.Late.P50, _ = f.seconds("late-p50")
	l.Late.P95, _ = f.seconds("late-p95")
	l.Late.P99, _ = f.seconds("late-p99")
	l.Late.Max, _ = f.seconds("late-max")
	return l
}

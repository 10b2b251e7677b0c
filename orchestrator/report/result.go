package report

import (
	"encoding/json"
	"io"
	"math"
	"time"

	"s2clab/orchestrator/report/analysis"
)

// A Result is result.json. docs/results.md says what each member means. A member
// is never renamed or given another meaning; Version grows when one goes away.
type Result struct {
	Format       string              `json:"format"` // s2clab-result
	Version      int                 `json:"version"`
	Run          ResultRun           `json:"run"`
	Verdict      Verdict             `json:"verdict"`
	Held         bool                `json:"held"`
	Ended        bool                `json:"ended"`
	Failure      string              `json:"failure,omitempty"`
	Duration     seconds             `json:"duration"`
	Summary      []string            `json:"summary"`
	Expectations []ResultExpectation `json:"expectations"`
	Handovers    []ResultHandover    `json:"handovers"`
	Flows        []ResultFlow        `json:"flows"`
	Carries      []ResultCarry       `json:"carried"`
	Messages     map[string]int      `json:"messages"`
	Keys         []ResultKey         `json:"keys"`
	Links        []ResultLink        `json:"links"`
	Capture      ResultCapture       `json:"capture"`
	Deaths       []ResultDeath       `json:"deaths"`
	Environment  map[string]string   `json:"environment"`
	Notes        []string            `json:"notes"`
}

// seconds is a length of time as JSON has it: to the nanosecond, in seconds.
type seconds float64

func inSeconds(d time.Duration) seconds {
	return seconds(math.Round(d.Seconds()*1e9) / 1e9)
}

// ResultRun says which run it was.
type ResultRun struct {
	ID          string         `json:"id"`
	Scenario    string         `json:"scenario"`
	Description string         `json:"description,omitempty"`
	Topology    string         `json:"topology"`
	Seed        uint64         `json:"seed"`
	Started     *time.Time     `json:"started,omitempty"`
	Program     string         `json:"program,omitempty"`
	Security    ResultSecurity `json:"security"`
}

// ResultSecurity has the words of topology files.
type ResultSecurity struct {
	Integrity string `json:"integrity"`
	Replay    string `json:"replay"`
	Bootstrap string `json:"bootstrap"`
	Profile   string `json:"profile"`
}

// ResultExpectation is one expectation, judged.
type ResultExpectation struct {
	Expectation string   `json:"expectation"`
	Held        bool     `json:"held"`
	Found       string   `json:"found,omitempty"`
	Wanted      string   `json:"wanted,omitempty"`
	Note        string   `json:"note,omitempty"`
	Evidence    []string `json:"evidence,omitempty"`
	Line        int      `json:"line,omitempty"`
}

// ResultHandover is one handover.
type ResultHandover struct {
	Number   int      `json:"number"`
	Node     string   `json:"node"`
	Kind     string   `json:"kind"`
	From     string   `json:"from,omitempty"`
	To       string   `json:"to"`
	Start    seconds  `json:"start"`
	Done     *seconds `json:"done,omitempty"`
	Outcome  string   `json:"outcome"`
	Reason   string   `json:"reason,omitempty"`
	AskedAAA bool     `json:"aaa-asked"`
	Updates  int      `json:"binding-updates"`

	Interruption  *seconds             `json:"interruption,omitempty"`
	Excess        *seconds             `json:"excess,omitempty"`
	Split         map[string]seconds   `json:"split"`
	Interruptions []ResultInterruption `json:"interruptions"`
	Access        ResultAccess         `json:"access"`
}

// ResultAccess is the signalling of a handover.
type ResultAccess struct {
	Messages   int `json:"messages"`
	Octets     int `json:"octets"`
	RoundTrips int `json:"round-trips"`
	AAA        int `json:"aaa-messages"`
}

// ResultInterruption is what one direction of a flow suffered.
type ResultInterruption struct {
	Flow       string       `json:"flow"`
	From       string       `json:"from"`
	To         string       `json:"to"`
	Start      seconds      `json:"start"`
	End        seconds      `json:"end"`
	Length     seconds      `json:"length"`
	Spacing    seconds      `json:"spacing"`
	Open       bool         `json:"open"`
	Lost       int          `json:"lost"`
	Duplicates int          `json:"duplicates"`
	Reordered  int          `json:"reordered"`
	Bound      *seconds     `json:"bound,omitempty"`
	Terms      []ResultTerm `json:"bound-terms,omitempty"`
	Excess     *seconds     `json:"excess,omitempty"`
}

// ResultTerm is one part of a bound.
type ResultTerm struct {
	Name   string  `json:"name"`
	Length seconds `json:"length"`
}

// ResultCarry is what an access carried of a flow.
type ResultCarry struct {
	Flow       string  `json:"flow"`
	Link       string  `json:"link"`
	Packets    int     `json:"packets"`
	Octets     int64   `json:"octets"`
	Lasted     seconds `json:"lasted"`
	Throughput float64 `json:"throughput"` // bit/s
}

// ResultFlow is one direction of a flow.
type ResultFlow struct {
	Flow       string    `json:"flow"`
	From       string    `json:"from"`
	To         string    `json:"to"`
	Kind       string    `json:"kind,omitempty"`
	Start      seconds   `json:"start"`
	End        seconds   `json:"end"`
	Sent       int       `json:"sent"`
	SentKnown  bool      `json:"sent-known"`
	Received   int       `json:"received"`
	Lost       int       `json:"lost"`
	Duplicates int       `json:"duplicates"`
	Reordered  int       `json:"reordered"`
	Corrupted  int       `json:"corrupted"`
	Octets     int64     `json:"octets"`
	Throughput *float64  `json:"throughput,omitempty"` // bit/s
	Delay      *ResultPs `json:"delay,omitempty"`
	Jitter     *seconds  `json:"jitter,omitempty"`
}

// ResultPs are percentiles.
type ResultPs struct {
	Min seconds `json:"min"`
	P50 seconds `json:"p50"`
	P95 seconds `json:"p95"`
	P99 seconds `json:"p99"`
	Max seconds `json:"max"`
}

// ResultLink is how far a link was from what was asked of it.
type ResultLink struct {
	Link    string         `json:"link"`
	From    string         `json:"from"`
	Sent    int            `json:"sent"`
	Arrived int            `json:"arrived"`
	Dropped map[string]int `json:"dropped"`
	Device  *ResultDevice  `json:"device-dropped,omitempty"`
	Frames  int            `json:"frames"`
	Late    ResultPs       `json:"late"`
}

// ResultDevice is what the device of a link's end dropped.
type ResultDevice struct {
	Sent      int `json:"sent"`
	NoCarrier int `json:"no-carrier"`
	Arrived   int `json:"arrived"`
}

// ResultCapture is what capturing kept and lost.
type ResultCapture struct {
	Packets *int `json:"packets,omitempty"`
	Lost    *int `json:"lost,omitempty"`
}

// ResultDeath is a node process that ended without having been asked to.
type ResultDeath struct {
	At   seconds `json:"at"`
	Node string  `json:"node"`
	Role string  `json:"role,omitempty"`
	Exit string  `json:"exit,omitempty"`
	Log  string  `json:"log,omitempty"`
}

// Result gives result.json as a value.
func (r *Report) Result() *Result {
	s := r.Topology.Security
	out := &Result{
		Format: "s2clab-result", Version: 1,
		Run: ResultRun{
			ID: r.ID, Scenario: r.Scenario, Description: r.Description, Topology: r.Topology.Name, Seed: r.Seed, Program: r.Program,
			Security: ResultSecurity{s.Integrity, s.Replay, s.Bootstrap, s.Profile},
		},
		Verdict: r.Outcome(), Held: r.Outcome() == Held, Ended: r.Ended, Failure: r.Failure, Duration: inSeconds(r.Duration),
		Summary:      r.Summary(),
		Expectations: []ResultExpectation{}, Handovers: []ResultHandover{}, Flows: []ResultFlow{}, Carries: []ResultCarry{}, Links: []ResultLink{}, Deaths: []ResultDeath{},
		Messages: map[string]int{}, Environment: map[string]string{}, Notes: append([]string{}, r.Notes...),
	}
	if !r.Started.IsZero() {
		out.Run.Started = &r.Started
	}
	for _, x := range r.Expectations {
		out.Expectations = append(out.Expectations, ResultExpectation{x.What, x.Held, x.Found, x.Wanted, x.Note, x.Evidence, x.Line})
	}
	for i := range r.Handovers {
		out.Handovers = append(out.Handovers, resultHandover(&r.Handovers[i]))
	}
	for i := range r.Flows {
		out.Flows = append(out.Flows, resultFlow(&r.Flows[i]))
	}
	for i := range r.Carries {
		c := &r.Carries[i]
		out.Carries = append(out.Carries, ResultCarry{c.Flow, c.Link, c.Packets, c.Octets, inSeconds(c.Lasted), math.Round(c.Throughput())})
	}
	for _, m := range r.Messages {
		out.Messages[m.Name]++
	}
	out.Keys = ResultKeys(r.Keys)
	for _, l := range r.Links {
		one := ResultLink{Link: l.Link, From: l.From, Sent: l.Sent, Arrived: l.Arrived, Dropped: l.Dropped, Frames: l.Frames, Late: resultPs(l.Late)}
		if d := l.Device; d != nil {
			one.Device = &ResultDevice{d.Sent, d.NoCarrier, d.Arrived}
		}
		out.Links = append(out.Links, one)
	}
	if r.Capture.Known {
		out.Capture = ResultCapture{&r.Capture.Packets, &r.Capture.Lost}
	}
	for _, d := range r.Deaths {
		out.Deaths = append(out.Deaths, ResultDeath{inSeconds(d.At), d.Node, d.Role, d.Exit, d.Log})
	}
	for _, f := range r.Environment {
		out.Environment[f.Name] = f.Value
	}
	return out
}

func resultHandover(h *analysis.Handover) ResultHandover {
	out := ResultHandover{
		Number: h.Number, Node: h.Node, Kind: string(h.Kind), From: h.From, To: h.To, Start: inSeconds(h.Start),
		Outcome: string(h.Outcome), Reason: h.Reason, AskedAAA: h.First, Updates: h.Attempts,
		Split: map[string]seconds{}, Interruptions: []ResultInterruption{},
		Access: ResultAccess{h.Access.Messages, h.Access.Octets, h.Access.RoundTrips, h.AAA},
	}
	if h.Outcome == analysis.Completed {
		out.Done = optional(h.Done)
	}
	if w := h.Worst(); w != nil {
		out.Interruption = optional(w.Length)
	}
	if e, ok := h.Excess(); ok {
		out.Excess = optional(e)
	}
	for _, p := range h.Split {
		out.Split[p.Name] = inSeconds(p.Length())
	}
	for i := range h.Interruptions {
		n := &h.Interruptions[i]
		one := ResultInterruption{
			Flow: n.Flow, From: n.From, To: n.To, Start: inSeconds(n.Start), End: inSeconds(n.End), Length: inSeconds(n.Length), Spacing: inSeconds(n.Spacing),
			Open: n.Open, Lost: n.Lost, Duplicates: n.Duplicated, Reordered: n.Reordered,
		}
		if n.Bound.Known {
			one.Bound = optional(n.Bound.Total)
			for _, t := range n.Bound.Terms {
				one.Terms = append(one.Terms, ResultTerm{t.Name, inSeconds(t.Length)})
			}
		}
		if e, ok := n.Excess(); ok {
			one.Excess = optional(e)
		}
		out.Interruptions = append(out.Interruptions, one)
	}
	return out
}

func resultFlow(d *analysis.Direction) ResultFlow {
	out := ResultFlow{
		Flow: d.Flow, From: d.From, To: d.To, Kind: d.Kind, Start: inSeconds(d.Start), End: inSeconds(d.End),
		Sent: d.Sent, SentKnown: d.SentKnown, Received: d.Received, Lost: d.Lost, Duplicates: d.Duplicated, Reordered: d.Reordered, Corrupted: d.Corrupted, Octets: d.Octets,
	}
	if rate, ok := d.Throughput(); ok {
		bits := math.Round(rate * 8)
		out.Throughput = &bits
	}
	if d.Received > 0 {
		ps := resultPs(d.Delay)
		out.Delay, out.Jitter = &ps, optional(d.Jitter)
	}
	return out
}

func optional(d time.Duration) *seconds {
	s := inSeconds(d)
	return &s
}

func resultPs(p analysis.Percentiles) ResultPs {
	return ResultPs{inSeconds(p.Min), inSeconds(p.P50), inSeconds(p.P95), inSeconds(p.P99), inSeconds(p.Max)}
}

// JSON writes result.json.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r.Result())
}

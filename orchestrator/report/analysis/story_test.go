package analysis_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report/analysis"
	"s2clab/orchestrator/report/reporttest"
)

const ms = time.Millisecond

func read(s reporttest.Script) *analysis.Analysis {
	return analysis.Analyze(s.Events(), reporttest.Topology())
}

func TestEveryMoveOfTheMobileIsOneHandover(t *testing.T) {
	var got []string
	for _, h := range read(reporttest.Default()).Handovers {
		got = append(got, fmt.Sprintf("%d %s, %s, %s at %v, AAA %v", h.Number, h.Name(), h.Kind, h.Outcome, h.Start, h.First))
	}
	want := []string{
		"0 ue attaches to lte, attach, completed at 300ms, AAA false",
		"1 ue moves from lte to wlan, move, completed at 5s, AAA true",
		"2 ue moves from wlan to wimax, move, completed at 9s, AAA false",
		"3 ue returns home from wimax to lte, return-home, completed at 13s, AAA false",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("handovers (-want +got):\n%s", d)
	}
}

func TestTheSplitIsWhatTheStoryMadeItOf(t *testing.T) {
	h := read(reporttest.Default()).Handovers[1] // lte to wlan, 3 ms, and 10 ms to the home agent
	forwarding := 30 * time.Microsecond
	want := map[string]time.Duration{
		analysis.LinkGap:              50 * ms,
		analysis.MovementDetection:    3*ms + reporttest.Answer + 3*ms,
		analysis.AddressConfiguration: reporttest.Address,
		analysis.Signalling:           2*(3*ms+forwarding+10*ms) + 20*ms + 2*reporttest.Update + reporttest.Authorise,
	}
	for name, length := range want {
		if p, ok := h.Phase(name); !ok || p.Length() != length {
			t.Errorf("%s: got %v (%v), want %v", name, p.Length(), ok, length)
		}
	}
}

func TestTheBoundIsTheSumOfTheRoundTripsOnTheConfiguredLinks(t *testing.T) {
	a := read(reporttest.Default())
	// To the mobile: gap, RS and RA, BU and BA, MIR and MIA.
	// From it: also the way to the correspondent, less what the last packet had still to go.
	want := []map[string]time.Duration{
		{"ue": 50*ms + 6*ms + 26*ms + 20*ms, "cn": 50*ms + 6*ms + 26*ms + 20*ms + 15*ms - 2*ms},
		{"ue": 50*ms + 20*ms + 40*ms, "cn": 50*ms + 20*ms + 40*ms + 22*ms - 12*ms},
		{"ue": 50*ms + 30*ms + 30*ms, "cn": 50*ms + 30*ms + 30*ms + 17*ms - 12*ms},
	}
	for i, w := range want {
		for _, n := range a.Handovers[i+1].Interruptions {
			if n.Bound.Total != w[n.To] {
				t.Errorf("%s towards %s: bound %v, want %v: %v", a.Handovers[i+1].Name(), n.To, n.Bound.Total, w[n.To], n.Bound.Terms)
			}
			sum := time.Duration(0)
			for _, term := range n.Bound.Terms {
				sum += term.Length
			}
			if sum != n.Bound.Total {
				t.Errorf("terms add up to %v, not %v", sum, n.Bound.Total)
			}
		}
	}
}

// Fine packets show the interruption finely: what software took in the story,
// and nothing else, is the excess.
func TestWithFinePacketsTheExcessIsWhatSoftwareTook(t *testing.T) {
	s := reporttest.Default()
	s.Spacing = ms / 2
	a := read(s)
	const aSpacing, noise = ms / 2, 200 * time.Microsecond
	forwarding := 30 * time.Microsecond
	h := a.Handovers[2]
	took := reporttest.Notice + reporttest.Answer + reporttest.Address + reporttest.Update + reporttest.Update + 2*forwarding
	for _, n := range h.Interruptions {
		e, ok := n.Excess()
		if !ok || (e-took).Abs() > aSpacing+noise {
			t.Errorf("towards %s: excess %v, want about %v", n.To, e, took)
		}
	}
}

func TestMakeBeforeBreakOverlapsAndLosesNothing(t *testing.T) {
	for _, h := range read(reporttest.MakeBeforeBreak()).Handovers[1:] {
		gap, _ := h.Phase(analysis.LinkGap)
		lost := 0
		for _, n := range h.Interruptions {
			lost += n.Lost
			if e, _ := n.Excess(); n.Length > 8*ms || e > ms {
				t.Errorf("%s: silence %v, excess %v towards %s", h.Name(), n.Length, e, n.To)
			}
		}
		if gap.Length() != -300*ms || h.Outcome != analysis.Completed || lost > 1 { // WLAN loses one now and then
			t.Errorf("%s: link gap %v, %s, %d lost", h.Name(), gap.Length(), h.Outcome, lost)
		}
	}
}

func TestALostAcknowledgementShowsAsAnotherUpdateASecondLater(t *testing.T) {
	s := reporttest.Default()
	s.LoseAcks = 1
	a := read(s)
	h := a.Handovers[3]
	p, _ := h.Phase(analysis.Signalling)
	if h.Attempts != 2 || p.Length() < time.Second || p.Length() > 1100*ms {
		t.Errorf("%d Binding Updates, signalling %v", h.Attempts, p.Length())
	}
	if w := h.Worst(); w.Length < time.Second || w.Lost < 45 {
		t.Errorf("silence %v, %d lost", w.Length, w.Lost)
	}
	i := slices.IndexFunc(a.Messages, func(m analysis.Message) bool { return m.Fate == "dropped" })
	if i < 0 || a.Messages[i].Name != "binding-acknowledgement" || a.Messages[i].To[0] != "ue" || a.Messages[i].Reason != "aimed" {
		t.Errorf("the dropped acknowledgement is not among the messages, on its way to ue")
	}
}

func TestAMessageOverSeveralLinksIsOneMessage(t *testing.T) {
	a := read(reporttest.Default())
	count := map[string]int{}
	for _, m := range a.Messages {
		count[m.Name]++
		if m.Name == "binding-update" && m.Start > 5*time.Second && m.Start < 6*time.Second {
			if m.From != "ue" || m.To[0] != "pgw" || len(m.Hops) != 2 || m.Hops[0].Link != "wlan" || m.Hops[1].Link != "core" || m.Handover != 1 {
				t.Errorf("got %+v", m)
			}
			if took := m.End - m.Start; took != 13*ms+30*time.Microsecond {
				t.Errorf("it took %v", took)
			}
		}
	}
	if count["binding-update"] != 3 || count["mip6a-request"] != 1 || count["router-solicitation"] != 4 {
		t.Errorf("messages: %v", count)
	}
}

func TestTheSignallingOfAHandoverIsCountedOnTheAccessLink(t *testing.T) {
	h := read(reporttest.Default()).Handovers[1]
	if want := (analysis.Counted{Messages: 4, Octets: 70 + 118 + 222 + 190, RoundTrips: 2}); h.Access != want || h.AAA != 2 {
		t.Errorf("got %+v and %d AAA messages, want %+v and 2", h.Access, h.AAA, want)
	}
}

func TestAFlowIsCountedAsItWasSentAndReceived(t *testing.T) {
	a := read(reporttest.Default())
	for _, d := range a.Flows {
		if d.Sent != 850 || !d.SentKnown || d.Received+d.Lost != d.Sent || d.Spacing.Round(ms) != 20*ms || d.Size != 160 {
			t.Errorf("%s: %+v", d.Name(), d)
		}
		packets, lost := 0, 0
		for _, b := range d.Bins {
			packets += b.Packets
			lost += b.Lost
		}
		if packets != d.Received || lost != d.Lost {
			t.Errorf("%s: bins hold %d packets and %d lost, not %d and %d", d.Name(), packets, lost, d.Received, d.Lost)
		}
	}
}

// Each beginning of a journal is what a run leaves that was cut off there.
func TestAJournalThatWasCutOffGivesWhatItHolds(t *testing.T) {
	events := reporttest.Default().Events()
	whole := analysis.Analyze(events, reporttest.Topology())
	for n := range events {
		a := analysis.Analyze(events[:n], reporttest.Topology())
		if a.Ended || len(a.Notes) == 0 {
			t.Fatalf("%d events: nothing says that it was cut off", n)
		}
		if len(a.Handovers) > len(whole.Handovers) {
			t.Fatalf("%d events: %d handovers", n, len(a.Handovers))
		}
		for i, h := range a.Handovers {
			if i < len(a.Handovers)-1 && h.Outcome != analysis.Completed {
				t.Fatalf("%d events: %s: %s", n, h.Name(), h.Outcome)
			}
		}
	}
}

func TestAMobileThatDiesLeavesItsHandoverUndone(t *testing.T) {
	var events []journal.Event
	for _, e := range reporttest.Default().Events() {
		if e.Node == "ue" && e.At > 9060*ms {
			continue
		}
		events = append(events, e)
	}
	events = append(events, journal.Event{At: 9060 * ms, Node: "ue", Name: "node-died", Fields: map[string]any{"role": "mn", "exit": "signal: killed", "log": "panic: no"}})
	a := analysis.Analyze(events, reporttest.Topology())
	h := a.Handovers[len(a.Handovers)-1]
	if h.Outcome != analysis.Died || h.To != "wimax" || h.Reason != "signal: killed" || len(a.Deaths) != 1 {
		t.Errorf("%s: %s, %s; deaths %v", h.Name(), h.Outcome, h.Reason, a.Deaths)
	}
	for _, n := range h.Interruptions {
		if n.To == "ue" && !n.Open {
			t.Errorf("the silence towards ue ended")
		}
	}
	if !slices.ContainsFunc(a.Notes, func(s string) bool { return strings.Contains(s, "ue died") }) {
		t.Errorf("notes do not tell: %q", a.Notes)
	}
}

func TestALinkThatDoesNotListenToANodeIsToldOf(t *testing.T) {
	story := reporttest.Default()
	measured := journal.Event{At: story.End, Name: "link-measured", Fields: map[string]any{"link": "wlan", "from": "ue", "gone": "broken pipe"}}
	a := analysis.Analyze(append(story.Events(), measured), reporttest.Topology())
	if !slices.ContainsFunc(a.Notes, func(s string) bool { return strings.Contains(s, "wlan") && strings.Contains(s, "broken pipe") }) {
		t.Errorf("notes do not tell: %q", a.Notes)
	}
}

func TestARunWithoutTrafficStillTellsItsHandovers(t *testing.T) {
	events := slices.DeleteFunc(reporttest.Default().Events(), func(e journal.Event) bool { return strings.HasPrefix(e.Name, "flow-") })
	a := analysis.Analyze(events, reporttest.Topology())
	h := a.Handovers[1]
	if _, ok := h.Phase(analysis.Signalling); !ok || h.Worst() != nil || len(a.Flows) != 0 {
		t.Errorf("got %+v", h)
	}
	if _, err := a.Values(analysis.Question{Measure: "interruption"}); !errors.Is(err, analysis.ErrNothing) {
		t.Errorf("interruption: got %v", err)
	}
}

func TestWithoutTheClockTimesOfPacketsAreEstimatedAndSaidToBe(t *testing.T) {
	events := reporttest.Default().Events()
	delete(events[0].Fields, "clock")
	a := analysis.Analyze(events, reporttest.Topology())
	if d := a.Flows[0]; (d.Start - time.Second).Abs() > 10*ms {
		t.Errorf("the flow starts at %v", d.Start)
	}
	if !slices.ContainsFunc(a.Notes, func(s string) bool { return strings.Contains(s, "estimated") }) {
		t.Errorf("notes: %q", a.Notes)
	}
}

func TestWithoutATopologyThereIsNoBoundButAllElse(t *testing.T) {
	a := analysis.Analyze(reporttest.Default().Events(), nil)
	if len(a.Handovers) != 4 || len(a.Messages) != 18 {
		t.Fatalf("%d handovers, %d messages", len(a.Handovers), len(a.Messages))
	}
	if w := a.Handovers[1].Worst(); w.Length < 90*ms || w.Bound.Known {
		t.Errorf("silence %v, bound %v", w.Length, w.Bound)
	}
}

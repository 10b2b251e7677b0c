package play

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/orchestrator/journal"
	"s2clab/scenarios"
)

const head = `
scenario: judged
topology: shipped:/topologies/eps-s2c.yaml
steps:
  - {at: 0s, attach: {node: ue, link: lte}}
  - {at: 9s, stop: all}
expect:
  - `

// judged is how one expectation is judged on some events.
func judged(t *testing.T, expectation string, events ...journal.Event) Verdict {
	t.Helper()
	s, err := scenarios.Parse("test.yaml", []byte(head+expectation+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	var told []control.Event
	p := New(s, func(e control.Event) { told = append(told, e) })
	for _, e := range events {
		p.Saw(e)
	}
	verdicts, held := p.Judge()
	if len(verdicts) != 1 || len(told) != 1 || told[0].Name != "expectation-judged" || told[0].Fields["held"] != held || verdicts[0].Held != held {
		t.Fatalf("verdicts %+v, told %+v, held %v", verdicts, told, held)
	}
	return verdicts[0]
}

func update(at time.Duration, flags ...any) journal.Event {
	return journal.Event{At: at, Name: "packet", Fields: map[string]any{
		"message": "binding-update", "link": "wlan", "from": "ue", "to": []any{"wlan-gw"}, "flags": flags, "fate": "delivered",
	}}
}

func bound(at time.Duration, link string) journal.Event {
	return journal.Event{At: at, Node: "ue", Name: "bound", Fields: map[string]any{"link": link}}
}

func TestExpectationsAreJudgedByWhatWasSeen(t *testing.T) {
	second := time.Second
	for _, c := range []struct {
		expectation string
		events      []journal.Event
		held        bool
		found       string
	}{
		{"{saw: binding-update, from: ue, flags: [A, H]}", []journal.Event{update(second, "A", "H")}, true, "1, at 1.000 s"},
		{"{saw: binding-update, from: ue, flags: [A, H]}", []journal.Event{update(second, "A")}, false, "none"},
		{"{saw: binding-update, after: 2s, within: 1s}", []journal.Event{update(second), update(4 * second)}, false, "none"},
		{"{saw: binding-update, after: 2s, within: 1s}", []journal.Event{update(3 * second)}, true, "1, at 3.000 s"},
		{"{never: binding-update}", []journal.Event{bound(second, "wlan")}, true, "none"},
		{"{never: binding-update}", []journal.Event{update(second), update(2 * second)}, false, "2, the first at 1.000 s, the last at 2.000 s"},
		{"{count: bound, node: ue, equals: 2}", []journal.Event{bound(second, "wlan"), bound(2*second, "wimax")}, true, "2, "},
		{"{count: bound, node: ue, at-most: 1}", []journal.Event{bound(second, "wlan"), bound(2*second, "wimax")}, false, "2, "},
		{"{order: [{saw: bound, link: wlan}, {saw: bound, link: wimax}]}", []journal.Event{bound(second, "wlan"), bound(2*second, "wimax")}, true, "all, in that order"},
		{"{order: [{saw: bound, link: wlan}, {saw: bound, link: wimax}]}", []journal.Event{bound(second, "wimax"), bound(2*second, "wlan")}, false, "no bound after bound at 2.000 s"},
		{"{measure: handovers, node: ue, equals: 1}", nil, false, "0"},
	} {
		v := judged(t, c.expectation, c.events...)
		if v.Held != c.held || !strings.Contains(v.Found, c.found) {
			t.Errorf("%s: held %v, found %q; want %v, %q", c.expectation, v.Held, v.Found, c.held, c.found)
		}
	}
}

func TestEventsThatCameLateAreJudgedInTheOrderOfTheirTimes(t *testing.T) {
	v := judged(t, "{order: [{saw: bound, link: wlan}, {saw: bound, link: wimax}]}", bound(2*time.Second, "wimax"), bound(time.Second, "wlan"))
	if !v.Held {
		t.Errorf("found %q", v.Found)
	}
}

func TestAWaitCountsWhatHappenedSinceTheStepBeforeIt(t *testing.T) {
	w := newWatch()
	step := func(verb string) {
		w.saw(journal.Event{Name: "step-started", Fields: map[string]any{"verb": verb}})
	}
	pattern := &scenarios.Pattern{Name: "bound"}
	w.saw(bound(0, "wlan"))
	step("move")
	if err := w.await(context.Background(), pattern, time.Nanosecond); err == nil {
		t.Error("an event from before the step ended the wait")
	}
	w.saw(bound(0, "wimax"))
	step("wait")
	if err := w.await(context.Background(), pattern, time.Minute); err != nil {
		t.Errorf("an event since the step did not end the wait: %v", err)
	}
}

func TestAWaitEndsWithTheEventThatItWaitsForOrTheRun(t *testing.T) {
	w := newWatch()
	ended := make(chan error)
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { ended <- w.await(ctx, &scenarios.Pattern{Name: "bound"}, 0) }()
	w.saw(journal.Event{Name: "attached"})
	w.saw(bound(0, "wlan"))
	if err := <-ended; err != nil {
		t.Errorf("the event came, and the wait ended with %v", err)
	}
	over := errors.New("over")
	go func() { ended <- w.await(ctx, &scenarios.Pattern{Name: "returned-home"}, 0) }()
	cancel(over)
	if err := <-ended; !errors.Is(err, over) {
		t.Errorf("the run ended, and the wait with %v", err)
	}
}

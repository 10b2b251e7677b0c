package play

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"s2clab/orchestrator/journal"
	"s2clab/scenarios"
)

// A watch keeps what has happened and wakes those who wait for more.
type watch struct {
	mu     sync.Mutex
	events []journal.Event
	since  int           // the first event of the step before a wait
	more   chan struct{} // closed, and made anew, with each event
}

func newWatch() *watch { return &watch{more: make(chan struct{})} }

func (w *watch) saw(e journal.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Name == "step-started" && e.Fields["verb"] != "wait" {
		w.since = len(w.events)
	}
	w.events = append(w.events, e)
	close(w.more)
	w.more = make(chan struct{})
}

// all is every event so far.
func (w *watch) all() []journal.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events
}

// follow gives every event, those to come too, until ended is closed and all have
// been given.
func (w *watch) follow(ended <-chan struct{}) iter.Seq[journal.Event] {
	return func(yield func(journal.Event) bool) {
		for next, last := 0, false; ; {
			w.mu.Lock()
			events, more := w.events, w.more
			w.mu.Unlock()
			for ; next < len(events); next++ {
				if !yield(events[next]) {
					return
				}
			}
			if last {
				return
			}
			select {
			case <-more:
			case <-ended:
				last = true
			}
		}
	}
}

// await waits for an event that a pattern matches. One that has happened since
// the last step that was not a wait counts.
func (w *watch) await(ctx context.Context, pattern *scenarios.Pattern, timeout time.Duration) error {
	w.mu.Lock()
	since := w.since
	w.mu.Unlock()
	matches := func(e journal.Event) bool { return pattern.Matches(e.Node, e.Name, e.Fields) }
	if err := w.find(ctx, since, matches, timeout); errors.Is(err, errLate) {
		return fmt.Errorf("no %s in %v", pattern.Name, timeout)
	} else if err != nil {
		return err
	}
	return nil
}

var errLate = errors.New("it did not happen in time")

// find waits for an event that matches, from the one numbered next on.
func (w *watch) find(ctx context.Context, next int, matches func(journal.Event) bool, timeout time.Duration) error {
	var late <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		late = timer.C
	}
	for {
		w.mu.Lock()
		events, more := w.events, w.more
		w.mu.Unlock()
		for ; next < len(events); next++ {
			if matches(events[next]) {
				return nil
			}
		}
		select {
		case <-more:
		case <-late:
			return errLate
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

package supervise

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"s2clab/nodes/control"
	"s2clab/orchestrator/door"
	"s2clab/orchestrator/journal"
)

// A history is what has happened in a lab that stays, as far back as memory is
// given to it: it is in the supervisor and nowhere else, and ends with it.
type history struct {
	start int64 // the events' time 0: CLOCK_MONOTONIC, nanoseconds

	mu      sync.Mutex
	kept    []kept
	first   uint64 // how many came before kept[0]
	octets  int
	changed chan struct{} // closed when another one has come
}

// kept is an event, as the line of a journal.
type kept struct {
	node string
	line json.RawMessage
}

// historyOctets is how much text a history keeps: some 50,000 events.
const historyOctets = 8 << 20

// samples are events that flows tell ten times a second. They are for the journal
// of the run that made the flow.
var samples = []string{"flow-samples", "flow-bytes", "flow-responses"}

func newHistory() *history {
	return &history{start: control.Now(), changed: make(chan struct{})}
}

// take takes what happened. A history that is nil keeps nothing.
func (h *history) take(e control.Event) {
	if h == nil || slices.Contains(samples, e.Name) {
		return
	}
	line, err := json.Marshal(journal.From(e, h.start))
	if err != nil {
		return // no such event can be written to a journal either
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, kept{e.Node, line})
	h.octets += len(line)
	for h.octets > historyOctets {
		h.octets -= len(h.kept[0].line)
		h.kept[0] = kept{}
		h.kept = h.kept[1:]
		h.first++
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// mostAtOnce is how many events are handed over together.
const mostAtOnce = 1000

// since gives events from number from on, the number of the next, how many are no
// longer kept, and what is closed when more have come.
func (h *history) since(from uint64) (events []kept, next, lost uint64, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if from < h.first {
		lost = h.first - from
		from = h.first
	}
	events = h.kept[from-h.first:]
	events = slices.Clone(events[:min(len(events), mostAtOnce)])
	return events, from + uint64(len(events)), lost, h.changed
}

// LogsArgs ask for what has happened in a lab that stays.
type LogsArgs struct {
	Node   string // empty: all, and the lab itself
	Follow bool   // go on with what happens from now on
}

// LogsSaid is part of the answer.
type LogsSaid struct {
	Events []json.RawMessage // lines of a journal; time 0 is when the lab began to come up
	Lost   uint64            // events before these, of all nodes, that are no longer kept
	Caught bool              // what follows happened after the question
}

func (s *server) logs(ctx context.Context, r *door.Request) error {
	var args LogsArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	l, err := s.ready()
	if err != nil {
		return err
	}
	if args.Node != "" {
		if err := l.Has(args.Node); err != nil {
			return err
		}
	}
	s.mu.Lock()
	h := s.history
	s.mu.Unlock()
	caught := false
	for next := uint64(0); ; {
		events, after, lost, changed := h.since(next)
		next = after
		said := LogsSaid{Lost: lost, Caught: !caught && len(events) < mostAtOnce}
		for _, e := range events {
			if args.Node == "" || e.node == args.Node {
				said.Events = append(said.Events, e.line)
			}
		}
		if lost > 0 || len(said.Events) > 0 || said.Caught {
			if err := r.Send(said); err != nil {
				return err
			}
		}
		caught = caught || said.Caught
		if !args.Follow && caught {
			return nil
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"s2clab/orchestrator/door"
	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/supervise"
)

// logs tells what has happened in a lab that stays.
func (p *Program) logs(ctx context.Context, args []string) error {
	f := p.flags("logs")
	lab := labFlag(f)
	follow := f.Bool("f", false, "go on with what happens from now on")
	asJSON := f.Bool("json", false, "print all events, as lines of a journal")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(words) > 1 {
		return usage("logs", "one node at most", words)
	}
	name, err := theLab(*lab)
	if err != nil {
		return err
	}
	status, err := statusOf(name)
	if err != nil {
		return err
	}
	t := &timeline{out: p.Out, colour: p.colours(), asJSON: *asJSON}
	for _, n := range status.Nodes {
		t.width = max(t.width, len(n.Name))
	}
	ask := supervise.LogsArgs{Follow: *follow}
	if len(words) > 0 {
		ask.Node = words[0]
	}
	call, err := knock(name, "logs", ask)
	if err != nil {
		return err
	}
	defer call.Close()
	stop := context.AfterFunc(ctx, func() { call.Close() })
	defer stop()
	err = p.tellLogs(call, t)
	switch {
	case ctx.Err() != nil: // a person has seen enough
		return nil
	case *follow && errors.Is(err, door.ErrDied):
		fmt.Fprintf(p.Err, "lab %s has ended\n", name)
		return nil
	}
	return err
}

// tellLogs tells what a lab says, until it says no more.
func (p *Program) tellLogs(call *door.Call, t *timeline) error {
	defer t.end()
	said := make(chan supervise.LogsSaid)
	var ended error
	go func() {
		defer close(said)
		for ended == nil {
			var s supervise.LogsSaid
			if ended = call.Next(&s); ended == nil {
				said <- s
			}
		}
	}()
	var past []journal.Event
	caught := false
	tick := time.NewTicker(settle / 3)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			t.settled(now)
		case s, more := <-said:
			if !more && ended == io.EOF {
				return nil
			}
			if !more {
				return ended
			}
			if s.Lost > 0 {
				fmt.Fprintf(p.Err, "%d earlier events are no longer kept\n", s.Lost)
			}
			for _, line := range s.Events {
				var e journal.Event
				if err := json.Unmarshal(line, &e); err != nil {
					return fmt.Errorf("logs: %w", err)
				}
				if caught {
					t.take(e, time.Now())
				} else {
					past = append(past, e)
				}
			}
			if s.Caught {
				caught = true
				slices.SortStableFunc(past, func(a, b journal.Event) int { return int(a.At - b.At) })
				for _, e := range past {
					t.event(e)
				}
			}
		}
	}
}

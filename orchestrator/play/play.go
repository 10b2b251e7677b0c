// Package play walks a scenario's steps on a running lab and judges what was
// expected of it.
//
// What happens is written to the journal by those to whom it happens; this
// package adds the steps it takes and its verdicts. It makes no lab and writes no
// file.
package play

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"s2clab/nodes/control"
	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/lab"
	"s2clab/scenarios"
)

// A Player plays one scenario on one lab, once.
type Player struct {
	lab      *lab.Lab
	scenario *scenarios.Scenario
	tell     func(control.Event)
	watch    *watch

	start   time.Time
	running context.Context  // until the scenario stops the run
	flows   map[string]*flow // that run, by name
	ports   int              // given to flows so far
	aims    []*aimed
	tapes   map[*scenarios.Aim]*tape
	mu      sync.Mutex
	failed  []error // of steps that went on beside others
	pending sync.WaitGroup
	traces  sync.WaitGroup // which no step waits for, but the run's end
}

// New makes a player of a scenario: tell takes what the player itself does. What
// happens in the lab must reach Saw, and so must what is told.
func New(s *scenarios.Scenario, tell func(control.Event)) *Player {
	return &Player{scenario: s, tell: tell, watch: newWatch(), flows: map[string]*flow{}, tapes: map[*scenarios.Aim]*tape{}}
}

// Saw takes an event of the run, in the journal's order.
func (p *Player) Saw(e journal.Event) { p.watch.saw(e) }

// Events gives every event that the player saw and sees, until ended is closed.
func (p *Player) Events(ended <-chan struct{}) iter.Seq[journal.Event] { return p.watch.follow(ended) }

// Prepare starts what the steps will need of a lab, so that no step waits for it.
func (p *Player) Prepare(ctx context.Context, l *lab.Lab) error {
	p.lab = l
	for _, s := range p.scenario.Steps {
		var nodes []string
		switch a := s.Do.(type) {
		case *scenarios.Traffic:
			for _, f := range a.Flows {
				nodes = append(nodes, f.From, f.To)
			}
		case *scenarios.Flood:
			nodes = append(nodes, a.From)
		}
		if err := each(nodes, func(node string) error { return l.StartTraffic(ctx, node) }); err != nil {
			return err
		}
	}
	return p.record()
}

// errEnd ends a run whose scenario says so.
var errEnd = errors.New("the scenario stops the run")

// Play walks the steps. Time 0 of the scenario is when it is called. It returns
// an error where a step could not be done; what was expected is judged by Judge.
func (p *Player) Play(ctx context.Context) error {
	p.start = time.Now()
	defer p.endAims()
	var end context.CancelCauseFunc
	p.running, end = context.WithCancelCause(ctx)
	defer end(nil)
	err := p.walk(ctx)
	if err != nil {
		end(errEnd) // of traces too
	}
	if errors.Is(err, errEnd) {
		err = nil
	}
	p.pending.Wait()
	p.traces.Wait()
	if stopped := p.stopFlows(nil); err == nil {
		err = stopped
	}
	return errors.Join(append(p.failed, err)...)
}

func (p *Player) walk(ctx context.Context) error {
	for i, s := range p.scenario.Steps {
		due := p.start.Add(s.At)
		if s.After {
			p.pending.Wait()
			due = time.Now().Add(s.At)
		}
		if err := sleepUntil(ctx, due); err != nil {
			return err
		}
		p.say("step-started", "", map[string]any{"step": i + 1, "verb": s.Do.Verb(), "what": s.Text, "line": s.Line})
		if err := p.do(ctx, s.Do); err != nil {
			if errors.Is(err, errEnd) {
				return err
			}
			return fmt.Errorf("%s:%d: %s: %w", p.scenario.File, s.Line, s.Text, err)
		}
	}
	return nil
}

func sleepUntil(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// beside does something that takes its time while the next steps go on.
func (p *Player) beside(what func() error) { p.apart(&p.pending, what) }

// apart does something while the steps go on, for those who wait for all of a kind.
func (p *Player) apart(all *sync.WaitGroup, what func() error) {
	all.Go(func() {
		if err := what(); err != nil {
			p.mu.Lock()
			p.failed = append(p.failed, err)
			p.mu.Unlock()
		}
	})
}

func (p *Player) say(name, node string, fields map[string]any) {
	p.tell(control.Event{At: control.Now(), Node: node, Name: name, Fields: fields})
}

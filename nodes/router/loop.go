package router

import (
	"context"
	"fmt"
	"strings"
	"time"

	"s2clab/nodes/host"
)

// hands do what a Machine says. Those of Run are over nodes/host; tests have others.
type hands interface {
	do(o Output) error
}

// A loop owns a Machine: it alone calls it.
type loop struct {
	machine   *Machine
	hands     hands
	teller    host.Teller
	inputs    chan Input
	questions chan chan<- []Station
	ended     chan struct{}
}

func newLoop(m *Machine, h hands, t host.Teller) *loop {
	return &loop{machine: m, hands: h, teller: t, inputs: make(chan Input, 64), questions: make(chan chan<- []Station), ended: make(chan struct{})}
}

// give hands an input to the loop, unless that has ended.
func (l *loop) give(in Input) {
	select {
	case l.inputs <- in:
	case <-l.ended:
	}
}

// stations asks the loop who is on the links; nil: it has ended.
func (l *loop) stations() []Station {
	answer := make(chan []Station, 1)
	select {
	case l.questions <- answer:
		return <-answer
	case <-l.ended:
		return nil
	}
}

// run turns inputs into outputs until ctx ends. It is called once.
func (l *loop) run(ctx context.Context) {
	defer close(l.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Stop()
		if d := l.machine.Deadline(); !d.IsZero() {
			timer.Reset(time.Until(d))
		}
		select {
		case <-ctx.Done():
			return
		case in := <-l.inputs:
			l.act(l.machine.Step(time.Now(), in))
		case <-timer.C:
			l.act(l.machine.Tick(time.Now()))
		case answer := <-l.questions:
			answer <- l.machine.Stations(time.Now())
		}
	}
}

// act does what the machine says, in its order. A station that could not be let on
// is to be told so; whatever else fails is told to the lab.
func (l *loop) act(out []Output) {
	var failed []Input
	for _, o := range out {
		if e, ok := o.(Event); ok {
			l.teller.Event(e.Name, e.Fields)
			continue
		}
		err := l.hands.do(o)
		if err == nil {
			continue
		}
		l.teller.Event("action-failed", map[string]any{"action": strings.TrimPrefix(fmt.Sprintf("%T", o), "router."), "error": err.Error()})
		if a, ok := o.(Admit); ok {
			failed = append(failed, AdmissionFailed(a))
		}
	}
	for _, in := range failed {
		l.act(l.machine.Step(time.Now(), in))
	}
}

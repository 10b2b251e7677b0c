package mn

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"s2clab/nodes/control"
)

// hands do in the kernel what a Machine says. Those of Run are over nodes/host;
// tests have others.
type hands interface {
	do(o Output) error
}

// A teller carries events and answers to the lab: a *control.Conn.
type teller interface {
	Event(name string, fields map[string]any)
	Reply(id uint64, value any, err error)
}

// A loop owns a Machine: it alone calls it.
type loop struct {
	machine *Machine
	offset  time.Duration // how wrong this node's clock is
	hands   hands
	teller  teller
}

// now is the time by this node's clock.
func (l *loop) now() time.Time { return time.Now().Add(l.offset) }

// run turns inputs into outputs until ctx or commands end.
func (l *loop) run(ctx context.Context, inputs <-chan Input, commands <-chan control.Command) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Stop()
		if d := l.machine.Deadline(); !d.IsZero() {
			timer.Reset(d.Sub(l.now()))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case in := <-inputs:
			l.act(l.machine.Step(l.now(), in))
		case <-timer.C:
			l.act(l.machine.Tick(l.now()))
		case c, ok := <-commands:
			if !ok {
				return nil // the lab has gone
			}
			l.command(c)
		}
	}
}

// act does what the machine says, in its order. An address that the kernel does
// not take is as good as a duplicate; whatever else fails is told, and left to
// the machine's own retries.
func (l *loop) act(out []Output) {
	var refused []Input
	for _, o := range out {
		if e, ok := o.(Event); ok {
			l.teller.Event(e.Name, e.Fields)
			continue
		}
		err := l.hands.do(o)
		if err == nil {
			continue
		}
		l.teller.Event("action-failed", map[string]any{"action": fmt.Sprintf("%T", o)[len("mn."):], "error": err.Error()})
		if e, ok := o.(EnterAccess); ok {
			refused = append(refused, AddressChanged{Dev: e.Dev, Address: e.Address.Addr(), State: Duplicate})
		}
	}
	for _, in := range refused {
		l.act(l.machine.Step(l.now(), in))
	}
}

// command answers what the lab asks.
func (l *loop) command(c control.Command) {
	switch c.Name {
	case "state":
		l.teller.Reply(c.ID, l.machine.State(l.now()), nil)
	case "signal":
		in, err := l.signal(c.Args)
		if err == nil {
			l.act(l.machine.Step(l.now(), in))
		}
		l.teller.Reply(c.ID, nil, err)
	case "deregister":
		l.order(c, l.machine.Deregister)
	case "register":
		l.order(c, l.machine.Register)
	case "flow":
		in, err := l.moveFlow(c.Args)
		if err == nil {
			l.act(l.machine.Step(l.now(), in))
		}
		l.teller.Reply(c.ID, nil, err)
	default:
		l.teller.Reply(c.ID, nil, fmt.Errorf("a mobile node has no command %q: want state, flow, signal, deregister or register", c.Name))
	}
}

// moveFlow makes an Input of where the lab wants a flow to go.
func (l *loop) moveFlow(args json.RawMessage) (Input, error) {
	var f control.MoveFlow
	if err := json.Unmarshal(args, &f); err != nil {
		return nil, fmt.Errorf("flow: %w", err)
	}
	c := &l.machine.multi
	switch {
	case !slices.ContainsFunc(c.flows, func(x *flowBinding) bool { return x.name == f.Flow }):
		return nil, fmt.Errorf("flow: there is no flow %q", f.Flow)
	case c.by(f.Link) == nil:
		return nil, fmt.Errorf("flow %s: there is no access %q", f.Flow, f.Link)
	}
	return FlowMoved(f), nil
}

// signal makes an Input of what the lab says that a radio hears.
func (l *loop) signal(args json.RawMessage) (Input, error) {
	var s control.Signal
	if err := json.Unmarshal(args, &s); err != nil {
		return nil, fmt.Errorf("signal: %w", err)
	}
	if l.machine.access(s.Dev) == nil {
		return nil, fmt.Errorf("signal: there is no device %q", s.Dev)
	}
	in := SignalChanged{Dev: s.Dev, Heard: s.Level != nil}
	if in.Heard {
		in.Level = *s.Level
	}
	return in, nil
}

// order has the machine do what the lab wants.
func (l *loop) order(c control.Command, do func(time.Time) ([]Output, error)) {
	out, err := do(l.now())
	l.act(out)
	l.teller.Reply(c.ID, nil, err)
}

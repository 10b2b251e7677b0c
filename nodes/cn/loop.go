package cn

import (
	"context"
	"fmt"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/routability"
	"s2clab/nodes/wire/ipv6"
)

// hands do in the kernel what a Correspondent says. Those of Run are over nodes/host;
// tests have others.
type hands interface {
	do(o routability.Output) error
}

// teller is what a control.Conn does for this role.
type teller interface {
	Event(name string, fields map[string]any)
	Reply(id uint64, value any, err error)
}

// A loop owns a Correspondent: it alone calls it.
type loop struct {
	correspondent *routability.Correspondent // nil: this node does not know route optimization
	hands         hands
	teller        teller
	offset        time.Duration // how wrong this node's clock is
}

// now is the time by this node's clock.
func (l *loop) now() time.Time { return time.Now().Add(l.offset) }

// run turns packets into what they bring about, until ctx or commands end. Those are
// packets that the kernel does not understand, and applications do not get.
func (l *loop) run(ctx context.Context, packets <-chan []byte, commands <-chan control.Command) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	l.teller.Event("ready", nil)
	for {
		timer.Stop()
		if d := l.deadline(); !d.IsZero() {
			timer.Reset(d.Sub(l.now()))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case b := <-packets:
			l.act(l.received(b))
		case <-timer.C:
			if l.correspondent != nil {
				l.act(l.correspondent.Tick(l.now()))
			}
		case cmd, ok := <-commands:
			if !ok {
				return nil // the lab has gone
			}
			l.teller.Reply(cmd.ID, nil, fmt.Errorf("a correspondent knows no command %q", cmd.Name))
		}
	}
}

func (l *loop) deadline() time.Time {
	if l.correspondent == nil {
		return time.Time{}
	}
	return l.correspondent.Deadline()
}

// received takes a packet: one with a Mobility Header, or one for applications that
// no binding goes with, RFC 6275, section 9.3.1.
func (l *loop) received(b []byte) []routability.Output {
	p, err := ipv6.Parse(b)
	switch {
	case err != nil:
		return nil
	case p.Next == ipv6.Mobility:
		return l.correspondent.Received(l.now(), b)
	case p.HomeAddress.IsValid() && !p.RoutingHome.IsValid():
		return l.correspondent.Stranger(l.now(), p.Dst, p.HomeAddress, p.Src)
	}
	return nil
}

// act does what the Correspondent says, in its order. What fails is told.
func (l *loop) act(out []routability.Output) {
	for _, o := range out {
		if e, ok := o.(routability.Event); ok {
			l.teller.Event(e.Name, e.Fields)
			continue
		}
		if err := l.hands.do(o); err != nil {
			l.teller.Event("action-failed", map[string]any{"action": fmt.Sprintf("%T", o)[len("routability."):], "error": err.Error()})
		}
	}
}

// Package serve runs the machine of a server that speaks Diameter: it gives it what
// comes and the time, and has it take leave of its peers in the end. What the machine
// wants done, its role does.
package serve

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

// farewell is how long peers may take to agree that a connection ends.
const farewell = 300 * time.Millisecond

// A Teller carries events and answers to the lab: a *control.Conn.
type Teller interface {
	Event(name string, fields map[string]any)
	Reply(id uint64, value any, err error)
}

// A Carrier acts on connections: a *host.DiameterTransport.
type Carrier interface {
	Inputs() <-chan diampeer.Input
	Act(diampeer.Output)
}

// A Listener opens ports: a *host.DiameterTransport.
type Listener interface {
	Listen(at netip.AddrPort) (netip.AddrPort, error)
}

// Listen opens the ports of Diameter, and gives what is wrong with each that cannot be.
func Listen(l Listener, at []netip.AddrPort) (problems []error) {
	for _, a := range at {
		if _, err := l.Listen(a); err != nil {
			problems = append(problems, fmt.Errorf("listen for Diameter: %w", err))
		}
	}
	return problems
}

// A Server is a machine as its role runs it. What comes by other ways than Diameter is
// a T. All functions are called by Run alone.
type Server[T any] struct {
	Connections <-chan diampeer.Input
	Others      <-chan T // nil: there are no other ways
	Now         func() time.Time

	Take      func(diampeer.Input)
	TakeOther func(T)
	Tick      func()
	Command   func(control.Command)
	Deadline  func() time.Time // when Tick is due; zero: never
	Quiet     func() bool      // there is nobody to take leave of
	Failed    func() error     // why it cannot go on; nil: it always can
}

// Run owns the machine until ctx or commands end, then has it take leave.
func (s *Server[T]) Run(ctx context.Context, commands <-chan control.Command) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	over, others := ctx.Done(), s.Others
	var end <-chan time.Time
	var cause error
	leaving := false
	leave := func() {
		leaving, over, commands, others, end = true, nil, nil, nil, time.After(farewell)
		s.Take(diampeer.Stop{Cause: diameter.Rebooting})
	}
	for !leaving || !s.Quiet() {
		if s.Failed != nil {
			if err := s.Failed(); err != nil {
				return err
			}
		}
		timer.Stop()
		if d := s.Deadline(); !d.IsZero() {
			timer.Reset(d.Sub(s.Now()))
		}
		select {
		case <-over:
			cause = context.Cause(ctx)
			leave()
		case <-end:
			return cause
		case in := <-s.Connections:
			s.Take(in)
		case in := <-others:
			s.TakeOther(in)
		case <-timer.C:
			s.Tick()
		case command, ok := <-commands:
			if !ok { // the lab has gone
				leave()
				break
			}
			s.Command(command)
		}
	}
	return cause
}

package bsf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/ub"
	"s2clab/nodes/wire/diameter"
)

// farewell is how long peers may take to agree that a connection ends.
const farewell = 300 * time.Millisecond

// Run is role bsf: it serves until ctx or the lab ends, then takes leave of its peers.
func Run(ctx context.Context, c *control.Conn, cfg *control.Config) error {
	now := func() time.Time { return time.Now().Add(cfg.Clock) }
	m, err := New(cfg, now())
	if err != nil {
		return err
	}
	transport := host.NewDiameterTransport(context.WithoutCancel(ctx))
	defer transport.Close()
	web := host.NewUbServer(context.WithoutCancel(ctx))
	defer web.Close()
	var problems []error
	for _, at := range cfg.BSF.Listen {
		if _, err := transport.Listen(at); err != nil {
			problems = append(problems, fmt.Errorf("listen for Diameter: %w", err))
		}
	}
	for _, at := range cfg.BSF.HTTP {
		if _, err := web.Listen(at); err != nil {
			problems = append(problems, fmt.Errorf("listen for HTTP: %w", err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	c.Event("ready", nil)
	s := &serving{machine: m, connections: transport, mobiles: web, lab: c, now: now}
	return s.serve(ctx, c.Commands())
}

// A teller carries events and answers to the lab: a *control.Conn.
type teller interface {
	Event(name string, fields map[string]any)
	Reply(id uint64, value any, err error)
}

// A carrier acts on connections of Diameter: a *host.DiameterTransport.
type carrier interface {
	Inputs() <-chan diampeer.Input
	Act(diampeer.Output)
}

// A responder carries requests of mobile nodes: a *host.UbServer.
type responder interface {
	Requests() <-chan ub.Requested
	Respond(ub.Respond)
}

// serving is a machine with its hands.
type serving struct {
	machine     *Machine
	connections carrier
	mobiles     responder
	lab         teller
	now         func() time.Time // by the node's clock: lifetimes are told as times of day
}

// serve owns the machine until ctx or commands end.
func (s *serving) serve(ctx context.Context, commands <-chan control.Command) error {
	m := s.machine
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	over, requests := ctx.Done(), s.mobiles.Requests()
	var end <-chan time.Time
	var cause error
	leaving := false
	leave := func() {
		leaving, over, commands, requests, end = true, nil, nil, nil, time.After(farewell)
		s.act(m.Step(s.now(), diampeer.Stop{Cause: diameter.Rebooting}))
	}
	s.act(m.Start(s.now()))
	for !leaving || !m.Quiet() {
		timer.Stop()
		if d := m.Deadline(); !d.IsZero() {
			timer.Reset(d.Sub(s.now()))
		}
		select {
		case <-over:
			cause = context.Cause(ctx)
			leave()
		case <-end:
			return cause
		case in := <-s.connections.Inputs():
			s.act(m.Step(s.now(), in))
		case in := <-requests:
			s.act(m.Requested(s.now(), in))
		case <-timer.C:
			s.act(m.Tick(s.now()))
		case command, ok := <-commands:
			if !ok { // the lab has gone
				leave()
				break
			}
			value, err := m.command(command)
			s.lab.Reply(command.ID, value, err)
		}
	}
	return cause
}

func (s *serving) act(do Actions) {
	for _, o := range do.Connections {
		s.connections.Act(o)
	}
	for _, e := range do.Events { // before a mobile node goes on, so that the journal has causes first
		s.lab.Event(e.Name, e.Fields)
	}
	for _, r := range do.Responses {
		s.mobiles.Respond(r)
	}
}

// command does what the lab asks: state tells Counts; lie {about} makes the server
// tell mobile nodes a lie from now on, or no longer.
func (m *Machine) command(c control.Command) (any, error) {
	switch c.Name {
	case "state":
		return m.Counts(), nil
	case "lie":
		var args struct {
			About ub.Lie `json:"about"`
		}
		if err := json.Unmarshal(c.Args, &args); err != nil || !m.ub.Lie(args.About) {
			return nil, fmt.Errorf("lie: want {about: one of %v}", ub.Lies)
		}
		return nil, nil
	}
	return nil, fmt.Errorf("a BSF has no command %q: want state or lie", c.Name)
}

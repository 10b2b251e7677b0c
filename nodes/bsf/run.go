package bsf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/serve"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/ub"
)

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
	problems := serve.Listen(transport, cfg.BSF.Listen)
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

// A responder carries requests of mobile nodes: a *host.UbServer.
type responder interface {
	Requests() <-chan ub.Requested
	Respond(ub.Respond)
}

// serving is a machine with its hands.
type serving struct {
	machine     *Machine
	connections serve.Carrier
	mobiles     responder
	lab         serve.Teller
	now         func() time.Time // by the node's clock: lifetimes are told as times of day
}

// serve owns the machine until ctx or commands end.
func (s *serving) serve(ctx context.Context, commands <-chan control.Command) error {
	m := s.machine
	s.act(m.Start(s.now()))
	run := serve.Server[ub.Requested]{
		Connections: s.connections.Inputs(), Others: s.mobiles.Requests(), Now: s.now,
		Take:      func(in diampeer.Input) { s.act(m.Step(s.now(), in)) },
		TakeOther: func(in ub.Requested) { s.act(m.Requested(s.now(), in)) },
		Tick:      func() { s.act(m.Tick(s.now())) },
		Command: func(c control.Command) {
			value, err := m.command(c)
			s.lab.Reply(c.ID, value, err)
		},
		Deadline: m.Deadline, Quiet: m.Quiet,
	}
	return run.Run(ctx, commands)
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

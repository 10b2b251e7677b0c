package aaa

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
	"s2clab/nodes/session/radpeer"
	"s2clab/nodes/session/telling"
)

// Run is role aaa: it serves until ctx or the lab ends, then takes leave of its peers.
func Run(ctx context.Context, c *control.Conn, cfg *control.Config) error {
	now := func() time.Time { return time.Now().Add(cfg.Clock) }
	m, err := New(cfg, now())
	if err != nil {
		return err
	}
	transport := host.NewDiameterTransport(context.WithoutCancel(ctx))
	defer transport.Close()
	problems := serve.Listen(transport, cfg.AAA.Listen)
	served := sides{diameter: transport}
	if r := cfg.AAA.RADIUS; r != nil {
		datagrams := host.NewRADIUSTransport(context.WithoutCancel(ctx))
		defer datagrams.Close()
		served.radius = datagrams
		for _, at := range r.Listen {
			if _, _, err := datagrams.Open(at); err != nil {
				problems = append(problems, fmt.Errorf("listen for RADIUS: %w", err))
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	c.Event("ready", nil)
	return run(ctx, m, served, c, c.Commands())
}

// sides are what this node serves by.
type sides struct {
	diameter serve.Carrier
	radius   *host.RADIUSTransport // nil: there are no clients
}

// run owns the machine until ctx or commands end. Nothing in the machine asks
// what time it is in the world, so it gets the process's clock.
func run(ctx context.Context, m *Machine, by sides, lab serve.Teller, commands <-chan control.Command) error {
	act := func(out []diampeer.Output, events []telling.Event) {
		for _, o := range out {
			by.diameter.Act(o)
		}
		for _, o := range m.Datagrams() {
			by.radius.Act(o)
		}
		for _, e := range events {
			lab.Event(e.Name, e.Fields)
		}
	}
	act(m.Start(time.Now()))
	s := serve.Server[radpeer.Received]{
		Connections: by.diameter.Inputs(), Now: time.Now,
		Take:      func(in diampeer.Input) { act(m.Step(time.Now(), in)) },
		TakeOther: func(in radpeer.Received) { act(m.Received(time.Now(), in)) },
		Tick:      func() { act(m.Tick(time.Now())) },
		Command: func(c control.Command) {
			value, err := m.command(c)
			if c.Name == "revoke" {
				var out []diampeer.Output
				var events []telling.Event
				value, out, events, err = m.revoke(time.Now(), c)
				act(out, events)
			}
			lab.Reply(c.ID, value, err)
		},
		Deadline: m.Deadline, Quiet: m.Quiet,
	}
	if by.radius != nil {
		s.Others = by.radius.Inputs()
	}
	return s.Run(ctx, commands)
}

// revoke does what the lab asks: revoke {nai} aborts every session of a subscriber
// and tells how many there are.
func (m *Machine) revoke(now time.Time, c control.Command) (any, []diampeer.Output, []telling.Event, error) {
	var args struct {
		NAI string `json:"nai"`
	}
	if err := json.Unmarshal(c.Args, &args); err != nil || args.NAI == "" {
		return nil, nil, nil, errors.New("revoke: want {nai: ...}")
	}
	n, out, events, err := m.Revoke(now, args.NAI)
	return map[string]int{"sessions": n}, out, events, err
}

// command does what the lab asks: state tells Counts; set-busy {busy} turns
// TOO_BUSY as the answer to everything on or off.
func (m *Machine) command(c control.Command) (any, error) {
	switch c.Name {
	case "state":
		return m.Counts(), nil
	case "set-busy":
		var args struct {
			Busy *bool `json:"busy"`
		}
		if err := json.Unmarshal(c.Args, &args); err != nil || args.Busy == nil {
			return nil, errors.New("set-busy: want {busy: true} or {busy: false}")
		}
		m.SetBusy(*args.Busy)
		return nil, nil
	}
	return nil, fmt.Errorf("an AAA server has no command %q: want state, set-busy or revoke", c.Name)
}

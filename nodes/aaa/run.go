package aaa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/radpeer"
	"s2clab/nodes/wire/diameter"
)

// farewell is how long home agents may take to agree that a connection ends.
const farewell = 300 * time.Millisecond

// Run is role aaa: it serves until ctx or the lab ends, then takes leave of its peers.
func Run(ctx context.Context, c *control.Conn, cfg *control.Config) error {
	now := func() time.Time { return time.Now().Add(cfg.Clock) }
	m, err := New(cfg, now())
	if err != nil {
		return err
	}
	transport := host.NewDiameterTransport(context.WithoutCancel(ctx))
	defer transport.Close()
	var problems []error
	for _, at := range cfg.AAA.Listen {
		if _, err := transport.Listen(at); err != nil {
			problems = append(problems, fmt.Errorf("listen for Diameter: %w", err))
		}
	}
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
	return serve(ctx, m, served, c, c.Commands())
}

// sides are what this node serves by.
type sides struct {
	diameter carrier
	radius   *host.RADIUSTransport // nil: there are no clients
}

// A teller carries events and answers to the lab: a *control.Conn.
type teller interface {
	Event(name string, fields map[string]any)
	Reply(id uint64, value any, err error)
}

// A carrier acts on connections: a *host.DiameterTransport.
type carrier interface {
	Inputs() <-chan diampeer.Input
	Act(diampeer.Output)
}

// serve owns the machine until ctx or commands end. Nothing in the machine asks
// what time it is in the world, so it gets the process's clock.
func serve(ctx context.Context, m *Machine, by sides, lab teller, commands <-chan control.Command) error {
	act := func(out []diampeer.Output, events []Event) {
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
	var datagrams <-chan radpeer.Received
	if by.radius != nil {
		datagrams = by.radius.Inputs()
	}
	act(m.Start(time.Now()))
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	over := ctx.Done()
	var end <-chan time.Time
	var cause error
	leaving := false
	leave := func() {
		leaving, over, commands, end = true, nil, nil, time.After(farewell)
		act(m.Step(time.Now(), diampeer.Stop{Cause: diameter.Rebooting}))
	}
	for !leaving || !m.Quiet() {
		timer.Stop()
		if d := m.Deadline(); !d.IsZero() {
			timer.Reset(time.Until(d))
		}
		select {
		case <-over:
			cause = context.Cause(ctx)
			leave()
		case <-end:
			return cause
		case in := <-by.diameter.Inputs():
			act(m.Step(time.Now(), in))
		case in := <-datagrams:
			act(m.Received(time.Now(), in))
		case <-timer.C:
			act(m.Tick(time.Now()))
		case command, ok := <-commands:
			if !ok { // the lab has gone
				leave()
				break
			}
			value, err := m.command(command)
			if command.Name == "revoke" {
				var out []diampeer.Output
				var events []Event
				value, out, events, err = m.revoke(time.Now(), command)
				act(out, events)
			}
			lab.Reply(command.ID, value, err)
		}
	}
	return cause
}

// revoke does what the lab asks: revoke {nai} aborts every session of a subscriber
// and tells how many there are.
func (m *Machine) revoke(now time.Time, c control.Command) (any, []diampeer.Output, []Event, error) {
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

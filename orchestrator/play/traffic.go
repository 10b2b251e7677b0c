package play

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/control"
	"s2clab/scenarios"
)

// A flow is one that runs: started in one node, open in another.
type flow struct {
	group    string // the traffic step's name
	name     string
	from, to string
}

// firstPort is the port of a run's first flow.
const firstPort = 5001

// traffic opens and starts the flows of a step.
func (p *Player) traffic(ctx context.Context, t *scenarios.Traffic) error {
	for _, f := range t.Flows {
		p.mu.Lock()
		taken := p.flows[f.Name] != nil
		port := uint16(firstPort + p.ports)
		p.ports++
		p.mu.Unlock()
		if taken {
			return fmt.Errorf("flow %q runs already", f.Name)
		}
		path, ok := p.scenario.Topology.PathOver(t.Family, f.From, f.To)
		if !ok {
			return fmt.Errorf("flow %q: no packet gets from %s to %s", f.Name, f.From, f.To)
		}
		local, remote := path.Local, netip.AddrPortFrom(path.Remote, port)
		if err := p.lab.AskTraffic(f.To, "open", control.OpenFlow{Flow: f.Name, Kind: t.Kind, Listen: remote, Rate: t.Rate, Size: t.Size, BothWays: t.BothWays}, nil); err != nil {
			return err
		}
		p.mu.Lock()
		p.flows[f.Name] = &flow{group: t.Name, name: f.Name, from: f.From, to: f.To}
		p.mu.Unlock()
		start := control.StartFlow{
			Flow: f.Name, Kind: t.Kind, Local: local, Remote: remote,
			Rate: t.Rate, Size: t.Size, BothWays: t.BothWays, From: f.From, To: f.To,
		}
		if err := p.lab.AskTraffic(f.From, "start", start, nil); err != nil {
			return err
		}
	}
	if t.For == 0 {
		return nil
	}
	end := time.Now().Add(t.For)
	p.beside(func() error {
		if err := sleepUntil(ctx, end); err != nil {
			return err
		}
		return p.stopFlows([]string{t.Name})
	})
	return nil
}

// drain is how long packets that were sent may take to arrive before the ends of a
// flow stop counting them.
const drain = 300 * time.Millisecond

// stopFlows ends flows by their own names or those of their steps; all where none
// is named.
func (p *Player) stopFlows(names []string) error {
	var stopped []*flow
	p.mu.Lock()
	for key, f := range p.flows {
		if names == nil || slices.Contains(names, f.name) || slices.Contains(names, f.group) {
			stopped = append(stopped, f)
			delete(p.flows, key)
		}
	}
	p.mu.Unlock()
	if stopped == nil {
		return nil
	}
	var errs []error
	ask := func(command string) {
		for _, f := range stopped {
			for _, node := range []string{f.from, f.to} {
				if err := p.lab.AskTraffic(node, command, control.StopFlow{Flow: f.name}, nil); err != nil {
					errs = append(errs, err)
				}
			}
		}
	}
	ask("pause")
	time.Sleep(drain)
	ask("stop")
	return errors.Join(errs...)
}

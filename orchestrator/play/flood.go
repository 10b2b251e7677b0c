package play

import (
	"context"

	"s2clab/nodes/control"
	"s2clab/scenarios"
)

// flood has the traffic process of a node send garbage, beside the next steps.
func (p *Player) flood(ctx context.Context, f *scenarios.Flood) error {
	ask := control.Flood{
		Protocol: f.Protocol, Remote: p.scenario.Topology.AddressFrom(f.From, f.To),
		Rate: f.Rate, Size: f.Size, For: f.For, Seed: p.scenario.Seed,
	}
	p.beside(func() error {
		var done control.Flooded
		if err := p.lab.AskTraffic(f.From, "flood", ask, &done); err != nil {
			return err
		}
		p.say("flood-ended", f.From, map[string]any{"protocol": f.Protocol, "sent": done.Sent, "refused": done.Refused})
		return nil
	})
	return nil
}

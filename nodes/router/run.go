// Package router is role router: a node that forwards packets, that makes itself
// known to the mobile nodes on its links, and that gives them addresses.
//
// Forwarding is the kernel's, whose routes stand before the role starts. Which
// links it advertises and serves on, and what, is in its configuration.
package router

import (
	"context"
	"fmt"
	"sync"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
)

// Run is role router: it runs until ctx or the lab ends.
func Run(ctx context.Context, c *control.Conn, cfg *control.Config) error {
	return run(ctx, c, c.Commands(), cfg)
}

// teller is what a control.Conn does for this role.
type teller interface {
	Event(name string, fields map[string]any)
	Reply(id uint64, value any, err error)
}

func run(ctx context.Context, t teller, commands <-chan control.Command, cfg *control.Config) error {
	h, err := host.Open(cfg)
	if err != nil {
		return err
	}
	defer h.Close()
	a, err := h.Advertiser(cfg)
	if err != nil {
		return err
	}
	servers, err := h.AddressServers(cfg)
	if err != nil {
		a.Close()
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 2)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	start := func(run func() error) {
		running.Go(func() {
			if err := run(); err != nil {
				ended <- err
			}
		})
	}
	start(func() error { return a.Run(ctx) })
	start(func() error { return servers.Run(ctx, t.Event) })
	t.Event("ready", nil)
	for {
		select {
		case cmd, ok := <-commands:
			if !ok {
				return nil
			}
			t.Reply(cmd.ID, nil, fmt.Errorf("a router knows no command %q", cmd.Name))
		case err := <-ended:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

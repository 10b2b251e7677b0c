// Package router is role router: a node that forwards packets, and that makes
// itself known to the mobile nodes on its links.
//
// Forwarding is the kernel's, whose routes stand before the role starts. Which
// links it advertises on, and what, is in its configuration.
package router

import (
	"context"
	"fmt"

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
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		err := a.Run(ctx)
		if err == nil {
			<-ctx.Done()
		}
		ended <- err
	}()
	t.Event("ready", nil)
	for {
		select {
		case cmd, ok := <-commands:
			if ok {
				t.Reply(cmd.ID, nil, fmt.Errorf("a router knows no command %q", cmd.Name))
				continue
			}
			cancel()
			return <-ended
		case err := <-ended:
			cancel()
			return err
		}
	}
}

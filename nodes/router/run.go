// Package router is role router: a node that forwards packets, that makes itself
// known to the mobile nodes on its links, that gives them addresses, and that lets
// only those onto some of its links whom an AAA server has authenticated.
//
// Forwarding is the kernel's, whose routes stand before the role starts. Which
// links it advertises, serves and authenticates on, and what, is in its
// configuration. What an AAA server knows of subscribers it does not see.
package router

import (
	"context"
	"errors"
	"fmt"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
)

// Run is role router: it runs until ctx or the lab ends.
func Run(ctx context.Context, c *control.Conn, cfg *control.Config) error {
	return run(ctx, c, c.Commands(), cfg)
}

func run(ctx context.Context, t host.Teller, commands <-chan control.Command, cfg *control.Config) error {
	access, err := openAccess(t, cfg)
	if err != nil {
		return err
	}
	do := func(c control.Command) (any, error) {
		switch {
		case c.Name != "state":
			return nil, fmt.Errorf("a router knows no command %q: want state", c.Name)
		case access == nil:
			return []Station{}, nil
		}
		return access.loop.stations(), nil
	}
	if access == nil {
		return host.Gateway(ctx, t, commands, cfg, do)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- access.run(ctx)
		cancel()
	}()
	err = host.Gateway(ctx, t, commands, cfg, do)
	cancel()
	return errors.Join(err, <-ended)
}

// Package router is role router: a node that forwards packets, that makes itself
// known to the mobile nodes on its links, and that gives them addresses.
//
// Forwarding is the kernel's, whose routes stand before the role starts. Which
// links it advertises and serves on, and what, is in its configuration.
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

func run(ctx context.Context, t host.Teller, commands <-chan control.Command, cfg *control.Config) error {
	return host.Gateway(ctx, t, commands, cfg, func(command string) error {
		return fmt.Errorf("a router knows no command %q", command)
	})
}

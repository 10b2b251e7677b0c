// Package cn is role cn: a correspondent, the far end of what mobile nodes say.
//
// It does nothing by itself. What it sends and receives is the business of role
// traffic, or of programs that a person runs in the node.
package cn

import (
	"context"
	"fmt"

	"s2clab/nodes/control"
)

// Run is role cn: it runs until ctx or the lab ends.
func Run(ctx context.Context, c *control.Conn, _ *control.Config) error {
	return run(ctx, c, c.Commands())
}

// teller is what a control.Conn does for this role.
type teller interface {
	Event(name string, fields map[string]any)
	Reply(id uint64, value any, err error)
}

func run(ctx context.Context, t teller, commands <-chan control.Command) error {
	t.Event("ready", nil)
	for {
		select {
		case <-ctx.Done():
			return nil
		case cmd, ok := <-commands:
			if !ok {
				return nil
			}
			t.Reply(cmd.ID, nil, fmt.Errorf("a correspondent knows no command %q", cmd.Name))
		}
	}
}

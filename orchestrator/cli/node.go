package cli

import (
	"context"
	"fmt"

	"s2clab/nodes/control"
)

// node is a node process: the same program, started by a lab.
func (p *Program) node(ctx context.Context, args []string) error {
	if len(args) != 1 || p.Roles[args[0]] == nil {
		return fmt.Errorf("node: %q: want one role; nodes are started by a lab, not by hand", args)
	}
	conn, cfg, err := control.OpenNode()
	if err != nil {
		return err
	}
	defer conn.Close()
	return p.Roles[args[0]](ctx, conn, cfg)
}

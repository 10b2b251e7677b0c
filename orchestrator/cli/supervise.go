package cli

import (
	"context"

	"s2clab/orchestrator/supervise"
)

// supervise is the process that owns a lab: the same program, started by "run"
// and "up".
func (p *Program) supervise(ctx context.Context, args []string) error { return supervise.Main() }

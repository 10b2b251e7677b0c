package cli

import (
	"context"
	"fmt"

	"s2clab/orchestrator/supervise"
)

// doctor says what a lab needs and whether it is there.
func (p *Program) doctor(ctx context.Context, args []string) error {
	f := p.flags("doctor")
	asJSON := f.Bool("json", false, "print the findings as JSON")
	if err := parseOnly(f, args); err != nil {
		return err
	}
	findings := supervise.Probe()
	if *asJSON {
		if err := printJSON(p.Out, findings); err != nil {
			return err
		}
	}
	missing := 0
	for _, f := range findings {
		mark := "ok     "
		switch {
		case !f.Has && f.Needed:
			mark = "MISSING"
			missing++
		case !f.Has:
			mark = "without"
		}
		if *asJSON {
			continue
		}
		fmt.Fprintf(p.Out, "%s  %s", mark, f.What)
		if f.Detail != "" {
			fmt.Fprintf(p.Out, ": %s", f.Detail)
		}
		fmt.Fprintln(p.Out)
		if !f.Has && f.Mend != "" {
			fmt.Fprintf(p.Out, "         hint: %s\n", f.Mend)
		}
	}
	if missing > 0 {
		return fmt.Errorf("doctor: labs cannot run here: %d things are missing", missing)
	}
	return nil
}

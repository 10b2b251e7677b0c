package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"s2clab/orchestrator/door"
	"s2clab/orchestrator/supervise"
)

// ps lists the labs that run, and the nodes of each.
func (p *Program) ps(ctx context.Context, args []string) error {
	f := p.flags("ps")
	asJSON := f.Bool("json", false, "print as JSON")
	if err := parseOnly(f, args); err != nil {
		return err
	}
	labs, err := door.Labs()
	if err != nil {
		return err
	}
	var all []supervise.Status
	for _, name := range labs {
		s, err := statusOf(name)
		if err != nil {
			fmt.Fprintf(p.Err, "s2clab: lab %s: %v\n", name, err)
			continue
		}
		all = append(all, s)
	}
	if *asJSON {
		shown := []ShownLab{}
		for i := range all {
			shown = append(shown, shownLab(&all[i]))
		}
		return printJSON(p.Out, shown)
	}
	if len(all) == 0 {
		fmt.Fprintln(p.Err, "no lab runs")
		return nil
	}
	w := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LAB\tNODE\tROLE\tSTATE\tLINKS\tADDRESSES")
	for _, s := range all {
		for _, n := range s.Nodes {
			state := "up " + s.Up.Round(time.Second).String()
			if n.PID == 0 {
				state = "stopped"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, n.Name, n.Role, state, strings.Join(n.Attached, " "), strings.Join(n.Addresses, " "))
		}
	}
	return w.Flush()
}

func statusOf(lab string) (s supervise.Status, err error) {
	call, err := knock(lab, "status", nil)
	if err != nil {
		return s, err
	}
	return s, call.Wait(&s)
}

// down takes labs down.
func (p *Program) down(ctx context.Context, args []string) error {
	f := p.flags("down")
	lab := labFlag(f)
	every := f.Bool("all", false, "all labs that run")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	names := words
	if *lab != "" {
		names = append(names, *lab)
	}
	switch {
	case *every && len(names) > 0:
		return usage("down", "no lab beside --all", names)
	case *every:
		if names, err = door.Labs(); err != nil {
			return err
		}
		if len(names) == 0 {
			fmt.Fprintln(p.Err, "no lab runs")
		}
	case len(names) == 0:
		name, err := theLab("")
		if err != nil {
			return err
		}
		names = []string{name}
	}
	var errs []error // one that is not there keeps none of the others
	for _, name := range names {
		call, err := knock(name, "down", nil)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		call.Wait(nil) // ends when the lab has
		fmt.Fprintf(p.Err, "lab %s is down\n", name)
	}
	return errors.Join(errs...)
}

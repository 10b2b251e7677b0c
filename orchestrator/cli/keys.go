package cli

import (
	"context"
	"fmt"

	"s2clab/orchestrator/report"
	"s2clab/topologies/strict"
)

// keys shows the keys of a finished run: what each was made of, and who held it.
func (p *Program) keys(ctx context.Context, args []string) error {
	f := p.flags("keys")
	asJSON := f.Bool("json", false, "print as JSON")
	nai := f.String("nai", "", "only the keys of this `subscriber`: an NAI, or what stands before its @")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	dir, err := theRun("keys", words)
	if err != nil {
		return err
	}
	r, err := readReport(dir)
	if err != nil {
		return err
	}
	keys := r.KeysOf(*nai)
	switch {
	case len(keys) == 0 && len(r.Keys) > 0:
		return fmt.Errorf("keys: no node of this run told of a key of %q\n    hint: %s", *nai, strict.Suggest(*nai, "subscribers", r.Subscribers()))
	case *asJSON:
		return printJSON(p.Out, report.ResultKeys(keys))
	case len(keys) == 0 && r.Topology.Security.Integrity == "none":
		fmt.Fprintln(p.Err, "no node of this run told of a key: nothing is authenticated with security.integrity none")
		return nil
	case len(keys) == 0:
		fmt.Fprintln(p.Err, "no node of this run told of a key\n    hint: keys are made when a mobile node first registers at its home agent from a visited link; runs of versions that had no command keys tell of none")
		return nil
	}
	_, err = fmt.Fprint(p.Out, report.KeysText(keys, columnsOf(p.Out), p.colours()))
	return err
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report"
	"s2clab/scenarios"
)

// report writes the report of a finished run again, from its journal.
func (p *Program) report(ctx context.Context, args []string) error {
	f := p.flags("report")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	dir, err := theRun("report", words)
	if err != nil {
		return err
	}
	r, err := writeReport(dir)
	if err != nil {
		return err
	}
	p.printReport(dir, r)
	return nil
}

// theRun is the folder of the one finished run that the arguments of a verb name.
func theRun(verb string, words []string) (dir string, err error) {
	if len(words) != 1 {
		return "", usage(verb, "the folder of one run", words)
	}
	if _, err := os.Stat(words[0]); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s: there is no folder %s\n    hint: runs are kept in runs/<date>-<scenario>, or where --runs said", verb, words[0])
	}
	if _, err := os.Stat(filepath.Join(words[0], "journal.jsonl")); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s: %s is not the folder of a run: there is no journal.jsonl in it\n    hint: runs are kept in runs/<date>-<scenario>, or where --runs said", verb, words[0])
	}
	return words[0], nil
}

// writeReport reads what a run has left in its folder, and writes report.html,
// result.json and junit.xml there.
func writeReport(dir string) (*report.Report, error) {
	r, err := readReport(dir)
	if err != nil {
		return nil, err
	}
	return r, r.WriteTo(dir)
}

// readReport reads what a run has left in its folder.
func readReport(dir string) (*report.Report, error) {
	s, err := scenarios.Load(filepath.Join(dir, "scenario.yaml"))
	if err != nil {
		return nil, err
	}
	events, err := journal.Read(filepath.Join(dir, "journal.jsonl"))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // of a run that was cut off, what is there counts
		return nil, err
	}
	run := report.Run{
		ID: filepath.Base(dir), Scenario: s.Name, Description: s.Description, Seed: s.Seed,
		Topology: s.Topology, Events: events, Picture: s.Topology.SVG(), Program: Version(),
	}
	for _, e := range events {
		if e.Name != "run-started" {
			continue
		}
		if wall, ok := e.Fields["wall"].(string); ok {
			run.Started, _ = time.Parse(time.RFC3339Nano, wall)
		}
		if program, ok := e.Fields["program"].(string); ok {
			run.Program = program
		}
	}
	return report.New(run), nil
}

// colours says whether results are to be in colour.
func (p *Program) colours() bool { return isTerminal(p.Out) && os.Getenv("NO_COLOR") == "" }

func (p *Program) printReport(dir string, r *report.Report) {
	fmt.Fprint(p.Out, r.Text(p.colours()))
	fmt.Fprintf(p.Out, "\nreport: %s\n", filepath.Join(dir, "report.html"))
}

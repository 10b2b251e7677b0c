package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"s2clab/orchestrator/door"
	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report"
	"s2clab/orchestrator/supervise"
	"s2clab/scenarios"
)

// runFlags are those of run.
type runFlags struct {
	set      *overrides
	seed     uint64
	folder   string
	quiet    bool
	asJSON   bool
	all      bool
	repeat   int
	showKeys *bool
}

// run brings a scenario's topology up, plays it, judges it, reports and takes
// everything down.
func (p *Program) run(ctx context.Context, args []string) error {
	var o runFlags
	f := p.flags("run")
	o.set = setFlag(f)
	f.Uint64Var(&o.seed, "seed", 0, "the `number` that every random choice comes from; left out: the scenario's")
	f.StringVar(&o.folder, "runs", "runs", "the `folder` that runs are kept in")
	f.BoolVar(&o.quiet, "quiet", false, "do not tell the run as it happens")
	f.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	f.BoolVar(&o.all, "all", false, "play every shipped scenario")
	o.showKeys = showKeysFlag(f)
	f.IntVar(&o.repeat, "repeat", 1, "play it so many `times`, each with the next seed")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	switch {
	case o.all && len(words) > 0:
		return usage("run", "no scenario beside --all, which plays every shipped one", words)
	case o.all:
		words = scenarios.Shipped()
	case len(words) == 0:
		words = []string{scenarios.Default}
	case len(words) > 1:
		return usage("run", "one scenario: a file, the name of a shipped one, or the folder of a run", words)
	}
	if o.repeat < 1 {
		return fmt.Errorf("run: --repeat %d: want 1 or more", o.repeat)
	}
	if !o.all {
		s, err := o.load(words[0], 0)
		if err != nil {
			return err
		}
		if o.repeat == 1 {
			_, r, err := p.runOne(ctx, s, &o)
			if err != nil {
				return err
			}
			return p.tellRun(r, &o)
		}
	}
	return p.runSeveral(ctx, words, &o)
}

// load reads a scenario for its nth repetition.
func (o *runFlags) load(name string, nth int) (*scenarios.Scenario, error) {
	s, err := loadScenario(name, *o.set)
	if err != nil {
		return nil, err
	}
	if o.seed != 0 {
		s.Seed = o.seed
	}
	s.Seed += uint64(nth)
	return s, nil
}

// runSeveral plays scenarios one after the other, each as often as was asked. One
// that cannot be played keeps none of the others from it.
func (p *Program) runSeveral(ctx context.Context, names []string, o *runFlags) error {
	var series report.Series
	whole := len(names) * o.repeat
	for i := 0; i < whole && ctx.Err() == nil; i++ {
		name := names[i/o.repeat]
		if !o.quiet {
			fmt.Fprintf(p.Err, "run %d of %d\n", i+1, whole)
		}
		s, err := o.load(name, i%o.repeat)
		if err != nil {
			series.AddFailed(name, 0, "", err)
			fmt.Fprintf(p.Err, "s2clab: %s: %v\n", name, err)
			continue
		}
		dir, r, err := p.runOne(ctx, s, o)
		if err != nil {
			series.AddFailed(s.Name, s.Seed, near(dir), err)
			fmt.Fprintf(p.Err, "s2clab: %s: %v\n", s.Name, err)
			continue
		}
		series.Add(r.Report, near(dir))
		if !o.asJSON {
			p.tellRun(r, o)
			fmt.Fprintln(p.Out)
		}
	}
	if o.asJSON {
		if err := series.JSON(p.Out); err != nil {
			return err
		}
	} else {
		fmt.Fprint(p.Out, series.Text(p.colours()))
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted: the table has what was played until then")
	case series.Verdict() == report.Failed:
		return exitStatus(Failed) // why has been said
	case series.Verdict() == report.NotHeld:
		return errNotHeld
	}
	return nil
}

// A playedRun is a run that was played to its end, and its folder.
type playedRun struct {
	*report.Report
	dir  string
	held bool
}

// tellRun prints what a run showed. Where it did not hold it is an error.
func (p *Program) tellRun(r *playedRun, o *runFlags) error {
	if err := p.tellResult(r, o); err != nil {
		return err
	}
	if !r.held {
		return errNotHeld
	}
	return nil
}

// runOne plays one scenario, from nothing to nothing left, and writes its report.
// The folder is there also where that went wrong, but for "".
func (p *Program) runOne(ctx context.Context, s *scenarios.Scenario, o *runFlags) (dir string, r *playedRun, err error) {
	if dir, err = p.makeRun(o.folder, s); err != nil {
		return "", nil, err
	}
	supervisor, err := spawnRun(dir)
	if err != nil {
		return dir, nil, err
	}
	defer supervisor.Kill()
	call, err := supervisor.Run(supervise.RunArgs{
		UpArgs:   supervise.UpArgs{Name: supervisor.Name, Topology: s.Topology, Seed: s.Seed, ShowKeys: *o.showKeys},
		PlayArgs: supervise.PlayArgs{Dir: dir, Version: Version()},
	})
	if err != nil {
		return dir, nil, err
	}
	result, err := p.follow(ctx, call, o, s)
	if err != nil {
		call.Close()
		supervisor.End() // it writes down what it has seen until now
		return dir, nil, fmt.Errorf("%w\n    hint: \"s2clab report %s\" shows what was recorded until then", err, quote(near(dir)))
	}
	supervisor.Kill()
	r, err = played(dir, result)
	return dir, r, err
}

// played reads a run that has ended, and writes its report.
func played(dir string, result *supervise.Played) (*playedRun, error) {
	r, err := writeReport(dir)
	if err != nil {
		return nil, err
	}
	return &playedRun{r, dir, result.Held}, nil
}

// spawnRun starts the supervisor of a run, with the name of its folder. Runs that
// are kept in several places may have the same: then a number tells them apart.
func spawnRun(dir string) (*supervise.Supervisor, error) {
	name := filepath.Base(dir)
	for i := 2; ; i++ {
		s, err := supervise.Spawn(name)
		if !errors.Is(err, door.ErrTaken) {
			return s, err
		}
		name = fmt.Sprintf("%s-%d", filepath.Base(dir), i)
	}
}

// near is a path as short as it can be written from here.
func near(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	short, err := filepath.Rel(here, path)
	if err != nil || strings.HasPrefix(short, "..") {
		return path
	}
	return short
}

// quote is a word as a shell takes it.
func quote(word string) string {
	if strings.ContainsAny(word, " \t'\"$&|;<>()*?[]#~`\\") {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

// makeRun makes the folder of a run, with the exact files that it is made from.
func (p *Program) makeRun(folder string, s *scenarios.Scenario) (dir string, err error) {
	stamp := time.Now().Format("20060102-150405")
	for i := 0; ; i++ {
		dir = filepath.Join(folder, stamp+"-"+s.Name)
		if i > 0 {
			dir += fmt.Sprintf("-%d", i+1)
		}
		if err = os.MkdirAll(folder, 0o755); err != nil {
			return "", fmt.Errorf("%w\n    hint: --runs FOLDER keeps runs elsewhere", err)
		}
		if err = os.Mkdir(dir, 0o755); err == nil {
			break
		}
		if !errors.Is(err, os.ErrExist) {
			return "", fmt.Errorf("%w\n    hint: --runs FOLDER keeps runs elsewhere", err)
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	files, err := s.Files()
	if err != nil {
		return "", err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// follow tells a run as it happens and returns its result.
func (p *Program) follow(ctx context.Context, call *door.Call, o *runFlags, s *scenarios.Scenario) (*supervise.Played, error) {
	stop := context.AfterFunc(ctx, func() { call.Close() })
	defer stop()
	t := &timeline{out: p.Err, colour: isTerminal(p.Err) && os.Getenv("NO_COLOR") == ""}
	for _, n := range s.Topology.Nodes {
		t.width = max(t.width, len(n.Name))
	}
	if !o.quiet {
		fmt.Fprintf(p.Err, "%s\n%s\n", t.paint(bold, s.Name), t.paint(dim, wrap(s.Description, 80)))
	}
	next := make(chan heard)
	go listen(call, next)
	tick := time.NewTicker(settle / 3)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			t.settled(now)
		case h := <-next:
			switch {
			case h.err == io.EOF:
				t.end()
				return nil, errors.New("the run ended without a result")
			case h.err != nil && ctx.Err() != nil:
				t.end()
				return nil, errors.New("interrupted")
			case h.err != nil:
				t.end()
				return nil, h.err
			case h.said.Played != nil:
				t.end()
				call.Close()
				return h.said.Played, nil
			case h.said.Event != nil && !o.quiet:
				t.take(journal.Event(*h.said.Event), time.Now())
			}
		}
	}
}

// heard is what a run says next, or why it says no more.
type heard struct {
	said supervise.Said
	err  error
}

// listen hands over what a run says, until its result or the end of it.
func listen(call *door.Call, to chan<- heard) {
	for {
		var h heard
		h.err = call.Next(&h.said)
		to <- h
		if h.err != nil || h.said.Played != nil {
			return
		}
	}
}

// wrap breaks a text between words into lines of that many characters at most.
func wrap(text string, most int) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+n > most:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

// tellResult prints what a run showed.
func (p *Program) tellResult(r *playedRun, o *runFlags) error {
	if o.asJSON {
		return r.JSON(p.Out)
	}
	if !o.quiet {
		fmt.Fprintln(p.Err)
	}
	p.printReport(r.dir, r.Report)
	return nil
}

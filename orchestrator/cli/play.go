package cli

import (
	"context"
	"fmt"
	"os"

	"s2clab/orchestrator/supervise"
)

// play plays a scenario on a lab that is up.
func (p *Program) play(ctx context.Context, args []string) error {
	f := p.flags("play")
	lab := labFlag(f)
	o := &runFlags{set: setFlag(f)}
	f.StringVar(&o.folder, "runs", "runs", "the `folder` that runs are kept in")
	f.BoolVar(&o.quiet, "quiet", false, "do not tell the run as it happens")
	f.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usage("play", "one scenario: a file, or the name of a shipped one", words)
	}
	name, err := theLab(*lab)
	if err != nil {
		return err
	}
	s, err := loadScenario(words[0], *o.set)
	if err != nil {
		return err
	}
	status, err := statusOf(name)
	if err != nil {
		return err
	}
	if status.Topology != s.Topology.Name {
		return fmt.Errorf("lab %s runs topology %s, and scenario %s is about %s\n    hint: \"s2clab run %s\" plays it in a lab of its own", name, status.Topology, s.Name, s.Topology.Name, words[0])
	}
	dir, err := p.makeRun(o.folder, s)
	if err != nil {
		return err
	}
	call, err := knock(name, "play", supervise.PlayArgs{Dir: dir, Version: Version()})
	if err != nil {
		return err
	}
	result, err := p.follow(ctx, call, o, s)
	if err != nil {
		return err
	}
	r, err := played(dir, result)
	if err != nil {
		return err
	}
	return p.tellRun(r, o)
}

// capture writes what links carry, live, to a file or to standard output, where
// Wireshark may read it: s2clab capture wlan -w - | wireshark -k -i -
func (p *Program) capture(ctx context.Context, args []string) error {
	f := p.flags("capture")
	lab := labFlag(f)
	to := f.String("w", "-", "the `file` to write to; - is standard output")
	links, err := parse(f, args)
	if err != nil {
		return err
	}
	name, err := theLab(*lab)
	if err != nil {
		return err
	}
	out := p.Out
	if *to != "-" {
		if out, err = os.Create(*to); err != nil {
			return fmt.Errorf("capture: %w\n    hint: -w FILE wants a place that can be written to", err)
		}
		defer out.Close()
	} else if isTerminal(out) {
		return fmt.Errorf("capture: pcapng is not for a terminal\n    hint: -w FILE writes it to a file; s2clab capture LINK | wireshark -k -i - shows it")
	}
	call, err := knock(name, "capture", supervise.CaptureArgs{Links: links}, out)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { call.Close() })
	defer stop()
	var end supervise.CaptureEnd
	if err := call.Wait(&end); err != nil && ctx.Err() == nil {
		return err
	}
	if end.Lost > 0 {
		fmt.Fprintf(p.Err, "%d packets were left out: the reader was slow\n", end.Lost)
	}
	return nil
}

package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"s2clab/orchestrator/door"
	"s2clab/orchestrator/supervise"
	"s2clab/topologies"
	"s2clab/topologies/strict"
)

// overrides are the values of a flag --set PATH=VALUE that may stand several
// times.
type overrides []topologies.Override

func (o *overrides) String() string { return "" }

func (o *overrides) Set(text string) error {
	one, err := strict.ParseOverride(text)
	if err == nil {
		*o = append(*o, one)
	}
	return err
}

// setFlag lets a person change any value of the files for this once.
func setFlag(f *flag.FlagSet) *overrides {
	o := &overrides{}
	f.Var(o, "set", "change a value of the file for this once: `PATH=VALUE`, such as links.wlan.delay=50ms")
	return o
}

// showKeysFlag lets a person have keys told with their values.
func showKeysFlag(f *flag.FlagSet) *bool {
	return f.Bool("show-keys", false, "tell the values of keys, and not only their fingerprints")
}

// up brings up a lab that stays.
func (p *Program) up(ctx context.Context, args []string) error {
	f := p.flags("up")
	name := f.String("name", "", "the `name` of the lab; the topology's where it is left out")
	seed := f.Uint64("seed", 1, "the `number` that every random choice comes from")
	set := setFlag(f)
	keys := showKeysFlag(f)
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usage("up", "one topology: a file, or the name of a shipped one", words)
	}
	t, err := loadTopology(words[0], *set)
	if err != nil {
		return err
	}
	if *name == "" {
		*name = t.Name
	}
	s, err := supervise.Spawn(*name)
	if errors.Is(err, door.ErrTaken) {
		return fmt.Errorf("%w\n    hint: \"s2clab down %s\" takes that one down; --name NAME gives the new one another name", err, *name)
	}
	if err != nil {
		return err
	}
	call, err := s.Up(supervise.UpArgs{Name: *name, Topology: t, Seed: *seed, Stay: true, Attach: true, ShowKeys: *keys})
	if err != nil {
		s.Kill()
		return err
	}
	ready, err := awaitReady(ctx, s, call)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.Err, "lab %s is up: %d nodes, %d links in %v, %s\n", *name, len(t.Nodes), len(t.Links), ready.Took.Round(time.Millisecond), ready.Links)
	return nil
}

// awaitReady waits until a lab is up, and ends it where it does not come up or
// the person no longer wants it.
func awaitReady(ctx context.Context, s *supervise.Supervisor, call *door.Call) (ready supervise.Ready, err error) {
	stop := context.AfterFunc(ctx, func() { call.Close() })
	defer stop()
	if err = call.Next(&ready); err != nil {
		call.Close()
		s.Kill()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}
	return ready, err
}

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"s2clab/scenarios"
	"s2clab/topologies"
	"s2clab/topologies/strict"
)

// check says what is wrong with files, and with -v what was chosen for what they
// leave out.
func (p *Program) check(ctx context.Context, args []string) error {
	f := p.flags("check")
	verbose := f.Bool("v", false, "say also what was chosen where a file leaves something out")
	set := setFlag(f)
	files, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return usage("check", "topologies or scenarios: files, or names of shipped ones", nil)
	}
	wrong := 0
	for _, name := range files {
		what, choices, err := load(name, *set)
		if err != nil {
			fmt.Fprintln(p.Err, err)
			wrong++
			continue
		}
		fmt.Fprintf(p.Out, "%s: %s\n", name, what)
		if *verbose {
			for _, c := range choices {
				fmt.Fprintf(p.Out, "  %s\n", c)
			}
		}
	}
	if wrong > 0 {
		return exitStatus(Failed)
	}
	return nil
}

// load reads a topology or a scenario, by whichever the file says it is.
func load(name string, set overrides) (what string, choices []topologies.Choice, err error) {
	if isScenario(name) {
		s, err := scenarios.Load(name, set...)
		if err != nil {
			return "", nil, err
		}
		return fmt.Sprintf("scenario %s is good: %d steps, %d expectations, topology %s", s.Name, len(s.Steps), len(s.Expect), s.Topology.Name), s.Choices, nil
	}
	if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
		if _, err := topologies.Find(name); err != nil {
			all := append(topologies.Shipped(), scenarios.Shipped()...)
			return "", nil, fmt.Errorf("%s: there is no such file, and no shipped topology or scenario of that name\n    hint: %s", name, strict.Suggest(name, "shipped", all))
		}
	}
	t, choices, err := topologies.Load(name, set...)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("topology %s is good: %d nodes, %d links", t.Name, len(t.Nodes), len(t.Links)), choices, nil
}

// loadTopology reads a topology. Who names a scenario in its place is told.
func loadTopology(name string, set overrides) (*topologies.Topology, error) {
	t, _, err := topologies.Load(name, set...)
	if err != nil && isScenario(name) {
		if s, wrong := scenarios.Load(name); wrong == nil {
			return nil, fmt.Errorf("%s is a scenario, and a topology is wanted\n    hint: its topology is %s; \"s2clab run %s\" plays it", name, s.Topology.Name, name)
		}
	}
	return t, err
}

// loadScenario reads a scenario. Who names something else in its place is told.
func loadScenario(name string, set overrides) (*scenarios.Scenario, error) {
	s, err := scenarios.Load(name, set...)
	if err == nil {
		return s, nil
	}
	info, missing := os.Stat(name)
	if missing == nil && info.IsDir() {
		if _, not := scenarios.Find(name); not != nil {
			return nil, fmt.Errorf("%s is a folder without a scenario.yaml\n    hint: %s", name, playable(name))
		}
		return nil, err
	}
	if t, _, wrong := topologies.Load(name); wrong == nil {
		return nil, fmt.Errorf("%s is a topology, and a scenario is wanted\n    hint: \"s2clab up %s\" brings it up; a scenario names it: topology: %s", name, name, t.Name)
	}
	return nil, err
}

// playable is a hint of what in a folder can be played.
func playable(folder string) string {
	found, _ := filepath.Glob(filepath.Join(folder, "*", "scenario.yaml"))
	if len(found) == 0 {
		return "name a file, a folder of a run, or a shipped scenario: " + strings.Join(scenarios.Shipped(), ", ")
	}
	return fmt.Sprintf("in it are %d that can be played, such as %s", len(found), filepath.Dir(found[len(found)-1]))
}

// isScenario says whether a name means a scenario: a folder, a file that begins
// as one, or a shipped one.
func isScenario(name string) bool {
	info, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		_, err := scenarios.Find(name)
		_, not := topologies.Find(name)
		return err == nil && not != nil
	}
	if err != nil || info.IsDir() {
		return err == nil
	}
	file, err := os.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	head := make([]byte, 64<<10)
	n, _ := file.Read(head)
	return bytes.HasPrefix(head[:n], []byte("scenario:")) || bytes.Contains(head[:n], []byte("\nscenario:"))
}

// schema prints the JSON Schema that editors complete files from.
func (p *Program) schema(ctx context.Context, args []string) error {
	f := p.flags("schema")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	schemas := map[string]func() []byte{"topology": topologies.Schema, "subscribers": topologies.SubscribersSchema, "scenario": scenarios.Schema}
	if len(words) != 1 || schemas[words[0]] == nil {
		return usage("schema", "one of topology, subscribers, scenario", words)
	}
	_, err = p.Out.Write(schemas[words[0]]())
	return err
}

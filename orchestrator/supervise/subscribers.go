package supervise

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"s2clab/orchestrator/door"
	"s2clab/orchestrator/lab"
	"s2clab/topologies"
	"s2clab/topologies/strict"
)

// SubscribersArgs ask for the subscribers of an HSS that runs, whose store nobody
// else can open.
type SubscribersArgs struct {
	Node     string // the HSS; empty: the only one
	Import   bool   // the text of File; else its subscribers are asked for
	File     string // its name, for messages
	Text     string
	ShowKeys bool // with an export: their keys too
}

// Subscribers is the answer.
type Subscribers struct {
	Node  string // the HSS
	Text  string // of an export
	Count int    // of an import: subscribers of the file
	Told  int    // requests to AAA servers that it made
}

func (s *server) subscribers(ctx context.Context, r *door.Request) error {
	var args SubscribersArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	l, err := s.ready()
	if err != nil {
		return err
	}
	node, err := theHSS(l, args.Node)
	if err != nil {
		return err
	}
	answer := Subscribers{Node: node}
	if !args.Import {
		if err := l.Ask(node, "export", map[string]bool{"keys": args.ShowKeys}, &answer.Text); err != nil {
			return err
		}
		return r.Send(answer)
	}
	var did struct {
		Subscribers, Told int
		Problems          string
	}
	if err := l.Ask(node, "import", map[string]string{"file": args.File, "text": args.Text}, &did); err != nil {
		return err
	}
	if did.Problems != "" {
		return errors.New(did.Problems)
	}
	answer.Count, answer.Told = did.Subscribers, did.Told
	return r.Send(answer)
}

// theHSS is the one named, or the only one.
func theHSS(l *lab.Lab, name string) (string, error) {
	var all []string
	for i := range l.Topology.Nodes {
		if n := &l.Topology.Nodes[i]; n.HSS != nil {
			all = append(all, n.Name)
		}
	}
	n := (*topologies.Node)(nil)
	if name != "" {
		n = l.Topology.Node(name)
	}
	switch {
	case n != nil && n.HSS != nil:
		return name, nil
	case len(all) == 0:
		return "", fmt.Errorf("topology %s has no HSS\n    hint: give a node role: hss, or name a store file with --store", l.Topology.Name)
	case n != nil:
		return "", fmt.Errorf("node %q has role %s: only an HSS has a store of subscribers\n    hint: HSSs here: %s", name, n.Role, strings.Join(all, ", "))
	case name != "":
		return "", fmt.Errorf("%q is not a node of this lab\n    hint: %s", name, strict.Suggest(name, "HSSs here", all))
	case len(all) > 1:
		return "", fmt.Errorf("%d HSSs are here: %s\n    hint: say which with --node NAME", len(all), strings.Join(all, ", "))
	}
	return all[0], nil
}

package supervise

import (
	"context"
	"fmt"
	"strings"

	"s2clab/orchestrator/door"
	"s2clab/topologies"
)

// LinkArgs ask for a change of a link.
type LinkArgs struct {
	Link   string
	State  string            // up, down; empty: unchanged
	From   []string          // the ends whose frames are meant; nil: all
	Change topologies.Change // what becomes different
}

func (s *server) link(ctx context.Context, r *door.Request) error {
	var args LinkArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	l, err := s.ready()
	if err != nil {
		return err
	}
	if err := l.SetLink(args.Link, args.From, args.Change); err != nil {
		return err
	}
	if args.State != "" {
		return l.SetLinkDown(args.Link, args.State == "down")
	}
	return nil
}

func mobiles(t *topologies.Topology) (names []string) {
	for _, n := range t.Nodes {
		if n.MobileNode != nil {
			names = append(names, n.Name)
		}
	}
	return names
}

// MoveArgs ask for a mobile node to be handed over.
type MoveArgs struct{ Node, To string }

func (s *server) move(ctx context.Context, r *door.Request) error {
	var args MoveArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	l, err := s.ready()
	if err != nil {
		return err
	}
	n := l.Topology.Node(args.Node)
	if n != nil && n.MobileNode == nil {
		return fmt.Errorf("node %q has role %s: only a mobile node can be moved\n    hint: mobile nodes here: %s", n.Name, n.Role, strings.Join(mobiles(l.Topology), ", "))
	}
	was := l.Attached(args.Node)
	if err := l.Attach(args.Node, args.To); err != nil {
		return err
	}
	for _, link := range was {
		if link == args.To {
			continue
		}
		if err := l.Detach(args.Node, link); err != nil {
			return err
		}
	}
	return nil
}

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"s2clab/orchestrator/lab"
	"s2clab/orchestrator/supervise"
	"s2clab/topologies"
	"s2clab/topologies/strict"
)

// link shows links, and changes one.
func (p *Program) link(ctx context.Context, args []string) error {
	f := p.flags("link")
	in := labFlag(f)
	asJSON := f.Bool("json", false, "print as JSON")
	from := f.String("from", "", "change only what happens to frames that these `nodes` send (comma between them)")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	name, err := theLab(*in)
	if err != nil {
		return err
	}
	if *from != "" && (len(words) < 2 || words[1] != "set") {
		return fmt.Errorf("link: --from %s stands without \"set\": it says whose frames a change is for\n    hint: s2clab link LINK set --from %s KEY=VALUE", *from, *from)
	}
	if len(words) < 2 {
		return p.showLinks(name, words, *asJSON)
	}
	ask := supervise.LinkArgs{Link: words[0]}
	if *from != "" {
		ask.From = strings.Split(*from, ",")
	}
	switch verb, rest := words[1], words[2:]; {
	case verb == "set" && len(rest) > 0:
		if ask.Change, err = topologies.ParseChange(rest); err != nil {
			return err
		}
	case (verb == "up" || verb == "down") && len(rest) == 0:
		ask.State = verb
	case verb == "set":
		return fmt.Errorf("link: found nothing after \"set\": want KEY=VALUE, such as delay=50ms loss=1%%\n    hint: keys are delay, jitter, loss, rate, queue, duplicate, corrupt, reorder")
	case verb == "up" || verb == "down":
		return usage("link", "nothing after "+verb, rest)
	default:
		return fmt.Errorf("link: %q is not what can be done with a link\n    hint: %s", verb, strict.Suggest(verb, "want", []string{"set", "down", "up"}))
	}
	call, err := knock(name, "link", ask)
	if err != nil {
		return err
	}
	if err := call.Wait(nil); err != nil {
		return err
	}
	return p.showLinks(name, words[:1], *asJSON)
}

// showLinks prints the links named, all where none is.
func (p *Program) showLinks(name string, names []string, asJSON bool) error {
	s, err := statusOf(name)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		all := linkNames(s)
		s.Links = slices.DeleteFunc(s.Links, func(l lab.LinkStatus) bool { return l.Name != names[0] })
		if len(s.Links) == 0 {
			return fmt.Errorf("%q is not a link of lab %s\n    hint: %s", names[0], name, strict.Suggest(names[0], "links there", all))
		}
	}
	if asJSON {
		return printJSON(p.Out, shownEnds(&s))
	}
	w := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LINK\tFROM\tCARRIER\tSENT\tDROPPED\tBY DEVICE\tWHAT IT DOES")
	for _, l := range s.Links {
		for _, e := range l.Ends {
			carrier := "no"
			switch {
			case e.Counters.Gone != "":
				carrier = "gone"
			case l.Down:
				carrier = "down"
			case e.Attached:
				carrier = "yes"
			}
			dropped := uint64(0)
			for _, n := range e.Counters.Dropped {
				dropped += n
			}
			device := "-"
			if d := e.Device; d != nil {
				device = fmt.Sprint(d.Sent + d.Arrived)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", l.Name, e.Node, carrier, e.Counters.Sent, dropped, device, topologies.Describe(e.Impairment))
		}
	}
	return w.Flush()
}

func linkNames(s supervise.Status) (names []string) {
	for _, l := range s.Links {
		names = append(names, l.Name)
	}
	return names
}

// move hands a mobile node over: it attaches to a link, then leaves the others.
func (p *Program) move(ctx context.Context, args []string) error {
	f := p.flags("move")
	lab := labFlag(f)
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(words) != 2 {
		return usage("move", "a mobile node and a link", words)
	}
	name, err := theLab(*lab)
	if err != nil {
		return err
	}
	call, err := knock(name, "move", supervise.MoveArgs{Node: words[0], To: words[1]})
	if err != nil {
		return err
	}
	return call.Wait(nil)
}

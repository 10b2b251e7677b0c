package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"s2clab/nodes/hss/store"
	"s2clab/orchestrator/supervise"
	"s2clab/topologies/strict"
)

// subscribers writes out whom an HSS knows, or puts a file of subscribers into its
// store: one that lies in a file, or that of an HSS which runs.
func (p *Program) subscribers(ctx context.Context, args []string) error {
	f := p.flags("subscribers")
	file := f.String("store", "", "the `file` of a store that no lab has open; left out: the HSS of a lab that is up")
	in := labFlag(f)
	node := f.String("node", "", "the `name` of the HSS, where the lab has several")
	keys := f.Bool("show-keys", false, "export keys too")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return usage("subscribers", "import and a file, or export", words)
	}
	importing := words[0] == "import"
	switch rest := words[1:]; {
	case importing && len(rest) != 1:
		return usage("subscribers", "one file after import", words)
	case words[0] == "export" && len(rest) > 0:
		return usage("subscribers", "nothing after export, which prints", words)
	case !importing && words[0] != "export":
		return fmt.Errorf("subscribers: %q is not what can be done with them\n    hint: %s", words[0], strict.Suggest(words[0], "want", []string{"import", "export"}))
	case importing && *keys:
		return fmt.Errorf("subscribers: --show-keys stands with import: it says what an export has\n    hint: s2clab subscribers export --show-keys")
	case *file != "" && (*in != "" || *node != ""):
		return fmt.Errorf("subscribers: --store stands beside --lab or --node: a store is a file, or that of an HSS which runs\n    hint: take one of them away")
	}
	ask := supervise.SubscribersArgs{Node: *node, Import: importing, ShowKeys: *keys}
	if importing {
		text, err := strict.ReadFileUpTo(words[1], store.MostOctets)
		if err != nil {
			return err
		}
		ask.File, ask.Text = words[1], string(text)
	}
	if *file != "" {
		return p.subscribersOf(*file, &ask)
	}
	name, err := theLab(*in)
	if err != nil {
		return err
	}
	call, err := knock(name, "subscribers", ask)
	if err != nil {
		return err
	}
	var answer supervise.Subscribers
	if err := call.Wait(&answer); err != nil {
		return err
	}
	if importing {
		fmt.Fprintf(p.Out, "%s of lab %s has %d subscribers of %s; AAA servers are told of %d changes\n", answer.Node, name, answer.Count, ask.File, answer.Told)
		return nil
	}
	fmt.Fprint(p.Out, answer.Text)
	return nil
}

// subscribersOf does what is asked with the store in a file.
func (p *Program) subscribersOf(file string, ask *supervise.SubscribersArgs) (err error) {
	if _, err := os.Stat(file); !ask.Import && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is no such store\n    hint: \"s2clab subscribers import FILE --store %s\" makes it", file, file)
	}
	s, err := store.Open(file, store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if !ask.Import {
		_, err = p.Out.Write(s.Export(store.ExportOptions{ShowKeys: ask.ShowKeys}))
		return err
	}
	records, err := store.Parse(ask.File, []byte(ask.Text), s.Subscriber)
	if err != nil {
		return err
	}
	if err := s.Import(records); err != nil {
		return err
	}
	fmt.Fprintf(p.Out, "%s has %d subscribers of %s\n", file, len(records), ask.File)
	return nil
}

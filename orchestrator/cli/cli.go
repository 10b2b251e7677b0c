// Package cli is the command line: one file per verb. It reads flags, asks the
// rooms that know, and prints; it decides nothing.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"text/tabwriter"

	"s2clab/nodes/control"
	"s2clab/topologies/strict"
)

// Exit statuses of the program.
const (
	Held    = 0 // it ran, and all that was expected held
	NotHeld = 1 // it ran, and something that was expected did not hold
	Failed  = 2 // it could not run
)

// IO is where a command reads and writes.
type IO struct {
	In       *os.File
	Out, Err *os.File
}

// A Role is what a node process of that role does until its context ends or the
// lab goes away.
type Role func(ctx context.Context, c *control.Conn, cfg *control.Config) error

// A Program is what the commands work with.
type Program struct {
	IO
	Roles map[string]Role

	explain func(*flag.FlagSet) // has the flags of a verb whose help was asked for; nil: they are printed
}

// A command is one verb.
type command struct {
	name    string
	args    string // as its usage line shows them
	summary string
	run     func(p *Program, ctx context.Context, args []string) error
	hidden  bool // for the program itself
}

// commands are all verbs, in the order in which help shows them.
func commands() []command {
	return []command{
		{name: "run", args: "[SCENARIO]", summary: "bring up, play, judge, report, take down", run: (*Program).run},
		{name: "up", args: "TOPOLOGY", summary: "bring up a lab that stays", run: (*Program).up},
		{name: "play", args: "SCENARIO", summary: "play a scenario on a lab that is up", run: (*Program).play},
		{name: "ps", summary: "the labs that run, and their nodes", run: (*Program).ps},
		{name: "logs", args: "[NODE]", summary: "what has happened in a lab that is up", run: (*Program).logs},
		{name: "exec", args: "NODE -- COMMAND...", summary: "run a program in a node", run: (*Program).exec},
		{name: "shell", args: "NODE", summary: "a shell in a node", run: (*Program).shell},
		{name: "link", args: "[LINK [set KEY=VALUE... | down | up]]", summary: "look at links and change them", run: (*Program).link},
		{name: "move", args: "NODE LINK", summary: "hand a mobile over to another link", run: (*Program).move},
		{name: "subscribers", args: "import FILE | export", summary: "put subscribers into the store of an HSS, or print them", run: (*Program).subscribers},
		{name: "capture", args: "[LINK...]", summary: "packets of links, live, as pcapng; of all where none is named", run: (*Program).capture},
		{name: "down", args: "[LAB...]", summary: "take a lab down", run: (*Program).down},
		{name: "check", args: "FILE...", summary: "say what is wrong with topologies and scenarios", run: (*Program).check},
		{name: "schema", args: "topology | subscribers | scenario", summary: "print the JSON Schema of a file format", run: (*Program).schema},
		{name: "graph", args: "TOPOLOGY", summary: "draw a topology as SVG, DOT or Mermaid", run: (*Program).graph},
		{name: "report", args: "RUN", summary: "write the report of a finished run again", run: (*Program).report},
		{name: "keys", args: "RUN", summary: "the keys of a finished run: what each was made of, and who held it", run: (*Program).keys},
		{name: "doctor", summary: "say what this kernel and this user can do", run: (*Program).doctor},
		{name: "version", summary: "print the version", run: (*Program).version},
		{name: "completion", args: "bash | zsh | fish", summary: "print what makes a shell complete words", run: (*Program).completion},
		{name: "complete", run: (*Program).complete, hidden: true},
		{name: "node", args: "ROLE", run: (*Program).node, hidden: true},
		{name: "supervise", run: (*Program).supervise, hidden: true},
	}
}

// Run executes one command line and returns its exit status.
func (p *Program) Run(ctx context.Context, args []string) int {
	switch {
	case len(args) == 0:
		p.help()
		return Failed
	case args[0] == "help" && len(args) > 1:
		args = []string{args[1], "-h"}
	case args[0] == "help", args[0] == "-h", args[0] == "--help":
		p.help()
		return Held
	case args[0] == "--version":
		args[0] = "version"
	}
	all := commands()
	for i := range all {
		if all[i].name == args[0] {
			return p.status(all[i].name, all[i].run(p, ctx, args[1:]))
		}
	}
	names := make([]string, 0, len(all))
	for _, c := range all {
		if !c.hidden {
			names = append(names, c.name)
		}
	}
	fmt.Fprintf(p.Err, "s2clab: %q is not a command\n    hint: %s; \"s2clab help\" says what each does\n", args[0], strict.Suggest(args[0], "commands", names))
	return Failed
}

// A notHeld ends a command whose run did not hold. What failed has been said.
var errNotHeld = errors.New("an expectation did not hold")

// An exitStatus ends a command with the status of a program that it ran.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// status says what went wrong, and turns it into an exit status.
func (p *Program) status(verb string, err error) int {
	var exit exitStatus
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return Held
	case errors.Is(err, errNotHeld):
		return NotHeld
	case errors.As(err, &exit):
		return int(exit)
	}
	fmt.Fprintf(p.Err, "s2clab: %v\n", err)
	return Failed
}

func (p *Program) help() {
	fmt.Fprint(p.Out, "s2clab runs labs of the 3GPP S2c reference point on this machine.\n\nusage: s2clab COMMAND [FLAGS] [ARGUMENTS]\n\n")
	w := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	for _, c := range commands() {
		if !c.hidden {
			fmt.Fprintf(w, "  %s\t%s\n", strings.TrimSpace(c.name+" "+c.args), c.summary)
		}
	}
	w.Flush()
	fmt.Fprint(p.Out, "\n\"s2clab COMMAND -h\" shows the flags of a command.\nExit status: 0 it held, 1 it ran and did not hold, 2 it could not run.\n")
}

// flags begins the flags of a verb, whose help is made from the table.
func (p *Program) flags(verb string) *flag.FlagSet {
	f := flag.NewFlagSet(verb, flag.ContinueOnError)
	f.SetOutput(io.Discard) // what is wrong is said once, by status
	f.Usage = func() {
		if p.explain != nil {
			p.explain(f)
			return
		}
		for _, c := range commands() {
			if c.name == verb {
				fmt.Fprintf(p.Out, "usage: s2clab %s\n\n%s.\n", strings.TrimSpace(c.name+" [FLAGS] "+c.args), strings.ToUpper(c.summary[:1])+c.summary[1:])
			}
		}
		w := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
		first := "\n"
		f.VisitAll(func(one *flag.Flag) {
			value, what := flag.UnquoteUsage(one)
			if one.DefValue != "" && one.DefValue != "0" && one.DefValue != "false" {
				what += " (left out: " + one.DefValue + ")"
			}
			fmt.Fprintf(w, "%s  %s\t%s\n", first, strings.TrimSpace(dashed(one.Name)+" "+strings.ToUpper(value)), what)
			first = ""
		})
		w.Flush()
	}
	return f
}

// dashed is a flag as people write it.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// parse reads flags that may stand before, between and after the arguments, and
// returns the arguments. After "--" nothing is a flag.
func parse(f *flag.FlagSet, args []string) (rest []string, err error) {
	help := f.Usage
	f.Usage = func() {} // of a mistake its own hint says more
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				help()
				return nil, err
			}
			return nil, misread(f, err.Error())
		}
		read := len(args) - f.NArg()
		if read > 0 && args[read-1] == "--" {
			return append(rest, f.Args()...), nil
		}
		if f.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, f.Arg(0))
		args = f.Args()[1:]
	}
}

// parseOnly is parse for verbs that take no arguments.
func parseOnly(f *flag.FlagSet, args []string) error {
	rest, err := parse(f, args)
	if err == nil && len(rest) > 0 {
		return usage(f.Name(), "none", rest)
	}
	return err
}

// badValue is what package flag says of a value that cannot be read.
var badValue = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?s)^invalid (?:boolean )?value ("(?:[^"\\]|\\.)*") for (?:flag )?-([^:]+): (.*)$`)
})

// misread says in our words what package flag found.
func misread(f *flag.FlagSet, found string) error {
	if name, ok := strings.CutPrefix(found, "flag provided but not defined: -"); ok {
		var all []string
		f.VisitAll(func(one *flag.Flag) { all = append(all, dashed(one.Name)) })
		return fmt.Errorf("%s: %s is not a flag of it\n    hint: %s", f.Name(), dashed(name), strict.Suggest(dashed(name), "flags", all))
	}
	if name, ok := strings.CutPrefix(found, "flag needs an argument: -"); ok {
		return fmt.Errorf("%s: %s is not followed by a value\n    hint: \"s2clab %s -h\" shows its flags", f.Name(), dashed(name), f.Name())
	}
	if m := badValue().FindStringSubmatch(found); m != nil {
		value, ok := f.Lookup(m[2]).Value.(flag.Getter)
		if !ok { // a flag of ours, which says it all
			return fmt.Errorf("%s: %s", f.Name(), m[3])
		}
		want := "a whole number"
		switch value.Get().(type) {
		case bool:
			want = "true or false, or no value, which is true"
		case uint64:
			want += ", not below 0 and below 2^64"
		}
		return fmt.Errorf("%s: %s %s: want %s\n    hint: \"s2clab %s -h\" shows its flags", f.Name(), dashed(m[2]), m[1], want, f.Name())
	}
	return fmt.Errorf("%s: %s\n    hint: \"s2clab %s -h\" shows its flags", f.Name(), found, f.Name())
}

// usage is the error of a command line whose arguments are not those that a verb
// wants.
func usage(verb, want string, found []string) error {
	said := "no argument"
	if len(found) > 0 {
		quoted := make([]string, len(found))
		for i, word := range found {
			quoted[i] = fmt.Sprintf("%q", word)
		}
		said = "found " + strings.Join(quoted, " ")
	}
	line := verb
	for _, c := range commands() {
		if c.name == verb {
			line += " [FLAGS] " + c.args
		}
	}
	return fmt.Errorf("%s: %s: want %s\n    hint: s2clab %s; \"s2clab %s -h\" says more", verb, said, want, strings.TrimSpace(line), verb)
}

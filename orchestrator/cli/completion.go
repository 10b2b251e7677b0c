package cli

import (
	"context"
	"embed"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"s2clab/orchestrator/door"
	"s2clab/orchestrator/supervise"
	"s2clab/scenarios"
	"s2clab/topologies"
)

// A script for each shell asks this program, at each press of the key, what could
// come next: "s2clab complete WORD...", of which the last is the one that has
// begun and may be empty. Where the answer is nothing, the shell completes files.
//
//go:embed completion/*
var completionScripts embed.FS

var shells = []string{"bash", "zsh", "fish"}

// completion prints the script of a shell.
func (p *Program) completion(ctx context.Context, args []string) error {
	words, err := parse(p.flags("completion"), args)
	if err != nil {
		return err
	}
	if len(words) != 1 || !slices.Contains(shells, words[0]) {
		return usage("completion", "the name of a shell: "+strings.Join(shells, ", "), words)
	}
	script, err := completionScripts.ReadFile("completion/s2clab." + words[0])
	if err != nil {
		return err
	}
	_, err = p.Out.Write(script)
	return err
}

// complete prints what could come next, a word a line, with what it is after a
// tab.
func (p *Program) complete(ctx context.Context, args []string) error {
	if len(args) == 0 {
		args = []string{""}
	}
	last := args[len(args)-1]
	for _, c := range p.candidates(args[:len(args)-1], last) {
		if strings.HasPrefix(c.word, last) {
			fmt.Fprintf(p.Out, "%s\t%s\n", c.word, c.what)
		}
	}
	return nil
}

// A candidate is a word that could come next.
type candidate struct{ word, what string }

// words makes candidates that are all of one kind.
func words(what string, all []string) (found []candidate) {
	for _, word := range all {
		found = append(found, candidate{word, what})
	}
	return found
}

func verbs() (found []candidate) {
	for _, c := range commands() {
		if !c.hidden {
			found = append(found, candidate{c.name, c.summary})
		}
	}
	return found
}

// candidates are the words that could follow those before, of which last is the
// beginning.
func (p *Program) candidates(before []string, last string) []candidate {
	if len(before) == 0 {
		return append(verbs(), candidate{"help", "what each command does"})
	}
	verb := before[0]
	if verb == "help" {
		return verbs()
	}
	f := p.flagsOf(verb)
	if f == nil {
		return nil
	}
	line := typedLine{verb: verb, lab: ""}
	for i := 1; i < len(before); i++ {
		word := before[i]
		if word == "--" {
			return nil // a program in a node, and its arguments
		}
		if !strings.HasPrefix(word, "-") || word == "-" {
			line.args = append(line.args, word)
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(word, "-"), "=")
		one := f.Lookup(name)
		if one == nil || given || isSwitch(one) {
			if name == "lab" {
				line.lab = value
			}
			continue
		}
		if i++; i == len(before) {
			return line.valuesOf(name)
		}
		if name == "lab" {
			line.lab = before[i]
		}
	}
	if strings.HasPrefix(last, "-") {
		var found []candidate
		f.VisitAll(func(one *flag.Flag) {
			_, what := flag.UnquoteUsage(one)
			found = append(found, candidate{dashed(one.Name), what})
		})
		return found
	}
	if next := arguments[verb]; next != nil {
		return next(&line)
	}
	return nil
}

func isSwitch(one *flag.Flag) bool {
	b, ok := one.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// flagsOf are the flags of a verb; nil: there is no such verb.
func (p *Program) flagsOf(verb string) (found *flag.FlagSet) {
	for _, c := range commands() {
		if c.name == verb && !c.hidden {
			asked := *p
			asked.explain = func(f *flag.FlagSet) { found = f }
			c.run(&asked, context.Background(), []string{"-h"})
		}
	}
	return found
}

// A typedLine is a command line as far as it has been typed.
type typedLine struct {
	verb string
	lab  string   // that a flag names
	args []string // without flags
}

// arguments are what could be the next argument of each verb that takes some.
var arguments = map[string]func(*typedLine) []candidate{
	"run":   func(l *typedLine) []candidate { return l.first(words("scenario", scenarios.Shipped())) },
	"play":  func(l *typedLine) []candidate { return l.first(words("scenario", scenarios.Shipped())) },
	"up":    func(l *typedLine) []candidate { return l.first(words("topology", topologies.Shipped())) },
	"graph": func(l *typedLine) []candidate { return l.first(words("topology", topologies.Shipped())) },
	"check": func(l *typedLine) []candidate {
		return append(words("topology", topologies.Shipped()), words("scenario", scenarios.Shipped())...)
	},
	"schema": func(l *typedLine) []candidate {
		return l.first(words("a file format", []string{"topology", "subscribers", "scenario"}))
	},
	"report": func(l *typedLine) []candidate { return l.first(runFolders()) },
	"keys":   func(l *typedLine) []candidate { return l.first(runFolders()) },
	"exec":   func(l *typedLine) []candidate { return l.first(l.nodes()) },
	"shell":  func(l *typedLine) []candidate { return l.first(l.nodes()) },
	"logs":   func(l *typedLine) []candidate { return l.first(l.nodes()) },
	"capture": func(l *typedLine) []candidate {
		return slices.DeleteFunc(l.links(""), func(c candidate) bool { return slices.Contains(l.args, c.word) })
	},
	"down": func(l *typedLine) []candidate {
		return slices.DeleteFunc(labs(), func(c candidate) bool { return slices.Contains(l.args, c.word) })
	},
	"subscribers": func(l *typedLine) []candidate {
		return l.first([]candidate{{"import", "put the subscribers of a file into a store"}, {"export", "print the subscribers of a store"}})
	},
	"link":       (*typedLine).linkWords,
	"move":       (*typedLine).moveWords,
	"completion": func(l *typedLine) []candidate { return l.first(words("shell", shells)) },
}

// first are candidates for a verb that takes one argument.
func (l *typedLine) first(all []candidate) []candidate {
	if len(l.args) > 0 {
		return nil
	}
	return all
}

func (l *typedLine) linkWords() []candidate {
	switch {
	case len(l.args) == 0:
		return l.links("")
	case len(l.args) == 1:
		return []candidate{{"set", "change what it does to frames"}, {"down", "take the carrier away"}, {"up", "give the carrier back"}}
	case l.args[1] != "set":
		return nil
	}
	var found []candidate
	for _, key := range topologies.ImpairmentFields() {
		found = append(found, candidate{key.Key + "=", key.Doc})
	}
	return found
}

func (l *typedLine) moveWords() []candidate {
	switch len(l.args) {
	case 0:
		return slices.DeleteFunc(l.nodes(), func(c candidate) bool { return c.what != "mn" })
	case 1:
		return l.links(l.args[0])
	}
	return nil
}

// valuesOf are what a flag could have as its value.
func (l *typedLine) valuesOf(name string) []candidate {
	switch name {
	case "lab":
		return labs()
	case "format":
		return words("form", []string{"svg", "dot", "mermaid"})
	case "from":
		return l.nodes()
	case "node":
		return slices.DeleteFunc(l.nodes(), func(c candidate) bool { return c.what != "hss" })
	}
	return nil
}

func labs() []candidate {
	names, _ := door.Labs()
	return words("lab", names)
}

// status is what the lab meant says of itself; where none is, or it is not known
// which, it is empty.
func (l *typedLine) status() (s supervise.Status) {
	if name, err := theLab(l.lab); err == nil {
		s, _ = statusOf(name)
	}
	return s
}

func (l *typedLine) nodes() (found []candidate) {
	for _, n := range l.status().Nodes {
		found = append(found, candidate{n.Name, n.Role})
	}
	return found
}

// links are those of the lab; where a node is named, those that it is an end of.
func (l *typedLine) links(node string) (found []candidate) {
	for _, one := range l.status().Links {
		ends := make([]string, len(one.Ends))
		for i, e := range one.Ends {
			ends[i] = e.Node
		}
		if node == "" || slices.Contains(ends, node) {
			found = append(found, candidate{one.Name, strings.Join(ends, " ")})
		}
	}
	return found
}

// runFolders are the runs that are kept where runs are kept by default.
func runFolders() (found []candidate) {
	journals, _ := filepath.Glob("runs/*/journal.jsonl")
	for _, j := range journals {
		found = append(found, candidate{filepath.Dir(j), "run"})
	}
	return found
}

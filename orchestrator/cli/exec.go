package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"

	"s2clab/orchestrator/door"
	"s2clab/orchestrator/supervise"
	"s2clab/topologies/strict"
)

// exec runs a program in a node, with this process's terminal or files.
func (p *Program) exec(ctx context.Context, args []string) error {
	f := p.flags("exec")
	lab := labFlag(f)
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(words) < 2 {
		return usage("exec", "a node and a command", words)
	}
	return p.inNode(*lab, words[0], words[1:])
}

// shell is exec of the user's shell.
func (p *Program) shell(ctx context.Context, args []string) error {
	f := p.flags("shell")
	lab := labFlag(f)
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usage("shell", "one node", words)
	}
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	return p.inNode(*lab, words[0], []string{shell})
}

func (p *Program) inNode(lab, node string, argv []string) error {
	name, err := theLab(lab)
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	ask := supervise.ExecArgs{Node: node, Argv: argv, Env: os.Environ(), Dir: dir}
	if isTerminal(p.In) && isTerminal(p.Out) {
		return p.execTerminal(name, ask)
	}
	call, err := knock(name, "exec", ask, p.In, p.Out, p.Err)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	defer signal.Stop(signals)
	go func() {
		for s := range signals {
			call.Say(supervise.Signal{Signal: int(s.(unix.Signal))})
		}
	}()
	return ended(call)
}

func (p *Program) execTerminal(lab string, ask supervise.ExecArgs) error {
	t, err := openPTY()
	if err != nil {
		return err
	}
	defer t.Close()
	defer t.follow(p.In)() // the program finds its size from the start
	ask.Terminal = true
	call, err := knock(lab, "exec", ask, t.far)
	t.far.Close()
	if err != nil {
		return err
	}
	restore, err := raw(p.In)
	if err != nil {
		return err
	}
	defer restore()
	go io.Copy(t, p.In)
	shown := make(chan struct{})
	go func() {
		io.Copy(p.Out, t) // ends with an error when the program's side is closed
		close(shown)
	}()
	err = ended(call)
	if _, ok := err.(exitStatus); ok || err == nil {
		<-shown
	}
	return err
}

// ended waits for a program in a node and returns its exit status.
func ended(call *door.Call) error {
	var end supervise.ExecEnd
	if err := call.Wait(&end); err != nil {
		return err
	}
	if end.Status != 0 {
		return exitStatus(end.Status)
	}
	return nil
}

// labFlag names one of several labs.
func labFlag(f *flag.FlagSet) *string {
	return f.String("lab", "", "the `name` of the lab, where several run")
}

// knock asks the lab of that name. Where there is none, it says which there are.
func knock(name, op string, args any, files ...*os.File) (*door.Call, error) {
	call, err := door.Knock(name, op, args, files...)
	if !errors.Is(err, door.ErrNone) {
		return call, err
	}
	labs, wrong := door.Labs()
	if wrong != nil || len(labs) == 0 {
		return nil, fmt.Errorf("%w, and no other\n    hint: \"s2clab up TOPOLOGY\" brings one up", err)
	}
	return nil, fmt.Errorf("%w\n    hint: %s", err, strict.Suggest(name, "labs that run", labs))
}

// theLab is the lab named, or the only one that runs.
func theLab(name string) (string, error) {
	if name != "" {
		return name, nil
	}
	labs, err := door.Labs()
	switch {
	case err != nil:
		return "", err
	case len(labs) == 0:
		return "", fmt.Errorf("no lab runs\n    hint: \"s2clab up TOPOLOGY\" brings one up")
	case len(labs) > 1:
		return "", fmt.Errorf("%d labs run: %s\n    hint: say which with --lab NAME", len(labs), strings.Join(labs, ", "))
	}
	return labs[0], nil
}

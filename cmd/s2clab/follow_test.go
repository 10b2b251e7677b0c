package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A happening is a line of s2clab logs --json.
type happening struct {
	Node, Event string
	Fields      map[string]any
}

func (h happening) is(node, event string, with map[string]any) bool {
	for name, want := range with {
		if fmt.Sprint(h.Fields[name]) != fmt.Sprint(want) {
			return false
		}
	}
	return h.Node == node && h.Event == event
}

// A follower is told all that happens in a lab that stays, from its beginning.
type follower struct {
	t     *testing.T
	lines chan happening
	seen  []happening
}

// follow follows a lab until the test ends.
func (p *person) follow(lab string) *follower {
	p.t.Helper()
	f := &follower{t: p.t, lines: make(chan happening, 10_000)}
	cmd := p.command("logs", "--lab", lab, "--json", "-f")
	told, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(f.lines)
		for lines := bufio.NewScanner(told); lines.Scan(); {
			var h happening
			if err := json.Unmarshal(lines.Bytes(), &h); err != nil {
				p.t.Errorf("%v: %s", err, lines.Bytes())
			}
			f.lines <- h
		}
	}()
	p.t.Cleanup(func() {
		cmd.Process.Signal(unix.SIGINT)
		<-ended
		if err := cmd.Wait(); err != nil {
			p.t.Errorf("logs -f: %v", err)
		}
	})
	return f
}

// await waits until that has happened so often, and gives each time.
func (f *follower) await(times int, node, event string, with map[string]any) []happening {
	f.t.Helper()
	late := time.After(bound / 2)
	for {
		all := slices.DeleteFunc(slices.Clone(f.seen), func(h happening) bool { return !h.is(node, event, with) })
		if len(all) >= times {
			return all
		}
		select {
		case h, ok := <-f.lines:
			if !ok {
				f.t.Fatalf("%d %s %v at %s, want %d, and there is no lab any more", len(all), event, with, node, times)
			}
			f.seen = append(f.seen, h)
		case <-late:
			f.t.Fatalf("%d %s %v at %s, want %d; there:\n%v", len(all), event, with, node, times, f.of(node))
		}
	}
}

// of is what has happened at a node.
func (f *follower) of(node string) []happening {
	return slices.DeleteFunc(slices.Clone(f.seen), func(h happening) bool { return h.Node != node })
}

package play

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"s2clab/nodes/control"
	"s2clab/orchestrator/capture"
	"s2clab/orchestrator/link"
	"s2clab/scenarios"
)

// An aimed is an aim that waits for its messages on some links.
type aimed struct{ stops []func() }

// endAims takes back the aims that still wait.
func (p *Player) endAims() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.aims {
		a.end()
	}
	p.aims = nil
}

func (a *aimed) end() {
	for _, stop := range a.stops {
		stop()
	}
}

// actions are those of the engine, by the scenario's words.
var actions = map[string]link.Action{"drop": link.Drop, "hold": link.Hold, "duplicate": link.Duplicate}

// aim lets an action wait for the next messages that a pattern matches.
func (p *Player) aim(ctx context.Context, a *scenarios.Aim) error {
	if a.Kind == "replay" {
		return p.replay(a)
	}
	made := &aimed{}
	left := &budget{left: a.Times}
	for _, name := range p.linksOf(&a.Pattern) {
		l, err := p.lab.Link(name)
		if err != nil {
			return err
		}
		stop, err := l.Aim(link.Aim{
			Action: actions[a.Kind],
			After:  a.By,
			Match:  func(end string, frame []byte) bool { return p.matches(&a.Pattern, name, end, frame) && left.take() },
			Hit: func(h link.Hit) {
				p.tell(control.Event{At: h.At, Node: h.End, Name: "aim-hit", Fields: map[string]any{
					"action": a.Kind, "link": h.Link, "message": a.Pattern.Name,
				}})
			},
		})
		if err != nil {
			return err
		}
		made.stops = append(made.stops, stop)
	}
	p.mu.Lock()
	p.aims = append(p.aims, made)
	p.mu.Unlock()
	if a.For > 0 {
		end := time.Now().Add(a.For)
		p.beside(func() error {
			defer made.end()
			return sleepUntil(ctx, end)
		})
	}
	return nil
}

// A budget is how often an aim may still act, over all its links.
type budget struct {
	mu   sync.Mutex
	left int
}

func (b *budget) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left == 0 {
		return false
	}
	b.left--
	return true
}

// linksOf are the links on which a pattern's messages may be met.
func (p *Player) linksOf(pattern *scenarios.Pattern) []string {
	var names []string
	for _, l := range p.scenario.Topology.Links {
		meant := true
		for _, m := range pattern.Fields {
			meant = meant && (m.Field != "link" || m.Holds(l.Name))
		}
		if pattern.Nodes != nil && !slices.ContainsFunc(l.Ends, func(end string) bool { return slices.Contains(pattern.Nodes, end) }) {
			meant = false
		}
		if meant {
			names = append(names, l.Name)
		}
	}
	return names
}

// matches says whether a frame carries a message that a pattern means. It is
// called on a thread that carries frames.
func (p *Player) matches(pattern *scenarios.Pattern, name, end string, frame []byte) bool {
	if !capture.Signalling(frame) {
		return false
	}
	for _, m := range capture.Decode(frame) {
		if m.Name != pattern.Name {
			continue
		}
		fields := m.Fields
		fields["message"], fields["link"], fields["from"] = m.Name, name, end
		fields["to"] = p.meantFor(name, end, frame)
		if pattern.Matches("", "packet", fields) {
			return true
		}
	}
	return false
}

// meantFor are the nodes on a link that a frame is addressed to.
func (p *Player) meantFor(name, from string, frame []byte) []any {
	var to []any
	for _, end := range p.scenario.Topology.Link(name).Ends {
		mac := p.scenario.Topology.Node(end).Interface(name).MAC
		group := frame[0]&1 != 0
		if end != from && (group || [6]byte(frame[:6]) == mac) {
			to = append(to, end)
		}
	}
	return to
}

// A tape keeps frames that a later step replays.
type tape struct {
	mu          sync.Mutex
	first, last *recorded
}

type recorded struct {
	link, end string
	frame     []byte
}

// record starts a tape for each replay of the scenario, from the beginning: what
// is replayed was sent before.
func (p *Player) record() error {
	for _, s := range p.scenario.Steps {
		a, ok := s.Do.(*scenarios.Aim)
		if !ok || a.Kind != "replay" {
			continue
		}
		t := &tape{}
		p.tapes[a] = t
		made := &aimed{}
		for _, name := range p.linksOf(&a.Pattern) {
			l, err := p.lab.Link(name)
			if err != nil {
				return err
			}
			stop, err := l.Aim(link.Aim{Match: func(end string, frame []byte) bool {
				if p.matches(&a.Pattern, name, end, frame) {
					t.keep(&recorded{link: name, end: end, frame: slices.Clone(frame)})
				}
				return false
			}})
			if err != nil {
				return err
			}
			made.stops = append(made.stops, stop)
		}
		p.aims = append(p.aims, made)
	}
	return nil
}

func (t *tape) keep(r *recorded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first == nil {
		t.first = r
	}
	t.last = r
}

// replay sends a recorded frame again, into its own link or into another one.
func (p *Player) replay(a *scenarios.Aim) error {
	t := p.tapes[a]
	t.mu.Lock()
	r := t.last
	if a.Which == "first" {
		r = t.first
	}
	t.mu.Unlock()
	if r == nil {
		return fmt.Errorf("no %s was seen that could be replayed", a.Pattern.Name)
	}
	into, frame := r.link, slices.Clone(r.frame)
	if a.Into != "" && a.Into != r.link {
		into = a.Into
		if err := p.readdress(frame, into, r.end); err != nil {
			return err
		}
	}
	l, err := p.lab.Link(into)
	if err != nil {
		return err
	}
	p.say("aim-hit", r.end, map[string]any{"action": "replay", "link": into, "message": a.Pattern.Name})
	return l.Inject(r.end, frame)
}

// readdress makes a frame one from an end of a link to the router there.
func (p *Player) readdress(frame []byte, name, from string) error {
	own := p.scenario.Topology.Node(from).Interface(name)
	if own == nil {
		return fmt.Errorf("%q is not an end of link %q", from, name)
	}
	for _, end := range p.scenario.Topology.Link(name).Ends {
		n := p.scenario.Topology.Node(end)
		if end != from && (n.Router != nil || n.HomeAgent != nil) {
			mac := n.Interface(name).MAC
			copy(frame, mac[:])
			copy(frame[6:], own.MAC[:])
			return nil
		}
	}
	return errors.New("there is no router on link " + name)
}

package lab

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"s2clab/nodes/control"
)

// Reach joins a mobile node to a link that its radio reaches now, or parts it from
// one that is gone, where that is not so already. A node that does not run is
// joined when it starts again.
func (l *Lab) Reach(name, link string, there bool) error {
	made, err := l.end(name, link)
	if err != nil {
		return err
	}
	n, err := l.node(name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	running := n.process != nil
	if !running {
		n.dark = slices.DeleteFunc(n.dark, func(d string) bool { return d == link })
		if there {
			n.dark = append(n.dark, link)
		}
	}
	l.mu.Unlock()
	switch attached := made.Attached(name); {
	case !running || attached == there:
		return nil
	case there:
		return l.Attach(name, link)
	}
	return l.Detach(name, link)
}

// SetSignal tells a mobile node what its radio hears on a link, in dBm; nil: it
// hears nothing there. A node that does not run is told when it starts again.
func (l *Lab) SetSignal(name, link string, level *float64) error {
	n, err := l.node(name)
	if err != nil {
		return err
	}
	if n.topo.MobileNode == nil || n.topo.Interface(link) == nil {
		return fmt.Errorf("node %s has no radio on link %q", name, link)
	}
	l.mu.Lock()
	was, told := n.signals[link]
	if n.signals == nil {
		n.signals = map[string]*float64{}
	}
	n.signals[link] = level
	l.mu.Unlock()
	if told && (was == nil) == (level == nil) && (level == nil || *was == *level) {
		return nil
	}
	return l.tellSignal(n, link, level)
}

func (l *Lab) tellSignal(n *node, link string, level *float64) error {
	err := l.Ask(n.topo.Name, "signal", control.Signal{Dev: n.topo.Interface(link).Name, Level: level}, nil)
	if errors.Is(err, ErrNotRunning) || errors.Is(err, control.ErrGone) {
		return nil
	}
	return err
}

// tellSignals tells a node that has just started what its radio hears.
func (l *Lab) tellSignals(n *node) error {
	l.mu.Lock()
	signals := maps.Clone(n.signals)
	l.mu.Unlock()
	for _, link := range slices.Sorted(maps.Keys(signals)) {
		if err := l.tellSignal(n, link, signals[link]); err != nil {
			return err
		}
	}
	return nil
}

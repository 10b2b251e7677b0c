package supervise

import (
	"sync"
	"sync/atomic"

	"s2clab/nodes/control"
	"s2clab/orchestrator/capture"
	"s2clab/orchestrator/link"
)

// taps hand what happens in a lab, and what its links carry, to those who listen
// just now. It is the lab's link.Observer.
type taps struct {
	recorder atomic.Pointer[capture.Recorder] // nil: nobody captures

	mu        sync.Mutex
	joined    []joined
	listeners map[*listener]bool
}

type listener struct{ take func(control.Event) }

// A joined is a link that was made: a recorder that comes later is told too.
type joined struct {
	link  string
	ends  []string
	first int
}

// Joined is of link.Observer.
func (t *taps) Joined(name string, ends []string, first int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.joined = append(t.joined, joined{name, ends, first})
	if r := t.recorder.Load(); r != nil {
		r.Joined(name, ends, first)
	}
}

// See is of link.Observer.
func (t *taps) See(s *link.Sight) {
	if r := t.recorder.Load(); r != nil {
		r.See(s)
	}
}

// record lets r see all frames from now on.
func (t *taps) record(r *capture.Recorder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, j := range t.joined {
		r.Joined(j.link, j.ends, j.first)
	}
	t.recorder.Store(r)
}

// event is the sink of a lab.
func (t *taps) event(e control.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for l := range t.listeners {
		l.take(e)
	}
}

// listen hands every event from now on to take, one at a time and in order, until
// the function returned is called.
func (t *taps) listen(take func(control.Event)) (stop func()) {
	l := &listener{take}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listeners == nil {
		t.listeners = map[*listener]bool{}
	}
	t.listeners[l] = true
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.listeners, l)
	}
}

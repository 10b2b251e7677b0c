package link

import (
	"bytes"
	"slices"
	"sync"
)

// aimed is an Aim that waits.
type aimed struct {
	Aim
	left int // frames; negative: all
}

// Aim lets an aim wait for its frames.
func (k *relayLink) Aim(a Aim) (stop func(), err error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	w := &aimed{Aim: a, left: a.Times}
	if a.Times == 0 {
		w.left = -1
	}
	k.loop.do(func() { k.aims = append(k.aims, w) })
	return func() { k.loop.do(func() { k.unaim(w) }) }, nil
}

func (k *relayLink) unaim(w *aimed) {
	k.aims = slices.DeleteFunc(k.aims, func(a *aimed) bool { return a == w })
}

// aimedAt lets the first aim that matches act on a frame that enters. True: the
// frame does not go on now.
func (k *relayLink) aimedAt(e *end, f *frame, now int64) bool {
	i := slices.IndexFunc(k.aims, func(a *aimed) bool { return a.Match(e.node, f.octets()) })
	if i < 0 {
		return false
	}
	a := k.aims[i]
	if a.left > 0 {
		a.left--
	}
	if a.Hit != nil {
		data := bytes.Clone(f.data)
		Complete(data)
		hit := Hit{At: now, Link: k.name, End: e.node, Action: a.Action, Frame: data[vnetLen:], Done: a.left == 0}
		k.loop.hits.tell(func() { a.Hit(hit) })
	}
	if a.left == 0 {
		k.unaim(a)
	}
	switch a.Action {
	case Drop:
		k.refuse(f, Aimed)
		return true
	case Hold:
		kept := k.loop.keep(f)
		if kept == nil {
			k.refuse(f, OutOfMemory)
			return true
		}
		e.counters.Held++
		kept.marks |= Held
		k.later(kept, now+int64(a.After))
		k.seeEntry(kept, NotDropped)
		return true
	default: // Duplicate, Replay
		if copy := k.copy(f); copy != nil {
			copy.marks = Copied
			if a.Action == Replay {
				copy.marks |= Replayed
			}
			e.counters.Duplicated++
			f.marks |= Duplicated
			k.later(copy, now+int64(a.After))
		}
		return false
	}
}

// later lets a frame enter its lane at a later time.
func (k *relayLink) later(f *frame, at int64) {
	f.due, f.held = at, true
	f.from.lane.add(f)
	k.loop.schedule(f.from)
}

// A teller tells things one after the other, on a goroutine of its own, to those
// who may take their time.
type teller struct {
	mu     sync.Mutex
	wake   *sync.Cond
	queue  []func()
	closed bool
}

func newTeller() *teller {
	t := &teller{}
	t.wake = sync.NewCond(&t.mu)
	go t.run()
	return t
}

func (t *teller) tell(f func()) {
	t.mu.Lock()
	t.queue = append(t.queue, f)
	t.mu.Unlock()
	t.wake.Signal()
}

func (t *teller) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.wake.Signal()
}

func (t *teller) run() {
	for {
		t.mu.Lock()
		for len(t.queue) == 0 && !t.closed {
			t.wake.Wait()
		}
		queue := t.queue
		t.queue = nil
		t.mu.Unlock()
		if queue == nil {
			return
		}
		for _, f := range queue {
			f()
		}
	}
}

package ha

import "time"

// A timer says when something is to be looked at again. It lies in the thing
// whose time it is.
//
// Times move far more often than they come: each refresh of a binding puts its
// end off. So a timer that is put off keeps its place and is looked at too
// early, once, which costs a refresh nothing.
type timer struct {
	at    time.Time // when something is due; zero: nothing is
	queue time.Time // its place in timers: at, or earlier
	index int       // in timers, from 1; 0: it is not there
	owner owner
}

// An owner does what is due when its timer has run out.
type owner interface {
	due(m *Machine, now time.Time)
}

// timers is a heap, the earliest first.
type timers []*timer

// set makes t due at a time, or never where it is zero.
func (h *timers) set(t *timer, at time.Time) {
	t.at = at
	switch {
	case at.IsZero():
		h.remove(t)
	case t.index == 0:
		t.queue = at
		*h = append(*h, t)
		t.index = len(*h)
		h.up(t.index - 1)
	case at.Before(t.queue):
		t.queue = at
		h.up(t.index - 1)
	}
}

// remove takes t away.
func (h *timers) remove(t *timer) {
	t.at = time.Time{}
	if t.index == 0 {
		return
	}
	i, last := t.index-1, len(*h)-1
	t.index = 0
	moved := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	if i == last {
		return
	}
	(*h)[i] = moved
	moved.index = i + 1
	h.down(i)
	h.up(moved.index - 1)
}

// next gives the time at which to look again; zero: never.
func (h timers) next() time.Time {
	if len(h) == 0 {
		return time.Time{}
	}
	return h[0].queue
}

// pop takes away a timer that is due at now and returns it; nil: none is.
func (h *timers) pop(now time.Time) *timer {
	for len(*h) > 0 {
		t := (*h)[0]
		if t.queue.After(now) {
			return nil
		}
		if t.at.After(now) { // it was put off
			t.queue = t.at
			h.down(0)
			continue
		}
		h.remove(t)
		return t
	}
	return nil
}

func (h timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h[i].queue.Before(h[parent].queue) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h timers) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h[child].queue.Before(h[least].queue) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

func (h timers) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

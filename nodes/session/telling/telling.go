// Package telling bounds what a node tells the journal of, since strangers can make
// things happen as often as they like: a flood is told as a count. It holds no clock
// and no connection to the lab.
package telling

import (
	"maps"
	"slices"
	"time"
)

// An Event tells the journal what happened.
type Event struct {
	Name   string
	Fields map[string]any
}

// A Quota is how many events of one name are told one by one in a second.
type Quota struct {
	Most int

	since time.Time // when the present second began
	told  map[string]int
}

// Allows says whether an event that happens now is to be told; else it is counted.
func (q *Quota) Allows(name string) bool {
	if q.told == nil {
		q.told = map[string]int{}
	}
	q.told[name]++
	return q.told[name] <= q.Most
}

// Deadline is when Missed has something to tell; zero: nothing was missed.
func (q *Quota) Deadline() time.Time {
	for _, n := range q.told {
		if n > q.Most {
			return q.since.Add(time.Second)
		}
	}
	return time.Time{}
}

// Missed begins another second where the last is over, and gives the events
// events-suppressed {event, count} of that, by name.
func (q *Quota) Missed(now time.Time) (out []Event) {
	if now.Sub(q.since) < time.Second {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(q.told)) {
		if n := q.told[name] - q.Most; n > 0 {
			out = append(out, Event{Name: "events-suppressed", Fields: map[string]any{"event": name, "count": n}})
		}
	}
	q.since = now
	clear(q.told)
	return out
}

// PerSecond events of one name are told one by one by a server.
const PerSecond = 200

// Events collects what a call of a server's machine has to tell. The zero value has
// told nothing.
type Events struct {
	quota   Quota
	waiting []Event
}

// Tell has an event wait for Take.
func (e *Events) Tell(name string, fields map[string]any) {
	e.waiting = append(e.waiting, Event{Name: name, Fields: fields})
}

// Deadline is when Take has something to give though nobody has told anything; zero:
// it has not.
func (e *Events) Deadline() time.Time { return e.quota.Deadline() }

// Take gives what is to be told now.
func (e *Events) Take(now time.Time) []Event {
	e.quota.Most = PerSecond
	out := e.quota.Missed(now)
	for _, w := range e.waiting {
		if e.quota.Allows(w.Name) {
			out = append(out, w)
		}
	}
	clear(e.waiting)
	e.waiting = e.waiting[:0]
	return out
}

package bsf

import (
	"slices"
	"time"
)

// An Event tells the journal what happened.
type Event struct {
	Name   string
	Fields map[string]any
}

// eventsPerSecond of one name are told one by one. A flood is told as a count:
// events-suppressed {event, count}, once a second.
const eventsPerSecond = 200

// events collects what a call has to tell, and counts what was told in the second that
// began at since.
type events struct {
	waiting []Event
	since   time.Time
	told    map[string]int // by name
}

func (e *events) tell(name string, fields map[string]any) {
	e.waiting = append(e.waiting, Event{Name: name, Fields: fields})
}

// deadline is when counts of what was not told are due; zero: there are none.
func (e *events) deadline() time.Time {
	for _, n := range e.told {
		if n > eventsPerSecond {
			return e.since.Add(time.Second)
		}
	}
	return time.Time{}
}

// take gives what is to be told now.
func (e *events) take(now time.Time) []Event {
	var out []Event
	if now.Sub(e.since) >= time.Second {
		for name, n := range e.told {
			if n > eventsPerSecond {
				out = append(out, Event{Name: "events-suppressed", Fields: map[string]any{"event": name, "count": n - eventsPerSecond}})
			}
		}
		slices.SortFunc(out, func(a, b Event) int { return a.Fields["count"].(int) - b.Fields["count"].(int) })
		e.since, e.told = now, map[string]int{}
	}
	for _, w := range e.waiting {
		if e.told[w.Name]++; e.told[w.Name] <= eventsPerSecond {
			out = append(out, w)
		}
	}
	e.waiting = nil
	return out
}

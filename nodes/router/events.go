package router

import (
	"maps"
	"slices"
	"strings"
	"time"

	"s2clab/nodes/wire/diameter"
)

// eventsPerSecond of one name are told one by one, for anybody on a link can cause
// them. A flood is told as a count: events-suppressed {event, count}, once a second.
const eventsPerSecond = 50

// events counts what was told in the second that began at since.
type events struct {
	since            time.Time
	told, suppressed map[string]int
}

// tells says whether an event that happens at now is to be told by itself; else it
// has been counted.
func (m *Machine) tells(now time.Time, name string) bool {
	e := &m.events
	if now.Sub(e.since) >= time.Second {
		m.tellSuppressed(now)
		*e = events{since: now, told: map[string]int{}, suppressed: map[string]int{}}
	}
	if e.told[name] < eventsPerSecond {
		e.told[name]++
		return true
	}
	e.suppressed[name]++
	return false
}

// tell adds an Event. Its caller has asked tells.
func (m *Machine) tell(name string, fields map[string]any) {
	m.do(Event{Name: name, Fields: fields})
}

// deadline is when what was suppressed is to be told; zero: nothing was.
func (e *events) deadline() time.Time {
	if len(e.suppressed) == 0 {
		return time.Time{}
	}
	return e.since.Add(time.Second)
}

func (m *Machine) tellSuppressed(now time.Time) {
	e := &m.events
	if now.Sub(e.since) < time.Second {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(e.suppressed)) {
		m.tell("events-suppressed", map[string]any{"event": name, "count": e.suppressed[name]})
	}
	clear(e.suppressed)
}

func (m *Machine) ignore(now time.Time, peer, reason string) {
	if m.tells(now, "message-ignored") {
		m.tell("message-ignored", map[string]any{"peer": peer, "reason": reason})
	}
}

// tellAnswer tells of the answer to a DER, or that there is none.
func (m *Machine) tellAnswer(now time.Time, q *question, in AAAAnswered, answer *diameter.DiameterEAPAnswer, reason string) {
	where := map[string]any{"nai": q.nai, "link": q.station.link.name, "station": text(q.station.mac)}
	name := "aaa-answered"
	if answer == nil {
		name, where["reason"] = "aaa-failed", strings.TrimPrefix(reason, "aaa-")
	} else {
		where["result"], where["name"], where["peer"] = answer.Result.Number(), answer.Result.String(), answer.Host
	}
	if m.tells(now, name) {
		m.tell(name, where)
	}
}

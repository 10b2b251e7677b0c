package router

import (
	"strings"
	"time"

	"s2clab/nodes/wire/diameter"
)

// eventsPerSecond of one name are told one by one, for anybody on a link can cause
// them. A flood is told as a count: events-suppressed {event, count}, once a second.
const eventsPerSecond = 50

// tells says whether an event that happens at now is to be told by itself; else it
// has been counted.
func (m *Machine) tells(now time.Time, name string) bool {
	m.tellSuppressed(now)
	return m.quota.Allows(name)
}

// tell adds an Event. Its caller has asked tells.
func (m *Machine) tell(name string, fields map[string]any) {
	m.do(Event{Name: name, Fields: fields})
}

func (m *Machine) tellSuppressed(now time.Time) {
	for _, e := range m.quota.Missed(now) {
		m.tell(e.Name, e.Fields)
	}
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

package mn

import "time"

// Of messages that change nothing, so many a second are told one by one; the
// rest is counted. Anybody can send such.
const (
	ignoredAtMost = 10
	ignoredWithin = time.Second
)

// quiet counts the messages that were ignored of late.
type quiet struct {
	since      time.Time
	told       int
	suppressed int
}

// ignore says that something which was received changes nothing, and why.
func (m *Machine) ignore(now time.Time, reason string, fields map[string]any) {
	q := &m.quiet
	if now.Sub(q.since) >= ignoredWithin {
		if q.suppressed > 0 {
			m.event("events-suppressed", map[string]any{"event": "message-ignored", "count": q.suppressed})
		}
		*q = quiet{since: now}
	}
	if q.told == ignoredAtMost {
		q.suppressed++
		return
	}
	q.told++
	if fields == nil {
		fields = map[string]any{}
	}
	fields["reason"] = reason
	m.event("message-ignored", fields)
}

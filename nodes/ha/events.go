package ha

import (
	"net/netip"
	"time"

	"s2clab/nodes/keys"
)

// eventsPerSecond of one name are told one by one. A flood is told as a count:
// events-suppressed {event, count}, once a second.
const eventsPerSecond = 200

// An event is the name of one kind of Event.
type event int

// What a home agent tells.
const (
	bindingAccepted event = iota
	bindingRefused
	bindingDeleted
	bindingExpired
	updateDiscarded
	messageIgnored
	errorSent
	aaaAsked
	aaaAnswered
	aaaFailed
	associationMade
	associationExpired
	duplicateDetected
	homeAddressAssigned
	revocationSent
	revocationAnswered
	sessionAborted
	sessionTerminated
	switchSent
	bidRegistered
	bidDeleted
	flowBindingChanged
	discoveryAnswered
	keyMade
	serviceAuthorized
	eventKinds
)

var eventNames = [eventKinds]string{
	bindingAccepted:    "binding-accepted",
	bindingRefused:     "binding-refused",
	bindingDeleted:     "binding-deleted",
	bindingExpired:     "binding-expired",
	updateDiscarded:    "update-discarded",
	messageIgnored:     "message-ignored",
	errorSent:          "binding-error-sent",
	aaaAsked:           "aaa-asked",
	aaaAnswered:        "aaa-answered",
	aaaFailed:          "aaa-failed",
	associationMade:    "association-made",
	associationExpired: "association-expired",
	duplicateDetected:  "duplicate-address-detected",

	homeAddressAssigned: "home-address-assigned",
	revocationSent:      "revocation-sent",
	revocationAnswered:  "revocation-answered",
	sessionAborted:      "session-aborted",
	sessionTerminated:   "session-terminated",
	switchSent:          "switch-sent",
	bidRegistered:       "care-of-registered",
	bidDeleted:          "care-of-deleted",
	flowBindingChanged:  "flow-bound",
	discoveryAnswered:   "home-agent-discovery-answered",
	keyMade:             "key-made",
	serviceAuthorized:   "service-authorized",
}

// events counts what was told in the second that began at since.
type events struct {
	since      time.Time
	told       [eventKinds]int
	suppressed [eventKinds]int
	timer      timer
}

// tells says whether an event that happens at now is to be told by itself; else
// it has been counted. Its caller makes the fields only where it is.
func (m *Machine) tells(now time.Time, e event) bool {
	if now.Sub(m.events.since) >= time.Second {
		m.events.tellSuppressed(m)
		m.events.since = now
		clear(m.events.told[:])
	}
	if m.events.told[e] < eventsPerSecond {
		m.events.told[e]++
		return true
	}
	m.events.suppressed[e]++
	if m.events.timer.index == 0 {
		m.timers.set(&m.events.timer, m.events.since.Add(time.Second))
	}
	return false
}

// tell adds an Event. Its caller has asked tells.
func (m *Machine) tell(e event, fields map[string]any) {
	m.out = append(m.out, Event{Name: eventNames[e], Fields: fields})
}

// keyMade tells of a key that is used from now on, once.
func (m *Machine) keyMade(now time.Time, nai string, k keys.Derived) {
	if m.told.News(nai, k) && m.tells(now, keyMade) {
		m.tell(keyMade, k.Fields(nai, m.told.Show))
	}
}

func (e *events) due(m *Machine, now time.Time) { e.tellSuppressed(m) }

func (e *events) tellSuppressed(m *Machine) {
	m.timers.remove(&e.timer)
	for kind, n := range e.suppressed {
		if n > 0 {
			m.out = append(m.out, Event{Name: "events-suppressed", Fields: map[string]any{
				"event": eventNames[kind], "count": n,
			}})
		}
	}
	clear(e.suppressed[:])
}

// text is an address as events have it; one that is not valid is empty.
func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}

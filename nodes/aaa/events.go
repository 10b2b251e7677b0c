package aaa

import "time"

// An Event tells the journal what happened.
type Event struct {
	Name   string
	Fields map[string]any
}

// eventsPerSecond of one name are told one by one. A flood is told as a count:
// events-suppressed {event, count}, once a second.
const eventsPerSecond = 200

// A kind is the name of one kind of Event.
type kind int

const (
	peerUp kind = iota
	peerDown
	peerSuspected
	peerRestored
	connectionRejected
	messageIgnored
	requestAnswered
	sessionOpened
	sessionClosed
	abortSent
	abortAnswered
	abortFailed
	keyMade
	eapAuthenticated
	eapRefused
	hssFailed
	subscriberDeregistered
	profileChanged
	keyFetched
	challengeSent
	kinds
)

var names = [kinds]string{
	peerUp:             "peer-up",
	peerDown:           "peer-down",
	peerSuspected:      "peer-suspected",
	peerRestored:       "peer-restored",
	connectionRejected: "connection-rejected",
	messageIgnored:     "message-ignored",
	requestAnswered:    "request-answered",
	sessionOpened:      "session-opened",
	sessionClosed:      "session-closed",
	abortSent:          "abort-sent",
	abortAnswered:      "abort-answered",
	abortFailed:        "abort-failed",
	keyMade:            "key-made",

	eapAuthenticated:       "eap-authenticated",
	eapRefused:             "eap-refused",
	hssFailed:              "hss-failed",
	subscriberDeregistered: "subscriber-deregistered",
	profileChanged:         "profile-changed",
	keyFetched:             "key-fetched",
	challengeSent:          "challenge-sent",
}

// events collects what a call has to tell, and counts what was told in the
// second that began at since.
type events struct {
	waiting []Event
	kinds   []kind // of waiting
	since   time.Time
	told    [kinds]int
}

func (e *events) tell(k kind, fields map[string]any) {
	e.waiting = append(e.waiting, Event{Name: names[k], Fields: fields})
	e.kinds = append(e.kinds, k)
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
		for k, n := range e.told {
			if n > eventsPerSecond {
				out = append(out, Event{Name: "events-suppressed", Fields: map[string]any{"event": names[k], "count": n - eventsPerSecond}})
			}
		}
		e.since, e.told = now, [kinds]int{}
	}
	for i, w := range e.waiting {
		if e.told[e.kinds[i]]++; e.told[e.kinds[i]] <= eventsPerSecond {
			out = append(out, w)
		}
	}
	clear(e.waiting)
	e.waiting, e.kinds = e.waiting[:0], e.kinds[:0]
	return out
}

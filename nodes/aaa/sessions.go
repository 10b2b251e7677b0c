package aaa

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

// Bounds of what is kept of sessions, and the times of RFC 6733, section 8.1,
// that it leaves open: how a server waits and asks again where its ASR has not
// come through.
const (
	mostSessions  = 1 << 16
	abortWait     = time.Second
	abortAttempts = 5
)

// A session is one that was authorised here: RFC 5778, section 4.3, has one for
// each security association.
type session struct {
	id          string
	nai         string
	application diameter.Application
	host        string // of the home agent, or of the access: its Diameter identity
	state       uint32 // its Origin-State-Id
	expires     time.Time

	aborting bool
	asked    uint64    // the request that awaits an answer; 0: none
	endToEnd uint32    // under which it was sent; 0: it has not been
	again    time.Time // when to ask again, while none does
	attempt  int
}

// A sessionKey names a session. A home agent can only speak of its own.
type sessionKey struct{ host, id string }

// sessions are those that are not over, the one that ends first in front.
type sessions struct {
	open     map[sessionKey]*session
	line     []*session        // with those that are over, which are passed by
	aborting []*session        // with those that are over, until the next look
	states   map[string]uint32 // the last Origin-State-Id of each home agent
	asks     uint64
}

func newSessions() sessions {
	return sessions{open: map[sessionKey]*session{}, states: map[string]uint32{}}
}

func (all *sessions) isOpen(s *session) bool { return s != nil && all.open[keyOf(s.host, s.id)] == s }

func keyOf(host, id string) sessionKey { return sessionKey{strings.ToLower(host), id} }

// start keeps the session that a request of a mobile node was granted; false: there is
// no room.
func (m *Machine) start(now time.Time, application diameter.Application, id string, from diameter.Identity, nai string) bool {
	m.expire(now)
	m.forgetFormer(from.Host, from.State)
	key := keyOf(from.Host, id)
	if len(m.sessions.open) >= mostSessions && m.sessions.open[key] == nil {
		return false
	}
	s := &session{id: id, nai: nai, application: application, host: from.Host, state: from.State, expires: now.Add(m.authority.keyLifetime)}
	_, again := m.sessions.open[key]
	m.sessions.open[key] = s
	if len(m.sessions.line) >= 2*mostSessions { // of sessions that were authorised again
		m.sessions.line = slices.DeleteFunc(m.sessions.line, func(s *session) bool { return !m.sessions.isOpen(s) })
	}
	m.sessions.line = append(m.sessions.line, s)
	if !again {
		m.events.tell(sessionOpened, map[string]any{"nai": nai, "session": id, "peer": from.Host})
	}
	return true
}

// expire ends the sessions whose key has.
func (m *Machine) expire(now time.Time) {
	for len(m.sessions.line) > 0 {
		first := m.sessions.line[0]
		current := m.sessions.isOpen(first)
		if current && now.Before(first.expires) {
			return
		}
		m.sessions.line[0] = nil
		m.sessions.line = m.sessions.line[1:]
		if current {
			m.close(first, "expired", nil)
		}
	}
}

// forgetFormer ends the sessions of a former life of a home agent, which has lost
// them if its Origin-State-Id has grown: RFC 6733, section 8.6.
func (m *Machine) forgetFormer(host string, state uint32) {
	host = strings.ToLower(host)
	last := m.sessions.states[host]
	if state <= last {
		return
	}
	m.sessions.states[host] = state // of peers: there are not more than Diameter connections that were let in
	if last == 0 {
		return
	}
	for _, s := range m.sessions.open {
		if s.state < state && strings.EqualFold(s.host, host) {
			m.close(s, "origin-state", nil)
		}
	}
}

// close forgets a session and says why it is over.
func (m *Machine) close(s *session, reason string, more map[string]any) {
	delete(m.sessions.open, keyOf(s.host, s.id))
	fields := map[string]any{"nai": s.nai, "session": s.id, "peer": s.host, "reason": reason}
	for k, v := range more {
		fields[k] = v
	}
	m.events.tell(sessionClosed, fields)
}

// terminate answers a Session-Termination-Request: RFC 6733, section 8.4.
func (m *Machine) terminate(now time.Time, q *query) {
	r, err := diameter.ParseSessionTerminationRequest(q.Message)
	if err != nil {
		m.fail(now, q, err.(*diameter.Failure))
		return
	}
	m.expire(now)
	s := m.sessions.open[keyOf(r.Host, r.Session)]
	if s == nil {
		m.fail(now, q, &diameter.Failure{Result: diameter.UnknownSessionID, AVP: q.Find(diameter.SessionID), What: "there is no such session"})
		return
	}
	reason := "terminated"
	if s.aborting {
		reason = "aborted"
	}
	m.close(s, reason, map[string]any{"cause": r.Cause.String()})
	m.reply(now, q, &diameter.SessionTerminationAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: m.identity, ProxyInfo: r.ProxyInfo}, diameter.Success)
}

// errNoSession says that there is nothing to revoke.
var errNoSession = errors.New("has no session here")

// Revoke has every home agent and access end its sessions with a subscriber: RFC
// 5778, section 4.3.3. It says how many there are; none is an error.
func (m *Machine) Revoke(now time.Time, nai string) (n int, out []diampeer.Output, told []Event, err error) {
	m.begin()
	if n = m.abortAll(now, nai); n == 0 {
		return 0, nil, nil, fmt.Errorf("%s %w", nai, errNoSession)
	}
	return n, m.out, m.events.take(now), nil
}

// abortAll aborts all sessions of a subscriber, and says how many there are.
func (m *Machine) abortAll(now time.Time, nai string) (n int) {
	m.expire(now)
	for _, s := range slices.Clone(m.sessions.line) { // in the order in which they began
		if !m.sessions.isOpen(s) || s.nai != nai || s.aborting {
			continue
		}
		n++
		s.aborting = true
		m.sessions.aborting = append(m.sessions.aborting, s)
		m.abort(now, s)
	}
	return n
}

// abort sends an Abort-Session-Request.
func (m *Machine) abort(now time.Time, s *session) {
	s.attempt++
	m.sessions.asks++
	s.asked, s.again = m.sessions.asks, time.Time{}
	m.events.tell(abortSent, map[string]any{"nai": s.nai, "session": s.id, "peer": s.host, "attempt": s.attempt})
	m.act(now, now, m.server.Step(now, diampeer.Ask{ID: s.asked, Again: s.endToEnd,
		Request: &diameter.AbortSessionRequest{Application: s.application, Session: s.id, Identity: m.identity, DestinationHost: s.host, User: s.nai}}), m.server)
}

// aborted takes what became of an Abort-Session-Request. A session that the home
// agent does not know is over as well: RFC 6733, section 8.5.2. One that it has
// ended is over with its STR, which follows.
func (m *Machine) aborted(now time.Time, in diampeer.Done) {
	i := slices.IndexFunc(m.sessions.aborting, func(s *session) bool { return s.asked == in.ID })
	if i < 0 {
		return
	}
	s := m.sessions.aborting[i]
	if !m.sessions.isOpen(s) { // its STR came first
		m.sessions.aborting = slices.Delete(m.sessions.aborting, i, i+1)
		return
	}
	s.asked, s.endToEnd = 0, in.EndToEnd
	fields := map[string]any{"nai": s.nai, "session": s.id, "peer": s.host}
	switch {
	case in.Result == 0 && s.attempt < abortAttempts:
		s.again = now.Add(abortWait) // RFC 6733, section 8.1: wait, resend ASR
		return
	case in.Result == diameter.Success:
		fields["result"], fields["name"] = uint32(in.Result), in.Result.String()
		m.events.tell(abortAnswered, fields)
		return
	case in.Result == diameter.UnknownSessionID:
		fields["result"], fields["name"] = uint32(in.Result), in.Result.String()
		m.events.tell(abortAnswered, fields)
		m.close(s, "unknown-to-home-agent", nil)
		return
	}
	s.aborting, s.attempt, s.endToEnd = false, 0, 0
	m.sessions.aborting = slices.Delete(m.sessions.aborting, i, i+1)
	fields["reason"] = in.Reason
	m.events.tell(abortFailed, fields)
}

// abortAgain sends the Abort-Session-Requests whose time has come.
func (m *Machine) abortAgain(now time.Time) {
	m.sessions.aborting = slices.DeleteFunc(m.sessions.aborting, func(s *session) bool { return !m.sessions.isOpen(s) })
	for _, s := range slices.Clone(m.sessions.aborting) {
		if !s.again.IsZero() && !now.Before(s.again) {
			m.abort(now, s)
		}
	}
}

// deadline is when sessions have something to do; zero: never.
func (all *sessions) deadline() (first time.Time) {
	for _, s := range all.aborting {
		if !s.again.IsZero() && (first.IsZero() || s.again.Before(first)) {
			first = s.again
		}
	}
	return first
}

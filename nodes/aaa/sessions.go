package aaa

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/telling"
	"s2clab/nodes/wire/diameter"
)

// Bounds of what is kept of sessions, and the times of RFC 6733, section 8.1,
// that it leaves open: how a server waits and asks again where its ASR has not
// come through.
const (
	mostSessions  = 1 << 16
	mostLasting   = mostSessions / 2
	mostStates    = 4096
	abortWait     = time.Second
	abortAttempts = 5
	leaveTakes    = 5 * time.Second // for home agents to tell a mobile node before an access shuts it out
)

// A session is one that was authorised here: RFC 5778, section 4.3, has one for
// each security association.
type session struct {
	id          string
	nai         string
	application diameter.Application
	host        string    // of the home agent, or of the access: its Diameter identity
	state       uint32    // its Origin-State-Id
	expires     time.Time // zero: not by itself
	number      uint64    // in the order in which they began

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
	line     []*session // with those that are over, which are passed by
	lasting  []*session // that do not end by themselves, too
	begun    uint64
	aborting []*session        // with those that are over, until the next look
	states   map[string]uint32 // the last Origin-State-Id of each home agent
	asks     uint64
}

func newSessions() sessions {
	return sessions{open: map[sessionKey]*session{}, states: map[string]uint32{}}
}

func (all *sessions) isOpen(s *session) bool { return s != nil && all.open[keyOf(s.host, s.id)] == s }

func keyOf(host, id string) sessionKey { return sessionKey{strings.ToLower(host), id} }

// start keeps the session that a request of a mobile node was granted, which ends after
// a time; 0: not before it is ended. False: there is no room.
func (m *Machine) start(now time.Time, application diameter.Application, id string, from diameter.Identity, nai string, lasts time.Duration) bool {
	m.expire(now)
	m.forgetFormer(from.Host, from.State)
	key := keyOf(from.Host, id)
	if len(m.sessions.open) >= mostSessions && m.sessions.open[key] == nil {
		return false
	}
	m.sessions.begun++
	s := &session{id: id, nai: nai, application: application, host: from.Host, state: from.State, number: m.sessions.begun}
	_, again := m.sessions.open[key]
	m.sessions.open[key] = s
	line := &m.sessions.line
	if lasts > 0 {
		s.expires = now.Add(lasts)
	} else {
		line = &m.sessions.lasting
	}
	if len(*line) >= 2*mostLasting { // of sessions that were authorised again
		*line = slices.DeleteFunc(*line, func(s *session) bool { return !m.sessions.isOpen(s) })
	}
	if lasts == 0 && len(*line) >= mostLasting { // of accesses that do not say when they end
		if oldest := (*line)[0]; m.sessions.isOpen(oldest) {
			m.close(oldest, "too-many", nil)
		}
		*line = (*line)[1:]
	}
	*line = append(*line, s)
	if !again {
		m.events.Tell("session-opened", map[string]any{"nai": nai, "session": id, "peer": from.Host})
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
	if last == 0 && len(m.sessions.states) >= mostStates { // behind relays there may be any number
		return
	}
	m.sessions.states[host] = state
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
	m.events.Tell("session-closed", fields)
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
	m.abortAccesses(now)
}

// errNoSession says that there is nothing to revoke.
var errNoSession = errors.New("has no session here")

// Revoke has every home agent and access end its sessions with a subscriber: RFC
// 5778, section 4.3.3. It says how many there are; none is an error.
func (m *Machine) Revoke(now time.Time, nai string) (n int, out []diampeer.Output, told []telling.Event, err error) {
	m.begin()
	if n = m.abortAll(now, func(s *session) bool { return s.nai == nai }); n == 0 {
		return 0, nil, nil, fmt.Errorf("%s %w", nai, errNoSession)
	}
	return n, m.out, m.events.Take(now), nil
}

// abortAll aborts all sessions that are a subscriber's, and says how many there are.
func (m *Machine) abortAll(now time.Time, of func(s *session) bool) (n int) {
	m.expire(now)
	var all []*session
	for _, s := range m.sessions.open {
		if of(s) && !s.aborting {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *session) int { return cmp.Compare(a.number, b.number) })
	for _, s := range all {
		s.aborting, s.again = true, now.Add(leaveTakes)
		m.sessions.aborting = append(m.sessions.aborting, s)
	}
	for _, s := range all {
		if !s.onAccess() {
			m.abort(now, s)
		}
	}
	m.abortAccesses(now)
	return len(all)
}

// onAccess says whether a session is what a mobile node reaches its home agent by.
func (s *session) onAccess() bool {
	return s.application == diameter.STa || s.application == diameter.EAP
}

// owner is whose session it is, whatever it calls itself.
func (s *session) owner() string { return cmp.Or(imsiOf(s.nai), s.nai) }

// abortAccesses aborts the sessions of accesses that have waited for home agents to
// take leave of the mobile node: TS 23.402, section 6.5.3. The other way round, what
// they have to tell it would not get there.
func (m *Machine) abortAccesses(now time.Time) {
	busy := map[string]bool{} // subscribers with home agents that have not ended their sessions
	for _, s := range m.sessions.aborting {
		if m.sessions.isOpen(s) && !s.onAccess() {
			busy[s.owner()] = true
		}
	}
	for _, s := range slices.Clone(m.sessions.aborting) {
		if m.sessions.isOpen(s) && s.onAccess() && s.attempt == 0 && !busy[s.owner()] {
			m.abort(now, s)
		}
	}
}

// abort sends an Abort-Session-Request.
func (m *Machine) abort(now time.Time, s *session) {
	s.attempt++
	m.sessions.asks++
	s.asked, s.again = m.sessions.asks, time.Time{}
	m.events.Tell("abort-sent", map[string]any{"nai": s.nai, "session": s.id, "peer": s.host, "attempt": s.attempt})
	m.act(now, now, m.server.Step(now, diampeer.Ask{ID: s.asked, Again: s.endToEnd,
		Request: &diameter.AbortSessionRequest{Application: s.application, Session: s.id, Identity: m.identity, DestinationHost: s.host, User: s.nai}}), m.server)
}

// aborted takes what became of an Abort-Session-Request.
func (m *Machine) aborted(now time.Time, in diampeer.Done) {
	m.abortDone(now, in)
	m.abortAccesses(now)
}

// abortDone is aborted, for that session alone. One that the home agent does not know
// is over as well: RFC 6733, section 8.5.2. One that it has ended is over with its
// STR, which follows.
func (m *Machine) abortDone(now time.Time, in diampeer.Done) {
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
		m.events.Tell("abort-answered", fields)
		return
	case in.Result == diameter.UnknownSessionID:
		fields["result"], fields["name"] = uint32(in.Result), in.Result.String()
		m.events.Tell("abort-answered", fields)
		m.close(s, "unknown-to-home-agent", nil)
		return
	}
	s.aborting, s.attempt, s.endToEnd = false, 0, 0
	m.sessions.aborting = slices.Delete(m.sessions.aborting, i, i+1)
	fields["reason"] = in.Reason
	m.events.Tell("abort-failed", fields)
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

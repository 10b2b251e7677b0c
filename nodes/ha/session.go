package ha

import (
	"strings"
	"time"

	"s2clab/nodes/wire/mh"
)

// Result-Codes of an Abort-Session-Answer: RFC 6733, sections 7.1 and 8.5.2.
const (
	resultUnknownSession = 5002
	resultUnableToComply = 5012
)

// A Cause is a Termination-Cause: RFC 6733, section 8.15.
type Cause uint32

// Causes that a home agent has.
const (
	causeLogout         Cause = 1
	causeAdministrative Cause = 4
	causeAuthExpired    Cause = 6
	causeTimeout        Cause = 8
)

// A diameterSession is the session of a security association: RFC 5778, section
// 4.3, has one for each.
type diameterSession struct {
	subscriber  *subscriber
	association *mobilitySA
}

// aborted takes an Abort-Session-Request: RFC 5778, section 4.3.3. The security
// association proves nothing from now on but the end of its binding, which
// follows: by a Binding Revocation Indication, that is protected by it. The
// session is over, and an STR told, when the binding is gone.
//
// TS 23.402, section 6.5.3, has the answer after the binding's end. Here it says
// at once that this home agent complies, as RFC 6733, section 8.1, has it, so that
// it does not wait for a mobile node that is out of reach.
func (m *Machine) aborted(now time.Time, in SessionAborted) {
	if m.registrar != nil {
		m.registrationAborted(now, in)
		return
	}
	d, known := m.sessions[in.Session]
	result := uint32(resultSuccess)
	switch {
	case !strings.EqualFold(in.DestinationHost, m.host):
		result = resultUnableToDeliver
	case !known || in.NAI != "" && in.NAI != d.subscriber.nai:
		result = resultUnknownSession
	case !strings.EqualFold(in.Peer, d.association.server): // section 8.5: of certain servers only
		result = resultUnableToComply
	}
	m.do(AnswerAbort{ID: in.ID, Result: result})
	if m.tells(now, sessionAborted) {
		m.tell(sessionAborted, map[string]any{"nai": in.NAI, "session": in.Session, "peer": in.Peer, "result": result})
	}
	if result != resultSuccess {
		return
	}
	s, a := d.subscriber, d.association
	a.ended = true
	for _, b := range m.bindingsOf(s.nai, s.home) {
		if b.state == detecting || b.association == a {
			m.revoke(now, b, mh.RevokeAdministrative)
		}
		if b.association == a && b.revocation != nil {
			return // the session is over with it
		}
	}
	m.terminate(now, s, a, causeAdministrative)
	s.due(m, now)
}

// endAssociations lets what a mobile node's session gave prove nothing any more
// but what ends its binding. s may be nil.
func (m *Machine) endAssociations(s *subscriber) {
	if s == nil || s.configured {
		return
	}
	m.changedSubscriber(s)
	for _, a := range s.associations {
		a.ended = true
	}
}

// endSessions ends all sessions of a mobile node whose binding is gone: RFC 5778,
// section 4.3.1. The security associations go when nothing is left of the
// binding, so that a repeated de-registration is still answered. s may be nil.
func (m *Machine) endSessions(now time.Time, s *subscriber, cause Cause) {
	if s == nil || s.configured {
		return
	}
	m.endAssociations(s)
	for _, a := range s.associations {
		m.terminate(now, s, a, cause)
	}
}

// terminate tells the server that the session of an association is over.
func (m *Machine) terminate(now time.Time, s *subscriber, a *mobilitySA, cause Cause) {
	if a.session == "" {
		return
	}
	m.do(TerminateSession{Session: a.session, NAI: s.nai, Server: a.server, Cause: cause})
	delete(m.sessions, a.session)
	a.session = ""
	m.changedSubscriber(s)
}

// terminated takes what became of a Session-Termination-Request. The session is
// over here in any case.
func (m *Machine) terminated(now time.Time, in SessionTerminated) {
	if !m.tells(now, sessionTerminated) {
		return
	}
	fields := map[string]any{"nai": in.NAI, "session": in.Session, "result": in.Result}
	if in.Reason != "" {
		fields["reason"] = in.Reason
	}
	m.tell(sessionTerminated, fields)
}

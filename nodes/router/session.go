package router

import (
	"strings"
	"time"

	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/dot1x"
	"s2clab/nodes/wire/diameter"
)

// terminate tells a server that a session is over: RFC 6733, section 8.4.
func (m *Machine) terminate(now time.Time, session, server, nai string, cause diameter.TerminationCause) {
	delete(m.sessions, session)
	m.last++
	m.questions[m.last] = &question{nai: nai, session: session}
	m.do(Ask{ID: m.last, Request: &diameter.SessionTerminationRequest{
		Application: diameter.STa, Session: session, Identity: m.identity, DestinationRealm: m.realm, DestinationHost: server, User: nai, Cause: cause,
	}})
}

// terminated takes what became of that. The session is over here in any case.
func (m *Machine) terminated(now time.Time, q *question, o diampeer.Outcome) {
	if !m.tells(now, "session-terminated") {
		return
	}
	fields := map[string]any{"nai": q.nai, "session": q.session, "result": o.Result.Number()}
	if o.Reason != "" {
		fields["reason"] = o.Reason
	}
	m.tell("session-terminated", fields)
}

// An order is what a server wants of a session.
type order struct {
	event                          string
	session, server, user, forHost string
	proxies                        []diameter.AVP
}

// requested takes a request of an AAA server: ASR or RAR.
func (m *Machine) requested(now time.Time, in AAARequested) {
	var o order
	var err error
	if in.Message.Command == diameter.ReAuth {
		var r *diameter.ReAuthRequest
		if r, err = diameter.ParseReAuthRequest(in.Message); err == nil {
			o = order{"reauthentication-asked", r.Session, r.Host, r.User, r.DestinationHost, r.ProxyInfo}
		}
	} else {
		var r *diameter.AbortSessionRequest
		if r, err = diameter.ParseAbortSessionRequest(in.Message); err == nil {
			o = order{"session-aborted", r.Session, r.Host, r.User, r.DestinationHost, r.ProxyInfo}
		}
	}
	if err != nil {
		m.decline(in, err.(*diameter.Failure))
		return
	}
	s, failure := m.obey(o, in.Message.Command)
	if m.tells(now, o.event) {
		result := diameter.Success
		nai := o.user
		if failure != nil {
			result = failure.Result
		} else {
			nai = s.nai()
		}
		m.tell(o.event, map[string]any{"nai": nai, "session": o.session, "peer": o.server, "result": result.Number()})
	}
	if failure != nil {
		m.decline(in, failure)
		return
	}
	m.comply(in, o)
	if in.Message.Command == diameter.ReAuth {
		// RFC 6733, section 8.3. One that is authenticated anew already goes on with
		// that. Asked for authorisation alone, it is authenticated too: there is no
		// AAR here.
		m.step(now, s.link.dev, dot1x.Reauthenticate{Station: s.mac})
	} else {
		m.step(now, s.link.dev, dot1x.Revoke{Station: s.mac, Reason: "aborted-by-server"})
	}
}

// obey gives the station that an order is about, or why it is not obeyed.
func (m *Machine) obey(o order, command diameter.Command) (*station, *diameter.Failure) {
	s := m.sessions[o.session]
	switch {
	case !strings.EqualFold(o.forHost, m.identity.Host):
		return nil, &diameter.Failure{Result: diameter.UnableToDeliver, What: "there is no way from here to that host"}
	case s == nil:
		return nil, &diameter.Failure{Result: diameter.UnknownSessionID, What: "there is no such session"}
	case !strings.EqualFold(o.server, s.server(o.session)): // RFC 6733, section 8.5: of certain servers only
		return nil, &diameter.Failure{Result: diameter.UnableToComply, What: "the session is another server's"}
	case command == diameter.ReAuth && s.admission == nil:
		return nil, &diameter.Failure{Result: diameter.UnableToComply, What: "the session is not authorised yet"}
	}
	return s, nil
}

// server gives the Diameter identity of the server of one of a station's sessions.
func (s *station) server(session string) string {
	if a := s.admission; a != nil && a.session == session {
		return a.server
	}
	return s.conversation.server
}

func (s *station) nai() string {
	if s.admission != nil {
		return s.admission.nai
	}
	return s.conversation.identity
}

func (m *Machine) decline(in AAARequested, f *diameter.Failure) {
	if octets, err := diameter.AppendFailure(nil, in.Message, m.identity, f); err == nil {
		m.do(AnswerAAA{ID: in.ID, Octets: octets})
	}
}

func (m *Machine) comply(in AAARequested, o order) {
	success := diameter.Outcome{Result: diameter.Success}
	var octets []byte
	var err error
	if in.Message.Command == diameter.ReAuth {
		octets, err = (&diameter.ReAuthAnswer{Session: o.session, Outcome: success, Identity: m.identity, ProxyInfo: o.proxies}).AppendTo(nil, in.Message.Header)
	} else {
		octets, err = (&diameter.AbortSessionAnswer{Session: o.session, Outcome: success, Identity: m.identity, ProxyInfo: o.proxies}).AppendTo(nil, in.Message.Header)
	}
	if err == nil { // what was parsed fits
		m.do(AnswerAAA{ID: in.ID, Octets: octets})
	}
}

// read gives what an AAA server has said, or why there is nothing.
func read(o *diampeer.Outcome) (*diameter.DiameterEAPAnswer, string) {
	if o.Message == nil {
		return nil, "aaa-" + o.Reason
	}
	if o.Result.ProtocolError() { // with the E bit, it says no more than its result
		return nil, "aaa-" + o.Result.String()
	}
	answer, err := diameter.ParseDiameterEAPAnswer(o.Message)
	if err != nil {
		return nil, "aaa-malformed-answer"
	}
	return answer, ""
}

package diameter

import (
	"cmp"
	"fmt"
)

// A TerminationCause says why a session ends: RFC 6733, section 8.15.
type TerminationCause uint32

// Causes that a home agent, an ePDG or an access network has.
const (
	Logout         TerminationCause = 1 // the mobile node de-registered
	Administrative TerminationCause = 4 // the home agent's or the server's decision
	LinkBroken     TerminationCause = 5 // the mobile node has gone without a word
	AuthExpired    TerminationCause = 6 // the key's lifetime is over, or another key has taken its place
	TimedOut       TerminationCause = 8 // the binding was not refreshed
)

// String is the RFC's name in kebab-case, without "diameter"; a cause without a
// name here is cause- and its number.
func (c TerminationCause) String() string {
	switch c {
	case Logout:
		return "logout"
	case Administrative:
		return "administrative"
	case LinkBroken:
		return "link-broken"
	case AuthExpired:
		return "auth-expired"
	case TimedOut:
		return "session-timeout"
	}
	return fmt.Sprintf("cause-%d", uint32(c))
}

// A SessionTerminationRequest (STR) tells a server that keeps state that a
// session has ended: RFC 6733, section 8.4.1; RFC 5778, section 4.3.1; TS 29.273,
// sections 5.2.2, 7.2.2 and 9.2.2.
type SessionTerminationRequest struct {
	Application Application // the session's; not written: MIP6A
	Session     string
	Identity
	DestinationRealm string
	DestinationHost  string // empty: not told
	User             string // empty: not told
	Cause            TerminationCause
	ProxyInfo        []AVP // of a parsed request, for its answer; not sent
}

// AppendTo appends the whole message; of h, the identifiers and the T bit are taken.
func (r *SessionTerminationRequest) AppendTo(b []byte, h Header) ([]byte, error) {
	application := cmp.Or(r.Application, MIP6A)
	h = h.request(SessionTermination, application)
	start := len(b)
	b = appendOctets(h.append(b), SessionID, r.Session)
	b = r.Identity.append(b)
	b = appendOctets(b, DestinationRealm, r.DestinationRealm)
	b = appendUint32(b, AuthApplicationID, application)
	b = appendUint32(b, TerminationCauseAVP, uint32(r.Cause))
	if r.User != "" {
		b = appendOctets(b, UserName, r.User)
	}
	if r.DestinationHost != "" {
		b = appendOctets(b, DestinationHost, r.DestinationHost)
	}
	return finish(r.appendState(b), start)
}

// ParseSessionTerminationRequest checks and reads m. Errors are *Failure.
func ParseSessionTerminationRequest(m *Message) (*SessionTerminationRequest, error) {
	if err := checkAs(m, SessionTermination, Request); err != nil {
		return nil, err
	}
	return &SessionTerminationRequest{
		Application:      m.Application,
		Session:          text(m.AVPs, SessionID),
		Identity:         parseIdentity(m.AVPs),
		DestinationRealm: text(m.AVPs, DestinationRealm),
		DestinationHost:  text(m.AVPs, DestinationHost),
		User:             text(m.AVPs, UserName),
		Cause:            TerminationCause(number(m.AVPs, TerminationCauseAVP)),
		ProxyInfo:        all(m.AVPs, ProxyInfo),
	}, nil
}

// A SessionTerminationAnswer (STA) acknowledges it: RFC 6733, section 8.4.2.
type SessionTerminationAnswer struct {
	Session string
	Outcome
	Identity
	ProxyInfo []AVP // of the request, in its order
}

// AppendTo appends the whole message; h is the request's header.
func (a *SessionTerminationAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	if err := a.plain(SessionTermination); err != nil {
		return nil, err
	}
	start := len(b)
	b = appendOctets(h.answer(SessionTermination, cmp.Or(h.Application, MIP6A), a.Result).append(b), SessionID, a.Session)
	b = a.Identity.append(a.Outcome.append(b))
	b = appendAll(a.appendState(a.appendRest(b)), a.ProxyInfo)
	return finish(b, start)
}

// ParseSessionTerminationAnswer checks and reads m. Errors are *Failure.
func ParseSessionTerminationAnswer(m *Message) (*SessionTerminationAnswer, error) {
	if err := checkAs(m, SessionTermination, 0); err != nil {
		return nil, err
	}
	return &SessionTerminationAnswer{
		Session:   text(m.AVPs, SessionID),
		Outcome:   parseOutcome(m.AVPs),
		Identity:  parseIdentity(m.AVPs),
		ProxyInfo: all(m.AVPs, ProxyInfo),
	}, nil
}

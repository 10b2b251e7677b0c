package diameter

import "cmp"

// An AbortSessionRequest (ASR) has a home agent, an ePDG or an access network end a
// session that the server authorised: RFC 6733, section 8.5.1; RFC 5778, section
// 4.3.3; TS 29.273, sections 5.2.2, 7.2.2 and 9.2.2.
type AbortSessionRequest struct {
	Application Application // the session's; not written: MIP6A
	Session     string
	Identity
	DestinationRealm string
	DestinationHost  string // whose session it is: a must
	User             string // empty: not told
	ProxyInfo        []AVP  // of a parsed request, for its answer; not sent
}

// AppendTo appends the whole message; of h, the identifiers and the T bit are taken.
func (r *AbortSessionRequest) AppendTo(b []byte, h Header) ([]byte, error) {
	application := cmp.Or(r.Application, MIP6A)
	h = h.request(AbortSession, application)
	start := len(b)
	b = appendOctets(h.append(b), SessionID, r.Session)
	b = r.Identity.append(b)
	b = appendOctets(b, DestinationRealm, r.DestinationRealm)
	b = appendOctets(b, DestinationHost, r.DestinationHost)
	b = appendUint32(b, AuthApplicationID, application)
	if r.User != "" {
		b = appendOctets(b, UserName, r.User)
	}
	return finish(r.appendState(b), start)
}

// ParseAbortSessionRequest checks and reads m. Errors are *Failure.
func ParseAbortSessionRequest(m *Message) (*AbortSessionRequest, error) {
	if err := checkAs(m, AbortSession, Request); err != nil {
		return nil, err
	}
	return &AbortSessionRequest{
		Application:      m.Application,
		Session:          text(m.AVPs, SessionID),
		Identity:         parseIdentity(m.AVPs),
		DestinationRealm: text(m.AVPs, DestinationRealm),
		DestinationHost:  text(m.AVPs, DestinationHost),
		User:             text(m.AVPs, UserName),
		ProxyInfo:        all(m.AVPs, ProxyInfo),
	}, nil
}

// An AbortSessionAnswer (ASA) says what became of it: RFC 6733, section 8.5.2.
type AbortSessionAnswer struct {
	Session string
	Outcome
	Identity
	ProxyInfo []AVP // of the request, in its order
}

// AppendTo appends the whole message; h is the request's header.
func (a *AbortSessionAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	if err := a.plain(AbortSession); err != nil {
		return nil, err
	}
	start := len(b)
	b = appendOctets(h.answer(AbortSession, cmp.Or(h.Application, MIP6A), a.Result).append(b), SessionID, a.Session)
	b = a.Identity.append(a.Outcome.append(b))
	b = appendAll(a.appendState(a.appendRest(b)), a.ProxyInfo)
	return finish(b, start)
}

// ParseAbortSessionAnswer checks and reads m. Errors are *Failure.
func ParseAbortSessionAnswer(m *Message) (*AbortSessionAnswer, error) {
	if err := checkAs(m, AbortSession, 0); err != nil {
		return nil, err
	}
	return &AbortSessionAnswer{
		Session:   text(m.AVPs, SessionID),
		Outcome:   parseOutcome(m.AVPs),
		Identity:  parseIdentity(m.AVPs),
		ProxyInfo: all(m.AVPs, ProxyInfo),
	}, nil
}

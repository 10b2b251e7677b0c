package diameter

import "cmp"

// Values of Re-Auth-Request-Type: RFC 6733, section 8.12.
const (
	ReAuthorizeOnly         uint32 = 0
	ReAuthorizeAuthenticate uint32 = 1
)

// A ReAuthRequest (RAR) has a client ask its server again for a session: RFC 6733,
// section 8.3.1; TS 29.273, sections 5.2.2, 7.2.2 and 9.2.2.
type ReAuthRequest struct {
	Application Application // the session's; not written: MIP6A
	Session     string
	Identity
	DestinationRealm string
	DestinationHost  string // whose session it is: a must
	Type             uint32 // Re-Auth-Request-Type: ReAuthorizeOnly or ReAuthorizeAuthenticate
	User             string // empty: not told
	ProxyInfo        []AVP  // of a parsed request, for its answer; not sent
}

// AppendTo appends the whole message; of h, the identifiers and the T bit are taken.
func (r *ReAuthRequest) AppendTo(b []byte, h Header) ([]byte, error) {
	application := cmp.Or(r.Application, MIP6A)
	start := len(b)
	b = appendOctets(h.request(ReAuth, application).append(b), SessionID, r.Session)
	b = r.Identity.append(b)
	b = appendOctets(b, DestinationRealm, r.DestinationRealm)
	b = appendOctets(b, DestinationHost, r.DestinationHost)
	b = appendUint32(b, AuthApplicationID, application)
	b = appendUint32(b, ReAuthRequestType, r.Type)
	b = appendText(b, UserName, r.User)
	return finish(r.appendState(b), start)
}

// ParseReAuthRequest checks and reads m. Errors are *Failure.
func ParseReAuthRequest(m *Message) (*ReAuthRequest, error) {
	if err := checkAs(m, ReAuth, Request); err != nil {
		return nil, err
	}
	return &ReAuthRequest{
		Application:      m.Application,
		Session:          text(m.AVPs, SessionID),
		Identity:         parseIdentity(m.AVPs),
		DestinationRealm: text(m.AVPs, DestinationRealm),
		DestinationHost:  text(m.AVPs, DestinationHost),
		Type:             number(m.AVPs, ReAuthRequestType),
		User:             text(m.AVPs, UserName),
		ProxyInfo:        all(m.AVPs, ProxyInfo),
	}, nil
}

// A ReAuthAnswer (RAA) says whether it will: RFC 6733, section 8.3.2.
type ReAuthAnswer struct {
	Session string
	Outcome
	Identity
	User      string // empty: not told
	ProxyInfo []AVP  // of the request, in its order
}

// AppendTo appends the whole message; h is the request's header.
func (a *ReAuthAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	if err := a.plain(ReAuth); err != nil {
		return nil, err
	}
	start := len(b)
	b = appendOctets(h.answer(ReAuth, cmp.Or(h.Application, MIP6A), a.Result).append(b), SessionID, a.Session)
	b = a.Identity.append(a.Outcome.append(b))
	b = appendText(b, UserName, a.User)
	b = appendAll(a.appendState(a.appendRest(b)), a.ProxyInfo)
	return finish(b, start)
}

// ParseReAuthAnswer checks and reads m. Errors are *Failure.
func ParseReAuthAnswer(m *Message) (*ReAuthAnswer, error) {
	if err := checkAs(m, ReAuth, 0); err != nil {
		return nil, err
	}
	return &ReAuthAnswer{
		Session:   text(m.AVPs, SessionID),
		Outcome:   parseOutcome(m.AVPs),
		Identity:  parseIdentity(m.AVPs),
		User:      text(m.AVPs, UserName),
		ProxyInfo: all(m.AVPs, ProxyInfo),
	}, nil
}

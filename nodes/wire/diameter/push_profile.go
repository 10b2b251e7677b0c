package diameter

// A PushProfileRequest (PPR) tells an AAA server that a subscription has changed:
// TS 29.273, section 8.2.2.
type PushProfileRequest struct {
	Session string
	Identity
	DestinationRealm string
	DestinationHost  string           // the AAA server: a must
	User             string           // User-Name: an IMSI
	Data             *Non3GPPUserData // what has changed; nil: nothing
	Flags            *uint32          // PPR-Flags: TS 29.273, section 8.2.3.17; nil: not told
	ProxyInfo        []AVP            // of a parsed request, for its answer; not sent
}

// AppendTo appends the whole message; of h, the identifiers and the T bit are taken.
func (r *PushProfileRequest) AppendTo(b []byte, h Header) ([]byte, error) {
	start := len(b)
	b = appendOctets(h.request(PushProfile, SWx).append(b), SessionID, r.Session)
	b = appendStateless(b, SWx)
	b = r.Identity.append(b)
	b = appendOctets(b, DestinationHost, r.DestinationHost)
	b = appendOctets(b, DestinationRealm, r.DestinationRealm)
	b = appendOctets(b, UserName, r.User)
	b, err := r.Data.append(b)
	if err != nil {
		return nil, err
	}
	return finish(r.appendState(appendTold(b, PPRFlags, r.Flags)), start)
}

// ParsePushProfileRequest checks and reads m. Errors are *Failure.
func ParsePushProfileRequest(m *Message) (*PushProfileRequest, error) {
	if err := checkAs(m, PushProfile, Request); err != nil {
		return nil, err
	}
	return &PushProfileRequest{
		Session:          text(m.AVPs, SessionID),
		Identity:         parseIdentity(m.AVPs),
		DestinationRealm: text(m.AVPs, DestinationRealm),
		DestinationHost:  text(m.AVPs, DestinationHost),
		User:             text(m.AVPs, UserName),
		Data:             parseUserData(m.AVPs),
		Flags:            told[uint32](m.AVPs, PPRFlags),
		ProxyInfo:        all(m.AVPs, ProxyInfo),
	}, nil
}

// A PushProfileAnswer (PPA) acknowledges it: TS 29.273, section 8.2.2.
type PushProfileAnswer struct {
	Session string
	Outcome
	Identity
	ProxyInfo []AVP // of the request, in its order
}

// AppendTo appends the whole message; h is the request's header.
func (a *PushProfileAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	start := len(b)
	b = appendOctets(h.answer(PushProfile, SWx, a.Result).append(b), SessionID, a.Session)
	b = appendStateless(b, SWx)
	b = a.Identity.append(a.Outcome.append(b))
	b = appendAll(a.appendState(a.appendRest(b)), a.ProxyInfo)
	return finish(b, start)
}

// ParsePushProfileAnswer checks and reads m. Errors are *Failure.
func ParsePushProfileAnswer(m *Message) (*PushProfileAnswer, error) {
	if err := checkAs(m, PushProfile, 0); err != nil {
		return nil, err
	}
	return &PushProfileAnswer{
		Session:   text(m.AVPs, SessionID),
		Outcome:   parseOutcome(m.AVPs),
		Identity:  parseIdentity(m.AVPs),
		ProxyInfo: all(m.AVPs, ProxyInfo),
	}, nil
}

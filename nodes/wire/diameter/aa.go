package diameter

// An AARequest (AAR) asks a server to authorise without authentication, or tells
// it of another PDN gateway: TS 29.273, sections 5.2.2, 7.2.2 and 9.2.2.
type AARequest struct {
	Application Application // STa, SWm or S6b
	Session     string
	Identity
	DestinationRealm string
	DestinationHost  string     // empty: any server of that realm
	User             string     // User-Name; empty: not told
	Type             uint32     // Auth-Request-Type: AuthorizeOnly
	Agent            *AgentInfo // MIP6-Agent-Info: the PDN gateway; nil: not told
	FeatureVector    *uint64    // MIP6-Feature-Vector; nil: not told
	VisitedNetwork   string     // Visited-Network-Identifier; empty: not told
	Service          string     // Service-Selection: an APN; empty: not told
	RAT              *RATType   // nil: not told
	ProxyInfo        []AVP      // of a parsed request, for its answer; not sent
}

// AppendTo appends the whole message; of h, the identifiers and the T bit are taken.
func (r *AARequest) AppendTo(b []byte, h Header) ([]byte, error) {
	h = h.request(AA, r.Application)
	if err := h.known(); err != nil {
		return nil, err
	}
	start := len(b)
	b = appendOctets(h.append(b), SessionID, r.Session)
	b = appendUint32(b, AuthApplicationID, r.Application)
	b = r.Identity.append(b)
	b = appendOctets(b, DestinationRealm, r.DestinationRealm)
	b = appendText(b, DestinationHost, r.DestinationHost)
	b = appendUint32(b, AuthRequestType, r.Type)
	b = appendText(b, UserName, r.User)
	b, err := r.Agent.append(b)
	if err != nil {
		return nil, err
	}
	b = appendVector(b, r.FeatureVector)
	b = appendText(b, VisitedNetworkIdentifier, r.VisitedNetwork)
	b = appendText(b, ServiceSelection, r.Service)
	b = appendTold(b, RATTypeAVP, r.RAT)
	return finish(r.appendState(b), start)
}

// ParseAARequest checks and reads m. Errors are *Failure.
func ParseAARequest(m *Message) (*AARequest, error) {
	if err := checkAs(m, AA, Request); err != nil {
		return nil, err
	}
	return &AARequest{
		Application:      m.Application,
		Session:          text(m.AVPs, SessionID),
		Identity:         parseIdentity(m.AVPs),
		DestinationRealm: text(m.AVPs, DestinationRealm),
		DestinationHost:  text(m.AVPs, DestinationHost),
		User:             text(m.AVPs, UserName),
		Type:             number(m.AVPs, AuthRequestType),
		Agent:            parseAgentInfo(m.AVPs),
		FeatureVector:    parseVector(m.AVPs),
		VisitedNetwork:   text(m.AVPs, VisitedNetworkIdentifier),
		Service:          text(m.AVPs, ServiceSelection),
		RAT:              told[RATType](m.AVPs, RATTypeAVP),
		ProxyInfo:        all(m.AVPs, ProxyInfo),
	}, nil
}

// An AAAnswer (AAA) says what is allowed: TS 29.273, sections 5.2.2, 7.2.2 and 9.2.2.
type AAAnswer struct {
	Session string
	Outcome
	Identity
	Type          uint32 // Auth-Request-Type: the request's
	User          string // User-Name; empty: not told
	Grant                // with Success
	Subscriptions []SubscriptionID
	ProxyInfo     []AVP // of the request, in its order
}

// AppendTo appends the whole message; h is the request's header.
func (a *AAAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	h = h.answer(AA, h.Application, a.Result)
	if err := h.known(); err != nil {
		return nil, err
	}
	start := len(b)
	b = appendOctets(h.append(b), SessionID, a.Session)
	b = appendUint32(b, AuthApplicationID, h.Application)
	b = appendUint32(b, AuthRequestType, a.Type)
	b = a.Identity.append(a.Outcome.append(b))
	b = appendText(b, UserName, a.User)
	b, err := a.Grant.append(b)
	if err != nil {
		return nil, err
	}
	b = appendSubscriptions(b, a.Subscriptions)
	b = appendAll(a.appendState(a.appendRest(b)), a.ProxyInfo)
	return finish(b, start)
}

// ParseAAAnswer checks and reads m. Errors are *Failure.
func ParseAAAnswer(m *Message) (*AAAnswer, error) {
	if err := checkAs(m, AA, 0); err != nil {
		return nil, err
	}
	return &AAAnswer{
		Session:       text(m.AVPs, SessionID),
		Outcome:       parseOutcome(m.AVPs),
		Identity:      parseIdentity(m.AVPs),
		Type:          number(m.AVPs, AuthRequestType),
		User:          text(m.AVPs, UserName),
		Grant:         parseGrant(m.AVPs),
		Subscriptions: parseSubscriptions(m.AVPs),
		ProxyInfo:     all(m.AVPs, ProxyInfo),
	}, nil
}

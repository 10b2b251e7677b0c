package diameter

import "time"

// Values of Auth-Request-Type besides AuthorizeAuthenticate: RFC 6733, section 8.7.
const (
	AuthenticateOnly uint32 = 1
	AuthorizeOnly    uint32 = 2
)

// A DiameterEAPRequest (DER) carries what a peer of EAP said to its server: RFC
// 4072, section 3.1; of an access network, an ePDG or a PDN gateway, TS 29.273,
// sections 5.2.2, 7.2.2 and 9.2.2.
type DiameterEAPRequest struct {
	Application Application // EAP, STa, SWm or S6b
	Session     string
	Identity
	DestinationRealm string
	DestinationHost  string     // empty: any server of that realm
	User             string     // User-Name; empty: not told
	Type             uint32     // Auth-Request-Type: AuthorizeAuthenticate or AuthenticateOnly
	EAP              []byte     // EAP-Payload: a whole packet; empty: asks the server to begin
	State            []byte     // State, as the answer before had it; nil: none
	CallingStation   string     // Calling-Station-Id; empty: not told
	RAT              *RATType   // nil: not told
	AccessNetwork    string     // ANID; empty: not told
	VisitedNetwork   string     // Visited-Network-Identifier; empty: not told
	Service          string     // Service-Selection: an APN; empty: the subscription's default
	FeatureVector    *uint64    // MIP6-Feature-Vector; nil: not told
	Agent            *AgentInfo // MIP6-Agent-Info: the gateway that asks, or is wanted; nil: not told
	AAAFailure       bool       // AAA-Failure-Indication: the server that was assigned cannot be reached
	ProxyInfo        []AVP      // of a parsed request, for its answer; not sent
}

// AppendTo appends the whole message; of h, the identifiers and the T bit are taken.
func (r *DiameterEAPRequest) AppendTo(b []byte, h Header) ([]byte, error) {
	h = h.request(DiameterEAP, r.Application)
	if err := h.known(); err != nil {
		return nil, err
	}
	start := len(b)
	b = appendOctets(h.append(b), SessionID, r.Session)
	b = appendUint32(b, AuthApplicationID, r.Application)
	b = r.Identity.append(b)
	b = appendOctets(b, DestinationRealm, r.DestinationRealm)
	b = appendUint32(b, AuthRequestType, r.Type)
	b = appendText(b, DestinationHost, r.DestinationHost)
	b = r.appendState(b)
	b = appendText(b, UserName, r.User)
	b = appendOctets(b, EAPPayload, r.EAP)
	b = appendHeld(b, StateAVP, r.State)
	b = appendText(b, CallingStationID, r.CallingStation)
	b = appendTold(b, RATTypeAVP, r.RAT)
	b = appendText(b, ANID, r.AccessNetwork)
	b = appendVector(b, r.FeatureVector)
	b, err := r.Agent.append(b)
	if err != nil {
		return nil, err
	}
	b = appendText(b, VisitedNetworkIdentifier, r.VisitedNetwork)
	b = appendText(b, ServiceSelection, r.Service)
	return finish(appendAAAFailure(b, r.AAAFailure), start)
}

// ParseDiameterEAPRequest checks and reads m. Errors are *Failure.
func ParseDiameterEAPRequest(m *Message) (*DiameterEAPRequest, error) {
	if err := checkAs(m, DiameterEAP, Request); err != nil {
		return nil, err
	}
	return &DiameterEAPRequest{
		Application:      m.Application,
		Session:          text(m.AVPs, SessionID),
		Identity:         parseIdentity(m.AVPs),
		DestinationRealm: text(m.AVPs, DestinationRealm),
		DestinationHost:  text(m.AVPs, DestinationHost),
		User:             text(m.AVPs, UserName),
		Type:             number(m.AVPs, AuthRequestType),
		EAP:              octets(m.AVPs, EAPPayload),
		State:            octets(m.AVPs, StateAVP),
		CallingStation:   text(m.AVPs, CallingStationID),
		RAT:              told[RATType](m.AVPs, RATTypeAVP),
		AccessNetwork:    text(m.AVPs, ANID),
		VisitedNetwork:   text(m.AVPs, VisitedNetworkIdentifier),
		Service:          text(m.AVPs, ServiceSelection),
		FeatureVector:    parseVector(m.AVPs),
		Agent:            parseAgentInfo(m.AVPs),
		AAAFailure:       parseAAAFailure(m.AVPs),
		ProxyInfo:        all(m.AVPs, ProxyInfo),
	}, nil
}

// A Trust says whether an access network is trusted: AN-Trusted, TS 29.273, section
// 5.2.3.9.
type Trust uint32

const (
	Trusted   Trust = 0
	Untrusted Trust = 1
)

// A DiameterEAPAnswer (DEA) carries what the server says: RFC 4072, section 3.2; TS
// 29.273, sections 5.2.2, 7.2.2 and 9.2.2. MultiRoundAuth means that another
// request is wanted.
type DiameterEAPAnswer struct {
	Session string
	Outcome
	Identity
	Type          uint32        // Auth-Request-Type: the request's
	User          string        // User-Name; empty: not told
	EAP           []byte        // EAP-Payload: a whole packet; nil: none
	Reissued      []byte        // EAP-Reissued-Payload: the server's last packet, to be sent again; nil: none
	MSK           []byte        // EAP-Master-Session-Key: of EAP-AKA, 64 octets; nil: none
	State         []byte        // State, for the next request; nil: none
	RoundTimeout  time.Duration // Multi-Round-Time-Out, whole seconds: how long the server waits; 0: not told
	Grant                       // with Success
	Agent         *AgentInfo    // MIP6-Agent-Info: the gateway to go to; nil: not told
	MobileNode    string        // Mobile-Node-Identifier: the NAI to use with the gateway; empty: not told
	Subscriptions []SubscriptionID
	ProxyInfo     []AVP // of the request, in its order
}

// AppendTo appends the whole message; h is the request's header.
func (a *DiameterEAPAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	h = h.answer(DiameterEAP, h.Application, a.Result)
	if err := h.known(); err != nil {
		return nil, err
	}
	wait, err := inSeconds("Multi-Round-Time-Out", a.RoundTimeout)
	if err != nil {
		return nil, err
	}
	start := len(b)
	b = appendOctets(h.append(b), SessionID, a.Session)
	b = appendUint32(b, AuthApplicationID, h.Application)
	b = appendUint32(b, AuthRequestType, a.Type)
	b = a.Identity.append(a.Outcome.append(b))
	b = appendText(b, UserName, a.User)
	b = appendHeld(b, EAPPayload, a.EAP)
	b = appendHeld(b, EAPReissuedPayload, a.Reissued)
	b = appendHeld(b, EAPMasterSessionKey, a.MSK)
	if wait != 0 {
		b = appendUint32(b, MultiRoundTimeOut, wait)
	}
	b = appendHeld(b, StateAVP, a.State)
	if b, err = a.Grant.append(b); err != nil {
		return nil, err
	}
	if b, err = a.Agent.append(b); err != nil {
		return nil, err
	}
	b = appendText(b, MobileNodeIdentifier, a.MobileNode)
	b = appendSubscriptions(b, a.Subscriptions)
	b = appendAll(a.appendState(a.appendRest(b)), a.ProxyInfo)
	return finish(b, start)
}

// ParseDiameterEAPAnswer checks and reads m. Errors are *Failure. With
// MultiRoundAuth, there is something to say to the peer.
func ParseDiameterEAPAnswer(m *Message) (*DiameterEAPAnswer, error) {
	if err := checkAs(m, DiameterEAP, 0); err != nil {
		return nil, err
	}
	a := &DiameterEAPAnswer{
		Session:       text(m.AVPs, SessionID),
		Outcome:       parseOutcome(m.AVPs),
		Identity:      parseIdentity(m.AVPs),
		Type:          number(m.AVPs, AuthRequestType),
		User:          text(m.AVPs, UserName),
		EAP:           octets(m.AVPs, EAPPayload),
		Reissued:      octets(m.AVPs, EAPReissuedPayload),
		MSK:           octets(m.AVPs, EAPMasterSessionKey),
		State:         octets(m.AVPs, StateAVP),
		RoundTimeout:  seconds(m.AVPs, MultiRoundTimeOut),
		Grant:         parseGrant(m.AVPs),
		Agent:         parseAgentInfo(m.AVPs),
		MobileNode:    text(m.AVPs, MobileNodeIdentifier),
		Subscriptions: parseSubscriptions(m.AVPs),
		ProxyInfo:     all(m.AVPs, ProxyInfo),
	}
	if a.Result == MultiRoundAuth && a.EAP == nil && a.Reissued == nil { // RFC 4072, sections 2.2 and 2.4
		return nil, wantTop(m.AVPs, EAPPayload)
	}
	return a, nil
}

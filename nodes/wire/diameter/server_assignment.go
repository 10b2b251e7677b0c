package diameter

import "fmt"

// A ServerAssignmentType says why an AAA server speaks to an HSS of a subscriber:
// TS 29.229, section 6.3.15, and TS 29.273, section 8.2.3.
type ServerAssignmentType uint32

const (
	NoAssignment                 ServerAssignmentType = 0
	Registration                 ServerAssignmentType = 1
	ReRegistration               ServerAssignmentType = 2
	TimeoutDeregistration        ServerAssignmentType = 4
	UserDeregistration           ServerAssignmentType = 5
	AdministrativeDeregistration ServerAssignmentType = 8
	AuthenticationFailure        ServerAssignmentType = 9
	AuthenticationTimeout        ServerAssignmentType = 10
	AAAUserDataRequest           ServerAssignmentType = 12
	PGWUpdate                    ServerAssignmentType = 13
	Restoration                  ServerAssignmentType = 14
)

// String is the specification's name in kebab-case; a type without a name here is
// assignment- and its number.
func (t ServerAssignmentType) String() string {
	switch t {
	case NoAssignment:
		return "no-assignment"
	case Registration:
		return "registration"
	case ReRegistration:
		return "re-registration"
	case TimeoutDeregistration:
		return "timeout-deregistration"
	case UserDeregistration:
		return "user-deregistration"
	case AdministrativeDeregistration:
		return "administrative-deregistration"
	case AuthenticationFailure:
		return "authentication-failure"
	case AuthenticationTimeout:
		return "authentication-timeout"
	case AAAUserDataRequest:
		return "aaa-user-data-request"
	case PGWUpdate:
		return "pgw-update"
	case Restoration:
		return "restoration"
	}
	return fmt.Sprintf("assignment-%d", uint32(t))
}

// A ServerAssignmentRequest (SAR) registers an AAA server at an HSS as that of a
// subscriber, ends that, asks for the subscription, or tells the PDN gateway: TS
// 29.273, section 8.2.2.
type ServerAssignmentRequest struct {
	Session string
	Identity
	DestinationRealm string
	DestinationHost  string // empty: not told
	User             string // User-Name: an IMSI
	Type             ServerAssignmentType
	Service          string     // Service-Selection: the APN, a must with PGWUpdate; empty: not told
	Context          *uint32    // Context-Identifier of the APN; nil: not told
	Agent            *AgentInfo // MIP6-Agent-Info: the PDN gateway, a must with PGWUpdate; nil: not told
	VisitedNetwork   string     // Visited-Network-Identifier: where the gateway is; empty: not told
	ProxyInfo        []AVP      // of a parsed request, for its answer; not sent
}

// AppendTo appends the whole message; of h, the identifiers and the T bit are taken.
func (r *ServerAssignmentRequest) AppendTo(b []byte, h Header) ([]byte, error) {
	start := len(b)
	b = appendOctets(h.request(ServerAssignment, SWx).append(b), SessionID, r.Session)
	b = appendStateless(b, SWx)
	b = r.Identity.append(b)
	b = appendOctets(b, DestinationRealm, r.DestinationRealm)
	b = appendText(b, DestinationHost, r.DestinationHost)
	b = appendText(b, ServiceSelection, r.Service)
	b = appendTold(b, ContextIdentifier, r.Context)
	b, err := r.Agent.append(b)
	if err != nil {
		return nil, err
	}
	b = appendText(b, VisitedNetworkIdentifier, r.VisitedNetwork)
	b = appendOctets(b, UserName, r.User)
	b = appendUint32(b, ServerAssignmentTypeAVP, r.Type)
	return finish(r.appendState(b), start)
}

// ParseServerAssignmentRequest checks and reads m. Errors are *Failure. With
// PGWUpdate, the gateway and the APN are there.
func ParseServerAssignmentRequest(m *Message) (*ServerAssignmentRequest, error) {
	if err := checkAs(m, ServerAssignment, Request); err != nil {
		return nil, err
	}
	r := &ServerAssignmentRequest{
		Session:          text(m.AVPs, SessionID),
		Identity:         parseIdentity(m.AVPs),
		DestinationRealm: text(m.AVPs, DestinationRealm),
		DestinationHost:  text(m.AVPs, DestinationHost),
		User:             text(m.AVPs, UserName),
		Type:             ServerAssignmentType(number(m.AVPs, ServerAssignmentTypeAVP)),
		Service:          text(m.AVPs, ServiceSelection),
		Context:          told[uint32](m.AVPs, ContextIdentifier),
		Agent:            parseAgentInfo(m.AVPs),
		VisitedNetwork:   text(m.AVPs, VisitedNetworkIdentifier),
		ProxyInfo:        all(m.AVPs, ProxyInfo),
	}
	if r.Type == PGWUpdate {
		if err := wantTop(m.AVPs, MIP6AgentInfo, ServiceSelection); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// A ServerAssignmentAnswer (SAA) says what became of it, and brings the
// subscription: TS 29.273, section 8.2.2.
type ServerAssignmentAnswer struct {
	Session string
	Outcome
	Identity
	User      string           // User-Name; empty: not told
	Data      *Non3GPPUserData // nil: not told
	Server    string           // 3GPP-AAA-Server-Name: with IdentityAlreadyRegistered, the server that was assigned
	ProxyInfo []AVP            // of the request, in its order
}

// AppendTo appends the whole message; h is the request's header.
func (a *ServerAssignmentAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	start := len(b)
	b = appendOctets(h.answer(ServerAssignment, SWx, a.Result).append(b), SessionID, a.Session)
	b = appendStateless(b, SWx)
	b = a.Identity.append(a.Outcome.append(b))
	b = appendText(b, UserName, a.User)
	b, err := a.Data.append(b)
	if err != nil {
		return nil, err
	}
	b = appendText(b, AAAServerName, a.Server)
	b = appendAll(a.appendState(a.appendRest(b)), a.ProxyInfo)
	return finish(b, start)
}

// ParseServerAssignmentAnswer checks and reads m. Errors are *Failure.
func ParseServerAssignmentAnswer(m *Message) (*ServerAssignmentAnswer, error) {
	if err := checkAs(m, ServerAssignment, 0); err != nil {
		return nil, err
	}
	return &ServerAssignmentAnswer{
		Session:   text(m.AVPs, SessionID),
		Outcome:   parseOutcome(m.AVPs),
		Identity:  parseIdentity(m.AVPs),
		User:      text(m.AVPs, UserName),
		Data:      parseUserData(m.AVPs),
		Server:    text(m.AVPs, AAAServerName),
		ProxyInfo: all(m.AVPs, ProxyInfo),
	}, nil
}

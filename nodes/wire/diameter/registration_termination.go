package diameter

import "fmt"

// A DeregistrationReason is why an HSS ends a registration: TS 29.229, section
// 6.3.17.
type DeregistrationReason uint32

const (
	PermanentTermination DeregistrationReason = 0
	NewServerAssigned    DeregistrationReason = 1
	ServerChange         DeregistrationReason = 2
)

// String is the specification's name in kebab-case; a reason without a name here
// is reason- and its number.
func (r DeregistrationReason) String() string {
	switch r {
	case PermanentTermination:
		return "permanent-termination"
	case NewServerAssigned:
		return "new-server-assigned"
	case ServerChange:
		return "server-change"
	}
	return fmt.Sprintf("reason-%d", uint32(r))
}

// A RegistrationTerminationRequest (RTR) ends the registration of a subscriber at
// an AAA server: TS 29.273, section 8.2.2.
type RegistrationTerminationRequest struct {
	Session string
	Identity
	DestinationRealm string
	DestinationHost  string // the AAA server: a must
	User             string // User-Name: an IMSI
	Reason           DeregistrationReason
	Info             string // Reason-Info, for people; empty: none
	ProxyInfo        []AVP  // of a parsed request, for its answer; not sent
}

// AppendTo appends the whole message; of h, the identifiers and the T bit are taken.
func (r *RegistrationTerminationRequest) AppendTo(b []byte, h Header) ([]byte, error) {
	start := len(b)
	b = appendOctets(h.request(RegistrationTermination, SWx).append(b), SessionID, r.Session)
	b = appendStateless(b, SWx)
	b = r.Identity.append(b)
	b = appendOctets(b, DestinationHost, r.DestinationHost)
	b = appendOctets(b, DestinationRealm, r.DestinationRealm)
	b = appendOctets(b, UserName, r.User)
	b = appendGroup(b, DeregistrationReasonAVP, func(b []byte) []byte {
		return appendText(appendUint32(b, ReasonCode, r.Reason), ReasonInfo, r.Info)
	})
	return finish(r.appendState(b), start)
}

// ParseRegistrationTerminationRequest checks and reads m. Errors are *Failure.
func ParseRegistrationTerminationRequest(m *Message) (*RegistrationTerminationRequest, error) {
	if err := checkAs(m, RegistrationTermination, Request); err != nil {
		return nil, err
	}
	reason := inner(m.AVPs, DeregistrationReasonAVP)
	return &RegistrationTerminationRequest{
		Session:          text(m.AVPs, SessionID),
		Identity:         parseIdentity(m.AVPs),
		DestinationRealm: text(m.AVPs, DestinationRealm),
		DestinationHost:  text(m.AVPs, DestinationHost),
		User:             text(m.AVPs, UserName),
		Reason:           DeregistrationReason(number(reason, ReasonCode)),
		Info:             text(reason, ReasonInfo),
		ProxyInfo:        all(m.AVPs, ProxyInfo),
	}, nil
}

// A RegistrationTerminationAnswer (RTA) acknowledges it: TS 29.273, section 8.2.2.
type RegistrationTerminationAnswer struct {
	Session string
	Outcome
	Identity
	ProxyInfo []AVP // of the request, in its order
}

// AppendTo appends the whole message; h is the request's header.
func (a *RegistrationTerminationAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	start := len(b)
	b = appendOctets(h.answer(RegistrationTermination, SWx, a.Result).append(b), SessionID, a.Session)
	b = appendStateless(b, SWx)
	b = a.Identity.append(a.Outcome.append(b))
	b = appendAll(a.appendState(a.appendRest(b)), a.ProxyInfo)
	return finish(b, start)
}

// ParseRegistrationTerminationAnswer checks and reads m. Errors are *Failure.
func ParseRegistrationTerminationAnswer(m *Message) (*RegistrationTerminationAnswer, error) {
	if err := checkAs(m, RegistrationTermination, 0); err != nil {
		return nil, err
	}
	return &RegistrationTerminationAnswer{
		Session:   text(m.AVPs, SessionID),
		Outcome:   parseOutcome(m.AVPs),
		Identity:  parseIdentity(m.AVPs),
		ProxyInfo: all(m.AVPs, ProxyInfo),
	}, nil
}

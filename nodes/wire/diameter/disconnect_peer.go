package diameter

import "fmt"

// A DisconnectCause is why a peer ends a connection: RFC 6733, section 5.4.3.
type DisconnectCause uint32

const (
	Rebooting           DisconnectCause = 0 // the receiver may try to connect again
	Busy                DisconnectCause = 1 // it should not
	DoNotWantToTalkToIt DisconnectCause = 2 // it should not
)

// String is the RFC's name in kebab-case.
func (c DisconnectCause) String() string {
	switch c {
	case Rebooting:
		return "rebooting"
	case Busy:
		return "busy"
	case DoNotWantToTalkToIt:
		return "do-not-want-to-talk-to-you"
	}
	return fmt.Sprintf("cause-%d", uint32(c))
}

// A DisconnectPeerRequest announces the end of a connection: RFC 6733, section 5.4.1.
type DisconnectPeerRequest struct {
	Identity // its State is not told
	Cause    DisconnectCause
}

// AppendTo appends the whole message; of h, the identifiers are taken.
func (r *DisconnectPeerRequest) AppendTo(b []byte, h Header) ([]byte, error) {
	h.Flags, h.Command, h.Application = Request, DisconnectPeer, Base
	start := len(b)
	b = appendUint32(r.Identity.append(h.append(b)), DisconnectCauseAVP, uint32(r.Cause))
	return finish(b, start)
}

// ParseDisconnectPeerRequest checks and reads m. Errors are *Failure.
func ParseDisconnectPeerRequest(m *Message) (*DisconnectPeerRequest, error) {
	if err := checkAs(m, DisconnectPeer, Request); err != nil {
		return nil, err
	}
	r := &DisconnectPeerRequest{parseIdentity(m.AVPs), DisconnectCause(number(m.AVPs, DisconnectCauseAVP))}
	if r.Cause > DoNotWantToTalkToIt {
		return nil, &Failure{Result: InvalidAVPValue, AVP: m.Find(DisconnectCauseAVP), What: fmt.Sprintf("Disconnect-Cause %d", r.Cause)}
	}
	return r, nil
}

// A DisconnectPeerAnswer lets it end: who receives it closes the connection. RFC
// 6733, section 5.4.2.
type DisconnectPeerAnswer struct {
	Outcome
	Identity // its State is not told
}

// AppendTo appends the whole message; h is the request's header.
func (a *DisconnectPeerAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	start := len(b)
	b = a.Outcome.append(h.answer(DisconnectPeer, Base, a.Result).append(b))
	return finish(a.appendRest(a.Identity.append(b)), start)
}

// ParseDisconnectPeerAnswer checks and reads m. Errors are *Failure.
func ParseDisconnectPeerAnswer(m *Message) (*DisconnectPeerAnswer, error) {
	if err := checkAs(m, DisconnectPeer, 0); err != nil {
		return nil, err
	}
	return &DisconnectPeerAnswer{parseOutcome(m.AVPs), parseIdentity(m.AVPs)}, nil
}

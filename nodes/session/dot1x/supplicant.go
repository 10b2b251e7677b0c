package dot1x

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"s2clab/nodes/wire/eapol"
)

// A Supplicant asks to be let on a link: 802.1X-2004, clause 8.2.11 (Supplicant PAE).
// It does for an EAP method what RFC 4137, section 4, gives to the peer beside its
// methods: answers that are repeated, and what is believed of Success and Failure.
//
// Its port opens when the method is content and EAP-Success has come, and not
// otherwise: also a method that knows of its success (RFC 3748, section 4.2) waits for
// the packet, and where that was lost it is all done again.
//
// Differs from 802.1X-2004, figure 8-17: a port that is open stays so while a new
// authentication goes on, until that fails or no authenticator answers MaxStart
// times; a request that somebody else has sent then does no harm that lasts.
type Supplicant struct {
	o             SupplicantOptions
	state         supplicantState
	open          bool
	since         time.Time // when the link came up, or the conversation began that opens the port
	at            time.Time // the end of the wait that goes on
	starts        int       // EAPOL-Starts without an answer
	authenticator [6]byte   // whose conversation it is
	exchange      uint64    // the last with the method
	pending       []byte    // Request that the method has; nil: none
	request       []byte    // the last that was answered; nil: none in this conversation
	response      []byte    // to that
	progress      Progress
	out           []Output
}

// SupplicantOptions are what 802.1X-2004, clause 8.2.11.1.2, leaves to be set; a tenth
// of its times is the default here, but for AuthPeriod.
type SupplicantOptions struct {
	StartPeriod time.Duration // between EAPOL-Starts; 0: 3 s
	MaxStart    int           // EAPOL-Starts until there is no authenticator; 0: 3
	AuthPeriod  time.Duration // for the next packet of an authenticator; 0: 10 s, longer than its ServerTimeout and SuppTimeout
	HeldPeriod  time.Duration // between a failure and the next EAPOL-Start; 0: 6 s
	Alone       Alone
}

// Alone says what holds on a link where no authenticator answers.
type Alone int

const (
	AloneShut Alone = iota // the port stays shut, and it goes on asking
	AloneOpen              // the port opens: 802.1X-2004, clause 8.2.11.1.1 (portValid)
)

type supplicantState int

const (
	linkDown supplicantState = iota
	starting
	talking // 802.1X-2004: RESTART and AUTHENTICATING
	authenticated
	resting // HELD
	alone   // AUTHENTICATED, without having been
	loggedOff
)

// LinkUp says that there is a link.
type LinkUp struct{}

// LinkDown says that there is none.
type LinkDown struct{}

// Logoff ends a Supplicant's authorisation, before it leaves the link.
type Logoff struct{}

// Logon begins again: after a Logoff, or where the owner has reason to think that the
// authenticator has forgotten it. An open port stays open meanwhile.
type Logon struct{}

// Progress is how far a method has come, once it has answered a Request: RFC 4137,
// section 4.2 (methodState and decision).
type Progress int

const (
	Continuing Progress = iota // CONT: neither Success nor Failure can come now; both are forged
	Doubtful                   // MAY_CONT or NONE, FAIL: Failure can come; so after an identity
	Content                    // COND_SUCC: both can come
	Assured                    // UNCOND_SUCC: the server has said that Success comes
	Refused                    // DONE, FAIL: it ends here, whatever comes
)

// FromMethod is the answer to a ToMethod.
type FromMethod struct {
	Exchange uint64
	EAP      []byte // the Response; nothing: the method wants the Request to be as if it had not come
	Progress Progress
}

func (LinkUp) input()     {}
func (LinkDown) input()   {}
func (Logoff) input()     {}
func (Logon) input()      {}
func (FromMethod) input() {}

// ToMethod gives an EAP Request to the method. What it had before and has not
// answered it may forget.
type ToMethod struct {
	Exchange uint64
	Fresh    bool // a conversation begins: of an earlier one nothing holds
	EAP      []byte
}

// Open lets the node's packets onto the link.
type Open struct {
	After time.Duration // since the link came up or, again, since the first Request
	Again bool          // it was open
	Alone bool          // for there is no authenticator
}

// Shut keeps them off it.
type Shut struct {
	Reason string // in kebab-case
}

// Unanswered says that no authenticator has answered.
type Unanswered struct {
	Starts int
}

func (ToMethod) output()   {}
func (Open) output()       {}
func (Shut) output()       {}
func (Unanswered) output() {}

// NewSupplicant makes one without a link. Its port is shut.
func NewSupplicant(o SupplicantOptions) *Supplicant {
	o.StartPeriod = orElse(o.StartPeriod, 3*time.Second)
	o.MaxStart = orElse(o.MaxStart, 3)
	o.AuthPeriod = orElse(o.AuthPeriod, 10*time.Second)
	o.HeldPeriod = orElse(o.HeldPeriod, 6*time.Second)
	return &Supplicant{o: o}
}

// Deadline is when Tick has something to do; zero: never.
func (s *Supplicant) Deadline() time.Time { return s.at }

// Authorized says whether the port is open.
func (s *Supplicant) Authorized() bool { return s.open }

// Step takes one Input.
func (s *Supplicant) Step(now time.Time, in Input) []Output {
	s.out = nil
	switch in := in.(type) {
	case LinkUp:
		if s.state == linkDown {
			s.since = now
			s.start(now)
		}
	case LinkDown:
		s.stop(linkDown, "link-down")
	case Logoff:
		if s.state != linkDown && s.state != loggedOff {
			s.tell(Send{To: eapol.Group, Octets: frame(eapol.Logoff, nil)})
			s.stop(loggedOff, "logoff")
		}
	case Logon:
		if s.state != linkDown {
			s.since = now
			s.start(now)
		}
	case Received:
		s.received(now, in)
	case FromMethod:
		s.fromMethod(now, in)
	default:
		panic(fmt.Sprintf("dot1x: a supplicant has no rule for %T", in))
	}
	return s.out
}

// Tick does what is due at now.
func (s *Supplicant) Tick(now time.Time) []Output {
	s.out = nil
	switch {
	case !due(now, s.at):
	case s.state == starting && s.starts < s.o.MaxStart:
		s.sendStart(now)
	case s.state == starting:
		s.tell(Unanswered{Starts: s.starts})
		if s.o.Alone == AloneOpen {
			s.state, s.at = alone, time.Time{}
			s.unlock(now)
			return s.out
		}
		s.rest(now, "no-authenticator")
	case s.state == talking: // a Success or Failure was lost, or a Request
		s.tell(Failed{Reason: "authenticator-timeout"})
		s.start(now)
	case s.state == resting:
		s.start(now)
	}
	return s.out
}

func (s *Supplicant) tell(o Output) { s.out = append(s.out, o) }

func (s *Supplicant) start(now time.Time) {
	s.forget()
	s.state, s.starts = starting, 0
	s.sendStart(now)
}

func (s *Supplicant) sendStart(now time.Time) {
	s.starts++
	s.at = now.Add(s.o.StartPeriod)
	s.tell(Send{To: eapol.Group, Octets: frame(eapol.Start, nil)})
}

// forget ends a conversation.
func (s *Supplicant) forget() {
	s.pending, s.request, s.response, s.progress = nil, nil, nil, Continuing
	s.authenticator = [6]byte{}
}

func (s *Supplicant) unlock(now time.Time) {
	s.tell(Open{After: now.Sub(s.since), Again: s.open, Alone: s.state == alone})
	s.open = true
}

func (s *Supplicant) lock(reason string) {
	if s.open {
		s.tell(Shut{Reason: reason})
		s.open = false
	}
}

func (s *Supplicant) stop(state supplicantState, reason string) {
	s.lock(reason)
	s.forget()
	s.state, s.at = state, time.Time{}
}

// rest waits after a failure before it asks again.
func (s *Supplicant) rest(now time.Time, reason string) {
	s.lock(reason)
	s.forget()
	s.state, s.at = resting, now.Add(s.o.HeldPeriod)
}

func (s *Supplicant) received(now time.Time, in Received) {
	ignore := func(reason string) { s.tell(Ignored{From: in.From, Reason: reason}) }
	if s.state == linkDown || s.state == loggedOff {
		ignore("not-asked-for")
		return
	}
	f, err := eapol.Parse(in.Octets)
	if err != nil {
		ignore("malformed-frame")
		return
	}
	if f.Type != eapol.EAPPacket { // another station's Start or Logoff, or a key for IEEE 802.11
		ignore("unused-frame-type")
		return
	}
	p, err := parseEAP(f.Body)
	switch {
	case err != nil:
		ignore("malformed-eap")
	case p.code == eapResponse: // another station's
		ignore("response")
	case s.state == talking && in.From != s.authenticator:
		ignore("another-authenticator")
	case p.code == eapRequest:
		s.requested(now, in.From, p)
	case s.state != talking:
		ignore("no-conversation")
	case s.pending != nil || s.request == nil || s.request[1] != p.id: // RFC 4137, section 4.5: reqId == lastId
		ignore("unexpected-result")
	case p.code == eapSuccess:
		s.succeeded(now, in.From)
	default:
		s.failed(now, in.From)
	}
}

func (s *Supplicant) requested(now time.Time, from [6]byte, p eapPacket) {
	switch {
	case s.state == talking && bytes.Equal(p.octets, s.pending):
		s.tell(Ignored{From: from, Reason: "repeated-request"}) // RFC 3748, section 4.1: the Response is on its way
		return
	case s.state == talking && s.pending == nil && bytes.Equal(p.octets, s.request):
		s.tell(Send{To: from, Octets: bytes.Clone(s.response)})
		return
	}
	// An authenticator that asks for an identity begins anew.
	fresh := s.state != talking || p.identity
	if fresh {
		if s.open {
			s.since = now
		}
		s.forget()
		s.state, s.authenticator = talking, from
	}
	s.exchange++
	s.pending, s.at = bytes.Clone(p.octets), now.Add(s.o.AuthPeriod)
	s.tell(ToMethod{Exchange: s.exchange, Fresh: fresh, EAP: bytes.Clone(p.octets)})
}

func (s *Supplicant) fromMethod(now time.Time, in FromMethod) {
	if s.pending == nil || in.Exchange != s.exchange {
		s.tell(Ignored{Reason: "late-answer-of-method"})
		return
	}
	request := s.pending
	s.pending = nil
	if len(in.EAP) == 0 { // RFC 4137, section 4.2 (ignore): nothing else changes
		return
	}
	p, err := parseEAP(in.EAP)
	if err != nil || p.code != eapResponse || p.id != request[1] || len(in.EAP) > mostEAP {
		s.tell(Ignored{Reason: "bad-answer-of-method"})
		return
	}
	s.request, s.response, s.progress = request, frame(eapol.EAPPacket, p.octets), in.Progress
	s.at = now.Add(s.o.AuthPeriod)
	s.tell(Send{To: s.authenticator, Octets: slices.Clone(s.response)})
	if s.progress == Refused { // RFC 3748, section 4.2: it need not wait for the Failure
		s.tell(Failed{Reason: "refused-by-method"})
		s.rest(now, "refused-by-method")
	}
}

// succeeded takes a Success in answer to the last Response.
func (s *Supplicant) succeeded(now time.Time, from [6]byte) {
	if s.progress != Content && s.progress != Assured {
		s.tell(Ignored{From: from, Reason: "success-before-the-method-is-done"})
		return
	}
	s.forget()
	s.state, s.at = authenticated, time.Time{}
	s.unlock(now)
}

// failed takes a Failure in answer to the last Response.
func (s *Supplicant) failed(now time.Time, from [6]byte) {
	if s.progress != Content && s.progress != Doubtful {
		s.tell(Ignored{From: from, Reason: "failure-against-the-method"})
		return
	}
	s.tell(Failed{Reason: "refused-by-authenticator"})
	s.rest(now, "refused-by-authenticator")
}

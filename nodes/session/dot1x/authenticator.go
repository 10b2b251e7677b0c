package dot1x

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"s2clab/nodes/wire/eapol"
)

// An Authenticator keeps the controlled ports of one device, one for each station
// that it hears: 802.1X-2004, clauses 8.2.4 (Authenticator PAE) and 8.2.9 (Backend
// Authentication). It passes EAP between a station and an AAA server as RFC 4137,
// section 6, has it.
//
// The stations it holds are bounded: a new one takes the place of the oldest that
// has only been asked for its identity or waits out its quiet period. Those in a
// conversation with the server, and those that are authorised, stay.
type Authenticator struct {
	o        AuthenticatorOptions
	stations []*station // in the order they came
	last     uint64     // conversation
	id       byte       // of the identity request that was sent last
	carrier  bool
	everyone solicitation
	out      []Output
}

// AuthenticatorOptions are what 802.1X-2004, clauses 8.2.4.1.2 and 8.2.9.1.2, leaves to
// be set. Its times are meant for people with cables; the defaults here are a tenth.
type AuthenticatorOptions struct {
	Most          int           // stations; 0: 64
	TxPeriod      time.Duration // between identity requests; 0: 3 s
	SuppTimeout   time.Duration // between copies of another request; 0: 3 s
	MaxReq        int           // copies of a request after the first; 0: 4, of RFC 3748, section 4.3; less: none
	ServerTimeout time.Duration // for an answer from the AAA side; 0: 6 s, in which a Diameter client has tried two servers
	QuietPeriod   time.Duration // in which a station that failed is not listened to; 0: 6 s
	ReauthPeriod  time.Duration // from success to the next authentication; 0: 1 h; less: none by itself
	Rand          *rand.Rand    // for identifiers
}

const defaultMost = 64

// reauthLead is how long before its end a session is authenticated again, or a quarter
// of the session where that is shorter.
const reauthLead = 20 * time.Second

// CarrierUp says that the device has its carrier: stations may be there.
type CarrierUp struct{}

// CarrierDown says that the device has lost it, and with it all stations.
type CarrierDown struct{}

// Heard says that a station has sent something other than EAPOL, which was dropped.
type Heard struct{ Station [6]byte }

// Left says that a station is no longer on the link.
type Left struct{ Station [6]byte }

// Revoke takes a station's authorisation away, as an AAA server does that ends a session
// (RFC 6733, section 8.5).
type Revoke struct {
	Station [6]byte
	Reason  string // in kebab-case
}

// Reauthenticate has an authorised station authenticate anew at once, as an AAA server
// may ask (RFC 6733, section 8.3). It stays authorised meanwhile.
type Reauthenticate struct{ Station [6]byte }

// A Verdict is what an AAA server has decided.
type Verdict int

const (
	Continue Verdict = iota // nothing: it has an EAP Request for the station
	Accept
	Reject
)

func (v Verdict) String() string { return [...]string{"continue", "accept", "reject"}[v] }

// FromServer is the answer to a ToServer.
type FromServer struct {
	Station        [6]byte
	Conversation   uint64
	EAP            []byte // a Request to Continue; Success or Failure, or nothing, otherwise
	Verdict        Verdict
	Reason         string        // of a Reject, in kebab-case; empty: refused-by-server
	SessionTimeout time.Duration // of an Accept, until the authorisation ends; 0: never
	MSK            MSK           // of an Accept; may be nothing
}

func (CarrierUp) input()      {}
func (CarrierDown) input()    {}
func (Heard) input()          {}
func (Left) input()           {}
func (Revoke) input()         {}
func (Reauthenticate) input() {}
func (FromServer) input()     {}

// ToServer gives a station's EAP Response to the AAA side. FromServer follows, or
// nothing, which the Authenticator notices.
type ToServer struct {
	Station      [6]byte
	Conversation uint64 // new for each authentication
	First        bool   // of its conversation: the Response holds the identity
	Again        bool   // the station is authorised
	EAP          []byte
}

// Abandon says that nothing from the server is waited for any more in a conversation.
type Abandon struct {
	Station      [6]byte
	Conversation uint64
}

// Authorize lets a station on, or keeps it on.
type Authorize struct {
	Station      [6]byte
	Conversation uint64
	Again        bool // it was authorised
	Until        time.Time
	MSK          MSK
}

// Unauthorize shuts a station out that was authorised, by this conversation.
type Unauthorize struct {
	Station      [6]byte
	Conversation uint64
	Reason       string // in kebab-case: logoff, session-timeout, no-answer, ...
}

// Began says that a station is asked for its identity.
type Began struct {
	Station [6]byte
	Cause   string // in kebab-case: start, heard, carrier, reauth-period, ...
}

// Failed says that an authentication has not succeeded.
type Failed struct {
	Station [6]byte // zero for a Supplicant
	Reason  string  // in kebab-case
}

func (ToServer) output()    {}
func (Abandon) output()     {}
func (Authorize) output()   {}
func (Unauthorize) output() {}
func (Began) output()       {}
func (Failed) output()      {}

// NewAuthenticator makes one whose device has no carrier yet.
func NewAuthenticator(o AuthenticatorOptions) *Authenticator {
	o.Most = max(orElse(o.Most, defaultMost), 1)
	o.TxPeriod = orElse(o.TxPeriod, 3*time.Second)
	o.SuppTimeout = orElse(o.SuppTimeout, 3*time.Second)
	o.MaxReq = orElse(o.MaxReq, 4)
	o.ServerTimeout = orElse(o.ServerTimeout, 6*time.Second)
	o.QuietPeriod = orElse(o.QuietPeriod, 6*time.Second)
	o.ReauthPeriod = orElse(o.ReauthPeriod, time.Hour)
	return &Authenticator{o: o, id: byte(o.Rand.Uint32())}
}

// Deadline is when Tick has something to do; zero: never.
func (a *Authenticator) Deadline() time.Time {
	at := a.everyone.at
	for _, s := range a.stations {
		at = soonest(at, s.deadline())
	}
	return at
}

// Authorized lists the stations that are let on, in the order they came.
func (a *Authenticator) Authorized() (all [][6]byte) {
	for _, s := range a.stations {
		if s.authorized {
			all = append(all, s.mac)
		}
	}
	return all
}

// Step takes one Input.
func (a *Authenticator) Step(now time.Time, in Input) []Output {
	a.out = nil
	switch in := in.(type) {
	case CarrierUp:
		if !a.carrier && len(a.stations) == 0 {
			a.solicit(now)
		}
		a.carrier = true
	case CarrierDown:
		a.carrier, a.everyone = false, solicitation{}
		for _, s := range slices.Clone(a.stations) {
			a.leave(s, "carrier-lost")
		}
	case Received:
		a.received(now, in)
	case Heard:
		if !individual(in.Station) {
			a.ignore(in.Station, "no-station-address")
		} else if a.station(in.Station) == nil {
			a.admit(now, in.Station, "heard")
		}
	case Left:
		if s := a.station(in.Station); s != nil {
			a.leave(s, "left")
		}
	case Revoke:
		if s := a.station(in.Station); s != nil && (s.authorized || s.phase == asking || s.phase == waiting) {
			a.fail(now, s, in.Reason, nil)
		} else {
			a.ignore(in.Station, "not-authorized")
		}
	case Reauthenticate:
		if s := a.station(in.Station); s != nil && s.phase == authorized {
			a.begin(now, s, "asked")
		} else {
			a.ignore(in.Station, "not-authorized")
		}
	case FromServer:
		a.fromServer(now, in)
	default:
		panic(fmt.Sprintf("dot1x: an authenticator has no rule for %T", in))
	}
	return a.out
}

// Tick does what is due.
func (a *Authenticator) Tick(now time.Time) []Output {
	a.out = nil
	if due(now, a.everyone.at) {
		a.solicitAgain(now)
	}
	for _, s := range slices.Clone(a.stations) {
		a.tick(now, s)
	}
	return a.out
}

func (a *Authenticator) tell(o Output) { a.out = append(a.out, o) }

func (a *Authenticator) ignore(from [6]byte, reason string) {
	a.tell(Ignored{From: from, Reason: reason})
}

func (a *Authenticator) send(to [6]byte, eap []byte) {
	a.tell(Send{To: to, Octets: frame(eapol.EAPPacket, eap)})
}

// individual says whether an address can be a station's.
func individual(mac [6]byte) bool { return mac[0]&1 == 0 && mac != [6]byte{} }

func (a *Authenticator) station(mac [6]byte) *station {
	for _, s := range a.stations {
		if s.mac == mac {
			return s
		}
	}
	return nil
}

func (a *Authenticator) received(now time.Time, in Received) {
	if !individual(in.From) {
		a.ignore(in.From, "no-station-address")
		return
	}
	f, err := eapol.Parse(in.Octets)
	if err != nil {
		a.ignore(in.From, "malformed-frame")
		return
	}
	s := a.station(in.From)
	switch {
	case s != nil && s.phase == held:
		a.ignore(in.From, "quiet-period") // 802.1X-2004, clause 8.2.4.1.1: no Logoff or Start shortens it
	case f.Type == eapol.Start:
		a.started(now, s, in.From)
	case f.Type == eapol.Logoff:
		if s == nil {
			a.ignore(in.From, "unknown-station")
			return
		}
		a.leave(s, "logoff")
	case f.Type == eapol.EAPPacket:
		p, err := parseEAP(f.Body)
		switch {
		case err != nil:
			a.ignore(in.From, "malformed-eap")
		case p.code != eapResponse: // of another authenticator, or to make us believe in something
			a.ignore(in.From, "no-response")
		case s == nil:
			a.stranger(now, in.From, p)
		default:
			a.response(now, s, p)
		}
	default:
		a.ignore(in.From, "unused-frame-type")
	}
}

func (a *Authenticator) started(now time.Time, s *station, from [6]byte) {
	switch {
	case s == nil:
		a.admit(now, from, "start")
	case s.phase == connecting: // the same again, so that a Start that comes twice does no harm
		a.tell(Send{To: s.mac, Octets: bytes.Clone(s.request)})
	default:
		a.begin(now, s, "start")
	}
}

// stranger takes a Response from a station that is not known. It may answer what
// everyone was asked.
func (a *Authenticator) stranger(now time.Time, from [6]byte, p eapPacket) {
	answers := a.everyone.open && p.identity && p.id == a.everyone.id
	if !answers {
		a.admit(now, from, "heard")
		return
	}
	if s := a.place(from); s != nil {
		a.everyone.at = time.Time{}
		a.tell(Began{Station: from, Cause: "carrier"})
		s.phase, s.id = connecting, p.id
		a.response(now, s, p)
	}
}

func (a *Authenticator) response(now time.Time, s *station, p eapPacket) {
	switch {
	case s.phase != connecting && s.phase != asking, p.id != s.id:
		a.ignore(s.mac, "unexpected-response") // late, or there twice
		return
	case s.phase == connecting && !p.identity:
		a.ignore(s.mac, "no-identity")
		return
	}
	first := s.phase == connecting
	if first {
		a.last++
		s.conversation = a.last
	}
	s.phase, s.request, s.at = waiting, nil, now.Add(a.o.ServerTimeout)
	a.tell(ToServer{Station: s.mac, Conversation: s.conversation, First: first, Again: s.authorized, EAP: bytes.Clone(p.octets)})
}

func (a *Authenticator) fromServer(now time.Time, in FromServer) {
	s := a.station(in.Station)
	if s == nil || s.phase != waiting || s.conversation != in.Conversation {
		a.ignore(in.Station, "late-answer-of-server")
		return
	}
	p, err := parseEAP(in.EAP)
	switch {
	case in.Verdict == Reject:
		if err != nil || p.code != eapFailure {
			p.octets = nil
		}
		s.phase = held // it is over for the server: there is nothing to abandon
		a.fail(now, s, orElse(in.Reason, "refused-by-server"), p.octets)
	case in.Verdict == Accept && len(in.EAP) == 0:
		a.succeed(now, s, in, eapResult(eapSuccess, s.id))
	case err != nil, len(in.EAP) > mostEAP:
		a.fail(now, s, "malformed-eap-of-server", nil)
	case in.Verdict == Accept && p.code == eapSuccess:
		a.succeed(now, s, in, p.octets)
	case in.Verdict == Continue && p.code == eapRequest:
		s.phase, s.id, s.copies = asking, p.id, 0
		s.request, s.at = frame(eapol.EAPPacket, p.octets), now.Add(a.o.SuppTimeout)
		a.tell(Send{To: s.mac, Octets: bytes.Clone(s.request)})
	default: // RFC 3579, section 2.6.3, of packets that contradict each other
		a.fail(now, s, "contradictory-answer-of-server", nil)
	}
}

// mostEAP is what fits the body of a frame on a device with the MTU of Ethernet.
const mostEAP = 1500 - eapol.HeaderLen

func (a *Authenticator) succeed(now time.Time, s *station, in FromServer, success []byte) {
	again := s.authorized
	s.phase, s.authorized, s.granted = authorized, true, s.conversation
	s.at, s.ends = time.Time{}, time.Time{}
	if a.o.ReauthPeriod > 0 {
		s.at = now.Add(a.o.ReauthPeriod)
	}
	if t := in.SessionTimeout; t > 0 {
		s.ends = now.Add(t)
		s.at = soonest(s.at, s.ends.Add(-min(reauthLead, t/4)))
	}
	// The port first: what follows Success must get through.
	a.tell(Authorize{Station: s.mac, Conversation: s.conversation, Again: again, Until: s.ends, MSK: slices.Clone(in.MSK)})
	a.send(s.mac, success)
}

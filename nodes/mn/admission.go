package mn

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/dot1x"
	"s2clab/nodes/session/eapaka"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/eap"
)

// EAPOLReceived is a frame of 802.1X: what follows the Ethernet header.
type EAPOLReceived struct {
	Dev    string
	From   [6]byte
	Octets []byte
}

func (EAPOLReceived) input() {}

// SendEAPOL sends one.
type SendEAPOL struct {
	Dev    string
	To     [6]byte
	Octets []byte
}

// OpenPort lets packets of this node onto a link, and those of the link in.
type OpenPort struct{ Dev string }

// ShutPort keeps them off.
type ShutPort struct{ Dev string }

func (SendEAPOL) output() {}
func (OpenPort) output()  {}
func (ShutPort) output()  {}

// A port keeps this node off a link until the link's router has let it on: 802.1X,
// with EAP-AKA or EAP-AKA' (TS 33.402, section 6).
type port struct {
	supplicant *dot1x.Supplicant
	method     eap.Type
	peer       *eapaka.Peer // of the present conversation; nil: none
	open       bool
	exchanges  int    // EAP Responses of it
	last       uint8  // the Identifier of the last
	failure    string // why the peer has given up; empty: it has not
}

// A subscriber is what is the same on all accesses: the card, and what networks have
// told to remember.
type subscriber struct {
	card       *usim.Card
	k          []byte
	last       usim.Response                   // of the card
	identities map[eap.Type]*eapaka.Identities // by method: names of one are of no use in another
	random     io.Reader
}

// newSubscriber makes it of a configuration; nil: there is no card.
func newSubscriber(cfg *control.USIM, random *rand.Rand) (*subscriber, error) {
	if cfg == nil {
		return nil, nil
	}
	algorithm, err := algorithmOf(cfg)
	if err != nil {
		return nil, err
	}
	card, err := usim.New(algorithm, usim.Profile2())
	if err != nil {
		return nil, err
	}
	accepted := card.Accepted()
	for i := range accepted {
		accepted[i] = cfg.SQN >> usim.Profile2().INDBits
	}
	return &subscriber{card: card, k: cfg.K, random: octetsOf{random},
		identities: map[eap.Type]*eapaka.Identities{eap.TypeAKA: {}, eap.TypeAKAPrime: {}}}, card.Restore(accepted)
}

// Authenticate has the card answer a challenge.
func (s *subscriber) Authenticate(rand, autn [16]byte) (usim.Response, error) {
	r, err := s.card.Authenticate(rand, autn)
	if err == nil {
		s.last = r
	}
	return r, err
}

func algorithmOf(cfg *control.USIM) (keys.Algorithm, error) {
	opc := cfg.OPc
	if len(opc) == 0 && len(cfg.OP) == 16 && len(cfg.K) == 16 {
		made := keys.OPc([16]byte(cfg.K), [16]byte(cfg.OP))
		opc = made[:]
	}
	if len(cfg.K) != 16 || len(opc) != 16 {
		return nil, fmt.Errorf("card of %s: K of %d octets and OPc of %d, want 16 of each", cfg.IMSI, len(cfg.K), len(opc))
	}
	return keys.NewMilenage([16]byte(cfg.K), [16]byte(opc)), nil
}

// octetsOf makes octets of random numbers.
type octetsOf struct{ *rand.Rand }

func (r octetsOf) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return len(b), nil
}

// newPort makes the port of an access that wants mobile nodes authenticated; nil: it
// lets everybody on.
func (m *Machine) newPort(auth string) (*port, error) {
	methods := map[string]eap.Type{"eap-aka": eap.TypeAKA, "eap-aka-prime": eap.TypeAKAPrime}
	method, known := methods[auth]
	switch {
	case auth == "":
		return nil, nil
	case !known:
		return nil, fmt.Errorf("access authentication %q: want eap-aka or eap-aka-prime", auth)
	case m.subscriber == nil:
		return nil, fmt.Errorf("access authentication %s: there is no USIM", auth)
	}
	return &port{supplicant: dot1x.NewSupplicant(dot1x.SupplicantOptions{}), method: method}, nil
}

// supplicate takes what happened to the port of an access.
func (m *Machine) supplicate(now time.Time, a *access, in dot1x.Input) {
	m.supplicated(now, a, a.port.supplicant.Step(now, in))
}

func (m *Machine) supplicated(now time.Time, a *access, out []dot1x.Output) {
	for _, o := range out {
		switch o := o.(type) {
		case dot1x.Send:
			m.do(SendEAPOL{Dev: a.dev, To: o.To, Octets: o.Octets})
		case dot1x.ToMethod:
			m.supplicate(now, a, m.authenticateTo(a, o))
		case dot1x.Open:
			m.admitted(now, a, o)
		case dot1x.Shut:
			m.barred(now, a, o.Reason)
		case dot1x.Failed:
			reason := o.Reason
			if a.port.failure != "" {
				reason = a.port.failure
			}
			m.event("access-refused", map[string]any{"link": a.link, "reason": reason})
		case dot1x.Unanswered:
			m.event("access-refused", map[string]any{"link": a.link, "reason": "no-authenticator"})
		case dot1x.Ignored:
			m.ignore(now, o.Reason, map[string]any{"link": a.link})
		}
	}
}

// authenticateTo answers an EAP Request.
func (m *Machine) authenticateTo(a *access, in dot1x.ToMethod) dot1x.FromMethod {
	p := a.port
	if in.Fresh || p.peer == nil {
		p.exchanges, p.failure = 0, ""
		_, realm, _ := strings.Cut(m.cfg.NAI, "@")
		p.peer = eapaka.NewPeer(eapaka.PeerOptions{Methods: []eap.Type{p.method}, Card: m.subscriber, IMSI: m.cfg.USIM.IMSI, Realm: realm,
			Identities: m.subscriber.identities[p.method], Rand: m.subscriber.random})
	}
	answer := dot1x.FromMethod{Exchange: in.Exchange}
	for _, o := range p.peer.Step(eapaka.Received{Packet: in.EAP}) {
		switch o := o.(type) {
		case eapaka.Send:
			answer.EAP = o.Packet
			p.last = o.Packet[1]
			p.exchanges++
		case eapaka.Failed:
			p.failure = o.Reason
		}
	}
	switch {
	case p.failure != "":
		answer.Progress = dot1x.Refused
	case p.peer.Standing() == eapaka.Confirmed:
		answer.Progress = dot1x.Assured
	case p.peer.Standing() == eapaka.Satisfied:
		answer.Progress = dot1x.Content
	default:
		answer.Progress = dot1x.Doubtful
	}
	return answer
}

// admitted is for when a link lets this node on.
func (m *Machine) admitted(now time.Time, a *access, o dot1x.Open) {
	p := a.port
	success := []byte{byte(eap.Success), p.last, 0, 4}
	for _, x := range p.peer.Step(eapaka.Received{Packet: success}) {
		if done, ok := x.(eapaka.Succeeded); ok {
			m.sharedBy(a, &done)
		}
	}
	again, renewed := p.open, m.security.renewing
	p.open, m.security.renewing = true, false
	if !again {
		m.do(OpenPort{Dev: a.dev})
		m.begin(now, a)
	}
	if renewed && m.here != nil && !m.here.home && (m.absence == present || m.registration.mayBeHeld(now)) {
		m.transmit(now)
	}
}

// authenticateAgain has an access authenticate this node anew and in full, where Binding
// Updates are proven by keys of that which the network has lost; false: they are not, or
// there is no access that could.
func (m *Machine) authenticateAgain(now time.Time) bool {
	s := &m.security
	without := s.held
	without.Access = nil
	if s.held.Access == nil || s.method.Lacks(&without, now) != bootstrap.AccessKeys {
		return false
	}
	able := func(a *access) bool { return a != nil && a.port != nil && a.open() }
	at := m.here
	for _, a := range m.accesses {
		if !able(at) {
			at = a
		}
	}
	if !able(at) {
		return false
	}
	s.held.Access, s.renewing = nil, true
	m.subscriber.identities[at.port.method].Context = nil
	m.event("access-keys-forgotten", map[string]any{"link": at.link})
	m.supplicate(now, at, dot1x.Logon{})
	return true
}

// sharedBy takes over what an authentication leaves.
func (m *Machine) sharedBy(a *access, done *eapaka.Succeeded) {
	shared := keys.Access{Method: done.Method.String(), Identity: m.cfg.NAI, EMSK: done.Keys.EMSK, RAND: done.RAND, CK: done.Keys.CK, IK: done.Keys.IK}
	if before := m.security.held.Access; done.Fast && before != nil {
		shared.RAND, shared.CK, shared.IK = before.RAND, before.CK, before.IK
	}
	m.security.held.Access = &shared
	if !done.Fast {
		m.tellCard()
	}
	for _, d := range done.Keys.Derived() {
		m.security.keyMade(m, d)
	}
	m.event("access-authenticated", map[string]any{"link": a.link, "method": shared.Method, "identity": eapaka.ParseIdentity(done.Identity).Kind.String(),
		"fast": done.Fast, "exchanges": a.port.exchanges})
}

// barred is for when a link does not let this node on any more.
func (m *Machine) barred(now time.Time, a *access, reason string) {
	a.port.open = false
	m.do(ShutPort{Dev: a.dev})
	if reason != "link-down" {
		m.stopDHCP(now, a)
		m.event("access-shut", map[string]any{"link": a.link, "reason": reason})
		m.end(now, a)
	}
}

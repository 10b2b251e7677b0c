package eapaka

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/eap"
)

// A Policy is what the authentications of a server have in common. It is not
// changed while they run.
type Policy struct {
	Methods     []eap.Type // offered in this order; nil: EAP-AKA', then EAP-AKA
	Realm       string     // of re-authentication identities; empty: that of the identity that the peer used
	AskIdentity bool       // by AKA-Identity, whatever EAP-Response/Identity says: RECOMMENDED in RFC 4187, section 4.1.4
	Aliases     Aliases    // nil: no pseudonyms and no fast re-authentication
	Pseudonyms  bool       // hand them out
	Reauths     uint16     // fast re-authentications after a full authentication, at most; 0: none
	ResultInd   bool       // ask for protected result indications: RFC 4187, section 6.2
	Authorize   bool       // the owner decides after authentication
	KDFs        []uint16   // AT_KDF, by preference; nil: KDFPrime, the one that is known here. Another first one has a peer negotiate
	Rand        io.Reader  // of nonces, names and initialization vectors
}

var allMethods = []eap.Type{eap.TypeAKAPrime, eap.TypeAKA}

// methods are those that can be offered: without a network name there is no
// EAP-AKA' (RFC 9048, section 3.1).
func (s *Server) methods() []eap.Type {
	all := s.policy.Methods
	if len(all) == 0 {
		all = allMethods
	}
	if s.network != "" {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(m eap.Type) bool { return m == eap.TypeAKAPrime })
}

func (p *Policy) kdfs() []uint16 {
	if len(p.KDFs) == 0 {
		return []uint16{KDFPrime}
	}
	return p.KDFs
}

type serverState uint8

const (
	idle        serverState = iota
	naming                  // EAP-Request/Identity is out
	asking                  // AKA-Identity is out
	fetching                // the owner looks for a vector
	challenging             // AKA-Challenge is out
	repeating               // AKA-Reauthentication is out
	deciding                // the owner decides on authorisation
	confirming              // AKA-Notification of success is out
	failing                 // AKA-Notification of failure is out
	ended
)

// An ask is which identity AKA-Identity asks for; each may only follow a lesser
// one: RFC 4187, section 9.1.
type ask uint8

const (
	askNothing ask = iota // EAP-Request/Identity has asked
	askAny
	askFullAuth
	askPermanent
)

var asks = [...]eap.AttributeType{askAny: eap.ATANYIDREQ, askFullAuth: eap.ATFULLAUTHIDREQ, askPermanent: eap.ATPERMANENTIDREQ}

// mostResyncs is how many sequence numbers may be not fresh in one authentication.
const mostResyncs = 2

// A Server is one authentication, seen from the AAA server: RFC 4187, sections 3 to
// 6. Its owner calls Step for each Input. It takes about 1 kB until it is dropped.
type Server struct {
	policy  *Policy
	network string

	state      serverState
	method     eap.Type
	naks       []eap.Type // that the peer will not have
	begun      bool       // the peer has taken part in method
	started    bool       // an identifier is chosen
	identifier uint8
	last       []byte // the packet that was sent last

	imsi     string
	identity string // the last one that the peer sent
	used     string // the pseudonym that it used
	asked    ask
	code     checkcode
	resyncs  int
	reason   string // why it fails

	vector  keys.Vector
	kdfs    []uint16 // as last sent
	context *Context
	keys    *Keys
	fast    bool
	counter uint16
	nonceS  [16]byte

	pseudonym string // that this authentication hands out
	reauth    string // and its re-authentication identity
	result    bool   // both want protected result indications

	out []Output
}

// NewServer makes a Server for a peer on the access network of that name, which
// the owner knows the network may claim: RFC 9048, section 3.1.
// Without a name, or with one of more than 253 octets, there is only EAP-AKA.
func NewServer(p *Policy, network string) *Server {
	if len(network) > mostIdentity {
		network = ""
	}
	return &Server{policy: p, network: network}
}

// Outstanding is the packet that was sent last, for an owner that has to say
// something where Step said nothing; nil: there is none.
func (s *Server) Outstanding() []byte { return s.last }

// Over says that EAP-Success or EAP-Failure has been sent.
func (s *Server) Over() bool { return s.state == ended }

// Step takes one Input. The outputs are good until the next Step.
func (s *Server) Step(in Input) []Output {
	s.out = s.out[:0]
	switch in := in.(type) {
	case Start:
		if s.state != idle {
			return s.ignore("already-started")
		}
		s.state = naming
		s.request(&eap.Packet{Code: eap.Request, Type: eap.TypeIdentity})
	case Received:
		s.received(in.Packet)
	case Vectors:
		if s.state != fetching {
			return s.ignore("unwanted-vector")
		}
		s.fetched(in.Vector)
	case Refused:
		if s.state != fetching {
			return s.ignore("unwanted-refusal")
		}
		s.fail(in.Reason)
	case Authorized:
		if s.state != deciding {
			return s.ignore("unwanted-authorization")
		}
		s.conclude()
	case Denied:
		if s.state != deciding {
			return s.ignore("unwanted-denial")
		}
		s.notify(in.Notification&^(eap.NotificationSuccess|eap.NotificationBefore), in.Reason)
	default:
		panic(fmt.Sprintf("eapaka: no rule for %T", in))
	}
	return s.out
}

func (s *Server) ignore(reason string) []Output {
	s.out = append(s.out, Ignored{reason})
	return s.out
}

// next chooses the identifier of a new Request: RFC 3748, section 4.1.
func (s *Server) next() uint8 {
	if !s.started {
		s.started = true
		var b [1]byte
		random(s.policy.Rand, b[:])
		s.identifier = b[0]
	}
	s.identifier++
	return s.identifier
}

func (s *Server) request(p *eap.Packet) {
	p.Identifier = s.next()
	packet, err := p.AppendTo(nil)
	if err != nil {
		panic(fmt.Sprintf("eapaka: %v", err))
	}
	s.send(packet, false)
}

func (s *Server) send(packet []byte, final bool) {
	s.last = packet
	s.out = append(s.out, Send{packet, final})
}

// message begins one of the method.
func (s *Server) message(t eap.Subtype, attributes ...eap.Attribute) *eap.Message {
	return &eap.Message{Code: eap.Request, Identifier: s.next(), Type: s.method, Subtype: t, Attributes: attributes}
}

func (s *Server) received(octets []byte) {
	p, err := eap.Parse(octets)
	switch {
	case err != nil:
		s.ignore("malformed-packet")
	case p.Code != eap.Response:
		s.ignore("not-a-response")
	case s.state == idle && p.Type == eap.TypeIdentity: // a pass-through has asked
		s.started, s.identifier = true, p.Identifier
		s.named(string(p.Data))
	case s.state == idle:
		s.ignore("not-an-identity")
	case s.state == ended:
		s.ignore("over")
	case s.state == fetching || s.state == deciding:
		s.ignore("waiting-for-an-answer") // a duplicate: nothing is outstanding
	case p.Identifier != s.identifier: // RFC 3748, section 4.1
		s.ignore("identifier-mismatch")
	case s.state == naming && p.Type == eap.TypeIdentity:
		s.named(string(p.Data))
	case s.state == naming:
		s.ignore("not-an-identity")
	case p.Type == eap.TypeNak && !s.begun:
		s.refused(p.Wanted())
	case p.Type != s.method:
		s.ignore("type-mismatch")
	default:
		s.begun = true
		s.answered(whole(octets))
	}
}

// named takes what EAP-Response/Identity says.
func (s *Server) named(identity string) {
	all := s.methods()
	if len(all) == 0 {
		s.reason = "no-common-method"
		s.finish(false)
		return
	}
	s.method = all[0]
	if s.policy.AskIdentity {
		s.ask(askAny)
		return
	}
	s.identified(identity)
}

// refused goes on with another method, if the peer wants one that is offered.
func (s *Server) refused(wanted []eap.Type) {
	s.naks = append(s.naks, s.method)
	for _, m := range s.methods() {
		if slices.Contains(wanted, m) && !slices.Contains(s.naks, m) && s.state != failing {
			s.method = m
			if s.state == asking {
				s.ask(s.asked) // of this method it is the first
			} else { // RFC 4187, section 5.3: the identity is known
				s.full()
			}
			return
		}
	}
	if s.reason == "" {
		s.reason = "no-common-method"
	}
	s.finish(false)
}

// answered takes a message of the method.
func (s *Server) answered(packet []byte) {
	switch s.state {
	case confirming: // RFC 4187, section 6.2: whatever it says
		s.finish(true)
		return
	case failing:
		s.finish(false)
		return
	}
	m, err := eap.ParseMessage(packet)
	if err == nil {
		err = eap.Check(m)
	}
	if err != nil {
		s.fail(reasonOf(err))
		return
	}
	switch {
	case m.Subtype == eap.ClientError:
		s.reason = fmt.Sprintf("client-error-%d", eap.Find(m.Attributes, eap.ATCLIENTERRORCODE).Number())
		s.finish(false)
	case m.Subtype == eap.Identity && s.state == asking:
		s.told(packet, m)
	case m.Subtype == eap.AuthenticationReject && s.state == challenging:
		s.reason = "authentication-rejected"
		s.finish(false)
	case m.Subtype == eap.SynchronizationFailure && s.state == challenging:
		s.synchronize(m)
	case m.AsksForKDF() && s.state == challenging:
		s.negotiate(m)
	case m.Subtype == eap.Challenge && s.state == challenging:
		s.tested(packet, m)
	case m.Subtype == eap.Reauthentication && s.state == repeating:
		s.repeated(packet, m)
	default:
		s.fail("unexpected-subtype")
	}
}

// full asks for a vector, for a full authentication of the IMSI that is known.
func (s *Server) full() {
	s.state, s.fast, s.context, s.kdfs = fetching, false, nil, nil
	s.want(nil)
}

func (s *Server) want(r *Resync) {
	s.state = fetching
	w := WantVectors{IMSI: s.imsi, Method: s.method, Resync: r}
	if s.method == eap.TypeAKAPrime {
		w.Network = s.network
	}
	s.out = append(s.out, w)
}

// name makes a username that says nothing of its subscriber: RFC 9048, section 5.2.
func (s *Server) name(akaDigit, primeDigit byte) string {
	var b [16]byte
	random(s.policy.Rand, b[:])
	digit := akaDigit
	if s.method == eap.TypeAKAPrime {
		digit = primeDigit
	}
	return string(digit) + hex.EncodeToString(b[:])
}

// reauthIdentity makes one, with a realm that leads back here: RFC 4187, section
// 4.1.1.7.
func (s *Server) reauthIdentity() string {
	realm := s.policy.Realm
	if realm == "" {
		realm = ParseIdentity(s.identity).Realm
	}
	return inRealm(s.name('4', '8'), realm)
}

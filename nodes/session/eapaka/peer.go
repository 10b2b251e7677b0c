package eapaka

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/eap"
)

// A Card answers challenges: usim.ErrMAC, usim.ErrSeparation and *usim.SyncError
// are understood, other errors say that the card is of no use.
type Card interface {
	Authenticate(rand, autn [16]byte) (usim.Response, error)
}

// Identities is what a peer remembers from one authentication to the next. The
// Peer changes it: it takes Context when it uses it, and puts in what a server hands
// out once the authentication has succeeded.
type Identities struct {
	Pseudonym string   // a username; empty: none
	Context   *Context // for a fast re-authentication; nil: none
}

// PeerOptions is what a Peer needs to know.
type PeerOptions struct {
	Methods      []eap.Type // it would rather use the first; nil: EAP-AKA', then EAP-AKA
	Card         Card
	IMSI         string
	Realm        string      // of its permanent identity and its pseudonyms; may be empty
	Network      string      // the network name that it observes; empty: it cannot tell, and believes the server
	Conservative bool        // it does not tell its permanent identity while it has a pseudonym: RFC 4187, section 4.1.6
	Plain        bool        // it wants no protected result indications
	Identities   *Identities // nil: nothing is remembered
	Rand         io.Reader   // of initialization vectors
}

type peerStage uint8

const (
	begun     peerStage = iota // the server has not proved itself
	satisfied                  // it has, and what is left is EAP-Success or AKA-Notification
	confirmed                  // AKA-Notification of success has come; EAP-Success is left
	finished
)

// A Peer is one authentication, seen from the UE: RFC 4187, sections 3 to 6.
type Peer struct {
	o PeerOptions

	stage             peerStage
	method            eap.Type // 0: the peer has not taken part in one
	request, response []byte   // the last that was answered, and how
	identity          string   // the last one that was sent
	code              checkcode
	rounds            int  // of AKA-Identity
	asked             ask  // by the last of them
	challenged        bool // a round of another kind has begun

	resumed *Context // of the re-authentication identity, where it was used

	kdfs    []uint16 // of the challenge that was answered last; nil: none
	offered []uint16 // where another was asked for
	wanted  uint16   // which

	context *Context
	keys    *Keys
	fast    bool
	counter uint16
	rand    [16]byte
	result  bool // both want protected result indications

	nextPseudonym, nextReauth string

	out []Output
}

// NewPeer makes a Peer that waits for a Request.
func NewPeer(o PeerOptions) *Peer {
	if len(o.Methods) == 0 {
		o.Methods = allMethods
	}
	if o.Identities == nil {
		o.Identities = &Identities{}
	}
	return &Peer{o: o}
}

// Over says that the authentication has succeeded or failed. An answer may still
// come of a Request that is sent again.
func (p *Peer) Over() bool { return p.stage == finished }

// Step takes one Input, which is Received. The outputs are good until the next Step.
func (p *Peer) Step(in Input) []Output {
	p.out = p.out[:0]
	received, ok := in.(Received)
	if !ok {
		panic(fmt.Sprintf("eapaka: a peer has no rule for %T", in))
	}
	packet, err := eap.Parse(received.Packet)
	if err != nil {
		return p.ignore("malformed-packet")
	}
	octets := whole(received.Packet)
	switch packet.Code {
	case eap.Request:
		p.asks(packet, octets)
	case eap.Success, eap.Failure:
		p.ends(packet)
	default:
		p.ignore("not-a-request")
	}
	return p.out
}

func (p *Peer) ignore(reason string) []Output {
	p.out = append(p.out, Ignored{reason})
	return p.out
}

func (p *Peer) send(request, response []byte) {
	p.request, p.response = bytes.Clone(request), response
	p.out = append(p.out, Send{Packet: response})
}

func (p *Peer) sendPacket(request []byte, answer *eap.Packet) {
	response, err := answer.AppendTo(nil)
	if err != nil {
		panic(fmt.Sprintf("eapaka: %v", err))
	}
	p.send(request, response)
}

// asks takes a Request.
func (p *Peer) asks(packet *eap.Packet, octets []byte) {
	switch {
	case p.response != nil && bytes.Equal(octets, p.request): // RFC 3748, section 4.1
		p.out = append(p.out, Send{Packet: p.response})
	case p.stage == finished:
		p.ignore("over")
	case p.stage == confirmed: // RFC 3748, section 4.2: the results are told
		p.ignore("after-success")
	case packet.Type == eap.TypeIdentity:
		p.begin()
		p.sendPacket(octets, &eap.Packet{Code: eap.Response, Identifier: packet.Identifier, Type: eap.TypeIdentity, Data: []byte(p.identity)})
	case packet.Type == eap.TypeNotification:
		p.out = append(p.out, Notice{string(packet.Data)})
		p.sendPacket(octets, &eap.Packet{Code: eap.Response, Identifier: packet.Identifier, Type: eap.TypeNotification})
	case packet.Type == eap.TypeNak:
		p.ignore("not-a-request")
	case p.method != 0 && packet.Type != p.method: // RFC 3748, section 4.1: no Nak any more
		p.ignore("type-mismatch")
	case !slices.Contains(p.o.Methods, packet.Type):
		p.sendPacket(octets, eap.Nak(packet.Identifier, p.o.Methods...))
	case p.response != nil && packet.Identifier == p.response[1] && p.method != 0: // section 4.1: it is not new
		p.ignore("identifier-reused")
	default:
		p.method = packet.Type
		p.message(octets)
	}
}

// begin starts a conversation, or starts it again.
func (p *Peer) begin() {
	fresh := p.method == 0
	*p = Peer{o: p.o, identity: p.identity, resumed: p.resumed, out: p.out}
	if fresh && p.identity != "" {
		return // the same question under another identifier
	}
	p.resumed = nil
	p.choose(askAny, 0)
}

// ends takes EAP-Success or EAP-Failure: RFC 4187, sections 6.3.3 and 6.3.4.
func (p *Peer) ends(packet *eap.Packet) {
	switch {
	case p.stage == finished:
		p.ignore("over")
	case p.response == nil || packet.Identifier != p.response[1]: // RFC 3748, section 4.2
		p.ignore("identifier-mismatch")
	case packet.Code == eap.Success && (p.stage == confirmed || p.stage == satisfied && !p.result):
		p.succeed()
	case packet.Code == eap.Success:
		p.ignore("success-too-early")
	case p.stage == satisfied && !p.result, p.method == 0: // RFC 3748, section 4.2: not authorised, or nothing was begun
		p.stage = finished
		p.out = append(p.out, Failed{"refused-by-network"})
	default:
		p.ignore("failure-out-of-place")
	}
}

// message takes a Request of the method.
func (p *Peer) message(octets []byte) {
	m, err := eap.ParseMessage(octets)
	if err != nil {
		p.refuse(octets, reasonOf(err))
		return
	}
	if err := eap.Check(m); err != nil {
		p.refuse(octets, reasonOf(err))
		return
	}
	switch {
	case m.Subtype == eap.Notification:
		p.notified(octets, m)
	case p.stage != begun:
		p.refuse(octets, "unexpected-subtype")
	case m.Subtype == eap.Identity:
		p.identify(octets, m)
	case m.Subtype == eap.Challenge:
		p.challenge(octets, m)
	case m.Subtype == eap.Reauthentication:
		p.reauthenticate(octets, m)
	default:
		p.refuse(octets, "unexpected-subtype")
	}
}

// answer begins one to a Request.
func (p *Peer) answer(request []byte, t eap.Subtype, attributes ...eap.Attribute) *eap.Message {
	return &eap.Message{Code: eap.Response, Identifier: request[1], Type: p.method, Subtype: t, Attributes: attributes}
}

// fail ends the authentication with an answer.
func (p *Peer) fail(request, response []byte, reason string) {
	p.send(request, response)
	p.stage = finished
	p.out = append(p.out, Failed{reason})
}

// refuse gives up by AKA-Client-Error: RFC 4187, section 6.3.1.
func (p *Peer) refuse(request []byte, reason string) {
	p.fail(request, plain(p.answer(request, eap.ClientError, eap.Number(eap.ATCLIENTERRORCODE, eap.UnableToProcess))), reason)
}

// reject gives up by AKA-Authentication-Reject: RFC 4187, section 9.5.
func (p *Peer) reject(request []byte, reason string) {
	p.fail(request, plain(p.answer(request, eap.AuthenticationReject)), reason)
}

// notified takes AKA-Notification: RFC 4187, sections 6.1 and 9.10.
func (p *Peer) notified(octets []byte, m *eap.Message) {
	code := eap.Find(m.Attributes, eap.ATNOTIFICATION).Number()
	mac := eap.Find(m.Attributes, eap.ATMAC) != nil
	if code&eap.NotificationBefore != 0 {
		// A server that found fault with an answer sends this to a peer that was
		// satisfied already: it is not refused then.
		if mac || code&eap.NotificationSuccess != 0 {
			p.refuse(octets, "notification-invalid")
			return
		}
		p.fail(octets, plain(p.answer(octets, eap.Notification)), notificationReason(code))
		return
	}
	if p.stage != satisfied {
		p.refuse(octets, "notification-invalid")
		return
	}
	if !p.context.genuine(octets, nil) {
		p.refuse(octets, "mac-invalid")
		return
	}
	hidden, err := p.context.open(m)
	if err != nil {
		p.refuse(octets, reasonOf(err))
		return
	}
	var back []eap.Attribute
	if p.fast {
		counter := eap.Find(hidden, eap.ATCOUNTER)
		if counter == nil || counter.Number() != p.counter {
			p.refuse(octets, "counter-invalid")
			return
		}
		back = []eap.Attribute{eap.Number(eap.ATCOUNTER, p.counter)}
	}
	if code == eap.Successful && !p.result { // section 6.2: MUST NOT
		p.refuse(octets, "notification-invalid")
		return
	}
	response := p.context.seal(p.o.Rand, p.answer(octets, eap.Notification), back, nil)
	if code&eap.NotificationSuccess == 0 {
		p.fail(octets, response, notificationReason(code))
		return
	}
	if code == eap.Successful {
		p.stage = confirmed
	}
	p.send(octets, response)
}

func notificationReason(code uint16) string {
	switch code {
	case eap.GeneralFailureAfter:
		return "general-failure-after-authentication"
	case eap.GeneralFailure:
		return "general-failure"
	case eap.TemporarilyDenied:
		return "temporarily-denied"
	case eap.NotSubscribed:
		return "not-subscribed"
	}
	return fmt.Sprintf("notification-%d", code)
}

// succeed ends the authentication well, and remembers what the server handed out.
func (p *Peer) succeed() {
	p.stage = finished
	done := Succeeded{IMSI: p.o.IMSI, Identity: p.identity, Method: p.method, Fast: p.fast, Network: p.context.Network, Keys: *p.keys}
	memory := p.o.Identities
	if p.nextPseudonym != "" {
		memory.Pseudonym = p.nextPseudonym
	}
	next := *p.context
	if p.fast {
		done.Counter = p.counter
		next.Counter = p.counter + 1
	} else {
		done.RAND = p.rand
	}
	memory.Context = nil // RFC 4187, section 5.3
	if p.nextReauth != "" && next.Counter != 0 {
		next.Identity = p.nextReauth
		memory.Context = &next
	}
	p.out = append(p.out, done)
}

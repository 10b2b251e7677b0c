// Package eapaka holds the rules of authentication by EAP-AKA (RFC 4187) and
// EAP-AKA' (RFC 9048): a Server for one authentication at an AAA server, and a
// Peer for one at a UE.
//
// Both are pure machines: packets and answers of others go in, packets and keys
// come out, random octets come from a source that is given. There is no time in
// them. Between them is a pass-through that has the timers and sends a Request
// again (RFC 3748, section 4.3); who waits in vain gives the machine up. What comes
// twice or too late does no harm.
//
// The packets are in nodes/wire/eap, the keys in nodes/keys, the card in
// nodes/session/usim. Diameter, EAPOL, and whether a subscriber may do what it
// wants are the roles' to know.
package eapaka

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/eap"
)

// An Input is something that happened. Peers take Received alone.
type Input interface{ input() }

// Start has a server ask for an identity. A pass-through has often done so itself:
// then the server starts with what it Received.
type Start struct{}

// Received is an EAP packet. It is not kept.
type Received struct{ Packet []byte }

// Vectors answers WantVectors. For EAP-AKA' the vector is bound to the network that
// was named there, and its AMF separation bit is 1: RFC 9048, section 3.3.
type Vectors struct{ Vector keys.Vector }

// Refused answers WantVectors where there are none.
type Refused struct {
	Reason string // in kebab-case: user-unknown, hss-unreachable, ...
}

// Authorized answers Authenticated: the subscriber may have what it wants.
type Authorized struct{}

// Denied answers Authenticated: it may not.
type Denied struct {
	Notification uint16 // eap.TemporarilyDenied, eap.NotSubscribed or eap.GeneralFailureAfter
	Reason       string // in kebab-case
}

func (Start) input()      {}
func (Received) input()   {}
func (Vectors) input()    {}
func (Refused) input()    {}
func (Authorized) input() {}
func (Denied) input()     {}

// An Output is something to do or to tell.
type Output interface{ output() }

// Send sends an EAP packet.
type Send struct {
	Packet []byte
	Final  bool // EAP-Success or EAP-Failure: nothing follows
}

// WantVectors asks for an authentication vector; Vectors or Refused answers.
type WantVectors struct {
	IMSI    string
	Method  eap.Type
	Network string  // for EAP-AKA': what CK' and IK' are bound to
	Resync  *Resync // what puts the sequence number right first; nil: nothing does
}

// A Resync is how a card said that a sequence number is not fresh: TS 33.102,
// section 6.3.5.
type Resync struct {
	RAND [16]byte
	AUTS [14]byte
}

// Authenticated says that a subscriber is who it says it is, where the policy has
// the owner decide what follows; Authorized or Denied answers.
type Authenticated struct {
	IMSI     string
	Identity string // the one that it used
	Method   eap.Type
	Fast     bool
}

// Succeeded ends an authentication well. A server's comes with the EAP-Success
// that it sends, a peer's with the one that it received.
type Succeeded struct {
	IMSI     string
	Identity string // the last one that the peer sent: permanent, pseudonym or re-authentication identity
	Method   eap.Type
	Fast     bool     // a fast re-authentication: there was no vector
	Counter  uint16   // of a fast re-authentication
	Network  string   // of EAP-AKA'
	RAND     [16]byte // of a full authentication
	Keys     Keys
}

// Failed ends an authentication otherwise. A server's comes with the EAP-Failure
// that it sends; a peer's when it gives up, or is told to.
type Failed struct {
	Reason string // in kebab-case
}

// Ignored tells of something that has no effect.
type Ignored struct {
	Reason string // in kebab-case
}

// Notice is a text that a network has for the user: RFC 3748, section 5.2. Anybody
// may have sent it.
type Notice struct{ Text string }

func (Send) output()          {}
func (WantVectors) output()   {}
func (Authenticated) output() {}
func (Succeeded) output()     {}
func (Failed) output()        {}
func (Ignored) output()       {}
func (Notice) output()        {}

// KDFPrime is the key derivation function that makes CK' and IK' the keys of
// EAP-AKA': RFC 9048, section 3.3.
const KDFPrime uint16 = 1

// whole leaves of a packet that was parsed what its length covers.
func whole(packet []byte) []byte { return packet[:int(packet[2])<<8|int(packet[3])] }

// reasonOf says in kebab-case what is wrong with a message.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, eap.ErrUnknown):
		return "unknown-attribute"
	case errors.Is(err, eap.ErrMissing):
		return "missing-attribute"
	case errors.Is(err, eap.ErrUnexpected):
		return "unexpected-attribute"
	}
	return "malformed-message"
}

// random fills b.
func random(source io.Reader, b []byte) {
	if _, err := io.ReadFull(source, b); err != nil {
		panic(fmt.Sprintf("eapaka: no random octets: %v", err)) // keys without them are none
	}
}

// seal makes the packet of m: it hides attributes, if there are any, and adds the
// MAC over the packet and more.
func (c *Context) seal(source io.Reader, m *eap.Message, hidden []eap.Attribute, more []byte) []byte {
	if len(hidden) > 0 {
		plain, err := eap.AppendAttributes(nil, hidden)
		if err != nil {
			panic(fmt.Sprintf("eapaka: %v", err))
		}
		var iv [16]byte
		random(source, iv[:])
		text, err := keys.EncryptEAP(c.KEncr, iv, eap.AppendPadding(plain))
		if err != nil {
			panic(fmt.Sprintf("eapaka: %v", err)) // padding made the blocks whole
		}
		m.Attributes = append(m.Attributes, eap.Attribute{Type: eap.ATIV, Value: iv[:]}, eap.Attribute{Type: eap.ATENCRDATA, Value: text})
	}
	m.Attributes = append(m.Attributes, eap.Attribute{Type: eap.ATMAC, Value: make([]byte, keys.EAPMACSize)})
	packet := plain(m)
	mac := c.mac(packet, more)
	copy(eap.MAC(packet), mac[:])
	return packet
}

// plain makes the packet of a message that has no MAC.
func plain(m *eap.Message) []byte {
	packet, err := m.AppendTo(nil)
	if err != nil {
		panic(fmt.Sprintf("eapaka: %v", err)) // texts are short enough, and the rest has its size
	}
	return packet
}

// genuine says whether the MAC of a packet is right.
func (c *Context) genuine(packet, more []byte) bool {
	packet = bytes.Clone(packet)
	mac := eap.MAC(packet)
	if mac == nil {
		return false
	}
	got := [keys.EAPMACSize]byte(mac)
	clear(mac)
	want := c.mac(packet, more)
	return keys.Equal(got[:], want[:])
}

// open gives the attributes that AT_ENCR_DATA of m hides, checked; nil: it has none.
func (c *Context) open(m *eap.Message) ([]eap.Attribute, error) {
	iv, text := eap.Find(m.Attributes, eap.ATIV), eap.Find(m.Attributes, eap.ATENCRDATA)
	if iv == nil || text == nil {
		return nil, nil
	}
	plain, err := keys.DecryptEAP(c.KEncr, [16]byte(iv.Value), text.Value)
	if err != nil {
		return nil, err
	}
	hidden, err := eap.ParseAttributes(plain)
	if err != nil {
		return nil, err
	}
	return hidden, eap.CheckNested(m, hidden)
}

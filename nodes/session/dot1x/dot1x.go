// Package dot1x holds the rules by which a link lets stations on: IEEE
// 802.1X-2004, clause 8, for an Authenticator, which stands in an access router
// and asks an AAA server, and a Supplicant, which stands in a mobile node and
// asks an EAP method.
//
// Both are pure machines that carry EAP packets and look at no more of them than
// code, identifier, length and whether an identity is asked for (RFC 3748,
// sections 4 and 5.1); retransmission and the belief in Success and Failure
// follow RFC 3748, sections 4.2 and 4.3, and RFC 4137. Methods, their keys, and
// what an AAA server is asked, are elsewhere; so are sockets and the filter of a
// port, which are in nodes/host.
//
// EAPOL protects nothing. Who is on the link can read identities, and can end
// what others have by a Logoff or a Start in their name; a station is told apart
// by its MAC address alone, which anybody may take. A link that must withstand
// that needs IEEE 802.11i or MACsec, which this lab does not have.
package dot1x

import (
	"encoding/binary"
	"fmt"
	"time"

	"s2clab/nodes/wire/eapol"
)

// An Input is something that happened.
type Input interface{ input() }

// An Output is something to do or to tell. It shares no memory with its machine.
type Output interface{ output() }

// Received is a frame with EtherType eapol.EtherType: what follows the Ethernet
// header, padded or not. It is not kept.
type Received struct {
	From   [6]byte
	Octets []byte
}

// Send sends a frame: what follows the Ethernet header.
type Send struct {
	To     [6]byte
	Octets []byte
}

// Ignored says that something had no effect.
type Ignored struct {
	From   [6]byte // whom it came from, or whom it was about; zero for a Supplicant's method
	Reason string  // in kebab-case
}

func (Received) input() {}
func (Send) output()    {}
func (Ignored) output() {}

// An MSK is a Master Session Key: RFC 3748, section 7.10. It prints as a word, so that
// no log gets it by mistake.
type MSK []byte

// Format prints no octet of the key.
func (MSK) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(MSK)") }

// Codes of EAP packets: RFC 3748, section 4.
const (
	eapRequest  = 1
	eapResponse = 2
	eapSuccess  = 3
	eapFailure  = 4
)

const (
	eapHeaderLen = 4
	eapIdentity  = 1 // type of request and response: RFC 3748, section 5.1
)

// An eapPacket is what is looked at of one.
type eapPacket struct {
	code, id byte
	identity bool   // it asks for an identity or tells one
	octets   []byte // without what a frame had behind it
}

// parseEAP reads the packet at the start of b. What follows it is padding: RFC 3748,
// section 4.1.
func parseEAP(b []byte) (eapPacket, error) {
	if len(b) < eapHeaderLen {
		return eapPacket{}, fmt.Errorf("EAP packet of %d octets, want %d or more", len(b), eapHeaderLen)
	}
	p := eapPacket{code: b[0], id: b[1]}
	size, least := int(binary.BigEndian.Uint16(b[2:])), eapHeaderLen
	switch p.code {
	case eapRequest, eapResponse:
		least = eapHeaderLen + 1
	case eapSuccess, eapFailure:
	default:
		return eapPacket{}, fmt.Errorf("EAP code %d, want 1 to 4", p.code)
	}
	if size < least || size > len(b) {
		return eapPacket{}, fmt.Errorf("EAP packet of %d octets says %d, want %d or more", len(b), size, least)
	}
	p.octets = b[:size:size]
	p.identity = least > eapHeaderLen && b[eapHeaderLen] == eapIdentity
	return p, nil
}

func identityRequest(id byte) []byte { return []byte{eapRequest, id, 0, 5, eapIdentity} }

func eapResult(code, id byte) []byte { return []byte{code, id, 0, eapHeaderLen} }

// frame makes a frame; the body fits, for it came in one or is a few octets long, or
// was measured.
func frame(kind eapol.Type, body []byte) []byte {
	b, err := eapol.Append(nil, &eapol.Frame{Type: kind, Body: body})
	if err != nil {
		panic("dot1x: " + err.Error())
	}
	return b
}

// orElse is the first of two that is not zero.
func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// soonest is the earlier of two times, of which a zero one is never.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due says that a time that is not never has come.
func due(now, at time.Time) bool { return !at.IsZero() && !now.Before(at) }

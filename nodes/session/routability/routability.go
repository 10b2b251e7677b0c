// Package routability is the return routability procedure and the correspondent
// registration that it allows: RFC 6275, sections 5.2, 9.4, 9.5, 11.6 and 11.7.2.
// By it a mobile node and a correspondent node send to one another directly,
// not by way of the home agent.
//
// A Correspondent and a Mobile hold the rules of the two ends: packets and the
// time go in, packets and changes to routes come out. They know no sockets. What
// puts Home Address options and type 2 routing headers on packets of applications
// is in nodes/host; the mobile's registration with its home agent is in nodes/mn.
package routability

import (
	"crypto/sha1"
	"net/netip"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// Constants of RFC 6275, sections 12 and 13.
const (
	maxTokenLifetime   = 210 * time.Second
	maxNonceLifetime   = 240 * time.Second
	maxBindingLifetime = 420 * time.Second // MAX_RR_BINDING_LIFETIME
	initialTimeout     = time.Second       // INITIAL_BINDACK_TIMEOUT, for tests too: section 11.8
	maxROFailure       = 3                 // MAX_RO_FAILURE

	lifetimeUnit     = 4 * time.Second
	hopLimit         = 64
	authenticatorLen = 12 // section 6.2.7: 96 bits
)

// A Token is a keygen token: RFC 6275, section 5.2.3.
type Token [8]byte

// bindingKey is Kbm, under which a binding is made, or with no care-of token
// deleted: RFC 6275, section 5.2.5.
func bindingKey(home Token, careOf *Token) *keys.MAC {
	data := home[:]
	if careOf != nil {
		data = append(data[:len(data):len(data)], careOf[:]...)
	}
	key := sha1.Sum(data)
	return keys.NewMAC(key[:])
}

// authenticator is what the Binding Authorization Data option at the end of the
// header b must hold: First(96, HMAC_SHA1(Kbm, care-of address | correspondent |
// MH data)), RFC 6275, section 6.2.7. The MH data has a checksum of 0 and goes up
// to the authenticator itself.
func authenticator(kbm *keys.MAC, careOf, correspondent netip.Addr, b []byte) []byte {
	first, second := careOf.As16(), correspondent.As16()
	data := make([]byte, 0, 32+len(b))
	data = append(append(data, first[:]...), second[:]...)
	data = append(data, b[:len(b)-authenticatorLen]...)
	data[32+4], data[32+5] = 0, 0
	sum := kbm.Sum(data)
	return sum[:authenticatorLen]
}

// unsigned is the option that a message to be signed ends with.
func unsigned() mh.BindingAuthorization {
	return mh.BindingAuthorization{Authenticator: make([]byte, authenticatorLen)}
}

// isSigned says whether the header b, which keeps the rules of mh.CheckOctets,
// ends with the right authenticator. options are its options.
func isSigned(kbm *keys.MAC, careOf, correspondent netip.Addr, b []byte, options []mh.Option) bool {
	proof, ok := mh.Find[mh.BindingAuthorization](options)
	return ok && len(proof.Authenticator) == authenticatorLen &&
		keys.Equal(proof.Authenticator, authenticator(kbm, careOf, correspondent, b))
}

// A letter is a message on its way, with the addresses of its packet.
type letter struct {
	src, dst     netip.Addr
	option       netip.Addr // Home Address option; not valid: none
	routing      netip.Addr // type 2 routing header; not valid: none
	kbm          *keys.MAC  // under which it is signed; nil: it is not
	careOf, peer netip.Addr // that the authenticator is over
}

// packet makes the packet of a message; nil: it has none, which no message made
// here brings about.
func (l *letter) packet(m mh.Message) []byte {
	p := ipv6.Packet{Src: l.src, Dst: l.dst, HomeAddress: l.option, RoutingHome: l.routing, HopLimit: hopLimit, Next: ipv6.Mobility}
	if l.routing.IsValid() {
		p.SegmentsLeft = 1
	}
	header, err := mh.Append(nil, m, p.UpperSrc(), p.UpperDst())
	if err != nil {
		return nil
	}
	if l.kbm != nil {
		copy(header[len(header)-authenticatorLen:], authenticator(l.kbm, l.careOf, l.peer, header))
		mh.SetChecksum(header, p.UpperSrc(), p.UpperDst())
	}
	p.Payload = header
	octets, err := ipv6.Append(nil, &p)
	if err != nil {
		return nil
	}
	return octets
}

// open takes a packet apart that holds a Mobility Header. It gives nothing of
// one that is malformed, breaks the rules for options or has a wrong checksum:
// RFC 6275, section 9.2.
func open(octets []byte) (p ipv6.Packet, header []byte, m mh.Message, ok bool) {
	p, err := ipv6.Parse(octets)
	if err != nil || p.Next != ipv6.Mobility {
		return p, nil, nil, false
	}
	if header, err = mh.Octets(p.Payload); err != nil || !mh.ChecksumOK(header, p.UpperSrc(), p.UpperDst()) {
		return p, nil, nil, false
	}
	if m, err = mh.Parse(header); err != nil || mh.CheckOctets(header) != nil {
		return p, nil, nil, false
	}
	return p, header, m, true
}

// unicastRoutable says whether a can be a home or care-of address: RFC 6275,
// section 3.1.
func unicastRoutable(a netip.Addr) bool {
	return a.Is6() && !a.Is4In6() && a.IsGlobalUnicast()
}

// An Output is something to do: Send, SetRoute, ClearRoute or Event, in an order
// that matters.
type Output interface{ output() }

// Send sends a whole packet.
type Send struct {
	Octets    []byte
	Tunnelled bool // by way of the home agent
}

// SetRoute sends what goes from Own to Peer directly. At the mobile node Own is its
// home address, and it goes from CareOf, with a Home Address option that holds Own.
// At the correspondent node Peer is the home address, and it goes to CareOf, with a
// type 2 routing header that holds Peer; what has a Home Address option is taken with
// the same addresses, and no others: RFC 6275, sections 9.3.1, 9.3.2 and 11.3.1.
type SetRoute struct{ Own, Peer, CareOf netip.Addr }

// ClearRoute ends that.
type ClearRoute struct{ Own, Peer netip.Addr }

// An Event is for the journal.
type Event struct {
	Name   string
	Fields map[string]any
}

func (Send) output()       {}
func (SetRoute) output()   {}
func (ClearRoute) output() {}
func (Event) output()      {}

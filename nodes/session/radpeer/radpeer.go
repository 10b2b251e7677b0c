// Package radpeer holds the rules by which RADIUS nodes talk: a Client that asks
// several servers, with retransmission, failover and identifiers (RFC 2865,
// section 2; RFC 5080, section 2.2), and a Server that knows its clients by their
// address, finds duplicates and keeps what it answered.
//
// Both are pure machines. Inputs are datagrams and questions; outputs say what to
// send and tell what happened; the time is an argument, and random numbers come
// from sources that are given. Whoever owns a machine acts on the outputs before
// its next call, for they share memory with it.
//
// What is left out: accounting, proxying (but Proxy-State comes back as RFC 2865,
// section 5.33, has it), Status-Server, and other transports than UDP. Sockets are
// in nodes/host; what a request means is in the roles.
package radpeer

import (
	"errors"
	"net/netip"

	"s2clab/nodes/wire/radius"
)

// Received is a datagram that came; it is not kept. A machine's owner numbers its
// sockets from 0.
type Received struct {
	Socket int
	From   netip.AddrPort
	Octets []byte
}

// An Output is something to do or to tell.
type Output interface{ output() }

// Send sends one datagram, whose octets stay as they are.
type Send struct {
	Socket int
	To     netip.AddrPort
	Octets []byte
}

// Ignored tells of a datagram that was silently discarded, or of a request that
// came again. Reason is in kebab-case: malformed, unauthenticated (the shared
// secret is another), unknown-client, unknown-server, unexpected-code,
// answer-to-nothing (late, twice, or nobody asked), duplicate-request.
type Ignored struct {
	Socket int
	From   netip.AddrPort
	Reason string
}

// Deliver hands a request to the owner of a Server, who gives its answer to
// Answer with this ID, at once or later.
type Deliver struct {
	ID      uint64
	From    netip.AddrPort
	Client  string         // its name, by the configuration
	Guarded bool           // a Message-Authenticator proves who sent it
	Packet  *radius.Packet // an Access-Request
	Cover   *radius.Cover  // covers keys of the answer, and uncovers a User-Password
}

// Suspected tells that a server has not answered, and is asked last from now on.
type Suspected struct{ Server netip.AddrPort }

// Restored tells that a suspected server has answered.
type Restored struct{ Server netip.AddrPort }

// Done tells what became of a question.
type Done struct {
	ID uint64
	Outcome
}

func (Send) output()      {}
func (Ignored) output()   {}
func (Deliver) output()   {}
func (Suspected) output() {}
func (Restored) output()  {}
func (Done) output()      {}

// reasonOf says in one word why a packet is discarded.
func reasonOf(err error) string {
	if errors.Is(err, radius.ErrUnauthenticated) {
		return "unauthenticated"
	}
	return "malformed"
}

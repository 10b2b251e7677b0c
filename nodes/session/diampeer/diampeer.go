// Package diampeer holds the rules by which Diameter nodes talk: connections
// between two peers (RFC 6733, section 5.6) with their watchdog (RFC 3539), the
// requests of a Client to several servers, and the connections of a Server. Both
// may ask, and both may be asked: an answer may be given at any later time.
//
// A node that dials some peers and is dialled by others runs a Client and a
// Server. Every input from the transport may go to both, for neither takes notice
// of the other's connections, as long as the names of connections that are
// accepted are not those that a Client counts from 1.
//
// Everything here is a pure machine. Inputs are what happened on transport
// connections; outputs say what to do with them; the time is an argument, and
// random numbers come from a source that is given. Whoever owns a machine acts
// on the outputs before its next call, for they share memory with it.
//
// What is left out: TLS, SCTP, agents (relay, proxy, redirect), and the
// election, for of two nodes of ours only the client connects. Sockets are in
// nodes/host; what a request means is in the roles.
package diampeer

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"s2clab/nodes/wire/diameter"
)

// A Local is the Diameter node that we are.
type Local struct {
	diameter.Identity
	Product      string                 // Product-Name
	Applications []diameter.Application // of authorisation
	Serves       []Service              // requests to deliver; others are refused
	Watchdog     time.Duration          // Twinit of RFC 3539, section 3.4.1; 0: 30 s
	Rand         *rand.Rand             // for jitter and identifiers
}

// A Service is a command of an application, for the same command may be served in
// one and not in another.
type Service struct {
	Application diameter.Application
	Command     diameter.Command
}

// Times that RFC 6733 leaves to the implementation.
const (
	defaultWatchdog  = 30 * time.Second // RFC 3539, section 3.4.1
	handshakeTimeout = 5 * time.Second  // until a CER or CEA has come; for a transport connection too
	farewellTimeout  = 2 * time.Second  // until a DPA has come, or the connection's end
	reconnectFirst   = 1 * time.Second  // before the first new attempt; doubled each time
	reconnectLast    = 30 * time.Second // Tc: RFC 6733, section 12
	demandGap        = 1 * time.Second  // between attempts that waiting requests ask for
)

// An Input is something that happened. Conn names the transport connection.
type Input interface{ input() }

// Connected says that a connection that Connect asked for is up.
type Connected struct {
	Conn  uint64
	Local netip.Addr // our end's: goes into Host-IP-Address
}

// Accepted says that somebody has connected to us; the owner chose Conn.
type Accepted struct {
	Conn   uint64
	Local  netip.Addr
	Remote netip.AddrPort
}

// Received is one whole message; it is not kept.
type Received struct {
	Conn   uint64
	Octets []byte
	At     time.Time // when it was read
}

// Closed says that a connection has ended, or never came to be. None follows a
// Close.
type Closed struct {
	Conn   uint64
	Reason string // in kebab-case: connection-refused, reset, ...
}

// Ask sends a request; a Done with its ID follows. The request names its origin,
// which is Local, and Destination-Host where it must reach that host: a Server
// asks such requests only. What a request leaves empty is filled in: Session-Id
// with a new one; Destination-Realm by a Client with the realm of User-Name or
// else of its first server, by a Server with that of the host.
type Ask struct {
	ID      uint64
	Again   uint32 // Outcome.EndToEnd of the same request, where it was asked before and may have arrived: goes with the T bit; 0: is new
	Request Request
}

// Stop ends all connections in an orderly way. Down follows for each.
type Stop struct {
	Cause diameter.DisconnectCause
}

func (Connected) input() {}
func (Accepted) input()  {}
func (Received) input()  {}
func (Closed) input()    {}
func (Ask) input()       {}
func (Stop) input()      {}

// An Output is something to do or to tell.
type Output interface{ output() }

// Connect opens a transport connection. Connected or Closed follows.
type Connect struct {
	Conn uint64
	To   netip.AddrPort
}

// Write sends one whole message, whose octets stay as they are.
type Write struct {
	Conn   uint64
	Octets []byte
}

// Close ends a transport connection: by a reset where Abort says so, for an
// orderly end would wait for a peer that has failed or cannot be understood
// (RFC 6733, section 2.1).
type Close struct {
	Conn  uint64
	Abort bool
}

// Up says that a peer may be sent requests.
type Up struct {
	Conn uint64
	Peer string // Diameter identity
}

// Down says that a peer that was Up is no more.
type Down struct {
	Conn   uint64
	Peer   string
	Reason string // in kebab-case: watchdog, reset, disconnect-rebooting, ...
}

// Suspected says that a peer has not answered the watchdog in time: it gets no
// new requests until it gives a sign of life (RFC 3539, section 3.4.1).
type Suspected struct {
	Conn uint64
	Peer string
}

// Restored ends Suspected, and the probation of a peer that had failed.
type Restored struct {
	Conn uint64
	Peer string
}

// Rejected says that somebody did not become a peer.
type Rejected struct {
	Conn   uint64
	Peer   string // what it called itself; empty: it did not come to that
	Reason string // in kebab-case
}

// Deliver gives a request that Local.Serves, checked against its command's
// definition, to the owner, who answers it with Answer, now or later.
type Deliver struct {
	ID      uint64 // for Answer
	Conn    uint64
	Peer    string // the neighbour that sent it; Origin-Host says who asks
	Message *diameter.Message
}

// Refused says that a request was answered with an error here.
type Refused struct {
	Conn    uint64
	Peer    string
	Message *diameter.Message
	Failure *diameter.Failure
}

// Ignored says that a message had no effect.
type Ignored struct {
	Conn   uint64
	Peer   string
	Reason string // in kebab-case
}

// answered hands an answer from a Peer to its Client.
type answered struct {
	message *diameter.Message
	broken  error // why its AVPs cannot be read; nil: they can
}

// Done ends an Ask.
type Done struct {
	ID uint64
	Outcome
}

func (Connect) output()   {}
func (Write) output()     {}
func (Close) output()     {}
func (Up) output()        {}
func (Down) output()      {}
func (Suspected) output() {}
func (Restored) output()  {}
func (Rejected) output()  {}
func (Deliver) output()   {}
func (Refused) output()   {}
func (Ignored) output()   {}
func (answered) output()  {}
func (Done) output()      {}

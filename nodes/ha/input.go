package ha

import (
	"net/netip"
	"time"

	"s2clab/nodes/wire/mh"
)

// An Input is something that happened to the home agent: one of the types below.
type Input interface{ input() }

// Received is a packet to this node that has a destination options header, a
// routing header or a Mobility Header: from its IPv6 header on. The machine
// keeps none of its octets.
type Received struct {
	Octets []byte
	From   netip.AddrPort // source of the IPv4 and UDP headers that it came in, RFC 5555, section 4.2; not valid: none
}

// NeighborClaimed says that another node uses an address on a link, or is about
// to: a Neighbor Advertisement for it, or a Neighbor Solicitation of somebody
// else's duplicate address detection (RFC 4862, section 5.4).
type NeighborClaimed struct {
	Dev     string
	Address netip.Addr
}

// StrangerTunnelled says that a packet came through the tunnel whose outer
// source is not the care-of address that its inner source has bound.
type StrangerTunnelled struct {
	Source netip.Addr // of the outer header
	Port   uint16     // of the outer UDP header; 0: there was none
	Inner  netip.Addr // source of the inner header; not valid: not known
}

// AAAAnswered is a MIP6-Answer to an AskAAA: RFC 5778, section 5.2.2.
type AAAAnswered struct {
	ID     uint64 // of the AskAAA
	Peer   string // that answered: its Diameter identity
	Result uint32 // Result-Code
	Name   string // of that; empty: not told

	NAI         string           // User-Name: who it is; empty: who was asked about
	HomeAddress netip.Addr       // MIP-Mobile-Node-Address; not valid: there is none
	Material    []mh.KeyMaterial // what the mobile node is to be told of keys
	Session     *Session         // MIP-MN-HA-MSA; nil: there is none
	Agent       netip.Addr       // MIP6-Agent-Info: the home agent to go to; not valid: none is named
	SessionID   string           // that the server keeps the state of; empty: it keeps none
	Server      string           // whose session it is: the Origin-Host of the answer
}

// A Session is what the AAA gives for later: RFC 5778, section 6.12.
type Session struct {
	Key       []byte        // MIP-Session-Key
	SPI       uint32        // MIP-MN-HA-SPI
	Lifetime  time.Duration // MIP-MSA-Lifetime
	Timestamp bool          // MIP-Replay-Mode is Timestamp; else no protection was selected
}

// AAAFailed says that no answer to an AskAAA will come.
type AAAFailed struct {
	ID     uint64
	Reason string // in kebab-case: time-out, no-peer, unable-to-deliver, ...
}

// SessionAborted is an Abort-Session-Request: RFC 6733, section 8.5.1. An
// AnswerAbort with its ID answers it.
type SessionAborted struct {
	ID              uint64
	Session         string
	NAI             string // User-Name; empty: not told
	Peer            string // Origin-Host
	DestinationHost string
}

// SessionTerminated says what became of a TerminateSession.
type SessionTerminated struct {
	NAI, Session string
	Result       uint32 // Result-Code of the answer; 0: none came
	Reason       string // why not, in kebab-case; empty: it was taken
}

func (*Received) input()         {}
func (NeighborClaimed) input()   {}
func (StrangerTunnelled) input() {}
func (*AAAAnswered) input()      {}
func (AAAFailed) input()         {}
func (SessionAborted) input()    {}
func (SessionTerminated) input() {}

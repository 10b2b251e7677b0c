// Package bootstrap is how a mobile node and its home agent come to share the key
// that protects their signalling, out of what the mobile node shares with its AAA
// server or HSS: the alternatives of TR 33.822, clause 7.3, and those of the
// profiles beside it. Each is one file: the mobile node's side, and that of
// whoever gives the home agent the key.
//
// A method is rules without state: what a mobile node holds goes in as Held, what
// happened goes in as an argument, and what to send or to believe comes out. Who
// carries messages, and when, is in nodes/mn, nodes/ha and nodes/aaa, which know no
// method by name: to them there is an association for an SPI. Key derivations are
// in nodes/keys.
//
// The text of clause 7.3 could not be had. Where a method is more than the RFC that
// it builds on, what it does here is a decision of this lab, and its file says so.
package bootstrap

import (
	"net/netip"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/mh"
)

// A Method is one of the ways. Static is the one that has no sides: its keys are
// known beforehand.
type Method struct {
	Name   string
	Mobile Mobile // nil: keys are known beforehand
	Server Server // nil: nobody is asked to verify an MN-AAA option
}

// A Mobile is a mobile node's side of a method.
type Mobile interface {
	// Lacks says what has to be had before Prove has something to prove with.
	Lacks(h *Held, now time.Time) Need
	// Prove says how the next Binding Update to a home agent is proven.
	Prove(h *Held, to netip.Addr) Proof
	// Conclude makes the key that the acknowledgement of what p proved is proven by.
	// It is not asked where p is MN-HA: the key is p's own.
	Conclude(h *Held, p *Proof, a Acknowledgement) (keys.Derived, error)
}

// A Need is what a mobile node lacks.
type Need int

// Nothing is for what is known beforehand.
const Nothing Need = 0

// Held is what a mobile node shares with the network.
type Held struct {
	NAI      string
	MNAAASPI uint32
	MNAAAKey []byte // known beforehand; empty: none
}

// A Proof is how a Binding Update is proven.
type Proof struct {
	Identifier string         // of the MN-NAI option
	Subtype    mh.AuthSubtype // which authentication option
	SPI        uint32
	Key        []byte
	Options    []mh.Option // that stand before it
}

// An Acknowledgement is what a Binding Acknowledgement says that matters here.
type Acknowledgement struct {
	HomeAgent netip.Addr
	SPI       uint32      // of its MN-HA option
	Options   []mh.Option // all of it
	Freshness [8]byte     // of the Binding Update: see association.Freshness
}

// A Server is the side of the AAA server that a home agent asks about an MN-AAA
// option.
type Server interface {
	// Root says where the MN-AAA key comes from.
	Root() Root
	// Associate makes the MN-HA key for a home agent, of the MN-AAA key.
	Associate(root []byte, r Request) Association
}

// A Root is where an AAA server finds the MN-AAA key of a mobile node.
type Root int

// Provisioned is for keys in the server's list of subscribers.
const Provisioned Root = 0

// A Request is what a home agent asks an AAA server.
type Request struct {
	Identifier string
	HomeAgent  netip.Addr
	Freshness  [8]byte
}

// An Association is what the AAA server hands out.
type Association struct {
	keys.Derived
}

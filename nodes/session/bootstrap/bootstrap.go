// Package bootstrap is how a mobile node and its home agent come to share the key
// that protects their signalling, out of what the mobile node shares with its AAA
// server or HSS: the alternatives of TR 33.822, clause 7.3, and those of the
// profiles beside it. Each is one file: the mobile node's side, and that of
// whoever gives the home agent the key.
//
// A method is rules without state: what a node holds goes in, what happened goes in,
// and what to send or to believe comes out. Who carries messages, and when, is in
// nodes/mn, nodes/ha, nodes/aaa and nodes/bsf, which know no method by name: to them
// there is an association for an SPI. Key derivations are in nodes/keys.
//
// The text of clause 7.3 could not be had. Where a method is more than the RFC that
// it builds on, what it does here is a decision of this lab, and its file says so.
package bootstrap

import (
	"net/netip"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/mh"
)

// A Method is one of the ways.
type Method struct {
	Name   string
	Mobile Mobile // nil: keys are known beforehand
	// PerBinding says that an association ends with the binding that it came for, also
	// where the mobile node has come home. Else it is good for as long as its key.
	PerBinding bool

	// How the network's side of it goes: one of these, or none where keys are known
	// beforehand.
	Server Server // a home agent asks an AAA server to verify an MN-AAA option
	Keeper Keeper // a home agent asks for the key of an MN-HA option
}

// A Mobile is a mobile node's side of a method.
type Mobile interface {
	// Lacks says what has to be had before Prove has something to prove with.
	Lacks(h *Held, now time.Time) Need
	// Prove says how the next Binding Update to a home agent is proven.
	Prove(h *Held, to Agent) Proof
	// Conclude makes the key that the acknowledgement of what p proved is proven by.
	// It is not asked where p is MN-HA: the key is p's own.
	Conclude(h *Held, p *Proof, a Acknowledgement) (keys.Derived, error)
}

// A Challenged is a Mobile that may be asked more before it is believed.
type Challenged interface {
	// Challenge takes what came with a refusal. It says whether there is now something
	// to prove the same Binding Update with.
	Challenge(h *Held, m mh.KeyMaterial) (again bool, err error)
	// Forget has the next Binding Update ask anew.
	Forget(h *Held)
}

// A Need is what a mobile node lacks.
type Need int

// Needs.
const (
	Nothing    Need = iota
	AccessKeys      // those of an access that has authenticated it
	GBAKeys         // those of a run of Ub with the BSF
)

func (n Need) String() string { return [...]string{"nothing", "access-keys", "gba-keys"}[n] }

// Held is what a mobile node shares with the network.
type Held struct {
	NAI      string
	MNAAASPI uint32
	MNAAAKey []byte       // known beforehand; empty: none
	Realm    string       // of the AAA servers
	Access   *keys.Access // of the last access that has authenticated it; nil: none has
	GBA      *keys.GBA    // of the last run of Ub; nil: there was none, or it is worth nothing
	Card     Card         // nil: there is none

	answered *answered // the challenge that was answered last; nil: none
}

// A Card answers challenges: a *usim.Card. Errors are those of usim.
type Card interface {
	Authenticate(rand, autn [16]byte) (usim.Response, error)
}

// An Agent is a home agent.
type Agent struct {
	Address netip.Addr
	Host    string // its FQDN, which is its Diameter identity
}

// A Proof is how a Binding Update is proven.
type Proof struct {
	Identifier string         // of the MN-NAI option
	Subtype    mh.AuthSubtype // which authentication option
	SPI        uint32
	Key        keys.Derived
	Options    []mh.Option // that stand before it
}

// An Acknowledgement is what a Binding Acknowledgement says that matters here.
type Acknowledgement struct {
	HomeAgent Agent
	SPI       uint32      // of its MN-HA option
	Options   []mh.Option // all of it
	Freshness [8]byte     // of the Binding Update: see association.Freshness
}

// A Server is the side of the AAA server that a home agent asks about an MN-AAA
// option.
type Server interface {
	// Root says where the MN-AAA key comes from.
	Root() Root
	// MNAAA is that key, of what was found; false: it is not there.
	MNAAA(f *Found) (keys.Derived, bool)
	// Associate makes the MN-HA key for a home agent, of the MN-AAA key, and says what
	// the mobile node has to be told so that it makes the same.
	Associate(root keys.Derived, r Request) (keys.Derived, []mh.KeyMaterial)
}

// A Root is where a server finds what the MN-AAA key is, or is made of.
type Root int

// Roots.
const (
	Provisioned Root = iota // in its list of subscribers
	OfAccess                // in what access authentication has left
	OfGBA                   // with the BSF
	OfChallenge             // in a challenge that the mobile node has answered
)

// Found is what a server has found of a mobile node.
type Found struct {
	Provisioned []byte       // empty: nothing
	Access      *keys.Access // nil: nothing
	NAF         []byte       // Ks_NAF that the BSF gave; empty: none
	Challenge   *keys.Vector // nil: none was answered
}

// A Request is what a home agent asks.
type Request struct {
	Identifier string // as the mobile node calls itself
	HomeAgent  Agent
	Freshness  [8]byte
	Lifetime   time.Duration // of the key
	Nonce      []byte        // 16 octets at random, for methods that use one
}

// A Keeper is the side of whoever has the key of an MN-HA option.
type Keeper interface {
	// Asked says whom the home agent asks.
	Asked() Asked
	// Key is the MN-HA key of a mobile node with a home agent, and its SPI where that
	// is not for the mobile node to choose (else 0); false: what was found is not enough.
	Key(f *Found, identifier string, to Agent) (key keys.Derived, spi uint32, ok bool)
}

// Asked is whom a home agent asks for keys.
type Asked int

// Those who are asked.
const (
	BSF Asked = iota // by Zn: TS 29.109
	AAA              // by Zn too, or in the profile WiMAX by RADIUS
)

// firstSPI is the first that is not reserved: RFC 4285, section 8.
const firstSPI = 256

// mnHAKey is the name and length of what all methods end in: RFC 4285, section 5.1,
// has 16 octets.
const mnHAKey = 16

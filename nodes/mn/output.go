package mn

import "net/netip"

// An Output is something to do: one of the types below. Those of one Step are
// in the order that matters.
type Output interface{ output() }

// SolicitRouter asks every router of a link for an advertisement.
type SolicitRouter struct {
	Dev       string
	Source    netip.Addr // link-local; may not be ready yet: then the unspecified address will do
	LinkLayer [6]byte
}

// SolicitNeighbor sends a Neighbor Solicitation.
type SolicitNeighbor struct {
	Dev         string
	Source      netip.Addr // may be the unspecified address; then LinkLayer is not sent
	Destination netip.Addr
	Target      netip.Addr
	LinkLayer   [6]byte
}

// AdvertiseNeighbor multicasts an unsolicited Neighbor Advertisement, from the
// address that it is about.
type AdvertiseNeighbor struct {
	Dev         string
	Destination netip.Addr
	Target      netip.Addr
	LinkLayer   [6]byte
	Override    bool // what others know of Target
}

// EnterAccess takes a care-of address into use, with a way out of its own:
// packets from it go to the router, whatever the tunnel does. Doing it again
// with another router replaces the way.
type EnterAccess struct {
	Dev       string
	Address   netip.Prefix // the care-of address and the length of its prefix
	DAD       DAD
	Router    netip.Addr // link-local, or of IPv4; not valid: none, with IPv4
	LinkLayer [6]byte    // of the router; zero: to be resolved
}

// LeaveAccess takes back what EnterAccess did.
type LeaveAccess struct {
	Dev     string
	Address netip.Prefix
}

// TakeHome makes a home address that was assigned this node's for ever: what
// applications send from it goes to the tunnel, or is lost while there is none.
type TakeHome struct {
	Address   netip.Prefix // the home address and the length of the home prefix
	HomeAgent netip.Addr
}

// EnterHome puts the home address on the home link, with a way to the home
// agent. What applications send does not go there before UseHome.
type EnterHome struct {
	Dev       string
	Address   netip.Prefix // the home address and the length of the home prefix
	DAD       DAD
	Router    netip.Addr // link-local
	LinkLayer [6]byte    // of the router; zero: to be resolved
	HomeAgent netip.Addr // not valid: not known yet
	Neighbor  [6]byte    // the home agent's, where it is on the link; zero: by the router
	OnLink    bool       // the home agent is on the link
}

// UseHome sends what applications send through the home link.
type UseHome struct {
	Dev    string
	Prefix netip.Prefix // the home prefix, which is on the link
	Router netip.Addr
}

// QuitHome takes back what UseHome did: what applications send goes to the tunnel.
type QuitHome struct {
	Dev    string
	Prefix netip.Prefix
}

// LeaveHome takes back what EnterHome did.
type LeaveHome struct {
	Dev       string
	Address   netip.Prefix
	HomeAgent netip.Addr
}

// SendMobility sends a whole IPv6 packet, from its IPv6 header on.
type SendMobility struct {
	Dev      string // where its source address is
	Octets   []byte
	From, To netip.AddrPort // in UDP over IPv4, RFC 5555, section 4.2; not valid: as it is
}

// ExpectTunnel takes what the home agent tunnels to a care-of address, and sends
// nothing that way: the home agent may send packets before its acknowledgement
// has come, or in place of one that is lost. SetTunnel with the same ends, another
// ExpectTunnel or ForsakeTunnel ends it.
type ExpectTunnel SetTunnel

// ForsakeTunnel ends ExpectTunnel.
type ForsakeTunnel struct{}

// SetTunnel makes the bidirectional tunnel between care-of address and home
// agent, or moves the one there is.
type SetTunnel struct {
	Local, Remote netip.Addr
	Home4         netip.Addr // the IPv4 home address, beside the IPv6 one; not valid: none
	UDP           bool       // in UDP over IPv4: RFC 5555, section 4.1
}

// ClearTunnel ends the tunnel. What applications send until another way is
// there is lost, without an error to them.
type ClearTunnel struct{}

// An Event is for the journal.
type Event struct {
	Name   string
	Fields map[string]any
}

// DAD is how an address comes into use.
type DAD int

// How an address comes into use: RFC 4862, section 5.4, and RFC 4429.
const (
	NoDAD         DAD = iota // at once
	OptimisticDAD            // at once, while duplicate address detection runs
	FullDAD                  // when duplicate address detection has found no other
)

func (d DAD) String() string { return [...]string{"none", "optimistic", "full"}[d] }

func (SolicitRouter) output()     {}
func (SolicitNeighbor) output()   {}
func (AdvertiseNeighbor) output() {}
func (EnterAccess) output()       {}
func (LeaveAccess) output()       {}
func (TakeHome) output()          {}
func (EnterHome) output()         {}
func (UseHome) output()           {}
func (QuitHome) output()          {}
func (LeaveHome) output()         {}
func (SendMobility) output()      {}
func (ExpectTunnel) output()      {}
func (ForsakeTunnel) output()     {}
func (SetTunnel) output()         {}
func (ClearTunnel) output()       {}
func (Event) output()             {}

package ha

import (
	"net/netip"

	"s2clab/nodes/session/flows"
	"s2clab/nodes/wire/mh"
	"s2clab/nodes/wire/replica"
)

// An Output is something to do: one of the types below. Those of one Step are
// in the order that matters. They, and the octets in them, hold until the next
// call of Step or Tick.
type Output interface{ output() }

// SendMobility sends a whole IPv6 packet, from its IPv6 header on.
type SendMobility struct {
	Dev    string // of a home link that it must leave by, tunnel or not; empty: as routes say
	Octets []byte
	To     netip.AddrPort // in UDP over IPv4 to there, RFC 5555, section 4.2; not valid: as it is
}

// WatchAddress asks for a NeighborClaimed where somebody on a link uses or wants
// an address: it takes joining the address's solicited-node group.
type WatchAddress struct {
	Dev     string
	Address netip.Addr
}

// UnwatchAddress ends WatchAddress.
type UnwatchAddress struct {
	Dev     string
	Address netip.Addr
}

// SolicitNeighbor sends a Neighbor Solicitation of duplicate address detection,
// from the unspecified address: RFC 4862, section 5.4.2.
type SolicitNeighbor struct {
	Dev    string
	Target netip.Addr
}

// AdvertiseNeighbor multicasts an unsolicited Neighbor Advertisement to
// ff02::1, with Router and Solicited clear, Override set and the device's own
// link-layer address: RFC 6275, section 10.4.1. Of an IPv4 address it is an ARP
// Announcement: RFC 5227, section 2.3.
type AdvertiseNeighbor struct {
	Dev    string
	Source netip.Addr // this node's own on that device
	Target netip.Addr
}

// SetProxy answers Neighbor Solicitations for an address from now on, with
// Router clear (RFC 6275, section 10.4.1), Override clear (RFC 4861, section
// 7.2.8) and without delay, which that section finds unnecessary here. Of an IPv4
// address it answers ARP Requests: RFC 5555, section 4.5.
type SetProxy struct {
	Dev     string
	Address netip.Addr
}

// ClearProxy ends SetProxy.
type ClearProxy struct {
	Dev     string
	Address netip.Addr
}

// SetTunnel sends what is for the home addresses to a care-of address, and takes
// from there, and only there, what comes from the home addresses: RFC 6275,
// sections 10.4.2 and 10.4.5; RFC 5555, section 4.5.1.
type SetTunnel struct {
	Home   netip.Addr // not valid: none, and Home4 is all
	Home4  netip.Addr // the IPv4 home address; not valid: none
	CareOf netip.Addr // IPv6, or IPv4 as this node sees it
	Port   uint16     // in UDP over IPv4, to this port there; 0: without UDP
}

// SetWays is SetTunnel, to several care-of addresses at once: RFC 5648, with flow
// bindings that say what goes to which, RFC 6089.
type SetWays struct {
	Home  netip.Addr
	Home4 netip.Addr    // the IPv4 home address; not valid: none
	Ways  []Way         // one at least; the first has what no flow binding takes
	Flows []flows.Entry // in the order in which they are matched
}

// A Way is one of several care-of addresses.
type Way struct {
	BID    uint16
	CareOf netip.Addr // as in SetTunnel
	Port   uint16     // as in SetTunnel
}

// ClearTunnel ends SetTunnel and SetWays.
type ClearTunnel struct {
	Home netip.Addr // or Home4, where that was all
}

// AskAAA has a Binding Update authenticated: by a MIP6-Request of mode
// MIP6_AUTH_MN_AAA (RFC 5778, section 5.2.1), or as the method of bootstrapping has
// it. An AAAAnswered or AAAFailed with its ID follows.
type AskAAA struct {
	ID            uint64
	NAI           string // as the mobile node calls itself
	HomeAddress   netip.Addr
	CareOf        netip.Addr
	Fetch         bool           // for the key of SPI, that of an MN-HA option; else about an MN-AAA option
	SPI           uint32         // MIP-MN-AAA-SPI
	Material      mh.KeyMaterial // what the mobile node says of keys; Kind 0: nothing
	Authenticator []byte         // of the MN-AAA option
	MobilityData  [20]byte       // MAC_Mobility_Data: RFC 4285, section 5.2
	Timestamp     []byte         // 8 octets; nil: the Binding Update had none
	Service       string         // Service-Selection; empty: none
}

// AnswerAbort answers a SessionAborted by an Abort-Session-Answer.
type AnswerAbort struct {
	ID     uint64
	Result uint32 // Result-Code
}

// TerminateSession sends a Session-Termination-Request: RFC 5778, section 4.3.1. A
// SessionTerminated follows.
type TerminateSession struct {
	Session string
	NAI     string
	Server  string // the Diameter identity of the server that keeps its state
	Cause   Cause
}

// Keep writes down what must not be lost: see Machine.Restore.
type Keep struct{ Record replica.Record }

// Event tells the journal what happened.
type Event struct {
	Name   string
	Fields map[string]any
}

func (*SendMobility) output()     {}
func (WatchAddress) output()      {}
func (UnwatchAddress) output()    {}
func (SolicitNeighbor) output()   {}
func (AdvertiseNeighbor) output() {}
func (SetProxy) output()          {}
func (ClearProxy) output()        {}
func (SetTunnel) output()         {}
func (SetWays) output()           {}
func (ClearTunnel) output()       {}
func (*AskAAA) output()           {}
func (AnswerAbort) output()       {}
func (TerminateSession) output()  {}
func (Keep) output()              {}
func (Event) output()             {}

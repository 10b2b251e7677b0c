package mn

import (
	"net/netip"
	"time"

	"s2clab/nodes/wire/icmp6"
)

// An Input is something that happened to the mobile node: one of the types
// below.
type Input interface{ input() }

// CarrierChanged says whether a device can send and receive. What a device was
// before the first one is: without carrier.
type CarrierChanged struct {
	Dev string
	Up  bool
}

// RouterAdvertised is a Router Advertisement with a link-local source and hop
// limit 255: RFC 4861, sections 4.2 and 6.1.2.
type RouterAdvertised struct {
	Dev       string
	Router    netip.Addr    // link-local
	LinkLayer [6]byte       // of the router; zero: it did not say
	Lifetime  time.Duration // as default router; 0: it is none
	Managed   bool          // addresses come by DHCP: RFC 4861, section 4.2, M
	Other     bool          // configuration does: O
	Retrans   time.Duration // between Neighbor Solicitations; 0: it did not say
	Interval  time.Duration // Advertisement Interval option: RFC 6275, section 7.3; 0: it did not say
	Prefixes  []Prefix
	Names     []NameServer
}

// A NameServer is a DNS server of a Recursive DNS Server option: RFC 8106, section 5.1.
type NameServer struct {
	Address  netip.Addr
	Lifetime time.Duration
}

// A Prefix is a Prefix Information option: RFC 4861, section 4.6.2.
type Prefix struct {
	Prefix     netip.Prefix // the address in it is the option's, whole
	OnLink     bool         // L
	Autonomous bool         // A
	Router     bool         // R: the address is the router's own: RFC 6275, section 7.2
	Valid      time.Duration
	Preferred  time.Duration
}

// Forever is how Prefix tells a lifetime without end.
const Forever = icmp6.Infinity

// NeighborAdvertised is a Neighbor Advertisement with hop limit 255: RFC 4861,
// section 4.4.
type NeighborAdvertised struct {
	Dev       string
	Target    netip.Addr
	LinkLayer [6]byte // of the target; zero: it did not say
	Solicited bool
}

// An AddressState is how far duplicate address detection has come.
type AddressState int

// States of an address that the kernel tells.
const (
	Tentative AddressState = iota // also while it may be used optimistically
	Ready
	Duplicate // or the kernel did not take it
)

// AddressChanged is what the kernel says of an address that an output gave it.
type AddressChanged struct {
	Dev     string
	Address netip.Addr
	State   AddressState
}

// SignalChanged is what a radio hears on a device, as its driver tells it.
type SignalChanged struct {
	Dev   string
	Level float64 // dBm
	Heard bool    // false: nothing is heard, or it is not told any more; Level means nothing
}

// Received is a packet that may hold a Mobility Header: whole, from its IPv6
// header on. The octets are not kept.
type Received struct {
	Dev    string
	Octets []byte

	// Tunnelled: it came in the tunnel, whose other end is the home agent.
	Tunnelled bool

	From netip.AddrPort // source of the IPv4 and UDP headers that it came in, RFC 5555, section 4.2; not valid: none
}

// Refused is a packet that came by the tunnel and was dropped.
type Refused struct {
	Reason       string
	Outer, Inner netip.Addr // sources; not valid: not known
}

func (CarrierChanged) input()     {}
func (RouterAdvertised) input()   {}
func (NeighborAdvertised) input() {}
func (AddressChanged) input()     {}
func (SignalChanged) input()      {}
func (Received) input()           {}
func (Refused) input()            {}

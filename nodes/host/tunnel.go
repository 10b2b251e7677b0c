package host

import (
	"fmt"
	"net/netip"
)

// TunnelDevice is the name of the tunnel's device on every node.
const TunnelDevice = "mip0"

// A Side is one end of the bidirectional tunnel of RFC 6275, section 4.1.
type Side int

const (
	MobileSide Side = iota // one inner address, a default route
	AgentSide              // an inner address and a route for each mobile node
)

// A Binding says what is tunnelled: packets of Inner travel between Local, the
// outer address of this end, and Remote, that of the other.
type Binding struct {
	Inner  netip.Addr // the home address
	Local  netip.Addr // mobile: care-of address; agent: home agent address
	Remote netip.Addr // mobile: home agent address; agent: care-of address
}

// Counters say what a tunnel has carried and refused since it was opened.
type Counters struct {
	SentPackets, SentOctets         uint64 // of inner packets; not counted by the kernel engine
	ReceivedPackets, ReceivedOctets uint64 // of inner packets; not counted by the kernel engine
	WrongOuter                      uint64 // packets whose outer addresses are of no binding
	WrongInner                      uint64 // packets whose inner address is not of the binding that they came by
}

// A Refusal is a packet that came by the tunnel and was dropped.
type Refusal struct {
	Reason string // wrong-outer-source, wrong-inner-address, malformed
	Outer  netip.Addr
	Inner  netip.Addr // as far as known
}

// A Tunnel carries IPv6 in IPv6: RFC 2473, as RFC 6275, sections 10.4.5 and
// 11.3.1, uses it. Its device is TunnelDevice. Packets that do not fit are
// answered with a Packet Too Big, and errors about outer packets are passed on to
// the inner source.
type Tunnel interface {
	// Set makes or changes the binding of an inner address, with its routes:
	// the default route at the mobile side, one to Inner at the agent side.
	Set(Binding) error
	// Clear ends the binding of an inner address. To clear what is not set is no
	// error.
	Clear(inner netip.Addr) error
	// Engine says which engine it is, user or kernel, and why.
	Engine() (name, why string)
	Counters() Counters
	// Refusals gives packets that were dropped, as many as are read in time:
	// Counters counts them all.
	Refusals() <-chan Refusal
	Close() error
}

// TunnelConfig says what tunnel is wanted.
type TunnelConfig struct {
	Engine      string // auto, user, kernel
	Side        Side
	HomeAddress netip.Addr // mobile side: on the device for as long as the tunnel is open
}

// NewTunnel makes the tunnel's device and opens the tunnel.
func (h *Host) NewTunnel(cfg TunnelConfig) (Tunnel, error) {
	return nil, fmt.Errorf("tunnel: engine %q: not built yet", cfg.Engine)
}

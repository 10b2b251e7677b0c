package icmp6

import (
	"fmt"
	"net/netip"
)

// A NeighborSolicitation asks who has an address: RFC 4861, section 4.3.
type NeighborSolicitation struct {
	Target  netip.Addr
	Options []Option
}

// Type is TypeNeighborSolicitation.
func (m *NeighborSolicitation) Type() Type { return TypeNeighborSolicitation }

func (m *NeighborSolicitation) code() uint8 { return 0 }

func (m *NeighborSolicitation) appendBody(b []byte) ([]byte, error) {
	return appendTarget(append(b, 0, 0, 0, 0), m.Target, m.Options)
}

func parseNeighborSolicitation(b []byte) (Message, error) {
	opts, err := parseOptions(b[20:])
	if err != nil {
		return nil, fmt.Errorf("neighbor solicitation: %w", err)
	}
	return &NeighborSolicitation{Target: netip.AddrFrom16([16]byte(b[4:])), Options: opts}, nil
}

// A NeighborAdvertisement says who has an address: RFC 4861, section 4.4.
type NeighborAdvertisement struct {
	Router    bool // R: the sender is a router
	Solicited bool // S: in answer to a solicitation
	Override  bool // O: believe this more than what is known
	Target    netip.Addr
	Options   []Option
}

// Type is TypeNeighborAdvertisement.
func (m *NeighborAdvertisement) Type() Type { return TypeNeighborAdvertisement }

func (m *NeighborAdvertisement) code() uint8 { return 0 }

func (m *NeighborAdvertisement) appendBody(b []byte) ([]byte, error) {
	var flags uint8
	if m.Router {
		flags |= 0x80
	}
	if m.Solicited {
		flags |= 0x40
	}
	if m.Override {
		flags |= 0x20
	}
	return appendTarget(append(b, flags, 0, 0, 0), m.Target, m.Options)
}

func parseNeighborAdvertisement(b []byte) (Message, error) {
	opts, err := parseOptions(b[20:])
	if err != nil {
		return nil, fmt.Errorf("neighbor advertisement: %w", err)
	}
	return &NeighborAdvertisement{
		Router:    b[0]&0x80 != 0,
		Solicited: b[0]&0x40 != 0,
		Override:  b[0]&0x20 != 0,
		Target:    netip.AddrFrom16([16]byte(b[4:])),
		Options:   opts,
	}, nil
}

// A Redirect names a better first hop: RFC 4861, section 4.5.
type Redirect struct {
	Target      netip.Addr // the better hop
	Destination netip.Addr // for which it is better
	Options     []Option
}

// Type is TypeRedirect.
func (m *Redirect) Type() Type { return TypeRedirect }

func (m *Redirect) code() uint8 { return 0 }

func (m *Redirect) appendBody(b []byte) ([]byte, error) {
	b, err := appendAddr(append(b, 0, 0, 0, 0), m.Target)
	if err != nil {
		return nil, err
	}
	return appendTarget(b, m.Destination, m.Options)
}

func parseRedirect(b []byte) (Message, error) {
	opts, err := parseOptions(b[36:])
	if err != nil {
		return nil, fmt.Errorf("redirect: %w", err)
	}
	return &Redirect{
		Target:      netip.AddrFrom16([16]byte(b[4:])),
		Destination: netip.AddrFrom16([16]byte(b[20:])),
		Options:     opts,
	}, nil
}

func appendTarget(b []byte, target netip.Addr, opts []Option) ([]byte, error) {
	b, err := appendAddr(b, target)
	if err != nil {
		return nil, err
	}
	return appendOptions(b, opts)
}

// SolicitedNode is the multicast group that a solicitation for a goes to: RFC
// 4291, section 2.7.1.
func SolicitedNode(a netip.Addr) netip.Addr {
	o := a.As16()
	return netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: o[13], 14: o[14], 15: o[15]})
}

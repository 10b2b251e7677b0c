package icmp6

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// A RouterSolicitation asks routers to advertise themselves at once: RFC 4861,
// section 4.1.
type RouterSolicitation struct {
	Options []Option
}

// Type is TypeRouterSolicitation.
func (m *RouterSolicitation) Type() Type { return TypeRouterSolicitation }

func (m *RouterSolicitation) code() uint8 { return 0 }

func (m *RouterSolicitation) appendBody(b []byte) ([]byte, error) {
	return appendOptions(append(b, 0, 0, 0, 0), m.Options)
}

func parseRouterSolicitation(b []byte) (Message, error) {
	opts, err := parseOptions(b[4:])
	if err != nil {
		return nil, fmt.Errorf("router solicitation: %w", err)
	}
	return &RouterSolicitation{Options: opts}, nil
}

// RAFlags are the flags of a Router Advertisement. Bits without a name here are
// kept.
type RAFlags uint8

// Flags of a Router Advertisement: RFC 4861, section 4.2, and RFC 6275, section
// 7.1.
const (
	ManagedAddresses RAFlags = 0x80 // M: addresses by DHCPv6
	OtherConfig      RAFlags = 0x40 // O: other configuration by DHCPv6
	HomeAgent        RAFlags = 0x20 // H: the router is a home agent on this link
)

// Names gives the letters of the flags that are set, in wire order.
func (f RAFlags) Names() []string {
	var names []string
	for i, n := range []string{"M", "O", "H"} {
		if f&(0x80>>i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// A RouterAdvertisement says that there is a router, and what the link is like:
// RFC 4861, section 4.2, and RFC 6275, section 7.1.
type RouterAdvertisement struct {
	HopLimit  uint8 // for packets sent from the link; 0: nothing is said
	Flags     RAFlags
	Lifetime  time.Duration // as default router: 0 s (not one) to 65,535 s, whole seconds
	Reachable time.Duration // of a neighbour after it has shown itself, whole milliseconds; 0: nothing is said
	Retrans   time.Duration // between solicitations, whole milliseconds; 0: nothing is said
	Options   []Option
}

// Type is TypeRouterAdvertisement.
func (m *RouterAdvertisement) Type() Type { return TypeRouterAdvertisement }

func (m *RouterAdvertisement) code() uint8 { return 0 }

func (m *RouterAdvertisement) appendBody(b []byte) ([]byte, error) {
	lifetime, err := count("lifetime", m.Lifetime, time.Second, math.MaxUint16)
	if err != nil {
		return nil, err
	}
	reachable, err := count("reachable time", m.Reachable, time.Millisecond, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	retrans, err := count("retransmission timer", m.Retrans, time.Millisecond, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	b = append(b, m.HopLimit, uint8(m.Flags))
	b = binary.BigEndian.AppendUint16(b, uint16(lifetime))
	b = binary.BigEndian.AppendUint32(b, reachable)
	b = binary.BigEndian.AppendUint32(b, retrans)
	return appendOptions(b, m.Options)
}

func parseRouterAdvertisement(b []byte) (Message, error) {
	opts, err := parseOptions(b[12:])
	if err != nil {
		return nil, fmt.Errorf("router advertisement: %w", err)
	}
	return &RouterAdvertisement{
		HopLimit:  b[0],
		Flags:     RAFlags(b[1]),
		Lifetime:  time.Duration(binary.BigEndian.Uint16(b[2:])) * time.Second,
		Reachable: time.Duration(binary.BigEndian.Uint32(b[4:])) * time.Millisecond,
		Retrans:   time.Duration(binary.BigEndian.Uint32(b[8:])) * time.Millisecond,
		Options:   opts,
	}, nil
}

// count gives d in whole units, of which the field holds up to most.
func count(field string, d, unit time.Duration, most int64) (uint32, error) {
	if n := int64(d / unit); d%unit == 0 && 0 <= n && n <= most {
		return uint32(n), nil
	}
	return 0, fmt.Errorf("%s %v: want %d of %v at most, and whole ones", field, d, most, unit)
}

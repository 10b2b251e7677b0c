package icmp6

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"
)

// Option types: RFC 4861, section 4.6, RFC 6275, sections 7.3 and 7.4, and RFC 8106,
// section 5.1.
const (
	optionSourceLink            = 1
	optionTargetLink            = 2
	optionPrefix                = 3
	optionRedirected            = 4
	optionMTU                   = 5
	optionAdvertisementInterval = 7
	optionHomeAgent             = 8
	optionRecursiveDNS          = 25
)

const optionUnit = 8 // octets; the length octet counts these, with the first two octets

// Infinity is a lifetime without an end: RFC 4861, section 4.6.2.
const Infinity = math.MaxUint32 * time.Second

// An Option is one of the option types of this package. Parse gives them as
// values, such as PrefixInformation.
type Option interface {
	Type() uint8

	// appendData appends what follows the length octet.
	appendData(b []byte) ([]byte, error)
}

// Find gives the first option of type T.
func Find[T Option](opts []Option) (T, bool) {
	for _, o := range opts {
		if t, ok := o.(T); ok {
			return t, true
		}
	}
	var none T
	return none, false
}

// Options gives the options of m, in wire order; none where its type has none.
func Options(m Message) []Option {
	switch m := m.(type) {
	case *RouterSolicitation:
		return m.Options
	case *RouterAdvertisement:
		return m.Options
	case *NeighborSolicitation:
		return m.Options
	case *NeighborAdvertisement:
		return m.Options
	case *Redirect:
		return m.Options
	case *MobilePrefixSolicitation:
		return m.Options
	case *MobilePrefixAdvertisement:
		return m.Options
	}
	return nil
}

func appendOptions(b []byte, opts []Option) ([]byte, error) {
	for i, o := range opts {
		at := len(b)
		b = append(b, o.Type(), 0)
		var err error
		if b, err = o.appendData(b); err != nil {
			return nil, fmt.Errorf("option %d, type %d: %w", i, o.Type(), err)
		}
		n := len(b) - at
		if n%optionUnit != 0 || n/optionUnit > math.MaxUint8 {
			return nil, fmt.Errorf("option %d, type %d: %d octets, want a multiple of %d up to %d",
				i, o.Type(), n, optionUnit, math.MaxUint8*optionUnit)
		}
		b[at+1] = uint8(n / optionUnit)
	}
	return b, nil
}

func parseOptions(b []byte) ([]Option, error) {
	var opts []Option
	for len(b) > 0 {
		if len(b) < 2 || b[1] == 0 || int(b[1])*optionUnit > len(b) {
			return nil, fmt.Errorf("option %d does not fit into %d octets: %w", len(opts), len(b), ErrMalformed)
		}
		n := int(b[1]) * optionUnit
		opts = append(opts, parseOption(b[0], b[2:n]))
		b = b[n:]
	}
	return opts, nil
}

// parseOption gives a RawOption also for a known type with a length that it
// does not have: RFC 4861 has such an option ignored, not the message.
func parseOption(t uint8, data []byte) Option {
	switch {
	case t == optionSourceLink:
		return SourceLinkAddress{Address: clone(data)}
	case t == optionTargetLink:
		return TargetLinkAddress{Address: clone(data)}
	case t == optionPrefix && len(data) == 30 && data[0] <= 128:
		return PrefixInformation{
			Prefix:        netip.PrefixFrom(netip.AddrFrom16([16]byte(data[14:])), int(data[0])),
			OnLink:        data[1]&0x80 != 0,
			Autonomous:    data[1]&0x40 != 0,
			RouterAddress: data[1]&0x20 != 0,
			Valid:         time.Duration(binary.BigEndian.Uint32(data[2:])) * time.Second,
			Preferred:     time.Duration(binary.BigEndian.Uint32(data[6:])) * time.Second,
		}
	case t == optionRedirected && len(data) >= 6:
		return RedirectedHeader{Packet: clone(data[6:])}
	case t == optionMTU && len(data) == 6:
		return MTU{Octets: binary.BigEndian.Uint32(data[2:])}
	case t == optionAdvertisementInterval && len(data) == 6:
		return AdvertisementInterval{Interval: time.Duration(binary.BigEndian.Uint32(data[2:])) * time.Millisecond}
	case t == optionHomeAgent && len(data) == 6:
		return HomeAgentInformation{
			Preference: binary.BigEndian.Uint16(data[2:]),
			Lifetime:   time.Duration(binary.BigEndian.Uint16(data[4:])) * time.Second,
		}
	case t == optionRecursiveDNS && len(data) >= 22 && len(data)%16 == 6:
		o := RecursiveDNS{Lifetime: time.Duration(binary.BigEndian.Uint32(data[2:])) * time.Second}
		for at := 6; at < len(data); at += 16 {
			o.Servers = append(o.Servers, netip.AddrFrom16([16]byte(data[at:])))
		}
		return o
	}
	return RawOption{Kind: t, Data: clone(data)}
}

// A RawOption is an option without a type of its own here.
type RawOption struct {
	Kind uint8
	Data []byte // what follows the length octet: 2 octets less than a multiple of 8
}

// Type is the type the option came with.
func (o RawOption) Type() uint8 { return o.Kind }

func (o RawOption) appendData(b []byte) ([]byte, error) { return append(b, o.Data...), nil }

// A SourceLinkAddress is the link-layer address of the sender: RFC 4861,
// section 4.6.1.
type SourceLinkAddress struct {
	Address net.HardwareAddr // 6 octets on Ethernet: 2 less than a multiple of 8
}

// Type is 1.
func (SourceLinkAddress) Type() uint8 { return optionSourceLink }

func (o SourceLinkAddress) appendData(b []byte) ([]byte, error) { return append(b, o.Address...), nil }

// A TargetLinkAddress is the link-layer address of the target: RFC 4861,
// section 4.6.1.
type TargetLinkAddress struct {
	Address net.HardwareAddr // as in SourceLinkAddress
}

// Type is 2.
func (TargetLinkAddress) Type() uint8 { return optionTargetLink }

func (o TargetLinkAddress) appendData(b []byte) ([]byte, error) { return append(b, o.Address...), nil }

// A PrefixInformation tells a prefix of the link: RFC 4861, section 4.6.2, and
// RFC 6275, section 7.2.
type PrefixInformation struct {
	Prefix        netip.Prefix  // IPv6; with RouterAddress all of the router's address, else what follows the prefix means nothing
	OnLink        bool          // L
	Autonomous    bool          // A: for address autoconfiguration
	RouterAddress bool          // R
	Valid         time.Duration // whole seconds up to Infinity
	Preferred     time.Duration // whole seconds up to Infinity; not longer than Valid
}

// Type is 3.
func (PrefixInformation) Type() uint8 { return optionPrefix }

func (o PrefixInformation) appendData(b []byte) ([]byte, error) {
	valid, err := count("valid lifetime", o.Valid, time.Second, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	preferred, err := count("preferred lifetime", o.Preferred, time.Second, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	if !o.Prefix.IsValid() {
		return nil, fmt.Errorf("prefix %v is not valid", o.Prefix)
	}
	var flags uint8
	if o.OnLink {
		flags |= 0x80
	}
	if o.Autonomous {
		flags |= 0x40
	}
	if o.RouterAddress {
		flags |= 0x20
	}
	b = append(b, uint8(o.Prefix.Bits()), flags)
	b = binary.BigEndian.AppendUint32(b, valid)
	b = binary.BigEndian.AppendUint32(b, preferred)
	return appendAddr(append(b, 0, 0, 0, 0), o.Prefix.Addr())
}

// A RedirectedHeader is the start of the packet that a Redirect is about: RFC
// 4861, section 4.6.3.
type RedirectedHeader struct {
	Packet []byte // a multiple of 8 octets
}

// Type is 4.
func (RedirectedHeader) Type() uint8 { return optionRedirected }

func (o RedirectedHeader) appendData(b []byte) ([]byte, error) {
	return append(append(b, 0, 0, 0, 0, 0, 0), o.Packet...), nil
}

// An MTU is what all nodes on the link should use: RFC 4861, section 4.6.4.
type MTU struct {
	Octets uint32
}

// Type is 5.
func (MTU) Type() uint8 { return optionMTU }

func (o MTU) appendData(b []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint32(append(b, 0, 0), o.Octets), nil
}

// An AdvertisementInterval is the longest time between a router's unsolicited
// advertisements: RFC 6275, section 7.3.
type AdvertisementInterval struct {
	Interval time.Duration // whole milliseconds, 32 bits of them
}

// Type is 7.
func (AdvertisementInterval) Type() uint8 { return optionAdvertisementInterval }

func (o AdvertisementInterval) appendData(b []byte) ([]byte, error) {
	n, err := count("interval", o.Interval, time.Millisecond, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint32(append(b, 0, 0), n), nil
}

// A HomeAgentInformation tells how much a home agent wants to be used: RFC
// 6275, section 7.4.
type HomeAgentInformation struct {
	Preference uint16        // more is better; without the option it is 0
	Lifetime   time.Duration // as home agent: 1 s to 65,535 s, whole seconds
}

// Type is 8.
func (HomeAgentInformation) Type() uint8 { return optionHomeAgent }

func (o HomeAgentInformation) appendData(b []byte) ([]byte, error) {
	n, err := count("lifetime", o.Lifetime, time.Second, math.MaxUint16)
	if err != nil {
		return nil, err
	}
	b = binary.BigEndian.AppendUint16(append(b, 0, 0), o.Preference)
	return binary.BigEndian.AppendUint16(b, uint16(n)), nil
}

// A RecursiveDNS names servers that nodes of the link can ask: RFC 8106, section 5.1.
type RecursiveDNS struct {
	Lifetime time.Duration // whole seconds up to Infinity; 0: they are not to be asked any more
	Servers  []netip.Addr  // IPv6, one or more
}

// Type is 25.
func (RecursiveDNS) Type() uint8 { return optionRecursiveDNS }

func (o RecursiveDNS) appendData(b []byte) ([]byte, error) {
	lifetime, err := count("lifetime", o.Lifetime, time.Second, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	if len(o.Servers) == 0 {
		return nil, fmt.Errorf("no DNS server: want one or more")
	}
	b = binary.BigEndian.AppendUint32(append(b, 0, 0), lifetime)
	for _, a := range o.Servers {
		if b, err = appendAddr(b, a); err != nil {
			return nil, err
		}
	}
	return b, nil
}

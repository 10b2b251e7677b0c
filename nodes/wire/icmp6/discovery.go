package icmp6

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// A HomeAgentRequest asks which home agents there are for a prefix: Home Agent
// Address Discovery, RFC 6275, section 6.5.
type HomeAgentRequest struct {
	Identifier uint16 // comes back in the reply
}

// Type is TypeHomeAgentRequest.
func (m *HomeAgentRequest) Type() Type { return TypeHomeAgentRequest }

func (m *HomeAgentRequest) code() uint8 { return 0 }

func (m *HomeAgentRequest) appendBody(b []byte) ([]byte, error) {
	return append(binary.BigEndian.AppendUint16(b, m.Identifier), 0, 0), nil
}

// A HomeAgentReply lists home agents, the preferred ones first: RFC 6275,
// section 6.6.
type HomeAgentReply struct {
	Identifier uint16
	Addresses  []netip.Addr
}

// Type is TypeHomeAgentReply.
func (m *HomeAgentReply) Type() Type { return TypeHomeAgentReply }

func (m *HomeAgentReply) code() uint8 { return 0 }

func (m *HomeAgentReply) appendBody(b []byte) ([]byte, error) {
	b = append(binary.BigEndian.AppendUint16(b, m.Identifier), 0, 0)
	for _, a := range m.Addresses {
		var err error
		if b, err = appendAddr(b, a); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func parseHomeAgentReply(b []byte) (Message, error) {
	m := &HomeAgentReply{Identifier: binary.BigEndian.Uint16(b)}
	list := b[4:]
	if len(list)%16 != 0 {
		return nil, fmt.Errorf("home agent address discovery reply: addresses in %d octets: %w", len(list), ErrMalformed)
	}
	for ; len(list) > 0; list = list[16:] {
		m.Addresses = append(m.Addresses, netip.AddrFrom16([16]byte(list)))
	}
	return m, nil
}

// A MobilePrefixSolicitation asks the home agent for the prefixes of the home
// link: RFC 6275, section 6.7.
type MobilePrefixSolicitation struct {
	Identifier uint16 // comes back in the advertisement
	Options    []Option
}

// Type is TypeMobilePrefixSolicit.
func (m *MobilePrefixSolicitation) Type() Type { return TypeMobilePrefixSolicit }

func (m *MobilePrefixSolicitation) code() uint8 { return 0 }

func (m *MobilePrefixSolicitation) appendBody(b []byte) ([]byte, error) {
	return appendOptions(append(binary.BigEndian.AppendUint16(b, m.Identifier), 0, 0), m.Options)
}

func parseMobilePrefixSolicitation(b []byte) (Message, error) {
	opts, err := parseOptions(b[4:])
	if err != nil {
		return nil, fmt.Errorf("mobile prefix solicitation: %w", err)
	}
	return &MobilePrefixSolicitation{Identifier: binary.BigEndian.Uint16(b), Options: opts}, nil
}

// A MobilePrefixAdvertisement tells a mobile node the prefixes of its home
// link: RFC 6275, section 6.8.
type MobilePrefixAdvertisement struct {
	Identifier uint16 // of the solicitation; 0: nobody asked
	Managed    bool   // M: addresses by DHCPv6
	Other      bool   // O: other configuration by DHCPv6
	Options    []Option
}

// Type is TypeMobilePrefixAdvertise.
func (m *MobilePrefixAdvertisement) Type() Type { return TypeMobilePrefixAdvertise }

func (m *MobilePrefixAdvertisement) code() uint8 { return 0 }

func (m *MobilePrefixAdvertisement) appendBody(b []byte) ([]byte, error) {
	var flags uint8
	if m.Managed {
		flags |= 0x80
	}
	if m.Other {
		flags |= 0x40
	}
	return appendOptions(append(binary.BigEndian.AppendUint16(b, m.Identifier), flags, 0), m.Options)
}

func parseMobilePrefixAdvertisement(b []byte) (Message, error) {
	opts, err := parseOptions(b[4:])
	if err != nil {
		return nil, fmt.Errorf("mobile prefix advertisement: %w", err)
	}
	return &MobilePrefixAdvertisement{
		Identifier: binary.BigEndian.Uint16(b),
		Managed:    b[2]&0x80 != 0,
		Other:      b[2]&0x40 != 0,
		Options:    opts,
	}, nil
}

package mh

import (
	"fmt"
	"net/netip"
)

// A HomeAgentSwitch asks a mobile node to find another home agent: RFC 5142,
// section 4.
type HomeAgentSwitch struct {
	Addresses []netip.Addr // home agents to try, in order; none: discover one
	Options   []Option
}

// Type is TypeHomeAgentSwitch.
func (m *HomeAgentSwitch) Type() Type { return TypeHomeAgentSwitch }

func (m *HomeAgentSwitch) options() []Option { return m.Options }

// AppendTo appends the message data.
func (m *HomeAgentSwitch) AppendTo(b []byte) ([]byte, error) {
	if len(m.Addresses) > 255 {
		return nil, fmt.Errorf("home agent switch: %d addresses, want at most 255", len(m.Addresses))
	}
	start := len(b) - headerLen
	b = append(b, uint8(len(m.Addresses)), 0)
	for _, a := range m.Addresses {
		var err error
		if b, err = appendIPv6(b, a); err != nil {
			return nil, fmt.Errorf("home agent switch: %w", err)
		}
	}
	return appendOptions(b, start, m.Options)
}

// ParseHomeAgentSwitch parses message data. Every error wraps ErrMalformed.
func ParseHomeAgentSwitch(b []byte) (*HomeAgentSwitch, error) {
	if len(b) < 2 {
		return nil, short(TypeHomeAgentSwitch, b)
	}
	n := int(b[0])
	b = b[2:]
	if len(b) < 16*n {
		return nil, fmt.Errorf("home agent switch: %d octets for %d addresses: %w", len(b), n, ErrMalformed)
	}
	m := &HomeAgentSwitch{}
	for range n {
		m.Addresses = append(m.Addresses, netip.AddrFrom16([16]byte(b)))
		b = b[16:]
	}
	var err error
	if m.Options, err = parseOptions(b); err != nil {
		return nil, fmt.Errorf("home agent switch: %w", err)
	}
	return m, nil
}

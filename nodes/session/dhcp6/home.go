package dhcp6

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

// Options of RFC 6610, section 3.
const (
	OptionHomeNetworkID dhcpv6.OptionCode = 49 // of which home network a client asks
	OptionVisited       dhcpv6.OptionCode = 50 // about the home network of the access
	OptionIdentified    dhcpv6.OptionCode = 69 // about the one that was asked for
	OptionUnrestricted  dhcpv6.OptionCode = 70 // about one that the server chooses

	optionHomePrefix  dhcpv6.OptionCode = 71
	optionHomeAgent   dhcpv6.OptionCode = 72
	optionHomeAgentID dhcpv6.OptionCode = 73
)

// wellKnown embeds IPv4 addresses in IPv6 ones: RFC 6052, section 2.1.
var wellKnown = netip.MustParsePrefix("64:ff9b::/96")

// A HomeNetwork is what a server tells of a home network: RFC 6610, section 3.2.
type HomeNetwork struct {
	Identifier string // of an identified one: its FQDN
	Prefixes   []netip.Prefix
	Agents     []netip.Addr // IPv6 and IPv4 addresses of home agents
	Names      []string     // FQDNs of home agents
}

// option is the network as one of OptionVisited, OptionIdentified and
// OptionUnrestricted.
func (h HomeNetwork) option(code dhcpv6.OptionCode) (dhcpv6.Option, error) {
	var inner dhcpv6.Options
	add := func(code dhcpv6.OptionCode, b []byte) {
		inner = append(inner, &dhcpv6.OptionGeneric{OptionCode: code, OptionData: b})
	}
	if code == OptionIdentified {
		name, err := appendName(h.Identifier)
		if err != nil {
			return nil, err
		}
		add(OptionHomeNetworkID, name)
	}
	for _, p := range h.Prefixes {
		if !p.Addr().Is6() {
			return nil, fmt.Errorf("home network prefix %v: want an IPv6 prefix", p)
		}
		add(optionHomePrefix, append([]byte{byte(p.Bits())}, p.Masked().Addr().AsSlice()...))
	}
	for _, a := range h.Agents {
		if a.Is4() {
			b := wellKnown.Addr().As16()
			copy(b[12:], a.AsSlice())
			a = netip.AddrFrom16(b)
		}
		add(optionHomeAgent, a.AsSlice())
	}
	for _, n := range h.Names {
		name, err := appendName(n)
		if err != nil {
			return nil, err
		}
		add(optionHomeAgentID, name)
	}
	return &dhcpv6.OptionGeneric{OptionCode: code, OptionData: inner.ToBytes()}, nil
}

// appendName writes a domain name: RFC 8415, section 10.
func appendName(name string) ([]byte, error) {
	l := &rfc1035label.Labels{Labels: []string{name}}
	b := l.ToBytes()
	if read, err := readName(b); err != nil || read != name {
		return nil, fmt.Errorf("%q is no domain name", name)
	}
	return b, nil
}

func readName(b []byte) (string, error) {
	for at := 0; at < len(b) && b[at] != 0; at += 1 + int(b[at]) {
		if b[at] > 63 {
			return "", fmt.Errorf("a domain name with compression, which it must not have")
		}
	}
	l, err := rfc1035label.FromBytes(b)
	if err != nil {
		return "", err
	}
	if len(l.Labels) != 1 || l.Labels[0] == "" || len(l.Labels[0]) > 253 {
		return "", fmt.Errorf("%d domain names; want one", len(l.Labels))
	}
	return l.Labels[0], nil
}

// HomeNetworks reads what a server tells of home networks, at most most of them.
// What cannot be read is left out.
func HomeNetworks(m *dhcpv6.Message) (all []HomeNetwork) {
	const most = 8
	for _, o := range m.Options.Options {
		code := o.Code()
		if !slices.Contains([]dhcpv6.OptionCode{OptionVisited, OptionIdentified, OptionUnrestricted}, code) || len(all) == most {
			continue
		}
		var inner dhcpv6.Options
		if inner.FromBytes(o.ToBytes()) != nil {
			continue
		}
		var h HomeNetwork
		for _, o := range inner {
			b := o.ToBytes()
			switch o.Code() {
			case OptionHomeNetworkID:
				h.Identifier, _ = readName(b)
			case optionHomePrefix:
				if len(b) == 17 && b[0] <= 128 {
					h.Prefixes = append(h.Prefixes, netip.PrefixFrom(netip.AddrFrom16([16]byte(b[1:])), int(b[0])).Masked())
				}
			case optionHomeAgent:
				if len(b) != 16 {
					continue
				}
				a := netip.AddrFrom16([16]byte(b))
				if wellKnown.Contains(a) {
					a = netip.AddrFrom4([4]byte(b[12:]))
				}
				if !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() {
					h.Agents = append(h.Agents, a)
				}
			case optionHomeAgentID:
				if name, err := readName(b); err == nil {
					h.Names = append(h.Names, name)
				}
			}
		}
		all = append(all, h)
	}
	return all
}

// askedNetwork is the home network that a client asks for by name.
func askedNetwork(m *dhcpv6.Message) string {
	if o := m.GetOneOption(OptionHomeNetworkID); o != nil {
		name, _ := readName(o.ToBytes())
		return name
	}
	return ""
}

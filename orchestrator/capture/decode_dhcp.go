package capture

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"s2clab/nodes/wire/arp"
	"s2clab/nodes/wire/udp"
)

// Ports of DHCP: RFC 2131, section 4.1, and RFC 8415, section 7.2.
const (
	portDHCP4Server = 67
	portDHCP4Client = 68
	portDHCP6Client = 546
	portDHCP6Server = 547
)

// isDHCP says whether a UDP header of a family is of DHCP.
func isDHCP(b []byte, four bool) bool {
	if len(b) < udpLen {
		return false
	}
	to := binary.BigEndian.Uint16(b[2:])
	if four {
		return to == portDHCP4Server || to == portDHCP4Client
	}
	return to == portDHCP6Server || to == portDHCP6Client
}

// dhcp reads a message of DHCP from a UDP datagram.
func dhcp(b []byte, src, dst netip.Addr) Message {
	m := dhcp6Message
	if src.Is4() {
		m = dhcp4Message
	}
	read := m(b[udpLen:])
	if _, err := udp.Parse(b, src, dst); err != nil {
		read.Fields["bad-checksum"] = true
	}
	return read
}

func dhcp4Message(b []byte) Message {
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		return Message{"dhcp-malformed", map[string]any{"malformed": err.Error()}}
	}
	f := map[string]any{"client": m.ClientHWAddr.String(), "id": hex.EncodeToString(m.TransactionID[:])}
	for _, ip := range []net.IP{m.YourIPAddr, m.RequestedIPAddress(), m.ClientIPAddr} {
		if a, ok := netip.AddrFromSlice(ip.To4()); ok && !a.IsUnspecified() {
			f["address"] = a.String()
			break
		}
	}
	if d := m.IPAddressLeaseTime(0); d > 0 {
		f["lifetime"] = d.Seconds()
	}
	if routers := m.Router(); len(routers) > 0 {
		f["router"] = routers[0].String()
	}
	return Message{"dhcp4-" + strings.ToLower(m.MessageType().String()), f}
}

func dhcp6Message(b []byte) Message {
	m, err := dhcpv6.MessageFromBytes(b)
	if err != nil {
		return Message{"dhcp-malformed", map[string]any{"malformed": err.Error()}}
	}
	f := map[string]any{"id": hex.EncodeToString(m.TransactionID[:])}
	if d := m.Options.ClientID(); d != nil {
		f["client"] = hex.EncodeToString(d.ToBytes())
		if ll, ok := d.(*dhcpv6.DUIDLL); ok {
			f["client"] = ll.LinkLayerAddr.String()
		}
	}
	for _, ia := range m.Options.IANA() {
		for _, a := range ia.Options.Addresses() {
			if at, ok := netip.AddrFromSlice(a.IPv6Addr); ok {
				f["address"], f["lifetime"] = at.String(), a.ValidLifetime.Seconds()
			}
		}
	}
	if s := m.Options.Status(); s != nil {
		f["code"] = float64(s.StatusCode)
	}
	return Message{"dhcp6-" + strings.ToLower(m.MessageType.String()), f}
}

// arpMessage reads a packet of address resolution for IPv4.
func arpMessage(b []byte) (Message, bool) {
	p, err := arp.Parse(b)
	if err != nil {
		return Message{}, false
	}
	f := map[string]any{"src": p.Sender.String(), "target": p.Target.String()}
	switch p.Operation {
	case arp.Request:
		if p.Sender.IsUnspecified() {
			f["dad"] = true // RFC 5227, section 2.1.1
		}
		return Message{"arp-request", f}, true
	case arp.Reply:
		f["dst"] = p.Target.String()
		f["target"] = p.Sender.String() // whose link-layer address it tells
		return Message{"arp-reply", f}, true
	}
	return Message{}, false
}

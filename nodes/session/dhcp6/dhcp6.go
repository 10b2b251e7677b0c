// Package dhcp6 is DHCP for IPv6 as pure machines: a server of one link and a
// client on one, RFC 8415 for addresses (IA_NA) and for configuration alone, with
// the options by which a mobile node finds its home agent, RFC 6610.
//
// Messages are read and written by github.com/insomniacslk/dhcp. Which device
// they come and go by, and what the kernel is told of an address, is for the
// machines' owners. Relays and prefix delegation are not here.
package dhcp6

import (
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// Ports of RFC 8415, section 7.2.
const (
	ServerPort = 547
	ClientPort = 546
)

// Servers is the group that clients send to: RFC 8415, section 7.1.
var Servers = netip.MustParseAddr("ff02::1:2")

// mostDUID is how long an identifier may be, with its type: RFC 8415, section 11.1.
const mostDUID = 130

// An Event is for the journal.
type Event struct {
	Name   string
	Fields map[string]any
}

// Send sends a message: a server from its port to a client's, a client from its
// own to a server's.
type Send struct {
	To      netip.AddrPort
	Message *dhcpv6.Message
}

// Received is a message from a client, or, to a client, from a server.
type Received struct {
	From    netip.Addr // its source, link-local
	Message *dhcpv6.Message
}

// Parse reads a message; one of a relay is an error. Whatever the octets are, it
// returns an error at worst.
func Parse(b []byte) (*dhcpv6.Message, error) { return dhcpv6.MessageFromBytes(b) }

// LinkLayerDUID is the identifier of a node by one of its link-layer addresses:
// RFC 8415, section 11.4.
func LinkLayerDUID(mac [6]byte) dhcpv6.DUID {
	return &dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: net.HardwareAddr(mac[:])}
}

func address(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip)
	if !ok || len(ip) != net.IPv6len || a.Is4In6() {
		return netip.Addr{}
	}
	return a
}

func addresses(ips []net.IP) (all []netip.Addr) {
	for _, ip := range ips {
		if a := address(ip); a.IsValid() && !a.IsUnspecified() {
			all = append(all, a)
		}
	}
	return all
}

func ips(all []netip.Addr) (out []net.IP) {
	for _, a := range all {
		out = append(out, net.IP(a.AsSlice()))
	}
	return out
}

func same(a, b dhcpv6.DUID) bool {
	return a != nil && b != nil && string(a.ToBytes()) == string(b.ToBytes())
}

// sound says whether a message names its sender as it must: RFC 8415, section 16.
func sound(d dhcpv6.DUID) bool {
	return d != nil && len(d.ToBytes()) > 2 && len(d.ToBytes()) <= mostDUID
}

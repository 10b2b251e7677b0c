// Package dhcp4 is DHCP for IPv4 as pure machines: a server of one link and a
// client on one, RFC 2131 with the options of RFC 2132.
//
// Messages are read and written by github.com/insomniacslk/dhcp. Which device
// they come and go by, and what the kernel is told of an address, is for the
// machines' owners.
package dhcp4

import (
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Ports of RFC 2131, section 4.1.
const (
	ServerPort = 67
	ClientPort = 68
)

// Everybody is the limited broadcast address.
var Everybody = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// infinite is how a lease time says that the lease has no end: RFC 2131, section
// 3.3.
const infinite = 0xffffffff * time.Second

// An Event is for the journal.
type Event struct {
	Name   string
	Fields map[string]any
}

// Send sends a message: a server from its port to a client's, a client from its
// own to a server's.
type Send struct {
	From    netip.Addr     // of a client; unspecified: it has no address yet (RFC 2131, section 4.1)
	To      netip.AddrPort // Everybody: to all on the link
	Message *dhcpv4.DHCPv4
}

// address is an address of a message; invalid where it has none, or all zeros.
func address(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

func addresses(ips []net.IP) (all []netip.Addr) {
	for _, ip := range ips {
		if a := address(ip); a.IsValid() {
			all = append(all, a)
		}
	}
	return all
}

func ip(a netip.Addr) net.IP { return net.IP(a.AsSlice()) }

func ips(all []netip.Addr) (out []net.IP) {
	for _, a := range all {
		out = append(out, ip(a))
	}
	return out
}

// Parse reads a message. Whatever the octets are, it returns an error at worst.
func Parse(b []byte) (*dhcpv4.DHCPv4, error) { return dhcpv4.FromBytes(b) }

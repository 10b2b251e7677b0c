package host

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"s2clab/nodes/session/dhcp4"
	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/udp"
)

// A DHCPClientPort sends and receives DHCP messages for IPv4 on one device, at the
// port of clients.
//
// Only one goroutine may be in Receive; Send may be called by several.
type DHCPClientPort struct {
	*DHCPPort
	index int
	frame *os.File // a packet socket that hears nothing
}

// DHCP4ClientPort opens the port.
func (h *Host) DHCP4ClientPort(dev string) (*DHCPClientPort, error) {
	index, err := h.Index(dev)
	if err != nil {
		return nil, err
	}
	port, err := h.DHCP4Port(dev, DHCPClient)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		port.Close()
		return nil, fmt.Errorf("device %s: DHCP port: %w", dev, err)
	}
	return &DHCPClientPort{DHCPPort: port, index: index, frame: os.NewFile(uintptr(fd), "dhcp")}, nil
}

// Send sends a message from an address of the device. From the unspecified address,
// which is for who has none yet (RFC 2131, section 4.1), it goes to all nodes of the
// link: the kernel would take an address of another device in its place.
func (p *DHCPClientPort) Send(message []byte, from netip.Addr, to netip.AddrPort) error {
	if !from.IsUnspecified() {
		return p.DHCPPort.Send(message, to)
	}
	datagram, err := udp.Append(nil, &udp.Datagram{Src: dhcp4.ClientPort, Dst: to.Port(), Payload: message}, from, to.Addr())
	if err != nil {
		return err
	}
	b, err := ipv4.Append(nil, &ipv4.Packet{Src: from, Dst: to.Addr(), TTL: 64, Protocol: ipv4.UDP, Payload: datagram})
	if err != nil {
		return err
	}
	at := unix.RawSockaddrLinklayer{Family: unix.AF_PACKET, Protocol: htons(unix.ETH_P_IP), Ifindex: int32(p.index), Halen: 6}
	copy(at.Addr[:], broadcast[:])
	return inDevice(p.dev, sendFrame(p.frame, b, &at))
}

// Close closes the port.
func (p *DHCPClientPort) Close() error { return allOf(p.frame.Close(), p.DHCPPort.Close()) }

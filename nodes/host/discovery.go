package host

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv6"
)

const discoveryHops = 64

// A DiscoveryPort sends and receives messages of home agent address discovery: RFC
// 6275, sections 6.5 and 6.6.
//
// Only one goroutine may be in Receive; Send may be called by several.
type DiscoveryPort struct {
	host     *Host
	in       *os.File
	raw      *os.File
	burst    *burst
	messages []ICMPMessage
}

// DiscoveryPort opens the port, for messages of one type: home agents receive
// requests, mobile nodes replies.
func (h *Host) DiscoveryPort(kind icmp6.Type) (*DiscoveryPort, error) {
	p := &DiscoveryPort{host: h}
	if err := p.open(kind); err != nil {
		p.Close()
		return nil, fmt.Errorf("home agent discovery port: %w", err)
	}
	return p, nil
}

func (p *DiscoveryPort) open(kind icmp6.Type) (err error) {
	if p.in, err = openICMP(kind); err != nil {
		return err
	}
	if p.burst, err = newBurst(p.in, ndBurst, ndPacket, 128); err != nil {
		return err
	}
	p.raw, err = openRaw()
	return err
}

// Anycast takes what is sent to an anycast address, until Close. The device is that
// of the link whose prefix the address has; empty: it is of no link of this node, which
// is a router.
func (p *DiscoveryPort) Anycast(dev string, a netip.Addr) error {
	index := 1 // loopback
	if dev != "" {
		var err error
		if index, err = p.host.Index(dev); err != nil {
			return err
		}
	}
	if err := member(p.in, a, index, unix.IPV6_JOIN_ANYCAST); err != nil {
		return fmt.Errorf("anycast address %v: %w", a, err)
	}
	return nil
}

// Receive waits for messages and returns those that are there. They are valid until
// the next call. It fails with os.ErrClosed after Close.
func (p *DiscoveryPort) Receive() ([]ICMPMessage, error) {
	n, err := p.burst.receive()
	if err != nil {
		return nil, err
	}
	p.messages = p.messages[:0]
	for i := range n {
		m, _ := p.host.icmpMessage(p.burst, i)
		p.messages = append(p.messages, m)
	}
	return p.messages, nil
}

// Send sends a message, with its checksum in place, by a device.
func (p *DiscoveryPort) Send(dev string, src, dst netip.Addr, message []byte) error {
	index, err := p.host.Index(dev)
	if err != nil {
		return err
	}
	packet, err := ipv6.Append(make([]byte, 0, ipv6.HeaderLen+len(message)), &ipv6.Packet{
		Src: src, Dst: dst, HopLimit: discoveryHops, Next: ipv6.ICMPv6, Payload: message,
	})
	if err != nil {
		return err
	}
	var o outgoing
	return inDevice(dev, allOf(o.addWhole(packet, index), o.send(p.raw)))
}

// Close closes the port, and gives up its anycast addresses.
func (p *DiscoveryPort) Close() error {
	for _, f := range []*os.File{p.in, p.raw} {
		if f != nil {
			f.Close()
		}
	}
	return nil
}

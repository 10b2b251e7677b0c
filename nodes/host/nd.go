package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv6"
)

const (
	ndBurst  = 16
	ndPacket = 2048 // octets
	ndHops   = 255  // RFC 4861: nothing else comes from the link itself
)

// An ICMPMessage is an ICMPv6 message that came in with a right checksum.
type ICMPMessage struct {
	Dev      string // that it came in by
	Src, Dst netip.Addr
	Message  []byte // from its type on
}

// An NDMessage is one of neighbour discovery, which had a hop limit of 255.
type NDMessage ICMPMessage

// An NDPort sends and receives Router and Neighbor Solicitations and
// Advertisements and Redirects: RFC 4861. The kernel goes on to answer
// solicitations for its own addresses.
//
// Only one goroutine may be in Receive; Send may be called by several.
type NDPort struct {
	host     *Host
	in       *os.File
	raw      *os.File // to one node
	frames   *os.File // to groups: says what it is told to, from any source
	burst    *burst
	messages []NDMessage
}

// NDPort opens the port on all devices.
func (h *Host) NDPort() (*NDPort, error) {
	p := &NDPort{host: h}
	if err := p.open(); err != nil {
		p.Close()
		return nil, fmt.Errorf("neighbour discovery port: %w", err)
	}
	return p, nil
}

func (p *NDPort) open() error {
	var err error
	if p.in, err = openICMP(icmp6.TypeRouterSolicitation, icmp6.TypeRouterAdvertisement,
		icmp6.TypeNeighborSolicitation, icmp6.TypeNeighborAdvertisement, icmp6.TypeRedirect); err != nil {
		return err
	}
	if p.burst, err = newBurst(p.in, ndBurst, ndPacket, 128); err != nil {
		return err
	}
	if p.raw, err = openRaw(); err != nil {
		return err
	}
	frames, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	p.frames = os.NewFile(uintptr(frames), "frames")
	return nil
}

// openICMP opens a socket that receives ICMPv6 messages of some types, with where
// they went and their hop limits. The kernel has seen to their checksums.
func openICMP(types ...icmp6.Type) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMPV6)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "icmp6")
	var filter unix.ICMPv6Filter // a bit that is set blocks a type
	for i := range filter.Data {
		filter.Data[i] = ^uint32(0)
	}
	for _, kind := range types {
		filter.Data[kind/32] &^= 1 << (kind % 32)
	}
	if err := allOf(
		unix.SetsockoptICMPv6Filter(fd, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &filter),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1),
	); err != nil {
		f.Close()
		return nil, err
	}
	largeBuffer(fd, 1<<20)
	return f, nil
}

// Join listens to a multicast group on a device, such as the solicited-node
// group of an address that is not the node's own. The groups of its own
// addresses, and as a router that of all routers, it hears anyway.
func (p *NDPort) Join(dev string, group netip.Addr) error {
	return p.membership(dev, group, unix.IPV6_JOIN_GROUP)
}

// Leave ends Join.
func (p *NDPort) Leave(dev string, group netip.Addr) error {
	return p.membership(dev, group, unix.IPV6_LEAVE_GROUP)
}

func (p *NDPort) membership(dev string, group netip.Addr, option int) error {
	index, err := p.host.Index(dev)
	if err != nil {
		return err
	}
	if err := member(p.in, group, index, option); !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EADDRNOTAVAIL) { // joined, or left, already
		return inDevice(dev, err)
	}
	return nil
}

// member sets an option of a socket that is about an address on a device.
func member(f *os.File, address netip.Addr, index, option int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	request := unix.IPv6Mreq{Multiaddr: address.As16(), Interface: uint32(index)}
	if control := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IPV6, option, &request)
	}); control != nil {
		return control
	}
	return err
}

// SolicitedNode is the group in which an address is asked for: RFC 4291,
// section 2.7.1.
func SolicitedNode(a netip.Addr) netip.Addr {
	group := [16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff}
	low := a.As16()
	copy(group[13:], low[13:])
	return netip.AddrFrom16(group)
}

// Receive waits for messages and returns those that are there. They are valid
// until the next call. It fails with os.ErrClosed after Close.
func (p *NDPort) Receive() ([]NDMessage, error) {
	for {
		n, err := p.burst.receive()
		if err != nil {
			return nil, err
		}
		p.messages = p.messages[:0]
		for i := range n {
			if m, hops := p.host.icmpMessage(p.burst, i); hops == ndHops && len(m.Message) >= 4 {
				p.messages = append(p.messages, NDMessage(m))
			}
		}
		if len(p.messages) > 0 {
			return p.messages, nil
		}
	}
}

// icmpMessage is message i of a socket that openICMP opened; hops are -1 where they
// are not known.
func (h *Host) icmpMessage(b *burst, i int) (m ICMPMessage, hops int32) {
	m, hops = ICMPMessage{Src: netip.AddrFrom16(b.inet[i].Addr), Message: b.octets(i)}, -1
	b.ancillary(i, func(level, kind int32, value []byte) {
		switch {
		case level != unix.IPPROTO_IPV6:
		case kind == unix.IPV6_PKTINFO && len(value) >= unix.SizeofInet6Pktinfo:
			m.Dst = netip.AddrFrom16([16]byte(value))
			m.Dev = h.Name(int(native.Uint32(value[16:])))
		case kind == unix.IPV6_HOPLIMIT && len(value) >= 4:
			hops = int32(native.Uint32(value))
		}
	})
	return m, hops
}

// Send sends an ICMPv6 message, with its checksum in place, from any source (the
// unspecified one too, to a group) by a device.
func (p *NDPort) Send(dev string, src, dst netip.Addr, message []byte) error {
	index, err := p.host.Index(dev)
	if err != nil {
		return err
	}
	packet, err := ipv6.Append(make([]byte, 0, ipv6.HeaderLen+len(message)), &ipv6.Packet{
		Src: src, Dst: dst, HopLimit: ndHops, Next: ipv6.ICMPv6, Payload: message,
	})
	if err != nil {
		return err
	}
	if !dst.IsMulticast() {
		var o outgoing
		return inDevice(dev, allOf(o.addWhole(packet, index), o.send(p.raw)))
	}
	to := unix.RawSockaddrLinklayer{
		Family: unix.AF_PACKET, Protocol: htons(unix.ETH_P_IPV6), Ifindex: int32(index), Halen: 6,
	}
	group := dst.As16()
	copy(to.Addr[:], append([]byte{0x33, 0x33}, group[12:]...)) // RFC 2464, section 7
	return inDevice(dev, sendFrame(p.frames, packet, &to))
}

// Close closes the port.
func (p *NDPort) Close() error {
	for _, f := range []*os.File{p.in, p.raw, p.frames} {
		if f != nil {
			f.Close()
		}
	}
	return nil
}

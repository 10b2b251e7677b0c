package host

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/ipv6"
)

// encapsulated are the UDP ports by which IP packets come in UDP over IPv4: RFC 5555,
// section 4.1. Binding Updates and what is tunnelled share them; each port's reader
// tells them apart.
type encapsulated struct {
	mu       sync.Mutex
	ports    map[uint16]*udpSocket
	mobility atomic.Pointer[MobilityPort] // takes signalling
	tunnel   atomic.Pointer[Tunnel]       // takes all else
}

// A udpSocket is one of them, at all IPv4 addresses of the node.
type udpSocket struct {
	port  uint16
	file  *os.File
	users int
	rows  bool // datagrams of one size may go in one piece
}

// rowsPass says whether rows of UDP datagrams pass every device of a lab in one piece:
// before Linux 6.2 they had no type in the header that stands before a packet at a TAP
// device or a packet socket, which then drop them.
var rowsPass = sync.OnceValue(func() bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	var major, minor int
	n, _ := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	return n == 2 && (major > 6 || major == 6 && minor >= 2)
})

// useUDP opens a port, or one more time one that is open; leaveUDP ends that.
func (h *Host) useUDP(port uint16) (*udpSocket, error) {
	e := &h.encapsulated
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.ports[port]; s != nil {
		s.users++
		return s, nil
	}
	f, err := openUDP(port)
	if err != nil {
		return nil, fmt.Errorf("UDP port %d: %w", port, err)
	}
	s := &udpSocket{port: port, file: f, users: 1, rows: rowsPass()}
	if e.ports == nil {
		e.ports = map[uint16]*udpSocket{}
	}
	e.ports[port] = s
	go h.readUDP(s)
	return s, nil
}

func (h *Host) leaveUDP(s *udpSocket) {
	if s == nil {
		return
	}
	e := &h.encapsulated
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(e.ports, s.port)
		s.file.Close()
	}
}

func openUDP(port uint16) (*os.File, error) {
	f, err := openUDPSocket("encapsulation", port)
	if err != nil {
		return nil, err
	}
	option(f, func(fd int) error {
		largeBuffer(fd, 8<<20)
		return unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) // rows in one piece, where the kernel gives them
	})
	return f, nil
}

// openUDPSocket opens a socket at a port, 0 for one that the kernel chooses, of all IPv4
// addresses of the node, also of those that it will have.
func openUDPSocket(name string, port uint16) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	for _, option := range []struct{ name, value int }{
		{unix.IP_PKTINFO, 1},
		{unix.IP_RECVTOS, 1},
		{unix.IP_FREEBIND, 1},
		{unix.IP_TTL, tunnelHops},
		{unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_WANT},
	} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, option.name, option.value); err != nil {
			f.Close()
			return nil, err
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(port)}); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readUDP hands what comes to a port to who it is for. It ends with the socket.
func (h *Host) readUDP(s *udpSocket) {
	in, err := newBurst(s.file, 64, ipv6.HeaderLen+largestInner, 96)
	if err != nil {
		return
	}
	defer in.free()
	var d decapsulator
	for {
		n, err := in.receive()
		if err != nil {
			return
		}
		mobility, tunnel := h.encapsulated.mobility.Load(), h.encapsulated.tunnel.Load()
		d.begin(tunnel)
		for i := range n {
			b, o := in.octets(i), in.outer(i)
			for one := range rowOf(b, o) {
				if mobility != nil && mobility.isForUs(one) {
					mobility.give(UDPDatagram{
						Dev: h.Name(o.device), From: o.from, To: netip.AddrPortFrom(o.to, s.port), Packet: slices.Clone(one),
					})
				} else {
					d.take(one, o)
				}
			}
		}
		d.end()
	}
}

// rowOf gives the datagrams that came in one piece: one, or a row.
func rowOf(b []byte, o outerHeader) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := len(b)
			if o.size > 0 {
				n = min(n, o.size)
			}
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// A UDPDatagram is an IPv6 packet that came in UDP over IPv4: RFC 5555, section 4.2.
type UDPDatagram struct {
	Dev      string         // that it came in by
	From, To netip.AddrPort // of the outer headers: From is what a NAT has made of it
	Packet   []byte         // from the IPv6 header on, whole
}

// udpHeld is how many wait for ReceiveUDP; more are dropped, as by a full socket.
const udpHeld = 256

// TakeAnyUDP takes signalling in UDP whatever address it is to, not only one of
// Listen: that is how a mobile node without a home address is told one.
func (p *MobilityPort) TakeAnyUDP(any bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.anyUDP = any
}

// isForUs says whether a packet that came in UDP is signalling: it has a mobility
// header, whatever goes before, and is to an address of Listen.
func (p *MobilityPort) isForUs(b []byte) bool {
	if !isIPv6(b) || b[6] != ipv6.Mobility && b[6] != ipv6.Destination && b[6] != ipv6.Routing {
		return false
	}
	_, dst := addresses(b)
	p.mu.Lock()
	own := p.anyUDP || slices.Contains(p.own, dst)
	p.mu.Unlock()
	if !own {
		return false
	}
	packet, err := ipv6.Parse(b)
	return err == nil && packet.Next == ipv6.Mobility
}

func (p *MobilityPort) give(d UDPDatagram) {
	select {
	case p.udp <- d:
	default:
	}
}

// ListenUDP takes packets in UDP over IPv4 to a port, and keeps the kernel from
// answering them: the home agent's is udp.EncapsulationPort, a mobile node chooses
// its own. Tunnelled packets to the port go to the Tunnel of this Host.
func (p *MobilityPort) ListenUDP(port uint16) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ports[port] != nil {
		return nil
	}
	s, err := p.host.useUDP(port)
	if err != nil {
		return fmt.Errorf("mobility port: %w", err)
	}
	if p.ports == nil {
		p.ports = map[uint16]*udpSocket{}
	}
	p.ports[port] = s
	p.host.encapsulated.mobility.Store(p)
	return nil
}

// IgnoreUDP ends ListenUDP. A tunnel that uses the port keeps it open.
func (p *MobilityPort) IgnoreUDP(port uint16) {
	p.mu.Lock()
	s := p.ports[port]
	delete(p.ports, port)
	p.mu.Unlock()
	p.host.leaveUDP(s)
}

// ReceiveUDP waits for packets that came by UDP and returns those that are there. It
// fails with os.ErrClosed after Close. It may go on beside Receive.
func (p *MobilityPort) ReceiveUDP() ([]UDPDatagram, error) {
	var all []UDPDatagram
	select {
	case d := <-p.udp:
		all = append(all, d)
	case <-p.closed:
		return nil, os.ErrClosed
	}
	for len(all) < mobilityBurst {
		select {
		case d := <-p.udp:
			all = append(all, d)
		default:
			return all, nil
		}
	}
	return all, nil
}

// SendUDP sends whole IPv6 packets in UDP over IPv4, from a port of ListenUDP. An
// empty dev leaves the device to the kernel's rules and routes, an unspecified source
// address that too.
func (p *MobilityPort) SendUDP(dev string, from, to netip.AddrPort, packets ...[]byte) error {
	index, err := p.host.indexOrNone(dev)
	if err != nil {
		return err
	}
	if !from.Addr().Is4() || !to.Addr().Is4() {
		return fmt.Errorf("mobility port: in UDP from %v to %v: want IPv4 addresses", from, to)
	}
	p.mu.Lock()
	s := p.ports[from.Port()]
	p.mu.Unlock()
	if s == nil {
		return fmt.Errorf("mobility port: in UDP from %v: the port is not listened to", from)
	}
	p.sending.Lock()
	defer p.sending.Unlock()
	var errs []error
	for i, b := range packets {
		if len(b) == 0 {
			errs = append(errs, errors.New("mobility port: packet of 0 octets"))
		} else {
			p.batch.add4(b, from.Addr(), to, index, signallingClass(b))
		}
		if p.batch.full() || i == len(packets)-1 {
			if err := p.batch.send(s.file); err != nil {
				errs = append(errs, fmt.Errorf("mobility port: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}

// signallingClass is the DS field of the outer header of an IPv6 packet.
func signallingClass(b []byte) uint8 {
	if len(b) < 2 {
		return 0
	}
	return classOf(b)
}

package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/ipv6"
)

const (
	mobilityBurst  = 64   // packets of one Receive
	mobilityPacket = 2048 // octets; signalling is far shorter
)

// A Datagram is an IPv6 packet that came in.
type Datagram struct {
	Dev    string // that it came in by
	Packet []byte // from the IPv6 header on, whole
}

// A MobilityPort sends and receives the packets of Mobile IPv6 whole, with their
// extension headers: RFC 6275, section 6. It takes them before routing does, as a
// kernel without Mobile IPv6 answers Home Address options and type 2 routing
// headers with ICMPv6 errors; and it keeps the kernel from doing so.
//
// Only one goroutine may be in Receive; Send may be called by several.
type MobilityPort struct {
	host *Host
	in   *os.File
	out  *os.File

	burst     *burst
	datagrams []Datagram

	optimizer atomic.Pointer[Optimizer] // takes packets of applications; nil: nobody does

	udp    chan UDPDatagram
	closed chan struct{}
	once   sync.Once // for closed

	mu     sync.Mutex // of own, anyUDP and ports
	own    []netip.Addr
	anyUDP bool
	ports  map[uint16]*udpSocket

	sending sync.Mutex // of the fields below
	batch   outgoing   // empty between calls
	bound   int        // index of the device that out is bound to; 0: to none
}

// MobilityPort opens the port, for packets to the addresses named here and in
// Listen.
func (h *Host) MobilityPort(own ...netip.Addr) (*MobilityPort, error) {
	if err := h.orderRules(); err != nil {
		return nil, err
	}
	p := &MobilityPort{host: h, datagrams: make([]Datagram, 0, mobilityBurst),
		udp: make(chan UDPDatagram, udpHeld), closed: make(chan struct{})}
	err := p.open()
	for _, a := range own {
		if err == nil {
			err = p.Listen(a)
		}
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("mobility port: %w", err)
	}
	return p, nil
}

// silence keeps in every Parameter Problem that the kernel would send by itself
// (codes 0 to 2; a rule sees type and code of an ICMPv6 message where it sees
// the port of others). Differs from RFC 8200, section 4: a packet with an
// unknown header that is not for Mobile IPv6 is dropped without a word.
var silence = Rule{Priority: prioritySilent, Proto: ipv6.ICMPv6, Blackhole: true, icmp: [2]uint16{4 << 8, 4<<8 | 2}}

// unheard drops the mobility headers that the port has seen, before anything
// else looks at them.
func unheard(a netip.Addr) Rule {
	return Rule{Priority: prioritySilent, To: netip.PrefixFrom(a, a.BitLen()), Proto: ipv6.Mobility, Blackhole: true}
}

func (p *MobilityPort) open() error {
	if err := p.host.AddRule(silence); err != nil {
		return err
	}
	// Without a protocol until the filter is there: nothing else comes in.
	in, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	p.in = os.NewFile(uintptr(in), "mobility in")
	if err := attach(in, mobilityFilter); err != nil {
		return err
	}
	unix.SetsockoptInt(in, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	largeBuffer(in, 4<<20)
	if err := unix.Bind(in, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IPV6)}); err != nil {
		return err
	}
	if p.burst, err = newBurst(p.in, mobilityBurst, mobilityPacket, 0); err != nil {
		return err
	}
	p.out, err = openRaw()
	return err
}

// openRawOf is openRaw for a family. For IPv4 the kernel fills in the identification
// and the header's checksum.
func openRawOf(family int) (*os.File, error) {
	if family == six {
		return openRaw()
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "raw"), nil
}

// openRaw opens a socket that sends whole packets, with any source.
func openRaw() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "raw")
	err = allOf(
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_HDRINCL, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1))
	if err != nil {
		f.Close()
		return nil, err
	}
	largeBuffer(fd, 1<<20)
	return f, nil
}

// mobilityFilter lets IPv6 packets to this host pass whose first header is a
// destination options header, a routing header or a mobility header.
var mobilityFilter = []bpf.Instruction{
	bpf.LoadExtension{Num: bpf.ExtType},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.PACKET_HOST, SkipTrue: 5},
	bpf.LoadAbsolute{Off: 6, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: ipv6.Mobility, SkipTrue: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: ipv6.Destination, SkipTrue: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: ipv6.Routing, SkipTrue: 1},
	bpf.RetConstant{Val: 0xffff},
	bpf.RetConstant{Val: 0},
}

func attach(fd int, program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// Listen takes packets to one more address.
func (p *MobilityPort) Listen(a netip.Addr) error {
	if err := p.host.AddRule(unheard(a)); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.own, a) {
		p.own = append(p.own, a)
	}
	return nil
}

// Ignore ends Listen.
func (p *MobilityPort) Ignore(a netip.Addr) error {
	p.mu.Lock()
	p.own = slices.DeleteFunc(p.own, func(b netip.Addr) bool { return a == b })
	p.mu.Unlock()
	return p.host.RemoveRule(unheard(a))
}

// Receive waits for packets and returns those that are there. They are valid
// until the next call. It fails with os.ErrClosed after Close.
func (p *MobilityPort) Receive() ([]Datagram, error) {
	for {
		n, err := p.burst.receive()
		if err != nil {
			p.burst.free()
			return nil, err
		}
		optimizer := p.optimizer.Load()
		p.datagrams = p.datagrams[:0]
		p.mu.Lock()
		for i := range n {
			b := p.burst.octets(i)
			if len(b) < ipv6.HeaderLen || !slices.Contains(p.own, netip.AddrFrom16([16]byte(b[24:]))) {
				continue
			}
			if optimizer != nil && optimizer.take(b) {
				continue
			}
			p.datagrams = append(p.datagrams, Datagram{Dev: p.host.Name(int(p.burst.names[i].Ifindex)), Packet: b})
		}
		p.mu.Unlock()
		if optimizer != nil {
			optimizer.flush()
		}
		if len(p.datagrams) > 0 {
			return p.datagrams, nil
		}
	}
}

// Send sends whole packets. Device and next hop are what the kernel's rules and
// routes say for their source and destination. All are tried; the errors are of
// those that could not be sent.
func (p *MobilityPort) Send(packets ...[]byte) error { return p.SendOn("", packets...) }

// SendOn sends whole packets by a device, whatever routes there are by others.
func (p *MobilityPort) SendOn(dev string, packets ...[]byte) error {
	index, err := p.host.indexOrNone(dev)
	if err != nil {
		return err
	}
	p.sending.Lock()
	defer p.sending.Unlock()
	if err := p.bind(index); err != nil {
		return fmt.Errorf("mobility port: %w", inDevice(dev, err))
	}
	var errs []error
	for i, b := range packets {
		if err := p.batch.addWhole(b, index); err != nil {
			errs = append(errs, fmt.Errorf("mobility port: %w", err))
		}
		if p.batch.full() || i == len(packets)-1 {
			if err := p.batch.send(p.out); err != nil {
				errs = append(errs, fmt.Errorf("mobility port: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}

// bind lets out send by one device only, or where routes lead where index is 0. A
// socket that is told a device for a packet alone follows a better route by
// another one.
func (p *MobilityPort) bind(index int) error {
	if index == p.bound {
		return nil
	}
	err := option(p.out, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, index)
	})
	if err == nil {
		p.bound = index
	}
	return err
}

// Close closes the port. The kernel stays silent, but for what comes to a UDP port
// that nobody else uses.
func (p *MobilityPort) Close() error {
	p.once.Do(func() { close(p.closed) })
	p.host.encapsulated.mobility.CompareAndSwap(p, nil)
	p.mu.Lock()
	ports := p.ports
	p.ports = nil
	p.mu.Unlock()
	for _, s := range ports {
		p.host.leaveUDP(s)
	}
	for _, f := range []*os.File{p.in, p.out} {
		if f != nil {
			f.Close()
		}
	}
	return nil
}

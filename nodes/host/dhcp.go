package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/nodes/session/dhcp4"
	"s2clab/nodes/session/dhcp6"
)

// A DHCPPort sends and receives DHCP messages of one family on one device, at the
// port of servers or of clients. It works before the device has an address.
//
// Only one goroutine may be in Receive; Send may be called by several.
type DHCPPort struct {
	dev  string
	conn *net.UDPConn
	buf  []byte
}

// A DHCPSide is who a port is for.
type DHCPSide int

// Who a port is for.
const (
	DHCPClient DHCPSide = iota
	DHCPServer
)

// dhcpMessage is the longest message that is read, in octets.
const dhcpMessage = 4096

// DHCP4Port opens a port of DHCP for IPv4: RFC 2131.
func (h *Host) DHCP4Port(dev string, side DHCPSide) (*DHCPPort, error) {
	port := dhcp4.ClientPort
	if side == DHCPServer {
		port = dhcp4.ServerPort
	}
	return h.dhcpPort(dev, unix.AF_INET, func(fd int) error {
		return allOf(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1),
			unix.Bind(fd, &unix.SockaddrInet4{Port: port}),
		)
	})
}

// DHCP6Port opens a port of DHCP for IPv6: RFC 8415.
func (h *Host) DHCP6Port(dev string, side DHCPSide) (*DHCPPort, error) {
	index, err := h.Index(dev)
	if err != nil {
		return nil, err
	}
	port, group := dhcp6.ClientPort, dhcp6.Servers.As16()
	if side == DHCPServer {
		port = dhcp6.ServerPort
	}
	return h.dhcpPort(dev, unix.AF_INET6, func(fd int) error {
		err := allOf(
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1),
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index),
			unix.Bind(fd, &unix.SockaddrInet6{Port: port}),
		)
		if side == DHCPServer {
			err = allOf(err, unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: group, Interface: uint32(index)}))
		}
		return err
	})
}

func (h *Host) dhcpPort(dev string, family int, set func(fd int) error) (*DHCPPort, error) {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("device %s: DHCP port: %w", dev, err)
	}
	f := os.NewFile(uintptr(fd), "dhcp")
	defer f.Close()
	err = allOf(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), // another device's port stands beside it
		unix.BindToDevice(fd, dev),
		set(fd),
	)
	if err != nil {
		return nil, fmt.Errorf("device %s: DHCP port: %w", dev, err)
	}
	conn, err := net.FilePacketConn(f)
	if err != nil {
		return nil, fmt.Errorf("device %s: DHCP port: %w", dev, err)
	}
	return &DHCPPort{dev: dev, conn: conn.(*net.UDPConn), buf: make([]byte, dhcpMessage)}, nil
}

// Receive waits for a message, which is valid until the next call. It fails with
// net.ErrClosed after Close.
func (p *DHCPPort) Receive() (message []byte, from netip.Addr, err error) {
	for {
		n, source, err := p.conn.ReadFromUDPAddrPort(p.buf)
		switch {
		case err == nil:
			return p.buf[:n], source.Addr().Unmap(), nil
		case errors.Is(err, net.ErrClosed):
			return nil, netip.Addr{}, err
		case !errors.Is(err, unix.ENETDOWN) && !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.EHOSTUNREACH):
			return nil, netip.Addr{}, inDevice(p.dev, err)
		}
	}
}

// Send sends a message.
func (p *DHCPPort) Send(message []byte, to netip.AddrPort) error {
	if a := to.Addr(); a.Is6() && (a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast()) {
		to = netip.AddrPortFrom(a.WithZone(p.dev), to.Port())
	}
	_, err := p.conn.WriteToUDPAddrPort(message, to)
	return inDevice(p.dev, err)
}

// Close closes the port.
func (p *DHCPPort) Close() error { return p.conn.Close() }

// AddressServers give addresses and configuration on the links where a node's
// configuration says so.
type AddressServers struct{ all []*addressServer }

// An addressServer is one of them: a machine behind its port.
type addressServer struct {
	link     string
	port     *DHCPPort
	step     func(now time.Time, message []byte, from netip.Addr) ([]dhcpSend, []dhcp4.Event)
	tick     func(now time.Time) []dhcp4.Event
	deadline func() time.Time
}

type dhcpSend struct {
	message []byte
	to      netip.AddrPort
}

// AddressServers opens them.
func (h *Host) AddressServers(cfg *control.Config) (*AddressServers, error) {
	servers := &AddressServers{}
	for _, in := range cfg.Interfaces {
		if in.DHCP4 != nil {
			if err := servers.add4(h, &in); err != nil {
				servers.Close()
				return nil, err
			}
		}
		if in.DHCP6 != nil {
			if err := servers.add6(h, &in); err != nil {
				servers.Close()
				return nil, err
			}
		}
	}
	return servers, nil
}

func (s *AddressServers) add4(h *Host, in *control.Interface) error {
	c := in.DHCP4
	reserved := make(map[string]netip.Addr, len(c.Reserved))
	for _, one := range c.Reserved {
		reserved[one.MAC] = one.Address
	}
	m, err := dhcp4.NewServer(dhcp4.ServerConfig{
		Address: c.Address, Prefix: c.Prefix, First: c.First, Last: c.Last, Router: c.Address, DNS: c.DNS, Domain: c.Domain, MTU: in.MTU, Lease: c.Lease,
		Reserved: reserved,
	})
	if err != nil {
		return inDevice(in.Name, err)
	}
	port, err := h.DHCP4Port(in.Name, DHCPServer)
	if err != nil {
		return err
	}
	split := func(out []dhcp4.ServerOutput) (sends []dhcpSend, events []dhcp4.Event) {
		for _, o := range out {
			switch o := o.(type) {
			case dhcp4.Send:
				sends = append(sends, dhcpSend{o.Message.ToBytes(), o.To})
			case dhcp4.Event:
				events = append(events, o)
			}
		}
		return sends, events
	}
	s.all = append(s.all, &addressServer{
		link: in.Link, port: port, deadline: m.Deadline,
		step: func(now time.Time, message []byte, from netip.Addr) ([]dhcpSend, []dhcp4.Event) {
			parsed, err := dhcp4.Parse(message)
			if err != nil {
				return nil, nil
			}
			return split(m.Step(now, dhcp4.Received{From: from, Message: parsed}))
		},
		tick: func(now time.Time) []dhcp4.Event {
			_, events := split(m.Tick(now))
			return events
		},
	})
	return nil
}

func (s *AddressServers) add6(h *Host, in *control.Interface) error {
	c := in.DHCP6
	mac, err := net.ParseMAC(in.MAC)
	if err != nil || len(mac) != 6 {
		return inDevice(in.Name, fmt.Errorf("hardware address %q: want six octets", in.MAC))
	}
	cfg := dhcp6.ServerConfig{DUID: dhcp6.LinkLayerDUID([6]byte(mac)), Prefix: c.Prefix, First: c.First, Last: c.Last, DNS: c.DNS, Domain: c.Domain, Lease: c.Lease}
	if home := c.Home; home != nil {
		cfg.Home = &dhcp6.HomeNetwork{Identifier: home.Identifier, Prefixes: home.Prefixes, Agents: home.Agents, Names: home.Names}
	}
	m, err := dhcp6.NewServer(cfg)
	if err != nil {
		return inDevice(in.Name, err)
	}
	port, err := h.DHCP6Port(in.Name, DHCPServer)
	if err != nil {
		return err
	}
	split := func(out []dhcp6.ServerOutput) (sends []dhcpSend, events []dhcp4.Event) {
		for _, o := range out {
			switch o := o.(type) {
			case dhcp6.Send:
				sends = append(sends, dhcpSend{o.Message.ToBytes(), o.To})
			case dhcp6.Event:
				events = append(events, dhcp4.Event(o))
			}
		}
		return sends, events
	}
	s.all = append(s.all, &addressServer{
		link: in.Link, port: port, deadline: m.Deadline,
		step: func(now time.Time, message []byte, from netip.Addr) ([]dhcpSend, []dhcp4.Event) {
			parsed, err := dhcp6.Parse(message)
			if err != nil {
				return nil, nil
			}
			return split(m.Step(now, dhcp6.Received{From: from.WithZone(""), Message: parsed}))
		},
		tick: func(now time.Time) []dhcp4.Event {
			_, events := split(m.Tick(now))
			return events
		},
	})
	return nil
}

// Close closes servers that do not run.
func (s *AddressServers) Close() error {
	for _, one := range s.all {
		one.port.Close()
	}
	return nil
}

// Run serves until ctx ends. It tells what happened, from several goroutines.
func (s *AddressServers) Run(ctx context.Context, tell func(name string, fields map[string]any)) error {
	defer s.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, len(s.all))
	for _, one := range s.all {
		go func() { ended <- one.run(ctx, tell) }()
	}
	var errs []error
	for range s.all {
		err := <-ended
		cancel(err)
		errs = append(errs, err)
	}
	<-ctx.Done()
	return allOf(errs...)
}

// dhcpHeard is a message, with its octets.
type dhcpHeard struct {
	message []byte
	from    netip.Addr
}

func (s *addressServer) run(ctx context.Context, tell func(name string, fields map[string]any)) error {
	heard, failed := make(chan dhcpHeard), make(chan error, 1)
	defer context.AfterFunc(ctx, func() { s.port.Close() })()
	go func() {
		for {
			b, from, err := s.port.Receive()
			if err != nil {
				failed <- err
				return
			}
			select {
			case heard <- dhcpHeard{append([]byte(nil), b...), from}:
			case <-ctx.Done():
				return
			}
		}
	}()
	events := func(all []dhcp4.Event) {
		for _, e := range all {
			e.Fields["link"] = s.link
			tell(e.Name, e.Fields)
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Stop()
		if d := s.deadline(); !d.IsZero() {
			timer.Reset(time.Until(d))
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			if ctx.Err() != nil {
				return nil
			}
			return err
		case m := <-heard:
			sends, told := s.step(time.Now(), m.message, m.from)
			for _, out := range sends {
				s.port.Send(out.message, out.to) // the link may have just gone: who asks again is answered again
			}
			events(told)
		case now := <-timer.C:
			events(s.tick(now))
		}
	}
}

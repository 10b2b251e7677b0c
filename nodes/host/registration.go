package host

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
)

const (
	registrationBurst = 64   // datagrams of one Receive
	mostRegistration  = 2048 // octets; what is longer is cut off, and no registration then
)

// A Registration is data of a UDP datagram of Mobile IPv4 that came in.
type Registration struct {
	Dev    string // that it came in by
	From   netip.AddrPort
	To     netip.Addr
	Octets []byte
}

// A RegistrationPort sends and receives the messages of Mobile IPv4 in UDP: RFC 5944,
// section 3.2.
//
// Only one goroutine may be in Receive; Send may be called by several.
type RegistrationPort struct {
	host  *Host
	file  *os.File
	burst *burst
	came  []Registration

	sending sync.Mutex
	batch   outgoing // empty between calls
}

// RegistrationPort opens the port at all IPv4 addresses of the node: 434 for a home
// agent, 0 for one that the kernel chooses.
func (h *Host) RegistrationPort(port uint16) (*RegistrationPort, error) {
	f, err := openUDPSocket("registration", port)
	if err != nil {
		return nil, fmt.Errorf("registration port %d: %w", port, err)
	}
	p := &RegistrationPort{host: h, file: f}
	if p.burst, err = newBurst(f, registrationBurst, mostRegistration, 96); err != nil {
		f.Close()
		return nil, fmt.Errorf("registration port %d: %w", port, err)
	}
	return p, nil
}

// Receive waits for datagrams and returns those that are there. They are valid until
// the next call. It fails with os.ErrClosed after Close.
func (p *RegistrationPort) Receive() ([]Registration, error) {
	n, err := p.burst.receive()
	if err != nil {
		p.burst.free()
		return nil, err
	}
	p.came = p.came[:0]
	for i := range n {
		o := p.burst.outer(i)
		p.came = append(p.came, Registration{Dev: p.host.Name(o.device), From: o.from, To: o.to, Octets: p.burst.octets(i)})
	}
	return p.came, nil
}

// Send sends data from the port at an address of the node, or at one that was. An empty
// dev leaves the device to the kernel's rules and routes; else it leaves by that, whatever
// routes there are by others.
func (p *RegistrationPort) Send(dev string, from netip.Addr, to netip.AddrPort, octets []byte) error {
	index, err := p.host.indexOrNone(dev)
	if err != nil {
		return err
	}
	if !from.Is4() || !to.Addr().Is4() || len(octets) == 0 {
		return fmt.Errorf("registration port: %d octets from %v to %v: want some, and IPv4 addresses", len(octets), from, to)
	}
	p.sending.Lock()
	defer p.sending.Unlock()
	p.batch.add4(octets, from, to, index, 0)
	if err := p.batch.send(p.file); err != nil {
		return fmt.Errorf("registration port: %w", inDevice(dev, err))
	}
	return nil
}

// Close closes the port.
func (p *RegistrationPort) Close() error { return p.file.Close() }

package host

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/session/radpeer"
	"s2clab/nodes/wire/radius"
)

// radiusPatience is how long a datagram may wait for room in its socket.
const radiusPatience = 100 * time.Millisecond

// A RADIUSTransport carries datagrams over UDP for the machines of
// nodes/session/radpeer, and decides nothing.
type RADIUSTransport struct {
	ctx    context.Context
	cancel context.CancelFunc
	inputs chan radpeer.Received
	all    sync.WaitGroup

	mu      sync.Mutex
	sockets []*net.UDPConn
}

// NewRADIUSTransport makes a transport that ends with ctx or Close.
func NewRADIUSTransport(ctx context.Context) *RADIUSTransport {
	ctx, cancel := context.WithCancel(ctx)
	return &RADIUSTransport{ctx: ctx, cancel: cancel, inputs: make(chan radpeer.Received, 256)}
}

// Inputs gives the datagrams that come, for a machine's Received. IPv4 addresses
// are in their own clothes, never in those of IPv6.
func (t *RADIUSTransport) Inputs() <-chan radpeer.Received { return t.inputs }

// Open opens a socket and gives its number, counted from 0, and its address with
// the port that it has. At [::] it is for IPv4 too. What is sent from an
// unspecified address leaves with one that the kernel chooses: a server with
// several addresses opens a socket for each.
func (t *RADIUSTransport) Open(at netip.AddrPort) (socket int, bound netip.AddrPort, err error) {
	network := "udp"
	if at.Addr().Is4() {
		network = "udp4"
	}
	s, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	t.mu.Lock()
	socket = len(t.sockets)
	t.sockets = append(t.sockets, s)
	t.mu.Unlock()
	t.all.Go(func() { t.read(socket, s) })
	return socket, s.LocalAddr().(*net.UDPAddr).AddrPort(), nil
}

func (t *RADIUSTransport) read(socket int, s *net.UDPConn) {
	stop := context.AfterFunc(t.ctx, func() { s.Close() })
	defer stop()
	defer s.Close()
	buf := make([]byte, radius.MostOctets+1) // what is longer is not RADIUS, and its length shows that
	for {
		n, from, err := s.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // of one datagram, or for want of memory
			select {
			case <-time.After(50 * time.Millisecond):
				continue
			case <-t.ctx.Done():
				return
			}
		}
		select {
		case t.inputs <- radpeer.Received{Socket: socket, From: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), Octets: slices.Clone(buf[:n])}:
		case <-t.ctx.Done():
			return
		}
	}
}

// Act sends what a Send says, and does nothing for other outputs. What cannot be
// sent is lost, as on the way it might be.
func (t *RADIUSTransport) Act(o radpeer.Output) {
	send, ok := o.(radpeer.Send)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if send.Socket < 0 || send.Socket >= len(t.sockets) {
		return
	}
	s := t.sockets[send.Socket]
	s.SetWriteDeadline(time.Now().Add(radiusPatience))
	s.WriteToUDPAddrPort(send.Octets, send.To)
}

// Close closes all sockets and returns when nothing of the transport runs.
func (t *RADIUSTransport) Close() {
	t.cancel()
	t.all.Wait()
}

// A RADIUSClient runs a radpeer.Client over UDP. Its methods may be called from
// any goroutine.
type RADIUSClient struct {
	machine *radpeer.Client
	sockets int
	local   netip.Addr
	tell    func(radpeer.Output)
	wake    chan struct{}

	mu    sync.Mutex
	asks  []radpeer.Ask
	ended bool
	last  uint64 // the ID given last
	done  map[uint64]func(radpeer.Outcome)
}

// NewRADIUSClient makes a client that sends from a local address; not valid: from
// one that the kernel chooses. Run starts it. It hands Suspected, Restored and
// Ignored to tell, in the goroutine of Run.
func NewRADIUSClient(o radpeer.ClientOptions, local netip.Addr, tell func(radpeer.Output)) (*RADIUSClient, error) {
	m, err := radpeer.NewClient(o)
	if err != nil {
		return nil, err
	}
	return &RADIUSClient{machine: m, sockets: max(o.Sockets, 1), local: local, tell: tell, wake: make(chan struct{}, 1), done: map[uint64]func(radpeer.Outcome){}}, nil
}

// Ask asks a question, whose ID it gives, and returns at once. What became of it
// is given to done, once, in the goroutine of Run and never inside Ask.
func (c *RADIUSClient) Ask(a radpeer.Ask, done func(radpeer.Outcome)) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		go done(radpeer.Outcome{Reason: "stopped"})
		return
	}
	c.last++
	a.ID = c.last
	c.asks = append(c.asks, a)
	c.done[a.ID] = done
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run opens the sockets and asks until ctx ends. It fails where they cannot be
// opened.
func (c *RADIUSClient) Run(ctx context.Context) error {
	t := NewRADIUSTransport(ctx)
	defer t.Close()
	defer c.stop(t)
	for range c.sockets {
		if err := c.open(t); err != nil {
			return err
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Stop()
		if d := c.machine.Deadline(); !d.IsZero() {
			timer.Reset(time.Until(d))
		}
		select {
		case <-ctx.Done():
			return nil
		case in := <-t.Inputs():
			c.act(t, c.machine.Received(time.Now(), in))
		case <-c.wake:
			c.ask(t)
		case <-timer.C:
			c.act(t, c.machine.Tick(time.Now()))
		}
	}
}

func (c *RADIUSClient) open(t *RADIUSTransport) error {
	if c.local.IsValid() {
		_, _, err := t.Open(netip.AddrPortFrom(c.local, 0))
		return err
	}
	_, _, err := t.Open(netip.AddrPortFrom(netip.IPv6Unspecified(), 0))
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) { // a kernel without IPv6
		_, _, err = t.Open(netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	}
	return err
}

func (c *RADIUSClient) stop(t *RADIUSTransport) {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.ask(t)
	c.act(t, c.machine.Stop())
}

func (c *RADIUSClient) ask(t *RADIUSTransport) {
	c.mu.Lock()
	asks := c.asks
	c.asks = nil
	c.mu.Unlock()
	for _, a := range asks {
		c.act(t, c.machine.Ask(time.Now(), a))
	}
}

func (c *RADIUSClient) act(t *RADIUSTransport, out []radpeer.Output) {
	for _, o := range out {
		switch o := o.(type) {
		case radpeer.Send:
			t.Act(o)
		case radpeer.Done:
			c.mu.Lock()
			done := c.done[o.ID]
			delete(c.done, o.ID)
			c.mu.Unlock()
			done(o.Outcome)
		default:
			c.tell(o)
		}
	}
}

package host

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

// Bounds of what a Diameter connection may cost.
const (
	diameterLongest  = 64 << 10 // octets of one message
	diameterFirst    = 2 << 10  // octets of a connection's buffer, which grows as octets come
	diameterQueue    = 1 << 20  // octets that wait to be written
	diameterSockets  = 512      // at a time, of those that others open
	diameterPatience = 5 * time.Second
	diameterLinger   = time.Second
)

// A DiameterTransport carries whole messages over TCP for the machines of
// nodes/session/diampeer: it opens, accepts, reads, writes and closes, as their
// outputs say, and decides nothing.
type DiameterTransport struct {
	ctx    context.Context
	cancel context.CancelFunc
	inputs chan diampeer.Input
	slots  chan struct{} // taken by accepted connections
	all    sync.WaitGroup

	mu        sync.Mutex
	conns     map[uint64]*diameterConn
	listeners []net.Listener
	accepted  uint64 // how many
}

// acceptedNames is where the names of accepted connections begin; machines that
// connect count from 1. So one transport may serve a diampeer.Server and one
// diampeer.Client: both are given every input, and each knows its own.
const acceptedNames = 1 << 63

// NewDiameterTransport makes a transport that ends with ctx or Close.
func NewDiameterTransport(ctx context.Context) *DiameterTransport {
	ctx, cancel := context.WithCancel(ctx)
	return &DiameterTransport{
		ctx:    ctx,
		cancel: cancel,
		inputs: make(chan diampeer.Input, 256),
		slots:  make(chan struct{}, diameterSockets),
		conns:  map[uint64]*diameterConn{},
	}
}

// Inputs gives what happens on connections, for a machine's Step.
func (t *DiameterTransport) Inputs() <-chan diampeer.Input { return t.inputs }

// tell hands an input to whoever reads Inputs, and gives up when all ends.
func (t *DiameterTransport) tell(in diampeer.Input) {
	select {
	case t.inputs <- in:
	case <-t.ctx.Done():
	}
}

// Listen accepts connections at an address from now on, and gives the address
// with the port that it has.
func (t *DiameterTransport) Listen(at netip.AddrPort) (netip.AddrPort, error) {
	l, err := (&net.ListenConfig{}).Listen(t.ctx, "tcp", at.String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	t.mu.Lock()
	t.listeners = append(t.listeners, l)
	t.mu.Unlock()
	t.all.Go(func() { t.accept(l) })
	return l.Addr().(*net.TCPAddr).AddrPort(), nil
}

func (t *DiameterTransport) accept(l net.Listener) {
	defer l.Close()
	stop := context.AfterFunc(t.ctx, func() { l.Close() })
	defer stop()
	for {
		select {
		case t.slots <- struct{}{}:
		case <-t.ctx.Done():
			return
		}
		socket, err := l.Accept()
		if err != nil {
			<-t.slots
			if t.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, most likely: connections that end free some.
			select {
			case <-time.After(50 * time.Millisecond):
			case <-t.ctx.Done():
			}
			continue
		}
		t.mu.Lock()
		t.accepted++
		c := t.add(acceptedNames + t.accepted)
		t.mu.Unlock()
		c.free = func() { <-t.slots }
		local, remote := ends(socket)
		t.tell(diampeer.Accepted{Conn: c.name, Local: local.Addr(), Remote: remote})
		t.all.Go(func() { c.carry(socket.(*net.TCPConn)) })
	}
}

func ends(s net.Conn) (local, remote netip.AddrPort) {
	return s.LocalAddr().(*net.TCPAddr).AddrPort(), s.RemoteAddr().(*net.TCPAddr).AddrPort()
}

// add makes the connection of that name; mu is held.
func (t *DiameterTransport) add(name uint64) *diameterConn {
	ctx, cancel := context.WithCancel(t.ctx)
	c := &diameterConn{t: t, name: name, ctx: ctx, cancel: cancel, wake: make(chan struct{}, 1), free: func() {}}
	t.conns[name] = c
	return c
}

// Act does what an output says of a connection, and nothing for other outputs.
// It never waits for the network.
func (t *DiameterTransport) Act(o diampeer.Output) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch o := o.(type) {
	case diampeer.Connect:
		c := t.add(o.Conn)
		t.all.Go(func() { c.dial(o.To) })
	case diampeer.Write:
		if c := t.conns[o.Conn]; c != nil {
			c.write(o.Octets)
		}
	case diampeer.Close:
		if c := t.conns[o.Conn]; c != nil {
			delete(t.conns, o.Conn)
			c.close(o.Abort)
		}
	}
}

// Close ends all connections at once and returns when nothing of the transport runs.
func (t *DiameterTransport) Close() {
	t.cancel()
	t.all.Wait()
}

// A diameterConn is one connection, from before it is up until it is gone.
type diameterConn struct {
	t      *DiameterTransport
	name   uint64
	ctx    context.Context // ends when the connection must go at once
	cancel context.CancelFunc
	wake   chan struct{} // the writer has something to do
	free   func()

	mu      sync.Mutex
	queue   [][]byte
	waiting int  // octets in queue
	closing bool // the machine wants no more of it
	full    bool // more waited than may
}

func (c *diameterConn) write(octets []byte) {
	c.mu.Lock()
	if c.waiting+len(octets) > diameterQueue {
		c.full = true // the peer does not read
		c.cancel()
	} else if !c.closing {
		c.queue = append(c.queue, octets)
		c.waiting += len(octets)
	}
	c.mu.Unlock()
	c.signal()
}

func (c *diameterConn) close(abort bool) {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	if abort {
		c.cancel()
	}
	c.signal()
}

func (c *diameterConn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// ended tells the machine, unless it was the one to end the connection.
func (c *diameterConn) ended(reason string) {
	c.mu.Lock()
	if c.full {
		reason = "write-queue-full"
	}
	c.mu.Unlock()
	c.t.mu.Lock()
	known := c.t.conns[c.name] == c
	delete(c.t.conns, c.name)
	c.t.mu.Unlock()
	if known {
		c.t.tell(diampeer.Closed{Conn: c.name, Reason: reason})
	}
}

func (c *diameterConn) dial(to netip.AddrPort) {
	d := net.Dialer{Timeout: diameterPatience, KeepAlive: -1} // the watchdog sees to that
	s, err := d.DialContext(c.ctx, "tcp", to.String())
	if err != nil {
		c.ended(reasonOf(err))
		c.cancel()
		return
	}
	local, _ := ends(s)
	c.t.tell(diampeer.Connected{Conn: c.name, Local: local.Addr()})
	c.carry(s.(*net.TCPConn))
}

// carry reads and writes until either ends.
func (c *diameterConn) carry(s *net.TCPConn) {
	defer c.free()
	defer c.cancel()
	stop := context.AfterFunc(c.ctx, func() {
		s.SetLinger(0) // a reset: RFC 6733, section 2.1
		s.Close()
	})
	var writer sync.WaitGroup
	writer.Go(func() {
		if reason := c.drain(s); reason != "" {
			c.ended(reason)
			c.cancel()
		}
	})
	err := c.read(s)
	c.ended(reasonOf(err))
	if errors.Is(err, diameter.ErrMalformed) {
		c.cancel()
	} else {
		c.close(false) // what is queued may still be wanted at the other end
	}
	writer.Wait()
	if stop() {
		s.Close()
	}
}

// drain writes what is queued. It returns when the connection is to end: with a
// reason if that is not the machine's wish.
func (c *diameterConn) drain(s *net.TCPConn) string {
	for {
		c.mu.Lock()
		queue, closing := c.queue, c.closing
		c.queue, c.waiting = nil, 0
		c.mu.Unlock()
		if len(queue) > 0 {
			s.SetWriteDeadline(time.Now().Add(diameterPatience))
			buffers := net.Buffers(queue)
			if _, err := buffers.WriteTo(s); err != nil {
				return reasonOf(err)
			}
			continue
		}
		if closing {
			// A close with octets unread would be a reset, and might take what
			// we wrote last with it: let the other end finish.
			s.CloseWrite()
			s.SetReadDeadline(time.Now().Add(diameterLinger))
			return ""
		}
		select {
		case <-c.wake:
		case <-c.ctx.Done():
			return ""
		}
	}
}

// read tells every whole message, and what ended the reading.
func (c *diameterConn) read(s *net.TCPConn) error {
	buf := make([]byte, diameterFirst)
	held := 0
	for {
		n, err := s.Read(buf[held:])
		held += n
		rest := buf[:held]
		for {
			size, told, bad := diameter.Length(rest)
			if bad == nil && size > diameterLongest {
				bad = diameter.ErrMalformed
			}
			if bad != nil {
				return bad
			}
			if !told || len(rest) < size {
				break
			}
			c.mu.Lock()
			closing := c.closing
			c.mu.Unlock()
			if !closing {
				c.t.tell(diampeer.Received{Conn: c.name, Octets: slices.Clone(rest[:size]), At: time.Now()})
			}
			rest = rest[size:]
		}
		held = copy(buf, rest)
		if err != nil {
			return err
		}
		if held == len(buf) {
			buf = append(buf, make([]byte, min(len(buf), diameterLongest-len(buf)))...)
		}
	}
}

// reasonOf says in one word why a connection is not.
func reasonOf(err error) string {
	var slow net.Error
	switch {
	case errors.Is(err, io.EOF):
		return "closed"
	case errors.Is(err, diameter.ErrMalformed):
		return "malformed-message"
	case errors.Is(err, unix.ECONNREFUSED):
		return "connection-refused"
	case errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return "reset"
	case errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EADDRNOTAVAIL):
		return "unreachable"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return "time-out"
	}
	return "error"
}

// A DiameterClient runs a diampeer.Client over TCP. Its methods may be called
// from any goroutine.
type DiameterClient struct {
	machine *diampeer.Client
	tell    func(diampeer.Output)
	wake    chan struct{}

	mu      sync.Mutex
	asks    []diameterAsk
	answers []diameterAnswer
	ended   bool
	last    uint64 // the ID given last
	done    map[uint64]func(diampeer.Outcome)
}

type diameterAsk struct {
	id      uint64
	request diampeer.Request
}

type diameterAnswer struct {
	id     uint64
	octets []byte
	final  bool
}

// NewDiameterClient makes a client; Run starts it. It hands Up, Down, Suspected,
// Restored, Rejected, Refused, Ignored and Deliver to tell, in the goroutine of Run.
func NewDiameterClient(o diampeer.ClientOptions, tell func(diampeer.Output)) (*DiameterClient, error) {
	m, err := diampeer.NewClient(o)
	if err != nil {
		return nil, err
	}
	return &DiameterClient{machine: m, tell: tell, wake: make(chan struct{}, 1), done: map[uint64]func(diampeer.Outcome){}}, nil
}

// Ask sends a request and returns at once. What became of it is given to done,
// once, in the goroutine of Run and never inside Ask. What the request may leave
// empty is said at diampeer.Ask.
func (c *DiameterClient) Ask(r diampeer.Request, done func(diampeer.Outcome)) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		go done(diampeer.Outcome{Reason: "stopped"})
		return
	}
	c.last++
	c.asks = append(c.asks, diameterAsk{c.last, r})
	c.done[c.last] = done
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Answer sends the answer to the request that tell was given as a Deliver with
// that ID, now or later; final says that the answer will always be so.
func (c *DiameterClient) Answer(id uint64, octets []byte, final bool) {
	c.mu.Lock()
	c.answers = append(c.answers, diameterAnswer{id, octets, final})
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// farewell is how long Run waits for peers to agree to the end.
const farewell = 300 * time.Millisecond

// Run connects and asks until ctx ends; then it takes leave of its peers, for a
// fraction of a second, and returns.
func (c *DiameterClient) Run(ctx context.Context) {
	t := NewDiameterTransport(context.WithoutCancel(ctx))
	defer t.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	c.act(t, c.machine.Start(time.Now()))
	over := ctx.Done()
	var end <-chan time.Time
	for {
		timer.Stop()
		if d := c.machine.Deadline(); !d.IsZero() {
			timer.Reset(time.Until(d))
		}
		select {
		case <-over:
			over, end = nil, time.After(farewell)
			c.mu.Lock()
			c.ended = true
			c.mu.Unlock()
			c.ask(t)
			c.act(t, c.machine.Step(time.Now(), diampeer.Stop{Cause: diameter.Rebooting}))
		case <-end:
			return
		case in := <-t.Inputs():
			c.act(t, c.machine.Step(time.Now(), in))
		case <-c.wake:
			c.ask(t)
		case <-timer.C:
			c.act(t, c.machine.Tick(time.Now()))
		}
		if end != nil && c.machine.Quiet() {
			return
		}
	}
}

func (c *DiameterClient) ask(t *DiameterTransport) {
	c.mu.Lock()
	asks, answers := c.asks, c.answers
	c.asks, c.answers = nil, nil
	c.mu.Unlock()
	for _, a := range answers {
		c.act(t, c.machine.Answer(time.Now(), a.id, a.octets, a.final))
	}
	for _, a := range asks {
		c.act(t, c.machine.Step(time.Now(), diampeer.Ask{ID: a.id, Request: a.request}))
	}
}

func (c *DiameterClient) act(t *DiameterTransport, out []diampeer.Output) {
	for _, o := range out {
		switch o := o.(type) {
		case diampeer.Connect, diampeer.Write, diampeer.Close:
			t.Act(o)
		case diampeer.Done:
			c.mu.Lock()
			done := c.done[o.ID]
			delete(c.done, o.ID)
			c.mu.Unlock()
			if done != nil {
				done(o.Outcome)
			}
		default:
			c.tell(o)
		}
	}
}

package traffic

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"s2clab/nodes/control"
)

// pattern is what bulk transfers send, again and again: chance, the same at both
// ends. Its length is a prime, so that octets that were lost, doubled or moved do
// not go unseen.
func pattern() []byte {
	b := make([]byte, 65521)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// listen takes the one connection of a flow.
func listen(at netip.AddrPort, f func(*net.TCPConn)) (stop func(), wait func(), err error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return nil, nil, err
	}
	var conn atomic.Pointer[net.TCPConn]
	stop = func() {
		l.Close()
		if c := conn.Load(); c != nil {
			c.Close()
		}
	}
	return stop, func() {
		c, err := l.AcceptTCP()
		if err != nil {
			return
		}
		defer c.Close()
		conn.Store(c)
		f(c)
	}, nil
}

// connect joins a flow's other end: it tries until ctx ends, as an application
// would that wants to.
func connect(ctx context.Context, local netip.Addr, to netip.AddrPort) (*net.TCPConn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0)), Timeout: 5 * time.Second}
	for {
		conn, err := d.DialContext(ctx, "tcp", to.String())
		if err == nil {
			return conn.(*net.TCPConn), nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (a *agent) openBulk(o *control.OpenFlow) error {
	var f *flow
	begun := make(chan struct{})
	stop, wait, err := listen(o.Listen, func(c *net.TCPConn) {
		<-begun
		f.receiveBulk(c)
	})
	if err != nil {
		return err
	}
	f, _, err = a.begin(o.Flow, "flow-bytes")
	if err != nil {
		stop()
		return err
	}
	close(begun)
	f.close = stop
	f.work.Go(wait)
	return nil
}

func (a *agent) startBulk(s *control.StartFlow) error {
	f, ctx, err := a.begin(s.Flow, "flow-bytes")
	if err != nil {
		return err
	}
	f.work.Go(func() {
		conn, err := connect(ctx, s.Local, s.Remote)
		if err != nil {
			f.count(func(c *counts) { c.sendErrors++ })
			return
		}
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
		for b := pattern(); ; {
			n, err := conn.Write(b)
			f.count(func(c *counts) { c.sent += uint64(n) })
			if err != nil {
				return
			}
		}
	})
	return nil
}

// binWidth is how finely what arrived is told.
const binWidth = 10 * time.Millisecond

// receiveBulk counts what arrives, in bins of time, and holds it to the pattern.
func (f *flow) receiveBulk(conn *net.TCPConn) {
	b, want := make([]byte, 256<<10), pattern()
	at := 0 // in the pattern
	begin, octets := control.Now(), int64(0)
	for {
		n, err := conn.Read(b)
		now := control.Now()
		good := true
		for rest := b[:n]; len(rest) > 0; {
			part := min(len(rest), len(want)-at)
			good = good && bytes.Equal(rest[:part], want[at:at+part])
			rest, at = rest[part:], (at+part)%len(want)
		}
		f.count(func(c *counts) {
			if good {
				c.received += uint64(n)
			} else {
				c.corrupted += uint64(n)
			}
		})
		octets += int64(n)
		if octets > 0 && (now-begin >= int64(binWidth) || err != nil) {
			f.samples.add(now, octets)
			begin, octets = now, 0
		}
		if err != nil {
			return
		}
	}
}

package traffic

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"s2clab/nodes/control"
)

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

// openStream makes a flow's far end over TCP: serve has its one connection. The
// context is of the flow's sending.
func (a *agent) openStream(o *control.OpenFlow, event string, serve func(context.Context, *flow, *net.TCPConn)) error {
	var f *flow
	var ctx context.Context
	begun := make(chan struct{})
	stop, wait, err := listen(o.Listen, func(c *net.TCPConn) {
		<-begun
		defer close(f.over)
		f.joined.Store(true)
		serve(ctx, f, c)
	})
	if err != nil {
		return err
	}
	if f, ctx, err = a.begin(o.Flow, event); err != nil {
		stop()
		return err
	}
	close(begun)
	f.close = stop
	f.work.Go(wait)
	return nil
}

// startStream makes a flow's near end over TCP: use has the connection until the
// flow is stopped. The context is of the flow's sending.
func (a *agent) startStream(s *control.StartFlow, event string, use func(context.Context, *flow, *net.TCPConn)) error {
	f, ctx, err := a.begin(s.Flow, event)
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
		defer context.AfterFunc(f.ctx, func() { conn.Close() })()
		defer close(f.over)
		f.joined.Store(true)
		use(ctx, f, conn)
	})
	return nil
}

package traffic

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"s2clab/nodes/control"
)

// A request is its length in octets, 4 of them, then its number, 8; the answer
// is the same octets. The rest is filling.
const (
	requestLeast = 12
	requestMost  = 1 << 20
)

func (a *agent) openRequest(o *control.OpenFlow) error {
	return a.openStream(o, "flow-responses", func(_ context.Context, f *flow, conn *net.TCPConn) { f.answer(conn) })
}

// answer sends back each request.
func (f *flow) answer(conn *net.TCPConn) {
	head := make([]byte, 4)
	for {
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		size := binary.BigEndian.Uint32(head)
		if size < requestLeast || size > requestMost {
			f.count(func(c *counts) { c.corrupted++ })
			return
		}
		b := append(make([]byte, 0, size), head...)
		if _, err := io.ReadFull(conn, b[4:size]); err != nil {
			return
		}
		f.count(func(c *counts) { c.received++ })
		if _, err := conn.Write(b[:size]); err != nil {
			return
		}
		f.count(func(c *counts) { c.sent++ })
	}
}

func (a *agent) startRequest(s *control.StartFlow) error {
	if s.Rate <= 0 || s.Size > requestMost {
		return fmt.Errorf("traffic: flow %q: rate %g, size %d: want more than 0 a second and at most %d octets", s.Flow, s.Rate, s.Size, requestMost)
	}
	return a.startStream(s, "flow-responses", func(ctx context.Context, f *flow, conn *net.TCPConn) { f.ask(ctx, conn, s) })
}

// ask sends requests, each at its time or when the one before was answered,
// whichever is later.
func (f *flow) ask(ctx context.Context, conn *net.TCPConn, s *control.StartFlow) {
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	b, answer := make([]byte, max(s.Size, requestLeast)), make([]byte, max(s.Size, requestLeast))
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	interval := time.Duration(float64(time.Second) / s.Rate)
	next := time.Now()
	for number := uint64(0); ; number++ {
		select {
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
			return
		}
		next = next.Add(interval)
		if now := time.Now(); next.Before(now) {
			next = now
		}
		binary.BigEndian.PutUint64(b[4:], number)
		sent := control.Now()
		if _, err := conn.Write(b); err != nil {
			f.count(func(c *counts) { c.sendErrors++ })
			return
		}
		f.count(func(c *counts) { c.sent++ })
		if _, err := io.ReadFull(conn, answer); err != nil {
			return
		}
		if string(answer) != string(b) {
			f.count(func(c *counts) { c.corrupted++ })
			continue
		}
		f.count(func(c *counts) { c.received++ })
		f.samples.add(int64(number), sent, control.Now())
	}
}

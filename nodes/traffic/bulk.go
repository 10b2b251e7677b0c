package traffic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"s2clab/nodes/control"
)

// patternLen is a prime, so that octets that were lost, doubled or moved do not go
// unseen.
const patternLen = 65521

// pattern is what bulk transfers send, again and again: chance, the same at both
// ends. What stands at an offset of the transfer follows from the offset alone.
func pattern() []byte {
	b := make([]byte, patternLen)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func (a *agent) openBulk(o *control.OpenFlow) error {
	return a.openStream(o, "flow-bytes", func(ctx context.Context, f *flow, conn *net.TCPConn) {
		f.transfer(ctx, conn, transfer{rate: o.Rate, size: o.Size, sends: o.BothWays})
	})
}

func (a *agent) startBulk(s *control.StartFlow) error {
	if s.Size <= 0 || s.Size > patternLen {
		return fmt.Errorf("traffic: flow %q: size %d: want 1 to %d octets", s.Flow, s.Size, patternLen)
	}
	return a.startStream(s, "flow-bytes", func(ctx context.Context, f *flow, conn *net.TCPConn) {
		f.transfer(ctx, conn, transfer{rate: s.Rate, size: s.Size, sends: true})
	})
}

// A transfer is what an end of a bulk flow does.
type transfer struct {
	rate  float64 // writes a second; 0: as fast as TCP goes
	size  int     // octets of each
	sends bool    // this end sends, not only takes
}

// transfer sends until ctx ends, and takes what comes until the other end has sent
// all. It tells of a connection that ends before that.
func (f *flow) transfer(ctx context.Context, conn *net.TCPConn, t transfer) {
	var sending sync.WaitGroup
	sending.Go(func() {
		if !t.sends {
			<-ctx.Done()
		} else if err := f.sendBulk(ctx, conn, t); err != nil && ctx.Err() == nil {
			f.broken(err)
		}
		conn.CloseWrite() // what is still on its way goes before that
	})
	if err := f.receiveBulk(conn); err != nil && !errors.Is(err, net.ErrClosed) {
		f.broken(err)
		conn.Close()
	}
	sending.Wait()
}

// sendBulk writes the pattern until ctx ends.
func (f *flow) sendBulk(ctx context.Context, conn *net.TCPConn, t transfer) error {
	defer context.AfterFunc(ctx, func() { conn.SetWriteDeadline(time.Now()) })()
	twice := append(pattern(), pattern()...)
	if t.rate <= 0 {
		t.size = patternLen
	}
	next := time.Now()
	for at := 0; ; {
		if t.rate > 0 {
			select {
			case <-time.After(time.Until(next)):
			case <-ctx.Done():
				return nil
			}
			// What could not be written in time is not made up for.
			next = next.Add(time.Duration(float64(time.Second) / t.rate))
			if now := time.Now(); next.Before(now) {
				next = now
			}
		}
		n, err := conn.Write(twice[at : at+t.size])
		f.count(func(c *counts) { c.sent += uint64(n) })
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return nil
			}
			return err
		}
		at = (at + n) % patternLen
	}
}

// binWidth is how finely what arrived is told.
const binWidth = 10 * time.Millisecond

// receiveBulk counts what arrives, in bins of time, and holds it to the pattern,
// until the other end has no more.
func (f *flow) receiveBulk(conn *net.TCPConn) error {
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
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

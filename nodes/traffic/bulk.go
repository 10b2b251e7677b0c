package traffic

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
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

func (a *agent) openBulk(o *control.OpenFlow) error {
	return a.openStream(o, "flow-bytes", (*flow).receiveBulk)
}

func (a *agent) startBulk(s *control.StartFlow) error {
	return a.startStream(s, "flow-bytes", func(ctx context.Context, f *flow, conn *net.TCPConn) {
		for b := pattern(); ; {
			n, err := conn.Write(b)
			f.count(func(c *counts) { c.sent += uint64(n) })
			if err != nil {
				return
			}
		}
	})
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

package host

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// BenchmarkTunnelAgainstForwarding is one TCP stream from the mobile node to its
// correspondent: by each engine's tunnel through the home agent and, in turns with
// them, by plain forwarding through the same node.
func BenchmarkTunnelAgainstForwarding(b *testing.B) {
	streams := map[string]*stream{}
	for _, how := range append([]string{"plain"}, engines...) {
		if how == "plain" {
			w := newWorld(b)
			w.mobile.route("default", "2001:db8:200::1", "wlan")
			streams[how] = newStream(b, w)
		} else {
			streams[how] = newStream(b, bound(b, how))
		}
	}
	rates, ratios := map[string][]float64{}, map[string][]float64{}
	for range 9 {
		plain := streams["plain"].rate()
		rates["plain"] = append(rates["plain"], plain)
		for _, how := range engines {
			r := streams[how].rate()
			rates[how], ratios[how] = append(rates[how], r), append(ratios[how], r/plain)
		}
	}
	b.ReportMetric(0, "ns/op")
	for how, r := range rates {
		b.ReportMetric(middle(r)*8/1e9, how+"-Gbit/s")
	}
	for how, r := range ratios {
		b.ReportMetric(middle(r), how+"/plain")
	}
}

func middle(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// A stream is a listener at a world's peer, and the node that sends to it.
type stream struct {
	testing.TB
	world    *world
	listener net.Listener
}

func newStream(b *testing.B, w *world) *stream {
	s := &stream{TB: b, world: w}
	w.peer.in(func() (err error) {
		s.listener, err = net.Listen("tcp6", netip.AddrPortFrom(peer, 5001).String())
		return err
	})
	b.Cleanup(func() { s.listener.Close() })
	return s
}

// rate is how many octets a second come through a connection made for it, once it
// is up to speed.
func (s *stream) rate() float64 {
	const warm, slice = 100 * time.Millisecond, 300 * time.Millisecond
	c := s.world.mobile.dial("tcp6", netip.AddrPortFrom(peer, 5001))
	in, err := s.listener.Accept()
	if err != nil {
		s.Fatal(err)
	}
	defer in.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer c.Close()
		out := make([]byte, 256<<10)
		for {
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 256<<10)
	count := func(d time.Duration) (n int64, took float64) {
		began := time.Now()
		for time.Since(began) < d {
			got, err := in.Read(buf)
			if err != nil && err != io.EOF {
				s.Fatal(err)
			}
			n += int64(got)
		}
		return n, time.Since(began).Seconds()
	}
	count(warm)
	n, took := count(slice)
	in.Close()
	<-ended
	return float64(n) / took
}

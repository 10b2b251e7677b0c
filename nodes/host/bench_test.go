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
// correspondent: by each engine's tunnel through the home agent, with each inner
// family in each outer header, and, in turns with them, by plain forwarding of the
// same family through the same node.
func BenchmarkTunnelAgainstForwarding(b *testing.B) {
	type way struct {
		name, reference string
		stream          *stream
	}
	var ways []way
	plain := [2]*stream{}
	for family, i := range insides {
		w := newDualWorld(b)
		w.mobile.route("default", "2001:db8:200::1", "wlan")
		w.mobile.route("0.0.0.0/0", "203.0.113.1", "wlan")
		w.peer.route("203.0.113.0/24", "192.0.2.129", "cn")
		plain[family] = newStream(b, w, i.peer)
	}
	for _, engine := range engines {
		ways = append(ways, way{engine, "plain", newStream(b, bound(b, engine), peer)})
	}
	names := map[string]string{"IPv6": "6", "IPv4": "4", "UDP": "UDP4"}
	for _, o := range outsides {
		for family, i := range insides {
			if o.name != "IPv6" || i.name != "IPv6" { // which is user
				ways = append(ways, way{names[i.name] + "in" + names[o.name], [...]string{six: "plain", four: "plain4"}[family], newStream(b, dualBound(b, "user", o), i.peer)})
			}
		}
	}
	rates, ratios := map[string][]float64{}, map[string][]float64{}
	for range 9 {
		now := map[string]float64{"plain": plain[six].rate(), "plain4": plain[four].rate()}
		for _, w := range ways {
			now[w.name] = w.stream.rate()
			name := w.name + "/" + w.reference
			ratios[name] = append(ratios[name], now[w.name]/now[w.reference])
		}
		for name, rate := range now {
			rates[name] = append(rates[name], rate)
		}
	}
	b.ReportMetric(0, "ns/op")
	for how, r := range rates {
		b.ReportMetric(middle(r)*8/1e9, how+"-Gbit/s")
	}
	for how, r := range ratios {
		b.ReportMetric(middle(r), how)
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
	peer     netip.Addr
	listener net.Listener
}

func newStream(b *testing.B, w *world, peer netip.Addr) *stream {
	s := &stream{TB: b, world: w, peer: peer}
	w.peer.in(func() (err error) {
		s.listener, err = net.Listen("tcp", netip.AddrPortFrom(peer, 5001).String())
		return err
	})
	b.Cleanup(func() { s.listener.Close() })
	return s
}

// rate is how many octets a second come through a connection made for it, once it
// is up to speed.
func (s *stream) rate() float64 {
	const warm, slice = 100 * time.Millisecond, 300 * time.Millisecond
	c := s.world.mobile.dial("tcp", netip.AddrPortFrom(s.peer, 5001))
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

package link

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"s2clab/nodes/netns"
	"s2clab/topologies"
)

// The benchmarks measure a link and a plain veth pair in turns, in one run, and
// report the ratio.

// vethHosts joins two hosts by a plain veth pair.
func vethHosts(tb testing.TB) []*host {
	hosts := makeHosts(tb, "a", "b")
	var far int
	if err := hosts[1].space.Do(func() (err error) {
		far, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	}); err != nil {
		tb.Fatal(err)
	}
	defer unix.Close(far)
	var b netns.Batch
	b.AddVeth(netns.PortConfig{Name: "link", Index: device, MAC: [6]byte{2, 0, 0, 0, 0, 1}, MTU: 1500},
		netns.PortConfig{Name: "link", Index: device, MAC: [6]byte{2, 0, 0, 0, 0, 2}, MTU: 1500}, far)
	if err := hosts[0].space.Configure(&b); err != nil {
		tb.Fatal(err)
	}
	for _, h := range hosts {
		var up netns.Batch
		up.SetUp(device)
		if err := h.space.Configure(&up); err != nil {
			tb.Fatal(err)
		}
		h.address(tb)
	}
	return hosts
}

const slice = 300 * time.Millisecond // one measurement
const rounds = 7

// tcp gives octets a second from one host to another.
func tcp(tb testing.TB, from, to *host, listener int) float64 {
	sender := -1
	err := from.space.Do(func() (err error) {
		if sender, err = unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Connect(sender, to.dest())
	})
	if err != nil {
		tb.Fatal(err)
	}
	defer unix.Close(sender)
	receiver, _, err := unix.Accept(listener)
	if err != nil {
		tb.Fatal(err)
	}
	defer unix.Close(receiver)
	var stop atomic.Bool
	go func() {
		runtime.LockOSThread()
		buf := make([]byte, 256<<10)
		for !stop.Load() {
			if _, err := unix.Write(sender, buf); err != nil {
				return
			}
		}
		unix.Shutdown(sender, unix.SHUT_WR)
	}()
	buf := make([]byte, 1<<20)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var got int
	warm := time.Now().Add(slice / 3)
	for time.Now().Before(warm) {
		unix.Read(receiver, buf)
	}
	began := time.Now()
	for time.Since(began) < slice {
		n, err := unix.Read(receiver, buf)
		if n <= 0 || err != nil {
			tb.Fatalf("read: %d, %v", n, err)
		}
		got += n
	}
	rate := float64(got) / time.Since(began).Seconds()
	stop.Store(true)
	for {
		if n, err := unix.Read(receiver, buf); n <= 0 || err != nil {
			return rate
		}
	}
}

// datagrams gives datagrams a second that arrive, of 64 octets each.
func datagrams(tb testing.TB, from, to int, dest *unix.SockaddrInet6) float64 {
	var stop atomic.Bool
	done := make(chan int)
	go func() {
		runtime.LockOSThread()
		buf := make([]byte, 64)
		sent := 0
		for !stop.Load() {
			if unix.Sendto(from, buf, 0, dest) == nil {
				sent++
			}
		}
		done <- sent
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	got := 0
	buf := make([]byte, 2048)
	began := time.Now()
	for time.Since(began) < slice {
		if _, err := unix.Read(to, buf); err != nil {
			tb.Fatalf("read: %v", err)
		}
		got++
	}
	rate := float64(got) / time.Since(began).Seconds()
	stop.Store(true)
	<-done
	for {
		if n, _, err := unix.Recvfrom(to, buf, unix.MSG_DONTWAIT); n <= 0 || err != nil {
			return rate
		}
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// observers are those that a throughput is measured with.
var observers = map[string]func(testing.TB) Observer{
	"": func(testing.TB) Observer { return nil },
}

func listen(tb testing.TB, h *host) int {
	fd := h.socket(tb, unix.SOCK_STREAM)
	if err := unix.Listen(fd, 4); err != nil {
		tb.Fatal(err)
	}
	return fd
}

func BenchmarkTCPAgainstVeth(b *testing.B) {
	plain := vethHosts(b)
	ours := makeHosts(b, "ue", "gw")
	engine, _ := joinHosts(b, Options{}, ours, topologies.Impairment{})
	pl, ol := listen(b, plain[1]), listen(b, ours[1])
	var reference, relay, ratio []float64
	for range rounds {
		p := tcp(b, plain[0], plain[1], pl)
		o := tcp(b, ours[0], ours[1], ol)
		reference, relay, ratio = append(reference, p), append(relay, o), append(ratio, o/p)
	}
	b.ReportMetric(median(reference)*8/1e9, "veth-Gbit/s")
	b.ReportMetric(median(relay)*8/1e9, "relay-Gbit/s")
	b.ReportMetric(median(ratio), "ratio")
	b.Log(engine.Loops()[0].RealTime)
}

func BenchmarkDatagramsAgainstVeth(b *testing.B) {
	plain := vethHosts(b)
	ours := makeHosts(b, "ue", "gw")
	joinHosts(b, Options{}, ours, topologies.Impairment{})
	pa, pb := plain[0].socket(b, unix.SOCK_DGRAM), plain[1].socket(b, unix.SOCK_DGRAM)
	oa, ob := ours[0].socket(b, unix.SOCK_DGRAM), ours[1].socket(b, unix.SOCK_DGRAM)
	var reference, relay, ratio []float64
	for range rounds {
		p := datagrams(b, pa, pb, plain[1].dest())
		o := datagrams(b, oa, ob, ours[1].dest())
		reference, relay, ratio = append(reference, p), append(relay, o), append(ratio, o/p)
	}
	b.ReportMetric(median(reference)/1e3, "veth-k/s")
	b.ReportMetric(median(relay)/1e3, "relay-k/s")
	b.ReportMetric(median(ratio), "ratio")
}

func BenchmarkDelayError(b *testing.B) {
	for _, delay := range []time.Duration{time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond} {
		b.Run(fmt.Sprint(delay), func(b *testing.B) {
			hosts := makeHosts(b, "ue", "gw")
			_, made := joinHosts(b, Options{}, hosts, topologies.Impairment{Delay: delay})
			from, to := hosts[0].socket(b, unix.SOCK_DGRAM), hosts[1].socket(b, unix.SOCK_DGRAM)
			roundTrip(b, from, to, hosts[1].dest())
			unix.SetsockoptInt(to, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
			var errs []float64
			for range int(2 * time.Second / delay / 4) {
				errs = append(errs, float64(oneWay(b, from, to, hosts[1].dest())-delay)/1e3)
				time.Sleep(delay/2 + 500*time.Microsecond)
			}
			slices.Sort(errs)
			b.ReportMetric(errs[len(errs)/2], "median-µs")
			b.ReportMetric(errs[len(errs)*99/100], "p99-µs")
			b.ReportMetric(float64(made.Late("ue").P50)/1e3, "own-p50-µs")
			b.ReportMetric(float64(made.Late("ue").P99)/1e3, "own-p99-µs")
		})
	}
}

// oneWay is how long a datagram takes, up to when the receiver's kernel has it.
func oneWay(tb testing.TB, from, to int, dest *unix.SockaddrInet6) time.Duration {
	buf, control := make([]byte, 256), make([]byte, 256)
	sent := time.Now()
	if err := unix.Sendto(from, buf[:100], 0, dest); err != nil {
		tb.Fatal(err)
	}
	_, n, _, _, err := unix.Recvmsg(to, buf, control, 0)
	if err != nil {
		tb.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) == 0 {
		tb.Fatalf("no time of receipt: %v", err)
	}
	d := messages[0].Data
	at := time.Unix(int64(*(*uint64)(ptr(d))), int64(*(*uint64)(ptr(d[8:]))))
	return at.Sub(time.Unix(0, sent.UnixNano()))
}

func ptr(b []byte) unsafe.Pointer { return unsafe.Pointer(&b[0]) }

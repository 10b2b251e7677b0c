package link_test

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"s2clab/nodes/netns"
	"s2clab/orchestrator/capture"
	"s2clab/orchestrator/link"
	"s2clab/topologies"
)

// The benchmarks measure a link and a plain veth pair in turns, in one run, and
// report the ratio.

// vethHosts joins two hosts by a plain veth pair.
func vethHosts(tb testing.TB) []*host {
	hosts := makeHosts(tb, "a", "b")
	far, err := hosts[1].space.Handle()
	if err != nil {
		tb.Fatal(err)
	}
	defer far.Close()
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

// What else runs on the machine shifts a single measurement by half, and one
// thread waking another by as much: many short ones in turns tell more than few
// long ones.
const (
	slice  = 150 * time.Millisecond // one measurement
	rounds = 24
)

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
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			tb.Fatalf("read: %d, %v", n, err)
		}
		got += n
	}
	rate := float64(got) / time.Since(began).Seconds()
	stop.Store(true)
	for {
		if n, err := unix.Read(receiver, buf); (n <= 0 || err != nil) && err != unix.EINTR {
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
		switch _, err := unix.Read(to, buf); err {
		case nil:
			got++
		case unix.EINTR:
		default:
			tb.Fatalf("read: %v", err)
		}
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

// against measures the same over a veth pair, a link, and a link whose frames are
// all captured to a file, in turns.
func against(b *testing.B, unit string, scale float64, measure func(from, to *host) float64) {
	plain := vethHosts(b)
	bare, watched := makeHosts(b, "ue", "gw"), makeHosts(b, "ue", "gw")
	joinHosts(b, link.Options{}, bare, topologies.Impairment{})
	recorder, err := capture.New(capture.Options{File: filepath.Join(b.TempDir(), "capture.pcapng")})
	if err != nil {
		b.Fatal(err)
	}
	engine, _ := joinHosts(b, link.Options{Observer: recorder}, watched, topologies.Impairment{})
	var reference, relay, ratio, captured, cost []float64
	for i := range rounds {
		p := measure(plain[0], plain[1])
		var o, c float64
		if i%2 == 0 {
			o, c = measure(bare[0], bare[1]), measure(watched[0], watched[1])
		} else { // whoever comes second may find the machine warmer
			c, o = measure(watched[0], watched[1]), measure(bare[0], bare[1])
		}
		reference, relay, captured = append(reference, p), append(relay, o), append(captured, c)
		ratio, cost = append(ratio, o/p), append(cost, c/o)
	}
	engine.Close()
	if err := recorder.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(reference)/scale, "veth-"+unit)
	b.ReportMetric(median(relay)/scale, "link-"+unit)
	b.ReportMetric(median(captured)/scale, "captured-"+unit)
	b.ReportMetric(median(ratio), "link/veth")
	b.ReportMetric(median(cost), "captured/link")
	b.ReportMetric(float64(recorder.Stats().Lost), "lost")
	b.Logf("%+v", recorder.Stats())
}

func BenchmarkTCPAgainstVeth(b *testing.B) {
	listeners := map[*host]int{}
	against(b, "Gbit/s", 1e9/8, func(from, to *host) float64 {
		if _, there := listeners[to]; !there {
			listeners[to] = to.socket(b, unix.SOCK_STREAM)
			if err := unix.Listen(listeners[to], 4); err != nil {
				b.Fatal(err)
			}
		}
		return tcp(b, from, to, listeners[to])
	})
}

func BenchmarkDatagramsAgainstVeth(b *testing.B) {
	sockets := map[*host]int{}
	socket := func(h *host) int {
		if _, there := sockets[h]; !there {
			sockets[h] = h.socket(b, unix.SOCK_DGRAM)
		}
		return sockets[h]
	}
	against(b, "k/s", 1e3, func(from, to *host) float64 {
		return datagrams(b, socket(from), socket(to), to.dest())
	})
}

// BenchmarkDelayError is how far from its delay a frame arrives, and how late a Go
// timer of the same length is meanwhile. Of two runs one has no real-time priority.
func BenchmarkDelayError(b *testing.B) {
	for _, delay := range []time.Duration{time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond} {
		b.Run(fmt.Sprint(delay), func(b *testing.B) {
			b.Run("real-time", func(b *testing.B) { delayError(b, delay, link.Options{}) })
			b.Run("ordinary priority", func(b *testing.B) { delayError(b, delay, link.Options{Normal: true}) })
		})
	}
}

const (
	delayed      = 500 // frames, so that a 99th percentile means something
	betweenSends = 4 * time.Millisecond
)

func delayError(b *testing.B, delay time.Duration, o link.Options) {
	hosts := makeHosts(b, "ue", "gw")
	engine, made := joinHosts(b, o, hosts, topologies.Impairment{Delay: delay})
	for _, l := range engine.Loops() {
		if !o.Normal && !l.RealTime {
			b.Skipf("no real-time priority here: %s", l.Why)
		}
	}
	from, to := hosts[0].socket(b, unix.SOCK_DGRAM), hosts[1].socket(b, unix.SOCK_DGRAM)
	roundTrip(b, from, to, hosts[1].dest())
	unix.SetsockoptInt(to, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)

	var timers sync.WaitGroup
	var mu sync.Mutex
	var late []float64
	for i := range max(1, int(delay/betweenSends)) {
		timers.Go(func() {
			time.Sleep(time.Duration(i) * betweenSends)
			for range delayed * int(betweenSends) / int(max(delay, betweenSends)) {
				began := time.Now()
				time.Sleep(delay)
				l := float64(time.Since(began)-delay) / 1e3
				mu.Lock()
				late = append(late, l)
				mu.Unlock()
				time.Sleep(betweenSends - min(delay, betweenSends))
			}
		})
	}
	sent := make([]time.Time, delayed)
	timers.Go(func() {
		for i := range sent {
			sent[i] = time.Now()
			if err := unix.Sendto(from, binary.BigEndian.AppendUint16(make([]byte, 98), uint16(i)), 0, hosts[1].dest()); err != nil {
				b.Error(err)
			}
			time.Sleep(betweenSends)
		}
	})
	var errs []float64
	for range sent {
		i, at := arrival(b, to)
		errs = append(errs, max(0, float64(at.Sub(sent[i].Round(0))-delay)/1e3))
	}
	timers.Wait()
	slices.Sort(errs)
	slices.Sort(late)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(errs[len(errs)/2], "median-µs")
	b.ReportMetric(errs[len(errs)*99/100], "p99-µs")
	b.ReportMetric(late[len(late)/2], "timer-median-µs")
	b.ReportMetric(late[len(late)*99/100], "timer-p99-µs")
	b.ReportMetric(float64(made.Late("ue").P50)/1e3, "own-p50-µs")
	b.ReportMetric(float64(made.Late("ue").P99)/1e3, "own-p99-µs")
}

// arrival says which datagram came next, and when the receiver's kernel had it.
func arrival(tb testing.TB, to int) (int, time.Time) {
	buf, control := make([]byte, 256), make([]byte, 256)
	for {
		_, n, _, _, err := unix.Recvmsg(to, buf, control, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			tb.Fatal(err)
		}
		messages, err := unix.ParseSocketControlMessage(control[:n])
		if err != nil || len(messages) == 0 {
			tb.Fatalf("no time of receipt: %v", err)
		}
		d := messages[0].Data
		return int(binary.BigEndian.Uint16(buf[98:])), time.Unix(int64(*(*uint64)(ptr(d))), int64(*(*uint64)(ptr(d[8:]))))
	}
}

func ptr(b []byte) unsafe.Pointer { return unsafe.Pointer(&b[0]) }

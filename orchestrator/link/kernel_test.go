package link_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"s2clab/nodes/netns"
	"s2clab/nodes/netns/netnstest"
	"s2clab/orchestrator/link"
	"s2clab/orchestrator/link/linktest"
	"s2clab/topologies"
)

// The main thread must never live in a Space, and the loops want processors to
// return to.
func init() {
	runtime.LockOSThread()
	runtime.GOMAXPROCS(link.Processors())
}

const device = 2 // index of each node's device

// A host is a node with one device and one address.
type host struct {
	name  string
	space *netns.Space
	port  *netns.Port
	addr  netip.Addr
}

// makeHosts gives hosts with a port each. Their addresses have known neighbours.
func makeHosts(tb testing.TB, names ...string) []*host {
	tb.Helper()
	var all []*host
	for i, name := range names {
		s, err := netns.New(name, "")
		if errors.Is(err, unix.EPERM) {
			netnstest.Lacking(tb, "netns", err)
		}
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(s.Close)
		all = append(all, &host{name: name, space: s, addr: netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i+1))})
	}
	return all
}

// ports counts the ports that were made: an address is one port's only.
var ports atomic.Uint32

func (h *host) openPort(tb testing.TB) {
	tb.Helper()
	n := ports.Add(1)
	p, err := h.space.OpenPort(netns.PortConfig{Name: "link", Index: device, MAC: [6]byte{2, 0, 0, 0, byte(n >> 8), byte(n)}, MTU: 1500})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Close)
	h.port = p
	h.address(tb)
}

func (h *host) address(tb testing.TB) {
	tb.Helper()
	var b netns.Batch
	b.AddAddress(device, netip.PrefixFrom(h.addr, 64))
	if err := h.space.Configure(&b); err != nil {
		tb.Fatal(err)
	}
}

// socket makes a socket in the host, bound to port 9 of its address.
func (h *host) socket(tb testing.TB, kind int) int {
	tb.Helper()
	fd := -1
	err := h.space.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET6, kind|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5})
		return unix.Bind(fd, &unix.SockaddrInet6{Port: 9, Addr: h.addr.As16()})
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unix.Close(fd) })
	return fd
}

func (h *host) dest() *unix.SockaddrInet6 { return &unix.SockaddrInet6{Port: 9, Addr: h.addr.As16()} }

// joinHosts joins hosts by a link on which all are attached.
func joinHosts(tb testing.TB, o link.Options, hosts []*host, i topologies.Impairment) (link.Engine, link.Link) {
	tb.Helper()
	engine, err := link.NewEngine(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(engine.Close)
	cfg := link.Config{Name: "wlan", From: map[string]topologies.Impairment{}}
	for _, h := range hosts {
		h.openPort(tb)
		cfg.Ends = append(cfg.Ends, link.End{Node: h.name, Port: h.port})
		cfg.From[h.name] = i
	}
	made, err := engine.Join(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	for _, h := range hosts {
		if err := made.Attach(h.name); err != nil {
			tb.Fatal(err)
		}
	}
	return engine, made
}

// roundTrip sends a datagram and waits for its echo.
func roundTrip(tb testing.TB, from, to int, dest *unix.SockaddrInet6) time.Duration {
	tb.Helper()
	buf := make([]byte, 2048)
	began := time.Now()
	if err := unix.Sendto(from, buf[:100], 0, dest); err != nil {
		tb.Fatal(err)
	}
	n, source, err := unix.Recvfrom(to, buf, 0)
	if err != nil {
		tb.Fatalf("the datagram did not come: %v", err)
	}
	if err := unix.Sendto(to, buf[:n], 0, source); err != nil {
		tb.Fatal(err)
	}
	if _, _, err := unix.Recvfrom(from, buf, 0); err != nil {
		tb.Fatalf("the answer did not come: %v", err)
	}
	return time.Since(began)
}

func TestALinkDelaysWhatItCarriesBothWays(t *testing.T) {
	hosts := makeHosts(t, "ue", "gw")
	const delay = 20 * time.Millisecond
	_, made := joinHosts(t, link.Options{}, hosts, topologies.Impairment{Delay: delay})
	a, b := hosts[0].socket(t, unix.SOCK_DGRAM), hosts[1].socket(t, unix.SOCK_DGRAM)
	roundTrip(t, a, b, hosts[1].dest()) // neighbours are found
	if took := roundTrip(t, a, b, hosts[1].dest()); took < 2*delay {
		t.Errorf("there and back took %v, want no less than %v", took, 2*delay)
	}
	if late := made.Late("ue"); late.Frames == 0 {
		t.Error("lateness was not measured")
	}
	if c := made.Counters("ue"); c.Sent == 0 || c.Arrived == 0 {
		t.Errorf("counters: %+v", c)
	}
}

func TestALinkOutlivesADeviceThatGoes(t *testing.T) {
	hosts := makeHosts(t, "ue", "gw", "ha")
	_, made := joinHosts(t, link.Options{}, hosts, topologies.Impairment{})
	if hosts[2].port.Kind() != "tap" {
		t.Skip("the far end of a veth pair goes quietly")
	}
	if err := hosts[2].space.Do(func() error { return netlink.LinkDel(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: device}}) }); err != nil {
		t.Fatal(err)
	}
	linktest.Until(t, "the relay has seen that the device is gone", func() bool { return made.Counters("ha").Gone != "" })
	from, to := hosts[0].socket(t, unix.SOCK_DGRAM), hosts[1].socket(t, unix.SOCK_DGRAM)
	roundTrip(t, from, to, hosts[1].dest())
}

func TestANodeSeesCarrierComeAndGoAndFramesAreReal(t *testing.T) {
	hosts := makeHosts(t, "ue", "gw")
	_, made := joinHosts(t, link.Options{}, hosts, topologies.Impairment{Rate: 1_000_000_000})
	running := func() (up bool) {
		if err := hosts[0].space.Do(func() error {
			dev, err := net.InterfaceByName("link")
			if err == nil {
				up = dev.Flags&net.FlagRunning != 0
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return up
	}
	for _, step := range []struct {
		what string
		do   func() error
		want bool
	}{
		{"attached", func() error { return nil }, true},
		{"down", func() error { return made.SetDown(true) }, false},
		{"up", func() error { return made.SetDown(false) }, true},
		{"detached", func() error { return made.Detach("ue") }, false},
		{"attached again", func() error { return made.Attach("ue") }, true},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := running(); got != step.want {
			t.Errorf("%s: running %v, want %v", step.what, got, step.want)
		}
	}
	// A stream crosses a link that takes single frames: none is longer than the MTU.
	from, to := hosts[0], hosts[1]
	listener := to.socket(t, unix.SOCK_STREAM)
	if err := unix.Listen(listener, 1); err != nil {
		t.Fatal(err)
	}
	before := made.Counters("ue")
	const octets = 1 << 20
	if got := stream(t, from, to, listener, octets); got != octets {
		t.Errorf("%d octets arrived, want %d", got, octets)
	}
	after := made.Counters("ue")
	if frames := after.Sent - before.Sent; frames < octets/1500 {
		t.Errorf("%d octets went in %d frames", octets, frames)
	}
}

// stream sends octets over TCP and tells how many arrived.
func stream(tb testing.TB, from, to *host, listener, octets int) (got int) {
	tb.Helper()
	sender := -1
	if err := from.space.Do(func() (err error) {
		if sender, err = unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Connect(sender, to.dest())
	}); err != nil {
		tb.Fatal(err)
	}
	receiver, _, err := unix.Accept(listener)
	if err != nil {
		tb.Fatal(err)
	}
	defer unix.Close(receiver)
	go func() {
		defer unix.Close(sender)
		for left := octets; left > 0; {
			n, err := unix.Write(sender, make([]byte, min(left, 64<<10)))
			if err != nil && err != unix.EINTR {
				return
			}
			left -= max(n, 0)
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(receiver, buf)
		switch {
		case err == unix.EINTR:
		case n <= 0:
			return got
		default:
			got += n
		}
	}
}

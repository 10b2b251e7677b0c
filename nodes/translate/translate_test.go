package translate

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"

	"s2clab/nodes/netns/netnstest"
)

// The main thread must never live in a namespace that a test makes.
func init() { runtime.LockOSThread() }

const patience = 10 * time.Second

// A home is two hosts behind a NAT, and a server outside.
type home struct {
	t                   *testing.T
	in, in2, nat, outer ns.NetNS
}

func (h *home) address(space ns.NetNS, dev, prefix, via string) {
	netnstest.In(h.t, space, func() error {
		link, err := netlink.LinkByName(dev)
		if err != nil {
			return err
		}
		a, err := netlink.ParseAddr(prefix)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, a); err != nil || via == "" {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(via)})
	})
}

var (
	outside = netip.MustParseAddr("203.0.113.1") // the NAT's own
	server  = netip.MustParseAddr("203.0.113.2")
)

func newHome(t *testing.T) *home {
	h := &home{t, netnstest.New(t), netnstest.New(t), netnstest.New(t), netnstest.New(t)}
	netnstest.In(t, h.nat, func() error {
		if err := Probe(); err != nil {
			netnstest.Lacking(t, "nat", err)
		}
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
	})
	netnstest.Pair(t, h.in, "eth", h.nat, "lan1")
	netnstest.Pair(t, h.in2, "eth", h.nat, "lan2")
	netnstest.Pair(t, h.outer, "eth", h.nat, "wan")
	h.address(h.nat, "lan1", "192.168.1.1/24", "")
	h.address(h.nat, "lan2", "192.168.2.1/24", "")
	h.address(h.nat, "wan", "203.0.113.1/24", "")
	h.address(h.in, "eth", "192.168.1.10/24", "192.168.1.1")
	h.address(h.in2, "eth", "192.168.2.10/24", "192.168.2.1")
	h.address(h.outer, "eth", "203.0.113.2/24", "203.0.113.1") // it knows the way in, which is of no use to it
	h.start(Translation{})
	return h
}

func (h *home) start(tr Translation) {
	h.t.Helper()
	tr.Inside, tr.Outside, tr.UDPTimeout = []string{"lan1", "lan2"}, []Outside{{"wan", outside}}, 2*time.Minute
	if tr.Ports == (Ports{}) {
		tr.Ports = Ports{1024, 65535}
	}
	netnstest.In(h.t, h.nat, func() error { return Start(tr) })
}

func (h *home) udp(space ns.NetNS, at string) (conn *net.UDPConn) {
	h.t.Helper()
	netnstest.In(h.t, space, func() (err error) {
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
		return err
	})
	h.t.Cleanup(func() { conn.Close() })
	return conn
}

func send(t *testing.T, from *net.UDPConn, to netip.AddrPort, text string) {
	t.Helper()
	if _, err := from.WriteToUDPAddrPort([]byte(text), to); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, at *net.UDPConn) (text string, from netip.AddrPort) {
	t.Helper()
	at.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 100)
	n, from, err := at.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n]), netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

func TestWhoIsInsideHasAnAddressOfTheNATOutside(t *testing.T) {
	h := newHome(t)
	s, a, b := h.udp(h.outer, "203.0.113.2:4191"), h.udp(h.in, "192.168.1.10:4191"), h.udp(h.in2, "192.168.2.10:4191")
	to := netip.AddrPortFrom(server, 4191)
	send(t, a, to, "first")
	_, first := receive(t, s)
	send(t, b, to, "second")
	_, second := receive(t, s)
	if first != netip.AddrPortFrom(outside, 4191) || second.Addr() != outside || second.Port() == 4191 {
		t.Errorf("two with one port are seen as %v and %v; want the NAT's address, the first with the port that it has", first, second)
	}
	send(t, s, second, "to the second")
	send(t, s, first, "to the first")
	for conn, want := range map[*net.UDPConn]string{a: "to the first", b: "to the second"} {
		if got, from := receive(t, conn); got != want || from != to {
			t.Errorf("received %q from %v, want %q", got, from, want)
		}
	}
	var mappings []Mapping
	netnstest.In(t, h.nat, func() (err error) { mappings, err = Mappings(); return err })
	want := map[Mapping]bool{
		{"udp", netip.MustParseAddrPort("192.168.1.10:4191"), first, to}:  true,
		{"udp", netip.MustParseAddrPort("192.168.2.10:4191"), second, to}: true,
	}
	for _, m := range mappings {
		if !want[m] {
			t.Errorf("a mapping %+v", m)
		}
		delete(want, m)
	}
	if len(want) > 0 {
		t.Errorf("no mappings %v among %v", want, mappings)
	}
}

// What is to arrive is sent last: when it has, nothing else is on its way.
func TestNothingGetsInUnasked(t *testing.T) {
	h := newHome(t)
	s, other, a := h.udp(h.outer, "203.0.113.2:4191"), h.udp(h.outer, "203.0.113.2:9"), h.udp(h.in, "192.168.1.10:5000")
	send(t, a, netip.AddrPortFrom(server, 4191), "asked")
	_, seen := receive(t, s)
	send(t, other, seen, "from a port that was not asked")
	send(t, s, netip.MustParseAddrPort("192.168.1.10:5000"), "to the private address")
	send(t, s, netip.AddrPortFrom(outside, seen.Port()+1), "to a port of nobody")
	send(t, s, seen, "the answer")
	if got, _ := receive(t, a); got != "the answer" {
		t.Errorf("%q got in", got)
	}
}

func TestALostMappingLetsNothingInUntilTheInsideSpeaks(t *testing.T) {
	h := newHome(t)
	s, a := h.udp(h.outer, "203.0.113.2:4191"), h.udp(h.in, "192.168.1.10:5000")
	to := netip.AddrPortFrom(server, 4191)
	send(t, a, to, "one")
	_, seen := receive(t, s)
	netnstest.In(t, h.nat, Forget)
	send(t, s, seen, "lost")
	send(t, a, to, "two")
	_, again := receive(t, s)
	send(t, s, again, "found")
	if got, _ := receive(t, a); got != "found" || again != seen {
		t.Errorf("%q got in, at %v, before at %v", got, again, seen)
	}
}

func TestOtherPortsMakeOtherMappings(t *testing.T) {
	h := newHome(t)
	s, a := h.udp(h.outer, "203.0.113.2:4191"), h.udp(h.in, "192.168.1.10:5000")
	for _, ports := range []Ports{{4000, 4999}, {5000, 5999}, {60000, 60000}} {
		h.start(Translation{Ports: ports})
		netnstest.In(t, h.nat, Forget)
		send(t, a, netip.AddrPortFrom(server, 4191), "x")
		if _, seen := receive(t, s); seen.Port() < ports.First || seen.Port() > ports.Last || ports.First == 5000 && seen.Port() != 5000 {
			t.Errorf("with ports %v it is seen at %v", ports, seen)
		}
	}
}

func TestRandomPortsAreNotThoseOfTheInside(t *testing.T) {
	h := newHome(t)
	h.start(Translation{Random: true})
	s := h.udp(h.outer, "203.0.113.2:4191")
	kept := 0
	for port := 5000; port < 5010; port++ {
		a := h.udp(h.in, fmt.Sprintf("192.168.1.10:%d", port))
		send(t, a, netip.AddrPortFrom(server, 4191), "x")
		if _, seen := receive(t, s); int(seen.Port()) == port {
			kept++
		}
	}
	if kept > 2 {
		t.Errorf("%d of 10 kept their port", kept)
	}
}

func TestTCPAndErrorsGetThrough(t *testing.T) {
	h := newHome(t)
	var l net.Listener
	netnstest.In(t, h.outer, func() (err error) { l, err = net.Listen("tcp4", "203.0.113.2:80"); return err })
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			fmt.Fprintln(c, c.RemoteAddr())
			c.Close()
		}
	}()
	netnstest.In(t, h.in, func() error {
		c, err := net.DialTimeout("tcp4", "203.0.113.2:80", patience)
		if err != nil {
			return err
		}
		defer c.Close()
		var seen string
		if _, err := fmt.Fscanln(c, &seen); err != nil || netip.MustParseAddrPort(seen).Addr() != outside {
			t.Errorf("seen as %q: %v", seen, err)
		}
		u, err := net.Dial("udp4", "203.0.113.2:7")
		if err != nil {
			return err
		}
		defer u.Close()
		u.SetDeadline(time.Now().Add(patience))
		u.Write([]byte("x"))
		if _, err := u.Read(make([]byte, 1)); err == nil || err.(net.Error).Timeout() {
			t.Errorf("a port of nobody: %v, want what ICMP says", err)
		}
		return nil
	})
}

// A tunnel without ports does not get through: RFC 5555, section 4.2, goes by UDP
// for that reason.
func TestOtherProtocolsDoNotGetThrough(t *testing.T) {
	h := newHome(t)
	var raw *net.IPConn
	netnstest.In(t, h.outer, func() (err error) {
		raw, err = net.ListenIP("ip4:41", &net.IPAddr{IP: server.AsSlice()})
		return err
	})
	defer raw.Close()
	s, a := h.udp(h.outer, "203.0.113.2:4191"), h.udp(h.in, "192.168.1.10:5000")
	netnstest.In(t, h.in, func() error {
		c, err := net.DialIP("ip4:41", nil, &net.IPAddr{IP: server.AsSlice()})
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("sixxed"))
		return err
	})
	send(t, a, netip.AddrPortFrom(server, 4191), "after it")
	receive(t, s)
	raw.SetReadDeadline(time.Now())
	if n, err := raw.Read(make([]byte, 100)); err == nil {
		t.Errorf("%d octets of protocol 41 got through", n)
	}
}

func TestTheTimeOutOfUDPIsTheOneAskedFor(t *testing.T) {
	space := netnstest.New(t)
	netnstest.In(t, space, func() error {
		if err := Start(Translation{Inside: []string{"lan"}, Ports: Ports{1, 2}, UDPTimeout: 17 * time.Second}); err != nil {
			netnstest.Lacking(t, "nat", err)
		}
		for _, name := range []string{"nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"} {
			if got, err := os.ReadFile("/proc/sys/net/netfilter/" + name); string(got) != "17\n" {
				t.Errorf("%s is %q: %v", name, got, err)
			}
		}
		return nil
	})
}

package host

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
)

// newRoutedWorld is a dual world whose mobile node is behind a router, which alone
// knows that its link to the agent is narrow:
//
//	mobile --wlan-- router --(1400)-- agent --sgi-- peer
func newRoutedWorld(t testing.TB, narrow int) (w *world, router *testNode) {
	w = &world{mobile: newNode(t), agent: newNode(t), peer: newNode(t)}
	router = newNode(t)
	join(w.mobile, "wlan", router, "access")
	join(router, "core", w.agent, "up")
	join(w.agent, "sgi", w.peer, "cn")
	for _, a := range []struct {
		of             *testNode
		dev, six, ipv4 string
	}{
		{w.mobile, "wlan", "2001:db8:200::10/64", "203.0.113.10/24"},
		{router, "access", "2001:db8:200::1/64", "203.0.113.1/24"},
		{router, "core", "2001:db8:300::1/64", "198.51.100.129/25"},
		{w.agent, "up", "2001:db8:300::2/64", "198.51.100.130/25"},
		{w.agent, "lo", "2001:db8:100::1/128", "198.51.100.1/32"},
		{w.agent, "sgi", "2001:db8:500::1/64", "192.0.2.129/25"},
		{w.peer, "cn", "2001:db8:500::2/64", "192.0.2.130/25"},
	} {
		a.of.address(a.dev, a.six)
		a.of.address(a.dev, a.ipv4)
	}
	w.peer.route("default", "2001:db8:500::1", "cn")
	w.peer.route("0.0.0.0/0", "192.0.2.129", "cn")
	w.agent.route("2001:db8:200::/64", "2001:db8:300::1", "up")
	w.agent.route("203.0.113.0/24", "198.51.100.129", "up")
	router.route("2001:db8:100::/64", "2001:db8:300::2", "core")
	router.route("198.51.100.1/32", "198.51.100.130", "core")
	w.mobile.accessRoute("wlan", "2001:db8:200::10", "2001:db8:200::1")
	w.mobile.accessRoute("wlan", "203.0.113.10", "203.0.113.1")
	for _, n := range []*testNode{router, w.agent} {
		n.in(func() error { return n.SetForwarding(true) })
	}
	router.setMTU("core", narrow)
	return w, router
}

func (w *world) tunnels(engine string, o outside) {
	w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)
	w.bind(o)
}

// pathIs4 is pathIs for IPv4.
func (n *testNode) pathIs4(src, dst netip.Addr, want int) {
	n.t.Helper()
	n.in(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
		if err := allOf(
			unix.Bind(fd, &unix.SockaddrInet4{Addr: src.As4()}),
			unix.Connect(fd, &unix.SockaddrInet4{Addr: dst.As4(), Port: 5000})); err != nil {
			return err
		}
		for end := time.Now().Add(patience); time.Now().Before(end); {
			mtu, err := unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU)
			if err != nil {
				return err
			}
			if mtu == want {
				return nil
			}
			if mtu < want {
				return fmt.Errorf("path MTU %d from %v to %v, want %d", mtu, src, dst, want)
			}
			unix.Write(fd, make([]byte, mtu-ipv4.HeaderLen-8))
			time.Sleep(time.Millisecond)
		}
		return fmt.Errorf("no error came that makes the path %d octets", want)
	})
}

func (n *testNode) pathTo(src, dst netip.Addr, want int) {
	n.t.Helper()
	if src.Is4() {
		n.pathIs4(src, dst, want)
	} else {
		n.pathIs(src, dst, want)
	}
}

func TestAPacketThatDoesNotFitIsAnsweredInEachOuterHeader(t *testing.T) {
	eachWay(t, func(t *testing.T, engine string, o outside, i inside) {
		w := dualBound(t, engine, o)
		w.peer.pathTo(i.peer, i.home, 1500-o.overhead)
		w.mobile.pathTo(i.home, i.peer, 1500-o.overhead)
	})
}

func TestAPathThatShrinksIsToldToTheInnerSourceInEachOuterHeader(t *testing.T) {
	eachWay(t, func(t *testing.T, engine string, o outside, i inside) {
		w, _ := newRoutedWorld(t, 1400)
		w.tunnels(engine, o)
		w.mobile.pathTo(i.home, i.peer, 1400-o.overhead)
		if err := transfer(w.mobile, w.peer, i.peer, 1<<20); err != nil {
			t.Error(err)
		}
	})
}

// The agent's own link is wide, and what is narrow lies between the router and the
// mobile node.
func TestAPathThatShrinksIsToldToACorrespondent(t *testing.T) {
	eachWay(t, func(t *testing.T, engine string, o outside, i inside) {
		w, router := newRoutedWorld(t, 1500)
		router.setMTU("access", 1400)
		w.tunnels(engine, o)
		w.peer.pathTo(i.peer, i.home, 1400-o.overhead)
		if err := transfer(w.peer, w.mobile, i.home, 1<<20); err != nil {
			t.Error(err)
		}
	})
}

// A narrow link behind the agent is none of the tunnel's business, but its errors
// come back by it.
func TestALinkThatIsNarrowBehindTheAgentStallsNothing(t *testing.T) {
	eachWay(t, func(t *testing.T, engine string, o outside, i inside) {
		w := dualBound(t, engine, o)
		w.agent.setMTU("sgi", 1300)
		w.peer.setMTU("cn", 1500) // so that the peer offers large segments
		if err := transfer(w.mobile, w.peer, i.peer, 1<<20); err != nil {
			t.Error(err)
		}
	})
}

func TestANarrowPathCarriesInnerPacketsOf1280OctetsInEachOuterHeader(t *testing.T) {
	for _, engine := range []string{"user", "user-veth", "auto"} {
		for _, o := range outsides {
			t.Run(engine+"/"+o.name, func(t *testing.T) {
				w := newDualWorld(t)
				w.mobile.setMTU("wlan", 1280)
				w.agent.setMTU("core", 1280)
				w.mobile.path, w.agent.path = 1280, 1280
				w.tunnels(engine, o)
				at := w.peer.listenUDP(peer)
				c := w.mobile.dial("udp6", netip.AddrPortFrom(peer, 5000))
				full := bytes.Repeat([]byte{42}, 1280-ipv6.HeaderLen-8)
				b := make([]byte, 2000)
				c.Write(full)
				n, from, err := at.ReadFromUDPAddrPort(b)
				if err != nil || !bytes.Equal(b[:n], full) {
					t.Fatalf("the peer got %d octets, %v", n, err)
				}
				at.WriteToUDPAddrPort(full, from)
				if n, err := c.Read(b); err != nil || !bytes.Equal(b[:n], full) {
					t.Fatalf("the mobile got %d octets, %v", n, err)
				}
				w.mobile.pathTo(homeAddress4, peer4, 1280-o.overhead)
			})
		}
	}
}

// An inner packet of IPv4 that may be cut is cut, before it goes into the tunnel.
func TestAnInnerPacketThatMayBeCutIsCut(t *testing.T) {
	for _, engine := range engines {
		for _, o := range outsides {
			t.Run(engine+"/"+o.name, func(t *testing.T) {
				w := dualBound(t, engine, o)
				wire, at := w.agent.ear("core"), w.mobile.listenUDP(homeAddress4)
				long := bytes.Repeat([]byte("cut me "), 1000)
				w.peer.in(func() error {
					c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(homeAddress4, 5000)))
					if err != nil {
						return err
					}
					defer c.Close()
					raw, err := c.SyscallConn()
					if err != nil {
						return err
					}
					raw.Control(func(fd uintptr) {
						err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
					})
					if err == nil {
						_, err = c.Write(long)
					}
					return err
				})
				b := make([]byte, 10000)
				if n, _, err := at.ReadFromUDPAddrPort(b); err != nil || !bytes.Equal(b[:n], long) {
					t.Fatalf("the mobile got %d octets, %v", n, err)
				}
				wire.until(func(b []byte) bool {
					if isARP(b) || !o.in4(b) {
						return false
					}
					inner := b[o.overhead:]
					if b[0]>>4 == 4 && (b[6]&0x20 != 0 || b[7] != 0) {
						t.Error("an outer packet was cut")
					}
					return inner[6]&0x20 == 0 && (inner[6]&0x1f != 0 || inner[7] != 0) // the last fragment
				}, nil)
			})
		}
	}
}

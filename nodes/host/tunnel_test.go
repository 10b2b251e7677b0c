package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/rtnetlink"
	"s2clab/nodes/wire/ipv6"
)

var (
	homeAddress = netip.MustParseAddr("2001:db8:100::10")
	agent       = netip.MustParseAddr("2001:db8:100::1")
	careOf      = netip.MustParseAddr("2001:db8:200::10")
	peer        = netip.MustParseAddr("2001:db8:500::2")
)

var engines = []string{"user", "user-veth", "kernel"}

// A world is a mobile node away from home, its home agent and a correspondent:
//
//	mobile --wlan-- agent --sgi-- peer
type world struct {
	mobile, agent, peer *testNode
	atMobile, atAgent   *Tunnel
}

func newWorld(t testing.TB) *world {
	w := &world{mobile: newNode(t), agent: newNode(t), peer: newNode(t)}
	join(w.mobile, "wlan", w.agent, "core")
	join(w.agent, "sgi", w.peer, "cn")
	w.mobile.address("wlan", "2001:db8:200::10/64")
	w.agent.address("core", "2001:db8:200::1/64")
	w.agent.address("lo", "2001:db8:100::1/128")
	w.agent.address("sgi", "2001:db8:500::1/64")
	w.peer.address("cn", "2001:db8:500::2/64")
	w.peer.route("default", "2001:db8:500::1", "cn")
	w.agent.in(func() error { return w.agent.SetForwarding(true) })
	w.mobile.accessRoute("wlan", "2001:db8:200::10", "2001:db8:200::1")
	return w
}

// accessRoute makes packets from a care-of address go by its access router.
func (n *testNode) accessRoute(dev, careOf, router string) {
	n.t.Helper()
	index, err := n.Index(dev)
	n.must(err)
	from := netip.MustParseAddr(careOf)
	n.must(
		n.ReplaceRoute(Route{Table: 1000 + index, Dev: dev, Via: netip.MustParseAddr(router)}),
		n.AddRule(Rule{Priority: PriorityRole, From: netip.PrefixFrom(from, from.BitLen()), Table: 1000 + index}))
}

func (n *testNode) tunnel(engine string, side Side) *Tunnel {
	n.t.Helper()
	return n.tunnelOf(engine, TunnelConfig{Side: side, HomeAddress: homeAddress})
}

func (n *testNode) tunnelOf(engine string, cfg TunnelConfig) *Tunnel {
	n.t.Helper()
	var t *Tunnel
	n.in(func() (err error) {
		if cfg.Engine = engine; engine == "user-veth" {
			cfg.Engine = "user"
			t, err = n.openTunnel(cfg, "", n.openVethDevice)
			return err
		}
		t, err = n.NewTunnel(cfg)
		return err
	})
	n.t.Cleanup(func() { t.Close() })
	return t
}

// bound is a world with the tunnel in place.
func bound(t testing.TB, engine string) *world {
	w := newWorld(t)
	w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)
	w.mobile.must(w.atMobile.Set(Binding{Inner: homeAddress, Local: careOf, Remote: agent}))
	w.agent.must(w.atAgent.Set(Binding{Inner: homeAddress, Local: agent, Remote: careOf}))
	return w
}

func eachEngine(t *testing.T, f func(t *testing.T, engine string)) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) { f(t, engine) })
	}
}

func (n *testNode) listenUDP(a netip.Addr) *net.UDPConn {
	n.t.Helper()
	var c *net.UDPConn
	n.in(func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 5000)))
		return err
	})
	n.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func (n *testNode) dial(network string, to netip.AddrPort) net.Conn {
	n.t.Helper()
	var c net.Conn
	n.in(func() (err error) {
		c, err = (&net.Dialer{Timeout: patience}).Dial(network, to.String())
		return err
	})
	n.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func TestTheTunnelCarriesBothWaysAndApplicationsUseTheHomeAddress(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w := bound(t, engine)
		wire := w.agent.ear("core")
		at := w.peer.listenUDP(peer)
		c := w.mobile.dial("udp6", netip.AddrPortFrom(peer, 5000)) // an unbound socket
		if got := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr(); got != homeAddress {
			t.Fatalf("an application's packets leave from %v, want the home address", got)
		}
		fmt.Fprint(c, "there")
		b := make([]byte, 100)
		n, from, err := at.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != "there" || from.Addr() != homeAddress {
			t.Fatalf("peer got %q from %v, %v", b[:n], from, err)
		}
		at.WriteToUDPAddrPort([]byte("and back"), from)
		if n, err := c.Read(b); err != nil || string(b[:n]) != "and back" {
			t.Fatalf("mobile got %q, %v", b[:n], err)
		}
		for _, want := range [][2]netip.Addr{{careOf, agent}, {agent, careOf}} {
			wire.until(func(b []byte) bool {
				src, dst := addresses(b)
				return src == want[0] && dst == want[1] && b[6] == ipv6.Encapsulate && b[ipv6.HeaderLen]>>4 == 6
			}, nil)
		}
	})
}

func TestLargeTransfersArriveWhole(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w := bound(t, engine)
		for _, direction := range []string{"from the mobile", "to the mobile"} {
			t.Run(direction, func(t *testing.T) {
				from, to, dst := w.mobile, w.peer, peer
				if direction == "to the mobile" {
					from, to, dst = w.peer, w.mobile, homeAddress
				}
				var l net.Listener
				to.in(func() (err error) { l, err = net.Listen("tcp6", netip.AddrPortFrom(dst, 5001).String()); return err })
				defer l.Close()
				data := make([]byte, 20<<20)
				for i := range data {
					data[i] = byte(i * i >> 8)
				}
				c := from.dial("tcp6", netip.AddrPortFrom(dst, 5001))
				go func() {
					c.Write(data)
					c.Close()
				}()
				in, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				in.SetDeadline(time.Now().Add(patience))
				h := sha256.New()
				n, err := io.Copy(h, in)
				if want := sha256.Sum256(data); err != nil || n != int64(len(data)) || !bytes.Equal(h.Sum(nil), want[:]) {
					t.Errorf("got %d octets, %v; want %d with the same digest", n, err, len(data))
				}
			})
		}
	})
}

// echo sends a packet through a tunnel from outside of it, by hand.
func outer(t testing.TB, src, dst netip.Addr, inner []byte) []byte {
	return packet(t, ipv6.Packet{Src: src, Dst: dst, Next: ipv6.Encapsulate, Payload: inner})
}

func (n *testNode) rawSocket() func(b []byte) {
	var files [2]*os.File
	for family := range files {
		n.in(func() (err error) { files[family], err = openRawOf(family); return err })
		n.t.Cleanup(func() { files[family].Close() })
	}
	return func(b []byte) {
		n.t.Helper()
		var o outgoing
		n.must(o.addWhole(b, 0), o.send(files[versionOf(b)]))
	}
}

func datagram(t testing.TB, src, dst netip.Addr, text string) []byte {
	b := append([]byte{0x13, 0x88, 0x13, 0x88, 0, byte(8 + len(text)), 0, 0}, text...)
	sum := ipv6.Checksum(src, dst, ipv6.UDP, b)
	b[6], b[7] = byte(sum>>8), byte(sum)
	return packet(t, ipv6.Packet{Src: src, Dst: dst, Next: ipv6.UDP, Payload: b})
}

func (w *world) refusal(t testing.TB, of *Tunnel, want string) {
	t.Helper()
	select {
	case r := <-of.Refusals():
		if r.Reason != want {
			t.Errorf("refused for %+v, want %s", r, want)
		}
	case <-time.After(patience):
		t.Errorf("nothing was refused, want %s", want)
	}
}

func TestTheAgentTakesOnlyPacketsOfTheBindingTheyComeBy(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w := bound(t, engine)
		w.mobile.address("wlan", "2001:db8:200::66/64") // an attacker beside the mobile node
		w.mobile.accessRoute("wlan", "2001:db8:200::66", "2001:db8:200::1")
		w.mobile.accessRoute("wlan", "2001:db8:200::77", "2001:db8:200::1")
		attacker, other := netip.MustParseAddr("2001:db8:200::66"), netip.MustParseAddr("2001:db8:100::66")
		w.agent.must(w.atAgent.Set(Binding{Inner: other, Local: agent, Remote: attacker}))
		at, send := w.peer.listenUDP(peer), w.mobile.rawSocket()
		b := make([]byte, 100)
		for _, wrong := range []struct {
			what, reason string
			packet       []byte
		}{
			{"another outer source", "wrong-outer-source", outer(t, netip.MustParseAddr("2001:db8:200::77"), agent, datagram(t, homeAddress, peer, "bad"))},
			{"the home address of another binding", "wrong-inner-address", outer(t, attacker, agent, datagram(t, homeAddress, peer, "bad"))},
			{"a source that is no home address", "wrong-inner-address", outer(t, careOf, agent, datagram(t, careOf, peer, "bad"))},
		} {
			send(wrong.packet)
			send(outer(t, careOf, agent, datagram(t, homeAddress, peer, "good")))
			n, _, err := at.ReadFromUDPAddrPort(b)
			if err != nil || string(b[:n]) != "good" {
				t.Errorf("%s: the peer got %q, %v", wrong.what, b[:n], err)
			}
			w.refusal(t, w.atAgent, wrong.reason)
		}
		if c := w.atAgent.Counters(); c.WrongOuter != 1 || c.WrongInner != 2 {
			t.Errorf("counted %+v, want 1 wrong outer and 2 wrong inner", c)
		}
	})
}

func TestTheMobileTakesOnlyPacketsOfItsAgentToItsHomeAddress(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w := bound(t, engine)
		at, send := w.mobile.listenUDP(netip.IPv6Unspecified()), w.agent.rawSocket()
		b := make([]byte, 100)
		send(outer(t, netip.MustParseAddr("2001:db8:200::1"), careOf, datagram(t, peer, homeAddress, "bad source")))
		w.refusal(t, w.atMobile, "wrong-outer-source")
		send(outer(t, agent, careOf, datagram(t, peer, careOf, "bad address")))
		send(outer(t, agent, careOf, datagram(t, peer, homeAddress, "good")))
		if n, _, err := at.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != "good" {
			t.Errorf("the mobile got %q, %v", b[:n], err)
		}
		if c := w.atMobile.Counters(); c.WrongOuter != 1 {
			t.Errorf("counted %+v, want 1 wrong outer", c)
		}
	})
}

func TestPacketsOnTheirWayToTheFormerCareOfAddressAreTaken(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w := bound(t, engine)
		w.mobile.address("wlan", "2001:db8:200::11/64")
		w.mobile.accessRoute("wlan", "2001:db8:200::11", "2001:db8:200::1")
		w.mobile.must(w.atMobile.Set(Binding{Inner: homeAddress, Local: netip.MustParseAddr("2001:db8:200::11"), Remote: agent}))
		at, send := w.mobile.listenUDP(homeAddress), w.agent.rawSocket()
		wire := w.agent.ear("core")
		b := make([]byte, 100)
		send(outer(t, agent, careOf, datagram(t, peer, homeAddress, "late")))
		if n, _, err := at.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != "late" {
			t.Errorf("the mobile got %q, %v", b[:n], err)
		}
		at.WriteToUDPAddrPort([]byte("new"), netip.AddrPortFrom(peer, 5000))
		wire.until(func(b []byte) bool {
			src, _ := addresses(b)
			return b[6] == ipv6.Encapsulate && src == netip.MustParseAddr("2001:db8:200::11")
		}, nil)
	})
}

func TestAnExpectedBindingTakesPacketsAndSendsNone(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w := newWorld(t)
		w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)
		want := Binding{Inner: homeAddress, Local: careOf, Remote: agent}
		at, send, sendOut := w.mobile.listenUDP(homeAddress), w.agent.rawSocket(), w.mobile.rawSocket()
		wire := w.agent.ear("core")
		packetTo := func(text string) []byte { return outer(t, agent, careOf, datagram(t, peer, homeAddress, text)) }
		heard := func(text string) {
			t.Helper()
			b := make([]byte, 100)
			send(packetTo(text))
			if n, _, err := at.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != text {
				t.Fatalf("the mobile got %q, %v; want %q", b[:n], err, text)
			}
		}
		refused := func() {
			t.Helper()
			send(packetTo("too late"))
			w.refusal(t, w.atMobile, "wrong-outer-source")
		}

		refused()
		w.mobile.must(w.atMobile.Expect(want))
		heard("early")
		w.mobile.must(w.atMobile.Expect(want)) // as a Binding Update is sent again
		at.WriteToUDPAddrPort([]byte("must not be sent"), netip.AddrPortFrom(peer, 5000))
		heard("early again")
		send(outer(t, netip.MustParseAddr("2001:db8:200::1"), careOf, datagram(t, peer, homeAddress, "bad source")))
		w.refusal(t, w.atMobile, "wrong-outer-source")
		w.mobile.must(w.atMobile.Forsake(), w.atMobile.Forsake())
		refused()
		sendOut(datagram(t, careOf, agent, "the last"))
		wire.until(func(b []byte) bool {
			if src, _ := addresses(b); src == careOf && b[6] == ipv6.Encapsulate {
				t.Error("a packet was sent by a binding that was only expected")
			}
			return bytes.HasSuffix(b, []byte("the last"))
		}, nil)

		w.mobile.must(w.atMobile.Expect(want), w.atMobile.Set(want))
		heard("bound")
		w.mobile.must(w.atMobile.Expect(Binding{Inner: homeAddress, Local: netip.MustParseAddr("2001:db8:200::11"), Remote: agent}))
		heard("another is expected")
		at.WriteToUDPAddrPort([]byte("sent"), netip.AddrPortFrom(peer, 5000))
		wire.until(func(b []byte) bool {
			src, _ := addresses(b)
			return src == careOf && b[6] == ipv6.Encapsulate && bytes.HasSuffix(b, []byte("sent"))
		}, nil)
		w.mobile.must(w.atMobile.Clear(homeAddress))
		heard("of the other")
		w.mobile.must(w.atMobile.Forsake())
		refused()
		if err := w.atAgent.Expect(want); err == nil {
			t.Error("an agent expects a binding, want an error")
		}
	})
}

func TestAClearedBindingCarriesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w := bound(t, engine)
		at, send := w.peer.listenUDP(peer), w.mobile.rawSocket()
		b := make([]byte, 100)
		send(outer(t, careOf, agent, datagram(t, homeAddress, peer, "before")))
		if n, _, err := at.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != "before" {
			t.Fatalf("the peer got %q, %v", b[:n], err)
		}
		w.agent.must(w.atAgent.Clear(homeAddress), w.atAgent.Clear(homeAddress))
		send(outer(t, careOf, agent, datagram(t, homeAddress, peer, "after")))
		w.refusal(t, w.atAgent, "wrong-outer-source")
		w.mobile.must(w.atMobile.Clear(homeAddress))
		c := w.mobile.dial("udp6", netip.AddrPortFrom(peer, 5000))
		if got := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr(); got != homeAddress {
			t.Errorf("without a binding an application's packets leave from %v, want the home address", got)
		}
		w.mobile.must(w.atMobile.Set(Binding{Inner: homeAddress, Local: careOf, Remote: agent}))
		w.agent.must(w.atAgent.Set(Binding{Inner: homeAddress, Local: agent, Remote: careOf}))
		fmt.Fprint(w.mobile.dial("udp6", netip.AddrPortFrom(peer, 5000)), "again")
		if n, _, err := at.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != "again" {
			t.Errorf("the peer got %q, %v", b[:n], err)
		}
	})
}

func TestAPacketThatDoesNotFitIsAnsweredWithTheTunnelsMTU(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w := bound(t, engine)
		for _, end := range []struct {
			what     string
			from     *testNode
			src, dst netip.Addr
		}{{"peer", w.peer, peer, homeAddress}, {"mobile", w.mobile, homeAddress, peer}} {
			end.from.pathIs(end.src, end.dst, 1460)
		}
	})
}

// pathIs sends full packets without fragmentation until the kernel knows a
// smaller MTU, which must be want; packets of that size then arrive.
func (n *testNode) pathIs(src, dst netip.Addr, want int) {
	n.t.Helper()
	n.in(func() error {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO)
		if err := allOf(
			unix.Bind(fd, &unix.SockaddrInet6{Addr: src.As16(), Port: 0}),
			unix.Connect(fd, &unix.SockaddrInet6{Addr: dst.As16(), Port: 5000})); err != nil {
			return err
		}
		for end := time.Now().Add(patience); time.Now().Before(end); {
			mtu, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU)
			if err != nil {
				return err
			}
			if mtu == want {
				return nil
			}
			if mtu < want {
				return fmt.Errorf("path MTU %d from %v to %v, want %d", mtu, src, dst, want)
			}
			unix.Write(fd, make([]byte, mtu-ipv6.HeaderLen-8))
			time.Sleep(time.Millisecond)
		}
		return errors.New("no packet too big came")
	})
}

// behindARouter is a world whose mobile is behind a router:
//
//	mobile --wlan/access-- router --core/up-- agent --sgi/cn-- peer
func behindARouter(t *testing.T) (w *world, router *testNode) {
	w = &world{mobile: newNode(t), agent: newNode(t), peer: newNode(t)}
	router = newNode(t)
	join(w.mobile, "wlan", router, "access")
	join(router, "core", w.agent, "up")
	join(w.agent, "sgi", w.peer, "cn")
	w.mobile.address("wlan", "2001:db8:200::10/64")
	router.address("access", "2001:db8:200::1/64")
	router.address("core", "2001:db8:300::1/64")
	w.agent.address("up", "2001:db8:300::2/64")
	w.agent.address("lo", "2001:db8:100::1/128")
	w.agent.address("sgi", "2001:db8:500::1/64")
	w.peer.address("cn", "2001:db8:500::2/64")
	w.peer.route("default", "2001:db8:500::1", "cn")
	w.agent.route("2001:db8:200::/64", "2001:db8:300::1", "up")
	router.route("2001:db8:100::/64", "2001:db8:300::2", "core")
	w.mobile.accessRoute("wlan", "2001:db8:200::10", "2001:db8:200::1")
	for _, n := range []*testNode{router, w.agent} {
		n.in(func() error { return n.SetForwarding(true) })
	}
	return w, router
}

// openTunnel opens both ends of the tunnel.
func (w *world) openTunnel(engine string) {
	w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)
	w.mobile.must(w.atMobile.Set(Binding{Inner: homeAddress, Local: careOf, Remote: agent}))
	w.agent.must(w.atAgent.Set(Binding{Inner: homeAddress, Local: agent, Remote: careOf}))
}

func TestAPathThatShrinksIsToldToTheInnerSource(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w, router := behindARouter(t)
		// The agent does not know of its link's limit either: it is the router's.
		router.setMTU("core", 1400)
		w.openTunnel(engine)
		w.mobile.pathIs(homeAddress, peer, 1360)
	})
}

// A router tells the agent, some way before the mobile, that an outer packet does
// not fit: packets of 1280 octets then go in fragments.
func TestAPathThatShrinksTo1280OctetsCarriesInnerPacketsOf1280(t *testing.T) {
	for _, engine := range []string{"user", "user-veth"} {
		t.Run(engine, func(t *testing.T) {
			w, router := behindARouter(t)
			router.setMTU("access", 1280)
			w.openTunnel(engine)
			at := w.mobile.listenUDP(homeAddress)
			c := w.peer.dial("udp6", netip.AddrPortFrom(homeAddress, 5000))
			full := bytes.Repeat([]byte{42}, 1280-ipv6.HeaderLen-8)
			b := make([]byte, 2000)
			for end := time.Now().Add(patience); ; {
				c.Write(full) // the first is what the router tells of
				at.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				n, _, err := at.ReadFromUDPAddrPort(b)
				if err == nil && bytes.Equal(b[:n], full) {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("the mobile got %d octets, %v", n, err)
				}
			}
		})
	}
}

func TestAPathOf1280OctetsCarriesInnerPacketsOf1280(t *testing.T) {
	for _, engine := range []string{"user", "user-veth", "auto"} {
		t.Run(engine, func(t *testing.T) {
			w := newWorld(t)
			w.mobile.setMTU("wlan", 1280)
			w.agent.setMTU("core", 1280)
			w.mobile.path, w.agent.path = 1280, 1280
			w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)
			w.mobile.must(w.atMobile.Set(Binding{Inner: homeAddress, Local: careOf, Remote: agent}))
			w.agent.must(w.atAgent.Set(Binding{Inner: homeAddress, Local: agent, Remote: careOf}))
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
			_, err = w.mobile.NewTunnel(TunnelConfig{Engine: "kernel"})
			if err == nil || !strings.Contains(err.Error(), "1280") {
				t.Errorf("the kernel engine is not refused: %v", err)
			}
		})
	}
}

func (n *testNode) setMTU(dev string, mtu int) {
	n.t.Helper()
	index, err := n.Index(dev)
	n.must(err)
	var b batch
	start := b.Begin("mtu", unix.RTM_NEWLINK, 0, rtnetlink.LinkHeader(index, 0, 0))
	b.Number(unix.IFLA_MTU, mtu)
	b.End(start)
	n.must(n.nl.do(&b))
}

func TestManyInnersShareTheAgent(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w := newWorld(t)
		w.atAgent = w.agent.tunnel(engine, AgentSide)
		const many = 500
		inner := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:100::1:%x", i)) }
		outside := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:200::1:%x", i)) }
		for i := range many {
			w.agent.must(w.atAgent.Set(Binding{Inner: inner(i), Local: agent, Remote: outside(i)}))
		}
		wire, at := w.agent.ear("core"), w.peer.listenUDP(peer)
		send := w.mobile.rawSocket()
		w.mobile.route("2001:db8:100::/64", "2001:db8:200::1", "wlan")
		// The mobile node's side is made by hand: the agent finds all care-of
		// addresses at its link-layer address.
		mac, err := w.mobile.HardwareAddr("wlan")
		w.mobile.must(err)
		b := make([]byte, 100)
		for _, i := range []int{0, 17, many - 1} {
			w.agent.must(w.agent.SetNeighbor("core", outside(i), mac[:]))
			send(outer(t, outside(i), agent, datagram(t, inner(i), peer, fmt.Sprint(i))))
			n, from, err := at.ReadFromUDPAddrPort(b)
			if err != nil || string(b[:n]) != fmt.Sprint(i) {
				t.Fatalf("the peer got %q, %v, want %d", b[:n], err, i)
			}
			at.WriteToUDPAddrPort(b[:n], from)
			wire.until(func(b []byte) bool {
				_, dst := addresses(b)
				return b[6] == ipv6.Encapsulate && dst == outside(i)
			}, nil)
		}
		for i := range many {
			w.agent.must(w.atAgent.Clear(inner(i)))
		}
	})
}

func TestATunnelTakesThePlaceOfOneThatWasLeftBehind(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w := bound(t, engine) // and never closed before its successors
		w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)
		w.mobile.must(w.atMobile.Set(Binding{Inner: homeAddress, Local: careOf, Remote: agent}))
		w.agent.must(w.atAgent.Set(Binding{Inner: homeAddress, Local: agent, Remote: careOf}))
		at := w.peer.listenUDP(peer)
		fmt.Fprint(w.mobile.dial("udp6", netip.AddrPortFrom(peer, 5000)), "anew")
		b := make([]byte, 100)
		if n, _, err := at.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != "anew" {
			t.Errorf("the peer got %q, %v", b[:n], err)
		}
	})
}

func TestAutoChoosesAnEngineAndSaysWhy(t *testing.T) {
	w := newWorld(t)
	tunnel := w.mobile.tunnel("auto", MobileSide)
	name, why := tunnel.Engine()
	if name != "user" && name != "kernel" || why == "" {
		t.Errorf("got engine %q because %q", name, why)
	}
	t.Logf("%s: %s", name, why)
	_, err := w.mobile.NewTunnel(TunnelConfig{Engine: "magic"})
	if err == nil || !strings.Contains(err.Error(), "want auto, user or kernel") {
		t.Errorf("got %v", err)
	}
}

// BenchmarkTunnelTCP compares one TCP stream through the home agent with the
// same through a plain router in its place.
func BenchmarkTunnelTCP(b *testing.B) {
	for _, engine := range append([]string{"none"}, engines...) {
		b.Run(engine, func(b *testing.B) {
			var w *world
			src := homeAddress
			if engine == "none" {
				w = newWorld(b)
				w.mobile.route("default", "2001:db8:200::1", "wlan")
				src = careOf
			} else {
				w = bound(b, engine)
			}
			w.stream(b, w.mobile, src, w.peer, peer)
		})
	}
}

func (w *world) stream(b *testing.B, from *testNode, src netip.Addr, to *testNode, dst netip.Addr) {
	var l net.Listener
	to.in(func() (err error) { l, err = net.Listen("tcp6", netip.AddrPortFrom(dst, 5001).String()); return err })
	defer l.Close()
	c := from.dial("tcp6", netip.AddrPortFrom(dst, 5001))
	c.SetDeadline(time.Time{})
	in, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		out := make([]byte, 256<<10)
		for ctx.Err() == nil {
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 256<<10)
	b.SetBytes(1 << 20)
	io.CopyBuffer(io.Discard, io.LimitReader(in, 16<<20), buf) // up to speed
	b.ResetTimer()
	io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(in, int64(b.N)<<20), buf)
	b.StopTimer()
	in.Close()
	c.Close()
}

package host

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/udp"
)

var (
	homeAddress4 = netip.MustParseAddr("192.0.2.10")
	agent4       = netip.MustParseAddr("198.51.100.1")
	careOf4      = netip.MustParseAddr("203.0.113.10")
	peer4        = netip.MustParseAddr("192.0.2.130")
)

// mobilePort is the UDP port that the mobile node has chosen.
const mobilePort = 40000

// An outside is what goes before inner packets.
type outside struct {
	name          string
	local, remote netip.Addr // of the mobile side
	udp           UDPPorts   // of the mobile side
	overhead      int        // octets
	in6, in4      func(b []byte) bool
}

var outsides = []outside{
	{name: "IPv6", local: careOf, remote: agent, overhead: 40,
		in6: func(b []byte) bool { return b[0]>>4 == 6 && b[6] == ipv6.Encapsulate && b[40]>>4 == 6 },
		in4: func(b []byte) bool { return b[0]>>4 == 6 && b[6] == ipv6.IPv4 && b[40]>>4 == 4 }},
	{name: "IPv4", local: careOf4, remote: agent4, overhead: 20,
		in6: func(b []byte) bool { return b[0]>>4 == 4 && b[9] == ipv4.IPv6 && b[20]>>4 == 6 },
		in4: func(b []byte) bool { return b[0]>>4 == 4 && b[9] == ipv4.Encapsulate && b[20]>>4 == 4 }},
	{name: "UDP", local: careOf4, remote: agent4, udp: UDPPorts{mobilePort, udp.EncapsulationPort}, overhead: 28,
		in6: func(b []byte) bool { return b[0]>>4 == 4 && b[9] == ipv4.UDP && b[28]>>4 == 6 },
		in4: func(b []byte) bool { return b[0]>>4 == 4 && b[9] == ipv4.UDP && b[28]>>4 == 4 }},
}

func (o outside) atMobile() Binding {
	return Binding{Inner: homeAddress, Inner4: homeAddress4, Local: o.local, Remote: o.remote, UDP: o.udp}
}

func (o outside) atAgent() Binding {
	return Binding{Inner: homeAddress, Inner4: homeAddress4, Local: o.remote, Remote: o.local, UDP: UDPPorts{o.udp.Remote, o.udp.Local}}
}

// newDualWorld is newWorld with IPv4 beside IPv6.
func newDualWorld(t testing.TB) *world {
	w := newWorld(t)
	w.mobile.address("wlan", "203.0.113.10/24")
	w.agent.address("core", "203.0.113.1/24")
	w.agent.address("lo", "198.51.100.1/32")
	w.agent.address("sgi", "192.0.2.129/25")
	w.peer.address("cn", "192.0.2.130/25")
	w.peer.route("0.0.0.0/0", "192.0.2.129", "cn")
	w.mobile.accessRoute("wlan", "203.0.113.10", "203.0.113.1")
	return w
}

func (w *world) bind(o outside) {
	w.setMobile(o.atMobile())
	w.agent.in(func() error { return w.atAgent.Set(o.atAgent()) })
}

func (w *world) setMobile(b Binding) {
	w.mobile.in(func() error { return w.atMobile.Set(b) })
}

func dualBound(t testing.TB, engine string, o outside) *world {
	w := newDualWorld(t)
	w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)
	w.bind(o)
	return w
}

// An inside is a family of inner packets.
type inside struct {
	name       string
	home, peer netip.Addr
	header     int // octets
}

var insides = []inside{{"IPv6", homeAddress, peer, ipv6.HeaderLen}, {"IPv4", homeAddress4, peer4, ipv4.HeaderLen}}

// carried says whether a packet on the wire is one of an inside in an outside.
func (o outside) carried(i inside) func(b []byte) bool {
	if i.home.Is4() {
		return o.in4
	}
	return o.in6
}

// eachWay runs f for every engine, outer header and inner family.
func eachWay(t *testing.T, f func(t *testing.T, engine string, o outside, i inside)) {
	for _, engine := range engines {
		for _, o := range outsides {
			for _, i := range insides {
				t.Run(fmt.Sprintf("%s/%s in %s", engine, i.name, o.name), func(t *testing.T) { f(t, engine, o, i) })
			}
		}
	}
}

func TestEachInnerFamilyGoesInEachOuterHeader(t *testing.T) {
	eachWay(t, func(t *testing.T, engine string, o outside, i inside) {
		w := dualBound(t, engine, o)
		wire, at := w.agent.ear("core"), w.peer.listenUDP(i.peer)
		c := w.mobile.dial("udp", netip.AddrPortFrom(i.peer, 5000)) // an unbound socket
		if got := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr(); got != i.home {
			t.Fatalf("an application's packets leave from %v, want the home address %v", got, i.home)
		}
		fmt.Fprint(c, "there")
		b := make([]byte, 100)
		n, from, err := at.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != "there" || from.Addr().Unmap() != i.home {
			t.Fatalf("peer got %q from %v, %v", b[:n], from, err)
		}
		at.WriteToUDPAddrPort([]byte("and back"), from)
		if n, err := c.Read(b); err != nil || string(b[:n]) != "and back" {
			t.Fatalf("mobile got %q, %v", b[:n], err)
		}
		for _, want := range [][2]netip.Addr{{o.local, o.remote}, {o.remote, o.local}} {
			wire.until(func(b []byte) bool {
				if isARP(b) || !o.carried(i)(b) {
					return false
				}
				src, dst := addresses(b)
				return src == want[0] && dst == want[1]
			}, nil)
		}
		want := "user"
		if engine == "kernel" && o.name == "IPv6" && i.name == "IPv6" {
			want = "kernel"
		}
		for _, of := range []*Tunnel{w.atMobile, w.atAgent} {
			if name, why := of.EngineOf(i.home); name != want || why == "" && engine != "user-veth" {
				t.Errorf("moved by engine %s because %q, want %s", name, why, want)
			}
		}
	})
}

func isARP(b []byte) bool { return b[0] == 0 }

// transfer sends octets over a TCP connection and says what is wrong with what comes.
func transfer(from, to *testNode, dst netip.Addr, size int) error {
	var l net.Listener
	to.in(func() (err error) { l, err = net.Listen("tcp", netip.AddrPortFrom(dst, 5001).String()); return err })
	defer l.Close()
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * i >> 8)
	}
	c := from.dial("tcp", netip.AddrPortFrom(dst, 5001))
	go func() {
		c.Write(data)
		c.Close()
	}()
	in, err := l.Accept()
	if err != nil {
		return err
	}
	defer in.Close()
	in.SetDeadline(time.Now().Add(patience))
	h := sha256.New()
	n, err := io.Copy(h, in)
	if want := sha256.Sum256(data); err != nil || n != int64(size) || !bytes.Equal(h.Sum(nil), want[:]) {
		return fmt.Errorf("got %d octets, %w; want %d with the same digest", n, err, size)
	}
	return nil
}

func TestLargeTransfersArriveWholeInEachOuterHeader(t *testing.T) {
	eachWay(t, func(t *testing.T, engine string, o outside, i inside) {
		w := dualBound(t, engine, o)
		if err := transfer(w.mobile, w.peer, i.peer, 5<<20); err != nil {
			t.Errorf("from the mobile: %v", err)
		}
		if err := transfer(w.peer, w.mobile, i.home, 5<<20); err != nil {
			t.Errorf("to the mobile: %v", err)
		}
	})
}

// A connection lives through changes of the outer header in each direction.
func TestAConnectionOutlivesChangesOfTheOuterHeader(t *testing.T) {
	for _, engine := range engines {
		for _, i := range insides {
			t.Run(engine+"/"+i.name, func(t *testing.T) {
				w := dualBound(t, engine, outsides[0])
				var l net.Listener
				w.peer.in(func() (err error) { l, err = net.Listen("tcp", netip.AddrPortFrom(i.peer, 5001).String()); return err })
				defer l.Close()
				c := w.mobile.dial("tcp", netip.AddrPortFrom(i.peer, 5001))
				in, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer in.Close()
				in.SetDeadline(time.Now().Add(patience))
				data := bytes.Repeat([]byte("0123456789abcdef"), 20000)
				got := make([]byte, len(data))
				for _, to := range []int{1, 2, 0, 2, 1, 0} {
					for _, way := range []struct{ from, to net.Conn }{{c, in}, {in, c}} {
						go way.from.Write(data)
						if _, err := io.ReadFull(way.to, got); err != nil || !bytes.Equal(got, data) {
							t.Fatalf("before the change to %s: %v", outsides[to].name, err)
						}
					}
					w.bind(outsides[to])
				}
			})
		}
	}
}

func TestTheMobileTakesWhatIsOnItsWayByTheFormerBinding(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			w := dualBound(t, engine, outsides[0])
			w.setMobile(outsides[2].atMobile())
			at, send := w.mobile.listenUDP(homeAddress), w.agent.rawSocket()
			b := make([]byte, 100)
			send(outer(t, agent, careOf, datagram(t, peer, homeAddress, "late")))
			if n, _, err := at.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != "late" {
				t.Errorf("the mobile got %q, %v", b[:n], err)
			}
			w.setMobile(outsides[1].atMobile())
			send(outer(t, agent, careOf, datagram(t, peer, homeAddress, "too late")))
			w.refusal(t, w.atMobile, "wrong-outer-source")
		})
	}
}

func TestOnlyTheIPv4HomeAddressIsUnbound(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			w := dualBound(t, engine, outsides[2])
			without := func(b Binding) Binding { b.Inner4 = netip.Addr{}; return b }
			w.setMobile(without(outsides[2].atMobile()))
			w.agent.in(func() error { return w.atAgent.Set(without(outsides[2].atAgent())) })
			if err := transfer(w.mobile, w.peer, peer, 1000); err != nil {
				t.Errorf("over IPv6: %v", err)
			}
			// An application keeps the address, and nothing goes out.
			c := w.mobile.dial("udp", netip.AddrPortFrom(peer4, 5000))
			if got := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr(); got != homeAddress4 {
				t.Errorf("packets leave from %v, want the IPv4 home address", got)
			}
			before := w.atAgent.Counters()
			fmt.Fprint(c, "nothing")
			if err := transfer(w.mobile, w.peer, peer, 1000); err != nil {
				t.Error(err)
			}
			if now := w.atAgent.Counters(); now.WrongInner != before.WrongInner || now.WrongOuter != before.WrongOuter {
				t.Errorf("%+v before, then %+v: something came", before, now)
			}
			w.mobile.must(w.atMobile.Release4())
			if w.mobile.isLocal(homeAddress4) {
				t.Error("the mobile still has the IPv4 home address")
			}
			w.bind(outsides[2])
			if err := transfer(w.mobile, w.peer, peer4, 1000); err != nil {
				t.Errorf("bound again, over IPv4: %v", err)
			}
			if w.atMobile.Release4() == nil {
				t.Error("a bound address was released")
			}
		})
	}
}

// RFC 5944, section 4.2: Mobile IPv4 knows no other home address.
func TestAnIPv4HomeAddressIsBoundAlone(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			w := newDualWorld(t)
			w.atAgent = w.agent.tunnel(engine, AgentSide)
			w.atMobile = w.mobile.tunnelOf(engine, TunnelConfig{Side: MobileSide, HomeAddress4: homeAddress4})
			alone := func(b Binding) Binding { b.Inner = netip.Addr{}; return b }
			o := outsides[1]
			w.mobile.in(func() error { return w.atMobile.Expect(alone(o.atMobile())) })
			w.setMobile(alone(o.atMobile()))
			w.agent.in(func() error { return w.atAgent.Set(alone(o.atAgent())) })
			wire := w.agent.ear("core")
			if err := transfer(w.mobile, w.peer, peer4, 100_000); err != nil {
				t.Fatal(err)
			}
			wire.until(o.in4, nil)
			if err := w.atAgent.Set(o.atAgent()); err == nil {
				t.Error("it is bound with another home address too")
			}
			// Another care-of address, which the agent learns last.
			w.mobile.address("wlan", "203.0.113.11/24")
			w.mobile.accessRoute("wlan", "203.0.113.11", "203.0.113.1")
			moved := o
			moved.local = netip.MustParseAddr("203.0.113.11")
			w.setMobile(alone(moved.atMobile()))
			w.agent.in(func() error { return w.atAgent.Set(alone(moved.atAgent())) })
			if err := transfer(w.mobile, w.peer, peer4, 1000); err != nil {
				t.Errorf("after a move: %v", err)
			}
			w.agent.must(w.atAgent.Clear(homeAddress4))
			if err := w.atAgent.Send(homeAddress4); err == nil {
				t.Error("there is a binding still")
			}
		})
	}
}

func TestWrongBindingsAreRefused(t *testing.T) {
	w := dualBound(t, "user", outsides[0])
	good := outsides[2].atAgent()
	for what, change := range map[string]func(b *Binding){
		"no home address":           func(b *Binding) { b.Inner = netip.Addr{} },
		"an IPv4 home address":      func(b *Binding) { b.Inner = homeAddress4 },
		"an IPv6 IPv4 home address": func(b *Binding) { b.Inner4 = homeAddress },
		"two families":              func(b *Binding) { b.Local = agent },
		"no remote":                 func(b *Binding) { b.Remote = netip.Addr{} },
		"UDP over IPv6":             func(b *Binding) { b.Local, b.Remote = agent, careOf },
		"one port":                  func(b *Binding) { b.UDP.Remote = 0 },
		"the IPv4 home address of another": func(b *Binding) {
			b.Inner = netip.MustParseAddr("2001:db8:100::66")
		},
	} {
		b := good
		change(&b)
		if w.atAgent.Set(b) == nil {
			t.Errorf("%s: it was set", what)
		}
	}
	if err := transfer(w.mobile, w.peer, peer, 1000); err != nil {
		t.Errorf("the binding there was is disturbed: %v", err)
	}
}

// Two mobile nodes speak with each other through the agent, by different outer
// headers.
func TestTwoMobileNodesSpeakThroughTheAgent(t *testing.T) {
	for _, engine := range engines {
		for n, o := range outsides {
			t.Run(engine+"/"+o.name, func(t *testing.T) {
				w := dualBound(t, engine, o)
				second := newNode(t)
				join(second, "wlan", w.agent, "core2")
				w.agent.address("core2", "2001:db8:201::1/64")
				w.agent.address("core2", "10.0.1.1/24")
				second.address("wlan", "2001:db8:201::10/64")
				second.address("wlan", "10.0.1.10/24")
				second.accessRoute("wlan", "2001:db8:201::10", "2001:db8:201::1")
				second.accessRoute("wlan", "10.0.1.10", "10.0.1.1")
				other := outsides[(n+1)%len(outsides)]
				other.local = map[bool]netip.Addr{true: netip.MustParseAddr("2001:db8:201::10"), false: netip.MustParseAddr("10.0.1.10")}[other.local.Is6()]
				home, home4 := netip.MustParseAddr("2001:db8:100::20"), netip.MustParseAddr("192.0.2.20")
				at, here := other.atAgent(), other.atMobile()
				at.Inner, at.Inner4, here.Inner, here.Inner4 = home, home4, home, home4
				w.agent.in(func() error { return w.atAgent.Set(at) })
				second.in(func() error {
					tunnel, err := second.NewTunnel(TunnelConfig{Engine: "user", Side: MobileSide, HomeAddress: home})
					if err != nil {
						return err
					}
					t.Cleanup(func() { tunnel.Close() })
					return tunnel.Set(here)
				})
				wire := w.agent.ear("core")
				for _, dst := range []netip.Addr{home, home4} {
					if err := transfer(w.mobile, second, dst, 1<<20); err != nil {
						t.Errorf("to %v: %v", dst, err)
					}
				}
				for _, dst := range []netip.Addr{homeAddress, homeAddress4} {
					if err := transfer(second, w.mobile, dst, 1<<20); err != nil {
						t.Errorf("to %v: %v", dst, err)
					}
				}
				const last = "that was all"
				fmt.Fprint(second.dial("udp", netip.AddrPortFrom(homeAddress4, 9)), last)
				wire.until(func(b []byte) bool { return bytes.HasSuffix(b, []byte(last)) }, func(b []byte) {
					if isARP(b) || !o.in4(b) {
						return
					}
					if inner := b[o.overhead:]; inner[9] == ipv4.ICMP && inner[headerOf4(inner)] == 5 {
						t.Errorf("a redirect: %x", inner)
					}
				})
			})
		}
	}
}

package host

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/translate"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/udp"
)

// natOutside is the address that the mobile node's packets get.
var natOutside = netip.MustParseAddr("203.0.113.1")

// newNATWorld is a world whose mobile node is behind a NAT with ports outside:
//
//	mobile --wlan-- nat --wan-- agent --sgi-- peer
func newNATWorld(t testing.TB) (w *world, nat *testNode) {
	w = &world{mobile: newNode(t), agent: newNode(t), peer: newNode(t)}
	nat = newNode(t)
	join(w.mobile, "wlan", nat, "inside")
	join(nat, "wan", w.agent, "core")
	join(w.agent, "sgi", w.peer, "cn")
	w.mobile.address("wlan", "10.0.0.10/24")
	nat.address("inside", "10.0.0.1/24")
	nat.address("wan", "203.0.113.1/24")
	w.agent.address("core", "203.0.113.2/24")
	w.agent.address("lo", "198.51.100.1/32")
	w.agent.address("lo", "2001:db8:100::1/128")
	w.agent.address("sgi", "2001:db8:500::1/64")
	w.agent.address("sgi", "192.0.2.129/25")
	w.peer.address("cn", "2001:db8:500::2/64")
	w.peer.address("cn", "192.0.2.130/25")
	w.peer.route("default", "2001:db8:500::1", "cn")
	w.peer.route("0.0.0.0/0", "192.0.2.129", "cn")
	w.mobile.accessRoute("wlan", "10.0.0.10", "10.0.0.1")
	nat.route("198.51.100.1/32", "203.0.113.2", "wan")
	for _, n := range []*testNode{nat, w.agent} {
		n.in(func() error { return n.SetForwarding(true) })
	}
	return w, nat
}

// translates makes the node translate to some ports, and forget what it did before.
func (n *testNode) translates(first, last uint16) {
	n.t.Helper()
	var unable error
	n.in(func() error {
		err := translate.Start(translate.Translation{
			Inside: []string{"inside"}, Outside: []translate.Outside{{Device: "wan", Address: natOutside}},
			Ports: translate.Ports{First: first, Last: last}, Random: true, UDPTimeout: time.Minute,
		})
		if errors.Is(err, translate.ErrUnable) {
			unable = err
			return nil
		}
		return errors.Join(err, translate.Forget())
	})
	if unable != nil {
		netnstest.Lacking(n.t, "nat", unable)
	}
}

func TestATunnelBehindANATLivesThroughAChangeOfItsPort(t *testing.T) {
	for _, engine := range engines {
		for _, i := range insides {
			t.Run(engine+"/"+i.name, func(t *testing.T) {
				w, nat := newNATWorld(t)
				nat.translates(20000, 20010)
				w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)
				atMobile, atAgent := mobilityPort(t, w.mobile, homeAddress), mobilityPort(t, w.agent, agent)
				w.mobile.listenOn(atMobile, mobilePort)
				w.agent.listenOn(atAgent, udp.EncapsulationPort)
				inside := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.10"), mobilePort)
				agentPort := netip.AddrPortFrom(agent4, udp.EncapsulationPort)
				// update is a Binding Update and what the two ends make of it.
				update := func() netip.AddrPort {
					t.Helper()
					w.mobile.must(atMobile.SendUDP("", inside, agentPort, signal(t, homeAddress, agent, ipv6.Packet{})))
					got, err := atAgent.ReceiveUDP()
					if err != nil || len(got) != 1 || got[0].From.Addr() != natOutside {
						t.Fatalf("the agent got %+v, %v", got, err)
					}
					w.agent.in(func() error {
						return w.atAgent.Set(Binding{Inner: homeAddress, Inner4: homeAddress4, Local: agent4, Remote: got[0].From.Addr(),
							UDP: UDPPorts{udp.EncapsulationPort, got[0].From.Port()}})
					})
					w.setMobile(Binding{Inner: homeAddress, Inner4: homeAddress4, Local: inside.Addr(), Remote: agent4,
						UDP: UDPPorts{mobilePort, udp.EncapsulationPort}})
					w.agent.must(atAgent.SendUDP("", agentPort, got[0].From, signal(t, agent, homeAddress, ipv6.Packet{})))
					if back, err := atMobile.ReceiveUDP(); err != nil || len(back) != 1 || back[0].From != agentPort || back[0].To != inside {
						t.Fatalf("the mobile got %+v, %v", back, err)
					}
					return got[0].From
				}
				if from := update(); from.Port() < 20000 || from.Port() > 20010 {
					t.Fatalf("the NAT made %v of it", from)
				}
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
				both := func() {
					t.Helper()
					data := bytes.Repeat([]byte("0123456789abcdef"), 50000)
					got := make([]byte, len(data))
					for _, way := range []struct{ from, to net.Conn }{{c, in}, {in, c}} {
						go way.from.Write(data)
						if _, err := io.ReadFull(way.to, got); err != nil || !bytes.Equal(got, data) {
							t.Fatal(err)
						}
					}
				}
				both()

				nat.translates(30000, 30010)
				c.Write([]byte("by another port"))
				r := <-w.atAgent.Refusals()
				if r.Reason != "wrong-outer-source" || r.Outer != natOutside || r.Port < 30000 || r.Port > 30010 || r.Inner != i.home {
					t.Errorf("refused %+v", r)
				}
				if from := update(); from.Port() < 30000 || from.Port() > 30010 {
					t.Fatalf("the NAT made %v of it", from)
				}
				late := make([]byte, len("by another port"))
				if _, err := io.ReadFull(in, late); err != nil || string(late) != "by another port" {
					t.Fatalf("the peer got %q, %v", late, err)
				}
				both()
			})
		}
	}
}

// Two mobile nodes behind one NAT differ by their ports alone.
func TestTwoMobileNodesBehindOneNATAreToldApart(t *testing.T) {
	w, nat := newNATWorld(t)
	nat.translates(20000, 20100)
	second := newNode(t)
	join(second, "wlan", nat, "inside2")
	nat.address("inside2", "10.0.1.1/24")
	second.address("wlan", "10.0.1.10/24")
	second.accessRoute("wlan", "10.0.1.10", "10.0.1.1")
	nat.in(func() error {
		return translate.Start(translate.Translation{
			Inside: []string{"inside", "inside2"}, Outside: []translate.Outside{{Device: "wan", Address: natOutside}},
			Ports: translate.Ports{First: 20000, Last: 20100}, UDPTimeout: time.Minute,
		})
	})
	w.atAgent = w.agent.tunnel("user", AgentSide)
	atAgent := mobilityPort(t, w.agent, agent)
	w.agent.listenOn(atAgent, udp.EncapsulationPort)
	agentPort := netip.AddrPortFrom(agent4, udp.EncapsulationPort)
	homes := []netip.Addr{homeAddress, netip.MustParseAddr("2001:db8:100::20")}
	for n, of := range []struct {
		*testNode
		careOf string
	}{{w.mobile, "10.0.0.10"}, {second, "10.0.1.10"}} {
		var tunnel *Tunnel
		of.in(func() (err error) {
			tunnel, err = of.NewTunnel(TunnelConfig{Engine: "user", Side: MobileSide, HomeAddress: homes[n]})
			return err
		})
		t.Cleanup(func() { tunnel.Close() })
		port := mobilityPort(t, of.testNode, homes[n])
		of.listenOn(port, mobilePort)
		from := netip.AddrPortFrom(netip.MustParseAddr(of.careOf), mobilePort)
		of.must(port.SendUDP("", from, agentPort, signal(t, homes[n], agent, ipv6.Packet{})))
		got, err := atAgent.ReceiveUDP()
		if err != nil || len(got) != 1 {
			t.Fatalf("got %+v, %v", got, err)
		}
		w.agent.in(func() error {
			return w.atAgent.Set(Binding{Inner: homes[n], Local: agent4, Remote: natOutside, UDP: UDPPorts{udp.EncapsulationPort, got[0].From.Port()}})
		})
		of.in(func() error {
			return tunnel.Set(Binding{Inner: homes[n], Local: from.Addr(), Remote: agent4, UDP: UDPPorts{mobilePort, udp.EncapsulationPort}})
		})
	}
	for n, of := range []*testNode{w.mobile, second} {
		if err := transfer(of, w.peer, peer, 1<<20); err != nil {
			t.Errorf("mobile %d: %v", n, err)
		}
		if err := transfer(w.peer, of, homes[n], 1<<20); err != nil {
			t.Errorf("to mobile %d: %v", n, err)
		}
	}
	if c := w.atAgent.Counters(); c.WrongInner+c.WrongOuter != 0 {
		t.Errorf("refused %+v", c)
	}
}

package host

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"testing"

	"s2clab/nodes/wire/icmp4"
	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/udp"
)

func (n *testNode) listenOn(p *MobilityPort, port uint16) {
	n.t.Helper()
	n.in(func() error { return p.ListenUDP(port) })
}

// signal is a mobility header between two addresses, with more in the packet.
func signal(t testing.TB, src, dst netip.Addr, more ipv6.Packet) []byte {
	more.Src, more.Dst, more.Next, more.Payload = src, dst, ipv6.Mobility, []byte{59, 0, 5, 0, 0, 0, 0, 0}
	return packet(t, more)
}

func TestSignallingInUDPGoesBothWaysAndBesideTheTunnel(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			w := newDualWorld(t)
			atMobile, atAgent := mobilityPort(t, w.mobile, homeAddress), mobilityPort(t, w.agent, agent)
			w.mobile.listenOn(atMobile, mobilePort)
			w.agent.listenOn(atAgent, udp.EncapsulationPort)
			w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)

			update := signal(t, homeAddress, agent, ipv6.Packet{})
			from, to := netip.AddrPortFrom(careOf4, mobilePort), netip.AddrPortFrom(agent4, udp.EncapsulationPort)
			w.mobile.must(atMobile.SendUDP("", from, to, update))
			got, err := atAgent.ReceiveUDP()
			if err != nil || len(got) != 1 || got[0].Dev != "core" || got[0].From != from || got[0].To != to || !bytes.Equal(got[0].Packet, update) {
				t.Fatalf("the agent got %+v, %v", got, err)
			}
			w.bind(outsides[2])
			// An acknowledgement with a routing header, as RFC 5555, section 4.5, has it too.
			answer := signal(t, agent, homeAddress, ipv6.Packet{RoutingHome: homeAddress, SegmentsLeft: 1})
			w.agent.must(atAgent.SendUDP("core", got[0].To, got[0].From, answer))
			back, err := atMobile.ReceiveUDP()
			if err != nil || len(back) != 1 || back[0].Dev != "wlan" || back[0].From != to || !bytes.Equal(back[0].Packet, answer) {
				t.Fatalf("the mobile got %+v, %v", back, err)
			}
			if err := transfer(w.mobile, w.peer, peer, 100_000); err != nil {
				t.Error(err)
			}
			// A mobility header to somebody else is tunnelled: RFC 6275, section 11.6.1.
			wire := w.peer.ear("cn")
			w.mobile.must(atMobile.SendUDP("", from, to, signal(t, homeAddress, peer, ipv6.Packet{})))
			wire.until(func(b []byte) bool { return b[0]>>4 == 6 && b[6] == ipv6.Mobility }, nil)

			// The tunnel keeps the port when the mobility port leaves it.
			atAgent.IgnoreUDP(udp.EncapsulationPort)
			if err := transfer(w.mobile, w.peer, peer4, 100_000); err != nil {
				t.Error(err)
			}
			atAgent.Close()
			if _, err := atAgent.ReceiveUDP(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("got %v after Close", err)
			}
			if atMobile.SendUDP("", netip.AddrPortFrom(careOf4, 4), to, update) == nil {
				t.Error("no error for a port that is not listened to")
			}
		})
	}
}

func TestTheKernelAnswersNothingThatComesToThePort(t *testing.T) {
	w := newDualWorld(t)
	atAgent := mobilityPort(t, w.agent, agent)
	w.agent.listenOn(atAgent, udp.EncapsulationPort)
	w.atAgent = w.agent.tunnel("user", AgentSide)
	wire, send := w.mobile.ear("wlan"), w.mobile.rawSocket()
	inUDP := func(port uint16, payload []byte) []byte {
		b, err := udp.Append(nil, &udp.Datagram{Src: mobilePort, Dst: port, Payload: payload}, careOf4, agent4)
		if err != nil {
			t.Fatal(err)
		}
		return packet4(t, ipv4.Packet{Src: careOf4, Dst: agent4, Protocol: ipv4.UDP, Payload: b})
	}
	inner := datagram(t, homeAddress, peer, "x")
	for _, b := range [][]byte{
		inUDP(udp.EncapsulationPort, nil),
		inUDP(udp.EncapsulationPort, []byte{0x60}),
		inUDP(udp.EncapsulationPort, []byte{0x45, 0}),
		inUDP(udp.EncapsulationPort, []byte{0xff, 0xff, 0xff}),
		inUDP(udp.EncapsulationPort, inner),
		inUDP(udp.EncapsulationPort, inner[:41]),
		inUDP(udp.EncapsulationPort, signal(t, homeAddress, peer, ipv6.Packet{})),
		packet4(t, ipv4.Packet{Src: careOf4, Dst: agent4, Protocol: ipv4.IPv6, Payload: inner}),
		packet4(t, ipv4.Packet{Src: careOf4, Dst: agent4, Protocol: ipv4.IPv6, Payload: []byte{0x45}}),
		packet4(t, ipv4.Packet{Src: careOf4, Dst: agent4, Protocol: ipv4.Encapsulate, Payload: inner}),
		packet4(t, ipv4.Packet{Src: careOf4, Dst: agent4, Protocol: ipv4.Encapsulate}),
		packet4(t, ipv4.Packet{Src: careOf4, Dst: agent4, Protocol: ipv4.Encapsulate, Options: make([]byte, 40), Payload: []byte{0x4f, 0}}),
		packet(t, ipv6.Packet{Src: careOf, Dst: agent, Next: ipv6.IPv4, Payload: []byte{0x45, 1, 2, 3}}),
	} {
		send(b)
	}
	send(inUDP(9, nil)) // which is answered
	wire.until(func(b []byte) bool {
		return b[0]>>4 == 4 && b[9] == ipv4.ICMP && [4]byte(b[12:]) == agent4.As4() && b[50] == 0 && b[51] == 9
	}, func(b []byte) {
		if b[0]>>4 == 4 && b[9] == ipv4.ICMP || b[0]>>4 == 6 && b[6] == ipv6.ICMPv6 && b[40] < 128 {
			t.Errorf("answered with %x", b)
		}
	})
	// All but an empty datagram were counted: nothing is bound.
	for c := w.atAgent.Counters(); c.WrongOuter+c.WrongInner < 9; c = w.atAgent.Counters() {
		<-w.atAgent.Refusals()
	}
}

func packet4(t testing.TB, p ipv4.Packet) []byte {
	if p.TTL == 0 {
		p.TTL = 64
	}
	b, err := ipv4.Append(nil, &p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func datagram4(t testing.TB, src, dst netip.Addr, text string) []byte {
	b, err := udp.Append(nil, &udp.Datagram{Src: 5000, Dst: 5000, Payload: []byte(text)}, src, dst)
	if err != nil {
		t.Fatal(err)
	}
	return packet4(t, ipv4.Packet{Src: src, Dst: dst, Protocol: ipv4.UDP, Payload: b})
}

// hand puts an inner packet into an outer header from src to the agent.
func (o outside) hand(t testing.TB, src netip.Addr, port uint16, inner []byte) []byte {
	protocol := uint8(ipv6.Encapsulate)
	if inner[0]>>4 == 4 {
		protocol = ipv6.IPv4
	}
	switch {
	case src.Is6():
		return packet(t, ipv6.Packet{Src: src, Dst: o.remote, Next: protocol, Payload: inner})
	case o.udp != UDPPorts{}:
		b, err := udp.Append(nil, &udp.Datagram{Src: port, Dst: udp.EncapsulationPort, Payload: inner}, src, o.remote)
		if err != nil {
			t.Fatal(err)
		}
		protocol, inner = ipv4.UDP, b
	}
	return packet4(t, ipv4.Packet{Src: src, Dst: o.remote, Protocol: protocol, Payload: inner})
}

func TestTheAgentTakesOnlyPacketsOfTheBindingInEachOuterHeader(t *testing.T) {
	eachWay(t, func(t *testing.T, engine string, o outside, i inside) {
		w := dualBound(t, engine, o)
		attacker, stranger := "203.0.113.66", "203.0.113.77"
		if o.local.Is6() {
			attacker, stranger = "2001:db8:200::66", "2001:db8:200::77"
		}
		for _, a := range []string{attacker, stranger} {
			w.mobile.address("wlan", a+map[bool]string{true: "/64", false: "/24"}[o.local.Is6()])
			w.mobile.accessRoute("wlan", a, map[bool]string{true: "2001:db8:200::1", false: "203.0.113.1"}[o.local.Is6()])
		}
		other := o.atAgent()
		other.Inner, other.Inner4 = netip.MustParseAddr("2001:db8:100::66"), netip.MustParseAddr("192.0.2.66")
		other.Remote = netip.MustParseAddr(attacker)
		w.agent.in(func() error { return w.atAgent.Set(other) })
		at, send := w.peer.listenUDP(i.peer), w.mobile.rawSocket()
		inner := func(src netip.Addr, text string) []byte {
			if src.Is4() {
				return datagram4(t, src, i.peer, text)
			}
			return datagram(t, src, i.peer, text)
		}
		foreign := careOf
		if i.home.Is4() {
			foreign = careOf4
		}
		type wrong struct {
			what, reason string
			packet       []byte
		}
		wrongs := []wrong{
			{"another outer source", "wrong-outer-source", o.hand(t, netip.MustParseAddr(stranger), mobilePort, inner(i.home, "bad"))},
			{"the home address of another binding", "wrong-inner-address", o.hand(t, netip.MustParseAddr(attacker), mobilePort, inner(i.home, "bad"))},
			{"a source that is no home address", "wrong-inner-address", o.hand(t, o.local, mobilePort, inner(foreign, "bad"))},
		}
		if o.name == "UDP" {
			wrongs = append(wrongs,
				wrong{"another port", "wrong-outer-source", o.hand(t, o.local, mobilePort+1, inner(i.home, "bad"))},
				wrong{"no UDP", "wrong-outer-source", outsides[1].hand(t, o.local, 0, inner(i.home, "bad"))})
		}
		b := make([]byte, 100)
		for _, wrong := range wrongs {
			send(wrong.packet)
			send(o.hand(t, o.local, mobilePort, inner(i.home, "good")))
			n, _, err := at.ReadFromUDPAddrPort(b)
			if err != nil || string(b[:n]) != "good" {
				t.Errorf("%s: the peer got %q, %v", wrong.what, b[:n], err)
			}
			w.refusal(t, w.atAgent, wrong.reason)
		}
	})
}

// The DS field goes out with a packet, and congestion that was met comes in.
func TestECNGoesThroughTheTunnel(t *testing.T) {
	for _, o := range outsides {
		for _, i := range insides {
			t.Run(i.name+" in "+o.name, func(t *testing.T) {
				w := dualBound(t, "user", o)
				wire, inside := w.agent.ear("core"), w.peer.ear("cn")
				inner := datagram(t, homeAddress, peer, "x")
				if i.home.Is4() {
					inner = datagram4(t, homeAddress4, peer4, "x")
				}
				with := func(class uint8) []byte { // in an inner packet
					b := bytes.Clone(inner)
					setClass(b, class)
					return b
				}
				const expedited = 46 << 2
				send := w.mobile.rawSocket()
				send(with(expedited | ect0)) // which the mobile's routes lead into the tunnel
				wire.until(func(b []byte) bool { return !isARP(b) && o.carried(i)(b) && classOf(b) == expedited|ect0 }, nil)
				arrives := func(class uint8) {
					t.Helper()
					inside.until(func(b []byte) bool {
						src, dst := netip.Addr{}, netip.Addr{}
						if !isARP(b) && isIP(b) {
							src, dst = addresses(b)
						}
						return src == i.home && dst == i.peer && classOf(b) == class
					}, nil)
				}
				arrives(expedited | ect0)
				met := func(inner, outer uint8) {
					b := o.hand(t, o.local, mobilePort, with(inner))
					setClass(b, outer)
					send(b)
				}
				met(expedited|ect0, ecnCE)
				arrives(expedited | ecnCE)
				met(ect0, ect1)
				arrives(ect1)
				met(notECT, ecnCE)
				met(ect1, ect0)
				arrives(ect1)
				if c := w.atAgent.Counters(); c.Congested != 1 {
					t.Errorf("%d packets dropped for congestion, want 1", c.Congested)
				}
			})
		}
	}
}

func TestATypeOfServiceChangesWithItsChecksum(t *testing.T) {
	b := packet4(t, ipv4.Packet{Src: careOf4, Dst: agent4, TOS: 1})
	for class := range 256 {
		setClass(b, uint8(class))
		if p, err := ipv4.Parse(b); err != nil || p.TOS != uint8(class) {
			t.Fatalf("class %d: %+v, %v", class, p, err)
		}
	}
	six := packet(t, ipv6.Packet{Src: careOf, Dst: agent, FlowLabel: 0xabcde, TrafficClass: 1, Next: ipv6.NoNext})
	for class := range 256 {
		setClass(six, uint8(class))
		if p, err := ipv6.Parse(six); err != nil || p.TrafficClass != uint8(class) || p.FlowLabel != 0xabcde {
			t.Fatalf("class %d: %+v, %v", class, p, err)
		}
	}
}

// FuzzHostileErrors4 has routers say anything about outer packets of IPv4.
func FuzzHostileErrors4(f *testing.F) {
	bindings := map[netip.Addr]*binding{}
	tunnel := &Tunnel{cfg: TunnelConfig{Side: AgentSide}, byInner: bindings}
	for n, o := range outsides[1:] {
		b := o.atAgent()
		b.Inner, b.Inner4 = netip.AddrFrom16([16]byte{0x20, 1, 15: byte(n)}), netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
		of := &binding{Binding: b, mtu: usualMTU}
		for _, inner := range of.inners() {
			bindings[inner] = of
			x := datagram4(f, peer4, b.Inner4, "hello")
			if inner.Is6() {
				x = datagram(f, peer, inner, "hello")
			}
			outer := packet4(f, ipv4.Packet{Src: b.Local, Dst: b.Remote, Protocol: ipv4.IPv6, Payload: x})
			for _, e := range []icmp4.Error{
				{Type: icmp4.Unreachable, Code: icmp4.FragmentationNeeded, Rest: 1300, Invoking: outer},
				{Type: icmp4.Unreachable, Code: icmp4.FragmentationNeeded, Invoking: outer[:28]},
				{Type: icmp4.TimeExceeded, Invoking: outer},
			} {
				message, err := icmp4.Append(nil, &e)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(packet4(f, ipv4.Packet{Src: agent4, Dst: b.Local, Protocol: ipv4.ICMP, Payload: message}))
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := tunnel.complaint4(b)
		if c == nil {
			return
		}
		if c.tooBig && c.mtu < smallestMTU4 {
			t.Fatalf("a path of %d octets is believed", c.mtu)
		}
		for _, from := range []netip.Addr{agent, agent4} {
			if len(c.inner) > 0 {
				if p := c.toInnerSource(from); p != nil && (!isIP(p) || len(p) > smallestMTU) {
					t.Fatalf("passed on as %x", p)
				}
			}
		}
	})
}

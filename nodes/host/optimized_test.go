package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/ipv6"
)

// An optimizing is a node that does route optimization.
type optimizing struct {
	*testNode
	*Optimizer
	port *MobilityPort
	left chan Datagram // what Receive gives, cloned
}

func (n *testNode) optimizes(device func(string) (*packetDevice, error), own ...netip.Addr) *optimizing {
	n.t.Helper()
	if device == nil {
		device = n.openPacketDevice
	}
	o := &optimizing{testNode: n, left: make(chan Datagram, 64)}
	n.in(func() (err error) {
		if o.port, err = n.MobilityPort(own...); err != nil {
			return err
		}
		o.Optimizer, err = o.port.optimize(device)
		return err
	})
	n.t.Cleanup(func() { o.port.Close(); o.Optimizer.Close() })
	go func() {
		for {
			got, err := o.port.Receive()
			if err != nil {
				return
			}
			for _, d := range got {
				d.Packet = slices.Clone(d.Packet)
				o.left <- d
			}
		}
	}()
	return o
}

// leaves waits for what the port leaves to others.
func (o *optimizing) leaves() Datagram {
	o.t.Helper()
	select {
	case d := <-o.left:
		return d
	case <-time.After(patience):
		o.t.Fatal("the port has left nothing")
		return Datagram{}
	}
}

// optimizedWorld is a world with an optimised route between mobile and peer.
func optimizedWorld(t testing.TB, engine string) (w *world, mobile, correspondent *optimizing) {
	w = newWorld(t)
	w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)
	w.bind(outsides[0])
	mobile, correspondent = w.optimize(engine)
	return w, mobile, correspondent
}

func (w *world) optimize(engine string) (mobile, correspondent *optimizing) {
	var ofMobile, ofPeer func(string) (*packetDevice, error)
	if engine == "user-veth" {
		ofMobile, ofPeer = w.mobile.openVethDevice, w.peer.openVethDevice
	}
	mobile, correspondent = w.mobile.optimizes(ofMobile, homeAddress, careOf), w.peer.optimizes(ofPeer, peer)
	w.mobile.must(
		mobile.SetHome(homeAddress),
		mobile.SetCareOf(homeAddress, peer, careOf),
		correspondent.SetPeerCareOf(peer, homeAddress, careOf))
	return mobile, correspondent
}

// isDirect says whether a packet has the headers of route optimization and both ends
// that it should.
func isDirect(b []byte) bool {
	p, err := ipv6.Parse(b)
	return err == nil && (p.Src == careOf && p.Dst == peer && p.HomeAddress == homeAddress && !p.RoutingHome.IsValid() ||
		p.Src == peer && p.Dst == careOf && p.RoutingHome == homeAddress && p.SegmentsLeft == 1 && !p.HomeAddress.IsValid())
}

func TestApplicationsTalkDirectlyAndDoNotSeeIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w, _, _ := optimizedWorld(t, engine)
		wire, at := w.agent.ear("core"), w.peer.listenUDP(peer)
		c := w.mobile.dial("udp", netip.AddrPortFrom(peer, 5000)) // an unbound socket
		if got := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr(); got != homeAddress {
			t.Fatalf("an application's packets leave from %v, want the home address", got)
		}
		b := make([]byte, 100)
		fmt.Fprint(c, "there")
		n, from, err := at.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != "there" || from.Addr() != homeAddress {
			t.Fatalf("peer got %q from %v, %v", b[:n], from, err)
		}
		at.WriteToUDPAddrPort([]byte("and back"), from)
		if n, err := c.Read(b); err != nil || string(b[:n]) != "and back" {
			t.Fatalf("mobile got %q, %v", b[:n], err)
		}
		for range 2 {
			wire.until(isDirect, func(b []byte) {
				if b[0]>>4 == 6 && b[6] == ipv6.Encapsulate {
					t.Errorf("by way of the home agent: %x", b)
				}
			})
		}
		if err := transfer(w.mobile, w.peer, peer, 5<<20); err != nil {
			t.Errorf("from the mobile: %v", err)
		}
		if err := transfer(w.peer, w.mobile, homeAddress, 5<<20); err != nil {
			t.Errorf("to the mobile: %v", err)
		}
	})
}

// datagrams sends large UDP datagrams, which go in fragments, each way.
func (w *world) datagrams(t *testing.T, sizes ...int) {
	t.Helper()
	at := w.peer.listenUDP(peer)
	c := w.mobile.dial("udp", netip.AddrPortFrom(peer, 5000))
	got := make([]byte, 70000)
	for _, size := range sizes {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(rand.Uint32())
		}
		c.Write(data)
		n, from, err := at.ReadFromUDPAddrPort(got)
		if err != nil || !bytes.Equal(got[:n], data) {
			t.Fatalf("peer got %d octets, %v; want %d", n, err, size)
		}
		at.WriteToUDPAddrPort(data, from)
		if n, err = c.Read(got); err != nil || !bytes.Equal(got[:n], data) {
			t.Fatalf("mobile got %d octets, %v; want %d", n, err, size)
		}
	}
}

func TestDatagramsOfEachSizeGoDirectly(t *testing.T) {
	w, _, _ := optimizedWorld(t, "user")
	wire := w.agent.ear("core")
	w.datagrams(t, 1, 1200, 1428, 1429, 1500, 20000, 60000)
	w.mobile.dial("udp", netip.AddrPortFrom(peer, 5000)).Write([]byte("the end"))
	wire.until(func(b []byte) bool { return bytes.HasSuffix(b, []byte("the end")) }, func(b []byte) {
		if b[0]>>4 == 6 && (b[6] == ipv6.UDP || b[6] == ipv6.TCP || b[6] == ipv6.Fragment || b[6] == ipv6.Encapsulate) {
			t.Errorf("not by the optimised route: header %d", b[6])
		}
		if len(b) > 1500 {
			t.Errorf("%d octets on the wire", len(b))
		}
	})
}

// Some path is narrower than the links of both ends: the router before it says so,
// and both go on, with fragments where there is nothing shorter to ask for.
func TestANarrowPathIsFoundAndKeptTo(t *testing.T) {
	for _, narrow := range []int{1400, 1290, 1280} {
		t.Run(fmt.Sprint(narrow), func(t *testing.T) {
			w, router := newRoutedWorld(t, narrow)
			w.agent.setMTU("up", narrow)
			router.route("2001:db8:500::/64", "2001:db8:300::2", "core")
			w.tunnels("user", outsides[0])
			mobile, correspondent := w.optimize("user")
			wire := router.ear("core")
			if err := transfer(w.mobile, w.peer, peer, 1<<20); err != nil {
				t.Errorf("from the mobile: %v", err)
			}
			if err := transfer(w.peer, w.mobile, homeAddress, 1<<20); err != nil {
				t.Errorf("to the mobile: %v", err)
			}
			w.mobile.pathTo(homeAddress, peer, max(narrow-mobilityLen, smallestMTU))
			w.peer.pathTo(peer, homeAddress, max(narrow-mobilityLen, smallestMTU))
			for _, o := range []*optimizing{mobile, correspondent} {
				o.mu.RLock()
				for e, r := range o.routes {
					if r.mtu != narrow {
						t.Errorf("the path from %v to %v carries %d octets, want %d", e.own, e.peer, r.mtu, narrow)
					}
				}
				o.mu.RUnlock()
			}
			w.datagrams(t, 1232, 1216, 20000)
			w.mobile.dial("udp", netip.AddrPortFrom(peer, 5000)).Write([]byte("the end"))
			wire.until(func(b []byte) bool { return bytes.HasSuffix(b, []byte("the end")) }, func(b []byte) {
				if len(b) > narrow {
					t.Errorf("%d octets on a wire for %d", len(b), narrow)
				}
			})
		})
	}
}

// What the device is given too long, though its route says how long it may be, is
// answered by a Packet Too Big.
func TestAPacketThatDoesNotFitIsAnsweredBeforeItLeaves(t *testing.T) {
	w, mobile, _ := optimizedWorld(t, "user")
	mobile.mu.Lock()
	for _, r := range mobile.routes {
		r.mtu = 1300 // and the route does not know yet
	}
	mobile.mu.Unlock()
	w.mobile.pathTo(homeAddress, peer, smallestMTU)
}

func TestOnlyPacketsOfABindingReachApplications(t *testing.T) {
	w, mobile, correspondent := optimizedWorld(t, "user")
	stranger := netip.MustParseAddr("2001:db8:200::66")
	w.agent.address("core", "2001:db8:200::66/64")
	atPeer, atMobile := w.peer.listenUDP(peer), w.mobile.listenUDP(homeAddress)
	send := w.agent.rawSocket()
	upper := func(src, dst netip.Addr, text string) []byte {
		return datagram(t, src, dst, text)[ipv6.HeaderLen:]
	}
	for what, b := range map[string][]byte{
		"a home address with another care-of address": packet(t, ipv6.Packet{Src: stranger, Dst: peer, HomeAddress: homeAddress, Next: ipv6.UDP, Payload: upper(homeAddress, peer, hostileText)}),
		"a home address that nobody has bound":        packet(t, ipv6.Packet{Src: careOf, Dst: peer, HomeAddress: stranger, Next: ipv6.UDP, Payload: upper(stranger, peer, hostileText)}),
		"a home address of the correspondent itself":  packet(t, ipv6.Packet{Src: careOf, Dst: peer, HomeAddress: peer, Next: ipv6.UDP, Payload: upper(peer, peer, hostileText)}),
		"a home address and a routing header":         packet(t, ipv6.Packet{Src: careOf, Dst: peer, HomeAddress: homeAddress, RoutingHome: peer, SegmentsLeft: 1, Next: ipv6.UDP, Payload: upper(homeAddress, peer, hostileText)}),
	} {
		send(b)
		if got := correspondent.leaves(); !bytes.Equal(got.Packet, b) {
			t.Errorf("%s: the port left %x, want the packet", what, got.Packet)
		}
	}
	for what, b := range map[string][]byte{
		"a routing header to another address": packet(t, ipv6.Packet{Src: peer, Dst: careOf, RoutingHome: stranger, SegmentsLeft: 1, Next: ipv6.UDP, Payload: upper(peer, stranger, hostileText)}),
		"a routing header without a segment":  packet(t, ipv6.Packet{Src: peer, Dst: careOf, RoutingHome: homeAddress, Next: ipv6.UDP, Payload: upper(peer, careOf, hostileText)}),
		"a routing header and a home address": packet(t, ipv6.Packet{Src: peer, Dst: careOf, RoutingHome: homeAddress, SegmentsLeft: 1, HomeAddress: stranger, Next: ipv6.UDP, Payload: upper(stranger, homeAddress, hostileText)}),
	} {
		send(b)
		if got := mobile.leaves(); !bytes.Equal(got.Packet, b) {
			t.Errorf("%s: the port left %x, want the packet", what, got.Packet)
		}
	}
	// What comes next is the first that arrives.
	send(packet(t, ipv6.Packet{Src: careOf, Dst: peer, HomeAddress: homeAddress, Next: ipv6.UDP, Payload: upper(homeAddress, peer, "good")}))
	send(packet(t, ipv6.Packet{Src: stranger, Dst: careOf, RoutingHome: homeAddress, SegmentsLeft: 1, Next: ipv6.UDP, Payload: upper(stranger, homeAddress, "good")}))
	b := make([]byte, 100)
	for _, at := range []*net.UDPConn{atPeer, atMobile} {
		if n, from, err := at.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != "good" {
			t.Errorf("%v got %q from %v, %v", at.LocalAddr(), b[:n], from, err)
		}
	}
}

const hostileText = "hostile"

// Octets that are no packet, or one cut short, do no harm and reach nobody.
func FuzzOptimizedPackets(f *testing.F) {
	for _, p := range []ipv6.Packet{
		{Src: careOf, Dst: peer, HomeAddress: homeAddress, HopLimit: 64, Next: ipv6.UDP, Payload: make([]byte, 8)},
		{Src: peer, Dst: careOf, RoutingHome: homeAddress, SegmentsLeft: 1, HopLimit: 64, Next: ipv6.TCP, Payload: make([]byte, 60)},
		{Src: careOf, Dst: careOf, RoutingHome: homeAddress, SegmentsLeft: 1, HomeAddress: peer, HopLimit: 64, Next: ipv6.Fragment, Payload: make([]byte, 16)},
	} {
		b, err := ipv6.Append(nil, &p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o := &Optimizer{host: &Host{path: usualMTU}, closed: true, home: homeAddress, routes: map[between]*optimized{
			{peer, homeAddress}: {peerCareOf: careOf, mtu: 1500}, {homeAddress, peer}: {careOf: careOf, mtu: 1500}}}
		o.take(slices.Clone(b))
		if len(b) >= ipv6.HeaderLen && b[0]>>4 == 6 {
			o.complaint(append([]byte{packetTooBig, 0, 0, 0, 0, 0, 5, 0}, b...), peer)
		}
		d := departure{optimizer: o}
		d.out.messages = nil
		if isIPv6(b) {
			for r := range map[*optimized]bool{{careOf: careOf, mtu: 1280}: true, {careOf: careOf, peerCareOf: peer, mtu: 1280}: true} {
				d.fragment(whole(slices.Clone(b)), nil, between{homeAddress, peer}, r)
			}
		}
	})
}

func TestMobilityHeadersInTheTunnelAreToldFromOthers(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w, mobile, correspondent := optimizedWorld(t, engine)
		agent := w.agent.rawSocket()
		test := mobilityMessage(peer, homeAddress, 3)
		correspondent.port.Send(packet(t, ipv6.Packet{Src: peer, Dst: homeAddress, Next: ipv6.Mobility, Payload: test}))
		var got Datagram
		select {
		case got = <-mobile.left:
			if !got.IsTunnelled() {
				t.Errorf("by %s, want the tunnel", got.Dev)
			}
		case got = <-mobile.Delivered():
			if engine != "kernel" {
				t.Error("taken out of the tunnel by the kernel")
			}
		case <-time.After(patience):
			t.Fatal("it did not come")
		}
		p, err := ipv6.Parse(got.Packet)
		if err != nil || p.Src != peer || p.Dst != homeAddress || p.Next != ipv6.Mobility || !bytes.Equal(p.Payload, test) {
			t.Errorf("got %x, %v", got.Packet, err)
		}
		// The same to the care-of address, or to the home address without a tunnel.
		mac, err := w.mobile.HardwareAddr("wlan")
		w.agent.must(err, w.agent.SetNeighbor("core", homeAddress, mac[:]),
			w.agent.ReplaceRoute(Route{To: netip.PrefixFrom(homeAddress, 128), Dev: "core"})) // worse than the tunnel
		direct := mobilityPort(t, w.agent)
		w.agent.must(direct.SendOn("core", packet(t, ipv6.Packet{Src: peer, Dst: homeAddress, Next: ipv6.Mobility, Payload: test})))
		if got := mobile.leaves(); got.IsTunnelled() {
			t.Error("what came without a tunnel is told as tunnelled")
		}
		agent(packet(t, ipv6.Packet{Src: peer, Dst: careOf, Next: ipv6.Mobility, Payload: mobilityMessage(peer, careOf, 4)}))
		if got := mobile.leaves(); got.IsTunnelled() {
			t.Error("what came to the care-of address is told as tunnelled")
		}
		select {
		case <-mobile.Delivered():
			t.Error("the kernel has delivered it too")
		default:
		}
	})
}

// mobilityMessage is one of 24 octets with a right checksum, which the kernel looks at.
func mobilityMessage(src, dst netip.Addr, kind byte) []byte {
	b := append([]byte{59, 2, kind, 0, 0, 0}, make([]byte, 18)...)
	sum := ipv6.Checksum(src, dst, ipv6.Mobility, b)
	b[4], b[5] = byte(sum>>8), byte(sum)
	return b
}

func TestThroughTheTunnelGoesWhatIsSentThere(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w, _, correspondent := optimizedWorld(t, engine)
		wire := w.agent.ear("core")
		test := packet(t, ipv6.Packet{Src: homeAddress, Dst: peer, Next: ipv6.Mobility, Payload: mobilityMessage(homeAddress, peer, 1)})
		w.mobile.must(w.atMobile.Send(homeAddress, test))
		wire.until(func(b []byte) bool {
			return b[0]>>4 == 6 && b[6] == ipv6.Encapsulate && bytes.Equal(b[ipv6.HeaderLen:], test)
		}, nil)
		if got := correspondent.leaves(); got.Packet[7] >= 64 {
			t.Errorf("got %x, want the packet one hop on", got.Packet)
		}
		if w.atMobile.Send(peer, test) == nil {
			t.Error("no error without a binding")
		}
	})
}

func TestAPeerThatDoesNotKnowTheMobilityHeaderIsHeard(t *testing.T) {
	w, mobile, correspondent := optimizedWorld(t, "user")
	correspondent.port.Close()
	correspondent.Close()
	w.peer.must(w.peer.RemoveRule(silence), w.peer.RemoveRule(unheard(peer)))
	test := packet(t, ipv6.Packet{Src: careOf, Dst: peer, Next: ipv6.Mobility, Payload: mobilityMessage(careOf, peer, 2)})
	w.mobile.must(mobile.port.Send(test))
	select {
	case got := <-mobile.Refusals():
		if len(got) != len(test) || !bytes.Equal(got[8:], test[8:]) {
			t.Errorf("got %x, want %x", got, test)
		}
	case <-time.After(patience):
		t.Error("nothing was told")
	}
}

func TestErrorsAboutDirectPacketsReachTheApplication(t *testing.T) {
	w, mobile, _ := optimizedWorld(t, "user")
	unknown := netip.MustParseAddr("2001:db8:500::99") // on the peer's link
	w.mobile.must(mobile.SetCareOf(homeAddress, unknown, careOf))
	send := w.agent.rawSocket()
	c := w.mobile.dial("udp", netip.AddrPortFrom(unknown, 5000))
	seen := w.agent.ear("core")
	fmt.Fprint(c, "to nobody")
	b := slices.Clone(seen.until(func(b []byte) bool { return bytes.HasSuffix(b, []byte("to nobody")) }, nil))
	send(errorAbout(b, unreachable, 4, 0, netip.MustParseAddr("2001:db8:200::1"))) // to the care-of address
	if _, err := c.Read(make([]byte, 10)); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("the application got %v, want that the connection is refused", err)
	}
}

// Both are mobile: each leaves from its care-of address, to that of the other.
func TestTwoMobileNodesTalkDirectly(t *testing.T) {
	w := newWorld(t)
	home2, careOf2 := netip.MustParseAddr("2001:db8:100::20"), peer
	w.mobile.tunnel("user", MobileSide)
	var second *Tunnel
	w.peer.in(func() (err error) {
		second, err = w.peer.NewTunnel(TunnelConfig{Engine: "user", Side: MobileSide, HomeAddress: home2})
		return err
	})
	t.Cleanup(func() { second.Close() })
	a, b := w.mobile.optimizes(nil, homeAddress, careOf), w.peer.optimizes(nil, home2, careOf2)
	w.mobile.must(a.SetHome(homeAddress), b.SetHome(home2), a.SetCareOf(homeAddress, home2, careOf), a.SetPeerCareOf(homeAddress, home2, careOf2),
		b.SetCareOf(home2, homeAddress, careOf2), b.SetPeerCareOf(home2, homeAddress, careOf))
	w.mobile.pathTo(homeAddress, home2, 1500-2*mobilityLen)
	for _, way := range []struct {
		from, to *testNode
		dst      netip.Addr
	}{{w.mobile, w.peer, home2}, {w.peer, w.mobile, homeAddress}} {
		if err := transfer(way.from, way.to, way.dst, 2<<20); err != nil {
			t.Errorf("to %v: %v", way.dst, err)
		}
	}
}

// A connection lives through the beginning, a change and the end of the route.
func TestAConnectionOutlivesChangesOfTheRoute(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w, mobile, correspondent := optimizedWorld(t, engine)
		moved := netip.MustParseAddr("2001:db8:200::11")
		w.mobile.address("wlan", moved.String()+"/64")
		w.mobile.accessRoute("wlan", moved.String(), "2001:db8:200::1")
		w.mobile.must(mobile.port.Listen(moved))
		var l net.Listener
		w.peer.in(func() (err error) { l, err = net.Listen("tcp", netip.AddrPortFrom(peer, 5001).String()); return err })
		defer l.Close()
		c := w.mobile.dial("tcp", netip.AddrPortFrom(peer, 5001))
		in, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		in.SetDeadline(time.Now().Add(patience))
		data := bytes.Repeat([]byte("0123456789abcdef"), 20000)
		got := make([]byte, len(data))
		for _, next := range []netip.Addr{moved, {}, careOf, {}} {
			for _, way := range []struct{ from, to net.Conn }{{c, in}, {in, c}} {
				go way.from.Write(data)
				if _, err := io.ReadFull(way.to, got); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("before the change to %v: %v", next, err)
				}
			}
			w.mobile.must(mobile.SetCareOf(homeAddress, peer, next), correspondent.SetPeerCareOf(peer, homeAddress, next))
		}
	})
}

func TestACorrespondentHasARouteForEachOfItsAddresses(t *testing.T) {
	w, _, _ := optimizedWorld(t, "user")
	second := netip.MustParseAddr("2001:db8:500::3")
	w.peer.address("cn", second.String()+"/64")
	wire, at := w.agent.ear("core"), w.mobile.listenUDP(homeAddress)
	var c *net.UDPConn
	w.peer.in(func() (err error) {
		c, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(second, 0)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(homeAddress, 5000)))
		return err
	})
	defer c.Close()
	fmt.Fprint(c, "by way of the home agent")
	b := make([]byte, 100)
	if n, from, err := at.ReadFromUDPAddrPort(b); err != nil || from.Addr() != second {
		t.Fatalf("got %q from %v, %v", b[:n], from, err)
	}
	wire.until(func(b []byte) bool { return b[0]>>4 == 6 && b[6] == ipv6.Encapsulate }, nil)
}

// What another mobile node sends by way of the home agent, as it has a Home Address
// option for a peer that is mobile too.
func TestAHomeAddressOptionInTheTunnelIsTaken(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w := newWorld(t)
		w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)
		w.bind(outsides[0])
		mobile := w.mobile.optimizes(nil, homeAddress, careOf)
		home2 := netip.MustParseAddr("2001:db8:101::20")
		w.mobile.must(mobile.SetHome(homeAddress), mobile.SetPeerCareOf(homeAddress, home2, peer))
		at, send := w.mobile.listenUDP(homeAddress), w.peer.rawSocket()
		for range 2 { // and no more than once
			send(packet(t, ipv6.Packet{Src: peer, Dst: homeAddress, HomeAddress: home2, Next: ipv6.UDP, Payload: datagram(t, home2, homeAddress, "good")[ipv6.HeaderLen:]}))
			b := make([]byte, 100)
			if n, from, err := at.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != "good" || from.Addr() != home2 {
				t.Fatalf("got %q from %v, %v", b[:n], from, err)
			}
		}
		for what, b := range map[string][]byte{
			"an update":  packet(t, ipv6.Packet{Src: peer, Dst: homeAddress, HomeAddress: home2, Next: ipv6.Mobility, Payload: mobilityMessage(home2, homeAddress, 5)}),
			"a stranger": packet(t, ipv6.Packet{Src: peer, Dst: homeAddress, HomeAddress: peer, Next: ipv6.UDP, Payload: datagram(t, peer, homeAddress, "bad")[ipv6.HeaderLen:]}),
		} {
			send(b)
			var got Datagram
			select {
			case got = <-mobile.Delivered():
			case got = <-mobile.left:
			case <-time.After(patience):
			}
			if len(got.Packet) != len(b) || !bytes.Equal(got.Packet[8:], b[8:]) {
				t.Errorf("%s: got %x, want %x", what, got.Packet, b)
			}
		}
		select {
		case d := <-mobile.Delivered():
			t.Errorf("%x came once more", d.Packet)
		case d := <-mobile.left:
			t.Errorf("%x came once more", d.Packet)
		default:
		}
	})
}

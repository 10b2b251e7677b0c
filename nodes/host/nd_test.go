package host

import (
	"net/netip"
	"testing"

	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv6"
)

func ndPort(t testing.TB, n *testNode) *NDPort {
	var p *NDPort
	n.in(func() (err error) { p, err = n.NDPort(); return err })
	t.Cleanup(func() { p.Close() })
	return p
}

func message(t testing.TB, m icmp6.Message, src, dst netip.Addr) []byte {
	b, err := icmp6.Append(nil, m, src, dst)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// next returns the first message of that type that the port receives.
func (p *NDPort) next(t testing.TB, kind icmp6.Type) NDMessage {
	t.Helper()
	for {
		messages, err := p.Receive()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if m.Message[0] == uint8(kind) {
				return m
			}
		}
	}
}

func TestTheNDPortSaysWhoSentWhatByWhichDevice(t *testing.T) {
	a, b := pair(t)
	out, in := ndPort(t, a), ndPort(t, b)
	none, nodes := netip.IPv6Unspecified(), netip.MustParseAddr("ff02::1")
	for _, from := range []netip.Addr{none, near} {
		for _, to := range []netip.Addr{nodes, far} {
			if from == none && to == far {
				continue
			}
			sent := message(t, &icmp6.RouterAdvertisement{HopLimit: 64}, from, to)
			a.must(out.Send("wlan", from, to, sent))
			got := in.next(t, icmp6.TypeRouterAdvertisement)
			if got.Dev != "core" || got.Src != from || got.Dst != to || string(got.Message) != string(sent) {
				t.Errorf("from %v to %v: got %+v", from, to, got)
			}
		}
	}
}

func TestTheNDPortDropsWhatMayHaveBeenForwarded(t *testing.T) {
	a, b := pair(t)
	in := ndPort(t, b)
	forged := message(t, &icmp6.NeighborSolicitation{Target: far}, near, far)
	a.rawSocket()(packet(t, packetOf(near, far, 64, forged)))
	good := message(t, &icmp6.NeighborAdvertisement{Target: near}, near, far)
	a.rawSocket()(packet(t, packetOf(near, far, 255, good)))
	for {
		messages, err := in.Receive()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			switch string(m.Message) {
			case string(forged):
				t.Fatal("a message with hop limit 64 was taken")
			case string(good):
				return
			}
		}
	}
}

func TestAJoinedGroupIsHeard(t *testing.T) {
	a, b := pair(t)
	out, in := ndPort(t, a), ndPort(t, b)
	target := netip.MustParseAddr("2001:db8:1::abcd")
	group := SolicitedNode(target)
	if want := netip.MustParseAddr("ff02::1:ff00:abcd"); group != want {
		t.Fatalf("the group of %v is %v, want %v", target, group, want)
	}
	b.must(in.Join("core", group), in.Join("core", group))
	none := netip.IPv6Unspecified()
	a.must(out.Send("wlan", none, group, message(t, &icmp6.NeighborSolicitation{Target: target}, none, group)))
	for got := in.next(t, icmp6.TypeNeighborSolicitation); got.Dst != group; {
		got = in.next(t, icmp6.TypeNeighborSolicitation)
	}
	b.must(in.Leave("core", group), in.Leave("core", group))
}

func TestAProxiedNeighborIsAnsweredForAtOnceAndNotAsARouter(t *testing.T) {
	a, b := pair(t)
	b.in(func() error { return allOf(b.SetForwarding(true), b.AddProxyNeighbor("core", home)) })
	out, in := ndPort(t, a), ndPort(t, a)
	group := SolicitedNode(home)
	mac, err := a.HardwareAddr("wlan")
	a.must(err)
	a.must(out.Send("wlan", near, group, message(t, &icmp6.NeighborSolicitation{
		Target: home, Options: []icmp6.Option{icmp6.SourceLinkAddress{Address: mac[:]}},
	}, near, group)))
	got := in.next(t, icmp6.TypeNeighborAdvertisement)
	m, err := icmp6.Parse(got.Message)
	if err != nil {
		t.Fatal(err)
	}
	if na := m.(*icmp6.NeighborAdvertisement); na.Target != home || na.Router || !na.Solicited {
		t.Errorf("got %+v, want an answer for %v without the R flag", na, home)
	}
	b.in(func() error { return allOf(b.RemoveProxyNeighbor("core", home), b.RemoveProxyNeighbor("core", home)) })
}

func packetOf(src, dst netip.Addr, hops uint8, icmp []byte) ipv6.Packet {
	return ipv6.Packet{Src: src, Dst: dst, HopLimit: hops, Next: ipv6.ICMPv6, Payload: icmp}
}

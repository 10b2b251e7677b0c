package host

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"testing"

	"s2clab/nodes/wire/ipv6"
)

var (
	near = netip.MustParseAddr("2001:db8:1::1")
	far  = netip.MustParseAddr("2001:db8:1::2")
	home = netip.MustParseAddr("2001:db8:100::10")
)

// pair makes two nodes with near and far on the link between.
func pair(t testing.TB) (a, b *testNode) {
	a, b = newNode(t), newNode(t)
	join(a, "wlan", b, "core")
	a.address("wlan", "2001:db8:1::1/64")
	b.address("core", "2001:db8:1::2/64")
	return a, b
}

func mobilityPort(t testing.TB, n *testNode, own ...netip.Addr) *MobilityPort {
	var p *MobilityPort
	n.in(func() (err error) {
		p, err = n.MobilityPort(own...)
		return err
	})
	t.Cleanup(func() { p.Close() })
	return p
}

func packet(t testing.TB, p ipv6.Packet) []byte {
	if p.HopLimit == 0 {
		p.HopLimit = 64
	}
	b, err := ipv6.Append(nil, &p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mobilityPackets are the shapes that a kernel without Mobile IPv6 answers with
// an ICMPv6 error.
func mobilityPackets(t testing.TB) map[string][]byte {
	mobility := []byte{59, 0, 5, 0, 0, 0, 0, 0}
	return map[string][]byte{
		"a mobility header":                     packet(t, ipv6.Packet{Src: near, Dst: far, Next: ipv6.Mobility, Payload: mobility}),
		"a home address and a mobility header":  packet(t, ipv6.Packet{Src: near, Dst: far, HomeAddress: home, Next: ipv6.Mobility, Payload: mobility}),
		"a home address before UDP":             packet(t, ipv6.Packet{Src: near, Dst: far, HomeAddress: home, Next: ipv6.UDP, Payload: make([]byte, 8)}),
		"a routing header and mobility header":  packet(t, ipv6.Packet{Src: near, Dst: far, RoutingHome: home, SegmentsLeft: 1, Next: ipv6.Mobility, Payload: mobility}),
		"a routing header before UDP":           packet(t, ipv6.Packet{Src: near, Dst: far, RoutingHome: home, SegmentsLeft: 1, Next: ipv6.UDP, Payload: make([]byte, 8)}),
		"a home address before an unknown word": packet(t, ipv6.Packet{Src: near, Dst: far, HomeAddress: home, Next: 253, Payload: make([]byte, 8)}),
	}
}

// answers sends b from near to far, then an echo request, and tells which ICMPv6
// types came back before the answer to that.
func answers(t testing.TB, out *MobilityPort, e *ear, b []byte) (types []byte) {
	t.Helper()
	if err := out.Send(b, echoRequest(t, near, far)); err != nil {
		t.Fatal(err)
	}
	e.until(func(b []byte) bool { return isICMP(b, 129) && [16]byte(b[8:]) == far.As16() }, func(b []byte) {
		if len(b) > 40 && [16]byte(b[8:]) == far.As16() && b[6] == ipv6.ICMPv6 && b[40] < 128 {
			types = append(types, b[40])
		}
	})
	return types
}

func isICMP(b []byte, kind byte) bool {
	return len(b) > 40 && b[6] == ipv6.ICMPv6 && b[40] == kind
}

func echoRequest(t testing.TB, src, dst netip.Addr) []byte {
	echo := []byte{128, 0, 0, 0, 0, 1, 0, 1}
	sum := ipv6.Checksum(src, dst, ipv6.ICMPv6, echo)
	echo[2], echo[3] = byte(sum>>8), byte(sum)
	return packet(t, ipv6.Packet{Src: src, Dst: dst, Next: ipv6.ICMPv6, Payload: echo})
}

func TestTheKernelIsSilentOnWhatTheMobilityPortHears(t *testing.T) {
	for what, b := range mobilityPackets(t) {
		t.Run(what, func(t *testing.T) {
			a, n := pair(t)
			out, e := mobilityPort(t, a), a.ear("wlan")
			if got := answers(t, out, e, b); len(got) == 0 {
				t.Logf("this kernel is silent by itself")
			}
			port := mobilityPort(t, n, far)
			if got := answers(t, out, e, b); len(got) != 0 {
				t.Errorf("ICMPv6 errors of types %v left", got)
			}
			got, err := port.Receive()
			if err != nil || len(got) != 1 || got[0].Dev != "core" || !bytes.Equal(got[0].Packet, b) {
				t.Errorf("got %+v, %v, want %x by core", got, err, b)
			}
		})
	}
}

func TestTheMobilityPortHearsOnlyItsOwnAddresses(t *testing.T) {
	a, n := pair(t)
	n.address("core", "2001:db8:1::3/64")
	third := netip.MustParseAddr("2001:db8:1::3")
	out, port := mobilityPort(t, a), mobilityPort(t, n)
	to := func(dst netip.Addr) []byte {
		return packet(t, ipv6.Packet{Src: near, Dst: dst, Next: ipv6.Mobility, Payload: make([]byte, 8)})
	}
	n.must(port.Listen(far), port.Listen(third), port.Ignore(far))
	a.must(out.Send(to(far), to(third)))
	got, err := port.Receive()
	if err != nil || len(got) != 1 || !bytes.Equal(got[0].Packet, to(third)) {
		t.Errorf("got %+v, %v, want the packet to %v", got, err, third)
	}
}

func TestAPacketLeavesByTheRuleForItsSource(t *testing.T) {
	a, n := newNode(t), newNode(t)
	join(a, "wlan", n, "wlan0")
	join(a, "wimax", n, "wimax0")
	a.address("wlan", "2001:db8:1::1/64")
	a.address("wimax", "2001:db8:2::1/64")
	n.address("wlan0", "2001:db8:1::2/64")
	n.address("wimax0", "2001:db8:2::2/64")
	agent := netip.MustParseAddr("2001:db8:3::1")
	n.address("lo", "2001:db8:3::1/128")
	for table, access := range map[int]struct{ dev, careOf, via string }{
		1001: {"wlan", "2001:db8:1::1", "2001:db8:1::2"},
		1002: {"wimax", "2001:db8:2::1", "2001:db8:2::2"},
	} {
		a.must(
			a.ReplaceRoute(Route{Table: table, Dev: access.dev, Via: netip.MustParseAddr(access.via)}),
			a.AddRule(Rule{Priority: PriorityRole, From: netip.PrefixFrom(netip.MustParseAddr(access.careOf), 128), Table: table}))
	}
	out, port := mobilityPort(t, a), mobilityPort(t, n, agent)
	for careOf, dev := range map[string]string{"2001:db8:1::1": "wlan0", "2001:db8:2::1": "wimax0"} {
		a.must(out.Send(packet(t, ipv6.Packet{Src: netip.MustParseAddr(careOf), Dst: agent, HomeAddress: home, Next: ipv6.Mobility, Payload: make([]byte, 8)})))
		got, err := port.Receive()
		if err != nil || len(got) != 1 || got[0].Dev != dev {
			t.Errorf("from %s: got %+v, %v, want one by %s", careOf, got, err, dev)
		}
	}
}

func TestWhatCannotBeSentDoesNotHoldTheOthersBack(t *testing.T) {
	a, n := pair(t)
	out, port := mobilityPort(t, a), mobilityPort(t, n, far)
	good := packet(t, ipv6.Packet{Src: near, Dst: far, Next: ipv6.Mobility, Payload: make([]byte, 8)})
	lost := packet(t, ipv6.Packet{Src: near, Dst: netip.MustParseAddr("2001:db8:9::1"), Next: ipv6.Mobility, Payload: make([]byte, 8)})
	if err := out.Send(lost, []byte("short"), good); err == nil {
		t.Error("no error for a packet without a route")
	}
	if got, err := port.Receive(); err != nil || len(got) != 1 {
		t.Errorf("got %+v, %v, want one packet", got, err)
	}
}

func TestCloseEndsReceive(t *testing.T) {
	_, n := pair(t)
	port := mobilityPort(t, n, far)
	ended := make(chan error)
	go func() {
		_, err := port.Receive()
		ended <- err
	}()
	port.Close()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// BenchmarkMobilityPort echoes Binding Updates: what the home agent's signalling
// costs without its rules.
func BenchmarkMobilityPort(b *testing.B) {
	a, n := pair(b)
	out, port := mobilityPort(b, a), mobilityPort(b, n, far)
	message := packet(b, ipv6.Packet{Src: near, Dst: far, HomeAddress: home, Next: ipv6.Mobility, Payload: make([]byte, 96)})
	burst := make([][]byte, 32)
	for i := range burst {
		burst[i] = message
	}
	b.ReportAllocs()
	for sent := 0; sent < b.N; sent += len(burst) {
		if err := out.Send(burst...); err != nil {
			b.Fatal(err)
		}
		for got := 0; got < len(burst); {
			in, err := port.Receive()
			if err != nil {
				b.Fatal(err)
			}
			got += len(in)
		}
	}
}

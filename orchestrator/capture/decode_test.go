package capture

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

var (
	home   = netip.MustParseAddr("2001:db8:100::10")
	careOf = netip.MustParseAddr("2001:db8:200::10")
	agent  = netip.MustParseAddr("2001:db8:100::1")
	server = netip.MustParseAddr("2001:db8:300::1")
	ueMAC  = [6]byte{2, 0, 0, 0, 0, 1}
	gwMAC  = [6]byte{2, 0, 0, 0, 0, 2}
)

// ethernet puts an IPv6 packet into a frame.
func ethernet(tb testing.TB, p *ipv6.Packet) []byte {
	tb.Helper()
	b := append(append(gwMAC[:len(gwMAC):len(gwMAC)], ueMAC[:]...), 0x86, 0xdd)
	b, err := ipv6.Append(b, p)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// bindingUpdate is one from a visited link.
func bindingUpdate(tb testing.TB) []byte {
	tb.Helper()
	b, err := mh.Append(nil, &mh.BindingUpdate{
		Seq: 7, Flags: mh.AckRequested | mh.HomeRegistration, Lifetime: time.Minute,
		Options: []mh.Option{
			mh.AlternateCareOf{Address: careOf},
			mh.MNIdentifier{Subtype: mh.NAI, Identifier: "ue@example.org"},
			mh.ReplayProtection{Timestamp: 3_974_832_000 << 32},
			mh.Authentication{Subtype: mh.MNHA, SPI: 256, Data: make([]byte, 12)},
		},
	}, home, agent)
	if err != nil {
		tb.Fatal(err)
	}
	return ethernet(tb, &ipv6.Packet{Src: careOf, Dst: agent, HopLimit: 64, HomeAddress: home, Next: ipv6.Mobility, Payload: b})
}

func bindingAcknowledgement(tb testing.TB) []byte {
	tb.Helper()
	b, err := mh.Append(nil, &mh.BindingAcknowledgement{Status: mh.AuthFail, Seq: 7, Lifetime: time.Minute}, agent, home)
	if err != nil {
		tb.Fatal(err)
	}
	return ethernet(tb, &ipv6.Packet{Src: agent, Dst: careOf, HopLimit: 64, RoutingHome: home, SegmentsLeft: 1, Next: ipv6.Mobility, Payload: b})
}

func icmpFrame(tb testing.TB, m icmp6.Message) []byte {
	tb.Helper()
	src, dst := netip.MustParseAddr("fe80::1"), netip.MustParseAddr("ff02::1")
	b, err := icmp6.Append(nil, m, src, dst)
	if err != nil {
		tb.Fatal(err)
	}
	return ethernet(tb, &ipv6.Packet{Src: src, Dst: dst, HopLimit: 255, Next: ipv6.ICMPv6, Payload: b})
}

// tcpFrame carries part of a Diameter stream to the server.
func tcpFrame(tb testing.TB, seq uint32, data []byte) []byte {
	tb.Helper()
	b := []byte{0xc0, 0, 0x0f, 0x1c, byte(seq >> 24), byte(seq >> 16), byte(seq >> 8), byte(seq), 0, 0, 0, 0, 5 << 4, 0x18, 0xff, 0xff, 0, 0, 0, 0}
	b = append(b, data...)
	sum := ipv6.Checksum(agent, server, ipv6.TCP, b)
	b[16], b[17] = byte(sum>>8), byte(sum)
	return ethernet(tb, &ipv6.Packet{Src: agent, Dst: server, HopLimit: 64, Next: ipv6.TCP, Payload: b})
}

func mip6Request(tb testing.TB) []byte {
	tb.Helper()
	b, err := (&diameter.MIP6Request{
		Session: "ha;1;2", Identity: diameter.Identity{Host: "ha.example.org", Realm: "example.org"}, DestinationRealm: "example.org",
		User: "ue@example.org", Mode: diameter.AuthMNAAA, SPI: 3, Home: home, HomeAgent: agent, CareOf: careOf,
		Authenticator: make([]byte, 20), MobilityData: make([]byte, 20), Type: diameter.AuthorizeAuthenticate,
	}).AppendTo(nil, diameter.Header{HopByHop: 11, EndToEnd: 12})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// tunnelled puts the packet in a frame into a tunnel.
func tunnelled(tb testing.TB, frame []byte) []byte {
	return ethernet(tb, &ipv6.Packet{Src: careOf, Dst: agent, HopLimit: 64, Next: ipv6.Encapsulate, Payload: frame[ethernetLen:]})
}

func TestSignallingIsReadFromFrames(t *testing.T) {
	ra := &icmp6.RouterAdvertisement{Flags: icmp6.HomeAgent, Lifetime: 9 * time.Second, Options: []icmp6.Option{
		icmp6.PrefixInformation{Prefix: netip.MustParsePrefix("2001:db8:100::1/64"), OnLink: true, Autonomous: true, RouterAddress: true, Valid: time.Hour, Preferred: time.Hour},
	}}
	ns := &icmp6.NeighborSolicitation{Target: home}
	for _, c := range []struct {
		what  string
		frame []byte
		want  []Message
	}{
		{"a binding update", bindingUpdate(t), []Message{{"binding-update", map[string]any{
			"src": careOf.String(), "dst": agent.String(), "seq": 7.0, "flags": []any{"A", "H"}, "lifetime": 60.0,
			"home-address": home.String(), "care-of": careOf.String(), "nai": "ue@example.org", "spi": 256.0, "auth": []any{"mn-ha"},
			"timestamp": "2025-12-16T00:00:00Z",
			"options":   []any{"alternate-care-of", "mn-identifier", "replay-protection", "authentication"},
		}}}},
		{"a binding acknowledgement", bindingAcknowledgement(t), []Message{{"binding-acknowledgement", map[string]any{
			"src": agent.String(), "dst": careOf.String(), "seq": 7.0, "lifetime": 60.0, "status": 146.0, "name": "authentication-failed",
			"home-address": home.String(), "care-of": careOf.String(),
		}}}},
		{"a router advertisement", icmpFrame(t, ra), []Message{{"router-advertisement", map[string]any{
			"src": "fe80::1", "dst": "ff02::1", "router": "fe80::1", "flags": []any{"H"}, "lifetime": 9.0, "prefix": "2001:db8:100::/64", "options": []any{"prefix-information"},
		}}}},
		{"a solicitation in a tunnel", tunnelled(t, icmpFrame(t, ns)), []Message{{"neighbor-solicitation", map[string]any{
			"src": careOf.String(), "dst": agent.String(), "inner-src": "fe80::1", "inner-dst": "ff02::1", "target": home.String(),
		}}}},
		{"two Diameter messages in a segment", tcpFrame(t, 1, append(mip6Request(t), mip6Request(t)[:20]...)), []Message{{"mip6a-request", map[string]any{
			"src": agent.String(), "dst": server.String(), "hop-by-hop": 11.0, "end-to-end": 12.0, "flags": []any{"R", "P"}, "nai": "ue@example.org",
			"origin-host": "ha.example.org", "session": "ha;1;2", "spi": 3.0, "home-address": home.String(), "care-of": careOf.String(),
		}}}},
		{"data", ethernet(t, &ipv6.Packet{Src: home, Dst: agent, Next: ipv6.UDP, Payload: make([]byte, 100)}), nil},
		{"data in a tunnel", tunnelled(t, ethernet(t, &ipv6.Packet{Src: home, Dst: agent, Next: ipv6.UDP, Payload: make([]byte, 100)})), nil},
		{"a multicast listener report", icmpFrame(t, &icmp6.Unknown{Kind: 143, Body: make([]byte, 4)}), nil},
		{"a short frame", make([]byte, 20), nil},
	} {
		if d := cmp.Diff(c.want, Decode(c.frame)); d != "" {
			t.Errorf("%s: %s", c.what, d)
		}
	}
}

func TestADamagedMessageIsToldAsSuch(t *testing.T) {
	f := bindingUpdate(t)
	f[len(f)-1] ^= 1
	if got := Decode(f); len(got) != 1 || got[0].Fields["bad-checksum"] != true {
		t.Errorf("got %v", got)
	}
	f = bindingUpdate(t)
	f[ethernetLen+40+24+1] = 200 // Header Len
	if got := Decode(f); len(got) != 1 || got[0].Name != "binding-update" || got[0].Fields["malformed"] == nil {
		t.Errorf("got %v", got)
	}
}

func TestADiameterMessageIsPutTogetherFromSegments(t *testing.T) {
	m := mip6Request(t)
	var s streams
	count := func(seq uint32, data []byte) (n int) {
		return len(decode(tcpFrame(t, seq, data), s.messages))
	}
	for _, step := range []struct {
		what string
		seq  uint32
		data []byte
		want int
	}{
		{"its first part", 1000, m[:50], 0},
		{"its first part again", 1000, m[:50], 0},
		{"the rest", 1050, m[50:], 1},
		{"a whole one", 1000 + uint32(len(m)), m, 1},
		{"the same again", 1000 + uint32(len(m)), m, 1},
		{"a part", 5000, m[:3], 0},
		{"one after a hole", 9000, m, 1},
		{"a part", 20000, m[:100], 0},
		{"the rest and another", 20100, append(m[100:len(m):len(m)], m...), 2},
		{"garbage", 30000, []byte("GET / HTTP/1.1\r\n"), 0},
		{"a part that ends in the header", 0xffffffff, m[:1], 0},
		{"the rest, past the end of the numbers", 0, m[1:], 1},
	} {
		if got := count(step.seq, step.data); got != step.want {
			t.Errorf("%s: %d messages, want %d", step.what, got, step.want)
		}
	}
	if len(s.partial) != 0 || len(s.order) != 0 {
		t.Errorf("%d streams are still kept", len(s.partial))
	}
	for port := range maxStreams * 2 {
		f := flow{src: netip.AddrPortFrom(home, uint16(port)), dst: netip.AddrPortFrom(server, 3868)}
		s.messages(segment{flow: f, seq: 1, data: m[:40]})
	}
	if len(s.partial) != maxStreams || len(s.order) != maxStreams {
		t.Errorf("%d streams are kept, want %d", len(s.partial), maxStreams)
	}
}

func TestDataCostNoAllocation(t *testing.T) {
	data := tunnelled(t, ethernet(t, &ipv6.Packet{Src: home, Dst: agent, Next: ipv6.UDP, Payload: make([]byte, 100)}))
	if n := testing.AllocsPerRun(100, func() { Decode(data) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range [][]byte{bindingUpdate(f), bindingAcknowledgement(f), tcpFrame(f, 1, mip6Request(f)), tunnelled(f, bindingUpdate(f)),
		icmpFrame(f, &icmp6.RouterSolicitation{Options: []icmp6.Option{icmp6.SourceLinkAddress{Address: ueMAC[:]}}})} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		messages := Decode(frame)
		if len(messages) > 0 && !Signalling(frame) {
			t.Error("a frame with signalling does not look like one")
		}
		for _, m := range messages {
			if m.Name == "" || m.Fields["src"] == nil {
				t.Errorf("a message without name or source: %+v", m)
			}
		}
		var s streams
		decode(frame, s.messages)
		decode(frame, s.messages)
	})
}

package capture

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/miekg/dns"

	"s2clab/nodes/wire/arp"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eapol"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
	"s2clab/nodes/wire/udp"
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

var (
	care4    = netip.MustParseAddr("203.0.113.7") // outside a NAT
	private4 = netip.MustParseAddr("192.168.1.7")
	agent4   = netip.MustParseAddr("192.0.2.1")
)

func ethernet4(tb testing.TB, p *ipv4.Packet) []byte {
	tb.Helper()
	b := append(append(gwMAC[:len(gwMAC):len(gwMAC)], ueMAC[:]...), 0x08, 0)
	b, err := ipv4.Append(b, p)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func inUDP(tb testing.TB, src, dst netip.Addr, p *ipv6.Packet) []byte {
	tb.Helper()
	inner, err := ipv6.Append(nil, p)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := udp.Append(nil, &udp.Datagram{Src: 4191, Dst: 4191, Payload: inner}, src, dst)
	if err != nil {
		tb.Fatal(err)
	}
	return ethernet4(tb, &ipv4.Packet{Src: src, Dst: dst, TTL: 64, Protocol: ipv4.UDP, Payload: b})
}

func mobilityPacket(tb testing.TB, m mh.Message, src, dst netip.Addr) *ipv6.Packet {
	tb.Helper()
	b, err := mh.Append(nil, m, src, dst)
	if err != nil {
		tb.Fatal(err)
	}
	return &ipv6.Packet{Src: src, Dst: dst, HopLimit: 64, Next: ipv6.Mobility, Payload: b}
}

func bindingUpdate4(tb testing.TB) *ipv6.Packet {
	return mobilityPacket(tb, &mh.BindingUpdate{Seq: 8, Flags: mh.AckRequested | mh.HomeRegistration | mh.ForceUDP, Lifetime: time.Minute,
		Options: []mh.Option{mh.IPv4CareOf{Address: private4}, mh.IPv4HomeAddress{PrefixLen: 32, Address: netip.IPv4Unspecified()}}}, home, agent)
}

func bindingAcknowledgement4(tb testing.TB) *ipv6.Packet {
	return mobilityPacket(tb, &mh.BindingAcknowledgement{Seq: 8, Lifetime: time.Minute,
		Options: []mh.Option{mh.IPv4AddressAck{PrefixLen: 32, Address: netip.MustParseAddr("198.51.100.16")}, mh.NATDetection{Refresh: 30 * time.Second}}}, agent, home)
}

var (
	offer = &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootReply, HWType: 1, TransactionID: dhcpv4.TransactionID{1, 2, 3, 4}, ClientHWAddr: ueMAC[:], YourIPAddr: net.IPv4(192, 168, 1, 7),
		Options: dhcpv4.OptionsFromList(dhcpv4.OptMessageType(dhcpv4.MessageTypeOffer), dhcpv4.OptIPAddressLeaseTime(10*time.Minute), dhcpv4.OptRouter(net.IPv4(192, 168, 1, 1)))}
	reply = &dhcpv6.Message{MessageType: dhcpv6.MessageTypeReply, TransactionID: dhcpv6.TransactionID{1, 2, 3}, Options: dhcpv6.MessageOptions{Options: dhcpv6.Options{
		dhcpv6.OptClientID(&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: ueMAC[:]}),
		&dhcpv6.OptIANA{Options: dhcpv6.IdentityOptions{Options: dhcpv6.Options{&dhcpv6.OptIAAddress{IPv6Addr: careOf.AsSlice(), ValidLifetime: time.Minute}}}},
	}}}
)

func dhcpFrame(tb testing.TB, message []byte, from, to uint16, src, dst netip.Addr) []byte {
	tb.Helper()
	b, err := udp.Append(nil, &udp.Datagram{Src: from, Dst: to, Payload: message}, src, dst)
	if err != nil {
		tb.Fatal(err)
	}
	if src.Is4() {
		return ethernet4(tb, &ipv4.Packet{Src: src, Dst: dst, TTL: 64, Protocol: ipv4.UDP, Payload: b})
	}
	return ethernet(tb, &ipv6.Packet{Src: src, Dst: dst, HopLimit: 1, Next: ipv6.UDP, Payload: b})
}

func arpFrame(tb testing.TB, p arp.Packet) []byte {
	tb.Helper()
	b, err := arp.Append(append(append(gwMAC[:len(gwMAC):len(gwMAC)], ueMAC[:]...), 0x08, 0x06), &p)
	if err != nil {
		tb.Fatal(err)
	}
	return b
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

// nameFrame carries a query or an answer.
func nameFrame(tb testing.TB, src, dst netip.Addr, answer bool) []byte {
	tb.Helper()
	m := new(dns.Msg).SetQuestion("_mip6._ipv6.lab.test.", dns.TypeSRV)
	d := udp.Datagram{Src: 40000, Dst: 53}
	if answer {
		d.Src, d.Dst = 53, 40000
		m.Response = true
		m.Answer = []dns.RR{&dns.SRV{Hdr: dns.RR_Header{Name: "_mip6._ipv6.lab.test.", Rrtype: dns.TypeSRV, Class: dns.ClassINET}, Target: "a.lab.test."}}
	}
	var err error
	if d.Payload, err = m.Pack(); err != nil {
		tb.Fatal(err)
	}
	b, err := udp.Append(nil, &d, src, dst)
	if err != nil {
		tb.Fatal(err)
	}
	if src.Is6() {
		return ethernet(tb, &ipv6.Packet{Src: src, Dst: dst, HopLimit: 64, Next: ipv6.UDP, Payload: b})
	}
	b, err = ipv4.Append(append(make([]byte, 12), 8, 0), &ipv4.Packet{Src: src, Dst: dst, TTL: 64, Protocol: ipv6.UDP, Payload: b})
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
			"application": "MIP6A", "src": agent.String(), "dst": server.String(), "hop-by-hop": 11.0, "end-to-end": 12.0, "flags": []any{"R", "P"}, "nai": "ue@example.org",
			"origin-host": "ha.example.org", "session": "ha;1;2", "spi": 3.0, "home-address": home.String(), "care-of": careOf.String(),
		}}}},
		{"a binding update in UDP", inUDP(t, care4, agent4, bindingUpdate4(t)), []Message{{"binding-update", map[string]any{
			"src": care4.String(), "dst": agent4.String(), "outer": "udp", "inner-src": home.String(), "inner-dst": agent.String(),
			"seq": 8.0, "flags": []any{"A", "H", "F"}, "lifetime": 60.0, "home-address": home.String(), "care-of": private4.String(), "ipv4-home-address": "0.0.0.0",
			"options": []any{"ipv4-care-of", "ipv4-home-address"},
		}}}},
		{"a binding acknowledgement in UDP", inUDP(t, agent4, care4, bindingAcknowledgement4(t)), []Message{{"binding-acknowledgement", map[string]any{
			"src": agent4.String(), "dst": care4.String(), "outer": "udp", "inner-src": agent.String(), "inner-dst": home.String(),
			"seq": 8.0, "lifetime": 60.0, "status": 0.0, "name": "accepted", "home-address": home.String(), "care-of": care4.String(),
			"ipv4-home-address": "198.51.100.16", "ipv4-status": 0.0, "force-udp": false, "nat-keepalive": 30.0,
			"options": []any{"ipv4-address-ack", "nat-detection"},
		}}}},
		{"a solicitation in IPv4", ethernet4(t, &ipv4.Packet{Src: care4, Dst: agent4, TTL: 64, Protocol: ipv4.IPv6, Payload: icmpFrame(t, ns)[ethernetLen:]}), []Message{{"neighbor-solicitation", map[string]any{
			"src": care4.String(), "dst": agent4.String(), "inner-src": "fe80::1", "inner-dst": "ff02::1", "target": home.String(),
		}}}},
		{"a DHCP offer", dhcpFrame(t, offer.ToBytes(), 67, 68, netip.MustParseAddr("192.168.1.1"), netip.MustParseAddr("255.255.255.255")), []Message{{"dhcp4-offer", map[string]any{
			"src": "192.168.1.1", "dst": "255.255.255.255", "client": "02:00:00:00:00:01", "id": "01020304", "address": "192.168.1.7", "lifetime": 600.0, "router": "192.168.1.1",
		}}}},
		{"a DHCP reply for IPv6", dhcpFrame(t, reply.ToBytes(), 547, 546, netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::2")), []Message{{"dhcp6-reply", map[string]any{
			"src": "fe80::1", "dst": "fe80::2", "client": "02:00:00:00:00:01", "id": "010203", "address": careOf.String(), "lifetime": 60.0,
		}}}},
		{"an ARP probe", arpFrame(t, arp.Packet{Operation: arp.Request, Sender: netip.IPv4Unspecified(), Target: private4}), []Message{{"arp-request", map[string]any{
			"src": "0.0.0.0", "target": private4.String(), "dad": true,
		}}}},
		{"an ARP reply", arpFrame(t, arp.Packet{Operation: arp.Reply, Sender: agent4, Target: private4}), []Message{{"arp-reply", map[string]any{
			"src": agent4.String(), "dst": private4.String(), "target": agent4.String(),
		}}}},
		{"DHCP that is none", dhcpFrame(t, []byte("hello"), 67, 68, care4, agent4), []Message{{"dhcp-malformed", map[string]any{
			"src": care4.String(), "dst": agent4.String(), "malformed": "buffer too short at position 4: have 1 bytes, want 4 bytes",
		}}}},
		{"data in UDP", inUDP(t, care4, agent4, &ipv6.Packet{Src: home, Dst: agent, Next: ipv6.UDP, Payload: make([]byte, 100)}), nil},
		{"home agents", icmpFrame(t, &icmp6.HomeAgentReply{Identifier: 7, Addresses: []netip.Addr{agent, home}}), []Message{{"home-agent-address-discovery-reply", map[string]any{
			"src": "fe80::1", "dst": "ff02::1", "home-agent": agent.String(), "home-agents": 2.0,
		}}}},
		{"a name", nameFrame(t, home, server, false), []Message{{"dns-query", map[string]any{
			"src": home.String(), "dst": server.String(), "query": "_mip6._ipv6.lab.test", "record": "SRV",
		}}}},
		{"an answer over IPv4", nameFrame(t, netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("192.0.2.1"), true), []Message{{"dns-response", map[string]any{
			"src": "192.0.2.53", "dst": "192.0.2.1", "query": "_mip6._ipv6.lab.test", "record": "SRV", "name": "noerror", "answers": 1.0,
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
		s.messages(segment{flow: f, seq: 1, data: m[:40]}, &diameterStream)
	}
	if len(s.partial) != maxStreams || len(s.order) != maxStreams {
		t.Errorf("%d streams are kept, want %d", len(s.partial), maxStreams)
	}
}

func TestDataCostNoAllocation(t *testing.T) {
	packet := &ipv6.Packet{Src: home, Dst: agent, Next: ipv6.UDP, Payload: make([]byte, 100)}
	for _, data := range [][]byte{tunnelled(t, ethernet(t, packet)), inUDP(t, care4, agent4, packet)} {
		if n := testing.AllocsPerRun(100, func() { Decode(data) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range [][]byte{bindingUpdate(f), bindingAcknowledgement(f), tcpFrame(f, 1, mip6Request(f)), tunnelled(f, bindingUpdate(f)),
		inUDP(f, care4, agent4, bindingUpdate4(f)), inUDP(f, agent4, care4, bindingAcknowledgement4(f)), arpFrame(f, arp.Announcement(care4, ueMAC)),
		dhcpFrame(f, offer.ToBytes(), 67, 68, care4, agent4), dhcpFrame(f, reply.ToBytes(), 547, 546, careOf, agent),
		eapolFrame(f, eapol.Start, nil), eapolFrame(f, eapol.EAPPacket, akaChallenge(f)), radiusFrame(f, accessChallenge(f)), streamFrame(f, 80, 40000, ubLastWord),
		streamFrame(f, 40000, 80, ubAnswer), tcpFrame(f, 1, eapRequest(f)), tcpFrame(f, 1, authAnswer(f)),
		nameFrame(f, home, server, true), nameFrame(f, netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("192.0.2.1"), false),
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

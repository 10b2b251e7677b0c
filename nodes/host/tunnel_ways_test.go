package host

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"s2clab/nodes/session/flows"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

var careOf2 = netip.MustParseAddr("2001:db8:300::10")

// newWiderWorld is a world whose mobile node has a second access:
//
//	mobile ==wlan, wimax== agent --sgi-- peer
func newWiderWorld(t testing.TB) *world {
	w := newWorld(t)
	join(w.mobile, "wimax", w.agent, "core2")
	w.mobile.address("wimax", "2001:db8:300::10/64")
	w.agent.address("core2", "2001:db8:300::1/64")
	w.mobile.accessRoute("wimax", "2001:db8:300::10", "2001:db8:300::1")
	return w
}

// byProtocol is a flow binding of a protocol.
func byProtocol(protocol uint32, bids ...uint16) flows.Entry {
	return flows.Entry{FID: uint16(protocol), Priority: uint16(protocol), BIDs: bids,
		Selector: mh.TrafficSelector{Format: mh.IPv6Selector, Protocol: &mh.Range{Start: protocol}}}
}

// setWays makes both ends have both ways, BID 1 by WLAN before BID 2 by WiMAX.
func (w *world) setWays(entries ...flows.Entry) {
	w.mobile.must(w.atMobile.SetWays(Ways{Inner: homeAddress, Flows: entries, Each: []Way{
		{BID: 1, Local: careOf, Remote: agent}, {BID: 2, Local: careOf2, Remote: agent}}}))
	w.agent.must(w.atAgent.SetWays(Ways{Inner: homeAddress, Flows: entries, Each: []Way{
		{BID: 1, Local: agent, Remote: careOf}, {BID: 2, Local: agent, Remote: careOf2}}}))
}

// tunnelled says whether a packet on a link holds one of a protocol, from an outer
// source to an outer destination.
func tunnelled(src, dst netip.Addr, protocol uint8) func(b []byte) bool {
	return func(b []byte) bool {
		if len(b) < 2*ipv6.HeaderLen || b[6] != ipv6.Encapsulate {
			return false
		}
		from, to := addresses(b)
		return from == src && to == dst && b[ipv6.HeaderLen+6] == protocol
	}
}

// exchange sends a word to the peer and back.
func exchange(t *testing.T, c net.Conn, at *net.UDPConn, word string) {
	t.Helper()
	b := make([]byte, 100)
	fmt.Fprint(c, word)
	n, from, err := at.ReadFromUDPAddrPort(b)
	if err != nil || string(b[:n]) != word {
		t.Fatalf("peer got %q, %v; want %q", b[:n], err, word)
	}
	at.WriteToUDPAddrPort(b[:n], from)
	if n, err = c.Read(b); err != nil || string(b[:n]) != word {
		t.Fatalf("mobile got %q, %v; want %q", b[:n], err, word)
	}
}

func TestEachFlowGoesByItsWayInBothDirections(t *testing.T) { // RFC 6089, section 5.3.6
	eachEngine(t, func(t *testing.T, engine string) {
		w := newWiderWorld(t)
		w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)
		wlan, wimax := w.agent.ear("core"), w.agent.ear("core2")
		w.setWays(byProtocol(ipv6.UDP, 2))
		at, c := w.peer.listenUDP(peer), w.mobile.dial("udp6", netip.AddrPortFrom(peer, 5000))
		exchange(t, c, at, "by WiMAX")
		stray := func(b []byte) {
			if tunnelled(careOf, agent, ipv6.UDP)(b) || tunnelled(agent, careOf, ipv6.UDP)(b) {
				t.Error("a packet of the flow goes by WLAN too")
			}
		}
		wimax.until(tunnelled(careOf2, agent, ipv6.UDP), nil)
		wimax.until(tunnelled(agent, careOf2, ipv6.UDP), nil)
		if err := transfer(w.mobile, w.peer, peer, 1<<20); err != nil {
			t.Error(err)
		}
		if err := transfer(w.peer, w.mobile, homeAddress, 1<<20); err != nil {
			t.Error(err)
		}
		wlan.until(tunnelled(careOf, agent, ipv6.TCP), stray)
		wlan.until(tunnelled(agent, careOf, ipv6.TCP), stray)

		// It moves, alone.
		w.setWays(byProtocol(ipv6.UDP, 1))
		exchange(t, c, at, "by WLAN")
		wlan.until(tunnelled(careOf, agent, ipv6.UDP), nil)
		wlan.until(tunnelled(agent, careOf, ipv6.UDP), nil)
	})
}

func TestOneWayBecomesSeveralAndSeveralOne(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		w := newWiderWorld(t)
		w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)
		at := w.peer.listenUDP(peer)
		one := func(local netip.Addr) {
			w.mobile.must(w.atMobile.Set(Binding{Inner: homeAddress, Local: local, Remote: agent}))
			w.agent.must(w.atAgent.Set(Binding{Inner: homeAddress, Local: agent, Remote: local}))
		}
		one(careOf)
		c := w.mobile.dial("udp6", netip.AddrPortFrom(peer, 5000))
		exchange(t, c, at, "one")
		w.setWays(byProtocol(ipv6.UDP, 2))
		exchange(t, c, at, "two")
		if name, why := w.atAgent.EngineOf(homeAddress); name != "user" {
			t.Errorf("engine %s: %s", name, why)
		}
		one(careOf2)
		exchange(t, c, at, "one again")
		w.setWays()
		w.mobile.must(w.atMobile.Clear(homeAddress))
		w.agent.must(w.atAgent.Clear(homeAddress))
		if n := len(w.atAgent.remotes) + len(w.atMobile.remotes); n != 0 {
			t.Errorf("%d sources are taken from though nothing is bound", n)
		}
	})
}

func TestPacketsAreTakenFromEachWayAndFromNoOther(t *testing.T) { // RFC 5648, section 6.5
	eachEngine(t, func(t *testing.T, engine string) {
		w := newWiderWorld(t)
		w.atMobile, w.atAgent = w.mobile.tunnel(engine, MobileSide), w.agent.tunnel(engine, AgentSide)
		w.mobile.address("wlan", "2001:db8:200::66/64")
		w.mobile.accessRoute("wlan", "2001:db8:200::66", "2001:db8:200::1")
		w.setWays()
		at, send := w.peer.listenUDP(peer), w.mobile.rawSocket()
		b := make([]byte, 100)
		for _, from := range []netip.Addr{careOf2, careOf} {
			send(outer(t, from, agent, datagram(t, homeAddress, peer, from.String())))
			if n, _, err := at.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != from.String() {
				t.Fatalf("peer got %q, %v; want what came from %v", b[:n], err, from)
			}
		}
		send(outer(t, netip.MustParseAddr("2001:db8:200::66"), agent, datagram(t, homeAddress, peer, "forged")))
		w.refusal(t, w.atAgent, "wrong-outer-source")
	})
}

func TestWaysThatCannotBeAreRefused(t *testing.T) {
	w := newWiderWorld(t)
	w.atAgent = w.agent.tunnel("user", AgentSide)
	for name, ways := range map[string]Ways{
		"none":     {Inner: homeAddress},
		"twice":    {Inner: homeAddress, Each: []Way{{BID: 1, Local: agent, Remote: careOf}, {BID: 1, Local: agent, Remote: careOf2}}},
		"families": {Inner: homeAddress, Each: []Way{{BID: 1, Local: agent, Remote: netip.MustParseAddr("192.0.2.1")}}},
		"no home":  {Each: []Way{{BID: 1, Local: agent, Remote: careOf}}},
	} {
		if err := w.atAgent.SetWays(ways); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}

// sorted is the BIDs that a packet goes to, by ways 1 and 2.
func sorted(s *sorter, octets []byte, toMobile bool, entries ...flows.Entry) (bids []uint16) {
	w := &ways{flows: flows.Of(entries), bids: []uint16{1, 2}}
	for range w.bids {
		w.each = append(w.each, &binding{ways: w})
	}
	for _, to := range s.sort(w.each[0], octets, toMobile) {
		bids = append(bids, w.bids[slices.Index(w.each, to)])
	}
	return bids
}

func TestSelectorsLookAtPacketsAsTheCorrespondentSendsThem(t *testing.T) { // RFC 6088, section 3
	voice := flows.Entry{FID: 1, Priority: 1, BIDs: []uint16{2}, Selector: mh.TrafficSelector{Format: mh.IPv6Selector,
		Source: &mh.AddressRange{Start: peer}, SourcePort: &mh.Range{Start: 5000, End: 5099, Ranged: true}, Protocol: &mh.Range{Start: ipv6.UDP}}}
	udp := func(src, dst netip.Addr, from, to uint16) []byte {
		b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, from), to)
		return packet(t, ipv6.Packet{Src: src, Dst: dst, Next: ipv6.UDP, Payload: append(b, 0, 8, 0, 0)})
	}
	var s sorter
	for name, c := range map[string]struct {
		octets   []byte
		toMobile bool
		want     uint16
	}{
		"down":            {udp(peer, homeAddress, 5001, 40000), true, 2},
		"up":              {udp(homeAddress, peer, 40000, 5001), false, 2},
		"another port":    {udp(peer, homeAddress, 4999, 5001), true, 1},
		"another peer":    {udp(agent, homeAddress, 5001, 40000), true, 1},
		"as if it was up": {udp(peer, homeAddress, 5001, 40000), false, 1},
		"too short":       {udp(peer, homeAddress, 5001, 40000)[:ipv6.HeaderLen+2], true, 1},
	} {
		if got := sorted(&s, c.octets, c.toMobile, voice); !slices.Equal(got, []uint16{c.want}) {
			t.Errorf("%s: goes to %v, want %d", name, got, c.want)
		}
	}

	// One to two BIDs goes to both; one whose BID is not there counts for nothing.
	octets := udp(peer, homeAddress, 5001, 40000)
	voice.BIDs = []uint16{1, 2}
	if got := sorted(&s, octets, true, voice); !slices.Equal(got, []uint16{1, 2}) {
		t.Errorf("goes to %v, want both", got)
	}
	voice.BIDs = []uint16{9}
	if got := sorted(&s, octets, true, voice, byProtocol(ipv6.UDP, 2)); !slices.Equal(got, []uint16{2}) {
		t.Errorf("goes to %v, want where the next flow binding leads", got)
	}
}

func TestFragmentsGoWhereTheFirstHasGone(t *testing.T) { // RFC 6089, section 5.3.6
	fragment := func(id uint32, offset uint16, more bool, rest ...byte) []byte {
		b := []byte{ipv6.UDP, 0, 0, 0, 0, 0, 0, 0}
		field := offset << 3
		if more {
			field |= 1
		}
		binary.BigEndian.PutUint16(b[2:], field)
		binary.BigEndian.PutUint32(b[4:], id)
		return packet(t, ipv6.Packet{Src: peer, Dst: homeAddress, Next: ipv6.Fragment, Payload: append(b, rest...)})
	}
	port := flows.Entry{FID: 1, Priority: 1, BIDs: []uint16{2}, Selector: mh.TrafficSelector{Format: mh.IPv6Selector, SourcePort: &mh.Range{Start: 5000}}}
	var s sorter
	if got := sorted(&s, fragment(7, 0, true, 0x13, 0x88, 0, 1, 0, 0, 0, 0), true, port); !slices.Equal(got, []uint16{2}) {
		t.Fatalf("the first goes to %v", got)
	}
	for id, want := range map[uint32]uint16{7: 2, 8: 1} {
		if got := sorted(&s, fragment(id, 1, false, 0x13, 0x88, 0, 1, 0, 0, 0, 0), true, port); !slices.Equal(got, []uint16{want}) {
			t.Errorf("the second of packet %d goes to %v, want %d", id, got, want)
		}
	}
	// More packets than are remembered, and the first is forgotten.
	for id := range uint32(fragmentsKnown) {
		sorted(&s, fragment(100+id, 0, true, 0x13, 0x88, 0, 1, 0, 0, 0, 0), true, port)
	}
	if got := sorted(&s, fragment(7, 1, false, 0x13, 0x88, 0, 1, 0, 0, 0, 0), true, port); !slices.Equal(got, []uint16{1}) {
		t.Errorf("a fragment of a packet long ago goes to %v", got)
	}
}

func FuzzReadFlow(f *testing.F) {
	f.Add(packet(f, ipv6.Packet{Src: peer, Dst: homeAddress, Next: ipv6.UDP, Payload: make([]byte, 8)}))
	f.Add(packet(f, ipv6.Packet{Src: peer, Dst: homeAddress, Next: ipv6.Fragment, Payload: make([]byte, 16)}))
	f.Add(append([]byte{0x46, 0, 0, 28, 0, 1, 0x20, 1, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2}, make([]byte, 8)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if isIP(b) {
			var p flows.Packet
			readFlow(&p, b)
		}
	})
}

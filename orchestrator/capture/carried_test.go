package capture

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
)

var (
	ueHome = netip.MustParseAddr("2001:db8:100::10")
	cnHere = netip.MustParseAddr("2001:db8:2::2")
)

// data is a datagram from a port to another, in as many outer headers of IPv6 as are
// named.
func data(t testing.TB, src, dst netip.Addr, from, to uint16, outer ...netip.Addr) []byte {
	t.Helper()
	b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, from), to)
	p := ipv6.Packet{Src: src, Dst: dst, Next: ipv6.UDP, HopLimit: 64, Payload: append(b, 0, 8, 0, 0)}
	octets, err := ipv6.Append(nil, &p)
	for _, a := range outer {
		if err == nil {
			octets, err = ipv6.Append(nil, &ipv6.Packet{Src: a, Dst: cnHere, Next: ipv6.Encapsulate, HopLimit: 64, Payload: octets})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{13: 0xdd, 12: 0x86}, octets...)
}

func TestAFlowAppearsOnALinkAndVanishesFromIt(t *testing.T) {
	r, got, _ := newRecorder(t, Options{})
	defer r.Close()
	r.joinAll()
	w, c := &r.writing, &carried{}
	from := &recorded{link: &recordedLink{name: "wlan"}, node: "ue"}
	careOf := netip.MustParseAddr("2001:db8:200::10")
	at := func(ms int64, octets []byte) {
		c.note(w, &record{since: 1000*second + ms*1e6, length: 100}, octets, from)
		c.sweep(w, 1000*second+ms*1e6, false)
	}
	at(0, data(t, ueHome, cnHere, 40000, 5001, careOf))
	at(20, data(t, cnHere, ueHome, 5001, 40000)) // the other way is the same flow, in a tunnel or not
	at(40, data(t, ueHome, cnHere, 40000, 3868)) // signalling is none
	if told := got.named("flow-appeared"); len(told) != 1 || told[0].Fields["port"] != 5001.0 || told[0].Fields["link"] != "wlan" ||
		told[0].Fields["src"] != ueHome.String() || told[0].Fields["dst"] != cnHere.String() || told[0].Fields["protocol"] != "udp" {
		t.Fatalf("told %+v", told)
	}
	c.sweep(w, 1000*second+500e6, false)
	if told := got.named("flow-vanished"); len(told) != 0 {
		t.Fatalf("it has vanished after 480 ms: %+v", told)
	}
	c.sweep(w, 1000*second+700e6, false)
	told := got.named("flow-vanished")
	if len(told) != 1 || told[0].Fields["packets"] != 2.0 || told[0].Fields["octets"] != 200.0 || told[0].Fields["lasted"] != 0.02 {
		t.Fatalf("told %+v", told)
	}
	at(800, data(t, ueHome, cnHere, 40000, 5001))
	c.sweep(w, 1000*second+810e6, true)
	if n := len(got.named("flow-appeared")); n != 2 || len(got.named("flow-vanished")) != 2 {
		t.Errorf("it appeared %d times", n)
	}
}

func TestFlowsOfALinkAreNotWithoutBound(t *testing.T) {
	r, got, _ := newRecorder(t, Options{})
	defer r.Close()
	w, c := &r.writing, &carried{}
	from := &recorded{link: &recordedLink{name: "wlan"}}
	for i := range 2 * carriedMost {
		c.note(w, &record{since: 1000 * second}, data(t, ueHome, cnHere, uint16(40000), uint16(10000+i)), from)
	}
	if n := len(got.named("flow-appeared")); n != carriedMost {
		t.Errorf("%d flows are told of, want %d", n, carriedMost)
	}
}

func FuzzFlowOf(f *testing.F) {
	f.Add(data(f, ueHome, cnHere, 40000, 5001, ueHome))
	inner := data(f, ueHome, cnHere, 40000, 5001)[ethernetLen:]
	b, err := ipv4.Append(nil, &ipv4.Packet{Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"), TTL: 64, Protocol: ipv4.UDP,
		Payload: append([]byte{0x10, 0x5f, 0x10, 0x5f, 0, byte(8 + len(inner)), 0, 0}, inner...)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append([]byte{12: 8, 13: 0}, b...))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if k, ok := flowOf(frame); ok && (k.port == 0 && len(frame) < ethernetLen+ipv4.HeaderLen || !k.near.IsValid() || !k.far.IsValid()) {
			t.Errorf("a flow without ends: %+v", k)
		}
	})
}

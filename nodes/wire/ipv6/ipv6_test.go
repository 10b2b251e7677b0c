package ipv6

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
	"s2clab/nodes/wire/wiretest"
)

var (
	home    = netip.MustParseAddr("2001:db8:100::10")
	agent   = netip.MustParseAddr("2001:db8:100::1")
	careOf  = netip.MustParseAddr("2001:db8:200::99")
	request = []byte{59, 0, 0, 0, 0, 0, 0, 0}
)

// What the golden octets mean.
var golden = map[string]Packet{
	"No next header": {Src: careOf, Dst: agent, TrafficClass: 0xe8, FlowLabel: 0xabcde, HopLimit: 64, Next: NoNext, NextAt: 6},
	"Home Address option": {Src: careOf, Dst: agent, HopLimit: 64, HomeAddress: home,
		Next: Mobility, NextAt: 40, Payload: request},
	"Type 2 routing header": {Src: agent, Dst: careOf, HopLimit: 64, RoutingHome: home, SegmentsLeft: 1,
		Next: Mobility, NextAt: 40, Payload: request},
	"Type 2 routing header and Home Address option": {Src: careOf, Dst: careOf.Next(), HopLimit: 64,
		HomeAddress: home, RoutingHome: home.Next(), Next: NoNext, NextAt: 64},
	"Hop-by-hop options with a router alert": {Src: netip.MustParseAddr("fe80::1"), Dst: netip.MustParseAddr("ff02::16"),
		HopLimit: 1, Next: ICMPv6, NextAt: 40, Payload: []byte{143, 0, 0, 0, 0, 0, 0, 0}, Extended: true},
	"Destination options with Pad1 and an option to skip": {Src: careOf, Dst: agent, HopLimit: 64,
		Next: NoNext, NextAt: 40, Extended: true},
	"First fragment": {Src: careOf, Dst: agent, HopLimit: 64, Next: Fragment, NextAt: 6,
		Payload: []byte{135, 0, 0, 1, 0, 0, 0, 7, 59, 0, 0, 0, 0, 0, 0, 0}},
	"Atomic fragment": {Src: careOf, Dst: agent, HopLimit: 64, Next: Mobility, NextAt: 40, Payload: request, Extended: true},
	"Routing header of type 0 that has been followed": {Src: careOf, Dst: agent, HopLimit: 64,
		Next: NoNext, NextAt: 40, Extended: true},
	"Encapsulating Security Payload after a Home Address option": {Src: careOf, Dst: agent, HopLimit: 64, HomeAddress: home,
		Next: ESP, NextAt: 40, Payload: []byte{0, 0, 1, 0, 0, 0, 0, 1}},
}

var compare = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) }),
}

func TestGoldenOctetsParseToWhatTheyMean(t *testing.T) {
	met := map[string]bool{}
	for _, s := range wiretest.Golden(t) {
		met[s.Name] = true
		want, ok := golden[s.Name]
		if !ok {
			t.Errorf("%q: the test does not say what it means", s.Name)
			continue
		}
		got, err := Parse(append(bytes.Clone(s.Octets), "Ethernet pads"...))
		if err != nil {
			t.Errorf("%q: %v", s.Name, err)
		} else if d := cmp.Diff(want, got, compare); d != "" {
			t.Errorf("%q: -want +got\n%s", s.Name, d)
		}
	}
	for name := range golden {
		if !met[name] {
			t.Errorf("%q: no golden octets", name)
		}
	}
}

func TestWhatGoldenOctetsMeanAppendsToThem(t *testing.T) {
	for _, s := range wiretest.Golden(t) {
		p := golden[s.Name]
		if p.Extended {
			continue
		}
		got, err := Append([]byte("before"), &p)
		if err != nil || !bytes.Equal(got[6:], s.Octets) {
			t.Errorf("%q: %v\ngot  %x\nwant %x", s.Name, err, got, s.Octets)
		}
	}
}

func TestTheAddressesOfUpperLayersAreThoseOfTheMobile(t *testing.T) {
	update, answer := golden["Home Address option"], golden["Type 2 routing header"]
	if update.UpperSrc() != home || update.UpperDst() != agent {
		t.Errorf("update from %v to %v", update.UpperSrc(), update.UpperDst())
	}
	if answer.UpperSrc() != agent || answer.UpperDst() != home {
		t.Errorf("acknowledgement from %v to %v", answer.UpperSrc(), answer.UpperDst())
	}
	plain := golden["No next header"]
	if plain.UpperSrc() != careOf || plain.UpperDst() != agent {
		t.Errorf("plain packet from %v to %v", plain.UpperSrc(), plain.UpperDst())
	}
}

// packet is one with the given first next header and octets after the header.
func packet(next uint8, payload ...byte) []byte {
	b, err := Append(nil, &Packet{Src: careOf, Dst: agent, HopLimit: 64, Next: next, Payload: payload})
	if err != nil {
		panic(err)
	}
	return b
}

func TestBrokenPacketsAreRefusedWithTheProblemThatIsDue(t *testing.T) {
	address := make([]byte, 16)
	homeOption := append([]byte{59, 2, 1, 2, 0, 0, 0xc9, 16}, address...)
	routing := func(kind, left byte) []byte { return append([]byte{59, 2, kind, left, 0, 0, 0, 0}, address...) }
	version := packet(NoNext)
	version[0] = 0x45
	for what, c := range map[string]struct {
		octets  []byte
		code    uint8
		pointer int // 0: no problem is due
	}{
		"nothing":                             {octets: nil},
		"39 octets":                           {octets: packet(NoNext)[:39]},
		"version 4":                           {octets: version},
		"a payload cut off":                   {octets: packet(NoNext, 1, 2, 3)[:42]},
		"options cut off":                     {octets: packet(Destination, 59, 0, 1)},
		"options past the end":                {octets: packet(Destination, 59, 1, 1, 4, 0, 0, 0, 0)},
		"a routing header cut off":            {octets: packet(Routing, 59, 0, 2)},
		"a fragment header cut off":           {octets: packet(Fragment, 59, 0, 0)},
		"an option past its header":           {octets: packet(Destination, 59, 0, 1, 5, 0, 0, 0, 0)},
		"an option without a length":          {octets: packet(Destination, 59, 0, 1, 3, 0, 0, 0, 0x1e)},
		"an option that asks to be discarded": {octets: packet(Destination, 59, 0, 0x5e, 4, 0, 0, 0, 0)},
		"an unknown option that asks to tell": {packet(Destination, 59, 0, 0x9e, 4, 0, 0, 0, 0), UnrecognizedOption, 42},
		"a short home address":                {packet(Destination, 59, 0, 0xc9, 4, 0, 0, 0, 0), ErroneousField, 43},
		"two home addresses":                  {packet(Destination, append([]byte{60, 2, 1, 2, 0, 0, 0xc9, 16}, append(address, homeOption...)...)...), ErroneousField, 70},
		"a home address for every hop":        {packet(HopByHop, homeOption...), UnrecognizedOption, 46},
		"hop-by-hop options that are second":  {packet(Destination, 0, 0, 1, 4, 0, 0, 0, 0, 59, 0, 1, 4, 0, 0, 0, 0), UnrecognizedNext, 40},
		"two segments left":                   {packet(Routing, routing(2, 2)...), ErroneousField, 43},
		"a short type 2 routing header":       {packet(Routing, 59, 0, 2, 0, 0, 0, 0, 0), ErroneousField, 41},
		"another routing header to follow":    {packet(Routing, routing(0, 1)...), ErroneousField, 42},
		"two type 2 routing headers": {packet(Routing, append([]byte{43, 2, 2, 0, 0, 0, 0, 0},
			append(address, routing(2, 0)...)...)...), ErroneousField, 64},
	} {
		_, err := Parse(c.octets)
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
		var p *ParameterProblem
		if got := errors.As(err, &p); got != (c.pointer > 0) || got && (p.Code != c.code || p.Pointer != c.pointer) {
			t.Errorf("%s: problem %v, want code %d at %d", what, err, c.code, c.pointer)
		}
	}
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	v4 := netip.MustParseAddr("192.0.2.1")
	for what, p := range map[string]Packet{
		"no source":               {Dst: agent},
		"an IPv4 destination":     {Src: careOf, Dst: v4},
		"an IPv4 home address":    {Src: careOf, Dst: agent, HomeAddress: v4},
		"an IPv4 routing header":  {Src: careOf, Dst: agent, RoutingHome: v4},
		"a flow label of 21 bits": {Src: careOf, Dst: agent, FlowLabel: 1 << 20},
		"65,536 octets":           {Src: careOf, Dst: agent, Payload: make([]byte, math.MaxUint16+1)},
		"65,536 octets in all":    {Src: careOf, Dst: agent, HomeAddress: home, Payload: make([]byte, math.MaxUint16-23)},
	} {
		if _, err := Append(nil, &p); err == nil {
			t.Errorf("%s: appended", what)
		}
	}
	if _, err := Append(nil, &Packet{Src: careOf, Dst: agent, HomeAddress: home, Payload: make([]byte, math.MaxUint16-24)}); err != nil {
		t.Errorf("65,535 octets in all: %v", err)
	}
}

func TestNeitherParseNorAppendAllocates(t *testing.T) {
	p := golden["Home Address option"]
	buf := make([]byte, 0, 200)
	if n := testing.AllocsPerRun(100, func() {
		b, err := Append(buf, &p)
		if err != nil {
			t.Fatal(err)
		}
		q, err := Parse(b)
		if err != nil || q.HomeAddress != home {
			t.Fatal(q, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// plainChecksum is RFC 1071 in its plainest form.
func plainChecksum(src, dst netip.Addr, next uint8, payload []byte) uint16 {
	s, d := src.As16(), dst.As16()
	b := append(append([]byte{}, s[:]...), d[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = append(append(b, 0, 0, 0, next), payload...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	var sum uint32
	for ; len(b) > 0; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

func TestTheChecksumIsTheSumOf16BitWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		octets := rapid.OneOf(rapid.Byte(), rapid.Just(byte(0xff)), rapid.Just(byte(0)))
		address := func(name string) netip.Addr {
			return netip.AddrFrom16([16]byte(rapid.SliceOfN(octets, 16, 16).Draw(t, name)))
		}
		src, dst := address("source"), address("destination")
		payload := rapid.SliceOfN(octets, 0, 100).Draw(t, "payload")
		next := rapid.Byte().Draw(t, "next")
		if got, want := Checksum(src, dst, next, payload), plainChecksum(src, dst, next, payload); got != want {
			t.Fatalf("%#x, want %#x", got, want)
		}
	})
	long := bytes.Repeat([]byte{0xff}, 65535)
	if got, want := Checksum(careOf, agent, UDP, long), plainChecksum(careOf, agent, UDP, long); got != want {
		t.Errorf("65,535 octets: %#x, want %#x", got, want)
	}
}

// No octets make Parse panic; what parses appends; what was appended parses to
// the same value.
func FuzzParse(f *testing.F) {
	wiretest.Seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Error(err)
			}
			return
		}
		if b[p.NextAt] != p.Next {
			t.Errorf("next header %d is said to stand at octet %d", p.Next, p.NextAt)
		}
		again, err := Append(nil, &p)
		if err != nil {
			if len(p.Payload) > math.MaxUint16-48 { // options may have been laid out more tightly
				return
			}
			t.Fatal(err)
		}
		q, err := Parse(again)
		if err != nil {
			t.Fatalf("%x: %v", again, err)
		}
		p.Extended, p.NextAt, q.NextAt = false, 0, 0
		if d := cmp.Diff(p, q, compare); d != "" {
			t.Errorf("-first +again\n%s", d)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	p := golden["Home Address option"]
	octets, err := Append(nil, &p)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(octets); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChecksum(b *testing.B) {
	payload := make([]byte, 1400)
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		Checksum(careOf, agent, UDP, payload)
	}
}

package ipv4

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/wire/wiretest"
)

var (
	careOf = netip.MustParseAddr("192.0.2.9")
	agent  = netip.MustParseAddr("198.51.100.1")
)

// What the golden octets mean.
var golden = map[string]Packet{
	"IPv6 in IPv4": {Src: careOf, Dst: agent, TOS: 46 << 2, ID: 1, DontFragment: true, TTL: 64, Protocol: IPv6,
		Payload: []byte{0x60, 0, 0, 0}},
	"Router alert": {Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("224.0.0.22"), TTL: 1, Protocol: 2,
		Options: []byte{0x94, 4, 0, 0}},
	"Last fragment": {Src: careOf, Dst: agent, ID: 0x1234, Offset: 1480, TTL: 64, Protocol: UDP, Payload: []byte{1, 2, 3, 4}},
	"First fragment": {Src: careOf, Dst: agent, TOS: 1, ID: 0x1234, MoreFragments: true, TTL: 64, Protocol: UDP,
		Payload: []byte{1, 2, 3, 4, 5, 6, 7, 8}},
}

var compare = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) }),
}

func TestGoldenOctetsAreWhatTheyMean(t *testing.T) {
	samples := wiretest.Golden(t)
	if len(samples) != len(golden) {
		t.Errorf("%d samples, want %d", len(samples), len(golden))
	}
	for _, s := range samples {
		want := golden[s.Name]
		got, err := Parse(append(bytes.Clone(s.Octets), "Ethernet pads"...))
		if d := cmp.Diff(want, got, compare); err != nil || d != "" {
			t.Errorf("%q: %v, -want +got\n%s", s.Name, err, d)
		}
		b, err := Append([]byte("before"), &want)
		if err != nil || !bytes.Equal(b[6:], s.Octets) {
			t.Errorf("%q: %v\ngot  %x\nwant %x", s.Name, err, b[6:], s.Octets)
		}
		if got.IsFragment() != (s.Name == "Last fragment" || s.Name == "First fragment") {
			t.Errorf("%q is said to be a fragment: %v", s.Name, got.IsFragment())
		}
	}
}

func TestBrokenPacketsAreRefused(t *testing.T) {
	good, err := Append(nil, &Packet{Src: careOf, Dst: agent, Payload: make([]byte, 8)})
	if err != nil {
		t.Fatal(err)
	}
	with := func(at int, octet byte) []byte {
		b := bytes.Clone(good)
		b[at], b[10], b[11] = octet, 0, 0
		sum := HeaderChecksum(b[:HeaderLen])
		b[10], b[11] = byte(sum>>8), byte(sum)
		return b
	}
	changed := bytes.Clone(good)
	changed[8]++
	end := with(6, 0x1f)
	end[7] = 0xff
	sum := bytes.Clone(end)
	sum[10], sum[11] = 0, 0
	c := HeaderChecksum(sum[:HeaderLen])
	sum[10], sum[11] = byte(c>>8), byte(c)
	for what, b := range map[string][]byte{
		"nothing":                 nil,
		"19 octets":               good[:19],
		"version 6":               with(0, 0x65),
		"a header of 16 octets":   with(0, 0x44),
		"options past the end":    with(0, 0x4f),
		"a payload cut off":       good[:27],
		"shorter than its header": with(3, 19),
		"a wrong checksum":        changed,
		"a fragment past the end": sum,
	} {
		if _, err := Parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	six := netip.MustParseAddr("2001:db8::1")
	for what, p := range map[string]Packet{
		"no source":               {Dst: agent},
		"an IPv6 destination":     {Src: careOf, Dst: six},
		"three octets of options": {Src: careOf, Dst: agent, Options: make([]byte, 3)},
		"44 octets of options":    {Src: careOf, Dst: agent, Options: make([]byte, 44)},
		"a fragment at octet 4":   {Src: careOf, Dst: agent, Offset: 4},
		"a fragment at 65,536":    {Src: careOf, Dst: agent, Offset: 1 << 16},
		"65,536 octets":           {Src: careOf, Dst: agent, Payload: make([]byte, math.MaxUint16-19)},
	} {
		if _, err := Append(nil, &p); err == nil {
			t.Errorf("%s: appended", what)
		}
	}
	b, err := Append(nil, &Packet{Src: careOf, Dst: agent, Options: make([]byte, 40), Payload: make([]byte, math.MaxUint16-60)})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := Parse(b); err != nil || len(p.Payload) != math.MaxUint16-60 || len(p.Options) != 40 {
		t.Errorf("the longest: %d octets, %v", len(p.Payload), err)
	}
}

func TestTheChecksumHasThePseudoHeader(t *testing.T) {
	// By hand from RFC 768: ports 1 and 2, 9 octets, one of payload.
	b := []byte{0, 1, 0, 2, 0, 9, 0, 0, 1}
	sum := uint32(0xc000 + 0x0209 + 0xc633 + 0x6401 + 17 + 9 + 1 + 2 + 9 + 0x100)
	want := ^uint16(sum>>16 + sum&0xffff)
	if got := Checksum(careOf, agent, UDP, b); got != want {
		t.Errorf("%#x, want %#x", got, want)
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
		again, err := Append(nil, &p)
		if err != nil {
			t.Fatal(err)
		}
		q, err := Parse(again)
		if d := cmp.Diff(p, q, compare); err != nil || d != "" {
			t.Errorf("%v, -first +again\n%s", err, d)
		}
	})
}

func TestParseDoesNotAllocate(t *testing.T) {
	b := wiretest.Golden(t)[0].Octets
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Parse(b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

package udp

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
	six    = netip.MustParseAddr("2001:db8::1")
)

// What the golden octets mean.
var golden = map[string]Datagram{
	"Encapsulated":       {Src: 50000, Dst: EncapsulationPort, Payload: []byte{0x60, 0, 0, 0}},
	"Without a checksum": {Src: EncapsulationPort, Dst: 50000, NoChecksum: true},
	"With an odd end":    {Src: 1, Dst: 2, Payload: []byte{1}},
}

var compare = cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) })

func TestGoldenOctetsAreWhatTheyMean(t *testing.T) {
	samples := wiretest.Golden(t)
	if len(samples) != len(golden) {
		t.Errorf("%d samples, want %d", len(samples), len(golden))
	}
	for _, s := range samples {
		want := golden[s.Name]
		got, err := Parse(append(bytes.Clone(s.Octets), "Ethernet pads"...), careOf, agent)
		if d := cmp.Diff(want, got, compare); err != nil || d != "" {
			t.Errorf("%q: %v, -want +got\n%s", s.Name, err, d)
		}
		b, err := Append([]byte("before"), &want, careOf, agent)
		if err != nil || !bytes.Equal(b[6:], s.Octets) {
			t.Errorf("%q: %v\ngot  %x\nwant %x", s.Name, err, b, s.Octets)
		}
	}
}

func TestAChecksumIsNeverAllZeros(t *testing.T) {
	// The ports make up for all else in the sum.
	d := Datagram{Payload: []byte{0, 0}}
	b, err := Append(nil, &d, careOf, agent)
	if err != nil {
		t.Fatal(err)
	}
	d.Src = uint16(b[6])<<8 | uint16(b[7])
	if b, err = Append(nil, &d, careOf, agent); err != nil || b[6] != 0xff || b[7] != 0xff {
		t.Fatalf("%x, %v, want a checksum of all ones", b, err)
	}
	if _, err := Parse(b, careOf, agent); err != nil {
		t.Error(err)
	}
}

func TestBrokenDatagramsAreRefused(t *testing.T) {
	good, err := Append(nil, &Datagram{Src: 1, Dst: 2, Payload: []byte("hello")}, careOf, agent)
	if err != nil {
		t.Fatal(err)
	}
	with := func(at int, octet byte) []byte {
		b := bytes.Clone(good)
		b[at] = octet
		return b
	}
	for what, b := range map[string][]byte{
		"nothing":                  nil,
		"a header cut off":         good[:7],
		"a payload cut off":        good[:12],
		"shorter than its header":  with(5, 7),
		"longer than what is left": with(4, 1),
		"another payload":          with(9, 'x'),
	} {
		if _, err := Parse(b, careOf, agent); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Parse(append(bytes.Clone(good[:6]), 0, 0, 1, 2, 3, 4, 5), six, six); !errors.Is(err, ErrMalformed) {
		t.Errorf("no checksum over IPv6: %v", err)
	}
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	for what, c := range map[string]struct {
		d        Datagram
		src, dst netip.Addr
	}{
		"two families":          {src: careOf, dst: six},
		"no source":             {dst: agent},
		"65,528 octets":         {d: Datagram{Payload: make([]byte, math.MaxUint16-7)}, src: careOf, dst: agent},
		"no checksum over IPv6": {d: Datagram{NoChecksum: true}, src: six, dst: six},
	} {
		if _, err := Append(nil, &c.d, c.src, c.dst); err == nil {
			t.Errorf("%s: appended", what)
		}
	}
	b, err := Append(nil, &Datagram{Payload: make([]byte, math.MaxUint16-8)}, six, six)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := Parse(b, six, six); err != nil || len(d.Payload) != math.MaxUint16-8 {
		t.Errorf("the longest: %d octets, %v", len(d.Payload), err)
	}
}

// No octets make Parse panic; what parses appends; what was appended parses to
// the same value.
func FuzzParse(f *testing.F) {
	wiretest.Seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(b, careOf, agent)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Error(err)
			}
			return
		}
		again, err := Append(nil, &d, careOf, agent)
		if err != nil || !bytes.Equal(again, b[:len(again)]) {
			t.Fatalf("%x appended to %x, %v", b, again, err)
		}
	})
}

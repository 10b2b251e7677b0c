package icmp4

import (
	"bytes"
	"errors"
	"testing"

	"s2clab/nodes/wire/wiretest"
)

// What the golden octets mean, but for the invoking packet.
var golden = map[string]Error{
	"Fragmentation needed":  {Type: Unreachable, Code: FragmentationNeeded, Rest: 1300},
	"Time to live exceeded": {Type: TimeExceeded},
}

func TestGoldenOctetsAreWhatTheyMean(t *testing.T) {
	samples := wiretest.Golden(t)
	if len(samples) != len(golden) {
		t.Errorf("%d samples, want %d", len(samples), len(golden))
	}
	for _, s := range samples {
		want := golden[s.Name]
		want.Invoking = s.Octets[HeaderLen:]
		got, err := Parse(s.Octets)
		if err != nil || got.Type != want.Type || got.Code != want.Code || got.MTU() != want.MTU() || !bytes.Equal(got.Invoking, want.Invoking) {
			t.Errorf("%q: got %+v, %v, want %+v", s.Name, got, err, want)
		}
		b, err := Append([]byte("before"), &want)
		if err != nil || !bytes.Equal(b[6:], s.Octets) {
			t.Errorf("%q: %v\ngot  %x\nwant %x", s.Name, err, b, s.Octets)
		}
	}
}

func TestBrokenErrorsAreRefused(t *testing.T) {
	good := wiretest.Golden(t)[0].Octets
	echo, changed := bytes.Clone(good), bytes.Clone(good)
	echo[0], changed[7] = 8, 7
	for what, b := range map[string][]byte{
		"nothing": nil, "a header cut off": good[:27], "an echo": echo, "another MTU": changed,
	} {
		if _, err := Parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, e := range map[string]Error{
		"an echo":            {Type: 8, Invoking: make([]byte, 28)},
		"no invoking packet": {Type: Unreachable},
	} {
		if _, err := Append(nil, &e); err == nil {
			t.Errorf("%s: appended", what)
		}
	}
}

// No octets make Parse panic; what parses appends to the same octets.
func FuzzParse(f *testing.F) {
	wiretest.Seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Error(err)
			}
			return
		}
		again, err := Append(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		// A checksum of all ones is as right as one of all zeros.
		if !bytes.Equal(again[4:], b[4:]) || !bytes.Equal(again[:2], b[:2]) {
			t.Errorf("%x appended to %x", b, again)
		}
	})
}

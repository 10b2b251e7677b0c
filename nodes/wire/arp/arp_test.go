package arp

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"s2clab/nodes/wire/wiretest"
)

var home, router = netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.1")

// What the golden octets mean.
var golden = map[string]Packet{
	"Announcement": Announcement(home, [6]byte{2, 0, 0, 0, 0, 1}),
	"Reply":        {Reply, [6]byte{2, 0, 0, 0, 0, 1}, home, [6]byte{2, 0, 0, 0, 0, 2}, router},
}

func TestGoldenOctetsAreWhatTheyMean(t *testing.T) {
	samples := wiretest.Golden(t)
	if len(samples) != len(golden) {
		t.Errorf("%d samples, want %d", len(samples), len(golden))
	}
	for _, s := range samples {
		want := golden[s.Name]
		if got, err := Parse(append(bytes.Clone(s.Octets), "Ethernet pads"...)); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", s.Name, got, err, want)
		}
		if b, err := Append([]byte("before"), &want); err != nil || !bytes.Equal(b[6:], s.Octets) {
			t.Errorf("%q: %v\ngot  %x\nwant %x", s.Name, err, b, s.Octets)
		}
	}
}

func TestOtherPacketsAreRefused(t *testing.T) {
	good := wiretest.Golden(t)[0].Octets
	other := bytes.Clone(good)
	other[1] = 6 // IEEE 802 networks
	for what, b := range map[string][]byte{"nothing": nil, "a packet cut off": good[:27], "other hardware": other} {
		if _, err := Parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Append(nil, &Packet{Sender: home, Target: netip.IPv6Unspecified()}); err == nil {
		t.Error("appended with an IPv6 address")
	}
}

// No octets make Parse panic; what parses appends to the same octets.
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
		if again, err := Append(nil, &p); err != nil || !bytes.Equal(again, b[:Len]) {
			t.Errorf("%x appended to %x, %v", b, again, err)
		}
	})
}

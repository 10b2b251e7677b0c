package replica

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var addresses = cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })}

func examples() []Record {
	at := time.Unix(1790000000, 5)
	return []Record{
		Origin{State: 7},
		Subscriber{NAI: "a@example.org", Alias: "AAAA@bsf.example.org", Home: netip.MustParseAddr("2001:db8::1"), Stamped: true, Last: 1 << 63, Associations: []Association{
			{SPI: 256, Key: []byte("0123456789abcdef"), Expires: at, Timestamp: true, Session: "ha;1;2", Server: "aaa"},
			{SPI: 257, Key: []byte("0123456789abcdef"), Ended: true},
		}},
		Subscriber{NAI: "b@example.org"},
		SubscriberGone{NAI: "a@example.org"},
		Binding{Home: netip.MustParseAddr("2001:db8::1"), CareOf: netip.MustParseAddr("2001:db8:1::1"), NAI: "a@example.org", SPI: 256, Seq: 65535,
			LinkLocal: true, Stamped: true, Timestamp: 9, Lifetime: time.Minute, Since: at, Expires: at.Add(time.Minute)},
		Binding{Home: netip.MustParseAddr("2001:db8::2"), CareOf: netip.MustParseAddr("192.168.1.9"), Home4: netip.MustParseAddr("198.51.100.9"),
			Outer: netip.MustParseAddrPort("192.0.2.7:40001"), NAT: true, UDP: true, Seq: 1, Lifetime: time.Minute, Since: at, Expires: at.Add(time.Minute)},
		BindingGone{Home: netip.MustParseAddr("2001:db8::1")},
		Alive{Records: 5},
	}
}

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	var b []byte
	var err error
	for _, r := range examples() {
		if b, err = Append(b, r); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range examples() {
		var got Record
		if got, b, err = Next(b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, addresses); diff != "" {
			t.Error(diff)
		}
	}
	if got, rest, err := Next(b); got != nil || len(rest) != 0 || err != nil {
		t.Errorf("%v, %d octets, %v behind the last", got, len(rest), err)
	}
}

func TestARecordThatWasNotFinishedIsNoError(t *testing.T) {
	b, _ := Append(nil, examples()[4])
	for n := range b {
		if r, rest, err := Next(b[:n]); r != nil || len(rest) != n || err != nil {
			t.Fatalf("%d octets: %v, %v", n, r, err)
		}
	}
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	good, _ := Append(nil, Origin{State: 7})
	for name, spoil := range map[string]func(b []byte){
		"another version": func(b []byte) { b[2]++ },
		"another type":    func(b []byte) { b[3] = 99 },
		"too short":       func(b []byte) { b[1]-- },
		"nothing":         func(b []byte) { b[1] = 0 },
	} {
		b := bytes.Clone(good)
		spoil(b)
		if _, _, err := Next(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, r := range []Record{
		SubscriberGone{NAI: strings.Repeat("x", maxText+1)},
		Subscriber{Associations: make([]Association, MaxAssociations+1)},
		Subscriber{Associations: []Association{{Key: make([]byte, maxKey+1)}}},
		Binding{Lifetime: time.Millisecond},
		Binding{Lifetime: -time.Second},
	} {
		if _, err := Append(nil, r); err == nil {
			t.Errorf("%T: written", r)
		}
	}
}

func FuzzNext(f *testing.F) {
	for _, r := range examples() {
		b, err := Append(nil, r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, rest, err := Next(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if r == nil {
			return
		}
		again, err := Append(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, b[:len(b)-len(rest)]) {
			t.Fatalf("read %x, wrote %x", b[:len(b)-len(rest)], again)
		}
	})
}

package leases_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/session/leases"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// Of both families, across the end of an octet.
var pools = [][2]string{{"192.0.2.254", "192.0.3.1"}, {"2001:db8::fe", "2001:db8::101"}}

func TestAPoolIsGivenOutWholeAndNoFurther(t *testing.T) {
	for _, p := range pools {
		first, last := addr(p[0]), addr(p[1])
		b := leases.NewBook(first, last, first.Next())
		if n := leases.Count(first, last); n != 4 || b.Size() != 4 {
			t.Errorf("%v to %v: %d addresses, size %d", first, last, n, b.Size())
		}
		var given []netip.Addr
		for i := range 3 {
			client := fmt.Sprint(i)
			a, ok := b.Choose(start, client)
			if !ok || !b.Free(start, a) || !b.Hold(a, client, start.Add(time.Hour)) || b.Free(start, a) {
				t.Fatalf("%v to %v: chose %v, %t", first, last, a, ok)
			}
			if again, _ := b.Choose(start, client); again != a {
				t.Errorf("%v, then %v", a, again)
			}
			given = append(given, a)
		}
		slices.SortFunc(given, netip.Addr.Compare)
		if want := []netip.Addr{first, first.Next().Next(), last}; !slices.Equal(given, want) {
			t.Errorf("given %v, want %v", given, want)
		}
		if a, ok := b.Choose(start, "one more"); ok || !b.Exhausted() || b.Exhausted() {
			t.Errorf("chose %v", a)
		}
		b.End(last)
		if a, ok := b.Choose(start, "one more"); !ok || a != last {
			t.Errorf("chose %v, want what came free", a)
		}
		if b.Choose(start, "x"); !b.Exhausted() {
			t.Error("that the pool is exhausted again is not told")
		}
	}
}

func TestWhatIsDueEndsAndNothingBefore(t *testing.T) {
	b := leases.NewBook(addr("2001:db8::1"), addr("2001:db8::4"), netip.Addr{})
	if !b.Deadline().IsZero() {
		t.Errorf("an empty book has the deadline %v", b.Deadline())
	}
	b.Hold(addr("2001:db8::2"), "b", start.Add(time.Minute))
	b.Hold(addr("2001:db8::1"), "a", start.Add(time.Minute))
	b.Hold(addr("2001:db8::3"), "c", start.Add(time.Hour))
	b.Hold(addr("2001:db8::4"), "d", start.Add(time.Hour))
	b.Decline(start, addr("2001:db8::4"))
	for _, due := range []struct {
		at    time.Duration
		ended []netip.Addr
		free  []string
	}{
		{time.Minute, []netip.Addr{addr("2001:db8::1"), addr("2001:db8::2")}, []string{"2001:db8::1", "2001:db8::2"}},
		{leases.DeclinedFor, nil, []string{"2001:db8::4"}},
		{time.Hour, []netip.Addr{addr("2001:db8::3")}, []string{"2001:db8::3"}},
	} {
		at := start.Add(due.at)
		if !b.Deadline().Equal(at) || b.Expire(at.Add(-1)) != nil {
			t.Errorf("the deadline is %v, want %v", b.Deadline(), at)
		}
		if ended := b.Expire(at); !slices.Equal(ended, due.ended) {
			t.Errorf("at %v ended %v, want %v", due.at, ended, due.ended)
		}
		for _, a := range due.free {
			if !b.Free(at, addr(a)) {
				t.Errorf("at %v %s is not free", due.at, a)
			}
		}
	}
	if leased, clients, declined := b.Kept(); leased+clients+declined != 0 || !b.Deadline().IsZero() {
		t.Errorf("keeps %d leases, %d clients, %d declined until %v", leased, clients, declined, b.Deadline())
	}
}

func TestAWishIsGrantedWhereItIsFree(t *testing.T) {
	b := leases.NewBook(addr("192.0.2.1"), addr("192.0.2.9"), netip.Addr{})
	b.Hold(addr("192.0.2.4"), "other", start.Add(time.Hour))
	if a, _ := b.Choose(start, "me", netip.Addr{}, addr("192.0.2.4"), addr("198.51.100.1"), addr("192.0.2.7"), addr("192.0.2.8")); a != addr("192.0.2.7") {
		t.Errorf("chose %v", a)
	}
	if a, ok := leases.NewBook(netip.Addr{}, netip.Addr{}, netip.Addr{}).Choose(start, "me", addr("192.0.2.7")); ok {
		t.Errorf("a book of no addresses has %v", a)
	}
}

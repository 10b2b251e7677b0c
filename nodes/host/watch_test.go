package host

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/rtnetlink"
)

// await returns the first change that is wanted.
func await(t testing.TB, changes <-chan Change, wanted func(Change) bool) Change {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case c, ok := <-changes:
			if !ok {
				t.Fatal("the watch ended")
			}
			if wanted(c) {
				return c
			}
		case <-timeout:
			t.Fatal("the change did not come")
		}
	}
}

func carrier(dev string, up bool) func(Change) bool {
	return func(c Change) bool { return c == LinkChange{dev, up} }
}

func (n *testNode) setUp(dev string, up bool) {
	n.t.Helper()
	index, err := n.Index(dev)
	n.must(err)
	flags := uint32(0)
	if up {
		flags = unix.IFF_UP
	}
	var b batch
	b.End(b.Begin(dev, unix.RTM_NEWLINK, 0, rtnetlink.LinkHeader(index, flags, unix.IFF_UP)))
	n.must(n.nl.do(&b))
}

// look makes the kernel act on a change of carrier at once, as links do.
func (n *testNode) look(dev string) {
	n.t.Helper()
	index, err := n.Index(dev)
	n.must(err)
	_, err = n.nl.link(index, "")
	n.must(err)
}

func TestWatchTellsHowThingsAreAndThenWhatChanges(t *testing.T) {
	a, b := pair(t)
	ctx, cancel := context.WithCancel(context.Background())
	changes := a.Watch(ctx)
	await(t, changes, carrier("wlan", true))
	await(t, changes, func(c Change) bool { return c == AddressChange{"wlan", near, Ready} })
	b.setUp("core", false)
	a.look("wlan")
	await(t, changes, carrier("wlan", false))
	b.setUp("core", true)
	a.look("wlan")
	await(t, changes, carrier("wlan", true))
	a.must(a.RemoveAddress("wlan", netip.PrefixFrom(near, 64)), a.RemoveAddress("wlan", netip.PrefixFrom(near, 64)))
	await(t, changes, func(c Change) bool { return c == AddressChange{"wlan", near, Removed} })
	cancel()
	for range changes {
	}
}

func TestWatchTellsOfDuplicateAddresses(t *testing.T) {
	for _, how := range []struct {
		flags AddressFlags
		first AddressState
	}{{AddressFlags{}, Tentative}, {AddressFlags{Optimistic: true}, Optimistic}} {
		t.Run(how.first.String(), func(t *testing.T) {
			a, b := pair(t)
			a.in(func() error {
				return allOf(a.SetSysctl("conf/all/accept_dad", "1"), a.SetSysctl("neigh/wlan/retrans_time_ms", "500")) // time enough for the other to defend it, on a busy machine too
			})
			changes := a.Watch(context10s(t))
			double, single := netip.MustParseAddr("2001:db8:1::5"), netip.MustParseAddr("2001:db8:1::6")
			there := b.Watch(context10s(t))
			b.address("core", "2001:db8:1::5/64")
			await(t, there, func(c Change) bool { return c == AddressChange{"core", double, Ready} }) // it answers from now on
			a.in(func() error {
				return allOf(
					a.AddAddress("wlan", netip.PrefixFrom(double, 128), how.flags),
					a.AddAddress("wlan", netip.PrefixFrom(single, 128), how.flags))
			})
			states := map[netip.Addr][]AddressState{}
			last := func(of netip.Addr) AddressState {
				return append([]AddressState{Tentative}, states[of]...)[len(states[of])]
			}
			await(t, changes, func(c Change) bool {
				if c, ok := c.(AddressChange); ok {
					states[c.Address] = append(states[c.Address], c.State)
				}
				return last(double) == Failed && last(single) == Ready
			})
			if states[double][0] != how.first || states[single][0] != how.first {
				t.Errorf("states %v, want %v first", states, how.first)
			}
		})
	}
}

func TestAnOptimisticAddressIsInUseWhileDetectionGoesOn(t *testing.T) {
	a, b := pair(t)
	a.in(func() error { return a.SetSysctl("conf/all/accept_dad", "1") })
	early := netip.MustParseAddr("2001:db8:1::5")
	changes := a.Watch(context10s(t))
	a.in(func() error {
		return a.AddAddress("wlan", netip.PrefixFrom(early, 128), AddressFlags{Optimistic: true})
	})
	await(t, changes, func(c Change) bool { return c == AddressChange{"wlan", early, Optimistic} })
	a.accessRoute("wlan", "2001:db8:1::5", "2001:db8:1::2")
	port, out := mobilityPort(t, b, far), mobilityPort(t, a)
	a.must(out.Send(mobilityPackets(t)["a mobility header"]))
	if got, err := port.Receive(); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAnAddressWithoutDetectionTakesPacketsAtOnceUntilItIsRemoved(t *testing.T) {
	a, _ := pair(t)
	p := netip.MustParsePrefix("2001:db8:7::7/128")
	for range 20 {
		a.must(a.AddAddress("wlan", p, AddressFlags{NoDAD: true}))
		if !a.isLocal(p.Addr()) {
			t.Fatal("packets to a new address are not taken")
		}
		a.must(a.RemoveAddress("wlan", p))
		if a.isLocal(p.Addr()) {
			t.Fatal("packets to an address that was removed are taken")
		}
	}
}

// BenchmarkHandover is what the kernel is asked for when a mobile node gets a
// care-of address: address, route, rule; and the same taken away.
func BenchmarkHandover(b *testing.B) {
	a, _ := pair(b)
	careOf := netip.MustParsePrefix("2001:db8:1::10/128")
	route := Route{Table: 1001, Dev: "wlan", Via: far}
	rule := Rule{Priority: PriorityRole, From: careOf, Table: 1001}
	for b.Loop() {
		a.must(
			a.AddAddress("wlan", careOf, AddressFlags{NoDAD: true, NoPrefixRoute: true}), a.ReplaceRoute(route), a.AddRule(rule),
			a.RemoveRule(rule), a.RemoveRoute(route), a.RemoveAddress("wlan", careOf))
	}
}

// BenchmarkTunnelSet is what a handover costs at the tunnel.
func BenchmarkTunnelSet(b *testing.B) {
	for _, engine := range engines {
		b.Run(engine, func(b *testing.B) {
			w := bound(b, engine)
			w.mobile.address("wlan", "2001:db8:200::11/64")
			w.mobile.accessRoute("wlan", "2001:db8:200::11", "2001:db8:200::1")
			local := []netip.Addr{netip.MustParseAddr("2001:db8:200::11"), careOf}
			for i := 0; b.Loop(); i++ {
				w.mobile.must(w.atMobile.Set(Binding{Inner: homeAddress, Local: local[i%2], Remote: agent}))
			}
		})
	}
}

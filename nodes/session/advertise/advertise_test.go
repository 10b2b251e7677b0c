package advertise

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"s2clab/nodes/wire/icmp6"
)

var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	node  = netip.MustParseAddr("fe80::10")
)

func router(t testing.TB, change func(*Config)) *Router {
	t.Helper()
	cfg := Config{
		Prefix:      netip.MustParsePrefix("2001:db8:200::/64"),
		Address:     netip.MustParseAddr("2001:db8:200::1"),
		LinkAddress: net.HardwareAddr{2, 0, 0, 0, 0, 1},
		MTU:         1400,
		MinInterval: 30 * time.Millisecond,
		MaxInterval: 70 * time.Millisecond,
		Lifetime:    1800 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	r, err := New(cfg, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func want(t *testing.T, got []Output, to ...netip.Addr) {
	t.Helper()
	var all []netip.Addr
	for _, o := range got {
		all = append(all, o.To)
	}
	if !slices.Equal(all, to) {
		t.Errorf("advertised to %v, want %v", all, to)
	}
}

func TestItAdvertisesAtOnceWhenTheLinkIsUpAndThenWithinTheIntervals(t *testing.T) {
	r := router(t, nil)
	if !r.Deadline().IsZero() {
		t.Error("something is due before the link is up")
	}
	want(t, r.Step(start, LinkUp{}), AllNodes)
	now := start
	for range 100 {
		next := r.Deadline()
		if gap := next.Sub(now); gap < 30*time.Millisecond || gap > 70*time.Millisecond {
			t.Fatalf("next after %v, want 30 ms to 70 ms", gap)
		}
		want(t, r.Tick(next.Add(-time.Nanosecond)))
		want(t, r.Tick(next), AllNodes)
		now = next
	}
}

func TestTheFirstThreeComeEarlyWhereIntervalsAreLong(t *testing.T) {
	r := router(t, func(c *Config) { c.MinInterval, c.MaxInterval = 200*time.Second, 600*time.Second })
	r.Step(start, LinkUp{})
	var gaps []bool
	now := start
	for range 4 {
		next := r.Deadline()
		gaps = append(gaps, next.Sub(now) <= 16*time.Second)
		want(t, r.Tick(next), AllNodes)
		now = next
	}
	if !slices.Equal(gaps, []bool{true, true, false, false}) {
		t.Errorf("early: %v, want the second and the third advertisement alone", gaps)
	}
}

func TestASolicitationIsAnsweredToItsSenderAtOnceWithoutADelay(t *testing.T) {
	r := router(t, nil)
	r.Step(start, LinkUp{})
	before := r.Deadline()
	want(t, r.Step(start.Add(time.Millisecond), Solicited{From: node}), node)
	if r.Deadline() != before {
		t.Error("an answer to one node moved the next unsolicited advertisement")
	}
}

func TestTheDelayOfAnswersIsRandomUpToTheLongest(t *testing.T) {
	r := router(t, func(c *Config) {
		c.Delay, c.MinInterval, c.MaxInterval = 500*time.Millisecond, 1000*time.Second, 1000*time.Second
	})
	r.Step(start, LinkUp{})
	for range initialCount { // past the first ones
		r.Tick(r.Deadline())
	}
	now := start.Add(time.Minute)
	var waits []time.Duration
	for range 50 {
		want(t, r.Step(now, Solicited{From: node}))
		want(t, r.Step(now, Solicited{From: node})) // the same node asks again
		waits = append(waits, r.Deadline().Sub(now))
		want(t, r.Tick(r.Deadline()), node)
		now = now.Add(time.Second)
	}
	if low, high := slices.Min(waits), slices.Max(waits); low > 100*time.Millisecond || high < 400*time.Millisecond || high > 500*time.Millisecond {
		t.Errorf("waited %v to %v, want all of 0 to 500 ms", low, high)
	}
}

func TestANodeWithoutAnAddressIsAnsweredInTheGroupNotTooOften(t *testing.T) {
	r := router(t, func(c *Config) { c.MinInterval, c.MaxInterval = time.Second, time.Second })
	r.Step(start, LinkUp{})
	none := Solicited{From: netip.IPv6Unspecified()}
	now := start.Add(100 * time.Millisecond)
	want(t, r.Step(now, none), AllNodes)
	want(t, r.Step(now.Add(10*time.Millisecond), none))
	want(t, r.Step(now.Add(20*time.Millisecond), none))
	if got := r.Deadline().Sub(now); got != 30*time.Millisecond {
		t.Errorf("next in the group after %v, want 30 ms", got)
	}
	want(t, r.Tick(r.Deadline()), AllNodes)
}

func TestALinkThatIsDownHearsNothingAndBeginsAnewAfterwards(t *testing.T) {
	r := router(t, nil)
	r.Step(start, LinkUp{})
	want(t, r.Step(start, LinkDown{}))
	want(t, r.Step(start, Solicited{From: node}))
	if !r.Deadline().IsZero() {
		t.Error("something is due on a link that is down")
	}
	want(t, r.Step(start.Add(time.Second), LinkUp{}), AllNodes)
	want(t, r.Step(start.Add(time.Second), LinkUp{}))
}

func TestTheLastAdvertisementSaysThatTheRouterIsNoneAnyMore(t *testing.T) {
	r := router(t, nil)
	want(t, r.Step(start, Ceased{}))
	r.Step(start, LinkUp{})
	out := r.Step(start, Ceased{})
	want(t, out, AllNodes)
	if got := r.Message(out[0]).Lifetime; got != 0 {
		t.Errorf("lifetime %v, want 0 s", got)
	}
}

// RFC 6275, section 7.4.
func TestAHomeAgentTellsItsPreference(t *testing.T) {
	agent := func(c *Config) { c.HomeAgent, c.Preference = true, 10 }
	for what, c := range map[string]struct {
		r    *Router
		o    Output
		want icmp6.HomeAgentInformation
	}{
		"one that is preferred":       {router(t, agent), Output{}, icmp6.HomeAgentInformation{Preference: 10, Lifetime: 1800 * time.Second}},
		"the values by default":       {router(t, func(c *Config) { c.HomeAgent = true }), Output{}, icmp6.HomeAgentInformation{}},
		"a router that is none":       {router(t, func(c *Config) { c.Preference = 10 }), Output{}, icmp6.HomeAgentInformation{}},
		"a home agent that goes away": {router(t, agent), Output{Final: true}, icmp6.HomeAgentInformation{}},
	} {
		got, _ := icmp6.Find[icmp6.HomeAgentInformation](c.r.Message(c.o).Options)
		if got != c.want {
			t.Errorf("%s tells %+v, want %+v", what, got, c.want)
		}
	}
}

// RFC 8106, section 5.1.
func TestDNSServersAreToldForThreeIntervals(t *testing.T) {
	server := netip.MustParseAddr("2001:db8:53::53")
	r := router(t, func(c *Config) { c.DNS, c.MaxInterval = []netip.Addr{server}, 1500*time.Millisecond })
	for o, want := range map[Output]time.Duration{{To: AllNodes}: 5 * time.Second, {To: AllNodes, Final: true}: 0} {
		got, ok := icmp6.Find[icmp6.RecursiveDNS](r.Message(o).Options)
		if !ok || got.Lifetime != want || len(got.Servers) != 1 || got.Servers[0] != server {
			t.Errorf("%+v tells %+v, want it for %v", o, got, want)
		}
	}
}

func TestAnAdvertisementSaysWhatMovementDetectionNeeds(t *testing.T) {
	r := router(t, func(c *Config) { c.HomeAgent = true })
	want := &icmp6.RouterAdvertisement{
		HopLimit: 64, Flags: icmp6.HomeAgent, Lifetime: 1800 * time.Second,
		Options: []icmp6.Option{
			icmp6.SourceLinkAddress{Address: net.HardwareAddr{2, 0, 0, 0, 0, 1}},
			icmp6.MTU{Octets: 1400},
			icmp6.PrefixInformation{
				Prefix: netip.MustParsePrefix("2001:db8:200::1/64"), OnLink: true, Autonomous: true, RouterAddress: true,
				Valid: 30 * 24 * time.Hour, Preferred: 7 * 24 * time.Hour,
			},
			icmp6.AdvertisementInterval{Interval: 70 * time.Millisecond},
		},
	}
	got := r.Message(Output{To: AllNodes})
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	b, err := icmp6.Append(nil, got, node, AllNodes)
	if err != nil {
		t.Fatal(err)
	}
	back, err := icmp6.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(icmp6.Message(want), back, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("on the wire (-want +got):\n%s", diff)
	}
}

func TestWrongConfigurationsAreRefused(t *testing.T) {
	good := router(t, nil).cfg
	for what, change := range map[string]func(*Config){
		"no prefix":                  func(c *Config) { c.Prefix = netip.Prefix{} },
		"address outside the prefix": func(c *Config) { c.Address = netip.MustParseAddr("2001:db8::1") },
		"no interval":                func(c *Config) { c.MinInterval, c.MaxInterval = 0, 0 },
		"interval the wrong way":     func(c *Config) { c.MinInterval = time.Hour },
	} {
		cfg := good
		change(&cfg)
		if _, err := New(cfg, nil); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// However it is asked, it sends to the group no closer than the rules allow,
// answers every node in time, and never forgets to go on.
func TestAnyOrderOfEventsKeepsTheIntervals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		delay := time.Duration(rapid.IntRange(0, 500).Draw(t, "delay")) * time.Millisecond
		r, err := New(Config{
			Prefix: netip.MustParsePrefix("2001:db8::/64"), MinInterval: 40 * time.Millisecond, MaxInterval: 90 * time.Millisecond, Delay: delay,
		}, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		if err != nil {
			t.Fatal(err)
		}
		now, up := start, false
		var last time.Time
		asked := map[netip.Addr]time.Time{}
		see := func(out []Output) {
			for _, o := range out {
				if o.To == AllNodes {
					if !last.IsZero() && now.Sub(last) < groupInterval {
						t.Fatalf("two to the group within %v", now.Sub(last))
					}
					last = now
				} else if now.Sub(asked[o.To]) > delay {
					t.Fatalf("%v was answered after %v, want %v at most", o.To, now.Sub(asked[o.To]), delay)
				}
				delete(asked, o.To)
			}
		}
		for range 200 {
			switch rapid.IntRange(0, 9).Draw(t, "event") {
			case 0:
				if up {
					r.Step(now, LinkDown{})
					up, last = false, time.Time{}
					clear(asked)
				}
			case 1:
				see(r.Step(now, LinkUp{}))
				up = true
			case 2, 3:
				from := netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: byte(rapid.IntRange(0, 5).Draw(t, "node"))})
				if _, ok := asked[from]; up && !ok {
					asked[from] = now
				}
				see(r.Step(now, Solicited{From: from}))
			case 4:
				see(r.Step(now, Solicited{From: netip.IPv6Unspecified()}))
			case 5:
				now = now.Add(time.Millisecond)
				if d := r.Deadline(); d.IsZero() || now.Before(d) {
					see(r.Tick(now))
				} else {
					now = d
					see(r.Tick(now))
				}
			default:
				if d := r.Deadline(); !d.IsZero() {
					now = d
					see(r.Tick(now))
				} else if up {
					t.Fatal("the link is up and nothing is due")
				}
			}
		}
	})
}

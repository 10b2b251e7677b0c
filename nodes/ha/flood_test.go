package ha

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

func TestAFloodIsToldAsCounts(t *testing.T) {
	s := tell(t, configuration())
	a := s.of(1)
	a.mnha = nil
	octets := s.packet(a)
	for range 1000 {
		s.now = s.now.Add(100 * time.Microsecond)
		s.step(&Received{Octets: octets})
		if len(s.events("update-discarded")) == 0 && len(s.out) > 0 {
			t.Fatal(s.words())
		}
	}
	s.pass(time.Second)
	want := 1000 - eventsPerSecond
	if got := s.events("events-suppressed"); len(got) != 1 || got[0]["event"] != "update-discarded" || got[0]["count"] != want {
		t.Errorf("%v, want a count of %d", got, want)
	}
	s.step(&Received{Octets: octets})
	if len(s.events("update-discarded")) != 1 {
		t.Error("silent after the flood")
	}
	if s.pass(time.Hour); len(s.out) > 0 {
		t.Error(s.words())
	}
}

func TestAFloodOfRegistrationsIsBoundedByTheCache(t *testing.T) {
	for name, dad := range map[string]string{"without detection": "none", "with detection": "full"} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, with(func(h *control.HomeAgent) { noIntegrity(h); h.DAD = dad }))
			for i := range 20000 { // attack A15
				s.now = s.now.Add(time.Microsecond)
				home := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 1, 13: 1, 14: byte(i >> 8), 15: byte(i)})
				a := s.bare(home, uint16(i))
				a.src = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 9, 14: byte(i >> 8), 15: byte(i)})
				a.alternate = netip.Addr{}
				s.m.Step(s.now, &Received{Octets: s.packet(a)})
				if i%2 == 1 { // and away again, to fill what is kept of them
					a.lifetime = 0
					a.seq++
					s.m.Step(s.now, &Received{Octets: s.packet(a)})
				}
			}
			c := s.m.Counts()
			if c.Bindings != 100 || c.Invalid > 100 || len(s.m.bindings) != c.Bindings+c.Invalid || c.Timers > 201 {
				t.Errorf("%+v", c)
			}
			s.pass(2 * time.Minute)
			if c := s.m.Counts(); c != (Counts{}) {
				t.Errorf("left: %+v", c)
			}
		})
	}
}

func TestGarbageLeavesNothingAndDisturbsNobody(t *testing.T) {
	s := tell(t, with(func(h *control.HomeAgent) {}))
	s.send(s.of(1))
	good := s.packet(s.of(2))
	random := rand.New(rand.NewPCG(1, 2))
	before := s.m.Counts()
	for range 100000 {
		octets := append([]byte(nil), good...)
		for range 1 + random.IntN(8) {
			octets[random.IntN(len(octets))] = byte(random.Uint32())
		}
		s.m.Step(s.now, &Received{Octets: octets[:random.IntN(len(octets)+1)]})
	}
	if after := s.m.Counts(); after.Bindings != before.Bindings || after.Subscribers != before.Subscribers {
		t.Errorf("was %+v, is %+v", before, after)
	}
	s.pass(time.Second)
	s.send(s.of(3))
	s.wantStatus(mh.Accepted)
}

// refreshes gives the packets of so many mobile nodes that refresh their
// bindings, made beforehand with growing timestamps.
func refreshes(tb testing.TB, mobiles, rounds int) (*Machine, time.Time, [][]byte) {
	cfg := with(func(h *control.HomeAgent) {
		h.MaxBindings = mobiles
		h.Associations = nil
		for i := range mobiles {
			h.Associations = append(h.Associations, control.Association{NAI: fmt.Sprintf("%06d@example.org", i), SPI: 256, Key: keyA})
		}
	})
	s := tell(tb, cfg)
	key := association.New(256, keyA)
	packets := make([][]byte, 0, mobiles*rounds)
	for round := range rounds {
		for i := range mobiles {
			a := s.of(uint16(round))
			a.home = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 1, 13: 1 + byte(i>>16), 14: byte(i >> 8), 15: byte(i)})
			a.src = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 2, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
			a.alternate, a.nai, a.mnha = a.src, fmt.Sprintf("%06d@example.org", i), key
			a.timestamp = keys.NTP(s.now) + uint64(round)
			packets = append(packets, s.packet(a))
		}
	}
	return s.m, s.now, packets
}

func TestARefreshAllocatesNothing(t *testing.T) {
	const mobiles, rounds = 50, 40
	m, now, packets := refreshes(t, mobiles, rounds)
	in := &Received{}
	next := 0
	step := func() {
		in.Octets = packets[next]
		next++
		for _, o := range m.Step(now, in) {
			if sent, ok := o.(*SendMobility); ok {
				if p, _ := ipv6.Parse(sent.Octets); p.Payload[6] != 0 {
					t.Fatalf("status %d", p.Payload[6])
				}
			}
		}
	}
	for range 6 * mobiles { // bindings made, events used up
		step()
	}
	if n := testing.AllocsPerRun(30*mobiles, step); n > 0 && !raceDetector {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRefresh(b *testing.B) {
	for _, mobiles := range []int{1, 1000, 100000} {
		b.Run(fmt.Sprint(mobiles), func(b *testing.B) {
			rounds := max(2, 200000/mobiles)
			m, now, packets := refreshes(b, mobiles, rounds)
			in := &Received{}
			for _, in.Octets = range packets[:mobiles] {
				m.Step(now, in)
			}
			accepted, next := 0, mobiles
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if next == len(packets) {
					b.StopTimer()
					for _, s := range m.subscribers { // let the same packets be new again
						s.guard = association.ReplayGuard{Window: m.window}
					}
					next = 0
					b.StartTimer()
				}
				in.Octets = packets[next]
				next++
				for _, o := range m.Step(now, in) {
					if sent, ok := o.(*SendMobility); ok && sent.Octets[40+24+6] == 0 {
						accepted++
					}
				}
			}
			if accepted != b.N {
				b.Fatalf("%d of %d accepted", accepted, b.N)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
		})
	}
}

// BenchmarkForged is what a Binding Update costs that proves nothing.
func BenchmarkForged(b *testing.B) {
	for name, alter := range map[string]func(*announcement){
		"no proof":            func(a *announcement) { a.mnha = nil },
		"unknown SPI":         func(a *announcement) { a.mnha = association.New(999, keyB) },
		"wrong authenticator": func(a *announcement) { a.mnha = association.New(spiA, keyB) },
		"MN-AAA":              func(a *announcement) { a.mnha, a.mnaaa = nil, keyB },
	} {
		b.Run(name, func(b *testing.B) {
			s := tell(b, configuration())
			a := s.of(1)
			alter(&a)
			in := &Received{Octets: s.packet(a)}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				s.m.Step(s.now, in)
			}
		})
	}
}

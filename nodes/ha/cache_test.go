package ha

import (
	"maps"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"s2clab/nodes/control"
	"s2clab/nodes/wire/mh"
)

// A model is the binding cache as RFC 6275 has it, without any of the haste of
// the real one: sequence numbers only, no detection.
type model struct {
	entries map[netip.Addr]*modelEntry
	most    int // that are bound, and of those that have ended that are remembered
	ends    int
}

type modelEntry struct {
	bound  bool
	seq    uint16
	careOf netip.Addr
	until  time.Time
	ended  int // how many had ended before it did
}

func (m *model) pass(now time.Time) {
	maps.DeleteFunc(m.entries, func(_ netip.Addr, e *modelEntry) bool { return !now.Before(e.until) })
}

func (m *model) bound() int {
	n := 0
	for _, e := range m.entries {
		if e.bound {
			n++
		}
	}
	return n
}

// forget forgets the one that ended first, where more have ended than may be bound.
func (m *model) forget() {
	var first netip.Addr
	ended := 0
	for home, e := range m.entries {
		if e.bound {
			continue
		}
		if ended++; ended == 1 || e.ended < m.entries[first].ended {
			first = home
		}
	}
	if ended > m.most {
		delete(m.entries, first)
	}
}

func (m *model) update(now time.Time, home, careOf netip.Addr, seq uint16, lifetime time.Duration) (mh.Status, uint16) {
	e := m.entries[home]
	switch {
	case lifetime == 0 && e == nil:
		return mh.NotHomeAgent, seq
	case e != nil && (seq-e.seq == 0 || seq-e.seq >= 32768):
		return mh.SequenceOutOfWindow, e.seq
	case lifetime == 0:
		e.seq = seq
		if e.bound {
			e.bound, e.until, e.ended = false, now.Add(10*time.Second), m.ends
			m.ends++
			m.forget()
		}
		return mh.Accepted, seq
	case (e == nil || !e.bound) && m.bound() >= m.most:
		return mh.InsufficientResources, seq
	}
	m.entries[home] = &modelEntry{bound: true, seq: seq, careOf: careOf, until: now.Add(min(lifetime, 600*time.Second))}
	return mh.Accepted, seq
}

func TestTheCacheDoesWhatTheModelDoesAndTellsTheNodeAllOfIt(t *testing.T) {
	homes := []netip.Addr{homeA, homeB, netip.MustParseAddr("2001:db8:100::12"), netip.MustParseAddr("2001:db8:100::13")}
	rapid.Check(t, func(rt *rapid.T) {
		const most = 3
		s := tell(t, with(func(h *control.HomeAgent) { noIntegrity(h); h.MaxBindings = most }))
		model := &model{entries: make(map[netip.Addr]*modelEntry), most: most}
		tunnels := map[netip.Addr]netip.Addr{} // as the node was told
		proxies := map[netip.Addr]bool{}
		note := func() {
			for _, o := range s.out {
				switch o := o.(type) {
				case SetTunnel:
					tunnels[o.Home] = o.CareOf
				case ClearTunnel:
					delete(tunnels, o.Home)
				case SetProxy:
					if proxies[o.Address] {
						rt.Fatalf("proxy for %v set twice", o.Address)
					}
					proxies[o.Address] = true
				case ClearProxy:
					if !proxies[o.Address] {
						rt.Fatalf("proxy for %v cleared twice", o.Address)
					}
					delete(proxies, o.Address)
				}
			}
		}
		agree := func(rt *rapid.T) {
			bound := 0
			for home, e := range model.entries {
				got := s.entry(home)
				if got == nil || got.Seq != e.seq || (got.State == "bound") != e.bound {
					rt.Fatalf("%v is %+v, want %+v", home, got, e)
				}
				if !e.bound {
					continue
				}
				bound++
				if got.CareOf != e.careOf || tunnels[home] != e.careOf || !proxies[home] {
					rt.Fatalf("%v is %+v, tunnel to %v, proxy %v, want %+v", home, got, tunnels[home], proxies[home], e)
				}
			}
			if len(s.m.bindings) > len(model.entries) || len(tunnels) != bound || len(proxies) != bound || s.m.held != bound {
				rt.Fatalf("%d entries, %d tunnels, %d proxies, %d held; want %d", len(s.m.bindings), len(tunnels), len(proxies), s.m.held, bound)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"update": func(rt *rapid.T) {
				home := rapid.SampledFrom(homes).Draw(rt, "home")
				careOf := rapid.SampledFrom([]netip.Addr{careOfWLAN, careOfLTE}).Draw(rt, "care-of")
				seq := uint16(rapid.SampledFrom([]int{0, 1, 2, 3, 100, 32767, 32768, 32769, 65534, 65535}).Draw(rt, "seq"))
				lifetime := time.Duration(rapid.SampledFrom([]int{0, 0, 4, 20, 400, 1000}).Draw(rt, "lifetime")) * time.Second
				a := s.bare(home, seq)
				a.src, a.alternate, a.lifetime = careOf, careOf, lifetime
				status, told := model.update(s.now, home, careOf, seq, lifetime)
				s.send(a)
				note()
				if ba := s.wantStatus(status); ba.Seq != told {
					rt.Fatalf("told %d, want %d", ba.Seq, told)
				}
			},
			"pass": func(rt *rapid.T) {
				s.pass(time.Duration(rapid.IntRange(1, 100_000).Draw(rt, "ms")) * time.Millisecond)
				note()
				model.pass(s.now)
			},
			"": agree,
		})
	})
}

func TestTimersComeInOrderAndOnlyWhenTheyAreDue(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var queue timers
		own := make([]timer, 20)
		want := map[*timer]time.Time{}
		now := start
		rt.Repeat(map[string]func(*rapid.T){
			"set": func(rt *rapid.T) {
				t := &own[rapid.IntRange(0, len(own)-1).Draw(rt, "timer")]
				at := now.Add(time.Duration(rapid.IntRange(0, 50).Draw(rt, "in")))
				queue.set(t, at)
				want[t] = at
			},
			"remove": func(rt *rapid.T) {
				t := &own[rapid.IntRange(0, len(own)-1).Draw(rt, "timer")]
				queue.remove(t)
				delete(want, t)
			},
			"pass": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(rt, "for")))
				for t := queue.pop(now); t != nil; t = queue.pop(now) {
					if at, ok := want[t]; !ok || at.After(now) {
						rt.Fatalf("due at %v, want %v", now, at)
					}
					delete(want, t)
				}
			},
			"": func(rt *rapid.T) {
				if len(queue) != len(want) {
					rt.Fatalf("%d in the queue, want %d", len(queue), len(want))
				}
				for _, at := range want {
					if queue.next().After(at) {
						rt.Fatalf("next is %v, but something is due at %v", queue.next(), at)
					}
				}
				for i, t := range queue {
					if t.index != i+1 {
						rt.Fatalf("index %d at %d", t.index, i)
					}
				}
			},
		})
	})
}

func TestALimiterForgetsTheKeyUsedLongestAgo(t *testing.T) {
	l := newLimiter[int](2, rate{perSecond: 1, burst: 1})
	now := start
	for i, c := range []struct {
		key  int
		want bool
	}{{1, true}, {1, false}, {2, true}, {1, false}, {3, true}, {2, true}, {3, false}, {1, true}} {
		if got := l.take(now, c.key); got != c.want {
			t.Errorf("step %d, key %d: %v", i, c.key, got)
		}
	}
	if len(l.known) != 2 {
		t.Errorf("%d keys", len(l.known))
	}
}

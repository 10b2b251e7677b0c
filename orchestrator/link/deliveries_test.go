package link

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"s2clab/topologies"
)

// traced is a lane that delivers at these milliseconds, from time 0.
func traced(times ...uint32) *lane {
	t := &topologies.RateTrace{File: "test", Times: times}
	l := &lane{impairment: topologies.Impairment{Rate: t.Mean(), Trace: t, Queue: topologies.Queue{Packets: 100}}, mtu: fullFrame}
	l.follow(0)
	return l
}

func wantTimes(t *testing.T, l *lane, want ...int64) {
	t.Helper()
	if _, times := outcome(l); !slices.Equal(times, want) {
		t.Errorf("frames came at %v, want %v", times, want)
	}
}

func TestATraceDeliversAFullPacketAtEachOfItsTimesAndRepeats(t *testing.T) {
	l := traced(10, 15, 40)
	for range 5 {
		offer(l, 0, stub(fullFrame))
	}
	wantTimes(t, l, 10*ms, 15*ms, 40*ms, 50*ms, 55*ms)
}

func TestSmallPacketsShareAnOpportunityAndLargeOnesTakeSeveral(t *testing.T) {
	l := traced(10, 20)
	for range 4 {
		offer(l, 0, stub(minFrame+500)) // 504 each: two and most of a third at 10 ms
	}
	offer(l, 0, stub(minFrame+3000)) // 3004: what is left of that at 20 ms, then 30 and 40 ms
	wantTimes(t, l, 10*ms, 10*ms, 20*ms, 20*ms, 40*ms)
}

func TestAnOpportunityThatFindsNothingIsLost(t *testing.T) {
	l := traced(10, 11, 12, 100)
	offer(l, 0, stub(minFrame+100)) // what is left of it at 10 ms is lost
	if f := l.pop(10 * ms); f == nil {
		t.Fatal("nothing at 10 ms")
	}
	offer(l, 10*ms, stub(minFrame+100))
	offer(l, 11*ms+1, stub(fullFrame))
	offer(l, 11*ms+1, stub(fullFrame))
	wantTimes(t, l, 11*ms, 12*ms, 100*ms)
}

func TestATraceHasAPlaceAtEveryTime(t *testing.T) {
	for _, c := range []struct{ begin, sent, want int64 }{
		{0, 1_000_000 * ms, 1_000_010 * ms}, // after 25,000 rounds of 40 ms
		{0, 1_000_010 * ms, 1_000_015 * ms},
		{0, 1_000_039 * ms, 1_000_040 * ms},
		{500 * ms, 0, 20 * ms}, // before it begins it goes on as it will
		{500 * ms, 16 * ms, 20 * ms},
		{-7 * ms, 0, 3 * ms},
	} {
		l := traced(10, 15, 40)
		l.follow(c.begin)
		offer(l, c.sent, stub(fullFrame))
		if _, times := outcome(l); !slices.Equal(times, []int64{c.want}) {
			t.Errorf("begun at %d, sent at %d: came at %v, want %d", c.begin, c.sent, times, c.want)
		}
	}
}

func TestTheQueueBeforeATraceDropsTheTail(t *testing.T) {
	l := traced(10)
	l.impairment.Queue = topologies.Queue{Packets: 2}
	var taken []bool
	for range 4 {
		taken = append(taken, offer(l, 0, stub(fullFrame)))
	}
	if want := []bool{true, true, true, false}; !slices.Equal(taken, want) {
		t.Errorf("taken: %v, want %v", taken, want)
	}
	// Without limits of its own it holds what the mean rate sends in 100 ms.
	l = traced(1)
	l.impairment.Queue = topologies.Queue{}
	n := 0
	for offer(l, 0, stub(fullFrame)) {
		n++
	}
	if want := 1 + 100*topologies.TraceOctets/fullFrame; n != want {
		t.Errorf("%d frames taken, want %d", n, want)
	}
}

func TestAChangeToATraceAndBackLosesNothing(t *testing.T) {
	l := traced(10, 20)
	for range 4 {
		offer(l, 0, stub(fullFrame))
	}
	l.pop(10 * ms)
	other := &topologies.RateTrace{File: "other", Times: []uint32{7}}
	l.set(12*ms, topologies.Impairment{Rate: other.Mean(), Trace: other}) // begins then
	if next := l.next(); next != 19*ms {
		t.Errorf("next at %d, want 19 ms", next)
	}
	l.pop(19 * ms)
	l.set(20*ms, topologies.Impairment{Rate: 8 * fullFrame * 1000}) // a full frame a millisecond
	wantTimes(t, l, 21*ms, 22*ms)

	l = traced(10)
	offer(l, 0, stub(fullFrame))
	l.set(5*ms, topologies.Impairment{Rate: l.impairment.Rate, Trace: l.impairment.Trace, Delay: 3 * time.Millisecond})
	wantTimes(t, l, 13*ms) // a change of something else leaves the trace as it is
}

// The rule again, step by step, as Mahimahi's link has it: one opportunity after
// the other, each used up on what waits.
func TestDeliveriesAreThoseOfEachOpportunityInTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gaps := rapid.SliceOfN(rapid.Uint32Range(0, 5), 1, 8).Draw(t, "gaps")
		var times []uint32
		at := uint32(0)
		for _, g := range gaps {
			at += g
			times = append(times, at)
		}
		times[len(times)-1]++ // no empty trace
		l := traced(times...)
		l.impairment.Queue = topologies.Queue{Packets: 1 << 20}
		type packet struct {
			at     int64
			octets int
		}
		var packets []packet
		now := int64(0)
		for range rapid.IntRange(1, 30).Draw(t, "packets") {
			now += int64(rapid.IntRange(0, 8).Draw(t, "wait"))*ms + ms/2*int64(rapid.IntRange(0, 1).Draw(t, "half"))
			p := packet{now, rapid.IntRange(minFrame, 4000).Draw(t, "octets")}
			packets = append(packets, p)
		}

		var want []int64
		queue, left := packets, 0
		for round := int64(0); len(queue) > 0; round++ {
			for _, ms64 := range times {
				o := round*int64(times[len(times)-1])*ms + int64(ms64)*ms
				for spare := topologies.TraceOctets; spare > 0 && len(queue) > 0 && queue[0].at < o; {
					if left == 0 {
						left = queue[0].octets - minFrame + 4
					}
					n := min(spare, left)
					spare, left = spare-n, left-n
					if left == 0 {
						want, queue = append(want, o), queue[1:]
					}
				}
			}
		}

		var got []int64
		for _, p := range packets {
			for l.next() <= p.at {
				next := l.next()
				for f := l.pop(next); f != nil; f = l.pop(next) {
					got = append(got, next)
				}
			}
			if !offer(l, p.at, stub(p.octets)) {
				t.Fatal("no room")
			}
		}
		_, rest := outcome(l)
		if got = append(got, rest...); !slices.Equal(got, want) {
			t.Fatalf("trace %v, packets %v: came at %v, want %v", times, packets, got, want)
		}
	})
}

package link

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"s2clab/topologies"
)

const ms = int64(time.Millisecond)

// stub is a frame of so many octets.
func stub(octets int) *frame { return &frame{data: make([]byte, vnetLen+octets)} }

// outcome runs a lane to its end and gives when each frame came out.
func outcome(l *lane) (out []*frame, times []int64) {
	for next := l.next(); next != never; next = l.next() {
		for f := l.pop(next); f != nil; f = l.pop(next) {
			out, times = append(out, f), append(times, next)
		}
	}
	return out, times
}

// offer pushes a frame where there is room.
func offer(l *lane, now int64, f *frame) bool {
	if !l.room(now, f) {
		return false
	}
	l.push(now, f)
	return true
}

func TestDelayIsAddedToEachFrame(t *testing.T) {
	l := lane{impairment: topologies.Impairment{Delay: 20 * time.Millisecond}}
	for i := range int64(3) {
		offer(&l, i*ms, stub(100))
	}
	if _, times := outcome(&l); !slices.Equal(times, []int64{20 * ms, 21 * ms, 22 * ms}) {
		t.Errorf("frames came at %v", times)
	}
}

func TestARateSendsOneFrameAfterTheOther(t *testing.T) {
	l := lane{impairment: topologies.Impairment{Rate: 8_000_000, Delay: time.Millisecond}, mtu: 1514} // an octet a microsecond
	offer(&l, 0, stub(1000))
	offer(&l, 0, stub(500))
	offer(&l, 10*ms, stub(1000)) // after a rest
	if _, times := outcome(&l); !slices.Equal(times, []int64{2 * ms, 2*ms + ms/2, 12 * ms}) {
		t.Errorf("frames came at %v", times)
	}
}

func TestNoTimeIsLostOverManyFramesOfAnOddRate(t *testing.T) {
	l := lane{impairment: topologies.Impairment{Rate: 7_777_777, Queue: topologies.Queue{Packets: 1 << 20}}, mtu: 1514}
	const frames = 10_000
	for range frames {
		offer(&l, 0, stub(61))
	}
	_, times := outcome(&l)
	want := int64(frames * 61 * 8 * 1_000_000_000 / 7_777_777)
	if got := times[len(times)-1]; got < want-1 || got > want+1 {
		t.Errorf("the last frame came at %d ns, want %d", got, want)
	}
}

func TestAQueueOfPacketsDropsTheTail(t *testing.T) {
	l := lane{impairment: topologies.Impairment{Rate: 8_000_000, Queue: topologies.Queue{Packets: 2}}, mtu: 1514}
	var taken []bool
	for range 5 {
		taken = append(taken, offer(&l, 0, stub(1000)))
	} // one is being sent, two wait
	if want := []bool{true, true, true, false, false}; !slices.Equal(taken, want) {
		t.Errorf("taken: %v, want %v", taken, want)
	}
	if !offer(&l, ms, stub(1000)) {
		t.Error("a place that has become free was not given away")
	}
}

func TestAQueueOfOctetsDropsWhatDoesNotFit(t *testing.T) {
	l := lane{impairment: topologies.Impairment{Rate: 8_000_000, Queue: topologies.Queue{Bytes: 1500}}, mtu: 1514}
	taken := []bool{offer(&l, 0, stub(1000)), offer(&l, 0, stub(1000)), offer(&l, 0, stub(600)), offer(&l, 0, stub(500))}
	if want := []bool{true, true, false, true}; !slices.Equal(taken, want) {
		t.Errorf("taken: %v, want %v", taken, want)
	}
}

func TestTheDefaultQueueHolds100msAndAtLeastTenFrames(t *testing.T) {
	for _, c := range []struct {
		rate int64
		want int // frames of 1514 octets, with the one being sent
	}{{64_000, 11}, {50_000_000, 1 + 625_000/1514}} {
		l := lane{impairment: topologies.Impairment{Rate: c.rate}, mtu: 1514}
		n := 0
		for offer(&l, 0, stub(1514)) {
			n++
		}
		if n != c.want {
			t.Errorf("at %d bit/s the queue took %d frames, want %d", c.rate, n, c.want)
		}
	}
}

func TestAChangeOfRateLosesNothingAndHoldsFromThenOn(t *testing.T) {
	l := lane{impairment: topologies.Impairment{Rate: 8_000_000}, mtu: 1514}
	for range 3 {
		offer(&l, 0, stub(1000))
	}
	l.set(ms/2, topologies.Impairment{Rate: 4_000_000}) // half of the first is out
	if _, times := outcome(&l); !slices.Equal(times, []int64{ms/2 + ms, ms/2 + 3*ms, ms/2 + 5*ms}) {
		t.Errorf("frames came at %v", times)
	}
}

func TestWithoutARateTheQueueGoesOnAtOnce(t *testing.T) {
	l := lane{impairment: topologies.Impairment{Rate: 8_000, Delay: time.Millisecond}, mtu: 1514}
	for range 3 {
		offer(&l, 0, stub(1000))
	}
	l.set(5*ms, topologies.Impairment{Delay: 2 * time.Millisecond})
	if _, times := outcome(&l); !slices.Equal(times, []int64{7 * ms, 7 * ms, 7 * ms}) {
		t.Errorf("frames came at %v", times)
	}
}

func TestFramesKeepTheirOrderWhenTheDelayBecomesShorter(t *testing.T) {
	l := lane{impairment: topologies.Impairment{Delay: 50 * time.Millisecond}}
	first, second := stub(1), stub(2)
	offer(&l, 0, first)
	l.set(ms, topologies.Impairment{Delay: time.Millisecond})
	offer(&l, 2*ms, second)
	out, times := outcome(&l)
	if out[0] != first || !slices.Equal(times, []int64{50 * ms, 50 * ms}) {
		t.Errorf("frames came at %v", times)
	}
}

func TestJitterKeepsTheOrderUnlessItMayReorder(t *testing.T) {
	for _, reorder := range []bool{false, true} {
		l := lane{impairment: topologies.Impairment{Delay: 10 * time.Millisecond, Jitter: topologies.Jitter{Spread: 5 * time.Millisecond, Reorder: reorder}}}
		slow, quick := stub(1), stub(2)
		slow.jitter, quick.jitter = 4*ms, -4*ms
		offer(&l, 0, slow)
		offer(&l, ms, quick)
		out, times := outcome(&l)
		want, first := []int64{14 * ms, 14 * ms}, slow
		if reorder {
			want, first = []int64{7 * ms, 14 * ms}, quick
		}
		if !slices.Equal(times, want) || out[0] != first {
			t.Errorf("reorder %v: frames came at %v, want %v", reorder, times, want)
		}
	}
}

func TestAFrameThatOvertakesGoesWithoutDelay(t *testing.T) {
	l := lane{impairment: topologies.Impairment{Delay: 10 * time.Millisecond}}
	f := stub(2)
	f.ahead = true
	offer(&l, 0, stub(1))
	offer(&l, ms, f)
	offer(&l, 2*ms, stub(3))
	if out, times := outcome(&l); out[0] != f || !slices.Equal(times, []int64{ms, 10 * ms, 12 * ms}) {
		t.Errorf("frames came at %v", times)
	}
}

func TestNoFrameArrivesBeforeItWasSent(t *testing.T) {
	l := lane{impairment: topologies.Impairment{Delay: time.Millisecond}}
	f := stub(1)
	f.jitter = -5 * ms
	offer(&l, 7*ms, f)
	if _, times := outcome(&l); times[0] != 7*ms {
		t.Errorf("it came at %d", times[0])
	}
}

// What goes in comes out once, in time and in order, whatever is changed meanwhile.
func TestALaneLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		impairments := rapid.Custom(func(t *rapid.T) topologies.Impairment {
			return topologies.Impairment{
				Delay: time.Duration(rapid.Int64Range(0, 20*ms).Draw(t, "delay")),
				Rate:  rapid.SampledFrom([]int64{0, 0, 1000, 64_000, 1_000_000, 1_000_000_000}).Draw(t, "rate"),
				Queue: topologies.Queue{Packets: rapid.SampledFrom([]int{0, 1, 5}).Draw(t, "queue")},
			}
		})
		l := lane{impairment: impairments.Draw(t, "at first"), mtu: 1514}
		var in, out []*frame
		var now int64
		take := func() {
			for f := l.pop(now); f != nil; f = l.pop(now) {
				if f.due > now || f.due < f.since {
					t.Fatalf("a frame of %d, due at %d, came at %d", f.since, f.due, now)
				}
				out = append(out, f)
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += rapid.Int64Range(0, 3*ms).Draw(t, "later")
			take()
			if rapid.IntRange(0, 4).Draw(t, "what") == 0 {
				l.set(now, impairments.Draw(t, "then"))
				continue
			}
			f := stub(rapid.IntRange(14, 1514).Draw(t, "octets"))
			f.since = now
			if offer(&l, now, f) {
				in = append(in, f)
			}
		}
		for l.next() != never {
			now = max(now, l.next())
			take()
		}
		if !slices.Equal(in, out) {
			t.Fatalf("%d frames went in, %d came out, or not in order", len(in), len(out))
		}
		if l.octets != 0 {
			t.Fatalf("the queue is empty and holds %d octets", l.octets)
		}
	})
}

// fates draws n times from a new dice.
func fates(seed uint64, i topologies.Impairment, n int) []fate {
	d := newDice(seed, "wlan", "ue")
	var all []fate
	for range n {
		all = append(all, d.draw(&i, 100))
	}
	return all
}

func share(all []fate, of func(fate) bool) float64 {
	n := 0
	for _, f := range all {
		if of(f) {
			n++
		}
	}
	return float64(n) / float64(len(all))
}

func TestTheFateOfTheNthFrameIsThatOfTheSeed(t *testing.T) {
	i := topologies.Impairment{Loss: topologies.Loss{Rate: 0.3}, Duplicate: 0.2, Corrupt: 0.2, Reorder: 0.1, Jitter: topologies.Jitter{Spread: time.Millisecond, Distribution: "normal"}}
	a, b := fates(7, i, 1000), fates(7, i, 1000)
	if !slices.Equal(a, b) {
		t.Error("the same seed gave different fates")
	}
	if slices.Equal(a, fates(8, i, 1000)) {
		t.Error("another seed gave the same fates")
	}
	i.Duplicate, i.Corrupt = 0, 0
	without := fates(7, i, 1000)
	for n := range a {
		if a[n].lost != without[n].lost || a[n].jitter != without[n].jitter {
			t.Fatalf("frame %d has another fate once nothing is duplicated", n)
		}
	}
}

func TestEachChanceIsAsOftenAsItWasAskedFor(t *testing.T) {
	i := topologies.Impairment{Loss: topologies.Loss{Rate: 0.01}, Duplicate: 0.05, Corrupt: 0.2, Reorder: 0.5}
	all := fates(1, i, 200_000)
	for name, c := range map[string]struct {
		want float64
		of   func(fate) bool
	}{
		"loss":      {0.01, func(f fate) bool { return f.lost }},
		"duplicate": {0.05, func(f fate) bool { return f.duplicate }},
		"corrupt":   {0.2, func(f fate) bool { return f.flip >= 0 && f.flip < 800 }},
		"reorder":   {0.5, func(f fate) bool { return f.ahead }},
		"both":      {0.1, func(f fate) bool { return f.flip >= 0 && f.ahead }},
	} {
		if got := share(all, c.of); math.Abs(got-c.want) > 5*math.Sqrt(c.want*(1-c.want)/float64(len(all))) {
			t.Errorf("%s: %v of all, want %v", name, got, c.want)
		}
	}
}

func TestGilbertAndElliottLoseInBursts(t *testing.T) {
	i := topologies.Impairment{Loss: topologies.Loss{GoodBad: 0.01, BadGood: 0.1, LossBad: 1}}
	all := fates(3, i, 400_000)
	lost := func(f fate) bool { return f.lost }
	want := 0.01 / 0.11
	if got := share(all, lost); math.Abs(got-want) > 0.1*want {
		t.Errorf("%v of all are lost, want %v", got, want)
	}
	bursts := 0
	for n := 1; n < len(all); n++ {
		if all[n].lost && !all[n-1].lost {
			bursts++
		}
	}
	if mean := share(all, lost) * float64(len(all)) / float64(bursts); math.Abs(mean-10) > 1 {
		t.Errorf("bursts are of %v frames, want 10", mean)
	}
}

func TestJitterIsSpreadAsItsDistributionSays(t *testing.T) {
	const spread = 10 * time.Millisecond
	for _, c := range []struct {
		distribution         string
		mean, deviation, low float64 // in spreads
	}{
		{"uniform", 0, 1 / math.Sqrt(3), -1},
		{"normal", 0, 1, math.Inf(-1)},
		{"pareto", 0.5, math.Sqrt(0.75), 0},
	} {
		var sum, squares float64
		low := math.Inf(1)
		const n = 400_000
		for _, f := range fates(5, topologies.Impairment{Jitter: topologies.Jitter{Spread: spread, Distribution: c.distribution}}, n) {
			x := float64(f.jitter) / float64(spread)
			sum, squares, low = sum+x, squares+x*x, min(low, x)
		}
		mean := sum / n
		deviation := math.Sqrt(squares/n - mean*mean)
		if math.Abs(mean-c.mean) > 0.01 || math.Abs(deviation-c.deviation) > 0.1 || low < c.low-1e-6 {
			t.Errorf("%s: mean %v, deviation %v, least %v; want %v, %v, %v", c.distribution, mean, deviation, low, c.mean, c.deviation, c.low)
		}
	}
}

func TestImpossibleImpairmentsAreRefused(t *testing.T) {
	for _, i := range []topologies.Impairment{
		{Delay: -1}, {Delay: 2 * time.Hour}, {Loss: topologies.Loss{Rate: 1.1}}, {Corrupt: math.NaN()}, {Rate: -1},
		{Rate: math.MaxInt64}, {Jitter: topologies.Jitter{Distribution: "gauss"}}, {Queue: topologies.Queue{Bytes: -1}},
	} {
		if check(&i) == nil {
			t.Errorf("%+v was taken", i)
		}
	}
	if err := check(&topologies.Impairment{}); err != nil {
		t.Error(err)
	}
}

func TestLatenessIsToldWithinAnEighth(t *testing.T) {
	var h histogram
	for d := range int64(100_000) {
		h.add(d)
	}
	l := h.lateness()
	for got, want := range map[time.Duration]float64{l.P50: 50_000, l.P95: 95_000, l.P99: 99_000, l.Max: 99_999} {
		if x := float64(got); x < want-1 || x > want*1.13 {
			t.Errorf("got %v, want %v", x, want)
		}
	}
	h.add(math.MaxInt64)
	h.add(-5)
}

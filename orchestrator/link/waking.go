package link

import (
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A waking is what a loop knows of how long it takes to wake.
//
// A frame that wakes the loop has entered the link a little before the loop can
// read a clock: 10 to 80 µs on an idle machine. Each delay would be too long by
// that. So the loop is woken now and then at a known time, and what waking takes
// in most cases is taken off the time at which such a frame is read.
type waking struct {
	slept, woke int64 // when the loop last went to sleep, and awoke
	fresh       bool  // what is read next is what woke it

	frames  atomic.Uint64 // read so far; for the prober
	probed  atomic.Int64  // when it was woken for a probe; 0: it was not
	samples [16]int64     // nanoseconds that the last probes took
	count   int
	cost    int64 // what waking takes
}

const (
	probeEvery = 200 * time.Millisecond
	mostCost   = 150_000 // ns: more than that is a busy machine, and chance
)

// probe wakes the loop, at a known time.
func (l *loop) probe() {
	one := [8]byte{7: 1}
	l.waking.probed.Store(l.clock.now())
	unix.Write(l.wake, one[:])
}

// answer takes the measure of a probe.
func (w *waking) answer() {
	at := w.probed.Swap(0)
	if at == 0 || at <= w.slept || at > w.woke {
		return // none, or the loop was awake anyway
	}
	w.samples[w.count%len(w.samples)] = w.woke - at
	w.count++
	if w.count < len(w.samples)/2 {
		return
	}
	sorted := slices.Clone(w.samples[:min(w.count, len(w.samples))])
	slices.Sort(sorted)
	w.cost = min(sorted[len(sorted)/3], mostCost) // rather too little than too much
}

// entered is when a frame that is read at now has entered the link, as far as can
// be told: not before the loop went to sleep.
func (w *waking) entered(now int64) int64 {
	w.frames.Store(w.frames.Load() + 1)
	if !w.fresh {
		return now
	}
	w.fresh = false
	return max(w.slept, now-w.cost)
}

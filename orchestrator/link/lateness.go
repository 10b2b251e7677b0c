package link

import (
	"math/bits"
	"time"
)

// A Lateness says how much later than due frames were handed over. What passes
// before the relay reads a frame from its sender is not in it.
type Lateness struct {
	Frames             int           `json:"frames"`
	P50, P95, P99, Max time.Duration // upper bounds, at most an eighth too much; Max is exact
}

// A histogram counts durations in steps that grow with them: eight to each power
// of two nanoseconds.
type histogram struct {
	counts [8 * 40]uint64
	n      uint64
	max    int64
}

func (h *histogram) add(d int64) {
	d = max(d, 0)
	h.counts[step(d)]++
	h.n++
	h.max = max(h.max, d)
}

func step(d int64) int {
	if d < 8 {
		return int(d)
	}
	log := bits.Len64(uint64(d)) - 4 // so that d>>log is 8 to 15
	return min(8*(log+1)+int(d>>log)&7, len(histogram{}.counts)-1)
}

// upper is the longest duration of a step.
func upper(step int) int64 {
	if step < 8 {
		return int64(step)
	}
	log := step/8 - 1
	return (int64(step&7)+9)<<log - 1
}

func (h *histogram) lateness() Lateness {
	at := func(share float64) time.Duration {
		want, sum := uint64(share*float64(h.n-1))+1, uint64(0)
		for i, n := range h.counts {
			if sum += n; sum >= want {
				return time.Duration(min(upper(i), h.max))
			}
		}
		return time.Duration(h.max)
	}
	if h.n == 0 {
		return Lateness{}
	}
	return Lateness{Frames: int(h.n), P50: at(0.5), P95: at(0.95), P99: at(0.99), Max: time.Duration(h.max)}
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

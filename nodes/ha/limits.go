package ha

import (
	"container/list"
	"time"
)

// A bucket lets so many things happen a second, and a burst of them at once.
// Its zero value is full.
type bucket struct {
	spent float64 // of the burst
	at    time.Time
}

// A rate is what a bucket allows.
type rate struct {
	perSecond float64
	burst     float64
}

// take says whether one more may happen at now, and counts it where it may.
func (b *bucket) take(now time.Time, r rate) bool {
	if gone := now.Sub(b.at); gone > 0 {
		b.spent = max(0, b.spent-gone.Seconds()*r.perSecond)
		b.at = now
	}
	if b.spent+1 > r.burst {
		return false
	}
	b.spent++
	return true
}

// A limiter holds one bucket a key for at most size keys. Keys come from
// packets that nobody has vouched for, so the key that was used longest ago
// makes room for a new one.
type limiter[K comparable] struct {
	rate  rate
	size  int
	known map[K]*list.Element
	order list.List // of *limited[K], the latest used in front
}

type limited[K comparable] struct {
	key K
	bucket
}

func newLimiter[K comparable](size int, r rate) *limiter[K] {
	return &limiter[K]{rate: r, size: size, known: make(map[K]*list.Element)}
}

// take says whether one more of key may happen at now, and counts it where it may.
func (l *limiter[K]) take(now time.Time, key K) bool {
	e := l.known[key]
	switch {
	case e != nil:
		l.order.MoveToFront(e)
	case l.order.Len() < l.size:
		e = l.order.PushFront(&limited[K]{key: key})
		l.known[key] = e
	default: // the oldest becomes this one
		e = l.order.Back()
		old := e.Value.(*limited[K])
		delete(l.known, old.key)
		*old = limited[K]{key: key}
		l.known[key] = e
		l.order.MoveToFront(e)
	}
	return e.Value.(*limited[K]).take(now, l.rate)
}

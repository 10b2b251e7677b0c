package link

import (
	"math"

	"s2clab/topologies"
)

// A lane is the way of the frames that one end sends: a queue before the rate,
// then the delay. It is a machine without a clock: frames go in with the time,
// and come out at the time that next tells. Times are in nanoseconds.
type lane struct {
	impairment topologies.Impairment
	mtu        int // octets of a full frame

	queue  ring  // before the rate; the first one is being sent
	octets int   // in the queue, behind the first
	finish int64 // when the first one's last bit is out
	rest   int64 // what division left over of the times of those before: in 1/rate ns

	deliveries deliveries // with a trace, in place of the rate

	way   heap  // waiting out their delay
	last  int64 // when the latest arrives of those that keep their order
	order uint64
}

// never is a time that does not come.
const never = math.MaxInt64

// clear says whether a frame that comes now may go straight on.
func (l *lane) clear() bool {
	i := &l.impairment
	return i.Delay == 0 && i.Rate == 0 && i.Jitter.Spread == 0 && l.queue.n == 0 && len(l.way) == 0
}

// room says whether there is a place for a frame at now.
func (l *lane) room(now int64, f *frame) bool {
	l.advance(now)
	return l.impairment.Rate == 0 || l.queue.n == 0 || l.fits(f)
}

// push takes a frame for which there is room at now.
func (l *lane) push(now int64, f *frame) {
	l.advance(now)
	switch {
	case l.impairment.Rate == 0:
		l.depart(now, f)
	case l.queue.n == 0:
		l.rest = 0
		l.queue.push(f)
		if l.impairment.Trace != nil {
			l.deliveries.rest(now)
		}
		l.finish = l.sent(now, f)
	default:
		l.queue.push(f)
		l.octets += f.length()
	}
}

// The default queue holds what the rate sends in 100 ms, and at least ten full
// frames.
const (
	defaultQueueDivisor = 8 * 10
	defaultQueueFrames  = 10
)

// fits says whether the queue has a place for a frame. The one that is being
// sent is not in the queue any more.
func (l *lane) fits(f *frame) bool {
	q := l.impairment.Queue
	if q.Bytes == 0 && q.Packets == 0 {
		q.Bytes = max(int(l.impairment.Rate/defaultQueueDivisor), defaultQueueFrames*l.mtu)
	}
	return (q.Packets == 0 || l.queue.n-1 < q.Packets) && (q.Bytes == 0 || l.octets+f.length() <= q.Bytes)
}

// sent is when a frame's last bit is out whose sending begins at now.
func (l *lane) sent(now int64, f *frame) int64 {
	if l.impairment.Trace != nil {
		return l.deliveries.take(f)
	}
	return now + l.sending(f)
}

// sending is how long the rate takes over a frame. What division leaves over is
// kept for the next, so that no time is lost over many.
func (l *lane) sending(f *frame) int64 {
	work := int64(f.length())*8*1e9 + l.rest
	l.rest = work % l.impairment.Rate
	return work / l.impairment.Rate
}

// advance lets out of the queue what has been sent by now.
func (l *lane) advance(now int64) {
	for l.queue.n > 0 && l.finish <= now {
		l.shift()
	}
}

// shift ends the sending of the first frame in the queue.
func (l *lane) shift() {
	at := l.finish
	l.depart(at, l.queue.pop())
	if l.queue.n > 0 {
		f := l.queue.first()
		l.octets -= f.length()
		l.finish = l.sent(at, f)
	}
}

// depart sends a frame on its way, which it has begun at the given time.
func (l *lane) depart(at int64, f *frame) {
	f.due = at
	if !f.ahead {
		f.due += max(0, int64(l.impairment.Delay)+f.jitter)
		if !l.impairment.Jitter.Reorder {
			f.due = max(f.due, l.last)
		}
		l.last = max(l.last, f.due)
	}
	l.add(f)
}

// add takes a frame that is due at f.due.
func (l *lane) add(f *frame) {
	l.order++
	f.order = l.order
	l.way.push(f)
}

// next is when the lane has something to do.
func (l *lane) next() int64 {
	next := int64(never)
	if l.queue.n > 0 {
		next = l.finish
	}
	if len(l.way) > 0 {
		next = min(next, l.way[0].due)
	}
	return next
}

// pop gives the first frame that is due at now, or nil.
func (l *lane) pop(now int64) *frame {
	l.advance(now)
	if len(l.way) == 0 || l.way[0].due > now {
		return nil
	}
	return l.way.pop()
}

// set changes the impairment. What is queued stays queued, and goes on at the new
// rate; what is on its way arrives when it was due. A new trace begins at now.
func (l *lane) set(now int64, i topologies.Impairment) {
	l.advance(now)
	old, trace := l.impairment.Rate, l.impairment.Trace
	l.impairment = i
	if i.Trace != trace {
		l.follow(now)
	}
	switch {
	case l.queue.n == 0 || i.Trace == trace && i.Rate == old:
	case i.Rate == 0:
		for l.queue.n > 0 {
			l.depart(now, l.queue.pop())
		}
		l.octets = 0
	case i.Trace != nil || trace != nil: // of the first frame it is not known how much is left
		l.rest = 0
		l.finish = l.sent(now, l.queue.first())
	default: // what is left of the first frame, at the new rate
		l.finish = now + (l.finish-now)*old/i.Rate // a frame's bits times 10^9 at most
		l.rest = 0
	}
}

// empty takes out all that is queued.
func (l *lane) empty(take func(*frame)) {
	for l.queue.n > 0 {
		take(l.queue.pop())
	}
	l.octets = 0
}

// clearWay takes out all that is on its way.
func (l *lane) clearWay(take func(*frame)) {
	for _, f := range l.way {
		take(f)
	}
	clear(l.way)
	l.way = l.way[:0]
	l.last = 0
}

// A ring is a queue of frames.
type ring struct {
	frames []*frame // a power of two of places
	head   int
	n      int
}

func (r *ring) push(f *frame) {
	if r.n == len(r.frames) {
		bigger := make([]*frame, max(16, 2*r.n))
		for i := range r.n {
			bigger[i] = r.frames[(r.head+i)&(r.n-1)]
		}
		r.frames, r.head = bigger, 0
	}
	r.frames[(r.head+r.n)&(len(r.frames)-1)] = f
	r.n++
}

func (r *ring) first() *frame { return r.frames[r.head] }

func (r *ring) pop() *frame {
	f := r.frames[r.head]
	r.frames[r.head] = nil
	r.head = (r.head + 1) & (len(r.frames) - 1)
	r.n--
	return f
}

// A heap has the frame first that is due first; of several, the one that came
// first.
type heap []*frame

func (a *frame) before(b *frame) bool {
	return a.due < b.due || a.due == b.due && a.order < b.order
}

func (h *heap) push(f *frame) {
	*h = append(*h, f)
	s := *h
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !f.before(s[up]) {
			break
		}
		s[i] = s[up]
		i = up
	}
	s[i] = f
}

func (h *heap) pop() *frame {
	s := *h
	top, last := s[0], s[len(s)-1]
	s[len(s)-1] = nil
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return top
	}
	i := 0
	for {
		first := 4*i + 1
		if first >= len(s) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(s)); c++ {
			if s[c].before(s[least]) {
				least = c
			}
		}
		if !s[least].before(last) {
			break
		}
		s[i] = s[least]
		i = least
	}
	s[i] = last
	return top
}

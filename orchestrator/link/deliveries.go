package link

import (
	"sort"

	"s2clab/topologies"
)

// Deliveries are the opportunities of a trace, as a queue uses them: each takes
// TraceOctets of what waits. A packet may need several, and several may share one.
// What of an opportunity finds nothing in the queue is lost. This is the rule of
// Mahimahi's links.
type deliveries struct {
	times  []uint32 // of the trace: milliseconds
	length int64    // of the trace: nanoseconds
	begin  int64    // when the trace began: nanoseconds

	next  int64 // number of the next opportunity, counted on through the repeats
	spare int   // octets left of the one before it, for what waits already
}

// follow lets the trace of the impairment, if it has one, begin at a time.
func (l *lane) follow(begin int64) {
	l.deliveries = deliveries{begin: begin}
	if t := l.impairment.Trace; t != nil {
		l.deliveries.times, l.deliveries.length = t.Times, int64(t.Length())
	}
}

// at is when an opportunity comes.
func (d *deliveries) at(n int64) int64 {
	round, i := floorDiv(n, int64(len(d.times)))
	return d.begin + round*d.length + int64(d.times[i])*1e6
}

// rest skips the opportunities until now, which nothing waited for.
func (d *deliveries) rest(now int64) {
	round, within := floorDiv(now-d.begin, d.length)
	i := sort.Search(len(d.times), func(i int) bool { return int64(d.times[i])*1e6 > within })
	d.next, d.spare = round*int64(len(d.times))+int64(i), 0
}

// take gives a frame what it needs of the next opportunities, and says when the
// last of them is.
func (d *deliveries) take(f *frame) int64 {
	const perPacket = topologies.TraceOctets - 1500 // beside the packet itself
	d.spare -= f.length() - minFrame + perPacket
	if d.spare < 0 {
		n := int64(-d.spare+topologies.TraceOctets-1) / topologies.TraceOctets
		d.next += n
		d.spare += int(n) * topologies.TraceOctets
	}
	return d.at(d.next - 1)
}

// floorDiv divides, with a remainder that is not negative.
func floorDiv(a, b int64) (quotient, remainder int64) {
	quotient, remainder = a/b, a%b
	if remainder < 0 {
		quotient--
		remainder += b
	}
	return quotient, remainder
}

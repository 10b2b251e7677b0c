package analysis

import (
	"math"
	"sort"
	"time"
)

// An Interruption is what one direction of a flow suffered in a handover, as
// the application that received it saw it.
type Interruption struct {
	Flow, From, To string
	Stream         bool // octets of a connection were counted, not packets

	// The longest gap between two packets that arrived one after the other, of
	// those gaps that touch the handover.
	Start, End time.Duration
	Length     time.Duration // of the gap, less the flow's regular spacing; never negative
	Spacing    time.Duration // which is also how exact Length can be
	Open       bool          // no packet came any more: Length is until the flow ended

	// Of packets sent while the handover went on.
	Sent, Lost, Duplicated, Reordered int

	First *Phase // from the acknowledgement to the first packet; nil where either is missing
	Bound Bound
}

// Excess is how far the interruption was above its bound.
func (n *Interruption) Excess() (time.Duration, bool) {
	return n.Length - n.Bound.Total, n.Bound.Known && !n.Open
}

// settling is how long after a handover its consequences may still show.
const settling = time.Second

// interruptions reads what a move did to every flow of the mobile.
func (r *reading) interruptions(m *move) {
	begin, until := m.Start, m.End
	if m.Outcome == Completed {
		until = min(m.Done, m.End)
		if m.down != nil {
			until = max(until, min(m.down.at, m.End))
		}
		until = min(until+settling, m.End)
	}
	for i := range r.Flows {
		d := &r.Flows[i]
		if !d.Has(m.Node) || len(d.samples) == 0 || m.Kind == Attach && d.samples[0].received >= until {
			continue
		}
		last := until
		if until == m.End {
			last -= 2 * d.Spacing // a silence that begins then is the next move's
		}
		if n, ok := d.interruption(begin, last); ok {
			r.finish(m, d, &n)
			m.Interruptions = append(m.Interruptions, n)
		}
	}
}

// interruption finds the longest gap that touches a span, and counts what of the
// packets sent in it, or on the way when it began, went wrong.
func (d *Direction) interruption(begin, until time.Duration) (n Interruption, ok bool) {
	n = Interruption{Flow: d.Flow, From: d.From, To: d.To, Stream: d.stream, Spacing: d.Spacing}
	// The last packet that arrived before the span.
	i := sort.Search(len(d.samples), func(i int) bool { return d.samples[i].received >= begin }) - 1
	if i < 0 {
		return n, false // the flow began later: nothing to interrupt
	}
	longest := time.Duration(math.MinInt64)
	for ; i < len(d.samples) && d.samples[i].received <= until; i++ {
		from, to, open := d.samples[i].received, d.End, true
		if i+1 < len(d.samples) {
			to, open = d.samples[i+1].received, false
		}
		if open && (to-from <= 2*n.Spacing+d.Delay.Max || d.SentKnown && d.tail == 0) {
			continue // the flow just ended
		}
		if to-from > longest {
			longest = to - from
			n.Start, n.End, n.Open = from, to, open
		}
	}
	if longest < 0 {
		return n, false // the flow ended before
	}
	n.Length = max(longest-n.Spacing, 0)

	from, to := begin-d.Delay.P50, max(until-settling, n.End)
	for _, h := range d.holes {
		n.Lost += h.within(from, to)
	}
	for _, s := range d.samples {
		if s.sent >= from && s.sent <= to {
			n.Sent++
		}
	}
	n.Sent += n.Lost
	sentWithin := func(s sample) bool { return s.sent >= from && s.sent <= to }
	for _, s := range d.repeats {
		if sentWithin(s) {
			n.Duplicated++
		}
	}
	for _, s := range d.late {
		if sentWithin(s) {
			n.Reordered++
		}
	}
	return n, true
}

// finish adds the last phase, and the bound in this direction.
func (r *reading) finish(m *move, d *Direction, n *Interruption) {
	i := sort.Search(len(d.samples), func(i int) bool { return d.samples[i].received >= m.Done })
	switch {
	case m.Outcome != Completed || m.Kind == Attach:
	case n.End < m.Done: // a packet was quicker than the acknowledgement
		n.First = &Phase{FirstPacket, m.Done, m.Done}
	case i < len(d.samples):
		n.First = &Phase{FirstPacket, m.Done, d.samples[i].received}
	}
	n.Bound = r.boundOf(m, d)
}

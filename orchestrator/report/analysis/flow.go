package analysis

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// A Direction is one flow as one node received it. A flow that goes both ways is
// two of them.
type Direction struct {
	Flow     string
	From, To string // nodes; From is empty where the journal does not say
	Kind     string // voice, bulk, request; empty: unknown
	Proto    string // udp, tcp
	Size     int    // octets of payload in each packet; 0: unknown

	Start, End time.Duration // first sent or received; last received, or the end of sending
	Sent       int           // packets, of bulk octets; at least so many where SentKnown is false
	SentKnown  bool          // the sender said how many it sent
	Received   int           // different packets
	Lost       int           // packets, of bulk octets
	Duplicated int           // copies beyond the first
	Corrupted  int           // arrived with other octets than were sent; not among Received
	Reordered  int           // arrived after a later one: RFC 4737, section 3
	Octets     int64         // of payload received
	Spacing    time.Duration // between two packets as they were sent, of a stream as they came: the median
	Delay      Percentiles   // one way; of a request, until its answer
	Jitter     time.Duration // RFC 3550, section 6.4.1, at the end of the flow

	Width time.Duration // of a Bin: 100 ms, or more in a very long run
	Bins  []Bin         // from Start on

	delays  []time.Duration // sorted
	samples []sample        // first copies, in the order of arrival
	repeats []sample        // further copies, in the order of arrival
	late    []sample        // those of samples that were overtaken
	holes   []hole          // in the order of sequence
	tail    int             // packets sent after the last that arrived
	stream  bool            // octets were counted, not packets
}

// A Bin is what arrived, and what of the packets sent did not, in one span of
// time.
type Bin struct {
	Packets  int
	Octets   int64
	Lost     int           // of the packets sent in this span
	Delay    time.Duration // median; zero where Packets is
	DelayMax time.Duration
}

// A sample is one packet that arrived.
type sample struct {
	seq            int64
	sent, received time.Duration
	octets         int64 // where it stands for octets of a stream
}

// A hole is a run of packets that never arrived. When they were sent is known
// from their neighbours.
type hole struct {
	count    int
	from, to time.Duration // of sending: the first, the last
}

// within counts the packets of a hole that were sent in a span.
func (h hole) within(from, to time.Duration) int {
	if h.to < from || h.from > to || h.count <= 0 {
		return 0
	}
	if h.from >= from && h.to <= to {
		return h.count
	}
	step := float64(h.to-h.from) / float64(max(h.count-1, 1))
	if step <= 0 {
		return h.count
	}
	first := math.Ceil(max(float64(from-h.from), 0) / step)
	last := math.Floor(min(float64(to-h.from), float64(h.to-h.from)) / step)
	return int(max(min(last, float64(h.count-1))-first+1, 0))
}

const (
	streamSpacing = 10 * time.Millisecond // how finely octets of a stream are counted

	batch    = 200 * time.Millisecond // what arrived is told of within this time
	binWidth = 100 * time.Millisecond
	maxBins  = 36_000 // an hour's worth
)

// A flowReading gathers what the journal says of one flow.
type flowReading struct {
	name     string
	first    time.Duration // event
	nodes    []string      // that told of it, in the order in which they did
	from, to string
	about    fields // of flow-started
	sent     map[string]int
	corrupt  map[string]int
	stopped  map[string]time.Duration
	arrived  map[string][]sample // by receiver; times as the clock has them
	stream   map[string]bool
}

func (r *reading) readFlows() {
	zero, exact := r.clockZero()
	var order []*flowReading
	byName := map[string]*flowReading{}
	for _, e := range r.events {
		switch e.Name {
		case "flow-started", "flow-samples", "flow-bytes", "flow-responses", "flow-stopped":
		default:
			continue
		}
		f := fields(e.Fields)
		name, node := f.text("flow"), NodeOf(e)
		w := byName[name]
		if w == nil {
			w = &flowReading{
				name: name, first: e.At,
				sent: map[string]int{}, corrupt: map[string]int{}, stopped: map[string]time.Duration{}, arrived: map[string][]sample{}, stream: map[string]bool{},
			}
			byName[name] = w
			order = append(order, w)
		}
		if node != "" && !slices.Contains(w.nodes, node) {
			w.nodes = append(w.nodes, node)
		}
		w.from = cmp.Or(w.from, f.text("from"))
		w.to = cmp.Or(w.to, f.text("to"))
		switch e.Name {
		case "flow-started":
			if w.about == nil || len(f) > len(w.about) {
				w.about = f
			}
		case "flow-stopped":
			w.stopped[node] = e.At
			if n := f.count("sent"); n > 0 {
				w.sent[node] = n
			}
			w.corrupt[node] = max(f.count("corrupted"), 0)
		case "flow-samples", "flow-responses":
			for _, one := range append(f.list("samples"), f.list("responses")...) {
				if t, ok := triple(one, 3); ok {
					w.arrived[node] = append(w.arrived[node], sample{seq: t[0], sent: time.Duration(t[1]) - zero, received: time.Duration(t[2]) - zero})
				}
			}
		case "flow-bytes":
			w.stream[node] = true
			for _, one := range append(f.list("samples"), f.list("bytes")...) {
				if t, ok := triple(one, 2); ok && t[1] > 0 {
					at := time.Duration(t[0]) - zero
					w.arrived[node] = append(w.arrived[node], sample{sent: at, received: at, octets: t[1]})
				}
			}
		}
	}
	for _, w := range order {
		r.Flows = append(r.Flows, r.directions(w)...)
	}
	if len(r.Flows) == 0 {
		r.note("no traffic was sent: interruptions are unknown")
	} else if !exact {
		r.note("the journal does not say what its clock showed at the start: times of packets are estimated and may be a few milliseconds off")
	}
}

// clockZero is what the clock that stamps packets showed when the run started.
// Where the journal does not say, no packet can have been told of before it
// arrived, and that bounds it.
func (r *reading) clockZero() (zero time.Duration, exact bool) {
	found := false
	for _, e := range r.events {
		if e.Name == "run-started" {
			if n, ok := fields(e.Fields).number("clock"); ok && math.Abs(n) < 1<<62 {
				return time.Duration(n), true
			}
		}
		if e.Name != "flow-samples" && e.Name != "flow-bytes" && e.Name != "flow-responses" {
			continue
		}
		f := fields(e.Fields)
		for _, list := range []string{"samples", "responses", "bytes"} {
			l := f.list(list)
			want, at := 3, 2
			if e.Name == "flow-bytes" {
				want, at = 2, 0
			}
			for _, one := range l {
				if t, ok := triple(one, want); ok {
					if z := time.Duration(t[at]) - e.At; !found || z > zero {
						zero, found = z, true
					}
				}
			}
		}
	}
	return zero, !found
}

// directions makes the directions of a flow: one a node that received, and one a
// node that sent and was not heard at all.
func (r *reading) directions(w *flowReading) []Direction {
	other := func(node string) string {
		switch {
		case w.from != "" && w.from != node:
			return w.from
		case w.to != "" && w.to != node:
			return w.to
		}
		for _, n := range w.nodes {
			if n != node {
				return n
			}
		}
		return ""
	}
	nodes := slices.Clone(w.nodes)
	for _, n := range []string{w.to, w.from} {
		if n != "" && !slices.Contains(nodes, n) {
			nodes = append(nodes, n)
		}
	}
	asked := w.about.text("kind") == "request"
	var all []Direction
	for _, to := range nodes {
		from, sender := other(to), other(to)
		if asked { // what counts is what comes back to who asked
			sender = to
		}
		arrived := w.arrived[to]
		if len(arrived) == 0 && (w.sent[sender] == 0 || asked && to == w.to) {
			continue
		}
		d := Direction{
			Flow: w.name, From: from, To: to,
			Kind: w.about.text("kind"), Proto: w.about.text("proto"), Size: max(w.about.count("size"), 0),
			Sent: w.sent[sender], SentKnown: w.sent[sender] > 0,
			Corrupted: w.corrupt[to], stream: w.stream[to],
		}
		d.read(arrived)
		if at, ok := w.stopped[sender]; !ok {
			d.End = max(d.End, r.Duration-batch) // it may have gone on
		} else if !d.stream {
			d.End = max(d.End, at)
		}
		if len(arrived) == 0 {
			d.Start, d.End = w.first, max(d.End, w.first)
			d.Lost = d.Sent
			d.holes = []hole{{count: d.Sent, from: d.Start, to: d.End}}
		}
		if !d.SentKnown && !d.stream {
			r.note("how many packets %s sent in flow %q is not told: losses at its end are not counted", cmp.Or(sender, "the other end"), w.name)
		}
		d.fill()
		all = append(all, d)
	}
	return all
}

// read counts what arrived.
func (d *Direction) read(arrived []sample) {
	arrived = slices.Clone(arrived)
	slices.SortStableFunc(arrived, func(a, b sample) int { return cmp.Compare(a.received, b.received) })
	if d.stream {
		d.samples = arrived
		var gaps []time.Duration
		for i, s := range arrived {
			d.Octets += s.octets
			if i > 0 {
				gaps = append(gaps, s.received-arrived[i-1].received)
			}
		}
		d.Spacing = max(PercentilesOf(gaps).P50, streamSpacing)
		if d.SentKnown {
			d.Lost = max(d.Sent-int(d.Octets), 0)
			d.tail = d.Lost
		}
		d.span()
		return
	}
	seen := make(map[int64]bool, len(arrived))
	highest := int64(math.MinInt64)
	delays := make([]time.Duration, 0, len(arrived))
	jitter := 0.0
	for _, s := range arrived {
		if seen[s.seq] {
			d.repeats = append(d.repeats, s)
			continue
		}
		seen[s.seq] = true
		d.samples = append(d.samples, s)
		delays = append(delays, s.received-s.sent)
		if n := len(delays); n > 1 {
			jitter += (math.Abs(float64(delays[n-1]-delays[n-2])) - jitter) / 16
		}
		if s.seq < highest {
			d.late = append(d.late, s)
		}
		highest = max(highest, s.seq)
	}
	d.Received, d.Duplicated, d.Reordered = len(d.samples), len(d.repeats), len(d.late)
	d.Octets = int64(d.Received) * int64(d.Size)
	d.Jitter = time.Duration(jitter)
	d.Delay = PercentilesOf(delays)
	d.delays = delays
	d.findHoles()
	d.span()
}

func (d *Direction) span() {
	if len(d.samples) == 0 {
		return
	}
	d.Start, d.End = d.samples[0].received, d.samples[len(d.samples)-1].received
	for _, s := range d.samples {
		d.Start, d.End = min(d.Start, s.sent), max(d.End, s.received)
	}
}

// findHoles finds what never arrived. Sequences begin at 0 or at 1.
func (d *Direction) findHoles() {
	if len(d.samples) == 0 {
		return
	}
	bySeq := slices.Clone(d.samples)
	slices.SortFunc(bySeq, func(a, b sample) int { return cmp.Compare(a.seq, b.seq) })
	var steps []time.Duration
	for i := 1; i < len(bySeq); i++ {
		if bySeq[i].seq-bySeq[i-1].seq == 1 {
			steps = append(steps, bySeq[i].sent-bySeq[i-1].sent)
		}
	}
	d.Spacing = max(PercentilesOf(steps).P50, 0)
	first, last := bySeq[0], bySeq[len(bySeq)-1]
	base := min(first.seq, 1)
	add := func(count int64, from, to time.Duration) {
		if count > 0 && count < 1<<40 {
			d.holes = append(d.holes, hole{int(count), from, max(from, to)})
			d.Lost += int(count)
		}
	}
	add(first.seq-base, first.sent-time.Duration(min(first.seq-base, 1<<20))*d.Spacing, first.sent-d.Spacing)
	for i := 1; i < len(bySeq); i++ {
		a, b := bySeq[i-1], bySeq[i]
		if missing := b.seq - a.seq - 1; missing > 0 {
			step := (b.sent - a.sent) / time.Duration(missing+1)
			add(missing, a.sent+step, b.sent-step)
		}
	}
	if tail := int64(d.Sent) - (last.seq - base + 1); d.SentKnown && tail > 0 {
		d.tail = int(tail)
		add(tail, last.sent+d.Spacing, last.sent+time.Duration(min(tail, 1<<20))*d.Spacing)
	}
	d.Sent = max(d.Sent, d.Received+d.Lost)
}

// fill makes the bins.
func (d *Direction) fill() {
	d.Width = binWidth
	length := d.End - d.Start
	for length/d.Width >= maxBins {
		d.Width *= 2
	}
	if length < 0 || len(d.samples) == 0 && len(d.holes) == 0 {
		return
	}
	d.Bins = make([]Bin, length/d.Width+1)
	delays := make([]time.Duration, 0, 64)
	at := 0
	flush := func() {
		if p := PercentilesOf(delays); len(delays) > 0 {
			d.Bins[at].Delay, d.Bins[at].DelayMax = p.P50, p.Max
		}
		delays = delays[:0]
	}
	for _, s := range d.samples { // in the order of arrival
		if i := d.bin(s.received); i != at {
			flush()
			at = i
		}
		d.Bins[at].Packets++
		if d.stream {
			d.Bins[at].Octets += s.octets
			continue
		}
		d.Bins[at].Octets += int64(d.Size)
		delays = append(delays, s.received-s.sent)
	}
	flush()
	for _, h := range d.holes {
		left := h.count
		for i := d.bin(h.from); i <= d.bin(h.to) && left > 0; i++ {
			from := d.Start + time.Duration(i)*d.Width
			n := h.within(from, from+d.Width-1)
			if i == d.bin(h.to) {
				n = left
			}
			n = min(n, left)
			d.Bins[i].Lost += n
			left -= n
		}
	}
}

// bin is where a time belongs; what lies outside is counted at the ends.
func (d *Direction) bin(at time.Duration) int {
	return int(min(max((at-d.Start)/d.Width, 0), time.Duration(len(d.Bins)-1)))
}

// DelayAt is a percentile of the delay: 0 to 100. There is at least one packet.
func (d *Direction) DelayAt(percentile float64) time.Duration {
	return d.delays[position(len(d.delays), percentile)]
}

// Has says whether a node is at one of the flow's ends.
func (d *Direction) Has(node string) bool { return d.From == node || d.To == node }

// Throughput is what arrived, in octets of payload a second, between the first
// packet and the last; and false where sizes are unknown.
func (d *Direction) Throughput() (float64, bool) {
	if d.Octets == 0 || len(d.samples) == 0 {
		return 0, false
	}
	span := d.samples[len(d.samples)-1].received - d.samples[0].received
	if span <= 0 {
		return 0, false
	}
	return float64(d.Octets) / span.Seconds(), true
}

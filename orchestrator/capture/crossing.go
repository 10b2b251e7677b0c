package capture

import (
	"slices"
	"time"

	"s2clab/nodes/control"
	"s2clab/orchestrator/link"
)

// A crossing is a signalling message on its way over a link.
type crossing struct {
	Message
	from    *recorded
	to      []string
	meant   []string // where it would go
	number  uint64   // in the file
	length  int
	sent    int64
	arrived int64
	marks   link.Marks
	reason  link.Reason
}

// maxPending is how many frames with signalling may be on their way.
const maxPending = 65536

// entered notes the messages of a frame, and where its sender is.
func (w *writing) entered(rec *record, octets []byte, from *recorded, number uint64) {
	if len(octets) >= 12 && rec.marks&(link.Injected|link.Copied) == 0 {
		source := [6]byte(octets[6:])
		if from.link.places[source] != from && len(from.link.places) < maxPlaces && source[0]&1 == 0 {
			from.link.places[source] = from
		}
	}
	w.carried.note(w, rec, octets, from)
	if !Signalling(octets) {
		return
	}
	t := w.streams[rec.from]
	if t == nil {
		t = &streams{}
		w.streams[rec.from] = t
	}
	messages := decode(octets, t.messages)
	if len(messages) == 0 {
		return
	}
	w.seen.note(Frame{At: rec.since, Link: from.link.name, End: from.node, Octets: octets, Messages: messages})
	var all []*crossing
	for _, m := range messages {
		c := &crossing{Message: m, from: from, number: number, length: int(rec.length), sent: rec.since, marks: rec.marks, reason: rec.reason, meant: from.link.meant(from, octets)}
		all = append(all, c)
	}
	if rec.last && rec.what == link.Entered {
		w.tell(all, rec.since)
		return
	}
	if len(w.pending) >= maxPending {
		for id, old := range w.pending {
			delete(w.pending, id)
			w.tell(old, old[0].sent)
			break
		}
	}
	w.pending[rec.frame] = all
}

// maxPlaces is how many addresses are remembered for a link.
const maxPlaces = 4096

// meant are the nodes that a frame from an end is for.
func (k *recordedLink) meant(from *recorded, octets []byte) []string {
	if to := k.places[[6]byte(octets)]; to != nil && to != from {
		return []string{to.node}
	}
	var all []string
	for _, e := range k.ends {
		if e != from {
			all = append(all, e.node)
		}
	}
	return all
}

// left notes that a frame was handed to an end.
func (w *writing) left(rec *record, to *recorded) {
	all := w.pending[rec.frame]
	for _, c := range all {
		c.to = append(c.to, to.node)
		c.arrived, c.marks = rec.at, c.marks|rec.marks
	}
	if rec.last && all != nil {
		delete(w.pending, rec.frame)
		w.tell(all, rec.at)
	}
}

// dropped notes that a frame was lost on its way.
func (w *writing) dropped(rec *record) {
	all := w.pending[rec.frame]
	for _, c := range all {
		c.reason = rec.reason
	}
	if rec.last && all != nil {
		delete(w.pending, rec.frame)
		w.tell(all, rec.at)
	}
}

// tell makes events of messages that have come to the end of their way.
func (w *writing) tell(all []*crossing, now int64) {
	for _, c := range all {
		if !w.limits.allow(w, c, now) {
			continue
		}
		f := c.Fields
		f["message"], f["link"], f["from"], f["length"] = c.Name, c.from.link.name, c.from.node, float64(c.length)
		f["sent"] = w.seconds(c.sent)
		f["fate"] = c.fate()
		if why := c.why(); why != "" {
			f["reason"] = why
		}
		to := c.to
		if len(to) == 0 {
			to = c.meant
		}
		f["to"] = list(to)
		if c.number != 0 {
			f["frame"] = float64(c.number)
		}
		if c.arrived != 0 {
			f["arrived"] = w.seconds(c.arrived)
		}
		w.r.options.Sink(control.Event{At: c.sent, Node: c.from.node, Name: "packet", Fields: f})
	}
}

// seconds is a time as events have it: since the run started.
func (w *writing) seconds(at int64) float64 {
	return time.Duration(at - w.r.options.Start).Seconds()
}

// fate is what befell a message.
func (c *crossing) fate() string {
	switch {
	case len(c.to) == 0:
		return "dropped"
	case c.marks&link.Copied != 0:
		return "duplicated"
	case c.marks&link.Corrupted != 0:
		return "corrupted"
	case c.marks&link.Held != 0:
		return "held"
	}
	return "delivered"
}

func (c *crossing) why() string {
	switch {
	case len(c.to) == 0 && c.reason != link.NotDropped:
		return c.reason.String()
	case len(c.to) == 0:
		return "capture-ended"
	case c.marks&link.Replayed != 0:
		return "replay"
	case c.marks&link.Held != 0:
		return "aim"
	case c.marks&link.Injected != 0:
		return "injected"
	}
	return ""
}

// limits keep a flood of one message out of the journal: so many a second of
// each message from each end are told one by one, the others as a count.
type limits struct {
	buckets map[limited]*bucket
	told    int64
}

type limited struct {
	name   string
	from   *recorded
	broken bool // what is malformed has its own limit: garbage crowds out nothing
}

type bucket struct {
	tokens     float64
	at         int64
	suppressed int
	first      int64
}

const (
	burst        = 500 // events at once
	steady       = 100 // events a second after that
	brokenBurst  = 50
	brokenSteady = 5
)

func (l *limits) allow(w *writing, c *crossing, now int64) bool {
	if now-l.told > int64(time.Second) {
		l.tell(w, now, false)
		l.told = now
	}
	key := limited{c.Name, c.from, c.Fields["malformed"] != nil || c.Fields["bad-checksum"] != nil}
	most, more := float64(burst), float64(steady)
	if key.broken {
		most, more = brokenBurst, brokenSteady
	}
	b := l.buckets[key]
	if b == nil {
		b = &bucket{tokens: most, at: now}
		l.buckets[key] = b
	}
	b.tokens = min(most, b.tokens+float64(max(0, now-b.at))*more/1e9)
	b.at = max(b.at, now)
	if b.tokens < 1 {
		if b.suppressed == 0 {
			b.first = c.sent
		}
		b.suppressed++
		return false
	}
	b.tokens--
	return true
}

// forgetAfter is when a bucket that nobody asks for is full again.
const forgetAfter = 2 * burst / steady * time.Second

// tell tells what was suppressed.
func (l *limits) tell(w *writing, now int64, last bool) {
	for key, b := range l.buckets {
		switch {
		case b.suppressed > 0:
			f := map[string]any{"event": "packet", "message": key.name, "link": key.from.link.name, "count": float64(b.suppressed)}
			if key.broken {
				f["malformed"] = true
			}
			w.r.options.Sink(control.Event{At: b.first, Node: key.from.node, Name: "events-suppressed", Fields: f})
			b.suppressed = 0
		case !last && now-b.at > int64(forgetAfter):
			delete(l.buckets, key)
		}
	}
}

// A Frame is a frame with signalling that was seen as it entered a link.
type Frame struct {
	At       int64 // CLOCK_MONOTONIC, nanoseconds
	Link     string
	End      string // the node that sent it
	Octets   []byte // the Ethernet frame
	Messages []Message
}

// seen are the frames that can be replayed: the first ones of each message, and
// the last ones of all.
type seen struct {
	first map[string][]Frame
	last  []Frame
}

const (
	seenFirst = 32   // of each message
	seenNames = 128  // messages
	seenLast  = 1024 // frames
	seenLong  = 2048 // octets; longer ones are not kept
)

func (s *seen) note(f Frame) {
	if len(f.Octets) > seenLong {
		return
	}
	f.Octets = slices.Clone(f.Octets)
	messages := make([]Message, len(f.Messages)) // their fields get more, later
	for i, m := range f.Messages {
		fields := make(map[string]any, len(m.Fields)+1)
		for k, v := range m.Fields {
			fields[k] = v
		}
		fields["message"] = m.Name
		messages[i] = Message{m.Name, fields}
	}
	f.Messages = messages
	for _, m := range f.Messages {
		if kept := s.first[m.Name]; len(kept) < seenFirst && (kept != nil || len(s.first) < seenNames) {
			s.first[m.Name] = append(kept, f)
		}
	}
	if len(s.last) == 2*seenLast {
		s.last = append(s.last[:0], s.last[seenLast:]...)
	}
	s.last = append(s.last, f)
}

// A Which says which of the frames seen so far is wanted.
type Which string

// First and Last of those seen.
const (
	First Which = "first"
	Last  Which = "last"
)

// Seen gives the first or last frame that a match holds for, of those with
// signalling that have entered a link so far: for who wants to send it again.
// fields are those of a packet event as far as they are known when a frame
// enters: with message, link and from.
func (r *Recorder) Seen(which Which, match func(from string, fields map[string]any) bool) (Frame, bool) {
	type answer struct {
		f  Frame
		ok bool
	}
	got := make(chan answer, 1)
	r.do(func() {
		f, ok := r.seen.find(which, match)
		got <- answer{f, ok}
	})
	r.ring()
	select {
	case a := <-got:
		return a.f, a.ok
	case <-r.done:
		return Frame{}, false
	}
}

func (s *seen) find(which Which, match func(string, map[string]any) bool) (Frame, bool) {
	holds := func(f *Frame) bool {
		for _, m := range f.Messages {
			fields := make(map[string]any, len(m.Fields)+3)
			for k, v := range m.Fields {
				fields[k] = v
			}
			fields["link"], fields["from"] = f.Link, f.End
			if match(f.End, fields) {
				return true
			}
		}
		return false
	}
	if which == Last {
		for i := len(s.last) - 1; i >= 0; i-- {
			if holds(&s.last[i]) {
				return s.last[i], true
			}
		}
		return Frame{}, false
	}
	var found *Frame
	for _, frames := range s.first {
		for i := range frames {
			if (found == nil || frames[i].At < found.At) && holds(&frames[i]) {
				found = &frames[i]
			}
		}
	}
	for i := range s.last {
		if (found == nil || s.last[i].At < found.At) && holds(&s.last[i]) {
			found = &s.last[i]
		}
	}
	if found == nil {
		return Frame{}, false
	}
	return *found, true
}

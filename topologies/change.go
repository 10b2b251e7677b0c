package topologies

import (
	"slices"
	"strings"
	"sync"
	"time"

	"s2clab/topologies/strict"
)

// A Change is what of an Impairment becomes different; what is nil stays.
type Change struct {
	Delay     *time.Duration `json:"delay,omitempty"`
	Jitter    *Jitter        `json:"jitter,omitempty"`
	Loss      *Loss          `json:"loss,omitempty"`
	Rate      *int64         `json:"rate,omitempty"`  // 0: unlimited
	Trace     *RateTrace     `json:"trace,omitempty"` // with Rate, which is its mean
	Queue     *Queue         `json:"queue,omitempty"`
	Duplicate *float64       `json:"duplicate,omitempty"`
	Corrupt   *float64       `json:"corrupt,omitempty"`
	Reorder   *float64       `json:"reorder,omitempty"`
}

// Apply returns i with the change made.
func (c Change) Apply(i Impairment) Impairment {
	set(&i.Delay, c.Delay)
	set(&i.Jitter, c.Jitter)
	set(&i.Loss, c.Loss)
	if c.Rate != nil {
		i.Rate, i.Trace = *c.Rate, c.Trace
	}
	set(&i.Queue, c.Queue)
	set(&i.Duplicate, c.Duplicate)
	set(&i.Corrupt, c.Corrupt)
	set(&i.Reorder, c.Reorder)
	return i
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// Change returns what the keys of v say.
func (r *ChangeReader) Change(v *strict.Value) Change {
	c := Change{
		Delay:     given[time.Duration](v, "delay"),
		Duplicate: given[float64](v, "duplicate"),
		Corrupt:   given[float64](v, "corrupt"),
		Reorder:   given[float64](v, "reorder"),
	}
	if rate := v.Get("rate"); rate.Good() {
		c.Rate = given[int64](rate, "limit")
		if name := rate.Get("trace"); name.Good() && rate.Get("limit") == nil {
			if c.Trace = r.trace(name); c.Trace != nil {
				mean := c.Trace.Mean()
				c.Rate = &mean
			}
		}
	}
	if j := v.Get("jitter"); j.Good() {
		c.Jitter = &Jitter{
			Spread:       strict.Or(j.Get("spread"), time.Duration(0)),
			Distribution: strict.Or(j.Get("distribution"), "uniform"),
			Reorder:      strict.Or(j.Get("reorder"), false),
		}
	}
	if l := v.Get("loss"); l.Good() {
		c.Loss = &Loss{Rate: strict.Or(l.Get("rate"), 0.0)}
		if l.Get("rate") == nil {
			c.Loss = &Loss{
				GoodBad:  strict.Or(l.Get("good-bad"), 0.0),
				BadGood:  strict.Or(l.Get("bad-good"), 0.0),
				LossGood: strict.Or(l.Get("loss-good"), 0.0),
				LossBad:  strict.Or(l.Get("loss-bad"), 1.0),
			}
		}
	}
	if q := v.Get("queue"); q.Good() {
		c.Queue = &Queue{Bytes: int(strict.Or(q.Get("bytes"), int64(0))), Packets: int(strict.Or(q.Get("packets"), int64(0)))}
	}
	return c
}

func given[T any](v *strict.Value, key string) *T {
	x := v.Get(key)
	if !strict.Is[T](x) {
		return nil
	}
	value := strict.Or(x, *new(T))
	return &value
}

// CheckChange complains of what v, which makes an impairment i of another,
// says that cannot be.
func CheckChange(doc *strict.Document, v *strict.Value, i Impairment) {
	complain := func(key, hint, format string, args ...any) {
		at := v.Get(key)
		if at == nil {
			at = v
		}
		doc.Complain(at, hint, v.Path+": "+format, args...)
	}
	if j := i.Jitter; j.Distribution == "uniform" && j.Spread > i.Delay && (v.Get("jitter").Good() || v.Get("delay").Good()) && (v.Get("delay") == nil || v.Get("delay").Good()) {
		complain("jitter", "make the delay "+strict.Short(j.Spread)+" or more, or choose another distribution",
			"a uniform jitter of %s is more than the delay of %s: frames would arrive before they are sent", strict.Short(j.Spread), strict.Short(i.Delay))
	}
	if loss := v.Get("loss"); loss.Good() {
		bursts := loss.Get("good-bad") != nil || loss.Get("bad-good") != nil || loss.Get("loss-good") != nil || loss.Get("loss-bad") != nil
		switch {
		case bursts && loss.Get("rate") != nil:
			complain("loss", "write loss: 0.5%, or loss: {good-bad: 1%, bad-good: 30%}", "loss has a rate and bursts; want one of them")
		case bursts && (loss.Get("good-bad") == nil || loss.Get("bad-good") == nil):
			complain("loss", "write loss: {good-bad: 1%, bad-good: 30%, loss-bad: 80%}", "a loss in bursts needs good-bad and bad-good")
		case !bursts && loss.Get("rate") == nil:
			complain("loss", "write loss: 0.5%, or loss: {good-bad: 1%, bad-good: 30%}", "loss has neither a rate nor bursts")
		}
	}
	if rate := v.Get("rate"); rate.Good() && (rate.Get("limit") == nil) == (rate.Get("trace") == nil) {
		complain("rate", "write rate: 20Mbit/s, or rate: {trace: cell.down}", "want a limit or a trace")
	}
	if q := v.Get("queue"); q.Good() && q.Get("bytes") == nil && q.Get("packets") == nil {
		complain("queue", "write queue: 64kB, or queue: {packets: 100}", "the queue has no length")
	}
}

// ImpairmentFields are the keys that say what a link does to frames, for the
// formats that change links.
func ImpairmentFields() []strict.Field { return impairmentFields() }

func impairmentKeys() (keys []string) {
	for _, f := range impairmentFields() {
		keys = append(keys, f.Key)
	}
	return keys
}

var changeFormat = sync.OnceValue(func() *strict.Shape {
	return &strict.Shape{Name: "a change of a link", Fields: impairmentFields()}
})

// ParseChange reads a change as a command line has it: delay=50ms loss=5%.
func ParseChange(words []string) (Change, error) {
	doc := strict.Open(strings.Join(words, " "), []byte("{}"))
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			doc.Complain(nil, "write KEY=VALUE, such as delay=50ms", "%q has no value", w)
			continue
		}
		first, _, _ := strings.Cut(key, ".")
		if keys := impairmentKeys(); !slices.Contains(keys, first) {
			doc.Complain(nil, strict.Suggest(first, "what it does", keys), "%q is nothing that a link does to frames", first)
			continue
		}
		doc.Override(changeFormat(), Override{Path: key, Value: value, From: strict.Origin{File: w}})
	}
	v := doc.Read(changeFormat())
	r := NewChangeReader(doc, readLong)
	r.file = ""
	c := r.Change(v)
	return c, doc.Err()
}

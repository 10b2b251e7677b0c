package link

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"s2clab/topologies"
)

// A fate is what chance has in store for one frame.
type fate struct {
	lost      bool
	duplicate bool
	ahead     bool  // it overtakes
	flip      int   // the bit to turn over; negative: none
	jitter    int64 // nanoseconds, of the frame
	again     int64 // nanoseconds, jitter of its copy
}

// A dice draws fates. That of the n-th frame depends on the seed, on n and on
// the impairment, and on nothing else: neither on time, nor on what was asked of
// earlier frames. Only the state of Gilbert and Elliott's chain reaches from
// frame to frame.
type dice struct {
	seed uint64
	n    uint64 // frames so far
	bad  bool   // the chain's state
}

// newDice gives the dice of a link's end.
func newDice(seed uint64, link, end string) dice {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d\x00%s\x00%s", seed, link, end)
	return dice{seed: h.Sum64()}
}

// draw draws the fate of the next frame, which has so many octets. The order of
// the draws is part of what a seed means: a new one goes to the end.
func (d *dice) draw(i *topologies.Impairment, octets int) fate {
	d.n++
	f := fate{flip: -1}
	if !random(i) {
		return f
	}
	var r rand.PCG
	r.Seed(d.seed, d.n*0x9e3779b97f4a7c15)
	f.lost = d.lose(&i.Loss, &r)
	f.duplicate = unit(&r) < i.Duplicate
	corrupt, bit := unit(&r) < i.Corrupt, unit(&r)
	if corrupt {
		f.flip = int(bit * float64(octets*8))
	}
	f.ahead = unit(&r) < i.Reorder
	f.jitter = jitter(&i.Jitter, &r)
	f.again = jitter(&i.Jitter, &r)
	return f
}

// random says whether an impairment leaves anything to chance.
func random(i *topologies.Impairment) bool {
	return i.Loss != topologies.Loss{} || i.Duplicate > 0 || i.Corrupt > 0 || i.Reorder > 0 || i.Jitter.Spread > 0
}

// lose takes two draws. With Gilbert and Elliott's chain the frame is lost as
// the state says that it finds; then the state may change for the next.
func (d *dice) lose(l *topologies.Loss, r *rand.PCG) bool {
	loss, change := unit(r), unit(r)
	if l.GoodBad == 0 && l.BadGood == 0 && l.LossGood == 0 && l.LossBad == 0 {
		d.bad = false
		return loss < l.Rate
	}
	if d.bad {
		d.bad = change >= l.BadGood
		return loss < l.LossBad
	}
	d.bad = change < l.GoodBad
	return loss < l.LossGood
}

// paretoShape is that of jitter by Pareto: the mean exists, and half the spread.
const paretoShape = 3

// jitter takes two draws.
func jitter(j *topologies.Jitter, r *rand.PCG) int64 {
	a, b := unit(r), unit(r)
	if j.Spread == 0 {
		return 0
	}
	var x float64
	switch j.Distribution {
	case "normal": // Box and Muller
		x = math.Sqrt(-2*math.Log(1-a)) * math.Cos(2*math.Pi*b)
	case "pareto": // from 0 upwards
		x = math.Pow(1-a, -1.0/paretoShape) - 1
	default: // uniform
		x = 2*a - 1
	}
	return int64(x * float64(j.Spread))
}

// unit is a draw from 0 up to 1.
func unit(r *rand.PCG) float64 { return float64(r.Uint64()>>11) / (1 << 53) }

// check says what is wrong with an impairment.
func check(i *topologies.Impairment) error {
	var errs []error
	for _, p := range []struct {
		name  string
		value float64
	}{
		{"loss", i.Loss.Rate}, {"loss good-bad", i.Loss.GoodBad}, {"loss bad-good", i.Loss.BadGood},
		{"loss in the good state", i.Loss.LossGood}, {"loss in the bad state", i.Loss.LossBad},
		{"duplicate", i.Duplicate}, {"corrupt", i.Corrupt}, {"reorder", i.Reorder},
	} {
		if !(p.value >= 0 && p.value <= 1) {
			errs = append(errs, fmt.Errorf("%s %v: want a probability from 0 to 1", p.name, p.value))
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"delay", i.Delay}, {"jitter", i.Jitter.Spread}} {
		if d.value < 0 || d.value > longest {
			errs = append(errs, fmt.Errorf("%s %v: want 0 s to %v", d.name, d.value, longest))
		}
	}
	switch i.Jitter.Distribution {
	case "", "uniform", "normal", "pareto":
	default:
		errs = append(errs, fmt.Errorf("jitter %q: want uniform, normal or pareto", i.Jitter.Distribution))
	}
	if i.Rate < 0 || i.Rate > fastest {
		errs = append(errs, fmt.Errorf("rate %d bit/s: want 0 to %d", i.Rate, int64(fastest)))
	}
	if i.Trace != nil && (len(i.Trace.Times) == 0 || i.Trace.Length() <= 0 || i.Rate <= 0 || !slices.IsSorted(i.Trace.Times)) {
		errs = append(errs, fmt.Errorf("trace %s: want times that do not fall, the last more than 0, and their mean as the rate", i.Trace.File))
	}
	if i.Queue.Bytes < 0 || i.Queue.Packets < 0 {
		errs = append(errs, errors.New("queue: want no less than 0"))
	}
	return errors.Join(errs...)
}

// Bounds of what a link can be asked for.
const (
	longest = time.Hour
	fastest = 1_000_000_000_000 // bit/s
)

// wantsWire says whether an impairment acts on single frames, so that segments
// larger than the MTU would make it lie.
func wantsWire(i *topologies.Impairment) bool {
	return i.Rate > 0 || i.Loss != topologies.Loss{} || i.Duplicate > 0 || i.Corrupt > 0 || i.Reorder > 0
}

package analysis

import (
	"math"
	"slices"
	"time"
)

// A Signal is what a mobile's radio heard of one access.
type Signal struct {
	Node, Link string
	Levels     []Level // in the order of time; each holds until the next
}

// A Level is what is heard from a time on.
type Level struct {
	At    time.Duration
	Level float64 // dBm
	Heard bool    // false: nothing is; Level means nothing
}

// soundSignal is the range of levels that are no nonsense, in dBm either way.
const soundSignal = 1000

// readSignals reads what the mobiles told of their radios.
func (r *reading) readSignals() {
	for _, e := range r.events {
		f := fields(e.Fields)
		node, link := NodeOf(e), f.text("link")
		if e.Name != "signal-changed" || node == "" || link == "" {
			continue
		}
		level, heard := f.number("signal")
		if math.IsNaN(level) || math.Abs(level) > soundSignal {
			continue
		}
		i := slices.IndexFunc(r.Signals, func(s Signal) bool { return s.Node == node && s.Link == link })
		if i < 0 {
			i = len(r.Signals)
			r.Signals = append(r.Signals, Signal{Node: node, Link: link})
		}
		r.Signals[i].Levels = append(r.Signals[i].Levels, Level{e.At, level, heard})
	}
}

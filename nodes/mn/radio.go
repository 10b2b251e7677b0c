package mn

import (
	"math"
	"time"
)

// A radio is what is heard of an access, and what is thought of it.
type radio struct {
	tells bool // its driver has told something
	heard bool
	level float64 // dBm

	// By the policy signal: whether it is good, and when it turns unless the level
	// comes back before; zero: it does not.
	good   bool
	turnAt time.Time

	told   bool // it was heard when that was told last
	toldAt time.Time
	toldIs float64 // dBm
}

// Of each access signals are told so far apart, and that seldom, at most.
const (
	signalStep   = 1.0 // dB
	signalWithin = 100 * time.Millisecond
)

// signalChanged takes what the radio says.
func (m *Machine) signalChanged(now time.Time, a *access, in SignalChanged) {
	r := &a.radio
	r.tells, r.heard, r.level = true, in.Heard, in.Level
	switch {
	case in.Heard && (!r.told || math.Abs(in.Level-r.toldIs) >= signalStep && now.Sub(r.toldAt) >= signalWithin):
		r.told, r.toldAt, r.toldIs = true, now, in.Level
		m.event("signal-changed", map[string]any{"link": a.link, "signal": in.Level})
	case !in.Heard && r.told:
		r.told = false
		m.event("signal-changed", map[string]any{"link": a.link})
	}
	m.listen(now, a)
	m.settle(now)
}

// listen judges an access by what is heard of it, as a UE judges a cell by the
// events of 3GPP TS 36.331: it becomes good with the entering condition of A4
// (clause 5.5.4.5), bad with that of A2 (clause 5.5.4.3), where the condition has
// held for the time to trigger. One without a carrier, or not heard, is bad.
func (m *Machine) listen(now time.Time, a *access) {
	p, r := &m.cfg.Policy, &a.radio
	if p.Kind != "signal" {
		return
	}
	if !a.carrier || !r.heard {
		r.good, r.turnAt = false, time.Time{}
		return
	}
	turns := r.level-p.Hysteresis > p.Threshold
	if r.good {
		turns = r.level+p.Hysteresis < p.Threshold
	}
	switch {
	case !turns:
		r.turnAt = time.Time{}
	case r.turnAt.IsZero() && p.TimeToTrigger > 0:
		r.turnAt = now.Add(p.TimeToTrigger)
	case r.turnAt.IsZero() || due(r.turnAt, now):
		r.good, r.turnAt = !r.good, time.Time{}
	}
}

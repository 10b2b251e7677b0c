package mn

import (
	"cmp"
	"math"
	"slices"
	"time"

	"s2clab/nodes/control"
)

// choose is the policy for several accesses at once: of those that can carry us,
// the one that it says; nil: none can. One whose address is not deprecated goes
// before all others.
//
// RFC 6275, section 11.5.1, would rather stay with a router that still answers,
// and a home link would be preferred while it is there: that is the policy keep,
// and preferred with the home link first. Without another policy the last attached
// goes first, since it is the experimenter who attaches: that is how a mobile
// leaves home before the home link does.
func choose(now time.Time, p *control.Policy, here *access, accesses []*access) *access {
	var able, fresh []*access
	for _, a := range accesses {
		if a.usable() {
			able = append(able, a)
			if !a.deprecated(now) {
				fresh = append(fresh, a)
			}
		}
	}
	if fresh != nil {
		able = fresh
	}
	stays := slices.Contains(able, here)
	switch p.Kind {
	case "keep":
		if stays {
			return here
		}
	case "signal":
		good := slices.DeleteFunc(slices.Clone(able), func(a *access) bool { return !a.good() })
		switch {
		case len(good) > 0:
			able = good
		case stays: // nothing better is in sight
			return here
		}
	}
	return first(able, func(a, b *access) int { return order(p, here, a, b) })
}

// first is the first of all in an order, nil where there is none. Between equals
// the configuration's order decides.
func first(all []*access, order func(a, b *access) int) *access {
	if len(all) == 0 {
		return nil
	}
	return slices.MinFunc(all, order)
}

// good says whether a policy by signal may go there. Where no radio tells of it,
// as of a cable, it is as good as can be.
func (a *access) good() bool { return a.radio.good || !a.radio.tells }

func (a *access) strength() float64 {
	switch r := &a.radio; {
	case r.heard:
		return r.level
	case r.tells:
		return math.Inf(-1)
	}
	return math.Inf(1)
}

// order is negative where a goes before b: the preferred one; by signal, the one we
// have, then the stronger; the one that was attached last.
func order(p *control.Policy, here, a, b *access) int {
	if x, y := rank(p, a), rank(p, b); x != y {
		return x - y
	}
	if p.Kind == "signal" {
		switch {
		case a == here:
			return -1
		case b == here:
			return 1
		case a.strength() != b.strength():
			return cmp.Compare(b.strength(), a.strength())
		}
	}
	return b.since.Compare(a.since)
}

// rank is the place of an access among the preferred ones; those that are not come
// after all.
func rank(p *control.Policy, a *access) int {
	if i := slices.Index(p.Prefer, a.link); i >= 0 {
		return i
	}
	return len(p.Prefer)
}

// chosen tells why the policy goes to an access. That the newest is the newest need
// not be told.
func (m *Machine) chosen(now time.Time, to *access) {
	p, from := &m.cfg.Policy, m.here
	if (p.Kind == "" || p.Kind == "newest") && !m.multi.on() {
		return
	}
	fields := map[string]any{"link": to.link}
	if to.radio.heard {
		fields["signal"] = to.radio.level
	}
	switch {
	case from == nil:
		fields["reason"] = "nothing else carries it"
	case !from.usable():
		fields["reason"] = "the old access is lost"
	case from.deprecated(now):
		fields["reason"] = "the old address is deprecated"
	case p.Kind == "signal" && !from.good():
		fields["reason"] = "the old signal is bad"
	default:
		fields["reason"] = "preferred"
	}
	if from != nil {
		fields["instead-of"] = from.link
	}
	m.event("access-chosen", fields)
}

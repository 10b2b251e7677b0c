package mn

import "time"

// choose is the policy for several accesses at once: of those that can carry
// us, one whose address is not deprecated; else the one that was attached last.
// Between equals the configuration's order decides. nil: none can.
//
// RFC 6275, section 11.5.1, would rather stay with a router that still answers,
// and a home link would be preferred while it is there. Here the last attached
// goes first, since it is the experimenter who attaches: that is how a mobile
// leaves home before the home link does.
func choose(now time.Time, accesses []*access) *access {
	var best *access
	for _, a := range accesses {
		if a.usable() && (best == nil || better(now, a, best)) {
			best = a
		}
	}
	return best
}

func better(now time.Time, a, b *access) bool {
	if x, y := a.deprecated(now), b.deprecated(now); x != y {
		return y
	}
	return a.since.After(b.since)
}

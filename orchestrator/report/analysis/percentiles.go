package analysis

import (
	"slices"
	"time"
)

// Percentiles of lengths of time. Each is one of those that were measured, the
// smallest below or at which the given share of all lies (nearest rank).
type Percentiles struct {
	Min, P50, P95, P99, Max time.Duration
}

// PercentilesOf sorts all and reads its percentiles; none of nothing is zero.
func PercentilesOf(all []time.Duration) Percentiles {
	if len(all) == 0 {
		return Percentiles{}
	}
	slices.Sort(all)
	return Percentiles{all[0], rank(all, 50), rank(all, 95), rank(all, 99), all[len(all)-1]}
}

// rank gives the p-th percentile of sorted values, of which there is at least one.
func rank(sorted []time.Duration, p int) time.Duration {
	return sorted[max((len(sorted)*p+99)/100-1, 0)]
}

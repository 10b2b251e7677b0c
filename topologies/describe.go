package topologies

import (
	"fmt"
	"strings"

	"s2clab/topologies/strict"
)

// Describe says in the words of topology files what an impairment does; nothing
// but carry: "unimpaired".
func Describe(i Impairment) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if i.Delay > 0 {
		add("delay %s", strict.Short(i.Delay))
	}
	if i.Jitter.Spread > 0 {
		add("jitter %s %s", strict.Short(i.Jitter.Spread), i.Jitter.Distribution)
	}
	switch l := i.Loss; {
	case l.Rate > 0:
		add("loss %s", percent(l.Rate))
	case l.GoodBad > 0:
		add("loss in bursts (good-bad %s, bad-good %s)", percent(l.GoodBad), percent(l.BadGood))
	}
	switch {
	case i.Trace != nil:
		add("rate of trace %s, %s on average", i.Trace.File, rate(i.Rate))
	case i.Rate > 0:
		add("rate %s", rate(i.Rate))
	}
	for _, p := range []struct {
		name  string
		share float64
	}{{"duplicate", i.Duplicate}, {"corrupt", i.Corrupt}, {"reorder", i.Reorder}} {
		if p.share > 0 {
			add("%s %s", p.name, percent(p.share))
		}
	}
	if parts == nil {
		return "unimpaired"
	}
	return strings.Join(parts, ", ")
}

func percent(share float64) string { return fmt.Sprintf("%.4g%%", 100*share) }

func rate(bits int64) string {
	for _, unit := range []struct {
		name string
		bits int64
	}{{"Gbit/s", 1e9}, {"Mbit/s", 1e6}, {"kbit/s", 1e3}} {
		if bits >= unit.bits {
			return fmt.Sprintf("%.4g%s", float64(bits)/float64(unit.bits), unit.name)
		}
	}
	return fmt.Sprintf("%dbit/s", bits)
}

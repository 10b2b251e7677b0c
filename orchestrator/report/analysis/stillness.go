package analysis

import "time"

// A Stillness is a time in which nothing arrived in one direction of a flow.
type Stillness struct {
	Flow, From, To string
	Start          time.Duration
	Length         time.Duration // less the flow's regular spacing
	Spacing        time.Duration
}

// LongestApart is the longest Stillness that is no Interruption of a handover, as when a
// node was dead; false: packets never stopped. Connections and requests are left out:
// they are still when their applications are.
func (a *Analysis) LongestApart() (longest Stillness, ok bool) {
	type gap struct {
		flow, from, to string
		start          time.Duration
	}
	known := map[gap]bool{}
	for i := range a.Handovers {
		for _, n := range a.Handovers[i].Interruptions {
			known[gap{n.Flow, n.From, n.To, n.Start}] = true
		}
	}
	for i := range a.Flows {
		d := &a.Flows[i]
		if d.stream || d.Kind == "request" {
			continue
		}
		for k := 1; k < len(d.samples); k++ {
			start := d.samples[k-1].received
			length := d.samples[k].received - start - d.Spacing
			if length > longest.Length && !known[gap{d.Flow, d.From, d.To, start}] {
				longest, ok = Stillness{d.Flow, d.From, d.To, start, length, d.Spacing}, true
			}
		}
	}
	return longest, ok
}

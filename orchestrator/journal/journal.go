// Package journal is the one ordered record of a run. What happens in nodes, on
// links and in the lab itself is written here once, as an Event; screens,
// expectations, reports and comparisons are readings of it.
//
// It knows no event by name: those who write events and those who read them
// agree on names and fields in docs/journal.md.
package journal

import (
	"time"

	"s2clab/nodes/control"
)

// An Event is one thing that happened in a run.
type Event struct {
	At     time.Duration  // since the run started
	Node   string         // where; empty: the lab itself
	Name   string         // a verb in the past, such as binding-accepted; or packet
	Fields map[string]any // strings, float64, bool, []any, map[string]any, as JSON has them
}

// From makes an Event of one that crossed the border from a node, or was made by
// the lab, in a run that started at start: CLOCK_MONOTONIC, nanoseconds.
func From(e control.Event, start int64) Event {
	return Event{At: time.Duration(e.At - start), Node: e.Node, Name: e.Name, Fields: Plain(e.Fields)}
}

// Package control holds what crosses the border between a node process and the
// lab that started it: a Config in, then Commands in and Events out.
//
// It knows how these travel (one JSON value a line on an inherited socket) and
// nothing of what they cause: roles act on them, the journal keeps them.
package control

import "encoding/json"

// An Event is something that happened in a node: a verb in the past, with
// fields, such as binding-accepted {seq, lifetime}.
type Event struct {
	At     int64          `json:"at"`               // CLOCK_MONOTONIC, nanoseconds: one clock for every process of the machine
	Node   string         `json:"node,omitempty"`   // the node it happened in; empty: the lab itself
	Name   string         `json:"event"`            // kebab-case
	Fields map[string]any `json:"fields,omitempty"` // kebab-case names; values JSON can hold
}

// A Command asks a node process to do something while it runs. The node answers
// with a Reply that carries the same ID.
type Command struct {
	ID   uint64          `json:"id"`
	Name string          `json:"command"` // kebab-case, such as start-flow
	Args json.RawMessage `json:"args,omitempty"`
}

// A Reply ends a Command.
type Reply struct {
	ID    uint64          `json:"id"`
	Error string          `json:"error,omitempty"` // empty: it was done
	Value json.RawMessage `json:"value,omitempty"`
}

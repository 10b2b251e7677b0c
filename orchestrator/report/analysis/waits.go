package analysis

import (
	"slices"
	"time"

	"s2clab/orchestrator/journal"
)

// firstAckTimeout is how long a mobile waits for the answer to a Binding Update before
// it sends another, at most; after each it waits twice as long: RFC 6275, sections 11.8
// and 13 (InitialBindackTimeoutFirstReg).
const firstAckTimeout = 1500 * time.Millisecond

// A try is one Binding Update of a move.
type try struct {
	at      time.Duration
	seq     float64
	refused bool
}

// A wait is what the protocol adds to a bound because a message was lost or refused.
type wait struct {
	name             string
	length           time.Duration // 0 where again is set
	again            bool          // a round trip with the home agent
	toMobile, toPeer bool          // in which direction of traffic it counts
}

// waitsOf are the waits of a move, of whose tries the one with seq was accepted.
//
// Of a Binding Update that is lost, both directions know nothing. One whose
// acknowledgement is lost has moved the binding: what goes to the mobile goes to the
// new address. At home the mobile sends through the link, whatever the home agent says.
func (r *reading) waitsOf(m *move, tries []try, accepted float64) (all []wait) {
	for i, t := range tries {
		if t.seq == accepted || i+1 == len(tries) {
			break
		}
		longest := firstAckTimeout << min(i, 16)
		w := wait{length: min(tries[i+1].at-t.at, longest), toMobile: true, toPeer: m.Kind != Return}
		switch {
		case r.challenged(m.Node, t.seq):
			w.name, w.length, w.again = "binding update that was answered with a challenge", 0, true
		case t.refused:
			w.name, w.length, w.again = "binding update that was refused, and its answer", 0, true
		case r.lost("binding-update", m.Node, t.seq):
			w.name = "until a lost binding update is repeated"
		case r.lost("binding-acknowledgement", m.Node, t.seq):
			w.name, w.toMobile = "until a binding update is repeated whose acknowledgement was lost", false
		default:
			continue // it waited, or was repeated, for no reason that is known
		}
		all = append(all, w)
	}
	return all
}

// lost says whether a link dropped a message of the Mobility Header, between a mobile
// and its home agent.
func (r *reading) lost(name, mobile string, seq float64) bool {
	home := ""
	if n := r.net.nodes[mobile]; n != nil && n.MobileNode != nil {
		home = n.MobileNode.HomeAddress.String()
	}
	for i := range r.Messages {
		m := &r.Messages[i]
		f := fields(m.Fields)
		n, ok := f.number("seq")
		if m.Name != name || m.Fate != "dropped" || !ok || n != seq {
			continue
		}
		if about := f.text("home-address"); about == "" || about == home || home == "" || m.From == mobile {
			return true
		}
	}
	return false
}

// challenged says whether a mobile was answered with a challenge of AKA, which the next
// Binding Update answers.
func (r *reading) challenged(mobile string, seq float64) bool {
	return slices.ContainsFunc(r.Messages, func(m Message) bool {
		f := fields(m.Fields)
		n, ok := f.number("seq")
		return m.Name == "binding-acknowledgement" && ok && n == seq && slices.Contains(m.To, mobile) && m.Fate != "dropped" &&
			slices.Contains(f.texts("key-material"), "aka-challenge")
	})
}

// lastSeen notes since when, and at which link, the mobile was last reachable when a
// move begins, after those before.
func (m *move) lastSeen(before []move, events []journal.Event) {
	m.since, m.origin = m.Start, m.From
	if since, why := unbound(events, m.Start); why != "" {
		m.since, m.silent = since, why
		return
	}
	if len(before) == 0 {
		return
	}
	if last := &before[len(before)-1]; last.Outcome != Completed && last.Kind != Attach {
		m.since, m.origin, m.silent = last.since, last.origin, "since the move before, which was not completed"
	}
}

// unbound is since when a mobile has had no binding when a move begins, and why; empty:
// it had one, or was at home.
func unbound(events []journal.Event, before time.Duration) (since time.Duration, why string) {
	for _, e := range events {
		if e.At >= before {
			break
		}
		switch f := fields(e.Fields); e.Name {
		case "binding-revoked":
			if status, _ := f.number("status"); status < 128 {
				since, why = e.At, "since the binding was revoked, until the move"
			}
		case "binding-expired":
			since, why = e.At, "since the binding ended, until the move"
		case "deregistered":
			since, why = e.At, "since the binding was given up, until the move"
		case "bound", "returned-home":
			why = ""
		}
	}
	return since, why
}

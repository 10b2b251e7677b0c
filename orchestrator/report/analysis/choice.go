package analysis

import (
	"s2clab/orchestrator/journal"
)

// choicesOf are the events in which a mobile's policy has decided on an access;
// nil: it has none, or goes to whatever was attached last.
func choicesOf(events []journal.Event) (all []journal.Event) {
	for _, e := range events {
		if e.Name == "access-chosen" {
			all = append(all, e)
		}
	}
	return all
}

// movesByChoice tells the moves of a mobile with a policy apart: not a link that
// comes makes one, but the decision to go there.
func (r *reading) movesByChoice(node string, choices []journal.Event) []move {
	var moves []move
	changes := r.changesOf(node)
	current := ""
	for _, e := range choices {
		m := move{}
		m.Node, m.From, m.To, m.Start, m.Kind = node, current, fields(e.Fields).text("link"), e.At, Soft
		up, lost := lastChange(changes, m.To, e), lastChange(changes, current, e)
		switch {
		case current == "":
			m.Kind = Attach
			if up != nil && up.up {
				m.Start, m.up = up.at, up
			}
		case lost != nil && !lost.up:
			m.Kind, m.Start, m.down = Move, lost.at, lost
			if up != nil && up.up && up.at >= lost.at {
				m.up = up
			}
			if m.From == m.To {
				m.Kind = Again
			}
		default:
			for _, c := range changes { // lost later, it is no part of the move
				if m.down == nil && c.link == current && !c.up && c.at > e.At && c.at < e.At+settling {
					m.down = c
				}
			}
		}
		if l := r.net.links[m.To]; m.Kind != Attach && m.Kind != Again && l != nil && l.Home {
			m.Kind = Return
		}
		moves = append(moves, m)
		current = m.To
	}
	return moves
}

// lastChange is what happened last to a link before an event.
func lastChange(changes []*change, link string, e journal.Event) *change {
	var last *change
	for _, c := range changes {
		if c.link == link && c.at <= e.At {
			last = c
		}
	}
	return last
}

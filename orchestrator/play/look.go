package play

import (
	"errors"
	"fmt"

	"s2clab/orchestrator/lab"
)

// look has a node say what it holds, for the journal: numbers and truths, and how
// many there are of what it lists.
func (p *Player) look(node string) error {
	n := p.scenario.Topology.Node(node)
	command := "state"
	if n.HomeAgent != nil {
		command = "counts"
	}
	var state any
	switch err := p.lab.Ask(node, command, nil, &state); {
	case errors.Is(err, lab.ErrNotRunning):
		return nil
	case err != nil:
		return fmt.Errorf("look: %w", err)
	}
	p.say("state-told", node, held(state))
	return nil
}

// held reads what a node has said of its state.
func held(state any) map[string]any {
	fields := map[string]any{}
	switch state := state.(type) {
	case []any: // of a router: who is on its links
		fields["stations"] = len(state)
	case map[string]any:
		if machine, ok := state["machine"].(map[string]any); ok { // of a home agent
			state = machine
		}
		for _, name := range []string{"bindings", "subscribers", "questions", "sessions", "conversations", "kept", "bound", "waiting"} {
			switch value := state[name].(type) {
			case float64, bool:
				fields[name] = value
			}
		}
	}
	return fields
}

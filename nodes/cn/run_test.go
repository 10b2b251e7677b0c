package cn

import (
	"context"
	"strings"
	"testing"

	"s2clab/nodes/control"
)

type told struct {
	events  []string
	replies []error
}

func (t *told) Event(name string, _ map[string]any) { t.events = append(t.events, name) }
func (t *told) Reply(_ uint64, _ any, err error)    { t.replies = append(t.replies, err) }

func TestACorrespondentIsReadyAndKnowsNoCommands(t *testing.T) {
	var r told
	commands := make(chan control.Command, 1)
	commands <- control.Command{Name: "dance"}
	close(commands)
	if err := run(context.Background(), &r, commands); err != nil {
		t.Error(err)
	}
	if len(r.events) != 1 || r.events[0] != "ready" {
		t.Errorf("told %v, want ready", r.events)
	}
	if len(r.replies) != 1 || !strings.Contains(r.replies[0].Error(), `"dance"`) {
		t.Errorf("replied %v", r.replies)
	}
}

func TestACorrespondentEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := run(ctx, &told{}, nil); err != nil {
		t.Error(err)
	}
}

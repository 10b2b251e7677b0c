package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report/reporttest"
)

// crowd is the story told by so many mobiles at once.
func crowd(mobiles int) Run {
	t := reporttest.Topology()
	ue := t.Nodes[0]
	events := reporttest.Default().Events()
	var all []journal.Event
	for i := range mobiles {
		name := fmt.Sprintf("ue%d", i+1)
		n := ue
		mn := *ue.MobileNode
		mn.NAI = name + "@example"
		n.Name, n.MobileNode = name, &mn
		t.Nodes = append(t.Nodes, n)
		for l := range t.Links {
			if slices.Contains(t.Links[l].Ends, "ue") {
				t.Links[l].Ends = append(t.Links[l].Ends, name)
				t.Links[l].From[name] = t.Links[l].From["ue"]
			}
		}
		rename := func(s string) string {
			switch {
			case s == "ue":
				return name
			case s == "voice":
				return "voice-" + name
			case strings.Contains(s, "nai.example"):
				return mn.NAI
			}
			return s
		}
		for _, e := range events {
			if e.Name == "run-started" && i > 0 {
				continue
			}
			f := map[string]any{}
			for k, v := range e.Fields {
				switch v := v.(type) {
				case string:
					f[k] = rename(v)
				case []any:
					list := slices.Clone(v)
					for j := range list {
						if s, ok := list[j].(string); ok {
							list[j] = rename(s)
						}
					}
					f[k] = list
				default:
					f[k] = v
				}
			}
			e.Node, e.Fields = rename(e.Node), f
			all = append(all, e)
		}
	}
	t.Nodes = slices.Delete(t.Nodes, 0, 1)
	return Run{Scenario: "many-mobiles", Topology: t, Events: all}
}

func TestTwentyMobilesAtOnceAreToldApart(t *testing.T) {
	r := New(crowd(20))
	if len(r.moves()) != 60 || len(r.Flows) != 40 {
		t.Fatalf("%d handovers, %d flows", len(r.moves()), len(r.Flows))
	}
	for _, h := range r.moves() {
		if len(h.Interruptions) != 2 || h.First != (h.To == "wlan") || h.Access.Messages != 4 {
			t.Errorf("%s: %d interruptions, AAA asked %v, %d messages", h.Name(), len(h.Interruptions), h.First, h.Access.Messages)
		}
		if h.First && h.AAA != 2 {
			t.Errorf("%s: %d AAA messages", h.Name(), h.AAA)
		}
	}
	if !strings.HasPrefix(r.Summary()[0], "20 mobile nodes changed their access 60 times") {
		t.Error(r.Summary()[0])
	}
	if page := pageOf(t, r); !bytes.Contains(page, []byte("voice-ue20")) {
		t.Error("the page lacks the last flow")
	}
}

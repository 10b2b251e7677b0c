package analysis

import (
	"os"
	"testing"
	"time"

	"s2clab/orchestrator/journal"
	"s2clab/topologies"
)

// The ways of the shipped topology, in ms: ue to wimax-gw 20, on to pgw 40, to the
// correspondent 5; by way of the home agent ue to cn 20+40+40+5.
func TestTheBoundOfAnOptimisedFlowCountsWhatTheCorrespondentIsTold(t *testing.T) {
	const file = "../../../topologies/near-correspondent.yaml"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	topology, _, err := topologies.Parse(file, data)
	if err != nil {
		t.Fatal(err)
	}
	home := topology.Node("ue").MobileNode.HomeAddress.String()
	peer := topology.Node("cn").Interfaces[0].Addresses[0].Addr().String()
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	event := func(ms int, node, name string, pairs ...string) journal.Event {
		e := journal.Event{At: at(ms), Node: node, Name: name, Fields: map[string]any{}}
		for i := 0; i < len(pairs); i += 2 {
			e.Fields[pairs[i]] = pairs[i+1]
		}
		return e
	}
	down, up := Direction{From: "cn", To: "ue", Kind: "voice"}, Direction{From: "ue", To: "cn", Kind: "voice"}
	optimised := []journal.Event{
		event(4400, "cn", "route-optimized", "home-address", home), event(4410, "ue", "route-optimized", "peer", peer)}
	for _, c := range []struct {
		what     string
		events   []journal.Event
		to       string
		down, up time.Duration // beyond gap, router and registration: 50, 40 and 120 abroad, 50, 30 and 30 at home
	}{
		{"to another access", optimised, "wimax", at(50 + 40 + 120 + 50), at(50 + 40 + 120 + 75 - 5)},
		{"home", optimised, "lte", at(50 + 30 + 30 + 120), at(50 + 30 + 30 + 60 - 5)},
		{"by way of the home agent all the time", nil, "wimax", at(50 + 40 + 120), at(50 + 40 + 120 + 60 - 40)},
		{"after the correspondent was restarted", append(optimised[:2:2], event(6000, "cn", "node-started", "role", "cn")), "wimax", at(50 + 40 + 120), at(50 + 40 + 120 + 75 - 5)},
		{"after an end", append(optimised[:2:2], event(6000, "ue", "route-optimization-ended", "peer", peer)), "wimax", at(50 + 40 + 120 + 50), at(50 + 40 + 120 + 60 - 40)},
	} {
		r := &reading{Analysis: &Analysis{}, events: c.events, net: newMap(topology)}
		m := &move{up: &change{link: c.to, up: true, at: at(8050), lab: at(8050), labKnew: true}, down: &change{link: "wlan", at: at(8000), lab: at(8000), labKnew: true}}
		m.Node, m.From, m.To, m.Start, m.End, m.Kind = "ue", "wlan", c.to, at(8000), at(12000), Move
		m.since, m.origin = m.Start, m.From
		r.bound(m)
		if got := r.boundOf(m, &down); !got.Known || got.Total != c.down {
			t.Errorf("%s: to the mobile %v of %+v, want %v", c.what, got.Total, got.Terms, c.down)
		}
		if got := r.boundOf(m, &up); !got.Known || got.Total != c.up {
			t.Errorf("%s: from the mobile %v of %+v, want %v", c.what, got.Total, got.Terms, c.up)
		}
	}
}

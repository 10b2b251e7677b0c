package analysis

import (
	"testing"
	"time"

	"s2clab/orchestrator/journal"
	"s2clab/topologies"
)

func TestWhatAnAccessCarriedOfAFlowIsAddedUp(t *testing.T) {
	topology, _, err := topologies.Load("two-accesses")
	if err != nil {
		t.Fatal(err)
	}
	started := map[string]any{"flow": "voice", "kind": "voice", "from": "ue", "to": "cn", "remote": "[2001:db8:2::2]:5001"}
	vanished := func(link string, packets, octets, lasted float64) journal.Event {
		return journal.Event{At: 9 * time.Second, Name: "flow-vanished", Fields: map[string]any{"link": link, "protocol": "udp",
			"src": "2001:db8:100::10", "dst": "2001:db8:2::2", "port": 5001.0, "packets": packets, "octets": octets, "lasted": lasted}}
	}
	other := vanished("wlan", 1, 1, 1)
	other.Fields["port"] = 5002.0
	a := Analyze([]journal.Event{
		{At: time.Second, Node: "ue", Name: "flow-started", Fields: started},
		vanished("wlan", 10, 1000, 2), vanished("wimax", 5, 500, 1), vanished("wlan", 20, 3000, 2),
		vanished("sgi", 35, 4500, 5), // no access
		other,                        // of nobody
	}, topology)
	want := []Carry{{"voice", "wlan", 30, 4000, 4 * time.Second}, {"voice", "wimax", 5, 500, time.Second}}
	if len(a.Carries) != 2 || a.Carries[0] != want[0] || a.Carries[1] != want[1] {
		t.Fatalf("carried %+v, want %+v", a.Carries, want)
	}
	if got := a.Carries[0].Throughput(); got != 8000 {
		t.Errorf("throughput %v bit/s, want 8000", got)
	}
	if (&Carry{Octets: 5}).Throughput() != 0 {
		t.Error("a throughput of no time")
	}
}

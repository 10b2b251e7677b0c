package cli

import (
	"strings"
	"testing"
	"time"

	"s2clab/orchestrator/journal"
)

func TestATimelineTellsEventsInTheOrderOfTheirTimes(t *testing.T) {
	var out strings.Builder
	line := &timeline{out: &out, width: 3}
	start := time.Now()
	event := func(at time.Duration, node, name string) journal.Event {
		return journal.Event{At: at, Node: node, Name: name, Fields: map[string]any{"link": "wlan"}}
	}
	line.take(event(20*time.Millisecond, "ue", "returned-home"), start)
	line.take(event(10*time.Millisecond, "ue", "link-attached"), start.Add(30*time.Millisecond)) // its process was slower to tell
	line.settled(start.Add(settle - 1))
	if out.Len() > 0 {
		t.Errorf("told before it settled:\n%s", &out)
	}
	line.settled(start.Add(settle))
	const want = "" +
		"    0.010 s    ue   joins wlan\n" +
		"    0.020 s    ue   is home\n"
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", &out, want)
	}
}

func TestTheEndOfARunWaitsForNothing(t *testing.T) {
	var out strings.Builder
	line := &timeline{out: &out}
	line.take(journal.Event{Name: "step-started", Fields: map[string]any{"what": "stop all"}}, time.Now())
	line.end()
	if want := "    0.000 s  ▸ stop all\n"; out.String() != want {
		t.Errorf("%q, want %q", &out, want)
	}
}

func TestEventsReadAsAPersonWouldSayThem(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields map[string]any
		want   string
	}{
		{"aaa-answered", map[string]any{"peer": "aaa.epc.mnc001.mcc001.3gppnetwork.org", "result": 2001.0, "name": "success"}, "has the answer of aaa: success"},
		{"aaa-answered", map[string]any{"peer": "aaa", "result": 4001.0, "name": "authentication-rejected"}, "has the answer of aaa: authentication-rejected"},
		{"aaa-answered", map[string]any{"peer": "aaa", "result": 1001.0, "name": "multi-round-auth"}, "has the answer of aaa: asks for another round"},
		{"aaa-asked", map[string]any{"nai": "001@nai.epc", "round": 2.0}, "asks about 001, round 2"},
		{"access-authenticated", map[string]any{"link": "wlan", "method": "EAP-AKA'", "fast": false}, "is let onto wlan by EAP-AKA', full authentication"},
		{"access-authenticated", map[string]any{"link": "wlan", "method": "EAP-AKA", "fast": true}, "is let onto wlan by EAP-AKA, fast re-authentication"},
		{"association-made", map[string]any{"nai": "001@nai.epc", "spi": 300.0}, "has a key for 001, SPI 300"},
		{"binding-acknowledged", map[string]any{"seq": 7.0, "status": 0.0}, "has Binding Acknowledgement 7: accepted"},
		{"binding-update-sent", map[string]any{"seq": 7.0, "care-of": "::1", "attempt": 1.0}, "sends Binding Update 7 for ::1"},
		{"binding-update-sent", map[string]any{"seq": 8.0, "care-of": "::1", "auth": "mn-ha", "attempt": 2.0}, "sends Binding Update 8 for ::1, authenticated by mn-ha, attempt 2"},
		{"binding-update-sent", map[string]any{"seq": 9.0, "care-of": "::1", "auth": "return-routability", "attempt": 1.0, "peer": "::2"}, "sends ::2 Binding Update 9 for ::1, authenticated by return-routability"},
		{"route-optimized", map[string]any{"peer": "::2", "care-of": "::1"}, "goes directly to ::2, from ::1"},
		{"route-optimized", map[string]any{"home-address": "::3", "care-of": "::1"}, "goes directly to ::3, at ::1"},
		{"aim-hit", map[string]any{"action": "drop", "message": "binding-update", "link": "wlan"}, "binding-update on wlan is dropped"},
		{"node-died", map[string]any{"exit": "\x1b[2J"}, "died: �[2J"},
	} {
		if got := fill(told[c.name], c.fields); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

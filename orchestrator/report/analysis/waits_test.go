package analysis

import (
	"testing"
	"time"

	"s2clab/orchestrator/journal"
	"s2clab/topologies"
)

func TestASilenceThatTwoMobilesMakeHasTheLongerBound(t *testing.T) {
	bound := func(ms int) Bound { return Bound{Known: true, Total: time.Duration(ms) * time.Millisecond} }
	silence := Interruption{Flow: "voice", From: "ue1", To: "ue2", Start: 1, End: 2}
	first, second, other := silence, silence, silence
	first.Bound, second.Bound, other.Bound = bound(110), bound(95), bound(95)
	other.End = 3
	r := &reading{Analysis: &Analysis{Handovers: []Handover{
		{Node: "ue1", Interruptions: []Interruption{first}}, {Node: "ue2", Interruptions: []Interruption{second, other, silence}}}}}
	r.settleTogether()
	two := r.Handovers[1].Interruptions
	if two[0].Bound.Total != first.Bound.Total || two[1].Bound.Total != other.Bound.Total || two[2].Bound.Known {
		t.Errorf("got %+v", two)
	}
}

// A move from WLAN to WiMAX, whose Binding Updates are sent at 8.1 s and later: what
// the protocol makes its mobile wait for is in the bound, in the direction that waits.
func TestWhatTheProtocolWaitsForIsInTheBound(t *testing.T) {
	file, err := topologies.FindShipped("eps-s2c")
	if err != nil {
		t.Fatal(err)
	}
	topology, _, err := topologies.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	ue := func(ms int, name string, fields map[string]any) journal.Event {
		return journal.Event{At: at(ms), Node: "ue", Name: name, Fields: fields}
	}
	update := func(ms int, seq float64) journal.Event {
		return ue(ms, "binding-update-sent", map[string]any{"seq": seq, "care-of": "2001:db8:300::1"})
	}
	acknowledged := func(ms int, seq float64) journal.Event {
		return ue(ms, "binding-acknowledged", map[string]any{"seq": seq, "status": 0.0})
	}
	refused := func(ms int, seq float64) journal.Event {
		return ue(ms, "binding-refused", map[string]any{"seq": seq, "status": 144.0})
	}
	dropped := func(ms int, message, from string, seq float64) journal.Event {
		return journal.Event{At: at(ms), Node: from, Name: "packet", Fields: map[string]any{
			"message": message, "link": "wimax", "from": from, "fate": "dropped", "seq": seq, "home-address": "2001:db8:100::10", "sent": at(ms).Seconds()}}
	}
	const down, up = 50 + 40 + 60, 50 + 40 + 60 + 32 - 12 // link gap, router, registration; and the first packet's way
	for _, c := range []struct {
		what     string
		events   []journal.Event
		down, up int
	}{
		{"nothing lost", []journal.Event{update(8100, 7), acknowledged(8160, 7)}, down, up},
		{"an update lost", []journal.Event{update(8100, 7), dropped(8100, "binding-update", "ue", 7), update(9100, 8), acknowledged(9160, 8)}, down + 1000, up + 1000},
		{"an acknowledgement lost", []journal.Event{update(8100, 7), dropped(8130, "binding-acknowledgement", "wimax-gw", 7), update(9100, 8), acknowledged(9160, 8)}, down, up + 1000},
		{"that of another mobile", []journal.Event{update(8100, 6), dropped(8130, "binding-acknowledgement", "wimax-gw", 7), update(9100, 8), acknowledged(9160, 8)}, down, up},
		{"the mobile took its time", []journal.Event{update(8100, 7), dropped(8100, "binding-update", "ue", 7), update(11100, 8), acknowledged(11160, 8)}, down + 1500, up + 1500},
		{"two lost", []journal.Event{update(8100, 7), dropped(8100, "binding-update", "ue", 7), update(9100, 8), dropped(9100, "binding-update", "ue", 8), update(11100, 9), acknowledged(11160, 9)},
			down + 3000, up + 3000},
		{"repeated without a reason", []journal.Event{update(8100, 7), update(9100, 8), acknowledged(9160, 8)}, down, up},
		{"refused, and put right", []journal.Event{update(8100, 7), refused(8160, 7), update(8161, 8), acknowledged(8221, 8)}, down + 60, up + 60},
		{"accepted, and one repeated that was lost", []journal.Event{update(8100, 7), update(9100, 8), dropped(9100, "binding-update", "ue", 8), acknowledged(9160, 7)}, down, up},
		{"revoked before", []journal.Event{ue(6000, "binding-revoked", map[string]any{"status": 0.0}), update(8100, 7), acknowledged(8160, 7)}, down + 2000, up + 2000},
		{"revoked, and bound again before", []journal.Event{ue(5000, "binding-revoked", map[string]any{"status": 0.0}), ue(6000, "bound", nil), update(8100, 7), acknowledged(8160, 7)}, down, up},
	} {
		r := &reading{Analysis: &Analysis{Duration: at(13000)}, events: append(append([]journal.Event{
			ue(0, "link-attached", map[string]any{"link": "wlan"}), ue(8000, "link-detached", map[string]any{"link": "wlan"}),
			ue(8050, "link-attached", map[string]any{"link": "wimax"})}, c.events...), ue(13000, "run-ended", nil)), net: newMap(topology), noted: map[string]bool{}}
		r.readMessages()
		var got []Handover
		var m move
		for _, one := range r.movesOf("ue") {
			one.End = at(13000)
			one.lastSeen(nil, c.events)
			r.follow(&one, c.events, false)
			got, m = append(got, one.Handover), one
		}
		if len(got) != 2 || m.Outcome != Completed {
			t.Fatalf("%s: %+v", c.what, got)
		}
		if b := r.boundOf(&m, &Direction{From: "cn", To: "ue"}); b.Total != at(c.down) {
			t.Errorf("%s: to the mobile %v of %+v, want %v", c.what, b.Total, b.Terms, at(c.down))
		}
		if b := r.boundOf(&m, &Direction{From: "ue", To: "cn"}); b.Total != at(c.up) {
			t.Errorf("%s: from the mobile %v of %+v, want %v", c.what, b.Total, b.Terms, at(c.up))
		}
	}
}

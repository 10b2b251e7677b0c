package telling

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAFloodIsToldAsACount(t *testing.T) {
	var e Events
	now := time.Unix(1e9, 0)
	e.Take(now)
	for range PerSecond + 7 {
		e.Tell("flood", nil)
	}
	e.Tell("other", nil)
	if out := e.Take(now); len(out) != PerSecond+1 || out[PerSecond].Name != "other" {
		t.Fatalf("%d events told", len(out))
	}
	e.Tell("flood", nil)
	e.Tell("flood", nil)
	if out := e.Take(now.Add(time.Second - 1)); len(out) != 0 {
		t.Errorf("%v", out)
	}
	if d := e.Deadline(); d != now.Add(time.Second) {
		t.Errorf("due at %v", d)
	}
	e.Tell("flood", nil)
	want := []Event{{"events-suppressed", map[string]any{"event": "flood", "count": 9}}, {"flood", nil}}
	if diff := cmp.Diff(want, e.Take(now.Add(time.Second))); diff != "" {
		t.Errorf("(-want +told):\n%s", diff)
	}
	if d := e.Deadline(); !d.IsZero() {
		t.Errorf("due at %v", d)
	}
}

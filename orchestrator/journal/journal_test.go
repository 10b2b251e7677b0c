package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/control"
)

func create(t *testing.T, start int64) (*Writer, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	w, err := Create(path, start)
	if err != nil {
		t.Fatal(err)
	}
	return w, path
}

func TestWhoWatchesAndWhoReadsSeeTheSame(t *testing.T) {
	const start = 1_000_000_000_000
	w, path := create(t, start)
	var live []Event
	for i, fields := range []map[string]any{
		{"seq": uint16(7), "flags": []string{"A", "H"}, "lifetime": 60 * time.Second, "care-of": netip.MustParseAddr("2001:db8::1")},
		{"samples": [][]int64{{1, 2, 3}, {4, 5, 6}}, "new": true, "nothing": nil},
		{"error": errors.New("so it is"), "prefix": netip.MustParsePrefix("2001:db8::/64"), "odd": math.NaN(), "counts": map[string]any{"loss": uint64(3)}},
		nil,
	} {
		live = append(live, w.Write(control.Event{At: start + int64(i)*1_000_000_007, Node: "ue", Name: "told", Fields: fields}))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	read, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(live, read); d != "" {
		t.Errorf("live and read differ:\n%s", d)
	}
	if got := live[0].Fields["lifetime"]; got != 60.0 {
		t.Errorf("a lifetime became %v, want 60", got)
	}
	if at := read[3].At; at != 3_000_000_021 {
		t.Errorf("a time became %d ns", at)
	}
}

func TestEventsStandInTheOrderOfTheirTimes(t *testing.T) {
	w, path := create(t, control.Now())
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range 200 {
				w.Write(control.Event{At: w.start + int64(200-i)*int64(time.Millisecond) + int64(n), Name: "told"})
			}
		})
	}
	all.Wait()
	w.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n != 800 {
		t.Fatalf("%d lines, want 800", n)
	}
	last := -1.0
	for line := range strings.Lines(string(text)) {
		var at float64
		if _, err := fmt.Sscanf(line, `{"t":%g`, &at); err != nil || at < last {
			t.Fatalf("%q stands after %v: %v", line, last, err)
		}
		last = at
	}
}

func TestAFullDiskEndsTheFileAndNotTheRun(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skipf("no /dev/full here: %v", err)
	}
	w, err := Create("/dev/full", 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if e := w.Write(control.Event{At: 5, Name: "told"}); e.Name != "told" {
			t.Errorf("the event was lost to those who watch: %+v", e)
		}
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("closing gave %v", err)
	}
}

func TestAJournalThatWasCutOffIsReadAsFarAsItGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	os.WriteFile(path, []byte("{\"t\":0.5,\"event\":\"a\"}\n{\"t\":1,\"event\":\"b\"}\n{\"t\":1.5,\"eve"), 0o644)
	events, err := Read(path)
	if err != nil || len(events) != 2 {
		t.Errorf("got %v, %v", events, err)
	}
}

func TestALineThatIsNoEventIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	for _, bad := range []string{"hello", `{"t":"x","event":"a"}`, `{"t":1}`, `[]`, `{"t":1e300,"event":"a"}`} {
		os.WriteFile(path, []byte("{\"t\":0.5,\"event\":\"a\"}\n"+bad+"\n"), 0o644)
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "journal.jsonl:2:") {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("{\"t\":0.5,\"event\":\"a\",\"fields\":{\"x\":[1,\"b\",null]}}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "journal.jsonl")
		os.WriteFile(path, text, 0o644)
		events, err := Read(path)
		for _, e := range events {
			b, err := e.MarshalJSON()
			var again Event
			if err != nil || again.UnmarshalJSON(b) != nil {
				t.Fatalf("%+v was read and cannot be written: %v", e, err)
			}
		}
		if err == nil && bytes.Count(text, []byte("\n")) != len(events) {
			t.Fatalf("%d lines, %d events", bytes.Count(text, []byte("\n")), len(events))
		}
	})
}

package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report/reporttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample is the report of the default story, in which one expectation failed.
func sample() *Report {
	return New(Run{
		ID: "20261123-194000-lte-wlan-wimax", Scenario: "lte-wlan-wimax",
		Description: "A UE streams voice both ways with a correspondent. LTE goes away and it attaches to WLAN, where its first Binding Update is authorised by the AAA server; on WiMAX its key is known already; at home it takes its binding back.",
		Seed:        7, Started: time.Date(2026, 11, 23, 19, 40, 0, 0, time.UTC), Program: "s2clab 0.1",
		Topology: reporttest.Topology(), Events: reporttest.Judged(reporttest.Default().Events()),
	})
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", name, d)
	}
}

func TestTheResultIsAsItIsDocumented(t *testing.T) {
	var b bytes.Buffer
	if err := sample().JSON(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "result.json", b.Bytes())
	var back Result
	dec := json.NewDecoder(&b)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample().Result(), &back); d != "" {
		t.Errorf("what was written reads back as something else:\n%s", d)
	}
}

func TestTheTerminalShowsATable(t *testing.T) {
	golden(t, "text.txt", []byte(sample().Text(false)))
	if strings.Contains(sample().Text(false), "\x1b") {
		t.Error("plain text has colours")
	}
	if !strings.Contains(sample().Text(true), "\x1b[31m") {
		t.Error("what failed is not red on a terminal")
	}
}

func TestTextOfPacketsCannotCommandTheTerminal(t *testing.T) {
	r := sample()
	r.Expectations[0].Found = "\x1b]0;evil\x07 \x9b31m"
	r.Handovers[0].Node = "\x1b[2J"
	r.Notes = append(r.Notes, "a\x1bb")
	if text := r.Text(false); strings.ContainsAny(text, "\x1b\x07\u009b") {
		t.Errorf("%q", text)
	}
}

func TestJUnitHasACaseForEachExpectationAndOneForTheRun(t *testing.T) {
	r := sample()
	r.Expectations[1].What = "control \x00 characters \x1b <&>"
	var b bytes.Buffer
	if err := r.JUnit(&b); err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s", err, b.Bytes())
	}
	s := got.Suites[0]
	if s.Tests != 4 || s.Failures != 1 || s.Errors != 0 || len(s.Cases) != 4 || s.Cases[3].Failure == nil || s.Cases[3].Failure.Message != "121.9 ms" {
		t.Errorf("got %+v", s)
	}
	cut := New(Run{Events: r.Events[:50], Topology: r.Topology})
	b.Reset()
	if err := cut.JUnit(&b); err != nil {
		t.Fatal(err)
	}
	got = junitSuites{}
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil || got.Errors != 1 || got.Suites[0].Cases[0].Error == nil {
		t.Errorf("a run that was cut off is no error: %v\n%s", err, b.Bytes())
	}
}

func TestTheVerdictIsTheWorstOfWhatIsKnown(t *testing.T) {
	ended := func(verdict string, held ...bool) *Report {
		var events []journal.Event
		for _, h := range held {
			events = append(events, journal.Event{Name: "expectation-judged", Fields: map[string]any{"held": h}})
		}
		if verdict != "none" {
			events = append(events, journal.Event{Name: "run-ended", Fields: map[string]any{"verdict": verdict}})
		}
		return New(Run{Events: events})
	}
	for _, c := range []struct {
		r    *Report
		want Verdict
	}{
		{ended("held", true, true), Held},
		{ended("held"), Held},
		{ended("held", true, false), NotHeld},
		{ended("not-held", true), NotHeld},
		{ended("failed", true), Failed},
		{ended("none", true), Failed},
		{ended("", true), Held},
		{ended(""), Unknown},
	} {
		if got := c.r.Outcome(); got != c.want {
			t.Errorf("%q with %d expectations: %s, want %s", c.r.Verdict, len(c.r.Expectations), got, c.want)
		}
	}
}

func TestAFileIsThereWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	if err := sample().WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if d := cmp.Diff([]string{"junit.xml", "report.html", "result.json"}, names); d != "" {
		t.Errorf("files:\n%s", d)
	}
	full := os.ErrClosed
	before, _ := os.ReadFile(filepath.Join(dir, "result.json"))
	if err := writeFile(filepath.Join(dir, "result.json"), func(w io.Writer) error { io.WriteString(w, "half"); return full }); err != full {
		t.Errorf("got %v", err)
	}
	after, _ := os.ReadFile(filepath.Join(dir, "result.json"))
	if entries, _ := os.ReadDir(dir); !bytes.Equal(before, after) || len(entries) != 3 {
		t.Errorf("a failed write left something: %v", entries)
	}
}

// TestWriteSample writes the page of the story where S2CLAB_SAMPLE says, to look
// at it.
func TestWriteSample(t *testing.T) {
	out := os.Getenv("S2CLAB_SAMPLE")
	if out == "" {
		t.Skip("S2CLAB_SAMPLE names no file")
	}
	r := sample()
	r.Picture = r.Topology.SVG()
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := r.HTML(f); err != nil {
		t.Fatal(err)
	}
}

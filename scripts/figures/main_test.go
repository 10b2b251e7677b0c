package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestAFigureIsJudgedByItsRatioOrByOurs(t *testing.T) {
	metrics, skipped := results([]byte(`goos: linux
BenchmarkBringUpLine50
BenchmarkBringUpLine50-2    	       1	         1.5 ours-s	         3 ratio	         0.5 reference-s
BenchmarkMemoryPerNode
BenchmarkMemoryPerNode-5   	       1	         7 ours-MiB	         7 ratio	         1 reference-MiB
BenchmarkBringUpMininet
    figures_test.go:160: Mininet is not installed
--- SKIP: BenchmarkBringUpMininet
PASS
`))
	want := map[string]string{
		"bring-up of a line of 50":          "met",
		"memory of an idle node":            "not met",
		"bring-up of a line of 50, Mininet": "not measured: Mininet is not installed",
	}
	for _, f := range table() {
		words, there := want[f.Name]
		if !there {
			continue
		}
		l := f.line(metrics[f.Benchmark], skipped[f.Benchmark])
		var b strings.Builder
		if l.print(&b); !strings.HasSuffix(b.String(), " "+words+"\n") {
			t.Errorf("%q, want %s", b.String(), words)
		}
		delete(want, f.Name)
	}
	if len(want) > 0 {
		t.Errorf("no figure named %v", want)
	}
}

func TestWhatCrossedTheWireIsToldUnderItsFigure(t *testing.T) {
	metrics, _ := results([]byte("BenchmarkAttach/gba-2  1  12.00 access-messages  3309 access-octets  7.000 access-round-trips  0 aaa-messages  0 aaa-octets  0 aaa-round-trips  318.0 ours-ms  2 ratio  159 reference-ms\n"))
	for _, f := range table() {
		if f.Benchmark != "Attach/gba" {
			continue
		}
		var b strings.Builder
		l := f.line(metrics[f.Benchmark], "")
		l.print(&b)
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		if len(lines) != 2 || strings.Join(strings.Fields(lines[1]), " ") != "access 12 messages 3309 octets 7 round trips" {
			t.Errorf("%q", lines)
		}
		return
	}
	t.Error("there is no such figure")
}

func TestEveryFigureHasItsBenchmark(t *testing.T) {
	for _, f := range table() {
		name, _, _ := strings.Cut(f.Benchmark, "/")
		declared := regexp.MustCompile(`(?m)^func Benchmark` + name + `\(b \*testing\.B\) \{$`)
		files, err := os.ReadDir("../../" + f.Room)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range files {
			text, _ := os.ReadFile("../../" + f.Room + "/" + file.Name())
			found = found || declared.Match(text)
		}
		if !found {
			t.Errorf("%s: no Benchmark%s in %s", f.Name, name, f.Room)
		}
	}
}

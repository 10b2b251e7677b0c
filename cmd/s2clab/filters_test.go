package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"s2clab/nodes/netns/netnstest"
)

// A look is a row of a scenario's page: a display filter, and how many packets of
// the scenario's capture it selects.
type look struct {
	filter string
	least  int
	exact  bool // else it may be more
}

var aLook = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (none|\\d+|\\d+ or more) \\| .+ \\|$")

// looks reads the rows of a scenario's page.
func looks(t *testing.T, scenario string) (all []look) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(repo, "scenarios", scenario, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range aLook.FindAllStringSubmatch(string(page), -1) {
		l := look{filter: m[1], exact: true}
		if number, more := strings.CutSuffix(m[2], " or more"); number != "none" {
			l.least, _ = strconv.Atoi(number)
			l.exact = !more
		}
		all = append(all, l)
	}
	if len(all) == 0 {
		t.Errorf("the page of %s has no display filter: want rows of filter, packets and what they are, under \"In the capture\"", scenario)
	}
	return all
}

// selected counts the packets of a capture that each filter selects.
func selected(t *testing.T, file string, filters []string) []int {
	t.Helper()
	for _, f := range filters {
		if strings.Contains(f, ",") {
			t.Fatalf("%q: tshark would take the comma for the end of the filter: write it with \"or\"", f)
		}
	}
	args := append(slices.Clone(reading), "-q", "-r", file, "-z", "io,stat,0,"+strings.Join(filters, ","))
	out, err := exec.Command("tshark", args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		netnstest.Lacking(t, "tshark", err)
	}
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, out)
	}
	var counts []int
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "<>") {
			continue
		}
		cells := strings.Split(strings.TrimSpace(line), "|")
		for i := 2; len(counts) < len(filters) && i < len(cells); i += 2 { // frames and octets of each filter; padding may follow
			n, err := strconv.Atoi(strings.TrimSpace(cells[i]))
			if err != nil {
				t.Fatalf("tshark counted %q in %q", cells[i], line)
			}
			counts = append(counts, n)
		}
	}
	if len(counts) != len(filters) {
		t.Fatalf("tshark counted for %d of %d filters:\n%s", len(counts), len(filters), out)
	}
	return counts
}

// looksAsItsPageSays holds a run to the filters of its scenario's page. What tshark
// calls malformed must not be there, but for what a page has a row of.
func (r played) looksAsItsPageSays(t *testing.T, scenario string) {
	t.Helper()
	all := looks(t, scenario)
	broken := false
	var filters []string
	for _, l := range all {
		filters = append(filters, l.filter)
		broken = broken || strings.Contains(l.filter, "_ws.malformed")
	}
	if !broken {
		all = append(all, look{filter: "_ws.malformed", exact: true})
		filters = append(filters, "_ws.malformed")
	}
	for i, n := range selected(t, filepath.Join(r.dir, "capture.pcapng"), filters) {
		if l := all[i]; n < l.least || l.exact && n > l.least {
			t.Errorf("%s selects %d packets, want %d", l.filter, n, l.least)
		}
	}
}

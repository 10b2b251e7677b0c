package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"s2clab/scenarios"
)

var (
	aTest  = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	proofs = regexp.MustCompile("`([a-z0-9-]+(?:\\.Test\\w+)?)`")
)

// everyTest is what the tests of all packages are called: the folder's name, a
// point, the function's.
func everyTest(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		b, err := os.ReadFile(file)
		for _, m := range aTest.FindAllStringSubmatch(string(b), -1) {
			all = append(all, path.Base(filepath.ToSlash(filepath.Dir(file)))+"."+m[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// docs/conformance.md names, for each rule, what proves it, or says why nothing does.
func TestEachRuleOfTheConformancePageIsProvenOrSaysWhyNot(t *testing.T) {
	page, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, rows := everyTest(t), 0
	for i, line := range strings.Split(string(page), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 2 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| section ") {
			continue
		}
		if len(cells) != 6 {
			t.Errorf("line %d has %d cells, want 4: section, who, rule, proof", i+1, len(cells)-2)
			continue
		}
		rows++
		section, who, proof := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2]), strings.TrimSpace(cells[4])
		if !regexp.MustCompile(`^\d+(\.\d+)*(, \d+(\.\d+)*)*$`).MatchString(section) || !slices.Contains([]string{"HA", "MN", "HA, MN", "MN, HA", "CN", "AAA", "AAA, MN", "AAA, HA", "BSF", "BSF, MN", "AR"}, who) {
			t.Errorf("line %d: section %q of %q, want a number of MN, HA, CN, AAA or AR", i+1, section, who)
		}
		excuse := regexp.MustCompile(`^(Not here|Differs): \S.*\.`).MatchString(proof)
		named := proofs.FindAllStringSubmatch(proof, -1)
		if !excuse && len(named) == 0 {
			t.Errorf("line %d: %q is neither proven nor excused: want names of tests or scenarios, or a reason that begins with \"Not here:\" or \"Differs:\"", i+1, strings.TrimSpace(cells[3]))
		}
		for _, m := range named {
			if !slices.Contains(tests, m[1]) && !slices.Contains(scenarios.Shipped(), m[1]) {
				t.Errorf("line %d: %q is no test and no scenario", i+1, m[1])
			}
		}
	}
	if rows < 100 {
		t.Errorf("%d rows, want the rules of three RFCs", rows)
	}
}

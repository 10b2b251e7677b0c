// Package wiretest gives the tests of wire formats their golden octets. It
// knows no format: what the octets mean is in the test that reads them.
package wiretest

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A Sample is one message out of a golden file.
type Sample struct {
	Name   string // what it is: unique in its folder
	Origin string // where its octets come from
	Octets []byte
}

// Golden reads the samples of all files testdata/*.hex. It fails the test where
// there are none, or where one does not name its origin. A sample is a run of
// lines up to an empty one:
//
//	# Name: origin, and as many more
//	# lines as it needs
//	3b 01 05 00 0000    # octets in hexadecimal, spaced to read well
func Golden(tb testing.TB) []Sample {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.hex")
	if err != nil {
		tb.Fatal(err)
	}
	var all []Sample
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
			s := parse(tb, file, block)
			if seen[s.Name] {
				tb.Fatalf("%s: a second %q", file, s.Name)
			}
			seen[s.Name] = true
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		tb.Fatal("no golden octets in testdata/*.hex")
	}
	return all
}

func parse(tb testing.TB, file, block string) Sample {
	tb.Helper()
	var title, digits []string
	for line := range strings.SplitSeq(block, "\n") {
		octets, comment, _ := strings.Cut(line, "#")
		octets = strings.Join(strings.Fields(octets), "")
		if octets == "" && len(digits) == 0 {
			title = append(title, strings.TrimSpace(comment))
		}
		if octets != "" {
			digits = append(digits, octets)
		}
	}
	name, origin, ok := strings.Cut(strings.Join(title, " "), ": ")
	if !ok {
		tb.Fatalf("%s: %q does not name its origin", file, name)
	}
	octets, err := hex.DecodeString(strings.Join(digits, ""))
	if err != nil || len(octets) == 0 {
		tb.Fatalf("%s: %q: %d octets, %v", file, name, len(octets), err)
	}
	return Sample{Name: name, Origin: origin, Octets: octets}
}

// Seed adds the golden octets to the corpus of a fuzz test.
func Seed(f *testing.F) {
	f.Helper()
	for _, s := range Golden(f) {
		f.Add(s.Octets)
	}
}

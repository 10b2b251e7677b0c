// Package strict reads YAML files that people write by hand: strictly, against
// a table of the keys and values that may stand in them, telling all that is
// wrong at once. The same table makes the JSON Schema that editors complete
// from, so that the two cannot differ.
//
// It knows no key by name and decides no default: what a file means is told by
// the package of its format, which is topologies or scenarios.
package strict

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInvalid is what every Problem unwraps to.
var ErrInvalid = errors.New("invalid file")

// A Problem is one thing wrong with a user's file. It unwraps to ErrInvalid.
type Problem struct {
	File string
	Line int    // from 1; 0: the file as a whole
	What string // what was found, and why it cannot stand
	Hint string // what to do; may be empty

	column int // for the order
}

func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	b.WriteString(p.What)
	if p.Hint != "" {
		b.WriteString("\n    hint: ")
		b.WriteString(p.Hint)
	}
	return b.String()
}

func (p Problem) Unwrap() error { return ErrInvalid }

// Problems is all that is wrong with a file, in the file's order; never empty.
type Problems []Problem

// shownProblems is how many Problems are told; a file that has more is not
// what its name says, and the rest would only hide the first.
const shownProblems = 50

func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i == shownProblems {
			fmt.Fprintf(&b, "\n%s: and %d more", ps[0].File, len(ps)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Error())
	}
	return b.String()
}

func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// ordered returns the problems file by file, in the order in which files are
// named first, and line by line, each once.
func ordered(main string, problems []Problem) Problems {
	rank := map[string]int{main: 0}
	for _, p := range problems {
		if _, ok := rank[p.File]; !ok {
			rank[p.File] = len(rank)
		}
	}
	out := slices.Clone(problems)
	slices.SortStableFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(rank[a.File], rank[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.column, b.column))
	})
	return slices.CompactFunc(out, func(a, b Problem) bool {
		return a.File == b.File && a.Line == b.Line && a.What == b.What
	})
}

// As finds the Problems in an error that a reader of files has returned.
func As(err error) (Problems, bool) {
	var ps Problems
	if errors.As(err, &ps) {
		return ps, true
	}
	return nil, false
}

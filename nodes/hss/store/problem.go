package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInvalid is what every Problem unwraps to.
var ErrInvalid = errors.New("invalid file")

// A Problem is one thing wrong with a file of subscribers. It tells no key.
type Problem struct {
	File string
	Line int    // from 1; 0: the file as a whole
	What string // what was found, and why it cannot stand
	Hint string // what to do; may be empty

	column int // for the order
}

func (p Problem) Error() string {
	text := p.File
	if p.Line > 0 {
		text += fmt.Sprintf(":%d", p.Line)
	}
	text += ": " + p.What
	if p.Hint != "" {
		text += "\n    hint: " + p.Hint
	}
	return text
}

func (p Problem) Unwrap() error { return ErrInvalid }

// Problems is all that is wrong with a file, in the file's order; never empty.
type Problems []Problem

// shownProblems is how many are told: a file that has more is another than was
// meant.
const shownProblems = 50

func (ps Problems) Error() string {
	lines := make([]string, 0, min(len(ps), shownProblems)+1)
	for i, p := range ps {
		if i == shownProblems {
			lines = append(lines, fmt.Sprintf("%s: and %d more", p.File, len(ps)-i))
			break
		}
		lines = append(lines, p.Error())
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.column, b.column)) })
	return ps
}

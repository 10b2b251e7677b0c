package strict

import (
	"bytes"
	"fmt"
)

// A Sheet is a text file that has a value or a row on each line: no YAML, and
// read as strictly. It gathers the Problems found on the way.
type Sheet struct {
	File string

	rest     []byte
	line     int
	problems []Problem
	more     int // problems beyond those that are kept
}

// keptProblems is how many are kept: a file that has more is another than was
// meant, and may be long.
const keptProblems = 1000

// OpenSheet begins to read a file of so many octets at most. What it should be
// is said in messages: a trace of a drive. Where it is no text at all, the Sheet
// has a Problem and no lines.
func OpenSheet(file string, data []byte, what string, most int) *Sheet {
	s := &Sheet{File: file, rest: bytes.TrimPrefix(data, []byte("\ufeff"))}
	if p, ok := unreadable(file, data, what, most); ok {
		s.problems, s.rest = append(s.problems, p), nil
	}
	return s
}

// Next returns the next line that holds something, without the spaces around it
// and without those that begin with "#"; false: there is none.
func (s *Sheet) Next() (string, bool) {
	for len(s.rest) > 0 {
		line, rest, _ := bytes.Cut(s.rest, []byte{'\n'})
		s.rest = rest
		s.line++
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return string(line), true
		}
	}
	return "", false
}

// Line is the number of the line that Next returned last, from 1.
func (s *Sheet) Line() int { return s.line }

// Complain adds a Problem with the line that Next returned last.
func (s *Sheet) Complain(hint, format string, args ...any) { s.complain(s.line, hint, format, args...) }

// ComplainOfAll adds a Problem with the file as a whole.
func (s *Sheet) ComplainOfAll(hint, format string, args ...any) { s.complain(0, hint, format, args...) }

func (s *Sheet) complain(line int, hint, format string, args ...any) {
	if len(s.problems) == keptProblems {
		s.more++
		return
	}
	s.problems = append(s.problems, Problem{File: s.File, Line: line, What: fmt.Sprintf(format, args...), Hint: hint})
}

// Failed says whether anything is wrong so far.
func (s *Sheet) Failed() bool { return len(s.problems) > 0 }

// Err returns all that is wrong as Problems in order, or nil.
func (s *Sheet) Err() error {
	if len(s.problems) == 0 {
		return nil
	}
	all := s.problems
	if s.more > 0 {
		all = append(all, Problem{File: s.File, Line: s.line, What: fmt.Sprintf("and %d more", s.more)})
	}
	return ordered(s.File, all)
}

// Quote returns text between quotes, cut where it is long.
func Quote(text string) string { return quote(text) }

package ub

import (
	"errors"
	"fmt"
	"strings"
)

// errDirectives says that a header field of HTTP Digest cannot be read.
var errDirectives = errors.New("no directives of HTTP Digest")

// Bounds of a header field.
const (
	mostField      = 4096 // octets
	mostDirectives = 32
)

// A directive is a name, in lower case, with its value, which is without quotes:
// RFC 2617, section 1.2.
type directive struct{ name, value string }

type directives []directive

// get is the value of a directive; empty where there is none.
func (ds directives) get(name string) string {
	v, _ := ds.find(name)
	return v
}

func (ds directives) find(name string) (string, bool) {
	for _, d := range ds {
		if d.name == name {
			return d.value, true
		}
	}
	return "", false
}

// A challenge is a scheme of authentication, in lower case, with its directives. So
// are credentials.
type challenge struct {
	scheme string
	directives
}

// parseChallenges reads the value of WWW-Authenticate, or of Authorization: RFC
// 9110, section 11. Several challenges may stand in one field. A directive that comes
// twice in one of them is an error, as is anything that does not look like one. Every
// error wraps errDirectives.
func parseChallenges(field string) ([]challenge, error) {
	var all []challenge
	s, err := newScanner(field)
	if err != nil {
		return nil, err
	}
	for s.next() {
		word := s.token()
		switch {
		case word == "":
			return nil, s.bad("want a name")
		case s.equals():
			if len(all) == 0 {
				return nil, s.bad("a directive before any scheme")
			}
			last := &all[len(all)-1]
			if last.directives, err = s.directive(last.directives, word); err != nil {
				return nil, err
			}
		case !s.apart():
			return nil, s.bad("want a space after a scheme")
		default:
			all = append(all, challenge{scheme: strings.ToLower(word)})
			s.followed = true // by its first directive, without a comma
		}
	}
	return all, s.err
}

// parseCredentials reads the value of Authorization: one challenge. Every error
// wraps errDirectives.
func parseCredentials(field string) (challenge, error) {
	all, err := parseChallenges(field)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("%w: %d schemes, want 1", errDirectives, len(all))
	}
	if err != nil {
		return challenge{}, err
	}
	return all[0], nil
}

// parseInfo reads the value of Authentication-Info: RFC 2617, section 3.2.3. Every
// error wraps errDirectives.
func parseInfo(field string) (ds directives, err error) {
	s, err := newScanner(field)
	if err != nil {
		return nil, err
	}
	for s.next() {
		word := s.token()
		if word == "" || !s.equals() {
			return nil, s.bad("want a name and =")
		}
		if ds, err = s.directive(ds, word); err != nil {
			return nil, err
		}
	}
	return ds, s.err
}

// A scanner reads lists of directives.
type scanner struct {
	rest     string
	begun    bool
	followed bool // the next needs no comma before it
	err      error
}

func newScanner(field string) (*scanner, error) {
	if len(field) > mostField {
		return nil, fmt.Errorf("%w: %d octets, want %d or fewer", errDirectives, len(field), mostField)
	}
	return &scanner{rest: field}, nil
}

// bad says what is wrong, and nothing of what stands there: it may be secret.
func (s *scanner) bad(what string) error { return fmt.Errorf("%w: %s", errDirectives, what) }

func (s *scanner) space() { s.rest = strings.TrimLeft(s.rest, " \t") }

// next goes to the next element of a list, which may have empty ones (RFC 9110,
// section 5.6.1), and says whether there is one.
func (s *scanner) next() bool {
	s.space()
	commas := 0
	for strings.HasPrefix(s.rest, ",") {
		commas++
		s.rest = s.rest[1:]
		s.space()
	}
	if s.rest == "" {
		return false
	}
	if s.begun && !s.followed && commas == 0 {
		s.err = s.bad("want a comma")
		return false
	}
	s.begun, s.followed = true, false
	return true
}

// token reads one: RFC 9110, section 5.6.2; empty where none stands there.
func (s *scanner) token() string {
	n := 0
	for n < len(s.rest) && isTokenOctet(s.rest[n]) {
		n++
	}
	word := s.rest[:n]
	s.rest = s.rest[n:]
	return word
}

func isTokenOctet(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// equals reads a =, with spaces around it, if one stands there.
func (s *scanner) equals() bool {
	after := strings.TrimLeft(s.rest, " \t")
	if !strings.HasPrefix(after, "=") {
		return false
	}
	s.rest = after[1:]
	s.space()
	return true
}

// apart says whether a word ends here.
func (s *scanner) apart() bool { return s.rest == "" || strings.IndexByte(" \t,", s.rest[0]) >= 0 }

// directive reads a value, which is a token or in quotes, and appends it.
func (s *scanner) directive(ds directives, name string) (directives, error) {
	name = strings.ToLower(name)
	if _, twice := ds.find(name); twice {
		return nil, s.bad("a directive that comes twice")
	}
	if len(ds) == mostDirectives {
		return nil, s.bad("too many")
	}
	var value string
	if strings.HasPrefix(s.rest, `"`) {
		var ok bool
		if value, ok = s.quoted(); !ok {
			return nil, s.bad("quotes that are not closed, or control characters in them")
		}
	} else if value = s.token(); value == "" {
		return nil, s.bad("want a value")
	}
	if !s.apart() {
		return nil, s.bad("want a comma after a value")
	}
	return append(ds, directive{name, value}), nil
}

// quoted reads a quoted-string: RFC 9110, section 5.6.4.
func (s *scanner) quoted() (string, bool) {
	var b strings.Builder
	for i := 1; i < len(s.rest); i++ {
		c := s.rest[i]
		switch {
		case c == '"':
			s.rest = s.rest[i+1:]
			return b.String(), true
		case c == '\\' && i+1 < len(s.rest):
			i++
			c = s.rest[i]
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			return "", false
		}
		b.WriteByte(c)
	}
	return "", false
}

// plain says whether a value stands in quotes as it is. Digests are of values as
// they stand there, so that one with an escape could be read in two ways: there is none.
func plain(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c == 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// writer makes the value of a header field.
type writer struct{ b strings.Builder }

func (w *writer) scheme(name string) { w.b.WriteString(name) }

func (w *writer) name(name string) {
	switch {
	case w.b.Len() == 0:
	case !strings.Contains(w.b.String(), "="):
		w.b.WriteByte(' ') // after the scheme
	default:
		w.b.WriteString(", ")
	}
	w.b.WriteString(name + "=")
}

// quoted writes a directive whose value is plain.
func (w *writer) quoted(name, value string) {
	w.name(name)
	w.b.WriteString(`"` + value + `"`)
}

// bare writes a directive whose value is a token.
func (w *writer) bare(name, value string) {
	w.name(name)
	w.b.WriteString(value)
}

func (w *writer) String() string { return w.b.String() }

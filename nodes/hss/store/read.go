package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// MostOctets is the length of the longest file that Parse reads.
const MostOctets = 64 << 20

// A reader walks a YAML file and gathers what is wrong with it. What it returns
// where something is wrong is of no use but to go on looking.
type reader struct {
	file     string
	problems Problems
}

// root parses data, which must be one document with keys; nil where it is not.
func (r *reader) root(data []byte) *yaml.Node {
	if len(data) > MostOctets {
		r.fail(0, "is it the right file?", "has %d octets, which is more than the %d that are read", len(data), MostOctets)
		return nil
	}
	root, err := parseYAML(data)
	switch {
	case err != nil:
		line, what := syntax(err)
		r.fail(line, "see the indentation, quotes and brackets there and above", "not YAML: %s", what)
	case root == nil:
		r.fail(0, "begin with what s2clab exports", "is empty")
	default:
		return root
	}
	return nil
}

// parseYAML returns the only document's root; nil where there is none.
func parseYAML(data []byte) (root *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil { // the YAML library has panicked on malformed input before
			root, err = nil, errors.New("yaml: it breaks off within a value")
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	if err := dec.Decode(&first); err == io.EOF {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := dec.Decode(&second); err == nil {
		return nil, fmt.Errorf("yaml: line %d: a second document begins", second.Line)
	} else if err != io.EOF {
		return nil, err
	}
	if len(first.Content) == 0 {
		return nil, nil
	}
	return first.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func syntax(err error) (line int, what string) {
	what = err.Error()
	if m := yamlLine.FindStringSubmatch(what); m != nil {
		line, _ = strconv.Atoi(m[1])
		what = what[len(m[0]):]
	}
	return line, what
}

func (r *reader) fail(line int, hint, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line, What: fmt.Sprintf(format, args...), Hint: hint})
}

// complain adds a Problem with the value at n.
func (r *reader) complain(n *yaml.Node, hint, format string, args ...any) {
	r.fail(n.Line, hint, format, args...)
	r.problems[len(r.problems)-1].column = n.Column
}

// resolved is n, or what it is an alias of.
func resolved(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.ShortTag() == "!!null" {
			return "nothing"
		}
		return "a single value"
	}
	return "nothing"
}

// mapping reads keys with values, of which those that may be there are known. One
// that is not, or is there twice, is a problem.
func (r *reader) mapping(n *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	n = resolved(n)
	if n.Kind != yaml.MappingNode {
		r.complain(n, "keys here: "+strings.Join(known, ", "), "%s is %s, not keys with values", what, kind(n))
		return nil
	}
	values := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			r.complain(key, "keys here: "+strings.Join(known, ", "), "%q is not a key of %s", short(key.Value), what)
		case values[key.Value] != nil:
			r.complain(key, fmt.Sprintf("it is first in line %d: take one of them away", values[key.Value].Line), "%q is there twice", key.Value)
		default:
			values[key.Value] = value
		}
	}
	return values
}

// list reads a list.
func (r *reader) list(n *yaml.Node, what string) []*yaml.Node {
	n = resolved(n)
	if n.Kind != yaml.SequenceNode {
		r.complain(n, "write items after \"- \", or between \"[\" and \"]\"", "%s is %s, not a list", what, kind(n))
		return nil
	}
	return n.Content
}

// text reads a single value as it is written. YAML must not take it for something
// else than text, for other readers would: digits want quotes.
func (r *reader) text(n *yaml.Node, key string) (string, bool) {
	n = resolved(n)
	switch {
	case n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null":
		r.complain(n, "", "%s is %s, not text", key, kind(n))
		return "", false
	case n.ShortTag() != "!!str":
		r.complain(n, "put it between quotes: \"...\"", "%s is a number or a boolean to YAML, not text", key)
		return "", false
	}
	return n.Value, true
}

// truth reads true or false.
func (r *reader) truth(n *yaml.Node, key string) bool {
	n = resolved(n)
	if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" || n.ShortTag() != "!!bool" {
		r.complain(n, "write true or false", "%s is neither true nor false", key)
		return false
	}
	return n.Value == "true"
}

// octets reads hexadecimal digits, which it never tells. Of lengths, in octets,
// one must fit.
func (r *reader) octets(n *yaml.Node, key string, lengths ...int) []byte {
	text, ok := r.text(n, key)
	if !ok {
		return nil
	}
	b, err := hex.DecodeString(text)
	if err != nil || !slices.Contains(lengths, len(b)) {
		want := make([]string, len(lengths))
		for i, l := range lengths {
			want[i] = strconv.Itoa(2 * l)
		}
		r.complain(resolved(n), "", "%s is not %s hexadecimal digits, but %d letters", key, strings.Join(want, " or "), len(text))
		return nil
	}
	return b
}

// word reads one of the words for values of a type.
func word[T comparable](r *reader, n *yaml.Node, key string, known words[T]) (v T) {
	text, ok := r.text(n, key)
	if !ok {
		return v
	}
	if v, ok = known.value(text); !ok {
		r.complain(resolved(n), "words here: "+strings.Join(known.all(), ", "), "%s cannot be %q", key, short(text))
	}
	return v
}

// short cuts text that is long.
func short(text string) string {
	const most = 40
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

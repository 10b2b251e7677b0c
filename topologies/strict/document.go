package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// MaxSize is the length of the longest file that is read, in octets.
const MaxSize = 1 << 20

// ReadFile reads a file from disk, and nothing that is not a file of a size a
// person writes: no folder, device or pipe.
func ReadFile(path string) ([]byte, error) { return ReadFileUpTo(path, MaxSize) }

// ReadFileUpTo is ReadFile with another bound, in octets.
func ReadFileUpTo(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, Problems{{File: path, What: "there is no such file", Hint: "paths in a file are relative to that file; paths of a command to where it runs"}}
	case err != nil:
		return nil, Problems{{File: path, What: "cannot be read: " + reason(err)}}
	case info.IsDir():
		return nil, Problems{{File: path, What: "is a folder", Hint: "name a file in it"}}
	case !info.Mode().IsRegular():
		return nil, Problems{{File: path, What: "is a device or a pipe, not a file"}}
	case info.Size() > most:
		return nil, Problems{tooLong(path, info.Size(), most)}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, Problems{{File: path, What: "cannot be read: " + reason(err), Hint: "see that you may read it: ls -l " + path}}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1)) // it may have grown
	if err != nil {
		return nil, Problems{{File: path, What: "cannot be read: " + reason(err)}}
	}
	return data, nil
}

// reason is an error without the path that a Problem tells already.
func reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}

func tooLong(file string, size, most int64) Problem {
	p := Problem{File: file, What: fmt.Sprintf("has %d octets, which is more than the %d that are read", size, most), Hint: "is it the right file?"}
	if most == MaxSize {
		p.Hint += " many like nodes are written as one, with a count"
	}
	return p
}

// A Document is one YAML file on its way from octets to a checked Value. It
// gathers the Problems found on the way.
type Document struct {
	File string

	root     *yaml.Node
	origins  map[*yaml.Node]Origin // of nodes that came from elsewhere than the file
	problems []Problem
}

// An Origin says where a value was written.
type Origin struct {
	File   string
	Line   int
	Column int
}

// Open parses data as one YAML document that is a mapping. Where it is not,
// the Document has Problems and nothing to read.
func Open(file string, data []byte) *Document {
	d := &Document{File: file, origins: map[*yaml.Node]Origin{}}
	if p, ok := unreadable(file, data, "YAML", MaxSize); ok {
		d.problems = append(d.problems, p)
		return d
	}
	root, err := parseYAML(data)
	switch {
	case err != nil:
		d.problems = append(d.problems, syntaxProblem(file, data, err))
	case root == nil:
		d.problems = append(d.problems, Problem{File: file, What: "is empty", Hint: "begin with a copy of a shipped file"})
	case root.Kind != yaml.MappingNode:
		d.problems = append(d.problems, Problem{File: file, Line: root.Line, What: "the file holds " + nodeKind(root) + ", not keys with values",
			Hint: "is it the right file?"})
	default:
		d.root = root
	}
	return d
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
		line := second.Line
		if len(second.Content) > 0 {
			line = second.Content[0].Line
		}
		return nil, fmt.Errorf("yaml: line %d: a second document begins", line)
	} else if err != io.EOF {
		return nil, err
	}
	if len(first.Content) == 0 || first.Content[0].Kind == yaml.ScalarNode && first.Content[0].ShortTag() == "!!null" {
		return nil, nil
	}
	return first.Content[0], nil
}

// magics are the first octets of files that people hand over by mistake.
var magics = []struct{ begins, kind, hint string }{
	{"\x7fELF", "a program", ""},
	{"\x1f\x8b", "compressed (gzip)", "unpack it first"},
	{"PK\x03\x04", "a ZIP archive or an office document", "unpack it first"},
	{"\x0a\x0d\x0d\x0a", "a capture (pcapng)", "open it in Wireshark"},
	{"\xd4\xc3\xb2\xa1", "a capture (pcap)", "open it in Wireshark"},
	{"\x89PNG", "a picture", ""},
	{"%PDF", "a PDF document", ""},
	{"<!DOCTYPE", "a web page", ""},
	{"<html", "a web page", ""},
	{"<?xml", "XML", ""},
	{"\xff\xfe", "UTF-16 text", "save it as UTF-8"},
	{"\xfe\xff", "UTF-16 text", "save it as UTF-8"},
}

// unreadable tells of data that is no text at all, where some kind of text is
// wanted, of so many octets at most.
func unreadable(file string, data []byte, wanted string, most int) (Problem, bool) {
	if len(data) > most {
		return tooLong(file, int64(len(data)), int64(most)), true
	}
	for _, m := range magics {
		if bytes.HasPrefix(data, []byte(m.begins)) {
			return Problem{File: file, What: "is " + m.kind + ", not " + wanted, Hint: m.hint}, true
		}
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return Problem{File: file, Line: lineAt(data, i), What: "holds NUL octets, so it is not a text file", Hint: "is it the right file?"}, true
	}
	if !utf8.Valid(data) {
		i := 0
		for i < len(data) {
			r, n := utf8.DecodeRune(data[i:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			i += n
		}
		return Problem{File: file, Line: lineAt(data, i), What: "holds octets that are not UTF-8 text", Hint: "save it as UTF-8"}, true
	}
	return Problem{}, false
}

func lineAt(data []byte, offset int) int { return 1 + bytes.Count(data[:offset], []byte{'\n'}) }

var yamlLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^yaml: (?:line (\d+): )?`) })

// syntaxProblem tells in our words what the YAML library found.
func syntaxProblem(file string, data []byte, err error) Problem {
	p := Problem{File: file}
	text := err.Error()
	if m := yamlLine().FindStringSubmatch(text); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	if strings.HasPrefix(text, "did not find expected") {
		p.Line++ // the library counts the lines of these from 0
	}
	lines := strings.Split(string(data), "\n")
	p.Line = min(p.Line, len(lines))
	at := func(n int) string {
		if n < 1 || n > len(lines) {
			return ""
		}
		return lines[n-1]
	}
	tab := 0 // the library names a line near the tab, not always its own
	for n := max(1, p.Line-1); n <= p.Line+1; n++ {
		if l := at(n); strings.Contains(l[:len(l)-len(strings.TrimLeft(l, " \t"))], "\t") {
			tab = n
			break
		}
	}
	switch {
	case strings.Contains(text, "a second document begins"):
		p.What, p.Hint = "a second document begins after \"---\"; a file holds one", "put each into a file of its own"
	case tab > 0 && strings.Contains(text, "cannot start any token"):
		p.Line, p.What, p.Hint = tab, "the line is indented with a tab, which YAML forbids", "indent with spaces"
	case strings.Contains(text, "mapping values are not allowed"):
		p.What, p.Hint = "not YAML: a \": \" stands where no key can be", "see the indentation, and put text with \": \" in it between quotes"
	case strings.Contains(text, "did not find expected ',' or"):
		p.What, p.Hint = "not YAML: "+text, "a \"{\" or \"[\" on this line or before is not closed, or a comma is missing"
	case strings.Contains(text, "did not find expected key"), strings.Contains(text, "could not find expected ':'"):
		p.What, p.Hint = "not YAML: "+text, "write keys as \"key: value\", those of one mapping indented alike"
	default:
		p.What = "not YAML: " + text
	}
	return p
}

func nodeKind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!int", "!!float":
			return "a number"
		case "!!bool":
			return "a boolean"
		case "!!null":
			return "nothing"
		}
		return "text"
	}
	return "nothing"
}

// Keys returns the names of the top level's keys, where there are any.
func (d *Document) Keys() []string {
	if d.root == nil {
		return nil
	}
	var keys []string
	for i := 0; i+1 < len(d.root.Content); i += 2 {
		keys = append(keys, d.root.Content[i].Value)
	}
	return keys
}

// Readable says whether there is a mapping to read.
func (d *Document) Readable() bool { return d.root != nil }

// Complain adds a Problem with the value at v; with nil, the file as a whole.
func (d *Document) Complain(v *Value, hint, format string, args ...any) {
	p := Problem{File: d.File, What: fmt.Sprintf(format, args...), Hint: hint}
	if v != nil {
		p.File, p.Line, p.column = v.File, v.Line, v.column
	}
	d.problems = append(d.problems, p)
}

// Add adds Problems of another file, which this one names.
func (d *Document) Add(problems ...Problem) { d.problems = append(d.problems, problems...) }

// Failed says whether anything is wrong so far.
func (d *Document) Failed() bool { return len(d.problems) > 0 }

// Err returns all that is wrong as Problems in order, or nil.
func (d *Document) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	return ordered(d.File, d.problems)
}

// Encode returns the document as YAML, with what Override has changed.
func (d *Document) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(d.root); err != nil {
		return nil, fmt.Errorf("%s: %w", d.File, err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("%s: %w", d.File, err)
	}
	return b.Bytes(), nil
}

package strict

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A Shape says what a value may be. It may be more than one of a scalar, a
// mapping and a sequence: which it is, the file shows.
type Shape struct {
	Ref     string // the name of its definition in the schema; empty: written in place
	Name    string // with its article, for messages: a link, a list of nodes
	Example string // for hints; empty: made from what is below

	Scalar *Scalar

	Fields []Field  // a mapping with these keys
	Switch string   // the key of Fields whose value says which Fields apply (Field.For)
	OneOf  []string // of these keys, exactly one must be there, and it says which Fields apply
	Short  string   // a scalar stands for a mapping that has this key only

	Each    *Shape  // a mapping with keys of the user's choice
	EachKey *Scalar // what such a key may be
	New     bool    // Override may add such keys

	Items  *Shape // a sequence
	Single bool   // a value that is no sequence stands for a sequence of one
	Least  int    // items or keys
	Most   int    // 0: no limit but the file's
}

// A Field is a key that a mapping may have.
type Field struct {
	Key      string
	Shape    *Shape
	Doc      string // for the schema: what it does, and what holds where it is left out
	Required bool
	For      []string // the values of the Switch key, or those of OneOf, with which it may stand; nil: all
}

// A Scalar says what a single value may be.
type Scalar struct {
	Name     string                         // with its article and an example: a duration such as 15ms
	JSON     string                         // its type in JSON: string, integer, boolean
	Pattern  string                         // for the schema: ECMA 262, the whole text
	Words    []string                       // the only values, where not nil
	Later    map[string]string              // words that will have a meaning: what to use instead
	Minimum  *int64                         // for the schema, with JSON integer
	Maximum  *int64                         //
	Examples []string                       // for the schema
	Parse    func(text string) (any, error) // nil: the text itself; a Trouble tells more than its error
}

// A Trouble is an error of a Scalar's Parse that knows what to do.
type Trouble struct{ What, Hint string }

func (t *Trouble) Error() string { return t.What }

// A Value is one value of a file, checked against its Shape. A nil Value is one
// that was left out: its methods say so.
type Value struct {
	Origin
	Path string   // as Override takes it: links.lte.delay
	Text string   // of a scalar, as written
	Bad  bool     // has been complained of: nothing more need be said
	Lost []string // keys that have been complained of and left out

	column int
	node   *yaml.Node
	scalar any
	pairs  []pair
	items  []*Value
}

type pair struct {
	key   *Value
	value *Value
}

// Get returns the value of a key; nil where it is left out.
func (v *Value) Get(key string) *Value {
	if v == nil {
		return nil
	}
	for _, p := range v.pairs {
		if p.key.Text == key {
			return p.value
		}
	}
	return nil
}

// Key returns a key itself, which has a place in the file of its own.
func (v *Value) Key(key string) *Value {
	if v == nil {
		return nil
	}
	for _, p := range v.pairs {
		if p.key.Text == key {
			return p.key
		}
	}
	return nil
}

// Keys returns the keys in the file's order.
func (v *Value) Keys() []*Value {
	if v == nil {
		return nil
	}
	keys := make([]*Value, len(v.pairs))
	for i, p := range v.pairs {
		keys[i] = p.key
	}
	return keys
}

// Items returns the items of a sequence.
func (v *Value) Items() []*Value {
	if v == nil {
		return nil
	}
	return v.items
}

// Good says whether v is there and has not been complained of.
func (v *Value) Good() bool { return v != nil && !v.Bad }

// Or returns the scalar of v, or def where v is left out or wrong.
func Or[T any](v *Value, def T) T {
	if v == nil || v.Bad {
		return def
	}
	if x, ok := v.scalar.(T); ok {
		return x
	}
	return def
}

// Is says whether v is a scalar of type T.
func Is[T any](v *Value) bool {
	if v == nil || v.Bad {
		return false
	}
	_, ok := v.scalar.(T)
	return ok
}

// maxDepth is how deep values may lie within one another.
const maxDepth = 32

// Read checks the document against shape. It returns nil only where there is
// nothing to read; what is wrong otherwise is Bad in the Value and told by Err.
func (d *Document) Read(shape *Shape) *Value {
	if d.root == nil {
		return nil
	}
	return d.read(d.root, shape, "", 0)
}

func (d *Document) value(n *yaml.Node, path string) *Value {
	v := &Value{Origin: Origin{File: d.File, Line: n.Line, Column: n.Column}, Path: path, column: n.Column, node: n}
	if o, ok := d.origins[n]; ok {
		v.Origin, v.column = o, o.Column
	}
	return v
}

// bad complains of v and marks it.
func (d *Document) bad(v *Value, hint, format string, args ...any) *Value {
	what := fmt.Sprintf(format, args...)
	if v.Path != "" {
		what = v.Path + ": " + what
	}
	d.Complain(v, hint, "%s", what)
	v.Bad = true
	return v
}

func (d *Document) read(n *yaml.Node, shape *Shape, path string, depth int) *Value {
	v := d.value(n, path)
	if depth > maxDepth {
		return d.bad(v, "", "lies more than %d levels deep", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		return d.bad(v, "write the value out; many like nodes are one with a count", "aliases (*%s) are not read", n.Value)
	}
	if n.Anchor != "" {
		return d.bad(v, "write the values out where they are used", "anchors (&%s) are not read", n.Anchor)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		return d.bad(v, "leave it out", "tags (%s) are not read", n.Tag)
	}
	if isNull(n) {
		v.Bad = true
		hint := "give it one, or leave the key out"
		if path == "" {
			hint = ""
		}
		return d.bad(v, hint, "has no value; want %s", shape.name())
	}
	switch n.Kind {
	case yaml.MappingNode:
		switch {
		case shape.Fields != nil:
			return d.readFields(n, v, shape, depth)
		case shape.Each != nil:
			return d.readEach(n, v, shape, depth)
		case shape.Single && shape.Items != nil && (shape.Items.Fields != nil || shape.Items.Each != nil):
			return d.single(n, v, shape, depth)
		}
	case yaml.SequenceNode:
		if shape.Items != nil {
			return d.readItems(n, v, shape, depth)
		}
	case yaml.ScalarNode:
		switch {
		case shape.Short != "":
			return d.readShort(n, v, shape, depth)
		case shape.Scalar != nil:
			return d.readScalar(n, v, shape.Scalar)
		case shape.Single && shape.Items != nil && (shape.Items.Scalar != nil || shape.Items.Short != ""):
			return d.single(n, v, shape, depth)
		}
	}
	found := nodeKind(n)
	if n.Kind == yaml.ScalarNode {
		found = quote(n.Value)
	}
	return d.bad(v, shape.example(), "found %s, want %s", found, shape.name())
}

// single reads one value as a sequence of one.
func (d *Document) single(n *yaml.Node, v *Value, shape *Shape, depth int) *Value {
	item := d.read(n, shape.Items, v.Path, depth+1)
	v.items = []*Value{item}
	v.Bad = item.Bad
	return v
}

func isNull(n *yaml.Node) bool {
	return n.Kind == 0 || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// pairs walks the keys of a mapping; those that cannot be keys at all, and
// those that come twice, are told and left out.
func (d *Document) pairs(n *yaml.Node, path string, visit func(key *Value, k, value *yaml.Node)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		key := d.value(k, path)
		switch {
		case k.Kind == yaml.ScalarNode && k.Value == "<<" && k.Style == 0:
			d.bad(key, "write the values out", "merge keys (<<) are not read")
			continue
		case k.Kind != yaml.ScalarNode:
			d.bad(key, "", "a key must be a word, not %s", nodeKind(k))
			continue
		case k.Anchor != "" || k.Style&yaml.TaggedStyle != 0:
			d.bad(key, "write the key alone", "anchors and tags are not read")
			continue
		}
		key.Text = k.Value
		if line, ok := seen[k.Value]; ok {
			d.bad(key, "keep one of them", "key %s stands here a second time; the first is on line %d", quote(k.Value), line)
			continue
		}
		seen[k.Value] = k.Line
		visit(key, k, n.Content[i+1])
	}
}

func (d *Document) readFields(n *yaml.Node, v *Value, shape *Shape, depth int) *Value {
	v.pairs = []pair{}
	kind := "" // the value of the Switch key
	if shape.Switch != "" {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == shape.Switch && n.Content[i+1].Kind == yaml.ScalarNode {
				kind = n.Content[i+1].Value
			}
		}
		f := shape.field(shape.Switch)
		if !slices.Contains(f.Shape.Scalar.Words, kind) {
			kind = "" // it will be told: let every key pass
		}
	}
	for _, k := range shape.OneOf {
		if hasKey(n, k) {
			kind = k
		}
	}
	d.pairs(n, v.Path, func(key *Value, k, node *yaml.Node) {
		f := shape.field(key.Text)
		if f == nil {
			keys := shape.keys(kind)
			d.bad(key, Suggest(key.Text, "keys here", keys), "unknown key %s", quote(key.Text))
			return
		}
		if kind != "" && f.For != nil && !slices.Contains(f.For, kind) {
			if shape.Switch == "" && slices.Contains(shape.OneOf, key.Text) {
				return // that there are two is told below
			}
			about := strings.TrimLeft(shape.Switch+" ", " ")
			d.bad(key, fmt.Sprintf("keys with %s%s: %s", about, kind, strings.Join(shape.keys(kind), ", ")),
				"key %q is for %s%s, and this is %s", key.Text, about, strings.Join(f.For, " or "), kind)
			return
		}
		value := d.read(node, f.Shape, join(v.Path, key.Text), depth+1)
		v.pairs = append(v.pairs, pair{key, value})
	})
	for _, f := range shape.Fields {
		if f.Required && !hasKey(n, "<<") && (f.For == nil || slices.Contains(f.For, kind)) && !hasKey(n, f.Key) {
			d.missing(v, fmt.Sprintf("add %s: %s", f.Key, f.Shape.sample()), "the key %q is missing", f.Key)
		}
	}
	if shape.OneOf != nil {
		var there []string
		for _, k := range shape.OneOf {
			if hasKey(n, k) {
				there = append(there, k)
			}
		}
		switch {
		case len(there) == 0 && !v.Bad:
			unknown := ""
			for i := 0; i+1 < len(n.Content); i += 2 {
				if shape.field(n.Content[i].Value) == nil {
					unknown = n.Content[i].Value // told already, and most likely the one
				}
			}
			if unknown == "" {
				d.missing(v, shape.example(), "one of these keys is missing: %s", strings.Join(shape.OneOf, ", "))
			}
			v.Bad = true
		case len(there) > 1:
			d.bad(v, "write one "+strings.TrimPrefix(strings.TrimPrefix(shape.name(), "a "), "an ")+" for each", "has %s together; want only one of them", strings.Join(there, " and "))
		}
	}
	return v
}

func (d *Document) missing(v *Value, hint, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if v.Path != "" {
		what = v.Path + ": " + what
	}
	d.Complain(v, hint, "%s", what)
	v.Bad = true
}

func hasKey(n *yaml.Node, key string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

func (s *Shape) field(key string) *Field {
	for i := range s.Fields {
		if s.Fields[i].Key == key {
			return &s.Fields[i]
		}
	}
	return nil
}

// Keys returns the keys that such a mapping may have.
func (s *Shape) Keys() []string { return s.keys("") }

// keys returns the keys that may stand with this value of the Switch key.
func (s *Shape) keys(kind string) []string {
	var keys []string
	for _, f := range s.Fields {
		if kind == "" || f.For == nil || slices.Contains(f.For, kind) {
			keys = append(keys, f.Key)
		}
	}
	return keys
}

func (d *Document) readEach(n *yaml.Node, v *Value, shape *Shape, depth int) *Value {
	v.pairs = []pair{}
	d.pairs(n, v.Path, func(key *Value, k, node *yaml.Node) {
		if shape.EachKey != nil {
			if checked := d.readScalar(k, d.value(k, v.Path), shape.EachKey); checked.Bad {
				v.Lost = append(v.Lost, key.Text)
				return
			}
		}
		value := d.read(node, shape.Each, join(v.Path, key.Text), depth+1)
		v.pairs = append(v.pairs, pair{key, value})
	})
	d.countItems(v, shape, len(n.Content)/2)
	return v
}

func (d *Document) readItems(n *yaml.Node, v *Value, shape *Shape, depth int) *Value {
	v.items = []*Value{}
	for i, node := range n.Content {
		item := d.read(node, shape.Items, join(v.Path, fmt.Sprint(i+1)), depth+1)
		v.items = append(v.items, item)
	}
	d.countItems(v, shape, len(n.Content))
	return v
}

func (d *Document) countItems(v *Value, shape *Shape, n int) {
	switch {
	case n < shape.Least:
		d.bad(v, "", "has %s; want %d or more", entries(n), shape.Least)
	case shape.Most > 0 && n > shape.Most:
		d.bad(v, "", "has %s; want %d at most", entries(n), shape.Most)
	}
}

func entries(n int) string {
	switch n {
	case 0:
		return "no entries"
	case 1:
		return "one entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// readShort reads a scalar as the mapping that it stands for.
func (d *Document) readShort(n *yaml.Node, v *Value, shape *Shape, depth int) *Value {
	key := d.value(n, v.Path)
	key.Text = shape.Short
	value := d.read(n, shape.field(shape.Short).Shape, v.Path, depth+1)
	v.Text, v.Bad = n.Value, value.Bad
	v.pairs = []pair{{key, value}}
	return v
}

// booleans are the words that a YAML 1.1 reader takes for booleans and that
// are not booleans here.
var booleans = []string{"y", "n", "yes", "no", "on", "off"}

func quoted(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
}

func (d *Document) readScalar(n *yaml.Node, v *Value, s *Scalar) *Value {
	v.Text = n.Value
	if !quoted(n) && slices.Contains(booleans, strings.ToLower(n.Value)) {
		hint := "choose another word, or put it between quotes"
		switch {
		case s.JSON == "boolean":
			hint = "write true or false"
		case s.Words != nil:
			hint = Suggest(n.Value, "words here", s.Words)
		case s.Pattern != "":
			hint = "choose another word"
		}
		return d.bad(v, hint, "%q is a word that some YAML readers take for a boolean", n.Value)
	}
	if s.Words != nil && !slices.Contains(s.Words, n.Value) {
		if instead, ok := s.Later[n.Value]; ok {
			return d.bad(v, instead, "%q is known, but not in this version", n.Value)
		}
		return d.bad(v, Suggest(n.Value, "words here", s.Words), "%s is not %s", quote(n.Value), s.Name)
	}
	switch tag := n.ShortTag(); {
	case s.JSON == "boolean" && tag != "!!bool":
		return d.bad(v, "write true or false", "%s is not %s", quote(n.Value), s.Name)
	case s.JSON == "integer" && tag == "!!str" && quoted(n) && s.Parse != nil:
		if _, err := s.Parse(n.Value); err == nil {
			return d.bad(v, "leave the quotes out", "the number %s stands between quotes", n.Value)
		}
	}
	v.scalar = n.Value
	if s.Parse != nil {
		x, err := s.Parse(n.Value)
		if t, ok := err.(*Trouble); ok {
			return d.bad(v, t.Hint, "%s", t.What)
		}
		if err != nil {
			return d.bad(v, "", "%s is not %s", quote(n.Value), s.Name)
		}
		v.scalar = x
	}
	if _, overridden := d.origins[n]; s.JSON == "string" && n.ShortTag() != "!!str" && !overridden {
		return d.bad(v, fmt.Sprintf("put it between quotes: \"%s\"", n.Value), "%s without quotes is %s to YAML readers", quote(n.Value), strings.TrimPrefix(nodeKind(n), ""))
	}
	return v
}

// quote returns text between quotes, cut where it is long.
func quote(text string) string {
	const most = 40
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", text)
}

func (s *Shape) name() string {
	switch {
	case s.Name != "":
		return s.Name
	case s.Scalar != nil:
		return s.Scalar.Name
	case s.Items != nil:
		return "a list"
	case s.Short != "":
		return s.field(s.Short).Shape.name()
	}
	return "keys with values"
}

// example returns what such a value could look like, as a hint.
func (s *Shape) example() string {
	if sample := s.sample(); sample != "..." {
		return "such as " + sample
	}
	return ""
}

func (s *Shape) sample() string {
	switch {
	case s.Example != "":
		return s.Example
	case s.Scalar != nil && len(s.Scalar.Words) > 0:
		return strings.Join(s.Scalar.Words, " or ")
	case s.Scalar != nil && len(s.Scalar.Examples) > 0:
		return s.Scalar.Examples[0]
	case s.Short != "":
		return s.field(s.Short).Shape.sample()
	case s.Items != nil && s.Items.sample() != "...":
		return "[" + s.Items.sample() + "]"
	case s.Fields != nil:
		var parts []string
		for _, f := range s.Fields {
			if f.Required {
				parts = append(parts, f.Key+": "+f.Shape.sample())
			}
		}
		if len(parts) > 0 {
			return "{" + strings.Join(parts, ", ") + "}"
		}
	}
	return "..."
}

// Source returns what the file has at v on one line: [a, b], {key: value}.
func (v *Value) Source() string {
	if v == nil || v.node == nil {
		return ""
	}
	return source(v.node, 0)
}

func source(n *yaml.Node, depth int) string {
	var parts []string
	if depth > maxDepth {
		return "..."
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, n.Content[i].Value+": "+source(n.Content[i+1], depth+1))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case yaml.SequenceNode:
		for _, c := range n.Content {
			parts = append(parts, source(c, depth+1))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return n.Value
}

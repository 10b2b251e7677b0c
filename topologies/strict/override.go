package strict

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// An Override gives the value at a path another value before the file is read:
// links.wlan.delay, 50ms. Items of a list are counted from 1. An empty value
// takes the key away, so that its default holds.
type Override struct {
	Path  string
	Value string // as YAML
	From  Origin // where it was written; the zero Origin: on a command line
}

func (o Override) origin() Origin {
	if o.From.File == "" {
		return Origin{File: "--set " + o.Path + "=" + o.Value}
	}
	return o.From
}

// ParseOverride reads PATH=VALUE as a command line has it.
func ParseOverride(text string) (Override, error) {
	path, value, ok := strings.Cut(text, "=")
	path = strings.TrimSpace(path)
	if !ok || path == "" {
		return Override{}, Problems{{File: "--set " + text, What: "there is no path and value in it", Hint: "write --set PATH=VALUE, such as --set links.wlan.delay=50ms"}}
	}
	return Override{Path: path, Value: strings.TrimSpace(value)}, nil
}

// Override changes the document. What is wrong with the path or with the value
// as YAML is told by Err; whether the value may stand there, Read tells.
func (d *Document) Override(shape *Shape, o Override) {
	if d.root == nil {
		return
	}
	at := &Value{Origin: o.origin()}
	complain := func(hint, format string, args ...any) { d.Complain(at, hint, format, args...) }
	value, err := parseYAML([]byte(o.Value))
	if err != nil {
		complain("put text with special signs between quotes", "the value %s is not YAML", quote(o.Value))
		return
	}
	if value == nil && strings.TrimSpace(o.Value) != "" && o.Value != "null" && o.Value != "~" {
		value = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: o.Value}
	}
	d.mark(value, at.Origin)

	node, walked := d.root, ""
	steps := strings.Split(o.Path, ".")
	for i, step := range steps {
		last := i == len(steps)-1
		if node.Kind == yaml.ScalarNode && !isNull(node) && shape.Short != "" && shape.field(step) != nil {
			inner := *node // what the scalar stands for becomes a key of its own
			if from, ok := d.origins[node]; ok {
				d.origins[&inner] = from
			}
			*node = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle, Line: node.Line, Column: node.Column,
				Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: shape.Short, Line: node.Line, Column: node.Column}, &inner}}
		}
		where := "the file"
		if walked != "" {
			where = walked
		}
		switch {
		case shape.Fields != nil && (node.Kind == yaml.MappingNode || isNull(node)):
			f := shape.field(step)
			if f == nil {
				complain(Suggest(step, "keys there", shape.keys("")), "%s has no key %q", where, step)
				return
			}
			shape = f.Shape
			node = d.child(node, step, last && value == nil, at.Origin)
		case shape.Each != nil && (node.Kind == yaml.MappingNode || isNull(node)):
			if !shape.New && !hasKey(node, step) {
				var keys []string
				for j := 0; j+1 < len(node.Content); j += 2 {
					keys = append(keys, node.Content[j].Value)
				}
				complain(Suggest(step, where+" here", keys), "%s has no %q", where, step)
				return
			}
			shape = shape.Each
			node = d.child(node, step, last && value == nil, at.Origin)
		case shape.Items != nil && node.Kind == yaml.SequenceNode:
			n, err := strconv.Atoi(step)
			if err != nil || n < 1 || n > len(node.Content) {
				complain(fmt.Sprintf("it has %s, counted from 1", entries(len(node.Content))), "%s has no entry %q", where, step)
				return
			}
			if last && value == nil {
				node.Content = append(node.Content[:n-1], node.Content[n:]...)
				return
			}
			shape, node = shape.Items, node.Content[n-1]
		default:
			complain("", "%s is %s, which has no %q in it", where, nodeKind(node), step)
			return
		}
		walked = join(walked, step)
		if node == nil {
			return // taken away
		}
	}
	if shape.wantsText() && value.Kind == yaml.ScalarNode && value.ShortTag() != "!!str" {
		value.Tag, value.Style = "!!str", yaml.DoubleQuotedStyle // a shell leaves no quotes
	}
	keep := *node
	*node = *value
	node.HeadComment, node.LineComment, node.FootComment = keep.HeadComment, keep.LineComment, keep.FootComment
	d.origins[node] = at.Origin
}

// mark notes the origin of every node of a tree.
func (d *Document) mark(n *yaml.Node, o Origin) {
	if n == nil {
		return
	}
	d.origins[n] = o
	for _, c := range n.Content {
		d.mark(c, o)
	}
}

// child returns the value of a key, made where it is not there. With remove it
// takes the key away and returns nil.
func (d *Document) child(n *yaml.Node, key string, remove bool, from Origin) *yaml.Node {
	if isNull(n) {
		n.Kind, n.Tag, n.Value, n.Style = yaml.MappingNode, "!!map", "", yaml.FlowStyle
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			if remove {
				n.Content = append(n.Content[:i], n.Content[i+2:]...)
				return nil
			}
			return n.Content[i+1]
		}
	}
	if remove {
		return nil
	}
	name, value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	d.origins[name], d.origins[value] = from, from
	n.Content = append(n.Content, name, value)
	return value
}

// wantsText says whether a scalar of this shape is text.
func (s *Shape) wantsText() bool {
	switch {
	case s.Scalar != nil:
		return s.Scalar.JSON == "string"
	case s.Short != "":
		return s.field(s.Short).Shape.wantsText()
	case s.Single && s.Items != nil:
		return s.Items.wantsText()
	}
	return false
}

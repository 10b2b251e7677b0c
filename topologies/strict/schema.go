package strict

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Schema returns the JSON Schema (draft 2020-12) of files that Read takes with
// this shape, indented and ended with a newline.
func Schema(shape *Shape, title, description string) []byte {
	g := &generator{defs: map[string]object{}}
	root := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", title},
		{"description", description},
	}
	root = append(root, g.shape(shape)...)
	if len(g.defs) > 0 {
		var defs object
		for _, name := range g.order {
			defs = append(defs, member{name, g.defs[name]})
		}
		root = append(root, member{"$defs", defs})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		panic(fmt.Sprintf("strict: schema of %s: %v", title, err)) // the table is wrong, not the input
	}
	return b.Bytes()
}

// An object is a JSON object whose members keep their order.
type object []member

type member struct {
	key   string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, x := range []any{m.key, m.value} {
			if j > 0 {
				b.WriteByte(':')
			}
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(x); err != nil {
				return nil, err
			}
			b.Truncate(b.Len() - 1) // the newline
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

type generator struct {
	defs  map[string]object
	order []string
}

// shape returns the schema of s, or a reference to it.
func (g *generator) shape(s *Shape) object {
	if s.Ref == "" {
		return g.inPlace(s)
	}
	if _, ok := g.defs[s.Ref]; !ok {
		g.defs[s.Ref] = nil // a shape may hold itself
		g.order = append(g.order, s.Ref)
		g.defs[s.Ref] = g.inPlace(s)
	}
	return object{{"$ref", "#/$defs/" + s.Ref}}
}

func (g *generator) inPlace(s *Shape) object {
	var forms []object
	if s.Fields != nil {
		forms = append(forms, g.fields(s))
	}
	if s.Each != nil {
		forms = append(forms, g.each(s))
	}
	if s.Items != nil {
		o := object{{"type", "array"}, {"items", g.shape(s.Items)}}
		if s.Least > 0 {
			o = append(o, member{"minItems", s.Least})
		}
		if s.Most > 0 {
			o = append(o, member{"maxItems", s.Most})
		}
		forms = append(forms, o)
	}
	switch {
	case s.Short != "":
		forms = append(forms, g.shape(s.field(s.Short).Shape))
	case s.Scalar != nil:
		forms = append(forms, scalarSchema(s.Scalar))
	case s.Single:
		forms = append(forms, g.shape(s.Items))
	}
	if len(forms) == 1 {
		return forms[0]
	}
	return object{{"anyOf", forms}}
}

func (g *generator) fields(s *Shape) object {
	var properties object
	var required []string
	for _, f := range s.Fields {
		p := object{{"description", f.Doc}}
		properties = append(properties, member{f.Key, append(p, g.shape(f.Shape)...)})
		if f.Required && f.For == nil {
			required = append(required, f.Key)
		}
	}
	o := object{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}}
	if required != nil {
		o = append(o, member{"required", required})
	}
	if s.OneOf != nil {
		var one []object
		for _, k := range s.OneOf {
			one = append(one, object{{"required", []string{k}}})
		}
		o = append(o, member{"oneOf", one})
	}
	if kinds := s.kinds(); len(kinds) > 0 {
		var rules []object
		for _, kind := range kinds {
			condition := object{{"required", []string{kind}}}
			if s.Switch != "" {
				condition = object{{"properties", object{{s.Switch, object{{"const", kind}}}}}, {"required", []string{s.Switch}}}
			}
			then := object{{"propertyNames", object{{"enum", s.keys(kind)}}}}
			var needs []string
			for _, f := range s.Fields {
				if f.Required && slices.Contains(f.For, kind) {
					needs = append(needs, f.Key)
				}
			}
			if needs != nil {
				then = append(then, member{"required", needs})
			}
			rules = append(rules, object{
				{"if", condition},
				{"then", then},
			})
		}
		o = append(o, member{"allOf", rules})
	}
	return o
}

// kinds are the kinds of such a mapping that differ in their keys.
func (s *Shape) kinds() []string {
	if s.Switch != "" {
		return s.field(s.Switch).Shape.Scalar.Words
	}
	for _, f := range s.Fields {
		if f.For != nil {
			return s.OneOf
		}
	}
	return nil
}

func (g *generator) each(s *Shape) object {
	o := object{{"type", "object"}}
	if s.EachKey != nil && s.EachKey.Pattern != "" {
		o = append(o, member{"propertyNames", object{{"pattern", s.EachKey.Pattern}}})
	}
	o = append(o, member{"additionalProperties", g.shape(s.Each)})
	if s.Least > 0 {
		o = append(o, member{"minProperties", s.Least})
	}
	return o
}

func scalarSchema(s *Scalar) object {
	o := object{{"type", s.JSON}}
	if types := strings.Split(s.JSON, "|"); len(types) > 1 {
		o = object{{"type", types}}
	}
	if s.Words != nil {
		o = append(o, member{"enum", s.Words})
	}
	if s.Pattern != "" {
		o = append(o, member{"pattern", s.Pattern})
	}
	if s.Minimum != nil {
		o = append(o, member{"minimum", *s.Minimum})
	}
	if s.Maximum != nil {
		o = append(o, member{"maximum", *s.Maximum})
	}
	if s.Examples != nil && s.JSON == "string" {
		o = append(o, member{"examples", s.Examples})
	}
	return o
}

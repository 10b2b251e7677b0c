// Package schematest holds values to a JSON Schema, as an editor would, so that
// tests can see whether a schema says what the reader of the format says.
//
// It knows the keywords that strict.Schema writes and fails on others; for use
// outside tests there are whole implementations.
package schematest

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// A Schema is a JSON Schema that was read.
type Schema struct {
	root map[string]any
}

// Parse reads a schema.
func Parse(tb testing.TB, data []byte) *Schema {
	tb.Helper()
	s := &Schema{}
	if err := json.Unmarshal(data, &s.root); err != nil {
		tb.Fatalf("schema: %v", err)
	}
	return s
}

// CheckYAML returns what of a YAML file the schema forbids.
func (s *Schema) CheckYAML(tb testing.TB, data []byte) []string {
	tb.Helper()
	var value any
	if err := yaml.Unmarshal(data, &value); err != nil {
		tb.Fatalf("YAML: %v", err)
	}
	return s.check(tb, s.root, value, "")
}

func (s *Schema) check(tb testing.TB, schema map[string]any, value any, path string) (wrong []string) {
	tb.Helper()
	fail := func(format string, args ...any) { wrong = append(wrong, path+": "+fmt.Sprintf(format, args...)) }
	object, _ := value.(map[string]any)
	for keyword, of := range schema {
		switch keyword {
		case "$schema", "title", "description", "examples", "$defs", "then":
		case "$ref":
			name := strings.TrimPrefix(of.(string), "#/$defs/")
			wrong = append(wrong, s.check(tb, s.root["$defs"].(map[string]any)[name].(map[string]any), value, path)...)
		case "type":
			types, ok := of.([]any)
			if !ok {
				types = []any{of}
			}
			if !slices.ContainsFunc(types, func(t any) bool { return is(value, t.(string)) }) {
				fail("is %T, not %v", value, types)
			}
		case "enum":
			if !slices.ContainsFunc(of.([]any), func(x any) bool { return same(x, value) }) {
				fail("%v is none of %v", value, of)
			}
		case "const":
			if !same(of, value) {
				fail("%v is not %v", value, of)
			}
		case "pattern":
			if text, ok := value.(string); ok && !regexp.MustCompile(of.(string)).MatchString(text) {
				fail("%q does not match %s", text, of)
			}
		case "minimum", "maximum":
			if x, ok := toFloat(value); ok && (keyword == "minimum" && x < of.(float64) || keyword == "maximum" && x > of.(float64)) {
				fail("%v is beyond the %s %v", value, keyword, of)
			}
		case "properties":
			for key, sub := range of.(map[string]any) {
				if x, there := object[key]; there {
					wrong = append(wrong, s.check(tb, sub.(map[string]any), x, path+"/"+key)...)
				}
			}
		case "additionalProperties":
			known, _ := schema["properties"].(map[string]any)
			for key, x := range object {
				if _, there := known[key]; there {
					continue
				}
				if sub, ok := of.(map[string]any); ok {
					wrong = append(wrong, s.check(tb, sub, x, path+"/"+key)...)
				} else if of == false {
					fail("has the unknown key %q", key)
				}
			}
		case "propertyNames":
			for key := range object {
				wrong = append(wrong, s.check(tb, of.(map[string]any), key, path+"/"+key)...)
			}
		case "required":
			for _, key := range of.([]any) {
				if _, there := object[key.(string)]; object != nil && !there {
					fail("lacks the key %q", key)
				}
			}
		case "minProperties":
			if object != nil && float64(len(object)) < of.(float64) {
				fail("has %d keys, fewer than %v", len(object), of)
			}
		case "items", "minItems", "maxItems":
			items, ok := value.([]any)
			if !ok {
				continue
			}
			n := float64(len(items))
			switch x := of.(type) {
			case map[string]any:
				for i, item := range items {
					wrong = append(wrong, s.check(tb, x, item, fmt.Sprintf("%s/%d", path, i+1))...)
				}
			case float64:
				if keyword == "minItems" && n < x || keyword == "maxItems" && n > x {
					fail("has %v items, beyond the %s %v", n, keyword, x)
				}
			}
		case "anyOf", "oneOf":
			held := 0
			var why []string
			for _, sub := range of.([]any) {
				w := s.check(tb, sub.(map[string]any), value, path)
				if len(w) == 0 {
					held++
				}
				why = append(why, w...)
			}
			if held == 0 || keyword == "oneOf" && held > 1 {
				fail("%s: %d of the forms hold: %s", keyword, held, strings.Join(why, "; "))
			}
		case "allOf":
			for _, sub := range of.([]any) {
				wrong = append(wrong, s.check(tb, sub.(map[string]any), value, path)...)
			}
		case "if":
			if len(s.check(tb, of.(map[string]any), value, path)) == 0 {
				wrong = append(wrong, s.check(tb, schema["then"].(map[string]any), value, path)...)
			}
		default:
			tb.Fatalf("schema keyword %s at %s: no rule for it", keyword, path)
		}
	}
	slices.Sort(wrong)
	return wrong
}

func is(value any, kind string) bool {
	switch kind {
	case "string":
		_, ok := value.(string)
		return ok
	case "boolean":
		_, ok := value.(bool)
		return ok
	case "object":
		_, ok := value.(map[string]any)
		return ok
	case "array":
		_, ok := value.([]any)
		return ok
	}
	x, ok := toFloat(value)
	return ok && (kind == "number" || x == math.Trunc(x))
}

func toFloat(value any) (float64, bool) {
	v := reflect.ValueOf(value)
	switch {
	case !v.IsValid():
		return 0, false
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanUint():
		return float64(v.Uint()), true
	case v.CanFloat():
		return v.Float(), true
	}
	return 0, false
}

func same(a, b any) bool {
	x, ok := toFloat(a)
	y, too := toFloat(b)
	return ok && too && x == y || reflect.DeepEqual(a, b)
}

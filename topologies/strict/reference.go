package strict

import (
	"fmt"
	"strings"
)

// Table returns the keys of a mapping as a table in Markdown, for the reference
// pages. Keys that name kinds (Shape.OneOf) are left out: each has a table of
// its own.
func Table(s *Shape) string {
	var b strings.Builder
	kinds := s.Switch != ""
	b.WriteString("| key | value |")
	if kinds {
		fmt.Fprintf(&b, " %s |", s.Switch)
	}
	b.WriteString(" what |\n|---|---|")
	if kinds {
		b.WriteString("---|")
	}
	b.WriteString("---|\n")
	for _, f := range s.Fields {
		key := "`" + f.Key + "`"
		if f.Required {
			key += " (must)"
		}
		fmt.Fprintf(&b, "| %s | %s |", key, strings.ReplaceAll(f.Shape.values(), "|", `\|`))
		if kinds {
			with := "any"
			if f.For != nil {
				with = strings.Join(f.For, ", ")
			}
			fmt.Fprintf(&b, " %s |", with)
		}
		fmt.Fprintf(&b, " %s |\n", strings.ReplaceAll(f.Doc, "|", `\|`))
	}
	return b.String()
}

// values says in short what may stand there.
func (s *Shape) values() string {
	scalar := s.Scalar
	if s.Short != "" {
		scalar = s.field(s.Short).Shape.Scalar
	}
	switch {
	case scalar != nil && scalar.Words != nil && len(scalar.Words) <= 6:
		return "`" + strings.Join(scalar.Words, "`, `") + "`"
	case s.Example != "":
		return "`" + s.Example + "`"
	case scalar != nil && scalar.Minimum != nil && *scalar.Maximum < 1<<31:
		return fmt.Sprintf("%d to %d", *scalar.Minimum, *scalar.Maximum)
	case scalar != nil && len(scalar.Examples) > 0:
		return "`" + scalar.Examples[0] + "`"
	case scalar != nil:
		return scalar.Name
	case s.Single:
		return s.Items.values() + ", or a list"
	}
	return s.name()
}

// Find returns the first mapping within s, s too, that has this Ref or, as a
// field of a mapping with this Ref, that key: link, step.move.
func Find(s *Shape, ref string) *Shape { return find(s, ref, map[*Shape]bool{}) }

func find(s *Shape, ref string, seen map[*Shape]bool) *Shape {
	if s == nil || seen[s] {
		return nil
	}
	seen[s] = true
	of, key, nested := strings.Cut(ref, ".")
	if s.Ref == of && nested && s.field(key) != nil {
		return s.field(key).Shape
	}
	if s.Ref == ref {
		return s
	}
	for _, f := range s.Fields {
		if x := find(f.Shape, ref, seen); x != nil {
			return x
		}
	}
	if x := find(s.Each, ref, seen); x != nil {
		return x
	}
	return find(s.Items, ref, seen)
}

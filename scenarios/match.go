package scenarios

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
)

// Matches says whether an event is one that the pattern means. Its fields are
// as the journal has them.
func (p *Pattern) Matches(node, name string, fields map[string]any) bool {
	if p.Message {
		if text, _ := fields["message"].(string); name != "packet" || text != p.Name {
			return false
		}
		if p.Nodes != nil {
			from, to := texts(fields["from"]), texts(fields["to"])
			if !slices.ContainsFunc(p.Nodes, func(n string) bool { return slices.Contains(from, n) || slices.Contains(to, n) }) {
				return false
			}
		}
	} else if name != p.Name || p.Nodes != nil && !slices.Contains(p.Nodes, node) {
		return false
	}
	for _, m := range p.Fields {
		if value, there := fields[m.Field]; !there || !m.Holds(value) {
			return false
		}
	}
	return true
}

// Holds says whether value, which is of the match's field, is as it must be.
func (m *Match) Holds(value any) bool {
	switch {
	case m.Text != nil:
		return slices.Contains(texts(value), *m.Text)
	case m.Texts != nil:
		have := texts(value)
		return !slices.ContainsFunc(m.Texts, func(t string) bool { return !slices.Contains(have, t) })
	case m.Number != nil:
		x, ok := number(value)
		return ok && math.Abs(x-*m.Number) < 1e-6
	case m.Bool != nil:
		x, ok := value.(bool)
		return ok && x == *m.Bool
	case m.Range != nil:
		x, ok := number(value)
		return ok && m.Range.Hold(x)
	case m.Prefixes != nil:
		for _, t := range texts(value) {
			a, err := netip.ParseAddr(t)
			if err == nil && slices.ContainsFunc(m.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) }) {
				return true
			}
		}
		return false
	}
	return true
}

// texts returns the text of a value, or the texts of a list.
func texts(value any) []string {
	switch x := value.(type) {
	case nil:
		return nil
	case string:
		return []string{x}
	case []string:
		return x
	case []any:
		out := make([]string, 0, len(x))
		for _, one := range x {
			out = append(out, fmt.Sprint(one))
		}
		return out
	}
	return []string{fmt.Sprint(value)}
}

// number returns a value that is a number, whatever its Go type.
func number(value any) (float64, bool) {
	switch x := value.(type) {
	case float64:
		return x, true
	case float32:
		return float64(x), true
	case int:
		return float64(x), true
	case int64:
		return float64(x), true
	case int32:
		return float64(x), true
	case uint64:
		return float64(x), true
	case uint32:
		return float64(x), true
	case uint16:
		return float64(x), true
	case uint8:
		return float64(x), true
	}
	return 0, false
}

package analysis

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// fields are those of one event. Reading one that is not there, or is of another
// kind than was expected, gives the zero value: an event of a stranger, or of an
// earlier version, is no reason to stop.
type fields map[string]any

func (f fields) text(names ...string) string {
	for _, name := range names {
		if s, ok := f[name].(string); ok && s != "" {
			return s
		}
	}
	return ""
}

func (f fields) flag(name string) bool {
	b, _ := f[name].(bool)
	return b
}

func (f fields) number(name string) (float64, bool) { return number(f[name]) }

// count reads a number of things, and -1 where there is none.
func (f fields) count(name string) int {
	n, ok := number(f[name])
	if !ok || n < 0 || n > 1<<53 {
		return -1
	}
	return int(n)
}

// seconds reads a time or a length of time. One that cannot be, because it is
// longer than thirty years, is not there.
func (f fields) seconds(name string) (time.Duration, bool) {
	n, ok := number(f[name])
	if !ok || math.Abs(n) > 1e9 {
		return 0, false
	}
	return time.Duration(math.Round(n * float64(time.Second))), true
}

// texts reads a list of texts, or a single one.
func (f fields) texts(name string) []string {
	switch v := f[name].(type) {
	case string:
		if v != "" {
			return []string{v}
		}
	case []string:
		return v
	case []any:
		var all []string
		for _, one := range v {
			if s, ok := one.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}

func (f fields) list(name string) []any {
	l, _ := f[name].([]any)
	return l
}

// number reads what JSON calls a number, and what Go makes of one before it
// becomes JSON.
func number(v any) (float64, bool) {
	var n float64
	switch v := v.(type) {
	case float64:
		n = v
	case int:
		n = float64(v)
	case int64:
		n = float64(v)
	case uint64:
		n = float64(v)
	case uint32:
		n = float64(v)
	case uint16:
		n = float64(v)
	case uint8:
		n = float64(v)
	default:
		return 0, false
	}
	return n, !math.IsNaN(n) && !math.IsInf(n, 0)
}

// triple reads one entry of a list of samples: so many numbers.
func triple(v any, want int) (t [3]int64, ok bool) {
	switch v := v.(type) {
	case []any:
		if len(v) < want {
			return t, false
		}
		for i := range want {
			n, ok := number(v[i])
			if !ok || math.Abs(n) > 1<<62 {
				return t, false
			}
			t[i] = int64(n)
		}
		return t, true
	case []int64:
		return t, len(v) >= want && copy(t[:], v) >= want
	}
	return t, false
}

// Show prints a value as a person would write it.
func Show(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return fmt.Sprintf("%.0f", v)
		}
		return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.6f", v), "0"), ".")
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = Show(v[i])
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v)
}

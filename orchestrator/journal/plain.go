package journal

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// Plain gives fields with the types that a journal has when it is read again, so
// that who watches a run and who reads its file see the same. Durations become
// seconds. It may give back fields itself where nothing is to be changed.
func Plain(fields map[string]any) map[string]any {
	for _, v := range fields {
		if !isPlain(v) {
			changed := make(map[string]any, len(fields))
			for k, v := range fields {
				changed[k] = plain(v)
			}
			return changed
		}
	}
	return fields
}

func isPlain(v any) bool {
	switch v := v.(type) {
	case nil, string, bool:
		return true
	case float64:
		return !math.IsNaN(v) && !math.IsInf(v, 0)
	case []any:
		for _, one := range v {
			if !isPlain(one) {
				return false
			}
		}
		return true
	case map[string]any:
		for _, one := range v {
			if !isPlain(one) {
				return false
			}
		}
		return true
	}
	return false
}

func plain(v any) any {
	switch v := v.(type) {
	case nil, string, bool:
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v) // JSON has no such number
		}
		return v
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case int32:
		return float64(v)
	case uint64:
		return float64(v)
	case uint32:
		return float64(v)
	case uint16:
		return float64(v)
	case uint8:
		return float64(v)
	case time.Duration:
		return v.Seconds()
	case netip.Addr:
		return v.String()
	case netip.Prefix:
		return v.String()
	case error:
		return v.Error()
	case []any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = plain(v[i])
		}
		return all
	case []string:
		all := make([]any, len(v))
		for i := range v {
			all[i] = v[i]
		}
		return all
	case map[string]any:
		all := make(map[string]any, len(v))
		for k := range v {
			all[k] = plain(v[k])
		}
		return all
	case fmt.Stringer:
		return v.String()
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	var again any
	if json.Unmarshal(b, &again) != nil {
		return fmt.Sprint(v)
	}
	return again
}

package play

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestALookTellsNumbersAndTruths(t *testing.T) {
	for state, want := range map[string]map[string]any{
		`{"machine":{"bindings":1,"invalid":2,"subscribers":3,"questions":0,"timers":9},"tunnel":{}}`: {"bindings": 1.0, "subscribers": 3.0, "questions": 0.0},
		`{"requests":7,"results":{"success":7},"sessions":2,"conversations":0,"peers":["pgw"]}`:       {"sessions": 2.0, "conversations": 0.0},
		`[{"link":"wlan"},{"link":"wlan"}]`:                 {"stations": 2},
		`{"bound":true,"waiting":false,"seq":7,"links":[]}`: {"bound": true, "waiting": false},
		`null`: {},
	} {
		var value any
		if err := json.Unmarshal([]byte(state), &value); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, held(value)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", state, diff)
		}
	}
}

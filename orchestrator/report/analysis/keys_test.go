package analysis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report/analysis"
	"s2clab/orchestrator/report/reporttest"
)

// made is an event key-made at so many seconds. Of is name and fingerprint, in turns.
func made(at int, node, key, print, how string, of ...string) journal.Event {
	f := map[string]any{"nai": "a@x", "key": key, "print": print, "octets": 16.0, "how": how}
	var names, prints []any
	for i := 0; i < len(of); i += 2 {
		names, prints = append(names, of[i]), append(prints, of[i+1])
	}
	if names != nil {
		f["of"], f["of-prints"] = names, prints
	}
	return journal.Event{At: time.Duration(at) * time.Second, Node: node, Name: "key-made", Fields: f}
}

// drawn are the rows, each as deep as it hangs, with the nodes that hold it.
func drawn(events ...journal.Event) string {
	var lines []string
	for _, k := range analysis.Analyze(events, reporttest.Topology()).Keys {
		line := strings.Repeat("  ", k.Depth) + k.Name + " " + k.Print
		if !k.Told {
			line += " not told"
		}
		for _, h := range k.Holders {
			line += " " + h.Node
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestAKeyHangsUnderTheOneItIsMadeOf(t *testing.T) {
	for name, c := range map[string]struct {
		events []journal.Event
		want   []string
	}{
		"holders are in the order of the topology, whoever told first": {
			[]journal.Event{
				made(1, "aaa", "MN-AAA key", "00", "provisioned"), made(1, "aaa", "MN-HA key", "01", "f(MN-AAA key)", "MN-AAA key", "00"),
				made(2, "pgw", "MN-HA key", "01", "from aaa"), made(3, "ue", "MN-AAA key", "00", "provisioned"), made(3, "ue", "MN-HA key", "01", "f(MN-AAA key)", "MN-AAA key", "00"),
			},
			[]string{"MN-AAA key 00 ue aaa", "  MN-HA key 01 ue pgw aaa"},
		},
		"a parent may be told of later": {
			[]journal.Event{made(1, "ue", "b", "02", "", "a", "01"), made(2, "ue", "a", "01", "")},
			[]string{"a 01 ue", "  b 02 ue"},
		},
		"generations are in order": {
			[]journal.Event{made(9, "ue", "b", "04", "", "a", "01"), made(1, "ue", "a", "01", ""), made(3, "ue", "b", "03", "", "a", "01"), made(3, "ue", "c", "05", "", "b", "03")},
			[]string{"a 01 ue", "  b 03 ue", "    c 05 ue", "  b 04 ue"},
		},
		"a parent that nobody told of stands by its name": {
			[]journal.Event{made(1, "ue", "CK", "01", "f3(K)", "K", "00"), made(1, "ue", "IK", "02", "f4(K)", "K", "00")},
			[]string{"K 00 not told", "  CK 01 ue", "  IK 02 ue"},
		},
		"of several parents the first that was told of counts": {
			[]journal.Event{made(1, "ue", "IK", "02", ""), made(2, "ue", "MSK", "03", "", "CK", "01", "IK", "02")},
			[]string{"IK 02 ue", "  MSK 03 ue"},
		},
		"a parent is found by its fingerprint under another name": {
			[]journal.Event{made(1, "ue", "PSK", "01", ""), made(2, "ue", "b", "02", "", "MSK", "01")},
			[]string{"PSK 01 ue", "  b 02 ue"},
		},
		"a key with the same name and another fingerprint is another": {
			[]journal.Event{made(1, "ue", "a", "01", ""), made(1, "pgw", "a", "02", "")},
			[]string{"a 01 ue", "a 02 pgw"},
		},
		"a key that is made of itself is a root": {
			[]journal.Event{made(1, "ue", "a", "01", "", "a", "01")},
			[]string{"a 01 ue"},
		},
		"a circle is cut open": {
			[]journal.Event{made(1, "ue", "a", "01", "", "c", "03"), made(2, "ue", "b", "02", "", "a", "01"), made(3, "ue", "c", "03", "", "b", "02")},
			[]string{"c 03 ue", "  a 01 ue", "    b 02 ue"},
		},
		"a key without fingerprints of parents": {
			[]journal.Event{{Node: "ue", Name: "key-made", Fields: map[string]any{"key": "b", "of": "a"}}},
			[]string{"a  not told", "  b  ue"},
		},
		"an event without a key is none": {
			[]journal.Event{{Node: "ue", Name: "key-made"}, {Node: "ue", Name: "key-made", Fields: map[string]any{"key": 7.0}}},
			nil,
		},
	} {
		if diff := cmp.Diff(strings.Join(c.want, "\n"), drawn(c.events...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatSeveralToldOfAKeyIsPutTogether(t *testing.T) {
	given := made(1, "pgw", "MN-HA key", "01", "from aaa")
	given.Fields["lifetime"] = 3600.0
	derived := made(2, "ue", "MN-HA key", "01", "f(MN-AAA key)", "MN-AAA key", "00")
	derived.Fields["value"] = "a1b2"
	keys := analysis.Analyze([]journal.Event{given, derived, given}, reporttest.Topology()).Keys
	want := analysis.Key{
		NAI: "a@x", Name: "MN-HA key", Print: "01", Octets: 16, Told: true, Made: time.Second, How: "f(MN-AAA key)", Of: []analysis.Parent{{Name: "MN-AAA key", Print: "00"}},
		Lifetime: time.Hour, Value: "a1b2", Depth: 1,
		Holders: []analysis.Holder{{Node: "ue", At: 2 * time.Second, How: "f(MN-AAA key)"}, {Node: "pgw", At: time.Second, How: "from aaa"}},
	}
	if diff := cmp.Diff(want, keys[1]); diff != "" {
		t.Error(diff)
	}
}

func TestKeysOfSubscribersDoNotMix(t *testing.T) {
	other := made(2, "ue", "b", "02", "", "a", "01")
	other.Fields["nai"] = "b@x"
	if diff := cmp.Diff("a 01 ue\na 01 not told\n  b 02 ue", drawn(made(1, "ue", "a", "01", ""), other)); diff != "" {
		t.Error(diff)
	}
}

// Whatever is told: each key has one row, and reading takes no time to speak of.
func TestAnyTangleOfKeysBecomesTrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		print := rapid.SampledFrom([]string{"01", "02", "03", ""})
		var events []journal.Event
		want := map[string]bool{}
		for range rapid.IntRange(0, 24).Draw(t, "events") {
			k, p := name.Draw(t, "key"), print.Draw(t, "print")
			var of []string
			for range rapid.IntRange(0, 2).Draw(t, "parents") {
				of = append(of, name.Draw(t, "of"), print.Draw(t, "of print"))
			}
			events = append(events, made(rapid.IntRange(0, 9).Draw(t, "at"), "ue", k, p, "", of...))
			want[k+p] = true
		}
		a := analysis.Analyze(events, nil)
		sound(t, a)
		got := map[string]int{}
		for _, k := range a.Keys {
			got[k.Name+k.Print]++
		}
		for k := range want {
			if got[k] != 1 {
				t.Fatalf("%s has %d rows", k, got[k])
			}
		}
		for k, n := range got {
			if n != 1 {
				t.Fatalf("%s has %d rows", k, n)
			}
		}
	})
}

func TestMoreKeysThanMakeSenseAreLeftOutWithANote(t *testing.T) {
	var events []journal.Event
	for i := range 12_000 { // each made of the next: the longest chain, told from its end
		events = append(events, made(i, "ue", fmt.Sprint("k", i), fmt.Sprint(i), "", fmt.Sprint("k", i+1), fmt.Sprint(i+1)))
	}
	for range 2 {
		a := analysis.Analyze(events, nil)
		if n := len(a.Keys); n < 10_000 || n > 20_000 {
			t.Errorf("%d keys", n)
		}
		if !slices.ContainsFunc(a.Notes, func(n string) bool { return strings.Contains(n, "more than 10000 keys") }) {
			t.Errorf("notes %q", a.Notes)
		}
		sound(t, a)
		slices.Reverse(events)
		for i := range events {
			events[i].At = time.Duration(i) * time.Second
		}
	}
}

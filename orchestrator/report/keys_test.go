package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"

	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report/reporttest"
)

// rekeyed is a run with keys that were made twice, of one that nobody told of, and
// those of another subscriber.
func rekeyed(show bool) *Report {
	run := Run{Topology: reporttest.Topology()}
	tell := func(at float64, node, nai, key, print string, octets int, how string, of ...string) {
		f := map[string]any{"nai": nai, "key": key, "print": print, "octets": float64(octets), "how": how}
		var names, prints []any
		for i := 0; i < len(of); i += 2 {
			names, prints = append(names, of[i]), append(prints, of[i+1])
		}
		if names != nil {
			f["of"], f["of-prints"] = names, prints
		}
		if key == "MN-HA key" {
			f["lifetime"] = 1800.0
		}
		if show {
			f["value"] = strings.Repeat(print[:2], octets)
		}
		run.Events = append(run.Events, journal.Event{At: time.Duration(at * 1e9), Node: node, Name: "key-made", Fields: f})
	}
	const a, b = "001010000000001@nai.example", "001010000000002@nai.example"
	for i, g := range []string{"a", "b"} {
		at := float64(30 * i)
		for _, node := range []string{"aaa", "ue"} {
			tell(at+1, node, a, "CK", g+"0000001", 16, "f3(K, RAND)", "K", "11111111")
			tell(at+1, node, a, "IK", g+"0000002", 16, "f4(K, RAND)", "K", "11111111")
			tell(at+1.01, node, a, "EMSK", g+"0000003", 64, "PRF(MK), octets 96 to 159", "CK", g+"0000001", "IK", g+"0000002")
			tell(at+2, node, a, "MN-HA key", g+"0000004", 16, `First128(HMAC-SHA1(EMSK, "MN-HA" | NAI | home agent | timestamp))`, "EMSK", g+"0000003")
		}
		tell(at+2.1, "pgw", a, "MN-HA key", g+"0000004", 16, "from aaa.example")
	}
	tell(9.5, "ue", b, "MN-HA key", "cccccccc", 16, "provisioned")
	return New(run)
}

func TestTreesOfKeysAreDrawnAsWideAsTheTerminalIs(t *testing.T) {
	for name, c := range map[string]struct {
		columns int
		show    bool
	}{
		"keys.txt":        {0, false},
		"keys-135.txt":    {135, false},
		"keys-80.txt":     {80, false},
		"keys-values.txt": {80, true},
	} {
		text := KeysText(rekeyed(c.show).Keys, c.columns, false)
		golden(t, name, []byte(text))
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); c.columns > 0 && n > c.columns {
				t.Errorf("%s: %d characters in %d columns: %s", name, n, c.columns, line)
			}
			if strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
				t.Errorf("%s: spaces at the end of %q", name, line)
			}
		}
	}
}

func TestKeysOfOneSubscriberAreFoundByNAIOrUser(t *testing.T) {
	r := rekeyed(false)
	for nai, want := range map[string]int{"": len(r.Keys), "001010000000002": 1, "001010000000002@nai.example": 1, "001010000000001": len(r.Keys) - 1, "00101": 0, "nai.example": 0} {
		if got := len(r.KeysOf(nai)); got != want {
			t.Errorf("%q: %d keys, want %d", nai, got, want)
		}
	}
	if got := strings.Join(r.Subscribers(), " "); got != "001010000000001@nai.example 001010000000002@nai.example" {
		t.Errorf("subscribers %s", got)
	}
}

func TestWhatNodesTellOfKeysCannotCommandTheTerminal(t *testing.T) {
	r := rekeyed(true)
	const evil = "\x1b[2J\x07\u009b31m\n"
	for i := range r.Events {
		for name, v := range r.Events[i].Fields {
			if s, ok := v.(string); ok {
				r.Events[i].Fields[name] = s + evil
			}
		}
		r.Events[i].Node += evil
	}
	for _, columns := range []int{0, 1, 60} {
		if text := KeysText(New(r.Run).Keys, columns, false); strings.ContainsAny(text, "\x1b\x07\u009b") || !strings.Contains(text, "MN-HA key") {
			t.Errorf("%q", text)
		}
	}
}

func TestThePageHasEachKeyUnderTheOneThatItIsMadeOf(t *testing.T) {
	for _, show := range []bool{false, true} {
		r := rekeyed(show)
		var rows []string
		values := 0
		elements(t, pageOf(t, r), func(n *html.Node, attr func(string) string) {
			switch {
			case n.Data == "th" && attr("class") == "w limb":
				rows = append(rows, strings.TrimPrefix(attr("style"), "padding-left:")+" "+textOf(n))
			case attr("class") == "value":
				values++
			}
		})
		want := `0.60rem K
2.00rem CK, made of K
3.40rem EMSK, made of CK
4.80rem MN-HA key, made of EMSK
2.00rem IK, made of K
2.00rem CK, made of K
3.40rem EMSK, made of CK
4.80rem MN-HA key, made of EMSK
2.00rem IK, made of K
0.60rem MN-HA key`
		if got := strings.Join(rows, "\n"); got != want {
			t.Errorf("the page has\n%s\nwant\n%s", got, want)
		}
		if told := len(r.Keys) - 1; values != 0 && !show || values != told && show {
			t.Errorf("shown %v: %d values of %d keys", show, values, told)
		}
	}
	elements(t, pageOf(t, New(Run{})), func(n *html.Node, attr func(string) string) {
		if attr("id") == "keys" || attr("href") == "#keys" {
			t.Error("a page without keys speaks of them")
		}
	})
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

func TestResultKeysReadBackAsTheyAre(t *testing.T) {
	r := rekeyed(true)
	raw, err := json.Marshal(ResultKeys(r.Keys))
	if err != nil {
		t.Fatal(err)
	}
	var back []ResultKey
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	k := back[3]
	if k.Key != "MN-HA key" || k.Depth != 3 || len(k.Holders) != 3 || k.Holders[1] != (ResultHolder{"pgw", 2.1, "from aaa.example"}) || *k.Lifetime != 1800 || *k.Made != 2 ||
		len(k.Of) != 1 || k.Of[0] != (ResultParent{"EMSK", "a0000003"}) || len(k.Value) != 32 {
		t.Errorf("got %+v", k)
	}
	if root := back[0]; root.Made != nil || len(root.Holders) != 0 || root.Key != "K" {
		t.Errorf("got %+v", root)
	}
}

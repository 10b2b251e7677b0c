package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"s2clab/nodes/netns/netnstest"
	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report/reporttest"
)

func pageOf(t testing.TB, r *Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// hostile is a run in which every text that can come from outside holds markup.
func hostile() *Report {
	const evil = `</script><script>alert(1)</script><img src=x onerror=alert(2)>" onload="alert(3)`
	r := sample()
	run := r.Run
	run.ID, run.Scenario, run.Description, run.Program = evil, evil, evil, evil
	run.Picture = []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(4)</script></svg>`)
	for i := range run.Events {
		for k, v := range run.Events[i].Fields {
			if s, ok := v.(string); ok && k != "message" && k != "link" && k != "flow" && k != "from" && k != "fate" {
				run.Events[i].Fields[k] = s + evil
			}
		}
		run.Events[i].Fields[evil] = evil
	}
	return New(run)
}

// elements calls f for each element of a page.
func elements(t testing.TB, page []byte, f func(n *html.Node, attr func(string) string)) {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			f(n, func(key string) string {
				for _, a := range n.Attr {
					if a.Key == key {
						return a.Val
					}
				}
				return ""
			})
		}
	}
}

func TestThePageLoadsNothingAndRunsNothingButItsOwn(t *testing.T) {
	for name, r := range map[string]*Report{"the story": sample(), "a hostile one": hostile()} {
		scripts := 0
		elements(t, pageOf(t, r), func(n *html.Node, attr func(string) string) {
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s: <%s %s=%q>", name, n.Data, a.Key, a.Val)
				}
				if (a.Key == "src" || a.Key == "href") && !strings.HasPrefix(a.Val, "#") && !strings.HasPrefix(a.Val, "data:") {
					t.Errorf("%s: <%s %s=%q>", name, n.Data, a.Key, a.Val)
				}
			}
			switch n.Data {
			case "script":
				scripts++
			case "iframe", "object", "embed", "base", "form":
				t.Errorf("%s: <%s>", name, n.Data)
			}
		})
		if scripts != 2 {
			t.Errorf("%s: %d scripts, want the data and the page's own", name, scripts)
		}
	}
}

func TestNoTextOfAPacketBecomesMarkup(t *testing.T) {
	elements(t, pageOf(t, hostile()), func(n *html.Node, attr func(string) string) {
		if n.Data == "img" && !strings.HasPrefix(attr("src"), "data:image/svg+xml;base64,") {
			t.Errorf("<img src=%q>", attr("src"))
		}
	})
	if page := pageOf(t, sample()); bytes.Contains(page, []byte("<img src=x")) {
		t.Error("the NAI of the story is in the page as it stands")
	}
}

func TestThePageCanBeFoundOneselfWayIn(t *testing.T) {
	count := map[string]int{}
	r := sample()
	r.Picture = r.Topology.SVG()
	elements(t, pageOf(t, r), func(n *html.Node, attr func(string) string) {
		count[n.Data]++
		switch n.Data {
		case "html":
			if attr("lang") == "" {
				t.Error("no language")
			}
		case "img":
			if attr("alt") == "" {
				t.Error("a picture without alternative text")
			}
		case "section", "nav":
			if attr("aria-labelledby") == "" && attr("aria-label") == "" {
				t.Errorf("a %s without a name", n.Data)
			}
		case "th":
			if attr("scope") == "" {
				t.Error("a header cell without scope")
			}
		}
	})
	for _, want := range []string{"title", "header", "nav", "main", "footer", "h1", "img"} {
		if count[want] < 1 {
			t.Errorf("no <%s>", want)
		}
	}
	if count["h1"] != 1 || count["main"] != 1 {
		t.Errorf("%d h1, %d main", count["h1"], count["main"])
	}
}

func TestThePageOfAnyJournalIsWhole(t *testing.T) {
	events := reporttest.Judged(reporttest.Default().Events())
	for n := 0; n <= len(events); n += 7 {
		r := New(Run{Events: events[:n], Topology: reporttest.Topology()})
		page := pageOf(t, r)
		if !bytes.Contains(page, []byte("</html>")) {
			t.Fatalf("%d events: no end of the page", n)
		}
		if want := "did not come to its end"; n < len(events) && !bytes.Contains(page, []byte(want)) {
			t.Fatalf("%d events: the page does not say that the run %s", n, want)
		}
		var data map[string]any
		if err := json.Unmarshal(dataOf(t, page), &data); err != nil {
			t.Fatalf("%d events: %v", n, err)
		}
	}
	pageOf(t, New(Run{}))
}

// dataOf is what the page's scripts draw.
func dataOf(t testing.TB, page []byte) (data []byte) {
	elements(t, page, func(n *html.Node, attr func(string) string) {
		if attr("id") == "data" {
			data = []byte(n.FirstChild.Data)
		}
	})
	return data
}

// browse opens a page in a browser and returns what it has become.
func browse(t *testing.T, page []byte) []byte {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		netnstest.Lacking(t, "chromium", err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, page, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--enable-logging=stderr", "--window-size=1280,900", "--user-data-dir="+t.TempDir(), "--dump-dom", "file://"+file)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &log, 5*time.Second
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("chromium: %v\n%s", err, log.Bytes())
	}
	for _, line := range strings.Split(log.String(), "\n") {
		if strings.Contains(line, ":CONSOLE") {
			t.Errorf("the browser says: %s", line)
		}
	}
	return out.Bytes()
}

func TestTheBrowserDrawsLadderAndCharts(t *testing.T) {
	dom := browse(t, pageOf(t, sample()))
	ids := regexp.MustCompile(`id="msg-\d+"`).FindAll(dom, -1)
	if len(ids) != 18 {
		t.Errorf("the ladder shows %d messages, want 18", len(ids))
	}
	charts := 0
	elements(t, dom, func(n *html.Node, attr func(string) string) {
		if attr("class") == "chart" {
			charts++
		}
	})
	if charts != 3 {
		t.Errorf("%d charts, want 3", charts)
	}
	for _, want := range []string{"Binding Update · #101 · MN-AAA", "MIP6-Request (MIR)", "RFC 6275, section 6.1.7", "ue leaves lte"} {
		if !bytes.Contains(dom, []byte(want)) {
			t.Errorf("the page does not show %q", want)
		}
	}
}

func TestTheBrowserDrawsSignals(t *testing.T) {
	run := sample().Run
	hear := func(at time.Duration, link string, fields map[string]any) {
		fields["link"] = link
		run.Events = append(run.Events, journal.Event{At: at, Node: "ue", Name: "signal-changed", Fields: fields})
	}
	hear(time.Second, "lte", map[string]any{"signal": -61.5})
	hear(5*time.Second, "lte", map[string]any{})
	hear(4*time.Second, `<b>wlan`, map[string]any{"signal": -72.0})
	hear(2*time.Second, "wimax", map[string]any{}) // never heard
	dom := browse(t, pageOf(t, New(run)))
	lines, names := 0, ""
	elements(t, dom, func(n *html.Node, attr func(string) string) {
		if n.Data == "path" && strings.HasPrefix(attr("stroke"), "var(--signal") && attr("d") != "" {
			lines++
		}
		if n.Data == "text" && strings.HasPrefix(attr("style"), "fill:var(--signal") {
			names += n.FirstChild.Data + " "
		}
	})
	if lines != 2 || names != "lte <b>wlan " || !bytes.Contains(dom, []byte("Signal, dBm")) {
		t.Errorf("%d lines with the names %q", lines, names)
	}
}

func TestTheBrowserRunsNoTextOfAPacket(t *testing.T) {
	page := bytes.ReplaceAll(pageOf(t, hostile()), []byte("alert("), []byte("console.log("))
	elements(t, browse(t, page), func(n *html.Node, attr func(string) string) {
		if attr("onerror") != "" || attr("onload") != "" {
			t.Errorf("<%s> came from a packet", n.Data)
		}
	})
}

func TestThousandsOfMessagesAreDrawnAsTheyAreSeen(t *testing.T) {
	r := New(Run{Scenario: "ping-pong", Topology: reporttest.Topology(), Events: reporttest.PingPong(750).Events()})
	if len(r.Messages) < 3000 {
		t.Fatalf("%d messages", len(r.Messages))
	}
	page := pageOf(t, r)
	if len(page) > 4<<20 {
		t.Errorf("the page has %d octets", len(page))
	}
	dom := browse(t, page)
	drawn := len(regexp.MustCompile(`id="msg-\d+"`).FindAll(dom, -1))
	if drawn == 0 || drawn > 100 {
		t.Errorf("%d of %d messages are drawn at once", drawn, len(r.Messages))
	}
	if want := fmt.Sprintf("%d messages.", len(r.Messages)); !bytes.Contains(dom, []byte(want)) {
		t.Errorf("the page does not say %q", want)
	}
}

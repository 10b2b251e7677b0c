package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/netns/netnstest"
	"s2clab/orchestrator/cli"
	"s2clab/orchestrator/report"
	"s2clab/orchestrator/supervise"
	"s2clab/scenarios"
)

var update = flag.Bool("update", false, "write the parts of pages that the program makes")

const repo = "../.."

// pages are those whose commands are typed, in the order in which a newcomer
// reads them: what one has made, the next may use.
var pages = []string{"README.md", "docs/commands.md", "docs/journal.md", "docs/results.md", "docs/topology.md", "docs/scenario.md", "docs/scenarios.md", "docs/home-agents.md", "docs/hss.md", "docs/bootstrapping.md", "docs/architecture.md", "docs/conformance.md"}

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repo, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A typed command is one line of a console block after "$ ", with those after
// "> ", and what the page shows of its output.
type typed struct {
	page    string
	line    int
	command string
	shown   []string
}

func consoles(t *testing.T, name string) (all []typed) {
	inside := false
	for i, line := range strings.Split(page(t, name), "\n") {
		command, isCommand := strings.CutPrefix(line, "$ ")
		more, isMore := strings.CutPrefix(line, "> ")
		switch {
		case line == "```console":
			inside = true
		case line == "```":
			inside = false
		case !inside:
		case isCommand:
			all = append(all, typed{page: name, line: i + 1, command: command})
		case len(all) == 0:
			t.Errorf("%s:%d: output of no command", name, i+1)
		case isMore && all[len(all)-1].shown == nil:
			all[len(all)-1].command += "\n" + more
		default:
			all[len(all)-1].shown = append(all[len(all)-1].shown, line)
		}
	}
	return all
}

// agree says whether output is what a page shows. "..." stands for anything: as a
// line, for any lines. Spaces count once, and a number stands for any.
func agree(shown []string, output string) bool {
	spaces := regexp.MustCompile(`\s+`)
	numbers := regexp.MustCompile(`-?[0-9]+(\\\.[0-9]+)?`)
	var form strings.Builder
	for _, line := range shown {
		if line == "..." {
			form.WriteString(`(?:.*\n)*?`)
			continue
		}
		line = regexp.QuoteMeta(spaces.ReplaceAllString(strings.TrimSpace(line), " "))
		line = numbers.ReplaceAllString(line, `-?[0-9]+(?:\.[0-9]+)?`)
		form.WriteString(strings.ReplaceAll(line, `\.\.\.`, `.*`) + "\n")
	}
	var plain strings.Builder
	for _, line := range strings.Split(strings.TrimRight(output, "\n"), "\n") {
		plain.WriteString(spaces.ReplaceAllString(strings.TrimSpace(line), " ") + "\n")
	}
	return regexp.MustCompile(`\A` + form.String() + `\z`).MatchString(plain.String())
}

// TestTheCommandsOfThePagesDoWhatThePagesShow types all of them, in a clean copy
// of the tree, and holds what the runs leave to the page about journals.
func TestTheCommandsOfThePagesDoWhatThePagesShow(t *testing.T) {
	if testing.Short() {
		t.Skip("plays the default scenario")
	}
	if out, err := exec.Command("s2clab", "doctor").CombinedOutput(); err != nil {
		netnstest.Lacking(t, "netns", fmt.Errorf("%w\n%s", err, out))
	}
	if _, err := exec.LookPath("ping"); err != nil {
		netnstest.Lacking(t, "ping", err)
	}
	run := func(f func() error) { f() }
	if os.Geteuid() == 0 { // where labs of other tests, which run beside this one, are not seen
		space := netnstest.New(t)
		run = func(f func() error) { netnstest.In(t, space, f) }
	}
	dir := treeCopy(t)
	t.Cleanup(func() {
		run(func() error {
			for _, lab := range []string{"eps-s2c", "eps-trusted"} {
				exec.Command("s2clab", "down", lab).Run() // is up where a page went wrong
			}
			return nil
		})
	})
	for _, name := range pages {
		for _, c := range consoles(t, name) {
			if c.command == "./scripts/test" {
				continue // that is what runs this
			}
			run(func() error {
				enter(t, dir, c)
				return nil
			})
			if t.Failed() {
				return // what follows builds on it
			}
		}
	}
	journals, _ := filepath.Glob(filepath.Join(dir, "runs/*/journal.jsonl"))
	if len(journals) == 0 {
		t.Error("no run has left a journal")
	}
	known := described(t)
	for _, file := range journals {
		isDescribed(t, file, known)
	}
}

// enter types one command and holds its output to the page. A run has a second
// chance: tests of other packages run beside this one, and on a machine so busy it
// may miss its bounds.
func enter(t *testing.T, dir string, c typed) {
	began := time.Now()
	first, _, _ := strings.Cut(c.command, "\n")
	chances := 1
	if first == "./scripts/run" || strings.HasPrefix(first, "s2clab run") || strings.HasPrefix(first, "s2clab play") {
		chances = 2
	}
	var out []byte
	var err error
	for i := range chances {
		if i > 0 {
			t.Logf("%s:%d: %s: once more, after %v and\n%s", c.page, c.line, first, err, out)
		}
		within, cancel := context.WithTimeout(t.Context(), longestCommand)
		cmd := exec.CommandContext(within, "sh", "-c", c.command)
		cmd.Dir, cmd.WaitDelay = dir, time.Second
		out, err = cmd.CombinedOutput()
		cancel()
		if err == nil && (c.shown == nil || agree(c.shown, string(out))) {
			break
		}
	}
	t.Logf("%s:%d: %s (%v)", c.page, c.line, first, time.Since(began).Round(time.Millisecond))
	switch {
	case err != nil:
		t.Errorf("%s:%d: %s: %v\n%s", c.page, c.line, first, err, out)
	case c.shown != nil && !agree(c.shown, string(out)):
		t.Errorf("%s:%d: %s\nprints\n%s\nand the page shows\n%s", c.page, c.line, first, out, strings.Join(c.shown, "\n"))
	}
}

// longestCommand is how long a command of a page may take. ./scripts/run builds first.
const longestCommand = 5 * time.Minute

// treeCopy is a copy of the tree as a clean clone has it.
func treeCopy(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, entry := range []string{"README.md", "go.mod", "go.sum", "cmd", "docs", "nodes", "orchestrator", "scenarios", "scripts", "topologies"} {
		if out, err := exec.Command("cp", "-R", filepath.Join(repo, entry), dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return dir
}

// An indented command is shown and not typed above: those that run a scenario
// take long, and here are checked only.
func TestTheCommandsInPassingAreGood(t *testing.T) {
	more, err := filepath.Glob(filepath.Join(repo, "scenarios/*/README.md"))
	if err != nil || len(more) == 0 {
		t.Fatalf("pages of scenarios: %d, %v", len(more), err)
	}
	names := slices.Clone(pages)
	for _, file := range more {
		name, err := filepath.Rel(repo, file)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	commands := regexp.MustCompile(`(?m)^    s2clab ((?:run|check) .*)$`)
	repeat := regexp.MustCompile(` --(repeat|seed|runs) \S+`)
	for _, name := range names {
		for _, m := range commands.FindAllStringSubmatch(page(t, name), -1) {
			if strings.Contains(m[1], "<") || strings.Contains(m[1], "FILE") {
				continue // a form, not a command
			}
			verb, rest, _ := strings.Cut(repeat.ReplaceAllString(m[1], ""), " ")
			if verb == "run" && strings.HasPrefix(rest, "-") {
				rest = scenarios.Default + " " + rest
			}
			line := "s2clab check " + rest
			cmd := exec.Command("sh", "-c", line)
			cmd.Dir = repo
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: s2clab %s\n%s", name, m[1], out)
			}
		}
	}
}

// The help of each command stands in the page about commands.
func TestThePageAboutCommandsHasTheHelpOfEach(t *testing.T) {
	const name = "docs/commands.md"
	have := page(t, name)
	help, err := exec.Command("s2clab", "help").Output()
	if err != nil {
		t.Fatal(err)
	}
	verbs := regexp.MustCompile(`(?m)^  ([a-z]+)\b`).FindAllSubmatch(help, -1)
	if len(verbs) < 10 {
		t.Fatalf("%d commands in the help:\n%s", len(verbs), help)
	}
	want := regexp.MustCompile(`(?s)<!-- help ([a-z]+) -->\n.*?<!-- end -->`).ReplaceAllStringFunc(have, func(part string) string {
		head, _, _ := strings.Cut(part, "\n")
		out, err := exec.Command("s2clab", strings.Fields(head)[2], "-h").Output()
		if err != nil {
			t.Errorf("%s: %v", head, err)
		}
		return head + "\n```text\n" + string(bytes.TrimSpace(out)) + "\n```\n<!-- end -->"
	})
	for _, verb := range verbs {
		if !strings.Contains(have, "<!-- help "+string(verb[1])+" -->") {
			t.Errorf("%s says nothing of %s", name, verb[1])
		}
	}
	if *update {
		if err := os.WriteFile(filepath.Join(repo, name), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if have != want {
		t.Errorf("%s is not what the program says; write it with: go test ./cmd/s2clab -run TestThePage -update", name)
	}
}

// printed are the values that commands print for programs, by the page and the
// name of the table that describes them.
var printed = map[[2]string][]any{
	{"docs/commands.md", "ps"}:     {cli.ShownLab{}, cli.ShownNode{}},
	{"docs/commands.md", "link"}:   {cli.ShownEnd{}, cli.ShownDevice{}, cli.ShownImpairment{}, cli.ShownJitter{}, cli.ShownLoss{}, cli.ShownQueue{}},
	{"docs/commands.md", "doctor"}: {supervise.Finding{}},
	{"docs/results.md", "keys"}:    {report.ResultKey{}, report.ResultParent{}, report.ResultHolder{}},
	{"docs/results.md", "series"}:  {report.SeriesResult{}, report.SeriesRun{}, report.SeriesBroken{}, report.SeriesStatistics{}},
}

// What a command prints for programs stands in a page, member for member, and
// nothing else does.
func TestThePagesHaveTheMembersOfWhatIsPrinted(t *testing.T) {
	for place, values := range printed {
		name, verb := place[0], place[1]
		_, rest, there := strings.Cut(page(t, name), "<!-- members "+verb+" -->")
		table, _, _ := strings.Cut(rest, "<!-- end -->")
		if !there {
			t.Errorf("%s has no members of %s", name, verb)
			continue
		}
		all := words(table)
		var first []string
		for _, m := range row.FindAllStringSubmatch(table, -1) {
			first = append(first, words(m[1])...)
		}
		var members []string
		for _, v := range values {
			for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
				member, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				if members = append(members, member); !slices.Contains(all, member) {
					t.Errorf("%s: %s prints the member %q, and the table lacks it", name, verb, member)
				}
			}
		}
		for _, word := range first {
			if !slices.Contains(members, word) {
				t.Errorf("%s: %s prints no member %q", name, verb, word)
			}
		}
	}
}

var (
	row    = regexp.MustCompile("(?m)^\\| (`[^|]*) \\|(.*)\\|$")
	quoted = regexp.MustCompile("`([^`]+)`")
)

// words are the texts in code type of a cell.
func words(cell string) (all []string) {
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1])
	}
	return all
}

// described gives the fields of each event and message that docs/journal.md
// describes; under "packet" those of all messages.
func described(t *testing.T) map[string][]string {
	known := map[string][]string{}
	chapter := ""
	for line := range strings.Lines(page(t, "docs/journal.md")) {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			chapter = strings.TrimSpace(name)
		}
		m := row.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		names, cells := words(m[1]), strings.Split(m[2], "|")
		switch {
		case chapter == "A line":
		case len(cells) == 1:
			known["packet"] = append(known["packet"], names...)
		default:
			known[names[0]] = append(known[names[0]], words(cells[0])...)
		}
	}
	return known
}

// isDescribed holds a journal to docs/journal.md.
func isDescribed(t *testing.T, file string, known map[string][]string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	said := map[string]bool{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct {
			Event  string
			Fields map[string]any
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v\n%s", file, err, lines.Bytes())
		}
		name, common := e.Event, []string(nil)
		if name == "packet" {
			name, common = e.Fields["message"].(string), known["packet"]
			if strings.HasPrefix(name, "mobility-message-") {
				name = "mobility-message-100" // which stands for all of them
			}
		}
		fields, ok := known[name]
		if !ok && !said[name] {
			said[name] = true
			t.Errorf("docs/journal.md knows no %s", name)
		}
		for field := range e.Fields {
			if ok && !said[name+field] && !slices.Contains(fields, field) && !slices.Contains(common, field) {
				said[name+field] = true
				t.Errorf("docs/journal.md knows no field %s of %s", field, name)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
}

// What a scenario may speak of, as docs/scenario.md has it from the format's own
// tables, is in the page about journals.
func TestThePageAboutJournalsHasTheWordsOfScenarios(t *testing.T) {
	known := described(t)
	for _, part := range []string{"messages", "events"} {
		_, rest, there := strings.Cut(page(t, "docs/scenario.md"), "<!-- "+part+" -->")
		table, _, _ := strings.Cut(rest, "<!-- end -->")
		rows := row.FindAllStringSubmatch(table, -1)
		if !there || len(rows) < 10 {
			t.Fatalf("%d %s", len(rows), part)
		}
		for _, m := range rows {
			name, cells := words(m[1])[0], strings.Split(m[2], "|")
			fields, ok := known[name]
			if !ok {
				t.Errorf("docs/journal.md knows no %s", name)
				continue
			}
			own := cells[0] // of a message; of an event the roles come first
			if part == "events" {
				own = cells[1]
			}
			for _, field := range words(own) {
				if field != "node" && !slices.Contains(fields, field) {
					t.Errorf("docs/journal.md knows no field %s of %s", field, name)
				}
			}
		}
	}
}

// The list of scenarios has a row for each that is shipped, and for nothing else.
func TestThePageAboutScenariosHasEachOnce(t *testing.T) {
	const name = "docs/scenarios.md"
	rows := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\| \[([^\]]+)\]\(\.\./scenarios/([^/]+)/README\.md\) \| .+ \|$`).FindAllStringSubmatch(page(t, name), -1) {
		if rows[m[1]]++; m[1] != m[2] {
			t.Errorf("%s: the row of %s leads to the page of %s", name, m[1], m[2])
		}
	}
	for _, s := range scenarios.Shipped() {
		if rows[s] != 1 {
			t.Errorf("%s has %d rows of %s, want 1: add it where it belongs, as [%s](../scenarios/%s/README.md)", name, rows[s], s, s, s)
		}
		delete(rows, s)
	}
	for s := range rows {
		t.Errorf("%s has a row of %s, which is not shipped", name, s)
	}
}

// A link from one page to another leads somewhere.
func TestLinksOfPagesLeadSomewhere(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(repo, "docs/*.md"))
	more, _ := filepath.Glob(filepath.Join(repo, "scenarios/*/README.md"))
	for _, file := range append(append(files, more...), filepath.Join(repo, "README.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`).FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), string(m[1]))); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

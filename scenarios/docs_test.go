package scenarios

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"s2clab/topologies/strict"
)

var (
	parts    = regexp.MustCompile(`(?s)<!-- (\w+)(?:: (\S+))? -->\n.*?<!-- end -->`)
	examples = regexp.MustCompile("(?s)```yaml\n(.*?)```")
)

// reference makes one part of the reference page.
func reference(t *testing.T, part, ref string) string {
	var b strings.Builder
	switch part {
	case "table":
		shape := strict.Find(format(), ref)
		switch ref {
		case "scenario":
			shape = format()
		case "step":
			plain := *shape
			plain.Fields = nil
			for _, f := range shape.Fields {
				if f.For == nil {
					plain.Fields = append(plain.Fields, f)
				}
			}
			shape = &plain
		}
		return strict.Table(shape)
	case "verbs":
		step := strict.Find(format(), "step")
		for _, verb := range verbs {
			shape := strict.Find(format(), "step."+verb)
			for _, f := range step.Fields {
				if f.Key == verb {
					fmt.Fprintf(&b, "### %s\n\n%s", verb, f.Doc)
				}
			}
			own := *shape
			own.Fields = nil
			taken := false
			for _, f := range shape.Fields {
				if strings.HasPrefix(f.Doc, "Field: ") {
					taken = true
				} else {
					own.Fields = append(own.Fields, f)
				}
			}
			if shape.Short != "" {
				fmt.Fprintf(&b, " A value alone stands for `%s`.", shape.Short)
			}
			if taken {
				b.WriteString(" Fields of the message or event stand beside these keys.")
			}
			if verb == "repeat" {
				b.WriteString(" `every` and `steps` stand beside it:\n\n    - {at: 5s, repeat: 10, every: 1s, steps: [{move: {node: ue, to: wlan}}, {at: 500ms, move: {node: ue, to: wimax}}]}")
			}
			b.WriteString("\n\n")
			if len(own.Fields) > 0 {
				b.WriteString(strict.Table(&own) + "\n")
			}
		}
	case "measures":
		b.WriteString("| measure | unit | may be asked of | what |\n|---|---|---|---|\n")
		for _, m := range measures() {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, unitScalar(m.unit).Name, strings.Join(m.of, ", "), m.doc)
		}
	case "messages", "events":
		b.WriteString("| name | where | fields | what |\n|---|---|---|---|\n")
		if part == "messages" {
			b.Reset()
			b.WriteString("All of them have the fields " + code(everyMessage) + ".\n\n| name | more fields | what |\n|---|---|---|\n")
		}
		for _, w := range words() {
			switch {
			case w.message && part == "messages":
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", w.name, code(w.fields[:len(w.fields)-len(everyMessage)]), w.doc)
			case !w.message && part == "events":
				where := "any"
				if w.roles != nil {
					where = strings.Join(w.roles, ", ")
				}
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", w.name, where, code(w.fields), w.doc)
			}
		}
	case "columns":
		b.WriteString("| column | units | what |\n|---|---|---|\n")
		for _, c := range columns() {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.name, code(c.units), c.doc)
		}
	case "fields":
		b.WriteString("| field | value | what |\n|---|---|---|\n")
		for _, f := range fields() {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, string(f.kind), f.doc)
		}
	default:
		t.Fatalf("the page has a part %s that no one makes", part)
	}
	return b.String()
}

func code(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "`, `") + "`"
}

func TestTheReferencePageHasTheWordsOfTheFormat(t *testing.T) {
	const file = "../docs/scenario.md"
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := parts.ReplaceAllStringFunc(string(have), func(part string) string {
		m := parts.FindStringSubmatch(part)
		head, _, _ := strings.Cut(part, "\n")
		return head + "\n" + reference(t, m[1], m[2]) + "<!-- end -->"
	})
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		have = []byte(want)
	}
	if string(have) != want {
		t.Errorf("%s is not what the tables make; write it with: go test ./topologies ./scenarios -update", file)
	}
}

func TestTheExamplesOfTheReferencePageAreInOrder(t *testing.T) {
	page, err := os.ReadFile("../docs/scenario.md")
	if err != nil {
		t.Fatal(err)
	}
	found := examples.FindAllSubmatch(page, -1)
	if len(found) < 2 {
		t.Fatalf("%d examples", len(found))
	}
	for _, m := range found {
		if _, err := Parse("../docs/scenario.md", m[1]); err != nil {
			t.Errorf("%v\n%s", err, m[1])
		}
	}
}

package topologies

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"s2clab/topologies/strict"
)

var (
	tables   = regexp.MustCompile(`(?s)<!-- table: (\S+) -->\n.*?<!-- end -->`)
	examples = regexp.MustCompile("(?s)```yaml\n(.*?)```")
)

func TestTheReferencePageHasTheKeysOfTheFormat(t *testing.T) {
	const file = "../docs/topology.md"
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := tables.ReplaceAllStringFunc(string(have), func(part string) string {
		ref := tables.FindStringSubmatch(part)[1]
		shape := strict.Find(format(), ref)
		if ref == "topology" {
			shape = format()
		}
		if shape == nil {
			t.Fatalf("%s: there is no %s in the format", file, ref)
		}
		return "<!-- table: " + ref + " -->\n" + strict.Table(shape) + "<!-- end -->"
	})
	current(t, file, []byte(want))
}

func TestTheExamplesOfTheReferencePageAreInOrder(t *testing.T) {
	page, err := os.ReadFile("../docs/topology.md")
	if err != nil {
		t.Fatal(err)
	}
	found := examples.FindAllSubmatch(page, -1)
	if len(found) < 2 {
		t.Fatalf("%d examples", len(found))
	}
	for _, m := range found {
		if _, _, err := Parse("../docs/topology.md", m[1]); err != nil {
			t.Errorf("%v\n%s", err, m[1])
		}
	}
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "    s2clab check eps-s2c --set") {
			continue
		}
		var overrides []Override
		for _, part := range strings.Split(line, "--set ")[1:] {
			o, err := strict.ParseOverride(strings.Trim(strings.TrimSpace(part), "'"))
			if err != nil {
				t.Fatal(err)
			}
			overrides = append(overrides, o)
		}
		if _, _, err := Load("eps-s2c", overrides...); err != nil {
			t.Errorf("%s%v", line, err)
		}
	}
}

package topologies

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"s2clab/topologies/strict/schematest"
)

var update = flag.Bool("update", false, "write the files that tests compare with")

// current sees that a file is what the program makes.
func current(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != string(want) {
		t.Errorf("%s is not what the table of the format makes; write it with: go test ./topologies ./scenarios -update", file)
	}
}

func TestTheSchemaFilesAreCurrent(t *testing.T) {
	current(t, "../docs/schema/topology.json", Schema())
	current(t, "../docs/schema/subscribers.json", SubscribersSchema())
}

var named = regexp.MustCompile(`^# yaml-language-server: \$schema=(\S+)\n`)

func TestShippedFilesNameTheirSchemaAndKeepToIt(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("shipped files: %v, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := named.FindSubmatch(data)
		if m == nil {
			t.Errorf("%s does not name its schema on the first line", file)
			continue
		}
		schema, err := os.ReadFile(string(m[1]))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, w := range schematest.Parse(t, schema).CheckYAML(t, data) {
			t.Errorf("%s: %s", file, w)
		}
	}
}

func TestTheSchemaRefusesWhatTheReaderRefuses(t *testing.T) {
	schema := schematest.Parse(t, Schema())
	for what, file := range map[string]string{
		"an unknown key":      "topology: a\nnodes: {r: {role: router}}\nlinks: {l: {ends: [r], dely: 5ms}}\n",
		"an unknown role":     "topology: a\nnodes: {r: {role: routr}}\nlinks: {l: {ends: [r]}}\n",
		"no unit":             "topology: a\nnodes: {r: {role: router}}\nlinks: {l: {ends: [r], delay: 5}}\n",
		"a key of a role":     "topology: a\nnodes: {r: {role: router, home-agent: x}}\nlinks: {l: {ends: [r]}}\n",
		"no links":            "topology: a\nnodes: {r: {role: router}}\n",
		"a number for a name": "topology: 5\nnodes: {r: {role: router}}\nlinks: {l: {ends: [r]}}\n",
		"a name as none is":   "topology: a\nnodes: {R_1: {role: router}}\nlinks: {l: {ends: [r]}}\n",
	} {
		if wrong := schema.CheckYAML(t, []byte(file)); len(wrong) == 0 {
			t.Errorf("%s passes the schema", what)
		}
		if _, _, err := Parse("t.yaml", []byte(file)); err == nil {
			t.Errorf("%s passes the reader", what)
		}
	}
}

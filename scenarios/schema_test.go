package scenarios

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"s2clab/topologies/strict/schematest"
)

var update = flag.Bool("update", false, "write the files that tests compare with")

func TestTheSchemaFileIsCurrent(t *testing.T) {
	const file = "../docs/schema/scenario.json"
	if *update {
		if err := os.WriteFile(file, Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != string(Schema()) {
		t.Errorf("%s is not what the table of the format makes; write it with: go test ./topologies ./scenarios -update", file)
	}
}

func TestShippedScenariosNameTheirSchemaAndKeepToIt(t *testing.T) {
	files, err := filepath.Glob("*/scenario.yaml")
	if err != nil || len(files) < 12 {
		t.Fatalf("shipped scenarios: %v, %v", files, err)
	}
	schema := schematest.Parse(t, Schema())
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(data), "# yaml-language-server: $schema=../../docs/schema/scenario.json\n") {
			t.Errorf("%s does not name its schema on the first line", file)
		}
		for _, w := range schema.CheckYAML(t, data) {
			t.Errorf("%s: %s", file, w)
		}
	}
}

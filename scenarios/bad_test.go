package scenarios

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"s2clab/topologies"
)

// What a bad file is told lies beside it, in a file of the same name.
func TestABadFileIsToldWhatIsWrongWithIt(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("bad files: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			scenario, err := Parse(file, data)
			if err == nil {
				t.Fatalf("passes as %+v", scenario)
			}
			if !errors.Is(err, topologies.ErrInvalid) {
				t.Errorf("the error does not unwrap to ErrInvalid: %v", err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			told := []byte(err.Error() + "\n")
			if *update {
				if err := os.WriteFile(golden, told, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(told, want) {
				t.Errorf("told:\n%s\nwant:\n%s", told, want)
			}
		})
	}
}

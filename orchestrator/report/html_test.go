package report

import (
	"os"
	"testing"
)

func TestWriteSample(t *testing.T) {
	out := os.Getenv("S2CLAB_SAMPLE")
	if out == "" {
		t.Skip("S2CLAB_SAMPLE names no file")
	}
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := sample().HTML(f); err != nil {
		t.Fatal(err)
	}
}

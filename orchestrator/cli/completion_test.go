package cli

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"s2clab/scenarios"
	"s2clab/topologies"
)

// offered are the words that a Program offers after those typed, of which the
// last has begun.
func offered(t *testing.T, typed ...string) []string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &Program{IO: IO{Out: write, Err: write}}
	if err := p.complete(t.Context(), typed); err != nil {
		t.Fatal(err)
	}
	write.Close()
	text, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		word, what, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || what == "" {
			t.Errorf("%q says not what it is", line)
		}
		found = append(found, word)
	}
	return found
}

func TestTheWordsThatCouldComeNextAreOffered(t *testing.T) {
	var names []string
	for _, v := range verbs() {
		names = append(names, v.word)
	}
	names = append(names, "help")
	for _, c := range []struct {
		typed string // a bar before the word that has begun
		want  []string
	}{
		{"|", names},
		{"|sh", []string{"shell"}},
		{"help |sh", []string{"shell"}},
		{"|super", nil}, // not for people
		{"run |", scenarios.Shipped()},
		{"run |lost", []string{"lost-acknowledgement", "lost-answers", "lost-authentication", "lost-binding-update"}},
		{"run wrong-key |", nil}, // it has the one it takes
		{"run --repeat |", nil},
		{"run --repeat 3 |wr", []string{"wrong-k", "wrong-key"}},
		{"run --repeat=3 |wr", []string{"wrong-k", "wrong-key"}},
		{"run --quiet |wr", []string{"wrong-k", "wrong-key"}},
		{"run |--r", []string{"--repeat", "--runs"}},
		{"run wrong-key |--q", []string{"--quiet"}},
		{"up |", topologies.Shipped()},
		{"graph --format |", []string{"svg", "dot", "mermaid"}},
		{"schema |s", []string{"subscribers", "scenario"}},
		{"completion |", []string{"bash", "zsh", "fish"}},
		{"check |eps", []string{"eps-s2c", "eps-trusted"}},
		{"check eps-s2c |wr", []string{"wrong-k", "wrong-key"}},
		{"exec ue -- |", nil}, // a program
		{"link wlan |", []string{"set", "down", "up"}},
		{"link wlan set |de", []string{"delay="}},
		{"link wlan down |", nil},
		{"nothing |", nil},
		{"supervise |", nil},
		{"ps |", nil},
	} {
		before, last, _ := strings.Cut(c.typed, "|")
		if got := offered(t, append(strings.Fields(before), last)...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.typed, got, c.want)
		}
	}
}

func TestArgumentsOfEveryVerbAreOffered(t *testing.T) {
	for _, c := range commands() {
		if takes := c.args != ""; takes != (arguments[c.name] != nil) && !c.hidden {
			t.Errorf("%s takes %q; offered: %v", c.name, c.args, !takes)
		}
	}
}

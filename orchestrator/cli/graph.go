package cli

import (
	"context"
	"fmt"
)

// graph draws a topology.
func (p *Program) graph(ctx context.Context, args []string) error {
	f := p.flags("graph")
	format := f.String("format", "svg", "the `form`: svg, dot (for Graphviz) or mermaid")
	set := setFlag(f)
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usage("graph", "one topology: a file, or the name of a shipped one", words)
	}
	t, err := loadTopology(words[0], *set)
	if err != nil {
		return err
	}
	drawings := map[string]func() []byte{"svg": t.SVG, "dot": t.Dot, "mermaid": t.Mermaid}
	if drawings[*format] == nil {
		return fmt.Errorf("graph: --format %q: want svg, dot or mermaid", *format)
	}
	_, err = p.Out.Write(drawings[*format]())
	return err
}

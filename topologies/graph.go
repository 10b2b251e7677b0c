package topologies

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"s2clab/topologies/strict"
)

// A picture is a topology as boxes (nodes) and pills (links) with lines between
// them. Nodes that were written as one with a count are one box.
type picture struct {
	boxes []*vertex // in the file's order
	pills []*vertex
	lines []line
}

// A vertex is a box, a pill, or a bend in a line.
type vertex struct {
	name   string
	kind   string // the role of a node; link, home or bend
	text   []string
	rank   int // its column
	x, y   float64
	width  float64
	height float64
	near   [2][]*vertex // what it is joined to in the column before and after
}

// A line joins a box and a pill.
type line struct {
	box, pill *vertex
	title     string
}

var roleNames = map[string]string{"mn": "mobile node", "ha": "home agent", "aaa": "AAA server", "hss": "home subscriber server", "bsf": "bootstrapping server function", "router": "router", "nat": "NAT", "dns": "DNS server", "cn": "correspondent node"}

func (t *Topology) picture() *picture {
	p := &picture{}
	boxOf := map[string]*vertex{}
	group := map[string]string{}
	for name, members := range t.Groups {
		for _, m := range members {
			group[m] = name
		}
	}
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if g := group[n.Name]; g != "" && boxOf[g] != nil {
			boxOf[n.Name] = boxOf[g]
			continue
		}
		b := &vertex{name: n.Name, kind: n.Role, text: []string{n.Name, roleNames[n.Role]}}
		if g := group[n.Name]; g != "" {
			members := t.Groups[g]
			boxOf[g] = b
			b.name = g
			b.text = []string{members[0] + " … " + members[len(members)-1], fmt.Sprintf("%d × %s", len(members), roleNames[n.Role])}
		}
		if n.MobileNode != nil {
			b.text = append(b.text, "home "+n.MobileNode.HomeAddress.String())
			if a := n.MobileNode.HomeAddress4; a.IsValid() {
				b.text = append(b.text, "home "+a.String())
			}
		}
		for _, in := range n.Interfaces {
			for _, a := range in.Addresses {
				b.text = append(b.text, in.Link+" "+a.Addr().String())
			}
		}
		boxOf[n.Name] = b
		p.boxes = append(p.boxes, b)
	}
	for _, l := range t.Links {
		v := &vertex{name: l.Name, kind: "link", text: []string{l.Name}}
		if l.Home {
			v.kind = "home"
			v.text[0] += " (home)"
		}
		if s := describe(l); s != "" {
			v.text = append(v.text, s)
		}
		for _, prefix := range l.Prefixes() {
			v.text = append(v.text, prefix.String())
		}
		p.pills = append(p.pills, v)
		var joined []*vertex
		for _, e := range l.Ends {
			if b := boxOf[e]; !slices.Contains(joined, b) {
				joined = append(joined, b)
				p.lines = append(p.lines, line{b, v, e + " on " + l.Name})
			}
		}
	}
	return p
}

// describe says in short what a link does, as its first end sees it.
func describe(l Link) string {
	i := l.From[l.Ends[0]]
	var parts []string
	if i.Delay > 0 {
		s := strict.Short(i.Delay)
		if i.Jitter.Spread > 0 {
			s += "±" + strict.Short(i.Jitter.Spread)
		}
		parts = append(parts, s)
	}
	switch {
	case i.Trace != nil:
		parts = append(parts, "as "+path.Base(i.Trace.File))
	case i.Rate > 0:
		parts = append(parts, rateText(i.Rate))
	}
	switch {
	case i.Loss.Rate > 0:
		parts = append(parts, fmt.Sprintf("loss %g%%", i.Loss.Rate*100))
	case i.Loss.GoodBad > 0:
		parts = append(parts, "loss in bursts")
	}
	return strings.Join(parts, ", ")
}

func rateText(bits int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"Gbit/s", 1e9}, {"Mbit/s", 1e6}, {"kbit/s", 1e3}} {
		if bits >= u.size {
			return fmt.Sprintf("%g%s", float64(bits)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%dbit/s", bits)
}

// Dot returns the topology in the language of Graphviz.
func (t *Topology) Dot() []byte {
	p := t.picture()
	var b strings.Builder
	fmt.Fprintf(&b, "graph %q {\n  rankdir=LR; node [fontname=\"sans-serif\", fontsize=11]; edge [color=\"#64748b\"];\n", t.Name)
	for _, v := range p.boxes {
		fmt.Fprintf(&b, "  %q [shape=box, style=\"rounded,filled\", fillcolor=%q, label=%q];\n", "node "+v.name, fills[v.kind][0], strings.Join(v.text, "\n"))
	}
	for _, v := range p.pills {
		fmt.Fprintf(&b, "  %q [shape=ellipse, style=filled, fillcolor=%q, label=%q];\n", "link "+v.name, fills[v.kind][0], strings.Join(v.text, "\n"))
	}
	for _, l := range p.lines {
		fmt.Fprintf(&b, "  %q -- %q;\n", "node "+l.box.name, "link "+l.pill.name)
	}
	b.WriteString("}\n")
	return []byte(b.String())
}

// Mermaid returns the topology in the language of Mermaid, which GitHub and
// GitLab draw in Markdown.
func (t *Topology) Mermaid() []byte {
	p := t.picture()
	id := func(kind string, v *vertex) string { return kind + "_" + strings.ReplaceAll(v.name, "-", "_") }
	label := func(v *vertex) string { return strings.Join(v.text, "<br>") }
	var b strings.Builder
	b.WriteString("graph LR\n")
	for _, v := range p.boxes {
		fmt.Fprintf(&b, "  %s[\"%s\"]\n", id("node", v), label(v))
	}
	for _, v := range p.pills {
		fmt.Fprintf(&b, "  %s([\"%s\"])\n", id("link", v), label(v))
	}
	for _, l := range p.lines {
		fmt.Fprintf(&b, "  %s --- %s\n", id("node", l.box), id("link", l.pill))
	}
	return []byte(b.String())
}

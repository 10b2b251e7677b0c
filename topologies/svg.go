package topologies

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// fills are the colours of boxes and pills: inside, edge.
var fills = map[string][2]string{
	"mn":     {"#dbeafe", "#2563eb"},
	"ha":     {"#fef3c7", "#d97706"},
	"aaa":    {"#fce7f3", "#db2777"},
	"hss":    {"#ffe4e6", "#e11d48"},
	"bsf":    {"#fae8ff", "#a21caf"},
	"router": {"#f1f5f9", "#475569"},
	"nat":    {"#ffedd5", "#c2410c"},
	"dns":    {"#ccfbf1", "#0f766e"},
	"cn":     {"#ede9fe", "#7c3aed"},
	"link":   {"#ffffff", "#94a3b8"},
	"home":   {"#dcfce7", "#16a34a"},
}

const (
	lineHeight = 15.0
	columnGap  = 46.0
	rowGap     = 22.0
	margin     = 24.0
)

// SVG returns a picture of the topology that needs nothing else: mobile nodes
// left, then accesses, routers, home agents and what lies behind them.
func (t *Topology) SVG() []byte {
	p := t.picture()
	for _, v := range append(slices.Clone(p.boxes), p.pills...) {
		v.measure()
	}
	p.rank()
	columns, bends := p.columns()
	order(columns)
	width, height := place(columns)

	var b strings.Builder
	title := 26.0
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" style="max-width:100%%;height:auto" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif">`+"\n",
		width, height+title, width, height+title)
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(t.Name))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#ffffff"/>`+"\n")
	fmt.Fprintf(&b, `<text x="%.0f" y="27" font-size="15" font-weight="600" fill="#0f172a">%s</text>`+"\n", margin, html.EscapeString(t.Name))
	fmt.Fprintf(&b, `<g transform="translate(0 %.0f)">`+"\n", title)
	b.WriteString(`<g fill="none" stroke="#94a3b8" stroke-width="1.6">` + "\n")
	for i, l := range p.lines {
		fmt.Fprintf(&b, `<path d="%s"><title>%s</title></path>`+"\n", bends[i].path(), html.EscapeString(l.title))
	}
	b.WriteString("</g>\n")
	for _, v := range append(slices.Clone(p.pills), p.boxes...) {
		v.draw(&b)
	}
	b.WriteString("</g>\n</svg>\n")
	return []byte(b.String())
}

func (v *vertex) isLink() bool { return v.kind == "link" || v.kind == "home" }

// measure sizes a box or a pill for its text, without knowing the fonts.
func (v *vertex) measure() {
	for i, s := range v.text {
		letter := 6.7 // of a monospaced font at 11
		if i == 0 {
			letter = 8.2 // of a bold one at 13
		}
		v.width = max(v.width, letter*float64(len([]rune(s)))+24)
	}
	v.height = lineHeight*float64(len(v.text)) + 14
}

func (v *vertex) draw(b *strings.Builder) {
	fill, edge := fills[v.kind][0], fills[v.kind][1]
	radius := 7.0
	if v.isLink() {
		radius = v.height / 2
		if len(v.text) > 2 {
			radius = 20
		}
	}
	fmt.Fprintf(b, `<g><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%.1f" fill="%s" stroke="%s" stroke-width="1.4"/>`,
		v.x, v.y-v.height/2, v.width, v.height, radius, fill, edge)
	for i, s := range v.text {
		style := `font-size="11" fill="#334155" font-family="ui-monospace, 'DejaVu Sans Mono', monospace"`
		switch {
		case i == 0:
			style = `font-size="13" font-weight="600" fill="#0f172a"`
		case i == 1 && !v.isLink():
			style = `font-size="11" fill="` + edge + `"`
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle" %s>%s</text>`, v.x+v.width/2, v.y-v.height/2+lineHeight*float64(i)+18, style, html.EscapeString(s))
	}
	b.WriteString("</g>\n")
}

// firstColumns are the columns before which boxes of a role do not stand,
// where there are mobile nodes at the left.
var firstColumns = map[string]int{"router": 2, "ha": 4, "aaa": 4, "hss": 4, "bsf": 4, "cn": 4}

// rank gives boxes even columns and pills odd ones, by how far they are from
// the mobile nodes, or from the first node where there are none.
func (p *picture) rank() {
	unknown := 1 << 20
	mobile := false
	for _, v := range append(slices.Clone(p.boxes), p.pills...) {
		v.rank = unknown
		if v.kind == "mn" {
			v.rank, mobile = 0, true
		}
	}
	for {
		var next *vertex // of what is joined to the ranked part, the leftmost
		var column int
		for _, l := range p.lines {
			from, to := l.box, l.pill
			if from.rank == unknown {
				from, to = to, from
			}
			if from.rank == unknown || to.rank != unknown {
				continue
			}
			r := from.rank + 1
			if mobile && !to.isLink() {
				r = max(r, firstColumns[to.kind])
			}
			if next == nil || r < column {
				next, column = to, r
			}
		}
		if next != nil {
			next.rank = column
			continue
		}
		i := slices.IndexFunc(p.boxes, func(v *vertex) bool { return v.rank == unknown })
		if i < 0 {
			return
		}
		p.boxes[i].rank = 0
	}
}

// A way is the vertices that a line passes, from left to right.
type way []*vertex

// columns sorts the vertices into columns, with bends where a line passes one.
func (p *picture) columns() (columns [][]*vertex, ways []way) {
	put := func(v *vertex) {
		for len(columns) <= v.rank {
			columns = append(columns, nil)
		}
		columns[v.rank] = append(columns[v.rank], v)
	}
	for _, v := range append(slices.Clone(p.boxes), p.pills...) {
		put(v)
	}
	for _, l := range p.lines {
		left, right := l.box, l.pill
		if left.rank > right.rank {
			left, right = right, left
		}
		w := way{left}
		for r := left.rank + 1; r < right.rank; r++ {
			bend := &vertex{kind: "bend", rank: r, height: 4}
			put(bend)
			w = append(w, bend)
		}
		w = append(w, right)
		for i := range len(w) - 1 {
			w[i].near[1] = append(w[i].near[1], w[i+1])
			w[i+1].near[0] = append(w[i+1].near[0], w[i])
		}
		ways = append(ways, w)
	}
	return columns, ways
}

// order arranges each column so that few lines cross: the mean of what a vertex
// is joined to, swept to and fro, the best kept.
func order(columns [][]*vertex) {
	for _, c := range columns {
		for i, v := range c {
			v.y = float64(i)
		}
	}
	best, fewest := snapshot(columns), crossings(columns)
	for sweep := 0; sweep < 24 && fewest > 0; sweep++ {
		side := sweep % 2
		for i := range columns {
			c := columns[i]
			if side == 1 {
				c = columns[len(columns)-1-i]
			}
			mean := map[*vertex]float64{}
			for _, v := range c {
				mean[v] = v.y
				if n := v.near[side]; len(n) > 0 {
					mean[v] = 0
					for _, x := range n {
						mean[v] += x.y / float64(len(n))
					}
				}
			}
			slices.SortStableFunc(c, func(a, b *vertex) int { return cmp.Compare(mean[a], mean[b]) })
			for i, v := range c {
				v.y = float64(i)
			}
		}
		if n := crossings(columns); n < fewest {
			best, fewest = snapshot(columns), n
		}
	}
	for i, c := range best {
		copy(columns[i], c)
	}
}

func snapshot(columns [][]*vertex) [][]*vertex {
	out := make([][]*vertex, len(columns))
	for i, c := range columns {
		out[i] = slices.Clone(c)
	}
	return out
}

func crossings(columns [][]*vertex) int {
	n := 0
	for _, c := range columns {
		var ends [][2]float64
		for _, v := range c {
			for _, x := range v.near[1] {
				ends = append(ends, [2]float64{v.y, x.y})
			}
		}
		for i, a := range ends {
			for _, b := range ends[:i] {
				if (a[0]-b[0])*(a[1]-b[1]) < 0 {
					n++
				}
			}
		}
	}
	return n
}

// place gives the vertices their coordinates and returns the size of the whole.
func place(columns [][]*vertex) (width, height float64) {
	x := margin
	for _, c := range columns {
		widest := 0.0
		for _, v := range c {
			widest = max(widest, v.width)
		}
		y := 0.0
		for _, v := range c {
			v.x = x + (widest-v.width)/2
			v.y = y + v.height/2
			y += v.height + rowGap
		}
		x += widest + columnGap
	}
	for sweep := range 30 {
		for i := range columns {
			if sweep%2 == 1 {
				i = len(columns) - 1 - i
			}
			settle(columns[i])
		}
	}
	top, bottom := math.Inf(1), math.Inf(-1)
	for _, c := range columns {
		for _, v := range c {
			top, bottom = min(top, v.y-v.height/2), max(bottom, v.y+v.height/2)
		}
	}
	for _, c := range columns {
		for _, v := range c {
			v.y += margin - top
		}
	}
	return max(x-columnGap+margin, 240), bottom - top + 2*margin
}

// settle moves the vertices of a column to the mean of what they are joined to,
// as near as their order and the gaps between them allow.
func settle(c []*vertex) {
	type block struct{ sum, weight float64 }
	var blocks []block
	var size []int
	offset := 0.0
	offsets := make([]float64, len(c))
	for i, v := range c {
		if i > 0 {
			offset += c[i-1].height/2 + rowGap + v.height/2
		}
		offsets[i] = offset
		wish, weight := v.y, 0.1
		if near := append(slices.Clone(v.near[0]), v.near[1]...); len(near) > 0 {
			wish, weight = 0, 1
			for _, x := range near {
				wish += x.y / float64(len(near))
			}
			if v.kind == "bend" {
				weight = 2 // lines are straight rather than boxes in the middle
			}
		}
		blocks, size = append(blocks, block{(wish - offset) * weight, weight}), append(size, 1)
		for n := len(blocks); n > 1 && blocks[n-2].sum/blocks[n-2].weight > blocks[n-1].sum/blocks[n-1].weight; n-- {
			blocks[n-2].sum += blocks[n-1].sum
			blocks[n-2].weight += blocks[n-1].weight
			size[n-2] += size[n-1]
			blocks, size = blocks[:n-1], size[:n-1]
		}
	}
	i := 0
	for b, block := range blocks {
		for range size[b] {
			c[i].y = block.sum/block.weight + offsets[i]
			i++
		}
	}
}

// path draws a way as one smooth line.
func (w way) path() string {
	var b strings.Builder
	fmt.Fprintf(&b, "M%.1f %.1f", w[0].x+w[0].width, w[0].y)
	x, y := w[0].x+w[0].width, w[0].y
	for _, v := range w[1:] {
		to := v.x
		half := (to - x) / 2
		fmt.Fprintf(&b, "C%.1f %.1f %.1f %.1f %.1f %.1f", x+half, y, to-half, v.y, to, v.y)
		x, y = v.x+v.width, v.y
	}
	return b.String()
}

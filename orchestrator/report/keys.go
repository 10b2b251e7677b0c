package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"s2clab/orchestrator/report/analysis"
)

// KeysOf are the keys of a subscriber, by NAI or by what stands before its "@".
// Empty: of all.
func (r *Report) KeysOf(nai string) []analysis.Key {
	if nai == "" {
		return r.Keys
	}
	var all []analysis.Key
	for _, k := range r.Keys {
		if user, _, _ := strings.Cut(k.NAI, "@"); nai == k.NAI || nai == user {
			all = append(all, k)
		}
	}
	return all
}

// Subscribers are the NAIs that there are keys of.
func (r *Report) Subscribers() []string {
	var all []string
	for _, k := range r.Keys {
		all = append(all, k.NAI)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// KeysText draws trees of keys on a terminal of so many columns; 0: of any number.
func KeysText(keys []analysis.Key, columns int, colour bool) string {
	p := &printer{colour: colour}
	p.keys(keys, columns)
	return p.b.String()
}

// leastDerivation is the least column that a formula can be read in.
const leastDerivation = 44

// keys prints a row a key. What a column has no room for goes on in lines below.
func (p *printer) keys(keys []analysis.Key, columns int) {
	head := []string{"key", "octets", "lifetime", "made", "fingerprint", "held by"}
	rows := make([][]string, len(keys))
	width := make([]int, len(head))
	for i, title := range head {
		width[i] = utf8.RuneCountInString(title)
	}
	more := branches(keys)
	for i := range keys {
		rows[i] = keyCells(&keys[i], more[i])
		for j, cell := range rows[i] {
			width[j] = max(width[j], utf8.RuneCountInString(cell))
		}
	}
	whole := 0
	for _, w := range width {
		whole += w + 2
	}
	// Derivations stand beside the columns where there is room, else below.
	room, below := 0, false
	if columns > 0 {
		room = columns - whole
		below = room < leastDerivation
	}
	if !below {
		head = append(head, "derivation")
	}
	p.b.WriteString(p.paint(dim, strings.TrimRight(aligned(head, width), " ")) + "\n")
	for i := range keys {
		k := &keys[i]
		if i == 0 || k.NAI != keys[i-1].NAI {
			p.b.WriteString(p.paint(bold, printable(cmp.Or(k.NAI, "(no subscriber)"))) + "\n")
		}
		row, told := aligned(rows[i], width), derivation(k)
		hang := trunk(more[i], i+1 < len(keys) && keys[i+1].NAI == k.NAI && keys[i+1].Depth > k.Depth)
		under := padded(hang, utf8.RuneCountInString(hang)+2)
		line := func(before, code, text string) {
			p.b.WriteString(strings.TrimRight(before+p.paint(code, text), " ") + "\n")
		}
		if below || len(told) == 0 {
			line(p.named(strings.TrimRight(row, " "), rows[i][0], k), "", "")
			row = ""
		}
		for _, text := range told {
			if below {
				for _, part := range folded(text, max(columns-utf8.RuneCountInString(under), 20)) {
					line(under, dim, part)
				}
				continue
			}
			for _, part := range folded(text, room) {
				before := padded(hang, whole)
				if row != "" {
					before = p.named(row, rows[i][0], k)
				}
				line(before, dim, part)
				row = ""
			}
		}
		if k.Value != "" {
			most := 0
			if columns > 0 {
				most = max(columns-utf8.RuneCountInString(under), 20)
			}
			for _, part := range folded(printable(k.Value), most) {
				line(under, "", part)
			}
		}
	}
}

// padded fills a text up with spaces.
func padded(text string, width int) string {
	return text + strings.Repeat(" ", max(width-utf8.RuneCountInString(text), 0))
}

// named paints the name in a row, which begins with the cell that has it.
func (p *printer) named(row, cell string, k *analysis.Key) string {
	if !k.Told {
		return p.paint(dim, row)
	}
	name := printable(k.Name)
	return strings.TrimSuffix(cell, name) + p.paint(bold, name) + strings.TrimPrefix(row, cell)
}

// keyCells are the columns of a key, its branch before its name.
func keyCells(k *analysis.Key, more []bool) []string {
	branch := "└─ "
	if more[len(more)-1] {
		branch = "├─ "
	}
	cells := []string{trunk(more[:len(more)-1], false) + branch + printable(k.Name), "", "", "", printable(k.Print), ""}
	if k.Octets > 0 {
		cells[1] = strconv.Itoa(k.Octets)
	}
	if k.Lifetime > 0 {
		cells[2] = lasting(k.Lifetime)
	}
	if k.Told {
		cells[3] = fmt.Sprintf("%.3f s", k.Made.Seconds())
		cells[5] = printable(strings.Join(holders(k), ", "))
	}
	return cells
}

// aligned puts cells into columns; numbers stand to the right. What is beyond the
// columns follows as it is.
func aligned(cells []string, width []int) string {
	var b strings.Builder
	for i, cell := range cells {
		if i >= len(width) {
			b.WriteString(cell)
			continue
		}
		if i >= 1 && i <= 3 {
			b.WriteString(padded("", width[i]-utf8.RuneCountInString(cell)) + cell + "  ")
		} else {
			b.WriteString(padded(cell, width[i]) + "  ")
		}
	}
	return b.String()
}

// trunk is what goes on below a row: a line for each level that has more to come,
// and one to the row's own children.
func trunk(more []bool, children bool) string {
	var b strings.Builder
	for _, m := range more {
		if m {
			b.WriteString("│  ")
		} else {
			b.WriteString("   ")
		}
	}
	if children {
		b.WriteString("│")
	}
	return b.String()
}

// branches says of each row, for each level down to its own, whether another key
// hangs there further below.
func branches(keys []analysis.Key) [][]bool {
	all := make([][]bool, len(keys))
	var next []bool // by level
	for i := len(keys) - 1; i >= 0; i-- {
		k := &keys[i]
		if i+1 < len(keys) && keys[i+1].NAI != k.NAI {
			next = next[:0]
		}
		for len(next) <= k.Depth {
			next = append(next, false)
		}
		next = next[:k.Depth+1]
		all[i] = slices.Clone(next)
		next[k.Depth] = true
	}
	return all
}

// derivation says where a key comes from, and how others than whoever made it
// came by it.
func derivation(k *analysis.Key) []string {
	if !k.Told {
		return []string{"nobody told of it"}
	}
	var all []string
	if k.How != "" {
		all = append(all, printable(k.How))
	}
	if len(k.Of) > 1 { // it hangs under one of them
		var of []string
		for _, p := range k.Of {
			of = append(of, p.Name)
		}
		all = append(all, printable("made of "+list(of)))
	}
	said := map[string]bool{k.How: true, "": true}
	for _, h := range k.Holders {
		switch {
		case said[h.How]:
		case strings.HasPrefix(h.How, "from "):
			all = append(all, printable(h.Node+" has it "+h.How))
		default:
			all = append(all, printable(h.Node+": "+h.How))
		}
	}
	return all
}

func holders(k *analysis.Key) []string {
	var all []string
	for _, h := range k.Holders {
		all = append(all, h.Node)
	}
	return all
}

// lasting prints a lifetime, to the millisecond: 1 h, 90 s.
func lasting(d time.Duration) string {
	d = d.Round(time.Millisecond)
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%g s", d.Seconds())
}

// folded breaks a text between words, and a word that is too long anywhere, into
// lines of so many characters; 0: of any number.
func folded(text string, most int) []string {
	if most <= 0 {
		return []string{text}
	}
	var lines []string
	var line []rune
	for _, word := range strings.Fields(text) {
		left := []rune(word)
		if len(line) > 0 && len(line)+1+len(left) > most {
			lines, line = append(lines, string(line)), nil
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		for len(line)+len(left) > most {
			n := most - len(line)
			lines, line, left = append(lines, string(append(line, left[:n]...))), nil, left[n:]
		}
		line = append(line, left...)
	}
	if len(line) > 0 || len(lines) == 0 {
		lines = append(lines, string(line))
	}
	return lines
}

// A ResultKey is a key in result.json.
type ResultKey struct {
	NAI      string         `json:"nai"`
	Key      string         `json:"key"`
	Print    string         `json:"print,omitempty"`
	Depth    int            `json:"depth"`
	Octets   int            `json:"octets,omitempty"`
	Made     *seconds       `json:"made,omitempty"`
	How      string         `json:"how,omitempty"`
	Of       []ResultParent `json:"of"`
	Lifetime *seconds       `json:"lifetime,omitempty"`
	Holders  []ResultHolder `json:"holders"`
	Value    string         `json:"value,omitempty"`
}

// A ResultParent is a key that another is made of.
type ResultParent struct {
	Key   string `json:"key"`
	Print string `json:"print,omitempty"`
}

// A ResultHolder is a node that told of a key.
type ResultHolder struct {
	Node string  `json:"node"`
	At   seconds `json:"at"`
	How  string  `json:"how,omitempty"`
}

// ResultKeys gives keys as result.json has them.
func ResultKeys(keys []analysis.Key) []ResultKey {
	all := []ResultKey{}
	for i := range keys {
		k := &keys[i]
		out := ResultKey{NAI: k.NAI, Key: k.Name, Print: k.Print, Depth: k.Depth, Octets: k.Octets, How: k.How, Value: k.Value, Of: []ResultParent{}, Holders: []ResultHolder{}}
		if k.Told {
			out.Made = optional(k.Made)
		}
		if k.Lifetime > 0 {
			out.Lifetime = optional(k.Lifetime)
		}
		for _, p := range k.Of {
			out.Of = append(out.Of, ResultParent{p.Name, p.Print})
		}
		for _, h := range k.Holders {
			out.Holders = append(out.Holders, ResultHolder{h.Node, inSeconds(h.At), h.How})
		}
		all = append(all, out)
	}
	return all
}

type (
	// A keyTree is the keys of a subscriber, as the page shows them.
	keyTree struct {
		NAI  string
		Rows []keyRow
	}
	keyRow struct {
		Name, Parent, Octets, Lifetime, Made, Print, Value string
		Holders                                            string
		Derivation                                         []string
		Twigs                                              []twig
		Indent                                             string // rem
		Told                                               bool
	}
	// A twig is a line that is drawn before a name.
	twig struct{ Class, Left string }
)

// twigWidth is how far a level is indented, in rem.
const twigWidth = 1.4

func (p *page) keys(r *Report) {
	more := branches(r.Keys)
	for i := range r.Keys {
		k := &r.Keys[i]
		if i == 0 || k.NAI != r.Keys[i-1].NAI {
			p.Keys = append(p.Keys, keyTree{NAI: cmp.Or(k.NAI, "(no subscriber)")})
		}
		row := keyRow{Name: k.Name, Print: k.Print, Value: k.Value, Holders: strings.Join(holders(k), ", "), Derivation: derivation(k), Told: k.Told, Octets: "–", Lifetime: "–", Made: "–"}
		if len(k.Of) > 0 {
			row.Parent = k.Of[0].Name
		}
		if k.Octets > 0 {
			row.Octets = strconv.Itoa(k.Octets)
		}
		if k.Lifetime > 0 {
			row.Lifetime = lasting(k.Lifetime)
		}
		if k.Told {
			row.Made = fmt.Sprintf("%.3f", k.Made.Seconds())
		}
		p.HasValues = p.HasValues || k.Value != ""
		rem := func(level int) string { return fmt.Sprintf("%.2f", .6+float64(level)*twigWidth) }
		for level, m := range more[i][1:] {
			switch last := level+1 == k.Depth; {
			case last && m:
				row.Twigs = append(row.Twigs, twig{"goes-on", rem(level)})
			case last:
				row.Twigs = append(row.Twigs, twig{"ends", rem(level)})
			case m:
				row.Twigs = append(row.Twigs, twig{"past", rem(level)})
			}
		}
		row.Indent = rem(k.Depth)
		tree := &p.Keys[len(p.Keys)-1]
		tree.Rows = append(tree.Rows, row)
	}
}

package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"s2clab/orchestrator/report/analysis"
	"s2clab/topologies"
)

// Text tells the run on a terminal: the table of handovers, the flows, the
// expectations, and what it came to. Without colour it is plain text, the same
// for the same run.
func (r *Report) Text(colour bool) string {
	p := &printer{colour: colour}
	p.handovers(r)
	p.flows(r)
	p.carries(r)
	p.expectations(r)
	for _, note := range r.Notes {
		p.linef("note: %s", note)
	}
	if len(r.Notes) > 0 {
		p.linef("")
	}
	p.verdict(r)
	return p.b.String()
}

type printer struct {
	b      strings.Builder
	colour bool
}

// The colours of a terminal.
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
)

func (p *printer) paint(code, text string) string {
	if !p.colour || text == "" || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p *printer) linef(format string, args ...any) {
	p.b.WriteString(printable(fmt.Sprintf(format, args...)))
	p.b.WriteByte('\n')
}

// printable keeps what came from packets and files from commanding the terminal.
// The colours are put on afterwards.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

// handovers prints a row a handover. All lengths are milliseconds; a part that
// the journal does not hold is a dash.
func (p *printer) handovers(r *Report) {
	if len(r.Handovers) == 0 {
		return
	}
	t := table{head: []string{"", "node", "handover", "at", "silence"}}
	for _, name := range r.Phases() {
		t.head = append(t.head, shortPhases[name])
	}
	t.head = append(t.head, "lost", "dup", "reord", "bound", "excess", "±")
	t.left = map[int]bool{1: true, 2: true}
	for i := range r.Handovers {
		h := &r.Handovers[i]
		row := []string{numberOf(h), h.Node, moveName(h), fmt.Sprintf("%.3f s", h.Start.Seconds())}
		w := h.Worst()
		switch {
		case w == nil:
			row = append(row, "-")
		case w.Open:
			row = append(row, ">"+milliseconds(w.Length))
		default:
			row = append(row, milliseconds(w.Length))
		}
		for _, name := range r.Phases() {
			text := "-"
			if phase, ok := h.Phase(name); ok {
				text = milliseconds(phase.Length())
			}
			row = append(row, text)
		}
		if w == nil {
			row = append(row, "-", "-", "-")
		} else {
			lost, duplicated, reordered := costs(h)
			row = append(row, fmt.Sprint(lost), fmt.Sprint(duplicated), fmt.Sprint(reordered))
		}
		bound, excess, within := "-", "-", "-"
		if w != nil && w.Bound.Known {
			bound = milliseconds(w.Bound.Total)
			if e, ok := w.Excess(); ok {
				excess, within = milliseconds(e), milliseconds(w.Spacing)
			}
		}
		t.rows = append(t.rows, append(row, bound, excess, within))
	}
	p.table(&t)
	p.b.WriteString(p.paint(dim, "     lengths in ms; silence, bound and excess: of the direction that suffered most, seen as finely as its packets are apart (±)\n"+
		"     silence is made of: "+strings.ReplaceAll(strings.Join(r.Phases(), ", "), "-", " ")) + "\n")
	for i := range r.Handovers {
		if h := &r.Handovers[i]; h.Outcome != analysis.Completed {
			p.linef("     %s: %s: %s", h.Name(), h.Outcome, h.Reason)
		}
	}
	p.linef("")
}

// shortPhases head the columns of the phases.
var shortPhases = map[string]string{
	analysis.LinkGap: "gap", analysis.AccessAuthentication: "auth", analysis.MovementDetection: "detect",
	analysis.AddressConfiguration: "address", analysis.Bootstrapping: "boot", analysis.Signalling: "signal", analysis.FirstPacket: "first",
}

// costs adds up what a handover did to all flows.
func costs(h *analysis.Handover) (lost, duplicated, reordered int) {
	for _, n := range h.Interruptions {
		lost += n.Lost
		duplicated += n.Duplicated
		reordered += n.Reordered
	}
	return lost, duplicated, reordered
}

// moveName is a handover in a few words.
func moveName(h *analysis.Handover) string {
	switch h.Kind {
	case analysis.Attach:
		return "attach " + h.To
	case analysis.Again:
		return "back on " + h.To
	case analysis.Return:
		return h.From + " to " + h.To + ", home"
	}
	return h.From + " to " + h.To
}

func (p *printer) flows(r *Report) {
	if len(r.Flows) == 0 {
		return
	}
	t := table{head: []string{"", "flow", "from", "to", "sent", "received", "lost", "dup", "reord", "delay ms: median", "95 %", "99 %", "most"}, left: map[int]bool{1: true, 2: true, 3: true}}
	for i := range r.Flows {
		d := &r.Flows[i]
		sent := fmt.Sprint(d.Sent)
		if !d.SentKnown {
			sent = ">=" + sent
		}
		row := []string{"", d.Flow, d.From, d.To, sent, fmt.Sprint(d.Received), fmt.Sprint(d.Lost), fmt.Sprint(d.Duplicated), fmt.Sprint(d.Reordered)}
		if d.Received > 0 {
			row = append(row, milliseconds(d.Delay.P50), milliseconds(d.Delay.P95), milliseconds(d.Delay.P99), milliseconds(d.Delay.Max))
		} else if d.Octets > 0 {
			row[4], row[5] = "-", thousands(d.Octets)+" octets"
			row = append(row, "-", "-", "-", "-")
		} else {
			row = append(row, "-", "-", "-", "-")
		}
		t.rows = append(t.rows, row)
	}
	p.table(&t)
	p.linef("")
}

// carries prints which access carried which flow, where mobile nodes use several at
// once: elsewhere the handovers say it.
func (p *printer) carries(r *Report) {
	if !r.divides() {
		return
	}
	t := table{head: []string{"", "flow", "access", "packets", "octets", "for s", "kbit/s"}, left: map[int]bool{1: true, 2: true}}
	for i := range r.Carries {
		c := &r.Carries[i]
		t.rows = append(t.rows, append([]string{"", c.Flow, c.Link}, carried(c)...))
	}
	p.table(&t)
	p.b.WriteString(p.paint(dim, "     packets and octets as they entered the access, outer headers and both directions together") + "\n")
	p.linef("")
}

// divides says whether a mobile node of the run uses several accesses at once, and
// something is known of that.
func (r *Report) divides() bool {
	return len(r.Carries) > 0 && slices.ContainsFunc(r.Topology.Nodes, func(n topologies.Node) bool {
		return n.MobileNode != nil && n.MobileNode.AllAccesses
	})
}

// carried are the numbers of a Carry.
func carried(c *analysis.Carry) []string {
	return []string{thousands(int64(c.Packets)), thousands(c.Octets), fmt.Sprintf("%.1f", c.Lasted.Seconds()), fmt.Sprintf("%.1f", c.Throughput()/1000)}
}

func (p *printer) expectations(r *Report) {
	for _, x := range r.Expectations {
		mark, code := "held", green
		if !x.Held {
			mark, code = "FAILED", red
		}
		p.b.WriteString(p.paint(code, fmt.Sprintf("  %-6s", mark)))
		p.b.WriteString(printable("  " + x.What))
		if x.Found != "" {
			p.b.WriteString(p.paint(dim, printable(": "+x.Found)))
		}
		p.b.WriteByte('\n')
	}
	if len(r.Expectations) > 0 {
		p.linef("")
	}
}

func (p *printer) verdict(r *Report) {
	switch r.Outcome() {
	case Held:
		p.b.WriteString(p.paint(green, fmt.Sprintf("held: all %d expectations", len(r.Expectations))))
	case NotHeld:
		p.b.WriteString(p.paint(red, fmt.Sprintf("not held: %d of %d expectations failed", len(r.Expectations)-r.held(), len(r.Expectations))))
	case Failed:
		p.b.WriteString(p.paint(red, "failed: the run did not come to its end"))
	default:
		p.b.WriteString("not judged: the scenario expects nothing")
	}
	p.b.WriteByte('\n')
}

// A table has columns as wide as what is in them.
type table struct {
	head []string
	rows [][]string
	left map[int]bool // columns of words; the others are numbers
}

func (p *printer) table(t *table) {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(printable(cell)))
		}
	}
	print := func(row []string, code string) {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString("  ")
			cell = printable(cell)
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if t.left[i] {
				b.WriteString(cell + pad)
			} else {
				b.WriteString(pad + cell)
			}
		}
		line := strings.TrimRight(b.String(), " ")
		if code != "" {
			line = p.paint(code, line)
		}
		p.b.WriteString(line + "\n")
	}
	print(t.head, bold)
	for _, row := range t.rows {
		print(row, "")
	}
}

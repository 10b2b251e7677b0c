package report

import (
	"cmp"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"s2clab/orchestrator/report/analysis"
)

// assets are the page's parts. Styles and scripts are joined in the order of
// their names.
//
//go:embed assets
var assets embed.FS

// joined returns all assets of one kind as one text.
func joined(extension string) (string, error) {
	files, err := assets.ReadDir("assets") // sorted by name
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, f := range files {
		if path.Ext(f.Name()) != extension {
			continue
		}
		text, err := assets.ReadFile("assets/" + f.Name())
		if err != nil {
			return "", err
		}
		b.Write(text)
	}
	return b.String(), nil
}

// A page is what page.html shows. Every text in it may come from a packet: the
// template escapes it.
type page struct {
	CSS  template.CSS
	JS   template.JS
	Data template.JS

	Scenario, Description, Over, Program                string
	VerdictWord, VerdictClass, VerdictSign, VerdictLine string
	Summary, Notes                                      []string
	Figures                                             []figure
	Picture                                             template.URL
	PictureAlt                                          string

	Bars                  []bar
	Ticks                 []tick
	HasBounds, HasOverlap bool
	HasAuthentication     bool
	HasBootstrapping      bool
	Rows                  []handoverRow
	Spacing               string
	Bounds                []boundRow
	Expectations          []analysis.Expectation
	HasMessages           bool
	Keys                  []keyTree
	HasValues             bool // of keys
	Flows                 []numbersRow
	Carries               []numbersRow
	BinWidth              string
	Settings, Facts       []analysis.Fact
	Steps                 []stepRow
	CaptureLine           string
	LinkErrors            []numbersRow
	Deaths                []deathRow
}

type (
	figure  struct{ Value, Means string }
	tick    struct{ At, Label string }
	stepRow struct{ At, What string }

	numbersRow struct {
		Flow, Link, From, To string
		Dropped              string
		Numbers              []string
	}
	deathRow struct{ Node, At, Exit, Log string }
	boundRow struct{ Title, To, Terms, Total string }

	handoverRow struct {
		Number                                         string
		Node, Title, At, Silence                       string
		Split                                          []string
		Lost, Duplicated, Reordered, Bound, Excess     string
		Messages, Octets, Trips, Updates, AAA, Outcome string
	}

	// A bar is one handover, as parts of its track in percent.
	bar struct {
		Number                   int
		Title, About, Wrong, Alt string
		Parts                    []part
		Quiet                    []quiet
		Total, TotalMeans        string
	}
	part struct {
		Class, Title string
		Left, Width  float64
	}
	quiet struct {
		Left, Width    float64
		HasBound, Open bool
		Bound          float64 // percent of the bracket
		Label          string
		LabelAt        template.CSS
	}
)

// HTML writes report.html: one file that loads nothing.
func (r *Report) HTML(w io.Writer) error {
	css, err := joined(".css")
	if err != nil {
		return err
	}
	js, err := joined(".js")
	if err != nil {
		return err
	}
	t, err := template.ParseFS(assets, "assets/page.html")
	if err != nil {
		return err
	}
	data, err := r.pageData()
	if err != nil {
		return err
	}
	p := &page{
		CSS: template.CSS(css), JS: template.JS("(() => {\n" + js + "})();\n"), Data: template.JS(data),
		Scenario: cmp.Or(r.Scenario, "A run"), Description: r.Description, Over: r.over(), Program: cmp.Or(r.Program, "s2clab"),
		Summary: r.Summary(), Notes: r.Notes, Expectations: r.Expectations, HasMessages: len(r.Messages) > 0,
		PictureAlt: r.pictureAlt(),
	}
	if len(r.Picture) > 0 {
		// As an image it can neither run scripts nor load anything.
		p.Picture = template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(r.Picture))
	}
	p.verdict(r)
	p.figures(r)
	p.handovers(r)
	p.bars(r)
	p.keys(r)
	p.traffic(r)
	p.run(r)
	return t.Execute(w, p)
}

// over is the line above the title.
func (r *Report) over() string {
	parts := []string{"s2clab run"}
	if r.ID != "" {
		parts = append(parts, r.ID)
	}
	if !r.Started.IsZero() {
		parts = append(parts, r.Started.Format("2 January 2006, 15:04:05 MST"))
	}
	if r.Topology.Name != "" {
		parts = append(parts, "topology "+r.Topology.Name)
	}
	return strings.Join(parts, " · ")
}

func (r *Report) pictureAlt() string {
	var parts []string
	for _, l := range r.Topology.Links {
		home := ""
		if l.Home {
			home = " (home)"
		}
		parts = append(parts, fmt.Sprintf("link %s%s joins %s", l.Name, home, list(l.Ends)))
	}
	return "Picture of the topology: " + strings.Join(parts, "; ") + "."
}

func list(words []string) string {
	if n := len(words); n > 8 {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:6], ", "), n-6)
	}
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

func (p *page) verdict(r *Report) {
	n := len(r.Expectations)
	switch r.Outcome() {
	case Held:
		p.VerdictWord, p.VerdictSign = "held", "✓"
		p.VerdictLine = fmt.Sprintf("It held: all %d expectations were met.", n)
		if n == 0 {
			p.VerdictLine = "It ran to its end. The scenario expects nothing."
		} else if n == 1 {
			p.VerdictLine = "It held: the one expectation was met."
		}
	case NotHeld:
		p.VerdictWord, p.VerdictSign, p.VerdictClass = "not held", "✕", "bad"
		p.VerdictLine = fmt.Sprintf("It did not hold: %d of %d expectations failed.", n-r.held(), n)
	case Failed:
		p.VerdictWord, p.VerdictSign, p.VerdictClass = "failed", "✕", "bad"
		p.VerdictLine = "The run did not come to its end."
		if r.Failure != "" {
			p.VerdictLine = "The run did not come to its end: " + r.Failure
		}
	default:
		p.VerdictWord, p.VerdictSign, p.VerdictClass = "not judged", "–", "open"
		p.VerdictLine = "It ran to its end, and nothing was expected of it."
	}
}

func (p *page) figures(r *Report) {
	add := func(value, means string) { p.Figures = append(p.Figures, figure{value, means}) }
	moves := r.moves()
	completed := 0
	for _, m := range moves {
		if m.Outcome == analysis.Completed {
			completed++
		}
	}
	if completed < len(moves) {
		add(fmt.Sprintf("%d of %d", completed, len(moves)), "handovers completed")
	} else {
		add(fmt.Sprint(len(moves)), one(len(moves), "handover", "handovers"))
	}
	if h, n := r.worst(); n != nil {
		sign := ""
		if n.Open {
			sign = "> "
		}
		value := sign + length(n.Length)
		if unheard(n) {
			value = "none"
		}
		add(value, fmt.Sprintf("longest silence, on the way to %s", h.To))
		if lengths := r.interruptions(); len(lengths) > 2 && !unheard(n) {
			add(length(analysis.PercentilesOf(lengths).P50), fmt.Sprintf("median silence of %d handovers", len(lengths)))
		}
	}
	if sent, _, lost := r.totals(); sent > 0 {
		add(thousands(int64(lost)), fmt.Sprintf("of %s packets lost", thousands(int64(sent))))
	}
	if n := len(r.Messages); n > 0 {
		add(thousands(int64(n)), "signalling messages")
	}
}

// interruptions are the worst of each handover.
func (r *Report) interruptions() []time.Duration {
	var all []time.Duration
	for _, m := range r.moves() {
		if w := m.Worst(); w != nil {
			all = append(all, w.Length)
		}
	}
	return all
}

func one(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// handovers fills the table.
func (p *page) handovers(r *Report) {
	var spacing time.Duration
	p.HasAuthentication = slices.Contains(r.Phases(), analysis.AccessAuthentication)
	p.HasBootstrapping = slices.Contains(r.Phases(), analysis.Bootstrapping)
	for i := range r.Handovers {
		h := &r.Handovers[i]
		row := handoverRow{
			Number: numberOf(h), Node: h.Node, Title: title(h), At: fmt.Sprintf("%.3f", h.Start.Seconds()),
			Silence: "–", Lost: "–", Duplicated: "–", Reordered: "–", Bound: "–", Excess: "–",
			Messages: fmt.Sprint(h.Access.Messages), Octets: thousands(int64(h.Access.Octets)), Trips: fmt.Sprint(h.Access.RoundTrips),
			Updates: fmt.Sprint(h.Attempts), AAA: fmt.Sprint(h.AAA), Outcome: string(h.Outcome),
		}
		for _, name := range r.Phases() {
			text := "–"
			if phase, ok := h.Phase(name); ok {
				text = milliseconds(phase.Length())
			}
			row.Split = append(row.Split, text)
		}
		if w := h.Worst(); w != nil {
			row.Silence = milliseconds(w.Length)
			if w.Open {
				row.Silence = "> " + row.Silence
			}
			lost, duplicated, reordered := costs(h)
			row.Lost, row.Duplicated, row.Reordered = fmt.Sprint(lost), fmt.Sprint(duplicated), fmt.Sprint(reordered)
			if w.Bound.Known {
				row.Bound = milliseconds(w.Bound.Total)
				p.HasBounds = true
			}
			if e, ok := w.Excess(); ok {
				row.Excess = milliseconds(e)
			}
			spacing = max(spacing, w.Spacing)
		}
		p.Rows = append(p.Rows, row)
		for _, n := range h.Interruptions {
			if !n.Bound.Known {
				continue
			}
			var terms []string
			for _, t := range n.Bound.Terms {
				terms = append(terms, fmt.Sprintf("%s %s", t.Name, milliseconds(t.Length)))
			}
			p.Bounds = append(p.Bounds, boundRow{fmt.Sprintf("%s %s", numberOf(h), title(h)), n.To, strings.Join(terms, "; "), milliseconds(n.Bound.Total) + " ms"})
		}
	}
	if spacing > 0 {
		p.Spacing = length(spacing)
	}
}

func numberOf(h *analysis.Handover) string {
	if h.Number == 0 {
		return ""
	}
	return fmt.Sprint(h.Number)
}

// title is a handover in few words, with an arrow.
func title(h *analysis.Handover) string {
	switch h.Kind {
	case analysis.Attach:
		return "attach to " + h.To
	case analysis.Again:
		return "back on " + h.To
	}
	return h.From + " → " + h.To
}

// bars draws every handover on one scale of time.
func (p *page) bars(r *Report) {
	moves := r.moves()
	var early, late time.Duration // of the scale, from each handover's start
	for _, h := range moves {
		for _, ph := range h.Split {
			late = max(late, ph.End-h.Start, ph.Start-h.Start)
		}
		for _, n := range h.Interruptions {
			early = min(early, n.Start-h.Start)
			late = max(late, n.End-h.Start)
		}
	}
	if late <= early {
		return
	}
	span := float64(late - early)
	at := func(d time.Duration) float64 { return percent(float64(d-early) / span) }
	for _, h := range moves {
		b := bar{Number: h.Number, Title: title(h), About: about(r, h), Total: "–", TotalMeans: "no traffic"}
		if h.Outcome != analysis.Completed {
			b.Wrong = fmt.Sprintf("%s: %s", h.Outcome, h.Reason)
		}
		alt := []string{h.Name()}
		for _, ph := range h.Split {
			from, to, class := ph.Start, ph.End, ph.Name
			if ph.Length() < 0 {
				from, to, class = ph.End, ph.Start, "both"
				p.HasOverlap = true
			}
			if from == to {
				continue
			}
			words := strings.ReplaceAll(ph.Name, "-", " ") + " " + length(ph.Length())
			if class == "both" {
				words = "both links " + length(-ph.Length())
			}
			alt = append(alt, words)
			b.Parts = append(b.Parts, part{class, words, at(from - h.Start), percent(float64(to-from) / span)})
		}
		for i := range h.Interruptions {
			n := &h.Interruptions[i]
			if unheard(n) {
				alt = append(alt, "no silence towards "+n.To)
				continue
			}
			q := quiet{Left: at(n.Start - h.Start), Width: percent(float64(n.End-n.Start) / span), Open: n.Open}
			q.Label = fmt.Sprintf("%s to %s", length(n.Length), n.To)
			if n.Lost > 0 {
				q.Label += fmt.Sprintf(", %d lost", n.Lost)
			}
			if n.Bound.Known && n.End > n.Start && !n.Open {
				q.HasBound = true
				q.Bound = min(percent(float64(n.Bound.Total+n.Spacing)/float64(n.End-n.Start)), 150)
			}
			if end := q.Left + q.Width; end < 62 {
				q.LabelAt = template.CSS(fmt.Sprintf("left:%.2f%%", end))
			} else {
				q.LabelAt = template.CSS(fmt.Sprintf("right:%.2f%%", 100-q.Left))
				if q.Left < 30 {
					q.LabelAt = "left:40%;background:var(--card)"
				}
			}
			alt = append(alt, "silence towards "+q.Label)
			b.Quiet = append(b.Quiet, q)
		}
		if w := h.Worst(); w != nil {
			b.Total, b.TotalMeans = length(w.Length), "silence"
			switch {
			case w.Open:
				b.Total = "> " + b.Total
			case unheard(w):
				b.Total = "none"
			}
		}
		b.Alt = strings.Join(alt, ", ") + "."
		p.Bars = append(p.Bars, b)
	}
	step := niceStep(late-early, 6)
	for d := time.Duration(0); d <= late; d += step {
		if x := at(d); x <= 96 {
			label := length(d)
			if d == 0 && !p.HasOverlap {
				label = "link lost"
			} else if d == 0 {
				label = "0"
			}
			p.Ticks = append(p.Ticks, tick{fmt.Sprintf("%.2f", x), label})
		}
	}
}

func percent(x float64) float64 { return math.Round(x*10000) / 100 }

// niceStep is a round length that divides a span into about so many parts.
func niceStep(span time.Duration, parts int) time.Duration {
	step := time.Microsecond
	for {
		for _, k := range []time.Duration{1, 2, 5} {
			if step*k*time.Duration(parts) >= span || step > time.Hour {
				return step * k
			}
		}
		step *= 10
	}
}

// about says what was special about a handover.
func about(r *Report, h *analysis.Handover) string {
	parts := []string{fmt.Sprintf("at %.3f s", h.Start.Seconds())}
	if slices.ContainsFunc(r.Handovers, func(o analysis.Handover) bool { return o.Node != h.Node }) {
		parts = []string{fmt.Sprintf("%s at %.3f s", h.Node, h.Start.Seconds())}
	}
	switch {
	case h.Kind == analysis.Return:
		parts = append(parts, "returns home")
	case h.Kind == analysis.Soft:
		parts = append(parts, "make before break")
	}
	if h.First {
		parts = append(parts, "AAA asked")
	}
	if h.Attempts > 1 {
		parts = append(parts, fmt.Sprintf("%d Binding Updates", h.Attempts))
	}
	return strings.Join(parts, ", ")
}

func (p *page) traffic(r *Report) {
	width := time.Duration(0)
	for i := range r.Flows {
		d := &r.Flows[i]
		width = max(width, d.Width)
		row := numbersRow{Flow: d.Flow, From: cmp.Or(d.From, "?"), To: d.To}
		sent, received := thousands(int64(d.Sent)), thousands(int64(d.Received))
		if !d.SentKnown {
			sent = "≥ " + sent
		}
		rate := "–"
		if x, ok := d.Throughput(); ok {
			rate = fmt.Sprintf("%.1f", x*8/1000)
		}
		row.Numbers = []string{sent, received, fmt.Sprint(d.Lost), fmt.Sprint(d.Duplicated), fmt.Sprint(d.Reordered), rate}
		if d.Received > 0 {
			row.Numbers = append(row.Numbers, milliseconds(d.Delay.P50), milliseconds(d.Delay.P95), milliseconds(d.Delay.P99), milliseconds(d.Delay.Max), milliseconds(d.Jitter))
		} else {
			row.Numbers[0], row.Numbers[1] = "–", "–"
			row.Numbers = append(row.Numbers, "–", "–", "–", "–", "–")
		}
		p.Flows = append(p.Flows, row)
	}
	p.BinWidth = length(width)
	if r.divides() {
		for i := range r.Carries {
			c := &r.Carries[i]
			p.Carries = append(p.Carries, numbersRow{Flow: c.Flow, To: c.Link, Numbers: carried(c)})
		}
	}
}

// droppedText tells why frames were dropped, the most frequent reason first.
func droppedText(l analysis.LinkError) string {
	dropped := l.Dropped
	reasons := slices.SortedFunc(maps.Keys(dropped), func(a, b string) int {
		return cmp.Or(cmp.Compare(dropped[b], dropped[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, reason := range reasons {
		if dropped[reason] > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", thousands(int64(dropped[reason])), reason))
		}
	}
	if d := l.Device; d != nil && d.Sent > 0 {
		parts = append(parts, fmt.Sprintf("%s by its own device", thousands(int64(d.Sent))))
	}
	if d := l.Device; d != nil && d.Arrived > 0 {
		parts = append(parts, fmt.Sprintf("%s by its own device on arrival", thousands(int64(d.Arrived))))
	}
	return cmp.Or(strings.Join(parts, ", "), "–")
}

func (p *page) run(r *Report) {
	add := func(name, value string) {
		if value != "" {
			p.Settings = append(p.Settings, analysis.Fact{Name: name, Value: value})
		}
	}
	s := r.Topology.Security
	add("scenario", r.Scenario)
	add("topology", r.Topology.Name)
	add("seed", fmt.Sprint(r.Seed))
	add("integrity", s.Integrity)
	add("replay", s.Replay)
	add("bootstrap", s.Bootstrap)
	add("profile", s.Profile)
	add("run", r.ID)
	add("length", length(r.Duration))
	add("program", r.Program)
	for _, f := range r.Environment {
		switch f.Name {
		case "clock", "wall": // not for people
		case "scenario", "topology", "seed", "program", "integrity", "replay", "bootstrap": // settings
		case "bring-up":
			p.Facts = append(p.Facts, analysis.Fact{Name: f.Name, Value: f.Value + " s"})
		default:
			p.Facts = append(p.Facts, f)
		}
	}
	for _, step := range r.Analysis.Steps {
		p.Steps = append(p.Steps, stepRow{fmt.Sprintf("%.3f", step.At.Seconds()), step.What})
	}
	switch {
	case !r.Capture.Known:
		p.CaptureLine = "The journal does not say whether every packet was captured."
	case r.Capture.Lost == 0:
		p.CaptureLine = fmt.Sprintf("The capture holds %s; none was lost by capturing.", many(r.Capture.Packets, "packet", "packets"))
	default:
		p.CaptureLine = fmt.Sprintf("The capture holds %s, and %s could not be kept: the ladder and the counts of messages may lack some.", many(r.Capture.Packets, "packet", "packets"), thousands(int64(r.Capture.Lost)))
	}
	micro := func(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/1e3) }
	for _, l := range r.Links {
		p.LinkErrors = append(p.LinkErrors, numbersRow{Link: l.Link, From: l.From, Dropped: droppedText(l), Numbers: []string{thousands(int64(l.Sent)), thousands(int64(l.Arrived)), micro(l.Late.P50), micro(l.Late.P95), micro(l.Late.P99), micro(l.Late.Max)}})
	}
	for _, d := range r.Deaths {
		p.Deaths = append(p.Deaths, deathRow{d.Node, fmt.Sprintf("%.3f", d.At.Seconds()), d.Exit, d.Log})
	}
}

package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"s2clab/orchestrator/report/analysis"
)

// What the page's scripts draw. Names are short: a run may have thousands of
// messages.
type (
	pageData struct {
		Actors    []pageActor         `json:"actors"`
		Messages  []pageMessage       `json:"messages"`
		Marks     []pageMark          `json:"marks"`
		Moves     []pageMove          `json:"moves"`
		Flows     []pageFlow          `json:"flows"`
		Signals   []pageSignal        `json:"signals"`
		Duration  float64             `json:"duration"`
		Words     json.RawMessage     `json:"words"`
		Protocols []analysis.Protocol `json:"protocols"`
	}
	pageActor   struct{ Name, Role string }
	pageMessage struct {
		Name     string      `json:"n"`
		Protocol string      `json:"p"`
		From     int         `json:"f"` // index of actors; -1: unknown
		To       []int       `json:"t"`
		Start    float64     `json:"s"`
		End      float64     `json:"e"`
		Fate     string      `json:"x,omitempty"` // where not delivered
		Reason   string      `json:"r,omitempty"`
		Src      string      `json:"a,omitempty"`
		Dst      string      `json:"b,omitempty"`
		Octets   int         `json:"o,omitempty"`
		Handover int         `json:"h,omitempty"`
		Fields   [][2]string `json:"d,omitempty"`
		Hops     []pageHop   `json:"l"`
	}
	pageHop struct {
		Link  string  `json:"n"`
		From  int     `json:"f"`
		To    []int   `json:"t"`
		Start float64 `json:"s"`
		End   float64 `json:"e"`
		Fate  string  `json:"x,omitempty"`
		Frame int     `json:"c,omitempty"`
	}
	pageMark struct {
		At   float64 `json:"s"`
		Node int     `json:"f"`
		Text string  `json:"n"`
		Part int     `json:"h"`
	}
	pageMove struct {
		Number int     `json:"n"`
		Node   string  `json:"node"`
		Title  string  `json:"title"`
		Start  float64 `json:"s"`
		End    float64 `json:"e"`
	}
	pageSignal struct {
		Node   string        `json:"node"`
		Link   string        `json:"link"`
		Levels [][2]*float64 `json:"levels"` // seconds, dBm; no level: nothing is heard
	}
	pageFlow struct {
		Flow   string       `json:"flow"`
		From   string       `json:"from"`
		To     string       `json:"to"`
		Start  float64      `json:"s"`
		Width  float64      `json:"w"`
		Octets bool         `json:"octets"` // sizes are known
		Stream bool         `json:"stream"` // packets are not: no loss, no delay
		Bins   [][5]float64 `json:"bins"`   // packets, octets, lost, median delay, longest delay (ms)
	}
)

// pageData is what the scripts of the page draw, as JSON that holds no character
// with which a script element could end.
func (r *Report) pageData() ([]byte, error) {
	words, err := assets.ReadFile("assets/words.json")
	if err != nil {
		return nil, err
	}
	d := pageData{
		Actors: []pageActor{}, Messages: []pageMessage{}, Marks: []pageMark{}, Moves: []pageMove{}, Flows: []pageFlow{}, Signals: []pageSignal{},
		Duration: r.Duration.Seconds(), Words: words, Protocols: analysis.Protocols,
	}
	index := r.actors(&d)
	for i := range r.Messages {
		d.Messages = append(d.Messages, message(&r.Messages[i], index))
	}
	r.marks(&d, index)
	for _, h := range r.Handovers {
		end := h.End
		if h.Outcome == analysis.Completed {
			end = h.Done
			if w := h.Worst(); w != nil {
				end = max(end, w.End)
			}
		}
		d.Moves = append(d.Moves, pageMove{h.Number, h.Node, title(&h), h.Start.Seconds(), min(end, h.End).Seconds()})
	}
	for i := range r.Flows {
		d.Flows = append(d.Flows, flow(&r.Flows[i]))
	}
	for i := range r.Signals {
		d.Signals = append(d.Signals, signal(&r.Signals[i]))
	}
	return json.Marshal(d) // escapes <, > and &
}

// actors are the nodes that take part in signalling, in the order of the
// topology; those it does not know come last.
func (r *Report) actors(d *pageData) map[string]int {
	used := map[string]bool{}
	var names []string
	see := func(name string) {
		if name != "" && !used[name] {
			used[name] = true
			names = append(names, name)
		}
	}
	for i := range r.Messages {
		m := &r.Messages[i]
		see(m.From)
		for _, to := range m.To {
			see(to)
		}
		for _, h := range m.Hops {
			see(h.From)
			for _, to := range h.To {
				see(to)
			}
		}
	}
	place := map[string]int{}
	role := map[string]string{}
	for i, n := range r.Topology.Nodes {
		place[n.Name], role[n.Name] = i+1, n.Role
	}
	slices.SortStableFunc(names, func(a, b string) int {
		x, y := place[a], place[b]
		if x == 0 {
			x = len(place) + 1
		}
		if y == 0 {
			y = len(place) + 1
		}
		return x - y
	})
	index := map[string]int{}
	for i, n := range names {
		index[n] = i
		d.Actors = append(d.Actors, pageActor{n, role[n]})
	}
	return index
}

func message(m *analysis.Message, index map[string]int) pageMessage {
	at := func(name string) int {
		if i, ok := index[name]; ok {
			return i
		}
		return -1
	}
	all := func(names []string) []int {
		out := []int{}
		for _, n := range names {
			out = append(out, at(n))
		}
		return out
	}
	fate := func(s string) string {
		if s == "delivered" {
			return ""
		}
		return s
	}
	out := pageMessage{
		Name: m.Name, Protocol: string(m.Protocol), From: at(m.From), To: all(m.To), Start: inMicros(m.Start), End: inMicros(m.End),
		Fate: fate(m.Fate), Reason: m.Reason, Src: m.Src, Dst: m.Dst, Octets: m.Octets, Handover: m.Handover,
	}
	for name, value := range m.Fields {
		out.Fields = append(out.Fields, [2]string{name, fieldText(value)})
	}
	slices.SortFunc(out.Fields, func(a, b [2]string) int {
		if x, y := fieldPlace(a[0]), fieldPlace(b[0]); x != y {
			return x - y
		}
		return strings.Compare(a[0], b[0])
	})
	for _, h := range m.Hops {
		out.Hops = append(out.Hops, pageHop{h.Link, at(h.From), all(h.To), inMicros(h.Start), inMicros(h.End), fate(h.Fate), h.Frame})
	}
	return out
}

// inMicros is a time in seconds, to the microsecond.
func inMicros(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)/time.Microsecond) / 1e6
}

// fieldPlace puts the fields that tell most first.
func fieldPlace(name string) int {
	first := []string{"seq", "status", "flags", "lifetime", "home-address", "care-of", "nai", "user-name", "auth", "spi", "timestamp", "options", "eap", "eap-type", "eap-subtype", "attributes", "identity", "key-material", "rand", "request", "authorization", "code", "application", "result", "name"}
	if i := slices.Index(first, name); i >= 0 {
		return i
	}
	return len(first)
}

// fieldText prints a field, and cuts one that is very long.
func fieldText(v any) string {
	const most = 2000
	text := analysis.Show(v)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + fmt.Sprintf("… (%d octets)", len(text))
	}
	return text
}

// marks are what happened beside the messages and explains them.
func (r *Report) marks(d *pageData, index map[string]int) {
	words := map[string]func(f map[string]any) string{
		"link-attached":      func(f map[string]any) string { return "joins " + analysis.Show(f["link"]) },
		"link-detached":      func(f map[string]any) string { return "leaves " + analysis.Show(f["link"]) },
		"address-configured": func(f map[string]any) string { return "has the address " + analysis.Show(f["address"]) },
		"bound":              func(f map[string]any) string { return "is bound to " + analysis.Show(f["care-of"]) },
		"returned-home":      func(map[string]any) string { return "is home" },
		"binding-refused":    func(f map[string]any) string { return "refused: " + analysis.Show(f["name"]) },
		"route-optimized": func(f map[string]any) string {
			if peer, at := f["peer"]; at {
				return "goes directly to " + analysis.Show(peer)
			}
			return "goes directly to " + analysis.Show(f["home-address"])
		},
		"route-optimization-ended": func(map[string]any) string { return "does not go directly any more" },
		"access-authenticated":     func(f map[string]any) string { return "is let in by " + analysis.Show(f["method"]) },
		"access-refused":           func(f map[string]any) string { return "is not let in: " + analysis.Show(f["reason"]) },
		"station-admitted":         func(map[string]any) string { return "opens the link" },
		"bootstrapped":             func(map[string]any) string { return "shares a key with the BSF" },
		"bootstrap-failed":         func(f map[string]any) string { return "has no key: " + analysis.Show(f["reason"]) },
		"association-made":         func(f map[string]any) string { return "has a key, SPI " + analysis.Show(f["spi"]) },
		"aaa-failed":               func(f map[string]any) string { return "has no answer from the AAA server" },
		"update-discarded":         func(f map[string]any) string { return "discards a Binding Update: " + analysis.Show(f["reason"]) },
		"node-died":                func(f map[string]any) string { return "dies: " + analysis.Show(f["exit"]) },
		"node-stopped":             func(map[string]any) string { return "is stopped" },
	}
	for _, e := range r.Events {
		say, ok := words[e.Name]
		node := analysis.NodeOf(e)
		i, known := index[node]
		if !ok || !known || e.Fields["role"] == "traffic" {
			continue
		}
		part := 0
		for _, h := range r.Handovers {
			if h.Node == node && e.At >= h.Start && e.At < h.End {
				part = h.Number
			}
		}
		d.Marks = append(d.Marks, pageMark{inMicros(e.At), i, fieldText(say(e.Fields)), part})
	}
	slices.SortStableFunc(d.Marks, func(a, b pageMark) int {
		switch {
		case a.At < b.At:
			return -1
		case a.At > b.At:
			return 1
		}
		return 0
	})
}

// mostBins is how many points a chart can show.
const mostBins = 1500

// signal thins out what a chart cannot show, but for the end of it.
func signal(s *analysis.Signal) pageSignal {
	out := pageSignal{Node: s.Node, Link: s.Link, Levels: [][2]*float64{}}
	step := max((len(s.Levels)+mostBins-1)/mostBins, 1)
	for i := range s.Levels {
		l := &s.Levels[i]
		if i%step != 0 && l.Heard && i+1 < len(s.Levels) {
			continue
		}
		at, level := inMicros(l.At), &l.Level
		if !l.Heard {
			level = nil
		}
		out.Levels = append(out.Levels, [2]*float64{&at, level})
	}
	return out
}

func flow(d *analysis.Direction) pageFlow {
	group := (len(d.Bins) + mostBins - 1) / mostBins
	group = max(group, 1)
	out := pageFlow{
		Flow: d.Flow, From: d.From, To: d.To, Start: inMicros(d.Start), Width: (d.Width * time.Duration(group)).Seconds(),
		Octets: d.Octets > 0, Stream: d.Received == 0 && d.Octets > 0, Bins: [][5]float64{},
	}
	ms := func(t time.Duration) float64 { return float64(t.Round(time.Microsecond)) / 1e6 }
	for part := range slices.Chunk(d.Bins, group) {
		var sum [5]float64
		for _, b := range part {
			sum[0] += float64(b.Packets)
			sum[1] += float64(b.Octets)
			sum[2] += float64(b.Lost)
			sum[3] = max(sum[3], ms(b.Delay))
			sum[4] = max(sum[4], ms(b.DelayMax))
		}
		out.Bins = append(out.Bins, sum)
	}
	return out
}

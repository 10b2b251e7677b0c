package scenarios

import (
	"encoding/csv"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"s2clab/topologies"
	"s2clab/topologies/strict"
)

// A Row is what a drive says of one link from a time on, until its next row of
// that link.
type Row struct {
	At     time.Duration // since the drive began
	Link   string
	Gone   bool              // the access is: the node is parted from the link
	Signal *float64          // dBm; nil: not told, or the access is gone
	Change topologies.Change // of what the link does to frames, in both directions
}

// Bounds of the file of a drive.
const (
	maxDrive = 8 << 20 // octets
	maxRows  = 100_000
)

// A column is one that the table of a drive may have.
type column struct {
	name        string
	units       []string           // that its header may state; nil: it has no unit
	scale       map[string]float64 // of each unit, to s, dBm, bit/s or %
	least, most float64            // in that
	doc         string
}

// columns are all columns of a drive.
var columns = sync.OnceValue(func() []column {
	return []column{
		{name: "time", units: []string{"s", "ms"}, scale: map[string]float64{"s": 1, "ms": 1e-3}, most: maxTime.Seconds(), doc: "Since the step began. Rows are in the order of time."},
		{name: "link", doc: "The access that the row is about."},
		{name: "signal", units: []string{"dBm"}, scale: map[string]float64{"dBm": 1}, least: topologies.LeastSignal, most: topologies.MostSignal,
			doc: "What the mobile's radio hears, which its policy goes by. Empty: the access is gone."},
		{name: "rate", units: []string{"bit/s", "kbit/s", "Mbit/s", "Gbit/s"}, scale: map[string]float64{"bit/s": 1, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9}, least: 1000, most: 1e12,
			doc: "The rate of the link, in each direction."},
		{name: "rtt", units: []string{"ms", "s"}, scale: map[string]float64{"ms": 1e-3, "s": 1}, most: 120,
			doc: "The round-trip time over the link: half of it is the delay of each direction."},
		{name: "loss", units: []string{"%"}, scale: map[string]float64{"%": 1}, most: 100, doc: "The share of frames that are lost, in each direction."},
	}
})

// alike are names that other tables have for our columns.
var alike = map[string]string{"access": "link", "interface": "link", "network": "link", "rssi": "signal", "rsrp": "signal", "throughput": "rate", "bandwidth": "rate", "latency": "rtt", "timestamp": "time"}

func columnNamed(name string) *column {
	all := columns()
	if i := slices.IndexFunc(all, func(c column) bool { return c.name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

func columnNames() []string {
	var out []string
	for _, c := range columns() {
		out = append(out, c.name)
	}
	return out
}

// example is how a header names the column.
func (c *column) example() string {
	if c.units == nil {
		return c.name
	}
	unit := c.units[0]
	if c.name == "rate" {
		unit = "Mbit/s"
	}
	return fmt.Sprintf("%s [%s]", c.name, unit)
}

// A drive is the table of a Trace on its way to Rows.
type drive struct {
	*strict.Sheet
	heads []head
	links []string                 // those that may be meant
	floor *float64                 // nil: none
	least map[string]time.Duration // by link: a uniform jitter that its delay must not be less than
	last  map[string]rowAt         // by link: its last row
	time  float64                  // of the last row, seconds
	rows  []Row
}

// A head is a column as the header has it; column is nil where it is wrong.
type head struct {
	column *column
	unit   string
}

type rowAt struct {
	at   time.Duration
	line int
}

var (
	headShape = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^([^\[(]*?)\s*(?:\[\s*([^\])]*?)\s*\]|\(\s*([^\])]*?)\s*\))?$`)
	})
	numberShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`) })
)

// read reads the whole table.
func (d *drive) read() {
	line, ok := d.Next()
	switch {
	case !ok && !d.Failed():
		d.ComplainOfAll("begin with a line that names the columns: time [s],link,signal [dBm]", "there is nothing in it")
		return
	case !ok || !d.header(line):
		return
	}
	for {
		line, ok := d.Next()
		if !ok {
			break
		}
		if len(d.rows) == maxRows {
			d.Complain("cut it into several", "the drive has more than %d rows", maxRows)
			return
		}
		d.row(line)
	}
	if len(d.rows) == 0 && !d.Failed() {
		d.ComplainOfAll("write a row for each access at each time: 0,wlan,-60", "there is no row in it")
	}
}

// cells are those of a line.
func (d *drive) cells(line string) ([]string, bool) {
	r := csv.NewReader(strings.NewReader(line))
	r.TrimLeadingSpace = true
	cells, err := r.Read()
	if err != nil {
		d.Complain("leave quotes out: no cell needs them", "the line cannot be read as cells with commas between them")
		return nil, false
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells, true
}

// header reads the line that names the columns. False: rows cannot be read by it.
func (d *drive) header(line string) bool {
	cells, ok := d.cells(line)
	if !ok {
		return false
	}
	if len(cells) == 1 && strings.Count(line, ";") > 1 {
		d.Complain("put commas between them, and points into numbers", "the columns have semicolons between them")
		return false
	}
	seen := map[string]bool{}
	for i, cell := range cells {
		m := headShape().FindStringSubmatch(cell)
		if m == nil {
			d.Complain("name a column and its unit, such as signal [dBm]", "column %d: %s is not a name with a unit", i+1, strict.Quote(cell))
			d.heads = append(d.heads, head{})
			continue
		}
		c, unit := columnNamed(m[1]), m[2]+m[3]
		d.heads = append(d.heads, head{c, unit})
		switch {
		case c == nil:
			word := m[1]
			if ours, ok := alike[strings.ToLower(word)]; ok {
				word = ours
			}
			d.Complain(strict.Suggest(word, "columns", columnNames()), "column %d: %s is not a column of a drive", i+1, strict.Quote(m[1]))
		case seen[c.name]:
			d.Complain("keep one of them", "column %s stands there twice", c.name)
			d.heads[i].column = nil
		case c.units == nil && unit != "":
			d.Complain("write "+c.name, "column %s has a unit", c.name)
		case c.units != nil && unit == "":
			d.Complain("write "+c.example()+"; units here: "+strings.Join(c.units, ", "), "column %s has no unit", c.name)
			d.heads[i].column = nil
		case c.units != nil && !slices.Contains(c.units, unit):
			d.Complain(strict.Suggest(unit, "units here", c.units), "column %s: %s is not a unit of it", c.name, strict.Quote(unit))
			d.heads[i].column = nil
		}
		if c != nil {
			seen[c.name] = true
		}
	}
	for _, must := range []string{"time", "link"} {
		if !seen[must] {
			d.Complain("add "+columnNamed(must).example(), "the column %s is missing", must)
		}
	}
	if seen["time"] && seen["link"] && len(seen) == 2 && !d.Failed() {
		d.Complain("add a column, such as signal [dBm]", "no column says how the accesses are")
	}
	if d.floor != nil && !seen["signal"] {
		d.Complain("add signal [dBm], or leave floor: out of the step", "the step has a floor, and there is no column signal")
	}
	return seen["time"] && seen["link"]
}

// A reading is what the cells of a row say, in the base units of their columns.
type reading map[string]float64

// row reads one row.
func (d *drive) row(line string) {
	cells, ok := d.cells(line)
	if !ok {
		return
	}
	if len(cells) != len(d.heads) {
		d.Complain("cells without a value are empty, and have their comma", "has %d cells, and the header names %d columns", len(cells), len(d.heads))
		return
	}
	link, linked := "", false
	given, bad := reading{}, false
	measured := false // the file has a column signal
	for i, h := range d.heads {
		switch {
		case h.column == nil: // has been told
		case h.column.name == "link":
			link, linked = cells[i], true
		case cells[i] != "":
			x, ok := d.number(h, cells[i])
			given[h.column.name] = x
			bad = bad || !ok
		case h.column.name == "time":
			d.Complain("", "time: there is none")
			bad = true
		}
		measured = measured || h.column != nil && h.column.name == "signal"
	}
	if linked && !slices.Contains(d.links, link) {
		d.Complain(strict.Suggest(link, "links", d.links), "link: %s is not a link that the node is on", strict.Quote(link))
		bad = true
	}
	seconds, timed := given["time"]
	if bad || !timed {
		return
	}
	if seconds < d.time {
		d.Complain("put the rows in the order of time", "time: %g s stands behind %g s", seconds, d.time)
		return
	}
	d.time = seconds
	delete(given, "time")
	at := time.Duration(seconds * float64(time.Second)).Round(time.Microsecond)
	if last, there := d.last[link]; there && last.at == at {
		d.Complain("keep one of them", "%s has a row for %g s already, on line %d", link, seconds, last.line)
		return
	}
	d.last[link] = rowAt{at, d.Line()}
	signal, heard := given["signal"]
	row := Row{At: at, Link: link, Gone: measured && (!heard || d.floor != nil && signal < *d.floor) || len(given) == 0}
	if !row.Gone {
		d.fill(&row, given)
	}
	d.rows = append(d.rows, row)
}

// fill puts into a row what its cells say of an access that is there.
func (d *drive) fill(row *Row, given reading) {
	if x, ok := given["signal"]; ok {
		row.Signal = &x
	}
	if x, ok := given["rate"]; ok {
		rate := int64(x + 0.5)
		row.Change.Rate = &rate
	}
	if x, ok := given["rtt"]; ok {
		delay := time.Duration(x * float64(time.Second) / 2).Round(time.Microsecond)
		row.Change.Delay = &delay
		if jitter := d.least[row.Link]; delay < jitter {
			d.Complain("make it "+strict.Short(2*jitter)+" or more, or choose another distribution for the jitter",
				"rtt: half of it is less than the uniform jitter of %s that link %s has: frames would arrive before they are sent", strict.Short(jitter), row.Link)
		}
	}
	if x, ok := given["loss"]; ok {
		row.Change.Loss = &topologies.Loss{Rate: x / 100}
	}
}

// number reads a cell, in the base unit of its column.
func (d *drive) number(h head, cell string) (float64, bool) {
	c := h.column
	x, err := strconv.ParseFloat(cell, 64)
	if err != nil || !numberShape().MatchString(cell) {
		hint := fmt.Sprintf("write a number alone: the header says that it is of %s", h.unit)
		if strings.HasPrefix(cell, "+") || strings.ContainsAny(cell, "eE") && err == nil {
			hint = "write it out, such as " + strconv.FormatFloat(x, 'f', -1, 64)
		}
		d.Complain(hint, "%s: %s is not a number", c.name, strict.Quote(cell))
		return 0, false
	}
	x *= c.scale[h.unit]
	if x < c.least || x > c.most {
		hint := ""
		if c.name == "rate" && x == 0 {
			hint = "an access that delivers nothing is gone: leave the row's other cells empty"
		}
		in := func(x float64) string { return strconv.FormatFloat(x/c.scale[h.unit], 'f', -1, 64) }
		d.Complain(hint, "%s: %s is out of range; want %s to %s %s", c.name, cell, in(c.least), in(c.most), h.unit)
		return 0, false
	}
	return x, true
}

// driven says which trace a node follows, in which step.
type driven struct {
	line  int
	links []string
}

// free sees that a node's link is not in the hands of a trace; "": none of its links.
func (p *parser) free(v *strict.Value, nodes []string, link string) bool {
	for _, n := range nodes {
		if d := p.driven[n]; d != nil && (link == "" || slices.Contains(d.links, link)) {
			p.complain(v, "leave the step out, or the trace", "%s follows the trace of line %d, which joins it to %s and parts it from there", n, d.line, strings.Join(d.links, ", "))
			return false
		}
	}
	return true
}

// trace reads the step trace and the file that it names.
func (p *parser) trace(v *strict.Value) Action {
	a := &Trace{Nodes: p.nodes(v.Get("node"), mobile), File: v.Get("file").Text}
	if len(a.Nodes) == 0 {
		return nil
	}
	for _, n := range a.Nodes {
		if d := p.driven[n]; d != nil {
			p.complain(v, "put both drives into one file", "%s follows the trace of line %d already", n, d.line)
			return nil
		}
	}
	file := besides(p.s.File, a.File)
	data, err := readLong(file)
	if err != nil {
		what := err.Error()
		if ps, ok := strict.As(err); ok {
			what = file + ": " + ps[0].What
		}
		p.complain(v.Get("file"), "the name is relative to "+p.s.File, "%s: %s", v.Get("file").Path, what)
		return nil
	}
	d := &drive{Sheet: strict.OpenSheet(file, data, "a table of a drive", maxDrive), least: map[string]time.Duration{}, last: map[string]rowAt{}}
	if x := v.Get("floor"); strict.Is[float64](x) {
		floor := strict.Or(x, 0.0)
		d.floor = &floor
	}
	for _, l := range p.linksOf(a.Nodes[0]) {
		if slices.IndexFunc(a.Nodes, func(n string) bool { return !slices.Contains(p.linksOf(n), l) }) < 0 {
			d.links = append(d.links, l)
			if j := p.t.Link(l).From[a.Nodes[0]].Jitter; j.Distribution == "uniform" {
				d.least[l] = j.Spread
			}
		}
	}
	d.read()
	if err := d.Err(); err != nil {
		ps, _ := strict.As(err)
		p.doc.Add(ps...)
		return nil
	}
	a.Rows = d.rows
	p.alone(v, a)
	for _, n := range a.Nodes {
		p.driven[n] = &driven{line: v.Line, links: slices.Sorted(maps.Keys(d.last))}
	}
	return a
}

// alone sees that a link which a trace changes has no mobile on it that does not
// follow the trace: the change would be one for it too.
func (p *parser) alone(v *strict.Value, a *Trace) {
	told := map[string]bool{}
	for _, row := range a.Rows {
		if told[row.Link] || row.Change == (topologies.Change{}) {
			continue
		}
		told[row.Link] = true
		for _, end := range p.t.Link(row.Link).Ends {
			if p.t.Node(end).MobileNode != nil && !slices.Contains(a.Nodes, end) {
				p.complain(v.Get("node"), "name all of them, or leave rate, rtt and loss out of the file", "the trace changes link %q, on which %s is too", row.Link, end)
				break
			}
		}
	}
}

// traces are the values that name files of traces, in steps.
func traces(steps []*strict.Value) []*strict.Value {
	var out []*strict.Value
	for _, v := range steps {
		for _, file := range []*strict.Value{v.Get("trace").Get("file"), v.Get("link").Get("set").Get("rate").Get("trace")} {
			if file.Good() {
				out = append(out, file)
			}
		}
		out = append(out, traces(v.Get("steps").Items())...)
	}
	return out
}

// besides is the path of a file that another names.
func besides(file, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(path.Dir(filepath.ToSlash(file)), name)
}

// readLong is ReadFile for files that programs write: they may be longer.
func readLong(name string) ([]byte, error) {
	if strings.HasPrefix(name, topologies.ShippedRoot) {
		return ReadFile(name)
	}
	return strict.ReadFileUpTo(name, maxDrive)
}

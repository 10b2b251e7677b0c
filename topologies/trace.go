package topologies

import (
	"cmp"
	"errors"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"s2clab/topologies/strict"
)

// A RateTrace says when a link may deliver: at each of its times, TraceOctets. It
// repeats itself at its end. The form is that of the link traces of Mahimahi
// (Netravali and others, USENIX ATC 2015): a time in milliseconds a line.
type RateTrace struct {
	File  string   // as the user's file names it
	Times []uint32 // milliseconds since the trace began, not falling; the last is its length, and not 0; nil: not told
}

// TraceOctets is what one opportunity of a RateTrace delivers: a packet of 1500
// octets, and 4 more for the header of the device by which Mahimahi hears it. What
// a frame has beyond its packet does not count; those 4 octets count for each.
const TraceOctets = 1504

// Bounds of the file of a RateTrace.
const (
	maxTrace     = 8 << 20 // octets
	maxTraceTime = 24 * time.Hour
)

// Length is how long the trace is, before it begins again.
func (t *RateTrace) Length() time.Duration {
	return time.Duration(t.Times[len(t.Times)-1]) * time.Millisecond
}

// Mean is what the trace delivers on average, in bit/s, no less than 1.
func (t *RateTrace) Mean() int64 {
	bits := float64(len(t.Times)) * TraceOctets * 8
	return int64(min(max(math.Round(bits/t.Length().Seconds()), 1), fastest))
}

// Name is the trace without its times, for those who only want to know which.
func (t *RateTrace) Name() *RateTrace {
	if t == nil {
		return nil
	}
	return &RateTrace{File: t.File}
}

// ParseRateTrace reads the text of a trace: lines that are empty or begin with "#"
// are left out. All that is wrong with it is told at once, as Problems.
func ParseRateTrace(file string, data []byte) (*RateTrace, error) {
	s := strict.OpenSheet(file, data, "a trace of packet deliveries", maxTrace)
	t := &RateTrace{File: file}
	for {
		line, ok := s.Next()
		if !ok {
			break
		}
		at, err := strconv.ParseUint(line, 10, 64)
		switch {
		case errors.Is(err, strconv.ErrRange) || err == nil && at > uint64(maxTraceTime/time.Millisecond):
			s.Complain("each line is a time since the trace began, in milliseconds", "%s ms is more than the %s that a trace may last", line[:min(len(line), 24)], strict.Short(maxTraceTime))
		case err != nil:
			hint := "write one time a line, in whole milliseconds since the trace began, such as 20"
			if strings.ContainsAny(line, ",;") {
				hint += "; a table with columns is for the step trace of a scenario"
			}
			s.Complain(hint, "%s is not a time in whole milliseconds", strict.Quote(line))
		case len(t.Times) > 0 && uint32(at) < t.Times[len(t.Times)-1]:
			s.Complain("put the times in order; several deliveries in one millisecond are as many lines", "%d ms stands behind %d ms", at, t.Times[len(t.Times)-1])
		default:
			t.Times = append(t.Times, uint32(at))
		}
	}
	switch {
	case s.Failed():
	case len(t.Times) == 0:
		s.ComplainOfAll("write one time a line, in milliseconds since the trace began", "there is no time in it")
	case t.Times[len(t.Times)-1] == 0:
		s.ComplainOfAll("the last time is when the trace begins again", "the trace has no length: its last time is 0 ms")
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	return t, nil
}

// A ChangeReader reads what a file says of links, and the traces that it names,
// each once.
type ChangeReader struct {
	doc    *strict.Document
	file   string // that names of files are relative to
	read   func(file string) ([]byte, error)
	traces map[string]*RateTrace // by file; nil: it has been complained of
}

// NewChangeReader reads changes of doc; read reads the files that it names.
func NewChangeReader(doc *strict.Document, read func(file string) ([]byte, error)) *ChangeReader {
	return &ChangeReader{doc: doc, file: doc.File, read: read, traces: map[string]*RateTrace{}}
}

// trace reads the trace whose file v names.
func (r *ChangeReader) trace(v *strict.Value) *RateTrace {
	file := beside(r.file, v.Text)
	if t, known := r.traces[file]; known {
		return t
	}
	r.traces[file] = nil
	data, err := r.read(file)
	if err != nil {
		r.doc.Complain(v, "the name is relative to "+cmp.Or(r.file, "where the command runs"), "%s: %s", v.Path, whyNot(file, err))
		return nil
	}
	t, err := ParseRateTrace(file, data)
	if err != nil {
		ps, _ := strict.As(err)
		r.doc.Add(ps...)
		return nil
	}
	t.File = v.Text
	r.traces[file] = t
	return t
}

// whyNot says why a file that another names could not be read.
func whyNot(file string, err error) string {
	if ps, ok := strict.As(err); ok {
		return file + ": " + ps[0].What
	}
	return err.Error()
}

// readLong is ReadFile for files that programs write: they may be longer.
func readLong(name string) ([]byte, error) {
	if strings.HasPrefix(name, ShippedRoot) {
		return ReadFile(name)
	}
	return strict.ReadFileUpTo(name, maxTrace)
}

// traceNames returns the values that name traces, in v, which says what a link
// does to frames.
func traceNames(v *strict.Value) []*strict.Value {
	var out []*strict.Value
	add := func(v *strict.Value) {
		if name := v.Get("rate").Get("trace"); name != nil && name.Text != "" {
			out = append(out, name)
		}
	}
	add(v)
	from := v.Get("from")
	for _, key := range from.Keys() {
		add(from.Get(key.Text))
	}
	return out
}

// A Copier gathers the files that another file names under names that are all
// different.
type Copier struct {
	Files map[string][]byte // by the name that each has now
	named map[string]string // the name now, by the file it was read from
}

// Add takes a file's contents, and returns what it is called from now on: the
// last part of its name, with a number where another has that.
func (c *Copier) Add(from string, content []byte) string {
	if name, done := c.named[from]; done {
		return name
	}
	name := path.Base(from)
	stem, ext := strings.TrimSuffix(name, path.Ext(name)), path.Ext(name)
	for i := 2; c.Files[name] != nil || slices.Contains(takenNames, name); i++ {
		name = stem + "-" + strconv.Itoa(i) + ext
	}
	if c.named == nil {
		c.named = map[string]string{}
	}
	c.named[from], c.Files[name] = name, content
	return name
}

// takenNames are those of files that a run has anyway.
var takenNames = []string{topologyFile, "scenario.yaml", "journal.jsonl", "capture.pcapng", "report.html", "result.json", "junit.xml"}

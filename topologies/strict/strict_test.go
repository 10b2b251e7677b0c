package strict

import (
	"strings"
	"testing"
	"time"
)

func TestTheNearestWordIsTheOneThatWasMeant(t *testing.T) {
	words := []string{"ha", "mn", "cn", "home-agent", "home-address", "delay", "duplicate", "binding-update", "binding-acknowledgement"}
	for word, want := range map[string]string{
		"hq": "ha", "nm": "mn", "home_agent": "home-agent", "HomeAgent": "home-agent", "home-adress": "home-address", "dealy": "delay",
		"dup": "duplicate", "binding-ack": "binding-acknowledgement", "bindingupdate": "binding-update", "Binding-Update": "binding-update",
		"xyz": "", "": "", "z": "", "router": "", strings.Repeat("delay", 100): "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%.20q: %q, want %q", word, got, want)
		}
	}
}

func TestQuantitiesAreReadExactly(t *testing.T) {
	for _, c := range []struct {
		scalar *Scalar
		text   string
		want   any // nil: refused
	}{
		{Duration(0, time.Hour), "15ms", 15 * time.Millisecond},
		{Duration(0, time.Hour), "1.5s", 1500 * time.Millisecond},
		{Duration(0, time.Hour), "1m30s", 90 * time.Second},
		{Duration(-time.Hour, time.Hour), "-1h", -time.Hour},
		{Duration(0, time.Hour), "-1s", nil},
		{Duration(0, time.Hour), "61m", nil},
		{Duration(0, time.Hour), "15", nil},
		{Duration(0, time.Hour), "0", nil},
		{Duration(0, time.Hour), "1e3s", nil},
		{Duration(0, time.Hour), "9999999999999999999h", nil},
		{BitRate(1000, 1e12), "50Mbit/s", int64(50e6)},
		{BitRate(1000, 1e12), "1.5kbit/s", int64(1500)},
		{BitRate(1000, 1e12), "50mbit/s", nil},
		{BitRate(1000, 1e12), "999bit/s", nil},
		{Size(1, 1e9), "64kB", int64(64000)},
		{Size(1, 1e9), "64KiB", int64(65536)},
		{Size(1, 1e9), "0.5B", int64(1)},
		{Size(1, 1e9), "64K", nil},
		{Often(1, 1000), "100/s", Frequency(100)},
		{Often(1, 1000), "100", nil},
		{Percent(), "0.5%", 0.005},
		{Percent(), "100%", 1.0},
		{Percent(), "101%", nil},
		{Percent(), "0.5", nil},
		{Level("l", "-75dBm", "dBm", -200, 50), "-75dBm", -75.0},
		{Level("l", "-75dBm", "dBm", -200, 50), "-75.5dBm", -75.5},
		{Level("l", "-75dBm", "dBm", -200, 50), "50.1dBm", nil},
		{Level("l", "-75dBm", "dBm", -200, 50), "-75dB", nil},
		{Level("l", "-75dBm", "dBm", -200, 50), "--75dBm", nil},
		{Integer("n", 0, 10), "7", int64(7)},
		{Integer("n", 0, 10), "07", nil},
		{Integer("n", 0, 10), "0x7", nil},
		{Integer("n", 0, 10), "11", nil},
	} {
		got, err := c.scalar.Parse(c.text)
		if (err != nil) != (c.want == nil) || err == nil && got != c.want {
			t.Errorf("%s as %s: %v, %v; want %v", c.text, c.scalar.Name, got, err, c.want)
		}
	}
}

func TestDurationsPrintShortly(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Hour: "1h", 90 * time.Minute: "1h30m", time.Minute: "1m", 0: "0s", 1500 * time.Millisecond: "1.5s", 10 * time.Second: "10s", 61 * time.Second: "1m1s"} {
		if got := Short(d); got != want {
			t.Errorf("%v prints as %s, want %s", d, got, want)
		}
	}
}

// What the schema's pattern refuses, the reader must refuse, and the other way
// round, as far as patterns go.
func TestPatternsHoldTheExamples(t *testing.T) {
	for _, s := range []*Scalar{Duration(0, time.Hour), BitRate(1, 1e12), Size(1, 1e9), Often(1, 1e6), Percent()} {
		for _, e := range s.Examples {
			if _, err := s.Parse(e); err != nil {
				t.Errorf("example %s of %s: %v", e, s.Name, err)
			}
		}
	}
}

func TestAnOverrideKeepsCommentsAndOrder(t *testing.T) {
	shape := &Shape{Fields: []Field{
		{Key: "a", Shape: Of(Text("a text", 10))},
		{Key: "b", Shape: &Shape{Short: "x", Fields: []Field{{Key: "x", Shape: Of(Duration(0, time.Hour))}, {Key: "y", Shape: Of(Boolean())}}}},
		{Key: "c", Shape: &Shape{Items: Of(Text("a text", 10)), Single: true}},
	}}
	d := Open("f.yaml", []byte("# head\na: one # why\nb: 5ms\n# between\nc: [x, y, z]\n"))
	for _, o := range []Override{{Path: "a", Value: "007"}, {Path: "b.y", Value: "true"}, {Path: "c.2"}, {Path: "c.1", Value: "w"}} {
		d.Override(shape, o)
	}
	v := d.Read(shape)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	if got := Or(v.Get("b").Get("x"), time.Duration(0)); got != 5*time.Millisecond {
		t.Errorf("what the scalar stood for is %v", got)
	}
	text, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if want := "# head\na: \"007\" # why\nb: {x: 5ms, y: true}\n# between\nc: [w, z]\n"; string(text) != want {
		t.Errorf("written:\n%s\nwant:\n%s", text, want)
	}
}

func TestASheetGivesItsLinesAndTheirNumbers(t *testing.T) {
	s := OpenSheet("f", []byte("\ufeff# head\n\n  one \r\n#\ntwo"), "a sheet", 100)
	for _, want := range []struct {
		text string
		line int
	}{{"one", 3}, {"two", 5}} {
		if got, ok := s.Next(); !ok || got != want.text || s.Line() != want.line {
			t.Errorf("%q on line %d, want %q on line %d", got, s.Line(), want.text, want.line)
		}
		s.Complain("why", "%s is wrong", want.text)
	}
	if got, ok := s.Next(); ok {
		t.Errorf("one more line: %q", got)
	}
	s.ComplainOfAll("", "all is")
	if err := s.Err(); err == nil || err.Error() != "f: all is\nf:3: one is wrong\n    hint: why\nf:5: two is wrong\n    hint: why" {
		t.Errorf("%v", err)
	}
	for _, data := range []string{"\x00", "\xff", "\x1f\x8b", strings.Repeat("x", 101)} {
		s := OpenSheet("f", []byte(data), "a sheet", 100)
		if _, ok := s.Next(); ok || !s.Failed() {
			t.Errorf("%.5q is read", data)
		}
	}
}

package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/topologies"
	"s2clab/topologies/strict"
)

// driving writes the table of a drive, and a scenario that has ue follow it.
func driving(t *testing.T, table, step string) (file string, text []byte) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "drive.csv"), []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "scenario.yaml"), []byte("scenario: t\ntopology: eps-s2c\nsteps:\n  - {at: 1s, trace: {node: ue, file: drive.csv" + step + "}}\n")
}

func rowsOf(t *testing.T, table, step string) []Row {
	t.Helper()
	s, err := Parse(driving(t, table, step))
	if err != nil {
		t.Fatal(err)
	}
	return s.Steps[0].Do.(*Trace).Rows
}

func told(x float64) *float64 { return &x }

func TestARowSaysWhatBecomesOfAnAccess(t *testing.T) {
	delay, rate := 15*time.Millisecond, int64(1_500_000)
	want := []Row{
		{Link: "lte", Signal: told(-60), Change: topologies.Change{Delay: &delay, Rate: &rate, Loss: &topologies.Loss{Rate: 0.015}}},
		{At: 200 * time.Millisecond, Link: "wlan", Signal: told(-95)},
		{At: 200 * time.Millisecond, Link: "lte", Gone: true},
		{At: 1500 * time.Millisecond, Link: "wlan", Gone: true},
	}
	for name, table := range map[string]string{
		"in seconds": "\ufefftime [s],link,signal [dBm],rate [Mbit/s],rtt [ms],loss [%]\r\n# so\r\n0,lte,-60,1.5,30,1.5\r\n\r\n0.2,wlan,-95,,,\r\n0.2,lte,-95.1,50,30,0\r\n1.5,wlan,,,,\r\n",
		"otherwise":  " loss (%) , rtt [ s ], rate[kbit/s], signal [dBm], link, time [ms]\n1.5,0.03,1500,-60,lte,0\n,,,-95,\"wlan\",200\n,,,-96,lte,200\n,,,,wlan,1500",
	} {
		if diff := cmp.Diff(want, rowsOf(t, table, ", floor: -95dBm")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWithoutSignalsAnAccessIsGoneThatHasNoValues(t *testing.T) {
	rows := rowsOf(t, "time [s],link,rate [Mbit/s],loss [%]\n0,lte,50,\n1,lte,,\n2,lte,,1\n", "")
	var gone []bool
	for _, r := range rows {
		gone = append(gone, r.Gone)
	}
	if diff := cmp.Diff([]bool{false, true, false}, gone); diff != "" {
		t.Error(diff)
	}
}

func TestALongFileIsRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString("time [s],link,signal [dBm]\n")
	for i := range maxRows + 1 {
		fmt.Fprintf(&b, "%d.%03d,lte,-60\n", i/1000, i%1000)
	}
	_, err := Parse(driving(t, b.String(), ""))
	if ps, ok := strict.As(err); !ok || len(ps) != 1 || ps[0].Line != maxRows+2 || !strings.Contains(ps[0].What, "more than 100000 rows") {
		t.Errorf("got %v", err)
	}
	_, err = Parse(driving(t, strings.Repeat("#", maxDrive+1), ""))
	if ps, ok := strict.As(err); !ok || !strings.Contains(ps[0].What, "more than the 8388608") {
		t.Errorf("got %v", err)
	}
	// Of very many problems the first are told.
	_, err = Parse(driving(t, "time [s],link,signal [dBm]\n"+strings.Repeat("x,y,z\n", 50_000), ""))
	if ps, ok := strict.As(err); !ok || len(ps) > 1100 {
		t.Errorf("%d problems", len(ps))
	}
}

func TestTracesGoWithTheScenario(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"scenario.yaml": "scenario: t\ntopology: net/t.yaml\nset: {links.lte.from.ue.rate: '{trace: ../own.up}'}\nsteps:\n" +
			"  - {at: 0s, trace: {node: ue, file: a/drive.csv}}\n  - {at: 1s, repeat: 2, every: 1s, steps: [{link: {name: wlan, set: {rate: {trace: b/drive.csv}}}}]}\n",
		"net/t.yaml": "topology: t\nnodes: {ue: {role: mn}, pgw: {role: ha, aaa: aaa}, aaa: {role: aaa}, gw: {role: router}}\n" +
			"links: {lte: {ends: [ue, pgw], home: true, rate: {trace: drive.csv}}, wlan: {ends: [ue, gw]}, core: {ends: [gw, pgw, aaa]}}\n",
		"net/drive.csv": "1\n2\n",
		"own.up":        "10\n",
		"a/drive.csv":   "time [s],link,signal [dBm]\n0,wlan,-60\n",
		"b/drive.csv":   "3\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	files, err := want.Files()
	if err != nil {
		t.Fatal(err)
	}
	copied := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(copied, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(copied)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, files["scenario.yaml"], files["topology.yaml"])
	}
	times := func(s *Scenario) (all [][]uint32) {
		l := s.Topology.Link("lte")
		all = append(all, l.From["ue"].Trace.Times, l.From["pgw"].Trace.Times)
		for _, step := range s.Steps {
			if link, ok := step.Do.(*Link); ok {
				all = append(all, link.Change.Trace.Times)
			}
		}
		return all
	}
	if diff := cmp.Diff(times(want), times(got)); diff != "" || len(times(want)) != 4 {
		t.Errorf("traces (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.Steps[0].Do.(*Trace).Rows, got.Steps[0].Do.(*Trace).Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if len(files) != 6 {
		t.Errorf("%d files", len(files))
	}
}

func FuzzDrive(f *testing.F) {
	good, err := os.ReadFile("drive-make-before-break/drive.csv")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[:2000])
	for _, name := range []string{"rows.csv", "head.csv", "semicolons.csv"} {
		data, err := os.ReadFile("testdata/bad/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &drive{Sheet: strict.OpenSheet("drive.csv", data, "a table of a drive", maxDrive), links: []string{"lte", "wlan", "wimax"}, least: map[string]time.Duration{}, last: map[string]rowAt{}}
		d.read()
		if d.Err() == nil && len(d.rows) == 0 {
			t.Error("neither rows nor problems")
		}
		last := time.Duration(0)
		for _, r := range d.rows {
			if r.At < last || r.At > maxTime {
				t.Errorf("a row at %v behind one at %v", r.At, last)
			}
			last = r.At
			if r.Change.Rate != nil && *r.Change.Rate < 1000 {
				t.Errorf("rate %d", *r.Change.Rate)
			}
		}
	})
}

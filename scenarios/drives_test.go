package scenarios

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// A mast is where an access is heard from, and what it can do there.
type mast struct {
	link  string
	at    float64 // metres along the road
	rate  float64 // Mbit/s at its best
	rtt   float64 // ms at its best
	heard bool    // so far
}

// aDrive is the drive of drive-make-before-break, made by a formula.
func aDrive() string {
	const (
		speed = 30.0 // m/s
		aside = 10.0 // metres from the road to each mast
		near  = -45.0
		least = -83.0 // dBm: less is not heard
		step  = 0.2   // s
		end   = 18.0  // s
	)
	masts := []mast{
		{link: "lte", at: 0, rate: 50, rtt: 30}, {link: "wlan", at: 170, rate: 100, rtt: 6},
		{link: "wimax", at: 340, rate: 20, rtt: 40}, {link: "lte", at: 510, rate: 50, rtt: 30},
	}
	var b strings.Builder
	b.WriteString(`# A drive past four masts, made by a formula: no one has measured it.
#
# The car goes along a straight road at 30 m/s. Each mast stands 10 m beside it: lte
# at 0 m, wlan at 170 m, wimax at 340 m, lte again at 510 m. At a distance of d metres
# the signal is -45 dBm - 30 dB * log10(d / 10 m), and below -83 dBm nothing is heard.
# The rate falls in proportion from its best at -65 dBm to a tenth of that at -83 dBm;
# the round-trip time grows by 1 ms with each dB that is missing to -72 dBm, and the
# loss by 7 % with each dB that is missing to -77 dBm.
time [s],link,signal [dBm],rate [Mbit/s],rtt [ms],loss [%]
`)
	for i := range int(end/step) + 1 {
		t := float64(i) * step
		for j := range masts {
			m := &masts[j]
			signal := near - 30*math.Log10(math.Hypot(m.at-speed*t, aside)/10)
			signal = math.Round(signal*10) / 10
			switch {
			case signal >= least:
				m.heard = true
				share := min(1, 0.1+0.9*(signal-least)/(-65-least))
				fmt.Fprintf(&b, "%.1f,%s,%.1f,%.1f,%.1f,%.1f\n", t, m.link, signal, m.rate*share, m.rtt+max(0, -72-signal), 7*max(0, -77-signal))
			case m.heard:
				m.heard = false
				fmt.Fprintf(&b, "%.1f,%s,,,,\n", t, m.link)
			}
		}
	}
	return b.String()
}

// deliveries is a trace of packet deliveries, made by a formula.
func deliveries(way string, mean, swing float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# When a cell delivers packets of 1504 octets %s, in the form of Mahimahi: a
# time in milliseconds a line. Made by a formula: no one has measured it. In each
# millisecond t of 4000, %g + %g * sin(2 pi t / 1000) of a packet may pass, and from
# 2600 ms to 2800 ms nothing; a line stands where the sum has reached a whole packet.
`, way, mean, swing)
	sum := 0.0
	for t := 1; t <= 4000; t++ {
		if t < 2600 || t >= 2800 {
			sum += mean + swing*math.Sin(2*math.Pi*float64(t)/1000)
		}
		for ; sum >= 1; sum-- {
			fmt.Fprintln(&b, t)
		}
	}
	return b.String()
}

func TestShippedTracesAreWhatTheirFormulasMake(t *testing.T) {
	for file, want := range map[string]string{
		"drive-make-before-break/drive.csv": aDrive(),
		"cell-trace/cell.down":              deliveries("to the mobile", 0.25, 0.2),
		"cell-trace/cell.up":                deliveries("from the mobile", 0.1, 0.05),
	} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != want {
			t.Errorf("%s is not what its formula makes; write it with: go test ./scenarios -update", file)
		}
	}
}

// Which drives the two scenarios are of is part of what they compare.
func TestTheDrivesThatAreComparedDifferInThePolicyAlone(t *testing.T) {
	rows := func(name string) ([]Row, *Scenario) {
		s, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range s.Steps {
			if trace, ok := step.Do.(*Trace); ok {
				return trace.Rows, s
			}
		}
		t.Fatalf("%s has no trace", name)
		return nil, nil
	}
	soft, make := rows("drive-make-before-break")
	hard, break_ := rows("drive-break-before-make")
	if len(soft) < 100 || !slices.EqualFunc(soft, hard, func(a, b Row) bool { return a.At == b.At && a.Link == b.Link && a.Gone == b.Gone }) {
		t.Errorf("%d and %d rows, want the same", len(soft), len(hard))
	}
	if make.TopologyFile != break_.TopologyFile || make.Seed != break_.Seed {
		t.Errorf("topologies %s and %s, seeds %d and %d", make.TopologyFile, break_.TopologyFile, make.Seed, break_.Seed)
	}
	a, b := make.Topology.Node("ue").MobileNode.Policy, break_.Topology.Node("ue").MobileNode.Policy
	if a.Kind != "signal" || b.Kind != "keep" {
		t.Errorf("policies %+v and %+v", a, b)
	}
}

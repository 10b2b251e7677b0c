// Command figures runs the benchmarks that measure s2clab beside its references
// and says how far each figure is from its target. scripts/bench calls it.
//
// It measures nothing itself: each benchmark lies in the room that it measures,
// takes ours and the reference in turns, and reports both. It exits with 0 also
// where a target is not met; with 2 where a benchmark could not run.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A Figure is one line of the table. Ours, Reference and Ratio name metrics of a
// benchmark; what is held against the target is the ratio or, where OfOurs is
// set, ours.
type Figure struct {
	Name      string
	Room      string
	Benchmark string // without the word Benchmark
	Unit      string
	Ours      string
	Reference string
	Ratio     string
	OfOurs    bool
	AtMost    float64 // 0: no such bound
	AtLeast   float64
	To        string   // what the reference is
	Legs      []string // of what crossed the wire, in the order in which they are told; their metrics begin with the name
}

func table() []Figure {
	const program, links, agent, tunnels, server = "./cmd/s2clab", "./orchestrator/link", "./nodes/ha", "./nodes/host", "./nodes/aaa"
	figures := []Figure{
		{Name: "bring-up of a line of 50", Room: program, Benchmark: "BringUpLine50", Unit: "s", Ours: "ours-s", Reference: "reference-s", Ratio: "ratio", AtMost: 4, To: "bare namespaces, devices and sleeping processes"},
		{Name: "bring-up of a line of 50, Mininet", Room: program, Benchmark: "BringUpMininet", Unit: "s", Ours: "ours-s", Reference: "reference-s", Ratio: "ratio", AtMost: 1 / 3.0, To: "Mininet's"},
		{Name: "bring-up of the default topology", Room: program, Benchmark: "BringUpDefault", Unit: "s", Ours: "ours-s", Reference: "reference-s", Ratio: "ratio", AtMost: 8, To: "bare namespaces, devices and sleeping processes"},
		{Name: "memory of an idle node", Room: program, Benchmark: "MemoryPerNode", Unit: "MiB", Ours: "ours-MiB", Reference: "reference-MiB", Ratio: "ratio", OfOurs: true, AtMost: 6, To: "a Go process that sleeps"},
	}
	for _, priority := range []string{"", "ordinary priority"} {
		for _, delay := range []string{"1ms", "10ms", "50ms"} {
			f := Figure{Room: links, Benchmark: "DelayError/" + delay, Unit: "µs", OfOurs: true, To: "a Go timer of that length"}
			name := "error of a delay of " + strings.TrimSuffix(delay, "ms") + " ms"
			median, p99 := 50.0, 250.0
			if priority != "" {
				f.Benchmark += "/" + strings.ReplaceAll(priority, " ", "_")
				name += ", " + priority
				median, p99 = 0, 0
			} else {
				f.Benchmark += "/real-time"
			}
			f.Name, f.Ours, f.Reference, f.AtMost = name+", median", "median-µs", "timer-median-µs", median
			figures = append(figures, f)
			f.Name, f.Ours, f.Reference, f.AtMost = name+", 99th percentile", "p99-µs", "timer-p99-µs", p99
			figures = append(figures, f)
		}
	}
	for _, method := range []string{"static", "emsk", "mip-gba", "aka", "gba-rfc3957", "gba", "partial-gba", "3gpp2", "wimax"} {
		figures = append(figures, Figure{Name: "attach with a first key by " + method, Room: program, Benchmark: "Attach/" + method, Unit: "ms", Ours: "ours-ms", Reference: "reference-ms",
			Ratio: "ratio", To: "the bound of physics", Legs: []string{"access", "aaa", "hss", "bsf"}})
	}
	for _, together := range []string{"one-by-one", "64-together"} {
		figures = append(figures, Figure{Name: "full authentications, AAA and HSS, " + strings.ReplaceAll(together, "-", " "), Room: server, Benchmark: "Authentications/" + together, Unit: "/s",
			Ours: "authenticated/s", Reference: "bare/s", Ratio: "ratio", To: "the cryptography of the same"})
	}
	return append(figures,
		Figure{Name: "Diameter transactions of the AAA server", Room: server, Benchmark: "Transactions", Unit: "k/s", Ours: "served-k/s", Reference: "go-diameter-k/s", Ratio: "served/go-diameter", To: "go-diameter that says yes"},
		Figure{Name: "Diameter transactions, bare", Room: server, Benchmark: "Transactions", Unit: "k/s", Ours: "answered-k/s", Reference: "go-diameter-k/s", Ratio: "answered/go-diameter", To: "go-diameter that says yes"},
		Figure{Name: "TCP through a link", Room: links, Benchmark: "TCPAgainstVeth", Unit: "Gbit/s", Ours: "link-Gbit/s", Reference: "veth-Gbit/s", Ratio: "link/veth", AtLeast: 0.6, To: "plain veth"},
		Figure{Name: "TCP through a link with capture", Room: links, Benchmark: "TCPAgainstVeth", Unit: "Gbit/s", Ours: "captured-Gbit/s", Reference: "link-Gbit/s", Ratio: "captured/link", AtLeast: 0.85, To: "the link without"},
		Figure{Name: "packets of TCP that capture lost", Room: links, Benchmark: "TCPAgainstVeth", Ours: "lost", OfOurs: true, AtMost: none, To: "-"},
		Figure{Name: "small packets through a link", Room: links, Benchmark: "DatagramsAgainstVeth", Unit: "k/s", Ours: "link-k/s", Reference: "veth-k/s", Ratio: "link/veth", AtLeast: 0.6, To: "plain veth"},
		Figure{Name: "small packets through a link with capture", Room: links, Benchmark: "DatagramsAgainstVeth", Unit: "k/s", Ours: "captured-k/s", Reference: "link-k/s", Ratio: "captured/link", AtLeast: 0.85, To: "the link without"},
		Figure{Name: "small packets that capture lost", Room: links, Benchmark: "DatagramsAgainstVeth", Ours: "lost", OfOurs: true, AtMost: none, To: "-"},
		Figure{Name: "interruption above its bound, median", Room: program, Benchmark: "HandoverInterruption", Unit: "ms", Ours: "excess-median-ms", Reference: "bound-ms", OfOurs: true, AtMost: 2, To: "the bound of physics"},
		Figure{Name: "interruption above its bound, 95th percentile", Room: program, Benchmark: "HandoverInterruption", Unit: "ms", Ours: "excess-p95-ms", Reference: "bound-ms", OfOurs: true, AtMost: 5, To: "the bound of physics"},
		Figure{Name: "last of 200 mobile nodes bound after all moved", Room: program, Benchmark: "Crowd", Unit: "ms", Ours: "ours-ms", Reference: "reference-ms", Ratio: "ratio", To: "one mobile node alone"},
		Figure{Name: "Binding Updates that they sent again", Room: program, Benchmark: "Crowd", Ours: "sent-again", OfOurs: true, To: "-"},
		Figure{Name: "takeover by a standby home agent", Room: program, Benchmark: "Takeover", Unit: "ms", Ours: "ours-ms", Reference: "reference-ms", Ratio: "ratio", To: "five heartbeats"},
		Figure{Name: "Binding Updates verified and answered", Room: agent, Benchmark: "Answered", Unit: "k/s", Ours: "answered-k/s", Reference: "echoed-k/s", Ratio: "ratio", AtLeast: 0.5, To: "a batched echo of the same"},
		Figure{Name: "TCP through the home agent, user engine", Room: tunnels, Benchmark: "TunnelAgainstForwarding", Unit: "Gbit/s", Ours: "user-Gbit/s", Reference: "plain-Gbit/s", Ratio: "user/plain", AtLeast: 0.15, To: "plain forwarding"},
		Figure{Name: "TCP through the home agent, kernel engine", Room: tunnels, Benchmark: "TunnelAgainstForwarding", Unit: "Gbit/s", Ours: "kernel-Gbit/s", Reference: "plain-Gbit/s", Ratio: "kernel/plain", AtLeast: 0.8, To: "plain forwarding"},
		Figure{Name: "TCP through the home agent, IPv4 in IPv6", Room: tunnels, Benchmark: "TunnelAgainstForwarding", Unit: "Gbit/s", Ours: "4in6-Gbit/s", Reference: "plain4-Gbit/s", Ratio: "4in6/plain4", To: "plain forwarding"},
		Figure{Name: "TCP through the home agent, IPv6 in IPv4", Room: tunnels, Benchmark: "TunnelAgainstForwarding", Unit: "Gbit/s", Ours: "6in4-Gbit/s", Reference: "plain-Gbit/s", Ratio: "6in4/plain", To: "plain forwarding"},
		Figure{Name: "TCP through the home agent, IPv4 in IPv4", Room: tunnels, Benchmark: "TunnelAgainstForwarding", Unit: "Gbit/s", Ours: "4in4-Gbit/s", Reference: "plain4-Gbit/s", Ratio: "4in4/plain4", To: "plain forwarding"},
		Figure{Name: "TCP through the home agent, IPv6 in UDP over IPv4", Room: tunnels, Benchmark: "TunnelAgainstForwarding", Unit: "Gbit/s", Ours: "6inUDP4-Gbit/s", Reference: "plain-Gbit/s", Ratio: "6inUDP4/plain", To: "plain forwarding"},
		Figure{Name: "TCP through the home agent, IPv4 in UDP over IPv4", Room: tunnels, Benchmark: "TunnelAgainstForwarding", Unit: "Gbit/s", Ours: "4inUDP4-Gbit/s", Reference: "plain4-Gbit/s", Ratio: "4inUDP4/plain4", To: "plain forwarding"},
	)
}

const none = 0.5 // a count that must be less is 0

// A Line is a figure as it was measured.
type Line struct {
	Name        string   `json:"name"`
	Unit        string   `json:"unit,omitempty"`
	Ours        *float64 `json:"ours,omitempty"`
	Reference   *float64 `json:"reference,omitempty"`
	To          string   `json:"reference-is,omitempty"`
	Ratio       *float64 `json:"ratio,omitempty"`
	Target      string   `json:"target,omitempty"`
	Met         *bool    `json:"met,omitempty"`
	NotMeasured string   `json:"not-measured,omitempty"` // why
	Legs        []Leg    `json:"legs,omitempty"`         // what crossed the wire for it
}

// A Leg is what some nodes said to each other.
type Leg struct {
	Name       string  `json:"leg"`
	Messages   float64 `json:"messages"`
	Octets     float64 `json:"octets"` // of frames
	RoundTrips float64 `json:"round-trips"`
}

// line says how a figure stands by what its benchmark reported, or why it did not.
func (f *Figure) line(metrics map[string]float64, why string) Line {
	l := Line{Name: f.Name, Unit: f.Unit, To: f.To, Target: f.target(), NotMeasured: why}
	ours, measured := metrics[f.Ours]
	if !measured {
		if why == "" {
			l.NotMeasured = "its benchmark did not report it"
		}
		return l
	}
	l.NotMeasured, l.Ours = "", &ours
	for _, name := range f.Legs {
		if leg := (Leg{name, metrics[name+"-messages"], metrics[name+"-octets"], metrics[name+"-round-trips"]}); leg.Messages > 0 {
			l.Legs = append(l.Legs, leg)
		}
	}
	held := ours
	if reference, there := metrics[f.Reference]; there {
		l.Reference = &reference
		ratio := ours / reference
		if f.Ratio != "" {
			ratio = metrics[f.Ratio]
		}
		l.Ratio = &ratio
		if !f.OfOurs {
			held = ratio
		}
	}
	if l.Target != "" {
		met := held >= f.AtLeast && (f.AtMost == 0 || held <= f.AtMost)
		l.Met = &met
	}
	return l
}

func (f *Figure) target() string {
	unit := ""
	if f.OfOurs && f.Unit != "" {
		unit = " " + f.Unit
	}
	switch {
	case f.AtMost == none:
		return "0"
	case f.AtMost > 0:
		return "≤ " + number(f.AtMost) + unit
	case f.AtLeast > 0:
		return "≥ " + number(f.AtLeast) + unit
	}
	return ""
}

// number writes three digits that mean something.
func number(x float64) string {
	if x >= 1000 || x <= -1000 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

// results reads what go test prints: metrics by benchmark, and why some skipped.
func results(out []byte) (metrics map[string]map[string]float64, skipped map[string]string) {
	metrics, skipped = map[string]map[string]float64{}, map[string]string{}
	said := ""
	for text := range strings.Lines(string(out)) {
		words := strings.Fields(text)
		if strings.HasPrefix(text, "    ") && len(words) > 1 {
			said = strings.Join(words[1:], " ") // behind the file and line
		}
		if len(words) >= 3 && words[0] == "---" && words[1] == "SKIP:" {
			skipped[plain(words[2])] = cmp.Or(said, "skipped")
			said = ""
		}
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		found := map[string]float64{}
		for i := 2; i+1 < len(words); i += 2 {
			if v, err := strconv.ParseFloat(words[i], 64); err == nil {
				found[words[i+1]] = v
			}
		}
		metrics[plain(words[0])] = found
	}
	return metrics, skipped
}

// plain is a benchmark's name without its prefix and the number of processors.
func plain(name string) string {
	name = strings.TrimPrefix(name, "Benchmark")
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		if _, err := strconv.Atoi(name[i+1:]); err == nil {
			return name[:i]
		}
	}
	return name
}

func main() {
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	figures := slices.DeleteFunc(table(), func(f Figure) bool {
		return slices.ContainsFunc(flag.Args(), func(word string) bool { return !strings.Contains(f.Name, word) })
	})
	if len(figures) == 0 {
		fmt.Fprintf(os.Stderr, "figures: no figure has %q in its name\n", flag.Args())
		os.Exit(2)
	}
	status := 0
	var lines []Line
	if !*asJSON {
		fmt.Printf("%-60s %15s %15s %7s  %-9s %s\n", "figure", "ours", "reference", "ratio", "target", "")
	}
	for len(figures) > 0 {
		benchmark, room := figures[0].Benchmark, figures[0].Room
		out, err := run(room, benchmark)
		if err != nil {
			fmt.Fprintf(os.Stderr, "figures: %s in %s: %v\n%s", benchmark, room, err, out)
			status = 2
		}
		metrics, skipped := results(out)
		if err == nil && metrics[benchmark] == nil && skipped[benchmark] == "" {
			fmt.Fprintf(os.Stderr, "figures: %s in %s said nothing of itself:\n%s", benchmark, room, out)
		}
		for len(figures) > 0 && figures[0].Benchmark == benchmark {
			why := skipped[benchmark]
			if err != nil {
				why = "its benchmark failed"
			}
			l := figures[0].line(metrics[benchmark], why)
			lines, figures = append(lines, l), figures[1:]
			if !*asJSON {
				l.print(os.Stdout)
			}
		}
	}
	if !*asJSON {
		m := machine()
		fmt.Printf("on %v processors, Linux %v; %v wanted to run in the last minute\n", m["processors"], m["kernel"], m["load-average-of-a-minute"])
	} else {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		e.Encode(map[string]any{"figures": lines, "machine": machine()})
	}
	os.Exit(status)
}

// run runs one benchmark once. Its name may have parts, as for go test.
func run(room, benchmark string) ([]byte, error) {
	parts := strings.Split("Benchmark"+benchmark, "/")
	for i, p := range parts {
		parts[i] = "^" + p + "$"
	}
	cmd := exec.Command("go", "test", "-v", "-run", "^$", "-bench", strings.Join(parts, "/"), "-benchtime", "1x", "-timeout", "20m", room)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.Bytes(), err
}

func (l *Line) print(w io.Writer) {
	if l.NotMeasured != "" {
		fmt.Fprintf(w, "%-60s not measured: %s\n", l.Name, l.NotMeasured)
		return
	}
	with := func(v *float64, unit string) string {
		if v == nil {
			return "-"
		}
		return strings.TrimSpace(number(*v) + " " + unit)
	}
	verdict := ""
	if l.Met != nil && *l.Met {
		verdict = "met"
	} else if l.Met != nil {
		verdict = "not met"
	}
	fmt.Fprintf(w, "%-60s %15s %15s %7s  %-9s %s\n", l.Name, with(l.Ours, l.Unit), with(l.Reference, l.Unit), with(l.Ratio, ""), l.Target, verdict)
	for _, leg := range l.Legs {
		fmt.Fprintf(w, "    %-56s %4.0f messages %6.0f octets %3.0f round trips\n", leg.Name, leg.Messages, leg.Octets, leg.RoundTrips)
	}
}

// machine says where it was measured, and how busy that was.
func machine() map[string]any {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	return map[string]any{
		"processors": runtime.NumCPU(), "kernel": strings.TrimSpace(string(release)),
		"load-average-of-a-minute": strings.SplitN(string(load), " ", 2)[0], "user": os.Getuid(), "go": runtime.Version(),
	}
}

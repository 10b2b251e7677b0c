package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/orchestrator/cli"
	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/lab/bare"
	"s2clab/orchestrator/report"
	"s2clab/topologies"
)

// Each figure is a benchmark that measures ours and a reference side by side, in
// turns, and reports both with their ratio. None of them can fail for being slow.

// program is the program that scripts/build has made.
func program(b *testing.B) string {
	b.Helper()
	path, err := filepath.Abs("../../bin/s2clab")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		b.Skipf("scripts/build makes the program that this measures: %v", err)
	}
	return path
}

// figure reports the medians of what was measured, in a unit, and their ratio.
func figure(b *testing.B, unit string, ours, reference []float64) {
	var ratios []float64
	if len(ours) == len(reference) { // they were taken in turns
		for i := range ours {
			ratios = append(ratios, ours[i]/reference[i])
		}
	} else {
		ratios = []float64{median(ours) / median(reference)}
	}
	b.ReportMetric(0, "ns/op") // the loop's own time says nothing
	b.ReportMetric(median(ours), "ours-"+unit)
	b.ReportMetric(median(reference), "reference-"+unit)
	b.ReportMetric(median(ratios), "ratio")
}

func median(x []float64) float64 { return percentile(x, 50) }

func percentile(x []float64, p int) float64 {
	s := slices.Sorted(slices.Values(x))
	return s[min(len(s)*p/100, len(s)-1)]
}

const rounds = 5 // of each side; the median counts

// BenchmarkBringUpLine50 is the time until the last of a line of 50 routers
// answers the first's ping, against the same line of bare namespaces, veth pairs
// and sleeping processes.
func BenchmarkBringUpLine50(b *testing.B) {
	bringUp(b, "line-50", "r1", "r50")
}

// BenchmarkBringUpDefault is the time until the default topology is ready.
func BenchmarkBringUpDefault(b *testing.B) {
	bringUp(b, "eps-s2c", "pgw", "cn")
}

func bringUp(b *testing.B, topology, from, to string) {
	path := program(b)
	t, _, err := topologies.Load(topology)
	if err != nil {
		b.Fatal(err)
	}
	address := t.AddressFrom(from, to).String()
	var ours, reference []float64
	for b.Loop() {
		for range rounds {
			reference = append(reference, bareLine(b, topology, from, address))
			ours = append(ours, ourLine(b, path, topology, from, address))
		}
	}
	figure(b, "s", ours, reference)
}

// ourLine brings a topology up by the program, and returns the seconds until an
// address answers.
func ourLine(b *testing.B, path, topology, from, address string) float64 {
	b.Helper()
	name := fmt.Sprintf("figure-%d", os.Getpid())
	began := time.Now()
	if out, err := exec.Command(path, "up", "--name", name, topology).CombinedOutput(); err != nil {
		b.Fatalf("up: %v\n%s", err, out)
	}
	defer exec.Command(path, "down", "--lab", name).Run()
	if out, err := exec.Command(path, "exec", "--lab", name, from, "--", "ping", "-6", "-c", "1", "-W", "5", address).CombinedOutput(); err != nil {
		b.Fatalf("ping: %v\n%s", err, out)
	}
	return time.Since(began).Seconds()
}

// bareLine does the same by package bare, in a process of its own, which says
// when the address has answered.
func bareLine(b *testing.B, topology, from, address string) float64 {
	b.Helper()
	cmd := exec.Command("/proc/self/exe", topology, from, address)
	cmd.Args[0] = bareName
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Skipf("namespaces of one's own: %v", err)
	}
	answer := make([]byte, 16)
	n, _ := out.Read(answer)
	took := time.Since(began).Seconds()
	cmd.Process.Kill()
	cmd.Wait()
	if strings.TrimSpace(string(answer[:n])) != "answered" {
		b.Fatalf("the bare topology said %q", answer[:n])
	}
	return took
}

// bareName is the name under which this test is a bare topology.
const bareName = "s2clab-bare"

// runBare is such a process.
func runBare() {
	t, _, err := topologies.Load(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	// A view of its own processes: namespaces are opened by it.
	err = errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("proc", "/proc", "proc", 0, ""))
	if err != nil {
		fmt.Fprintln(os.Stderr, "bare: /proc:", err)
		os.Exit(2)
	}
	spaces, _, err := bare.Up(t)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ping := exec.Command("ping", "-6", "-c", "1", "-W", "5", os.Args[3])
	if err := errors.Join(spaces[os.Args[2]].Start(ping), ping.Wait()); err != nil {
		fmt.Fprintln(os.Stderr, "bare: ping:", err)
		os.Exit(2)
	}
	fmt.Println("answered")
	for {
		unix.Pause()
	}
}

// BenchmarkBringUpMininet is Mininet's time for the same line of 50, against ours.
func BenchmarkBringUpMininet(b *testing.B) {
	path := program(b)
	python := "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import mininet").Run(); err != nil {
		b.Skip("Mininet is not installed (Debian package mininet)")
	}
	t, _, err := topologies.Load("line-50")
	if err != nil {
		b.Fatal(err)
	}
	var ours, reference []float64
	for range 3 {
		out, err := exec.Command(python, "testdata/line.py", "50").Output()
		if err != nil {
			b.Fatalf("Mininet: %v", err)
		}
		seconds, err := strconv.ParseFloat(string(bytes.TrimSpace(out)), 64)
		if err != nil {
			b.Fatalf("Mininet said %q", out)
		}
		reference = append(reference, seconds)
		ours = append(ours, ourLine(b, path, "line-50", "r1", t.AddressFrom("r1", "r50").String()))
	}
	figure(b, "s", ours, reference)
}

// BenchmarkMemoryPerNode is the memory of its own (PSS) of an idle router
// process, one of 50, against as many static Go processes that sleep.
func BenchmarkMemoryPerNode(b *testing.B) {
	path := program(b)
	name := fmt.Sprintf("figure-%d", os.Getpid())
	if out, err := exec.Command(path, "up", "--name", name, "line-50").CombinedOutput(); err != nil {
		b.Fatalf("up: %v\n%s", err, out)
	}
	defer exec.Command(path, "down", "--lab", name).Run()
	out, err := exec.Command(path, "ps", "--json").Output()
	var labs []cli.ShownLab
	if err = errors.Join(err, json.Unmarshal(out, &labs)); err != nil {
		b.Fatal(err)
	}
	var ours []float64
	for _, l := range labs {
		for _, n := range l.Nodes {
			if l.Lab == name {
				smaps, err := exec.Command(path, "exec", "--lab", name, n.Node, "--", "cat", fmt.Sprintf("/proc/%d/smaps_rollup", n.PID)).Output()
				if err != nil {
					b.Fatal(err)
				}
				ours = append(ours, pss(b, smaps))
			}
		}
	}
	figure(b, "MiB", ours, sleepers(b, len(ours)))
}

// sleepers gives the memory of each of n Go processes that sleep.
func sleepers(b *testing.B, n int) (memory []float64) {
	b.Helper()
	sleeper := filepath.Join(b.TempDir(), "sleeper")
	build := exec.Command("go", "build", "-trimpath", "-o", sleeper, "./testdata/sleeper")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	var pids []int
	for range n {
		cmd := exec.Command(sleeper)
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
		pids = append(pids, cmd.Process.Pid)
	}
	time.Sleep(500 * time.Millisecond) // until the last has come to rest
	for _, pid := range pids {
		smaps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			b.Fatal(err)
		}
		memory = append(memory, pss(b, smaps))
	}
	return memory
}

func pss(b *testing.B, smaps []byte) float64 {
	b.Helper()
	for line := range strings.Lines(string(smaps)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	b.Fatalf("no Pss in %q", smaps)
	return 0
}

// BenchmarkHandoverInterruption is by how much 30 handovers interrupt packets, a
// thousand a second each way, for longer than link gap and round trips must: in
// the direction that suffered more, as reports tell it.
func BenchmarkHandoverInterruption(b *testing.B) {
	path, runs := program(b), b.TempDir()
	var excess, bound []float64
	for seed := 1; len(excess) < 30; seed++ {
		if seed > 6 {
			b.Fatalf("only %d handovers of %d runs have a bound", len(excess), seed-1)
		}
		out, err := exec.Command(path, "run", "--quiet", "--json", "--runs", runs, "--seed", strconv.Itoa(seed), "testdata/restless.yaml").Output()
		var result report.Result
		if e := json.Unmarshal(out, &result); e != nil {
			b.Fatalf("%v, %v: %q", err, e, out)
		}
		for _, h := range result.Handovers {
			if h.Kind == "attach" || h.Excess == nil {
				continue // nothing was interrupted, or on a busy machine it was overtaken by the next
			}
			excess = append(excess, max(0, 1e3*float64(*h.Excess)))
			worst := h.Interruptions[0]
			for _, i := range h.Interruptions {
				if i.Excess != nil && *i.Excess == *h.Excess {
					worst = i
				}
			}
			bound = append(bound, 1e3*float64(*worst.Bound))
			b.Logf("seed %d, handover %d from %s to %s: %.2f ms above %.2f ms", seed, h.Number, h.From, h.To, excess[len(excess)-1], bound[len(bound)-1])
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(excess), "excess-median-ms")
	b.ReportMetric(percentile(excess, 95), "excess-p95-ms")
	b.ReportMetric(median(bound), "bound-ms")
}

// BenchmarkCrowd is how long after their links have gone the last of 200 mobile
// nodes is bound elsewhere, by one home agent that asks the AAA server about each,
// against one mobile node alone. Binding Updates that were sent again say how much
// got lost or was late.
func BenchmarkCrowd(b *testing.B) {
	path, runs := program(b), b.TempDir()
	var ours, reference []float64
	again := 0
	for range 3 {
		for _, count := range []int{1, 200} {
			out, err := exec.Command(path, "run", "--quiet", "--json", "--runs", runs, "--set", fmt.Sprintf("nodes.ue.count=%d", count), "testdata/crowd.yaml").Output()
			var result report.Result
			if e := json.Unmarshal(out, &result); e != nil {
				b.Fatalf("%v, %v: %q", err, e, out)
			}
			bound, last := 0, 0.0
			for _, h := range result.Handovers {
				if h.Kind != "attach" && h.Done != nil {
					bound++
					last = max(last, 1e3*float64(*h.Done-h.Start))
					if count > 1 {
						again += h.Updates - 1
					}
				}
			}
			if bound != count {
				b.Fatalf("%d of %d mobile nodes are bound again", bound, count)
			}
			if count == 1 {
				reference = append(reference, last)
			} else {
				ours = append(ours, last)
			}
		}
	}
	b.ReportMetric(float64(again)/float64(len(ours)), "sent-again")
	figure(b, "ms", ours, reference)
}

// BenchmarkTakeover is how long a standby home agent takes from the last sign of
// life of the other until it serves in its place, against the five heartbeats that
// it must miss.
func BenchmarkTakeover(b *testing.B) {
	const heartbeats = 500 // ms
	path, runs := program(b), b.TempDir()
	var ours, reference []float64
	for seed := 1; seed <= 3; seed++ {
		out, err := exec.Command(path, "run", "--quiet", "--json", "--runs", runs, "--seed", strconv.Itoa(seed), "ha-standby").Output()
		var result report.Result
		if e := json.Unmarshal(out, &result); e != nil {
			b.Fatalf("%v, %v: %q", err, e, out)
		}
		events, err := journal.Read(filepath.Join(runs, result.Run.ID, "journal.jsonl"))
		if err != nil {
			b.Fatal(err)
		}
		at := slices.IndexFunc(events, func(e journal.Event) bool { return e.Name == "took-over" })
		if at < 0 {
			b.Fatal("no home agent took over")
		}
		latency, _ := events[at].Fields["latency"].(float64)
		ours, reference = append(ours, 1e3*latency), append(reference, heartbeats)
	}
	figure(b, "ms", ours, reference)
}

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/netns/netnstest"
	"s2clab/orchestrator/cli"
)

// up brings up a lab that stays, and takes it down when the test ends.
func (p *person) up(topology string) (lab string) {
	p.t.Helper()
	lab = p.lab(topology)
	p.must("up", "--name", lab, topology)
	p.t.Cleanup(func() {
		if _, errs, status := p.run("down", lab); status != 0 && !strings.Contains(errs, "no lab of that name runs") {
			p.t.Errorf("down: exit status %d\n%s", status, errs)
		}
	})
	return lab
}

// ps is what s2clab ps says of one lab; nil: nothing.
func (p *person) ps(lab string) *cli.ShownLab {
	p.t.Helper()
	var labs []cli.ShownLab
	if err := json.Unmarshal([]byte(p.must("ps", "--json")), &labs); err != nil {
		p.t.Fatal(err)
	}
	for i := range labs {
		if labs[i].Lab == lab {
			return &labs[i]
		}
	}
	return nil
}

// nodeRuns says whether a node's process runs.
func (p *person) nodeRuns(name, node string) bool {
	p.t.Helper()
	s := p.ps(name)
	return s != nil && slices.ContainsFunc(s.Nodes, func(n cli.ShownNode) bool { return n.Node == node && n.Running })
}

func TestALabStaysUntilItIsTakenDown(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	lab := p.up("eps-s2c")
	if s := p.ps(lab); s == nil || s.Topology != "eps-s2c" || len(s.Nodes) != 6 || len(s.Links) != 12 {
		t.Fatalf("ps says %+v", s)
	}
	wantSaid(t, p.must("ps"), lab+"  ", "2001:db8:100::10")

	t.Run("a name can be had once", func(t *testing.T) {
		p := p.with(t)
		p.refused([]string{"up", "--name", lab, "one-home-agent"}, "a lab of that name runs already")
	})
	t.Run("two labs do not see each other", func(t *testing.T) {
		p := p.with(t)
		other := p.up("one-home-agent")
		p.refused([]string{"exec", "cn", "--", "true"}, "labs run: ", "hint: say which with --lab NAME")
		mine, its := p.must("exec", "--lab", lab, "cn", "--", "ip", "-6", "addr"), p.must("exec", "--lab", other, "cn", "--", "ip", "-6", "addr")
		if mine == its {
			t.Errorf("both have %s", mine)
		}
		p.must("down", other)
		if p.ps(other) != nil || p.ps(lab) == nil {
			t.Error("down has not taken down just the one")
		}
	})
	t.Run("a program in a node has the person's files and exit status", func(t *testing.T) {
		p := p.with(t)
		if _, errs, status := p.run("exec", "--lab", lab, "cn", "--", "sh", "-c", "echo gone wrong >&2; exit 7"); status != 7 || errs != "gone wrong\n" {
			t.Errorf("exit status %d, stderr %q; want 7 and the program's own words", status, errs)
		}
		if _, _, status := p.run("exec", "--lab", lab, "cn", "--", "sh", "-c", "kill -TERM $$"); status != 128+15 {
			t.Errorf("ended by SIGTERM: exit status %d, want 143", status)
		}
		if host := p.must("exec", "--lab", lab, "ue", "--", "hostname"); host != "ue\n" {
			t.Errorf("host name %q, want ue", host)
		}
		sent := strings.Repeat("all that goes in comes out\n", 40_000)
		cmd := p.command("exec", "--lab", lab, "cn", "--", "cat")
		cmd.Stdin = strings.NewReader(sent)
		if out, errs, status := p.wait(cmd); status != 0 || out != sent {
			t.Errorf("cat: exit status %d, %d octets of %d\n%s", status, len(out), len(sent), errs)
		}
		p.refused([]string{"exec", "--lab", lab, "hq", "--", "true"}, `"hq" is not a node of this lab`, "hint: nodes here: ue, pgw")
		p.refused([]string{"exec", "--lab", lab, "uee", "--", "true"}, `hint: did you mean "ue"?`)
		p.refused([]string{"exec", "--lab", lab, "ue", "--", "/tmp"}, "/tmp is not a program")
		p.refused([]string{"exec", "--lab", lab + "s", "ue", "--", "true"}, "no lab of that name runs", fmt.Sprintf("did you mean %q?", lab))
		p.refused([]string{"exec", "--lab", lab, "cn", "--", "no-such-program"}, `"no-such-program" is not a program on your PATH`)
	})
	t.Run("a signal reaches the program in a node", func(t *testing.T) {
		p := p.with(t)
		s := p.start("exec", "--lab", lab, "cn", "--", "sh", "-c", `trap 'echo caught >&2; exit 3' INT; echo ready >&2; while :; do sleep 0.05; done`)
		s.await("ready")
		s.signal(unix.SIGINT)
		if said, status := s.ended(); status != 3 || !strings.Contains(said, "caught") {
			t.Errorf("exit status %d, want 3:\n%s", status, said)
		}
	})
	t.Run("a program in a node ends with the command that started it", func(t *testing.T) {
		p := p.with(t)
		s := p.start("exec", "--lab", lab, "cn", "--", "sh", "-c", "echo ready >&2; exec sleep 4321")
		s.await("ready")
		p.await("it sleeps", func() bool { return len(p.words("sleep", "4321")) == 1 })
		s.signal(unix.SIGKILL)
		s.ended() // the program had its standard error
		p.await("it has ended", func() bool { return len(p.words("sleep", "4321")) == 0 })
	})
	t.Run("a program in a node has a terminal where the person has one", func(t *testing.T) {
		p := p.with(t)
		out, status := p.atTerminal("", fmt.Sprintf("stty rows 33 cols 99; %s exec --lab %s cn -- sh -c 'test -t 0 && test -t 1 && test -t 2 && stty size && hostname; exit 5'", p.path, lab), "")
		if status != 5 || !strings.Contains(out, "33 99\r\ncn\r\n") {
			t.Errorf("exit status %d, want 5; terminal says %q, want its size and the host name", status, out)
		}
		out, status = p.atTerminal("ready", fmt.Sprintf("%s exec --lab %s cn -- sh -c 'echo ready; exec sleep 1234'", p.path, lab), "\x03")
		if status != 128+2 {
			t.Errorf("Ctrl-C: exit status %d, want 130; terminal says %q", status, out)
		}
		out, status = p.atTerminal("", fmt.Sprintf("SHELL=/bin/sh %s shell --lab %s wlan-gw", p.path, lab), "hostname\nexit 3\n")
		if status != 3 || !strings.Contains(out, "wlan-gw\r\n") {
			t.Errorf("shell: exit status %d, want 3; terminal says %q", status, out)
		}
	})
	t.Run("a person's own tools work in a node", func(t *testing.T) {
		p := p.with(t)
		for _, tool := range []string{"ping", "iperf3", "tcpdump"} {
			if _, err := exec.LookPath(tool); err != nil {
				netnstest.Lacking(t, tool, err)
			}
		}
		p.must("exec", "--lab", lab, "ue", "--", "ping", "-6", "-c", "1", "-w", "10", "cn")
		server := p.start("exec", "--lab", lab, "cn", "--", "sh", "-c", "exec iperf3 -s -1 --forceflush >&2")
		server.await("Server listening")
		var measured struct {
			End struct {
				Received struct{ Bytes float64 } `json:"sum_received"`
			}
		}
		if err := json.Unmarshal([]byte(p.must("exec", "--lab", lab, "ue", "--", "iperf3", "-6", "-J", "-n", "2M", "-c", "cn")), &measured); err != nil || measured.End.Received.Bytes < 100_000 {
			t.Errorf("iperf3: %v, %+v", err, measured)
		}
		if said, status := server.ended(); status != 0 {
			t.Errorf("iperf3 -s: exit status %d\n%s", status, said)
		}
		dump := p.start("exec", "--lab", lab, "cn", "--", "sh", "-c", "exec tcpdump -n -l -c 1 -i sgi icmp6 and 'ip6[40]==128' >&2")
		dump.await("listening on sgi")
		p.must("exec", "--lab", lab, "pgw", "--", "ping", "-6", "-c", "1", "-w", "10", "cn")
		if said, status := dump.ended(); status != 0 || !strings.Contains(said, "echo request") {
			t.Errorf("tcpdump: exit status %d\n%s", status, said)
		}
	})
	t.Run("a link changes and shows it", func(t *testing.T) {
		p := p.with(t)
		wantSaid(t, p.must("link", "--lab", lab, "sgi", "set", "delay=9ms", "loss=1%"), "9ms", "1%")
		wantSaid(t, p.must("link", "--lab", lab, "sgi", "--json"), `"link": "sgi"`, `"from": "pgw"`, `"delay": 0.009`, `"rate": 0.01`)
		p.must("link", "--lab", lab, "sgi", "set", "loss=0%")
		wantSaid(t, p.must("link", "--lab", lab, "sgi", "down"), "down")
		p.must("link", "--lab", lab, "sgi", "up")
		p.must("exec", "--lab", lab, "cn", "--", "ping", "-6", "-c", "1", "-w", "10", "pgw")
		p.refused([]string{"link", "--lab", lab, "sgi", "set", "delay=-1s"}, "delay")
		p.refused([]string{"link", "--lab", lab, "nolink"}, `"nolink" is not a link`)
		p.refused([]string{"link", "--lab", lab, "sgy", "down"}, `"sgy" is not a link`, `did you mean "sgi"?`)
		p.refused([]string{"link", "--lab", lab, "sgi", "sett", "delay=1ms"}, `"sett" is not what can be done with a link`, `did you mean "set"?`)
		p.refused([]string{"link", "--lab", lab, "sgi", "set"}, `found nothing after "set"`)
		p.refused([]string{"link", "--lab", lab, "sgi", "set", "dealy=1ms"}, `"dealy" is nothing that a link does to frames`, `did you mean "delay"?`)
		p.refused([]string{"link", "--lab", lab, "sgi", "set", "--from", "ue", "delay=1ms"}, `"ue" is not an end of link "sgi"`, "hint: ends of it: pgw, cn")
		p.refused([]string{"link", "--lab", lab, "sgi", "--from", "cn"}, `stands without "set"`)
	})
	t.Run("a mobile moves and is reached at its home address", func(t *testing.T) {
		p := p.with(t)
		file := p.file("live.pcapng")
		live := p.start("capture", "--lab", lab, "-w", file, "wlan")
		p.await("the capture has begun", func() bool { info, err := os.Stat(file); return err == nil && info.Size() > 0 })
		p.must("move", "--lab", lab, "ue", "wlan")
		p.must("exec", "--lab", lab, "cn", "--", "ping", "-6", "-c", "1", "-w", "20", "2001:db8:100::10")
		for _, n := range p.ps(lab).Nodes {
			if n.Node == "ue" && !slices.Equal(n.Attached, []string{"wlan"}) {
				t.Errorf("ue is attached to %v, want wlan", n.Attached)
			}
		}
		live.signal(unix.SIGINT)
		if said, status := live.ended(); status != 0 {
			t.Errorf("capture: exit status %d\n%s", status, said)
		}
		if len(tshark(t, file, "mip6.mhtype == 5 && mip6.options.auth")) == 0 || len(tshark(t, file, "icmpv6.type == 129")) == 0 {
			t.Error("the live capture lacks the Binding Update or the echo")
		}
		none(t, file, "_ws.malformed")
		p.refused([]string{"move", "--lab", lab, "pgw", "wlan"}, "only a mobile node can be moved", "hint: mobile nodes here: ue")
		p.refused([]string{"move", "--lab", lab, "ue", "sgi"}, "sgi")
	})
	t.Run("its names are offered for completion", func(t *testing.T) {
		p := p.with(t)
		for typed, want := range map[string]string{
			"exec --lab LAB ":          "ue\tmn\npgw\tha\naaa\taaa\nwlan-gw\trouter\nwimax-gw\trouter\ncn\tcn\n",
			"logs --lab=LAB c":         "cn\tcn\n",
			"move --lab LAB ":          "ue\tmn\n",
			"move --lab LAB ue ":       "lte\tue pgw\nwlan\tue wlan-gw\nwimax\tue wimax-gw\n",
			"link --lab LAB w":         "wlan\tue wlan-gw\nwimax\tue wimax-gw\n",
			"capture --lab LAB wlan w": "wimax\tue wimax-gw\n",
			"down LAB":                 "LAB\tlab\n",
			"exec --lab LAB":           "LAB\tlab\n",
		} {
			words := strings.Split(strings.ReplaceAll("complete "+typed, "LAB", lab), " ")
			if got := p.must(words...); got != strings.ReplaceAll(want, "LAB", lab) {
				t.Errorf("%s:\n%swant\n%s", typed, got, want)
			}
		}
	})
	t.Run("what has happened is told", func(t *testing.T) {
		p := p.with(t)
		wantSaid(t, p.must("logs", "--lab", lab), "    ue        joins lte\n", "link sgi: down\n")
		if mine := p.must("logs", "--lab", lab, "ue", "--json"); !strings.Contains(mine, `"node":"ue","event":"router-found"`) || strings.Contains(mine, `"node":"pgw"`) || strings.Contains(mine, "link-changed") {
			t.Errorf("of ue alone:\n%s", mine)
		}
		var follows bytes.Buffer
		cmd := p.command("logs", "--lab", lab, "-f", "ue")
		told, err := cmd.StdoutPipe()
		if err = errors.Join(err, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(io.TeeReader(told, &follows))
		next := func(text string) {
			t.Helper()
			for lines.Scan() {
				if strings.Contains(lines.Text(), text) {
					return
				}
			}
			t.Fatalf("was never told %q, but:\n%s", text, &follows)
		}
		next("joins lte")
		p.must("move", "--lab", lab, "ue", "wimax")
		next("joins wimax")
		cmd.Process.Signal(unix.SIGINT)
		if err := cmd.Wait(); err != nil {
			t.Errorf("interrupted: %v, want exit status 0", err)
		}
		p.refused([]string{"logs", "--lab", lab, "hq"}, `"hq" is not a node of this lab`)
		p.refused([]string{"logs", "--lab", lab, "ue", "cn"}, `one node at most`)
	})
	t.Run("a scenario plays on a lab that stays", func(t *testing.T) {
		p := p.with(t)
		story := p.write("stay.yaml", strings.NewReplacer("scenario: short", "scenario: stay", "one-home-agent", "eps-s2c", "mn,", "ue,", "node: mn}", "node: ue}", "home}", "lte}", "visited", "wlan").Replace(short))
		out, errs, status := p.run("play", "--lab", lab, "--runs", p.file("runs"), story)
		if status != 0 {
			t.Errorf("exit status %d\n%s%s", status, errs, out)
		}
		wantSaid(t, p.must("logs", "--lab", lab), "▸ stop all\n")
		p.refused([]string{"play", "--lab", lab, "--runs", p.file("runs"), "wrong-key"}, "runs topology eps-s2c", "hint: ")
	})

	spaces := p.spaces()
	if len(spaces) < 6 {
		t.Errorf("the lab lives in %v, want a network namespace for each node", spaces)
	}
	p.must("down", lab)
	p.gone(spaces)
	p.refused([]string{"down", lab}, "no lab of that name runs")
}

// atTerminal types at a terminal in which a command runs, once that has said
// ready, and returns what the terminal showed.
func (p *person) atTerminal(ready, command, types string) (shown string, status int) {
	p.t.Helper()
	if _, err := exec.LookPath("script"); err != nil {
		netnstest.Lacking(p.t, "script", err)
	}
	cmd := exec.Command("script", "-qec", command, "/dev/null")
	like := p.command()
	cmd.Env, cmd.Dir = like.Env, like.Dir
	keys, err1 := cmd.StdinPipe()
	screen, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		p.t.Fatal(err)
	}
	late := time.AfterFunc(bound, p.end)
	defer late.Stop()
	var all strings.Builder
	typed := false
	for b := make([]byte, 4096); ; {
		if !typed && strings.Contains(all.String(), ready) {
			io.WriteString(keys, types)
			typed = true
		}
		n, err := screen.Read(b)
		all.Write(b[:n])
		if err != nil {
			break
		}
	}
	keys.Close()
	cmd.Wait()
	return all.String(), cmd.ProcessState.ExitCode()
}

// with is the same person, in a part of the story.
func (p *person) with(t *testing.T) *person {
	same := *p
	same.t = t
	return &same
}

// words are the processes whose words are these.
func (p *person) words(words ...string) (found []process) {
	for _, one := range p.processes() {
		if slices.Equal(one.argv, words) {
			found = append(found, one)
		}
	}
	return found
}

func TestAnOrdinaryUserHasALabThatStays(t *testing.T) {
	t.Parallel()
	turn(t)
	p := newUser(t)
	lab := p.up("eps-s2c")
	p.must("move", "--lab", lab, "ue", "wlan")
	p.must("exec", "--lab", lab, "cn", "--", "ping", "-6", "-c", "1", "-w", "20", "2001:db8:100::10")
	if id := p.must("exec", "--lab", lab, "cn", "--", "id", "-u"); os.Geteuid() == 0 && id != "0\n" {
		t.Errorf("id -u says %q, want 0: the user is root inside", id)
	}
	spaces := p.spaces()
	p.supervisor().kill(unix.SIGKILL)
	p.gone(spaces)
}

func TestALabThatIsKilledLeavesNothing(t *testing.T) {
	needLabs(t)
	t.Run("its supervisor, while it stays", func(t *testing.T) {
		t.Parallel()
		turn(t)
		p := newPerson(t)
		lab := p.up("eps-s2c")
		spaces := p.spaces()
		follows := p.command("logs", "--lab", lab, "-f")
		var said strings.Builder
		follows.Stderr = &said
		told, err := follows.StdoutPipe()
		if err = errors.Join(err, follows.Start()); err != nil {
			t.Fatal(err)
		}
		if _, err := told.Read(make([]byte, 1)); err != nil { // it follows
			t.Error(err)
		}
		p.supervisor().kill(unix.SIGKILL)
		io.Copy(io.Discard, told)
		if err := follows.Wait(); err != nil || said.String() != "lab "+lab+" has ended\n" {
			t.Errorf("who follows what happens: %v, was told %q", err, &said)
		}
		p.gone(spaces)
		if p.ps(lab) != nil {
			t.Error("ps still shows it")
		}
		p.up("eps-s2c") // its name is free again
	})
	t.Run("its supervisor, while it plays", func(t *testing.T) {
		t.Parallel()
		turn(t)
		p := newPerson(t)
		s := p.start("run", "--runs", p.file("runs"))
		s.await("traffic from ue")
		spaces := p.spaces()
		p.supervisor().kill(unix.SIGKILL)
		if said, status := s.ended(); status != 2 || !strings.Contains(said, "the lab has died") {
			t.Errorf("exit status %d, want 2:\n%s", status, said)
		}
		p.gone(spaces)
	})
	t.Run("the command line, while it plays", func(t *testing.T) {
		t.Parallel()
		turn(t)
		p := newPerson(t)
		s := p.start("run", "--runs", p.file("runs"))
		s.await("traffic from ue")
		spaces := p.spaces()
		s.signal(unix.SIGKILL)
		s.ended() // the supervisor had its standard error too
		p.gone(spaces)
	})
	t.Run("the command line, while a lab comes up", func(t *testing.T) {
		t.Parallel()
		turn(t)
		p := newPerson(t)
		s := p.start("up", "--name", p.lab("line"), "line-50")
		p.await("the lab comes up", func() bool { return len(p.processes()) > 10 })
		s.signal(unix.SIGKILL)
		s.ended()
		p.gone(nil)
	})
}

func TestAnInterruptedRunSaysSoAndLeavesItsRecord(t *testing.T) {
	needLabs(t)
	for name, sig := range map[string]unix.Signal{"SIGINT": unix.SIGINT, "SIGTERM": unix.SIGTERM, "SIGHUP": unix.SIGHUP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			turn(t)
			p := newPerson(t)
			s := p.start("run", "--runs", p.file("runs"))
			s.await("traffic from ue")
			spaces := p.spaces()
			s.signal(sig)
			said, status := s.ended()
			if status != 2 || !strings.Contains(said, "interrupted") || !strings.Contains(said, `hint: "s2clab report runs/`) {
				t.Errorf("exit status %d, want 2:\n%s", status, said)
			}
			p.gone(spaces)
			runs := p.runs()
			if len(runs) != 1 {
				t.Fatalf("runs: %v, want one", runs)
			}
			journal, err := os.ReadFile(filepath.Join(runs[0], "journal.jsonl"))
			if err != nil || !strings.Contains(string(journal), `"event":"link-attached"`) || !strings.HasSuffix(string(journal), "}\n") {
				t.Errorf("the journal (%v) has %d octets and ends %q", err, len(journal), journal[max(0, len(journal)-80):])
			}
			p.must("report", runs[0])
		})
	}
}

// A node that dies is told of at once, with the end of its log; the run goes on,
// and the node can be started again.
func TestANodeThatDiesIsToldAtOnceAndStartsAgain(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	s := p.start("run", "--runs", p.file("runs"), p.write("death.yaml", `scenario: death
topology: one-home-agent
steps:
  - {at: 0s, attach: {node: mn, link: home}}
  - {at: 100ms, exec: {node: cn, command: "true"}}
  - {wait: {for: node-died, node: router, timeout: 30s}}
  - {stop: router}
  - {start: router}
  - {move: {node: mn, to: visited}}
  - {wait: {for: bound, node: mn}}
  - {stop: all}
expect:
  - {count: node-died, node: router, equals: 1}
  - {count: node-started, node: router, at-least: 1}
  - {saw: bound, node: mn, link: visited}
`))
	s.await("▸ exec")
	p.node("router").kill(unix.SIGQUIT) // a Go program tells where it was
	s.await("died: ")
	said, status := s.ended()
	if status != 0 {
		t.Errorf("exit status %d, want 0:\n%s", status, said)
	}
	journal, err := os.ReadFile(filepath.Join(p.runs()[0], "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(journal)) {
		var e struct {
			Node, Event string
			Fields      map[string]any
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Event == "node-died" {
			log, _ := e.Fields["log"].(string)
			if e.Node != "router" || e.Fields["exit"] == "" || !strings.Contains(log, "goroutine") {
				t.Errorf("node-died says %+v, want the router with how it ended and the end of its log", e)
			}
			return
		}
	}
	t.Error("the journal knows of no death")
}

func TestANodeKilledInALabThatStaysIsShownAsStopped(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	lab := p.up("one-home-agent")
	p.node("router").kill(unix.SIGKILL)
	p.await("ps knows", func() bool { return !p.nodeRuns(lab, "router") })
	if !p.nodeRuns(lab, "ha") {
		t.Error("the home agent has gone with it")
	}
	wantSaid(t, p.must("ps"), "stopped")
	p.must("exec", "--lab", lab, "router", "--", "true") // its namespaces are still there
}

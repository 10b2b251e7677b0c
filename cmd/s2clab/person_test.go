package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/netns/netnstest"
)

// bound is how long one command of a story may take before it has failed.
const bound = 2 * time.Minute

// shared holds what several tests use: the program and the default run. Every
// user may read it.
var shared struct {
	sync.Mutex
	dir string
}

// tests are all tests here, and what is taken away after them.
type tests struct{ *testing.M }

func (m tests) Run() int {
	defer func() { os.RemoveAll(shared.dir) }()
	return m.M.Run()
}

func sharedDir(tb testing.TB) string {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.dir == "" {
		dir, err := os.MkdirTemp("", "s2clab-outside-")
		if err = errors.Join(err, os.Chmod(dir, 0o755)); err != nil {
			tb.Fatal(err)
		}
		shared.dir = dir
	}
	return shared.dir
}

// built is the program as scripts/build makes it.
func built(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(sharedDir(tb), "s2clab")
	if err := build(path); err != nil {
		tb.Fatal(err)
	}
	return path
}

var builtOnce sync.Once

func build(path string) (err error) {
	builtOnce.Do(func() {
		cmd := exec.Command("go", "build", "-trimpath", "-o", path, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	return err
}

// A person sits at a shell with folders of their own. Every process that they
// start, and those that these start, carry a mark in their environment, by which
// they are found again. When the test ends nothing of them is there but what is
// in the runs folder.
type person struct {
	t    *testing.T
	dir  string   // its home, tmp and runs
	mark string   // S2CLAB_TEST=...
	as   []string // what is written before the program
	path string   // of the program
}

const nobody = 65534

// newPerson is who runs the tests, be it root or not.
func newPerson(t *testing.T) *person {
	t.Helper()
	path := built(t)
	dir, err := os.MkdirTemp(sharedDir(t), "person-")
	if err = errors.Join(err, os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, dir: dir, mark: fmt.Sprintf("S2CLAB_TEST=%d-%s", os.Getpid(), filepath.Base(dir)), path: path}
	for _, name := range []string{"home", "tmp", "runs"} {
		if err := os.Mkdir(p.file(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	before := devices(t)
	t.Cleanup(func() {
		p.nothingLeft()
		for _, d := range devices(t) {
			if !slices.Contains(before, d) {
				t.Errorf("network device %s is new on this machine", d)
			}
		}
	})
	return p
}

// newUser is an ordinary user, who may do nothing that others may not.
func newUser(t *testing.T) *person {
	t.Helper()
	p := newPerson(t)
	if os.Geteuid() != 0 {
		return p // the tests run as one
	}
	p.as = []string{"setpriv", "--reuid", fmt.Sprint(nobody), "--regid", fmt.Sprint(nobody), "--clear-groups"}
	for _, name := range []string{"home", "tmp", "runs"} {
		if err := os.Chown(p.file(name), nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(p.as[0], append(p.as[1:], "true")...).CombinedOutput(); err != nil {
		netnstest.Lacking(t, "user", fmt.Errorf("%w: %s", err, out))
	}
	if _, errs, status := p.run("doctor"); status != 0 {
		netnstest.Lacking(t, "user", errors.New(errs))
	}
	return p
}

func devices(t *testing.T) (names []string) {
	entries, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (p *person) file(name string) string { return filepath.Join(p.dir, name) }

// lab is a name that no other lab has.
func (p *person) lab(name string) string { return name + "-" + filepath.Base(p.dir) }

// command is the program with these words, ready to start.
func (p *person) command(args ...string) *exec.Cmd {
	words := append(append(slices.Clone(p.as), p.path), args...)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), p.mark, "HOME="+p.file("home"), "TMPDIR="+p.file("tmp"), "NO_COLOR=1")
	return cmd
}

// run runs the program to its end.
func (p *person) run(args ...string) (stdout, stderr string, status int) {
	p.t.Helper()
	return p.wait(p.command(args...))
}

func (p *person) wait(cmd *exec.Cmd) (stdout, stderr string, status int) {
	p.t.Helper()
	var out, errs bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &errs
	late := time.AfterFunc(bound, p.end)
	defer late.Stop()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("%v: %v", cmd.Args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs the program and wants it to exit with 0.
func (p *person) must(args ...string) (stdout string) {
	p.t.Helper()
	out, errs, status := p.run(args...)
	if status != 0 {
		p.t.Fatalf("%v: exit status %d\n%s%s", args, status, out, errs)
	}
	return out
}

// refused runs the program and wants it to exit with 2, saying these things, and
// nothing on its standard output.
func (p *person) refused(args []string, says ...string) {
	p.t.Helper()
	out, errs, status := p.run(args...)
	if status != 2 || out != "" {
		p.t.Errorf("%v: exit status %d, stdout %q; want 2 and nothing", args, status, out)
	}
	wantSaid(p.t, errs, says...)
}

func wantSaid(t *testing.T, text string, says ...string) {
	t.Helper()
	for _, s := range says {
		if !strings.Contains(text, s) {
			t.Errorf("was told:\n%s\nwant %q in it", text, s)
		}
	}
	for _, s := range []string{"panic:", "goroutine "} {
		if strings.Contains(text, s) {
			t.Errorf("was told:\n%s\nwant no %q in it", text, s)
		}
	}
}

// A started is the program while it runs, with what it writes to standard error.
type started struct {
	*exec.Cmd
	p     *person
	lines *bufio.Scanner
	said  strings.Builder
	late  *time.Timer
}

func (p *person) start(args ...string) *started {
	p.t.Helper()
	s := &started{Cmd: p.command(args...), p: p}
	errs, err := s.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	s.lines = bufio.NewScanner(errs)
	if err := s.Start(); err != nil {
		p.t.Fatal(err)
	}
	s.late = time.AfterFunc(bound, p.end)
	return s
}

// await reads until a line holds text.
func (s *started) await(text string) (line string) {
	s.p.t.Helper()
	for s.lines.Scan() {
		s.said.WriteString(s.lines.Text() + "\n")
		if strings.Contains(s.lines.Text(), text) {
			return s.lines.Text()
		}
	}
	s.p.t.Fatalf("%v has ended and never said %q, but:\n%s", s.Args, text, &s.said)
	return ""
}

// ended reads to the end: nobody has the program's standard error any more.
func (s *started) ended() (said string, status int) {
	s.p.t.Helper()
	for s.lines.Scan() {
		s.said.WriteString(s.lines.Text() + "\n")
	}
	s.Wait()
	s.late.Stop()
	return s.said.String(), s.ProcessState.ExitCode()
}

func (s *started) signal(sig unix.Signal) {
	s.p.t.Helper()
	if err := s.Process.Signal(sig); err != nil {
		s.p.t.Fatal(err)
	}
}

// A process is one that carries the mark.
type process struct {
	pid  int
	argv []string
}

func (p process) String() string { return fmt.Sprintf("%d %s", p.pid, strings.Join(p.argv, " ")) }

// processes are all that carry the mark just now.
func (p *person) processes() (all []process) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		environ, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil || !slices.Contains(strings.Split(string(environ), "\x00"), p.mark) {
			continue
		}
		argv, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		all = append(all, process{pid, strings.Split(strings.TrimRight(string(argv), "\x00"), "\x00")})
	}
	return all
}

// find is the one process whose words begin so.
func (p *person) find(words ...string) process {
	p.t.Helper()
	var found []process
	for _, one := range p.processes() {
		if len(one.argv) >= len(words) && slices.Equal(one.argv[:len(words)], words) {
			found = append(found, one)
		}
	}
	if len(found) != 1 {
		p.t.Fatalf("%d processes are %q: %v", len(found), words, found)
	}
	return found[0]
}

func (p *person) supervisor() process          { return p.find("s2clab", "supervise") }
func (p *person) node(role string) process     { return p.find("s2clab", "node", role) }
func (p process) kill(sig unix.Signal) error   { return unix.Kill(p.pid, sig) }
func (p *person) spaces() (all map[string]int) { return p.spacesOf(p.processes()) }

// spacesOf are the namespaces that processes live in and this one does not.
func (p *person) spacesOf(processes []process) map[string]int {
	all := map[string]int{}
	for _, one := range processes {
		for _, kind := range []string{"net", "mnt", "pid", "uts", "ipc", "user"} {
			own, _ := os.Readlink("/proc/self/ns/" + kind)
			if its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", one.pid, kind)); err == nil && its != own {
				all[its]++
			}
		}
	}
	return all
}

// gone waits until every process that carries the mark has ended, and wants
// nobody to live in the namespaces that were theirs.
func (p *person) gone(spaces map[string]int) {
	p.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		left := append(p.processes(), living(spaces)...)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Errorf("10 s later there are still %v", left)
			p.end()
			return
		}
		awaitEnd(left[0].pid, deadline)
	}
}

// living are the processes in these namespaces, those included that are just
// ending and carry no mark any more.
func living(spaces map[string]int) (all []process) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		for _, kind := range []string{"net", "mnt", "pid"} {
			if its, err := os.Readlink("/proc/" + e.Name() + "/ns/" + kind); err == nil && spaces[its] > 0 {
				all = append(all, process{pid, []string{"in", its}})
				break
			}
		}
	}
	return all
}

// awaitEnd waits for the end of a process, whosever child it is.
func awaitEnd(pid int, deadline time.Time) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it has ended
	}
	defer unix.Close(fd)
	unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Until(deadline).Milliseconds())+1)
}

// end ends what is there, where a test has gone wrong.
func (p *person) end() {
	for _, one := range p.processes() {
		one.kill(unix.SIGKILL)
	}
}

// nothingLeft wants no process, socket, mount or file of this person.
func (p *person) nothingLeft() {
	p.t.Helper()
	p.gone(nil)
	sockets, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		p.t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(sockets) + string(mounts)) {
		if strings.Contains(line, filepath.Base(p.dir)) || strings.Contains(line, "nsfs") && strings.Contains(line, "s2clab") {
			p.t.Errorf("still there: %s", line)
		}
	}
	for _, name := range []string{"home", "tmp"} {
		filepath.WalkDir(p.file(name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || path != p.file(name) {
				p.t.Errorf("left behind: %s %v", path, err)
			}
			return nil
		})
	}
}

// runs are the folders of this person's runs.
func (p *person) runs() []string {
	p.t.Helper()
	found, err := filepath.Glob(p.file("runs/*"))
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}

// write writes a file of this person's, and returns its path.
func (p *person) write(name, text string) string {
	p.t.Helper()
	if err := os.WriteFile(p.file(name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
	return p.file(name)
}

// await asks until it is so, and fails where it is not in time. It is for states
// of the machine that nobody tells of.
func (p *person) await(what string, so func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			p.t.Fatalf("still not so: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"s2clab/nodes/netns/netnstest"
)

// A file of any size is refused without being read to its end.
func TestAHugeFileIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	huge := p.write("huge.yaml", "scenario: huge\n")
	if err := os.Truncate(huge, 100<<20); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", huge}, {"run", "--runs", p.file("runs"), huge}, {"up", huge}, {"graph", huge}} {
		p.refused(args, "huge.yaml: has 104857600 octets")
	}
	if runs := p.runs(); len(runs) > 0 {
		t.Errorf("a refused scenario has left %v", runs)
	}
}

// on runs the program where a file system of that size lies over its runs folder,
// in a mount namespace that ends with it.
func (p *person) on(size string) {
	p.t.Helper()
	if err := exec.Command("unshare", "-m", "true").Run(); err != nil {
		netnstest.Lacking(p.t, "user", errors.New("only root can mount a small disk"))
	}
	p.as = []string{"unshare", "-m", "sh", "-c", `mount -t tmpfs -o size=` + size + ` small "$0" && exec "$@"`, p.file("runs")}
}

// A capture that finds the disk full ends early and says so; the run goes on and
// is judged, as long as its journal can be kept.
func TestADiskThatIsFullIsTold(t *testing.T) {
	needLabs(t)
	t.Run("while capturing", func(t *testing.T) {
		t.Parallel()
		turn(t)
		p := newPerson(t)
		p.on("200k")
		_, errs, status := p.run("run", "--runs", p.file("runs"), p.write("much.yaml", `scenario: much
topology: one-home-agent
steps:
  - {at: 0s, attach: {node: mn, link: home}}
  - {at: 100ms, traffic: {from: mn, to: cn, rate: 500/s, size: 1000B}}
  - {at: 2s, stop: all}
expect:
  - {saw: returned-home}
`))
		if status != 2 {
			t.Errorf("exit status %d, want 2: the journal found no room either", status)
		}
		wantSaid(t, errs, "no space left on device", "the file ends after", "▸ stop all")
	})
	t.Run("before it begins", func(t *testing.T) {
		t.Parallel()
		turn(t)
		p := newPerson(t)
		p.on("4k")
		p.refused([]string{"run", "--runs", p.file("runs")}, "no space left on device")
	})
}

func TestAFolderThatCannotBeWrittenIsNamed(t *testing.T) {
	t.Parallel()
	p := newUser(t)
	if err := os.Chmod(p.file("runs"), 0o555); err != nil {
		t.Fatal(err)
	}
	p.refused([]string{"run", "--runs", p.file("runs")}, p.file("runs"), "permission denied", "hint: --runs FOLDER keeps runs elsewhere")
	p.refused([]string{"run", "--runs", "/proc/none"}, "/proc/none", "hint: --runs FOLDER")
	p.refused([]string{"run", "--runs", p.write("a-file", "")}, "not a directory", "hint: --runs FOLDER")
	if runs := p.runs(); len(runs) > 0 {
		t.Errorf("left %v", runs)
	}
}

// In a user namespace whose limit is set to none, a user may make no further
// namespaces; the limit of this machine stays as it is.
func TestAUserWithoutNamespacesIsToldWhatToDo(t *testing.T) {
	t.Parallel()
	p := newUser(t)
	wrap := []string{"unshare", "-U", "-r", "sh", "-c", `echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set -all --inh-caps -all "$0" "$@"`}
	if out, err := exec.Command(wrap[0], append(wrap[1:], "true")...).CombinedOutput(); err != nil {
		netnstest.Lacking(t, "user", errors.New(string(out)))
	}
	inside := append(append([]string{}, p.as...), wrap...)
	// Inside, the user is root without any capability, whom the kernel lets make
	// no namespace.
	p.as = inside
	p.refused([]string{"run", "--runs", p.file("runs")}, "namespaces", "hint: ")
	out, _, status := p.run("doctor")
	if status != 2 {
		t.Errorf("doctor: exit status %d, want 2", status)
	}
	wantSaid(t, out, "MISSING  namespaces of one's own", "hint: ")
}

// Whatever is run, a lab that cannot come up leaves nothing and says why.
func TestALabThatCannotComeUpLeavesNothing(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	// So many files at once may not be open: the lab inherits the limit.
	p.as = []string{"sh", "-c", `ulimit -n 40 && exec "$0" "$@"`}
	out, errs, status := p.run("up", "--name", p.lab("line"), "line-50")
	if status != 2 || out != "" {
		t.Errorf("exit status %d, stdout %q; want 2 and nothing", status, out)
	}
	wantSaid(t, errs, "too many open files")
	p.gone(nil)
	if left, _ := filepath.Glob(p.file("tmp/*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

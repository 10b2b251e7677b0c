// Package launch starts the processes of nodes: in a Space on this machine now.
//
// It knows how a process is started, watched and ended, and nothing of what its
// role does.
package launch

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/nodes/netns"
)

// A Process is a node process that was started.
type Process struct {
	*control.Node
	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when it has ended, and err is set
	err  error
}

// Start starts this program as a node process inside space, sends it cfg, and
// hands its events to sink, and what it writes to its standard output and error as
// events of name node-logged. Memory is what the process finds at
// control.MemoryFD; nil: nothing is there.
func Start(space *netns.Space, cfg *control.Config, memory *os.File, sink func(control.Event)) (*Process, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("node %s: control socket: %w", cfg.Node, err)
	}
	here, there := os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control")
	defer there.Close()
	conn, err := net.FileConn(here)
	here.Close()
	if err != nil {
		return nil, fmt.Errorf("node %s: control socket: %w", cfg.Node, err)
	}

	p := &Process{done: make(chan struct{})}
	p.log = &tail{line: func(text string) {
		sink(control.Event{At: control.Now(), Node: cfg.Node, Name: "node-logged", Fields: map[string]any{"role": cfg.Role, "text": text}})
	}}
	p.cmd = exec.Command("/proc/self/exe", "node", cfg.Role)
	p.cmd.Args[0] = "s2clab"
	p.cmd.ExtraFiles = []*os.File{there} // control.NodeFD
	if memory != nil {
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, memory) // control.MemoryFD
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(os.Environ(), "GOGC=50") // a node is small: memory before speed
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := space.Start(p.cmd); err != nil {
		conn.Close()
		return nil, fmt.Errorf("node %s: %w", cfg.Node, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		p.log.end()
		close(p.done)
	}()
	if p.Node, err = control.Dial(conn, cfg, sink); err != nil {
		p.Kill()
		return nil, fmt.Errorf("node %s: %w\n%s", cfg.Node, err, p.Log())
	}
	return p, nil
}

// NewMemory makes memory that a node may be given in each of its lives. It has no
// name in any file system, and ends with whoever holds it.
func NewMemory(node string) (*os.File, error) {
	fd, err := unix.MemfdCreate(node, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("node %s: memory to keep: %w", node, err)
	}
	return os.NewFile(uintptr(fd), node), nil
}

// PID is the process's number, as the lab's PID namespace counts.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how the process ended, once Done is closed; nil: well.
func (p *Process) Exit() error { return p.err }

// Log is the end of what the process wrote, a few thousand octets at most.
func (p *Process) Log() string { return p.log.String() }

// grace is how long a process has to end by itself.
const grace = 2 * time.Second

// Stop ends the process, in good order where it can, and waits for its end.
func (p *Process) Stop() error {
	p.Node.Close()
	select {
	case <-p.done:
	case <-time.After(grace):
		p.Kill()
		return errors.New("did not end by itself and was killed")
	}
	return nil
}

// Kill ends the process as a power failure would, and waits for its end.
func (p *Process) Kill() {
	unix.Kill(-p.PID(), unix.SIGKILL)
	<-p.done
	if p.Node != nil {
		p.Node.Close()
	}
}

// A tail keeps the last octets written to it, and hands on each line. It has one
// writer.
type tail struct {
	line  func(string)
	begun []byte // of a line
	lines int    // that were handed on

	mu   sync.Mutex
	kept []byte
}

const (
	tailOctets = 4096
	mostLine   = 4096 // octets; what is longer is cut into several
	mostLines  = 10000
)

func (t *tail) Write(b []byte) (int, error) {
	t.keep(b)
	for rest := b; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		part := rest
		if end >= 0 {
			part = rest[:end]
		}
		part = part[:min(len(part), mostLine-len(t.begun))]
		t.begun = append(t.begun, part...)
		rest = rest[len(part):]
		if len(part) == end {
			rest = rest[1:]
			t.tell()
		} else if len(t.begun) == mostLine {
			t.tell()
		}
	}
	return len(b), nil
}

func (t *tail) keep(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if extra := len(t.kept) - tailOctets; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
}

// tell hands on the line that has begun. A process that writes without end does
// not fill the journal.
func (t *tail) tell() {
	text := string(t.begun)
	t.begun = t.begun[:0]
	switch t.lines++; {
	case t.lines <= mostLines:
		t.line(text)
	case t.lines == mostLines+1:
		t.line(fmt.Sprintf("(more than %d lines: what follows is not told)", mostLines))
	}
}

// end hands on a line that has begun and was not ended.
func (t *tail) end() {
	if len(t.begun) > 0 {
		t.tell()
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}

package supervise

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/orchestrator/door"
)

// A Supervisor is the process of a lab, seen from outside.
type Supervisor struct {
	Name string
	cmd  *exec.Cmd
	line *net.UnixConn // whose end ends the lab, until it was told to stay
}

// The descriptors that a supervisor finds.
const (
	lineFD     = 3
	listenerFD = 4
)

// Spawn starts the supervisor of a lab with that name, as init of its own
// namespaces. It does nothing before it is asked to.
func Spawn(name string) (*Supervisor, error) {
	listener, err := door.Listen(name)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	doorFile, err := listener.File()
	if err != nil {
		return nil, err
	}
	defer doorFile.Close()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	here, there := os.NewFile(uintptr(fds[0]), "line"), os.NewFile(uintptr(fds[1]), "line")
	defer here.Close()
	defer there.Close()

	cmd := exec.Command("/proc/self/exe", "supervise")
	cmd.Args[0] = "s2clab"
	cmd.ExtraFiles = []*os.File{there, doorFile}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = namespaces()
	if err := cmd.Start(); err != nil {
		return nil, explain(err)
	}
	conn, err := net.FileConn(here)
	if err != nil {
		cmd.Process.Kill()
		return nil, err
	}
	return &Supervisor{Name: name, cmd: cmd, line: conn.(*net.UnixConn)}, nil
}

// namespaces are those a lab owns. Root needs no user namespace; anybody else is
// root inside one.
func namespaces() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Setsid:     true, // the terminal's Ctrl-C is for the command line, which then ends the lab in good order
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// explain says what a refused namespace means and what mends it.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("namespaces are forbidden to this user: %w\n    hint: \"s2clab doctor\" says which setting forbids them and how to allow it", err)
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("no more namespaces may be made: %w\n    hint: raise user.max_user_namespaces and user.max_net_namespaces with sysctl", err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("this kernel lacks a kind of namespace: %w\n    hint: \"s2clab doctor\" says which", err)
	}
	return err
}

// Up brings a topology up in the lab. Where it is not to stay, the lab ends with
// the Supervisor's line, which the Call returned holds.
func (s *Supervisor) Up(args UpArgs) (*door.Call, error) { return door.Ask(s.line, "up", args) }

// Run has the lab play a scenario; it ends with it, or with the Call returned.
func (s *Supervisor) Run(args RunArgs) (*door.Call, error) { return door.Ask(s.line, "run", args) }

// Wait waits for the supervisor's end.
func (s *Supervisor) Wait() error { return s.cmd.Wait() }

// grace is how long a lab has to end by itself.
const grace = 5 * time.Second

// End waits until the lab has ended in good order, which it does when its line is
// closed, and ends it at once where that takes too long.
func (s *Supervisor) End() {
	late := time.AfterFunc(grace, func() { s.cmd.Process.Kill() })
	defer late.Stop()
	s.cmd.Wait()
}

// Kill ends the lab at once; the kernel takes away all that it had.
func (s *Supervisor) Kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

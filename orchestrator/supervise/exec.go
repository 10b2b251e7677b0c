package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"s2clab/orchestrator/door"
)

// ExecArgs ask for a program in a node. Its standard input, output and error are
// passed along as files: three of them, or one that is a terminal.
type ExecArgs struct {
	Node     string
	Argv     []string
	Env      []string
	Dir      string
	Terminal bool
}

// ExecEnd is how the program ended: an exit status as shells have it.
type ExecEnd struct{ Status int }

// A Signal is said to a program that runs.
type Signal struct{ Signal int }

func (s *server) exec(ctx context.Context, r *door.Request) error {
	var args ExecArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	lab, err := s.ready()
	if err != nil {
		return err
	}
	want := 3
	if args.Terminal {
		want = 1
	}
	if len(r.Files) != want || len(args.Argv) == 0 {
		return fmt.Errorf("exec: %d files, %d words: want %d files and a command", len(r.Files), len(args.Argv), want)
	}
	path, err := lookPath(args)
	if err != nil {
		return err
	}
	cmd := &exec.Cmd{Path: path, Args: args.Argv, Env: args.Env, Dir: args.Dir}
	if args.Terminal {
		terminal := r.Files[0]
		cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	} else {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = r.Files[0], r.Files[1], r.Files[2]
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	if err := lab.Exec(args.Node, cmd); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case raw, ok := <-r.Said:
				var said Signal
				if ok && json.Unmarshal(raw, &said) == nil && said.Signal > 0 {
					unix.Kill(-cmd.Process.Pid, unix.Signal(said.Signal))
				}
				if !ok {
					r.Said = nil
				}
			case <-ctx.Done():
				unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
				return
			case <-ended:
				return
			}
		}
	}()
	err = cmd.Wait()
	close(ended)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return r.Send(ExecEnd{})
	case errors.As(err, &exit):
		status := exit.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			return r.Send(ExecEnd{Status: 128 + int(status.Signal())})
		}
		return r.Send(ExecEnd{Status: status.ExitStatus()})
	}
	return err
}

// lookPath finds a program by the PATH of the person who asked, not by the lab's.
func lookPath(args ExecArgs) (string, error) {
	name := args.Argv[0]
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(args.Dir, name)
		}
		switch info, err := os.Stat(name); {
		case err != nil:
			return "", fmt.Errorf("exec: %w", err)
		case info.IsDir() || info.Mode()&0o111 == 0:
			return "", fmt.Errorf("exec: %s is not a program: want a file that may be executed", name)
		}
		return name, nil
	}
	for _, entry := range args.Env {
		path, ok := strings.CutPrefix(entry, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range append(filepath.SplitList(path), "/usr/sbin", "/sbin") {
			file := filepath.Join(dir, name)
			if info, err := os.Stat(file); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
				return file, nil
			}
		}
	}
	return "", fmt.Errorf("exec: %q is not a program on your PATH", name)
}

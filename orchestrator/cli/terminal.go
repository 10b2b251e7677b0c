package cli

import (
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// isTerminal says whether a person is at the other end of f.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// columnsOf is how wide a terminal is; 0: f is none, or does not say.
func columnsOf(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// A pty is a pseudo-terminal for a program in a lab, whose session cannot have
// this process's own terminal.
type pty struct {
	*os.File          // this side
	far      *os.File // the program's side
}

func openPTY() (*pty, error) {
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("pseudo-terminal: %w", err)
	}
	if err := unix.IoctlSetPointerInt(int(near.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		near.Close()
		return nil, fmt.Errorf("pseudo-terminal: %w", err)
	}
	far, err := unix.IoctlGetUint32(int(near.Fd()), unix.TIOCGPTN)
	if err != nil {
		near.Close()
		return nil, fmt.Errorf("pseudo-terminal: %w", err)
	}
	f, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", far), os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		near.Close()
		return nil, fmt.Errorf("pseudo-terminal: %w", err)
	}
	return &pty{File: near, far: f}, nil
}

// follow gives the pty the size of a terminal, now and whenever that changes.
// The function returned ends it.
func (p *pty) follow(terminal *os.File) (stop func()) {
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	resize := func() {
		if size, err := unix.IoctlGetWinsize(int(terminal.Fd()), unix.TIOCGWINSZ); err == nil {
			unix.IoctlSetWinsize(int(p.Fd()), unix.TIOCSWINSZ, size)
		}
	}
	resize()
	go func() {
		for range resized {
			resize()
		}
	}()
	return func() {
		signal.Stop(resized)
		close(resized)
	}
}

// raw makes a terminal hand over each key as it is pressed. The function returned
// makes it as it was.
func raw(terminal *os.File) (restore func(), err error) {
	fd := int(terminal.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	now := *was
	now.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	now.Oflag &^= unix.OPOST
	now.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	now.Cflag &^= unix.CSIZE | unix.PARENB
	now.Cflag |= unix.CS8
	now.Cc[unix.VMIN], now.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &now); err != nil {
		return nil, err
	}
	return func() { unix.IoctlSetTermios(fd, unix.TCSETS, was) }, nil
}

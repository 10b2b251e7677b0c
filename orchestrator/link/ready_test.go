package link

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The loop is told of an error of a port, and finds it taken by somebody else: as
// when a packet socket has lost its carrier, and SetCarrier is faster to clear that.
func TestAnErrorThatSomebodyElseTookIsNotTheEndOfAPort(t *testing.T) {
	near, _ := datagramPair(t)
	if e := readied(t, near); e.gone != nil {
		t.Errorf("a port without an error is gone: %v", e.gone)
	}
}

func TestAPortThatHungUpIsGone(t *testing.T) {
	near, _ := datagramPair(t)
	if err := unix.Shutdown(near, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	if e := readied(t, near); e.gone == nil {
		t.Error("a port that hung up is thought to be there")
	}
}

// readied is the end of a descriptor that the loop was told has an error, and hung up.
func readied(t *testing.T, fd int) *end {
	t.Helper()
	l := &loop{clock: theClock(), pool: pool{max: 2 * largeSize}}
	if err := l.open(); err != nil {
		t.Fatal(err)
	}
	l.scratch = l.pool.get(largeSize)
	t.Cleanup(func() {
		unix.Close(l.epoll)
		unix.Close(l.wake)
	})
	e := &end{node: "ue", fd: fd}
	l.ready(e, unix.EPOLLIN|unix.EPOLLERR|unix.EPOLLHUP)
	return e
}

func datagramPair(t *testing.T) (near, far int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

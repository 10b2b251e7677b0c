// Package linktest has ports in memory, so that links can be tested without a
// device: what a test sends as a node comes out of the port, and what a link
// hands to the port comes to the test.
package linktest

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const headerLen = 10 // of a virtio-net header

// A Port is a link.Port, and the node behind it.
type Port struct {
	near, far int

	mu      sync.Mutex
	carrier bool
	large   bool
}

// New makes a port without carrier.
func New(tb testing.TB) *Port {
	tb.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	for _, fd := range fds {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		tb.Fatal(err)
	}
	p := &Port{near: fds[0], far: fds[1]}
	tb.Cleanup(func() {
		unix.Close(p.near)
		unix.Close(p.far)
	})
	return p
}

// FD is of link.Port.
func (p *Port) FD() int { return p.near }

// SetOffload is of link.Port.
func (p *Port) SetOffload(large bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.large = large
	return nil
}

// SetCarrier is of link.Port.
func (p *Port) SetCarrier(up bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.carrier = up
	return nil
}

// Carrier says whether the node sees carrier.
func (p *Port) Carrier() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.carrier
}

// Offload says whether the node may hand over large segments.
func (p *Port) Offload() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.large
}

// Send sends a frame as the node.
func (p *Port) Send(tb testing.TB, frame []byte) {
	tb.Helper()
	p.SendRaw(tb, append(make([]byte, headerLen), frame...))
}

// SendRaw sends a frame behind a virtio-net header.
func (p *Port) SendRaw(tb testing.TB, data []byte) {
	tb.Helper()
	if _, err := unix.Write(p.far, data); err != nil {
		tb.Fatalf("send: %v", err)
	}
}

// Receive gives the next frame that the link has handed to the node. It fails the
// test where none comes in ten seconds.
func (p *Port) Receive(tb testing.TB) []byte {
	tb.Helper()
	return p.ReceiveRaw(tb)[headerLen:]
}

// ReceiveRaw gives the next frame with its virtio-net header.
func (p *Port) ReceiveRaw(tb testing.TB) []byte {
	tb.Helper()
	unix.SetsockoptTimeval(p.far, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	buf := make([]byte, 80<<10)
	for {
		n, err := unix.Read(p.far, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			tb.Fatalf("no frame came: %v", err)
		}
		return bytes.Clone(buf[:n])
	}
}

// Waiting gives all frames that the node could receive now.
func (p *Port) Waiting() (all [][]byte) {
	buf := make([]byte, 80<<10)
	for {
		n, _, err := unix.Recvfrom(p.far, buf, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return all
		}
		all = append(all, bytes.Clone(buf[headerLen:n]))
	}
}

// Until waits until something holds, and fails the test where it does not in ten
// seconds.
func Until(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for began := time.Now(); !holds(); time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			tb.Fatalf("in 10 s it did not come to this: %s", what)
		}
	}
}

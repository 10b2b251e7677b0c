package host

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	resolverPatience = 10 * time.Second // longer than anybody waits for an answer
	resolverSockets  = 64               // open at a time
	resolverMessage  = 4096             // octets that are read over UDP
	resolverAnswers  = 4                // that are read of one question
)

// A Resolver asks DNS servers, each question from a port of its own that the kernel
// chooses at random: RFC 5452, section 9.2. What it hands on came from whom it asked;
// whether it answers anything is for others to see.
type Resolver struct {
	told  func(server netip.AddrPort, tcp bool, message []byte)
	slots chan struct{}

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// NewResolver makes one that tells what has come, from several goroutines. A message is
// told's to keep.
func NewResolver(told func(server netip.AddrPort, tcp bool, message []byte)) *Resolver {
	r := &Resolver{told: told, slots: make(chan struct{}, resolverSockets)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Close ends all questions.
func (r *Resolver) Close() error {
	r.cancel()
	r.running.Wait()
	return nil
}

// Ask sends a message to a server, from an address of a device. Over TCP only what
// fails at once is told; what fails later is a question without an answer.
func (r *Resolver) Ask(dev string, source netip.Addr, server netip.AddrPort, tcp bool, message []byte) error {
	select {
	case r.slots <- struct{}{}:
	default:
		return inDevice(dev, syscall.ENOBUFS)
	}
	conn, err := resolverSocket(dev, source, server, tcp)
	if err == nil && !tcp {
		if _, err = conn.Write(message); err != nil {
			conn.Close()
		}
	}
	if err != nil {
		<-r.slots
		return inDevice(dev, err)
	}
	r.running.Go(func() {
		defer func() { <-r.slots }()
		defer conn.Close()
		defer context.AfterFunc(r.ctx, func() { conn.Close() })()
		conn.SetDeadline(time.Now().Add(resolverPatience))
		if tcp {
			r.stream(conn, server, message)
		} else {
			r.datagrams(conn, server)
		}
	})
	return nil
}

// resolverSocket opens a socket from an address to a server. Over TCP it may not be
// connected yet.
func resolverSocket(dev string, source netip.Addr, server netip.AddrPort, tcp bool) (net.Conn, error) {
	domain, kind := unix.AF_INET6, unix.SOCK_DGRAM
	if source.Is4() {
		domain = unix.AF_INET
	}
	if tcp {
		kind = unix.SOCK_STREAM
	}
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "resolver")
	defer f.Close()
	if err := unix.BindToDevice(fd, dev); err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, socketAddress(netip.AddrPortFrom(source, 0))); err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, socketAddress(server)); err != nil && !(tcp && errors.Is(err, unix.EINPROGRESS)) {
		return nil, err
	}
	return net.FileConn(f)
}

func socketAddress(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// datagrams hands on what comes from a server, until nobody waits any more.
func (r *Resolver) datagrams(conn net.Conn, server netip.AddrPort) {
	b := make([]byte, resolverMessage+1)
	for range resolverAnswers {
		n, err := conn.Read(b)
		if err != nil {
			return // also where the server says that it is none: that is no answer
		}
		if n <= resolverMessage {
			r.told(server, false, append([]byte(nil), b[:n]...))
		}
	}
}

// stream sends a question over TCP and hands on its answer: RFC 1035, section 4.2.2.
func (r *Resolver) stream(conn net.Conn, server netip.AddrPort, message []byte) {
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)); err != nil {
		return
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return
	}
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, b); err == nil {
		r.told(server, true, b)
	}
}

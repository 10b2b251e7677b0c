package rtnetlink

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// attributeKind are the bits of an attribute's type that are its kind: struct
// nlattr keeps two for flags.
const attributeKind = 1<<14 - 1

// A Socket is an rtnetlink socket, of the network namespace that it was opened is.
// Any goroutine may use it.
type Socket struct {
	mu     sync.Mutex
	fd     int
	answer []byte
}

// OpenFD opens a bare socket, for who reads what the kernel tells by itself.
func OpenFD(flags int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|flags, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, fmt.Errorf("rtnetlink: %w", err)
	}
	return fd, nil
}

// Open opens a Socket in the calling thread's network namespace.
func Open() (*Socket, error) {
	fd, err := OpenFD(0)
	if err != nil {
		return nil, err
	}
	unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1) // errors need not carry the request back
	return &Socket{fd: fd, answer: make([]byte, 32<<10)}, nil
}

// Close closes the socket; again does nothing.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return nil
	}
	err := unix.Close(s.fd)
	s.fd = -1
	return err
}

// Do does what is in b, in order, and returns the errors of all that failed. b is
// empty afterwards.
func (s *Socket) Do(b *Batch) error {
	if len(b.asked) == 0 {
		return nil
	}
	defer func() { b.octets, b.asked = b.octets[:0], b.asked[:0] }()
	s.mu.Lock()
	defer s.mu.Unlock()
	last := 0
	for at := 0; at < len(b.octets); at += int(native.Uint32(b.octets[at:])) {
		last = at
	}
	flags := native.Uint16(b.octets[last+6:])
	native.PutUint16(b.octets[last+6:], flags|unix.NLM_F_ACK)
	if err := unix.Sendto(s.fd, b.octets, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	var errs []error
	for done := false; !done; {
		err := s.receive(func(kind uint16, seq uint32, body []byte) {
			if kind != unix.NLMSG_ERROR || int(seq) >= len(b.asked) || len(body) < 4 {
				return
			}
			done = done || int(seq) == len(b.asked)-1
			a := b.asked[seq]
			if errno := unix.Errno(-int32(native.Uint32(body))); errno != 0 && !slices.Contains(a.tolerated, errno) {
				errs = append(errs, fmt.Errorf("%s: %w", a.what, errno))
			}
		})
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	return errors.Join(errs...)
}

// receive reads one datagram and calls f for each message in it.
func (s *Socket) receive(f func(kind uint16, seq uint32, body []byte)) error {
	for {
		size, _, err := unix.Recvfrom(s.fd, s.answer, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("rtnetlink: %w", err)
		}
		EachMessage(s.answer[:size], f)
		return nil
	}
}

// EachMessage calls f for each message in a datagram from the kernel.
func EachMessage(b []byte, f func(kind uint16, seq uint32, body []byte)) {
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(native.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return
		}
		f(native.Uint16(b[4:]), native.Uint32(b[8:]), b[unix.SizeofNlMsghdr:size])
		b = b[min(len(b), (size+3)&^3):]
	}
}

// EachAttribute calls f for each attribute in b. Its kind comes without the two
// bits that are flags.
func EachAttribute(b []byte, f func(kind uint16, value []byte)) {
	for len(b) >= 4 {
		size := int(native.Uint16(b))
		if size < 4 || size > len(b) {
			return
		}
		f(native.Uint16(b[2:])&attributeKind, b[4:size])
		b = b[min(len(b), (size+3)&^3):]
	}
}

// Ask sends the one request in b and calls f for each message that answers it. With
// dump it asks for all there are of a kind.
func (s *Socket) Ask(b *Batch, dump bool, f func(kind uint16, body []byte)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if dump {
		native.PutUint16(b.octets[6:], native.Uint16(b.octets[6:])|unix.NLM_F_DUMP)
	}
	if err := unix.Sendto(s.fd, b.octets, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	var failed error
	for done := false; !done; {
		err := s.receive(func(kind uint16, _ uint32, body []byte) {
			switch {
			case kind == unix.NLMSG_DONE:
				done = true
			case kind == unix.NLMSG_ERROR && len(body) >= 4:
				done = true
				if errno := unix.Errno(-int32(native.Uint32(body))); errno != 0 {
					failed = fmt.Errorf("%s: %w", b.asked[0].what, errno)
				}
			default:
				done = done || !dump
				f(kind, body)
			}
		})
		if err != nil {
			return err
		}
	}
	return failed
}

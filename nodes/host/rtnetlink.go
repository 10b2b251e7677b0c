package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

var native = binary.NativeEndian

// attributeKind are the bits of an attribute's type that are its kind: struct
// nlattr keeps two for flags.
const attributeKind = 1<<14 - 1

// A batch is a list of rtnetlink requests that the kernel does in order, in one
// system call.
type batch struct {
	octets []byte
	asked  []asked
}

// asked is what is remembered of a request until it is answered.
type asked struct {
	what      string
	tolerated []unix.Errno // answers that are as good as done
}

// begin begins a request with its fixed header; attributes follow, then end.
func (b *batch) begin(what string, kind, flags uint16, header []byte, tolerated ...unix.Errno) (start int) {
	start = len(b.octets)
	b.octets = native.AppendUint32(b.octets, 0) // its length, set by end
	b.octets = native.AppendUint16(b.octets, kind)
	b.octets = native.AppendUint16(b.octets, unix.NLM_F_REQUEST|flags)
	b.octets = native.AppendUint32(b.octets, uint32(len(b.asked)))
	b.octets = native.AppendUint32(b.octets, 0)
	b.octets = append(b.octets, header...)
	b.asked = append(b.asked, asked{what, tolerated})
	return start
}

func (b *batch) end(start int) { native.PutUint32(b.octets[start:], uint32(len(b.octets)-start)) }

// nest begins an attribute that holds others, which unnest ends.
func (b *batch) nest(kind uint16) (start int) {
	start = len(b.octets)
	b.octets = native.AppendUint16(b.octets, 0)
	b.octets = native.AppendUint16(b.octets, kind)
	return start
}

func (b *batch) unnest(start int) {
	native.PutUint16(b.octets[start:], uint16(len(b.octets)-start))
	for len(b.octets)%4 != 0 {
		b.octets = append(b.octets, 0)
	}
}

func (b *batch) attribute(kind uint16, value []byte) {
	start := b.nest(kind)
	b.octets = append(b.octets, value...)
	b.unnest(start)
}

func (b *batch) number(kind uint16, value int) {
	start := b.nest(kind)
	b.octets = native.AppendUint32(b.octets, uint32(value))
	b.unnest(start)
}

func (b *batch) address(kind uint16, a netip.Addr) { b.attribute(kind, a.AsSlice()) }

// netlink is an rtnetlink socket for requests.
type netlink struct {
	mu     sync.Mutex
	fd     int
	answer []byte
}

func openNetlinkSocket(flags int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|flags, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, fmt.Errorf("rtnetlink: %w", err)
	}
	return fd, nil
}

func openNetlink(flags int) (*netlink, error) {
	fd, err := openNetlinkSocket(flags)
	if err != nil {
		return nil, err
	}
	unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1) // errors need not carry the request back
	return &netlink{fd: fd, answer: make([]byte, 32<<10)}, nil
}

func (n *netlink) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fd < 0 {
		return nil
	}
	err := unix.Close(n.fd)
	n.fd = -1
	return err
}

// do does what is in b, in order, and returns the errors of all that failed.
func (n *netlink) do(b *batch) error {
	if len(b.asked) == 0 {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	last := 0
	for at := 0; at < len(b.octets); at += int(native.Uint32(b.octets[at:])) {
		last = at
	}
	flags := native.Uint16(b.octets[last+6:])
	native.PutUint16(b.octets[last+6:], flags|unix.NLM_F_ACK)
	if err := unix.Sendto(n.fd, b.octets, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	var errs []error
	for done := false; !done; {
		err := n.receive(func(kind uint16, seq uint32, body []byte) {
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
func (n *netlink) receive(f func(kind uint16, seq uint32, body []byte)) error {
	for {
		size, _, err := unix.Recvfrom(n.fd, n.answer, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("rtnetlink: %w", err)
		}
		eachMessage(n.answer[:size], f)
		return nil
	}
}

func eachMessage(b []byte, f func(kind uint16, seq uint32, body []byte)) {
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(native.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return
		}
		f(native.Uint16(b[4:]), native.Uint32(b[8:]), b[unix.SizeofNlMsghdr:size])
		b = b[min(len(b), (size+3)&^3):]
	}
}

// eachAttribute calls f for the attributes in b.
func eachAttribute(b []byte, f func(kind uint16, value []byte)) {
	for len(b) >= 4 {
		size := int(native.Uint16(b))
		if size < 4 || size > len(b) {
			return
		}
		f(native.Uint16(b[2:])&attributeKind, b[4:size])
		b = b[min(len(b), (size+3)&^3):]
	}
}

// ask sends one request and calls f for each message that answers it.
func (n *netlink) ask(b *batch, dump bool, f func(kind uint16, body []byte)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if dump {
		native.PutUint16(b.octets[6:], native.Uint16(b.octets[6:])|unix.NLM_F_DUMP)
	}
	if err := unix.Sendto(n.fd, b.octets, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	var failed error
	for done := false; !done; {
		err := n.receive(func(kind uint16, _ uint32, body []byte) {
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

// A link is what the kernel says of a device.
type link struct {
	index   int
	name    string
	mtu     int
	mac     [6]byte
	carrier bool // up and able to carry packets
}

// parseLink reads the body of an RTM_NEWLINK.
func parseLink(body []byte) (l link, ok bool) {
	if len(body) < unix.SizeofIfInfomsg {
		return l, false
	}
	l.index = int(int32(native.Uint32(body[4:])))
	const able = unix.IFF_UP | unix.IFF_RUNNING
	l.carrier = native.Uint32(body[8:])&able == able
	eachAttribute(body[unix.SizeofIfInfomsg:], func(kind uint16, value []byte) {
		switch {
		case kind == unix.IFLA_IFNAME && len(value) > 0:
			l.name = string(value[:len(value)-1])
		case kind == unix.IFLA_MTU && len(value) == 4:
			l.mtu = int(native.Uint32(value))
		case kind == unix.IFLA_ADDRESS && len(value) == 6:
			l.mac = [6]byte(value)
		}
	})
	return l, true
}

// linkHeader is struct ifinfomsg.
func linkHeader(index int, flags, change uint32) []byte {
	h := make([]byte, unix.SizeofIfInfomsg)
	native.PutUint32(h[4:], uint32(index))
	native.PutUint32(h[8:], flags)
	native.PutUint32(h[12:], change)
	return h
}

// link looks a device up by index, or by name where the index is 0.
func (n *netlink) link(index int, name string) (l link, err error) {
	var b batch
	start := b.begin("look up", unix.RTM_GETLINK, 0, linkHeader(index, 0, 0))
	if index == 0 {
		b.attribute(unix.IFLA_IFNAME, append([]byte(name), 0))
	}
	b.end(start)
	err = n.ask(&b, false, func(kind uint16, body []byte) {
		if kind == unix.RTM_NEWLINK {
			l, _ = parseLink(body)
		}
	})
	return l, err
}

package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/ipv6"
)

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	header unix.Msghdr
	size   uint32
	_      [4]byte
}

// A burst is a fixed number of messages with buffers of their own that are
// received by one system call.
type burst struct {
	messages []mmsghdr
	vectors  []unix.Iovec
	buffers  []byte
	size     int // of each buffer
	stride   int // from one to the next
	names    []unix.RawSockaddrLinklayer
	inet     []unix.RawSockaddrInet6
	controls []byte
	control  int // octets of ancillary data for each message

	raw    syscall.RawConn
	got    int
	failed error
	read   func(fd uintptr) bool
}

// newBurst makes one of n messages; with control octets of ancillary data each.
func newBurst(f *os.File, n, size, control int) (*burst, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	stride := size
	if size > 1<<16-1 {
		stride += setsApart
	}
	buffers, err := newBuffers(n * stride)
	if err != nil {
		return nil, err
	}
	b := &burst{
		messages: make([]mmsghdr, n), vectors: make([]unix.Iovec, n), buffers: buffers, size: size, stride: stride,
		controls: make([]byte, n*control), control: control, raw: raw,
	}
	if control > 0 {
		b.inet = make([]unix.RawSockaddrInet6, n)
	} else {
		b.names = make([]unix.RawSockaddrLinklayer, n)
	}
	for i := range n {
		b.vectors[i].Base = &b.buffers[i*stride]
		b.vectors[i].SetLen(size)
		b.messages[i].header.Iov = &b.vectors[i]
		b.messages[i].header.SetIovlen(1)
	}
	b.read = func(fd uintptr) bool {
		for i := range b.messages {
			m := &b.messages[i].header
			if control > 0 {
				m.Name, m.Namelen = (*byte)(unsafe.Pointer(&b.inet[i])), unix.SizeofSockaddrInet6
				m.Control = &b.controls[i*control]
				m.SetControllen(control)
			} else {
				m.Name, m.Namelen = (*byte)(unsafe.Pointer(&b.names[i])), unix.SizeofSockaddrLinklayer
			}
		}
		got, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.messages[0])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
		b.got, b.failed = int(got), nil
		if errno != 0 {
			b.got, b.failed = 0, errno
		}
		return errno != unix.EAGAIN && errno != unix.EINTR
	}
	return b, nil
}

// setsApart keeps the packets of a burst, which are much shorter than their buffers,
// out of each other's places in the processor's caches: those are the same every
// 64 KiB or less.
const setsApart = 2 << 10

// largeBuffers and more octets are asked of the kernel: memory that is there for the
// longest packets and hardly ever touched shall not make the collector wait.
const largeBuffers = 1 << 20

func newBuffers(size int) ([]byte, error) {
	if size < largeBuffers {
		return make([]byte, size), nil
	}
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
}

// free gives the buffers back. Nobody may look at a message any more.
func (b *burst) free() {
	if len(b.buffers) >= largeBuffers {
		unix.Munmap(b.buffers)
		b.buffers = nil
	}
}

// receive waits for messages and returns how many there are.
func (b *burst) receive() (int, error) {
	for {
		if b.raw.Read(b.read) != nil { // it was closed: nothing else ends the wait
			return 0, os.ErrClosed
		}
		switch b.failed {
		case unix.ENETDOWN: // a device that the socket listens to went down
			continue
		case nil:
			return b.got, nil
		}
		return 0, b.failed
	}
}

// octets are those of message i.
func (b *burst) octets(i int) []byte {
	at := i * b.stride
	return b.buffers[at : at+min(int(b.messages[i].size), b.size)]
}

// ancillary calls f for each piece of ancillary data of message i.
func (b *burst) ancillary(i int, f func(level, kind int32, value []byte)) {
	rest := b.controls[i*b.control : i*b.control+int(b.messages[i].header.Controllen)]
	for len(rest) >= unix.SizeofCmsghdr {
		header := (*unix.Cmsghdr)(unsafe.Pointer(&rest[0]))
		size := int(header.Len)
		if size < unix.SizeofCmsghdr || size > len(rest) {
			return
		}
		f(header.Level, header.Type, rest[unix.SizeofCmsghdr:size])
		rest = rest[min(len(rest), (size+7)&^7):]
	}
}

// An outerHeader is what is known of what a packet came in.
type outerHeader struct {
	from   netip.AddrPort // its port is 0 where there is no UDP
	to     netip.Addr
	device int   // index; 0: not known
	class  uint8 // traffic class, or type of service
	size   int   // octets of each UDP datagram of a row, but for the last; 0: it is a single one
}

// outer gives that of message i, as far as its ancillary data hold it.
func (b *burst) outer(i int) (o outerHeader) {
	if name := &b.inet[i]; name.Family == unix.AF_INET {
		name := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		o.from = netip.AddrPortFrom(netip.AddrFrom4(name.Addr), htons(name.Port))
	} else { // the port is that of no protocol
		o.from = netip.AddrPortFrom(netip.AddrFrom16(name.Addr), 0)
	}
	b.ancillary(i, func(level, kind int32, value []byte) {
		switch {
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(value) >= unix.SizeofInet6Pktinfo:
			o.to, o.device = netip.AddrFrom16([16]byte(value)), int(native.Uint32(value[16:]))
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_TCLASS && len(value) >= 4:
			o.class = uint8(native.Uint32(value))
		case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(value) >= unix.SizeofInet4Pktinfo:
			o.to, o.device = netip.AddrFrom4([4]byte(value[8:])), int(native.Uint32(value))
		case level == unix.IPPROTO_IP && kind == unix.IP_TOS && len(value) >= 1:
			o.class = value[0]
		case level == unix.IPPROTO_UDP && kind == unix.UDP_GRO && len(value) >= 4:
			o.size = int(native.Uint32(value))
		}
	})
	return o
}

// Ancillary data of a message that is sent: its source and device, and its
// traffic class. With IPv4 they take less.
const (
	packetInfoSpace = unix.SizeofCmsghdr + (unix.SizeofInet6Pktinfo+7)&^7
	classSpace      = unix.SizeofCmsghdr + 8
	controlSpace    = packetInfoSpace + classSpace

	packetInfoSpace4 = unix.SizeofCmsghdr + (unix.SizeofInet4Pktinfo+7)&^7
	controlSpace4    = packetInfoSpace4 + classSpace
	segmentSpace     = unix.SizeofCmsghdr + 8

	controlMost = max(controlSpace, controlSpace4+segmentSpace)
)

// outgoing are packets on their way into one sendmmsg. The zero value is empty.
type outgoing struct {
	messages []mmsghdr
	vectors  [2 * outgoingMost]unix.Iovec // one behind the other, for a message as many as it needs
	used     int                          // of vectors
	names    [outgoingMost]unix.RawSockaddrInet6
	controls [outgoingMost * controlMost]byte

	rows [outgoingMost]row // datagrams that a message stands for

	from   int // the first message not sent yet
	failed error
	write  func(fd uintptr) bool
}

const outgoingMost = 64

// A row is UDP datagrams of one size, of which the last may be shorter, that go as one
// message for as far as the kernel goes. The zero value is a message that can be none.
type row struct {
	src         netip.Addr
	dst         netip.AddrPort
	class       uint8
	size, total int  // octets of the first, of all
	count       int  // datagrams
	ended       bool // by a shorter one
}

// Bounds of a row: UDP_MAX_SEGMENTS of older kernels, and the longest datagram.
const (
	rowMost   = 64
	rowOctets = 65507
)

func (o *outgoing) full() bool { return len(o.messages) == outgoingMost || o.used+2 > len(o.vectors) }

// place adds octets to the message that was added last, or is about to be.
func (o *outgoing) place(b []byte) *unix.Iovec {
	v := &o.vectors[o.used]
	v.Base = &b[0]
	v.SetLen(len(b))
	o.used++
	return v
}

// add adds what is to be sent from src to dst, by a device where index is not 0.
// The octets must stay as they are until send.
func (o *outgoing) add(b []byte, src, dst netip.Addr, index int, class uint8) {
	i := len(o.messages)
	v := o.place(b)
	o.rows[i] = row{}
	scope := 0
	if dst.IsLinkLocalUnicast() || dst.IsMulticast() {
		scope = index
	}
	o.names[i] = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: dst.As16(), Scope_id: uint32(scope)}
	control := o.controls[i*controlMost : (i+1)*controlMost]
	header := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	header.Level, header.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	header.SetLen(unix.SizeofCmsghdr + unix.SizeofInet6Pktinfo)
	info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&control[unix.SizeofCmsghdr]))
	info.Addr, info.Ifindex = src.As16(), uint32(index)
	header = (*unix.Cmsghdr)(unsafe.Pointer(&control[packetInfoSpace]))
	header.Level, header.Type = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	header.SetLen(unix.SizeofCmsghdr + 4)
	native.PutUint32(control[packetInfoSpace+unix.SizeofCmsghdr:], uint32(class))

	o.append(i, v, unix.SizeofSockaddrInet6, controlSpace)
}

// add4 is add for IPv4. The port is for UDP alone.
func (o *outgoing) add4(b []byte, src netip.Addr, dst netip.AddrPort, index int, class uint8) {
	i := len(o.messages)
	v := o.place(b)
	o.rows[i] = row{src: src, dst: dst, class: class, size: len(b), total: len(b), count: 1}
	*(*unix.RawSockaddrInet4)(unsafe.Pointer(&o.names[i])) = unix.RawSockaddrInet4{
		Family: unix.AF_INET, Port: htons(dst.Port()), Addr: dst.Addr().As4(),
	}
	control := o.controls[i*controlMost : (i+1)*controlMost]
	header := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	header.Level, header.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
	header.SetLen(unix.SizeofCmsghdr + unix.SizeofInet4Pktinfo)
	info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&control[unix.SizeofCmsghdr]))
	info.Spec_dst, info.Ifindex = src.As4(), int32(index)
	header = (*unix.Cmsghdr)(unsafe.Pointer(&control[packetInfoSpace4]))
	header.Level, header.Type = unix.IPPROTO_IP, unix.IP_TOS
	header.SetLen(unix.SizeofCmsghdr + 4)
	native.PutUint32(control[packetInfoSpace4+unix.SizeofCmsghdr:], uint32(class))
	o.append(i, v, unix.SizeofSockaddrInet4, controlSpace4)
}

// append appends the message whose parts are in place.
func (o *outgoing) append(i int, first *unix.Iovec, name uint32, control int) {
	var m mmsghdr
	m.header.Name, m.header.Namelen = (*byte)(unsafe.Pointer(&o.names[i])), name
	m.header.Iov = first
	m.header.SetIovlen(1)
	m.header.Control = &o.controls[i*controlMost]
	m.header.SetControllen(control)
	if o.messages == nil {
		o.messages = make([]mmsghdr, 0, outgoingMost)
	}
	o.messages = append(o.messages, m)
}

// attach adds more octets to the packet that was added last. They too must stay as
// they are until send.
func (o *outgoing) attach(b []byte) {
	i := len(o.messages) - 1
	o.place(b)
	o.messages[i].header.Iovlen++
	o.rows[i].size += len(b)
	o.rows[i].total += len(b)
}

// join makes a datagram, in two pieces of which the second may be empty, one of the row
// that the message which was added last stands for; false: it cannot be, and a message of
// its own is needed. The octets must stay as they are until send.
func (o *outgoing) join(b, more []byte, src netip.Addr, dst netip.AddrPort, class uint8) bool {
	i := len(o.messages) - 1
	if i < 0 {
		return false
	}
	r, n := &o.rows[i], len(b)+len(more)
	if r.count == 0 || r.count == rowMost || r.ended || r.dst != dst || r.src != src || r.class != class ||
		n > r.size || r.total+n > rowOctets || o.used+2 > len(o.vectors) {
		return false
	}
	m := &o.messages[i].header
	o.place(b)
	m.Iovlen++
	if len(more) > 0 {
		o.place(more)
		m.Iovlen++
	}
	if r.count == 1 {
		control := o.controls[i*controlMost+controlSpace4:]
		header := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		header.Level, header.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
		header.SetLen(unix.SizeofCmsghdr + 2)
		native.PutUint16(control[unix.SizeofCmsghdr:], uint16(r.size))
		m.SetControllen(controlSpace4 + segmentSpace)
	}
	r.count++
	r.total += n
	r.ended = n < r.size
	return true
}

// destination is where message i goes.
func (o *outgoing) destination(i int) netip.Addr {
	if name := &o.names[i]; name.Family == unix.AF_INET6 {
		return netip.AddrFrom16(name.Addr)
	}
	return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&o.names[i])).Addr)
}

// addWhole adds a packet that has its IP header, for a socket that sends such.
func (o *outgoing) addWhole(b []byte, index int) error {
	if isIPv4(b) {
		src, dst := addresses(b)
		o.add4(b, src, netip.AddrPortFrom(dst, 0), index, b[1])
		return nil
	}
	if len(b) < ipv6.HeaderLen {
		return fmt.Errorf("packet of %d octets, want %d or more", len(b), ipv6.HeaderLen)
	}
	o.add(b, netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:])), index, 0)
	return nil
}

// send sends all that was added and forgets it. What cannot be sent does not
// hold back the others.
func (o *outgoing) send(f *os.File) error {
	if len(o.messages) == 0 {
		return nil
	}
	defer func() { o.messages, o.used = o.messages[:0], 0 }()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if o.write == nil {
		o.write = o.writeOnce
	}
	var errs []error
	for o.from = 0; o.from < len(o.messages); {
		if raw.Write(o.write) != nil {
			return os.ErrClosed
		}
		if o.failed == nil {
			continue
		}
		if o.rows[o.from].count > 1 { // the path or the device may not take it so
			o.failed = o.sendApart(raw, o.from)
		}
		if o.failed != nil {
			errs = append(errs, fmt.Errorf("to %v: %w", o.destination(o.from), o.failed))
		}
		o.from++
	}
	return errors.Join(errs...)
}

func (o *outgoing) writeOnce(fd uintptr) bool {
	sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&o.messages[o.from])), uintptr(len(o.messages)-o.from), unix.MSG_DONTWAIT, 0, 0)
	o.failed = nil
	switch errno {
	case 0:
		o.from += int(sent)
	case unix.EAGAIN, unix.EINTR:
		return false
	default:
		o.failed = errno
	}
	return true
}

// sendApart sends the datagrams of a row one by one. It gives the last error.
func (o *outgoing) sendApart(raw syscall.RawConn, i int) (failed error) {
	m := o.messages[i].header
	m.SetControllen(controlSpace4)
	rest := unsafe.Slice(m.Iov, m.Iovlen)
	for len(rest) > 0 {
		n, octets := 0, 0
		for n < len(rest) && octets < o.rows[i].size {
			octets += int(rest[n].Len)
			n++
		}
		m.Iov = &rest[0]
		m.SetIovlen(n)
		rest = rest[n:]
		var errno unix.Errno
		err := raw.Write(func(fd uintptr) bool {
			_, _, errno = unix.Syscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&m)), unix.MSG_DONTWAIT)
			return errno != unix.EAGAIN && errno != unix.EINTR
		})
		switch {
		case err != nil:
			return os.ErrClosed
		case errno != 0:
			failed = errno
		}
	}
	return failed
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// largeBuffer asks for a receive buffer of so many octets, or as much as an
// ordinary user may have.
func largeBuffer(fd, size int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, size) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, size)
	}
}

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
)

// outgoing are packets on their way into one sendmmsg. The zero value is empty.
type outgoing struct {
	messages []mmsghdr
	vectors  [outgoingMost][2]unix.Iovec
	names    [outgoingMost]unix.RawSockaddrInet6
	controls [outgoingMost * controlSpace]byte

	from   int // the first message not sent yet
	failed error
	write  func(fd uintptr) bool
}

const outgoingMost = 64

func (o *outgoing) full() bool { return len(o.messages) == outgoingMost }

// add adds what is to be sent from src to dst, by a device where index is not 0.
// The octets must stay as they are until send.
func (o *outgoing) add(b []byte, src, dst netip.Addr, index int, class uint8) {
	i := len(o.messages)
	o.vectors[i][0].Base = &b[0]
	o.vectors[i][0].SetLen(len(b))
	scope := 0
	if dst.IsLinkLocalUnicast() || dst.IsMulticast() {
		scope = index
	}
	o.names[i] = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: dst.As16(), Scope_id: uint32(scope)}
	control := o.controls[i*controlSpace : (i+1)*controlSpace]
	header := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	header.Level, header.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	header.SetLen(unix.SizeofCmsghdr + unix.SizeofInet6Pktinfo)
	info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&control[unix.SizeofCmsghdr]))
	info.Addr, info.Ifindex = src.As16(), uint32(index)
	header = (*unix.Cmsghdr)(unsafe.Pointer(&control[packetInfoSpace]))
	header.Level, header.Type = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	header.SetLen(unix.SizeofCmsghdr + 4)
	native.PutUint32(control[packetInfoSpace+unix.SizeofCmsghdr:], uint32(class))

	o.append(i, unix.SizeofSockaddrInet6, controlSpace)
}

// add4 is add for IPv4. The port is for UDP alone.
func (o *outgoing) add4(b []byte, src netip.Addr, dst netip.AddrPort, index int, class uint8) {
	i := len(o.messages)
	o.vectors[i][0].Base = &b[0]
	o.vectors[i][0].SetLen(len(b))
	*(*unix.RawSockaddrInet4)(unsafe.Pointer(&o.names[i])) = unix.RawSockaddrInet4{
		Family: unix.AF_INET, Port: htons(dst.Port()), Addr: dst.Addr().As4(),
	}
	control := o.controls[i*controlSpace : (i+1)*controlSpace]
	header := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	header.Level, header.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
	header.SetLen(unix.SizeofCmsghdr + unix.SizeofInet4Pktinfo)
	info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&control[unix.SizeofCmsghdr]))
	info.Spec_dst, info.Ifindex = src.As4(), int32(index)
	header = (*unix.Cmsghdr)(unsafe.Pointer(&control[packetInfoSpace4]))
	header.Level, header.Type = unix.IPPROTO_IP, unix.IP_TOS
	header.SetLen(unix.SizeofCmsghdr + 4)
	native.PutUint32(control[packetInfoSpace4+unix.SizeofCmsghdr:], uint32(class))
	o.append(i, unix.SizeofSockaddrInet4, controlSpace4)
}

// append appends the message whose parts are in place.
func (o *outgoing) append(i int, name uint32, control int) {
	var m mmsghdr
	m.header.Name, m.header.Namelen = (*byte)(unsafe.Pointer(&o.names[i])), name
	m.header.Iov = &o.vectors[i][0]
	m.header.SetIovlen(1)
	m.header.Control = &o.controls[i*controlSpace]
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
	o.vectors[i][1].Base = &b[0]
	o.vectors[i][1].SetLen(len(b))
	o.messages[i].header.SetIovlen(2)
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
	defer func() { o.messages = o.messages[:0] }()
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
		if o.failed != nil {
			errs = append(errs, fmt.Errorf("to %v: %w", o.destination(o.from), o.failed))
			o.from++
		}
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

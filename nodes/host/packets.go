package host

import (
	"errors"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
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
	b := &burst{
		messages: make([]mmsghdr, n), vectors: make([]unix.Iovec, n), buffers: make([]byte, n*size), size: size,
		controls: make([]byte, n*control), control: control, raw: raw,
	}
	if control > 0 {
		b.inet = make([]unix.RawSockaddrInet6, n)
	} else {
		b.names = make([]unix.RawSockaddrLinklayer, n)
	}
	for i := range n {
		b.vectors[i].Base = &b.buffers[i*size]
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

// receive waits for messages and returns how many there are.
func (b *burst) receive() (int, error) {
	for {
		if err := b.raw.Read(b.read); err != nil {
			return 0, closedOr(err)
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
	at := i * b.size
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

func closedOr(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return os.ErrClosed
	}
	return err
}

func sockaddr(a netip.Addr, scope int) unix.RawSockaddrInet6 {
	return unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: a.As16(), Scope_id: uint32(scope)}
}

// packetInfoSpace is what a struct in6_pktinfo takes as ancillary data.
const packetInfoSpace = unix.SizeofCmsghdr + (unix.SizeofInet6Pktinfo+7)&^7

// putPacketInfo writes ancillary data that names the source, and the device
// where it is not 0, into b.
func putPacketInfo(b []byte, src netip.Addr, device int) {
	header := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	header.Level, header.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	header.SetLen(unix.SizeofCmsghdr + unix.SizeofInet6Pktinfo)
	info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&b[unix.SizeofCmsghdr]))
	info.Addr, info.Ifindex = src.As16(), uint32(device)
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

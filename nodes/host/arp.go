package host

import (
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/arp"
)

const arpBurst = 16

// An ARPMessage is an ARP packet that came in.
type ARPMessage struct {
	Dev string // that it came in by
	arp.Packet
}

// An ARPPort sends and receives packets of address resolution for IPv4: RFC 826. The
// kernel goes on to answer for its own addresses and those of AddProxyNeighbor.
//
// Only one goroutine may be in Receive; Send may be called by several.
type ARPPort struct {
	host     *Host
	file     *os.File
	burst    *burst
	messages []ARPMessage
}

// ARPPort opens the port on all devices.
func (h *Host) ARPPort() (*ARPPort, error) {
	p := &ARPPort{host: h}
	if err := p.open(); err != nil {
		p.Close()
		return nil, fmt.Errorf("ARP port: %w", err)
	}
	return p, nil
}

func (p *ARPPort) open() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	p.file = os.NewFile(uintptr(fd), "arp")
	unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	if err := attach(fd, arpFilter); err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ARP)}); err != nil {
		return err
	}
	p.burst, err = newBurst(p.file, arpBurst, arp.Len, 0)
	return err
}

// arpFilter leaves out what is for another node.
var arpFilter = []bpf.Instruction{
	bpf.LoadExtension{Num: bpf.ExtType},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OTHERHOST, SkipTrue: 1},
	bpf.RetConstant{Val: arp.Len},
	bpf.RetConstant{Val: 0},
}

// Receive waits for packets and returns those that are there. They are valid until
// the next call. It fails with os.ErrClosed after Close.
func (p *ARPPort) Receive() ([]ARPMessage, error) {
	for {
		n, err := p.burst.receive()
		if err != nil {
			return nil, err
		}
		p.messages = p.messages[:0]
		for i := range n {
			if m, err := arp.Parse(p.burst.octets(i)); err == nil {
				p.messages = append(p.messages, ARPMessage{Dev: p.host.Name(int(p.burst.names[i].Ifindex)), Packet: m})
			}
		}
		if len(p.messages) > 0 {
			return p.messages, nil
		}
	}
}

// broadcast is the link-layer address of all nodes of a link.
var broadcast = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Send sends a packet by a device: a reply to its TargetMAC, all else to all nodes of
// the link. Where the packet has no SenderMAC it gets the device's.
func (p *ARPPort) Send(dev string, m arp.Packet) error {
	index, err := p.host.Index(dev)
	if err != nil {
		return err
	}
	if m.SenderMAC == ([6]byte{}) {
		if m.SenderMAC, err = p.host.HardwareAddr(dev); err != nil {
			return err
		}
	}
	b, err := arp.Append(make([]byte, 0, arp.Len), &m)
	if err != nil {
		return err
	}
	to := unix.RawSockaddrLinklayer{
		Family: unix.AF_PACKET, Protocol: htons(unix.ETH_P_ARP), Ifindex: int32(index), Halen: 6,
	}
	copy(to.Addr[:], broadcast[:])
	if m.Operation == arp.Reply {
		copy(to.Addr[:], m.TargetMAC[:])
	}
	return inDevice(dev, sendFrame(p.file, b, &to))
}

// Announce tells the nodes of a link that an address is at this node, or at the node
// that it answers for: RFC 5555, section 4.5; RFC 5944, section 4.6.
func (p *ARPPort) Announce(dev string, a netip.Addr) error {
	return p.Send(dev, arp.Announcement(a, [6]byte{}))
}

// Close closes the port.
func (p *ARPPort) Close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

// sendFrame sends what goes behind a link-layer header by a packet socket.
func sendFrame(f *os.File, b []byte, to *unix.RawSockaddrLinklayer) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var errno unix.Errno
	err = raw.Write(func(fd uintptr) bool {
		_, _, errno = unix.Syscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0,
			uintptr(unsafe.Pointer(to)), unix.SizeofSockaddrLinklayer)
		return errno != unix.EAGAIN && errno != unix.EINTR
	})
	if err == nil && errno != 0 {
		return errno
	}
	return err
}

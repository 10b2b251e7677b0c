package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"unsafe"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"s2clab/nodes/rtnetlink"
)

// A PortConfig says what device a Port is to be in its Space.
type PortConfig struct {
	Name  string // at most 15 octets
	Index int    // from 2; unused in the Space
	MAC   [6]byte
	MTU   int // octets
}

// A Port is the far side of a device in a Space: what the node sends is read
// from FD, and what is written to FD reaches the node. Each read or write is one
// Ethernet frame behind a virtio-net header of 10 octets; FD does not block, and
// may answer ENETDOWN where it lost its carrier.
//
// It is a TAP device, or, where /dev/net/tun is denied, a packet socket on the
// far end of a veth pair.
type Port struct {
	Config PortConfig
	fd     int
	space  *Space
	far    *farEnd // nil: a TAP
	drops  carrierDrops
}

// farEnd is the end of a veth pair in the lab's own network namespace.
type farEnd struct {
	nl    *rtnetlink.Socket
	index int

	mu      sync.Mutex
	dropped uint64 // by the packet socket, up to the last question
}

// VirtioHeader is the length of the header before each frame, in octets.
const VirtioHeader = 10

// OpenPort makes a device in the Space and brings it up, without carrier.
func (s *Space) OpenPort(cfg PortConfig) (*Port, error) {
	p := &Port{Config: cfg, fd: -1, space: s}
	err := s.Do(p.openTAP)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		err = p.openVeth()
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("node %s: device %s: %w", s.name, cfg.Name, err)
	}
	return p, nil
}

// tapQueue is how many frames wait until the Port's owner reads them: several large
// segments that the kernel had to cut, at once. What a link itself lets wait is its own.
const tapQueue = 4096

func (p *Port) openTAP() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	p.fd = fd
	index := uint32(p.Config.Index)
	if err := ioctl(fd, unix.TUNSETIFINDEX, unsafe.Pointer(&index)); err != nil {
		return fmt.Errorf("index %d: %w", index, err)
	}
	req, err := unix.NewIfreq(p.Config.Name)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return err
	}
	// A device that outlives its descriptor ends with the namespace, together with
	// all others there; without this each of them costs 30 ms when a lab ends.
	if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
		return fmt.Errorf("persistence: %w", err)
	}
	if err := p.SetCarrier(false); err != nil {
		return fmt.Errorf("carrier: %w", err)
	}
	hardware := struct {
		name   [unix.IFNAMSIZ]byte
		family uint16
		mac    [6]byte
		_      [16]byte
	}{family: unix.ARPHRD_ETHER, mac: p.Config.MAC}
	copy(hardware.name[:], p.Config.Name)
	if err := ioctl(fd, unix.SIOCSIFHWADDR, unsafe.Pointer(&hardware)); err != nil {
		return fmt.Errorf("hardware address: %w", err)
	}
	var b Batch
	b.SetMTU(p.Config.Index, p.Config.MTU)
	b.SetQueue(p.Config.Index, tapQueue)
	b.SetUp(p.Config.Index)
	b.SyncCarrier(p.Config.Index) // else it is thought to be there at first
	return p.space.nl.Do(&b.requests)
}

// openVeth makes a veth pair from the Space to the calling thread's network
// namespace, and a packet socket on its far end.
func (p *Port) openVeth() error {
	here, err := netns.Get()
	if err != nil {
		return err
	}
	defer here.Close()
	farName := fmt.Sprintf("p%x", p.Config.MAC) // unique in a lab, as its address is
	var b Batch
	b.AddVeth(p.Config, PortConfig{Name: farName}, here)
	b.SetMTU(p.Config.Index, p.Config.MTU)
	b.SetUp(p.Config.Index)
	b.SyncCarrier(p.Config.Index)
	if err := p.space.Configure(&b); err != nil {
		return err
	}
	nl, err := rtnetlink.Open()
	if err != nil {
		return err
	}
	p.far = &farEnd{nl: nl}
	if p.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	req, err := unix.NewIfreq(farName)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(p.fd, unix.SIOCGIFINDEX, req); err != nil {
		return err
	}
	p.far.index = int(req.Uint32())
	for _, option := range []int{unix.PACKET_VNET_HDR, unix.PACKET_IGNORE_OUTGOING, unix.PACKET_QDISC_BYPASS} {
		if err := unix.SetsockoptInt(p.fd, unix.SOL_PACKET, option, 1); err != nil {
			return fmt.Errorf("packet socket option %d: %w", option, err)
		}
	}
	if unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, packetBuffer) != nil {
		unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, packetBuffer) // as much of it as an ordinary user may have
	}
	membership := unix.PacketMreq{Ifindex: int32(p.far.index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(p.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &membership); err != nil {
		return fmt.Errorf("promiscuous: %w", err)
	}
	b.SetMTU(p.far.index, p.Config.MTU)
	if err := p.far.nl.Do(&b.requests); err != nil {
		return err
	}
	return unix.Bind(p.fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: p.far.index})
}

// packetBuffer is what a packet socket may hold before the relay reads it, in octets.
const packetBuffer = 8 << 20

func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// FD is the descriptor that a relay reads and writes.
func (p *Port) FD() int { return p.fd }

// Kind is "tap" or "veth".
func (p *Port) Kind() string {
	if p.far != nil {
		return "veth"
	}
	return "tap"
}

// SetOffload says whether the node may hand over TCP segments larger than the MTU
// and leave checksums to be completed. Rows of UDP datagrams the kernel cuts before. Without
// it every frame read is one that could have been on a wire.
func (p *Port) SetOffload(large bool) error {
	if p.far != nil {
		return p.space.Do(func() error { return setOffload(p.Config.Name, large) })
	}
	flags := 0
	if large {
		flags = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6
	}
	return unix.IoctlSetInt(p.fd, unix.TUNSETOFFLOAD, flags)
}

// SetCarrier makes the node see the link come or go. It has seen it when
// SetCarrier returns, where the kernel can be made to (see Batch.SyncCarrier).
func (p *Port) SetCarrier(up bool) error {
	p.drops.mu.Lock()
	p.drops.set = up
	p.drops.mu.Unlock()
	if p.far != nil {
		var b Batch
		if up {
			b.SetUp(p.far.index)
		} else {
			b.SetDown(p.far.index)
		}
		err := p.far.nl.Do(&b.requests)
		unix.GetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_ERROR) // the socket's note that its device was down
		return err
	}
	var carrier uint32
	if up {
		carrier = 1
	}
	return ioctl(p.fd, unix.TUNSETCARRIER, unsafe.Pointer(&carrier))
}

// SyncCarrier waits until the node's kernel has acted on the last SetCarrier.
func (p *Port) SyncCarrier() error {
	sent, _, err := p.statistics()
	if err == nil {
		p.drops.crossed(sent)
	}
	return err
}

// Close lets go of the device, which ends with its Space.
func (p *Port) Close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
		p.fd = -1
	}
	if p.far != nil {
		p.far.nl.Close()
	}
}

// setOffload switches what the device leaves to its far end, by the ethtool
// ioctl, in the calling thread's network namespace.
func setOffload(device string, large bool) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, command := range []uint32{unix.ETHTOOL_STXCSUM, unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO} {
		value := struct{ command, data uint32 }{command: command}
		if large {
			value.data = 1
		}
		req := struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte
		}{data: unsafe.Pointer(&value)}
		copy(req.name[:], device)
		if err := ioctl(fd, unix.SIOCETHTOOL, unsafe.Pointer(&req)); err != nil {
			return fmt.Errorf("offload of %s: %w", device, err)
		}
	}
	return nil
}

func ioctl(fd int, request uint, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

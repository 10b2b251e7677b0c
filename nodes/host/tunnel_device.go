package host

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"s2clab/nodes/rtnetlink"
	"s2clab/nodes/wire/ipv6"
)

// virtioHeader is struct virtio_net_hdr, which stands before each packet at the
// device: what its sender left to do.
const virtioHeader = 10 // octets

const (
	needsChecksum = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
	segmentsTCP4  = unix.VIRTIO_NET_HDR_GSO_TCPV4
	segmentsTCP6  = unix.VIRTIO_NET_HDR_GSO_TCPV6
	ecnMarked     = unix.VIRTIO_NET_HDR_GSO_ECN
)

// offload is a virtioHeader in the clear. Offsets count from the IP header.
type offload struct {
	flags, kind    uint8
	headers        int // octets before the payload
	segment        int // octets of payload in each segment
	checksumStart  int
	checksumOffset int
}

// A packetDevice is a device of the tunnel seen from the outside: what the node sends into
// it is read from file, behind a virtioHeader and as many octets of link header.
// It is a TUN device, or, where /dev/net/tun is denied, a packet socket on the
// far end of a veth pair.
type packetDevice struct {
	name  string
	file  *os.File
	raw   syscall.RawConn
	link  int // octets of link header
	mac   [6]byte
	index int
	host  *Host
	far   int // index of the far end of the veth pair; 0: a TUN device
}

// linkMost is the longest link header.
const linkMost = 14

func (h *Host) openPacketDevice(name string) (*packetDevice, error) {
	d, err := h.openTUN(name)
	if err == nil {
		return d, nil
	}
	veth, second := h.openVethDevice(name)
	if second != nil {
		return nil, fmt.Errorf("%w; and instead of it: %w", err, second)
	}
	return veth, nil
}

func (h *Host) openTUN(name string) (*packetDevice, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	d := &packetDevice{host: h, name: name}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR | unix.IFF_TUN_EXCL)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err == nil {
		err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4|unix.TUN_F_TSO6|unix.TUN_F_TSO_ECN)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("TUN device %s: %w", name, err)
	}
	if d.index, err = h.Index(name); err == nil {
		err = h.setUpTunnelDevice(d.index)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	d.file = os.NewFile(uintptr(fd), name)
	d.raw, err = d.file.SyscallConn()
	return d, err
}

// setUpTunnelDevice brings the device up without a link-local address, which
// would only make the kernel send into it by itself.
func (h *Host) setUpTunnelDevice(index int) error {
	var b batch
	b.linkUp(index, 0)
	return h.nl.do(&b)
}

// linkUp brings a device up; no address is made for it. An MTU of 0 stays.
func (b *batch) linkUp(index, mtu int) {
	start := b.Begin("address generation", unix.RTM_NEWLINK, 0, rtnetlink.LinkHeader(index, 0, 0))
	b.noAddressGeneration()
	b.End(start)
	start = b.Begin("up", unix.RTM_NEWLINK, 0, rtnetlink.LinkHeader(index, unix.IFF_UP, unix.IFF_UP))
	if mtu != 0 {
		b.Number(unix.IFLA_MTU, mtu)
	}
	b.End(start)
}

// look makes the kernel act on a change of the device's carrier at once, which it
// may otherwise put off for up to a second (Linux 6.8 and later).
func (b *batch) look(index int) {
	b.End(b.Begin("look", unix.RTM_GETLINK, 0, rtnetlink.LinkHeader(index, 0, 0)))
}

func (b *batch) noAddressGeneration() {
	const inet6Mode, none = 8, 1 // IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE
	families := b.Nest(unix.IFLA_AF_SPEC)
	inet6 := b.Nest(unix.AF_INET6)
	b.Attribute(inet6Mode, []byte{none})
	b.Unnest(inet6)
	b.Unnest(families)
}

// addVeth makes the pair of a device and what farOf names. Both have the same
// link-layer address and ask for none.
func (h *Host) addVeth(name string) (near, far link, err error) {
	var b batch
	const ethernetNoARP = unix.IFF_NOARP
	start := b.Begin("veth pair "+name, unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, rtnetlink.LinkHeader(0, ethernetNoARP, ethernetNoARP))
	b.Attribute(unix.IFLA_IFNAME, append([]byte(name), 0))
	b.Attribute(unix.IFLA_ADDRESS, tunnelMAC[:])
	info := b.Nest(unix.IFLA_LINKINFO)
	b.Attribute(unix.IFLA_INFO_KIND, []byte("veth"))
	data := b.Nest(unix.IFLA_INFO_DATA)
	peer := b.Nest(1) // VETH_INFO_PEER
	b.Raw(rtnetlink.LinkHeader(0, ethernetNoARP, ethernetNoARP))
	b.Attribute(unix.IFLA_IFNAME, append([]byte(farOf(name)), 0))
	b.Attribute(unix.IFLA_ADDRESS, tunnelMAC[:])
	b.Unnest(peer)
	b.Unnest(data)
	b.Unnest(info)
	b.End(start)
	if err = h.nl.do(&b); err != nil {
		return near, far, err
	}
	for name, l := range map[string]*link{name: &near, farOf(name): &far} {
		if *l, err = h.nl.link(0, name); err != nil {
			return near, far, err
		}
		h.learn(l.index, l.name)
	}
	b = batch{}
	b.linkUp(near.index, 0)
	b.linkUp(far.index, 0)
	b.look(near.index)
	b.look(far.index)
	return near, far, h.nl.do(&b)
}

// tunnelMAC is the link-layer address of both ends of the veth pair, which no
// other node ever sees.
var tunnelMAC = [6]byte{0x02, 'm', 'i', 'p', 0, 0}

func (h *Host) removeLink(index int) {
	if index == 0 {
		return
	}
	var b batch
	b.End(b.Begin("remove", unix.RTM_DELLINK, 0, rtnetlink.LinkHeader(index, 0, 0), unix.ENODEV))
	h.nl.do(&b)
	h.forget(index)
}

func (h *Host) openVethDevice(name string) (*packetDevice, error) {
	near, far, err := h.addVeth(name)
	if err != nil {
		return nil, err
	}
	d := &packetDevice{host: h, name: name, index: near.index, far: far.index, link: linkMost, mac: near.mac}
	if err := d.openFar(); err != nil {
		h.removeLink(far.index)
		return nil, err
	}
	return d, nil
}

func (d *packetDevice) openFar() error {
	// Nobody but the socket takes what arrives.
	if err := allOf(
		d.host.SetSysctl("conf/"+farOf(d.name)+"/disable_ipv6", "1"),
		d.host.AddRule(Rule{Priority: priorityTunnel, IPv4: true, Input: farOf(d.name), Blackhole: true}),
	); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	d.file = os.NewFile(uintptr(fd), d.name)
	for _, option := range []int{unix.PACKET_VNET_HDR, unix.PACKET_IGNORE_OUTGOING} {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1); err != nil {
			return err
		}
	}
	largeBuffer(fd, 8<<20)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: d.far}); err != nil {
		return err
	}
	d.raw, err = d.file.SyscallConn()
	return err
}

// close takes the device away; one that never opened may be nil.
func (d *packetDevice) close() {
	if d == nil {
		return
	}
	if d.file != nil {
		d.file.Close()
	}
	d.host.removeLink(d.far)
	d.host.forget(d.index)
}

// prefix is how many octets stand before a packet read from the device.
func (d *packetDevice) prefix() int { return virtioHeader + d.link }

// readMost is the longest read from the device, together is how many packets are
// read before what became of them is sent.
const (
	readMost = virtioHeader + linkMost + ipv6.HeaderLen + largestInner
	together = 4
)

// read calls take with each packet that the node sends into the device, until that
// is closed. It reads what is there before it calls send, until which the octets
// stay, so that one system call sends many.
func (d *packetDevice) read(take func(b []byte, o offload), send func()) {
	in := make([]byte, together*readMost)
	var n int
	var errno error
	var b []byte
	wait := true
	read := func(fd uintptr) bool {
		n, errno = unix.Read(int(fd), b)
		return !wait || errno != unix.EAGAIN && errno != unix.EINTR
	}
	for {
		reads := 0
		for ; reads < together; reads++ {
			b, wait = in[reads*readMost:(reads+1)*readMost], reads == 0
			if d.raw.Read(read) != nil {
				return
			}
			if errno != nil {
				break
			}
			if n > d.prefix() {
				take(b[d.prefix():n], d.parseOffload(b))
			}
		}
		send()
		if reads == 0 && errno != unix.ENETDOWN {
			return // the device is gone
		}
	}
}

// parseOffload reads the header before a packet.
func (d *packetDevice) parseOffload(b []byte) offload {
	return offload{
		flags: b[0], kind: b[1],
		headers:        int(native.Uint16(b[2:])) - d.link,
		segment:        int(native.Uint16(b[4:])),
		checksumStart:  int(native.Uint16(b[6:])) - d.link,
		checksumOffset: int(native.Uint16(b[8:])),
	}
}

// appendPrefix appends what stands before a packet of a family written to the device.
func (d *packetDevice) appendPrefix(b []byte, o offload, family int) []byte {
	b = append(b, o.flags, o.kind)
	if o.flags&needsChecksum == 0 {
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	} else {
		b = native.AppendUint16(b, uint16(o.headers+d.link))
		b = native.AppendUint16(b, uint16(o.segment))
		b = native.AppendUint16(b, uint16(o.checksumStart+d.link))
		b = native.AppendUint16(b, uint16(o.checksumOffset))
	}
	if d.link == 0 {
		return b
	}
	b = append(append(b, d.mac[:]...), d.mac[:]...)
	return binary.BigEndian.AppendUint16(b, [...]uint16{six: unix.ETH_P_IPV6, four: unix.ETH_P_IP}[family])
}

// writev is one packet on its way into the device, in pieces.
type writev struct {
	vectors []unix.Iovec
	errno   unix.Errno
	write   func(fd uintptr) bool
}

func (w *writev) add(b []byte) {
	v := unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	w.vectors = append(w.vectors, v)
}

// to writes the packet and forgets it.
func (w *writev) to(d *packetDevice) error {
	if w.write == nil {
		w.write = func(fd uintptr) bool {
			_, _, w.errno = unix.Syscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&w.vectors[0])), uintptr(len(w.vectors)))
			return w.errno != unix.EAGAIN && w.errno != unix.EINTR
		}
	}
	err := d.raw.Write(w.write)
	w.vectors = w.vectors[:0]
	if err == nil && w.errno != 0 {
		return w.errno
	}
	return err
}

package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A Batch is a list of rtnetlink requests that the kernel does in order, sent in
// one system call: a node with ten devices is configured in one round trip.
type Batch struct {
	octets []byte
	what   []string // of each request, for its error
}

// request begins a request; attributes follow, then end.
func (b *Batch) request(what string, kind, flags uint16, header []byte) (start int) {
	start = len(b.octets)
	b.octets = binary.NativeEndian.AppendUint32(b.octets, 0) // its length, set by end
	b.octets = binary.NativeEndian.AppendUint16(b.octets, kind)
	b.octets = binary.NativeEndian.AppendUint16(b.octets, unix.NLM_F_REQUEST|flags)
	b.octets = binary.NativeEndian.AppendUint32(b.octets, uint32(len(b.what)))
	b.octets = binary.NativeEndian.AppendUint32(b.octets, 0)
	b.octets = append(b.octets, header...)
	b.what = append(b.what, what)
	return start
}

func (b *Batch) end(start int) {
	binary.NativeEndian.PutUint32(b.octets[start:], uint32(len(b.octets)-start))
}

// begin and finish stand around the attributes nested in one.
func (b *Batch) begin(kind uint16) (start int) {
	start = len(b.octets)
	b.octets = binary.NativeEndian.AppendUint16(b.octets, 0)
	b.octets = binary.NativeEndian.AppendUint16(b.octets, kind)
	return start
}

func (b *Batch) finish(start int) {
	binary.NativeEndian.PutUint16(b.octets[start:], uint16(len(b.octets)-start))
}

func (b *Batch) attribute(kind uint16, value []byte) {
	start := b.begin(kind)
	b.octets = append(b.octets, value...)
	b.finish(start)
	for len(b.octets)%4 != 0 {
		b.octets = append(b.octets, 0)
	}
}

func u32(v int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) }

// linkHeader is struct ifinfomsg.
func linkHeader(index int, flags, change uint32) []byte {
	h := make([]byte, 4, unix.SizeofIfInfomsg)
	h = append(h, u32(index)...)
	h = binary.NativeEndian.AppendUint32(h, flags)
	return binary.NativeEndian.AppendUint32(h, change)
}

// SetUp brings a device up.
func (b *Batch) SetUp(index int) {
	b.end(b.request(fmt.Sprintf("device %d: up", index), unix.RTM_NEWLINK, 0, linkHeader(index, unix.IFF_UP, unix.IFF_UP)))
}

// SetDown takes a device down.
func (b *Batch) SetDown(index int) {
	b.end(b.request(fmt.Sprintf("device %d: down", index), unix.RTM_NEWLINK, 0, linkHeader(index, 0, unix.IFF_UP)))
}

// SetMTU sets the largest packet of a device, in octets.
func (b *Batch) SetMTU(index, mtu int) {
	start := b.request(fmt.Sprintf("device %d: MTU %d", index, mtu), unix.RTM_NEWLINK, 0, linkHeader(index, 0, 0))
	b.attribute(unix.IFLA_MTU, u32(mtu))
	b.end(start)
}

// SyncCarrier makes the kernel act on a change of the device's carrier at once.
// Its own queue for that may otherwise wait up to a second (Linux 6.8 and later
// do this on any request for the device; earlier ones ignore it).
func (b *Batch) SyncCarrier(index int) {
	b.end(b.request(fmt.Sprintf("device %d: look", index), unix.RTM_GETLINK, 0, linkHeader(index, 0, 0)))
}

// AddAddress gives a device an address, in use at once, without duplicate
// address detection.
func (b *Batch) AddAddress(index int, p netip.Prefix) {
	header := []byte{family(p.Addr()), byte(p.Bits()), unix.IFA_F_NODAD, 0}
	header = append(header, u32(index)...)
	start := b.request(fmt.Sprintf("address %v", p), unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, header)
	addr := p.Addr().AsSlice()
	b.attribute(unix.IFA_LOCAL, addr)
	b.attribute(unix.IFA_ADDRESS, addr)
	b.end(start)
}

// AddRoute adds a static route to the main table.
func (b *Batch) AddRoute(to netip.Prefix, via netip.Addr, index int) {
	header := []byte{family(to.Addr()), byte(to.Bits()), 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST, 0, 0, 0, 0}
	start := b.request(fmt.Sprintf("route to %v via %v", to, via), unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, header)
	b.attribute(unix.RTA_DST, to.Addr().AsSlice())
	b.attribute(unix.RTA_GATEWAY, via.AsSlice())
	b.attribute(unix.RTA_OIF, u32(index))
	b.end(start)
}

// AddNeighbor tells a device the link-layer address of a neighbour, as if they had
// met before: it is used at once, and verified in use (RFC 4861, section 7.3.2).
func (b *Batch) AddNeighbor(index int, addr netip.Addr, mac [6]byte) {
	header := make([]byte, 4, unix.SizeofNdMsg)
	header[0] = family(addr)
	header = append(header, u32(index)...)
	header = binary.NativeEndian.AppendUint16(header, unix.NUD_STALE)
	header = append(header, 0, 0)
	start := b.request(fmt.Sprintf("neighbour %v", addr), unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, header)
	b.attribute(unix.NDA_DST, addr.AsSlice())
	b.attribute(unix.NDA_LLADDR, mac[:])
	b.end(start)
}

// AddVeth makes a veth pair: the near end here, the far end in the network
// namespace of space. An index of 0 leaves the choice to the
// kernel, as does a zero MAC.
func (b *Batch) AddVeth(near, far PortConfig, space netns.NsHandle) {
	start := b.request("veth "+near.Name, unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, linkHeader(near.Index, 0, 0))
	b.name(near)
	info := b.begin(unix.IFLA_LINKINFO)
	b.attribute(unix.IFLA_INFO_KIND, []byte("veth"))
	data := b.begin(unix.IFLA_INFO_DATA)
	peer := b.begin(1) // VETH_INFO_PEER
	b.octets = append(b.octets, linkHeader(far.Index, 0, 0)...)
	b.name(far)
	b.attribute(unix.IFLA_NET_NS_FD, u32(int(space)))
	b.finish(peer)
	b.finish(data)
	b.finish(info)
	b.end(start)
}

func (b *Batch) name(c PortConfig) {
	b.attribute(unix.IFLA_IFNAME, append([]byte(c.Name), 0))
	if c.MAC != [6]byte{} {
		b.attribute(unix.IFLA_ADDRESS, c.MAC[:])
	}
}

// AddBridge makes a bridge.
func (b *Batch) AddBridge(name string, index int) {
	start := b.request("bridge "+name, unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, linkHeader(index, 0, 0))
	b.attribute(unix.IFLA_IFNAME, append([]byte(name), 0))
	info := b.begin(unix.IFLA_LINKINFO)
	b.attribute(unix.IFLA_INFO_KIND, []byte("bridge"))
	b.finish(info)
	b.end(start)
}

// SetMaster makes a device a port of a bridge.
func (b *Batch) SetMaster(index, bridge int) {
	start := b.request(fmt.Sprintf("device %d: master %d", index, bridge), unix.RTM_NEWLINK, 0, linkHeader(index, 0, 0))
	b.attribute(unix.IFLA_MASTER, u32(bridge))
	b.end(start)
}

func family(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// A Netlink is an rtnetlink socket in the network namespace it was opened in.
type Netlink struct{ fd int }

// OpenNetlink opens one in the calling thread's network namespace.
func OpenNetlink() (*Netlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1) // errors need not carry the request back
	return &Netlink{fd: fd}, nil
}

// Close closes the socket.
func (n *Netlink) Close() error { return unix.Close(n.fd) }

// Do does what is in b, in order, and returns the errors of all that failed. b is
// empty afterwards.
func (n *Netlink) Do(b *Batch) error {
	if len(b.what) == 0 {
		return nil
	}
	defer func() { b.octets, b.what = b.octets[:0], b.what[:0] }()
	last := 0
	for at := 0; at < len(b.octets); at += int(binary.NativeEndian.Uint32(b.octets[at:])) {
		last = at
	}
	flags := binary.NativeEndian.Uint16(b.octets[last+6:])
	binary.NativeEndian.PutUint16(b.octets[last+6:], flags|unix.NLM_F_ACK)
	if err := unix.Sendto(n.fd, b.octets, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	var errs []error
	answer := make([]byte, 32<<10)
	for {
		size, _, err := unix.Recvfrom(n.fd, answer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("rtnetlink: %w", err))...)
		}
		messages, err := syscall.ParseNetlinkMessage(answer[:size])
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("rtnetlink: %w", err))...)
		}
		for _, m := range messages {
			if m.Header.Type != unix.NLMSG_ERROR || int(m.Header.Seq) >= len(b.what) {
				continue // what a look was answered with
			}
			if code := int32(binary.NativeEndian.Uint32(m.Data)); code != 0 {
				errs = append(errs, fmt.Errorf("%s: %w", b.what[m.Header.Seq], unix.Errno(-code)))
			}
			if int(m.Header.Seq) == len(b.what)-1 {
				return errors.Join(errs...)
			}
		}
	}
}

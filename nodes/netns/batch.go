package netns

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"s2clab/nodes/rtnetlink"
)

// A Batch is a list of changes that the kernel makes in order, in one system call:
// a node with ten devices is configured in one round trip.
type Batch struct{ requests rtnetlink.Batch }

// SetUp brings a device up.
func (b *Batch) SetUp(index int) {
	b.requests.End(b.requests.Begin(fmt.Sprintf("device %d: up", index), unix.RTM_NEWLINK, 0, rtnetlink.LinkHeader(index, unix.IFF_UP, unix.IFF_UP)))
}

// SetDown takes a device down.
func (b *Batch) SetDown(index int) {
	b.requests.End(b.requests.Begin(fmt.Sprintf("device %d: down", index), unix.RTM_NEWLINK, 0, rtnetlink.LinkHeader(index, 0, unix.IFF_UP)))
}

// SetMTU sets the largest packet of a device, in octets.
func (b *Batch) SetMTU(index, mtu int) {
	start := b.requests.Begin(fmt.Sprintf("device %d: MTU %d", index, mtu), unix.RTM_NEWLINK, 0, rtnetlink.LinkHeader(index, 0, 0))
	b.requests.Number(unix.IFLA_MTU, mtu)
	b.requests.End(start)
}

// SetQueue sets how many packets wait in a device until it takes them.
func (b *Batch) SetQueue(index, packets int) {
	start := b.requests.Begin(fmt.Sprintf("device %d: queue of %d", index, packets), unix.RTM_NEWLINK, 0, rtnetlink.LinkHeader(index, 0, 0))
	b.requests.Number(unix.IFLA_TXQLEN, packets)
	b.requests.End(start)
}

// SyncCarrier makes the kernel act on a change of the device's carrier at once.
// Its own queue for that may otherwise wait up to a second (Linux 6.8 and later
// do this on any request for the device; earlier ones ignore it).
func (b *Batch) SyncCarrier(index int) {
	b.requests.End(b.requests.Begin(fmt.Sprintf("device %d: look", index), unix.RTM_GETLINK, 0, rtnetlink.LinkHeader(index, 0, 0)))
}

// AddAddress gives a device an address, in use at once, without duplicate
// address detection.
func (b *Batch) AddAddress(index int, p netip.Prefix) {
	header := []byte{rtnetlink.Family(p.Addr()), byte(p.Bits()), unix.IFA_F_NODAD, 0}
	header = binary.NativeEndian.AppendUint32(header, uint32(index))
	start := b.requests.Begin(fmt.Sprintf("address %v", p), unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, header)
	addr := p.Addr().AsSlice()
	b.requests.Attribute(unix.IFA_LOCAL, addr)
	b.requests.Attribute(unix.IFA_ADDRESS, addr)
	b.requests.End(start)
}

// AddRoute adds a static route to the main table.
func (b *Batch) AddRoute(to netip.Prefix, via netip.Addr, index int) {
	header := []byte{rtnetlink.Family(to.Addr()), byte(to.Bits()), 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST, 0, 0, 0, 0}
	start := b.requests.Begin(fmt.Sprintf("route to %v via %v", to, via), unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, header)
	b.requests.Attribute(unix.RTA_DST, to.Addr().AsSlice())
	b.requests.Attribute(unix.RTA_GATEWAY, via.AsSlice())
	b.requests.Number(unix.RTA_OIF, index)
	b.requests.End(start)
}

// AddNeighbor tells a device the link-layer address of a neighbour, as if they had
// met before: it is used at once, and verified in use (RFC 4861, section 7.3.2).
func (b *Batch) AddNeighbor(index int, addr netip.Addr, mac [6]byte) {
	header := make([]byte, 4, unix.SizeofNdMsg)
	header[0] = rtnetlink.Family(addr)
	header = binary.NativeEndian.AppendUint32(header, uint32(index))
	header = binary.NativeEndian.AppendUint16(header, unix.NUD_STALE)
	header = append(header, 0, 0)
	start := b.requests.Begin(fmt.Sprintf("neighbour %v", addr), unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, header)
	b.requests.Attribute(unix.NDA_DST, addr.AsSlice())
	b.requests.Attribute(unix.NDA_LLADDR, mac[:])
	b.requests.End(start)
}

// AddVeth makes a veth pair: the near end here, the far end in the network
// namespace of space. An index of 0 leaves the choice to the
// kernel, as does a zero MAC.
func (b *Batch) AddVeth(near, far PortConfig, space netns.NsHandle) {
	start := b.requests.Begin("veth "+near.Name, unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, rtnetlink.LinkHeader(near.Index, 0, 0))
	b.name(near)
	info := b.requests.Nest(unix.IFLA_LINKINFO)
	b.requests.Attribute(unix.IFLA_INFO_KIND, []byte("veth"))
	data := b.requests.Nest(unix.IFLA_INFO_DATA)
	peer := b.requests.Nest(1) // VETH_INFO_PEER
	b.requests.Raw(rtnetlink.LinkHeader(far.Index, 0, 0))
	b.name(far)
	b.requests.Number(unix.IFLA_NET_NS_FD, int(space))
	b.requests.Unnest(peer)
	b.requests.Unnest(data)
	b.requests.Unnest(info)
	b.requests.End(start)
}

func (b *Batch) name(c PortConfig) {
	b.requests.Text(unix.IFLA_IFNAME, c.Name)
	if c.MAC != [6]byte{} {
		b.requests.Attribute(unix.IFLA_ADDRESS, c.MAC[:])
	}
}

// AddBridge makes a bridge.
func (b *Batch) AddBridge(name string, index int) {
	start := b.requests.Begin("bridge "+name, unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, rtnetlink.LinkHeader(index, 0, 0))
	b.requests.Text(unix.IFLA_IFNAME, name)
	info := b.requests.Nest(unix.IFLA_LINKINFO)
	b.requests.Attribute(unix.IFLA_INFO_KIND, []byte("bridge"))
	b.requests.Unnest(info)
	b.requests.End(start)
}

// SetMaster makes a device a port of a bridge.
func (b *Batch) SetMaster(index, bridge int) {
	start := b.requests.Begin(fmt.Sprintf("device %d: master %d", index, bridge), unix.RTM_NEWLINK, 0, rtnetlink.LinkHeader(index, 0, 0))
	b.requests.Number(unix.IFLA_MASTER, bridge)
	b.requests.End(start)
}

package netns

import (
	"encoding/binary"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"s2clab/nodes/rtnetlink"
)

// DeviceDrops are the frames that a Port's own device has dropped since it was
// made. What is read from FD and written to it knows nothing of them.
type DeviceDrops struct {
	Sent      uint64 // by the node, and never read from FD: the device's queue was full
	NoCarrier uint64 // sent by the node while the device had no carrier
	Arrived   uint64 // at the device, and never seen by the node's network stack
}

// carrierDrops tell frames that were dropped for want of carrier from others: the
// kernel counts all together, and each change of the carrier is a mark between
// them.
type carrierDrops struct {
	mu      sync.Mutex
	set     bool   // the carrier as it was last set
	seen    bool   // as the node has seen it
	mark    uint64 // all drops when it was last seen to go
	without uint64 // those before carrier last came
}

// crossed notes that the node has seen its carrier as it is set, when so many
// frames had been dropped.
func (c *carrierDrops) crossed(all uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.set == c.seen:
		return
	case c.set:
		c.without += all - c.mark
	default:
		c.mark = all
	}
	c.seen = c.set
}

// split divides all that were dropped.
func (c *carrierDrops) split(all uint64) (queue, noCarrier uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	noCarrier = c.without
	if !c.seen {
		noCarrier += all - c.mark
	}
	return all - noCarrier, noCarrier
}

// Where struct rtnl_link_stats64 has them, in octets.
const (
	atReceiveDropped  = 6 * 8
	atTransmitDropped = 7 * 8
)

// statistics asks the kernel how many frames the device has dropped. Asked, it
// first acts on a change of the device's carrier (see Batch.SyncCarrier).
func (p *Port) statistics() (sent, arrived uint64, err error) {
	var b rtnetlink.Batch
	what := fmt.Sprintf("node %s: device %s: statistics", p.space.name, p.Config.Name)
	b.End(b.Begin(what, unix.RTM_GETLINK, 0, rtnetlink.LinkHeader(p.Config.Index, 0, 0)))
	found := false
	err = p.space.nl.Ask(&b, false, func(kind uint16, body []byte) {
		if kind != unix.RTM_NEWLINK || len(body) < unix.SizeofIfInfomsg {
			return
		}
		rtnetlink.EachAttribute(body[unix.SizeofIfInfomsg:], func(kind uint16, value []byte) {
			if kind == unix.IFLA_STATS64 && len(value) >= atTransmitDropped+8 {
				found = true
				arrived = binary.NativeEndian.Uint64(value[atReceiveDropped:])
				sent = binary.NativeEndian.Uint64(value[atTransmitDropped:])
			}
		})
	})
	if err == nil && !found {
		err = fmt.Errorf("%s: the kernel answers without them", what)
	}
	return sent, arrived, err
}

// Dropped asks the kernel what the device has dropped.
func (p *Port) Dropped() (DeviceDrops, error) {
	sent, arrived, err := p.statistics()
	if err != nil {
		return DeviceDrops{}, err
	}
	d := DeviceDrops{Arrived: arrived}
	d.Sent, d.NoCarrier = p.drops.split(sent)
	if p.far != nil {
		// Behind a veth pair stands a packet socket, whose queue is part of the device.
		p.far.mu.Lock()
		defer p.far.mu.Unlock()
		stats, err := unix.GetsockoptTpacketStats(p.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err != nil {
			return DeviceDrops{}, fmt.Errorf("node %s: device %s: packet socket: statistics: %w", p.space.name, p.Config.Name, err)
		}
		p.far.dropped += uint64(stats.Drops) // the kernel counts from the last question
		d.Sent += p.far.dropped
	}
	return d, nil
}

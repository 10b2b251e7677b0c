package host

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"s2clab/nodes/rtnetlink"
)

var native = binary.NativeEndian

// A batch is a list of changes that the kernel makes in order, in one system call.
type batch struct{ rtnetlink.Batch }

// Changes are changes of a node's devices, routes and rules that the kernel makes
// together, by Do, in the order in which they were added: much quicker than one
// by one.
type Changes struct {
	host  *Host
	batch batch
	errs  []error // of what could not be asked for
}

// Changes begins a list of changes.
func (h *Host) Changes() *Changes { return &Changes{host: h} }

func (c *Changes) add(err error) { c.errs = append(c.errs, err) }

// index is that of a device, 0 where none is named.
func (c *Changes) index(dev string) (index int, ok bool) {
	index, err := c.host.indexOrNone(dev)
	c.add(err)
	return index, err == nil
}

// Do makes the changes, of which one that fails does not hold back the others,
// and returns the errors of all that failed. The list is empty afterwards.
func (c *Changes) Do() error {
	err := allOf(append(c.errs, c.host.nl.do(&c.batch))...)
	c.errs = nil
	return err
}

// netlink is the process's socket for them.
type netlink struct{ *rtnetlink.Socket }

func openNetlink() (*netlink, error) {
	s, err := rtnetlink.Open()
	if err != nil {
		return nil, err
	}
	return &netlink{s}, nil
}

// do makes the changes in b and returns the errors of all that failed.
func (n *netlink) do(b *batch) error { return n.Do(&b.Batch) }

// ask sends the one request in b and calls f for each message that answers it.
func (n *netlink) ask(b *batch, dump bool, f func(kind uint16, body []byte)) error {
	return n.Ask(&b.Batch, dump, f)
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
	rtnetlink.EachAttribute(body[unix.SizeofIfInfomsg:], func(kind uint16, value []byte) {
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

// link looks a device up by index, or by name where the index is 0.
func (n *netlink) link(index int, name string) (l link, err error) {
	var b batch
	start := b.Begin("look up", unix.RTM_GETLINK, 0, rtnetlink.LinkHeader(index, 0, 0))
	if index == 0 {
		b.Attribute(unix.IFLA_IFNAME, append([]byte(name), 0))
	}
	b.End(start)
	err = n.ask(&b, false, func(kind uint16, body []byte) {
		if kind == unix.RTM_NEWLINK {
			l, _ = parseLink(body)
		}
	})
	return l, err
}

package host

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"s2clab/nodes/rtnetlink"
)

// AddressFlags say how an address comes into use.
type AddressFlags struct {
	NoDAD         bool // in use at once, without duplicate address detection
	Optimistic    bool // in use while detection goes on: RFC 4429
	Deprecated    bool // no source of new connections that may use another
	NoPrefixRoute bool // do not make the prefix on-link
}

func addressHeader(p netip.Prefix, flags byte, index int) []byte {
	h := []byte{family(p.Addr()), byte(p.Bits()), flags, 0}
	return native.AppendUint32(h, uint32(index))
}

func family(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func (b *batch) addAddress(index int, p netip.Prefix, f AddressFlags) {
	if p.Addr().Is4() {
		b.promoteSecondaries(index)
	}
	flags := 0
	if f.NoDAD {
		flags |= unix.IFA_F_NODAD
	}
	if f.Optimistic {
		flags |= unix.IFA_F_OPTIMISTIC
	}
	if f.NoPrefixRoute {
		flags |= unix.IFA_F_NOPREFIXROUTE
	}
	start := b.Begin(fmt.Sprintf("add address %v", p), unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE,
		addressHeader(p, byte(flags), index))
	b.Address(unix.IFA_LOCAL, p.Addr())
	b.Address(unix.IFA_ADDRESS, p.Addr())
	b.Number(unix.IFA_FLAGS, flags)
	if f.Deprecated {
		const forever = 0xffffffff
		info := native.AppendUint32(nil, 0) // preferred for so long
		info = native.AppendUint32(info, forever)
		info = append(info, make([]byte, 8)...)
		b.Attribute(unix.IFA_CACHEINFO, info)
	}
	b.End(start)
	if (f.NoDAD || f.Optimistic) && !p.Addr().Is4() {
		b.replaceRoute(localRoute(p.Addr()), index)
	}
}

// promoteSecondaries makes the kernel keep the other IPv4 addresses of a subnet where
// the first is taken away.
func (b *batch) promoteSecondaries(index int) {
	const inetConf, promote = 1, 20 // IFLA_INET_CONF, IPV4_DEVCONF_PROMOTE_SECONDARIES
	start := b.Begin("promote secondaries", unix.RTM_NEWLINK, 0, rtnetlink.LinkHeader(index, 0, 0))
	families := b.Nest(unix.IFLA_AF_SPEC)
	inet := b.Nest(unix.AF_INET)
	conf := b.Nest(inetConf)
	b.Number(promote, 1)
	b.Unnest(conf)
	b.Unnest(inet)
	b.Unnest(families)
	b.End(start)
}

// localRoute leads packets to an address of this node to the node itself. The
// kernel makes such a route by itself, for IPv6 later, in a queue of its own, and
// until then drops what comes: an acknowledgement may be quicker.
func localRoute(a netip.Addr) Route {
	return Route{To: netip.PrefixFrom(a, a.BitLen()), Table: unix.RT_TABLE_LOCAL, Local: true}
}

func (b *batch) removeAddress(index int, p netip.Prefix) {
	start := b.Begin(fmt.Sprintf("remove address %v", p), unix.RTM_DELADDR, 0, addressHeader(p, 0, index), unix.EADDRNOTAVAIL)
	b.Address(unix.IFA_LOCAL, p.Addr())
	b.Address(unix.IFA_ADDRESS, p.Addr())
	b.End(start)
	if !p.Addr().Is4() {
		b.removeRoute(localRoute(p.Addr()), index)
	}
}

// AddAddress does what Changes.AddAddress says.
func (h *Host) AddAddress(dev string, p netip.Prefix, flags AddressFlags) error {
	c := h.Changes()
	c.AddAddress(dev, p, flags)
	return inDevice(dev, c.Do())
}

// AddAddress gives a device an address, or changes the flags of one that it has.
// Watch tells when it may be used; one added with NoDAD or
// Optimistic may be used at once, and so may every IPv4 address, of which Watch
// tells nothing: whether another node has it is asked by an ARPPort.
func (c *Changes) AddAddress(dev string, p netip.Prefix, flags AddressFlags) {
	switch {
	case p.Addr().Is4():
	case flags.Optimistic:
		c.add(c.host.allowOptimistic(dev))
	case !flags.NoDAD: // nodes come up without duplicate address detection
		c.add(c.host.hold("conf/"+dev+"/accept_dad", "1"))
	}
	if index, ok := c.index(dev); ok {
		c.batch.addAddress(index, p, flags)
	}
}

// allowOptimistic makes the kernel take optimistic addresses as good as others
// on a device, while it asks whether somebody has them: RFC 4429.
func (h *Host) allowOptimistic(dev string) error {
	return allOf(
		h.hold("conf/"+dev+"/accept_dad", "1"), // nodes come up without duplicate address detection
		h.hold("conf/"+dev+"/optimistic_dad", "1"),
		h.hold("conf/"+dev+"/use_optimistic", "1"))
}

// NoDetection ends duplicate address detection on a device until AddAddress wants
// it again: of the link-local address too, when the carrier comes back.
func (h *Host) NoDetection(dev string) error { return h.hold("conf/"+dev+"/accept_dad", "0") }

// RemoveAddress takes an address from a device. To take away what is not there
// is no error, here and below.
func (h *Host) RemoveAddress(dev string, p netip.Prefix) error {
	index, err := h.Index(dev)
	if err != nil {
		return err
	}
	var b batch
	b.removeAddress(index, p)
	return inDevice(dev, h.nl.do(&b))
}

func inDevice(dev string, err error) error {
	if err != nil {
		return fmt.Errorf("device %s: %w", dev, err)
	}
	return nil
}

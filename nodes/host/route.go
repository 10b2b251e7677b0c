package host

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A Route says where packets to a prefix go. The zero value of a field leaves it
// to the kernel, or to the table named main.
type Route struct {
	To        netip.Prefix // invalid: the default route, of IPv4 where Via or Src is
	From      netip.Prefix // only packets from there (a kernel with CONFIG_IPV6_SUBTREES); invalid: from anywhere
	Via       netip.Addr
	Dev       string
	Src       netip.Addr // preferred source of sockets that have none
	Table     int
	Metric    int  // lower is better; 0: 1024
	MTU       int  // octets, which path MTU discovery may lower; 0: the device's
	MTULocked bool // no path MTU discovery lowers MTU
	OnLink    bool
	Blackhole bool // drop, in silence
	Local     bool // deliver here

	encapsulation func(*batch) // attributes of a light-weight tunnel
}

// A Rule says which table is asked for which packets.
type Rule struct {
	Priority  int          // PriorityRole and above
	IPv4      bool         // of IPv4: only needed where neither From nor To says so
	From, To  netip.Prefix // invalid: any
	Proto     int          // 0: any
	Input     string       // device; empty: any
	Table     int
	Blackhole bool // drop, in silence; no table is asked

	icmp     [2]uint16 // type and code of ICMPv6 messages that the kernel itself sends: first and last
	unmarked uint32    // only packets without these bits in their mark
}

var everywhere, everywhere4 = netip.PrefixFrom(netip.IPv6Unspecified(), 0), netip.PrefixFrom(netip.IPv4Unspecified(), 0)

const usualMetric = 1024 // that IPv6 gives a route that has none

func (b *batch) route(what string, kind, flags uint16, r Route, index int, tolerated ...unix.Errno) {
	switch {
	case r.To.IsValid():
	case r.Via.Is4() || r.Src.Is4():
		r.To = everywhere4
	default:
		r.To = everywhere
	}
	ip4 := r.To.Addr().Is4()
	if ip4 && r.Metric == 0 && !r.Local {
		r.Metric = usualMetric
	}
	table := r.Table
	if table == 0 {
		table = unix.RT_TABLE_MAIN
	}
	header := make([]byte, unix.SizeofRtMsg)
	header[0], header[1] = family(r.To.Addr()), byte(r.To.Bits())
	if r.From.IsValid() {
		header[2] = byte(r.From.Bits())
	}
	if table < 256 {
		header[4] = byte(table)
	}
	if kind == unix.RTM_NEWROUTE {
		header[5], header[7] = unix.RTPROT_STATIC, unix.RTN_UNICAST
	}
	switch {
	case r.Blackhole:
		header[7] = unix.RTN_BLACKHOLE
	case r.Local:
		header[7] = unix.RTN_LOCAL
	}
	if ip4 {
		header[6] = scope4(kind, r)
	}
	if r.OnLink {
		native.PutUint32(header[8:], unix.RTNH_F_ONLINK)
	}
	start := b.Begin(fmt.Sprintf("%s route to %v", what, r.To), kind, flags, header, tolerated...)
	if r.To.Bits() > 0 {
		b.Address(unix.RTA_DST, r.To.Addr())
	}
	if r.From.IsValid() && r.From.Bits() > 0 {
		b.Address(unix.RTA_SRC, r.From.Addr())
	}
	if r.Via.IsValid() {
		b.Address(unix.RTA_GATEWAY, r.Via)
	}
	if r.Src.IsValid() {
		b.Address(unix.RTA_PREFSRC, r.Src)
	}
	if index != 0 {
		b.Number(unix.RTA_OIF, index)
	}
	if r.Metric != 0 {
		b.Number(unix.RTA_PRIORITY, r.Metric)
	}
	b.Number(unix.RTA_TABLE, table)
	if r.MTU != 0 {
		metrics := b.Nest(unix.RTA_METRICS)
		if r.MTULocked {
			b.Number(unix.RTAX_LOCK, 1<<unix.RTAX_MTU)
		}
		b.Number(unix.RTAX_MTU, r.MTU)
		b.Unnest(metrics)
	}
	if r.encapsulation != nil {
		r.encapsulation(b)
	}
	b.End(start)
}

// scope4 is how far the next hop of an IPv4 route is: the kernel looks for that of a
// route with a gateway among the nearer ones.
func scope4(kind uint16, r Route) byte {
	switch {
	case kind == unix.RTM_DELROUTE:
		return unix.RT_SCOPE_NOWHERE // any
	case r.Local:
		return unix.RT_SCOPE_HOST
	case r.Via.IsValid() || r.Blackhole:
		return unix.RT_SCOPE_UNIVERSE
	}
	return unix.RT_SCOPE_LINK
}

func (b *batch) replaceRoute(r Route, index int) {
	b.route("set", unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, r, index)
}

func (b *batch) removeRoute(r Route, index int) {
	if !r.To.IsValid() && (r.Via.Is4() || r.Src.Is4()) {
		r.To = everywhere4
	}
	r.encapsulation, r.Src, r.MTU = nil, netip.Addr{}, 0
	b.route("remove", unix.RTM_DELROUTE, 0, r, index, unix.ESRCH)
}

// ReplaceRoute does what Changes.ReplaceRoute says.
func (h *Host) ReplaceRoute(r Route) error {
	c := h.Changes()
	c.ReplaceRoute(r)
	return c.Do()
}

// ReplaceRoute sets the route to a prefix. It takes the place of one to the same
// prefix with the same metric in the same table, without a moment between.
func (c *Changes) ReplaceRoute(r Route) {
	if index, ok := c.index(r.Dev); ok {
		c.batch.replaceRoute(r, index)
	}
}

// RemoveRoute removes the route that agrees in all fields set, other than Src
// and MTU.
func (h *Host) RemoveRoute(r Route) error {
	index, err := h.indexOrNone(r.Dev)
	if err != nil {
		return err
	}
	var b batch
	b.removeRoute(r, index)
	return h.nl.do(&b)
}

func (h *Host) indexOrNone(dev string) (int, error) {
	if dev == "" {
		return 0, nil
	}
	return h.Index(dev)
}

func (b *batch) rule(what string, kind uint16, r Rule, tolerated ...unix.Errno) {
	header := make([]byte, unix.SizeofRtMsg) // struct fib_rule_hdr has the same shape
	header[0] = unix.AF_INET6
	if r.IPv4 || r.From.IsValid() && r.From.Addr().Is4() || r.To.IsValid() && r.To.Addr().Is4() {
		header[0] = unix.AF_INET
	}
	if r.To.IsValid() {
		header[1] = byte(r.To.Bits())
	}
	if r.From.IsValid() {
		header[2] = byte(r.From.Bits())
	}
	header[7] = unix.FR_ACT_TO_TBL
	if r.Blackhole {
		header[7] = unix.FR_ACT_BLACKHOLE
	} else if r.Table < 256 {
		header[4] = byte(r.Table)
	}
	flags := uint16(0)
	if kind == unix.RTM_NEWRULE {
		flags = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	}
	start := b.Begin(what, kind, flags, header, tolerated...)
	b.Number(unix.FRA_PRIORITY, r.Priority)
	if r.To.IsValid() {
		b.Address(unix.FRA_DST, r.To.Addr())
	}
	if r.From.IsValid() {
		b.Address(unix.FRA_SRC, r.From.Addr())
	}
	if r.Proto != 0 {
		b.Attribute(unix.FRA_IP_PROTO, []byte{byte(r.Proto)})
	}
	if r.Input != "" {
		b.Attribute(unix.FRA_IIFNAME, append([]byte(r.Input), 0))
	}
	if r.icmp[1] != 0 {
		b.Attribute(unix.FRA_DPORT_RANGE, native.AppendUint16(native.AppendUint16(nil, r.icmp[0]), r.icmp[1]))
	}
	if r.unmarked != 0 {
		b.Number(unix.FRA_FWMARK, 0)
		b.Attribute(unix.FRA_FWMASK, native.AppendUint32(nil, r.unmarked))
	}
	if !r.Blackhole {
		b.Number(unix.FRA_TABLE, r.Table)
	}
	b.End(start)
}

func (r Rule) String() string {
	s := fmt.Sprintf("rule %d", r.Priority)
	if r.From.IsValid() {
		s += fmt.Sprintf(" from %v", r.From)
	}
	if r.To.IsValid() {
		s += fmt.Sprintf(" to %v", r.To)
	}
	return s
}

// AddRule does what Changes.AddRule says.
func (h *Host) AddRule(r Rule) error {
	c := h.Changes()
	c.AddRule(r)
	return c.Do()
}

// AddRule adds a rule; one that is there already is left as it is.
func (c *Changes) AddRule(r Rule) {
	c.batch.rule("add "+r.String(), unix.RTM_NEWRULE, r, unix.EEXIST)
}

// RemoveRule removes a rule that agrees in all fields.
func (h *Host) RemoveRule(r Rule) error {
	var b batch
	b.rule("remove "+r.String(), unix.RTM_DELRULE, r, unix.ENOENT)
	return h.nl.do(&b)
}

// neighborHeader is struct ndmsg.
func neighborHeader(a netip.Addr, index int, state uint16, flags byte) []byte {
	h := make([]byte, 12)
	h[0] = family(a)
	native.PutUint32(h[4:], uint32(index))
	native.PutUint16(h[8:], state)
	h[10] = flags
	return h
}

func (b *batch) neighbor(what string, kind uint16, index int, state uint16, flags byte, a netip.Addr, mac net.HardwareAddr) {
	var tolerated []unix.Errno
	asking := uint16(unix.NLM_F_CREATE | unix.NLM_F_REPLACE)
	if kind == unix.RTM_DELNEIGH {
		asking, tolerated = 0, []unix.Errno{unix.ENOENT}
	}
	start := b.Begin(fmt.Sprintf("%s %v", what, a), kind, asking, neighborHeader(a, index, state, flags), tolerated...)
	b.Address(unix.NDA_DST, a)
	if mac != nil {
		b.Attribute(unix.NDA_LLADDR, mac)
	}
	b.End(start)
}

// AddProxyNeighbor makes the node answer neighbour solicitations for an address
// on a device, at once and without the R flag: RFC 6275, section 10.4.1; for an IPv4
// address the questions of ARP, as long as its route leads elsewhere: RFC 5555,
// section 4.5. The node must be a router.
func (h *Host) AddProxyNeighbor(dev string, a netip.Addr) error {
	index, err := h.Index(dev)
	if err != nil {
		return err
	}
	if a.Is4() {
		err = h.SetSysctl4("neigh/"+dev+"/proxy_delay", "0")
	} else {
		err = allOf(h.hold("conf/"+dev+"/proxy_ndp", "1"), h.hold("neigh/"+dev+"/proxy_delay", "0"))
	}
	if err != nil {
		return err
	}
	var b batch
	b.neighbor("proxy", unix.RTM_NEWNEIGH, index, unix.NUD_PERMANENT, unix.NTF_PROXY, a, nil)
	return inDevice(dev, h.nl.do(&b))
}

// RemoveProxyNeighbor ends AddProxyNeighbor.
func (h *Host) RemoveProxyNeighbor(dev string, a netip.Addr) error {
	index, err := h.Index(dev)
	if err != nil {
		return err
	}
	var b batch
	b.neighbor("remove proxy", unix.RTM_DELNEIGH, index, 0, unix.NTF_PROXY, a, nil)
	return inDevice(dev, h.nl.do(&b))
}

// SetNeighbor tells the kernel a neighbour's link-layer address, as a neighbour
// discovery message would that names it unasked: it is used at once and verified
// afterwards.
func (h *Host) SetNeighbor(dev string, a netip.Addr, mac net.HardwareAddr) error {
	c := h.Changes()
	c.SetNeighbor(dev, a, mac)
	return inDevice(dev, c.Do())
}

// SetNeighbor is that of Host.
func (c *Changes) SetNeighbor(dev string, a netip.Addr, mac net.HardwareAddr) {
	if index, ok := c.index(dev); ok {
		c.batch.neighbor("neighbour", unix.RTM_NEWNEIGH, index, unix.NUD_STALE, 0, a, mac)
	}
}

// RemoveNeighbor makes the kernel forget a neighbour.
func (h *Host) RemoveNeighbor(dev string, a netip.Addr) error {
	index, err := h.Index(dev)
	if err != nil {
		return err
	}
	var b batch
	b.neighbor("forget neighbour", unix.RTM_DELNEIGH, index, 0, 0, a, nil)
	return inDevice(dev, h.nl.do(&b))
}

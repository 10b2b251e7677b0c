package mn

import (
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"s2clab/nodes/session/dhcp4"
	"s2clab/nodes/session/dhcp6"
)

// probeWait is how long a probe for an IPv4 address waits for who has it, with full
// duplicate address detection. Differs from RFC 5227, section 2.1.1, which has three
// probes: it is one, with the wait of IPv6's (RFC 4861, section 10).
const probeWait = retransTimer

// A DHCPReceived is a message of a DHCP server, of the family of From. The octets are
// not kept.
type DHCPReceived struct {
	Dev    string
	From   netip.Addr
	Octets []byte
}

// An AddressClaimed says that another node has an IPv4 address, as it tells by ARP.
type AddressClaimed struct {
	Dev       string
	Address   netip.Addr
	LinkLayer [6]byte // of who claims it
}

func (DHCPReceived) input()   {}
func (AddressClaimed) input() {}

// SendDHCP sends a message to DHCP servers, of the family of To, from the port of
// clients. The device may have no address of that family yet.
type SendDHCP struct {
	Dev    string
	From   netip.Addr // of IPv4; unspecified: there is none yet. Not valid: link-local
	To     netip.AddrPort
	Octets []byte
}

// SolicitARP asks the nodes of a link by ARP who of them has an IPv4 address: RFC 826.
type SolicitARP struct {
	Dev    string
	Source netip.Addr // our own, which the one that has Target learns; unspecified: a probe, RFC 5227, section 2.1.1
	Target netip.Addr
}

func (SendDHCP) output()   {}
func (SolicitARP) output() {}

// A dynamic is what gives an access its addresses by DHCP.
type dynamic struct {
	four *dhcp4.Client // nil: IPv4 is of no use
	six  *dhcp6.Client

	running4, running6 bool
	had4               dhcp4.Lease  // when the carrier went
	had6               *dhcp6.Lease // nil: none

	router    netip.Addr // that was asked for by ARP; not valid: none
	routerMAC [6]byte    // its answer; zero: none

	probing netip.Addr // the IPv4 address that was probed for
	probed  time.Time  // when nobody has it, if nobody says so; zero: not waiting

	lease  netip.Prefix // by DHCP for IPv6; not valid: none
	leased dhcp6.Lease
}

// newDynamic makes the clients of the access with that number. For DHCP for IPv6 the
// node is known by its first device.
func (m *Machine) newDynamic(a *access, node string, number int) {
	if m.dual.wanted {
		a.dhcp.four = dhcp4.NewClient(dhcp4.ClientConfig{HardwareAddr: a.mac, HostName: node, Probe: dadOf(m.cfg.DAD) != NoDAD}, m.rand)
	}
	a.dhcp.six = dhcp6.NewClient(dhcp6.ClientConfig{DUID: m.duid(), IAID: [4]byte{2: byte(number >> 8), 3: byte(number)}, Rapid: true}, m.rand)
}

func (m *Machine) duid() dhcpv6.DUID { return dhcp6.LinkLayerDUID(m.accesses[0].mac) }

// startDHCP asks for an IPv4 address as soon as there is a carrier, together with the
// Router Solicitation: which of both is answered tells what the link has. An address
// that it had there, or that it has for ever on the home link, is asked for at once.
func (m *Machine) startDHCP(now time.Time, a *access) {
	d := &a.dhcp
	if d.four == nil {
		return
	}
	d.running4 = true
	var previous netip.Addr
	switch {
	case d.had4.Address.IsValid() && (d.had4.Expire.IsZero() || now.Before(d.had4.Expire)):
		previous = d.had4.Address.Addr()
		m.findRouter4(a, d.had4.Router)
	case a.mayBeHome && m.cfg.HomeAddress4.IsValid(): // it was told both, and which link it is
		previous = m.dual.home
	}
	m.do4(now, a, d.four.Step(now, dhcp4.Started{Previous: previous}))
}

// stopDHCP is for when the carrier is gone, and with it what was configured.
func (m *Machine) stopDHCP(now time.Time, a *access) {
	d := &a.dhcp
	if d.running4 {
		if l, has := d.four.Lease(); has {
			d.had4 = l
		}
		d.four.Step(now, dhcp4.Stopped{})
	}
	if d.running6 {
		d.had6 = d.six.Lease()
		d.six.Step(now, dhcp6.Stopped{})
	}
	d.running4, d.running6 = false, false
	d.router, d.probing, d.probed, d.lease = netip.Addr{}, netip.Addr{}, time.Time{}, netip.Prefix{}
}

// managed starts the client for IPv6 addresses where a router says that they come
// by DHCP (RFC 4861, section 4.2, the M flag), and none can be formed.
func (m *Machine) managed(now time.Time, a *access) {
	d := &a.dhcp
	if d.running6 || a.home || !slices.ContainsFunc(a.routers, func(r *router) bool { return r.managed }) {
		return
	}
	if a.router != nil { // an address was formed
		return
	}
	d.running6 = true
	m.do6(now, a, d.six.Step(now, dhcp6.Started{Previous: d.had6}))
}

func (m *Machine) dhcpReceived(now time.Time, a *access, in *DHCPReceived) {
	d := &a.dhcp
	if in.From.Is4() {
		if msg, err := dhcp4.Parse(in.Octets); err == nil && d.running4 {
			m.do4(now, a, d.four.Step(now, dhcp4.Received{From: in.From, Message: msg}))
		}
		return
	}
	msg, err := dhcp6.Parse(in.Octets)
	if err != nil {
		return
	}
	if d.running6 {
		m.do6(now, a, d.six.Step(now, dhcp6.Received{From: in.From, Message: msg}))
	}
	if f := &m.finder; f.inform != nil && f.on == a {
		m.informing(now, f.inform.Step(now, dhcp6.Received{From: in.From, Message: msg}))
	}
}

// do4 does what the client for IPv4 says.
func (m *Machine) do4(now time.Time, a *access, out []dhcp4.ClientOutput) {
	for _, o := range out {
		switch o := o.(type) {
		case dhcp4.Send:
			m.do(SendDHCP{Dev: a.dev, From: o.From, To: o.To, Octets: o.Message.ToBytes()})
		case dhcp4.Offered:
			m.offered4(a, o.Lease)
		case dhcp4.Probe:
			m.probe4(now, a, o.Address)
		case dhcp4.Configured:
			m.configured4(now, a, address4{prefix: o.Lease.Address, router: o.Lease.Router, expires: o.Lease.Expire})
		case dhcp4.Deconfigured:
			m.deconfigured4(now, a, o.Reason)
		case dhcp4.Event:
			m.clientEvent(now, a, o.Name, o.Fields)
		}
	}
}

// offered4 is for when a server is found, and asked for what it offers.
func (m *Machine) offered4(a *access, l dhcp4.Lease) {
	m.event("address-offered", map[string]any{"link": a.link, "address": l.Address.Addr().String(), "source": l.Server.String()})
	m.findRouter4(a, l.Router)
}

// findRouter4 asks for the link-layer address of the router while DHCP goes on, so
// that the first packet need not wait for it: with IPv6 the advertisement tells it.
func (m *Machine) findRouter4(a *access, router netip.Addr) {
	d := &a.dhcp
	d.router, d.routerMAC = router, [6]byte{}
	if router.IsValid() {
		m.do(SolicitARP{Dev: a.dev, Source: netip.IPv4Unspecified(), Target: router})
	}
}

// router4 is the link-layer address of the router of a lease; zero: not known.
func (a *access) router4(router netip.Addr) [6]byte {
	if router == a.dhcp.router {
		return a.dhcp.routerMAC
	}
	return [6]byte{}
}

// greet4 tells the router of an address before it has something for it, which would
// else wait until it has asked, as greet does with IPv6.
func (m *Machine) greet4(a *access, l address4) {
	if l.router.IsValid() {
		m.do(SolicitARP{Dev: a.dev, Source: l.prefix.Addr(), Target: l.router})
	}
}

// clientEvent tells what a client tells of an access.
func (m *Machine) clientEvent(now time.Time, a *access, name string, fields map[string]any) {
	fields["link"] = a.link
	if reason, ok := fields["reason"].(string); ok && name == "message-ignored" { // which strangers can cause
		m.ignore(now, reason, fields)
		return
	}
	m.event(name, fields)
}

// probe4 sees whether an address is somebody's, as far as the configuration wants
// it: with optimistic detection it is used until somebody says so. Of the home
// address the home agent says so as long as it holds the binding (RFC 5555, section
// 4.5), so that is not asked for, as with IPv6 (RFC 6275, section 11.5.5).
func (m *Machine) probe4(now time.Time, a *access, address netip.Addr) {
	d := &a.dhcp
	if !m.isHome4(address) {
		m.do(SolicitARP{Dev: a.dev, Source: netip.IPv4Unspecified(), Target: address})
		if d.probing = address; dadOf(m.cfg.DAD) == FullDAD {
			d.probed = now.Add(probeWait)
			return
		}
	}
	m.do4(now, a, d.four.Step(now, dhcp4.Probed{Address: address}))
}

// addressClaimed takes what another node says by ARP: RFC 5227, sections 2.1.1 and
// 2.4. The address is given up at once, as item (a) has it.
func (m *Machine) addressClaimed(now time.Time, a *access, in *AddressClaimed) {
	d := &a.dhcp
	if in.Address == d.router && d.routerMAC == ([6]byte{}) {
		d.routerMAC = in.LinkLayer
	}
	if !d.running4 || in.LinkLayer == a.mac || d.probing != in.Address || m.isHome4(in.Address) {
		return
	}
	d.probing, d.probed = netip.Addr{}, time.Time{}
	m.do4(now, a, d.four.Step(now, dhcp4.Probed{Address: in.Address, InUse: true}))
}

// do6 does what the client for IPv6 says.
func (m *Machine) do6(now time.Time, a *access, out []dhcp6.ClientOutput) {
	d := &a.dhcp
	for _, o := range out {
		switch o := o.(type) {
		case dhcp6.Send:
			m.do(SendDHCP{Dev: a.dev, To: o.To, Octets: o.Message.ToBytes()})
		case dhcp6.Configured:
			d.lease, d.leased = netip.PrefixFrom(o.Lease.Address, a.onLink(o.Lease.Address)), o.Lease
			m.reconfigure(now, a)
		case dhcp6.Deconfigured:
			d.lease = netip.Prefix{}
			if a.address.prefix.Addr() == o.Address {
				m.event("address-lost", map[string]any{"link": a.link, "address": o.Address.String(), "reason": o.Reason})
			}
			m.reconfigure(now, a)
		case dhcp6.Event:
			m.clientEvent(now, a, o.Name, o.Fields)
		}
	}
}

// onLink is the length of the prefix that an address is in, as far as routers say
// that it is on the link: DHCP does not tell (RFC 8415, section 21.6; RFC 5942).
func (a *access) onLink(address netip.Addr) int {
	for _, r := range a.routers {
		for i := range r.prefixes {
			if p := &r.prefixes[i]; p.onLink && p.prefix.Contains(address) {
				return p.prefix.Bits()
			}
		}
	}
	return address.BitLen()
}

// isLeased says whether the care-of address of an access came by DHCP for IPv6.
func (a *access) isLeased() bool {
	return a.address.prefix.IsValid() && a.address.prefix == a.dhcp.lease
}

// tickDHCP does what is due at now.
func (m *Machine) tickDHCP(now time.Time, a *access) {
	d := &a.dhcp
	if d.running4 {
		m.do4(now, a, d.four.Tick(now))
	}
	if d.running6 {
		m.do6(now, a, d.six.Tick(now))
	}
	if due(d.probed, now) {
		d.probed = time.Time{}
		m.do4(now, a, d.four.Step(now, dhcp4.Probed{Address: d.probing}))
	}
}

func (d *dynamic) deadline() time.Time {
	at := d.probed
	if d.running4 {
		at = earliest(at, d.four.Deadline())
	}
	if d.running6 {
		at = earliest(at, d.six.Deadline())
	}
	return at
}

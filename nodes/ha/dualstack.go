package ha

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/wire/mh"
)

// natKeepalive is how often a mobile node behind a NAT is to be heard of:
// NATKATIMEOUT of RFC 5555, section 6, where the configuration says nothing.
const natKeepalive = 110 * time.Second

// dualStack is what a home agent does by RFC 5555 beside the rest.
type dualStack struct {
	address       netip.Addr // IPv4; not valid: nobody registers over IPv4
	prefixes      []netip.Prefix
	encapsulation string // in UDP that no NAT asks for: accept, refuse, always
	refresh       time.Duration

	homes  map[netip.Addr]netip.Addr // IPv4 home addresses, by the IPv6 one that each goes with
	owners map[netip.Addr]netip.Addr // the other way round
	fixed  map[netip.Addr]bool       // of homes: set up beforehand
	links  []homeLink4
}

// A homeLink4 is a home link that has IPv4 too.
type homeLink4 struct {
	dev    string
	prefix netip.Prefix
}

func newDualStack(cfg *control.Config) (dualStack, error) {
	h := cfg.HomeAgent
	d := dualStack{
		address: h.Address4, prefixes: h.HomePrefixes4, encapsulation: h.UDP, refresh: h.NATKeepalive,
		homes: map[netip.Addr]netip.Addr{}, owners: map[netip.Addr]netip.Addr{}, fixed: map[netip.Addr]bool{},
	}
	switch d.encapsulation {
	case "":
		d.encapsulation = "accept"
	case "accept", "refuse", "always":
	default:
		return d, errors.New("udp " + d.encapsulation + ": want accept, refuse or always")
	}
	if d.refresh == 0 {
		d.refresh = natKeepalive
	}
	for _, a := range h.HomeAddresses4 {
		d.homes[a.Address], d.owners[a.Address4], d.fixed[a.Address] = a.Address4, a.Address, true
	}
	for _, in := range cfg.Interfaces {
		for _, p := range in.Addresses {
			if in.Home && p.Addr().Is4() {
				d.links = append(d.links, homeLink4{dev: in.Name, prefix: p.Masked()})
			}
		}
	}
	return d, nil
}

// homeLink gives the home link of an IPv4 home address; empty: it is on none.
func (d *dualStack) homeLink(home4 netip.Addr) string {
	for _, l := range d.links {
		if l.prefix.Contains(home4) {
			return l.dev
		}
	}
	return ""
}

// An outer is what a Binding Update by IPv4 came in, RFC 5555, section 4.2; the
// zero value: it came as IPv6.
type outer struct {
	from netip.AddrPort // source of the IPv4 and UDP headers: the NAT's where there is one
	nat  bool           // which is not what the mobile node has as its care-of address
}

func (o *outer) isThere() bool { return o.from.IsValid() }

// A home4Request is the IPv4 Home Address option of a Binding Update: RFC 5555,
// section 3.1.1; the zero value: there was none.
type home4Request struct {
	there  bool
	option mh.IPv4HomeAddress
}

// source is where a Binding Update came from, for limits and for people.
func (r *request) source() netip.Addr {
	if r.outer.isThere() {
		return r.outer.from.Addr()
	}
	return r.src
}

// udp says whether packets to the mobile node go in UDP.
func (d *dualStack) udp(r *request) bool {
	return r.outer.isThere() && (r.outer.nat || d.forced(r))
}

// forced says whether UDP is used though no NAT asks for it.
func (d *dualStack) forced(r *request) bool {
	return r.outer.isThere() && (d.encapsulation == "always" || r.flags&mh.ForceUDP != 0 && d.encapsulation == "accept")
}

// overIPv4 says what is wrong with a Binding Update that came by IPv4, or with
// one that did not: RFC 5555, sections 4.2 and 4.5. An empty reason: nothing.
func (d *dualStack) overIPv4(r *request) (status mh.Status, reason string) {
	switch {
	case r.outer.isThere() && !unicast4(r.careOf.Unmap()): // it has no IPv4 Care-of Address option, or one that cannot be
		return mh.InvalidCareOf, "no-ipv4-care-of-address"
	case r.flags&mh.ForceUDP != 0 && (!r.outer.isThere() || d.encapsulation == "refuse"):
		return mh.ForceUDPRefused, "udp-encapsulation-refused"
	}
	return 0, ""
}

// unicast4 says whether a can be an IPv4 care-of or home address.
func unicast4(a netip.Addr) bool { return a.Is4() && a.IsGlobalUnicast() && !a.IsLinkLocalUnicast() }

// assign gives the IPv4 home address that goes with an IPv6 one, and the status
// of the IPv4 Address Acknowledgement option: RFC 5555, section 4.5. Not valid:
// there is none, or none was asked for.
func (d *dualStack) assign(r *request) (netip.Addr, mh.IPv4Status) {
	asked := r.home4.option
	had := d.homes[r.home]
	switch {
	case !r.home4.there:
		return netip.Addr{}, 0
	case asked.PrefixRequest:
		return netip.Addr{}, mh.IPv4PrefixUnauthorized
	case !asked.Address.IsUnspecified() && !unicast4(asked.Address):
		return netip.Addr{}, mh.IPv4Invalid
	case had.IsValid() && (asked.Address.IsUnspecified() || asked.Address == had):
		return had, mh.IPv4Accepted
	case !asked.Address.IsUnspecified():
		return netip.Addr{}, mh.IPv4IncorrectHome
	}
	free := d.free()
	if !free.IsValid() {
		return netip.Addr{}, mh.IPv4NoDynamic
	}
	d.homes[r.home], d.owners[free] = free, r.home
	return free, mh.IPv4Accepted
}

// keeps gives an IPv6 home address the IPv4 one that went with it before; false: there
// was none, or it may not have that now.
func (d *dualStack) keeps(home, home4 netip.Addr) bool {
	had := d.homes[home]
	switch {
	case !home4.IsValid():
		return false
	case had.IsValid():
		return had == home4
	case d.owners[home4].IsValid() || home4 == d.address || !slices.ContainsFunc(d.prefixes, func(p netip.Prefix) bool { return p.Contains(home4) }):
		return false
	}
	d.homes[home], d.owners[home4] = home4, home
	return true
}

// maxHomes4Tried is how many addresses of a pool are looked at for a free one.
const maxHomes4Tried = 1 << 16

// free finds an IPv4 home address that is nobody's, nor this node's own, nor the
// first or last of its prefix; not valid: there is none.
func (d *dualStack) free() netip.Addr {
	tried := 0
	for _, p := range d.prefixes {
		for a := p.Masked().Addr().Next(); p.Contains(a.Next()) && tried < maxHomes4Tried; a = a.Next() {
			tried++
			if _, taken := d.owners[a]; !taken && a != d.address {
				return a
			}
		}
	}
	return netip.Addr{}
}

// forget lets go of the IPv4 home address of a binding that is no more, unless
// it is kept for its mobile node.
func (d *dualStack) forget(home netip.Addr) {
	if home4, there := d.homes[home]; there && !d.fixed[home] {
		delete(d.homes, home)
		delete(d.owners, home4)
	}
}

// tunnel is the tunnel that a binding wants.
func (b *binding) wanted() SetTunnel {
	t := SetTunnel{Home: b.home, Home4: b.home4, CareOf: b.careOf}
	if b.outer.isThere() {
		t.CareOf = b.outer.from.Addr()
		if b.udp {
			t.Port = b.outer.from.Port()
		}
	}
	return t
}

// setTunnel puts the tunnel of a binding in place, or changes it.
func (m *Machine) setTunnel(b *binding) {
	if b.multi != nil {
		m.setWays(b)
		return
	}
	if want := b.wanted(); want != b.tunnel {
		b.tunnel = want
		m.do(want)
	}
}

// defend4 answers for the IPv4 home address of a binding on its home link, or no
// longer does: RFC 5555, section 4.5.
func (m *Machine) defend4(b *binding, home4 netip.Addr) {
	if b.home4 == home4 {
		return
	}
	if dev := m.dual.homeLink(b.home4); dev != "" && b.home4.IsValid() {
		m.do(ClearProxy{Dev: dev, Address: b.home4})
	}
	b.home4 = home4
	if dev := m.dual.homeLink(home4); dev != "" && home4.IsValid() {
		m.do(SetProxy{Dev: dev, Address: home4})
		m.do(AdvertiseNeighbor{Dev: dev, Source: home4, Target: home4})
	}
}

// options4 adds to an acknowledgement what RFC 5555 wants in it: section 4.5.
func (m *Machine) options4(options []mh.Option, r *request, status mh.Status) []mh.Option {
	a := &m.answer
	if r.home4.there && status.Accepts() {
		a.ipv4 = mh.IPv4AddressAck{Status: r.status4, Address: r.home4.option.Address}
		if r.status4 == mh.IPv4Accepted && r.lifetime > 0 {
			a.ipv4.Address, a.ipv4.PrefixLen = m.dual.homes[r.home], 32
		}
		options = append(options, &a.ipv4)
	}
	if r.outer.isThere() {
		a.nat = mh.NATDetection{ForceUDP: m.dual.forced(r), Refresh: mh.NoKeepalives}
		if r.outer.nat {
			a.nat.Refresh = m.dual.refresh
		}
		options = append(options, &a.nat)
	}
	return options
}

// tell4 adds to an event what RFC 5555 brings.
func (b *binding) tell4(fields map[string]any) {
	if b.home4.IsValid() {
		fields["home-address-4"] = b.home4.String()
	}
	if b.outer.isThere() {
		fields["outer"], fields["nat"], fields["udp"] = b.outer.from.String(), b.outer.nat, b.udp
	}
}

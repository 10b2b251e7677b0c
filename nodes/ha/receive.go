package ha

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
	"s2clab/nodes/wire/udp"
)

// A request is what a Binding Update asks for. Nothing in it lies in the packet.
type request struct {
	arrived   time.Time
	src       netip.Addr // of the IPv6 header: where the answer goes
	home      netip.Addr // of the Home Address option, else src; the one assigned once that is settled
	careOf    netip.Addr // that authenticators are over: of the Alternate Care-of Address option, or the IPv4 Care-of Address option (IPv4-mapped), else src
	option    bool       // it had a Home Address option
	asks      bool       // for a home address: it had the unspecified one there
	assigner  string     // where asks: who has chosen home, once that is settled
	seq       uint16
	flags     mh.BUFlags
	lifetime  time.Duration
	stamped   bool
	timestamp uint64
	outer     outer
	home4     home4Request
	status4   mh.IPv4Status // what became of home4
	multi     multiRequest

	subscriber  *subscriber      // who sent it; nil: nobody is asked, or it is not known
	association *mobilitySA      // by which it was authenticated; nil: by none
	nai         string           // as it called itself, for an answer without a subscriber
	aliased     bool             // it called itself by the alias of the subscriber
	material    []mh.KeyMaterial // of keys, for the answer
}

// receive takes a packet: RFC 6275, sections 9.2 and 9.3.1.
func (m *Machine) receive(now time.Time, octets []byte) {
	if m.registrar != nil {
		m.discard(now, source(octets), "no-mobile-ipv6")
		return
	}
	p, err := ipv6.Parse(octets)
	if err != nil {
		var problem *ipv6.ParameterProblem
		src := source(octets)
		if errors.As(err, &problem) && destination(octets) == m.address {
			m.parameterProblem(now, octets, src, problem.Code, problem.Pointer)
		}
		m.discardFor(now, src, "malformed-packet", err.Error())
		return
	}
	if p.Dst != m.address {
		return // other sockets' business: this node has addresses that no mobile node registers with
	}
	if p.RoutingHome.IsValid() && p.SegmentsLeft > 0 { // for a mobile node: RFC 6275, section 6.4
		m.discard(now, p.Src, "type-2-routing-header")
		return
	}
	if p.HomeAddress.IsValid() && !unicastRoutable(p.HomeAddress) && !asks(&p) { // RFC 6275, section 9.3.1
		m.discard(now, p.Src, "home-address-not-unicast-routable")
		return
	}
	switch p.Next {
	case ipv6.Mobility:
		m.mobility(now, octets, &p)
	case ipv6.ESP, ipv6.AH:
	default:
		if p.HomeAddress.IsValid() {
			m.homeAddressOption(now, &p)
		}
	}
}

// asks says whether a packet may ask for a home address: a Binding Update with
// the unspecified one.
//
// Lab decision, and differs from RFC 6275, section 9.3.1, which discards it: RFC
// 5778, section 6.5, has a home agent ask the Diameter server so, and no RFC
// says how the mobile node tells its home agent that it has none.
func asks(p *ipv6.Packet) bool {
	return p.UpperSrc().IsUnspecified() && p.Next == ipv6.Mobility && len(p.Payload) > 2 &&
		mh.Type(p.Payload[2]) == mh.TypeBindingUpdate
}

// source gives the source of a packet that does not parse, if it is long enough.
func source(octets []byte) netip.Addr {
	if len(octets) < ipv6.HeaderLen {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte(octets[8:]))
}

// destination is source, for the destination.
func destination(octets []byte) netip.Addr {
	if len(octets) < ipv6.HeaderLen {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte(octets[24:]))
}

// homeAddressOption takes a packet with a Home Address option and anything but
// signalling: it needs a binding, RFC 6275, section 9.3.1.
func (m *Machine) homeAddressOption(now time.Time, p *ipv6.Packet) {
	if b := m.bindings[p.HomeAddress]; b != nil && b.state == bound && b.has(p.Src) {
		if p.Next == ipv6.ICMPv6 && len(p.Payload) > 0 && icmp6.Type(p.Payload[0]) == icmp6.TypeMobilePrefixSolicit {
			m.prefixSolicited(now, p.Src)
		}
		return
	}
	m.bindingError(now, p.Src, mh.UnknownBinding, p.HomeAddress)
}

// stranger takes a tunnelled packet from an address that is no care-of address.
//
// Differs from RFC 6275, section 10.4.5, which drops it and says no more: a
// mobile node whose binding is gone here, as after a restart, would send into
// nowhere until its lifetime ends. It gets the Binding Error that a packet with
// a Home Address option in its place would get, with the inner source as home
// address, and section 11.3.6 then has it send a Binding Update.
func (m *Machine) stranger(now time.Time, in StrangerTunnelled) {
	if m.registrar != nil { // Mobile IPv4 has no words for it
		return
	}
	home := in.Inner
	if !home.IsValid() {
		home = netip.IPv6Unspecified()
	} else if b := m.bindings[home]; !m.isHome(home) || b != nil && b.state == bound {
		return // not ours, or forged: the mobile node itself is bound elsewhere
	}
	if in.Source.Is4() {
		m.strangerOverIPv4(now, in, home)
		return
	}
	m.bindingError(now, in.Source, mh.UnknownBinding, home)
}

// strangerOverIPv4 answers a stranger by IPv4: to where a Binding Update would
// have come from.
func (m *Machine) strangerOverIPv4(now time.Time, in StrangerTunnelled, home netip.Addr) {
	port := in.Port
	if port == 0 {
		port = udp.EncapsulationPort
	}
	m.from = netip.AddrPortFrom(in.Source, port)
	m.bindingError(now, home, mh.UnknownBinding, home)
	m.from = netip.AddrPort{}
}

// mobility takes a Mobility Header: RFC 6275, section 9.2, in its order.
func (m *Machine) mobility(now time.Time, octets []byte, p *ipv6.Packet) {
	b, err := mh.Octets(p.Payload)
	if err != nil {
		var problem *mh.Problem
		if errors.As(err, &problem) && checksumOK(p) {
			end := ipv6.HeaderLen + int(binary.BigEndian.Uint16(octets[4:])) // of the packet; padding may follow
			m.parameterProblem(now, octets[:end], p.Src, ipv6.ErroneousField, end-len(p.Payload)+problem.Pointer)
		}
		m.discard(now, p.Src, "malformed-header")
		return
	}
	if ipv6.Checksum(p.UpperSrc(), p.Dst, ipv6.Mobility, b) != 0 {
		m.discard(now, p.Src, "wrong-checksum")
		return
	}
	switch t := mh.Type(b[2]); {
	case t == mh.TypeBindingUpdate:
		m.bindingUpdate(now, p, b)
	case t == mh.TypeBindingRevocation:
		m.revocationMessage(now, p, b)
	case t <= mh.TypeBindingError:
		// A correspondent node's business, or a mobile node's. Route
		// optimisation is not for use with RFC 4285, its section 2, and this
		// home agent has none.
		m.ignore(now, p.Src, t)
	default:
		home := netip.IPv6Unspecified()
		if p.HomeAddress.IsValid() {
			home = p.HomeAddress
		}
		m.ignore(now, p.Src, t)
		m.bindingError(now, p.Src, mh.UnknownType, home)
	}
}

// checksumOK checks the checksum of a Mobility Header that is otherwise wrong.
func checksumOK(p *ipv6.Packet) bool {
	b := p.Payload
	if len(b) < 8 {
		return false
	}
	n := (int(b[1]) + 1) * 8
	return n <= len(b) && ipv6.Checksum(p.UpperSrc(), p.Dst, ipv6.Mobility, b[:n]) == 0
}

// bindingUpdate takes a Binding Update: the tests of RFC 6275, section 9.5.1,
// then those of RFC 4285, then the binding itself.
func (m *Machine) bindingUpdate(now time.Time, p *ipv6.Packet, b []byte) {
	u := &m.update
	if why, detail := read(u, b); why != "" {
		m.discardFor(now, p.Src, why, detail)
		return
	}
	r := request{
		arrived:   now,
		src:       p.Src,
		home:      p.UpperSrc(),
		careOf:    u.CareOf(p.Src),
		option:    p.HomeAddress.IsValid(),
		asks:      p.UpperSrc().IsUnspecified(),
		seq:       u.Seq,
		flags:     u.Flags,
		lifetime:  u.Lifetime,
		stamped:   u.HasTimestamp,
		timestamp: u.Timestamp,
		home4:     home4Request{there: u.HasIPv4Home, option: u.IPv4Home},
	}
	if r.multi = readMulti(u); r.multi.are() {
		r.careOf = r.multi.proven(r.careOf, m.from.IsValid())
	}
	if m.from.IsValid() {
		r.outer = outer{from: m.from, nat: m.from.Addr() != r.careOf.Unmap()}
	}
	switch {
	case !r.outer.isThere() && !unicastRoutable(r.src), r.outer.isThere() && !unicast4(m.from.Addr()): // section 9.5.4
		m.discard(now, r.source(), "source-not-unicast-routable")
	case !r.outer.isThere() && !unicastRoutable(r.careOf): // section 6.1.7
		m.discard(now, p.Src, "care-of-not-unicast-routable")
	case m.authenticates:
		m.authenticate(now, b, u, &r)
	default:
		m.bind(now, &r)
	}
}

// discard notes a Binding Update, or what might have been one, that gets no answer.
func (m *Machine) discard(now time.Time, source netip.Addr, why string) {
	m.discardFor(now, source, why, "")
}

// discardFor is discard, with more words for a person.
func (m *Machine) discardFor(now time.Time, source netip.Addr, why, detail string) {
	if !m.tells(now, updateDiscarded) {
		return
	}
	fields := map[string]any{"reason": why, "source": text(source)}
	if detail != "" {
		fields["detail"] = detail
	}
	m.tell(updateDiscarded, fields)
}

// ignore notes a message that a home agent does nothing with.
func (m *Machine) ignore(now time.Time, source netip.Addr, t mh.Type) {
	if m.tells(now, messageIgnored) {
		m.tell(messageIgnored, map[string]any{"message": t.String(), "source": text(source)})
	}
}

// ignoreFor is ignore of a message that would matter, were it not for a reason.
func (m *Machine) ignoreFor(now time.Time, source netip.Addr, message, reason string) {
	if m.tells(now, messageIgnored) {
		m.tell(messageIgnored, map[string]any{"message": message, "source": text(source), "reason": reason})
	}
}

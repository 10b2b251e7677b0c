package mn

import (
	"net/netip"
	"time"

	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// received takes a packet that may hold a Mobility Header: RFC 6275, sections
// 9.2 and 11.3.3.
func (m *Machine) received(now time.Time, in *Received) {
	p, err := ipv6.Parse(in.Octets)
	if err != nil {
		m.ignore(now, err.Error(), nil)
		return
	}
	source := map[string]any{"source": p.Src.String()}
	if m.mobileIPv4 != nil {
		m.ignore(now, "of Mobile IPv6, which is not in use", source)
		return
	}
	switch {
	case p.RoutingHome.IsValid() && p.SegmentsLeft != 1:
		m.ignore(now, "routing header without a segment left", source)
		return
	case p.RoutingHome.IsValid() && p.RoutingHome != m.home.address && !m.mayAssign(p.RoutingHome):
		m.ignore(now, "routing header to another home address", source)
		return
	case p.HomeAddress.IsValid() && !unicastRoutable(p.HomeAddress): // section 9.3.1
		m.ignore(now, "home address option that is not unicast routable", source)
		return
	}
	switch p.Next {
	case ipv6.Mobility:
	case ipv6.ESP, ipv6.AH:
		return // of no concern here
	default:
		if p.HomeAddress.IsValid() { // section 9.3.1
			m.stranger(now, &p)
		}
		return
	}
	if !mh.ChecksumOK(p.Payload, p.UpperSrc(), p.UpperDst()) {
		m.ignore(now, "checksum", source)
		return
	}
	msg, err := mh.Parse(p.Payload)
	if err != nil {
		m.ignore(now, err.Error(), source)
		return
	}
	if err := mh.Check(msg); err != nil {
		m.ignore(now, err.Error(), source)
		return
	}
	if m.optimized(now, in, &p, msg) {
		return
	}
	switch msg := msg.(type) {
	case *mh.Unknown:
		m.ignore(now, "unknown message type", source)
		m.tellError(now, &p, mh.UnknownType)
	case *mh.BindingAcknowledgement:
		if reason := m.misdirected(&p, in.From); reason != "" {
			m.ignore(now, reason, source)
			return
		}
		octets, err := mh.Octets(p.Payload)
		if err != nil {
			return // Parse has seen to that
		}
		m.acknowledged(now, msg, octets, m.subject(&p))
	case *mh.BindingRevocationIndication:
		if octets, err := mh.Octets(p.Payload); err == nil {
			m.revocationIndicated(now, m.pathOf(in, &p), &p, msg, octets)
		}
	case *mh.HomeAgentSwitch:
		if octets, err := mh.Octets(p.Payload); err == nil {
			m.switchIndicated(now, m.pathOf(in, &p), &p, msg, octets)
		}
	case *mh.BindingError:
		m.bindingError(now, &p, msg)
	case *mh.BindingRefreshRequest:
		if p.Src != m.cfg.HomeAgent {
			m.ignore(now, "binding refresh request not from the home agent", source)
			return
		}
		m.again(now, "binding refresh request")
	default:
		m.ignore(now, "unexpected "+mh.Name(msg), source)
	}
}

// misdirected says what is wrong with the addresses of a Binding
// Acknowledgement; empty: nothing. It goes to where the Binding Update came
// from, by way of a type 2 routing header unless that was the home address: RFC
// 6275, section 9.5.4.
//
// By IPv4 it comes in UDP from where that went, to the home address: RFC 5555,
// section 4.2.
func (m *Machine) misdirected(p *ipv6.Packet, from netip.AddrPort) string {
	u := m.registration.waiting
	var to netip.AddrPort
	if u != nil {
		_, to = m.ends(u)
	}
	switch {
	case u != nil && from != to:
		return "binding acknowledgement by another way than the binding update"
	case p.Src != m.cfg.HomeAgent || p.HomeAddress.IsValid():
		return "binding acknowledgement not from the home agent"
	case from.IsValid() && p.RoutingHome.IsValid():
		return "binding acknowledgement in UDP with a routing header"
	case u != nil && from.IsValid() && u.asks(): // its destination is the home address, or it refuses one
	case u != nil && !from.IsValid() && p.Dst != u.source:
		return "binding acknowledgement to another address"
	case u != nil && u.asks(): // its routing header names the home address; a refusal has none
	case p.UpperDst() != m.home.address:
		return "binding acknowledgement without the home address"
	}
	return ""
}

// mayAssign says whether an acknowledgement may come by way of a home address
// that this node has not: it has asked for one.
func (m *Machine) mayAssign(a netip.Addr) bool {
	u := m.registration.waiting
	return u != nil && u.asks() && unicastRoutable(a)
}

// subject is the home address that a Binding Acknowledgement which is not
// misdirected is about; unspecified: it refuses to assign one.
func (m *Machine) subject(p *ipv6.Packet) netip.Addr {
	u := m.registration.waiting
	switch {
	case p.RoutingHome.IsValid():
		return p.RoutingHome
	case u != nil && u.asks() && u.overIPv4():
		return p.Dst
	}
	return m.home.told()
}

// bindingError takes a Binding Error: RFC 6275, section 11.3.6.
func (m *Machine) bindingError(now time.Time, p *ipv6.Packet, e *mh.BindingError) {
	switch {
	case p.Src != m.cfg.HomeAgent:
		m.ignore(now, "binding error not from the home agent", map[string]any{"source": p.Src.String()})
	case e.Status == mh.UnknownBinding && e.HomeAddress == m.home.address:
		if u := m.registration.waiting; u != nil && m.mayFallBack(u) {
			// A home agent that was restarted answers so to an MN-HA option under
			// a key that it has lost. Silence would mean the same, but later.
			m.fallBack(now)
			return
		}
		m.multi.forget() // it may have lost them all
		m.again(now, "binding error")
	default:
		// Unrecognised MH type: no extension is in use that could be left out.
		m.ignore(now, "binding error", map[string]any{"status": uint8(e.Status)})
	}
}

// again registers once more since the home agent seems to want it. Anybody can
// say so in its name; so it happens at most once a second, and not while a
// Binding Update is out.
func (m *Machine) again(now time.Time, why string) {
	r := &m.registration
	if m.here == nil || m.here.home || !r.bound || r.waiting != nil || !r.retryAt.IsZero() ||
		now.Sub(r.recent[maxUpdateRate-1]) < time.Second {
		m.ignore(now, why+" while there is nothing to register", nil)
		return
	}
	m.register(now)
}

// tellError sends a Binding Error about a packet: RFC 6275, section 9.3.3, with
// a rate limit as that section wants it. None goes to what is no unicast address.
func (m *Machine) tellError(now time.Time, p *ipv6.Packet, status mh.BindingErrorStatus) {
	if m.here == nil || m.here.home && !m.homecoming.done || p.Dst != m.careOf || !unicastRoutable(p.Src) ||
		!m.errorAt.IsZero() && now.Sub(m.errorAt) < time.Second {
		return
	}
	e := &mh.BindingError{Status: status, HomeAddress: netip.IPv6Unspecified()}
	if p.HomeAddress.IsValid() {
		e.HomeAddress = p.HomeAddress
	}
	header, err := mh.Append(nil, e, p.Dst, p.Src)
	if err != nil {
		return
	}
	octets, err := ipv6.Append(nil, &ipv6.Packet{Src: p.Dst, Dst: p.Src, HopLimit: 64, Next: ipv6.Mobility, Payload: header})
	if err != nil {
		return
	}
	m.errorAt = now
	m.do(SendMobility{Dev: m.here.dev, Octets: octets})
}

// unicastRoutable says whether a can be a home address: RFC 6275, section 9.3.1.
func unicastRoutable(a netip.Addr) bool {
	return a.Is6() && !a.Is4In6() && a.IsGlobalUnicast()
}

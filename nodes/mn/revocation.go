package mn

import (
	"bytes"
	"errors"
	"net/netip"
	"time"

	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
	"s2clab/nodes/wire/udp"
)

// repeatedFor is how long an indication that was answered may come again, because
// the answer was lost: longer than a home agent with the defaults of RFC 5846,
// section 11, tries.
const repeatedFor = 10 * time.Second

// A farewell is the answer to a Binding Revocation Indication.
type farewell struct {
	indication []byte    // its Mobility Header; nil: there was none
	at         time.Time // when it was answered
	by         path      // that it came by
	answer     []byte    // the packet
}

// A path is what a message that the home agent sent on its own came by.
type path struct {
	careOf netip.Addr     // where it came to
	agent  netip.AddrPort // where it came from, in UDP over IPv4; not valid: as IPv6
}

// pathOf is that of a message.
func (m *Machine) pathOf(in *Received, p *ipv6.Packet) path {
	if in.From.IsValid() { // its destination is the home address: RFC 5846, section 4
		return path{m.careOf, in.From}
	}
	return path{p.Dst, netip.AddrPort{}}
}

// noticeFrom says what is wrong with a message that the home agent sends on its
// own, for which RFC 5846, section 10, and RFC 5142, section 6.1, want the same:
// it is from the home agent, to our home address at our care-of address, and
// protected like a Binding Acknowledgement. Empty: nothing.
func (m *Machine) noticeFrom(by path, p *ipv6.Packet, options []mh.Option, octets []byte) string {
	switch {
	case p.Src != m.cfg.HomeAgent || p.HomeAddress.IsValid():
		return "not from the home agent"
	case by.agent.IsValid() && (!m.careOf.Is4() || by.agent != m.agent4()):
		return "by IPv4, where the home agent has no binding"
	case by.agent.IsValid() && p.RoutingHome.IsValid():
		return "in UDP with a routing header"
	case p.UpperDst() != m.home.address || !by.agent.IsValid() && !p.RoutingHome.IsValid():
		return "without the home address"
	}
	if err := m.security.openNotice(options, octets, by.careOf, m.home.address); err != nil {
		return err.Error()
	}
	return ""
}

var errNoAssociation = errors.New("there is no key to believe it by")

// openNotice says whether a notice to a care-of address is the home agent's (a
// nil error). Its timestamp is that of a Binding Update of ours, which the home
// agent has accepted: the last that it has acknowledged, or one sent since.
func (s *security) openNotice(options []mh.Option, octets []byte, careOf, home netip.Addr) error {
	if !s.integrity {
		return nil
	}
	if s.association == nil {
		return errNoAssociation
	}
	if err := association.Verify(octets, s.association, careOf, home); err != nil {
		return err
	}
	if !s.timestamps {
		return nil
	}
	r, ok := mh.Find[mh.ReplayProtection](options)
	if !ok || s.accepted != 0 && int64(r.Timestamp-s.accepted) < 0 || int64(s.sent-r.Timestamp) < 0 {
		return errTimestamp
	}
	return nil
}

// revocationIndicated takes a Binding Revocation Indication: RFC 5846, sections
// 6.2.1 and 10.
func (m *Machine) revocationIndicated(now time.Time, by path, p *ipv6.Packet, bri *mh.BindingRevocationIndication, octets []byte) {
	if f := &m.farewell; now.Sub(f.at) < repeatedFor && bytes.Equal(f.indication, octets) && f.by == by {
		m.send(by, f.answer)
		return
	}
	if why := m.noticeFrom(by, p, bri.Options, octets); why != "" {
		m.ignore(now, "binding revocation: "+why, map[string]any{"source": p.Src.String(), "seq": bri.Seq})
		return
	}
	if r := &m.registration; !r.bound && !r.mayBeHeld(now) {
		m.ignore(now, "binding revocation: there is no binding", map[string]any{"source": p.Src.String(), "seq": bri.Seq})
		return
	}
	if !m.security.timestamps && m.security.integrity {
		// What no timestamp tells apart, the sequence number must.
		if m.security.revoked && !mh.SeqAfter(bri.Seq, m.security.revokedSeq) {
			m.ignore(now, "binding revocation: sequence number is not newer", map[string]any{"source": p.Src.String(), "seq": bri.Seq})
			return
		}
		m.security.revoked, m.security.revokedSeq = true, bri.Seq
	}
	status := m.judgeRevocation(bri)
	m.answerRevocation(now, by, p, bri, status, octets)
	m.event("binding-revoked", map[string]any{"home-address": m.home.address.String(), "seq": bri.Seq,
		"trigger": bri.Trigger.String(), "status": uint8(status), "name": status.String()})
	if status.Accepts() {
		m.withdraw(now, bri.Trigger)
	}
}

// judgeRevocation gives the status that a believed indication is answered with:
// RFC 5846, sections 6.2.1 and 10.
func (m *Machine) judgeRevocation(bri *mh.BindingRevocationIndication) mh.RevocationStatus {
	global := bri.Flags&mh.BRGlobal != 0
	switch {
	case bri.Flags&mh.BRProxy != 0:
		return mh.RevocationProxyNotSupported
	case global != bri.Trigger.Global():
		return mh.RevocationFunctionNotSupported
	case global: // it is for all mobile nodes of a mobile access gateway, which this is not
		return mh.RevocationGlobalNotAuthorized
	case !knownTrigger(bri.Trigger):
		return mh.RevocationTriggerNotSupported
	case bri.Flags&mh.BRIPv4Only != 0:
		if _, ok := mh.Find[mh.IPv4HomeAddress](bri.Options); !ok {
			return mh.RevocationIPv4Required
		}
		return mh.RevocationNoBinding // of an IPv4 home address: there is none
	}
	return mh.Revoked
}

// knownTrigger says whether a trigger is one for a mobile node that registers
// itself. Those of handovers between mobile access gateways are not.
func knownTrigger(t mh.RevocationTrigger) bool {
	switch t {
	case mh.RevokeUnspecified, mh.RevokeAdministrative, mh.RevokeUser, mh.RevokeAccessNetwork, mh.RevokeOutOfSync:
		return true
	}
	return false
}

// answerRevocation sends a Binding Revocation Acknowledgement: RFC 5846, section
// 6.1.2, with the protection that the indication had. It says who we are by a Home
// Address option, or its source over IPv4, as a Binding Update does.
func (m *Machine) answerRevocation(now time.Time, by path, p *ipv6.Packet, bri *mh.BindingRevocationIndication, status mh.RevocationStatus, octets []byte) {
	bra := &mh.BindingRevocationAcknowledgement{Status: status, Seq: bri.Seq,
		Flags: bri.Flags & (mh.BRProxy | mh.BRIPv4Only | mh.BRGlobal)}
	if m.cfg.NAI != "" {
		bra.Options = append(bra.Options, mh.MNIdentifier{Subtype: mh.NAI, Identifier: m.cfg.NAI})
	}
	if r, ok := mh.Find[mh.ReplayProtection](bri.Options); ok {
		bra.Options = append(bra.Options, r)
	}
	home := m.home.address
	var header []byte
	var err error
	if m.security.integrity {
		header, err = association.SealMNHA(nil, bra, m.security.association, by.careOf, home, home, p.Src)
	} else {
		header, err = mh.Append(nil, bra, home, p.Src)
	}
	if err != nil {
		return // nothing in it can be too long: all of it was in a Binding Update
	}
	answer := ipv6.Packet{Src: by.careOf, Dst: p.Src, HomeAddress: home, HopLimit: 64, Next: ipv6.Mobility, Payload: header}
	if by.agent.IsValid() {
		answer.Src, answer.HomeAddress = home, netip.Addr{}
	}
	packet, err := ipv6.Append(nil, &answer)
	if err != nil {
		return
	}
	m.farewell = farewell{indication: bytes.Clone(octets), at: now, by: by, answer: packet}
	m.send(by, packet)
}

// send sends a packet back by the path of another, where a device still has the care-of
// address.
func (m *Machine) send(by path, packet []byte) {
	for _, a := range m.accesses {
		if a.carrier && (a.address.prefix.Addr() == by.careOf || a.previous.Addr() == by.careOf || a.ipv4.prefix.Addr() == by.careOf) {
			o := SendMobility{Dev: a.dev, Octets: packet}
			if by.agent.IsValid() {
				o.From, o.To = netip.AddrPortFrom(by.careOf, udp.EncapsulationPort), by.agent
			}
			m.do(o)
			return
		}
	}
}

// withdraw gives the binding up, and does what the trigger suggests: RFC 5846,
// section 10. Whoever was only out of sync registers again at once. Everybody else
// waits until he is attached anew, or told to register: the network does not want
// him where he is.
func (m *Machine) withdraw(now time.Time, trigger mh.RevocationTrigger) {
	m.registration.unbind()
	m.clearTunnel()
	if trigger == mh.RevokeOutOfSync {
		if m.absence == present && m.here != nil && !m.here.home {
			m.register(now)
		}
		return
	}
	m.security.expired()
	if m.absence == present {
		m.absence = revoked
	}
}

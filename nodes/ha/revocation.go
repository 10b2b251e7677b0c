package ha

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// maxRevocations is how many revocations may be under way: RFC 5846, section 5.1,
// lets no two that are outstanding have one sequence number.
const maxRevocations = 1 << 16

// A revocation is a Binding Revocation Indication without an answer: the mark
// that RFC 5846, section 7, sets in a binding. The binding stays in force.
type revocation struct {
	binding  *binding
	trigger  mh.RevocationTrigger
	seq      uint16
	octets   []byte // of the packet, which is sent again as it is: section 6.3
	attempt  int
	interval time.Duration  // the wait that ends at the timer's time
	ends     bool           // with the binding, the mobile node's session ends
	proof    *mobilitySA    // nil: nothing is proven
	careOf   netip.Addr     // where it went
	outer    netip.AddrPort // in UDP over IPv4, there: RFC 5846, section 4; not valid: as IPv6
	timer    timer
}

// An order asks for the revocation of a mobile node's bindings.
type order struct {
	NAI         string     // of whom; where nobody is asked who he is, it is his HomeAddress
	HomeAddress netip.Addr //
	Trigger     mh.RevocationTrigger
}

// errNoBinding says that there is nothing to act on.
var errNoBinding = errors.New("has no binding here")

// Revoke takes the bindings of a mobile node away: RFC 5846, section 7. That it
// has none is an error.
func (m *Machine) Revoke(now time.Time, o order) ([]Output, error) {
	m.begin()
	if o.Trigger.Global() || !supported(o.Trigger) {
		return nil, fmt.Errorf("trigger %v: want one that a home agent has for one mobile node", o.Trigger)
	}
	if m.registrar != nil && m.registrar.revokeOrdered(m, now, o) {
		return m.out, nil
	}
	found := m.bindingsOf(o.NAI, o.HomeAddress)
	if len(found) == 0 {
		return nil, fmt.Errorf("%s %w", cmpOr(o.NAI, text(o.HomeAddress)), errNoBinding)
	}
	for _, b := range found {
		if err := m.revoke(now, b, o.Trigger); err != nil {
			return m.out, err
		}
	}
	return m.remember(), nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// supported says whether a trigger is one of those for a mobile node that
// registers itself.
func supported(t mh.RevocationTrigger) bool {
	switch t {
	case mh.RevokeUnspecified, mh.RevokeAdministrative, mh.RevokeUser, mh.RevokeAccessNetwork, mh.RevokeOutOfSync:
		return true
	}
	return false
}

// bindingsOf gives the bindings of a mobile node that are in force or about to
// be, by home address.
func (m *Machine) bindingsOf(nai string, home netip.Addr) []*binding {
	var found []*binding
	for _, b := range m.bindings {
		mine := b.home == home
		if b.subscriber != nil && nai != "" {
			mine = b.subscriber.nai == nai
		}
		if mine && b.state != invalid {
			found = append(found, b)
		}
	}
	slices.SortFunc(found, func(a, b *binding) int { return a.home.Compare(b.home) })
	return found
}

// revoke begins a revocation. What is not bound yet needs none.
func (m *Machine) revoke(now time.Time, b *binding, trigger mh.RevocationTrigger) error {
	if b.state == detecting {
		r := b.pending
		m.endDetection(b)
		m.held--
		m.end(now, b)
		m.refuse(now, &r, mh.Prohibited, "revoked")
		return nil
	}
	if b.revocation != nil {
		return nil // one is under way
	}
	if len(m.revocations) == maxRevocations {
		return errors.New("too many revocations are under way")
	}
	v := &revocation{binding: b, trigger: trigger, careOf: b.careOf, outer: b.outer.from, proof: b.association, interval: m.revoking.Delay,
		// Nothing but the mobile node's memory is wrong where it is out of sync.
		ends: trigger != mh.RevokeOutOfSync}
	v.timer.owner = v
	if err := m.indicate(v); err != nil {
		return err
	}
	m.endSwitch(now, b.handoff)
	b.revocation = v
	m.revocations[v.seq] = v
	if v.ends {
		m.endAssociations(b.subscriber)
	}
	m.transmitRevocation(now, v)
	return nil
}

// indicate makes the packet of a revocation: RFC 5846, sections 6.1.1 and 7.
func (m *Machine) indicate(v *revocation) error {
	for m.revocations[m.revocationSeq] != nil {
		m.revocationSeq++
	}
	v.seq = m.revocationSeq
	m.revocationSeq++
	octets, err := m.notice(&mh.BindingRevocationIndication{Trigger: v.trigger, Seq: v.seq, Options: v.binding.identity()}, v.binding)
	v.octets = octets
	return err
}

// identity gives the options that say whose binding a message is about, and of
// when: see the package association.
func (b *binding) identity() []mh.Option {
	var options []mh.Option
	if b.subscriber != nil {
		options = append(options, mh.MNIdentifier{Subtype: mh.NAI, Identifier: b.subscriber.nai})
	}
	if b.timestamps {
		options = append(options, mh.ReplayProtection{Timestamp: b.timestamp})
	}
	return options
}

// notice makes a packet to the care-of address of a binding that nobody has asked
// for, as well protected as its Binding Updates are.
func (m *Machine) notice(message mh.Message, b *binding) ([]byte, error) {
	return m.noticeTo(message, b.careOf, b.outer.isThere(), b.home, b.association)
}

// noticeTo is notice to a mobile node of which only that is known. a may be nil.
// Over IPv4 it goes straight to the home address, as a Binding Acknowledgement does.
func (m *Machine) noticeTo(message mh.Message, careOf netip.Addr, overIPv4 bool, home netip.Addr, a *mobilitySA) ([]byte, error) {
	var header []byte
	var err error
	if a != nil {
		header, err = association.SealMNHA(nil, message, a.Association, careOf, home, m.address, home)
	} else {
		header, err = mh.Append(nil, message, m.address, home)
	}
	if err != nil {
		return nil, err
	}
	p := ipv6.Packet{Src: m.address, Dst: home, HopLimit: hopLimit, Next: ipv6.Mobility, Payload: header}
	if !overIPv4 {
		p.Dst, p.RoutingHome, p.SegmentsLeft = careOf, home, 1
	}
	return ipv6.Append(nil, &p)
}

func (m *Machine) transmitRevocation(now time.Time, v *revocation) {
	v.attempt++
	m.sendOctets(v.octets, v.outer)
	m.timers.set(&v.timer, now.Add(v.interval))
	if m.tells(now, revocationSent) {
		m.tell(revocationSent, map[string]any{"nai": v.binding.name(), "home-address": text(v.binding.home), "care-of": text(v.careOf),
			"seq": v.seq, "trigger": v.trigger.String(), "attempt": v.attempt})
	}
}

// name is the NAI of the mobile node that holds a binding; empty: not known.
func (b *binding) name() string {
	if b.subscriber == nil {
		return ""
	}
	return b.subscriber.nai
}

// due sends the indication again, or ends the binding unheard: RFC 5846, section
// 6.3.
func (v *revocation) due(m *Machine, now time.Time) {
	if v.attempt <= m.revoking.Retries {
		v.interval = min(2*v.interval, max(m.revoking.Timeout, m.revoking.Delay))
		m.transmitRevocation(now, v)
		return
	}
	m.revoked(now, v.binding, "revocation-unanswered")
}

// revoked takes a binding away after its revocation.
func (m *Machine) revoked(now time.Time, b *binding, reason string) {
	m.release(now, b)
	m.invalidate(now, b)
	if m.tells(now, bindingDeleted) {
		m.tell(bindingDeleted, map[string]any{"home-address": text(b.home), "reason": reason})
	}
}

// endRevocation forgets that a revocation is under way.
func (m *Machine) endRevocation(b *binding) {
	v := b.revocation
	if v == nil {
		return
	}
	b.revocation = nil
	delete(m.revocations, v.seq)
	m.timers.remove(&v.timer)
}

// revocationMessage takes a Binding Revocation message. Indications are for
// mobile nodes: RFC 5846, section 13, lets nobody revoke what is not registered
// with him.
func (m *Machine) revocationMessage(now time.Time, p *ipv6.Packet, b []byte) {
	message, err := mh.Parse(b)
	answer, ok := message.(*mh.BindingRevocationAcknowledgement)
	switch {
	case err != nil || mh.CheckOctets(b) != nil:
		m.ignoreFor(now, p.Src, "binding-revocation", "malformed")
	case !ok:
		m.ignoreFor(now, p.Src, mh.Name(message), "not-for-a-home-agent")
	default:
		m.revocationAnswered(now, p, b, answer)
	}
}

// revocationAnswered takes the answer to a revocation: RFC 5846, section 6.2.2.
func (m *Machine) revocationAnswered(now time.Time, p *ipv6.Packet, b []byte, answer *mh.BindingRevocationAcknowledgement) {
	v := m.revocations[answer.Seq]
	why := ""
	switch {
	case v == nil:
		why = "answers-nothing-outstanding"
	case p.UpperSrc() != v.binding.home:
		why = "answers-for-another-home-address"
	case v.proof == nil && !v.outer.IsValid() && p.Src != v.careOf:
		why = "answer-from-another-care-of-address"
	case v.proof != nil && !m.proves(b, v, answer):
		why = "unproven"
	}
	if why != "" {
		m.ignoreFor(now, p.Src, mh.Name(answer), why)
		return
	}
	if m.tells(now, revocationAnswered) {
		m.tell(revocationAnswered, map[string]any{"nai": v.binding.name(), "home-address": text(v.binding.home),
			"seq": v.seq, "status": int(answer.Status), "name": answer.Status.String()})
	}
	m.concludeRevocation(now, v, answer.Status)
}

func (m *Machine) proves(b []byte, v *revocation, answer *mh.BindingRevocationAcknowledgement) bool {
	if association.Verify(b, v.proof.Association, v.careOf, v.binding.home) != nil {
		return false
	}
	stamp, ok := mh.Find[mh.ReplayProtection](answer.Options)
	return !v.binding.timestamps || ok && stamp.Timestamp == v.binding.timestamp
}

// concludeRevocation does what an answer's status asks for. RFC 5846, section
// 6.2.2, leaves it to the home agent what a refusal means. Here the decision to
// revoke stands, with two exceptions: a trigger that the mobile node does not
// know is left out and the indication sent anew, and a mobile node that says it
// is attached keeps its binding.
func (m *Machine) concludeRevocation(now time.Time, v *revocation, status mh.RevocationStatus) {
	b := v.binding
	switch {
	case status.Accepts():
		m.revoked(now, b, "revoked")
	case status == mh.RevocationNoBinding: // and none is to be here
		m.revoked(now, b, "revoked")
	case status == mh.RevocationAttached:
		m.endRevocation(b)
		m.schedule(b)
	case status == mh.RevocationTriggerNotSupported && v.trigger != mh.RevokeUnspecified:
		m.endRevocation(b)
		ends := v.ends
		if m.revoke(now, b, mh.RevokeUnspecified) == nil && b.revocation != nil {
			b.revocation.ends = ends
		}
	default:
		m.revoked(now, b, "revocation-refused")
	}
}

package ha

import (
	"fmt"
	"net/netip"
	"time"

	"s2clab/nodes/wire/mh"
)

// Constants of RFC 5142, section 8.
const (
	initialSwitchTimeout = 5 * time.Second
	maxSwitchTimeout     = 20 * time.Second
	switchSpacing        = time.Second // MAX-HA-SWITCH-TRANSMIT-RATE is one a second
)

// relocationTries is how often a mobile node that has no binding here, and so can
// give no sign that it has gone elsewhere, is told to.
const relocationTries = 3

// maxHomeAgents is how many home agents one message names, so that it fits into
// the smallest packet that every link carries.
const maxHomeAgents = 32

// A handoff is a Home Agent Switch that a mobile node has not followed yet: RFC
// 5142, section 5. A binding stays in force until the mobile node deletes it.
type handoff struct {
	home     netip.Addr
	careOf   netip.Addr     // where the message goes
	outer    netip.AddrPort // in UDP over IPv4, there; not valid: as IPv6
	to       []netip.Addr
	binding  *binding // nil: none is made here, as the AAA has it
	proof    *mobilitySA
	owner    *subscriber
	stamped  bool
	stamp    uint64
	attempt  int
	interval time.Duration // the wait that ends at the timer's time
	timer    timer
}

// Switch has a mobile node go to another home agent, to the first of those named
// that will have it: RFC 5142. Mobile nodes are told one after the other, at the
// rate of section 7. That it has no binding here is an error.
func (m *Machine) Switch(now time.Time, nai string, home netip.Addr, to []netip.Addr) ([]Output, error) {
	m.begin()
	if len(to) == 0 || len(to) > maxHomeAgents {
		return nil, fmt.Errorf("%d home agents to switch to: want 1 to %d", len(to), maxHomeAgents)
	}
	for _, a := range to {
		if !unicastRoutable(a) || m.isOwn(a) {
			return nil, fmt.Errorf("home agent %v: want the address of another", a)
		}
	}
	found := 0
	for _, b := range m.bindingsOf(nai, home) {
		if b.state != bound || b.revocation != nil {
			continue
		}
		found++
		if b.handoff == nil {
			m.switchBinding(now, b, to)
		}
	}
	if found == 0 {
		return nil, fmt.Errorf("%s %w", cmpOr(nai, text(home)), errNoBinding)
	}
	return m.remember(), nil
}

// switchBinding begins the switch of a mobile node that is bound here.
func (m *Machine) switchBinding(now time.Time, b *binding, to []netip.Addr) {
	b.handoff = &handoff{home: b.home, careOf: b.careOf, outer: b.outer.from, to: to, binding: b, proof: b.association, owner: b.subscriber,
		stamped: b.timestamps, stamp: b.timestamp}
	m.beginSwitch(now, b.handoff)
}

// moveOn switches a mobile node that has just been bound, where the AAA names
// another home agent all the same: RFC 5778, section 6.6, with results other than
// that of relocate.
func (m *Machine) moveOn(now time.Time, to netip.Addr, r *request) {
	b := m.bindings[r.home]
	if unicastRoutable(to) && !m.isOwn(to) && b != nil && b.state == bound && b.association == r.association && b.handoff == nil {
		m.switchBinding(now, b, []netip.Addr{to})
	}
}

// relocate sends a mobile node that the AAA wants elsewhere there, without a
// binding: RFC 5778, section 6.6, and TS 23.402, section 6.10.
func (m *Machine) relocate(now time.Time, r *request, to netip.Addr) {
	if r.association == nil || !unicastRoutable(to) || m.isOwn(to) || len(m.switches) >= m.maxBindings {
		return
	}
	m.endSwitch(now, m.switches[r.home])
	m.beginSwitch(now, &handoff{home: r.home, careOf: r.careOf, outer: r.outer.from, to: []netip.Addr{to}, proof: r.association, owner: r.subscriber,
		stamped: r.stamped, stamp: r.timestamp})
}

// beginSwitch tells the mobile node, or puts that off where it would be too many
// in a second. One that has just asked is answered at once: it is the one that
// set the rate.
func (m *Machine) beginSwitch(now time.Time, h *handoff) {
	h.interval, h.timer.owner = initialSwitchTimeout, h
	m.switches[h.home] = h
	if h.binding != nil && now.Before(m.nextSwitch) {
		m.timers.set(&h.timer, m.nextSwitch)
		m.nextSwitch = m.nextSwitch.Add(switchSpacing)
		return
	}
	m.nextSwitch = now.Add(switchSpacing)
	m.transmitSwitch(now, h)
}

func (m *Machine) transmitSwitch(now time.Time, h *handoff) {
	h.attempt++
	message := &mh.HomeAgentSwitch{Addresses: h.to}
	if h.owner != nil {
		message.Options = append(message.Options, mh.MNIdentifier{Subtype: mh.NAI, Identifier: h.owner.nai})
	}
	if h.stamped {
		message.Options = append(message.Options, mh.ReplayProtection{Timestamp: h.stamp})
	}
	octets, err := m.noticeTo(message, h.careOf, h.outer.IsValid(), h.home, h.proof)
	if err != nil {
		return // nothing in it can be too long
	}
	m.sendOctets(octets, h.outer)
	m.timers.set(&h.timer, now.Add(h.interval))
	if m.tells(now, switchSent) {
		name := ""
		if h.owner != nil {
			name = h.owner.nai
		}
		m.tell(switchSent, map[string]any{"nai": name, "home-address": text(h.home), "care-of": text(h.careOf),
			"home-agent": text(h.to[0]), "attempt": h.attempt})
	}
}

// due sends the message for the first time, or again: RFC 5142, section 5.2, at
// the slower rate until the binding ends.
func (h *handoff) due(m *Machine, now time.Time) {
	switch {
	case h.attempt == 0:
	case h.binding == nil && h.attempt >= relocationTries:
		m.endSwitch(now, h)
		return
	default:
		h.interval = min(2*h.interval, maxSwitchTimeout)
	}
	m.transmitSwitch(now, h)
}

// refuseWhileSwitching refuses to extend a binding that is to go: RFC 5142,
// section 5.3. A mobile node that is somewhere else by now is told there.
func (m *Machine) refuseWhileSwitching(now time.Time, r *request, h *handoff) {
	m.refuse(now, r, mh.Prohibited, "being-switched")
	if h.careOf != r.careOf {
		h.careOf, h.outer = r.careOf, r.outer.from
		m.transmitSwitch(now, h)
	}
}

// endSwitch ends a switch, whether it was followed or not. The key that a mobile
// node without a binding was told by has done its work. h may be nil.
func (m *Machine) endSwitch(now time.Time, h *handoff) {
	if h == nil {
		return
	}
	m.timers.remove(&h.timer)
	delete(m.switches, h.home)
	if h.binding != nil {
		h.binding.handoff = nil
		return
	}
	if !h.owner.configured {
		h.proof.ended = true
		h.owner.due(m, now)
	}
}

package mn

import (
	"time"

	"s2clab/nodes/session/discovery"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// switchPatience is how many Binding Updates without an answer a home agent gets
// during a switch, before the mobile node goes on without it. RFC 5142 says only
// that the next is tried where the first cannot provide service.
const switchPatience = 3

// A transfer is the way to another home agent: RFC 5142, section 6. The zero value
// is none.
type transfer struct {
	to      []discovery.Agent // home agents that have not been tried, in their order
	leaving bool              // the binding at the one before is being deleted
	trying  bool              // the present home agent has not accepted us yet
}

// switchIndicated takes a Home Agent Switch message: RFC 5142, section 6.1.
//
// The Binding Refresh Advice option, which would let the mobile node stay for a
// while, is not made use of: it may, it need not.
func (m *Machine) switchIndicated(now time.Time, by path, p *ipv6.Packet, has *mh.HomeAgentSwitch, octets []byte) {
	source := map[string]any{"source": p.Src.String()}
	if why := m.noticeFrom(by, p, has.Options, octets); why != "" {
		m.ignore(now, "home agent switch: "+why, source)
		return
	}
	var to []discovery.Agent
	for _, a := range has.Addresses {
		if a != m.cfg.HomeAgent && a.Is6() && a.IsGlobalUnicast() {
			to = append(to, discovery.Agent{Address: a})
		}
	}
	switch {
	case m.transfer.leaving:
		m.ignore(now, "home agent switch: one is under way", source)
		return
	case by.agent.IsValid(): // RFC 5142, section 4, has no IPv4 addresses
		m.ignore(now, "home agent switch: names no address that IPv4 leads to", source)
		return
	case len(to) == 0: // differs from RFC 5142, section 4, which has the mobile node discover one then
		m.ignore(now, "home agent switch: names no other home agent", source)
		return
	case m.absence != present:
		m.ignore(now, "home agent switch: there is no binding", source)
		return
	}
	m.event("switch-indicated", map[string]any{"home-address": m.home.address.String(), "home-agent": to[0].Address.String(), "source": p.Src.String()})
	m.transfer = transfer{to: to}
	if !m.registration.mayBeHeld(now) {
		m.nextHomeAgent(now)
		return
	}
	m.transfer.leaving = true
	if m.here != nil {
		m.register(now) // deletes the binding: section 6.1
	}
}

// left ends the deletion of a binding at the home agent that is left.
func (m *Machine) left(now time.Time) {
	m.transfer.leaving = false
	m.registration.unbind()
	m.clearTunnel()
	m.nextHomeAgent(now)
}

// nextHomeAgent registers with the next home agent: RFC 5142, section 6.2. What is
// known of the one before does not hold of it. It is taken to serve the same home
// prefix.
func (m *Machine) nextHomeAgent(now time.Time) {
	t := &m.transfer
	changed := m.cfg.HomeAgent.IsValid() && m.cfg.HomeAgent != t.to[0].Address
	m.cfg.HomeAgent = t.to[0].Address
	if m.finder.search != nil {
		m.dual.agent = t.to[0].Address4
	}
	t.to, t.trying = t.to[1:], true
	m.registration.unbind()
	m.registration.duplicate = false
	m.security.forHomeAgent()
	m.multi.forHomeAgent()
	if changed {
		m.event("home-agent-changed", map[string]any{"home-address": m.home.told().String(), "home-agent": m.cfg.HomeAgent.String()})
	}
	if m.here != nil && !m.here.home {
		m.register(now)
	}
}

// forHomeAgent prepares for another home agent: a key that came by way of the AAA
// server is for one only.
func (s *security) forHomeAgent() {
	s.expired()
	s.granted, s.ending, s.revoked = 0, false, false
}

// impatient goes on without a home agent that does not answer; false: there is
// nowhere to go, or it still has time.
func (m *Machine) impatient(now time.Time) bool {
	t := &m.transfer
	switch {
	case m.registration.attempt < switchPatience:
		return false
	case t.leaving:
		m.left(now) // its binding ends with its lifetime
	case t.trying && len(t.to) > 0:
		m.nextHomeAgent(now)
	case t.trying || !m.registration.bound:
		m.findAnother(now)
		return m.registration.attempt < switchPatience
	default:
		return false
	}
	return true
}

// refusedTransfer goes on where a home agent has refused for good what a transfer
// asked of it.
func (m *Machine) refusedTransfer(now time.Time) {
	t, r := &m.transfer, &m.registration
	switch {
	case !r.retryAt.IsZero():
	case t.leaving:
		m.left(now)
	case t.trying && len(t.to) > 0:
		m.nextHomeAgent(now)
	case t.trying:
		m.findAnother(now)
	}
}

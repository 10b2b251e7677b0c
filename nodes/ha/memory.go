package ha

import (
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/replica"
)

// A memory is what a Machine tells of itself so that another, in a later life,
// knows it too: which of its things have changed since it last told. The zero
// value tells nothing.
type memory struct {
	keeps       bool
	subscribers []*subscriber // changed, in that order
	bindings    []*binding
}

// Keeps has the Machine give a Keep for each thing that changes, from now on.
func (m *Machine) Keeps() { m.memory.keeps = true }

// changedSubscriber notes that what is known of a subscriber has changed. s may be
// nil.
func (m *Machine) changedSubscriber(s *subscriber) {
	if m.memory.keeps && s != nil && !slices.Contains(m.memory.subscribers, s) {
		m.memory.subscribers = append(m.memory.subscribers, s)
	}
}

func (m *Machine) changedBinding(b *binding) {
	if m.memory.keeps && !slices.Contains(m.memory.bindings, b) {
		m.memory.bindings = append(m.memory.bindings, b)
	}
}

// remember tells what has changed in this Step: subscribers, then bindings, which
// need them.
func (m *Machine) remember() []Output {
	k := &m.memory
	if !k.keeps {
		return m.out
	}
	for _, s := range k.subscribers {
		if m.subscribers[s.nai] == s {
			m.do(Keep{s.record()})
		} else {
			m.do(Keep{replica.SubscriberGone{NAI: s.nai}})
		}
	}
	for _, b := range k.bindings {
		if m.bindings[b.home] == b && b.state == bound {
			m.do(Keep{b.record()})
		} else if other := m.bindings[b.home]; other == nil || other == b {
			m.do(Keep{replica.BindingGone{Home: b.home}})
		}
	}
	clear(k.subscribers)
	clear(k.bindings)
	k.subscribers, k.bindings = k.subscribers[:0], k.bindings[:0]
	return m.out
}

// Remembered gives all that is kept, as records in an order in which they can be
// restored.
func (m *Machine) Remembered() []replica.Record {
	var all []replica.Record
	for _, s := range m.subscribers {
		all = append(all, s.record())
	}
	for _, b := range m.bindings {
		if b.state == bound {
			all = append(all, b.record())
		}
	}
	return all
}

func (s *subscriber) record() replica.Subscriber {
	r := replica.Subscriber{NAI: s.nai, Alias: s.alias, Home: s.grant.home}
	r.Last, r.Stamped = s.guard.Last()
	for _, a := range s.associations {
		if s.configured { // its keys are in the configuration
			break
		}
		r.Associations = append(r.Associations, replica.Association{SPI: a.SPI, Key: a.key, Expires: a.expires, Timestamp: a.timestamp,
			Ended: a.ended, Session: a.session, Server: a.server})
	}
	return r
}

func (b *binding) record() replica.Binding {
	return replica.Binding{Home: b.home, CareOf: b.careOf.Unmap(), Home4: b.home4, Outer: b.outer.from, NAT: b.outer.nat, UDP: b.udp,
		NAI: b.name(), SPI: b.spi, Seq: b.seq, LinkLocal: b.linkLocal.IsValid(),
		Stamped: b.timestamps, Timestamp: b.timestamp, Lifetime: b.lifetime, Since: b.since, Expires: b.expires}
}

// Restore takes over what a Machine of the same configuration has kept: tunnels
// and defended addresses included. What has ended meanwhile, or does not fit any
// more, is left out. It says how many bindings there are.
func (m *Machine) Restore(now time.Time, records []replica.Record) (out []Output, bindings int) {
	m.begin()
	subscribers, kept := map[string]replica.Subscriber{}, map[netip.Addr]replica.Binding{}
	for _, r := range records {
		switch r := r.(type) {
		case replica.Subscriber:
			subscribers[r.NAI] = r
		case replica.SubscriberGone:
			delete(subscribers, r.NAI)
		case replica.Binding:
			kept[r.Home] = r
		case replica.BindingGone:
			delete(kept, r.Home)
		}
	}
	for _, r := range subscribers {
		m.restoreSubscriber(now, &r)
	}
	for _, r := range kept {
		if m.restoreBinding(now, &r) {
			bindings++
		}
	}
	for _, s := range m.subscribers {
		s.due(m, now)
	}
	return m.remember(), bindings
}

func (m *Machine) restoreSubscriber(now time.Time, r *replica.Subscriber) {
	s := m.subscribe(now, r.NAI)
	if s == nil {
		return
	}
	if r.Stamped {
		s.guard.Accept(r.Last)
		s.remembers = true
	}
	if s.configured {
		return
	}
	if r.Alias != "" {
		m.rename(s, r.Alias)
	}
	if !m.isTaken(r.Home, s) {
		m.settle(s, grant{home: r.Home, by: byAAA})
	}
	for i := range r.Associations {
		a := &r.Associations[i]
		if len(a.Key) != keyLen || !a.Expires.IsZero() && !now.Before(a.Expires) {
			continue
		}
		made := &mobilitySA{Association: association.New(a.SPI, a.Key), key: a.Key, expires: a.Expires, timestamp: a.Timestamp,
			ended: a.Ended, session: a.Session, server: a.Server}
		if made.session != "" {
			m.sessions[made.session] = diameterSession{s, made}
		}
		s.associations = append(s.associations, made) // the newest first, as they were
	}
}

// mayCarry says whether packets can go where a binding that was kept has them go.
func (m *Machine) mayCarry(r *replica.Binding) bool {
	if r.Outer.IsValid() {
		return m.dual.address.IsValid() && unicast4(r.CareOf) && unicast4(r.Outer.Addr()) && r.Outer.Addr() != m.dual.address && r.Outer.Port() != 0
	}
	return unicastRoutable(r.CareOf) && !m.isOwn(r.CareOf)
}

func (m *Machine) restoreBinding(now time.Time, r *replica.Binding) bool {
	s := m.subscribers[r.NAI]
	a := s.association(now, r.SPI)
	switch {
	case !now.Before(r.Expires) || m.held >= m.maxBindings || m.bindings[r.Home] != nil:
		return false
	case !m.isHome(r.Home) || m.isOwn(r.Home) || !m.mayCarry(r):
		return false
	case m.authenticates && a == nil:
		return false
	}
	b := m.newBinding(r.Home, s)
	b.state, b.known, b.seq, b.timestamps, b.timestamp = bound, true, r.Seq, r.Stamped, r.Timestamp
	b.careOf, b.spi, b.association = r.CareOf, r.SPI, a
	if r.Outer.IsValid() {
		b.careOf, b.outer, b.udp = netip.AddrFrom16(r.CareOf.As16()), outer{r.Outer, r.NAT}, r.UDP
	}
	b.lifetime, b.since, b.expires = r.Lifetime, r.Since, r.Expires
	if r.LinkLocal {
		b.linkLocal = linkLocal(r.Home)
	}
	m.held++
	if m.dual.keeps(r.Home, r.Home4) {
		m.defend4(b, r.Home4)
	}
	m.setTunnel(b)
	if b.link != nil {
		for _, a := range b.addresses() {
			m.do(SetProxy{Dev: b.link.dev, Address: a})
		}
		b.announce = maxNeighborAdvertisement
		m.advertise(now, b)
	}
	m.schedule(b)
	m.changedBinding(b)
	m.changedSubscriber(s)
	return true
}

package ha

import (
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/mh"
)

// keyLen is the length of an MN-HA key: RFC 4285, section 5.1. Those of methods of
// bootstrapping may be longer: WiMAX's is what HMAC-SHA1 gives.
const (
	keyLen  = 16
	mostKey = 64 // what replication carries, and a block of SHA-1: more is hashed first
)

func mayBeKey(key []byte) bool { return len(key) >= keyLen && len(key) <= mostKey }

// authenticate finds out who sent a Binding Update and whether it is fresh: RFC
// 4285, in the order that sections 5 and 6 give: presence, security association,
// authenticator, timestamp. The binding comes after all of them.
func (m *Machine) authenticate(now time.Time, b []byte, u *mh.BindingUpdateView, r *request) {
	if u.MNHA.At == 0 && u.MNAAA.At == 0 { // section 5
		m.discard(now, r.source(), "no-authentication")
		return
	}
	s, aliased := m.calledBy(u.Identifier)
	if u.MNHA.At != 0 {
		a := s.association(now, u.MNHA.SPI)
		switch {
		case a == nil && m.fetches:
			m.fetch(now, b, u, r)
			return
		case a == nil:
			m.unknown(now, r)
			return
		}
		r.subscriber, r.association, r.aliased = s, a, aliased
		if association.Verify(b, a.Association, r.careOf, r.home) != nil { // section 5.1.1
			m.refuse(now, r, mh.AuthFail, "wrong-authenticator")
			return
		}
		if held := m.bindings[r.home]; a.ended && r.lifetime != 0 {
			if held != nil && held.revocation != nil {
				m.refuse(now, r, mh.Prohibited, "being-revoked")
				return
			}
			r.subscriber, r.association = nil, nil
			if m.fetches { // its key may be good for another binding: whoever has it says so
				m.fetch(now, b, u, r)
				return
			}
			m.unknown(now, r)
			return
		}
	}
	if u.MNAAA.At != 0 {
		m.ask(now, b, u, r)
		return
	}
	m.authentic(now, r)
	if a := r.association; a.untold != nil {
		m.keyMade(now, s.nai, keys.Provisioned(keys.NameMNHA, a.untold))
		a.untold = nil
	}
}

// unknown discards a Binding Update whose security association is not known
// here: RFC 4285, sections 5.1.1 and 5.3, wants no Binding Acknowledgement. One
// from a mobile node that has no binding here gets a Binding Error, so that a
// mobile node learns of a home agent's restart from its first Binding Update and
// not from the silence after many: RFC 6275, section 11.3.6, has it send a
// Binding Update, which then says MN-AAA. Nothing forbids that to a Binding
// Error, and nothing asks for it: section 9.3.1 lets Mobility Headers pass
// without a binding.
func (m *Machine) unknown(now time.Time, r *request) {
	m.discard(now, r.source(), "unknown-association")
	if b := m.bindings[r.home]; (r.option || r.outer.isThere()) && m.isHome(r.home) && (b == nil || b.state != bound) {
		m.bindingError(now, r.src, mh.UnknownBinding, r.home)
	}
}

// authentic goes on with a Binding Update that is its sender's: by its MN-HA
// option, or in the words of the AAA. Its timestamp is checked after that, and
// here in either case: RFC 4285, section 6, and RFC 5778, section 5.2.1.
func (m *Machine) authentic(now time.Time, r *request) {
	s := r.subscriber
	if r.association.timestamp {
		switch {
		case !r.stamped:
			m.refuse(now, r, mh.MessageIDRequired, "no-timestamp")
			return
		case s.guard.Check(m.wall(r.arrived), r.timestamp) != nil:
			m.refuse(now, r, mh.IDMismatch, "stale-timestamp")
			return
		}
		s.guard.Accept(r.timestamp)
		m.changedSubscriber(s)
		s.remembers = true
	}
	m.bind(now, r)
}

// wall is the node's time of day, wrong where the lab wants it so.
func (m *Machine) wall(now time.Time) time.Time { return now.Add(m.clock) }

package ha

import (
	"net/netip"
	"time"

	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

const hopLimit = 64 // of what is sent here

// An answer is memory for Binding Acknowledgements, used again for each.
type answer struct {
	message    mh.BindingAcknowledgement
	identifier mh.MNIdentifier
	timestamp  mh.ReplayProtection
	ipv4       mh.IPv4AddressAck
	nat        mh.NATDetection
	options    [4]mh.Option
	header     []byte
}

// name is the NAI that the mobile node gave; empty: none.
func (r *request) name() string {
	if r.subscriber != nil {
		return r.subscriber.nai
	}
	return r.nai
}

// identifier is how the mobile node called itself; empty: it did not.
func (r *request) identifier() string {
	if r.subscriber != nil && r.aliased {
		return r.subscriber.alias
	}
	return r.name()
}

// refuse answers a Binding Update that nothing comes of.
func (m *Machine) refuse(now time.Time, r *request, status mh.Status, reason string) {
	m.refuseSeq(now, r, status, r.seq, reason)
}

// refuseSeq is refuse with a sequence number that is not that of r.
func (m *Machine) refuseSeq(now time.Time, r *request, status mh.Status, seq uint16, reason string) {
	m.acknowledge(now, r, status, seq, 0)
	if !m.tells(now, bindingRefused) {
		return
	}
	m.tell(bindingRefused, map[string]any{
		"nai": r.name(), "home-address": text(r.home), "care-of": text(r.careOf), "seq": r.seq,
		"status": int(status), "name": status.String(), "reason": reason,
		"authenticated": r.association != nil || !m.authenticates,
	})
}

// refuseUnproven answers a Binding Update that the AAA has not vouched for.
//
// Where a security association with its mobile node exists, the answer is signed
// with it: RFC 4285, sections 5.1.1 and 5.3. Where there is none, a failed
// authentication gets no answer, as section 5.3 says. What failed for another
// reason gets one without an MN-HA option, since there is no key to make it
// with. Differs from RFC 4285, section 5.2, which wants the option in every
// answer to MN-AAA: the mobile node would otherwise not learn why it waits. It
// can show that, but must not rely on it: anybody can send such an answer. So
// that this node does not do it for them, they are limited like errors.
func (m *Machine) refuseUnproven(now time.Time, r *request, status mh.Status, reason string) {
	r.subscriber, r.aliased = m.called(r.nai)
	r.association = r.subscriber.latest(now)
	switch {
	case r.association != nil:
	case status == mh.AuthFail && reason != bootstrapAgain:
		m.discard(now, r.source(), reason)
		return
	case !m.errors.mayTell(now, r.source()):
		m.discard(now, r.source(), "too-many-errors")
		return
	}
	m.refuse(now, r, status, reason)
}

// acknowledge sends a Binding Acknowledgement to where the Binding Update came
// from, by way of a type 2 routing header unless that is the home address: RFC
// 6275, section 9.5.4. It has the options of RFC 4285, section 4, as far as the
// Binding Update had them. K stays clear: there is no key management that could
// move with the mobile node (section 10.3.1).
//
// Lab decision: a mobile node that asked for a home address learns it from the
// type 2 routing header of the acknowledgement that accepts, and its MN-HA option
// is over that address, so the assignment is authenticated with all else. One
// that refuses has no such header, since section 6.4 wants a unicast routable
// address in it; its MN-HA option is over the unspecified address, as that of
// the Binding Update was.
func (m *Machine) acknowledge(now time.Time, r *request, status mh.Status, seq uint16, lifetime time.Duration) {
	a := &m.answer
	a.message = mh.BindingAcknowledgement{Status: status, Seq: seq, Lifetime: lifetime, Options: a.options[:0]}
	if name := r.identifier(); name != "" {
		a.identifier = mh.MNIdentifier{Subtype: mh.NAI, Identifier: name}
		a.message.Options = append(a.message.Options, &a.identifier)
	}
	if r.stamped {
		a.timestamp.Timestamp = r.timestamp
		if status == mh.IDMismatch {
			a.timestamp.Timestamp = association.Refusal(m.wall(now), r.timestamp)
		}
		a.message.Options = append(a.message.Options, &a.timestamp)
	}
	for i := range r.material {
		a.message.Options = append(a.message.Options, r.material[i])
	}
	a.message.Options = r.multiOptions(m.options4(a.message.Options, r, status), status)
	home, to := r.home, r.home // that are proven, and that the checksum is over
	if r.asks && !status.Accepts() {
		home, to = netip.IPv6Unspecified(), r.src
	}
	var err error
	if r.association != nil {
		a.header, err = association.SealMNHA(a.header[:0], &a.message, r.association.Association, r.careOf, home, m.address, to)
	} else {
		a.header, err = mh.Append(a.header[:0], &a.message, m.address, to)
	}
	if err != nil {
		return // nothing in it can be too long: all of it was in the Binding Update
	}
	p := ipv6.Packet{Src: m.address, Dst: r.src, HopLimit: hopLimit, Next: ipv6.Mobility, Payload: a.header}
	if r.outer.isThere() {
		// In UDP it goes straight to the home address, which is how the mobile node
		// learns one that was assigned: RFC 5555, section 4.2.
		p.Dst = to
		m.sendTo(&p, r.outer.from)
		return
	}
	if to != r.src {
		p.RoutingHome, p.SegmentsLeft = to, 1
	}
	m.send(&p)
	if r.src == r.home {
		// The mobile node is at home, also where a binding still leads what is
		// for it into the tunnel: RFC 6275, section 10.3.2.
		if link := m.homeLink(r.home); link != nil {
			m.sends[m.packets-1].Dev = link.dev
		}
	}
}

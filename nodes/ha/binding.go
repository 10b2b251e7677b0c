package ha

import (
	"net/netip"
	"time"

	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

const (
	lifetimeUnit             = 4 * time.Second  // RFC 6275, section 6.1.8
	maxDeleteBCETimeout      = 10 * time.Second // RFC 6275, section 12
	retransTimer             = time.Second      // RFC 4861, section 10
	maxNeighborAdvertisement = 3                // RFC 4861, section 10: MAX_NEIGHBOR_ADVERTISEMENT
)

// A state is how far a binding has come.
type state int

const (
	detecting state = iota // duplicate address detection runs; nothing is bound yet
	bound
	invalid // de-registered: stays to refuse what comes late, section 10.3.2
)

func (s state) String() string { return [...]string{"detecting", "bound", "invalid"}[s] }

// A binding is an entry of the binding cache, always a home registration: RFC
// 6275, sections 9.1 and 10.1.
type binding struct {
	home       netip.Addr
	subscriber *subscriber // whose it is; nil: nobody was asked
	link       *homeLink   // where it is at home; nil: on no link of this node
	state      state
	known      bool // seq is that of an accepted Binding Update
	seq        uint16
	timestamps bool // the Binding Update was protected by timestamp, not by seq

	// While bound. Of several care-of addresses these are the first's.
	careOf      netip.Addr   // an IPv4 one as the mobile node has it
	outer       outer        // where packets go by IPv4
	udp         bool         // in UDP
	home4       netip.Addr   // the IPv4 home address; not valid: none
	tunnel      SetTunnel    // the last
	multi       *multihoming // nil: a single care-of address, without a BID
	linkLocal   netip.Addr   // defended too, with the L flag; else not valid
	lifetime    time.Duration
	since       time.Time
	expires     time.Time
	announce    int // Neighbor Advertisements still to be sent
	announced   time.Time
	spi         uint32
	association *mobilitySA // by which the last Binding Update was authenticated; nil: by none
	timestamp   uint64      // of it, where timestamps
	revocation  *revocation // under way; nil: none
	handoff     *handoff    // to another home agent, under way; nil: none

	pending request   // while detecting: what to accept
	decided time.Time // while detecting: when it has found nobody
	removal time.Time // while invalid, or detecting in what was invalid: when it goes

	timer      timer
	prev, next *binding // in Machine.ended
}

// bind takes a Binding Update that is valid and authentic. The order is that of
// RFC 6275, sections 10.3.1 and 10.3.2, but for one thing: whose home address it
// is comes before its sequence number, since status 135 tells the last one that
// was accepted, which is for its owner only.
func (m *Machine) bind(now time.Time, r *request) {
	b := m.bindings[r.home]
	others := b != nil && b.subscriber != r.subscriber
	if r.flags&mh.HomeRegistration == 0 {
		// Without H it is for a correspondent node, which would want nonces that
		// nobody here hands out: section 9.5.1.
		if b != nil && !others && b.state == bound {
			m.refuse(now, r, mh.RegTypeChange, "not-a-home-registration")
		} else {
			m.discard(now, r.source(), "not-a-home-registration")
		}
		return
	}
	if len(m.prefixes) == 0 {
		m.refuse(now, r, mh.HomeRegUnsupported, "no-home-prefix")
		return
	}
	if r.lifetime == 0 {
		m.deregister(now, r, b, others)
		return
	}
	if r.asks {
		if status, reason := m.assign(r); reason != "" {
			m.refuse(now, r, status, reason)
			return
		}
		b = m.bindings[r.home]
		others = b != nil && b.subscriber != r.subscriber
	}
	status4, reason4 := m.dual.overIPv4(r)
	statusMulti, reasonMulti := m.mayBeMulti(r, b)
	switch {
	case !m.isHome(r.home):
		m.refuse(now, r, mh.NotHomeSubnet, "not-in-a-home-prefix")
	case others || !m.mayBind(r.subscriber, r.home) || m.isOwn(r.home):
		m.refuse(now, r, mh.Prohibited, "home-address-of-another")
	case b != nil && !b.inOrder(r):
		m.outOfWindow(now, r, b)
	case !r.option && !r.outer.isThere(): // section 10.3.1: a Home Address option MUST be present
		m.refuse(now, r, mh.Unspecified, "no-home-address-option")
	case status4 != 0:
		without := *r // the timestamp, which tells 144 of RFC 5555 from that of RFC 4285
		without.stamped = without.stamped && status4 != mh.ForceUDPRefused
		m.refuse(now, &without, status4, reason4)
	case reasonMulti != "":
		m.refuse(now, r, statusMulti, reasonMulti)
	case r.multi.are() && !m.judge(r, b):
		m.refuseAll(now, r)
	case !r.multi.are() && !m.isCareOf(r):
		m.refuse(now, r, mh.InvalidCareOf, "care-of-address-loops")
	case b != nil && b.handoff != nil:
		m.refuseWhileSwitching(now, r, b.handoff)
	case b != nil && b.revocation != nil && b.revocation.ends:
		m.refuse(now, r, mh.Prohibited, "being-revoked")
	case b != nil && b.state == bound:
		m.refresh(now, r, b)
	case b != nil && b.state == detecting:
		b.pending = *r // what the mobile node said last is what gets the answer
	case m.held >= m.maxBindings:
		m.refuse(now, r, mh.InsufficientResources, "binding-cache-full")
	default:
		m.register(now, r, b)
	}
}

// inOrder says whether the sequence number of r comes after those accepted
// before: RFC 6275, section 9.5.1. With timestamps it decides nothing: RFC 4285,
// section 7.
func (b *binding) inOrder(r *request) bool {
	switch {
	case r.byTimestamp():
		return true
	case b.state == detecting && !mh.SeqAfter(r.seq, b.pending.seq):
		return false
	default:
		return !b.known || mh.SeqAfter(r.seq, b.seq)
	}
}

func (r *request) byTimestamp() bool { return r.association != nil && r.association.timestamp }

// outOfWindow refuses a sequence number. While duplicates are being detected, an
// answer is under way.
func (m *Machine) outOfWindow(now time.Time, r *request, b *binding) {
	if b.state == detecting {
		m.discard(now, r.source(), "repeated-while-detecting-duplicates")
		return
	}
	m.refuseSeq(now, r, mh.SequenceOutOfWindow, b.seq, "sequence-number-not-newer")
}

// isOwn says whether an address is this node's own.
func (m *Machine) isOwn(a netip.Addr) bool {
	for _, own := range m.own {
		if own == a {
			return true
		}
	}
	return false
}

// isCareOf says whether packets can be sent to the care-of address without
// coming back here: it is not this node's, nor its own home address, nor one
// that is bound here in its turn (RFC 6275, section 15.1, wants no such loops).
func (m *Machine) isCareOf(r *request) bool {
	if r.careOf == r.home || m.isOwn(r.careOf.Unmap()) {
		return false
	}
	if r.outer.isThere() {
		_, loops := m.dual.owners[r.outer.from.Addr()]
		return !loops && !m.isOwn(r.outer.from.Addr())
	}
	b := m.bindings[r.careOf]
	return b == nil || b.state == invalid
}

// register makes a binding, after duplicate address detection where that is
// wanted: RFC 6275, section 10.3.1. b is what is left of an earlier one, or nil.
func (m *Machine) register(now time.Time, r *request, b *binding) {
	if b == nil {
		b = m.newBinding(r.home, r.subscriber)
	} else {
		m.ended.remove(b)
	}
	m.held++
	b.linkLocal = netip.Addr{}
	if r.flags&mh.LinkLocal != 0 {
		b.linkLocal = linkLocal(r.home)
	}
	if !m.dad || b.link == nil {
		m.accept(now, r, b)
		return
	}
	b.state, b.pending, b.decided = detecting, *r, now.Add(retransTimer)
	for _, a := range b.addresses() {
		m.do(WatchAddress{Dev: b.link.dev, Address: a})
		m.do(SolicitNeighbor{Dev: b.link.dev, Target: a})
	}
	m.schedule(b)
}

// newBinding makes an entry of the binding cache, of which the rest is to be
// filled in. s may be nil.
func (m *Machine) newBinding(home netip.Addr, s *subscriber) *binding {
	b := &binding{home: home, subscriber: s, link: m.homeLink(home)}
	b.timer.owner = b
	m.bindings[home] = b
	m.hold(home, 1)
	if s != nil {
		s.bindings++
	}
	return b
}

// accept puts a binding in force and says so to the mobile node and to its home
// link.
func (m *Machine) accept(now time.Time, r *request, b *binding) {
	b.state, b.since = bound, now
	m.store(now, r, b)
	m.setTunnel(b)
	m.acknowledge(now, r, r.status(), r.seq, b.lifetime)
	if b.link != nil {
		for _, a := range b.addresses() {
			m.do(SetProxy{Dev: b.link.dev, Address: a})
		}
		b.announce = maxNeighborAdvertisement
		m.advertise(now, b)
	}
	m.schedule(b)
	m.tellAccepted(now, r, b, true)
}

// refresh renews a binding, at the same care-of address or another.
func (m *Machine) refresh(now time.Time, r *request, b *binding) {
	m.endRevocation(b) // RFC 5846, section 7: the mobile node was only out of sync, and is no more
	m.store(now, r, b)
	m.setTunnel(b)
	m.acknowledge(now, r, r.status(), r.seq, b.lifetime)
	m.schedule(b)
	m.tellAccepted(now, r, b, false)
}

func (m *Machine) store(now time.Time, r *request, b *binding) {
	b.careOf, b.timestamps = r.careOf.Unmap(), r.byTimestamp()
	b.outer, b.udp = r.outer, m.dual.udp(r)
	var home4 netip.Addr
	home4, r.status4 = m.dual.assign(r)
	m.defend4(b, home4)
	b.seq, b.known = r.seq, true
	b.association, b.timestamp = r.association, r.timestamp
	b.lifetime = m.grant(now, r)
	b.expires = now.Add(b.lifetime)
	if r.association != nil {
		b.spi = r.association.SPI
	}
	m.storeMulti(now, r, b)
	m.changedBinding(b)
}

// grant gives the lifetime of a binding, in whole units: no longer than was
// asked, than this home agent allows, or than the key lasts that vouches for it
// (RFC 5778, section 6.11), but for the one unit that is the least there is. The
// prefixes of a lab do not end, so that theirs sets no limit.
func (m *Machine) grant(now time.Time, r *request) time.Duration {
	granted := min(r.lifetime, m.maxLifetime)
	if a := r.association; a != nil && !a.expires.IsZero() {
		granted = min(granted, max(a.expires.Sub(now).Truncate(lifetimeUnit), lifetimeUnit))
	}
	return granted
}

func (m *Machine) tellAccepted(now time.Time, r *request, b *binding, first bool) {
	if r.asks && m.tells(now, homeAddressAssigned) {
		m.tell(homeAddressAssigned, map[string]any{
			"nai": r.name(), "home-address": text(b.home), "care-of": text(b.careOf), "assigner": r.assigner,
		})
	}
	m.tellBIDs(now, r, b)
	if !m.tells(now, bindingAccepted) {
		return
	}
	fields := map[string]any{
		"nai": r.name(), "home-address": text(b.home), "care-of": text(b.careOf), "seq": b.seq,
		"lifetime": b.lifetime.Seconds(), "spi": b.spi, "new": first,
	}
	b.tell4(fields)
	b.tellMulti(fields)
	m.tell(bindingAccepted, fields)
}

// deregister ends a binding: RFC 6275, section 10.3.2. What is left of it
// refuses a Binding Update that was sent before and comes after. A mobile node
// that has not heard the answer may ask again.
func (m *Machine) deregister(now time.Time, r *request, b *binding, others bool) {
	statusMulti, reasonMulti := m.mayBeMulti(r, b)
	switch {
	case b == nil || others:
		m.refuse(now, r, mh.NotHomeAgent, "no-binding")
	case !b.inOrder(r):
		m.outOfWindow(now, r, b)
	case reasonMulti != "":
		m.refuse(now, r, statusMulti, reasonMulti)
	case r.multi.are() && b.state == bound:
		m.deregisterBIDs(now, r, b)
	case b.state == detecting:
		b.known, b.seq = true, r.seq
		m.endDetection(b)
		m.invalidate(now, b)
		m.refuse(now, r, mh.NotHomeAgent, "no-binding")
	default:
		b.known, b.seq, b.timestamps = true, r.seq, r.byTimestamp()
		if b.state == bound {
			m.release(now, b)
			if r.careOf != r.home || m.perBinding { // away from home the mobile node does not come back with this key either
				m.endSessions(now, b.subscriber, causeLogout)
			}
			m.invalidate(now, b)
			if m.tells(now, bindingDeleted) {
				m.tell(bindingDeleted, map[string]any{"home-address": text(b.home), "reason": "de-registered"})
			}
		}
		m.acknowledge(now, r, mh.Accepted, r.seq, 0)
	}
}

// release stops intercepting what is for a home address. A revocation that was
// under way has come to its end, whatever the reason.
func (m *Machine) release(now time.Time, b *binding) {
	m.do(ClearTunnel{Home: b.home})
	b.tunnel, b.multi = SetTunnel{}, nil
	m.defend4(b, netip.Addr{})
	m.endSwitch(now, b.handoff)
	if v := b.revocation; v != nil {
		m.endRevocation(b)
		if v.ends {
			m.endSessions(now, b.subscriber, causeAdministrative)
		}
	}
	if b.link != nil {
		for _, a := range b.addresses() {
			m.do(ClearProxy{Dev: b.link.dev, Address: a})
		}
	}
	b.announce = 0
}

// invalidate leaves of a binding only its memory, and not of more bindings than
// the cache may hold.
func (m *Machine) invalidate(now time.Time, b *binding) {
	m.held--
	m.changedBinding(b)
	b.state, b.removal = invalid, now.Add(maxDeleteBCETimeout)
	m.ended.add(b)
	m.schedule(b)
	if m.ended.len > m.maxBindings {
		m.end(now, m.ended.first)
	}
}

// drop takes an entry out of the cache. It is invalid, or was never more than
// detecting.
func (m *Machine) drop(b *binding) {
	m.changedBinding(b)
	m.ended.remove(b)
	m.timers.remove(&b.timer)
	delete(m.bindings, b.home)
	m.hold(b.home, -1)
	m.dual.forget(b.home)
	if s := b.subscriber; s != nil {
		s.bindings--
	}
}

// due does what has become due for a binding: the end of its detection, another
// advertisement, its own end.
func (b *binding) due(m *Machine, now time.Time) {
	switch {
	case b.state == invalid:
		m.end(now, b)
		return
	case b.state == detecting && !now.Before(b.decided):
		r := b.pending
		m.endDetection(b)
		m.accept(now, &r, b)
		return
	case b.multi != nil && !now.Before(b.ends()) && m.expireBIDs(now, b):
	case b.state == bound && !now.Before(b.expires):
		m.release(now, b)
		if s := b.subscriber; s != nil && s.bindings == 1 {
			m.endSessions(now, s, causeTimeout)
		}
		m.held--
		if m.tells(now, bindingExpired) {
			m.tell(bindingExpired, map[string]any{"home-address": text(b.home)})
		}
		m.end(now, b)
		return
	case b.state == bound && b.announce > 0:
		m.advertise(now, b)
	}
	m.schedule(b)
}

// end drops a binding and lets go of its subscriber where nothing else holds him.
func (m *Machine) end(now time.Time, b *binding) {
	m.drop(b)
	if b.subscriber != nil {
		b.subscriber.due(m, now)
	}
}

// schedule sets the timer of a binding.
func (m *Machine) schedule(b *binding) {
	at := b.ends()
	switch b.state {
	case detecting:
		at = b.decided
	case invalid:
		at = b.removal
	case bound:
		if next := b.announced.Add(retransTimer); b.announce > 0 && next.Before(at) {
			at = next
		}
	}
	m.timers.set(&b.timer, at)
}

// advertise tells the home link that this node takes what is for the mobile
// node: RFC 6275, section 10.4.1. A multicast may get lost, so it is said more
// than once.
func (m *Machine) advertise(now time.Time, b *binding) {
	b.announce--
	b.announced = now
	for _, a := range b.addresses() {
		m.do(AdvertiseNeighbor{Dev: b.link.dev, Source: b.link.source, Target: a})
	}
}

// claimed takes the news that somebody uses an address that is being tested.
func (m *Machine) claimed(now time.Time, in NeighborClaimed) {
	b := m.bindings[in.Address]
	if b == nil && in.Address.IsLinkLocalUnicast() {
		b = m.detectingLinkLocal(in)
	}
	if b == nil || b.state != detecting || b.link.dev != in.Dev {
		return
	}
	if m.tells(now, duplicateDetected) {
		m.tell(duplicateDetected, map[string]any{"home-address": text(b.home)})
	}
	r := b.pending
	m.endDetection(b)
	if b.known && now.Before(b.removal) { // as it was before
		m.invalidate(now, b)
	} else {
		m.held--
		m.end(now, b)
	}
	m.unassign(&r)
	m.refuse(now, &r, mh.DADFailed, "home-address-in-use")
}

// detectingLinkLocal finds the binding that is being tested with a link-local
// address. It is rare, and the bindings are many only where they are not on a link.
func (m *Machine) detectingLinkLocal(in NeighborClaimed) *binding {
	for _, b := range m.bindings {
		if b.state == detecting && b.linkLocal == in.Address && b.link.dev == in.Dev {
			return b
		}
	}
	return nil
}

func (m *Machine) endDetection(b *binding) {
	for _, a := range b.addresses() {
		m.do(UnwatchAddress{Dev: b.link.dev, Address: a})
	}
	b.pending = request{}
}

// addresses gives what is tested and defended for a binding.
func (b *binding) addresses() []netip.Addr {
	if b.linkLocal.IsValid() {
		return []netip.Addr{b.home, b.linkLocal}
	}
	return []netip.Addr{b.home}
}

// linkLocal gives the link-local address with the interface identifier of a:
// RFC 6275, section 10.3.1.
func linkLocal(a netip.Addr) netip.Addr {
	octets := ipv6.Octets(a)
	copy(octets[:8], []byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0})
	return netip.AddrFrom16(octets)
}

// A bindingQueue holds bindings in the order in which they came.
type bindingQueue struct {
	first, last *binding
	len         int
}

func (q *bindingQueue) add(b *binding) {
	b.prev, b.next = q.last, nil
	if q.last != nil {
		q.last.next = b
	} else {
		q.first = b
	}
	q.last = b
	q.len++
}

// remove takes b out, if it is in.
func (q *bindingQueue) remove(b *binding) {
	if q.first != b && b.prev == nil {
		return
	}
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		q.first = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	} else {
		q.last = b.prev
	}
	b.prev, b.next = nil, nil
	q.len--
}

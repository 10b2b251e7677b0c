package mn

import (
	"net/netip"
	"time"

	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// Constants of RFC 6275, sections 12 and 13.
const (
	initialAckTimeout = time.Second
	firstAckTimeout   = 1500 * time.Millisecond
	maxAckTimeout     = 32 * time.Second
	maxUpdateRate     = 3 // Binding Updates a second
)

const (
	lifetimeUnit    = 4 * time.Second
	longestLifetime = 0xffff * lifetimeUnit

	// maxCorrections is how often a Binding Update is put right and sent again at
	// once. A home agent that still refuses is answered in the time of
	// retransmissions.
	maxCorrections = 3
)

// A registration is what this node has told its home agent, and what that has
// said: the entry of the Binding Update List for it (RFC 6275, section 11.1).
type registration struct {
	seq uint16 // last one sent, or told by the home agent

	// bound says that the home agent has acknowledged a binding, which ends at
	// expires. It is to boundTo; not valid: or to where it has been told of since.
	bound     bool
	boundTo   netip.Addr
	expires   time.Time
	refreshAt time.Time // when to extend it; zero: not, or a Binding Update is under way

	// mayHold is until when the home agent may hold a binding of ours, whether
	// its acknowledgement has come or not. zero: it holds none.
	mayHold time.Time

	waiting  *update       // sent last, and not answered; nil: none
	earlier  []*update     // the same sent before, as little answered
	retryAt  time.Time     // when to send again; zero: not
	interval time.Duration // the wait that ends at retryAt
	held     bool          // retryAt is only because of maxUpdateRate
	attempt  int           // Binding Updates of this registration so far

	corrections int
	fellBack    bool // to a new association, because the home agent did not know our key
	startedOver bool // what associations are made of, because nobody knew that
	duplicate   bool // another has the home address: it must not be used again

	recent [maxUpdateRate]time.Time // when the last ones were sent, the oldest first
}

// An update is a Binding Update that has been sent.
type update struct {
	seq      uint16
	source   netip.Addr
	careOf   netip.Addr
	home     netip.Addr    // unspecified: asks for one
	lifetime time.Duration // 0: deletes the binding
	sent     time.Time
	proof    proof
	forces   bool // it asks for UDP
	refused  bool // by an acknowledgement that proves nothing

	bids  []sentBID         // of several care-of addresses; nil: it is for one
	flows map[uint16]uint16 // the flow bindings that it makes or moves, with their BIDs
}

// mayBeHeld says whether the home agent may hold a binding of ours.
func (r *registration) mayBeHeld(now time.Time) bool { return now.Before(r.mayHold) }

// abandon gives up what is under way, since there is no place to send from.
func (r *registration) abandon() {
	r.waiting, r.earlier, r.retryAt, r.refreshAt, r.held = nil, nil, time.Time{}, time.Time{}, false
}

// maxEarlier transmissions may still be answered: within MAX_BINDACK_TIMEOUT and more.
const maxEarlier = 4

// await waits for the answer to u, which may be what was sent before, once more.
func (r *registration) await(u *update) {
	if before := r.waiting; before != nil && !before.several() && before.careOf == u.careOf && before.lifetime > 0 {
		r.earlier = append(r.earlier, before)
		r.earlier = r.earlier[max(len(r.earlier)-maxEarlier, 0):]
	}
	r.waiting = u
}

// acceptedBefore is the transmission before the last one that an acknowledgement
// accepts; nil: none. On a slow link it comes after the last was sent: that one is
// outstanding as well, and the home agent does hold the binding.
func (r *registration) acceptedBefore(ba *mh.BindingAcknowledgement) *update {
	for _, u := range r.earlier {
		if u.seq == ba.Seq && ba.Status.Accepts() {
			return u
		}
	}
	return nil
}

// attach registers the care-of address of the access that carries us. There is
// no need where the home agent holds just that, as when a carrier flaps; but a
// NAT that is there or not may be another one.
func (m *Machine) attach(now time.Time) {
	if m.absence != present {
		if m.registration.mayBeHeld(now) {
			m.register(now) // ends it
		}
		return
	}
	r := &m.registration
	if r.bound && r.boundTo == m.careOf && !m.careOf.Is4() && r.waiting == nil && !r.refreshAt.IsZero() && now.Before(r.refreshAt) {
		m.setTunnel()
		return
	}
	m.register(now)
}

// abandon is for when no access carries us.
func (m *Machine) abandon() {
	r := &m.registration
	refresh, waiting := r.refreshAt, r.waiting
	r.abandon()
	if waiting == nil {
		r.refreshAt = refresh
	}
}

// register begins a registration of the care-of address, or the deletion of the
// binding where that is the home address: RFC 6275, sections 11.7.1 and 11.5.5. Where
// the home agent is not known it is found first, and then registered with.
func (m *Machine) register(now time.Time) {
	r := &m.registration
	r.abandon()
	r.attempt, r.corrections, r.fellBack, r.startedOver = 0, 0, false, false
	r.interval = initialAckTimeout
	if !r.bound {
		r.interval = firstAckTimeout // the home agent runs DAD first: section 11.8
	}
	switch f := &m.finder; {
	case m.mustFind():
		m.find(now)
		return
	case f.source.IsValid() && f.source != m.careOf:
		m.findNoMore(now)
	}
	m.transmit(now)
}

// transmit sends a Binding Update, or puts that off where it would be one too
// many.
func (m *Machine) transmit(now time.Time) {
	r := &m.registration
	if r.duplicate {
		r.abandon()
		return
	}
	if m.lacking(now) {
		return
	}
	if oldest := r.recent[0]; !oldest.IsZero() && now.Before(oldest.Add(time.Second)) {
		r.retryAt, r.held = oldest.Add(time.Second), true // MAX_UPDATE_RATE: section 11.8
		return
	}
	copy(r.recent[:], r.recent[1:])
	r.recent[maxUpdateRate-1] = now
	r.held = false
	r.attempt++
	r.seq++
	r.refreshAt = time.Time{}
	r.retryAt = now.Add(r.interval)
	u := &update{seq: r.seq, source: m.careOf, careOf: m.careOf, home: m.home.told(), lifetime: m.lifetime(now), sent: now}
	octets, err := m.compose(now, u)
	if err != nil {
		r.waiting, r.earlier = nil, nil
		m.event("binding-update-failed", map[string]any{"error": err.Error()})
		return
	}
	r.await(u)
	if u.careOf != r.boundTo {
		r.boundTo = netip.Addr{} // the home agent may have taken over the new one
	}
	if u.lifetime > 0 {
		if until := now.Add(u.lifetime); until.After(r.mayHold) {
			r.mayHold = until
		}
	}
	from, to := m.ends(u)
	m.do(SendMobility{Dev: m.here.dev, Octets: octets, From: from, To: to})
	fields := map[string]any{"seq": u.seq, "care-of": u.careOf.String(),
		"home-address": u.home.String(), "lifetime": u.lifetime.Seconds(),
		"auth": u.proof.kind.String(), "attempt": r.attempt}
	if u.several() {
		fields["bids"] = u.bidTexts()
	}
	m.event("binding-update-sent", fields)
	if u.lifetime > 0 && !u.asks() { // without a home address nothing can be for it
		m.beginTunnel(u)
	}
}

// lifetime is what a Binding Update asks for: not more than the care-of address
// has left (RFC 6275, section 11.7.1), and nothing at home or where the binding is
// to end.
func (m *Machine) lifetime(now time.Time) time.Duration {
	if m.here.home || m.absence != present || m.transfer.leaving {
		return 0
	}
	l := m.cfg.Lifetime
	var ends time.Time
	if r := m.here.router; m.careOf.Is4() {
		ends = m.here.ipv4.expires
	} else if r != nil {
		_, ends = m.here.ends(r)
	}
	if !ends.IsZero() {
		l = min(l, ends.Sub(now))
	}
	l = min(max(m.lasts(now, l), lifetimeUnit), longestLifetime)
	return l - l%lifetimeUnit
}

// compose makes the packet of u: RFC 6275, section 11.7.1.
func (m *Machine) compose(now time.Time, u *update) ([]byte, error) {
	bu := &mh.BindingUpdate{Seq: u.seq, Flags: mh.AckRequested | mh.HomeRegistration, Lifetime: u.lifetime}
	m.optionsMulti(u, bu)
	m.options4(u, bu)
	if m.linkLocal {
		bu.Flags |= mh.LinkLocal
	}
	header, err := m.security.seal(m, now, u, bu)
	if err != nil {
		return nil, err
	}
	p := ipv6.Packet{Src: u.source, Dst: m.cfg.HomeAgent, HopLimit: 64, Next: ipv6.Mobility, Payload: header}
	switch {
	case u.overIPv4():
		p.Src = u.home // RFC 5555, section 4.2
	case u.source != u.home:
		p.HomeAddress = u.home
	}
	return ipv6.Append(make([]byte, 0, 64+len(header)), &p)
}

// correct sends again at once what the home agent has told us how to put right.
func (m *Machine) correct(now time.Time) {
	r := &m.registration
	if r.corrections++; r.corrections <= maxCorrections {
		m.transmit(now)
	}
}

// acknowledged takes a Binding Acknowledgement whose packet was in order: RFC
// 6275, section 11.7.3, and RFC 4285, sections 5.3 and 6. home is the address
// that it is about; unspecified: it names none.
func (m *Machine) acknowledged(now time.Time, ba *mh.BindingAcknowledgement, octets []byte, home netip.Addr) {
	r := &m.registration
	u := r.waiting
	if u == nil {
		m.ignore(now, "acknowledges nothing outstanding", map[string]any{"seq": ba.Seq, "status": uint8(ba.Status)})
		return
	}
	out := ba.Status == mh.SequenceOutOfWindow && !mh.SeqAfter(u.seq, ba.Seq) // otherwise it answers an earlier one
	if before := r.acceptedBefore(ba); before != nil {
		u = before
	} else if ba.Seq != u.seq && !out {
		m.ignore(now, "acknowledges another sequence number", map[string]any{"seq": ba.Seq, "status": uint8(ba.Status)})
		return
	}
	proven, err := m.security.open(u, ba, octets, home)
	if err != nil {
		m.ignore(now, err.Error(), map[string]any{"seq": ba.Seq, "status": uint8(ba.Status)})
		return
	}
	if ba.Status.Accepts() {
		if home.IsUnspecified() {
			m.ignore(now, "accepts without a home address", map[string]any{"seq": ba.Seq, "status": uint8(ba.Status)})
			return
		}
		if u.several() {
			m.acceptedMulti(now, u, ba, home)
			return
		}
		m.accepted(now, u, ba, home)
		return
	}
	if ba.Status == mh.NotHomeAgent && u.lifetime == 0 && proven && !u.several() {
		// The home agent holds no binding, as after a restart: that is what we want.
		m.dismissed(now)
		return
	}
	m.refused(now, u, ba, proven)
}

// accepted takes the acknowledgement of a Binding Update that was accepted, for a
// home address.
func (m *Machine) accepted(now time.Time, u *update, ba *mh.BindingAcknowledgement, home netip.Addr) {
	r := &m.registration
	granted := min(ba.Lifetime, u.lifetime)
	m.event("binding-acknowledged", map[string]any{"seq": ba.Seq, "status": uint8(ba.Status),
		"lifetime": granted.Seconds(), "latency": now.Sub(u.sent).Seconds()})
	m.security.bound(m, u, granted)
	r.waiting, r.earlier, r.corrections = nil, nil, 0
	if u.lifetime > 0 && granted == 0 {
		return // nothing was bound: ask again in the time of retransmissions
	}
	r.retryAt, r.held = time.Time{}, false
	if u.lifetime == 0 {
		m.dismissed(now)
		return
	}
	first := !r.bound || r.boundTo != u.careOf
	r.bound, r.boundTo = true, u.careOf
	r.expires = u.sent.Add(granted) // section 11.7.3: counted from when the Binding Update was sent
	r.mayHold = r.expires
	refresh := granted * 3 / 4
	if a, ok := mh.Find[mh.RefreshAdvice](ba.Options); ok && a.Interval > 0 && a.Interval < refresh {
		refresh = a.Interval
	}
	if keepalive := m.acknowledged4(u, ba); keepalive > 0 {
		refresh = min(refresh, keepalive)
	}
	r.refreshAt = u.sent.Add(refresh)
	m.transfer = transfer{}
	m.findNoMore(now)
	if u.asks() {
		m.assigned(home)
	}
	left := m.careOf.Is4() && m.here.ipv4.home     // it turns out to be the home address, and was taken out of use
	if m.homeRouter(now, m.here) == nil && !left { // else lookForHome takes us home
		m.setTunnel()
	}
	if first {
		m.event("bound", map[string]any{"link": m.here.link, "care-of": u.careOf.String(), "lifetime": granted.Seconds()})
	}
	if u.asks() || left {
		m.lookForHome(now)
	}
}

// unbind notes that the home agent holds no binding of ours.
func (r *registration) unbind() {
	r.abandon()
	r.bound, r.boundTo, r.expires, r.mayHold = false, netip.Addr{}, time.Time{}, time.Time{}
}

// refused takes the acknowledgement of a Binding Update that was refused.
// proven: by the home agent itself.
func (m *Machine) refused(now time.Time, u *update, ba *mh.BindingAcknowledgement, proven bool) {
	r := &m.registration
	if m.challenged(now, u, ba) {
		return
	}
	if !proven {
		if u.refused {
			return // said already
		}
		u.refused = true
	}
	name := ba.Status.String()
	if u.refusesUDP(ba) {
		name = "force-udp-refused"
	}
	m.event("binding-refused", map[string]any{"seq": ba.Seq, "status": uint8(ba.Status), "name": name,
		"authenticated": proven && m.security.integrity})
	if ba.Status == mh.AuthFail {
		m.authFailed(now, u)
		m.refusedTransfer(now)
		return
	}
	if !proven {
		return // anybody can say so: the Binding Update goes on as if nothing had been heard
	}
	r.waiting, r.earlier = nil, nil
	m.stepBack()
	m.security.learn(m, u)
	if m.refusedMulti(now, u, ba.Status) {
		return
	}
	switch ba.Status {
	case mh.SequenceOutOfWindow:
		r.seq = ba.Seq
		m.correct(now)
	case mh.IDMismatch: // ForceUDPRefused is the same number
		if u.refusesUDP(ba) {
			m.dual.refused = true
			m.correct(now)
			return
		}
		if offset, ok := m.security.resynchronise(u, ba); ok {
			m.event("clock-resynchronised", map[string]any{"offset": offset.Seconds()})
			m.correct(now)
		}
	case mh.Unspecified, mh.InsufficientResources:
		// May pass: goes on in the time of retransmissions, unless there is another
		// home agent to go to.
		if t := &m.transfer; t.trying && len(t.to) > 0 {
			r.retryAt, r.held = time.Time{}, false
		}
	case mh.DADFailed:
		switch {
		case u.asks(): // it was the home agent's choice, which may be another the next time
		case u.lifetime == 0: // nobody looks for duplicates then
			r.retryAt, r.held = time.Time{}, false
		default:
			r.duplicate = true // section 11.7.1: MUST NOT attempt to re-use the same home address
			r.unbind()
			m.clearTunnel()
		}
	default:
		r.retryAt, r.held = time.Time{}, false // not before we are attached anew
		if ba.Status == mh.NotHomeAgent && !r.bound {
			r.mayHold = time.Time{}
		}
	}
	m.refusedTransfer(now)
}

// authFailed takes status 146. RFC 4285, section 5.3, wants no further Binding
// Updates to that home agent. Where the AAA server can give both of us another
// key, that is tried once, since a home agent that was restarted knows the old
// one no longer. The acknowledgement of what is out may still come, if this one
// was provoked by somebody else, and is then welcome.
//
// It is believed without proof: who does not have our key cannot prove that.
func (m *Machine) authFailed(now time.Time, u *update) {
	r := &m.registration
	if m.mayFallBack(u) {
		m.fallBack(now)
		return
	}
	if u.proof.bootstraps && !r.startedOver && m.security.startOver() {
		r.startedOver = true
		r.waiting, r.earlier = nil, nil
		m.transmit(now)
		return
	}
	if u.proof.bootstraps && !r.startedOver && m.authenticateAgain(now) {
		r.startedOver = true
		r.waiting, r.earlier = nil, nil
		r.retryAt, r.held = now.Add(maxAckTimeout), false
		return
	}
	r.retryAt, r.held = time.Time{}, false
}

// mayFallBack says whether what u did may be tried again with a new association: once a registration, as what asks for it is not proven.
func (m *Machine) mayFallBack(u *update) bool {
	return u.proof.kind == proofMNHA && !u.proof.bootstraps && m.security.method != nil && !m.registration.fellBack
}

func (m *Machine) fallBack(now time.Time) {
	m.registration.fellBack = true
	m.security.ending = true
	m.multi.forget()
	m.transmit(now)
}

func (m *Machine) tickRegistration(now time.Time) {
	r := &m.registration
	if r.bound && due(r.expires, now) {
		r.bound, r.boundTo, r.expires = false, netip.Addr{}, time.Time{}
		m.event("binding-expired", map[string]any{"home-address": m.home.address.String()})
		m.security.expired()
		m.clearTunnel()
	}
	if due(r.mayHold, now) {
		r.mayHold = time.Time{}
		if m.homecoming.access != nil && !m.homecoming.done {
			// The home agent has not answered, and holds nothing any more.
			r.unbind()
			m.returned(now)
		} else if m.absence == deregistered {
			m.departed()
		}
	}
	switch {
	case due(r.retryAt, now):
		if m.fallBackToIPv4(now) {
			return
		}
		if !r.held {
			r.interval = min(2*r.interval, maxAckTimeout) // section 11.8
		}
		if !m.impatient(now) {
			m.transmit(now)
		}
	case due(r.refreshAt, now):
		r.refreshAt = time.Time{}
		if m.here != nil && !m.here.home && m.absence == present {
			m.register(now)
		}
	}
}

func (r *registration) deadline() time.Time {
	return earliest(earliest(r.retryAt, r.refreshAt), earliest(r.expires, r.mayHold))
}

package routability

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// tokenMargin is how long a token must still be good for when a Binding Update
// is made with it.
const tokenMargin = 5 * time.Second

// unableFor is for how long a peer without the Mobility Header is left alone: RFC
// 6275, section 11.3.5, wants a period without naming one.
const unableFor = maxBindingLifetime

// A Mobile is a mobile node's side towards all its correspondent nodes: RFC
// 6275, sections 11.6 and 11.7.2. It is told where the mobile node is bound at its
// home agent; packets go by way of that wherever there is no route of its own.
// Its owner calls Bound, Unbound, Returned, Received and Unsupported for what
// happens, and Tick at the time Deadline gives.
type Mobile struct {
	rand  *rand.ChaCha8
	peers []*peer
	out   []Output

	home   netip.Addr
	careOf netip.Addr // bound at the home agent; the home address at home; not valid: neither
	until  time.Time  // when that binding ends; zero at home
}

// A peer is an entry of the Binding Update List: RFC 6275, section 11.1.
type peer struct {
	address netip.Addr
	home    test
	careOf  test
	of      netip.Addr // the care-of address that careOf is about
	seq     uint16     // last one sent, or told by the peer

	lifetime  time.Duration // asked for in waiting
	waiting   bool          // a Binding Update with seq is not answered yet
	bound     netip.Addr    // the care-of address in its acknowledgement; not valid: none
	own       netip.Addr    // the home address that bound goes with
	mayHold   time.Time     // until when the peer may hold a binding; zero: it holds none
	refreshAt time.Time     // when to begin anew; zero: not

	retryAt  time.Time // when to send again what is not answered; zero: nothing is
	interval time.Duration
	attempts int // to send what is not answered, after the first
	refusals int // of Binding Updates that could be put right

	unable time.Time // until when it is taken not to know the Mobility Header; zero: it may
}

// A test is one half of the return routability procedure.
type test struct {
	cookie  [8]byte
	running bool
	token   Token
	index   uint16
	got     time.Time // when the token came; zero: there is none
}

func (t *test) good(now time.Time) bool {
	return !t.got.IsZero() && now.Before(t.got.Add(maxTokenLifetime-tokenMargin))
}

// NewMobile makes the mobile node's side towards those correspondent nodes. Its
// cookies and sequence numbers come from seed.
func NewMobile(seed uint64, peers ...netip.Addr) *Mobile {
	m := &Mobile{rand: newRand(seed, "mobile")}
	for _, a := range peers {
		m.peers = append(m.peers, &peer{address: a, seq: uint16(m.rand.Uint64())})
	}
	return m
}

func (m *Mobile) begin() {
	clear(m.out)
	m.out = m.out[:0]
}

func (m *Mobile) do(o Output) { m.out = append(m.out, o) }

func (m *Mobile) event(name string, p *peer, more map[string]any) {
	fields := map[string]any{"peer": p.address.String()}
	for k, v := range more {
		fields[k] = v
	}
	m.do(Event{Name: name, Fields: fields})
}

// Bound says that the home agent has acknowledged a binding to careOf that ends
// at until. Where nothing is new but until, routes stay.
func (m *Mobile) Bound(now time.Time, home, careOf netip.Addr, until time.Time) []Output {
	m.begin()
	moved := home != m.home || careOf != m.careOf
	m.home, m.careOf, m.until = home, careOf, until
	for _, p := range m.peers {
		if moved {
			m.leave(p, "another care-of address")
			m.start(now, p)
		}
	}
	return m.out
}

// Attached says that the mobile node is at careOf and has told its home agent so,
// after Unbound. Care-of tests run meanwhile where the home test need not, so that a
// Binding Update can follow the home agent's acknowledgement at once, which it must
// not precede: RFC 6275, section 11.7.2.
func (m *Mobile) Attached(now time.Time, careOf netip.Addr) []Output {
	m.begin()
	for _, p := range m.peers {
		if p.home.good(now) && !now.Before(p.unable) {
			p.of, p.careOf = careOf, test{}
			m.testCareOf(p)
		}
	}
	return m.out
}

// Unbound says that the home agent holds no binding, and that the mobile node is
// not at home: nothing can be sent but by its old ways.
func (m *Mobile) Unbound() []Output {
	m.begin()
	m.careOf = netip.Addr{}
	for _, p := range m.peers {
		m.leave(p, "no binding at the home agent")
		p.rest()
	}
	return m.out
}

// Returned says that the mobile node is at home. Correspondent nodes that may
// hold a binding are told to delete it.
func (m *Mobile) Returned(now time.Time, home netip.Addr) []Output {
	m.begin()
	m.home, m.careOf, m.until = home, home, time.Time{}
	for _, p := range m.peers {
		m.leave(p, "at home")
		p.rest()
		if now.Before(p.mayHold) {
			m.start(now, p)
		}
	}
	return m.out
}

// leave ends the route to a peer.
func (m *Mobile) leave(p *peer, reason string) {
	if p.bound.IsValid() {
		m.do(ClearRoute{Own: p.own, Peer: p.address})
		m.event("route-optimization-ended", p, map[string]any{"care-of": p.bound.String(), "reason": reason})
		p.bound = netip.Addr{}
	}
}

// rest ends what is under way.
func (p *peer) rest() {
	p.waiting, p.retryAt, p.refreshAt = false, time.Time{}, time.Time{}
	p.attempts, p.refusals = 0, 0
	p.home.running, p.careOf.running = false, false
}

func (m *Mobile) atHome() bool { return m.careOf == m.home }

// start begins a correspondent registration.
func (m *Mobile) start(now time.Time, p *peer) {
	ahead := p.careOf.running && p.of == m.careOf
	p.rest()
	p.careOf.running = ahead
	if !now.Before(p.unable) {
		p.interval = initialTimeout
		m.goOn(now, p)
	}
}

// goOn sends what is missing: tests, or the Binding Update that they allow.
func (m *Mobile) goOn(now time.Time, p *peer) {
	if p.attempts > maxROFailure || p.refusals > maxROFailure {
		m.giveUp(p, "no answer that helps")
		return
	}
	if p.of != m.careOf {
		p.of, p.careOf = m.careOf, test{}
	}
	p.retryAt = now.Add(p.interval)
	first := p.home.good(now)
	if !first {
		m.probe(&p.home, &mh.HomeTestInit{Cookie: m.cookie(&p.home)}, letter{src: m.home, dst: p.address}, !m.atHome())
	}
	second := m.atHome() || p.careOf.good(now)
	if !second {
		if !p.careOf.running || p.attempts > 0 {
			m.testCareOf(p)
		}
	}
	if first && second {
		m.update(now, p)
	}
}

func (m *Mobile) testCareOf(p *peer) {
	m.probe(&p.careOf, &mh.CareOfTestInit{Cookie: m.cookie(&p.careOf)}, letter{src: p.of, dst: p.address}, false)
}

// cookie gives a new cookie, so that an answer to an older test is none.
func (m *Mobile) cookie(t *test) [8]byte {
	m.rand.Read(t.cookie[:])
	return t.cookie
}

func (m *Mobile) probe(t *test, message mh.Message, l letter, tunnelled bool) {
	t.running, t.got = true, time.Time{}
	if octets := l.packet(message); octets != nil {
		m.do(Send{Octets: octets, Tunnelled: tunnelled})
	}
}

// update sends a Binding Update: RFC 6275, section 11.7.2.
func (m *Mobile) update(now time.Time, p *peer) {
	p.seq++
	l := letter{src: m.careOf, dst: p.address, option: m.home, careOf: m.careOf, peer: p.address}
	u := &mh.BindingUpdate{Seq: p.seq, Flags: mh.AckRequested}
	indices := mh.NonceIndices{Home: p.home.index}
	if m.atHome() {
		l.option, l.kbm = netip.Addr{}, bindingKey(p.home.token, nil)
	} else {
		l.kbm = bindingKey(p.home.token, &p.careOf.token)
		indices.CareOf = p.careOf.index
		u.Lifetime = min(maxBindingLifetime, m.until.Sub(now))
		u.Lifetime -= u.Lifetime % lifetimeUnit
		if u.Lifetime <= 0 {
			p.rest() // the home registration is refreshed before this can matter
			return
		}
		if until := now.Add(u.Lifetime); until.After(p.mayHold) {
			p.mayHold = until
		}
	}
	u.Options = []mh.Option{indices, unsigned()}
	p.lifetime, p.waiting = u.Lifetime, true
	if octets := l.packet(u); octets != nil {
		m.do(Send{Octets: octets})
	}
	m.event("binding-update-sent", p, map[string]any{"seq": p.seq, "care-of": m.careOf.String(),
		"home-address": m.home.String(), "lifetime": u.Lifetime.Seconds(), "auth": "return-routability", "attempt": p.attempts + 1})
}

func (m *Mobile) giveUp(p *peer, reason string) {
	p.rest()
	m.leave(p, reason)
	m.event("route-optimization-failed", p, map[string]any{"reason": reason})
}

func (m *Mobile) peer(a netip.Addr) *peer {
	i := slices.IndexFunc(m.peers, func(p *peer) bool { return p.address == a })
	if i < 0 {
		return nil
	}
	return m.peers[i]
}

// Received takes a packet with a Mobility Header that came from a correspondent
// node, from its IPv6 header on. tunnelled: by way of the home agent. What is not
// in order is ignored.
func (m *Mobile) Received(now time.Time, octets []byte, tunnelled bool) []Output {
	m.begin()
	packet, header, message, ok := open(octets)
	if !ok || packet.HomeAddress.IsValid() {
		return nil
	}
	p := m.peer(packet.Src)
	if p == nil || now.Before(p.unable) {
		return nil
	}
	if _, test := message.(*mh.CareOfTest); !m.careOf.IsValid() && !test {
		return nil
	}
	switch message := message.(type) {
	case *mh.HomeTest: // section 11.6.2
		if p.home.running && packet.Dst == m.home && tunnelled != m.atHome() && message.Cookie == p.home.cookie {
			m.tested(now, p, &p.home, message.KeygenToken, message.NonceIndex)
		}
	case *mh.CareOfTest:
		if p.careOf.running && packet.Dst == p.of && !tunnelled && message.Cookie == p.careOf.cookie {
			m.tested(now, p, &p.careOf, message.KeygenToken, message.NonceIndex)
		}
	case *mh.BindingAcknowledgement:
		if p.waiting && m.forUs(&packet) {
			m.acknowledged(now, p, header, message)
		}
	case *mh.BindingError: // section 11.3.6
		if message.Status == mh.UnknownBinding && message.HomeAddress == m.home && p.bound.IsValid() {
			m.leave(p, "the peer has no binding")
			m.start(now, p)
		}
	case *mh.BindingRefreshRequest: // section 11.7.4
		if p.bound.IsValid() && !p.waiting && p.retryAt.IsZero() {
			m.start(now, p)
		}
	}
	return m.out
}

// forUs says whether an acknowledgement came as section 9.5.4 has it.
func (m *Mobile) forUs(p *ipv6.Packet) bool {
	if m.atHome() {
		return p.Dst == m.home && !p.RoutingHome.IsValid()
	}
	return p.Dst == m.careOf && p.RoutingHome == m.home
}

// tested takes a token in.
func (m *Mobile) tested(now time.Time, p *peer, t *test, token Token, index uint16) {
	t.running, t.token, t.index, t.got = false, token, index, now
	if m.careOf.IsValid() && p.home.good(now) && (m.atHome() || p.careOf.good(now)) {
		p.interval, p.attempts = initialTimeout, 0
		m.goOn(now, p)
	}
}

// acknowledged takes the answer to a Binding Update: RFC 6275, section 11.7.3.
func (m *Mobile) acknowledged(now time.Time, p *peer, header []byte, a *mh.BindingAcknowledgement) {
	fields := map[string]any{"seq": a.Seq, "status": uint8(a.Status), "name": a.Status.String()}
	switch a.Status {
	case mh.ExpiredHomeNonce, mh.ExpiredCareOfNonce, mh.ExpiredNonces:
		// Not signed: the nonces are gone that could do it. Anybody can say so, and
		// have the tests run again a few times by it.
		if a.Seq != p.seq {
			return
		}
		if a.Status != mh.ExpiredCareOfNonce {
			p.home = test{}
		}
		if a.Status != mh.ExpiredHomeNonce {
			p.careOf = test{}
		}
		m.event("binding-refused", p, fields)
		p.waiting = false
		p.refusals++
		m.goOn(now, p)
		return
	}
	var token *Token
	if !m.atHome() {
		token = &p.careOf.token
	}
	if !isSigned(bindingKey(p.home.token, token), m.careOf, p.address, header, a.Options) {
		return
	}
	switch {
	case a.Status == mh.SequenceOutOfWindow && !mh.SeqAfter(p.seq, a.Seq):
		m.event("binding-refused", p, fields)
		p.seq = a.Seq
		p.refusals++
		m.goOn(now, p)
	case a.Seq != p.seq:
	case !a.Status.Accepts():
		m.event("binding-refused", p, fields)
		m.giveUp(p, a.Status.String())
	case m.atHome():
		p.rest()
		p.mayHold = time.Time{}
		m.event("peer-deregistered", p, map[string]any{"seq": a.Seq, "status": uint8(a.Status)})
	default:
		m.accepted(now, p, min(a.Lifetime, p.lifetime))
	}
}

func (m *Mobile) accepted(now time.Time, p *peer, granted time.Duration) {
	p.rest()
	p.mayHold = now.Add(granted)
	p.refreshAt = now.Add(granted * 3 / 4)
	if p.bound != m.careOf {
		p.bound, p.own = m.careOf, m.home
		m.do(SetRoute{Own: m.home, Peer: p.address, CareOf: m.careOf})
		m.event("route-optimized", p, map[string]any{"care-of": m.careOf.String(), "lifetime": granted.Seconds()})
	}
}

// Unsupported says that a peer has refused the Mobility Header by an ICMPv6
// Parameter Problem, code 1: RFC 6275, sections 11.3.5 and 11.6.2. invoking is the
// packet that it was sent, from its IPv6 header on; what this node has not sent, or
// not to that peer, is ignored. After a time route optimization is tried anew, with
// the next binding.
func (m *Mobile) Unsupported(now time.Time, invoking []byte) []Output {
	m.begin()
	packet, _, message, ok := open(invoking)
	if !ok || !m.careOf.IsValid() {
		return nil
	}
	p := m.peer(packet.Dst)
	if p == nil || now.Before(p.unable) {
		return nil
	}
	switch message := message.(type) {
	case *mh.HomeTestInit:
		ok = p.home.running && message.Cookie == p.home.cookie
	case *mh.CareOfTestInit:
		ok = p.careOf.running && message.Cookie == p.careOf.cookie
	case *mh.BindingUpdate:
		ok = p.waiting && message.Seq == p.seq && packet.Src == m.careOf
	default:
		ok = false
	}
	if ok {
		m.giveUp(p, "the peer has no mobility header")
		p.unable = now.Add(unableFor)
	}
	return m.out
}

// Tick does what is due at now.
func (m *Mobile) Tick(now time.Time) []Output {
	m.begin()
	for _, p := range m.peers {
		if p.bound.IsValid() && !now.Before(p.mayHold) {
			m.leave(p, "expired") // the peer takes no more packets with our home address
		}
		switch {
		case !p.retryAt.IsZero() && !now.Before(p.retryAt):
			p.attempts++
			p.interval *= 2 // section 5.2.9
			p.waiting = false
			m.goOn(now, p)
		case !p.refreshAt.IsZero() && !now.Before(p.refreshAt):
			m.start(now, p)
		}
	}
	return m.out
}

// Deadline is when Tick is next due; zero: not before something happens.
func (m *Mobile) Deadline() time.Time {
	var d time.Time
	for _, p := range m.peers {
		d = earliest(earliest(d, p.retryAt), p.refreshAt)
		if p.bound.IsValid() {
			d = earliest(d, p.mayHold)
		}
	}
	return d
}

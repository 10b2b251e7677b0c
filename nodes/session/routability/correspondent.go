package routability

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// errorInterval is the shortest time between two Binding Errors, whoever they
// are for: RFC 6275, section 9.3.3.
const errorInterval = 100 * time.Millisecond

// A Correspondent is a correspondent node that knows route optimization: RFC
// 6275, sections 9.4 and 9.5. Its owner calls Received and Stranger for what
// happens, and Tick at the time Deadline gives.
type Correspondent struct {
	own      map[netip.Addr]bool
	most     int
	nonces   nonces
	bindings map[pair]*binding
	errorAt  time.Time // when the last Binding Error went out
	out      []Output
}

// A pair is a mobile node's home address and the address of ours that it talks
// to.
type pair struct{ own, home netip.Addr }

func (p pair) compare(q pair) int { return cmp.Or(p.home.Compare(q.home), p.own.Compare(q.own)) }

// A binding is an entry of the Binding Cache: RFC 6275, section 9.1. One that
// was deleted stays without a care-of address for as long as the nonces it was
// made by could come again (section 9.5.3).
type binding struct {
	careOf  netip.Addr // not valid: deleted
	seq     uint16
	expires time.Time
}

// NewCorrespondent makes a correspondent node of those addresses, which holds
// most bindings at a time. Its nonces and keys come from seed.
func NewCorrespondent(seed uint64, most int, own ...netip.Addr) *Correspondent {
	c := &Correspondent{own: map[netip.Addr]bool{}, most: most, bindings: map[pair]*binding{}}
	c.nonces.rand = newRand(seed, "correspondent")
	for _, a := range own {
		c.own[a] = true
	}
	return c
}

// Received takes a packet with a Mobility Header, from its IPv6 header on. The
// Outputs are the caller's until the next call.
func (c *Correspondent) Received(now time.Time, octets []byte) []Output {
	c.begin()
	p, header, m, ok := open(octets)
	if !ok || !c.own[p.Dst] || p.RoutingHome.IsValid() {
		return nil
	}
	switch m := m.(type) {
	case *mh.HomeTestInit:
		if index, n := c.test(now, &p); n != nil {
			c.send(&letter{src: p.Dst, dst: p.Src}, &mh.HomeTest{NonceIndex: index, Cookie: m.Cookie, KeygenToken: n.token(p.Src, forHome)})
		}
	case *mh.CareOfTestInit:
		if index, n := c.test(now, &p); n != nil {
			c.send(&letter{src: p.Dst, dst: p.Src}, &mh.CareOfTest{NonceIndex: index, Cookie: m.Cookie, KeygenToken: n.token(p.Src, forCareOf)})
		}
	case *mh.BindingUpdate:
		c.update(now, &p, header, m)
	case *mh.Unknown: // section 9.2
		c.fail(now, p.Dst, p.Src, p.UpperSrc(), mh.UnknownType)
	}
	return c.out
}

// Stranger takes a packet of an application that had a Home Address option and
// no binding that goes with it; it was dropped: RFC 6275, section 9.3.1.
func (c *Correspondent) Stranger(now time.Time, own, home, careOf netip.Addr) []Output {
	c.begin()
	c.fail(now, own, careOf, home, mh.UnknownBinding)
	return c.out
}

func (c *Correspondent) begin() {
	clear(c.out)
	c.out = c.out[:0]
}

func (c *Correspondent) do(o Output) { c.out = append(c.out, o) }

func (c *Correspondent) send(l *letter, m mh.Message) {
	if octets := l.packet(m); octets != nil {
		c.do(Send{Octets: octets})
	}
}

func (c *Correspondent) fail(now time.Time, own, to, home netip.Addr, status mh.BindingErrorStatus) {
	if !unicastRoutable(to) || !c.errorAt.IsZero() && now.Sub(c.errorAt) < errorInterval {
		return
	}
	c.errorAt = now
	c.send(&letter{src: own, dst: to}, &mh.BindingError{Status: status, HomeAddress: home})
}

// test gives what answers a test that is in order: RFC 6275, sections 9.4.1 and
// 9.4.2; nil: it is not.
func (c *Correspondent) test(now time.Time, p *ipv6.Packet) (uint16, *nonce) {
	if p.HomeAddress.IsValid() || !unicastRoutable(p.Src) {
		return 0, nil
	}
	index := c.nonces.current(now)
	return index, c.nonces.find(now, index)
}

// update takes a Binding Update: RFC 6275, section 9.5.1.
func (c *Correspondent) update(now time.Time, p *ipv6.Packet, header []byte, u *mh.BindingUpdate) {
	home, careOf := p.UpperSrc(), p.Src
	if a, ok := mh.Find[mh.AlternateCareOf](u.Options); ok {
		careOf = a.Address
	}
	if !unicastRoutable(home) || !unicastRoutable(careOf) {
		return
	}
	answer := letter{src: p.Dst, dst: p.Src, careOf: careOf, peer: p.Dst}
	if p.Src != home {
		answer.routing = home
	}
	if u.Flags&mh.HomeRegistration != 0 {
		// Nothing that both know could prove this answer: section 10.3.1.
		c.send(&answer, &mh.BindingAcknowledgement{Status: mh.HomeRegUnsupported, Seq: u.Seq})
		return
	}
	indices, ok := mh.Find[mh.NonceIndices](u.Options)
	if !ok {
		return
	}
	deletes := u.Lifetime == 0 || careOf == home
	first, second := c.nonces.find(now, indices.Home), c.nonces.find(now, indices.CareOf)
	switch {
	case first == nil && second == nil && !deletes:
		c.refuse(&answer, u, mh.ExpiredNonces)
		return
	case first == nil:
		c.refuse(&answer, u, mh.ExpiredHomeNonce)
		return
	case second == nil && !deletes:
		c.refuse(&answer, u, mh.ExpiredCareOfNonce)
		return
	}
	kbm := bindingKey(first.token(home, forHome), nil)
	if !deletes {
		token := second.token(careOf, forCareOf)
		kbm = bindingKey(first.token(home, forHome), &token)
	}
	if !isSigned(kbm, careOf, p.Dst, header, u.Options) {
		return
	}
	answer.kbm = kbm
	key := pair{p.Dst, home}
	b := c.bindings[key]
	switch {
	case b != nil && !mh.SeqAfter(u.Seq, b.seq):
		c.acknowledge(&answer, mh.SequenceOutOfWindow, b.seq, 0)
	case deletes:
		c.delete(now, key, b, u.Seq)
		if u.Flags&mh.AckRequested != 0 {
			c.acknowledge(&answer, mh.Accepted, u.Seq, 0)
		}
	case b == nil && len(c.bindings) >= c.most:
		c.acknowledge(&answer, mh.InsufficientResources, u.Seq, 0)
	default:
		c.bind(now, key, b, careOf, u, &answer)
	}
}

// refuse answers a Binding Update whose nonces nobody knows any more. There is
// nothing to sign it with: RFC 6275, section 9.5.4.
func (c *Correspondent) refuse(l *letter, u *mh.BindingUpdate, status mh.Status) {
	c.send(l, &mh.BindingAcknowledgement{Status: status, Seq: u.Seq})
}

func (c *Correspondent) acknowledge(l *letter, status mh.Status, seq uint16, lifetime time.Duration) {
	c.send(l, &mh.BindingAcknowledgement{Status: status, Seq: seq, Lifetime: lifetime, Options: []mh.Option{unsigned()}})
}

// bind makes or changes a binding: RFC 6275, section 9.5.2.
func (c *Correspondent) bind(now time.Time, key pair, b *binding, careOf netip.Addr, u *mh.BindingUpdate, l *letter) {
	lifetime := min(u.Lifetime, maxBindingLifetime)
	if b == nil {
		b = &binding{}
		c.bindings[key] = b
	}
	b.careOf, b.seq, b.expires = careOf, u.Seq, now.Add(lifetime)
	if u.Flags&mh.AckRequested != 0 {
		c.acknowledge(l, mh.Accepted, u.Seq, lifetime)
	}
	c.do(SetRoute{Own: key.own, Peer: key.home, CareOf: careOf})
	c.do(Event{Name: "route-optimized", Fields: map[string]any{"home-address": key.home.String(), "care-of": careOf.String(),
		"seq": u.Seq, "lifetime": lifetime.Seconds()}})
}

// delete ends a binding: RFC 6275, section 9.5.3. What remains of it keeps a
// Binding Update from before from making it again; of a home address that has
// none there is nothing to keep, as its Binding Update has a sequence number that
// this one would not refuse.
func (c *Correspondent) delete(now time.Time, key pair, b *binding, seq uint16) {
	if b == nil {
		return
	}
	bound := b.careOf.IsValid()
	b.careOf, b.seq, b.expires = netip.Addr{}, seq, now.Add(maxNonceLifetime)
	if bound {
		c.ended(key, "deleted")
	}
}

func (c *Correspondent) ended(key pair, reason string) {
	c.do(ClearRoute{Own: key.own, Peer: key.home})
	c.do(Event{Name: "route-optimization-ended", Fields: map[string]any{"home-address": key.home.String(), "reason": reason}})
}

// Tick does what is due at now.
func (c *Correspondent) Tick(now time.Time) []Output {
	c.begin()
	for _, key := range slices.SortedFunc(maps.Keys(c.bindings), pair.compare) {
		b := c.bindings[key]
		if now.Before(b.expires) {
			continue
		}
		if !b.careOf.IsValid() {
			delete(c.bindings, key)
			continue
		}
		c.ended(key, "expired")
		// Its sequence number stays while its nonces could: section 5.2.8.
		b.careOf, b.expires = netip.Addr{}, now.Add(maxNonceLifetime)
	}
	return c.out
}

// Deadline is when Tick is next due; zero: never.
func (c *Correspondent) Deadline() time.Time {
	var d time.Time
	for _, b := range c.bindings {
		d = earliest(d, b.expires)
	}
	return d
}

// earliest is the earlier of two times, of which a zero one is none at all.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

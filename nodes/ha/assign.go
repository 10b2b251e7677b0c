package ha

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"

	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// How far a free home address is looked for, so that one question costs little
// where hardly any is left.
const (
	maxAddressesTried = 256  // of a prefix
	maxPrefixesTried  = 1024 // of 64 bits, of a home prefix
)

// Who may have chosen a home address, as the journal has it.
const (
	byAssociation = "association" // it was set up beforehand
	byAAA         = "aaa"
	byHomeAgent   = "home-agent"
)

// A grant is which home addresses a subscriber may bind, as far as somebody else
// than this home agent has a say in it.
type grant struct {
	home   netip.Addr   // the only one; not valid: any that is nobody else's
	within netip.Prefix // where home is not valid: one of this prefix; not valid: of any
	by     string       // who says so
}

// granted is what an answer of the AAA says of home addresses. It may name the
// address, only its prefix with 64 zero bits behind it (RFC 5778, section 6.5),
// or none in particular.
func (in *AAAAnswered) granted() grant {
	switch {
	case !in.HomeAddress.IsValid() || in.HomeAddress.IsUnspecified():
		return grant{by: byAAA}
	case isPrefix(in.HomeAddress):
		return grant{within: netip.PrefixFrom(in.HomeAddress, 64), by: byAAA}
	}
	return grant{home: in.HomeAddress, by: byAAA}
}

// allows says whether a home address is among those that are granted.
func (g *grant) allows(home netip.Addr) bool {
	switch {
	case g.home.IsValid():
		return home == g.home
	case g.within.IsValid():
		return g.within.Contains(home)
	}
	return true
}

func isPrefix(a netip.Addr) bool {
	return a.Is6() && netip.PrefixFrom(a, 64).Masked().Addr() == a
}

// assign settles which home address a Binding Update is about that asks for one:
// the one that its sender was granted, or else the one that this home agent
// chooses and keeps for him as long as it knows him. An empty reason: it has.
// That the address may be bound is not said by it.
func (m *Machine) assign(r *request) (status mh.Status, reason string) {
	s := r.subscriber
	switch {
	case s == nil: // nobody has proven who asks, so nobody could be told from the next
		return mh.Prohibited, "nobody-to-assign-to"
	case s.home.IsValid():
		r.home, r.assigner = s.home, s.by
		return 0, ""
	case s.within.IsValid() && !m.isHome(s.within.Addr()):
		return mh.NotHomeSubnet, "not-in-a-home-prefix"
	case !s.assigned.IsValid() || m.owners[s.assigned] != s:
		home := m.choose(s)
		if !home.IsValid() {
			return mh.InsufficientResources, "no-free-home-address"
		}
		s.assigned = home
		m.reserve(s, home)
	}
	r.home, r.assigner = s.assigned, byHomeAgent
	return 0, ""
}

// unassign takes back a home address that was chosen here and has turned out to
// be somebody's: the next choice is another.
func (m *Machine) unassign(r *request) {
	if s := r.subscriber; r.asks && r.assigner == byHomeAgent && s.assigned == r.home {
		m.free(s, s.assigned)
		s.assigned = netip.Addr{}
		s.rejected++
	}
}

// choose finds a home address for a subscriber: in the prefix that he was
// granted; else on a home link of this node, so that he can be at home; else in a
// prefix of 64 bits that is his alone, as in 3GPP TS 23.401, section 5.3.1.2.2,
// where the home prefixes are shorter than that. Not valid: none is free.
//
// It follows from the NAI and the seed, so that he gets the same one after he or
// this home agent has forgotten, unless it was given away meanwhile.
func (m *Machine) choose(s *subscriber) netip.Addr {
	var within []netip.Prefix
	switch {
	case s.within.IsValid():
		within = []netip.Prefix{s.within}
	default:
		for _, l := range m.links {
			for _, p := range l.covered {
				if m.isHome(p.Addr()) {
					within = append(within, p)
				}
			}
		}
	}
	if within == nil {
		for _, p := range m.prefixes {
			if p.Bits() < 64 {
				p = m.freePrefix(s, p)
			}
			if p.IsValid() {
				within = append(within, p)
			}
		}
	}
	for _, p := range within {
		if a := m.freeAddress(s, p); a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// freePrefix finds a prefix of 64 bits in p, which is shorter, with nobody's home
// address and none of this node's in it; not valid: there is none among those
// tried.
func (m *Machine) freePrefix(s *subscriber, p netip.Prefix) netip.Prefix {
	first, _ := halves(p.Masked().Addr())
	mask := uint64(1)<<(64-p.Bits()) - 1
	if p.Bits() == 0 {
		mask = 1<<64 - 1
	}
	begin := m.digest(s, p)
	for n := uint64(0); n < maxPrefixesTried && n <= mask; n++ {
		q := netip.PrefixFrom(join(first|(begin+n)&mask, 0), 64)
		if m.held64[q] == 0 && !m.isOwn64(q) {
			return q
		}
	}
	return netip.Prefix{}
}

// isOwn64 says whether this node has an address in q.
func (m *Machine) isOwn64(q netip.Prefix) bool {
	for _, own := range m.own {
		if q.Contains(own) {
			return true
		}
	}
	return false
}

// freeAddress finds an address in p, of 64 bits or more, that is nobody's and
// can be somebody's; not valid: there is none among those tried.
func (m *Machine) freeAddress(s *subscriber, p netip.Prefix) netip.Addr {
	high, low := halves(p.Masked().Addr())
	mask := uint64(1<<64-1) >> (p.Bits() - 64)
	if p.Bits() == 64 {
		mask &^= 1 << 57 // the universal bit: RFC 4291, section 2.5.1
	}
	begin := m.digest(s, p) + s.rejected
	for n := uint64(0); n < maxAddressesTried && n <= mask; n++ {
		host := (begin + n) & mask
		if host == 0 || host>>7 == 0xfdffffffffffff80>>7 { // anycast: RFC 4291, section 2.6.1; RFC 2526
			continue
		}
		a := join(high, low|host)
		if m.owners[a] == nil && m.bindings[a] == nil && !m.isOwn(a) {
			return a
		}
	}
	return netip.Addr{}
}

// digest is where the search for a subscriber begins in p.
func (m *Machine) digest(s *subscriber, p netip.Prefix) uint64 {
	b := binary.BigEndian.AppendUint64(nil, m.seed)
	o := ipv6.Octets(p.Addr())
	b = append(append(b, o[:]...), byte(p.Bits()))
	sum := sha256.Sum256(append(b, s.nai...))
	return binary.BigEndian.Uint64(sum[:])
}

// halves gives the two halves of an address.
func halves(a netip.Addr) (high, low uint64) {
	o := ipv6.Octets(a)
	return binary.BigEndian.Uint64(o[:8]), binary.BigEndian.Uint64(o[8:])
}

func join(high, low uint64) netip.Addr {
	var o [16]byte
	binary.BigEndian.PutUint64(o[:8], high)
	binary.BigEndian.PutUint64(o[8:], low)
	return netip.AddrFrom16(o)
}

// hold counts a home address that somebody has bound or that is reserved for
// him, or no longer is.
func (m *Machine) hold(home netip.Addr, by int) {
	p := netip.PrefixFrom(home, 64).Masked()
	if m.held64[p] += by; m.held64[p] == 0 {
		delete(m.held64, p)
	}
}

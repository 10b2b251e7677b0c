package mip4

import (
	"container/heap"
	"net/netip"
	"slices"
	"time"

	wire "s2clab/nodes/wire/mip4"
)

// judge decides on a Request that is authentic, by the association s, in the order of
// RFC 5944, sections 3.8.2.1 and 3.8.2.2. Told is the nonce that s was made of, if
// that is new; vouched is the home address that an AAA server has given.
func (a *Agent) judge(now time.Time, m *mobile, in RequestReceived, r *wire.RegistrationRequest, s *Association, told *wire.KeyGenerationReply, vouched netip.Addr) []AgentOutput {
	if b := m.binding; b != nil && b.id == r.Identification && b.careOf == r.CareOf && m.home == r.Home && told == nil && r.Lifetime > 0 {
		// A duplicate: its lifetime does not go beyond what was granted.
		left := wire.Infinite
		if !b.ends.IsZero() {
			left = b.ends.Sub(now).Truncate(time.Second)
		}
		return a.accepted(in, r, s, nil, m.home, left)
	}
	if m.replay.Check(now, r.Identification) != nil {
		return a.deny(now, m, in, r, s, told, wire.IdentificationMismatch)
	}
	if in.To != a.o.Address || r.HomeAgent != a.o.Address { // section 3.8.2.1; 3.8.3.2
		return a.deny(now, m, in, r, s, told, wire.UnknownHomeAgent)
	}
	home, code := a.homeOf(m, r, vouched)
	switch {
	case code != wire.Accepted:
	case r.Flags&(wire.Minimal|wire.GRE) != 0: // RFC 3024, section 3.4
		code = wire.EncapsulationUnavailable
	case !usable(r.CareOf), r.Lifetime > 0 && a.bound[r.CareOf] != nil, r.Lifetime > 0 && r.CareOf == home, r.CareOf == a.o.Address:
		code = wire.PoorlyFormed // packets would come back here
	case r.Lifetime > 0 && m.binding == nil && a.o.Most > 0 && a.held >= a.o.Most:
		code = wire.InsufficientResources
	}
	lifetime := min(r.Lifetime, a.o.Longest)
	if !s.Ends.IsZero() { // RFC 4004, section 9.13: a key is not used after its end
		lifetime = min(lifetime, s.Ends.Sub(now).Truncate(time.Second))
	}
	if code == wire.Accepted && lifetime <= 0 && r.Lifetime > 0 {
		code = wire.MobileFailed // the mobile node is to have another key
	}
	if code != wire.Accepted {
		return a.deny(now, m, in, r, s, told, code)
	}
	// It is fresh. From now on whoever has answered for it is the one.
	m.replay.Accept(r.Identification)
	m.accepted, m.current, m.offered = now, s, nil
	var out []AgentOutput
	if m.home != home {
		out = a.unbind(m, "another-home-address")
		if a.bound[m.home] == m {
			delete(a.bound, m.home)
		}
		m.home, a.bound[home] = home, m
	}
	if r.Lifetime == 0 {
		if b := m.binding; b != nil && (r.CareOf == home || r.CareOf == b.careOf) {
			out = append(out, a.unbind(m, "deregistered")...)
		}
		return append(out, a.accepted(in, r, s, told, home, 0)...)
	}
	bound := Bound{Name: m.name, Home: home, CareOf: r.CareOf, Lifetime: lifetime, Reverse: r.Flags&wire.ReverseTunnel != 0}
	if i, ok := wire.Find[wire.Identifier](r.Extensions); ok {
		bound.NAI = i.NAI
	}
	if b := m.binding; b != nil && b.careOf != r.CareOf {
		bound.Former = b.careOf
	}
	if m.binding == nil {
		a.held++
	}
	m.binding = &binding{careOf: r.CareOf, id: r.Identification, reverse: bound.Reverse, ends: now.Add(lifetime)}
	if lifetime == wire.Infinite {
		m.binding.ends = time.Time{}
	} else {
		a.end(m)
	}
	return append(append(out, bound), a.accepted(in, r, s, told, home, lifetime)...)
}

// end has Tick end the binding of m in time. Endings of what has been registered again
// are passed by, and swept when they are many.
func (a *Agent) end(m *mobile) {
	if len(a.ends) > 2*len(a.mobile)+64 {
		a.ends = slices.DeleteFunc(a.ends, func(e ending) bool { return e.of.binding == nil || !e.of.binding.ends.Equal(e.at) })
		heap.Init(&a.ends)
	}
	heap.Push(&a.ends, ending{m.binding.ends, m})
}

// accepted replies that it is done. Of simultaneous bindings there are none here.
func (a *Agent) accepted(in RequestReceived, r *wire.RegistrationRequest, s *Association, told *wire.KeyGenerationReply, home netip.Addr, lifetime time.Duration) []AgentOutput {
	reply := &wire.RegistrationReply{Code: wire.AcceptedNoSimultaneous, Lifetime: lifetime, Home: home, HomeAgent: a.o.Address, Identification: r.Identification}
	return a.reply(in, r, reply, s, told)
}

// homeOf is the home address of a Request: RFC 5944, section 3.8.3.2.
func (a *Agent) homeOf(m *mobile, r *wire.RegistrationRequest, vouched netip.Addr) (netip.Addr, wire.Code) {
	given := vouched.IsValid() && !vouched.IsUnspecified()
	if !r.Home.IsUnspecified() {
		other := a.bound[r.Home]
		switch {
		case given && r.Home != vouched, m.known != nil && m.known.Home.IsValid() && r.Home != m.known.Home,
			other != nil && other != m, r.Home == a.o.Address, !a.o.Home.Contains(r.Home):
			return netip.Addr{}, wire.Prohibited
		}
		return r.Home, wire.Accepted
	}
	switch {
	case r.Lifetime == 0 && !m.home.IsValid():
		return netip.Addr{}, wire.PoorlyFormed // of nobody knows whom
	case given && (a.bound[vouched] == nil || a.bound[vouched] == m):
		return vouched, wire.Accepted
	case given:
		return netip.Addr{}, wire.Prohibited
	case m.home.IsValid():
		return m.home, wire.Accepted
	}
	for _, free := range a.o.Pool {
		if a.bound[free] == nil {
			return free, wire.Accepted
		}
	}
	return netip.Addr{}, wire.InsufficientResources
}

// usable says whether packets can be tunnelled to an address.
func usable(careOf netip.Addr) bool {
	return careOf.IsValid() && !careOf.IsUnspecified() && !careOf.IsMulticast() && !careOf.IsLoopback() && careOf != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

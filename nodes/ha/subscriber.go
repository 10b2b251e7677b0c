package ha

import (
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
)

// associationsKept is how many security associations a subscriber has at most:
// the newest, and the one before it while the mobile node may not have heard of
// the newest.
const associationsKept = 2

// A subscriber is what is known of one NAI. There is one where an association
// was configured, and where the AAA has vouched for a Binding Update: nothing
// that merely arrives makes one.
type subscriber struct {
	nai          string
	alias        string        // another name that it calls itself by, as in GBA; empty: none
	grant                      // of home addresses
	assigned     netip.Addr    // the home address that this home agent has chosen; not valid: none
	rejected     uint64        // of those that it has chosen, how many were found in use
	associations []*mobilitySA // the newest first
	configured   bool          // stays for ever
	guard        association.ReplayGuard
	remembers    bool // the guard has accepted a timestamp that must not come again
	bindings     int  // in the binding cache
	timer        timer
}

// A mobilitySA is a shared-key-based mobility security association: RFC 4285,
// section 3.1.
type mobilitySA struct {
	*association.Association
	key       []byte    // of an association that the AAA handed out
	untold    []byte    // the key of a configured association that nothing was proven by yet
	expires   time.Time // zero: never
	timestamp bool      // replay protection is by timestamp, else by sequence number
	session   string    // Session-Id of the Diameter session it came by, while that is open
	server    string    // that keeps the session's state: its Diameter identity
	ended     bool      // its session is over, or will be: it proves only what ends a binding
}

func (a *mobilitySA) alive(now time.Time) bool {
	return a.expires.IsZero() || now.Before(a.expires)
}

// association gives the association with that SPI; nil: there is none that may
// still be used. s may be nil.
func (s *subscriber) association(now time.Time, spi uint32) *mobilitySA {
	if s == nil {
		return nil
	}
	for _, a := range s.associations {
		if a.SPI == spi && a.alive(now) {
			return a
		}
	}
	return nil
}

// latest gives the newest association; nil: there is none that may still be
// used. s may be nil.
func (s *subscriber) latest(now time.Time) *mobilitySA {
	if s == nil {
		return nil
	}
	for _, a := range s.associations {
		if a.alive(now) {
			return a
		}
	}
	return nil
}

// add puts a in front of what there is, and gives what had to make room for it.
// An SPI names one association at a time.
func (s *subscriber) add(a *mobilitySA) (gone []*mobilitySA) {
	s.associations = slices.DeleteFunc(s.associations, func(old *mobilitySA) bool {
		if old.SPI == a.SPI {
			gone = append(gone, old)
		}
		return old.SPI == a.SPI
	})
	s.associations = slices.Insert(s.associations, 0, a)
	if len(s.associations) > associationsKept && !s.configured {
		gone = append(gone, s.associations[associationsKept:]...)
		s.associations = s.associations[:associationsKept]
	}
	return gone
}

// review drops what time has ended, and says when to look again; the zero time
// and false: s itself can go.
func (s *subscriber) review(m *Machine, now time.Time) (again time.Time, stays bool) {
	soonest := func(t time.Time) {
		if again.IsZero() || t.Before(again) {
			again = t
		}
	}
	s.associations = slices.DeleteFunc(s.associations, func(a *mobilitySA) bool {
		if over := a.ended && a.session == "" && s.bindings == 0; a.alive(now) && !over {
			if !a.expires.IsZero() {
				soonest(a.expires)
			}
			return false
		}
		if m.tells(now, associationExpired) {
			m.tell(associationExpired, map[string]any{"nai": s.nai, "spi": a.SPI})
		}
		m.terminate(now, s, a, causeAuthExpired)
		return true
	})
	if last, _ := s.guard.Last(); s.remembers && len(s.associations) == 0 {
		// A timestamp is remembered until the window alone refuses it, however
		// long ago the binding ended: or a recorded Binding Update would make
		// one again, RFC 4285, appendix A. A restart does forget it, and for as
		// long as the window a configured association cannot tell.
		if left := keys.Until(m.wall(now), last) + m.window; left >= 0 {
			soonest(now.Add(left + time.Millisecond))
		} else {
			s.remembers = false
		}
	}
	return again, s.configured || len(s.associations) > 0 || s.remembers || s.bindings > 0
}

func (s *subscriber) due(m *Machine, now time.Time) {
	again, stays := s.review(m, now)
	if !stays {
		m.forget(s)
		again = time.Time{}
	}
	m.timers.set(&s.timer, again)
}

// subscribe gives the subscriber with that NAI, making it where the AAA vouches
// for it; nil: there is no room.
func (m *Machine) subscribe(now time.Time, nai string) *subscriber {
	if s := m.subscribers[nai]; s != nil {
		return s
	}
	if len(m.subscribers) >= m.maxSubscribers && !m.forgetOne(now) {
		return nil
	}
	s := &subscriber{nai: nai, guard: association.ReplayGuard{Window: m.window}}
	s.timer.owner = s
	m.subscribers[nai] = s
	return s
}

// forgetOne makes room for a subscriber by forgetting one who has no binding and
// no timestamp that could come again. He will have to ask the AAA once more.
func (m *Machine) forgetOne(now time.Time) bool {
	for _, s := range m.subscribers {
		last, _ := s.guard.Last()
		if s.configured || s.bindings > 0 || s.remembers && keys.Until(m.wall(now), last)+m.window >= 0 {
			continue
		}
		m.timers.remove(&s.timer)
		for _, a := range s.associations {
			m.terminate(now, s, a, causeAuthExpired)
		}
		m.forget(s)
		return true
	}
	return false
}

func (m *Machine) forget(s *subscriber) {
	m.changedSubscriber(s)
	delete(m.subscribers, s.nai)
	m.rename(s, "")
	m.free(s, s.home)
	m.free(s, s.assigned)
}

// called gives the subscriber with that NAI or alias, and whether it is the alias;
// nil: it is not known.
func (m *Machine) called(name string) (s *subscriber, aliased bool) {
	if s := m.subscribers[name]; s != nil {
		return s, false
	}
	s = m.aliases[name]
	return s, s != nil
}

// calledBy is called, with octets of a packet, of which it makes no copy.
func (m *Machine) calledBy(name []byte) (s *subscriber, aliased bool) {
	if s := m.subscribers[string(name)]; s != nil {
		return s, false
	}
	s = m.aliases[string(name)]
	return s, s != nil
}

// rename gives a subscriber another alias; empty: none.
func (m *Machine) rename(s *subscriber, alias string) {
	if s.alias != "" && m.aliases[s.alias] == s {
		delete(m.aliases, s.alias)
	}
	if s.alias = alias; alias == "" {
		return
	}
	if other := m.aliases[alias]; other != nil && other != s {
		other.alias = ""
		m.changedSubscriber(other)
	}
	m.aliases[alias] = s
}

// settle takes in which home addresses s may bind.
func (m *Machine) settle(s *subscriber, g grant) {
	m.free(s, s.home)
	s.grant = g
	if s.assigned.IsValid() && (g.home.IsValid() || !g.allows(s.assigned)) {
		m.free(s, s.assigned)
		s.assigned = netip.Addr{}
	}
	if g.home.IsValid() {
		m.free(m.owners[g.home], g.home) // who had it does not use it: see isTaken
		m.reserve(s, g.home)
	}
}

// reserve keeps a home address, which is nobody's, for s.
func (m *Machine) reserve(s *subscriber, home netip.Addr) {
	m.owners[home] = s
	m.hold(home, 1)
}

// free ends that, where it is so. home may be not valid.
func (m *Machine) free(s *subscriber, home netip.Addr) {
	if s != nil && m.owners[home] == s {
		delete(m.owners, home)
		m.hold(home, -1)
	}
}

// isTaken says whether a home address that the AAA names for s is in the hands of
// somebody else, who was set up with it or has bound it.
func (m *Machine) isTaken(home netip.Addr, s *subscriber) bool {
	other := m.owners[home]
	return other != nil && other != s && (other.configured || other.bindings > 0)
}

// mayBind says whether a home address belongs to a subscriber: RFC 6275,
// section 10.3.1, wants that only the right node can control it. s is nil where
// nobody is asked who he is.
func (m *Machine) mayBind(s *subscriber, home netip.Addr) bool {
	switch {
	case s == nil:
		return true
	case s.home.IsValid():
		return s.home == home
	default:
		owner := m.owners[home]
		return s.allows(home) && (owner == nil || owner == s)
	}
}

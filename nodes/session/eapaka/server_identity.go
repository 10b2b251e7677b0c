package eapaka

import (
	"slices"

	"s2clab/nodes/wire/eap"
)

// ask sends AKA-Identity, for what this server can make use of: RFC 4187, section
// 4.1.4.
func (s *Server) ask(a ask) {
	if a == askAny && (s.policy.Aliases == nil || s.policy.Reauths == 0) {
		a = askFullAuth
	}
	if a == askFullAuth && (s.policy.Aliases == nil || !s.policy.Pseudonyms) {
		a = askPermanent
	}
	s.state, s.asked = asking, a
	s.send(plain(s.message(eap.Identity, eap.Attribute{Type: asks[a]})), false)
}

// told takes what AKA-Identity says.
func (s *Server) told(packet []byte, m *eap.Message) {
	s.code.add(s.method, s.last, packet)
	s.identified(string(eap.Find(m.Attributes, eap.ATIDENTITY).Value))
}

// identified decides on what an identity is good for: RFC 4187, section 4.1.7, and
// 4.1.4 for one out of EAP-Response/Identity.
func (s *Server) identified(identity string) {
	if len(identity) > mostIdentity {
		identity = "" // no identity
	}
	s.identity = identity
	id := ParseIdentity(identity)
	asked, aliases := s.asked, s.policy.Aliases
	switch {
	case id.Kind == Permanent:
		s.imsi = id.IMSI
		s.full()
		return
	case asked == askPermanent:
		s.fail("identity-unknown")
		return
	case id.Kind == Pseudonym && aliases != nil:
		if imsi, ok := aliases.Pseudonym(id.Username); ok {
			s.imsi, s.used = imsi, id.Username
			s.full()
			return
		}
		s.ask(askPermanent)
		return
	case id.Kind == Pseudonym:
		s.ask(askPermanent)
		return
	case id.Kind == Reauthentication && asked <= askAny:
		if aliases == nil || !s.resume(id.Username) {
			s.ask(askFullAuth)
		}
		return
	}
	s.ask(asked + 1)
}

// resume goes on from the context of a re-authentication identity. Of one from
// another network it knows nothing: RFC 9048, section 3.3.
func (s *Server) resume(username string) bool {
	c, ok := s.policy.Aliases.TakeContext(username)
	if !ok || c.Method == eap.TypeAKAPrime && c.Network != s.network {
		return false
	}
	if s.asked == askNothing && s.identity != c.Identity {
		// The realm is another's. The keys of a fast re-authentication depend on it
		// and its MACs do not: who changes it on the way would leave both with other
		// keys. AT_CHECKCODE protects it in AKA-Identity.
		s.policy.Aliases.KeepContext(username, c)
		s.ask(askAny)
		return true
	}
	s.imsi = c.IMSI
	if s.asked == askNothing && slices.Contains(s.methods(), c.Method) && !s.begun && len(s.naks) == 0 {
		s.method = c.Method
	}
	if c.Method != s.method || c.Counter > s.policy.Reauths {
		s.full() // RFC 4187, section 4.1.7: the server does not want to
		return true
	}
	s.reauthenticate(c)
	return true
}

package eapaka

import (
	"strings"

	"s2clab/nodes/wire/eap"
)

// reauthenticate begins a fast re-authentication: RFC 4187, section 9.7.
func (s *Server) reauthenticate(c *Context) {
	s.context, s.fast, s.counter, s.reauth = c, true, c.Counter, ""
	random(s.policy.Rand, s.nonceS[:])
	hidden := []eap.Attribute{eap.Number(eap.ATCOUNTER, s.counter), {Type: eap.ATNONCES, Value: s.nonceS[:]}}
	if s.counter < s.policy.Reauths { // section 5.3: it says that there may be a next time
		s.reauth = s.reauthIdentity()
		hidden = append(hidden, eap.Attribute{Type: eap.ATNEXTREAUTHID, Value: []byte(s.reauth)})
	}
	m := s.message(eap.Reauthentication)
	s.addIndications(m)
	s.state = repeating
	s.send(c.seal(s.policy.Rand, m, hidden, nil), false)
}

// repeated judges the answer to it.
func (s *Server) repeated(packet []byte, m *eap.Message) {
	if !s.context.genuine(packet, s.nonceS[:]) {
		s.fail("mac-invalid")
		return
	}
	hidden, err := s.context.open(m)
	switch {
	case err != nil:
		s.fail(reasonOf(err))
	case eap.Find(hidden, eap.ATCOUNTER).Number() != s.counter:
		s.fail("counter-invalid")
	case s.indicated(m):
	case eap.Find(hidden, eap.ATCOUNTERTOOSMALL) != nil: // section 5.5: no identity is asked for
		s.full()
	default:
		s.keys = s.context.again(s.identity, s.counter, s.nonceS)
		s.authenticated()
	}
}

// keep has the names that were handed out remembered, once all went well: RFC
// 4187, section 4.1.1.7.
func (s *Server) keep() {
	if s.pseudonym != "" && !s.fast {
		s.policy.Aliases.KeepPseudonym(s.imsi, s.pseudonym, s.used)
	}
	if s.reauth == "" {
		return
	}
	c := *s.context
	c.Identity = s.reauth
	if s.fast {
		c.Counter = s.counter + 1 // there is one: counter is less than Reauths
	}
	username, _, _ := strings.Cut(s.reauth, "@")
	s.policy.Aliases.KeepContext(username, &c)
}

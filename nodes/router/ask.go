package router

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"s2clab/nodes/session/dot1x"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
)

const (
	mostQuestions = 256 // without an answer, of all links
	mostRounds    = 32  // of one authentication; EAP-AKA with everything has 7
	mostIdentity  = 253 // octets: RFC 7542, section 2.2
	leastMSK      = 64  // octets: RFC 3748, section 7.10
)

// networkName is the Access Network Identity of these links, to which EAP-AKA' binds
// its keys: TS 24.302, section 8.1.1.
const networkName = "WLAN"

// A question is a request to an AAA server to which no answer has come.
type question struct {
	station      *station      // nil: it is an STR
	conversation *conversation // nil: it is an STR
	nai, session string
}

// toServer has an AAA server look at what a station said.
func (m *Machine) toServer(now time.Time, l *link, o dot1x.ToServer) {
	s := l.station(o.Station)
	if o.First {
		identity, err := identityOf(o.EAP)
		s.conversation = &conversation{number: o.Conversation, identity: identity, began: now}
		if a := s.admission; a != nil && a.standing == good { // RFC 6733, section 8.1: the session goes on
			s.conversation.session, s.conversation.server = a.session, a.server
		}
		if err != nil {
			m.refuse(now, s, "malformed-identity", nil)
			return
		}
	}
	c := s.conversation
	c.said = o.EAP
	switch {
	case c.rounds >= mostRounds:
		m.refuse(now, s, "too-many-rounds", nil)
	case len(m.questions) >= mostQuestions:
		m.refuse(now, s, "too-many-questions", nil)
	default:
		m.ask(now, s, c)
	}
}

// identityOf reads an EAP-Response/Identity. Anybody may have sent it: what is no
// NAI by its octets does not go on to an AAA server or into an event.
func identityOf(packet []byte) (string, error) {
	p, err := eap.Parse(packet)
	if err != nil {
		return "", err
	}
	identity := string(p.Data)
	switch {
	case p.Type != eap.TypeIdentity:
		return "", fmt.Errorf("EAP %v, want %v", p.Type, eap.TypeIdentity)
	case identity == "" || len(identity) > mostIdentity:
		return "", fmt.Errorf("identity of %d octets, want 1 to %d", len(identity), mostIdentity)
	case !utf8.ValidString(identity) || strings.ContainsFunc(identity, unicode.IsControl):
		return "", errors.New("identity is no text")
	}
	return identity, nil
}

// ask sends a DER: RFC 4072, section 3.1; TS 29.273, section 5.1.2.1. It goes to the
// realm of the AAA servers, for that of an NAI (nai.epc..., TS 23.003, section 19.3)
// is no Diameter realm; and within a session to the server that has it.
func (m *Machine) ask(now time.Time, s *station, c *conversation) {
	m.last++
	c.rounds++
	m.questions[m.last] = &question{station: s, conversation: c, nai: c.identity}
	rat := diameter.WLAN
	m.do(Ask{ID: m.last, Request: &diameter.DiameterEAPRequest{
		Application: diameter.STa, Session: c.session, Identity: m.identity, DestinationRealm: m.realm, DestinationHost: c.server,
		User: c.identity, Type: diameter.AuthorizeAuthenticate, EAP: c.said, State: c.state,
		CallingStation: callingStation(s.mac), RAT: &rat, AccessNetwork: networkName,
	}})
	if m.tells(now, "aaa-asked") {
		m.tell("aaa-asked", map[string]any{"nai": c.identity, "link": s.link.name, "station": text(s.mac), "round": c.rounds})
	}
}

// callingStation is an address as RFC 3580, section 3.21, has it.
func callingStation(mac [6]byte) string {
	return strings.ReplaceAll(strings.ToUpper(text(mac)), ":", "-")
}

// refuse ends a conversation from this side. The packet may be nil.
func (m *Machine) refuse(now time.Time, s *station, reason string, packet []byte) {
	m.step(now, s.link.dev, dot1x.FromServer{Station: s.mac, Conversation: s.conversation.number, EAP: packet, Verdict: dot1x.Reject, Reason: reason})
}

// answered takes what became of a question.
func (m *Machine) answered(now time.Time, in AAAAnswered) {
	q := m.questions[in.ID]
	if q == nil {
		m.ignore(now, in.Outcome.Peer, "answer-to-nothing")
		return
	}
	delete(m.questions, in.ID)
	if q.conversation == nil {
		m.terminated(now, q, in.Outcome)
		return
	}
	answer, reason := read(&in.Outcome)
	s, c := q.station, q.conversation
	m.tellAnswer(now, q, in, answer, reason)
	switch {
	case s.conversation != c:
		m.late(now, answer)
	case answer == nil && c.lost(in.Outcome.Reason), answer != nil && c.lost(answer.Result.String()):
		// The server has forgotten the session, or is gone: begin another. The
		// station, which is on the link, need not know.
		s.admission.standing = unheld
		c.session, c.server = "", ""
		m.ask(now, s, c)
	case answer == nil:
		m.refuse(now, s, reason, nil)
	default:
		m.heed(now, s, c, answer)
	}
}

// lost says whether a session that was to be authorised again is no more, or out of
// reach.
func (c *conversation) lost(reason string) bool {
	if c.rounds > 1 || c.session == "" {
		return false
	}
	switch reason {
	case diameter.UnknownSessionID.String(), diameter.UnableToDeliver.String(), "no-peer":
		return true
	}
	return false
}

// late takes an answer that no conversation waits for any more. A session that the
// server has begun by it has nobody in it.
func (m *Machine) late(now time.Time, answer *diameter.DiameterEAPAnswer) {
	if answer != nil && answer.Result == diameter.Success {
		m.unwanted(now, answer)
	}
}

// unwanted ends a session that a server has authorised in vain.
func (m *Machine) unwanted(now time.Time, answer *diameter.DiameterEAPAnswer) {
	if m.sessions[answer.Session] == nil { // else somebody is in it
		m.terminate(now, answer.Session, answer.Host, answer.User, diameter.Administrative)
	}
}

// heed does what an answer says: RFC 4072, section 2.2.
func (m *Machine) heed(now time.Time, s *station, c *conversation, answer *diameter.DiameterEAPAnswer) {
	from := dot1x.FromServer{Station: s.mac, Conversation: c.number, EAP: answer.EAP}
	switch answer.Result {
	case diameter.MultiRoundAuth:
		if from.EAP == nil { // section 2.6: the last packet once more
			from.EAP = answer.Reissued
		}
		if p, err := eap.Parse(from.EAP); err == nil && p.Code == eap.Request {
			c.method = p.Type
		}
		c.lead(m, s, answer)
		m.step(now, s.link.dev, from)
		return
	case diameter.Success:
	default:
		m.refuse(now, s, answer.Result.String(), answer.EAP)
		return
	}
	known := s.admission != nil && s.admission.session == answer.Session
	if len(answer.MSK) < leastMSK {
		m.refuse(now, s, "no-master-session-key", nil)
	} else {
		c.lead(m, s, answer)
		c.grant = answer
		from.Verdict, from.SessionTimeout, from.MSK = dot1x.Accept, answer.SessionTimeout, answer.MSK
		m.step(now, s.link.dev, from) // which may not have it
	}
	if !known { // else whoever was on the link by it was barred, and that told
		m.unwanted(now, answer)
	}
}

// lead has the server of an answer lead the conversation.
func (c *conversation) lead(m *Machine, s *station, answer *diameter.DiameterEAPAnswer) {
	c.session, c.server, c.state = answer.Session, answer.Host, answer.State
	m.sessions[c.session] = s
}

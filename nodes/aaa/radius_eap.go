package aaa

import (
	"encoding/hex"
	"time"

	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
	"s2clab/nodes/wire/radius"
)

// stateSize is how many octets a State has, at random: it names a conversation, and
// only who was told it can go on with that.
const stateSize = 16

// accessNetworks are names of access networks, by NAS-Port-Type: TS 24.302, section
// 8.1.1.2.
var accessNetworks = map[uint32]string{radius.PortEthernet: "ETHERNET", radius.PortWireless80211: "WLAN", radius.PortWireless80216: "WIMAX"}

// converseRADIUS takes what a NAS brings of an EAP conversation: RFC 3579, section 2.
func (m *Machine) converseRADIUS(now time.Time, q *datagram) {
	e, err := radius.ParseEAPRequest(q.Packet.Attributes)
	if err != nil {
		m.reject(now, q, "the request is malformed")
		return
	}
	r := &diameter.DiameterEAPRequest{Identity: diameter.Identity{Host: q.client.Host}, User: e.User, EAP: e.EAP, AccessNetwork: accessNetworks[e.PortType]}
	state := e.State
	var c *conversation
	if len(state) > 0 {
		c = m.eap.open[radiusKey(q, state)]
	}
	switch {
	case c == nil && (len(state) > 0 || len(r.EAP) > 0 && !isIdentity(r.EAP)):
		// Of a conversation that is over, or was begun in a former life of this server.
		m.rejectEAP(now, q, e.EAP)
		return
	case c == nil:
		state = make([]byte, stateSize)
		m.authority.random.Read(state)
		if c = m.eap.begin(now, radiusKey(q, state), r); c == nil {
			m.silent(q, "too-busy")
			return
		}
	case c.request != nil: // the one before waits for the HSS: its answer comes
		m.silent(q, "conversation-busy")
		return
	}
	c.reply = func(now time.Time, a *diameter.DiameterEAPAnswer) bool {
		m.answerEAPByRADIUS(now, q, state, e, a)
		return true
	}
	m.hear(now, radiusKey(q, state), c, r)
}

// radiusKey names a conversation of a NAS. No Diameter node can choose a State.
func radiusKey(q *datagram, state []byte) sessionKey {
	return keyOf("radius "+q.client.Host, hex.EncodeToString(state))
}

// answerEAPByRADIUS says what a conversation has come to: RFC 3579, section 2.1.
func (m *Machine) answerEAPByRADIUS(now time.Time, q *datagram, state []byte, e *radius.EAPRequest, a *diameter.DiameterEAPAnswer) {
	switch {
	case a.Result == diameter.MultiRoundAuth:
		challenge := &radius.EAPChallenge{EAP: a.EAP, State: state}
		if a.EAP == nil { // section 2.6.1: what was said last is to be said again
			challenge.EAP, challenge.Ignored = a.Reissued, true
		}
		as, err := challenge.AppendTo(nil)
		m.answer(now, q, radius.AccessChallenge, as, err)
	case a.Result.Succeeded():
		accept := &radius.EAPAccept{EAP: a.EAP, User: a.User, MSK: a.MSK, Timeout: a.SessionTimeout.Truncate(time.Second)}
		if m.authority.wimax {
			accept.WiMAX = &radius.WiMAXSession{Session: state, MSK: a.MSK}
			if s := m.authority.subscribers[a.User]; s != nil {
				accept.WiMAX.HomeAgent = s.HomeAgent
			}
		}
		as, err := accept.AppendTo(nil, q.Cover)
		m.answer(now, q, radius.AccessAccept, as, err)
	case a.EAP == nil:
		m.rejectEAP(now, q, e.EAP)
	default:
		as, err := (&radius.EAPReject{EAP: a.EAP}).AppendTo(nil)
		m.answer(now, q, radius.AccessReject, as, err)
	}
}

// rejectEAP ends what is not a conversation of this server, with an EAP-Failure: RFC
// 3579, section 2.6.1.
func (m *Machine) rejectEAP(now time.Time, q *datagram, packet []byte) {
	failure := &eap.Packet{Code: eap.Failure}
	if p, err := eap.Parse(packet); err == nil {
		failure.Identifier = p.Identifier
	}
	octets, err := failure.AppendTo(nil)
	if err != nil {
		panic("aaa: " + err.Error()) // it has nothing that could be wrong
	}
	as, err := (&radius.EAPReject{EAP: octets}).AppendTo(nil)
	m.answer(now, q, radius.AccessReject, as, err)
}

package aaa

import (
	"time"

	"s2clab/nodes/wire/diameter"
)

// authorizeOnly takes an AA-Request of a PDN gateway: TS 29.273, section 9.1.2.2. It
// is told whether a subscriber may use an APN, and the HSS, who serves it.
func (m *Machine) authorizeOnly(now time.Time, q *query) {
	r, err := diameter.ParseAARequest(q.Message)
	if err != nil {
		m.fail(now, q, err.(*diameter.Failure))
		return
	}
	answer := &diameter.AAAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: m.identity, Type: r.Type, User: r.User, ProxyInfo: r.ProxyInfo}
	refuse := func(now time.Time, result diameter.ResultCode, why string) {
		answer.Outcome = diameter.Outcome{Result: result, Text: why}
		m.reply(now, q, answer, result)
	}
	imsi := imsiOf(r.User)
	if imsi == "" || m.client == nil {
		refuse(now, diameter.UserUnknown, "there is no such subscriber")
		return
	}
	known := m.records.of(r.User, imsi)
	m.withProfile(now, known, func(now time.Time, result diameter.ResultCode, reason string) {
		switch {
		case result == 0 && reason != "" || result.ProtocolError():
			refuse(now, diameter.UnableToComply, "the HSS: "+reason)
			return
		case reason != "":
			refuse(now, result, "the HSS: "+reason)
			return
		case known.barred():
			refuse(now, diameter.AuthorizationRejected, "the subscriber is barred")
			return
		case !known.hasAPN(r.Service):
			refuse(now, diameter.UserNoAPNSubscription, "the subscriber may not use the APN "+r.Service)
			return
		}
		answer.SessionTimeout, answer.APNs = known.profile.SessionTimeout, known.profile.APNs
		started := m.start(now, diameter.S6b, r.Session, r.Identity, r.User, answer.SessionTimeout)
		if !m.reply(now, q, answer, diameter.Success) {
			if started {
				m.close(m.sessions.open[keyOf(r.Host, r.Session)], "unanswered", nil)
			}
			return
		}
		if r.Agent != nil {
			m.servedBy(now, known, r.Service, r.Agent)
		}
	})
}

package aaa

import (
	"strings"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/eapaka"
	"s2clab/nodes/wire/diameter"
)

// mostRecords is how many subscribers are remembered. The one that was made first
// makes room.
const mostRecords = 1 << 16

// A record is what this server remembers of a subscriber of the HSS.
type record struct {
	nai, imsi string
	profile   *diameter.Non3GPPUserData // since the HSS has registered this server; nil: it has not
	access    *keys.Access              // of its last access authentication; nil: there was none
	btid      string                    // of that, as a bootstrapping
}

// records are those of all subscribers.
type records struct {
	byIMSI map[string]*record
	byNAI  map[string]*record
	byBTID map[string]*record
	line   []*record // the oldest first
}

func newRecords() records {
	return records{byIMSI: map[string]*record{}, byNAI: map[string]*record{}, byBTID: map[string]*record{}}
}

// of gives the record of a subscriber, and makes it. The NAI is a permanent one: a
// subscriber may call itself by another realm than before, and has one record.
func (all *records) of(nai, imsi string) *record {
	if r := all.byIMSI[imsi]; r != nil {
		if r.nai != nai {
			delete(all.byNAI, r.nai)
			r.nai = nai
			all.byNAI[nai] = r
		}
		return r
	}
	if len(all.byNAI) >= mostRecords {
		all.forget(all.line[0])
	}
	r := &record{nai: nai, imsi: imsi}
	all.byIMSI[imsi], all.byNAI[nai] = r, r
	all.line = append(all.line, r)
	return r
}

func (all *records) forget(r *record) {
	delete(all.byIMSI, r.imsi)
	delete(all.byNAI, r.nai)
	delete(all.byBTID, r.btid)
	for i, other := range all.line {
		if other == r {
			all.line = append(all.line[:i], all.line[i+1:]...)
			return
		}
	}
}

// shared takes over what an access authentication has left.
func (all *records) shared(r *record, a *keys.Access, realm string) {
	delete(all.byBTID, r.btid)
	r.access, r.btid = a, bootstrap.Partial(a, realm).BTID
	all.byBTID[r.btid] = r
}

// permanent is the NAI by which a subscriber is known here whatever it calls itself
// in EAP: that with the leading digit of EAP-AKA.
func permanent(imsi, realm string) string { return "0" + imsi + "@" + realm }

// imsiOf is the IMSI in a permanent NAI; empty: there is none.
func imsiOf(nai string) string { return eapaka.ParseIdentity(nai).IMSI }

// withProfile calls then with the profile of a subscriber, for which it asks the HSS
// where this server is not registered yet: TS 29.273, section 8.1.2.2. The reason is
// empty where there is one; result is what the HSS said.
func (m *Machine) withProfile(now time.Time, r *record, then func(now time.Time, result diameter.ResultCode, reason string)) {
	if r.profile != nil {
		then(now, diameter.Success, "")
		return
	}
	m.ask(now, &diameter.ServerAssignmentRequest{Identity: m.identity, User: r.imsi, Type: diameter.Registration}, func(now time.Time, o diampeer.Outcome) {
		if o.Reason != "" {
			then(now, o.Result, o.Reason)
			return
		}
		a, err := diameter.ParseServerAssignmentAnswer(o.Message)
		switch {
		case m.records.byIMSI[r.imsi] != r: // the HSS has taken the subscriber back meanwhile
			then(now, diameter.AuthorizationRejected, "deregistered")
		case err != nil:
			then(now, 0, "malformed-answer")
		case a.Data == nil:
			then(now, diameter.UserNoNon3GPPSubscription, "no-profile")
		default:
			r.profile = a.Data
			then(now, diameter.Success, "")
		}
	})
}

// barred says whether a subscriber may not use non-3GPP access.
func (r *record) barred() bool {
	return r.profile.Access != nil && *r.profile.Access == diameter.Non3GPPBarred || r.profile.APNAccess != nil && *r.profile.APNAccess == diameter.APNsDisabled
}

// hasAPN says whether a subscriber may use an APN; an empty one is the default.
func (r *record) hasAPN(apn string) bool {
	for _, a := range r.profile.APNs {
		if apn == "" || a.Service == "*" || strings.EqualFold(a.Service, apn) {
			return true
		}
	}
	return false
}

// servedBy tells the HSS which home agent serves a subscriber: TS 29.273, section
// 8.1.2.2.2 (PGW_UPDATE). An empty APN is the default one.
func (m *Machine) servedBy(now time.Time, r *record, apn string, agent *diameter.AgentInfo) {
	if apn == "" && len(r.profile.APNs) > 0 {
		apn = r.profile.APNs[0].Service
	}
	if apn == "" || apn == "*" {
		return
	}
	m.ask(now, &diameter.ServerAssignmentRequest{Identity: m.identity, User: r.imsi, Type: diameter.PGWUpdate, Service: apn, Agent: agent}, func(now time.Time, o diampeer.Outcome) {
		if o.Reason != "" {
			m.events.Tell("hss-failed", map[string]any{"nai": r.nai, "about": "pgw-update", "reason": o.Reason})
		}
	})
}

// deregistered takes a Registration-Termination-Request: TS 29.273, section
// 8.1.2.3. What this server knows of the subscriber is forgotten, and its sessions
// are aborted.
func (m *Machine) deregistered(now time.Time, q *query) {
	r, err := diameter.ParseRegistrationTerminationRequest(q.Message)
	if err != nil {
		m.fail(now, q, err.(*diameter.Failure))
		return
	}
	known := m.records.byIMSI[r.User]
	if known == nil {
		m.reply(now, q, &diameter.RegistrationTerminationAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.UserUnknown}, Identity: m.identity, ProxyInfo: r.ProxyInfo}, diameter.UserUnknown)
		return
	}
	m.reply(now, q, &diameter.RegistrationTerminationAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: m.identity, ProxyInfo: r.ProxyInfo}, diameter.Success)
	m.events.Tell("subscriber-deregistered", map[string]any{"nai": known.nai, "reason": r.Reason.String()})
	m.records.forget(known)
	m.abortAll(now, func(s *session) bool { return imsiOf(s.nai) == known.imsi })
}

// pushed takes a Push-Profile-Request: TS 29.273, section 8.1.2.4.
func (m *Machine) pushed(now time.Time, q *query) {
	r, err := diameter.ParsePushProfileRequest(q.Message)
	if err != nil {
		m.fail(now, q, err.(*diameter.Failure))
		return
	}
	result := diameter.Success
	known := m.records.byIMSI[r.User]
	switch {
	case known == nil:
		result = diameter.UserUnknown
	case r.Data != nil:
		known.profile = r.Data
		m.events.Tell("profile-changed", map[string]any{"nai": known.nai, "barred": known.barred()})
	}
	m.reply(now, q, &diameter.PushProfileAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: result}, Identity: m.identity, ProxyInfo: r.ProxyInfo}, result)
	if known != nil && known.profile != nil && known.barred() {
		m.abortAll(now, func(s *session) bool { return imsiOf(s.nai) == known.imsi })
	}
}

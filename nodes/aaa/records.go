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
	byNAI  map[string]*record
	byBTID map[string]*record
	line   []*record // the oldest first
}

func newRecords() records {
	return records{byNAI: map[string]*record{}, byBTID: map[string]*record{}}
}

// of gives the record of a subscriber, and makes it. The NAI is a permanent one.
func (all *records) of(nai, imsi string) *record {
	if r := all.byNAI[nai]; r != nil {
		return r
	}
	if len(all.byNAI) >= mostRecords {
		all.forget(all.line[0])
	}
	r := &record{nai: nai, imsi: imsi}
	all.byNAI[nai] = r
	all.line = append(all.line, r)
	return r
}

func (all *records) forget(r *record) {
	delete(all.byNAI, r.nai)
	delete(all.byBTID, r.btid)
	for i, other := range all.line {
		if other == r {
			all.line = append(all.line[:i], all.line[i+1:]...)
			return
		}
	}
}

// byIMSI finds the record of a subscriber; nil: there is none.
func (all *records) byIMSI(imsi string) *record {
	for _, r := range all.line {
		if r.imsi == imsi {
			return r
		}
	}
	return nil
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
// 8.1.2.2.2 (PGW_UPDATE).
func (m *Machine) servedBy(now time.Time, r *record, q *question) {
	apn := q.service
	if apn == "" && len(r.profile.APNs) > 0 {
		apn = r.profile.APNs[0].Service
	}
	if apn == "" || apn == "*" {
		return
	}
	agent := &diameter.AgentInfo{Host: q.from.Host, Realm: q.from.Realm}
	agent.Addresses = append(agent.Addresses, q.homeAgent)
	m.ask(now, &diameter.ServerAssignmentRequest{Identity: m.identity, User: r.imsi, Type: diameter.PGWUpdate, Service: apn, Agent: agent}, func(now time.Time, o diampeer.Outcome) {
		if o.Reason != "" {
			m.events.tell(hssFailed, map[string]any{"nai": r.nai, "about": "pgw-update", "reason": o.Reason})
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
	known := m.records.byIMSI(r.User)
	if known == nil {
		m.reply(now, q, &diameter.RegistrationTerminationAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.UserUnknown}, Identity: m.identity, ProxyInfo: r.ProxyInfo}, diameter.UserUnknown)
		return
	}
	m.reply(now, q, &diameter.RegistrationTerminationAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: m.identity, ProxyInfo: r.ProxyInfo}, diameter.Success)
	m.events.tell(subscriberDeregistered, map[string]any{"nai": known.nai, "reason": r.Reason.String()})
	m.records.forget(known)
	m.abortAll(now, known.nai)
}

// pushed takes a Push-Profile-Request: TS 29.273, section 8.1.2.4.
func (m *Machine) pushed(now time.Time, q *query) {
	r, err := diameter.ParsePushProfileRequest(q.Message)
	if err != nil {
		m.fail(now, q, err.(*diameter.Failure))
		return
	}
	result := diameter.Success
	known := m.records.byIMSI(r.User)
	switch {
	case known == nil:
		result = diameter.UserUnknown
	case r.Data != nil:
		known.profile = r.Data
		m.events.tell(profileChanged, map[string]any{"nai": known.nai, "barred": known.barred()})
	}
	m.reply(now, q, &diameter.PushProfileAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: result}, Identity: m.identity, ProxyInfo: r.ProxyInfo}, result)
	if known != nil && known.profile != nil && known.barred() {
		m.abortAll(now, known.nai)
	}
}

package bsf

import (
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/ub"
	"s2clab/nodes/wire/diameter"
)

// asked is what the HSS was asked for a mobile node.
type asked struct {
	impi   string
	resync bool
}

// fetch asks the HSS for a vector: Zh of TS 29.109.
func (m *Machine) fetch(now time.Time, w ub.WantVector) {
	if m.realm == "" {
		m.mobile(now, m.ub.NoVector(w.ID, ub.Unavailable))
		return
	}
	r := &diameter.MultimediaAuthRequest{
		Application: diameter.Zh, Identity: m.identity, DestinationRealm: m.realm, User: w.IMPI,
		Vectors: 1, Scheme: diameter.SchemeDigestAKA,
	}
	if w.Resync != nil {
		r.Resync = &diameter.Resync{RAND: w.Resync.RAND, AUTS: w.Resync.AUTS}
	}
	m.asked[w.ID] = asked{impi: w.IMPI, resync: w.Resync != nil}
	m.connections(now, m.hss.Step(now, diampeer.Ask{ID: w.ID, Request: r}))
}

// fetched takes what the HSS has said, or that it said nothing.
func (m *Machine) fetched(now time.Time, done diampeer.Done) {
	a, ok := m.asked[done.ID]
	if !ok {
		return
	}
	delete(m.asked, done.ID)
	v, reason := vectorOf(&done.Outcome, a.impi)
	fields := map[string]any{"nai": a.impi, "resync": a.resync}
	if done.Outcome.Host != "" {
		fields["host"] = done.Outcome.Host
	}
	if reason == "" {
		m.events.Tell("vector-fetched", fields)
		m.mobile(now, m.ub.Vector(now, done.ID, v))
		return
	}
	fields["reason"] = reason
	m.events.Tell("vector-refused", fields)
	why := ub.Unavailable
	if unknown(&done.Outcome) {
		why = ub.UnknownUser
	}
	m.mobile(now, m.ub.NoVector(done.ID, why))
}

// vectorOf reads the vector of an answer, or says in kebab-case why there is none.
func vectorOf(o *diampeer.Outcome, impi string) (v keys.Vector, reason string) {
	if o.Reason != "" {
		return v, o.Reason
	}
	a, err := diameter.ParseMultimediaAuthAnswer(o.Message)
	switch {
	case err != nil:
		return v, "malformed-answer"
	case a.User != "" && a.User != impi:
		return v, "answer-about-another"
	case len(a.Items) == 0 || a.Items[0].Scheme != diameter.SchemeDigestAKA:
		return v, "no-vector"
	}
	i := &a.Items[0]
	return keys.Vector{RAND: i.RAND, AUTN: i.AUTN, XRES: i.XRES, CK: i.CK, IK: i.IK}, ""
}

// unknown says whether the HSS will give no vector of that identity, ask as one may.
func unknown(o *diampeer.Outcome) bool {
	switch o.Result {
	case diameter.IdentityUnknown, diameter.UserUnknown, diameter.AuthorizationRejected:
		return true
	}
	return false
}

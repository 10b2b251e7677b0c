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

// fetchNAF asks the BSF for the key that it shares with a mobile node for the AAA
// servers of this realm: TS 29.109, section 6.
func (m *Machine) fetchNAF(now time.Time, u *update) {
	naf := bootstrap.NAFID(bootstrap.ServersOf(m.identity.Realm))
	m.ask(now, &diameter.BootstrappingInfoRequest{Identity: m.identity, Transaction: u.user, NAFID: naf}, func(now time.Time, o diampeer.Outcome) {
		if o.Reason != "" {
			m.events.Tell("hss-failed", map[string]any{"nai": shown(u.user), "about": "gba", "reason": o.Reason})
		}
		switch {
		case o.Reason != "" && unreachable(o):
			m.refuse(now, u, diameter.UnableToDeliver, "the BSF: "+o.Reason)
			return
		case o.Reason != "": // the mobile node is to run Ub again
			m.refuse(now, u, diameter.UnknownSessionID, "the BSF: "+o.Reason)
			return
		}
		a, err := diameter.ParseBootstrappingInfoAnswer(o.Message)
		if err != nil {
			m.refuse(now, u, diameter.UnableToComply, "the BSF: malformed-answer")
			return
		}
		switch {
		case len(a.Key) != nafKey || a.User == "": // a key of fewer octets could be guessed, and nobody's is of no use
			m.refuse(now, u, diameter.UnableToComply, "the BSF: malformed-answer")
			return
		case !a.Expires.IsZero() && a.Expires.Before(now.Add(time.Second)):
			m.refuse(now, u, diameter.UnknownSessionID, "the BSF: the key has expired")
			return
		case !a.Expires.IsZero(): // TS 33.220, section 4.5.3: what is made of it lasts no longer
			u.lasts = a.Expires.Sub(now).Truncate(time.Second)
		}
		u.found.NAF, u.nai = a.Key, a.User
		m.authenticate(now, u)
	})
}

// nafKey is how many octets Ks_NAF has: TS 33.220, annex B.
const nafKey = 32

// mostChallenges are outstanding at most; the oldest makes room. A challenge is
// good for as long as the timestamp of a Binding Update may be, and for one answer.
const (
	mostChallenges = 4096
	challengeLasts = 10 * time.Second
)

// challenges are those inside Binding Updates to which no answer has come.
type challenges struct {
	open map[[16]byte]*challenge
	line []*challenge
}

type challenge struct {
	nai    string
	vector keys.Vector
	sent   time.Time
}

func newChallenges() challenges { return challenges{open: map[[16]byte]*challenge{}} }

func (all *challenges) add(c *challenge) {
	for len(all.line) > 0 && (len(all.line) >= mostChallenges || c.sent.Sub(all.line[0].sent) > challengeLasts) {
		delete(all.open, all.line[0].vector.RAND)
		all.line = all.line[1:]
	}
	all.open[c.vector.RAND] = c
	all.line = append(all.line, c)
}

// take gives the challenge that is answered, for the only time; nil: there is none
// of that mobile node.
func (all *challenges) take(now time.Time, rand [16]byte, nai string) *challenge {
	c := all.open[rand]
	if c == nil || c.nai != nai || now.Sub(c.sent) > challengeLasts {
		return nil
	}
	delete(all.open, rand)
	return c
}

// challenged takes a MIP6-Request of the method in which AKA runs inside Binding
// Updates: it is answered with a challenge, unless it answers one.
func (m *Machine) challenged(now time.Time, u *update) {
	var resync *eapaka.Resync
	if imsiOf(u.nai) == "" { // no HSS knows it
		m.refuse(now, u, diameter.AuthenticationRejected, "the identifier is not that of a card")
		return
	}
	switch answer := u.answer; len(answer) {
	case 0:
	default:
		c := m.authority.challenges.take(now, [16]byte(answer), u.nai)
		switch {
		case c == nil: // also of a former life of this server: the mobile node asks anew
			m.refuse(now, u, diameter.UnknownSessionID, "there is no such challenge")
			return
		case len(answer) == 16:
			u.found.Challenge = &c.vector
			m.authenticate(now, u)
			return
		}
		resync = &eapaka.Resync{RAND: c.vector.RAND, AUTS: [14]byte(answer[16:])}
	}
	m.vector(now, imsiOf(u.nai), diameter.SchemeEAPAKA, "", resync, func(now time.Time, v *keys.Vector, result diameter.ResultCode, reason string) {
		switch {
		case v != nil:
			m.authority.challenges.add(&challenge{nai: u.nai, vector: *v, sent: now})
			m.events.Tell("challenge-sent", map[string]any{"nai": shown(u.nai), "resynchronised": resync != nil})
			u.verdict.challenged(&diameter.Challenge{RAND: v.RAND, AUTN: v.AUTN})
			u.reply(now)
		case result == 0 || result.ProtocolError():
			m.refuse(now, u, diameter.UnableToDeliver, "the HSS: "+reason)
		default:
			m.refuse(now, u, diameter.AuthenticationRejected, "the HSS: "+reason)
		}
	})
}

// bootstrapped takes a Bootstrapping-Info-Request of a home agent: in the method
// partial-gba this server stands for the BSF, with what access authentication has
// left.
func (m *Machine) bootstrapped(now time.Time, q *query) {
	r, err := diameter.ParseBootstrappingInfoRequest(q.Message)
	if err != nil {
		m.fail(now, q, err.(*diameter.Failure))
		return
	}
	answer := &diameter.BootstrappingInfoAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: m.identity, ProxyInfo: r.ProxyInfo}
	refuse := func(result diameter.ResultCode, why string) {
		answer.Outcome = diameter.Outcome{Result: result, Text: why}
		m.reply(now, q, answer, result)
	}
	fqdn := string(r.NAFID[:max(len(r.NAFID)-len(bootstrap.Ua), 0)])
	known := m.records.byBTID[r.Transaction]
	switch {
	case !m.authority.keeps():
		refuse(diameter.UnableToComply, "keys are not fetched here")
		return
	case !strings.EqualFold(fqdn, r.Host): // TS 33.220, section 4.5.3: only of itself
		refuse(diameter.NotAuthorized, "the NAF is not "+fqdn)
		return
	case known == nil:
		refuse(diameter.TransactionIdentifierInvalid, "there is no such bootstrapping")
		return
	}
	m.withProfile(now, known, func(now time.Time, result diameter.ResultCode, reason string) {
		switch {
		case reason != "" && (result == 0 || result.ProtocolError()):
			m.events.Tell("hss-failed", map[string]any{"nai": known.nai, "about": "profile", "reason": reason})
			refuse(diameter.UnableToDeliver, "the HSS: "+reason)
			return
		case reason != "":
			refuse(diameter.NotAuthorized, "the HSS: "+reason)
			return
		case known.barred():
			refuse(diameter.NotAuthorized, "the subscriber is barred")
			return
		}
		partial := bootstrap.Partial(known.access, m.identity.Realm)
		key, err := keys.KsNAF(partial.Ks, partial.RAND, partial.IMPI, r.NAFID)
		if err != nil {
			refuse(diameter.UnableToComply, err.Error())
			return
		}
		answer.User, answer.Key, answer.Expires = known.nai, key[:], now.Add(m.authority.keyLifetime).Truncate(time.Second)
		m.events.Tell("key-fetched", map[string]any{"nai": known.nai, "peer": r.Host})
		m.keyMade(known.nai, bootstrap.Delivered(partial, fqdn))
		m.reply(now, q, answer, diameter.Success)
	})
}

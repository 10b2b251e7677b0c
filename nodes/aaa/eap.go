package aaa

import (
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/eapaka"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
)

// eapApplications are those in which a mobile node may be authenticated by EAP: on
// trusted access, at an ePDG, at a home agent, and at whoever speaks RFC 4072.
var eapApplications = []diameter.Application{diameter.STa, diameter.SWm, diameter.S6b, diameter.EAP}

const (
	mostConversations = 4096
	conversationLasts = time.Minute // without a word of the mobile node
)

// A conversation is one authentication, by the requests of one Diameter session, or
// of one State of RADIUS. Requests and answers are in Diameter's terms; reply gives
// an answer by the protocol that asked.
type conversation struct {
	server  *eapaka.Server
	request *diameter.DiameterEAPRequest // that is to be answered; nil: none is
	reply   func(now time.Time, a *diameter.DiameterEAPAnswer) bool
	heard   time.Time
	user    string // that came with the first request
	err     string // what is wrong besides EAP, for Error-Message
	result  diameter.ResultCode
}

// conversations are those that are not over.
type conversations struct {
	open   map[sessionKey]*conversation
	look   time.Time // when to look for those that have been silent for long; zero: there are none
	policy eapaka.Policy
}

// forgetSilent ends the conversations that nobody goes on with: an access gives a
// mobile node up without a word to this server.
func (all *conversations) forgetSilent(now time.Time) {
	for k, c := range all.open {
		if now.Sub(c.heard) >= conversationLasts {
			delete(all.open, k)
		}
	}
	if all.look = now.Add(conversationLasts); len(all.open) == 0 {
		all.look = time.Time{}
	}
}

func newConversations(rng *rand.Rand, known *records) conversations {
	return conversations{open: map[sessionKey]*conversation{}, policy: eapaka.Policy{
		Aliases: aliases{eapaka.NewAliasTable(mostRecords), known}, Pseudonyms: true, Reauths: 16, Authorize: true, Rand: octetsOf{rng},
	}}
}

// aliases are good for as long as their subscriber is remembered.
type aliases struct {
	*eapaka.AliasTable
	known *records
}

// TakeContext gives a context only where what the full authentication left is known
// too: RAND, CK and IK stay those of it when it is followed by a fast one.
func (a aliases) TakeContext(username string) (*eapaka.Context, bool) {
	c, ok := a.AliasTable.TakeContext(username)
	if !ok {
		return nil, false
	}
	if r := a.known.byIMSI[c.IMSI]; r == nil || r.access == nil {
		return nil, false
	}
	return c, true
}

// octetsOf makes octets of random numbers.
type octetsOf struct{ *rand.Rand }

func (r octetsOf) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return len(b), nil
}

var _ io.Reader = octetsOf{}

// begin makes a conversation. Where there are too many, those that have been silent
// for long make room.
func (all *conversations) begin(now time.Time, key sessionKey, r *diameter.DiameterEAPRequest) *conversation {
	if len(all.open) >= mostConversations {
		all.forgetSilent(now)
		if len(all.open) >= mostConversations {
			return nil
		}
	}
	policy := all.policy
	policy.Methods = []eap.Type{eap.TypeAKAPrime, eap.TypeAKA}
	if eapaka.ParseIdentity(r.User).Method == eap.TypeAKA { // it says what it can: TS 23.003, section 19.3.2
		policy.Methods = []eap.Type{eap.TypeAKA, eap.TypeAKAPrime}
	}
	c := &conversation{server: eapaka.NewServer(&policy, r.AccessNetwork), user: shown(r.User)}
	all.open[key] = c
	if all.look.IsZero() {
		all.look = now.Add(conversationLasts)
	}
	return c
}

// converse takes a Diameter-EAP-Request: RFC 4072; TS 29.273, section 5.1.2.1.
func (m *Machine) converse(now time.Time, q *query) {
	r, err := diameter.ParseDiameterEAPRequest(q.Message)
	if err != nil {
		m.fail(now, q, err.(*diameter.Failure))
		return
	}
	key := keyOf(r.Host, r.Session)
	c := m.eap.open[key]
	switch {
	case c == nil && len(r.EAP) > 0 && !isIdentity(r.EAP):
		// Of a conversation that was begun in a former life of this server.
		m.answerEAP(now, q, r, &diameter.DiameterEAPAnswer{Outcome: diameter.Outcome{Result: diameter.UnknownSessionID, Text: "there is no such conversation"}})
		return
	case c == nil:
		if c = m.eap.begin(now, key, r); c == nil {
			m.fail(now, q, &diameter.Failure{Result: diameter.TooBusy, What: "too many conversations"})
			return
		}
	case c.request != nil: // the one before waits for the HSS: its answer comes
		m.fail(now, q, &diameter.Failure{Result: diameter.TooBusy, What: "a request of this session is being answered"})
		return
	}
	c.reply = func(now time.Time, a *diameter.DiameterEAPAnswer) bool { return m.answerEAP(now, q, r, a) }
	m.hear(now, key, c, r)
}

// hear takes what a mobile node has said; nothing: it is to be asked who it is.
func (m *Machine) hear(now time.Time, key sessionKey, c *conversation, r *diameter.DiameterEAPRequest) {
	c.request, c.heard = r, now
	if len(r.EAP) == 0 {
		m.eapStep(now, key, c, eapaka.Start{})
		return
	}
	m.eapStep(now, key, c, eapaka.Received{Packet: r.EAP})
}

// isIdentity says whether an EAP packet is EAP-Response/Identity.
func isIdentity(packet []byte) bool {
	p, err := eap.Parse(packet)
	return err == nil && p.Code == eap.Response && p.Type == eap.TypeIdentity
}

// eapStep goes on with a conversation.
func (m *Machine) eapStep(now time.Time, key sessionKey, c *conversation, in eapaka.Input) {
	// What follows may step again, and the outputs are the server's until then.
	out := append([]eapaka.Output(nil), c.server.Step(in)...)
	answer := &diameter.DiameterEAPAnswer{Outcome: diameter.Outcome{Result: diameter.MultiRoundAuth}}
	ready := false
	for _, o := range out {
		switch o := o.(type) {
		case eapaka.Send:
			answer.EAP, ready = o.Packet, true
		case eapaka.WantVectors:
			m.fetch(now, key, c, o)
			return
		case eapaka.Authenticated:
			m.admit(now, key, c, o)
			return
		case eapaka.Succeeded:
			answer.Result = diameter.Success
			m.granted(now, c, &o, answer)
		case eapaka.Failed:
			answer.Outcome = diameter.Outcome{Result: diameter.AuthenticationRejected, Text: o.Reason}
			if c.result != 0 {
				answer.Result, answer.Text = c.result, c.err
			}
			m.events.Tell("eap-refused", map[string]any{"nai": c.user, "peer": shown(c.request.Host), "reason": o.Reason})
		case eapaka.Ignored:
			m.events.Tell("message-ignored", map[string]any{"peer": shown(c.request.Host), "reason": "eap-" + o.Reason})
		}
	}
	if !ready { // RFC 4072, section 2.4: what was said last is to be said again
		answer.Reissued = c.server.Outstanding()
		if answer.Reissued == nil {
			answer.Outcome = diameter.Outcome{Result: diameter.InvalidAVPValue, Text: "the EAP packet is of no use"}
		}
	}
	c.request = nil
	if c.server.Over() || answer.Reissued == nil && !ready {
		delete(m.eap.open, key)
	}
	if s := m.sessions.open[key]; !c.reply(now, answer) && s != nil && answer.Result == diameter.Success {
		m.close(s, "unanswered", nil)
	}
}

func (m *Machine) answerEAP(now time.Time, q *query, r *diameter.DiameterEAPRequest, a *diameter.DiameterEAPAnswer) bool {
	a.Session, a.Identity, a.Type, a.ProxyInfo = r.Session, m.identity, r.Type, r.ProxyInfo
	return m.reply(now, q, a, a.Result)
}

// fetch asks the HSS for an authentication vector: TS 29.273, section 8.1.2.1.
func (m *Machine) fetch(now time.Time, key sessionKey, c *conversation, w eapaka.WantVectors) {
	scheme := diameter.SchemeEAPAKA
	if w.Method == eap.TypeAKAPrime {
		scheme = diameter.SchemeEAPAKAPrime
	}
	m.vector(now, w.IMSI, scheme, w.Network, w.Resync, func(now time.Time, v *keys.Vector, result diameter.ResultCode, reason string) {
		if m.eap.open[key] != c {
			return
		}
		if v == nil {
			c.refuse(result, reason)
			m.eapStep(now, key, c, eapaka.Refused{Reason: reason})
			return
		}
		m.eapStep(now, key, c, eapaka.Vectors{Vector: *v})
	})
}

// refuse notes what is to be told of a refusal that is not EAP's own: what the HSS
// said, or that it could not be asked.
func (c *conversation) refuse(result diameter.ResultCode, reason string) {
	c.result, c.err = result, reason
	if result == 0 || result.ProtocolError() {
		c.result = diameter.UnableToComply
	}
}

// vector asks the HSS for one. Then is called with it, or with what the HSS said, if
// it said anything, and a reason.
func (m *Machine) vector(now time.Time, imsi, scheme, network string, resync *eapaka.Resync, then func(now time.Time, v *keys.Vector, result diameter.ResultCode, reason string)) {
	request := &diameter.MultimediaAuthRequest{Application: diameter.SWx, Identity: m.identity, User: imsi, Vectors: 1, Scheme: scheme, AccessNetwork: network}
	if resync != nil {
		request.Resync = &diameter.Resync{RAND: resync.RAND, AUTS: resync.AUTS}
	}
	m.ask(now, request, func(now time.Time, o diampeer.Outcome) {
		if o.Reason != "" {
			m.events.Tell("hss-failed", map[string]any{"nai": imsi, "about": "vectors", "reason": o.Reason})
			then(now, nil, o.Result, hssReason(o))
			return
		}
		a, err := diameter.ParseMultimediaAuthAnswer(o.Message)
		if err != nil || len(a.Items) == 0 || a.Items[0].Scheme != scheme {
			m.events.Tell("hss-failed", map[string]any{"nai": imsi, "about": "vectors", "reason": "malformed-answer"})
			then(now, nil, 0, "hss-malformed-answer")
			return
		}
		i := &a.Items[0]
		then(now, &keys.Vector{RAND: i.RAND, AUTN: i.AUTN, XRES: i.XRES, CK: i.CK, IK: i.IK}, diameter.Success, "")
	})
}

// hssReason says why an HSS gave nothing.
func hssReason(o diampeer.Outcome) string {
	if unreachable(o) {
		return "hss-unreachable"
	}
	return o.Reason
}

// admit decides on what a subscriber may have: TS 29.273, section 5.1.2.1.2.
func (m *Machine) admit(now time.Time, key sessionKey, c *conversation, a eapaka.Authenticated) {
	r := m.records.of(permanent(a.IMSI, realmOf(a.Identity, c.user)), a.IMSI)
	m.withProfile(now, r, func(now time.Time, result diameter.ResultCode, reason string) {
		switch {
		case m.eap.open[key] != c:
			return
		case reason != "":
			m.events.Tell("hss-failed", map[string]any{"nai": r.nai, "about": "profile", "reason": reason})
			c.refuse(result, reason)
			m.eapStep(now, key, c, eapaka.Denied{Notification: eap.GeneralFailureAfter, Reason: reason})
		case r.barred():
			c.refuse(diameter.AuthorizationRejected, "non-3gpp-access-barred")
			m.eapStep(now, key, c, eapaka.Denied{Notification: eap.TemporarilyDenied, Reason: "non-3gpp-access-barred"})
		case c.request.Service != "" && !r.hasAPN(c.request.Service):
			c.refuse(diameter.UserNoAPNSubscription, "no-apn-subscription")
			m.eapStep(now, key, c, eapaka.Denied{Notification: eap.NotSubscribed, Reason: "no-apn-subscription"})
		default:
			m.eapStep(now, key, c, eapaka.Authorized{})
		}
	})
}

// realmOf is the realm of an identity, or of another where that has none: those of
// re-authentication may be in the server's own.
func realmOf(identity, other string) string {
	for _, name := range []string{other, identity} {
		if _, realm, ok := strings.Cut(name, "@"); ok && realm != "" {
			return realm
		}
	}
	return ""
}

// granted keeps what an authentication leaves, and puts into the answer what the
// access is to have.
func (m *Machine) granted(now time.Time, c *conversation, done *eapaka.Succeeded, answer *diameter.DiameterEAPAnswer) {
	r := m.records.of(permanent(done.IMSI, realmOf(done.Identity, c.user)), done.IMSI)
	shared := &keys.Access{Method: done.Method.Word(), Identity: r.nai, EMSK: done.Keys.EMSK, RAND: done.RAND, CK: done.Keys.CK, IK: done.Keys.IK}
	if done.Fast { // see aliases
		shared.RAND, shared.CK, shared.IK = r.access.RAND, r.access.CK, r.access.IK
	}
	m.records.shared(r, shared, m.identity.Realm)
	for _, d := range done.Keys.Derived() {
		m.keyMade(r.nai, d)
	}
	answer.User, answer.MobileNode, answer.MSK = r.nai, r.nai, done.Keys.MSK[:]
	if c.request.Application == diameter.STa {
		trusted := diameter.Trusted
		answer.Trust = &trusted
	}
	if r.profile != nil {
		answer.SessionTimeout = r.profile.SessionTimeout
		answer.DefaultContext, answer.APNs, answer.AMBR = r.profile.DefaultContext, r.profile.APNs, r.profile.AMBR
	}
	if c.request.Session != "" {
		m.start(now, c.request.Application, c.request.Session, c.request.Identity, r.nai, answer.SessionTimeout)
	}
	m.events.Tell("eap-authenticated", map[string]any{"nai": r.nai, "peer": c.request.Host, "method": shared.Method,
		"identity": eapaka.ParseIdentity(done.Identity).Kind.String(), "fast": done.Fast})
}

package ha

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/mh"
)

// How much an MN-AAA option that nobody has checked yet may cost.
const (
	maxQuestions       = 1024 // outstanding, in all
	maxQuestionsNAI    = 4    // outstanding, of one NAI
	maxQuestionsSource = 4    // outstanding, from one address
	limitedKeys        = 4096 // sources, and NAIs, whose rates are kept
)

var (
	// Twice what a mobile node may send: RFC 6275, section 12, MAX_UPDATE_RATE.
	sourceRate = rate{perSecond: 6, burst: 12}
	naiRate    = rate{perSecond: 12, burst: 24}
	// What will only be refused for its timestamp: of one NAI, and of all.
	staleNAIRate = rate{perSecond: 1, burst: 2}
	staleRate    = rate{perSecond: 50, burst: 50}
)

// Result-Codes of a MIP6-Answer: RFC 6733, section 7.1; RFC 5778, section 7; and of
// a Bootstrapping-Info-Answer: TS 29.109, section 6.3.
const (
	resultMultiRound            = 1001
	resultSuccess               = 2001
	resultRelocate              = 2009 // DIAMETER_SUCCESS_RELOCATE_HA
	resultUnableToDeliver       = 3002
	resultRealmNotServed        = 3003
	resultTooBusy               = 3004
	resultLoopDetected          = 3005
	resultAuthenticationReject  = 4001
	resultOutOfSpace            = 4002
	resultAuthorizationRejected = 5003
	resultUserUnknown           = 5030
	resultIdentityUnknown       = 5401
	resultNAFNotAuthorized      = 5402
	resultTransactionInvalid    = 5403
)

// questions are the MIP6-Requests to which no answer has come.
type questions struct {
	last     uint64 // ID handed out
	patience time.Duration
	byID     map[uint64]*question
	byUpdate map[updateKey]*question
	ofNAI    map[string]int
	ofSource map[netip.Addr]int

	sources *limiter[netip.Addr]
	nais    *limiter[string]
	stale   *limiter[string]
	allOld  bucket
}

// An updateKey tells Binding Updates apart that want different things. A
// retransmission has another sequence number, timestamp and authenticator, but
// wants the same thing.
type updateKey struct {
	nai          string
	home, careOf netip.Addr
}

// A question is a Binding Update that waits for the AAA.
type question struct {
	request
	ask    *AskAAA
	octets []byte    // of its Mobility Header, to be verified with the key that was asked for; nil: that is for the AAA to do
	later  *question // the latest that wants the same thing, not asked yet
	timer  timer
}

func newQuestions(h *control.HomeAgent) questions {
	return questions{
		// Whoever carries the question has a time-out for each peer. This one is
		// for a question that it has lost.
		patience: h.AAATimeout*time.Duration(2*len(h.AAA)+1) + time.Second,
		byID:     make(map[uint64]*question),
		byUpdate: make(map[updateKey]*question),
		ofNAI:    make(map[string]int),
		ofSource: make(map[netip.Addr]int),
		sources:  newLimiter[netip.Addr](limitedKeys, sourceRate),
		nais:     newLimiter[string](limitedKeys, naiRate),
		stale:    newLimiter[string](limitedKeys, staleNAIRate),
	}
}

// ask has the AAA look at a Binding Update with an MN-AAA option: RFC 4285,
// section 5.2.1.
//
// RFC 4285, section 6, checks a timestamp only after the authentication, and so
// does this home agent: a mobile node whose clock is wrong learns the time by
// status 144, and that has to be signed with the key that the AAA gives. But
// anybody can send a recorded or invented option and have the AAA work for it.
// So what will be refused for its timestamp whatever the AAA says may ask only
// within small rates, a NAI and in all, and is discarded above them. Differs from
// the RFC by that discarding only.
func (m *Machine) ask(now time.Time, b []byte, u *mh.BindingUpdateView, r *request) {
	if data, spi, authenticator, err := association.MobilityData(b, r.careOf, r.home); err != nil {
		m.discard(now, r.source(), "malformed-option")
	} else {
		m.question(now, u, r, &question{ask: &AskAAA{SPI: spi, Authenticator: slices.Clone(authenticator), MobilityData: data}})
	}
}

// fetch asks for the key of an MN-HA option of which no association is known here:
// some methods of bootstrapping begin so.
func (m *Machine) fetch(now time.Time, b []byte, u *mh.BindingUpdateView, r *request) {
	m.question(now, u, r, &question{ask: &AskAAA{Fetch: true, SPI: u.MNHA.SPI}, octets: slices.Clone(b)})
}

// question asks, unless there is a reason not to.
func (m *Machine) question(now time.Time, u *mh.BindingUpdateView, r *request, next *question) {
	q := &m.questions
	key := updateKey{nai: string(u.Identifier), home: r.home, careOf: r.careOf}
	r.nai = key.nai
	if r.subscriber == nil {
		r.subscriber, r.aliased = m.called(key.nai)
	}
	switch {
	case key.nai == "": // RFC 4285, section 4
		m.discard(now, r.source(), "no-identifier")
		return
	case r.flags&mh.HomeRegistration == 0:
		m.discard(now, r.source(), "not-a-home-registration")
		return
	case m.bindings[r.home] != nil && m.bindings[r.home].revocation != nil && r.lifetime != 0:
		m.refuseUnproven(now, r, mh.Prohibited, "being-revoked")
		return
	case !m.asks:
		m.refuseUnproven(now, r, mh.Prohibited, "no-aaa")
		return
	}
	next.request = *r
	next.ask.NAI, next.ask.HomeAddress, next.ask.CareOf, next.ask.Service = key.nai, r.home, r.careOf.Unmap(), string(u.ServiceSelection)
	next.ask.Material = mh.KeyMaterial{Kind: u.KeyMaterial.Kind, Data: slices.Clone(u.KeyMaterial.Data)}
	next.timer.owner = next
	if r.stamped {
		next.ask.Timestamp = binary.BigEndian.AppendUint64(nil, r.timestamp)
	}
	if first := q.byUpdate[key]; first != nil {
		// It gets its turn after the answer to the first, which the mobile node
		// may not take any more: RFC 6275, section 11.7.3, matches the sequence
		// number of the last.
		if first.later == nil || !first.later.stamped || r.timestamp-first.later.timestamp < 1<<63 {
			first.later = next
		}
		m.discard(now, r.source(), "answer-of-the-aaa-outstanding")
		return
	}
	if why := m.mayAsk(now, r, key.nai); why != "" {
		m.discard(now, r.source(), why)
		return
	}
	m.put(now, key, next)
}

// mayAsk says why a question must not be asked; "": it may.
func (m *Machine) mayAsk(now time.Time, r *request, nai string) (why string) {
	q := &m.questions
	if m.timestamps && (!r.stamped || !m.fresh(now, r)) {
		if !q.stale.take(now, nai) || !q.allOld.take(now, staleRate) {
			return "too-many-stale-timestamps"
		}
	}
	switch {
	case len(q.byID) >= maxQuestions:
		return "too-many-questions"
	case q.ofNAI[nai] >= maxQuestionsNAI || !q.nais.take(now, nai):
		return "too-many-questions-of-nai"
	case q.ofSource[r.source()] >= maxQuestionsSource || !q.sources.take(now, r.source()):
		return "too-many-questions-of-source"
	}
	return ""
}

// fresh says whether the timestamp will pass if the AAA vouches for it.
func (m *Machine) fresh(now time.Time, r *request) bool {
	guard := association.ReplayGuard{Window: m.window}
	if r.subscriber != nil {
		guard = r.subscriber.guard
	}
	return guard.Check(m.wall(now), r.timestamp) == nil
}

// put asks.
func (m *Machine) put(now time.Time, key updateKey, next *question) {
	q := &m.questions
	q.last++
	next.ask.ID = q.last
	q.byID[q.last] = next
	q.byUpdate[key] = next
	q.ofNAI[key.nai]++
	q.ofSource[next.source()]++
	m.timers.set(&next.timer, now.Add(q.patience))
	m.do(next.ask)
	if m.tells(now, aaaAsked) {
		m.tell(aaaAsked, map[string]any{"nai": key.nai, "home-address": text(next.home), "care-of": text(next.careOf)})
	}
}

// take ends a question; nil: there is none of that ID.
func (m *Machine) take(id uint64) *question {
	q := &m.questions
	done := q.byID[id]
	if done == nil {
		return nil
	}
	m.timers.remove(&done.timer)
	delete(q.byID, id)
	delete(q.byUpdate, done.key())
	if q.ofNAI[done.nai]--; q.ofNAI[done.nai] == 0 {
		delete(q.ofNAI, done.nai)
	}
	if q.ofSource[done.source()]--; q.ofSource[done.source()] == 0 {
		delete(q.ofSource, done.source())
	}
	return done
}

func (q *question) key() updateKey {
	return updateKey{nai: q.nai, home: q.home, careOf: q.careOf}
}

// last gives what the mobile node sent last: a refusal answers that.
func (q *question) last() *request {
	if q.later != nil {
		return &q.later.request
	}
	return &q.request
}

func (q *question) due(m *Machine, now time.Time) {
	m.failed(now, AAAFailed{ID: q.ask.ID, Reason: "time-out"})
}

// failed takes the news that nobody will answer. That is no judgement on the
// mobile node, which is told that resources are lacking and may come again:
// status 130.
func (m *Machine) failed(now time.Time, in AAAFailed) {
	q := m.take(in.ID)
	if q == nil {
		return
	}
	if m.tells(now, aaaFailed) {
		m.tell(aaaFailed, map[string]any{"nai": q.nai, "reason": in.Reason})
	}
	m.refuseUnproven(now, q.last(), mh.InsufficientResources, "aaa-"+in.Reason)
}

// answered takes an answer of the AAA.
func (m *Machine) answered(now time.Time, in *AAAAnswered) {
	q := m.take(in.ID)
	if q == nil {
		return // too late
	}
	if m.tells(now, aaaAnswered) {
		m.tell(aaaAnswered, map[string]any{"nai": q.nai, "result": in.Result, "name": in.Name, "peer": in.Peer})
	}
	if in.Result != resultSuccess {
		status, reason := verdict(in.Result, q.ask.Service != "")
		if in.Result == resultRelocate {
			m.establish(now, q, in) // so that the mobile node can believe the refusal, and what follows
		}
		last := q.last()
		last.material = in.Material
		m.refuseUnproven(now, last, status, reason)
		if in.Result == resultRelocate {
			m.relocate(now, last, in.Agent)
		}
		return
	}
	q, in = q.proven(in)
	a, why := m.establish(now, q, in)
	if a == nil {
		if in.SessionID != "" { // RFC 6733, section 8.1: the service is not provided
			m.do(TerminateSession{Session: in.SessionID, NAI: q.nai, Server: in.Server, Cause: causeAdministrative})
		}
		if m.tells(now, aaaFailed) {
			m.tell(aaaFailed, map[string]any{"nai": q.nai, "reason": why})
		}
		status := mh.Unspecified
		switch why {
		case "too-many-subscribers":
			status = mh.InsufficientResources
		case expiredKey:
			if q.octets != nil { // that is what the mobile node has bootstrapped
				status, why = mh.AuthFail, bootstrapAgain
			}
		case wrongAuthenticator: // RFC 4285, section 5.1.1: told under the association, which does not come to be
			r := *q.last()
			r.association = &mobilitySA{Association: association.New(in.Session.SPI, in.Session.Key)}
			m.refuse(now, &r, mh.AuthFail, why)
			return
		}
		m.refuseUnproven(now, q.last(), status, why)
		return
	}
	r := q.request
	r.association, r.material = a, in.Material
	r.subscriber = m.subscribers[cmp.Or(in.NAI, q.nai)]
	r.aliased = r.subscriber.nai != q.nai
	if granted := in.granted(); !r.asks && !granted.allows(r.home) || m.isTaken(granted.home, r.subscriber) {
		m.refuse(now, &r, mh.Prohibited, "home-address-of-another")
	} else {
		m.settle(r.subscriber, granted)
		m.authentic(now, &r)
		m.moveOn(now, in.Agent, &r)
		if q.ask.Fetch {
			m.authorizeService(q, r.subscriber.nai)
		}
	}
	m.askLater(now, q)
}

// askLater gives the Binding Update that came while another waited its turn.
func (m *Machine) askLater(now time.Time, q *question) {
	if q.later == nil {
		return
	}
	next := q.later
	next.subscriber, next.aliased = m.called(q.nai)
	if why := m.mayAsk(now, &next.request, q.nai); why != "" {
		m.discard(now, next.source(), why)
		return
	}
	m.put(now, q.key(), next)
}

// bootstrapAgain says that a mobile node has to bootstrap anew. It is told so though
// there is no key to prove that with, or it would try until its own key ends.
const bootstrapAgain = "bootstrapping-unknown"

// wrongAuthenticator says that a Binding Update is not proven by the key that it is
// said to be proven by.
const wrongAuthenticator = "wrong-authenticator"

// expiredKey says that a key is of no use any more.
const expiredKey = "session-key-expired"

// proven chooses the Binding Update that an answer is about: the first that was asked
// about, or the latest where the key proves that and not the first, which anybody may
// have sent. An SPI that is the mobile node's own choice is that of the one chosen.
func (q *question) proven(in *AAAAnswered) (*question, *AAAAnswered) {
	if q.octets == nil || q.later == nil || q.later.octets == nil || in.Session == nil || q.isProvenBy(in.Session) {
		return q, in
	}
	session := *in.Session
	if session.SPI == q.ask.SPI {
		session.SPI = q.later.ask.SPI
	}
	if !q.later.isProvenBy(&session) {
		return q, in
	}
	about := *in
	about.Session = &session
	return q.later, &about
}

func (q *question) isProvenBy(s *Session) bool {
	return mayBeKey(s.Key) && association.Verify(q.octets, association.New(s.SPI, s.Key), q.careOf, q.home) == nil
}

// establish makes the security association that the AAA hands out; nil and why:
// it cannot.
func (m *Machine) establish(now time.Time, q *question, in *AAAAnswered) (a *mobilitySA, why string) {
	session := in.Session
	switch {
	case session == nil:
		return nil, "no-session-key"
	case !mayBeKey(session.Key):
		return nil, "session-key-length"
	case session.Lifetime <= 0:
		return nil, expiredKey
	}
	made := association.New(session.SPI, session.Key)
	if q.octets != nil && association.Verify(q.octets, made, q.careOf, q.home) != nil {
		return nil, wrongAuthenticator
	}
	nai := cmp.Or(in.NAI, q.nai)
	s := m.subscribe(now, nai)
	if s == nil {
		return nil, "too-many-subscribers"
	}
	if q.nai != nai && s.alias != q.nai {
		m.rename(s, q.nai)
	}
	a = &mobilitySA{
		Association: made,
		key:         session.Key,
		expires:     now.Add(session.Lifetime),
		// RFC 5778, section 6.12: without MIP-Replay-Mode no protection was
		// selected; the policy of this home agent may still mandate it.
		timestamp: m.timestamps || session.Timestamp && q.stamped,
	}
	if in.SessionID != "" {
		a.session, a.server = in.SessionID, in.Server
		m.sessions[a.session] = diameterSession{s, a}
	}
	m.changedSubscriber(s)
	for _, old := range s.add(a) {
		m.terminate(now, s, old, causeAuthExpired)
	}
	s.due(m, now)
	if m.tells(now, associationMade) {
		m.tell(associationMade, map[string]any{"nai": nai, "spi": session.SPI, "lifetime": session.Lifetime.Seconds()})
	}
	m.keyMade(now, nai, keys.Derived{Name: keys.NameMNHA, How: "from " + cmp.Or(in.Server, in.Peer, "the AAA server"), Value: session.Key, Lifetime: session.Lifetime})
	return a, ""
}

// verdict gives the status that tells a mobile node of a Result-Code, and the
// words for the journal. The RFCs leave it open but for what is cited.
func verdict(result uint32, service bool) (mh.Status, string) {
	switch result {
	case resultMultiRound: // its challenge goes with it
		return mh.Unspecified, "aaa-challenges"
	case resultUnknownSession, resultIdentityUnknown, resultTransactionInvalid:
		// What the mobile node's key is made of is not known, or no longer.
		return mh.AuthFail, bootstrapAgain
	case resultAuthenticationReject, resultUserUnknown:
		// RFC 4285, section 5.3. An unknown user is one who cannot be authenticated.
		return mh.AuthFail, "aaa-rejects-authentication"
	case resultAuthorizationRejected, resultNAFNotAuthorized:
		if service { // RFC 5149, section 4.2
			return mh.ServiceAuthorizationFails, "aaa-rejects-service"
		}
		return mh.Prohibited, "aaa-rejects-authorization"
	case resultRelocate: // to be served by another, to which a Home Agent Switch sends it
		return mh.NotHomeAgent, "aaa-relocates"
	case resultUnableToDeliver, resultRealmNotServed, resultTooBusy, resultLoopDetected, resultOutOfSpace:
		return mh.InsufficientResources, "aaa-unavailable"
	default:
		return mh.Unspecified, "aaa-error"
	}
}

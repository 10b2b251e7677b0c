package aaa

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/wire/diameter"
)

// An authority decides on Binding Updates that home agents ask about, in the terms of
// RFC 5778, section 4.2, whatever protocol they ask by; or on Registration Requests, in
// those of RFC 4004, section 3.3, by the same rules. It keeps nothing of them but the
// last SPI it gave.
type authority struct {
	keyLifetime time.Duration
	method      bootstrap.Server               // how MN-HA keys come to be; nil: nobody asks this server for them so
	keeper      bootstrap.Keeper               // how they are fetched; nil: they are not
	wimax       bool                           // accesses get what those of WiMAX want
	registers   bool                           // it is Registration Requests of Mobile IPv4 that it is asked about
	subscribers map[string]*control.Subscriber // by NAI
	realms      map[string]bool                // served here, in lower case
	stranger    []byte                         // a key that nobody has
	spi         uint32                         // of the association handed out last
	random      octetsOf
	challenges  challenges
}

// firstSPI is the first that is not reserved: RFC 4285, section 8.
const firstSPI = 256

func newAuthority(cfg *control.AAA, rng *rand.Rand) (*authority, error) {
	method, err := bootstrap.Of(cfg.Security.Profile, cmp.Or(cfg.Security.Bootstrap, "mip-options"), cfg.Security.KeySource)
	if err != nil {
		return nil, err
	}
	a := &authority{
		keyLifetime: max(cfg.KeyLifetime.Truncate(time.Second), time.Second),
		method:      method.Server,
		keeper:      method.Keeper,
		wimax:       cfg.Security.Profile == "wimax",
		registers:   cfg.Security.Profile == "mipv4",
		subscribers: map[string]*control.Subscriber{},
		realms:      map[string]bool{},
		stranger:    make([]byte, 16),
		random:      octetsOf{rng},
		challenges:  newChallenges(),
		// Not from the first one on: keys of a former life, or of another
		// server, may still be in use under those.
		spi: firstSPI + rng.Uint32N(1<<20),
	}
	a.random.Read(a.stranger)
	for i := range cfg.Subscribers {
		s := &cfg.Subscribers[i]
		a.subscribers[s.NAI] = s
		if at := strings.LastIndexByte(s.NAI, '@'); at >= 0 {
			a.realms[strings.ToLower(s.NAI[at+1:])] = true
		}
	}
	return a, nil
}

// keeps says whether home agents fetch keys here.
func (a *authority) keeps() bool { return a.keeper != nil && a.keeper.Asked() == bootstrap.AAA }

// serves says whether a realm is served here: this server's own, those of its
// subscribers, and the one that a B-TID has where this server or the BSF of its
// realm made it.
func (a *authority) serves(realm, own string) bool {
	realm, own = strings.ToLower(realm), strings.ToLower(own)
	return realm == own || a.realms[realm] || strings.HasSuffix(realm, "."+own)
}

// mip6 takes a MIP6-Request that follows its definition.
func (m *Machine) mip6(now time.Time, q *query) {
	r, err := diameter.ParseMIP6Request(q.Message)
	if err != nil {
		m.fail(now, q, err.(*diameter.Failure))
		return
	}
	answer := &diameter.MIP6Answer{
		Session:   r.Session,
		Outcome:   diameter.Outcome{Result: diameter.Success},
		Identity:  m.identity,
		User:      r.User,
		State:     diameter.NoStateMaintained,
		ProxyInfo: r.ProxyInfo,
	}
	m.decide(now, r, answer, func(now time.Time) bool { return m.reply(now, q, answer, answer.Result) })
}

// decide decides on a Binding Update; reply gives the answer by the protocol that asked.
func (m *Machine) decide(now time.Time, r *diameter.MIP6Request, answer *diameter.MIP6Answer, reply func(now time.Time) bool) {
	u := &update{question: question{
		application: diameter.MIP6A, session: r.Session, from: r.Identity, user: r.User, service: r.Service,
		home: r.Home, homeAgent: r.HomeAgent, noState: r.NoState, stamp: r.Timestamp, digest: r.MobilityData, answer: r.Answer,
		proven: func(key []byte) bool {
			if len(r.MobilityData) != keys.MNAAASize { // no rule wants it of AuthAKA
				return false
			}
			want := keys.MNAAA(key, [keys.MNAAASize]byte(r.MobilityData)) // RFC 4285, section 5.2
			return keys.Equal(r.Authenticator, want[:])
		},
	}, verdict: onBinding{answer, r}, reply: reply, nai: r.User}
	if r.Mode != diameter.AuthMNAAA && r.Mode != diameter.AuthAKA || m.authority.method == nil || m.authority.registers || (r.Mode == diameter.AuthAKA) != (m.authority.method.Root() == bootstrap.OfChallenge) { // RFC 5778, section 6.20
		m.refuse(now, u, diameter.ErrorMIP6AuthMode, fmt.Sprintf("MIP6-Auth-Mode %d is not supported", r.Mode))
		return
	}
	m.find(now, u, r.SPI)
}

// find finds what the MN-AAA key is, or is made of, and goes on from there.
func (m *Machine) find(now time.Time, u *update, spi uint32) {
	switch m.authority.method.Root() {
	case bootstrap.OfAccess:
		known := m.records.byNAI[u.user]
		if known == nil || known.access == nil {
			// Of a former life of this server, or taken back: the mobile node is to be
			// authenticated by its access again. A stranger who asks learns of an NAI
			// whether it is on an access: lab decision, for else the mobile node would
			// not learn why it waits.
			m.refuse(now, u, diameter.UnknownSessionID, "no access has authenticated the user")
			return
		}
		u.found.Access = known.access
	case bootstrap.OfGBA:
		m.fetchNAF(now, u)
		return
	case bootstrap.OfChallenge:
		m.challenged(now, u)
		return
	default:
		if s := m.authority.subscribers[u.user]; s != nil && s.MNAAASPI == spi {
			u.found.Provisioned = s.MNAAAKey
		}
	}
	m.authenticate(now, u)
}

// An update is a Binding Update or a Registration Request that a home agent asks about.
type update struct {
	question
	verdict
	reply func(now time.Time) bool // gives the verdict by the protocol that asked; false: it could not be given
	nai   string                   // who it is, once that is known
	found bootstrap.Found
	root  keys.Derived  // the MN-AAA key
	lasts time.Duration // that, whole seconds; 0: not limited by itself
}

// A question is what a home agent asks, by whatever message.
type question struct {
	application     diameter.Application
	session         string
	from            diameter.Identity // the home agent
	user            string            // as the mobile node calls itself
	service         string            // the APN; empty: not told
	home, homeAgent netip.Addr        // home is unspecified where the server is to assign one
	noState         bool              // the home agent would rather that no state is kept
	keyless         bool              // no MN-HA key is asked for
	stamp           []byte            // 8 octets that no other request has; nil: there are none
	digest          []byte            // 20 octets that few others have
	answer          []byte            // to a challenge: diameter.MIP6Request
	proven          func(mnAAA []byte) bool
}

// A verdict is an answer to a question.
type verdict interface {
	refused(o diameter.Outcome)
	challenged(c *diameter.Challenge)
	granted(g grant)
	elsewhere() diameter.ResultCode // what to say where another home agent is to serve
}

// A grant is what a mobile node is granted.
type grant struct {
	result    diameter.ResultCode
	user      string
	home      netip.Addr // unspecified: the home agent's to assign
	homeAgent netip.Addr // the one that asks, or where to go
	state     uint32     // of Auth-Session-State
	msa       *diameter.MSA
}

// onBinding is the verdict on a Binding Update: RFC 5778, section 5.2.2.
type onBinding struct {
	*diameter.MIP6Answer
	request *diameter.MIP6Request
}

func (v onBinding) refused(o diameter.Outcome) { v.Outcome = o }

func (v onBinding) challenged(c *diameter.Challenge) {
	v.Outcome, v.Challenge = diameter.Outcome{Result: diameter.MultiRoundAuth}, c
}

func (v onBinding) granted(g grant) {
	v.Outcome = diameter.Outcome{Result: g.result}
	if g.result == diameter.SuccessRelocateHA {
		v.Agent = g.homeAgent
	}
	v.User, v.Homes, v.State, v.MSA = g.user, []netip.Addr{g.home}, g.state, g.msa
	v.Timestamp, v.Service = v.request.Timestamp, v.request.Service
}

// elsewhere: RFC 5778, section 6.6. The key is for what the home agent that is not to
// serve the mobile node has to tell it.
func (v onBinding) elsewhere() diameter.ResultCode { return diameter.SuccessRelocateHA }

func (m *Machine) refuse(now time.Time, u *update, result diameter.ResultCode, why string) {
	u.refused(diameter.Outcome{Result: result, Text: why})
	u.reply(now)
}

// authenticate verifies the MN-AAA authenticator. It takes as long for a subscriber who
// is not known.
func (m *Machine) authenticate(now time.Time, u *update) {
	a := m.authority
	root, known := a.method.MNAAA(&u.found)
	key := root.Value
	if !known {
		key = a.stranger
	}
	if !u.proven(key) || !known {
		// Neither RFC 5778 nor RFC 6733 has a code for a user who is not known.
		// RFC 6733, section 7.1.4, gives this one where the authentication of
		// the user failed, and it does not tell a stranger whom we know.
		m.refuse(now, u, diameter.AuthenticationRejected, "the MN-AAA authenticator is not right")
		return
	}
	u.root = root
	switch {
	case m.client == nil || a.method.Root() == bootstrap.Provisioned:
		m.authorize(now, u, a.subscribers[u.nai], nil)
		return
	case imsiOf(u.nai) == "": // the HSS, which decides, knows subscribers by their IMSI
		m.refuse(now, u, diameter.AuthorizationRejected, "the subscriber is none of the HSS")
		return
	}
	known2 := m.records.of(u.nai, imsiOf(u.nai))
	m.withProfile(now, known2, func(now time.Time, result diameter.ResultCode, reason string) {
		switch {
		case reason == "":
			m.authorize(now, u, a.subscribers[u.nai], known2)
		case result == 0 || result.ProtocolError():
			m.events.Tell("hss-failed", map[string]any{"nai": u.nai, "about": "profile", "reason": reason})
			m.refuse(now, u, diameter.UnableToDeliver, "the HSS: "+reason)
		default:
			m.refuse(now, u, diameter.AuthorizationRejected, "the HSS: "+reason)
		}
	})
}

// authorize decides whether a subscriber may have the binding: by this server's own
// list, and by what the HSS has told. Either may be nil.
func (m *Machine) authorize(now time.Time, u *update, s *control.Subscriber, known *record) {
	switch { // RFC 6733, section 7.1.5
	case s != nil && s.Barred, known != nil && known.barred():
		m.refuse(now, u, diameter.AuthorizationRejected, "the subscriber is barred")
		return
	case known != nil && !known.hasAPN(u.service):
		m.refuse(now, u, diameter.AuthorizationRejected, "the subscriber may not use the APN "+u.service)
		return
	}
	var home netip.Addr
	if s != nil {
		home = s.HomeAddress
	}
	switch {
	case home.IsValid() && !u.home.IsUnspecified() && u.home != home:
		m.refuse(now, u, diameter.AuthorizationRejected, fmt.Sprintf("home address %v is not the subscriber's", u.home))
		return
	case !home.IsValid():
		// Where that is the unspecified address, the server is to assign one, and
		// has none: RFC 5778, section 6.5, does not say what then. Lab decision:
		// the same address in the answer leaves it to the home agent, which may
		// assign one by section 4.2.
		home = u.home
	}
	g := grant{result: diameter.Success, user: u.nai, home: home, homeAgent: u.homeAgent, state: diameter.NoStateMaintained}
	if s != nil && s.HomeAgent.IsValid() && s.HomeAgent != u.homeAgent {
		g.result, g.homeAgent = u.elsewhere(), s.HomeAgent
		if !g.result.Succeeded() {
			m.refuse(now, u, g.result, "another home agent serves the subscriber")
			return
		}
	}
	if !u.keyless {
		g.msa = m.associate(u)
	}
	stays := g.result == diameter.Success
	started := stays && !u.noState && m.start(now, u.application, u.session, u.from, u.nai, m.authority.keyLifetime)
	if started {
		g.state = diameter.StateMaintained
	}
	u.granted(g)
	if !u.reply(now) {
		if started {
			m.close(m.sessions.open[keyOf(u.from.Host, u.session)], "unanswered", nil)
		}
		return
	}
	if known != nil && stays {
		m.servedBy(now, known, u.service, &diameter.AgentInfo{Addresses: []netip.Addr{u.homeAgent}, Host: u.from.Host, Realm: u.from.Realm})
	}
}

// associate makes the MN-HA security association: RFC 5778, section 6.12; RFC 4004,
// section 8.3. The mobile node makes the same key of what it sent and is told.
func (m *Machine) associate(u *update) *diameter.MSA {
	a := m.authority
	freshness, replay := [8]byte(u.digest), diameter.ReplayNone
	if u.stamp != nil {
		freshness, replay = [8]byte(u.stamp), diameter.ReplayTimestamp
	}
	lifetime := a.keyLifetime
	if u.lasts > 0 {
		lifetime = min(lifetime, u.lasts)
	}
	nonce := make([]byte, keys.KeyGenerationNonceSize)
	a.random.Read(nonce)
	made, told := a.method.Associate(u.root, bootstrap.Request{Identifier: u.user, HomeAgent: bootstrap.Agent{Address: u.homeAgent, Host: u.from.Host},
		Freshness: freshness, Lifetime: lifetime, Nonce: nonce})
	if a.spi++; a.spi < firstSPI {
		a.spi = firstSPI
	}
	made.Lifetime = lifetime
	m.keyMade(u.nai, u.root)
	m.keyMade(u.nai, made)
	msa := &diameter.MSA{Key: made.Value, Lifetime: lifetime, SPI: a.spi, Algorithm: diameter.HMACSHA1, Replay: replay}
	if len(told) > 0 {
		msa.Nonce = nonce
	}
	return msa
}

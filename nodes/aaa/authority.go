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

// An authority decides on MIP6-Requests: RFC 5778, section 4.2. It keeps nothing
// of them but the last SPI it gave.
type authority struct {
	keyLifetime time.Duration
	method      bootstrap.Server               // how MN-HA keys come to be; nil: nobody asks this server for them so
	keeper      bootstrap.Keeper               // how they are fetched; nil: they are not
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
	u := &update{q: q, request: r, answer: answer, nai: r.User}
	if r.Mode != diameter.AuthMNAAA && r.Mode != diameter.AuthAKA || m.authority.method == nil || (r.Mode == diameter.AuthAKA) != (m.authority.method.Root() == bootstrap.OfChallenge) { // RFC 5778, section 6.20
		m.refuse(now, u, diameter.ErrorMIP6AuthMode, fmt.Sprintf("MIP6-Auth-Mode %d is not supported", r.Mode))
		return
	}
	switch m.authority.method.Root() {
	case bootstrap.OfAccess:
		known := m.records.byNAI[r.User]
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
		if s := m.authority.subscribers[r.User]; s != nil && s.MNAAASPI == r.SPI {
			u.found.Provisioned = s.MNAAAKey
		}
	}
	m.authenticate(now, u)
}

// An update is a Binding Update that a home agent asks about.
type update struct {
	q       *query
	request *diameter.MIP6Request
	answer  *diameter.MIP6Answer
	nai     string // who it is, once that is known
	found   bootstrap.Found
	root    keys.Derived  // the MN-AAA key
	lasts   time.Duration // that, whole seconds; 0: not limited by itself
}

func (m *Machine) refuse(now time.Time, u *update, result diameter.ResultCode, why string) {
	u.answer.Outcome = diameter.Outcome{Result: result, Text: why}
	m.reply(now, u.q, u.answer, result)
}

// authenticate verifies the MN-AAA authenticator: RFC 4285, section 5.2. It takes
// as long for a subscriber who is not known.
func (m *Machine) authenticate(now time.Time, u *update) {
	a, r := m.authority, u.request
	root, known := a.method.MNAAA(&u.found)
	key := root.Value
	if !known {
		key = a.stranger
	}
	right := false
	if len(r.MobilityData) == keys.MNAAASize { // no rule wants it of AuthAKA
		want := keys.MNAAA(key, [keys.MNAAASize]byte(r.MobilityData))
		right = keys.Equal(r.Authenticator, want[:])
	}
	if !right || !known {
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
			m.events.tell(hssFailed, map[string]any{"nai": u.nai, "about": "profile", "reason": reason})
			m.refuse(now, u, diameter.UnableToDeliver, "the HSS: "+reason)
		default:
			m.refuse(now, u, diameter.AuthorizationRejected, "the HSS: "+reason)
		}
	})
}

// authorize decides whether a subscriber may have the binding: by this server's own
// list, and by what the HSS has told. Either may be nil.
func (m *Machine) authorize(now time.Time, u *update, s *control.Subscriber, known *record) {
	r, answer := u.request, u.answer
	switch { // RFC 6733, section 7.1.5
	case s != nil && s.Barred, known != nil && known.barred():
		m.refuse(now, u, diameter.AuthorizationRejected, "the subscriber is barred")
		return
	case known != nil && !known.hasAPN(r.Service):
		m.refuse(now, u, diameter.AuthorizationRejected, "the subscriber may not use the APN "+r.Service)
		return
	}
	var home netip.Addr
	if s != nil {
		home = s.HomeAddress
	}
	switch {
	case home.IsValid() && !r.Home.IsUnspecified() && r.Home != home:
		m.refuse(now, u, diameter.AuthorizationRejected, fmt.Sprintf("home address %v is not the subscriber's", r.Home))
		return
	case !home.IsValid():
		// Where that is the unspecified address, the server is to assign one, and
		// has none: RFC 5778, section 6.5, does not say what then. Lab decision:
		// the same address in the answer leaves it to the home agent, which may
		// assign one by section 4.2.
		home = r.Home
	}
	relocate := s != nil && s.HomeAgent.IsValid() && s.HomeAgent != r.HomeAgent
	if relocate {
		// RFC 5778, section 6.6. The key is for what the home agent that is not
		// to serve the mobile node has to tell it.
		answer.Outcome = diameter.Outcome{Result: diameter.SuccessRelocateHA}
		answer.Agent = s.HomeAgent
	}
	answer.User = u.nai
	answer.Homes = []netip.Addr{home}
	answer.Timestamp = r.Timestamp
	answer.Service = r.Service
	m.associate(u)
	started := !relocate && !r.NoState && m.start(now, r, u.nai)
	if started {
		answer.State = diameter.StateMaintained
	}
	if !m.reply(now, u.q, answer, answer.Result) {
		if started {
			m.close(m.sessions.open[keyOf(r.Host, r.Session)], "unanswered", nil)
		}
		return
	}
	if known != nil && !relocate {
		m.servedBy(now, known, r)
	}
}

// associate makes the MN-HA security association: RFC 5778, section 6.12. The
// mobile node makes the same key of what it sent and is told.
func (m *Machine) associate(u *update) {
	a, r := m.authority, u.request
	freshness, replay := [8]byte(r.MobilityData), diameter.ReplayNone
	if r.Timestamp != nil {
		freshness, replay = [8]byte(r.Timestamp), diameter.ReplayTimestamp
	}
	lifetime := a.keyLifetime
	if u.lasts > 0 {
		lifetime = min(lifetime, u.lasts)
	}
	nonce := make([]byte, keys.KeyGenerationNonceSize)
	a.random.Read(nonce)
	made, told := a.method.Associate(u.root, bootstrap.Request{Identifier: r.User, HomeAgent: bootstrap.Agent{Address: r.HomeAgent, Host: r.Host},
		Freshness: freshness, Lifetime: lifetime, Nonce: nonce})
	if a.spi++; a.spi < firstSPI {
		a.spi = firstSPI
	}
	made.Lifetime = lifetime
	m.keyMade(u.nai, u.root)
	m.keyMade(u.nai, made)
	u.answer.MSA = &diameter.MSA{Key: made.Value, Lifetime: lifetime, SPI: a.spi, Algorithm: diameter.HMACSHA1, Replay: replay}
	if len(told) > 0 {
		u.answer.MSA.Nonce = nonce
	}
}

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
	identity    diameter.Identity
	keyLifetime time.Duration
	method      bootstrap.Server               // how MN-HA keys come to be
	subscribers map[string]*control.Subscriber // by NAI
	realms      map[string]bool                // served here, in lower case
	stranger    []byte                         // a key that nobody has
	spi         uint32                         // of the association handed out last
	made        func(nai string, k keys.Derived)
}

// firstSPI is the first that is not reserved: RFC 4285, section 8.
const firstSPI = 256

func newAuthority(cfg *control.AAA, identity diameter.Identity, rng *rand.Rand) (*authority, error) {
	method, err := bootstrap.Of(cfg.Security.Profile, cmp.Or(cfg.Security.Bootstrap, "mip-options"), cfg.Security.KeySource)
	if err != nil {
		return nil, err
	}
	a := &authority{
		method:      method.Server,
		identity:    identity,
		keyLifetime: max(cfg.KeyLifetime.Truncate(time.Second), time.Second),
		subscribers: map[string]*control.Subscriber{},
		realms:      map[string]bool{strings.ToLower(identity.Realm): true},
		stranger:    make([]byte, 16),
		// Not from the first one on: keys of a former life, or of another
		// server, may still be in use under those.
		spi: firstSPI + rng.Uint32N(1<<20),
	}
	for i := range a.stranger {
		a.stranger[i] = byte(rng.Uint32())
	}
	for i := range cfg.Subscribers {
		s := &cfg.Subscribers[i]
		a.subscribers[s.NAI] = s
		if at := strings.LastIndexByte(s.NAI, '@'); at >= 0 {
			a.realms[strings.ToLower(s.NAI[at+1:])] = true
		}
	}
	return a, nil
}

// decide answers a request that follows its definition. A *diameter.Failure
// stands in place of an answer that cannot have the form of a MIP6-Answer.
func (a *authority) decide(r *diameter.MIP6Request) (*diameter.MIP6Answer, *diameter.Failure) {
	switch { // RFC 6733, section 6.1.4: is it for us at all?
	case r.DestinationHost != "" && !strings.EqualFold(r.DestinationHost, a.identity.Host):
		return nil, &diameter.Failure{Result: diameter.UnableToDeliver, What: "there is no way from here to " + r.DestinationHost}
	case !a.realms[strings.ToLower(r.DestinationRealm)]:
		return nil, &diameter.Failure{Result: diameter.RealmNotServed, What: "realm " + r.DestinationRealm + " is not served here"}
	}
	answer := &diameter.MIP6Answer{
		Session:   r.Session,
		Outcome:   diameter.Outcome{Result: diameter.Success},
		Identity:  a.identity,
		User:      r.User,
		State:     diameter.NoStateMaintained,
		ProxyInfo: r.ProxyInfo,
	}
	refuse := func(result diameter.ResultCode, why string) (*diameter.MIP6Answer, *diameter.Failure) {
		answer.Outcome = diameter.Outcome{Result: result, Text: why}
		return answer, nil
	}
	if r.Mode != diameter.AuthMNAAA { // RFC 5778, section 6.20
		return refuse(diameter.ErrorMIP6AuthMode, fmt.Sprintf("MIP6-Auth-Mode %d is not supported", r.Mode))
	}
	s := a.subscribers[r.User]
	root := a.root(s, r)
	if !a.authentic(root, r) {
		// Neither RFC 5778 nor RFC 6733 has a code for a user who is not known.
		// RFC 6733, section 7.1.4, gives this one where the authentication of
		// the user failed, and it does not tell a stranger whom we know.
		return refuse(diameter.AuthenticationRejected, "the MN-AAA authenticator is not right")
	}
	if s.Barred { // RFC 6733, section 7.1.5
		return refuse(diameter.AuthorizationRejected, "the subscriber is barred")
	}
	home := s.HomeAddress
	switch {
	case home.IsValid() && !r.Home.IsUnspecified() && r.Home != home:
		return refuse(diameter.AuthorizationRejected, fmt.Sprintf("home address %v is not the subscriber's", r.Home))
	case !home.IsValid():
		// Where that is the unspecified address, the server is to assign one, and
		// has none: RFC 5778, section 6.5, does not say what then. Lab decision:
		// the same address in the answer leaves it to the home agent, which may
		// assign one by section 4.2.
		home = r.Home
	}
	if s.HomeAgent.IsValid() && s.HomeAgent != r.HomeAgent {
		// RFC 5778, section 6.6. The key is for what the home agent that is not
		// to serve the mobile node has to tell it.
		answer.Outcome = diameter.Outcome{Result: diameter.SuccessRelocateHA}
		answer.Agent = s.HomeAgent
	}
	answer.Homes = []netip.Addr{home}
	answer.Timestamp = r.Timestamp
	answer.Service = r.Service
	answer.MSA = a.associate(root, r)
	return answer, nil
}

// root is the MN-AAA key of a mobile node; nil: there is none, or another SPI is
// meant. s is nil for one that is not known.
func (a *authority) root(s *control.Subscriber, r *diameter.MIP6Request) []byte {
	if s == nil || s.MNAAASPI != r.SPI {
		return nil
	}
	return s.MNAAAKey
}

// authentic verifies the MN-AAA authenticator: RFC 4285, section 5.2. It takes
// as long for a subscriber who is not known.
func (a *authority) authentic(root []byte, r *diameter.MIP6Request) bool {
	key := root
	if root == nil {
		key = a.stranger
	}
	want := keys.MNAAA(key, [keys.MNAAASize]byte(r.MobilityData))
	return keys.Equal(r.Authenticator, want[:]) && root != nil
}

// associate makes the MN-HA security association: RFC 5778, section 6.12. The
// mobile node makes the same key of what it sent.
func (a *authority) associate(root []byte, r *diameter.MIP6Request) *diameter.MSA {
	freshness, replay := [8]byte(r.MobilityData), diameter.ReplayNone
	if r.Timestamp != nil {
		freshness, replay = [8]byte(r.Timestamp), diameter.ReplayTimestamp
	}
	key, _ := a.method.MNAAA(&bootstrap.Found{Provisioned: root})
	made, _ := a.method.Associate(key, bootstrap.Request{Identifier: r.User, HomeAgent: bootstrap.Agent{Address: r.HomeAgent, Host: r.Host}, Freshness: freshness})
	if a.spi++; a.spi < firstSPI {
		a.spi = firstSPI
	}
	made.Lifetime = a.keyLifetime
	a.made(r.User, key)
	a.made(r.User, made)
	return &diameter.MSA{Key: made.Value, Lifetime: a.keyLifetime, SPI: a.spi, Algorithm: diameter.HMACSHA1, Replay: replay}
}

package hss

import (
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"s2clab/nodes/hss/store"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/diameter"
)

// An AuthenticationRequest asks for vectors: the Multimedia-Auth-Request of TS
// 29.273, section 8.1.2.1.
type AuthenticationRequest struct {
	Server       string           // Diameter identity of the AAA server that asks
	IMSI         string           //
	Scheme       string           // SchemeEAPAKA or SchemeEAPAKAPrime
	Network      string           // ANID: what the keys of SchemeEAPAKAPrime are bound to; else of no meaning
	Vectors      uint32           // how many; 0: one
	Resync       *diameter.Resync // nil: the card is not ahead
	RAT          *store.RATType   // nil: not told
	ServerFailed bool             // AAA-Failure-Indication: the server that is registered cannot be reached
}

// An AuthenticationAnswer has vectors where Result is Success.
type AuthenticationAnswer struct {
	Result  diameter.ResultCode
	Text    string        // why it is not Success, for people
	Server  string        // with IdentityAlreadyRegistered: the AAA server that is
	Vectors []keys.Vector // in the order of their use; of SchemeEAPAKAPrime, with CK' and IK'
	Err     error         // what failed here, which is nobody else's business
}

// mostVectors is how many are given at a time, however many were asked for: TS
// 29.228, section 6.3.1, leaves it to the HSS.
const mostVectors = 5

// Authenticate gives vectors, by the checks of TS 29.273, section 8.1.2.1.2, in
// their order. A subscriber whose non-3GPP access is barred is authenticated: the
// AAA server learns of it from the Profile, and refuses.
//
// Lab decision: a server that is not the registered one is told which that is, by
// IdentityAlreadyRegistered, unless it says that it cannot be reached; then the
// registration ends.
func (m *Machine) Authenticate(r AuthenticationRequest) AuthenticationAnswer {
	s, err := m.store.Subscriber(r.IMSI)
	switch {
	case err != nil:
		return AuthenticationAnswer{Result: diameter.UserUnknown, Text: "there is no such subscriber"}
	case len(s.APNs) == 0:
		return AuthenticationAnswer{Result: diameter.UserNoNon3GPPSubscription, Text: "the subscriber has no subscription for non-3GPP access"}
	case r.RAT != nil && s.RATTypes != nil && !slices.Contains(s.RATTypes, *r.RAT):
		return AuthenticationAnswer{Result: diameter.RATTypeNotAllowed, Text: "the subscriber may not use this kind of access"}
	case r.Scheme != diameter.SchemeEAPAKA && r.Scheme != diameter.SchemeEAPAKAPrime:
		return AuthenticationAnswer{Result: diameter.AuthSchemeNotSupported, Text: "want EAP-AKA or EAP-AKA'"}
	case r.Scheme == diameter.SchemeEAPAKAPrime && r.Network == "":
		return AuthenticationAnswer{Result: diameter.MissingAVP, Text: "EAP-AKA' needs the ANID"}
	}
	held, err := m.store.Registration(r.IMSI)
	if err != nil {
		return AuthenticationAnswer{Result: diameter.AuthenticationDataUnavailable, Text: "try again later", Err: err}
	}
	if held.Server != "" && !strings.EqualFold(held.Server, r.Server) {
		if !r.ServerFailed {
			return AuthenticationAnswer{Result: diameter.IdentityAlreadyRegistered, Text: "another AAA server serves the subscriber", Server: held.Server}
		}
		if err := m.store.Register(r.IMSI, store.Registration{}); err != nil {
			return AuthenticationAnswer{Result: diameter.AuthenticationDataUnavailable, Text: "try again later", Err: err}
		}
	}
	separation := r.Scheme == diameter.SchemeEAPAKAPrime // RFC 9048, section 3.3
	vectors, err := m.vectors(s, int(max(1, min(r.Vectors, mostVectors))), r.Resync, separation)
	if err != nil {
		return AuthenticationAnswer{Result: diameter.AuthenticationDataUnavailable, Text: reason(err), Err: err}
	}
	if r.Scheme == diameter.SchemeEAPAKAPrime {
		for i := range vectors { // TS 33.402, section 6.1: the HSS binds them
			v := &vectors[i]
			v.CK, v.IK = keys.BindToNetwork(v.CK, v.IK, r.Network, [6]byte(v.AUTN[:6]))
		}
	}
	return AuthenticationAnswer{Result: diameter.Success, Vectors: vectors}
}

// A BootstrapRequest asks for a vector for GBA: the Multimedia-Auth-Request of TS
// 29.109, section 4.2.
type BootstrapRequest struct {
	User   string           // an IMPI that is made of an IMSI (TS 23.003, section 13.3), or an IMSI
	Resync *diameter.Resync // nil: the card is not ahead
}

// A BootstrapAnswer has a vector where Result is Success.
type BootstrapAnswer struct {
	Result   diameter.ResultCode
	Text     string
	Vector   keys.Vector
	Lifetime time.Duration // of the key, from the subscriber's settings; 0: the bootstrapping server's own
	Err      error         // what failed here
}

// Bootstrap gives a vector to a bootstrapping server. No AAA server is asked: GBA
// is another use of the same card, and of the same row of sequence numbers.
func (m *Machine) Bootstrap(r BootstrapRequest) BootstrapAnswer {
	s, err := m.store.Subscriber(m.imsi(r.User))
	switch {
	case err != nil:
		return BootstrapAnswer{Result: diameter.IdentityUnknown, Text: "there is no such subscriber"}
	case !s.GBA.Allowed: // lab decision: TS 29.109 has no code for it
		return BootstrapAnswer{Result: diameter.AuthorizationRejected, Text: "the subscriber may not use GBA"}
	}
	vectors, err := m.vectors(s, 1, r.Resync, false)
	if err != nil {
		return BootstrapAnswer{Result: diameter.AuthenticationDataUnavailable, Text: reason(err), Err: err}
	}
	return BootstrapAnswer{Result: diameter.Success, Vector: vectors[0], Lifetime: s.GBA.Lifetime}
}

// imsi is that of an IMPI: what stands before the realm, by TS 23.003, section 13.3,
// or by section 19.3.2 with a digit before it.
func (m *Machine) imsi(impi string) string {
	user, _, _ := strings.Cut(impi, "@")
	if _, err := m.store.Subscriber(user); err != nil && user != "" {
		if _, err := m.store.Subscriber(user[1:]); err == nil {
			return user[1:]
		}
	}
	return user
}

// vectors makes n vectors of a subscriber, after it has followed its card. The
// separation bit of the AMF says for which kind of access they are: TS 33.102,
// annex H.
func (m *Machine) vectors(s *store.Subscriber, n int, resync *diameter.Resync, separation bool) ([]keys.Vector, error) {
	algorithm, err := m.algorithm(s)
	if err != nil {
		return nil, err
	}
	if resync != nil {
		sqn, err := keys.OpenAUTS(algorithm, resync.RAND, resync.AUTS)
		if err != nil {
			return nil, err
		}
		if err := m.store.Resynchronise(s.IMSI, sqn); err != nil {
			return nil, err
		}
	}
	amf := s.AMF
	amf[0] &^= keys.Separation
	if separation {
		amf[0] |= keys.Separation
	}
	sqns, err := m.store.Take(s.IMSI, n)
	if err != nil {
		return nil, err
	}
	vectors := make([]keys.Vector, n)
	for i, sqn := range sqns {
		var challenge [16]byte
		if _, err := io.ReadFull(m.random, challenge[:]); err != nil {
			return nil, err
		}
		if vectors[i], err = keys.NewVector(algorithm, challenge, sqn, amf); err != nil {
			return nil, err
		}
	}
	return vectors, nil
}

// reason is what a peer may know of an error.
func reason(err error) string {
	switch {
	case errors.Is(err, keys.ErrAUTS):
		return "the AUTS is not the subscriber's"
	case errors.Is(err, usim.ErrExhausted):
		return "the subscriber has had all sequence numbers"
	}
	return "try again later"
}

// Package ub holds the rules of Ub, by which a mobile node and the bootstrapping
// server (BSF) of its home network come to share a key: HTTP Digest with AKA. TS
// 33.220, section 4.5.2; TS 24.109, section 4; RFC 3310. Client is the mobile node's
// side, Server the BSF's, which also gives the keys of network application functions
// out of what it holds (Zn).
//
// Both are pure machines. Requests and responses are what of HTTP matters here: who
// carries them is in nodes/host, and who fetches vectors from the HSS is in nodes/bsf.
// The card is in nodes/session/usim, derivations are in nodes/keys.
//
// The text of TS 24.109 was not at hand. Its formats are as others write them, and
// where it may have a rule that is not known here, there stands "lab decision".
package ub

import (
	"fmt"
	"time"

	"s2clab/nodes/keys"
)

// A Request is a request of HTTP, as far as Ub has use for it.
type Request struct {
	Method        string
	Target        string // of the request line: an absolute path, with a query where there is one
	Host          string // of the server, maybe with a port
	Authorization string // the value of that field; empty: there is none
	Body          []byte
}

// A Response is a response of HTTP, as far as Ub has use for it.
type Response struct {
	Status             int
	Challenges         []string      // the values of WWW-Authenticate
	AuthenticationInfo string        // the value of that field; empty: there is none
	ContentType        string        // the value of that field; empty: there is none
	RetryAfter         time.Duration // whole seconds; 0: not told
	Body               []byte
}

// Format keeps what authenticates out of whatever is printed.
func (r Request) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%s %s (%d octets)", r.Method, r.Target, len(r.Body))
}

// Format keeps what authenticates out of whatever is printed.
func (r Response) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%d %s (%d octets)", r.Status, r.ContentType, len(r.Body))
}

// Status codes that Ub has use for: RFC 9110, section 15.
const (
	statusOK               = 200
	statusBadRequest       = 400
	statusUnauthorized     = 401
	statusForbidden        = 403
	statusNotFound         = 404
	statusMethodNotAllowed = 405
	statusUnavailable      = 503
)

const (
	// UserAgent and Product tell client and server of HTTP that the other speaks Ub: TS
	// 24.109, section 4.
	UserAgent = "s2clab 3gpp-gba"
	Product   = "s2clab 3gpp-gba"

	// ContentType is that of what bootstrapping ends with.
	ContentType = "application/vnd.3gpp.bsf+xml"

	// MostBody is how many octets a body may have. Carriers hand over one more where
	// there are more, so that they are seen.
	MostBody = 4096

	// method and target are what mobile nodes ask for.
	method, target = "GET", "/"
)

// Made are the keys of a bootstrapping, each after what it is made of, to tell of. Ks
// holds for as long as that.
func Made(ck, ik [16]byte, lifetime time.Duration) []keys.Derived {
	ks := keys.Ks(ck, ik)
	return []keys.Derived{
		{Name: keys.NameCK, How: "f3 of K, RAND", Value: ck[:]},
		{Name: keys.NameIK, How: "f4 of K, RAND", Value: ik[:]},
		{Name: keys.NameKs, How: "CK | IK", Of: []keys.Ancestor{keys.Of(keys.NameCK, ck[:]), keys.Of(keys.NameIK, ik[:])}, Value: ks[:], Lifetime: lifetime},
	}
}

// Bootstrapped is an output of both sides: they share a key from now on.
type Bootstrapped struct {
	GBA  keys.GBA
	Made []keys.Derived
}

// Refused is an output of both sides: no key came of it.
type Refused struct {
	IMPI   string // as it was told; empty: it was not
	Reason string // in kebab-case
}

// Ignored is an output of both sides: an input had no effect.
type Ignored struct{ Reason string } // in kebab-case

// An Output is something to do or to tell.
type Output interface{ output() }

func (Bootstrapped) output() {}
func (Refused) output()      {}
func (Ignored) output()      {}

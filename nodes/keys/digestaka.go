package keys

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// DigestAKA is the algorithm of HTTP Digest in which RES is the password: RFC 3310,
// section 3.1.
const DigestAKA = "AKAv1-MD5"

// A QoP is what a digest protects: RFC 2617, section 3.2.1. That of the reference
// point Ub is auth-int: TS 24.109.
type QoP string

const (
	QoPAuth    QoP = "auth"     // who asks, for what
	QoPAuthInt QoP = "auth-int" // the body too
)

// A Digest is what the response of HTTP Digest is made of: RFC 2617, section 3.2.2,
// with an algorithm of MD5. Values are without their quotes.
type Digest struct {
	Username string
	Realm    string
	Nonce    string
	Method   string
	URI      string // as in the directive: the client's choice, for the server to compare
	QoP      QoP
	NC       uint32 // how many requests with that nonce; the first is 1
	CNonce   string
	Body     []byte // of auth-int alone
}

// Response is the directive "response" of a request, 32 hexadecimal digits. Of
// AKAv1-MD5 the password is RES, as it is: RFC 3310, section 3.3.
func (d *Digest) Response(password []byte) string { return d.digest(password, d.Method) }

// ResyncResponse is the directive "response" of a request that has an "auts": its
// password is empty. RFC 3310, section 3.4.
func (d *Digest) ResyncResponse() string { return d.Response(nil) }

// ResponseAuth is the directive "rspauth" by which a server shows that it knows the
// password, and Body is that of its answer: RFC 2617, section 3.2.3. Of AKAv1-MD5 the
// password is XRES: RFC 3310, section 3.5.
func (d *Digest) ResponseAuth(password []byte) string { return d.digest(password, "") }

func (d *Digest) digest(password []byte, method string) string {
	a1 := append([]byte(d.Username+":"+d.Realm+":"), password...)
	a2 := method + ":" + d.URI
	if d.QoP == QoPAuthInt {
		a2 += ":" + hexMD5(d.Body)
	}
	return hexMD5(fmt.Appendf(nil, "%s:%s:%08x:%s:%s:%s", hexMD5(a1), d.Nonce, d.NC, d.CNonce, d.QoP, hexMD5([]byte(a2))))
}

func hexMD5(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// ErrDigestAKA says that a directive of Digest AKA is not what RFC 3310 has.
var ErrDigestAKA = errors.New("not a directive of Digest AKA")

// DigestAKANonce is the directive "nonce" of a challenge: base64 of RAND | AUTN |
// server's data, which may be empty. RFC 3310, section 3.2.
func DigestAKANonce(rand, autn [16]byte, server []byte) string {
	b := append(append(rand[:], autn[:]...), server...)
	return base64.StdEncoding.EncodeToString(b)
}

// ParseDigestAKANonce takes the directive "nonce" apart; server is what follows RAND
// and AUTN. The padding of base64 may be there or not, and too long as it is in the
// examples of RFC 3310. Every error wraps ErrDigestAKA.
func ParseDigestAKANonce(nonce string) (rand, autn [16]byte, server []byte, err error) {
	b, err := unpadded(nonce)
	if err == nil && len(b) < 32 {
		err = fmt.Errorf("%w: a nonce of %d octets, want 32 or more", ErrDigestAKA, len(b))
	}
	if err != nil {
		return rand, autn, nil, err
	}
	return [16]byte(b), [16]byte(b[16:]), b[32:], nil
}

// DigestAUTS is the directive "auts": RFC 3310, section 3.4.
func DigestAUTS(auts [14]byte) string { return base64.StdEncoding.EncodeToString(auts[:]) }

// ParseDigestAUTS reads the directive "auts", of 14 octets; those in the examples of
// RFC 3310 have 15 and 11. Every error wraps ErrDigestAKA.
func ParseDigestAUTS(auts string) (token [14]byte, err error) {
	b, err := unpadded(auts)
	if err == nil && len(b) != len(token) {
		err = fmt.Errorf("%w: an auts of %d octets, want %d", ErrDigestAKA, len(b), len(token))
	}
	if err != nil {
		return token, err
	}
	return [14]byte(b), nil
}

func unpadded(s string) ([]byte, error) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil, fmt.Errorf("%w: no base64", ErrDigestAKA)
	}
	return b, nil
}

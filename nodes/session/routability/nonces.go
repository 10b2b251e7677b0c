package routability

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"s2clab/nodes/keys"
)

// A new nonce is made every 30 s, and the last 8 are accepted: RFC 6275, section
// 5.2.7.
const (
	nonceInterval = 30 * time.Second
	noncesKept    = int(maxNonceLifetime / nonceInterval)
)

// nonces are a correspondent node's: each a nonce with the Kcn that belongs to
// it. No token is kept: RFC 6275, section 5.2.
type nonces struct {
	rand  *rand.ChaCha8
	kept  [noncesKept]nonce
	index uint16 // of the newest
	any   bool   // one was made
}

type nonce struct {
	made   time.Time // zero: none
	octets [8]byte
	kcn    *keys.MAC
}

// current gives the index of the nonce for new tokens.
func (n *nonces) current(now time.Time) uint16 {
	if newest := &n.kept[int(n.index)%noncesKept]; n.any && now.Sub(newest.made) < nonceInterval {
		return n.index
	}
	if n.any {
		n.index++
	} else {
		n.index, n.any = uint16(n.rand.Uint64()), true
	}
	var key [20]byte
	n.rand.Read(key[:])
	made := nonce{made: now, kcn: keys.NewMAC(key[:])}
	n.rand.Read(made.octets[:])
	n.kept[int(n.index)%noncesKept] = made
	return n.index
}

// find gives the nonce of an index; nil: it is too old, or never was.
func (n *nonces) find(now time.Time, index uint16) *nonce {
	back := n.index - index
	if !n.any || int(back) >= noncesKept {
		return nil
	}
	found := &n.kept[int(index)%noncesKept]
	if found.made.IsZero() || now.Sub(found.made) >= maxNonceLifetime {
		return nil
	}
	return found
}

// Which address a token is for: RFC 6275, section 5.2.5.
const (
	forHome   = 0
	forCareOf = 1
)

// token is First(64, HMAC_SHA1(Kcn, (address | nonce | which))): RFC 6275,
// section 5.2.5.
func (n *nonce) token(a netip.Addr, which byte) Token {
	address := a.As16()
	data := append(address[:], n.octets[:]...)
	sum := n.kcn.Sum(append(data, which))
	return Token(sum[:8])
}

// newRand gives the random numbers of one end of one node.
func newRand(seed uint64, of string) *rand.ChaCha8 {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	copy(key[8:], of)
	return rand.NewChaCha8(key)
}

// Package keys derives keys and computes authenticators: HMAC-SHA1 with a
// prepared key, the MN-HA and MN-AAA authenticators of RFC 4285, the session
// key that an AAA server makes of both, and NTP timestamps.
//
// It knows no message: which octets an authenticator covers, and where it
// stands, is in nodes/session/association.
package keys

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding"
	"hash"
	"net/netip"
	"sync"
)

// Lengths of what is computed here, in octets.
const (
	MNHASize       = 12 // RFC 4285, section 5.1: 96 bits
	MNAAASize      = 20 // RFC 4285, section 5.2: all of HMAC-SHA1
	SessionKeySize = 16 // RFC 4285, section 5.1: of an MN-HA key
)

// A MAC computes HMAC-SHA1 under one key: RFC 2104. The work that depends on
// the key alone is done once, and no Sum allocates. It is not changed by use:
// several goroutines may share one. Copies of it are as secret as the key.
type MAC struct {
	inner, outer []byte // states of SHA-1 after one block, as it marshals them
}

// NewMAC prepares a key of any length.
func NewMAC(key []byte) *MAC {
	var block [sha1.BlockSize]byte
	if len(key) > len(block) {
		sum := sha1.Sum(key)
		key = sum[:]
	}
	copy(block[:], key)
	state := func(pad byte) []byte {
		h := sha1.New()
		padded := block
		for i := range padded {
			padded[i] ^= pad
		}
		h.Write(padded[:])
		b, err := h.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			panic("keys: SHA-1 does not give its state: " + err.Error()) // it always does
		}
		return b
	}
	return &MAC{inner: state(0x36), outer: state(0x5c)}
}

// Sum is HMAC-SHA1 of data.
func (m *MAC) Sum(data []byte) [sha1.Size]byte {
	h := hashers.Get().(*hasher)
	h.load(m.inner)
	h.hash.Write(data)
	sum := h.hash.Sum(h.sum[:0])
	h.load(m.outer)
	h.hash.Write(sum)
	h.hash.Sum(h.sum[:0])
	result := h.sum
	h.sum = [sha1.Size]byte{}
	hashers.Put(h)
	return result
}

// A hasher is a SHA-1 that can take over a state.
type hasher struct {
	hash  hash.Hash
	state encoding.BinaryUnmarshaler // the same
	sum   [sha1.Size]byte
}

func (h *hasher) load(state []byte) {
	if err := h.state.UnmarshalBinary(state); err != nil {
		panic("keys: SHA-1 does not take its own state: " + err.Error())
	}
}

var hashers = sync.Pool{New: func() any {
	h := sha1.New()
	return &hasher{hash: h, state: h.(encoding.BinaryUnmarshaler)}
}}

// MNHA is the authenticator of an MN-HA option: the first 96 bits of HMAC-SHA1
// of the mobility data. RFC 4285, section 5.1.
func MNHA(m *MAC, mobilityData []byte) [MNHASize]byte {
	sum := m.Sum(mobilityData)
	return [MNHASize]byte(sum[:])
}

// MobilityData is the MAC_Mobility_Data of RFC 4285, section 5.2: what a home
// agent tells an AAA server of a Binding Update.
func MobilityData(mobilityData []byte) [sha1.Size]byte { return sha1.Sum(mobilityData) }

// MNAAA is the authenticator of an MN-AAA option under HMAC_SHA1_SPI: RFC
// 4285, section 5.2.
func MNAAA(key []byte, macMobilityData [sha1.Size]byte) [MNAAASize]byte {
	return NewMAC(key).Sum(macMobilityData[:])
}

// Equal compares authenticators in a time that does not tell where they differ.
func Equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// SessionKey is the MN-HA key that mobile node and AAA server make of the
// MN-AAA key they share:
//
//	First(128, HMAC_SHA1(MN-AAA key, "MN-HA" | NAI | home agent's address | freshness))
//
// with the address as 16 octets. RFC 4285 leaves this open (RFC 5419, section
// 7); the choice is ours. Freshness makes the key of each bootstrap another
// one: see association.Freshness.
func SessionKey(mnAAAKey []byte, nai string, homeAgent netip.Addr, freshness [8]byte) [SessionKeySize]byte {
	var address [16]byte
	if homeAgent.IsValid() {
		address = homeAgent.As16()
	}
	data := append([]byte("MN-HA"), nai...)
	data = append(data, address[:]...)
	data = append(data, freshness[:]...)
	sum := NewMAC(mnAAAKey).Sum(data)
	return [SessionKeySize]byte(sum[:])
}

package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// EAPAKAPrime is what a full authentication by EAP-AKA' makes of CK' and IK': RFC
// 9048, section 3.3, for the key derivation function 1.
type EAPAKAPrime struct {
	KEncr     [16]byte // of AT_ENCR_DATA
	KAut      [32]byte // of AT_MAC
	KRe       [32]byte // what a fast re-authentication begins with
	MSK, EMSK [64]byte
}

// BindToNetwork makes CK' and IK' of CK and IK: TS 33.402, annex A.2, by the
// function of TS 33.220, annex B.2. The network is the name in AT_KDF_INPUT, up to
// 65,535 octets; SQN xor AK is how AUTN begins.
func BindToNetwork(ck, ik [16]byte, network string, sqnXorAK [6]byte) (ckPrime, ikPrime [16]byte) {
	h := hmac.New(sha256.New, append(ck[:], ik[:]...))
	s := append([]byte{0x20}, network...)
	s = binary.BigEndian.AppendUint16(s, uint16(len(network)))
	s = append(s, sqnXorAK[:]...)
	h.Write(append(s, 0, byte(len(sqnXorAK))))
	both := h.Sum(nil)
	return [16]byte(both), [16]byte(both[16:])
}

// NewEAPAKAPrime derives the keys of EAP-AKA'. Identity is the last one that the
// peer sent, as it was sent.
func NewEAPAKAPrime(identity string, ckPrime, ikPrime [16]byte) (k EAPAKAPrime) {
	var stream [16 + 32 + 32 + 64 + 64]byte
	PRFPrime(append(ikPrime[:], ckPrime[:]...), append([]byte("EAP-AKA'"), identity...), stream[:])
	copy(k.KEncr[:], stream[:])
	copy(k.KAut[:], stream[16:])
	copy(k.KRe[:], stream[48:])
	copy(k.MSK[:], stream[80:])
	copy(k.EMSK[:], stream[144:])
	return k
}

// ReauthEAPAKAPrime derives the keys of a fast re-authentication by EAP-AKA':
// RFC 9048, section 3.3. Identity is the re-authentication identity that the peer
// sent.
func ReauthEAPAKAPrime(kRe [32]byte, identity string, counter uint16, nonceS [16]byte) (msk, emsk [64]byte) {
	seed := append([]byte("EAP-AKA' re-auth"), identity...)
	seed = binary.BigEndian.AppendUint16(seed, counter)
	var stream [128]byte
	PRFPrime(kRe[:], append(seed, nonceS[:]...), stream[:])
	copy(msk[:], stream[:])
	copy(emsk[:], stream[64:])
	return msk, emsk
}

// PRFPrime fills out, up to 8,160 octets, from the function PRF' of RFC 9048,
// section 3.4.1.
func PRFPrime(k, s, out []byte) {
	var t []byte
	for i := byte(1); len(out) > 0; i++ {
		h := hmac.New(sha256.New, k)
		h.Write(t)
		h.Write(s)
		h.Write([]byte{i})
		t = h.Sum(nil)
		out = out[copy(out, t):]
	}
}

// EAPMACPrime is the AT_MAC of EAP-AKA': HMAC-SHA-256-128 over a packet whose MAC
// is zeros, and what the message adds to it. RFC 9048, section 3.4.2.
func EAPMACPrime(kAut [32]byte, packet, more []byte) [EAPMACSize]byte {
	h := hmac.New(sha256.New, kAut[:])
	h.Write(packet)
	h.Write(more)
	return [EAPMACSize]byte(h.Sum(nil))
}

package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
)

// KDF is the key derivation function of TS 33.220, annex B:
//
//	HMAC-SHA-256(key, FC | P0 | L0 | P1 | L1 | ...)
//
// with lengths of two octets. It fails where a parameter is longer than they can say.
func KDF(key []byte, fc byte, parameters ...[]byte) (derived [32]byte, err error) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte{fc})
	for i, p := range parameters {
		if len(p) > math.MaxUint16 {
			return derived, fmt.Errorf("key derivation: P%d has %d octets, want %d or fewer", i, len(p), math.MaxUint16)
		}
		h.Write(p)
		h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(p))))
	}
	return [32]byte(h.Sum(nil)), nil
}

// Ks is the key of a bootstrapping, which UE and BSF share: CK | IK. TS 33.220,
// section 4.5.2.
func Ks(ck, ik [16]byte) (ks [32]byte) {
	copy(ks[:], ck[:])
	copy(ks[16:], ik[:])
	return ks
}

// BTID names a bootstrapping: base64(RAND)@BSF. TS 33.220, section 4.5.2.
func BTID(rand [16]byte, bsf string) string {
	return base64.StdEncoding.EncodeToString(rand[:]) + "@" + bsf
}

// NAFID names a network application function and the protocol that UE and it speak,
// as in the AVP NAF-Id: its FQDN | the Ua security protocol identifier. TS 33.220,
// section 4.5.2 and annex H.
func NAFID(fqdn string, ua [5]byte) []byte { return append([]byte(fqdn), ua[:]...) }

// KsNAF is the key of a UE and a network application function:
//
//	KDF(Ks, 01, "gba-me", RAND, IMPI, NAF_Id)
//
// TS 33.220, annex B.3; RAND is the bootstrapping's, and IMPI the UE's private
// identity. It fails where an identity has more than 65,535 octets.
func KsNAF(ks [32]byte, rand [16]byte, impi string, nafID []byte) ([32]byte, error) {
	return KDF(ks[:], 0x01, []byte("gba-me"), rand[:], []byte(impi), nafID)
}

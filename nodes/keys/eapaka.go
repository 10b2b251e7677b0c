package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// EAPMACSize is the length of AT_MAC: RFC 4187, section 10.15.
const EAPMACSize = 16

// EAPAKA is what a full authentication by EAP-AKA makes of CK and IK: RFC 4187,
// section 7.
type EAPAKA struct {
	MK        [20]byte // Master Key: what a fast re-authentication begins with
	KEncr     [16]byte // of AT_ENCR_DATA
	KAut      [16]byte // of AT_MAC
	MSK, EMSK [64]byte
}

// NewEAPAKA derives the keys of EAP-AKA. Identity is the last one that the peer
// sent, as it was sent.
func NewEAPAKA(identity string, ck, ik [16]byte) (k EAPAKA) {
	seed := append([]byte(identity), ik[:]...)
	k.MK = sha1.Sum(append(seed, ck[:]...))
	var stream [16 + 16 + 64 + 64]byte
	FIPS186(k.MK, stream[:])
	copy(k.KEncr[:], stream[:])
	copy(k.KAut[:], stream[16:])
	copy(k.MSK[:], stream[32:])
	copy(k.EMSK[:], stream[96:])
	return k
}

// ReauthEAPAKA derives the keys of a fast re-authentication by EAP-AKA from the
// Master Key of the full authentication: RFC 4187, section 7. Identity is the
// re-authentication identity that the peer sent.
func ReauthEAPAKA(mk [20]byte, identity string, counter uint16, nonceS [16]byte) (msk, emsk [64]byte) {
	seed := binary.BigEndian.AppendUint16([]byte(identity), counter)
	seed = append(seed, nonceS[:]...)
	var stream [128]byte
	FIPS186(sha1.Sum(append(seed, mk[:]...)), stream[:])
	copy(msk[:], stream[:])
	copy(emsk[:], stream[64:])
	return msk, emsk
}

// FIPS186 fills out from the pseudo-random generator of FIPS 186-2, change notice
// 1, algorithm 1 without its "mod q", with a seed-key of 160 bits and no user
// input: RFC 4187, section 7 and annex A.
func FIPS186(xkey [20]byte, out []byte) {
	for len(out) > 0 {
		w := fipsG(xkey)
		out = out[copy(out, w[:]):]
		carry := uint32(1) // XKEY = (1 + XKEY + w) mod 2^160
		for i := 16; i >= 0; i -= 4 {
			sum, over := bits.Add32(binary.BigEndian.Uint32(xkey[i:]), binary.BigEndian.Uint32(w[i:]), carry)
			binary.BigEndian.PutUint32(xkey[i:], sum)
			carry = over
		}
	}
}

// fipsG is the function G of FIPS 186-2, appendix 3.3: SHA-1 of one block that
// zeros make full, without the padding that tells the length.
func fipsG(x [20]byte) (g [20]byte) {
	h := sha1.New()
	var block [sha1.BlockSize]byte
	copy(block[:], x[:])
	h.Write(block[:])
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic("keys: SHA-1 does not give its state: " + err.Error()) // it always does
	}
	copy(g[:], state[len("sha\x01"):])
	return g
}

// EAPMAC is the AT_MAC of EAP-AKA: HMAC-SHA1-128 over a packet whose MAC is zeros,
// and what the message adds to it. RFC 4187, section 10.15.
func EAPMAC(kAut [16]byte, packet, more []byte) [EAPMACSize]byte {
	sum := NewMAC(kAut[:]).Sum(append(append(make([]byte, 0, len(packet)+len(more)), packet...), more...))
	return [EAPMACSize]byte(sum[:])
}

// ErrBlocks says that octets to encrypt or decrypt are not whole blocks of 16.
var ErrBlocks = errors.New("not whole blocks of 16 octets")

// EncryptEAP encrypts the attributes of AT_ENCR_DATA by AES-128 in CBC mode: RFC
// 4187, section 10.12. They are padded already; the error is ErrBlocks otherwise.
func EncryptEAP(kEncr, iv [16]byte, plain []byte) ([]byte, error) {
	return cbc(kEncr, plain, func(b cipher.Block) cipher.BlockMode { return cipher.NewCBCEncrypter(b, iv[:]) })
}

// DecryptEAP is the reverse of EncryptEAP. Nothing tells a wrong key.
func DecryptEAP(kEncr, iv [16]byte, text []byte) ([]byte, error) {
	return cbc(kEncr, text, func(b cipher.Block) cipher.BlockMode { return cipher.NewCBCDecrypter(b, iv[:]) })
}

func cbc(key [16]byte, from []byte, mode func(cipher.Block) cipher.BlockMode) ([]byte, error) {
	if len(from)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%d octets: %w", len(from), ErrBlocks)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	to := make([]byte, len(from))
	mode(block).CryptBlocks(to, from)
	return to, nil
}

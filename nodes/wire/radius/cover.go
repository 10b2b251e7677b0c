package radius

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// A Cover hides the keys of one Access-Accept from those who do not have the
// shared secret: RFC 2548, section 2.4.2, and RFC 2868, section 3.5, which are the
// same but for a tag that no attribute here has. In dictionaries it is encrypt=2.
type Cover struct {
	Secret  Secret
	Request Authenticator // of the Access-Request that is answered
	Salt    uint16        // of the next key; counts up, so that each of a packet has its own
}

// saltBit must be set in each salt: RFC 2548, section 2.4.2.
const saltBit = 1 << 15

// mostKey is how many octets a covered key may have: more would not fit an attribute.
const mostKey = 239

// Hide covers a key of 0 to 239 octets.
func (c *Cover) Hide(key []byte) ([]byte, error) {
	if len(key) > mostKey {
		return nil, fmt.Errorf("key of %d octets, want %d or fewer", len(key), mostKey)
	}
	salt := c.Salt | saltBit
	c.Salt++
	size := (1 + len(key) + md5.Size - 1) / md5.Size * md5.Size
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 2+size), salt)
	b = append(append(b, byte(len(key))), key...)
	b = b[:2+size]
	chain(b[2:], c.Secret, c.Request[:], b[:2], false)
	return b, nil
}

// Reveal uncovers what Hide has made; it does not use Salt. A wrong secret shows
// only by chance. Errors wrap ErrMalformed and do not tell what was uncovered.
func (c *Cover) Reveal(hidden []byte) ([]byte, error) {
	const longest = 2 + 1 + mostKey
	if len(hidden) < 2+md5.Size || len(hidden) > longest || (len(hidden)-2)%md5.Size != 0 {
		return nil, fmt.Errorf("covered key of %d octets, want 2 and a multiple of %d, %d at most: %w", len(hidden), md5.Size, longest, ErrMalformed)
	}
	b := append([]byte(nil), hidden[2:]...)
	chain(b, c.Secret, c.Request[:], hidden[:2], true)
	if int(b[0]) > len(b)-1 {
		return nil, fmt.Errorf("covered key is longer than its %d octets: %w", len(hidden), ErrMalformed)
	}
	return b[1 : 1+int(b[0])], nil
}

// HidePassword covers a User-Password of 0 to 128 octets: RFC 2865, section 5.2.
// Zeros at its end would be lost.
func (c *Cover) HidePassword(password []byte) ([]byte, error) {
	const most = 128
	if len(password) > most {
		return nil, fmt.Errorf("%v of %d octets, want %d or fewer", UserPassword, len(password), most)
	}
	b := make([]byte, max(1, (len(password)+md5.Size-1)/md5.Size)*md5.Size)
	copy(b, password)
	chain(b, c.Secret, c.Request[:], nil, false)
	return b, nil
}

// RevealPassword uncovers a User-Password. Errors wrap ErrMalformed.
func (c *Cover) RevealPassword(hidden []byte) ([]byte, error) {
	if len(hidden) == 0 || len(hidden)%md5.Size != 0 || len(hidden) > 128 {
		return nil, fmt.Errorf("%v of %d octets, want a multiple of %d to 128: %w", UserPassword, len(hidden), md5.Size, ErrMalformed)
	}
	b := append([]byte(nil), hidden...)
	chain(b, c.Secret, c.Request[:], nil, true)
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b, nil
}

// chain covers or uncovers b in place, 16 octets at a time, each under a digest of
// the secret and the covered octets before it; the first under one of the Request
// Authenticator and the salt.
func chain(b []byte, s Secret, request, salt []byte, uncover bool) {
	var pad, before [md5.Size]byte
	for i := 0; i < len(b); i += md5.Size {
		h := md5.New()
		h.Write(s)
		if i == 0 {
			h.Write(request)
			h.Write(salt)
		} else {
			h.Write(before[:])
		}
		h.Sum(pad[:0])
		block := b[i : i+md5.Size]
		if uncover {
			copy(before[:], block)
		}
		subtle.XORBytes(block, block, pad[:])
		if !uncover {
			copy(before[:], block)
		}
	}
}

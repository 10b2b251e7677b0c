package keys

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"fmt"
	"hash"
)

// A Transform is how an authenticator of a Mobile IPv4 registration is computed, by
// the numbers of IPsec's authentication algorithms: RFC 3957, section 4.
type Transform uint16

// Transforms. Both use all of what HMAC gives.
const (
	HMACMD5  Transform = 1 // the default: RFC 5944, section 3.5.1; RFC 4721, section 6
	HMACSHA1 Transform = 2 // of keys that an AAA server hands out: RFC 4004, section 9.8
)

func (t Transform) String() string {
	switch t {
	case HMACMD5:
		return "hmac-md5"
	case HMACSHA1:
		return "hmac-sha1"
	}
	return fmt.Sprintf("transform-%d", uint16(t))
}

// Size is the length of an authenticator in octets; 0: the transform is not known.
func (t Transform) Size() int {
	switch t {
	case HMACMD5:
		return md5.Size
	case HMACSHA1:
		return sha1.Size
	}
	return 0
}

// Sum is the authenticator of a registration: over all that stands before it, with
// the type, length and SPI of its own extension (RFC 5944, section 3.5.1). It is nil
// where the transform is not known.
//
// CHAP_SPI of RFC 4721, section 8, which that RFC would have avoided wherever
// possible, is none of these.
func (t Transform) Sum(key, covered []byte) []byte {
	var of func() hash.Hash
	switch t {
	case HMACMD5:
		of = md5.New
	case HMACSHA1:
		of = sha1.New
	default:
		return nil
	}
	h := hmac.New(of, key)
	h.Write(covered)
	return h.Sum(nil)
}

package keys

import (
	"crypto/sha1"
	"fmt"
)

// KeyGenerationNonceSize is the fewest octets of a key generation nonce: RFC 3957,
// section 5, wants 128 bits or more.
const KeyGenerationNonceSize = 16

// GeneratedKey is the key that a nonce of the AAA server makes of the key which it
// shares with the mobile node:
//
//	HMAC-SHA1(AAA-key, nonce | mobile node identifier)
//
// whole: RFC 3957, section 5, does not truncate it. The identifier is the NAI if the
// registration had one, else the home address, 4 octets. It fails where the nonce is
// too short.
func GeneratedKey(aaaKey, nonce, mobileNode []byte) (key [sha1.Size]byte, err error) {
	if len(nonce) < KeyGenerationNonceSize {
		return key, fmt.Errorf("key generation nonce: %d octets, want %d or more", len(nonce), KeyGenerationNonceSize)
	}
	data := make([]byte, 0, len(nonce)+len(mobileNode))
	return NewMAC(aaaKey).Sum(append(append(data, nonce...), mobileNode...)), nil
}

package keys

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

// RFC 3957 has no figures; these are by a script on Python's hmac.
func TestAGeneratedKeyIsOfNonceAndMobileNode(t *testing.T) {
	key := []byte("@ABCDEFGHIJKLMNO")
	var nonce [20]byte
	for i := range nonce {
		nonce[i] = byte(i)
	}
	for _, c := range []struct {
		nonce, mobileNode []byte
		want              string
	}{
		{nonce[:16], []byte(exampleNAI), "12c9ef3ae1731bb8e6b7891aac4008febeeece3c"},
		{nonce[:], netip.MustParseAddr("10.45.0.7").AsSlice(), "4e59bc89cf526aabc477bb2e909fcc2642c61f21"},
	} {
		if got, err := GeneratedKey(key, c.nonce, c.mobileNode); err != nil || hex.EncodeToString(got[:]) != c.want {
			t.Errorf("%x, %v, want %s", got, err, c.want)
		}
	}
	if _, err := GeneratedKey(key, nonce[:15], []byte(exampleNAI)); err == nil {
		t.Error("a nonce of 120 bits passed")
	}
}

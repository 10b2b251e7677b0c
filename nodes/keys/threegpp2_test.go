package keys

import (
	"encoding/hex"
	"testing"
)

// By a script on Python's hmac, from the definition.
func TestASessionKeyOf3GPP2DependsOnAllItIsMadeOf(t *testing.T) {
	key, stamp := []byte("@ABCDEFGHIJKLMNO"), [8]byte{0xca, 0xcc, 0x68, 0, 0x80, 0, 0, 0}
	got := ThreeGPP2SessionKey(key, exampleNAI, stamp)
	if want := "efdc989896ed9ffd04dcff1a70085b5e"; hex.EncodeToString(got[:]) != want {
		t.Errorf("%x, want %s", got, want)
	}
	for what, other := range map[string][16]byte{
		"key":        ThreeGPP2SessionKey([]byte("@ABCDEFGHIJKLMNo"), exampleNAI, stamp),
		"identifier": ThreeGPP2SessionKey(key, exampleNAI+"x", stamp),
		"timestamp":  ThreeGPP2SessionKey(key, exampleNAI, [8]byte{}),
	} {
		if other == got {
			t.Errorf("another %s gives the same session key", what)
		}
	}
}

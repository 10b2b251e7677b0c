package keys

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// RFC 2202, sections 2 and 3: test cases 1, 2 and 6.
func TestAuthenticatorsOfRegistrationsAreHMAC(t *testing.T) {
	long := bytes.Repeat([]byte{0xaa}, 80)
	for _, c := range []struct {
		transform Transform
		key, data []byte
		want      string
	}{
		{HMACMD5, bytes.Repeat([]byte{0x0b}, 16), []byte("Hi There"), "9294727a3638bb1c13f48ef8158bfc9d"},
		{HMACMD5, []byte("Jefe"), []byte("what do ya want for nothing?"), "750c783e6ab0b503eaa86e310a5db738"},
		{HMACMD5, long, []byte("Test Using Larger Than Block-Size Key - Hash Key First"), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"},
		{HMACSHA1, bytes.Repeat([]byte{0x0b}, 20), []byte("Hi There"), "b617318655057264e28bc0b6fb378c8ef146be00"},
		{HMACSHA1, long, []byte("Test Using Larger Than Block-Size Key - Hash Key First"), "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
	} {
		got := c.transform.Sum(c.key, c.data)
		if hex.EncodeToString(got) != c.want || len(got) != c.transform.Size() {
			t.Errorf("%v of %q: %x, want %s", c.transform, c.data, got, c.want)
		}
	}
}

func TestATransformThatIsNotKnownComputesNothing(t *testing.T) {
	if sum := Transform(3).Sum([]byte("key"), nil); sum != nil || Transform(3).Size() != 0 || Transform(3).String() != "transform-3" {
		t.Errorf("%x", sum)
	}
}

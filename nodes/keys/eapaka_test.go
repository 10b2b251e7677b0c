package keys

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// unspaced reads hexadecimal with spaces in it.
func unspaced(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// sameKey compares a key with what it should be.
func sameKey(tb testing.TB, what string, got []byte, want string) {
	tb.Helper()
	if w := unspaced(tb, want); !bytes.Equal(got, w) {
		tb.Errorf("%s\n%x, want\n%x", what, got, w)
	}
}

func TestTheGeneratorIsThatOfFIPS186(t *testing.T) {
	// The example of NIST's collection for 1,024-bit DSA, appendix 3.1, without
	// its "mod q".
	var out [40]byte
	FIPS186([20]byte(unspaced(t, "bd029bbe7f51960bcf9edb2b61f06f0feb5a38b6")), out[:])
	sameKey(t, "x", out[:], "2070b3223dba372fde1c0ffc7b2e3b498b260614 3c6c18bacb0f6c55babb13788e20d737a3275116")
}

// RFC 4186, appendix A.5: EAP-SIM's Master Key and what both methods make of one.
func TestKeysOfAMasterKeyAreThoseOfRFC4186(t *testing.T) {
	var out [160]byte
	FIPS186([20]byte(unspaced(t, "e576d5ca332e9930018bf1baee2763c795b3c712")), out[:])
	sameKey(t, "K_encr", out[:16], "536e5ebc 4465582a a6a8ec99 86ebb620")
	sameKey(t, "K_aut", out[16:32], "25af1942 efcbf4bc 72b39434 21f2a974")
	sameKey(t, "MSK", out[32:96], `39d45aea f4e30601 983e972b 6cfd46d1 c3637733 65690d09 cd44976b 525f47d3
		a60a985e 955c53b0 90b2e4b7 3719196a 40254296 8fd14a88 8f46b9a7 886e4488`)
	sameKey(t, "EMSK", out[96:], `5949eab0 fff69d52 315c6c63 4fd14a7f 0d52023d 56f79698 fa6596ab eed4f93f
		bb48eb53 4d985414 ceed0d9a 8ed33c38 7c9dfdab 92ffbdf2 40fcecf6 5a2c93b9`)
}

// RFC 4186, appendix A.9: the fast re-authentication of EAP-SIM is EAP-AKA's.
func TestKeysOfAFastReauthenticationAreThoseOfRFC4186(t *testing.T) {
	msk, emsk := ReauthEAPAKA([20]byte(unspaced(t, "e576d5ca332e9930018bf1baee2763c795b3c712")),
		"Y24fNSrz8BP274jOJaF17WfxI8YO7QX00pMXk9XMMVOw7broaNhTczuFq53aEpOkk3L0dm@eapsim.foo",
		1, [16]byte(unspaced(t, "01234567 89abcdef fedcba98 76543210")))
	sameKey(t, "MSK", msk[:], `6263f614 973895e1 335f7e30 cff028ee 2176f519 002c9abe 732fe0ef 00cf167c
		756d9e4c ed6d5ed6 40eb3fe3 8565ca07 6e7fb8a8 17cfe8d9 adbce441 d47c4f5e`)
	sameKey(t, "EMSK", emsk[:], `3d8ff786 3a630b2b 06e2cf20 9684c13f 6b82f992 f2b06f1b 54bf51ef 237f2a40
		1ef5e0d7 e098a34c 533eaebf 34578854 b7721526 20a777f0 e0340884 a294fb73`)
}

// RFC 4186, appendix A.10: the response, with its counter hidden and its MAC over
// the nonce too.
func TestEncryptionAndMACAreThoseOfRFC4186(t *testing.T) {
	encr := [16]byte(unspaced(t, "536e5ebc4465582aa6a8ec9986ebb620"))
	iv := [16]byte(unspaced(t, "cdf7ffa65de04c026b56c86b76b102ea"))
	plain := unspaced(t, "13010001 06030000 00000000 00000000")
	got, err := EncryptEAP(encr, iv, plain)
	if err != nil {
		t.Fatal(err)
	}
	sameKey(t, "encrypted", got, "b6edd38279e2a1423c1afc5c455c7d56")
	back, err := DecryptEAP(encr, iv, got)
	if err != nil || !bytes.Equal(back, plain) {
		t.Errorf("decrypted %x, %v", back, err)
	}
	packet := unspaced(t, `02010044 120d0000 81050000 cdf7ffa65de04c026b56c86b76b102ea
		82050000 b6edd38279e2a1423c1afc5c455c7d56 0b050000 00000000000000000000000000000000`)
	mac := EAPMAC([16]byte(unspaced(t, "25af1942efcbf4bc72b3943421f2a974")), packet, unspaced(t, "0123456789abcdeffedcba9876543210"))
	sameKey(t, "MAC", mac[:], "faf76b71 fbe2d255 b96a3566 c915c617")
}

// Milenage's test set 1 (TS 35.208) as the start of a chain that another program
// than this has calculated; no standard has one for EAP-AKA.
func TestKeysOfEAPAKAAreThoseOfAnotherCalculation(t *testing.T) {
	k := NewEAPAKA("0001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org",
		[16]byte(unspaced(t, "b40ba9a3c58b2a05bbf0d987b21bf8cb")), [16]byte(unspaced(t, "f769bcd751044604127672711c6d3441")))
	sameKey(t, "MK", k.MK[:], "72e5ed5003d1ce794a6e7a7413202415e2b9277d")
	sameKey(t, "K_encr", k.KEncr[:], "00d4591e927b701e86ab617ff9e7c6e1")
	sameKey(t, "K_aut", k.KAut[:], "16589190b459f1708f94261b0a042d73")
	sameKey(t, "MSK", k.MSK[:], `01418086c8d0f735a92329e4f3d83820a268f077c6ebf455d66958d90ef7bc67
		51d7fbf2ad98c81f973bfc978130ae58a0e8901b228116b272d698ef7758330d`)
}

func TestOnlyWholeBlocksAreEncrypted(t *testing.T) {
	for n := 1; n < 16; n++ {
		if _, err := EncryptEAP([16]byte{}, [16]byte{}, make([]byte, n)); !errors.Is(err, ErrBlocks) {
			t.Errorf("encrypting %d octets: %v", n, err)
		}
		if _, err := DecryptEAP([16]byte{}, [16]byte{}, make([]byte, 16+n)); !errors.Is(err, ErrBlocks) {
			t.Errorf("decrypting %d octets: %v", 16+n, err)
		}
	}
}

func TestAMACOfPartsIsThatOfTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		packet := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "packet")
		more := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "more")
		whole := append(bytes.Clone(packet), more...)
		var short [16]byte
		var long [32]byte
		if EAPMAC(short, packet, more) != EAPMAC(short, whole, nil) || EAPMACPrime(long, packet, more) != EAPMACPrime(long, whole, nil) {
			t.Fatal("another MAC")
		}
	})
}

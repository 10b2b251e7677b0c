package keys

import (
	"encoding/hex"
	"strings"
	"testing"
)

// octetsOf is the octets of a hexadecimal text.
func octetsOf(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The AKA of RFC 9048, appendix C, case 1; it is set 19 of Milenage.
const (
	exampleRAND = "81e92b6c0ee0e12ebceba8d92a99dfa5"
	exampleAUTN = "bb52e91c747ac3ab2a5c23d15ee351d5"
	exampleCK   = "5349fbe098649f948f5d2e973a81c00f"
	exampleIK   = "9744871ad32bf9bbd1dd5ce54e3e2e5a"
	exampleRES  = "28d7b0f2a2ec3de5"
	exampleIMPI = "001010000000001@private.epc.mnc001.mcc001.3gppnetwork.org"
	exampleNAI  = "001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
)

// CK' | IK' is this function with FC 20, the name of the network, and SQN xor AK: RFC
// 9048, section 3.3; figures of appendix C, cases 1 and 2.
func TestTheKeyDerivationFunctionIsThatOfRFC9048(t *testing.T) {
	key := Ks([16]byte(octetsOf(t, exampleCK)), [16]byte(octetsOf(t, exampleIK)))
	for _, c := range []struct{ network, want string }{
		{"WLAN", "0093962d0dd84aa5684b045c9edffa04ccfc230ca74fcc96c0a5d61164f5a76c"},
		{"HRPD", "3820f0277fa5f77732b1fb1d90c1a0dadb94a0ab557ef6c9ab48619ca05b9a9f"},
	} {
		got, err := KDF(key[:], 0x20, []byte(c.network), octetsOf(t, exampleAUTN)[:6])
		if err != nil || hex.EncodeToString(got[:]) != c.want {
			t.Errorf("%s: %x, %v, want %s", c.network, got, err, c.want)
		}
	}
}

// Figures by a script on Python's hmac, from TS 33.220, annex B.
func TestTheKeyOfAnApplicationFunctionIsThatOfTS33220(t *testing.T) {
	rand := [16]byte(octetsOf(t, exampleRAND))
	ks := Ks([16]byte(octetsOf(t, exampleCK)), [16]byte(octetsOf(t, exampleIK)))
	naf := NAFID("ha.epc.mnc001.mcc001.3gppnetwork.org", [5]byte{1, 0, 0, 0, 2})
	got, err := KsNAF(ks, rand, exampleIMPI, naf)
	if err != nil {
		t.Fatal(err)
	}
	if want := "31ca03ddad754ecd399bcb81d1ae3919392b050395427f7a8b4f1bbc1fe89fbd"; hex.EncodeToString(got[:]) != want {
		t.Errorf("Ks_NAF is %x, want %s", got, want)
	}
	if got, want := BTID(rand, "bsf.mnc001.mcc001.pub.3gppnetwork.org"), "gekrbA7g4S6866jZKpnfpQ==@bsf.mnc001.mcc001.pub.3gppnetwork.org"; got != want {
		t.Errorf("B-TID is %s, want %s", got, want)
	}

	for what, other := range map[string]func() ([32]byte, error){
		"Ks":       func() ([32]byte, error) { return KsNAF([32]byte{}, rand, exampleIMPI, naf) },
		"RAND":     func() ([32]byte, error) { return KsNAF(ks, [16]byte{}, exampleIMPI, naf) },
		"IMPI":     func() ([32]byte, error) { return KsNAF(ks, rand, exampleIMPI+"x", naf) },
		"protocol": func() ([32]byte, error) { return KsNAF(ks, rand, exampleIMPI, append(naf[:len(naf)-1:len(naf)-1], 3)) },
		"boundary": func() ([32]byte, error) { return KsNAF(ks, rand, exampleIMPI[:56], append([]byte("g"), naf...)) },
	} {
		if key, err := other(); err != nil || key == got {
			t.Errorf("another %s gives the same key (%v)", what, err)
		}
	}
}

func TestAParameterLongerThanItsLengthCanSayIsRefused(t *testing.T) {
	if _, err := KsNAF([32]byte{}, [16]byte{}, strings.Repeat("i", 65535), nil); err != nil {
		t.Errorf("65535 octets: %v", err)
	}
	if _, err := KsNAF([32]byte{}, [16]byte{}, strings.Repeat("i", 65536), nil); err == nil {
		t.Error("65536 octets passed")
	}
}

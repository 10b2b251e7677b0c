package keys

import (
	"encoding/hex"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// algorithms are of subscribers that share nothing.
func algorithms(t *testing.T) map[string]Algorithm {
	tuak, err := NewTuak([]byte("0123456789abcdef"), [32]byte{1}, TuakChoices{})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]Algorithm{"Milenage": NewMilenage([16]byte{1}, [16]byte{2}), "TUAK": tuak}
}

// AUTN by a script on OpenSSL's AES, from TS 33.102, section 6.3.2.
func TestAVectorIsOfAllFunctions(t *testing.T) {
	s := testSets(t, "milenage.txt")[0]
	v, err := NewVector(NewMilenage([16]byte(s.get("K")), [16]byte(s.get("OPc"))), s.rand(), SQNFrom(s.sqn()), s.amf())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(v.AUTN[:]), "55f328b43577b9b94a9ffac354dfafb3"; got != want {
		t.Errorf("AUTN is %s, want %s", got, want)
	}
	s.is("RAND", v.RAND[:])
	s.is("f2", v.XRES)
	s.is("f3", v.CK[:])
	s.is("f4", v.IK[:])

	sqn, amf, mac := OpenAUTN(v.AUTN, [6]byte(s.get("f5")))
	s.is("AMF", amf[:])
	s.is("f1", mac[:])
	if octets := sqn.Octets(); octets != s.sqn() {
		t.Errorf("SQN is %x, want %x", octets, s.sqn())
	}
}

// What RFC 9048, appendix C, gives to EAP-AKA' is set 19 of Milenage.
func TestAVectorIsThatOfRFC9048(t *testing.T) {
	s := testSets(t, "milenage.txt")[18]
	v, err := NewVector(NewMilenage([16]byte(s.get("K")), [16]byte(s.get("OPc"))), s.rand(), SQNFrom(s.sqn()), s.amf())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		got        []byte
	}{
		{"RAND", "81e92b6c0ee0e12ebceba8d92a99dfa5", v.RAND[:]},
		{"AUTN", "bb52e91c747ac3ab2a5c23d15ee351d5", v.AUTN[:]},
		{"IK", "9744871ad32bf9bbd1dd5ce54e3e2e5a", v.IK[:]},
		{"CK", "5349fbe098649f948f5d2e973a81c00f", v.CK[:]},
		{"RES", "28d7b0f2a2ec3de5", v.XRES},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s is %s, want %s", c.name, got, c.want)
		}
	}
}

func TestASequenceNumberOfMoreThan48BitsMakesNoVector(t *testing.T) {
	for name, a := range algorithms(t) {
		if _, err := NewVector(a, [16]byte{}, MaxSQN, [2]byte{}); err != nil {
			t.Errorf("%s: the greatest: %v", name, err)
		}
		if v, err := NewVector(a, [16]byte{}, MaxSQN+1, [2]byte{}); !errors.Is(err, ErrSQN) || v.XRES != nil {
			t.Errorf("%s: one more: %v", name, err)
		}
	}
}

func TestOctetsOfASequenceNumberGiveItBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sqn := SQN(rapid.Uint64Max(uint64(MaxSQN)).Draw(t, "sqn"))
		if got := SQNFrom(sqn.Octets()); got != sqn {
			t.Fatalf("%#x, want %#x", got, sqn)
		}
	})
	if got := SQN(0x010203040506).Octets(); got != [6]byte{1, 2, 3, 4, 5, 6} {
		t.Errorf("%x", got)
	}
}

// 16 octets of each kind that rapid draws.
func drawRAND(t *rapid.T) [16]byte {
	return [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "RAND"))
}

func TestATokenForResynchronisationTellsTheNumberToItsNetworkAlone(t *testing.T) {
	all := algorithms(t)
	rapid.Check(t, func(t *rapid.T) {
		for name, a := range all {
			rand, sqn := drawRAND(t), SQN(rapid.Uint64Max(uint64(MaxSQN)).Draw(t, "sqn"))
			auts := NewAUTS(a, rand, sqn)
			if got, err := OpenAUTS(a, rand, auts); err != nil || got != sqn {
				t.Fatalf("%s: %#x, %v, want %#x", name, got, err, sqn)
			}
			other := rand
			other[rapid.IntRange(0, 15).Draw(t, "octet of RAND")] ^= 1
			if _, err := OpenAUTS(a, other, auts); !errors.Is(err, ErrAUTS) {
				t.Fatalf("%s: of another RAND: %v", name, err)
			}
			auts[rapid.IntRange(0, 13).Draw(t, "octet of AUTS")] ^= 0x10
			if _, err := OpenAUTS(a, rand, auts); !errors.Is(err, ErrAUTS) {
				t.Fatalf("%s: changed: %v", name, err)
			}
		}
	})
	auts := NewAUTS(all["Milenage"], [16]byte{}, 7)
	if _, err := OpenAUTS(all["TUAK"], [16]byte{}, auts); !errors.Is(err, ErrAUTS) {
		t.Errorf("another subscriber's: %v", err)
	}
}

// By a script on OpenSSL's AES, from TS 33.102, section 6.3.3: SQN_MS of set 1 under
// AK* | f1* with an AMF of 0000.
func TestATokenForResynchronisationIsMadeWithTheDummyAMF(t *testing.T) {
	s := testSets(t, "milenage.txt")[0]
	auts := NewAUTS(NewMilenage([16]byte(s.get("K")), [16]byte(s.get("OPc"))), s.rand(), SQNFrom(s.sqn()))
	if got, want := hex.EncodeToString(auts[:]), "ba853f3c123ccf44e93596e355c6"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

package eapaka

import (
	"fmt"
	"strings"
	"testing"

	"s2clab/nodes/wire/eap"
)

func TestTheLeadingDigitSaysWhatAnIdentityIs(t *testing.T) {
	for nai, want := range map[string]Identity{
		"0" + imsi + "@" + realm:       {Permanent, eap.TypeAKA, "0" + imsi, imsi, realm},
		"6" + imsi + "@" + realm:       {Permanent, eap.TypeAKAPrime, "6" + imsi, imsi, realm},
		"0" + imsi:                     {Permanent, eap.TypeAKA, "0" + imsi, imsi, ""},
		"0295023820005424":             {Permanent, eap.TypeAKA, "0295023820005424", "295023820005424", ""}, // RFC 4187, section 4.1.1.6
		"2s7ah6n9q@example.com":        {Pseudonym, eap.TypeAKA, "2s7ah6n9q", "", "example.com"},
		"7abc@example.com":             {Pseudonym, eap.TypeAKAPrime, "7abc", "", "example.com"},
		"43953754@example.com":         {Reauthentication, eap.TypeAKA, "43953754", "", "example.com"},
		"8x":                           {Reauthentication, eap.TypeAKAPrime, "8x", "", ""},
		"1" + imsi + "@" + realm:       {}, // EAP-SIM
		"":                             {},
		"@" + realm:                    {},
		"0" + imsi + "9@" + realm:      {}, // 16 digits
		"012345":                       {}, // 5
		"0001x01":                      {},
		"0" + imsi + "@a@b":            {},
		"home!0" + imsi + "@visited":   {},
		"2home!x@visited":              {},
		"2" + strings.Repeat("x", 260): {},
		"alice@example.com":            {},
		string([]byte{0xff, 0xfe}) + "@example.com": {},
	} {
		if got := ParseIdentity(nai); got != want {
			t.Errorf("%q: %+v, want %+v", nai, got, want)
		}
	}
	if got := ParseIdentity(PermanentIdentity(eap.TypeAKAPrime, imsi, "")); got.IMSI != imsi || got.Method != eap.TypeAKAPrime {
		t.Errorf("%+v", got)
	}
}

func TestNetworkNamesAreComparedByFields(t *testing.T) {
	for _, c := range []struct {
		own, told string
		want      bool
	}{
		{"", "FOO:BAR", true}, {"FOO", "FOO:BAR", true}, {"FOO:BAR", "FOO:BAR", true}, {"FOO:BAR", "FOO", true}, // RFC 9048, section 3.1
		{"FO", "FOO", false}, {"FOO:BAZ", "FOO:BAR", false}, {"foo", "FOO", false}, {"FOO", "", false},
	} {
		if got := NetworkMatches(c.own, c.told); got != c.want {
			t.Errorf("%q and %q: %v", c.own, c.told, got)
		}
	}
}

func TestAnAliasTableForgetsTheOldest(t *testing.T) {
	a := NewAliasTable(3)
	for i := range 5 {
		a.KeepPseudonym(fmt.Sprint("imsi", i), fmt.Sprint("2p", i), "")
		a.KeepContext(fmt.Sprint("4c", i), &Context{Counter: uint16(i)})
	}
	for i := range 5 {
		imsi, known := a.Pseudonym(fmt.Sprint("2p", i))
		if known != (i >= 2) || known && imsi != fmt.Sprint("imsi", i) {
			t.Errorf("pseudonym %d: %q, %v", i, imsi, known)
		}
		c, known := a.TakeContext(fmt.Sprint("4c", i))
		if known != (i >= 2) || known && c.Counter != uint16(i) {
			t.Errorf("context %d: %v, %v", i, c, known)
		}
		if _, known := a.TakeContext(fmt.Sprint("4c", i)); known {
			t.Errorf("context %d is there twice", i)
		}
	}
	if len(a.pseudonyms) != 3 || len(a.of) != 3 || len(a.places) != 3 || a.line.Len() != 3 || len(a.contexts) != 0 || a.lineOf.Len() != 0 {
		t.Errorf("%+v", a)
	}
}

func TestThePseudonymUsedLastStaysBesideTheNewOnes(t *testing.T) {
	// RFC 4187, section 4.1.1.7. The peer never saves a new one.
	a := NewAliasTable(3)
	a.KeepPseudonym(imsi, "2first", "")
	for i := range 20 {
		a.KeepPseudonym(imsi, fmt.Sprint("2n", i), "2first")
		if got, ok := a.Pseudonym("2first"); !ok || got != imsi {
			t.Fatalf("after %d it is gone", i)
		}
		if _, ok := a.Pseudonym(fmt.Sprint("2n", i)); !ok {
			t.Fatalf("the newest, %d, is not there", i)
		}
	}
	if len(a.pseudonyms) != mostPseudonyms {
		t.Errorf("%d pseudonyms", len(a.pseudonyms))
	}
}

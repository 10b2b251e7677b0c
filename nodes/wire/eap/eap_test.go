package eap

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/wire/wiretest"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// What the golden octets mean.
var goldenPackets = map[string]Packet{
	"Request of Identity":  {Code: Request, Identifier: 0, Type: TypeIdentity},
	"Response of Identity": {Code: Response, Identifier: 0, Type: TypeIdentity, Data: []byte("1244070100000001@eapsim.foo")},
	"Success":              {Code: Success, Identifier: 2},
	"Failure":              {Code: Failure, Identifier: 255},
	"Nak":                  {Code: Response, Identifier: 7, Type: TypeNak, Data: []byte{23, 50}},
	"Expanded Nak":         {Code: Response, Identifier: 1, Type: TypeExpanded, Data: unhex("00000000000003fe00000000000005fe00001400000006")},
	"Notification of EAP":  {Code: Request, Identifier: 9, Type: TypeNotification, Data: []byte("Hello")},
}

var goldenMessages = map[string]Message{
	"AKA-Identity request": {Request, 1, TypeAKA, Identity, []Attribute{{ATANYIDREQ, []byte{}}}},
	"AKA-Identity response": {Response, 1, TypeAKAPrime, Identity, []Attribute{
		{ATIDENTITY, []byte("6001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org")}}},
	"AKA-Authentication-Reject": {Response, 3, TypeAKA, AuthenticationReject, nil},
	"AKA-Client-Error":          {Response, 3, TypeAKA, ClientError, []Attribute{Number(ATCLIENTERRORCODE, UnableToProcess)}},
	"AKA-Synchronization-Failure": {Response, 3, TypeAKAPrime, SynchronizationFailure, []Attribute{
		{ATAUTS, unhex("00112233445566778899aabbccdd")}, Number(ATKDF, 1)}},
	"AKA-Notification request": {Request, 4, TypeAKA, Notification, []Attribute{
		Number(ATNOTIFICATION, Successful), {ATMAC, unhex("000102030405060708090a0b0c0d0e0f")}}},
	"AKA-Reauthentication response": {Response, 1, TypeAKA, Reauthentication, []Attribute{
		{ATIV, unhex("cdf7ffa65de04c026b56c86b76b102ea")}, {ATENCRDATA, unhex("b6edd38279e2a1423c1afc5c455c7d56")},
		{ATMAC, unhex("faf76b71fbe2d255b96a3566c915c617")}}},
	"AKA-Reauthentication request": {Request, 1, TypeAKA, Reauthentication, []Attribute{
		{ATIV, unhex("d585ac7786b90336657c77b46575b9c4")},
		{ATENCRDATA, unhex("686291a9d2abc58caa3294b6e85b44846c44e5dcb2de8b9e80d69d49858a5db84cdc1c9bc95c01b96b6eca313474aea6" +
			"d31416e19daa9df70f05008841ca8014964d3b30a49bcf43e4d3f18e86295a4a2b38d96c9705c2bbb05c4aace97d5eaff564046c8bd30bc39be5e17ace2b10a6")},
		{ATMAC, unhex("483a1799b83d7cd3d0a1e401d9ee4770")}}},
	"AKA'-Challenge request": {Request, 2, TypeAKAPrime, Challenge, []Attribute{
		{ATRAND, unhex("81e92b6c0ee0e12ebceba8d92a99dfa5")}, {ATAUTN, unhex("bb52e91c747ac3ab2a5c23d15ee351d5")},
		Number(ATKDF, 1), {ATKDFINPUT, []byte("WLAN")}, {ATCHECKCODE, []byte{}}, {ATMAC, unhex("743cf84b3259922af1965a905c25710e")}}},
	"AKA'-Challenge response": {Response, 2, TypeAKAPrime, Challenge, []Attribute{
		{ATRES, unhex("28d7b0f2a2ec3de5")}, {ATCHECKCODE, []byte{}}, {ATMAC, unhex("8f3bdfcd4eb0c6400cd5c8a9f792ea56")}}},
	"AKA'-Challenge choice": {Response, 2, TypeAKAPrime, Challenge, []Attribute{Number(ATKDF, 1)}},
	"AKA-Challenge request": {Request, 2, TypeAKA, Challenge, []Attribute{
		{ATRAND, unhex("23553cbe9637a89d218ae64dae47bf35")}, {ATAUTN, unhex("55f328b43577b9b94a9ffac354dfafb3")},
		Number(ATBIDDING, BiddingPrime), {ATRESULTIND, []byte{}}, {ATCHECKCODE, unhex("6768033e216468247bd031a0a2d9876d79818f8f")},
		{250, unhex("000102030405")}, {ATMAC, unhex("d25be11f07d2e97da094040e5230acf6")}}},
}

func TestGoldenOctetsAreWhatTheyMean(t *testing.T) {
	samples := wiretest.Golden(t)
	if want := len(goldenPackets) + len(goldenMessages); len(samples) != want {
		t.Errorf("%d samples, want %d", len(samples), want)
	}
	for _, s := range samples {
		padded := append(bytes.Clone(s.Octets), "Ethernet pads"...)
		var got, want any
		var b []byte
		var err, again error
		if m, ok := goldenMessages[s.Name]; ok {
			want = &m
			got, err = ParseMessage(padded)
			b, again = m.AppendTo([]byte("before"))
			if wrong := Check(&m); wrong != nil {
				t.Errorf("%q: %v", s.Name, wrong)
			}
		} else {
			p := goldenPackets[s.Name]
			want = &p
			got, err = Parse(padded)
			b, again = p.AppendTo([]byte("before"))
		}
		if d := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); err != nil || d != "" {
			t.Errorf("%q: %v, -want +got\n%s", s.Name, err, d)
		}
		if again != nil || !bytes.Equal(b, append([]byte("before"), s.Octets...)) {
			t.Errorf("%q: %v\ngot  %x\nwant %x", s.Name, again, b[6:], s.Octets)
		}
	}
}

func FuzzParse(f *testing.F) {
	wiretest.Seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if mac := MAC(b); mac != nil && len(mac) != 16 {
			t.Fatalf("MAC of %d octets", len(mac))
		}
		p, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
			return
		}
		p.Wanted()
		again, err := p.AppendTo(nil)
		if err != nil || !bytes.Equal(again, b[:len(again)]) {
			t.Fatalf("%v: appended %x, parsed %x", err, again, b)
		}
		m, err := ParseMessage(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
			return
		}
		written, err := m.AppendTo(nil)
		if err != nil || len(written) != len(again) {
			t.Fatalf("%v: appended %x, parsed %x", err, written, again)
		}
		back, err := ParseMessage(written)
		if err != nil || !reflect.DeepEqual(m, back) {
			t.Fatalf("%v: parsed %+v\nand again %+v", err, m, back)
		}
		for _, check := range [...]error{Check(m), CheckNested(m, m.Attributes)} {
			if check != nil && !errors.Is(check, ErrUnknown) && !errors.Is(check, ErrMissing) && !errors.Is(check, ErrUnexpected) {
				t.Fatalf("%v is none of the three", check)
			}
		}
		if (MAC(b) != nil) != (Find(m.Attributes, ATMAC) != nil) {
			t.Fatalf("AT_MAC at %x of %+v", MAC(b), m)
		}
	})
}

func TestAPacketThatCannotBeIsNotRead(t *testing.T) {
	for what, b := range map[string]string{
		"nothing":                            "",
		"three octets":                       "010000",
		"shorter than its length":            "0100000601",
		"a length of less than its header":   "0300000300",
		"a request without a type":           "01000004",
		"a success with data":                "0300000500",
		"code 0":                             "00000004",
		"code 5":                             "0500000501",
		"a message without reserved octets":  "010000061705",
		"a type that is no message":          "0100000501",
		"a success as a message":             "03000004",
		"an attribute of length 0":           "0100000c170500000a000000",
		"an attribute longer than the rest":  "0100000c170500000a020000",
		"octets after the attributes":        "0100000a170500000a01",
		"an AT_RAND that is too short":       "0100000c1701000001010000",
		"an AT_RAND that is too long":        "01000020" + "17010000" + "01060000" + strings.Repeat("00", 20),
		"a RES of bits that are not octets":  "02000010170100000302002100000000",
		"a RES of 3 octets":                  "02000010170100000302001800000000",
		"an identity longer than its place":  "02000010170500000e02000561616161",
		"an identity with too much padding":  "02000010170500000e02000061616161",
		"padding that is not zero":           "0100000c1701000006010001",
		"encrypted data of less than blocks": "01000010170100008202000000000000",
		"a checkcode of 16 octets":           "0100001c1701000086050000" + strings.Repeat("00", 16),
		"a counter of 6 octets":              "01000010170100001302000000000000",
	} {
		if m, err := ParseMessage(unhex(b)); !errors.Is(err, ErrMalformed) || m != nil {
			t.Errorf("%s: %+v, %v", what, m, err)
		}
	}
}

func TestWhatDoesNotFitTheWireIsNotWritten(t *testing.T) {
	for what, p := range map[string]Packet{
		"code 0":              {},
		"a success with type": {Code: Success, Type: TypeAKA},
		"too long":            {Code: Request, Data: make([]byte, math.MaxUint16-4)},
	} {
		if b, err := p.AppendTo(nil); err == nil {
			t.Errorf("%s: %x", what, b)
		}
	}
	for what, m := range map[string]Message{
		"a success":                     {Code: Success, Type: TypeAKA, Subtype: Challenge},
		"another type":                  {Code: Request, Type: TypeIdentity, Subtype: Challenge},
		"an AT_RAND of 15 octets":       {Request, 0, TypeAKA, Challenge, []Attribute{{ATRAND, make([]byte, 15)}}},
		"an identity of 1,017 octets":   {Response, 0, TypeAKA, Identity, []Attribute{{ATIDENTITY, make([]byte, 1017)}}},
		"an unknown one of 4 octets":    {Request, 0, TypeAKA, Identity, []Attribute{{200, make([]byte, 4)}}},
		"an unknown one of no octets":   {Request, 0, TypeAKA, Identity, []Attribute{{200, nil}}},
		"encrypted data of 1024":        {Request, 0, TypeAKA, Challenge, []Attribute{{ATENCRDATA, make([]byte, 1024)}}},
		"encrypted data of 17 octets":   {Request, 0, TypeAKA, Challenge, []Attribute{{ATENCRDATA, make([]byte, 17)}}},
		"a checkcode of 21 octets":      {Request, 0, TypeAKA, Challenge, []Attribute{{ATCHECKCODE, make([]byte, 21)}}},
		"a counter that is no number":   {Request, 0, TypeAKA, Challenge, []Attribute{{ATCOUNTER, []byte{1}}}},
		"more attributes than a packet": {Request, 0, TypeAKA, Challenge, slicesOf(66, Attribute{ATIDENTITY, make([]byte, 1016)})},
	} {
		if b, err := m.AppendTo(nil); err == nil {
			t.Errorf("%s: %d octets", what, len(b))
		}
	}
}

func slicesOf(n int, a Attribute) (all []Attribute) {
	for range n {
		all = append(all, a)
	}
	return all
}

func TestTheLongestValuesComeBack(t *testing.T) {
	for _, a := range []Attribute{
		{ATIDENTITY, bytes.Repeat([]byte{'x'}, 1016)}, {ATKDFINPUT, bytes.Repeat([]byte{'x'}, 1015)},
		{ATENCRDATA, bytes.Repeat([]byte{1}, 1008)}, {200, bytes.Repeat([]byte{2}, 1018)}, {ATRES, bytes.Repeat([]byte{3}, 16)}, {ATRES, bytes.Repeat([]byte{3}, 5)},
	} {
		b, err := AppendAttributes(nil, []Attribute{a})
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseAttributes(b)
		if err != nil || !reflect.DeepEqual(got, []Attribute{a}) {
			t.Errorf("%v of %d octets: %v, %d came back", a.Type, len(a.Value), err, len(got))
		}
	}
}

func TestPaddingMakesWholeBlocks(t *testing.T) {
	for n := 0; n <= 64; n += 4 {
		b := AppendPadding(bytes.Repeat([]byte{200, 1, 0, 0}, n/4))
		if len(b)%16 != 0 || len(b)-n > 12 {
			t.Errorf("%d octets became %d", n, len(b))
		}
		if _, err := ParseAttributes(b); err != nil {
			t.Error(err)
		}
	}
}

func TestANakAsksForTypes(t *testing.T) {
	for _, want := range [][]Type{nil, {TypeAKA}, {TypeAKAPrime, TypeAKA}} {
		p := Nak(5, want...)
		if got := p.Wanted(); !reflect.DeepEqual(got, want) || p.Identifier != 5 || len(p.Data) == 0 {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if got := (&Packet{Code: Request, Type: TypeNak, Data: []byte{23}}).Wanted(); got != nil {
		t.Errorf("a Request asks for %v", got)
	}
}

func TestATypeHasAWordForTopologiesAndEvents(t *testing.T) {
	for kind, want := range map[Type]string{TypeAKA: "eap-aka", TypeAKAPrime: "eap-aka-prime", TypeNak: "nak", 13: "type-13", 0: "unknown"} {
		if got := kind.Word(); got != want {
			t.Errorf("%v is %q, want %q", kind, got, want)
		}
	}
}

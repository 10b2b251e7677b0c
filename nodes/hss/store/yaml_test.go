package store

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var byValue = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// same wants two stores to have the same subscribers, rows and registrations.
func same(t *testing.T, want, got *Store) {
	t.Helper()
	if diff := cmp.Diff(want.IMSIs(), got.IMSIs()); diff != "" {
		t.Fatalf("subscribers (-want +got):\n%s", diff)
	}
	for imsi, a := range want.entries {
		b := got.entries[imsi]
		if diff := cmp.Diff(a.subscriber, b.subscriber, byValue); diff != "" {
			t.Errorf("%s (-want +got):\n%s", imsi, diff)
		}
		if diff := cmp.Diff(a.registration, b.registration, byValue); diff != "" || a.sqn != b.sqn {
			t.Errorf("%s, sequence numbers %v and %v, registration (-want +got):\n%s", imsi, a.sqn, b.sqn, diff)
		}
	}
}

// some is a store with subscribers of each kind.
func some(t *testing.T) *Store {
	s := Memory()
	must(t, s.Put(subscriber()))
	must(t, s.SetSQN(subscriber().IMSI, 0xff9bb4d0b607))
	must(t, s.Register(subscriber().IMSI, registration()))
	tuak := subscriber()
	tuak.IMSI, tuak.Algorithm, tuak.K = "001010000000002", TUAK, bytes.Repeat([]byte{0xe}, 32)
	tuak.OP, tuak.OPc, tuak.MSISDN, tuak.BarredNon3GPP, tuak.RATTypes = bytes.Repeat([]byte{0x10}, 32), nil, "", true, []RATType{}
	tuak.APNs, tuak.DefaultAPN, tuak.GBA = []APN{{Name: Wildcard, Allocation: Dynamic}}, Wildcard, GBA{Allowed: true}
	must(t, s.Put(tuak))
	must(t, s.Register(tuak.IMSI, Registration{Server: "aaa.example"}))
	plain := Subscriber{IMSI: "00101000000003", K: bytes.Repeat([]byte{1}, 16), OP: bytes.Repeat([]byte{2}, 16), Algorithm: Milenage}
	must(t, s.Put(plain))
	return s
}

func TestAnExportWithKeysIsTheStore(t *testing.T) {
	want := some(t)
	text := want.Export(ExportOptions{ShowKeys: true})
	records, err := Parse("export.yaml", text, nil)
	must(t, err)
	both(t, func(t *testing.T, got *Store) {
		must(t, got.Import(records))
		same(t, want, got)
		if again := got.Export(ExportOptions{ShowKeys: true}); !bytes.Equal(text, again) {
			t.Errorf("exported again:\n%s", again)
		}
	})
	empty := Memory().Export(ExportOptions{ShowKeys: true})
	if records, err := Parse("empty.yaml", empty, nil); err != nil || len(records) != 0 {
		t.Errorf("%d records of nobody, %v", len(records), err)
	}
}

func TestKeysAreWrittenOnlyWhenTheyAreAskedFor(t *testing.T) {
	want := some(t)
	text := want.Export(ExportOptions{})
	for _, secret := range []string{"465b5ce8", "cd63cb71", "0e0e0e", "101010", "010101", "\n    k:", "\n    op:", "\n    opc:"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%q is in it", secret)
		}
	}
	if !bytes.Contains(text, []byte("--show-keys")) {
		t.Error("it does not say that keys are left out")
	}
	if _, err := Parse("export.yaml", text, Memory().Subscriber); err == nil || strings.Count(err.Error(), "k is missing") != 3 {
		t.Errorf("for a store that has no keys: %v", err)
	}
	records, err := Parse("export.yaml", text, want.Subscriber) // a store that has them keeps them
	must(t, err)
	got := some(t)
	must(t, got.Import(records))
	same(t, want, got)
}

func TestWhatAFileLeavesOutStaysOrHasItsDefault(t *testing.T) {
	records, err := Parse("s.yaml", []byte(`
subscribers:
  - subscriber: "001010000000007"
    k: "000102030405060708090a0b0c0d0e0f"
    op: "101112131415161718191a1b1c1d1e1f"
    apns: [{apn: internet}, {apn: ims}]
`), nil)
	must(t, err)
	want := Subscriber{IMSI: "001010000000007", K: records[0].Subscriber.K, OP: records[0].Subscriber.OP, Algorithm: Milenage, AMF: [2]byte{0x80, 0},
		APNs: []APN{{Name: "internet", PDN: PDNIPv4v6, Allocation: Dynamic}, {Name: "ims", PDN: PDNIPv4v6, Allocation: Dynamic}}, DefaultAPN: "internet"}
	if diff := cmp.Diff(want, records[0].Subscriber); diff != "" || records[0].SQN != nil || records[0].Registration != nil {
		t.Errorf("%v, %v, (-want +got):\n%s", records[0].SQN, records[0].Registration, diff)
	}
	s := Memory()
	must(t, s.Import(records))
	must(t, s.SetSQN(want.IMSI, 64))
	must(t, s.Register(want.IMSI, registration()))
	must(t, s.Import(records))
	if sqn, _ := s.SQN(want.IMSI); sqn != 64 {
		t.Errorf("sequence number %v", sqn)
	}
	if r, _ := s.Registration(want.IMSI); r.Server == "" {
		t.Error("the registration is gone")
	}
}

func TestAllThatIsWrongWithAFileIsToldAtOnceAndNoKeyWithIt(t *testing.T) {
	_, err := Parse("s.yaml", []byte(`subscribers:
  - subscriber: 001010000000001
    k: "000102030405060708090a0b0c0d0e0"
    op: "00112233445566778899aabbccddeeff"
    opc: "ffeeddccbbaa99887766554433221100"
    secret: yes
  - subscriber: "12"
    k: "zz0102030405060708090a0b0c0d0e0f"
    amf: 8000
    sqn: "0001"
    non-3gpp-access: forbidden
    rat-types: [wlan, wifi]
    apns:
      - {apn: "a b", pdn-type: x25, barred: maybe}
      - internet
      - {pdn-type: ipv6}
    gba: {lifetime: 1.5s}
    registered: {gateways: [{apn: ims, addresses: [nowhere]}]}
  - {subscriber: "001010000000003", k: "00112233445566778899aabbccddeeff", opc: "00112233445566778899aabbccddeeff", default-apn: ims}
  - {subscriber: "001010000000003", k: "00112233445566778899aabbccddeeff", opc: "00112233445566778899aabbccddeeff"}
  - just text
  - {subscriber: "001010000000005", algorithm: md5}
extra: 1
`), nil)
	var problems Problems
	if !errors.As(err, &problems) || !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, p := range problems {
		got.WriteString(p.Error()[:strings.IndexAny(p.Error()+"\n", "\n")] + "\n")
	}
	want := `s.yaml:2: subscriber is a number or a boolean to YAML, not text
s.yaml:3: k is not 32 hexadecimal digits, but 31 letters
s.yaml:4: op and opc are there both
s.yaml:6: "secret" is not a key of a subscriber
s.yaml:7: op and opc are missing, and the store does not have them
s.yaml:7: subscriber "12" is not an IMSI
s.yaml:8: k is not 32 hexadecimal digits, but 32 letters
s.yaml:9: amf is a number or a boolean to YAML, not text
s.yaml:10: sqn is not 12 hexadecimal digits, but 4 letters
s.yaml:11: non-3gpp-access cannot be "forbidden"
s.yaml:12: a RAT type cannot be "wifi"
s.yaml:14: apn "a b" is no access point name
s.yaml:14: pdn-type cannot be "x25"
s.yaml:14: barred is neither true nor false
s.yaml:15: an APN is a single value, not keys with values
s.yaml:16: apn, the name, is missing
s.yaml:17: allowed is missing in gba
s.yaml:17: lifetime "1.5s" is not a whole number of seconds
s.yaml:18: server is missing in registered
s.yaml:18: "nowhere" is not an address
s.yaml:19: subscriber "001010000000003": default apn "ims": want one of its apns
s.yaml:20: subscriber "001010000000003" is there twice
s.yaml:21: a subscriber is a single value, not keys with values
s.yaml:22: k is missing, and the store does not have it
s.yaml:22: op and opc are missing, and the store does not have them
s.yaml:22: algorithm cannot be "md5"
s.yaml:23: "extra" is not a key of the file
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, secret := range []string{"00010203", "zz0102", "0011223", "ffeedd"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("a key is told: %s", err)
		}
	}
}

func TestAFileThatIsNoListOfSubscribersIsToldWhatItIs(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "s.yaml: is empty",
		"# nothing\n":                 "s.yaml: is empty",
		"a list of words":             "s.yaml:1: the file is a single value, not keys with values",
		"{}":                          "s.yaml:1: subscribers is missing",
		"subscribers: 7":              "s.yaml:1: subscribers is a single value, not a list",
		"subscribers: [\n":            "s.yaml:1: not YAML",
		"subscribers: []\n---\na: 1":  "a second document begins",
		"subscribers:\nsubscribers:":  "s.yaml:2: \"subscribers\" is there twice",
		"x: &x [*x]":                  "\"x\" is not a key of the file",
		"subscribers: &x [*x]":        "s.yaml:1: a subscriber is a list, not keys with values",
		"subscribers: [{subscriber: ": "not YAML",
		"? {a: b}\n: c":               "\"\" is not a key of the file",
	} {
		_, err := Parse("s.yaml", []byte(text), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestAnImportIsDoneWhollyOrNotAtAll(t *testing.T) {
	good := Record{Subscriber: subscriber()}
	bad := good
	bad.Subscriber.IMSI, bad.Subscriber.K = "001010000000002", nil
	both(t, func(t *testing.T, s *Store) {
		if err := s.Import([]Record{good, bad}); err == nil || len(s.IMSIs()) != 0 {
			t.Errorf("%v, and %d subscribers", err, len(s.IMSIs()))
		}
	})
	s := opened(t, filepath.Join(t.TempDir(), "s.db"), Options{})
	pages, err := number(s.db, "PRAGMA page_count")
	must(t, err)
	must(t, limit(s, pages))
	var many []Record
	for i := range 1000 {
		r := good
		r.Subscriber.IMSI = filledIMSI(i)
		many = append(many, r)
	}
	if err := s.Import(many); err == nil || len(s.IMSIs()) != 0 || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("%v, and %d subscribers", err, len(s.IMSIs()))
	}
}

// FuzzParse reads what people may write: it tells what is wrong, or what it makes
// of it goes into a store and comes out the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte("subscribers:\n  - {subscriber: \"001010000000001\", k: \"00112233445566778899aabbccddeeff\", op: \"00112233445566778899aabbccddeeff\", apns: [{apn: a, gateway: {addresses: [\"::1\"]}}], registered: {server: a, gateways: [{apn: b, host: c, realm: d}]}}\n"))
	f.Add([]byte("subscribers: &a [*a]"))
	s := Memory()
	sub := subscriber()
	s.Put(sub)
	s.Register(sub.IMSI, registration())
	f.Add(s.Export(ExportOptions{ShowKeys: true}))
	f.Fuzz(func(t *testing.T, text []byte) {
		records, err := Parse("s.yaml", text, nil)
		if err != nil {
			if err.Error() == "" || !errors.Is(err, ErrInvalid) {
				t.Fatal("an error that tells nothing")
			}
			return
		}
		first, second := Memory(), Memory()
		must(t, first.Import(records))
		records, err = Parse("s.yaml", first.Export(ExportOptions{ShowKeys: true}), nil)
		must(t, err)
		must(t, second.Import(records))
		same(t, first, second)
	})
}

func TestTheFileInTheReferenceIsOne(t *testing.T) {
	page, err := os.ReadFile("../../../docs/hss.md")
	must(t, err)
	_, text, _ := strings.Cut(string(page), "\n    subscribers:\n")
	text, _, _ = strings.Cut(text, "\n\n")
	records, err := Parse("hss.md", []byte("    subscribers:\n"+text), nil)
	must(t, err)
	if len(records) != 1 || len(records[0].Subscriber.APNs) != 3 {
		t.Errorf("%+v", records)
	}
	for _, key := range recordKeys {
		if !strings.Contains(string(page), "`"+key+"`") {
			t.Errorf("%s is not told", key)
		}
	}
}

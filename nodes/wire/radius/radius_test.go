package radius

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/wire/wiretest"
)

func sprintf(format string, v any) string { return fmt.Sprintf(format, v) }

func TestGoldenPacketsAppendAsTheyWere(t *testing.T) {
	for _, s := range wiretest.Golden(t) {
		p, err := Parse(s.Octets)
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		if b, err := p.AppendTo(nil); err != nil || !bytes.Equal(b, s.Octets) {
			t.Errorf("%s: %v, %x", s.Name, err, b)
		}
	}
}

func TestOctetsBehindThePacketArePadding(t *testing.T) {
	b := append(sample(t, "binding-request"), 1, 2, 3)
	p, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(parsed(t, "binding-request"), p); diff != "" {
		t.Error(diff)
	}
	if guarded, err := VerifyRequest(b, Secret(ourSecret)); err != nil || !guarded {
		t.Errorf("guarded %v, %v", guarded, err)
	}
}

func TestBrokenPacketsAreRefused(t *testing.T) {
	header := func(length int, rest ...byte) []byte {
		b := append([]byte{1, 0, 0, 0}, make([]byte, 16)...)
		binary.BigEndian.PutUint16(b[2:], uint16(length))
		return append(b, rest...)
	}
	for name, b := range map[string][]byte{
		"nothing":                        nil,
		"a cut header":                   header(20)[:19],
		"a length below the header":      header(19),
		"a length beyond what came":      header(21),
		"a length beyond 4096":           append(header(4097), make([]byte, 4077)...),
		"half an attribute":              header(21, 1),
		"an attribute of length 0":       header(22, 1, 0),
		"an attribute of length 1":       header(22, 1, 1),
		"an attribute beyond the packet": header(23, 1, 4, 0, 0),
		"an attribute beyond what came":  header(22, 1, 3),
		"a second attribute that is cut": header(25, 1, 3, 0, 1, 3, 0),
	} {
		if p, err := Parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		if _, err := VerifyRequest(b, Secret("s")); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s, verified: %v", name, err)
		}
	}
	for name, as := range map[string][]Attribute{
		"two Message-Authenticators":        {{MessageAuthenticator, make([]byte, 16)}, {MessageAuthenticator, make([]byte, 16)}},
		"a Message-Authenticator too short": {{MessageAuthenticator, make([]byte, 15)}},
	} {
		p := &Packet{Code: AccessRequest, Attributes: as}
		b, err := p.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := VerifyRequest(b, Secret("s")); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	long := make([]byte, 254)
	for name, p := range map[string]*Packet{
		"an attribute of 254 octets": {Attributes: []Attribute{{State, long}}},
		"an unpacked vendor's":       {Attributes: []Attribute{{WiMAXMSK, nil}}},
	} {
		if b, err := p.AppendTo(nil); err == nil {
			t.Errorf("%s: %x", name, b)
		}
	}
	full := &Packet{}
	for range 15 {
		full.Attributes = append(full.Attributes, Attribute{ProxyState, long[:253]})
	}
	full.Attributes = append(full.Attributes, Attribute{ProxyState, long[:249]}) // 20 + 15*255 + 251 = 4096
	b, err := full.AppendTo(nil)
	if err != nil || len(b) != MostOctets {
		t.Errorf("%d octets: %v", len(b), err)
	}
	if _, err := Parse(b); err != nil {
		t.Error(err)
	}
	full.Attributes[15].Value = long[:250]
	if _, err := full.AppendTo(nil); err == nil {
		t.Error("4097 octets are appended")
	}
	for name, add := range map[string]func() ([]Attribute, error){
		"a user name of 254 octets":        func() ([]Attribute, error) { return Add(nil, UserName, long) },
		"a value of 3GPP2 of 248 octets":   func() ([]Attribute, error) { return Add(nil, ThreeGPP2MIP6Authenticator, long[:248]) },
		"a value of a vendor nobody knows": func() ([]Attribute, error) { return Add(nil, TypeOf(9, 1), nil) },
	} {
		if as, err := add(); err == nil {
			t.Errorf("%s: %v", name, as)
		}
	}
}

func TestLongValuesAreSplitAndJoined(t *testing.T) {
	for _, c := range []struct {
		t     Type
		size  int
		parts int
	}{{EAPMessage, 0, 1}, {EAPMessage, 253, 1}, {EAPMessage, 254, 2}, {EAPMessage, 3 * 253, 3}, {WiMAXAAASessionID, 246, 1}, {WiMAXAAASessionID, 247, 2}, {WiMAXAAASessionID, 1000, 5}} {
		value := count(1, 1, c.size)
		as, err := Add(nil, c.t, value)
		if err != nil || len(as) != c.parts {
			t.Fatalf("%v of %d octets: %d attributes, %v", c.t, c.size, len(as), err)
		}
		if c.t != EAPMessage { // between the parts, others may stand: RFC 3579 wants EAP-Message consecutive, receivers need not
			as = append([]Attribute{as[0], {UserName, []byte("u")}}, as[1:]...)
		}
		all, err := Unpack(as)
		if err != nil || all[0].Type != c.t || !bytes.Equal(all[0].Value, value) {
			t.Errorf("%v of %d octets: %v, %v", c.t, c.size, all, err)
		}
	}
}

func TestVendorSpecificMayHoldSeveral(t *testing.T) {
	as := []Attribute{
		{UserName, []byte("u")},
		{VendorSpecific, unhex("0000159f" + "7bfe")[:4]}, // of 3GPP2, and empty
		{VendorSpecific, unhex("0000159f" + "7b04abcd" + "8603ee" + "8602")},
		{VendorSpecific, unhex("000060b5" + "0d077f00001002" + "1607ff00000001")}, // reserved bits, and the C bit too
		{VendorSpecific, unhex("00000009" + "ff")},                                // of a vendor whose format is not known
		{VendorSpecific, unhex("000060b5" + "16050000ff")},
	}
	got, err := Unpack(as)
	want := []Attribute{{UserName, []byte("u")}, {ThreeGPP2MIP6MesgID, unhex("abcd")}, {ThreeGPP2MIP6Authenticator, unhex("ee")}, {ThreeGPP2MIP6Authenticator, []byte{}},
		{WiMAXMNhHAMIP6SPI, unhex("00001002")}, {TypeOf(WiMAX, 22), unhex("0000000100ff")}, {VendorSpecific, unhex("00000009ff")}}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want - got +\n%s", diff)
	}
	for name, b := range map[string]string{
		"a cut vendor":                  "000015",
		"half an attribute of 3GPP2":    "0000159f7b",
		"length 1":                      "0000159f7b01",
		"beyond the attribute":          "0000159f7b04ab",
		"WiMAX without its octet":       "000060b50d02",
		"WiMAX with length 2":           "000060b50d0200",
		"continued, and nothing there":  "000060b5040480ff",
		"the second of two is cut":      "0000159f7b03ab7b",
		"an attribute of MS is cut off": "0000013710",
	} {
		if all, err := Unpack([]Attribute{{VendorSpecific, unhex(b)}}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %v", name, all, err)
		}
	}
}

func TestAMessageWithoutWhatItNeedsIsRefused(t *testing.T) {
	needs := map[string][]Type{
		"binding-request": {UserName, ThreeGPP2MIP6HomeAgentAddressFromBU, ThreeGPP2MIP6CareOfAddress, ThreeGPP2MIP6HOAReceivedFromBU,
			ThreeGPP2MIP6MesgID, ThreeGPP2MIP6Authenticator, ThreeGPP2MIP6MACMobilityData},
		"binding-accept": {ThreeGPP2MIP6SessionKey},
		"key-request":    {UserName, WiMAXhHAIPMIP6, WiMAXMNhHAMIP6SPI},
		"key-accept":     {WiMAXMNhHAMIP6Key, WiMAXMNhHAMIP6SPI},
		"eap-request":    {EAPMessage},
		"eap-challenge":  {EAPMessage},
		"eap-accept":     {},
		"eap-reject":     {},
	}
	for name, m := range messages() {
		all, err := Unpack(parsed(t, name).bare())
		if err != nil {
			t.Fatal(err)
		}
		for leave := range all {
			var as []Attribute
			for i, a := range all {
				if i != leave {
					as, _ = Add(as, a.Type, a.Value)
				}
			}
			needed := false
			for _, n := range needs[name] {
				needed = needed || n == all[leave].Type
			}
			if all[leave].Type == NASIPAddress && name == "key-request" {
				needed = true // nobody asks
			}
			if all[leave].Type == MPPERecvKey || all[leave].Type == MPPESendKey {
				needed = true // one half of the MSK
			}
			if _, err := m.parse(as); errors.Is(err, ErrMalformed) != needed || (err != nil) != needed {
				t.Errorf("%s without %v: %v", name, all[leave].Type, err)
			}
			// Twice is once too often, but for EAP-Message, which is then one longer value.
			as, _ = Add(parsed(t, name).bare(), all[leave].Type, all[leave].Value)
			if _, err := m.parse(as); !errors.Is(err, ErrMalformed) && all[leave].Type != EAPMessage {
				t.Errorf("%s with two %v: %v", name, all[leave].Type, err)
			}
			// A value that is one octet too long.
			switch dictionary[all[leave].Type].kind {
			case integer, ipv4, ipv6, covered, coveredByUs:
				as = nil
				for i, a := range all {
					if i == leave {
						a.Value = append(bytes.Clone(a.Value), 0)
					}
					as, _ = Add(as, a.Type, a.Value)
				}
				if _, err := m.parse(as); !errors.Is(err, ErrMalformed) {
					t.Errorf("%s with %v too long: %v", name, all[leave].Type, err)
				}
			}
		}
	}
}

func TestAnEmptyKeyIsNone(t *testing.T) {
	c := Cover{Secret: Secret("s")}
	hidden, err := c.Hide(nil)
	if err != nil {
		t.Fatal(err)
	}
	as, err := Add(nil, ThreeGPP2MIP6SessionKey, hidden)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := ParseBindingAccept(as, &c); !errors.Is(err, ErrMalformed) {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestMessagesThatDoNotFitAreNotAppended(t *testing.T) {
	c := Cover{Secret: Secret("s")}
	some := netip.MustParseAddr("192.0.2.1")
	for name, appended := range map[string]func() ([]Attribute, error){
		"nobody asks":                (&KeyRequest{User: "u", HomeAgent: agent}).attributes,
		"no user":                    (&KeyRequest{NAS: NAS{Identifier: "ha"}, HomeAgent: agent}).attributes,
		"a home agent of IPv4":       (&KeyRequest{NAS: NAS{Identifier: "ha"}, User: "u", HomeAgent: some}).attributes,
		"a timestamp of 7 octets":    (&BindingRequest{NAS: NAS{Identifier: "ha"}, User: "u", HomeAgent: agent, CareOf: careOf, Home: home, Timestamp: make([]byte, 7), MobilityData: make([]byte, 20)}).attributes,
		"an MSK of 63 octets":        func() ([]Attribute, error) { return (&EAPAccept{MSK: make([]byte, 63)}).AppendTo(nil, &c) },
		"a lifetime of half seconds": func() ([]Attribute, error) { return (&KeyAccept{Key: []byte{1}, Lifetime: 1}).AppendTo(nil, &c) },
		"a lifetime below zero":      func() ([]Attribute, error) { return (&KeyAccept{Key: []byte{1}, Lifetime: -1e9}).AppendTo(nil, &c) },
		"no key":                     func() ([]Attribute, error) { return (&BindingAccept{}).AppendTo(nil, &c) },
		"a key of 240 octets":        func() ([]Attribute, error) { return (&KeyAccept{Key: make([]byte, 240)}).AppendTo(nil, &c) },
	} {
		if as, err := appended(); err == nil {
			t.Errorf("%s: %v", name, as)
		}
	}
}

func (r *KeyRequest) attributes() ([]Attribute, error)     { return r.AppendTo(nil) }
func (r *BindingRequest) attributes() ([]Attribute, error) { return r.AppendTo(nil) }

func FuzzParse(f *testing.F) {
	wiretest.Seed(f)
	all := messages()
	f.Fuzz(func(t *testing.T, b []byte) {
		request := Authenticator(count(0x30, 1, 16))
		for _, verify := range []func() error{
			func() error { _, err := VerifyRequest(b, Secret(ourSecret)); return err },
			func() error { _, err := VerifyResponse(b, Secret(ourSecret), request); return err },
		} {
			if err := verify(); err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnauthenticated) {
				t.Fatal(err)
			}
		}
		p, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		again, err := p.AppendTo(nil)
		if err != nil || !bytes.HasPrefix(b, again) {
			t.Fatalf("%v: parsed %x, appended %x", err, b, again)
		}
		if values, err := Unpack(p.Attributes); err == nil {
			var as []Attribute
			for _, a := range values {
				if as, err = Add(as, a.Type, a.Value); err != nil {
					t.Fatal(err)
				}
			}
			back, err := Unpack(as)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(values, back); diff != "" {
				t.Fatal(diff)
			}
		} else if !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
		for name, m := range all {
			value, err := m.parse(p.Attributes)
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("%s: %v", name, err)
				}
				continue
			}
			as, err := m.append(value)
			if err != nil {
				t.Fatalf("%s: %+v: %v", name, value, err)
			}
			back, err := m.parse(as)
			if err != nil {
				t.Fatalf("%s: %+v: %v", name, value, err)
			}
			if twice, err := m.append(back); err != nil || !cmp.Equal(as, twice) {
				t.Fatalf("%s: wrote %v, then %v, %v", name, as, twice, err)
			}
		}
	})
}

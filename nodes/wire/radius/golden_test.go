package radius

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"s2clab/nodes/wire/wiretest"
)

const (
	nai       = "001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
	ourSecret = "s2clab-radius" // of the golden packets that no RFC has
	rfcSecret = "xyzzy5461"     // RFC 2865, section 7
)

var (
	home   = netip.MustParseAddr("2001:db8:100::10")
	agent  = netip.MustParseAddr("2001:db8:100::1")
	careOf = netip.MustParseAddr("2001:db8:200::99")
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// count gives n octets that count from first in steps.
func count(first, step, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(first + step*i)
	}
	return b
}

func sample(tb testing.TB, name string) []byte {
	tb.Helper()
	for _, s := range wiretest.Golden(tb) {
		if s.Name == name {
			return s.Octets
		}
	}
	tb.Fatalf("no golden packet %q", name)
	return nil
}

func parsed(tb testing.TB, name string) *Packet {
	tb.Helper()
	p, err := Parse(sample(tb, name))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// bare are the attributes of a golden packet without what Guard adds.
func (p *Packet) bare() []Attribute {
	if p.Attributes[0].Type == MessageAuthenticator {
		return p.Attributes[1:]
	}
	return p.Attributes
}

// message is what AppendTo and Parse of all messages come to.
type message struct {
	value  any
	append func(any) ([]Attribute, error)
	parse  func([]Attribute) (any, error)
}

func plain[T interface {
	AppendTo([]Attribute) ([]Attribute, error)
}](value T, parse func([]Attribute) (T, error)) message {
	return message{value, func(v any) ([]Attribute, error) { return v.(T).AppendTo(nil) }, func(as []Attribute) (any, error) { return parse(as) }}
}

func underCover[T interface {
	AppendTo([]Attribute, *Cover) ([]Attribute, error)
}](value T, c Cover, parse func([]Attribute, *Cover) (T, error)) message {
	return message{value, func(v any) ([]Attribute, error) { c := c; return v.(T).AppendTo(nil, &c) }, func(as []Attribute) (any, error) { return parse(as, &c) }}
}

// messages are what golden packets mean.
func messages() map[string]message {
	secret := Secret(ourSecret)
	return map[string]message{
		"binding-request": plain(&BindingRequest{NAS: NAS{agent, "ha"}, User: nai, HomeAgent: agent, CareOf: careOf, Home: home, Timestamp: unhex("cacc680080000000"),
			Authenticator: unhex("70a0b95ba9d7b79b3ea32a303685a1fa2f5749c2"), MobilityData: unhex("ffb4957e85aee318d8f0258c031fd18ae5dce807")}, ParseBindingRequest),
		"binding-accept": underCover(&BindingAccept{User: nai, SessionKey: unhex("eccf27d643b747f26256f01328d8a6a3"), Lifetime: time.Hour, Home: home},
			Cover{secret, Authenticator(count(0x10, 1, 16)), 0x8123}, ParseBindingAccept),
		"key-request": plain(&KeyRequest{NAS: NAS{netip.MustParseAddr("192.0.2.1"), ""}, User: nai, HomeAgent: agent, SPI: 0x1002}, ParseKeyRequest),
		"key-accept": underCover(&KeyAccept{Key: count(0xa0, 1, 20), SPI: 0x1002, Lifetime: 10 * time.Minute},
			Cover{secret, Authenticator(count(0x20, 1, 16)), 0x8000}, ParseKeyAccept),
		"eap-request": plain(&EAPRequest{NAS: NAS{netip.MustParseAddr("192.0.2.9"), "ar1"}, User: nai, EAP: append([]byte{2, 5, 1, 44, 1}, strings.Repeat("identity.", 40)[:295]...), State: []byte("state-1"),
			Port: 3, PortType: PortEthernet, Service: ServiceFramed, MTU: 1400, Called: "02-00-00-00-00-AA", Calling: "02-00-00-00-00-01", ConnectInfo: "CONNECT 1000Mbps"}, ParseEAPRequest),
		"eap-challenge": plain(&EAPChallenge{EAP: append([]byte{1, 6, 0, 22, 4, 16}, count(0, 1, 16)...), State: []byte("state-2"), Timeout: 30 * time.Second}, ParseEAPChallenge),
		"eap-reject":    plain(&EAPReject{EAP: []byte{4, 6, 0, 4}}, ParseEAPReject),
		"eap-accept": underCover(&EAPAccept{EAP: []byte{3, 6, 0, 4}, User: nai, Timeout: 2 * time.Hour, Class: []byte("class"), MSK: count(0, 1, 64),
			WiMAX: &WiMAXSession{Session: count(255, -1, 260), MSK: count(0, 1, 64), HomeAgent: agent, Key: count(0xa0, 1, 20), SPI: 0x1002, FARK: count(0xc0, 1, 20), FARKSPI: 0x1000}},
			Cover{secret, Authenticator(count(0x30, 1, 16)), 0xfffe}, ParseEAPAccept),
	}
}

var addresses = cmpopts.EquateComparable(netip.Addr{})

func TestGoldenMessagesAreWhatTheyMean(t *testing.T) {
	for name, m := range messages() {
		p := parsed(t, name)
		got, err := m.parse(p.Attributes)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(m.value, got, addresses); diff != "" {
			t.Errorf("%s: want - got +\n%s", name, diff)
		}
		as, err := m.append(m.value)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(p.bare(), as); diff != "" {
			t.Errorf("%s: golden - appended +\n%s", name, diff)
		}
	}
}

// exchanges are requests and what answers them, under their secret.
var exchanges = []struct{ secret, request, response string }{
	{rfcSecret, "telnet-request", "telnet-accept"},
	{rfcSecret, "chap-request", "chap-accept"},
	{rfcSecret, "card-request", "card-challenge"},
	{rfcSecret, "card-answer-request", "card-reject"},
	{ourSecret, "binding-request", "binding-accept"},
	{ourSecret, "key-request", "key-accept"},
	{ourSecret, "eap-request", "eap-challenge"},
	{ourSecret, "eap-request", "eap-reject"},
	{ourSecret, "eap-request", "eap-accept"},
}

func TestGoldenPacketsHaveTheAuthenticatorsOfTheirSecret(t *testing.T) {
	for _, e := range exchanges {
		s := Secret(e.secret)
		request, response := parsed(t, e.request), parsed(t, e.response)
		guarded, err := VerifyRequest(sample(t, e.request), s)
		if err != nil || guarded != (e.secret == ourSecret) {
			t.Errorf("%s: guarded %v, %v", e.request, guarded, err)
		}
		guarded, err = VerifyResponse(sample(t, e.response), s, request.Authenticator)
		if err != nil || guarded != (e.secret == ourSecret) {
			t.Errorf("%s: guarded %v, %v", e.response, guarded, err)
		}
		// What is computed does not depend on what was there before.
		response.Authenticator = Authenticator{1}
		for _, p := range []*Packet{request, response} {
			if p.Attributes != nil && p.Attributes[0].Type == MessageAuthenticator {
				clear(p.Attributes[0].Value)
			}
		}
		if b, err := request.AppendRequest([]byte("before"), s); err != nil || string(b) != "before"+string(sample(t, e.request)) {
			t.Errorf("%s: %v, appended %x", e.request, err, b)
		}
		if b, err := response.AppendResponse([]byte("before"), s, request.Authenticator); err != nil || string(b) != "before"+string(sample(t, e.response)) {
			t.Errorf("%s: %v, appended %x", e.response, err, b)
		}
	}
}

func TestEachChangedOctetOfAGuardedPacketIsSeen(t *testing.T) {
	for _, e := range exchanges {
		if e.secret != ourSecret {
			continue
		}
		request := parsed(t, e.request).Authenticator
		for name, verify := range map[string]func([]byte) error{
			e.request:  func(b []byte) error { _, err := VerifyRequest(b, Secret(e.secret)); return err },
			e.response: func(b []byte) error { _, err := VerifyResponse(b, Secret(e.secret), request); return err },
		} {
			b := sample(t, name)
			for i := range b {
				changed := bytes.Clone(b)
				changed[i] ^= 0x40
				if guarded, err := false, verify(changed); err == nil {
					// A Message-Authenticator whose type was changed guards no more, which
					// VerifyRequest tells.
					if guarded, _ = VerifyRequest(changed, Secret(e.secret)); guarded || i != headerSize || name != e.request {
						t.Errorf("%s: octet %d is changed, and nobody sees it", name, i)
					}
				}
			}
		}
	}
}

func TestAnEAPMessageWithoutMessageAuthenticatorIsNotBelieved(t *testing.T) {
	p := parsed(t, "eap-request")
	p.Attributes = p.bare()
	b, err := p.AppendRequest(nil, Secret(ourSecret))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyRequest(b, Secret(ourSecret)); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("request: %v", err)
	}
	r := parsed(t, "eap-challenge")
	r.Attributes = r.bare()
	if b, err = r.AppendResponse(nil, Secret(ourSecret), p.Authenticator); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyResponse(b, Secret(ourSecret), p.Authenticator); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("response: %v", err)
	}
}

func TestTheWrongSecretIsNotBelieved(t *testing.T) {
	for _, e := range exchanges {
		if _, err := VerifyResponse(sample(t, e.response), Secret("other"), parsed(t, e.request).Authenticator); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("%s: %v", e.response, err)
		}
	}
	if _, err := VerifyRequest(sample(t, "binding-request"), Secret("other")); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("request: %v", err)
	}
}

func TestPasswordsOfRFC2865AreUncovered(t *testing.T) {
	for name, want := range map[string]string{"telnet-request": "arctangent", "card-request": "challenge", "card-answer-request": "99101462"} {
		p := parsed(t, name)
		c := Cover{Secret: Secret(rfcSecret), Request: p.Authenticator}
		hidden := p.All(UserPassword)[0]
		got, err := c.RevealPassword(hidden)
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		again, err := c.HidePassword(got)
		if err != nil || !bytes.Equal(again, hidden) {
			t.Errorf("%s: %x, %v", name, again, err)
		}
	}
}

func TestKeysOfAllLengthsComeOutOfTheirCover(t *testing.T) {
	c := Cover{Secret: Secret(ourSecret), Request: Authenticator(count(9, 7, 16)), Salt: 0xffff}
	salts := map[string]bool{}
	for n := range 240 {
		key := count(n, 3, n)
		hidden, err := c.Hide(key)
		if err != nil {
			t.Fatal(err)
		}
		if hidden[0]&0x80 == 0 || salts[string(hidden[:2])] {
			t.Errorf("salt %x: want one with its first bit set that was not there before", hidden[:2])
		}
		salts[string(hidden[:2])] = true
		got, err := c.Reveal(hidden)
		if err != nil || !bytes.Equal(got, key) {
			t.Errorf("%d octets: %x, %v", n, got, err)
		}
		if _, err := Add(nil, WiMAXMSK, hidden); err != nil {
			t.Errorf("%d octets do not fit: %v", n, err)
		}
		if as, err := Add(nil, ThreeGPP2MIP6SessionKey, hidden); err != nil || len(as) != 1 {
			t.Errorf("%d octets do not fit: %v", n, err)
		}
	}
	if _, err := c.Hide(make([]byte, 240)); err == nil {
		t.Error("240 octets are covered, and fit no attribute")
	}
	for _, bad := range [][]byte{nil, make([]byte, 2), make([]byte, 17), make([]byte, 33)} {
		if _, err := c.Reveal(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d octets: %v", len(bad), err)
		}
	}
}

func TestNoSecretIsPrinted(t *testing.T) {
	c := Cover{Secret: Secret("sesame")}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{c.Secret, c, &c, []Secret{c.Secret}} {
			if text := strings.ToLower(sprintf(format, v)); strings.Contains(text, "sesame") || strings.Contains(text, "736573") || strings.Contains(text, "115") {
				t.Errorf("%s of %T prints %s", format, v, text)
			}
		}
	}
}

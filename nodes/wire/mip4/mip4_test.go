package mip4

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"s2clab/nodes/wire/wiretest"
)

const nai = "001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"

var (
	none   = netip.IPv4Unspecified()
	home   = netip.MustParseAddr("192.0.2.10")
	agent  = netip.MustParseAddr("192.0.2.1")
	careOf = netip.MustParseAddr("198.51.100.99")
	nonce  = []byte("\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf")
)

const stamp = 0xcacc680080000000

// what the golden octets mean; of authenticators, only their length.
var golden = map[string]Message{
	"First request": &RegistrationRequest{Flags: CoLocated | ReverseTunnel, Lifetime: 30 * time.Minute, Home: none, HomeAgent: agent, CareOf: careOf, Identification: stamp,
		Extensions: []Extension{Identifier{nai}, KeyGenerationRequest{SPI: 65537}, Authentication{MobileAAA, 256, make([]byte, 16)}}},
	"Reply with a nonce": &RegistrationReply{Code: AcceptedNoSimultaneous, Lifetime: 10 * time.Minute, Home: home, HomeAgent: agent, Identification: stamp,
		Extensions: []Extension{Identifier{nai}, KeyGenerationReply{Lifetime: time.Hour, AAASPI: 256, SPI: 131074, Transform: 2, Replay: Timestamps, Nonce: nonce},
			Authentication{MobileHome, 65537, make([]byte, 20)}}},
	"Deregistration": &RegistrationRequest{Flags: CoLocated | ReverseTunnel, Home: home, HomeAgent: agent, CareOf: home, Identification: stamp,
		Extensions: []Extension{Authentication{MobileHome, 256, make([]byte, 16)}}},
	"Mismatch": &RegistrationReply{Code: IdentificationMismatch, Home: home, HomeAgent: agent, Identification: stamp + 1<<40,
		Extensions: []Extension{Authentication{MobileHome, 256, make([]byte, 16)}}},
	"Every other extension": &RegistrationRequest{Flags: Simultaneous | Broadcasts | CoLocated | Minimal | GRE | ReverseTunnel, Lifetime: Infinite,
		Home: home, HomeAgent: agent, CareOf: careOf, Identification: stamp,
		Extensions: []Extension{KeyGenerationRequest{Foreign: true, SPI: 65539},
			KeyGenerationReply{Foreign: true, Lifetime: time.Minute, AAASPI: 256, SPI: 131076, Transform: 1, Nonce: nonce},
			RawExtension{132, []byte{1, 2, 3, 4}}, Authentication{MobileForeign, 257, []byte{0x11, 0x12, 0x13, 0x14}}, Authentication{ForeignHome, 258, []byte{}}}},
}

func extensions(m Message) []Extension {
	switch m := m.(type) {
	case *RegistrationRequest:
		return m.Extensions
	case *RegistrationReply:
		return m.Extensions
	}
	return nil
}

func TestGoldenOctetsAreWhatTheyMean(t *testing.T) {
	samples := wiretest.Golden(t)
	if len(samples) != len(golden) {
		t.Errorf("%d samples, want %d", len(samples), len(golden))
	}
	for _, s := range samples {
		got, err := Parse(s.Octets)
		if err != nil {
			t.Errorf("%q: %v", s.Name, err)
			continue
		}
		again, err := got.AppendTo([]byte("before"))
		if err != nil || !bytes.Equal(again[6:], s.Octets) {
			t.Errorf("%q: %v\ngot  %x\nwant %x", s.Name, err, again, s.Octets)
		}
		for _, e := range extensions(got) {
			if a, ok := e.(Authentication); ok && (a.Kind == MobileHome || a.Kind == MobileAAA) {
				clear(a.Authenticator)
			}
		}
		if want := golden[s.Name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got\n%+v\nwant\n%+v", s.Name, got, want)
		}
	}
}

func TestAnAuthenticatorCoversWhatStandsBeforeIt(t *testing.T) {
	for _, s := range wiretest.Golden(t) {
		for _, p := range Places(s.Octets) {
			if !bytes.Equal(s.Octets[p.Covers:p.Covers+len(p.Authenticator)], p.Authenticator) {
				t.Errorf("%q: the authenticator of %v is not at %d", s.Name, p.Kind, p.Covers)
			}
			if e := extensions(golden[s.Name])[p.Before].(Authentication); e.Kind != p.Kind {
				t.Errorf("%q: extension %d is %v, not %v", s.Name, p.Before, e.Kind, p.Kind)
			}
		}
	}
	if all := Places(wiretest.Golden(t)[4].Octets); len(all) != 2 || all[0].Kind != MobileForeign || all[1].Kind != ForeignHome {
		t.Errorf("%+v", all)
	}
}

// minimal is a request without extensions.
func minimal(t *testing.T) []byte {
	t.Helper()
	b, err := (&RegistrationRequest{Home: home, HomeAgent: agent, CareOf: careOf}).AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestExtensionsFrom128OnAreSkippedAndOthersAreNot(t *testing.T) { // RFC 5944, section 1.8
	for what, e := range map[string]struct {
		octets []byte
		want   error
	}{
		"128, unknown":          {[]byte{128, 1, 7}, nil},
		"255, unknown":          {[]byte{255, 0}, nil},
		"127, unknown":          {[]byte{127, 1, 7}, ErrUnrecognized},
		"1, unknown":            {[]byte{1, 0}, ErrUnrecognized},
		"another subtype of 36": {append([]byte{36, 2, 0, 20}, make([]byte, 20)...), ErrUnrecognized},
		"another subtype of 42": {[]byte{42, 2, 0, 4, 0, 0, 1, 0}, ErrUnrecognized},
		"only padding":          {[]byte{0, 0, 0}, nil},
	} {
		m, err := Parse(append(minimal(t), e.octets...))
		if !errors.Is(err, e.want) || (err == nil) != (e.want == nil) {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil && what != "only padding" && !reflect.DeepEqual(extensions(m), []Extension{RawExtension{ExtensionType(e.octets[0]), e.octets[2:]}}) {
			t.Errorf("%s: %+v", what, m)
		}
	}
}

func TestBrokenMessagesAreRefused(t *testing.T) {
	for what, b := range map[string][]byte{
		"nothing":                    nil,
		"another type":               {2, 0},
		"a request cut off":          minimal(t)[:23],
		"a reply cut off":            append([]byte{3}, make([]byte, 18)...),
		"an extension cut off":       append(minimal(t), 131),
		"a long extension cut off":   append(minimal(t), 36, 1, 0),
		"less than it says":          append(minimal(t), 131, 2, 'a'),
		"long, less than it says":    append(minimal(t), 42, 1, 1, 4, 0, 0, 1, 0),
		"no SPI":                     append(minimal(t), 32, 3, 0, 0, 1),
		"a short MN-AAA":             append(append(minimal(t), 36, 1, 0, 19), make([]byte, 19)...),
		"a nonce request with more":  append(minimal(t), 42, 1, 0, 5, 0, 0, 1, 0, 0),
		"a short nonce":              append(append(minimal(t), 43, 1, 0, 31), make([]byte, 31)...),
		"a short nonce, foreign":     append(append(minimal(t), 41, 1, 0, 29), make([]byte, 29)...),
		"a skippable one that lacks": append(minimal(t), 200, 255),
	} {
		if _, err := Parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWhatDoesNotFitTheWireIsNotAppended(t *testing.T) {
	with := func(e Extension) Message {
		return &RegistrationRequest{Home: home, HomeAgent: agent, CareOf: careOf, Extensions: []Extension{e}}
	}
	long := make([]byte, 256)
	for what, m := range map[string]Message{
		"a lifetime that is no second":  &RegistrationRequest{Lifetime: time.Millisecond, Home: home, HomeAgent: agent, CareOf: careOf},
		"a lifetime past infinity":      &RegistrationReply{Lifetime: Infinite + time.Second, Home: home, HomeAgent: agent},
		"a lifetime below 0":            &RegistrationReply{Lifetime: -time.Second, Home: home, HomeAgent: agent},
		"no home address":               &RegistrationReply{HomeAgent: agent},
		"an IPv6 address":               &RegistrationRequest{Home: home, HomeAgent: agent, CareOf: netip.IPv6Loopback()},
		"a long NAI":                    with(Identifier{string(long)}),
		"a long raw extension":          with(RawExtension{200, long}),
		"a raw extension, not skipped":  with(RawExtension{127, nil}),
		"a raw extension that is known": with(RawExtension{131, nil}),
		"a long authenticator":          with(Authentication{MobileHome, 256, make([]byte, 252)}),
		"a short MN-AAA authenticator":  with(Authentication{MobileAAA, 256, make([]byte, 15)}),
		"a kind that is none":           with(Authentication{44, 256, nil}),
		"a short nonce":                 with(KeyGenerationReply{Nonce: make([]byte, 15)}),
		"a long lifetime of a key":      with(KeyGenerationReply{Nonce: nonce, Lifetime: 1 << 32 * time.Second}),
		"a replay method, foreign":      with(KeyGenerationReply{Foreign: true, Replay: Timestamps, Nonce: nonce}),
		"an MN-AAA past 16 bits":        with(Authentication{MobileAAA, 256, make([]byte, 65532)}),
	} {
		if b, err := m.AppendTo(nil); err == nil {
			t.Errorf("%s: appended %d octets", what, len(b))
		}
	}
	// The largest ones fit.
	for _, e := range []Extension{Identifier{string(long[1:])}, Authentication{MobileHome, 256, make([]byte, 251)}, Authentication{MobileAAA, 256, make([]byte, 65531)}} {
		b, err := with(e).AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := Parse(b); err != nil || !reflect.DeepEqual(extensions(m), []Extension{e}) {
			t.Errorf("%T: %v", e, err)
		}
	}
}

func TestCodesTellWhoDenies(t *testing.T) {
	for c, want := range map[Code][2]bool{ // denied, of the home agent
		Accepted: {false, true}, AcceptedNoSimultaneous: {false, true}, 64: {true, false}, 108: {true, false}, 127: {true, false},
		ReasonUnspecified: {true, true}, MobileFailedAAA: {true, true}, InvalidHomeAgentAddress: {true, false},
	} {
		if got := [2]bool{c.Denied(), c.OfHomeAgent()}; got != want {
			t.Errorf("%v: %v, want %v", c, got, want)
		}
	}
}

// No octets make Parse panic; what parses appends, and parses to the same value.
func FuzzParse(f *testing.F) {
	wiretest.Seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		places := Places(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnrecognized) {
				t.Error(err)
			}
			return
		}
		for _, p := range places {
			if e, ok := extensions(m)[p.Before].(Authentication); !ok || !reflect.DeepEqual(e, p.Authentication) || !bytes.HasPrefix(b[p.Covers:], p.Authenticator) {
				t.Errorf("%+v is not extension %d", p, p.Before)
			}
		}
		again, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Parse(again); err != nil || !reflect.DeepEqual(back, m) {
			t.Errorf("%v\n%+v\n%+v", err, m, back)
		}
	})
}

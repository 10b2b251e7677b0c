package capture

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/mip4"
	"s2clab/nodes/wire/udp"
)

// registrationFrame is data in UDP over IPv4, from a port or to it.
func registrationFrame(tb testing.TB, from, to netip.AddrPort, data []byte) []byte {
	tb.Helper()
	b, err := udp.Append(nil, &udp.Datagram{Src: from.Port(), Dst: to.Port(), Payload: data}, from.Addr(), to.Addr())
	b, err = ipv4.Append(nil, &ipv4.Packet{Src: from.Addr(), Dst: to.Addr(), TTL: 64, Protocol: ipv4.UDP, Payload: appended(tb, b, err)})
	return append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}, appended(tb, b, err)...)
}

func TestRegistrationsOfMobileIPv4AreRead(t *testing.T) {
	mobile, agent := netip.MustParseAddrPort("198.51.100.99:5000"), netip.MustParseAddrPort("192.0.2.1:434")
	home := netip.MustParseAddr("192.0.2.10")
	octets := func(m mip4.Message) []byte {
		b, err := m.AppendTo(nil)
		return appended(t, b, err)
	}
	request := octets(&mip4.RegistrationRequest{Flags: mip4.CoLocated | mip4.ReverseTunnel, Lifetime: time.Minute, Home: netip.IPv4Unspecified(), HomeAgent: agent.Addr(), CareOf: mobile.Addr(), Identification: 0xcacc680080000000,
		Extensions: []mip4.Extension{mip4.Identifier{NAI: "ue@lab.test"}, mip4.KeyGenerationRequest{SPI: 300}, mip4.Authentication{Kind: mip4.MobileAAA, SPI: 256, Authenticator: secret[:16]}}})
	reply := octets(&mip4.RegistrationReply{Code: mip4.Prohibited, Lifetime: time.Minute, Home: home, HomeAgent: agent.Addr(), Identification: 0xcacc680080000000,
		Extensions: []mip4.Extension{mip4.KeyGenerationReply{Lifetime: time.Hour, AAASPI: 256, SPI: 4001, Transform: 2, Replay: mip4.Timestamps, Nonce: secret[:16]}, mip4.Authentication{Kind: mip4.MobileHome, SPI: 300, Authenticator: secret[:16]}}})
	for _, c := range []struct {
		what  string
		frame []byte
		name  string
		want  map[string]any
	}{
		{"a request", registrationFrame(t, mobile, agent, request), "registration-request", map[string]any{
			"src": mobile.Addr().String(), "dst": agent.Addr().String(), "home-address": "0.0.0.0", "home-agent": "192.0.2.1", "care-of": "198.51.100.99", "lifetime": 60.0, "flags": []any{"D", "T"},
			"nai": "ue@lab.test", "auth": []any{"mn-aaa"}, "spi": 256.0, "key-material": []any{"nonce-request"}}},
		{"a reply", registrationFrame(t, agent, mobile, reply), "registration-reply", map[string]any{
			"src": agent.Addr().String(), "dst": mobile.Addr().String(), "home-address": "192.0.2.10", "home-agent": "192.0.2.1", "code": 129.0, "name": "administratively-prohibited", "lifetime": 60.0,
			"auth": []any{"mn-ha"}, "spi": 300.0, "key-material": []any{"nonce"}, "mn-ha-spi": 4001.0}},
	} {
		if !Signalling(c.frame) {
			t.Errorf("%s is no signalling", c.what)
		}
		got := Decode(c.frame)
		if len(got) != 1 || got[0].Name != c.name {
			t.Errorf("%s: %+v", c.what, got)
			continue
		}
		if got[0].Fields["timestamp"] == nil { // read as those of Binding Updates are
			t.Errorf("%s has no timestamp", c.what)
		}
		delete(got[0].Fields, "timestamp")
		if diff := cmp.Diff(c.want, got[0].Fields); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
	}
	for name, data := range map[string][]byte{"registration-request": request[:20], "registration-malformed": {9}} {
		if got := Decode(registrationFrame(t, mobile, agent, data)); len(got) != 1 || got[0].Name != name || got[0].Fields["malformed"] == nil {
			t.Errorf("%s cut off: %+v", name, got)
		}
	}
}

func TestQuestionsAboutRegistrationsAreRead(t *testing.T) {
	home, agent := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.1")
	id := diameter.Identity{Host: "pgw.lab.test", Realm: "lab.test"}
	r := &diameter.AAMobileNodeRequest{Session: "pgw.lab.test;1;1", Identity: id, DestinationRealm: "lab.test", User: "ue@lab.test", Registration: make([]byte, 80), SPI: 256, Covers: 64, Offset: 64, Size: 16, Home: home, HomeAgent: agent, KeyRequested: true}
	b, err := r.AppendTo(nil, diameter.Header{})
	if m := diameterMessage(appended(t, b, err)); m.Name != "aa-mobile-node-request" || m.Fields["nai"] != "ue@lab.test" || m.Fields["spi"] != 256.0 || m.Fields["home-address"] != "192.0.2.10" || m.Fields["home-agent"] != "192.0.2.1" || m.Fields["application"] != "MIP4" {
		t.Errorf("%+v", m)
	}
	a := &diameter.AAMobileNodeAnswer{Session: "pgw.lab.test;1;1", Outcome: diameter.Outcome{Result: diameter.Success}, Identity: id, HomeAgent: agent, Home: home,
		MSA: &diameter.MSA{Key: secret[:], Lifetime: time.Hour, SPI: 4001, Algorithm: diameter.HMACSHA1, Replay: diameter.ReplayTimestamp, Nonce: secret[:16]}}
	b, err = a.AppendTo(nil, diameter.Header{})
	if m := diameterMessage(appended(t, b, err)); m.Name != "aa-mobile-node-answer" || m.Fields["result"] != 2001.0 || m.Fields["mn-ha-spi"] != 4001.0 || m.Fields["home-address"] != "192.0.2.10" {
		t.Errorf("%+v", m)
	}
}

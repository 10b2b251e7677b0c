package capture

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
	"s2clab/nodes/wire/eapol"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
	"s2clab/nodes/wire/radius"
	"s2clab/nodes/wire/udp"
)

// secret is what every key and every answer to a challenge is made of here, so that it
// would be found wherever it got to.
var (
	secret    = bytes.Repeat([]byte{0x5e}, 16)
	challenge = [16]byte{0: 0xc0, 15: 0x0c}
)

const challengeText = "c000000000000000000000000000000c"

func appended(tb testing.TB, b []byte, err error) []byte {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func akaMessage(tb testing.TB, code eap.Code, subtype eap.Subtype, all ...eap.Attribute) []byte {
	tb.Helper()
	b, err := (&eap.Message{Code: code, Identifier: 9, Type: eap.TypeAKAPrime, Subtype: subtype, Attributes: all}).AppendTo(nil)
	return appended(tb, b, err)
}

func akaChallenge(tb testing.TB) []byte {
	return akaMessage(tb, eap.Request, eap.Challenge, eap.Attribute{Type: eap.ATRAND, Value: challenge[:]}, eap.Attribute{Type: eap.ATAUTN, Value: secret},
		eap.Number(eap.ATKDF, 1), eap.Attribute{Type: eap.ATKDFINPUT, Value: []byte("WLAN")}, eap.Attribute{Type: eap.ATMAC, Value: secret})
}

func akaAnswer(tb testing.TB) []byte {
	return akaMessage(tb, eap.Response, eap.Challenge, eap.Attribute{Type: eap.ATRES, Value: secret[:8]}, eap.Attribute{Type: eap.ATMAC, Value: secret})
}

func eapPacket(tb testing.TB, p eap.Packet) []byte {
	tb.Helper()
	b, err := p.AppendTo(nil)
	return appended(tb, b, err)
}

func eapolFrame(tb testing.TB, kind eapol.Type, body []byte) []byte {
	tb.Helper()
	b := append(append(eapol.Group[:len(eapol.Group):len(eapol.Group)], ueMAC[:]...), 0x88, 0x8e)
	b, err := eapol.Append(b, &eapol.Frame{Type: kind, Body: body})
	return appended(tb, b, err)
}

func radiusFrame(tb testing.TB, packet []byte) []byte {
	tb.Helper()
	b, err := udp.Append(nil, &udp.Datagram{Src: 1812, Dst: 40000, Payload: packet}, server, agent)
	return ethernet(tb, &ipv6.Packet{Src: server, Dst: agent, HopLimit: 64, Next: ipv6.UDP, Payload: appended(tb, b, err)})
}

func radiusPacket(tb testing.TB, code radius.Code, all ...radius.Attribute) []byte {
	tb.Helper()
	p := radius.Packet{Code: code, Identifier: 3}
	for _, a := range all {
		as, err := radius.Add(p.Attributes, a.Type, a.Value)
		if err != nil {
			tb.Fatal(err)
		}
		p.Attributes = as
	}
	b, err := p.AppendTo(nil)
	return appended(tb, b, err)
}

func accessChallenge(tb testing.TB) []byte {
	return radiusPacket(tb, radius.AccessChallenge, radius.Attribute{Type: radius.EAPMessage, Value: akaChallenge(tb)}, radius.Attribute{Type: radius.State, Value: secret})
}

// streamFrame carries part of a TCP stream between ports of agent and server.
func streamFrame(tb testing.TB, from, to uint16, data string) []byte {
	tb.Helper()
	b := append([]byte{byte(from >> 8), byte(from), byte(to >> 8), byte(to), 0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, 0x18, 0xff, 0xff, 0, 0, 0, 0}, data...)
	return ethernet(tb, &ipv6.Packet{Src: agent, Dst: server, HopLimit: 64, Next: ipv6.TCP, Payload: b})
}

var (
	ubNonce  = base64.StdEncoding.EncodeToString(append(challenge[:len(challenge):len(challenge)], secret...))
	ubAnswer = "GET / HTTP/1.1\r\nHost: bsf.lab.test\r\nUser-Agent: s2clab 3gpp-gba\r\nAuthorization: Digest username=\"ue@lab.test\", realm=\"bsf.lab.test\", nonce=\"" +
		ubNonce + "\", uri=\"/\", qop=auth-int, response=\"5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e\", algorithm=AKAv1-MD5\r\n\r\n"
	ubChallenge = "HTTP/1.1 401 Unauthorized\r\nServer: s2clab 3gpp-gba\r\nWww-Authenticate: Digest realm=\"bsf.lab.test\", nonce=\"" + ubNonce +
		"\", algorithm=AKAv1-MD5, qop=\"auth-int\"\r\nContent-Length: 0\r\n\r\n"
	ubInfo     = `<BootstrappingInfo xmlns="uri:3gpp-gba"><btid>one@bsf</btid></BootstrappingInfo>`
	ubLastWord = "HTTP/1.1 200 OK\r\nServer: s2clab 3gpp-gba\r\nContent-Type: application/vnd.3gpp.bsf+xml\r\nContent-Length: " + strconv.Itoa(len(ubInfo)) + "\r\n\r\n" + ubInfo
)

func eapRequest(tb testing.TB) []byte {
	tb.Helper()
	b, err := (&diameter.DiameterEAPRequest{Application: diameter.STa, Session: "gw;1", Identity: diameter.Identity{Host: "gw.lab.test", Realm: "lab.test"}, DestinationRealm: "lab.test",
		User: "6001@lab.test", Type: diameter.AuthorizeAuthenticate, EAP: akaAnswer(tb), AccessNetwork: "WLAN"}).AppendTo(nil, diameter.Header{HopByHop: 1, EndToEnd: 2})
	return appended(tb, b, err)
}

func authAnswer(tb testing.TB) []byte {
	tb.Helper()
	b, err := (&diameter.MultimediaAuthAnswer{Session: "aaa;1", Outcome: diameter.Outcome{Result: diameter.Success}, Identity: diameter.Identity{Host: "hss.lab.test", Realm: "lab.test"}, User: "001",
		Items: []diameter.AuthItem{{Number: 1, Scheme: diameter.SchemeEAPAKAPrime, RAND: challenge, AUTN: [16]byte(secret), XRES: secret[:8], CK: [16]byte(secret), IK: [16]byte(secret)}},
	}).AppendTo(nil, diameter.Header{Application: diameter.SWx, Command: diameter.MultimediaAuth, HopByHop: 1, EndToEnd: 2})
	return appended(tb, b, err)
}

func authRefusal(tb testing.TB) []byte {
	tb.Helper()
	b, err := (&diameter.MultimediaAuthAnswer{Session: "aaa;1", Outcome: diameter.Outcome{Result: diameter.UserUnknown}, Identity: diameter.Identity{Host: "hss.lab.test", Realm: "lab.test"}, User: "001"}).AppendTo(nil, diameter.Header{Application: diameter.SWx, Command: diameter.MultimediaAuth, HopByHop: 1, EndToEnd: 2})
	return appended(tb, b, err)
}

func eapAnswer(tb testing.TB) []byte {
	tb.Helper()
	b, err := (&diameter.DiameterEAPAnswer{Session: "gw;1", Outcome: diameter.Outcome{Result: diameter.Success}, Identity: diameter.Identity{Host: "aaa.lab.test", Realm: "lab.test"},
		Type: diameter.AuthorizeAuthenticate, User: "0001@lab.test", EAP: []byte{3, 9, 0, 4}, MSK: bytes.Repeat(secret, 4),
	}).AppendTo(nil, diameter.Header{Application: diameter.STa, Command: diameter.DiameterEAP, HopByHop: 1, EndToEnd: 2})
	return appended(tb, b, err)
}

func nafAnswer(tb testing.TB) []byte {
	tb.Helper()
	b, err := (&diameter.BootstrappingInfoRequest{Session: "ha;9", Identity: diameter.Identity{Host: "ha.lab.test", Realm: "lab.test"}, DestinationRealm: "lab.test",
		Transaction: "one@bsf", NAFID: append([]byte("ha.lab.test"), 1, 0, 0, 0, 2)}).AppendTo(nil, diameter.Header{HopByHop: 1, EndToEnd: 2})
	return appended(tb, b, err)
}

func challenged(tb testing.TB) []byte {
	return ethernet(tb, mobilityPacket(tb, &mh.BindingAcknowledgement{Seq: 8, Status: 128,
		Options: []mh.Option{mh.KeyMaterial{Kind: mh.AKAChallenge, Data: append(challenge[:len(challenge):len(challenge)], secret...)}}}, agent, careOf))
}

func TestWhatMakesKeysIsReadWithoutThem(t *testing.T) {
	mac := map[string]any{"src": "02:00:00:00:00:01", "dst": "01:80:c2:00:00:03"}
	ends := map[string]any{"src": agent.String(), "dst": server.String()}
	back := map[string]any{"src": server.String(), "dst": agent.String()}
	aka := map[string]any{"eap-id": 9.0, "eap-type": "EAP-AKA'", "eap-subtype": "AKA-Challenge", "rand": challengeText, "network": "WLAN",
		"attributes": []any{"AT_RAND", "AT_AUTN", "AT_KDF", "AT_KDF_INPUT", "AT_MAC"}}
	ids := map[string]any{"hop-by-hop": 1.0, "end-to-end": 2.0}
	type fields = map[string]any
	for _, c := range []struct {
		what  string
		frame []byte
		name  string
		want  []fields // put together
	}{
		{"a start", eapolFrame(t, eapol.Start, nil), "eapol-start", []fields{mac}},
		{"a logoff", eapolFrame(t, eapol.Logoff, nil), "eapol-logoff", []fields{mac}},
		{"who is there", eapolFrame(t, eapol.EAPPacket, eapPacket(t, eap.Packet{Code: eap.Request, Identifier: 1, Type: eap.TypeIdentity})), "eap-request",
			[]fields{mac, {"eap-id": 1.0, "eap-type": "Identity"}}},
		{"who", eapolFrame(t, eapol.EAPPacket, eapPacket(t, eap.Packet{Code: eap.Response, Identifier: 1, Type: eap.TypeIdentity, Data: []byte("6001@lab.test")})), "eap-response",
			[]fields{mac, {"eap-id": 1.0, "eap-type": "Identity", "identity": "6001@lab.test"}}},
		{"another method", eapolFrame(t, eapol.EAPPacket, eapPacket(t, *eap.Nak(1, eap.TypeAKA))), "eap-response",
			[]fields{mac, {"eap-id": 1.0, "eap-type": "Nak", "wanted": []any{"EAP-AKA"}}}},
		{"a challenge", eapolFrame(t, eapol.EAPPacket, akaChallenge(t)), "eap-request", []fields{mac, aka}},
		{"its answer", eapolFrame(t, eapol.EAPPacket, akaAnswer(t)), "eap-response",
			[]fields{mac, {"eap-id": 9.0, "eap-type": "EAP-AKA'", "eap-subtype": "AKA-Challenge", "attributes": []any{"AT_RES", "AT_MAC"}}}},
		{"an identity in it", eapolFrame(t, eapol.EAPPacket, akaMessage(t, eap.Response, eap.Identity, eap.Attribute{Type: eap.ATIDENTITY, Value: []byte("6001@lab.test")})), "eap-response",
			[]fields{mac, {"eap-id": 9.0, "eap-type": "EAP-AKA'", "eap-subtype": "AKA-Identity", "attributes": []any{"AT_IDENTITY"}, "identity": "6001@lab.test"}}},
		{"a notification", eapolFrame(t, eapol.EAPPacket, akaMessage(t, eap.Request, eap.Notification, eap.Number(eap.ATNOTIFICATION, 1031))), "eap-request",
			[]fields{mac, {"eap-id": 9.0, "eap-type": "EAP-AKA'", "eap-subtype": "AKA-Notification", "attributes": []any{"AT_NOTIFICATION"}, "notification": 1031.0}}},
		{"success", eapolFrame(t, eapol.EAPPacket, []byte{3, 9, 0, 4}), "eap-success", []fields{mac, {"eap-id": 9.0}}},
		{"failure", eapolFrame(t, eapol.EAPPacket, []byte{4, 9, 0, 4}), "eap-failure", []fields{mac, {"eap-id": 9.0}}},
		{"no EAP", eapolFrame(t, eapol.EAPPacket, []byte{1}), "eap-malformed", []fields{mac, {"malformed": "EAP packet of 1 octets, want 4 or more: malformed"}}},
		{"EAP in a DER", tcpFrame(t, 1, eapRequest(t)), "diameter-eap-request", []fields{ends, ids, {"application": "STa", "flags": []any{"R", "P"}, "session": "gw;1",
			"origin-host": "gw.lab.test", "nai": "6001@lab.test", "access-network": "WLAN", "eap": "response", "eap-id": 9.0, "eap-type": "EAP-AKA'", "eap-subtype": "AKA-Challenge",
			"attributes": []any{"AT_RES", "AT_MAC"}}}},
		{"EAP in a DEA", tcpFrame(t, 1, eapAnswer(t)), "diameter-eap-answer", []fields{ends, ids, {"application": "STa", "session": "gw;1",
			"origin-host": "aaa.lab.test", "nai": "0001@lab.test", "result": 2001.0, "name": "success", "eap": "success", "eap-id": 9.0}}},
		{"a vector", tcpFrame(t, 1, authAnswer(t)), "multimedia-auth-answer", []fields{ends, ids, {"application": "SWx", "session": "aaa;1", "origin-host": "hss.lab.test",
			"nai": "001", "result": 2001.0, "name": "success", "scheme": "EAP-AKA'", "rand": challengeText}}},
		{"an experimental result", tcpFrame(t, 1, authRefusal(t)), "multimedia-auth-answer", []fields{ends, ids, {"application": "SWx", "session": "aaa;1", "origin-host": "hss.lab.test",
			"nai": "001", "result": 5001.0, "name": "user-unknown"}}},
		{"what a NAF asks", tcpFrame(t, 1, nafAnswer(t)), "bootstrapping-info-request", []fields{ends, ids, {"application": "Zn", "flags": []any{"R", "P"}, "session": "ha;9",
			"origin-host": "ha.lab.test", "b-tid": "one@bsf", "naf": "ha.lab.test"}}},
		{"EAP in RADIUS", radiusFrame(t, accessChallenge(t)), "radius-access-challenge", []fields{back, aka, {"radius-id": 3.0, "eap": "request"}}},
		{"a Binding Update in RADIUS", radiusFrame(t, radiusPacket(t, radius.AccessRequest, radius.Attribute{Type: radius.UserName, Value: []byte("ue@lab.test")},
			radius.Attribute{Type: radius.ThreeGPP2MIP6HOAReceivedFromBU, Value: home.AsSlice()}, radius.Attribute{Type: radius.ThreeGPP2MIP6Authenticator, Value: secret})),
			"radius-access-request", []fields{back, {"radius-id": 3.0, "nai": "ue@lab.test", "home-address": home.String()}}},
		{"a question of Ub", streamFrame(t, 40000, 80, ubAnswer), "ub-request", []fields{ends, {"request": "GET /", "host": "bsf.lab.test", "nai": "ue@lab.test", "authorization": "response", "rand": challengeText}}},
		{"its challenge", streamFrame(t, 80, 40000, ubChallenge), "ub-response", []fields{ends, {"code": 401.0, "name": "unauthorized", "algorithm": "AKAv1-MD5", "rand": challengeText}}},
		{"its last word", streamFrame(t, 80, 40000, ubLastWord), "ub-response", []fields{ends, {"code": 200.0, "name": "ok", "b-tid": "one@bsf"}}},
		{"a challenge in a refusal", challenged(t), "binding-acknowledgement", []fields{{"src": agent.String(), "dst": careOf.String(), "seq": 8.0, "lifetime": 0.0, "status": 128.0,
			"name": "reason-unspecified", "home-address": careOf.String(), "care-of": careOf.String(), "options": []any{"experimental"}, "key-material": []any{"aka-challenge"}, "rand": challengeText}}},
	} {
		want := fields{}
		for _, part := range c.want {
			for k, v := range part {
				want[k] = v
			}
		}
		got := Decode(c.frame)
		if d := cmp.Diff([]Message{{c.name, want}}, got); d != "" {
			t.Errorf("%s: %s", c.what, d)
		}
		b, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(b); strings.Contains(text, "5e5e5e5e") || strings.Contains(text, "Xl5eXl5e") || strings.Contains(text, "^^^^") {
			t.Errorf("%s: a secret is told: %s", c.what, text)
		}
	}
}

func TestHTTPThatIsNotUbIsData(t *testing.T) {
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: cn\r\nUser-Agent: curl/7.88\r\n\r\n", "HTTP/1.1 200 OK\r\nServer: other\r\nContent-Length: 2\r\n\r\nhi", "hello", "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nServer: 3gpp-gba\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nServer: 3gpp-gba\r\nContent-Length: 99999999\r\n\r\n",
	} {
		for _, ports := range [][2]uint16{{80, 40000}, {40000, 80}} {
			if got := Decode(streamFrame(t, ports[0], ports[1], text)); got != nil {
				t.Errorf("%q: %v", text, got)
			}
		}
	}
}

func TestUbIsPutTogetherFromSegments(t *testing.T) {
	var s streams
	f := flow{src: netip.AddrPortFrom(server, 80), dst: netip.AddrPortFrom(home, 40000)}
	all, at := 0, uint32(7)
	for _, part := range []string{ubChallenge[:9], ubChallenge[9:60], ubChallenge[60:] + ubLastWord[:150], ubLastWord[150:]} {
		all += len(s.messages(segment{flow: f, seq: at, data: []byte(part)}, &httpResponses))
		at += uint32(len(part))
	}
	if all != 2 {
		t.Errorf("%d messages, want 2", all)
	}
}

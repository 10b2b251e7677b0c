package aaa

import (
	"testing"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
)

// FuzzStep gives an AAA server that has authenticated one mobile and waits for another
// two messages, from whomever: it writes nothing that is malformed, hands out an
// association only for an authenticator that is right, a key only to the home agent and
// of the B-TID that it is for, and an MSK to nobody, for nobody has answered a challenge.
func FuzzStep(f *testing.F) {
	hssIdentity := diameter.Identity{Host: "hss." + realm, Realm: realm}
	twanIdentity := diameter.Identity{Host: twan, Realm: realm}
	pgwIdentity := diameter.Identity{Host: pgw, Realm: realm}
	identity, err := (&eap.Packet{Code: eap.Response, Identifier: 7, Type: eap.TypeIdentity, Data: []byte(nai0)}).AppendTo(nil)
	if err != nil {
		f.Fatal(err)
	}
	barred := diameter.Non3GPPBarred
	mip6 := request()
	mip6.User = nai0
	aka := *mip6
	aka.Mode, aka.Answer, aka.MobilityData, aka.Authenticator, aka.Timestamp = diameter.AuthAKA, make([]byte, 16), nil, make([]byte, 20), nil
	var seeds [][]byte
	for i, r := range []diampeer.Request{
		&diameter.DiameterEAPRequest{Application: diameter.STa, Session: twan + ";1;9", Identity: twanIdentity, DestinationRealm: realm, User: nai0, Type: diameter.AuthorizeAuthenticate, EAP: identity, AccessNetwork: anid},
		&diameter.DiameterEAPRequest{Application: diameter.SWm, Session: twan + ";1;2", Identity: twanIdentity, DestinationRealm: realm, Type: diameter.AuthorizeAuthenticate, EAP: []byte{2, 8, 0, 4}},
		mip6, &aka,
		&diameter.BootstrappingInfoRequest{Session: pgw + ";1;9", Identity: pgwIdentity, DestinationRealm: realm, Transaction: "x", NAFID: bootstrap.NAFID(pgw)},
		&diameter.SessionTerminationRequest{Application: diameter.STa, Session: twan + ";1;1", Identity: twanIdentity, DestinationRealm: realm, Cause: diameter.Logout},
		&diameter.RegistrationTerminationRequest{Session: "hss;1;1", Identity: hssIdentity, DestinationHost: "aaa." + realm, DestinationRealm: realm, User: imsi, Reason: diameter.PermanentTermination},
		&diameter.PushProfileRequest{Session: "hss;1;2", Identity: hssIdentity, DestinationHost: "aaa." + realm, DestinationRealm: realm, User: imsi, Data: &diameter.Non3GPPUserData{Access: &barred}},
	} {
		b, err := r.AppendTo(nil, diameter.Header{HopByHop: uint32(i + 1000), EndToEnd: uint32(i + 1000)})
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, b)
	}
	// The first answer of the HSS, with nothing that is right for it but its form.
	n := waiting(f, "mip-options", "emsk")
	seeds = append(seeds, n.front.Answer(n.asked[len(n.asked)-1]).Octets)
	for i, b := range seeds {
		for j, c := range seeds {
			if i != j {
				f.Add(uint8(i+j), b, uint8(i), c, uint8(j))
			}
		}
	}
	f.Fuzz(func(t *testing.T, method uint8, first []byte, by uint8, second []byte, and uint8) {
		how := [][2]string{{"mip-options", "emsk"}, {"mip-options", "aka"}, {"mip-options", "gba"}, {"partial-gba", ""}}[method%4]
		n := waiting(t, how[0], how[1])
		for _, in := range []struct {
			octets []byte
			by     uint8
		}{{first, by}, {second, and}} {
			conn := n.from([]string{pgw, twan, "hss." + realm, "bsf." + realm}[in.by%4])
			before := len(n.to)
			n.hear(n.m.Step(n.now, diampeer.Received{Conn: conn, Octets: in.octets, At: n.now}))
			for _, m := range n.to[before:] {
				n.judge(in.octets, m)
			}
		}
		if s := len(n.m.sessions.open); s > 3 {
			t.Fatalf("%d sessions", s)
		}
	})
}

// waiting is a network with one mobile on trusted access, and the authentication of
// another, whose HSS has not answered yet.
func waiting(t testing.TB, how, source string) *network {
	t.Helper()
	n := newNetwork(t, how, source)
	n.bsf = func(*diameter.BootstrappingInfoRequest) *diameter.BootstrappingInfoAnswer {
		return &diameter.BootstrappingInfoAnswer{Outcome: diameter.Outcome{Result: diameter.Success}, User: nai0, Key: make([]byte, 32)}
	}
	n.admitted(newMobile(t), "1")
	n.silent["hss."+realm] = true
	a := n.attach(newMobile(t), "2", eap.TypeAKAPrime)
	n.m.eap.policy.Aliases = nil
	if a.turn() {
		t.Fatal("answered without a vector")
	}
	return n
}

// judge says whether what was answered to octets may be.
func (n *network) judge(octets []byte, m *diameter.Message) {
	n.Helper()
	request, err := diameter.Parse(octets)
	if err != nil {
		return
	}
	switch {
	case m.Find(diameter.EAPMasterSessionKey) != nil:
		n.Fatal("an MSK for nobody")
	case m.Find(diameter.MIPMNHAMSA) != nil:
		r, err := diameter.ParseMIP6Request(request)
		if err != nil || len(r.MobilityData) != 20 {
			n.Fatalf("an association for %+v", r)
		}
		found := bootstrap.Found{NAF: make([]byte, 32)}
		if known := n.m.records.byNAI[r.User]; known != nil {
			found.Access = known.access
		}
		root, ok := n.m.authority.method.MNAAA(&found)
		want := keys.MNAAA(root.Value, [20]byte(r.MobilityData))
		if !ok || string(r.Authenticator) != string(want[:]) {
			n.Fatal("an association for an authenticator that is not right")
		}
	case m.Find(diameter.MEKeyMaterial) != nil:
		r, err := diameter.ParseBootstrappingInfoRequest(request)
		if err != nil || n.m.records.byBTID[r.Transaction] == nil {
			n.Fatal("a key of nobody")
		}
	}
}

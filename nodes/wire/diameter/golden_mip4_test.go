package diameter

import (
	"errors"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"
)

var (
	home4  = netip.MustParseAddr("192.0.2.10")
	agent4 = netip.MustParseAddr("192.0.2.1")
)

var mip4Typed = []sample{
	{"aa-mobile-node-request", Header{HopByHop: 0x51, EndToEnd: 0x52}, &AAMobileNodeRequest{
		Session: session, Identity: pgw, DestinationRealm: "nai." + realm, User: nai,
		Registration: unhex("0122070800000000c0000201c6336463cacc680080000000" +
			"8335" + "303031303130303030303030303031406e61692e6570632e6d6e633030312e6d63633030312e336770706e6574776f726b2e6f7267" +
			"2a01000400010001" + "2401001400000100" + "a55e15678d2cd97f99a43717a4922adf"),
		SPI: 256, Covers: 95, Offset: 95, Size: 16, HomeAgent: agent4, KeyRequested: true,
	}, reading(ParseAAMobileNodeRequest)},
	{"aa-mobile-node-answer", asked(AAMobileNode, MIP4, 0x51, 0x52), &AAMobileNodeAnswer{
		Session: session, Outcome: Outcome{Result: Success}, Identity: server, User: nai, HomeAgent: agent4, Home: home4,
		MSA: &MSA{Key: unhex("b311dd07203288883d1eb79939311c26039e7655"), Lifetime: time.Hour, SPI: 131074, Algorithm: HMACSHA1, Replay: ReplayTimestamp,
			Nonce: unhex("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf")},
	}, reading(ParseAAMobileNodeAnswer)},
}

// What a server would read past the end for: RFC 4004, section 7.6.
func TestAnAuthenticatorOutsideOfItsRegistrationIsRefused(t *testing.T) {
	good := *mip4Typed[0].value.(*AAMobileNodeRequest)
	if string(good.Covered())+string(good.Authenticator()) != string(good.Registration) {
		t.Errorf("covered %x, authenticator %x", good.Covered(), good.Authenticator())
	}
	for what, change := range map[string]func(r *AAMobileNodeRequest){
		"it ends outside":                 func(r *AAMobileNodeRequest) { r.Size++ },
		"it begins outside":               func(r *AAMobileNodeRequest) { r.Offset = math.MaxUint32 },
		"it is empty":                     func(r *AAMobileNodeRequest) { r.Size = 0 },
		"it covers more than there is":    func(r *AAMobileNodeRequest) { r.Covers = 112 },
		"it has the length of everything": func(r *AAMobileNodeRequest) { r.Size = math.MaxUint32 },
	} {
		bad := good
		change(&bad)
		if _, err := bad.AppendTo(nil, Header{}); err == nil {
			t.Errorf("%s: appended", what)
		}
		b, err := good.AppendTo(nil, Header{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		m.Find(MIPMNAAAAuth).Data = slices.Concat(u32(MIPMNAAASPI, bad.SPI), u32(MIPAuthInputDataLength, bad.Covers), u32(MIPAuthenticatorLength, bad.Size), u32(MIPAuthenticatorOffset, bad.Offset))
		var failure *Failure
		if _, err := ParseAAMobileNodeRequest(m); !errors.As(err, &failure) || failure.Result != InvalidAVPValue {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func u32(c Code, v uint32) []byte { return appendUint32(nil, c, v) }

func TestAnAnswerThatGrantsNamesHomeAgentAndHomeAddressAndOneAssociation(t *testing.T) { // RFC 4004, section 5.2
	for what, change := range map[string]func(a *AAMobileNodeAnswer){
		"no home agent":   func(a *AAMobileNodeAnswer) { a.HomeAgent = netip.Addr{} },
		"no home address": func(a *AAMobileNodeAnswer) { a.Home = netip.Addr{} },
	} {
		a := *mip4Typed[1].value.(*AAMobileNodeAnswer)
		change(&a)
		if err := readAnswer(t, &a, nil); err == nil || err.(*Failure).Result != MissingAVP {
			t.Errorf("%s: %v", what, err)
		}
	}
	a := mip4Typed[1].value.(*AAMobileNodeAnswer)
	for _, c := range []Code{MIPMNToHAMSA, MIPHAToMNMSA, MIPMSALifetime} {
		if err := readAnswer(t, a, func(m *Message) { m.AVPs = slices.DeleteFunc(m.AVPs, func(a AVP) bool { return a.Code == c }) }); err == nil || err.(*Failure).Result != MissingAVP {
			t.Errorf("without %v: %v", c, err)
		}
	}
	if err := readAnswer(t, a, func(m *Message) {
		m.Find(MIPHAToMNMSA).Data = slices.Concat(u32(MIPAlgorithmType, 3), u32(MIPReplayMode, 2), appendOctets(nil, MIPSessionKey, "key"))
	}); err == nil || err.(*Failure).Result != ContradictingAVPs {
		t.Errorf("two algorithms: %v", err)
	}
}

func readAnswer(t *testing.T, a *AAMobileNodeAnswer, change func(m *Message)) error {
	t.Helper()
	b, err := a.AppendTo(nil, Header{Flags: Request | Proxiable, Command: AAMobileNode, Application: MIP4})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(m)
	}
	_, err = ParseAAMobileNodeAnswer(m)
	return err
}

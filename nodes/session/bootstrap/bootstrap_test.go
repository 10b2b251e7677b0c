package bootstrap

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/mh"
)

const (
	nai   = "0001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
	realm = "epc.mnc001.mcc001.3gppnetwork.org"
)

var (
	now       = time.Date(2007, 10, 26, 13, 20, 0, 0, time.UTC)
	homeAgent = Agent{Address: netip.MustParseAddr("2001:db8:100::1"), Host: "pgw." + realm}
	other     = Agent{Address: netip.MustParseAddr("2001:db8:100::2"), Host: "pgw-2." + realm}
	freshness = [8]byte{1, 2, 3}
	nonce     = []byte("a nonce of 128 b")
)

// A card that gives the same keys for each challenge.
type card struct{ err error }

func (c card) Authenticate(rand, _ [16]byte) (usim.Response, error) {
	return usim.Response{RES: []byte{1, 2, 3, 4}, CK: rand, IK: [16]byte{9}}, c.err
}

// shared gives both sides what a method may need.
func shared() (*Held, *Found) {
	access := &keys.Access{Method: "eap-aka-prime", Identity: nai, EMSK: [64]byte{5}, RAND: [16]byte{6}, CK: [16]byte{7}, IK: [16]byte{8}}
	g := &keys.GBA{Ks: keys.Ks([16]byte{1}, [16]byte{2}), RAND: [16]byte{3}, IMPI: nai, BTID: keys.BTID([16]byte{3}, "bsf."+realm), Ends: now.Add(time.Hour)}
	key := bytes.Repeat([]byte{7}, 16)
	return &Held{NAI: nai, MNAAASPI: 3, MNAAAKey: key, Realm: realm, Access: access, GBA: g, Card: card{}}, &Found{Provisioned: key, Access: access}
}

// each runs a test for every method that has two sides.
func each(t *testing.T, test func(t *testing.T, m Method)) {
	ran := 0
	for _, name := range slices.Sorted(maps.Keys(methods)) {
		if m := methods[name]; m.Mobile != nil {
			m.Name = name
			ran++
			t.Run(name, func(t *testing.T) { test(t, m) })
		}
	}
	if ran < 10 {
		t.Errorf("%d methods", ran)
	}
}

// network is the key that the network gives a home agent, and what it tells the
// mobile node, for a proof.
func network(t *testing.T, m Method, h *Held, f *Found, p *Proof, to Agent) (keys.Derived, []mh.KeyMaterial) {
	t.Helper()
	naf := func(fqdn string, g *keys.GBA) []byte {
		key, err := keys.KsNAF(g.Ks, g.RAND, g.IMPI, NAFID(fqdn))
		if err != nil {
			t.Fatal(err)
		}
		return key[:]
	}
	if m.Keeper != nil {
		f.NAF = naf(to.Host, h.GBA)
		if m.Name == "partial-gba" {
			f.NAF = naf(to.Host, Partial(f.Access, realm))
		}
		key, spi, ok := m.Keeper.Key(f, p.Identifier, to)
		if !ok || p.Subtype != mh.MNHA || spi != 0 && spi != p.SPI || p.SPI < firstSPI {
			t.Fatalf("the network has %v for SPI %d, %v; the mobile node proves by %v under %d", key, spi, ok, p.Subtype, p.SPI)
		}
		return key, nil
	}
	f.NAF = naf(ServersOf(realm), h.GBA)
	root, ok := m.Server.MNAAA(f)
	if !ok || !bytes.Equal(root.Value, p.Key.Value) || p.Subtype != mh.MNAAA || p.SPI != mh.HMACSHA1SPI {
		t.Fatalf("the network has %v, %v; the mobile node proves by %v under %d, with %v", root, ok, p.Subtype, p.SPI, p.Key)
	}
	return m.Server.Associate(root, Request{Identifier: p.Identifier, HomeAgent: to, Freshness: freshness, Lifetime: time.Hour, Nonce: nonce})
}

// prove answers challenges on the way.
func prove(t *testing.T, m Method, h *Held, f *Found, to Agent) Proof {
	t.Helper()
	if need := m.Mobile.Lacks(h, now); need != Nothing {
		t.Fatalf("lacks %v", need)
	}
	p := m.Mobile.Prove(h, to)
	c, challenged := m.Mobile.(Challenged)
	if !challenged {
		return p
	}
	if len(p.Options) != 1 || p.Options[0].(mh.KeyMaterial).Kind != mh.AKARequest {
		t.Fatalf("asks by %v", p.Options)
	}
	v := &keys.Vector{RAND: [16]byte{4}, CK: [16]byte{4}, IK: [16]byte{9}}
	again, err := c.Challenge(h, mh.KeyMaterial{Kind: mh.AKAChallenge, Data: append(v.RAND[:], v.AUTN[:]...)})
	if !again || err != nil {
		t.Fatalf("a challenge: %v, %v", again, err)
	}
	f.Challenge = v
	return m.Mobile.Prove(h, to)
}

func TestBothSidesMakeTheSameKey(t *testing.T) {
	each(t, func(t *testing.T, m Method) {
		h, f := shared()
		p := prove(t, m, h, f, homeAgent)
		theirs, told := network(t, m, h, f, &p, homeAgent)
		a := Acknowledgement{HomeAgent: homeAgent, SPI: p.SPI, Freshness: freshness}
		for _, k := range told {
			a.Options = append(a.Options, k)
		}
		ours, err := m.Mobile.Conclude(h, &p, a)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours.Value, theirs.Value) || len(ours.Value) < mnHAKey {
			t.Errorf("%v and %v", ours, theirs)
		}
		if ours.Name != keys.NameMNHA || theirs.Name != keys.NameMNHA || ours.How == "" || theirs.How == "" {
			t.Errorf("told as %q, %q and %q, %q", ours.Name, ours.How, theirs.Name, theirs.How)
		}
	})
}

func TestAKeyIsForOneHomeAgentOrOneBindingUpdate(t *testing.T) {
	each(t, func(t *testing.T, m Method) {
		h, f := shared()
		p := prove(t, m, h, f, homeAgent)
		first, _ := network(t, m, h, f, &p, homeAgent)
		var second keys.Derived
		if m.Keeper != nil {
			again := m.Mobile.Prove(h, other)
			second, _ = network(t, m, h, f, &again, other)
		} else {
			root, _ := m.Server.MNAAA(f)
			second, _ = m.Server.Associate(root, Request{Identifier: p.Identifier, HomeAgent: other, Freshness: [8]byte{9}, Nonce: []byte("another of 128 b")})
		}
		if bytes.Equal(first.Value, second.Value) {
			t.Errorf("the same key")
		}
	})
}

func TestNothingIsMadeOfWhatIsNotThere(t *testing.T) {
	each(t, func(t *testing.T, m Method) {
		switch h := (&Held{NAI: nai, Realm: realm, Card: card{}}); m.Name {
		case "partial-gba", "wimax", "mip-options/emsk":
			if need := m.Mobile.Lacks(h, now); need != AccessKeys {
				t.Errorf("without access keys: lacks %v", need)
			}
		case "gba", "gba-rfc3957", "mip-options/gba":
			if need := m.Mobile.Lacks(h, now); need != GBAKeys {
				t.Errorf("without GBA keys: lacks %v", need)
			}
			h, _ := shared()
			if need := m.Mobile.Lacks(h, h.GBA.Ends); need != GBAKeys {
				t.Errorf("with GBA keys that have ended: lacks %v", need)
			}
		}
		if m.Keeper != nil {
			if key, _, ok := m.Keeper.Key(&Found{}, nai, homeAgent); ok {
				t.Errorf("the network makes %v of nothing", key)
			}
		} else if key, ok := m.Server.MNAAA(&Found{}); ok {
			t.Errorf("the network makes %v of nothing", key)
		}
	})
}

func TestANonceThatIsMissingOrShortMakesNoKey(t *testing.T) {
	for _, name := range []string{"gba-rfc3957", "mipv4"} {
		m := methods[name]
		t.Run(name, func(t *testing.T) { makesNoKey(t, m) })
	}
}

func makesNoKey(t *testing.T, m Method) {
	h, _ := shared()
	p := m.Mobile.Prove(h, homeAgent)
	for _, options := range [][]mh.Option{nil, {mh.KeyMaterial{Kind: mh.Nonce, Data: make([]byte, 19)}}, {mh.KeyMaterial{Kind: mh.AKAChallenge, Data: make([]byte, 32)}}} {
		if key, err := m.Mobile.Conclude(h, &p, Acknowledgement{HomeAgent: homeAgent, Options: options}); err == nil {
			t.Errorf("%v: %v", options, key)
		}
	}
}

// RFC 3957, section 5: the key is not truncated, unlike one of Mobile IPv6.
func TestAKeyOfMobileIPv4IsAllOfHMACSHA1(t *testing.T) {
	m := methods["mipv4"]
	h, f := shared()
	p := m.Mobile.Prove(h, homeAgent)
	root, _ := m.Server.MNAAA(f)
	theirs, told := m.Server.Associate(root, Request{Identifier: p.Identifier, HomeAgent: homeAgent, Lifetime: time.Hour, Nonce: nonce})
	want, err := keys.GeneratedKey(h.MNAAAKey, nonce, []byte(nai))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := m.Mobile.Conclude(h, &p, Acknowledgement{HomeAgent: homeAgent, Options: []mh.Option{told[0]}})
	if err != nil || !bytes.Equal(ours.Value, want[:]) || !bytes.Equal(theirs.Value, want[:]) || ours.Lifetime != time.Hour {
		t.Errorf("%v for %v, %v, want all of HMAC-SHA1 for an hour", ours, ours.Lifetime, err)
	}
}

func TestAChallengeIsAnsweredOnce(t *testing.T) {
	m, err := Of("", "mip-options", "aka")
	if err != nil {
		t.Fatal(err)
	}
	h, f := shared()
	prove(t, m, h, f, homeAgent)
	if k := m.Mobile.Prove(h, homeAgent).Options[0].(mh.KeyMaterial); k.Kind != mh.AKARequest {
		t.Errorf("after the answer: %v", k.Kind)
	}
}

func TestACardThatIsAheadAsksForResynchronisation(t *testing.T) {
	m, err := Of("", "mip-options", "aka")
	if err != nil {
		t.Fatal(err)
	}
	h, _ := shared()
	h.Card = card{err: &usim.SyncError{AUTS: [14]byte{1, 2}}}
	challenge := mh.KeyMaterial{Kind: mh.AKAChallenge, Data: bytes.Repeat([]byte{3}, 32)}
	if again, err := m.Mobile.(Challenged).Challenge(h, challenge); !again || err != nil {
		t.Fatalf("%v, %v", again, err)
	}
	k := m.Mobile.Prove(h, homeAgent).Options[0].(mh.KeyMaterial)
	if k.Kind != mh.AKAResynchronised || len(k.Data) != 30 || k.Data[0] != 3 || k.Data[16] != 1 {
		t.Errorf("%v, %x", k.Kind, k.Data)
	}
}

func TestAChallengeThatIsNotTheNetworksIsNotAnswered(t *testing.T) {
	m, err := Of("", "mip-options", "aka")
	if err != nil {
		t.Fatal(err)
	}
	h, _ := shared()
	h.Card = card{err: usim.ErrMAC}
	for _, data := range [][]byte{make([]byte, 32), make([]byte, 31), nil} {
		if again, err := m.Mobile.(Challenged).Challenge(h, mh.KeyMaterial{Kind: mh.AKAChallenge, Data: data}); again || err == nil {
			t.Errorf("of %d octets: %v, %v", len(data), again, err)
		}
	}
}

func TestAMethodThatIsNotKnownIsToldWithThoseThatAre(t *testing.T) {
	for _, c := range [][2]string{{"gab", ""}, {"mip-options", "emks"}} {
		if _, err := Of("", c[0], c[1]); err == nil || !strings.Contains(err.Error(), "partial-gba") {
			t.Errorf("%v: %v", c, err)
		}
	}
	for profile, want := range map[string]string{"": "gba", "3gpp": "gba", "wimax": "wimax", "3gpp2": "3gpp2", "mipv4": "mipv4"} {
		if m, err := Of(profile, "gba", ""); err != nil || m.Name != want {
			t.Errorf("profile %q: %v, %v", profile, m.Name, err)
		}
	}
}

func TestADerivedKeyIsNotPrinted(t *testing.T) {
	d := keys.Derived{Name: "MN-HA key", Value: []byte("a secret of 16 o")}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		if text := fmt.Sprintf(format, d); strings.Contains(text, "secret") || strings.Contains(text, "736563726574") {
			t.Errorf("%s prints %s", format, text)
		}
	}
	for name, value := range d.Fields(nai, false) {
		if text := fmt.Sprint(value); strings.Contains(text, "secret") || strings.Contains(text, "736563726574") {
			t.Errorf("field %s is %s", name, text)
		}
	}
}

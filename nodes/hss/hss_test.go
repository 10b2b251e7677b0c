package hss

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/hss/store"
	"s2clab/nodes/keys"
	"s2clab/nodes/wire/diameter"
)

// imsi is that of the subscriber of subscriber.
const imsi = "001010000000001"

// subscriber has the keys of TS 35.208, test set 1.
func subscriber() store.Subscriber {
	return store.Subscriber{
		IMSI:      imsi,
		K:         octets("465b5ce8b199b49faa5f0a2ee238a6bc"),
		OPc:       octets("cd63cb71954a9f4e48a5994e37a02baf"),
		Algorithm: store.Milenage,
		AMF:       [2]byte{0xb9, 0xb9},
		MSISDN:    "491700000001",
		APNs: []store.APN{
			{Name: "internet", PDN: store.PDNIPv4v6, Allocation: store.Dynamic},
			{Name: "ims", PDN: store.PDNIPv6, Allocation: store.Static, Gateway: store.Gateway{Host: "ha.example", Realm: "example"}},
			{Name: "mms", PDN: store.PDNIPv4, Barred: true, Allocation: store.Dynamic},
		},
		DefaultAPN: "ims",
		GBA:        store.GBA{Allowed: true, Lifetime: time.Hour},
	}
}

func octets(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}

// source is one of random octets that are the same in each run.
func source() *rand.ChaCha8 { return rand.NewChaCha8([32]byte{1}) }

// with makes a machine that has these subscribers.
func with(t testing.TB, subs ...store.Subscriber) *Machine {
	t.Helper()
	m := New(store.Memory(), source())
	for _, s := range subs {
		if _, err := m.Put(s); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

var aka = AuthenticationRequest{Server: "aaa.example", IMSI: imsi, Scheme: diameter.SchemeEAPAKA, Vectors: 1}

func TestAVectorIsThatOfTheSubscribersKeyAndNextSequenceNumber(t *testing.T) {
	for _, o := range []struct {
		name    string
		op, opc string
	}{{"OPc", "", "cd63cb71954a9f4e48a5994e37a02baf"}, {"OP", "cdc202d5123e20f62b6d676ac72cb318", ""}} {
		s := subscriber()
		s.OP, s.OPc = nil, nil
		if o.op != "" {
			s.OP = octets(o.op)
		} else {
			s.OPc = octets(o.opc)
		}
		// TS 35.208, test set 1: SQN ff9bb4d0b607 is the next, AMF b9b9 has the separation bit.
		m := New(store.Memory(), bytes.NewReader(octets("23553cbe9637a89d218ae64dae47bf35")))
		if _, err := m.Put(s); err != nil {
			t.Fatal(err)
		}
		if err := m.store.SetSQN(imsi, 0xff9bb4d0b607-1<<5-1); err != nil {
			t.Fatal(err)
		}
		a := m.Authenticate(AuthenticationRequest{Server: "aaa.example", IMSI: imsi, Scheme: diameter.SchemeEAPAKAPrime, Network: "WLAN", Vectors: 1})
		if a.Result != diameter.Success || len(a.Vectors) != 1 {
			t.Fatalf("%s: %s, %v", o.name, a.Result, a.Err)
		}
		want := keys.Vector{
			RAND: [16]byte(octets("23553cbe9637a89d218ae64dae47bf35")),
			AUTN: [16]byte(octets("55f328b43577b9b94a9ffac354dfafb3")),
			XRES: octets("a54211d5e3ba50bf"),
		}
		want.CK, want.IK = keys.BindToNetwork([16]byte(octets("b40ba9a3c58b2a05bbf0d987b21bf8cb")), [16]byte(octets("f769bcd751044604127672711c6d3441")),
			"WLAN", [6]byte(want.AUTN[:6]))
		if diff := cmp.Diff(want, a.Vectors[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", o.name, diff)
		}
	}
}

// accept is the card's side: what it finds in a challenge of which the MAC is
// right.
func accept(t testing.TB, s store.Subscriber, v keys.Vector) (sqn keys.SQN, amf [2]byte, answer keys.Answer) {
	t.Helper()
	f, err := newAlgorithm(&s)
	if err != nil {
		t.Fatal(err)
	}
	answer = f.F2345(v.RAND)
	sqn, amf, mac := keys.OpenAUTN(v.AUTN, answer.AK)
	if f.F1(v.RAND, sqn.Octets(), amf) != mac {
		t.Fatal("the network's MAC is not right")
	}
	return sqn, amf, answer
}

func TestTheSeparationBitSaysForWhichAccessAVectorIs(t *testing.T) {
	m := with(t, subscriber())
	prime := aka
	prime.Scheme, prime.Network = diameter.SchemeEAPAKAPrime, "WLAN"
	if _, amf, a := accept(t, subscriber(), m.Authenticate(aka).Vectors[0]); amf != [2]byte{0x39, 0xb9} {
		t.Errorf("EAP-AKA: AMF %x, %v", amf, a)
	}
	if _, amf, _ := accept(t, subscriber(), m.Authenticate(prime).Vectors[0]); amf != [2]byte{0xb9, 0xb9} {
		t.Errorf("EAP-AKA': AMF %x", amf)
	}
	if _, amf, _ := accept(t, subscriber(), m.Bootstrap(BootstrapRequest{User: imsi}).Vector); amf != [2]byte{0x39, 0xb9} {
		t.Errorf("GBA: AMF %x", amf)
	}
}

func TestKeysOfEAPAKAAreTheCardsAndOfEAPAKAPrimeBoundToTheNetwork(t *testing.T) {
	m := with(t, subscriber())
	v := m.Authenticate(aka).Vectors[0]
	if _, _, card := accept(t, subscriber(), v); v.CK != card.CK || v.IK != card.IK || !bytes.Equal(v.XRES, card.RES) {
		t.Error("the vector is not what the card has")
	}
	prime := aka
	prime.Scheme = diameter.SchemeEAPAKAPrime
	for _, network := range []string{"WLAN", "HRPD"} {
		prime.Network = network
		v := m.Authenticate(prime).Vectors[0]
		_, _, card := accept(t, subscriber(), v)
		ck, ik := keys.BindToNetwork(card.CK, card.IK, network, [6]byte(v.AUTN[:6]))
		if v.CK != ck || v.IK != ik {
			t.Errorf("%s: the keys are not bound to it", network)
		}
	}
}

func TestTUAKIsAsGoodAsMilenage(t *testing.T) {
	s := subscriber()
	s.Algorithm, s.K, s.OPc = store.TUAK, append(s.K, s.K...), nil
	s.OP = bytes.Repeat([]byte{7}, 32)
	accept(t, s, with(t, s).Authenticate(aka).Vectors[0])
	long, err := keys.TOPc(s.K, [32]byte(s.OP), 1)
	if err != nil {
		t.Fatal(err)
	}
	bound := s
	bound.OP, bound.OPc = nil, long[:]
	if !cmp.Equal(with(t, s).Authenticate(aka), with(t, bound).Authenticate(aka)) {
		t.Error("TOP and the TOPc made of it give different vectors")
	}
}

func TestVectorsOfOneAnswerHaveTheirOwnSequenceNumbersAndChallenges(t *testing.T) {
	m := with(t, subscriber())
	for asked, want := range map[uint32]int{0: 1, 1: 1, 3: 3, 5: 5, 6: 5, 1 << 31: 5} {
		r := aka
		r.Vectors = asked
		got := m.Authenticate(r).Vectors
		if len(got) != want {
			t.Errorf("%d vectors where %d were asked for, want %d", len(got), asked, want)
		}
		for i := 1; i < len(got); i++ {
			before, _, _ := accept(t, subscriber(), got[i-1])
			if now, _, _ := accept(t, subscriber(), got[i]); now != before+1<<5+1 || got[i].RAND == got[i-1].RAND {
				t.Errorf("vector %d follows %v with %v", i, before, now)
			}
		}
	}
}

func TestWhoMayNotIsToldWhyAndNoSequenceNumberIsSpent(t *testing.T) {
	change := func(f func(*store.Subscriber)) store.Subscriber {
		s := subscriber()
		f(&s)
		return s
	}
	ask := func(f func(*AuthenticationRequest)) AuthenticationRequest {
		r := aka
		f(&r)
		return r
	}
	hrpd := store.RATHRPD
	for _, c := range []struct {
		name string
		s    store.Subscriber
		r    AuthenticationRequest
		want diameter.ResultCode
	}{
		{"somebody else", subscriber(), ask(func(r *AuthenticationRequest) { r.IMSI = "001010000000002" }), diameter.UserUnknown},
		{"no APN", change(func(s *store.Subscriber) { s.APNs, s.DefaultAPN = nil, "" }), aka, diameter.UserNoNon3GPPSubscription},
		{"another access", change(func(s *store.Subscriber) { s.RATTypes = []store.RATType{store.RATWLAN} }), ask(func(r *AuthenticationRequest) { r.RAT = &hrpd }), diameter.RATTypeNotAllowed},
		{"no access", change(func(s *store.Subscriber) { s.RATTypes = []store.RATType{} }), ask(func(r *AuthenticationRequest) { r.RAT = &hrpd }), diameter.RATTypeNotAllowed},
		{"one of the accesses", change(func(s *store.Subscriber) { s.RATTypes = []store.RATType{store.RATWLAN, hrpd} }), ask(func(r *AuthenticationRequest) { r.RAT = &hrpd }), diameter.Success},
		{"an access that is not told", change(func(s *store.Subscriber) { s.RATTypes = []store.RATType{store.RATWLAN} }), aka, diameter.Success},
		{"EAP-SIM", subscriber(), ask(func(r *AuthenticationRequest) { r.Scheme = "EAP-SIM" }), diameter.AuthSchemeNotSupported},
		{"EAP-AKA' without a network", subscriber(), ask(func(r *AuthenticationRequest) { r.Scheme = diameter.SchemeEAPAKAPrime }), diameter.MissingAVP},
		{"an AUTS of nobody", subscriber(), ask(func(r *AuthenticationRequest) { r.Resync = &diameter.Resync{} }), diameter.AuthenticationDataUnavailable},
		{"barred", change(func(s *store.Subscriber) { s.BarredNon3GPP = true }), aka, diameter.Success}, // the AAA server refuses
	} {
		m := with(t, c.s)
		a := m.Authenticate(c.r)
		if a.Result != c.want || (a.Text == "") != (c.want == diameter.Success) || (len(a.Vectors) > 0) != (c.want == diameter.Success) {
			t.Errorf("%s: %s (%s), %d vectors, want %s", c.name, a.Result, a.Text, len(a.Vectors), c.want)
		}
		if sqn, err := m.store.SQN(imsi); err != nil || (sqn == 0) != (c.want != diameter.Success) {
			t.Errorf("%s: the sequence number is %v", c.name, sqn)
		}
	}
}

func TestACardThatIsAheadIsFollowed(t *testing.T) {
	m, s := with(t, subscriber()), subscriber()
	card, err := newAlgorithm(&s)
	if err != nil {
		t.Fatal(err)
	}
	first := m.Authenticate(aka).Vectors[0]
	const ahead = keys.SQN(7000<<5 | 3)
	r := aka
	r.Resync = &diameter.Resync{RAND: first.RAND, AUTS: keys.NewAUTS(card, first.RAND, ahead)}
	a := m.Authenticate(r)
	if a.Result != diameter.Success {
		t.Fatalf("%s: %s", a.Result, a.Text)
	}
	if sqn, _, _ := accept(t, s, a.Vectors[0]); sqn>>5 <= ahead>>5 {
		t.Errorf("the next has %v, and the card is at %v", sqn, ahead)
	}
	before, _ := m.store.SQN(imsi)
	r.Resync.AUTS[13] ^= 1
	if a := m.Authenticate(r); a.Result != diameter.AuthenticationDataUnavailable || !errors.Is(a.Err, keys.ErrAUTS) {
		t.Errorf("a MAC that is not right: %s, %v", a.Result, a.Err)
	}
	if after, _ := m.store.SQN(imsi); after != before {
		t.Errorf("a MAC that is not right moved %v to %v", before, after)
	}
	b := m.Bootstrap(BootstrapRequest{User: imsi, Resync: &diameter.Resync{RAND: first.RAND, AUTS: keys.NewAUTS(card, first.RAND, ahead+5000<<5)}})
	if sqn, _, _ := accept(t, s, b.Vector); sqn>>5 <= (ahead+5000<<5)>>5 {
		t.Errorf("over Zh, the next has %v", sqn)
	}
}

func TestASubscriberIsKnownByTheIMPIThatIsMadeOfItsIMSI(t *testing.T) {
	none := subscriber()
	none.IMSI, none.GBA = "001010000000002", store.GBA{}
	m := with(t, subscriber(), none)
	for user, want := range map[string]diameter.ResultCode{
		imsi: diameter.Success,
		imsi + "@ims.mnc001.mcc001.3gppnetwork.org": diameter.Success,
		"001010000000002": diameter.AuthorizationRejected,
		"001010000000009": diameter.IdentityUnknown,
		"@" + imsi:        diameter.IdentityUnknown,
		"":                diameter.IdentityUnknown,
	} {
		a := m.Bootstrap(BootstrapRequest{User: user})
		if a.Result != want || want == diameter.Success && a.Lifetime != time.Hour || want != diameter.Success && a.Vector.XRES != nil {
			t.Errorf("%q: %s, lifetime %v, want %s", user, a.Result, a.Lifetime, want)
		}
	}
}

func TestNothingIsGivenAwayThatTheStoreCouldNotKeep(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "s.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := New(s, source())
	if _, err := m.Put(subscriber()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // nothing can be written from now on
		t.Fatal(err)
	}
	if a := m.Authenticate(aka); a.Result != diameter.AuthenticationDataUnavailable || a.Err == nil || len(a.Vectors) > 0 {
		t.Errorf("vectors: %s, %v", a.Result, a.Err)
	}
	if a := m.Bootstrap(BootstrapRequest{User: imsi}); a.Result != diameter.AuthenticationDataUnavailable || a.Err == nil {
		t.Errorf("bootstrapping: %s, %v", a.Result, a.Err)
	}
	if a := m.Assign(AssignmentRequest{Server: "aaa.example", IMSI: imsi, Type: diameter.Registration}); a.Result != diameter.UnableToComply || a.Err == nil || a.Profile != nil {
		t.Errorf("registration: %s, %v", a.Result, a.Err)
	}
}

func TestOneAAAServerServesASubscriber(t *testing.T) {
	m := with(t, subscriber())
	register := func(server string) AssignmentAnswer {
		return m.Assign(AssignmentRequest{Server: server, IMSI: imsi, Type: diameter.Registration})
	}
	ask := func(server string, failed bool) AuthenticationAnswer {
		r := aka
		r.Server, r.ServerFailed = server, failed
		return m.Authenticate(r)
	}
	if a := register("aaa1.example"); a.Result != diameter.Success || a.Profile == nil {
		t.Fatalf("the first: %s", a.Result)
	}
	if a := register("AAA1.example"); a.Result != diameter.Success || a.Profile == nil {
		t.Errorf("the first again: %s", a.Result)
	}
	if a := register("aaa2.example"); a.Result != diameter.IdentityAlreadyRegistered || a.Server != "aaa1.example" || a.Profile != nil {
		t.Errorf("another: %s, %q", a.Result, a.Server)
	}
	if a := ask("aaa2.example", false); a.Result != diameter.IdentityAlreadyRegistered || a.Server != "aaa1.example" || len(a.Vectors) > 0 {
		t.Errorf("vectors for another: %s, %q", a.Result, a.Server)
	}
	if a := ask("aaa1.example", false); a.Result != diameter.Success {
		t.Errorf("vectors for the first: %s", a.Result)
	}
	if a := ask("aaa2.example", true); a.Result != diameter.Success {
		t.Errorf("vectors for another, when the first has failed: %s", a.Result)
	}
	if a := register("aaa2.example"); a.Result != diameter.Success {
		t.Errorf("another, when the first has failed: %s", a.Result)
	}
	if a := register("aaa1.example"); a.Result != diameter.IdentityAlreadyRegistered || a.Server != "aaa2.example" {
		t.Errorf("the first comes back: %s, %q", a.Result, a.Server)
	}
}

func TestTheProfileTellsWhichGatewayServesEachAPN(t *testing.T) {
	m := with(t, subscriber())
	sar := func(kind diameter.ServerAssignmentType) AssignmentAnswer {
		return m.Assign(AssignmentRequest{Server: "aaa.example", IMSI: imsi, Type: kind})
	}
	update := func(apn string, g store.Gateway) diameter.ResultCode {
		return m.Assign(AssignmentRequest{Server: "aaa.example", IMSI: imsi, Type: diameter.PGWUpdate, APN: apn, Gateway: g}).Result
	}
	here := store.Gateway{Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::7")}}
	fixed := store.Gateway{Host: "HA.example", Realm: "example"}
	if got := sar(diameter.AAAUserDataRequest).Result; got != diameter.IdentityNotRegistered {
		t.Errorf("a profile for nobody: %s", got)
	}
	if got := update("internet", here); got != diameter.IdentityNotRegistered {
		t.Errorf("a gateway of nobody: %s", got)
	}
	got := sar(diameter.Registration).Profile
	want := &Profile{IMSI: imsi, MSISDN: "491700000001", APNs: subscriber().APNs, DefaultAPN: 2}
	addresses := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, got, addresses); diff != "" {
		t.Errorf("first profile (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		apn  string
		g    store.Gateway
		want diameter.ResultCode
	}{
		{"Internet", here, diameter.Success},
		{"ims", here, diameter.UnableToComply}, // another is fixed
		{"ims", fixed, diameter.Success},
		{"mms", here, diameter.UserNoAPNSubscription}, // barred
		{"other", here, diameter.UserNoAPNSubscription},
		{"", here, diameter.MissingAVP},
		{"*", here, diameter.MissingAVP},
		{"internet", store.Gateway{Host: "no host", Realm: "example"}, diameter.UnableToComply},
		{"internet", store.Gateway{Addresses: []netip.Addr{netip.IPv6Unspecified()}}, diameter.UnableToComply},
	} {
		if got := update(c.apn, c.g); got != c.want {
			t.Errorf("gateway %v of %q: %s, want %s", c.g, c.apn, got, c.want)
		}
	}
	want.APNs = slices.Clone(want.APNs)
	want.APNs[0].Gateway, want.APNs[1].Gateway = here, fixed
	if diff := cmp.Diff(want, sar(diameter.AAAUserDataRequest).Profile, addresses); diff != "" {
		t.Errorf("profile later (-want +got):\n%s", diff)
	}
	if got := update("internet", store.Gateway{}); got != diameter.Success {
		t.Errorf("no gateway any more: %s", got)
	}
	want.APNs[0].Gateway = store.Gateway{}
	if diff := cmp.Diff(want, sar(diameter.Registration).Profile, addresses); diff != "" { // registered again: what serves goes on
		t.Errorf("profile at last (-want +got):\n%s", diff)
	}
	if a := sar(diameter.AuthenticationFailure); a.Result != diameter.Success || a.Profile != nil {
		t.Errorf("a failed authentication: %s", a.Result)
	}
	if r, _ := m.store.Registration(imsi); r.Server != "aaa.example" || len(r.Gateways) != 1 {
		t.Errorf("after a failed authentication: %v", r)
	}
	if got := sar(diameter.UserDeregistration).Result; got != diameter.Success {
		t.Errorf("the end: %s", got)
	}
	if r, _ := m.store.Registration(imsi); r.Server != "" || len(r.Gateways) != 0 {
		t.Errorf("after the end: %v", r)
	}
	if got := sar(diameter.UserDeregistration).Result; got != diameter.IdentityNotRegistered {
		t.Errorf("the end again: %s", got)
	}
}

func TestAnAPNThatIsNotNamedHasTheWildcardsSubscription(t *testing.T) {
	s := subscriber()
	s.APNs = append(s.APNs, store.APN{Name: store.Wildcard, PDN: store.PDNIPv6, Allocation: store.Dynamic})
	m := with(t, s)
	m.Assign(AssignmentRequest{Server: "aaa.example", IMSI: imsi, Type: diameter.Registration})
	for apn, want := range map[string]diameter.ResultCode{"anything": diameter.Success, "mms": diameter.UserNoAPNSubscription} {
		a := m.Assign(AssignmentRequest{Server: "aaa.example", IMSI: imsi, Type: diameter.PGWUpdate, APN: apn, Gateway: store.Gateway{Host: "ha.example", Realm: "example"}})
		if a.Result != want {
			t.Errorf("%s: %s (%s), want %s", apn, a.Result, a.Text, want)
		}
	}
}

func TestAServerThatDoesNotServeCanBeFollowedInNothing(t *testing.T) {
	m := with(t, subscriber())
	m.Assign(AssignmentRequest{Server: "aaa1.example", IMSI: imsi, Type: diameter.Registration})
	for _, kind := range []diameter.ServerAssignmentType{diameter.AAAUserDataRequest, diameter.PGWUpdate, diameter.UserDeregistration, diameter.TimeoutDeregistration, diameter.AdministrativeDeregistration, 0, 99} {
		a := m.Assign(AssignmentRequest{Server: "aaa2.example", IMSI: imsi, Type: kind, APN: "internet", Gateway: store.Gateway{Host: "ha.example", Realm: "example"}})
		if a.Result != diameter.UnableToComply || a.Profile != nil {
			t.Errorf("type %d: %s", kind, a.Result)
		}
	}
	for _, kind := range []diameter.ServerAssignmentType{0, 99} {
		if a := m.Assign(AssignmentRequest{Server: "aaa1.example", IMSI: imsi, Type: kind}); a.Result != diameter.UnableToComply {
			t.Errorf("type %d: %s", kind, a.Result)
		}
	}
	if a := m.Assign(AssignmentRequest{Server: "aaa1.example", IMSI: "001010000000009", Type: diameter.Registration}); a.Result != diameter.UserUnknown {
		t.Errorf("nobody: %s", a.Result)
	}
	if r, _ := m.store.Registration(imsi); r.Server != "aaa1.example" || len(r.Gateways) != 0 {
		t.Errorf("registration %v", r)
	}
}

func TestWhoServesASubscriberIsToldWhatBecomesOfIt(t *testing.T) {
	m := with(t, subscriber())
	put := func(s store.Subscriber) []Output {
		t.Helper()
		out, err := m.Put(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	register := func() {
		if a := m.Assign(AssignmentRequest{Server: "aaa.example", IMSI: imsi, Type: diameter.Registration}); a.Result != diameter.Success {
			t.Fatal(a.Result)
		}
	}
	s := subscriber()
	s.MSISDN = "491700000002"
	if out := put(s); len(out) != 0 {
		t.Errorf("nobody serves it: %v", out)
	}
	register()
	if out := put(s); len(out) != 0 {
		t.Errorf("nothing has changed: %v", out)
	}
	m.Assign(AssignmentRequest{Server: "aaa.example", IMSI: imsi, Type: diameter.PGWUpdate, APN: "internet", Gateway: store.Gateway{Host: "ha.example", Realm: "example"}})
	s.APNs = slices.Clone(s.APNs)
	s.APNs[0].Barred = true
	out := put(s)
	if push, ok := out[0].(Push); len(out) != 1 || !ok || push.Server != "aaa.example" || !push.Profile.APNs[0].Barred || !push.Profile.APNs[0].Gateway.IsZero() {
		t.Errorf("an APN is barred: %v", out)
	}
	if r, _ := m.store.Registration(imsi); len(r.Gateways) != 0 {
		t.Errorf("a gateway serves a barred APN: %v", r)
	}
	s.BarredNon3GPP = true
	if want := []Output{Deregister{Server: "aaa.example", IMSI: imsi, Info: "non-3GPP access is barred"}}; !cmp.Equal(put(s), want) {
		t.Errorf("it is barred, and the output is not %v", want)
	}
	if r, _ := m.store.Registration(imsi); r.Server != "" {
		t.Errorf("it is barred, and registered: %v", r)
	}
	s.BarredNon3GPP = false
	put(s)
	register()
	if err := m.Pushed("aaa2.example", imsi, diameter.UserUnknown); err != nil {
		t.Error(err)
	}
	if r, _ := m.store.Registration(imsi); r.Server != "aaa.example" {
		t.Errorf("a server that does not serve has ended it: %v", r)
	}
	if err := m.Pushed("aaa.example", imsi, diameter.UserUnknown); err != nil {
		t.Error(err)
	}
	if r, _ := m.store.Registration(imsi); r.Server != "" {
		t.Errorf("the server does not know it, and it is registered: %v", r)
	}
	register()
	out, err := m.Remove(imsi)
	if want := []Output{Deregister{Server: "aaa.example", IMSI: imsi, Info: "the subscription has ended"}}; err != nil || !cmp.Equal(out, want) {
		t.Errorf("removed: %v, %v", out, err)
	}
	if a := m.Authenticate(aka); a.Result != diameter.UserUnknown {
		t.Errorf("after it was removed: %s", a.Result)
	}
	if _, err := m.Remove(imsi); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("removed again: %v", err)
	}
}

func TestANewKeyIsUsedFromTheNextVectorOn(t *testing.T) {
	m, s := with(t, subscriber()), subscriber()
	m.Authenticate(aka)
	s.K = bytes.Repeat([]byte{9}, 16)
	if _, err := m.Put(s); err != nil {
		t.Fatal(err)
	}
	accept(t, s, m.Authenticate(aka).Vectors[0])
}

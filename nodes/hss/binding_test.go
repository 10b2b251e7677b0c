package hss

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/hss/store"
	"s2clab/nodes/keys"
	"s2clab/nodes/wire/diameter"
)

const realm = "epc.mnc001.mcc001.3gppnetwork.org"

var (
	here = diameter.Identity{Host: "hss." + realm, Realm: realm}
	aaa  = diameter.Identity{Host: "aaa." + realm, Realm: realm}
)

// asked gives a request to a Front, and reads its answer, which must be one that
// our own reader takes.
func asked(t testing.TB, f *Front, r Request) (*diameter.Message, Answered) {
	t.Helper()
	got := f.Answer(message(t, r))
	if got.Err != nil {
		t.Fatal(got.Err)
	}
	m, err := diameter.Parse(got.Octets)
	if err != nil {
		t.Fatal(err)
	}
	if m.IsRequest() || m.HopByHop != 7 || m.EndToEnd != 8 {
		t.Errorf("%s with identifiers %d and %d", m.Name(), m.HopByHop, m.EndToEnd)
	}
	return m, got
}

func message(t testing.TB, r Request) *diameter.Message {
	t.Helper()
	b, err := r.AppendTo(nil, diameter.Header{HopByHop: 7, EndToEnd: 8})
	if err != nil {
		t.Fatal(err)
	}
	m, err := diameter.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mar(change func(*diameter.MultimediaAuthRequest)) *diameter.MultimediaAuthRequest {
	r := &diameter.MultimediaAuthRequest{Application: diameter.SWx, Session: aaa.Host + ";1;1", Identity: aaa, DestinationRealm: realm,
		User: imsi, Vectors: 2, Scheme: diameter.SchemeEAPAKAPrime, AccessNetwork: "WLAN"}
	if change != nil {
		change(r)
	}
	return r
}

func sar(change func(*diameter.ServerAssignmentRequest)) *diameter.ServerAssignmentRequest {
	r := &diameter.ServerAssignmentRequest{Session: aaa.Host + ";1;2", Identity: aaa, DestinationRealm: realm, User: imsi, Type: diameter.Registration}
	if change != nil {
		change(r)
	}
	return r
}

func TestAMultimediaAuthAnswerCarriesTheVectors(t *testing.T) {
	f := NewFront(with(t, subscriber()), here)
	m, told := asked(t, f, mar(nil))
	a, err := diameter.ParseMultimediaAuthAnswer(m)
	if err != nil {
		t.Fatal(err)
	}
	want := Answered{Octets: told.Octets, Command: "multimedia-auth-request", Result: diameter.Success, Peer: aaa.Host, User: imsi, Count: 2, Final: true}
	var made []string
	for _, k := range told.Made {
		made = append(made, k.Name)
	}
	if got := strings.Join(made, " "); got != "K CK IK CK' IK'" {
		t.Errorf("keys %s are told of", got)
	}
	told.Made = nil
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +told):\n%s", diff)
	}
	if a.Result != diameter.Success || a.User != imsi || a.Identity != here || len(a.Items) != 2 {
		t.Fatalf("%+v", a)
	}
	for i, item := range a.Items {
		v := keys.Vector{RAND: item.RAND, AUTN: item.AUTN, XRES: item.XRES, CK: item.CK, IK: item.IK}
		_, amf, card := accept(t, subscriber(), v)
		ck, ik := keys.BindToNetwork(card.CK, card.IK, "WLAN", [6]byte(v.AUTN[:6]))
		if item.Number != uint32(i+1) || item.Scheme != diameter.SchemeEAPAKAPrime || amf[0]&keys.Separation == 0 || v.CK != ck || v.IK != ik {
			t.Errorf("item %d is not what the card makes of it", i)
		}
	}
}

func TestResultsReachTheOneWhoAsks(t *testing.T) {
	s := subscriber()
	s.RATTypes = []store.RATType{store.RATWLAN}
	f := NewFront(with(t, s), here)
	asked(t, f, sar(func(r *diameter.ServerAssignmentRequest) { r.Host = "aaa1." + realm }))
	virtual := diameter.Virtual
	for name, c := range map[string]struct {
		r    Request
		want diameter.ResultCode
	}{
		"nobody":                {mar(func(r *diameter.MultimediaAuthRequest) { r.User = "001010000000009" }), diameter.UserUnknown},
		"another access":        {mar(func(r *diameter.MultimediaAuthRequest) { r.RAT = &virtual }), diameter.RATTypeNotAllowed},
		"another scheme":        {mar(func(r *diameter.MultimediaAuthRequest) { r.Scheme = "EAP-SIM" }), diameter.AuthSchemeNotSupported},
		"no network":            {mar(func(r *diameter.MultimediaAuthRequest) { r.AccessNetwork = "" }), diameter.MissingAVP},
		"another server":        {mar(nil), diameter.IdentityAlreadyRegistered},
		"another HSS":           {mar(func(r *diameter.MultimediaAuthRequest) { r.DestinationHost = "hss2." + realm }), diameter.UnableToDeliver},
		"another realm":         {mar(func(r *diameter.MultimediaAuthRequest) { r.DestinationRealm = "example" }), diameter.RealmNotServed},
		"this HSS":              {mar(func(r *diameter.MultimediaAuthRequest) { r.DestinationHost = strings.ToUpper(here.Host) }), diameter.IdentityAlreadyRegistered},
		"registered with other": {sar(nil), diameter.IdentityAlreadyRegistered},
		"data for other":        {sar(func(r *diameter.ServerAssignmentRequest) { r.Type = diameter.AAAUserDataRequest }), diameter.UnableToComply},
		"SAR of nobody":         {sar(func(r *diameter.ServerAssignmentRequest) { r.User = "x" }), diameter.UserUnknown},
		"SAR to another HSS":    {sar(func(r *diameter.ServerAssignmentRequest) { r.DestinationHost = "hss2." + realm }), diameter.UnableToDeliver},
		"Zh of nobody": {mar(func(r *diameter.MultimediaAuthRequest) {
			*r = diameter.MultimediaAuthRequest{Application: diameter.Zh, Session: "bsf;1", Identity: aaa, DestinationRealm: realm, User: "nobody@x"}
		}), diameter.IdentityUnknown},
		"Zh to another realm": {mar(func(r *diameter.MultimediaAuthRequest) {
			*r = diameter.MultimediaAuthRequest{Application: diameter.Zh, Session: "bsf;1", Identity: aaa, DestinationRealm: "example", User: imsi}
		}), diameter.RealmNotServed},
		"another command": {&diameter.PushProfileRequest{Session: "x;1", Identity: aaa, DestinationRealm: realm, DestinationHost: here.Host, User: imsi,
			Data: &diameter.Non3GPPUserData{}}, diameter.CommandUnsupported},
	} {
		m, told := asked(t, f, c.r)
		o, from, err := diameter.ParseError(m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if o.Result != c.want || told.Result != c.want || from != here || told.Text == "" || o.Text != told.Text || told.Final || told.Count != 0 {
			t.Errorf("%s: %v on the wire, %v told (%s), want %v", name, o.Result, told.Result, told.Text, c.want)
		}
	}
}

func TestAnAnswerNamesTheServerThatIsRegistered(t *testing.T) {
	f := NewFront(with(t, subscriber()), here)
	asked(t, f, sar(nil))
	m, _ := asked(t, f, mar(func(r *diameter.MultimediaAuthRequest) { r.Host = "aaa2." + realm }))
	if a, err := diameter.ParseMultimediaAuthAnswer(m); err != nil || a.Server != aaa.Host {
		t.Errorf("%+v, %v", a, err)
	}
	m, _ = asked(t, f, sar(func(r *diameter.ServerAssignmentRequest) { r.Host = "aaa2." + realm }))
	if a, err := diameter.ParseServerAssignmentAnswer(m); err != nil || a.Server != aaa.Host {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestAServerAssignmentAnswerCarriesTheProfile(t *testing.T) {
	s := subscriber()
	s.BarredNon3GPP = true
	f := NewFront(with(t, s), here)
	asked(t, f, sar(nil))
	agent := &diameter.AgentInfo{Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::7")}}
	m, _ := asked(t, f, sar(func(r *diameter.ServerAssignmentRequest) {
		r.Type, r.Service, r.Agent = diameter.PGWUpdate, "internet", agent
	}))
	if a, err := diameter.ParseServerAssignmentAnswer(m); err != nil || a.Result != diameter.Success || a.Data != nil {
		t.Errorf("%+v, %v", a, err)
	}
	m, _ = asked(t, f, sar(func(r *diameter.ServerAssignmentRequest) { r.Type = diameter.AAAUserDataRequest }))
	a, err := diameter.ParseServerAssignmentAnswer(m)
	if err != nil {
		t.Fatal(err)
	}
	want := &diameter.Non3GPPUserData{
		Subscriptions:  []diameter.SubscriptionID{{Kind: diameter.EndUserIMSI, Name: imsi}, {Kind: diameter.EndUserE164, Name: "491700000001"}},
		Access:         new(diameter.Non3GPPBarred),
		APNAccess:      new(diameter.APNsEnabled),
		DefaultContext: new(uint32(2)),
		APNs: []diameter.APNConfiguration{ // mms is barred
			{Context: 1, Type: diameter.IPv4v6, Service: "internet", Agent: agent, Allocation: new(diameter.Dynamic)},
			{Context: 2, Type: diameter.IPv6, Service: "ims", Agent: &diameter.AgentInfo{Host: "ha.example", Realm: "example"}, Allocation: new(diameter.Static)},
		},
	}
	compare := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, a.Data, compare, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestABootstrappingServerIsGivenAVectorAndTheSettings(t *testing.T) {
	f := NewFront(with(t, subscriber()), here)
	user := imsi + "@ims.mnc001.mcc001.3gppnetwork.org"
	m, told := asked(t, f, &diameter.MultimediaAuthRequest{Application: diameter.Zh, Session: "bsf;1", Identity: aaa, DestinationRealm: realm, User: user})
	a, err := diameter.ParseMultimediaAuthAnswer(m)
	if err != nil {
		t.Fatal(err)
	}
	if a.Result != diameter.Success || len(a.Items) != 1 || a.Items[0].Scheme != diameter.SchemeDigestAKA || told.Count != 1 {
		t.Fatalf("%v, %d items", a.Result, len(a.Items))
	}
	accept(t, subscriber(), keys.Vector{RAND: a.Items[0].RAND, AUTN: a.Items[0].AUTN})
	if text := string(a.Settings); !strings.Contains(text, `<guss id="`+user+`">`) || !strings.Contains(text, "<lifeTime>3600</lifeTime>") {
		t.Errorf("settings %s", text)
	}
	if got := string(settings(`1"><x>&`, 1)); strings.Contains(got, "<x>") || !strings.Contains(got, `id="1&quot;&gt;&lt;x&gt;&amp;"`) {
		t.Errorf("a name that is markup: %s", got)
	}
}

func TestOutputsBecomeRequestsToTheServerThatServes(t *testing.T) {
	m := with(t, subscriber())
	f := NewFront(m, here)
	asked(t, f, sar(nil))
	s := subscriber()
	s.MSISDN = ""
	out, err := m.Put(s)
	if err != nil || len(out) != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	push := f.Request(out[0]).(*diameter.PushProfileRequest)
	push.Session, push.DestinationRealm = "hss;1", realm // as diampeer fills them in
	r, err := diameter.ParsePushProfileRequest(message(t, push))
	if err != nil || r.DestinationHost != aaa.Host || r.User != imsi || len(r.Data.APNs) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if out, err = m.Remove(imsi); err != nil || len(out) != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	end := f.Request(out[0]).(*diameter.RegistrationTerminationRequest)
	end.Session, end.DestinationRealm = "hss;2", realm
	e, err := diameter.ParseRegistrationTerminationRequest(message(t, end))
	if err != nil || e.DestinationHost != aaa.Host || e.User != imsi || e.Reason != diameter.PermanentTermination {
		t.Errorf("%+v, %v", e, err)
	}
}

// FuzzFront gives octets of strangers to an HSS: each whole request is answered by
// something that a reader takes, and nothing else happens.
func FuzzFront(f *testing.F) {
	for _, r := range []Request{mar(nil), sar(nil), sar(func(r *diameter.ServerAssignmentRequest) {
		r.Type, r.Service, r.Agent = diameter.PGWUpdate, "internet", &diameter.AgentInfo{Host: "ha.example", Realm: "example"}
	}), mar(func(r *diameter.MultimediaAuthRequest) {
		r.Resync, r.Scheme = &diameter.Resync{}, diameter.SchemeEAPAKA
	}),
		&diameter.MultimediaAuthRequest{Application: diameter.Zh, Session: "bsf;1", Identity: aaa, DestinationRealm: realm, User: imsi}} {
		b, err := r.AppendTo(nil, diameter.Header{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := diameter.Parse(b)
		if err != nil || !m.IsRequest() {
			return
		}
		got := NewFront(with(t, subscriber()), here).Answer(m)
		answer, err := diameter.Parse(got.Octets)
		if err != nil {
			t.Fatal(err)
		}
		if answer.IsRequest() || answer.Command != m.Command || answer.HopByHop != m.HopByHop || answer.EndToEnd != m.EndToEnd {
			t.Fatalf("%s answers %s", answer.Name(), m.Name())
		}
	})
}

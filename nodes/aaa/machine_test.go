package aaa

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/telling"
	"s2clab/nodes/wire/diameter"
)

const (
	realm = "epc.mnc001.mcc001.3gppnetwork.org"
	nai   = "001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
)

var (
	start  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
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

func config() *control.Config {
	key := unhex("404142434445464748494a4b4c4d4e4f")
	return &control.Config{Node: "aaa", Role: "aaa", Seed: 1, AAA: &control.AAA{
		Host: "aaa." + realm, Realm: realm, KeyLifetime: time.Hour,
		Subscribers: []control.Subscriber{
			{NAI: nai, MNAAASPI: 3, MNAAAKey: key},
			{NAI: "fixed@home.example", MNAAASPI: 3, MNAAAKey: key, HomeAddress: home},
			{NAI: "barred@home.example", MNAAASPI: 3, MNAAAKey: key, Barred: true},
		},
	}}
}

// request is of a Binding Update whose mobility data and authenticator were
// computed elsewhere, with MN-AAA key 404142..4f.
func request() *diameter.MIP6Request {
	return &diameter.MIP6Request{
		Session: "pgw." + realm + ";1;2", Identity: diameter.Identity{Host: "pgw." + realm, Realm: realm},
		DestinationRealm: realm, User: nai, Mode: diameter.AuthMNAAA, SPI: 3,
		Home: home, HomeAgent: agent, CareOf: careOf,
		Authenticator: unhex("70a0b95ba9d7b79b3ea32a303685a1fa2f5749c2"),
		MobilityData:  unhex("ffb4957e85aee318d8f0258c031fd18ae5dce807"),
		Timestamp:     unhex("cacc680080000000"),
	}
}

// A server is a Machine with one home agent, which is the test.
type server struct {
	t    *testing.T
	m    *Machine
	now  time.Time
	told []string
	keys []map[string]any // that were told of
	out  []*diameter.Message
	ids  uint32
}

func newServer(t *testing.T) *server {
	t.Helper()
	m, err := New(config(), start)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, m: m, now: start}
	s.step(diampeer.Accepted{Conn: 1, Local: agent, Remote: netip.AddrPortFrom(agent, 1)})
	s.send(&diameter.CapabilitiesExchangeRequest{Capabilities: diameter.Capabilities{
		Identity: diameter.Identity{Host: "pgw." + realm, Realm: realm}, Addresses: []netip.Addr{agent}, Auth: []diameter.Application{diameter.MIP6A},
	}})
	if !slices.Equal(s.told, []string{"peer-up"}) {
		t.Fatalf("told %q", s.told)
	}
	s.told = nil
	return s
}

func (s *server) step(in diampeer.Input) { s.hear(s.m.Step(s.now, in)) }

func (s *server) hear(out []diampeer.Output, events []telling.Event) {
	s.t.Helper()
	for _, e := range events {
		if _, err := json.Marshal(e.Fields); err != nil {
			s.t.Errorf("%s: %v", e.Name, err)
		}
		line := e.Name
		for _, f := range []string{"nai", "name", "reason", "event", "count"} {
			if v, ok := e.Fields[f]; ok {
				line += fmt.Sprintf(" %v", v)
			}
		}
		if e.Name == "key-made" {
			s.keys = append(s.keys, e.Fields)
			continue
		}
		s.told = append(s.told, line)
	}
	for _, o := range out {
		if w, ok := o.(diampeer.Write); ok {
			m, err := diameter.Parse(w.Octets)
			if err != nil {
				s.t.Fatal(err)
			}
			if err := diameter.Check(m); err != nil {
				s.t.Errorf("wrote a wrong %s: %v", m.Name(), err)
			}
			s.out = append(s.out, m)
		}
	}
}

func (s *server) send(r diampeer.Request) *diameter.Message {
	s.t.Helper()
	s.ids++
	b, err := r.AppendTo(nil, diameter.Header{HopByHop: s.ids, EndToEnd: s.ids})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.deliver(b, s.now)
}

func (s *server) deliver(b []byte, at time.Time) *diameter.Message {
	s.t.Helper()
	before := len(s.out)
	s.step(diampeer.Received{Conn: 1, Octets: b, At: at})
	if len(s.out) != before+1 {
		s.t.Fatalf("%d answers", len(s.out)-before)
	}
	return s.out[before]
}

func (s *server) ask(change func(r *diameter.MIP6Request)) (*diameter.Message, *diameter.MIP6Answer, *diameter.Outcome) {
	s.t.Helper()
	r := request()
	change(r)
	m := s.send(r)
	o, _, err := diameter.ParseError(m)
	if err != nil {
		s.t.Fatal(err)
	}
	a, _ := diameter.ParseMIP6Answer(m)
	return m, a, o
}

func TestARightAuthenticatorBringsTheKey(t *testing.T) {
	s := newServer(t)
	_, a, o := s.ask(func(r *diameter.MIP6Request) {})
	if o.Result != diameter.Success || a == nil {
		t.Fatalf("outcome %+v", o)
	}
	// First(128, HMAC-SHA1(404142..4f, "MN-HA" | NAI | 2001:db8:100::1 | cacc680080000000)), computed elsewhere.
	if want := unhex("eccf27d643b747f26256f01328d8a6a3"); !bytes.Equal(a.MSA.Key, want) {
		t.Errorf("key %x, want %x", a.MSA.Key, want)
	}
	if a.MSA.Lifetime != time.Hour || a.MSA.SPI < 256 || a.MSA.Algorithm != diameter.HMACSHA1 || a.MSA.Replay != diameter.ReplayTimestamp {
		t.Errorf("association %+v", a.MSA)
	}
	if !slices.Equal(a.Homes, []netip.Addr{home}) || a.User != nai || a.State != diameter.StateMaintained || a.Session != request().Session {
		t.Errorf("answer %+v", a)
	}
	_, b, _ := s.ask(func(r *diameter.MIP6Request) {})
	if b.MSA.SPI == a.MSA.SPI {
		t.Error("two associations have one SPI")
	}
	if want := []string{"session-opened " + nai, "request-answered " + nai + " success"}; !slices.Equal(s.told[:2], want) {
		t.Errorf("told %q, want %q", s.told, want)
	}
}

func TestWithoutATimestampTheMobilityDataMakesTheKeyFresh(t *testing.T) {
	s := newServer(t)
	_, a, _ := s.ask(func(r *diameter.MIP6Request) { r.Timestamp = nil })
	// ... with ffb4957e85aee318 in place of the timestamp, computed elsewhere.
	if want := unhex("6caf51a34be99c57f3bc1ceac25d366b"); !bytes.Equal(a.MSA.Key, want) || a.MSA.Replay != diameter.ReplayNone {
		t.Errorf("association %+v with key %x, want %x", a.MSA, a.MSA.Key, want)
	}
}

func TestEachRefusalHasItsResultCode(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(r *diameter.MIP6Request)
		want   diameter.ResultCode
	}{
		"a wrong authenticator":              {func(r *diameter.MIP6Request) { r.Authenticator[19]++ }, diameter.AuthenticationRejected},
		"an authenticator cut to 96 bits":    {func(r *diameter.MIP6Request) { r.Authenticator = r.Authenticator[:12] }, diameter.AuthenticationRejected},
		"no octets as authenticator":         {func(r *diameter.MIP6Request) { r.Authenticator = nil }, diameter.AuthenticationRejected},
		"other mobility data":                {func(r *diameter.MIP6Request) { r.MobilityData[0]++ }, diameter.AuthenticationRejected},
		"a user who is not known":            {func(r *diameter.MIP6Request) { r.User = "nobody@" + realm }, diameter.AuthenticationRejected},
		"another SPI":                        {func(r *diameter.MIP6Request) { r.SPI = 5 }, diameter.AuthenticationRejected},
		"a barred subscriber":                {func(r *diameter.MIP6Request) { r.User = "barred@home.example" }, diameter.AuthorizationRejected},
		"a barred subscriber, not authentic": {func(r *diameter.MIP6Request) { r.User = "barred@home.example"; r.Authenticator[0]++ }, diameter.AuthenticationRejected},
		"another's home address":             {func(r *diameter.MIP6Request) { r.User, r.Home = "fixed@home.example", agent }, diameter.AuthorizationRejected},
		"another mode":                       {func(r *diameter.MIP6Request) { r.Mode = 2 }, diameter.ErrorMIP6AuthMode},
		"another realm":                      {func(r *diameter.MIP6Request) { r.DestinationRealm = "elsewhere.example" }, diameter.RealmNotServed},
		"another server":                     {func(r *diameter.MIP6Request) { r.DestinationHost = "other." + realm }, diameter.UnableToDeliver},
		"us":                                 {func(r *diameter.MIP6Request) { r.DestinationHost = "AAA." + realm }, diameter.Success},
		"a subscriber's realm":               {func(r *diameter.MIP6Request) { r.DestinationRealm = "Home.example" }, diameter.Success},
	} {
		t.Run(name, func(t *testing.T) {
			m, a, o := newServer(t).ask(tt.change)
			if o.Result != tt.want {
				t.Fatalf("result %v, want %v", o.Result, tt.want)
			}
			if (m.Flags&diameter.Error != 0) != tt.want.ProtocolError() {
				t.Errorf("flags %x", m.Flags)
			}
			if a != nil && (a.MSA != nil) != (tt.want == diameter.Success) {
				t.Errorf("association %+v", a.MSA)
			}
		})
	}
}

func TestAnAddressIsAssignedToASubscriberWhoHasOne(t *testing.T) { // RFC 5778, section 6.5
	_, a, o := newServer(t).ask(func(r *diameter.MIP6Request) { r.User, r.Home = "fixed@home.example", netip.IPv6Unspecified() })
	if o.Result != diameter.Success || !slices.Equal(a.Homes, []netip.Addr{home}) {
		t.Errorf("%+v, %+v", o, a)
	}
}

func TestWithoutAnAddressOfItsOwnASubscriberIsLeftToTheHomeAgent(t *testing.T) {
	none := netip.IPv6Unspecified()
	_, a, o := newServer(t).ask(func(r *diameter.MIP6Request) { r.Home = none })
	if o.Result != diameter.Success || !slices.Equal(a.Homes, []netip.Addr{none}) || a.MSA == nil {
		t.Errorf("%+v, %+v", o, a)
	}
}

func TestASubscriberOfAnotherHomeAgentIsSentThere(t *testing.T) { // RFC 5778, section 6.6
	s := newServer(t)
	other := netip.MustParseAddr("2001:db8:100::2")
	s.m.authority.subscribers[nai].HomeAgent = other
	_, a, o := s.ask(func(r *diameter.MIP6Request) {})
	if o.Result != diameter.SuccessRelocateHA || a.Agent != other || a.MSA == nil || s.m.Counts().Sessions != 0 || a.State != diameter.NoStateMaintained {
		t.Errorf("%+v, %+v, %d sessions", o, a, s.m.Counts().Sessions)
	}
	_, a, o = s.ask(func(r *diameter.MIP6Request) { r.HomeAgent = other })
	if o.Result != diameter.Success || a.Agent.IsValid() {
		t.Errorf("%+v, %+v", o, a)
	}
	_, a, o = s.ask(func(r *diameter.MIP6Request) { r.Authenticator[0]++ })
	if o.Result != diameter.AuthenticationRejected || a.Agent.IsValid() {
		t.Errorf("a stranger learns %+v", a)
	}
}

func TestAMissingAVPIsNamed(t *testing.T) {
	s := newServer(t)
	b, _ := request().AppendTo(nil, diameter.Header{})
	m, err := diameter.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	m.AVPs = slices.DeleteFunc(m.AVPs, func(a diameter.AVP) bool { return a.Code == diameter.MIPMNAAASPI })
	b, _ = m.AppendTo(nil)
	answer := s.deliver(b, s.now)
	a, err := diameter.ParseMIP6Answer(answer) // RFC 5778, section 6.3: needed with this mode
	if err != nil || a.Result != diameter.MissingAVP || len(a.Failed) != 1 || a.Failed[0].Code != diameter.MIPMNAAASPI {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestAgentsGetBackWhatTheyAdded(t *testing.T) { // RFC 6733, section 6.2
	s := newServer(t)
	b, _ := request().AppendTo(nil, diameter.Header{})
	m, _ := diameter.Parse(b)
	proxy := diameter.Message{AVPs: []diameter.AVP{{Code: diameter.ProxyHost, Flags: diameter.Mandatory, Data: []byte("relay")}, {Code: diameter.ProxyState, Flags: diameter.Mandatory, Data: []byte("abc")}}}
	group, _ := proxy.AppendTo(nil)
	m.AVPs = append(m.AVPs, diameter.AVP{Code: diameter.ProxyInfo, Flags: diameter.Mandatory, Data: group[diameter.HeaderSize:]})
	b, _ = m.AppendTo(nil)
	if a := s.deliver(b, s.now).Find(diameter.ProxyInfo); a == nil || !bytes.Equal(a.Data, group[diameter.HeaderSize:]) {
		t.Errorf("Proxy-Info %+v", a)
	}
}

func TestATooBusyServerSaysSoAndForgetsIt(t *testing.T) {
	s := newServer(t)
	if _, err := s.m.command(control.Command{Name: "set-busy", Args: []byte(`{"busy": true}`)}); err != nil {
		t.Fatal(err)
	}
	b, _ := request().AppendTo(nil, diameter.Header{EndToEnd: 99})
	o, _, _ := diameter.ParseError(s.deliver(b, s.now))
	if o.Result != diameter.TooBusy {
		t.Errorf("result %v", o.Result)
	}
	s.m.command(control.Command{Name: "set-busy", Args: []byte(`{"busy": false}`)})
	if o, _, _ := diameter.ParseError(s.deliver(b, s.now)); o.Result != diameter.Success {
		t.Errorf("result %v when the same comes again", o.Result)
	}
	b, _ = request().AppendTo(nil, diameter.Header{EndToEnd: 100})
	if o, _, _ := diameter.ParseError(s.deliver(b, s.now.Add(-time.Second))); o.Result != diameter.TooBusy {
		t.Errorf("result %v for a request that waited 1 s", o.Result)
	}
}

func TestCommandsTellAndAreChecked(t *testing.T) {
	s := newServer(t)
	s.ask(func(r *diameter.MIP6Request) {})
	s.ask(func(r *diameter.MIP6Request) { r.Authenticator[0]++ })
	v, err := s.m.command(control.Command{Name: "state"})
	text, _ := json.Marshal(v)
	want := `{"requests":2,"duplicates":0,"results":{"authentication-rejected":1,"success":1},"peers":["pgw.` + realm + `"],"sessions":1,"conversations":0}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
	for _, c := range []control.Command{{Name: "dance"}, {Name: "set-busy"}, {Name: "set-busy", Args: []byte(`{}`)}} {
		if _, err := s.m.command(c); err == nil {
			t.Errorf("%s %s: done", c.Name, c.Args)
		}
	}
}

func TestFloodsAreToldAsCounts(t *testing.T) {
	s := newServer(t)
	for range telling.PerSecond + 50 {
		s.ask(func(r *diameter.MIP6Request) { r.Authenticator[0]++ })
	}
	if len(s.told) != telling.PerSecond {
		t.Errorf("%d events", len(s.told))
	}
	s.told = nil
	if at := s.m.Deadline(); at.Sub(start) > time.Second {
		t.Errorf("nothing is due before %v", at.Sub(start))
	}
	s.now = s.m.Deadline()
	s.hear(s.m.Tick(s.now))
	if want := "events-suppressed request-answered 50"; !slices.Contains(s.told, want) {
		t.Errorf("told %q, want %q", s.told, want)
	}
	if at := s.m.Deadline(); at.Sub(s.now) < 20*time.Second {
		t.Errorf("still something due at %v", at.Sub(s.now))
	}
}

func TestHostileNamesDoNotSwellEvents(t *testing.T) {
	s := newServer(t)
	r := request()
	r.User = strings.Repeat("u", 60000)
	s.send(r)
	if len(s.told[0]) > 400 {
		t.Errorf("an event of %d octets", len(s.told[0]))
	}
}

func TestRestartedServersUseOtherSPIs(t *testing.T) {
	first := map[uint32]bool{}
	for i := range 10 {
		m, err := New(config(), start.Add(time.Duration(i)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		first[m.authority.spi] = true
	}
	if len(first) < 8 {
		t.Errorf("%d of 10 begin elsewhere", len(first))
	}
}

func TestAConfigurationOfAnotherRoleIsRefused(t *testing.T) {
	if _, err := New(&control.Config{Node: "x"}, start); err == nil {
		t.Error("made")
	}
}

// BenchmarkRequests is the time to read, verify and answer one MIP6-Request.
func BenchmarkRequests(b *testing.B) {
	m, err := New(config(), start)
	if err != nil {
		b.Fatal(err)
	}
	m.Step(start, diampeer.Accepted{Conn: 1, Local: agent})
	cer, _ := (&diameter.CapabilitiesExchangeRequest{Capabilities: diameter.Capabilities{
		Identity: diameter.Identity{Host: "pgw", Realm: realm}, Addresses: []netip.Addr{agent}, Auth: []diameter.Application{diameter.MIP6A},
	}}).AppendTo(nil, diameter.Header{})
	m.Step(start, diampeer.Received{Conn: 1, Octets: cer})
	r := request()
	var octets []byte
	b.ReportAllocs()
	for id := uint32(0); b.Loop(); id++ {
		octets, _ = r.AppendTo(octets[:0], diameter.Header{EndToEnd: id})
		if out, _ := m.Step(start, diampeer.Received{Conn: 1, Octets: octets}); len(out) != 1 {
			b.Fatal("no answer")
		}
	}
}

func TestTheKeysOfAnAssociationAreToldOnceAndNotShownUnlessAsked(t *testing.T) {
	for _, show := range []bool{false, true} {
		s := newServer(t)
		s.m.told.Show = show
		_, a, _ := s.ask(func(*diameter.MIP6Request) {})
		s.ask(func(r *diameter.MIP6Request) { r.Session += "2" }) // the same keys
		s.ask(func(r *diameter.MIP6Request) { r.Authenticator[0]++ })
		if len(s.keys) != 2 {
			t.Fatalf("%d keys were told of, want MN-AAA and MN-HA: %v", len(s.keys), s.keys)
		}
		root, made := s.keys[0], s.keys[1]
		if root["key"] != keys.NameMNAAA || root["how"] != "provisioned" || root["octets"] != 16 || root["nai"] != nai {
			t.Errorf("got %v", root)
		}
		if made["key"] != keys.NameMNHA || made["print"] != keys.Print(a.MSA.Key) || made["lifetime"] != 3600.0 || !slices.Equal(made["of-prints"].([]any), []any{root["print"]}) {
			t.Errorf("got %v", made)
		}
		for _, k := range s.keys {
			if _, shown := k["value"]; shown != show {
				t.Errorf("%s: shown %v, want %v", k["key"], shown, show)
			}
		}
	}
}

package aaa

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/mip4"
	"s2clab/nodes/wire/diameter"
	wire "s2clab/nodes/wire/mip4"
)

var (
	home4   = netip.MustParseAddr("192.0.2.10")
	agent4  = netip.MustParseAddr("192.0.2.1")
	careOf4 = netip.MustParseAddr("198.51.100.99")
)

// newRegistrar is a server of the profile Mobile IPv4.
func newRegistrar(t *testing.T) *server {
	t.Helper()
	cfg := config()
	cfg.AAA.Security.Profile = "mipv4"
	for i := range cfg.AAA.Subscribers {
		s := &cfg.AAA.Subscribers[i]
		s.MNAAASPI = 256
		if s.HomeAddress.IsValid() {
			s.HomeAddress = home4
		}
	}
	m, err := New(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, m: m, now: start}
	s.step(diampeer.Accepted{Conn: 1, Local: agent, Remote: netip.AddrPortFrom(agent, 1)})
	s.send(&diameter.CapabilitiesExchangeRequest{Capabilities: diameter.Capabilities{
		Identity: diameter.Identity{Host: "pgw." + realm, Realm: realm}, Addresses: []netip.Addr{agent}, Auth: []diameter.Application{diameter.MIP4},
	}})
	s.told = nil
	return s
}

// A trip is a mobile node, a home agent, and a server, which are the real ones.
type trip struct {
	t      *testing.T
	s      *server
	mobile *mip4.Mobile
	agent  *mip4.Agent
	keys   []keys.Derived // of the mobile node
	told   []string
}

func newTrip(t *testing.T, nai string, key []byte) *trip {
	t.Helper()
	method, err := bootstrap.Of("mipv4", "", "")
	if err != nil {
		t.Fatal(err)
	}
	p := &trip{t: t, s: newRegistrar(t)}
	if p.mobile, err = mip4.NewMobile(mip4.MobileOptions{NAI: nai, Home: netip.IPv4Unspecified(), Agent: bootstrap.Agent{Address: agent4, Host: "pgw." + realm}, Lifetime: time.Minute,
		Method: method.Mobile, Held: &bootstrap.Held{NAI: nai, MNAAASPI: 256, MNAAAKey: key}, Rand: rand.New(rand.NewPCG(1, 1))}); err != nil {
		t.Fatal(err)
	}
	if p.agent, err = mip4.NewAgent(mip4.AgentOptions{Address: agent4, Home: netip.MustParsePrefix("192.0.2.0/24"), Longest: time.Hour, Asks: true, Pool: []netip.Addr{home4}}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *trip) away(out []mip4.MobileOutput) {
	for _, o := range out {
		switch o := o.(type) {
		case mip4.Send:
			p.home(p.agent.Step(p.s.now, mip4.RequestReceived{From: netip.AddrPortFrom(o.From, 5000), To: o.To.Addr(), Octets: o.Octets}))
		case mip4.Made:
			p.keys = append(p.keys, o.Key)
		case mip4.Registered:
			p.told = append(p.told, "registered "+o.Home.String())
		case mip4.Ignored:
			p.told = append(p.told, "ignored "+o.Reason)
		}
	}
}

func (p *trip) home(out []mip4.AgentOutput) {
	for _, o := range out {
		switch o := o.(type) {
		case mip4.Ask:
			r := o.Request(diameter.Identity{Host: "pgw." + realm, Realm: realm})
			r.Session, r.DestinationRealm = "pgw."+realm+";1;9", realm
			p.home(p.agent.Step(p.s.now, mip4.Answered{ID: o.ID, Answer: mip4.Read(p.s.send(r))}))
		case mip4.Reply:
			p.away(p.mobile.Step(p.s.now, mip4.ReplyReceived{From: netip.AddrPortFrom(o.From, wire.Port), Octets: o.Octets}))
		case mip4.Discarded:
			p.told = append(p.told, "discarded "+o.Reason)
		}
	}
}

func TestARegistrationIsGrantedByTheRulesOfBindingUpdates(t *testing.T) {
	key := unhex("404142434445464748494a4b4c4d4e4f")
	for _, c := range []struct {
		nai    string
		key    []byte
		change func(s *server)
		want   string
		result diameter.ResultCode
	}{
		{nai, key, nil, "registered 192.0.2.10", diameter.Success},
		{"fixed@home.example", key, nil, "registered 192.0.2.10", diameter.Success},
		{"barred@home.example", key, nil, "discarded authorization-rejected", diameter.AuthorizationRejected},
		{nai, []byte("another key"), nil, "discarded authentication-rejected", diameter.AuthenticationRejected},
		{"nobody@home.example", key, nil, "discarded authentication-rejected", diameter.AuthenticationRejected},
		{nai, key, func(s *server) { s.m.authority.subscribers[nai].HomeAgent = careOf4 }, "discarded error-ha-not-available", diameter.HomeAgentNotAvailable},
	} {
		p := newTrip(t, c.nai, c.key)
		if c.change != nil {
			c.change(p.s)
		}
		p.away(p.mobile.Step(p.s.now, mip4.Attached{CareOf: careOf4}))
		if !slices.Equal(p.told, []string{c.want}) {
			t.Errorf("%s: %q, want %s", c.nai, p.told, c.want)
		}
		if got := p.s.m.Counts().Results[c.result.String()]; got != 1 {
			t.Errorf("%s: %v", c.nai, p.s.m.Counts())
		}
		if sessions := p.s.m.Counts().Sessions; (sessions == 1) != (c.result == diameter.Success) {
			t.Errorf("%s: %d sessions", c.nai, sessions)
		}
	}
}

// Both sides tell of one key, made of the one that was put in both.
func TestTheMobileNodeAndTheServerMakeTheSameKeyOfARegistration(t *testing.T) {
	p := newTrip(t, nai, unhex("404142434445464748494a4b4c4d4e4f"))
	p.away(p.mobile.Step(p.s.now, mip4.Attached{CareOf: careOf4}))
	if len(p.keys) != 1 || len(p.s.keys) != 2 {
		t.Fatalf("%d keys of the mobile node, %d of the server", len(p.keys), len(p.s.keys))
	}
	if theirs := p.s.keys[1]; theirs["print"] != keys.Print(p.keys[0].Value) || theirs["octets"] != 20 || theirs["key"] != keys.NameMNHA {
		t.Errorf("%v, and %v", theirs, p.keys[0])
	}
	if p.keys[0].Lifetime != time.Hour {
		t.Errorf("for %v", p.keys[0].Lifetime)
	}
	// With it the server is not asked any more.
	before := len(p.s.out)
	p.s.now = p.s.now.Add(time.Minute)
	p.away(p.mobile.Step(p.s.now, mip4.Attached{CareOf: netip.MustParseAddr("203.0.113.7")}))
	if len(p.s.out) != before || p.told[len(p.told)-1] != "registered 192.0.2.10" {
		t.Errorf("%d messages, told %q", len(p.s.out)-before, p.told)
	}
}

// asked is a request of which the golden octets are in nodes/wire/mip4/testdata.
func asked() *diameter.AAMobileNodeRequest {
	covered := unhex("0122070800000000c0000201c6336463cacc680080000000" +
		"8335" + "303031303130303030303030303031406e61692e6570632e6d6e633030312e6d63633030312e336770706e6574776f726b2e6f7267" +
		"2a01000400010001" + "2401001400000100")
	whole := append(bytes.Clone(covered), keys.HMACMD5.Sum(unhex("404142434445464748494a4b4c4d4e4f"), covered)...)
	return &diameter.AAMobileNodeRequest{Session: "pgw." + realm + ";1;3", Identity: diameter.Identity{Host: "pgw." + realm, Realm: realm}, DestinationRealm: realm, User: nai,
		Registration: whole, SPI: 256, Covers: uint32(len(covered)), Offset: uint32(len(covered)), Size: 16, HomeAgent: agent4, KeyRequested: true}
}

func TestARegistrationIsVerifiedWhole(t *testing.T) {
	for what, c := range map[string]struct {
		change func(r *diameter.AAMobileNodeRequest)
		want   diameter.ResultCode
	}{
		"as it should be":     {func(*diameter.AAMobileNodeRequest) {}, diameter.Success},
		"another octet":       {func(r *diameter.AAMobileNodeRequest) { r.Registration[3]++ }, diameter.AuthenticationRejected},
		"fewer octets":        {func(r *diameter.AAMobileNodeRequest) { r.Covers-- }, diameter.AuthenticationRejected},
		"less authenticator":  {func(r *diameter.AAMobileNodeRequest) { r.Size = 8 }, diameter.AuthenticationRejected},
		"CHAP_SPI":            {func(r *diameter.AAMobileNodeRequest) { r.SPI = 2 }, diameter.AuthenticationRejected},
		"the wrong realm":     {func(r *diameter.AAMobileNodeRequest) { r.DestinationRealm = "elsewhere.example" }, diameter.RealmNotServed},
		"another's home":      {func(r *diameter.AAMobileNodeRequest) { r.User, r.Home = "fixed@home.example", careOf4 }, diameter.AuthorizationRejected},
		"a key of no concern": {func(r *diameter.AAMobileNodeRequest) { r.KeyRequested = false }, diameter.Success},
	} {
		s := newRegistrar(t)
		r := asked()
		c.change(r)
		m := s.send(r)
		o, _, err := diameter.ParseError(m)
		if err != nil || o.Result != c.want {
			t.Errorf("%s: %v, %v, want %v", what, o, err, c.want)
			continue
		}
		if c.want != diameter.Success {
			continue
		}
		a, err := diameter.ParseAAMobileNodeAnswer(m)
		if err != nil || (a.MSA != nil) != r.KeyRequested || a.Home != netip.IPv4Unspecified() || a.HomeAgent != agent4 || a.State != diameter.StateMaintained {
			t.Errorf("%s: %+v, %v", what, a, err)
		}
		if len(s.keys) > 0 != r.KeyRequested {
			t.Errorf("%s: %d keys told", what, len(s.keys))
		}
		if answer := mip4.Read(m); a.MSA != nil && (answer.Transform != keys.HMACSHA1 || answer.Lifetime != time.Hour || answer.SPI < mip4.FirstSPI || len(answer.Key) != 20) {
			t.Errorf("%s: read as %+v", what, answer)
		}
	}
}

func TestAServerDecidesOnOneKindOfMessageOnly(t *testing.T) {
	s := newRegistrar(t)
	if _, _, o := s.ask(func(*diameter.MIP6Request) {}); o.Result != diameter.ErrorMIP6AuthMode && o.Result != diameter.ApplicationUnsupported {
		t.Errorf("a binding update: %v", o.Result)
	}
	s = newServer(t)
	if o, _, err := diameter.ParseError(s.send(asked())); err != nil || o.Result == diameter.Success {
		t.Errorf("a registration: %v, %v", o, err)
	}
}

func TestASessionOfARegistrationIsAborted(t *testing.T) { // RFC 4004, section 4.2; RFC 6733, section 8.5
	s := newRegistrar(t)
	s.send(asked())
	before := len(s.out)
	n, out, events, err := s.m.Revoke(s.now, nai)
	s.hear(out, events)
	if err != nil || n != 1 || len(s.out) != before+1 {
		t.Fatalf("%d, %v, %d messages", n, err, len(s.out)-before)
	}
	if m := s.out[before]; m.Command != diameter.AbortSession || m.Application != diameter.MIP4 {
		t.Errorf("%s of %v", m.Name(), m.Application)
	}
}

func TestWhatAnAnswerSaysBecomesACodeOfAReply(t *testing.T) {
	for result, want := range map[diameter.ResultCode]wire.Code{
		0: wire.ReasonUnspecified, diameter.UnableToDeliver: wire.ReasonUnspecified, diameter.TooBusy: wire.InsufficientResources,
		diameter.AuthenticationRejected: wire.MobileFailedAAA, diameter.AuthorizationRejected: wire.Prohibited,
	} {
		if got := mip4.Unanswered(result, "reason"); got.Code != want || got.Reason != "reason" {
			t.Errorf("%v: %v", result, got)
		}
	}
	if got := mip4.Read(&diameter.Message{}); got.Code != wire.ReasonUnspecified || !strings.Contains(got.Reason, "malformed") {
		t.Errorf("%+v", got)
	}
}

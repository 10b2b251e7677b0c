package ha

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/mip4"
	"s2clab/nodes/wire/diameter"
	wire "s2clab/nodes/wire/mip4"
)

var (
	registrar4 = netip.MustParseAddr("192.0.2.1")
	homeA4     = netip.MustParseAddr("198.51.100.10")
	visited4   = netip.MustParseAddr("203.0.113.99")
	moved4     = netip.MustParseAddr("203.0.113.177")
)

func mobileIPv4() *control.Config {
	cfg := with(fromAAA)
	h := cfg.HomeAgent
	h.Security.Profile = "mipv4"
	h.Address4, h.HomePrefixes4 = registrar4, []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	h.HomeAddresses4 = []control.HomeAddress4{{NAI: naiA, Address: homeA, Address4: homeA4}}
	cfg.Interfaces[0].Addresses = append(cfg.Interfaces[0].Addresses, netip.MustParsePrefix("198.51.100.1/24"))
	return cfg
}

// A journey is a mobile node of Mobile IPv4, which is the real one, and its home agent.
type journey struct {
	*story
	mobile *mip4.Mobile
	vouch  func(a *mip4.Ask) *RegistrationAnswered
	did    []string
	keys   int // that the server has handed out
	all    []map[string]any
}

func travel(t *testing.T, cfg *control.Config) *journey {
	t.Helper()
	method, err := bootstrap.Of("mipv4", "", "")
	if err != nil {
		t.Fatal(err)
	}
	mobile, err := mip4.NewMobile(mip4.MobileOptions{NAI: naiA, Home: netip.IPv4Unspecified(), Agent: bootstrap.Agent{Address: registrar4, Host: "ha.example.org"}, Lifetime: time.Minute,
		Method: method.Mobile, Held: &bootstrap.Held{NAI: naiA, MNAAASPI: 256, MNAAAKey: aaaKey}, Rand: rand.New(rand.NewPCG(1, 1))})
	if err != nil {
		t.Fatal(err)
	}
	j := &journey{story: tell(t, cfg), mobile: mobile}
	j.vouch = j.grant
	return j
}

// grant is an AAA server that vouches for all.
func (j *journey) grant(a *mip4.Ask) *RegistrationAnswered {
	j.keys++
	nonce := []byte(fmt.Sprintf("a nonce of 16+ octets, %d", j.keys))
	key, err := keys.GeneratedKey(aaaKey, nonce, []byte(naiA))
	if err != nil {
		j.Fatal(err)
	}
	return &RegistrationAnswered{ID: a.ID, Peer: "aaa.example.org", Server: "aaa.example.org", Result: 2001, Name: "success", SessionID: fmt.Sprint("ha;1;", j.keys),
		Answer: mip4.Answer{Home: netip.IPv4Unspecified(), Key: key[:], SPI: 4000 + uint32(j.keys), Transform: keys.HMACSHA1, Nonce: nonce, Lifetime: time.Hour}}
}

// at does what the mobile node says, and what the home agent says to it.
func (j *journey) at(out []mip4.MobileOutput) {
	for _, o := range out {
		switch o := o.(type) {
		case mip4.Send:
			j.give(o.From, o.Octets)
		case mip4.Registered:
			j.did = append(j.did, "registered "+o.Home.String())
		case mip4.Deregistered:
			j.did = append(j.did, "deregistered")
		case mip4.Ignored:
			j.did = append(j.did, "ignored "+o.Reason)
		}
	}
}

func (j *journey) give(from netip.Addr, octets []byte) {
	j.ha(j.step(RegistrationReceived{From: netip.AddrPortFrom(from, 5000), To: registrar4, Octets: octets}))
}

func (j *journey) ha(out []Output) {
	for _, o := range out {
		switch o := o.(type) {
		case AskRegistration:
			if in := j.vouch(o.Ask); in != nil {
				defer func() { j.ha(j.step(in)) }()
			}
		case SendRegistration:
			j.did = append(j.did, strings.TrimSpace("reply to "+o.To.Addr().String()+" "+o.Dev))
			defer j.at(j.mobile.Step(j.now, mip4.ReplyReceived{From: netip.AddrPortFrom(o.From, wire.Port), Octets: o.Octets}))
		case Event:
			j.all = append(j.all, o.Fields)
			j.did = append(j.did, o.Name)
		case SetTunnel:
			j.did = append(j.did, fmt.Sprint("tunnel ", o.Home4, " to ", o.CareOf))
		case TerminateSession:
			j.did = append(j.did, fmt.Sprint("terminate ", o.Session, " ", o.Cause))
		case AnswerAbort:
			j.did = append(j.did, fmt.Sprint("abort ", o.Result))
		default:
			j.did = append(j.did, actionName(o))
		}
	}
}

func (j *journey) want(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, j.did); diff != "" {
		t.Error(diff)
	}
	j.did, j.all = nil, nil
}

// The whole of it: RFC 5944, section 1.6, with keys of RFC 3957.
func TestAMobileNodeRegistersMovesAndComesHomeByMobileIPv4(t *testing.T) {
	j := travel(t, mobileIPv4())
	j.at(j.mobile.Step(j.now, mip4.Attached{CareOf: visited4}))
	i := slices.IndexFunc(j.all, func(f map[string]any) bool { return f["new"] == true })
	if i < 0 || j.all[i]["lifetime"] != 60.0 || j.all[i]["spi"] != uint32(4001) || j.all[i]["nai"] != naiA {
		t.Errorf("told %v", j.all)
	}
	for _, f := range j.all {
		if f["value"] != nil {
			t.Errorf("a key is told: %v", f)
		}
	}
	j.want(t, "aaa-asked", "aaa-answered", "association-made", "key-made", "tunnel 198.51.100.10 to 203.0.113.99", "set-proxy", "advertise-neighbor",
		"home-address-assigned", "binding-accepted", "reply to 203.0.113.99", "registered 198.51.100.10")
	j.pass(time.Second)
	if e := j.m.Bindings(j.now); len(e) != 1 || e[0].HomeAddress != homeA4 || e[0].CareOf != visited4 || e[0].Remaining != 59 || j.m.Counts().Bindings != 1 {
		t.Errorf("bindings %+v", e)
	}
	// By the key, without the server.
	j.at(j.mobile.Step(j.now, mip4.Attached{CareOf: moved4}))
	j.want(t, "tunnel 198.51.100.10 to 203.0.113.177", "binding-accepted", "reply to 203.0.113.177", "registered 198.51.100.10")
	// The reply is for the home link.
	j.pass(time.Second)
	j.at(j.mobile.Step(j.now, mip4.AtHome{}))
	j.want(t, "clear-tunnel", "clear-proxy", "binding-deleted", "reply to 198.51.100.10 home", "deregistered")
	// Known still, it leaves and is not heard of any more.
	j.pass(time.Second)
	j.at(j.mobile.Step(j.now, mip4.Attached{CareOf: visited4}))
	j.did = nil
	j.ha(j.pass(61 * time.Second))
	j.want(t, "clear-tunnel", "clear-proxy", "binding-expired")
	j.ha(j.pass(time.Hour))
	j.want(t, "terminate ha;1;1 6", "association-expired")
	if c := j.m.Counts(); c.Bindings != 0 || len(j.m.registrar.keyed) != 0 || len(j.m.registrar.open) != 0 {
		t.Errorf("left over: %+v", c)
	}
}

func TestAServerThatRefusesOrIsSilentMakesNoRegistration(t *testing.T) {
	for what, c := range map[string]struct {
		answer RegistrationAnswered
		want   []string
	}{
		"refused": {RegistrationAnswered{Result: 5003, Name: "authorization-rejected", Answer: mip4.Unanswered(5003, "authorization-rejected")}, []string{"aaa-asked", "aaa-answered", "update-discarded"}},
		"silent":  {RegistrationAnswered{Reason: "time-out", Answer: mip4.Unanswered(0, "time-out")}, []string{"aaa-asked", "aaa-failed", "update-discarded"}},
		"no key": {RegistrationAnswered{Result: 2001, Name: "success", SessionID: "x", Answer: mip4.Answer{Home: netip.IPv4Unspecified()}},
			[]string{"aaa-asked", "aaa-answered", "terminate x 4", "update-discarded"}},
	} {
		j := travel(t, mobileIPv4())
		j.vouch = func(a *mip4.Ask) *RegistrationAnswered { c.answer.ID = a.ID; return &c.answer }
		j.at(j.mobile.Step(j.now, mip4.Attached{CareOf: visited4}))
		if diff := cmp.Diff(c.want, j.did); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

func TestWhatTheServerHasVouchedForItTakesBack(t *testing.T) { // RFC 6733, section 8.5
	for what, c := range map[string]struct {
		abort SessionAborted
		want  []string
	}{
		"its own":    {SessionAborted{Session: "ha;1;1", NAI: naiA, Peer: "aaa.example.org", DestinationHost: "ha.example.org"}, []string{"abort 2001", "session-aborted", "clear-tunnel", "clear-proxy", "binding-deleted", "terminate ha;1;1 4"}},
		"of another": {SessionAborted{Session: "ha;1;1", Peer: "other.example.org", DestinationHost: "ha.example.org"}, []string{"abort 5012", "session-aborted"}},
		"not there":  {SessionAborted{Session: "ha;1;2", Peer: "aaa.example.org", DestinationHost: "ha.example.org"}, []string{"abort 5002", "session-aborted"}},
	} {
		j := travel(t, mobileIPv4())
		j.at(j.mobile.Step(j.now, mip4.Attached{CareOf: visited4}))
		j.did = nil
		j.ha(j.step(c.abort))
		if diff := cmp.Diff(c.want, j.did); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	j := travel(t, mobileIPv4())
	j.at(j.mobile.Step(j.now, mip4.Attached{CareOf: visited4}))
	if _, err := j.m.Revoke(j.now, order{NAI: naiB, Trigger: 1}); err == nil {
		t.Error("nobody's binding was revoked")
	}
	if out, err := j.m.Revoke(j.now, order{HomeAddress: homeA4, Trigger: 1}); err != nil || len(out) == 0 || j.m.Counts().Bindings != 0 {
		t.Errorf("revoked: %v, %v", out, err)
	}
}

// A new key ends the session of the one before.
func TestAnotherKeyEndsTheSessionOfTheFirst(t *testing.T) {
	j := travel(t, mobileIPv4())
	j.at(j.mobile.Step(j.now, mip4.Attached{CareOf: visited4}))
	for range 58 { // the mobile node registers again each 54 s, and has another key after 54 min
		j.pass(54 * time.Second)
		j.at(j.mobile.Tick(j.now))
	}
	j.pass(54 * time.Second)
	j.did = nil
	for range 3 {
		j.at(j.mobile.Tick(j.now))
		j.pass(54 * time.Second)
	}
	if j.keys != 2 || !slices.Contains(j.did, "terminate ha;1;1 6") {
		t.Errorf("%d keys; %q", j.keys, j.did)
	}
}

func TestAFloodOfRegistrationsCannotSwampTheServer(t *testing.T) {
	j := travel(t, mobileIPv4())
	asked := 0
	j.vouch = func(*mip4.Ask) *RegistrationAnswered { asked++; return nil }
	for i := range 10_000 {
		r := &wire.RegistrationRequest{Flags: wire.CoLocated, Lifetime: time.Minute, Home: netip.IPv4Unspecified(), HomeAgent: registrar4, CareOf: visited4, Identification: keys.NTP(start.Add(-time.Hour)) + uint64(i),
			Extensions: []wire.Extension{wire.Identifier{NAI: fmt.Sprint(i)}, wire.Authentication{Kind: wire.MobileAAA, SPI: 256, Authenticator: make([]byte, 16)}}}
		b, err := r.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		j.give(visited4, b)
	}
	if asked == 0 || asked > 60 || j.m.Counts().Questions != asked {
		t.Errorf("%d questions, %d counted", asked, j.m.Counts().Questions)
	}
	j.did, j.vouch = nil, j.grant
	other := netip.MustParseAddr("203.0.113.5")
	j.at(j.mobile.Step(j.now, mip4.Attached{CareOf: other}))
	if !slices.Contains(j.did, "registered 198.51.100.10") {
		t.Errorf("the mobile node is not served beside it: %q", j.did)
	}
}

func TestAHomeAgentOfMobileIPv4SpeaksNoMobileIPv6(t *testing.T) {
	s := tell(t, mobileIPv4())
	s.send(s.asking(1))
	if e := s.events("update-discarded"); len(e) != 1 || e[0]["reason"] != "no-mobile-ipv6" || len(s.out) != 1 {
		t.Errorf("%v", s.out)
	}
	s.step(StrangerTunnelled{Source: visited4, Inner: homeA4})
	if len(s.out) != 0 {
		t.Errorf("a stranger is told %v", s.out)
	}
}

func TestConfigurationsWithoutSenseMakeNoRegistrar(t *testing.T) {
	for what, change := range map[string]func(h *control.HomeAgent){
		"no address":      func(h *control.HomeAgent) { h.Address4 = netip.Addr{} },
		"two prefixes":    func(h *control.HomeAgent) { h.HomePrefixes4 = append(h.HomePrefixes4, h.HomePrefixes4...) },
		"none":            noIntegrity,
		"a memory":        func(h *control.HomeAgent) { h.KeepsBindings = true },
		"no home network": func(h *control.HomeAgent) { h.HomePrefixes4 = nil },
	} {
		cfg := mobileIPv4()
		change(cfg.HomeAgent)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: it was made", what)
		}
	}
}

func TestWhatBecameOfAQuestionIsReadFromItsAnswer(t *testing.T) {
	answer := func(a *diameter.AAMobileNodeAnswer) *diameter.Message {
		a.Session, a.Identity = "ha;1;1", diameter.Identity{Host: "aaa.example.org", Realm: "example.org"}
		a.HomeAgent, a.Home = registrar4, homeA4
		octets, err := a.AppendTo(nil, diameter.Header{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := diameter.Parse(octets)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for what, c := range map[string]struct {
		o    diampeer.Outcome
		want RegistrationAnswered
	}{
		"nobody": {diampeer.Outcome{Reason: "no-peer"}, RegistrationAnswered{Reason: "no-peer", Answer: mip4.Answer{Code: wire.ReasonUnspecified, Reason: "no-peer"}}},
		"granted": {diampeer.Outcome{Result: 2001, Host: "p", Message: answer(&diameter.AAMobileNodeAnswer{Outcome: diameter.Outcome{Result: 2001}})},
			RegistrationAnswered{Peer: "p", Result: 2001, Name: "success", SessionID: "ha;1;1", Server: "aaa.example.org", Answer: mip4.Answer{Home: homeA4}}},
		"rejected": {diampeer.Outcome{Result: 5003, Host: "p", Message: answer(&diameter.AAMobileNodeAnswer{Outcome: diameter.Outcome{Result: 5003}, State: diameter.NoStateMaintained})},
			RegistrationAnswered{Peer: "p", Server: "p", Result: 5003, Name: "authorization-rejected", Answer: mip4.Answer{Code: wire.Prohibited, Reason: "authorization-rejected"}}},
		"something else": {diampeer.Outcome{Result: 2001, Host: "p", Message: &diameter.Message{}}, RegistrationAnswered{Peer: "p", Result: 2001, Name: "success", Reason: "malformed-answer", Answer: mip4.Unanswered(0, "malformed-answer")}},
	} {
		c.want.ID = 7
		if diff := cmp.Diff(&c.want, registrationOutcome(7, c.o), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

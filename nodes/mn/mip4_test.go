package mn

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/mip4"
	"s2clab/nodes/wire/mh"
	wire "s2clab/nodes/wire/mip4"
)

var (
	wimax4 = netip.MustParsePrefix("192.0.2.99/26")
	lte4   = netip.PrefixFrom(home4, 24)
)

// registering is dual with registration by Mobile IPv4.
func registering() *control.Config {
	c := dual()
	m := c.MobileNode
	m.Security = control.Security{Integrity: "auth-options", Replay: "timestamp", Bootstrap: "mip-options", Profile: "mipv4"}
	m.MNHAKey, m.MNHASPI, m.MNAAASPI = nil, 0, 256
	m.HomeAgents = []control.NamedAgent{{Address: agent4, Host: "pgw.example"}}
	return c
}

// A story4 plays a machine against the home agent's machine of Mobile IPv4, and a server
// that vouches for the mobile node.
type story4 struct {
	*story
	agent    *mip4.Agent
	skew     time.Duration // of the home agent's clock
	deaf     bool          // nothing comes to the home agent
	requests []*wire.RegistrationRequest
	bound    netip.Addr // care-of address; not valid: none
	outputs  []Output   // of the last thing that happened, and of what followed
	random   *rand.Rand
}

func begin4(t *testing.T, cfg *control.Config) *story4 {
	t.Helper()
	s := &story4{story: begin(t, cfg), random: rand.New(rand.NewPCG(3, 4))}
	var err error
	if s.agent, err = mip4.NewAgent(mip4.AgentOptions{Address: agent4, Home: home4Net, Longest: 10 * time.Minute, Asks: true, Pool: []netip.Addr{home4}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// visit4 attaches to a link, and leaves the one before.
func (s *story4) visit4(dev string, p netip.Prefix) {
	s.t.Helper()
	for _, a := range s.m.accesses {
		if a.carrier && a.dev != dev {
			s.carrier(a.dev, false)
		}
	}
	s.join4(dev, p)
}

// join4 attaches to a link.
func (s *story4) join4(dev string, p netip.Prefix) {
	s.t.Helper()
	s.carrier(dev, true)
	s.outputs = nil
	s.register(s.lease(dev, p))
}

// pass lets time pass.
func (s *story4) pass(d time.Duration) {
	s.t.Helper()
	end := s.now.Add(d)
	for next := s.m.Deadline(); !next.IsZero() && !next.After(end); next = s.m.Deadline() {
		s.now = next
		s.register(s.take(s.m.Tick(s.now)))
	}
	s.now = end
}

// register carries what was sent to the home agent, and its replies back.
func (s *story4) register(out []Output) {
	s.t.Helper()
	s.outputs = append(s.outputs, out...)
	for _, o := range out {
		send, ok := o.(SendRegistration)
		if !ok {
			continue
		}
		r, err := wire.ParseRequest(send.Octets)
		if err != nil {
			s.t.Fatal(err)
		}
		if send.From != r.CareOf || send.To != netip.AddrPortFrom(agent4, wire.Port) {
			s.t.Errorf("sent from %v to %v with care-of address %v", send.From, send.To, r.CareOf)
		}
		s.requests = append(s.requests, r)
		if !s.deaf {
			s.home(s.agent.Step(s.now.Add(s.skew), mip4.RequestReceived{From: netip.AddrPortFrom(send.From, wire.Port), To: agent4, Octets: send.Octets}))
		}
	}
}

func (s *story4) home(out []mip4.AgentOutput) {
	s.t.Helper()
	for _, o := range out {
		switch o := o.(type) {
		case mip4.Ask:
			method, err := bootstrap.Of("mipv4", "", "")
			if err != nil {
				s.t.Fatal(err)
			}
			root := keys.Provisioned(keys.NameMNAAA, aaaKey)
			answer := mip4.Answer{Code: wire.MobileFailedAAA, Reason: "authentication-rejected"}
			if mip4.Verify(o.Octets, &o.Place, keys.HMACMD5, root.Value) == nil {
				nonce := make([]byte, 16)
				for i := range nonce {
					nonce[i] = byte(s.random.Uint32())
				}
				made, _ := method.Server.Associate(root, bootstrap.Request{Identifier: o.NAI, Lifetime: time.Hour, Nonce: nonce})
				answer = mip4.Answer{Key: made.Value, SPI: 1000, Transform: keys.HMACSHA1, Nonce: nonce, Lifetime: time.Hour}
			}
			s.home(s.agent.Step(s.now.Add(s.skew), mip4.Answered{ID: o.ID, Answer: answer}))
		case mip4.Bound:
			s.bound = o.CareOf
		case mip4.Unbound:
			s.bound = netip.Addr{}
		case mip4.Reply:
			s.register(s.step(RegistrationReplied{From: netip.AddrPortFrom(o.From, wire.Port), Octets: o.Octets}))
		}
	}
}

// told are the names of events since the first of a name.
func (s *story4) told(since string) string {
	i := slices.IndexFunc(s.events, func(e Event) bool { return e.Name == since })
	var all []string
	for _, e := range s.events[max(i, 0):] {
		all = append(all, e.Name)
	}
	return strings.Join(all, " ")
}

func (s *story4) wantTunnel(want SetTunnel) {
	s.t.Helper()
	if got, ok := find[SetTunnel](s.outputs); !ok || got != want || s.m.tunnel != want {
		s.t.Errorf("tunnel %+v, %v; want %+v", got, ok, want)
	}
}

func (s *story4) wantAuth(want string) {
	s.t.Helper()
	if got := s.mustHappen("registration-request-sent").Fields["auth"]; got != want {
		s.t.Errorf("proven by %v, want %v", got, want)
	}
}

// The story of a day: RFC 5944, sections 3.6 and 4.6; RFC 3957, section 3.
func TestByMobileIPv4ItLeavesHomeMovesAndComesBack(t *testing.T) {
	s := begin4(t, registering())
	s.join4("lte", lte4)
	if u, ok := find[UseHome4](s.outputs); !ok || u.Address != lte4 || u.Dev != "lte" || len(s.requests) > 0 {
		t.Errorf("at home it uses %+v, %v, and sends %d requests", u, ok, len(s.requests))
	}
	if e := s.mustHappen("attached"); e.Fields["home"] != true {
		t.Errorf("attached %v", e.Fields)
	}

	s.pass(4 * time.Second)
	s.visit4("wlan", wlan4)
	s.wantAuth("mn-aaa")
	s.wantTunnel(SetTunnel{Local: wlan4.Addr(), Remote: agent4, Home4: home4})
	if s.m.dual.used != nil || s.bound != wlan4.Addr() {
		t.Errorf("used at home %v, bound to %v", s.m.dual.used != nil, s.bound)
	}
	if r := s.requests[0]; r.Home != home4 || r.Lifetime != time.Minute {
		t.Errorf("request %+v", r)
	}
	if x, ok := find[ExpectTunnel](s.outputs); !ok || x.Local != wlan4.Addr() {
		t.Errorf("before the reply it expects %+v, %v", x, ok)
	}
	if made := s.made(); len(made) != 2 || made[0]["key"] != keys.NameMNAAA || made[1]["key"] != keys.NameMNHA || made[1]["octets"] != 20 {
		t.Errorf("made %v", made)
	}
	if st := s.m.State(s.now); !st.Bound || st.Waiting || st.Link != "wlan" || *st.CareOf != wlan4.Addr() || *st.HomeAddress != home4 || st.Agent != agent4 || st.Left != 60 {
		t.Errorf("state %+v", st)
	}

	s.pass(4 * time.Second)
	s.visit4("wimax", wimax4)
	s.wantAuth("mn-ha")
	s.wantTunnel(SetTunnel{Local: wimax4.Addr(), Remote: agent4, Home4: home4})

	s.pass(4 * time.Second)
	s.visit4("lte", lte4)
	s.wantAuth("mn-ha")
	if r := s.requests[len(s.requests)-1]; r.Lifetime != 0 || r.CareOf != home4 || s.bound.IsValid() {
		t.Errorf("at home it asks %+v, and is bound to %v", r, s.bound)
	}
	use := slices.IndexFunc(s.outputs, func(o Output) bool { _, ok := o.(UseHome4); return ok })
	send := slices.IndexFunc(s.outputs, func(o Output) bool { _, ok := o.(SendRegistration); return ok })
	if use < 0 || send < use {
		t.Errorf("the home address is used at %d, and the request sent at %d", use, send)
	}
	s.mustHappen("returned-home")
	if st := s.m.State(s.now); st.Bound || !st.Home {
		t.Errorf("state %+v", st)
	}
	if len(s.sent) > 0 {
		t.Errorf("%d binding updates", len(s.sent))
	}
	if _, solicited := find[SolicitRouter](s.outputs); solicited {
		t.Error("it looks for IPv6 routers")
	}
}

func TestByMobileIPv4TheNewLinkTakesOverWhileTheOldOneIsThere(t *testing.T) {
	s := begin4(t, registering())
	s.join4("wlan", wlan4)
	s.pass(3 * time.Second)
	s.join4("wimax", wimax4)
	if _, cleared := find[ClearTunnel](s.outputs); cleared {
		t.Error("the tunnel was cleared")
	}
	s.wantTunnel(SetTunnel{Local: wimax4.Addr(), Remote: agent4, Home4: home4})
	s.carrier("wlan", false)
	if got := names(s.out); slices.Contains(got, "ClearTunnel") || !slices.Contains(got, "LeaveAccess") {
		t.Errorf("as the old link goes: %v", got)
	}
	s.pass(3 * time.Second)
	s.join4("lte", lte4) // home, while wimax is there
	if got := s.told("returned-home"); got != "returned-home" {
		t.Errorf("told %s", got)
	}
	if s.m.tunnel != (SetTunnel{}) {
		t.Errorf("at home there is the tunnel %+v", s.m.tunnel)
	}
}

func TestByMobileIPv4WhatApplicationsSendFollowsTheRequest(t *testing.T) {
	s := begin4(t, registering())
	s.join4("wlan", wlan4)
	s.pass(3 * time.Second)
	s.deaf = true
	s.join4("wimax", wimax4)
	old, new := SetTunnel{Local: wlan4.Addr(), Remote: agent4, Home4: home4}, SetTunnel{Local: wimax4.Addr(), Remote: agent4, Home4: home4}
	s.wantTunnel(new)
	s.outputs = nil
	s.pass(1500 * time.Millisecond) // no Reply comes: it was lost on the way there, perhaps
	s.wantTunnel(old)
	if x, ok := find[ExpectTunnel](s.outputs); !ok || SetTunnel(x) != new {
		t.Errorf("it expects %+v, %v", x, ok)
	}
	s.deaf, s.outputs = false, nil
	s.pass(2 * time.Second)
	s.wantTunnel(new)
}

func TestByMobileIPv4ABindingIsRefreshedAndALostLinkFoundAgain(t *testing.T) {
	s := begin4(t, registering())
	s.join4("wlan", wlan4)
	s.pass(53 * time.Second)
	if len(s.requests) != 1 {
		t.Fatalf("%d requests", len(s.requests))
	}
	s.pass(2 * time.Second)
	if len(s.requests) != 2 || s.count("bound") != 1 || s.count("registration-accepted") != 2 {
		t.Fatalf("%d requests, bound %d times", len(s.requests), s.count("bound"))
	}
	s.carrier("wlan", false)
	if _, ok := find[ClearTunnel](s.out); !ok || s.m.here != nil {
		t.Errorf("without a link: %v", names(s.out))
	}
	s.pass(2 * time.Second)
	s.join4("wlan", wlan4)
	s.wantTunnel(SetTunnel{Local: wlan4.Addr(), Remote: agent4, Home4: home4})
}

func TestByMobileIPv4ASilentHomeAgentIsAskedAgainUntilTheBindingEnds(t *testing.T) {
	s := begin4(t, registering())
	s.join4("wlan", wlan4)
	s.deaf = true
	s.pass(62 * time.Second)
	if s.mustHappen("binding-expired"); s.m.tunnel != (SetTunnel{}) {
		t.Error("there is a tunnel")
	}
	if got := s.mustHappen("registration-request-sent").Fields["attempt"].(int); got != 4 { // at 54 s, 55 s, 57 s and 61 s
		t.Errorf("attempt %d", got)
	}
	if st := s.m.State(s.now); st.Bound || !st.Waiting {
		t.Errorf("state %+v", st)
	}
	s.deaf = false
	s.outputs = nil
	s.pass(10 * time.Second)
	s.wantTunnel(SetTunnel{Local: wlan4.Addr(), Remote: agent4, Home4: home4})
}

func TestByMobileIPv4AWrongClockIsSetByTheFirstRefusal(t *testing.T) {
	s := begin4(t, registering())
	s.skew = time.Hour
	s.join4("wlan", wlan4)
	if e := s.mustHappen("binding-refused"); e.Fields["name"] != wire.IdentificationMismatch.String() || e.Fields["status"] != uint8(133) {
		t.Errorf("refused %v", e.Fields)
	}
	s.pass(2 * time.Second)
	s.mustHappen("bound")
	if o := s.m.State(s.now).Offset; o < 3590 || o > 3610 {
		t.Errorf("offset %v", o)
	}
}

func TestByMobileIPv4AWrongKeyIsNotHeard(t *testing.T) {
	cfg := registering()
	cfg.MobileNode.MNAAAKey = []byte("another MN-AAA k")
	s := begin4(t, cfg)
	s.join4("wlan", wlan4)
	s.pass(10 * time.Second)
	if s.count("registration-request-sent") != 4 || s.bound.IsValid() || s.m.tunnel != (SetTunnel{}) || len(s.made()) > 0 {
		t.Errorf("%d requests, bound to %v", s.count("registration-request-sent"), s.bound)
	}
}

func TestByMobileIPv4AHomeAddressIsAssigned(t *testing.T) {
	s := begin4(t, homeless(registering()))
	s.join4("wlan", wlan4)
	if r := s.requests[0]; !r.Home.IsUnspecified() {
		t.Errorf("it asks for %v", r.Home)
	}
	if _, expected := find[ExpectTunnel](s.outputs); expected {
		t.Error("a tunnel is expected for no address")
	}
	s.mustHappen("home-address-assigned")
	s.wantTunnel(SetTunnel{Local: wlan4.Addr(), Remote: agent4, Home4: home4})
	s.visit4("lte", lte4)
	s.mustHappen("returned-home")
}

func TestByMobileIPv4TheBindingEndsOnCommandAndIsMadeAgain(t *testing.T) {
	s := begin4(t, registering())
	s.join4("wlan", wlan4)
	out, err := s.m.Deregister(s.now)
	if err != nil {
		t.Fatal(err)
	}
	s.register(s.take(out))
	if s.mustHappen("deregistered"); s.bound.IsValid() || s.m.tunnel != (SetTunnel{}) {
		t.Errorf("bound to %v", s.bound)
	}
	n := len(s.requests)
	s.pass(time.Second)
	s.visit4("wimax", wimax4)
	if len(s.requests) != n {
		t.Error("it registers nevertheless")
	}
	s.outputs = nil
	out, err = s.m.Register(s.now)
	if err != nil {
		t.Fatal(err)
	}
	s.register(s.take(out))
	s.wantTunnel(SetTunnel{Local: wimax4.Addr(), Remote: agent4, Home4: home4})
}

func TestByMobileIPv4MessagesOfMobileIPv6ChangeNothing(t *testing.T) {
	s := begin4(t, registering())
	s.visit4("wlan", wlan4)
	s.advertise("wlan", wlanPrefix)
	if s.m.access("wlan").router != nil || s.m.careOf != wlan4.Addr() {
		t.Error("it has heard an IPv6 router")
	}
	s.message(&mh.BindingRefreshRequest{}, homeAgent, homeAddress)
	if e := s.mustHappen("message-ignored"); e.Fields["reason"] != "of Mobile IPv6, which is not in use" {
		t.Errorf("ignored %v", e.Fields)
	}
}

func TestAConfigurationThatMobileIPv4CannotFollowIsRefused(t *testing.T) {
	for what, change := range map[string]func(m *control.MobileNode){
		"no home agent":                 func(m *control.MobileNode) { m.HomeAgent4 = netip.Addr{} },
		"a home address of IPv6":        func(m *control.MobileNode) { m.HomeAddress4 = homeAddress },
		"no NAI":                        func(m *control.MobileNode) { m.NAI = "" },
		"no MN-AAA key":                 func(m *control.MobileNode) { m.MNAAAKey = nil },
		"a reserved SPI":                func(m *control.MobileNode) { m.MNAAASPI = 3 },
		"no authentication":             func(m *control.MobileNode) { m.Security.Integrity = "none" },
		"several accesses":              func(m *control.MobileNode) { m.AllAccesses = true },
		"route optimization":            func(m *control.MobileNode) { m.RouteOptimization = true },
		"discovery":                     func(m *control.MobileNode) { m.Discovery = &control.Discovery{Methods: []string{"dhcp"}} },
		"a lifetime in parts of second": func(m *control.MobileNode) { m.Lifetime = 1500 * time.Millisecond },
	} {
		c := registering()
		change(c.MobileNode)
		if _, err := New(c); err == nil {
			t.Errorf("%s passed", what)
		}
	}
}

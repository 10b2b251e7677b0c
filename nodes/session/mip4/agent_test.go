package mip4

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/keys"
	wire "s2clab/nodes/wire/mip4"
)

var static = &Association{ToAgent: 300, ToMobile: 301, Transform: keys.HMACMD5, Key: mnhaKey}

// staticWorld is one with a mobile node that has an association and any home address,
// and another at 192.0.2.11.
func staticWorld(t *testing.T) *world {
	t.Helper()
	return newWorld(t, MobileOptions{NAI: nai, Association: static}, Subscriber{NAI: nai, Association: static},
		Subscriber{Home: netip.MustParseAddr("192.0.2.11"), Association: &Association{ToAgent: 400, ToMobile: 400, Transform: keys.HMACSHA1, Key: aaaKey}})
}

func plain(now time.Time) *wire.RegistrationRequest {
	return &wire.RegistrationRequest{Flags: wire.CoLocated | wire.ReverseTunnel, Lifetime: time.Minute, Home: home, HomeAgent: agent, CareOf: careOf, Identification: keys.NTP(now),
		Extensions: []wire.Extension{wire.Identifier{NAI: nai}}}
}

// give has a Request arrive, proven by an association.
func (w *world) give(r *wire.RegistrationRequest, s *Association) []AgentOutput {
	w.t.Helper()
	b, err := seal(r, wire.MobileHome, s.ToAgent, s.Transform, s.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.a.Step(w.now, RequestReceived{From: netip.AddrPortFrom(careOf, 5000), To: agent, Octets: b})
}

// said is what a home agent has replied, or why it has not.
func said(t *testing.T, out []AgentOutput, s *Association) string {
	t.Helper()
	for _, o := range out {
		switch o := o.(type) {
		case Discarded:
			return o.Reason
		case Reply:
			p := places(o.Octets, wire.MobileHome)
			if len(p) != 1 || p[0].SPI != s.ToMobile || Verify(o.Octets, &p[0], s.Transform, s.Key) != nil {
				t.Errorf("the reply is not proven: %+v", p)
			}
			r, err := wire.ParseReply(o.Octets)
			if err != nil {
				t.Fatal(err)
			}
			return r.Code.String()
		}
	}
	return "nothing"
}

// What a home agent says to one Request: RFC 5944, sections 3.8.2 and 3.8.3.
func TestARequestIsJudgedByTheRules(t *testing.T) {
	const fine = "accepted-without-simultaneous-bindings"
	for _, c := range []struct {
		what   string
		change func(r *wire.RegistrationRequest)
		want   string
	}{
		{"as it should be", func(*wire.RegistrationRequest) {}, fine},
		{"no home address", func(r *wire.RegistrationRequest) { r.Home = none }, fine},
		{"simultaneous bindings and broadcasts", func(r *wire.RegistrationRequest) { r.Flags |= wire.Simultaneous | wire.Broadcasts }, fine},
		{"bits that are ignored", func(r *wire.RegistrationRequest) { r.Flags |= 0x05 }, fine}, // section 3.3
		{"an extension that is skipped", func(r *wire.RegistrationRequest) {
			r.Extensions = append(r.Extensions, wire.RawExtension{Number: 200})
		}, fine},
		{"no reverse tunnel", func(r *wire.RegistrationRequest) { r.Flags &^= wire.ReverseTunnel }, fine},
		{"minimal encapsulation", func(r *wire.RegistrationRequest) { r.Flags |= wire.Minimal }, "requested-encapsulation-unavailable"},
		{"GRE", func(r *wire.RegistrationRequest) { r.Flags |= wire.GRE }, "requested-encapsulation-unavailable"},
		{"another home agent", func(r *wire.RegistrationRequest) { r.HomeAgent = careOf2 }, "unknown-home-agent-address"},
		{"the broadcast address", func(r *wire.RegistrationRequest) { r.HomeAgent = netip.MustParseAddr("192.0.2.255") }, "unknown-home-agent-address"},
		{"a home address of another", func(r *wire.RegistrationRequest) { r.Home = netip.MustParseAddr("192.0.2.11") }, "administratively-prohibited"},
		{"the home agent's own", func(r *wire.RegistrationRequest) { r.Home = agent }, "administratively-prohibited"},
		{"one of another network", func(r *wire.RegistrationRequest) { r.Home = careOf2 }, "administratively-prohibited"},
		{"no care-of address", func(r *wire.RegistrationRequest) { r.CareOf = none }, "poorly-formed-request"},
		{"a multicast one", func(r *wire.RegistrationRequest) { r.CareOf = netip.MustParseAddr("224.0.0.11") }, "poorly-formed-request"},
		{"the broadcast one", func(r *wire.RegistrationRequest) { r.CareOf = netip.MustParseAddr("255.255.255.255") }, "poorly-formed-request"},
		{"the home agent's", func(r *wire.RegistrationRequest) { r.CareOf = agent }, "poorly-formed-request"},
		{"the home address", func(r *wire.RegistrationRequest) { r.CareOf = home }, "poorly-formed-request"},
		{"another's home address as care-of address", func(r *wire.RegistrationRequest) { r.CareOf = netip.MustParseAddr("192.0.2.11") }, "poorly-formed-request"},
		{"a late timestamp", func(r *wire.RegistrationRequest) { r.Identification = keys.NTP(start.Add(-8 * time.Second)) }, "registration-identification-mismatch"},
		{"an early timestamp", func(r *wire.RegistrationRequest) { r.Identification = keys.NTP(start.Add(8 * time.Second)) }, "registration-identification-mismatch"},
		{"nobody knows whom", func(r *wire.RegistrationRequest) { r.Extensions = []wire.Extension{wire.Identifier{NAI: "a stranger"}} }, "no-association"},
		{"of whom there is no end", func(r *wire.RegistrationRequest) { r.Lifetime, r.Home = 0, none }, "poorly-formed-request"},
		{"a foreign agent", func(r *wire.RegistrationRequest) {
			r.Extensions = append(r.Extensions, wire.Authentication{Kind: wire.ForeignHome, SPI: 256, Authenticator: make([]byte, 16)})
		}, "foreign-agent"},
		{"two authentications", func(r *wire.RegistrationRequest) {
			r.Extensions = append(r.Extensions, wire.Authentication{Kind: wire.MobileHome, SPI: 256, Authenticator: make([]byte, 16)})
		}, "authentication-extensions"},
		{"an MN-AAA extension too, without an identifier", func(r *wire.RegistrationRequest) {
			r.Extensions = []wire.Extension{wire.Authentication{Kind: wire.MobileAAA, SPI: 256, Authenticator: make([]byte, 16)}, r.Extensions[0]}
		}, "no-identifier"},
	} {
		w := staticWorld(t)
		r := plain(w.now)
		c.change(r)
		if got := said(t, w.give(r, static), static); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

func TestAHomeAgentHasNoMoreBindingsThanItMay(t *testing.T) {
	w := staticWorld(t)
	second := &Association{ToAgent: 400, ToMobile: 400, Transform: keys.HMACSHA1, Key: aaaKey}
	w.a.o.Most = 1
	other := func(at time.Duration) *wire.RegistrationRequest {
		r := plain(w.now.Add(at))
		r.Home, r.CareOf, r.Extensions = netip.MustParseAddr("192.0.2.11"), careOf2, nil
		return r
	}
	if got := said(t, w.give(plain(w.now), static), static); got != wire.AcceptedNoSimultaneous.String() {
		t.Errorf("the first: %s", got)
	}
	if got := said(t, w.give(other(0), second), second); got != "insufficient-resources" {
		t.Errorf("the second: %s", got)
	}
	end := plain(w.now.Add(1))
	end.Lifetime, end.CareOf = 0, home
	w.give(end, static)
	if got := said(t, w.give(other(1), second), second); got != wire.AcceptedNoSimultaneous.String() {
		t.Errorf("the second, when there is room: %s", got)
	}
}

func TestWhatIsNotProvenIsRefusedAndLeavesNoBinding(t *testing.T) { // RFC 5944, section 3.8.2.1, a
	for what, wrong := range map[string]*Association{
		"key":       {ToAgent: 300, Transform: keys.HMACMD5, Key: aaaKey},
		"SPI":       {ToAgent: 302, Transform: keys.HMACMD5, Key: mnhaKey},
		"transform": {ToAgent: 300, Transform: keys.HMACSHA1, Key: mnhaKey},
	} {
		w := staticWorld(t)
		out := w.give(plain(w.now), wrong)
		if got := said(t, out, static); got != "mobile-node-failed-authentication" {
			t.Errorf("another %s: %s", what, got)
		}
		for _, o := range out {
			if _, ok := o.(Bound); ok {
				t.Errorf("another %s: bound", what)
			}
		}
	}
	// Any bit.
	w := staticWorld(t)
	good, err := seal(plain(w.now), wire.MobileHome, static.ToAgent, static.Transform, static.Key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for bit := range 8 {
			b := append([]byte(nil), good...)
			b[i] ^= 1 << bit
			for _, o := range w.a.Step(w.now, RequestReceived{From: netip.AddrPortFrom(careOf, 5000), To: agent, Octets: b}) {
				if _, ok := o.(Bound); ok {
					t.Fatalf("octet %d, bit %d: bound", i, bit)
				}
			}
		}
	}
	if got := said(t, w.give(plain(w.now), static), static); !strings.HasPrefix(got, "accepted") {
		t.Errorf("then the right one: %s", got)
	}
}

func TestOnlyTheCareOfAddressThatIsNamedIsDeregistered(t *testing.T) { // RFC 5944, section 3.8.2.2
	w := staticWorld(t)
	w.give(plain(w.now), static)
	end := func(careOf netip.Addr) []AgentOutput {
		w.now = w.now.Add(time.Second)
		r := plain(w.now)
		r.Lifetime, r.CareOf = 0, careOf
		return w.give(r, static)
	}
	if out := end(careOf2); len(out) != 1 { // a Reply
		t.Errorf("another's: %+v", out)
	}
	out := end(careOf)
	if len(out) != 2 || out[0] != (Unbound{Name: nai, Home: home, Reason: "deregistered"}) {
		t.Errorf("its own: %+v", out)
	}
	w.now = w.now.Add(time.Second)
	w.give(plain(w.now), static)
	if out := end(home); len(out) != 2 {
		t.Errorf("all: %+v", out)
	} else if reply := out[1].(Reply); reply.Home { // this one came from the care-of address
		t.Errorf("%+v", reply)
	}
}

func TestWhenThePoolIsEmptyThereIsNoHomeAddress(t *testing.T) {
	w := staticWorld(t)
	w.a.o.Pool = nil
	r := plain(w.now)
	r.Home = none
	if got := said(t, w.give(r, static), static); got != "insufficient-resources" {
		t.Errorf("%s", got)
	}
}

func TestAReplyAtHomeIsForTheLinkItself(t *testing.T) { // RFC 5944, section 3.8.3.1
	w := staticWorld(t)
	w.give(plain(w.now), static)
	w.now = w.now.Add(time.Second)
	r := plain(w.now)
	r.Lifetime, r.CareOf = 0, home
	b, err := seal(r, wire.MobileHome, static.ToAgent, static.Transform, static.Key)
	if err != nil {
		t.Fatal(err)
	}
	out := w.a.Step(w.now, RequestReceived{From: netip.AddrPortFrom(home, 5000), To: agent, Octets: b})
	if len(out) != 2 || !out[1].(Reply).Home || out[1].(Reply).To.Addr() != home {
		t.Errorf("%+v", out)
	}
}

// RFC 5944, section 3.8.2.1, a: all indicated authentications are carried out.
func TestAnMNAAAExtensionBesideOneOfMNHAIsAskedAboutToo(t *testing.T) {
	for code, want := range map[wire.Code]string{wire.Accepted: "accepted-without-simultaneous-bindings", wire.MobileFailedAAA: "mobile-node-failed-aaa-authentication"} {
		w := staticWorld(t)
		r := plain(w.now)
		r.Extensions = append(r.Extensions, wire.KeyGenerationRequest{SPI: 500}, wire.Authentication{Kind: wire.MobileAAA, SPI: 256, Authenticator: make([]byte, 16)})
		out := w.give(r, static)
		if len(out) != 1 {
			t.Fatalf("%+v", out)
		}
		out = w.a.Step(w.now, Answered{ID: out[0].(Ask).ID, Answer: Answer{Code: code, Key: aaaKey, SPI: 600, Transform: keys.HMACSHA1, Nonce: make([]byte, 16), Lifetime: time.Hour}})
		// What was put in beforehand stays: no other key is made.
		if got := said(t, out, static); got != want {
			t.Errorf("%v: %s", code, got)
		}
	}
	// Alone it does not do where a key was put in.
	w := staticWorld(t)
	b, err := seal(plain(w.now), wire.MobileAAA, 256, keys.HMACMD5, aaaKey)
	if err != nil {
		t.Fatal(err)
	}
	if got := said(t, w.a.Step(w.now, RequestReceived{From: netip.AddrPortFrom(careOf, 5000), To: agent, Octets: b}), static); got != "has-an-association" {
		t.Errorf("%s", got)
	}
}

func TestAKeyIsNotMadeForAReservedSPIOrAForeignAgent(t *testing.T) { // RFC 5944, section 1.6
	for _, e := range []wire.KeyGenerationRequest{{SPI: FirstSPI - 1}, {SPI: 500, Foreign: true}} {
		w := newWorld(t, MobileOptions{})
		r := plain(w.now)
		r.Extensions = append(r.Extensions, e)
		b, err := seal(r, wire.MobileAAA, aaaSPI, keys.HMACMD5, aaaKey)
		if err != nil {
			t.Fatal(err)
		}
		got := said(t, w.a.Step(w.now, RequestReceived{From: netip.AddrPortFrom(careOf, 5000), To: agent, Octets: b}), static)
		if got != "key-request" {
			t.Errorf("%+v: %s", e, got)
		}
	}
}

func TestAnAnswerWithoutAKeyGrantsNothing(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	w.vouch = func(Ask) (Answer, bool) { return Answer{}, true }
	w.mobile(Attached{careOf})
	w.want("discarded no-key")
}

func TestTheAAAServerSaysWhichHomeAddress(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	w.vouch = func(q Ask) (Answer, bool) {
		a, ok := w.server(q)
		a.Home = netip.MustParseAddr("192.0.2.42")
		return a, ok
	}
	w.mobile(Attached{careOf})
	w.want("bound 192.0.2.42 to 198.51.100.99", "made MN-HA key", "registered 192.0.2.42 at 198.51.100.99 for 10m0s")
}

func TestAnAssociationIsNotPrinted(t *testing.T) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		for _, text := range []string{fmt.Sprintf(format, static), fmt.Sprintf(format, *static)} {
			if strings.Contains(text, "MN-HA key") || strings.Contains(text, "4d4e2d4841") {
				t.Errorf("%s prints %s", format, text)
			}
		}
	}
}

// No octets make a home agent or a mobile node panic, and none that were not proven
// bind anything.
func FuzzOctets(f *testing.F) {
	for _, k := range []wire.AuthenticationKind{wire.MobileHome, wire.MobileAAA} {
		r := plain(start)
		r.Extensions = append(r.Extensions, wire.KeyGenerationRequest{SPI: 500})
		b, err := seal(r, k, aaaSPI, keys.HMACMD5, []byte("nobody's key...."))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	reply := &wire.RegistrationReply{Home: home, HomeAgent: agent, Identification: keys.NTP(start), Lifetime: time.Minute, Extensions: []wire.Extension{
		wire.KeyGenerationReply{Lifetime: time.Hour, AAASPI: aaaSPI, SPI: 1000, Transform: 2, Replay: wire.Timestamps, Nonce: make([]byte, 16)}}}
	b, err := seal(reply, wire.MobileHome, 1000, keys.HMACSHA1, []byte("nobody's key...."))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(t, MobileOptions{}, Subscriber{NAI: nai, Association: static})
		w.lose = func(wire.Message) bool { return true }
		w.mobile(Attached{careOf})
		for _, o := range w.m.Step(w.now, ReplyReceived{From: netip.AddrPortFrom(agent, wire.Port), Octets: b}) {
			if _, ok := o.(Ignored); !ok {
				t.Errorf("the mobile node does %T", o)
			}
		}
		for _, o := range w.a.Step(w.now, RequestReceived{From: netip.AddrPortFrom(careOf, 5000), To: agent, Octets: b}) {
			if _, ok := o.(Bound); ok {
				t.Errorf("%+v", o)
			}
		}
	})
}

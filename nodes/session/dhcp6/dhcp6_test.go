package dhcp6

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	from  = netip.MustParseAddr("fe80::1")
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

var home = HomeNetwork{
	Identifier: "epc.example.org", Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8:100::/48")},
	Agents: []netip.Addr{addr("2001:db8:1::1"), addr("192.0.2.1")}, Names: []string{"internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org"},
}

func newServer(t testing.TB, change ...func(*ServerConfig)) *Server {
	t.Helper()
	cfg := ServerConfig{
		DUID: LinkLayerDUID([6]byte{2, 0, 0, 0, 0, 0xff}), Prefix: netip.MustParsePrefix("2001:db8:2::/64"), First: addr("2001:db8:2::1000"), Last: addr("2001:db8:2::1003"),
		DNS: []netip.Addr{addr("2001:db8::53")}, Domain: "lab.example", Lease: 100 * time.Second, Home: &home,
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newClient(id byte, change ...func(*ClientConfig)) *Client {
	cfg := ClientConfig{DUID: LinkLayerDUID([6]byte{2, 0, 0, 0, 0, id}), IAID: [4]byte{0, 0, 0, id}}
	for _, f := range change {
		f(&cfg)
	}
	return NewClient(cfg, rand.New(rand.NewPCG(1, uint64(id))))
}

func again(t testing.TB, m *dhcpv6.Message) *dhcpv6.Message {
	t.Helper()
	p, err := Parse(m.ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A link is a client and a server, and what became of their outputs.
type link struct {
	t        testing.TB
	server   *Server
	client   *Client
	deaf     bool
	sent     []string
	did      []string
	informed Configuration
}

func (l *link) pass(now time.Time, out []ClientOutput) {
	for _, o := range out {
		switch o := o.(type) {
		case Send:
			l.sent = append(l.sent, o.Message.MessageType.String())
			if l.deaf {
				continue
			}
			for _, answer := range l.server.Step(now, Received{from, again(l.t, o.Message)}) {
				switch answer := answer.(type) {
				case Send:
					l.sent = append(l.sent, "< "+answer.Message.MessageType.String())
					l.pass(now, l.client.Step(now, Received{from, again(l.t, answer.Message)}))
				case Event:
					l.did = append(l.did, "server "+answer.Name)
				}
			}
		case Configured:
			l.did = append(l.did, "has "+o.Lease.Address.String())
		case Deconfigured:
			l.did = append(l.did, "lost "+o.Address.String()+" "+o.Reason)
		case Informed:
			l.informed = o.Configuration
			l.did = append(l.did, "informed")
		case Event:
			l.did = append(l.did, o.Name)
		}
	}
}

func (l *link) taken() (sent, did []string) {
	sent, did = l.sent, l.did
	l.sent, l.did = nil, nil
	return sent, did
}

func want(t testing.TB, what string, got, wanted []string) {
	t.Helper()
	if !slices.Equal(got, wanted) {
		t.Errorf("%s: %q, want %q", what, got, wanted)
	}
}

func newLink(t testing.TB, change ...func(*ClientConfig)) *link {
	return &link{t: t, server: newServer(t), client: newClient(1, change...)}
}

func rapid(c *ClientConfig)     { c.Rapid = true }
func stateless(c *ClientConfig) { c.Stateless = true }

func TestAClientHasAnAddressAfterFourMessages(t *testing.T) {
	l := newLink(t)
	l.pass(start, l.client.Step(start, Started{}))
	sent, did := l.taken()
	want(t, "sent", sent, []string{"SOLICIT", "< ADVERTISE", "REQUEST", "< REPLY"})
	lease := l.client.Lease()
	if lease == nil {
		t.Fatal("it has none")
	}
	want(t, "did", did, []string{"has " + lease.Address.String(), "server lease-granted"})
	exp := Lease{Address: lease.Address, Server: lease.Server, Configuration: Configuration{DNS: []netip.Addr{addr("2001:db8::53")}, Domains: []string{"lab.example"}},
		Renew: start.Add(37 * time.Second), Rebind: start.Add(60 * time.Second), Preferred: start.Add(75 * time.Second), Expire: start.Add(100 * time.Second)}
	if !reflect.DeepEqual(*lease, exp) || !netip.MustParsePrefix("2001:db8:2::1000/126").Contains(lease.Address) {
		t.Errorf("lease %+v, want %+v", *lease, exp)
	}
}

func TestRapidCommitTakesTwoMessages(t *testing.T) {
	l := newLink(t, rapid)
	l.pass(start, l.client.Step(start, Started{}))
	sent, _ := l.taken()
	want(t, "sent", sent, []string{"SOLICIT", "< REPLY"})
	if l.client.Lease() == nil {
		t.Error("it has no address")
	}
}

func TestALeaseIsRenewedThenReboundThenLost(t *testing.T) {
	l := newLink(t, rapid)
	l.pass(start, l.client.Step(start, Started{}))
	a := l.client.Lease().Address.String()
	l.taken()
	now := l.client.Deadline()
	l.pass(now, l.client.Tick(now))
	sent, did := l.taken()
	want(t, "sent", sent, []string{"RENEW", "< REPLY"})
	want(t, "did", did, []string{"has " + a})

	l.deaf = true
	begin := now
	var at []string
	for l.client.Lease() != nil {
		d := l.client.Deadline()
		l.pass(d, l.client.Tick(d))
		at = append(at, fmt.Sprintf("%s %d", l.sent[len(l.sent)-1], d.Sub(begin)/time.Second))
	}
	_, did = l.taken()
	want(t, "did", did, []string{"lost " + a + " expired"})
	if len(at) < 4 || at[0] != "RENEW 37" || !slices.Contains(at, "REBIND 60") || at[len(at)-1] != "SOLICIT 100" {
		t.Errorf("sent %q", at)
	}
	// Another server takes the address over where it is free.
	l.deaf = false
	l.client.Step(begin, Stopped{})
	l.pass(begin, l.client.Step(begin, Started{}))
	now = l.client.Lease().Rebind
	l.server = newServer(t, func(c *ServerConfig) { c.DUID = LinkLayerDUID([6]byte{2, 0, 0, 0, 0, 0xfe}) })
	l.taken()
	l.client.Tick(l.client.Lease().Renew)
	l.pass(now, l.client.Tick(now))
	sent, _ = l.taken()
	want(t, "sent", sent, []string{"REBIND", "< REPLY"})
	if lease := l.client.Lease(); lease == nil || !same(lease.Server, l.server.cfg.DUID) || lease.Address.String() != a {
		t.Errorf("lease %+v", lease)
	}
}

// RFC 8415, section 15: each wait is twice the one before, a tenth more or less.
func TestRetransmissionsWaitLonger(t *testing.T) {
	c := newClient(1)
	c.Step(start, Started{})
	now, last := start, time.Duration(0)
	for i := range 20 {
		d := c.Deadline().Sub(now)
		low, high := 19*last/10, 21*last/10
		if i == 0 {
			low, high = time.Second, 1100*time.Millisecond
		}
		if low > 3240*time.Second {
			low, high = 3240*time.Second, 3960*time.Second
		}
		if d < low || d > max(high, 3960*time.Second) && d > high {
			t.Errorf("wait %d is %v, want %v to %v", i+1, d, low, high)
		}
		now, last = c.Deadline(), d
		c.Tick(now)
	}
	if last > 3960*time.Second {
		t.Errorf("waits %v at last", last)
	}
}

func TestAClientThatComesBackConfirms(t *testing.T) {
	l := newLink(t, rapid)
	l.pass(start, l.client.Step(start, Started{}))
	lease := *l.client.Lease()
	l.pass(start, l.client.Step(start, Stopped{}))
	l.taken()
	l.pass(start, l.client.Step(start, Started{Previous: &lease}))
	sent, did := l.taken()
	want(t, "sent", sent, []string{"CONFIRM", "< REPLY"})
	want(t, "did", did, []string{"has " + lease.Address.String()})

	l.pass(start, l.client.Step(start, Stopped{}))
	lease.Address = addr("2001:db8:9::9")
	l.taken()
	l.pass(start, l.client.Step(start, Started{Previous: &lease}))
	sent, did = l.taken()
	want(t, "sent", sent, []string{"CONFIRM", "< REPLY", "SOLICIT", "< REPLY"})
	if len(did) < 3 || did[0] != "lost 2001:db8:9::9 refused" || did[1] != "lease-refused" {
		t.Errorf("did %q", did)
	}

	// Where nobody answers, nothing is known to be wrong: section 18.2.3.
	lease = *l.client.Lease()
	l.pass(start, l.client.Step(start, Stopped{}))
	l.deaf = true
	l.taken()
	l.pass(start, l.client.Step(start, Started{Previous: &lease}))
	var end time.Time
	for len(l.did) == 0 {
		end = l.client.Deadline()
		l.pass(end, l.client.Tick(end))
	}
	if d := end.Sub(start); d != 10*time.Second || l.did[0] != "has "+lease.Address.String() {
		t.Errorf("after %v: %q", d, l.did)
	}
}

func TestAnAddressIsGivenBackOrDeclined(t *testing.T) {
	l := newLink(t, rapid)
	l.pass(start, l.client.Step(start, Started{}))
	first := l.client.Lease().Address
	l.taken()
	l.pass(start, l.client.Step(start, Conflicted{first}))
	sent, did := l.taken()
	want(t, "sent", sent, []string{"DECLINE", "< REPLY", "SOLICIT", "< REPLY"})
	second := l.client.Lease().Address
	want(t, "did", did, []string{"lost " + first.String() + " duplicate", "address-failed", "has " + second.String(), "server lease-granted", "server address-declined"})
	if second == first {
		t.Error("the declined address is given again")
	}
	l.pass(start, l.client.Step(start, Stopped{Release: true}))
	sent, did = l.taken()
	want(t, "sent", sent, []string{"RELEASE", "< REPLY"})
	want(t, "did", did, []string{"lost " + second.String() + " released", "server lease-ended"})
	if leased, _, _ := l.server.book.Kept(); leased != 0 || !l.client.Deadline().IsZero() {
		t.Errorf("%d leases, next %v", leased, l.client.Deadline())
	}
}

func TestConfigurationAloneTellsOfTheHomeAgent(t *testing.T) {
	for network, n := range map[string]int{"": 2, "epc.example.org": 3, "other.example.org": 2} {
		l := newLink(t, stateless, func(c *ClientConfig) { c.Home, c.Network = true, network })
		l.server = newServer(t, func(c *ServerConfig) { c.First, c.Last = netip.Addr{}, netip.Addr{} })
		l.pass(start, l.client.Step(start, Started{}))
		sent, did := l.taken()
		want(t, "sent", sent, []string{"INFORMATION-REQUEST", "< REPLY"})
		want(t, "did", did, []string{"informed"})
		if len(l.informed.Home) != n || len(l.informed.DNS) != 1 {
			t.Errorf("asked for %q, informed of %+v", network, l.informed)
		}
		for _, got := range l.informed.Home {
			exp := home
			exp.Identifier = got.Identifier
			if !reflect.DeepEqual(got, exp) || got.Identifier != "" && got.Identifier != network {
				t.Errorf("told of %+v, want %+v", got, home)
			}
		}
		if d := l.client.Deadline().Sub(start); d != 24*time.Hour {
			t.Errorf("asks again after %v", d)
		}
	}
	l := newLink(t, stateless)
	l.pass(start, l.client.Step(start, Started{}))
	if len(l.informed.Home) != 0 {
		t.Errorf("told of %+v, and has not asked", l.informed.Home)
	}
}

// RFC 6610, sections 3.1 to 3.5: by hand.
func TestHomeNetworksAreWrittenAsTheRFCSays(t *testing.T) {
	o, err := HomeNetwork{Identifier: "a.b", Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}, Agents: []netip.Addr{addr("2001:db8::1"), addr("192.0.2.1")}, Names: []string{"h"}}.option(OptionIdentified)
	if err != nil {
		t.Fatal(err)
	}
	exp := "\x00\x31\x00\x05\x01a\x01b\x00" +
		"\x00\x47\x00\x11\x20\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x48\x00\x10\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x00\x48\x00\x10\x00\x64\xff\x9b\x00\x00\x00\x00\x00\x00\x00\x00\xc0\x00\x02\x01" +
		"\x00\x49\x00\x03\x01h\x00"
	if got := string(o.ToBytes()); got != exp || o.Code() != 69 {
		t.Errorf("option %d:\n% x, want\n% x", o.Code(), got, exp)
	}
}

func TestAFullPoolIsSaidAndToldOnce(t *testing.T) {
	l := newLink(t, rapid)
	for id := range byte(4) {
		l.client = newClient(10+id, rapid)
		l.pass(start, l.client.Step(start, Started{}))
	}
	l.taken()
	for id := range byte(5) {
		l.client = newClient(20+id, rapid)
		l.pass(start, l.client.Step(start, Started{}))
		if l.client.Lease() != nil {
			t.Error("five have one of four")
		}
	}
	_, did := l.taken()
	if n := len(slices.DeleteFunc(did, func(s string) bool { return s != "server pool-exhausted" })); n != 1 {
		t.Errorf("told %d times", n)
	}
	now := l.server.Deadline()
	l.server.Tick(now)
	l.pass(now, l.client.Tick(l.client.Deadline()))
	if leased, _, _ := l.server.book.Kept(); leased != 0 && l.client.Lease() == nil {
		t.Errorf("nothing is free: %d leases", leased)
	}
}

func TestAFloodOfClientsIsKeptWithinBounds(t *testing.T) {
	s := newServer(t)
	r := rand.New(rand.NewPCG(7, 7))
	events := 0
	kinds := []dhcpv6.MessageType{dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind, dhcpv6.MessageTypeDecline, dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeConfirm}
	for range 50_000 {
		kind := kinds[r.IntN(len(kinds))]
		m := &dhcpv6.Message{MessageType: kind}
		m.AddOption(dhcpv6.OptClientID(LinkLayerDUID([6]byte{2, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), 0, 0})))
		if kind != dhcpv6.MessageTypeSolicit && kind != dhcpv6.MessageTypeRebind && kind != dhcpv6.MessageTypeConfirm {
			m.AddOption(dhcpv6.OptServerID(s.cfg.DUID))
		} else if r.IntN(2) == 0 {
			m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
		}
		for i := range r.IntN(20) {
			m.AddOption(&dhcpv6.OptIANA{IaId: [4]byte{byte(i)}, Options: dhcpv6.IdentityOptions{Options: dhcpv6.Options{&dhcpv6.OptIAAddress{IPv6Addr: s.book.Nth(r.Uint32N(8)).AsSlice()}}}})
		}
		for _, o := range s.Step(start, Received{from, m}) {
			if _, ok := o.(Event); ok {
				events++
			}
		}
	}
	if leased, clients, declined := s.book.Kept(); leased > 4 || clients > 4 || declined > 4 || events > 20 {
		t.Errorf("keeps %d leases, %d clients, %d declined; told %d events", leased, clients, declined, events)
	}
}

func TestAnUnexpectedServerIsNotHeard(t *testing.T) {
	s, c := newServer(t), newClient(1)
	solicit := c.Step(start, Started{})[0].(Send).Message
	advertise := s.Step(start, Received{from, solicit})[0].(Send).Message
	request := c.Step(start, Received{from, advertise})[0].(Send).Message
	reply := s.Step(start, Received{from, request})[0].(Send).Message
	evil := LinkLayerDUID([6]byte{6, 6, 6, 6, 6, 6})
	for what, forge := range map[string]func(*dhcpv6.Message){
		"another server":      func(m *dhcpv6.Message) { m.UpdateOption(dhcpv6.OptServerID(evil)) },
		"no server":           func(m *dhcpv6.Message) { m.Options.Options.Del(dhcpv6.OptionServerID) },
		"another client":      func(m *dhcpv6.Message) { m.UpdateOption(dhcpv6.OptClientID(evil)) },
		"another transaction": func(m *dhcpv6.Message) { m.TransactionID[0]++ },
		"a rapid reply unasked": func(m *dhcpv6.Message) {
			m.TransactionID[0]++
			m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
		},
		"an advertisement": func(m *dhcpv6.Message) { m.MessageType = dhcpv6.MessageTypeAdvertise },
		"a reconfigure":    func(m *dhcpv6.Message) { m.MessageType = dhcpv6.MessageTypeReconfigure },
	} {
		m := again(t, reply)
		forge(m)
		if out := c.Step(start, Received{from, m}); out != nil || c.Lease() != nil {
			t.Errorf("%s: %v, lease %+v", what, out, c.Lease())
		}
	}
	for what, forge := range map[string]func(*dhcpv6.OptIANA, *dhcpv6.OptIAAddress){
		"no lifetime":           func(_ *dhcpv6.OptIANA, a *dhcpv6.OptIAAddress) { a.ValidLifetime = 0 },
		"preferred for longer":  func(_ *dhcpv6.OptIANA, a *dhcpv6.OptIAAddress) { a.PreferredLifetime = a.ValidLifetime + time.Second },
		"a multicast address":   func(_ *dhcpv6.OptIANA, a *dhcpv6.OptIAAddress) { a.IPv6Addr = addr("ff02::1").AsSlice() },
		"a link-local address":  func(_ *dhcpv6.OptIANA, a *dhcpv6.OptIAAddress) { a.IPv6Addr = addr("fe80::9").AsSlice() },
		"T1 after T2":           func(ia *dhcpv6.OptIANA, _ *dhcpv6.OptIAAddress) { ia.T1 = ia.T2 + time.Second },
		"another's association": func(ia *dhcpv6.OptIANA, _ *dhcpv6.OptIAAddress) { ia.IaId[0]++ },
	} {
		c := newClient(1, rapid)
		solicit := c.Step(start, Started{})[0].(Send).Message
		m := again(t, newServer(t).Step(start, Received{from, solicit})[0].(Send).Message)
		ia := m.Options.OneIANA()
		forge(ia, ia.Options.OneAddress())
		c.Step(start, Received{from, again(t, m)})
		if c.Lease() != nil {
			t.Errorf("%s: lease %+v", what, c.Lease())
		}
	}
}

func TestALeaseThatTheServerDoesNotKnowIsLost(t *testing.T) {
	l := newLink(t, rapid)
	l.pass(start, l.client.Step(start, Started{}))
	l.taken()
	l.server = newServer(t) // started again
	now := l.client.Deadline()
	l.pass(now, l.client.Tick(now))
	sent, did := l.taken()
	want(t, "sent", sent, []string{"RENEW", "< REPLY", "SOLICIT", "< REPLY"})
	if len(did) != 4 || did[1] != "lease-refused" || l.client.Lease() == nil {
		t.Errorf("did %q", did)
	}
}

// Without preference 255, others are waited for, and the best is taken.
func TestTheServerOfTheGreatestPreferenceIsTaken(t *testing.T) {
	c := newClient(1)
	solicit := c.Step(start, Started{})[0].(Send).Message
	var best dhcpv6.DUID
	for i, preference := range []uint8{3, 9, 7} {
		s := newServer(t, func(cfg *ServerConfig) { cfg.DUID = LinkLayerDUID([6]byte{2, 0, 0, 0, 1, byte(i)}) })
		m := s.Step(start, Received{from, solicit})[0].(Send).Message
		m.UpdateOption(dhcpv6.OptPreference(preference))
		if out := c.Step(start, Received{from, m}); out != nil {
			t.Errorf("takes preference %d at once", preference)
		}
		if preference == 9 {
			best = s.cfg.DUID
		}
	}
	out := c.Tick(c.Deadline())
	if m := out[0].(Send).Message; m.MessageType != dhcpv6.MessageTypeRequest || !same(m.Options.ServerID(), best) {
		t.Errorf("sent %v", m.Summary())
	}
}

func FuzzMessages(f *testing.F) {
	s, c := newServer(f), newClient(1, func(c *ClientConfig) { c.Home = true })
	solicit := c.Step(start, Started{})[0].(Send).Message
	advertise := s.Step(start, Received{from, solicit})[0].(Send).Message
	request := c.Step(start, Received{from, advertise})[0].(Send).Message
	for _, m := range []*dhcpv6.Message{solicit, advertise, request, s.Step(start, Received{from, request})[0].(Send).Message} {
		f.Add(m.ToBytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		s := newServer(t)
		for range 2 {
			for _, o := range s.Step(start, Received{from, m}) {
				if send, ok := o.(Send); ok {
					again(t, send.Message)
				}
			}
		}
		HomeNetworks(m)
		for _, change := range []func(*ClientConfig){rapid, stateless, func(*ClientConfig) {}} {
			c := newClient(1, change)
			c.Step(start, Started{})
			m.UpdateOption(dhcpv6.OptClientID(c.cfg.DUID))
			for range 3 {
				m.TransactionID = c.xid
				c.Step(start, Received{from, m})
				if l := c.Lease(); l != nil && (!l.Address.Is6() || l.Address.Is4In6()) {
					t.Fatalf("has %+v", l)
				}
			}
			for range 20 {
				if d := c.Deadline(); !d.IsZero() {
					c.Tick(d)
				}
			}
		}
	})
}

package dhcp4

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"s2clab/nodes/session/leases"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func newServer(t testing.TB, change ...func(*ServerConfig)) *Server {
	t.Helper()
	cfg := ServerConfig{
		Address: addr("192.0.2.1"), Prefix: netip.MustParsePrefix("192.0.2.0/24"), First: addr("192.0.2.100"), Last: addr("192.0.2.103"),
		Router: addr("192.0.2.1"), DNS: []netip.Addr{addr("198.51.100.53")}, Domain: "lab", MTU: 1400, Lease: 100 * time.Second,
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
	cfg := ClientConfig{HardwareAddr: [6]byte{2, 0, 0, 0, 0, id}, HostName: "ue"}
	for _, f := range change {
		f(&cfg)
	}
	return NewClient(cfg, rand.New(rand.NewPCG(1, uint64(id))))
}

// again passes a message through its octets.
func again(t testing.TB, m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	t.Helper()
	p, err := Parse(m.ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A link is a client and a server, and what became of their outputs.
type link struct {
	t      testing.TB
	server *Server
	client *Client
	deaf   bool // the server hears nothing
	sent   []string
	did    []string // of the client, and events
}

// pass carries messages there and back until nobody says more.
func (l *link) pass(now time.Time, out []ClientOutput) {
	for _, o := range out {
		switch o := o.(type) {
		case Send:
			to := "all"
			if o.To.Addr() != Everybody {
				to = o.To.Addr().String()
			}
			l.sent = append(l.sent, fmt.Sprintf("%s to %s", o.Message.MessageType(), to))
			if l.deaf {
				continue
			}
			for _, answer := range l.server.Step(now, Received{Message: again(l.t, o.Message)}) {
				switch answer := answer.(type) {
				case Send:
					l.pass(now, l.client.Step(now, Received{Message: again(l.t, answer.Message)}))
				case Event:
					l.did = append(l.did, "server "+answer.Name)
				}
			}
		case Configured:
			l.did = append(l.did, "has "+o.Lease.Address.String())
		case Deconfigured:
			l.did = append(l.did, "lost "+o.Address.String()+" "+o.Reason)
		case Event:
			l.did = append(l.did, o.Name)
		case Probe:
			l.did = append(l.did, "probes "+o.Address.String())
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

func newLink(t testing.TB) *link {
	return &link{t: t, server: newServer(t), client: newClient(1)}
}

func TestAClientHasAnAddressAfterFourMessages(t *testing.T) {
	l := newLink(t)
	l.pass(start, l.client.Step(start, Started{}))
	sent, did := l.taken()
	want(t, "sent", sent, []string{"DISCOVER to all", "REQUEST to all"})
	lease, has := l.client.Lease()
	want(t, "did", did, []string{"has " + lease.Address.String(), "server lease-granted"})
	exp := Lease{Address: lease.Address, Server: addr("192.0.2.1"), Router: addr("192.0.2.1"), DNS: []netip.Addr{addr("198.51.100.53")}, Domain: "lab", MTU: 1400,
		Renew: start.Add(50 * time.Second), Rebind: start.Add(87 * time.Second), Expire: start.Add(100 * time.Second)}
	if !has || !reflect.DeepEqual(lease, exp) || !netip.MustParsePrefix("192.0.2.100/30").Contains(lease.Address.Addr()) || lease.Address.Bits() != 24 {
		t.Errorf("lease %+v, want %+v", lease, exp)
	}
}

func TestALeaseIsRenewedWithItsServerThenWithAnyThenLost(t *testing.T) {
	l := newLink(t)
	l.pass(start, l.client.Step(start, Started{}))
	lease, _ := l.client.Lease()
	l.taken()
	now := l.client.Deadline()
	if now != lease.Renew {
		t.Fatalf("renews at %v, want %v", now, lease.Renew)
	}
	l.pass(now, l.client.Tick(now))
	sent, did := l.taken()
	want(t, "sent", sent, []string{"REQUEST to 192.0.2.1"})
	want(t, "did", did, []string{"has " + lease.Address.String()})

	l.deaf = true
	var at []time.Duration
	for range 4 {
		at = append(at, l.client.Deadline().Sub(now))
		l.pass(l.client.Deadline(), l.client.Tick(l.client.Deadline()))
	}
	sent, did = l.taken()
	want(t, "sent", sent, []string{"REQUEST to 192.0.2.1", "REQUEST to all", "DISCOVER to all", "DISCOVER to all"})
	want(t, "did", did, []string{"lost " + lease.Address.String() + " expired"})
	if w := []time.Duration{50 * time.Second, 87 * time.Second, 100 * time.Second}; !slices.Equal(at[:3], w) {
		t.Errorf("renewed, rebound and lost after %v, want %v", at[:3], w)
	}
}

// RFC 2131, section 4.1: 4 s, doubled to 64 s, each 1 s more or less.
func TestRetransmissionsWaitLonger(t *testing.T) {
	c := newClient(1)
	c.Step(start, Started{})
	now := start
	for i, base := range []time.Duration{4, 8, 16, 32, 64, 64} {
		d := c.Deadline().Sub(now)
		if d < base*time.Second-time.Second || d > base*time.Second+time.Second {
			t.Errorf("wait %d is %v, want %d s more or less", i+1, d, base)
		}
		now = c.Deadline()
		out := c.Tick(now)
		if m := out[0].(Send).Message; m.MessageType() != dhcpv4.MessageTypeDiscover || m.NumSeconds == 0 {
			t.Errorf("sent %v", m.Summary())
		}
	}
}

func TestAClientThatComesBackAsksForWhatItHad(t *testing.T) {
	l := newLink(t)
	l.pass(start, l.client.Step(start, Started{}))
	lease, _ := l.client.Lease()
	l.pass(start, l.client.Step(start, Stopped{}))
	l.taken()
	l.pass(start, l.client.Step(start, Started{Previous: lease.Address.Addr()}))
	sent, did := l.taken()
	want(t, "sent", sent, []string{"REQUEST to all"})
	want(t, "did", did, []string{"has " + lease.Address.String()})

	// On another link it is refused and begins from the beginning.
	l.pass(start, l.client.Step(start, Stopped{}))
	l.taken()
	l.pass(start, l.client.Step(start, Started{Previous: addr("10.9.9.9")}))
	sent, did = l.taken()
	want(t, "sent", sent, []string{"REQUEST to all", "DISCOVER to all", "REQUEST to all"})
	want(t, "did", did, []string{"lease-refused", "has " + lease.Address.String(), "server lease-refused"})
}

func TestAnAddressThatSomebodyHasIsDeclined(t *testing.T) {
	l := &link{t: t, server: newServer(t), client: newClient(1, func(c *ClientConfig) { c.Probe = true })}
	l.pass(start, l.client.Step(start, Started{}))
	_, did := l.taken()
	if _, has := l.client.Lease(); has || len(did) != 2 || did[0][:6] != "probes" {
		t.Fatalf("did %q", did)
	}
	taken := addr(did[0][7:])
	l.pass(start, l.client.Step(start, Probed{Address: taken, InUse: true}))
	sent, did := l.taken()
	want(t, "sent", sent, []string{"DECLINE to all", "DISCOVER to all", "REQUEST to all"})
	if len(did) != 4 || did[0] != "server address-declined" || did[1] != "address-failed" || did[2][:6] != "probes" {
		t.Fatalf("did %q", did)
	}
	other := addr(did[2][7:])
	if other == taken {
		t.Error("the declined address is given again")
	}
	now := start
	l.pass(now, l.client.Step(now, Probed{Address: other}))
	lease, has := l.client.Lease()
	if !has || lease.Address.Addr() != other {
		t.Errorf("has %v %v", lease, has)
	}
	l.taken()
	l.pass(now, l.client.Step(now, Probed{Address: other})) // said already
	l.pass(now, l.client.Step(now, Probed{Address: taken, InUse: true}))
	l.pass(now, l.client.Step(now, Probed{Address: other, InUse: true})) // somebody has come who has it too
	sent, did = l.taken()
	want(t, "sent", sent, []string{"DECLINE to all"})
	want(t, "did", did, []string{"lost " + lease.Address.String() + " duplicate", "server address-declined", "address-failed"})
	if d := l.client.Deadline().Sub(now); d != 10*time.Second {
		t.Errorf("begins again after %v, the second time", d)
	}
	now = l.client.Deadline()
	l.pass(now, l.client.Tick(now))
	if _, did := l.taken(); len(did) == 0 || did[0] == "probes "+taken.String() || did[0] == "probes "+other.String() {
		t.Errorf("did %q", did)
	}
}

func TestAServerWithoutAPoolGivesWhatIsReserved(t *testing.T) {
	s := newServer(t, func(c *ServerConfig) {
		c.First, c.Last = netip.Addr{}, netip.Addr{}
		c.Reserved = map[string]netip.Addr{"02:00:00:00:00:01": addr("192.0.2.7")}
	})
	l := &link{t: t, server: s, client: newClient(1)}
	l.pass(start, l.client.Step(start, Started{}))
	if lease, has := l.client.Lease(); !has || lease.Address.Addr() != addr("192.0.2.7") {
		t.Errorf("has %v %v", lease, has)
	}
	l.client = newClient(2)
	l.taken()
	l.pass(start, l.client.Step(start, Started{}))
	_, did := l.taken()
	want(t, "did of a stranger", did, []string{"server pool-exhausted"})
}

func TestAReleasedAddressIsFree(t *testing.T) {
	l := &link{t: t, server: newServer(t, func(c *ServerConfig) { c.Last = c.First }), client: newClient(1)}
	l.pass(start, l.client.Step(start, Started{}))
	l.taken()
	l.pass(start, l.client.Step(start, Stopped{Release: true}))
	sent, did := l.taken()
	want(t, "sent", sent, []string{"RELEASE to 192.0.2.1"})
	want(t, "did", did, []string{"server lease-ended", "lost 192.0.2.100/24 released"})
	l.client = newClient(2)
	l.pass(start, l.client.Step(start, Started{}))
	if _, has := l.client.Lease(); !has {
		t.Error("the next one has none")
	}
}

func TestAFullPoolIsToldOnceAndFreeAgainWhenALeaseEnds(t *testing.T) {
	l := newLink(t)
	for id := range byte(4) {
		l.client = newClient(10 + id)
		l.pass(start, l.client.Step(start, Started{}))
	}
	l.taken()
	for id := range byte(9) {
		l.client = newClient(20 + id)
		l.pass(start, l.client.Step(start, Started{}))
	}
	_, did := l.taken()
	want(t, "did", did, []string{"server pool-exhausted"})
	now := l.server.Deadline()
	if out := l.server.Tick(now); len(out) != 4 {
		t.Errorf("%d leases ended: %v", len(out), out)
	}
	l.pass(now, l.client.Step(now, Stopped{}))
	l.pass(now, l.client.Step(now, Started{}))
	if _, has := l.client.Lease(); !has {
		t.Error("nothing is free")
	}
}

func TestAReservedAddressIsItsClientsAlone(t *testing.T) {
	s := newServer(t, func(c *ServerConfig) { c.Reserved = map[string]netip.Addr{"02:00:00:00:00:01": addr("192.0.2.7")} })
	l := &link{t: t, server: s, client: newClient(1)}
	l.pass(start, l.client.Step(start, Started{}))
	if lease, _ := l.client.Lease(); lease.Address.Addr() != addr("192.0.2.7") {
		t.Errorf("has %v", lease.Address)
	}
	thief := newClient(2)
	l.client = thief
	l.pass(start, thief.Step(start, Started{Previous: addr("192.0.2.7")}))
	if lease, _ := thief.Lease(); lease.Address.Addr() == addr("192.0.2.7") {
		t.Error("the reserved address is another's")
	}
}

// However many ask, what a server keeps is bounded by its pool.
func TestAFloodOfClientsIsKeptWithinBounds(t *testing.T) {
	s := newServer(t)
	r := rand.New(rand.NewPCG(7, 7))
	events := 0
	for range 50_000 {
		mac := net.HardwareAddr{2, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}
		kind := []dhcpv4.MessageType{dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeDecline, dhcpv4.MessageTypeRelease}[r.IntN(4)]
		m, _ := dhcpv4.New(dhcpv4.WithHwAddr(mac), dhcpv4.WithMessageType(kind), dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(192, 0, 2, byte(90+r.IntN(20))))))
		if r.IntN(2) == 0 {
			m.UpdateOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 1)))
		}
		for _, o := range s.Step(start, Received{Message: m}) {
			if _, ok := o.(Event); ok {
				events++
			}
		}
	}
	if leased, clients, declined := s.book.Kept(); leased > 4 || clients > 4 || declined > 4 || len(s.told) > 3 {
		t.Errorf("keeps %d leases, %d clients, %d declined", leased, clients, declined)
	}
	if events > 20 {
		t.Errorf("told %d events", events)
	}
}

// What a client did not ask for, or what another than its server says, changes
// nothing.
func TestAnUnexpectedServerIsNotHeard(t *testing.T) {
	l := newLink(t)
	out := l.client.Step(start, Started{})
	evil := newServer(t, func(c *ServerConfig) { c.Address = addr("192.0.2.66"); c.Router = addr("192.0.2.66") })
	discover := out[0].(Send).Message
	offer := l.server.Step(start, Received{Message: discover})[0].(Send).Message
	request := l.client.Step(start, Received{Message: offer})[1].(Send).Message
	if len(evil.Step(start, Received{Message: request})) != 0 {
		t.Error("a server answers a request that is another's")
	}
	for what, forge := range map[string]func(*dhcpv4.DHCPv4){
		"another server acknowledges":      func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 66))) },
		"another transaction":              func(m *dhcpv4.DHCPv4) { m.TransactionID[0]++ },
		"another's hardware address":       func(m *dhcpv4.DHCPv4) { m.ClientHWAddr[5]++ },
		"a request":                        func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootRequest },
		"another address than was offered": func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(192, 0, 2, 200) },
		"no lease time":                    func(m *dhcpv4.DHCPv4) { m.DeleteOption(dhcpv4.OptionIPAddressLeaseTime) },
		"a mask with holes":                func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptSubnetMask(net.IPMask{255, 0, 255, 0})) },
		"a multicast address":              func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(224, 0, 0, 1) },
		"an offer again":                   func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeOffer)) },
		"another server refuses": func(m *dhcpv4.DHCPv4) {
			m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeNak))
			m.UpdateOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 66)))
		},
	} {
		s := *l.server
		s.book = leases.NewBook(s.cfg.First, s.cfg.Last, s.cfg.Address)
		ack := again(t, s.Step(start, Received{Message: again(t, request)})[0].(Send).Message)
		forge(ack)
		l.client.Step(start, Received{Message: ack})
		if lease, has := l.client.Lease(); has || l.client.state != requesting {
			t.Fatalf("%s: the client has %v, in state %d", what, lease, l.client.state)
		}
	}
	ack := l.server.Step(start, Received{Message: request})[0].(Send).Message
	l.client.Step(start, Received{Message: ack})
	if _, has := l.client.Lease(); !has {
		t.Error("the right acknowledgement is not taken")
	}
	nak := again(t, ack)
	nak.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeNak))
	if out := l.client.Step(start, Received{Message: nak}); out != nil {
		t.Errorf("a refusal that answers nothing: %v", out)
	}
}

func TestWhoIsRefusedAgainAndAgainAsksMoreSeldom(t *testing.T) {
	c := newClient(1)
	s := newServer(t)
	out := c.Step(start, Started{})
	now := start
	var gaps []time.Duration
	for range 5 {
		for _, o := range out {
			send, ok := o.(Send)
			if !ok || send.Message.MessageType() != dhcpv4.MessageTypeDiscover {
				continue
			}
			offer := s.Step(now, Received{Message: send.Message})[0].(Send).Message
			request := c.Step(now, Received{Message: offer})[1].(Send).Message
			nak := s.refuse(now, request, addr("192.0.2.100"), "no")[0].(Send).Message
			out = c.Step(now, Received{Message: nak})
			break
		}
		if c.state == waiting {
			gaps = append(gaps, c.Deadline().Sub(now))
			now = c.Deadline()
			out = c.Tick(now)
		}
	}
	if w := []time.Duration{4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second}; !slices.Equal(gaps, w) {
		t.Errorf("waits %v, want %v", gaps, w)
	}
}

func FuzzMessages(f *testing.F) {
	c := newClient(1)
	discover := c.Step(start, Started{})[0].(Send).Message
	s := newServer(f)
	offer := s.Step(start, Received{Message: discover})[0].(Send).Message
	request := c.Step(start, Received{Message: offer})[1].(Send).Message
	for _, m := range []*dhcpv4.DHCPv4{discover, offer, request, s.Step(start, Received{Message: request})[0].(Send).Message} {
		f.Add(m.ToBytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		s := newServer(t)
		for range 2 {
			for _, o := range s.Step(start, Received{Message: m}) {
				if send, ok := o.(Send); ok {
					again(t, send.Message)
				}
			}
		}
		c := newClient(1)
		c.Step(start, Started{})
		m.OpCode, m.TransactionID, m.ClientHWAddr = dhcpv4.OpcodeBootReply, c.xid, c.cfg.HardwareAddr[:]
		for range 3 {
			for _, o := range c.Step(start, Received{Message: m}) {
				if send, ok := o.(Send); ok {
					again(t, send.Message)
				}
			}
			if lease, has := c.Lease(); has && (!lease.Address.Addr().Is4() || lease.Router.IsValid() && !lease.Address.Contains(lease.Router)) {
				t.Fatalf("has %+v", lease)
			}
		}
	})
}

package ha

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/keys"
	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/session/association"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

const patience = 20 * time.Second // for what should come at once

var (
	abroad    = netip.MustParseAddr("2001:db8:400::99")
	house     = netip.MustParseAddr("2001:db8:100::20")
	coreAgent = netip.MustParseAddr("2001:db8:400::1")
)

// A place is a network namespace of a test.
type place struct {
	t     testing.TB
	space ns.NetNS
	host  *host.Host
}

// A field is a home agent, a node abroad that plays the mobile node, and one
// that is in its home:
//
//	abroad --access/core-- agent --home/lan-- house
type field struct {
	t                    testing.TB
	agent, abroad, house place
	key                  *association.Association
	mobility             *host.MobilityPort // abroad
	nd                   *host.NDPort       // in the house
	tunnel               *host.Tunnel       // abroad
	answers              chan []byte        // packets that came to the mobile node
	heard                chan host.NDMessage

	mu       sync.Mutex
	happened []Event
	news     chan struct{}
	replies  chan any
	commands chan control.Command
}

// open makes the namespaces and runs the home agent.
func open(t testing.TB, cfg *control.Config) *field {
	t.Helper()
	f := lay(t, cfg)
	f.run(cfg)
	return f
}

// lay makes the namespaces, and listens.
func lay(t testing.TB, cfg *control.Config) *field {
	t.Helper()
	f := ground(t, cfg)
	go f.receive(f.mobility)
	go f.hear()
	return f
}

// ground makes the namespaces.
func ground(t testing.TB, cfg *control.Config) *field {
	t.Helper()
	f := &field{
		t: t, key: association.New(spiA, keyA), answers: make(chan []byte, 64), heard: make(chan host.NDMessage, 64),
		news: make(chan struct{}, 1), replies: make(chan any, 4), commands: make(chan control.Command),
	}
	for _, p := range []*place{&f.agent, &f.abroad, &f.house} {
		*p = place{t: t, space: netnstest.New(t)}
	}
	netnstest.Pair(t, f.abroad.space, "access", f.agent.space, "core")
	netnstest.Pair(t, f.agent.space, "home", f.house.space, "lan")
	for i := range cfg.Interfaces {
		in := &cfg.Interfaces[i]
		f.agent.in(func() error {
			l, err := netlink.LinkByName(in.Name)
			if err == nil {
				in.Index, in.MAC, in.MTU = l.Attrs().Index, l.Attrs().HardwareAddr.String(), l.Attrs().MTU
			}
			return err
		})
		for _, a := range in.Addresses {
			f.agent.address(in.Name, a.String())
		}
	}
	f.abroad.address("access", "2001:db8:400::99/64")
	f.house.address("lan", "2001:db8:100::20/64")
	f.abroad.route("2001:db8:100::1/128", coreAgent)
	f.house.route("::/0", homeAgent)
	f.abroad.open("access")
	f.house.open("lan")
	f.abroad.in(func() (err error) { f.mobility, err = f.abroad.host.MobilityPort(abroad); return err })
	f.house.in(func() (err error) { f.nd, err = f.house.host.NDPort(); return err })
	t.Cleanup(func() { f.mobility.Close(); f.nd.Close() })
	return f
}

// run runs the home agent until the test ends.
func (f *field) run(cfg *control.Config) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- f.agent.space.Do(func(ns.NetNS) error {
			// As the lab does before a node starts.
			h, err := host.Open(cfg)
			if err == nil {
				err = h.SetForwarding(true)
				h.Close()
			}
			if err != nil {
				return err
			}
			return run(ctx, f, f.commands, cfg)
		})
	}()
	select {
	case err := <-ended:
		f.t.Fatal(err)
	case <-f.ready():
	}
	f.t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			f.t.Errorf("the home agent ended with %v", err)
		}
	})
}

func (f *field) ready() <-chan struct{} {
	c := make(chan struct{})
	go func() {
		f.wait("ready")
		close(c)
	}()
	return c
}

func (p *place) in(do func() error) { p.t.Helper(); netnstest.In(p.t, p.space, do) }

func (p *place) open(dev string) {
	p.t.Helper()
	p.in(func() error {
		l, err := netlink.LinkByName(dev)
		if err != nil {
			return err
		}
		p.host, err = host.Open(&control.Config{Interfaces: []control.Interface{{Name: dev, Index: l.Attrs().Index}}})
		return err
	})
	p.t.Cleanup(func() { p.host.Close() })
}

func (p *place) address(dev, address string) {
	p.t.Helper()
	p.in(func() error {
		l, err := netlink.LinkByName(dev)
		if err != nil {
			return err
		}
		a, err := netlink.ParseAddr(address)
		if err != nil {
			return err
		}
		a.Flags = unix.IFA_F_NODAD
		return netlink.AddrAdd(l, a)
	})
}

func (p *place) route(to string, via netip.Addr) {
	p.t.Helper()
	p.in(func() error {
		_, dst, err := net.ParseCIDR(to)
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{Dst: dst, Gw: via.AsSlice()})
	})
}

func (f *field) Event(name string, fields map[string]any) {
	f.mu.Lock()
	f.happened = append(f.happened, Event{name, fields})
	f.mu.Unlock()
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func (f *field) Reply(id uint64, value any, err error) { f.replies <- value }

// wait waits for an event of a name, takes it and all before it, and gives it.
func (f *field) wait(name string) map[string]any {
	f.t.Helper()
	deadline := time.After(patience)
	for {
		f.mu.Lock()
		i := slices.IndexFunc(f.happened, func(e Event) bool { return e.Name == name })
		if i >= 0 {
			e := f.happened[i]
			f.happened = f.happened[i+1:]
			f.mu.Unlock()
			return e.Fields
		}
		f.mu.Unlock()
		select {
		case <-f.news:
		case <-deadline:
			f.t.Errorf("no %s among %v", name, f.happened)
			return nil
		}
	}
}

func (f *field) receive(port *host.MobilityPort) {
	for {
		packets, err := port.Receive()
		if err != nil {
			return
		}
		for _, p := range packets {
			f.answers <- slices.Clone(p.Packet)
		}
	}
}

func (f *field) hear() {
	for {
		messages, err := f.nd.Receive()
		if err != nil {
			return
		}
		for _, m := range messages {
			m.Message = slices.Clone(m.Message)
			f.heard <- m
		}
	}
}

// story gives a story of the same mobile node, which makes packets.
func (f *field) story() *story {
	s := tell(f.t, configuration())
	s.now = time.Now()
	return s
}

// away is a registration from abroad.
func (f *field) away(seq uint16) announcement {
	a := f.story().of(seq)
	a.src, a.alternate = abroad, abroad
	return a
}

func (f *field) send(a announcement) {
	f.t.Helper()
	if err := f.mobility.Send(f.story().packet(a)); err != nil {
		f.t.Fatal(err)
	}
}

// answer waits for the next message to the mobile node.
func (f *field) answer() (ipv6.Packet, mh.Message) {
	f.t.Helper()
	select {
	case octets := <-f.answers:
		p, err := ipv6.Parse(octets)
		if err != nil {
			f.t.Fatal(err)
		}
		if !mh.ChecksumOK(p.Payload, p.UpperSrc(), p.UpperDst()) {
			f.t.Fatal("wrong checksum")
		}
		m, err := mh.Parse(p.Payload)
		if err != nil {
			f.t.Fatal(err)
		}
		return p, m
	case <-time.After(patience):
		f.t.Fatalf("no answer; happened: %v", f.happened)
	}
	panic("not reached")
}

func (f *field) wantAcknowledged(status mh.Status) (ipv6.Packet, *mh.BindingAcknowledgement) {
	f.t.Helper()
	p, m := f.answer()
	ba, ok := m.(*mh.BindingAcknowledgement)
	if !ok || ba.Status != status {
		f.t.Fatalf("%+v, want status %v", m, status)
	}
	return p, ba
}

// neighbor waits in the house for a Neighbor Advertisement of an address.
func (f *field) neighbor(of netip.Addr) (*icmp6.NeighborAdvertisement, host.NDMessage) {
	f.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case m := <-f.heard:
			if message, err := icmp6.Parse(m.Message); err == nil {
				if na, ok := message.(*icmp6.NeighborAdvertisement); ok && na.Target == of {
					return na, m
				}
			}
		case <-deadline:
			f.t.Fatalf("no neighbor advertisement of %v", of)
		}
	}
}

// mobile opens the mobile node's end of the tunnel.
func (f *field) mobile() {
	f.t.Helper()
	f.abroad.in(func() (err error) {
		f.tunnel, err = f.abroad.host.NewTunnel(host.TunnelConfig{Engine: "user", Side: host.MobileSide, HomeAddress: homeA})
		if err != nil {
			return err
		}
		return f.tunnel.Set(host.Binding{Inner: homeA, Local: abroad, Remote: homeAgent})
	})
	f.t.Cleanup(func() { f.tunnel.Close() })
	f.abroad.local(homeA)
}

// local waits until the kernel takes packets to an address of its own, which it
// does a moment after it has taken the address.
func (p *place) local(a netip.Addr) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for taken := false; !taken; {
		p.in(func() error {
			routes, err := netlink.RouteGet(a.AsSlice())
			taken = err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
			return nil
		})
		if time.Now().After(deadline) {
			p.t.Fatalf("%v does not become local", a)
		}
	}
}

// udp opens a socket.
func (p *place) udp(a netip.Addr) *net.UDPConn {
	p.t.Helper()
	var c *net.UDPConn
	p.in(func() (err error) {
		c, err = net.ListenUDP("udp6", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 5000)))
		return err
	})
	p.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// wantCarried wants a datagram to go from one socket to an address and arrive at
// another.
func (f *field) wantCarried(from, to *net.UDPConn, words string) {
	f.t.Helper()
	if _, err := from.WriteTo([]byte(words), to.LocalAddr()); err != nil {
		f.t.Fatal(err)
	}
	b := make([]byte, 100)
	n, src, err := to.ReadFrom(b)
	if err != nil || string(b[:n]) != words || src.String() != from.LocalAddr().String() {
		f.t.Fatalf("got %q from %v, %v", b[:n], src, err)
	}
}

// inTheField is configuration for the kernel.
func inTheField(alter ...func(*control.HomeAgent)) *control.Config {
	cfg := configuration()
	cfg.HomeAgent.AAA = nil
	for _, a := range alter {
		a(cfg.HomeAgent)
	}
	return cfg
}

func TestAMobileNodeAbroadIsReachedAtItsHomeAddress(t *testing.T) {
	for _, engine := range []string{"user", "auto"} {
		t.Run(engine, func(t *testing.T) {
			f := open(t, inTheField(func(h *control.HomeAgent) { h.Tunnel = engine }))
			f.mobile()
			f.send(f.away(1))
			p, ba := f.wantAcknowledged(mh.Accepted)
			if p.RoutingHome != homeA || p.Src != homeAgent || ba.Lifetime != time.Minute {
				t.Errorf("%+v %+v", p, ba)
			}
			if err := association.Verify(p.Payload, f.key, abroad, homeA); err != nil {
				t.Error(err)
			}

			na, m := f.neighbor(homeA) // RFC 6275, section 10.4.1
			mac := f.mac("home")
			if na.Router || na.Solicited || !na.Override || m.Dst != netip.IPv6LinkLocalAllNodes() || m.Src != homeAgent ||
				!slices.ContainsFunc(na.Options, func(o icmp6.Option) bool {
					l, ok := o.(icmp6.TargetLinkAddress)
					return ok && slices.Equal(l.Address, mac)
				}) {
				t.Errorf("%+v in %+v", na, m)
			}

			inHouse, there := f.house.udp(house), f.abroad.udp(homeA)
			f.wantCarried(inHouse, there, "out")
			f.wantCarried(there, inHouse, "and back")

			f.commands <- control.Command{ID: 1, Name: "bindings"}
			if got := (<-f.replies).([]BindingEntry); len(got) != 1 || got[0].CareOf != abroad {
				t.Errorf("%+v", got)
			}
		})
	}
}

func (f *field) mac(dev string) (mac net.HardwareAddr) {
	f.agent.in(func() error {
		l, err := netlink.LinkByName(dev)
		if err == nil {
			mac = l.Attrs().HardwareAddr
		}
		return err
	})
	return mac
}

func TestTheHomeAgentAnswersNeighborSolicitationsForTheAbsent(t *testing.T) {
	f := open(t, inTheField())
	f.send(f.away(1))
	f.wantAcknowledged(mh.Accepted)
	f.neighbor(homeA) // the unsolicited one
	group := host.SolicitedNode(homeA)
	mac, err := f.house.host.HardwareAddr("lan")
	if err != nil {
		t.Fatal(err)
	}
	b, err := icmp6.Append(nil, &icmp6.NeighborSolicitation{Target: homeA, Options: []icmp6.Option{icmp6.SourceLinkAddress{Address: mac[:]}}}, house, group)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.nd.Send("lan", house, group, b); err != nil {
		t.Fatal(err)
	}
	for {
		na, _ := f.neighbor(homeA)
		if !na.Solicited {
			continue // said again
		}
		if na.Router || na.Override { // RFC 6275, section 10.4.1; RFC 4861, section 7.2.8
			t.Errorf("%+v", na)
		}
		break
	}
}

func TestAnAddressThatSomebodyHasAtHomeIsRefused(t *testing.T) {
	f := open(t, inTheField(fullDAD))
	f.house.address("lan", "2001:db8:100::10/64")
	f.house.local(homeA)
	f.send(f.away(1))
	f.wantAcknowledged(mh.DADFailed)
	f.wait("duplicate-address-detected")
}

func TestAnAddressThatNobodyHasAtHomeIsBoundAfterDetection(t *testing.T) {
	f := open(t, inTheField(fullDAD))
	began := time.Now()
	f.send(f.away(1))
	f.wantAcknowledged(mh.Accepted)
	if took := time.Since(began); took < time.Second {
		t.Errorf("after %v, want %v at least", took, time.Second)
	}
}

func TestAMobileNodeThatComesHomeIsLeftAlone(t *testing.T) {
	f := open(t, inTheField())
	f.send(f.away(1))
	f.wantAcknowledged(mh.Accepted)
	f.neighbor(homeA)

	port := f.atHome()
	if err := port.SendOn("lan", f.story().packet(f.story().homecoming(2))); err != nil {
		t.Fatal(err)
	}
	p, ba := f.wantAcknowledged(mh.Accepted)
	if p.Dst != homeA || p.RoutingHome.IsValid() || ba.Lifetime != 0 {
		t.Errorf("%+v %+v", p, ba)
	}
	f.wait("binding-deleted")
	// What is for the home address stays on the home link again.
	f.wantCarried(f.agent.udp(homeAgent), f.house.udp(homeA), "welcome")
}

// What the kernel has found out about a mobile node that was gone must not keep it from
// hearing that it is back: it leaves out what is said of a neighbour that has failed.
func TestABindingForgetsANeighbourThatHasFailed(t *testing.T) {
	f := open(t, inTheField())
	states := func() (all []int) {
		f.agent.in(func() error {
			l, err := netlink.LinkByName("home")
			if err != nil {
				return err
			}
			known, err := netlink.NeighList(l.Attrs().Index, netlink.FAMILY_V6)
			for _, n := range known {
				if n.IP.Equal(homeA.AsSlice()) {
					all = append(all, n.State)
				}
			}
			return err
		})
		return all
	}
	f.agent.in(func() error {
		l, err := netlink.LinkByName("home")
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, Family: netlink.FAMILY_V6, IP: homeA.AsSlice(), State: netlink.NUD_FAILED})
	})
	if got := states(); len(got) != 1 || got[0] != netlink.NUD_FAILED {
		t.Fatalf("neighbour in states %v", got)
	}
	f.send(f.away(1))
	f.wantAcknowledged(mh.Accepted)
	f.neighbor(homeA) // said once the address is defended
	if got := states(); len(got) != 0 {
		t.Errorf("neighbour in states %v", got)
	}
}

// atHome brings the mobile node onto the home link.
func (f *field) atHome() (port *host.MobilityPort) {
	f.t.Helper()
	f.house.address("lan", "2001:db8:100::10/64")
	f.house.local(homeA)
	f.house.in(func() (err error) { port, err = f.house.host.MobilityPort(homeA); return err })
	f.t.Cleanup(func() { port.Close() })
	go f.receive(port)
	return port
}

func TestARefusalAtHomeDoesNotGoIntoTheTunnel(t *testing.T) {
	f := open(t, inTheField())
	f.send(f.away(1))
	f.wantAcknowledged(mh.Accepted)
	port := f.atHome()
	a := f.story().homecoming(2)
	a.timestamp -= 3600 << 32
	if err := port.SendOn("lan", f.story().packet(a)); err != nil {
		t.Fatal(err)
	}
	if p, _ := f.wantAcknowledged(mh.IDMismatch); p.Dst != homeA { // RFC 6275, section 10.3.2
		t.Errorf("%+v", p)
	}
}

func TestATunnelledPacketOfAStrangerIsAnsweredByABindingError(t *testing.T) {
	for _, engine := range []string{"user", "auto"} {
		t.Run(engine, func(t *testing.T) {
			f := open(t, inTheField(func(h *control.HomeAgent) { h.Tunnel = engine }))
			f.mobile()
			c := f.abroad.udp(homeA)
			if _, err := c.WriteTo([]byte("anybody there?"), net.UDPAddrFromAddrPort(netip.AddrPortFrom(house, 5000))); err != nil {
				t.Fatal(err)
			}
			p, m := f.answer()
			if e, ok := m.(*mh.BindingError); !ok || e.Status != mh.UnknownBinding || e.HomeAddress != homeA || p.Src != homeAgent {
				t.Errorf("%+v %+v", p, m)
			}
		})
	}
}

// aaaServer answers one home agent over TCP, on the test's own loopback.
func aaaServer(t *testing.T, answer func(r *diameter.MIP6Request) *diameter.MIP6Answer) netip.AddrPort {
	t.Helper()
	identity := diameter.Identity{Host: "aaa.example.org", Realm: "example.org"}
	server := diampeer.NewServer(diampeer.ServerOptions{Local: diampeer.Local{
		Identity: identity, Product: "test", Applications: []diameter.Application{diameter.MIP6A},
		Serves: []diampeer.Service{{Application: diameter.MIP6A, Command: diameter.MIP6}}, Rand: rand.New(rand.NewPCG(1, 1)),
	}})
	transport := host.NewDiameterTransport(t.Context())
	at, err := transport.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop); transport.Close() })
	var act func(out []diampeer.Output)
	act = func(out []diampeer.Output) {
		for _, o := range out {
			transport.Act(o)
			d, ok := o.(diampeer.Deliver)
			if !ok {
				continue
			}
			r, err := diameter.ParseMIP6Request(d.Message)
			if err != nil {
				t.Error(err)
				return
			}
			a := answer(r)
			a.Session, a.Identity = r.Session, identity
			octets, err := a.AppendTo(nil, d.Message.Header)
			if err != nil {
				t.Error(err)
				return
			}
			act(server.Answer(time.Now(), d.ID, octets, true))
		}
	}
	go func() {
		for {
			select {
			case in := <-transport.Inputs():
				act(server.Step(time.Now(), in))
			case <-stop:
				return
			}
		}
	}()
	return at
}

func TestTheAAAIsAskedOverTCPAndItsKeyUsed(t *testing.T) {
	given := keys.SessionKey(aaaKey, naiA, homeAgent, [8]byte{1})
	at := aaaServer(t, func(r *diameter.MIP6Request) *diameter.MIP6Answer {
		if r.User != naiA || r.Home != homeA || r.CareOf != abroad || r.HomeAgent != homeAgent ||
			association.VerifyMNAAA(aaaKey, r.SPI, [20]byte(r.MobilityData), r.Authenticator) != nil {
			return &diameter.MIP6Answer{Outcome: diameter.Outcome{Result: diameter.AuthenticationRejected}}
		}
		return &diameter.MIP6Answer{
			Outcome: diameter.Outcome{Result: diameter.Success}, Homes: []netip.Addr{homeA},
			MSA: &diameter.MSA{Key: given[:], Lifetime: time.Hour, SPI: 777, Algorithm: diameter.HMACSHA1, Replay: diameter.ReplayTimestamp},
		}
	})
	f := open(t, inTheField(func(h *control.HomeAgent) {
		fromAAA(h)
		h.AAA = []control.Peer{{Host: "aaa.example.org", Realm: "example.org", Address: at}}
	}))
	f.wait("peer-up")
	a := f.story().asking(1)
	a.src, a.alternate = abroad, abroad
	f.send(a)
	p, _ := f.wantAcknowledged(mh.Accepted)
	if err := association.Verify(p.Payload, association.New(777, given[:]), abroad, homeA); err != nil {
		t.Error(err)
	}
	if e := f.wait("aaa-answered"); e["result"] != uint32(2001) || e["peer"] != "aaa.example.org" {
		t.Errorf("%v", e)
	}
	wrong := f.story().asking(2)
	wrong.src, wrong.alternate, wrong.mnaaa = abroad, abroad, keyB
	f.send(wrong)
	f.wantAcknowledged(mh.AuthFail) // signed with the association that there is
}

func TestWithoutAnAAAThatAnswersTheMobileNodeIsTold(t *testing.T) {
	f := open(t, inTheField(func(h *control.HomeAgent) {
		fromAAA(h)
		h.AAATimeout = 100 * time.Millisecond
		h.AAA = []control.Peer{{Host: "aaa.example.org", Realm: "example.org", Address: netip.MustParseAddrPort("127.0.0.1:1")}}
	}))
	a := f.story().asking(1)
	a.src, a.alternate = abroad, abroad
	f.send(a)
	f.wantAcknowledged(mh.InsufficientResources)
	if e := f.wait("binding-refused"); e["reason"] != "aaa-no-peer" || e["authenticated"] != false {
		t.Errorf("%v", e)
	}
}

package host

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/arp"
	"s2clab/nodes/wire/ipv6"
)

func arpPort(t testing.TB, n *testNode) *ARPPort {
	var p *ARPPort
	n.in(func() (err error) {
		p, err = n.ARPPort()
		return err
	})
	t.Cleanup(func() { p.Close() })
	return p
}

// hears waits for a packet that is wanted.
func (p *ARPPort) hears(t testing.TB, wanted func(arp.Packet) bool) ARPMessage {
	t.Helper()
	for {
		got, err := p.Receive()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range got {
			if wanted(m.Packet) {
				return m
			}
		}
	}
}

func TestTheAgentAnswersARPForABoundIPv4HomeAddress(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			// The peer is on the home link.
			w := newDualWorld(t)
			w.peer.address("cn", "192.0.2.5/25")
			w.agent.address("sgi", "192.0.2.1/25")
			w.tunnels(engine, outsides[2])
			w.agent.in(func() error { return w.agent.AddProxyNeighbor("sgi", homeAddress4) })
			agents, err := w.agent.HardwareAddr("sgi")
			w.agent.must(err)
			atPeer, atAgent := arpPort(t, w.peer), arpPort(t, w.agent)
			w.peer.must(atPeer.Send("cn", arp.Packet{Operation: arp.Request, Sender: netip.MustParseAddr("192.0.2.5"), Target: homeAddress4}))
			m := atPeer.hears(t, func(p arp.Packet) bool { return p.Operation == arp.Reply })
			if m.Dev != "cn" || m.Sender != homeAddress4 || m.SenderMAC != agents {
				t.Errorf("answered with %+v, want the agent's address %x", m, agents)
			}
			if err := transfer(w.peer, w.mobile, homeAddress4, 1<<20); err != nil {
				t.Errorf("from the home link: %v", err)
			}

			// Back home: the mobile node says so, and who knew the agent's address
			// sends to the mobile node.
			home := newNode(t)
			join(home, "home", w.peer, "link2")
			w.peer.address("link2", "192.0.2.200/32")
			index, err := w.peer.Index("link2")
			w.peer.must(err)
			var b batch
			b.replaceRoute(Route{To: netip.PrefixFrom(homeAddress4, 32)}, index)
			w.peer.must(w.peer.nl.do(&b), w.peer.SetNeighbor("link2", homeAddress4, agents[:]))
			home.address("home", "192.0.2.10/24")
			homes, err := home.HardwareAddr("home")
			home.must(err, arpPort(t, home).Announce("home", homeAddress4))
			m = atPeer.hears(t, func(p arp.Packet) bool { return p == arp.Announcement(homeAddress4, homes) })
			if m.Dev != "link2" {
				t.Errorf("heard %+v", m)
			}
			if err := transfer(w.peer, home, homeAddress4, 1000); err != nil {
				t.Errorf("at home: %v", err)
			}

			// Unbound, nobody answers any more but for the agent's own address.
			w.agent.must(w.agent.RemoveProxyNeighbor("sgi", homeAddress4), w.atAgent.Clear(homeAddress))
			ask := func(a string) {
				w.peer.must(atPeer.Send("cn", arp.Packet{Operation: arp.Request, Sender: netip.MustParseAddr("192.0.2.5"), Target: netip.MustParseAddr(a)}))
			}
			ask("192.0.2.10")
			ask("192.0.2.1")
			atPeer.hears(t, func(p arp.Packet) bool {
				if p.Operation == arp.Reply && p.Sender == homeAddress4 {
					t.Error("the agent still answers")
				}
				return p.Operation == arp.Reply && p.Sender == netip.MustParseAddr("192.0.2.1")
			})
			w.agent.must(atAgent.Announce("sgi", homeAddress4))
			atPeer.hears(t, func(p arp.Packet) bool { return p == arp.Announcement(homeAddress4, agents) })
		})
	}
}

func TestTheOtherIPv4AddressesStayWhenTheFirstGoes(t *testing.T) {
	n, other := newNode(t), newNode(t)
	join(n, "wlan", other, "core")
	n.address("wlan", "10.0.0.1/24")
	n.address("wlan", "10.0.0.2/24")
	n.must(n.RemoveAddress("wlan", netip.MustParsePrefix("10.0.0.1/24")), n.RemoveAddress("wlan", netip.MustParsePrefix("10.0.0.1/24")))
	if n.isLocal(netip.MustParseAddr("10.0.0.1")) || !n.isLocal(netip.MustParseAddr("10.0.0.2")) {
		t.Error("10.0.0.1 did not go, or 10.0.0.2 went with it")
	}
}

func TestAnIPv4RouteTakesThePlaceOfAnother(t *testing.T) {
	n, other := newNode(t), newNode(t)
	join(n, "wlan", other, "core")
	n.address("wlan", "10.0.0.1/24")
	to := netip.MustParsePrefix("198.51.100.0/24")
	out := func(dst string) (via netip.Addr) {
		n.way(netip.Addr{}, netip.MustParseAddr(dst), func(kind uint16, value []byte) {
			if kind == unix.RTA_GATEWAY {
				via, _ = netip.AddrFromSlice(value)
			}
		})
		return via
	}
	n.must(
		n.ReplaceRoute(Route{To: to, Dev: "wlan", Via: netip.MustParseAddr("10.0.0.3")}),
		n.ReplaceRoute(Route{To: to, Dev: "wlan", Via: netip.MustParseAddr("10.0.0.4")}),
		n.ReplaceRoute(Route{To: to, Dev: "wlan", Via: netip.MustParseAddr("10.0.0.5"), Metric: 2000}))
	if via := out("198.51.100.1"); via != netip.MustParseAddr("10.0.0.4") {
		t.Errorf("by %v, want the second", via)
	}
	n.must(n.RemoveRoute(Route{To: to, Dev: "wlan", Via: netip.MustParseAddr("10.0.0.4")}))
	if via := out("198.51.100.1"); via != netip.MustParseAddr("10.0.0.5") {
		t.Errorf("by %v, want that of the worse metric", via)
	}
	n.must(n.RemoveRoute(Route{To: to, Dev: "wlan", Metric: 2000}), n.RemoveRoute(Route{To: to, Dev: "wlan"}))
	if via := out("198.51.100.1"); via.IsValid() {
		t.Errorf("by %v, want no route", via)
	}
}

func TestIPv4PacketsOfAnAccessLeaveByIt(t *testing.T) {
	a, n := newNode(t), newNode(t)
	join(a, "wlan", n, "wlan0")
	join(a, "wimax", n, "wimax0")
	n.address("lo", "198.51.100.1/32")
	n.in(func() error { return n.TakeAnySource() })
	for _, access := range []struct{ dev, careOf, theirs, router string }{
		{"wlan", "10.0.1.10", "wlan0", "10.0.1.1"}, {"wimax", "10.0.2.10", "wimax0", "10.0.2.1"},
	} {
		a.address(access.dev, access.careOf+"/24")
		n.address(access.theirs, access.router+"/24")
		a.accessRoute(access.dev, access.careOf, access.router)
	}
	atMobile, atAgent := mobilityPort(t, a, homeAddress), mobilityPort(t, n, agent)
	a.listenOn(atMobile, mobilePort)
	n.listenOn(atAgent, 4191)
	for careOf, dev := range map[string]string{"10.0.1.10": "wlan0", "10.0.2.10": "wimax0"} {
		from := netip.AddrPortFrom(netip.MustParseAddr(careOf), mobilePort)
		a.must(atMobile.SendUDP("", from, netip.AddrPortFrom(agent4, 4191), signal(t, homeAddress, agent, ipv6.Packet{})))
		got, err := atAgent.ReceiveUDP()
		if err != nil || len(got) != 1 || got[0].Dev != dev || got[0].From != from {
			t.Errorf("from %s: got %+v, %v, want one by %s", careOf, got, err, dev)
		}
	}
}

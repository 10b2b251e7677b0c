package mn

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"s2clab/nodes/control"
	"s2clab/nodes/session/dhcp4"
	"s2clab/nodes/session/dhcp6"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/mh"
)

var (
	nameServer6 = netip.MustParseAddr("2001:db8:53::53")
	nameServer4 = netip.MustParseAddr("203.0.113.53")
)

const agentName = "internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org"

// searching is a configuration with ways to find a home agent, in place of one.
func searching(c *control.Config, methods ...string) *control.Config {
	m := c.MobileNode
	m.Discovery = &control.Discovery{Methods: methods, Prefix: homePrefix, Name: agentName, Domain: "lab.test", Network: "home.test"}
	if !slices.Contains(methods, "static") {
		m.HomeAgent, m.HomeAgent4 = netip.Addr{}, netip.Addr{}
	}
	return c
}

func named(in *RouterAdvertised) {
	in.Names = []NameServer{{nameServer6, time.Hour}}
}

func (s *story) visitNamed(dev string, p netip.Prefix) {
	s.t.Helper()
	for _, a := range s.m.accesses {
		if a.carrier && a.dev != dev {
			s.carrier(a.dev, false)
		}
	}
	s.carrier(dev, true)
	s.advertise(dev, p, named)
}

// names answers the questions of the last step for addresses.
func (s *story) names(six, four netip.Addr) {
	s.t.Helper()
	asked := 0
	for _, o := range s.out {
		o, ok := o.(AskNames)
		if !ok {
			continue
		}
		asked++
		m := new(dns.Msg)
		if err := m.Unpack(o.Octets); err != nil {
			s.t.Fatal(err)
		}
		m.Response = true
		header := dns.RR_Header{Name: m.Question[0].Name, Rrtype: m.Question[0].Qtype, Class: dns.ClassINET}
		switch {
		case header.Rrtype == dns.TypeAAAA && six.IsValid():
			m.Answer = []dns.RR{&dns.AAAA{Hdr: header, AAAA: six.AsSlice()}}
		case header.Rrtype == dns.TypeA && four.IsValid():
			m.Answer = []dns.RR{&dns.A{Hdr: header, A: four.AsSlice()}}
		}
		b, err := m.Pack()
		if err != nil {
			s.t.Fatal(err)
		}
		s.step(NamesAnswered{Server: o.Server, Octets: b})
	}
	if asked == 0 {
		s.t.Fatalf("no name is asked for: %v", names(s.out))
	}
}

// agents answers the request of the last step.
func (s *story) agents(all ...netip.Addr) {
	s.t.Helper()
	o, ok := find[SolicitHomeAgents](s.out)
	if !ok {
		s.t.Fatalf("nobody is asked for home agents: %v", names(s.out))
	}
	s.step(HomeAgentsReplied{From: homeAgent, To: o.Source, Reply: &icmp6.HomeAgentReply{Identifier: o.Request.Identifier, Addresses: all}})
}

func TestAHomeAgentIsFoundByNameThenRegisteredWith(t *testing.T) { // RFC 5026, section 5.1.1
	s := begin(t, searching(config(), "dns"))
	s.visitNamed("wlan", wlanPrefix)
	o, ok := find[AskNames](s.out)
	if !ok || o.Dev != "wlan" || o.Source != careOfWLAN || o.Server != netip.AddrPortFrom(nameServer6, 53) || len(s.sent) != 0 {
		t.Fatalf("asks %+v, %v; %d binding updates", o, ok, len(s.sent))
	}
	s.mustHappen("home-agent-discovery-started")
	s.names(homeAgent, netip.Addr{})
	if e := s.mustHappen("home-agent-discovered"); e.Fields["home-agent"] != homeAgent.String() || e.Fields["method"] != "dns" {
		t.Errorf("%v", e.Fields)
	}
	if u := s.last(); u.packet.Dst != homeAgent {
		t.Fatalf("registers with %v", u.packet.Dst)
	}
	s.answer(mh.Accepted)
	s.mustHappen("bound")
	if s.count("home-agent-changed") != 0 {
		t.Error("changes the home agent before it had one")
	}
	s.visit("wimax", wimaxPrefix) // known by now
	if u := s.last(); u.packet.Dst != homeAgent || s.count("home-agent-discovery-started") != 1 {
		t.Errorf("registers with %v, searches %d times", u.packet.Dst, s.count("home-agent-discovery-started"))
	}
}

func TestAnIPv4OnlyAccessTellsBothAddresses(t *testing.T) { // RFC 5555, section 2.1
	s := begin(t, searching(dual(), "dhaad", "dns"))
	s.carrier("wlan", true)
	s.lease("wlan", wlan4, func(c *dhcp4.ServerConfig) { c.DNS = []netip.Addr{nameServer4} })
	o, ok := find[AskNames](s.out)
	if !ok || o.Source != wlan4.Addr() || o.Server != netip.AddrPortFrom(nameServer4, 53) {
		t.Fatalf("asks %+v, %v", o, ok)
	}
	if e := s.mustHappen("home-agent-discovery-failed"); e.Fields["method"] != "dhaad" {
		t.Errorf("%v", e.Fields)
	}
	s.names(homeAgent, agent4)
	if u := s.last(); u.packet.Dst != homeAgent || u.to != netip.AddrPortFrom(agent4, 4191) {
		t.Fatalf("registers with %v by %v", u.packet.Dst, u.to)
	}
	s.answer(mh.Accepted, saying(given4, noNAT))
	s.mustHappen("bound")
	if s.m.tunnel.Remote != agent4 {
		t.Errorf("tunnel to %v", s.m.tunnel.Remote)
	}
}

func TestHomeAgentsOfAReplyAreTriedInItsOrder(t *testing.T) { // RFC 6275, section 11.4.1
	for name, c := range map[string]func(s *story){
		"silent":    func(s *story) { s.until(11 * time.Second) },
		"refuses":   func(s *story) { s.answer(mh.Prohibited, from(secondAgent)) },
		"is full":   func(s *story) { s.answer(mh.InsufficientResources, from(secondAgent)) },
		"denies us": func(s *story) { s.answer(mh.AuthFail, from(secondAgent)) },
	} {
		s := begin(t, searching(config(), "dhaad"))
		s.visit("wlan", wlanPrefix)
		if o, ok := find[SolicitHomeAgents](s.out); !ok || o.Source != careOfWLAN || o.To != netip.MustParseAddr("2001:db8:100:0:fdff:ffff:ffff:fffe") {
			t.Fatalf("asks %+v, %v", o, ok)
		}
		s.agents(secondAgent, homeAgent)
		if s.last().packet.Dst != secondAgent {
			t.Fatalf("%s: registers with %v", name, s.last().packet.Dst)
		}
		before := len(s.sent)
		c(s)
		i := slices.IndexFunc(s.sent, func(u sent) bool { return u.packet.Dst == homeAgent })
		if i < 0 {
			t.Fatalf("%s: the next is not tried", name)
		}
		if wait := s.sent[i].at - s.sent[before-1].at; name == "silent" && wait < firstAckTimeout {
			t.Errorf("waits for %v only", wait)
		}
		s.answer(mh.Accepted)
		s.mustHappen("home-agent-changed")
		s.mustHappen("bound")
	}
}

func TestAfterTheLastHomeAgentComesTheNextMethod(t *testing.T) {
	s := begin(t, searching(config(), "dhaad", "dns"))
	s.visitNamed("wlan", wlanPrefix)
	s.agents(secondAgent)
	s.answer(mh.Prohibited, from(secondAgent))
	if e := s.mustHappen("home-agent-discovery-failed"); e.Fields["reason"] != "no home agent takes this node" {
		t.Errorf("%v", e.Fields)
	}
	s.names(homeAgent, netip.Addr{})
	if s.last().packet.Dst != homeAgent {
		t.Fatalf("registers with %v", s.last().packet.Dst)
	}
	s.answer(mh.Prohibited)
	if n := s.count("home-agent-discovery-failed"); n != 2 {
		t.Errorf("%d failures", n)
	}
	s.until(29 * time.Second)
	n := len(s.sent)
	s.until(31 * time.Second) // once more from the beginning
	if _, ok := find[SolicitHomeAgents](s.out); !ok || len(s.sent) != n {
		t.Errorf("then %v", names(s.out))
	}
}

func TestASilentLastHomeAgentIsTriedWhileOthersAreLookedFor(t *testing.T) {
	s := begin(t, searching(config(), "static"))
	s.visit("wlan", wlanPrefix)
	if s.last().packet.Dst != homeAgent {
		t.Fatal("does not begin with the one it was told")
	}
	s.until(20 * time.Second)
	if s.count("home-agent-discovery-failed") != 1 {
		t.Errorf("%d failures", s.count("home-agent-discovery-failed"))
	}
	n := len(s.sent)
	s.answer(mh.Accepted) // late
	s.mustHappen("bound")
	s.until(40 * time.Second)
	if len(s.sent) != n || s.count("home-agent-discovery-started") != 1 {
		t.Errorf("goes on searching: %d updates, %d searches", len(s.sent)-n, s.count("home-agent-discovery-started"))
	}
}

func TestAHomeAgentIsFoundAtHomeAlready(t *testing.T) {
	s := begin(t, searching(config(), "dns"))
	s.visitNamed("lte", homePrefix)
	if o, ok := find[AskNames](s.out); !ok || o.Dev != "lte" || o.Source != homeAddress {
		t.Fatalf("asks %+v, %v", o, ok)
	}
	if o, ok := find[EnterHome](s.out); !ok || o.HomeAgent.IsValid() {
		t.Errorf("entered %+v, %v", o, ok)
	}
	s.names(homeAgent, netip.Addr{})
	if len(s.sent) != 0 {
		t.Error("registers at home")
	}
	s.visit("wlan", wlanPrefix)
	if s.last().packet.Dst != homeAgent {
		t.Errorf("registers with %v", s.last().packet.Dst)
	}
}

func TestASearchGoesWhereTheNodeGoes(t *testing.T) {
	s := begin(t, searching(config(), "dns"))
	s.visitNamed("wlan", wlanPrefix)
	s.carrier("wlan", false)
	s.until(20 * time.Second)
	if _, ok := find[AskNames](s.out); ok || !s.m.finder.deadline().IsZero() {
		t.Error("goes on without a link")
	}
	s.visitNamed("wimax", wimaxPrefix)
	if o, ok := find[AskNames](s.out); !ok || o.Dev != "wimax" || o.Source != careOfWiMAX {
		t.Errorf("asks %+v, %v", o, ok)
	}
	s.order(s.m.Deregister)
	s.unasked(t)
}

// unasked lets answers come that nobody waits for.
func (s *story) unasked(t *testing.T) {
	n := len(s.sent)
	s.step(NamesAnswered{Server: netip.AddrPortFrom(nameServer6, 53), Octets: []byte{1, 2, 3}})
	s.step(HomeAgentsReplied{From: homeAgent, To: careOfWiMAX, Reply: &icmp6.HomeAgentReply{Addresses: []netip.Addr{homeAgent}}})
	s.until(time.Minute)
	if len(s.sent) != n || s.count("home-agent-discovered") != 0 {
		t.Error("registers")
	}
}

func TestAnIPv4AddressIsFoundForTheHomeAgentThatHoldsTheBinding(t *testing.T) { // RFC 6275, section 11.4.1: the same first
	s := begin(t, searching(dual(), "dhaad", "dns"))
	s.visitNamed("wimax", wimaxPrefix)
	s.agents(homeAgent)
	s.answer(mh.Accepted)
	s.carrier("wimax", false)
	s.carrier("wlan", true)
	s.lease("wlan", wlan4, func(c *dhcp4.ServerConfig) { c.DNS = []netip.Addr{nameServer4} })
	s.names(homeAgent, agent4)
	if u := s.last(); u.packet.Dst != homeAgent || u.to.Addr() != agent4 {
		t.Fatalf("registers with %v by %v", u.packet.Dst, u.to)
	}
	if s.count("home-agent-changed") != 0 {
		t.Error("changes its home agent")
	}
}

func TestWhileABindingMayBeHeldTheHomeAgentStays(t *testing.T) {
	s := begin(t, searching(config(), "dhaad"))
	s.visit("wlan", wlanPrefix)
	s.agents(homeAgent, secondAgent)
	s.answer(mh.Accepted)
	s.until(55 * time.Second) // refreshed at 45 s, not answered
	if s.last().packet.Dst != homeAgent || s.count("home-agent-discovery-started") != 1 {
		t.Fatalf("at %v, %d searches", s.last().packet.Dst, s.count("home-agent-discovery-started"))
	}
	s.until(90 * time.Second) // it has ended
	if s.count("home-agent-discovery-started") != 2 {
		t.Errorf("%d searches after the binding has expired", s.count("home-agent-discovery-started"))
	}
}

func TestHomeAgentsComeByDHCP(t *testing.T) { // RFC 6611, section 3
	s := begin(t, searching(config(), "dhcp"))
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix, func(in *RouterAdvertised) { in.Other = true })
	m, err := dhcp6.Parse(s.asked6["wlan"])
	if err != nil || m.MessageType.String() != "INFORMATION-REQUEST" {
		t.Fatalf("asks %v, %v", m, err)
	}
	server, err := dhcp6.NewServer(dhcp6.ServerConfig{DUID: dhcp6.LinkLayerDUID(routerMAC), Prefix: wlanPrefix, Lease: leaseTime,
		Home: &dhcp6.HomeNetwork{Identifier: "home.test", Prefixes: []netip.Prefix{homePrefix}, Agents: []netip.Addr{homeAgent, agent4}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range server.Step(s.now, dhcp6.Received{From: s.m.access("wlan").linkLocal, Message: m}) {
		if o, ok := o.(dhcp6.Send); ok {
			s.step(DHCPReceived{Dev: "wlan", From: routerLL, Octets: o.Message.ToBytes()})
		}
	}
	if e := s.mustHappen("home-agent-discovered"); e.Fields["home-agent-4"] != agent4.String() {
		t.Errorf("%v", e.Fields)
	}
	if s.last().packet.Dst != homeAgent {
		t.Errorf("registers with %v", s.last().packet.Dst)
	}

	s = begin(t, searching(config(), "dhcp", "static"))
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix, func(in *RouterAdvertised) { in.Other = true })
	s.until(8 * time.Second)
	if s.count("home-agent-discovery-failed") != 1 || s.last().packet.Dst != homeAgent {
		t.Error("the next method is not tried after silence")
	}
}

func TestNameServersOfRoutersEndAndAreFew(t *testing.T) { // RFC 8106, section 5.1
	s := begin(t, searching(config(), "dns"))
	s.visitNamed("wlan", wlanPrefix)
	a := s.m.access("wlan")
	if got := a.nameServers(s.now, false); !slices.Equal(got, []netip.Addr{nameServer6}) {
		t.Fatalf("%v", got)
	}
	s.advertise("wlan", wlanPrefix, func(in *RouterAdvertised) {
		in.Names = []NameServer{{nameServer6, 0}, {netip.MustParseAddr("ff02::1"), time.Hour}, {netip.MustParseAddr("fe80::1"), time.Hour}}
		for a := nameServer6.Next(); len(in.Names) < 20; a = a.Next() {
			in.Names = append(in.Names, NameServer{a, time.Minute})
		}
	})
	if got := a.nameServers(s.now, false); len(got) != maxNameServers || slices.Contains(got, nameServer6) {
		t.Errorf("%v", got)
	}
	if got := a.nameServers(s.now.Add(time.Minute), false); len(got) != 0 {
		t.Errorf("%v after their lifetime", got)
	}
}

func TestAMethodThatIsNoneIsRefused(t *testing.T) {
	if _, err := New(searching(config(), "guess")); err == nil {
		t.Error("it is taken")
	}
}

func TestWhoWasToldItsHomeAgentHearsOfNoOther(t *testing.T) {
	s := begin(t, config())
	s.unasked(t)
}

package mn

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"s2clab/nodes/control"
	"s2clab/nodes/session/dhcp4"
	"s2clab/nodes/session/dhcp6"
	"s2clab/nodes/wire/mh"
)

var unspecified = netip.IPv4Unspecified()

// leaseTime is how long the servers of stories give an address.
const leaseTime = 20 * time.Minute

// lease lets a server answer what a device asks, until it asks nothing more: with
// one IPv4 address, which the server knows to be the device's. It gives all that
// came out meanwhile.
func (s *story) lease(dev string, p netip.Prefix, change ...func(*dhcp4.ServerConfig)) (all []Output) {
	s.t.Helper()
	router := p.Masked().Addr().Next()
	mac := s.m.access(dev).mac
	cfg := dhcp4.ServerConfig{Address: router, Prefix: p.Masked(), First: router, Last: router, Router: router, Lease: leaseTime,
		Reserved: map[string]netip.Addr{dhcpMAC(mac): p.Addr()}}
	for _, f := range change {
		f(&cfg)
	}
	server, err := dhcp4.NewServer(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	for len(s.asked4[dev]) > 0 {
		m, err := dhcp4.Parse(s.asked4[dev])
		if err != nil {
			s.t.Fatalf("sent a DHCP message that cannot be read: %v", err)
		}
		delete(s.asked4, dev)
		for _, o := range server.Step(s.now, dhcp4.Received{Message: m}) {
			if o, ok := o.(dhcp4.Send); ok {
				all = append(all, s.step(DHCPReceived{Dev: dev, From: router, Octets: o.Message.ToBytes()})...)
			}
		}
	}
	return all
}

func dhcpMAC(mac [6]byte) string { return (&dhcpv4.DHCPv4{ClientHWAddr: mac[:]}).ClientHWAddr.String() }

// lease6 does that for IPv6.
func (s *story) lease6(dev string, first netip.Addr) (all []Output) {
	s.t.Helper()
	server, err := dhcp6.NewServer(dhcp6.ServerConfig{DUID: dhcp6.LinkLayerDUID(routerMAC), Prefix: netip.PrefixFrom(first, 64).Masked(), First: first, Last: first.Next(), Lease: leaseTime})
	if err != nil {
		s.t.Fatal(err)
	}
	for len(s.asked6[dev]) > 0 {
		m, err := dhcp6.Parse(s.asked6[dev])
		if err != nil {
			s.t.Fatalf("sent a DHCP message that cannot be read: %v", err)
		}
		delete(s.asked6, dev)
		for _, o := range server.Step(s.now, dhcp6.Received{From: s.m.access(dev).linkLocal, Message: m}) {
			if o, ok := o.(dhcp6.Send); ok {
				all = append(all, s.step(DHCPReceived{Dev: dev, From: routerLL, Octets: o.Message.ToBytes()})...)
			}
		}
	}
	return all
}

// asks is the type of the DHCP message that a device waits for an answer to; none:
// it waits for nothing.
func (s *story) asks(dev string) dhcpv4.MessageType {
	m, err := dhcp4.Parse(s.asked4[dev])
	if err != nil {
		return dhcpv4.MessageTypeNone
	}
	return m.MessageType()
}

func managed(in *RouterAdvertised) { in.Managed, in.Prefixes[0].Autonomous = true, false }

func full(c *control.Config) *control.Config { c.MobileNode.DAD = "full"; return c }

func TestDHCPIsAskedTogetherWithRouters(t *testing.T) {
	s := begin(t, dual())
	s.carrier("wlan", true)
	if got := names(s.out); !slices.Equal(got, []string{"carrier-gained", "SolicitRouter", "SendDHCP"}) || s.asks("wlan") != dhcpv4.MessageTypeDiscover {
		t.Errorf("outputs %v, asks %v", got, s.asks("wlan"))
	}
	s.until(200 * time.Second)
	if s.asks("wlan") != dhcpv4.MessageTypeDiscover || s.m.Deadline().Sub(s.now) > 66*time.Second {
		t.Errorf("after 200 s of silence it asks %v, next after %v", s.asks("wlan"), s.m.Deadline().Sub(s.now))
	}
	if s.m.here != nil {
		t.Error("attached")
	}
}

func TestAKnownLeaseIsAskedForAgain(t *testing.T) {
	s := begin(t, dual())
	s.visit4("wlan", wlan4)
	s.carrier("wlan", false)
	if s.m.here != nil || s.m.access("wlan").ipv4.prefix.IsValid() {
		t.Fatal("the address outlives the carrier")
	}
	s.now = s.now.Add(time.Minute)
	s.carrier("wlan", true)
	if s.asks("wlan") != dhcpv4.MessageTypeRequest {
		t.Fatalf("asks %v, want a request at once (RFC 2131, section 4.4.2)", s.asks("wlan"))
	}
	s.lease("wlan", wlan4)
	if s.m.careOf != wlan4.Addr() {
		t.Errorf("care-of address %v", s.m.careOf)
	}
	s.carrier("wlan", false)
	s.now = s.now.Add(leaseTime)
	s.carrier("wlan", true)
	if s.asks("wlan") != dhcpv4.MessageTypeDiscover {
		t.Errorf("asks %v for a lease that has ended", s.asks("wlan"))
	}
}

func TestOnTheHomeLinkTheHomeAddressIsAskedFor(t *testing.T) {
	s := begin(t, dual())
	s.carrier("lte", true)
	m, err := dhcp4.Parse(s.asked4["lte"])
	if err != nil || m.MessageType() != dhcpv4.MessageTypeRequest || m.RequestedIPAddress().String() != home4.String() {
		t.Errorf("asks %v, %v", m, err)
	}
	all := s.lease("lte", netip.PrefixFrom(home4, 24))
	if slices.Contains(all, Output(SolicitARP{"lte", unspecified, home4})) {
		t.Error("asks who has it, which the home agent answers while it holds the binding")
	}
}

func TestAnAddressThatIsSomebodysIsNotUsed(t *testing.T) {
	other := [6]byte{2, 0, 0, 0, 9, 9}
	claim := AddressClaimed{Dev: "wlan", Address: wlan4.Addr(), LinkLayer: other}

	s := begin(t, full(dual()))
	s.carrier("wlan", true)
	all := s.lease("wlan", wlan4)
	if !slices.Contains(all, Output(SolicitARP{"wlan", unspecified, wlan4.Addr()})) || s.m.here != nil {
		t.Fatalf("outputs %v; attached %v", names(all), s.m.here != nil)
	}
	s.step(AddressClaimed{Dev: "wlan", Address: gateway4, LinkLayer: other}) // of no concern
	s.until(999 * time.Millisecond)
	if s.m.here != nil {
		t.Fatal("used before a second has passed")
	}
	s.until(time.Second)
	if s.m.careOf != wlan4.Addr() {
		t.Error("not used, though nobody has it")
	}

	s = begin(t, full(dual()))
	s.carrier("wlan", true)
	s.lease("wlan", wlan4)
	s.step(claim)
	if got := names(s.out); !slices.Equal(got, []string{"SendDHCP", "address-failed", "SendDHCP"}) || s.asks("wlan") != dhcpv4.MessageTypeDiscover || s.m.here != nil {
		t.Errorf("outputs %v: want to decline and to discover", got)
	}
	s.mustHappen("address-failed")

	s = begin(t, dual()) // optimistic: used meanwhile
	s.visit4("wlan", wlan4)
	s.answer(mh.Accepted, saying(given4, noNAT))
	own := claim
	own.LinkLayer = s.m.access("wlan").mac
	s.step(own)
	if s.m.careOf != wlan4.Addr() {
		t.Fatal("gives up what it has itself")
	}
	s.step(claim)
	if s.asks("wlan") != dhcpv4.MessageTypeDiscover || s.m.here != nil || s.m.tunnel.Local.IsValid() {
		t.Errorf("goes on with an address that is another's: says %v", s.asks("wlan"))
	}
}

func TestTheRouterIsFoundWhileDHCPGoesOn(t *testing.T) {
	s := begin(t, dual())
	s.carrier("wlan", true)
	all := s.lease("wlan", wlan4)
	if !slices.Contains(all, Output(SolicitARP{"wlan", unspecified, gateway4})) {
		t.Fatalf("outputs %v", names(all))
	}
	if got := names(all); !slices.Contains(all, Output(SolicitARP{"wlan", wlan4.Addr(), gateway4})) || got[len(got)-1] != "ExpectTunnel" {
		t.Errorf("does not tell the router of its address before the binding update: %v", got)
	}
	if e, _ := find[EnterAccess](all); e.LinkLayer != ([6]byte{}) {
		t.Errorf("has %x from nobody", e.LinkLayer)
	}
	s.carrier("wlan", false)
	s.carrier("wlan", true)
	if !slices.Contains(s.out, Output(SolicitARP{"wlan", unspecified, gateway4})) {
		t.Fatalf("on return outputs %v", names(s.out))
	}
	s.step(AddressClaimed{Dev: "wlan", Address: gateway4, LinkLayer: routerMAC})
	s.lease("wlan", wlan4)
	if e, ok := find[EnterAccess](s.out); !ok || e.LinkLayer != routerMAC {
		t.Errorf("entered %+v, %v", e, ok)
	}
}

func TestABindingIsNotForLongerThanTheLease(t *testing.T) {
	short := func(c *dhcp4.ServerConfig) { c.Lease = 30 * time.Second }
	s := begin(t, dual())
	s.carrier("wlan", true)
	s.lease("wlan", wlan4, short)
	if got := s.last().Lifetime; got != 28*time.Second {
		t.Errorf("lifetime %v of a binding to an address for 30 s", got)
	}
	n := len(s.sent)
	s.until(15 * time.Second)
	s.lease("wlan", wlan4, short, func(c *dhcp4.ServerConfig) { c.Lease = time.Hour })
	if s.m.access("wlan").ipv4.expires.Sub(s.now) != time.Hour || s.count("address-configured") != 1 {
		t.Errorf("prolonged until %v, configured %d times", s.m.access("wlan").ipv4.expires, s.count("address-configured"))
	}
	if len(s.sent) == n {
		t.Error("no binding update was sent again without an answer")
	}
}

func TestWhereRoutersSaySoTheCareOfAddressComesByDHCP(t *testing.T) {
	first := netip.MustParseAddr("2001:db8:200::1000")
	s := begin(t, config())
	s.carrier("wlan", true)
	if s.asked6["wlan"] != nil {
		t.Fatal("asks before a router has said so")
	}
	s.advertise("wlan", wlanPrefix, managed)
	if s.m.here != nil || s.asked6["wlan"] == nil {
		t.Fatalf("attached: %v; asks: %v", s.m.here != nil, s.asked6["wlan"] != nil)
	}
	s.lease6("wlan", first)
	given := s.m.careOf
	if given != first && given != first.Next() || careOfIn(s.last()) != given {
		t.Fatalf("care-of address %v, registered %v", given, careOfIn(s.last()))
	}
	if e, ok := find[EnterAccess](s.out); !ok || e.Address != netip.PrefixFrom(given, 64) || e.Router != routerLL {
		t.Errorf("entered %+v, %v", e, ok)
	}
	if e := s.mustHappen("address-configured"); e.Fields["how"] != "dhcp" {
		t.Errorf("configured %v", e.Fields)
	}
	s.answer(mh.Accepted)
	s.advertise("wlan", wlanPrefix, managed) // changes nothing
	if s.m.careOf != given {
		t.Errorf("care-of address %v after another advertisement", s.m.careOf)
	}

	s.carrier("wlan", false)
	s.now = s.now.Add(time.Second)
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix, managed)
	if m, err := dhcp6.Parse(s.asked6["wlan"]); err != nil || m.MessageType.String() != "CONFIRM" {
		t.Errorf("asks %v, %v; want to have the known address confirmed", m, err)
	}
	s.lease6("wlan", first)
	if s.m.careOf != given {
		t.Errorf("care-of address %v on return, was %v", s.m.careOf, given)
	}

	s.step(AddressChanged{Dev: "wlan", Address: given, State: Duplicate})
	if m, err := dhcp6.Parse(s.asked6["wlan"]); err != nil || m.MessageType.String() != "DECLINE" || s.m.here != nil {
		t.Errorf("asks %v, %v after a duplicate; attached %v", m, err, s.m.here != nil)
	}
	if s.count("address-failed") != 1 {
		t.Errorf("%d events address-failed", s.count("address-failed"))
	}
}

func TestALeaseThatEndsTakesTheCareOfAddressAway(t *testing.T) {
	s := begin(t, config())
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix, managed, func(in *RouterAdvertised) { in.Lifetime = 2 * time.Hour })
	s.lease6("wlan", netip.MustParseAddr("2001:db8:200::1000"))
	s.answer(mh.Accepted)
	s.until(leaseTime - time.Second)
	if got := s.last().Lifetime; got > 4*time.Second {
		t.Errorf("lifetime %v with a second of the address left", got)
	}
	s.until(leaseTime)
	if s.m.here != nil || s.m.access("wlan").address.prefix.IsValid() {
		t.Error("the address is used after its lease")
	}
	if e := s.mustHappen("address-lost"); e.Fields["reason"] != "expired" {
		t.Errorf("lost %v", e.Fields)
	}
}

func TestDHCPFromNowhereIsLeftAlone(t *testing.T) {
	s := begin(t, dual())
	for _, from := range []netip.Addr{gateway4, routerLL, {}} {
		for _, b := range [][]byte{nil, {1}, make([]byte, 300)} {
			s.step(DHCPReceived{Dev: "wlan", From: from, Octets: b})
			s.step(DHCPReceived{Dev: "none", From: from, Octets: b})
			s.carrier("wlan", true)
		}
	}
	s.step(AddressClaimed{Dev: "wlan", Address: wlan4.Addr()})
	if s.m.here != nil || s.count("address-configured") != 0 {
		t.Error("took an address from nobody")
	}
}

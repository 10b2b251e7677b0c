package ha

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"s2clab/nodes/control"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// RFC 6275, sections 10.3.1 and 10.3.2: what every acknowledgement must be.
func TestAnAcknowledgementHasNothingThatItMustNotHave(t *testing.T) {
	s := tell(t, configuration())
	for seq, step := range []struct {
		what     string
		announce func(seq uint16) announcement
		status   mh.Status
		lifetime time.Duration
	}{
		{"registration", s.of, mh.Accepted, 60 * time.Second},
		{"refresh", func(seq uint16) announcement {
			a := s.of(seq)
			a.lifetime, a.flags = 2*time.Hour, a.flags|mh.KeyMobility
			return a
		}, mh.Accepted, 600 * time.Second},
		{"de-registration", s.homecoming, mh.Accepted, 0},
		{"refusal", func(seq uint16) announcement {
			a := s.of(seq)
			a.timestamp -= 3600 << 32
			return a
		}, mh.IDMismatch, 0},
	} {
		s.pass(time.Second)
		a := step.announce(uint16(seq + 1))
		s.send(a)
		ba, r := s.acknowledged()
		if ba.Status != step.status || ba.Seq != a.seq || ba.Lifetime != step.lifetime {
			t.Errorf("%s: %+v", step.what, ba)
		}
		if ba.Flags != 0 {
			t.Errorf("%s: flags %#x: there is no key management that could move", step.what, ba.Flags)
		}
		if _, ok := mh.Find[mh.RefreshAdvice](ba.Options); ok {
			t.Errorf("%s: advises to refresh", step.what)
		}
		for _, o := range ba.Options {
			if o, ok := o.(mh.Authentication); ok && o.Subtype != mh.MNHA { // RFC 4285, section 5.2
				t.Errorf("%s: authentication %+v", step.what, o)
			}
		}
		if home := a.home.IsValid(); home != r.packet.RoutingHome.IsValid() || r.packet.Dst != a.src { // section 9.5.4
			t.Errorf("%s: answered by %+v", step.what, r.packet)
		}
	}
}

func TestAHomeAddressOptionChangesNoBinding(t *testing.T) { // RFC 6275, section 9.1
	s := tell(t, configuration())
	s.send(s.of(1))
	before := fmt.Sprint(s.m.Bindings(s.now))
	for _, home := range []netip.Addr{homeA, homeB} {
		s.step(&Received{Octets: s.carry(ipv6.Packet{Src: careOfLTE, HomeAddress: home, Next: ipv6.UDP, Payload: make([]byte, 8)})})
	}
	if after := fmt.Sprint(s.m.Bindings(s.now)); after != before {
		t.Errorf("bindings were %s, are %s", before, after)
	}
}

func TestErrorsGoToUnicastAddressesOnly(t *testing.T) { // RFC 6275, section 9.3.3
	for _, src := range []string{"ff0e::1", "::", "::1"} {
		s := tell(t, configuration())
		from := netip.MustParseAddr(src)
		s.step(&Received{Octets: s.carry(ipv6.Packet{Src: from, HomeAddress: homeA, Next: ipv6.UDP, Payload: make([]byte, 8)})})
		header, err := mh.Append(nil, &mh.Unknown{Kind: 99, Data: make([]byte, 2)}, from, homeAgent)
		if err != nil {
			t.Fatal(err)
		}
		out := s.step(&Received{Octets: s.carry(ipv6.Packet{Src: from, Next: ipv6.Mobility, Payload: header})})
		if len(s.replies()) > 0 {
			t.Errorf("%s: %v", src, out)
		}
	}
}

// RFC 6275, section 10.3.1: a home registration makes room for no other.
func TestABindingStaysUntilItsLifetimeEndsWhoeverElseWantsItsPlace(t *testing.T) {
	s := tell(t, with(func(h *control.HomeAgent) { h.MaxBindings = 1 }))
	s.send(s.of(1))
	for range 5 {
		s.pass(10 * time.Second)
		s.send(s.ofB(1))
		s.wantStatus(mh.InsufficientResources)
		s.wantBound(homeA, careOfWLAN)
	}
	s.pass(11 * time.Second)
	if s.entry(homeA) != nil {
		t.Error("is there after its lifetime")
	}
	s.send(s.ofB(1))
	s.wantStatus(mh.Accepted)
}

func TestAnUpdateOfAnotherMobileIsRefusedByWhoseAssociationItIs(t *testing.T) { // RFC 6275, section 10.3.1
	s := tell(t, configuration())
	s.send(s.of(1))
	a := s.of(2)
	a.nai, a.mnha = naiB, association.New(spiB, keyB)
	s.send(a)
	s.wantStatus(mh.Prohibited)
	s.wantBound(homeA, careOfWLAN)
}

func TestAMalformedUpdateInARegistrationLeavesTheBinding(t *testing.T) { // RFC 6275, section 9.5.1
	for name, spoil := range map[string]func(*announcement){
		"nonce indices":        func(a *announcement) { a.more = []mh.Option{mh.NonceIndices{Home: 1, CareOf: 2}} },
		"multicast source":     func(a *announcement) { a.src = netip.MustParseAddr("ff0e::1") },
		"multicast home":       func(a *announcement) { a.home = netip.MustParseAddr("ff0e::1") },
		"authorization inside": func(a *announcement) { a.more = []mh.Option{mh.BindingAuthorization{}} },
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, configuration())
			s.send(s.of(1))
			s.pass(time.Second)
			a := s.of(2)
			spoil(&a)
			s.send(a)
			if len(s.replies()) > 0 {
				t.Error(s.words())
			}
			s.wantBound(homeA, careOfWLAN)
		})
	}
}

// RFC 6275, section 10.4.2: the home agent answers for the link-local address, and
// keeps to itself what comes for it.
func TestPacketsToALinkLocalAddressAreNotTunnelled(t *testing.T) {
	for _, engine := range []string{"user", "auto"} {
		t.Run(engine, func(t *testing.T) {
			f := open(t, inTheField(func(h *control.HomeAgent) { h.Tunnel = engine }))
			f.mobile()
			a := f.away(1)
			a.flags |= mh.LinkLocal
			f.send(a)
			f.wantAcknowledged(mh.Accepted)
			local := netip.MustParseAddr("fe80::10")
			if na, _ := f.neighbor(local); na.Router || !na.Override || na.Solicited {
				t.Errorf("%+v", na)
			}
			there := f.abroad.udp(homeA)
			var c *net.UDPConn
			f.house.in(func() (err error) {
				c, err = net.DialUDP("udp6", nil, &net.UDPAddr{IP: local.AsSlice(), Port: 5000, Zone: "lan"})
				return err
			})
			defer c.Close()
			say := func() {
				if _, err := c.Write([]byte("not for the tunnel")); err != nil {
					t.Fatal(err)
				}
			}
			say()
			f.house.resolved("lan", local, f.mac("home"))
			say() // on the link ahead of what is for the home address
			f.wantCarried(f.house.udp(house), there, "the first that comes")
		})
	}
}

// resolved waits until the kernel knows the link-layer address of a neighbour.
func (p *place) resolved(dev string, a netip.Addr, mac net.HardwareAddr) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for known := false; !known; {
		p.in(func() error {
			l, err := netlink.LinkByName(dev)
			if err != nil {
				return err
			}
			all, err := netlink.NeighList(l.Attrs().Index, netlink.FAMILY_V6)
			known = slices.ContainsFunc(all, func(n netlink.Neigh) bool { return n.IP.Equal(a.AsSlice()) && slices.Equal(n.HardwareAddr, mac) })
			return err
		})
		if time.Now().After(deadline) {
			p.t.Fatalf("%v is not known on %s", a, dev)
		}
	}
}

package mn

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// asksFor wants the last Binding Update to ask for a home address, with a proof
// over care-of and unspecified address.
func (s *story) asksFor(careOf netip.Addr, attempts int) sent {
	s.t.Helper()
	u := s.last()
	if !u.packet.HomeAddress.IsUnspecified() || u.packet.Src != careOf || len(s.sent) != attempts {
		s.t.Fatalf("binding update %d: %+v", len(s.sent), u.packet)
	}
	data, spi, authenticator, err := association.MobilityData(u.header, careOf, netip.IPv6Unspecified())
	if err == nil {
		err = association.VerifyMNAAA(aaaKey, spi, data, authenticator)
	}
	if authOf(u).Subtype == mh.MNHA {
		err = association.Verify(u.header, s.key, careOf, netip.IPv6Unspecified())
	}
	if err != nil {
		s.t.Errorf("the proof is not over the unspecified address: %v", err)
	}
	return u
}

func TestAMobileWithoutAHomeAddressIsAssignedOne(t *testing.T) {
	for name, cfg := range map[string]*control.Config{"static": config(), "mip-options": bootstrapped()} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, homeless(cfg))
			if s.visit("wlan", wlanPrefix); s.mustHappen("router-found").Fields["home"] != false {
				t.Error("any link is home")
			}
			u := s.asksFor(careOfWLAN, 1)
			if e := s.mustHappen("binding-update-sent"); e.Fields["home-address"] != "::" {
				t.Errorf("%v", e)
			}
			if u.Flags != mh.AckRequested|mh.HomeRegistration {
				t.Errorf("flags %v", u.Flags)
			}
			if s.key == nil {
				s.bootstrap()
			} else {
				s.answer(mh.Accepted)
			}
			want := []string{"binding-acknowledged", "TakeHome", "home-address-assigned", "SetTunnel", "bound"}
			got := slices.DeleteFunc(names(s.out), func(name string) bool { return name == "key-made" })
			if !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
			take, _ := find[TakeHome](s.out)
			if take.Address != netip.PrefixFrom(homeAddress, 64) || take.HomeAgent != homeAgent {
				t.Errorf("%+v", take)
			}
			if e := s.mustHappen("home-address-assigned"); e.Fields["home-address"] != homeAddress.String() || e.Fields["prefix"] != homePrefix.String() {
				t.Errorf("%v", e)
			}
			if a := s.m.State(s.now).HomeAddress; a == nil || *a != homeAddress {
				t.Errorf("state: %v", a)
			}
			// From now on it is like any other, and knows its home link.
			s.now = s.now.Add(time.Second)
			s.visit("wimax", wimaxPrefix)
			if u := s.last(); u.packet.HomeAddress != homeAddress || authOf(u).Subtype != mh.MNHA {
				t.Errorf("%+v", u.packet)
			}
			s.answer(mh.Accepted)
			s.now = s.now.Add(time.Second)
			s.visit("lte", homePrefix)
			if u := s.last(); u.packet.Src != homeAddress || u.Lifetime != 0 {
				t.Errorf("%+v", u.packet)
			}
			s.answer(mh.Accepted)
			s.mustHappen("returned-home")
			if n := s.count("home-address-assigned"); n != 1 {
				t.Errorf("assigned %d times", n)
			}
		})
	}
}

// It cannot know that it is at home before it knows its home prefix: 3GPP TS
// 24.303, clause 5.1.1.
func TestAMobileThatIsAssignedItsAddressAtHomeDeregisters(t *testing.T) {
	for _, dad := range []string{"none", "optimistic", "full"} {
		t.Run(dad, func(t *testing.T) {
			cfg := homeless(bootstrapped())
			cfg.MobileNode.DAD = dad
			s := begin(t, cfg)
			s.visit("lte", homePrefix)
			careOf := join(homePrefix, modifiedEUI64([6]byte{2, 0, 0, 0, 0, 1}))
			if dad == "full" {
				s.step(AddressChanged{Dev: "lte", Address: careOf, State: Ready})
			}
			s.asksFor(careOf, 1)
			s.bootstrap()
			e := s.mustHappen("attached")
			if e.Fields["home"] != true || e.Fields["care-of"] != homeAddress.String() {
				t.Errorf("%v", e)
			}
			left, _ := find[LeaveAccess](s.out)
			if left.Address.Addr() != careOf {
				t.Errorf("left %+v: %q", left, names(s.out))
			}
			if s.m.tunnel.Local.IsValid() || slices.Contains(names(s.out), "SetTunnel") {
				t.Errorf("%q: want no tunnel", names(s.out))
			}
			u := s.last()
			if len(s.sent) != 2 || u.packet.Src != homeAddress || u.packet.HomeAddress.IsValid() || u.Lifetime != 0 || authOf(u).Subtype != mh.MNHA {
				t.Fatalf("%d sent, %+v", len(s.sent), u)
			}
			s.answer(mh.Accepted)
			s.mustHappen("returned-home")
			if s.m.tunnel.Local.IsValid() || !s.m.homecoming.used {
				t.Error("applications do not send through the home link")
			}
		})
	}
}

func TestAnotherAccessMayTurnOutToBeTheHomeLink(t *testing.T) {
	s := begin(t, homeless(bootstrapped()))
	s.carrier("lte", true)
	s.advertise("lte", homePrefix)
	s.now = s.now.Add(time.Second)
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix)
	s.bootstrap()
	if a := s.m.access("lte"); !a.home || a.address.prefix.IsValid() || s.m.here.dev != "wlan" || s.m.tunnel.Local != careOfWLAN {
		t.Fatalf("lte: %+v, here %v", a, s.m.here.dev)
	}
	s.carrier("wlan", false)
	if u := s.last(); u.packet.Src != homeAddress || u.Lifetime != 0 {
		t.Errorf("%+v", u)
	}
}

func TestOnlyAProvenAcknowledgementAssigns(t *testing.T) {
	other := netip.MustParseAddr("2001:db8:100::66")
	for name, spoil := range map[string]func(*answer){
		"no authentication":           func(a *answer) { a.key = nil },
		"a wrong key":                 func(a *answer) { a.key = association.New(256, []byte("0123456789abcdeF")) },
		"another address than proven": func(a *answer) { a.packet.RoutingHome = other },
		"over the unspecified one":    func(a *answer) { a.home = netip.IPv6Unspecified() },
		"over another care-of":        func(a *answer) { a.careOf = careOfWiMAX },
		"no address": func(a *answer) {
			a.packet.RoutingHome, a.packet.SegmentsLeft, a.home = netip.Addr{}, 0, netip.IPv6Unspecified()
		},
		"a link-local address": func(a *answer) {
			a.packet.RoutingHome, a.home = routerLL, routerLL
		},
		"a group": func(a *answer) {
			a.packet.RoutingHome, a.home = netip.IPv6LinkLocalAllNodes(), netip.IPv6LinkLocalAllNodes()
		},
		"the unspecified address": func(a *answer) {
			a.packet.RoutingHome, a.home = netip.IPv6Unspecified(), netip.IPv6Unspecified()
		},
		"another source":         func(a *answer) { a.packet.Src = other },
		"another timestamp":      func(a *answer) { a.ba.Options = []mh.Option{mh.ReplayProtection{Timestamp: 1}} },
		"another sequence":       func(a *answer) { a.ba.Seq++ },
		"nothing was bound, yet": func(a *answer) { a.ba.Lifetime = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, homeless(config()))
			s.visit("wlan", wlanPrefix)
			s.answer(mh.Accepted, spoil)
			if s.m.home.known() || s.count("home-address-assigned") > 0 || s.m.tunnel.Local.IsValid() || s.count("bound") > 0 {
				t.Errorf("took %v", s.m.home)
			}
			s.until(1500 * time.Millisecond)
			s.asksFor(careOfWLAN, 2)
			s.answer(mh.Accepted)
			s.mustHappen("home-address-assigned")
		})
	}
}

func TestTheAddressStaysWhatItWasAssigned(t *testing.T) {
	s := begin(t, homeless(bootstrapped()))
	s.visit("wlan", wlanPrefix)
	u := s.last()
	s.bootstrap()
	before := s.m.home
	s.now = s.now.Add(time.Second)
	// The same again, an acknowledgement for another, and the end of the binding.
	s.answerTo(u, mh.Accepted)
	s.answerTo(u, mh.Accepted, func(a *answer) {
		a.packet.RoutingHome = netip.MustParseAddr("2001:db8:100::66")
		a.home = a.packet.RoutingHome
	})
	s.until(2 * time.Minute)
	s.mustHappen("binding-expired")
	if s.m.home != before || s.count("home-address-assigned") != 1 {
		t.Errorf("%+v, was %+v", s.m.home, before)
	}
	if u := s.last(); u.packet.HomeAddress != homeAddress {
		t.Errorf("%+v", u.packet)
	}
}

// RFC 6275, section 11.8. The home agent tests the address first, so the wait is
// that of a first registration.
func TestARequestForAnAddressIsSentAgain(t *testing.T) {
	s := begin(t, homeless(bootstrapped()))
	s.visit("wlan", wlanPrefix)
	s.until(30 * time.Second)
	var at []time.Duration
	for _, u := range s.sent {
		if !u.packet.HomeAddress.IsUnspecified() || authOf(u).Subtype != mh.MNAAA {
			t.Errorf("%+v", u)
		}
		at = append(at, u.at)
	}
	want := []time.Duration{0, 1500 * time.Millisecond, 4500 * time.Millisecond, 10500 * time.Millisecond, 22500 * time.Millisecond}
	if !slices.Equal(at, want) {
		t.Errorf("sent at %v, want %v", at, want)
	}
	s.bootstrap()
	s.mustHappen("home-address-assigned")
}

func TestAMoveBeforeTheAnswerAsksFromTheNewAddress(t *testing.T) {
	s := begin(t, homeless(bootstrapped()))
	s.visit("wlan", wlanPrefix)
	old := s.last()
	s.now = s.now.Add(time.Second)
	s.visit("wimax", wimaxPrefix)
	s.asksFor(careOfWiMAX, 2)
	key := s.derive(old)
	s.answerTo(old, mh.Accepted, func(a *answer) { a.key = key })
	if s.m.home.known() {
		t.Error("took the answer to what it asked before")
	}
	s.bootstrap()
	if s.m.tunnel.Local != careOfWiMAX {
		t.Errorf("tunnel from %v", s.m.tunnel)
	}
}

func TestWhatARefusalToAssignLeadsTo(t *testing.T) {
	for _, c := range []struct {
		status mh.Status
		again  time.Duration // when it asks again; 0: not before it is attached anew
	}{
		{mh.Unspecified, 1500 * time.Millisecond},
		{mh.InsufficientResources, 1500 * time.Millisecond},
		{mh.DADFailed, 1500 * time.Millisecond}, // the next address may be another
		{mh.Prohibited, 0},
		{mh.HomeRegUnsupported, 0},
		{mh.NotHomeSubnet, 0},
		{mh.NotHomeAgent, 0},
		{mh.AuthFail, 0},
	} {
		t.Run(c.status.String(), func(t *testing.T) {
			s := begin(t, homeless(config()))
			s.visit("wlan", wlanPrefix)
			s.answer(c.status)
			if e := s.mustHappen("binding-refused"); e.Fields["authenticated"] != true {
				t.Errorf("%v", e)
			}
			s.until(4 * time.Second)
			if c.again == 0 && len(s.sent) != 1 || c.again != 0 && (len(s.sent) != 2 || s.last().at != c.again) {
				t.Fatalf("%d sent, the last at %v", len(s.sent), s.last().at)
			}
			s.visit("wimax", wimaxPrefix)
			s.asksFor(careOfWiMAX, len(s.sent))
			s.answer(mh.Accepted)
			s.mustHappen("home-address-assigned")
		})
	}
}

// A clock that is wrong is put right by a refusal that names no address, and a
// sequence number too.
func TestARefusalIsPutRightWithoutAnAddress(t *testing.T) {
	s := begin(t, homeless(bootstrapped()))
	s.visit("wlan", wlanPrefix)
	s.key = s.derive(s.last())
	s.answer(mh.IDMismatch, func(a *answer) {
		for i, o := range a.ba.Options {
			if r, ok := o.(mh.ReplayProtection); ok {
				a.ba.Options[i] = mh.ReplayProtection{Timestamp: r.Timestamp + 3600<<32}
			}
		}
	})
	s.mustHappen("clock-resynchronised")
	if u := s.asksFor(careOfWLAN, 2); authOf(u).Subtype != mh.MNHA {
		t.Errorf("%+v", u)
	}
	s.answer(mh.SequenceOutOfWindow, func(a *answer) { a.ba.Seq += 100 })
	s.asksFor(careOfWLAN, 3)
	s.bootstrap() // the third of a registration says MN-AAA again
	s.mustHappen("home-address-assigned")
}

func TestWithoutAnAddressNothingElseIsHeardAboutOne(t *testing.T) {
	s := begin(t, homeless(bootstrapped()))
	s.visit("wlan", wlanPrefix)
	s.message(&mh.BindingError{Status: mh.UnknownBinding, HomeAddress: netip.IPv6Unspecified()}, homeAgent, careOfWLAN)
	s.message(&mh.BindingRefreshRequest{}, homeAgent, careOfWLAN)
	header, err := mh.Append(nil, &mh.BindingRefreshRequest{}, homeAgent, homeAddress)
	if err != nil {
		t.Fatal(err)
	}
	octets, err := ipv6.Append(nil, &ipv6.Packet{Src: homeAgent, Dst: careOfWLAN, RoutingHome: homeAddress, SegmentsLeft: 1, HopLimit: 64, Next: ipv6.Mobility, Payload: header})
	if err != nil {
		t.Fatal(err)
	}
	s.step(Received{Dev: "wlan", Octets: octets})
	if s.m.home.known() || len(s.sent) != 1 {
		t.Errorf("%v, %d sent", s.m.home, len(s.sent))
	}
}

func TestAnAddressThatNothingCanProveIsNotAskedFor(t *testing.T) {
	cfg := homeless(config())
	cfg.MobileNode.Security.Integrity = "none"
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "integrity none") {
		t.Errorf("%v", err)
	}
	cfg = config()
	cfg.MobileNode.HomePrefix = netip.Prefix{}
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "home prefix") {
		t.Errorf("%v", err)
	}
}

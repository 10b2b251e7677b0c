package ha

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/mh"
)

// Every status that this home agent can say, each by a story of its own, with
// what is signed and what happens to the binding cache.
func TestEachRefusalHasItsStatusItsEventAndASignature(t *testing.T) {
	outside := netip.MustParseAddr("2001:db8:999::10")
	for _, c := range []struct {
		status mh.Status
		reason string
		alter  func(*control.HomeAgent)
		tell   func(*story) announcement // the last one is refused
	}{
		{mh.Unspecified, "no-home-address-option", nil, func(s *story) announcement {
			a := s.of(1)
			a.src, a.home = homeA, netip.Addr{}
			return a
		}},
		{mh.Prohibited, "home-address-of-another", nil, func(s *story) announcement { // attack A23
			s.send(s.ofB(1))
			a := s.of(1)
			a.home = homeB
			return a
		}},
		{mh.InsufficientResources, "binding-cache-full", func(h *control.HomeAgent) { h.MaxBindings = 1 }, func(s *story) announcement {
			s.send(s.ofB(1))
			return s.of(1)
		}},
		{mh.HomeRegUnsupported, "no-home-prefix", func(h *control.HomeAgent) { h.HomePrefixes = nil }, func(s *story) announcement {
			return s.of(1)
		}},
		{mh.NotHomeSubnet, "not-in-a-home-prefix", nil, func(s *story) announcement {
			a := s.of(1)
			a.home = outside
			return a
		}},
		{mh.NotHomeAgent, "no-binding", nil, func(s *story) announcement { return s.homecoming(1) }},
		{mh.DADFailed, "home-address-in-use", fullDAD, func(s *story) announcement { return s.of(1) }},
		{mh.SequenceOutOfWindow, "sequence-number-not-newer", sequenceNumbers, func(s *story) announcement {
			s.send(s.of(9))
			return s.of(8)
		}},
		{mh.RegTypeChange, "not-a-home-registration", nil, func(s *story) announcement {
			s.send(s.of(1))
			s.pass(time.Second)
			a := s.of(2)
			a.flags = mh.AckRequested
			return a
		}},
		{mh.IDMismatch, "stale-timestamp", nil, func(s *story) announcement {
			a := s.of(1)
			a.timestamp -= 8 << 32
			return a
		}},
		{mh.MessageIDRequired, "no-timestamp", nil, func(s *story) announcement {
			a := s.of(1)
			a.timestamp = 0
			return a
		}},
		{mh.AuthFail, "wrong-authenticator", nil, func(s *story) announcement {
			a := s.of(1)
			a.mnha = association.New(spiA, keyB)
			return a
		}},
		{mh.InvalidCareOf, "care-of-address-loops", nil, func(s *story) announcement {
			a := s.of(1)
			a.alternate = homeAgent
			return a
		}},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			cfg := configuration()
			if c.alter != nil {
				c.alter(cfg.HomeAgent)
			}
			s := tell(t, cfg)
			a := c.tell(s)
			before := s.m.Bindings(s.now)
			s.send(a)
			if c.status == mh.DADFailed {
				s.step(NeighborClaimed{Dev: "home", Address: homeA})
			}
			ba, r := s.acknowledged()
			if ba.Status != c.status || ba.Lifetime != 0 {
				t.Errorf("acknowledgement %+v, want status %v", ba, c.status)
			}
			careOf, home := a.addresses()
			if err := association.Verify(r.packet.Payload, association.New(spiA, keyA), careOf, home); err != nil {
				t.Error(err)
			}
			if a.timestamp == 0 {
				if _, ok := mh.Find[mh.ReplayProtection](ba.Options); ok {
					t.Error("a timestamp that the update did not have")
				}
			} else if got, _ := mh.Find[mh.ReplayProtection](ba.Options); c.status != mh.IDMismatch && got.Timestamp != a.timestamp {
				t.Errorf("timestamp %#x, want %#x", got.Timestamp, a.timestamp)
			}
			if c.status != mh.SequenceOutOfWindow && ba.Seq != a.seq {
				t.Errorf("seq %d, want %d", ba.Seq, a.seq)
			}
			told := s.events("binding-refused")
			if len(told) != 1 || told[0]["reason"] != c.reason || told[0]["status"] != int(c.status) ||
				told[0]["name"] != c.status.String() || told[0]["nai"] != naiA || told[0]["authenticated"] != true {
				t.Errorf("events %v", told)
			}
			if after := s.m.Bindings(s.now); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("bindings were %v, are %v", before, after)
			}
		})
	}
}

type flaw struct {
	name   string
	status mh.Status // 0: discarded
	alter  func(*story, *announcement)
}

// What is wrong with an update, in the order in which it is looked at. Whatever
// comes later in the list must not show while what comes earlier is wrong too.
var flaws = []flaw{
	{"home address not routable", 0, func(s *story, a *announcement) { a.home = netip.MustParseAddr("fe80::1") }},
	{"option order", 0, func(s *story, a *announcement) {
		a.more = []mh.Option{mh.AlternateCareOf{Address: careOfLTE}}
	}},
	{"care-of address not routable", 0, func(s *story, a *announcement) { a.alternate = netip.MustParseAddr("ff02::1") }},
	{"no authentication", 0, func(s *story, a *announcement) { a.mnha = nil }},
	{"unknown SPI", 0, func(s *story, a *announcement) { a.mnha = association.New(999, keyA) }},
	{"wrong authenticator", mh.AuthFail, func(s *story, a *announcement) { a.mnha = association.New(spiA, keyB) }},
	{"no timestamp", mh.MessageIDRequired, func(s *story, a *announcement) { a.timestamp = 0 }},
	{"stale timestamp", mh.IDMismatch, func(s *story, a *announcement) { a.timestamp += 8 << 32 }},
	{"registration type", mh.RegTypeChange, func(s *story, a *announcement) { a.flags = mh.AckRequested }},
	{"not home subnet", mh.NotHomeSubnet, func(s *story, a *announcement) { a.home = netip.MustParseAddr("2001:db8:999::1") }},
	{"home address of another", mh.Prohibited, func(s *story, a *announcement) { a.home = homeB }},
	{"no home address option", mh.Unspecified, func(s *story, a *announcement) { a.src, a.home = homeA, netip.Addr{} }},
	{"care-of address loops", mh.InvalidCareOf, func(s *story, a *announcement) { a.alternate = homeAgent }},
}

func TestChecksComeInTheirOrder(t *testing.T) {
	for i, first := range flaws {
		for _, second := range append(slices.Clone(flaws[i+1:]), flaw{name: "nothing", alter: func(*story, *announcement) {}}) {
			if slices.Contains(exclusive[first.name], second.name) {
				continue
			}
			t.Run(first.name+" before "+second.name, func(t *testing.T) {
				s := tell(t, configuration())
				s.send(s.of(1)) // so that a registration type can be changed
				s.pass(time.Second)
				a := s.of(2)
				second.alter(s, &a)
				first.alter(s, &a)
				s.send(a)
				if first.status == 0 {
					if _, ok := s.only(); ok || len(s.events("update-discarded")) != 1 {
						t.Errorf("want it discarded: %s", s.words())
					}
					return
				}
				s.wantStatus(first.status)
			})
		}
	}
}

// only gives the acknowledgement of the last Step, if there is one.
func (s *story) only() (*mh.BindingAcknowledgement, bool) {
	for _, r := range s.replies() {
		if ba, ok := r.message.(*mh.BindingAcknowledgement); ok {
			return ba, true
		}
	}
	return nil, false
}

// exclusive says which flaws an update cannot have at once, or not in a way that
// would tell them apart.
var exclusive = map[string][]string{
	"home address not routable":    {"not home subnet", "home address of another", "no home address option"},
	"care-of address not routable": {"care-of address loops"},
	"no authentication":            {"unknown SPI", "wrong authenticator"},
	"unknown SPI":                  {"wrong authenticator"},
	"no timestamp":                 {"stale timestamp"},
	"registration type":            {"not home subnet", "home address of another"}, // nothing there to change
	"not home subnet":              {"home address of another", "no home address option"},
	"home address of another":      {"no home address option"},
}

func TestACorrectUpdateComesAfterAllThat(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1))
	s.wantStatus(mh.Accepted)
}

func TestWhatGetsNoAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		alter  func(*story, *announcement)
	}{
		"an unknown NAI": {"unknown-association", func(s *story, a *announcement) {
			a.nai, a.home = "x@example.org", netip.MustParseAddr("2001:db8:999::1")
		}},
		"the SPI of another NAI": {"unknown-association", func(s *story, a *announcement) {
			a.mnha, a.home = association.New(spiB, keyB), netip.MustParseAddr("2001:db8:999::1")
		}},
		"no proof":                          {"no-authentication", func(s *story, a *announcement) { a.mnha = nil }},
		"no identifier":                     {"option-rule", func(s *story, a *announcement) { a.nai = "" }},
		"a timestamp twice":                 {"option-rule", func(s *story, a *announcement) { a.more = []mh.Option{mh.ReplayProtection{Timestamp: 1}} }},
		"nonce indices":                     {"option-rule", func(s *story, a *announcement) { a.more = []mh.Option{mh.NonceIndices{}} }},
		"a multicast source":                {"source-not-unicast-routable", func(s *story, a *announcement) { a.src = netip.MustParseAddr("ff02::1") }},
		"a link-local source":               {"source-not-unicast-routable", func(s *story, a *announcement) { a.src = netip.MustParseAddr("fe80::1") }},
		"a loopback care-of address":        {"care-of-not-unicast-routable", func(s *story, a *announcement) { a.alternate = netip.MustParseAddr("::1") }},
		"a registration with a corresponde": {"not-a-home-registration", func(s *story, a *announcement) { a.flags = mh.AckRequested }},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, configuration())
			a := s.of(1)
			c.alter(s, &a)
			s.send(a)
			s.wantSilence(c.reason)
			if len(s.m.Bindings(s.now)) > 0 {
				t.Error("something was bound")
			}
		})
	}
}

func TestAWrongChecksumGetsNoAnswer(t *testing.T) {
	s := tell(t, configuration())
	octets := s.packet(s.of(1))
	octets[len(octets)-1] ^= 1
	s.step(&Received{Octets: octets})
	s.wantSilence("wrong-checksum")
}

func TestTheTimestampWindowIsInclusiveOnBothSides(t *testing.T) {
	for _, c := range []struct {
		off    time.Duration
		status mh.Status
	}{{-7 * time.Second, mh.Accepted}, {7 * time.Second, mh.Accepted}, {-7001 * time.Millisecond, mh.IDMismatch}, {7001 * time.Millisecond, mh.IDMismatch}} {
		s := tell(t, configuration())
		a := s.of(1)
		a.timestamp = keys.NTP(s.now.Add(c.off))
		s.send(a)
		s.wantStatus(c.status)
	}
}

func TestAStaleTimestampIsAnsweredWithTheTimeOfTheHomeAgent(t *testing.T) {
	s := tell(t, configuration())
	a := s.of(1)
	a.timestamp = keys.NTP(s.now.Add(-time.Hour)) | 0x1234
	s.send(a)
	ba := s.wantStatus(mh.IDMismatch)
	got, _ := mh.Find[mh.ReplayProtection](ba.Options)
	if want := keys.NTP(s.now)>>32<<32 | a.timestamp&0xffffffff; got.Timestamp != want {
		t.Errorf("%#x, want %#x", got.Timestamp, want)
	}
	a.timestamp = got.Timestamp // recovered in one round trip
	s.send(a)
	s.wantStatus(mh.Accepted)
}

func TestTheClockOfTheConfigurationIsTheOneThatCounts(t *testing.T) {
	cfg := configuration()
	cfg.Clock = time.Hour
	s := tell(t, cfg)
	s.send(s.of(1))
	s.wantStatus(mh.IDMismatch)
	a := s.of(1)
	a.timestamp += 3600 << 32
	s.send(a)
	s.wantStatus(mh.Accepted)
}

func TestATimestampIsGoodOnce(t *testing.T) {
	s := tell(t, configuration())
	a := s.of(1)
	s.send(a)
	s.wantStatus(mh.Accepted)
	s.send(a) // attack A2
	s.wantStatus(mh.IDMismatch)
	a.timestamp--
	s.send(a)
	s.wantStatus(mh.IDMismatch)
	a.timestamp += 2
	s.send(a)
	s.wantStatus(mh.Accepted)
}

func TestARefusedAuthenticatorUsesNoTimestampUp(t *testing.T) {
	s := tell(t, configuration())
	forged := s.of(1)
	forged.mnha = association.New(spiA, keyB)
	forged.timestamp += 6 << 32
	s.send(forged)
	s.wantStatus(mh.AuthFail)
	s.send(s.of(1))
	s.wantStatus(mh.Accepted)
}

func TestWithSequenceNumbersATimestampIsOnlyCopied(t *testing.T) {
	s := tell(t, with(sequenceNumbers))
	a := s.of(1)
	a.timestamp = 12345
	s.send(a)
	ba := s.wantStatus(mh.Accepted)
	if got, _ := mh.Find[mh.ReplayProtection](ba.Options); got.Timestamp != 12345 {
		t.Errorf("%+v", got)
	}
}

func TestAnInvalidBindingDoesNotFillTheCache(t *testing.T) {
	s := tell(t, with(func(h *control.HomeAgent) { h.MaxBindings = 1 }))
	s.send(s.of(1))
	s.pass(time.Second)
	s.send(s.homecoming(2))
	s.send(s.ofB(1))
	s.wantStatus(mh.Accepted)
	s.pass(time.Second)
	s.send(s.of(3))
	s.wantStatus(mh.InsufficientResources)
}

func TestCareOfAddressesThatLeadBackHereAreRefused(t *testing.T) {
	for name, careOf := range map[string]netip.Addr{
		"the home agent":        homeAgent,
		"another address of it": netip.MustParseAddr("2001:db8:400::1"),
		"the home address":      homeA,
		"a bound home address":  homeB, // attack A31
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, configuration())
			s.send(s.ofB(1))
			a := s.of(1)
			a.alternate = careOf
			s.send(a)
			s.wantStatus(mh.InvalidCareOf)
		})
	}
}

func TestTheHomeAgentsOwnAddressIsNobodysHomeAddress(t *testing.T) {
	s := tell(t, with(noIntegrity))
	s.send(s.bare(homeAgent, 1))
	s.wantStatus(mh.Prohibited)
}

func TestAnotherSubscribersBindingCannotBeDeleted(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.ofB(1))
	a := s.of(1)
	a.home, a.lifetime = homeB, 0
	s.send(a)
	s.wantStatus(mh.NotHomeAgent)
	s.wantBound(homeB, careOfLTE)
}

func TestUnsignedAssociationsWithoutAnAddressMayBindWhatIsNobodyElses(t *testing.T) {
	free := netip.MustParseAddr("2001:db8:100::77")
	s := tell(t, with(func(h *control.HomeAgent) { h.Associations[0].HomeAddress = netip.Addr{} }))
	a := s.of(1)
	a.home = free
	s.send(a)
	s.wantStatus(mh.Accepted)
	s.pass(time.Second)
	a = s.of(2)
	a.home = homeB
	s.send(a)
	s.wantStatus(mh.Prohibited)
}

func TestConfigurationsThatCannotBeAreRefused(t *testing.T) {
	for name, alter := range map[string]func(*control.HomeAgent){
		"integrity":    func(h *control.HomeAgent) { h.Security.Integrity = "ipsec" },
		"replay":       func(h *control.HomeAgent) { h.Security.Replay = "nonces" },
		"dad":          func(h *control.HomeAgent) { h.DAD = "optimistic" },
		"key":          func(h *control.HomeAgent) { h.Associations[0].Key = []byte("short") },
		"home address": func(h *control.HomeAgent) { h.Associations[1].HomeAddress = homeA },
	} {
		if _, err := New(with(alter)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(&control.Config{}); err == nil {
		t.Error("no home agent: no error")
	}
}

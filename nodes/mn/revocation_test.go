package mn

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// An indication is a Binding Revocation Indication to be, which changes may spoil.
type indication struct {
	bri    *mh.BindingRevocationIndication
	key    *association.Association // nil: no authentication option
	careOf netip.Addr               // that the authenticator covers
	packet ipv6.Packet
}

// indicate revokes as a home agent does that has accepted the last Binding Update.
func (s *story) indicate(change ...func(*indication)) []Output {
	s.t.Helper()
	u := s.last()
	careOf, _ := mh.Find[mh.AlternateCareOf](u.Options)
	in := &indication{key: s.key, careOf: careOf.Address,
		bri:    &mh.BindingRevocationIndication{Trigger: mh.RevokeAdministrative, Seq: 40},
		packet: ipv6.Packet{Src: homeAgent, Dst: careOf.Address, RoutingHome: homeAddress, SegmentsLeft: 1, HopLimit: 64, Next: ipv6.Mobility}}
	if r, ok := mh.Find[mh.ReplayProtection](u.Options); ok {
		in.bri.Options = append(in.bri.Options, r)
	}
	for _, f := range change {
		f(in)
	}
	return s.notice(in.packet, in.bri, in.key, in.careOf)
}

// notice lets a packet come that the home agent sends on its own.
func (s *story) notice(p ipv6.Packet, m mh.Message, key *association.Association, careOf netip.Addr) []Output {
	s.t.Helper()
	var err error
	to := homeAddress
	if !p.RoutingHome.IsValid() {
		to = p.Dst
	}
	if key != nil {
		p.Payload, err = association.SealMNHA(nil, m, key, careOf, homeAddress, p.Src, to)
	} else {
		p.Payload, err = mh.Append(nil, m, p.Src, to)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	octets, err := ipv6.Append(nil, &p)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.step(Received{Dev: "any", Octets: octets})
}

// indicate4 is indicate in UDP over IPv4: RFC 5846, section 4.
func (s *story) indicate4(from netip.AddrPort, change ...func(*indication)) []Output {
	s.t.Helper()
	u := s.last()
	careOf, _ := mh.Find[mh.IPv4CareOf](u.Options)
	stamp, _ := mh.Find[mh.ReplayProtection](u.Options)
	in := &indication{key: s.key, careOf: careOf.Address,
		bri:    &mh.BindingRevocationIndication{Trigger: mh.RevokeAdministrative, Seq: 40, Options: []mh.Option{stamp}},
		packet: ipv6.Packet{Src: homeAgent, Dst: homeAddress, HopLimit: 64, Next: ipv6.Mobility}}
	for _, f := range change {
		f(in)
	}
	header, err := association.SealMNHA(nil, in.bri, in.key, in.careOf, homeAddress, homeAgent, homeAddress)
	if err != nil {
		s.t.Fatal(err)
	}
	in.packet.Payload = header
	octets, err := ipv6.Append(nil, &in.packet)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.step(Received{Dev: "any", Octets: octets, From: from})
}

func TestARevocationInUDPIsAnsweredInUDP(t *testing.T) {
	s := begin(t, dual())
	s.visit4("wlan", private4)
	s.answer(0, saying(given4, behindNAT))
	s.indicate4(agentPort)
	answers, packets := s.farewells()
	if len(answers) != 1 || answers[0].Status != mh.Revoked || packets[0].Src != homeAddress || packets[0].HomeAddress.IsValid() {
		t.Fatalf("%+v in %+v", answers, packets)
	}
	first, _ := find[SendMobility](s.out)
	if want := netip.AddrPortFrom(private4.Addr(), 4191); first.From != want || first.To != agentPort || first.Dev != "wlan" {
		t.Errorf("from %v to %v by %s, want from %v to %v", first.From, first.To, first.Dev, want, agentPort)
	}
	if err := association.Verify(packets[0].Payload, s.key, netip.AddrFrom16(private4.Addr().As16()), homeAddress); err != nil {
		t.Error(err)
	}
	if s.m.registration.bound || s.m.tunnel.Local.IsValid() {
		t.Error("the binding is still there")
	}
	s.indicate4(agentPort)
	if again, _ := find[SendMobility](s.out); !slices.Equal(again.Octets, first.Octets) || again.To != first.To {
		t.Error("an indication that came again was not answered as before")
	}
}

func TestASwitchInUDPIsNotFollowed(t *testing.T) {
	s := begin(t, dual())
	s.visit4("wlan", wlan4)
	s.answer(0, saying(given4, noNAT))
	stamp, _ := mh.Find[mh.ReplayProtection](s.last().Options)
	has := &mh.HomeAgentSwitch{Addresses: []netip.Addr{netip.MustParseAddr("2001:db8:1::9")}, Options: []mh.Option{stamp}}
	header, err := association.SealMNHA(nil, has, s.key, wlan4.Addr(), homeAddress, homeAgent, homeAddress)
	if err != nil {
		t.Fatal(err)
	}
	octets, err := ipv6.Append(nil, &ipv6.Packet{Src: homeAgent, Dst: homeAddress, HopLimit: 64, Next: ipv6.Mobility, Payload: header})
	if err != nil {
		t.Fatal(err)
	}
	s.step(Received{Dev: "any", Octets: octets, From: agentPort})
	if e := s.mustHappen("message-ignored"); e.Fields["reason"] != "home agent switch: names no address that IPv4 leads to" {
		t.Errorf("%v", e.Fields)
	}
	if !s.m.registration.bound || len(s.sent) != 1 {
		t.Error("it left a home agent for one that it cannot reach")
	}
}

func TestARevocationInUDPThatIsNotTheHomeAgentsIsIgnored(t *testing.T) {
	for what, spoil := range map[string]func(s *story){
		"from another port":    func(s *story) { s.indicate4(netip.AddrPortFrom(agent4, 4192)) },
		"from another address": func(s *story) { s.indicate4(netip.AddrPortFrom(gateway4, 4191)) },
		"with a routing header": func(s *story) {
			s.indicate4(agentPort, func(in *indication) { in.packet.RoutingHome, in.packet.SegmentsLeft = homeAddress, 1 })
		},
		"to another home address": func(s *story) {
			s.indicate4(agentPort, func(in *indication) { in.packet.Dst = netip.MustParseAddr("2001:db8:100::11") })
		},
		"for another care-of address": func(s *story) {
			s.indicate4(agentPort, func(in *indication) { in.careOf = gateway4 })
		},
		"with an old timestamp": func(s *story) {
			s.indicate4(agentPort, func(in *indication) { in.bri.Options = []mh.Option{mh.ReplayProtection{Timestamp: 7}} })
		},
		"at an IPv6 care-of address": func(s *story) {
			s.visit("wimax", wimaxPrefix)
			s.answer(0)
			s.indicate4(agentPort, func(in *indication) { in.careOf = wlan4.Addr() })
		},
	} {
		s := begin(t, dual())
		s.visit4("wlan", wlan4)
		s.answer(0, saying(given4, noNAT))
		spoil(s)
		if answers, _ := s.farewells(); len(answers) != 0 || !s.m.registration.bound {
			t.Errorf("%s: obeyed", what)
		}
	}
}

// farewells gives the Binding Revocation Acknowledgements of the last step.
func (s *story) farewells() (all []*mh.BindingRevocationAcknowledgement, packets []ipv6.Packet) {
	s.t.Helper()
	for _, o := range s.out {
		if sent, ok := o.(SendMobility); ok {
			p, err := ipv6.Parse(sent.Octets)
			if err != nil {
				s.t.Fatal(err)
			}
			m, err := mh.Parse(p.Payload)
			if err != nil {
				s.t.Fatal(err)
			}
			if bra, ok := m.(*mh.BindingRevocationAcknowledgement); ok {
				all, packets = append(all, bra), append(packets, p)
			}
		}
	}
	return all, packets
}

// onWLAN is bound there, with a key it has always had.
func onWLAN(t *testing.T) *story {
	t.Helper()
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(mh.Accepted)
	s.until(5 * time.Second)
	return s
}

func TestARevocationIsAnsweredAndObeyed(t *testing.T) { // RFC 5846, section 10
	s := onWLAN(t)
	s.indicate()
	answers, packets := s.farewells()
	if len(answers) != 1 || answers[0].Status != mh.Revoked || answers[0].Seq != 40 {
		t.Fatalf("%+v", answers)
	}
	p := packets[0]
	if p.Src != careOfWLAN || p.Dst != homeAgent || p.HomeAddress != homeAddress {
		t.Errorf("%+v", p)
	}
	if err := association.Verify(p.Payload, s.key, careOfWLAN, homeAddress); err != nil {
		t.Error(err)
	}
	if r, ok := mh.Find[mh.ReplayProtection](answers[0].Options); !ok || r.Timestamp != timestampOf(s.last()) {
		t.Errorf("timestamp %x", r.Timestamp)
	}
	if n := names(s.out); !slices.Equal(n, []string{"SendMobility", "binding-revoked", "ClearTunnel"}) {
		t.Errorf("%v", n)
	}
	if st := s.m.State(s.now); st.Bound || st.Absence != "revoked" {
		t.Errorf("%+v", st)
	}
	s.until(3 * time.Minute)
	if len(s.sent) != 1 {
		t.Errorf("registered again at %v", sentAt(s))
	}
	s.visit("wimax", wimaxPrefix) // attached anew
	if len(s.sent) != 2 {
		t.Error("it stays away for ever")
	}
}

func TestWhoWasOutOfSyncRegistersAgainAtOnce(t *testing.T) {
	s := onWLAN(t)
	s.indicate(func(in *indication) { in.bri.Trigger = mh.RevokeOutOfSync })
	if answers, _ := s.farewells(); len(answers) != 1 {
		t.Fatal(names(s.out))
	}
	if len(s.sent) != 2 || authOf(s.last()).Subtype != mh.MNHA {
		t.Fatalf("%d sent", len(s.sent))
	}
	s.answer(mh.Accepted)
	if s.m.tunnel.Local != careOfWLAN {
		t.Error("no tunnel")
	}
}

func TestEveryRevocationHasItsStatus(t *testing.T) { // RFC 5846, sections 5.2, 6.2.1 and 10
	ipv4 := mh.IPv4HomeAddress{PrefixLen: 32, Address: netip.MustParseAddr("192.0.2.1")}
	for name, tt := range map[string]struct {
		trigger mh.RevocationTrigger
		flags   mh.BRFlags
		option  mh.Option
		want    mh.RevocationStatus
	}{
		"unspecified":                        {trigger: mh.RevokeUnspecified, want: mh.Revoked},
		"administrative":                     {trigger: mh.RevokeAdministrative, want: mh.Revoked},
		"by the user":                        {trigger: mh.RevokeUser, want: mh.Revoked},
		"by the access network":              {trigger: mh.RevokeAccessNetwork, want: mh.Revoked},
		"out of sync":                        {trigger: mh.RevokeOutOfSync, want: mh.Revoked},
		"a handover of a gateway":            {trigger: 3, want: mh.RevocationTriggerNotSupported},
		"a trigger without a name":           {trigger: 99, want: mh.RevocationTriggerNotSupported},
		"a proxy's binding":                  {trigger: 1, flags: mh.BRProxy, want: mh.RevocationProxyNotSupported},
		"a proxy's bindings, all":            {trigger: 128, flags: mh.BRProxy | mh.BRGlobal, want: mh.RevocationProxyNotSupported},
		"all, for a reason of one":           {trigger: 1, flags: mh.BRGlobal, want: mh.RevocationFunctionNotSupported},
		"one, for a reason of all":           {trigger: 129, want: mh.RevocationFunctionNotSupported},
		"all":                                {trigger: 128, flags: mh.BRGlobal, want: mh.RevocationGlobalNotAuthorized},
		"IPv4 only, of no address":           {trigger: 1, flags: mh.BRIPv4Only, want: mh.RevocationIPv4Required},
		"IPv4 only, of an address not ours":  {trigger: 1, flags: mh.BRIPv4Only, option: ipv4, want: mh.RevocationNoBinding},
		"a flag without a name":              {trigger: 1, flags: 1, want: mh.Revoked},
		"an identifier that nobody asks for": {trigger: 1, option: mh.MNIdentifier{Subtype: mh.NAI, Identifier: nai}, want: mh.Revoked},
	} {
		s := onWLAN(t)
		s.indicate(func(in *indication) {
			in.bri.Trigger, in.bri.Flags = tt.trigger, tt.flags
			if tt.option != nil {
				in.bri.Options = append(in.bri.Options, tt.option)
			}
		})
		answers, _ := s.farewells()
		if len(answers) != 1 || answers[0].Status != tt.want {
			t.Errorf("%s: %+v, want %v", name, answers, tt.want)
			continue
		}
		if answers[0].Flags != tt.flags&^1 {
			t.Errorf("%s: flags %v", name, answers[0].Flags)
		}
		if gone := !s.m.tunnel.Local.IsValid(); gone != (tt.want == mh.Revoked && tt.trigger != mh.RevokeOutOfSync) && tt.trigger != mh.RevokeOutOfSync {
			t.Errorf("%s: tunnel from %v", name, s.m.tunnel.Local)
		}
	}
}

func TestARevocationThatIsNotTheHomeAgentsIsNotAnswered(t *testing.T) { // RFC 5846, sections 6.1.2, 6.2 and 10
	stranger := netip.MustParseAddr("2001:db8:666::1")
	for name, spoil := range map[string]func(*indication){
		"from a stranger":            func(in *indication) { in.packet.Src = stranger },
		"without the home address":   func(in *indication) { in.packet.RoutingHome, in.packet.SegmentsLeft = netip.Addr{}, 0 },
		"to another home address":    func(in *indication) { in.packet.RoutingHome = stranger },
		"unproven":                   func(in *indication) { in.key = nil },
		"with a wrong key":           func(in *indication) { in.key = association.New(256, []byte("fedcba9876543210")) },
		"with another SPI":           func(in *indication) { in.key = association.New(257, haKey) },
		"for another care-of":        func(in *indication) { in.careOf = careOfWiMAX },
		"without a timestamp":        func(in *indication) { in.bri.Options = nil },
		"with an older timestamp":    func(in *indication) { in.bri.Options = []mh.Option{mh.ReplayProtection{Timestamp: 1 << 63}} },
		"with a timestamp of no one": func(in *indication) { in.bri.Options = []mh.Option{mh.ReplayProtection{Timestamp: ^uint64(0)}} },
	} {
		s := onWLAN(t)
		s.indicate(spoil)
		if answers, _ := s.farewells(); len(answers) > 0 || s.m.tunnel.Local != careOfWLAN || !s.m.registration.bound {
			t.Errorf("%s: %v", name, names(s.out))
		}
		s.mustHappen("message-ignored")
	}
}

func TestARecordedRevocationDoesNothingToALaterBinding(t *testing.T) {
	s := onWLAN(t)
	recorded := func(in *indication) {}
	first := s.last()
	s.indicate(recorded)
	s.step(CarrierChanged{Dev: "wlan", Up: false})
	s.until(30 * time.Second)
	s.visit("wlan", wlanPrefix)
	s.answer(mh.Accepted)
	if s.m.tunnel.Local != careOfWLAN {
		t.Fatal("not bound again")
	}
	s.indicate(func(in *indication) { in.bri.Options = []mh.Option{mh.ReplayProtection{Timestamp: timestampOf(first)}} })
	if answers, _ := s.farewells(); len(answers) > 0 || s.m.tunnel.Local != careOfWLAN {
		t.Error("it was believed")
	}
}

func TestWithoutTimestampsTheSequenceNumberTellsARecordedRevocation(t *testing.T) {
	cfg := config()
	cfg.MobileNode.Security.Replay = "sequence"
	s := begin(t, cfg)
	s.visit("wlan", wlanPrefix)
	s.answer(mh.Accepted)
	s.indicate(func(in *indication) { in.bri.Trigger = mh.RevokeOutOfSync })
	s.answer(mh.Accepted)
	s.until(30 * time.Second)
	s.indicate(func(in *indication) { in.bri.Trigger = mh.RevokeOutOfSync })
	if answers, _ := s.farewells(); len(answers) > 0 || len(s.sent) != 2 {
		t.Error("it was believed")
	}
	s.indicate(func(in *indication) { in.bri.Seq++ })
	if answers, _ := s.farewells(); len(answers) != 1 {
		t.Error("the next was not believed")
	}
}

func TestAnAnswerThatWasLostIsGivenAgain(t *testing.T) {
	s := onWLAN(t)
	s.indicate()
	_, first := s.farewells()
	s.until(6 * time.Second)
	s.indicate()
	_, second := s.farewells()
	if len(second) != 1 || !slices.Equal(first[0].Payload, second[0].Payload) || s.count("binding-revoked") != 1 {
		t.Fatalf("%v", names(s.out))
	}
	s.until(30 * time.Second)
	s.indicate()
	if answers, _ := s.farewells(); len(answers) > 0 {
		t.Error("answered much later") // RFC 5846, section 10: there is no binding
	}
}

func TestARevocationOfABindingWhoseAcknowledgementWasLostIsBelieved(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.indicate()
	if answers, _ := s.farewells(); len(answers) != 1 {
		t.Fatal(names(s.out))
	}
	s.until(10 * time.Minute)
	if len(s.sent) != 1 {
		t.Errorf("sent at %v", sentAt(s))
	}
}

func TestWithoutIntegrityARevocationIsTheHomeAgentsByItsAddresses(t *testing.T) {
	cfg := config()
	cfg.MobileNode.Security.Integrity = "none"
	s := begin(t, cfg)
	s.key = nil
	s.visit("wlan", wlanPrefix)
	s.answer(mh.Accepted)
	s.indicate(func(in *indication) { in.packet.Src = careOfWiMAX })
	if answers, _ := s.farewells(); len(answers) > 0 {
		t.Error("believed a stranger")
	}
	s.indicate()
	answers, packets := s.farewells()
	if len(answers) != 1 || s.m.tunnel.Local.IsValid() {
		t.Fatal(names(s.out))
	}
	if _, ok := mh.Find[mh.Authentication](answers[0].Options); ok || packets[0].HomeAddress != homeAddress {
		t.Errorf("%+v", answers[0])
	}
}

func (s *story) order(do func(time.Time) ([]Output, error)) {
	s.t.Helper()
	out, err := do(s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	s.take(out)
}

func TestADeRegistrationAwayFromHomeEndsTheBindingAndKeepsTheLink(t *testing.T) { // RFC 6275, sections 11.7.1 and 9.5.1
	s := onWLAN(t)
	s.order(s.m.Deregister)
	u := s.last()
	if u.Lifetime != 0 || u.packet.Src != careOfWLAN || u.packet.HomeAddress != homeAddress || u.Flags&(mh.AckRequested|mh.HomeRegistration) != mh.AckRequested|mh.HomeRegistration {
		t.Errorf("%+v", u)
	}
	if s.m.tunnel.Local != careOfWLAN {
		t.Error("the tunnel is gone before the answer")
	}
	s.answer(mh.Accepted)
	if n := names(s.out); !slices.Equal(n, []string{"binding-acknowledged", "ClearTunnel", "deregistered"}) {
		t.Errorf("%v", n)
	}
	s.until(5 * time.Minute)
	s.visit("wimax", wimaxPrefix)
	s.until(6 * time.Minute)
	if len(s.sent) != 2 {
		t.Errorf("registered at %v", sentAt(s))
	}
	s.order(s.m.Register)
	if u := s.last(); u.Lifetime == 0 || u.packet.Src != careOfWiMAX {
		t.Errorf("%+v", u)
	}
}

func TestADeRegistrationIsRepeatedLikeARegistration(t *testing.T) { // RFC 6275, section 11.8
	s := onWLAN(t)
	s.order(s.m.Deregister)
	s.until(40 * time.Second)
	var at []time.Duration
	for _, u := range s.sent[1:] {
		at = append(at, u.at-5*time.Second)
		if u.Lifetime != 0 {
			t.Errorf("lifetime %v", u.Lifetime)
		}
	}
	if want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second}; !slices.Equal(at, want) {
		t.Errorf("at %v, want %v", at, want)
	}
	s.until(2 * time.Minute) // the binding ends unheard
	s.mustHappen("deregistered")
	if n := len(s.sent); s.m.Deadline().Sub(s.now) < time.Minute && !s.m.registration.retryAt.IsZero() {
		t.Errorf("%d sent, still at it", n)
	}
}

func TestADeRegistrationThatTheHomeAgentNeverKnewOfIsDone(t *testing.T) {
	s := onWLAN(t)
	s.order(s.m.Deregister)
	s.answer(mh.NotHomeAgent) // it was restarted
	s.mustHappen("deregistered")
	s.order(s.m.Register)
	s.order(s.m.Deregister)
	s.answer(mh.Accepted)
}

func TestADeRegisteredMobileNodeThatMovesSaysSoFromThere(t *testing.T) {
	s := onWLAN(t)
	s.order(s.m.Deregister)
	s.visit("wimax", wimaxPrefix) // before the answer
	if u := s.last(); u.Lifetime != 0 || u.packet.Src != careOfWiMAX {
		t.Errorf("%+v", u)
	}
	s.answer(mh.Accepted)
	s.mustHappen("deregistered")
}

func TestADeRegistrationAtHomeHoldsAway(t *testing.T) {
	s := begin(t, config())
	s.visit("lte", homePrefix)
	s.order(s.m.Deregister)
	s.visit("wlan", wlanPrefix)
	s.until(time.Minute)
	if len(s.sent) > 0 {
		t.Errorf("registered at %v", sentAt(s))
	}
	if _, err := s.m.Deregister(s.now); err == nil {
		t.Error("twice")
	}
	s.order(s.m.Register)
	if len(s.sent) != 1 {
		t.Error("not registered")
	}
	if _, err := s.m.Register(s.now); err == nil {
		t.Error("twice")
	}
}

func TestAfterADeRegistrationTheAAAIsAskedAnew(t *testing.T) {
	s := begin(t, bootstrapped())
	s.visit("wlan", wlanPrefix)
	s.bootstrap()
	s.until(5 * time.Second)
	s.order(s.m.Deregister)
	if authOf(s.last()).Subtype != mh.MNHA {
		t.Error("want MN-HA")
	}
	s.answer(mh.Accepted)
	s.order(s.m.Register)
	if authOf(s.last()).Subtype != mh.MNAAA {
		t.Error("want MN-AAA: the session is over, and its key")
	}
}

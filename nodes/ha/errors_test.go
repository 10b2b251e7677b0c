package ha

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// bindingErrors gives the Binding Errors of the last Step.
func (s *story) bindingErrors() (list []*mh.BindingError, to []netip.Addr) {
	s.Helper()
	for _, r := range s.replies() {
		if e, ok := r.message.(*mh.BindingError); ok {
			if r.packet.Src != homeAgent || r.packet.RoutingHome.IsValid() {
				s.Errorf("packet %+v", r.packet)
			}
			list, to = append(list, e), append(to, r.packet.Dst)
		}
	}
	return list, to
}

func (s *story) wantError(status mh.BindingErrorStatus, home, to netip.Addr) {
	s.Helper()
	list, dst := s.bindingErrors()
	if len(list) != 1 || list[0].Status != status || list[0].HomeAddress != home || dst[0] != to {
		s.Fatalf("binding errors %+v to %v; %s", list, dst, s.words())
	}
}

func TestAnUnknownMessageTypeIsAnsweredByABindingError(t *testing.T) {
	for name, home := range map[string]netip.Addr{"with a home address option": homeA, "without": {}} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, configuration())
			upper, want := home, home
			if !home.IsValid() {
				upper, want = careOfWLAN, netip.IPv6Unspecified()
			}
			header, err := mh.Append(nil, &mh.Unknown{Kind: 99, Data: make([]byte, 2)}, upper, homeAgent)
			if err != nil {
				t.Fatal(err)
			}
			s.step(&Received{Octets: s.carry(ipv6.Packet{Src: careOfWLAN, HomeAddress: home, Next: ipv6.Mobility, Payload: header})})
			s.wantError(mh.UnknownType, want, careOfWLAN)
		})
	}
}

func TestMessagesForOthersAreIgnored(t *testing.T) {
	for _, message := range []mh.Message{
		&mh.BindingRefreshRequest{}, &mh.HomeTestInit{}, &mh.CareOfTestInit{}, &mh.HomeTest{}, &mh.CareOfTest{},
		&mh.BindingAcknowledgement{}, &mh.BindingError{Status: 1, HomeAddress: homeA},
	} {
		s := tell(t, configuration())
		header, err := mh.Append(nil, message, careOfWLAN, homeAgent)
		if err != nil {
			t.Fatal(err)
		}
		s.step(&Received{Octets: s.carry(ipv6.Packet{Src: careOfWLAN, Next: ipv6.Mobility, Payload: header})})
		if got := s.events("message-ignored"); len(s.replies()) > 0 || len(got) != 1 || got[0]["message"] != message.Type().String() {
			t.Error(s.words())
		}
	}
}

func TestAHomeAddressOptionNeedsABindingUnlessItSignals(t *testing.T) {
	s := tell(t, configuration())
	udp := func(src netip.Addr) []byte {
		return s.carry(ipv6.Packet{Src: src, HomeAddress: homeA, Next: ipv6.UDP, Payload: make([]byte, 8)})
	}
	s.step(&Received{Octets: udp(careOfWLAN)})
	s.wantError(mh.UnknownBinding, homeA, careOfWLAN) // attack A25
	s.send(s.of(1))
	s.step(&Received{Octets: udp(careOfWLAN)})
	if len(s.out) > 0 {
		t.Error(s.words())
	}
	s.step(&Received{Octets: udp(careOfLTE)})
	s.wantError(mh.UnknownBinding, homeA, careOfLTE)
	for _, next := range []uint8{ipv6.ESP, ipv6.AH} {
		s.step(&Received{Octets: s.carry(ipv6.Packet{Src: careOfLTE, HomeAddress: homeB, Next: next, Payload: make([]byte, 8)})})
		if len(s.out) > 0 {
			t.Error(s.words())
		}
	}
}

func TestErrorsGoToOneAddressOnceASecondAfterTheFirstTwo(t *testing.T) {
	s := tell(t, configuration())
	octets := s.carry(ipv6.Packet{Src: careOfWLAN, HomeAddress: homeA, Next: ipv6.UDP, Payload: make([]byte, 8)})
	sent := 0
	for range 1000 {
		s.now = s.now.Add(10 * time.Millisecond)
		s.step(&Received{Octets: octets})
		sent += len(s.replies())
	}
	if sent < 10 || sent > 12 {
		t.Errorf("%d errors in 10 s", sent)
	}
}

func TestErrorsAreLimitedInAllAndTheirMemoryToo(t *testing.T) {
	s := tell(t, configuration())
	sent := 0
	for i := range 100000 {
		s.now = s.now.Add(100 * time.Microsecond)
		src := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 9, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
		s.m.Step(s.now, &Received{Octets: s.carry(ipv6.Packet{Src: src, HomeAddress: homeA, Next: ipv6.UDP, Payload: make([]byte, 8)})})
		for _, o := range s.m.out {
			if _, ok := o.(*SendMobility); ok {
				sent++
			}
		}
	}
	if want := 100 + 10*100; sent > want {
		t.Errorf("%d errors in 10 s, want %d at most", sent, want)
	}
	if n := len(s.m.errors.sources.known); n > limitedKeys || n != s.m.errors.sources.order.Len() {
		t.Errorf("%d sources remembered", n)
	}
}

func TestAfterARestartTheMobileNodeLearnsOfItFromItsFirstUpdate(t *testing.T) {
	s := tell(t, with(fromAAA))
	a := s.of(9)
	a.mnha = association.New(300, keyA) // of before
	s.send(a)
	if _, ok := s.only(); ok {
		t.Error("acknowledged without an association") // RFC 4285, section 5.1.1
	}
	s.wantDiscarded("unknown-association")
	s.wantError(mh.UnknownBinding, homeA, careOfWLAN)
	s.send(s.asking(10))
	s.vouch(s.asked(), 301)
	s.wantStatus(mh.Accepted)
}

func TestAnUnknownAssociationOfABoundAddressGetsNoError(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1))
	forged := s.of(2)
	forged.mnha = association.New(999, keyB)
	s.send(forged)
	s.wantSilence("unknown-association")
}

func TestAfterARestartTheMobileNodeLearnsOfItFromItsFirstTunnelledPacket(t *testing.T) {
	s := tell(t, configuration())
	s.step(StrangerTunnelled{Source: careOfWLAN, Inner: homeA})
	s.wantError(mh.UnknownBinding, homeA, careOfWLAN)
	s.step(StrangerTunnelled{Source: careOfLTE})
	s.wantError(mh.UnknownBinding, netip.IPv6Unspecified(), careOfLTE)
}

func TestATunnelledPacketWithAForgedOuterSourceGetsNoError(t *testing.T) {
	s := tell(t, configuration())
	s.send(s.of(1))
	s.step(StrangerTunnelled{Source: careOfLTE, Inner: homeA})
	s.step(StrangerTunnelled{Source: careOfLTE, Inner: netip.MustParseAddr("2001:db8:999::1")})
	if len(s.out) > 0 {
		t.Error(s.words())
	}
}

func TestPacketsToOtherAddressesAreOthersBusiness(t *testing.T) {
	s := tell(t, configuration())
	s.step(&Received{Octets: s.carry(ipv6.Packet{Src: careOfWLAN, Dst: homeB, HomeAddress: homeA, Next: ipv6.UDP, Payload: make([]byte, 8)})})
	if len(s.out) > 0 {
		t.Error(s.words())
	}
}

func TestAMalformedHeaderIsAnsweredByAParameterProblemThatPointsAtTheField(t *testing.T) {
	for name, c := range map[string]struct {
		alter   func(header []byte)
		pointer uint32
	}{
		"payload proto": {func(h []byte) { h[0] = ipv6.UDP }, 40 + 24},
		"header len":    {func(h []byte) { h[1] = 0 }, 40 + 24 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, configuration())
			header, err := mh.Append(nil, &mh.BindingUpdate{Seq: 1}, homeA, homeAgent)
			if err != nil {
				t.Fatal(err)
			}
			c.alter(header)
			length := (int(header[1]) + 1) * 8
			mh.SetChecksum(header[:length], homeA, homeAgent)
			octets := s.carry(ipv6.Packet{Src: careOfWLAN, HomeAddress: homeA, Next: ipv6.Mobility, Payload: header})
			s.step(&Received{Octets: append(octets, 0, 0, 0)}) // as Ethernet pads
			list := s.replies()
			if len(list) != 1 || list[0].packet.Next != ipv6.ICMPv6 || list[0].packet.Dst != careOfWLAN {
				t.Fatal(s.words())
			}
			message, err := icmp6.Parse(list[0].packet.Payload)
			if err != nil {
				t.Fatal(err)
			}
			p, ok := message.(*icmp6.ParameterProblem)
			if !ok || p.Code != ipv6.ErroneousField || p.Pointer != c.pointer || !bytes.Equal(p.Invoking, octets) {
				t.Errorf("%+v", message)
			}
			header[4] ^= 1 // with a wrong checksum: silence
			s.step(&Received{Octets: s.carry(ipv6.Packet{Src: careOfLTE, HomeAddress: homeA, Next: ipv6.Mobility, Payload: header})})
			s.wantSilence("malformed-header")
		})
	}
}

func TestAPacketByWayOfThisNodeIsNotForIt(t *testing.T) {
	s := tell(t, with(noIntegrity))
	header, err := mh.Append(nil, s.bareMessage(), homeA, homeAgent)
	if err != nil {
		t.Fatal(err)
	}
	s.step(&Received{Octets: s.carry(ipv6.Packet{Src: careOfWLAN, HomeAddress: homeA, RoutingHome: homeB, SegmentsLeft: 1, Next: ipv6.Mobility, Payload: header})})
	s.wantSilence("type-2-routing-header")
}

func (s *story) bareMessage() mh.Message {
	a := s.bare(homeA, 1)
	return a.message()
}

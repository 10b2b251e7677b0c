package mn

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// deliver hands the mobile node a packet.
func (s *story) deliver(p ipv6.Packet) []Output {
	s.t.Helper()
	p.HopLimit = 64
	octets, err := ipv6.Append(nil, &p)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.step(Received{Dev: "wlan", Octets: octets})
}

// bindingErrors are those among the outputs of a step, and where they go.
func bindingErrors(t *testing.T, out []Output) (list []*mh.BindingError, to []netip.Addr) {
	t.Helper()
	for _, o := range out {
		o, ok := o.(SendMobility)
		if !ok {
			continue
		}
		p, err := ipv6.Parse(o.Octets)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mh.Parse(p.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := m.(*mh.BindingError); ok {
			list, to = append(list, e), append(to, p.Dst)
		}
	}
	return list, to
}

func TestAMalformedMobilityHeaderIsDropped(t *testing.T) { // RFC 6275, section 9.2
	for name, spoil := range map[string]func(h []byte){
		"payload proto":    func(h []byte) { h[0] = ipv6.UDP },
		"header len":       func(h []byte) { h[1] = 0 },
		"header len, long": func(h []byte) { h[1]++ },
		"checksum":         func(h []byte) { h[4]++ },
	} {
		s := begin(t, config())
		s.visit("wlan", wlanPrefix)
		h, err := mh.Append(nil, &mh.BindingError{Status: mh.UnknownBinding, HomeAddress: homeAddress}, homeAgent, careOfWLAN)
		if err != nil {
			t.Fatal(err)
		}
		spoil(h)
		if n := min(len(h), (int(h[1])+1)*8); name != "checksum" {
			mh.SetChecksum(h[:n], homeAgent, careOfWLAN)
		}
		out := s.deliver(ipv6.Packet{Src: homeAgent, Dst: careOfWLAN, Next: ipv6.Mobility, Payload: h})
		if _, sent := find[SendMobility](out); sent || s.count("message-ignored") != 1 {
			t.Errorf("%s: got %v, want it ignored", name, names(out))
		}
	}
}

func TestARoutingHeaderThatIsNotForThisNodeIsDropped(t *testing.T) { // RFC 6275, section 11.3.3
	for name, spoil := range map[string]func(*ipv6.Packet){
		"no segment left":      func(p *ipv6.Packet) { p.RoutingHome, p.SegmentsLeft = homeAddress, 0 },
		"another home address": func(p *ipv6.Packet) { p.RoutingHome, p.SegmentsLeft = careOfWiMAX, 1 },
		"multicast":            func(p *ipv6.Packet) { p.RoutingHome, p.SegmentsLeft = netip.MustParseAddr("ff02::1"), 1 },
	} {
		s := begin(t, config())
		s.visit("wlan", wlanPrefix)
		s.answer(0)
		s.until(2 * time.Second)
		p := ipv6.Packet{Src: homeAgent, Dst: careOfWLAN, Next: ipv6.Mobility}
		spoil(&p)
		var err error
		if p.Payload, err = mh.Append(nil, &mh.BindingRefreshRequest{}, p.Src, p.UpperDst()); err != nil {
			t.Fatal(err)
		}
		s.deliver(p)
		if len(s.sent) != 1 || s.count("message-ignored") != 1 {
			t.Errorf("%s: %d Binding Updates, want it ignored", name, len(s.sent))
		}
	}
}

// RFC 6275, section 9.3.1: this node holds no bindings of others.
func TestAHomeAddressOptionIsAnsweredByABindingErrorUnlessItSignals(t *testing.T) {
	other, correspondent := netip.MustParseAddr("2001:db8:900::10"), netip.MustParseAddr("2001:db8:901::1")
	for name, c := range map[string]struct {
		home, src netip.Addr
		next      uint8
		told      bool
	}{
		"data":                          {other, correspondent, ipv6.UDP, true},
		"ESP":                           {other, correspondent, ipv6.ESP, false},
		"AH":                            {other, correspondent, ipv6.AH, false},
		"a home address that is none":   {netip.MustParseAddr("ff0e::1"), correspondent, ipv6.UDP, false},
		"a home address that is local":  {netip.MustParseAddr("fe80::1"), correspondent, ipv6.UDP, false},
		"from a multicast address":      {other, netip.MustParseAddr("ff0e::1"), ipv6.UDP, false},
		"without a home address option": {netip.Addr{}, correspondent, ipv6.UDP, false},
	} {
		s := begin(t, config())
		s.visit("wlan", wlanPrefix)
		s.answer(0)
		out := s.deliver(ipv6.Packet{Src: c.src, Dst: careOfWLAN, HomeAddress: c.home, Next: c.next, Payload: make([]byte, 8)})
		list, to := bindingErrors(t, out)
		if !c.told {
			if len(list) > 0 {
				t.Errorf("%s: told of it", name)
			}
			continue
		}
		if len(list) != 1 || list[0].Status != mh.UnknownBinding || list[0].HomeAddress != other || to[0] != correspondent {
			t.Errorf("%s: got %+v to %v", name, list, to)
		}
	}
}

func TestAnUnknownMessageTypeFromAMulticastAddressGetsNoBindingError(t *testing.T) { // RFC 6275, section 9.3.3
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	if list, _ := bindingErrors(t, s.message(&mh.Unknown{Kind: 99, Data: make([]byte, 2)}, netip.MustParseAddr("ff0e::1"), careOfWLAN)); len(list) > 0 {
		t.Errorf("got %+v", list)
	}
}

func TestADuplicateHomeAddressEndsTheTunnelAndIsNotUsedAtHome(t *testing.T) { // RFC 6275, section 11.7.1
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.until(2 * time.Second)
	s.message(&mh.BindingRefreshRequest{}, homeAgent, homeAddress)
	s.answer(mh.DADFailed) // by a home agent that has lost its bindings
	if s.m.tunnel.Local.IsValid() {
		t.Error("the tunnel is still there")
	}
	s.visit("lte", homePrefix)
	if out := names(s.out); slices.Contains(out, "EnterHome") || slices.Contains(out, "UseHome") || slices.Contains(out, "AdvertiseNeighbor") {
		t.Errorf("at home: %v", out)
	}
	s.mustHappen("address-failed")
	s.visit("wlan", wlanPrefix)
	s.until(10 * time.Minute)
	if len(s.sent) != 2 {
		t.Errorf("sent at %v", sentAt(s))
	}
}

// RFC 6275, section 9.5.1: numbers are compared modulo 2^16, also by who counts on.
func TestSequenceNumbersGoOnAfter65535AndNoneIsUsedTwice(t *testing.T) {
	s := begin(t, config())
	s.m.registration.seq = 0xfffd
	s.visit("wlan", wlanPrefix)
	s.until(2 * time.Minute) // no answer
	seen := map[uint16]bool{}
	for i, u := range s.sent {
		if seen[u.Seq] {
			t.Errorf("%d is used twice: RFC 6275, section 11.7.2", u.Seq)
		}
		seen[u.Seq] = true
		if i > 0 && !mh.SeqAfter(u.Seq, s.sent[i-1].Seq) {
			t.Errorf("%d comes after %d: RFC 6275, section 11.8", u.Seq, s.sent[i-1].Seq)
		}
	}
	if len(s.sent) < 5 || s.sent[2].Seq != 0 {
		t.Errorf("%d sent, the third %d, want 0", len(s.sent), s.sent[2].Seq)
	}
}

// RFC 6275, section 11.7.3: the time that the acknowledgement took counts.
func TestTheBindingLastsFromWhenTheUpdateWasSent(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.until(time.Second)
	s.answer(0, func(a *answer) { a.ba.Lifetime = 20 * time.Second })
	if got := s.m.registration.expires.Sub(start); got != 20*time.Second {
		t.Errorf("ends at %v, want 20 s", got)
	}
}

func TestWhatWaitsForAnAcknowledgementEndsWithTheAttachment(t *testing.T) { // RFC 6275, section 11.1
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.carrier("wlan", false)
	s.until(time.Hour)
	if len(s.sent) != 1 || s.m.registration.waiting != nil {
		t.Errorf("sent at %v", sentAt(s))
	}
}

// RFC 6275, section 11.5.5, for what a Binding Update and a question need at home.
func TestAtHomeOnlyTheQuestionHidesTheHomeAddress(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.carrier("wlan", false)
	s.carrier("lte", true)
	out := s.advertise("lte", homePrefix, func(r *RouterAdvertised) { r.Prefixes[0].Router = false })
	if n := names(out); slices.Contains(n, "EnterHome") || slices.Contains(n, "UseHome") {
		t.Errorf("%v: uses the home address before it has told the home agent", n)
	}
	q, ok := find[SolicitNeighbor](out)
	if !ok || !q.Source.IsUnspecified() || q.Target != homeAddress || q.Destination != icmp6.SolicitedNode(homeAddress) {
		t.Errorf("asked %+v", q)
	}
}

func TestAtTheRefusalOfADeregistrationApplicationsAreNotLost(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.carrier("lte", true)
	s.advertise("lte", homePrefix)
	s.answer(mh.Prohibited)
	if s.m.tunnel.Local != careOfWLAN {
		t.Error("no tunnel any more, and no way by home")
	}
	s.carrier("wlan", false)
	if _, ok := find[UseHome](s.out); !ok {
		t.Error("no way by home after the tunnel has gone")
	}
}

package mn

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/mh"
)

var (
	secondAgent = netip.MustParseAddr("2001:db8:1::2")
	thirdAgent  = netip.MustParseAddr("2001:db8:1::3")
)

// switchTo lets a Home Agent Switch come, as the home agent sends it; changes may
// spoil it.
func (s *story) switchTo(to []netip.Addr, change ...func(*indication)) {
	s.t.Helper()
	has := &mh.HomeAgentSwitch{Addresses: to}
	s.indicate(append(change, func(in *indication) {
		has.Options = in.bri.Options
		s.notice(in.packet, has, in.key, in.careOf)
		in.packet.Src = thirdAgent // the indication itself is nobody's
	})...)
}

func from(agent netip.Addr) func(*answer) { return func(a *answer) { a.packet.Src = agent } }

func TestASwitchDeletesTheBindingAndThenMakesAnother(t *testing.T) { // RFC 5142, sections 6.1 and 6.2
	s := onWLAN(t)
	s.switchTo([]netip.Addr{secondAgent})
	u := s.last()
	if u.Lifetime != 0 || u.packet.Dst != homeAgent {
		t.Fatalf("%+v to %v", u.BindingUpdate, u.packet.Dst)
	}
	if s.m.tunnel.Local != careOfWLAN {
		t.Error("the tunnel is gone before the answer")
	}
	s.answer(mh.Accepted)
	if u := s.last(); u.Lifetime == 0 || u.packet.Dst != secondAgent {
		t.Fatalf("%+v to %v", u.BindingUpdate, u.packet.Dst)
	}
	s.answer(mh.Accepted) // from the one that was left
	if s.m.tunnel.Local.IsValid() {
		t.Error("believed the one that was left")
	}
	s.answer(mh.Accepted, from(secondAgent))
	if o, ok := find[SetTunnel](s.out); !ok || o.Remote != secondAgent {
		t.Errorf("%v", names(s.out))
	}
	s.until(20 * time.Second)
	s.visit("wimax", wimaxPrefix)
	if s.last().packet.Dst != secondAgent {
		t.Error("back at the first")
	}
}

func TestAHomeAgentOfAnotherNeedsAKeyOfItsOwn(t *testing.T) {
	s := begin(t, bootstrapped())
	s.visit("wlan", wlanPrefix)
	s.bootstrap()
	s.until(5 * time.Second)
	s.switchTo([]netip.Addr{secondAgent})
	s.answer(mh.Accepted)
	if authOf(s.last()).Subtype != mh.MNAAA || s.last().packet.Dst != secondAgent {
		t.Errorf("%+v", s.last())
	}
}

func TestHomeAgentsAreTriedInTheirOrder(t *testing.T) { // RFC 5142, section 6.2
	for name, fails := range map[string]func(*story){
		"it is silent":   func(s *story) { s.until(s.now.Sub(start) + 15*time.Second) },
		"it refuses":     func(s *story) { s.answer(mh.Prohibited, from(secondAgent)) },
		"not its subnet": func(s *story) { s.answer(mh.NotHomeSubnet, from(secondAgent)) },
	} {
		s := onWLAN(t)
		s.switchTo([]netip.Addr{homeAgent, secondAgent, thirdAgent}) // the present one is passed by
		s.answer(mh.Accepted)
		if s.last().packet.Dst != secondAgent {
			t.Fatalf("%s: %v", name, s.last().packet.Dst)
		}
		fails(s)
		if s.last().packet.Dst != thirdAgent {
			t.Errorf("%s: the last went to %v", name, s.last().packet.Dst)
		}
		s.until(s.now.Sub(start) + time.Minute)
		if s.last().packet.Dst != thirdAgent { // there is no other: it goes on
			t.Errorf("%s: %v", name, s.last().packet.Dst)
		}
	}
}

func TestAHomeAgentThatDoesNotLetGoIsLeft(t *testing.T) {
	s := onWLAN(t)
	s.switchTo([]netip.Addr{secondAgent})
	s.until(30 * time.Second)
	var to []netip.Addr
	for _, u := range s.sent[1:] {
		to = append(to, u.packet.Dst)
	}
	if !slices.Equal(to[:4], []netip.Addr{homeAgent, homeAgent, homeAgent, secondAgent}) {
		t.Errorf("%v", to)
	}
}

func TestWhoIsNotBoundGoesAtOnce(t *testing.T) { // TS 23.402, section 6.10
	s := begin(t, bootstrapped())
	s.visit("wlan", wlanPrefix)
	s.key = s.derive(s.last())
	s.answer(mh.NotHomeAgent)
	s.switchTo([]netip.Addr{secondAgent})
	if len(s.sent) != 2 || s.last().packet.Dst != secondAgent || s.last().Lifetime == 0 {
		t.Errorf("%d sent, the last %+v", len(s.sent), s.last())
	}
}

func TestASwitchThatIsNotTheHomeAgentsChangesNothing(t *testing.T) {
	stranger := netip.MustParseAddr("2001:db8:666::1")
	for name, spoil := range map[string]func(*indication){
		"from a stranger":          func(in *indication) { in.packet.Src = stranger },
		"from whom it leads to":    func(in *indication) { in.packet.Src = secondAgent },
		"without the home address": func(in *indication) { in.packet.RoutingHome, in.packet.SegmentsLeft = netip.Addr{}, 0 },
		"unproven":                 func(in *indication) { in.key = nil },
		"with a wrong key":         func(in *indication) { in.key = association.New(256, []byte("fedcba9876543210")) },
		"with an older timestamp":  func(in *indication) { in.bri.Options = []mh.Option{mh.ReplayProtection{Timestamp: 1 << 63}} },
	} {
		s := onWLAN(t)
		s.switchTo([]netip.Addr{stranger}, spoil)
		if len(s.sent) != 1 || s.m.cfg.HomeAgent != homeAgent || s.m.tunnel.Local != careOfWLAN {
			t.Errorf("%s: %v", name, names(s.out))
		}
	}
	s := onWLAN(t)
	s.switchTo(nil)
	s.switchTo([]netip.Addr{homeAgent})
	s.switchTo([]netip.Addr{netip.IPv6Unspecified(), netip.MustParseAddr("ff02::1"), netip.MustParseAddr("fe80::1")})
	if len(s.sent) != 1 {
		t.Error("went nowhere")
	}
}

func TestComingHomeDuringASwitchEndsIt(t *testing.T) {
	s := onWLAN(t)
	s.switchTo([]netip.Addr{secondAgent})
	s.visit("lte", homePrefix)
	s.until(10 * time.Second)
	s.answer(mh.Accepted)
	s.mustHappen("returned-home")
	s.visit("wlan", wlanPrefix)
	if s.last().packet.Dst != secondAgent {
		t.Errorf("%v", s.last().packet.Dst)
	}
}

package flows

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"s2clab/nodes/wire/mh"
)

var (
	peer = netip.MustParseAddr("2001:db8:2::2")
	home = netip.MustParseAddr("2001:db8:100::10")

	udp   = mh.TrafficSelector{Format: mh.IPv6Selector, Protocol: &mh.Range{Start: 17}}
	tcp   = mh.TrafficSelector{Format: mh.IPv6Selector, Protocol: &mh.Range{Start: 6}}
	voice = mh.TrafficSelector{Format: mh.IPv6Selector, Protocol: &mh.Range{Start: 17}, DestPort: &mh.Range{Start: 5000, End: 5099, Ranged: true}}
)

// only says that these BIDs are registered.
func only(bids ...uint16) func(uint16) bool {
	return func(bid uint16) bool {
		for _, b := range bids {
			if b == bid {
				return true
			}
		}
		return false
	}
}

func flow(fid, priority uint16, subs ...mh.FlowSubOption) mh.FlowIdentification {
	return mh.FlowIdentification{FID: fid, Priority: priority, SubOptions: subs}
}

func to(bids ...uint16) mh.BindingReference { return mh.BindingReference{BIDs: bids} }

func datagram(port uint16) *Packet {
	return &Packet{Source: peer, Destination: home, Protocol: 17, DestPort: port, HasPorts: true}
}

// statuses are those of the answers, by flow.
func statuses(t *testing.T, answers []mh.Option) map[uint16]mh.FlowStatus {
	t.Helper()
	got := map[uint16]mh.FlowStatus{}
	for _, o := range answers {
		f, ok := o.(mh.FlowIdentification)
		if !ok {
			t.Fatalf("answered by %T", o)
		}
		got[f.FID] = f.Status
	}
	return got
}

func wantStatuses(t *testing.T, answers []mh.Option, want map[uint16]mh.FlowStatus) {
	t.Helper()
	if d := cmp.Diff(want, statuses(t, answers)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func wantRoute(t *testing.T, l *List, p *Packet, registered func(uint16) bool, want ...uint16) {
	t.Helper()
	if d := cmp.Diff(want, l.Route(p, registered)); d != "" {
		t.Errorf("route: -want +got\n%s", d)
	}
}

// The table of RFC 6089, section 4.3, with its three bindings.
func TestTheFirstActiveEntryThatMatchesRoutes(t *testing.T) {
	var l List
	registered := only(1, 2, 3)
	from := mh.TrafficSelector{Format: mh.IPv6Selector, Source: &mh.AddressRange{Start: peer}}
	wantStatuses(t, l.Update([]mh.Option{
		flow(5, 40, udp, to(1, 3)), flow(4, 10, tcp, to(2)), flow(2, 30, from, to(4)),
	}, only(1, 2, 3, 4)), map[uint16]mh.FlowStatus{2: mh.FlowBound, 4: mh.FlowBound, 5: mh.FlowBound})
	wantRoute(t, &l, &Packet{Source: peer, Destination: home, Protocol: 6, HasPorts: true}, registered, 2)
	wantRoute(t, &l, datagram(9), registered, 1, 3) // 30 would match, and BID 4 is gone
	wantRoute(t, &l, datagram(9), only(3), 3)
	wantRoute(t, &l, datagram(9), only(2))
	wantRoute(t, &l, &Packet{Source: peer, Destination: home, Protocol: 58}, registered)
}

func TestAFlowIsMovedByItsReferenceAlone(t *testing.T) {
	var l List
	both := only(1, 2)
	l.Update([]mh.Option{flow(1, 10, voice, to(1))}, both)
	wantRoute(t, &l, datagram(5000), both, 1)
	wantStatuses(t, l.Update([]mh.Option{flow(1, 10, to(2))}, both), map[uint16]mh.FlowStatus{1: mh.FlowBound})
	wantRoute(t, &l, datagram(5000), both, 2)
	wantStatuses(t, l.Update([]mh.Option{flow(1, 20, udp)}, both), map[uint16]mh.FlowStatus{1: mh.FlowBound})
	wantRoute(t, &l, datagram(4000), both, 2)
}

func TestWhatABindingUpdateDoesNotNameEnds(t *testing.T) {
	var l List
	one := only(1)
	l.Update([]mh.Option{flow(1, 10, voice, to(1)), flow(2, 20, udp, to(1)), flow(3, 30, tcp, to(1))}, one)
	answers := l.Update([]mh.Option{mh.FlowSummary{FIDs: []uint16{2, 2, 9}}, mh.FlowSummary{FIDs: []uint16{9}}}, one)
	wantStatuses(t, answers, map[uint16]mh.FlowStatus{9: mh.FlowFIDNotFound})
	if len(answers) != 1 || len(l.Entries()) != 1 || l.Entries()[0].FID != 2 {
		t.Errorf("%d answers, entries %+v; want one, and flow 2", len(answers), l.Entries())
	}
	l.Update(nil, one)
	if len(l.Entries()) != 0 {
		t.Errorf("entries %+v after a Binding Update that names none", l.Entries())
	}
}

func TestEachRefusalHasItsStatus(t *testing.T) {
	raw := func(kind uint8, data ...byte) mh.RawFlowSubOption { return mh.RawFlowSubOption{Kind: kind, Data: data} }
	for what, c := range map[string]struct {
		options []mh.Option
		want    map[uint16]mh.FlowStatus
	}{
		"new, without a selector":         {[]mh.Option{flow(1, 10, to(1))}, map[uint16]mh.FlowStatus{1: mh.FlowMalformed}},
		"new, without a reference":        {[]mh.Option{flow(1, 10, udp)}, map[uint16]mh.FlowStatus{1: mh.FlowMalformed}},
		"a BID that nobody knows":         {[]mh.Option{flow(1, 10, udp, to(1, 7))}, map[uint16]mh.FlowStatus{1: mh.FlowBIDNotFound}},
		"a selector of an unknown format": {[]mh.Option{flow(1, 10, raw(3, 7, 0), to(1))}, map[uint16]mh.FlowStatus{1: mh.FlowSelectorUnsupported}},
		"a selector that is broken":       {[]mh.Option{flow(1, 10, raw(3, 1, 0), to(1))}, map[uint16]mh.FlowStatus{1: mh.FlowMalformed}},
		"a reference that is broken":      {[]mh.Option{flow(1, 10, udp, raw(2, 0))}, map[uint16]mh.FlowStatus{1: mh.FlowMalformed}},
		"two selectors":                   {[]mh.Option{flow(1, 10, udp, tcp, to(1))}, map[uint16]mh.FlowStatus{1: mh.FlowMalformed}},
		"two references":                  {[]mh.Option{flow(1, 10, udp, to(1), to(1))}, map[uint16]mh.FlowStatus{1: mh.FlowMalformed}},
		"flow 0":                          {[]mh.Option{flow(0, 10, udp, to(1))}, map[uint16]mh.FlowStatus{0: mh.FlowMalformed}},
		"priority 0":                      {[]mh.Option{flow(1, 0, udp, to(1))}, map[uint16]mh.FlowStatus{1: mh.FlowMalformed}},
		"the same flow twice":             {[]mh.Option{flow(1, 10, udp, to(1)), flow(1, 20, tcp, to(1))}, map[uint16]mh.FlowStatus{1: mh.FlowMalformed}},
		"the same priority twice":         {[]mh.Option{flow(1, 10, udp, to(1)), flow(2, 10, tcp, to(1))}, map[uint16]mh.FlowStatus{1: mh.FlowBound, 2: mh.FlowMalformed}},
		"an option that has no format":    {[]mh.Option{mh.RawOption{Kind: mh.OptionFlowIdentification, Data: []byte{0, 8, 1}}}, map[uint16]mh.FlowStatus{8: mh.FlowMalformed}},
		"a sub-option without a name":     {[]mh.Option{flow(1, 10, raw(9, 1), udp, to(1))}, map[uint16]mh.FlowStatus{1: mh.FlowBound}},
	} {
		t.Run(what, func(t *testing.T) {
			var l List
			wantStatuses(t, l.Update(c.options, only(1)), c.want)
			bound := 0
			for _, s := range c.want {
				if s == mh.FlowBound {
					bound++
				}
			}
			if len(l.Entries()) != bound {
				t.Errorf("entries %+v, want %d", l.Entries(), bound)
			}
		})
	}
}

func TestAChangeThatIsRefusedLeavesTheFlowAsItWas(t *testing.T) {
	var l List
	one := only(1)
	l.Update([]mh.Option{flow(1, 10, udp, to(1))}, one)
	wantStatuses(t, l.Update([]mh.Option{flow(1, 10, to(7))}, one), map[uint16]mh.FlowStatus{1: mh.FlowBIDNotFound})
	wantRoute(t, &l, datagram(1), one, 1)
}

func TestTheListIsBounded(t *testing.T) {
	var l List
	var all []mh.Option
	for i := range uint16(Most + 3) {
		all = append(all, flow(i+1, i+1, udp, to(1)))
	}
	refused := 0
	for _, s := range statuses(t, l.Update(all, only(1))) {
		if s == mh.FlowProhibited {
			refused++
		}
	}
	if refused != 3 || len(l.Entries()) != Most {
		t.Errorf("%d refused, %d kept; want 3 and %d", refused, len(l.Entries()), Most)
	}
}

func TestSelectorsLookAtWhatTheyName(t *testing.T) {
	expedited := mh.TrafficSelector{Format: mh.IPv6Selector, Class: &mh.Range{Start: 0xb8}, FlowLabel: &mh.Range{Start: 0xff000005}}
	four := mh.TrafficSelector{Format: mh.IPv4Selector}
	esp := mh.TrafficSelector{Format: mh.IPv6Selector, SPI: &mh.Range{Start: 256, End: 300, Ranged: true}}
	for what, c := range map[string]struct {
		selector *mh.TrafficSelector
		packet   Packet
		want     bool
	}{
		"bits of congestion do not count": {&expedited, Packet{Source: peer, Class: 0xbb, FlowLabel: 5}, true},
		"another class":                   {&expedited, Packet{Source: peer, Class: 0x28, FlowLabel: 5}, false},
		"another flow label":              {&expedited, Packet{Source: peer, Class: 0xb8, FlowLabel: 6}, false},
		"IPv6 by a selector for IPv4":     {&four, Packet{Source: peer}, false},
		"IPv4 by a selector for IPv4":     {&four, Packet{Source: netip.MustParseAddr("192.0.2.2")}, true},
		"IPv4 by a selector for IPv6":     {&udp, Packet{Source: netip.MustParseAddr("192.0.2.2"), Protocol: 17}, false},
		"a packet that has no ports":      {&voice, Packet{Source: peer, Protocol: 17}, false},
		"a packet of the ports":           {&voice, *datagram(5099), true},
		"a packet of other ports":         {&voice, *datagram(5100), false},
		"an SPI in the range":             {&esp, Packet{Source: peer, SPI: 300, HasSPI: true}, true},
		"a packet that has no SPI":        {&esp, Packet{Source: peer, SPI: 300}, false},
	} {
		if got := Matches(c.selector, &c.packet); got != c.want {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}

// Whatever comes, identifiers and priorities stay unique, in order and bounded.
func TestAnyUpdatesLeaveAListInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l List
		for range rapid.IntRange(1, 6).Draw(t, "updates") {
			var options []mh.Option
			for range rapid.IntRange(0, 5).Draw(t, "options") {
				fid := uint16(rapid.IntRange(0, 5).Draw(t, "fid"))
				if rapid.Bool().Draw(t, "summary") {
					options = append(options, mh.FlowSummary{FIDs: []uint16{fid}})
					continue
				}
				subs := []mh.FlowSubOption{udp, to(1), to(2)}[rapid.IntRange(0, 1).Draw(t, "from"):rapid.IntRange(1, 3).Draw(t, "until")]
				options = append(options, flow(fid, uint16(rapid.IntRange(0, 5).Draw(t, "priority")), subs...))
			}
			l.Update(options, only(1))
			fids, last := map[uint16]bool{}, uint16(0)
			for _, e := range l.Entries() {
				if fids[e.FID] || e.FID == 0 || e.Priority <= last || len(e.BIDs) == 0 {
					t.Fatalf("entries %+v", l.Entries())
				}
				fids[e.FID], last = true, e.Priority
			}
		}
	})
}

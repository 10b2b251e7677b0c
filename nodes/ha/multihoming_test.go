package ha

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/flows"
	"s2clab/nodes/wire/mh"
)

var wlanA, wimaxA = netip.MustParseAddr("2001:db8:200::a"), netip.MustParseAddr("2001:db8:300::a")

func several(h *control.HomeAgent) { h.MultipleCareOf = true }

// at makes a Binding Update one of several care-of addresses.
func at(a announcement, options ...mh.Option) announcement {
	a.alternate, a.more = netip.Addr{}, append(slices.Clone(a.more), options...)
	return a
}

func overwriting(a announcement) announcement {
	a.flags |= mh.Overwrite
	return a
}

func lasting(a announcement, d time.Duration) announcement {
	a.lifetime = d
	return a
}

func bid(n uint16, priority uint8, careOf netip.Addr) mh.BindingIdentifier {
	return mh.BindingIdentifier{BID: n, Priority: priority, CareOf: careOf}
}

// voice and bulk are flows by protocol: UDP and TCP.
func flow(fid, priority uint16, protocol uint32, bids ...uint16) mh.FlowIdentification {
	f := mh.FlowIdentification{FID: fid, Priority: priority}
	if protocol != 0 {
		f.SubOptions = append(f.SubOptions, mh.TrafficSelector{Format: mh.IPv6Selector, Protocol: &mh.Range{Start: protocol}})
	}
	if len(bids) > 0 {
		f.SubOptions = append(f.SubOptions, mh.BindingReference{BIDs: bids})
	}
	return f
}

// statuses wants an acknowledgement of a status, and the statuses of its Binding
// Identifier options in their order.
func (s *story) statuses(want mh.Status, bids ...mh.Status) *mh.BindingAcknowledgement {
	s.Helper()
	ba, _ := s.acknowledged()
	var got []mh.Status
	for _, o := range ba.Options {
		if o, ok := o.(mh.BindingIdentifier); ok {
			if o.CareOf.IsValid() {
				s.Errorf("%+v has a care-of address in an acknowledgement", o)
			}
			got = append(got, o.Status)
		}
	}
	if ba.Status != want || !slices.Equal(got, bids) {
		s.Fatalf("status %v with %v, want %v with %v", ba.Status, got, want, bids)
	}
	return ba
}

// wantWays wants the last Step to have led the tunnel so: a BID and its care-of
// address each.
func (s *story) wantWays(want ...Way) SetWays {
	s.Helper()
	got := outputs[SetWays](s)
	if len(got) != 1 || !slices.Equal(got[0].Ways, want) {
		s.Fatalf("ways %+v, want %+v", got, want)
	}
	return got[0]
}

func TestSeveralCareOfAddressesAreBoundAtOnceInTheOrderOfTheirPriorities(t *testing.T) { // RFC 5648, section 6.2; RFC 6089, section 5.1.1
	s := tell(t, with(several))
	s.send(overwriting(at(s.of(1), bid(1, 20, wlanA), bid(2, 10, wimaxA))))
	s.statuses(mh.Accepted, 0, 0)
	s.wantWays(Way{BID: 2, CareOf: wimaxA}, Way{BID: 1, CareOf: wlanA})
	if e := s.entry(homeA); len(e.CareOfs) != 2 || e.CareOf != wimaxA {
		t.Errorf("entry %+v", e)
	}

	// A refresh need not name addresses, and changes nothing that is tunnelled.
	s.now = s.now.Add(time.Second)
	s.send(at(s.of(2), bid(1, 20, netip.Addr{}), bid(2, 10, netip.Addr{})))
	s.statuses(mh.Accepted, 0, 0)
	if got := outputs[SetWays](s); len(got) != 0 {
		t.Errorf("ways %+v though nothing has changed", got)
	}

	// One moves, alone; another priority changes the order.
	s.now = s.now.Add(time.Second)
	s.send(at(s.of(3), bid(1, 5, lteA)))
	s.statuses(mh.Accepted, 0)
	s.wantWays(Way{BID: 1, CareOf: lteA}, Way{BID: 2, CareOf: wimaxA})
}

var lteA = netip.MustParseAddr("2001:db8:400::a")

func TestAnUpdateWithoutABIDReplacesAllAndOneWithNeedsToOverwriteThat(t *testing.T) { // RFC 5648, section 6.2
	s := tell(t, with(several))
	s.send(overwriting(at(s.of(1), bid(1, 1, wlanA), bid(2, 2, wimaxA), flow(1, 10, 17, 2))))
	s.statuses(mh.Accepted, 0, 0)
	s.now = s.now.Add(time.Second)
	s.send(s.of(2))
	s.statuses(mh.Accepted)
	if got := outputs[SetTunnel](s); len(got) != 1 || got[0].CareOf != s.of(2).src {
		t.Fatalf("tunnels %+v", got)
	}
	if e := s.entry(homeA); e.CareOfs != nil || e.Flows != nil {
		t.Errorf("entry %+v", e)
	}
	s.now = s.now.Add(time.Second)
	s.send(at(s.of(3), bid(1, 1, wlanA)))
	s.statuses(mh.MCoANonMCoABindingExists, 0)
	if len(outputs[SetWays](s))+len(outputs[SetTunnel](s)) != 0 {
		t.Error("a refused update has changed the tunnel")
	}
	s.now = s.now.Add(time.Second)
	s.send(overwriting(at(s.of(4), bid(1, 1, wlanA))))
	s.statuses(mh.Accepted, 0)
	s.wantWays(Way{BID: 1, CareOf: wlanA})

	// O replaces those with BIDs too.
	s.now = s.now.Add(time.Second)
	s.send(overwriting(at(s.of(5), bid(7, 1, wimaxA))))
	s.wantWays(Way{BID: 7, CareOf: wimaxA})
}

func TestWhatEachBadBIDIsTold(t *testing.T) { // RFC 5648, sections 4.3, 4.4 and 6.2
	home := bid(3, 1, homeA)
	home.Home = true
	for name, c := range map[string]struct {
		options []mh.Option
		want    mh.Status
		bids    []mh.Status
	}{
		"zero":                  {[]mh.Option{bid(0, 1, wlanA)}, mh.MCoAMalformed, []mh.Status{0}},
		"multicast":             {[]mh.Option{bid(1, 1, netip.MustParseAddr("ff02::1"))}, mh.MCoAMalformed, []mh.Status{0}},
		"no record":             {[]mh.Option{bid(1, 1, netip.Addr{})}, mh.MCoAUnknownCareOf, []mh.Status{0}},
		"at home too":           {[]mh.Option{home}, mh.MCoAHomeForeignProhibited, []mh.Status{0}},
		"home address":          {[]mh.Option{bid(1, 1, homeA)}, mh.InvalidCareOf, []mh.Status{0}},
		"home agent":            {[]mh.Option{bid(1, 1, homeAgent)}, mh.InvalidCareOf, []mh.Status{0}},
		"IPv4 in bulk":          {[]mh.Option{bid(1, 1, wlanA), bid(2, 1, careOf4)}, mh.MCoANotComplete, []mh.Status{0, mh.MCoABulkProhibited}},
		"twice":                 {[]mh.Option{bid(1, 1, wlanA), bid(1, 1, wimaxA)}, mh.MCoANotComplete, []mh.Status{0, mh.MCoAMalformed}},
		"one of two":            {[]mh.Option{home, bid(1, 1, wlanA)}, mh.MCoANotComplete, []mh.Status{mh.MCoAHomeForeignProhibited, 0}},
		"two, each for its own": {[]mh.Option{home, bid(1, 1, netip.Addr{})}, mh.MCoAHomeForeignProhibited, []mh.Status{mh.MCoAHomeForeignProhibited, mh.MCoAUnknownCareOf}},
		"no format": {[]mh.Option{bid(2, 1, wlanA), mh.RawOption{Kind: mh.OptionBindingIdentifier, Data: []byte{0, 1, 0, 0, 9}}},
			mh.MCoAMalformed, []mh.Status{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, with(several))
			s.send(overwriting(at(s.of(1), c.options...)))
			s.statuses(c.want, c.bids...)
			if bound := len(outputs[SetWays](s)) > 0; bound != c.want.Accepts() {
				t.Errorf("bound %v, status %v", bound, c.want)
			}
		})
	}
}

func TestWhereSeveralAreNotPermittedTheyAreRefused(t *testing.T) { // RFC 5648, section 4.4
	s := tell(t, configuration())
	s.send(overwriting(at(s.of(1), bid(1, 1, wlanA))))
	s.statuses(mh.MCoAProhibited, 0)
}

func TestOnlySoManyCareOfAddressesAreKept(t *testing.T) {
	s := tell(t, with(several))
	var all []mh.Option
	want := make([]mh.Status, mostBIDs)
	for i := range uint16(mostBIDs + 1) {
		all = append(all, bid(i+1, 1, wlanA))
	}
	s.send(overwriting(at(s.of(1), all...)))
	s.statuses(mh.MCoANotComplete, append(want, mh.InsufficientResources)...)
	if e := s.entry(homeA); len(e.CareOfs) != mostBIDs {
		t.Errorf("%d are kept", len(e.CareOfs))
	}
}

func TestABIDIsDeregisteredAloneAndItsFlowsGoInactive(t *testing.T) { // RFC 5648, section 5.4; RFC 6089, sections 4.3 and 5.3.3
	s := tell(t, with(several))
	s.send(overwriting(at(s.of(1), bid(1, 1, wlanA), bid(2, 2, wimaxA), flow(1, 10, 17, 1), flow(2, 20, 6, 2))))
	s.statuses(mh.Accepted, 0, 0)
	s.now = s.now.Add(time.Second)
	s.send(lasting(at(s.of(2), bid(2, 2, netip.Addr{}), mh.FlowSummary{FIDs: []uint16{1, 2}}), 0))
	s.statuses(mh.Accepted, 0)
	s.wantWays(Way{BID: 1, CareOf: wlanA})
	e := s.entry(homeA)
	if e.State != "bound" || len(e.Flows) != 2 || !e.Flows[0].Active || e.Flows[1].Active {
		t.Fatalf("entry %+v", e)
	}

	// What is not bound cannot be de-registered: status 133.
	s.now = s.now.Add(time.Second)
	s.send(lasting(at(s.of(3), bid(2, 2, netip.Addr{}), mh.FlowSummary{FIDs: []uint16{1, 2}}), 0))
	s.statuses(mh.NotHomeAgent, 0)

	// The last takes the binding with it.
	s.now = s.now.Add(time.Second)
	s.send(lasting(at(s.of(4), bid(1, 1, netip.Addr{})), 0))
	s.statuses(mh.Accepted, 0)
	if got := outputs[ClearTunnel](s); len(got) != 1 {
		t.Errorf("cleared %+v", got)
	}
}

func TestALifetimeEndsForEachBIDByItself(t *testing.T) {
	s := tell(t, with(several))
	s.send(overwriting(lasting(at(s.of(1), bid(1, 1, wlanA), bid(2, 2, wimaxA)), time.Minute)))
	s.pass(30 * time.Second)
	s.send(lasting(at(s.of(2), bid(2, 2, netip.Addr{})), time.Minute))
	s.statuses(mh.Accepted, 0)
	s.pass(30 * time.Second)
	s.wantWays(Way{BID: 2, CareOf: wimaxA})
	s.pass(30 * time.Second)
	if got := outputs[ClearTunnel](s); len(got) != 1 {
		t.Errorf("cleared %+v", got)
	}
}

func TestAFlowMovesAloneByItsReference(t *testing.T) { // RFC 6089, sections 5.3.2.2 and 5.3.5
	s := tell(t, with(several))
	s.send(overwriting(at(s.of(1), bid(1, 1, wlanA), bid(2, 2, wimaxA), flow(1, 10, 17, 1), flow(2, 20, 6, 2))))
	s.now = s.now.Add(time.Second)
	s.send(at(s.of(2), bid(1, 1, netip.Addr{}), bid(2, 2, netip.Addr{}), flow(1, 10, 0, 2), mh.FlowSummary{FIDs: []uint16{2}}))
	ba := s.statuses(mh.Accepted, 0, 0)
	if f, ok := mh.Find[mh.FlowIdentification](ba.Options); !ok || f.FID != 1 || f.Status != mh.FlowBound {
		t.Fatalf("answer %+v", f)
	}
	got := s.wantWays(Way{BID: 1, CareOf: wlanA}, Way{BID: 2, CareOf: wimaxA})
	list := flows.Of(got.Flows)
	packet := &flows.Packet{Source: wimaxA, Destination: homeA, Protocol: 17}
	if to := list.Route(packet, func(uint16) bool { return true }); !slices.Equal(to, []uint16{2}) {
		t.Errorf("voice goes to %v", to)
	}

	// One to a BID that is not there is refused, and stays as it was.
	s.now = s.now.Add(time.Second)
	s.send(at(s.of(3), bid(1, 1, netip.Addr{}), flow(1, 10, 0, 9), mh.FlowSummary{FIDs: []uint16{2, 77}}))
	ba = s.statuses(mh.Accepted, 0)
	var told []mh.FlowStatus
	for _, o := range ba.Options {
		if f, ok := o.(mh.FlowIdentification); ok {
			told = append(told, f.Status)
		}
	}
	if !slices.Equal(told, []mh.FlowStatus{mh.FlowBIDNotFound, mh.FlowFIDNotFound}) || len(s.entry(homeA).Flows) != 2 {
		t.Errorf("told %v, flows %+v", told, s.entry(homeA).Flows)
	}
}

func TestAnIPv4CareOfAddressIsBoundAloneBesideAnIPv6One(t *testing.T) { // RFC 5648, section 8.1
	s := tell(t, with(dual, several))
	s.send(overwriting(at(s.of(1), bid(1, 1, wlanA))))
	s.statuses(mh.Accepted, 0)
	s.now = s.now.Add(time.Second)
	a := over(at(s.of(2), bid(2, 2, private)), netip.Addr{})
	a.proven = private
	s.sendOver(a, byNAT)
	ba := s.statuses(mh.Accepted, 0)
	if n, ok := mh.Find[mh.NATDetection](ba.Options); !ok || n.Refresh == mh.NoKeepalives {
		t.Errorf("NAT detection %+v", n)
	}
	s.wantWays(Way{BID: 1, CareOf: wlanA}, Way{BID: 2, CareOf: byNAT.Addr(), Port: byNAT.Port()})
}

func TestAPacketMayComeFromEachOfTheCareOfAddresses(t *testing.T) { // RFC 5648, section 6.5
	s := tell(t, with(several))
	s.send(overwriting(at(s.of(1), bid(1, 1, wlanA), bid(2, 2, wimaxA))))
	b := s.m.bindings[homeA]
	if !b.has(wlanA) || !b.has(wimaxA) || b.has(lteA) {
		t.Error("the care-of addresses are not those that are bound")
	}
}

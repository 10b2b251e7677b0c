package mn

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/flows"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// everywhere is config, with all accesses in use at once: voice prefers WLAN, files
// prefer WiMAX.
func everywhere() *control.Config {
	c := config()
	c.MobileNode.AllAccesses = true
	c.MobileNode.Flows = []control.FlowBinding{
		{Name: "voice", Protocol: ipv6.UDP, Ports: control.Ports{First: 5000, Last: 5099}, To: []string{"wlan", "wimax"}},
		{Name: "files", Protocol: ipv6.TCP, To: []string{"wimax", "wlan"}},
	}
	return c
}

// said is what a Binding Update says of several care-of addresses, in words: "O"
// where it overwrites, each BID with its address where it has that, each flow with
// what it binds it to, and those that it only refreshes.
func said(u sent) string {
	var words []string
	if u.Flags&mh.Overwrite != 0 {
		words = append(words, "O")
	}
	if u.Lifetime == 0 {
		words = append(words, "removes")
	}
	for _, o := range u.Options {
		switch o := o.(type) {
		case mh.AlternateCareOf, mh.IPv4CareOf:
			words = append(words, "care-of option")
		case mh.BindingIdentifier:
			w := fmt.Sprintf("bid %d", o.BID)
			if o.CareOf.IsValid() {
				w += "=" + o.CareOf.String()
			}
			if o.Priority == 0 { // RFC 6089, section 5.2.1
				w += " without a priority"
			}
			words = append(words, w)
		case mh.FlowIdentification:
			w := fmt.Sprintf("flow %d", o.FID)
			for _, s := range o.SubOptions {
				switch s := s.(type) {
				case mh.TrafficSelector:
					w += " whole"
				case mh.BindingReference:
					w += fmt.Sprint(" to ", s.BIDs)
				}
			}
			words = append(words, w)
		case mh.FlowSummary:
			words = append(words, fmt.Sprint("keeps ", o.FIDs))
		}
	}
	return strings.Join(words, ", ")
}

func (s *story) says(want string) {
	s.t.Helper()
	if got := said(s.last()); got != want {
		s.t.Fatalf("the Binding Update says %q, want %q", got, want)
	}
}

// agrees answers the last Binding Update as a home agent that does all it asks for:
// a copy of each option, with a status of its own for some BIDs and flows.
func (s *story) agrees(status mh.Status, bids map[uint16]mh.Status, flows map[uint16]mh.FlowStatus) []Output {
	s.t.Helper()
	u := s.last()
	return s.answer(status, func(a *answer) {
		for _, o := range u.Options {
			switch o := o.(type) {
			case mh.BindingIdentifier:
				o.CareOf, o.Status = netip.Addr{}, bids[o.BID]
				a.ba.Options = append(a.ba.Options, o)
			case mh.FlowIdentification:
				o.Status = flows[o.FID]
				a.ba.Options = append(a.ba.Options, o)
			}
		}
	})
}

// wantWays wants the last step to have led packets so: in words, the BIDs in their
// order and the one that each flow goes by.
func (s *story) wantWays(want string) {
	s.t.Helper()
	var got []string
	for _, o := range s.out {
		if o, ok := o.(SetWays); ok {
			var w []string
			for _, way := range o.Ways {
				w = append(w, fmt.Sprint(way.BID))
			}
			for _, f := range o.Flows {
				w = append(w, fmt.Sprintf("flow %d %v", f.FID, f.BIDs))
			}
			got = append(got, strings.Join(w, ", "))
		}
	}
	if len(got) != 1 || got[0] != want {
		s.t.Fatalf("ways %q, want %q", got, want)
	}
}

// abroad is a story that has both accesses bound, voice on WLAN (BID 2) and files on
// WiMAX (BID 3).
func abroad(t *testing.T) *story {
	s := begin(t, everywhere())
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix)
	s.agrees(mh.Accepted, nil, nil)
	s.carrier("wimax", true)
	s.advertise("wimax", wimaxPrefix)
	s.agrees(mh.Accepted, nil, nil)
	return s
}

func TestAccessesAreBoundAsTheyComeAndFlowsGoToThePreferred(t *testing.T) { // RFC 5648, sections 5.1 to 5.3 and 5.9
	s := begin(t, everywhere())
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix)
	s.says("O, bid 2=2001:db8:200::ff:fe00:2, flow 1 whole to [2], flow 2 whole to [2]")
	s.agrees(mh.Accepted, nil, nil)
	s.wantWays("2, flow 1 [2], flow 2 [2]")
	s.carrier("wimax", true)
	s.advertise("wimax", wimaxPrefix)
	s.says("bid 2, bid 3=2001:db8:300::ff:fe00:3, flow 2 to [3], keeps [1]")
	if u := s.last(); u.packet.Src != careOfWLAN {
		t.Errorf("it comes from %v", u.packet.Src)
	}
	s.agrees(mh.Accepted, nil, nil)
	s.wantWays("2, 3, flow 1 [2], flow 2 [3]")

	// A refresh repeats neither addresses nor flows.
	n := len(s.sent)
	s.until(45 * time.Second)
	if len(s.sent) != n+1 {
		t.Fatalf("%d Binding Updates, want a refresh", len(s.sent)-n)
	}
	s.says("bid 2, bid 3, keeps [1 2]")
}

func TestAFlowMovesAlone(t *testing.T) { // RFC 6089, section 5.2.2.2
	s := abroad(t)
	s.step(FlowMoved{Flow: "voice", Link: "wimax"})
	s.says("bid 2, bid 3, flow 1 to [3], keeps [2]")
	if slices.ContainsFunc(s.out, func(o Output) bool { _, ok := o.(SetWays); return ok }) {
		t.Error("it is sent another way before the home agent has it there")
	}
	s.agrees(mh.Accepted, nil, nil)
	s.wantWays("2, 3, flow 1 [3], flow 2 [3]")

	// To where it is already nothing need be said.
	n := len(s.sent)
	s.step(FlowMoved{Flow: "files", Link: "wimax"})
	if len(s.sent) != n {
		t.Error("a Binding Update that changes nothing")
	}
}

func TestAnAccessThatIsLostIsDeregisteredAndItsFlowsGoByWhatRemains(t *testing.T) { // RFC 5648, section 5.4; RFC 6089, sections 4.3 and 5.3.3
	s := abroad(t)
	s.until(2 * time.Second)
	s.carrier("wimax", false)
	s.wantWays("2, flow 1 [2], flow 2 [2]")
	s.says("removes, bid 3, flow 2 to [2], keeps [1]")
	s.agrees(mh.Accepted, nil, nil)
	if !s.m.registration.bound || s.m.registration.refreshAt.IsZero() {
		t.Fatal("the other binding is not kept")
	}
	// It comes back, and its flow with it.
	s.carrier("wimax", true)
	s.advertise("wimax", wimaxPrefix)
	s.says("bid 2, bid 3=2001:db8:300::ff:fe00:3, flow 2 to [3], keeps [1]")
}

func TestTheAccessThatUpdatesComeFromIsLost(t *testing.T) {
	s := abroad(t)
	s.until(2 * time.Second)
	s.carrier("wlan", false)
	s.wantWays("3, flow 1 [3], flow 2 [3]")
	s.says("removes, bid 2, flow 1 to [3], keeps [2]")
	if u := s.last(); u.packet.Src != careOfWiMAX {
		t.Errorf("it comes from %v", u.packet.Src)
	}
	s.agrees(mh.Accepted, nil, nil)

	// The home agent has let go of it by itself: status 133 is as good.
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix)
	s.agrees(mh.Accepted, nil, nil)
	s.until(5 * time.Second)
	s.carrier("wlan", false)
	s.agrees(mh.MCoANotComplete, map[uint16]mh.Status{2: mh.NotHomeAgent}, nil)
	if c := s.m.multi.of(2); c.bound.IsValid() {
		t.Error("a binding is thought of that the home agent does not have")
	}
}

func TestAtHomeAllBindingsAreDeregisteredAtOnce(t *testing.T) { // RFC 5648, section 5.5.1
	s := abroad(t)
	s.until(2 * time.Second)
	s.carrier("lte", true)
	s.advertise("lte", homePrefix)
	for s.last().Lifetime != 0 {
		s.until(s.m.Deadline().Sub(start))
	}
	s.says("removes, care-of option")
	s.answer(mh.Accepted)
	if s.m.registration.bound || s.m.tunnel.Local.IsValid() {
		t.Error("something is bound, or tunnelled")
	}
	// Away again, while WLAN and WiMAX are there.
	s.until(10 * time.Second)
	s.carrier("lte", false)
	s.says("O, bid 2=2001:db8:200::ff:fe00:2, bid 3=2001:db8:300::ff:fe00:3, flow 1 whole to [2], flow 2 whole to [3]")
	s.agrees(mh.Accepted, nil, nil)
	s.wantWays("2, 3, flow 1 [2], flow 2 [3]")
}

func TestAHomeAgentThatHasNoneOfItGetsASingleBinding(t *testing.T) { // RFC 5648, section 5.7
	for name, answer := range map[string]func(*story){
		"prohibited":   func(s *story) { s.agrees(mh.MCoAProhibited, nil, nil) },
		"not known of": func(s *story) { s.answer(mh.Accepted) },
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, everywhere())
			s.carrier("wlan", true)
			s.advertise("wlan", wlanPrefix)
			answer(s)
			if name == "prohibited" {
				s.says("care-of option")
				s.answer(mh.Accepted)
			}
			if s.m.tunnel.Local != careOfWLAN || !s.m.registration.bound {
				t.Fatalf("tunnel %+v", s.m.tunnel)
			}
			s.until(5 * time.Second)
			s.carrier("wimax", true)
			s.advertise("wimax", wimaxPrefix)
			s.says("care-of option")
			if u := s.last(); u.packet.Src != careOfWiMAX {
				t.Errorf("it comes from %v, want the newest", u.packet.Src)
			}
		})
	}
}

func TestWhatIsDoneOnEachStatusOfSeveralCareOfAddresses(t *testing.T) { // RFC 5648, section 5.7
	all := "O, bid 2=2001:db8:200::ff:fe00:2, bid 3=2001:db8:300::ff:fe00:3, flow 1 whole to [2], flow 2 whole to [3]"
	for name, c := range map[string]struct {
		status mh.Status
		bids   map[uint16]mh.Status
		want   string // of the Binding Update after it; empty: none comes
	}{
		"a regular binding exists": {mh.MCoANonMCoABindingExists, nil, all},
		"nothing is known":         {mh.MCoAUnknownCareOf, nil, all},
		"one is not known":         {mh.MCoANotComplete, map[uint16]mh.Status{3: mh.MCoAUnknownCareOf}, "bid 2, bid 3=2001:db8:300::ff:fe00:3, keeps [1 2]"},
		"one is refused":           {mh.MCoANotComplete, map[uint16]mh.Status{3: mh.InvalidCareOf}, "bid 2, flow 2 to [2], keeps [1]"},
		"no bulk":                  {mh.MCoABulkProhibited, nil, "bid 2, keeps [1 2]"},
		"malformed":                {mh.MCoAMalformed, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := abroad(t)
			s.until(46 * time.Second) // a refresh
			s.says("bid 2, bid 3, keeps [1 2]")
			n := len(s.sent)
			s.agrees(c.status, c.bids, nil)
			if c.want == "" {
				if len(s.sent) != n {
					t.Fatalf("the Binding Update says %q, want none", said(s.last()))
				}
				return
			}
			if len(s.sent) != n+1 {
				t.Fatalf("%d Binding Updates", len(s.sent)-n)
			}
			s.says(c.want)
		})
	}
}

func TestOneAtATimeWhereNoBulkRegistrationIsTaken(t *testing.T) { // RFC 5648, section 5.7
	s := begin(t, everywhere())
	s.carrier("wlan", true)
	s.carrier("wimax", true)
	s.advertise("wlan", wlanPrefix)
	s.advertise("wimax", wimaxPrefix)
	s.agrees(mh.MCoABulkProhibited, nil, nil)
	s.until(time.Second)
	s.says("O, bid 2=2001:db8:200::ff:fe00:2, flow 1 whole to [2], flow 2 whole to [2]")
	s.agrees(mh.Accepted, nil, nil)
	s.until(2 * time.Second)
	s.says("bid 3=2001:db8:300::ff:fe00:3, flow 2 to [3], keeps [1]")
	s.agrees(mh.Accepted, nil, nil)
	s.wantWays("2, 3, flow 1 [2], flow 2 [3]")
	n := len(s.sent)
	s.until(46 * time.Second)
	if len(s.sent) == n {
		t.Fatal("nothing is refreshed")
	}
	s.says("bid 2, keeps [1 2]")
}

func TestAFlowThatIsRefusedIsNotAskedForAgain(t *testing.T) { // RFC 6089, section 5.2.6
	s := begin(t, everywhere())
	s.carrier("wlan", true)
	s.advertise("wlan", wlanPrefix)
	s.agrees(mh.Accepted, nil, map[uint16]mh.FlowStatus{1: mh.FlowProhibited})
	s.until(46 * time.Second)
	s.says("bid 2, keeps [2]")

	// One that the home agent does not know any more goes whole.
	s.answer(mh.Accepted, func(a *answer) {
		a.ba.Options = append(a.ba.Options, mh.BindingIdentifier{BID: 2}, mh.FlowIdentification{FID: 2, Status: mh.FlowFIDNotFound})
	})
	s.says("bid 2, flow 2 whole to [2]")
}

func TestAHomeAgentThatHasLostItsBindingsIsToldAllOfThem(t *testing.T) { // RFC 5648, section 5.9
	s := abroad(t)
	s.until(5 * time.Second)
	header, err := mh.Append(nil, &mh.BindingError{Status: mh.UnknownBinding, HomeAddress: homeAddress}, homeAgent, careOfWLAN)
	if err != nil {
		t.Fatal(err)
	}
	octets, err := ipv6.Append(nil, &ipv6.Packet{Src: homeAgent, Dst: careOfWLAN, HopLimit: 64, Next: ipv6.Mobility, Payload: header})
	if err != nil {
		t.Fatal(err)
	}
	s.step(Received{Dev: "wlan", Octets: octets})
	s.says("O, bid 2=2001:db8:200::ff:fe00:2, bid 3=2001:db8:300::ff:fe00:3, flow 1 whole to [2], flow 2 whole to [3]")
}

func TestAnAddressThatChangesIsBoundAnewUnderItsBID(t *testing.T) { // RFC 5648, section 2
	s := abroad(t)
	s.until(2 * time.Second)
	s.step(AddressChanged{Dev: "wimax", Address: careOfWiMAX, State: Duplicate})
	u := s.last()
	o, _ := mh.Find[mh.BindingIdentifier](u.Options)
	for u.Lifetime == 0 || !o.CareOf.IsValid() && len(u.Options) == 0 {
		s.agrees(mh.Accepted, nil, nil)
		u = s.last()
	}
	for _, opt := range u.Options {
		if b, ok := opt.(mh.BindingIdentifier); ok && b.BID == 3 && (!b.CareOf.IsValid() || b.CareOf == careOfWiMAX) {
			t.Errorf("BID 3 is told with %v", b.CareOf)
		}
	}
}

func TestADeregistrationEndsAllAtOnceAndIsNotTakenBackByAnAccess(t *testing.T) { // RFC 5648, section 5.4
	s := abroad(t)
	s.until(2 * time.Second)
	out, err := s.m.Deregister(s.now)
	if err != nil {
		t.Fatal(err)
	}
	s.take(out)
	s.says("removes, care-of option")
	s.answer(mh.Accepted)
	n := len(s.sent)
	s.until(5 * time.Second)
	s.carrier("wimax", false)
	s.carrier("wimax", true)
	s.advertise("wimax", wimaxPrefix)
	if len(s.sent) != n {
		t.Fatalf("it says %q though it is de-registered", said(s.last()))
	}
	if out, err = s.m.Register(s.now); err != nil {
		t.Fatal(err)
	}
	s.take(out)
	s.says("O, bid 2=2001:db8:200::ff:fe00:2, bid 3=2001:db8:300::ff:fe00:3, flow 1 whole to [2], flow 2 whole to [3]")
}

// A holder is what a home agent holds of a mobile node, by RFC 5648, section 6.2.
type holder struct {
	bids    map[uint16]netip.Addr
	regular bool // one binding without a BID
	flows   flows.List
}

// take takes a Binding Update, and gives the status and the options to answer with.
func (h *holder) take(u sent) (status mh.Status, options []mh.Option) {
	var bids []mh.BindingIdentifier
	for _, o := range u.Options {
		if o, ok := o.(mh.BindingIdentifier); ok {
			bids = append(bids, o)
		}
	}
	switch {
	case len(bids) == 0:
		*h = holder{regular: u.Lifetime > 0}
		return mh.Accepted, nil
	case h.regular && u.Lifetime > 0 && u.Flags&mh.Overwrite == 0:
		status = mh.MCoANonMCoABindingExists
	case u.Flags&mh.Overwrite != 0 && u.Lifetime > 0:
		*h = holder{}
	}
	if h.bids == nil {
		h.bids = map[uint16]netip.Addr{}
	}
	failed := 0
	for _, o := range bids {
		_, known := h.bids[o.BID]
		switch {
		case !status.Accepts():
		case u.Lifetime == 0 && !known:
			o.Status = mh.NotHomeAgent
		case u.Lifetime == 0:
			delete(h.bids, o.BID)
		case o.CareOf.IsValid():
			h.bids[o.BID] = o.CareOf
		case !known:
			o.Status = mh.MCoAUnknownCareOf
		}
		if o.Status != 0 {
			failed++
		}
		o.CareOf = netip.Addr{}
		options = append(options, o)
	}
	switch {
	case !status.Accepts():
		return status, options
	case failed == len(bids):
		return options[0].(mh.BindingIdentifier).Status, options
	case failed > 0:
		status = mh.MCoANotComplete
	}
	if len(h.bids) == 0 {
		h.flows.Clear()
	}
	return status, append(options, h.flows.Update(u.Options, func(bid uint16) bool { _, ok := h.bids[bid]; return ok })...)
}

// However accesses come and go, messages are lost and home agents forget, both ends
// come to hold the same: each access that is there, and each flow at the first of
// them that it prefers.
func TestBothEndsComeToHoldTheSame(t *testing.T) {
	links := []struct {
		dev    string
		prefix netip.Prefix
	}{{"wlan", wlanPrefix}, {"wimax", wimaxPrefix}, {"lte", homePrefix}}
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 5648))
		s, agent := begin(t, everywhere()), &holder{}
		answered := 0
		// hear lets the home agent answer what was sent, of which some is lost.
		hear := func(lost float64) {
			for answered < len(s.sent) {
				u := s.sent[answered]
				answered++
				if random.Float64() < lost {
					continue
				}
				status, options := agent.take(u)
				if random.Float64() < lost {
					continue
				}
				s.answerTo(u, status, func(a *answer) { a.ba.Options = append(a.ba.Options, options...) })
			}
		}
		at := time.Duration(0)
		for range 30 {
			at += time.Duration(random.IntN(3000)) * time.Millisecond
			s.until(at)
			hear(0.3)
			switch x := random.IntN(12); {
			case x < 8:
				l := links[random.IntN(2+x/7)]
				up := !s.m.access(l.dev).carrier
				if s.carrier(l.dev, up); up {
					s.advertise(l.dev, l.prefix)
				}
			case x < 11:
				s.step(FlowMoved{Flow: []string{"voice", "files"}[random.IntN(2)], Link: links[random.IntN(2)].dev})
			default:
				*agent = holder{}
			}
			for _, o := range s.m.multi.ways.Ways {
				if b := s.m.multi.of(o.BID); b == nil || b.access.address.prefix.Addr() != o.Local {
					t.Fatalf("seed %d: it sends from %v, which it does not have", seed, o.Local)
				}
			}
			hear(0.3)
		}
		s.carrier("lte", false)
		for range 200 { // of which nothing is lost any more
			hear(0)
			at += time.Second
			s.until(at)
		}
		hear(0)
		want := map[uint16]netip.Addr{}
		for _, b := range s.m.multi.bindings {
			if b.wanted.IsValid() {
				want[b.bid] = b.wanted
			}
		}
		if len(want) == 0 {
			continue // nobody can be told
		}
		if fmt.Sprint(agent.bids) != fmt.Sprint(want) || len(s.m.multi.ways.Ways) != len(want) {
			t.Fatalf("seed %d: the home agent holds %v, want %v; the mobile node sends by %v", seed, agent.bids, want, s.m.multi.ways.Ways)
		}
		for i, f := range s.m.multi.flows {
			to := f.target((*careOfBinding).carries)
			if e := agent.flows.Entries(); len(e) != len(s.m.multi.flows) || !slices.Equal(e[i].BIDs, []uint16{to.bid}) {
				t.Fatalf("seed %d: the home agent has the flows at %+v, want %s at %d", seed, e, f.name, to.bid)
			}
		}
	}
}

package icmp6

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"s2clab/nodes/wire/wiretest"
)

var (
	home   = netip.MustParseAddr("2001:db8:100::10")
	agent  = netip.MustParseAddr("2001:db8:100::1")
	careOf = netip.MustParseAddr("2001:db8:200::99")
	router = netip.MustParseAddr("fe80::1")
	first  = []byte{0x60, 0, 0, 0, 0, 0, 0x3b, 0x40}
)

func mac(last byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, last} }

const day = 24 * time.Hour

// What the golden octets mean.
var golden = map[string]Message{
	"Destination Unreachable, no route": &DestinationUnreachable{Invoking: first},
	"Destination Unreachable, port":     &DestinationUnreachable{Code: 4},
	"Packet Too Big":                    &PacketTooBig{MTU: 1280},
	"Time Exceeded in reassembly":       &TimeExceeded{Code: 1},
	"Parameter Problem, unknown option": &ParameterProblem{Code: 2, Pointer: 42},
	"Echo Request":                      &EchoRequest{Identifier: 0x1234, Seq: 1, Payload: []byte("hello")},
	"Echo Reply":                        &EchoReply{Identifier: 0x1234, Seq: 1, Payload: []byte("hello")},

	"Router Solicitation":                    &RouterSolicitation{Options: []Option{SourceLinkAddress{mac(1)}}},
	"Router Solicitation without an address": &RouterSolicitation{},
	"Router Advertisement of a home agent": &RouterAdvertisement{
		HopLimit: 64, Flags: ManagedAddresses | OtherConfig | HomeAgent, Lifetime: 30 * time.Minute,
		Reachable: 30 * time.Second, Retrans: time.Second,
		Options: []Option{
			SourceLinkAddress{mac(2)},
			MTU{1500},
			PrefixInformation{Prefix: netip.PrefixFrom(agent, 64), OnLink: true, Autonomous: true, RouterAddress: true,
				Valid: 30 * day, Preferred: 7 * day},
			AdvertisementInterval{70 * time.Millisecond},
			HomeAgentInformation{Preference: 10, Lifetime: 30 * time.Minute},
		}},
	"Router Advertisement that ends a router": &RouterAdvertisement{},
	"Router Advertisement with an endless prefix, a DNS server and an option that is too short": &RouterAdvertisement{
		HopLimit: 64, Flags: 0x18, Lifetime: 65535 * time.Second,
		Options: []Option{
			PrefixInformation{Prefix: netip.MustParsePrefix("2001:db8:200::/48"), Autonomous: true, Valid: Infinity, Preferred: Infinity},
			RecursiveDNS{Lifetime: time.Hour, Servers: []netip.Addr{netip.MustParseAddr("2001:db8::53")}},
			RawOption{Kind: 3, Data: []byte{0x40, 0x40, 0, 0, 0, 0}},
		}},
	"Neighbor Solicitation": &NeighborSolicitation{Target: careOf, Options: []Option{SourceLinkAddress{mac(1)}}},
	"Neighbor Advertisement for an absent mobile": &NeighborAdvertisement{Override: true, Target: home,
		Options: []Option{TargetLinkAddress{mac(2)}}},
	"Neighbor Advertisement of a router that was asked": &NeighborAdvertisement{Router: true, Solicited: true, Target: router},
	"Redirect": &Redirect{Target: netip.MustParseAddr("fe80::2"), Destination: netip.MustParseAddr("2001:db8:300::1"),
		Options: []Option{TargetLinkAddress{mac(3)}, RedirectedHeader{first}}},

	"Home Agent Address Discovery Request":                  &HomeAgentRequest{Identifier: 7},
	"Home Agent Address Discovery Reply":                    &HomeAgentReply{Identifier: 7, Addresses: []netip.Addr{agent, agent.Next()}},
	"Home Agent Address Discovery Reply without an address": &HomeAgentReply{Identifier: 7},
	"Mobile Prefix Solicitation":                            &MobilePrefixSolicitation{Identifier: 8},
	"Mobile Prefix Advertisement": &MobilePrefixAdvertisement{Identifier: 8, Managed: true, Other: true,
		Options: []Option{PrefixInformation{Prefix: netip.PrefixFrom(agent, 64), Autonomous: true, RouterAddress: true,
			Valid: 30 * day, Preferred: 7 * day}}},
	"Message of another type": &Unknown{Kind: 143, Body: []byte{0, 0, 0, 1, 4, 0, 0, 0,
		0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0x99}},
}

var compare = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func TestGoldenOctetsParseToWhatTheyMean(t *testing.T) {
	met := map[string]bool{}
	for _, s := range wiretest.Golden(t) {
		met[s.Name] = true
		want, ok := golden[s.Name]
		if !ok {
			t.Errorf("%q: the test does not say what it means", s.Name)
			continue
		}
		got, err := Parse(s.Octets)
		if err != nil {
			t.Errorf("%q: %v", s.Name, err)
		} else if d := cmp.Diff(want, got, compare); d != "" {
			t.Errorf("%q: -want +got\n%s", s.Name, d)
		}
	}
	for name := range golden {
		if !met[name] {
			t.Errorf("%q: no golden octets", name)
		}
	}
}

func TestWhatGoldenOctetsMeanAppendsToThem(t *testing.T) {
	for _, s := range wiretest.Golden(t) {
		got, err := Append([]byte("before"), golden[s.Name], router, home)
		if err != nil {
			t.Errorf("%q: %v", s.Name, err)
			continue
		}
		got = got[6:]
		if !ChecksumOK(got, router, home) || ChecksumOK(got, agent, home) {
			t.Errorf("%q: checksum is wrong", s.Name)
		}
		got[2], got[3] = 0, 0 // the golden octets have none
		if !bytes.Equal(got, s.Octets) {
			t.Errorf("%q:\ngot  %x\nwant %x", s.Name, got, s.Octets)
		}
	}
}

func TestAParsedMessageSharesNoMemory(t *testing.T) {
	for _, s := range wiretest.Golden(t) {
		b := bytes.Clone(s.Octets)
		m, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			b[i] = 0xff
		}
		if d := cmp.Diff(golden[s.Name], m, compare); d != "" {
			t.Errorf("%q changed with the octets it was parsed from\n%s", s.Name, d)
		}
	}
}

func TestParseRefusesBrokenMessages(t *testing.T) {
	for what, octets := range map[string]string{
		"nothing":                          "",
		"a part of a header":               "\x80\x00\x00",
		"an echo without a number":         "\x80\x00\x00\x00\x12\x34\x00",
		"an advertisement without timers":  "\x86\x00\x00\x00\x40\x00\x07\x08\x00\x00\x00\x00\x00\x00\x00",
		"an advertisement with a code":     "\x86\x01\x00\x00\x40\x00\x07\x08\x00\x00\x00\x00\x00\x00\x00\x00",
		"a solicitation without a target":  "\x87\x00\x00\x00\x00\x00\x00\x00",
		"an option of length 0":            "\x85\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00",
		"an option past the end":           "\x85\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x00\x00",
		"half an option":                   "\x85\x00\x00\x00\x00\x00\x00\x00\x01",
		"half an address of a home agent":  "\x91\x00\x00\x00\x00\x07\x00\x00\x20\x01\x0d\xb8\x01\x00\x00\x00",
		"a prefix discovery with a broken": "\x93\x00\x00\x00\x00\x07\x00\x00\x03",
	} {
		if m, err := Parse([]byte(octets)); !errors.Is(err, ErrMalformed) || m != nil {
			t.Errorf("%s: %v, %v", what, m, err)
		}
	}
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	with := func(o Option) Message { return &RouterAdvertisement{Options: []Option{o}} }
	for what, m := range map[string]Message{
		"a lifetime of 2^16 s":           &RouterAdvertisement{Lifetime: 65536 * time.Second},
		"a part of a second":             &RouterAdvertisement{Lifetime: time.Millisecond},
		"a part of a millisecond":        &RouterAdvertisement{Retrans: time.Microsecond},
		"a time below 0":                 &RouterAdvertisement{Reachable: -time.Second},
		"no target":                      &NeighborSolicitation{},
		"an IPv4 target":                 &NeighborAdvertisement{Target: netip.MustParseAddr("192.0.2.1")},
		"a target with a zone":           &NeighborSolicitation{Target: netip.MustParseAddr("fe80::1%eth0")},
		"a link-layer address of 5":      with(SourceLinkAddress{mac(1)[:5]}),
		"an option of 255 units and one": with(RawOption{Kind: 99, Data: make([]byte, 256*8-2)}),
		"no prefix":                      with(PrefixInformation{}),
		"an IPv4 prefix":                 with(PrefixInformation{Prefix: netip.MustParsePrefix("192.0.2.0/24")}),
		"more than for ever":             with(PrefixInformation{Prefix: netip.MustParsePrefix("::/0"), Valid: Infinity + time.Second}),
		"a header of 7 octets":           with(RedirectedHeader{first[:7]}),
		"no DNS server":                  with(RecursiveDNS{}),
		"an IPv4 DNS server":             with(RecursiveDNS{Servers: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}),
		"too much of a packet":           &TimeExceeded{Invoking: make([]byte, MaxInvoking+1)},
	} {
		if b, err := Append(nil, m, router, home); err == nil {
			t.Errorf("%s: appended as %x", what, b)
		}
	}
	for what, m := range map[string]Message{
		"an option of 255 units":     with(RawOption{Kind: 99, Data: make([]byte, 255*8-2)}),
		"all that fits of a packet":  &TimeExceeded{Invoking: make([]byte, MaxInvoking)},
		"a link-layer address of 14": with(SourceLinkAddress{make([]byte, 14)}),
	} {
		b, err := Append(nil, m, router, home)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if got, err := Parse(b); err != nil || !cmp.Equal(m, got, compare) {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
}

func TestDiscoveryIsHeardFromNeighboursOnly(t *testing.T) {
	none, all := netip.IPv6Unspecified(), netip.IPv6LinkLocalAllNodes()
	link := []Option{SourceLinkAddress{mac(1)}}
	group := SolicitedNode(careOf)
	if want := netip.MustParseAddr("ff02::1:ff00:99"); group != want {
		t.Fatalf("solicited-node group %v, want %v", group, want)
	}
	for _, c := range []struct {
		rule     string
		m        Message
		src, dst netip.Addr
		hops     uint8
		ok       bool
	}{
		{"a router advertises itself from its link", &RouterAdvertisement{}, router, all, 255, true},
		{"nothing was forwarded", &RouterAdvertisement{}, router, all, 254, false},
		{"a router uses a link-local address", &RouterAdvertisement{}, agent, all, 255, false},
		{"a solicitation may come from nowhere", &RouterSolicitation{}, none, all, 255, true},
		{"nowhere has no link-layer address", &RouterSolicitation{Options: link}, none, all, 255, false},
		{"detection of duplicates", &NeighborSolicitation{Target: careOf}, none, group, 255, true},
		{"detection of duplicates goes to the group", &NeighborSolicitation{Target: careOf}, none, careOf, 255, false},
		{"detection of duplicates has no link-layer address", &NeighborSolicitation{Target: careOf, Options: link}, none, group, 255, false},
		{"a neighbour asks for an address", &NeighborSolicitation{Target: careOf, Options: link}, router, careOf, 255, true},
		{"nobody asks for a group", &NeighborSolicitation{Target: all}, router, all, 255, false},
		{"a proxy speaks to all", &NeighborAdvertisement{Target: home, Override: true}, agent, all, 255, true},
		{"an answer goes to who asked", &NeighborAdvertisement{Target: home, Solicited: true}, agent, all, 255, false},
		{"nobody has a group", &NeighborAdvertisement{Target: all}, agent, careOf, 255, false},
		{"a redirect to a router", &Redirect{Target: router, Destination: agent}, router, careOf, 255, true},
		{"a redirect to the destination", &Redirect{Target: agent, Destination: agent}, router, careOf, 255, true},
		{"a redirect to something else", &Redirect{Target: home, Destination: agent}, router, careOf, 255, false},
		{"a redirect for a group", &Redirect{Target: router, Destination: all}, router, careOf, 255, false},
		{"a redirect from afar", &Redirect{Target: router, Destination: agent}, agent, careOf, 255, false},
		{"an echo comes from anywhere", &EchoRequest{}, agent, careOf, 3, true},
		{"prefix discovery comes from the home agent", &MobilePrefixAdvertisement{}, agent, careOf, 3, true},
	} {
		if err := Check(c.m, c.src, c.dst, c.hops); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.rule, err)
		}
	}
}

func TestOptionsAreFoundByType(t *testing.T) {
	ra := golden["Router Advertisement of a home agent"]
	if p, ok := Find[PrefixInformation](Options(ra)); !ok || p.Prefix.Addr() != agent {
		t.Errorf("%v, %v", p, ok)
	}
	if _, ok := Find[RedirectedHeader](Options(ra)); ok {
		t.Error("found what is not there")
	}
	if got := Options(&EchoRequest{}); got != nil {
		t.Errorf("options of an echo: %v", got)
	}
}

func TestNamesAreTheWordsOfJournals(t *testing.T) {
	for want, m := range map[string]Message{
		"icmp6-unreachable":                    &DestinationUnreachable{},
		"icmp6-packet-too-big":                 &PacketTooBig{},
		"icmp6-time-exceeded":                  &TimeExceeded{},
		"icmp6-parameter-problem":              &ParameterProblem{},
		"echo-request":                         &EchoRequest{},
		"echo-reply":                           &EchoReply{},
		"router-solicitation":                  &RouterSolicitation{},
		"router-advertisement":                 &RouterAdvertisement{},
		"neighbor-solicitation":                &NeighborSolicitation{},
		"neighbor-advertisement":               &NeighborAdvertisement{},
		"redirect":                             &Redirect{},
		"home-agent-address-discovery-request": &HomeAgentRequest{},
		"home-agent-address-discovery-reply":   &HomeAgentReply{},
		"mobile-prefix-solicitation":           &MobilePrefixSolicitation{},
		"mobile-prefix-advertisement":          &MobilePrefixAdvertisement{},
		"icmp6-200":                            &Unknown{Kind: 200},
	} {
		if got := m.Type().String(); got != want {
			t.Errorf("%T is named %s, want %s", m, got, want)
		}
	}
}

// No octets make Parse panic; what parses appends; what was appended parses to
// the same value.
func FuzzParse(f *testing.F) {
	wiretest.Seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		_ = ChecksumOK(b, router, home)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || m != nil {
				t.Errorf("%v, %v", m, err)
			}
			return
		}
		_ = Check(m, router, home, 255)
		again, err := Append(nil, m, router, home)
		if err != nil {
			if len(b) > MaxInvoking { // others may send more of a packet than they should
				return
			}
			t.Fatalf("%#v does not append: %v", m, err)
		}
		m2, err := Parse(again)
		if err != nil {
			t.Fatalf("%x does not parse: %v", again, err)
		}
		if d := cmp.Diff(m, m2, compare); d != "" {
			t.Errorf("-first +again\n%s", d)
		}
	})
}

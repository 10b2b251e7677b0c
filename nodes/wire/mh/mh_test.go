package mh

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheLargestHeaderAndOptionsComeThrough(t *testing.T) {
	u := &BindingUpdate{}
	for range 7 {
		u.Options = append(u.Options, RawOption{Kind: 200, Data: bytes.Repeat([]byte{7}, 255)})
	}
	u.Options = append(u.Options, RawOption{Kind: 201, Data: bytes.Repeat([]byte{8}, 2048-12-7*257-2)})
	b, err := Append(nil, u, home, agent)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != 2048 || b[1] != 255 {
		t.Fatalf("%d octets, length field %d; want 2048, 255", len(b), b[1])
	}
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(m.(*BindingUpdate).Options); got != 8 {
		t.Fatalf("%d options, want 8", got)
	}
	u.Options = append(u.Options, RawOption{Kind: 202})
	if _, err := Append(nil, u, home, agent); err == nil {
		t.Error("a header of 2050 octets was appended")
	}
	if _, err := Append(nil, &BindingUpdate{Options: []Option{RawOption{Kind: 200, Data: make([]byte, 256)}}}, home, agent); err == nil {
		t.Error("an option of 256 octets was appended")
	}
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	v4 := netip.MustParseAddr("192.0.2.1")
	with := func(o Option) Message { return &BindingUpdate{Options: []Option{o}} }
	for what, m := range map[string]Message{
		"a lifetime that is no multiple of 4 s": &BindingUpdate{Lifetime: 5 * time.Second},
		"a lifetime below 0":                    &BindingUpdate{Lifetime: -4 * time.Second},
		"a lifetime of 2^16 units":              &BindingUpdate{Lifetime: 262144 * time.Second},
		"an acknowledgement's lifetime":         &BindingAcknowledgement{Lifetime: time.Second},
		"an interval":                           with(RefreshAdvice{Interval: time.Second}),
		"an IPv4 address for an IPv6 one":       with(AlternateCareOf{Address: v4}),
		"an IPv6 address for an IPv4 one":       with(IPv4CareOf{Address: careOf}),
		"a mapped address for an IPv4 one":      with(IPv4CareOf{Address: netip.AddrFrom16(v4.As16())}),
		"an address with a zone":                with(AlternateCareOf{Address: netip.MustParseAddr("fe80::1%eth0")}),
		"no address":                            with(AlternateCareOf{}),
		"no home address":                       &BindingError{},
		"no service":                            with(ServiceSelection{}),
		"a prefix length of 64":                 with(IPv4HomeAddress{PrefixLen: 64, Address: v4}),
		"an acknowledged prefix length of 64":   with(IPv4AddressAck{PrefixLen: 64, Address: v4}),
		"a part of a second":                    with(NATDetection{Refresh: time.Millisecond}),
		"too many seconds":                      with(NATDetection{Refresh: (math.MaxUint32 + 1) * time.Second}),
		"padding as an option":                  with(RawOption{Kind: OptionPadN}),
		"256 home agents":                       &HomeAgentSwitch{Addresses: make([]netip.Addr, 256)},
		"a name of 255 octets":                  with(MNIdentifier{Subtype: NAI, Identifier: strings.Repeat("a", 255)}),
	} {
		if b, err := Append(nil, m, home, agent); err == nil {
			t.Errorf("%s: appended as %x", what, b)
		}
	}
}

func TestParseRefusesBrokenHeaders(t *testing.T) {
	for what, c := range map[string]struct {
		octets  string
		pointer int // of the ICMPv6 Parameter Problem that is due; -1: none
	}{
		"nothing":                                 {"", -1},
		"a part of a header":                      {"\x3b\x00\x05\x00\x00\x00\x00", -1},
		"a next header":                           {"\x06\x00\x00\x00\x00\x00\x00\x00", 0},
		"an update without room for its fields":   {"\x3b\x00\x05\x00\x00\x00\x00\x00", 1},
		"a home test without a token":             {"\x3b\x01\x03\x00\x00\x00\x00\x00" + strings.Repeat("\x00", 8), 1},
		"a length past the end":                   {"\x3b\x02\x05\x00\x00\x00\x00\x00" + strings.Repeat("\x00", 8), -1},
		"an option past the end":                  {"\x3b\x01\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x03\x01\x61", -1},
		"an option without a length":              {"\x3b\x01\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08", -1},
		"padding past the end":                    {"\x3b\x01\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x03\x00\x00", -1},
		"more home agents than there is room for": {"\x3b\x01\x0c\x00\x00\x00\x01\x00" + strings.Repeat("\x00", 8), -1},
	} {
		m, err := Parse([]byte(c.octets))
		if !errors.Is(err, ErrMalformed) || m != nil {
			t.Errorf("%s: %v, %v", what, m, err)
		}
		var p *Problem
		if got := errors.As(err, &p); got != (c.pointer >= 0) || got && p.Pointer != c.pointer {
			t.Errorf("%s: problem %+v, want pointer %d", what, p, c.pointer)
		}
	}
}

func TestOptionsOfAWrongLengthAreRefused(t *testing.T) {
	right := map[OptionType][]int{
		OptionRefreshAdvice: {2}, OptionAlternateCareOf: {16}, OptionNonceIndices: {4}, OptionReplayProtection: {8},
		OptionIPv4HomeAddress: {6}, OptionIPv4AddressAck: {6}, OptionNATDetection: {6}, OptionIPv4CareOf: {6},
	}
	atLeast := map[OptionType]int{OptionMNIdentifier: 1, OptionServiceSelection: 1, OptionAuthentication: 5}
	var view BindingUpdateView
	for kind := OptionType(2); kind < 50; kind++ {
		for n := range 32 {
			b, err := Begin(nil, &BindingUpdate{})
			if err != nil {
				t.Fatal(err)
			}
			b = append(append(b, uint8(kind), uint8(n)), make([]byte, n)...)
			if b, err = End(b, 0); err != nil {
				t.Fatal(err)
			}
			want := n >= atLeast[kind]
			if lengths, ok := right[kind]; ok {
				want = slices.Contains(lengths, n)
			}
			if _, err := Parse(b); (err == nil) != want {
				t.Errorf("%v of %d octets: %v", kind, n, err)
			}
			if err := view.Decode(b); (err == nil) != want {
				t.Errorf("%v of %d octets, in a view: %v", kind, n, err)
			}
		}
	}
}

func TestWhatFollowsTheHeaderIsIgnored(t *testing.T) {
	b, err := Append(nil, &BindingUpdate{Seq: 7}, home, agent)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, 0xde, 0xad)
	m, err := Parse(b)
	if err != nil || m.(*BindingUpdate).Seq != 7 {
		t.Errorf("%v, %v", m, err)
	}
	if !ChecksumOK(b, home, agent) {
		t.Error("checksum is wrong")
	}
}

func TestTheChecksumTellsAWrongOctetAndAWrongAddress(t *testing.T) {
	b, err := Append(nil, golden["Binding Update with MN-HA"], home, agent)
	if err != nil {
		t.Fatal(err)
	}
	if ChecksumOK(b, careOf, agent) {
		t.Error("the care-of address does in place of the home address")
	}
	for i := range b {
		b[i] ^= 0x10
		if ChecksumOK(b, home, agent) {
			t.Errorf("octet %d is not covered", i)
		}
		b[i] ^= 0x10
	}
}

func TestAParsedMessageSharesNoMemory(t *testing.T) {
	for name, m := range golden {
		b, err := Append(nil, m, home, agent)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		before, _ := Append(nil, got, home, agent)
		for i := range b {
			b[i] = 0xff
		}
		after, _ := Append(nil, got, home, agent)
		if !bytes.Equal(before, after) {
			t.Errorf("%s changed with the octets it was parsed from", name)
		}
	}
}

func TestOptionsByPointerAppendLikeThoseByValue(t *testing.T) {
	nai, stamp, auth := shortNAI, halfPast, Authentication{Subtype: MNHA, SPI: 256, Data: twelve}
	ipv4 := IPv4HomeAddress{PrefixLen: 32, Address: netip.IPv4Unspecified()}
	values := &BindingUpdate{Options: []Option{ipv4, nai, stamp, auth}}
	pointers := &BindingUpdate{Options: []Option{&ipv4, &nai, &stamp, &auth}}
	a, err := Append(nil, values, home, agent)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Append(nil, pointers, home, agent)
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("%x, %v, want %x", b, err, a)
	}
	if err := Check(pointers); err != nil {
		t.Error(err)
	}
}

func TestAfterASequenceNumberComeTheNext32767(t *testing.T) {
	for _, last := range []uint16{0, 15, 0x7fff, 0x8000, 0xffff} {
		newer := 0
		for d := range 1 << 16 {
			if SeqAfter(last+uint16(d), last) {
				newer++
			}
		}
		if newer != 32767 {
			t.Errorf("%d numbers come after %d, want 32767", newer, last)
		}
	}
	// The example of RFC 6275, section 9.5.1: after 15, these are not accepted.
	for _, old := range []uint16{0, 15, 32783, 65535} {
		if SeqAfter(old, 15) {
			t.Errorf("%d comes after 15", old)
		}
	}
	if !SeqAfter(16, 15) || !SeqAfter(32782, 15) {
		t.Error("16 and 32782 come after 15")
	}
}

func TestNamesAreTheWordsOfJournals(t *testing.T) {
	for name, m := range map[string]Message{
		"binding-refresh-request":            &BindingRefreshRequest{},
		"home-test-init":                     &HomeTestInit{},
		"care-of-test-init":                  &CareOfTestInit{},
		"home-test":                          &HomeTest{},
		"care-of-test":                       &CareOfTest{},
		"binding-update":                     &BindingUpdate{},
		"binding-acknowledgement":            &BindingAcknowledgement{},
		"binding-error":                      &BindingError{},
		"home-agent-switch":                  &HomeAgentSwitch{},
		"binding-revocation-indication":      &BindingRevocationIndication{},
		"binding-revocation-acknowledgement": &BindingRevocationAcknowledgement{},
		"mobility-message-13":                &Unknown{Kind: 13},
	} {
		if got := Name(m); got != name {
			t.Errorf("%T is named %s, want %s", m, got, name)
		}
	}
	if got := (AckRequested | HomeRegistration | 1).Names(); !slices.Equal(got, []string{"A", "H", "0x1"}) {
		t.Errorf("flags %v", got)
	}
	if got := (BAKeyMobility | BAMobileRouter | 1).Names(); !slices.Equal(got, []string{"K", "R", "0x1"}) {
		t.Errorf("flags %v", got)
	}
	if got := IDMismatch.String(); got != "id-mismatch" {
		t.Errorf("status 144 is %s", got)
	}
}

// Their receiver has statuses for them: RFC 5648, section 4.4; RFC 6089, section
// 4.2.
func TestOptionsForFlowsOfAWrongFormatComeBackRaw(t *testing.T) {
	for what, o := range map[string]RawOption{
		"a binding identifier of 5 octets":              {Kind: OptionBindingIdentifier, Data: make([]byte, 5)},
		"a flow summary of 3 octets":                    {Kind: OptionFlowSummary, Data: make([]byte, 3)},
		"a flow identification of 5 octets":             {Kind: OptionFlowIdentification, Data: make([]byte, 5)},
		"a flow identification with a cut sub-option":   {Kind: OptionFlowIdentification, Data: []byte{0, 1, 0, 1, 0, 0, 2, 9}},
		"a flow identification with a cut sub-option 2": {Kind: OptionFlowIdentification, Data: []byte{0, 1, 0, 1, 0, 0, 2}},
	} {
		b, err := Append(nil, &BindingUpdate{Options: []Option{o}}, home, agent)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(b)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if d := cmp.Diff([]Option{o}, Options(m)); d != "" {
			t.Errorf("%s: -want +got\n%s", what, d)
		}
	}
}

func TestTrafficSelectorsThatBreakTheirFormatComeBackRaw(t *testing.T) {
	for what, data := range map[string][]byte{
		"an end without its start": {1, 0, 0x40, 0, 0, 0, 10, 0, 0, 1},
		"a field that is missing":  {1, 0, 0x80, 0, 0, 0, 10, 0, 0},
		"octets behind the fields": {1, 0, 0x80, 0, 0, 0, 10, 0, 0, 1, 0},
		"no flags":                 {1, 0},
	} {
		if got := parseFlowSubOption(subTrafficSelector, data); !cmp.Equal(got, FlowSubOption(RawFlowSubOption{Kind: subTrafficSelector, Data: data})) {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func TestTrafficSelectorsSayWhatIsInThem(t *testing.T) {
	ports := &Range{Start: 5000, End: 5099, Ranged: true}
	for v, want := range map[uint32]bool{4999: false, 5000: true, 5050: true, 5099: true, 5100: false} {
		if ports.Contains(v) != want {
			t.Errorf("port %d: %v, want %v", v, !want, want)
		}
	}
	one := &AddressRange{Start: home}
	if !one.Contains(home) || one.Contains(agent) || !(*AddressRange)(nil).Contains(agent) || !(*Range)(nil).Contains(1) {
		t.Error("a single address has itself in it, nothing has everything")
	}
	both := &AddressRange{Start: agent, End: home}
	if !both.Contains(netip.MustParseAddr("2001:db8:100::2")) || both.Contains(careOf) {
		t.Error("a range of addresses has in it what lies between its ends")
	}
}

func TestFlowOptionsThatCannotBeAppendedSayWhy(t *testing.T) {
	for what, o := range map[string]Option{
		"a priority of 8 bits":           BindingIdentifier{BID: 1, Priority: 128},
		"a summary of nothing":           FlowSummary{},
		"a summary of 128 flows":         FlowSummary{FIDs: make([]uint16, 128)},
		"a reference to nothing":         FlowIdentification{SubOptions: []FlowSubOption{BindingReference{}}},
		"padding as a sub-option":        FlowIdentification{SubOptions: []FlowSubOption{RawFlowSubOption{Kind: 1}}},
		"a selector of no format":        FlowIdentification{SubOptions: []FlowSubOption{TrafficSelector{}}},
		"a flow label for IPv4":          FlowIdentification{SubOptions: []FlowSubOption{TrafficSelector{Format: IPv4Selector, FlowLabel: &Range{}}}},
		"a port of 17 bits":              FlowIdentification{SubOptions: []FlowSubOption{TrafficSelector{Format: IPv4Selector, SourcePort: &Range{Start: 1 << 16}}}},
		"an IPv6 address in an IPv4 one": FlowIdentification{SubOptions: []FlowSubOption{TrafficSelector{Format: IPv4Selector, Source: &AddressRange{Start: home}}}},
		"a sub-option of 256 octets":     FlowIdentification{SubOptions: []FlowSubOption{RawFlowSubOption{Kind: 9, Data: make([]byte, 256)}}},
	} {
		if _, err := Append(nil, &BindingUpdate{Options: []Option{o}}, home, agent); err == nil {
			t.Errorf("%s was appended", what)
		}
	}
}

package mh

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"s2clab/nodes/wire/wiretest"
)

var (
	home     = netip.MustParseAddr("2001:db8:100::10")
	agent    = netip.MustParseAddr("2001:db8:100::1")
	careOf   = netip.MustParseAddr("2001:db8:200::99")
	longNAI  = "001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
	twelve   = []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	twenty   = append(bytes.Clone(twelve), 12, 13, 14, 15, 16, 17, 18, 19)
	shortNAI = MNIdentifier{Subtype: NAI, Identifier: "a@b"}
	halfPast = ReplayProtection{Timestamp: 0xcacc680080000000}
)

// What the golden octets mean.
var golden = map[string]Message{
	"Binding Refresh Request": &BindingRefreshRequest{},
	"Home Test Init":          &HomeTestInit{Cookie: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}},
	"Care-of Test Init":       &CareOfTestInit{Cookie: [8]byte{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18}},
	"Home Test": &HomeTest{NonceIndex: 7, Cookie: [8]byte{1, 2, 3, 4, 5, 6, 7, 8},
		KeygenToken: [8]byte{0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28}},
	"Care-of Test": &CareOfTest{NonceIndex: 9, Cookie: [8]byte{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18},
		KeygenToken: [8]byte{0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38}},
	"Binding Update, A and H, 60 s": &BindingUpdate{Seq: 1, Flags: AckRequested | HomeRegistration, Lifetime: time.Minute},
	"Binding Update with an Alternate Care-of Address": &BindingUpdate{
		Seq: 65535, Flags: AckRequested | HomeRegistration | LinkLocal | KeyMobility, Lifetime: 262140 * time.Second,
		Options: []Option{AlternateCareOf{Address: careOf}}},
	"Binding Update to a correspondent node": &BindingUpdate{Seq: 258, Flags: AckRequested, Lifetime: 7 * time.Minute,
		Options: []Option{NonceIndices{Home: 7, CareOf: 9}, BindingAuthorization{Authenticator: twelve}}},
	"Binding Update with flags and an option of later RFCs": &BindingUpdate{
		Seq: 3, Flags: AckRequested | HomeRegistration | MobileRouter | 0x3f, Lifetime: 4 * time.Second,
		Options: []Option{RawOption{Kind: 6, Data: []byte{0, 64, 0x20, 1, 0xd, 0xb8, 3, 0, 0, 0, 17: 0}}}},
	"Binding Acknowledgement, accepted": &BindingAcknowledgement{Flags: BAKeyMobility, Seq: 1, Lifetime: time.Minute},
	"Binding Acknowledgement, sequence number out of window": &BindingAcknowledgement{
		Status: SequenceOutOfWindow, Seq: 0x1234},
	"Binding Acknowledgement with Binding Refresh Advice": &BindingAcknowledgement{
		Status: AcceptedPrefixDiscovery, Seq: 2, Lifetime: 10 * time.Minute,
		Options: []Option{RefreshAdvice{Interval: 5 * time.Minute}}},
	"Binding Error": &BindingError{Status: UnknownBinding, HomeAddress: home},
	"Message of an unknown type": &Unknown{Kind: 13,
		Data: []byte{0, 0, 0, 0, 0, 7, 1, 2, 0, 0}},

	"Binding Update with MN-HA": &BindingUpdate{
		Seq: 1, Flags: AckRequested | HomeRegistration, Lifetime: 10 * time.Minute,
		Options: []Option{
			AlternateCareOf{Address: careOf},
			IPv4HomeAddress{PrefixLen: 32, Address: netip.IPv4Unspecified()},
			MNIdentifier{Subtype: NAI, Identifier: longNAI},
			halfPast,
			Authentication{Subtype: MNHA, SPI: 256, Data: []byte("\x92\x6a\x82\xba\x69\xe4\x5f\x19\x30\x93\xc6\x46")},
		}},
	"Binding Update with MN-AAA": &BindingUpdate{
		Seq: 1, Flags: AckRequested | HomeRegistration, Lifetime: 10 * time.Minute,
		Options: []Option{
			AlternateCareOf{Address: careOf},
			IPv4HomeAddress{PrefixLen: 32, Address: netip.IPv4Unspecified()},
			MNIdentifier{Subtype: NAI, Identifier: longNAI},
			halfPast,
			Authentication{Subtype: MNAAA, SPI: HMACSHA1SPI,
				Data: []byte("\x70\xa0\xb9\x5b\xa9\xd7\xb7\x9b\x3e\xa3\x2a\x30\x36\x85\xa1\xfa\x2f\x57\x49\xc2")},
		}},
	"Binding Acknowledgement with MN-HA": &BindingAcknowledgement{
		Seq: 1, Lifetime: 10 * time.Minute,
		Options: []Option{
			MNIdentifier{Subtype: NAI, Identifier: longNAI},
			halfPast,
			Authentication{Subtype: MNHA, SPI: 256, Data: []byte("\x15\xe2\xc9\x7d\x46\xdb\x8b\xf4\xa2\x0d\x61\x71")},
		}},
	"Binding Update that asks for a nonce": &BindingUpdate{Seq: 1, Flags: AckRequested | HomeRegistration, Lifetime: 10 * time.Minute,
		Options: []Option{KeyMaterial{Kind: NonceRequest, Data: []byte{}}, RawOption{Kind: OptionExperimental, Data: []byte{1, 2, 3}}}},
	"Binding Acknowledgement with a nonce": &BindingAcknowledgement{Seq: 1, Lifetime: 10 * time.Minute,
		Options: []Option{KeyMaterial{Kind: Nonce, Data: append([]byte{0, 0, 0x0e, 0x10}, "sixteen octets !"...)}}},
	"Binding Update with MN-HA and MN-AAA": &BindingUpdate{
		Seq: 2, Flags: AckRequested | HomeRegistration, Lifetime: 10 * time.Minute,
		Options: []Option{shortNAI,
			Authentication{Subtype: MNHA, SPI: 256, Data: twelve},
			Authentication{Subtype: MNAAA, SPI: HMACSHA1SPI, Data: twenty}}},
	"Binding Update with padding after MN-HA": &BindingUpdate{
		Seq: 2, Flags: AckRequested | HomeRegistration, Lifetime: 10 * time.Minute,
		Options: []Option{shortNAI, Authentication{Subtype: MNHA, SPI: 256, Data: twelve}}},

	"Binding Update from an IPv4 network": &BindingUpdate{
		Seq: 1, Flags: AckRequested | HomeRegistration | ForceUDP, Lifetime: 10 * time.Minute,
		Options: []Option{
			IPv4HomeAddress{PrefixLen: 24, PrefixRequest: true, Address: netip.MustParseAddr("10.0.0.0")},
			IPv4CareOf{Address: netip.MustParseAddr("192.0.2.99")}}},
	"Binding Acknowledgement to an IPv4 network": &BindingAcknowledgement{
		Seq: 1, Lifetime: 10 * time.Minute,
		Options: []Option{
			IPv4AddressAck{PrefixLen: 32, Address: netip.MustParseAddr("10.0.0.7")},
			NATDetection{ForceUDP: true, Refresh: 110 * time.Second}}},
	"Binding Acknowledgement that refuses an IPv4 address": &BindingAcknowledgement{
		Seq: 1, Lifetime: 10 * time.Minute,
		Options: []Option{
			IPv4AddressAck{Status: IPv4NoDynamic, Address: netip.IPv4Unspecified()},
			NATDetection{Refresh: NoKeepalives}}},

	"Binding Update for two bindings": &BindingUpdate{
		Seq: 9, Flags: AckRequested | HomeRegistration | Overwrite, Lifetime: time.Minute,
		Options: []Option{
			BindingIdentifier{BID: 1, Priority: 1, CareOf: careOf},
			BindingIdentifier{BID: 2, Home: true, Priority: 2, CareOf: netip.MustParseAddr("192.0.2.99")}}},
	"Binding Update that moves a flow": &BindingUpdate{
		Seq: 10, Flags: AckRequested | HomeRegistration, Lifetime: time.Minute,
		Options: []Option{
			BindingIdentifier{BID: 2, Priority: 2},
			FlowIdentification{FID: 7, Priority: 10, SubOptions: []FlowSubOption{
				TrafficSelector{Format: IPv6Selector, Source: &AddressRange{Start: netip.MustParseAddr("2001:db8:2::2")},
					DestPort: &Range{Start: 5000, End: 5099, Ranged: true}, Protocol: &Range{Start: 17}},
				BindingReference{BIDs: []uint16{2}}}},
			FlowSummary{FIDs: []uint16{3, 4}}}},
	"Binding Acknowledgement of flows": &BindingAcknowledgement{
		Status: MCoANotComplete, Seq: 10, Lifetime: time.Minute,
		Options: []Option{
			BindingIdentifier{BID: 2, Status: MCoAUnknownCareOf, Priority: 2},
			FlowIdentification{FID: 8, Priority: 20, Status: FlowBIDNotFound, SubOptions: []FlowSubOption{
				TrafficSelector{Format: IPv4Selector, Destination: &AddressRange{Start: netip.MustParseAddr("10.0.0.7")},
					Class: &Range{Start: 0xb8}, Protocol: &Range{Start: 6}},
				BindingReference{BIDs: []uint16{2, 9}}}}}},
	"Binding Update with sub-options of later RFCs": &BindingUpdate{
		Seq: 11, Flags: AckRequested | HomeRegistration, Lifetime: time.Minute,
		Options: []Option{FlowIdentification{FID: 1, Priority: 1, SubOptions: []FlowSubOption{
			RawFlowSubOption{Kind: 9, Data: []byte{0xab, 0xcd}}, RawFlowSubOption{Kind: 3, Data: []byte{7, 0}}}}}},

	"Binding Update for a service": &BindingUpdate{
		Seq: 1, Flags: AckRequested | HomeRegistration, Lifetime: 10 * time.Minute,
		Options: []Option{shortNAI, ServiceSelection{APN: "ims"}}},
	"Home Agent Switch to two others": &HomeAgentSwitch{
		Addresses: []netip.Addr{netip.MustParseAddr("2001:db8:100::2"), netip.MustParseAddr("2001:db8:100::3")}},
	"Home Agent Switch without a hint": &HomeAgentSwitch{},
	"Binding Revocation Indication": &BindingRevocationIndication{
		Trigger: RevokeAdministrative, Seq: 7, Flags: BRIPv4Only,
		Options: []Option{IPv4HomeAddress{PrefixLen: 32, Address: netip.MustParseAddr("10.0.0.7")}}},
	"Binding Revocation Acknowledgement": &BindingRevocationAcknowledgement{
		Status: RevocationNoBinding, Seq: 7, Flags: BRIPv4Only},
	"Binding Revocation of an unknown kind": &Unknown{Kind: TypeBindingRevocation,
		Data: []byte{3, 0, 0, 7, 0, 0, 1, 2, 0, 0}},
}

// Golden octets that other senders may send and Append would lay out otherwise.
var foreign = map[string]bool{"Binding Update with padding after MN-HA": true}

var compare = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

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
		if foreign[s.Name] {
			continue
		}
		prefix := []byte("before") // what stands there already must not matter
		got, err := Append(prefix, golden[s.Name], home, agent)
		if err != nil {
			t.Errorf("%q: %v", s.Name, err)
			continue
		}
		got = got[len(prefix):]
		if !ChecksumOK(got, home, agent) {
			t.Errorf("%q: checksum is wrong", s.Name)
		}
		want := bytes.Clone(s.Octets)
		if want[4] == 0 && want[5] == 0 { // the golden octets have none
			got[4], got[5] = 0, 0
		}
		if _, ack := golden[s.Name].(*BindingAcknowledgement); ack && want[4] != 0 {
			SetChecksum(got, agent, home)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%q:\ngot  %x\nwant %x", s.Name, got, want)
		}
	}
}

func TestGoldenOctetsKeepTheRulesForOptions(t *testing.T) {
	for _, s := range wiretest.Golden(t) {
		byValue, byOctets := Check(golden[s.Name]), CheckOctets(s.Octets)
		if byValue != nil || byOctets != nil {
			t.Errorf("%q: %v, %v", s.Name, byValue, byOctets)
		}
	}
}

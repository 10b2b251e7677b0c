package ha

import (
	"testing"

	"s2clab/nodes/control"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// FuzzReceive holds that octets from anywhere cause no panic, at most one packet
// (which parses), and that nobody is bound who has not proved who he is.
func FuzzReceive(f *testing.F) {
	s := tell(f, configuration())
	for _, a := range []announcement{
		s.of(1), s.ofB(2), s.asking(3), s.homecoming(4), s.fetching(11), s.bare(homeA, 5), s.without(6), s.bare(none, 7),
		requesting(over(s.of(8), private), anyHome4),
		overwriting(at(s.of(9), bid(1, 1, wlanA), bid(2, 2, wimaxA), flow(1, 10, 17, 1), mh.FlowSummary{FIDs: []uint16{2}})),
		lasting(at(s.of(10), bid(2, 2, none), mh.RawOption{Kind: mh.OptionFlowIdentification, Data: []byte{0, 1}}), 0),
	} {
		f.Add(s.packet(a))
	}
	f.Add(s.withBoth(spiA, keyA))
	f.Add(s.carry(ipv6.Packet{Src: careOfWLAN, HomeAddress: homeA, Next: ipv6.UDP, Payload: make([]byte, 8)}))
	header, err := mh.Append(nil, &mh.Unknown{Kind: 99, Data: make([]byte, 2)}, careOfWLAN, homeAgent)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.carry(ipv6.Packet{Src: careOfWLAN, Next: ipv6.Mobility, Payload: header}))
	proven := map[string]bool{string(s.packet(s.of(1))): true, string(s.packet(s.ofB(2))): true}

	f.Fuzz(func(t *testing.T, octets []byte) {
		for i, alter := range []func(*control.HomeAgent){func(*control.HomeAgent) {}, dual, sequenceNumbers, fromAAA, fullDAD, noIntegrity, several, byGBA} {
			s := tell(t, with(dual, alter))
			before := string(octets)
			in := &Received{Octets: octets}
			if i%2 == 1 {
				in.From = byNAT
			}
			out := s.step(in)
			if string(octets) != before {
				t.Fatal("the packet was written to")
			}
			if n := len(s.replies()); n > 1 {
				t.Fatalf("%d packets", n)
			}
			for _, o := range out {
				_, one := o.(SetTunnel)
				_, more := o.(SetWays)
				if (one || more) && s.m.authenticates && !proven[before] && !s.m.signed(octets) {
					t.Fatal("bound without proof")
				}
			}
			s.pass(5e9)
		}
	})
}

// signed says whether the octets are those of a seed but for what no
// authenticator covers: the IPv6 header but for its addresses, and whatever
// follows the Mobility Header.
func (m *Machine) signed(octets []byte) bool {
	p, err := ipv6.Parse(octets)
	if err != nil {
		return false
	}
	var u mh.BindingUpdateView
	if u.Decode(p.Payload) != nil {
		return false
	}
	s := m.subscribers[string(u.Identifier)]
	return s != nil && u.MNHA.At != 0 && len(s.associations) > 0
}

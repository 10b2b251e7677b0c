package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"s2clab/nodes/session/flows"
	"s2clab/nodes/wire/ipv6"
)

// Ways says what is tunnelled where a home address has several care-of addresses
// at once: RFC 5648. Packets of Inner and Inner4 go by one of them, or by several,
// as flow bindings say; what comes is taken from each.
type Ways struct {
	Inner  netip.Addr // as in Binding
	Inner4 netip.Addr // as in Binding

	Each  []Way         // one or more; the first has what no flow binding takes: RFC 6089, section 5.1.1
	Flows []flows.Entry // in the order in which they are matched
}

// A Way is one of several between mobile node and home agent.
type Way struct {
	BID           uint16
	Local, Remote netip.Addr // as in Binding
	UDP           UDPPorts   // as in Binding
}

func (w *Ways) binding(of Way) Binding {
	return Binding{Inner: w.Inner, Inner4: w.Inner4, Local: of.Local, Remote: of.Remote, UDP: of.UDP}
}

// ways are the Ways of a binding that are in place, the binding itself first.
type ways struct {
	each  []*binding
	bids  []uint16 // of each
	flows flows.List
}

// SetWays makes or changes the binding of a home address, as Set does, to one that
// goes by several ways; Set with the same Inner makes it one of a single way again.
// It is the user engine that sorts packets, whichever was asked for.
func (t *Tunnel) SetWays(want Ways) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(want.Each) == 0 {
		return fmt.Errorf("tunnel: ways of %v: there is none", want.Inner)
	}
	s := &ways{flows: flows.Of(want.Flows)}
	for _, w := range want.Each {
		if err := t.another(want.binding(w)); err != nil {
			return err
		}
		if slices.Contains(s.bids, w.BID) {
			return fmt.Errorf("tunnel: ways of %v: BID %d is there twice", want.Inner, w.BID)
		}
		s.bids = append(s.bids, w.BID)
	}
	var b batch
	for _, w := range want.Each {
		new, err := t.prepare(&b, want.binding(w), s)
		if err != nil {
			var undo batch
			for _, done := range s.each {
				t.discard(&undo, done)
			}
			return errors.Join(err, t.host.nl.do(&undo))
		}
		s.each = append(s.each, new)
	}
	return t.replace(&b, s.each[0], want.Inner)
}

// all are the bindings that make up one: itself, or its ways.
func (b *binding) all() []*binding {
	if b.ways == nil {
		return []*binding{b}
	}
	return b.ways.each
}

// from is that of the ways which packets from a source come by, at the agent side
// also to an address of this node; nil: none.
func (b *binding) from(source netip.AddrPort, to netip.Addr) *binding {
	for _, of := range b.all() {
		if of.source() == source && (!to.IsValid() || of.Local == to) {
			return of
		}
	}
	return nil
}

// by is that of the ways which has the outer ends of another binding; nil: none.
func (b *binding) by(other Binding) *binding {
	for _, of := range b.all() {
		if of.Local == other.Local && of.Remote == other.Remote && of.UDP == other.UDP {
			return of
		}
	}
	return nil
}

// fits is innerMTU of the narrowest of the ways: a packet may go by any.
func (b *binding) fits(family int) int {
	least := largestInner
	for _, of := range b.all() {
		least = min(least, of.innerMTU(family))
	}
	return least
}

// A sorter sends packets by the ways of their flows. Only one goroutine may use
// it.
type sorter struct {
	packet    flows.Packet
	fragments [fragmentsKnown]fragmentWays
	next      int // the oldest of fragments
	to        []*binding
}

// fragmentsKnown is of how many packets in pieces the way of the first piece is
// remembered, for the pieces without ports that follow it.
const fragmentsKnown = 64

// fragmentWays are the BIDs that the first fragment of a packet has gone to.
type fragmentWays struct {
	key  fragmentKey
	bids []uint16 // nil: no flow binding's
}

// A fragmentKey is what the fragments of a packet have in common; the zero value is
// of none.
type fragmentKey struct {
	src, dst netip.Addr
	id       uint32
}

// sort gives the bindings by which a packet is to be sent, one copy each: RFC 6089,
// section 5.3.6. They hold until the next call. All fragments of a packet go where
// the first has gone, as that section wants, unless many others came in between.
// toMobile: selectors look at it as it is, else with its ends exchanged.
func (s *sorter) sort(of *binding, octets []byte, toMobile bool) []*binding {
	s.to = s.to[:0]
	if of.ways == nil {
		return append(s.to, of)
	}
	key, first := readFlow(&s.packet, octets)
	if !toMobile {
		p := &s.packet
		p.Source, p.Destination = p.Destination, p.Source
		p.SourcePort, p.DestPort = p.DestPort, p.SourcePort
	}
	w := of.ways
	known := func(bid uint16) bool { return slices.Contains(w.bids, bid) }
	var bids []uint16
	if i := slices.IndexFunc(s.fragments[:], func(f fragmentWays) bool { return f.key == key }); key != (fragmentKey{}) && !first && i >= 0 {
		bids = s.fragments[i].bids
	} else {
		bids = w.flows.Route(&s.packet, known)
	}
	if first {
		s.fragments[s.next] = fragmentWays{key: key, bids: bids}
		s.next = (s.next + 1) % fragmentsKnown
	}
	for i, bid := range w.bids {
		if slices.Contains(bids, bid) {
			s.to = append(s.to, w.each[i])
		}
	}
	if len(s.to) == 0 {
		s.to = append(s.to, of)
	}
	return s.to
}

// readFlow reads what traffic selectors look at of a packet that isIP. Of a fragment
// it gives the key, and whether it is the first.
func readFlow(p *flows.Packet, b []byte) (key fragmentKey, first bool) {
	*p = flows.Packet{Class: classOf(b)}
	p.Source, p.Destination = addresses(b)
	var rest []byte
	offset := 0
	if versionOf(b) == four {
		p.Protocol, rest = b[9], b[headerOf4(b):]
		if field := binary.BigEndian.Uint16(b[6:]); field&0x3fff != 0 {
			offset = int(field & 0x1fff)
			key = fragmentKey{p.Source, p.Destination, uint32(binary.BigEndian.Uint16(b[4:]))}
		}
	} else {
		p.FlowLabel = binary.BigEndian.Uint32(b) & 0xfffff
		p.Protocol, rest = b[6], b[ipv6.HeaderLen:]
		for hops := 0; hops < mostExtensions && isExtension(p.Protocol) && len(rest) >= 8; hops++ {
			length := (int(rest[1]) + 1) * 8
			if p.Protocol == ipv6.Fragment {
				length = 8
				offset = int(binary.BigEndian.Uint16(rest[2:]) >> 3)
				key = fragmentKey{p.Source, p.Destination, binary.BigEndian.Uint32(rest[4:])}
			}
			p.Protocol, rest = rest[0], rest[min(length, len(rest)):]
			if offset > 0 {
				break
			}
		}
	}
	if offset > 0 {
		return key, false // what follows is no header
	}
	switch p.Protocol {
	case ipv6.TCP, ipv6.UDP, protocolSCTP, protocolUDPLite, protocolDCCP:
		if len(rest) >= 4 {
			p.HasPorts, p.SourcePort, p.DestPort = true, binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
		}
	case ipv6.ESP:
		if len(rest) >= 4 {
			p.HasSPI, p.SPI = true, binary.BigEndian.Uint32(rest)
		}
	case ipv6.AH:
		if len(rest) >= 8 {
			p.HasSPI, p.SPI = true, binary.BigEndian.Uint32(rest[4:])
		}
	}
	return key, key != fragmentKey{}
}

// mostExtensions bounds what is looked through for the ports.
const mostExtensions = 8

// Protocols with ports: IANA, Protocol Numbers.
const (
	protocolDCCP    = 33
	protocolSCTP    = 132
	protocolUDPLite = 136
)

func isExtension(next uint8) bool {
	switch next {
	case ipv6.HopByHop, ipv6.Routing, ipv6.Fragment, ipv6.Destination:
		return true
	}
	return false
}

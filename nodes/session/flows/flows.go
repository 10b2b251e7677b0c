// Package flows is the list of flow bindings that a mobile node and its home
// agent keep alike: which flow goes by which of several care-of addresses (RFC
// 6089, sections 4.3 and 5; RFC 6088 for what a flow is).
//
// A List changes by the options of Binding Updates and answers with those of the
// acknowledgement. It knows bindings by their number, the BID, and nothing of
// addresses, sockets or time: which BIDs are registered is asked of its owner.
package flows

import (
	"cmp"
	"net/netip"
	"slices"

	"s2clab/nodes/wire/mh"
)

// Most is how many flow bindings a mobile node may have: more are refused, so
// that nobody fills a home agent's memory, or its time for each packet.
const Most = 64

// An Entry is a flow binding: RFC 6089, section 4.3. Whether it is active is
// not kept: it is while one of its BIDs is registered.
type Entry struct {
	FID      uint16 // 1 to 65535
	Priority uint16 // FID-PRI, 1 to 65535: the lowest is matched first
	Selector mh.TrafficSelector
	BIDs     []uint16 // one or more; those that are not registered do not count
}

// A List is the flow bindings of one mobile node, in the order of their
// priorities. The zero value is empty.
type List struct {
	entries []Entry
}

// Of is a List of flow bindings that are in the order of their priorities.
func Of(entries []Entry) List { return List{entries: entries} }

// Entries gives the flow bindings in the order in which they are matched. They
// are the List's own.
func (l *List) Entries() []Entry { return l.entries }

// Clear ends all flow bindings, as the end of all bindings does: RFC 6089,
// section 5.3.3.
func (l *List) Clear() { l.entries = nil }

// Update takes the options of a Binding Update that was accepted, its Binding
// Identifiers first (RFC 6089, section 5.3.1): registered says whether a BID is
// known with them. It returns the Flow Identification options of the
// acknowledgement: a copy of each with its status, and one for each flow that a
// summary names and nobody knows. What no option names, or one that was refused
// would have changed, ends or stays as sections 5.3.2 to 5.3.4 say.
func (l *List) Update(options []mh.Option, registered func(bid uint16) bool) []mh.Option {
	var answers []mh.Option
	var kept []Entry
	named := countFIDs(options)
	for _, o := range options {
		switch o := o.(type) {
		case mh.FlowIdentification:
			entry, status := l.change(o, registered)
			switch {
			case named[o.FID] > 1: // section 5.3.2: all of them are rejected
				status = mh.FlowMalformed
			case status != mh.FlowBound:
			case len(kept) == Most:
				status = mh.FlowProhibited
			case slices.ContainsFunc(kept, func(k Entry) bool { return k.Priority == entry.Priority }):
				status = mh.FlowMalformed // section 4.2: no two alike
			default:
				kept = append(kept, entry)
			}
			if old := l.find(o.FID); status != mh.FlowBound && old != nil {
				kept = l.keep(kept, *old) // it was named, and what was asked of it was not done
			}
			o.Status = status
			answers = append(answers, o)
		case mh.RawOption:
			if o.Kind == mh.OptionFlowIdentification {
				answers = append(answers, malformed(o))
			}
		}
	}
	for _, o := range options {
		s, ok := o.(mh.FlowSummary)
		if !ok {
			continue
		}
		for _, fid := range s.FIDs {
			if old := l.find(fid); old != nil {
				kept = l.keep(kept, *old)
			} else if named[fid] == 0 {
				answers = append(answers, mh.FlowIdentification{FID: fid, Status: mh.FlowFIDNotFound})
				named[fid] = 1 // once is enough
			}
		}
	}
	slices.SortStableFunc(kept, func(a, b Entry) int { return cmp.Compare(a.Priority, b.Priority) })
	l.entries = kept
	return answers
}

// countFIDs says how often each flow is named by Flow Identification options.
func countFIDs(options []mh.Option) map[uint16]int {
	named := map[uint16]int{}
	for _, o := range options {
		if f, ok := o.(mh.FlowIdentification); ok {
			named[f.FID]++
		}
	}
	return named
}

// malformed answers an option that has no format. Its identifier is told where
// it has one.
func malformed(o mh.RawOption) mh.FlowIdentification {
	f := mh.FlowIdentification{Status: mh.FlowMalformed}
	if len(o.Data) >= 2 {
		f.FID = uint16(o.Data[0])<<8 | uint16(o.Data[1])
	}
	return f
}

// keep adds an entry that stays, unless another took its place or its priority.
func (l *List) keep(kept []Entry, old Entry) []Entry {
	if slices.ContainsFunc(kept, func(k Entry) bool { return k.FID == old.FID || k.Priority == old.Priority }) || len(kept) == Most {
		return kept
	}
	return append(kept, old)
}

func (l *List) find(fid uint16) *Entry {
	for i := range l.entries {
		if l.entries[i].FID == fid {
			return &l.entries[i]
		}
	}
	return nil
}

// change makes the entry that an option asks for: RFC 6089, sections 5.3.2.1 and
// 5.3.2.2.
func (l *List) change(o mh.FlowIdentification, registered func(bid uint16) bool) (Entry, mh.FlowStatus) {
	e := Entry{FID: o.FID, Priority: o.Priority}
	if o.FID == 0 || o.Priority == 0 { // section 4.2: reserved
		return e, mh.FlowMalformed
	}
	selectors, references := 0, 0
	status := mh.FlowBound
	for _, s := range o.SubOptions {
		switch s := s.(type) {
		case mh.TrafficSelector:
			selectors++
			e.Selector = s
		case mh.BindingReference:
			references++
			e.BIDs = slices.Clone(s.BIDs)
		case mh.RawFlowSubOption:
			switch {
			case s.IsTrafficSelector() && len(s.Data) > 0 && !known(mh.SelectorFormat(s.Data[0])):
				status = mh.FlowSelectorUnsupported
			case s.IsTrafficSelector() || s.IsBindingReference():
				return e, mh.FlowMalformed
			}
		}
	}
	old := l.find(o.FID)
	switch {
	case selectors > 1 || references > 1: // sections 4.2.1.3 and 4.2.1.4
		return e, mh.FlowMalformed
	case status != mh.FlowBound:
		return e, status
	case old == nil && (selectors == 0 || references == 0):
		return e, mh.FlowMalformed
	}
	if selectors == 0 {
		e.Selector = old.Selector
	}
	if references == 0 {
		e.BIDs = old.BIDs
	}
	for _, bid := range e.BIDs {
		if references > 0 && !registered(bid) {
			return e, mh.FlowBIDNotFound
		}
	}
	return e, mh.FlowBound
}

func known(f mh.SelectorFormat) bool { return f == mh.IPv4Selector || f == mh.IPv6Selector }

// A Packet is what traffic selectors look at: a packet from a correspondent node
// to a mobile node. Of one the other way, source and destination are exchanged.
type Packet struct {
	Source, Destination  netip.Addr
	Protocol             uint8 // or next header, behind extension headers
	SourcePort, DestPort uint16
	HasPorts             bool
	SPI                  uint32
	HasSPI               bool
	Class                uint8  // DS field or traffic class
	FlowLabel            uint32 // 20 bits
}

// Route gives the BIDs that a packet goes to: those registered of the first
// entry that is active and matches, one copy of the packet each (RFC 6089,
// section 5.3.6). nil: no entry does, and the binding of the best priority has
// it.
func (l *List) Route(p *Packet, registered func(bid uint16) bool) []uint16 {
	for i := range l.entries {
		e := &l.entries[i]
		if !Matches(&e.Selector, p) {
			continue
		}
		var to []uint16
		for _, bid := range e.BIDs {
			if registered(bid) {
				to = append(to, bid)
			}
		}
		if len(to) > 0 {
			return to
		}
	}
	return nil
}

// Matches says whether a packet is of the flow that s selects: RFC 6088, section
// 3. One without ports, or without an SPI, is of no flow that asks for them.
func Matches(s *mh.TrafficSelector, p *Packet) bool {
	if p.Source.Is4() != (s.Format == mh.IPv4Selector) {
		return false
	}
	if (s.SourcePort != nil || s.DestPort != nil) && !p.HasPorts || s.SPI != nil && !p.HasSPI {
		return false
	}
	return s.Source.Contains(p.Source) && s.Destination.Contains(p.Destination) &&
		s.SourcePort.Contains(uint32(p.SourcePort)) && s.DestPort.Contains(uint32(p.DestPort)) &&
		s.Protocol.Contains(uint32(p.Protocol)) && s.SPI.Contains(p.SPI) &&
		low(s.FlowLabel, 20).Contains(p.FlowLabel) && high(s.Class).Contains(uint32(p.Class>>2))
}

// low is a range of numbers whose first bits do not count, but for the last so
// many.
func low(r *mh.Range, bits int) *mh.Range {
	if r == nil {
		return nil
	}
	mask := uint32(1)<<bits - 1
	return &mh.Range{Start: r.Start & mask, End: r.End & mask, Ranged: r.Ranged}
}

// high is a range of traffic classes without the two bits of congestion
// notification.
func high(r *mh.Range) *mh.Range {
	if r == nil {
		return nil
	}
	return &mh.Range{Start: r.Start >> 2, End: r.End >> 2, Ranged: r.Ranged}
}

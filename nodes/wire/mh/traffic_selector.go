package mh

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// A SelectorFormat tells the formats of traffic selectors apart: RFC 6088,
// section 3.
type SelectorFormat uint8

// The binary traffic selectors.
const (
	IPv4Selector SelectorFormat = 1
	IPv6Selector SelectorFormat = 2
)

// A TrafficSelector says which packets make a flow, by what a correspondent
// node sends to the mobile node, as the home agent sees it: RFC 6088, section 3.
// What is nil is not looked at.
type TrafficSelector struct {
	Format      SelectorFormat
	Source      *AddressRange // of the correspondent node
	Destination *AddressRange // the home address
	SPI         *Range
	FlowLabel   *Range // IPv6Selector only: 20 bits
	SourcePort  *Range // 16 bits
	DestPort    *Range // 16 bits
	Class       *Range // DS field or traffic class, 8 bits, of which the last 2 do not count
	Protocol    *Range // or next header, 8 bits
}

// Equal says whether two selectors say the same, field by field.
func (s *TrafficSelector) Equal(o *TrafficSelector) bool {
	same := s.Format == o.Format && equal(s.Source, o.Source) && equal(s.Destination, o.Destination)
	return same && equal(s.SPI, o.SPI) && equal(s.FlowLabel, o.FlowLabel) && equal(s.SourcePort, o.SourcePort) &&
		equal(s.DestPort, o.DestPort) && equal(s.Class, o.Class) && equal(s.Protocol, o.Protocol)
}

func equal[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// A Range goes from Start to End, both in it. End may be left out: then
// Ranged is false, and Start alone is in it.
type Range struct {
	Start, End uint32
	Ranged     bool
}

// An AddressRange is a Range of addresses; End not valid: Start alone.
type AddressRange struct {
	Start, End netip.Addr
}

// Contains says whether v is in the range. Nil has everything in it.
func (r *Range) Contains(v uint32) bool {
	if r == nil || !r.Ranged {
		return r == nil || v == r.Start
	}
	return r.Start <= v && v <= r.End
}

// Contains says whether a is in the range. Nil has everything in it.
func (r *AddressRange) Contains(a netip.Addr) bool {
	if r == nil || !r.End.IsValid() {
		return r == nil || a == r.Start
	}
	return r.Start.Compare(a) <= 0 && a.Compare(r.End) <= 0
}

// A selectorField is a number in a TrafficSelector.
type selectorField struct {
	at    **Range
	width int // octets
}

// fields are those behind the addresses, in wire order.
func (s *TrafficSelector) fields() []selectorField {
	all := []selectorField{{&s.SPI, 4}, {&s.FlowLabel, 4}, {&s.SourcePort, 2}, {&s.DestPort, 2}, {&s.Class, 1}, {&s.Protocol, 1}}
	if s.Format == IPv4Selector {
		return append(all[:1], all[2:]...)
	}
	return all
}

func (TrafficSelector) kind() uint8 { return subTrafficSelector }

// alignment is that of the widest field: RFC 6088, sections 3.1 and 3.2. An
// address of 16 octets asks for 8.
func (s TrafficSelector) alignment() int {
	if s.Source != nil || s.Destination != nil {
		if s.Format == IPv6Selector {
			return 8
		}
		return 4
	}
	for _, f := range s.fields() {
		if *f.at != nil {
			return f.width
		}
	}
	return 1
}

func (s TrafficSelector) appendData(b []byte) ([]byte, error) {
	if s.Format != IPv4Selector && s.Format != IPv6Selector {
		return nil, fmt.Errorf("traffic selector of format %d: want 1 or 2", s.Format)
	}
	if s.Format == IPv4Selector && s.FlowLabel != nil {
		return nil, fmt.Errorf("traffic selector for IPv4 with a flow label")
	}
	b = append(b, uint8(s.Format), 0)
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	present, bit := uint32(0), uint32(1)<<31
	var err error
	for _, r := range []*AddressRange{s.Source, s.Destination} {
		if r != nil {
			if b, err = s.appendAddress(b, r.Start); err != nil {
				return nil, err
			}
			present |= bit
			if r.End.IsValid() {
				if b, err = s.appendAddress(b, r.End); err != nil {
					return nil, err
				}
				present |= bit >> 1
			}
		}
		bit >>= 2
	}
	for _, f := range s.fields() {
		if r := *f.at; r != nil {
			if b, err = appendNumber(b, r.Start, f.width); err != nil {
				return nil, err
			}
			present |= bit
			if r.Ranged {
				if b, err = appendNumber(b, r.End, f.width); err != nil {
					return nil, err
				}
				present |= bit >> 1
			}
		}
		bit >>= 2
	}
	binary.BigEndian.PutUint32(b[at:], present)
	return b, nil
}

func (s *TrafficSelector) appendAddress(b []byte, a netip.Addr) ([]byte, error) {
	if s.Format == IPv4Selector {
		return appendIPv4(b, a)
	}
	return appendIPv6(b, a)
}

func appendNumber(b []byte, v uint32, width int) ([]byte, error) {
	if width < 4 && v>>(8*width) != 0 {
		return nil, fmt.Errorf("traffic selector: %d does not fit %d octets", v, width)
	}
	for i := width - 1; i >= 0; i-- {
		b = append(b, uint8(v>>(8*i)))
	}
	return b, nil
}

// parseTrafficSelector parses the data of a sub-option. An end without its start
// is refused: RFC 6088, sections 3.1 and 3.2.
func parseTrafficSelector(b []byte) (TrafficSelector, error) {
	if len(b) < 6 {
		return TrafficSelector{}, fmt.Errorf("traffic selector of %d octets, want 6 or more: %w", len(b), ErrMalformed)
	}
	s := TrafficSelector{Format: SelectorFormat(b[0])}
	if s.Format != IPv4Selector && s.Format != IPv6Selector {
		return s, fmt.Errorf("traffic selector of format %d: %w", s.Format, ErrMalformed)
	}
	present := binary.BigEndian.Uint32(b[2:])
	r := selectorReader{rest: b[6:], present: present, bit: 1 << 31}
	addressLen := 16
	if s.Format == IPv4Selector {
		addressLen = 4
	}
	for _, to := range []**AddressRange{&s.Source, &s.Destination} {
		if start, end := r.next(addressLen); start != nil {
			from, _ := netip.AddrFromSlice(start)
			until, _ := netip.AddrFromSlice(end)
			*to = &AddressRange{Start: from, End: until}
		}
	}
	for _, f := range s.fields() {
		if start, end := r.next(f.width); start != nil {
			*f.at = &Range{Start: number(start), End: number(end), Ranged: end != nil}
		}
	}
	if r.broken || len(r.rest) != 0 {
		return s, fmt.Errorf("traffic selector: fields and flags do not agree: %w", ErrMalformed)
	}
	return s, nil
}

// A selectorReader gives the fields of a traffic selector one pair after the
// other.
type selectorReader struct {
	rest    []byte
	present uint32
	bit     uint32 // of the start that comes next
	broken  bool
}

// next gives the next start and end; nil: it is not there.
func (r *selectorReader) next(width int) (start, end []byte) {
	hasStart, hasEnd := r.present&r.bit != 0, r.present&(r.bit>>1) != 0
	r.bit >>= 2
	r.broken = r.broken || hasEnd && !hasStart
	if hasStart {
		start = r.take(width)
	}
	if hasEnd {
		end = r.take(width)
	}
	if r.broken {
		return nil, nil
	}
	return start, end
}

func (r *selectorReader) take(width int) []byte {
	if r.broken || len(r.rest) < width {
		r.broken = true
		return nil
	}
	taken := r.rest[:width]
	r.rest = r.rest[width:]
	return taken
}

func number(b []byte) (v uint32) {
	for _, o := range b {
		v = v<<8 | uint32(o)
	}
	return v
}

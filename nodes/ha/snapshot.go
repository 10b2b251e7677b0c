package ha

import (
	"net/netip"
	"slices"
	"time"
)

// A BindingEntry is an entry of the binding cache as the command "bindings"
// tells it.
type BindingEntry struct {
	HomeAddress netip.Addr `json:"home-address"`
	CareOf      netip.Addr `json:"care-of"` // empty while nothing is bound
	NAI         string     `json:"nai,omitempty"`
	State       string     `json:"state"` // detecting, bound, invalid
	Seq         uint16     `json:"seq"`
	SPI         uint32     `json:"spi,omitempty"`
	Lifetime    float64    `json:"lifetime"`  // granted, s
	Remaining   float64    `json:"remaining"` // s, also until an invalid entry is removed
	Since       float64    `json:"since"`     // how long it has been bound, s

	HomeAddress4 netip.Addr     `json:"home-address-4,omitzero"`
	Outer        netip.AddrPort `json:"outer,omitzero"` // by IPv4: where packets go
	NAT          bool           `json:"nat,omitempty"`  // there is one before that
	UDP          bool           `json:"udp,omitempty"`

	CareOfs []CareOfEntry `json:"care-ofs,omitempty"` // of several at once, the first has what no flow takes
	Flows   []FlowEntry   `json:"flows,omitempty"`    // in the order in which they are matched
}

// A CareOfEntry is one of the care-of addresses of a binding: RFC 5648.
type CareOfEntry struct {
	BID       uint16     `json:"bid"`
	Priority  uint8      `json:"priority,omitempty"` // BID-PRI: RFC 6089, section 4.1
	CareOf    netip.Addr `json:"care-of"`
	Remaining float64    `json:"remaining"` // s
}

// A FlowEntry is a flow binding: RFC 6089, section 4.3.
type FlowEntry struct {
	FID      uint16   `json:"fid"`
	Priority uint16   `json:"priority"`
	BIDs     []uint16 `json:"bids"`
	Active   bool     `json:"active"` // one of the BIDs is registered
}

// Bindings gives the binding cache, by home address.
func (m *Machine) Bindings(now time.Time) []BindingEntry {
	list := make([]BindingEntry, 0, len(m.bindings))
	for _, b := range m.bindings {
		e := BindingEntry{HomeAddress: b.home, State: b.state.String(), Seq: b.seq}
		if b.subscriber != nil {
			e.NAI = b.subscriber.nai
		}
		switch b.state {
		case bound:
			e.CareOf, e.SPI, e.Lifetime = b.careOf, b.spi, b.lifetime.Seconds()
			e.Remaining, e.Since = b.expires.Sub(now).Seconds(), now.Sub(b.since).Seconds()
			e.HomeAddress4, e.Outer, e.NAT, e.UDP = b.home4, b.outer.from, b.outer.nat, b.udp
			e.CareOfs, e.Flows = b.multi.entries(now)
		case invalid:
			e.Remaining = b.removal.Sub(now).Seconds()
		case detecting:
			e.CareOf, e.Seq = b.pending.careOf, b.pending.seq
		}
		list = append(list, e)
	}
	list = append(list, m.registrar.entries(now)...)
	slices.SortFunc(list, func(a, b BindingEntry) int { return a.HomeAddress.Compare(b.HomeAddress) })
	return list
}

// entries are the care-of addresses and the flow bindings; c may be nil.
func (c *multihoming) entries(now time.Time) (careOfs []CareOfEntry, bindings []FlowEntry) {
	for _, a := range c.all() {
		careOfs = append(careOfs, CareOfEntry{BID: a.bid, Priority: a.priority, CareOf: a.address, Remaining: a.expires.Sub(now).Seconds()})
	}
	if c == nil {
		return nil, nil
	}
	for _, f := range c.flows.Entries() {
		bindings = append(bindings, FlowEntry{FID: f.FID, Priority: f.Priority, BIDs: f.BIDs, Active: slices.ContainsFunc(f.BIDs, c.knows)})
	}
	return careOfs, bindings
}

// Counts are how much a home agent holds, each bounded.
type Counts struct {
	Bindings    int `json:"bindings"` // bound, or about to be
	Invalid     int `json:"invalid"`
	Subscribers int `json:"subscribers"`
	Questions   int `json:"questions"`
	Timers      int `json:"timers"`
}

// Counts gives how much there is of everything.
func (m *Machine) Counts() Counts {
	registered, asked := m.registrar.counts()
	return Counts{
		Bindings: m.held + registered, Invalid: m.ended.len, Subscribers: len(m.subscribers),
		Questions: len(m.questions.byID) + asked, Timers: len(m.timers),
	}
}

package ha

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"s2clab/nodes/session/flows"
	"s2clab/nodes/wire/mh"
)

// mostBIDs is how many care-of addresses a mobile node may bind at once: more are
// refused, so that nobody fills a home agent's memory.
const mostBIDs = 8

// A multihoming is the several care-of addresses of a binding: RFC 5648, section
// 4.1. Sequence number, home addresses and the rest are of the binding, once for
// all of them.
//
// A standby, and a restart that keeps bindings, know of the first alone: the next
// Binding Update is then refused with status 165, and the mobile node tells all anew.
//
// It is what a mobile node that is away may use: being at home and away at once, the
// H flag, is refused with status 169.
type multihoming struct {
	careOfs []careOf // by priority, then by BID; while bound there is one at least
	flows   flows.List
	ways    SetWays // the last
}

// A careOf is one of the care-of addresses that are bound at once.
type careOf struct {
	bid      uint16
	priority uint8 // BID-PRI: RFC 6089, section 4.1; 0: not said, which comes last
	address  netip.Addr
	outer    outer
	udp      bool
	lifetime time.Duration
	expires  time.Time
}

// A bidRequest is a Binding Identifier option of a Binding Update.
type bidRequest struct {
	option    mh.BindingIdentifier
	malformed bool      // it has no format: RFC 5648, section 6.2
	status    mh.Status // what became of it
}

// multiRequest is what a Binding Update says of several care-of addresses; the zero
// value: nothing.
type multiRequest struct {
	bids    []bidRequest
	flows   []mh.Option // its Flow Identification and Flow Summary options
	answers []mh.Option // what became of these
}

// are says whether the Binding Update is for several care-of addresses.
func (r *multiRequest) are() bool { return len(r.bids) > 0 }

// readMulti takes the options of RFC 5648 and RFC 6089 out of a Binding Update that
// is in order. The first option decides: without a Binding Identifier those of flows
// are as good as not there, since they refer to it.
func readMulti(u *mh.BindingUpdateView) (r multiRequest) {
	there := false
	for w := mh.WalkOptions(u.Octets); w.Next() && !there; {
		there = w.Type == mh.OptionBindingIdentifier
	}
	if !there {
		return r
	}
	message, err := mh.Parse(u.Octets)
	if err != nil {
		return r // the view has been decoded, so that this does not happen
	}
	for _, o := range mh.Options(message) {
		switch o := o.(type) {
		case mh.BindingIdentifier:
			r.bids = append(r.bids, bidRequest{option: o})
		case mh.FlowIdentification, mh.FlowSummary:
			r.flows = append(r.flows, o)
		case mh.RawOption:
			switch o.Kind {
			case mh.OptionBindingIdentifier:
				b := bidRequest{malformed: true}
				if len(o.Data) >= 2 {
					b.option.BID = uint16(o.Data[0])<<8 | uint16(o.Data[1])
				}
				r.bids = append(r.bids, b)
			case mh.OptionFlowIdentification:
				r.flows = append(r.flows, o)
			}
		}
	}
	return r
}

// proven is the care-of address that the authenticators of a Binding Update are
// over, where it is for several.
//
// Lab decision: RFC 4285, section 5.1, knows one care-of address. It is the IPv6
// source, or what the Alternate Care-of Address option has, as ever; by IPv4, where
// that option and its IPv4 sister must not be (RFC 5648, section 8.1), it is the one
// in the first Binding Identifier option. All of these options are in the mobility
// data, and so proven with it.
func (r *multiRequest) proven(careOf netip.Addr, overIPv4 bool) netip.Addr {
	if first := r.bids[0].option.CareOf; overIPv4 && first.Is4() {
		return netip.AddrFrom16(first.As16())
	}
	return careOf
}

// mayBeMulti refuses as a whole a Binding Update for several care-of addresses that
// cannot stand: RFC 5648, section 6.2. An empty reason: it can.
func (m *Machine) mayBeMulti(r *request, b *binding) (mh.Status, string) {
	regular := b != nil && b.state == bound && b.multi == nil
	switch {
	case !r.multi.are():
	case !m.multihoming:
		return mh.MCoAProhibited, "several-care-of-addresses-not-permitted"
	case slices.ContainsFunc(r.multi.bids, func(b bidRequest) bool { return b.malformed }):
		return mh.MCoAMalformed, "binding-identifier-malformed"
	case regular && r.lifetime > 0 && r.flags&mh.Overwrite == 0:
		return mh.MCoANonMCoABindingExists, "a-regular-binding-exists"
	}
	return 0, ""
}

// judge says what becomes of each care-of address that a Binding Update wants bound:
// RFC 5648, section 6.2. It returns whether any is.
func (m *Machine) judge(r *request, b *binding) bool {
	var known *multihoming
	if b != nil && b.state == bound && r.flags&mh.Overwrite == 0 {
		known = b.multi
	}
	bound := map[uint16]bool{}
	for _, c := range known.all() {
		bound[c.bid] = true
	}
	any := false
	named := map[uint16]bool{}
	for i := range r.multi.bids {
		q := &r.multi.bids[i]
		o := &q.option
		if !o.CareOf.IsValid() {
			if c := known.find(o.BID); c != nil {
				o.CareOf = c.address
			}
		}
		q.status = mh.Accepted
		switch {
		case o.BID == 0 || named[o.BID]: // section 4.3: zero is reserved
			q.status = mh.MCoAMalformed
		case o.Home:
			q.status = mh.MCoAHomeForeignProhibited
		case !o.CareOf.IsValid():
			q.status = mh.MCoAUnknownCareOf
		case o.CareOf.Is4():
			q.status = m.judge4(r, o, known.find(o.BID))
		case !unicastRoutable(o.CareOf):
			q.status = mh.MCoAMalformed
		case m.loops(r.home, o.CareOf):
			q.status = mh.InvalidCareOf
		}
		if q.status == mh.Accepted && !bound[o.BID] && len(bound) == mostBIDs {
			q.status = mh.InsufficientResources
		}
		named[o.BID] = true
		if q.status == mh.Accepted {
			any, bound[o.BID] = true, true
		}
	}
	return any
}

// judge4 is judge for an IPv4 care-of address: RFC 5648, section 8.1. A new one comes
// alone and by itself, since a NAT before it must be found; one that was bound so may
// be refreshed along with others, where there is no NAT.
func (m *Machine) judge4(r *request, o *mh.BindingIdentifier, was *careOf) mh.Status {
	switch {
	case !unicast4(o.CareOf):
		return mh.MCoAMalformed
	case r.outer.isThere() && len(r.multi.bids) == 1:
		if r.outer.from.Addr() != o.CareOf {
			r.outer.nat = true
		}
		if _, loops := m.dual.owners[r.outer.from.Addr()]; loops || m.isOwn(r.outer.from.Addr()) {
			return mh.InvalidCareOf
		}
		return mh.Accepted
	case was != nil && was.address == o.CareOf && !was.outer.nat:
		return mh.Accepted
	}
	return mh.MCoABulkProhibited
}

// loops says whether packets to a care-of address would come back here: see
// isCareOf.
func (m *Machine) loops(home, careOf netip.Addr) bool {
	b := m.bindings[careOf]
	return careOf == home || m.isOwn(careOf) || b != nil && b.state != invalid
}

// all are the care-of addresses; c may be nil.
func (c *multihoming) all() []careOf {
	if c == nil {
		return nil
	}
	return c.careOfs
}

// find gives the care-of address of a BID; nil: it is not bound. c may be nil.
func (c *multihoming) find(bid uint16) *careOf {
	for i := range c.all() {
		if c.careOfs[i].bid == bid {
			return &c.careOfs[i]
		}
	}
	return nil
}

func (c *multihoming) knows(bid uint16) bool { return c.find(bid) != nil }

// first is where packets go that no flow binding takes, and what stands for the
// binding where one address has to: RFC 6089, section 5.1.1.
func (c *multihoming) first() *careOf { return &c.careOfs[0] }

func (c *multihoming) sort() {
	slices.SortStableFunc(c.careOfs, func(a, b careOf) int {
		// 0 - 1 is 255: a priority that is not said comes last.
		return cmp.Or(cmp.Compare(a.priority-1, b.priority-1), cmp.Compare(a.bid, b.bid))
	})
}

func (c *multihoming) remove(bid uint16) {
	c.careOfs = slices.DeleteFunc(c.careOfs, func(x careOf) bool { return x.bid == bid })
}

// storeMulti takes over the care-of addresses of a Binding Update that judge has let
// pass, and its flow bindings; one without Binding Identifiers ends what several
// there were: RFC 5648, section 6.2.
func (m *Machine) storeMulti(now time.Time, r *request, b *binding) {
	if !r.multi.are() {
		b.multi = nil
		return
	}
	if b.multi == nil {
		b.multi = &multihoming{}
	}
	c := b.multi
	if r.flags&mh.Overwrite != 0 {
		c.careOfs = nil
		c.flows.Clear()
	}
	for _, q := range r.multi.bids {
		if q.status != mh.Accepted {
			continue
		}
		a := careOf{bid: q.option.BID, priority: q.option.Priority, address: q.option.CareOf, lifetime: b.lifetime, expires: b.expires}
		if was := c.find(a.bid); a.address.Is4() && was != nil && !(r.outer.isThere() && len(r.multi.bids) == 1) {
			a.outer, a.udp = was.outer, was.udp
		} else if a.address.Is4() {
			a.outer, a.udp = r.outer, m.dual.udp(r)
		}
		c.remove(a.bid)
		c.careOfs = append(c.careOfs, a)
	}
	c.sort()
	r.multi.answers = c.flows.Update(r.multi.flows, c.knows)
	b.lead()
}

// lead makes the first care-of address the one that the binding shows, and the last
// to end the one that it ends with.
func (b *binding) lead() {
	first := b.multi.first()
	b.careOf, b.outer, b.udp = first.address, first.outer, first.udp
	for _, c := range b.multi.careOfs {
		if c.expires.After(b.expires) {
			b.expires = c.expires
		}
	}
}

// status of an acknowledgement that accepts: RFC 5648, section 6.2.
func (r *request) status() mh.Status {
	for _, q := range r.multi.bids {
		if q.status != mh.Accepted {
			return mh.MCoANotComplete
		}
	}
	return mh.Accepted
}

// refuseAll answers a Binding Update none of whose care-of addresses was accepted.
//
// Lab decision: status 4 says that some were, RFC 5648, section 4.4, so that none is
// a refusal; its status is the first one's, which each of them still has beside it
// where they differ.
func (m *Machine) refuseAll(now time.Time, r *request) {
	status := r.multi.bids[0].status
	alike := true
	for _, q := range r.multi.bids {
		alike = alike && q.status == status
	}
	if alike {
		for i := range r.multi.bids {
			r.multi.bids[i].status = 0 // that of the message says it
		}
	}
	m.refuse(now, r, status, "no-care-of-address-accepted")
}

// deregisterBIDs ends some of the care-of addresses of a binding: RFC 5648, sections
// 5.4 and 6.2. What is known of others, and of flows, stays as the Binding Update
// says.
func (m *Machine) deregisterBIDs(now time.Time, r *request, b *binding) {
	c := b.multi
	removed := 0
	for i := range r.multi.bids {
		q := &r.multi.bids[i]
		if c.knows(q.option.BID) {
			c.remove(q.option.BID)
			removed++
			m.tellBID(now, b, q.option.BID, "de-registered")
		} else {
			q.status = mh.NotHomeAgent
		}
	}
	if removed == 0 {
		m.refuseAll(now, r)
		return
	}
	b.known, b.seq, b.timestamps = true, r.seq, r.byTimestamp()
	if len(c.careOfs) == 0 {
		m.release(now, b)
		m.invalidate(now, b)
		if m.tells(now, bindingDeleted) {
			m.tell(bindingDeleted, map[string]any{"home-address": text(b.home), "reason": "de-registered"})
		}
		m.acknowledge(now, r, r.status(), r.seq, 0)
		return
	}
	r.multi.answers = c.flows.Update(r.multi.flows, c.knows)
	m.changedBIDs(b)
	m.acknowledge(now, r, r.status(), r.seq, 0)
	m.schedule(b)
	m.tellFlows(now, r, b)
}

// changedBIDs puts in place what is left of the care-of addresses.
func (m *Machine) changedBIDs(b *binding) {
	b.expires = time.Time{}
	b.lead()
	m.setTunnel(b)
	m.changedBinding(b)
}

// expireBIDs ends the care-of addresses whose time is over, and says whether others
// stay.
func (m *Machine) expireBIDs(now time.Time, b *binding) bool {
	gone := 0
	for _, c := range slices.Clone(b.multi.careOfs) {
		if !now.Before(c.expires) {
			gone++
			b.multi.remove(c.bid)
			m.tellBID(now, b, c.bid, "lifetime-ended")
		}
	}
	if len(b.multi.careOfs) == 0 {
		return false
	}
	if gone > 0 {
		m.changedBIDs(b)
	}
	return true
}

// ends is when the first of the care-of addresses of a binding ends, or the only one.
func (b *binding) ends() time.Time {
	at := b.expires
	for _, c := range b.multi.all() {
		if c.expires.Before(at) {
			at = c.expires
		}
	}
	return at
}

// has says whether a packet with the home address may come from an address: RFC
// 5648, section 6.5.
func (b *binding) has(source netip.Addr) bool {
	if b.multi == nil {
		return b.careOf == source
	}
	return slices.ContainsFunc(b.multi.careOfs, func(c careOf) bool { return c.address == source })
}

// wantedWays is the tunnel that a binding to several care-of addresses wants.
func (b *binding) wantedWays() SetWays {
	w := SetWays{Home: b.home, Home4: b.home4, Flows: slices.Clone(b.multi.flows.Entries())}
	for _, c := range b.multi.careOfs {
		way := Way{BID: c.bid, CareOf: c.address}
		if c.outer.isThere() {
			way.CareOf = c.outer.from.Addr()
			if c.udp {
				way.Port = c.outer.from.Port()
			}
		}
		w.Ways = append(w.Ways, way)
	}
	return w
}

// setWays puts the tunnel of a binding to several care-of addresses in place, or
// changes it.
func (m *Machine) setWays(b *binding) {
	if want := b.wantedWays(); !want.equal(&b.multi.ways) {
		b.tunnel, b.multi.ways = SetTunnel{}, want
		m.do(want)
	}
}

func (w *SetWays) equal(other *SetWays) bool {
	return w.Home == other.Home && w.Home4 == other.Home4 && slices.Equal(w.Ways, other.Ways) &&
		slices.EqualFunc(w.Flows, other.Flows, func(a, b flows.Entry) bool {
			return a.FID == b.FID && a.Priority == b.Priority && slices.Equal(a.BIDs, b.BIDs) && a.Selector.Equal(&b.Selector)
		})
}

// multiOptions adds to an acknowledgement a copy of each Binding Identifier option,
// without its care-of address, and what became of flows: RFC 5648, section 6.2; RFC
// 6089, section 5.3.5.
func (r *request) multiOptions(options []mh.Option, status mh.Status) []mh.Option {
	for _, q := range r.multi.bids {
		o := q.option
		o.CareOf, o.Status = netip.Addr{}, 0
		if status == mh.MCoANotComplete || !status.Accepts() && q.status != mh.Accepted {
			o.Status = q.status
		}
		options = append(options, o)
	}
	return append(options, r.multi.answers...)
}

// tellMulti adds to the event of an acceptance what is bound.
func (b *binding) tellMulti(fields map[string]any) {
	if b.multi == nil {
		return
	}
	var bids []uint16
	for _, c := range b.multi.careOfs {
		bids = append(bids, c.bid)
	}
	fields["bids"] = texts(bids)
}

// texts are BIDs as events have them.
func texts(bids []uint16) []string {
	var all []string
	for _, bid := range bids {
		all = append(all, strconv.Itoa(int(bid)))
	}
	return all
}

// tellBIDs tells what became of each care-of address of a Binding Update that was
// accepted.
func (m *Machine) tellBIDs(now time.Time, r *request, b *binding) {
	for _, q := range r.multi.bids {
		if !m.tells(now, bidRegistered) {
			return
		}
		m.tell(bidRegistered, map[string]any{
			"home-address": text(b.home), "bid": int(q.option.BID), "care-of": text(q.option.CareOf),
			"status": int(q.status), "name": q.status.String(),
		})
	}
	m.tellFlows(now, r, b)
}

// tellBID tells that a care-of address is not bound any more.
func (m *Machine) tellBID(now time.Time, b *binding, bid uint16, reason string) {
	if m.tells(now, bidDeleted) {
		m.tell(bidDeleted, map[string]any{"home-address": text(b.home), "bid": int(bid), "reason": reason})
	}
}

// tellFlows tells what became of the flow bindings that a Binding Update asked for.
func (m *Machine) tellFlows(now time.Time, r *request, b *binding) {
	for _, o := range r.multi.answers {
		f, ok := o.(mh.FlowIdentification)
		if !ok || !m.tells(now, flowBindingChanged) {
			continue
		}
		fields := map[string]any{"home-address": text(b.home), "fid": int(f.FID), "status": int(f.Status), "name": f.Status.String()}
		for _, e := range b.multi.flows.Entries() {
			if e.FID == f.FID {
				fields["bids"] = texts(e.BIDs)
			}
		}
		m.tell(flowBindingChanged, fields)
	}
}

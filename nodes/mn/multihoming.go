package mn

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/flows"
	"s2clab/nodes/wire/mh"
)

// A multihoming is the use of all accesses at once: RFC 5648, with flows bound to
// them by RFC 6089. It is for IPv6 care-of addresses away from home. At home, or
// where IPv4 alone carries us, a single binding is what there is, or none: being at
// home and away at once, the H flag, is not made use of.
type multihoming struct {
	all       bool // as the configuration says
	refused   bool // the home agent has none of it
	single    bool // it takes no bulk registration
	overwrite bool // what it holds is not known: O flag, RFC 5648, section 5.9
	changed   bool // an address has gone, and the home agent is to hear of it

	bindings []*careOfBinding // one for each access, by priority
	flows    []*flowBinding   // by priority
	flowless bool             // the home agent says nothing of flow bindings: RFC 6089, section 5.2.6

	ways      SetWays   // the last; without Ways: none
	refreshAt time.Time // when to extend the bindings
}

// A careOfBinding is an entry of the Binding Update List: RFC 5648, section 4.1. Its
// BID is the access's for ever.
type careOfBinding struct {
	access   *access
	bid      uint16
	priority uint8      // BID-PRI: RFC 6089, section 4.1
	wanted   netip.Addr // the care-of address that there is; not valid: none
	bound    netip.Addr // the one that the home agent has said it holds; not valid: none
	unsure   bool       // it was told otherwise, and has not answered: it holds that or this
	until    time.Time
	refused  netip.Addr // one that the home agent does not take
}

// A flowBinding is an entry of the list of flow bindings: RFC 6089, section 4.3.
type flowBinding struct {
	name     string
	fid      uint16
	priority uint16 // FID-PRI
	selector mh.TrafficSelector
	prefer   []*careOfBinding // those that it may go by, the preferred one first
	at       uint16           // the BID that the home agent has said it has it at; 0: it has not
	unsure   bool             // it was told otherwise, and has not answered
	refused  uint16           // a BID that it has refused for it
}

// SetWays makes the tunnels between several care-of addresses and the home agent, or
// changes those there are. It takes the place of SetTunnel.
type SetWays struct {
	Home4 netip.Addr    // the IPv4 home address; not valid: none
	Ways  []Way         // the first has what no flow binding takes
	Flows []flows.Entry // in the order in which they are matched
}

// A Way is one of the tunnels.
type Way struct {
	BID           uint16
	Local, Remote netip.Addr
}

func (SetWays) output() {}

// FlowMoved says which access a flow is to prefer from now on.
type FlowMoved struct {
	Flow string
	Link string
}

func (FlowMoved) input() {}

// setUpMultihoming takes what the configuration says of several accesses.
func (m *Machine) setUpMultihoming(cfg *control.MobileNode) error {
	c := &m.multi
	c.all = cfg.AllAccesses
	if !c.all {
		return nil
	}
	for i, a := range m.accesses {
		c.bindings = append(c.bindings, &careOfBinding{access: a, bid: uint16(i + 1)})
	}
	slices.SortStableFunc(c.bindings, func(a, b *careOfBinding) int {
		return cmp.Compare(rank(&cfg.Policy, a.access), rank(&cfg.Policy, b.access))
	})
	for i, b := range c.bindings {
		b.priority = uint8(min(i+1, 127))
	}
	formats := []mh.SelectorFormat{mh.IPv6Selector}
	if m.dual.asks {
		formats = append(formats, mh.IPv4Selector)
	}
	for _, f := range cfg.Flows {
		var prefer []*careOfBinding
		for _, link := range f.To {
			b := c.by(link)
			if b == nil {
				return fmt.Errorf("flow %s: there is no access %q", f.Name, link)
			}
			prefer = append(prefer, b)
		}
		for _, format := range formats {
			n := uint16(len(c.flows) + 1)
			c.flows = append(c.flows, &flowBinding{name: f.Name, fid: n, priority: 10 * n, selector: selector(&f, format), prefer: slices.Clone(prefer)})
		}
	}
	return nil
}

// selector selects the packets of a flow by what the correspondent node sends, which
// is how RFC 6088, section 3, has it.
func selector(f *control.FlowBinding, format mh.SelectorFormat) mh.TrafficSelector {
	s := mh.TrafficSelector{Format: format}
	if f.Protocol != 0 {
		s.Protocol = &mh.Range{Start: uint32(f.Protocol)}
	}
	if f.Ports.First != 0 {
		s.SourcePort = &mh.Range{Start: uint32(f.Ports.First)}
		if f.Ports.Last != f.Ports.First {
			*s.SourcePort = mh.Range{Start: uint32(f.Ports.First), End: uint32(f.Ports.Last), Ranged: true}
		}
	}
	return s
}

// on says whether several accesses are to be used.
func (c *multihoming) on() bool { return c.all && !c.refused }

// of gives the binding of a BID; nil: there is none.
func (c *multihoming) of(bid uint16) *careOfBinding {
	for _, b := range c.bindings {
		if b.bid == bid {
			return b
		}
	}
	return nil
}

// by gives the binding by a link; nil: there is none.
func (c *multihoming) by(link string) *careOfBinding {
	for _, b := range c.bindings {
		if b.access.link == link {
			return b
		}
	}
	return nil
}

// carries says whether the binding can carry packets.
func (b *careOfBinding) carries() bool {
	return b.wanted.IsValid() && b.bound == b.wanted && !b.unsure
}

// lost says whether the home agent is to forget the binding.
func (b *careOfBinding) lost() bool { return (b.bound.IsValid() || b.unsure) && !b.wanted.IsValid() }

// unregistered says whether the home agent is to be told the care-of address.
func (b *careOfBinding) unregistered() bool {
	return b.wanted.IsValid() && !b.carries() && b.refused != b.wanted
}

// target is where a flow goes: the preferred one of the accesses that can carry it;
// nil: none, and it goes with what no flow binding takes.
func (f *flowBinding) target(can func(*careOfBinding) bool) *careOfBinding {
	for _, b := range f.prefer {
		if can(b) {
			return b
		}
	}
	return nil
}

// forget is for when it is not known what the home agent holds.
func (c *multihoming) forget() {
	c.overwrite = true
	for _, b := range c.bindings {
		b.bound, b.refused, b.unsure = netip.Addr{}, netip.Addr{}, false
	}
	for _, f := range c.flows {
		f.at, f.refused, f.unsure = 0, 0, false
	}
}

// forHomeAgent prepares for another home agent.
func (c *multihoming) forHomeAgent() {
	c.refused, c.single, c.flowless = false, false, false
	c.forget()
}

// pending says whether the home agent is to hear of something.
func (c *multihoming) pending() bool {
	for _, b := range c.bindings {
		if b.lost() || b.unregistered() {
			return true
		}
	}
	for _, f := range c.flows {
		if t := f.target((*careOfBinding).carries); t != nil && (f.at != t.bid || f.unsure) && f.refused != t.bid && !c.flowless {
			return true
		}
	}
	return false
}

// wantedOf is the care-of address that an access has to be bound beside others; not
// valid: none.
func (m *Machine) wantedOf(a *access) netip.Addr {
	if !a.carrier || a.home || !a.usable6() || m.dual.failed && a.usable4() {
		return netip.Addr{}
	}
	return a.address.prefix.Addr()
}

// best is the access that stands for all: by choose, or where all are used the home
// link, then the first that can be bound beside others.
func (m *Machine) best(now time.Time) *access {
	if m.multi.on() {
		for _, a := range m.accesses {
			if a.usable() && a.home {
				return a
			}
		}
		for _, b := range m.multi.bindings {
			if m.wantedOf(b.access).IsValid() {
				return b.access
			}
		}
	}
	return choose(now, &m.cfg.Policy, m.here, m.accesses)
}

// settleAll is settle where all accesses are used; false: that is not so, since best
// is the home link, or has IPv4 only.
func (m *Machine) settleAll(now time.Time, best *access) bool {
	c := &m.multi
	var came []*careOfBinding
	changed, some := c.changed, false
	for _, b := range c.bindings {
		is := netip.Addr{}
		if best != nil && !best.home {
			is = m.wantedOf(b.access)
		}
		if is != b.wanted {
			changed = true
			if is.IsValid() {
				came = append(came, b)
			}
			b.wanted = is
		}
		some = some || is.IsValid()
	}
	if !some {
		return false
	}
	c.changed = false
	careOf := m.careOfAt(best)
	if !changed && best == m.here && careOf == m.careOf {
		return true
	}
	if best != m.here {
		m.chosen(now, best) // for what no flow binding takes
	}
	m.here, m.careOf = best, careOf
	for _, b := range came {
		m.event("attached", map[string]any{"link": b.access.link, "care-of": b.wanted.String(), "home": false})
	}
	if m.absence == revoked {
		m.absence = present
	}
	m.useWays()
	switch {
	case m.absence != present || m.transfer.leaving:
		if m.registration.mayBeHeld(now) {
			m.register(now) // ends it
		}
	case !m.registration.bound || c.pending():
		m.register(now)
	}
	if m.homecoming.access != nil {
		m.leaveHome() // after the Binding Update, which does not wait for it
	}
	return true
}

// useWays sends by the care-of addresses that the home agent holds, and each flow by
// the one that it has it at. Where an access is gone its flows go by what remains at
// once, since the home agent takes them by any.
func (m *Machine) useWays() {
	c := &m.multi
	if !m.registration.bound {
		c.forget()
	}
	var want SetWays
	if m.dual.bound {
		want.Home4 = m.dual.home
	}
	for _, b := range c.bindings {
		if b.carries() {
			want.Ways = append(want.Ways, Way{BID: b.bid, Local: b.bound, Remote: m.cfg.HomeAgent})
		}
	}
	if len(want.Ways) == 0 {
		if len(c.ways.Ways) > 0 {
			m.clearTunnel()
		}
		return
	}
	for _, f := range c.flows {
		at := c.of(f.at)
		if at == nil || !at.carries() {
			at = f.target((*careOfBinding).carries)
		}
		if at != nil {
			want.Flows = append(want.Flows, flows.Entry{FID: f.fid, Priority: f.priority, Selector: f.selector, BIDs: []uint16{at.bid}})
		}
	}
	if want.equal(&c.ways) {
		return
	}
	c.ways = want
	m.tunnel, m.former = SetTunnel{Local: want.Ways[0].Local, Remote: want.Ways[0].Remote, Home4: want.Home4}, SetTunnel{}
	m.do(want)
	m.forsakeTunnel()
}

func (w *SetWays) equal(other *SetWays) bool {
	return w.Home4 == other.Home4 && slices.Equal(w.Ways, other.Ways) && slices.EqualFunc(w.Flows, other.Flows, func(a, b flows.Entry) bool {
		return a.FID == b.FID && slices.Equal(a.BIDs, b.BIDs)
	})
}

// dropWay stops sending from an address that is about to go.
func (m *Machine) dropWay(address netip.Addr) {
	c := &m.multi
	for _, b := range c.bindings {
		if b.wanted == address {
			b.wanted, c.changed = netip.Addr{}, true
		}
	}
	if len(c.ways.Ways) > 0 {
		m.useWays()
	}
}

// moveFlow lets a flow prefer another access.
func (m *Machine) moveFlow(now time.Time, in FlowMoved) {
	c := &m.multi
	to := c.by(in.Link)
	if to == nil {
		return // the loop has looked
	}
	for _, f := range c.flows {
		if f.name == in.Flow {
			f.refused = 0
			f.prefer = append([]*careOfBinding{to}, slices.DeleteFunc(f.prefer, func(b *careOfBinding) bool { return b == to })...)
		}
	}
	if m.several() && c.pending() {
		m.register(now)
	}
}

// several says whether the next Binding Update is for several care-of addresses. One
// that ends all is not: RFC 5648, section 5.4.
func (m *Machine) several() bool {
	return m.multi.on() && m.here != nil && !m.here.home && m.absence == present && !m.transfer.leaving &&
		slices.ContainsFunc(m.multi.bindings, func(b *careOfBinding) bool { return b.wanted.IsValid() })
}

// several says whether it is a Binding Update for several care-of addresses.
func (u *update) several() bool { return len(u.bids) > 0 }

// A sentBID is a Binding Identifier option as it was sent.
type sentBID struct {
	of     *careOfBinding
	careOf netip.Addr
}

// optionsMulti adds to a Binding Update what several care-of addresses want in it:
// those that are lost, which takes a lifetime of zero, or else all that there are
// (RFC 5648, sections 5.2 to 5.4). Addresses that the home agent holds are not
// repeated, and flow bindings that it has are only refreshed, which is due in each
// Binding Update (RFC 6089, section 5.2).
func (m *Machine) optionsMulti(u *update, bu *mh.BindingUpdate) {
	if !m.several() {
		return
	}
	c := &m.multi
	if !m.registration.bound {
		c.forget()
	}
	removes := slices.ContainsFunc(c.bindings, (*careOfBinding).lost)
	if removes {
		u.lifetime, bu.Lifetime = 0, 0
	}
	registered := map[*careOfBinding]bool{}
	for _, b := range c.bindings {
		registered[b] = b.bound.IsValid() && !b.lost() && !b.unsure
		switch {
		case removes && !b.lost():
			continue
		case removes:
		case !b.wanted.IsValid() || b.refused == b.wanted || c.single && !c.hasTurn(b):
			continue
		}
		o := mh.BindingIdentifier{BID: b.bid, Priority: b.priority}
		if removes {
			b.unsure = true
		} else if !b.carries() {
			o.CareOf, b.unsure = b.wanted, true
		}
		registered[b] = !removes
		bu.Options = append(bu.Options, o)
		u.bids = append(u.bids, sentBID{of: b, careOf: b.wanted})
	}
	if c.overwrite {
		bu.Flags |= mh.Overwrite
	}
	if !c.flowless {
		m.optionsFlows(u, bu, func(b *careOfBinding) bool { return registered[b] })
	}
}

// hasTurn says whether a binding is the next, where the home agent takes no more than
// one at a time: the first that is not registered, or the one that ends first.
func (c *multihoming) hasTurn(b *careOfBinding) bool {
	var turn *careOfBinding
	for _, x := range c.bindings {
		switch {
		case !x.wanted.IsValid() || x.refused == x.wanted:
		case turn == nil, turn.carries() && (!x.carries() || x.until.Before(turn.until)):
			turn = x
		}
	}
	return b == turn
}

// optionsFlows adds flow bindings: new ones whole, those that move by reference only,
// others in a summary.
func (m *Machine) optionsFlows(u *update, bu *mh.BindingUpdate, registered func(*careOfBinding) bool) {
	var kept mh.FlowSummary
	u.flows = map[uint16]uint16{}
	for _, f := range m.multi.flows {
		to := f.target(registered)
		o := mh.FlowIdentification{FID: f.fid, Priority: f.priority}
		switch {
		case f.at == 0 && (to == nil || f.refused == to.bid):
			continue
		case to == nil || f.at == to.bid && !f.unsure || f.refused == to.bid:
			kept.FIDs = append(kept.FIDs, f.fid)
			continue
		case f.at == 0:
			o.SubOptions = []mh.FlowSubOption{f.selector}
		}
		o.SubOptions = append(o.SubOptions, mh.BindingReference{BIDs: []uint16{to.bid}})
		bu.Options = append(bu.Options, o)
		u.flows[f.fid], f.unsure = to.bid, true
	}
	if len(kept.FIDs) > 0 {
		bu.Options = append(bu.Options, kept)
	}
}

// bidTexts are the BIDs of a Binding Update as events have them.
func (u *update) bidTexts() []string {
	var all []string
	for _, b := range u.bids {
		all = append(all, strconv.Itoa(int(b.of.bid)))
	}
	return all
}

// lasts is lifetime, where a Binding Update is for several care-of addresses: no
// longer than the first of them to end.
func (m *Machine) lasts(now time.Time, l time.Duration) time.Duration {
	for _, b := range m.multi.bindings {
		if r := b.access.router; b.wanted.IsValid() && r != nil {
			if _, ends := b.access.ends(r); !ends.IsZero() {
				l = min(l, ends.Sub(now))
			}
		}
	}
	return l
}

// acceptedMulti takes the acknowledgement of a Binding Update for several care-of
// addresses that was accepted, at least in part: RFC 5648, section 5.7.
func (m *Machine) acceptedMulti(now time.Time, u *update, ba *mh.BindingAcknowledgement, home netip.Addr) {
	r, c := &m.registration, &m.multi
	if _, ok := mh.Find[mh.BindingIdentifier](ba.Options); !ok {
		m.acceptedWithoutBID(now, u, ba, home)
		return
	}
	granted := min(ba.Lifetime, u.lifetime)
	m.event("binding-acknowledged", map[string]any{"seq": ba.Seq, "status": uint8(ba.Status),
		"lifetime": granted.Seconds(), "latency": now.Sub(u.sent).Seconds(), "bids": u.bidTexts()})
	m.security.bound(m, u, granted)
	r.waiting, r.corrections, c.overwrite = nil, 0, false
	if u.lifetime > 0 && granted == 0 {
		return // as in accepted
	}
	r.retryAt, r.held = time.Time{}, false
	if u.asks() {
		m.assigned(home)
	}
	if u.lifetime > 0 {
		m.acknowledged4(u, ba)
	}
	m.registered(u, ba, granted)
	m.flowsBound(u, ba)
	m.countBindings(now, u, ba, granted)
	m.useWays()
	if r.boundTo = m.tunnel.Local; u.asks() {
		m.lookForHome(now)
	}
	if r.waiting == nil && r.retryAt.IsZero() && m.several() && c.pending() {
		m.register(now)
	}
}

// acceptedWithoutBID takes an acknowledgement by a home agent that does not know of
// several care-of addresses: RFC 5648, section 5.7. It has bound the one that the
// Binding Update came from, or removed all.
func (m *Machine) acceptedWithoutBID(now time.Time, u *update, ba *mh.BindingAcknowledgement, home netip.Addr) {
	m.refuseMulti("the home agent says nothing of BIDs")
	u.bids = nil
	if u.lifetime > 0 {
		m.accepted(now, u, ba, home)
		return
	}
	m.security.bound(m, u, 0)
	m.registration.unbind()
	m.clearTunnel()
	m.register(now)
}

// countBindings sees until when the home agent holds something, and when to extend
// that.
func (m *Machine) countBindings(now time.Time, u *update, ba *mh.BindingAcknowledgement, granted time.Duration) {
	r, c := &m.registration, &m.multi
	var last time.Time
	for _, b := range c.bindings {
		if b.bound.IsValid() && b.until.After(last) {
			last = b.until
		}
	}
	if last.IsZero() {
		r.unbind()
		return
	}
	r.bound, r.expires, r.mayHold = true, last, last
	switch advice, ok := mh.Find[mh.RefreshAdvice](ba.Options); {
	case granted == 0:
	case c.single: // each has its own turn
		c.refreshAt = last
		for _, b := range c.bindings {
			if at := now.Add(b.until.Sub(now) * 3 / 4); b.carries() && at.Before(c.refreshAt) {
				c.refreshAt = at
			}
		}
	case ok && advice.Interval > 0 && advice.Interval < granted*3/4:
		c.refreshAt = u.sent.Add(advice.Interval)
	default:
		c.refreshAt = u.sent.Add(granted * 3 / 4)
	}
	r.refreshAt = c.refreshAt
}

// registered takes the status of each Binding Identifier option.
func (m *Machine) registered(u *update, ba *mh.BindingAcknowledgement, granted time.Duration) {
	told := map[uint16]mh.Status{}
	for _, o := range ba.Options {
		if o, ok := o.(mh.BindingIdentifier); ok {
			if told[o.BID] = o.Status; o.Status == 0 {
				told[o.BID] = ba.Status
			}
		}
	}
	for _, sent := range u.bids {
		b := sent.of
		status, answered := told[b.bid]
		fields := map[string]any{"link": b.access.link, "care-of": sent.careOf.String(), "bid": int(b.bid)}
		switch {
		case !answered:
			continue
		case u.lifetime == 0: // accepted, or not known to the home agent: it is not there
			fields["care-of"], fields["reason"] = b.bound.String(), "de-registered"
			b.bound = netip.Addr{}
			m.event("care-of-deleted", fields)
		case status.Accepts():
			first := b.bound != sent.careOf || b.unsure
			b.bound, b.until = sent.careOf, u.sent.Add(granted)
			if first {
				fields["lifetime"] = granted.Seconds()
				m.event("bound", fields)
			}
		default:
			b.bound = netip.Addr{}
			m.careOfRefused(b, sent.careOf, status, len(u.bids) > 1)
		}
		b.unsure = false
	}
}

// careOfRefused takes the status of a care-of address that the home agent does not
// bind: RFC 5648, section 5.7.
func (m *Machine) careOfRefused(b *careOfBinding, careOf netip.Addr, status mh.Status, bulk bool) {
	m.event("care-of-refused", map[string]any{"link": b.access.link, "care-of": careOf.String(), "bid": int(b.bid),
		"status": uint8(status), "name": status.String()})
	switch {
	case status == mh.MCoAUnknownCareOf: // its address goes along the next time
	case status == mh.MCoABulkProhibited && bulk:
		m.multi.single = true
	default:
		b.refused = careOf
	}
}

// flowsBound takes what became of flow bindings: RFC 6089, section 5.2.6.
func (m *Machine) flowsBound(u *update, ba *mh.BindingAcknowledgement) {
	c := &m.multi
	if _, ok := mh.Find[mh.FlowIdentification](ba.Options); !ok && len(u.flows) > 0 {
		c.flowless = true
		m.event("flow-refused", map[string]any{"reason": "the home agent says nothing of flow bindings"})
		return
	}
	for _, o := range ba.Options {
		o, ok := o.(mh.FlowIdentification)
		if !ok {
			continue
		}
		i := slices.IndexFunc(c.flows, func(f *flowBinding) bool { return f.fid == o.FID })
		if i < 0 {
			continue
		}
		f := c.flows[i]
		to, asked := u.flows[o.FID]
		f.unsure = false
		fields := map[string]any{"flow-name": f.name, "fid": int(f.fid), "status": int(o.Status), "name": o.Status.String()}
		switch {
		case o.Status == mh.FlowFIDNotFound || !asked || o.Status == mh.FlowMalformed && f.at != 0:
			f.at = 0 // the home agent does not have it, and it goes whole the next time
		case o.Status == mh.FlowBIDNotFound && !c.of(to).carries(): // which is to be bound first
		case o.Status != mh.FlowBound:
			f.refused = to
			m.event("flow-refused", fields)
		default:
			f.at, f.refused = to, 0
			fields["link"], fields["bid"] = c.of(to).access.link, int(to)
			m.event("flow-bound", fields)
		}
	}
}

// refuseMulti goes on with a single care-of address.
func (m *Machine) refuseMulti(why string) {
	c := &m.multi
	c.refused = true
	c.forget()
	m.event("multihoming-refused", map[string]any{"reason": why})
}

// refusedMulti takes the proven refusal of a Binding Update for several care-of
// addresses as a whole, and says whether it has: RFC 5648, section 5.7.
func (m *Machine) refusedMulti(now time.Time, u *update, status mh.Status) bool {
	r, c := &m.registration, &m.multi
	switch {
	case !u.several():
		return false
	case status == mh.MCoAProhibited:
		m.refuseMulti(status.String())
		if m.best(now) != m.here { // which access a single binding is by, the policy says
			m.settle(now)
			return true
		}
	case status == mh.MCoABulkProhibited && len(u.bids) > 1:
		c.single = true
	case status == mh.MCoANonMCoABindingExists, status == mh.MCoAUnknownCareOf, status == mh.NotHomeAgent:
		c.forget()
	case len(u.bids) == 1 && u.lifetime > 0 && (status == mh.InvalidCareOf || status == mh.MCoAMalformed || status == mh.MCoAHomeForeignProhibited):
		m.careOfRefused(u.bids[0].of, u.bids[0].careOf, status, false)
		if !c.pending() {
			r.retryAt, r.held = time.Time{}, false
			return true
		}
	default:
		return false
	}
	m.correct(now)
	return true
}

package analysis

import "time"

// goesDirectly says whether packets of a direction went directly when a move began:
// by route optimization, RFC 6275, section 9.3 and 11.3.
func (r *reading) goesDirectly(m *move, d *Direction) (directly bool) {
	mobile := r.net.nodes[m.Node]
	other := d.From
	if other == m.Node {
		other = d.To
	}
	peer := r.net.nodes[other]
	if mobile == nil || mobile.MobileNode == nil || peer == nil {
		return false
	}
	home := mobile.MobileNode.HomeAddress.String()
	isPeer := func(address string) bool {
		for _, i := range peer.Interfaces {
			for _, p := range i.Addresses {
				if p.Addr().String() == address {
					return true
				}
			}
		}
		return false
	}
	for _, e := range r.events {
		if e.At >= m.Start {
			break
		}
		f := fields(e.Fields)
		node := NodeOf(e)
		about := node == d.From && (d.From == m.Node && isPeer(f.text("peer")) || d.From == other && f.text("home-address") == home)
		switch e.Name {
		case "route-optimized":
			directly = directly || about
		case "route-optimization-ended":
			directly = directly && !about
		case "node-started", "node-stopped", "node-died":
			directly = directly && !(node == d.From && f.text("role") != "traffic")
		}
	}
	return directly
}

// boundOfDirect is boundOf for a direction that was optimised. b holds what the
// registration with the home agent needs, ha.
//
// The care-of test runs beside that registration, and the correspondent's Binding
// Update goes when both are done. To the mobile, the correspondent sends by the old
// way until that has come. From the mobile, the first packet goes by way of the home
// agent, or directly when the correspondent has acknowledged, whichever is there
// sooner; and the last packets of the old link had a shorter way.
func (r *reading) boundOfDirect(m *move, d *Direction, b Bound, ha string) Bound {
	other := d.From
	if other == m.Node {
		other = d.To
	}
	there, ok := r.net.oneWay(m.Node, m.To, other, "")
	back, okBack := r.net.oneWay(other, "", m.Node, m.To)
	trip, okTrip := r.net.roundTrip(m.Node, m.To, ha)
	if !ok || !okBack || !okTrip {
		return Bound{}
	}
	var test time.Duration
	if !r.net.links[m.To].Home { // at home there is none
		test = max(there+back-trip, 0)
	}
	if d.To == m.Node {
		b.add("care-of test, beyond the acknowledgement", test)
		b.add("binding update to "+other+", and first packet", there+back)
		b.settle()
		return b
	}
	toAgent, ok := r.net.oneWay(m.Node, m.To, ha, "")
	on, okOn := r.net.oneWay(ha, "", other, "")
	old, okOld := r.net.router(m.origin, m.Node)
	if !ok || !okOn || !okOld {
		return Bound{}
	}
	first := toAgent + on
	if r.net.links[m.To].Home {
		first = there
	}
	b.add("first packet's way to "+other, min(first, test+there+back+there))
	if rest, ok := r.net.oneWay(old, "", other, ""); ok {
		b.add("last packets of the old link, still on their way", -rest)
	}
	b.settle()
	if was, ok := r.net.oneWay(m.Node, m.origin, other, ""); ok {
		b.atLeast(there - was)
	}
	return b
}

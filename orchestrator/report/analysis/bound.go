package analysis

import (
	"strconv"
	"time"

	"s2clab/topologies"
)

// A Bound is what physics and the protocol's round trips set: no software at the
// ends of the configured links could be quicker. It is a sum of Terms.
type Bound struct {
	Known bool
	Total time.Duration // never negative
	Terms []Term
}

// A Term is one part of a Bound. A negative one is time that a part saved.
type Term struct {
	Name   string
	Length time.Duration
}

// dadWait is how long an address is watched for duplicates before it is used:
// RFC 4862, sections 5.1 and 5.4, one probe and RetransTimer of RFC 4861.
const dadWait = time.Second

func (b *Bound) add(name string, length time.Duration) {
	b.Terms = append(b.Terms, Term{name, length})
	b.Total += length
}

// bound computes the part of a move's bound that is the same for all flows: until
// the binding is acknowledged.
func (r *reading) bound(m *move) {
	r.net.now = m.Start
	b := &m.Bound
	router, ok := r.net.router(m.To, m.Node)
	ha, haOK := r.net.homeAgent(m.Node)
	if !ok || !haOK {
		return
	}
	b.Known = true
	if m.silent != "" {
		b.add(m.silent, m.Start-m.since)
	}
	switch {
	case m.up != nil && m.down != nil:
		b.add("link gap", m.up.switched()-m.down.switched())
	case m.up == nil && m.down != nil:
		b.add("link gap", m.Start-m.down.at)
	case m.up == nil:
		b.add("link gap", m.Start-m.End) // the old link was never lost
	case m.Kind == Soft || m.Kind == Return:
		b.add("link gap", m.up.switched()-m.End) // the old link was never lost
	}
	if m.up != nil { // else the router is known
		trip := func(to string) time.Duration { return r.net.across(m.To, m.Node) + r.net.across(m.To, to) }
		r.boundOfAccess(m, b, router, trip(router))
		if !m.four {
			b.add("router solicitation and advertisement", trip(router))
		}
		if server, ok := r.net.addressServer(m.To, m.four); ok {
			switch {
			case m.knownLease:
				b.add("DHCP: request and acknowledgement", trip(server))
			case m.four:
				b.add("DHCP: discovery and offer, request and acknowledgement", 2*trip(server))
			case m.managed:
				b.add("DHCP: solicitation and reply", trip(server))
			}
		}
	}
	home := r.net.links[m.To].Home
	mobile := r.net.nodes[m.Node].MobileNode
	if mobile.DAD == "full" && !home {
		b.add("duplicate address detection of the care-of address", dadWait)
	}
	if m.Kind == Attach && home {
		b.settle()
		return // no binding is needed
	}
	there, ok := r.net.roundTrip(m.Node, m.To, ha.Name)
	if !ok {
		*b = Bound{}
		return
	}
	r.boundOfBootstrapping(m, b)
	b.add("binding update and acknowledgement", there)
	for i := range m.waits {
		if w := &m.waits[i]; w.again {
			w.length = there
		}
	}
	r.boundOfAuthority(m, b, ha)
	if m.First {
		if ha.HomeAgent.DAD == "full" {
			b.add("duplicate address detection of the home address", dadWait)
		}
	}
	b.settle()
}

// boundOfAccess adds what access authentication needs: the router asks who is
// there, and each response goes by way of it to the AAA server, which may have to
// ask the HSS.
func (r *reading) boundOfAccess(m *move, b *Bound, router string, link time.Duration) {
	n := r.net.nodes[router]
	if m.admitted == 0 || n == nil || n.Router == nil || len(n.Router.AAA) == 0 {
		return
	}
	b.add("EAPOL start and identity request", link)
	aaa := n.Router.AAA[0]
	asked := r.asked(router, m.Node, m.Start, m.admitted)
	if len(asked) > 0 {
		aaa = asked[0].server()
	}
	if there, ok := r.net.roundTrip(m.Node, m.To, aaa); ok {
		b.add("EAP by way of the router to the AAA server and back, times "+strconv.Itoa(m.exchanges), time.Duration(m.exchanges)*there)
	}
	var within []exchange
	for _, x := range asked {
		within = append(within, x.within...)
	}
	r.addExchanges(b, within, func(server string) string { return "from there to the " + r.roleOf(server) + " and back" })
}

// leastUb is how many requests a run of Ub takes: one gets a challenge, the other answers
// it. TS 33.220, section 4.5.2.
const leastUb = 2

// boundOfBootstrapping adds what a run of Ub needs: a connection of TCP, its requests,
// and what the BSF asks the HSS meanwhile.
func (r *reading) boundOfBootstrapping(m *move, b *Bound) {
	run, ran := m.Phase(Bootstrapping)
	if !ran {
		return
	}
	requests, bsf := 0, ""
	for i := range r.Messages {
		q := &r.Messages[i]
		if q.Name == "ub-request" && q.From == m.Node && q.Start >= run.Start && q.Start <= run.End && len(q.To) == 1 && q.Fate != "dropped" {
			requests, bsf = requests+1, q.To[0]
		}
	}
	for _, name := range r.net.order {
		if bsf == "" && r.net.nodes[name].BSF != nil {
			bsf = name
		}
	}
	there, ok := r.net.roundTrip(m.Node, m.To, bsf)
	if !ok {
		return
	}
	requests = max(requests, leastUb)
	b.add("connection of TCP with the BSF", there)
	b.add(times("request and response of Ub", requests), time.Duration(requests)*there)
	r.addExchanges(b, r.asked(bsf, m.Node, run.Start, run.End), func(server string) string { return "from the BSF to the " + r.roleOf(server) + " and back" })
}

// boundOfAuthority adds what the home agent has to ask others about the mobile before
// it answers.
func (r *reading) boundOfAuthority(m *move, b *Bound, ha *topologies.Node) {
	name := func(server string) string { return r.roleOf(server) + " request and answer" }
	if at, ok := m.Phase(Signalling); ok {
		if asked := r.asked(ha.Name, m.Node, at.Start, at.End); len(asked) > 0 {
			r.addExchanges(b, asked, name)
			return
		}
	}
	if !m.First || len(ha.HomeAgent.AAA) == 0 {
		return
	}
	if trip, ok := r.net.roundTrip(ha.Name, "", ha.HomeAgent.AAA[0]); ok { // of a journal without packets
		b.add(name(ha.HomeAgent.AAA[0]), trip)
	}
}

// atLeast raises a bound to what the difference of two ways sets.
func (b *Bound) atLeast(longer time.Duration) {
	if longer > b.Total {
		b.add("the new way is longer than the old", longer-b.Total)
	}
}

func (b *Bound) settle() { b.Total = max(b.Total, 0) }

// boundOf is a move's bound for what one direction of a flow sees.
//
// To the mobile, the first packet can leave the home agent together with the
// acknowledgement: nothing is added. From the mobile, it leaves when the
// acknowledgement has come, and needs its way to the other end; but there the
// silence begins only when the last packet of the old link has come its way.
//
// Even where both links are there at once, the first packet of a longer way
// comes later after its forerunner than this one did after its own.
func (r *reading) boundOf(m *move, d *Direction) Bound {
	b := Bound{Known: m.Bound.Known}
	if !b.Known || m.Kind == Attach || d.Kind == "request" {
		return Bound{}
	}
	for _, t := range m.Bound.Terms {
		b.add(t.Name, t.Length)
	}
	for _, w := range m.waits {
		if d.To == m.Node && w.toMobile || d.From == m.Node && w.toPeer {
			b.add(w.name, w.length)
		}
	}
	ha, _ := r.net.homeAgent(m.Node)
	if r.goesDirectly(m, d) {
		return r.boundOfDirect(m, d, b, ha.Name)
	}
	if d.To == m.Node {
		b.add("first packet, beside the acknowledgement", 0)
		b.settle()
		was, ok := r.net.oneWay(ha.Name, "", m.Node, m.origin)
		is, okIs := r.net.oneWay(ha.Name, "", m.Node, m.To)
		if ok && okIs {
			b.atLeast(is - was)
		}
		return b
	}
	there, ok := r.net.oneWay(m.Node, m.To, ha.Name, "")
	on, okOn := r.net.oneWay(ha.Name, "", d.To, "")
	if !ok || !okOn {
		return Bound{}
	}
	b.add("first packet's way to "+d.To, there+on)
	if old, ok := r.net.router(m.origin, m.Node); ok {
		if rest, ok := r.net.oneWay(old, "", ha.Name, ""); ok {
			b.add("last packets of the old link, still on their way", -(rest + on))
		}
	}
	b.settle()
	if was, ok := r.net.oneWay(m.Node, m.origin, ha.Name, ""); ok {
		b.atLeast(there - was)
	}
	return b
}

// settleTogether gives a silence that two mobiles made together, each by its own
// move, the longer of the two bounds: both have to be reachable again.
func (r *reading) settleTogether() {
	type silence struct {
		flow, from, to string
		start, end     time.Duration
	}
	longest := map[silence]Bound{}
	each := func(do func(silence, *Interruption)) {
		for i := range r.Handovers {
			for k := range r.Handovers[i].Interruptions {
				n := &r.Handovers[i].Interruptions[k]
				do(silence{n.Flow, n.From, n.To, n.Start, n.End}, n)
			}
		}
	}
	each(func(s silence, n *Interruption) {
		if n.Bound.Known && n.Bound.Total >= longest[s].Total {
			longest[s] = n.Bound
		}
	})
	each(func(s silence, n *Interruption) {
		if b := longest[s]; n.Bound.Known && b.Total > n.Bound.Total {
			n.Bound = b
		}
	})
}

package analysis

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"s2clab/orchestrator/journal"
)

// A Handover is one move of a mobile node: from one link to another, back to the
// same one after it was gone, or onto its first.
type Handover struct {
	Number int // from 1, over all mobiles, in the order of beginning; 0: a first attachment, which is none
	Node   string
	Kind   Kind
	From   string // link; empty at an attach
	To     string // link
	Start  time.Duration
	Done   time.Duration // when the mobile could be reached again; meaningless unless Outcome is Completed
	End    time.Duration // of what is counted to this handover: the next one's start, or the journal's end

	Outcome  Outcome
	Reason   string // why it was not completed, in words
	First    bool   // the home agent had to ask an AAA server
	Attempts int    // Binding Updates sent

	Split         []Phase // what it was made of, as far as the journal says
	Bound         Bound   // what no software could have bettered, but for the flow's own last step
	Interruptions []Interruption
	Access        Counted // signalling that crossed access links
	AAA           int     // messages between servers about the mobile: Diameter and RADIUS
}

// Kind is what sort of move a handover is.
type Kind string

// The kinds of moves.
const (
	Attach Kind = "attach"      // onto the first link
	Move   Kind = "move"        // to another link, the old one lost first
	Soft   Kind = "make-before" // to another link, the old one not yet lost
	Return Kind = "return-home" // to the home link
	Again  Kind = "reattach"    // to the link that was lost
)

// Outcome is how a handover ended.
type Outcome string

// The outcomes of handovers.
const (
	Completed  Outcome = "completed"
	Refused    Outcome = "refused"    // by the home agent
	Overtaken  Outcome = "overtaken"  // the next handover began before
	Unfinished Outcome = "unfinished" // the journal ends before
	Died       Outcome = "died"       // the mobile's process did
)

// The phases of a handover, in the order in which they follow.
const (
	LinkGap              = "link-gap"              // old carrier lost until new one gained; negative: both were there
	AccessAuthentication = "access-authentication" // carrier gained until the access let the mobile in
	MovementDetection    = "movement-detection"    // from then until a router was found, or with IPv4 a DHCP server
	AddressConfiguration = "address-configuration" // from then until the address could be used
	Bootstrapping        = "bootstrapping"         // Ub: from its start until there were keys
	Signalling           = "signalling"            // first Binding Update until it was acknowledged
	FirstPacket          = "first-packet"          // acknowledgement until a packet arrived
)

// PhaseNames are all phases, in order.
var PhaseNames = []string{LinkGap, AccessAuthentication, MovementDetection, AddressConfiguration, Bootstrapping, Signalling, FirstPacket}

// Phases are those that a table of the handovers needs, in order: access authentication
// and bootstrapping only where there was one.
func (a *Analysis) Phases() []string {
	return slices.DeleteFunc(slices.Clone(PhaseNames), func(name string) bool {
		return (name == AccessAuthentication || name == Bootstrapping) && !slices.ContainsFunc(a.Handovers, func(h Handover) bool {
			_, ok := h.Phase(name)
			return ok
		})
	})
}

// A Phase is one part of a handover. One of which the journal lacks an end does
// not exist.
type Phase struct {
	Name       string
	Start, End time.Duration
}

// Length may be negative for a LinkGap: the overlap of a make-before-break.
func (p Phase) Length() time.Duration { return p.End - p.Start }

// Phase gives one phase, and false where the journal does not hold it.
func (h *Handover) Phase(name string) (Phase, bool) {
	for _, p := range h.Split {
		if p.Name == name {
			return p, true
		}
	}
	return Phase{}, false
}

// Worst is the longest of the interruptions, nil where there is none. A connection
// counts only where there is nothing else: to the silence of the network it adds
// what its own retransmission timer waits.
func (h *Handover) Worst() *Interruption {
	var worst *Interruption
	for i := range h.Interruptions {
		if n := &h.Interruptions[i]; worst == nil || worst.Stream && !n.Stream || worst.Stream == n.Stream && n.Length > worst.Length {
			worst = n
		}
	}
	return worst
}

// Excess is how far the interruption was above its bound, of the direction in
// which it was most; false where no bound or no traffic is known. It is negative
// where the flow's packets were too far apart to see the whole of it. Connections
// count as in Worst.
func (h *Handover) Excess() (excess time.Duration, ok bool) {
	worst := h.Worst()
	for _, n := range h.Interruptions {
		if e, known := n.Excess(); known && n.Stream == worst.Stream && (!ok || e > excess) {
			excess, ok = e, true
		}
	}
	return excess, ok
}

// readHandovers finds the moves of every mobile node, and then what happened in
// each.
func (r *reading) readHandovers() {
	mobiles := r.net.mobiles()
	for _, e := range r.events { // those that the topology does not know
		if n := NodeOf(e); n != "" && (e.Name == "link-attached" || e.Name == "carrier-gained") && !slices.Contains(mobiles, n) && len(r.net.order) == 0 {
			mobiles = append(mobiles, n)
		}
	}
	byNode := map[string][]journal.Event{}
	for _, e := range r.events {
		if n := NodeOf(e); n != "" && e.Name != "packet" && e.Name != "flow-samples" {
			byNode[n] = append(byNode[n], e)
		}
	}
	for _, node := range mobiles {
		moves := r.movesOf(node)
		if choices := choicesOf(byNode[node]); choices != nil {
			moves = r.movesByChoice(node, choices)
		}
		for i := range moves {
			m := &moves[i]
			m.End = max(r.Duration, m.Start)
			if i+1 < len(moves) {
				m.End = max(moves[i+1].Start, m.Start)
			}
			m.lastSeen(moves[:i], byNode[node])
			r.follow(m, byNode[node], i+1 < len(moves))
			r.Handovers = append(r.Handovers, m.Handover)
		}
	}
	r.settleTogether()
	slices.SortStableFunc(r.Handovers, func(a, b Handover) int { return cmp.Compare(a.Start, b.Start) })
	n := 0
	for i := range r.Handovers {
		if r.Handovers[i].Kind != Attach {
			n++
			r.Handovers[i].Number = n
		}
	}
	r.countMessages()
}

// A move is a Handover with the changes of links that made it.
type move struct {
	Handover
	up   *change // of the new link; nil: it had been up all the time
	down *change // of the old link; nil: none, or it stayed up

	four       bool // the new care-of address is of IPv4
	knownLease bool // and was asked for at once
	managed    bool // it is of IPv6, and by DHCP

	admitted  time.Duration // when the access let the mobile in; 0: it asks nobody who he is
	exchanges int           // EAP responses for that, each of which the AAA server answered

	since  time.Duration // when the mobile was last reachable, if all went as it should: Start, or before
	silent string        // why that is before Start; empty: it is not
	origin string        // the link where it was reachable; From, where it is not before
	waits  []wait
}

func isIPv4(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.Is4()
}

// movesOf tells the moves of one mobile apart.
func (r *reading) movesOf(node string) []move {
	var moves []move
	var current, lost *change // the link in use; the one that was last lost
	var up []*change          // links that are up, the oldest first
	for _, c := range r.changesOf(node) {
		switch {
		case c.up:
			m := move{up: c}
			m.Node, m.To, m.Start, m.Kind = node, c.link, c.at, Attach
			switch {
			case current != nil:
				m.Kind, m.From = Soft, current.link
			case lost != nil:
				m.Kind, m.From, m.Start, m.down = Move, lost.link, lost.at, lost
			}
			if m.Kind == Move && m.From == m.To {
				m.Kind = Again
			}
			if l := r.net.links[c.link]; m.Kind != Attach && m.Kind != Again && l != nil && l.Home {
				m.Kind = Return
			}
			moves = append(moves, m)
			up = append(up, c)
			current = c
		default:
			up = slices.DeleteFunc(up, func(o *change) bool { return o.link == c.link })
			lost = c
			switch {
			case current == nil:
			case current.link == c.link:
				current = nil
				if len(up) > 0 { // back to one that is still there
					current = up[len(up)-1]
					m := move{down: c}
					m.Node, m.From, m.To, m.Start, m.Kind = node, c.link, current.link, c.at, Move
					if l := r.net.links[m.To]; l != nil && l.Home {
						m.Kind = Return
					}
					moves = append(moves, m)
				}
			default: // the old link of a make-before-break
				if last := &moves[len(moves)-1]; last.From == c.link && last.down == nil {
					last.down = c
				}
			}
		}
	}
	return moves
}

// follow reads what the mobile did in one move, and fills it in.
func (r *reading) follow(m *move, events []journal.Event, overtaken bool) {
	gained := m.Start
	if m.up != nil {
		gained = m.up.seen()
	}
	switch {
	case m.up != nil && m.down != nil:
		// What the mobile saw, where it told of both; else what the lab did.
		if m.up.noticed && m.down.noticed {
			m.phase(LinkGap, m.down.mobile, m.up.mobile)
		} else {
			m.phase(LinkGap, m.down.switched(), m.up.switched())
		}
	case m.Kind != Attach:
		m.phase(LinkGap, gained, gained)
	}
	begin := m.Start
	if m.up != nil {
		begin = m.up.at
	}
	var router, offered, admitted, began, keyed, sent, bound time.Duration = -1, -1, -1, -1, -1, -1, -1
	address := map[bool]time.Duration{} // by whether it is of IPv4
	how := ""                           // the IPv6 one came
	var tries []try
	accepted := -1.0
	failure, reason := Outcome(""), ""
	home := false
	for _, e := range events {
		if e.At < begin || e.At > m.End || e.At == m.End && overtaken {
			continue
		}
		f := fields(e.Fields)
		switch e.Name {
		case "access-authenticated":
			if admitted < 0 && f.text("link") == m.To {
				admitted, m.exchanges = e.At, max(f.count("exchanges"), 0)
			}
		case "access-refused":
			if f.text("link") == m.To {
				failure, reason = Refused, fmt.Sprintf("by the access: %s", f.text("reason"))
			}
		case "router-found":
			if router < 0 && f.text("link") == m.To {
				router = e.At
				home = home || f.flag("home")
			}
		case "address-offered":
			if offered < 0 && f.text("link") == m.To {
				offered = e.At
			}
		case "address-configured":
			four := isIPv4(f.text("address"))
			if _, had := address[four]; !had && f.text("link") == m.To {
				address[four] = e.At
				if !four {
					how = f.text("how")
				}
			}
		case "address-failed":
			if f.text("link") == m.To {
				failure, reason = Unfinished, fmt.Sprintf("address %s failed", f.text("address"))
			}
		case "bootstrap-started":
			if began < 0 && sent < 0 {
				began = e.At
			}
		case "bootstrapped":
			if sent < 0 {
				keyed = e.At
			}
		case "bootstrap-failed":
			failure, reason = Unfinished, fmt.Sprintf("bootstrapping failed: %s", f.text("reason"))
		case "attached":
			if f.text("link") == m.To && f.flag("home") {
				home = true
				if bound < 0 && m.Attempts == 0 && m.Kind == Attach {
					bound = e.At // nothing to tell the home agent
				}
			}
		case "binding-update-sent", "registration-request-sent":
			if bound >= 0 || f.text("peer") != "" {
				continue // a refresh, or for a correspondent
			}
			m.Attempts++
			if sent < 0 {
				sent = e.At
				m.four = isIPv4(f.text("care-of"))
			}
			if n, ok := f.number("seq"); ok {
				tries = append(tries, try{at: e.At, seq: n})
			}
			m.First = m.First || slices.Contains(f.texts("auth"), "mn-aaa")
		case "binding-acknowledged", "registration-accepted":
			n, ok := f.number("seq")
			status, _ := f.number("status")
			if sent >= 0 && bound < 0 && status < 128 && (!ok || len(tries) == 0 || slices.ContainsFunc(tries, func(t try) bool { return t.seq == n })) {
				bound, accepted = e.At, n
			}
		case "returned-home":
			if bound < 0 {
				bound = e.At
			}
		case "binding-refused":
			if f.text("peer") != "" {
				continue // by a correspondent: packets go by way of the home agent
			}
			failure = Refused
			status, _ := f.number("status")
			if n, ok := f.number("seq"); ok && len(tries) > 0 && tries[len(tries)-1].seq == n {
				tries[len(tries)-1].refused = true
			}
			reason = fmt.Sprintf("status %.0f %s", status, f.text("name"))
		case "node-died":
			if f.text("role") != "traffic" {
				failure, reason = Died, cmp.Or(f.text("exit"), "its process ended")
			}
		}
	}
	if home && m.Kind == Soft {
		m.Kind = Return
	}
	at, found := gained, router
	if admitted >= 0 {
		m.phase(AccessAuthentication, at, max(admitted, at))
		m.admitted, at = admitted, max(admitted, at)
	}
	configured, had := address[m.four]
	m.managed = !m.four && how == "dhcp"
	if m.four {
		m.knownLease = offered < 0
		if found = offered; m.knownLease && had { // its server was heard when it gave it
			found = configured
		}
	}
	if found >= 0 {
		m.phase(MovementDetection, at, max(found, at))
		at = max(found, at)
		if had {
			m.phase(AddressConfiguration, at, max(configured, at))
		}
	}
	if began >= 0 && keyed >= began {
		m.phase(Bootstrapping, began, keyed)
	}
	if sent >= 0 && bound >= sent {
		m.phase(Signalling, sent, bound)
	}
	switch {
	case bound >= 0:
		m.Outcome, m.Done = Completed, bound
	case failure != "":
		m.Outcome, m.Reason = failure, reason
	case overtaken:
		m.Outcome, m.Reason = Overtaken, "the next move began before"
	default:
		m.Outcome, m.Reason = Unfinished, "the journal ends before"
	}
	m.First = m.First && m.Outcome == Completed || r.askedAAA(m)
	if m.Outcome == Completed {
		m.waits = r.waitsOf(m, tries, accepted)
		r.bound(m)
	}
	r.interruptions(m)
	if w := m.Worst(); w != nil && w.First != nil {
		m.Split = append(m.Split, *w.First)
	}
}

func (m *move) phase(name string, start, end time.Duration) {
	m.Split = append(m.Split, Phase{name, start, end})
}

// askedAAA says whether an AAA server was asked about the mobile in a move.
func (r *reading) askedAAA(m *move) bool {
	nai := ""
	if n := r.net.nodes[m.Node]; n != nil && n.MobileNode != nil {
		nai = n.MobileNode.NAI
	}
	for _, e := range r.events {
		if e.Name == "aaa-asked" && e.At >= m.Start && e.At < m.End {
			if about := fields(e.Fields).text("nai"); about == "" || nai == "" || about == nai {
				return true
			}
		}
	}
	return false
}

package analysis

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"s2clab/orchestrator/journal"
)

// A Message is one signalling message on its way from end to end, over every
// link that it crossed. A copy that was sent again is another Message.
type Message struct {
	Name       string // kebab-case, such as binding-update
	Protocol   Protocol
	From       string   // node
	To         []string // nodes it reached, or was on its way to
	Start, End time.Duration
	Fate       string // delivered, or what befell it at last: dropped, corrupted, held, duplicated
	Reason     string
	Src, Dst   string // addresses
	Octets     int    // of the first frame
	Fields     map[string]any
	Hops       []Hop
	Handover   int // Number of the handover it belongs to; 0: none
}

// A Hop is a Message crossing one link.
type Hop struct {
	Link       string
	From       string
	To         []string
	Start, End time.Duration
	Fate       string
	Reason     string
	Frame      int // in the capture, from 1; 0: unknown
	Octets     int
}

// Protocol is what a message is part of.
type Protocol string

// The protocols that signalling messages are told apart by.
const (
	Mobility  Protocol = "mobility"
	Neighbour Protocol = "neighbour-discovery"
	DHCP      Protocol = "dhcp"
	Diameter  Protocol = "diameter"
	RADIUS    Protocol = "radius"
	EAP       Protocol = "eap" // over a LAN: IEEE 802.1X
	GBA       Protocol = "gba" // Ub
	ICMP      Protocol = "icmp"
	Other     Protocol = "other"
)

// Protocols are all protocols, in the order in which a page shows them.
var Protocols = []Protocol{Mobility, EAP, GBA, Diameter, RADIUS, Neighbour, DHCP, ICMP, Other}

// ProtocolOf says what a message of that name is part of.
func ProtocolOf(message string) Protocol {
	for _, p := range []struct {
		prefix string
		p      Protocol
	}{
		{"binding-", Mobility}, {"home-test", Mobility}, {"care-of-test", Mobility}, {"home-agent-switch", Mobility}, {"mobility-", Mobility}, {"heartbeat", Mobility},
		{"registration-request", Mobility}, {"registration-reply", Mobility}, {"registration-malformed", Mobility},
		{"router-", Neighbour}, {"neighbor-", Neighbour}, {"redirect", Neighbour}, {"arp-", Neighbour},
		{"dhcp", DHCP},
		{"eap-", EAP}, {"eapol-", EAP}, {"ub-", GBA}, {"radius-", RADIUS},
		{"mip6a-", Diameter}, {"capabilities-exchange-", Diameter}, {"device-watchdog-", Diameter}, {"disconnect-peer-", Diameter}, {"diameter-", Diameter},
		{"abort-session-", Diameter}, {"session-termination-", Diameter}, {"re-auth-", Diameter}, {"aa-", Diameter}, {"multimedia-auth-", Diameter},
		{"server-assignment-", Diameter}, {"registration-termination-", Diameter}, {"push-profile-", Diameter}, {"bootstrapping-info-", Diameter}, {"command-", Diameter},
		{"icmp6-", ICMP}, {"echo-", ICMP}, {"home-agent-address-discovery-", ICMP}, {"mobile-prefix-", ICMP},
	} {
		if strings.HasPrefix(message, p.prefix) {
			return p.p
		}
	}
	return Other
}

// carried are the fields of a packet event that tell of its crossing, not of the
// message.
var carried = []string{"message", "link", "from", "to", "frame", "fate", "reason", "src", "dst", "length", "sent", "arrived", "hop-limit", "copy", "note", "action"}

const (
	plausible = time.Minute            // between an event's time and those in its fields
	hopWait   = 2 * time.Second        // longest stay of a message in a node that hands it on
	hopSlack  = 200 * time.Microsecond // by which a node may seem to hand on what has not arrived
	chainsFor = 64                     // how many messages alike may be on their way
)

// readMessages puts the crossings of links together to messages from end to end.
func (r *reading) readMessages() {
	type chain struct{ at int } // index in Messages
	open := map[string][]chain{}
	origin := map[string]string{} // address -> node it was seen to come from
	for _, e := range r.events {
		if e.Name != "packet" {
			continue
		}
		f := fields(e.Fields)
		name := f.text("message")
		if name == "" {
			continue
		}
		hop, key := hopOf(e, f), keyOf(f)
		waiting := open[key]
		joined := false
		for i := len(waiting) - 1; i >= 0; i-- {
			m := &r.Messages[waiting[i].at]
			last := &m.Hops[len(m.Hops)-1]
			wait := hop.Start - last.End
			if hop.From == m.From || last.Fate == "dropped" || !slices.Contains(last.To, hop.From) || wait < -hopSlack || wait > hopWait {
				continue
			}
			m.Hops = append(m.Hops, hop)
			joined = true
			break
		}
		if joined {
			continue
		}
		m := Message{
			Name: name, Protocol: ProtocolOf(name), From: hop.From, Start: hop.Start,
			Src: f.text("src"), Dst: f.text("dst"), Octets: hop.Octets, Fields: map[string]any{}, Hops: []Hop{hop},
		}
		for k, v := range e.Fields {
			if !slices.Contains(carried, k) {
				m.Fields[k] = v
			}
		}
		if _, known := origin[m.Src]; !known && m.Src != "" {
			origin[m.Src] = m.From
		}
		r.Messages = append(r.Messages, m)
		if len(waiting) >= chainsFor {
			waiting = waiting[1:]
		}
		open[key] = append(waiting, chain{len(r.Messages) - 1})
	}
	for i := range r.Messages {
		m := &r.Messages[i]
		last := m.Hops[len(m.Hops)-1]
		m.End, m.To, m.Fate, m.Reason = last.End, last.To, last.Fate, last.Reason
		for _, h := range m.Hops {
			if m.Fate == "delivered" && h.Fate != "delivered" {
				m.Fate, m.Reason = h.Fate, h.Reason
			}
		}
		to := cmp.Or(r.net.owner[m.Dst], origin[m.Dst])
		if last.Fate == "dropped" && to != "" && to != m.From {
			m.To = []string{to} // where it was going
		} else if len(m.To) > 1 && slices.Contains(m.To, to) {
			m.To = []string{to} // the others on the link overheard it
		}
	}
	slices.SortStableFunc(r.Messages, func(a, b Message) int { return cmp.Compare(a.Start, b.Start) })
}

func hopOf(e journal.Event, f fields) Hop {
	h := Hop{
		Link: f.text("link"), From: cmp.Or(f.text("from"), e.Node), To: f.texts("to"),
		Start: e.At, Fate: cmp.Or(f.text("fate"), "delivered"), Reason: f.text("reason", "note"),
		Frame: max(f.count("frame"), 0), Octets: max(f.count("length"), 0),
	}
	if sent, ok := f.seconds("sent"); ok && (sent-e.At).Abs() < plausible {
		h.Start = sent
	}
	h.End = h.Start
	if arrived, ok := f.seconds("arrived"); ok && arrived >= h.Start && arrived-h.Start < plausible {
		h.End = arrived
	}
	return h
}

// keyOf is the same for a message on each of its links, also beyond a NAT that
// changes the addresses around one in UDP.
func keyOf(f fields) string {
	same := make(map[string]any, len(f))
	inUDP := f.text("outer") == "udp"
	for k, v := range f {
		address := k == "src" || k == "dst"
		if inUDP && (address || k == "care-of") {
			continue
		}
		if !slices.Contains(carried, k) || k == "message" || address {
			same[k] = v
		}
	}
	b, err := json.Marshal(same)
	if err != nil { // a value that JSON cannot hold
		return f.text("message") + f.text("src") + f.text("dst")
	}
	return string(b)
}

// Counted is signalling that crossed the access links of a mobile.
type Counted struct {
	Messages   int
	Octets     int // of frames
	RoundTrips int // questions that were answered
}

// answers are the messages that answer others.
var answers = map[string]string{
	"router-solicitation":   "router-advertisement",
	"neighbor-solicitation": "neighbor-advertisement",
	"binding-update":        "binding-acknowledgement",
	"registration-request":  "registration-reply",
	"home-test-init":        "home-test",
	"care-of-test-init":     "care-of-test",
	"dhcp4-discover":        "dhcp4-offer",
	"dhcp4-request":         "dhcp4-ack",
	"arp-request":           "arp-reply",
	"dns-query":             "dns-response",
	"eapol-start":           "eap-request",
	"eap-request":           "eap-response",
	"ub-request":            "ub-response",

	"home-agent-address-discovery-request": "home-agent-address-discovery-reply",
}

// countMessages gives each message to the handover it was sent in, and counts
// what crossed the mobile's access.
func (r *reading) countMessages() {
	for i := range r.Handovers {
		h := &r.Handovers[i]
		from, _ := slices.BinarySearchFunc(r.Messages, h.Start, func(m Message, at time.Duration) int { return cmp.Compare(m.Start, at) })
		until := h.End
		if h.Outcome == Completed {
			until = min(h.Done, h.End)
		}
		asked := map[string]int{}
		for j := from; j < len(r.Messages) && r.Messages[j].Start <= until; j++ {
			m := &r.Messages[j]
			if ofServers(m) {
				if (m.Handover == 0 || m.Handover == h.Number) && r.mayBeAbout(m, h.Node) {
					h.AAA++
					m.Handover = h.Number
				}
				continue
			}
			if m.Protocol == Diameter {
				continue
			}
			crossed := false
			for _, hop := range m.Hops {
				if hop.From == h.Node || slices.Contains(hop.To, h.Node) || hop.Fate == "dropped" && slices.Contains(m.To, h.Node) {
					crossed = true
					h.Access.Octets += hop.Octets
				}
			}
			if !crossed {
				continue
			}
			h.Access.Messages++
			if m.Handover == 0 {
				m.Handover = h.Number
			}
			for question, answer := range answers {
				switch {
				case m.Name == question:
					asked[answer] = 1
				case m.Name == answer && asked[answer] == 1 && m.Fate != "dropped":
					asked[answer] = 0
					h.Access.RoundTrips++
				}
			}
		}
	}
}

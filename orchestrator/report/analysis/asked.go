package analysis

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// An exchange is a request that a server answered.
type exchange struct {
	request, answer *Message
	within          []exchange // what the server itself asked others, before it answered
}

func (x *exchange) server() string { return x.request.To[0] }

// baseMessages are of connections, and about nobody.
var baseMessages = []string{"capabilities-exchange-", "device-watchdog-", "disconnect-peer-"}

// ofServers says whether a message is between servers, about somebody.
func ofServers(m *Message) bool {
	base := slices.ContainsFunc(baseMessages, func(prefix string) bool { return strings.HasPrefix(m.Name, prefix) })
	return (m.Protocol == Diameter || m.Protocol == RADIUS) && !base
}

// readNames finds by which names messages call the mobiles.
func (r *reading) readNames() {
	r.byName = map[string]string{}
	for _, name := range r.net.mobiles() {
		if n := r.net.nodes[name]; n != nil && n.MobileNode != nil {
			r.call(name, n.MobileNode.NAI)
			if u := n.MobileNode.USIM; u != nil {
				r.call(name, u.IMSI)
			}
		}
	}
	for _, e := range r.events {
		if e.Name == "bootstrapped" {
			r.call(NodeOf(e), fields(e.Fields).text("b-tid"))
		}
	}
	for i := range r.Messages {
		m := &r.Messages[i]
		f := fields(m.Fields)
		if n := r.net.nodes[m.From]; n != nil && n.MobileNode != nil {
			r.call(m.From, f.text("identity")) // pseudonyms too
		}
		if who := r.about(m); who != "" {
			r.call(who, f.text("session"))
		}
	}
}

func (r *reading) call(node, name string) {
	if _, known := r.byName[name]; name != "" && !known {
		r.byName[name] = node
	}
}

// somebodyElse is who goes by a name that is none of the mobiles'.
const somebodyElse = "?"

// about is the mobile that a message between servers is about, or somebodyElse; empty:
// it does not say.
func (r *reading) about(m *Message) string {
	f := fields(m.Fields)
	named := false
	for _, name := range []string{f.text("nai", "user-name"), f.text("b-tid"), f.text("session")} {
		if node := r.byName[name]; node != "" {
			return node
		}
		// The root of an identity of EAP is one character and the IMSI: TS 23.003, section 19.3.
		root, _, ok := strings.Cut(name, "@")
		if ok && len(root) > 1 && r.byName[root[1:]] != "" {
			return r.byName[root[1:]]
		}
		named = named || name != "" && name != f.text("session")
	}
	if named && len(r.byName) > 0 {
		return somebodyElse
	}
	return ""
}

// mayBeAbout says whether a message between servers may be about a mobile.
func (r *reading) mayBeAbout(m *Message, node string) bool {
	who := r.about(m)
	return who == "" || who == node
}

// asked finds the requests of a node to servers that may be about a mobile, sent and
// answered within a time, and what these asked in turn. Requests that were sent again
// count once.
func (r *reading) asked(by, about string, from, until time.Duration) []exchange {
	return r.askedBy(by, about, from, until, 4)
}

// askedBy follows servers that many deep.
func (r *reading) askedBy(by, about string, from, until time.Duration, deep int) (all []exchange) {
	first, _ := slices.BinarySearchFunc(r.Messages, from, func(m Message, at time.Duration) int { return int(m.Start - at) })
	last := from
	for i := first; i < len(r.Messages) && r.Messages[i].Start <= until && deep > 0; i++ {
		q := &r.Messages[i]
		if q.From != by || len(q.To) != 1 || !ofServers(q) || !strings.HasSuffix(q.Name, "-request") || !r.mayBeAbout(q, about) || q.Start < last {
			continue // those beside one another cost the time of one
		}
		answer := r.answerTo(i, until)
		if answer == nil {
			continue
		}
		last = answer.End
		all = append(all, exchange{q, answer, r.askedBy(q.To[0], about, q.End-hopSlack, answer.Start+hopSlack, deep-1)})
	}
	return all
}

// answerTo finds the answer to a request that arrives by then; nil: there is none.
func (r *reading) answerTo(request int, until time.Duration) *Message {
	q := &r.Messages[request]
	id := identifierOf(q)
	for i := request + 1; i < len(r.Messages) && r.Messages[i].Start <= until; i++ {
		a := &r.Messages[i]
		if a.Protocol == q.Protocol && a.From == q.To[0] && slices.Contains(a.To, q.From) && a.Fate != "dropped" && a.End <= until &&
			!strings.HasSuffix(a.Name, "-request") && identifierOf(a) == id {
			return a
		}
	}
	return nil
}

// identifierOf joins an answer to its request.
func identifierOf(m *Message) float64 {
	name := "end-to-end"
	if m.Protocol == RADIUS {
		name = "radius-id"
	}
	n, _ := fields(m.Fields).number(name)
	return n
}

// roles are what terms of bounds call servers.
func (r *reading) roleOf(node string) string {
	n := r.net.nodes[node]
	switch {
	case n == nil:
		return node
	case n.HSS != nil:
		return "HSS"
	case n.BSF != nil:
		return "BSF"
	case n.Role == "aaa":
		return "AAA"
	}
	return node
}

// addExchanges adds to a bound what exchanges take: a term for each pair of nodes.
func (r *reading) addExchanges(b *Bound, all []exchange, name func(server string) string) {
	type pair struct{ from, to string }
	var order []pair
	count := map[pair]int{}
	var within []exchange
	for _, x := range all {
		p := pair{x.request.From, x.server()}
		if count[p]++; count[p] == 1 {
			order = append(order, p)
		}
		within = append(within, x.within...)
	}
	for _, p := range order {
		if trip, ok := r.net.roundTrip(p.from, "", p.to); ok {
			b.add(times(name(p.to), count[p]), time.Duration(count[p])*trip)
		}
	}
	if len(within) > 0 {
		r.addExchanges(b, within, func(server string) string { return "from there to the " + r.roleOf(server) + " and back" })
	}
}

func times(name string, n int) string {
	if n == 1 {
		return name
	}
	return fmt.Sprintf("%s, times %d", name, n)
}

package diampeer

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"s2clab/nodes/wire/diameter"
)

// A Remote is a server that a Client may ask.
type Remote struct {
	Host    string // Diameter identity
	Realm   string
	Address netip.AddrPort
}

// A Route says by which servers a realm is reached: a line of the routing table of
// RFC 6733, section 2.7. A server may be a relay or proxy, with the realm behind it.
type Route struct {
	Realm string   // empty: every realm that has no route of its own
	Hosts []string // Diameter identities of servers, the preferred one first
}

// A Client asks several Diameter servers, of which the first is preferred: the
// failover of RFC 6733, section 5.5.4, and RFC 3539, section 3.4.2. It keeps
// connections with all of them, ready for use.
//
// A request goes to one server that has its application, or is a relay, and by
// which its Destination-Realm is reached. One with a Destination-Host goes to that
// server, else to a relay, and to no other, since nobody else has the session;
// where the host is no server here, it goes by the one by which it was heard last,
// else as if for its realm. Where a server fails, does not answer within Timeout,
// or says that it cannot serve it now (TOO_BUSY, UNABLE_TO_DELIVER,
// LOOP_DETECTED), it goes to the next, with the T bit where the first may have
// got it. No server is asked twice, unless its connection broke meanwhile. One
// that was too busy, or has not answered and is silent since, comes last.
// Where none can be asked and one may come up, the request waits, for Timeout at most.
//
// Requests of servers are given to the owner, who answers each by Answer.
type Client struct {
	local   *Local
	timeout time.Duration
	most    int
	peers   []*peer
	busy    []time.Time // until when a server that was too busy comes last
	slow    []bool      // did not answer a request in time, and has said nothing since
	realm   string
	routes  map[string][]int // servers, by realm in lower case
	anyone  []int            // for realms without a route
	hosts   hosts
	inbox   inbox

	conns   uint64 // names of connections
	names   identifiers
	pending map[uint64]*asked
	hops    []map[uint32]*asked // by peer: Hop-by-Hop Identifiers that await an answer
	queue   []due               // in the order of their times, from head on
	head    int
	stopped bool
	out     []Output
}

// ClientOptions is what a Client needs to know.
type ClientOptions struct {
	Local   Local
	Servers []Remote      // at most 64
	Routes  []Route       // none: any server reaches every realm
	Timeout time.Duration // for one request to one server; 0: 2 s
	Most    int           // requests outstanding; 0: 4096
	Now     time.Time     // of the start, for identifiers that are unique across starts
}

const (
	defaultTimeout = 2 * time.Second
	defaultMost    = 4096
	busyHold       = time.Second
)

// asked is a request whose outcome is open.
type asked struct {
	id      uint64
	octets  []byte
	header  diameter.Header
	session string
	again   bool      // asked before: the T bit in any case
	sent    bool      // a server may have got it
	ways    []int     // servers that it may go to, the preferred one first
	direct  int       // the server that is its Destination-Host; -1: none is
	at      int       // the peer that has it now; -1: waits for one
	due     time.Time // when that has lasted too long
	tried   uint64    // peers, as bits
	silent  uint64    // peers that it was sent to and that have not answered, as bits
	hops    []hop
	last    Outcome // what the last peer said that could not serve it
}

type hop struct {
	peer int
	id   uint32
}

type due struct {
	at  time.Time
	ask *asked
}

// NewClient makes a Client. Start begins it.
func NewClient(o ClientOptions) (*Client, error) {
	if len(o.Servers) > 64 {
		return nil, errors.New("more than 64 Diameter servers")
	}
	c := &Client{local: &o.Local, timeout: o.Timeout, most: o.Most, pending: map[uint64]*asked{}, inbox: newInbox()}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.most <= 0 {
		c.most = defaultMost
	}
	c.names = newIdentifiers(c.local, o.Now)
	c.busy, c.slow = make([]time.Time, len(o.Servers)), make([]bool, len(o.Servers))
	for _, s := range o.Servers {
		c.peers = append(c.peers, &peer{local: c.local, host: s.Host, to: s.Address, dial: c.name})
		c.hops = append(c.hops, map[uint32]*asked{})
		if c.realm == "" {
			c.realm = s.Realm
		}
	}
	return c, c.route(o.Routes)
}

func (c *Client) name() uint64 { c.conns++; return c.conns }

// Start begins to connect with every server.
func (c *Client) Start(now time.Time) []Output {
	c.out = c.out[:0]
	for i, p := range c.peers {
		p.start(now)
		c.collect(now, i)
	}
	return c.out
}

// Deadline is when Tick has something to do; zero: never.
func (c *Client) Deadline() time.Time {
	var first time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	for _, p := range c.peers {
		earlier(p.at)
	}
	if d, ok := c.next(); ok {
		earlier(d.at)
	}
	return first
}

// next is the first entry of the queue whose request has not moved on since.
func (c *Client) next() (due, bool) {
	for ; c.head < len(c.queue); c.head++ {
		if d := c.queue[c.head]; c.pending[d.ask.id] == d.ask && d.ask.due.Equal(d.at) {
			return d, true
		}
	}
	clear(c.queue)
	c.queue, c.head = c.queue[:0], 0
	return due{}, false
}

// await sets when a request has waited too long where it is.
func (c *Client) await(a *asked, at time.Time) {
	a.due = at
	if c.head > len(c.queue)/2 {
		n := copy(c.queue, c.queue[c.head:])
		clear(c.queue[n:])
		c.queue, c.head = c.queue[:n], 0
	}
	c.queue = append(c.queue, due{at, a})
}

// Step takes one Input.
func (c *Client) Step(now time.Time, in Input) []Output {
	c.out = c.out[:0]
	switch in := in.(type) {
	case Ask:
		c.ask(now, in)
	case Stop:
		c.stop(now, in.Cause)
	case Connected:
		if i := c.peerOf(in.Conn); i >= 0 {
			c.peers[i].connected(now, in)
			c.collect(now, i)
		}
	case Received:
		if i := c.peerOf(in.Conn); i >= 0 {
			c.slow[i] = false
			c.peers[i].received(now, in.Octets)
			c.collect(now, i)
		}
	case Closed:
		if i := c.peerOf(in.Conn); i >= 0 {
			c.peers[i].ended(now, in.Reason)
			c.collect(now, i)
		}
	}
	return c.out
}

// peerOf finds the peer whose connection that is; -1: it is nobody's any more.
func (c *Client) peerOf(conn uint64) int {
	return slices.IndexFunc(c.peers, func(p *peer) bool { return p.conn == conn && p.state != closed })
}

// Tick does what is due.
func (c *Client) Tick(now time.Time) []Output {
	c.out = c.out[:0]
	for i, p := range c.peers {
		p.tick(now)
		c.collect(now, i)
	}
	for {
		d, ok := c.next()
		if !ok || now.Before(d.at) {
			break
		}
		a := d.ask
		a.due = time.Time{}
		if a.at < 0 {
			c.finish(a, c.without(a, "no-peer"))
		} else {
			c.slow[a.at] = true
			c.elsewhere(now, a, "time-out")
		}
	}
	return c.out
}

// collect takes over what a peer has to say, and draws conclusions for requests.
func (c *Client) collect(now time.Time, i int) {
	p := c.peers[i]
	said := p.out
	p.out = nil
	freed, gone := false, false
	for _, o := range said {
		switch o := o.(type) {
		case answered:
			c.answered(now, i, o)
			continue
		case Deliver:
			c.heard(i, o.Message)
			c.out = append(c.out, c.inbox.take(now, p, o)...)
			continue
		case Up, Restored:
			freed = true
		case Rejected:
			freed = true // whoever waits for it need not
		case Down:
			gone = true
		}
		c.out = append(c.out, o)
		if _, ok := o.(Suspected); ok {
			c.suspected(now, i)
		}
	}
	p.out = said[:0]
	if gone {
		c.lost(now, i)
	}
	if freed || gone {
		c.retry(now)
	}
}

// ask begins a request.
func (c *Client) ask(now time.Time, in Ask) {
	refuse := func(reason string) {
		c.out = append(c.out, Done{ID: in.ID, Outcome: Outcome{Reason: reason, EndToEnd: in.Again}})
	}
	switch {
	case c.stopped:
		refuse("stopped")
		return
	case len(c.pending) >= c.most:
		refuse("overload")
		return
	}
	endToEnd := in.Again
	if endToEnd == 0 {
		endToEnd = c.names.nextEndToEnd()
	}
	d, err := c.local.draw(in.Request, endToEnd)
	if err != nil {
		refuse("malformed-request")
		return
	}
	d.fill(diameter.SessionID, c.names.nextSession)
	d.fill(diameter.DestinationRealm, func() string { return c.realmOf(d.text(diameter.UserName)) })
	a := &asked{id: in.ID, at: -1, header: d.Header, session: d.text(diameter.SessionID), again: in.Again != 0}
	if a.octets, err = d.done(); err != nil {
		refuse("malformed-request")
		return
	}
	a.ways, a.direct = c.waysTo(d.text(diameter.DestinationRealm), d.text(diameter.DestinationHost))
	if len(a.ways) == 0 {
		refuse("no-route")
		return
	}
	c.pending[a.id] = a
	c.dispatch(now, a, "no-peer")
}

// realmOf gives the realm of a user's home: RFC 6733, section 6.6.
func (c *Client) realmOf(user string) string {
	if at := strings.LastIndexByte(user, '@'); at >= 0 && at+1 < len(user) {
		return user[at+1:]
	}
	return c.realm
}

// Answer sends the answer to the request that was delivered under that ID, on
// every connection by which it came and that is still there; where none is, there
// is an Ignored. Unless final says that the answer will always be so, another
// request like it is delivered again.
func (c *Client) Answer(now time.Time, id uint64, octets []byte, final bool) []Output {
	c.out = append(c.out[:0], c.inbox.answer(now, id, octets, final, func(conn uint64) bool {
		i := c.peerOf(conn)
		return i >= 0 && c.peers[i].state == open
	})...)
	return c.out
}

// choose finds the server to ask: -1 where none of those left can be asked now.
func (c *Client) choose(now time.Time, a *asked) int {
	best, rank := -1, 0
	for _, i := range a.ways {
		p := c.peers[i]
		if a.tried&(1<<i) != 0 || !p.usable() || !p.told.Offers(a.header.Application) || !c.leads(a, i) {
			continue
		}
		r := 1
		switch {
		case p.health == reopen:
			// Differs from RFC 3539, section 3.4.1, which throws messages away
			// until three watchdogs have passed: a server on probation is
			// asked where there is no better one.
			r = 3
		case now.Before(c.busy[i]) || c.slow[i]:
			r = 2 // what the watchdog finds in its own time need not delay each request until then
		}
		if best < 0 || r < rank {
			best, rank = i, r
		}
	}
	return best
}

// dispatch sends a request to a server, or lets it wait for one. Where there is
// nothing to wait for, it fails for that reason.
func (c *Client) dispatch(now time.Time, a *asked, reason string) {
	if i := c.choose(now, a); i >= 0 {
		c.send(now, a, i)
		return
	}
	a.at = -1
	coming := false
	for _, i := range a.ways {
		if a.tried&(1<<i) == 0 && c.leads(a, i) && c.peers[i].demand(now) {
			coming = true
			c.collect(now, i)
		}
	}
	switch {
	case !coming:
		c.finish(a, c.without(a, reason))
	case a.due.IsZero():
		c.await(a, now.Add(c.timeout))
	}
}

func (c *Client) send(now time.Time, a *asked, i int) {
	diameter.ClearFlags(a.octets, diameter.Retransmitted)
	if a.silent != 0 || a.again {
		diameter.SetFlags(a.octets, diameter.Retransmitted)
	}
	a.sent = true
	a.at, a.tried, a.silent = i, a.tried|1<<i, a.silent|1<<i
	h := hop{i, c.peers[i].send(a.octets)}
	c.out = append(c.out, c.peers[i].out...)
	c.peers[i].out = c.peers[i].out[:0]
	c.hops[i][h.id] = a
	a.hops = append(a.hops, h)
	c.await(a, now.Add(c.timeout))
}

// elsewhere asks another server than the one that has the request.
func (c *Client) elsewhere(now time.Time, a *asked, reason string) {
	a.at = -1
	c.dispatch(now, a, reason)
}

// without is the Outcome of a request that nobody has served. What a server
// said says more than that there is no other.
func (c *Client) without(a *asked, reason string) Outcome {
	if a.last.Result != 0 && (reason == "no-peer" || reason == a.last.Reason) {
		return a.last
	}
	return Outcome{Reason: reason}
}

func (c *Client) finish(a *asked, o Outcome) {
	for _, h := range a.hops {
		delete(c.hops[h.peer], h.id)
	}
	delete(c.pending, a.id)
	if a.sent || a.again {
		o.EndToEnd, o.Session = a.header.EndToEnd, a.session
	}
	c.out = append(c.out, Done{ID: a.id, Outcome: o})
}

// suspected moves the requests of a server that has fallen silent to others,
// where there are others; else they go on waiting for its answer.
func (c *Client) suspected(now time.Time, i int) {
	for _, a := range c.at(i) {
		if c.choose(now, a) >= 0 {
			c.elsewhere(now, a, "time-out")
		}
	}
}

// lost moves the requests of a server whose connection is gone: to others, or to
// itself once it is back.
func (c *Client) lost(now time.Time, i int) {
	waiting := c.at(i)
	clear(c.hops[i])
	for _, a := range c.pending {
		a.hops = slices.DeleteFunc(a.hops, func(h hop) bool { return h.peer == i })
	}
	for _, a := range waiting {
		a.tried &^= 1 << i
		a.at = -1 // retry follows
	}
}

// retry looks for servers for all requests that wait for one.
func (c *Client) retry(now time.Time) {
	for _, a := range c.at(-1) {
		c.dispatch(now, a, "no-peer")
	}
}

// at gives the requests that a server has, in the order in which they were asked.
func (c *Client) at(i int) (all []*asked) {
	for _, a := range c.pending {
		if a.at == i {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b *asked) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return all
}

func (c *Client) answered(now time.Time, i int, in answered) {
	m := in.message
	a := c.hops[i][m.HopByHop]
	if a == nil || a.header.Command != m.Command || a.header.Application != m.Application {
		c.out = append(c.out, Ignored{Conn: c.peers[i].conn, Peer: c.peers[i].host, Reason: "answer-to-nothing"}) // RFC 6733, section 3
		return
	}
	o := Outcome{Peer: c.peers[i].host}
	if in.broken != nil || o.read(m, a.session) != nil {
		o.Reason = "malformed-answer"
		c.finish(a, o)
		return
	}
	c.heard(i, m)
	switch o.Result {
	case diameter.TooBusy, diameter.UnableToDeliver, diameter.LoopDetected:
		if o.Result == diameter.TooBusy && strings.EqualFold(o.Host, o.Peer) { // not one behind an agent
			c.busy[i] = now.Add(busyHold)
		}
		if a.at != i && a.at >= 0 {
			return // late: another server has the request now
		}
		// Section 3: who has answered with an error gives no cause for the T bit.
		a.last, a.silent = o, a.silent&^(1<<i)
		c.elsewhere(now, a, o.Result.String())
		return
	}
	c.finish(a, o)
}

func (c *Client) stop(now time.Time, cause diameter.DisconnectCause) {
	c.stopped = true
	for _, a := range c.pending {
		c.finish(a, Outcome{Reason: "stopped"})
	}
	for i, p := range c.peers {
		p.stop(now, cause)
		c.collect(now, i)
	}
}

// Quiet says that no connection is left, after Stop.
func (c *Client) Quiet() bool {
	return !slices.ContainsFunc(c.peers, func(p *peer) bool { return p.state != closed })
}

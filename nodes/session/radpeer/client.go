package radpeer

import (
	"container/heap"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"s2clab/nodes/wire/radius"
)

// A Remote is a server that a Client may ask.
type Remote struct {
	Address netip.AddrPort
	Secret  radius.Secret
	// Guarded has answers without a Message-Authenticator discarded, as forged:
	// the MD5 of a Response Authenticator alone proves too little today.
	Guarded bool
}

// ClientOptions is what a Client needs to know. The times are those of RFC 5080,
// section 2.2.1, for one server; their zero values are its defaults.
type ClientOptions struct {
	Servers  []Remote      // the first is preferred
	Sockets  int           // how many there are to send from; each gives 256 identifiers; 0: 1
	Initial  time.Duration // IRT; 0: 2 s
	Longest  time.Duration // MRT; 0: 16 s
	Duration time.Duration // MRD; 0: 30 s
	Tries    int           // MRC, transmissions; 0: 5
	Hold     time.Duration // how long a server that was silent comes last; 0: 30 s
	Most     int           // questions that wait for an identifier; 0: 4096
	Jitter   *rand.Rand
	Random   io.Reader // Request Authenticators: must not be predictable (RFC 2865, section 3)
}

// An Outcome is what became of a question.
type Outcome struct {
	// Reason is empty where a packet came. Else it says why not, in kebab-case:
	// time-out (no server answered), no-server (none to ask), overload (too many
	// wait already), malformed-request, stopped.
	Reason string
	Server netip.AddrPort // that answered
	Packet *radius.Packet // an Access-Accept, Access-Reject or Access-Challenge; nil: none
	Cover  *radius.Cover  // uncovers its keys
}

// An Ask is a question: an Access-Request with these attributes, before which a
// Message-Authenticator is put. A Done with its ID follows.
type Ask struct {
	ID         uint64
	Attributes []radius.Attribute
	// Server is the only one to ask; not valid: all, in turn. An answer to an
	// Access-Challenge goes to the server whose State it has: nobody else knows it.
	Server netip.AddrPort
}

// A Client asks several RADIUS servers.
//
// A question goes to one server, again and again as RFC 5080, section 2.2.1, has
// it, and when that has not answered to the next, under another identifier and
// Request Authenticator: the first attempt is over then, and an answer to it comes
// too late. A server that was silent comes last for a while, or until it answers.
//
// An identifier is not used again before its attempt is over, and the one that
// rests longest is used first: RFC 5080, section 2.2.2.
type Client struct {
	options ClientOptions
	servers []*server
	free    []slot // identifiers at rest, the longest first
	used    map[slot]*try
	waiting []*question // for an identifier, the oldest first
	timers  timers
	stopped bool
	out     []Output
}

type server struct {
	Remote
	suspected bool
	until     time.Time // when a suspected one is given another chance
}

type slot struct {
	socket     int
	identifier uint8
}

type question struct {
	Ask
	order []*server // to ask yet
}

// A try is what one server is asked of a question.
type try struct {
	question *question
	server   *server
	slot     slot
	request  radius.Authenticator
	octets   []byte
	sent     int           // how often
	timeout  time.Duration // RT
	end      time.Time     // first transmission and MRD
	due      time.Time
	place    int // in timers
}

// NewClient makes a Client.
func NewClient(o ClientOptions) (*Client, error) {
	if o.Jitter == nil || o.Random == nil {
		return nil, errors.New("radius client: no source of random numbers")
	}
	o.Sockets = max(o.Sockets, 1)
	for _, d := range [...]struct {
		of *time.Duration
		is time.Duration
	}{{&o.Initial, 2 * time.Second}, {&o.Longest, 16 * time.Second}, {&o.Duration, 30 * time.Second}, {&o.Hold, 30 * time.Second}} {
		if *d.of <= 0 {
			*d.of = d.is
		}
	}
	if o.Tries <= 0 {
		o.Tries = 5
	}
	if o.Most <= 0 {
		o.Most = 4096
	}
	c := &Client{options: o, used: map[slot]*try{}}
	for _, r := range o.Servers {
		if len(r.Secret) == 0 { // RFC 2865, section 3
			return nil, errors.New("radius client: no shared secret with " + r.Address.String())
		}
		c.servers = append(c.servers, &server{Remote: r})
	}
	for id := range 256 {
		for socket := range o.Sockets {
			c.free = append(c.free, slot{socket, uint8(id)})
		}
	}
	return c, nil
}

// Deadline is when Tick has something to do; zero: never.
func (c *Client) Deadline() time.Time {
	if len(c.timers) == 0 {
		return time.Time{}
	}
	return c.timers[0].due
}

// Ask asks a question.
func (c *Client) Ask(now time.Time, a Ask) []Output {
	c.out = c.out[:0]
	q := &question{Ask: a}
	for _, last := range [...]bool{false, true} {
		for _, s := range c.servers {
			if (s.suspected && now.Before(s.until)) == last && (!a.Server.IsValid() || s.Address == a.Server) {
				q.order = append(q.order, s)
			}
		}
	}
	switch {
	case c.stopped:
		c.done(q, Outcome{Reason: "stopped"})
	case len(q.order) == 0:
		c.done(q, Outcome{Reason: "no-server"})
	case len(c.free) == 0 && len(c.waiting) >= c.options.Most:
		c.done(q, Outcome{Reason: "overload"})
	default:
		c.waiting = append(c.waiting, q)
		c.serve(now)
	}
	return c.out
}

// Stop ends all questions.
func (c *Client) Stop() []Output {
	c.out, c.stopped = c.out[:0], true
	for len(c.timers) > 0 {
		t := c.timers[0]
		c.end(t)
		c.done(t.question, Outcome{Reason: "stopped"})
	}
	for _, q := range c.waiting {
		c.done(q, Outcome{Reason: "stopped"})
	}
	c.waiting = nil
	return c.out
}

// Tick does what is due.
func (c *Client) Tick(now time.Time) []Output {
	c.out = c.out[:0]
	for len(c.timers) > 0 && !now.Before(c.timers[0].due) {
		t := c.timers[0]
		if t.sent < c.options.Tries && now.Before(t.end) {
			c.transmit(now, t)
			heap.Fix(&c.timers, 0)
			continue
		}
		c.end(t)
		c.suspect(now, t.server)
		if len(t.question.order) == 0 {
			c.done(t.question, Outcome{Reason: "time-out"})
		} else { // it is older than those that wait
			c.waiting = append([]*question{t.question}, c.waiting...)
		}
		c.serve(now)
	}
	return c.out
}

func (c *Client) suspect(now time.Time, s *server) {
	s.until = now.Add(c.options.Hold)
	if !s.suspected {
		s.suspected = true
		c.out = append(c.out, Suspected{s.Address})
	}
}

// serve lets questions that wait try their next server, as far as there are
// identifiers.
func (c *Client) serve(now time.Time) {
	for len(c.waiting) > 0 && len(c.free) > 0 {
		q := c.waiting[0]
		c.waiting = c.waiting[1:]
		c.try(now, q)
	}
}

func (c *Client) try(now time.Time, q *question) {
	t := &try{question: q, server: q.order[0], slot: c.free[0], end: now.Add(c.options.Duration)}
	q.order = q.order[1:]
	if _, err := io.ReadFull(c.options.Random, t.request[:]); err != nil {
		panic("radpeer: no random numbers: " + err.Error())
	}
	p := radius.Packet{Code: radius.AccessRequest, Identifier: t.slot.identifier, Authenticator: t.request, Attributes: radius.Guard(q.Attributes)}
	var err error
	if t.octets, err = p.AppendRequest(nil, t.server.Secret); err != nil {
		c.done(q, Outcome{Reason: "malformed-request"})
		return
	}
	c.free = c.free[1:]
	c.used[t.slot] = t
	c.transmit(now, t)
	heap.Push(&c.timers, t)
}

// transmit sends a try, and sets when that has lasted too long: RFC 5080, section
// 2.2.1.
func (c *Client) transmit(now time.Time, t *try) {
	random := func(d time.Duration) time.Duration { // RAND * d
		return time.Duration((c.options.Jitter.Float64()*0.2 - 0.1) * float64(d))
	}
	if t.sent == 0 {
		t.timeout = c.options.Initial + random(c.options.Initial)
	} else {
		t.timeout = 2*t.timeout + random(t.timeout)
	}
	if t.timeout > c.options.Longest {
		t.timeout = c.options.Longest + random(c.options.Longest)
	}
	t.sent++
	t.due = now.Add(t.timeout)
	if t.due.After(t.end) {
		t.due = t.end
	}
	c.out = append(c.out, Send{t.slot.socket, t.server.Address, t.octets})
}

// Received takes a datagram.
func (c *Client) Received(now time.Time, in Received) []Output {
	c.out = c.out[:0]
	if reason := c.receive(in); reason != "" {
		c.out = append(c.out, Ignored{in.Socket, in.From, reason})
	}
	c.serve(now)
	return c.out
}

// receive gives why a datagram is discarded; empty: it was an answer.
func (c *Client) receive(in Received) string {
	p, err := radius.Parse(in.Octets)
	if err != nil {
		return reasonOf(err)
	}
	switch p.Code {
	case radius.AccessAccept, radius.AccessReject, radius.AccessChallenge:
	default:
		return "unexpected-code"
	}
	known := false
	for _, s := range c.servers {
		known = known || s.Address == in.From
	}
	if !known {
		return "unknown-server"
	}
	t := c.used[slot{in.Socket, p.Identifier}]
	if t == nil || t.server.Address != in.From {
		return "answer-to-nothing"
	}
	guarded, err := radius.VerifyResponse(in.Octets, t.server.Secret, t.request)
	if err != nil {
		return reasonOf(err)
	}
	if t.server.Guarded && !guarded {
		return "unauthenticated"
	}
	if t.server.suspected {
		t.server.suspected = false
		c.out = append(c.out, Restored{t.server.Address})
	}
	c.end(t)
	c.done(t.question, Outcome{Server: in.From, Packet: p, Cover: &radius.Cover{Secret: t.server.Secret, Request: t.request}})
	return ""
}

// end ends a try, and frees its identifier.
func (c *Client) end(t *try) {
	delete(c.used, t.slot)
	c.free = append(c.free, t.slot)
	heap.Remove(&c.timers, t.place)
}

func (c *Client) done(q *question, o Outcome) { c.out = append(c.out, Done{q.ID, o}) }

// timers are the tries that wait for an answer, in a heap by their time.
type timers []*try

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].place, t[j].place = i, j
}
func (t *timers) Push(x any) {
	x.(*try).place = len(*t)
	*t = append(*t, x.(*try))
}
func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

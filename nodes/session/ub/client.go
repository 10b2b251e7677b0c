package ub

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/usim"
)

// A Client is a mobile node's side of Ub: TS 33.220, section 4.5.2. Start begins a
// run, which ends with Bootstrapped or Refused; then another may begin.
//
// The network has to prove itself twice: its challenge, to the card, and its last
// word, by a digest over it of which XRES is the password. What it then says has to be
// what the mobile node can work out for itself. A server that fails in that has lied,
// and the run is over. One that cannot be reached, or cannot answer now, is asked
// again from the beginning, for a request whose answer was lost has used its nonce up.
type Client struct {
	o ClientOptions

	state   state
	id      uint64    // of the request sent last
	at      time.Time // in waiting: of the next attempt; else when there will be no answer any more
	attempt int       // from 1

	challenges int        // of this attempt
	resynced   bool       // in this attempt, the card has told its sequence number
	taken      [][16]byte // RAND of challenges that the card has accepted, in this run
	digest     keys.Digest
	response   usim.Response
}

// ClientOptions is what a Client needs to know.
type ClientOptions struct {
	IMPI    string // the private identity, a NAI
	BSF     string // FQDN of the server
	Card    Card
	Random  io.Reader     // of octets, which never fails
	Timeout time.Duration // for the answer to one request; 0: 5 s
}

// A Card answers challenges: a *usim.Card. Errors are those of usim.
type Card interface {
	Authenticate(rand, autn [16]byte) (usim.Response, error)
}

type state int

const (
	idle      state = iota
	asking          // for a first challenge
	resyncing       // for one after the card has told its sequence number
	answering       // a challenge
	waiting         // for the next attempt
)

const (
	defaultTimeout = 5 * time.Second
	firstWait      = 1 * time.Second // before the second attempt; doubled each time
	mostWait       = 30 * time.Second
	mostAttempts   = 5
	mostChallenges = 4 // of one attempt
)

// NewClient makes a Client. It fails where the identity or the server's name cannot
// stand in HTTP Digest.
func NewClient(o ClientOptions) (*Client, error) {
	for what, name := range map[string]string{"private identity": o.IMPI, "name of the BSF": o.BSF} {
		if !identifies(name) {
			return nil, fmt.Errorf("the %s has %d octets: want 1 to %d, without quotes, backslashes and control characters", what, len(name), mostIdentity)
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	return &Client{o: o}, nil
}

const mostIdentity = 253 // octets: RFC 4282, section 2.2

func identifies(s string) bool { return s != "" && len(s) <= mostIdentity && plain(s) }

// An Input is what became of a request.
type Input interface{ input() }

// Responded gives the response to the request of that ID.
type Responded struct {
	ID       uint64
	Response Response
}

// Failed says that there is no response to the request of that ID.
type Failed struct {
	ID     uint64
	Reason string // in kebab-case
}

func (Responded) input() {}
func (Failed) input()    {}

// Send is an output of a Client. Responded or Failed follows, or is not waited for any
// more.
type Send struct {
	ID      uint64
	Request Request
}

// Postponed is an output of a Client: it tries again then.
type Postponed struct {
	Reason string // in kebab-case
	Until  time.Time
}

func (Send) output()      {}
func (Postponed) output() {}

// Running says whether a run has begun and not ended.
func (c *Client) Running() bool { return c.state != idle }

// Deadline is when Tick has something to do; zero: never.
func (c *Client) Deadline() time.Time { return c.at }

// Start begins a run; one that has begun goes on.
func (c *Client) Start(now time.Time) []Output {
	if c.Running() {
		return []Output{Ignored{Reason: "already-running"}}
	}
	c.attempt, c.taken = 0, nil
	return c.begin(now)
}

// Stop ends a run without a word.
func (c *Client) Stop() { c.end() }

// Step takes one Input that happened at now.
func (c *Client) Step(now time.Time, in Input) []Output {
	switch in := in.(type) {
	case Responded:
		if !c.stray(in.ID) {
			return c.responded(now, &in.Response)
		}
	case Failed:
		if !c.stray(in.ID) {
			return c.postpone(now, in.Reason, 0)
		}
	default:
		panic(fmt.Sprintf("ub: no rule for %T", in))
	}
	return []Output{Ignored{Reason: "response-to-nothing"}}
}

func (c *Client) responded(now time.Time, r *Response) []Output {
	switch {
	case len(r.Body) > MostBody:
		return c.refuse("body-too-long")
	case r.Status == statusUnauthorized:
		return c.challenged(now, r)
	case r.Status == statusOK:
		return c.concluded(now, r)
	case r.Status == statusUnavailable:
		return c.postpone(now, "unavailable", r.RetryAfter)
	case r.Status >= 500:
		return c.postpone(now, "server-error", r.RetryAfter)
	case r.Status == statusForbidden:
		return c.refuse("forbidden")
	}
	return c.refuse("status-unexpected")
}

// Tick does what is due at now, and nothing before Deadline.
func (c *Client) Tick(now time.Time) []Output {
	if c.at.IsZero() || now.Before(c.at) {
		return nil
	}
	if c.state == waiting {
		return c.begin(now)
	}
	return c.postpone(now, "time-out", 0)
}

func (c *Client) stray(id uint64) bool {
	return c.state == idle || c.state == waiting || id != c.id
}

// begin asks for a challenge, by telling who asks: TS 24.109, section 4.
func (c *Client) begin(now time.Time) []Output {
	c.attempt++
	c.challenges, c.resynced = 0, false
	var w writer
	w.scheme("Digest")
	w.quoted("username", c.o.IMPI)
	w.quoted("realm", c.o.BSF)
	w.quoted("nonce", "")
	w.quoted("uri", target)
	w.quoted("response", "")
	return c.send(now, asking, &w)
}

func (c *Client) send(now time.Time, next state, w *writer) []Output {
	c.id++
	c.state, c.at = next, now.Add(c.o.Timeout)
	return []Output{Send{ID: c.id, Request: Request{Method: method, Target: target, Host: c.o.BSF, Authorization: w.String()}}}
}

// end forgets what was secret.
func (c *Client) end() {
	c.state, c.at = idle, time.Time{}
	c.digest, c.response, c.taken = keys.Digest{}, usim.Response{}, nil
}

func (c *Client) refuse(reason string) []Output {
	c.end()
	return []Output{Refused{IMPI: c.o.IMPI, Reason: reason}}
}

// postpone tries again later, unless there were attempts enough. The server may tell
// how much later.
func (c *Client) postpone(now time.Time, reason string, told time.Duration) []Output {
	if c.attempt >= mostAttempts {
		return c.refuse(reason)
	}
	c.digest, c.response = keys.Digest{}, usim.Response{}
	c.state, c.at = waiting, now.Add(min(max(firstWait<<(c.attempt-1), told), mostWait))
	return []Output{Postponed{Reason: reason, Until: c.at}}
}

// challenged answers a challenge, or tells what is wrong with it.
func (c *Client) challenged(now time.Time, r *Response) []Output {
	if c.challenges++; c.challenges > mostChallenges {
		return c.refuse("too-many-challenges")
	}
	with, reason := pick(r.Challenges)
	if reason != "" {
		return c.refuse(reason)
	}
	if !strings.EqualFold(with.get("realm"), c.o.BSF) {
		return c.refuse("realm-wrong")
	}
	nonce := with.get("nonce")
	rand, autn, _, err := keys.ParseDigestAKANonce(nonce)
	if err != nil {
		return c.refuse("nonce-malformed")
	}
	for _, former := range c.taken {
		if former == rand {
			return c.refuse("challenge-replayed")
		}
	}
	response, err := c.o.Card.Authenticate(rand, autn)
	var stale *usim.SyncError
	switch {
	case err == nil:
		c.taken = append(c.taken, rand)
	case !errors.As(err, &stale):
		return c.refuse("mac-wrong")
	case c.resynced:
		// The card has told what it wants, and this is not it. A challenge that was
		// recorded earlier comes to this.
		return c.refuse("challenge-not-fresh")
	}
	c.response = response
	var cnonce [16]byte
	if _, err := io.ReadFull(c.o.Random, cnonce[:]); err != nil {
		return c.refuse("no-random-octets")
	}
	c.digest = keys.Digest{
		Username: c.o.IMPI, Realm: with.get("realm"), Nonce: nonce, Method: method, URI: target,
		QoP: keys.QoPAuthInt, NC: 1, CNonce: hex.EncodeToString(cnonce[:]),
	}
	return c.answer(now, with, stale)
}

// pick finds the challenge of Digest AKA among others.
func pick(fields []string) (directives, string) {
	reason := "challenge-missing"
	for _, field := range fields {
		all, err := parseChallenges(field)
		if err != nil {
			reason = "challenge-malformed"
			continue
		}
		for _, ch := range all {
			switch {
			case ch.scheme != "digest":
			case !strings.EqualFold(ch.get("algorithm"), keys.DigestAKA):
				reason = "algorithm-unknown"
			case !offers(ch.get("qop"), keys.QoPAuthInt):
				reason = "qop-unknown"
			case !plain(ch.get("realm")) || !plain(ch.get("nonce")) || !plain(ch.get("opaque")):
				reason = "challenge-malformed"
			default:
				return ch.directives, ""
			}
		}
	}
	return nil, reason
}

// offers reads a list of QoPs: RFC 2617, section 3.2.1.
func offers(list string, q keys.QoP) bool {
	for one := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(one), string(q)) {
			return true
		}
	}
	return false
}

// answer sends RES in a digest, or the token by which the network can put its
// sequence number right: RFC 3310, sections 3.3 and 3.4.
func (c *Client) answer(now time.Time, with directives, stale *usim.SyncError) []Output {
	d := &c.digest
	var w writer
	w.scheme("Digest")
	w.quoted("username", d.Username)
	w.quoted("realm", d.Realm)
	w.quoted("nonce", d.Nonce)
	w.quoted("uri", d.URI)
	w.bare("algorithm", keys.DigestAKA)
	w.bare("qop", string(d.QoP))
	w.bare("nc", nc)
	w.quoted("cnonce", d.CNonce)
	if opaque, ok := with.find("opaque"); ok {
		w.quoted("opaque", opaque)
	}
	if stale != nil {
		c.resynced = true
		w.quoted("response", d.ResyncResponse())
		w.quoted("auts", keys.DigestAUTS(stale.AUTS))
		return c.send(now, resyncing, &w)
	}
	w.quoted("response", d.Response(c.response.RES))
	return c.send(now, answering, &w)
}

// nc is the count of requests with a nonce: RES is a password for one, RFC 3310,
// section 3.1.
const nc = "00000001"

// concluded believes a server that has proven that it knows XRES, and that says what
// it must.
func (c *Client) concluded(now time.Time, r *Response) []Output {
	if c.state != answering {
		return c.refuse("success-unasked")
	}
	if r.AuthenticationInfo == "" {
		return c.refuse("authentication-info-missing")
	}
	proof, err := parseInfo(r.AuthenticationInfo)
	if err != nil {
		return c.refuse("authentication-info-malformed")
	}
	if !strings.EqualFold(proof.get("qop"), string(c.digest.QoP)) || proof.get("nc") != nc || proof.get("cnonce") != c.digest.CNonce {
		return c.refuse("authentication-info-of-another")
	}
	c.digest.Body = r.Body
	if !keys.Equal([]byte(strings.ToLower(proof.get("rspauth"))), []byte(c.digest.ResponseAuth(c.response.RES))) {
		return c.refuse("rspauth-wrong")
	}
	kind, _, _ := strings.Cut(r.ContentType, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), ContentType) {
		return c.refuse("content-type-wrong")
	}
	info, err := ParseInfo(r.Body)
	if err != nil {
		return c.refuse("bootstrapping-info-malformed")
	}
	rand := c.taken[len(c.taken)-1]
	name, at, ok := strings.Cut(info.BTID, "@")
	if want, _, _ := strings.Cut(keys.BTID(rand, ""), "@"); !ok || name != want || !strings.EqualFold(at, c.o.BSF) {
		return c.refuse("b-tid-wrong")
	}
	if !info.Lifetime.After(now) {
		return c.refuse("lifetime-over")
	}
	done := Bootstrapped{
		GBA:  keys.GBA{Ks: keys.Ks(c.response.CK, c.response.IK), RAND: rand, IMPI: c.o.IMPI, BTID: info.BTID, Ends: info.Lifetime},
		Made: Made(c.response.CK, c.response.IK, info.Lifetime.Sub(now)),
	}
	c.end()
	return []Output{done}
}

package ub

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/usim"
)

const (
	bsfHost = "bsf.home.example"
	impi    = "0001010000000001@home.example"
)

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// counter gives octets that never repeat in blocks of 16.
type counter struct{ n byte }

func (c *counter) Read(b []byte) (int, error) {
	c.n++
	for i := range b {
		b[i] = c.n
	}
	return len(b), nil
}

var subscriber = keys.NewMilenage([16]byte([]byte("subscriber's key")), [16]byte([]byte("operator's value")))

// A home is a BSF and an HSS with one subscriber, and how others may change what is
// said between them and a mobile node.
type home struct {
	tb     testing.TB
	server *Server
	sqn    keys.SQN
	rand   byte

	down, unknown bool // of the HSS

	ids      uint64
	request  func(*Request)  // changes one; nil: none
	response func(*Response) // likewise
	vector   func(*keys.Vector)

	told     []Output // by the Server: Bootstrapped, Refused, Ended
	requests []Request
	answers  []Response
}

func newHome(tb testing.TB) *home {
	return &home{tb: tb, server: NewServer(ServerOptions{Host: bsfHost, Lifetime: time.Hour})}
}

func (h *home) nextVector() keys.Vector {
	h.tb.Helper()
	next, err := usim.Profile2().Next(h.sqn)
	if err != nil {
		h.tb.Fatal(err)
	}
	h.sqn = next
	h.rand++
	v, err := keys.NewVector(subscriber, [16]byte{h.rand, 0xfb, 0xff}, next, [2]byte{0x80})
	if err != nil {
		h.tb.Fatal(err)
	}
	return v
}

// ask gives the response to a request.
func (h *home) ask(now time.Time, r Request) Response {
	h.tb.Helper()
	if h.request != nil {
		h.request(&r)
	}
	h.requests = append(h.requests, r)
	h.ids++
	out := h.server.Requested(now, Requested{ID: h.ids, Request: r})
	for len(out) > 0 {
		o := out[0]
		out = out[1:]
		switch o := o.(type) {
		case WantVector:
			switch {
			case h.down:
				out = append(out, h.server.NoVector(o.ID, Unavailable)...)
				continue
			case h.unknown || o.IMPI != impi:
				out = append(out, h.server.NoVector(o.ID, UnknownUser)...)
				continue
			}
			if o.Resync != nil {
				sqn, err := keys.OpenAUTS(subscriber, o.Resync.RAND, o.Resync.AUTS)
				if err != nil {
					h.tb.Fatal("the token is not the card's:", err)
				}
				h.sqn = usim.Profile2().Resync(h.sqn, sqn)
			}
			v := h.nextVector()
			if h.vector != nil {
				h.vector(&v)
			}
			out = append(out, h.server.Vector(now, o.ID, v)...)
		case Respond:
			if o.ID != h.ids {
				h.tb.Fatalf("response to request %d, want %d", o.ID, h.ids)
			}
			h.answers = append(h.answers, o.Response)
			r := o.Response
			r.Challenges = slices.Clone(r.Challenges)
			r.Body = slices.Clone(r.Body)
			if h.response != nil {
				h.response(&r)
			}
			return r
		default:
			h.told = append(h.told, o)
		}
	}
	h.tb.Fatal("no response")
	return Response{}
}

func newClient(tb testing.TB) (*Client, *usim.Card) {
	tb.Helper()
	card, err := usim.New(subscriber, usim.Profile2())
	if err != nil {
		tb.Fatal(err)
	}
	c, err := NewClient(ClientOptions{IMPI: impi, BSF: bsfHost, Card: card, Random: &counter{}})
	if err != nil {
		tb.Fatal(err)
	}
	return c, card
}

// run lets a client run to its end, waiting for as long as it says, and gives what it
// told last.
func (h *home) run(c *Client, now time.Time) Output {
	h.tb.Helper()
	out := c.Start(now)
	for range 100 {
		if len(out) != 1 {
			h.tb.Fatalf("%d outputs, want 1: %v", len(out), out)
		}
		switch o := out[0].(type) {
		case Send:
			out = c.Step(now, Responded{ID: o.ID, Response: h.ask(now, o.Request)})
		case Postponed:
			now = c.Deadline()
			out = c.Tick(now)
		default:
			return o
		}
	}
	h.tb.Fatal("it does not end")
	return nil
}

func (h *home) succeeds(c *Client, now time.Time) Bootstrapped {
	h.tb.Helper()
	done, ok := h.run(c, now).(Bootstrapped)
	if !ok {
		h.tb.Fatalf("the mobile node has no key; the server told %+v", h.told)
	}
	return done
}

func (h *home) fails(c *Client, now time.Time, reason string) {
	h.tb.Helper()
	o := h.run(c, now)
	if refused, ok := o.(Refused); !ok || refused.Reason != reason || refused.IMPI != impi {
		h.tb.Errorf("the mobile node told %T %+v, want refused as %s", o, o, reason)
	}
	if c.Running() || !c.Deadline().IsZero() {
		h.tb.Error("the run goes on")
	}
}

func (h *home) last(tb testing.TB) Refused {
	tb.Helper()
	if len(h.told) > 0 {
		if r, ok := h.told[len(h.told)-1].(Refused); ok {
			return r
		}
	}
	tb.Fatalf("the server told %+v, want a refusal last", h.told)
	return Refused{}
}

func TestBothSidesHaveTheSameKeyAndNameAfterTwoRounds(t *testing.T) {
	h := newHome(t)
	c, _ := newClient(t)
	mobile := h.succeeds(c, start)
	if len(h.told) != 1 {
		t.Fatalf("the server told %+v", h.told)
	}
	server := h.told[0].(Bootstrapped)
	if mobile.GBA != server.GBA {
		t.Errorf("mobile node and server do not hold the same: %q until %v, %q until %v", mobile.GBA.BTID, mobile.GBA.Ends, server.GBA.BTID, server.GBA.Ends)
	}
	if want := keys.BTID([16]byte{1, 0xfb, 0xff}, bsfHost); mobile.GBA.BTID != want || !mobile.GBA.Ends.Equal(start.Add(time.Hour)) {
		t.Errorf("B-TID %q until %v, want %q for an hour", mobile.GBA.BTID, mobile.GBA.Ends, want)
	}
	if len(h.requests) != 2 {
		t.Errorf("%d requests, want 2", len(h.requests))
	}
	for i, d := range mobile.Made {
		if d.Name != server.Made[i].Name || string(d.Value) != string(server.Made[i].Value) || d.Lifetime != server.Made[i].Lifetime {
			t.Errorf("%s is told otherwise by the server", d.Name)
		}
	}
	if ks := mobile.Made[2]; ks.Name != keys.NameKs || string(ks.Value) != string(mobile.GBA.Ks[:]) || ks.Lifetime != time.Hour || len(ks.Of) != 2 {
		t.Errorf("%v of %v for %v", ks, ks.Of, ks.Lifetime)
	}
}

func TestACardThatIsAheadTakesOneRoundMore(t *testing.T) {
	h := newHome(t)
	c, card := newClient(t)
	ahead := newHome(t)
	ahead.sqn = 1 << 20
	v := ahead.nextVector()
	if _, err := card.Authenticate(v.RAND, v.AUTN); err != nil {
		t.Fatal(err)
	}
	done := h.succeeds(c, start)
	if len(h.requests) != 3 || done.GBA.BTID != keys.BTID([16]byte{2, 0xfb, 0xff}, bsfHost) {
		t.Errorf("%d requests and %q, want 3 and the second challenge", len(h.requests), done.GBA.BTID)
	}
	if !strings.Contains(h.requests[1].Authorization, "auts=") || strings.Contains(h.requests[2].Authorization, "auts=") {
		t.Error("the token is not in the second request alone")
	}
}

func TestEachChallengeAndEachRunHasAnotherKey(t *testing.T) {
	h := newHome(t)
	c, _ := newClient(t)
	first := h.succeeds(c, start)
	second := h.succeeds(c, start)
	if first.GBA.Ks == second.GBA.Ks || first.GBA.BTID == second.GBA.BTID {
		t.Error("two runs left the same key")
	}
	if got := h.server.Kept(); got != 1 {
		t.Errorf("the server keeps %d bootstrappings of one identity, want the last", got)
	}
}

// TestALyingServerIsFoundOut has the answers of a server changed on the way, by
// whoever does not know XRES.
func TestALyingServerIsFoundOut(t *testing.T) {
	info := func(change func(*Info)) func(*Response) {
		return func(r *Response) {
			if i, err := ParseInfo(r.Body); err == nil {
				change(i)
				r.Body = i.Append(nil)
			}
		}
	}
	replace := func(old, new string) func(*Response) {
		return func(r *Response) {
			for i := range r.Challenges {
				r.Challenges[i] = strings.Replace(r.Challenges[i], old, new, 1)
			}
			r.AuthenticationInfo = strings.Replace(r.AuthenticationInfo, old, new, 1)
		}
	}
	for reason, lie := range map[string]func(*Response){
		"rspauth-wrong":                  func(r *Response) { r.Body = append(r.Body, '\n') },
		"authentication-info-missing":    func(r *Response) { r.AuthenticationInfo = "" },
		"authentication-info-malformed":  func(r *Response) { r.AuthenticationInfo = strings.ReplaceAll(r.AuthenticationInfo, ",", "") },
		"authentication-info-of-another": replace("nc=00000001", "nc=00000002"),
		"content-type-wrong":             func(r *Response) { r.ContentType = "text/xml" },
		"body-too-long":                  func(r *Response) { r.Body = make([]byte, MostBody+1) },
		"success-unasked":                func(r *Response) { r.Status = 200 },
		"forbidden":                      func(r *Response) { r.Status = 403 },
		"status-unexpected":              func(r *Response) { r.Status = 302 },
		"server-error":                   func(r *Response) { r.Status = 500 },
		"unavailable":                    func(r *Response) { r.Status = 503 },
		"challenge-missing":              func(r *Response) { r.Challenges = nil },
		"challenge-malformed":            replace(`qop="auth-int"`, `qop="auth-int`),
		"algorithm-unknown":              replace("AKAv1-MD5", "MD5"),
		"qop-unknown":                    replace("auth-int", "auth"),
		"realm-wrong":                    replace(`realm="bsf.home.example"`, `realm="ims.home.example"`),
		"nonce-malformed":                replace(`nonce="`, `nonce="!`),
	} {
		h := newHome(t)
		h.response = lie
		c, _ := newClient(t)
		t.Run(reason, func(t *testing.T) {
			h.tb = t
			h.fails(c, start, reason)
		})
	}
	t.Run("a changed lifetime is no longer what was signed", func(t *testing.T) {
		h := newHome(t)
		h.response = info(func(i *Info) { i.Lifetime = i.Lifetime.Add(time.Hour) })
		c, _ := newClient(t)
		h.fails(c, start, "rspauth-wrong")
	})
}

// signed changes the last word of a server, and signs it again: so does a server that
// knows XRES, and lies.
func signed(h *home, change func(*Response)) func(*Response) {
	return func(r *Response) {
		if r.Status != 200 {
			return
		}
		change(r)
		told, err := parseCredentials(h.requests[len(h.requests)-1].Authorization)
		if err != nil {
			h.tb.Fatal(err)
		}
		rand, _, _, err := keys.ParseDigestAKANonce(told.get("nonce"))
		if err != nil {
			h.tb.Fatal(err)
		}
		d := keys.Digest{Username: impi, Realm: bsfHost, Nonce: told.get("nonce"), URI: "/", QoP: keys.QoPAuthInt, NC: 1, CNonce: told.get("cnonce"), Body: r.Body}
		r.AuthenticationInfo = fmt.Sprintf(`rspauth="%s", qop="auth-int" ,, cnonce="%s",nc=00000001`, d.ResponseAuth(subscriber.F2345(rand).RES), d.CNonce)
	}
}

func TestAServerThatLiesThoughItKnowsXRESIsFoundOut(t *testing.T) {
	said := func(name string, at time.Time) func(*Response) {
		return func(r *Response) { r.Body = (&Info{BTID: name, Lifetime: at}).Append(nil) }
	}
	later := start.Add(time.Hour)
	mine := keys.BTID([16]byte{1, 0xfb, 0xff}, bsfHost)
	for _, c := range []struct {
		lie, reason string
		change      func(*Response)
	}{
		{"the B-TID of another challenge", "b-tid-wrong", said(keys.BTID([16]byte{2, 0xfb, 0xff}, bsfHost), later)},
		{"the B-TID of another server", "b-tid-wrong", said(keys.BTID([16]byte{1, 0xfb, 0xff}, "bsf.other.example"), later)},
		{"a B-TID without its server", "b-tid-wrong", said(base64.StdEncoding.EncodeToString([]byte{1, 0xfb, 0xff}), later)},
		{"no B-TID", "b-tid-wrong", said("", later)},
		{"a lifetime in the past", "lifetime-over", said(mine, start.Add(-time.Second))},
		{"a lifetime that ends now", "lifetime-over", said(mine, start)},
		{"another content type", "content-type-wrong", func(r *Response) { r.ContentType = "application/xml" }},
		{"no content type", "content-type-wrong", func(r *Response) { r.ContentType = "" }},
		{"a body that is no XML", "bootstrapping-info-malformed", func(r *Response) { r.Body = []byte("btid") }},
		{"no body", "bootstrapping-info-malformed", func(r *Response) { r.Body = nil }},
		{"two B-TIDs", "bootstrapping-info-malformed", func(r *Response) {
			r.Body = []byte(strings.Replace(string(r.Body), "<lifetime>", "<btid>x</btid><lifetime>", 1))
		}},
	} {
		t.Run(c.lie, func(t *testing.T) {
			h := newHome(t)
			h.response = signed(h, c.change)
			client, _ := newClient(t)
			h.fails(client, start, c.reason)
		})
	}
	t.Run("signing again is not what is found", func(t *testing.T) {
		h := newHome(t)
		h.response = signed(h, func(r *Response) { r.ContentType += "; charset=utf-8" })
		client, _ := newClient(t)
		h.succeeds(client, start)
	})
}

func TestEachLieIsFoundOut(t *testing.T) {
	found := map[Lie]string{
		LieMAC: "mac-wrong", LieReplay: "challenge-not-fresh", LieRspauth: "rspauth-wrong", LieBTID: "b-tid-wrong",
		LieLifetime: "lifetime-over", LieContentType: "content-type-wrong", LieBody: "body-too-long",
	}
	for _, l := range Lies {
		h := newHome(t)
		c, _ := newClient(t)
		h.succeeds(c, start)
		if !h.server.Lie(l) {
			t.Fatalf("%s is no lie", l)
		}
		t.Run(string(l), func(t *testing.T) {
			h.tb = t
			if l == Truth {
				h.succeeds(c, start)
				return
			}
			h.fails(c, start, found[l])
			h.server.Lie(Truth)
			h.succeeds(c, start)
		})
	}
	h := newHome(t)
	if h.server.Lie("white") {
		t.Error("a lie that is none passed")
	}
}

func TestAChallengeThatIsNotTheNetworksEndsTheRun(t *testing.T) {
	h := newHome(t)
	h.vector = func(v *keys.Vector) { v.AUTN[15] ^= 1 }
	c, _ := newClient(t)
	h.fails(c, start, "mac-wrong")
	if len(h.requests) != 1 {
		t.Errorf("%d requests: the challenge was answered", len(h.requests))
	}
}

func TestARecordedChallengeIsOfNoUse(t *testing.T) {
	h := newHome(t)
	c, _ := newClient(t)
	h.succeeds(c, start)
	recorded := h.answers[0]
	t.Run("in another run", func(t *testing.T) {
		h.tb = t
		h.response = func(r *Response) { *r = recorded }
		h.fails(c, start, "challenge-not-fresh")
	})
	t.Run("in the same run", func(t *testing.T) {
		h := newHome(t)
		c, _ := newClient(t)
		h.response = func(r *Response) { *r = h.answers[0] }
		h.fails(c, start, "challenge-replayed")
	})
	t.Run("nor is a series of good ones", func(t *testing.T) {
		h := newHome(t)
		c, _ := newClient(t)
		h.request = func(r *Request) { r.Authorization, _, _ = strings.Cut(r.Authorization, ", nonce=") }
		h.fails(c, start, "too-many-challenges")
	})
}

func TestAMobileNodeTriesAgainAndGivesUp(t *testing.T) {
	c, _ := newClient(t)
	out := c.Start(start)
	var at []time.Duration
	var ids []uint64
	for c.Running() {
		if s, ok := out[0].(Send); ok {
			ids = append(ids, s.ID)
			at = append(at, c.Deadline().Sub(start)-5*time.Second)
			out = c.Tick(c.Deadline().Add(-time.Nanosecond))
			if out != nil {
				t.Fatalf("before the deadline: %v", out)
			}
		}
		out = c.Tick(c.Deadline())
	}
	if r := out[0].(Refused); r.Reason != "time-out" {
		t.Errorf("gives up for %s", r.Reason)
	}
	// Each after 5 s without an answer, and 1, 2, 4 and 8 s more.
	if want := []time.Duration{0, 6 * time.Second, 13 * time.Second, 22 * time.Second, 35 * time.Second}; !slices.Equal(at, want) {
		t.Errorf("asks at %v, want %v", at, want)
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != 5 {
		t.Errorf("requests %v", ids)
	}
}

func TestALateResponseIsToNothing(t *testing.T) {
	h := newHome(t)
	c, _ := newClient(t)
	first := c.Start(start)[0].(Send)
	response := h.ask(start, first.Request)
	c.Tick(c.Deadline())
	for range 2 {
		for _, out := range [][]Output{c.Step(c.Deadline(), Responded{first.ID, response}), c.Step(c.Deadline(), Failed{first.ID, "reset"})} {
			if _, ok := out[0].(Ignored); !ok || len(out) != 1 {
				t.Errorf("told %v", out)
			}
		}
		c.Tick(c.Deadline()) // the second attempt is on its way
	}
	if out := c.Start(start); out[0] != (Ignored{Reason: "already-running"}) {
		t.Errorf("started again: %v", out)
	}
}

func TestAnAnswerThatIsLostCostsAChallengeAndNoMore(t *testing.T) {
	h := newHome(t)
	c, _ := newClient(t)
	s := c.Start(start)[0].(Send)
	s = c.Step(start, Responded{s.ID, h.ask(start, s.Request)})[0].(Send)
	h.ask(start, s.Request) // which bootstraps at the server
	p := c.Step(start, Failed{s.ID, "reset"})[0].(Postponed)
	if p.Reason != "reset" || !p.Until.Equal(start.Add(time.Second)) {
		t.Errorf("postponed for %s until %v", p.Reason, p.Until)
	}
	s = c.Tick(p.Until)[0].(Send)
	s = c.Step(p.Until, Responded{s.ID, h.ask(p.Until, s.Request)})[0].(Send)
	if _, ok := c.Step(p.Until, Responded{s.ID, h.ask(p.Until, s.Request)})[0].(Bootstrapped); !ok {
		t.Error("no key")
	}
}

func TestAServerWithoutItsHSSIsAskedAgainAndOneThatKnowsNobodyIsNot(t *testing.T) {
	h := newHome(t)
	h.down = true
	c, _ := newClient(t)
	h.fails(c, start, "unavailable")
	if len(h.requests) != mostAttempts || h.last(t) != (Refused{impi, "hss-unavailable"}) {
		t.Errorf("%d requests, %+v", len(h.requests), h.last(t))
	}
	h = newHome(t)
	h.unknown = true
	h.fails(c, start, "forbidden")
	if len(h.requests) != 1 || h.last(t) != (Refused{impi, "user-unknown"}) {
		t.Errorf("%d requests, %+v", len(h.requests), h.last(t))
	}
}

func TestADirectiveThatIsNotWhatItMustBeIsRefused(t *testing.T) {
	answer := func(old, new string) func(*Request) {
		return func(r *Request) {
			if strings.Contains(r.Authorization, "response=\"") && !strings.Contains(r.Authorization, `nonce=""`) {
				r.Authorization = strings.Replace(r.Authorization, old, new, 1)
			}
		}
	}
	other := `username="0001010000000002@home.example"`
	for _, c := range []struct {
		reason string
		status int
		change func(*Request)
	}{
		{"method-not-allowed", 405, func(r *Request) { r.Method = "POST" }},
		{"target-unknown", 404, func(r *Request) { r.Target = "/ks" }},
		{"body-too-long", 400, func(r *Request) { r.Body = make([]byte, MostBody+1) }},
		{"no-identity", 400, func(r *Request) { r.Authorization = "" }},
		{"credentials-malformed", 400, func(r *Request) { r.Authorization = `Basic dXNlcjpwYXNz` }},
		{"identity-malformed", 400, func(r *Request) { r.Authorization = `Digest nonce=""` }},
		{"identity-malformed", 400, func(r *Request) { r.Authorization = `Digest username="a\"b"` }},
		{"identity-malformed", 400, func(r *Request) { r.Authorization = "Digest username=\"\xff@x\"" }},
		{"identity-malformed", 400, func(r *Request) { r.Authorization = `Digest username="` + strings.Repeat("a", 254) + `"` }},
		{"user-unknown", 403, func(r *Request) { r.Authorization = "Digest " + other }},
		{"identity-changed", 403, answer(`username="`+impi+`"`, other)},
		{"realm-wrong", 400, answer(`realm="bsf.`, `realm="ims.`)},
		{"uri-wrong", 400, answer(`uri="/"`, `uri="/x"`)},
		{"algorithm-unknown", 400, answer("AKAv1-MD5", "AKAv2-MD5")},
		{"qop-unknown", 400, answer("auth-int", "auth")},
		{"nonce-count-wrong", 400, answer("nc=00000001", "nc=00000002")},
		{"cnonce-malformed", 400, answer(`cnonce="`, `cnonce="\"`)},
		{"response-wrong", 403, answer(`response="`, `response="0`)},
		{"response-wrong", 403, func(r *Request) { r.Body = []byte("x") }},
		{"response-wrong", 403, answer(`response="`, `auts="AAAAAAAAAAAAAAAAAAA=", response="`)}, // the response is not that of an empty password
		{"auts-malformed", 400, answer(`response="`, `auts="AAAA", response="`)},
	} {
		t.Run(c.reason, func(t *testing.T) {
			h := newHome(t)
			h.request = c.change
			client, _ := newClient(t)
			if _, ok := h.run(client, start).(Refused); !ok {
				t.Error("the mobile node has a key")
			}
			if got := h.last(t); got.Reason != c.reason || h.answers[len(h.answers)-1].Status != c.status {
				t.Errorf("%d for %s, want %d for %s", h.answers[len(h.answers)-1].Status, got.Reason, c.status, c.reason)
			}
			if h.server.Kept() != 0 || len(h.server.nonces) != 0 || len(h.server.open) != 0 || len(h.server.fetching) != 0 {
				t.Error("something is kept")
			}
		})
	}
}

// answerTo makes a request that answers the challenge in a response.
func answerTo(t *testing.T, c *Client, id uint64, r Response) Request {
	t.Helper()
	s, ok := c.Step(start, Responded{id, r})[0].(Send)
	if !ok {
		t.Fatal("the challenge is not answered")
	}
	return s.Request
}

func TestANonceIsGoodForOneAnswer(t *testing.T) {
	for what, spoil := range map[string]string{"a right one": "", "a wrong one": `response="0`} {
		t.Run(what, func(t *testing.T) {
			h := newHome(t)
			c, _ := newClient(t)
			first := c.Start(start)[0].(Send)
			good := answerTo(t, c, first.ID, h.ask(start, first.Request))
			tried := good
			if spoil != "" {
				tried.Authorization = strings.Replace(good.Authorization, `response="`, spoil, 1)
			}
			h.ask(start, tried)
			if got := h.ask(start, good); got.Status != 401 || got.Challenges[0] == h.answers[0].Challenges[0] {
				t.Errorf("the same answer once more has %d, want another challenge", got.Status)
			}
		})
	}
}

func TestAChallengeIsForgotten(t *testing.T) {
	h := newHome(t)
	c, _ := newClient(t)
	first := c.Start(start)[0].(Send)
	good := answerTo(t, c, first.ID, h.ask(start, first.Request))
	at := h.server.Deadline()
	if want := start.Add(answerWithin); !at.Equal(want) {
		t.Fatalf("deadline %v, want %v", at, want)
	}
	h.server.Tick(at.Add(-1))
	if len(h.server.nonces) != 1 {
		t.Error("too early")
	}
	h.server.Tick(at)
	if len(h.server.nonces)+len(h.server.open)+len(h.server.line) != 0 || !h.server.Deadline().IsZero() {
		t.Error("something is left of it")
	}
	if got := h.ask(at, good); got.Status != 401 {
		t.Errorf("an answer too late has %d, want another challenge", got.Status)
	}
}

func TestACardThatIsNeverSatisfiedIsRefused(t *testing.T) {
	h := newHome(t)
	c, card := newClient(t)
	ahead := newHome(t)
	ahead.sqn = 1 << 20
	v := ahead.nextVector()
	if _, err := card.Authenticate(v.RAND, v.AUTN); err != nil {
		t.Fatal(err)
	}
	first := c.Start(start)[0].(Send)
	again := answerTo(t, c, first.ID, h.ask(start, first.Request)) // with auts
	h.ask(start, again)                                            // a challenge for a card that was heard
	told, err := parseCredentials(h.answers[1].Challenges[0])
	if err != nil {
		t.Fatal(err)
	}
	d := keys.Digest{Username: impi, Realm: bsfHost, Nonce: told.get("nonce"), Method: "GET", URI: "/", QoP: keys.QoPAuthInt, NC: 1, CNonce: "0a4f113b"}
	got := h.ask(start, Request{Method: "GET", Target: "/", Authorization: fmt.Sprintf(
		`Digest username="%s", realm="%s", nonce="%s", uri="/", qop=auth-int, nc=00000001, cnonce="%s", response="%s", auts="%s"`,
		d.Username, d.Realm, d.Nonce, d.CNonce, d.ResyncResponse(), keys.DigestAUTS([14]byte{}))})
	if got.Status != 403 || h.last(t).Reason != "resynchronised-already" {
		t.Errorf("%d for %s", got.Status, h.last(t).Reason)
	}
}

func TestWhatStrangersMakeAServerKeepIsBounded(t *testing.T) {
	s := NewServer(ServerOptions{Host: bsfHost, Lifetime: time.Hour})
	ask := func(id uint64, user string) []Output {
		return s.Requested(start, Requested{ID: id, Request: Request{Method: "GET", Target: "/", Authorization: `Digest username="` + user + `"`}})
	}
	for id := range uint64(3 * mostFetching) {
		ask(id, fmt.Sprint(id))
	}
	if len(s.fetching) != mostFetching {
		t.Errorf("%d requests wait for vectors, want %d", len(s.fetching), mostFetching)
	}
	for id := range s.fetching {
		s.NoVector(id, UnknownUser)
	}
	for id := range uint64(2 * mostOfOne) {
		ask(id, "one")
	}
	if len(s.fetching) != mostOfOne {
		t.Errorf("%d requests of one identity wait for vectors, want %d", len(s.fetching), mostOfOne)
	}
	for id := range s.fetching {
		s.NoVector(id, Unavailable)
	}
	for i := range uint64(mostIssued + 500) {
		ask(i, fmt.Sprint(i/8))
		s.Vector(start, i, keys.Vector{RAND: [16]byte{byte(i), byte(i >> 8), byte(i >> 16)}, XRES: []byte("password")})
	}
	if len(s.line) != mostIssued || len(s.nonces) > mostIssued {
		t.Errorf("%d challenges in line and %d by nonce, want %d", len(s.line), len(s.nonces), mostIssued)
	}
	for user, own := range s.open {
		if len(own) > mostOfOne {
			t.Errorf("%d challenges of %s", len(own), user)
		}
	}
}

func TestAVectorThatWasUsedIsNotUsedAgain(t *testing.T) {
	h := newHome(t)
	c, _ := newClient(t)
	var first keys.Vector
	h.vector = func(v *keys.Vector) { first = *v }
	h.succeeds(c, start)
	h.vector = func(v *keys.Vector) { *v = first }
	h.fails(c, start, "unavailable")
	if got := h.last(t).Reason; got != "vector-unfit" {
		t.Error(got)
	}
}

func TestWhatBelongsToNoRequestIsIgnored(t *testing.T) {
	s := NewServer(ServerOptions{Host: bsfHost, Lifetime: time.Hour})
	if out := s.Vector(start, 7, keys.Vector{XRES: []byte("password")}); out[0] != (Ignored{"vector-for-nothing"}) {
		t.Errorf("%v", out)
	}
	if out := s.NoVector(7, Unavailable); out[0] != (Ignored{"no-vector-for-nothing"}) {
		t.Errorf("%v", out)
	}
}

func TestANAFIsGivenItsKeyAndNoOthers(t *testing.T) {
	h := newHome(t)
	c, _ := newClient(t)
	done := h.succeeds(c, start)
	at := start.Add(time.Minute)
	ask := func(naf NAF) (NAFKey, Denial) { return h.server.NAFKey(at, done.GBA.BTID, naf) }
	id := func(fqdn string) []byte { return bootstrap.NAFID(fqdn) }
	for what, naf := range map[string]NAF{
		"a home agent":             {"ha.home.example", "home.example", id("ha.home.example")},
		"one in capitals":          {"HA.home.example", "home.example", id("ha.home.example")},
		"an AAA server of a realm": {"aaa2.home.example", "home.example", id("aaa.home.example")},
	} {
		got, denied := ask(naf)
		want, err := keys.KsNAF(done.GBA.Ks, done.GBA.RAND, impi, naf.ID)
		if denied != "" || err != nil || string(got.Key.Value) != string(want[:]) || got.IMPI != impi || !got.Ends.Equal(done.GBA.Ends) || !got.Created.Equal(start) {
			t.Errorf("%s: %q, %v for %s", what, denied, got.Key, got.IMPI)
		}
		if got.Key.Lifetime != 59*time.Minute || got.Key.Of[0] != keys.Of(keys.NameKs, done.GBA.Ks[:]) || got.Key.Name != keys.NameKsNAF {
			t.Errorf("%s: told as %v of %v for %v", what, got.Key, got.Key.Of, got.Key.Lifetime)
		}
	}
	for what, naf := range map[string]NAF{
		"another home agent":         {"ha2.home.example", "home.example", id("ha.home.example")},
		"AAA servers of another":     {"aaa.other.example", "other.example", id("aaa.home.example")},
		"one without a name":         {"", "home.example", id("")},
		"one without a protocol":     {"ha.home.example", "home.example", []byte("ha.home.example")},
		"nobody":                     {"ha.home.example", "home.example", nil},
		"a name that goes on":        {"ha.home.example", "home.example", id("ha.home.example.evil.example")},
		"letters like them":          {"ha.home.example", "\u017fervers", id("aaa.servers")},
		"a host of letters like":     {"\u017ferver.example", "home.example", id("server.example")},
		"one with a protocol of six": {"ha.home.example", "home.example", append(id("ha.home.example"), 1)},
	} {
		if got, denied := ask(naf); denied != NotAuthorized || len(got.Key.Value) != 0 {
			t.Errorf("%s: %q and a key of %d octets", what, denied, len(got.Key.Value))
		}
	}
	naf := NAF{"ha.home.example", "home.example", id("ha.home.example")}
	if _, denied := h.server.NAFKey(at, "x"+done.GBA.BTID, naf); denied != UnknownBTID {
		t.Errorf("a B-TID that was never given: %q", denied)
	}
	if _, denied := h.server.NAFKey(done.GBA.Ends, done.GBA.BTID, naf); denied != UnknownBTID {
		t.Errorf("one that is over: %q", denied)
	}
	h.succeeds(c, at)
	if _, denied := ask(naf); denied != UnknownBTID {
		t.Errorf("one that was replaced: %q", denied)
	}
}

func TestABootstrappingEnds(t *testing.T) {
	h := newHome(t)
	c, _ := newClient(t)
	done := h.succeeds(c, start)
	h.server.Tick(start.Add(answerWithin))
	at := h.server.Deadline()
	if !at.Equal(done.GBA.Ends) {
		t.Fatalf("deadline %v, want %v", at, done.GBA.Ends)
	}
	if out := h.server.Tick(at.Add(-1)); len(out) != 0 || h.server.Kept() != 1 {
		t.Error("too early")
	}
	if out := h.server.Tick(at); len(out) != 1 || out[0] != (Ended{impi, done.GBA.BTID}) || h.server.Kept() != 0 {
		t.Errorf("told %v", out)
	}
	if !h.server.Deadline().IsZero() {
		t.Error("there is still something to do")
	}
}

func TestBootstrappingsAreBounded(t *testing.T) {
	k := newKept()
	for i := range mostKept + 10 {
		k.add(&bootstrapping{GBA: keys.GBA{BTID: fmt.Sprint(i), IMPI: fmt.Sprint(i)}})
	}
	if len(k.byBTID) != mostKept || k.has("9") || !k.has("10") {
		t.Errorf("%d are kept", len(k.byBTID))
	}
	for i := range 4 * mostKept {
		k.add(&bootstrapping{GBA: keys.GBA{BTID: fmt.Sprint("again ", i), IMPI: "one"}})
	}
	if len(k.line) > 2*mostKept {
		t.Errorf("%d in line", len(k.line))
	}
}

func TestNothingSecretIsPrinted(t *testing.T) {
	h := newHome(t)
	c, _ := newClient(t)
	h.succeeds(c, start)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		said := fmt.Sprintf(strings.Repeat(verb, 2), h.requests[1], h.answers[1])
		if strings.Contains(said, "response=") || strings.Contains(said, "rspauth") {
			t.Errorf("%s prints %s", verb, said)
		}
	}
	secret := "very-secret"
	for _, field := range []string{`Digest response="` + secret, `Digest ` + secret + `="1",` + secret + `=2`, secret + "=x"} {
		if _, err := parseChallenges(field); err == nil || strings.Contains(err.Error(), secret) || !errors.Is(err, errDirectives) {
			t.Errorf("%q: %v", field, err)
		}
	}
}

func TestNamesThatCannotStandInADigestMakeNoClient(t *testing.T) {
	for _, name := range []string{"", `a"b`, `a\b`, "a\nb", strings.Repeat("a", 254)} {
		for _, o := range []ClientOptions{{IMPI: name, BSF: bsfHost}, {IMPI: impi, BSF: name}} {
			if _, err := NewClient(o); err == nil {
				t.Errorf("%q at %q passed", o.IMPI, o.BSF)
			}
		}
	}
}

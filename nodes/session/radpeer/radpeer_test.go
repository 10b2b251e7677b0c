package radpeer

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/wire/radius"
)

var (
	start  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	first  = netip.MustParseAddrPort("[2001:db8:300::2]:1812")
	second = netip.MustParseAddrPort("192.0.2.2:1812")
	nas    = netip.MustParseAddrPort("192.0.2.9:40000")
)

// noise gives octets that look random and are always the same.
type noise struct{ *rand.ChaCha8 }

func newNoise() noise { return noise{rand.NewChaCha8([32]byte{1})} }

func secretOf(server netip.AddrPort) radius.Secret {
	return radius.Secret("secret of " + server.String())
}

func newClient(t testing.TB, change func(*ClientOptions)) *Client {
	t.Helper()
	o := ClientOptions{Servers: []Remote{{first, secretOf(first), false}, {second, secretOf(second), false}}, Jitter: rand.New(rand.NewPCG(1, 2)), Random: newNoise()}
	if change != nil {
		change(&o)
	}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func user(name string) []radius.Attribute {
	return []radius.Attribute{{Type: radius.UserName, Value: []byte(name)}}
}

// told gives outputs in words.
func told(out []Output) (words []string) {
	for _, o := range out {
		switch o := o.(type) {
		case Send:
			words = append(words, "send "+o.To.String())
		case Ignored:
			words = append(words, o.Reason)
		case Suspected:
			words = append(words, "suspected "+o.Server.String())
		case Restored:
			words = append(words, "restored "+o.Server.String())
		case Deliver:
			words = append(words, fmt.Sprintf("deliver %d of %s", o.ID, o.Client))
		case Done:
			if o.Packet != nil {
				words = append(words, fmt.Sprintf("done %d: %v by %v", o.ID, o.Packet.Code, o.Server))
			} else {
				words = append(words, fmt.Sprintf("done %d: %s", o.ID, o.Reason))
			}
		}
	}
	return words
}

func expect(t *testing.T, what string, out []Output, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, told(out)); diff != "" {
		t.Errorf("%s: want - got +\n%s", what, diff)
	}
}

func sends(out []Output) (all []Send) {
	for _, o := range out {
		if o, ok := o.(Send); ok {
			all = append(all, o)
		}
	}
	return all
}

func sent(t *testing.T, out []Output) Send {
	t.Helper()
	all := sends(out)
	if len(all) != 1 {
		t.Fatalf("%v: want one datagram", told(out))
	}
	return all[0]
}

func parse(t *testing.T, b []byte) *radius.Packet {
	t.Helper()
	p, err := radius.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answer makes what a server answers to a request.
func answer(t *testing.T, s Send, secret radius.Secret, code radius.Code, as []radius.Attribute) Received {
	t.Helper()
	request := parse(t, s.Octets)
	b, err := (&radius.Packet{Code: code, Identifier: request.Identifier, Attributes: as}).AppendResponse(nil, secret, request.Authenticator)
	if err != nil {
		t.Fatal(err)
	}
	return Received{s.Socket, s.To, b}
}

func TestARequestIsSentAgainAsRFC5080HasIt(t *testing.T) {
	var gaps [][]time.Duration
	for seed := range uint64(200) {
		c := newClient(t, func(o *ClientOptions) {
			o.Servers = o.Servers[:1]
			o.Jitter = rand.New(rand.NewPCG(seed, 0))
			o.Tries, o.Duration = 6, 2*time.Minute
		})
		out := c.Ask(start, Ask{ID: 1, Attributes: user("u")})
		octets := bytes.Clone(sent(t, out).Octets)
		if guarded, err := radius.VerifyRequest(octets, secretOf(first)); err != nil || !guarded {
			t.Fatal(guarded, err)
		}
		var all []time.Duration
		for last := start; ; {
			now := c.Deadline()
			if out := c.Tick(now.Add(-1)); len(out) != 0 {
				t.Fatalf("before the time: %v", told(out))
			}
			all = append(all, now.Sub(last))
			last = now
			if out = c.Tick(now); len(all) == 6 {
				break
			}
			if again := sent(t, out); !bytes.Equal(again.Octets, octets) {
				t.Fatal("another packet is sent the second time")
			}
		}
		expect(t, "the end", out, "suspected "+first.String(), "done 1: time-out")
		if !c.Deadline().IsZero() {
			t.Error("something is left to do")
		}
		gaps = append(gaps, all)
	}
	for i, around := range []float64{2, 4, 8, 16, 16, 16} {
		low, high := time.Hour, time.Duration(0)
		least, greatest := math.Inf(1), 0.0
		for j, g := range gaps {
			low, high = min(low, g[i]), max(high, g[i])
			// RT = 2*RTprev + RAND*RTprev: of the one before, not of the ideal.
			base, ratio := around, 1.0
			if i > 0 && i < 3 {
				base, ratio = gaps[j][i-1].Seconds(), 2
			}
			least, greatest = min(least, g[i].Seconds()/base/ratio), max(greatest, g[i].Seconds()/base/ratio)
			if got := g[i].Seconds(); i < 3 && (got < base*(ratio-0.1)-1e-6 || got > base*(ratio+0.1)+1e-6) {
				t.Errorf("wait %d: %v after %vs", i, g[i], base)
			}
		}
		if i < 3 && (least > 0.96 || greatest < 1.04) {
			t.Errorf("wait %d is %.2f to %.2f of what it would be without RAND, want more of a spread", i, least, greatest)
		}
		if low.Seconds() > around*0.96 || high.Seconds() < around*0.99 || high.Seconds() > around*1.35 {
			t.Errorf("wait %d is from %v to %v, want it spread about %vs", i, low, high, around)
		}
		if i >= 4 && (low.Seconds() < 14.4 || high.Seconds() > 17.6) {
			t.Errorf("wait %d is from %v to %v, want 14.4s to 17.6s", i, low, high)
		}
	}
}

func TestNoRequestIsSentLongerThanMRD(t *testing.T) {
	c := newClient(t, func(o *ClientOptions) { o.Servers, o.Tries = o.Servers[:1], 1000 })
	c.Ask(start, Ask{ID: 1, Attributes: user("u")})
	for range 4 { // after 2 s, 6 s, 14 s; RAND may let a fourth begin before 30 s
		if now := c.Deadline(); now.Before(start.Add(30 * time.Second)) {
			sent(t, c.Tick(now))
		}
	}
	if got := c.Deadline().Sub(start); got != 30*time.Second {
		t.Errorf("the end comes after %v, want 30s", got)
	}
	expect(t, "the end", c.Tick(c.Deadline()), "suspected "+first.String(), "done 1: time-out")
}

func TestASilentServerIsFollowedByTheNext(t *testing.T) {
	c := newClient(t, func(o *ClientOptions) { o.Tries = 2 })
	one := sent(t, c.Ask(start, Ask{ID: 1, Attributes: user("u")}))
	old := bytes.Clone(one.Octets)
	if one.To != first {
		t.Errorf("%v is asked first", one.To)
	}
	c.Tick(c.Deadline())
	now := c.Deadline()
	out := c.Tick(now)
	expect(t, "two tries later", out, "suspected "+first.String(), "send "+second.String())
	two := sent(t, out)
	a, b := parse(t, old), parse(t, two.Octets)
	if a.Identifier == b.Identifier || a.Authenticator == b.Authenticator {
		t.Error("the second server sees identifier or authenticator of the first")
	}
	expect(t, "the first, too late", c.Received(now, answer(t, Send{0, first, old}, secretOf(first), radius.AccessAccept, nil)), "answer-to-nothing")
	expect(t, "the second", c.Received(now, answer(t, two, secretOf(second), radius.AccessAccept, nil)), "done 1: Access-Accept by "+second.String())

	expect(t, "the next question", c.Ask(now, Ask{ID: 2, Attributes: user("u")}), "send "+second.String())
	later := now.Add(30 * time.Second)
	again := sent(t, c.Ask(later, Ask{ID: 3, Attributes: user("u")}))
	if again.To != first {
		t.Errorf("30 s later %v is asked first", again.To)
	}
	expect(t, "the first, well again", c.Received(later, answer(t, again, secretOf(first), radius.AccessReject, nil)),
		"restored "+first.String(), "done 3: Access-Reject by "+first.String())
}

func TestStateGoesToTheServerWhoseItIs(t *testing.T) {
	c := newClient(t, func(o *ClientOptions) { o.Tries = 1 })
	expect(t, "asked", c.Ask(start, Ask{ID: 1, Attributes: user("u"), Server: second}), "send "+second.String())
	expect(t, "silent", c.Tick(c.Deadline()), "suspected "+second.String(), "done 1: time-out")
	expect(t, "unknown", c.Ask(start, Ask{ID: 2, Server: nas}), "done 2: no-server")
}

func TestAnIdentifierIsNotUsedTwiceAtATime(t *testing.T) {
	c := newClient(t, func(o *ClientOptions) { o.Sockets, o.Most = 2, 3 })
	outstanding := map[slot]Send{}
	keep := func(s Send) {
		k := slot{s.Socket, s.Octets[1]}
		if _, ok := outstanding[k]; ok {
			t.Fatalf("identifier %v is used twice", k)
		}
		s.Octets = bytes.Clone(s.Octets)
		outstanding[k] = s
	}
	for id := range uint64(512) {
		keep(sent(t, c.Ask(start, Ask{ID: id, Attributes: user("u")})))
	}
	for id := range uint64(3) {
		expect(t, "no identifier", c.Ask(start, Ask{ID: 512 + id, Attributes: user("u")}))
	}
	expect(t, "no room", c.Ask(start, Ask{ID: 515, Attributes: user("u")}), "done 515: overload")
	for want := range uint64(3) { // who waited longest comes first
		k := slot{1, uint8(7 + want)}
		out := c.Received(start, answer(t, outstanding[k], secretOf(first), radius.AccessAccept, nil))
		delete(outstanding, k)
		s := sent(t, out)
		if got := (slot{s.Socket, s.Octets[1]}); got != k {
			t.Errorf("identifier %v is used, want %v", got, k)
		}
		keep(s)
	}
	// All time out together, and all find the second server.
	over := 0
	for !c.Deadline().IsZero() {
		for _, o := range c.Tick(c.Deadline()) {
			if d, ok := o.(Done); ok && d.Reason == "time-out" {
				over++
			}
		}
	}
	if over != 512 {
		t.Errorf("%d questions end, want 512", over)
	}
	if len(c.free) != 512 || len(c.used) != 0 {
		t.Errorf("%d identifiers at rest and %d in use", len(c.free), len(c.used))
	}
}

func TestTheIdentifierThatRestsLongestIsUsedFirst(t *testing.T) {
	c := newClient(t, func(o *ClientOptions) { o.Sockets = 2 })
	used := map[slot]int{}
	for n := range 3 * 512 {
		s := sent(t, c.Ask(start, Ask{Attributes: user("u")}))
		k := slot{s.Socket, s.Octets[1]}
		if last, ok := used[k]; ok && n-last != 512 || !ok && n >= 512 {
			t.Fatalf("request %d has identifier %v, which %d had", n, k, last)
		}
		used[k] = n
		c.Received(start, answer(t, s, secretOf(first), radius.AccessAccept, nil))
	}
}

func TestAQuestionThatServersDidNotAnswerGoesBeforeYoungerOnes(t *testing.T) {
	c := newClient(t, func(o *ClientOptions) { o.Tries = 1 })
	for id := range uint64(258) { // of which two wait for an identifier
		c.Ask(start.Add(time.Duration(id)), Ask{ID: id, Attributes: user(fmt.Sprint(id))})
	}
	asked := func(out []Output) string { return string(parse(t, sent(t, out).Octets).All(radius.UserName)[0]) }
	due := c.timers[0].question.ID
	out := c.Tick(c.Deadline())
	if got := asked(out); got != fmt.Sprint(due) || sent(t, out).To != second {
		t.Errorf("%v: question %s goes next, want %d to the second server", told(out), got, due)
	}
}

func TestOnlyTheServersAnswerIsBelieved(t *testing.T) {
	c := newClient(t, func(o *ClientOptions) { o.Servers[0].Guarded = true })
	s := sent(t, c.Ask(start, Ask{ID: 1, Attributes: user("u")}))
	s.Octets = bytes.Clone(s.Octets)
	guard := radius.Guard(nil)
	good := answer(t, s, secretOf(first), radius.AccessAccept, guard)
	forged := func(change func(*Received)) Received {
		r := good
		r.Octets = bytes.Clone(r.Octets)
		change(&r)
		return r
	}
	for _, c1 := range []struct {
		what string
		in   Received
		want string
	}{
		{"another secret", answer(t, s, radius.Secret("other"), radius.AccessAccept, guard), "unauthenticated"},
		{"no Message-Authenticator", answer(t, s, secretOf(first), radius.AccessAccept, nil), "unauthenticated"},
		{"a stranger", forged(func(r *Received) { r.From = nas }), "unknown-server"},
		{"the other server", forged(func(r *Received) { r.From = second }), "answer-to-nothing"},
		{"another identifier", forged(func(r *Received) { r.Octets[1]++ }), "answer-to-nothing"},
		{"another socket", forged(func(r *Received) { r.Socket++ }), "answer-to-nothing"},
		{"another code", forged(func(r *Received) { r.Octets[0] = 3 }), "unauthenticated"},
		{"a request", forged(func(r *Received) { r.Octets[0] = 1 }), "unexpected-code"},
		{"half of it", forged(func(r *Received) { r.Octets = r.Octets[:30] }), "malformed"},
	} {
		expect(t, c1.what, c.Received(start, c1.in), c1.want)
	}
	expect(t, "the answer", c.Received(start, good), "done 1: Access-Accept by "+first.String())
	expect(t, "the answer again", c.Received(start, good), "answer-to-nothing")
	if !c.Deadline().IsZero() {
		t.Error("something is left to do")
	}
}

func TestStopEndsEveryQuestion(t *testing.T) {
	c := newClient(t, func(o *ClientOptions) { o.Sockets = 1 })
	for id := range uint64(258) {
		c.Ask(start, Ask{ID: id, Attributes: user("u")})
	}
	seen := map[uint64]bool{}
	for _, o := range c.Stop() {
		d := o.(Done)
		if d.Reason != "stopped" || seen[d.ID] {
			t.Errorf("%+v", d)
		}
		seen[d.ID] = true
	}
	if len(seen) != 258 || !c.Deadline().IsZero() {
		t.Errorf("%d questions end, want 258", len(seen))
	}
	expect(t, "asked after that", c.Ask(start, Ask{ID: 300}), "done 300: stopped")
}

func TestWhatDoesNotFitAPacketIsNotSent(t *testing.T) {
	c := newClient(t, nil)
	expect(t, "too long", c.Ask(start, Ask{ID: 1, Attributes: []radius.Attribute{{Type: radius.State, Value: make([]byte, 254)}}}), "done 1: malformed-request")
	expect(t, "the next", c.Ask(start, Ask{ID: 2, Attributes: user("u")}), "send "+first.String())
}

func newServer(t testing.TB, change func(*ServerOptions)) *Server {
	t.Helper()
	o := ServerOptions{Salts: rand.New(rand.NewPCG(3, 4)), Clients: []Known{
		{"all", netip.MustParsePrefix("192.0.2.0/24"), radius.Secret("of all"), false},
		{"nas", netip.MustParsePrefix("192.0.2.9/32"), radius.Secret("of nas"), false},
		{"six", netip.MustParsePrefix("2001:db8::/32"), radius.Secret("of six"), true},
	}}
	if change != nil {
		change(&o)
	}
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// request makes what a client asks; authenticator and identifier are n.
func request(t testing.TB, secret string, n byte, as []radius.Attribute) []byte {
	t.Helper()
	b, err := (&radius.Packet{Code: radius.AccessRequest, Identifier: n, Authenticator: radius.Authenticator{n}, Attributes: as}).AppendRequest(nil, radius.Secret(secret))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func respond(t *testing.T, s *Server, now time.Time, id uint64, code radius.Code, as []radius.Attribute) []Output {
	t.Helper()
	out, err := s.Answer(now, id, code, as)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestARequestIsDeliveredOnceAndAnsweredAsOften(t *testing.T) {
	s := newServer(t, nil)
	in := Received{2, nas, request(t, "of nas", 5, radius.Guard(user("u")))}
	out := s.Received(start, in)
	expect(t, "a request", out, "deliver 1 of nas")
	d := out[0].(Deliver)
	if !d.Guarded || string(d.Packet.All(radius.UserName)[0]) != "u" {
		t.Errorf("%+v", d)
	}
	expect(t, "again, before the answer", s.Received(start, in), "duplicate-request")
	out = respond(t, s, start.Add(time.Second), 1, radius.AccessAccept, user("v"))
	reply := sent(t, out)
	if reply.To != nas || reply.Socket != 2 {
		t.Errorf("sent to %v of socket %d", reply.To, reply.Socket)
	}
	if guarded, err := radius.VerifyResponse(reply.Octets, radius.Secret("of nas"), radius.Authenticator{5}); err != nil || !guarded {
		t.Error(guarded, err)
	}
	first := bytes.Clone(reply.Octets)
	for _, after := range []time.Duration{0, 30 * time.Second} {
		out = s.Received(start.Add(time.Second).Add(after).Add(-1), in)
		expect(t, "again", out, "send "+nas.String(), "duplicate-request")
		if !bytes.Equal(sent(t, out).Octets, first) {
			t.Error("the answer is another one")
		}
	}
	expect(t, "answered twice", respond(t, s, start, 1, radius.AccessReject, nil), "answer-to-nothing")
	if got := s.Deadline(); !got.Equal(start.Add(31 * time.Second)) {
		t.Errorf("forgotten at %v", got)
	}
	expect(t, "the end", s.Tick(s.Deadline()))
	if !s.Deadline().IsZero() {
		t.Error("something is left to do")
	}
	expect(t, "again, long after", s.Received(start.Add(31*time.Second), in), "deliver 2 of nas")
}

func TestAnIdentifierUsedAgainIsANewRequest(t *testing.T) {
	s := newServer(t, nil)
	one := Received{0, nas, request(t, "of nas", 5, radius.Guard(user("u")))}
	two := Received{0, nas, bytes.Clone(one.Octets)}
	p := parse(t, two.Octets)
	p.Authenticator[7] = 1
	two.Octets, _ = p.AppendRequest(nil, radius.Secret("of nas"))
	expect(t, "one", s.Received(start, one), "deliver 1 of nas")
	broken := Received{0, nas, bytes.Clone(two.Octets)}
	broken.Octets[len(broken.Octets)-1] ^= 1
	expect(t, "forged", s.Received(start, broken), "unauthenticated")
	expect(t, "one again", s.Received(start, one), "duplicate-request")
	expect(t, "two", s.Received(start, two), "deliver 2 of nas")
	expect(t, "one is answered", respond(t, s, start, 1, radius.AccessAccept, nil), "answer-to-nothing")
	expect(t, "two is answered", respond(t, s, start, 2, radius.AccessAccept, nil), "send "+nas.String())
	other := nas
	for i, in := range []Received{{1, nas, one.Octets}, {0, netip.AddrPortFrom(nas.Addr(), 9), one.Octets}} {
		expect(t, fmt.Sprint(other, i), s.Received(start, in), fmt.Sprintf("deliver %d of nas", 3+i))
	}
}

func TestOnlyKnownClientsAreHeard(t *testing.T) {
	s := newServer(t, nil)
	six := netip.MustParseAddrPort("[2001:db8::7]:50000")
	password := []radius.Attribute{{Type: radius.UserPassword, Value: make([]byte, 16)}}
	eap := []radius.Attribute{{Type: radius.EAPMessage, Value: []byte{2, 1, 0, 5, 1}}}
	guarded := radius.Guard(user("u"))
	for i, c := range []struct {
		what string
		from netip.AddrPort
		b    []byte
		want string
	}{
		{"a stranger", netip.MustParseAddrPort("198.51.100.1:1812"), request(t, "of all", 0, guarded), "unknown-client"},
		{"of the network", netip.MustParseAddrPort("192.0.2.8:1812"), request(t, "of all", 1, guarded), "deliver 1 of all"},
		{"with the network's secret", nas, request(t, "of all", 2, guarded), "unauthenticated"},
		{"with its own", nas, request(t, "of nas", 3, guarded), "deliver 2 of nas"},
		{"in IPv6's clothes", netip.MustParseAddrPort("[::ffff:192.0.2.9]:1"), request(t, "of nas", 3, guarded), "deliver 3 of nas"},
		{"a password is enough", nas, request(t, "of nas", 4, password), "deliver 4 of nas"},
		{"but not for all", six, request(t, "of six", 5, password), "unauthenticated"},
		{"nothing proves it", nas, request(t, "of nas", 6, user("u")), "unauthenticated"},
		{"EAP alone", nas, request(t, "of nas", 7, eap), "unauthenticated"},
		{"EAP guarded", six, request(t, "of six", 8, radius.Guard(eap)), "deliver 5 of six"},
		{"an answer", nas, []byte{2, 0, 0, 20, 19: 0}, "unexpected-code"},
		{"accounting", nas, []byte{4, 0, 0, 20, 19: 0}, "unexpected-code"},
		{"rubbish", nas, []byte("rubbish"), "malformed"},
	} {
		expect(t, fmt.Sprint(i, " ", c.what), s.Received(start, Received{0, c.from, c.b}), c.want)
	}
}

func TestProxyStateComesBackInItsOrder(t *testing.T) {
	s := newServer(t, nil)
	proxy := func(v string) radius.Attribute { return radius.Attribute{Type: radius.ProxyState, Value: []byte(v)} }
	as := slices.Concat([]radius.Attribute{proxy("b")}, user("u"), []radius.Attribute{proxy("a"), proxy("b")})
	s.Received(start, Received{0, nas, request(t, "of nas", 1, radius.Guard(as))})
	p := parse(t, sent(t, respond(t, s, start, 1, radius.AccessChallenge, []radius.Attribute{{Type: radius.State, Value: []byte("s")}})).Octets)
	var got []string
	for _, a := range p.Attributes {
		got = append(got, a.Type.String())
		if a.Type == radius.ProxyState {
			got[len(got)-1] += " " + string(a.Value)
		}
	}
	if diff := cmp.Diff([]string{"Message-Authenticator", "State", "Proxy-State b", "Proxy-State a", "Proxy-State b"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestARequestWithoutAnswerIsForgotten(t *testing.T) {
	s := newServer(t, func(o *ServerOptions) { o.Most = 2 })
	for n := range byte(3) {
		s.Received(start.Add(time.Duration(n)), Received{0, nas, request(t, "of nas", n, radius.Guard(nil))})
	}
	expect(t, "the oldest gave way", respond(t, s, start, 1, radius.AccessAccept, nil), "answer-to-nothing")
	s.Tick(start.Add(30*time.Second + 1))
	expect(t, "too old", respond(t, s, start, 2, radius.AccessAccept, nil), "answer-to-nothing")
	expect(t, "not too old", respond(t, s, start, 3, radius.AccessAccept, nil), "send "+nas.String())
	s.Tick(start.Add(time.Hour))
	if len(s.kept) != 0 || len(s.open) != 0 || s.line.Len() != 0 {
		t.Error("something is kept")
	}
}

func TestAnAnswerIsKeptFromWhenItWent(t *testing.T) {
	s := newServer(t, nil)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	one := Received{0, nas, request(t, "of nas", 1, radius.Guard(nil))}
	two := Received{0, nas, request(t, "of nas", 2, radius.Guard(nil))}
	s.Received(at(0), one)
	s.Received(at(10), two)
	respond(t, s, at(20), 1, radius.AccessAccept, nil)
	if got := s.Deadline(); !got.Equal(at(40)) {
		t.Errorf("the first is forgotten after %v, want 40s", got.Sub(start))
	}
	expect(t, "two after 41 s", s.Received(at(41), two), "deliver 3 of nas")
	expect(t, "one after 41 s", s.Received(at(41), one), "send "+nas.String(), "duplicate-request")
	expect(t, "one after 50 s", s.Received(at(50), one), "deliver 4 of nas")
}

func TestAnAnswerThatDoesNotFitMayBeGivenAgain(t *testing.T) {
	s := newServer(t, nil)
	s.Received(start, Received{0, nas, request(t, "of nas", 1, radius.Guard(nil))})
	if out, err := s.Answer(start, 1, radius.AccessAccept, []radius.Attribute{{Type: radius.State, Value: make([]byte, 300)}}); err == nil {
		t.Fatal(told(out))
	}
	expect(t, "a shorter one", respond(t, s, start, 1, radius.AccessReject, nil), "send "+nas.String())
}

func TestMachinesWithoutASecretAreNotMade(t *testing.T) {
	if _, err := NewServer(ServerOptions{Salts: rand.New(rand.NewPCG(1, 1)), Clients: []Known{{Name: "n"}}}); err == nil {
		t.Error("a server")
	}
	if _, err := NewClient(ClientOptions{Jitter: rand.New(rand.NewPCG(1, 1)), Random: newNoise(), Servers: []Remote{{Address: first}}}); err == nil {
		t.Error("a client")
	}
}

// TestEveryQuestionHasOneOutcomeOnABadNetwork has clients and servers talk while
// datagrams are lost, come twice, late and broken.
func TestEveryQuestionHasOneOutcomeOnABadNetwork(t *testing.T) {
	var accepted, timedOut int
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 9))
		loss := float64(seed%4) * 0.25
		addresses := []netip.AddrPort{first, second}
		c := newClient(t, func(o *ClientOptions) { o.Tries, o.Jitter = 3, r })
		servers := map[netip.AddrPort]*Server{}
		for _, a := range addresses {
			servers[a] = newServer(t, func(o *ServerOptions) {
				o.Clients = []Known{{"nas", netip.MustParsePrefix("192.0.2.9/32"), secretOf(a), true}}
			})
		}
		type flight struct {
			at   time.Time
			to   netip.AddrPort // not valid: the client
			from netip.AddrPort
			b    []byte
		}
		var air []flight
		now := start
		post := func(from, to netip.AddrPort, b []byte) {
			for range 1 + r.IntN(2) {
				if r.Float64() < loss {
					continue
				}
				b := bytes.Clone(b)
				if r.IntN(10) == 0 {
					b[r.IntN(len(b))] ^= byte(1 + r.IntN(255))
				}
				air = append(air, flight{now.Add(time.Duration(r.Int64N(int64(3 * time.Second)))), to, from, b})
			}
		}
		outcomes := map[uint64]int{}
		delivered := map[string]int{}
		act := func(out []Output) {
			for _, o := range out {
				switch o := o.(type) {
				case Send:
					post(nas, o.To, o.Octets)
				case Done:
					outcomes[o.ID]++
					if o.Packet == nil {
						timedOut++
						continue
					}
					accepted++
					got, err := radius.ParseKeyAccept(o.Packet.Attributes, o.Cover)
					if err != nil || got.SPI != uint32(o.ID) || !bytes.Equal(got.Key, []byte{byte(o.ID), 7}) {
						t.Errorf("question %d: %+v, %v", o.ID, got, err)
					}
				}
			}
		}
		const questions = 40
		for id := range uint64(questions) {
			as, err := (&radius.KeyRequest{NAS: radius.NAS{Identifier: "ha"}, User: "u", HomeAgent: first.Addr(), SPI: uint32(id)}).AppendTo(nil)
			if err != nil {
				t.Fatal(err)
			}
			act(c.Ask(now, Ask{ID: id, Attributes: as}))
		}
		for {
			slices.SortStableFunc(air, func(a, b flight) int { return a.at.Compare(b.at) })
			d := c.Deadline()
			if len(air) == 0 && d.IsZero() {
				break
			}
			if len(air) == 0 || !d.IsZero() && d.Before(air[0].at) {
				now = d
				act(c.Tick(now))
				continue
			}
			f := air[0]
			air = air[1:]
			now = f.at
			s := servers[f.to]
			if s == nil {
				act(c.Received(now, Received{0, f.from, f.b}))
				continue
			}
			for _, o := range slices.Clone(s.Received(now, Received{0, f.from, f.b})) {
				switch o := o.(type) {
				case Send:
					post(f.to, netip.AddrPort{}, o.Octets)
				case Deliver:
					delivered[fmt.Sprint(f.to, o.Packet.Identifier, o.Packet.Authenticator)]++
					asked, err := radius.ParseKeyRequest(o.Packet.Attributes)
					if err != nil {
						t.Fatal(err)
					}
					as, err := (&radius.KeyAccept{Key: []byte{byte(asked.SPI), 7}, SPI: asked.SPI}).AppendTo(nil, o.Cover)
					if err != nil {
						t.Fatal(err)
					}
					post(f.to, netip.AddrPort{}, sent(t, respond(t, s, now, o.ID, radius.AccessAccept, as)).Octets)
				}
			}
		}
		for id := range uint64(questions) {
			if outcomes[id] != 1 {
				t.Errorf("question %d has %d outcomes", id, outcomes[id])
			}
		}
		for what, n := range delivered {
			if n != 1 {
				t.Errorf("%s is delivered %d times", what, n)
			}
		}
		if loss == 0 && len(delivered) < questions*9/10 {
			t.Errorf("without loss, %d requests of %d arrive", len(delivered), questions)
		}
	}
	if accepted == 0 || timedOut == 0 {
		t.Errorf("%d accepted, %d timed out: want some of both", accepted, timedOut)
	}
}

func FuzzReceived(f *testing.F) {
	eap, err := (&radius.EAPRequest{NAS: radius.NAS{Identifier: "ar"}, EAP: make([]byte, 300)}).AppendTo(nil)
	if err != nil {
		f.Fatal(err)
	}
	proxied := append(user("u"), radius.Attribute{Type: radius.ProxyState, Value: []byte("p")})
	for _, as := range [][]radius.Attribute{nil, user("u"), radius.Guard(proxied), radius.Guard(eap), eap} {
		f.Add(request(f, "of nas", 3, as))
		b, err := (&radius.Packet{Code: radius.AccessAccept, Attributes: as}).AppendResponse(nil, secretOf(first), radius.Authenticator{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newServer(t, nil)
		before := bytes.Clone(b)
		for range 2 {
			for _, o := range s.Received(start, Received{0, nas, b}) {
				if d, ok := o.(Deliver); ok {
					if _, err := radius.VerifyRequest(b, radius.Secret("of nas")); err != nil {
						t.Fatalf("delivered: %v", err)
					}
					if _, err := s.Answer(start, d.ID, radius.AccessReject, nil); err != nil && len(b) < 4000 {
						t.Fatal(err)
					}
				}
			}
		}
		c := newClient(t, nil)
		sent := c.Ask(start, Ask{ID: 1, Attributes: user("u")})[0].(Send)
		for _, id := range []int{-1, int(sent.Octets[1])} {
			b := bytes.Clone(b)
			if id >= 0 && len(b) > 1 {
				b[1] = byte(id)
			}
			for _, o := range c.Received(start, Received{0, first, b}) {
				if d, ok := o.(Done); ok {
					t.Fatalf("believed: %+v", d)
				}
			}
		}
		if !bytes.Equal(b, before) {
			t.Fatal("the datagram was changed")
		}
		if p, err := radius.Parse(b); err == nil && p.Has(radius.EAPMessage) && !p.Has(radius.MessageAuthenticator) {
			if _, err := radius.VerifyRequest(b, radius.Secret("of nas")); err == nil || errors.Is(err, radius.ErrUnauthenticated) == errors.Is(err, radius.ErrMalformed) {
				t.Fatal(err)
			}
		}
	})
}

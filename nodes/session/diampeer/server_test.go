package diampeer

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/wire/diameter"
)

// A desk is a Server whose clients are the test.
type desk struct {
	t       *testing.T
	server  *Server
	now     time.Time
	told    []string
	written map[uint64]*diameter.Message // the last message on a connection
	octets  map[uint64][]byte
	served  int
	later   bool // requests wait for answer
	waiting []Deliver
}

func newDesk(t *testing.T) *desk {
	return &desk{t: t, now: start, written: map[uint64]*diameter.Message{}, octets: map[uint64][]byte{}, server: NewServer(ServerOptions{
		Local: Local{
			Identity: diameter.Identity{Host: "aaa", Realm: realm, State: 1}, Product: "test",
			Applications: []diameter.Application{diameter.MIP6A}, Serves: []Service{{diameter.MIP6A, diameter.MIP6}}, Rand: rand.New(rand.NewPCG(1, 2)),
		},
		Most: 64,
	})}
}

func (d *desk) hear(out []Output) {
	for _, o := range slices.Clone(out) {
		switch o := o.(type) {
		case Write:
			m, err := diameter.Parse(o.Octets)
			if err != nil {
				d.t.Fatalf("the server wrote %x: %v", o.Octets, err)
			}
			if err := diameter.Check(m); err != nil {
				d.t.Errorf("the server wrote a wrong %s: %v", m.Name(), err)
			}
			d.written[o.Conn], d.octets[o.Conn] = m, o.Octets
			result := ""
			if r := m.Find(diameter.ResultCodeAVP); r != nil {
				result = " " + diameter.ResultCode(r.Uint32()).String()
			}
			d.tell("%s%s -> %d", m.Name(), result, o.Conn)
		case Close:
			d.tell("close %d abort=%v", o.Conn, o.Abort)
		case Up:
			d.tell("up %s", o.Peer)
		case Down:
			d.tell("down %s %s", o.Peer, o.Reason)
		case Rejected:
			d.tell("rejected %q %s", o.Peer, o.Reason)
		case Refused:
			d.tell("refused %v", o.Failure.Result)
		case Ignored:
			d.tell("ignored %s", o.Reason)
		case Done:
			d.tell("done %d %s %v", o.ID, o.Reason, o.Result)
		case Suspected, Restored:
			d.tell("%T", o)
		case Deliver:
			d.served++
			d.tell("deliver %s", o.Message.Name())
			if d.waiting = append(d.waiting, o); !d.later {
				d.answer(len(d.waiting)-1, true)
			}
		default:
			d.t.Fatalf("%T", o)
		}
	}
}

// answer answers the request that is the i-th of those that wait. Its text says
// how many have been served.
func (d *desk) answer(i int, final bool) {
	d.t.Helper()
	o := d.waiting[i]
	d.waiting = slices.Delete(d.waiting, i, i+1)
	a := diameter.MIP6Answer{Session: string(o.Message.Find(diameter.SessionID).Data), Outcome: diameter.Outcome{Result: diameter.Success, Text: fmt.Sprint(d.served)},
		Identity: d.server.local.Identity, Homes: []netip.Addr{netip.IPv6Loopback()}, ProxyInfo: proxiesOf(o.Message)}
	b, err := a.AppendTo(nil, o.Message.Header)
	if err != nil {
		d.t.Fatal(err)
	}
	d.hear(d.server.Answer(d.now, o.ID, b, final))
}

func (d *desk) tell(format string, args ...any) {
	d.told = append(d.told, fmt.Sprintf(format, args...))
}

func (d *desk) want(lines ...string) {
	d.t.Helper()
	if !slices.Equal(d.told, lines) {
		d.t.Errorf("told\n\t%s\nwant\n\t%s", strings.Join(d.told, "\n\t"), strings.Join(lines, "\n\t"))
	}
	d.told = nil
}

func (d *desk) until(now time.Time) {
	for at := d.server.Deadline(); !at.IsZero() && !at.After(now); at = d.server.Deadline() {
		d.now = at
		d.hear(d.server.Tick(at))
	}
	d.now = now
}

func (d *desk) step(in Input) { d.hear(d.server.Step(d.now, in)) }

func (d *desk) accept(conn uint64) {
	d.step(Accepted{Conn: conn, Local: netip.IPv6Loopback(), Remote: netip.AddrPortFrom(netip.IPv6Loopback(), 1)})
}

func (d *desk) send(conn uint64, r Request, h diameter.Header) {
	d.t.Helper()
	b, err := r.AppendTo(nil, h)
	if err != nil {
		d.t.Fatal(err)
	}
	d.step(Received{Conn: conn, Octets: b})
}

func client(host string, state uint32) diameter.Capabilities {
	return diameter.Capabilities{Identity: diameter.Identity{Host: host, Realm: realm, State: state}, Addresses: []netip.Addr{netip.IPv6Loopback()}, Product: "client", Auth: []diameter.Application{diameter.MIP6A}}
}

func (d *desk) connect(conn uint64, host string, state uint32) {
	d.accept(conn)
	d.send(conn, &diameter.CapabilitiesExchangeRequest{Capabilities: client(host, state)}, diameter.Header{HopByHop: 5})
}

func mir(host string) *diameter.MIP6Request {
	r := request()
	r.Identity, r.Session, r.DestinationRealm = diameter.Identity{Host: host, Realm: realm}, host+";1;1", realm
	return r
}

func TestAClientSaysWhoItIsAndIsServed(t *testing.T) {
	d := newDesk(t)
	d.connect(1, "ha", 1)
	d.send(1, mir("ha"), diameter.Header{HopByHop: 77, EndToEnd: 88})
	d.want("capabilities-exchange-answer success -> 1", "up ha", "deliver mip6a-request", "mip6a-answer success -> 1")
	if m := d.written[1]; m.HopByHop != 77 || m.EndToEnd != 88 {
		t.Errorf("answered with %+v", m.Header)
	}
	d.step(Closed{Conn: 1, Reason: "reset"})
	d.want("down ha reset")
	if !d.server.Quiet() {
		t.Error("the connection is kept")
	}
}

func TestARequestThatComesAgainIsAnsweredTheSame(t *testing.T) { // RFC 6733, section 3
	d := newDesk(t)
	d.connect(1, "ha", 1)
	d.connect(2, "relay", 1)
	d.send(1, mir("ha"), diameter.Header{HopByHop: 7, EndToEnd: 88})
	first := slices.Clone(d.octets[1])
	d.told = nil
	d.send(2, mir("ha"), diameter.Header{HopByHop: 9, EndToEnd: 88, Flags: diameter.Retransmitted}) // on another way
	d.want("ignored duplicate-request", "mip6a-answer success -> 2")
	second := d.octets[2]
	diameter.SetHopByHop(first, 9)
	if !bytes.Equal(first, second) || d.served != 1 {
		t.Errorf("served %d times, answered\n%x and\n%x", d.served, first, second)
	}
	d.send(1, mir("ha"), diameter.Header{EndToEnd: 89})
	other := mir("ha")
	other.User = "another@home.example"
	d.send(1, other, diameter.Header{EndToEnd: 88})
	d.send(1, mir("another"), diameter.Header{EndToEnd: 88})
	if d.served != 4 {
		t.Errorf("served %d, want 4: other identifiers, users and hosts are other requests", d.served)
	}
	d.now = d.now.Add(keepAnswers + time.Second)
	d.send(1, mir("ha"), diameter.Header{EndToEnd: 88})
	if d.served != 5 {
		t.Error("an answer was kept for too long")
	}
}

func TestKeptAnswersAreBounded(t *testing.T) {
	d := newDesk(t)
	d.connect(1, "ha", 1)
	for i := range uint32(3 * mostAnswers) {
		d.send(1, mir("ha"), diameter.Header{EndToEnd: i})
		d.told = nil
	}
	if n := len(d.server.inbox.kept); n > mostAnswers {
		t.Errorf("%d answers kept", n)
	}
	if d.server.inbox.octets > mostAnswerOctets || cap(d.server.inbox.line) > 8*mostAnswers {
		t.Errorf("%d octets, a line of %d", d.server.inbox.octets, cap(d.server.inbox.line))
	}
	sum := 0
	for _, k := range d.server.inbox.kept {
		sum += len(k.octets)
	}
	if sum != d.server.inbox.octets {
		t.Errorf("%d octets counted, %d kept", d.server.inbox.octets, sum)
	}
}

func TestStrangersMustSayWhoTheyAre(t *testing.T) {
	dwr := &diameter.DeviceWatchdogRequest{Identity: client("ha", 1).Identity}
	none := client("ha", 1)
	none.Auth = []diameter.Application{1}
	tls := client("ha", 1)
	tls.Security = []uint32{1}
	for name, tt := range map[string]struct {
		do   func(d *desk)
		want []string
	}{
		"silence":               {func(d *desk) { d.until(at(6)) }, []string{`rejected "" time-out`, "close 1 abort=false"}},
		"another message first": {func(d *desk) { d.send(1, dwr, diameter.Header{}) }, []string{`rejected "" no-capabilities-exchange`, "close 1 abort=false"}},
		"no Diameter":           {func(d *desk) { d.step(Received{Conn: 1, Octets: []byte("GET / HTTP/1.1\r\n\r\n")}) }, []string{"close 1 abort=true", `rejected "" malformed-message`}},
		"no common application": {func(d *desk) { d.send(1, &diameter.CapabilitiesExchangeRequest{Capabilities: none}, diameter.Header{}) },
			[]string{"capabilities-exchange-answer no-common-application -> 1", `rejected "ha" no-common-application`, "close 1 abort=false"}},
		"security inside only": {func(d *desk) { d.send(1, &diameter.CapabilitiesExchangeRequest{Capabilities: tls}, diameter.Header{}) },
			[]string{"capabilities-exchange-answer no-common-security -> 1", `rejected "ha" no-common-security`, "close 1 abort=false"}},
		"a CER without address": {func(d *desk) {
			c := client("ha", 1)
			c.Addresses = nil
			d.send(1, &diameter.CapabilitiesExchangeRequest{Capabilities: c}, diameter.Header{})
		}, []string{"capabilities-exchange-answer missing-avp -> 1", `rejected "" missing-avp`, "close 1 abort=false"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.accept(1)
			tt.do(d)
			d.want(tt.want...)
			if !d.server.Quiet() {
				t.Error("the connection is kept")
			}
		})
	}
}

func TestASecondConnectionOfOneClientIsRefusedUnlessItHasRestarted(t *testing.T) {
	d := newDesk(t)
	d.connect(1, "ha", 5)
	d.told = nil
	d.connect(2, "HA", 5) // RFC 6733, section 5.6: R-Reject; identities do not heed case
	d.want("capabilities-exchange-answer unable-to-comply -> 2", `rejected "HA" unable-to-comply`, "close 2 abort=false")
	d.connect(3, "ha", 6) // section 8.16
	d.want("close 1 abort=true", "down ha replaced", "capabilities-exchange-answer success -> 3", "up ha")
	d.send(3, mir("ha"), diameter.Header{})
	if d.served != 1 {
		t.Error("the new connection is not served")
	}
}

func TestManyStrangersGiveWayToNewOnes(t *testing.T) {
	d := newDesk(t)
	for i := range uint64(mostStrangers) {
		d.accept(i + 1)
	}
	d.want()
	d.accept(1000)
	d.want(`rejected "" too-many-connections`, "close 1 abort=false")
	d.send(1000, &diameter.CapabilitiesExchangeRequest{Capabilities: client("ha", 1)}, diameter.Header{})
	d.want("capabilities-exchange-answer success -> 1000", "up ha")
}

func TestConnectionsAreBounded(t *testing.T) {
	d := newDesk(t)
	for i := range uint64(64) {
		d.connect(i+1, fmt.Sprint("ha", i), 1)
	}
	d.told = nil
	d.accept(1000)
	d.want(`rejected "" too-many-connections`, "close 1000 abort=true")
	if len(d.server.peers) != 64 {
		t.Errorf("%d connections", len(d.server.peers))
	}
}

func TestFaultsInRequestsAreAnsweredAndTheConnectionStays(t *testing.T) {
	d := newDesk(t)
	d.connect(1, "ha", 1)
	d.told = nil
	raw := func(change func(m *diameter.Message)) {
		b, _ := mir("ha").AppendTo(nil, diameter.Header{})
		m, err := diameter.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		change(m)
		b, _ = m.AppendTo(nil)
		d.step(Received{Conn: 1, Octets: b})
	}
	raw(func(m *diameter.Message) { m.Command = 999 })
	raw(func(m *diameter.Message) { m.Application = 4 })
	raw(func(m *diameter.Message) { m.Flags |= diameter.Error })
	raw(func(m *diameter.Message) { m.AVPs = m.AVPs[:5] })
	d.send(1, &diameter.SessionTerminationRequest{Session: "x", Identity: client("ha", 1).Identity, DestinationRealm: realm}, diameter.Header{})
	d.send(1, &diameter.CapabilitiesExchangeRequest{Capabilities: client("ha", 1)}, diameter.Header{})
	d.send(1, &diameter.DeviceWatchdogRequest{Identity: client("ha", 1).Identity}, diameter.Header{})
	d.send(1, &diameter.DeviceWatchdogAnswer{Identity: client("ha", 1).Identity}, diameter.Header{})
	d.send(1, &diameter.MIP6Answer{Identity: client("ha", 1).Identity}, diameter.Header{})
	d.want("command-999-answer command-unsupported -> 1", "refused command-unsupported",
		"mip6a-answer application-unsupported -> 1", "refused application-unsupported",
		"mip6a-answer invalid-hdr-bits -> 1", "refused invalid-hdr-bits",
		"mip6a-answer missing-avp -> 1", "refused missing-avp",
		"session-termination-answer command-unsupported -> 1", "refused command-unsupported",
		"capabilities-exchange-answer unable-to-comply -> 1", "refused unable-to-comply",
		"device-watchdog-answer success -> 1", "ignored answer-to-nothing")
}

func TestTheWatchdogEndsAClientThatIsGone(t *testing.T) {
	d := newDesk(t)
	d.connect(1, "ha", 1)
	d.told = nil
	d.until(at(100))
	d.want("device-watchdog-request -> 1", "diampeer.Suspected", "close 1 abort=true", "down ha watchdog")
}

func TestAServerTakesLeave(t *testing.T) {
	d := newDesk(t)
	d.connect(1, "ha", 1)
	d.accept(2)
	d.told = nil
	d.step(Stop{Cause: diameter.Rebooting})
	d.want("disconnect-peer-request -> 1", "down ha stopped", "close 2 abort=false", `rejected "" stopped`)
	d.send(1, &diameter.DisconnectPeerAnswer{Outcome: diameter.Outcome{Result: diameter.Success}, Identity: client("ha", 1).Identity}, d.written[1].Header)
	d.accept(3)
	d.want("close 1 abort=false", "close 3 abort=false")
	if !d.server.Quiet() {
		t.Error("something is left")
	}
}

// whole says what an inbox holds that does not fit together.
func (d *desk) whole() {
	d.t.Helper()
	b, size := &d.server.inbox, 0
	for _, in := range b.open {
		size += in.size
		if b.byID[in.id] != in || len(in.paths) == 0 || len(in.paths) > mostPaths {
			d.t.Fatalf("%+v", in)
		}
	}
	if len(b.open) != len(b.byID) || b.held != size || len(b.open) > mostOpen || size > mostOpenOctets || len(b.opened) > 2*mostOpen+64 {
		d.t.Fatalf("%d requests, %d IDs, %d octets of %d, a line of %d", len(b.open), len(b.byID), b.held, size, len(b.opened))
	}
}

// Whatever comes, on however many connections, nothing panics, every deadline
// lies ahead, and what is held stays within its bounds.
func FuzzServer(f *testing.F) {
	var seeds [][]byte
	for _, r := range []Request{
		&diameter.CapabilitiesExchangeRequest{Capabilities: client("ha", 1)}, mir("ha"), &diameter.DeviceWatchdogRequest{Identity: client("ha", 1).Identity},
		&diameter.DisconnectPeerRequest{Identity: client("ha", 1).Identity}, &diameter.SessionTerminationRequest{Session: "x", DestinationRealm: "r", Identity: client("ha", 1).Identity},
	} {
		b, err := r.AppendTo(nil, diameter.Header{})
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, b)
		f.Add(b, uint64(1))
	}
	seeds = append(seeds, proxied(f, "ha", "relay", diameter.Header{HopByHop: 3}), proxied(f, "ha", "agent", diameter.Header{HopByHop: 4}))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		d := newDesk(t)
		rng := rand.New(rand.NewPCG(seed, 0))
		d.later = seed%2 == 0
		for range 40 {
			conn := rng.Uint64N(4)
			switch rng.IntN(10) {
			case 0:
				if d.server.peers[conn] == nil { // names are given once
					d.accept(conn)
				}
			case 1:
				d.step(Closed{Conn: conn})
			case 2:
				d.until(d.now.Add(time.Duration(rng.Int64N(int64(20 * time.Second)))))
			case 3:
				d.step(Received{Conn: conn, Octets: b})
			case 4:
				if n := len(d.waiting); n > 0 {
					d.answer(rng.IntN(n), rng.IntN(2) == 0)
				}
			case 5:
				d.step(Ask{ID: 1, Request: asr("ha")})
			default:
				d.step(Received{Conn: conn, Octets: seeds[rng.IntN(len(seeds))]})
			}
			if at := d.server.Deadline(); !at.IsZero() && at.Before(d.now) {
				t.Fatalf("a deadline of %v at %v", at, d.now)
			}
			if len(d.server.peers) != len(d.server.order) || len(d.server.peers) > 4 {
				t.Fatalf("%d connections, %d in order", len(d.server.peers), len(d.server.order))
			}
			d.whole()
		}
	})
}

package diampeer

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/wire/diameter"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const realm = "epc.example"

func at(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }

// A story is a Client and servers that the test plays. It tells, in order and
// with times, what the Client did.
type story struct {
	t      *testing.T
	client *Client
	names  []string
	conns  map[string]uint64 // the connection with a server that is connecting or up
	told   []string
	last   map[string]*diameter.Message // the last request to a server
	now    time.Time
	done   map[uint64]Outcome
	offers map[string][]diameter.Application // of servers, where not MIP6A

	waiting []Deliver
}

func newStory(t *testing.T, names ...string) *story { return newRouted(t, nil, names...) }

func newRouted(t *testing.T, routes []Route, names ...string) *story {
	s := &story{t: t, names: names, conns: map[string]uint64{}, last: map[string]*diameter.Message{}, offers: map[string][]diameter.Application{}, done: map[uint64]Outcome{}, now: start}
	var remotes []Remote
	for i, n := range names {
		remotes = append(remotes, Remote{Host: n, Realm: realm, Address: netip.AddrPortFrom(netip.IPv6Loopback(), uint16(i))})
	}
	var err error
	s.client, err = NewClient(ClientOptions{
		Local:   Local{Identity: diameter.Identity{Host: "ha", Realm: realm, State: 7}, Product: "test", Applications: []diameter.Application{diameter.MIP6A}, Serves: []Service{{diameter.MIP6A, diameter.AbortSession}}, Rand: rand.New(rand.NewPCG(1, 2))},
		Servers: remotes, Routes: routes, Now: start,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.hear(s.client.Start(start))
	return s
}

func (s *story) tell(format string, args ...any) {
	s.told = append(s.told, fmt.Sprintf("%v ", s.now.Sub(start).Round(10*time.Millisecond))+fmt.Sprintf(format, args...))
}

func (s *story) hear(out []Output) {
	for _, o := range slices.Clone(out) {
		switch o := o.(type) {
		case Connect:
			name := s.names[o.To.Port()]
			s.conns[name] = o.Conn
			s.tell("connect %s", name)
		case Close:
			s.tell("close %s abort=%v", s.server(o.Conn), o.Abort)
		case Write:
			name := s.server(o.Conn)
			m, err := diameter.Parse(o.Octets)
			if err != nil {
				s.t.Fatalf("the client wrote %x: %v", o.Octets, err)
			}
			if err := diameter.Check(m); err != nil {
				s.t.Errorf("the client wrote a wrong %s: %v", m.Name(), err)
			}
			s.last[name] = m
			flag := ""
			if m.Flags&diameter.Retransmitted != 0 {
				flag = " T"
			}
			s.tell("%s -> %s%s", m.Name(), name, flag)
		case Up:
			s.tell("up %s", o.Peer)
		case Down:
			s.tell("down %s %s", o.Peer, o.Reason)
		case Suspected:
			s.tell("suspected %s", o.Peer)
		case Restored:
			s.tell("restored %s", o.Peer)
		case Rejected:
			s.tell("rejected %s %s", o.Peer, o.Reason)
		case Refused:
			s.tell("refused %s %v", o.Message.Name(), o.Failure.Result)
		case Ignored:
			s.tell("ignored %s", o.Reason)
		case Done:
			if _, twice := s.done[o.ID]; twice {
				s.t.Errorf("request %d has two outcomes", o.ID)
			}
			s.done[o.ID] = o.Outcome
			s.tell("done %d %s%s", o.ID, o.Reason, o.Peer)
		case Deliver:
			s.waiting = append(s.waiting, o)
			s.tell("deliver %s", o.Message.Name())
		default:
			s.t.Fatalf("%T", o)
		}
	}
}

func (s *story) server(conn uint64) string {
	for name, c := range s.conns {
		if c == conn {
			return name
		}
	}
	s.t.Fatalf("connection %d is nobody's", conn)
	return ""
}

// until lets time pass, with every tick that is due.
func (s *story) until(now time.Time) {
	for d := s.client.Deadline(); !d.IsZero() && !d.After(now); d = s.client.Deadline() {
		if d.Before(s.now) {
			s.t.Fatalf("a deadline of %v at %v", d.Sub(start), s.now.Sub(start))
		}
		s.now = d
		s.hear(s.client.Tick(d))
	}
	s.now = now
}

func (s *story) step(in Input) { s.hear(s.client.Step(s.now, in)) }

func (s *story) receive(name string, v Request, h diameter.Header) {
	s.t.Helper()
	b, err := v.AppendTo(nil, h)
	if err != nil {
		s.t.Fatal(err)
	}
	s.step(Received{Conn: s.conns[name], Octets: b})
}

func (s *story) identity(name string) diameter.Identity {
	return diameter.Identity{Host: name, Realm: realm, State: 1}
}

// connect brings a server up.
func (s *story) connect(names ...string) {
	s.t.Helper()
	for _, name := range names {
		s.step(Connected{Conn: s.conns[name], Local: netip.IPv6Loopback()})
		s.cea(name, diameter.Success, name)
	}
}

func (s *story) cea(name string, result diameter.ResultCode, host string) {
	offers := s.offers[name]
	if offers == nil {
		offers = []diameter.Application{diameter.MIP6A}
	}
	s.receive(name, &diameter.CapabilitiesExchangeAnswer{
		Outcome:      diameter.Outcome{Result: result},
		Capabilities: diameter.Capabilities{Identity: s.identity(host), Addresses: []netip.Addr{netip.IPv6Loopback()}, Product: "server", Auth: offers},
	}, s.last[name].Header)
}

func (s *story) dwa(name string) {
	s.t.Helper()
	if s.last[name].Command != diameter.DeviceWatchdog {
		s.t.Fatalf("%s was last sent %s", name, s.last[name].Name())
	}
	s.receive(name, &diameter.DeviceWatchdogAnswer{Outcome: diameter.Outcome{Result: diameter.Success}, Identity: s.identity(name)}, s.last[name].Header)
}

func request() *diameter.MIP6Request {
	return &diameter.MIP6Request{
		Identity: diameter.Identity{Host: "ha", Realm: realm, State: 7},
		User:     "ue@home.example", Mode: diameter.AuthMNAAA, SPI: 3,
		Home: netip.MustParseAddr("2001:db8::1"), HomeAgent: netip.MustParseAddr("2001:db8::2"), CareOf: netip.MustParseAddr("2001:db8::3"),
		Authenticator: make([]byte, 20), MobilityData: make([]byte, 20),
	}
}

func (s *story) ask(id uint64) { s.step(Ask{ID: id, Request: request()}) }

// mia answers the last request to a server.
func (s *story) mia(name string, result diameter.ResultCode) { s.miaTo(name, s.last[name], result) }

func (s *story) miaTo(name string, r *diameter.Message, result diameter.ResultCode) {
	s.t.Helper()
	if r.Command != diameter.MIP6 {
		s.t.Fatalf("%s was last sent %s", name, r.Name())
	}
	if result.ProtocolError() {
		b, err := diameter.AppendFailure(nil, r, s.identity(name), &diameter.Failure{Result: result})
		if err != nil {
			s.t.Fatal(err)
		}
		s.step(Received{Conn: s.conns[name], Octets: b})
		return
	}
	s.receive(name, &diameter.MIP6Answer{
		Session: string(r.Find(diameter.SessionID).Data), Outcome: diameter.Outcome{Result: result}, Identity: s.identity(name),
		Homes: []netip.Addr{netip.MustParseAddr("2001:db8::1")}, State: diameter.NoStateMaintained,
	}, r.Header)
}

// want compares what was told since the last want.
func (s *story) want(lines ...string) {
	s.t.Helper()
	if !slices.Equal(s.told, lines) {
		s.t.Errorf("told\n\t%s\nwant\n\t%s", strings.Join(s.told, "\n\t"), strings.Join(lines, "\n\t"))
	}
	s.told = nil
}

func TestARequestGoesToThePreferredServer(t *testing.T) {
	s := newStory(t, "a", "b")
	s.want("0s connect a", "0s connect b")
	s.connect("b", "a")
	s.want("0s capabilities-exchange-request -> b", "0s up b", "0s capabilities-exchange-request -> a", "0s up a")
	s.now = at(1)
	s.ask(1)
	s.mia("a", diameter.Success)
	s.want("1s mip6a-request -> a", "1s done 1 a")
	o := s.done[1]
	if o.Reason != "" || o.Result != diameter.Success || o.Message == nil || o.Host != "a" || o.EndToEnd != s.last["a"].EndToEnd {
		t.Errorf("outcome %+v", o)
	}
	r := s.last["a"]
	if got := string(r.Find(diameter.DestinationRealm).Data); got != "home.example" { // RFC 6733, section 6.6
		t.Errorf("Destination-Realm %q, want the realm of the NAI", got)
	}
	first := string(r.Find(diameter.SessionID).Data)
	if !strings.HasPrefix(first, "ha;") || len(strings.Split(first, ";")) != 3 { // section 8.8
		t.Errorf("Session-Id %q", first)
	}
	id := r.EndToEnd
	s.ask(2)
	if r := s.last["a"]; string(r.Find(diameter.SessionID).Data) == first || r.EndToEnd == id {
		t.Error("two requests have one Session-Id or End-to-End Identifier")
	}
}

func TestRefusalsAreOutcomesAndNotTriedElsewhere(t *testing.T) {
	s := newStory(t, "a", "b")
	s.connect("a", "b")
	s.ask(1)
	s.told = nil
	s.mia("a", diameter.AuthenticationRejected)
	s.want("0s done 1 authentication-rejecteda")
	if o := s.done[1]; o.Result != diameter.AuthenticationRejected || o.Message == nil {
		t.Errorf("outcome %+v", o)
	}
}

func TestAServerThatDoesNotAnswerIsReplacedWithTheTBit(t *testing.T) {
	s := newStory(t, "a", "b", "c")
	s.connect("a", "b", "c")
	s.told = nil
	s.ask(1)
	end := s.last["a"].EndToEnd
	s.until(at(10))
	s.want("0s mip6a-request -> a", "2s mip6a-request -> b T", "4s mip6a-request -> c T", "6s done 1 time-out")
	if s.last["c"].EndToEnd != end {
		t.Error("the End-to-End Identifier changed on the way")
	}
	if o := s.done[1]; o.Result != 0 || o.Message != nil || o.EndToEnd != end {
		t.Errorf("outcome %+v", o)
	}
}

func TestAServerThatFellSilentComesLastUntilItSpeaks(t *testing.T) {
	s := newStory(t, "a", "b")
	s.connect("a", "b")
	s.ask(1)
	s.until(at(2.1))
	s.mia("b", diameter.Success)
	s.told = nil
	s.ask(2)
	s.mia("b", diameter.Success)
	s.receive("a", &diameter.DeviceWatchdogRequest{Identity: s.identity("a")}, diameter.Header{})
	s.ask(3)
	s.want("2.1s mip6a-request -> b", "2.1s done 2 b", "2.1s device-watchdog-answer -> a", "2.1s mip6a-request -> a")
}

func TestALateAnswerIsTakenAndTheNextIgnored(t *testing.T) {
	s := newStory(t, "a", "b")
	s.connect("a", "b")
	s.told = nil
	s.ask(1)
	s.until(at(3))
	s.mia("a", diameter.Success)
	s.mia("b", diameter.Success)
	s.want("0s mip6a-request -> a", "2s mip6a-request -> b T", "3s done 1 a", "3s ignored answer-to-nothing")
}

func TestABusyServerIsReplacedWithoutTheTBitAndComesLastForAWhile(t *testing.T) {
	s := newStory(t, "a", "b")
	s.connect("a", "b")
	s.told = nil
	s.ask(1)
	s.mia("a", diameter.TooBusy)
	s.mia("b", diameter.Success)
	s.ask(2) // RFC 3539, section 3.10: busy is for any request
	s.mia("b", diameter.Success)
	s.until(at(2))
	s.ask(3)
	s.want("0s mip6a-request -> a", "0s mip6a-request -> b", "0s done 1 b", "0s mip6a-request -> b", "0s done 2 b", "2s mip6a-request -> a")
}

func TestWhatAllServersSayIsTheOutcome(t *testing.T) {
	s := newStory(t, "a", "b")
	s.connect("a", "b")
	s.ask(1)
	s.mia("a", diameter.UnableToDeliver)
	s.mia("b", diameter.TooBusy)
	if o := s.done[1]; o.Reason != "too-busy" || o.Result != diameter.TooBusy || o.Peer != "b" {
		t.Errorf("outcome %+v", o)
	}
	s.ask(2)
	s.mia("a", diameter.ApplicationUnsupported)
	if o := s.done[2]; o.Reason != "application-unsupported" || o.Message == nil {
		t.Errorf("outcome %+v", o)
	}
}

func TestTheTBitStaysWhereASilentServerMayHaveGotIt(t *testing.T) {
	s := newStory(t, "a", "b", "c")
	s.connect("a", "b", "c")
	s.told = nil
	s.ask(1)
	s.until(at(3))
	s.mia("b", diameter.TooBusy)
	s.want("0s mip6a-request -> a", "2s mip6a-request -> b T", "3s mip6a-request -> c T")
}

func TestALostConnectionMovesItsRequests(t *testing.T) {
	s := newStory(t, "a", "b")
	s.connect("a", "b")
	s.told = nil
	s.ask(1)
	s.ask(2)
	s.now = at(0.5)
	s.step(Closed{Conn: s.conns["a"], Reason: "reset"})
	s.want("0s mip6a-request -> a", "0s mip6a-request -> a", "500ms down a reset", "500ms mip6a-request -> b T", "500ms mip6a-request -> b T")
}

func TestTheOnlyServerIsAskedAgainWhenItComesBackInTime(t *testing.T) {
	s := newStory(t, "a")
	s.connect("a")
	s.told = nil
	s.now = at(5)
	s.ask(1)
	s.now = at(5.1)
	s.step(Closed{Conn: s.conns["a"], Reason: "reset"})
	s.connect("a") // the request made the client try at once
	s.want("5s mip6a-request -> a", "5.1s down a reset", "5.1s connect a", "5.1s capabilities-exchange-request -> a",
		"5.1s device-watchdog-request -> a", "5.1s up a", "5.1s mip6a-request -> a T")
	s.until(at(7.2))
	s.want("7.1s done 1 time-out")
}

func TestWithoutAServerARequestFailsAtOnce(t *testing.T) {
	s := newStory(t, "a")
	s.step(Closed{Conn: s.conns["a"], Reason: "connection-refused"})
	s.now = at(0.2)
	s.ask(1)
	s.want("0s connect a", "0s rejected a connection-refused", "200ms done 1 no-peer")
}

func TestARequestMakesTheClientTryNowAndThen(t *testing.T) {
	s := newStory(t, "a")
	for range 4 { // to long pauses
		s.step(Closed{Conn: s.conns["a"], Reason: "connection-refused"})
		s.until(s.client.Deadline())
	}
	s.step(Closed{Conn: s.conns["a"], Reason: "connection-refused"})
	s.told = nil
	s.until(at(17))
	s.ask(1)
	s.ask(2)
	s.step(Closed{Conn: s.conns["a"], Reason: "connection-refused"})
	s.now = at(17.5)
	s.ask(3) // too soon after the last attempt
	s.want("17s connect a", "17s rejected a connection-refused", "17s done 1 no-peer", "17s done 2 no-peer", "17.5s done 3 no-peer")
}

func TestARequestWaitsForAServerThatIsComing(t *testing.T) {
	s := newStory(t, "a", "b")
	s.ask(1)
	s.step(Closed{Conn: s.conns["a"], Reason: "connection-refused"})
	s.now = at(0.5)
	s.connect("b")
	s.want("0s connect a", "0s connect b", "0s rejected a connection-refused", "500ms capabilities-exchange-request -> b", "500ms up b", "500ms mip6a-request -> b")

	s = newStory(t, "a")
	s.ask(1)
	s.until(at(3))
	s.want("0s connect a", "2s done 1 no-peer")
}

func TestAttemptsToConnectSpreadOutToTc(t *testing.T) {
	s := newStory(t, "a")
	var gaps []time.Duration
	for range 8 {
		s.step(Closed{Conn: s.conns["a"], Reason: "connection-refused"})
		d := s.client.Deadline()
		gaps = append(gaps, d.Sub(s.now))
		s.until(d)
	}
	want := []time.Duration{1, 2, 4, 8, 16, 30, 30, 30}
	for i := range want {
		if gaps[i] != want[i]*time.Second {
			t.Fatalf("gaps %v, want %v s", gaps, want)
		}
	}
}

func TestASilentConnectionAttemptEnds(t *testing.T) {
	s := newStory(t, "a")
	s.until(at(5.5))
	s.want("0s connect a", "5s close a abort=true", "5s rejected a time-out")
	s = newStory(t, "a")
	s.step(Connected{Conn: s.conns["a"], Local: netip.IPv6Loopback()})
	s.until(at(5.5))
	s.want("0s connect a", "0s capabilities-exchange-request -> a", "5s close a abort=true", "5s rejected a time-out")
}

func TestAWrongGreetingEndsTheConnection(t *testing.T) {
	for name, tt := range map[string]struct {
		greet func(s *story)
		want  []string
	}{
		"another host": {func(s *story) { s.cea("a", diameter.Success, "z") }, []string{"0s close a abort=false", "0s rejected a unknown-peer"}},
		"a refusal":    {func(s *story) { s.cea("a", diameter.NoCommonApplication, "a") }, []string{"0s close a abort=false", "0s rejected a no-common-application"}},
		"no CEA": {func(s *story) {
			s.receive("a", &diameter.DeviceWatchdogRequest{Identity: s.identity("a")}, diameter.Header{})
		}, []string{"0s close a abort=true", "0s rejected a no-capabilities-exchange"}},
		"no Diameter": {func(s *story) {
			s.step(Received{Conn: s.conns["a"], Octets: []byte("HTTP/1.1 400 Bad Request\r\n\r\n")})
		}, []string{"0s close a abort=true", "0s rejected a malformed-message"}},
		"an error answer": {func(s *story) {
			b, _ := diameter.AppendFailure(nil, s.last["a"], s.identity("a"), &diameter.Failure{Result: diameter.UnknownPeer})
			s.step(Received{Conn: s.conns["a"], Octets: b})
		}, []string{"0s close a abort=false", "0s rejected a unknown-peer"}},
		"another application": {func(s *story) {
			s.receive("a", &diameter.CapabilitiesExchangeAnswer{Outcome: diameter.Outcome{Result: diameter.Success}, Capabilities: diameter.Capabilities{Identity: s.identity("a"), Addresses: []netip.Addr{netip.IPv6Loopback()}, Auth: []diameter.Application{1}}}, s.last["a"].Header)
		}, []string{"0s close a abort=false", "0s rejected a no-common-application"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, "a")
			s.step(Connected{Conn: s.conns["a"], Local: netip.IPv6Loopback()})
			s.told = nil
			tt.greet(s)
			s.want(tt.want...)
		})
	}
}

// RFC 3539, section 3.4.1: [2] a silent connection is asked for a sign of life,
// [3] suspected when there is none, and [4] closed when there still is none.
func TestTheWatchdogSuspectsThenCloses(t *testing.T) {
	s := newStory(t, "a", "b")
	s.connect("a", "b")
	s.ask(1)
	s.mia("a", diameter.Success)
	s.told = nil
	begin := s.now
	var asked, suspected, closed time.Duration
	for closed == 0 {
		s.until(s.client.Deadline())
		if s.last["b"].Command == diameter.DeviceWatchdog && s.last["b"].IsRequest() {
			s.dwa("b")
			s.last["b"].Command = 0
		}
		for _, line := range s.told {
			gone := s.now.Sub(begin)
			switch {
			case strings.HasSuffix(line, "device-watchdog-request -> a") && asked == 0:
				asked = gone
			case strings.HasSuffix(line, "suspected a"):
				suspected = gone
			case strings.HasSuffix(line, "down a watchdog"):
				closed = gone
			}
		}
		s.told = nil
	}
	for name, gap := range map[string]time.Duration{"asked": asked, "suspected": suspected - asked, "closed": closed - suspected} {
		if gap < 28*time.Second || gap > 32*time.Second {
			t.Errorf("%s after %v, want 28 s to 32 s", name, gap)
		}
	}
}

func TestASuspectGetsNothingNewAndLosesWhatItHasToOthers(t *testing.T) {
	s := newStory(t, "a", "b")
	s.client.timeout = time.Hour
	s.connect("a", "b")
	for !slices.ContainsFunc(s.told, func(l string) bool { return strings.HasSuffix(l, "suspected a") }) {
		if s.last["a"].Command == diameter.DeviceWatchdog && len(s.done) == 0 && s.last["b"].Command != diameter.MIP6 && s.client.pending[1] == nil {
			s.ask(1)
		}
		if s.last["b"].Command == diameter.DeviceWatchdog {
			s.dwa("b")
		}
		s.told = nil
		s.until(s.client.Deadline())
	}
	if !strings.HasSuffix(s.told[len(s.told)-1], "mip6a-request -> b T") {
		t.Fatalf("told %q", s.told)
	}
	s.told = nil
	s.ask(2)
	if !strings.HasSuffix(s.told[0], "mip6a-request -> b") {
		t.Errorf("told %q", s.told)
	}
	// A sign of life restores it, whatever it is.
	s.told = nil
	s.receive("a", &diameter.DeviceWatchdogRequest{Identity: s.identity("a")}, diameter.Header{})
	if !strings.HasSuffix(s.told[0], "restored a") {
		t.Errorf("told %q", s.told)
	}
	s.ask(3)
	if got := s.told[len(s.told)-1]; !strings.HasSuffix(got, "mip6a-request -> a") {
		t.Errorf("told %q", got)
	}
}

func TestTheOnlyServerKeepsItsRequestsWhileSuspected(t *testing.T) {
	s := newStory(t, "a")
	s.client.timeout = time.Hour
	s.connect("a")
	s.ask(1)
	for !slices.ContainsFunc(s.told, func(l string) bool { return strings.HasSuffix(l, "suspected a") }) {
		if s.last["a"].Command == diameter.MIP6 && s.client.pending[1] == nil {
			s.ask(1)
		}
		s.until(s.client.Deadline())
	}
	s.ask(2)
	if s.done[2].Reason != "no-peer" || s.client.pending[1] == nil {
		t.Errorf("outcomes %+v", s.done)
	}
}

// RFC 3539, section 3.4.1 [5]: after a failure, three watchdogs must be answered.
func TestAServerThatFailedIsOnProbation(t *testing.T) {
	s := newStory(t, "a", "b")
	s.connect("a", "b")
	s.step(Closed{Conn: s.conns["a"], Reason: "reset"})
	s.until(s.client.Deadline())
	s.told = nil
	s.connect("a")
	s.want("1s capabilities-exchange-request -> a", "1s device-watchdog-request -> a", "1s up a")
	s.ask(1)
	s.mia("b", diameter.Success)
	s.want("1s mip6a-request -> b", "1s done 1 b")
	for i := range 3 {
		for s.last["a"].Command != diameter.DeviceWatchdog {
			s.until(s.client.Deadline())
			if s.last["b"].Command == diameter.DeviceWatchdog {
				s.dwa("b")
			}
		}
		s.told = nil
		s.dwa("a")
		s.last["a"] = &diameter.Message{}
		if restored := len(s.told) == 1 && strings.HasSuffix(s.told[0], "restored a"); restored != (i == 2) {
			t.Errorf("after %d answers: %q", i+1, s.told)
		}
	}
	s.ask(2)
	if !strings.HasSuffix(s.told[len(s.told)-1], "mip6a-request -> a") {
		t.Errorf("told %q", s.told)
	}
}

func TestAServerOnProbationIsBetterThanNone(t *testing.T) {
	s := newStory(t, "a")
	s.connect("a")
	s.step(Closed{Conn: s.conns["a"], Reason: "reset"})
	s.until(at(1))
	s.connect("a")
	s.told = nil
	s.ask(1)
	s.mia("a", diameter.Success)
	s.want("1s mip6a-request -> a", "1s done 1 a")
}

func TestGoodbyeIsAnsweredAndItsCauseKept(t *testing.T) { // RFC 6733, section 5.4
	for cause, again := range map[diameter.DisconnectCause]bool{diameter.Rebooting: true, diameter.Busy: false, diameter.DoNotWantToTalkToIt: false} {
		s := newStory(t, "a")
		s.connect("a")
		s.told = nil
		s.receive("a", &diameter.DisconnectPeerRequest{Identity: s.identity("a"), Cause: cause}, diameter.Header{})
		s.step(Closed{Conn: s.conns["a"], Reason: "closed"})
		s.want("0s disconnect-peer-answer -> a", "0s down a disconnect-"+cause.String())
		if got := !s.client.Deadline().IsZero(); got != again {
			t.Errorf("%v: tries again: %v", cause, got)
		}
		// A message to be sent is a valid reason to connect.
		s.now = at(60)
		s.ask(1)
		s.connect("a")
		s.want("1m0s connect a", "1m0s capabilities-exchange-request -> a", "1m0s up a", "1m0s mip6a-request -> a")
	}
}

func TestAPeerThatDoesNotCloseAfterGoodbyeIsClosed(t *testing.T) {
	s := newStory(t, "a")
	s.connect("a")
	s.receive("a", &diameter.DisconnectPeerRequest{Identity: s.identity("a"), Cause: diameter.Busy}, diameter.Header{})
	s.told = nil
	s.until(at(10))
	s.want("2s close a abort=false")
}

func TestStopTakesLeaveAndEndsRequests(t *testing.T) {
	s := newStory(t, "a", "b")
	s.connect("a")
	s.ask(1)
	s.told = nil
	s.step(Stop{Cause: diameter.Rebooting})
	s.receive("a", &diameter.DisconnectPeerAnswer{Outcome: diameter.Outcome{Result: diameter.Success}, Identity: s.identity("a")}, s.last["a"].Header)
	s.want("0s done 1 stopped", "0s disconnect-peer-request -> a", "0s down a stopped", "0s close b abort=false", "0s rejected b stopped", "0s close a abort=false")
	if !s.client.Quiet() || !s.client.Deadline().IsZero() {
		t.Error("something is left")
	}
	s.ask(2)
	s.want("0s done 2 stopped")
}

func TestRequestsToAClientAreRefused(t *testing.T) {
	s := newStory(t, "a")
	s.connect("a")
	s.told = nil
	s.receive("a", &diameter.SessionTerminationRequest{Session: "a;1;2", Identity: s.identity("a"), DestinationRealm: realm}, diameter.Header{})
	s.want("0s session-termination-answer -> a", "0s refused session-termination-request command-unsupported")
}

func TestWhatWaitsIsBounded(t *testing.T) {
	s := newStory(t, "a")
	s.connect("a")
	for id := range uint64(defaultMost + 1) {
		s.ask(id)
	}
	if o := s.done[defaultMost]; o.Reason != "overload" {
		t.Errorf("outcome %+v", o)
	}
	s.until(at(3))
	if len(s.done) != defaultMost+1 || len(s.client.pending) != 0 || len(s.client.hops[0]) != 0 {
		t.Errorf("%d outcomes, %d pending, %d identifiers", len(s.done), len(s.client.pending), len(s.client.hops[0]))
	}
	if _, more := s.client.next(); more || len(s.client.queue) != 0 {
		t.Errorf("%d in the queue", len(s.client.queue))
	}
}

func TestABrokenAnswerIsAnOutcome(t *testing.T) {
	s := newStory(t, "a")
	s.connect("a")
	s.ask(1)
	r := s.last["a"]
	s.receive("a", &diameter.MIP6Answer{Session: "of somebody else", Outcome: diameter.Outcome{Result: diameter.Success}, Identity: s.identity("a"), Homes: []netip.Addr{netip.IPv6Loopback()}}, r.Header)
	s.ask(2)
	r = s.last["a"]
	b, _ := (&diameter.MIP6Answer{Session: "x", Outcome: diameter.Outcome{Result: diameter.Success}, Identity: s.identity("a")}).AppendTo(nil, r.Header)
	b[25] = 0xff // the length of the first AVP
	s.step(Received{Conn: s.conns["a"], Octets: b})
	for id := range uint64(2) {
		if o := s.done[id+1]; o.Reason != "malformed-answer" {
			t.Errorf("outcome %+v", o)
		}
	}
}

// Whatever servers do, and in whatever order, each request has one outcome, every
// deadline lies ahead, and the end leaves nothing.
func FuzzClient(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, []byte("no Diameter at all"))
	}
	results := []diameter.ResultCode{diameter.Success, diameter.TooBusy, diameter.UnableToDeliver, diameter.AuthenticationRejected, diameter.CommandUnsupported}
	f.Fuzz(func(t *testing.T, seed uint64, noise []byte) {
		rng := rand.New(rand.NewPCG(seed, 0))
		names := []string{"a", "b", "c"}[:1+rng.IntN(3)]
		s := newStory(t, names...)
		if rng.IntN(2) == 0 {
			s.offers["b"] = anyApplication
		}
		requests := map[string][]*diameter.Message{}
		asked := uint64(0)
		for range 150 {
			name := names[rng.IntN(len(names))]
			last := s.last[name]
			if last != nil && last.Command == diameter.MIP6 {
				requests[name] = append(requests[name], last)
			}
			switch rng.IntN(14) {
			case 0:
				s.step(Connected{Conn: s.conns[name], Local: netip.IPv6Loopback()})
			case 1:
				s.step(Closed{Conn: s.conns[name], Reason: "reset"})
			case 2, 3:
				if last != nil && last.Command == diameter.CapabilitiesExchange {
					s.cea(name, diameter.Success, name)
				}
			case 4, 5:
				asked++
				s.ask(asked)
			case 6, 7:
				if n := len(requests[name]); n > 0 {
					s.miaTo(name, requests[name][rng.IntN(n)], results[rng.IntN(len(results))])
				}
			case 8:
				if last != nil && last.Command == diameter.DeviceWatchdog && last.IsRequest() {
					s.dwa(name)
				}
			case 9:
				if last != nil {
					s.aborts(name, diameter.Header{HopByHop: rng.Uint32N(3), EndToEnd: rng.Uint32N(3)})
				}
			case 10:
				if len(s.waiting) > 0 {
					s.complies()
				}
			case 11:
				if asked++; rng.IntN(2) == 0 {
					s.end(asked, "ha;1;1", []string{"a", "b", "far"}[rng.IntN(3)])
				} else {
					s.askFor(asked, realm, names[rng.IntN(len(names))])
				}
			case 12:
				if rng.IntN(8) == 0 {
					s.receive(name, &diameter.DisconnectPeerRequest{Identity: s.identity(name), Cause: diameter.DisconnectCause(rng.IntN(3))}, diameter.Header{})
				} else if rng.IntN(8) == 0 {
					s.step(Received{Conn: s.conns[name], Octets: noise})
				}
			default:
				s.until(s.now.Add(time.Duration(rng.Int64N(int64(5 * time.Second)))))
			}
			if d := s.client.Deadline(); !d.IsZero() && d.Before(s.now) {
				t.Fatalf("a deadline of %v at %v", d.Sub(start), s.now.Sub(start))
			}
			for i := range names {
				if len(s.client.hops[i]) > len(s.client.pending) {
					t.Fatalf("%d identifiers for %d requests", len(s.client.hops[i]), len(s.client.pending))
				}
			}
		}
		if rng.IntN(2) == 0 { // let all of it run out
			s.until(s.now.Add(time.Minute))
			if len(s.done) != int(asked) {
				t.Fatalf("%d outcomes of %d", len(s.done), asked)
			}
		}
		s.step(Stop{Cause: diameter.Rebooting})
		s.until(s.now.Add(time.Minute))
		if len(s.done) != int(asked) || len(s.client.pending) != 0 || !s.client.Quiet() || !s.client.Deadline().IsZero() {
			t.Fatalf("%d outcomes of %d, %d pending, quiet %v, deadline %v", len(s.done), asked, len(s.client.pending), s.client.Quiet(), s.client.Deadline())
		}
	})
}

package aaa

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

// opens has a session made, and tells nothing of it.
func (s *server) opens(change func(r *diameter.MIP6Request)) string {
	s.t.Helper()
	_, a, o := s.ask(change)
	if o.Result != diameter.Success {
		s.t.Fatalf("%v", o.Result)
	}
	s.told = nil
	return a.Session
}

func of(id string) func(r *diameter.MIP6Request) {
	return func(r *diameter.MIP6Request) { r.Session = id }
}

func (s *server) terminate(id string, change ...func(*diameter.SessionTerminationRequest)) diameter.ResultCode {
	s.t.Helper()
	r := &diameter.SessionTerminationRequest{Session: id, Identity: request().Identity, DestinationRealm: realm, User: nai, Cause: diameter.Logout}
	for _, f := range change {
		f(r)
	}
	o, _, err := diameter.ParseError(s.send(r))
	if err != nil {
		s.t.Fatal(err)
	}
	return o.Result
}

func (s *server) wantTold(lines ...string) {
	s.t.Helper()
	told := slices.DeleteFunc(slices.Clone(s.told), func(l string) bool { return len(l) > 16 && l[:16] == "request-answered" })
	s.told = nil
	if !slices.Equal(told, lines) {
		s.t.Errorf("told %q, want %q", told, lines)
	}
}

func (s *server) revoke() int {
	s.t.Helper()
	n, out, events, err := s.m.Revoke(s.now, nai)
	if err != nil {
		s.t.Fatal(err)
	}
	s.hear(out, events)
	return n
}

// abort gives the last Abort-Session-Request that was written.
func (s *server) abort() (*diameter.Message, *diameter.AbortSessionRequest) {
	s.t.Helper()
	m := s.out[len(s.out)-1]
	r, err := diameter.ParseAbortSessionRequest(m)
	if err != nil {
		s.t.Fatal(err)
	}
	return m, r
}

// complies answers an Abort-Session-Request.
func (s *server) complies(m *diameter.Message, result diameter.ResultCode) {
	s.t.Helper()
	a := &diameter.AbortSessionAnswer{Session: string(m.Find(diameter.SessionID).Data), Outcome: diameter.Outcome{Result: result}, Identity: request().Identity}
	b, err := a.AppendTo(nil, m.Header)
	if err != nil {
		s.t.Fatal(err)
	}
	s.step(diampeer.Received{Conn: 1, Octets: b})
}

func (s *server) pass(d time.Duration) {
	s.t.Helper()
	end := s.now.Add(d)
	for {
		at := s.m.Deadline()
		if at.IsZero() || at.After(end) {
			break
		}
		s.now = at
		s.hear(s.m.Tick(at))
	}
	s.now = end
}

func TestASessionEndsWithItsTermination(t *testing.T) { // RFC 5778, section 4.3.1
	s := newServer(t)
	id := s.opens(of("pgw;1;1"))
	if got := s.m.Counts().Sessions; got != 1 {
		t.Errorf("%d sessions", got)
	}
	if r := s.terminate(id); r != diameter.Success {
		t.Errorf("result %v", r)
	}
	s.wantTold("session-closed " + nai + " terminated")
	if r := s.terminate(id); r != diameter.UnknownSessionID {
		t.Errorf("result %v for a session that is over", r)
	}
}

func TestAStrangerEndsNobodysSession(t *testing.T) {
	s := newServer(t)
	id := s.opens(of("pgw;1;1"))
	if r := s.terminate(id, func(r *diameter.SessionTerminationRequest) { r.Host = "other." + realm }); r != diameter.UnknownSessionID {
		t.Errorf("result %v", r)
	}
	if r := s.terminate(id, func(r *diameter.SessionTerminationRequest) { r.DestinationHost = "other." + realm }); r != diameter.UnableToDeliver {
		t.Errorf("result %v for another server's", r)
	}
	if s.m.Counts().Sessions != 1 {
		t.Error("the session is gone")
	}
}

func TestNoStateIsKeptWhereTheHomeAgentWouldRatherNot(t *testing.T) { // RFC 6733, section 8.11
	s := newServer(t)
	_, a, _ := s.ask(func(r *diameter.MIP6Request) { r.NoState = true })
	if a.State != diameter.NoStateMaintained || s.m.Counts().Sessions != 0 {
		t.Errorf("state %d, %d sessions", a.State, s.m.Counts().Sessions)
	}
}

func TestASessionEndsWithItsKey(t *testing.T) {
	s := newServer(t)
	id := s.opens(of("pgw;1;1"))
	s.now = s.now.Add(time.Hour)
	if r := s.terminate(id); r != diameter.UnknownSessionID {
		t.Errorf("result %v", r)
	}
	s.wantTold("session-closed " + nai + " expired")
}

func TestSessionsOfAFormerLifeAreOver(t *testing.T) { // RFC 6733, section 8.6
	s := newServer(t)
	at := func(id string, state uint32) func(r *diameter.MIP6Request) {
		return func(r *diameter.MIP6Request) { r.Session, r.State = id, state }
	}
	s.opens(at("pgw;1;1", 7))
	s.opens(at("pgw;1;2", 7))
	if s.m.Counts().Sessions != 2 {
		t.Fatal(s.m.Counts().Sessions)
	}
	s.ask(at("pgw;2;1", 8))
	s.wantTold("session-closed "+nai+" origin-state", "session-closed "+nai+" origin-state", "session-opened "+nai)
	if s.m.Counts().Sessions != 1 {
		t.Error(s.m.Counts().Sessions)
	}
}

func TestASessionIsAbortedByAnASRThatItsHomeAgentGets(t *testing.T) { // RFC 6733, section 8.5
	s := newServer(t)
	s.opens(of("pgw;1;1"))
	if n := s.revoke(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	m, r := s.abort()
	if r.Session != "pgw;1;1" || r.User != nai || r.DestinationHost != request().Host || r.Host != "aaa."+realm || m.Flags&diameter.Retransmitted != 0 {
		t.Errorf("%+v, flags %x", r, m.Flags)
	}
	s.wantTold("abort-sent " + nai)
	s.complies(m, diameter.Success)
	s.wantTold("abort-answered " + nai + " success")
	if s.m.Counts().Sessions != 1 {
		t.Error("over before its STR")
	}
	if r := s.terminate("pgw;1;1"); r != diameter.Success {
		t.Error(r)
	}
	s.wantTold("session-closed " + nai + " aborted")
	if !s.m.Deadline().IsZero() && s.m.Deadline().Sub(s.now) < 10*time.Second {
		t.Errorf("something is due in %v", s.m.Deadline().Sub(s.now))
	}
}

func TestTheSTRMayComeBeforeTheASA(t *testing.T) {
	s := newServer(t)
	s.opens(of("pgw;1;1"))
	s.revoke()
	m, _ := s.abort()
	s.terminate("pgw;1;1")
	s.complies(m, diameter.Success)
	s.wantTold("abort-sent "+nai, "session-closed "+nai+" aborted")
	if len(s.m.sessions.aborting) != 0 {
		t.Error("still aborting")
	}
}

func TestEveryAnswerToAnASRHasItsOutcome(t *testing.T) {
	for result, want := range map[diameter.ResultCode]struct {
		told string
		left int
	}{
		diameter.UnknownSessionID: {"session-closed " + nai + " unknown-to-home-agent", 0},
		diameter.UnableToComply:   {"abort-failed " + nai + " unable-to-comply", 1},
		diameter.UnableToDeliver:  {"abort-failed " + nai + " unable-to-deliver", 1},
	} {
		s := newServer(t)
		s.opens(of("pgw;1;1"))
		s.revoke()
		m, _ := s.abort()
		s.complies(m, result)
		if !slices.Contains(s.told, want.told) || s.m.Counts().Sessions != want.left {
			t.Errorf("%v: told %q, %d sessions", result, s.told, s.m.Counts().Sessions)
		}
	}
}

func TestAnASRThatIsNotAnsweredIsSentAgainAndThenGivenUp(t *testing.T) { // RFC 6733, section 8.1: wait, resend ASR
	s := newServer(t)
	s.opens(of("pgw;1;1"))
	s.revoke()
	s.pass(20 * time.Second) // 2 s for an answer, 1 s of waiting
	var again []string
	for _, l := range s.told {
		again = append(again, l)
	}
	want := []string{}
	for range abortAttempts {
		want = append(want, "abort-sent "+nai)
	}
	want = append(want, "abort-failed "+nai+" time-out")
	if !slices.Equal(again, want) {
		t.Errorf("told %q, want %q", again, want)
	}
	if m, _ := s.abort(); m.Flags&diameter.Retransmitted == 0 {
		t.Error("the last has no T bit")
	}
	if n := s.revoke(); n != 1 { // it may be tried anew
		t.Error(n)
	}
}

func TestAnASRWaitsForAHomeAgentThatIsAway(t *testing.T) {
	s := newServer(t)
	s.opens(of("pgw;1;1"))
	s.step(diampeer.Closed{Conn: 1, Reason: "reset"})
	s.revoke()
	before := len(s.out)
	s.step(diampeer.Accepted{Conn: 2, Local: agent, Remote: netip.AddrPortFrom(agent, 2)})
	b, _ := (&diameter.CapabilitiesExchangeRequest{Capabilities: diameter.Capabilities{
		Identity: request().Identity, Addresses: []netip.Addr{agent}, Auth: []diameter.Application{diameter.MIP6A}}}).AppendTo(nil, diameter.Header{})
	s.step(diampeer.Received{Conn: 2, Octets: b})
	s.pass(time.Second)
	if len(s.out) != before+2 { // CEA, ASR
		t.Fatalf("%d messages", len(s.out)-before)
	}
	if _, r := s.abort(); r.Session != "pgw;1;1" {
		t.Errorf("%+v", r)
	}
}

func TestAnASAUnaskedChangesNothing(t *testing.T) {
	s := newServer(t)
	s.opens(of("pgw;1;1"))
	b, _ := (&diameter.AbortSessionAnswer{Session: "pgw;1;1", Outcome: diameter.Outcome{Result: diameter.UnknownSessionID}, Identity: request().Identity}).
		AppendTo(nil, diameter.Header{Flags: diameter.Request | diameter.Proxiable, HopByHop: 5})
	s.step(diampeer.Received{Conn: 1, Octets: b})
	s.wantTold("message-ignored answer-to-nothing")
	if s.m.Counts().Sessions != 1 {
		t.Error("the session is gone")
	}
}

func TestNothingIsRevokedOfWhoHasNoSession(t *testing.T) {
	s := newServer(t)
	if _, _, _, err := s.m.Revoke(s.now, nai); err == nil {
		t.Error("revoked")
	}
	for _, args := range []string{``, `{}`, `[]`} {
		if _, _, _, err := s.m.revoke(s.now, control.Command{Name: "revoke", Args: []byte(args)}); err == nil {
			t.Errorf("%s: done", args)
		}
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := newServer(t)
	r := request()
	for i := range mostSessions {
		r.Session = fmt.Sprint(i)
		if !s.m.start(s.now, diameter.MIP6A, r.Session, r.Identity, r.User, time.Hour) {
			t.Fatalf("no room for session %d", i)
		}
	}
	r.Session = "one more"
	if s.m.start(s.now, diameter.MIP6A, r.Session, r.Identity, r.User, time.Hour) {
		t.Error("there was room for one more")
	}
	_, a, _ := s.ask(of("one more"))
	if a.State != diameter.NoStateMaintained { // served all the same
		t.Errorf("state %d", a.State)
	}
}

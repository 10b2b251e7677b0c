package diampeer

import (
	"testing"

	"s2clab/nodes/wire/diameter"
)

var anyApplication = []diameter.Application{diameter.Relay}

// askFor asks on behalf of a user of that realm.
func (s *story) askFor(id uint64, realm, host string) {
	r := request()
	r.User, r.DestinationHost = "ue@"+realm, host
	s.step(Ask{ID: id, Request: r})
}

// answerAs answers the last request to a server as a host behind it.
func (s *story) answerAs(name, host string, result diameter.ResultCode) {
	s.t.Helper()
	r := s.last[name]
	from := diameter.Identity{Host: host, Realm: "far.example"}
	if result.ProtocolError() {
		b, err := diameter.AppendFailure(nil, r, from, &diameter.Failure{Result: result})
		if err != nil {
			s.t.Fatal(err)
		}
		s.step(Received{Conn: s.conns[name], Octets: b})
		return
	}
	s.receive(name, &diameter.MIP6Answer{Session: valueOf(r, diameter.SessionID), Outcome: diameter.Outcome{Result: result}, Identity: from, Homes: request().Homes}, r.Header)
}

func (s *story) end(id uint64, session, host string) {
	s.step(Ask{ID: id, Request: &diameter.SessionTerminationRequest{Session: session, Identity: request().Identity, DestinationHost: host, Cause: diameter.Logout}})
}

func TestARequestGoesToServersThatReachItsRealm(t *testing.T) { // RFC 6733, section 6.1.6
	s := newRouted(t, []Route{{"Home.example", []string{"b", "a"}}, {"far.example", []string{"a"}}, {"", []string{"c"}}}, "a", "b", "c")
	s.connect("a", "b", "c")
	s.told = nil
	s.askFor(1, "home.EXAMPLE", "")
	s.askFor(2, "far.example", "")
	s.askFor(3, "elsewhere.example", "")
	s.want("0s mip6a-request -> b", "0s mip6a-request -> a", "0s mip6a-request -> c")
	s.until(at(5))
	s.want("2s mip6a-request -> a T", "2s done 2 time-out", "2s done 3 time-out", "4s done 1 time-out")
	if got := valueOf(s.last["c"], diameter.DestinationHost); got != "" || s.last["c"].Find(diameter.DestinationHost) != nil {
		t.Errorf("Destination-Host %q, which nobody named", got)
	}
}

func TestARealmWithoutARouteIsNotAsked(t *testing.T) {
	s := newRouted(t, []Route{{"home.example", []string{"a"}}}, "a")
	s.connect("a")
	s.told = nil
	s.askFor(1, "elsewhere.example", "")
	s.want("0s done 1 no-route")
}

func TestRoutesAreOfServersThatThereAre(t *testing.T) {
	for _, routes := range [][]Route{{{"r", []string{"nobody"}}}, {{"r", nil}, {"R", nil}}} {
		if _, err := NewClient(ClientOptions{Local: Local{Rand: newStory(t).client.local.Rand}, Routes: routes}); err == nil {
			t.Errorf("%v is taken", routes)
		}
	}
}

func TestARequestGoesToServersWithItsApplication(t *testing.T) { // RFC 6733, section 6.1.6
	s := newStory(t, "a", "b", "relay")
	s.client.local.Applications = append(s.client.local.Applications, diameter.MIP6I)
	s.offers["a"], s.offers["relay"] = []diameter.Application{diameter.MIP6I}, anyApplication
	s.connect("a", "b", "relay")
	s.told = nil
	s.ask(1)
	s.mia("b", diameter.TooBusy)
	s.mia("relay", diameter.Success)
	s.want("0s mip6a-request -> b", "0s mip6a-request -> relay", "0s done 1 relay")

	s = newStory(t, "a") // where nobody has it
	s.client.local.Applications = append(s.client.local.Applications, diameter.MIP6I)
	s.offers["a"] = []diameter.Application{diameter.MIP6I}
	s.connect("a")
	s.told = nil
	s.ask(1)
	s.want("0s done 1 no-peer")
}

func TestTheAnswerOfAHostBehindAnAgentIsTheAnswer(t *testing.T) {
	s := newStory(t, "relay")
	s.offers["relay"] = anyApplication
	s.connect("relay")
	s.ask(1)
	s.answerAs("relay", "aaa.far", diameter.AuthenticationRejected)
	if o := s.done[1]; o.Peer != "relay" || o.Host != "aaa.far" || o.Result != diameter.AuthenticationRejected {
		t.Errorf("%+v", o)
	}
}

func TestASessionEndsWhereItIsKept(t *testing.T) {
	s := newStory(t, "a", "relay", "b")
	s.offers["relay"] = anyApplication
	s.connect("a", "relay", "b")
	s.ask(1)
	s.mia("a", diameter.TooBusy)
	s.answerAs("relay", "aaa.far", diameter.AuthenticationRejected)
	s.until(at(2)) // a is not busy any more
	s.told = nil
	s.end(2, "ha;1;1", "AAA.far") // by the agent that had it, though a is preferred
	s.end(3, "ha;1;2", "b")       // by b itself
	s.want("2s session-termination-request -> relay", "2s session-termination-request -> b")
	s.step(Closed{Conn: s.conns["b"], Reason: "reset"})
	s.want("2s down b reset", "2s session-termination-request -> relay T") // an agent reaches it, a does not
	s.step(Closed{Conn: s.conns["relay"], Reason: "reset"})
	// The one is for a host that a may reach. The other waits for b, or an agent.
	s.want("2s down relay reset", "2s session-termination-request -> a T", "2s connect b", "2s connect relay")
	s.connect("b")
	s.want("2s capabilities-exchange-request -> b", "2s device-watchdog-request -> b", "2s up b", "2s session-termination-request -> b T")
}

func TestAServerThatIsNamedAndAwayIsNotReplacedByAnother(t *testing.T) {
	s := newStory(t, "a", "b")
	s.connect("a")
	s.step(Closed{Conn: s.conns["b"], Reason: "connection-refused"})
	s.told = nil
	s.end(1, "ha;1;1", "b")
	s.want("0s done 1 no-peer")
}

func TestAHostBehindAnAgentDoesNotMakeTheAgentBusy(t *testing.T) {
	s := newStory(t, "relay", "b")
	s.offers["relay"] = anyApplication
	s.connect("relay", "b")
	s.ask(1)
	s.answerAs("relay", "aaa.far", diameter.TooBusy)
	s.told = nil
	s.ask(2)
	s.want("0s mip6a-request -> relay")
}

func TestTheOwnerMayNameTheSession(t *testing.T) {
	s := newStory(t, "a")
	s.connect("a")
	for id := range uint64(2) { // rounds of one conversation
		r := request()
		r.Session = "ha;7;7"
		s.step(Ask{ID: id + 1, Request: r})
		if got := valueOf(s.last["a"], diameter.SessionID); got != "ha;7;7" {
			t.Errorf("Session-Id %q", got)
		}
		s.mia("a", diameter.Success)
		if s.done[id+1].Reason != "" {
			t.Errorf("%+v", s.done[id+1])
		}
	}
}

func TestARequestHasOurOrigin(t *testing.T) {
	s := newStory(t, "a")
	s.connect("a")
	s.told = nil
	r := request()
	r.Host = "another"
	s.step(Ask{ID: 1, Request: r})
	s.want("0s done 1 malformed-request")
}

func TestAClientAsksTheSameAgainUnderTheSameIdentifier(t *testing.T) {
	s := newStory(t, "a")
	s.connect("a")
	s.ask(1)
	first := s.last["a"]
	s.until(at(3))
	s.told = nil
	r := request()
	r.Session = s.done[1].Session
	s.step(Ask{ID: 2, Again: s.done[1].EndToEnd, Request: r})
	s.want("3s mip6a-request -> a T")
	if again := s.last["a"]; again.EndToEnd != first.EndToEnd || valueOf(again, diameter.SessionID) != valueOf(first, diameter.SessionID) {
		t.Errorf("%+v, then %+v", first, again)
	}
	s.mia("a", diameter.Success)
	s.want("3s done 2 a")
}

// aborts has a server send an Abort-Session-Request.
func (s *story) aborts(name string, h diameter.Header) {
	s.t.Helper()
	s.receive(name, &diameter.AbortSessionRequest{Session: "ha;1;1", Identity: s.identity("a"), DestinationRealm: realm, DestinationHost: "ha"}, h)
}

// complies answers the request of a server that has waited longest.
func (s *story) complies() {
	s.t.Helper()
	d := s.waiting[0]
	s.waiting = s.waiting[1:]
	b, err := (&diameter.AbortSessionAnswer{Session: "ha;1;1", Outcome: diameter.Outcome{Result: diameter.Success}, Identity: s.client.local.Identity}).AppendTo(nil, d.Message.Header)
	if err != nil {
		s.t.Fatal(err)
	}
	s.hear(s.client.Answer(s.now, d.ID, b, true))
}

func TestServersAskTheClientWhichAnswersWhenItCan(t *testing.T) {
	s := newStory(t, "a", "b")
	s.offers["b"] = anyApplication
	s.connect("a", "b")
	s.told = nil
	s.aborts("a", diameter.Header{HopByHop: 3, EndToEnd: 9})
	s.aborts("b", diameter.Header{HopByHop: 4, EndToEnd: 9, Flags: diameter.Retransmitted}) // by an agent
	s.want("0s deliver abort-session-request", "0s ignored duplicate-request")
	s.until(at(1))
	s.complies()
	s.want("1s abort-session-answer -> b", "1s abort-session-answer -> a")
	if s.last["a"].HopByHop != 3 || s.last["b"].HopByHop != 4 {
		t.Errorf("%+v, %+v", s.last["a"].Header, s.last["b"].Header)
	}
	s.aborts("a", diameter.Header{HopByHop: 5, EndToEnd: 9, Flags: diameter.Retransmitted})
	s.want("1s ignored duplicate-request", "1s abort-session-answer -> a")

	s.aborts("a", diameter.Header{HopByHop: 6, EndToEnd: 10})
	s.step(Closed{Conn: s.conns["a"], Reason: "reset"})
	s.told = nil
	s.complies()
	s.want("1s ignored answer-without-connection")
}

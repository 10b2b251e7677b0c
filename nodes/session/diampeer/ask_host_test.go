package diampeer

import (
	"testing"
	"time"

	"s2clab/nodes/wire/diameter"
)

// met is a desk with a client whose connection is open.
func met(t *testing.T) *desk {
	d := newDesk(t)
	d.accept(1)
	d.send(1, &diameter.CapabilitiesExchangeRequest{Capabilities: client("pgw", 7)}, diameter.Header{})
	d.told = nil
	return d
}

func asr(host string) *diameter.AbortSessionRequest {
	return &diameter.AbortSessionRequest{Session: "pgw;1;1", Identity: diameter.Identity{Host: "aaa", Realm: realm}, DestinationHost: host, User: "a@" + realm}
}

func (d *desk) abort(id uint64, peer string) {
	d.step(Ask{ID: id, Request: asr(peer)})
}

func (d *desk) asa(h diameter.Header, session string, result diameter.ResultCode) []byte {
	b, err := (&diameter.AbortSessionAnswer{Session: session, Outcome: diameter.Outcome{Result: result}, Identity: diameter.Identity{Host: "pgw", Realm: realm}}).AppendTo(nil, h)
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

func TestAServerAsksAClientOnTheClientsConnection(t *testing.T) {
	d := met(t)
	d.abort(9, "PGW")
	d.want("abort-session-request -> 1")
	r, err := diameter.ParseAbortSessionRequest(d.written[1])
	if err != nil || r.DestinationHost != "PGW" || r.DestinationRealm != realm || r.Host != "aaa" {
		t.Fatalf("%+v, %v", r, err)
	}
	h := d.written[1].Header
	d.step(Received{Conn: 1, Octets: d.asa(h, "pgw;1;1", diameter.Success)})
	d.want("done 9  success")
	d.step(Received{Conn: 1, Octets: d.asa(h, "pgw;1;1", diameter.Success)}) // again
	d.want("ignored answer-to-nothing")
}

func TestARequestOfAServersOwnHasAnEndInAnyCase(t *testing.T) {
	d := met(t)
	d.abort(1, "nobody")
	d.want("done 1 no-peer result-0")

	d.abort(2, "pgw")
	d.told = nil
	d.step(Received{Conn: 1, Octets: d.asa(d.written[1].Header, "pgw;1;2", diameter.Success)})
	d.want("done 2 malformed-answer result-0")

	d.abort(3, "pgw")
	d.told = nil
	d.step(Received{Conn: 1, Octets: d.asa(d.written[1].Header, "pgw;1;1", diameter.UnableToComply)})
	d.want("done 3 unable-to-comply unable-to-comply")

	d.abort(4, "pgw")
	d.told = nil
	if at := d.server.Deadline(); at.Sub(d.now) != 2*time.Second {
		t.Errorf("due in %v", at.Sub(d.now))
	}
	d.now = d.server.Deadline()
	d.hear(d.server.Tick(d.now))
	d.want("done 4 time-out result-0")

	d.abort(5, "pgw")
	d.told = nil
	d.step(Closed{Conn: 1, Reason: "reset"})
	d.want("down pgw reset", "done 5 connection-lost result-0")

	d = met(t)
	d.abort(6, "pgw")
	d.told = nil
	d.step(Stop{Cause: diameter.Rebooting})
	if len(d.told) == 0 || d.told[0] != "done 6 stopped result-0" {
		t.Errorf("%q", d.told)
	}
	d.abort(7, "pgw")
	if last := d.told[len(d.told)-1]; last != "done 7 stopped result-0" {
		t.Error(last)
	}
}

func TestAnAnswerOnAnotherConnectionIsNotTheAnswer(t *testing.T) {
	d := met(t)
	d.accept(2)
	d.send(2, &diameter.CapabilitiesExchangeRequest{Capabilities: client("other", 7)}, diameter.Header{})
	d.abort(1, "pgw")
	d.told = nil
	d.step(Received{Conn: 2, Octets: d.asa(d.written[1].Header, "pgw;1;1", diameter.Success)})
	d.want("ignored answer-to-nothing")
}

func relay(state uint32) diameter.Capabilities {
	c := client("relay", state)
	c.Auth = []diameter.Application{diameter.Relay}
	return c
}

func TestAHostIsAskedByTheAgentByWhichItWasHeardLast(t *testing.T) {
	d := newDesk(t)
	d.accept(1)
	d.send(1, &diameter.CapabilitiesExchangeRequest{Capabilities: relay(7)}, diameter.Header{})
	far := mir("pgw.far")
	far.Realm = "far.example"
	d.send(1, far, diameter.Header{EndToEnd: 1})
	d.told = nil
	d.abort(1, "PGW.far")
	d.want("abort-session-request -> 1")
	r, err := diameter.ParseAbortSessionRequest(d.written[1])
	if err != nil || r.DestinationRealm != "far.example" {
		t.Errorf("%+v, %v", r, err)
	}
	b, _ := (&diameter.AbortSessionAnswer{Session: "pgw;1;1", Outcome: diameter.Outcome{Result: diameter.Success}, Identity: far.Identity}).AppendTo(nil, d.written[1].Header)
	var o Outcome
	for _, out := range d.server.Step(d.now, Received{Conn: 1, Octets: b}) {
		if done, ok := out.(Done); ok {
			o = done.Outcome
		}
	}
	if o.Reason != "" || o.Peer != "relay" || o.Host != "pgw.far" || o.Message == nil || o.EndToEnd != d.written[1].EndToEnd {
		t.Errorf("%+v", o)
	}

	d.step(Closed{Conn: 1, Reason: "reset"})
	d.told = nil
	d.abort(2, "pgw.far")
	d.want("done 2 no-peer result-0")
	d.accept(2) // the agent is back
	d.send(2, &diameter.CapabilitiesExchangeRequest{Capabilities: relay(8)}, diameter.Header{})
	d.told = nil
	d.abort(3, "pgw.far")
	d.want("abort-session-request -> 2")
	d.accept(3) // and now the host itself
	d.send(3, &diameter.CapabilitiesExchangeRequest{Capabilities: client("pgw.far", 1)}, diameter.Header{})
	d.told = nil
	d.abort(4, "pgw.far")
	d.want("abort-session-request -> 3")
}

func TestTheSameIsAskedAgainUnderTheSameIdentifier(t *testing.T) { // RFC 6733, section 3
	d := met(t)
	d.abort(1, "pgw")
	first := d.written[1]
	d.now = d.server.Deadline()
	var o Outcome
	for _, out := range d.server.Tick(d.now) {
		if done, ok := out.(Done); ok {
			o = done.Outcome
		}
	}
	d.step(Ask{ID: 2, Again: o.EndToEnd, Request: asr("pgw")})
	again := d.written[1]
	if first.Flags&diameter.Retransmitted != 0 || again.Flags&diameter.Retransmitted == 0 || first.EndToEnd != again.EndToEnd || first.HopByHop == again.HopByHop {
		t.Errorf("%+v and %+v", first.Header, again.Header)
	}
	d.abort(3, "pgw")
	if other := d.written[1]; other.EndToEnd == first.EndToEnd || other.Flags&diameter.Retransmitted != 0 {
		t.Errorf("%+v", other.Header)
	}
	sessions := map[string]bool{}
	for id := range uint64(2) { // of no session that there is
		r := asr("pgw")
		r.Session = ""
		d.step(Ask{ID: 4 + id, Request: r})
		sessions[valueOf(d.written[1], diameter.SessionID)] = true
	}
	if len(sessions) != 2 || sessions[""] {
		t.Errorf("sessions %v", sessions)
	}
}

func TestOnlyWhatAPeerOffersAndWeMaySayIsAsked(t *testing.T) {
	d := newDesk(t)
	d.server.local.Applications = append(d.server.local.Applications, diameter.MIP6I)
	d.accept(1)
	c := client("pgw", 7)
	c.Auth = []diameter.Application{diameter.MIP6I}
	d.send(1, &diameter.CapabilitiesExchangeRequest{Capabilities: c}, diameter.Header{})
	d.told = nil
	d.abort(1, "pgw") // MIP6A
	d.abort(2, "")    // to whom?
	stolen := asr("pgw")
	stolen.Host = "another"
	d.step(Ask{ID: 3, Request: stolen})
	d.step(Ask{ID: 4, Request: &diameter.AbortSessionAnswer{Session: "a", Identity: asr("").Identity}})
	d.want("done 1 no-peer result-0", "done 2 malformed-request result-0", "done 3 malformed-request result-0", "done 4 malformed-request result-0")
}

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
	for _, o := range d.server.Step(d.now, Ask{ID: id, Request: asr(peer)}) {
		if done, ok := o.(Done); ok {
			d.tell("done %d %s", done.ID, done.Reason)
			continue
		}
		d.hear([]Output{o})
	}
}

// finish is hear, for outputs among which a request may end.
func (d *desk) finish(out []Output) {
	for _, o := range append([]Output(nil), out...) {
		if done, ok := o.(Done); ok {
			d.tell("done %d %s %v", done.ID, done.Reason, done.Result)
			continue
		}
		d.hear([]Output{o})
	}
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
	d.finish(d.server.Step(d.now, Received{Conn: 1, Octets: d.asa(h, "pgw;1;1", diameter.Success)}))
	d.want("done 9  success")
	d.finish(d.server.Step(d.now, Received{Conn: 1, Octets: d.asa(h, "pgw;1;1", diameter.Success)})) // again
	d.want("ignored answer-to-nothing")
}

func TestARequestOfAServersOwnHasAnEndInAnyCase(t *testing.T) {
	d := met(t)
	d.abort(1, "nobody")
	d.want("done 1 no-peer")

	d.abort(2, "pgw")
	d.told = nil
	d.finish(d.server.Step(d.now, Received{Conn: 1, Octets: d.asa(d.written[1].Header, "pgw;1;2", diameter.Success)}))
	d.want("done 2 malformed-answer result-0")

	d.abort(3, "pgw")
	d.told = nil
	d.finish(d.server.Step(d.now, Received{Conn: 1, Octets: d.asa(d.written[1].Header, "pgw;1;1", diameter.UnableToComply)}))
	d.want("done 3 unable-to-comply unable-to-comply")

	d.abort(4, "pgw")
	d.told = nil
	if at := d.server.Deadline(); at.Sub(d.now) != 2*time.Second {
		t.Errorf("due in %v", at.Sub(d.now))
	}
	d.now = d.server.Deadline()
	d.finish(d.server.Tick(d.now))
	d.want("done 4 time-out result-0")

	d.abort(5, "pgw")
	d.told = nil
	d.finish(d.server.Step(d.now, Closed{Conn: 1, Reason: "reset"}))
	d.want("down pgw reset", "done 5 connection-lost result-0")

	d = met(t)
	d.abort(6, "pgw")
	d.told = nil
	d.finish(d.server.Step(d.now, Stop{Cause: diameter.Rebooting}))
	if len(d.told) == 0 || d.told[0] != "done 6 stopped result-0" {
		t.Errorf("%q", d.told)
	}
	d.abort(7, "pgw")
	if last := d.told[len(d.told)-1]; last != "done 7 stopped" {
		t.Error(last)
	}
}

func TestAnAnswerOnAnotherConnectionIsNotTheAnswer(t *testing.T) {
	d := met(t)
	d.accept(2)
	d.send(2, &diameter.CapabilitiesExchangeRequest{Capabilities: client("other", 7)}, diameter.Header{})
	d.abort(1, "pgw")
	d.told = nil
	d.finish(d.server.Step(d.now, Received{Conn: 2, Octets: d.asa(d.written[1].Header, "pgw;1;1", diameter.Success)}))
	d.want("ignored answer-to-nothing")
}

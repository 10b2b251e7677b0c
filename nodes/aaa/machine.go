// Package aaa is the role of an AAA server: it speaks Diameter with home agents
// and decides on their MIP6-Requests (RFC 5778). It verifies the MN-AAA
// authenticator of a Binding Update and hands out the MN-HA key.
//
// The machine is pure: an authority that decides, behind the connections of
// nodes/session/diampeer. Keys and authenticators are computed in nodes/keys.
// Whether a timestamp is fresh is for the home agent to say (RFC 5778, section
// 5.2.1). The server keeps the state of sessions, so that it can abort them (RFC
// 5778, section 4.3), unless a home agent would rather that it did not.
package aaa

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

// A Machine is an AAA server without its sockets. What Step and Tick return is
// good until the next call.
type Machine struct {
	identity  diameter.Identity
	server    *diampeer.Server
	authority *authority
	sessions  sessions
	busy      bool // SetBusy
	events    events
	told      keys.Told
	counts    Counts
	out       []diampeer.Output
}

// Counts say what a server has done.
type Counts struct {
	Requests   int            `json:"requests"`   // MIP6-Requests that were answered here
	Duplicates int            `json:"duplicates"` // answered again
	Results    map[string]int `json:"results"`    // of the answers, by name
	Peers      []string       `json:"peers"`      // connected now, by Diameter identity
	Sessions   int            `json:"sessions"`   // that are not over
}

// patience is how old a request may be when its turn comes. Older ones are told
// that the server is too busy, for whoever asked has other servers, and gives up.
const patience = 500 * time.Millisecond

// New makes a Machine. Now goes into identifiers.
func New(cfg *control.Config, now time.Time) (*Machine, error) {
	own := cfg.AAA
	if own == nil {
		return nil, fmt.Errorf("node %s: no configuration for role aaa", cfg.Node)
	}
	// The sequence depends on the start too: a server that comes back must not
	// hand out what it did in its former life.
	rng := rand.New(rand.NewPCG(cfg.Seed, uint64(now.UnixNano())))
	identity := diameter.Identity{Host: own.Host, Realm: own.Realm, State: uint32(now.Unix())}
	authority, err := newAuthority(own, identity, rng)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Node, err)
	}
	m := &Machine{
		identity: identity,
		server: diampeer.NewServer(diampeer.ServerOptions{Local: diampeer.Local{
			Identity:     identity,
			Product:      "s2clab",
			Applications: []diameter.Application{diameter.MIP6A},
			Serves: []diampeer.Service{
				{Application: diameter.MIP6A, Command: diameter.MIP6},
				{Application: diameter.MIP6A, Command: diameter.SessionTermination},
			},
			Watchdog: own.Watchdog,
			Rand:     rng,
		}}),
		authority: authority,
		sessions:  newSessions(),
		told:      keys.Told{Show: cfg.ShowKeys},
		counts:    Counts{Results: map[string]int{}, Peers: []string{}},
	}
	authority.made = m.keyMade
	return m, nil
}

// keyMade tells of a key that is used from now on, once.
func (m *Machine) keyMade(nai string, k keys.Derived) {
	if m.told.News(nai, k) {
		m.events.tell(keyMade, k.Fields(nai, m.told.Show))
	}
}

// Deadline is when Tick has something to do; zero: never.
func (m *Machine) Deadline() time.Time {
	first := m.server.Deadline()
	for _, d := range []time.Time{m.events.deadline(), m.sessions.deadline()} {
		if !d.IsZero() && (first.IsZero() || d.Before(first)) {
			first = d
		}
	}
	return first
}

// Step takes what happened on connections.
func (m *Machine) Step(now time.Time, in diampeer.Input) ([]diampeer.Output, []Event) {
	m.begin()
	at := now
	if in, ok := in.(diampeer.Received); ok && !in.At.IsZero() {
		at = in.At
	}
	m.act(now, at, m.server.Step(now, in))
	return m.out, m.events.take(now)
}

// Tick does what is due.
func (m *Machine) Tick(now time.Time) ([]diampeer.Output, []Event) {
	m.begin()
	m.act(now, now, m.server.Tick(now))
	m.abortAgain(now)
	return m.out, m.events.take(now)
}

// SetBusy makes the server say, or no longer say, that it is too busy for any request.
func (m *Machine) SetBusy(busy bool) { m.busy = busy }

// Counts says what has been done so far.
func (m *Machine) Counts() Counts {
	c := m.counts
	c.Peers = slices.Clone(c.Peers)
	c.Sessions = len(m.sessions.open)
	slices.Sort(c.Peers)
	return c
}

// Quiet says that there is no connection.
func (m *Machine) Quiet() bool { return m.server.Quiet() }

func (m *Machine) begin() { clear(m.out); m.out = m.out[:0] }

// act passes on what the server wants done, tells what happened, and serves
// requests, which were read at.
func (m *Machine) act(now, at time.Time, out []diampeer.Output) {
	var serve *diampeer.Deliver
	var done []diampeer.Done
	for _, o := range out {
		switch o := o.(type) {
		case diampeer.Deliver:
			serve = &o // one at most: a message is one request
		case diampeer.Up:
			m.counts.Peers = append(m.counts.Peers, o.Peer)
			m.events.tell(peerUp, map[string]any{"peer": o.Peer})
		case diampeer.Down:
			if i := slices.Index(m.counts.Peers, o.Peer); i >= 0 {
				m.counts.Peers = slices.Delete(m.counts.Peers, i, i+1)
			}
			m.events.tell(peerDown, map[string]any{"peer": o.Peer, "reason": o.Reason})
		case diampeer.Suspected:
			m.events.tell(peerSuspected, map[string]any{"peer": o.Peer})
		case diampeer.Restored:
			m.events.tell(peerRestored, map[string]any{"peer": o.Peer})
		case diampeer.Rejected:
			m.events.tell(connectionRejected, map[string]any{"peer": o.Peer, "reason": o.Reason})
		case diampeer.Refused:
			m.answered(o.Message, o.Failure.Result)
		case diampeer.Done:
			done = append(done, o)
		case diampeer.Ignored:
			if o.Reason == "duplicate-request" {
				m.counts.Duplicates++
			}
			m.events.tell(messageIgnored, map[string]any{"peer": o.Peer, "reason": o.Reason})
		default:
			m.out = append(m.out, o)
		}
	}
	for _, o := range done {
		m.aborted(now, o)
	}
	if serve == nil {
		return
	}
	octets, result := m.serve(now, at, serve.Message)
	m.answered(serve.Message, result)
	for _, o := range m.server.Answer(now, serve.ID, octets, result != diameter.TooBusy) {
		m.out = append(m.out, o)
	}
}

// serve makes the answer to a request.
func (m *Machine) serve(now, at time.Time, request *diameter.Message) ([]byte, diameter.ResultCode) {
	failure := &diameter.Failure{}
	switch {
	case m.busy || now.Sub(at) > patience:
		// RFC 6733, section 7.1.3, has this for a request with a
		// Destination-Host; RFC 3539, section 3.10, for any. Without it, whoever
		// asks could not tell a busy server from one that is gone.
		failure = &diameter.Failure{Result: diameter.TooBusy, What: "too busy"}
	case request.Command == diameter.SessionTermination:
		var answer *diameter.SessionTerminationAnswer
		if answer, failure = m.terminate(now, request); failure != nil {
			break
		}
		octets, err := answer.AppendTo(nil, request.Header)
		if err == nil {
			return octets, answer.Result
		}
		failure = &diameter.Failure{Result: diameter.UnableToComply, What: err.Error()}
	default:
		r, err := diameter.ParseMIP6Request(request)
		if err != nil {
			failure = err.(*diameter.Failure)
			break
		}
		var answer *diameter.MIP6Answer
		if answer, failure = m.authority.decide(r); failure != nil {
			break
		}
		if answer.Result == diameter.Success && answer.MSA != nil && !r.NoState && m.start(now, r) {
			answer.State = diameter.StateMaintained
		}
		octets, err := answer.AppendTo(nil, request.Header)
		if err == nil {
			return octets, answer.Result
		}
		failure = &diameter.Failure{Result: diameter.UnableToComply, What: err.Error()}
	}
	octets, err := diameter.AppendFailure(nil, request, m.identity, failure)
	if err != nil {
		panic("aaa: the answer to a request that was read: " + err.Error()) // it is not larger
	}
	return octets, failure.Result
}

func (m *Machine) answered(request *diameter.Message, result diameter.ResultCode) {
	m.counts.Requests++
	m.counts.Results[result.String()]++
	fields := map[string]any{"command": request.Name(), "result": uint32(result), "name": result.String()}
	if user := request.Find(diameter.UserName); user != nil {
		// No NAI is longer: RFC 4282, section 2.2.
		fields["nai"] = strings.ToValidUTF8(string(user.Data[:min(len(user.Data), 253)]), "?")
	}
	m.events.tell(requestAnswered, fields)
}

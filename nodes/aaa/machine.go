// Package aaa is the role of an AAA server. It speaks Diameter with home agents,
// access routers and ePDGs, and with the HSS and the BSF behind it, and RADIUS with home
// agents of the profiles 3GPP2 and WiMAX and with other accesses: it decides on
// MIP6-Requests (RFC 5778) or, of Mobile IPv4, on AA-Mobile-Node-Requests (RFC 4004) and
// hands out MN-HA keys, authenticates mobile nodes by
// EAP-AKA and EAP-AKA' (RFC 4187, RFC 9048) on accesses (TS 29.273: STa, SWm, S6b),
// and keeps what that leaves for methods of bootstrapping that are made of it.
//
// The machine is pure: what it decides by, behind the connections of
// nodes/session/diampeer and the exchanges of nodes/session/radpeer. Authentications are in nodes/session/eapaka, methods in
// nodes/session/bootstrap, keys and authenticators in nodes/keys. Whether a
// timestamp is fresh is for the home agent to say (RFC 5778, section 5.2.1). The
// server keeps the state of sessions, so that it can abort them (RFC 5778, section
// 4.3), unless a home agent would rather that it did not.
package aaa

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/telling"
	"s2clab/nodes/wire/diameter"
)

// A Machine is an AAA server without its sockets. What Step and Tick return is
// good until the next call.
type Machine struct {
	identity  diameter.Identity
	server    *diampeer.Server
	client    *diampeer.Client // of HSS and BSF; nil: there are none
	radius    *radiusSide      // nil: there are no clients
	asks      asks
	authority *authority
	eap       conversations
	records   records
	sessions  sessions
	busy      bool // SetBusy
	events    telling.Events
	told      keys.Told
	counts    Counts
	out       []diampeer.Output
}

// Counts say what a server has done.
type Counts struct {
	Requests   int            `json:"requests"`   // that were answered here
	Duplicates int            `json:"duplicates"` // answered again
	Results    map[string]int `json:"results"`    // of the answers, by name
	Peers      []string       `json:"peers"`      // connected now, by Diameter identity
	Sessions   int            `json:"sessions"`   // that are not over

	Conversations int `json:"conversations"` // authentications that have begun and not ended
}

// patience is how old a request may be when its turn comes. Older ones are told
// that the server is too busy, for whoever asked has other servers, and gives up.
const patience = 500 * time.Millisecond

// services are what is answered here.
func services() []diampeer.Service {
	all := []diampeer.Service{
		{Application: diameter.MIP6A, Command: diameter.MIP6},
		{Application: diameter.MIP6A, Command: diameter.SessionTermination},
		{Application: diameter.Zn, Command: diameter.BootstrappingInfo},
		{Application: diameter.S6b, Command: diameter.AA},
		{Application: diameter.MIP4, Command: diameter.AAMobileNode},
		{Application: diameter.MIP4, Command: diameter.SessionTermination},
	}
	for _, a := range eapApplications {
		all = append(all, diampeer.Service{Application: a, Command: diameter.DiameterEAP}, diampeer.Service{Application: a, Command: diameter.SessionTermination})
	}
	return all
}

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
	authority, err := newAuthority(own, rng)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Node, err)
	}
	local := diampeer.Local{Identity: identity, Product: "s2clab", Watchdog: own.Watchdog, Rand: rng,
		Applications: append([]diameter.Application{diameter.MIP6A}, eapApplications...), Serves: services()}
	if authority.registers {
		local.Applications = append(local.Applications, diameter.MIP4)
	}
	if authority.keeps() {
		local.Applications = append(local.Applications, diameter.Zn)
	}
	m := &Machine{
		identity:  identity,
		server:    diampeer.NewServer(diampeer.ServerOptions{Now: now, Local: local}),
		authority: authority,
		records:   newRecords(),
		sessions:  newSessions(),
		told:      keys.Told{Show: cfg.ShowKeys},
		counts:    Counts{Results: map[string]int{}, Peers: []string{}},
	}
	m.eap = newConversations(rng, &m.records)
	if err := errors.Join(m.dial(own, local, now), m.answerRADIUS(own, rng)); err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Node, err)
	}
	return m, nil
}

// keyMade tells of a key that is used from now on, once.
func (m *Machine) keyMade(nai string, k keys.Derived) {
	if m.told.News(nai, k) {
		m.events.Tell("key-made", k.Fields(nai, m.told.Show))
	}
}

// Deadline is when Tick has something to do; zero: never.
func (m *Machine) Deadline() time.Time {
	first := m.server.Deadline()
	due := []time.Time{m.events.Deadline(), m.sessions.deadline(), m.eap.look}
	if m.client != nil {
		due = append(due, m.client.Deadline())
	}
	if m.radius != nil {
		due = append(due, m.radius.server.Deadline())
	}
	for _, d := range due {
		if !d.IsZero() && (first.IsZero() || d.Before(first)) {
			first = d
		}
	}
	return first
}

// Start begins to connect with those that this server asks.
func (m *Machine) Start(now time.Time) ([]diampeer.Output, []telling.Event) {
	m.begin()
	if m.client != nil {
		m.act(now, now, m.client.Start(now), m.client)
	}
	return m.out, m.events.Take(now)
}

// Step takes what happened on connections.
func (m *Machine) Step(now time.Time, in diampeer.Input) ([]diampeer.Output, []telling.Event) {
	m.begin()
	at := now
	if in, ok := in.(diampeer.Received); ok && !in.At.IsZero() {
		at = in.At
	}
	m.act(now, at, m.server.Step(now, in), m.server)
	if m.client != nil {
		m.act(now, at, m.client.Step(now, in), m.client)
	}
	return m.out, m.events.Take(now)
}

// Tick does what is due.
func (m *Machine) Tick(now time.Time) ([]diampeer.Output, []telling.Event) {
	m.begin()
	m.act(now, now, m.server.Tick(now), m.server)
	if m.client != nil {
		m.act(now, now, m.client.Tick(now), m.client)
	}
	if m.radius != nil {
		m.heardRADIUS(now, m.radius.server.Tick(now))
	}
	m.abortAgain(now)
	if !m.eap.look.IsZero() && !now.Before(m.eap.look) {
		m.eap.forgetSilent(now)
	}
	return m.out, m.events.Take(now)
}

// SetBusy makes the server say, or no longer say, that it is too busy for any request.
func (m *Machine) SetBusy(busy bool) { m.busy = busy }

// Counts says what has been done so far.
func (m *Machine) Counts() Counts {
	c := m.counts
	c.Peers = slices.Clone(c.Peers)
	c.Sessions, c.Conversations = len(m.sessions.open), len(m.eap.open)
	slices.Sort(c.Peers)
	return c
}

// Quiet says that there is no connection.
func (m *Machine) Quiet() bool { return m.server.Quiet() && (m.client == nil || m.client.Quiet()) }

func (m *Machine) begin() {
	clear(m.out)
	m.out = m.out[:0]
	if m.radius != nil {
		m.radius.out = nil
	}
}

// An answerer is the side of this node that a request came by.
type answerer interface {
	Answer(now time.Time, id uint64, octets []byte, final bool) []diampeer.Output
}

// A query is a request that is to be answered.
type query struct {
	*diameter.Message
	id uint64
	by answerer
}

// act passes on what one side of this node wants done, tells what happened, and
// serves requests, which were read at.
func (m *Machine) act(now, at time.Time, out []diampeer.Output, side answerer) {
	var serve *query
	var done []diampeer.Done
	for _, o := range out {
		switch o := o.(type) {
		case diampeer.Deliver:
			serve = &query{o.Message, o.ID, side} // one at most: a message is one request
		case diampeer.Up:
			m.counts.Peers = append(m.counts.Peers, o.Peer)
			m.events.Tell("peer-up", map[string]any{"peer": o.Peer})
		case diampeer.Down:
			if i := slices.Index(m.counts.Peers, o.Peer); i >= 0 {
				m.counts.Peers = slices.Delete(m.counts.Peers, i, i+1)
			}
			m.events.Tell("peer-down", map[string]any{"peer": o.Peer, "reason": o.Reason})
		case diampeer.Suspected:
			m.events.Tell("peer-suspected", map[string]any{"peer": o.Peer})
		case diampeer.Restored:
			m.events.Tell("peer-restored", map[string]any{"peer": o.Peer})
		case diampeer.Rejected:
			m.events.Tell("connection-rejected", map[string]any{"peer": o.Peer, "reason": o.Reason})
		case diampeer.Refused:
			m.answered(o.Message, o.Failure.Result)
		case diampeer.Done:
			done = append(done, o)
		case diampeer.Ignored:
			if o.Reason == "duplicate-request" {
				m.counts.Duplicates++
			}
			m.events.Tell("message-ignored", map[string]any{"peer": o.Peer, "reason": o.Reason})
		default:
			m.out = append(m.out, o)
		}
	}
	for _, o := range done {
		if side == answerer(m.server) {
			m.aborted(now, o)
		} else {
			m.asks.answered(now, o)
		}
	}
	if serve != nil {
		m.serve(now, at, serve)
	}
}

// serve answers a request, or begins to.
func (m *Machine) serve(now, at time.Time, q *query) {
	if m.busy || now.Sub(at) > patience {
		// RFC 6733, section 7.1.3, has this for a request with a
		// Destination-Host; RFC 3539, section 3.10, for any. Without it, whoever
		// asks could not tell a busy server from one that is gone.
		m.fail(now, q, &diameter.Failure{Result: diameter.TooBusy, What: "too busy"})
		return
	}
	if failure := m.misrouted(q.Message); failure != nil {
		m.fail(now, q, failure)
		return
	}
	switch q.Command {
	case diameter.SessionTermination:
		m.terminate(now, q)
	case diameter.DiameterEAP:
		m.converse(now, q)
	case diameter.AA:
		m.authorizeOnly(now, q)
	case diameter.BootstrappingInfo:
		m.bootstrapped(now, q)
	case diameter.RegistrationTermination:
		m.deregistered(now, q)
	case diameter.PushProfile:
		m.pushed(now, q)
	case diameter.AAMobileNode:
		m.mip4(now, q)
	default:
		m.mip6(now, q)
	}
}

// misrouted says why a request is not for this server: RFC 6733, section 6.1.4.
func (m *Machine) misrouted(request *diameter.Message) *diameter.Failure {
	if host := request.Find(diameter.DestinationHost); host != nil && len(host.Data) > 0 && !strings.EqualFold(string(host.Data), m.identity.Host) {
		return &diameter.Failure{Result: diameter.UnableToDeliver, What: "there is no way from here to " + string(host.Data)}
	}
	if realm := request.Find(diameter.DestinationRealm); realm != nil && !m.authority.serves(string(realm.Data), m.identity.Realm) {
		return &diameter.Failure{Result: diameter.RealmNotServed, What: "realm " + string(realm.Data) + " is not served here"}
	}
	return nil
}

// An answer is one of the answers of nodes/wire/diameter.
type answer interface {
	AppendTo(b []byte, request diameter.Header) ([]byte, error)
}

// reply answers a request; false: by saying that it cannot be done, for the answer
// does not fit.
func (m *Machine) reply(now time.Time, q *query, a answer, result diameter.ResultCode) bool {
	octets, err := a.AppendTo(nil, q.Header)
	if err != nil {
		m.fail(now, q, &diameter.Failure{Result: diameter.UnableToComply, What: err.Error()})
		return false
	}
	m.send(now, q, octets, result)
	return true
}

// fail answers a request that cannot be served.
func (m *Machine) fail(now time.Time, q *query, failure *diameter.Failure) {
	octets, err := diameter.AppendFailure(nil, q.Message, m.identity, failure)
	if err != nil { // its command has no place for a result of a vendor
		failure = &diameter.Failure{Result: diameter.UnableToComply, What: failure.What}
		if octets, err = diameter.AppendFailure(nil, q.Message, m.identity, failure); err != nil {
			panic("aaa: the answer to a request that was read: " + err.Error()) // it is not larger
		}
	}
	m.send(now, q, octets, failure.Result)
}

func (m *Machine) send(now time.Time, q *query, octets []byte, result diameter.ResultCode) {
	m.answered(q.Message, result)
	m.out = append(m.out, q.by.Answer(now, q.id, octets, result != diameter.TooBusy)...)
}

func (m *Machine) answered(request *diameter.Message, result diameter.ResultCode) {
	m.counts.Requests++
	m.counts.Results[result.String()]++
	fields := map[string]any{"command": request.Name(), "result": uint32(result), "name": result.String()}
	if user := request.Find(diameter.UserName); user != nil {
		fields["nai"] = shown(string(user.Data))
	}
	m.events.Tell("request-answered", fields)
}

// longestName is that of the longest NAI: RFC 4282, section 2.2.
const longestName = 253

// shown is a name out of a message as an event may have it: anybody may have put
// anything there.
func shown(name string) string {
	return strings.ToValidUTF8(name[:min(len(name), longestName)], "?")
}

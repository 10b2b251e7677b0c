// Package bsf is the role of a bootstrapping server (BSF): TS 33.220. Mobile nodes
// run Ub with it, for which it fetches vectors from the HSS (Zh); network application
// functions, which are home agents and AAA servers, ask it for the keys that come of
// that (Zn). TS 29.109 has both.
//
// The machine is pure: the rules of Ub in nodes/session/ub, behind connections of
// Diameter in nodes/session/diampeer. All that it holds is in memory, and gone with it:
// mobile nodes bootstrap again.
package bsf

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/telling"
	"s2clab/nodes/session/ub"
	"s2clab/nodes/wire/diameter"
)

// A Machine is a BSF without its sockets.
type Machine struct {
	identity diameter.Identity
	ub       *ub.Server
	naf      *diampeer.Server // Zn
	hss      *diampeer.Client // Zh
	realm    string           // of the HSS; empty: there is none to ask
	asked    map[uint64]asked // of the HSS, by ID of the mobile node's request
	told     keys.Told
	events   telling.Events
	counts   Counts
	do       Actions
}

// Actions are what a Machine wants done. They are good until the next call.
type Actions struct {
	Connections []diampeer.Output // Connect, Write and Close
	Responses   []ub.Respond
	Events      []telling.Event
}

// Counts say what a server has done.
type Counts struct {
	Bootstrapped int            `json:"bootstrapped"` // runs of Ub that ended well
	Refused      map[string]int `json:"refused"`      // others, by reason
	Requests     int            `json:"requests"`     // of network application functions, answered
	Duplicates   int            `json:"duplicates"`   // answered again
	Results      map[string]int `json:"results"`      // of the answers, by name
	Kept         int            `json:"kept"`         // bootstrappings that are not over
	Peers        []string       `json:"peers"`        // connected now, by Diameter identity
}

// New makes a Machine. Now goes into identifiers.
func New(cfg *control.Config, now time.Time) (*Machine, error) {
	own := cfg.BSF
	if own == nil {
		return nil, fmt.Errorf("node %s: no configuration for role bsf", cfg.Node)
	}
	if own.KeyLifetime < time.Second {
		return nil, fmt.Errorf("node %s: a key lifetime of %v, want 1s or more", cfg.Node, own.KeyLifetime)
	}
	rng := rand.New(rand.NewPCG(cfg.Seed, uint64(now.UnixNano())))
	local := diampeer.Local{
		Identity: diameter.Identity{Host: own.Host, Realm: own.Realm, State: uint32(now.Unix())},
		Product:  "s2clab", Watchdog: own.Watchdog, Rand: rng,
	}
	zn, zh := local, local
	zn.Applications = []diameter.Application{diameter.Zn}
	zn.Serves = []diampeer.Service{{Application: diameter.Zn, Command: diameter.BootstrappingInfo}}
	zh.Applications = []diameter.Application{diameter.Zh}
	var servers []diampeer.Remote
	for _, p := range own.HSS {
		servers = append(servers, diampeer.Remote{Host: p.Host, Realm: p.Realm, Address: p.Address})
	}
	hss, err := diampeer.NewClient(diampeer.ClientOptions{Local: zh, Servers: servers, Timeout: own.Timeout, Now: now})
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Node, err)
	}
	m := &Machine{
		identity: local.Identity,
		ub:       ub.NewServer(ub.ServerOptions{Host: own.Host, Lifetime: own.KeyLifetime}),
		naf:      diampeer.NewServer(diampeer.ServerOptions{Local: zn}),
		hss:      hss,
		asked:    map[uint64]asked{},
		told:     keys.Told{Show: cfg.ShowKeys},
		counts:   Counts{Refused: map[string]int{}, Results: map[string]int{}, Peers: []string{}},
	}
	if len(servers) > 0 {
		m.realm = servers[0].Realm
	}
	return m, nil
}

// Start begins to connect with every HSS.
func (m *Machine) Start(now time.Time) Actions {
	m.begin()
	m.connections(now, m.hss.Start(now))
	return m.end(now)
}

// Deadline is when Tick has something to do; zero: never.
func (m *Machine) Deadline() (first time.Time) {
	for _, d := range []time.Time{m.ub.Deadline(), m.naf.Deadline(), m.hss.Deadline(), m.events.Deadline()} {
		if !d.IsZero() && (first.IsZero() || d.Before(first)) {
			first = d
		}
	}
	return first
}

// Step takes what happened on connections of Diameter.
func (m *Machine) Step(now time.Time, in diampeer.Input) Actions {
	m.begin()
	m.connections(now, m.naf.Step(now, in))
	m.connections(now, m.hss.Step(now, in))
	return m.end(now)
}

// Requested takes a request of a mobile node.
func (m *Machine) Requested(now time.Time, in ub.Requested) Actions {
	m.begin()
	m.mobile(now, m.ub.Requested(now, in))
	return m.end(now)
}

// Tick does what is due.
func (m *Machine) Tick(now time.Time) Actions {
	m.begin()
	m.mobile(now, m.ub.Tick(now))
	m.connections(now, m.naf.Tick(now))
	m.connections(now, m.hss.Tick(now))
	return m.end(now)
}

// Quiet says that there is no connection of Diameter.
func (m *Machine) Quiet() bool { return m.naf.Quiet() && m.hss.Quiet() }

// Counts says what has been done so far.
func (m *Machine) Counts() Counts {
	c := m.counts
	c.Kept = m.ub.Kept()
	c.Peers = slices.Clone(c.Peers)
	slices.Sort(c.Peers)
	return c
}

func (m *Machine) begin() { m.do = Actions{} }

func (m *Machine) end(now time.Time) Actions {
	m.do.Events = m.events.Take(now)
	return m.do
}

// connections passes on what is wanted done on connections, tells what happened, and
// serves what came.
func (m *Machine) connections(now time.Time, out []diampeer.Output) {
	for _, o := range slices.Clone(out) { // what is done about one may give more of the same machine
		switch o := o.(type) {
		case diampeer.Deliver:
			octets, final := m.answer(now, o.Message)
			m.connections(now, m.naf.Answer(now, o.ID, octets, final))
		case diampeer.Done:
			m.fetched(now, o)
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
			m.answered(o.Message, o.Failure.Result, nil)
		case diampeer.Ignored:
			if o.Reason == "duplicate-request" {
				m.counts.Duplicates++
			}
			m.events.Tell("message-ignored", map[string]any{"peer": o.Peer, "reason": o.Reason})
		default:
			m.do.Connections = append(m.do.Connections, o)
		}
	}
}

// mobile passes on what is wanted done about mobile nodes.
func (m *Machine) mobile(now time.Time, out []ub.Output) {
	for _, o := range out {
		switch o := o.(type) {
		case ub.Respond:
			m.do.Responses = append(m.do.Responses, o)
		case ub.WantVector:
			m.fetch(now, o)
		case ub.Bootstrapped:
			m.counts.Bootstrapped++
			for _, d := range o.Made {
				m.keyMade(o.GBA.IMPI, d)
			}
			m.events.Tell("bootstrapping-done", map[string]any{"nai": o.GBA.IMPI, "b-tid": o.GBA.BTID, "lifetime": o.GBA.Ends.Sub(now).Seconds()})
		case ub.Refused:
			m.counts.Refused[o.Reason]++
			m.events.Tell("bootstrapping-refused", map[string]any{"nai": o.IMPI, "reason": o.Reason})
		case ub.Ended:
			m.events.Tell("bootstrapping-ended", map[string]any{"nai": o.IMPI, "b-tid": o.BTID})
		case ub.Ignored:
			m.events.Tell("message-ignored", map[string]any{"reason": o.Reason})
		}
	}
}

// keyMade tells of a key that is used from now on, once.
func (m *Machine) keyMade(nai string, k keys.Derived) {
	if m.told.News(nai, k) {
		m.events.Tell("key-made", k.Fields(nai, m.told.Show))
	}
}

package hss

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/hss/store"
	"s2clab/nodes/keys"
	"s2clab/nodes/serve"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/telling"
	"s2clab/nodes/wire/diameter"
)

// Run is role hss: it serves until ctx or the lab ends, then takes leave of its peers.
func Run(ctx context.Context, c *control.Conn, cfg *control.Config) error {
	kept, err := open(cfg.HSS)
	if err != nil {
		return err
	}
	defer kept.Close()
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], cfg.Seed)
	// A server that comes back must not make the challenges of its former life.
	binary.LittleEndian.PutUint64(seed[8:], uint64(time.Now().UnixNano()))
	s := newServer(cfg, New(kept, rand.NewChaCha8(seed)), c, time.Now().Add(cfg.Clock))
	transport := host.NewDiameterTransport(context.WithoutCancel(ctx))
	defer transport.Close()
	if err := errors.Join(serve.Listen(transport, cfg.HSS.Listen)...); err != nil {
		return err
	}
	c.Event("ready", nil)
	return s.run(ctx, transport, c.Commands())
}

// open opens the store, and puts into it whom it does not know yet.
func open(cfg *control.HSS) (*store.Store, error) {
	kept, err := store.Open(cfg.Store, store.Options{})
	if err != nil {
		return nil, err
	}
	var failed error
	err = kept.Batch(func() {
		for i := range cfg.Subscriptions {
			if failed = admit(kept, &cfg.Subscriptions[i]); failed != nil {
				return
			}
		}
	})
	if err = errors.Join(failed, err); err != nil {
		kept.Close()
		return nil, err
	}
	return kept, nil
}

func admit(kept *store.Store, s *control.Subscription) error {
	if _, err := kept.Subscriber(s.IMSI); err == nil {
		return nil // since a former life of this server
	}
	sub := store.Subscriber{IMSI: s.IMSI, K: s.K, OP: s.OP, OPc: s.OPc, Algorithm: store.Milenage, BarredNon3GPP: s.Barred, GBA: store.GBA{Allowed: true}}
	binary.BigEndian.PutUint16(sub.AMF[:], s.AMF)
	for _, a := range s.APNs {
		sub.APNs = append(sub.APNs, store.APN{Name: a.Name, Barred: a.Barred, PDN: store.PDNIPv4v6, Allocation: store.Dynamic})
		if sub.DefaultAPN == "" {
			sub.DefaultAPN = a.Name
		}
	}
	if err := kept.Put(sub); err != nil {
		return err
	}
	return kept.SetSQN(s.IMSI, keys.SQN(s.SQN))
}

// A server is an HSS with its connections.
type server struct {
	machine *Machine
	front   *Front
	peers   *diampeer.Server
	lab     serve.Teller
	events  telling.Events
	nais    map[string]string // by IMSI
	told    keys.Told
	counts  Counts
	asks    uint64
	asked   map[uint64]Output
	failed  error // why the store does not take what it must; then the server ends
}

// Counts say what an HSS has done.
type Counts struct {
	Requests int            `json:"requests"`
	Vectors  int            `json:"vectors"`
	Results  map[string]int `json:"results"` // of the answers, by name
	Peers    int            `json:"peers"`   // connected now
}

func newServer(cfg *control.Config, m *Machine, lab serve.Teller, now time.Time) *server {
	identity := diameter.Identity{Host: cfg.HSS.Host, Realm: cfg.HSS.Realm, State: uint32(now.Unix())}
	s := &server{machine: m, front: NewFront(m, identity), lab: lab, nais: map[string]string{}, told: keys.Told{Show: cfg.ShowKeys},
		counts: Counts{Results: map[string]int{}}, asked: map[uint64]Output{}}
	for _, sub := range cfg.HSS.Subscriptions {
		s.nais[sub.IMSI] = sub.NAI
	}
	s.peers = diampeer.NewServer(diampeer.ServerOptions{Now: now, Local: diampeer.Local{
		Identity:     identity,
		Product:      "s2clab",
		Applications: []diameter.Application{diameter.SWx, diameter.Zh},
		Serves: []diampeer.Service{
			{Application: diameter.SWx, Command: diameter.MultimediaAuth},
			{Application: diameter.SWx, Command: diameter.ServerAssignment},
			{Application: diameter.Zh, Command: diameter.MultimediaAuth},
		},
		Watchdog: cfg.HSS.Watchdog,
		Rand:     rand.New(rand.NewPCG(cfg.Seed, uint64(now.UnixNano()))),
	}})
	return s
}

// mostTogether is how many requests are written to the store together.
const mostTogether = 256

// run serves until ctx or commands end.
func (s *server) run(ctx context.Context, connections serve.Carrier, commands <-chan control.Command) error {
	act := func(out []diampeer.Output) {
		for _, o := range out {
			connections.Act(o)
		}
		for _, e := range s.events.Take(time.Now()) {
			s.lab.Event(e.Name, e.Fields)
		}
	}
	run := serve.Server[struct{}]{
		Connections: connections.Inputs(), Now: time.Now,
		Take: func(in diampeer.Input) {
			together := []diampeer.Input{in}
			for len(together) < mostTogether && len(connections.Inputs()) > 0 {
				together = append(together, <-connections.Inputs())
			}
			act(s.take(time.Now(), together))
		},
		Tick: func() { act(s.did(time.Now(), s.peers.Tick(time.Now()), nil)) },
		Command: func(c control.Command) {
			value, out, err := s.command(time.Now(), c)
			act(out)
			s.lab.Reply(c.ID, value, err)
		},
		Deadline: s.deadline, Quiet: s.peers.Quiet,
		Failed: func() error { return s.failed },
	}
	return run.Run(ctx, commands)
}

// deadline is when something is due; zero: never.
func (s *server) deadline() time.Time {
	due, told := s.peers.Deadline(), s.events.Deadline()
	if due.IsZero() || !told.IsZero() && told.Before(due) {
		return told
	}
	return due
}

// take takes what happened on connections, as much of it as came together: what it
// changes is in the store before anything of it is said. A store that does not take
// it ends the server, for it must not go on from what it cannot keep.
func (s *server) take(now time.Time, together []diampeer.Input) (out []diampeer.Output) {
	var answers []Answered
	if s.failed = s.machine.store.Batch(func() {
		for _, in := range together {
			out = append(out, s.did(now, s.peers.Step(now, in), &answers)...)
		}
	}); s.failed != nil {
		return nil
	}
	for i := range answers {
		s.tell(&answers[i])
	}
	return out
}

// did acts on what the peers' side says. Answers are noted, to be told of once they
// hold; nil: there can be none.
func (s *server) did(now time.Time, said []diampeer.Output, answers *[]Answered) (out []diampeer.Output) {
	for _, o := range append([]diampeer.Output(nil), said...) { // what answers makes the next
		switch o := o.(type) {
		case diampeer.Deliver:
			a := s.front.Answer(o.Message)
			if a.Octets != nil {
				out = append(out, s.peers.Answer(now, o.ID, a.Octets, a.Final)...)
			}
			*answers = append(*answers, a)
		case diampeer.Done:
			s.done(o)
		case diampeer.Up:
			s.counts.Peers++
			s.events.Tell("peer-up", map[string]any{"peer": o.Peer})
		case diampeer.Down:
			s.counts.Peers--
			s.events.Tell("peer-down", map[string]any{"peer": o.Peer, "reason": o.Reason})
		case diampeer.Suspected:
			s.events.Tell("peer-suspected", map[string]any{"peer": o.Peer})
		case diampeer.Restored:
			s.events.Tell("peer-restored", map[string]any{"peer": o.Peer})
		case diampeer.Rejected:
			s.events.Tell("connection-rejected", map[string]any{"peer": o.Peer, "reason": o.Reason})
		case diampeer.Ignored:
			s.events.Tell("message-ignored", map[string]any{"peer": o.Peer, "reason": o.Reason})
		case diampeer.Refused:
			s.tell(&Answered{Command: o.Message.Name(), Result: o.Failure.Result, Peer: o.Peer, Text: o.Failure.What})
		default:
			out = append(out, o)
		}
	}
	return out
}

// tell tells of an answer.
func (s *server) tell(a *Answered) {
	s.counts.Requests++
	s.counts.Vectors += a.Count
	s.counts.Results[a.Result.String()]++
	fields := map[string]any{"command": a.Command, "result": uint32(a.Result), "name": a.Result.String(), "peer": shown(a.Peer)}
	if a.User != "" {
		fields["nai"] = s.naiOf(a.User)
	}
	if a.Text != "" {
		fields["reason"] = shown(a.Text)
	}
	if a.Count > 0 {
		fields["vectors"] = a.Count
	}
	s.events.Tell("request-answered", fields)
	for _, k := range a.Made {
		if nai := s.naiOf(a.User); s.told.News(nai, k) {
			s.events.Tell("key-made", k.Fields(nai, s.told.Show))
		}
	}
}

// naiOf is the NAI of an IMSI, or what is no IMSI as it is.
func (s *server) naiOf(user string) string {
	if nai := s.nais[s.machine.imsi(user)]; nai != "" {
		return nai
	}
	return shown(user)
}

// longestName is that of the longest NAI: RFC 4282, section 2.2.
const longestName = 253

// shown is what a peer has sent as an event may have it.
func shown(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), longestName)], "?")
}

// done takes what became of a request of this server's own.
func (s *server) done(o diampeer.Done) {
	said := s.asked[o.ID]
	delete(s.asked, o.ID)
	fields := map[string]any{"result": uint32(o.Result), "peer": o.Host}
	if o.Reason != "" {
		fields["reason"] = o.Reason
	}
	switch x := said.(type) {
	case Deregister:
		fields["nai"] = s.naiOf(x.IMSI)
		s.events.Tell("deregistration-told", fields)
	case Push:
		fields["nai"] = s.naiOf(x.Profile.IMSI)
		s.events.Tell("profile-told", fields)
		if err := s.machine.Pushed(x.Server, x.Profile.IMSI, o.Result); err != nil && s.failed == nil {
			s.failed = err // within a batch, that says so too
		}
	}
}

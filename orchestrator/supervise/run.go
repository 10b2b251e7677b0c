package supervise

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"s2clab/nodes/control"
	"s2clab/orchestrator/capture"
	"s2clab/orchestrator/door"
	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/lab"
	"s2clab/orchestrator/play"
	"s2clab/scenarios"
	"s2clab/topologies"
)

// RunArgs ask for a lab that plays a scenario and ends.
type RunArgs struct {
	UpArgs
	PlayArgs
}

// PlayArgs ask for a scenario to be played. All that it leaves is in Dir, which
// holds scenario.yaml and what that names.
type PlayArgs struct {
	Dir     string // absolute
	Version string // of the program that asks
}

// Said is what is told of a run as it goes on: an event, or its end.
type Said struct {
	Event  *journal.Event
	Played *Played
}

// Played is how a run ended.
type Played struct {
	Held bool
}

// The start of a run is set so far ahead that nodes have met their peers by then.
const (
	leadTime = time.Second
	leadNode = 20 * time.Millisecond
)

func (s *server) run(ctx context.Context, r *door.Request) error {
	var args RunArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	lead := leadTime + time.Duration(len(args.Topology.Nodes))*leadNode
	session, err := s.open(&args.PlayArgs, args.Seed, lead, r)
	if err != nil {
		return err
	}
	began := time.Now()
	l, err := lab.Up(ctx, args.Topology, lab.Options{Seed: args.Seed, Sink: s.taps.event, Observer: &s.taps, Begin: session.start, ShowKeys: args.ShowKeys})
	if err != nil {
		return errors.Join(err, session.close("failed"))
	}
	s.mu.Lock()
	s.args, s.lab, s.started = args.UpArgs, l, time.Now()
	s.mu.Unlock()
	session.ready = time.Since(began)
	return session.play(ctx, l)
}

// play plays a scenario on the lab that is up.
func (s *server) play(ctx context.Context, r *door.Request) error {
	var args PlayArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	l, err := s.ready()
	if err != nil {
		return err
	}
	session, err := s.open(&args, s.args.Seed, leadNode, r)
	if err != nil {
		return err
	}
	return session.play(ctx, l)
}

// A session is one play of a scenario, with all that records it.
type session struct {
	server   *server
	request  *door.Request
	scenario *scenarios.Scenario
	start    int64 // CLOCK_MONOTONIC, nanoseconds
	seed     uint64
	version  string
	ready    time.Duration // that bringing the lab up took; 0: it was up

	journal *journal.Writer
	capture *capture.Recorder // nil: ended
	player  *play.Player
	stop    func()        // listening
	ended   chan struct{} // closed when no more events come
	told    chan struct{} // closed when the side that asked has been told all
}

// open begins to record. Time 0 is lead from now.
func (s *server) open(args *PlayArgs, seed uint64, lead time.Duration, r *door.Request) (*session, error) {
	scenario, err := scenarios.Load(filepath.Join(args.Dir, "scenario.yaml"))
	if err != nil {
		return nil, err
	}
	if s.taps.recorder.Load() != nil {
		return nil, errors.New("a scenario is played on this lab, or its links are captured, just now")
	}
	n := &session{server: s, request: r, scenario: scenario, seed: seed, version: args.Version, start: control.Now() + int64(lead), ended: make(chan struct{}), told: make(chan struct{})}
	if n.journal, err = journal.Create(filepath.Join(args.Dir, "journal.jsonl"), n.start); err != nil {
		return nil, err
	}
	n.player = play.New(scenario, n.own)
	n.capture, err = capture.New(capture.Options{
		File:    filepath.Join(args.Dir, "capture.pcapng"),
		Start:   n.start,
		Sink:    n.take,
		Comment: fmt.Sprintf("s2clab %s, scenario %s, seed %d", args.Version, scenario.Name, seed),
		Names:   names(scenario.Topology),
	})
	if err != nil {
		return nil, errors.Join(err, n.journal.Close())
	}
	s.taps.record(n.capture)
	n.stop = s.taps.listen(n.take)
	go n.tell()
	return n, nil
}

// names are those of addresses, for the capture.
func names(t *topologies.Topology) map[netip.Addr]string {
	all := map[netip.Addr]string{}
	for _, n := range t.Nodes {
		if n.MobileNode != nil {
			all[n.MobileNode.HomeAddress] = n.Name
			if a := n.MobileNode.HomeAddress4; a.IsValid() {
				all[a] = n.Name
			}
		}
		for _, i := range n.Interfaces {
			for _, p := range i.Addresses {
				all[p.Addr()] = n.Name
			}
		}
	}
	return all
}

// take takes an event into the journal and to the player.
func (n *session) take(e control.Event) {
	if e.Name == "address-configured" {
		n.name(e)
	}
	n.player.Saw(n.journal.Write(e))
}

// name gives an address that a mobile node has got its name in the capture.
func (n *session) name(e control.Event) {
	text, _ := e.Fields["address"].(string)
	a, err := netip.ParseAddr(text)
	if r := n.server.taps.recorder.Load(); r != nil && err == nil {
		r.Name(a, e.Node)
	}
}

// tell tells the side that asked of each event. A slow one delays nobody.
func (n *session) tell() {
	defer close(n.told)
	for e := range n.player.Events(n.ended) {
		if n.request.Send(Said{Event: &e}) != nil {
			return
		}
	}
}

// own takes an event that is of the play and not of the lab.
func (n *session) own(e control.Event) {
	n.server.history.take(e)
	n.take(e)
}

func (n *session) say(name string, fields map[string]any) {
	n.own(control.Event{At: control.Now(), Name: name, Fields: fields})
}

// play plays, judges, and ends the recording.
func (n *session) play(ctx context.Context, l *lab.Lab) error {
	err := n.player.Prepare(ctx, l)
	if err == nil {
		err = n.wait(ctx)
	}
	if err == nil {
		n.say("run-started", n.facts(l))
		err = n.player.Play(ctx)
	}
	if err != nil {
		why := err.Error()
		if ctx.Err() != nil { // the side that asked has gone
			why = "it was interrupted"
		}
		n.say("run-failed", map[string]any{"error": why})
		return errors.Join(err, n.close("failed"))
	}
	n.measure(l)
	n.endCapture() // where it failed, it has said so at once
	_, held := n.player.Judge()
	verdict := "held"
	if !held {
		verdict = "not-held"
	}
	if err := n.close(verdict); err != nil {
		return err
	}
	return n.request.Send(Said{Played: &Played{Held: held}})
}

// wait waits for time 0. Where bringing the lab up took longer than was thought,
// time 0 has passed, and the journal says so.
func (n *session) wait(ctx context.Context) error {
	left := time.Duration(n.start - control.Now())
	if left < 0 {
		n.say("run-late", map[string]any{"by": (-left).Seconds()})
		return nil
	}
	select {
	case <-time.After(left):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// facts are what a run says of itself when it starts.
func (n *session) facts(l *lab.Lab) map[string]any {
	t := n.scenario.Topology
	facts := map[string]any{
		"clock": n.start, "scenario": n.scenario.Name, "topology": t.Name, "seed": n.seed, "program": n.version,
		"wall": time.Now().Format(time.RFC3339Nano), "links": l.Describe(), "kernel": kernel().Detail, "user": who(),
		"integrity": t.Security.Integrity, "replay": t.Security.Replay, "bootstrap": t.Security.Bootstrap,
	}
	if n.ready > 0 {
		facts["bring-up"] = n.ready.Seconds()
	}
	return facts
}

// measure tells how well the links kept their times, and what they did.
func (n *session) measure(l *lab.Lab) {
	for _, t := range l.Topology.Links {
		made, err := l.Link(t.Name)
		if err != nil {
			continue
		}
		for _, end := range t.Ends {
			c, late := made.Counters(end), made.Late(end)
			dropped := map[string]any{}
			for reason, count := range c.Dropped {
				dropped[reason] = count
			}
			fields := map[string]any{
				"link": t.Name, "from": end, "frames": late.Frames, "sent": c.Sent, "arrived": c.Arrived, "dropped": dropped,
				"late-p50": late.P50.Seconds(), "late-p95": late.P95.Seconds(), "late-p99": late.P99.Seconds(), "late-max": late.Max.Seconds(),
			}
			if c.Gone != "" {
				fields["gone"] = c.Gone
			}
			if d, err := l.DeviceDrops(end, t.Name); err == nil {
				fields["device-dropped"] = map[string]any{"sent": d.Sent, "no-carrier": d.NoCarrier, "arrived": d.Arrived}
			}
			n.say("link-measured", fields)
		}
	}
}

// endCapture ends the capture; all it saw has become events then.
func (n *session) endCapture() error {
	if n.capture == nil {
		return nil
	}
	n.server.taps.recorder.Store(nil)
	err := n.capture.Close()
	n.capture = nil
	return err
}

// close ends the recording.
func (n *session) close(verdict string) error {
	err := n.endCapture()
	n.stop()
	n.say("run-ended", map[string]any{"verdict": verdict})
	err = errors.Join(err, n.journal.Close())
	close(n.ended)
	<-n.told
	return err
}

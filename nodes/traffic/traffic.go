// Package traffic is what applications do in a node: voice, bulk transfers and
// requests, from sockets that stay bound to the node's address through every
// move; and, to try others' patience, floods of garbage.
//
// It runs as a process of its own beside the node's role. It sends, receives and
// tells what arrived when; what that means is for who reads the journal.
package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
)

// Run is role traffic: it runs until ctx or the lab ends.
func Run(ctx context.Context, c *control.Conn, cfg *control.Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &agent{ctx: ctx, tell: c, flows: map[string]*flow{}}
	defer a.stopAll()
	c.Event("ready", nil)
	for {
		select {
		case cmd, open := <-c.Commands():
			if !open {
				return nil
			}
			if cmd.Name == "flood" { // takes its time
				go func() { c.Reply(a.flood(cmd)) }()
				continue
			}
			c.Reply(cmd.ID, nil, a.do(cmd))
		case <-ctx.Done():
			return nil
		}
	}
}

// A teller takes events.
type teller interface {
	Event(name string, fields map[string]any)
}

// An agent is all the traffic of one node.
type agent struct {
	ctx   context.Context
	tell  teller
	flows map[string]*flow
}

func (a *agent) do(cmd control.Command) error {
	switch cmd.Name {
	case "open":
		var o control.OpenFlow
		if err := json.Unmarshal(cmd.Args, &o); err != nil {
			return err
		}
		return a.open(&o)
	case "start":
		var s control.StartFlow
		if err := json.Unmarshal(cmd.Args, &s); err != nil {
			return err
		}
		return a.start(&s)
	case "pause", "stop":
		var s control.StopFlow
		if err := json.Unmarshal(cmd.Args, &s); err != nil {
			return err
		}
		if cmd.Name == "pause" {
			return a.pause(s.Flow)
		}
		return a.stop(s.Flow)
	}
	return fmt.Errorf("traffic: no command %q", cmd.Name)
}

func (a *agent) flood(cmd control.Command) (id uint64, value any, err error) {
	var f control.Flood
	if err := json.Unmarshal(cmd.Args, &f); err != nil {
		return cmd.ID, nil, err
	}
	done, err := flood(a.ctx, f)
	return cmd.ID, done, err
}

// A flow is one end of a flow.
type flow struct {
	name   string
	ctx    context.Context    // of all its work
	cancel context.CancelFunc // of all its work
	pause  context.CancelFunc // of its sending
	work   sync.WaitGroup
	close  func()        // what its work waits on
	over   chan struct{} // closed when the last of a connection has come
	rest   time.Time     // until when that is waited for
	joined atomic.Bool   // it has had a connection

	samples *samples
	mu      sync.Mutex
	counts  counts
}

// drainMost is how long the rest of what was sent over a connection may take to
// arrive when its sending has ended.
const drainMost = 2 * time.Second

// broken tells that a flow's connection has ended before it was stopped.
func (f *flow) broken(err error) {
	f.count(func(c *counts) { c.sendErrors++ })
	f.samples.tell.Event("flow-broken", map[string]any{"flow": f.name, "error": err.Error()})
}

// counts are what an end did.
type counts struct {
	sent       uint64
	sendErrors uint64
	received   uint64
	corrupted  uint64 // arrived with a wrong checksum; not among received
}

func (f *flow) count(change func(*counts)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.counts)
}

// begin makes a flow's end. The context is of its sending: it ends when the flow is
// paused or stopped.
func (a *agent) begin(name, event string) (*flow, context.Context, error) {
	if a.flows[name] != nil {
		return nil, nil, fmt.Errorf("traffic: flow %q is here already", name)
	}
	ctx, cancel := context.WithCancel(a.ctx)
	sending, pause := context.WithCancel(ctx)
	f := &flow{name: name, ctx: ctx, cancel: cancel, pause: pause, close: func() {}, over: make(chan struct{}), samples: &samples{flow: name, event: event, tell: a.tell}}
	a.flows[name] = f
	f.work.Go(func() { f.samples.run(ctx) })
	return f, sending, nil
}

// mayUse says what is wrong with a flow at an address that this node does not
// have. Without it the flow would be told in the kernel's words, or wait unseen.
func mayUse(flow string, at netip.Addr) error {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	switch {
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("traffic: flow %q: this node does not have the address %v yet: a home address that is assigned is there with the first binding, so let the flow wait for the event home-address-assigned", flow, at)
	case err != nil:
		return fmt.Errorf("traffic: flow %q: %w", flow, err)
	}
	return conn.Close()
}

func (a *agent) open(o *control.OpenFlow) error {
	if err := mayUse(o.Flow, o.Listen.Addr()); err != nil {
		return err
	}
	switch o.Kind {
	case "voice":
		return a.openVoice(o)
	case "bulk":
		return a.openBulk(o)
	case "request":
		return a.openRequest(o)
	}
	return fmt.Errorf("traffic: kind %q: want voice, bulk or request", o.Kind)
}

func (a *agent) start(s *control.StartFlow) error {
	err := mayUse(s.Flow, s.Local)
	if err != nil {
		return err
	}
	switch s.Kind {
	case "voice":
		err = a.startVoice(s)
	case "bulk":
		err = a.startBulk(s)
	case "request":
		err = a.startRequest(s)
	default:
		return fmt.Errorf("traffic: kind %q: want voice, bulk or request", s.Kind)
	}
	if err == nil {
		a.tell.Event("flow-started", map[string]any{
			"flow": s.Flow, "kind": s.Kind, "proto": proto(s.Kind), "size": float64(s.Size), "rate": s.Rate, "both-ways": s.BothWays,
			"local": s.Local.String(), "remote": s.Remote.String(), "from": s.From, "to": s.To,
		})
	}
	return err
}

func proto(kind string) string {
	if kind == "voice" {
		return "udp"
	}
	return "tcp"
}

// pause lets a flow's end send no more; what still comes is taken.
func (a *agent) pause(name string) error {
	f := a.flows[name]
	if f == nil {
		return fmt.Errorf("traffic: no flow %q here", name)
	}
	f.pause()
	f.rest = time.Now().Add(drainMost)
	return nil
}

// stop ends a flow's end and tells what it did.
func (a *agent) stop(name string) error {
	f := a.flows[name]
	if f == nil {
		return fmt.Errorf("traffic: no flow %q here", name)
	}
	delete(a.flows, name)
	if f.joined.Load() {
		select {
		case <-f.over:
		case <-time.After(time.Until(f.rest)): // the way between its ends may be gone
		}
	}
	f.cancel()
	f.close()
	f.work.Wait()
	f.samples.flush() // with what came until the very end
	fields := map[string]any{"flow": name}
	for field, n := range map[string]uint64{"sent": f.counts.sent, "send-errors": f.counts.sendErrors, "received": f.counts.received, "corrupted": f.counts.corrupted} {
		if n > 0 || field == "sent" || field == "received" {
			fields[field] = float64(n)
		}
	}
	a.tell.Event("flow-stopped", fields)
	return nil
}

func (a *agent) stopAll() {
	for name := range a.flows {
		a.stop(name)
	}
}

// samples gather what a flow tells and tell it in batches.
type samples struct {
	flow, event string
	tell        teller

	mu      sync.Mutex
	waiting []any
}

// tellEvery is how long a sample may wait to be told.
const tellEvery = 100 * time.Millisecond

// add takes one sample: numbers, the last of which are times of control.Now.
func (s *samples) add(numbers ...int64) {
	one := make([]any, len(numbers))
	for i, n := range numbers {
		one[i] = float64(n)
	}
	s.mu.Lock()
	s.waiting = append(s.waiting, one)
	s.mu.Unlock()
}

// run tells what waits, again and again until ctx ends; what waits then is left to
// flush.
func (s *samples) run(ctx context.Context) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.flush()
		case <-ctx.Done():
			return
		}
	}
}

func (s *samples) flush() {
	s.mu.Lock()
	batch := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	if batch != nil {
		s.tell.Event(s.event, map[string]any{"flow": s.flow, "samples": batch})
	}
}

// errForeign says that a datagram is not of this flow.
var errForeign = errors.New("not of this flow")

// checksum is of payloads: CRC-32C.
func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli()) }

// castagnoli is made when it is first asked for: an idle process starts sooner.
var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

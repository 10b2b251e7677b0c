package link

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/topologies"
)

// A relay is the engine in user space: a few loops, each the owner of some links.
type relay struct {
	options Options
	loops   []*loop
	hits    *teller
	quit    chan struct{} // closed at the end
	once    sync.Once

	mu    sync.Mutex
	links map[string]*relayLink
	ends  int // numbers given to ends so far
	next  int // loop of the next link
}

// loops is how many loops suit the machine. One leaves the other of two
// processors to what is measured; more share the links of larger labs.
func loops() int { return min(max(1, runtime.NumCPU()/2), 4) }

// Processors is what GOMAXPROCS must at least be for the relay's threads to find
// a processor of the Go scheduler whenever they wake: one each beside those that
// the rest of the program keeps busy.
func Processors() int { return runtime.NumCPU() + loops() + 2 }

const defaultMemory = 256 << 20

func newRelay(o Options) (*relay, error) {
	if o.Loops == 0 {
		o.Loops = loops()
	}
	if o.Begin == 0 {
		c := theClock()
		o.Begin = c.now()
	}
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	r := &relay{options: o, links: map[string]*relayLink{}, hits: newTeller(), quit: make(chan struct{})}
	for i := range o.Loops {
		l := &loop{
			number:   i,
			clock:    theClock(),
			observer: o.Observer,
			normal:   o.Normal,
			pool:     pool{max: o.Memory/o.Loops + 2*largeSize},
			done:     make(chan struct{}),
			started:  make(chan struct{}),
			hits:     r.hits,
		}
		if err := l.open(); err != nil {
			r.Close()
			return nil, err
		}
		r.loops = append(r.loops, l)
		go l.run()
		<-l.started
	}
	go r.probe()
	return r, nil
}

// probe wakes each loop that has something to carry now and then, to learn how
// long waking takes.
func (r *relay) probe() {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	seen := make([]uint64, len(r.loops))
	for {
		select {
		case <-r.quit:
			return
		case <-tick.C:
		}
		for i, l := range r.loops {
			if n := l.waking.frames.Load(); n != seen[i] {
				seen[i] = n
				l.probe()
			}
		}
	}
}

// Join makes a link.
func (r *relay) Join(cfg Config) (Link, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case cfg.Engine != "" && cfg.Engine != "user":
		return nil, fmt.Errorf("link %q: engine %q is not one there is\n    hint: set \"engine: user\"", cfg.Name, cfg.Engine)
	case len(cfg.Ends) < 2:
		return nil, fmt.Errorf("link %q: %d ends, want 2 or more", cfg.Name, len(cfg.Ends))
	case r.links[cfg.Name] != nil:
		return nil, fmt.Errorf("link %q is there already", cfg.Name)
	}
	k := &relayLink{relay: r, name: cfg.Name, loop: r.loops[r.next%len(r.loops)], first: r.ends}
	var names []string
	for i, c := range cfg.Ends {
		if slices.Contains(names, c.Node) {
			return nil, fmt.Errorf("link %q: %s is two of its ends", cfg.Name, c.Node)
		}
		names = append(names, c.Node)
		impairment := cfg.From[c.Node]
		if err := check(&impairment); err != nil {
			return nil, fmt.Errorf("link %q: from %s: %w", cfg.Name, c.Node, err)
		}
		e := &end{
			link: k, node: c.Node, id: r.ends + i, port: c.Port, fd: c.Port.FD(), place: -1,
			lane: lane{impairment: impairment, mtu: fullFrame},
			dice: newDice(r.options.Seed, cfg.Name, c.Node),
		}
		e.lane.follow(r.options.Begin)
		k.ends = append(k.ends, e)
	}
	for node := range cfg.From {
		if !slices.Contains(names, node) {
			return nil, fmt.Errorf("link %q: from %s: not an end of it", cfg.Name, node)
		}
	}
	for _, e := range k.ends {
		e.offload(!wantsWire(&e.lane.impairment))
	}
	r.ends += len(k.ends)
	r.next++
	r.links[cfg.Name] = k
	if r.options.Observer != nil {
		r.options.Observer.Joined(cfg.Name, names, k.first)
	}
	var err error
	k.loop.do(func() { err = k.loop.add(k) })
	if err != nil {
		k.Close()
		return nil, fmt.Errorf("link %q: %w", cfg.Name, err)
	}
	return k, nil
}

// fullFrame is the longest frame of an ordinary Ethernet, in octets.
const fullFrame = 1514

// add takes a link's ports into the loop.
func (l *loop) add(k *relayLink) error {
	l.links++
	for _, e := range k.ends {
		e.slot = slices.Index(l.ends, nil)
		if e.slot < 0 {
			e.slot = len(l.ends)
			l.ends = append(l.ends, nil)
		}
		l.ends[e.slot] = e
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, e.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(e.slot)}); err != nil {
			return fmt.Errorf("port of %s: %w", e.node, err)
		}
	}
	return nil
}

// remove takes a link out of the loop, with all that is on its way.
func (l *loop) remove(k *relayLink) {
	l.links--
	for _, e := range k.ends {
		unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, e.fd, nil)
		if e.slot < len(l.ends) && l.ends[e.slot] == e {
			l.ends[e.slot] = nil
		}
		k.drain(e, LinkDown)
	}
}

// Loops tells how well the loops keep their times.
func (r *relay) Loops() []LoopReport {
	var all []LoopReport
	for _, l := range r.loops {
		l.do(func() {
			all = append(all, LoopReport{RealTime: l.realTime, Why: l.why, Links: l.links, Frames: l.frames, Late: l.late.lateness(), Spun: duration(l.spun)})
		})
	}
	return all
}

// Close ends all links, then the loops.
func (r *relay) Close() {
	r.mu.Lock()
	links := r.links
	r.links = map[string]*relayLink{}
	r.mu.Unlock()
	r.once.Do(func() { close(r.quit) })
	for _, k := range links {
		k.loop.do(func() { k.close() })
	}
	for _, l := range r.loops {
		l.close()
	}
	r.hits.close()
}

// An end is one end of a link. Its loop owns what is below the line.
type end struct {
	link *relayLink
	node string
	id   int // as the observer knows it
	slot int // in the loop's ends
	port Port
	fd   int

	mu sync.Mutex // of carrier and offload, which callers change

	// --
	attached bool
	gone     error // why nothing is read from it any more
	lane     lane
	dice     dice
	place    int   // in the loop's timers; negative: not there
	at       int64 // its time there
	counters Counters
	dropped  [reasons]uint64
	late     histogram
}

// offload lets the node hand over large segments, or not. Where the port cannot
// be told, it still works: the relay cuts what is large, and completes checksums.
func (e *end) offload(large bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.port.SetOffload(large)
}

// A relayLink is a link of a relay.
type relayLink struct {
	relay *relay
	name  string
	loop  *loop
	first int // number of the first end
	ends  []*end

	orders sync.Mutex // one change of carrier or impairment at a time

	// The loop's:
	down   bool
	closed bool
	table  table
	aims   []*aimed
}

var errClosed = errors.New("the link is closed")

func (k *relayLink) end(name string) (*end, error) {
	for _, e := range k.ends {
		if e.node == name {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%q is not an end of link %q", name, k.name)
}

// Attach gives an end carrier.
func (k *relayLink) Attach(name string) error { return k.attach(name, true) }

// Detach takes its carrier away.
func (k *relayLink) Detach(name string) error { return k.attach(name, false) }

func (k *relayLink) attach(name string, attached bool) error {
	e, err := k.end(name)
	if err != nil {
		return err
	}
	k.orders.Lock()
	defer k.orders.Unlock()
	var down bool
	if attached { // first the link is ready for frames, then the node sends some
		k.loop.do(func() { e.attached, down = true, k.down })
		if down {
			return nil
		}
		return e.carrier(true)
	}
	if !k.Down() {
		err = e.carrier(false)
	}
	k.loop.do(func() {
		e.attached = false
		e.lane.empty(func(f *frame) { k.lose(f, NoCarrier) })
		k.loop.schedule(e)
		k.table.forget(e)
	})
	return err
}

// carrier switches an end's carrier, and waits until its node has seen it.
func (e *end) carrier(up bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.port.SetCarrier(up); err != nil {
		return fmt.Errorf("carrier of %s: %w", e.node, err)
	}
	if s, ok := e.port.(syncer); ok {
		if err := s.SyncCarrier(); err != nil {
			return fmt.Errorf("carrier of %s: %w", e.node, err)
		}
	}
	return nil
}

// Attached says whether an end is attached, even while the link is down.
func (k *relayLink) Attached(name string) (attached bool) {
	if e, err := k.end(name); err == nil {
		k.loop.do(func() { attached = e.attached })
	}
	return attached
}

// Down says whether the link is down.
func (k *relayLink) Down() (down bool) {
	k.loop.do(func() { down = k.down })
	return down
}

// SetDown takes carrier from all ends, or gives it back.
func (k *relayLink) SetDown(down bool) error {
	k.orders.Lock()
	defer k.orders.Unlock()
	var changed bool
	var attached []*end
	k.loop.do(func() {
		changed = k.down != down
		for _, e := range k.ends {
			if e.attached {
				attached = append(attached, e)
			}
		}
		if changed && down {
			k.down = true
			for _, e := range k.ends {
				k.drain(e, LinkDown)
			}
		}
		if !down {
			k.down = false
		}
	})
	if !changed {
		return nil
	}
	errs := make([]error, len(attached))
	var done sync.WaitGroup
	for i, e := range attached {
		done.Go(func() { errs[i] = e.carrier(!down) })
	}
	done.Wait()
	return errors.Join(errs...)
}

// Set changes what happens to the frames that an end sends.
func (k *relayLink) Set(name string, i topologies.Impairment) error {
	e, err := k.end(name)
	if err != nil {
		return err
	}
	if err := check(&i); err != nil {
		return fmt.Errorf("from %s: %w", name, err)
	}
	k.orders.Lock()
	defer k.orders.Unlock()
	wire := wantsWire(&i)
	if wire {
		e.offload(false)
	}
	k.loop.do(func() {
		e.lane.set(k.loop.clock.now(), i)
		k.loop.schedule(e)
	})
	if !wire {
		e.offload(true)
	}
	return nil
}

// Impairment is what happens to the frames that an end sends.
func (k *relayLink) Impairment(name string) (i topologies.Impairment, err error) {
	e, err := k.end(name)
	if err == nil {
		k.loop.do(func() { i = e.lane.impairment })
	}
	return i, err
}

// Counters are those of one end.
func (k *relayLink) Counters(name string) (c Counters) {
	e, err := k.end(name)
	if err != nil {
		return c
	}
	k.loop.do(func() {
		e.lane.advance(k.loop.clock.now())
		k.loop.schedule(e)
		c = e.counters
		c.Queued, c.QueuedOctets, c.OnTheirWay = max(0, e.lane.queue.n-1), e.lane.octets, len(e.lane.way)
		if e.gone != nil {
			c.Gone = e.gone.Error()
		}
		for r, n := range e.dropped {
			if n > 0 {
				if c.Dropped == nil {
					c.Dropped = map[string]uint64{}
				}
				c.Dropped[Reason(r).String()] = n
			}
		}
	})
	return c
}

// Late says how late the frames were that an end sent.
func (k *relayLink) Late(name string) (l Lateness) {
	if e, err := k.end(name); err == nil {
		k.loop.do(func() { l = e.late.lateness() })
	}
	return l
}

// Close ends the link. Its ports stay open, without carrier or with it.
func (k *relayLink) Close() {
	k.relay.mu.Lock()
	if k.relay.links[k.name] == k {
		delete(k.relay.links, k.name)
	}
	k.relay.mu.Unlock()
	k.loop.do(k.close)
}

func (k *relayLink) close() {
	if !k.closed {
		k.closed = true
		k.loop.remove(k)
	}
}

// Package capture records what the links of a lab carry: all of it in one pcapng
// file that Wireshark opens, and the signalling in it, decoded, as events.
//
// A Recorder is the Observer of a link.Engine. Each loop of the engine fills a
// ring, which a goroutine of the Recorder empties: nothing is lost while the
// goroutine keeps up, the loop waits a little where it does not, and what is lost
// after that is counted. What the events mean is for who reads the journal.
package capture

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/orchestrator/link"
)

const vnetLen = 10 // octets of the virtio-net header in link.Sight.Data

// Options are those of a Recorder.
type Options struct {
	File    string              // the pcapng file; empty: none is written
	Start   int64               // when the run started: CLOCK_MONOTONIC, nanoseconds
	Sink    func(control.Event) // takes the events, from any goroutine
	Comment string              // on the whole file, such as scenario and seed
	Names   map[netip.Addr]string

	// Frames longer than Whole octets are cut to Cut octets, unless they may
	// carry signalling. Zero: 2048 and 256.
	Whole, Cut int
}

// Stats are what a Recorder has done so far.
type Stats struct {
	Packets uint64        `json:"packets"`          // written to the file
	Octets  uint64        `json:"octets"`           // of the file
	Lost    uint64        `json:"lost"`             // seen on a link and not written
	Waited  time.Duration `json:"waited,omitempty"` // by the relay, for the Recorder
	Error   string        `json:"error,omitempty"`  // why the file ends early
}

// A Recorder is a link.Observer that writes down what it sees.
type Recorder struct {
	options Options
	wall    int64 // nanoseconds since 1970 when CLOCK_MONOTONIC was 0

	rings [maxLoops]atomic.Pointer[ring] // by loop; nil: it has seen nothing
	bell  chan struct{}                  // rung when a ring fills up
	quit  chan struct{}
	done  chan struct{}

	mu     sync.Mutex // of what others hand to the goroutine
	joined []joined
	named  []named
	asked  []func()
	ended  bool

	stats   atomic.Pointer[Stats]
	waited  atomic.Int64
	dropped atomic.Uint64 // sights that found no place in a ring

	writing // the goroutine's
}

// maxLoops is how many loops an engine may have.
const maxLoops = 64

// A joined is a link that was made.
type joined struct {
	link  string
	ends  []string
	first int
}

// A named is an address that has a name.
type named struct {
	a    netip.Addr
	name string
}

// New starts a Recorder. It fails where the file cannot be made.
func New(o Options) (*Recorder, error) {
	if o.Whole == 0 {
		o.Whole = 2048
	}
	if o.Cut == 0 {
		o.Cut = 256
	}
	if o.Sink == nil {
		o.Sink = func(control.Event) {}
	}
	r := &Recorder{
		options: o,
		wall:    wallOffset(),
		bell:    make(chan struct{}, 1),
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	r.writing = writing{
		r:       r,
		links:   map[string]*recordedLink{},
		streams: map[int32]*streams{},
		pending: map[uint64][]*crossing{},
		limits:  limits{buckets: map[limited]*bucket{}},
		seen:    seen{first: map[string][]Frame{}},
	}
	r.stats.Store(&Stats{})
	if o.File != "" {
		var err error
		if r.file, err = createFile(o.File, appendSection(nil, o.Comment), r.failed); err != nil {
			return nil, err
		}
		for a, name := range o.Names {
			r.name(named{a, name})
		}
	}
	go r.run()
	return r, nil
}

// failed tells that the file has come to its end early.
func (r *Recorder) failed(err error) {
	r.options.Sink(control.Event{At: control.Now(), Name: "capture-failed", Fields: map[string]any{"error": err.Error()}})
}

// wallOffset is what to add to CLOCK_MONOTONIC to have the time of day.
func wallOffset() int64 {
	before := control.Now()
	wall := time.Now().UnixNano()
	return wall - before - (control.Now()-before)/2
}

// Joined tells of a link: see link.Observer.
func (r *Recorder) Joined(name string, ends []string, first int) {
	r.mu.Lock()
	r.joined = append(r.joined, joined{name, ends, first})
	r.mu.Unlock()
}

// See takes a sight: see link.Observer.
func (r *Recorder) See(s *link.Sight) {
	to := r.rings[s.Loop%maxLoops].Load()
	if to == nil {
		to = newRing()
		r.rings[s.Loop%maxLoops].Store(to)
	}
	kept := len(s.Data)
	if kept-vnetLen > r.options.Whole && !Signalling(s.Data[vnetLen:]) {
		kept = vnetLen + r.options.Cut
	}
	if to.put(s, kept) {
		if to.used() > ringSize/4 {
			r.ring()
		}
		return
	}
	r.wait(to, s, kept)
}

// ring wakes the goroutine.
func (r *Recorder) ring() {
	select {
	case r.bell <- struct{}{}:
	default:
	}
}

// A loop waits for room in its ring: patience in all, looking again every pause.
const (
	patience = 200 * time.Millisecond
	pause    = 100 * time.Microsecond
)

func (r *Recorder) wait(to *ring, s *link.Sight, kept int) {
	began := time.Now()
	defer func() { r.waited.Add(int64(time.Since(began))) }()
	for time.Since(began) < patience {
		r.ring()
		pause := unix.NsecToTimespec(int64(pause))
		unix.Nanosleep(&pause, nil)
		if to.put(s, kept) {
			return
		}
	}
	r.dropped.Add(1)
}

// Name gives an address a name in the file: a node's, for an address that it has
// got while the lab runs.
func (r *Recorder) Name(a netip.Addr, name string) {
	r.mu.Lock()
	r.named = append(r.named, named{a, name})
	r.mu.Unlock()
}

// do has the goroutine do f, soon. After Close nothing is done.
func (r *Recorder) do(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.asked = append(r.asked, f)
	}
}

// Stats tells what the Recorder has done so far.
func (r *Recorder) Stats() Stats {
	s := *r.stats.Load()
	s.Lost += r.dropped.Load()
	s.Waited = time.Duration(r.waited.Load())
	return s
}

// Close writes what is left, tells of the capture's end by an event, and closes
// the file. No sight may follow.
func (r *Recorder) Close() error {
	r.mu.Lock()
	ended := r.ended
	r.ended = true
	r.mu.Unlock()
	if !ended {
		close(r.quit)
	}
	<-r.done
	if s := r.Stats(); s.Error != "" {
		return errors.New(s.Error)
	}
	return nil
}

// The goroutine looks at the rings so often: it backs off while nothing happens.
const (
	shortNap = 2 * time.Millisecond
	longNap  = 10 * time.Millisecond
)

func (r *Recorder) run() {
	defer close(r.done)
	nap := time.NewTimer(longNap)
	rest := longNap
	for {
		quit := false
		select {
		case <-r.quit:
			quit = true
		case <-r.bell:
		case <-nap.C:
		}
		if r.drain(quit) > 0 {
			rest = shortNap
		} else {
			rest = min(2*rest, longNap)
		}
		if quit {
			r.finish()
			return
		}
		nap.Reset(rest)
	}
}

// joinAll takes in the links that were made since it was last called.
func (r *Recorder) joinAll() {
	r.mu.Lock()
	joined := r.joined
	r.joined = nil
	r.mu.Unlock()
	for _, j := range joined {
		r.join(j)
	}
}

// settle is how long a sight may be on its way into its ring. With several loops
// younger ones wait, so that the file is in order.
const settle = time.Millisecond

// drain takes all sights out of the rings, the oldest first.
func (r *Recorder) drain(all bool) (n int) {
	r.joinAll()
	r.mu.Lock()
	named, asked := r.named, r.asked
	r.named, r.asked = nil, nil
	r.mu.Unlock()
	for _, n := range named { // before the packets, for those who read the file once
		r.name(n)
	}
	defer func() {
		r.carried.sweep(&r.writing, control.Now(), false)
		for _, f := range asked {
			f()
		}
		r.flush(all)
	}()
	for {
		var rings []*ring
		for i := range r.rings {
			if p := r.rings[i].Load(); p != nil {
				rings = append(rings, p)
			}
		}
		limit := int64(1<<63 - 1)
		if len(rings) > 1 && !all {
			limit = control.Now() - int64(settle)
		}
		took := 0
		for took < 4096 {
			var from *ring
			var rec *record
			var data []byte
			for _, p := range rings {
				if got, octets := p.first(); got != nil && got.began() < limit && (rec == nil || got.began() < rec.began()) {
					from, rec, data = p, got, octets
				}
			}
			if rec == nil {
				break
			}
			r.see(rec, data)
			from.done(rec)
			took++
		}
		if took == 0 {
			return n
		}
		n += took
	}
}

// began is when what a record tells of began.
func (r *record) began() int64 {
	if r.what == link.Crossed {
		return r.since
	}
	return r.at
}

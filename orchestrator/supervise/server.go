// Package supervise is the process that owns a lab: init of its own namespaces,
// in which every node, link and device of the lab lives and with which all of it
// ends, whatever ends it.
//
// It answers what comes through the door by calling the rooms that know; it
// knows no scenario step and no protocol.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/orchestrator/door"
	"s2clab/orchestrator/lab"
	"s2clab/orchestrator/link"
	"s2clab/topologies"
)

// UpArgs ask for a topology to be brought up.
type UpArgs struct {
	Name     string
	Topology *topologies.Topology
	Seed     uint64
	Stay     bool // outlive the side that asked
	Attach   bool // attach each mobile node to its home link
	ShowKeys bool // events may have the values of keys
}

// collectAt is how much the heap grows before it is collected, in percent.
const collectAt = 400

// A server is a supervisor at work.
type server struct {
	end     chan struct{} // closed when the lab is to end
	endOnce sync.Once

	mu      sync.Mutex
	args    UpArgs
	lab     *lab.Lab // nil until it is up
	started time.Time
	history *history // nil: the lab does not stay
	taps    taps
}

// Main is a supervisor's life. It returns when the lab has been taken down.
func Main() error {
	// A relay's thread that comes back from waiting must find a processor at
	// once, though every other goroutine be busy.
	runtime.GOMAXPROCS(link.Processors())
	debug.SetGCPercent(collectAt) // one process a lab may hold more, and stops the relay less often
	if os.Getpid() != 1 {
		return errors.New("supervise: started by a lab, not by hand")
	}
	if err := settle(); err != nil {
		return err
	}
	line, err := net.FileConn(os.NewFile(lineFD, "line"))
	if err != nil {
		return fmt.Errorf("supervise: line: %w", err)
	}
	listener, err := net.FileListener(os.NewFile(listenerFD, "door"))
	if err != nil {
		return fmt.Errorf("supervise: door: %w", err)
	}
	s := &server{end: make(chan struct{})}
	handlers := s.handlers()
	go reap()
	go func() {
		door.Answer(line.(*net.UnixConn), handlers)
		if !s.stays() {
			s.finish()
		}
	}()
	go door.Serve(listener.(*net.UnixListener), handlers)

	asked := make(chan os.Signal, 1)
	signal.Notify(asked, unix.SIGTERM, unix.SIGINT)
	select {
	case <-asked:
	case <-s.end:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lab != nil {
		s.lab.Stop()
	}
	return nil
}

// settle makes the new namespaces fit to live in.
func settle() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	// A view of its own processes. Where a container forbids it the old one
	// stays, and programs in nodes see the processes of the machine.
	unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	return nil
}

func (s *server) stays() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.args.Stay && s.lab != nil
}

func (s *server) finish() { s.endOnce.Do(func() { close(s.end) }) }

// ready is the lab, once it is up.
func (s *server) ready() (*lab.Lab, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lab == nil {
		return nil, errors.New("the lab is not up yet")
	}
	return s.lab, nil
}

// up brings a topology up and, where the lab is not to stay, holds the line until
// the other side goes.
func (s *server) up(ctx context.Context, r *door.Request) error {
	var args UpArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	began := time.Now()
	attached := make(chan struct{}, len(args.Topology.Nodes))
	var past *history
	if args.Stay {
		past = newHistory()
	}
	sink := func(e control.Event) {
		past.take(e)
		s.taps.event(e)
		if e.Name == "attached" {
			select {
			case attached <- struct{}{}:
			default: // of a mobile that has moved since
			}
		}
	}
	l, err := lab.Up(ctx, args.Topology, lab.Options{Seed: args.Seed, Sink: sink, Observer: &s.taps, ShowKeys: args.ShowKeys})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.args, s.lab, s.history, s.started = args, l, past, time.Now()
	s.mu.Unlock()
	if args.Attach {
		n, err := attachHome(l)
		if err != nil {
			return err
		}
		// The home link's routers are heard soon; where they are not, the lab is
		// up all the same.
		late := time.After(atHome)
		for range n {
			select {
			case <-attached:
			case <-late:
			case <-ctx.Done():
			}
		}
	}
	if err := r.Send(Ready{Took: time.Since(began), Links: l.Describe()}); err != nil {
		return err
	}
	if args.Stay {
		quiet()
		return nil
	}
	<-ctx.Done()
	return nil
}

// atHome is how long a lab that comes up waits for its mobiles to be at home, so
// that a person's first ping finds its way.
const atHome = 2 * time.Second

// attachHome attaches each mobile node to its home link. It says how many did.
func attachHome(l *lab.Lab) (attached int, err error) {
	for _, n := range l.Topology.Nodes {
		if n.MobileNode == nil {
			continue
		}
		for _, i := range n.Interfaces {
			if l.Topology.Link(i.Link).Home {
				if err := l.Attach(n.Name, i.Link); err != nil {
					return attached, err
				}
				attached++
			}
		}
	}
	return attached, nil
}

// Ready is said once the lab is up.
type Ready struct {
	Took  time.Duration
	Links string // how its links are run, in a few words
}

// quiet lets go of the terminal or pipe that the lab was started from.
func quiet() {
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer null.Close()
	for fd := range 3 {
		unix.Dup2(int(null.Fd()), fd)
	}
}

// down ends the lab; the side that asked hears of the end when the socket closes.
func (s *server) down(ctx context.Context, r *door.Request) error {
	s.finish()
	<-ctx.Done()
	return nil
}

// lockForEver gives the calling goroutine a thread that ends with it.
func lockForEver() { runtime.LockOSThread() }

// Status is what a lab says of itself.
type Status struct {
	Name     string           `json:"name"`
	Topology string           `json:"topology"`
	PID      int              `json:"pid"` // of its supervisor, as this machine counts; 0: not known
	Up       time.Duration    `json:"up"`
	Nodes    []lab.NodeStatus `json:"nodes"`
	Links    []lab.LinkStatus `json:"links"`
}

func (s *server) status(ctx context.Context, r *door.Request) error {
	l, err := s.ready()
	if err != nil {
		return err
	}
	s.mu.Lock()
	status := Status{Name: s.args.Name, Topology: l.Topology.Name, Up: time.Since(s.started)}
	s.mu.Unlock()
	status.Nodes, status.Links = l.Nodes(), l.Links()
	return r.Send(status)
}

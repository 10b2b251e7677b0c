// Package link joins the devices of nodes and does to their frames what a link
// of the topology does: it delays, drops, reorders, duplicates, corrupts and
// queues them, takes carrier away and gives it back, and acts on frames that a
// scenario aims at.
//
// An Engine makes links. There is one engine, a relay in user space; the
// interface leaves room for another in the kernel. The package makes no device
// (nodes/netns does), decodes no frame (orchestrator/capture does) and writes no
// event.
package link

import (
	"fmt"
	"time"

	"s2clab/topologies"
)

// An Engine makes links and carries their frames.
type Engine interface {
	// Join makes a link. Its ends have no carrier until they are attached.
	Join(Config) (Link, error)

	// Loops tells how well the engine keeps its times.
	Loops() []LoopReport

	// Close ends all links. The ports stay open: they are the caller's.
	Close()
}

// A Link joins two or more ends, which are told apart by their nodes' names.
type Link interface {
	// Attach gives an end carrier; Detach takes it away, and with it what the end
	// has queued. While the link is down an attached end has no carrier.
	Attach(end string) error
	Detach(end string) error
	Attached(end string) bool

	// SetDown takes carrier from all ends, and drops what is on its way; or gives
	// carrier back to those that are attached.
	SetDown(down bool) error
	Down() bool

	// Set changes what happens to the frames that an end sends. Frames that are
	// queued or on their way are not lost by it: what is queued goes on at the
	// new rate, and what is on its way arrives when it was due.
	Set(end string, i topologies.Impairment) error
	Impairment(end string) (topologies.Impairment, error)

	// Aim lets an aim wait for its frames; the function ends it early.
	Aim(Aim) (stop func(), err error)

	// Inject sends a frame into the link as if the end had sent it. Aims do not
	// see it.
	Inject(end string, frame []byte) error

	Counters(end string) Counters
	Late(end string) Lateness // of the frames that the end sent

	// Close ends the link.
	Close()
}

// A Port is the far side of a node's device. FD does not block; each read or
// write is one Ethernet frame behind a virtio-net header of 10 octets.
type Port interface {
	FD() int

	// SetOffload says whether the node may hand over segments larger than the
	// MTU and leave checksums to be completed.
	SetOffload(large bool) error

	// SetCarrier makes the node see the link come or go.
	SetCarrier(up bool) error
}

// A syncer is a Port that can wait until the node has seen its carrier change.
type syncer interface{ SyncCarrier() error }

// A Config is a link to be made.
type Config struct {
	Name   string
	Engine string // user; empty is the same
	Ends   []End
	From   map[string]topologies.Impairment // by node: what happens to frames that this end sends; missing: nothing
}

// An End is a node's place at a link.
type End struct {
	Node string
	Port Port
}

// Options are those of an Engine. The zero value is good.
type Options struct {
	Seed     uint64   // of every random choice
	Observer Observer // sees every frame; nil: nobody
	Loops    int      // threads; 0: as many as suit the machine
	Memory   int      // octets of frames that may wait on all links; 0: 256 MiB
	Normal   bool     // do not ask for real-time priority
	Begin    int64    // when the traces of links begin that they are joined with: CLOCK_MONOTONIC, nanoseconds; 0: now
}

// NewEngine starts the relay in user space. Its loops each take a thread, and
// want a processor of the Go scheduler to return to at once: GOMAXPROCS is best
// at Processors() or more.
func NewEngine(o Options) (Engine, error) {
	return newRelay(o)
}

// Counters are those of one end since the link was made.
type Counters struct {
	Sent          uint64 `json:"sent"`           // frames that came from the end
	SentOctets    uint64 `json:"sent-octets"`    // Ethernet frames, without preamble and frame check sequence
	Arrived       uint64 `json:"arrived"`        // frames that were handed to the end
	ArrivedOctets uint64 `json:"arrived-octets"` //

	Dropped    map[string]uint64 `json:"dropped,omitempty"`    // of those that came from it, by Reason
	Duplicated uint64            `json:"duplicated,omitempty"` // of those that came from it, as the three below
	Corrupted  uint64            `json:"corrupted,omitempty"`
	Overtook   uint64            `json:"overtook,omitempty"`
	Held       uint64            `json:"held,omitempty"`

	Queued       int `json:"queued"`        // frames that wait for the rate now
	QueuedOctets int `json:"queued-octets"` //
	OnTheirWay   int `json:"on-their-way"`  // frames that wait out their delay now

	Gone string `json:"gone,omitempty"` // why nothing is read from its device any more
}

// A Reason is why a frame was dropped.
type Reason uint8

// The reasons.
const (
	NotDropped  Reason = iota
	Loss               // by chance, as the link's impairment has it
	QueueFull          // no place in the queue before the rate
	Aimed              // by an Aim
	NoCarrier          // the end it came from, or was to go to, is not attached
	LinkDown           // the link went down while the frame was on its way
	OutOfMemory        // more frames wait than Options.Memory allows
	Refused            // the receiving device did not take it
	NotALink           // it is too short or too long to be a frame
	reasons
)

func (r Reason) String() string {
	switch r {
	case NotDropped:
		return ""
	case Loss:
		return "loss"
	case QueueFull:
		return "queue-full"
	case Aimed:
		return "aim"
	case NoCarrier:
		return "no-carrier"
	case LinkDown:
		return "link-down"
	case OutOfMemory:
		return "out-of-memory"
	case Refused:
		return "refused-by-device"
	case NotALink:
		return "not-a-frame"
	}
	return fmt.Sprintf("reason-%d", uint8(r))
}

// An Aim acts on the next frames that it matches, before the link's impairments
// do.
type Aim struct {
	// Match says whether a frame that an end has sent is meant. It is called on
	// the thread that carries frames: it must be quick, and keep nothing of frame.
	Match func(end string, frame []byte) bool

	Action Action
	After  time.Duration // Hold: for how long; Duplicate and Replay: how much later the copy is sent
	Times  int           // it acts on so many frames, then it is done; 0: on all
	Hit    func(Hit)     // told of each, on a goroutine of the engine; may be nil
}

// An Action is what an Aim does.
type Action uint8

// The actions.
const (
	Drop      Action = iota
	Hold             // the frame goes on later; others overtake it
	Duplicate        // a copy goes on too
	Replay           // the same, as someone does who has recorded it
)

func (a Action) String() string {
	switch a {
	case Drop:
		return "drop"
	case Hold:
		return "hold"
	case Duplicate:
		return "duplicate"
	case Replay:
		return "replay"
	}
	return fmt.Sprintf("action-%d", uint8(a))
}

// A Hit is a frame that an Aim acted on.
type Hit struct {
	At     int64 // CLOCK_MONOTONIC, nanoseconds
	Link   string
	End    string // that sent it
	Action Action
	Frame  []byte // a copy, with its checksum completed
	Done   bool   // it was the last of Times
}

func (a *Aim) check() error {
	switch {
	case a.Match == nil:
		return fmt.Errorf("aim: matches nothing")
	case a.Action > Replay:
		return fmt.Errorf("aim: %v: want drop, hold, duplicate or replay", a.Action)
	case a.After < 0:
		return fmt.Errorf("aim: %v after: want no less than 0 s", a.After)
	case a.Times < 0:
		return fmt.Errorf("aim: %d times: want no less than 0", a.Times)
	}
	return nil
}

package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Now is the time of the one clock that all events of a machine share:
// CLOCK_MONOTONIC in nanoseconds.
func Now() int64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail with this clock
	return ts.Nano()
}

// NodeFD is the file descriptor on which a node process finds its control socket.
const NodeFD = 3

// MemoryFD is the file descriptor of memory that the lab keeps for a node from one
// life to the next, where its configuration says that there is some.
const MemoryFD = 4

// eventsHeld is how many events may wait for the lab to read them before Event
// makes its caller wait.
const eventsHeld = 4096

// fromNode is one line from a node process: an event or a reply.
type fromNode struct {
	*Event
	*Reply
}

// A Conn is a node process's end of its control socket.
type Conn struct {
	node     string
	out      chan fromNode
	commands chan Command
	flushed  chan struct{}
	closing  sync.Once
}

// Open reads the Config that the lab sends first on rw and returns it with the
// Conn for all that follows. A config that does not decode is an error.
func Open(rw io.ReadWriter) (*Conn, *Config, error) {
	dec := json.NewDecoder(rw)
	cfg := &Config{}
	if err := dec.Decode(cfg); err != nil {
		return nil, nil, fmt.Errorf("control: no configuration: %w", err)
	}
	c := &Conn{
		node:     cfg.Node,
		out:      make(chan fromNode, eventsHeld),
		commands: make(chan Command),
		flushed:  make(chan struct{}),
	}
	go c.read(dec)
	go c.write(rw)
	return c, cfg, nil
}

// OpenNode opens the control socket that a node process inherits.
func OpenNode() (*Conn, *Config, error) {
	f := os.NewFile(NodeFD, "control")
	if f == nil {
		return nil, nil, errors.New("control: no socket: a node process is started by a lab")
	}
	return Open(f)
}

func (c *Conn) read(dec *json.Decoder) {
	defer close(c.commands)
	for {
		var cmd Command
		if dec.Decode(&cmd) != nil {
			return // the lab has gone, or speaks no more
		}
		c.commands <- cmd
	}
}

// write sends what is queued, and flushes when nothing more waits.
func (c *Conn) write(w io.Writer) {
	defer close(c.flushed)
	buf := bufio.NewWriterSize(w, 32<<10)
	enc := json.NewEncoder(buf)
	for line := range c.out {
		if err := enc.Encode(line); err != nil {
			line = fromNode{Event: &Event{At: Now(), Node: c.node, Name: "event-lost", Fields: map[string]any{"error": err.Error()}}}
			enc.Encode(line)
		}
		if len(c.out) == 0 {
			buf.Flush()
		}
	}
	buf.Flush()
}

// Event reports what has just happened in this node. The values of fields must
// be ones that JSON can hold; the map is the Conn's from now on.
func (c *Conn) Event(name string, fields map[string]any) { c.EventAt(Now(), name, fields) }

// EventAt reports what happened at a time of the clock that Now reads.
func (c *Conn) EventAt(at int64, name string, fields map[string]any) {
	c.out <- fromNode{Event: &Event{At: at, Node: c.node, Name: name, Fields: fields}}
}

// Commands gives what the lab asks of this node. It is closed when the lab has
// gone: the role then ends.
func (c *Conn) Commands() <-chan Command { return c.commands }

// Reply ends the command with that id: with a value that JSON can hold, or with
// an error.
func (c *Conn) Reply(id uint64, value any, err error) {
	r := &Reply{ID: id}
	if err != nil {
		r.Error = err.Error()
	} else if value != nil {
		if r.Value, err = json.Marshal(value); err != nil {
			r.Error = err.Error()
		}
	}
	c.out <- fromNode{Reply: r}
}

// Close sends what is still queued. No Event or Reply may follow.
func (c *Conn) Close() {
	c.closing.Do(func() { close(c.out) })
	<-c.flushed
}

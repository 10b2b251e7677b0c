package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrGone says that a node process ended before it answered.
var ErrGone = errors.New("the node process has ended")

// A Node is the lab's end of a node's control socket.
type Node struct {
	rw     io.ReadWriteCloser
	sink   func(Event)
	mu     sync.Mutex
	enc    *json.Encoder
	next   uint64
	asked  map[uint64]chan Reply // nil once the node has gone
	closed chan struct{}
}

// Dial sends cfg to the node at the other end of rw and hands each of its events
// to sink, in order, until it has gone.
func Dial(rw io.ReadWriteCloser, cfg *Config, sink func(Event)) (*Node, error) {
	n := &Node{rw: rw, sink: sink, enc: json.NewEncoder(rw), asked: map[uint64]chan Reply{}, closed: make(chan struct{})}
	if err := n.enc.Encode(cfg); err != nil {
		return nil, fmt.Errorf("node %s: configuration: %w", cfg.Node, err)
	}
	go n.read()
	return n, nil
}

func (n *Node) read() {
	dec := json.NewDecoder(n.rw)
	for {
		var line struct {
			Event
			Reply
		}
		if dec.Decode(&line) != nil {
			break
		}
		if line.ID == 0 {
			n.sink(line.Event)
			continue
		}
		n.mu.Lock()
		answer := n.asked[line.ID]
		delete(n.asked, line.ID)
		n.mu.Unlock()
		if answer != nil {
			answer <- line.Reply
		}
	}
	n.mu.Lock()
	for _, answer := range n.asked {
		close(answer)
	}
	n.asked = nil
	n.mu.Unlock()
	close(n.closed)
}

// Ask sends a command and waits for its reply, whose value it decodes into
// value where that is not nil. It fails with ErrGone where the node ends first.
func (n *Node) Ask(name string, args, value any) error {
	raw, err := json.Marshal(args)
	if err != nil {
		return err
	}
	answer := make(chan Reply, 1)
	n.mu.Lock()
	if n.asked == nil {
		n.mu.Unlock()
		return ErrGone
	}
	n.next++
	n.asked[n.next] = answer
	err = n.enc.Encode(Command{ID: n.next, Name: name, Args: raw})
	n.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	reply, ok := <-answer
	switch {
	case !ok:
		return ErrGone
	case reply.Error != "":
		return errors.New(reply.Error)
	case value != nil && reply.Value != nil:
		return json.Unmarshal(reply.Value, value)
	}
	return nil
}

// Closed is closed once the node has gone and its last event was handed on.
func (n *Node) Closed() <-chan struct{} { return n.closed }

// Close lets the node go: its commands end, and so does it.
func (n *Node) Close() error { return n.rw.Close() }

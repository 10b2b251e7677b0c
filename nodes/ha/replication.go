package ha

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/wire/replica"
)

// Words of the two directions of a replication connection.
const (
	toStandby = "to-standby"
	toActive  = "to-active"
)

// Bounds and times of replication. The time-outs are of the network's kind; when
// the active home agent is taken for gone is its heartbeats' matter.
const (
	replicationQueue    = 8192 // records that wait for a standby
	replicationPatience = 3 * time.Second
	replicationRetry    = 200 * time.Millisecond
	missedHeartbeats    = 5
	maxReplicated       = 1 << 17 // bindings, and subscribers, that a standby takes
)

// A replicator gives a standby all that a home agent keeps, and each change. It
// has a copy of its own, so that a standby that comes does not disturb the loop.
type replicator struct {
	cfg   *control.Replication
	state uint32 // Origin-State-Id

	mu    sync.Mutex
	copy  copied
	lines map[chan replica.Record]struct{}
}

// copied is the present state of what records tell.
type copied struct {
	origin      uint32
	subscribers map[string]replica.Subscriber
	bindings    map[netip.Addr]replica.Binding
}

func newCopied() copied {
	return copied{subscribers: map[string]replica.Subscriber{}, bindings: map[netip.Addr]replica.Binding{}}
}

// take takes a record; an error: there are more than may be.
func (c *copied) take(r replica.Record) error {
	switch r := r.(type) {
	case replica.Origin:
		c.origin = r.State
	case replica.Subscriber:
		c.subscribers[r.NAI] = r
	case replica.SubscriberGone:
		delete(c.subscribers, r.NAI)
	case replica.Binding:
		c.bindings[r.Home] = r
	case replica.BindingGone:
		delete(c.bindings, r.Home)
	}
	if len(c.subscribers) > maxReplicated || len(c.bindings) > maxReplicated {
		return fmt.Errorf("more than %d subscribers or bindings", maxReplicated)
	}
	return nil
}

// records gives all of it, in an order in which it can be restored.
func (c *copied) records() []replica.Record {
	all := []replica.Record{replica.Origin{State: c.origin}}
	for _, s := range c.subscribers {
		all = append(all, s)
	}
	for _, b := range c.bindings {
		all = append(all, b)
	}
	return all
}

func newReplicator(cfg *control.Replication, state uint32) *replicator {
	r := &replicator{cfg: cfg, copy: newCopied(), lines: map[chan replica.Record]struct{}{}}
	r.copy.origin = state
	return r
}

// keep takes a change, and tells it. A standby that does not keep up is let go: it
// comes again and is given all.
func (r *replicator) keep(record replica.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range r.lines {
		select {
		case line <- record:
		default:
			delete(r.lines, line)
			close(line)
		}
	}
	return r.copy.take(record)
}

// serve accepts the standby until ctx ends.
func (r *replicator) serve(ctx context.Context, t teller) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.cfg.Active.String())
	if err != nil {
		return fmt.Errorf("listen for a standby: %w", err)
	}
	var all sync.WaitGroup
	defer all.Wait()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("listen for a standby: %w", err)
		}
		from := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
		if from != r.cfg.Standby {
			t.Event("standby-rejected", map[string]any{"source": from.String(), "reason": "not-the-standby"})
			c.Close()
			continue
		}
		all.Go(func() {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			if err := r.feed(c, t); err != nil && ctx.Err() == nil {
				t.Event("standby-lost", map[string]any{"source": from.String(), "reason": err.Error()})
			}
		})
	}
}

var errUnproven = errors.New("it does not prove that it has the key")

// feed proves both ends to each other and then sends all, each change, and
// heartbeats.
func (r *replicator) feed(c net.Conn, t teller) error {
	var ours, theirs [replica.NonceSize]byte
	rand.Read(ours[:])
	c.SetDeadline(time.Now().Add(replicationPatience))
	if _, err := c.Write(ours[:]); err != nil {
		return err
	}
	hello := make([]byte, replica.NonceSize+replica.SealSize)
	if _, err := io.ReadFull(c, hello); err != nil {
		return err
	}
	copy(theirs[:], hello)
	if !replica.NewSeal(r.cfg.Key, toActive, ours, theirs).Proves(nil, hello[replica.NonceSize:]) {
		t.Event("standby-rejected", map[string]any{"source": r.cfg.Standby.String(), "reason": "unproven"})
		return errUnproven
	}
	line := make(chan replica.Record, replicationQueue)
	r.mu.Lock()
	all := r.copy.records()
	r.lines[line] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.lines, line)
		r.mu.Unlock()
	}()
	seal := replica.NewSeal(r.cfg.Key, toStandby, ours, theirs)
	sent := uint64(0)
	write := func(records ...replica.Record) error {
		var b []byte
		for _, record := range records {
			start := len(b)
			var err error
			if b, err = replica.Append(b, record); err != nil {
				return err
			}
			b = seal.Append(b, b[start:])
			sent++
		}
		c.SetWriteDeadline(time.Now().Add(replicationPatience))
		_, err := c.Write(b)
		return err
	}
	if err := write(append(all, replica.Alive{Records: uint64(len(all))})...); err != nil {
		return err
	}
	t.Event("standby-connected", map[string]any{"source": r.cfg.Standby.String()})
	beat := time.NewTicker(r.cfg.Heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case record, ok := <-line:
			if !ok {
				return errors.New("it does not keep up")
			}
			err = write(record)
		case <-beat.C:
			err = write(replica.Alive{Records: sent})
		}
		if err != nil {
			return err
		}
	}
}

package ha

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/wire/replica"
)

// A notebook is a teller that others wait for.
type notebook struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func newNotebook() *notebook { return &notebook{more: make(chan struct{}, 1)} }

func (n *notebook) Event(name string, fields map[string]any) {
	b, _ := json.Marshal(fields)
	n.mu.Lock()
	n.lines = append(n.lines, name+" "+string(b))
	n.mu.Unlock()
	select {
	case n.more <- struct{}{}:
	default:
	}
}

func (n *notebook) Reply(uint64, any, error) {}

// await waits until something was told that begins so.
func (n *notebook) await(t *testing.T, begin string) string {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		n.mu.Lock()
		for _, l := range n.lines {
			if strings.HasPrefix(l, begin) {
				n.mu.Unlock()
				return l
			}
		}
		lines := fmt.Sprint(n.lines)
		n.mu.Unlock()
		select {
		case <-n.more:
		case <-limit:
			t.Fatalf("no %s in %s", begin, lines)
		}
	}
}

// pair is the configuration of two that are both here.
func pair(t *testing.T) *control.Replication {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return &control.Replication{Active: l.Addr().(*net.TCPAddr).AddrPort(), Standby: netip.MustParseAddr("127.0.0.1"),
		Key: []byte("0123456789abcdef"), Heartbeat: 20 * time.Millisecond}
}

// serving runs the active one until stop is called.
func serving(t *testing.T, cfg *control.Replication) (r *replicator, notes *notebook, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, notes = newReplicator(cfg, 7), newNotebook()
	done := make(chan error, 1)
	go func() { done <- r.serve(ctx, notes) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return r, notes, stop
}

func TestAStandbyKnowsAllWhenTheActiveOneFallsSilent(t *testing.T) {
	cfg := pair(t)
	r, notes, stop := serving(t, cfg)
	_, records, _ := keptBound(t)
	for _, record := range *records {
		if err := r.keep(record); err != nil {
			t.Fatal(err)
		}
	}
	type end struct {
		known copied
		last  time.Time
		err   error
	}
	ended := make(chan end, 1)
	own := newNotebook()
	go func() {
		var e end
		e.known, e.last, e.err = standBy(context.Background(), cfg, own, make(chan control.Command))
		ended <- e
	}()
	notes.await(t, "standby-connected")
	own.await(t, `standby-synced {"bindings":1}`)
	later := replica.Binding{Home: homeB, CareOf: careOfLTE, Lifetime: time.Minute, Since: start, Expires: start.Add(time.Minute)}
	r.keep(later)
	r.keep(replica.BindingGone{Home: homeA})
	for known := false; !known; { // until it has been written to the standby
		r.mu.Lock()
		known = true
		for line := range r.lines {
			known = len(line) == 0
		}
		r.mu.Unlock()
	}
	stop()
	e := <-ended
	if e.err != nil {
		t.Fatal(e.err)
	}
	if e.known.origin != 7 || len(e.known.subscribers) != 1 || len(e.known.bindings) != 1 || e.known.bindings[homeB].CareOf != careOfLTE {
		t.Errorf("%+v", e.known)
	}
}

// Whoever starts finds out at once whether his standby serves, and whether it is that.
func TestAHomeAgentThatStartsAsksWhetherItsStandbyServes(t *testing.T) {
	cfg := pair(t)
	if cfg.Swapped().IsStandby == cfg.IsStandby || cfg.Swapped().Standby != cfg.Active.Addr() || !reflect.DeepEqual(cfg.Swapped().Swapped(), cfg) {
		t.Errorf("%+v, swapped %+v", cfg, cfg.Swapped())
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if replaced(ctx, cfg) || ctx.Err() != nil {
		t.Error("nobody listens, and somebody serves")
	}
	_, _, stop := serving(t, cfg)
	for !replaced(ctx, cfg) { // until it listens
		if ctx.Err() != nil {
			t.Fatal("it serves, and does not say so")
		}
	}
	stranger := *cfg
	stranger.Key = []byte("fedcba9876543210")
	short, end := context.WithTimeout(ctx, 100*time.Millisecond)
	defer end()
	if replaced(short, &stranger) {
		t.Error("it has another key, and is believed")
	}
	stop()
	if replaced(ctx, cfg) {
		t.Error("it serves no more")
	}
}

func TestAStandbyThatNeverHeardAllTakesNothingOver(t *testing.T) {
	cfg := pair(t) // nobody listens
	own := newNotebook()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, _, err := standBy(ctx, cfg, own, make(chan control.Command))
		done <- err
	}()
	own.await(t, "replication-failed")
	select {
	case err := <-done:
		t.Errorf("ended: %v", err)
	default:
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("took over from nobody")
	}
}

func TestAStandbyEndsWithTheLab(t *testing.T) {
	commands := make(chan control.Command)
	close(commands)
	if _, _, err := standBy(context.Background(), pair(t), newNotebook(), commands); err != errLabGone {
		t.Error(err)
	}
}

func TestNobodyElseIsGivenAnything(t *testing.T) {
	cfg := pair(t)
	_, notes, _ := serving(t, cfg)
	dial := func() net.Conn {
		t.Helper()
		for limit := time.Now().Add(10 * time.Second); ; {
			c, err := net.Dial("tcp", cfg.Active.String())
			if err == nil {
				c.SetDeadline(time.Now().Add(10 * time.Second))
				return c
			}
			if time.Now().After(limit) {
				t.Fatal(err)
			}
		}
	}
	c := dial()
	defer c.Close()
	io.CopyN(io.Discard, c, replica.NonceSize)
	c.Write(make([]byte, replica.NonceSize+replica.SealSize)) // without the key
	if b, _ := io.ReadAll(c); len(b) > 0 {
		t.Errorf("was given %d octets", len(b))
	}
	notes.await(t, `standby-rejected {"reason":"unproven"`)
}

func TestAnotherAddressIsNotTheStandby(t *testing.T) {
	cfg := pair(t)
	cfg.Standby = netip.MustParseAddr("127.0.0.2")
	_, notes, _ := serving(t, cfg)
	other := *cfg
	other.Standby = netip.MustParseAddr("127.0.0.1")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go follow(ctx, &other, make(chan heard), newNotebook())
	notes.await(t, `standby-rejected {"reason":"not-the-standby"`)
}

func TestAFalseActiveOneIsNotBelieved(t *testing.T) {
	cfg := pair(t)
	l, err := net.Listen("tcp", cfg.Active.String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Write(make([]byte, replica.NonceSize))
		io.CopyN(io.Discard, c, replica.NonceSize+replica.SealSize)
		frame, _ := replica.Append(nil, replica.Alive{})
		c.Write(append(frame, make([]byte, replica.SealSize)...))
		io.Copy(io.Discard, c)
	}()
	records := []replica.Record{}
	err = followOnce(context.Background(), cfg, func(r replica.Record) bool {
		if r != nil {
			records = append(records, r)
		}
		return true
	})
	if err != errUnproven || len(records) > 0 {
		t.Errorf("%v, %d records", err, len(records))
	}
}

func TestAStandbyTakesNoMoreThanItMayHold(t *testing.T) {
	c := newCopied()
	for i := range maxReplicated {
		a := netip.AddrFrom16([16]byte{0x20, 1, 12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
		if err := c.take(replica.Binding{Home: a}); err != nil {
			t.Fatal(err)
		}
	}
	if c.take(replica.Binding{Home: homeA}) == nil {
		t.Error("one more was taken")
	}
}

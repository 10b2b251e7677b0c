package journal

import (
	"bufio"
	"container/heap"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"s2clab/nodes/control"
)

// A Writer writes the journal of a run: a file of JSON lines, an Event each, as
// docs/journal.md has them. Any goroutine may write. Events come a little out of
// order, each from its own process; in the file they stand in the order of their
// times, as far as a short wait can bring that about.
type Writer struct {
	start int64

	mu      sync.Mutex
	file    *os.File
	out     *bufio.Writer
	err     error // the first; what follows is not written
	waiting waiting
	order   uint64
	closed  bool

	stop, stopped chan struct{}
}

// settle is how long an event waits for earlier ones that come late.
const settle = 250 * time.Millisecond

// mostWaiting bounds what settles, however many events come.
const mostWaiting = 65536

// Create makes the file. The run starts at a time of the clock that control.Now
// reads.
func Create(path string, start int64) (*Writer, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	w := &Writer{start: start, file: file, out: bufio.NewWriterSize(file, 64<<10), stop: make(chan struct{}), stopped: make(chan struct{})}
	go w.run()
	return w, nil
}

// Write takes what happened, and returns it as an event of the run, with the
// types of fields that who reads the file will find. It does not wait for the
// file.
func (w *Writer) Write(e control.Event) Event {
	event := From(e, w.start)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && !w.closed {
		w.order++
		heap.Push(&w.waiting, waitingEvent{event, w.order})
		if len(w.waiting) > mostWaiting {
			w.write(heap.Pop(&w.waiting).(waitingEvent).Event)
		}
	}
	return event
}

// run writes what has settled, so that a crash costs no more than that.
func (w *Writer) run() {
	defer close(w.stopped)
	tick := time.NewTicker(settle / 2)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
		}
		w.mu.Lock()
		w.flush(time.Duration(control.Now()-w.start) - settle)
		w.mu.Unlock()
	}
}

// flush writes all events up to a time.
func (w *Writer) flush(until time.Duration) {
	for len(w.waiting) > 0 && w.waiting[0].At <= until {
		w.write(heap.Pop(&w.waiting).(waitingEvent).Event)
	}
	if w.err == nil {
		w.err = w.out.Flush()
	}
}

func (w *Writer) write(e Event) {
	if w.err != nil {
		w.waiting = nil
		return
	}
	b, err := json.Marshal(e)
	if err != nil { // a value that Plain let through
		b, _ = json.Marshal(Event{At: e.At, Node: e.Node, Name: "event-lost", Fields: map[string]any{"event": e.Name, "error": err.Error()}})
	}
	_, w.err = w.out.Write(append(b, '\n'))
}

// Err is what keeps events out of the file, such as a full disk: the journal then
// ends before the run does.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return fmt.Errorf("journal: %w", w.err)
	}
	return nil
}

// Close writes what is left. It returns the first error of all.
func (w *Writer) Close() error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.stop)
		w.flush(1<<63 - 1)
		if err := w.file.Close(); w.err == nil {
			w.err = err
		}
	}
	w.mu.Unlock()
	<-w.stopped
	return w.Err()
}

// waiting has the earliest event first, and of several the one that came first.
type waiting []waitingEvent

type waitingEvent struct {
	Event
	order uint64
}

func (w waiting) Len() int { return len(w) }
func (w waiting) Less(i, j int) bool {
	return w[i].At < w[j].At || w[i].At == w[j].At && w[i].order < w[j].order
}
func (w waiting) Swap(i, j int) { w[i], w[j] = w[j], w[i] }
func (w *waiting) Push(x any)   { *w = append(*w, x.(waitingEvent)) }
func (w *waiting) Pop() any {
	s := *w
	last := s[len(s)-1]
	s[len(s)-1] = waitingEvent{}
	*w = s[:len(s)-1]
	return last
}

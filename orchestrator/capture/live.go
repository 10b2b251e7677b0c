package capture

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// A Live is a capture of some links that goes to a writer while they carry
// frames, as Wireshark reads it from a pipe.
type Live struct {
	links []string // nil: all

	// The Recorder's goroutine's:
	recorder   *Recorder
	out        []byte
	interfaces map[*recorded]uint32

	mu      sync.Mutex
	wake    *sync.Cond
	chunks  [][]byte
	waiting int // octets in chunks
	lost    uint64
	ended   bool
	err     error
	done    chan struct{}
}

// liveMost is how much may wait for a slow reader, in octets; then packets are
// left out and counted.
const liveMost = 16 << 20

// ErrNoLink is what Live fails with where a link is not there.
var ErrNoLink = errors.New("no such link")

// Live starts to write what some links carry to w: all links where none is
// named. It ends by Stop, with the Recorder, or when w fails.
func (r *Recorder) Live(w io.Writer, links ...string) (*Live, error) {
	l := &Live{links: links, recorder: r, interfaces: map[*recorded]uint32{}, done: make(chan struct{})}
	l.wake = sync.NewCond(&l.mu)
	begun := make(chan error, 1)
	r.do(func() {
		for _, name := range links {
			if r.links[name] == nil {
				begun <- fmt.Errorf("capture: %q: %w", name, ErrNoLink)
				return
			}
		}
		l.out = appendSection(l.out, "")
		for a, name := range r.options.Names {
			l.out = appendName(l.out, a, name)
		}
		for _, e := range r.ends { // in the engine's order
			if e != nil && e == e.link.ends[0] {
				l.join(e.link)
			}
		}
		r.live = append(r.live, l)
		l.flush()
		begun <- nil
	})
	r.ring()
	select {
	case err := <-begun:
		if err != nil {
			return nil, err
		}
	case <-r.done:
		return nil, errors.New("capture: the lab has ended")
	}
	go l.write(w)
	return l, nil
}

// join takes a link in, where it is wanted.
func (l *Live) join(k *recordedLink) {
	if len(l.links) > 0 && !slices.Contains(l.links, k.name) {
		return
	}
	for _, e := range k.ends {
		l.interfaces[e] = uint32(len(l.interfaces))
		l.out = appendInterface(l.out, k.name+":"+e.node, fmt.Sprintf("end of link %s at %s", k.name, e.node))
	}
}

// packet takes a packet, where its link is wanted and the reader keeps up.
func (l *Live) packet(e *recorded, p packet) {
	number, wanted := l.interfaces[e]
	if !wanted {
		return
	}
	l.mu.Lock()
	full := l.waiting+len(l.out) > liveMost
	if full {
		l.lost++
	}
	l.mu.Unlock()
	if !full {
		p.number = number
		l.out = appendPacket(l.out, &p)
	}
}

// flush hands over what is ready.
func (l *Live) flush() {
	if len(l.out) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.chunks = append(l.chunks, l.out)
	l.waiting += len(l.out)
	l.out = nil
	l.wake.Signal()
}

// end lets what is ready go out and no more. err: why.
func (l *Live) end(err error) {
	l.flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.err == nil {
		l.err = err
	}
	l.wake.Signal()
}

// write is the goroutine that waits for w.
func (l *Live) write(w io.Writer) {
	defer close(l.done)
	for {
		l.mu.Lock()
		for len(l.chunks) == 0 && !l.ended {
			l.wake.Wait()
		}
		if len(l.chunks) == 0 {
			l.mu.Unlock()
			return
		}
		chunk := l.chunks[0]
		l.chunks = l.chunks[1:]
		l.mu.Unlock()
		_, err := w.Write(chunk)
		l.mu.Lock()
		l.waiting -= len(chunk)
		if err != nil {
			l.ended, l.chunks, l.err = true, nil, err
		}
		l.mu.Unlock()
		if err != nil {
			l.recorder.do(func() { l.leave() })
			return
		}
	}
}

// leave takes the Live out of its Recorder.
func (l *Live) leave() {
	r := l.recorder
	r.live = slices.DeleteFunc(r.live, func(o *Live) bool { return o == l })
}

// Stop ends the capture once all seen so far is written.
func (l *Live) Stop() {
	r := l.recorder
	r.do(func() {
		l.leave()
		l.end(nil)
	})
	r.ring()
}

// Wait returns when the capture has ended: how many packets were left out
// because the reader was slow, and why the writer failed, if it did.
func (l *Live) Wait() (lost uint64, err error) {
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost, l.err
}

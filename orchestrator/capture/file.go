package capture

import (
	"fmt"
	"os"
	"sync"
)

// A file takes whole blocks and writes them on a goroutine of its own, so that a
// disk that is busy for a moment holds up neither signalling nor links.
type file struct {
	queue chan []byte
	spent chan []byte // buffers to be used again
	done  chan struct{}

	mu      sync.Mutex
	f       *os.File
	lasting int64  // octets in the file, whole blocks all
	lost    uint64 // packets that did not get into it
	failure error
	failed  func(error) // told once, on the file's goroutine
}

// Buffers of a file: so many octets are written at once, and so many such pieces
// may wait for the disk.
const (
	piece  = 4 << 20
	pieces = 16
)

// createFile makes the file and writes first, so that what is wrong with its
// place is known at once.
func createFile(path string, first []byte, failed func(error)) (*file, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	if _, err := f.Write(first); err != nil {
		f.Close()
		return nil, fmt.Errorf("capture: %w", err)
	}
	w := &file{
		queue: make(chan []byte, pieces), spent: make(chan []byte, pieces), done: make(chan struct{}),
		f: f, lasting: int64(len(first)), failed: failed,
	}
	go w.run()
	return w, nil
}

// write takes whole blocks and gives an empty buffer in their place. It waits
// where the disk is far behind.
func (w *file) write(blocks []byte) []byte {
	w.queue <- blocks
	select {
	case b := <-w.spent:
		return b[:0]
	default:
		return make([]byte, 0, piece+piece/8)
	}
}

// state is how far the file has come.
func (w *file) state() (lasting int64, lost uint64, failure error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lasting, w.lost, w.failure
}

// close writes what waits.
func (w *file) close() {
	close(w.queue)
	<-w.done
}

func (w *file) run() {
	defer close(w.done)
	for blocks := range w.queue {
		w.put(blocks)
		select {
		case w.spent <- blocks:
		default:
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure == nil {
		if err := w.f.Close(); err != nil {
			w.failure = fmt.Errorf("capture: %w", err)
		}
	}
}

// put writes blocks. Where the file takes no more it ends with the last block of
// which all octets got into it; the packets behind that are counted as lost.
func (w *file) put(blocks []byte) {
	w.mu.Lock()
	if w.failure != nil {
		w.lost += packetsIn(blocks)
		w.mu.Unlock()
		return
	}
	n, err := w.f.Write(blocks)
	if err == nil {
		w.lasting += int64(n)
		w.mu.Unlock()
		return
	}
	whole := 0
	for size := blockLen(blocks); size <= n-whole && size > 0; size = blockLen(blocks[whole:]) {
		whole += size
	}
	w.lost += packetsIn(blocks[whole:])
	w.lasting += int64(whole)
	w.f.Truncate(w.lasting)
	w.f.Close()
	w.failure = fmt.Errorf("capture: %w; the file ends after %d octets", err, w.lasting)
	w.mu.Unlock()
	w.failed(w.failure)
}

// blockLen is the length of the block that b begins with, 0 at the end.
func blockLen(b []byte) int {
	if len(b) < 8 {
		return 0
	}
	return int(le.Uint32(b[4:]))
}

func packetsIn(blocks []byte) (n uint64) {
	for size := blockLen(blocks); size > 0 && size <= len(blocks); size = blockLen(blocks) {
		if le.Uint32(blocks) == blockPacket {
			n++
		}
		blocks = blocks[size:]
	}
	return n
}

package journal

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"s2clab/nodes/control"
)

// A Writer writes the journal of a run: a file of JSON lines, an Event each, as
// docs/journal.md has them. It is not for several goroutines at once.
type Writer struct {
	file  *os.File
	buf   *bufio.Writer
	enc   *json.Encoder
	start int64
	err   error // the first; what follows is not written
}

// Create makes the file. The run starts at a time of the clock that control.Now
// reads.
func Create(path string, start int64) (*Writer, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	buf := bufio.NewWriterSize(file, 64<<10)
	return &Writer{file: file, buf: buf, enc: json.NewEncoder(buf), start: start}, nil
}

// Write writes what happened, and returns it as an event of the run.
func (w *Writer) Write(e control.Event) Event {
	written := Event{At: time.Duration(e.At - w.start), Node: e.Node, Name: e.Name, Fields: e.Fields}
	if w.err == nil {
		w.err = w.enc.Encode(written)
	}
	return written
}

// Close writes what is left. It returns the first error of all, such as a full
// disk: the journal then ends before the run did.
func (w *Writer) Close() error {
	if err := w.buf.Flush(); w.err == nil {
		w.err = err
	}
	if err := w.file.Close(); w.err == nil {
		w.err = err
	}
	if w.err != nil {
		return fmt.Errorf("journal: %w", w.err)
	}
	return nil
}

package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"
)

// line is an event as the file has it.
type line struct {
	At     float64        `json:"t"` // seconds since the run started, to the nanosecond
	Node   string         `json:"node,omitempty"`
	Name   string         `json:"event"`
	Fields map[string]any `json:"fields,omitempty"`
}

// MarshalJSON makes an event's line.
func (e Event) MarshalJSON() ([]byte, error) {
	return json.Marshal(line{e.At.Seconds(), e.Node, e.Name, e.Fields})
}

// UnmarshalJSON reads an event's line.
func (e *Event) UnmarshalJSON(b []byte) error {
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		return err
	}
	if l.Name == "" {
		return errors.New("no event named")
	}
	if math.Abs(l.At) > maxSeconds {
		return fmt.Errorf("time %g: want no more than %g s", l.At, float64(maxSeconds))
	}
	*e = Event{At: time.Duration(math.Round(l.At * 1e9)), Node: l.Node, Name: l.Name, Fields: l.Fields}
	return nil
}

// maxSeconds is so long that a float64 still tells nanoseconds apart: 46 days.
const maxSeconds = 4e6

// Read reads a journal, in the order of time. Of one that ends in the middle of a
// line, as after a crash, the whole lines are returned, with no error.
func Read(path string) ([]Event, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var events []Event
	reader := bufio.NewReaderSize(file, 1<<20)
	for number := 1; ; number++ {
		text, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var e Event
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, fmt.Errorf("%s:%d: not an event: %w", path, number, err)
		}
		events = append(events, e)
	}
	slices.SortStableFunc(events, func(a, b Event) int { return int(a.At - b.At) })
	return events, nil
}

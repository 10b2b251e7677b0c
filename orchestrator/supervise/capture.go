package supervise

import (
	"context"
	"errors"
	"fmt"

	"s2clab/nodes/control"
	"s2clab/orchestrator/capture"
	"s2clab/orchestrator/door"
)

// CaptureArgs ask for what links carry from now on, as pcapng on the file passed
// along, until the side that asks goes.
type CaptureArgs struct {
	Links []string // none: all
}

// CaptureEnd is how a live capture ended.
type CaptureEnd struct {
	Lost uint64 // packets left out because the reader was slow
}

func (s *server) capture(ctx context.Context, r *door.Request) error {
	var args CaptureArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	l, err := s.ready()
	if err != nil {
		return err
	}
	if len(r.Files) != 1 {
		return fmt.Errorf("capture: %d files: want one to write to", len(r.Files))
	}
	for _, name := range args.Links {
		if _, err := l.Link(name); err != nil {
			return err
		}
	}
	recorder, release, err := s.recorder()
	if err != nil {
		return err
	}
	defer release()
	live, err := recorder.Live(r.Files[0], args.Links...)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, live.Stop)
	defer stop()
	lost, err := live.Wait()
	return errors.Join(err, r.Send(CaptureEnd{Lost: lost}))
}

// recorder is the one that records a run just now, or a new one for as long as
// it is not released.
func (s *server) recorder() (r *capture.Recorder, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.taps.recorder.Load(); r != nil {
		return r, func() {}, nil
	}
	r, err = capture.New(capture.Options{Start: control.Now(), Names: names(s.lab.Topology)})
	if err != nil {
		return nil, nil, err
	}
	s.taps.record(r)
	return r, func() {
		s.taps.recorder.CompareAndSwap(r, nil)
		r.Close()
	}, nil
}

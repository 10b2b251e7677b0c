package router

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
)

// An accessControl authenticates stations on the links of a router.
type accessControl struct {
	kernel *kernel
	loop   *loop
}

// openAccess shuts the ports of links that authenticate; nil: there are no such links.
func openAccess(t host.Teller, cfg *control.Config) (*accessControl, error) {
	if !slices.ContainsFunc(cfg.Interfaces, func(i control.Interface) bool { return i.Auth != "" }) {
		return nil, nil
	}
	m, err := New(cfg, time.Now())
	if err != nil {
		return nil, err
	}
	h, err := host.Open(cfg)
	if err != nil {
		return nil, err
	}
	k := &kernel{host: h}
	a := &accessControl{kernel: k, loop: newLoop(m, k, t)}
	k.answered = func(in AAAAnswered) { a.loop.give(in) }
	err = errors.Join(k.openPorts(cfg), k.connect(cfg, m.identity, t, func(in AAARequested) { a.loop.give(in) }))
	if err != nil {
		k.closePorts()
		h.Close()
		return nil, err
	}
	return a, nil
}

// run lets stations on until ctx ends. It leaves the ports shut.
func (a *accessControl) run(ctx context.Context) error {
	defer a.kernel.host.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { a.kernel.client.Run(ctx) })
	all.Go(func() { a.loop.run(ctx) })
	all.Go(func() {
		for c := range a.kernel.host.Watch(ctx) {
			if c, ok := c.(host.LinkChange); ok {
				a.loop.give(CarrierChanged{Dev: c.Dev, Carrier: c.Carrier})
			}
		}
	})
	failed := make(chan error, len(a.kernel.ports))
	for dev, p := range a.kernel.ports {
		all.Go(func() {
			if err := a.hear(dev, p.eapol); err != nil {
				failed <- err
				cancel()
			}
		})
	}
	<-a.loop.ended        // and lets nobody on any more
	a.kernel.closePorts() // which ends hear
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// hear tells the loop of frames of 802.1X, until the port is closed.
func (a *accessControl) hear(dev string, port *host.EAPOLPort) error {
	for {
		frames, err := port.Receive()
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		for _, f := range frames {
			a.loop.give(EAPOLReceived{Dev: dev, From: f.From, Octets: slices.Clone(f.Octets)})
		}
	}
}

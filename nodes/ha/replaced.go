package ha

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/wire/replica"
)

// errReplaced says that another home agent serves in the place of this one.
var errReplaced = errors.New("another home agent serves in its place")

// serveUnlessReplaced is serve, which ends with errReplaced where its standby turns out
// to serve. Until that is known the AAA server is left alone, as it has one connection
// with whoever of the two serves.
func serveUnlessReplaced(ctx context.Context, t teller, commands <-chan control.Command, cfg *control.Config) error {
	r := cfg.HomeAgent.Replication
	if !r.Alone {
		return serve(ctx, t, commands, cfg, beginning{})
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sure := make(chan struct{})
	go func() {
		if replaced(ctx, r.Swapped()) {
			cancel(errReplaced)
			return
		}
		close(sure)
	}()
	err := serve(ctx, t, commands, cfg, beginning{sure: sure})
	if cause := context.Cause(ctx); errors.Is(cause, errReplaced) {
		return cause
	}
	return err
}

// How long, and how long at a time, a home agent that starts asks whether its standby
// serves: its links come up when it is ready.
const (
	replacedWithin  = 5 * time.Second
	replacedAttempt = 300 * time.Millisecond
	replacedRetry   = 20 * time.Millisecond
)

// replaced says whether another home agent serves: it has a standby, which this node
// could be, and proves it. One that lives and does not serve takes no connection.
func replaced(ctx context.Context, cfg *control.Replication) bool {
	ctx, cancel := context.WithTimeout(ctx, replacedWithin)
	defer cancel()
	for ctx.Err() == nil {
		if !hasCarrier(cfg.Standby) { // what is sent until then is lost, and not repeated at once
			pause(ctx, replacedRetry)
			continue
		}
		attempt, end := context.WithTimeout(ctx, replacedAttempt)
		found := false
		err := followOnce(attempt, cfg, func(r replica.Record) bool {
			found = r != nil
			return !found
		})
		end()
		switch {
		case found:
			return true
		case errors.Is(err, unix.ECONNREFUSED):
			return false
		}
		pause(ctx, replacedRetry)
	}
	return false
}

// hasCarrier says whether a device that has an address has its carrier.
func hasCarrier(a netip.Addr) bool {
	all, err := net.Interfaces()
	if err != nil {
		return false
	}
	for _, i := range all {
		addresses, err := i.Addrs()
		if err != nil || i.Flags&net.FlagRunning == 0 {
			continue
		}
		for _, p := range addresses {
			if p, ok := p.(*net.IPNet); ok && p.IP.Equal(a.AsSlice()) {
				return true
			}
		}
	}
	return false
}

// standDown leaves the addresses of a home agent to the one that serves in its place.
func standDown(cfg *control.Config) error {
	h, err := host.Open(cfg)
	if err != nil {
		return err
	}
	defer h.Close()
	for _, a := range cfg.HomeAgent.Replication.Addresses {
		if err := h.RemoveAddress(a.Dev, a.Address); err != nil {
			return err
		}
	}
	return nil
}

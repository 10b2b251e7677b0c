package ha

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/replica"
)

// A heard is a record that has come from the active home agent.
type heard struct {
	record replica.Record
	at     time.Time
}

// standBy follows the active home agent until it falls silent: for so many
// heartbeats after the last that has come. It gives what it knows by then. A
// standby that has never been told all takes nothing over.
func standBy(ctx context.Context, cfg *control.Replication, t teller, commands <-chan control.Command) (known copied, last time.Time, err error) {
	records := make(chan heard, 64)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go follow(ctx, cfg, records, t)
	coming, synced := newCopied(), false
	silence := time.NewTimer(time.Hour)
	defer silence.Stop()
	for {
		silence.Stop()
		var late <-chan time.Time
		if synced {
			silence.Reset(time.Until(last.Add(missedHeartbeats * cfg.Heartbeat)))
			late = silence.C
		}
		select {
		case <-ctx.Done():
			return known, last, context.Cause(ctx)
		case c, ok := <-commands:
			if !ok {
				return known, last, errLabGone
			}
			t.Reply(c.ID, nil, fmt.Errorf("a standby has no command %q", c.Name))
		case h := <-records:
			switch r := h.record.(type) {
			case nil: // another connection: what comes is all anew
				coming = newCopied()
				continue
			case replica.Alive:
				known = coming // shared from here on: each change is in force at once
				if !synced {
					t.Event("standby-synced", map[string]any{"bindings": len(known.bindings)})
				}
				synced, last = true, h.at
			default:
				if err := coming.take(r); err != nil {
					return known, last, fmt.Errorf("replication: %w", err)
				}
				if synced {
					last = h.at
				}
			}
		case <-late:
			return known, last, nil
		}
	}
}

// follow connects with the active home agent, again and again, and gives what
// comes. A nil record comes before the first of each connection.
func follow(ctx context.Context, cfg *control.Replication, records chan<- heard, t teller) {
	give := func(r replica.Record) bool {
		select {
		case records <- heard{r, time.Now()}:
			return true
		case <-ctx.Done():
			return false
		}
	}
	told := ""
	for ctx.Err() == nil {
		err := followOnce(ctx, cfg, give)
		if ctx.Err() != nil {
			return
		}
		if why := err.Error(); why != told {
			told = why
			t.Event("replication-failed", map[string]any{"error": why})
		}
		pause(ctx, replicationRetry)
	}
}

func followOnce(ctx context.Context, cfg *control.Replication, give func(replica.Record) bool) error {
	d := net.Dialer{Timeout: replicationPatience, LocalAddr: &net.TCPAddr{IP: cfg.Standby.AsSlice()}}
	c, err := d.DialContext(ctx, "tcp", cfg.Active.String())
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	var ours, theirs [replica.NonceSize]byte
	c.SetDeadline(time.Now().Add(replicationPatience))
	if _, err := io.ReadFull(c, theirs[:]); err != nil {
		return err
	}
	rand.Read(ours[:])
	if _, err := c.Write(replica.NewSeal(cfg.Key, toActive, theirs, ours).Append(bytes.Clone(ours[:]), nil)); err != nil {
		return err
	}
	if !give(nil) {
		return ctx.Err()
	}
	seal := replica.NewSeal(cfg.Key, toStandby, theirs, ours)
	for {
		c.SetReadDeadline(time.Now().Add(replicationPatience))
		frame := make([]byte, 2, 256)
		if _, err := io.ReadFull(c, frame); err != nil {
			return err
		}
		frame = append(frame, make([]byte, int(binary.BigEndian.Uint16(frame))+replica.SealSize)...)
		if _, err := io.ReadFull(c, frame[2:]); err != nil {
			return err
		}
		end := len(frame) - replica.SealSize
		if !seal.Proves(frame[:end], frame[end:]) {
			return errUnproven
		}
		r, _, err := replica.Next(frame[:end])
		if err != nil {
			return err
		}
		if !give(r) {
			return ctx.Err()
		}
	}
}

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

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
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

// takeAddresses makes the active home agent's addresses this node's own, and
// tells everybody on their links.
func takeAddresses(h *host.Host, cfg *control.Replication) error {
	nd, err := h.NDPort()
	if err != nil {
		return err
	}
	defer nd.Close()
	for _, a := range cfg.Addresses {
		if err := h.AddAddress(a.Dev, a.Address, host.AddressFlags{NoDAD: true}); err != nil {
			return err
		}
		addr := a.Address.Addr()
		if addr.Is4() {
			if err := announce4(h, a.Dev, addr); err != nil {
				return err
			}
			continue
		}
		mac, err := h.HardwareAddr(a.Dev)
		if err != nil {
			return err
		}
		b, err := icmp6.Append(nil, &icmp6.NeighborAdvertisement{Router: true, Override: true, Target: addr,
			Options: []icmp6.Option{icmp6.TargetLinkAddress{Address: mac[:]}}}, addr, netip.IPv6LinkLocalAllNodes())
		if err != nil {
			return err
		}
		for range maxNeighborAdvertisement { // a multicast may get lost
			if err := nd.Send(a.Dev, addr, netip.IPv6LinkLocalAllNodes(), b); err != nil {
				return err
			}
		}
	}
	return nil
}

// announce4 tells everybody on a link of an IPv4 address: RFC 5227, section 3.
func announce4(h *host.Host, dev string, addr netip.Addr) error {
	port, err := h.ARPPort()
	if err != nil {
		return err
	}
	defer port.Close()
	for range maxNeighborAdvertisement {
		if err := port.Announce(dev, addr); err != nil {
			return err
		}
	}
	return nil
}

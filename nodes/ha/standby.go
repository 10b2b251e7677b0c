package ha

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

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

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
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

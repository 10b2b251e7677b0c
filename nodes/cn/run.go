// Package cn is role cn: a correspondent, the far end of what mobile nodes say.
//
// By itself it does nothing but route optimization, where it is told to know that:
// the rules are in nodes/session/routability, and what it does to packets of
// applications is in nodes/host. What it sends and receives is the business of role
// traffic, or of programs that a person runs in the node.
package cn

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/session/routability"
)

// mostBindings is how many mobile nodes may have one here.
const mostBindings = 10_000

// Run is role cn: it runs until ctx or the lab ends.
func Run(ctx context.Context, c *control.Conn, cfg *control.Config) error {
	l := &loop{teller: c, offset: cfg.Clock}
	var inputs chan []byte
	if cfg.Correspondent != nil && cfg.Correspondent.RouteOptimization {
		own := addresses(cfg)
		h, err := host.Open(cfg)
		if err != nil {
			return err
		}
		defer h.Close()
		k, err := openKernel(h, own)
		if err != nil {
			return err
		}
		defer k.close()
		l.correspondent, l.hands = routability.NewCorrespondent(cfg.Seed, mostBindings, own...), k
		inputs = make(chan []byte, 64)
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		go k.receive(ctx, inputs, cancel)
	}
	return l.run(ctx, inputs, c.Commands())
}

// addresses are the node's own, of IPv6.
func addresses(cfg *control.Config) (own []netip.Addr) {
	for _, i := range cfg.Interfaces {
		for _, p := range i.Addresses {
			if p.Addr().Is6() {
				own = append(own, p.Addr())
			}
		}
	}
	return own
}

// kernel is the hands of a correspondent over nodes/host.
type kernel struct {
	mobility  *host.MobilityPort
	optimizer *host.Optimizer
}

func openKernel(h *host.Host, own []netip.Addr) (*kernel, error) {
	k := &kernel{}
	var err error
	if k.mobility, err = h.MobilityPort(own...); err != nil {
		return nil, err
	}
	if k.optimizer, err = k.mobility.Optimize(); err != nil {
		k.mobility.Close()
		return nil, err
	}
	return k, nil
}

func (k *kernel) close() {
	k.mobility.Close()
	k.optimizer.Close()
}

// receive tells the loop of packets that are not for applications.
func (k *kernel) receive(ctx context.Context, inputs chan<- []byte, fail context.CancelCauseFunc) {
	for {
		packets, err := k.mobility.Receive()
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				fail(fmt.Errorf("receive: %w", err))
			}
			return
		}
		for _, p := range packets {
			select {
			case inputs <- slices.Clone(p.Packet):
			case <-ctx.Done():
				return
			}
		}
	}
}

func (k *kernel) do(o routability.Output) error {
	switch o := o.(type) {
	case routability.Send:
		return k.mobility.Send(o.Octets)
	case routability.SetRoute:
		return k.optimizer.SetPeerCareOf(o.Own, o.Peer, o.CareOf)
	case routability.ClearRoute:
		return k.optimizer.SetPeerCareOf(o.Own, o.Peer, netip.Addr{})
	}
	return fmt.Errorf("no way to do %T", o)
}

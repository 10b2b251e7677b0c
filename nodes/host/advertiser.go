package host

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/nodes/rtnetlink"
	"s2clab/nodes/session/advertise"
	"s2clab/nodes/wire/icmp6"
)

// An Advertiser makes the node known as a router on the links where its
// configuration says so.
type Advertiser struct {
	host    *Host
	port    *NDPort
	watch   int
	routers map[string]*advertise.Router // by device
	links   map[string]advertisedLink
	send    func(dev string, out []advertise.Output)
}

// An advertisedLink is what must be known of a link before anything is sent.
type advertisedLink struct {
	carrier bool
	source  netip.Addr // the node's link-local address; invalid: none that may be used
}

// Advertiser opens one.
func (h *Host) Advertiser(cfg *control.Config) (*Advertiser, error) {
	a := &Advertiser{host: h, watch: -1, routers: map[string]*advertise.Router{}, links: map[string]advertisedLink{}}
	a.send = a.sendNow
	for n, dev := range cfg.Interfaces {
		if dev.Advertise == nil {
			continue
		}
		said := advertise.Config{
			Prefix:      dev.Advertise.Prefix,
			Address:     dev.Advertise.Address,
			MTU:         dev.MTU,
			MinInterval: dev.Advertise.MinInterval,
			MaxInterval: dev.Advertise.MaxInterval,
			Delay:       dev.Advertise.Delay,
			Lifetime:    dev.Advertise.Lifetime,
			HomeAgent:   dev.Advertise.HomeAgent,
			Managed:     dev.Advertise.Managed,
			Other:       dev.Advertise.Other,
			Preference:  dev.Advertise.Preference,
			DNS:         dev.Advertise.DNS,
		}
		mac, err := net.ParseMAC(dev.MAC)
		if err != nil {
			return nil, fmt.Errorf("device %s: %w", dev.Name, err)
		}
		said.LinkAddress = mac
		r, err := advertise.New(said, rand.New(rand.NewPCG(cfg.Seed, uint64(n)|0xadd<<32)))
		if err != nil {
			return nil, fmt.Errorf("device %s: %w", dev.Name, err)
		}
		a.routers[dev.Name] = r
	}
	if len(a.routers) == 0 {
		return a, nil
	}
	var err error
	if a.watch, err = rtnetlink.OpenFD(unix.SOCK_NONBLOCK); err != nil {
		return nil, err
	}
	if a.port, err = h.NDPort(); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// Close closes an Advertiser that does not run.
func (a *Advertiser) Close() error {
	if a.watch >= 0 {
		unix.Close(a.watch)
		a.watch = -1
	}
	if a.port != nil {
		a.port.Close()
	}
	return nil
}

// Run advertises until ctx ends; then it says on each link that the node is a
// router no more. It returns nil where there is nothing to advertise, at once.
func (a *Advertiser) Run(ctx context.Context) error {
	if len(a.routers) == 0 {
		return nil
	}
	defer a.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	changes := a.host.watchBy(ctx, a.watch)
	a.watch = -1
	solicited := make(chan heard, 16)
	go a.hear(ctx, solicited, cancel)
	return a.loop(ctx, changes, solicited)
}

// heard is a solicitation.
type heard struct {
	dev string
	in  advertise.Solicited
}

// hear tells of the solicitations that are valid: RFC 4861, section 6.1.1.
func (a *Advertiser) hear(ctx context.Context, solicited chan<- heard, fail context.CancelCauseFunc) {
	for {
		messages, err := a.port.Receive()
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				fail(fmt.Errorf("router solicitations: %w", err))
			}
			return
		}
		for _, m := range messages {
			if m.Message[0] != uint8(icmp6.TypeRouterSolicitation) {
				continue
			}
			s, err := icmp6.Parse(m.Message)
			if err != nil || icmp6.Check(s, m.Src, m.Dst, ndHops) != nil {
				continue
			}
			select {
			case solicited <- heard{m.Dev, advertise.Solicited{From: m.Src}}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// loop owns the machines.
func (a *Advertiser) loop(ctx context.Context, changes <-chan Change, solicited <-chan heard) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Stop()
		if d := a.deadline(); !d.IsZero() {
			timer.Reset(time.Until(d))
		}
		select {
		case <-ctx.Done():
			for dev, r := range a.routers {
				a.send(dev, r.Step(time.Now(), advertise.Ceased{}))
			}
			if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		case c, ok := <-changes:
			if !ok {
				changes = nil
				continue
			}
			a.changed(c)
		case s := <-solicited:
			if r := a.routers[s.dev]; r != nil {
				a.send(s.dev, r.Step(time.Now(), s.in))
			}
		case now := <-timer.C:
			for dev, r := range a.routers {
				a.send(dev, r.Tick(now))
			}
		}
	}
}

// changed tells a machine when its link becomes usable, and when it stops to be.
func (a *Advertiser) changed(c Change) {
	var dev string
	var l advertisedLink
	switch c := c.(type) {
	case LinkChange:
		dev, l = c.Dev, a.links[c.Dev]
		l.carrier = c.Carrier
	case AddressChange:
		if !c.Address.IsLinkLocalUnicast() {
			return
		}
		dev, l = c.Dev, a.links[c.Dev]
		switch usable := c.State == Ready || c.State == Optimistic; {
		case usable:
			l.source = c.Address
		case l.source == c.Address:
			l.source = netip.Addr{}
		}
	}
	r := a.routers[dev]
	if r == nil {
		return
	}
	a.links[dev] = l
	if l.carrier && l.source.IsValid() {
		a.send(dev, r.Step(time.Now(), advertise.LinkUp{}))
	} else {
		a.send(dev, r.Step(time.Now(), advertise.LinkDown{}))
	}
}

func (a *Advertiser) deadline() (first time.Time) {
	for _, r := range a.routers {
		if d := r.Deadline(); !d.IsZero() && (first.IsZero() || d.Before(first)) {
			first = d
		}
	}
	return first
}

// sendNow sends advertisements from the device's link-local address. What cannot
// be sent now is sent the next time: the link may have just gone.
func (a *Advertiser) sendNow(dev string, out []advertise.Output) {
	src := a.links[dev].source
	for _, o := range out {
		if b, err := icmp6.Append(nil, a.routers[dev].Message(o), src, o.To); err == nil {
			a.port.Send(dev, src, o.To, b)
		}
	}
}

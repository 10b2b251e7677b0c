package ha

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/mip4"
	"s2clab/nodes/wire/udp"
)

// Run is role ha: it runs until ctx or the lab ends.
func Run(ctx context.Context, c *control.Conn, cfg *control.Config) error {
	return run(ctx, c, c.Commands(), cfg)
}

func run(ctx context.Context, t teller, commands <-chan control.Command, cfg *control.Config) error {
	r := cfg.HomeAgent.Replication
	if r == nil {
		return serve(ctx, t, commands, cfg, beginning{})
	}
	if r.IsStandby {
		t.Event("ready", nil)
	} else {
		err := serveUnlessReplaced(ctx, t, commands, cfg)
		if !errors.Is(err, errReplaced) {
			return err
		}
		if err := standDown(cfg); err != nil {
			return err
		}
		r = r.Swapped()
		t.Event("stood-down", map[string]any{"home-agent": r.Active.Addr().String()})
	}
	known, last, err := standBy(ctx, r, t, commands)
	if errors.Is(err, errLabGone) {
		return nil
	}
	if err != nil {
		return err
	}
	t.Event("takeover-started", map[string]any{"silence": time.Since(last).Seconds()})
	return serve(ctx, t, commands, cfg, beginning{after: &takeover{known: known, last: last, as: r.Swapped()}})
}

// errLabGone says that the lab wants nothing more.
var errLabGone = errors.New("the lab has gone")

// A takeover is what a standby begins its service with.
type takeover struct {
	known copied
	last  time.Time            // when the one before was heard last
	as    *control.Replication // as it is now, where this node serves
}

// A beginning is how a service begins: from nothing, or after another.
type beginning struct {
	after *takeover
	sure  <-chan struct{} // closed when nobody else serves; nil: that is known
}

// serve is the home agent's service.
func serve(ctx context.Context, t teller, commands <-chan control.Command, cfg *control.Config, how beginning) error {
	after := how.after
	m, err := New(cfg)
	if err != nil {
		return err
	}
	h, err := host.Open(cfg)
	if err != nil {
		return err
	}
	defer h.Close()
	k := &kernel{host: h, address: cfg.HomeAgent.Address, address4: cfg.HomeAgent.Address4}
	defer k.close()
	k.remembered = m.Remembered
	if cfg.HomeAgent.KeepsBindings {
		if k.diary, k.records, err = openDiary(os.NewFile(control.MemoryFD, "memory")); err != nil {
			return err
		}
	}
	if r := cfg.HomeAgent.Replication; after != nil {
		if err := takeAddresses(h, r); err != nil {
			return err
		}
		// Its Origin-State-Id is newer: an AAA server lets go of a connection with
		// who was here before.
		k.records, k.state = after.known.records(), after.known.origin+1
		if r.Alone { // the one before may come back, and stand by
			k.replicator = newReplicator(after.as, k.state)
		}
	} else if r != nil {
		k.state = k.life(time.Now()) // one for the AAA servers and for the standby
		k.replicator = newReplicator(r, k.state)
	}
	if err := errors.Join(k.open(cfg), k.listen(m.agents.anycast)); err != nil {
		return err
	}

	router, err := h.Advertiser(cfg)
	if err != nil {
		return err
	}
	defer router.Close()
	servers, err := h.AddressServers(cfg)
	if err != nil {
		return err
	}
	defer servers.Close()

	ctx, cancel := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel(nil)
	bursts, inputs := make(chan burst), make(chan Input, 64)
	if asksSomebody(cfg.HomeAgent) {
		k.answers = func(in Input) { give(ctx, inputs, in) }
		if err := k.connect(cfg, t); err != nil {
			return err
		}
		running.Go(func() {
			if how.sure != nil {
				select {
				case <-how.sure:
				case <-ctx.Done():
					return
				}
			}
			if err := k.asker.run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	go k.receive(ctx, bursts, cancel)
	if k.address4.IsValid() {
		go k.receiveUDP(ctx, bursts, cancel)
	}
	if k.registrations != nil {
		go k.receiveRegistrations(ctx, inputs, cancel)
	}
	go k.hear(ctx, inputs, cancel)
	if k.asked != nil {
		go k.answerQuestions(ctx, inputs, cancel)
	}
	running.Go(func() { k.strangers(ctx, inputs) })
	running.Go(func() {
		if err := router.Run(ctx); err != nil {
			cancel(err)
		}
	})
	running.Go(func() {
		if err := servers.Run(ctx, t.Event); err != nil {
			cancel(err)
		}
	})
	l := &loop{machine: m, hands: k, teller: t}
	if err := k.recall(m, l); err != nil {
		return err
	}
	if k.replicator != nil {
		running.Go(func() {
			if err := k.replicator.serve(ctx, t); err != nil {
				cancel(err)
			}
		})
	}
	if after != nil {
		t.Event("took-over", map[string]any{"bindings": m.Counts().Bindings, "latency": time.Since(after.last).Seconds()})
	} else {
		t.Event("ready", nil)
	}
	return l.run(ctx, bursts, inputs, commands)
}

// open opens the ports and the tunnel.
func (k *kernel) open(cfg *control.Config) (err error) {
	if k.mobility, err = k.host.MobilityPort(k.address); err != nil {
		return err
	}
	if k.nd, err = k.host.NDPort(); err != nil {
		return err
	}
	if k.address4.IsValid() {
		if err = k.mobility.ListenUDP(udp.EncapsulationPort); err != nil {
			return err
		}
	}
	if len(cfg.HomeAgent.HomePrefixes4) > 0 {
		if k.arp, err = k.host.ARPPort(); err != nil {
			return err
		}
	}
	if cfg.HomeAgent.Security.Profile == "mipv4" {
		if k.registrations, err = k.host.RegistrationPort(mip4.Port); err != nil {
			return err
		}
	}
	k.tunnel, err = k.host.NewTunnel(host.TunnelConfig{Engine: cfg.HomeAgent.Tunnel, Side: host.AgentSide})
	return err
}

func (k *kernel) close() {
	if k.tunnel != nil {
		k.tunnel.Close()
	}
	if k.registrations != nil {
		k.registrations.Close()
	}
	if k.arp != nil {
		k.arp.Close()
	}
	if k.nd != nil {
		k.nd.Close()
	}
	if k.mobility != nil {
		k.mobility.Close()
	}
	if k.asked != nil {
		k.asked.Close()
	}
}

// connect makes who asks the AAA servers.
func (k *kernel) connect(cfg *control.Config, t teller) error {
	if len(cfg.HomeAgent.RADIUS) > 0 {
		return k.connectRADIUS(cfg, t)
	}
	return k.connectDiameter(cfg, t)
}

func (k *kernel) connectDiameter(cfg *control.Config, t teller) error {
	h, start := cfg.HomeAgent, time.Now()
	k.identity = diameter.Identity{Host: h.Host, Realm: h.Realm, State: k.life(start)}
	o := diampeer.ClientOptions{
		Local: diampeer.Local{
			Identity:     k.identity,
			Product:      "s2clab",
			Applications: []diameter.Application{diameter.MIP6A, diameter.S6b, diameter.Zn},
			Serves: []diampeer.Service{
				{Application: diameter.MIP6A, Command: diameter.AbortSession},
				{Application: diameter.S6b, Command: diameter.AbortSession},
			},
			Watchdog: h.Watchdog,
			Rand:     rand.New(rand.NewPCG(cfg.Seed, 0xaaa)),
		},
		Timeout: h.AAATimeout,
		Most:    2 * maxQuestions,
		Now:     start,
	}
	if h.Security.Profile == "mipv4" {
		o.Local.Applications = []diameter.Application{diameter.MIP4}
		o.Local.Serves = []diampeer.Service{{Application: diameter.MIP4, Command: diameter.AbortSession}}
	}
	for _, p := range h.AAA {
		o.Servers = append(o.Servers, diampeer.Remote{Host: p.Host, Realm: p.Realm, Address: p.Address})
	}
	if p := h.BSF; p != nil {
		o.Servers = append(o.Servers, diampeer.Remote{Host: p.Host, Realm: p.Realm, Address: p.Address})
	}
	method, err := methodOf(h)
	if err != nil {
		return err
	}
	k.sessions = diameter.MIP6A
	switch {
	case method.Keeper != nil: // they are those of authorizations
		k.sessions = diameter.S6b
	case h.Security.Profile == "mipv4":
		k.sessions = diameter.MIP4
	}
	k.client, err = host.NewDiameterClient(o, func(o diampeer.Output) {
		if d, ok := o.(diampeer.Deliver); ok {
			k.deliver(d)
		} else if name, fields := peerEvent(o); name != "" {
			t.Event(name, fields)
		}
	})
	k.asker = &diameterAsker{method: method, identity: k.identity, agent: bootstrap.Agent{Address: k.address, Host: h.Host},
		now: func() time.Time { return time.Now().Add(cfg.Clock) }, client: k.client}
	return err
}

// give hands an input to the loop, unless that has ended.
func give(ctx context.Context, inputs chan<- Input, in Input) {
	select {
	case inputs <- in:
	case <-ctx.Done():
	}
}

// receive hands packets to the loop, and waits until it has done with them.
func (k *kernel) receive(ctx context.Context, bursts chan<- burst, fail context.CancelCauseFunc) {
	done := make(chan struct{}, 1)
	for {
		packets, err := k.mobility.Receive()
		if err != nil {
			failed(fail, err)
			return
		}
		if !hand(ctx, bursts, burst{packets: packets, done: done}, done) {
			return
		}
	}
}

// receiveUDP is receive, for what comes in UDP over IPv4.
func (k *kernel) receiveUDP(ctx context.Context, bursts chan<- burst, fail context.CancelCauseFunc) {
	done := make(chan struct{}, 1)
	for {
		packets, err := k.mobility.ReceiveUDP()
		if err != nil {
			failed(fail, err)
			return
		}
		if !hand(ctx, bursts, burst{udp: packets, done: done}, done) {
			return
		}
	}
}

// hand hands a burst over and says whether the loop goes on.
func hand(ctx context.Context, bursts chan<- burst, b burst, done <-chan struct{}) bool {
	select {
	case bursts <- b:
	case <-ctx.Done():
		return false
	}
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// hear tells the loop who claims addresses on a link.
func (k *kernel) hear(ctx context.Context, inputs chan<- Input, fail context.CancelCauseFunc) {
	for {
		messages, err := k.nd.Receive()
		if err != nil {
			failed(fail, err)
			return
		}
		for i := range messages {
			if in, ok := claim(&messages[i]); ok {
				give(ctx, inputs, in)
			} else if in := advertised(&messages[i]); in != nil {
				give(ctx, inputs, in)
			}
		}
	}
}

// answerQuestions tells the loop who asks for home agents.
func (k *kernel) answerQuestions(ctx context.Context, inputs chan<- Input, fail context.CancelCauseFunc) {
	for {
		messages, err := k.asked.Receive()
		if err != nil {
			failed(fail, err)
			return
		}
		for i := range messages {
			if in, ok := homeAgentsAsked(&messages[i]); ok {
				give(ctx, inputs, in)
			}
		}
	}
}

// listen opens the port at which others ask for home agents.
func (k *kernel) listen(anycast map[netip.Addr]string) (err error) {
	if len(anycast) == 0 {
		return nil
	}
	if k.asked, err = k.host.DiscoveryPort(icmp6.TypeHomeAgentRequest); err != nil {
		return err
	}
	for a, dev := range anycast {
		if err := k.asked.Anycast(dev, a); err != nil {
			return err
		}
	}
	return nil
}

// strangers tells the loop of tunnelled packets that came from no care-of
// address.
func (k *kernel) strangers(ctx context.Context, inputs chan<- Input) {
	for {
		select {
		case r, ok := <-k.tunnel.Refusals():
			if !ok {
				return
			}
			if r.Reason == "wrong-outer-source" {
				give(ctx, inputs, StrangerTunnelled{Source: r.Outer, Port: r.Port, Inner: r.Inner})
			}
		case <-ctx.Done():
			return
		}
	}
}

// failed ends the role because a port does not receive any more, unless it was
// closed since the role ends.
func failed(fail context.CancelCauseFunc, err error) {
	if !errors.Is(err, os.ErrClosed) {
		fail(fmt.Errorf("receive: %w", err))
	}
}

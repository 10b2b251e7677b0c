package mn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/session/ub"
	"s2clab/nodes/wire/mip4"
	"s2clab/nodes/wire/udp"
)

// Run is role mn: it runs until ctx or the lab ends.
func Run(ctx context.Context, c *control.Conn, cfg *control.Config) error {
	m, err := New(cfg)
	if err != nil {
		return err
	}
	h, err := host.Open(cfg)
	if err != nil {
		return err
	}
	defer h.Close()
	own, mobile := *cfg, ofMobileIPv4(*cfg.MobileNode)
	own.MobileNode = &mobile
	cfg = &own
	k, err := openKernel(h, cfg, c)
	if err != nil {
		return err
	}
	defer k.close()
	if k.tunnel, err = h.NewTunnel(host.TunnelConfig{Engine: cfg.MobileNode.Tunnel, Side: host.MobileSide, HomeAddress: cfg.MobileNode.HomeAddress, HomeAddress4: m.dual.home}); err != nil {
		return err
	}

	if cfg.MobileNode.RouteOptimization {
		if k.optimizer, err = k.mobility.Optimize(); err != nil {
			return err
		}
		if k.home.IsValid() {
			if err := k.optimizer.SetHome(k.home); err != nil {
				return err
			}
		}
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	inputs := make(chan Input, 64)
	if cfg.MobileNode.BSF != nil {
		k.ub = host.NewUbClient(ctx, func(in ub.Input) { give(ctx, inputs, UbAnswered{in}) })
		defer k.ub.Close()
	}
	k.listen(ctx, inputs, cancel)
	c.Event("ready", nil)
	l := &loop{machine: m, offset: cfg.Clock, hands: k, teller: c}
	return l.run(ctx, inputs, c.Commands())
}

// openKernel opens the ports, and takes from the kernel what is ours to do: it
// shall not configure addresses by itself.
func openKernel(h *host.Host, cfg *control.Config, t teller) (*kernel, error) {
	home := cfg.MobileNode.HomeAddress
	k := &kernel{host: h, home: home, teller: t, ready: map[string]bool{}}
	var errs []error
	for _, i := range cfg.Interfaces {
		k.devices = append(k.devices, i.Name)
		errs = append(errs, h.SetSysctl("conf/"+i.Name+"/accept_ra", "0"), h.SetSysctl("conf/"+i.Name+"/autoconf", "0"))
	}
	var err error
	var own []netip.Addr
	if home.IsValid() {
		own = []netip.Addr{home}
	}
	if k.mobility, err = h.MobilityPort(own...); err != nil {
		errs = append(errs, err)
	}
	if k.nd, err = h.NDPort(); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, k.openDHCP6(), k.openPorts(cfg))
	if cfg.MobileNode.Discovery != nil {
		errs = append(errs, k.openDiscovery())
	}
	if usesIPv4(cfg.MobileNode) {
		errs = append(errs, k.openIPv4())
	}
	if err := errors.Join(errs...); err != nil {
		k.close()
		return nil, err
	}
	if usesMobileIPv4(cfg.MobileNode) {
		if k.registration, err = h.RegistrationPort(mip4.Port); err != nil {
			k.close()
			return nil, err
		}
	}
	if home.IsValid() { // a process before this one may have ended at home
		p := netip.PrefixFrom(home, cfg.MobileNode.HomePrefix.Bits())
		if err := k.clearHome(p, cfg.MobileNode.HomeAgent); err != nil {
			k.close()
			return nil, err
		}
	}
	return k, nil
}

// listen begins to tell the loop what happens.
func (k *kernel) listen(ctx context.Context, inputs chan<- Input, fail context.CancelCauseFunc) {
	go k.watch(ctx, inputs)
	go k.hear(ctx, inputs, fail)
	go k.receive(ctx, inputs, fail)
	if k.arp != nil {
		go k.receiveUDP(ctx, inputs, fail)
		go k.hearARP(ctx, inputs, fail)
	}
	for dev, port := range k.dhcp4 {
		go hearDHCP(ctx, dev, port.DHCPPort, inputs, fail)
	}
	for dev, port := range k.dhcp6 {
		go hearDHCP(ctx, dev, port, inputs, fail)
	}
	for dev, port := range k.ports {
		go hearEAPOL(ctx, dev, port.EAPOLPort, inputs, fail)
	}
	if k.registration != nil {
		go k.hearRegistration(ctx, inputs, fail)
	}
	go refusals(ctx, k.tunnel.Refusals(), inputs)
	if k.optimizer != nil {
		go k.receiveOptimized(ctx, inputs)
	}
	if k.replies != nil {
		k.resolver = newResolver(ctx, inputs)
		go k.hearReplies(ctx, inputs, fail)
	}
}

func (k *kernel) close() {
	if k.tunnel != nil {
		k.tunnel.Close()
	}
	k.closePorts()
	if k.arp != nil {
		k.arp.Close()
	}
	for _, port := range k.dhcp4 {
		port.Close()
	}
	for _, port := range k.dhcp6 {
		port.Close()
	}
	if k.resolver != nil {
		k.resolver.Close()
	}
	if k.replies != nil {
		k.replies.Close()
	}
	if k.registration != nil {
		k.registration.Close()
	}
	if k.nd != nil {
		k.nd.Close()
	}
	if k.mobility != nil {
		k.mobility.Close()
	}
	if k.optimizer != nil {
		k.optimizer.Close()
	}
}

// give hands an input to the loop, unless that has ended.
func give(ctx context.Context, inputs chan<- Input, in Input) {
	select {
	case inputs <- in:
	case <-ctx.Done():
	}
}

// watch tells the loop of carriers and addresses.
func (k *kernel) watch(ctx context.Context, inputs chan<- Input) {
	for c := range k.host.Watch(ctx) {
		if a, ok := c.(host.AddressChange); ok && a.Address.IsLinkLocalUnicast() {
			k.setReady(a.Dev, a.State == host.Ready)
			continue
		}
		if in := sensed(c); in != nil {
			give(ctx, inputs, in)
		}
	}
}

// hear tells the loop of neighbour discovery messages.
func (k *kernel) hear(ctx context.Context, inputs chan<- Input, fail context.CancelCauseFunc) {
	for {
		messages, err := k.nd.Receive()
		if err != nil {
			failed(fail, err)
			return
		}
		for i := range messages {
			if in := discovered(&messages[i]); in != nil {
				give(ctx, inputs, in)
			}
		}
	}
}

// receive tells the loop of packets with a Mobility Header.
func (k *kernel) receive(ctx context.Context, inputs chan<- Input, fail context.CancelCauseFunc) {
	for {
		packets, err := k.mobility.Receive()
		if err != nil {
			failed(fail, err)
			return
		}
		for _, p := range packets {
			give(ctx, inputs, Received{Dev: p.Dev, Octets: slices.Clone(p.Packet), Tunnelled: p.IsTunnelled()})
		}
	}
}

// receiveOptimized is receive, for what route optimization hears besides.
func (k *kernel) receiveOptimized(ctx context.Context, inputs chan<- Input) {
	for {
		select {
		case p := <-k.optimizer.Delivered():
			give(ctx, inputs, Received{Dev: p.Dev, Octets: p.Packet, Tunnelled: p.IsTunnelled()})
		case b := <-k.optimizer.Refusals():
			give(ctx, inputs, Unsupported{Octets: b})
		case <-ctx.Done():
			return
		}
	}
}

// openIPv4 opens the ports for IPv4.
func (k *kernel) openIPv4() (err error) {
	if k.arp, err = k.host.ARPPort(); err != nil {
		return err
	}
	k.dhcp4 = map[string]*host.DHCPClientPort{}
	for _, dev := range k.devices {
		if k.dhcp4[dev], err = k.host.DHCP4ClientPort(dev); err != nil {
			delete(k.dhcp4, dev)
			return err
		}
	}
	if k.mobility == nil {
		return nil // its own error is told
	}
	k.mobility.TakeAnyUDP(!k.home.IsValid())
	return k.mobility.ListenUDP(udp.EncapsulationPort)
}

// receiveUDP is receive, for what comes in UDP over IPv4.
func (k *kernel) receiveUDP(ctx context.Context, inputs chan<- Input, fail context.CancelCauseFunc) {
	for {
		packets, err := k.mobility.ReceiveUDP()
		if err != nil {
			failed(fail, err)
			return
		}
		for _, p := range packets {
			give(ctx, inputs, Received{Dev: p.Dev, Octets: p.Packet, From: p.From})
		}
	}
}

// refusals tells the loop of what came by the tunnel and was dropped.
func refusals(ctx context.Context, dropped <-chan host.Refusal, inputs chan<- Input) {
	for {
		select {
		case r, ok := <-dropped:
			if !ok {
				return
			}
			give(ctx, inputs, Refused{Reason: r.Reason, Outer: r.Outer, Inner: r.Inner})
		case <-ctx.Done():
			return
		}
	}
}

// failed ends the role because a port does not receive any more, unless it was
// closed since the role ends.
func failed(fail context.CancelCauseFunc, err error) {
	if !errors.Is(err, os.ErrClosed) && !errors.Is(err, net.ErrClosed) {
		fail(fmt.Errorf("receive: %w", err))
	}
}

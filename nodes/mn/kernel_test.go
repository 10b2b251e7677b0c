package mn

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// A field is a mobile node in a namespace of its own, and another namespace with
// the far ends of its links, where the test plays routers and home agent.
type field struct {
	t      *testing.T
	mobile ns.NetNS
	net    ns.NetNS

	far      *host.Host
	nd       *host.NDPort
	mobility *host.MobilityPort
	key      *association.Association

	mu       sync.Mutex
	happened []told
	linked   map[string]bool // far ends that have a link-local address
	news     chan struct{}

	updates chan arrived
	solicit chan string // device that a Router Solicitation came by
	unasked chan *icmp6.NeighborAdvertisement
}

// An arrived is a Binding Update that has arrived.
type arrived struct {
	at     time.Time
	dev    string
	packet ipv6.Packet
	*mh.BindingUpdate
}

// told is an event and when it came.
type told struct {
	name   string
	fields map[string]any
	at     time.Time
}

func (f *field) Event(name string, fields map[string]any) {
	f.mu.Lock()
	f.happened = append(f.happened, told{name, fields, time.Now()})
	f.mu.Unlock()
	f.wake()
}

func (f *field) wake() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// watch notes which far ends have a link-local address: without one they ask for
// nobody's link-layer address.
func (f *field) watch() {
	for c := range f.far.Watch(f.t.Context()) {
		if a, ok := c.(host.AddressChange); ok && a.Address.IsLinkLocalUnicast() {
			f.mu.Lock()
			f.linked[a.Dev] = a.State == host.Ready
			f.mu.Unlock()
			f.wake()
		}
	}
}

func (f *field) Reply(uint64, any, error) {}

// wait waits for the nth event of a name.
func (f *field) wait(name string, nth int) (e told) {
	f.t.Helper()
	f.until(name, func() bool {
		n := 0
		for _, e = range f.happened {
			if e.name == name {
				if n++; n == nth {
					return true
				}
			}
		}
		return false
	})
	return e
}

// all is what has happened so far.
func (f *field) all() []told {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.happened)
}

func (f *field) noneOf(names ...string) {
	f.t.Helper()
	for _, e := range f.all() {
		if slices.Contains(names, e.name) {
			f.t.Errorf("%s %v", e.name, e.fields)
		}
	}
}

// until waits for what some news must make true.
func (f *field) until(what string, holds func() bool) {
	f.t.Helper()
	late := time.After(20 * time.Second)
	for {
		f.mu.Lock()
		ok := holds()
		f.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-f.news:
		case <-late:
			f.mu.Lock()
			defer f.mu.Unlock()
			f.t.Fatalf("no %s; happened: %v", what, f.happened)
		}
	}
}

var links = []string{"lte", "wlan", "wimax"}

func farEnd(dev string) string { return dev + "-gw" }

// open makes the namespaces and starts the mobile node.
func open(t *testing.T, cfg *control.Config, with func(h *host.Host) (tunnel, error)) *field {
	t.Helper()
	f := &field{t: t, mobile: netnstest.New(t), net: netnstest.New(t), news: make(chan struct{}, 1), linked: map[string]bool{},
		key: association.New(cfg.MobileNode.MNHASPI, cfg.MobileNode.MNHAKey), updates: make(chan arrived, 16),
		solicit: make(chan string, 64), unasked: make(chan *icmp6.NeighborAdvertisement, 16)}
	far := &control.Config{}
	for i, dev := range links {
		netnstest.Pair(t, f.mobile, dev, f.net, farEnd(dev))
		f.set(dev, false)
		netnstest.In(t, f.mobile, func() error {
			l, err := netlink.LinkByName(dev)
			if err != nil {
				return err
			}
			cfg.Interfaces[i].Index, cfg.Interfaces[i].MAC = l.Attrs().Index, l.Attrs().HardwareAddr.String()
			return nil
		})
		netnstest.In(t, f.net, func() error {
			l, err := netlink.LinkByName(farEnd(dev))
			if err != nil {
				return err
			}
			far.Interfaces = append(far.Interfaces, control.Interface{Name: farEnd(dev), Index: l.Attrs().Index})
			return nil
		})
	}
	netnstest.In(t, f.net, func() (err error) {
		if f.far, err = host.Open(far); err != nil {
			return err
		}
		if err := f.far.SetForwarding(true); err != nil {
			return err
		}
		if f.nd, err = f.far.NDPort(); err != nil {
			return err
		}
		f.mobility, err = f.far.MobilityPort(homeAgent)
		return err
	})
	t.Cleanup(func() { f.nd.Close(); f.mobility.Close(); f.far.Close() })
	go f.hear()
	go f.receive()
	go f.watch()

	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	opened := make(chan error, 1)
	go func() {
		// The loop stays in the namespace: some of what it does needs that.
		ended <- f.mobile.Do(func(ns.NetNS) error {
			h, err := host.Open(cfg)
			if err != nil {
				opened <- err
				return err
			}
			defer h.Close()
			k, err := openKernel(h, cfg, f)
			if err == nil {
				defer k.close()
				k.tunnel, err = with(h)
			}
			opened <- err
			if err != nil {
				return err
			}
			m, err := New(cfg)
			if err != nil {
				return err
			}
			inputs := make(chan Input, 64)
			k.listen(ctx, inputs, cancel)
			return (&loop{machine: m, hands: k, teller: f}).run(ctx, inputs, nil)
		})
	}()
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel(context.Canceled)
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the loop ended with %v", err)
		}
	})
	return f
}

// noTunnel stands for the tunnel where that is not what is looked at.
type noTunnel struct{}

func (*noTunnel) SetHome(netip.Addr) error             { return nil }
func (*noTunnel) Expect(host.Binding) error            { return nil }
func (*noTunnel) Forsake() error                       { return nil }
func (*noTunnel) Send(netip.Addr, ...[]byte) error     { return nil }
func (*noTunnel) Set(host.Binding) error               { return nil }
func (*noTunnel) Clear(netip.Addr) error               { return nil }
func (*noTunnel) EngineOf(netip.Addr) (string, string) { return "none", "" }
func (*noTunnel) Refusals() <-chan host.Refusal        { return nil }
func (*noTunnel) Close() error                         { return nil }
func (*noTunnel) SetWays(host.Ways) error              { return nil }

// without gives the loopback device the home address, which the tunnel's device
// would have.
func without(*host.Host) (tunnel, error) {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return nil, err
	}
	return &noTunnel{}, netlink.AddrAdd(lo, &netlink.Addr{IPNet: hostNet(homeAddress), Flags: unix.IFA_F_NODAD})
}

func (f *field) in(space ns.NetNS, g func() error) { f.t.Helper(); netnstest.In(f.t, space, g) }

// carrier lets the mobile's end of a link gain or lose its carrier. A look at
// each end makes the kernel finish the change at once, the far end first.
func (f *field) carrier(dev string, up bool) {
	f.t.Helper()
	f.set(dev, up)
	f.until("link-local address of "+farEnd(dev), func() bool { return f.linked[farEnd(dev)] == up })
	f.in(f.mobile, func() error {
		_, err := netlink.LinkByName(dev)
		return err
	})
}

// set takes the far end of a link up or down.
func (f *field) set(dev string, up bool) {
	f.t.Helper()
	f.in(f.net, func() error {
		l, err := netlink.LinkByName(farEnd(dev))
		if err != nil {
			return err
		}
		if !up {
			return netlink.LinkSetDown(l)
		}
		if err := netlink.LinkSetUp(l); err != nil {
			return err
		}
		_, err = netlink.LinkByName(farEnd(dev))
		return err
	})
}

func (f *field) hear() {
	for {
		messages, err := f.nd.Receive()
		if err != nil {
			return
		}
		for _, d := range messages {
			m, err := icmp6.Parse(d.Message)
			if err != nil {
				continue
			}
			switch m := m.(type) {
			case *icmp6.RouterSolicitation:
				f.solicit <- d.Dev
			case *icmp6.NeighborAdvertisement:
				if d.Dst.IsMulticast() && m.Override {
					f.unasked <- m
				}
			}
		}
	}
}

func (f *field) receive() {
	for {
		packets, err := f.mobility.Receive()
		if err != nil {
			return
		}
		for _, d := range packets {
			p, err := ipv6.Parse(slices.Clone(d.Packet))
			if err != nil {
				continue
			}
			if m, err := mh.Parse(p.Payload); err == nil {
				if bu, ok := m.(*mh.BindingUpdate); ok {
					f.updates <- arrived{time.Now(), d.Dev, p, bu}
				}
			}
		}
	}
}

// advertise sends a Router Advertisement as soon as it is asked for one.
func (f *field) advertise(dev string, prefix netip.Prefix) time.Time {
	f.t.Helper()
	for asked := ""; asked != farEnd(dev); {
		select {
		case asked = <-f.solicit:
		case <-time.After(20 * time.Second):
			f.t.Fatalf("no router solicitation on %s", dev)
		}
	}
	mac, err := f.far.HardwareAddr(farEnd(dev))
	if err != nil {
		f.t.Fatal(err)
	}
	address := join(prefix, 1)
	if prefix == homePrefix {
		address = homeAgent
	}
	m := &icmp6.RouterAdvertisement{Lifetime: time.Hour, Options: []icmp6.Option{
		icmp6.SourceLinkAddress{Address: mac[:]},
		icmp6.PrefixInformation{Prefix: netip.PrefixFrom(address, 64), OnLink: true, Autonomous: true, RouterAddress: true, Valid: Forever, Preferred: Forever},
	}}
	b, err := icmp6.Append(nil, m, routerLL, netip.IPv6LinkLocalAllNodes())
	if err != nil {
		f.t.Fatal(err)
	}
	at := time.Now()
	if err := f.nd.Send(farEnd(dev), routerLL, netip.IPv6LinkLocalAllNodes(), b); err != nil {
		f.t.Fatal(err)
	}
	return at
}

func (f *field) update() arrived {
	f.t.Helper()
	select {
	case u := <-f.updates:
		return u
	case <-time.After(20 * time.Second):
		f.t.Fatalf("no binding update; happened: %v", f.all())
	}
	panic("not reached")
}

// acknowledge answers as the home agent.
func (f *field) acknowledge(u arrived) {
	f.t.Helper()
	careOf, _ := mh.Find[mh.AlternateCareOf](u.Options)
	ba := &mh.BindingAcknowledgement{Seq: u.Seq, Lifetime: u.Lifetime}
	if r, ok := mh.Find[mh.ReplayProtection](u.Options); ok {
		ba.Options = append(ba.Options, r)
	}
	header, err := association.SealMNHA(nil, ba, f.key, careOf.Address, homeAddress, homeAgent, homeAddress)
	if err != nil {
		f.t.Fatal(err)
	}
	p := &ipv6.Packet{Src: homeAgent, Dst: u.packet.Src, HopLimit: 64, Next: ipv6.Mobility, Payload: header}
	if u.packet.Src != homeAddress {
		p.RoutingHome, p.SegmentsLeft = homeAddress, 1
	}
	b, err := ipv6.Append(nil, p)
	if err != nil {
		f.t.Fatal(err)
	}
	f.route(u)
	if err := f.mobility.Send(b); err != nil {
		f.t.Fatal(err)
	}
}

// route leads what is for the source of u back to where it came from.
func (f *field) route(u arrived) {
	f.t.Helper()
	f.in(f.net, func() error {
		l, err := netlink.LinkByName(u.dev)
		if err != nil {
			return err
		}
		return netlink.RouteReplace(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: hostNet(u.packet.Src)})
	})
}

// direct leads what is for the home address onto the home link.
func (f *field) direct(dev string) {
	f.t.Helper()
	f.route(arrived{dev: farEnd(dev), packet: ipv6.Packet{Src: homeAddress}})
}

func TestInRealNamespacesAMobileLeavesHomeMovesAndReturns(t *testing.T) {
	for _, dad := range []string{"none", "optimistic", "full"} {
		t.Run(dad, func(t *testing.T) {
			cfg := config()
			cfg.MobileNode.DAD = dad
			f := open(t, cfg, without)

			f.carrier("lte", true)
			f.advertise("lte", homePrefix)
			f.wait("attached", 1)
			f.carrier("lte", false)
			f.wait("carrier-lost", 1)

			f.carrier("wlan", true)
			asked := f.advertise("wlan", wlanPrefix)
			u := f.update()
			t.Logf("binding update %v after the advertisement", u.at.Sub(asked))
			if u.dev != "wlan-gw" || !wlanPrefix.Contains(u.packet.Src) || u.packet.HomeAddress != homeAddress {
				t.Errorf("got %+v by %s", u.packet, u.dev)
			}
			f.acknowledge(u)
			f.wait("bound", 1)

			f.carrier("wimax", true)
			asked = f.advertise("wimax", wimaxPrefix)
			u = f.update()
			t.Logf("binding update %v after the advertisement", u.at.Sub(asked))
			f.acknowledge(u)
			f.wait("bound", 2)
			f.carrier("wlan", false)
			f.wait("carrier-lost", 2)

			f.carrier("wimax", false)
			f.carrier("lte", true)
			asked = f.advertise("lte", homePrefix)
			u = f.update()
			t.Logf("de-registration %v after the advertisement", u.at.Sub(asked))
			if u.dev != "lte-gw" || u.packet.Src != homeAddress || u.Lifetime != 0 {
				t.Errorf("got %+v by %s", u, u.dev)
			}
			f.acknowledge(u)
			f.wait("returned-home", 1)
			select {
			case n := <-f.unasked:
				if n.Target != homeAddress || n.Solicited {
					t.Errorf("got %+v", n)
				}
			case <-time.After(20 * time.Second):
				t.Error("no unsolicited neighbor advertisement")
			}
			f.noneOf("action-failed", "message-ignored")
		})
	}
}

func hostNet(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(128, 128)}
}

// cn is the address of a correspondent node, which the far namespace plays too.
var cn = netip.MustParseAddr("2001:db8:ffff::1")

// agent gives the far namespace the home agent's address, the far end of the
// tunnel, and a correspondent node that sends back what it gets.
func (f *field) agent(engine string) *host.Tunnel {
	f.t.Helper()
	var t *host.Tunnel
	f.in(f.net, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		for _, a := range []netip.Addr{homeAgent, cn} {
			if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: hostNet(a), Flags: unix.IFA_F_NODAD}); err != nil {
				return err
			}
		}
		if t, err = f.far.NewTunnel(host.TunnelConfig{Engine: engine, Side: host.AgentSide}); err != nil {
			return err
		}
		echo, err := net.ListenUDP("udp6", &net.UDPAddr{IP: cn.AsSlice(), Port: 7})
		if err != nil {
			return err
		}
		f.t.Cleanup(func() { echo.Close() })
		go func() {
			b := make([]byte, 100)
			for {
				n, from, err := echo.ReadFromUDPAddrPort(b)
				if err != nil {
					return
				}
				echo.WriteToUDPAddrPort(b[:n], from)
			}
		}()
		return nil
	})
	f.t.Cleanup(func() { f.in(f.net, func() error { return t.Close() }) })
	return t
}

// own gives a far end an address, for which the kernel then answers there.
func (f *field) own(dev string, a netip.Addr) {
	f.t.Helper()
	f.in(f.net, func() error {
		l, err := netlink.LinkByName(dev)
		if err != nil {
			return err
		}
		return netlink.AddrAdd(l, &netlink.Addr{IPNet: hostNet(a), Flags: unix.IFA_F_NODAD})
	})
}

// towards makes the far namespace send what is for the mobile by the right way:
// directly at home, else to its care-of address.
func (f *field) towards(t *host.Tunnel, u arrived) {
	f.t.Helper()
	if u.Lifetime == 0 {
		if err := t.Clear(homeAddress); err != nil {
			f.t.Fatal(err)
		}
		return
	}
	f.route(u)
	if err := t.Set(host.Binding{Inner: homeAddress, Local: homeAgent, Remote: u.packet.Src}); err != nil {
		f.t.Fatal(err)
	}
}

// echoes waits until an application at the home address has heard from the
// correspondent node, and fails where its socket ever does.
func (f *field) echoes(app *net.UDPConn, where string) {
	f.t.Helper()
	b := make([]byte, 100)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if _, err := app.Write([]byte(where)); err != nil {
			f.t.Fatalf("%s: the application cannot send: %v", where, err)
		}
		app.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := app.Read(b); err == nil && string(b[:n]) == where {
			return
		}
	}
	f.t.Fatalf("%s: nothing comes back; happened: %v", where, f.all())
}

// hears waits until the home address has heard from the correspondent node unasked.
func (f *field) hears(when string) {
	f.t.Helper()
	var at *net.UDPConn
	var from net.Conn
	f.in(f.mobile, func() (err error) {
		at, err = net.ListenUDP("udp6", &net.UDPAddr{IP: homeAddress.AsSlice(), Port: 9})
		return err
	})
	defer at.Close()
	f.in(f.net, func() (err error) {
		from, err = net.DialUDP("udp6", &net.UDPAddr{IP: cn.AsSlice()}, &net.UDPAddr{IP: homeAddress.AsSlice(), Port: 9})
		return err
	})
	defer from.Close()
	b := make([]byte, 100)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if _, err := from.Write([]byte(when)); err != nil {
			f.t.Fatalf("%s: the correspondent node cannot send: %v", when, err)
		}
		at.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := at.Read(b); err == nil && string(b[:n]) == when {
			return
		}
	}
	f.t.Fatalf("%s: nothing comes; happened: %v", when, f.all())
}

func TestInRealNamespacesAnApplicationKeepsItsSocketAllTheWay(t *testing.T) {
	for _, engine := range []string{"user", "kernel"} {
		t.Run(engine, func(t *testing.T) {
			cfg := config()
			f := open(t, cfg, func(h *host.Host) (tunnel, error) {
				return h.NewTunnel(host.TunnelConfig{Engine: engine, Side: host.MobileSide, HomeAddress: homeAddress})
			})
			far := f.agent(engine)
			var app *net.UDPConn
			f.in(f.mobile, func() (err error) {
				// Not bound to the home address: the kernel has to choose it.
				app, err = net.DialUDP("udp6", nil, &net.UDPAddr{IP: cn.AsSlice(), Port: 7})
				return err
			})
			defer app.Close()
			if a := app.LocalAddr().(*net.UDPAddr).AddrPort().Addr(); a != homeAddress {
				t.Fatalf("an application gets %v, want the home address", a)
			}
			if _, err := app.Write([]byte("nowhere")); err != nil {
				t.Errorf("an application cannot send while there is no way: %v", err)
			}

			f.carrier("lte", true)
			f.advertise("lte", homePrefix)
			f.wait("attached", 1)
			f.direct("lte")
			f.echoes(app, "at home")

			f.carrier("lte", false)
			f.carrier("wlan", true)
			f.advertise("wlan", wlanPrefix)
			u := f.update()
			f.towards(far, u)
			f.hears("before the acknowledgement")
			f.acknowledge(u)
			f.wait("tunnel-set", 1)
			f.echoes(app, "by wlan")

			f.carrier("wimax", true)
			f.advertise("wimax", wimaxPrefix)
			u = f.update()
			f.hears("by wlan, while the binding moves")
			f.towards(far, u)
			f.acknowledge(u)
			f.wait("tunnel-set", 2)
			f.echoes(app, "by wimax")
			f.carrier("wlan", false)
			f.echoes(app, "by wimax alone")

			f.carrier("lte", true)
			f.advertise("lte", homePrefix)
			u = f.update()
			f.echoes(app, "by wimax, while the binding ends")
			f.towards(far, u)
			f.direct("lte")
			f.acknowledge(u)
			f.wait("returned-home", 1)
			f.echoes(app, "at home again")
			f.carrier("wimax", false)
			f.echoes(app, "at home alone")
			f.noneOf("action-failed")
		})
	}
}

// A mobile node that was told no home address learns it on the first access, and
// sockets that are opened from then on have it; on its home link it comes home.
func TestInRealNamespacesAMobileIsAssignedItsHomeAddress(t *testing.T) {
	for _, engine := range []string{"user", "kernel"} {
		for _, first := range []string{"wlan", "lte"} {
			t.Run(engine+" "+first, func(t *testing.T) {
				f := open(t, homeless(config()), func(h *host.Host) (tunnel, error) {
					return h.NewTunnel(host.TunnelConfig{Engine: engine, Side: host.MobileSide})
				})
				far := f.agent(engine)
				dial := func() (app *net.UDPConn, err error) {
					f.in(f.mobile, func() error {
						app, err = net.DialUDP("udp6", nil, &net.UDPAddr{IP: cn.AsSlice(), Port: 7})
						return nil
					})
					return app, err
				}
				if app, err := dial(); !errors.Is(err, unix.ENETUNREACH) {
					t.Fatalf("an application without an address: %v, %v", app, err)
				}
				prefix := wlanPrefix
				if first == "lte" {
					prefix = homePrefix
				}
				f.carrier(first, true)
				if first == "lte" {
					f.own("lte-gw", homeAgent)
				}
				f.advertise(first, prefix)
				u := f.update()
				if !u.packet.HomeAddress.IsUnspecified() || !prefix.Contains(u.packet.Src) {
					t.Fatalf("got %+v", u.packet)
				}
				f.towards(far, u)
				f.acknowledge(u)
				f.wait("home-address-assigned", 1)
				f.wait("bound", 1)
				if first == "wlan" {
					f.wait("tunnel-set", 1)
				}
				app, err := dial()
				if err != nil {
					t.Fatal(err)
				}
				defer app.Close()
				if a := app.LocalAddr().(*net.UDPAddr).AddrPort().Addr(); a != homeAddress {
					t.Fatalf("an application gets %v, want the home address", a)
				}
				if first == "wlan" {
					f.echoes(app, "by wlan")
					f.carrier("wlan", false)
					f.carrier("lte", true)
					f.advertise("lte", homePrefix)
				}
				before := u
				for u = f.update(); u.packet.Src == before.packet.Src && u.Lifetime == before.Lifetime; u = f.update() {
					// It was sent again: this machine took longer than its timer.
				}
				if u.dev != "lte-gw" || u.packet.Src != homeAddress || u.Lifetime != 0 {
					t.Fatalf("got %+v by %s", u, u.dev)
				}
				f.towards(far, u)
				f.direct("lte")
				f.acknowledge(u) // which is heard for the assigned address
				f.wait("returned-home", 1)
				f.echoes(app, "at home")
				f.noneOf("action-failed", "message-ignored")
			})
		}
	}
}

package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"golang.org/x/sys/unix"

	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/wire/eapol"
)

func eapolPort(t testing.TB, n *testNode, dev string) *EAPOLPort {
	t.Helper()
	var p *EAPOLPort
	n.in(func() (err error) {
		p, err = n.EAPOLPort(dev)
		return err
	})
	t.Cleanup(func() { p.Close() })
	return p
}

// hears waits for a frame that ends with text.
func (p *EAPOLPort) hears(t testing.TB, text string) EAPOLFrame {
	t.Helper()
	for {
		got, err := p.Receive()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range got {
			parsed, err := eapol.Parse(f.Octets)
			if err != nil {
				t.Fatal(err)
			}
			if string(parsed.Body) == text {
				return f
			}
		}
	}
}

func controlledPort(t testing.TB, n *testNode, dev string) *ControlledPort {
	t.Helper()
	var p *ControlledPort
	n.in(func() (err error) {
		p, err = n.ControlledPort(dev)
		return err
	})
	t.Cleanup(func() { p.Close() })
	return p
}

// An accessLink has a router and two mobile nodes on it.
type accessLink struct {
	t                   testing.TB
	router, first, next *testNode
	eapol               map[*testNode]*EAPOLPort
	udp                 map[*testNode]*net.UDPConn
	addresses           map[*testNode]netip.Addr
	macs                map[*testNode][6]byte
	devs                map[*testNode]string
	sent                int
}

func newAccessLink(t testing.TB) *accessLink {
	l := &accessLink{
		t: t, router: newNode(t), first: newNode(t), next: newNode(t),
		eapol: map[*testNode]*EAPOLPort{}, udp: map[*testNode]*net.UDPConn{}, macs: map[*testNode][6]byte{},
	}
	l.devs = map[*testNode]string{l.router: "access", l.first: "wlan", l.next: "wlan2"}
	l.addresses = map[*testNode]netip.Addr{
		l.router: netip.MustParseAddr("2001:db8:1::1"), l.first: netip.MustParseAddr("2001:db8:1::2"), l.next: netip.MustParseAddr("2001:db8:1::3"),
	}
	netnstest.Shared(t, map[string]ns.NetNS{"access": l.router.space, "wlan": l.first.space, "wlan2": l.next.space})
	for n, dev := range l.devs {
		n.address(dev, l.addresses[n].String()+"/64")
		l.eapol[n], l.udp[n] = eapolPort(t, n, dev), n.listenUDP(l.addresses[n])
		mac, err := n.HardwareAddr(dev)
		n.must(err)
		l.macs[n] = mac
	}
	return l
}

// passes says whether a datagram reaches another node. Behind it goes an EAPOL frame,
// which does: when that is there the datagram is too, or never will be.
func (l *accessLink) passes(from, to *testNode) bool {
	l.t.Helper()
	l.sent++
	text := fmt.Sprintf("number %d", l.sent)
	mac := l.macs[to]
	from.must(from.SetNeighbor(l.devs[from], l.addresses[to], mac[:])) // whatever it has heard
	l.udp[from].WriteToUDPAddrPort([]byte(text), netip.AddrPortFrom(l.addresses[to], 5000))
	b, err := eapol.Append(nil, &eapol.Frame{Type: eapol.EAPPacket, Body: []byte(text)})
	from.must(err, l.eapol[from].Send(mac, b))
	if f := l.eapol[to].hears(l.t, text); f.From != l.macs[from] || time.Since(f.At) > patience {
		l.t.Errorf("EAPOL from %x at %v, want it from %x, just now", f.From, f.At, l.macs[from])
	}
	return l.arrived(to, text)
}

// arrived says whether a datagram is there.
func (l *accessLink) arrived(at *testNode, text string) (found bool) {
	raw, err := l.udp[at].SyscallConn()
	at.must(err)
	at.must(raw.Control(func(fd uintptr) {
		b := make([]byte, 100)
		for {
			n, _, err := unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
			if err != nil {
				return
			}
			found = found || string(b[:n]) == text
		}
	}))
	return found
}

// expect compares who reaches whom through the router's port.
func (l *accessLink) expect(when string, first, next bool) {
	l.t.Helper()
	for _, c := range []struct {
		what     string
		from, to *testNode
		want     bool
	}{
		{"first station to router", l.first, l.router, first}, {"router to first station", l.router, l.first, first},
		{"next station to router", l.next, l.router, next}, {"router to next station", l.router, l.next, next},
	} {
		if got := l.passes(c.from, c.to); got != c.want {
			l.t.Errorf("%s: %s: passes %v, want %v", when, c.what, got, c.want)
		}
	}
}

func needControl(t testing.TB) {
	t.Helper()
	netnstest.In(t, netnstest.New(t), func() error {
		outwards, err := ProbeControlledPort()
		if err == nil && !outwards {
			err = errors.New("nftables has no egress hook")
		}
		if err != nil {
			netnstest.Lacking(t, "netdev", err)
		}
		return nil
	})
}

func TestAPortPassesWhoIsAdmittedAndEAPOL(t *testing.T) {
	needControl(t)
	l := newAccessLink(t)
	l.expect("without control", true, true)
	p := controlledPort(t, l.router, "access")
	l.expect("shut", false, false)
	l.router.must(p.Admit(l.macs[l.first]), p.Admit(l.macs[l.first]))
	l.expect("the first admitted", true, false)
	if err := transfer(l.first, l.router, l.addresses[l.router], 1<<20); err != nil {
		t.Errorf("through the open port: %v", err)
	}
	l.router.must(p.Admit(l.macs[l.next]))
	l.expect("both admitted", true, true)
	l.router.must(p.Bar(l.macs[l.first]), p.Bar(l.macs[l.first]))
	l.expect("the first barred", false, true)
	l.router.must(p.Shut())
	l.expect("shut again", false, false)
	l.router.must(p.Admit(l.macs[l.first]))
	l.expect("the first admitted again", true, false)
	l.router.must(p.Open())
	l.expect("open", true, true)
	l.router.must(p.Shut())
	l.expect("shut after that", false, false)
	l.router.must(p.Open())

	// Another one in its place is shut; without it all is as before.
	another := controlledPort(t, l.router, "access")
	l.expect("another", false, false)
	l.router.must(another.Close())
	l.expect("closed", true, true)
	if !p.Outwards() {
		t.Error("what leaves is not controlled")
	}
}

// Neighbours have to be found when the port opens: nothing was known before.
func TestNeighboursAreFoundOnceThePortIsOpen(t *testing.T) {
	needControl(t)
	l := newAccessLink(t)
	atRouter, atMobile := controlledPort(t, l.router, "access"), controlledPort(t, l.first, "wlan")
	ask := func() { // and be lost, as what asks for the neighbour is
		l.udp[l.first].WriteToUDPAddrPort([]byte("anybody?"), netip.AddrPortFrom(l.addresses[l.router], 5000))
	}
	ask()
	l.router.must(atRouter.Admit(l.macs[l.first]))
	ask()
	l.router.must(atMobile.Open())
	if err := transfer(l.first, l.router, l.addresses[l.router], 1<<20); err != nil {
		t.Error(err)
	}
}

func TestAMobilesShutPortPassesEAPOLAlone(t *testing.T) {
	needControl(t)
	l := newAccessLink(t)
	p := controlledPort(t, l.first, "wlan")
	l.expect("shut", false, true)
	l.first.must(p.Open())
	l.expect("open", true, true)
	l.first.must(p.Shut())
	l.expect("shut again", false, true)
	if l.passes(l.next, l.first) || !l.passes(l.next, l.router) {
		t.Error("the other station's datagrams do not go as they should")
	}
}

// Frames to a group are for whoever is on the link, once there is anybody.
func TestGroupsAreSentToWhileAnybodyIsAdmitted(t *testing.T) {
	needControl(t)
	l := newAccessLink(t)
	p := controlledPort(t, l.router, "access")
	group := netip.MustParseAddr("ff02::1%access")
	hears := func() bool {
		l.sent++
		text := fmt.Sprintf("number %d", l.sent)
		l.udp[l.router].WriteToUDPAddrPort([]byte(text), netip.AddrPortFrom(group, 5001))
		b, err := eapol.Append(nil, &eapol.Frame{Type: eapol.EAPPacket, Body: []byte(text)})
		l.router.must(err, l.eapol[l.router].Send(eapol.Group, b))
		l.eapol[l.first].hears(t, text)
		return l.arrived(l.first, text)
	}
	l.first.in(func() error { // in place of the one that listens to an address
		l.udp[l.first].Close()
		c, err := net.ListenUDP("udp6", &net.UDPAddr{Port: 5001})
		l.udp[l.first] = c
		return err
	})
	t.Cleanup(func() { l.udp[l.first].Close() })
	for _, c := range []struct {
		when string
		do   func() error
		want bool
	}{
		{"shut", func() error { return nil }, false},
		{"one admitted", func() error { return p.Admit(l.macs[l.first]) }, true},
		{"two admitted", func() error { return p.Admit(l.macs[l.next]) }, true},
		{"one barred", func() error { return p.Bar(l.macs[l.next]) }, true},
		{"all barred", func() error { return p.Bar(l.macs[l.first]) }, false},
	} {
		l.router.must(c.do())
		if got := hears(); got != c.want {
			t.Errorf("%s: heard %v, want %v", c.when, got, c.want)
		}
	}
}

// So it is on a kernel that has no hook for what leaves.
func TestWithoutAHookForWhatLeavesOnlyWhatComesInIsControlled(t *testing.T) {
	needControl(t)
	l := newAccessLink(t)
	var p *ControlledPort
	l.router.in(func() (err error) {
		p, err = newControlledPort("access", false)
		return err
	})
	t.Cleanup(func() { p.Close() })
	for _, c := range []struct {
		when string
		do   func() error
		in   bool
	}{
		{"shut", func() error { return nil }, false},
		{"admitted", func() error { return p.Admit(l.macs[l.first]) }, true},
		{"barred", func() error { return p.Bar(l.macs[l.first]) }, false},
		{"open", p.Open, true},
		{"shut again", p.Shut, false},
	} {
		l.router.must(c.do())
		if in, out := l.passes(l.first, l.router), l.passes(l.router, l.first); in != c.in || !out {
			t.Errorf("%s: in %v, out %v, want %v, true", c.when, in, out, c.in)
		}
	}
	if p.Outwards() {
		t.Error("it says that what leaves is controlled")
	}
}

func TestAPacketSocketIsToldOfAShutPort(t *testing.T) {
	needControl(t)
	l := newAccessLink(t)
	arps := arpPort(t, l.router)
	p := controlledPort(t, l.router, "access")
	if err := arps.Announce("access", netip.MustParseAddr("192.0.2.1")); !errors.Is(err, unix.ENOBUFS) {
		t.Errorf("%v, want ENOBUFS", err)
	}
	l.router.must(p.Open(), arps.Announce("access", netip.MustParseAddr("192.0.2.1")))
}

func TestOnlyAStationCanBeAdmitted(t *testing.T) {
	needControl(t)
	l := newAccessLink(t)
	p := controlledPort(t, l.router, "access")
	for _, mac := range [][6]byte{{}, eapol.Group, broadcast} {
		if err := p.Admit(mac); err == nil {
			t.Errorf("%x was admitted", mac)
		}
	}
	l.router.in(func() error {
		if _, err := l.router.ControlledPort("nowhere"); !errors.Is(err, unix.ENODEV) {
			t.Errorf("on no device: %v", err)
		}
		if _, err := l.router.EAPOLPort("nowhere"); !errors.Is(err, unix.ENODEV) {
			t.Errorf("on no device: %v", err)
		}
		return nil
	})
}

func TestAnEAPOLPortHearsWhatIsForItsNode(t *testing.T) {
	l := newAccessLink(t)
	send := func(from *testNode, to [6]byte, text string) {
		t.Helper()
		b, err := eapol.Append(nil, &eapol.Frame{Type: eapol.EAPPacket, Body: []byte(text)})
		from.must(err, l.eapol[from].Send(to, b))
	}
	send(l.first, [6]byte{2, 9, 9, 9, 9, 9}, "for nobody here")
	send(l.first, eapol.Group, "for all")
	send(l.first, l.macs[l.router], "for the router")
	var heard []string
	for len(heard) == 0 || heard[len(heard)-1] != "for the router" {
		got, err := l.eapol[l.router].Receive()
		l.router.must(err)
		for _, f := range got {
			p, err := eapol.Parse(f.Octets)
			l.router.must(err)
			heard = append(heard, string(p.Body))
		}
	}
	if want := []string{"for all", "for the router"}; !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
	if err := l.eapol[l.first].Send(eapol.Group, nil); err == nil {
		t.Error("nothing was sent as a frame")
	}
	l.eapol[l.first].Close()
	for {
		if _, err := l.eapol[l.first].Receive(); errors.Is(err, os.ErrClosed) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

package host

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/insomniacslk/dhcp/dhcpv6"
	nl "github.com/vishvananda/netlink"

	"s2clab/nodes/control"
	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/session/dhcp4"
	"s2clab/nodes/session/dhcp6"
)

// An access is a link with a server's end and a client's, and a capture of what
// crosses it.
type access struct {
	t              *testing.T
	server, client ns.NetNS
	capture        string
	stop           func()
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		netnstest.Lacking(t, name, err)
	}
	return path
}

func newAccess(t *testing.T) *access {
	t.Helper()
	a := &access{t: t, server: netnstest.New(t), client: netnstest.New(t), capture: filepath.Join(t.TempDir(), "dhcp.pcapng")}
	netnstest.Pair(t, a.server, "srv", a.client, "cli")
	netnstest.In(t, a.server, func() error {
		link, err := nl.LinkByName("srv")
		if err != nil {
			return err
		}
		for _, text := range []string{"192.0.2.1/24", "2001:db8:2::1/64"} {
			addr, err := nl.ParseAddr(text)
			if err == nil {
				addr.Flags = 0x02 // IFA_F_NODAD
				err = nl.AddrAdd(link, addr)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	program(t, "tshark")
	cmd := exec.Command(program(t, "tcpdump"), "-i", "srv", "-U", "--immediate-mode", "-Z", "root", "-w", a.capture)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	netnstest.In(t, a.server, cmd.Start)
	capturing := make(chan struct{})
	go func() {
		b, text := make([]byte, 256), ""
		for once := false; ; {
			n, err := said.Read(b)
			if text += string(b[:n]); !once && strings.Contains(text, "listening on") {
				once = true
				close(capturing)
			}
			if err != nil {
				return
			}
		}
	}()
	select {
	case <-capturing:
	case <-time.After(patience):
		t.Fatal("tcpdump captures nothing")
	}
	a.stop = sync.OnceFunc(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	t.Cleanup(a.stop)
	return a
}

// clean sees that the capture has messages of that kind, and none that tshark
// finds malformed.
func (a *access) clean(filter string, least int) {
	a.t.Helper()
	count := func(filter string) []string {
		out, err := exec.Command("tshark", "-r", a.capture, "-Y", filter, "-T", "fields", "-e", "_ws.col.Info").Output()
		if err != nil {
			a.t.Fatal(err)
		}
		return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
	}
	deadline := time.Now().Add(patience) // what was captured last may not be written yet
	for len(count(filter)) < least && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
	a.stop()
	if got := count(filter); len(got) < least {
		a.t.Errorf("%d of %q, want %d or more: %q", len(got), filter, least, got)
	}
	if bad := count("_ws.malformed || _ws.expert.severity == error"); len(bad) > 0 {
		a.t.Errorf("malformed: %q", bad)
	}
}

// serve runs our servers, and gives the events that they tell.
func (a *access) serve() <-chan string {
	a.t.Helper()
	var h *Host
	var servers *AddressServers
	netnstest.In(a.t, a.server, func() (err error) {
		dev, err := net.InterfaceByName("srv")
		if err != nil {
			return err
		}
		cfg := &control.Config{Interfaces: []control.Interface{{
			Name: "srv", Index: dev.Index, Link: "wlan", MAC: dev.HardwareAddr.String(), MTU: dev.MTU,
			DHCP4: &control.DHCP4{Address: netip.MustParseAddr("192.0.2.1"), Prefix: netip.MustParsePrefix("192.0.2.0/24"), First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.109"),
				DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, Domain: "lab.test", Lease: 2 * time.Minute},
			DHCP6: &control.DHCP6{Prefix: netip.MustParsePrefix("2001:db8:2::/64"), First: netip.MustParseAddr("2001:db8:2::1000"), Last: netip.MustParseAddr("2001:db8:2::10ff"),
				DNS: []netip.Addr{netip.MustParseAddr("2001:db8:2::53")}, Domain: "lab.test", Lease: 2 * time.Minute,
				Home: &control.HomeNetwork{Identifier: "epc.example.org", Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8:100::/48")},
					Agents: []netip.Addr{netip.MustParseAddr("2001:db8:1::1"), netip.MustParseAddr("192.0.2.9")}, Names: []string{"internet.ha-apn.example.org"}}},
		}}}
		if h, err = Open(cfg); err != nil {
			return err
		}
		servers, err = h.AddressServers(cfg)
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	events, ended := make(chan string, 100), make(chan error, 1)
	go func() {
		ended <- servers.Run(ctx, func(name string, fields map[string]any) {
			events <- fmt.Sprint(name, " ", fields["address"], " on ", fields["link"])
		})
	}()
	a.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			a.t.Errorf("served until %v", err)
		}
		h.Close()
	})
	return events
}

func (a *access) event(events <-chan string, pattern string) string {
	a.t.Helper()
	select {
	case e := <-events:
		m := regexp.MustCompile(pattern).FindStringSubmatch(e)
		if m == nil {
			a.t.Fatalf("told %q, want %s", e, pattern)
		}
		return m[1]
	case <-time.After(patience):
		a.t.Fatalf("told nothing, want %s", pattern)
	}
	return ""
}

// script is a program that a client runs when it is given something: it writes what
// that is to a file.
func script(t *testing.T) (path, told string) {
	dir := t.TempDir()
	path, told = filepath.Join(dir, "script"), filepath.Join(dir, "told")
	text := "#!/bin/sh\ncase \"$1$reason\" in deconfig|PREINIT*|MEDIUM*) exit 0;; esac\n" +
		"[ \"$1\" = bound ] && ip address add $ip/24 dev $interface\n" + // it gives it back by a message from there
		"set >> " + told + ".new && mv " + told + ".new " + told + "\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path, told
}

func whatWasTold(t *testing.T, file string) string {
	t.Helper()
	for end := time.Now().Add(3 * patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if b, err := os.ReadFile(file); err == nil {
			return string(b)
		}
	}
	t.Fatalf("no %s: the client was given nothing", filepath.Base(file))
	return ""
}

func wantAll(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("no %q in\n%s", p, text)
		}
	}
}

func TestOurServerGivesAnIndependentClientIPv4(t *testing.T) {
	client := program(t, "udhcpc")
	a := newAccess(t)
	events := a.serve()
	path, told := script(t)
	cmd := exec.Command(client, "-i", "cli", "-n", "-f", "-t", "5", "-s", path)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	netnstest.In(t, a.client, cmd.Start)
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("udhcpc:\n%s", &out)
		}
	}()
	given := a.event(events, `lease-granted (192\.0\.2\.10[0-9]) on wlan`)
	wantAll(t, whatWasTold(t, told), "ip='"+given+"'", "subnet='255.255.255.0'", "router='192.0.2.1'", "dns='192.0.2.53'", "domain='lab.test'", "lease='120'", "serverid='192.0.2.1'")
	if err := cmd.Process.Signal(syscall.SIGUSR2); err != nil { // gives it back
		t.Fatal(err)
	}
	if got := a.event(events, `lease-ended (\S+) on wlan`); got != given {
		t.Errorf("released %s, was given %s", got, given)
	}
	a.clean("dhcp", 5)
}

func TestOurServerGivesAnIndependentClientIPv6(t *testing.T) {
	client := program(t, "dhclient")
	a := newAccess(t)
	events := a.serve()
	path, told := script(t)
	dir := t.TempDir()
	cfg := filepath.Join(dir, "dhclient.conf")
	if err := os.WriteFile(cfg, []byte("also request dhcp6.name-servers, dhcp6.domain-search;\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(client, "-6", "-1", "-d", "-sf", path, "-cf", cfg, "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "cli")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	netnstest.In(t, a.client, cmd.Start)
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("dhclient:\n%s", &out)
		}
	}()
	given := a.event(events, `lease-granted (2001:db8:2::10[0-9a-f]{2}) on wlan`)
	wantAll(t, whatWasTold(t, told), "new_ip6_address='"+given+"'", "new_dhcp6_name_servers='2001:db8:2::53'", "lab.test", "new_max_life='120'", "new_preferred_life='90'")
	a.clean("dhcpv6", 4)
}

// dnsmasq is an independent server of both families.
func (a *access) dnsmasq() {
	a.t.Helper()
	dir := a.t.TempDir()
	cmd := exec.Command(program(a.t, "dnsmasq"), "--keep-in-foreground", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=srv", "--bind-interfaces", "--user=root", "--no-ping",
		"--dhcp-leasefile="+filepath.Join(dir, "leases"), "--pid-file="+filepath.Join(dir, "pid"), "--dhcp-authoritative",
		"--dhcp-range=192.0.2.100,192.0.2.109,2m", "--dhcp-option=option:router,192.0.2.1", "--dhcp-option=option:dns-server,192.0.2.53",
		"--dhcp-range=2001:db8:2::1000,2001:db8:2::10ff,64,2m", "--dhcp-option=option6:dns-server,[2001:db8:2::53]",
		"--dhcp-option=option6:70,20:01", "--dhcp-rapid-commit", "--log-dhcp")
	said, err := cmd.StderrPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	netnstest.In(a.t, a.server, cmd.Start)
	log := &watchedLog{ready: make(chan struct{})}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		b := make([]byte, 4096)
		for {
			n, err := said.Read(b)
			log.Write(b[:n])
			if err != nil {
				return
			}
		}
	}()
	a.t.Cleanup(func() {
		cmd.Process.Kill()
		<-copied
		cmd.Wait()
		if a.t.Failed() {
			a.t.Logf("dnsmasq:\n%s", &log.text)
		}
	})
	select {
	case <-log.ready:
	case <-copied:
		a.t.Fatal("dnsmasq ended")
	case <-time.After(patience):
		a.t.Fatal("dnsmasq is not ready")
	}
}

// A watchedLog waits for dnsmasq to have its sockets.
type watchedLog struct {
	text  strings.Builder
	ready chan struct{}
	once  sync.Once
}

func (l *watchedLog) Write(b []byte) {
	l.text.Write(b)
	if strings.Contains(l.text.String(), "DHCPv6, IP range") {
		l.once.Do(func() { close(l.ready) })
	}
}

// clientSide is our client's port.
func (a *access) clientSide(open func(h *Host) (*DHCPPort, error)) (port *DHCPPort, mac [6]byte) {
	a.t.Helper()
	netnstest.In(a.t, a.client, func() error {
		dev, err := net.InterfaceByName("cli")
		if err != nil {
			return err
		}
		copy(mac[:], dev.HardwareAddr)
		h, err := Open(&control.Config{Interfaces: []control.Interface{{Name: "cli", Index: dev.Index}}})
		if err != nil {
			return err
		}
		a.t.Cleanup(func() { h.Close() })
		port, err = open(h)
		return err
	})
	a.t.Cleanup(func() { port.Close() })
	return port, mac
}

// hear gives what a port receives.
func hear(port *DHCPPort) <-chan dhcpHeard {
	out := make(chan dhcpHeard, 16)
	go func() {
		defer close(out)
		for {
			b, from, err := port.Receive()
			if err != nil {
				return
			}
			out <- dhcpHeard{append([]byte(nil), b...), from}
		}
	}()
	return out
}

func TestOurClientHasIPv4OfAnIndependentServer(t *testing.T) {
	a := newAccess(t)
	a.dnsmasq()
	port, mac := a.clientSide(func(h *Host) (*DHCPPort, error) { return h.DHCP4Port("cli", DHCPClient) })
	heard := hear(port)
	c := dhcp4.NewClient(dhcp4.ClientConfig{HardwareAddr: mac, HostName: "ue"}, rand.New(rand.NewPCG(1, 2)))
	// run steps until the client has an address, or has it no more.
	run := func(out []dhcp4.ClientOutput) dhcp4.ClientOutput {
		t.Helper()
		late := time.After(3 * patience)
		for {
			for _, o := range out {
				switch o := o.(type) {
				case dhcp4.Configured, dhcp4.Deconfigured:
					return o
				case dhcp4.Send:
					if err := port.Send(o.Message.ToBytes(), o.To); err != nil {
						t.Fatal(err)
					}
				}
			}
			select {
			case m := <-heard:
				parsed, err := dhcp4.Parse(m.message)
				if err != nil {
					t.Fatal(err)
				}
				out = c.Step(time.Now(), dhcp4.Received{From: m.from, Message: parsed})
			case now := <-time.After(time.Until(c.Deadline())):
				out = c.Tick(now)
			case <-late:
				t.Fatal("the client is given nothing")
			}
		}
	}
	configured, ok := run(c.Step(time.Now(), dhcp4.Started{})).(dhcp4.Configured)
	l := configured.Lease
	if !ok || l.Router != netip.MustParseAddr("192.0.2.1") || len(l.DNS) != 1 || l.Address.Bits() != 24 || l.Expire.IsZero() {
		t.Fatalf("lease %+v", l)
	}
	// Its address in place, it renews by a message to the server alone.
	netnstest.In(t, a.client, func() error {
		link, err := nl.LinkByName("cli")
		if err != nil {
			return err
		}
		addr, err := nl.ParseAddr(l.Address.String())
		if err != nil {
			return err
		}
		return nl.AddrAdd(link, addr)
	})
	again, ok := run(c.Tick(l.Renew)).(dhcp4.Configured)
	if !ok || again.Lease.Address != l.Address {
		t.Fatalf("renewed: %+v", again)
	}
	for _, o := range c.Step(time.Now(), dhcp4.Stopped{Release: true}) {
		if send, ok := o.(dhcp4.Send); ok {
			if err := port.Send(send.Message.ToBytes(), send.To); err != nil {
				t.Error(err)
			}
		}
	}
	a.clean("dhcp", 7)
}

func TestOurClientHasIPv6OfAnIndependentServer(t *testing.T) {
	for _, rapid := range []bool{false, true} {
		t.Run(fmt.Sprintf("rapid commit %v", rapid), func(t *testing.T) {
			a := newAccess(t)
			a.dnsmasq()
			port, mac := a.clientSide(func(h *Host) (*DHCPPort, error) { return h.DHCP6Port("cli", DHCPClient) })
			heard := hear(port)
			c := dhcp6.NewClient(dhcp6.ClientConfig{DUID: dhcp6.LinkLayerDUID(mac), IAID: [4]byte{1}, Rapid: rapid}, rand.New(rand.NewPCG(1, 2)))
			run := func(out []dhcp6.ClientOutput, until func() bool) dhcp6.ClientOutput {
				t.Helper()
				late := time.After(3 * patience)
				for {
					for _, o := range out {
						send, ok := o.(dhcp6.Send)
						if !ok {
							return o
						}
						if err := port.Send(send.Message.ToBytes(), send.To); err != nil {
							t.Fatal(err)
						}
					}
					if until() {
						return nil
					}
					select {
					case m := <-heard:
						parsed, err := dhcp6.Parse(m.message)
						if err != nil {
							t.Fatal(err)
						}
						out = c.Step(time.Now(), dhcp6.Received{From: m.from, Message: parsed})
					case now := <-time.After(time.Until(c.Deadline())):
						out = c.Tick(now)
					case <-late:
						t.Fatal("the client is given nothing")
					}
				}
			}
			never := func() bool { return false }
			configured, ok := run(c.Step(time.Now(), dhcp6.Started{}), never).(dhcp6.Configured)
			l := configured.Lease
			if !ok || !netip.MustParsePrefix("2001:db8:2::/64").Contains(l.Address) || len(l.DNS) != 1 || l.Expire.IsZero() {
				t.Fatalf("lease %+v", l)
			}
			if again, ok := run(c.Tick(l.Renew), never).(dhcp6.Configured); !ok || again.Lease.Address != l.Address {
				t.Fatalf("renewed: %+v", again)
			}
			out := c.Step(time.Now(), dhcp6.Stopped{Release: true})
			run(out[1:], func() bool { return c.Deadline().IsZero() })
			a.clean("dhcpv6", map[bool]int{false: 8, true: 6}[rapid])
		})
	}
}

// Our own client and server meet too, where an independent client does not ask:
// what an access tells of home agents.
func TestAnAccessTellsOfTheHomeAgent(t *testing.T) {
	a := newAccess(t)
	a.serve()
	port, mac := a.clientSide(func(h *Host) (*DHCPPort, error) { return h.DHCP6Port("cli", DHCPClient) })
	heard := hear(port)
	c := dhcp6.NewClient(dhcp6.ClientConfig{DUID: dhcp6.LinkLayerDUID(mac), Stateless: true, Home: true, Network: "epc.example.org"}, rand.New(rand.NewPCG(1, 2)))
	send := c.Step(time.Now(), dhcp6.Started{})[0].(dhcp6.Send)
	if err := port.Send(send.Message.ToBytes(), send.To); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-heard:
		parsed, err := dhcp6.Parse(m.message)
		if err != nil {
			t.Fatal(err)
		}
		informed := c.Step(time.Now(), dhcp6.Received{From: m.from, Message: parsed})[0].(dhcp6.Informed)
		if len(informed.Configuration.Home) != 3 || informed.Configuration.Home[1].Identifier != "epc.example.org" || informed.Configuration.Home[0].Agents[1] != netip.MustParseAddr("192.0.2.9") {
			t.Errorf("told of %+v", informed.Configuration)
		}
	case <-time.After(patience):
		t.Fatal("no answer")
	}
	a.clean("dhcpv6.option.type == 70", 1) // version 4.0 does not look into it
}

// Garbage and floods leave a server serving.
func TestAServerOutlivesGarbage(t *testing.T) {
	a := newAccess(t)
	events := a.serve()
	four, mac := a.clientSide(func(h *Host) (*DHCPPort, error) { return h.DHCP4Port("cli", DHCPClient) })
	six, _ := a.clientSide(func(h *Host) (*DHCPPort, error) { return h.DHCP6Port("cli", DHCPClient) })
	r := rand.New(rand.NewPCG(3, 4))
	c := dhcp4.NewClient(dhcp4.ClientConfig{HardwareAddr: mac}, r)
	discover := c.Step(time.Now(), dhcp4.Started{})[0].(dhcp4.Send)
	solicit := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeSolicit}
	solicit.AddOption(dhcpv6.OptClientID(dhcp6.LinkLayerDUID(mac)))
	for range 2000 {
		b := append([]byte(nil), discover.Message.ToBytes()...)
		for range 1 + r.IntN(10) {
			b[r.IntN(len(b))] = byte(r.Uint32())
		}
		four.Send(b[:1+r.IntN(len(b))], discover.To)
		b = append(solicit.ToBytes(), make([]byte, 20)...)
		for range 1 + r.IntN(6) {
			b[r.IntN(len(b))] = byte(r.Uint32())
		}
		six.Send(b[:1+r.IntN(len(b))], netip.AddrPortFrom(dhcp6.Servers, dhcp6.ServerPort))
	}
	heard := hear(four)
	out := c.Tick(c.Deadline())
	for {
		for _, o := range out {
			switch o := o.(type) {
			case dhcp4.Send:
				if err := four.Send(o.Message.ToBytes(), o.To); err != nil {
					t.Fatal(err)
				}
			case dhcp4.Configured:
				for {
					if e := <-events; strings.HasPrefix(e, "lease-granted "+o.Lease.Address.Addr().String()) {
						return
					}
				}
			}
		}
		select {
		case m := <-heard:
			parsed, err := dhcp4.Parse(m.message)
			if err != nil {
				t.Fatal(err)
			}
			out = c.Step(time.Now(), dhcp4.Received{Message: parsed})
		case now := <-time.After(time.Until(c.Deadline())):
			out = c.Tick(now)
		case <-time.After(3 * patience):
			t.Fatal("no answer after the garbage")
		}
	}
}

func TestAClosedDHCPPortEndsItsReceiver(t *testing.T) {
	a := netnstest.New(t)
	b := netnstest.New(t)
	netnstest.Pair(t, a, "cli", b, "srv")
	x := &access{t: t, client: a}
	port, _ := x.clientSide(func(h *Host) (*DHCPPort, error) { return h.DHCP4Port("cli", DHCPClient) })
	ended := make(chan error, 1)
	go func() {
		_, _, err := port.Receive()
		ended <- err
	}()
	port.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
}

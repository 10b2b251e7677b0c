package host

import (
	"bufio"
	"context"
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/session/dot1x"
	"s2clab/nodes/wire/eapol"
)

// A machine is an Authenticator or a Supplicant.
type dot1xMachine interface {
	Step(time.Time, dot1x.Input) []dot1x.Output
	Tick(time.Time) []dot1x.Output
	Deadline() time.Time
}

// run runs a machine on a port until the test ends. What it puts out that is no frame
// goes to act, which may have more inputs.
func runDot1x(t testing.TB, m dot1xMachine, port *EAPOLPort, first dot1x.Input, act func(dot1x.Output) []dot1x.Input) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	frames := make(chan dot1x.Received)
	go func() {
		defer close(frames)
		for {
			got, err := port.Receive()
			if err != nil {
				return
			}
			for _, f := range got {
				select {
				case frames <- dot1x.Received{From: f.From, Octets: append([]byte(nil), f.Octets...)}:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	go func() {
		defer close(ended)
		out := m.Step(time.Now(), first)
		for {
			for len(out) > 0 {
				o := out[0]
				out = out[1:]
				if send, ok := o.(dot1x.Send); ok {
					if err := port.Send(send.To, send.Octets); err != nil {
						t.Error(err)
					}
					continue
				}
				for _, in := range act(o) {
					out = append(out, m.Step(time.Now(), in)...)
				}
			}
			var due <-chan time.Time
			if at := m.Deadline(); !at.IsZero() {
				due = time.After(time.Until(at))
			}
			select {
			case f, ok := <-frames:
				if !ok {
					return
				}
				out = m.Step(time.Now(), f)
			case now := <-due:
				out = m.Tick(now)
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// An md5Server is the AAA side of EAP-MD5: RFC 3748, section 5.4.
type md5Server struct {
	users     map[string]string // passwords
	user      string
	challenge [16]byte
}

func (s *md5Server) answer(to dot1x.ToServer) dot1x.FromServer {
	in := dot1x.FromServer{Station: to.Station, Conversation: to.Conversation, Verdict: dot1x.Reject}
	id := to.EAP[1]
	if to.First {
		s.user = string(to.EAP[5:])
		for i := range s.challenge {
			s.challenge[i] = byte(rand.Uint32())
		}
		in.Verdict = dot1x.Continue
		in.EAP = append([]byte{1, id + 1, 0, 22, 4, 16}, s.challenge[:]...)
		return in
	}
	want := md5.Sum(append([]byte{id}, s.users[s.user]+string(s.challenge[:])...))
	code := byte(4)
	if len(to.EAP) >= 22 && to.EAP[4] == 4 && to.EAP[5] == 16 && [16]byte(to.EAP[6:]) == want {
		in.Verdict, code = dot1x.Accept, 3
	}
	in.EAP = []byte{code, id, 0, 4}
	return in
}

// An accessRouter lets a station on with the server's consent, and tells what happens.
func (l *accessLink) accessRouter(s *md5Server) (told chan string) {
	told = make(chan string, 100)
	port := controlledPort(l.t, l.router, "access")
	a := dot1x.NewAuthenticator(dot1x.AuthenticatorOptions{Rand: rand.New(rand.NewPCG(1, 2))})
	runDot1x(l.t, a, l.eapol[l.router], dot1x.CarrierUp{}, func(o dot1x.Output) []dot1x.Input {
		switch o := o.(type) {
		case dot1x.ToServer:
			return []dot1x.Input{s.answer(o)}
		case dot1x.Authorize:
			if err := port.Admit(o.Station); err != nil {
				l.t.Error(err)
			}
			told <- "authorized"
		case dot1x.Unauthorize:
			if err := port.Bar(o.Station); err != nil {
				l.t.Error(err)
			}
			told <- "unauthorized: " + o.Reason
		case dot1x.Failed:
			told <- "failed: " + o.Reason
		}
		return nil
	})
	return told
}

// wait waits for a line with a text in it.
func wait(t testing.TB, lines <-chan string, text string) {
	t.Helper()
	var before []string
	for late := time.After(patience); ; {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("it ended without %q after\n%s", text, strings.Join(before, "\n"))
			}
			if before = append(before, line); strings.Contains(line, text) {
				return
			}
		case <-late:
			t.Fatalf("no %q after\n%s", text, strings.Join(before, "\n"))
		}
	}
}

// wpaSupplicant starts one with a password, and gives what it says and a way to command
// it.
func wpaSupplicant(t testing.TB, n *testNode, version int, password string) (said <-chan string, command func(string)) {
	program, err := exec.LookPath("wpa_supplicant")
	if err != nil {
		netnstest.Lacking(t, "wpa_supplicant", err)
	}
	dir, err := os.MkdirTemp("", "wpa") // short, as names of sockets must be
	n.must(err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "config")
	n.must(os.WriteFile(config, fmt.Appendf(nil, `
ctrl_interface=%s
eapol_version=%d
ap_scan=0
network={
	key_mgmt=IEEE8021X
	eap=MD5
	identity="mobile"
	password=%q
	eapol_flags=0
}
`, dir, version, password), 0o600))
	cmd := exec.Command(program, "-D", "wired", "-i", "wlan", "-c", config)
	out, err := cmd.StdoutPipe()
	n.must(err)
	n.in(cmd.Start)
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines, func(text string) {
		t.Helper()
		c, err := net.DialUnix("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "us")}, &net.UnixAddr{Name: filepath.Join(dir, "wlan")})
		n.must(err)
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		_, err = c.Write([]byte(text))
		n.must(err)
		b := make([]byte, 100)
		if size, err := c.Read(b); err != nil || string(b[:size]) != "OK\n" {
			t.Fatalf("%s: %q, %v", text, b[:size], err)
		}
	}
}

func TestWPASupplicantIsLetOnAndLogsOff(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("version %d", version), func(t *testing.T) {
			needControl(t)
			l := newAccessLink(t)
			told := l.accessRouter(&md5Server{users: map[string]string{"mobile": "a secret"}})
			if l.datagram() {
				t.Error("a datagram has passed a shut port")
			}
			lines, command := wpaSupplicant(t, l.first, version, "a secret")
			wait(t, told, "authorized")
			wait(t, lines, "CTRL-EVENT-EAP-SUCCESS")
			if !l.datagram() {
				t.Error("no datagram passes the open port")
			}
			if err := transfer(l.first, l.router, l.addresses[l.router], 1<<20); err != nil {
				t.Error(err)
			}
			command("LOGOFF")
			wait(t, told, "unauthorized: logoff")
			if l.datagram() {
				t.Error("a datagram has passed after the logoff")
			}
		})
	}
}

func TestWPASupplicantWithAnotherPasswordIsToldOfItsFailure(t *testing.T) {
	needControl(t)
	l := newAccessLink(t)
	told := l.accessRouter(&md5Server{users: map[string]string{"mobile": "a secret"}})
	lines, _ := wpaSupplicant(t, l.first, 2, "a guess")
	wait(t, told, "failed: refused-by-server")
	wait(t, lines, "CTRL-EVENT-EAP-FAILURE")
	if l.datagram() {
		t.Error("a datagram has passed a shut port")
	}
}

// datagram says whether one passes from the first node to the router, whose EAPOL port
// its machine reads. Behind it goes a frame that the machine ignores: when that comes
// to the device, the datagram has passed or has been dropped.
func (l *accessLink) datagram() bool {
	l.t.Helper()
	l.sent++
	text, mac := fmt.Sprintf("number %d", l.sent), l.macs[l.router]
	ear := l.router.ear("access")
	l.first.must(l.first.SetNeighbor("wlan", l.addresses[l.router], mac[:]))
	l.udp[l.first].WriteToUDPAddrPort([]byte(text), netip.AddrPortFrom(l.addresses[l.router], 5000))
	b, err := eapol.Append(nil, &eapol.Frame{Type: eapol.Key, Body: []byte("behind " + text)})
	l.first.must(err, l.eapol[l.first].Send(mac, b))
	ear.until(func(b []byte) bool { return strings.HasSuffix(string(b), "behind "+text) }, nil)
	return l.arrived(l.router, text)
}

// The lab's own Supplicant opens its node's port as the router opens its own.
func TestBothEndsOpenTheirPorts(t *testing.T) {
	needControl(t)
	for _, c := range []struct {
		password, router, mobile string
	}{
		{"a secret", "authorized", "open"},
		{"a guess", "failed: refused-by-server", "failed: refused-by-authenticator"},
	} {
		l := newAccessLink(t)
		port := controlledPort(t, l.first, "wlan")
		atRouter := l.accessRouter(&md5Server{users: map[string]string{"mobile": "a secret"}})
		atMobile := make(chan string, 100)
		s := dot1x.NewSupplicant(dot1x.SupplicantOptions{})
		runDot1x(t, s, l.eapol[l.first], dot1x.LinkUp{}, func(o dot1x.Output) []dot1x.Input {
			switch o := o.(type) {
			case dot1x.ToMethod:
				id := o.EAP[1]
				if o.EAP[4] == 1 {
					return []dot1x.Input{dot1x.FromMethod{Exchange: o.Exchange, EAP: append([]byte{2, id, 0, 11, 1}, "mobile"...), Progress: dot1x.Doubtful}}
				}
				sum := md5.Sum(append([]byte{id}, c.password+string(o.EAP[6:22])...))
				return []dot1x.Input{dot1x.FromMethod{Exchange: o.Exchange, EAP: append([]byte{2, id, 0, 22, 4, 16}, sum[:]...), Progress: dot1x.Content}}
			case dot1x.Open:
				if err := port.Open(); err != nil {
					t.Error(err)
				}
				atMobile <- "open"
			case dot1x.Failed:
				atMobile <- "failed: " + o.Reason
			}
			return nil
		})
		wait(t, atRouter, c.router)
		wait(t, atMobile, c.mobile)
		if c.mobile != "open" {
			continue
		}
		if err := transfer(l.first, l.router, l.addresses[l.router], 1<<20); err != nil {
			t.Error(err)
		}
	}
}

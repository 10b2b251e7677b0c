package usimtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"

	"s2clab/nodes/netns/netnstest"
)

// patience is how long wpa_supplicant may take for anything: it waits for up to 30 s
// by itself.
const patience = 45 * time.Second

// Configuration is a configuration file of wpa_supplicant for a link with Ethernet's
// frames, a USIM that is outside, and one network, number 0, which is disabled until
// Begin. The method is AKA or AKA'; sockets is the directory of its control interface.
func Configuration(method, identity, sockets string) string {
	return fmt.Sprintf("ctrl_interface=%s\nexternal_sim=1\nap_scan=0\nnetwork={\n\tdisabled=1\n\tkey_mgmt=IEEE8021X\n\teapol_flags=0\n\teap=%s\n\tidentity=%q\n}\n",
		sockets, method, identity)
}

// A Supplicant is a wpa_supplicant whose USIM is a Card.
type Supplicant struct {
	tb      testing.TB
	card    Card
	monitor *net.UnixConn // what it tells
	events  chan string

	mu      sync.Mutex // one command at a time
	control *net.UnixConn
}

// Run starts a wpa_supplicant on a device of a namespace, until the test ends. It
// skips the test where there is none.
func Run(tb testing.TB, space ns.NetNS, dev, method, identity string, card Card) *Supplicant {
	tb.Helper()
	program, err := exec.LookPath("wpa_supplicant")
	if err != nil {
		netnstest.Lacking(tb, "wpa_supplicant", err)
	}
	dir, err := os.MkdirTemp("", "wpa") // short enough for the address of a socket
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	conf, log := filepath.Join(dir, "conf"), filepath.Join(dir, "log")
	if err := os.WriteFile(conf, []byte(Configuration(method, identity, dir)), 0o600); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if text, err := os.ReadFile(log); err == nil && tb.Failed() {
			tb.Logf("wpa_supplicant said\n%s", text)
		}
	})
	netnstest.In(tb, space, func() error { // it goes to the background once its control interface is there
		out, err := exec.Command(program, "-B", "-t", "-d", "-f", log, "-D", "wired", "-i", dev, "-c", conf).CombinedOutput()
		if err != nil {
			return fmt.Errorf("wpa_supplicant: %w\n%s", err, out)
		}
		return nil
	})
	s := Attach(tb, filepath.Join(dir, dev), card)
	tb.Cleanup(func() {
		s.Command("TERMINATE")
		s.Wait("CTRL-EVENT-TERMINATING")
	})
	return s
}

// Attach becomes the USIM of a wpa_supplicant by the socket of its control interface,
// until the test ends. Begin has it authenticate.
func Attach(tb testing.TB, socket string, card Card) *Supplicant {
	tb.Helper()
	dir, err := os.MkdirTemp("", "wpa")
	if err != nil {
		tb.Fatal(err)
	}
	s := &Supplicant{tb: tb, card: card, events: make(chan string, 1000)}
	over := make(chan struct{})
	var open []*net.UnixConn
	tb.Cleanup(func() {
		for _, c := range open {
			c.Close()
		}
		<-over
		os.RemoveAll(dir)
	})
	for name, conn := range map[string]**net.UnixConn{"monitor": &s.monitor, "control": &s.control} {
		c, err := net.DialUnix("unixgram", &net.UnixAddr{Name: filepath.Join(dir, name), Net: "unixgram"}, &net.UnixAddr{Name: socket, Net: "unixgram"})
		if err != nil {
			close(over)
			tb.Fatalf("control interface: %v", err)
		}
		*conn, open = c, append(open, c)
	}
	reply, err := exchange(s.monitor, "ATTACH")
	if err != nil || reply != "OK" {
		close(over)
		tb.Fatalf("control interface: ATTACH: %q, %v", reply, err)
	}
	go func() {
		defer close(over)
		s.listen()
	}()
	return s
}

// exchange gives a command and the reply to it.
func exchange(conn *net.UnixConn, command string) (string, error) {
	conn.SetDeadline(time.Now().Add(patience))
	defer conn.SetDeadline(time.Time{})
	if _, err := conn.Write([]byte(command)); err != nil {
		return "", err
	}
	b := make([]byte, 4<<10)
	n, err := conn.Read(b)
	return strings.TrimSpace(string(b[:n])), err
}

// obey gives a command, to which the reply must be OK. What was commanded may be
// secret.
func (s *Supplicant) obey(command string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	reply, err := exchange(s.control, command)
	if err == nil && reply != "OK" {
		err = fmt.Errorf("reply %q, want OK", reply)
	}
	return err
}

// listen takes events, each behind a level in angle brackets, until the connection is
// closed.
func (s *Supplicant) listen() {
	defer close(s.events)
	b := make([]byte, 8<<10)
	for {
		n, err := s.monitor.Read(b)
		if err != nil {
			return
		}
		_, text, _ := strings.Cut(strings.TrimSpace(string(b[:n])), ">")
		if strings.HasPrefix(text, asksCard) {
			answer, err := Answer(s.card, text)
			if err == nil {
				err = s.obey(answer)
			}
			if err != nil {
				s.tb.Errorf("the card of wpa_supplicant: %v", err)
			}
			text = strings.Split(answer+"::", ":")[1] // and not what was said
		}
		select {
		case s.events <- text:
		default: // nobody waits
		}
	}
}

// Command gives a command of the control interface, which has to be obeyed.
func (s *Supplicant) Command(command string) {
	s.tb.Helper()
	if err := s.obey(command); err != nil {
		s.tb.Fatalf("wpa_supplicant: %s: %v", command, err)
	}
}

// Begin has it authenticate.
func (s *Supplicant) Begin() {
	s.tb.Helper()
	s.Command("ENABLE_NETWORK 0")
}

// Wait waits for an event that begins so, and gives those until then. What the card
// was asked is among them by the kind of its answer alone: UMTS-AUTH, UMTS-AUTS or
// UMTS-FAIL.
func (s *Supplicant) Wait(event string) (until []string) {
	s.tb.Helper()
	late := time.After(patience)
	for {
		select {
		case text, ok := <-s.events:
			if !ok {
				s.tb.Fatalf("no %s, but %q, and it has ended", event, until)
			}
			until = append(until, text)
			if strings.HasPrefix(text, event) {
				return until
			}
		case <-late:
			s.tb.Fatalf("no %s, but %q", event, until)
		}
	}
}

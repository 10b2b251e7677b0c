package traffic

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"s2clab/nodes/control"
)

// A desk takes the events of an agent.
type desk struct {
	mu   sync.Mutex
	told []control.Event
	news chan struct{}
}

func newDesk() *desk { return &desk{news: make(chan struct{}, 1)} }

func (d *desk) Event(name string, fields map[string]any) {
	d.mu.Lock()
	d.told = append(d.told, control.Event{Name: name, Fields: fields})
	d.mu.Unlock()
	select {
	case d.news <- struct{}{}:
	default:
	}
}

// last gives the last event of a name; nil: there was none.
func (d *desk) last(name string) map[string]any {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.told) - 1; i >= 0; i-- {
		if d.told[i].Name == name {
			return d.told[i].Fields
		}
	}
	return nil
}

// wait waits for an event of a name.
func (d *desk) wait(t *testing.T, name string) map[string]any {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		if f := d.last(name); f != nil {
			return f
		}
		select {
		case <-d.news:
		case <-late:
			t.Fatalf("no %s", name)
		}
	}
}

func newAgent(t *testing.T) (*agent, *desk) {
	d := newDesk()
	a := &agent{ctx: t.Context(), tell: d, flows: map[string]*flow{}}
	t.Cleanup(a.stopAll)
	return a, d
}

// free is an address of the loopback device with a port that nobody has.
func free(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 loopback here: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// number is a field that counts; 0 where it is not told.
func number(f map[string]any, name string) float64 {
	n, _ := f[name].(float64)
	return n
}

func TestABulkFlowArrivesToTheLastOctetBothWays(t *testing.T) {
	for name, rate := range map[string]float64{"as fast as it goes": 0, "at a rate": 500} {
		t.Run(name, func(t *testing.T) {
			near, atNear := newAgent(t)
			far, atFar := newAgent(t)
			at := free(t)
			if err := far.open(&control.OpenFlow{Flow: "b", Kind: "bulk", Listen: at, Rate: rate, Size: 1200, BothWays: true}); err != nil {
				t.Fatal(err)
			}
			if err := near.start(&control.StartFlow{Flow: "b", Kind: "bulk", Local: at.Addr(), Remote: at, Rate: rate, Size: 1200, BothWays: true}); err != nil {
				t.Fatal(err)
			}
			atNear.wait(t, "flow-bytes")
			atFar.wait(t, "flow-bytes")
			for _, a := range []*agent{near, far} {
				if err := a.pause("b"); err != nil {
					t.Fatal(err)
				}
			}
			for _, a := range []*agent{near, far} {
				if err := a.stop("b"); err != nil {
					t.Fatal(err)
				}
			}
			n, f := atNear.last("flow-stopped"), atFar.last("flow-stopped")
			if number(n, "sent") == 0 || number(n, "sent") != number(f, "received") || number(f, "sent") == 0 || number(f, "sent") != number(n, "received") {
				t.Errorf("near %v, far %v: want all that was sent received", n, f)
			}
			if number(n, "corrupted") != 0 || number(f, "corrupted") != 0 || atNear.last("flow-broken") != nil || atFar.last("flow-broken") != nil {
				t.Errorf("near %v, far %v", n, f)
			}
		})
	}
}

func TestABulkFlowThatIsNotWhatWasSentIsCorrupted(t *testing.T) {
	for name, spoil := range map[string]func(b []byte) []byte{
		"another octet": func(b []byte) []byte { b[100]++; return b },
		"one lost":      func(b []byte) []byte { return append(b[:100], b[101:]...) },
		"some twice":    func(b []byte) []byte { return append(b[:1000], b[500:1500]...) },
	} {
		t.Run(name, func(t *testing.T) {
			far, atFar := newAgent(t)
			at := free(t)
			if err := far.open(&control.OpenFlow{Flow: "b", Kind: "bulk", Listen: at, Size: 1200}); err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp6", at.String())
			if err != nil {
				t.Fatal(err)
			}
			conn.Write(spoil(pattern()[:3000]))
			conn.Close()
			if err := errors.Join(far.pause("b"), far.stop("b")); err != nil {
				t.Fatal(err)
			}
			if f := atFar.last("flow-stopped"); number(f, "corrupted") == 0 {
				t.Errorf("got %v", f)
			}
		})
	}
}

func TestAConnectionThatEndsBeforeItIsStoppedIsTold(t *testing.T) {
	near, atNear := newAgent(t)
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 loopback here: %v", err)
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	if err := near.start(&control.StartFlow{Flow: "b", Kind: "bulk", Local: at.Addr(), Remote: at, Rate: 100, Size: 1200}); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close() // by a reset
	if f := atNear.wait(t, "flow-broken"); f["flow"] != "b" || f["error"] == "" {
		t.Errorf("got %v", f)
	}
}

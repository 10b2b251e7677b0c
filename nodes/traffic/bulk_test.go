package traffic

import (
	"errors"
	"net"
	"testing"

	"s2clab/nodes/control"
)

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
			at := freePort(t, "tcp")
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
			at := freePort(t, "tcp")
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

package host

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rowFrom and rowTo are where a test sends rows from and to.
var rowFrom, rowTo = netip.MustParseAddr("127.0.0.1"), netip.MustParseAddrPort("127.0.0.1:9")

func TestDatagramsOfOneSizeMakeARow(t *testing.T) {
	long, short, longer := make([]byte, 1000), make([]byte, 999), make([]byte, 1001)
	for what, c := range map[string]struct {
		then     []byte
		src      netip.Addr
		dst      netip.AddrPort
		class    uint8
		before   int // of that size already in the row
		isJoined bool
	}{
		"of that size":            {then: long, src: rowFrom, dst: rowTo, before: 1, isJoined: true},
		"shorter":                 {then: short, src: rowFrom, dst: rowTo, before: 2, isJoined: true},
		"longer":                  {then: longer, src: rowFrom, dst: rowTo, before: 1},
		"to another port":         {then: long, src: rowFrom, dst: netip.AddrPortFrom(rowTo.Addr(), 10), before: 1},
		"from another address":    {then: long, src: rowFrom.Next(), dst: rowTo, before: 1},
		"of another class":        {then: long, src: rowFrom, dst: rowTo, class: 3, before: 1},
		"beyond what a row holds": {then: long, src: rowFrom, dst: rowTo, before: rowMost},
	} {
		var o outgoing
		o.add4(long[:600], rowFrom, rowTo, 0, 0)
		o.attach(long[600:])
		for range c.before - 1 {
			if !o.join(long[:600], long[600:], rowFrom, rowTo, 0) {
				t.Fatalf("%s: a row of %d cannot be", what, c.before)
			}
		}
		if got := o.join(c.then[:600], c.then[600:], c.src, c.dst, c.class); got != c.isJoined || len(o.messages) != 1 {
			t.Errorf("%s: joined %v, %d messages", what, got, len(o.messages))
		}
	}
	var o outgoing
	if o.join(long, nil, rowFrom, rowTo, 0) {
		t.Error("joined nothing")
	}
	o.add(long, netip.IPv6Loopback(), netip.IPv6Loopback(), 0, 0)
	if o.join(long, nil, netip.IPv6Loopback(), netip.AddrPortFrom(netip.IPv6Loopback(), 0), 0) {
		t.Error("joined what is no UDP datagram")
	}
	o = outgoing{}
	o.add4(long, rowFrom, rowTo, 0, 0)
	o.join(short, nil, rowFrom, rowTo, 0)
	if o.join(short, nil, rowFrom, rowTo, 0) {
		t.Error("joined behind a shorter one")
	}
	for o = (outgoing{}); !o.full(); {
		o.add4(long[:10], rowFrom, netip.AddrPortFrom(rowTo.Addr(), uint16(100+len(o.messages))), 0, 0)
		o.attach(long[10:])
	}
	if len(o.messages) != outgoingMost || o.join(long, nil, rowFrom, netip.AddrPortFrom(rowTo.Addr(), uint16(99+len(o.messages))), 0) {
		t.Errorf("%d messages of two pieces, and one joined without room", len(o.messages))
	}
}

// Whoever knows nothing of rows gets each datagram, whether the kernel takes the row
// whole or not.
func TestARowArrivesAsItsDatagrams(t *testing.T) {
	for what, spoil := range map[string]func(fd int) error{
		"whole": func(int) error { return nil },
		"apart": func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1) }, // the kernel refuses rows then
	} {
		t.Run(what, func(t *testing.T) {
			in, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			in.SetReadBuffer(1 << 20)
			to := in.LocalAddr().(*net.UDPAddr).AddrPort()
			to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
			f, err := openUDP(0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := option(f, spoil); err != nil {
				t.Fatal(err)
			}
			var o outgoing
			var want [][]byte
			for row := range 3 {
				for i := range 40 {
					n := 1200
					if i == 39 {
						n = 77
					}
					b := bytes.Repeat([]byte{byte(100*row + i)}, n)
					want = append(want, b)
					if i == 0 {
						o.add4(b[:50], rowFrom, to, 0, 4)
						o.attach(b[50:])
					} else if !o.join(b[:50], b[50:], rowFrom, to, 4) {
						t.Fatalf("row %d ends at %d", row, i)
					}
				}
				if row == 1 { // and a row behind a row in one call
					if err := o.send(f); err != nil {
						t.Fatal(err)
					}
				}
				if o.full() || len(o.vectors)-o.used < 80 {
					if err := o.send(f); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := o.send(f); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 1<<16)
			in.SetReadDeadline(time.Now().Add(10 * time.Second))
			for i, w := range want {
				n, err := in.Read(b)
				if err != nil || !bytes.Equal(b[:n], w) {
					t.Fatalf("datagram %d of %d: %d octets, want %d: %v", i, len(want), n, len(w), err)
				}
			}
		})
	}
}

// A row that is received in one piece is its datagrams again, signalling among them.
func TestARowThatComesInOnePieceIsReadAsItsDatagrams(t *testing.T) {
	f, err := openUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var port int
	if err := option(f, func(fd int) error {
		a, err := unix.Getsockname(fd)
		if err == nil {
			port = a.(*unix.SockaddrInet4).Port
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	out, err := openUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var o outgoing
	to := netip.AddrPortFrom(rowFrom, uint16(port))
	first := bytes.Repeat([]byte{1}, 500)
	o.add4(first, rowFrom, to, 0, 0)
	for i := range 9 {
		o.join(bytes.Repeat([]byte{byte(2 + i)}, 500-i/8*100), nil, rowFrom, to, 0)
	}
	if err := o.send(out); err != nil {
		t.Fatal(err)
	}
	in, err := newBurst(f, 16, 1<<16, 96)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for len(got) < 10 {
		n, err := in.receive()
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			b, outer := in.octets(i), in.outer(i)
			for one := range rowOf(b, outer) {
				got = append(got, fmt.Sprint(one[0], len(one)))
			}
		}
	}
	if want := "[1 500 2 500 3 500 4 500 5 500 6 500 7 500 8 500 9 500 10 400]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

package traffic

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"

	"s2clab/nodes/control"
)

// dial is a peer of a stream that is none of ours.
func dial(t *testing.T, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// octets adds up what flow-bytes tell.
func octets(k *told) (sum float64) {
	for _, s := range k.samples("flow-bytes") {
		sum += s[1]
	}
	return sum
}

func TestWhatABulkTransferTellsInBinsOfTimeIsAllOfIt(t *testing.T) {
	near, nearTold := newAgent(t)
	far, farTold := newAgent(t)
	at := freePort(t, "tcp")
	do(t, far, "open", control.OpenFlow{Flow: "file", Kind: "bulk", Listen: at})
	do(t, near, "start", control.StartFlow{Flow: "file", Kind: "bulk", Local: loopback, Remote: at, Size: 1000})
	await(t, "a few MB have arrived", func() bool { return counted(far, "file").received > 4<<20 })
	do(t, near, "pause", control.StopFlow{Flow: "file"})
	do(t, far, "pause", control.StopFlow{Flow: "file"})
	sent := stopped(t, near, nearTold, "file")["sent"].(float64)
	s := stopped(t, far, farTold, "file")
	if s["received"] != sent || s["corrupted"] != nil {
		t.Errorf("%v, and %.0f octets were sent", s, sent)
	}
	if told := octets(farTold); told != sent {
		t.Errorf("%.0f octets were told in bins of time, of %.0f", told, sent)
	}
	last := 0.0
	for i, s := range farTold.samples("flow-bytes") {
		if s[0] < last {
			t.Fatalf("bin %d is of %g, and the one before of %g", i, s[0], last)
		}
		last = s[0]
	}
}

func TestOctetsThatWereAlteredLostOrDoubledAreNotReceived(t *testing.T) {
	good := bytes.Repeat(pattern(), 2)
	altered := bytes.Clone(good)
	altered[70000] ^= 4
	for name, b := range map[string][]byte{
		"altered": altered,
		"lost":    append(bytes.Clone(good[:70000]), good[70001:]...),
		"doubled": append(bytes.Clone(good[:70001]), good[70000:]...),
		"garbage": bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 5000),
	} {
		t.Run(name, func(t *testing.T) {
			far, k := newAgent(t)
			at := freePort(t, "tcp")
			do(t, far, "open", control.OpenFlow{Flow: "file", Kind: "bulk", Listen: at})
			conn := dial(t, at)
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
			await(t, "all has arrived", func() bool { return arrived(counted(far, "file")) == uint64(len(b)) })
			s := stopped(t, far, k, "file")
			if bad, _ := s["corrupted"].(float64); bad < 1 {
				t.Errorf("%v: nothing is said to be wrong", s)
			}
			if told := octets(k); told != float64(len(b)) {
				t.Errorf("%.0f octets were told, of %d", told, len(b))
			}
		})
	}
}

func TestAStreamThatNeverConnectsEndsWhenItIsTold(t *testing.T) {
	for _, kind := range []string{"bulk", "request"} {
		t.Run(kind, func(t *testing.T) {
			near, k := newAgent(t)
			do(t, near, "start", control.StartFlow{Flow: "file", Kind: kind, Local: loopback, Remote: freePort(t, "tcp"), Rate: 100, Size: 1000})
			if s := stopped(t, near, k, "file"); s["sent"] != 0.0 || s["send-errors"] != 1.0 {
				t.Errorf("%v, want one failure to send", s)
			}
			far, k := newAgent(t)
			do(t, far, "open", control.OpenFlow{Flow: "file", Kind: kind, Listen: freePort(t, "tcp")})
			if s := stopped(t, far, k, "file"); s["received"] != 0.0 {
				t.Errorf("%v of nobody", s)
			}
		})
	}
}

func TestRequestsAreAnsweredOneByOne(t *testing.T) {
	near, nearTold := newAgent(t)
	far, farTold := newAgent(t)
	at := freePort(t, "tcp")
	do(t, far, "open", control.OpenFlow{Flow: "ask", Kind: "request", Listen: at})
	do(t, near, "start", control.StartFlow{Flow: "ask", Kind: "request", Local: loopback, Remote: at, Rate: 500, Size: 300})
	await(t, "30 were answered", func() bool { return counted(near, "ask").received >= 30 })
	do(t, near, "pause", control.StopFlow{Flow: "ask"})
	s := stopped(t, near, nearTold, "ask")
	sent, received := s["sent"].(float64), s["received"].(float64)
	if sent-received > 1 || sent < received || s["corrupted"] != nil {
		t.Errorf("%v: want every request answered, but for the last", s)
	}
	samples := nearTold.samples("flow-responses")
	if float64(len(samples)) != received {
		t.Errorf("%d told of %.0f", len(samples), received)
	}
	last := 0.0
	for i, one := range samples {
		if len(one) != 3 || one[0] != float64(i) || one[1] < last || one[2] < one[1] {
			t.Fatalf("response %d: %v; want its number, when it was asked (after the answer at %g) and when answered", i, one, last)
		}
		last = one[2]
	}
	s = stopped(t, far, farTold, "ask")
	if heard := s["received"].(float64); heard < received || heard > sent || s["corrupted"] != nil { // the last may have been on its way
		t.Errorf("the far end: %v, and %.0f were sent, %.0f answered", s, sent, received)
	}
}

// message is a request of that many octets, by its own word.
func message(says uint32, octets int) []byte {
	b := make([]byte, octets)
	binary.BigEndian.PutUint32(b, says)
	return b
}

func TestWhoAsksGarbageIsSentAway(t *testing.T) {
	for name, c := range map[string]struct {
		asks      []byte
		corrupted bool
	}{
		"nothing":        {nil, false},
		"half a length":  {[]byte{0, 0}, false},
		"too short":      {message(requestLeast-1, requestLeast), true},
		"too long":       {message(requestMost+1, requestLeast), true},
		"words":          {[]byte("GET / HTTP/1.1\r\n\r\n"), true},
		"half a request": {message(1000, 500), false},
	} {
		t.Run(name, func(t *testing.T) {
			far, k := newAgent(t)
			at := freePort(t, "tcp")
			do(t, far, "open", control.OpenFlow{Flow: "ask", Kind: "request", Listen: at})
			conn := dial(t, at)
			if _, err := conn.Write(c.asks); err != nil {
				t.Fatal(err)
			}
			conn.CloseWrite()
			if answer, _ := io.ReadAll(conn); len(answer) > 0 {
				t.Errorf("it is answered with %d octets", len(answer))
			}
			s := stopped(t, far, k, "ask")
			if (s["corrupted"] == 1.0) != c.corrupted || s["received"] != 0.0 || s["sent"] != 0.0 {
				t.Errorf("%v, want corrupted: %v and nothing received", s, c.corrupted)
			}
		})
	}
}

func TestTheSmallestAndTheLargestRequestAreAnswered(t *testing.T) {
	for _, size := range []int{requestLeast, requestMost} {
		far, k := newAgent(t)
		at := freePort(t, "tcp")
		do(t, far, "open", control.OpenFlow{Flow: "ask", Kind: "request", Listen: at})
		conn := dial(t, at)
		b := message(uint32(size), size)
		b[size-1] = 7
		go conn.Write(b)
		answer := make([]byte, size)
		if _, err := io.ReadFull(conn, answer); err != nil || !bytes.Equal(answer, b) {
			t.Errorf("%d octets: %v, or the answer is another", size, err)
		}
		await(t, "it is counted", func() bool { return counted(far, "ask").sent == 1 })
		if s := stopped(t, far, k, "ask"); s["received"] != 1.0 {
			t.Errorf("%d octets: %v", size, s)
		}
	}
}

// A server of requests that answers wrongly, then cuts an answer off.
func TestAWrongAnswerIsCountedAndNotTold(t *testing.T) {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const good, wrong = 3, 2 // answers
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer conn.Close()
		b := make([]byte, 100)
		for i := range good + wrong + 1 {
			if _, err := io.ReadFull(conn, b); err != nil {
				done <- err
				return
			}
			switch {
			case i == good+wrong:
				b = b[:50]
			case i >= good:
				b[99] ^= 1
			}
			if _, err := conn.Write(b); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	near, k := newAgent(t)
	do(t, near, "start", control.StartFlow{Flow: "ask", Kind: "request", Local: loopback, Remote: l.Addr().(*net.TCPAddr).AddrPort(), Rate: 500, Size: 100})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	await(t, "all were asked", func() bool { return counted(near, "ask").sent == good+wrong+1 })
	s := stopped(t, near, k, "ask")
	if s["received"] != float64(good) || s["corrupted"] != float64(wrong) {
		t.Errorf("%v, want %d received and %d corrupted", s, good, wrong)
	}
	if n := len(k.samples("flow-responses")); n != good {
		t.Errorf("%d responses told, want %d", n, good)
	}
}

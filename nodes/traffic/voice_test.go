package traffic

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"s2clab/nodes/control"
)

// A middleman stands between the ends of a voice and does to each datagram of the
// near end what treat says: what it returns is sent on, in order.
type middleman struct {
	conn *net.UDPConn
	far  netip.AddrPort

	mu    sync.Mutex
	near  netip.AddrPort
	treat func(number uint64, b []byte) [][]byte
	sent  [][]byte // on, to the far end
	taken int      // from the near end
}

func between(t *testing.T, far netip.AddrPort, treat func(uint64, []byte) [][]byte) *middleman {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	m := &middleman{conn: conn, far: far, treat: treat}
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.run()
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return m
}

func (m *middleman) at() netip.AddrPort { return m.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (m *middleman) run() {
	b := make([]byte, 64<<10)
	for {
		n, from, err := m.conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		m.mu.Lock()
		if from == m.far {
			m.conn.WriteToUDPAddrPort(b[:n], m.near)
		} else {
			m.near = from
			for _, out := range m.treat(uint64(m.taken), bytes.Clone(b[:n])) {
				m.conn.WriteToUDPAddrPort(out, m.far)
				m.sent = append(m.sent, out)
			}
			m.taken++
		}
		m.mu.Unlock()
	}
}

// so gives how many it took and sent on by now.
func (m *middleman) so() (taken, sent int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken, len(m.sent)
}

func onward(_ uint64, b []byte) [][]byte { return [][]byte{b} }

// pace is so slow that what a busy machine keeps waiting still fits a socket's
// buffer: datagrams a second.
const pace = 200

// talk opens a voice at one agent and starts it at another, through a middleman.
func talk(t *testing.T, bothWays bool, treat func(uint64, []byte) [][]byte) (near, far *agent, nearTold, farTold *told, m *middleman) {
	t.Helper()
	near, nearTold = newAgent(t)
	far, farTold = newAgent(t)
	at := freePort(t, "udp")
	m = between(t, at, treat)
	do(t, far, "open", control.OpenFlow{Flow: "talk", Kind: "voice", Listen: at, Rate: pace, Size: 100, BothWays: bothWays})
	do(t, near, "start", control.StartFlow{Flow: "talk", Kind: "voice", Local: loopback, Remote: m.at(), Rate: pace, Size: 100, BothWays: bothWays})
	return near, far, nearTold, farTold, m
}

// hush ends the sending of the near end, and waits until all that it sent has
// passed and has been taken note of.
func hush(t *testing.T, near, far *agent, m *middleman, taken func(counts) uint64) {
	t.Helper()
	do(t, near, "pause", control.StopFlow{Flow: "talk"})
	await(t, "what was sent has arrived", func() bool {
		sent := counted(near, "talk").sent
		took, on := m.so()
		return uint64(took) == sent && taken(counted(far, "talk")) == uint64(on) && counted(near, "talk").sent == sent
	})
}

func arrived(c counts) uint64 { return c.received + c.corrupted }

func TestAVoiceTellsEachDatagramThatArrives(t *testing.T) {
	near, far, nearTold, farTold, m := talk(t, false, onward)
	await(t, "50 datagrams have arrived", func() bool { return counted(far, "talk").received >= 50 })
	hush(t, near, far, m, arrived)
	took, _ := m.so()
	if s := stopped(t, far, farTold, "talk"); s["received"] != float64(took) || s["sent"] != 0.0 || s["corrupted"] != nil {
		t.Errorf("the far end: %v; %d were sent", s, took)
	}
	if s := stopped(t, near, nearTold, "talk"); s["sent"] != float64(took) || s["received"] != 0.0 || s["send-errors"] != nil {
		t.Errorf("the near end: %v; %d were sent", s, took)
	}
	samples := farTold.samples("flow-samples")
	if len(samples) != took {
		t.Fatalf("%d samples of %d datagrams", len(samples), took)
	}
	last := 0.0
	for i, s := range samples {
		if len(s) != 3 || s[0] != float64(i) || s[1] <= last || s[2] < s[1] {
			t.Fatalf("sample %d: %v; want its number, when it was sent (after %g) and when it arrived", i, s, last)
		}
		last = s[1]
	}
}

// What was lost, doubled and overtaken on the way is for who reads the samples to
// find: they must have every arrival, as it came.
func TestLostDoubledAndOvertakenDatagramsAreToldAsTheyCame(t *testing.T) {
	var kept []byte
	near, far, _, farTold, m := talk(t, false, func(number uint64, b []byte) [][]byte {
		switch number % 10 {
		case 2: // lost
			return nil
		case 4: // doubled
			return [][]byte{b, b}
		case 7: // overtaken by the next
			kept = b
			return nil
		case 8:
			return [][]byte{b, kept}
		}
		return [][]byte{b}
	})
	await(t, "50 were sent", func() bool { took, _ := m.so(); return took >= 50 })
	hush(t, near, far, m, arrived)
	_, on := m.so()
	if s := stopped(t, far, farTold, "talk"); s["received"] != float64(on) {
		t.Errorf("%v, and %d were handed on", s, on)
	}
	var got, want []float64
	for _, s := range farTold.samples("flow-samples") {
		got = append(got, s[0])
	}
	for _, b := range m.sent {
		number, _, err := getDatagram(bytes.Clone(b), flowID("talk"))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, float64(number))
	}
	if !slices.Equal(got, want) {
		t.Errorf("told %v\nwant %v", got, want)
	}
}

func TestADatagramThatWasAlteredIsCountedAndNotTold(t *testing.T) {
	near, far, _, farTold, m := talk(t, false, func(number uint64, b []byte) [][]byte {
		switch number % 5 {
		case 1: // in its filling
			b[len(b)-1] ^= 0x10
		case 2: // in its number
			b[atNumber+7] ^= 1
		case 3: // in when it was sent
			b[atSent] ^= 0x80
		}
		return [][]byte{b}
	})
	await(t, "50 were sent", func() bool { took, _ := m.so(); return took >= 50 })
	hush(t, near, far, m, arrived)
	took, _ := m.so()
	altered := 0
	for i := range took {
		if i%5 >= 1 && i%5 <= 3 {
			altered++
		}
	}
	s := stopped(t, far, farTold, "talk")
	if s["corrupted"] != float64(altered) || s["received"] != float64(took-altered) {
		t.Errorf("%v; want %d of %d corrupted", s, altered, took)
	}
	for _, one := range farTold.samples("flow-samples") {
		if n := int(one[0]) % 5; n >= 1 && n <= 3 {
			t.Errorf("datagram %g was altered, and was told", one[0])
		}
	}
}

func TestTheFarEndAnswersOnceTheNearOneSpeaks(t *testing.T) {
	near, far, nearTold, _, _ := talk(t, true, onward)
	await(t, "both hear", func() bool {
		return counted(near, "talk").received >= 30 && counted(far, "talk").received >= 30
	})
	do(t, far, "pause", control.StopFlow{Flow: "talk"})
	sent := uint64(0)
	await(t, "the far end is silent, and was heard to its last word", func() bool {
		was := sent
		sent = counted(far, "talk").sent
		return sent == was && counted(near, "talk").received == sent
	})
	heard := counted(far, "talk").received
	await(t, "it still listens", func() bool { return counted(far, "talk").received > heard })
	if s := stopped(t, near, nearTold, "talk"); s["received"] != float64(sent) {
		t.Errorf("%v, and the far end sent %d", s, sent)
	}
}

func TestAVoiceIsDeafToStrangers(t *testing.T) {
	far, farTold := newAgent(t)
	at := freePort(t, "udp")
	do(t, far, "open", control.OpenFlow{Flow: "talk", Kind: "voice", Listen: at, Rate: pace, Size: 100, BothWays: true})
	stranger, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	other := make([]byte, 100)
	putDatagram(other, flowID("another"), 0, control.Now())
	head := make([]byte, voiceLeast)
	putDatagram(head, flowID("talk"), 0, control.Now())
	bad := bytes.Clone(head)
	bad[atChecksum] ^= 1
	garbage := [][]byte{{}, {1}, other, head[:voiceLeast-1], bytes.Repeat([]byte{0xff}, 1400), make([]byte, voiceLeast), bad}
	for _, b := range garbage {
		if _, err := stranger.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "the last was heard", func() bool { return counted(far, "talk").corrupted == 1 })
	if c := counted(far, "talk"); c.received != 0 || c.sent != 0 {
		t.Errorf("%+v: a stranger was taken for the other end", c)
	}
	if _, err := stranger.Write(head); err != nil {
		t.Fatal(err)
	}
	await(t, "one of the flow is answered", func() bool { return counted(far, "talk").sent > 0 })
	if s := stopped(t, far, farTold, "talk"); s["received"] != 1.0 || s["corrupted"] != 1.0 {
		t.Errorf("%v, want 1 received and 1 corrupted", s)
	}
}

func TestAVoiceDoesNotStopBecauseNobodyHears(t *testing.T) {
	near, k := newAgent(t)
	do(t, near, "start", control.StartFlow{Flow: "talk", Kind: "voice", Local: loopback, Remote: freePort(t, "udp"), Rate: pace})
	await(t, "it goes on", func() bool { return counted(near, "talk").sent >= 20 })
	if s := stopped(t, near, k, "talk"); s["received"] != 0.0 {
		t.Errorf("%v", s)
	}
}

func FuzzDatagram(f *testing.F) {
	good := make([]byte, 40)
	putDatagram(good, flowID("talk"), 7, 1e18)
	f.Add(good)
	f.Add(good[:voiceLeast])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		number, sent, err := getDatagram(bytes.Clone(b), flowID("talk"))
		if err != nil {
			if !errors.Is(err, errForeign) && !errors.Is(err, errCorrupted) {
				t.Errorf("%v", err)
			}
			return
		}
		again := bytes.Clone(b)
		putDatagram(again, flowID("talk"), number, sent)
		if !bytes.Equal(again, b) {
			t.Errorf("%x reads as number %d, sent %d, which is written as %x", b, number, sent, again)
		}
	})
}

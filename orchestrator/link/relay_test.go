package link_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"s2clab/orchestrator/link"
	"s2clab/orchestrator/link/linktest"
	"s2clab/topologies"
)

// A watcher is an Observer that keeps what it is shown.
type watcher struct {
	mu     sync.Mutex
	sights []link.Sight
}

func (w *watcher) Joined(string, []string, int) {}

func (w *watcher) See(s *link.Sight) {
	kept := *s
	kept.Data = bytes.Clone(s.Data)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sights = append(w.sights, kept)
}

// take gives what was shown since the last call.
func (w *watcher) take() []link.Sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.sights
	w.sights = nil
	return all
}

// memory joins ports in memory by a link; all are attached.
func memory(t *testing.T, o link.Options, impairment topologies.Impairment, nodes ...string) (link.Link, map[string]*linktest.Port) {
	t.Helper()
	engine, err := link.NewEngine(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	ports := map[string]*linktest.Port{}
	cfg := link.Config{Name: "wlan", From: map[string]topologies.Impairment{}}
	for _, n := range nodes {
		ports[n] = linktest.New(t)
		cfg.Ends = append(cfg.Ends, link.End{Node: n, Port: ports[n]})
		cfg.From[n] = impairment
	}
	made, err := engine.Join(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if err := made.Attach(n); err != nil {
			t.Fatal(err)
		}
	}
	return made, ports
}

var (
	everyone = [6]byte{0x33, 0x33, 0, 0, 0, 1}
	ue       = [6]byte{2, 0, 0, 0, 0, 1}
	gw       = [6]byte{2, 0, 0, 0, 0, 2}
	ha       = [6]byte{2, 0, 0, 0, 0, 3}
)

// frame is one of an unassigned ethertype.
func frame(to, from [6]byte, text string) []byte {
	return append(append(append(append([]byte{}, to[:]...), from[:]...), 0x88, 0xb5), text...)
}

func TestAFrameCrossesUnchanged(t *testing.T) {
	_, p := memory(t, link.Options{}, topologies.Impairment{}, "ue", "gw")
	for _, text := range []string{"", "a", strings.Repeat("b", 1500), strings.Repeat("c", 60000)} {
		f := frame(gw, ue, text)
		p["ue"].Send(t, f)
		if got := p["gw"].Receive(t); !bytes.Equal(got, f) {
			t.Errorf("%d octets went in, %d came out or others", len(f), len(got))
		}
	}
	if got := p["ue"].Waiting(); got != nil {
		t.Error("the sender hears itself")
	}
}

func TestALinkOfThreeEndsLearnsWhereAnAddressIs(t *testing.T) {
	_, p := memory(t, link.Options{}, topologies.Impairment{}, "ue", "gw", "ha")
	p["ue"].Send(t, frame(ha, ue, "to an address that nobody has seen"))
	p["gw"].Receive(t)
	p["ha"].Receive(t)
	p["ha"].Send(t, frame(ue, ha, "back"))
	p["ue"].Receive(t)
	p["ue"].Send(t, frame(ha, ue, "again"))
	p["ha"].Receive(t)
	p["ue"].Send(t, frame(everyone, ue, "to all"))
	p["ha"].Receive(t)
	if got := p["gw"].Receive(t); !bytes.Contains(got, []byte("to all")) {
		t.Errorf("gw heard %q, which was not for it", got)
	}
}

func TestAnEndWithoutCarrierNeitherSendsNorHears(t *testing.T) {
	made, p := memory(t, link.Options{}, topologies.Impairment{}, "ue", "gw")
	if err := made.Detach("gw"); err != nil {
		t.Fatal(err)
	}
	if p["gw"].Carrier() || made.Attached("gw") {
		t.Error("gw is still attached")
	}
	p["ue"].Send(t, frame(gw, ue, "lost"))
	p["gw"].Send(t, frame(ue, gw, "lost"))
	linktest.Until(t, "both are dropped", func() bool {
		return made.Counters("ue").Dropped["no-carrier"] == 1 && made.Counters("gw").Dropped["no-carrier"] == 1
	})
	made.Attach("gw")
	p["ue"].Send(t, frame(gw, ue, "found"))
	if got := p["gw"].Receive(t); !bytes.Contains(got, []byte("found")) || !p["gw"].Carrier() {
		t.Errorf("got %q", got)
	}
}

func TestALinkThatGoesDownDropsWhatIsOnItsWay(t *testing.T) {
	made, p := memory(t, link.Options{}, topologies.Impairment{Delay: time.Hour}, "ue", "gw")
	p["ue"].Send(t, frame(gw, ue, "long"))
	linktest.Until(t, "it is on its way", func() bool { return made.Counters("ue").OnTheirWay == 1 })
	if err := made.SetDown(true); err != nil {
		t.Fatal(err)
	}
	if c := made.Counters("ue"); c.Dropped["link-down"] != 1 || c.OnTheirWay != 0 || p["ue"].Carrier() || p["gw"].Carrier() || !made.Down() {
		t.Errorf("down: %+v", c)
	}
	made.Detach("gw")
	if err := made.SetDown(false); err != nil {
		t.Fatal(err)
	}
	if !p["ue"].Carrier() || p["gw"].Carrier() {
		t.Error("carrier did not come back where it belongs")
	}
}

func TestAChangeWhileRunningLosesNoQueuedFrame(t *testing.T) {
	made, p := memory(t, link.Options{}, topologies.Impairment{Rate: 1000, Queue: topologies.Queue{Packets: 100}}, "ue", "gw")
	const frames = 50
	for i := range frames {
		p["ue"].Send(t, frame(gw, ue, fmt.Sprintf("%03d", i)))
	}
	linktest.Until(t, "all are queued", func() bool { return made.Counters("ue").Queued == frames-1 })
	for _, i := range []topologies.Impairment{{Rate: 2000}, {Rate: 500, Delay: time.Millisecond}, {Delay: 2 * time.Millisecond}} {
		if err := made.Set("ue", i); err != nil {
			t.Fatal(err)
		}
	}
	for i := range frames {
		if got := p["gw"].Receive(t); !bytes.HasSuffix(got, fmt.Appendf(nil, "%03d", i)) {
			t.Fatalf("frame %d is %q", i, got)
		}
	}
	if got, _ := made.Impairment("ue"); got.Delay != 2*time.Millisecond || got.Rate != 0 {
		t.Errorf("the impairment is %+v", got)
	}
}

func TestOffloadIsOffWhereSingleFramesMatter(t *testing.T) {
	made, p := memory(t, link.Options{}, topologies.Impairment{Delay: time.Millisecond}, "ue", "gw")
	if !p["ue"].Offload() || !p["gw"].Offload() {
		t.Error("a delay needs no single frames")
	}
	made.Set("ue", topologies.Impairment{Loss: topologies.Loss{Rate: 0.1}})
	if p["ue"].Offload() || !p["gw"].Offload() {
		t.Error("loss needs single frames of the end that it is set for")
	}
	made.Set("ue", topologies.Impairment{})
	if !p["ue"].Offload() {
		t.Error("it was not switched on again")
	}
}

// large is a TCP segment of 10,000 octets that its sender wants cut to 1400.
func large() []byte {
	const payload, size = 10_000, 1400
	data := make([]byte, 10+14+40+20, 10+14+40+20+payload)
	data[0], data[1] = 1, 4|0x80 // checksum wanted, TCP over IPv6, ECN
	binary.NativeEndian.PutUint16(data[2:], 74)
	binary.NativeEndian.PutUint16(data[4:], size)
	binary.NativeEndian.PutUint16(data[6:], 54)
	binary.NativeEndian.PutUint16(data[8:], 16)
	copy(data[10:], frame(gw, ue, "")[:12])
	binary.BigEndian.PutUint16(data[22:], 0x86dd)
	ip := data[24:]
	ip[0], ip[6], ip[7] = 0x60, 6, 64
	binary.BigEndian.PutUint16(ip[4:], 20+payload)
	ip[23], ip[39] = 1, 2 // addresses ::1 and ::2
	tcp := ip[40:]
	binary.BigEndian.PutUint32(tcp[4:], 0xffffff00) // sequence number: it wraps
	tcp[12], tcp[13] = 5<<4, 0x80|0x10|0x08|0x01    // CWR ACK PSH FIN
	binary.BigEndian.PutUint16(tcp[16:], pseudo(ip, 20+payload))
	for i := range payload {
		data = append(data, byte(i*7))
	}
	return data
}

// pseudo is the sum of a pseudo-header, as a sender leaves it in the field.
func pseudo(ip []byte, length int) uint16 {
	s := uint32(length) + 6
	for i := 8; i < 40; i += 2 {
		s += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// sumOK says whether the checksum of a TCP segment in IPv6 is right.
func sumOK(f []byte) bool {
	ip := f[14:]
	s := uint32(pseudo(ip, len(ip)-40))
	for i := 40; i < len(ip); i += 2 {
		word := uint32(ip[i]) << 8
		if i+1 < len(ip) {
			word |= uint32(ip[i+1])
		}
		s += word
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return s == 0xffff
}

func TestALargeSegmentCrossesAnUnimpairedLinkWhole(t *testing.T) {
	for _, i := range []topologies.Impairment{{}, {Delay: time.Millisecond}} {
		_, p := memory(t, link.Options{}, i, "ue", "gw")
		data := large()
		p["ue"].SendRaw(t, data)
		if got := p["gw"].ReceiveRaw(t); !bytes.Equal(got, data) {
			t.Errorf("%+v: it came as %d octets, or changed", i, len(got))
		}
	}
}

func TestALargeSegmentIsCutWhereSingleFramesMatter(t *testing.T) {
	_, p := memory(t, link.Options{}, topologies.Impairment{Rate: 1_000_000_000}, "ue", "gw")
	data := large()
	p["ue"].SendRaw(t, data)
	var payload []byte
	for n := 0; len(payload) < 10_000; n++ {
		f := p["gw"].Receive(t)
		tcp := f[54:]
		if !sumOK(f) {
			t.Errorf("frame %d has a wrong checksum", n)
		}
		if got, want := binary.BigEndian.Uint32(tcp[4:]), uint32(0xffffff00+n*1400); got != want {
			t.Errorf("frame %d has sequence number %d, want %d", n, got, want)
		}
		want := byte(0x10)
		if n == 0 {
			want |= 0x80
		}
		if n == 7 {
			want |= 0x08 | 0x01
		}
		if tcp[13] != want {
			t.Errorf("frame %d has flags %#x, want %#x", n, tcp[13], want)
		}
		payload = append(payload, tcp[20:]...)
	}
	if !bytes.Equal(payload, data[84:]) {
		t.Error("the payload has changed")
	}
}

// A row of UDP datagrams may be tunnelled packets, of which only one would be seen.
func TestARowOfDatagramsIsCutOnAnyLink(t *testing.T) {
	for _, i := range []topologies.Impairment{{}, {Delay: time.Millisecond}} {
		_, p := memory(t, link.Options{}, i, "ue", "gw")
		data := large()
		data[1] = 5 // UDP: its header is 8 octets, and what follows is payload
		data[24+6] = 17
		binary.NativeEndian.PutUint16(data[8:], 6)
		length := len(data) - 64
		binary.BigEndian.PutUint16(data[68:], uint16(length))
		binary.BigEndian.PutUint16(data[70:], pseudo(data[24:], length)+17-6)
		p["ue"].SendRaw(t, data)
		var payload []byte
		for n := 0; len(payload) < length-8; n++ {
			f := p["gw"].Receive(t)
			udp := f[54:]
			if want := min(1400, length-8-1400*n) + 8; len(udp) != want || int(binary.BigEndian.Uint16(udp[4:])) != want {
				t.Fatalf("%+v: datagram %d of %d octets, which says %d, want %d", i, n, len(udp), binary.BigEndian.Uint16(udp[4:]), want)
			}
			payload = append(payload, udp[8:]...)
		}
		if !bytes.Equal(payload, data[72:]) {
			t.Errorf("%+v: the payload has changed", i)
		}
	}
}

func TestACorruptedFrameDiffersByOneBitFromARightOne(t *testing.T) {
	made, p := memory(t, link.Options{}, topologies.Impairment{Corrupt: 1}, "ue", "gw")
	data := large()[:10+14+40+20]
	data[1] = 0 // not to be cut; its checksum is still to be completed
	binary.BigEndian.PutUint16(data[28:], 20)
	binary.BigEndian.PutUint16(data[80:], pseudo(data[24:], 20))
	right := bytes.Clone(data)
	link.Complete(right)
	if !sumOK(right[10:]) {
		t.Fatal("Complete got it wrong")
	}
	p["ue"].SendRaw(t, data)
	got := p["gw"].ReceiveRaw(t)
	differ := 0
	for i := range got {
		differ += bits.OnesCount8(got[i] ^ right[i])
	}
	if differ != 1 || got[0]&1 != 0 {
		t.Errorf("%d bits differ", differ)
	}
	if made.Counters("ue").Corrupted != 1 {
		t.Error("it was not counted")
	}
}

func TestACopyFollowsADuplicatedFrame(t *testing.T) {
	for _, i := range []topologies.Impairment{{Duplicate: 1}, {Duplicate: 1, Delay: time.Millisecond}, {Duplicate: 1, Rate: 1e9}} {
		_, p := memory(t, link.Options{}, i, "ue", "gw")
		p["ue"].Send(t, frame(gw, ue, "twice"))
		if a, b := p["gw"].Receive(t), p["gw"].Receive(t); !bytes.Equal(a, b) {
			t.Errorf("%+v: the copy differs", i)
		}
	}
}

func TestTheSameSeedLosesTheSameFrames(t *testing.T) {
	arrived := func(seed uint64) (all []byte) {
		made, p := memory(t, link.Options{Seed: seed}, topologies.Impairment{Loss: topologies.Loss{Rate: 0.5}}, "ue", "gw")
		for i := range 100 {
			p["ue"].Send(t, frame(gw, ue, string(rune(i))))
		}
		linktest.Until(t, "all have been sent", func() bool { return made.Counters("ue").Sent == 100 })
		for _, f := range p["gw"].Waiting() {
			all = append(all, f[len(f)-1])
		}
		return all
	}
	a, b, c := arrived(1), arrived(1), arrived(2)
	if !bytes.Equal(a, b) || bytes.Equal(a, c) || len(a) < 20 || len(a) > 80 {
		t.Errorf("of 100 frames arrived with seed 1: %d and %d, with seed 2: %d", len(a), len(b), len(c))
	}
}

func contains(text string) func(string, []byte) bool {
	return func(end string, f []byte) bool { return end == "ue" && bytes.Contains(f, []byte(text)) }
}

func TestAnAimActsOnTheFramesItMatchesAndNoOther(t *testing.T) {
	for _, c := range []struct {
		aim  link.Aim
		want []string
	}{
		{link.Aim{Action: link.Drop, Times: 1}, []string{"a", "this", "b"}},
		{link.Aim{Action: link.Drop}, []string{"a", "b"}},
		{link.Aim{Action: link.Hold, After: 30 * time.Millisecond, Times: 1}, []string{"a", "this", "b", "this"}},
		{link.Aim{Action: link.Duplicate, Times: 1}, []string{"a", "this", "this", "this", "b"}},
		{link.Aim{Action: link.Replay, After: 30 * time.Millisecond, Times: 1}, []string{"a", "this", "this", "b", "this"}},
	} {
		t.Run(fmt.Sprintf("%v %d", c.aim.Action, c.aim.Times), func(t *testing.T) {
			made, p := memory(t, link.Options{}, topologies.Impairment{}, "ue", "gw")
			hits := make(chan link.Hit, 4)
			c.aim.Match, c.aim.Hit = contains("this"), func(h link.Hit) { hits <- h }
			if _, err := made.Aim(c.aim); err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"a", "this", "this", "b"} {
				p["ue"].Send(t, frame(gw, ue, text))
			}
			h := <-hits
			if h.Action != c.aim.Action || h.End != "ue" || h.Link != "wlan" || !bytes.HasSuffix(h.Frame, []byte("this")) || h.Done != (c.aim.Times == 1) {
				t.Errorf("hit: %+v", h)
			}
			var got []string
			for range c.want {
				got = append(got, string(p["gw"].Receive(t)[14:]))
			}
			slices.Sort(got[1 : len(got)-1]) // a copy may come right behind or a little later
			want := slices.Clone(c.want)
			slices.Sort(want[1 : len(want)-1])
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAnAimThatIsStoppedActsNoMore(t *testing.T) {
	made, p := memory(t, link.Options{}, topologies.Impairment{}, "ue", "gw")
	stop, err := made.Aim(link.Aim{Match: contains("this")})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	p["ue"].Send(t, frame(gw, ue, "this"))
	p["gw"].Receive(t)
	for _, bad := range []link.Aim{{}, {Match: contains(""), Action: 9}, {Match: contains(""), After: -1}, {Match: contains(""), Times: -1}} {
		if _, err := made.Aim(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestAnInjectedFrameArrivesAndMeetsNoAim(t *testing.T) {
	made, p := memory(t, link.Options{}, topologies.Impairment{}, "ue", "gw")
	made.Aim(link.Aim{Match: contains("this")})
	if err := made.Inject("ue", frame(gw, ue, "this")); err != nil {
		t.Fatal(err)
	}
	p["gw"].Receive(t)
	for _, err := range []error{made.Inject("cn", frame(gw, ue, "")), made.Inject("ue", nil), made.Inject("ue", make([]byte, 1<<20))} {
		if err == nil {
			t.Error("it was taken")
		}
	}
}

// told describes sights in short.
func told(all []link.Sight) (text []string) {
	names := map[link.What]string{link.Entered: "entered", link.Left: "left", link.Crossed: "crossed", link.Dropped: "dropped"}
	for _, s := range all {
		line := names[s.What]
		if s.Reason != link.NotDropped {
			line += " " + s.Reason.String()
		}
		if s.Last {
			line += "."
		}
		text = append(text, line)
	}
	return text
}

func TestAnObserverSeesWhatBecomesOfEachFrame(t *testing.T) {
	for _, c := range []struct {
		name       string
		impairment topologies.Impairment
		do         func(made link.Link)
		want       []string
	}{
		{"clear", topologies.Impairment{}, nil, []string{"crossed."}},
		{"delay", topologies.Impairment{Delay: time.Millisecond}, nil, []string{"entered", "left."}},
		{"loss", topologies.Impairment{Loss: topologies.Loss{Rate: 1}}, nil, []string{"entered loss."}},
		{"corrupt", topologies.Impairment{Corrupt: 1}, nil, []string{"entered", "left."}},
		{"duplicate", topologies.Impairment{Duplicate: 1}, nil, []string{"entered", "left.", "left."}},
		{"nobody", topologies.Impairment{}, func(made link.Link) { made.Detach("gw") }, []string{"entered no-carrier."}},
		{"aim", topologies.Impairment{}, func(made link.Link) { made.Aim(link.Aim{Match: contains("x")}) }, []string{"entered aim."}},
		{"held", topologies.Impairment{}, func(made link.Link) {
			made.Aim(link.Aim{Match: contains("x"), Action: link.Hold, After: time.Millisecond})
		}, []string{"entered", "left."}},
		{"held, then lost", topologies.Impairment{Loss: topologies.Loss{Rate: 1}}, func(made link.Link) {
			made.Aim(link.Aim{Match: contains("x"), Action: link.Hold, After: time.Millisecond})
		}, []string{"entered", "dropped loss."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &watcher{}
			made, p := memory(t, link.Options{Observer: w}, c.impairment, "ue", "gw")
			if c.do != nil {
				c.do(made)
			}
			f := frame(gw, ue, "x")
			p["ue"].Send(t, f)
			var got []link.Sight
			linktest.Until(t, strings.Join(c.want, ", "), func() bool { got = append(got, w.take()...); return len(got) >= len(c.want) })
			if !slices.Equal(told(got), c.want) {
				t.Errorf("got %q, want %q", told(got), c.want)
			}
			if !bytes.Equal(got[0].Data[10:], f) {
				t.Error("what entered is not what was sent")
			}
			for _, s := range got {
				if s.At < s.Since || s.Since == 0 {
					t.Errorf("it was over at %d and began at %d", s.At, s.Since)
				}
			}
		})
	}
}

func TestAFullQueueDropsAndSaysSo(t *testing.T) {
	w := &watcher{}
	made, p := memory(t, link.Options{Observer: w}, topologies.Impairment{Rate: 1000, Queue: topologies.Queue{Packets: 1}}, "ue", "gw")
	for range 3 {
		p["ue"].Send(t, frame(gw, ue, "x"))
	}
	linktest.Until(t, "one is dropped", func() bool { return made.Counters("ue").Dropped["queue-full"] == 1 })
	if got := told(w.take()); !slices.Equal(got, []string{"entered", "entered", "entered queue-full."}) {
		t.Errorf("got %q", got)
	}
}

func TestFramesThatFindNoMemoryAreCounted(t *testing.T) {
	made, p := memory(t, link.Options{Memory: 64 << 10, Loops: 1}, topologies.Impairment{Delay: time.Hour}, "ue", "gw")
	for range 2000 {
		p["ue"].Send(t, frame(gw, ue, strings.Repeat("x", 1000)))
	}
	linktest.Until(t, "all were read", func() bool { return made.Counters("ue").Sent == 2000 })
	c := made.Counters("ue")
	if c.Dropped["out-of-memory"] == 0 || c.OnTheirWay == 0 || uint64(c.OnTheirWay)+c.Dropped["out-of-memory"] != 2000 {
		t.Errorf("counters: %+v", c)
	}
}

func TestALinkThatCannotBeIsRefused(t *testing.T) {
	engine, err := link.NewEngine(link.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	a, b := link.End{Node: "ue", Port: linktest.New(t)}, link.End{Node: "gw", Port: linktest.New(t)}
	for _, c := range []struct {
		cfg  link.Config
		want string
	}{
		{link.Config{Name: "x", Ends: []link.End{a}}, "1 ends"},
		{link.Config{Name: "x", Ends: []link.End{a, a}}, "two of its ends"},
		{link.Config{Name: "x", Engine: "kernel", Ends: []link.End{a, b}}, `hint: set "engine: user"`},
		{link.Config{Name: "x", Ends: []link.End{a, b}, From: map[string]topologies.Impairment{"ue": {Delay: -1}}}, "delay"},
		{link.Config{Name: "x", Ends: []link.End{a, b}, From: map[string]topologies.Impairment{"cn": {}}}, "not an end"},
	} {
		if _, err := engine.Join(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	made, err := engine.Join(link.Config{Name: "x", Ends: []link.End{a, b}})
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Set("ue", topologies.Impairment{Rate: -5}); err == nil {
		t.Error("a negative rate was taken")
	}
	if _, err := engine.Join(link.Config{Name: "x", Ends: []link.End{a, b}}); err == nil {
		t.Error("two links have one name")
	}
}

func TestAClosedLinkAnswersAndDoesNothing(t *testing.T) {
	engine, err := link.NewEngine(link.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := linktest.New(t), linktest.New(t)
	made, err := engine.Join(link.Config{Name: "x", Ends: []link.End{{Node: "ue", Port: a}, {Node: "gw", Port: b}}})
	if err != nil {
		t.Fatal(err)
	}
	made.Attach("ue")
	made.Close()
	made.Close()
	engine.Close()
	if made.Counters("ue").Sent != 0 || made.Down() || made.Inject("ue", frame(gw, ue, "")) == nil {
		t.Error("it still does something")
	}
}

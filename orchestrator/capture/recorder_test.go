package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv6"
	"s2clab/orchestrator/link"
	"s2clab/orchestrator/link/linktest"
)

// events is a sink.
type events struct {
	mu  sync.Mutex
	all []control.Event
}

func (e *events) take(one control.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, one)
}

func (e *events) named(name string) (some []control.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range e.all {
		if one.Name == name {
			some = append(some, one)
		}
	}
	return some
}

const second = int64(time.Second)

// newRecorder starts a Recorder of a run that began at 1,000 s, with the link wlan
// between ue, gw and ha, whose ends are 0, 1 and 2.
func newRecorder(t *testing.T, o Options) (*Recorder, *events, string) {
	t.Helper()
	got := &events{}
	o.Sink, o.Start = got.take, 1000*second
	if o.File == "" {
		o.File = filepath.Join(t.TempDir(), "capture.pcapng")
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Joined("wlan", []string{"ue", "gw", "ha"}, 0)
	return r, got, o.File
}

// sight is one of a frame of the ue, at so many milliseconds of the run.
func sight(what link.What, frame uint64, at int64, octets []byte) *link.Sight {
	return &link.Sight{What: what, Frame: frame, Since: 1000*second + at*1e6, At: 1000*second + at*1e6, Data: append(make([]byte, vnetLen), octets...)}
}

// left makes a sight one of a frame that has come to an end.
func left(s *link.Sight, to int, after int64) *link.Sight {
	s.What, s.To, s.Last, s.At = link.Left, to, true, s.Since+after*1e6
	return s
}

// A block is one of a pcapng file.
type block struct {
	kind    uint32
	body    []byte
	comment string
}

// blocks reads a pcapng file: draft-ietf-opsawg-pcapng, section 3.1.
func blocks(t *testing.T, file []byte) (all []block) {
	t.Helper()
	for len(file) > 0 {
		if len(file) < 12 {
			t.Fatalf("%d octets are left over", len(file))
		}
		n := int(binary.LittleEndian.Uint32(file[4:]))
		if n < 12 || n > len(file) || n%4 != 0 || binary.LittleEndian.Uint32(file[n-4:]) != uint32(n) {
			t.Fatalf("a block of %d octets, %d are left", n, len(file))
		}
		b := block{kind: binary.LittleEndian.Uint32(file), body: file[8 : n-4]}
		if b.kind == blockPacket {
			kept := int(binary.LittleEndian.Uint32(b.body[12:]))
			options := b.body[20+(kept+3)&^3:]
			for len(options) >= 4 {
				code, size := binary.LittleEndian.Uint16(options), int(binary.LittleEndian.Uint16(options[2:]))
				if code == optComment {
					b.comment = string(options[4 : 4+size])
				}
				options = options[4+(size+3)&^3:]
			}
		}
		all = append(all, b)
		file = file[n:]
	}
	return all
}

func (b block) number() uint32 { return binary.LittleEndian.Uint32(b.body) }

// packets are those of a file, as interface and comment.
func packets(t *testing.T, path string) (all []string) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, b := range blocks(t, file) {
		switch b.kind {
		case blockInterface:
			size := int(binary.LittleEndian.Uint16(b.body[10:]))
			names = append(names, string(b.body[12:12+size]))
		case blockPacket:
			text := names[b.number()]
			if b.comment != "" {
				text += " " + b.comment
			}
			all = append(all, text)
		}
	}
	return all
}

func TestEachFrameIsInTheFileWhereItEnteredAndWhereItLeft(t *testing.T) {
	r, _, path := newRecorder(t, Options{Comment: "a story", Names: map[netip.Addr]string{home: "ue"}})
	data := ethernet(t, &ipv6.Packet{Src: home, Dst: agent, Next: ipv6.UDP, Payload: make([]byte, 100)})
	entered := func(frame uint64, marks link.Marks, reason link.Reason) *link.Sight {
		s := sight(link.Entered, frame, int64(frame), data)
		s.Marks, s.Reason, s.Last = marks, reason, reason != link.NotDropped
		return s
	}
	crossed := sight(link.Crossed, 1, 1, data)
	crossed.To, crossed.Last = 1, true
	r.See(crossed)
	r.See(entered(2, 0, 0))
	r.See(left(sight(link.Left, 2, 2, data), 1, 20))
	r.See(entered(3, 0, link.Loss))
	r.See(entered(4, 0, link.Aimed))
	held := entered(5, link.Held, 0)
	held.Until = held.Since + 200*1e6
	r.See(held)
	lost := left(sight(link.Dropped, 2, 6, data), 0, 1)
	lost.What, lost.Reason = link.Dropped, link.LinkDown
	r.See(lost)
	r.See(entered(7, link.Corrupted|link.Duplicated, 0))
	changed := left(sight(link.Left, 7, 7, data), 2, 1)
	changed.Marks = link.Corrupted
	r.See(changed)
	again := left(sight(link.Left, 8, 8, data), 2, 1)
	again.Marks = link.Copied
	r.See(again)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"wlan:ue", "wlan:gw",
		"wlan:ue", "wlan:gw",
		"wlan:ue dropped by link wlan: loss",
		"wlan:ue dropped by link wlan: aimed at",
		"wlan:ue held by link wlan for 200ms: aimed at",
		"wlan:lost dropped by link wlan: link-down",
		"wlan:ue corrupted by link wlan after this: one bit; duplicated by link wlan",
		"wlan:ha corrupted by link wlan: one bit",
		"wlan:ha a copy made by link wlan",
	}
	if d := cmp.Diff(want, packets(t, path)); d != "" {
		t.Error(d)
	}
	if s := r.Stats(); s.Packets != uint64(len(want)) || s.Lost != 0 || s.Error != "" {
		t.Errorf("stats: %+v", s)
	}
}

func TestSignallingBecomesEventsWithTheNumbersOfTheFile(t *testing.T) {
	r, got, path := newRecorder(t, Options{})
	data := ethernet(t, &ipv6.Packet{Src: home, Dst: agent, Next: ipv6.UDP, Payload: make([]byte, 100)})
	crossed := sight(link.Crossed, 1, 1, data)
	crossed.To, crossed.Last = 1, true
	r.See(crossed) // packets 1 and 2
	r.See(sight(link.Entered, 2, 5000, bindingUpdate(t)))
	r.See(left(sight(link.Left, 2, 5000, bindingUpdate(t)), 1, 15))
	dropped := sight(link.Entered, 3, 5100, bindingAcknowledgement(t))
	dropped.From, dropped.To, dropped.Reason, dropped.Last = 1, 1, link.Aimed, true
	r.See(dropped)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	told := got.named("packet")
	if len(told) != 2 {
		t.Fatalf("%d events, want 2", len(told))
	}
	for i, want := range []map[string]any{
		{"message": "binding-update", "link": "wlan", "from": "ue", "to": []any{"gw"}, "frame": 3.0, "fate": "delivered", "length": 158.0,
			"sent": 5.0, "arrived": 5.015, "seq": 7.0},
		{"message": "binding-acknowledgement", "link": "wlan", "from": "gw", "to": []any{"ue", "ha"}, "frame": 5.0, "fate": "dropped", "reason": "aim",
			"sent": 5.1, "status": 146.0},
	} {
		for k, v := range want {
			if d := cmp.Diff(v, told[i].Fields[k]); d != "" {
				t.Errorf("event %d: %s: %s", i, k, d)
			}
		}
	}
	if told[0].At != 1005*second || told[0].Node != "ue" {
		t.Errorf("the first is at %d in %q", told[0].At, told[0].Node)
	}
	if all := packets(t, path); all[2] != "wlan:ue" || !strings.Contains(all[4], "dropped") {
		t.Errorf("packets: %q", all)
	}
	if end := got.named("capture-ended"); len(end) != 1 || end[0].Fields["packets"] != 5.0 || end[0].Fields["lost"] != 0.0 {
		t.Errorf("at the end: %+v", end)
	}
}

func TestTheFateOfAMessageIsTold(t *testing.T) {
	update := bindingUpdate(t)
	for _, c := range []struct {
		fate, reason string
		sights       []*link.Sight
	}{
		{"delivered", "", []*link.Sight{sight(link.Entered, 1, 1, update), left(sight(link.Left, 1, 1, update), 1, 1)}},
		{"corrupted", "", []*link.Sight{mark(sight(link.Entered, 1, 1, update), link.Corrupted), mark(left(sight(link.Left, 1, 1, update), 1, 1), link.Corrupted)}},
		{"held", "aim", []*link.Sight{mark(sight(link.Entered, 1, 1, update), link.Held), mark(left(sight(link.Left, 1, 1, update), 1, 300), link.Held)}},
		{"duplicated", "", []*link.Sight{mark(left(sight(link.Left, 1, 1, update), 1, 1), link.Copied)}},
		{"duplicated", "replay", []*link.Sight{mark(left(sight(link.Left, 1, 1, update), 1, 1), link.Copied|link.Replayed)}},
		{"dropped", "link-down", []*link.Sight{sight(link.Entered, 1, 1, update), reason(sight(link.Dropped, 1, 2, update), link.LinkDown)}},
		{"dropped", "loss", []*link.Sight{reason(sight(link.Entered, 1, 1, update), link.Loss)}},
		{"dropped", "capture-ended", []*link.Sight{sight(link.Entered, 1, 1, update)}},
	} {
		r, got, _ := newRecorder(t, Options{})
		for _, s := range c.sights {
			r.See(s)
		}
		r.Close()
		told := got.named("packet")
		if c.reason == "capture-ended" {
			if len(told) != 0 {
				t.Errorf("a message that is on its way was told of: %+v", told)
			}
			continue
		}
		if len(told) != 1 || told[0].Fields["fate"] != c.fate || c.reason != "" && told[0].Fields["reason"] != c.reason {
			t.Errorf("want %s %s, got %+v", c.fate, c.reason, told)
		}
	}
}

func mark(s *link.Sight, m link.Marks) *link.Sight {
	s.Marks = m
	return s
}

func reason(s *link.Sight, why link.Reason) *link.Sight {
	s.Reason, s.Last = why, true
	return s
}

func TestLongDataIsCutAndSignallingIsNot(t *testing.T) {
	r, _, path := newRecorder(t, Options{Whole: 100, Cut: 60})
	data := ethernet(t, &ipv6.Packet{Src: home, Dst: agent, Next: ipv6.UDP, Payload: make([]byte, 1000)})
	for i, f := range [][]byte{data, bindingUpdate(t)} {
		s := sight(link.Crossed, uint64(i+1), 1, f)
		s.To, s.Last = 1, true
		r.See(s)
	}
	r.Close()
	file, _ := os.ReadFile(path)
	var sizes [][2]uint32
	for _, b := range blocks(t, file) {
		if b.kind == blockPacket {
			sizes = append(sizes, [2]uint32{le.Uint32(b.body[12:]), le.Uint32(b.body[16:])})
		}
	}
	whole := uint32(len(bindingUpdate(t)))
	if d := cmp.Diff([][2]uint32{{60, uint32(len(data))}, {60, uint32(len(data))}, {whole, whole}, {whole, whole}}, sizes); d != "" {
		t.Error(d)
	}
}

func TestAFloodIsToldAsACount(t *testing.T) {
	r, got, _ := newRecorder(t, Options{})
	echo := icmpFrame(t, &icmp6.EchoRequest{Seq: 1})
	for i := range 3000 {
		s := sight(link.Crossed, uint64(i+1), 1, echo)
		s.To, s.Last = 1, true
		r.See(s)
	}
	damaged := bindingUpdate(t)
	damaged[len(damaged)-1] ^= 1
	for i := range 1001 { // garbage, and one that is right at its end
		f := damaged
		if i == 1000 {
			f = bindingUpdate(t)
		}
		s := sight(link.Crossed, uint64(5000+i), 2, f)
		s.To, s.Last = 1, true
		r.See(s)
	}
	r.Close()
	told := got.named("packet")
	if last := told[len(told)-1]; len(told) != burst+brokenBurst+1 || last.Fields["message"] != "binding-update" || last.Fields["bad-checksum"] != nil {
		t.Errorf("%d packets were told of one by one; the last: %v", len(told), last)
	}
	counts := map[string]float64{}
	for _, s := range got.named("events-suppressed") {
		counts[s.Fields["message"].(string)] += s.Fields["count"].(float64)
	}
	if d := cmp.Diff(map[string]float64{"echo-request": 3000 - burst, "binding-update": 1000 - brokenBurst}, counts); d != "" {
		t.Errorf("as counts: %s", d)
	}
	if r.Stats().Packets != 8002 {
		t.Errorf("the file has %d packets", r.Stats().Packets)
	}
}

func TestWhatWasSeenCanBeFoundAgain(t *testing.T) {
	r, _, _ := newRecorder(t, Options{})
	for i := range 3 {
		f := bindingUpdate(t)
		f[ethernetLen+7] = byte(10 + i) // hop limit
		r.See(sight(link.Entered, uint64(i+1), int64(i), f))
	}
	update := func(from string, fields map[string]any) bool {
		return from == "ue" && fields["message"] == "binding-update" && fields["seq"] == 7.0 && fields["link"] == "wlan"
	}
	for which, want := range map[Which]byte{First: 10, Last: 12} {
		if f, ok := r.Seen(which, update); !ok || f.Octets[ethernetLen+7] != want || f.End != "ue" || f.Link != "wlan" {
			t.Errorf("%s: %+v, %v", which, f, ok)
		}
	}
	if _, ok := r.Seen(Last, func(string, map[string]any) bool { return false }); ok {
		t.Error("something was found that is not there")
	}
	r.Close()
	if _, ok := r.Seen(Last, update); ok {
		t.Error("a closed recorder finds something")
	}
}

func TestAFullDiskIsToldAndTheEventsGoOn(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skipf("no /dev/full here: %v", err)
	}
	if _, err := New(Options{File: "/dev/full"}); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("beginning a capture there gave %v", err)
	}
	r, got, path := newRecorder(t, Options{})
	r.See(sight(link.Entered, 1, 1, bindingUpdate(t)))
	r.See(left(sight(link.Left, 1, 1, bindingUpdate(t)), 1, 1))
	r.Seen(First, func(string, map[string]any) bool { return false }) // it is written now
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	linktest.Until(t, "two packets are in the file", func() bool {
		octets, _, _ := r.file.state()
		return octets > 2*int64(len(bindingUpdate(t)))+300 // with what describes the interfaces
	})
	r.file.mu.Lock()
	r.file.f.Close()
	r.file.f = full
	r.file.mu.Unlock()
	r.See(sight(link.Entered, 2, 2, bindingUpdate(t)))
	r.See(left(sight(link.Left, 2, 2, bindingUpdate(t)), 1, 1))
	if err := r.Close(); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("closing gave %v", err)
	}
	if n := len(got.named("packet")); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
	if failed := got.named("capture-failed"); len(failed) != 1 || !strings.Contains(fmt.Sprint(failed[0].Fields["error"]), "no space left") {
		t.Errorf("told: %+v", failed)
	}
	if s := r.Stats(); s.Packets != 2 || s.Lost != 2 {
		t.Errorf("stats: %+v", s)
	}
	packets(t, path) // whole blocks only
}

func TestAFileThatFailsEndsWithAWholeBlock(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	section := appendSection(nil, "")
	b := appendPacket(nil, &packet{octets: make([]byte, 100), length: 100})
	whole := len(b)
	b = appendPacket(b, &packet{octets: make([]byte, 100), length: 100})
	b = appendPacket(b, &packet{octets: make([]byte, 100), length: 100})
	f.Write(section)
	var told error
	w := &file{f: f, lasting: int64(len(section)), failed: func(err error) { told = err }}
	// The file may not grow beyond a part of the second packet.
	var was unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_FSIZE, &was)
	signal.Ignore(unix.SIGXFSZ)
	defer signal.Reset(unix.SIGXFSZ)
	unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(len(section) + whole + 5), Max: was.Max})
	w.put(b)
	unix.Setrlimit(unix.RLIMIT_FSIZE, &was)
	w.put(b)
	info, _ := os.Stat(f.Name())
	if want := int64(len(section) + whole); info.Size() != want || w.lasting != want || w.lost != 2+3 || told == nil {
		t.Errorf("%d octets, %d lost, told %v; want %d, 5", info.Size(), w.lost, told, want)
	}
}

func TestALiveCaptureHasTheLinksAskedFor(t *testing.T) {
	r, _, _ := newRecorder(t, Options{Names: map[netip.Addr]string{home: "ue"}})
	r.Joined("lte", []string{"ue", "ha"}, 3)
	if _, err := r.Live(io.Discard, "lan"); err == nil {
		t.Error("a link that is not there was captured")
	}
	var out bytes.Buffer
	l, err := r.Live(&out, "lte")
	if err != nil {
		t.Fatal(err)
	}
	for frame, ends := range [][2]int{{0, 1}, {3, 4}} {
		s := sight(link.Crossed, uint64(frame+1), 1, bindingUpdate(t))
		s.From, s.To, s.Last = ends[0], ends[1], true
		r.See(s)
	}
	l.Stop()
	if lost, err := l.Wait(); lost != 0 || err != nil {
		t.Errorf("%d lost, %v", lost, err)
	}
	path := filepath.Join(t.TempDir(), "live")
	os.WriteFile(path, out.Bytes(), 0o644)
	if d := cmp.Diff([]string{"lte:ue", "lte:ha"}, packets(t, path)); d != "" {
		t.Error(d)
	}
	ends, err := r.Live(&out)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := ends.Wait(); err != nil {
		t.Errorf("it ended with its recorder: %v", err)
	}
	if _, err := r.Live(&out); err == nil {
		t.Error("a closed recorder captures")
	}
}

func TestALiveCaptureEndsWhenItsReaderGoes(t *testing.T) {
	r, _, _ := newRecorder(t, Options{})
	reader, writer := io.Pipe()
	l, err := r.Live(writer)
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	if _, err := l.Wait(); err == nil {
		t.Error("nobody said why")
	}
	r.Close()
}

func TestARingGivesBackWhatItWasGivenInOrder(t *testing.T) {
	ring := newRing()
	var in, out int
	data := make([]byte, 70_000)
	for i := range data {
		data[i] = byte(i)
	}
	size := func(n int) int { return vnetLen + n*7919%60_000 }
	for out < 5000 {
		for in < out+200 && ring.put(&link.Sight{Frame: uint64(in), Data: data[:size(in)]}, size(in)) {
			in++
		}
		rec, got := ring.first()
		if rec == nil || rec.frame != uint64(out) || !bytes.Equal(got, data[:size(out)]) {
			t.Fatalf("record %d is not what was put", out)
		}
		ring.done(rec)
		out++
	}
	for ring.put(&link.Sight{Data: data}, len(data)) {
		in++
	}
	if ring.used() < ringSize-2*uint64(len(data)) {
		t.Errorf("it is full with %d octets in it", ring.used())
	}
}

func TestWhatTwoLoopsSeeIsInTheFileOrCounted(t *testing.T) {
	r, _, path := newRecorder(t, Options{})
	const each = 50_000
	data := ethernet(t, &ipv6.Packet{Src: home, Dst: agent, Next: ipv6.UDP, Payload: make([]byte, 200)})
	var loops sync.WaitGroup
	for n := range 2 {
		loops.Go(func() {
			for i := range each {
				s := sight(link.Entered, uint64(n*each+i), 0, data)
				s.Loop, s.At = n, control.Now()
				s.Since = s.At
				r.See(s)
			}
		})
	}
	loops.Wait()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	s := r.Stats()
	if s.Packets+s.Lost != 2*each {
		t.Errorf("stats: %+v", s)
	}
	file, _ := os.ReadFile(path)
	var n uint64
	for _, b := range blocks(t, file) {
		if b.kind == blockPacket {
			n++
		}
	}
	if n != s.Packets {
		t.Errorf("the file has %d packets, want %d", n, s.Packets)
	}
}

func TestWhatSeveralLoopsSeeIsPutInOrder(t *testing.T) {
	r, _, path := newRecorder(t, Options{})
	for n := range 3 {
		r.rings[n].Store(newRing())
	}
	later := control.Now() + 3600*second // so that all of it is there before any of it is written
	for n := range 3 {
		for i := range 100 {
			s := sight(link.Entered, uint64(100*n+i), 0, bindingUpdate(t))
			s.Loop, s.At = n, later+int64(3*i+n)
			s.Since = s.At
			r.See(s)
		}
	}
	r.Close()
	file, _ := os.ReadFile(path)
	last := uint64(0)
	for _, b := range blocks(t, file) {
		if b.kind == blockPacket {
			at := uint64(le.Uint32(b.body[4:]))<<32 | uint64(le.Uint32(b.body[8:]))
			if at < last {
				t.Fatalf("a packet of %d stands after one of %d", at, last)
			}
			last = at
		}
	}
}

func TestWiresharkReadsTheFile(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("no tshark here")
	}
	r, _, path := newRecorder(t, Options{Comment: "scenario handover, seed 7", Names: map[netip.Addr]string{agent: "pgw"}})
	r.Name(home, "ue") // Wireshark shows the Home Address option as the source
	for i, f := range [][]byte{bindingUpdate(t), bindingAcknowledgement(t), tcpFrame(t, 1, mip6Request(t)), icmpFrame(t, &icmp6.RouterSolicitation{})} {
		s := sight(link.Entered, uint64(i+1), int64(1000+i), f)
		s.Reason, s.Last = link.Loss, true
		r.See(s)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-r", path, "-N", "n", "-T", "fields", "-E", "separator=|", "-e", "frame.interface_name", "-e", "_ws.col.Source", "-e", "_ws.col.Protocol",
		"-e", "frame.comment", "-e", "_ws.malformed", "-e", "mip6.mhtype", "-e", "diameter.cmd.code").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(out)), "\n"), func(l string) bool { return strings.HasPrefix(l, "Running as") })
	want := []string{
		"wlan:ue|ue|MIPv6|dropped by link wlan: loss||5|",
		"wlan:ue|pgw|MIPv6|dropped by link wlan: loss||6|",
		"wlan:ue|pgw|DIAMETER|dropped by link wlan: loss|||325",
		"wlan:ue|fe80::1|ICMPv6|dropped by link wlan: loss|||",
	}
	if d := cmp.Diff(want, lines); d != "" {
		t.Error(d)
	}
}

func BenchmarkRecorder(b *testing.B) {
	r, err := New(Options{File: filepath.Join(b.TempDir(), "capture.pcapng")})
	if err != nil {
		b.Fatal(err)
	}
	r.Joined("wlan", []string{"ue", "gw"}, 0)
	data := ethernet(b, &ipv6.Packet{Src: home, Dst: agent, Next: ipv6.UDP, Payload: make([]byte, 100)})
	s := &link.Sight{What: link.Crossed, To: 1, Last: true, Data: append(make([]byte, vnetLen), data...)}
	b.ReportAllocs()
	for b.Loop() {
		s.Frame++
		r.See(s)
	}
	b.StopTimer()
	r.Close()
	b.ReportMetric(float64(r.Stats().Lost), "lost")
}

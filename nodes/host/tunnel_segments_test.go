package host

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
)

// tester is what testing.TB and rapid.T have in common here.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// A pipe is a packetDevice whose packets come out at the other end.
type pipe struct {
	dev *packetDevice
	out int
}

func newPipe(t tester, link int) *pipe {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20)
	d := &packetDevice{link: link, file: os.NewFile(uintptr(fds[0]), "device")}
	if d.raw, err = d.file.SyscallConn(); err != nil {
		t.Fatal(err)
	}
	return &pipe{d, fds[1]}
}

func (p *pipe) close() {
	p.dev.file.Close()
	unix.Close(p.out)
}

// written gives the packets written so far, with what is left to do for each.
func (p *pipe) written() (packets [][]byte, left []offload) {
	b := make([]byte, 100_000)
	for {
		n, err := unix.Read(p.out, b)
		if err != nil || n == 0 {
			return packets, left
		}
		left = append(left, p.dev.parseOffload(b))
		packets = append(packets, append([]byte(nil), b[p.dev.prefix():n]...))
	}
}

// segmentOf makes a TCP segment as the device gives it: large, and with the sum
// of the pseudo-header for a checksum.
func segmentOf(t tester, port uint16, sequence uint32, flags byte, options, payload []byte) []byte {
	t.Helper()
	tcp := make([]byte, tcpSmallest, tcpSmallest+len(options)+len(payload))
	binary.BigEndian.PutUint16(tcp, port)
	binary.BigEndian.PutUint16(tcp[2:], 443)
	binary.BigEndian.PutUint32(tcp[4:], sequence)
	binary.BigEndian.PutUint32(tcp[8:], 77)
	tcp[12], tcp[13] = byte(tcpSmallest+len(options))/4<<4, flags
	binary.BigEndian.PutUint16(tcp[14:], 5000)
	tcp = append(append(tcp, options...), payload...)
	b, err := ipv6.Append(nil, &ipv6.Packet{Src: homeAddress, Dst: peer, HopLimit: 64, Next: ipv6.TCP, Payload: tcp})
	if err != nil {
		t.Fatal(err)
	}
	return withOpenChecksum(b)
}

// withOpenChecksum leaves no more than the sum of the pseudo-header in the checksum
// of a TCP segment.
func withOpenChecksum(b []byte) []byte {
	ip := ipHeaderOf(b)
	binary.BigEndian.PutUint16(b[ip+16:], pseudoSum(b, ipv6.TCP, len(b)-ip))
	return b
}

// overIPv4 gives a TCP segment of segmentOf an IPv4 header instead.
func overIPv4(t tester, b []byte) []byte {
	t.Helper()
	b, err := ipv4.Append(nil, &ipv4.Packet{Src: homeAddress4, Dst: peer4, ID: 65530, TTL: 64, DontFragment: true, Protocol: ipv4.TCP, Payload: b[ipv6.HeaderLen:]})
	if err != nil {
		t.Fatal(err)
	}
	return withOpenChecksum(b)
}

func largeSegment(options []byte, size int) offload {
	headers := ipv6.HeaderLen + tcpSmallest + len(options)
	return offload{flags: needsChecksum, kind: segmentsTCP6, headers: headers, segment: size, checksumStart: ipv6.HeaderLen, checksumOffset: 16}
}

// largeSegment4 is largeSegment for overIPv4.
func largeSegment4(options []byte, size int) offload {
	o := largeSegment(options, size)
	o.kind, o.headers, o.checksumStart = segmentsTCP4, o.headers-20, ipv4.HeaderLen
	return o
}

// cut gives copies of the packets that b is cut into.
func cutAll(t tester, b []byte, o offload) (all [][]byte) {
	t.Helper()
	var c cutter
	if !c.cut(b, o, func(s, payload []byte) { all = append(all, slices.Concat(s, payload)) }) {
		t.Fatalf("%+v was refused", o)
	}
	return all
}

var timestamps = []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}

func TestCutSegmentsAreWholePacketsThatJoinAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 1, 20000).Draw(t, "payload")
		size := rapid.IntRange(1000, 1400).Draw(t, "size")
		options := timestamps[:12*rapid.IntRange(0, 1).Draw(t, "options")]
		flags := byte(tcpFlagACK)
		if rapid.Bool().Draw(t, "push") {
			flags |= tcpFlagPSH
		}
		sequence := rapid.Uint32().Draw(t, "sequence")
		whole, large := segmentOf(t, 5000, sequence, flags, options, payload), largeSegment(options, size)
		if rapid.Bool().Draw(t, "over IPv4") {
			whole, large = overIPv4(t, whole), largeSegment4(options, size)
		}
		segments := cutAll(t, bytes.Clone(whole), large)
		headers := large.headers
		var got []byte
		for i, s := range segments {
			tcp := s[ipHeaderOf(s):]
			_, err := ipv6.Parse(s)
			if versionOf(s) == four {
				var p ipv4.Packet
				if p, err = ipv4.Parse(s); p.ID != 65530+uint16(i) {
					t.Fatalf("segment %d has identification %d", i, p.ID)
				}
			}
			if err != nil || len(s) > headers+size || !checksumGood(s) {
				t.Fatalf("segment %d of %d: %d octets, %v, checksum good: %v", i, len(segments), len(s), err, checksumGood(s))
			}
			if seq := binary.BigEndian.Uint32(tcp[4:]); seq != sequence+uint32(len(got)) {
				t.Fatalf("segment %d has sequence number %d, want %d", i, seq, sequence+uint32(len(got)))
			}
			if last := i == len(segments)-1; tcp[13]&tcpFlagPSH != 0 && !last {
				t.Fatalf("segment %d of %d pushes", i, len(segments))
			}
			got = append(got, s[headers:]...)
		}
		if !bytes.Equal(got, payload) {
			t.Fatal("the segments hold something else")
		}
		p := newPipe(t, 14*rapid.IntRange(0, 1).Draw(t, "link header"))
		defer p.close()
		j := joiner{dev: p.dev}
		for _, s := range segments {
			j.add(s, 1460)
		}
		j.flush()
		joined, left := p.written()
		if len(joined) != 1 {
			t.Fatalf("%d segments were joined to %d packets", len(segments), len(joined))
		}
		if len(segments) > 1 && (left[0] != large || !bytes.Equal(joined[0], whole)) {
			t.Fatalf("joined to\n%x %+v, want\n%x", joined[0], left[0], whole)
		}
		if len(segments) == 1 && !checksumGood(joined[0]) {
			t.Fatal("a single segment lost its checksum")
		}
	})
}

// A kernel tells of a segment that it has in one piece that all of it is headers.
func TestASegmentIsCutWhateverTheLengthOfItsHeadersIsSaidToBe(t *testing.T) {
	for _, payload := range []int{0, 1, 1288, 1289, 2576} {
		b := segmentOf(t, 5000, 1, tcpFlagACK, timestamps, make([]byte, payload))
		o := largeSegment(timestamps, 1288)
		o.headers = len(b)
		all := cutAll(t, b, o)
		if want := max(1, (payload+1287)/1288); len(all) != want {
			t.Errorf("%d octets in %d segments, want %d", payload, len(all), want)
		}
		for _, s := range all {
			if len(s) > ipv6.HeaderLen+tcpSmallest+len(timestamps)+1288 || !checksumGood(s) {
				t.Errorf("%d octets: a segment of %d, checksum good: %v", payload, len(s), checksumGood(s))
			}
		}
	}
}

func TestOnlyWhatFollowsIsJoined(t *testing.T) {
	full, short := bytes.Repeat([]byte{7}, 1000), bytes.Repeat([]byte{8}, 10)
	segment := func(port uint16, sequence uint32, flags byte, options, payload []byte) []byte {
		return cutAll(t, segmentOf(t, port, sequence, flags, options, payload), largeSegment(options, 1400))[0]
	}
	damaged := segment(1, 1000, tcpFlagACK, nil, full)
	damaged[len(damaged)-1] ^= 1
	otherStamp := append([]byte(nil), timestamps...)
	otherStamp[7]++
	first := segment(1, 0, tcpFlagACK, nil, full)
	for what, c := range map[string]struct {
		then []byte
		want int // packets written
	}{
		"the next":              {segment(1, 1000, tcpFlagACK, nil, full), 1},
		"the next, and shorter": {segment(1, 1000, tcpFlagACK, nil, short), 1},
		"a gap":                 {segment(1, 1001, tcpFlagACK, nil, full), 2},
		"the same again":        {segment(1, 0, tcpFlagACK, nil, full), 2},
		"another stream":        {segment(2, 1000, tcpFlagACK, nil, full), 2},
		"a longer one":          {segment(1, 1000, tcpFlagACK, nil, append(full, 1)), 2},
		"the end":               {segment(1, 1000, tcpFlagACK|tcpFlagFIN, nil, full), 2},
		"damaged":               {damaged, 2},
		"other options":         {segment(1, 1000, tcpFlagACK, otherStamp, full), 2},
		"no payload":            {segment(1, 1000, tcpFlagACK, nil, nil), 2},
		"not TCP":               {datagram(t, homeAddress, peer, "x"), 2},
		"the next, over IPv4":   {cutAll(t, overIPv4(t, segmentOf(t, 1, 1000, tcpFlagACK, nil, full)), largeSegment4(nil, 1400))[0], 2},
	} {
		p := newPipe(t, 0)
		j := joiner{dev: p.dev}
		j.add(bytes.Clone(first), 1460)
		j.add(bytes.Clone(c.then), 1460)
		j.flush()
		got, _ := p.written()
		if len(got) != c.want {
			t.Errorf("%s: %d packets, want %d", what, len(got), c.want)
		}
		if last := got[len(got)-1]; c.want == 2 && what != "another stream" && what != "the next, over IPv4" && !bytes.Equal(last, c.then) {
			t.Errorf("%s: it came out of order or changed", what)
		}
		p.close()
	}
}

// What IPv4 may cut, and what is in fragments, stays as it is.
func TestIPv4SegmentsThatMayBeCutAreNotJoined(t *testing.T) {
	payload := bytes.Repeat([]byte{7}, 1000)
	for what, change := range map[string]func(p *ipv4.Packet){
		"may be cut": func(p *ipv4.Packet) { p.DontFragment = false },
		"a fragment": func(p *ipv4.Packet) { p.DontFragment, p.MoreFragments = false, true },
		"options":    func(p *ipv4.Packet) { p.Options = []byte{1, 1, 1, 1} },
	} {
		p := newPipe(t, 0)
		j := joiner{dev: p.dev}
		var want [][]byte
		for n := range uint32(3) {
			b := cutAll(t, overIPv4(t, segmentOf(t, 1, n*1000, tcpFlagACK, nil, payload)), largeSegment4(nil, 1400))[0]
			packet, err := ipv4.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			change(&packet)
			if b, err = ipv4.Append(nil, &packet); err != nil {
				t.Fatal(err)
			}
			want = append(want, bytes.Clone(b))
			j.add(b, 1460)
		}
		j.flush()
		got, _ := p.written()
		if len(got) != 3 || !bytes.Equal(bytes.Join(got, nil), bytes.Join(want, nil)) {
			t.Errorf("%s: %d packets came, or changed", what, len(got))
		}
		p.close()
	}
}

func TestManyStreamsSideBySideStayInOrder(t *testing.T) {
	p := newPipe(t, 0)
	defer p.close()
	j := joiner{dev: p.dev}
	const streams, each = joinFlows + 3, 5
	for n := range each {
		for s := range streams {
			payload := bytes.Repeat([]byte{byte(s)}, 100)
			j.add(cutAll(t, segmentOf(t, uint16(s), uint32(n*100), tcpFlagACK, nil, payload), largeSegment(nil, 1400))[0], 1460)
		}
	}
	j.flush()
	got, _ := p.written()
	next := map[uint16]uint32{}
	for _, b := range got {
		port, sequence := binary.BigEndian.Uint16(b[40:]), binary.BigEndian.Uint32(b[44:])
		if sequence != next[port] {
			t.Errorf("stream %d: sequence %d, want %d", port, sequence, next[port])
		}
		next[port] += uint32(len(b) - 60)
	}
	for s := range uint16(streams) {
		if next[s] != each*100 {
			t.Errorf("stream %d: %d octets came, want %d", s, next[s], each*100)
		}
	}
}

func TestAChecksumThatWasLeftOpenIsClosed(t *testing.T) {
	for _, text := range []string{"", "a", "even", "odd!!"} {
		want := datagram(t, homeAddress, peer, text)
		open := bytes.Clone(want)
		binary.BigEndian.PutUint16(open[46:], pseudoSum(open, ipv6.UDP, 8+len(text)))
		if o := unfinished(open, 1460); o.checksumOffset != 6 || o.kind != 0 {
			t.Errorf("%q: %+v is left to do, want its checksum", text, o)
		}
		if o := unfinished(want, 1460); o != (offload{}) {
			t.Errorf("%q: %+v is left to do, want nothing", text, o)
		}
		got := cutAll(t, open, offload{flags: needsChecksum, checksumStart: ipv6.HeaderLen, checksumOffset: 6})
		if len(got) != 1 || !bytes.Equal(got[0], want) {
			t.Errorf("%q: got %x, want %x", text, got, want)
		}
	}
}

// What comes from outside must not hurt, nor must what a device says of it.
func FuzzHostileTunnelPackets(f *testing.F) {
	f.Add(segmentOf(f, 1, 2, tcpFlagACK, timestamps, make([]byte, 3000)), uint8(needsChecksum), uint8(segmentsTCP6), uint16(1000), uint16(40), uint16(16))
	f.Add(overIPv4(f, segmentOf(f, 1, 2, tcpFlagACK, timestamps, make([]byte, 3000))), uint8(needsChecksum), uint8(segmentsTCP4), uint16(1000), uint16(20), uint16(16))
	f.Add(datagram4(f, homeAddress4, peer4, "hello"), uint8(0), uint8(0), uint16(0), uint16(0), uint16(0))
	f.Add(datagram(f, homeAddress, peer, "hello"), uint8(0), uint8(0), uint16(0), uint16(0), uint16(0))
	p := newPipe(f, 0)
	dropped := &Tunnel{
		refusals: newRefusals(), remotes: map[netip.AddrPort]int{netip.AddrPortFrom(agent, 0): 1},
		byInner: map[netip.Addr]*binding{homeAddress: {Binding: Binding{Inner: homeAddress, Local: careOf, Remote: agent}, mtu: usualMTU}},
	}
	f.Fuzz(func(t *testing.T, b []byte, flags, kind uint8, size, start, offset uint16) {
		if !isIP(b) {
			return
		}
		j := joiner{dev: p.dev}
		for range 2 {
			decapsulateECN(b, uint8(size))
			dropped.takes(b, outerHeader{from: netip.AddrPortFrom(agent, 0), to: careOf})
			j.add(bytes.Clone(b), 1460)
		}
		j.flush()
		p.written()
		var c cutter
		c.cut(b, offload{flags: flags, kind: kind, segment: int(size), checksumStart: int(start), checksumOffset: int(offset)}, func(_, _ []byte) {})
	})
}

// FuzzHostileErrors has routers say anything about outer packets.
func FuzzHostileErrors(f *testing.F) {
	inner := datagram(f, peer, homeAddress, "hello")
	whole, err := ipv6.Append([]byte{packetTooBig, 0, 0, 0, 0, 0, 5, 120}, &ipv6.Packet{Src: agent, Dst: careOf, HopLimit: 64, Next: ipv6.Encapsulate, Payload: inner})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	for kind := range byte(5) {
		whole[0] = kind
		f.Add(bytes.Clone(whole))
	}
	tunnel := &Tunnel{
		cfg:     TunnelConfig{Side: AgentSide},
		byInner: map[netip.Addr]*binding{homeAddress: {Binding: Binding{Inner: homeAddress, Local: agent, Remote: careOf}, mtu: usualMTU}},
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := tunnel.complaint6(b)
		if c == nil {
			return
		}
		if c.of == nil {
			t.Fatal("an error of no binding is passed on")
		}
		if len(c.inner) == 0 {
			return
		}
		packet := c.toInnerSource(agent)
		if packet == nil {
			return
		}
		p, err := ipv6.Parse(packet)
		if err != nil || len(packet) > smallestMTU || ipv6.Checksum(p.Src, p.Dst, ipv6.ICMPv6, p.Payload) != 0 {
			t.Fatalf("passed on as %x: %v", packet, err)
		}
	})
}

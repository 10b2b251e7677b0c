package diampeer

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"time"

	"s2clab/nodes/wire/diameter"
)

// An inbox holds the requests that a node was sent: those whose answer is open,
// and the answers that were given, for a while.
//
// A request that comes again, by its Origin-Host and End-to-End Identifier, is not
// delivered again: RFC 6733, section 3. It gets the answer that the first one got,
// or will get. Each coming may be by another connection, and through other agents.
type inbox struct {
	last   uint64 // ID given last
	seed   maphash.Seed
	open   map[uint64]*incoming // by key
	byID   map[uint64]*incoming
	opened []*incoming // the oldest first, with some that are answered
	held   int         // octets of those that are open

	kept   map[uint64]*keptAnswer
	line   []*keptAnswer // the oldest first, from head on
	head   int
	octets int // held by line
}

// Bounds of what an inbox holds.
const (
	keepAnswers      = 4 * time.Minute // RFC 6733, section 3: End-to-End Identifiers are unique for so long
	mostAnswers      = 4096
	mostAnswerOctets = 1 << 20
	mostOpen         = 4096     // requests whose answer is open
	mostOpenOctets   = 16 << 20 // of them
	mostPaths        = 4        // by which the answer to one request goes
)

// incoming is a request whose answer is open.
type incoming struct {
	id, key uint64
	at      time.Time
	size    int
	paths   []path // the latest last
}

// A path is one coming of a request.
type path struct {
	conn    uint64
	peer    string
	hop     uint32
	proxies []diameter.AVP // Proxy-Info: RFC 6733, section 6.2, wants them back
}

type keptAnswer struct {
	key    uint64
	at     time.Time
	octets []byte
}

func newInbox() inbox {
	return inbox{seed: maphash.MakeSeed(), open: map[uint64]*incoming{}, byID: map[uint64]*incoming{}, kept: map[uint64]*keptAnswer{}}
}

// take gives what to do about a request that has come from p: deliver it, or not.
func (b *inbox) take(now time.Time, p *peer, d Deliver) []Output {
	key := b.keyOf(d.Message)
	way := path{d.Conn, d.Peer, d.Message.HopByHop, proxiesOf(d.Message)}
	again := Ignored{Conn: d.Conn, Peer: d.Peer, Reason: "duplicate-request"}
	if kept := b.kept[key]; kept != nil && now.Sub(kept.at) <= keepAnswers {
		return []Output{again, Write{Conn: d.Conn, Octets: way.address(kept.octets)}}
	}
	b.expire(now)
	if in := b.open[key]; in != nil {
		in.add(way)
		return []Output{again}
	}
	size := sizeOf(d.Message)
	if len(b.open) >= mostOpen || b.held+size > mostOpenOctets {
		failure := &diameter.Failure{Result: diameter.TooBusy, What: "too many requests wait for an answer"}
		out := []Output{Refused{Conn: d.Conn, Peer: d.Peer, Message: d.Message, Failure: failure}}
		if octets, err := diameter.AppendFailure(nil, d.Message, p.local.Identity, failure); err == nil {
			out = append(out, Write{Conn: d.Conn, Octets: octets})
		}
		return out
	}
	b.last++
	in := &incoming{id: b.last, key: key, at: now, size: size, paths: []path{way}}
	b.open[key], b.byID[in.id] = in, in
	b.opened = append(b.opened, in)
	b.held += size
	d.ID = in.id
	return []Output{d}
}

// add takes note of another coming.
func (in *incoming) add(way path) {
	in.paths = slices.DeleteFunc(in.paths, func(p path) bool { return p.conn == way.conn && p.hop == way.hop })
	if len(in.paths) == mostPaths {
		in.paths = slices.Delete(in.paths, 0, 1)
	}
	in.paths = append(in.paths, way)
}

// expire forgets requests that the owner has left open for too long to be asked
// again as the same.
func (b *inbox) expire(now time.Time) {
	done := 0
	for _, in := range b.opened {
		if b.byID[in.id] == in {
			if now.Sub(in.at) <= keepAnswers {
				break
			}
			b.forget(in)
		}
		done++
	}
	b.opened = slices.Delete(b.opened, 0, done)
	if len(b.opened) > 2*len(b.open)+64 { // behind an old one, all may have been answered
		b.opened = slices.DeleteFunc(b.opened, func(in *incoming) bool { return b.byID[in.id] != in })
	}
}

func (b *inbox) forget(in *incoming) {
	delete(b.byID, in.id)
	delete(b.open, in.key)
	b.held -= in.size
}

// answer sends the answer to a request on every path whose connection lives, the
// latest first, and keeps it where it is final.
func (b *inbox) answer(now time.Time, id uint64, octets []byte, final bool, lives func(conn uint64) bool) []Output {
	in := b.byID[id]
	if in == nil {
		return []Output{Ignored{Reason: "answer-to-nothing"}}
	}
	b.forget(in)
	var out []Output
	for _, way := range slices.Backward(in.paths) {
		if lives(way.conn) {
			out = append(out, Write{Conn: way.conn, Octets: way.address(octets)})
		}
	}
	if len(out) == 0 {
		way := in.paths[len(in.paths)-1]
		out = append(out, Ignored{Conn: way.conn, Peer: way.peer, Reason: "answer-without-connection"})
	}
	if final {
		b.keep(now, in.key, octets)
	}
	return out
}

// keep keeps an answer, and drops older ones that there is no room for.
func (b *inbox) keep(now time.Time, key uint64, octets []byte) {
	for b.head < len(b.line) {
		first := b.line[b.head]
		if len(b.line)-b.head < mostAnswers && b.octets+len(octets) <= mostAnswerOctets && now.Sub(first.at) <= keepAnswers {
			break
		}
		b.octets -= len(first.octets)
		if b.kept[first.key] == first {
			delete(b.kept, first.key)
		}
		b.line[b.head] = nil
		b.head++
	}
	if b.head > len(b.line)/2 {
		b.line = slices.Delete(b.line, 0, b.head)
		b.head = 0
	}
	k := &keptAnswer{key: key, at: now, octets: octets}
	b.kept[k.key] = k
	b.line = append(b.line, k)
	b.octets += len(octets)
}

// address makes an answer the one to the request that came by this path.
func (way path) address(answer []byte) []byte {
	if m, err := diameter.Parse(answer); err == nil && !slices.EqualFunc(proxiesOf(m), way.proxies, sameAVP) {
		m.AVPs = slices.DeleteFunc(m.AVPs, func(a diameter.AVP) bool { return a.Code == diameter.ProxyInfo })
		m.AVPs = append(m.AVPs, way.proxies...)
		if other, err := m.AppendTo(nil); err == nil {
			answer = other
		}
	}
	answer = slices.Clone(answer)
	diameter.SetHopByHop(answer, way.hop)
	return answer
}

func proxiesOf(m *diameter.Message) (all []diameter.AVP) {
	for _, a := range m.AVPs {
		if a.Code == diameter.ProxyInfo {
			all = append(all, a)
		}
	}
	return all
}

func sameAVP(a, b diameter.AVP) bool {
	return a.Code == b.Code && a.Flags == b.Flags && slices.Equal(a.Data, b.Data)
}

// sizeOf is about how many octets a message has.
func sizeOf(m *diameter.Message) int {
	n := diameter.HeaderSize
	for i := range m.AVPs {
		n += 12 + len(m.AVPs[i].Data)
	}
	return n
}

// keyOf names a request: by Origin-Host and End-to-End Identifier (RFC 6733,
// section 3), and by what it asks, so that a client that draws an identifier
// again too soon is not given another's answer. The seed keeps others from
// choosing keys.
func (b *inbox) keyOf(m *diameter.Message) uint64 {
	var h maphash.Hash
	h.SetSeed(b.seed)
	var number [8]byte
	write := func(v uint64) {
		binary.BigEndian.PutUint64(number[:], v)
		h.Write(number[:])
	}
	write(uint64(m.EndToEnd))
	write(uint64(m.Command)<<32 | uint64(m.Application))
	for i := range m.AVPs {
		a := &m.AVPs[i]
		if a.Code == diameter.RouteRecord || a.Code == diameter.ProxyInfo {
			continue // agents on another way add others
		}
		write(uint64(a.Code))
		write(uint64(len(a.Data)))
		h.Write(a.Data)
	}
	return h.Sum64()
}

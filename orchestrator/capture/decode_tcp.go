package capture

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"s2clab/nodes/wire/ipv6"
)

// A segment is the part of a TCP stream that one frame carries.
type segment struct {
	flow flow
	seq  uint32
	data []byte
}

// A flow is one direction of a TCP connection.
type flow struct{ src, dst netip.AddrPort }

// tcpSegment reads a TCP header.
func tcpSegment(p *ipv6.Packet) (segment, bool) {
	b := p.Payload
	if len(b) < 20 {
		return segment{}, false
	}
	header := int(b[12]>>4) * 4
	if header < 20 || header > len(b) {
		return segment{}, false
	}
	return segment{
		flow: flow{
			src: netip.AddrPortFrom(p.UpperSrc(), binary.BigEndian.Uint16(b)),
			dst: netip.AddrPortFrom(p.UpperDst(), binary.BigEndian.Uint16(b[2:])),
		},
		seq:  binary.BigEndian.Uint32(b[4:]),
		data: b[header:],
	}, true
}

// isSignallingStream says whether a TCP header, or the ports that it begins with, is of a
// stream of messages that are read.
func isSignallingStream(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	from, to := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	return from == portDiameter || to == portDiameter || from == portHTTP || to == portHTTP
}

// A protocol of streams says how long the messages are that they consist of, and reads
// one.
type protocol struct {
	// length is that of the message that b begins with; not told: b is too short to
	// tell. It fails where none begins: then what follows cannot be understood either.
	length func(b []byte) (n int, told bool, err error)
	read   func(message []byte) (Message, bool) // false: it is none of signalling
}

// protocolOf is what a flow carries; nil: nothing that is read.
func protocolOf(f flow) *protocol {
	switch {
	case f.src.Port() == portDiameter || f.dst.Port() == portDiameter:
		return &diameterStream
	case f.dst.Port() == portHTTP:
		return &httpRequests
	case f.src.Port() == portHTTP:
		return &httpResponses
	}
	return nil
}

// wholeMessages cuts out the messages that a segment begins with.
func wholeMessages(s segment, p *protocol) [][]byte {
	all, _ := p.cut(s.data)
	return all
}

// cut cuts whole messages off the front of b. What is left is the beginning of
// another, or nil where it cannot be one.
func (p *protocol) cut(b []byte) (all [][]byte, rest []byte) {
	for len(b) > 0 {
		n, told, err := p.length(b)
		switch {
		case err != nil || n > maxMessage:
			return all, nil
		case !told || n > len(b):
			return all, b
		}
		all = append(all, b[:n])
		b = b[n:]
	}
	return all, nil
}

// maxMessage is the longest message that is put together, in octets.
const maxMessage = 64 << 10

// streams puts together the messages of TCP connections as they cross a
// link: whole ones in a segment are taken as they are, and one that is spread
// over several is taken where it ends. The zero value is ready.
type streams struct {
	partial map[flow]*partial
	order   []flow // the oldest first
}

// A partial is a message whose end has not been seen.
type partial struct {
	next uint32 // sequence number of the octet that is missing
	data []byte
}

const maxStreams = 256

func (t *streams) messages(s segment, by *protocol) [][]byte {
	if len(s.data) == 0 {
		return nil
	}
	p := t.partial[s.flow]
	end := s.seq + uint32(len(s.data))
	switch {
	case p == nil:
	case s.seq == p.next && len(p.data)+len(s.data) <= maxMessage:
		all, rest := by.cut(append(p.data, s.data...))
		t.keep(s.flow, end, rest)
		return all
	case int32(s.seq-p.next) < 0: // sent again
		return wholeMessages(s, by)
	default: // something is missing: begin anew
		t.keep(s.flow, end, nil)
	}
	all, rest := by.cut(s.data)
	t.keep(s.flow, end, rest)
	return all
}

// keep notes what is left of a flow.
func (t *streams) keep(f flow, next uint32, rest []byte) {
	if len(rest) == 0 {
		if t.partial[f] != nil {
			delete(t.partial, f)
			t.order = slices.DeleteFunc(t.order, func(o flow) bool { return o == f })
		}
		return
	}
	if t.partial == nil {
		t.partial = map[flow]*partial{}
	}
	if t.partial[f] == nil {
		if len(t.order) >= maxStreams {
			delete(t.partial, t.order[0])
			t.order = t.order[1:]
		}
		t.order = append(t.order, f)
	}
	t.partial[f] = &partial{next: next, data: append([]byte(nil), rest...)}
}

// Package rtnetlink speaks to the kernel about devices, addresses, routes, rules
// and neighbours: requests in batches, done in order by one system call, and what
// the kernel says in return, cut into messages and attributes.
//
// It knows the frame of these messages and none of their meanings: what is asked
// is in nodes/netns and nodes/host.
package rtnetlink

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

var native = binary.NativeEndian

// A Batch is a list of requests that the kernel does in order, in one system
// call. The zero value is empty.
type Batch struct {
	octets []byte
	asked  []asked
}

// asked is what is remembered of a request until it is answered.
type asked struct {
	what      string
	tolerated []unix.Errno // answers that are as good as done
}

// Octets are those of the requests so far, for who sends them by itself.
func (b *Batch) Octets() []byte { return b.octets }

// Begin begins a request with its fixed header; attributes follow, then End. what
// names it in an error. An answer among those tolerated is none.
func (b *Batch) Begin(what string, kind, flags uint16, header []byte, tolerated ...unix.Errno) (start int) {
	start = len(b.octets)
	b.octets = native.AppendUint32(b.octets, 0) // its length, set by End
	b.octets = native.AppendUint16(b.octets, kind)
	b.octets = native.AppendUint16(b.octets, unix.NLM_F_REQUEST|flags)
	b.octets = native.AppendUint32(b.octets, uint32(len(b.asked)))
	b.octets = native.AppendUint32(b.octets, 0)
	b.octets = append(b.octets, header...)
	b.asked = append(b.asked, asked{what, tolerated})
	return start
}

// End ends the request that Begin began at start.
func (b *Batch) End(start int) { native.PutUint32(b.octets[start:], uint32(len(b.octets)-start)) }

// Nest begins an attribute that holds others, which Unnest ends.
func (b *Batch) Nest(kind uint16) (start int) {
	start = len(b.octets)
	b.octets = native.AppendUint16(b.octets, 0)
	b.octets = native.AppendUint16(b.octets, kind)
	return start
}

// Unnest ends the attribute that Nest began at start.
func (b *Batch) Unnest(start int) {
	native.PutUint16(b.octets[start:], uint16(len(b.octets)-start))
	for len(b.octets)%4 != 0 {
		b.octets = append(b.octets, 0)
	}
}

// Raw adds octets that are no attribute, such as a header within one.
func (b *Batch) Raw(octets []byte) { b.octets = append(b.octets, octets...) }

// Attribute adds an attribute.
func (b *Batch) Attribute(kind uint16, value []byte) {
	start := b.Nest(kind)
	b.octets = append(b.octets, value...)
	b.Unnest(start)
}

// Text adds an attribute that is text, which ends with a NUL.
func (b *Batch) Text(kind uint16, text string) { b.Attribute(kind, append([]byte(text), 0)) }

// Number adds an attribute of 32 bits.
func (b *Batch) Number(kind uint16, value int) {
	start := b.Nest(kind)
	b.octets = native.AppendUint32(b.octets, uint32(value))
	b.Unnest(start)
}

// Address adds an attribute that is an address.
func (b *Batch) Address(kind uint16, a netip.Addr) { b.Attribute(kind, a.AsSlice()) }

// LinkHeader is struct ifinfomsg.
func LinkHeader(index int, flags, change uint32) []byte {
	h := make([]byte, unix.SizeofIfInfomsg)
	native.PutUint32(h[4:], uint32(index))
	native.PutUint32(h[8:], flags)
	native.PutUint32(h[12:], change)
	return h
}

// Family is the address family of an address, as headers have it.
func Family(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

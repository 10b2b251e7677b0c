package capture

import (
	"sync/atomic"
	"unsafe"

	"s2clab/orchestrator/link"
)

// A ring takes what one loop of the relay sees to the recorder's goroutine: one
// writer, one reader, no lock, nothing allocated.
type ring struct {
	octets []byte
	// Positions only grow; modulo the length they are places in octets. Each is
	// written by one side alone, and stands in a cache line of its own.
	_     [64]byte
	write atomic.Uint64
	_     [56]byte
	read  atomic.Uint64
	_     [56]byte
}

// ringSize is that of a loop, in octets.
const ringSize = 8 << 20

// A record is a link.Sight in a ring; its data follow.
type record struct {
	size   uint32 // in the ring, header and padding included
	kept   uint32 // octets of data: virtio-net header, then frame
	length uint32 // octets of the frame before it was cut
	from   int32
	to     int32
	what   link.What
	marks  link.Marks
	reason link.Reason
	last   bool
	skip   bool // nothing here: go on at the ring's begin
	_      [7]byte
	frame  uint64
	at     int64
	since  int64
	until  int64
}

const recordLen = uint64(unsafe.Sizeof(record{}))

func newRing() *ring {
	words := make([]uint64, ringSize/8) // aligned as a record must be
	return &ring{octets: unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), ringSize)}
}

func (r *ring) record(at uint64) *record {
	return (*record)(unsafe.Pointer(&r.octets[at%ringSize]))
}

// put appends a record with the first kept octets of s.Data. False: there is no
// room.
func (r *ring) put(s *link.Sight, kept int) bool {
	size := (recordLen + uint64(kept) + 7) &^ 7
	at, read := r.write.Load(), r.read.Load()
	need := size
	left := ringSize - at%ringSize
	if left < size {
		need += left
	}
	if at+need-read > ringSize {
		return false
	}
	if left < size {
		if left >= recordLen {
			*r.record(at) = record{size: uint32(left), skip: true}
		}
		at += left
	}
	rec := r.record(at)
	*rec = record{
		size: uint32(size), kept: uint32(kept), length: uint32(len(s.Data) - vnetLen),
		from: int32(s.From), to: int32(s.To), what: s.What, marks: s.Marks, reason: s.Reason, last: s.Last,
		frame: s.Frame, at: s.At, since: s.Since, until: s.Until,
	}
	start := at%ringSize + recordLen
	copy(r.octets[start:start+uint64(kept)], s.Data)
	r.write.Store(at + size)
	return true
}

// first is the oldest record and its data, which are the reader's until done; or
// nil where there is none.
func (r *ring) first() (*record, []byte) {
	for {
		at := r.read.Load()
		if at == r.write.Load() {
			return nil, nil
		}
		left := ringSize - at%ringSize
		if left < recordLen {
			r.read.Store(at + left)
			continue
		}
		rec := r.record(at)
		if rec.skip {
			r.read.Store(at + left)
			continue
		}
		start := at%ringSize + recordLen
		return rec, r.octets[start : start+uint64(rec.kept)]
	}
}

// done gives the place of the oldest record back.
func (r *ring) done(rec *record) { r.read.Store(r.read.Load() + uint64(rec.size)) }

// used is how full the ring is, in octets.
func (r *ring) used() uint64 { return r.write.Load() - r.read.Load() }

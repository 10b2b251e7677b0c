package link

const (
	vnetLen   = 10                        // octets of the virtio-net header before a frame
	maxFrame  = 14 + 4 + 65535 + 1        // octets: Ethernet, a tag, the longest IP packet
	largeSize = (vnetLen + maxFrame) + 16 // of a buffer that holds any frame
)

// sizes are the octets of the buffers that a pool hands out, smallest first.
var sizes = [...]int{256, 2048, largeSize}

// A frame is an Ethernet frame behind its virtio-net header, and what is known
// of its way.
type frame struct {
	data []byte // header and frame; a part of buf
	buf  []byte
	size uint8  // index in sizes
	next *frame // in a pool

	id     uint64
	from   *end
	marks  Marks
	since  int64  // when it entered
	due    int64  // when it is to arrive
	order  uint64 // of frames due at the same time
	jitter int64  // nanoseconds, drawn when it entered
	ahead  bool   // it overtakes: no delay for it
	seen   bool   // the observer knows of it
	held   bool   // it has not entered its lane yet: an aim holds it until due
}

// octets is the Ethernet frame.
func (f *frame) octets() []byte { return f.data[vnetLen:] }

// length is that of the Ethernet frame.
func (f *frame) length() int { return len(f.data) - vnetLen }

// A pool hands out frames of a loop. It allocates only where more frames are
// out than ever before.
type pool struct {
	free [len(sizes)]*frame
	out  int // octets of buffers that are in use
	max  int // of out
}

// chunk is how much a pool allocates at once, in octets.
const chunk = 256 << 10

// get gives a frame with room for n octets of header and frame, or nil where the
// pool has given all it may.
func (p *pool) get(n int) *frame {
	size := 0
	for sizes[size] < n {
		if size++; size == len(sizes) {
			return nil
		}
	}
	if p.out+sizes[size] > p.max {
		return nil
	}
	if p.free[size] == nil {
		p.grow(size)
	}
	f := p.free[size]
	p.free[size] = f.next
	p.out += sizes[size]
	*f = frame{buf: f.buf, size: f.size, data: f.buf[:n]}
	return f
}

func (p *pool) grow(size int) {
	n := max(1, chunk/sizes[size])
	frames, octets := make([]frame, n), make([]byte, n*sizes[size])
	for i := range frames {
		f := &frames[i]
		f.buf = octets[i*sizes[size] : (i+1)*sizes[size] : (i+1)*sizes[size]]
		f.size = uint8(size)
		f.next = p.free[size]
		p.free[size] = f
	}
}

// put takes back a frame.
func (p *pool) put(f *frame) {
	p.out -= sizes[f.size]
	f.from = nil
	f.next = p.free[f.size]
	p.free[f.size] = f
}

// copy gives a frame with the same contents and way.
func (p *pool) copy(f *frame) *frame {
	g := p.get(len(f.data))
	if g == nil {
		return nil
	}
	data, buf, size := g.data, g.buf, g.size
	*g = *f
	g.data, g.buf, g.size, g.next = data, buf, size, nil
	copy(g.data, f.data)
	return g
}

// Package replica reads and writes what a home agent knows and must not lose: its
// bindings, and of each subscriber the security associations and the last
// timestamp. The format is this program's own; a home agent writes it into memory
// that outlives its process, and sends it to its standby. A Seal makes what is sent
// believable: it proves each frame, and that none is missing or from another
// connection.
//
// A stream is records, each a frame of its own: a length of 16 bits for what
// follows, the version, the type, the body. Integers are in network byte order,
// times in nanoseconds since 1970 (64 bits; 0: never), texts have a length of 16
// bits before them. A later record about the same thing takes the place of an
// earlier one.
package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// Version is that of the format. Another one is not read.
const Version = 3

// Bounds of what a record may hold.
const (
	MaxAssociations = 8
	maxText         = 512
	maxKey          = 64
)

// ErrMalformed is what every error of reading wraps.
var ErrMalformed = errors.New("malformed replica record")

// A Record is one of the types below.
type Record interface{ kind() byte }

const (
	kindOrigin byte = 1 + iota
	kindSubscriber
	kindSubscriberGone
	kindBinding
	kindBindingGone
	kindAlive
)

// An Origin says which life of a home agent this is: it comes first.
type Origin struct {
	State uint32 // Origin-State-Id: RFC 6733, section 8.16
}

// A Subscriber is what is known of one NAI.
type Subscriber struct {
	NAI          string
	Alias        string     // another name that it calls itself by; empty: none
	Home         netip.Addr // the only home address it may bind; not valid: any
	Stamped      bool       // it has been believed with a timestamp, the last of which is Last
	Last         uint64     // NTP format
	Associations []Association
}

// An Association is a mobility security association, with the Diameter session it
// came by.
type Association struct {
	SPI       uint32
	Key       []byte
	Expires   time.Time // zero: never
	Timestamp bool      // replay protection is by timestamp
	Ended     bool
	Session   string
	Server    string
}

// A SubscriberGone takes a Subscriber back.
type SubscriberGone struct{ NAI string }

// A Binding is one in force.
type Binding struct {
	Home, CareOf netip.Addr     // IPv4 care-of address: as the mobile node has it
	Home4        netip.Addr     // not valid: none
	Outer        netip.AddrPort // over IPv4: where packets go; not valid: over IPv6
	NAT, UDP     bool           // over IPv4: there is a NAT before that; packets go in UDP
	NAI          string         // empty: nobody was asked
	SPI          uint32         // of the association by which it was authenticated last
	Seq          uint16
	LinkLocal    bool // the link-local address is defended too
	Stamped      bool
	Timestamp    uint64
	Lifetime     time.Duration // granted, whole seconds
	Since        time.Time
	Expires      time.Time
}

// A BindingGone takes a Binding back.
type BindingGone struct{ Home netip.Addr }

// An Alive says that its sender lives, and how many records it has sent before:
// all that it knows where it is the first.
type Alive struct{ Records uint64 }

func (Alive) kind() byte          { return kindAlive }
func (Origin) kind() byte         { return kindOrigin }
func (Subscriber) kind() byte     { return kindSubscriber }
func (SubscriberGone) kind() byte { return kindSubscriberGone }
func (Binding) kind() byte        { return kindBinding }
func (BindingGone) kind() byte    { return kindBindingGone }

// Append appends a record's frame to b.
func Append(b []byte, r Record) ([]byte, error) {
	start := len(b)
	b = append(b, 0, 0, Version, r.kind())
	var err error
	switch r := r.(type) {
	case Origin:
		b = binary.BigEndian.AppendUint32(b, r.State)
	case Subscriber:
		b, err = r.append(b)
	case SubscriberGone:
		b, err = appendText(b, r.NAI)
	case Binding:
		b, err = r.append(b)
	case BindingGone:
		b = appendAddr(b, r.Home)
	case Alive:
		b = binary.BigEndian.AppendUint64(b, r.Records)
	default:
		err = fmt.Errorf("replica: no record %T", r)
	}
	if n := len(b) - start - 2; err == nil && n > math.MaxUint16 {
		err = fmt.Errorf("replica: record of %d octets, want %d at most", n, math.MaxUint16)
	}
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(b[start:], uint16(len(b)-start-2))
	return b, nil
}

func (r *Subscriber) append(b []byte) ([]byte, error) {
	if len(r.Associations) > MaxAssociations {
		return nil, fmt.Errorf("replica: %d associations of %s, want %d at most", len(r.Associations), r.NAI, MaxAssociations)
	}
	b, err := appendText(b, r.NAI)
	if err == nil {
		b, err = appendText(b, r.Alias)
	}
	b = appendAddr(b, r.Home)
	b = append(b, flags(r.Stamped))
	b = binary.BigEndian.AppendUint64(b, r.Last)
	b = append(b, byte(len(r.Associations)))
	for i := range r.Associations {
		a := &r.Associations[i]
		if len(a.Key) > maxKey {
			return nil, fmt.Errorf("replica: key of %d octets, want %d at most", len(a.Key), maxKey)
		}
		b = binary.BigEndian.AppendUint32(b, a.SPI)
		b = append(append(b, byte(len(a.Key))), a.Key...)
		b = append(appendTime(b, a.Expires), flags(a.Timestamp, a.Ended))
		for _, text := range []string{a.Session, a.Server} {
			var bad error
			if b, bad = appendText(b, text); bad != nil {
				err = bad
			}
		}
	}
	return b, err
}

func (r *Binding) append(b []byte) ([]byte, error) {
	seconds := r.Lifetime / time.Second
	if r.Lifetime%time.Second != 0 || seconds < 0 || seconds > math.MaxUint32 {
		return nil, fmt.Errorf("replica: lifetime %v: want whole seconds, 32 bits of them", r.Lifetime)
	}
	b = appendAddr(appendAddr(appendAddr(b, r.Home), r.CareOf), r.Home4)
	b = binary.BigEndian.AppendUint16(appendAddr(b, r.Outer.Addr()), r.Outer.Port())
	b, err := appendText(b, r.NAI)
	b = binary.BigEndian.AppendUint32(b, r.SPI)
	b = binary.BigEndian.AppendUint16(b, r.Seq)
	b = append(b, flags(r.LinkLocal, r.Stamped, r.NAT, r.UDP))
	b = binary.BigEndian.AppendUint64(b, r.Timestamp)
	b = binary.BigEndian.AppendUint32(b, uint32(seconds))
	return appendTime(appendTime(b, r.Since), r.Expires), err
}

func flags(set ...bool) (f byte) {
	for i, s := range set {
		if s {
			f |= 1 << i
		}
	}
	return f
}

func appendText(b []byte, s string) ([]byte, error) {
	if len(s) > maxText {
		return b, fmt.Errorf("replica: text of %d octets, want %d at most", len(s), maxText)
	}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...), nil
}

// appendAddr appends 16 octets, an IPv4 address as it is mapped into IPv6; those of the
// unspecified address stand for none.
func appendAddr(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		a = netip.IPv6Unspecified()
	}
	octets := a.As16()
	return append(b, octets[:]...)
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.BigEndian.AppendUint64(b, 0)
	}
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixNano()))
}

// Next reads the record at the start of b and gives what is behind it. An empty
// or unfinished b gives a nil record and no error: the writer did not come to its
// end. Every error wraps ErrMalformed.
func Next(b []byte) (r Record, rest []byte, err error) {
	if len(b) < 2 {
		return nil, b, nil
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b)-2 < n {
		return nil, b, nil
	}
	body, rest := b[2:2+n], b[2+n:]
	if n < 2 {
		return nil, b, fmt.Errorf("record of %d octets: %w", n, ErrMalformed)
	}
	if body[0] != Version {
		return nil, b, fmt.Errorf("version %d, want %d: %w", body[0], Version, ErrMalformed)
	}
	p := parser{b: body[2:]}
	switch body[1] {
	case kindOrigin:
		r = Origin{State: p.uint32()}
	case kindSubscriber:
		r = p.subscriber()
	case kindSubscriberGone:
		r = SubscriberGone{NAI: p.text()}
	case kindBinding:
		r = p.binding()
	case kindBindingGone:
		r = BindingGone{Home: p.addr()}
	case kindAlive:
		r = Alive{Records: p.uint64()}
	default:
		return nil, b, fmt.Errorf("record of type %d: %w", body[1], ErrMalformed)
	}
	if p.bad || len(p.b) > 0 {
		return nil, b, fmt.Errorf("record of type %d with %d octets: %w", body[1], n, ErrMalformed)
	}
	return r, rest, nil
}

// A parser takes fields off the front; bad: one was not there, or not as it must be.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) take(n int) []byte {
	if len(p.b) < n {
		p.bad, p.b = true, nil
		return make([]byte, n)
	}
	taken := p.b[:n]
	p.b = p.b[n:]
	return taken
}

func (p *parser) uint8() uint8   { return p.take(1)[0] }
func (p *parser) uint16() uint16 { return binary.BigEndian.Uint16(p.take(2)) }
func (p *parser) uint32() uint32 { return binary.BigEndian.Uint32(p.take(4)) }
func (p *parser) uint64() uint64 { return binary.BigEndian.Uint64(p.take(8)) }

func (p *parser) text() string {
	n := int(p.uint16())
	if n > maxText {
		p.bad = true
		return ""
	}
	return string(p.take(n))
}

func (p *parser) addr() netip.Addr {
	a := netip.AddrFrom16([16]byte(p.take(16))).Unmap()
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

func (p *parser) time() time.Time {
	n := p.uint64()
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n))
}

// flags reads a word of n flags, the others of which are 0.
func (p *parser) flags(n int) (set [8]bool) {
	f := p.uint8()
	p.bad = p.bad || f>>n != 0
	for i := range set {
		set[i] = f&(1<<i) != 0
	}
	return set
}

func (p *parser) subscriber() Subscriber {
	s := Subscriber{NAI: p.text(), Alias: p.text(), Home: p.addr(), Stamped: p.flags(1)[0], Last: p.uint64()}
	n := int(p.uint8())
	if n > MaxAssociations {
		p.bad = true
		return s
	}
	for range n {
		a := Association{SPI: p.uint32()}
		length := int(p.uint8())
		if length > maxKey {
			p.bad = true
			return s
		}
		a.Key = append([]byte(nil), p.take(length)...)
		a.Expires = p.time()
		f := p.flags(2)
		a.Timestamp, a.Ended = f[0], f[1]
		a.Session, a.Server = p.text(), p.text()
		s.Associations = append(s.Associations, a)
	}
	return s
}

func (p *parser) binding() Binding {
	b := Binding{Home: p.addr(), CareOf: p.addr(), Home4: p.addr()}
	if outer, port := p.addr(), p.uint16(); outer.IsValid() {
		b.Outer = netip.AddrPortFrom(outer, port)
	} else if port != 0 {
		p.bad = true
	}
	b.NAI, b.SPI, b.Seq = p.text(), p.uint32(), p.uint16()
	f := p.flags(4)
	b.LinkLocal, b.Stamped, b.NAT, b.UDP = f[0], f[1], f[2], f[3]
	b.Timestamp = p.uint64()
	b.Lifetime = time.Duration(p.uint32()) * time.Second
	b.Since, b.Expires = p.time(), p.time()
	return b
}

// Package leases is the book of a DHCP server, of either version: which addresses of
// a pool are whose, and until when.
package leases

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"
)

const (
	// Most is how many addresses a pool has at most.
	Most = 1 << 16
	// DeclinedFor is how long nobody is given an address that somebody has without
	// a lease.
	DeclinedFor = 10 * time.Minute
)

// A Book is of the addresses of a pool. What it keeps is bounded by them, and by those
// beside them that its owner lets clients Hold.
type Book struct {
	first, last, except netip.Addr

	leases   map[netip.Addr]lease
	byClient map[string]netip.Addr
	declined map[netip.Addr]time.Time // until when
	full     bool                     // that the pool is so has been told
	next     time.Time                // nothing ends before; zero: nothing does
}

type lease struct {
	client string
	until  time.Time
}

// NewBook makes an empty Book of the addresses from first to last, as Count takes
// them, without the one excepted; that may be invalid.
func NewBook(first, last, except netip.Addr) *Book {
	return &Book{
		first: first, last: last, except: except,
		leases: map[netip.Addr]lease{}, byClient: map[string]netip.Addr{}, declined: map[netip.Addr]time.Time{},
	}
}

// Count is how many addresses there are from first to last, which are of one family,
// of one /64 where they are IPv6, and not the greater one first; 0: they are invalid.
func Count(first, last netip.Addr) uint64 {
	if !first.IsValid() {
		return 0
	}
	return low(last) - low(first) + 1
}

// low is what addresses of a link differ in.
func low(a netip.Addr) uint64 {
	b := a.As16()
	return binary.BigEndian.Uint64(b[8:])
}

// Size is how many addresses the pool has.
func (b *Book) Size() uint32 { return uint32(Count(b.first, b.last)) }

// Nth is an address of the pool, the first one for 0.
func (b *Book) Nth(n uint32) netip.Addr {
	octets := b.first.As16()
	binary.BigEndian.PutUint64(octets[8:], low(b.first)+uint64(n))
	a := netip.AddrFrom16(octets)
	if b.first.Is4() {
		return a.Unmap()
	}
	return a
}

// Of is the address that a client has.
func (b *Book) Of(client string) (netip.Addr, bool) {
	a, ok := b.byClient[client]
	return a, ok
}

// Free says whether a is of the pool and nobody's.
func (b *Book) Free(now time.Time, a netip.Addr) bool {
	if !b.first.IsValid() || a.Less(b.first) || b.last.Less(a) || a == b.except {
		return false
	}
	_, leased := b.leases[a]
	until, declined := b.declined[a]
	return !leased && !(declined && now.Before(until))
}

// Choose finds an address for a client: the one it has, the first of those it wishes
// for that is free, or any. A client that comes back finds the one it had, if that
// is still free: they begin to be tried at a place that depends on the client.
func (b *Book) Choose(now time.Time, client string, wishes ...netip.Addr) (netip.Addr, bool) {
	if a, ok := b.byClient[client]; ok {
		return a, true
	}
	for _, a := range wishes {
		if a.IsValid() && b.Free(now, a) {
			return a, true
		}
	}
	size := b.Size()
	if uint32(len(b.leases)+len(b.declined)) >= size {
		return netip.Addr{}, false
	}
	h := fnv.New32a()
	h.Write([]byte(client))
	first := h.Sum32() % size
	for i := range size {
		if a := b.Nth((first + i) % size); b.Free(now, a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// Exhausted says that Choose found nothing. It is true the first time since an
// address came free.
func (b *Book) Exhausted() (first bool) {
	first = !b.full
	b.full = true
	return first
}

// Hold gives an address to a client, and tells whether nobody had it.
func (b *Book) Hold(a netip.Addr, client string, until time.Time) (new bool) {
	_, had := b.leases[a]
	b.leases[a] = lease{client, until}
	b.byClient[client] = a
	b.remember(until)
	return !had
}

// End takes an address from whom it was given to.
func (b *Book) End(a netip.Addr) {
	delete(b.byClient, b.leases[a].client)
	delete(b.leases, a)
	b.full = false
}

// Decline is End for an address that somebody has without a lease.
func (b *Book) Decline(now time.Time, a netip.Addr) {
	b.End(a)
	b.declined[a] = now.Add(DeclinedFor)
	b.remember(b.declined[a])
}

// Expire does what is due at now, and nothing before Deadline. It gives the
// addresses whose leases ended.
func (b *Book) Expire(now time.Time) (ended []netip.Addr) {
	if b.next.IsZero() || now.Before(b.next) {
		return nil
	}
	b.next = time.Time{}
	for a, l := range b.leases {
		if now.Before(l.until) {
			b.remember(l.until)
			continue
		}
		b.End(a)
		ended = append(ended, a)
	}
	for a, until := range b.declined {
		if now.Before(until) {
			b.remember(until)
			continue
		}
		delete(b.declined, a)
		b.full = false
	}
	slices.SortFunc(ended, netip.Addr.Compare)
	return ended
}

func (b *Book) remember(at time.Time) {
	if b.next.IsZero() || at.Before(b.next) {
		b.next = at
	}
}

// Deadline is when Expire has something to do; zero: never, as things stand.
func (b *Book) Deadline() time.Time { return b.next }

// Kept is how much the Book keeps.
func (b *Book) Kept() (leased, clients, declined int) {
	return len(b.leases), len(b.byClient), len(b.declined)
}

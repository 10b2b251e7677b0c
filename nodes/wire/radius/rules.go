package radius

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"
)

// A rule says how often a message holds an attribute, and how long its value is.
// Attributes without a rule may be there; they are not looked at.
type rule struct {
	attribute Type
	min, max  int
	size      int // in octets; 0: what its kind wants
}

// optional rules are those of attributes that a message may have once.
func optional(types ...Type) (rules []rule) {
	for _, t := range types {
		rules = append(rules, rule{t, 0, 1, 0})
	}
	return rules
}

// read unpacks the attributes of a message and holds them against its rules.
// Every error wraps ErrMalformed.
func read(what string, as []Attribute, rules []rule) (values, error) {
	all, err := Unpack(as)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	for _, r := range rules {
		count := 0
		for _, a := range all {
			if a.Type != r.attribute {
				continue
			}
			count++
			if size := len(a.Value); r.size != 0 && size != r.size || !dictionary[a.Type].kind.fits(size) {
				return nil, fmt.Errorf("%s: %v of %d octets, want %s: %w", what, a.Type, size, r.wants(), ErrMalformed)
			}
		}
		if count < r.min || count > r.max {
			return nil, fmt.Errorf("%s: %v is there %d times, want %d to %d: %w", what, r.attribute, count, r.min, r.max, ErrMalformed)
		}
	}
	return all, nil
}

// fits says whether a value may have so many octets.
func (k kind) fits(size int) bool {
	switch k {
	case text:
		return size > 0 // RFC 2865, section 5: left out rather than sent empty
	case integer, ipv4:
		return size == 4
	case ipv6:
		return size == 16
	case eitherIP:
		return size == 4 || size == 16
	}
	return true
}

func (r rule) wants() string {
	switch k := dictionary[r.attribute].kind; {
	case r.size != 0:
		return fmt.Sprint(r.size)
	case k == text:
		return "1 or more"
	case k == ipv6:
		return "16"
	case k == eitherIP:
		return "4 or 16"
	}
	return "4"
}

// values are what a message holds, out of Unpack and by its rules. What is not
// there reads as the zero value.
type values []Attribute

func (v values) octets(t Type) []byte {
	for _, a := range v {
		if a.Type == t {
			return a.Value
		}
	}
	return nil
}

func (v values) has(t Type) bool {
	return slices.ContainsFunc(v, func(a Attribute) bool { return a.Type == t })
}

func (v values) text(t Type) string { return string(v.octets(t)) }

func (v values) number(t Type) uint32 {
	if b := v.octets(t); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (v values) seconds(t Type) time.Duration { return time.Duration(v.number(t)) * time.Second }

func (v values) address(t Type) netip.Addr {
	a, _ := netip.AddrFromSlice(v.octets(t))
	return a
}

// key uncovers a key; nil: it is not there.
func (v values) key(t Type, c *Cover) ([]byte, error) {
	if !v.has(t) {
		return nil, nil
	}
	key, err := c.Reveal(v.octets(t))
	if err != nil {
		return nil, fmt.Errorf("%v: %w", t, err)
	}
	if len(key) == 0 {
		return nil, fmt.Errorf("%v is empty: %w", t, ErrMalformed)
	}
	return key, nil
}

// A writer appends the attributes of a message. Its error is that of the first
// value that does not fit; zero values of all but numbers are left out.
type writer struct {
	what string
	as   []Attribute
	err  error
}

func (w *writer) add(t Type, value []byte) {
	if w.err == nil {
		w.as, w.err = Add(w.as, t, value)
	}
}

func (w *writer) octets(t Type, value []byte) {
	if len(value) > 0 {
		w.add(t, value)
	}
}

func (w *writer) text(t Type, value string) { w.octets(t, []byte(value)) }

func (w *writer) number(t Type, n uint32) { w.add(t, binary.BigEndian.AppendUint32(nil, n)) }

// seconds appends whole seconds, which 32 bits must hold; 0 is left out.
func (w *writer) seconds(t Type, d time.Duration) {
	if d == 0 {
		return
	}
	n := d / time.Second
	if d%time.Second != 0 || n < 0 || n > math.MaxUint32 {
		w.fail("%v %v: want 1 s to %d s in steps of 1 s", t, d, uint32(math.MaxUint32))
		return
	}
	w.number(t, uint32(n))
}

func (w *writer) address(t Type, a netip.Addr) {
	if a.IsValid() {
		w.add(t, a.AsSlice())
	}
}

func (w *writer) key(t Type, key []byte, c *Cover) {
	if len(key) == 0 || w.err != nil {
		return
	}
	hidden, err := c.Hide(key)
	if err != nil {
		w.fail("%v: %w", t, err)
		return
	}
	w.add(t, hidden)
}

func (w *writer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// end gives the attributes, if the message holds what its rules want.
func (w *writer) end(begin int, rules []rule) ([]Attribute, error) {
	if w.err != nil {
		return nil, fmt.Errorf("%s: %w", w.what, w.err)
	}
	if _, err := read(w.what, w.as[begin:], rules); err != nil {
		return nil, err
	}
	return w.as, nil
}

// A NAS says who sends an Access-Request: an access router, an authenticator, a
// home agent. At least one must be told: RFC 2865, section 5.4, and RFC 3162,
// section 2.1.
type NAS struct {
	Address    netip.Addr // NAS-IPv6-Address or NAS-IP-Address; not valid: not told
	Identifier string     // NAS-Identifier; empty: not told
}

func (n *NAS) append(w *writer) {
	if !n.Address.IsValid() && n.Identifier == "" {
		w.fail("neither address nor identifier of who asks: want one")
	}
	w.address(nasAddress(n.Address), n.Address)
	w.text(NASIdentifier, n.Identifier)
}

func nasAddress(a netip.Addr) Type {
	if a.Is4() {
		return NASIPAddress
	}
	return NASIPv6Address
}

var nasRules = optional(NASIPAddress, NASIPv6Address, NASIdentifier)

func parseNAS(what string, v values) (NAS, error) {
	n := NAS{Address: v.address(NASIPv6Address), Identifier: v.text(NASIdentifier)}
	if !n.Address.IsValid() {
		n.Address = v.address(NASIPAddress)
	}
	if !n.Address.IsValid() && n.Identifier == "" {
		return n, fmt.Errorf("%s: neither address nor identifier of who asks: %w", what, ErrMalformed)
	}
	return n, nil
}

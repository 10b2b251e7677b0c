package diameter

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// AVPFlags are the flags of an AVP: RFC 6733, section 4.1. Reserved bits are
// kept, so that what was parsed can be appended again unchanged.
type AVPFlags uint8

const (
	Vendor    AVPFlags = 0x80 // V: a Vendor-ID follows; set where AVP.Code has a vendor
	Mandatory AVPFlags = 0x40 // M: who does not understand the AVP must reject the message
	Protected AVPFlags = 0x20 // P: reserved for end-to-end security
)

// avpSize is the length of an AVP header without Vendor-ID.
const avpSize = 8

// An AVP is one attribute and its value: RFC 6733, section 4.
type AVP struct {
	Code  Code
	Flags AVPFlags
	Data  []byte // without padding; of a Grouped AVP: the AVPs in it, padded
}

// ParseAVPs parses AVPs that fill b: those of a message or of a Grouped AVP.
// Their Data lies in b. The error is a *Failure; the AVPs before it are given.
func ParseAVPs(b []byte) ([]AVP, error) {
	var avps []AVP
	if n := len(b) / 24; n > 0 {
		avps = make([]AVP, 0, min(n, 32))
	}
	for len(b) > 0 {
		a, size, err := parseAVP(b)
		if err != nil {
			return avps, err
		}
		avps = append(avps, a)
		b = b[size:]
	}
	return avps, nil
}

// parseAVP parses the AVP that begins with b; size includes its padding.
func parseAVP(b []byte) (a AVP, size int, err error) {
	if len(b) < avpSize {
		// RFC 6733, section 7.1.5: the incomplete header, padded with zeros.
		var header [avpSize]byte
		copy(header[:], b)
		a = AVP{Code: Code(binary.BigEndian.Uint32(header[:])), Flags: AVPFlags(header[4]) &^ Vendor}
		return AVP{}, 0, &Failure{Result: InvalidAVPLength, AVP: a.example(), What: fmt.Sprintf("%d octets, want the %d of an AVP header", len(b), avpSize)}
	}
	a.Code = Code(binary.BigEndian.Uint32(b))
	a.Flags = AVPFlags(b[4])
	n := int(binary.BigEndian.Uint32(b[4:]) & 0xffffff)
	header := avpSize
	if a.Flags&Vendor != 0 {
		header += 4
		if len(b) >= header {
			a.Code |= Code(binary.BigEndian.Uint32(b[avpSize:])) << 32
		}
	}
	size = (n + 3) &^ 3
	if n < header || size > len(b) {
		return AVP{}, 0, &Failure{Result: InvalidAVPLength, AVP: a.example(), What: fmt.Sprintf("%v of %d octets with %d left, want %d or more", a.Code, n, len(b), header)}
	}
	if a.Flags&Vendor != 0 && a.Code.Vendor() == 0 {
		// RFC 6733, section 4.1.1: zero MUST NOT be used.
		a.Data = b[header:n:n]
		return AVP{}, 0, &Failure{Result: InvalidAVPBits, AVP: &a, What: fmt.Sprintf("%v has the V bit and Vendor-ID 0", a.Code)}
	}
	a.Data = b[header:n:n]
	return a, size, nil
}

// append appends the AVP with its padding.
func (a *AVP) append(b []byte) []byte {
	start := len(b)
	b = appendAVPHeader(b, a.Code, a.Flags)
	return finishAVP(append(b, a.Data...), start)
}

// appendAVPHeader appends a header with a length that finishAVP sets. The V bit
// stays as it is in a parsed Failed-AVP with Vendor-ID 0, and follows the code otherwise.
func appendAVPHeader(b []byte, c Code, f AVPFlags) []byte {
	if c.Vendor() != 0 {
		f |= Vendor
	}
	b = binary.BigEndian.AppendUint32(b, c.Number())
	b = binary.BigEndian.AppendUint32(b, uint32(f)<<24)
	if f&Vendor != 0 {
		b = binary.BigEndian.AppendUint32(b, c.Vendor())
	}
	return b
}

// finishAVP sets the length of the AVP that begins at start and pads it. A
// length that does not fit makes the message too long, which finish tells.
func finishAVP(b []byte, start int) []byte {
	n := len(b) - start
	b[start+5], b[start+6], b[start+7] = byte(n>>16), byte(n>>8), byte(n)
	for ; n%4 != 0; n++ {
		b = append(b, 0)
	}
	return b
}

// example is the AVP with a value of zeros of the least length that its type
// allows: what a Failed-AVP holds in place of one that is missing or cannot be
// decoded (RFC 6733, sections 7.1.5 and 7.5).
func (a AVP) example() *AVP {
	if d := define(a.Code); d != nil {
		a.Data = make([]byte, d.kind.least())
	}
	return &a
}

// Uint32 is the value of an AVP of type Unsigned32 or Enumerated, 0 where it
// has another length.
func (a *AVP) Uint32() uint32 {
	if len(a.Data) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(a.Data)
}

// Uint64 is the value of an AVP of type Unsigned64, 0 where it has another length.
func (a *AVP) Uint64() uint64 {
	if len(a.Data) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(a.Data)
}

// Address is the value of an AVP of type Address; not valid where that is
// neither an IPv4 nor an IPv6 address.
func (a *AVP) Address() netip.Addr {
	switch {
	case len(a.Data) == 6 && binary.BigEndian.Uint16(a.Data) == familyIPv4:
		return netip.AddrFrom4([4]byte(a.Data[2:]))
	case len(a.Data) == 18 && binary.BigEndian.Uint16(a.Data) == familyIPv6:
		return netip.AddrFrom16([16]byte(a.Data[2:]))
	}
	return netip.Addr{}
}

// Address families: RFC 6733, section 4.3.1, as IANA numbers them.
const (
	familyIPv4 = 1
	familyIPv6 = 2
)

// Find gives the first AVP of m with that code; nil: there is none.
func (m *Message) Find(c Code) *AVP { return find(m.AVPs, c) }

func find(avps []AVP, c Code) *AVP {
	for i := range avps {
		if avps[i].Code == c {
			return &avps[i]
		}
	}
	return nil
}

// text is the value of the first AVP with that code as text.
func text(avps []AVP, c Code) string {
	if a := find(avps, c); a != nil {
		return string(a.Data)
	}
	return ""
}

// number is the value of the first AVP with that code as a number.
func number(avps []AVP, c Code) uint32 {
	if a := find(avps, c); a != nil {
		return a.Uint32()
	}
	return 0
}

// octets is a copy of the value of the first AVP with that code; nil: there is none.
func octets(avps []AVP, c Code) []byte {
	if a := find(avps, c); a != nil {
		return append([]byte{}, a.Data...)
	}
	return nil
}

// numbers are the values of all AVPs with that code.
func numbers[T ~uint32](avps []AVP, c Code) (all []T) {
	for i := range avps {
		if avps[i].Code == c {
			all = append(all, T(avps[i].Uint32()))
		}
	}
	return all
}

// addresses are the values of all AVPs with that code.
func addresses(avps []AVP, c Code) (all []netip.Addr) {
	for i := range avps {
		if avps[i].Code == c {
			all = append(all, avps[i].Address())
		}
	}
	return all
}

// all are all AVPs with that code.
func all(avps []AVP, c Code) (all []AVP) {
	for _, a := range avps {
		if a.Code == c {
			all = append(all, a)
		}
	}
	return all
}

// inner are the AVPs in the first Grouped AVP with that code, which Check has
// parsed; nil: there is no such group, or nothing in it.
func inner(avps []AVP, c Code) []AVP {
	a := find(avps, c)
	if a == nil {
		return nil
	}
	held, _ := ParseAVPs(a.Data)
	return held
}

// told is the value of the first AVP with that code as a number; nil: there is none.
func told[T ~uint32](avps []AVP, c Code) *T {
	a := find(avps, c)
	if a == nil {
		return nil
	}
	return new(T(a.Uint32()))
}

// seconds is the value of the first AVP with that code as a time that passes; 0:
// there is none.
func seconds(avps []AVP, c Code) time.Duration {
	return time.Duration(number(avps, c)) * time.Second
}

// What follows appends AVPs that the dictionary knows, with the flags it gives.

func appendOctets[T ~string | ~[]byte](b []byte, c Code, data T) []byte {
	start := len(b)
	b = appendAVPHeader(b, c, flagsOf(c))
	return finishAVP(append(b, data...), start)
}

func appendUint32[T ~uint32](b []byte, c Code, v T) []byte {
	start := len(b)
	b = appendAVPHeader(b, c, flagsOf(c))
	return finishAVP(binary.BigEndian.AppendUint32(b, uint32(v)), start)
}

func appendUint64(b []byte, c Code, v uint64) []byte {
	start := len(b)
	b = appendAVPHeader(b, c, flagsOf(c))
	return finishAVP(binary.BigEndian.AppendUint64(b, v), start)
}

func appendAddress(b []byte, c Code, a netip.Addr) []byte {
	start := len(b)
	b = appendAVPHeader(b, c, flagsOf(c))
	family := uint16(familyIPv6)
	if a.Is4() {
		family = familyIPv4
	}
	b = binary.BigEndian.AppendUint16(b, family)
	return finishAVP(append(b, a.AsSlice()...), start)
}

func appendGroup(b []byte, c Code, fill func(b []byte) []byte) []byte {
	start := len(b)
	return finishAVP(fill(appendAVPHeader(b, c, flagsOf(c))), start)
}

// appendText appends an AVP whose absence means that there is no such text.
func appendText(b []byte, c Code, s string) []byte {
	if s == "" {
		return b
	}
	return appendOctets(b, c, s)
}

// appendHeld appends an AVP that nil is not in.
func appendHeld(b []byte, c Code, data []byte) []byte {
	if data == nil {
		return b
	}
	return appendOctets(b, c, data)
}

// appendTold appends an AVP that nil is not in.
func appendTold[T ~uint32](b []byte, c Code, v *T) []byte {
	if v == nil {
		return b
	}
	return appendUint32(b, c, *v)
}

func appendAll(b []byte, avps []AVP) []byte {
	for i := range avps {
		b = avps[i].append(b)
	}
	return b
}

// Package radius reads and writes RADIUS packets: RFC 2865, section 3, with EAP
// (RFC 3579), the vendors' attributes of 3GPP2, WiMAX and Microsoft (RFC 2548),
// and the authenticators and covered keys that the shared secret makes.
//
// A Packet holds attributes as they are on the wire and in that order. What they
// mean is a level above: Add and Unpack turn values into attributes and back,
// and messages of the profiles (BindingRequest, KeyRequest, EAPRequest, ...) are
// structs over those.
//
// It knows nothing of sockets and time. When a packet is sent, sent again or
// believed is in nodes/session/radpeer. Accounting is left out, as are the long
// attributes of RFC 6929 and passwords of other kinds than User-Password.
package radius

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Port is where a server listens: RFC 2865, section 3.
const Port = 1812

// Sizes of a packet, in octets: RFC 2865, section 3.
const (
	AuthenticatorSize = 16
	headerSize        = 4 + AuthenticatorSize
	MostOctets        = 4096
	mostValue         = 253 // of one attribute
)

// ErrMalformed is wrapped by every error of what cannot be read.
var ErrMalformed = errors.New("malformed RADIUS packet")

// A Code says what kind of packet it is: RFC 2865, section 3.
type Code uint8

const (
	AccessRequest   Code = 1
	AccessAccept    Code = 2
	AccessReject    Code = 3
	AccessChallenge Code = 11
)

func (c Code) String() string {
	switch c {
	case AccessRequest:
		return "Access-Request"
	case AccessAccept:
		return "Access-Accept"
	case AccessReject:
		return "Access-Reject"
	case AccessChallenge:
		return "Access-Challenge"
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// An Authenticator is that of a request, 16 random octets, or of a response, a
// digest that proves the shared secret: RFC 2865, section 3.
type Authenticator [AuthenticatorSize]byte

// An Attribute is one of a packet, as on the wire; or, out of Unpack, a value by
// its name.
type Attribute struct {
	Type  Type
	Value []byte // 0 to 253 octets on the wire
}

// A Packet is one RADIUS packet.
type Packet struct {
	Code          Code
	Identifier    uint8
	Authenticator Authenticator
	Attributes    []Attribute // in wire order; of no vendor's Type
}

// Parse reads a packet. Octets behind its length are padding: RFC 2865, section
// 3. Every error wraps ErrMalformed. The result shares no memory with b.
func Parse(b []byte) (*Packet, error) {
	length, err := lengthOf(b)
	if err != nil {
		return nil, err
	}
	p := &Packet{Code: Code(b[0]), Identifier: b[1], Authenticator: Authenticator(b[4:headerSize])}
	for at := headerSize; at < length; {
		value, err := valueAt(b[:length], at)
		if err != nil {
			return nil, err
		}
		p.Attributes = append(p.Attributes, Attribute{Type(b[at]), slices.Clone(value)})
		at += 2 + len(value)
	}
	return p, nil
}

// lengthOf checks a packet's header and gives the length that it names.
func lengthOf(b []byte) (int, error) {
	if len(b) < headerSize {
		return 0, fmt.Errorf("packet of %d octets, want %d or more: %w", len(b), headerSize, ErrMalformed)
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	if length < headerSize || length > MostOctets {
		return 0, fmt.Errorf("packet: length %d, want %d to %d: %w", length, headerSize, MostOctets, ErrMalformed)
	}
	if length > len(b) {
		return 0, fmt.Errorf("packet: length %d, but %d octets are there: %w", length, len(b), ErrMalformed)
	}
	return length, nil
}

// valueAt gives the value of the attribute that begins at an offset. It is never
// nil, and has no room to grow into what follows.
func valueAt(b []byte, at int) ([]byte, error) {
	if len(b)-at < 2 {
		return nil, fmt.Errorf("attribute at octet %d: cut off: %w", at, ErrMalformed)
	}
	length := int(b[at+1])
	if length < 2 || at+length > len(b) {
		return nil, fmt.Errorf("%v at octet %d: length %d, want 2 to %d: %w", Type(b[at]), at, length, min(255, len(b)-at), ErrMalformed)
	}
	return b[at+2 : at+length : at+length], nil
}

// AppendTo appends the packet as it is: authenticators are not computed here, but
// in AppendRequest and AppendResponse.
func (p *Packet) AppendTo(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, byte(p.Code), p.Identifier, 0, 0)
	b = append(b, p.Authenticator[:]...)
	for _, a := range p.Attributes {
		if a.Type > 255 {
			return nil, fmt.Errorf("%v: want it packed into Vendor-Specific", a.Type)
		}
		if len(a.Value) > mostValue {
			return nil, fmt.Errorf("%v of %d octets, want %d or fewer", a.Type, len(a.Value), mostValue)
		}
		b = append(b, byte(a.Type), byte(2+len(a.Value)))
		b = append(b, a.Value...)
	}
	length := len(b) - start
	if length > MostOctets {
		return nil, fmt.Errorf("%v of %d octets, want %d or fewer", p.Code, length, MostOctets)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(length))
	return b, nil
}

// All gives the values of all wire attributes of a type, in their order.
func (p *Packet) All(t Type) (all [][]byte) {
	for _, a := range p.Attributes {
		if a.Type == t {
			all = append(all, a.Value)
		}
	}
	return all
}

// Has says whether there is a wire attribute of a type.
func (p *Packet) Has(t Type) bool {
	return slices.ContainsFunc(p.Attributes, func(a Attribute) bool { return a.Type == t })
}

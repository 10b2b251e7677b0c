// Package eap reads and writes EAP packets (RFC 3748) and the messages of EAP-AKA
// (RFC 4187) and EAP-AKA' (RFC 9048).
//
// It knows no key and no order of messages: AT_MAC and AT_ENCR_DATA are octets
// here. Keys are made in nodes/keys; who says what when is in nodes/session/eapaka.
package eap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// ErrMalformed is wrapped by every error of a parser.
var ErrMalformed = errors.New("malformed")

// A Code says what a packet is for: RFC 3748, section 4.
type Code uint8

const (
	Request Code = iota + 1
	Response
	Success
	Failure
)

func (c Code) String() string {
	if name := [...]string{1: "Request", "Response", "Success", "Failure"}; c > 0 && int(c) < len(name) {
		return name[c]
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// A Type says what a Request asks for and a Response gives: RFC 3748, section 5.
type Type uint8

const (
	TypeIdentity     Type = 1
	TypeNotification Type = 2
	TypeNak          Type = 3   // in a Response alone
	TypeAKA          Type = 23  // RFC 4187
	TypeAKAPrime     Type = 50  // RFC 9048
	TypeExpanded     Type = 254 // its vendor and type are the first octets of the data
)

func (t Type) String() string {
	switch t {
	case TypeIdentity:
		return "Identity"
	case TypeNotification:
		return "Notification"
	case TypeNak:
		return "Nak"
	case TypeAKA:
		return "EAP-AKA"
	case TypeAKAPrime:
		return "EAP-AKA'"
	case TypeExpanded:
		return "Expanded"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Word is the type as topologies and events have it: eap-aka or eap-aka-prime; of
// others, and of none, a word that says so.
func (t Type) Word() string {
	switch t {
	case TypeAKA:
		return "eap-aka"
	case TypeAKAPrime:
		return "eap-aka-prime"
	case 0:
		return "unknown"
	}
	return strings.ReplaceAll(strings.ToLower(t.String()), " ", "-")
}

// A Packet is an EAP packet: RFC 3748, section 4.
type Packet struct {
	Code       Code
	Identifier uint8  // a Response's is that of its Request
	Type       Type   // of a Request and a Response; otherwise 0
	Data       []byte // Type-Data, up to 65,530 octets; nil: none
}

const headerSize = 4

// AppendTo appends the packet to b. It fails where the packet is too long, or has
// a type or data that its code does not let it have.
func (p *Packet) AppendTo(b []byte) ([]byte, error) {
	size := headerSize
	switch p.Code {
	case Request, Response:
		if size += 1 + len(p.Data); size > math.MaxUint16 {
			return nil, fmt.Errorf("EAP packet of %d octets, want %d at most", size, math.MaxUint16)
		}
	case Success, Failure:
		if p.Type != 0 || len(p.Data) != 0 {
			return nil, fmt.Errorf("EAP %v with %v and %d octets of data, want neither", p.Code, p.Type, len(p.Data))
		}
	default:
		return nil, fmt.Errorf("EAP %v: want 1 to 4", p.Code)
	}
	b = append(b, byte(p.Code), p.Identifier)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	if size > headerSize {
		b = append(b, byte(p.Type))
		b = append(b, p.Data...)
	}
	return b, nil
}

// Parse parses a packet. What follows its length is padding of the layer below,
// and left out. Every error wraps ErrMalformed. The result shares no memory with b.
func Parse(b []byte) (*Packet, error) {
	b, err := cut(b)
	if err != nil {
		return nil, err
	}
	p := &Packet{Code: Code(b[0]), Identifier: b[1]}
	switch p.Code {
	case Request, Response:
		if len(b) == headerSize {
			return nil, fmt.Errorf("EAP %v without a type: %w", p.Code, ErrMalformed)
		}
		p.Type = Type(b[headerSize])
		if data := b[headerSize+1:]; len(data) > 0 {
			p.Data = bytes.Clone(data)
		}
	case Success, Failure: // section 4.2: no additional data
		if len(b) != headerSize {
			return nil, fmt.Errorf("EAP %v of %d octets, want %d: %w", p.Code, len(b), headerSize, ErrMalformed)
		}
	default:
		return nil, fmt.Errorf("EAP %v, want 1 to 4: %w", p.Code, ErrMalformed)
	}
	return p, nil
}

// cut leaves what the Length of a packet covers.
func cut(b []byte) ([]byte, error) {
	if len(b) < headerSize {
		return nil, fmt.Errorf("EAP packet of %d octets, want %d or more: %w", len(b), headerSize, ErrMalformed)
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	if size < headerSize || size > len(b) {
		return nil, fmt.Errorf("EAP packet of %d octets says it has %d: %w", len(b), size, ErrMalformed)
	}
	return b[:size], nil
}

// Nak is the Response that asks for other types than that of a Request: RFC 3748,
// section 5.3.1. Without any it says that there is no other.
func Nak(identifier uint8, wanted ...Type) *Packet {
	p := &Packet{Code: Response, Identifier: identifier, Type: TypeNak}
	for _, t := range wanted {
		p.Data = append(p.Data, byte(t))
	}
	if len(wanted) == 0 {
		p.Data = []byte{0}
	}
	return p
}

// Wanted is what a Nak asks for, its 0 for "none" left out; nil for another packet.
func (p *Packet) Wanted() (types []Type) {
	if p.Code != Response || p.Type != TypeNak {
		return nil
	}
	for _, t := range p.Data {
		if t != 0 {
			types = append(types, Type(t))
		}
	}
	return types
}

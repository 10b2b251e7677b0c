package eap

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// An AttributeType names an attribute: RFC 4187, section 11, and RFC 9048, section
// 8. Those from 128 on are skippable: who does not know one goes on without it.
type AttributeType uint8

const (
	ATRAND            AttributeType = 1   // 16 octets
	ATAUTN            AttributeType = 2   // 16 octets
	ATRES             AttributeType = 3   // 4 to 16 octets
	ATAUTS            AttributeType = 4   // 14 octets
	ATPADDING         AttributeType = 6   // 2, 6 or 10 zeros
	ATPERMANENTIDREQ  AttributeType = 10  // empty
	ATMAC             AttributeType = 11  // 16 octets
	ATNOTIFICATION    AttributeType = 12  // a number
	ATANYIDREQ        AttributeType = 13  // empty
	ATIDENTITY        AttributeType = 14  // text
	ATFULLAUTHIDREQ   AttributeType = 17  // empty
	ATCOUNTER         AttributeType = 19  // a number
	ATCOUNTERTOOSMALL AttributeType = 20  // empty
	ATNONCES          AttributeType = 21  // 16 octets
	ATCLIENTERRORCODE AttributeType = 22  // a number
	ATKDFINPUT        AttributeType = 23  // text
	ATKDF             AttributeType = 24  // a number
	ATIV              AttributeType = 129 // 16 octets
	ATENCRDATA        AttributeType = 130 // 16 octets and multiples
	ATNEXTPSEUDONYM   AttributeType = 132 // text
	ATNEXTREAUTHID    AttributeType = 133 // text
	ATCHECKCODE       AttributeType = 134 // empty, 20 octets in EAP-AKA, 32 in EAP-AKA'
	ATRESULTIND       AttributeType = 135 // empty
	ATBIDDING         AttributeType = 136 // a number, of which BiddingPrime is defined
)

// BiddingPrime is the D bit of AT_BIDDING: the sender would rather use EAP-AKA'.
// RFC 9048, section 4.
const BiddingPrime uint16 = 0x8000

// Skippable says whether who does not know an attribute of this type goes on
// without it: RFC 4187, section 8.1.
func (t AttributeType) Skippable() bool { return t >= 128 }

func (t AttributeType) String() string {
	if s, ok := shapes[t]; ok {
		return s.name
	}
	return fmt.Sprintf("attribute %d", uint8(t))
}

// An Attribute is one of a message, or one that AT_ENCR_DATA hides. Its Value has
// neither reserved octets nor a length nor padding, which are made and dropped here;
// a number is two octets of it. Of an attribute that has no name here, Value is all
// that follows type and length: 2 octets or 4 more, and so on up to 1,018.
type Attribute struct {
	Type  AttributeType
	Value []byte
}

// A head is what the two octets after an attribute's type and length are.
type head uint8

const (
	value    head = iota // the value begins there
	reserved             // sent as zeros, ignored on receipt
	octets               // they count the value's octets; what else there is pads it
	bits                 // they count the value's bits
)

// A shape says how a type of attribute is written: RFC 4187, sections 10.2 to
// 10.20; RFC 9048, sections 3.1, 3.2, 3.4.3 and 4. Sizes are of values.
type shape struct {
	name        string
	head        head
	least, most int
	step        int // sizes from least on; 0: 1
}

const mostText = 255*4 - 4

var shapes = map[AttributeType]shape{
	ATRAND:            {"AT_RAND", reserved, 16, 16, 0},
	ATAUTN:            {"AT_AUTN", reserved, 16, 16, 0},
	ATRES:             {"AT_RES", bits, 4, 16, 0},
	ATAUTS:            {"AT_AUTS", value, 14, 14, 0},
	ATPADDING:         {"AT_PADDING", value, 2, 10, 4},
	ATPERMANENTIDREQ:  {"AT_PERMANENT_ID_REQ", reserved, 0, 0, 0},
	ATMAC:             {"AT_MAC", reserved, 16, 16, 0},
	ATNOTIFICATION:    {"AT_NOTIFICATION", value, 2, 2, 0},
	ATANYIDREQ:        {"AT_ANY_ID_REQ", reserved, 0, 0, 0},
	ATIDENTITY:        {"AT_IDENTITY", octets, 0, mostText, 0},
	ATFULLAUTHIDREQ:   {"AT_FULLAUTH_ID_REQ", reserved, 0, 0, 0},
	ATCOUNTER:         {"AT_COUNTER", value, 2, 2, 0},
	ATCOUNTERTOOSMALL: {"AT_COUNTER_TOO_SMALL", reserved, 0, 0, 0},
	ATNONCES:          {"AT_NONCE_S", reserved, 16, 16, 0},
	ATCLIENTERRORCODE: {"AT_CLIENT_ERROR_CODE", value, 2, 2, 0},
	ATKDFINPUT:        {"AT_KDF_INPUT", octets, 0, mostText, 0},
	ATKDF:             {"AT_KDF", value, 2, 2, 0},
	ATIV:              {"AT_IV", reserved, 16, 16, 0},
	ATENCRDATA:        {"AT_ENCR_DATA", reserved, 16, 63 * 16, 16},
	ATNEXTPSEUDONYM:   {"AT_NEXT_PSEUDONYM", octets, 0, mostText, 0},
	ATNEXTREAUTHID:    {"AT_NEXT_REAUTH_ID", octets, 0, mostText, 0},
	ATCHECKCODE:       {"AT_CHECKCODE", reserved, 0, 32, 0},
	ATRESULTIND:       {"AT_RESULT_IND", reserved, 0, 0, 0},
	ATBIDDING:         {"AT_BIDDING", value, 2, 2, 0},
}

// fits says whether a value may have n octets.
func (s shape) fits(t AttributeType, n int) bool {
	if t == ATCHECKCODE {
		return n == 0 || n == 20 || n == 32
	}
	return n >= s.least && n <= s.most && (n-s.least)%max(s.step, 1) == 0
}

// Number is an attribute that is a number.
func Number(t AttributeType, n uint16) Attribute {
	return Attribute{t, binary.BigEndian.AppendUint16(nil, n)}
}

// Number is the value of an attribute that is a number; 0 where it is none.
func (a *Attribute) Number() uint16 {
	if a == nil || len(a.Value) != 2 {
		return 0
	}
	return binary.BigEndian.Uint16(a.Value)
}

// Find is the first attribute of a type; nil: there is none.
func Find(all []Attribute, t AttributeType) *Attribute {
	for i := range all {
		if all[i].Type == t {
			return &all[i]
		}
	}
	return nil
}

// Numbers are those of all attributes of a type, in their order.
func Numbers(all []Attribute, t AttributeType) (n []uint16) {
	for i := range all {
		if all[i].Type == t {
			n = append(n, all[i].Number())
		}
	}
	return n
}

// AppendAttributes appends attributes in their order. It fails where a value does
// not fit its type.
func AppendAttributes(b []byte, all []Attribute) ([]byte, error) {
	for _, a := range all {
		n := len(a.Value)
		s, known := shapes[a.Type]
		if !known {
			if n < 2 || n > 255*4-2 || n%4 != 2 {
				return nil, fmt.Errorf("%v of %d octets, want 2, 6, 10 and so on to 1018", a.Type, n)
			}
		} else if !s.fits(a.Type, n) {
			return nil, fmt.Errorf("%v of %d octets does not fit its type", a.Type, n)
		}
		start := len(b)
		b = append(b, byte(a.Type), 0)
		switch s.head {
		case reserved:
			b = append(b, 0, 0)
		case octets:
			b = binary.BigEndian.AppendUint16(b, uint16(n))
		case bits:
			b = binary.BigEndian.AppendUint16(b, uint16(n*8))
		}
		b = append(b, a.Value...)
		for (len(b)-start)%4 != 0 {
			b = append(b, 0)
		}
		b[start+1] = byte((len(b) - start) / 4)
	}
	return b, nil
}

// ParseAttributes parses what follows the subtype and its reserved octets, or what
// AT_ENCR_DATA hides. Every error wraps ErrMalformed. The result shares no memory
// with b.
func ParseAttributes(b []byte) (all []Attribute, err error) {
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, fmt.Errorf("%d octets after the attributes, want none: %w", len(b), ErrMalformed)
		}
		t, size := AttributeType(b[0]), int(b[1])*4
		if size == 0 || size > len(b) {
			return nil, fmt.Errorf("%v of %d octets where %d are left: %w", t, size, len(b), ErrMalformed)
		}
		v, err := parseValue(t, b[2:size])
		if err != nil {
			return nil, err
		}
		all = append(all, Attribute{t, bytes.Clone(v)})
		b = b[size:]
	}
	return all, nil
}

// parseValue finds the value in b, the octets after type and length.
func parseValue(t AttributeType, b []byte) ([]byte, error) {
	s, known := shapes[t]
	if !known {
		return b, nil
	}
	v := b
	if s.head != value {
		count := int(binary.BigEndian.Uint16(b))
		v = b[2:]
		if s.head == bits && count%8 != 0 {
			return nil, fmt.Errorf("%v of %d bits, want whole octets: %w", t, count, ErrMalformed)
		}
		if s.head == bits {
			count /= 8
		}
		if s.head != reserved {
			if (count+3)/4*4 != len(v) {
				return nil, fmt.Errorf("%v says it has %d octets, and has %d with padding: %w", t, count, len(v), ErrMalformed)
			}
			v = v[:count]
		}
	}
	if !s.fits(t, len(v)) {
		return nil, fmt.Errorf("%v of %d octets does not fit its type: %w", t, len(v), ErrMalformed)
	}
	if t == ATPADDING && !bytes.Equal(v, make([]byte, len(v))) { // RFC 4187, section 10.12
		return nil, fmt.Errorf("%v is not all zeros: %w", t, ErrMalformed)
	}
	return v, nil
}

// AppendPadding appends AT_PADDING to attributes that are to be encrypted, where
// they need it: RFC 4187, section 10.12.
func AppendPadding(b []byte) []byte {
	if n := (16 - len(b)%16) % 16; n > 0 {
		b = append(b, byte(ATPADDING), byte(n/4))
		b = append(b, make([]byte, n-2)...)
	}
	return b
}

package radius

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// A Vendor is a private enterprise number.
type Vendor uint32

const (
	Microsoft Vendor = 311
	ThreeGPP2 Vendor = 5535
	WiMAX     Vendor = 24757
)

// A Type names an attribute: its number, and above that the vendor whose number
// it is; 0 for the attributes of RFC 2865 and its successors.
type Type uint64

// TypeOf gives the Type of a vendor's attribute.
func TypeOf(v Vendor, number uint8) Type { return Type(v)<<8 | Type(number) }

// Vendor is whose attribute it is; 0: nobody's.
func (t Type) Vendor() Vendor { return Vendor(t >> 8) }

// Number is the attribute's number among those of its vendor.
func (t Type) Number() uint8 { return uint8(t) }

func (t Type) String() string {
	if d, ok := dictionary[t]; ok {
		return d.name
	}
	if t.Vendor() != 0 {
		return fmt.Sprintf("attribute %d of vendor %d", t.Number(), t.Vendor())
	}
	return fmt.Sprintf("attribute %d", t.Number())
}

// Sizes of Vendor-Specific: RFC 2865, section 5.26.
const (
	vendorIDSize = 4
	// continues is the C bit of the continuation octet that WiMAX has in front of
	// each value: the next attribute of the same type goes on with it. The other
	// bits are reserved; they are sent as 0 and not looked at.
	continues = 0x80
)

// vendorHeader gives the octets in front of a vendor's value: its type, its length
// and, with WiMAX, the continuation octet.
func vendorHeader(v Vendor) int {
	if v == WiMAX {
		return 3
	}
	return 2
}

// knownVendor says whether the inside of a vendor's attribute is known here; RFC
// 2865, section 5.26, only recommends a format.
func knownVendor(v Vendor) bool { return v == Microsoft || v == ThreeGPP2 || v == WiMAX }

// Add appends a value to attributes in the form that it has on the wire. A
// vendor's goes into a Vendor-Specific of its own; what is too long for one
// attribute is split over several where there is a way to do that: EAP-Message
// (RFC 3579, section 3.1) and WiMAX. Other values that are too long are an error.
func Add(as []Attribute, t Type, value []byte) ([]Attribute, error) {
	v := t.Vendor()
	room := mostValue
	if v != 0 {
		if !knownVendor(v) {
			return nil, fmt.Errorf("%v: want one of a vendor whose format is known", t)
		}
		room -= vendorIDSize + vendorHeader(v)
	}
	if len(value) > room && t != EAPMessage && v != WiMAX {
		return nil, fmt.Errorf("%v of %d octets, want %d or fewer", t, len(value), room)
	}
	for {
		part := value[:min(len(value), room)]
		value = value[len(part):]
		if v == 0 {
			as = append(as, Attribute{t, slices.Clone(part)})
		} else {
			b := binary.BigEndian.AppendUint32(nil, uint32(v))
			b = append(b, t.Number(), byte(vendorHeader(v)+len(part)))
			if v == WiMAX {
				more := byte(0)
				if len(value) > 0 {
					more = continues
				}
				b = append(b, more)
			}
			as = append(as, Attribute{VendorSpecific, append(b, part...)})
		}
		if len(value) == 0 {
			return as, nil
		}
	}
}

// Unpack gives the values that attributes hold, in their order: those of known
// vendors one by one, those that were split in one piece at the place of their
// first. Vendor-Specific of other vendors stays as it is: RFC 2865, section 5.26,
// has it ignored. Every error wraps ErrMalformed.
func Unpack(as []Attribute) ([]Attribute, error) {
	var all []Attribute
	eap := -1              // where EAP-Message is
	open := map[Type]int{} // where values are that go on
	for _, a := range as {
		switch {
		case a.Type == EAPMessage && eap >= 0:
			all[eap].Value = append(all[eap].Value, a.Value...)
			continue
		case a.Type == EAPMessage:
			eap = len(all)
		case a.Type == VendorSpecific:
			if len(a.Value) < vendorIDSize {
				return nil, fmt.Errorf("%v of %d octets, want %d or more: %w", a.Type, len(a.Value), vendorIDSize, ErrMalformed)
			}
			v := Vendor(binary.BigEndian.Uint32(a.Value))
			if knownVendor(v) {
				var err error
				if all, err = unpackVendor(all, v, a.Value[vendorIDSize:], open); err != nil {
					return nil, err
				}
				continue
			}
		}
		all = append(all, Attribute{a.Type, slices.Clone(a.Value)})
	}
	for t := range open {
		return nil, fmt.Errorf("%v goes on, and nothing follows: %w", t, ErrMalformed)
	}
	return all, nil
}

func unpackVendor(all []Attribute, v Vendor, b []byte, open map[Type]int) ([]Attribute, error) {
	header := vendorHeader(v)
	for len(b) > 0 {
		if len(b) < header {
			return nil, fmt.Errorf("%v of vendor %d: %d octets behind the last attribute: %w", VendorSpecific, v, len(b), ErrMalformed)
		}
		t, length := TypeOf(v, b[0]), int(b[1])
		if length < header || length > len(b) {
			return nil, fmt.Errorf("%v: length %d, want %d to %d: %w", t, length, header, len(b), ErrMalformed)
		}
		at, more := open[t]
		if more {
			all[at].Value = append(all[at].Value, b[header:length]...)
		} else {
			at = len(all)
			all = append(all, Attribute{t, slices.Clone(b[header:length])})
		}
		if v == WiMAX && b[2]&continues != 0 {
			open[t] = at
		} else {
			delete(open, t)
		}
		b = b[length:]
	}
	return all, nil
}

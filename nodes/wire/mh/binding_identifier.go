package mh

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// A BindingIdentifier names one of several bindings of a home address: RFC 5648,
// section 4.3, with the priority of RFC 6089, section 4.1.
type BindingIdentifier struct {
	BID      uint16     // 1 to 65535; 0 is reserved
	Status   Status     // of this binding, in an acknowledgement; 0: that of the message
	Home     bool       // H: attached to the home link and to others at once
	Priority uint8      // BID-PRI, 7 bits: the lowest goes first; 0: not said, as RFC 5648 alone has it
	CareOf   netip.Addr // IPv6 or IPv4, in Binding Updates; not valid: none, as of a BID that is known
}

// Type is OptionBindingIdentifier.
func (BindingIdentifier) Type() OptionType { return OptionBindingIdentifier }

func (o BindingIdentifier) align() (n, k int) {
	if o.CareOf.IsValid() {
		return 8, 2
	}
	return 2, 0
}

func (o BindingIdentifier) appendData(b []byte) ([]byte, error) {
	if o.Priority > 127 {
		return nil, fmt.Errorf("priority %d: want 7 bits", o.Priority)
	}
	last := o.Priority
	if o.Home {
		last |= 0x80
	}
	b = append(binary.BigEndian.AppendUint16(b, o.BID), uint8(o.Status), last)
	switch {
	case !o.CareOf.IsValid():
		return b, nil
	case o.CareOf.Is4():
		return appendIPv4(b, o.CareOf)
	}
	return appendIPv6(b, o.CareOf)
}

func parseBindingIdentifier(b []byte) (Option, error) {
	o := BindingIdentifier{}
	switch len(b) {
	case 4:
	case 8:
		o.CareOf = netip.AddrFrom4([4]byte(b[4:]))
	case 20:
		o.CareOf = netip.AddrFrom16([16]byte(b[4:]))
	default:
		return nil, fmt.Errorf("%d octets, want 4, 8 or 20: %w", len(b), ErrMalformed)
	}
	o.BID, o.Status = binary.BigEndian.Uint16(b), Status(b[2])
	o.Home, o.Priority = b[3]&0x80 != 0, b[3]&0x7f
	return o, nil
}

package mh

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// A BindingUpdateView is a Binding Update read without copying or allocating:
// for a home agent that reads very many. One view may be used again and again.
// It takes what Parse takes, and means the same.
//
// Of an option that is there twice the first is seen; what does not stand here
// can be reached by WalkOptions over Octets.
type BindingUpdateView struct {
	Octets   []byte        // the whole header; Identifier and the rest are part of it
	Seq      uint16        // as in BindingUpdate
	Flags    BUFlags       // as in BindingUpdate
	Lifetime time.Duration // as in BindingUpdate

	Identifier       []byte     // of the first MNIdentifier with an NAI; nil: none
	AlternateCareOf  netip.Addr // not valid: none
	IPv4CareOf       netip.Addr // not valid: none
	IPv4Home         IPv4HomeAddress
	HasIPv4Home      bool
	Timestamp        uint64 // of the ReplayProtection
	HasTimestamp     bool
	ServiceSelection []byte      // nil: none
	KeyMaterial      KeyMaterial // the first; Kind 0: none
	MNHA, MNAAA      AuthenticationView
}

// An AuthenticationView is an Authentication as it lies in its header.
type AuthenticationView struct {
	At   int // where in the header the option begins; 0: there is none
	SPI  uint32
	Data []byte
}

// CareOf is the care-of address that the update asks to bind, when it came from
// source, the source of its IPv6 header. An IPv4 one is given as an
// IPv4-mapped IPv6 address.
func (v *BindingUpdateView) CareOf(source netip.Addr) netip.Addr {
	switch {
	case v.AlternateCareOf.IsValid():
		return v.AlternateCareOf
	case v.IPv4CareOf.IsValid():
		return netip.AddrFrom16(v.IPv4CareOf.As16())
	}
	return source
}

// Decode reads the Binding Update at the start of b into v, which until then
// may hold anything. Every error wraps ErrMalformed. The view is good for as
// long as b is not written to.
func (v *BindingUpdateView) Decode(b []byte) error {
	b, err := Octets(b)
	if err != nil {
		return err
	}
	if t := Type(b[2]); t != TypeBindingUpdate {
		return fmt.Errorf("%v: want %v: %w", t, TypeBindingUpdate, ErrMalformed)
	}
	*v = BindingUpdateView{
		Octets:   b,
		Seq:      binary.BigEndian.Uint16(b[6:]),
		Flags:    BUFlags(binary.BigEndian.Uint16(b[8:])),
		Lifetime: time.Duration(binary.BigEndian.Uint16(b[10:])) * lifetimeUnit,
	}
	w := WalkOptions(b)
	for w.Next() {
		if !fits(w.Type, len(w.Data)) {
			return fmt.Errorf("binding update: %v of %d octets: %w", w.Type, len(w.Data), ErrMalformed)
		}
		switch w.Type {
		case OptionAlternateCareOf:
			if !v.AlternateCareOf.IsValid() {
				v.AlternateCareOf = netip.AddrFrom16([16]byte(w.Data))
			}
		case OptionIPv4CareOf:
			if !v.IPv4CareOf.IsValid() {
				v.IPv4CareOf = netip.AddrFrom4([4]byte(w.Data[2:]))
			}
		case OptionIPv4HomeAddress:
			if !v.HasIPv4Home {
				v.HasIPv4Home = true
				v.IPv4Home = IPv4HomeAddress{
					PrefixLen:     w.Data[0] >> 2,
					PrefixRequest: w.Data[0]&2 != 0,
					Address:       netip.AddrFrom4([4]byte(w.Data[2:])),
				}
			}
		case OptionMNIdentifier:
			if v.Identifier == nil && IdentifierSubtype(w.Data[0]) == NAI {
				v.Identifier = w.Data[1:]
			}
		case OptionReplayProtection:
			if !v.HasTimestamp {
				v.HasTimestamp, v.Timestamp = true, binary.BigEndian.Uint64(w.Data)
			}
		case OptionServiceSelection:
			if v.ServiceSelection == nil {
				v.ServiceSelection = w.Data
			}
		case OptionExperimental:
			if o, ours := ParseKeyMaterial(w.Data); ours && v.KeyMaterial.Kind == 0 {
				v.KeyMaterial = o
			}
		case OptionAuthentication:
			a := AuthenticationView{At: w.At, SPI: binary.BigEndian.Uint32(w.Data[1:]), Data: w.Data[5:]}
			switch AuthSubtype(w.Data[0]) {
			case MNHA:
				if v.MNHA.At == 0 {
					v.MNHA = a
				}
			case MNAAA:
				if v.MNAAA.At == 0 {
					v.MNAAA = a
				}
			}
		}
	}
	return w.Err()
}

// fits says whether the data of an option of type t can be n octets long.
func fits(t OptionType, n int) bool {
	switch t {
	case OptionRefreshAdvice:
		return n == 2
	case OptionNonceIndices:
		return n == 4
	case OptionIPv4HomeAddress, OptionIPv4AddressAck, OptionNATDetection, OptionIPv4CareOf:
		return n == 6
	case OptionReplayProtection:
		return n == 8
	case OptionAlternateCareOf:
		return n == 16
	case OptionMNIdentifier, OptionServiceSelection:
		return n >= 1
	case OptionAuthentication:
		return n >= 5
	}
	return true
}

package mh

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// BUFlags are the 16 bits after the sequence number of a Binding Update.
type BUFlags uint16

// Flags of a Binding Update: RFC 6275, section 6.1.7, and later RFCs.
const (
	AckRequested     BUFlags = 0x8000 // A
	HomeRegistration BUFlags = 0x4000 // H
	LinkLocal        BUFlags = 0x2000 // L
	KeyMobility      BUFlags = 0x1000 // K: Key Management Mobility Capability
	MAPRegistration  BUFlags = 0x0800 // M: RFC 5380
	MobileRouter     BUFlags = 0x0400 // R: RFC 3963
	ProxyRegistered  BUFlags = 0x0200 // P: RFC 5213
	ForceUDP         BUFlags = 0x0100 // F: RFC 5555
	TLVHeader        BUFlags = 0x0080 // T: RFC 5845
	Overwrite        BUFlags = 0x0040 // O: RFC 5648; RFC 6602 uses the same bit as B
)

// Names gives the letters of the flags that are set, in wire order. A bit
// without a letter is given as its value.
func (f BUFlags) Names() []string { return flagNames(uint16(f), "AHLKMRPFTO", 0x8000) }

func (f BUFlags) String() string { return strings.Join(f.Names(), ",") }

func flagNames(f uint16, letters string, first uint16) []string {
	var names []string
	for i := range 16 {
		bit := first >> i
		switch {
		case f&bit == 0:
		case i < len(letters):
			names = append(names, letters[i:i+1])
		default:
			names = append(names, fmt.Sprintf("%#x", bit))
		}
	}
	return names
}

// A BindingUpdate tells another node where a mobile node now is: RFC 6275,
// section 6.1.7. Flag bits without a name here are kept, so that what was
// parsed can be appended again unchanged.
type BindingUpdate struct {
	Seq      uint16        // modulo 2^16: compare with SeqAfter, never with <
	Flags    BUFlags       // A, H, L, K, and what later RFCs add
	Lifetime time.Duration // 0 s to 262,140 s in steps of 4 s; 0 deletes the binding
	Options  []Option      // in wire order; padding is made and dropped here
}

// Type is TypeBindingUpdate.
func (m *BindingUpdate) Type() Type { return TypeBindingUpdate }

func (m *BindingUpdate) options() []Option { return m.Options }

// AppendTo appends the message data.
func (m *BindingUpdate) AppendTo(b []byte) ([]byte, error) {
	units, err := lifetime(m.Lifetime)
	if err != nil {
		return nil, fmt.Errorf("binding update: %w", err)
	}
	start := len(b) - headerLen
	b = binary.BigEndian.AppendUint16(b, m.Seq)
	b = binary.BigEndian.AppendUint16(b, uint16(m.Flags))
	b = binary.BigEndian.AppendUint16(b, units)
	return appendOptions(b, start, m.Options)
}

// ParseBindingUpdate parses message data. Every error wraps ErrMalformed.
// The result shares no memory with b.
func ParseBindingUpdate(b []byte) (*BindingUpdate, error) {
	if len(b) < 6 {
		return nil, short(TypeBindingUpdate, b)
	}
	opts, err := parseOptions(b[6:])
	if err != nil {
		return nil, fmt.Errorf("binding update: %w", err)
	}
	return &BindingUpdate{
		Seq:      binary.BigEndian.Uint16(b),
		Flags:    BUFlags(binary.BigEndian.Uint16(b[2:])),
		Lifetime: time.Duration(binary.BigEndian.Uint16(b[4:])) * lifetimeUnit,
		Options:  opts,
	}, nil
}

// short says that b is shorter than the message data of type t can be.
func short(t Type, b []byte) error {
	return fmt.Errorf("%v: %d octets, want %d or more: %w", t, len(b), fixedLen(t), ErrMalformed)
}

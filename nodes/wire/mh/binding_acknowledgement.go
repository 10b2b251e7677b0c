package mh

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// BAFlags are the 8 bits after the status of a Binding Acknowledgement.
type BAFlags uint8

// Flags of a Binding Acknowledgement: RFC 6275, section 6.1.8, and later RFCs.
const (
	BAKeyMobility     BAFlags = 0x80 // K
	BAMobileRouter    BAFlags = 0x40 // R: RFC 3963
	BAProxyRegistered BAFlags = 0x20 // P: RFC 5213
	BATLVHeader       BAFlags = 0x10 // T: RFC 5845
	BABulk            BAFlags = 0x08 // B: RFC 6602
)

// Names gives the letters of the flags that are set, in wire order. A bit
// without a letter is given as its value.
func (f BAFlags) Names() []string { return flagNames(uint16(f), "KRPTB", 0x80) }

func (f BAFlags) String() string { return strings.Join(f.Names(), ",") }

// A BindingAcknowledgement answers a Binding Update: RFC 6275, section 6.1.8.
type BindingAcknowledgement struct {
	Status   Status
	Flags    BAFlags       // kept whole, like those of a BindingUpdate
	Seq      uint16        // of the Binding Update; with SequenceOutOfWindow the last one accepted
	Lifetime time.Duration // granted, 0 s to 262,140 s in steps of 4 s; means nothing in a refusal
	Options  []Option      // in wire order; padding is made and dropped here
}

// Type is TypeBindingAcknowledgement.
func (m *BindingAcknowledgement) Type() Type { return TypeBindingAcknowledgement }

func (m *BindingAcknowledgement) options() []Option { return m.Options }

// AppendTo appends the message data.
func (m *BindingAcknowledgement) AppendTo(b []byte) ([]byte, error) {
	units, err := lifetime(m.Lifetime)
	if err != nil {
		return nil, fmt.Errorf("binding acknowledgement: %w", err)
	}
	start := len(b) - headerLen
	b = append(b, uint8(m.Status), uint8(m.Flags))
	b = binary.BigEndian.AppendUint16(b, m.Seq)
	b = binary.BigEndian.AppendUint16(b, units)
	return appendOptions(b, start, m.Options)
}

// ParseBindingAcknowledgement parses message data. Every error wraps
// ErrMalformed. The result shares no memory with b.
func ParseBindingAcknowledgement(b []byte) (*BindingAcknowledgement, error) {
	if len(b) < 6 {
		return nil, short(TypeBindingAcknowledgement, b)
	}
	opts, err := parseOptions(b[6:])
	if err != nil {
		return nil, fmt.Errorf("binding acknowledgement: %w", err)
	}
	return &BindingAcknowledgement{
		Status:   Status(b[0]),
		Flags:    BAFlags(b[1]),
		Seq:      binary.BigEndian.Uint16(b[2:]),
		Lifetime: time.Duration(binary.BigEndian.Uint16(b[4:])) * lifetimeUnit,
		Options:  opts,
	}, nil
}

package mh

import (
	"fmt"
	"net/netip"
)

// A BindingErrorStatus says what a BindingError is about: RFC 6275, section
// 6.1.9.
type BindingErrorStatus uint8

// Statuses of a Binding Error.
const (
	UnknownBinding BindingErrorStatus = 1 // for the Home Address option
	UnknownType    BindingErrorStatus = 2 // of a Mobility Header
)

func (s BindingErrorStatus) String() string {
	switch s {
	case UnknownBinding:
		return "unknown-binding"
	case UnknownType:
		return "unrecognized-mh-type"
	}
	return fmt.Sprintf("status-%d", uint8(s))
}

// A BindingError says that a packet with a Home Address option, or a Mobility
// Header, was not understood: RFC 6275, section 6.1.9.
type BindingError struct {
	Status      BindingErrorStatus
	HomeAddress netip.Addr // that of the Home Address option; :: where there was none
	Options     []Option
}

// Type is TypeBindingError.
func (m *BindingError) Type() Type { return TypeBindingError }

func (m *BindingError) options() []Option { return m.Options }

// AppendTo appends the message data.
func (m *BindingError) AppendTo(b []byte) ([]byte, error) {
	start := len(b) - headerLen
	b, err := appendIPv6(append(b, uint8(m.Status), 0), m.HomeAddress)
	if err != nil {
		return nil, fmt.Errorf("binding error: %w", err)
	}
	return appendOptions(b, start, m.Options)
}

// ParseBindingError parses message data. Every error wraps ErrMalformed.
func ParseBindingError(b []byte) (*BindingError, error) {
	if len(b) < 18 {
		return nil, short(TypeBindingError, b)
	}
	opts, err := parseOptions(b[18:])
	if err != nil {
		return nil, fmt.Errorf("binding error: %w", err)
	}
	return &BindingError{
		Status:      BindingErrorStatus(b[0]),
		HomeAddress: netip.AddrFrom16([16]byte(b[2:])),
		Options:     opts,
	}, nil
}

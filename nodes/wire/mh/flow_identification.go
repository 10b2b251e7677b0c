package mh

import (
	"encoding/binary"
	"fmt"
)

// A FlowStatus says what became of a flow binding: RFC 6089, section 4.2.
type FlowStatus uint8

// Statuses of a FlowIdentification in an acknowledgement.
const (
	FlowBound               FlowStatus = 0
	FlowProhibited          FlowStatus = 128
	FlowUnspecified         FlowStatus = 129
	FlowMalformed           FlowStatus = 130
	FlowBIDNotFound         FlowStatus = 131
	FlowFIDNotFound         FlowStatus = 132
	FlowSelectorUnsupported FlowStatus = 133 // the format of the traffic selector is not known
)

// String is the status in the words of its RFC, in kebab-case.
func (s FlowStatus) String() string {
	switch s {
	case FlowBound:
		return "flow-binding-successful"
	case FlowProhibited:
		return "administratively-prohibited"
	case FlowUnspecified:
		return "reason-unspecified"
	case FlowMalformed:
		return "option-malformed"
	case FlowBIDNotFound:
		return "bid-not-found"
	case FlowFIDNotFound:
		return "fid-not-found"
	case FlowSelectorUnsupported:
		return "traffic-selector-format-not-supported"
	}
	return fmt.Sprintf("status-%d", uint8(s))
}

// A FlowIdentification ties a flow to bindings: RFC 6089, section 4.2. It makes
// the flow binding, changes it, or tells its status.
type FlowIdentification struct {
	FID        uint16 // 1 to 65535; 0 is reserved
	Priority   uint16 // FID-PRI, 1 to 65535, no two alike: the lowest is matched first
	Status     FlowStatus
	SubOptions []FlowSubOption // in wire order, without padding
}

// Type is OptionFlowIdentification.
func (FlowIdentification) Type() OptionType { return OptionFlowIdentification }

// align is more than the RFC's 2n where a traffic selector asks for it: the
// option's first 8 octets and the selector's then keep its fields on their
// boundaries.
func (o FlowIdentification) align() (n, k int) {
	for _, s := range o.SubOptions {
		if a := s.alignment(); a > n {
			n = a
		}
	}
	return max(n, 2), 0
}

func (o FlowIdentification) appendData(b []byte) ([]byte, error) {
	start := len(b) - 2 // where the option begins, which align has seen to
	b = binary.BigEndian.AppendUint16(b, o.FID)
	b = binary.BigEndian.AppendUint16(b, o.Priority)
	b = append(b, 0, uint8(o.Status))
	for i, s := range o.SubOptions {
		b = appendPadding(b, -(len(b)-start)&(s.alignment()-1))
		at := len(b)
		b = append(b, uint8(s.kind()), 0)
		var err error
		if b, err = s.appendData(b); err != nil {
			return nil, fmt.Errorf("sub-option %d: %w", i, err)
		}
		if length := len(b) - at - 2; length > 255 {
			return nil, fmt.Errorf("sub-option %d: %d octets, want at most 255", i, length)
		}
		b[at+1] = uint8(len(b) - at - 2)
	}
	return b, nil
}

func parseFlowIdentification(b []byte) (Option, error) {
	if len(b) < 6 {
		return nil, fmt.Errorf("%d octets, want 6 or more: %w", len(b), ErrMalformed)
	}
	o := FlowIdentification{FID: binary.BigEndian.Uint16(b), Priority: binary.BigEndian.Uint16(b[2:]), Status: FlowStatus(b[5])}
	// Sub-options are laid out as options are, padding among them.
	w := Walk{b: b, next: 6}
	for w.Next() {
		o.SubOptions = append(o.SubOptions, parseFlowSubOption(uint8(w.Type), w.Data))
	}
	return o, w.Err()
}

// A FlowSubOption is one of BindingReference, TrafficSelector and
// RawFlowSubOption: RFC 6089, section 4.2.1.
type FlowSubOption interface {
	kind() uint8
	alignment() int // in octets from where the option begins
	appendData(b []byte) ([]byte, error)
}

// The sub-options with a type of their own here.
const (
	subBindingReference = 2
	subTrafficSelector  = 3
)

// A BindingReference says to which bindings a flow goes, by their BID: RFC 6089,
// section 4.2.1.3.
type BindingReference struct {
	BIDs []uint16 // one or more
}

func (BindingReference) kind() uint8    { return subBindingReference }
func (BindingReference) alignment() int { return 2 }

func (s BindingReference) appendData(b []byte) ([]byte, error) {
	if len(s.BIDs) == 0 {
		return nil, fmt.Errorf("binding reference to nothing, want one BID or more")
	}
	return appendIdentifiers(b, s.BIDs), nil
}

// A RawFlowSubOption is a sub-option without a type of its own here, or one
// whose data break its format: the receiver has a status for both.
type RawFlowSubOption struct {
	Kind uint8 // not 0 or 1, which are padding
	Data []byte
}

func (s RawFlowSubOption) kind() uint8    { return s.Kind }
func (s RawFlowSubOption) alignment() int { return 1 }

func (s RawFlowSubOption) appendData(b []byte) ([]byte, error) {
	if s.Kind <= 1 {
		return nil, fmt.Errorf("padding is made by Append and is no sub-option of its own")
	}
	return append(b, s.Data...), nil
}

func parseFlowSubOption(kind uint8, data []byte) FlowSubOption {
	switch kind {
	case subBindingReference:
		if bids, err := parseIdentifiers(data); err == nil {
			return BindingReference{BIDs: bids}
		}
	case subTrafficSelector:
		if s, err := parseTrafficSelector(data); err == nil {
			return s
		}
	}
	return RawFlowSubOption{Kind: kind, Data: append([]byte(nil), data...)}
}

// IsTrafficSelector says whether it is a traffic selector that has no format.
func (s RawFlowSubOption) IsTrafficSelector() bool { return s.Kind == subTrafficSelector }

// IsBindingReference says whether it is a binding reference that has no format.
func (s RawFlowSubOption) IsBindingReference() bool { return s.Kind == subBindingReference }

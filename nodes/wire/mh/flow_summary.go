package mh

import (
	"encoding/binary"
	"fmt"
)

// A FlowSummary names flow bindings that stay as they are: RFC 6089, section
// 4.2.2. What a Binding Update names in no option ends.
type FlowSummary struct {
	FIDs []uint16 // 1 to 127 of them, each 1 to 65535
}

// Type is OptionFlowSummary.
func (FlowSummary) Type() OptionType { return OptionFlowSummary }

func (FlowSummary) align() (n, k int) { return 2, 0 }

func (o FlowSummary) appendData(b []byte) ([]byte, error) {
	if n := len(o.FIDs); n < 1 || n > 127 {
		return nil, fmt.Errorf("%d flow identifiers, want 1 to 127", n)
	}
	return appendIdentifiers(b, o.FIDs), nil
}

func parseFlowSummary(b []byte) (Option, error) {
	fids, err := parseIdentifiers(b)
	if err != nil {
		return nil, err
	}
	return FlowSummary{FIDs: fids}, nil
}

// appendIdentifiers appends identifiers of 16 bits.
func appendIdentifiers(b []byte, ids []uint16) []byte {
	for _, id := range ids {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	return b
}

// parseIdentifiers parses the identifiers that fill b: one or more.
func parseIdentifiers(b []byte) ([]uint16, error) {
	if len(b) == 0 || len(b)%2 != 0 {
		return nil, fmt.Errorf("%d octets, want 2 for each identifier: %w", len(b), ErrMalformed)
	}
	ids := make([]uint16, len(b)/2)
	for i := range ids {
		ids[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return ids, nil
}

package mh

import (
	"encoding/binary"
	"time"
)

// A RefreshAdvice asks a mobile node to register again earlier than its
// binding's lifetime says: RFC 6275, section 6.2.4.
type RefreshAdvice struct {
	Interval time.Duration // 0 s to 262,140 s in steps of 4 s; less than the acknowledgement's lifetime
}

// Type is OptionRefreshAdvice.
func (RefreshAdvice) Type() OptionType { return OptionRefreshAdvice }

func (RefreshAdvice) align() (n, k int) { return 2, 0 }

func (o RefreshAdvice) appendData(b []byte) ([]byte, error) {
	units, err := lifetime(o.Interval)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint16(b, units), nil
}

func parseRefreshAdvice(b []byte) (Option, error) {
	if err := want(b, 2); err != nil {
		return nil, err
	}
	return RefreshAdvice{Interval: time.Duration(binary.BigEndian.Uint16(b)) * lifetimeUnit}, nil
}

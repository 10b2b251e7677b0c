package mh

import (
	"encoding/binary"
	"fmt"
)

// A CareOfTest answers a CareOfTestInit: RFC 6275, section 6.1.6.
type CareOfTest struct {
	NonceIndex  uint16  // comes back in the NonceIndices of a BindingUpdate
	Cookie      [8]byte // copied from the CareOfTestInit
	KeygenToken [8]byte // half of the binding management key: RFC 6275, section 5.2.5
	Options     []Option
}

// Type is TypeCareOfTest.
func (m *CareOfTest) Type() Type { return TypeCareOfTest }

func (m *CareOfTest) options() []Option { return m.Options }

// AppendTo appends the message data.
func (m *CareOfTest) AppendTo(b []byte) ([]byte, error) {
	start := len(b) - headerLen
	b = binary.BigEndian.AppendUint16(b, m.NonceIndex)
	b = append(b, m.Cookie[:]...)
	b = append(b, m.KeygenToken[:]...)
	return appendOptions(b, start, m.Options)
}

// ParseCareOfTest parses message data. Every error wraps ErrMalformed.
func ParseCareOfTest(b []byte) (*CareOfTest, error) {
	if len(b) < 18 {
		return nil, short(TypeCareOfTest, b)
	}
	opts, err := parseOptions(b[18:])
	if err != nil {
		return nil, fmt.Errorf("care-of test: %w", err)
	}
	return &CareOfTest{
		NonceIndex:  binary.BigEndian.Uint16(b),
		Cookie:      [8]byte(b[2:]),
		KeygenToken: [8]byte(b[10:]),
		Options:     opts,
	}, nil
}

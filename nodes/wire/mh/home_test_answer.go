package mh

import (
	"encoding/binary"
	"fmt"
)

// A HomeTest answers a HomeTestInit: RFC 6275, section 6.1.5.
type HomeTest struct {
	NonceIndex  uint16  // comes back in the NonceIndices of a BindingUpdate
	Cookie      [8]byte // copied from the HomeTestInit
	KeygenToken [8]byte // half of the binding management key: RFC 6275, section 5.2.5
	Options     []Option
}

// Type is TypeHomeTest.
func (m *HomeTest) Type() Type { return TypeHomeTest }

func (m *HomeTest) options() []Option { return m.Options }

// AppendTo appends the message data.
func (m *HomeTest) AppendTo(b []byte) ([]byte, error) {
	start := len(b) - headerLen
	b = binary.BigEndian.AppendUint16(b, m.NonceIndex)
	b = append(b, m.Cookie[:]...)
	b = append(b, m.KeygenToken[:]...)
	return appendOptions(b, start, m.Options)
}

// ParseHomeTest parses message data. Every error wraps ErrMalformed.
func ParseHomeTest(b []byte) (*HomeTest, error) {
	if len(b) < 18 {
		return nil, short(TypeHomeTest, b)
	}
	opts, err := parseOptions(b[18:])
	if err != nil {
		return nil, fmt.Errorf("home test: %w", err)
	}
	return &HomeTest{
		NonceIndex:  binary.BigEndian.Uint16(b),
		Cookie:      [8]byte(b[2:]),
		KeygenToken: [8]byte(b[10:]),
		Options:     opts,
	}, nil
}

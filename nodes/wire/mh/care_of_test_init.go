package mh

import "fmt"

// A CareOfTestInit begins the return routability procedure straight from the care-of address: RFC 6275,
// section 6.1.4.
type CareOfTestInit struct {
	Cookie  [8]byte // care-of init cookie: random
	Options []Option
}

// Type is TypeCareOfTestInit.
func (m *CareOfTestInit) Type() Type { return TypeCareOfTestInit }

func (m *CareOfTestInit) options() []Option { return m.Options }

// AppendTo appends the message data.
func (m *CareOfTestInit) AppendTo(b []byte) ([]byte, error) {
	start := len(b) - headerLen
	b = append(b, 0, 0)
	b = append(b, m.Cookie[:]...)
	return appendOptions(b, start, m.Options)
}

// ParseCareOfTestInit parses message data. Every error wraps ErrMalformed.
func ParseCareOfTestInit(b []byte) (*CareOfTestInit, error) {
	if len(b) < 10 {
		return nil, short(TypeCareOfTestInit, b)
	}
	opts, err := parseOptions(b[10:])
	if err != nil {
		return nil, fmt.Errorf("care-of test init: %w", err)
	}
	return &CareOfTestInit{Cookie: [8]byte(b[2:]), Options: opts}, nil
}

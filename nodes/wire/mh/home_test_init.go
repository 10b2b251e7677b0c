package mh

import "fmt"

// A HomeTestInit begins the return routability procedure by way of the home agent: RFC 6275,
// section 6.1.3.
type HomeTestInit struct {
	Cookie  [8]byte // home init cookie: random
	Options []Option
}

// Type is TypeHomeTestInit.
func (m *HomeTestInit) Type() Type { return TypeHomeTestInit }

func (m *HomeTestInit) options() []Option { return m.Options }

// AppendTo appends the message data.
func (m *HomeTestInit) AppendTo(b []byte) ([]byte, error) {
	start := len(b) - headerLen
	b = append(b, 0, 0)
	b = append(b, m.Cookie[:]...)
	return appendOptions(b, start, m.Options)
}

// ParseHomeTestInit parses message data. Every error wraps ErrMalformed.
func ParseHomeTestInit(b []byte) (*HomeTestInit, error) {
	if len(b) < 10 {
		return nil, short(TypeHomeTestInit, b)
	}
	opts, err := parseOptions(b[10:])
	if err != nil {
		return nil, fmt.Errorf("home test init: %w", err)
	}
	return &HomeTestInit{Cookie: [8]byte(b[2:]), Options: opts}, nil
}

package mh

import "fmt"

// A BindingRefreshRequest asks a mobile node to update its binding: RFC 6275,
// section 6.1.2.
type BindingRefreshRequest struct {
	Options []Option
}

// Type is TypeBindingRefreshRequest.
func (m *BindingRefreshRequest) Type() Type { return TypeBindingRefreshRequest }

func (m *BindingRefreshRequest) options() []Option { return m.Options }

// AppendTo appends the message data.
func (m *BindingRefreshRequest) AppendTo(b []byte) ([]byte, error) {
	start := len(b) - headerLen
	return appendOptions(append(b, 0, 0), start, m.Options)
}

// ParseBindingRefreshRequest parses message data. Every error wraps
// ErrMalformed.
func ParseBindingRefreshRequest(b []byte) (*BindingRefreshRequest, error) {
	if len(b) < 2 {
		return nil, short(TypeBindingRefreshRequest, b)
	}
	opts, err := parseOptions(b[2:])
	if err != nil {
		return nil, fmt.Errorf("binding refresh request: %w", err)
	}
	return &BindingRefreshRequest{Options: opts}, nil
}

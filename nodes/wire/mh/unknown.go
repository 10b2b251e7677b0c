package mh

// An Unknown is a message of a type that has no name here. Whoever receives one
// answers with a Binding Error, status 2: RFC 6275, section 9.2.
type Unknown struct {
	Kind Type
	Data []byte // message data, with any options and padding; 2 octets more than a multiple of 8
}

// Type is the type the message came with.
func (m *Unknown) Type() Type { return m.Kind }

// AppendTo appends the message data.
func (m *Unknown) AppendTo(b []byte) ([]byte, error) { return append(b, m.Data...), nil }

func (m *Unknown) options() []Option { return nil }

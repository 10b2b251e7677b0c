package mh

import "fmt"

// An IdentifierSubtype says what kind of identifier an MNIdentifier holds.
type IdentifierSubtype uint8

// NAI is a Network Access Identifier, such as user@realm: RFC 4283, section
// 3.1.
const NAI IdentifierSubtype = 1

// An MNIdentifier says who the mobile node is: RFC 4283, section 3. It stands
// before any authentication option.
type MNIdentifier struct {
	Subtype    IdentifierSubtype
	Identifier string // up to 254 octets
}

// Type is OptionMNIdentifier.
func (MNIdentifier) Type() OptionType { return OptionMNIdentifier }

func (MNIdentifier) align() (n, k int) { return 1, 0 }

func (o MNIdentifier) appendData(b []byte) ([]byte, error) {
	b = append(b, uint8(o.Subtype))
	return append(b, o.Identifier...), nil
}

func parseMNIdentifier(b []byte) (Option, error) {
	if len(b) < 1 {
		return nil, fmt.Errorf("no octets, want 1 or more: %w", ErrMalformed)
	}
	return MNIdentifier{Subtype: IdentifierSubtype(b[0]), Identifier: string(b[1:])}, nil
}

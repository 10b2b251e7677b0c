package mh

import "encoding/binary"

// NonceIndices tell a correspondent node which of its nonces the keygen tokens
// came from: RFC 6275, section 6.2.6.
type NonceIndices struct {
	Home   uint16
	CareOf uint16 // means nothing when a binding is deleted
}

// Type is OptionNonceIndices.
func (NonceIndices) Type() OptionType { return OptionNonceIndices }

func (NonceIndices) align() (n, k int) { return 2, 0 }

func (o NonceIndices) appendData(b []byte) ([]byte, error) {
	b = binary.BigEndian.AppendUint16(b, o.Home)
	return binary.BigEndian.AppendUint16(b, o.CareOf), nil
}

func parseNonceIndices(b []byte) (Option, error) {
	if err := want(b, 4); err != nil {
		return nil, err
	}
	return NonceIndices{Home: binary.BigEndian.Uint16(b), CareOf: binary.BigEndian.Uint16(b[2:])}, nil
}

package mh

import (
	"encoding/binary"
	"fmt"
)

// An AuthSubtype says between whom an Authentication option proves.
type AuthSubtype uint8

// Subtypes of the authentication option: RFC 4285, section 8.
const (
	MNHA  AuthSubtype = 1 // between mobile node and home agent
	MNAAA AuthSubtype = 2 // between mobile node and AAA server
)

func (s AuthSubtype) String() string {
	switch s {
	case MNHA:
		return "mn-ha"
	case MNAAA:
		return "mn-aaa"
	}
	return fmt.Sprintf("subtype-%d", uint8(s))
}

// HMACSHA1SPI is the SPI that stands for HMAC_SHA1 in an MN-AAA option; values
// up to 255 are for such algorithms: RFC 4285, section 8.
const HMACSHA1SPI = 3

// An Authentication proves that a message comes from someone who knows a key:
// RFC 4285, section 5. As the last option it takes the padding before it, so
// that it ends the header.
type Authentication struct {
	Subtype AuthSubtype
	SPI     uint32
	Data    []byte // 12 octets for MNHA, 20 for MNAAA with HMACSHA1SPI
}

// Type is OptionAuthentication.
func (Authentication) Type() OptionType { return OptionAuthentication }

func (Authentication) align() (n, k int) { return 4, 1 }

func (o Authentication) appendData(b []byte) ([]byte, error) {
	b = append(b, uint8(o.Subtype))
	b = binary.BigEndian.AppendUint32(b, o.SPI)
	return append(b, o.Data...), nil
}

func parseAuthentication(b []byte) (Option, error) {
	if len(b) < 5 {
		return nil, fmt.Errorf("%d octets, want 5 or more: %w", len(b), ErrMalformed)
	}
	return Authentication{
		Subtype: AuthSubtype(b[0]),
		SPI:     binary.BigEndian.Uint32(b[1:]),
		Data:    append([]byte(nil), b[5:]...),
	}, nil
}

// AppendAuthentication appends an authentication option whose data are size
// zeros to the header that begins at start, as its last option, and sets the
// length of the header. What the authenticator covers then ends size octets
// before the end of the header, where the option's data go. It fails where no
// padding lets the option end the header.
func AppendAuthentication(b []byte, start int, subtype AuthSubtype, spi uint32, size int) ([]byte, error) {
	const offset = 7 // of the data in the option
	pad := -(len(b) - start + offset + size) & (unit - 1)
	if (len(b)-start+pad)%4 != 1 || size > 250 {
		return nil, fmt.Errorf("authentication: %d octets of data cannot end a mobility header", size)
	}
	b = appendPadding(b, pad)
	b = append(b, uint8(OptionAuthentication), uint8(5+size), uint8(subtype))
	b = binary.BigEndian.AppendUint32(b, spi)
	for range size {
		b = append(b, 0)
	}
	return End(b, start)
}

package mip4

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// An AuthenticationKind says whose authentication extension it is, by the type of
// the extension.
type AuthenticationKind ExtensionType

// Kinds of authentication.
const (
	MobileHome    = AuthenticationKind(ExtensionMobileHome)     // RFC 5944, section 3.5.2
	MobileForeign = AuthenticationKind(ExtensionMobileForeign)  // section 3.5.3
	ForeignHome   = AuthenticationKind(ExtensionForeignHome)    // section 3.5.4
	MobileAAA     = AuthenticationKind(ExtensionAuthentication) // RFC 4721, section 6
)

func (k AuthenticationKind) String() string {
	switch k {
	case MobileHome:
		return "mn-ha"
	case MobileForeign:
		return "mn-fa"
	case ForeignHome:
		return "fa-ha"
	case MobileAAA:
		return "mn-aaa"
	}
	return fmt.Sprintf("authentication-%d", uint8(k))
}

// An Authentication is an authentication extension.
type Authentication struct {
	Kind          AuthenticationKind
	SPI           uint32
	Authenticator []byte // up to 251 octets; with MobileAAA, 16 to 65,531
}

// leastAAA is the least length of an authenticator of RFC 4721, section 5.
const leastAAA = 16

func (e Authentication) extension() (ExtensionType, uint8) { return ExtensionType(e.Kind), fromAAA }

func (e Authentication) appendData(b []byte) ([]byte, error) {
	switch e.Kind {
	case MobileHome, MobileForeign, ForeignHome:
	case MobileAAA:
		if len(e.Authenticator) < leastAAA {
			return nil, fmt.Errorf("%v authenticator of %d octets, want %d or more", e.Kind, len(e.Authenticator), leastAAA)
		}
	default:
		return nil, fmt.Errorf("%v: want mn-ha, mn-fa, fa-ha or mn-aaa", e.Kind)
	}
	return append(binary.BigEndian.AppendUint32(b, e.SPI), e.Authenticator...), nil
}

func parseAuthentication(k AuthenticationKind, b []byte) (Extension, error) {
	least := 4
	if k == MobileAAA {
		least += leastAAA
	}
	if len(b) < least {
		return nil, fmt.Errorf("%v authentication of %d octets, want %d or more: %w", k, len(b), least, ErrMalformed)
	}
	return Authentication{k, binary.BigEndian.Uint32(b), bytes.Clone(b[4:])}, nil
}

// A Place is where an authentication extension stands in the octets of a message.
type Place struct {
	Authentication
	Covers int // octets, from the message's first, that its authenticator covers: RFC 5944, section 3.5.1
	Before int // extensions that stand before it: what it vouches for
}

// Places gives the authentication extensions of a message that Parse has read, in
// their order.
func Places(b []byte) []Place {
	size := requestSize
	if len(b) > 0 && Type(b[0]) == TypeReply {
		size = replySize
	}
	if len(b) < size {
		return nil
	}
	var all []Place
	w := walk{octets: b[size:]}
	for n := 0; w.next(); n++ {
		if e, err := w.parse(); err == nil {
			if a, ok := e.(Authentication); ok {
				all = append(all, Place{Authentication: a, Covers: size + w.start + 4, Before: n})
			}
		}
	}
	return all
}
